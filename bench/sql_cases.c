/* Through SQL: metadata, filters, joins, partitions; each case beside the plain MATCH of the same run.
 *
 * usage  sql_cases BASE.npy QUERY.npy [option ...]
 *   --only WORD,...   filters, first, order, many, join, partition, insert, look-up, update; by default all
 *   --vec FILE        sqlite-vec's loadable extension, to be compared with in table filters
 *   --queries N       180 of them at random
 *   --rounds N        9: statements take turns, in another order every round
 *
 * Cosine, k = 10, one thread. Databases lie in $TMPDIR and go with the process, unless it is killed. Times of queries
 * are processor time of the thread: the median over a round's queries, then over rounds; a ratio is the median over
 * rounds too. Recall is judged by score, beside brute force in double over the rows that pass. */
#include "bench/sql_cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/common/report.h"
#include "bench/common/truth.h"
#include "sql/tq_sqlite.h"

enum { SEED = 20260 };

const double sql_shares[SQL_SHARES] = {0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001, 0.0001};
const size_t sql_ranks[SQL_RANKS] = {10, 100, 1000};

static const struct {
    const char *word;
    void (*run)(struct sql_cases *c);
} tables[] = {
    {"filters", sql_cases_filters}, {"first", sql_cases_first},
    {"order", sql_cases_order},     {"many", sql_cases_many},
    {"join", sql_cases_join},       {"partition", sql_cases_partition},
    {"insert", sql_cases_insert},   {"look-up", sql_cases_look_up},
    {"update", sql_cases_update}, /* the last: labels are no longer those of c */
};

static _Noreturn void refuse(const char *what, const char *value) {
    (void)fprintf(stderr, "sql_cases: %s %s; see the head of sql_cases.c\n", what, value);
    exit(2);
}

static bool is_wanted(const struct sql_options *o, const char *word) {
    size_t length = strlen(word);
    for (const char *at = o->only; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
    }
    return o->only == NULL;
}

static size_t number(const char *name, const char *value) {
    char *end;
    unsigned long parsed = strtoul(value, &end, 10);
    if (end == value || *end != '\0' || parsed == 0) refuse(name, value);
    return parsed;
}

static void parse(int argc, char **argv, struct sql_options *o) {
    *o = (struct sql_options){.rounds = 9, .queries = 180};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "nothing";
        if (strncmp(argv[i], "--", 2) != 0) {
            if (o->query != NULL) refuse("there are two files already:", argv[i]);
            *(o->base == NULL ? &o->base : &o->query) = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--only") == 0)
            o->only = value;
        else if (strcmp(argv[i], "--vec") == 0)
            o->vec = value;
        else if (strcmp(argv[i], "--queries") == 0)
            o->queries = number(argv[i], value);
        else if (strcmp(argv[i], "--rounds") == 0)
            o->rounds = number(argv[i], value);
        else
            refuse("no such option:", argv[i]);
        i++;
    }
    if (o->query == NULL) refuse("BASE.npy and QUERY.npy", "are needed");
}

/* ---- Data ---- */

static void *needed(void *memory) {
    if (memory == NULL) bench_check(TQ_NOMEM);
    return memory;
}

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static enum tq_status score_queries(void *context, size_t begin, size_t end) {
    struct sql_cases *c = context;
    size_t rows = c->base.rows;
    double *sorted = tq_alloc_array(rows, sizeof *sorted);
    if (sorted == NULL) return TQ_NOMEM;
    for (size_t q = begin; q < end; q++) {
        const float *query = bench_matrix_row(&c->queries, q);
        double *scores = c->scores + q * rows;
        for (size_t row = 0; row < rows; row++) {
            const float *vector = bench_matrix_row(&c->base, row);
            double dot = 0, square = 0, query_square = 0;
            for (uint32_t d = 0; d < c->base.dim; d++) {
                dot += (double)query[d] * vector[d];
                square += (double)vector[d] * vector[d];
                query_square += (double)query[d] * query[d];
            }
            scores[row] = bench_score(TQ_COSINE, dot, query_square, square);
        }
        memcpy(sorted, scores, rows * sizeof *sorted);
        qsort(sorted, rows, sizeof *sorted, descending);
        for (size_t i = 0; i < SQL_RANKS; i++) c->rank_scores[q * SQL_RANKS + i] = sorted[sql_ranks[i] - 1];
    }
    tq_free(sorted);
    return TQ_OK;
}

/* A row's values are those of a permutation, so that shares are exact. */
static void make_metadata(struct sql_cases *c) {
    size_t rows = c->base.rows, at = 0;
    uint32_t *order = NULL;
    c->labels = needed(tq_alloc_array(rows, sizeof *c->labels));
    c->prices = needed(tq_alloc_array(rows, sizeof *c->prices));
    bench_check(bench_permutation(rows, SEED + 1, &order));
    for (size_t i = 0; i <= SQL_SHARES; i++) {
        size_t end = i == SQL_SHARES ? rows : at + (size_t)(sql_shares[i] * (double)rows);
        for (; at < end; at++) c->labels[order[at]] = (int32_t)i;
    }
    tq_free(order);
    bench_check(bench_permutation(rows, SEED + 2, &order));
    for (size_t i = 0; i < rows; i++) c->prices[i] = (double)order[i] / (double)rows;
    tq_free(order);
}

static void load(struct sql_cases *c) {
    struct bench_matrix all;
    uint32_t *order = NULL;
    bench_check(bench_matrix_load(c->options.base, &c->base));
    bench_check(bench_matrix_load(c->options.query, &all));
    if (all.dim != c->base.dim || c->base.rows < 20000) refuse("too small or another dimension:", c->options.query);
    c->options.queries = tq_min_size(tq_max_size(c->options.queries, c->options.rounds), all.rows);
    bench_check(bench_permutation(all.rows, SEED, &order));
    bench_check(bench_matrix_take(&all, order, c->options.queries, &c->queries));
    tq_free(order);
    bench_matrix_free(&all);
    c->scores = needed(tq_alloc_array(c->queries.rows * c->base.rows, sizeof *c->scores));
    c->rank_scores = needed(tq_alloc_array(c->queries.rows * SQL_RANKS, sizeof *c->rank_scores));
    bench_check(bench_parallel(c->queries.rows, 1, 1, score_queries, c));
    make_metadata(c);
}

static struct sql_cases cases;

static void remove_folder(void) {
    if (cases.folder[0] != '\0') bench_temporary_remove(cases.folder);
}

int main(int argc, char **argv) {
    struct sql_cases *c = &cases;
    parse(argc, argv, &c->options);
    bench_check(bench_temporary_make(c->folder, sizeof c->folder));
    (void)atexit(remove_folder);
    bench_check_sql(NULL, sqlite3_auto_extension((void (*)(void))sqlite3_tq_init));
    bench_report_head(stdout, "    ", argc, argv);
    load(c);
    (void)printf("    SQLite: %s\n\n%zu x %u base vectors, %zu queries, %zu rounds, k = %d, cosine.\n",
                 sqlite3_libversion(), c->base.rows, c->base.dim, c->queries.rows, c->options.rounds, SQL_K);
    for (size_t i = 0; i < TQ_COUNT(tables); i++) {
        if (is_wanted(&c->options, tables[i].word)) tables[i].run(c);
    }
    bench_matrix_free(&c->base);
    bench_matrix_free(&c->queries);
    tq_free(c->scores);
    tq_free(c->rank_scores);
    tq_free(c->labels);
    tq_free(c->prices);
    return c->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
