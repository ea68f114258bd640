/* From rotated rows to codes, 8 floats a vector: the 16 lanes of the fixed order are two vectors.
 *
 * The index is found by binary search, one bit a step, on all lanes at once. The first (up to 3) steps look
 * up a register of every 2^(bits - 3)th threshold with vpermps; the rest gather from memory.
 * Used       vpermps (p5), vcmpps (p01), vpand, vpaddd (p015); vgatherdps beyond 3 bits.
 * Per 8      5 operations a step and about 15 others: at 3 bits 30 on ports 0, 1 and 5, 10 cycles. Beyond
 *            3 bits a gather a step and one for the centroid, each waiting for the one before.
 * Bound      ports 0, 1 and 5 up to 3 bits; beyond, the latency of gathers, about 15 cycles each with the
 *            vectors that overlap. sketch 9 operations per 8, sketch_dot 7, to_f16 3: the same ports. No input is
 *            padded: tails are masked. */
#include <immintrin.h>
#include <string.h>

#include "kernels/impl.h"

enum { LANES = 8, TABLE_BITS = 3 };

static inline __m256i first_lanes(size_t n) {
    static const int32_t window[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(window + LANES - (n < LANES ? n : LANES)));
}

/* Sums of the fixed order: lanes 0..7 and 8..15. */
struct lanes {
    __m256 halves[2];
};

static inline void add_lanes(struct lanes *lanes, int half, __m256 terms_f32x8) {
    lanes->halves[half] = _mm256_add_ps(lanes->halves[half], terms_f32x8);
}

static inline float fold(struct lanes lanes) {
    __m256 lanes_f32x8 = _mm256_add_ps(lanes.halves[0], lanes.halves[1]);
    __m128 lanes_f32x4 = _mm_add_ps(_mm256_castps256_ps128(lanes_f32x8), _mm256_extractf128_ps(lanes_f32x8, 1));
    __m128 lanes_f32x2 = _mm_add_ps(lanes_f32x4, _mm_movehl_ps(lanes_f32x4, lanes_f32x4));
    return _mm_cvtss_f32(_mm_add_ss(lanes_f32x2, _mm_movehdup_ps(lanes_f32x2)));
}

/* The low byte of each of the first n lanes. */
static inline void store_bytes(__m256i lanes_u32x8, size_t n, uint8_t *to) {
    __m128i words_u16x8 = _mm_packus_epi32(_mm256_castsi256_si128(lanes_u32x8),
                                           _mm256_extracti128_si256(lanes_u32x8, 1));
    uint64_t bytes = (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(words_u16x8, words_u16x8));
    if (n >= LANES) {
        memcpy(to, &bytes, LANES);
    } else {
        memcpy(to, &bytes, n);
    }
}

struct search {
    unsigned table_bits, shift; /* code_bits = table_bits + shift */
    __m256 table, centroids;    /* every 2^shift-th threshold; centroids if there are at most 8 */
};

static inline struct search search_init(const struct tq_quantizer *quantizer, unsigned table_bits, unsigned shift) {
    float table[LANES] = {0};
    for (unsigned i = 1; i < 1u << table_bits; i++) table[i - 1] = quantizer->thresholds[(i << shift) - 1];
    return (struct search){table_bits, shift, _mm256_loadu_ps(table),
                           _mm256_maskload_ps(quantizer->centroids, first_lanes((size_t)1 << table_bits))};
}

static inline __m256i advance(__m256i index_u32x8, __m256 value, __m256 threshold, unsigned step) {
    __m256i above = _mm256_castps_si256(_mm256_cmp_ps(value, threshold, _CMP_GE_OQ));
    return _mm256_add_epi32(index_u32x8, _mm256_and_si256(above, _mm256_set1_epi32((int)step)));
}

/* Lanes beyond dim search for 0, so that their gathers stay within the tables too. */
static inline __attribute__((always_inline)) __m256i find(const struct search *search,
                                                          const struct tq_quantizer *quantizer, __m256 value) {
    __m256i index_u32x8 = _mm256_setzero_si256();
    for (unsigned step = 1u << search->table_bits >> 1; step > 0; step >>= 1) {
        __m256i probe = _mm256_add_epi32(index_u32x8, _mm256_set1_epi32((int)step - 1));
        __m256 threshold = _mm256_permutevar8x32_ps(search->table, probe);
        index_u32x8 = advance(index_u32x8, value, threshold, step);
    }
    index_u32x8 = _mm256_sll_epi32(index_u32x8, _mm_cvtsi32_si128((int)search->shift));
    for (unsigned step = 1u << search->shift >> 1; step > 0; step >>= 1) {
        __m256 threshold = _mm256_i32gather_ps(quantizer->thresholds + step - 1, index_u32x8, 4);
        index_u32x8 = advance(index_u32x8, value, threshold, step);
    }
    return index_u32x8;
}

struct row {
    const struct tq_quantizer *quantizer;
    const float *x;
    float scale;
    uint8_t *indices;
    struct lanes dot, norm;
};

/* Elements j..j + 7, which are a half of the lanes. */
static inline __attribute__((always_inline)) void quantize_half(struct row *row, const struct search *search, size_t j,
                                                                int half) {
    size_t left = row->quantizer->dim - j;
    __m256i used = first_lanes(left);
    __m256 x_f32x8 = _mm256_maskload_ps(row->x + j, used);
    __m256 value = _mm256_mul_ps(x_f32x8, _mm256_set1_ps(row->scale));
    __m256i index_u32x8 = find(search, row->quantizer, value);
    __m256 centroid = search->shift == 0 ? _mm256_permutevar8x32_ps(search->centroids, index_u32x8)
                                         : _mm256_i32gather_ps(row->quantizer->centroids, index_u32x8, 4);
    centroid = _mm256_and_ps(centroid, _mm256_castsi256_ps(used)); /* +0 beyond dim changes no lane */
    store_bytes(index_u32x8, left, row->indices + j);
    add_lanes(&row->dot, half, _mm256_mul_ps(centroid, x_f32x8));
    add_lanes(&row->norm, half, _mm256_mul_ps(centroid, centroid));
}

static inline __attribute__((always_inline)) void quantize_row(struct row *row, unsigned table_bits, unsigned shift) {
    const struct search search = search_init(row->quantizer, table_bits, shift);
    for (size_t j = 0; j < row->quantizer->dim; j += 2 * LANES) {
        quantize_half(row, &search, j, 0);
        if (j + LANES < row->quantizer->dim) quantize_half(row, &search, j + LANES, 1);
    }
}

static void quantize(const struct tq_quantizer *quantizer, const float *x, float scale, uint8_t *indices,
                     struct tq_quantized_sums *sums) {
    __m256 zero = _mm256_setzero_ps();
    struct lanes none = {{zero, zero}};
    struct row row = {quantizer, x, scale, indices, none, none};
    switch (quantizer->code_bits) { /* constants, so that the search is unrolled */
    case 1: quantize_row(&row, 1, 0); break;
    case 2: quantize_row(&row, 2, 0); break;
    case 3: quantize_row(&row, 3, 0); break;
    default: quantize_row(&row, TABLE_BITS, quantizer->code_bits - TABLE_BITS); break;
    }
    sums->dot = fold(row.dot);
    sums->norm = fold(row.norm);
}

static inline void sketch_half(struct lanes *lanes, int half, const float *x, size_t left, uint8_t *sketch_bits) {
    __m256 x_f32x8 = _mm256_maskload_ps(x, first_lanes(left));
    __m256i positive = _mm256_castps_si256(_mm256_cmp_ps(x_f32x8, _mm256_setzero_ps(), _CMP_GE_OQ));
    store_bytes(_mm256_srli_epi32(positive, 31), left, sketch_bits);
    add_lanes(lanes, half, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x_f32x8));
}

static float sketch(const float *x, size_t dim, uint8_t *sketch_bits) {
    struct lanes lanes = {{_mm256_setzero_ps(), _mm256_setzero_ps()}};
    for (size_t j = 0; j < dim; j += 2 * LANES) {
        size_t next = j + LANES;
        sketch_half(&lanes, 0, x + j, dim - j, sketch_bits + j);
        if (next < dim) sketch_half(&lanes, 1, x + next, dim - next, sketch_bits + next);
    }
    return fold(lanes);
}

/* Lanes beyond dim add -0, which changes no lane: none is ever -0. */
static inline void sketch_dot_half(struct lanes *lanes, int half, const float *x, size_t left,
                                   const uint8_t *sketch_bits) {
    uint64_t bytes = 0;
    if (left >= LANES) {
        memcpy(&bytes, sketch_bits, LANES);
    } else {
        memcpy(&bytes, sketch_bits, left);
    }
    __m256i bits_u32x8 = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
    __m256i negative = _mm256_cmpeq_epi32(bits_u32x8, _mm256_setzero_si256());
    __m256 minus = _mm256_castsi256_ps(_mm256_slli_epi32(negative, 31));
    add_lanes(lanes, half, _mm256_xor_ps(_mm256_maskload_ps(x, first_lanes(left)), minus));
}

static float sketch_dot(const float *x, const uint8_t *sketch_bits, size_t dim) {
    struct lanes lanes = {{_mm256_setzero_ps(), _mm256_setzero_ps()}};
    for (size_t j = 0; j < dim; j += 2 * LANES) {
        size_t next = j + LANES;
        sketch_dot_half(&lanes, 0, x + j, dim - j, sketch_bits + j);
        if (next < dim) sketch_dot_half(&lanes, 1, x + next, dim - next, sketch_bits + next);
    }
    return fold(lanes);
}

static void to_f16(const float *x, size_t dim, uint16_t *half) {
    for (size_t j = 0; j < dim; j += LANES) {
        __m256 x_f32x8 = _mm256_maskload_ps(x + j, first_lanes(dim - j));
        __m128i half_f16x8 = _mm256_cvtps_ph(x_f32x8, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        uint16_t padded[LANES];
        if (dim - j >= LANES) {
            _mm_storeu_si128((__m128i *)(half + j), half_f16x8);
        } else {
            _mm_storeu_si128((__m128i *)padded, half_f16x8);
            memcpy(half + j, padded, (dim - j) * sizeof *half);
        }
    }
}

const struct tq_quantize_impl tq_quantize_avx2 = {
    .quantize = quantize, .sketch = sketch, .sketch_dot = sketch_dot, .to_f16 = to_f16};
