/* Bit planes from indices, and scan blocks from bit planes, 16 bytes a vector.
 *
 * pack       a shift moves the bit of a plane to the top of each byte, pmovmskb collects 16 of them: two
 *            operations and one store per 16 dimensions and plane. Bound: port 0, 1 cycle for those, behind the
 *            call itself.
 * transpose  64 dimensions (8 plane bytes) of 16 rows at a time. Vector k has the rows 2 k and 2 k + 1; pshufb and
 *            three rounds of punpck turn 8 vectors into 16 rows' byte c, for c = 0..7; then the nibbles of rows l
 *            and l + 64 are put together.
 *
 *                vector k         a0..a7 b0..b7        a = row 2k, b = row 2k + 1
 *                after pshufb     a0b0 a1b1 .. a7b7    words, transposed 8 x 8 over k by the unpacks
 *
 *            32 shuffles per 16 rows and 8 bytes: port 5, 256 cycles per block and 64 dimensions. */
#include <string.h>
#include <tmmintrin.h>

#include "kernels/impl.h"

enum { PART_ROWS = 16, HALF_ROWS = TQ_LAYOUT_BLOCK_ROWS / 2, COLUMN_BYTES = 8, LANES = 16 };

/* The last bytes of an array without padding, zeros behind them. */
static inline __m128i load_first(const uint8_t *from, size_t n) {
    uint8_t padded[LANES] = {0};
    if (n >= LANES) return _mm_loadu_si128((const __m128i *)from);
    memcpy(padded, from, n);
    return _mm_loadu_si128((const __m128i *)padded);
}

/* Bit `bit` of each byte. The shift crosses bytes, but only bits below `bit` come from a neighbour. */
static inline void store_plane(__m128i values_u8x16, uint32_t bit, size_t used, uint8_t *to) {
    __m128i top_u8x16 = _mm_sll_epi16(values_u8x16, _mm_cvtsi32_si128((int)(7 - bit)));
    uint16_t plane = (uint16_t)_mm_movemask_epi8(top_u8x16);
    if (used > 8) {
        memcpy(to, &plane, sizeof plane);
    } else {
        *to = (uint8_t)plane;
    }
}

static void pack(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits, uint8_t *record) {
    size_t plane_bytes = tq_layout_plane_bytes(dim);
    for (size_t j = 0; j < dim; j += LANES) {
        __m128i indices_u8x16 = load_first(indices + j, dim - j);
        uint8_t *to = record + j / 8;
        for (uint32_t bit = code_bits; bit-- > 0;) {
            store_plane(indices_u8x16, bit, dim - j, to);
            to += plane_bytes;
        }
        if (sketch != NULL) store_plane(load_first(sketch + j, dim - j), 0, dim - j, to);
    }
}

/* columns[c]: byte c of 16 rows in order. */
static inline __attribute__((always_inline)) void transpose_part(const uint64_t *tile, __m128i *columns) {
    const __m128i interleave = _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    __m128i rows[8], words[8], dwords[8];
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        rows[k] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(tile + 2 * k)), interleave);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* words[k]: bytes 0..3 of 4 rows, words[k + 4]: bytes 4..7 */
        words[k] = _mm_unpacklo_epi16(rows[2 * k], rows[2 * k + 1]);
        words[k + 4] = _mm_unpackhi_epi16(rows[2 * k], rows[2 * k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* two bytes of 8 rows, rows 0..7 and 8..15 in turn */
        dwords[2 * k] = _mm_unpacklo_epi32(words[2 * k], words[2 * k + 1]);
        dwords[2 * k + 1] = _mm_unpackhi_epi32(words[2 * k], words[2 * k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        int rows_0_to_7 = (k & 2) * 2 + (k & 1);
        columns[2 * k] = _mm_unpacklo_epi64(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2]);
        columns[2 * k + 1] = _mm_unpackhi_epi64(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2]);
    }
}

/* 16 rows of groups 2c and 2c + 1 from byte c of rows l and l + 64. */
static inline void store_groups(__m128i low, __m128i high, size_t groups, uint8_t *to) {
    const __m128i nibble = _mm_set1_epi8(15);
    __m128i even = _mm_or_si128(_mm_and_si128(nibble, low), _mm_andnot_si128(nibble, _mm_slli_epi16(high, 4)));
    __m128i odd = _mm_or_si128(_mm_and_si128(nibble, _mm_srli_epi16(low, 4)), _mm_andnot_si128(nibble, high));
    _mm_storeu_si128((__m128i *)to, even);
    if (groups > 1) _mm_storeu_si128((__m128i *)(to + TQ_LAYOUT_GROUP_BYTES), odd);
}

static void transpose(const uint8_t *records, size_t stride, size_t row_count, uint32_t plane, size_t dim,
                      uint8_t *block) {
    size_t groups = tq_layout_groups(dim), plane_bytes = tq_layout_plane_bytes(dim);
    uint64_t tile[TQ_LAYOUT_BLOCK_ROWS] = {0};
    for (size_t byte = 0; byte < plane_bytes; byte += COLUMN_BYTES) {
        const uint8_t *column = records + plane * plane_bytes + byte;
        for (size_t row = 0; row < row_count; row++) memcpy(&tile[row], column + row * stride, COLUMN_BYTES);
        for (size_t part = 0; part < HALF_ROWS; part += PART_ROWS) {
            __m128i low[COLUMN_BYTES], high[COLUMN_BYTES];
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

const struct tq_pack_impl tq_pack_ssse3 = {.pack = pack, .transpose = transpose};
