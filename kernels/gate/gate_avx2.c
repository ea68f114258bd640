/* The gate, 32 rows at a time as two vectors of 16.
 *
 * Used       vpmulhuw, vpsrlw (p01), vpaddusw, vpsubusw, vpmaxuw, vpcmpeqw (p01, p015), vpacksswb (p5).
 * Bound      ports: 19 operations on three of them for 32 rows, 25 cycles a block of 1 KiB. */
#include <immintrin.h>

#include "kernels/impl.h"

/* All ones in the words of rows that pass. */
static inline __m256i gate_16(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                              const uint16_t *inverse, const uint16_t *error) {
    __m256i first_u16x16 = _mm256_loadu_si256((const __m256i *)(const void *)first);
    __m256i second_u16x16 = _mm256_loadu_si256((const __m256i *)(const void *)second);
    __m256i inverse_u16x16 = _mm256_loadu_si256((const __m256i *)(const void *)inverse);
    __m256i error_u16x16 = _mm256_loadu_si256((const __m256i *)(const void *)error);
    __m256i value_u16x16 = _mm256_adds_epu16(first_u16x16, _mm256_srli_epi16(second_u16x16, 1));
    __m256i rise_u16x16 = _mm256_mulhi_epu16(inverse_u16x16, _mm256_set1_epi16((short)query->gain));
    __m256i fall_u16x16 = _mm256_mulhi_epu16(error_u16x16, _mm256_set1_epi16((short)query->loss));
    __m256i line_u16x16 = _mm256_subs_epu16(_mm256_adds_epu16(_mm256_set1_epi16((short)query->base), rise_u16x16),
                                            fall_u16x16);
    return _mm256_cmpeq_epi16(_mm256_max_epu16(value_u16x16, line_u16x16), value_u16x16);
}

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row += 32) {
        __m256i low_i16x16 = gate_16(query, first + row, second + row, inverse + row, error + row);
        size_t next = row + 16;
        __m256i high_i16x16 = gate_16(query, first + next, second + next, inverse + next, error + next);
        __m256i bytes_i8x32 = _mm256_permute4x64_epi64(_mm256_packs_epi16(low_i16x16, high_i16x16), 0xd8);
        mask[row / 64] |= (uint64_t)(uint32_t)_mm256_movemask_epi8(bytes_i8x32) << row % 64;
    }
}

const struct tq_gate_impl tq_gate_avx2 = {.gate = gate};
