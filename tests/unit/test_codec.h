/* Helpers of the codec tests: random vectors, and the rotation in double as kernels.h defines it. */
#ifndef TEST_CODEC_H
#define TEST_CODEC_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/base/rng.h"
#include "src/codec/codec.h"

/* About normal (a sum of 8 uniform integers), exact in float and the same everywhere. */
static inline float random_normal(uint64_t stream, uint64_t i) {
    int64_t sum = 0;
    for (int part = 0; part < 4; part++) {
        uint64_t bits = tq_rng_at(77, stream * 4 + (uint64_t)part, i);
        sum += (int64_t)(bits & 0xffff) + (int64_t)(bits >> 16 & 0xffff) - 0xffff;
    }
    return (float)sum;
}

static inline void random_vector(float *x, uint32_t dim, uint64_t stream, uint64_t i) {
    for (uint32_t j = 0; j < dim; j++) x[j] = random_normal(stream, i * 65536 + j);
}

static inline double dot_double(const double *a, const double *b, uint32_t dim) {
    double sum = 0.0;
    for (uint32_t j = 0; j < dim; j++) sum += a[j] * b[j];
    return sum;
}

static inline double cosine_f32(const float *a, const float *b, uint32_t dim) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (uint32_t j = 0; j < dim; j++) {
        ab += (double)a[j] * (double)b[j];
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
    }
    return ab / sqrt(aa * bb);
}

static inline void hadamard_double(double *x, size_t n) {
    for (size_t h = 1; h < n; h *= 2) {
        for (size_t i = 0; i < n; i++) {
            if ((i & h) != 0) continue;
            double a = x[i], b = x[i + h];
            x[i] = a + b;
            x[i + h] = a - b;
        }
    }
}

static inline void mix_double(const struct tq_rotation *r, uint32_t round, double *x) {
    size_t touched = (size_t)r->parts * r->span;
    double *run = x + (round % 2 == 0 ? 0 : r->dim - touched), scale = 1.0 / sqrt((double)r->span);
    for (uint32_t part = 0; part < r->parts; part++) hadamard_double(run + (size_t)part * r->span, r->span);
    for (size_t i = 0; r->parts == 3 && i < r->span; i++) {
        double s = (run[i] + run[i + r->span] + run[i + 2 * (size_t)r->span]) * 2.0 / 3.0;
        for (size_t part = 0; part < 3; part++) run[i + part * r->span] -= s;
    }
    for (size_t i = 0; i < touched; i++) run[i] *= scale;
}

/* x = R x, exact but for double rounding */
static inline void rotate_double(const struct tq_rotation *r, double *x) {
    double *turned = tq_alloc_array(r->dim, sizeof *turned);
    for (uint32_t round = 0; round < r->rounds; round++) {
        size_t at = (size_t)round * r->dim;
        for (uint32_t j = 0; j < r->dim; j++) {
            double value = x[r->permutation == NULL ? j : r->permutation[at + j]];
            turned[j] = r->signs[at + j] != 0 ? -value : value;
        }
        mix_double(r, round, turned);
        memcpy(x, turned, r->dim * sizeof *x);
    }
    tq_free(turned);
}

/* x = R^T x */
static inline void rotate_back_double(const struct tq_rotation *r, double *x) {
    double *turned = tq_alloc_array(r->dim, sizeof *turned);
    for (uint32_t round = r->rounds; round-- > 0;) {
        size_t at = (size_t)round * r->dim;
        mix_double(r, round, x);
        for (uint32_t j = 0; j < r->dim; j++)
            turned[r->permutation == NULL ? j : r->permutation[at + j]] = r->signs[at + j] != 0 ? -x[j] : x[j];
        memcpy(x, turned, r->dim * sizeof *x);
    }
    tq_free(turned);
}

static inline struct tq_record_tail read_tail(const struct tq_format *format, const uint8_t *record) {
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    return tail;
}

static inline struct tq_codec *open_codec_isa(uint32_t dim, uint32_t bits, int qjl, enum tq_rows rows, unsigned isa) {
    struct tq_index_options options = tq_index_defaults(dim);
    struct tq_format format;
    struct tq_kernels kernels;
    struct tq_codec *codec = NULL;
    options.bits = bits;
    options.qjl = qjl;
    options.rows = rows;
    assert_int_equal(tq_format_init(&format, &options), TQ_OK);
    tq_kernels_select(isa & tq_cpu_isa(), &kernels);
    assert_int_equal(tq_codec_open(&format, &kernels, &codec), TQ_OK);
    return codec;
}

static inline struct tq_codec *open_codec(uint32_t dim, uint32_t bits, int qjl) {
    return open_codec_isa(dim, bits, qjl, TQ_ROWS_F32, TQ_ISA_AVX2 | TQ_ISA_AVX512);
}

#endif
