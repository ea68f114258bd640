/* The gate, 8 rows at a time. 1 KiB a block: two planes' sums and the rows' scalars; some 20 operations for 8 rows,
 * so ports bind (about 90 cycles a block), not memory. */
#include <immintrin.h>

#include "kernels/impl.h"

/* The low halves of 8 dwords as floats. */
static inline __m256 floats_of(__m256i halves_u32x8) {
    __m256i packed_u16x16 = _mm256_packus_epi32(halves_u32x8, halves_u32x8);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed_u16x16, 0x08)));
}

static inline uint32_t gate_8(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                              const uint16_t *scalars) {
    __m256i first_i32x8 = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)first));
    __m256i second_i32x8 = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)second));
    __m256i sums_i32x8 = _mm256_add_epi32(_mm256_slli_epi32(first_i32x8, 2), _mm256_slli_epi32(second_i32x8, 1));
    __m256i values_i32x8 = _mm256_sub_epi32(sums_i32x8, _mm256_set1_epi32(query->base));
    __m256 values_f32x8 = _mm256_mul_ps(_mm256_cvtepi32_ps(values_i32x8), _mm256_set1_ps(query->unit));
    __m256i pairs_u32x8 = _mm256_loadu_si256((const __m256i *)(const void *)scalars);
    __m256 scale_f32x8 = floats_of(_mm256_and_si256(pairs_u32x8, _mm256_set1_epi32(0xffff)));
    __m256 error_f32x8 = floats_of(_mm256_srli_epi32(pairs_u32x8, 16));
    __m256 square_f32x8 = _mm256_mul_ps(_mm256_set1_ps(0.5f), _mm256_mul_ps(error_f32x8, error_f32x8));
    __m256 slack_f32x8 = _mm256_mul_ps(_mm256_set1_ps(query->slack), _mm256_add_ps(_mm256_set1_ps(1.0f), square_f32x8));
    __m256 estimate_f32x8 = _mm256_add_ps(_mm256_mul_ps(values_f32x8, scale_f32x8), slack_f32x8);
    __m256 kappa_f32x8 = _mm256_mul_ps(_mm256_set1_ps(query->kappa), error_f32x8);
    __m256 limit_f32x8 = _mm256_sub_ps(_mm256_set1_ps(query->bar), kappa_f32x8);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(estimate_f32x8, limit_f32x8, _CMP_NLT_UQ));
}

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *scalars, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row += 8) {
        mask[row / 64] |= (uint64_t)gate_8(query, first + row, second + row, scalars + 2 * row) << row % 64;
    }
}

const struct tq_gate_impl tq_gate_avx2 = {.gate = gate};
