/* What kill.py --sql kills, and what it checks afterwards: a table with everything it can have, changed through SQL.
 *
 *   sql_work work LIBRARY DB MODE PLAN SEED
 *       transaction after transaction; the number of each is printed once committed
 *   sql_work check LIBRARY DB MODE PLAN SEED ACKED LOST
 *       the tables are as after the first ACKED transactions, or one more, or, if power was lost, up to LOST fewer;
 *       every search finds what it must; then they are written to again and optimized, and nothing is left behind
 *   sql_work full LIBRARY DB MODE PLAN SEED
 *       writes may fail for want of room: each transaction happens whole, or fails with SQLITE_FULL and not at all;
 *       how many failed is printed
 *
 * MODE: 0 WAL and synchronous=FULL, 1 WAL and NORMAL, 2 DELETE and FULL. Tables,
 * transactions and checks are those of sql_model.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/sql_model.h"

#define ROOM_TRIES 20000

static sqlite3 *open_store(const char *library, const char *path, int mode) {
    /* Without cache_spill: where a transaction has outgrown the cache, rewritten pages that it had spilled, and is then
     * rolled back to a savepoint older than these, SQLite (3.34, 3.40) writes the frames of its COMMIT without their
     * salts; a process that dies before the checkpoint is through leaves a file that is malformed. docs/sql.md. */
    static const char *const modes[] = {
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=150; PRAGMA cache_spill=OFF;",
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=150; PRAGMA cache_spill=OFF;",
        "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;"};
    sqlite3 *db = NULL;
    char *error = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) fail("open %s: %s", path, sqlite3_errmsg(db));
    (void)sqlite3_enable_load_extension(db, 1);
    if (sqlite3_load_extension(db, library, NULL, &error) != SQLITE_OK) fail("%s: %s", library, error);
    must(db, modes[mode]);
    add_vector(db, false);
    return db;
}

static void acknowledge(int done) {
    char text[32];
    int size = snprintf(text, sizeof text, "%d\n", done);
    if (write(1, text, (size_t)size) != size) exit(3);
}

static void work(sqlite3 *db) {
    for (int number = 0; number < transactions; number++) {
        int rc = apply(db, number, false);
        if (rc != SQLITE_OK) fail("transaction %d '%c': %s (%d)", number, plan[number], sqlite3_errmsg(db), rc);
        acknowledge(number + 1);
    }
}

/* The first of the states that may be found: `lost` transactions that have changed something may be missing. */
static int first_state(int acked, int lost) {
    int from[PLAN_MAX + 1], changed = 0;
    if (lost == 0) return acked;
    sqlite3 *model = open_model();
    from[0] = 0;
    for (int number = 0; number < acked; number++) {
        int before = sqlite3_total_changes(model);
        apply_to_model(model, number);
        bool makes_none = strchr("RNo", plan[number]) != NULL, makes_some = strchr("CcnX", plan[number]) != NULL;
        if (makes_some || (!makes_none && sqlite3_total_changes(model) != before)) from[++changed] = number + 1;
    }
    (void)sqlite3_close(model);
    return lost < changed ? from[changed - lost] : 0;
}

/* The model of what the database holds: after `acked` transactions, or one more, or fewer. */
static sqlite3 *find_state(sqlite3 *db, int acked, int lost) {
    sqlite3 *model = open_model();
    char first[sizeof why] = "";
    int from = first_state(acked, lost);
    for (int number = 0;; number++) {
        if (number >= from && same_tables(db, model)) return model;
        if (number == acked) memcpy(first, why, sizeof first);
        if (number > acked || number == transactions) break;
        apply_to_model(model, number);
    }
    fail("not the state after %d transactions (%s), nor that after one more ('%c'): %s", acked, first,
         acked < transactions ? plan[acked] : '-', why);
}
/* Writes are what brings room back. */
static void wait_for_room(sqlite3 *db) {
    int rc = SQLITE_FULL;
    for (int i = 0; i < ROOM_TRIES && rc == SQLITE_FULL; i++) {
        rc = run(db, "BEGIN; CREATE TABLE room(a); DROP TABLE room; COMMIT;");
        roll_back(db);
    }
    if (rc != SQLITE_OK) fail("there should be room again: %s (%d)", sqlite3_errmsg(db), rc);
}

/* What failed for want of room never was. */
static void work_full(sqlite3 *db, const char *path) {
    sqlite3 *model = open_model();
    int failed = 0;
    for (int number = 0; number < transactions; number++) {
        int rc = apply(db, number, false);
        /* SQLite's shared memory beside a WAL, which had no room to grow */
        bool in_sqlite = rc == SQLITE_IOERR && sqlite3_extended_errcode(db) == SQLITE_IOERR_SHMSIZE;
        if (rc == SQLITE_FULL || in_sqlite) {
            failed++;
        } else {
            int wanted = apply(model, number, true);
            if (rc != wanted)
                fail("transaction %d '%c': %s (%d), not %d", number, plan[number], sqlite3_errmsg(db), rc, wanted);
        }
        roll_back(db);
        roll_back(model);
        if (rc != SQLITE_OK && !same_tables(db, model))
            fail("transaction %d '%c', undone: %s", number, plan[number], why);
    }
    wait_for_room(db);
    if (!same_tables(db, model)) fail("with room again: %s", why);
    check_end(db, model, path);
    acknowledge(failed);
}

int main(int argc, char **argv) {
    if (argc < 7) return 2;
    int mode = atoi(argv[4]);
    choose_plan(atoi(argv[5]));
    seed = strtoull(argv[6], NULL, 10);
    if (argc == 7 && strcmp(argv[1], "work") == 0) {
        sqlite3 *db = open_store(argv[2], argv[3], mode);
        work(db);
        return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
    }
    sqlite3 *db = open_store(argv[2], argv[3], mode);
    if (argc == 7 && strcmp(argv[1], "full") == 0) {
        unnamed_may_stay = true;
        work_full(db, argv[3]);
        return 0;
    }
    if (argc != 9) return 2;
    unnamed_may_stay = atoi(argv[7]) < transactions;
    check_end(db, find_state(db, atoi(argv[7]), atoi(argv[8])), argv[3]);
    return 0;
}
