/* The gate, 16 rows at a time. 1 KiB a block: two planes' sums and the rows' scalars; some 18 operations for 16 rows,
 * so ports bind (about 75 cycles a block), not memory. */
#include <immintrin.h>

#include "kernels/impl.h"

static inline uint32_t gate_16(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                               const uint16_t *scalars) {
    __m512i first_i32x16 = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)first));
    __m512i second_i32x16 = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)second));
    __m512i sums_i32x16 = _mm512_add_epi32(_mm512_slli_epi32(first_i32x16, 2), _mm512_slli_epi32(second_i32x16, 1));
    __m512i values_i32x16 = _mm512_sub_epi32(sums_i32x16, _mm512_set1_epi32(query->base));
    __m512 values_f32x16 = _mm512_mul_ps(_mm512_cvtepi32_ps(values_i32x16), _mm512_set1_ps(query->unit));
    __m512i pairs_u32x16 = _mm512_loadu_si512(scalars);
    __m512 scale_f32x16 = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs_u32x16));
    __m512 error_f32x16 = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs_u32x16, 16)));
    __m512 square_f32x16 = _mm512_mul_ps(_mm512_set1_ps(0.5f), _mm512_mul_ps(error_f32x16, error_f32x16));
    __m512 slack_f32x16 = _mm512_mul_ps(_mm512_set1_ps(query->slack),
                                        _mm512_add_ps(_mm512_set1_ps(1.0f), square_f32x16));
    __m512 estimate_f32x16 = _mm512_add_ps(_mm512_mul_ps(values_f32x16, scale_f32x16), slack_f32x16);
    __m512 kappa_f32x16 = _mm512_mul_ps(_mm512_set1_ps(query->kappa), error_f32x16);
    __m512 limit_f32x16 = _mm512_sub_ps(_mm512_set1_ps(query->bar), kappa_f32x16);
    return _mm512_cmp_ps_mask(estimate_f32x16, limit_f32x16, _CMP_NLT_UQ);
}

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *scalars, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row += 16) {
        mask[row / 64] |= (uint64_t)gate_16(query, first + row, second + row, scalars + 2 * row) << row % 64;
    }
}

const struct tq_gate_impl tq_gate_avx512 = {.gate = gate};
