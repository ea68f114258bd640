/* Inserting with metadata, from an ordinary table too, and UPDATE of metadata. */
#include <string.h>

#include "bench/sql_cases.h"

/* ---- INSERT ---- */

static const struct insert_case {
    const char *label, *columns, *sql;
    bool metadata, from_table;
} insert_cases[] = {
    {"VALUES, vector only", "embedding FLOAT[%u]", "INSERT INTO t(rowid, embedding) VALUES(?1, ?2)", false, false},
    {"VALUES, with TEXT INDEXED and REAL", "embedding FLOAT[%u], a TEXT INDEXED, b REAL",
     "INSERT INTO t(rowid, embedding, a, b) VALUES(?1, ?2, ?3, ?4)", true, false},
    {"VALUES, with TEXT and REAL", "embedding FLOAT[%u], a TEXT, b REAL",
     "INSERT INTO t(rowid, embedding, a, b) VALUES(?1, ?2, ?3, ?4)", true, false},
    {"VALUES, no rowid, vector only", "embedding FLOAT[%u]", "INSERT INTO t(embedding) VALUES(?2)", false, false},
    {"VALUES, text key", "key TEXT PRIMARY KEY, embedding FLOAT[%u]",
     "INSERT INTO t(key, embedding) VALUES('key-' || ?1, ?2)", false, false},
    {"SELECT from a table, vector only", "embedding FLOAT[%u]",
     "INSERT INTO t(rowid, embedding) SELECT id, v FROM source", false, true},
    {"SELECT from a table, with TEXT INDEXED and REAL", "embedding FLOAT[%u], a TEXT INDEXED, b REAL",
     "INSERT INTO t(rowid, embedding, a, b) SELECT id, v, a, b FROM source", true, true},
    {"SELECT from a table, with TEXT and REAL", "embedding FLOAT[%u], a TEXT, b REAL",
     "INSERT INTO t(rowid, embedding, a, b) SELECT id, v, a, b FROM source", true, true},
};

static void make_source(const struct sql_cases *c, const char *name) {
    sqlite3 *db = sql_open(c, name);
    sql_run(db, "CREATE TABLE source(id INTEGER PRIMARY KEY, v BLOB, a TEXT, b REAL)");
    (void)sql_insert_all(c, db, "INSERT INTO source VALUES(?1, ?2, ?3, ?4)", sql_bind_metadata);
    (void)sqlite3_close(db);
}

static struct sql_seconds insert_once(const struct sql_cases *c, const struct insert_case *how) {
    char columns[200], sql[300];
    sqlite3 *db = sql_open(c, "source.db");
    (void)snprintf(columns, sizeof columns, how->columns, c->base.dim);
    (void)snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE t USING tq(%s)", columns);
    sql_run(db, sql);
    struct sql_seconds taken;
    if (how->from_table) {
        double start = bench_seconds(), processor = sql_seconds_of_thread();
        sql_run(db, how->sql);
        taken = (struct sql_seconds){bench_seconds() - start, sql_seconds_of_thread() - processor};
    } else {
        taken = sql_insert_all(c, db, how->sql, how->metadata ? sql_bind_metadata : sql_bind_vector);
    }
    if (sql_integer(db, "SELECT count(*) FROM t") != (int64_t)c->base.rows) bench_check(TQ_CORRUPT);
    sql_run(db, "DROP TABLE t");
    (void)sqlite3_close(db);
    return taken;
}

void sql_cases_insert(struct sql_cases *c) {
    enum { COUNT = TQ_COUNT(insert_cases), ROUNDS = 5 };
    double wall[COUNT][ROUNDS], processor[COUNT][ROUNDS];
    make_source(c, "source.db");
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            struct sql_seconds taken = insert_once(c, &insert_cases[(i + round) % COUNT]);
            wall[(i + round) % COUNT][round] = taken.wall;
            processor[(i + round) % COUNT][round] = taken.processor;
        }
    }
    (void)printf(
        "\n### INSERT, all rows in one transaction\n\nMedian, and the fastest, of %d rounds; WAL. The commit, which "
        "makes the codes, is in it.\n\n"
        "| statement | rows/s | fastest | rows/s of processor time |\n|---|---|---|---|\n",
        ROUNDS);
    for (size_t i = 0; i < COUNT; i++) {
        double rows = (double)c->base.rows, middle = bench_median(wall[i], ROUNDS);
        (void)printf("| %s | %.0f | %.0f | %.0f |\n", insert_cases[i].label, rows / middle, rows / wall[i][0],
                     rows / bench_median(processor[i], ROUNDS));
    }
    (void)fflush(stdout);
}

/* ---- UPDATE ---- */

enum { UPDATES = 20000 };

/* ?1 the rowid, ?2 and ?3 another row's label and price. */
static const struct {
    const char *label, *sql;
} updates[] = {
    {"one column, not indexed", "UPDATE docs SET cost = ?3 WHERE rowid = ?1"},
    {"one column, indexed", "UPDATE docs SET label = ?2 WHERE rowid = ?1"},
    {"two columns, one of them indexed", "UPDATE docs SET label = ?2, cost = ?3 WHERE rowid = ?1"},
    {"ordinary table, one column, not indexed", "UPDATE ordinary SET cost = ?3 WHERE id = ?1"},
    {"ordinary table, one column, indexed", "UPDATE ordinary SET label = ?2 WHERE id = ?1"},
    {"ordinary table, two columns", "UPDATE ordinary SET label = ?2, cost = ?3 WHERE id = ?1"},
};

/* shift: whose values a row is given; another one every time, or nothing would change. */
static struct sql_seconds update_all(const struct sql_cases *c, sqlite3 *db, const char *sql, const uint32_t *rows,
                                     size_t shift) {
    sqlite3_stmt *update = sql_prepare(db, sql);
    char text[8];
    double start = bench_seconds(), processor = sql_seconds_of_thread();
    sql_run(db, "BEGIN");
    for (size_t i = 0; i < UPDATES; i++) {
        (void)sqlite3_bind_int64(update, 1, rows[i]);
        sql_label(c, rows[(i + shift) % UPDATES], text);
        (void)sqlite3_bind_text(update, 2, text, -1, SQLITE_TRANSIENT);
        (void)sqlite3_bind_double(update, 3, c->prices[rows[(i + shift) % UPDATES]]);
        bench_check_sql(db, sqlite3_step(update));
        bench_check_sql(db, sqlite3_reset(update));
    }
    sql_run(db, "COMMIT");
    (void)sqlite3_finalize(update);
    return (struct sql_seconds){bench_seconds() - start, sql_seconds_of_thread() - processor};
}

static const char *state_of(sqlite3 *db, char *text, size_t size) {
    return sql_text(
        db,
        "SELECT tq_info('docs') || (SELECT count(*) FROM docs_log) || ' log rows, ' || (SELECT count(*) FROM"
        " docs_seg) || ' segments, version ' || (SELECT max(version) FROM docs_state)",
        text, size);
}

void sql_cases_update(struct sql_cases *c) {
    enum { COUNT = TQ_COUNT(updates), ROUNDS = 5 };
    double wall[COUNT][ROUNDS], processor[COUNT][ROUNDS];
    char before[3000], after[3000];
    uint32_t *rows = NULL;
    sql_make_docs(c);
    bench_check(bench_permutation(c->base.rows, 77, &rows));
    sqlite3 *db = sql_open(c, "docs.db");
    sql_run(db, "CREATE TABLE ordinary(id INTEGER PRIMARY KEY, label TEXT, cost REAL, title TEXT);"
                "INSERT INTO ordinary SELECT rowid, label, cost, title FROM docs;"
                "CREATE INDEX ordinary_label ON ordinary(label)");
    (void)state_of(db, before, sizeof before);
    for (size_t i = 0; i < COUNT * ROUNDS; i++) {
        size_t round = i / COUNT, which = (i + round) % COUNT, first = round * UPDATES % (c->base.rows - UPDATES);
        struct sql_seconds taken = update_all(c, db, updates[which].sql, rows + first, i + 1);
        wall[which][round] = taken.wall;
        processor[which][round] = taken.processor;
    }
    (void)state_of(db, after, sizeof after);
    bool same = strcmp(before, after) == 0;
    (void)printf(
        "\n### UPDATE of metadata, %d rows by rowid in one transaction\n\nMedian of %d rounds; WAL.\n\n| statement | "
        "rows/s | fastest | of processor time |\n|---|---|---|---|\n",
        UPDATES, ROUNDS);
    for (size_t i = 0; i < COUNT; i++) {
        double middle = bench_median(wall[i], ROUNDS);
        (void)printf("| %s | %.0f | %.0f | %.0f |\n", updates[i].label, UPDATES / middle, UPDATES / wall[i][0],
                     UPDATES / bench_median(processor[i], ROUNDS));
    }
    (void)printf("\nRows in the log, segments, version and tq_info() before and after: %s.\n",
                 same ? "the same" : "NOT THE SAME");
    if (!same) (void)printf("\n    %s\n    %s\n", before, after);
    c->failed = c->failed || !same;
    (void)sqlite3_close(db);
    tq_free(rows);
    (void)fflush(stdout);
}
