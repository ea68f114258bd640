/* The gate, 32 rows at a time.
 *
 * Used       vpmulhuw, vpsrlw (p0), vpaddusw, vpsubusw (p05), vpcmpuw (p5), 4 loads a step.
 * Bound      ports: 7 operations on two of them for 32 rows, 14 cycles a block of 1 KiB. */
#include <immintrin.h>

#include "kernels/impl.h"

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]) {
    __m512i base_u16x32 = _mm512_set1_epi16((short)query->base), gain_u16x32 = _mm512_set1_epi16((short)query->gain);
    __m512i loss_u16x32 = _mm512_set1_epi16((short)query->loss);
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row += 32) {
        __m512i half_u16x32 = _mm512_srli_epi16(_mm512_loadu_si512(second + row), 1);
        __m512i value_u16x32 = _mm512_adds_epu16(_mm512_loadu_si512(first + row), half_u16x32);
        __m512i rise_u16x32 = _mm512_mulhi_epu16(_mm512_loadu_si512(inverse + row), gain_u16x32);
        __m512i fall_u16x32 = _mm512_mulhi_epu16(_mm512_loadu_si512(error + row), loss_u16x32);
        __m512i line_u16x32 = _mm512_subs_epu16(_mm512_adds_epu16(base_u16x32, rise_u16x32), fall_u16x32);
        mask[row / 64] |= (uint64_t)_mm512_cmpge_epu16_mask(value_u16x32, line_u16x32) << row % 64;
    }
}

const struct tq_gate_impl tq_gate_avx512 = {.gate = gate};
