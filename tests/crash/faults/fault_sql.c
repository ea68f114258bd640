#include "tests/crash/faults/fault_sql.h"

#include <stdio.h>
#include <string.h>

static const char *const journals[] = {"WAL", "DELETE", "TRUNCATE", "PERSIST"};
static const char *const levels[] = {"NORMAL", "FULL", "EXTRA"};

const char *mode_name(int mode) {
    static char text[32];
    (void)snprintf(text, sizeof text, "%s-%s", journals[mode % 4], levels[mode / 4]);
    return text;
}

static int refuse(sqlite3 *db, int rc) {
    record->code = rc;
    (void)snprintf(record->text, sizeof record->text, "%s", db == NULL ? "no memory" : sqlite3_errmsg(db));
    (void)sqlite3_close(db);
    return rc;
}

/* cache_spill: sql_work.c says why. */
sqlite3 *sql_open(int mode) {
    char text[200];
    sqlite3 *db = NULL;
    int rc = sqlite3_open(store_path(), &db);
    (void)snprintf(text, sizeof text,
                   "PRAGMA journal_mode=%s; PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=150;"
                   " PRAGMA cache_spill=%s;",
                   journals[mode % 4], levels[mode / 4], mode % 4 == 0 ? "OFF" : "ON");
    if (rc == SQLITE_OK) rc = run(db, text);
    if (rc != SQLITE_OK) return refuse(db, rc) == rc ? NULL : db;
    add_vector(db, false);
    record->opened = 1;
    return db;
}

void course_start(struct course *course, int mode) {
    *course = (struct course){.mode = mode, .length = 2};
    for (int i = 0; i <= LEG_MAX; i++) {
        course->models[i] = open_model();
        for (int number = 0; number < i && number < transactions; number++) apply_to_model(course->models[i], number);
    }
}

static void do_one(void *argument) {
    const struct course *course = argument;
    fault_watch(store_folder());
    sqlite3 *db = sql_open(course->mode);
    if (db == NULL) fail("cannot open: %s", record->text);
    int rc = apply(db, course->number, false);
    if (rc != SQLITE_OK) fail("transaction %d: %s (%d)", course->number, sqlite3_errmsg(db), rc);
}

/* The process ends without closing, as one that is killed while it rests. */
void course_advance(struct course *course) {
    struct outcome outcome = process_run(do_one, course, 60);
    if (outcome.status != 0) fail("without any fault: status %d: %s", outcome.status, outcome.text);
    store_advance();
    for (int i = 0; i <= LEG_MAX; i++)
        if (course->number + i < transactions) apply_to_model(course->models[i], course->number + i);
    course->number++;
}

void course_end(struct course *course) {
    for (int i = 0; i <= LEG_MAX; i++) (void)sqlite3_close(course->models[i]);
}
