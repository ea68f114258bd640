/* Tiles by vpdpbusd: 16 rows x 4 dimensions a step.
 *
 * unpack     a nibble selects a dword of four bytes (vpermd); 7 operations for 16 rows x 4 dimensions, once for all
 *            queries of a batch.
 * multiply   24 accumulators: 3 queries x 8 strips, so that a line of the tile is read once for three queries.
 *            Bound: vpdpbusd on ports 0 and 5 (one of them where a core has a single 512-bit unit): 4 cycles a
 *            group and query for 128 rows.
 * reach      11 operations for 32 rows on two ports: 22 cycles a query and block. */
#include <immintrin.h>

#include "kernels/impl.h"

enum { STRIPS = 8, QUERIES = 3 };

/* 16 rows of a group's line, in the order of a strip: four rows in every second run of four. */
static inline __m512i strip_rows(const uint8_t *line, size_t strip, uint32_t shift) {
    __m256i rows_u8x32 = _mm256_loadu_si256((const __m256i *)(const void *)(line + strip / 2 % 2 * 32));
    __m256i pick_i32x8 = strip % 2 == 0 ? _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6)
                                        : _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7);
    __m128i chosen_u8x16 = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(rows_u8x32, pick_i32x8));
    __m512i wide_u32x16 = _mm512_cvtepu8_epi32(chosen_u8x16);
    return _mm512_srl_epi32(wide_u32x16, _mm_cvtsi32_si128((int)shift)); /* vpermd takes the low four bits */
}

static void unpack(const uint8_t *first, const uint8_t *second, size_t groups, uint8_t *tile) {
    size_t padded = tq_layout_tile_groups(groups);
    /* entry n: bit i of n as byte i */
    const __m512i low_u8x64 = _mm512_setr_epi32(0x00000000, 0x00000001, 0x00000100, 0x00000101, 0x00010000, 0x00010001,
                                                0x00010100, 0x00010101, 0x01000000, 0x01000001, 0x01000100, 0x01000101,
                                                0x01010000, 0x01010001, 0x01010100, 0x01010101);
    const __m512i high_u8x64 = _mm512_add_epi8(low_u8x64, low_u8x64);
    for (size_t strip = 0; strip < STRIPS; strip++) {
        uint8_t *to = tile + strip * padded * 64;
        uint32_t shift = strip < STRIPS / 2 ? 0 : 4;
        for (size_t g = 0; g < groups; g++) {
            __m512i high = _mm512_permutexvar_epi32(strip_rows(first + g * 64, strip, shift), high_u8x64);
            __m512i low = _mm512_permutexvar_epi32(strip_rows(second + g * 64, strip, shift), low_u8x64);
            _mm512_storeu_si512(to + g * 64, _mm512_add_epi8(high, low));
        }
        for (size_t g = groups; g < padded; g++) _mm512_storeu_si512(to + g * 64, _mm512_setzero_si512());
    }
}

static inline __m512i query_group(const int8_t *query, size_t g) {
    int32_t four;
    __builtin_memcpy(&four, query + 4 * g, sizeof four);
    return _mm512_set1_epi32(four);
}

/* `count` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void multiply_some(const uint8_t *tile, size_t groups,
                                                                const int8_t *queries, size_t stride, size_t count,
                                                                int32_t *sums) {
    size_t strip_bytes = tq_layout_tile_groups(groups) * 64;
    __m512i sums_i32x16[QUERIES][STRIPS];
    for (size_t q = 0; q < count; q++)
        for (size_t s = 0; s < STRIPS; s++) sums_i32x16[q][s] = _mm512_setzero_si512();
    for (size_t g = 0; g < groups; g++) {
        __m512i four_i8x64[QUERIES];
        for (size_t q = 0; q < count; q++) four_i8x64[q] = query_group(queries + q * stride, g);
#pragma GCC unroll 8
        for (size_t s = 0; s < STRIPS; s++) {
            __m512i codes_u8x64 = _mm512_loadu_si512(tile + s * strip_bytes + g * 64);
            for (size_t q = 0; q < count; q++)
                sums_i32x16[q][s] = _mm512_dpbusd_epi32(sums_i32x16[q][s], codes_u8x64, four_i8x64[q]);
        }
    }
    for (size_t q = 0; q < count; q++)
        for (size_t s = 0; s < STRIPS; s++)
            _mm512_storeu_si512(sums + q * TQ_LAYOUT_BLOCK_ROWS + s * 16, sums_i32x16[q][s]);
}

static void multiply(const uint8_t *tile, size_t groups, const int8_t *queries, size_t stride, size_t count,
                     int32_t *sums) {
    for (; count >= QUERIES; count -= QUERIES) {
        multiply_some(tile, groups, queries, stride, QUERIES, sums);
        queries += QUERIES * stride;
        sums += QUERIES * TQ_LAYOUT_BLOCK_ROWS;
    }
    if (count == 2) multiply_some(tile, groups, queries, stride, 2, sums);
    if (count == 1) multiply_some(tile, groups, queries, stride, 1, sums);
}

static void reach(const struct tq_gate_query *query, int32_t offset, const int32_t *sums, const uint16_t *inverse,
                  const uint16_t *error, uint64_t mask[2]) {
    __m512i base_u16x32 = _mm512_set1_epi16((short)query->base), gain_u16x32 = _mm512_set1_epi16((short)query->gain);
    __m512i loss_u16x32 = _mm512_set1_epi16((short)query->loss), offset_i32x16 = _mm512_set1_epi32(offset);
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row += 32) {
        __m512i even_i32x16 = _mm512_add_epi32(_mm512_loadu_si512(sums + row), offset_i32x16);
        __m512i odd_i32x16 = _mm512_add_epi32(_mm512_loadu_si512(sums + row + 16), offset_i32x16);
        __m512i value_u16x32 = _mm512_packus_epi32(_mm512_srai_epi32(even_i32x16, 1), _mm512_srai_epi32(odd_i32x16, 1));
        __m512i rise_u16x32 = _mm512_mulhi_epu16(_mm512_loadu_si512(inverse + row), gain_u16x32);
        __m512i fall_u16x32 = _mm512_mulhi_epu16(_mm512_loadu_si512(error + row), loss_u16x32);
        __m512i line_u16x32 = _mm512_subs_epu16(_mm512_adds_epu16(base_u16x32, rise_u16x32), fall_u16x32);
        mask[row / 64] |= (uint64_t)_mm512_cmpge_epu16_mask(value_u16x32, line_u16x32) << row % 64;
    }
}

const struct tq_tile_impl tq_tile_avx512vnni = {.unpack = unpack, .multiply = multiply, .reach = reach};
