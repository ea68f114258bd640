/* From rotated rows to codes, 4 floats a vector: the 16 lanes of the fixed order are four vectors.
 *
 * The index is the count of thresholds that a value reaches: up to 4 bits each is compared with, beyond every
 * 2^(bits - 4)-th, and a binary search of single values finds the rest.
 * Used       fcmge, sub, fadd, fmul, ld1 to lanes to gather centroids; fcvtn to round halves.
 * Per 4      2 operations a threshold of the table, 4 for the centroids and 6 for the sums.
 * Bound      vector pipes up to 4 bits: 24 operations at 3 bits, 12 cycles per 4 on two pipes, 6 on four; beyond,
 *            the latency of the search, about 10 cycles a step with the elements that overlap. No input is padded:
 *            tails are copied. sketch 4 operations per 4, sketch_dot 5, to_f16 1: the same pipes. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/impl.h"

enum { LANES = 4, TERMS = 16, VECTORS = TERMS / LANES, TABLE_BITS = 4, TABLE_MAX = (1 << TABLE_BITS) - 1 };

/* Sums of the fixed order. */
struct lanes {
    float32x4_t quarters[VECTORS];
};

static inline struct lanes lanes_none(void) {
    float32x4_t zero = vdupq_n_f32(0);
    return (struct lanes){{zero, zero, zero, zero}};
}

static inline float fold(const struct lanes *lanes) {
    float32x4_t first = vaddq_f32(lanes->quarters[0], lanes->quarters[2]);
    float32x4_t sums_f32x4 = vaddq_f32(first, vaddq_f32(lanes->quarters[1], lanes->quarters[3]));
    float32x2_t sums_f32x2 = vadd_f32(vget_low_f32(sums_f32x4), vget_high_f32(sums_f32x4));
    return vpadds_f32(sums_f32x2);
}

static inline void add_lanes(struct lanes *lanes, size_t quarter, float32x4_t terms_f32x4) {
    lanes->quarters[quarter] = vaddq_f32(lanes->quarters[quarter], terms_f32x4);
}

/* The low byte of 16 lanes. */
static inline uint8x16_t narrow(const uint32x4_t *lanes) {
    uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(lanes[0]), vreinterpretq_u16_u32(lanes[1]));
    uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(lanes[2]), vreinterpretq_u16_u32(lanes[3]));
    return vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
}

struct search {
    const struct tq_quantizer *quantizer;
    float scale;
    unsigned table_bits, shift;   /* code_bits = table_bits + shift */
    float32x4_t table[TABLE_MAX]; /* every 2^shift-th threshold, in all lanes */
    struct lanes dot, norm;
};

static inline void search_init(struct search *search, unsigned table_bits) {
    search->table_bits = table_bits;
    search->shift = search->quantizer->code_bits - table_bits;
    for (unsigned i = 1; i < 1u << table_bits; i++) {
        search->table[i - 1] = vdupq_n_f32(search->quantizer->thresholds[(i << search->shift) - 1]);
    }
    search->dot = search->norm = lanes_none();
}

/* The bits of the index that the table does not have, one a step. */
static inline void search_on(const struct search *search, const float *values, uint32_t *indices) {
    const float *thresholds = search->quantizer->thresholds;
    for (size_t i = 0; i < LANES; i++) {
        uint32_t index = indices[i] << search->shift;
        for (uint32_t step = 1u << search->shift >> 1; step > 0; step >>= 1) {
            index += (uint32_t)(values[i] >= thresholds[index + step - 1]) * step;
        }
        indices[i] = index;
    }
}

/* 4 elements; the indices of all 16 are collected by the caller. used: all bits where there is an element. */
static inline __attribute__((always_inline)) uint32x4_t quantize_4(struct search *search, size_t quarter, float32x4_t x,
                                                                   uint32x4_t used, unsigned table_bits) {
    const float *centroids = search->quantizer->centroids;
    float32x4_t value = vmulq_n_f32(x, search->scale);
    uint32x4_t index = vdupq_n_u32(0);
    unsigned thresholds = (1u << table_bits) - 1;
    uint32_t indices[LANES];
#pragma GCC unroll 15
    for (unsigned i = 0; i < thresholds; i++) index = vsubq_u32(index, vcgeq_f32(value, search->table[i]));
    vst1q_u32(indices, index);
    if (search->shift > 0) {
        float values[LANES];
        vst1q_f32(values, value);
        search_on(search, values, indices);
        index = vld1q_u32(indices);
    }
    float32x4_t found = vld1q_dup_f32(centroids + indices[0]);
    found = vld1q_lane_f32(centroids + indices[1], found, 1);
    found = vld1q_lane_f32(centroids + indices[2], found, 2);
    found = vld1q_lane_f32(centroids + indices[3], found, 3);
    float32x4_t centroid = vreinterpretq_f32_u32(vandq_u32(used, vreinterpretq_u32_f32(found)));
    add_lanes(&search->dot, quarter, vmulq_f32(centroid, x));
    add_lanes(&search->norm, quarter, vmulq_f32(centroid, centroid));
    return index;
}

/* All bits in the first n of 16 lanes, quarter by quarter. */
static inline uint32x4_t first_lanes(size_t n, size_t quarter) {
    static const uint32_t window[2 * LANES] = {~0u, ~0u, ~0u, ~0u};
    size_t left = n < quarter * LANES ? 0 : n - quarter * LANES;
    return vld1q_u32(window + LANES - (left < LANES ? left : LANES));
}

static inline __attribute__((always_inline)) void quantize_16(struct search *search, const float *x, size_t n,
                                                              uint8_t *indices, unsigned table_bits) {
    uint32x4_t index[VECTORS];
#pragma GCC unroll 4
    for (size_t q = 0; q < VECTORS; q++) {
        uint32x4_t used = n < TERMS ? first_lanes(n, q) : vdupq_n_u32(~0u);
        index[q] = quantize_4(search, q, vld1q_f32(x + q * LANES), used, table_bits);
    }
    vst1q_u8(indices, narrow(index));
}

/* +0 beyond dim changes no lane: none is ever -0. */
static inline __attribute__((always_inline)) void quantize_row(struct search *search, const float *x, uint8_t *indices,
                                                               unsigned table_bits) {
    size_t dim = search->quantizer->dim, j = 0;
    search_init(search, table_bits);
    for (; j + TERMS <= dim; j += TERMS) quantize_16(search, x + j, TERMS, indices + j, table_bits);
    if (j < dim) {
        float padded[TERMS] = {0};
        uint8_t last[TERMS];
        memcpy(padded, x + j, (dim - j) * sizeof *x);
        quantize_16(search, padded, dim - j, last, table_bits);
        memcpy(indices + j, last, dim - j);
    }
}

static void quantize(const struct tq_quantizer *quantizer, const float *x, float scale, uint8_t *indices,
                     struct tq_quantized_sums *sums) {
    struct search search = {.quantizer = quantizer, .scale = scale};
    switch (quantizer->code_bits) { /* constants, so that the comparisons are unrolled */
    case 1: quantize_row(&search, x, indices, 1); break;
    case 2: quantize_row(&search, x, indices, 2); break;
    case 3: quantize_row(&search, x, indices, 3); break;
    default: quantize_row(&search, x, indices, TABLE_BITS); break;
    }
    sums->dot = fold(&search.dot);
    sums->norm = fold(&search.norm);
}

static inline void sketch_16(struct lanes *lanes, const float *x, uint8_t *sketch_bits) {
    uint32x4_t positive[VECTORS];
#pragma GCC unroll 4
    for (size_t q = 0; q < VECTORS; q++) {
        float32x4_t x_f32x4 = vld1q_f32(x + q * LANES);
        positive[q] = vcgezq_f32(x_f32x4);
        add_lanes(lanes, q, vabsq_f32(x_f32x4));
    }
    vst1q_u8(sketch_bits, vandq_u8(narrow(positive), vdupq_n_u8(1)));
}

static float sketch(const float *x, size_t dim, uint8_t *sketch_bits) {
    struct lanes lanes = lanes_none();
    size_t j = 0;
    for (; j + TERMS <= dim; j += TERMS) sketch_16(&lanes, x + j, sketch_bits + j);
    if (j < dim) {
        float padded[TERMS] = {0};
        uint8_t last[TERMS];
        memcpy(padded, x + j, (dim - j) * sizeof *x);
        sketch_16(&lanes, padded, last);
        memcpy(sketch_bits + j, last, dim - j);
    }
    return fold(&lanes);
}

/* Elements beyond dim add -0 or +0, which changes no lane: none is ever -0. */
static inline void sketch_dot_16(struct lanes *lanes, const float *x, const uint8_t *sketch_bits) {
    uint8x16_t negative = vceqzq_u8(vld1q_u8(sketch_bits));
    uint16x8_t words[2] = {vshll_n_u8(vget_low_u8(negative), 8), vshll_high_n_u8(negative, 8)};
#pragma GCC unroll 4
    for (size_t q = 0; q < VECTORS; q++) { /* the top bit of a dword is that of its byte */
        uint16x8_t pair = words[q / 2];
        uint32x4_t wide = q % 2 == 0 ? vshll_n_u16(vget_low_u16(pair), 16) : vshll_high_n_u16(pair, 16);
        uint32x4_t x_u32x4 = vreinterpretq_u32_f32(vld1q_f32(x + q * LANES));
        uint32x4_t flipped = veorq_u32(x_u32x4, vandq_u32(wide, vdupq_n_u32(0x80000000u)));
        add_lanes(lanes, q, vreinterpretq_f32_u32(flipped));
    }
}

static float sketch_dot(const float *x, const uint8_t *sketch_bits, size_t dim) {
    struct lanes lanes = lanes_none();
    size_t j = 0;
    for (; j + TERMS <= dim; j += TERMS) sketch_dot_16(&lanes, x + j, sketch_bits + j);
    if (j < dim) {
        float padded[TERMS] = {0};
        uint8_t last[TERMS] = {0};
        memcpy(padded, x + j, (dim - j) * sizeof *x);
        memcpy(last, sketch_bits + j, dim - j);
        sketch_dot_16(&lanes, padded, last);
    }
    return fold(&lanes);
}

static void to_f16(const float *x, size_t dim, uint16_t *half) {
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) vst1_u16(half + j, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + j))));
    if (j < dim) {
        float padded[LANES] = {0};
        uint16_t last[LANES];
        memcpy(padded, x + j, (dim - j) * sizeof *x);
        vst1_u16(last, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(padded))));
        memcpy(half + j, last, (dim - j) * sizeof *half);
    }
}

const struct tq_quantize_impl tq_quantize_neon = {
    .quantize = quantize, .sketch = sketch, .sketch_dot = sketch_dot, .to_f16 = to_f16};
