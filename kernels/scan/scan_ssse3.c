/* Scan of a plane of signs, 128 rows a block, by byte shuffles, 16 bytes a vector, for CPUs without AVX2.
 *
 *     32 bytes of a group   two vectors: low nibbles rows 32h.. and 32h + 16.., high nibbles the same + 64
 *     pshufb of the LUT     u8 of each row; two groups are added as bytes (2 * 124 = 248 fits)
 *     sums as words         all = even byte + 256 * odd byte (mod 2^16), odd = all >> 8, step by step
 *     at the end            even row = all - (odd << 8), then interleave even and odd rows
 *
 * A block is read twice, 64 rows at a time (h = 0, then 1): their 8 sums, two tables and the mask fit into 16
 * registers, those of 128 rows would not.
 * Used       pshufb (p15), psrlw (p01), pand, paddb, paddw (p015).
 * Per group  36 operations per 128 rows on three ports, 12 cycles per 64 bytes, and 6 loads. A block ends with
 *            about 120 operations. Bound: ports 0, 1 and 5, 5 bytes a cycle, wherever the blocks are. */
#include <tmmintrin.h>

#include "kernels/impl.h"

enum {
    BLOCK_ROWS = TQ_LAYOUT_BLOCK_ROWS,
    GROUP_BYTES = TQ_LAYOUT_GROUP_BYTES,
    HALF_BYTES = TQ_LAYOUT_GROUP_BYTES / 2,
    NIBBLES = 16,
    AHEAD_GROUPS = 64, /* 4 KiB: about 800 cycles of work, the latency of a busy L3 */
};

/* Words as described above, of 16 rows. */
struct words {
    __m128i all_u16x8, odd_u16x8;
};

struct sums { /* rows 0.., 16.., 64.. and 80.. of those that a pass does */
    struct words quarters[4];
};

static inline __m128i load(const uint8_t *bytes) { return _mm_loadu_si128((const __m128i *)bytes); }

static inline __m128i look_up(__m128i table_u8x16, __m128i nibbles_u8x16) {
    return _mm_shuffle_epi8(table_u8x16, _mm_and_si128(nibbles_u8x16, _mm_set1_epi8(15)));
}

static inline void add_bytes(struct words *words, __m128i bytes_u8x16) {
    words->all_u16x8 = _mm_add_epi16(words->all_u16x8, bytes_u8x16);
    words->odd_u16x8 = _mm_add_epi16(words->odd_u16x8, _mm_srli_epi16(bytes_u8x16, 8));
}

/* Two groups' bytes of 16 rows and of those 64 on. */
static inline void add_pair(struct sums *sums, int quarter, const uint8_t *bytes, __m128i table_0, __m128i table_1) {
    __m128i x_0 = load(bytes + quarter * NIBBLES), x_1 = load(bytes + quarter * NIBBLES + GROUP_BYTES);
    add_bytes(&sums->quarters[quarter], _mm_add_epi8(look_up(table_0, x_0), look_up(table_1, x_1)));
    add_bytes(&sums->quarters[quarter + 2],
              _mm_add_epi8(look_up(table_0, _mm_srli_epi16(x_0, 4)), look_up(table_1, _mm_srli_epi16(x_1, 4))));
}

static inline void add_single(struct sums *sums, int quarter, const uint8_t *bytes, __m128i table) {
    __m128i x = load(bytes + quarter * NIBBLES);
    add_bytes(&sums->quarters[quarter], look_up(table, x));
    add_bytes(&sums->quarters[quarter + 2], look_up(table, _mm_srli_epi16(x, 4)));
}

/* pmaxuw is of SSE4.1. */
static inline __m128i larger(__m128i a_u16x8, __m128i b_u16x8) {
    return _mm_add_epi16(a_u16x8, _mm_subs_epu16(b_u16x8, a_u16x8));
}

/* 16 rows in order, and the larger of even and odd rows per lane. */
static inline __m128i store_rows(struct words words, uint16_t *sums) {
    __m128i odd = words.odd_u16x8;
    __m128i even = _mm_sub_epi16(words.all_u16x8, _mm_slli_epi16(odd, 8));
    _mm_storeu_si128((__m128i *)sums, _mm_unpacklo_epi16(even, odd));
    _mm_storeu_si128((__m128i *)(sums + 8), _mm_unpackhi_epi16(even, odd));
    return larger(even, odd);
}

static inline uint16_t largest(__m128i values_u16x8) {
    values_u16x8 = larger(values_u16x8, _mm_srli_si128(values_u16x8, 8));
    values_u16x8 = larger(values_u16x8, _mm_srli_si128(values_u16x8, 4));
    return (uint16_t)_mm_cvtsi128_si32(larger(values_u16x8, _mm_srli_si128(values_u16x8, 2)));
}

/* Half of a block: 32 bytes of every group. next: the block to prefetch once less than AHEAD_GROUPS are left of
 * this one; NULL in the pass that finds everything in L1. */
static inline __attribute__((always_inline)) __m128i scan_half(const uint8_t *half, const uint8_t *next, size_t groups,
                                                               const uint8_t *lut, uint16_t *rows) {
    struct words none = {_mm_setzero_si128(), _mm_setzero_si128()};
    struct sums sums = {{none, none, none, none}};
    size_t own = groups > AHEAD_GROUPS ? groups - AHEAD_GROUPS : 0, g = 0;
    for (; g + 2 <= groups; g += 2) {
        const uint8_t *bytes = half + g * GROUP_BYTES;
        __m128i table_0 = load(lut + g * NIBBLES), table_1 = load(lut + g * NIBBLES + NIBBLES);
        if (next != NULL) {
            const uint8_t *ahead = g < own ? bytes + AHEAD_GROUPS * GROUP_BYTES : next + (g - own) * GROUP_BYTES;
            _mm_prefetch((const char *)ahead, _MM_HINT_T0);
            _mm_prefetch((const char *)ahead + GROUP_BYTES, _MM_HINT_T0);
        }
        add_pair(&sums, 0, bytes, table_0, table_1);
        add_pair(&sums, 1, bytes, table_0, table_1);
    }
    if (g < groups) {
        __m128i table = load(lut + g * NIBBLES);
        if (next != NULL) _mm_prefetch((const char *)next + (g - own) * GROUP_BYTES, _MM_HINT_T0);
        add_single(&sums, 0, half + g * GROUP_BYTES, table);
        add_single(&sums, 1, half + g * GROUP_BYTES, table);
    }
    __m128i first = larger(store_rows(sums.quarters[0], rows), store_rows(sums.quarters[1], rows + 16));
    rows += BLOCK_ROWS / 2;
    return larger(first, larger(store_rows(sums.quarters[2], rows), store_rows(sums.quarters[3], rows + 16)));
}

static void scan(const uint8_t *blocks, const uint32_t *list, size_t count, size_t groups, const uint8_t *lut,
                 uint16_t *sums, uint16_t *maxima) {
    size_t block_bytes = groups * GROUP_BYTES, blocks_ahead = (AHEAD_GROUPS + groups - 1) / groups;
    for (size_t i = 0; i < count; i++) {
        size_t later = i + blocks_ahead < count ? i + blocks_ahead : count - 1;
        size_t b = list == NULL ? i : list[i], next = list == NULL ? later : list[later];
        const uint8_t *block = blocks + b * block_bytes;
        __m128i first = scan_half(block, blocks + next * block_bytes, groups, lut, sums + b * BLOCK_ROWS);
        __m128i second = scan_half(block + HALF_BYTES, NULL, groups, lut, sums + b * BLOCK_ROWS + HALF_BYTES);
        maxima[b] = largest(larger(first, second));
    }
}

/* All bits where value >= threshold: then nothing is left of the threshold. */
static inline __m128i at_least(const uint16_t *sums, const uint16_t *second, size_t row, __m128i threshold) {
    __m128i values_u16x8 = _mm_loadu_si128((const __m128i *)(sums + row));
    if (second != NULL) {
        __m128i second_u16x8 = _mm_loadu_si128((const __m128i *)(second + row));
        values_u16x8 = _mm_adds_epu16(values_u16x8, _mm_srli_epi16(second_u16x8, 1));
    }
    return _mm_cmpeq_epi16(_mm_subs_epu16(threshold, values_u16x8), _mm_setzero_si128());
}

/* Per 16 rows 6 operations, with a second plane 10: 16 or 27 cycles a block on three ports. */
static void select_rows(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]) {
    __m128i threshold_u16x8 = _mm_set1_epi16((short)threshold);
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < BLOCK_ROWS; row += 16) {
        __m128i packed_i8x16 = _mm_packs_epi16(at_least(sums, second, row, threshold_u16x8),
                                               at_least(sums, second, row + 8, threshold_u16x8));
        mask[row / 64] |= (uint64_t)(uint32_t)_mm_movemask_epi8(packed_i8x16) << row % 64;
    }
}

const struct tq_scan_impl tq_scan_ssse3 = {.scan = scan, .select = select_rows};
