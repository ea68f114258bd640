/* Scan of a plane of signs, 128 rows a block, by vpermb (scan_zmm.h).
 *
 * vpermb takes six bits of an index and passes over the other two: with a table that repeats every 16 bytes no nibble
 * has to be cut out.
 *
 * Used       vpermb (p5), vpsrlw (p0), vpaddb, vpaddw (p05), vbroadcasti32x4 from memory (load port).
 * Per group  7 operations per 128 rows on two ports, 3.5 cycles per 64 bytes, and 2 loads. A block ends with
 *            about 35 operations. Bound: ports 0 and 5, 18 bytes a cycle, where blocks are in L2;
 *            beyond it memory, about 8 bytes a cycle from an L3 of today. */
#include <immintrin.h>

static inline __m512i look_up(__m512i table_u8x64, __m512i bytes_u8x64) {
    return _mm512_permutexvar_epi8(bytes_u8x64, table_u8x64);
}

#include "kernels/scan/scan_zmm.h"

const struct tq_scan_impl tq_scan_avx512vbmi = {.scan = scan};
