#include "tests/unit/differential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/rng.h"

/* ---- Random choices ---- */

uint32_t dice_below(struct dice *dice, uint32_t bound) { return tq_rng_below(dice->seed, 1, dice->at++, bound); }

bool dice_chance(struct dice *dice, uint32_t percent) { return dice_below(dice, 100) < percent; }

const char *dice_word(struct dice *dice, const char *const *words, size_t count) {
    return words[dice_below(dice, (uint32_t)count)];
}

/* ---- Steps ---- */

struct step *steps_add(struct steps *steps, const char *category) {
    if (steps->count == steps->capacity) {
        steps->capacity = steps->capacity * 2 + 64;
        steps->list = realloc(steps->list, steps->capacity * sizeof *steps->list);
        if (steps->list == NULL) abort();
    }
    struct step *step = &steps->list[steps->count++];
    *step = (struct step){.limit = -1, .category = category};
    return step;
}

void steps_free(struct steps *steps) {
    for (size_t i = 0; i < steps->count; i++) {
        sqlite3_free(steps->list[i].ours);
        if (steps->list[i].plain != steps->list[i].ours) sqlite3_free(steps->list[i].plain);
    }
    free(steps->list);
    *steps = (struct steps){NULL, 0, 0};
}

/* ---- Answers ---- */

struct answer {
    int rc, changes, autocommit;
    sqlite3_int64 last_rowid;
    char message[160];
    char **rows, **keys; /* keys: the second column */
    size_t count, capacity;
};

static void append_value(sqlite3_str *out, sqlite3_stmt *statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL: sqlite3_str_appendall(out, "NULL"); break;
    case SQLITE_INTEGER: sqlite3_str_appendf(out, "%lld", sqlite3_column_int64(statement, column)); break;
    case SQLITE_FLOAT: {
        char text[40];
        (void)snprintf(text, sizeof text, "%.17g", sqlite3_column_double(statement, column) + 0.0); /* no -0 */
        sqlite3_str_appendf(out, "r%s", text);
        break;
    }
    case SQLITE_TEXT: sqlite3_str_appendf(out, "'%s'", sqlite3_column_text(statement, column)); break;
    default: {
        const unsigned char *bytes = sqlite3_column_blob(statement, column);
        sqlite3_str_appendall(out, "x");
        for (int i = 0; i < sqlite3_column_bytes(statement, column); i++) sqlite3_str_appendf(out, "%02x", bytes[i]);
    }
    }
}

static char *column_text(sqlite3_stmt *statement, int first, int end) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    for (int i = first; i < end; i++) {
        if (i > first) sqlite3_str_appendchar(out, 1, '|');
        append_value(out, statement, i);
    }
    return sqlite3_str_finish(out);
}

static void add_row(struct answer *answer, sqlite3_stmt *statement) {
    if (answer->count == answer->capacity) {
        answer->capacity = answer->capacity * 2 + 16;
        answer->rows = realloc(answer->rows, answer->capacity * sizeof *answer->rows);
        answer->keys = realloc(answer->keys, answer->capacity * sizeof *answer->keys);
        if (answer->rows == NULL || answer->keys == NULL) abort();
    }
    int columns = sqlite3_column_count(statement);
    answer->rows[answer->count] = column_text(statement, 0, columns);
    answer->keys[answer->count] = columns > 1 ? column_text(statement, 1, 2) : NULL;
    answer->count++;
}

static int step_through(sqlite3_stmt *statement, struct answer *answer) {
    int rc = SQLITE_OK;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) add_row(answer, statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Other statements leave changes() as it was. */
static bool changes_rows(const char *sql) {
    static const char *const words[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strncmp(sql, words[i], strlen(words[i])) == 0) return true;
    }
    return false;
}

static void ask(sqlite3 *db, const char *sql, struct answer *answer) {
    sqlite3_stmt *statement = NULL;
    *answer = (struct answer){.rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL)};
    if (answer->rc == SQLITE_OK) answer->rc = step_through(statement, answer);
    sqlite3_snprintf(sizeof answer->message, answer->message, "%s", answer->rc == SQLITE_OK ? "" : sqlite3_errmsg(db));
    bool writes = statement != NULL && sqlite3_stmt_readonly(statement) == 0 && changes_rows(sql);
    sqlite3_finalize(statement);
    answer->changes = writes && answer->rc == SQLITE_OK ? sqlite3_changes(db) : 0;
    answer->last_rowid = writes ? sqlite3_last_insert_rowid(db) : 0;
    answer->autocommit = sqlite3_get_autocommit(db);
}

static void answer_free(struct answer *answer) {
    for (size_t i = 0; i < answer->count; i++) {
        sqlite3_free(answer->rows[i]);
        sqlite3_free(answer->keys[i]);
    }
    free(answer->rows);
    free(answer->keys);
}

char *rows_of_statement(sqlite3_stmt *statement) {
    struct answer answer = {.rc = SQLITE_OK};
    sqlite3_str *out = sqlite3_str_new(NULL);
    answer.rc = step_through(statement, &answer);
    for (size_t i = 0; i < answer.count; i++) sqlite3_str_appendf(out, "%s\n", answer.rows[i]);
    if (answer.rc != SQLITE_OK) sqlite3_str_appendf(out, "error: %s", sqlite3_errmsg(sqlite3_db_handle(statement)));
    answer_free(&answer);
    char *text = sqlite3_str_finish(out);
    return text == NULL ? sqlite3_mprintf("%s", "") : text;
}

char *rows_of_query(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return sqlite3_mprintf("error: %s", sqlite3_errmsg(db));
    }
    char *rows = rows_of_statement(statement);
    sqlite3_finalize(statement);
    return rows;
}

/* ---- Comparing ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool holds(const struct answer *answer, const char *row) {
    for (size_t i = 0; i < answer->count; i++) {
        if (strcmp(answer->rows[i], row) == 0) return true;
    }
    return false;
}

static char *compare_nearest(const struct step *step, const struct answer *ours, const struct answer *plain) {
    size_t first = (size_t)step->offset < plain->count ? (size_t)step->offset : plain->count;
    size_t most = plain->count - first;
    if (step->limit >= 0 && (size_t)step->limit < most) most = (size_t)step->limit;
    if (ours->count != most) return sqlite3_mprintf("%d rows, expected %d", (int)ours->count, (int)most);
    for (size_t i = 0; i < most; i++) {
        if (strcmp(ours->keys[i], plain->keys[first + i]) != 0)
            return sqlite3_mprintf("row %d: %s, expected %s", (int)i, ours->rows[i], plain->rows[first + i]);
        if (!holds(plain, ours->rows[i])) return sqlite3_mprintf("row %d: %s is not expected", (int)i, ours->rows[i]);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(ours->rows[j], ours->rows[i]) == 0) return sqlite3_mprintf("row %s twice", ours->rows[i]);
        }
    }
    return NULL;
}

static char *compare_rows(const struct step *step, const struct answer *ours, const struct answer *plain) {
    if (step->order == STEP_NEAREST) return compare_nearest(step, ours, plain);
    if (step->order == STEP_BAG) {
        if (ours->count > 0) qsort(ours->rows, ours->count, sizeof *ours->rows, by_text);
        if (plain->count > 0) qsort(plain->rows, plain->count, sizeof *plain->rows, by_text);
    }
    for (size_t i = 0; i < ours->count && i < plain->count; i++) {
        if (strcmp(ours->rows[i], plain->rows[i]) != 0)
            return sqlite3_mprintf("row %d: %s\nexpected: %s", (int)i, ours->rows[i], plain->rows[i]);
    }
    if (ours->count == plain->count) return NULL;
    bool more = ours->count > plain->count;
    return sqlite3_mprintf("%d rows, expected %d; the first of the others is %s", (int)ours->count, (int)plain->count,
                           more ? ours->rows[plain->count] : plain->rows[ours->count]);
}

static char *compare(const struct step *step, const struct answer *ours, const struct answer *plain) {
    if ((ours->rc == SQLITE_OK) != (plain->rc == SQLITE_OK)) {
        return sqlite3_mprintf("%s, expected %s", ours->rc == SQLITE_OK ? "no error" : ours->message,
                               plain->rc == SQLITE_OK ? "no error" : plain->message);
    }
    if (ours->autocommit != plain->autocommit) {
        return sqlite3_mprintf("autocommit %d, expected %d", ours->autocommit, plain->autocommit);
    }
    if (ours->rc != SQLITE_OK) return NULL;
    char *why = compare_rows(step, ours, plain);
    if (why != NULL || step->ours != step->plain) return why;
    if (ours->changes != plain->changes) {
        return sqlite3_mprintf("%d changes, expected %d", ours->changes, plain->changes);
    }
    if (ours->last_rowid == plain->last_rowid) return NULL;
    return sqlite3_mprintf("last_insert_rowid() %lld, expected %lld", ours->last_rowid, plain->last_rowid);
}

/* ---- Running ---- */

enum { SIDES = 2, CONNECTIONS = 2 };

struct stage {
    char folder[80], files[SIDES][96];
    sqlite3 *db[SIDES][CONNECTIONS];
};

static void open_all(struct stage *stage) {
    for (int side = 0; side < SIDES; side++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            sqlite3 *db = NULL;
            if (sqlite3_open(stage->files[side], &db) != SQLITE_OK) abort();
            stage->db[side][i] = db;
            int rc = sqlite3_exec(
                db, "PRAGMA synchronous = OFF; PRAGMA automatic_index = OFF; SELECT tq_config('confidence', 'exact')",
                NULL, NULL, NULL);
            if (rc != SQLITE_OK) abort();
        }
    }
}

static char *close_all(struct stage *stage) {
    char *why = NULL;
    for (int i = 0; i < SIDES * CONNECTIONS; i++) {
        sqlite3 *db = stage->db[i / CONNECTIONS][i % CONNECTIONS];
        if (sqlite3_close(db) != SQLITE_OK && why == NULL) why = sqlite3_mprintf("%s", "the database does not close");
    }
    return why;
}

static void stage_begin(struct stage *stage) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(stage->folder, sizeof stage->folder, "%.40s/tq-test-differential-XXXXXX",
                   base == NULL ? "/tmp" : base);
    if (mkdtemp(stage->folder) == NULL) abort();
    (void)snprintf(stage->files[0], sizeof stage->files[0], "%s/tq.db", stage->folder);
    (void)snprintf(stage->files[1], sizeof stage->files[1], "%s/plain.db", stage->folder);
    open_all(stage);
}

static void stage_end(struct stage *stage) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", stage->folder);
    if (system(command) != 0) abort();
}

/* A statement that is left running keeps its locks. */
static char *find_running(sqlite3 *db) {
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s != NULL; s = sqlite3_next_stmt(db, s)) {
        if (sqlite3_stmt_busy(s)) return sqlite3_mprintf("left running: %s", sqlite3_sql(s));
    }
    bool locked = sqlite3_get_autocommit(db) != 0 && sqlite3_txn_state(db, NULL) != SQLITE_TXN_NONE;
    return locked ? sqlite3_mprintf("%s", "no transaction, and yet a lock") : NULL;
}

static void count_kind(struct tally *tally, const char *category) {
    size_t i = 0;
    while (i + 1 < TALLY_KINDS && tally->kinds[i].category != NULL && tally->kinds[i].category != category) i++;
    tally->kinds[i].category = category;
    tally->kinds[i].count++;
}

static char *run_step(struct stage *stage, const struct step *step, struct tally *tally) {
    struct answer ours, plain;
    if (step->reopen) {
        char *why = close_all(stage);
        open_all(stage);
        return why;
    }
    /* While the first connection is in a transaction, what the second one writes may or may not lock the first out. */
    bool waits = step->connection > 0 && sqlite3_get_autocommit(stage->db[1][0]) == 0;
    if (waits && strncmp(step->plain, "SELECT", 6) != 0) return NULL;
    for (int side = 0; side < SIDES; side++) sqlite3_set_last_insert_rowid(stage->db[side][step->connection], 42);
    ask(stage->db[1][step->connection], step->plain, &plain);
    ask(stage->db[0][step->connection], step->ours, &ours);
    count_kind(tally, step->category);
    tally->statements++;
    tally->failed += plain.rc != SQLITE_OK;
    tally->rows += (long)plain.count;
    char *why = compare(step, &ours, &plain);
    if (why == NULL) why = find_running(stage->db[0][step->connection]);
    answer_free(&ours);
    answer_free(&plain);
    return why;
}

char *steps_run(const struct steps *steps, const bool *skip, size_t *at, struct tally *tally) {
    struct stage stage;
    char *why = NULL;
    stage_begin(&stage);
    for (*at = 0; *at < steps->count; ++*at) {
        if (skip != NULL && skip[*at]) continue;
        why = run_step(&stage, &steps->list[*at], tally);
        if (why != NULL) break;
    }
    char *closed = close_all(&stage);
    stage_end(&stage);
    if (why == NULL) return closed;
    sqlite3_free(closed);
    return why;
}

/* ---- Reporting ---- */

static bool still_differs(const struct steps *steps, const bool *skip, size_t where) {
    struct tally tally = {.statements = 0};
    size_t at = 0;
    char *why = steps_run(steps, skip, &at, &tally);
    sqlite3_free(why);
    return why != NULL && at == where;
}

/* Leave out `size` steps at a time, where the difference stays. */
static bool shrink(const struct steps *steps, bool *skip, size_t where, size_t size) {
    bool any = false;
    for (size_t first = 0; first < where; first += size) {
        bool *before = malloc(steps->count * sizeof *before), changed = false;
        if (before == NULL) abort();
        memcpy(before, skip, steps->count * sizeof *before);
        for (size_t i = first; i < first + size && i < where; i++) {
            changed = changed || !(skip[i] || steps->list[i].needed);
            skip[i] = !steps->list[i].needed;
        }
        if (changed && still_differs(steps, skip, where))
            any = true;
        else
            memcpy(skip, before, steps->count * sizeof *before);
        free(before);
    }
    return any;
}

void steps_report(const struct steps *steps, size_t where, uint64_t seed) {
    struct tally tally = {.statements = 0};
    size_t at = 0;
    bool *skip = calloc(steps->count + 1, sizeof *skip);
    if (skip == NULL) abort();
    for (size_t size = where / 2 + 1; size > 0; size /= 2) {
        while (shrink(steps, skip, where, size) && size == 1) continue;
    }
    char *why = steps_run(steps, skip, &at, &tally);
    (void)printf("-- seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i <= at && i < steps->count; i++) {
        const struct step *step = &steps->list[i];
        if (skip[i] || strcmp(step->category, "begin of the ordinary one") == 0) continue;
        (void)printf("%s%s;\n", step->connection == 0 ? "" : "/* second connection */ ",
                     step->reopen ? "-- reopen" : step->ours);
        if (step->ours != step->plain) (void)printf("   -- ordinary: %s;\n", step->plain);
    }
    (void)printf("-- found: %s\n\n", why == NULL ? "nothing, this time" : why);
    (void)fflush(stdout);
    sqlite3_free(why);
    free(skip);
}
