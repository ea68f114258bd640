/* From rotated rows to codes, 4 floats a vector: the 16 lanes of the fixed order are four vectors.
 *
 * The index is the count of thresholds that a value reaches: up to 4 bits each is compared with, beyond every
 * 2^(bits - 4)-th, and a binary search of single values finds the rest.
 * Used       cmpps, addps, mulps (p01), psubd (p015), movss and punpck (p5) to gather centroids.
 * Per 4      2 operations a threshold of the table, 7 of which 3 unpacks for the centroids and 6 for the sums.
 * Bound      ports 0, 1 and 5 up to 4 bits: 27 operations at 3 bits, 9 cycles per 4; beyond, the latency of the
 *            search, about 10 cycles a step with the elements that overlap. No input is padded: tails are copied.
 *            sketch and sketch_dot 5 operations per 4, to_f16 20: the same ports. */
#include <string.h>
#include <tmmintrin.h>

#include "kernels/impl.h"

enum { LANES = 4, TERMS = 16, VECTORS = TERMS / LANES, TABLE_BITS = 4, TABLE_MAX = (1 << TABLE_BITS) - 1 };

/* Sums of the fixed order. */
struct lanes {
    __m128 quarters[VECTORS];
};

static inline struct lanes lanes_none(void) {
    __m128 zero = _mm_setzero_ps();
    return (struct lanes){{zero, zero, zero, zero}};
}

static inline float fold(const struct lanes *lanes) {
    __m128 first = _mm_add_ps(lanes->quarters[0], lanes->quarters[2]);
    __m128 sums_f32x4 = _mm_add_ps(first, _mm_add_ps(lanes->quarters[1], lanes->quarters[3]));
    __m128 sums_f32x2 = _mm_add_ps(sums_f32x4, _mm_movehl_ps(sums_f32x4, sums_f32x4));
    return _mm_cvtss_f32(_mm_add_ss(sums_f32x2, _mm_shuffle_ps(sums_f32x2, sums_f32x2, 1)));
}

static inline void add_lanes(struct lanes *lanes, size_t quarter, __m128 terms_f32x4) {
    lanes->quarters[quarter] = _mm_add_ps(lanes->quarters[quarter], terms_f32x4);
}

/* The low byte of 16 lanes. */
static inline __m128i narrow(const __m128i *lanes_u32x4) {
    __m128i low_u16x8 = _mm_packs_epi32(lanes_u32x4[0], lanes_u32x4[1]);
    return _mm_packus_epi16(low_u16x8, _mm_packs_epi32(lanes_u32x4[2], lanes_u32x4[3]));
}

struct search {
    const struct tq_quantizer *quantizer;
    float scale;
    unsigned table_bits, shift; /* code_bits = table_bits + shift */
    __m128 table[TABLE_MAX];    /* every 2^shift-th threshold, in all lanes */
    struct lanes dot, norm;
};

static inline void search_init(struct search *search, unsigned table_bits) {
    search->table_bits = table_bits;
    search->shift = search->quantizer->code_bits - table_bits;
    for (unsigned i = 1; i < 1u << table_bits; i++) {
        search->table[i - 1] = _mm_set1_ps(search->quantizer->thresholds[(i << search->shift) - 1]);
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
static inline __attribute__((always_inline)) __m128i quantize_4(struct search *search, size_t quarter, __m128 x_f32x4,
                                                                __m128 used, unsigned table_bits) {
    const float *centroids = search->quantizer->centroids;
    __m128 value = _mm_mul_ps(x_f32x4, _mm_set1_ps(search->scale));
    __m128i index_u32x4 = _mm_setzero_si128();
    unsigned thresholds = (1u << table_bits) - 1;
    uint32_t indices[LANES];
#pragma GCC unroll 15
    for (unsigned i = 0; i < thresholds; i++) {
        index_u32x4 = _mm_sub_epi32(index_u32x4, _mm_castps_si128(_mm_cmpge_ps(value, search->table[i])));
    }
    _mm_storeu_si128((__m128i *)indices, index_u32x4);
    if (search->shift > 0) {
        float values[LANES];
        _mm_storeu_ps(values, value);
        search_on(search, values, indices);
        index_u32x4 = _mm_loadu_si128((const __m128i *)indices);
    }
    __m128 centroid = _mm_and_ps(
        used, _mm_setr_ps(centroids[indices[0]], centroids[indices[1]], centroids[indices[2]], centroids[indices[3]]));
    add_lanes(&search->dot, quarter, _mm_mul_ps(centroid, x_f32x4));
    add_lanes(&search->norm, quarter, _mm_mul_ps(centroid, centroid));
    return index_u32x4;
}

/* All bits in the first n of 16 lanes, quarter by quarter. */
static inline __m128 first_lanes(size_t n, size_t quarter) {
    static const uint32_t window[2 * LANES] = {~0u, ~0u, ~0u, ~0u};
    size_t left = n < quarter * LANES ? 0 : n - quarter * LANES;
    return _mm_loadu_ps((const float *)(const void *)(window + LANES - (left < LANES ? left : LANES)));
}

static inline __attribute__((always_inline)) void quantize_16(struct search *search, const float *x, size_t n,
                                                              uint8_t *indices, unsigned table_bits) {
    __m128i index_u32x4[VECTORS];
#pragma GCC unroll 4
    for (size_t q = 0; q < VECTORS; q++) {
        __m128 used = n < TERMS ? first_lanes(n, q) : _mm_castsi128_ps(_mm_set1_epi32(-1));
        index_u32x4[q] = quantize_4(search, q, _mm_loadu_ps(x + q * LANES), used, table_bits);
    }
    _mm_storeu_si128((__m128i *)indices, narrow(index_u32x4));
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
    __m128i positive_u32x4[VECTORS];
#pragma GCC unroll 4
    for (size_t q = 0; q < VECTORS; q++) {
        __m128 x_f32x4 = _mm_loadu_ps(x + q * LANES);
        positive_u32x4[q] = _mm_srli_epi32(_mm_castps_si128(_mm_cmpge_ps(x_f32x4, _mm_setzero_ps())), 31);
        add_lanes(lanes, q, _mm_andnot_ps(_mm_set1_ps(-0.0f), x_f32x4));
    }
    _mm_storeu_si128((__m128i *)sketch_bits, narrow(positive_u32x4));
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
    __m128i zero = _mm_setzero_si128(), bits_u8x16 = _mm_loadu_si128((const __m128i *)sketch_bits);
    __m128i negative = _mm_cmpeq_epi8(bits_u8x16, zero);
    __m128i low_u16x8 = _mm_unpacklo_epi8(zero, negative), high_u16x8 = _mm_unpackhi_epi8(zero, negative);
    __m128i signs[VECTORS] = {_mm_unpacklo_epi16(zero, low_u16x8), _mm_unpackhi_epi16(zero, low_u16x8),
                              _mm_unpacklo_epi16(zero, high_u16x8), _mm_unpackhi_epi16(zero, high_u16x8)};
#pragma GCC unroll 4
    for (size_t q = 0; q < VECTORS; q++) {
        __m128 minus = _mm_and_ps(_mm_castsi128_ps(signs[q]), _mm_set1_ps(-0.0f));
        add_lanes(lanes, q, _mm_xor_ps(_mm_loadu_ps(x + q * LANES), minus));
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

static inline __m128i choose(__m128i mask, __m128i yes, __m128i no) {
    return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}

/* The cases of tq_f16_from_f32(); the halves of 4 floats in the low words, sign-extended so that packssdw keeps
 * them. */
static inline __m128i halves_4(__m128 x_f32x4) {
    __m128i bits = _mm_castps_si128(x_f32x4), rest = _mm_and_si128(bits, _mm_set1_epi32(0x7fffffff));
    __m128i shifted = _mm_castps_si128(_mm_add_ps(_mm_castsi128_ps(rest), _mm_set1_ps(0.5f)));
    __m128i subnormal = _mm_sub_epi32(shifted, _mm_set1_epi32(0x3f000000));
    __m128i odd = _mm_srli_epi32(_mm_slli_epi32(rest, 18), 31); /* bit 13 decides a tie */
    __m128i rounded = _mm_add_epi32(_mm_add_epi32(rest, _mm_set1_epi32(0xfff)), odd);
    __m128i normal = _mm_sub_epi32(_mm_srli_epi32(rounded, 13), _mm_set1_epi32(0x1c000));
    __m128i half = choose(_mm_cmplt_epi32(rest, _mm_set1_epi32(0x38800000)), subnormal, normal);
    __m128i nan = _mm_srli_epi32(_mm_cmpgt_epi32(rest, _mm_set1_epi32(0x7f800000)), 31);
    __m128i special = _mm_or_si128(_mm_set1_epi32(0x7c00), _mm_slli_epi32(nan, 9));
    half = choose(_mm_cmpgt_epi32(rest, _mm_set1_epi32(0x477fefff)), special, half);
    __m128i sign = _mm_and_si128(_mm_srai_epi32(bits, 16), _mm_set1_epi32((int)0xffff8000));
    return _mm_or_si128(half, sign);
}

static inline __m128i halves_8(const float *x) {
    return _mm_packs_epi32(halves_4(_mm_loadu_ps(x)), halves_4(_mm_loadu_ps(x + LANES)));
}

static void to_f16(const float *x, size_t dim, uint16_t *half) {
    enum { STEP = 2 * LANES };
    size_t j = 0;
    for (; j + STEP <= dim; j += STEP) _mm_storeu_si128((__m128i *)(void *)(half + j), halves_8(x + j));
    if (j < dim) {
        float padded[STEP] = {0};
        uint16_t last[STEP];
        memcpy(padded, x + j, (dim - j) * sizeof *x);
        _mm_storeu_si128((__m128i *)(void *)last, halves_8(padded));
        memcpy(half + j, last, (dim - j) * sizeof *half);
    }
}

const struct tq_quantize_impl tq_quantize_ssse3 = {
    .quantize = quantize, .sketch = sketch, .sketch_dot = sketch_dot, .to_f16 = to_f16};
