/* From rotated rows to codes, 16 floats a vector: the 16 lanes of the fixed order are one vector.
 *
 * The index is found by binary search, one bit a step, on all lanes at once. A table of up to 16 thresholds
 * is one register and vpermps looks it up. With more than 4 bits the first 4 steps search the register of
 * every 2^(bits - 4)th threshold, and the rest gather from memory.
 * Used       vpermps (p5), vcmpps into a mask (p5), masked vpaddd (p05); vgatherdps beyond 4 bits.
 * Per 16     3 operations a step and about 10 others: at 3 bits 19 on ports 0 and 5, 10 cycles. Beyond 4 bits
 *            a gather a step and one for the centroid, each waiting for the one before.
 * Bound      ports 0 and 5 up to 4 bits; beyond, the latency of gathers, about 25 cycles each with the
 *            vectors that overlap. sketch 6 operations per 16, sketch_dot 5, to_f16 3: ports 0 and 5. No input is
 *            padded: tails are masked. */
#include <immintrin.h>

#include "kernels/impl.h"

enum { LANES = 16, TABLE_BITS = 4 };

static inline __mmask16 first_lanes(size_t n) {
    return (__mmask16)_bzhi_u32(0xffff, (unsigned)(n < LANES ? n : LANES));
}

static inline float fold(__m512 lanes_f32x16) {
    __m256 lanes_f32x8 = _mm256_add_ps(_mm512_castps512_ps256(lanes_f32x16), _mm512_extractf32x8_ps(lanes_f32x16, 1));
    __m128 lanes_f32x4 = _mm_add_ps(_mm256_castps256_ps128(lanes_f32x8), _mm256_extractf128_ps(lanes_f32x8, 1));
    __m128 lanes_f32x2 = _mm_add_ps(lanes_f32x4, _mm_movehl_ps(lanes_f32x4, lanes_f32x4));
    return _mm_cvtss_f32(_mm_add_ss(lanes_f32x2, _mm_movehdup_ps(lanes_f32x2)));
}

/* Every 2^shift-th threshold, at most 15 of them. */
static inline __m512 load_table(const struct tq_quantizer *quantizer, unsigned shift) {
    unsigned entries = (1u << (quantizer->code_bits - shift)) - 1;
    __m512i lane_i32x16 = _mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    __m512i last_i32x16 = _mm512_sub_epi32(_mm512_sll_epi32(lane_i32x16, _mm_cvtsi32_si128((int)shift)),
                                           _mm512_set1_epi32(1));
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), first_lanes(entries), last_i32x16, quantizer->thresholds, 4);
}

static inline __m512i advance(__m512i index_u32x16, __m512 value, __m512 threshold, unsigned step) {
    __mmask16 above = _mm512_cmp_ps_mask(value, threshold, _CMP_GE_OQ);
    return _mm512_mask_add_epi32(index_u32x16, above, index_u32x16, _mm512_set1_epi32((int)step));
}

static inline __m512i search_table(__m512 value, __m512 table, unsigned bits) {
    __m512i index_u32x16 = _mm512_setzero_si512();
    for (unsigned step = 1u << bits >> 1; step > 0; step >>= 1) {
        __m512i probe = _mm512_add_epi32(index_u32x16, _mm512_set1_epi32((int)step - 1));
        index_u32x16 = advance(index_u32x16, value, _mm512_permutexvar_ps(probe, table), step);
    }
    return index_u32x16;
}

struct row {
    const float *x;
    float scale;
    uint8_t *indices;
    __m512 dot_f32x16, norm_f32x16;
};

static inline void add_codes(struct row *row, size_t j, __mmask16 used, __m512i index_u32x16, __m512 centroid) {
    __m512 x_f32x16 = _mm512_maskz_loadu_ps(used, row->x + j);
    __m512 product = _mm512_mul_ps(centroid, x_f32x16), square = _mm512_mul_ps(centroid, centroid);
    _mm512_mask_cvtepi32_storeu_epi8(row->indices + j, used, index_u32x16);
    row->dot_f32x16 = _mm512_mask_add_ps(row->dot_f32x16, used, row->dot_f32x16, product);
    row->norm_f32x16 = _mm512_mask_add_ps(row->norm_f32x16, used, row->norm_f32x16, square);
}

static inline __m512 scaled(const struct row *row, size_t j, __mmask16 used) {
    return _mm512_mul_ps(_mm512_maskz_loadu_ps(used, row->x + j), _mm512_set1_ps(row->scale));
}

static inline __attribute__((always_inline)) void quantize_short(const struct tq_quantizer *quantizer, struct row *row,
                                                                 unsigned bits) {
    __m512 table = load_table(quantizer, 0);
    __m512 centroids = _mm512_maskz_loadu_ps(first_lanes(1u << bits), quantizer->centroids);
    for (size_t j = 0; j < quantizer->dim; j += LANES) {
        __mmask16 used = first_lanes(quantizer->dim - j);
        __m512i index_u32x16 = search_table(scaled(row, j, used), table, bits);
        add_codes(row, j, used, index_u32x16, _mm512_permutexvar_ps(index_u32x16, centroids));
    }
}

/* Lanes beyond dim search for 0, so that their gathers stay within the tables too. */
static void quantize_long(const struct tq_quantizer *quantizer, struct row *row) {
    unsigned shift = quantizer->code_bits - TABLE_BITS;
    __m512 table = load_table(quantizer, shift);
    for (size_t j = 0; j < quantizer->dim; j += LANES) {
        __mmask16 used = first_lanes(quantizer->dim - j);
        __m512 value = scaled(row, j, used);
        __m512i index_u32x16 = _mm512_sll_epi32(search_table(value, table, TABLE_BITS), _mm_cvtsi32_si128((int)shift));
        for (unsigned step = 1u << shift >> 1; step > 0; step >>= 1) {
            __m512 threshold = _mm512_i32gather_ps(index_u32x16, quantizer->thresholds + step - 1, 4);
            index_u32x16 = advance(index_u32x16, value, threshold, step);
        }
        add_codes(row, j, used, index_u32x16, _mm512_i32gather_ps(index_u32x16, quantizer->centroids, 4));
    }
}

static void quantize(const struct tq_quantizer *quantizer, const float *x, float scale, uint8_t *indices,
                     struct tq_quantized_sums *sums) {
    struct row row = {x, scale, indices, _mm512_setzero_ps(), _mm512_setzero_ps()};
    switch (quantizer->code_bits) { /* constants, so that the search is unrolled */
    case 1: quantize_short(quantizer, &row, 1); break;
    case 2: quantize_short(quantizer, &row, 2); break;
    case 3: quantize_short(quantizer, &row, 3); break;
    case 4: quantize_short(quantizer, &row, 4); break;
    default: quantize_long(quantizer, &row); break;
    }
    sums->dot = fold(row.dot_f32x16);
    sums->norm = fold(row.norm_f32x16);
}

static float sketch(const float *x, size_t dim, uint8_t *sketch_bits) {
    __m512 lanes_f32x16 = _mm512_setzero_ps();
    for (size_t j = 0; j < dim; j += LANES) {
        __mmask16 used = first_lanes(dim - j);
        __m512 x_f32x16 = _mm512_maskz_loadu_ps(used, x + j);
        __mmask16 positive = _mm512_cmp_ps_mask(x_f32x16, _mm512_setzero_ps(), _CMP_GE_OQ);
        _mm_mask_storeu_epi8(sketch_bits + j, used, _mm_maskz_set1_epi8(positive, 1));
        lanes_f32x16 = _mm512_add_ps(lanes_f32x16, _mm512_abs_ps(x_f32x16));
    }
    return fold(lanes_f32x16);
}

/* Lanes beyond dim add +0 or -0, which changes no lane: none is ever -0. */
static float sketch_dot(const float *x, const uint8_t *sketch_bits, size_t dim) {
    __m512 lanes_f32x16 = _mm512_setzero_ps(), minus = _mm512_set1_ps(-0.0f);
    for (size_t j = 0; j < dim; j += LANES) {
        __mmask16 used = first_lanes(dim - j);
        __m512 x_f32x16 = _mm512_maskz_loadu_ps(used, x + j);
        __m128i bits_u8x16 = _mm_maskz_loadu_epi8(used, sketch_bits + j);
        __mmask16 negative = _mm_testn_epi8_mask(bits_u8x16, bits_u8x16);
        __m512 signed_f32x16 = _mm512_mask_xor_ps(x_f32x16, negative, x_f32x16, minus);
        lanes_f32x16 = _mm512_add_ps(lanes_f32x16, signed_f32x16);
    }
    return fold(lanes_f32x16);
}

static void to_f16(const float *x, size_t dim, uint16_t *half) {
    for (size_t j = 0; j < dim; j += LANES) {
        __mmask16 used = first_lanes(dim - j);
        __m512 x_f32x16 = _mm512_maskz_loadu_ps(used, x + j);
        __m256i half_f16x16 = _mm512_cvtps_ph(x_f32x16, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_mask_storeu_epi16(half + j, used, half_f16x16);
    }
}

const struct tq_quantize_impl tq_quantize_avx512 = {
    .quantize = quantize, .sketch = sketch, .sketch_dot = sketch_dot, .to_f16 = to_f16};
