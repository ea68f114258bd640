/* A MATCH joined with a large ordinary table, written in several ways: how many searches, and how long. */
#include <stdlib.h>
#include <string.h>

#include "bench/sql_cases.h"

enum { OUTER_ROWS = 1000000, ROUNDS = 5 };

#define BEST " ORDER BY score DESC LIMIT 10"

static const struct join {
    const char *label, *sql;
} joins[] = {
    {"no join", "SELECT rowid, score FROM docs WHERE embedding MATCH ?1" BEST},
    {"docs JOIN big",
     "SELECT docs.rowid, note FROM docs JOIN big ON big.id = docs.rowid WHERE docs.embedding MATCH ?1" BEST},
    {"big JOIN docs",
     "SELECT docs.rowid, note FROM big JOIN docs ON big.id = docs.rowid WHERE docs.embedding MATCH ?1" BEST},
    {"big, docs WHERE",
     "SELECT docs.rowid, note FROM big, docs WHERE big.id = docs.rowid AND docs.embedding MATCH ?1" BEST},
    {"docs LEFT JOIN big",
     "SELECT docs.rowid, note FROM docs LEFT JOIN big ON big.id = docs.rowid WHERE docs.embedding MATCH ?1" BEST},
    {"docs JOIN big, 10 % of big pass",
     "SELECT docs.rowid, note FROM docs JOIN big ON big.id = docs.rowid WHERE embedding MATCH ?1 AND weight < .1" BEST},
    {"docs JOIN big, k = 10",
     "SELECT docs.rowid, note FROM docs JOIN big ON big.id = docs.rowid WHERE docs.embedding MATCH ?1 AND k = 10"},
    {"big WHERE id IN (MATCH)",
     "SELECT id, note FROM big WHERE id IN (SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 10)"},
    {"docs WHERE rowid IN (SELECT .. big), 10 %",
     "SELECT rowid, score FROM docs WHERE embedding MATCH ?1 AND rowid IN (SELECT id FROM big WHERE weight < .1)" BEST},
    {"that SELECT .. big alone", "SELECT count(*) FROM big WHERE weight < 0.1 AND ?1 IS NOT NULL"},
    {"docs JOIN big on text, docs.title = big.name",
     "SELECT docs.rowid, note FROM docs JOIN big ON big.name = docs.title WHERE docs.embedding MATCH ?1" BEST},
};

static void make_big(sqlite3 *db) {
    sql_run(db, "CREATE TABLE big(id INTEGER PRIMARY KEY, name TEXT, note TEXT, weight REAL);"
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999999)"
                " INSERT INTO big SELECT i, 'the title of document ' || i, 'note ' || i,"
                " (i * 7919 % 1000003) / 1000003.0 FROM n;"
                "CREATE INDEX big_name ON big(name)");
    if (sql_integer(db, "SELECT count(*) FROM big") != OUTER_ROWS) bench_check(TQ_CORRUPT);
}

/* ---- Many queries in one statement ---- */

/* A sub-select with a LIMIT hides where the queries come from. */
static const struct join together[] = {
    {"FROM queries AS q, docs(q.v, 10)", "SELECT q.id, docs.rowid FROM queries AS q, docs(q.v, 10)"},
    {"one search after another",
     "SELECT q.id, docs.rowid FROM (SELECT id, v FROM queries LIMIT -1 OFFSET 0) AS q, docs(q.v, 10)"},
};

static double ask_together(sqlite3 *db, const char *sql, size_t *rows, uint64_t *sum) {
    sqlite3_stmt *statement = sql_prepare(db, sql);
    double start = sql_seconds_of_thread();
    *rows = 0;
    *sum = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        ++*rows;
        *sum += (uint64_t)sqlite3_column_int64(statement, 0) * 31 + (uint64_t)sqlite3_column_int64(statement, 1);
    }
    (void)sqlite3_finalize(statement);
    return sql_seconds_of_thread() - start;
}

static void print_together(struct sql_cases *c, sqlite3 *db) {
    enum { COUNT = TQ_COUNT(together) };
    double seconds[COUNT][ROUNDS];
    uint64_t sums[COUNT];
    size_t rows[COUNT];
    sql_run(db, "CREATE TEMP TABLE queries(id INTEGER PRIMARY KEY, v BLOB)");
    sqlite3_stmt *insert = sql_prepare(db, "INSERT INTO temp.queries(v) VALUES (?1)");
    for (size_t q = 0; q < c->queries.rows; q++) {
        sql_bind_blob(c, insert, 1, bench_matrix_row(&c->queries, q));
        if (sqlite3_step(insert) != SQLITE_DONE) bench_check(TQ_IO);
        (void)sqlite3_reset(insert);
    }
    (void)sqlite3_finalize(insert);
    for (size_t i = 0; i < COUNT * ROUNDS; i++) {
        seconds[i % COUNT][i / COUNT] = ask_together(db, together[i % COUNT].sql, &rows[i % COUNT], &sums[i % COUNT]);
    }
    if (rows[0] != rows[1] || sums[0] != sums[1]) {
        (void)printf("WRONG: together other rows are found than one by one\n");
        c->failed = true;
    }
    (void)printf("\n### %zu queries in one statement\n\n| statement | queries a second | rows |\n|---|---|---|\n",
                 c->queries.rows);
    for (size_t i = 0; i < COUNT; i++) {
        double middle = bench_median(seconds[i], ROUNDS);
        (void)printf("| %s | %.0f | %zu |\n", together[i].label, (double)c->queries.rows / middle, rows[i]);
    }
}

void sql_cases_join(struct sql_cases *c) {
    enum { COUNT = TQ_COUNT(joins) };
    struct sql_way ways[COUNT] = {0};
    double ms[COUNT][ROUNDS];
    size_t rows[COUNT] = {0};
    sql_make_docs(c);
    sqlite3 *db = sql_open(c, "docs.db");
    make_big(db);
    for (size_t i = 0; i < COUNT * ROUNDS; i++) {
        struct sql_way *way = &ways[i % COUNT];
        int64_t ids[SQL_K];
        way->db = db;
        sqlite3_stmt *statement = sql_prepare(db, joins[i % COUNT].sql);
        (void)sql_ask(c, way, statement, i / COUNT + 1, ids, &rows[i % COUNT]);
        ms[i % COUNT][i / COUNT] = sql_ask(c, way, statement, i / COUNT, ids, &rows[i % COUNT]);
        (void)sql_text(db, "SELECT tq_explain()", way->explain, sizeof way->explain);
        (void)sqlite3_finalize(statement);
    }
    (void)printf("\n### Joins with a table of %d rows\n\n| statement | ms | longest | rows | searches | path |\n"
                 "|---|---|---|---|---|---|\n",
                 OUTER_ROWS);
    for (size_t i = 0; i < COUNT; i++) {
        char searches[40], path[40];
        double middle = bench_median(ms[i], ROUNDS);
        (void)printf("| %s | %.3f | %.3f | %zu | %s | %s |\n", joins[i].label, middle, ms[i][ROUNDS - 1], rows[i],
                     sql_explained(ways[i].explain, "searches", searches, sizeof searches),
                     sql_explained(ways[i].explain, "path", path, sizeof path));
    }
    print_together(c, db);
    (void)sqlite3_close(db);
    (void)fflush(stdout);
}
