/* What SQL costs: inserting, asking in three ways beside the C call, and single-row commits beside a plain SQLite row
 * with the same blob. The extension is linked in: a store may be open in one copy of the library only.
 * Usage: through_sql BASE.npy QUERY.npy [commits] */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/common/matrix.h"
#include "bench/common/program.h"
#include "bench/common/report.h"
#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"

enum { K = 10 };

/* Median, and the mean beside it. */
static double median(double *values, size_t count, double *mean) {
    *mean = 0;
    for (size_t i = 0; i < count; i++) *mean += values[i] / (double)count;
    return bench_median(values, count);
}

static sqlite3 *open_database(const char *file, const char *pragmas) {
    sqlite3 *db = NULL;
    bench_check_sql(db, sqlite3_open(file, &db));
    bench_check_sql(db, sqlite3_exec(db, pragmas, NULL, NULL, NULL));
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    bench_check_sql(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    return statement;
}

static void put(sqlite3 *db, sqlite3_stmt *statement, int64_t id, const float *vector, uint32_t dim) {
    bench_check_sql(db, sqlite3_bind_int64(statement, 1, id));
    bench_check_sql(db, sqlite3_bind_blob(statement, 2, vector, (int)(dim * sizeof *vector), SQLITE_STATIC));
    bench_check_sql(db, sqlite3_step(statement));
    bench_check_sql(db, sqlite3_reset(statement));
}

static void create(sqlite3 *db, uint32_t dim) {
    char sql[200];
    (void)snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE words USING tq(embedding FLOAT[%u])", dim);
    bench_check_sql(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static void insert_all(sqlite3 *db, const struct bench_matrix *base) {
    create(db, base->dim);
    sqlite3_stmt *insert = prepare(db, "INSERT INTO words(rowid, embedding) VALUES(?, ?)");
    double start = bench_seconds();
    bench_check_sql(db, sqlite3_exec(db, "BEGIN", NULL, NULL, NULL));
    for (size_t i = 0; i < base->rows; i++) put(db, insert, (int64_t)i, bench_matrix_row(base, i), base->dim);
    bench_check_sql(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    double seconds = bench_seconds() - start;
    (void)sqlite3_finalize(insert);
    printf("insert, one transaction: %zu rows in %.2f s, %.0f rows/s\n", base->rows, seconds,
           (double)base->rows / seconds);
}

/* Milliseconds of each query; the ids found. */
static void ask(sqlite3 *db, const char *sql, const struct bench_matrix *queries, size_t count, double *ms,
                int64_t *ids) {
    sqlite3_stmt *statement = prepare(db, sql);
    for (size_t q = 0; q < count; q++) {
        double start = bench_seconds();
        bench_check_sql(db, sqlite3_bind_blob(statement, 1, bench_matrix_row(queries, q),
                                              (int)(queries->dim * sizeof(float)), SQLITE_STATIC));
        for (size_t i = 0; i < K && sqlite3_step(statement) == SQLITE_ROW; i++) {
            ids[q * K + i] = sqlite3_column_int64(statement, 0);
        }
        bench_check_sql(db, sqlite3_reset(statement));
        ms[q] = 1e3 * (bench_seconds() - start);
    }
    (void)sqlite3_finalize(statement);
}

static void ask_c(const char *database, const struct bench_matrix *queries, size_t count, double *ms, int64_t *ids) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    bench_check(tq_open(database, 0, &store));
    bench_check(tq_index_open(store, "words", &index));
    for (size_t q = 0; q < count; q++) {
        struct tq_hit hits[K];
        size_t found = 0;
        double start = bench_seconds();
        bench_check(tq_search(index, bench_matrix_row(queries, q), 1, K, NULL, hits, &found, NULL));
        ms[q] = 1e3 * (bench_seconds() - start);
        for (size_t i = 0; i < found; i++) ids[q * K + i] = hits[i].id;
    }
    tq_index_close(index);
    tq_close(store);
}

static void report(const char *what, double *ms, size_t count, const int64_t *ids, const int64_t *truth) {
    double mean = 0, middle = median(ms, count, &mean);
    size_t same = 0;
    for (size_t i = 0; i < count * K; i++) same += ids[i] == truth[i];
    printf("%-34s median %.3f ms, mean %.3f; %.4f of the ids as by the scan\n", what, middle, mean,
           (double)same / (double)(count * K));
}

static void queries_in_turn(sqlite3 *db, const char *database, const struct bench_matrix *queries, size_t count) {
    static const char plain[] = "SELECT rowid FROM words ORDER BY tq_cosine(embedding, ?1) DESC LIMIT 10";
    double *ms = tq_alloc_array(count, sizeof *ms);
    int64_t *truth = tq_alloc_zero(count * K * sizeof *truth), *ids = tq_alloc_zero(count * K * sizeof *ids);
    if (ms == NULL || truth == NULL || ids == NULL) exit(1);
    ask(db, "SELECT rowid FROM words WHERE rowid >= 0 ORDER BY tq_cosine(embedding, ?1) DESC LIMIT 10", queries, count,
        ms, truth);
    report("ORDER BY, every row (a WHERE)", ms, count, truth, truth);
    ask_c(database, queries, count, ms, ids);
    report("C, tq_search", ms, count, ids, truth);
    ask(db, "SELECT rowid FROM words WHERE embedding MATCH ?1 ORDER BY score DESC LIMIT 10", queries, count, ms, ids);
    report("MATCH", ms, count, ids, truth);
    ask(db, plain, queries, count, ms, ids);
    report("ORDER BY tq_cosine, recognised", ms, count, ids, truth);
    ask(db, "SELECT rowid FROM words ORDER BY tq_ip(embedding, ?1) DESC LIMIT 10", queries, count, ms, ids);
    report("ORDER BY tq_ip, recognised", ms, count, ids, ids);
    tq_free(ms);
    tq_free(ids);
    tq_free(truth);
}

static void single_rows(const char *folder, const char *journal, const char *synchronous,
                        const struct bench_matrix *base, size_t commits) {
    char ours_file[4400], plain_file[4400], pragmas[200];
    (void)snprintf(ours_file, sizeof ours_file, "%s/ours-%s-%s.db", folder, journal, synchronous);
    (void)snprintf(plain_file, sizeof plain_file, "%s/plain-%s-%s.db", folder, journal, synchronous);
    (void)snprintf(pragmas, sizeof pragmas, "PRAGMA journal_mode=%s; PRAGMA synchronous=%s", journal, synchronous);
    sqlite3 *ours = open_database(ours_file, pragmas), *plain = open_database(plain_file, pragmas);
    create(ours, base->dim);
    bench_check_sql(plain, sqlite3_exec(plain, "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)", NULL, NULL, NULL));
    sqlite3_stmt *insert = prepare(ours, "INSERT INTO words(rowid, embedding) VALUES(?, ?)");
    sqlite3_stmt *row = prepare(plain, "INSERT INTO t VALUES(?, ?)");
    double *our_us = tq_alloc_array(commits, sizeof *our_us), *their_us = tq_alloc_array(commits, sizeof *their_us);
    if (our_us == NULL || their_us == NULL) exit(1);
    for (size_t i = 0; i < commits; i++) {
        double start = bench_seconds();
        put(plain, row, (int64_t)i, bench_matrix_row(base, i), base->dim);
        double middle = bench_seconds();
        put(ours, insert, (int64_t)i, bench_matrix_row(base, i), base->dim);
        our_us[i] = 1e6 * (bench_seconds() - middle);
        their_us[i] = 1e6 * (middle - start);
    }
    double our_mean = 0, their_mean = 0, our = median(our_us, commits, &our_mean);
    double their = median(their_us, commits, &their_mean);
    printf("single-row commit, %s %s: median %.1f us to %.1f of a plain row, %.2f times; means, flushes included, "
           "%.2f times\n",
           journal, synchronous, our, their, our / their, our_mean / their_mean);
    (void)sqlite3_finalize(insert);
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(ours);
    (void)sqlite3_close(plain);
    tq_free(our_us);
    tq_free(their_us);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: through_sql BASE.npy QUERY.npy [commits]\n");
        return 2;
    }
    char folder[4096], database[4400];
    struct bench_matrix base, queries;
    size_t commits = argc > 3 ? strtoul(argv[3], NULL, 10) : 6000;
    bench_check(bench_temporary_make(folder, sizeof folder));
    bench_check(bench_matrix_load(argv[1], &base));
    bench_check(bench_matrix_load(argv[2], &queries));
    (void)snprintf(database, sizeof database, "%s/words.db", folder);
    bench_check_sql(NULL, sqlite3_auto_extension((void (*)(void))sqlite3_tq_init));
    bench_report_head(stdout, "# ", argc, argv);
    sqlite3 *db = open_database(database, "PRAGMA journal_mode=WAL");
    insert_all(db, &base);
    queries_in_turn(db, database, &queries, tq_min_size(queries.rows, 300));
    (void)sqlite3_close(db);
    static const char *const modes[][2] = {{"WAL", "FULL"}, {"WAL", "NORMAL"}, {"DELETE", "FULL"}};
    for (size_t i = 0; i < TQ_COUNT(modes); i++) {
        single_rows(folder, modes[i][0], modes[i][1], &base, tq_min_size(commits, base.rows));
    }
    bench_temporary_remove(folder);
    bench_matrix_free(&base);
    bench_matrix_free(&queries);
    return 0;
}
