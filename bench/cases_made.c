/* Vectors of any number, made row by row: nothing but the centres is kept. */
#include <string.h>

#include "bench/cases.h"
#include "bench/common/program.h"
#include "bench/common/truth.h"
#include "index/bound.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/base/rng.h"
#include "src/codec/codec.h"

enum { SEED = 77001, CLUSTER_ROWS = 64, SAMPLE = 50000, PROBES = 24, STEPS = 9 };
enum stream { COMMON = 1, CENTRE, NOISE, MOVE, CHOICE };

/* About normal, of length about 1: each element the sum of four uniform numbers. */
static void noise(enum stream stream, size_t number, uint32_t dim, float *out) {
    uint64_t state = tq_rng_at(SEED, stream, number);
    float scale = (float)sqrt(3.0 / dim) / 65536;
    for (uint32_t j = 0; j < dim; j++) {
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15); /* SplitMix64 */
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        uint32_t sum = (uint32_t)((z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48));
        out[j] = ((float)sum - 131070) * scale;
    }
}

void cases_made_open(struct cases_made *made, size_t rows, uint32_t dim) {
    size_t clusters = tq_max_size(1, rows / CLUSTER_ROWS);
    *made = (struct cases_made){.rows = rows, .clusters = clusters, .dim = dim, .offset = 0, .spread = 1};
    made->centres = cases_alloc(clusters * dim, sizeof(float));
    made->common = cases_alloc(dim, sizeof(float));
    for (size_t i = 0; i < clusters; i++) noise(CENTRE, i, dim, made->centres + i * dim);
    noise(COMMON, 0, dim, made->common);
}

void cases_made_close(struct cases_made *made) {
    tq_free(made->centres);
    tq_free(made->common);
}

/* Rows of a cluster lie far apart, as in data in no order. */
void cases_made_row(const struct cases_made *made, size_t row, float *vector) {
    const float *centre = made->centres + row % made->clusters * made->dim;
    float offset = (float)made->offset;
    float own = (float)sqrt((1 - made->offset * made->offset) / (1 + made->spread * made->spread));
    float apart = own * (float)made->spread;
    noise(NOISE, row, made->dim, vector);
    for (uint32_t j = 0; j < made->dim; j++) vector[j] = offset * made->common[j] + own * centre[j] + apart * vector[j];
}

static void make_query(const struct cases_made *made, size_t row, float *vector, float *scratch) {
    cases_made_row(made, row, vector);
    noise(MOVE, row, made->dim, scratch);
    for (uint32_t j = 0; j < made->dim; j++) vector[j] += scratch[j] / 3;
}

void cases_made_queries(const struct cases_made *made, size_t count, struct bench_matrix *queries) {
    float *scratch = cases_alloc(made->dim, sizeof *scratch);
    *queries = (struct bench_matrix){cases_alloc(count * made->dim, sizeof(float)), count, made->dim};
    for (size_t i = 0; i < count; i++) {
        size_t row = tq_rng_at(SEED, CHOICE, i) % made->rows;
        make_query(made, row, queries->data + i * made->dim, scratch);
    }
    tq_free(scratch);
}

/* ---- How many rows pass the first plane ---- */

/* Whole clusters, as many as make up the sample, and a query at the first row of each of some of them. */
struct sample {
    size_t clusters, members, rows, k;
    struct tq_codec *codec;
    struct tq_encoder *encoder;
    uint8_t *records;
    const uint8_t **at;
    double *errors; /* of the first plane */
    float *vectors; /* f32[rows][dim] */
    int32_t *dots;
    double *scores, *others;
};

static void sample_open(const struct cases_made *made, size_t k, struct sample *s) {
    struct tq_index_options options = tq_index_defaults(made->dim);
    struct tq_format format;
    struct tq_kernels kernels;
    *s = (struct sample){.members = made->rows / made->clusters, .k = k};
    s->clusters = tq_min_size(made->clusters, tq_max_size(PROBES, SAMPLE / s->members));
    s->rows = s->clusters * s->members;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    bench_check(tq_format_init(&format, &options));
    bench_check(tq_codec_open(&format, &kernels, &s->codec));
    bench_check(tq_encoder_open(s->codec, &s->encoder));
    s->records = cases_alloc(s->rows + 1, format.record_stride);
    s->at = cases_alloc(s->rows, sizeof *s->at);
    s->errors = cases_alloc(s->rows, sizeof *s->errors);
    s->vectors = cases_alloc(s->rows * made->dim, sizeof *s->vectors);
    s->dots = cases_alloc(s->rows, sizeof *s->dots);
    s->scores = cases_alloc(s->members, sizeof *s->scores);
    s->others = cases_alloc(s->rows, sizeof *s->others);
}

static void sample_close(struct sample *s) {
    tq_encoder_close(s->encoder);
    tq_codec_close(s->codec);
    void *owned[] = {s->records, (void *)s->at, s->errors, s->vectors, s->dots, s->scores, s->others};
    for (size_t i = 0; i < TQ_COUNT(owned); i++) tq_free(owned[i]);
}

static void sample_encode(const struct cases_made *made, struct sample *s) {
    size_t stride = s->codec->format.record_stride;
    for (size_t i = 0; i < s->rows; i++) {
        struct tq_row row;
        float *vector = s->vectors + i * made->dim;
        cases_made_row(made, i / s->clusters * made->clusters + i % s->clusters, vector);
        bench_check(tq_encode(s->encoder, vector, &row));
        memcpy(s->records + i * stride, row.record, stride);
        s->at[i] = s->records + i * stride;
        s->errors[i] = (double)tq_f32_from_f16(row.first_error);
    }
}

/* The k-th best score among all rows: by the query's own cluster, which is complete, or by the others, of which a
 * smaller rank speaks. */
static double sample_bar(const struct cases_made *made, struct sample *s, size_t cluster, const struct tq_query *q) {
    size_t own = 0, others = 0;
    for (size_t i = 0; i < s->rows; i++) {
        const float *vector = s->vectors + i * made->dim;
        double norm = sqrt(s->codec->kernels.dot_f32(vector, vector, made->dim));
        double cosine = s->codec->kernels.dot_f32(q->exact, vector, made->dim) / (norm * q->norm);
        if (i % s->clusters == cluster)
            s->scores[own++] = cosine;
        else
            s->others[others++] = cosine;
    }
    double rank = (double)s->k * (double)s->rows / (double)made->rows;
    size_t at = tq_min_size(others, tq_max_size(1, (size_t)rank));
    double bar = others == 0 ? -1 : bench_quantile(s->others, others, (double)(others - at) / (double)others);
    if (s->k <= own) bar = fmax(bar, bench_quantile(s->scores, own, (double)(own - s->k) / (double)own));
    return bar;
}

static double sample_share(const struct cases_made *made, struct sample *s) {
    float *vector = cases_alloc(2 * (size_t)made->dim, sizeof *vector);
    void *memory = cases_alloc(tq_query_bytes(s->codec), 1);
    double zeta = fmin(1, 3 / sqrt(fmax(1, (double)made->dim - 1))), root = sqrt((double)made->dim);
    size_t passing = 0, probes = tq_min_size(PROBES, s->clusters);
    sample_encode(made, s);
    for (size_t p = 0; p < probes; p++) {
        struct tq_query query;
        make_query(made, p, vector, vector + made->dim);
        bench_check(tq_query_prepare(s->codec, vector, memory, &query));
        double bar = sample_bar(made, s, p, &query), slack = zeta * query.plane_error + TQ_SLACK_PLANE;
        s->codec->kernels.sign_dots(query.plane_query, made->dim, 0, s->at, s->rows, s->dots);
        for (size_t i = 0; i < s->rows; i++) {
            double error = s->errors[i], length = sqrt(1 + error * error);
            double cosine = (query.plane_step * s->dots[i] / root + slack) * length;
            passing += tq_bound_upper(cosine, zeta * error) >= bar;
        }
    }
    tq_free(vector);
    tq_free(memory);
    return (double)passing / (double)(probes * s->rows);
}

/* Hardness 0 to 1: first clusters dissolve, then all rows draw together. */
static void harden(struct cases_made *made, double hardness) {
    made->spread = .3 * pow(8 / .3, fmin(1, 2 * hardness));
    made->offset = sqrt(.09 + .71 * fmax(0, 2 * hardness - 1));
}

double cases_made_tune(struct cases_made *made, double share, size_t k) {
    struct sample sample;
    double low = 0, high = 1, found = 0;
    sample_open(made, k, &sample);
    for (int step = 0; step < STEPS; step++) {
        double middle = (low + high) / 2;
        harden(made, middle);
        found = sample_share(made, &sample);
        *(found < share ? &low : &high) = middle;
    }
    sample_close(&sample);
    return found;
}

/* ---- The truth ---- */

void cases_made_truth(const struct cases_made *made, const struct bench_matrix *queries, size_t count, size_t k,
                      double *scores) {
    struct tq_kernels kernels;
    struct bench_best *best = cases_alloc(count, sizeof *best);
    int64_t *ids = cases_alloc(count * k, sizeof *ids);
    float *vector = cases_alloc(made->dim, sizeof *vector);
    tq_kernels_select(tq_cpu_isa(), &kernels);
    for (size_t q = 0; q < count; q++) best[q] = bench_best_begin(scores + q * k, ids + q * k, k);
    for (size_t i = 0; i < made->rows; i++) {
        cases_made_row(made, i, vector);
        double square = kernels.dot_f32(vector, vector, made->dim);
        for (size_t q = 0; q < count; q++) {
            const float *query = bench_matrix_row(queries, q);
            double dot = kernels.dot_f32(query, vector, made->dim);
            bench_best_push(&best[q], dot / sqrt(square), (int64_t)i);
        }
    }
    for (size_t q = 0; q < count; q++) {
        const float *query = bench_matrix_row(queries, q);
        bench_best_sort(&best[q]);
        for (size_t i = 0; i < k; i++) scores[q * k + i] /= sqrt(kernels.dot_f32(query, query, made->dim));
    }
    tq_free(best);
    tq_free(ids);
    tq_free(vector);
}
