/* What writing and opening cost: bulk load, single-row commits beside a plain SQLite row with the same blob, opening
 * a store, the first query of a process, memory. Usage: ingest BASE.npy QUERY.npy [commits] */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/common/matrix.h"
#include "bench/common/program.h"
#include "bench/common/report.h"
#include "src/base/alloc.h"

static double resident_mb(const char *field) {
    char line[256];
    double kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) kb = strtod(line + strlen(field) + 1, NULL);
    }
    if (file != NULL) (void)fclose(file);
    return kb / 1024;
}

static void make_index(const char *folder, uint32_t dim, tq_store **store, tq_index **index) {
    struct tq_index_options options = tq_index_defaults(dim);
    bench_check(tq_open(folder, TQ_OPEN_CREATE, store));
    bench_check(tq_index_create(*store, "words", &options, index));
}

/* Bulk, in a child, so that its peak memory is its own. */
static void bulk(const char *base_file, const char *folder) {
    struct bench_matrix base;
    tq_store *store = NULL;
    tq_index *index = NULL;
    bench_check(bench_matrix_load(base_file, &base));
    int64_t *ids = tq_alloc_array(base.rows, sizeof *ids);
    for (size_t i = 0; i < base.rows; i++) ids[i] = (int64_t)i;
    make_index(folder, base.dim, &store, &index);
    double before = resident_mb("VmRSS:"), start = bench_seconds();
    bench_check(tq_put_many(index, ids, base.data, base.rows));
    double seconds = bench_seconds() - start;
    struct tq_index_info info;
    bench_check(tq_index_get_info(index, &info));
    printf("bulk: %zu vectors of %u dimensions in %.3f s, durable: %.0f vectors/s; memory %.0f MiB above %.0f\n",
           base.rows, base.dim, seconds, (double)base.rows / seconds, resident_mb("VmHWM:") - before, before);
    printf("bytes a row: codes %.1f, exact %.1f; on disk %.1f MB\n", (double)info.code_bytes / (double)info.rows,
           (double)info.exact_bytes / (double)info.rows, bench_allotted_bytes(folder) / 1e6);
    tq_index_close(index);
    tq_close(store);
}

static void open_and_ask(const char *query_file, const char *folder) {
    struct bench_matrix queries;
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_hit hits[10];
    size_t count = 0;
    bench_check(bench_matrix_load(query_file, &queries));
    double memory = resident_mb("RssAnon:"), mapped = resident_mb("RssFile:"), start = bench_seconds();
    bench_check(tq_open(folder, 0, &store));
    bench_check(tq_index_open(store, "words", &index));
    double opened = bench_seconds();
    bench_check(tq_search(index, queries.data, 1, 10, NULL, hits, &count, NULL));
    double first = bench_seconds();
    bench_check(tq_search(index, queries.data, 1, 10, NULL, hits, &count, NULL));
    double second = bench_seconds();
    for (size_t i = 0; i < tq_min_size(queries.rows, 1000); i++) {
        bench_check(tq_search(index, bench_matrix_row(&queries, i), 1, 10, NULL, hits, &count, NULL));
    }
    printf("open %.2f ms, first query %.2f ms, the same again %.2f ms; after 1,000 queries %.1f MiB private and %.1f"
           " MiB of mapped files above the start\n",
           1e3 * (opened - start), 1e3 * (first - opened), 1e3 * (second - first), resident_mb("RssAnon:") - memory,
           resident_mb("RssFile:") - mapped);
    tq_index_close(index);
    tq_close(store);
}

/* ---- Single-row commits, in turn with a plain row, in one database file each ---- */

struct plain {
    sqlite3 *db;
    sqlite3_stmt *insert;
};

static void open_plain(struct plain *plain, const char *folder, const char *journal, const char *synchronous) {
    char text[4400];
    (void)snprintf(text, sizeof text, "%.4200s/plain.db", folder);
    (void)unlink(text);
    bench_check_sql(plain->db, sqlite3_open(text, &plain->db));
    (void)snprintf(text, sizeof text,
                   "PRAGMA journal_mode=%s; PRAGMA synchronous=%s;"
                   "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)",
                   journal, synchronous);
    bench_check_sql(plain->db, sqlite3_exec(plain->db, text, NULL, NULL, NULL));
    bench_check_sql(plain->db, sqlite3_prepare_v2(plain->db, "INSERT INTO t VALUES(?, ?)", -1, &plain->insert, NULL));
}

static void put_plain(struct plain *plain, int64_t id, const float *vector, uint32_t dim) {
    bench_check_sql(plain->db, sqlite3_bind_int64(plain->insert, 1, id));
    bench_check_sql(plain->db, sqlite3_bind_blob(plain->insert, 2, vector, (int)(dim * sizeof *vector), SQLITE_STATIC));
    bench_check_sql(plain->db, sqlite3_step(plain->insert));
    bench_check_sql(plain->db, sqlite3_reset(plain->insert));
}

static void single_rows(const char *base_file, const char *folder, size_t commits) {
    struct bench_matrix base;
    struct plain plain = {NULL, NULL};
    tq_store *store = NULL;
    tq_index *index = NULL;
    bench_check(bench_matrix_load(base_file, &base));
    commits = tq_min_size(commits, base.rows);
    double *ours = tq_alloc_array(commits, sizeof *ours), *theirs = tq_alloc_array(commits, sizeof *theirs);
    double our_sum = 0, their_sum = 0;
    make_index(folder, base.dim, &store, &index);
    open_plain(&plain, folder, "WAL", "FULL");
    for (size_t i = 0; i < commits; i++) {
        double start = bench_seconds();
        put_plain(&plain, (int64_t)i, bench_matrix_row(&base, i), base.dim);
        double middle = bench_seconds();
        bench_check(tq_put(index, (int64_t)i, bench_matrix_row(&base, i)));
        double end = bench_seconds();
        their_sum += theirs[i] = middle - start;
        our_sum += ours[i] = end - middle;
    }
    double our_median = bench_median(ours, commits), their_median = bench_median(theirs, commits);
    printf("single-row commits, WAL FULL, %zu of them: tqlite median %.1f us, mean %.1f (flushes included), worst %.1f;"
           " plain row median %.1f us, mean %.1f: ratio %.2f of medians, %.2f of means\n",
           commits, 1e6 * our_median, 1e6 * our_sum / (double)commits, 1e6 * ours[commits - 1], 1e6 * their_median,
           1e6 * their_sum / (double)commits, our_median / their_median, our_sum / their_sum);
    (void)sqlite3_finalize(plain.insert);
    (void)sqlite3_close(plain.db);
    tq_index_close(index);
    tq_close(store);
}

/* Each part in a process of its own: no page is touched, no memory grown by another. */
static void in_child(void (*part)(const char *, const char *), const char *file, const char *folder) {
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        part(file, folder);
        (void)fflush(stdout);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) exit(1);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: ingest BASE.npy QUERY.npy [commits]\n");
        return 2;
    }
    char folder[4096], store[4200], singles[4200];
    bench_check(bench_temporary_make(folder, sizeof folder));
    (void)snprintf(store, sizeof store, "%s/bulk", folder);
    (void)snprintf(singles, sizeof singles, "%s/singles", folder);
    bench_report_head(stdout, "# ", argc, argv);
    in_child(bulk, argv[1], store);
    in_child(open_and_ask, argv[2], store);
    single_rows(argv[1], singles, argc > 3 ? strtoul(argv[3], NULL, 10) : 6000);
    bench_temporary_remove(folder);
    return 0;
}
