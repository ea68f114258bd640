/* Bit planes from indices, and scan blocks from bit planes, 32 bytes a vector.
 *
 * pack       a shift moves the bit of a plane to the top of each byte, vpmovmskb collects 32 of them: two
 *            operations and one store per 32 dimensions and plane. Bound: port 0, behind the call itself.
 * transpose  64 dimensions (8 plane bytes) of all rows at a time. The qwords are copied to a tile so that
 *            vector k has in its 128-bit lane L the rows 16 L + 2 k and 16 L + 2 k + 1; then vpshufb and three
 *            rounds of vpunpck turn 8 vectors into 32 rows' byte c, for c = 0..7; at last the nibbles of rows
 *            l and l + 64 are put together.
 *
 *                lane L of vector k   a0..a7 b0..b7        a = row 16L + 2k, b = row 16L + 2k + 1
 *                after vpshufb        a0b0 a1b1 .. a7b7    words, transposed 8 x 8 over k by the unpacks
 *
 *            32 shuffles per 32 rows and 8 bytes: port 5, 128 cycles per block and 64 dimensions. */
#include <immintrin.h>
#include <string.h>

#include "kernels/impl.h"

enum { QUARTER_ROWS = TQ_LAYOUT_BLOCK_ROWS / 4, COLUMN_BYTES = 8, LANES = 32 };

/* The last bytes of an array without padding, zeros behind them. */
static inline __m256i load_first(const uint8_t *from, size_t n) {
    uint8_t padded[LANES] = {0};
    if (n >= LANES) return _mm256_loadu_si256((const __m256i *)from);
    memcpy(padded, from, n);
    return _mm256_loadu_si256((const __m256i *)padded);
}

/* Bit `bit` of each byte. The shift crosses bytes, but only bits below `bit` come from a neighbour. */
static inline void store_plane(__m256i values_u8x32, uint32_t bit, size_t used, uint8_t *to) {
    __m256i top_u8x32 = _mm256_sll_epi16(values_u8x32, _mm_cvtsi32_si128((int)(7 - bit)));
    uint32_t plane = (uint32_t)_mm256_movemask_epi8(top_u8x32);
    if (used >= LANES) {
        memcpy(to, &plane, sizeof plane);
    } else {
        memcpy(to, &plane, (used + 7) / 8);
    }
}

static void pack(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits, uint8_t *record) {
    size_t plane_bytes = tq_layout_plane_bytes(dim);
    for (size_t j = 0; j < dim; j += LANES) {
        __m256i indices_u8x32 = load_first(indices + j, dim - j);
        uint8_t *to = record + j / 8;
        for (uint32_t bit = code_bits; bit-- > 0;) {
            store_plane(indices_u8x32, bit, dim - j, to);
            to += plane_bytes;
        }
        if (sketch != NULL) store_plane(load_first(sketch + j, dim - j), 0, dim - j, to);
    }
}

/* Where the tile has row r: see the picture above. */
static inline size_t tile_slot(size_t row) { return (row & 96) + (row & 14) * 2 + (row >> 4 & 1) * 2 + (row & 1); }

/* columns[c]: byte c of 32 rows in order. */
static inline void transpose_quarter(const uint64_t *tile, __m256i *columns) {
    const __m256i interleave = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    __m256i rows[8], words[8], dwords[8];
    for (int k = 0; k < 8; k++) {
        __m256i row_pairs = _mm256_loadu_si256((const __m256i *)(tile + 4 * k));
        rows[k] = _mm256_shuffle_epi8(row_pairs, interleave);
    }
    for (int k = 0; k < 4; k++) { /* words[k]: bytes 0..3 of 4 rows a lane, words[k + 4]: bytes 4..7 */
        words[k] = _mm256_unpacklo_epi16(rows[2 * k], rows[2 * k + 1]);
        words[k + 4] = _mm256_unpackhi_epi16(rows[2 * k], rows[2 * k + 1]);
    }
    for (int k = 0; k < 4; k++) { /* two bytes of 8 rows a lane, rows 0..7 and 8..15 in turn */
        dwords[2 * k] = _mm256_unpacklo_epi32(words[2 * k], words[2 * k + 1]);
        dwords[2 * k + 1] = _mm256_unpackhi_epi32(words[2 * k], words[2 * k + 1]);
    }
    for (int k = 0; k < 4; k++) {
        int rows_0_to_7 = (k & 2) * 2 + (k & 1);
        columns[2 * k] = _mm256_unpacklo_epi64(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2]);
        columns[2 * k + 1] = _mm256_unpackhi_epi64(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2]);
    }
}

/* 32 rows of groups 2c and 2c + 1 from byte c of rows l and l + 64. */
static inline void store_groups(__m256i low, __m256i high, size_t groups, uint8_t *to) {
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i even = _mm256_or_si256(_mm256_and_si256(nibble, low),
                                   _mm256_andnot_si256(nibble, _mm256_slli_epi16(high, 4)));
    __m256i odd = _mm256_or_si256(_mm256_and_si256(nibble, _mm256_srli_epi16(low, 4)),
                                  _mm256_andnot_si256(nibble, high));
    _mm256_storeu_si256((__m256i *)to, even);
    if (groups > 1) _mm256_storeu_si256((__m256i *)(to + TQ_LAYOUT_GROUP_BYTES), odd);
}

static void transpose(const uint8_t *records, size_t stride, size_t row_count, uint32_t plane, size_t dim,
                      uint8_t *block) {
    size_t groups = tq_layout_groups(dim), plane_bytes = tq_layout_plane_bytes(dim);
    uint64_t tile[TQ_LAYOUT_BLOCK_ROWS] = {0};
    for (size_t byte = 0; byte < plane_bytes; byte += COLUMN_BYTES) {
        const uint8_t *column = records + plane * plane_bytes + byte;
        for (size_t row = 0; row < row_count; row++) {
            memcpy(&tile[tile_slot(row)], column + row * stride, COLUMN_BYTES);
        }
        for (size_t half = 0; half < 2 * QUARTER_ROWS; half += QUARTER_ROWS) {
            __m256i low[COLUMN_BYTES], high[COLUMN_BYTES];
            transpose_quarter(tile + half, low);
            transpose_quarter(tile + half + 2 * QUARTER_ROWS, high);
            for (size_t c = 0; c < COLUMN_BYTES && byte + c < plane_bytes; c++) {
                size_t group = 2 * (byte + c);
                uint8_t *to = block + group * TQ_LAYOUT_GROUP_BYTES + half;
                store_groups(low[c], high[c], groups - group, to);
            }
        }
    }
}

const struct tq_pack_impl tq_pack_avx2 = {.pack = pack, .transpose = transpose};
