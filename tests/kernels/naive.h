/* The operations of kernels.h written from their definitions, in another way than kernels/<op>_scalar.c: values
 * before planes, lanes before rows, recursion before loops. Slow; the reference of the scalar row. */
#ifndef TQ_NAIVE_H
#define TQ_NAIVE_H

#include <string.h>

#include "kernels/kernels.h"
#include "src/base/f16.h"

/* ---- Fixed-order sums ---- */

/* Lane i when `width` lanes are left of 16. */
static inline double naive_lane(const double *lanes, size_t i, size_t width) {
    return width == 16 ? lanes[i] : naive_lane(lanes, i, 2 * width) + naive_lane(lanes, i + width, 2 * width);
}

static inline float naive_lane_f32(const float *lanes, size_t i, size_t width) {
    if (width == 16) return lanes[i];
    return naive_lane_f32(lanes, i, 2 * width) + naive_lane_f32(lanes, i + width, 2 * width);
}

/* Of terms that are floats already; a float added in double and rounded to float is rounded once. */
static inline float naive_sum_f32(const float *terms, size_t dim) {
    float lanes[16];
    for (size_t lane = 0; lane < 16; lane++) {
        lanes[lane] = 0;
        for (size_t j = lane; j < dim; j += 16) lanes[lane] = (float)((double)lanes[lane] + (double)terms[j]);
    }
    return naive_lane_f32(lanes, 0, 1);
}

/* ---- rotate, hadamard ---- */

static inline void naive_hadamard(float *x, size_t n) {
    if (n == 1) return;
    naive_hadamard(x, n / 2);
    naive_hadamard(x + n / 2, n / 2);
    for (size_t i = 0; i < n / 2; i++) {
        float a = x[i], b = x[i + n / 2];
        x[i] = a + b;
        x[i + n / 2] = a - b;
    }
}

static inline void naive_mix(const struct tq_rotation *rotation, uint32_t round, float *x) {
    size_t span = rotation->span, touched = rotation->parts * span;
    float *run = x + (round % 2 == 0 ? 0 : rotation->dim - touched);
    for (size_t part = 0; part < rotation->parts; part++) naive_hadamard(run + part * span, span);
    for (size_t i = 0; i < span && rotation->parts == 3; i++) {
        float *a = run + i, *b = a + span, *c = b + span;
        float sum = *a + *b;
        sum = sum + *c;
        sum = sum * 0.6666667f;
        *a -= sum;
        *b -= sum;
        *c -= sum;
    }
    for (size_t i = 0; i < touched; i++) run[i] = run[i] * rotation->scale;
}

static inline void naive_rotate(const struct tq_rotation *rotation, const float *in, float *out) {
    static float previous[65536];
    size_t dim = rotation->dim;
    memcpy(out, in, dim * sizeof *out);
    for (uint32_t round = 0; round < rotation->rounds; round++) {
        const uint32_t *signs = rotation->signs + round * dim;
        memcpy(previous, out, dim * sizeof *out);
        for (size_t i = 0; i < dim; i++) {
            float value = previous[rotation->permutation ? rotation->permutation[round * dim + i] : i];
            out[i] = signs[i] ? -value : value;
        }
        naive_mix(rotation, round, out);
    }
}

/* ---- quantize, sketch, to_f16 ---- */

static inline void naive_quantize(const struct tq_quantizer *quantizer, const float *x, float scale, uint8_t *indices,
                                  struct tq_quantized_sums *sums) {
    static float dots[65536], norms[65536];
    for (size_t j = 0; j < quantizer->dim; j++) {
        float value = scale * x[j], centroid;
        size_t index = 0;
        for (size_t k = 0; k + 1 < (size_t)1 << quantizer->code_bits; k++) {
            index += quantizer->thresholds[k] <= value;
        }
        indices[j] = (uint8_t)index;
        centroid = quantizer->centroids[index];
        dots[j] = centroid * x[j];
        norms[j] = centroid * centroid;
    }
    sums->dot = naive_sum_f32(dots, quantizer->dim);
    sums->norm = naive_sum_f32(norms, quantizer->dim);
}

static inline float naive_sketch_dot(const float *x, const uint8_t *sketch, size_t dim) {
    static float terms[65536];
    for (size_t j = 0; j < dim; j++) terms[j] = x[j] * (sketch[j] ? 1.0f : -1.0f);
    return naive_sum_f32(terms, dim);
}

static inline float naive_sketch(const float *x, size_t dim, uint8_t *sketch) {
    for (size_t j = 0; j < dim; j++) sketch[j] = x[j] >= 0;
    return naive_sketch_dot(x, sketch, dim);
}

/* Scale until the spacing of halves is 1, round by adding 1.5 * 2^52, read off exponent and fraction. */
static inline uint16_t naive_half(float x) {
    double magnitude = x < 0 ? -(double)x : (double)x;
    uint32_t sign = x < 0 || (x == 0 && 1 / x < 0) ? 0x8000 : 0, exponent = 0;
    magnitude *= 0x1p24;
    while (magnitude >= 2048) {
        magnitude *= 0.5;
        exponent++;
    }
    volatile double rounded = magnitude + 0x1.8p52;
    uint32_t fraction = (uint32_t)(rounded - 0x1.8p52);
    uint32_t half = exponent * 1024 + fraction; /* a fraction of 1024..2048 carries the hidden bit */
    return (uint16_t)(sign | (half > 0x7c00 ? 0x7c00 : half));
}

static inline void naive_to_f16(const float *x, size_t dim, uint16_t *half) {
    for (size_t j = 0; j < dim; j++) half[j] = naive_half(x[j]);
}

/* ---- pack, transpose, scan, select ---- */

static inline uint32_t naive_bit(const uint8_t *record, uint32_t plane, size_t dim, size_t j) {
    return (uint32_t)record[plane * tq_layout_plane_bytes(dim) + j / 8] >> (j % 8) & 1u;
}

static inline void naive_pack(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits,
                              uint8_t *record) {
    uint32_t planes = code_bits + (sketch != NULL);
    for (size_t at = 0; at < planes * tq_layout_plane_bytes(dim); at++) {
        uint32_t plane = (uint32_t)(at / tq_layout_plane_bytes(dim)), byte = 0;
        for (uint32_t bit = 0; bit < 8; bit++) {
            size_t j = at % tq_layout_plane_bytes(dim) * 8 + bit;
            if (j >= dim) continue;
            byte |= (plane < code_bits ? (uint32_t)indices[j] >> (code_bits - 1 - plane) & 1u : sketch[j]) << bit;
        }
        record[at] = (uint8_t)byte;
    }
}

static inline void naive_transpose(const uint8_t *records, size_t stride, size_t row_count, uint32_t plane, size_t dim,
                                   uint8_t *block) {
    for (size_t at = 0; at < tq_layout_block_bytes(dim); at++) {
        uint32_t byte = 0;
        for (uint32_t bit = 0; bit < 8; bit++) {
            size_t j = at / 64 * 4 + bit % 4, row = at % 64 + (bit < 4 ? 0 : 64);
            if (j < dim && row < row_count) byte |= naive_bit(records + row * stride, plane, dim, j) << bit;
        }
        block[at] = (uint8_t)byte;
    }
}

static inline void naive_scan(const uint8_t *blocks, const uint32_t *list, size_t count, size_t groups,
                              const uint8_t *lut, uint16_t *sums, uint16_t *maxima) {
    for (size_t i = 0; i < count; i++) {
        size_t b = list ? list[i] : i;
        maxima[b] = 0;
        for (size_t row = 0; row < 128; row++) {
            uint32_t sum = 0;
            for (size_t g = 0; g < groups; g++) {
                uint32_t byte = blocks[(b * groups + g) * 64 + row % 64];
                sum += lut[16 * g + (row < 64 ? byte % 16 : byte / 16)];
            }
            sums[128 * b + row] = (uint16_t)sum;
            if (sum > maxima[b]) maxima[b] = (uint16_t)sum;
        }
    }
}

/* In 64 bits: nothing of it can wrap. */
static inline void naive_gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                              const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 128; row-- > 0;) {
        int64_t value = first[row] + second[row] / 2, line = query->base + (int64_t)inverse[row] * query->gain / 65536;
        line = (line > 65535 ? 65535 : line) - (int64_t)error[row] * query->loss / 65536;
        mask[row / 64] |= (uint64_t)((value > 65535 ? 65535 : value) >= line) << row % 64;
    }
}

static inline void naive_select(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]) {
    for (size_t half = 0; half < 2; half++) {
        mask[half] = 0;
        for (size_t row = 64; row-- > 0;) {
            unsigned value = sums[half * 64 + row] + (second ? second[half * 64 + row] / 2u : 0u);
            mask[half] = mask[half] << 1 | ((value > 65535 ? 65535 : value) >= threshold);
        }
    }
}

/* ---- tiles ---- */

/* The row that stands at place `at` of a tile's 128. */
static inline size_t naive_tile_row(size_t at) {
    size_t strip = at / 16, k = at % 16;
    return strip / 2 * 32 + k / 4 * 8 + strip % 2 * 4 + k % 4;
}

static inline uint32_t naive_block_bit(const uint8_t *block, size_t row, size_t j) {
    return (uint32_t)block[j / 4 * 64 + row % 64] >> (j % 4 + (row < 64 ? 0 : 4)) & 1u;
}

static inline void naive_unpack(const uint8_t *first, const uint8_t *second, size_t groups, uint8_t *tile) {
    size_t lines = (groups + 15) / 16 * 16;
    for (size_t at = 0; at < 8 * lines * 64; at++) {
        size_t row = naive_tile_row(at / (lines * 64) * 16 + at % 64 / 4), j = at / 64 % lines * 4 + at % 4;
        tile[at] = 0;
        if (j >= 4 * groups) continue;
        tile[at] = (uint8_t)(naive_block_bit(first, row, j) * 2 + naive_block_bit(second, row, j));
    }
}

static inline void naive_multiply(const uint8_t *tile, size_t groups, const int8_t *queries, size_t stride,
                                  size_t count, int32_t *sums) {
    size_t lines = (groups + 15) / 16 * 16;
    for (size_t i = 0; i < count * 128; i++) sums[i] = 0;
    for (size_t at = 0; at < 8 * lines * 64; at++) {
        size_t place = at / (lines * 64) * 16 + at % 64 / 4, j = at / 64 % lines * 4 + at % 4;
        for (size_t q = 0; q < count && j < 4 * groups; q++)
            sums[q * 128 + place] += queries[q * stride + j] * tile[at];
    }
}

static inline void naive_reach(const struct tq_gate_query *query, int32_t offset, const int32_t *sums,
                               const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t at = 0; at < 128; at++) {
        size_t row = naive_tile_row(at);
        int64_t value = ((int64_t)sums[at] + offset) / 2,
                line = query->base + (int64_t)inverse[row] * query->gain / 65536;
        line = (line > 65535 ? 65535 : line) - (int64_t)error[row] * query->loss / 65536;
        mask[row / 64] |= (uint64_t)((value > 65535 ? 65535 : value) >= line) << row % 64;
    }
}

/* ---- sign_dots, refine, score, dots ---- */

static inline void naive_sign_dots(const int8_t *query, size_t dim, uint32_t plane, const uint8_t *const *records,
                                   size_t count, int32_t *dots) {
    for (size_t i = 0; i < count; i++) {
        dots[i] = 0;
        for (size_t j = 0; j < dim; j++) {
            dots[i] += query[j] * (2 * (int32_t)naive_bit(records[i], plane, dim, j) - 1);
        }
    }
}

static inline struct tq_code_dots naive_code_dots(const struct tq_code_query *query, const uint8_t *record) {
    int64_t code = 0, sketch = 0;
    for (size_t j = 0; j < query->dim; j++) {
        uint32_t index = 0;
        for (uint32_t p = 0; p < query->code_bits; p++) {
            index += naive_bit(record, p, query->dim, j) << (query->code_bits - 1 - p);
        }
        code += (int64_t)query->query[j] * query->centroids[index];
        if (!query->sketch) continue;
        int64_t sign = naive_bit(record, query->code_bits, query->dim, j) ? 1 : -1;
        sketch += sign * query->sketch_query[j];
    }
    return (struct tq_code_dots){(int32_t)code, (int32_t)sketch};
}

static inline void naive_refine(const struct tq_code_query *query, const uint8_t *const *records, size_t count,
                                struct tq_code_dots *dots) {
    for (size_t i = 0; i < count; i++) dots[i] = naive_code_dots(query, records[i]);
}

static inline void naive_score(const struct tq_code_query *query, const uint8_t *records, size_t stride, size_t count,
                               struct tq_code_dots *dots) {
    for (size_t i = 0; i < count; i++) dots[i] = naive_code_dots(query, records + i * stride);
}

static inline double naive_dot_f32(const float *query, const float *x, size_t dim) {
    double lanes[16];
    for (size_t lane = 0; lane < 16; lane++) {
        lanes[lane] = 0;
        for (size_t j = lane; j < dim; j += 16) lanes[lane] += (double)query[j] * (double)x[j];
    }
    return naive_lane(lanes, 0, 1);
}

/* A half is exactly sign * fraction * 2^exponent. */
static inline double naive_dot_f16(const float *query, const uint16_t *x, size_t dim) {
    static float wide[65536];
    for (size_t j = 0; j < dim; j++) {
        uint32_t exponent = x[j] >> 10 & 31u, fraction = x[j] & 1023u;
        double value = exponent == 0 ? fraction : fraction + 1024u;
        for (uint32_t e = 1; e < exponent; e++) value *= 2;
        wide[j] = (float)(x[j] >> 15 ? -value * 0x1p-24 : value * 0x1p-24);
    }
    return naive_dot_f32(query, wide, dim);
}

static const struct tq_kernels naive_kernels = {
    .name = "naive",
    .rotate = naive_rotate,
    .hadamard = naive_hadamard,
    .quantize = naive_quantize,
    .sketch = naive_sketch,
    .sketch_dot = naive_sketch_dot,
    .pack = naive_pack,
    .transpose = naive_transpose,
    .scan = naive_scan,
    .select = naive_select,
    .gate = naive_gate,
    .unpack = naive_unpack,
    .multiply = naive_multiply,
    .reach = naive_reach,
    .sign_dots = naive_sign_dots,
    .refine = naive_refine,
    .score = naive_score,
    .dot_f32 = naive_dot_f32,
    .dot_f16 = naive_dot_f16,
    .to_f16 = naive_to_f16,
};

#endif
