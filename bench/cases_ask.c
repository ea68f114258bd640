#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/cases.h"
#include "bench/common/program.h"
#include "bench/common/truth.h"
#include "kernels/kernels.h"
#include "src/base/alloc.h"

enum { LEAST_QUERIES = 20, JUDGED = 200 };

double cases_thread_seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void *cases_alloc(size_t count, size_t size) {
    void *memory = tq_alloc_array(count, size);
    if (memory == NULL) bench_check(TQ_NOMEM);
    return memory;
}

/* ---- Stores ---- */

void cases_store_make(const char *path, const struct bench_matrix *rows, const int64_t *ids, enum tq_metric metric) {
    struct tq_index_options options = tq_index_defaults(rows->dim);
    tq_store *store = NULL;
    tq_index *index = NULL;
    int64_t *numbers = cases_alloc(rows->rows, sizeof *numbers);
    options.metric = metric;
    for (size_t i = 0; i < rows->rows; i++) numbers[i] = ids == NULL ? (int64_t)i : ids[i];
    bench_check(tq_open(path, TQ_OPEN_CREATE, &store));
    bench_check(tq_index_create(store, "vectors", &options, &index));
    bench_check(tq_put_many(index, numbers, rows->data, rows->rows));
    cases_store_close(store, index);
    tq_free(numbers);
}

void cases_store_open(const char *path, tq_store **store, tq_index **index) {
    bench_check(tq_open(path, 0, store));
    bench_check(tq_index_open(*store, "vectors", index));
}

void cases_store_close(tq_store *store, tq_index *index) {
    tq_index_close(index);
    tq_close(store);
}

/* ---- Times ---- */

struct cases_ask cases_plain_ask(const struct cases *c) {
    return (struct cases_ask){
        .index = c->index, .queries = &c->queries, .k = c->options.k, .options = tq_search_defaults()};
}

void cases_search(const struct cases_ask *ask, size_t query, struct tq_hit *hits, size_t *found,
                  struct tq_search_stats *stats) {
    struct tq_search_options options = ask->options;
    if (ask->filters != NULL) options.filter = ask->filters + (ask->one_filter ? 0 : query);
    if (ask->scores != NULL) {
        bench_check(tq_search_range(ask->index, bench_matrix_row(ask->queries, query), ask->scores[query],
                                    (int64_t)ask->k, &options, hits, found, stats));
        *found = tq_min_size(*found, ask->k);
        return;
    }
    bench_check(
        tq_search(ask->index, bench_matrix_row(ask->queries, query), 1, (int64_t)ask->k, &options, hits, found, stats));
}

static double clock_of(const struct cases_ask *ask) { return ask->wall ? bench_seconds() : cases_thread_seconds(); }

/* One round. ms[query * rounds + round]; NULL: a warm-up, which ends when `seconds` are over and sets the count. */
static void ask_all(struct cases_ask *ask, struct tq_hit *hits, double *ms, size_t rounds, double seconds) {
    double begin = bench_seconds();
    ask->stats = (struct tq_search_stats){0};
    for (size_t q = 0; q < ask->count; q++) {
        struct tq_search_stats stats = {0};
        size_t found = 0;
        double start = clock_of(ask);
        cases_search(ask, q, hits, &found, &stats);
        if (ms != NULL) ms[q * rounds] = 1e3 * (clock_of(ask) - start);
        ask->stats.rows += stats.rows;
        ask->stats.second += stats.second;
        ask->stats.survivors += stats.survivors;
        ask->stats.ranked += stats.ranked;
        if (ms == NULL && q + 1 >= LEAST_QUERIES && bench_seconds() - begin > seconds) ask->count = q + 1;
    }
}

static void sum_up(struct cases_ask *ask, double *ms, size_t rounds) {
    double *medians = cases_alloc(ask->count, sizeof *medians);
    for (size_t q = 0; q < ask->count; q++) medians[q] = bench_median(ms + q * rounds, rounds);
    ask->p50 = bench_quantile(medians, ask->count, .5);
    ask->p99 = bench_quantile(medians, ask->count, .99);
    tq_free(medians);
}

void cases_time(const struct cases *c, struct cases_ask *asks, size_t count) {
    size_t rounds = c->options.rounds, longest = 1;
    double **ms = cases_alloc(count, sizeof *ms);
    for (size_t i = 0; i < count; i++) longest = tq_max_size(longest, asks[i].k);
    struct tq_hit *hits = cases_alloc(longest, sizeof *hits);
    for (size_t i = 0; i < count; i++) {
        size_t most = asks[i].most == 0 ? SIZE_MAX : asks[i].most;
        asks[i].count = tq_min_size(tq_min_size(asks[i].queries->rows, c->options.queries), most);
        ask_all(&asks[i], hits, NULL, rounds, c->options.seconds / (double)(rounds + 1));
        ms[i] = cases_alloc(asks[i].count * rounds, sizeof **ms);
    }
    for (size_t r = 0; r < rounds; r++) {
        for (size_t i = 0; i < count; i++) {
            size_t turn = (i + r) % count; /* who comes first, changes */
            ask_all(&asks[turn], hits, ms[turn] + r, rounds, 0);
        }
    }
    for (size_t i = 0; i < count; i++) {
        sum_up(&asks[i], ms[i], rounds);
        tq_free(ms[i]);
    }
    tq_free(ms);
    tq_free(hits);
}

/* ---- Recall ---- */

static bool is_allowed(const struct cases_ask *ask, size_t query, size_t row) {
    if (ask->filters == NULL) return true;
    const struct tq_filter *filter = ask->filters + (ask->one_filter ? 0 : query);
    int64_t at = (ask->ids == NULL ? (int64_t)row : ask->ids[row]) - filter->first_id;
    return at >= 0 && (size_t)at < filter->count && (filter->bits[at / 64] >> (at % 64) & 1);
}

/* The score that all hits must reach, and how many rows do; scores: of every row. */
static double true_bar(const struct cases_ask *ask, size_t query, const double *scores, size_t rows, size_t *reach) {
    double *values = cases_alloc(ask->k, sizeof *values);
    int64_t *kept = cases_alloc(ask->k, sizeof *kept);
    struct bench_best best = bench_best_begin(values, kept, ask->k);
    for (size_t row = 0; row < rows; row++) {
        bool within = ask->scores == NULL || scores[row] >= ask->scores[query];
        if (within && is_allowed(ask, query, row)) bench_best_push(&best, scores[row], (int64_t)row);
    }
    double bar = best.count == 0 ? 0 : best.scores[0]; /* the root of the heap is the worst */
    *reach = best.count;
    tq_free(values);
    tq_free(kept);
    return bar;
}

/* Share of the true k best, or of as many as there are, that one search finds. */
static double recall_of(const struct cases_ask *ask, size_t query, const double *scores, size_t rows,
                        struct tq_hit *hits) {
    struct tq_search_stats stats;
    size_t found = 0, good = 0, wanted = 0;
    double bar = true_bar(ask, query, scores, rows, &wanted);
    cases_search(ask, query, hits, &found, &stats);
    for (size_t i = 0; i < found; i++) {
        size_t row = ask->row == NULL ? (size_t)hits[i].id : ask->row[hits[i].id];
        good += is_allowed(ask, query, row) && scores[row] >= bar - 1e-6 * fabs(bar);
    }
    return wanted == 0 ? 1 : fmin(1, (double)good / (double)wanted);
}

/* All asks with the queries of the first one. */
static void judge_alike(const struct cases *c, struct cases_ask *asks, size_t count, double *scores) {
    const struct bench_matrix *queries = asks[0].queries;
    struct tq_kernels kernels;
    size_t most = 0, longest = 1;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    for (size_t i = 0; i < count; i++) {
        if (asks[i].queries != queries) continue;
        most = tq_max_size(most, tq_min_size(asks[i].count, JUDGED));
        longest = tq_max_size(longest, asks[i].k);
        asks[i].recall = 0;
    }
    struct tq_hit *hits = cases_alloc(longest, sizeof *hits);
    for (size_t q = 0; q < most; q++) {
        const float *query = bench_matrix_row(queries, q);
        double square = kernels.dot_f32(query, query, queries->dim);
        for (size_t row = 0; row < c->base.rows; row++) {
            double dot = kernels.dot_f32(query, bench_matrix_row(&c->base, row), queries->dim);
            scores[row] = bench_score(c->options.metric, dot, square, c->base_squares[row]);
        }
        for (size_t i = 0; i < count; i++) {
            size_t judged = tq_min_size(asks[i].count, JUDGED);
            if (asks[i].queries != queries || q >= judged) continue;
            asks[i].recall += recall_of(&asks[i], q, scores, c->base.rows, hits) / (double)judged;
        }
    }
    tq_free(hits);
}

void cases_judge(const struct cases *c, struct cases_ask *asks, size_t count) {
    double *scores = cases_alloc(c->base.rows, sizeof *scores);
    for (size_t i = 0; i < count; i++) {
        bool done = false;
        for (size_t j = 0; j < i; j++) done = done || asks[j].queries == asks[i].queries;
        if (!done) judge_alike(c, asks + i, count - i, scores);
    }
    tq_free(scores);
}
