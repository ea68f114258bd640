/* The gate, 16 rows at a time as two vectors of 8.
 *
 * Used       pmulhuw, psrlw (p01), paddusw, psubusw, pcmpeqw (p01), packsswb (p5). pmaxuw is of SSE4.1, so a row
 *            that reaches its line is one from which nothing of the line is left.
 * Bound      ports: 18 operations on two of them for 16 rows, 72 cycles a block of 1 KiB. */
#include <tmmintrin.h>

#include "kernels/impl.h"

static inline __m128i load(const uint16_t *words) { return _mm_loadu_si128((const __m128i *)(const void *)words); }

/* All ones in the words of rows that pass. */
static inline __m128i gate_8(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                             const uint16_t *inverse, const uint16_t *error) {
    __m128i value_u16x8 = _mm_adds_epu16(load(first), _mm_srli_epi16(load(second), 1));
    __m128i rise_u16x8 = _mm_mulhi_epu16(load(inverse), _mm_set1_epi16((short)query->gain));
    __m128i fall_u16x8 = _mm_mulhi_epu16(load(error), _mm_set1_epi16((short)query->loss));
    __m128i line_u16x8 = _mm_subs_epu16(_mm_adds_epu16(_mm_set1_epi16((short)query->base), rise_u16x8), fall_u16x8);
    return _mm_cmpeq_epi16(_mm_subs_epu16(line_u16x8, value_u16x8), _mm_setzero_si128());
}

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row += 16) {
        size_t next = row + 8;
        __m128i low_i16x8 = gate_8(query, first + row, second + row, inverse + row, error + row);
        __m128i high_i16x8 = gate_8(query, first + next, second + next, inverse + next, error + next);
        uint32_t bits = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low_i16x8, high_i16x8));
        mask[row / 64] |= (uint64_t)bits << row % 64;
    }
}

const struct tq_gate_impl tq_gate_ssse3 = {.gate = gate};
