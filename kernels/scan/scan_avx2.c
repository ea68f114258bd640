/* Scan of a plane of signs, 128 rows a block, by byte shuffles, 32 bytes a vector.
 *
 *     64 bytes of a group   two vectors: low nibbles rows 0..31 and 32..63, high nibbles the same + 64
 *     vpshufb of the LUT    u8 of each row; two groups are added as bytes (2 * 124 = 248 fits)
 *     sums as words         all = even byte + 256 * odd byte (mod 2^16), odd = all >> 8, step by step
 *     at the end            even row = all - (odd << 8), then interleave even and odd rows
 *
 * Keeping the odd bytes inside `all` saves an AND per step: what they add above is taken off once.
 * Used       vpshufb (p15), vpsrlw (p01), vpand, vpaddb, vpaddw (p015), vbroadcasti128 (load port).
 * Per group  18 operations per 128 rows on three ports, 6 cycles per 64 bytes, and 3 loads. A block ends with
 *            about 60 operations. Bound: ports 0, 1 and 5, 11 bytes a cycle, where blocks are in
 *            L2; beyond it memory, about 8 bytes a cycle from an L3 of today. */
#include <immintrin.h>

#include "kernels/impl.h"

enum {
    BLOCK_ROWS = TQ_LAYOUT_BLOCK_ROWS,
    GROUP_BYTES = TQ_LAYOUT_GROUP_BYTES,
    NIBBLES = 16,
    VECTOR_BYTES = 32,
    AHEAD_GROUPS = 128, /* 8 KiB: about 800 cycles of work, the latency of a busy L3 */
};

/* Words as described above, of 32 rows. */
struct words {
    __m256i all_u16x16, odd_u16x16;
};

struct sums { /* rows 0.., 32.., 64.., 96.. */
    struct words quarters[4];
};

static inline __m256i load(const uint8_t *bytes) { return _mm256_loadu_si256((const __m256i *)bytes); }

static inline __m256i look_up(__m256i table_u8x32, __m256i nibbles_u8x32) {
    return _mm256_shuffle_epi8(table_u8x32, _mm256_and_si256(nibbles_u8x32, _mm256_set1_epi8(15)));
}

static inline __m256i load_table(const uint8_t *lut, size_t group) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(lut + group * NIBBLES)));
}

static inline void add_bytes(struct words *words, __m256i bytes_u8x32) {
    words->all_u16x16 = _mm256_add_epi16(words->all_u16x16, bytes_u8x32);
    words->odd_u16x16 = _mm256_add_epi16(words->odd_u16x16, _mm256_srli_epi16(bytes_u8x32, 8));
}

/* Two groups' half of 64 rows: low nibbles to one quarter, high nibbles to the quarter 64 rows on. */
static inline void add_pair(struct sums *sums, int half, const uint8_t *bytes, __m256i table_0, __m256i table_1) {
    __m256i x_0 = load(bytes + half * VECTOR_BYTES), x_1 = load(bytes + half * VECTOR_BYTES + GROUP_BYTES);
    add_bytes(&sums->quarters[half], _mm256_add_epi8(look_up(table_0, x_0), look_up(table_1, x_1)));
    add_bytes(&sums->quarters[half + 2], _mm256_add_epi8(look_up(table_0, _mm256_srli_epi16(x_0, 4)),
                                                         look_up(table_1, _mm256_srli_epi16(x_1, 4))));
}

static inline void add_single(struct sums *sums, int half, const uint8_t *bytes, __m256i table) {
    __m256i x = load(bytes + half * VECTOR_BYTES);
    add_bytes(&sums->quarters[half], look_up(table, x));
    add_bytes(&sums->quarters[half + 2], look_up(table, _mm256_srli_epi16(x, 4)));
}

/* 32 rows in order, and the larger of even and odd rows per lane. */
static inline __m256i store_rows(struct words words, uint16_t *sums) {
    __m256i odd = words.odd_u16x16;
    __m256i even = _mm256_sub_epi16(words.all_u16x16, _mm256_slli_epi16(odd, 8));
    __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    _mm256_storeu_si256((__m256i *)sums, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(sums + 16), _mm256_permute2x128_si256(low, high, 0x31));
    return _mm256_max_epu16(even, odd);
}

/* vphminposuw finds the smallest of 8 words, hence the complements. */
static inline uint16_t largest(__m256i values_u16x16) {
    __m128i values_u16x8 = _mm_max_epu16(_mm256_castsi256_si128(values_u16x16),
                                         _mm256_extracti128_si256(values_u16x16, 1));
    __m128i smallest = _mm_minpos_epu16(_mm_xor_si128(values_u16x8, _mm_set1_epi16(-1)));
    return (uint16_t)~_mm_cvtsi128_si32(smallest);
}

/* next: the block to prefetch once less than AHEAD_GROUPS are left of this one. */
static inline uint16_t scan_block(const uint8_t *block, const uint8_t *next, size_t groups, const uint8_t *lut,
                                  uint16_t *rows) {
    struct words none = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    struct sums sums = {{none, none, none, none}};
    size_t own = groups > AHEAD_GROUPS ? groups - AHEAD_GROUPS : 0, g = 0;
    for (; g + 2 <= groups; g += 2) {
        const uint8_t *bytes = block + g * GROUP_BYTES;
        const uint8_t *ahead = g < own ? bytes + AHEAD_GROUPS * GROUP_BYTES : next + (g - own) * GROUP_BYTES;
        __m256i table_0 = load_table(lut, g), table_1 = load_table(lut, g + 1);
        _mm_prefetch((const char *)ahead, _MM_HINT_T0);
        _mm_prefetch((const char *)ahead + GROUP_BYTES, _MM_HINT_T0);
        add_pair(&sums, 0, bytes, table_0, table_1);
        add_pair(&sums, 1, bytes, table_0, table_1);
    }
    if (g < groups) {
        __m256i table = load_table(lut, g);
        _mm_prefetch((const char *)next + (g - own) * GROUP_BYTES, _MM_HINT_T0);
        add_single(&sums, 0, block + g * GROUP_BYTES, table);
        add_single(&sums, 1, block + g * GROUP_BYTES, table);
    }
    __m256i maxima_u16x16 = store_rows(sums.quarters[0], rows);
    for (int q = 1; q < 4; q++) {
        maxima_u16x16 = _mm256_max_epu16(maxima_u16x16, store_rows(sums.quarters[q], rows + 32 * q));
    }
    return largest(maxima_u16x16);
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

/* All bits where value >= threshold: the larger of the two is the value itself. */
static inline __m256i at_least(const uint16_t *sums, const uint16_t *second, size_t row, __m256i threshold) {
    __m256i values_u16x16 = _mm256_loadu_si256((const __m256i *)(sums + row));
    if (second != NULL) {
        __m256i second_u16x16 = _mm256_loadu_si256((const __m256i *)(second + row));
        values_u16x16 = _mm256_adds_epu16(values_u16x16, _mm256_srli_epi16(second_u16x16, 1));
    }
    return _mm256_cmpeq_epi16(_mm256_max_epu16(values_u16x16, threshold), values_u16x16);
}

static void select_rows(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]) {
    __m256i threshold_u16x16 = _mm256_set1_epi16((short)threshold);
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < BLOCK_ROWS; row += 32) {
        __m256i packed_i8x32 = _mm256_packs_epi16(at_least(sums, second, row, threshold_u16x16),
                                                  at_least(sums, second, row + 16, threshold_u16x16));
        /* packs works within 128 bits: the middle quarters come out swapped */
        uint32_t bits = (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(packed_i8x32, 0xd8));
        mask[row / 64] |= (uint64_t)bits << row % 64;
    }
}

const struct tq_scan_impl tq_scan_avx2 = {.scan = scan, .select = select_rows};
