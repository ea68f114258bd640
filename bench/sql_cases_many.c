/* More rows than ten, pages, ranges, columns; and the table without a search: look-ups, scans, counts. */
#include <string.h>

#include "bench/sql_cases.h"

#define MATCH(columns) "SELECT " columns " FROM docs WHERE embedding MATCH ?1"
#define BEST " ORDER BY score DESC LIMIT "

void sql_cases_many(struct sql_cases *c) {
    sql_make_docs(c);
    sqlite3 *db = sql_open(c, "docs.db");
    struct sql_way ways[] = {
        {.label = "LIMIT 10, rowid", .sql = MATCH("rowid") BEST "10"},
        {.label = "LIMIT 10, rowid and score", .sql = MATCH("rowid, score") BEST "10"},
        {.label = "LIMIT 10, rowid and title", .sql = MATCH("rowid, title") BEST "10"},
        {.label = "LIMIT 10, all columns and the vector", .sql = MATCH("rowid, *") BEST "10"},
        {.label = "LIMIT 100, rowid", .sql = MATCH("rowid") BEST "100", .k = 100},
        {.label = "LIMIT 100, rowid and title", .sql = MATCH("rowid, title") BEST "100", .k = 100},
        {.label = "LIMIT 1000, rowid", .sql = MATCH("rowid") BEST "1000", .k = 1000},
        {.label = "LIMIT 1000, rowid and title", .sql = MATCH("rowid, title") BEST "1000", .k = 1000},
        {.label = "LIMIT 10000, rowid", .sql = MATCH("rowid") BEST "10000", .k = 10000},
        {.label = "LIMIT 10000, rowid and title", .sql = MATCH("rowid, title") BEST "10000", .k = 10000},
        {.label = "k = 100", .sql = MATCH("rowid") " AND k = 100", .k = 100},
        {.label = "k = 1000", .sql = MATCH("rowid") " AND k = 1000", .k = 1000},
        {.label = "k = 10000", .sql = MATCH("rowid") " AND k = 10000", .k = 10000},
        {.label = "no LIMIT, no k, 10 rows read",
         .sql = "SELECT rowid FROM (" MATCH("rowid") " ORDER BY score DESC) LIMIT 10"},
        {.label = "LIMIT 10 OFFSET 100", .sql = MATCH("rowid") BEST "10 OFFSET 100", .k = 10},
        {.label = "LIMIT 10 OFFSET 1000", .sql = MATCH("rowid") BEST "10 OFFSET 1000", .k = 10},
        {.label = "LIMIT 10 OFFSET 10000", .sql = MATCH("rowid") BEST "10 OFFSET 10000", .k = 10},
        {.label = "score >= that of rank 10", .sql = MATCH("rowid") " AND score >= ?2", .rank = 1, .k = 10},
        {.label = "score >= that of rank 100", .sql = MATCH("rowid") " AND score >= ?2", .rank = 2, .k = 100},
        {.label = "score >= that of rank 1000", .sql = MATCH("rowid") " AND score >= ?2", .rank = 3, .k = 1000},
        {.label = "score >= that of rank 100, LIMIT 10", .sql = MATCH("rowid") " AND score >= ?2" BEST "10", .rank = 2},
        {.label = "streamed: length(title) > 27, LIMIT 10",
         .sql = MATCH("rowid") " AND length(title) > 27" BEST "10",
         .k = 10},
        {.label = "label = 10 %, LIMIT 100", .sql = MATCH("rowid") " AND label = ?2" BEST "100", .group = 2, .k = 100},
        {.label = "label = 10 %, LIMIT 1000",
         .sql = MATCH("rowid") " AND label = ?2" BEST "1000",
         .group = 2,
         .k = 1000},
    };
    for (size_t i = 0; i < TQ_COUNT(ways); i++) {
        ways[i].db = db;
        ways[i].most = ways[i].k >= 10000 ? 3 : 0;
    }
    sql_ways_run(c, ways, TQ_COUNT(ways));
    sql_ways_print("More rows, pages, ranges, columns", "Recall where ten rows are found.", "times the first", ways,
                   TQ_COUNT(ways));
    (void)sqlite3_close(db);
}

/* ---- Without a search ---- */

/* Rows a second of processor time; ?1 runs over the rows if the statement has it. */
static double rows_a_second(const struct sql_cases *c, sqlite3 *db, const char *sql, size_t statements, size_t *rows) {
    sqlite3_stmt *statement = sql_prepare(db, sql);
    uint32_t *order = NULL;
    bench_check(bench_permutation(c->base.rows, 5, &order));
    *rows = 0;
    double start = sql_seconds_of_thread();
    for (size_t i = 0; i < statements; i++) {
        if (sqlite3_bind_parameter_count(statement) > 0) (void)sqlite3_bind_int64(statement, 1, order[i]);
        int rc;
        while ((rc = sqlite3_step(statement)) == SQLITE_ROW) ++*rows;
        if (rc != SQLITE_DONE) bench_check_sql(db, rc);
        (void)sqlite3_reset(statement);
    }
    double seconds = sql_seconds_of_thread() - start;
    (void)sqlite3_finalize(statement);
    tq_free(order);
    return seconds;
}

struct reading {
    const char *label, *ours, *plain; /* with %s for the table */
    size_t statements;
};

static void print_readings(const struct sql_cases *c, sqlite3 *db, const struct reading *readings, size_t count) {
    enum { ROUNDS = 5 };
    for (size_t i = 0; i < count; i++) {
        double ours[ROUNDS], plain[ROUNDS];
        size_t rows = 0, rows_plain = 0, statements = readings[i].statements;
        for (size_t round = 0; round < ROUNDS; round++) {
            ours[round] = rows_a_second(c, db, readings[i].ours, statements, &rows);
            plain[round] = rows_a_second(c, db, readings[i].plain, statements, &rows_plain);
        }
        double mine = bench_median(ours, ROUNDS), theirs = bench_median(plain, ROUNDS), each = (double)statements;
        (void)printf("| %s | %.1f | %.1f | %.2f | %zu%s |\n", readings[i].label, 1e6 * mine / each, 1e6 * theirs / each,
                     mine / theirs, rows / statements, rows == rows_plain ? "" : ", NOT THE SAME");
    }
}

void sql_cases_look_up(struct sql_cases *c) {
    static const struct reading readings[] = {
        {"title by rowid", "SELECT title FROM docs WHERE rowid = ?1", "SELECT title FROM ordinary WHERE id = ?1",
         20000},
        {"vector by rowid", "SELECT embedding FROM docs WHERE rowid = ?1", "SELECT v FROM ordinary WHERE id = ?1",
         20000},
        {"rowid by text key", "SELECT rowid FROM keyed WHERE key = 'key-' || ?1",
         "SELECT id FROM ordinary WHERE key = 'key-' || ?1", 20000},
        {"vector by text key", "SELECT embedding FROM keyed WHERE key = 'key-' || ?1",
         "SELECT v FROM ordinary WHERE key = 'key-' || ?1", 20000},
        {"count(*) of 10 %, indexed", "SELECT count(*) FROM docs WHERE label = 'l2'",
         "SELECT count(*) FROM ordinary WHERE label = 'l2'", 5},
        {"count(*) of 10 %, not indexed", "SELECT count(*) FROM docs WHERE plain = 'l2'",
         "SELECT count(*) FROM ordinary WHERE plain = 'l2'", 3},
        {"count(*)", "SELECT count(*) FROM docs", "SELECT count(*) FROM ordinary", 3},
        {"scan: rowid, title, cost", "SELECT rowid, title, cost FROM docs", "SELECT id, title, cost FROM ordinary", 1},
        {"scan: rowid, vector", "SELECT rowid, embedding FROM docs", "SELECT id, v FROM ordinary", 1},
        {"scan: rowid, vector, title", "SELECT rowid, embedding, title FROM docs", "SELECT id, v, title FROM ordinary",
         1},
        {"label, count(*) GROUP BY label", "SELECT label, count(*) FROM docs GROUP BY label",
         "SELECT label, count(*) FROM ordinary GROUP BY label", 1},
        {"ORDER BY price LIMIT 10, indexed", "SELECT rowid FROM docs ORDER BY price LIMIT 10",
         "SELECT id FROM ordinary ORDER BY price LIMIT 10", 100},
        {"rowid range, 1,000 rows", "SELECT title FROM docs WHERE rowid BETWEEN ?1 AND ?1 + 999",
         "SELECT title FROM ordinary WHERE id BETWEEN ?1 AND ?1 + 999", 50},
    };
    char sql[200];
    sql_make_docs(c);
    sqlite3 *db = sql_open(c, "docs.db");
    (void)snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE keyed USING tq(key TEXT PRIMARY KEY, embedding FLOAT[%u])",
                   c->base.dim);
    sql_run(db, sql);
    sql_run(db,
            "INSERT INTO keyed(rowid, key, embedding) SELECT rowid, 'key-' || rowid, embedding FROM docs;"
            "CREATE TABLE ordinary(id INTEGER PRIMARY KEY, key TEXT UNIQUE, v BLOB, label TEXT, plain TEXT,"
            " price REAL, cost REAL, title TEXT);"
            "INSERT INTO ordinary SELECT rowid, 'key-' || rowid, embedding, label, plain, price, cost, title FROM docs;"
            "CREATE INDEX ordinary_label ON ordinary(label); CREATE INDEX ordinary_price ON ordinary(price)");
    (void)printf(
        "\n### Without a search\n\nMicroseconds of processor time a statement, beside an ordinary table with the "
        "same rows, the vector in it.\n\n"
        "| statement | us | us, ordinary table | times | rows |\n|---|---|---|---|---|\n");
    print_readings(c, db, readings, TQ_COUNT(readings));
    sql_run(db, "DROP TABLE ordinary");
    (void)sqlite3_close(db);
    (void)fflush(stdout);
}
