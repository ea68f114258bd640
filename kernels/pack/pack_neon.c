/* Bit planes from indices, and scan blocks from bit planes, 16 bytes a vector.
 *
 * pack       64 dimensions at a time: tst against the bit of a plane, AND with 1 << lane % 8, three rounds of addp:
 *            12 operations and one store per 64 dimensions and plane. Bound: vector pipes, 6 cycles on two.
 * transpose  64 dimensions (8 plane bytes) of 16 rows at a time. Vector k has the rows 2 k and 2 k + 1; tbl and
 *            three rounds of zip turn 8 vectors into 16 rows' byte c, for c = 0..7; then the nibbles of rows l
 *            and l + 64 are put together by sli and bsl.
 *
 *                vector k         a0..a7 b0..b7        a = row 2k, b = row 2k + 1
 *                after tbl        a0b0 a1b1 .. a7b7    words, transposed 8 x 8 over k by the zips
 *
 *            32 shuffles per 16 rows and 8 bytes: 128 cycles per block and 64 dimensions on two pipes. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/impl.h"

enum { PART_ROWS = 16, HALF_ROWS = TQ_LAYOUT_BLOCK_ROWS / 2, COLUMN_BYTES = 8, LANES = 16, STEP = 64 };

/* Bit `bit` of each of 64 bytes. */
static inline uint64_t plane_of(const uint8_t *values, uint32_t bit) {
    const uint8x16_t weight = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201ull));
    uint8x16_t wanted = vdupq_n_u8((uint8_t)(1u << bit)), set[4];
    for (size_t i = 0; i < 4; i++) set[i] = vandq_u8(vtstq_u8(vld1q_u8(values + i * LANES), wanted), weight);
    uint8x16_t all = vpaddq_u8(vpaddq_u8(set[0], set[1]), vpaddq_u8(set[2], set[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

static inline void store_plane(uint64_t plane, size_t used, uint8_t *to) {
    if (used >= STEP) {
        memcpy(to, &plane, sizeof plane);
    } else {
        memcpy(to, &plane, (used + 7) / 8);
    }
}

/* The planes of up to 64 dimensions; arrays of 64. */
static inline void pack_64(const uint8_t *indices, const uint8_t *sketch, size_t used, uint32_t code_bits,
                           size_t plane_bytes, uint8_t *to) {
    for (uint32_t bit = code_bits; bit-- > 0;) {
        store_plane(plane_of(indices, bit), used, to);
        to += plane_bytes;
    }
    if (sketch != NULL) store_plane(plane_of(sketch, 0), used, to);
}

static void pack(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits, uint8_t *record) {
    size_t plane_bytes = tq_layout_plane_bytes(dim), j = 0;
    for (; j + STEP <= dim; j += STEP) {
        pack_64(indices + j, sketch == NULL ? NULL : sketch + j, STEP, code_bits, plane_bytes, record + j / 8);
    }
    if (j < dim) {
        uint8_t last_indices[STEP] = {0}, last_sketch[STEP] = {0};
        memcpy(last_indices, indices + j, dim - j);
        if (sketch != NULL) memcpy(last_sketch, sketch + j, dim - j);
        pack_64(last_indices, sketch == NULL ? NULL : last_sketch, dim - j, code_bits, plane_bytes, record + j / 8);
    }
}

static inline uint16x8_t zip_dwords(uint16x8_t a, uint16x8_t b, bool upper) {
    uint32x4_t x = vreinterpretq_u32_u16(a), y = vreinterpretq_u32_u16(b);
    return vreinterpretq_u16_u32(upper ? vzip2q_u32(x, y) : vzip1q_u32(x, y));
}

static inline uint8x16_t zip_qwords(uint16x8_t a, uint16x8_t b, bool upper) {
    uint64x2_t x = vreinterpretq_u64_u16(a), y = vreinterpretq_u64_u16(b);
    return vreinterpretq_u8_u64(upper ? vzip2q_u64(x, y) : vzip1q_u64(x, y));
}

/* columns[c]: byte c of 16 rows in order. */
static inline __attribute__((always_inline)) void transpose_part(const uint64_t *tile, uint8x16_t *columns) {
    static const uint8_t order[LANES] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
    const uint8x16_t interleave = vld1q_u8(order);
    uint16x8_t rows[8], words[8], dwords[8];
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        uint8x16_t row_pair = vreinterpretq_u8_u64(vld1q_u64(tile + 2 * k));
        rows[k] = vreinterpretq_u16_u8(vqtbl1q_u8(row_pair, interleave));
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* words[k]: bytes 0..3 of 4 rows, words[k + 4]: bytes 4..7 */
        words[k] = vzip1q_u16(rows[2 * k], rows[2 * k + 1]);
        words[k + 4] = vzip2q_u16(rows[2 * k], rows[2 * k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* two bytes of 8 rows, rows 0..7 and 8..15 in turn */
        dwords[2 * k] = zip_dwords(words[2 * k], words[2 * k + 1], false);
        dwords[2 * k + 1] = zip_dwords(words[2 * k], words[2 * k + 1], true);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        int rows_0_to_7 = (k & 2) * 2 + (k & 1);
        columns[2 * k] = zip_qwords(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2], false);
        columns[2 * k + 1] = zip_qwords(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2], true);
    }
}

/* 16 rows of groups 2c and 2c + 1 from byte c of rows l and l + 64. */
static inline void store_groups(uint8x16_t low, uint8x16_t high, size_t groups, uint8_t *to) {
    vst1q_u8(to, vsliq_n_u8(low, high, 4));
    if (groups > 1) vst1q_u8(to + TQ_LAYOUT_GROUP_BYTES, vbslq_u8(vdupq_n_u8(15), vshrq_n_u8(low, 4), high));
}

static void transpose(const uint8_t *records, size_t stride, size_t row_count, uint32_t plane, size_t dim,
                      uint8_t *block) {
    size_t groups = tq_layout_groups(dim), plane_bytes = tq_layout_plane_bytes(dim);
    uint64_t tile[TQ_LAYOUT_BLOCK_ROWS] = {0};
    for (size_t byte = 0; byte < plane_bytes; byte += COLUMN_BYTES) {
        const uint8_t *column = records + plane * plane_bytes + byte;
        for (size_t row = 0; row < row_count; row++) memcpy(&tile[row], column + row * stride, COLUMN_BYTES);
        for (size_t part = 0; part < HALF_ROWS; part += PART_ROWS) {
            uint8x16_t low[COLUMN_BYTES], high[COLUMN_BYTES];
            transpose_part(tile + part, low);
            transpose_part(tile + part + HALF_ROWS, high);
            for (size_t c = 0; c < COLUMN_BYTES && byte + c < plane_bytes; c++) {
                size_t group = 2 * (byte + c);
                uint8_t *to = block + group * TQ_LAYOUT_GROUP_BYTES + part;
                store_groups(low[c], high[c], groups - group, to);
            }
        }
    }
}

const struct tq_pack_impl tq_pack_neon = {.pack = pack, .transpose = transpose};
