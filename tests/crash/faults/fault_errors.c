/* A call fails at one point, or from there on: the transaction happens whole, or not at all and with a code that says
 * why; when the fault is gone the same connection goes on. Memory that cannot be had is such a call. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/faults/fault_sql.h"

struct trial {
    const struct course *course;
    const struct campaign *campaign;
    struct fault fault;
    bool thorough;
    char *text;       /* of the transaction */
    const char *name; /* of the table that is asked; NULL: none */
};

/* ---- Queries: their answers are a number ---- */

static uint64_t answer;

static void take_row(sqlite3_stmt *statement) {
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        for (; text != NULL && *text != 0; text++) answer = (answer ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
        answer = (answer ^ 255) * UINT64_C(0x100000001b3);
    }
}

static int ask(sqlite3 *db, const char *text) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW) take_row(statement);
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static const char *const questions[] = {
    "SELECT rowid, round(distance, 3) FROM @ WHERE a MATCH vector(4080, 7) AND k = 5",
    "SELECT rowid, round(distance, 3) FROM @ WHERE a MATCH vector(4080, 7) AND lang = 'de' AND n > 2000 LIMIT 3",
    "SELECT rowid FROM @ WHERE b MATCH tq_query(vector(8160, 9), 'exact=on') AND tenant = 1 AND k = 4",
    "SELECT q.column1, d.key FROM (VALUES (1), (2), (3)) q JOIN @ d ON d.a MATCH vector(4080, q.column1) AND k = 2",
    "SELECT count(*), sum(n), max(body) FROM @ WHERE n % 3 = 1",
    "SELECT key, tenant, body, length(a) FROM @ WHERE key = 'k2001' OR rowid = 3",
};

static int ask_all(sqlite3 *db, const char *name) {
    answer = 1;
    if (name == NULL) return SQLITE_OK;
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        char text[300], *at = NULL;
        (void)snprintf(text, sizeof text, "%s", questions[i]);
        while ((at = strchr(text, '@')) != NULL) {
            char rest[300];
            (void)snprintf(rest, sizeof rest, "%s", at + 1);
            (void)snprintf(at, (size_t)(text + sizeof text - at), "%s%s", name, rest);
        }
        int rc = ask(db, text);
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

/* ---- One point ---- */

static void keep_error(sqlite3 *db, int rc) {
    record->code = rc & 0xff;
    (void)snprintf(record->text, sizeof record->text, "%s", sqlite3_errmsg(db));
}

/* Opened, the transaction, the questions, as far as it goes; NULL: it could not be opened. */
static sqlite3 *attempt(const struct trial *trial, bool *made) {
    record->code = 0;
    sqlite3 *db = sql_open(trial->course->mode);
    *made = false;
    if (db == NULL) return NULL;
    int rc = run(db, trial->text);
    if (rc != SQLITE_OK) {
        keep_error(db, rc);
        if (sqlite3_get_autocommit(db) == 0) (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return db;
    }
    *made = true;
    rc = ask_all(db, trial->name);
    if (rc != SQLITE_OK) keep_error(db, rc);
    return db;
}

static void check_code(const struct trial *trial) {
    if (record->code != 0 && !campaign_fits(trial->campaign))
        fail("failed with %s (%d): %s", sqlite3_errstr(record->code), record->code, record->text);
}

static bool wants_reopening(sqlite3 *db) { return strstr(sqlite3_errmsg(db), "close every handle") != NULL; }

static bool is_broken(sqlite3 *db) {
    static const char *const texts[] = {"SELECT a FROM docs LIMIT 1", "SELECT a FROM terms LIMIT 1",
                                        "SELECT a FROM plain LIMIT 1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (run(db, texts[i]) != SQLITE_OK && wants_reopening(db)) return true;
    return false;
}

static sqlite3 *open_again(const struct trial *trial, sqlite3 *db) {
    if (db != NULL && sqlite3_close(db) != SQLITE_OK) fail("cannot be closed: %s", sqlite3_errmsg(db));
    db = sql_open(trial->course->mode);
    if (db == NULL) fail("cannot be opened when all is well again: %s (%d)", record->text, record->code);
    return db;
}

/* In modes TRUNCATE and PERSIST SQLite commits by cutting its journal or overwriting its head, and syncs behind that:
 * when that sync fails, it says SQLITE_IOERR of a transaction that stands. */
static bool may_have_happened(const struct trial *trial) {
    enum { TRUNCATE = 2, PERSIST = 3, JOURNALS = 4 };
    int journal = trial->course->mode % JOURNALS;
    bool behind = (trial->fault.classes & (CALL_SYNC | CALL_SIZE)) != 0 && record->code == SQLITE_IOERR;
    return trial->campaign->either || (behind && (journal == TRUNCATE || journal == PERSIST));
}

/* All is well again: what is there is what was said, and what was not made can be. */
static sqlite3 *check_after(const struct trial *trial, sqlite3 *db, bool made) {
    sqlite3 *const *models = trial->course->models;
    int code = record->code;
    char text[400], difference[400];
    (void)snprintf(text, sizeof text, "%.399s", record->text);
    if (db != NULL) roll_back(db); /* that may have failed before */
    /* SQLite opens what it cannot open for writing read-only, and stays so. */
    if (db == NULL || sqlite3_db_readonly(db, "main") == 1 || is_broken(db)) db = open_again(trial, db);
    if (!made && may_have_happened(trial) && same_tables(db, models[1])) return db;
    if (!same_tables(db, models[made ? 1 : 0])) {
        (void)snprintf(difference, sizeof difference, "%.399s", why);
        fail("%s (code %d, %s), but %s%s", made ? "made" : "failed", code, text, difference,
             same_tables(db, models[made ? 0 : 1]) ? "; it is as after the other outcome" : "");
    }
    if (made) return db;
    int rc = run(db, trial->text);
    if (rc == SQLITE_READONLY || (rc != SQLITE_OK && wants_reopening(db))) { /* the WAL may be open like that, too */
        roll_back(db);
        db = open_again(trial, db);
        rc = run(db, trial->text);
    }
    if (rc != SQLITE_OK) fail("failed with %d, %s; and once more: %d, %s", code, text, rc, sqlite3_errmsg(db));
    if (!same_tables(db, models[1])) fail("made the second time, but %s", why);
    return db;
}

static void check_left(long blocks, int files) {
    long left = heap_blocks() - blocks;
    if (left != 0) {
        if (fault_verbose) heap_print();
        fail("%ld blocks of memory are left (code %d, %s)", left, record->code, record->text);
    }
    if (open_files() != files) fail("%d files are left open", open_files() - files);
}

static void go(void *argument) {
    const struct trial *trial = argument;
    bool made = false;
    if (fault_verbose) heap_list();
    long blocks = heap_blocks();
    int files = open_files();
    fault_watch(store_folder());
    fault_set(&trial->fault);
    bool fill = trial->fault.action == FAULT_FILL && trial->fault.at != LONG_MAX;
    if (fill) store_fill(trial->fault.at, trial->fault.at % 2 == 0);
    sqlite3 *db = attempt(trial, &made);
    if (fill) store_empty();
    uint64_t first = answer;
    bool asked = made && record->code == 0;
    fault_clear();
    if (fault_verbose) fprintf(stderr, "%s: code %d, %s\n", made ? "made" : "not made", record->code, record->text);
    check_code(trial);
    db = check_after(trial, db, made);
    if (ask_all(db, trial->name) != SQLITE_OK) fail("a question when all was well: %s", sqlite3_errmsg(db));
    if (asked && first != answer) fail("the answers were not right");
    if (sqlite3_close(db) != SQLITE_OK) fail("cannot be closed: %s", sqlite3_errmsg(db));
    check_left(blocks, files);
}

static void look(void *argument) {
    const struct trial *trial = argument;
    fault_watch(store_folder());
    sqlite3 *db = sql_open(trial->course->mode);
    if (db == NULL) fail("in a new process, cannot open: %s", record->text);
    must(db, "PRAGMA cache_size=-100000");
    if (!same_tables(db, trial->course->models[1])) fail("in a new process: %s", why);
    unnamed_may_stay = true;
    if (trial->thorough)
        check_end(db, trial->course->models[1], store_path());
    else
        check_some(db, trial->course->models[1]);
}

static void try_once(struct tally *tally, struct trial *trial) {
    const struct course *course = trial->course;
    char repeat[300], wrong[2300] = "";
    store_put_back();
    struct outcome outcome = process_run(go, trial, 60);
    store_empty();
    long fired = trial->fault.action == FAULT_FILL ? record->code != 0 : record->fired;
    if (outcome.status != 0)
        (void)snprintf(wrong, sizeof wrong, "status %d: %s", outcome.status, outcome.text);
    else if (trial->thorough && (outcome = process_run(look, trial, 60)).status != 0)
        (void)snprintf(wrong, sizeof wrong, "status %d: %s", outcome.status, outcome.text);
    record->fired = fired;
    (void)snprintf(repeat, sizeof repeat,
                   "faults %s --seed %llu --plan %d --mode %d --from %d ('%c') --campaign %s --at %ld",
                   (trial->fault.classes & CALL_MEMORY) != 0 ? "memory"
                   : trial->fault.action == FAULT_FILL       ? "full"
                                                             : "errors",
                   (unsigned long long)seed, tally->options->plan, course->mode, course->number, plan[course->number],
                   trial->campaign->name, trial->fault.at);
    tally_point(tally, wrong[0] != 0 ? wrong : NULL, repeat);
}

/* ---- All of them ---- */

static void prepare_trial(struct trial *trial, const struct course *course) {
    sqlite3 *model = course->models[0];
    trial->name = name_now(model);
    trial->text = transaction(course->number, false, trial->name);
    /* Questions are for a table that is there before and afterwards. */
    char text[64];
    (void)snprintf(text, sizeof text, "SELECT 1 FROM %s LIMIT 1", trial->name);
    if (strchr("CnXY", plan[course->number]) != NULL || run(model, text) != SQLITE_OK) trial->name = NULL;
}

static void count_calls(const struct course *course, struct call_counts *counts) {
    struct trial trial = {.course = course, .campaign = memory_campaigns.list, .fault = fault_counting};
    prepare_trial(&trial, course);
    store_put_back();
    struct outcome outcome = process_run(go, &trial, 60);
    if (outcome.status != 0) fail("without any fault: '%c': %s", plan[course->number], outcome.text);
    campaign_count(counts);
    sqlite3_free(trial.text);
}

static void run_campaign(struct tally *tally, const struct course *course, const struct campaign *campaign, long total,
                         long wanted, uint64_t *chance) {
    struct trial trial = {.course = course, .campaign = campaign, .fault = campaign->fault};
    prepare_trial(&trial, course);
    trial.fault.keeps_wal = course->mode < MODE_FULL;
    for (long i = 0; i < wanted && i < total && !tally_over(tally); i++) {
        trial.fault.at = wanted >= total ? i + 1 : 1 + (long)fault_chance(chance, (uint64_t)total);
        trial.thorough = fault_chance(chance, 10) == 0;
        try_once(tally, &trial);
    }
    sqlite3_free(trial.text);
}

static void run_mode(struct tally *tally, int mode, const struct campaigns *list, long wanted, uint64_t *chance) {
    struct course course;
    struct call_counts counts;
    double end = tally->until;
    store_make(tally->options->folder);
    course_start(&course, mode);
    while (course.number < transactions) {
        count_calls(&course, &counts);
        for (size_t i = 0; i < list->count; i++) {
            long parts = (transactions - course.number) * (long)(list->count - i), before = tally->points;
            long share = tally_part(wanted, parts, chance);
            tally_share(tally, end, parts);
            long total = campaign_total(&list->list[i], &counts);
            run_campaign(tally, &course, &list->list[i], total, share, chance);
            wanted -= tally->points - before;
        }
        store_put_back();
        course_advance(&course);
    }
    course_end(&course);
}

static void repeat_one(struct tally *tally, const struct campaigns *list) {
    const struct options *options = tally->options;
    struct course course;
    struct trial trial = {.course = &course, .thorough = true};
    store_make(options->folder);
    course_start(&course, options->mode);
    while (course.number < options->from) course_advance(&course);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->list[i].name, options->campaign) == 0) trial.campaign = &list->list[i];
    if (trial.campaign == NULL) fail("there is no campaign \"%s\"", options->campaign);
    trial.fault = trial.campaign->fault;
    trial.fault.at = options->at;
    trial.fault.keeps_wal = course.mode < MODE_FULL;
    prepare_trial(&trial, &course);
    try_once(tally, &trial);
}

static void run_list(struct tally *tally, const struct campaigns *list) {
    uint64_t chance = tally->options->seed;
    double end = tally->options->seconds > 0 ? tally_now() + (double)tally->options->seconds : 0;
    if (tally->options->at > 0) {
        repeat_one(tally, list);
        return;
    }
    for (int mode = 0; mode < MODES; mode++) {
        if (tally->options->mode >= 0 && tally->options->mode != mode) continue;
        long share = tally->options->mode >= 0 ? tally->options->points : tally->options->points / MODES;
        tally_share(tally, end, tally->options->mode >= 0 ? 1 : MODES - mode);
        long points = tally->points, hits = tally->hits;
        run_mode(tally, mode, list, share, &chance);
        (void)printf("%s: %ld points, %ld of them struck\n", mode_name(mode), tally->points - points,
                     tally->hits - hits);
        (void)fflush(stdout);
    }
}

void full_errors(struct tally *tally) { run_list(tally, &full_campaigns); }
void call_errors(struct tally *tally) { run_list(tally, &call_campaigns); }
void memory_errors(struct tally *tally) { run_list(tally, &memory_campaigns); }
