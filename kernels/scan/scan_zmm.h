/* The scan in 512-bit registers. Whoever includes this defines look_up() before:
 *
 *     static inline __m512i look_up(__m512i table_u8x64, __m512i bytes_u8x64);
 *
 * each byte's low nibble looked up in the table, which holds its 16 entries four times; high nibbles are anything.
 *
 *     64 bytes of a group   low nibbles: rows 0..63         high nibbles: rows 64..127
 *     look-up               u8 of each row; two groups are added as bytes (2 * 124 = 248 fits)
 *     sums as words         all = even byte + 256 * odd byte (mod 2^16), odd = all >> 8, step by step
 *     at the end            even row = all - (odd << 8), then interleave even and odd rows
 *
 * Keeping the odd bytes inside `all` saves an AND per step: what they add above is taken off once. */
#ifndef TQ_SCAN_ZMM_H
#define TQ_SCAN_ZMM_H

#include <immintrin.h>

#include "kernels/impl.h"

enum {
    BLOCK_ROWS = TQ_LAYOUT_BLOCK_ROWS,
    GROUP_BYTES = TQ_LAYOUT_GROUP_BYTES,
    NIBBLES = 16,
    AHEAD_GROUPS = 128, /* 8 KiB: about 600 cycles of work, the latency of a busy L3 */
};

/* Words as described above, of 64 rows. */
struct words {
    __m512i all_u16x32, odd_u16x32;
};

static inline __m512i load_table(const uint8_t *lut, size_t group) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(lut + group * NIBBLES)));
}

static inline struct words add_bytes(struct words words, __m512i bytes_u8x64) {
    words.all_u16x32 = _mm512_add_epi16(words.all_u16x32, bytes_u8x64);
    words.odd_u16x32 = _mm512_add_epi16(words.odd_u16x32, _mm512_srli_epi16(bytes_u8x64, 8));
    return words;
}

/* Rows 0..31 and 32..63 in order, and the larger of the two per lane. */
static inline __m512i store_rows(struct words words, uint16_t *sums) {
    static const uint16_t first[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                       8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    __m512i first_u16x32 = _mm512_loadu_si512(first);
    __m512i second_u16x32 = _mm512_add_epi16(first_u16x32, _mm512_set1_epi16(16));
    __m512i odd = words.odd_u16x32;
    __m512i even = _mm512_sub_epi16(words.all_u16x32, _mm512_slli_epi16(odd, 8));
    _mm512_storeu_si512(sums, _mm512_permutex2var_epi16(even, first_u16x32, odd));
    _mm512_storeu_si512(sums + 32, _mm512_permutex2var_epi16(even, second_u16x32, odd));
    return _mm512_max_epu16(even, odd);
}

/* vphminposuw finds the smallest of 8 words, hence the complements. */
static inline uint16_t largest(__m512i values_u16x32) {
    __m256i values_u16x16 = _mm256_max_epu16(_mm512_castsi512_si256(values_u16x32),
                                             _mm512_extracti64x4_epi64(values_u16x32, 1));
    __m128i values_u16x8 = _mm_max_epu16(_mm256_castsi256_si128(values_u16x16),
                                         _mm256_extracti128_si256(values_u16x16, 1));
    __m128i smallest = _mm_minpos_epu16(_mm_xor_si128(values_u16x8, _mm_set1_epi16(-1)));
    return (uint16_t)~_mm_cvtsi128_si32(smallest);
}

/* next: the block to prefetch once less than AHEAD_GROUPS are left of this one. */
static inline uint16_t scan_block(const uint8_t *block, const uint8_t *next, size_t groups, const uint8_t *lut,
                                  uint16_t *sums) {
    struct words low = {_mm512_setzero_si512(), _mm512_setzero_si512()}, high = low;
    size_t own = groups > AHEAD_GROUPS ? groups - AHEAD_GROUPS : 0, g = 0;
    for (; g + 2 <= groups; g += 2) {
        const uint8_t *bytes = block + g * GROUP_BYTES;
        const uint8_t *ahead = g < own ? bytes + AHEAD_GROUPS * GROUP_BYTES : next + (g - own) * GROUP_BYTES;
        _mm_prefetch((const char *)ahead, _MM_HINT_T0);
        _mm_prefetch((const char *)ahead + GROUP_BYTES, _MM_HINT_T0);
        __m512i x_0 = _mm512_loadu_si512(bytes), x_1 = _mm512_loadu_si512(bytes + GROUP_BYTES);
        __m512i table_0 = load_table(lut, g), table_1 = load_table(lut, g + 1);
        low = add_bytes(low, _mm512_add_epi8(look_up(table_0, x_0), look_up(table_1, x_1)));
        high = add_bytes(high, _mm512_add_epi8(look_up(table_0, _mm512_srli_epi16(x_0, 4)),
                                               look_up(table_1, _mm512_srli_epi16(x_1, 4))));
    }
    if (g < groups) {
        __m512i x = _mm512_loadu_si512(block + g * GROUP_BYTES), table = load_table(lut, g);
        _mm_prefetch((const char *)next + (g - own) * GROUP_BYTES, _MM_HINT_T0);
        low = add_bytes(low, look_up(table, x));
        high = add_bytes(high, look_up(table, _mm512_srli_epi16(x, 4)));
    }
    __m512i maxima_u16x32 = store_rows(low, sums);
    return largest(_mm512_max_epu16(maxima_u16x32, store_rows(high, sums + BLOCK_ROWS / 2)));
}

static void scan(const uint8_t *blocks, const uint32_t *list, size_t count, size_t groups, const uint8_t *lut,
                 uint16_t *sums, uint16_t *maxima) {
    size_t block_bytes = groups * GROUP_BYTES, blocks_ahead = (AHEAD_GROUPS + groups - 1) / groups;
    for (size_t i = 0; i < count; i++) {
        size_t later = i + blocks_ahead < count ? i + blocks_ahead : count - 1;
        size_t b = list == NULL ? i : list[i], next = list == NULL ? later : list[later];
        maxima[b] = scan_block(blocks + b * block_bytes, blocks + next * block_bytes, groups, lut,
                               sums + b * BLOCK_ROWS);
    }
}

#endif
