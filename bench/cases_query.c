/* Tables about what is asked: how many neighbours, which queries, which rows are allowed. */
#include <stdlib.h>
#include <string.h>

#include "bench/cases.h"
#include "bench/common/program.h"
#include "bench/common/truth.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/base/rng.h"
#include "src/codec/codec.h"

enum { SEED = 20261, PIECE = 2048, RANGE_QUERIES = 100, LABEL = 80 };

/* ---- k ---- */

void cases_k(struct cases *c) {
    static const struct cases_column columns[] = {{"ms p50", 3},
                                                  {"ms p99", 3},
                                                  {"recall", 4},
                                                  {"second plane", 0},
                                                  {"full code", 0},
                                                  {"ranked", 1},
                                                  {"p50 / p50 of k = 1", 2},
                                                  {"queries", 0}};
    const size_t ks[] = {1, 10, 100, 1000, c->base.rows / 10};
    enum { KS = TQ_COUNT(ks) };
    struct cases_ask asks[2 * KS];
    for (size_t i = 0; i < 2 * KS; i++) {
        asks[i] = cases_plain_ask(c);
        asks[i].k = tq_max_size(1, tq_min_size(ks[i % KS], c->base.rows));
        if (i >= KS) asks[i].options.confidence = TQ_EXACT;
    }
    cases_time(c, asks, 2 * KS);
    cases_judge(c, asks, 2 * KS);
    cases_table(c, "k", "How many neighbours",
                "One query a call. second plane, full code, ranked: rows of which these were read, a query.",
                "k | confidence", columns, TQ_COUNT(columns));
    for (size_t i = 0; i < 2 * KS; i++) {
        const struct cases_ask *a = &asks[i];
        char label[LABEL];
        (void)snprintf(label, sizeof label, "%zu | %s", a->k, i < KS ? "3" : "exact");
        cases_row(c, label,
                  (double[]){a->p50, a->p99, a->recall, cases_a_query(a, a->stats.second),
                             cases_a_query(a, a->stats.survivors), cases_a_query(a, a->stats.ranked),
                             a->p50 / asks[i / KS * KS].p50, (double)a->count});
    }
}

/* ---- A scan of everything, to compare with ---- */

struct scan {
    struct tq_codec *codec;
    uint8_t *records; /* of all rows, one after the other */
    struct tq_code_dots *dots;
    void *memory; /* of a query */
};

static void scan_open(const struct cases *c, struct scan *scan) {
    struct tq_index_options options = tq_index_defaults(c->base.dim);
    struct tq_format format;
    struct tq_kernels kernels;
    struct tq_encoder *encoder = NULL;
    options.metric = c->options.metric;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    bench_check(tq_format_init(&format, &options));
    bench_check(tq_codec_open(&format, &kernels, &scan->codec));
    bench_check(tq_encoder_open(scan->codec, &encoder));
    scan->records = cases_alloc(c->base.rows + 1, format.record_stride);
    scan->dots = cases_alloc(PIECE, sizeof *scan->dots);
    scan->memory = cases_alloc(tq_query_bytes(scan->codec), 1);
    for (size_t i = 0; i < c->base.rows; i++) {
        struct tq_row row;
        bench_check(tq_encode(encoder, bench_matrix_row(&c->base, i), &row));
        memcpy(scan->records + i * format.record_stride, row.record, format.record_stride);
    }
    tq_encoder_close(encoder);
}

static void scan_close(struct scan *scan) {
    tq_free(scan->records);
    tq_free(scan->dots);
    tq_free(scan->memory);
    tq_codec_close(scan->codec);
}

/* The k best by the full code of every row: estimates as codec.h has them at struct tq_query. */
static void scan_codes(const struct cases *c, const struct scan *scan, const float *vector, struct bench_best *best) {
    const struct tq_format *format = &scan->codec->format;
    struct tq_query query;
    bench_check(tq_query_prepare(scan->codec, vector, scan->memory, &query));
    double per_gamma = query.sketch_step / sqrt((double)format->dim);
    for (size_t first = 0; first < c->base.rows; first += PIECE) {
        const uint8_t *records = scan->records + first * format->record_stride;
        size_t count = tq_min_size(PIECE, c->base.rows - first);
        scan->codec->kernels.score(&query.code, records, format->record_stride, count, scan->dots);
        for (size_t i = 0; i < count; i++) {
            struct tq_record_tail tail;
            memcpy(&tail, records + i * format->record_stride + format->bits * format->plane_bytes, sizeof tail);
            double gamma = (double)tq_f32_from_f16(tail.gamma) * per_gamma;
            double cosine = (double)tail.scale * (scan->dots[i].code * query.code_step + gamma * scan->dots[i].sketch);
            double norm = (double)tail.norm;
            double score = bench_score(format->metric, cosine * norm * query.norm, query.norm2, norm * norm);
            bench_best_push(best, score, (int64_t)(first + i));
        }
    }
}

/* The k best by the vectors themselves. */
static void scan_vectors(const struct cases *c, const struct tq_kernels *kernels, const float *vector, double square,
                         struct bench_best *best) {
    for (size_t i = 0; i < c->base.rows; i++) {
        double dot = kernels->dot_f32(vector, bench_matrix_row(&c->base, i), c->base.dim);
        bench_best_push(best, bench_score(c->options.metric, dot, square, c->base_squares[i]), (int64_t)i);
    }
}

/* Medians, in ms a query. */
static void time_scans(const struct cases *c, double *by_code, double *by_vector) {
    enum { TIMES = 15 };
    struct scan scan;
    double ms[2][TIMES], *scores = cases_alloc(c->options.k, sizeof *scores);
    int64_t *ids = cases_alloc(c->options.k, sizeof *ids);
    scan_open(c, &scan);
    for (size_t i = 0; i < TIMES; i++) {
        size_t q = i % c->queries.rows;
        struct bench_best best = bench_best_begin(scores, ids, c->options.k);
        double start = cases_thread_seconds();
        scan_codes(c, &scan, bench_matrix_row(&c->queries, q), &best);
        double middle = cases_thread_seconds();
        best = bench_best_begin(scores, ids, c->options.k);
        scan_vectors(c, &scan.codec->kernels, bench_matrix_row(&c->queries, q), c->query_squares[q], &best);
        ms[0][i] = 1e3 * (middle - start);
        ms[1][i] = 1e3 * (cases_thread_seconds() - middle);
    }
    *by_code = bench_median(ms[0], TIMES);
    *by_vector = bench_median(ms[1], TIMES);
    scan_close(&scan);
    tq_free(scores);
    tq_free(ids);
}

/* ---- Queries ---- */

enum kind { DATA, RANDOM, NEGATED, SHUFFLED, ONE_HOT, CONSTANT, SHIFTED, BASE_ROW, KINDS };
static const char *const kind_names[KINDS] = {"as given",           "random directions", "negated",
                                              "elements shuffled",  "one-hot",           "constant",
                                              "shifted by its rms", "rows of the base"};

/* About normal: a sum of uniform numbers. */
static float noise(size_t query, size_t j) {
    uint64_t bits = tq_rng_at(SEED, query, j);
    return (float)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48)) / 65536 - 2;
}

static void shuffle(float *vector, uint32_t dim, uint64_t seed) {
    for (uint32_t i = dim; i > 1; i--) {
        uint32_t j = tq_rng_below(seed, SEED, i, i);
        float last = vector[i - 1];
        vector[i - 1] = vector[j];
        vector[j] = last;
    }
}

static void make_query(const struct cases *c, enum kind kind, size_t query, float *out) {
    uint32_t dim = c->queries.dim, hot = tq_rng_below(SEED, 3, query, dim);
    const float *given = bench_matrix_row(&c->queries, query % c->queries.rows);
    float rms = (float)sqrt(c->query_squares[query % c->queries.rows] / dim);
    if (kind == BASE_ROW) given = bench_matrix_row(&c->base, tq_rng_below(SEED, 4, query, (uint32_t)c->base.rows));
    for (uint32_t j = 0; j < dim; j++) {
        const float values[KINDS] = {given[j], noise(query, j), -given[j], given[j], j == hot,
                                     1,        given[j] + rms,  given[j]};
        out[j] = values[kind];
    }
    if (kind == SHUFFLED) shuffle(out, dim, query);
}

static void make_queries(const struct cases *c, enum kind kind, struct bench_matrix *queries) {
    size_t count = kind == CONSTANT ? 1 : tq_min_size(c->queries.rows, c->options.queries);
    *queries = (struct bench_matrix){cases_alloc(count * c->queries.dim, sizeof(float)), count, c->queries.dim};
    for (size_t q = 0; q < count; q++) make_query(c, kind, q, queries->data + q * queries->dim);
}

void cases_queries(struct cases *c) {
    static const struct cases_column columns[] = {{"ms p50", 3},
                                                  {"ms p99", 3},
                                                  {"recall", 4},
                                                  {"full code", 0},
                                                  {"ranked", 1},
                                                  {"p99 / code scan", 2},
                                                  {"p99 / vector scan", 2},
                                                  {"queries", 0}};
    struct bench_matrix queries[KINDS];
    struct cases_ask asks[2 * KINDS];
    double by_code = 0, by_vector = 0;
    char meaning[400];
    time_scans(c, &by_code, &by_vector);
    for (size_t i = 0; i < 2 * KINDS; i++) {
        if (i < KINDS) make_queries(c, (enum kind)i, &queries[i]);
        asks[i] = cases_plain_ask(c);
        asks[i].queries = &queries[i % KINDS];
        if (i >= KINDS) asks[i].options.confidence = TQ_EXACT;
    }
    cases_time(c, asks, 2 * KINDS);
    cases_judge(c, asks, 2 * KINDS);
    (void)snprintf(
        meaning, sizeof meaning,
        "full code, ranked: rows of which these were read, a query. code scan: the full code of every row and "
        "nothing else, %.3f ms; vector scan: the inner product with every vector, %.3f ms.",
        by_code, by_vector);
    cases_table(c, "queries", "Which queries", meaning, "queries | confidence", columns, TQ_COUNT(columns));
    for (size_t i = 0; i < 2 * KINDS; i++) {
        const struct cases_ask *a = &asks[i];
        char label[LABEL];
        (void)snprintf(label, sizeof label, "%s | %s", kind_names[i % KINDS], i < KINDS ? "3" : "exact");
        cases_row(c, label,
                  (double[]){a->p50, a->p99, a->recall, cases_a_query(a, a->stats.survivors),
                             cases_a_query(a, a->stats.ranked), a->p99 / by_code, a->p99 / by_vector,
                             (double)a->count});
    }
    for (size_t i = 0; i < KINDS; i++) bench_matrix_free(&queries[i]);
}

/* ---- Range ---- */

enum { RANGES = 6 };

/* For each query the score that so many rows reach; scores: [RANGES][queries]. */
static void range_scores(const struct cases *c, const size_t *matches, size_t queries, double *scores) {
    struct tq_kernels kernels;
    double *sorted = cases_alloc(c->base.rows, sizeof *sorted);
    tq_kernels_select(tq_cpu_isa(), &kernels);
    for (size_t q = 0; q < queries; q++) {
        const float *query = bench_matrix_row(&c->queries, q);
        for (size_t i = 0; i < c->base.rows; i++) {
            double dot = kernels.dot_f32(query, bench_matrix_row(&c->base, i), c->base.dim);
            sorted[i] = bench_score(c->options.metric, dot, c->query_squares[q], c->base_squares[i]);
        }
        (void)bench_median(sorted, c->base.rows);
        for (size_t r = 0; r < RANGES; r++) {
            double score = sorted[c->base.rows - tq_min_size(matches[r], c->base.rows)];
            scores[r * queries + q] = score - 1e-9 * fabs(score); /* so that rounding excludes none of them */
        }
    }
    tq_free(sorted);
}

void cases_range(struct cases *c) {
    static const struct cases_column columns[] = {{"ms p50", 3},    {"ms p99", 3}, {"recall", 4},
                                                  {"full code", 0}, {"ranked", 1}, {"p50 / best of as many", 2},
                                                  {"queries", 0}};
    const size_t tenth = c->base.rows / 10, matches[RANGES] = {1, 10, 100, 1000, tenth, tenth};
    size_t queries = tq_min_size(RANGE_QUERIES, tq_min_size(c->queries.rows, c->options.queries));
    double *scores = cases_alloc(RANGES * queries, sizeof *scores);
    struct cases_ask asks[3 * RANGES];
    range_scores(c, matches, queries, scores);
    for (size_t i = 0; i < 3 * RANGES; i++) {
        bool room = i % RANGES < RANGES - 1; /* the last has room for ten of many */
        asks[i] = cases_plain_ask(c);
        asks[i].most = queries;
        asks[i].k = room ? matches[i % RANGES] : 10;
        if (i < 2 * RANGES) asks[i].scores = scores + i % RANGES * queries;
        if (i / RANGES == 1) asks[i].options.confidence = TQ_EXACT;
    }
    cases_time(c, asks, 3 * RANGES);
    cases_judge(c, asks, 2 * RANGES);
    cases_table(
        c, "range", "Rows of at least a score (tq_search_range)",
        "The score is the one that so many rows reach, for each query. recall: of those, or of the best that there "
        "is room for. best of as many: tq_search at confidence 3 with k = room.",
        "rows | room | confidence", columns, TQ_COUNT(columns));
    for (size_t i = 0; i < 2 * RANGES; i++) {
        const struct cases_ask *a = &asks[i];
        char label[LABEL];
        (void)snprintf(label, sizeof label, "%zu | %zu | %s", matches[i % RANGES], a->k, i < RANGES ? "3" : "exact");
        cases_row(c, label,
                  (double[]){a->p50, a->p99, a->recall, cases_a_query(a, a->stats.survivors),
                             cases_a_query(a, a->stats.ranked), a->p50 / asks[2 * RANGES + i % RANGES].p50,
                             (double)a->count});
    }
    tq_free(scores);
}
