/* Bit planes from indices, and scan blocks from bit planes, 64 bytes a vector.
 *
 * pack       vptestmb against the bit of a plane gives 64 bits of it at once: one test and one store per
 *            64 dimensions and plane. Bound: port 5, one vector a cycle, behind the call itself.
 * transpose  64 dimensions (8 plane bytes) of all rows at a time. The qwords are copied to a tile so that
 *            vector k has in its 128-bit lane L the rows 16 L + 2 k and 16 L + 2 k + 1; then vpshufb and three
 *            rounds of vpunpck turn 8 vectors into the 64 rows' byte c, for c = 0..7; at last the nibbles of
 *            rows l and l + 64 are put together by vpternlogd.
 *
 *                lane L of vector k   a0..a7 b0..b7        a = row 16L + 2k, b = row 16L + 2k + 1
 *                after vpshufb        a0b0 a1b1 .. a7b7    words, transposed 8 x 8 over k by the unpacks
 *
 *            32 shuffles per 64 rows and 8 bytes, and 128 scalar loads and stores per column of qwords: the
 *            bound is the store port, about 1 cycle per row and 64 dimensions. */
#include <immintrin.h>
#include <string.h>

#include "kernels/impl.h"

enum { HALF_ROWS = TQ_LAYOUT_BLOCK_ROWS / 2, COLUMN_BYTES = 8 };

static void pack(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits, uint8_t *record) {
    size_t plane_bytes = tq_layout_plane_bytes(dim);
    for (size_t j = 0; j < dim; j += 64) {
        unsigned used = (unsigned)(dim - j < 64 ? dim - j : 64);
        __mmask64 lanes = _bzhi_u64(~0ull, used);
        __mmask16 bytes = (__mmask16)_bzhi_u32(0xffff, (used + 7) / 8);
        __m512i indices_u8x64 = _mm512_maskz_loadu_epi8(lanes, indices + j);
        uint8_t *to = record + j / 8;
        for (uint32_t bit = 1u << code_bits >> 1; bit != 0; bit >>= 1) {
            uint64_t plane = _mm512_test_epi8_mask(indices_u8x64, _mm512_set1_epi8((char)bit));
            _mm_mask_storeu_epi8(to, bytes, _mm_cvtsi64_si128((long long)plane));
            to += plane_bytes;
        }
        if (sketch != NULL) {
            __m512i sketch_u8x64 = _mm512_maskz_loadu_epi8(lanes, sketch + j);
            uint64_t plane = _mm512_test_epi8_mask(sketch_u8x64, _mm512_set1_epi8(1));
            _mm_mask_storeu_epi8(to, bytes, _mm_cvtsi64_si128((long long)plane));
        }
    }
}

/* Where the tile has row r: see the picture above. */
static inline size_t tile_slot(size_t row) { return (row & 64) + (row & 14) * 4 + (row >> 4 & 3) * 2 + (row & 1); }

/* columns[c]: byte c of 64 rows in order. */
static inline __attribute__((always_inline)) void transpose_half(const uint64_t *tile, __m512i *columns) {
    const __m512i interleave = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    __m512i rows[8], words[8], dwords[8];
    for (int k = 0; k < 8; k++) {
        rows[k] = _mm512_shuffle_epi8(_mm512_loadu_si512(tile + 8 * k), interleave);
    }
    for (int k = 0; k < 4; k++) { /* words[k]: bytes 0..3 of 4 rows a lane, words[k + 4]: bytes 4..7 */
        words[k] = _mm512_unpacklo_epi16(rows[2 * k], rows[2 * k + 1]);
        words[k + 4] = _mm512_unpackhi_epi16(rows[2 * k], rows[2 * k + 1]);
    }
    for (int k = 0; k < 4; k++) { /* two bytes of 8 rows a lane, rows 0..7 and 8..15 in turn */
        dwords[2 * k] = _mm512_unpacklo_epi32(words[2 * k], words[2 * k + 1]);
        dwords[2 * k + 1] = _mm512_unpackhi_epi32(words[2 * k], words[2 * k + 1]);
    }
    for (int k = 0; k < 4; k++) {
        int rows_0_to_7 = (k & 2) * 2 + (k & 1);
        columns[2 * k] = _mm512_unpacklo_epi64(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2]);
        columns[2 * k + 1] = _mm512_unpackhi_epi64(dwords[rows_0_to_7], dwords[rows_0_to_7 + 2]);
    }
}

/* Groups 2c and 2c + 1 from byte c of rows 0..63 and 64..127. */
static inline void store_groups(__m512i low, __m512i high, size_t groups, uint8_t *to) {
    const __m512i nibble = _mm512_set1_epi8(15);
    enum { SELECT = 0xca }; /* nibble ? second : third */
    __m512i even = _mm512_ternarylogic_epi32(nibble, low, _mm512_slli_epi16(high, 4), SELECT);
    __m512i odd = _mm512_ternarylogic_epi32(nibble, _mm512_srli_epi16(low, 4), high, SELECT);
    _mm512_storeu_si512(to, even);
    if (groups > 1) _mm512_storeu_si512(to + TQ_LAYOUT_GROUP_BYTES, odd);
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
        __m512i low[COLUMN_BYTES], high[COLUMN_BYTES];
        transpose_half(tile, low);
        transpose_half(tile + HALF_ROWS, high);
        for (size_t c = 0; c < COLUMN_BYTES && byte + c < plane_bytes; c++) {
            size_t group = 2 * (byte + c);
            store_groups(low[c], high[c], groups - group, block + group * TQ_LAYOUT_GROUP_BYTES);
        }
    }
}

const struct tq_pack_impl tq_pack_avx512 = {.pack = pack, .transpose = transpose};
