/* Scan of a plane of signs, 128 rows a block, by table look-ups of 16 bytes.
 *
 *     64 bytes of a group   four vectors: low nibbles rows 0.., 16.., 32.., 48.., high nibbles the same + 64
 *     tbl of the LUT        u8 of each row; two groups are added as bytes (2 * 124 = 248 fits)
 *     sums as words         uaddw and uaddw2 widen and add: rows stay in order; 16 of the 32 registers
 *
 * Used       tbl, and, ushr, add, uaddw, uaddw2: any of the vector pipes, one vector each a cycle.
 * Per group  28 operations per 128 rows and 5 loads: 14 cycles per 64 bytes on two pipes (Cortex-A76,
 *            Neoverse N1), 7 on four (Neoverse V1). A block ends with 40 operations. Bound: those pipes, 4.6 or 9
 *            bytes a cycle where blocks are in L2; beyond it memory where four pipes outrun it. */
#include <arm_neon.h>

#include "kernels/impl.h"

enum {
    BLOCK_ROWS = TQ_LAYOUT_BLOCK_ROWS,
    GROUP_BYTES = TQ_LAYOUT_GROUP_BYTES,
    NIBBLES = 16,
    AHEAD_GROUPS = 64, /* 4 KiB: about 500 cycles of work on four pipes */
};

struct sums { /* of 16 rows */
    uint16x8_t low, high;
};

static inline void add_bytes(struct sums *sums, uint8x16_t bytes) {
    sums->low = vaddw_u8(sums->low, vget_low_u8(bytes));
    sums->high = vaddw_high_u8(sums->high, bytes);
}

/* Quarter q of two groups: rows 16 q.. and those 64 on. */
static inline __attribute__((always_inline)) void add_pair(struct sums *sums, int q, const uint8_t *bytes,
                                                           uint8x16_t table_0, uint8x16_t table_1) {
    const uint8x16_t nibble = vdupq_n_u8(15);
    uint8x16_t x_0 = vld1q_u8(bytes + q * NIBBLES), x_1 = vld1q_u8(bytes + q * NIBBLES + GROUP_BYTES);
    add_bytes(&sums[q],
              vaddq_u8(vqtbl1q_u8(table_0, vandq_u8(x_0, nibble)), vqtbl1q_u8(table_1, vandq_u8(x_1, nibble))));
    add_bytes(&sums[q + 4], vaddq_u8(vqtbl1q_u8(table_0, vshrq_n_u8(x_0, 4)), vqtbl1q_u8(table_1, vshrq_n_u8(x_1, 4))));
}

static inline __attribute__((always_inline)) void add_single(struct sums *sums, int q, const uint8_t *bytes,
                                                             uint8x16_t table) {
    uint8x16_t x = vld1q_u8(bytes + q * NIBBLES);
    add_bytes(&sums[q], vqtbl1q_u8(table, vandq_u8(x, vdupq_n_u8(15))));
    add_bytes(&sums[q + 4], vqtbl1q_u8(table, vshrq_n_u8(x, 4)));
}

/* next: the block to prefetch once less than AHEAD_GROUPS are left of this one. */
static inline uint16_t scan_block(const uint8_t *block, const uint8_t *next, size_t groups, const uint8_t *lut,
                                  uint16_t *rows) {
    struct sums none = {vdupq_n_u16(0), vdupq_n_u16(0)};
    struct sums sums[8] = {none, none, none, none, none, none, none, none};
    size_t own = groups > AHEAD_GROUPS ? groups - AHEAD_GROUPS : 0, g = 0;
    for (; g + 2 <= groups; g += 2) {
        const uint8_t *bytes = block + g * GROUP_BYTES;
        const uint8_t *ahead = g < own ? bytes + AHEAD_GROUPS * GROUP_BYTES : next + (g - own) * GROUP_BYTES;
        uint8x16_t table_0 = vld1q_u8(lut + g * NIBBLES), table_1 = vld1q_u8(lut + g * NIBBLES + NIBBLES);
        __builtin_prefetch(ahead);
        __builtin_prefetch(ahead + GROUP_BYTES);
        add_pair(sums, 0, bytes, table_0, table_1);
        add_pair(sums, 1, bytes, table_0, table_1);
        add_pair(sums, 2, bytes, table_0, table_1);
        add_pair(sums, 3, bytes, table_0, table_1);
    }
    if (g < groups) {
        uint8x16_t table = vld1q_u8(lut + g * NIBBLES);
        __builtin_prefetch(next + (g - own) * GROUP_BYTES);
        add_single(sums, 0, block + g * GROUP_BYTES, table);
        add_single(sums, 1, block + g * GROUP_BYTES, table);
        add_single(sums, 2, block + g * GROUP_BYTES, table);
        add_single(sums, 3, block + g * GROUP_BYTES, table);
    }
    uint16x8_t maxima = none.low;
    for (size_t q = 0; q < 8; q++) {
        vst1q_u16(rows + 16 * q, sums[q].low);
        vst1q_u16(rows + 16 * q + 8, sums[q].high);
        maxima = vmaxq_u16(maxima, vmaxq_u16(sums[q].low, sums[q].high));
    }
    return vmaxvq_u16(maxima);
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

/* All ones in the bytes of 16 rows with value >= threshold. */
static inline uint8x16_t at_least(const uint16_t *sums, const uint16_t *second, size_t row, uint16x8_t threshold) {
    uint16x8_t low = vld1q_u16(sums + row), high = vld1q_u16(sums + row + 8);
    if (second != NULL) {
        low = vqaddq_u16(low, vshrq_n_u16(vld1q_u16(second + row), 1));
        high = vqaddq_u16(high, vshrq_n_u16(vld1q_u16(second + row + 8), 1));
    }
    return vuzp1q_u8(vreinterpretq_u8_u16(vcgeq_u16(low, threshold)), vreinterpretq_u8_u16(vcgeq_u16(high, threshold)));
}

/* One bit of each of 64 bytes: pairs are added three times. */
static inline uint64_t bits_of(const uint8x16_t *bytes) {
    const uint8x16_t weight = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201ull));
    uint8x16_t low = vpaddq_u8(vandq_u8(bytes[0], weight), vandq_u8(bytes[1], weight));
    uint8x16_t high = vpaddq_u8(vandq_u8(bytes[2], weight), vandq_u8(bytes[3], weight));
    uint8x16_t all = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

/* Per 64 rows 20 operations, with a second plane 36: 20 or 36 cycles a block on two pipes. */
static void select_rows(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]) {
    uint16x8_t threshold_u16x8 = vdupq_n_u16(threshold);
    for (size_t half = 0; half < 2; half++) {
        uint8x16_t passed[4];
        for (size_t i = 0; i < 4; i++) passed[i] = at_least(sums, second, half * 64 + i * 16, threshold_u16x8);
        mask[half] = bits_of(passed);
    }
}

const struct tq_scan_impl tq_scan_neon = {.scan = scan, .select = select_rows};
