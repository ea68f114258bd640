/* Scan of a plane of signs, 128 rows a block, by vpshufb (scan_zmm.h).
 *
 * Used       vpshufb (p5), vpsrlw (p0), vpand, vpaddb, vpaddw (p05), vbroadcasti32x4 from memory (load port).
 * Per group  9 operations per 128 rows on two ports, 4.5 cycles per 64 bytes, and 2 loads. A block ends with
 *            about 35 operations. Bound: ports 0 and 5, 14 bytes a cycle, where blocks are in L2;
 *            beyond it memory, about 8 bytes a cycle from an L3 of today. */
#include <immintrin.h>

static inline __m512i look_up(__m512i table_u8x64, __m512i bytes_u8x64) {
    return _mm512_shuffle_epi8(table_u8x64, _mm512_and_si512(bytes_u8x64, _mm512_set1_epi8(15)));
}

#include "kernels/scan/scan_zmm.h"

static void select_rows(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]) {
    __m512i threshold_u16x32 = _mm512_set1_epi16((short)threshold);
    for (int half = 0; half < 2; half++) {
        uint64_t bits[2];
        for (int i = 0; i < 2; i++) {
            __m512i values_u16x32 = _mm512_loadu_si512(sums + half * 64 + i * 32);
            if (second != NULL) {
                __m512i second_u16x32 = _mm512_loadu_si512(second + half * 64 + i * 32);
                values_u16x32 = _mm512_adds_epu16(values_u16x32, _mm512_srli_epi16(second_u16x32, 1));
            }
            bits[i] = _mm512_cmpge_epu16_mask(values_u16x32, threshold_u16x32);
        }
        mask[half] = bits[0] | bits[1] << 32;
    }
}

const struct tq_scan_impl tq_scan_avx512 = {.scan = scan, .select = select_rows};
