/* A table in partitions: one of them, all of them, and what 100 and 1,000 cost; before and after 'optimize', since
 * small partitions stay in the log until then. */
#include <string.h>

#include "bench/common/report.h"
#include "bench/sql_cases.h"

#define BEST " ORDER BY score DESC LIMIT 10"
#define ALL "SELECT rowid FROM docs WHERE embedding MATCH ?1" BEST
#define ONE "SELECT rowid FROM docs WHERE embedding MATCH ?1 AND tenant = ?2" BEST

static int32_t *tenants; /* of each row */

static void bind_tenant(const struct sql_cases *c, sqlite3_stmt *statement, size_t row) {
    sql_bind_vector(c, statement, row);
    (void)sqlite3_bind_int(statement, 3, tenants[row]);
}

static double allotted(const struct sql_cases *c, const char *name) {
    char file[4400], folder[4400];
    (void)snprintf(file, sizeof file, "%s/%s", c->folder, name);
    (void)snprintf(folder, sizeof folder, "%s/%s-tq", c->folder, name);
    return bench_allotted_bytes(file) + bench_allotted_bytes(folder);
}

static void fill(const struct sql_cases *c, const char *name, const char *kind, bool optimize) {
    char sql[200];
    double seconds = 0;
    sqlite3 *db = sql_open(c, name);
    (void)snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[%u], tenant INTEGER %s)",
                   c->base.dim, kind);
    sql_run(db, sql);
    struct sql_seconds taken = sql_insert_all(c, db, "INSERT INTO docs(rowid, embedding, tenant) VALUES(?1, ?2, ?3)",
                                              bind_tenant);
    if (optimize) {
        double start = bench_seconds();
        sql_run(db, "INSERT INTO docs(docs) VALUES ('optimize')");
        seconds = bench_seconds() - start;
    }
    int64_t log = sql_integer(db, "SELECT count(*) FROM docs_log"),
            segments = sql_integer(db, "SELECT count(*) FROM docs_seg");
    (void)sqlite3_close(db);
    (void)printf("| %s%s | %.0f | %.2f | %lld | %lld | %.0f |\n", kind, optimize ? ", optimized" : "",
                 (double)c->base.rows / taken.wall, seconds, (long long)log, (long long)segments,
                 allotted(c, name) / 1048576);
}

/* In a new connection every round: one tenant's first query, its second, another tenant's, all tenants'. */
static void first_uses(struct sql_cases *c, const char *name, const char *what, int32_t count) {
    enum { STEPS = 6 };
    double *ms = tq_alloc_array(STEPS * c->options.rounds, sizeof *ms);
    if (ms == NULL) bench_check(TQ_NOMEM);
    for (size_t round = 0; round < c->options.rounds; round++) {
        struct sql_way all = {.db = sql_open(c, name)}, one = {.db = all.db, .as_number = true}, next = one;
        one.group = (int32_t)(2 * round) % count;
        next.group = (int32_t)(2 * round + 1) % count;
        sqlite3_stmt *some = sql_prepare(all.db, ONE), *every = sql_prepare(all.db, ALL);
        const struct sql_way *ways[STEPS] = {&one, &one, &next, &all, &all, &one};
        sqlite3_stmt *statements[STEPS] = {some, some, some, every, every, some};
        for (size_t step = 0; step < STEPS; step++) {
            int64_t ids[SQL_K];
            size_t found, query = (STEPS * round + step) % c->queries.rows;
            ms[step * c->options.rounds + round] = sql_ask(c, ways[step], statements[step], query, ids, &found);
        }
        (void)sqlite3_finalize(some);
        (void)sqlite3_finalize(every);
        (void)sqlite3_close(all.db);
    }
    (void)printf("| %s |", what);
    for (size_t step = 0; step < STEPS; step++)
        (void)printf(" %.3f |", bench_median(ms + step * c->options.rounds, c->options.rounds));
    (void)printf("\n");
    tq_free(ms);
}

static void make_tenants(const struct sql_cases *c, int32_t count) {
    uint32_t *order = NULL;
    bench_check(bench_permutation(c->base.rows, (uint64_t)count, &order));
    for (size_t row = 0; row < c->base.rows; row++) tenants[row] = (int32_t)(order[row] % (uint32_t)count);
    tq_free(order);
}

static void of_count(struct sql_cases *c, int32_t count) {
    char log[40], sealed[40], index[40], title[80];
    (void)snprintf(log, sizeof log, "log%d.db", count);
    (void)snprintf(sealed, sizeof sealed, "sealed%d.db", count);
    (void)snprintf(index, sizeof index, "index%d.db", count);
    (void)snprintf(title, sizeof title, "%d partitions", count);
    make_tenants(c, count);
    (void)printf("\n### %s\n\nFilled in one transaction, rows in random order of tenants. MiB: on disk, database and "
                 "folder.\n\n"
                 "| tenant INTEGER .. | rows/s | optimize s | log rows | segments | MiB |\n|---|---|---|---|---|---|\n",
                 title);
    fill(c, index, "INDEXED", false);
    fill(c, log, "PARTITION KEY", false);
    fill(c, sealed, "PARTITION KEY", true);
    (void)printf("\nA new connection, ms:\n\n| table | a tenant | again | another | all | again | the first tenant |\n"
                 "|---|---|---|---|---|---|---|\n");
    first_uses(c, index, "index", count);
    first_uses(c, log, "partitions", count);
    first_uses(c, sealed, "partitions, optimized", count);
    sqlite3 *in_log = sql_open(c, log), *in_segments = sql_open(c, sealed), *none = sql_open(c, index);
    struct sql_way ways[] = {
        {.label = "all rows, index", .db = none, .sql = ALL},
        {.label = "all rows, partitions", .db = in_log, .sql = ALL},
        {.label = "all rows, partitions, optimized", .db = in_segments, .sql = ALL},
        {.label = "one tenant, index", .db = none, .group = 7},
        {.label = "one tenant, partitions", .db = in_log, .group = 7},
        {.label = "one tenant, partitions, optimized", .db = in_segments, .group = 7},
        {.label = "another tenant every time, index", .db = none, .group = -1},
        {.label = "another tenant every time, partitions", .db = in_log, .group = -1},
        {.label = "another tenant every time, partitions, optimized", .db = in_segments, .group = -1},
    };
    for (size_t i = 3; i < TQ_COUNT(ways); i++) {
        (void)snprintf(ways[i].sql, sizeof ways[i].sql, "%s", ONE);
        ways[i].groups = tenants;
        ways[i].group_count = count;
        ways[i].as_number = true;
    }
    sql_ways_run(c, ways, TQ_COUNT(ways));
    (void)snprintf(title, sizeof title, "%d partitions, used again and again", count);
    sql_ways_print(title, "In turns.", "times the first", ways, TQ_COUNT(ways));
    (void)sqlite3_close(in_log);
    (void)sqlite3_close(in_segments);
    (void)sqlite3_close(none);
}

void sql_cases_partition(struct sql_cases *c) {
    tenants = tq_alloc_array(c->base.rows, sizeof *tenants);
    if (tenants == NULL) bench_check(TQ_NOMEM);
    of_count(c, 100);
    of_count(c, 1000);
    tq_free(tenants);
}
