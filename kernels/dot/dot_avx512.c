/* Exact inner products in double: the 16 lanes of the fixed order are two vectors of 8 doubles.
 *
 * Used       vcvtps2pd from memory, vcvtph2ps, vfmadd231pd. A product of two floats has at most 48 bits, so
 *            it is exact in double and fusing it with the addition changes nothing.
 * Per 16     4 conversions and 2 fused multiply-adds on ports 0 and 5: 3 cycles. Bound: these ports;
 *            beyond L2, memory. */
#include <immintrin.h>

#include "kernels/impl.h"

enum { LANES = 16 };

struct lanes {
    __m512d first, second; /* lanes 0..7, 8..15 */
};

static inline double fold(struct lanes sums) {
    __m512d sums_f64x8 = _mm512_add_pd(sums.first, sums.second);
    __m256d sums_f64x4 = _mm256_add_pd(_mm512_castpd512_pd256(sums_f64x8), _mm512_extractf64x4_pd(sums_f64x8, 1));
    __m128d sums_f64x2 = _mm_add_pd(_mm256_castpd256_pd128(sums_f64x4), _mm256_extractf128_pd(sums_f64x4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(sums_f64x2, _mm_unpackhi_pd(sums_f64x2, sums_f64x2)));
}

static inline struct lanes add_products(struct lanes sums, __m256 query[2], __m256 x[2]) {
    sums.first = _mm512_fmadd_pd(_mm512_cvtps_pd(query[0]), _mm512_cvtps_pd(x[0]), sums.first);
    sums.second = _mm512_fmadd_pd(_mm512_cvtps_pd(query[1]), _mm512_cvtps_pd(x[1]), sums.second);
    return sums;
}

/* Lanes beyond dim become 0 * 0: adding +0 to a lane is no change, as no lane is ever -0. */
static inline void load_last(const float *from, unsigned n, __m256 to[2]) {
    to[0] = _mm256_maskz_loadu_ps((__mmask8)_bzhi_u32(0xff, n), from);
    to[1] = _mm256_setzero_ps();
    if (n > 8) to[1] = _mm256_maskz_loadu_ps((__mmask8)_bzhi_u32(0xff, n - 8), from + 8);
}

static double dot_f32(const float *query, const float *x, size_t dim) {
    struct lanes sums = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    __m256 query_f32x16[2], x_f32x16[2];
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) {
        query_f32x16[0] = _mm256_loadu_ps(query + j);
        query_f32x16[1] = _mm256_loadu_ps(query + j + 8);
        x_f32x16[0] = _mm256_loadu_ps(x + j);
        x_f32x16[1] = _mm256_loadu_ps(x + j + 8);
        sums = add_products(sums, query_f32x16, x_f32x16);
    }
    if (j < dim) {
        load_last(query + j, (unsigned)(dim - j), query_f32x16);
        load_last(x + j, (unsigned)(dim - j), x_f32x16);
        sums = add_products(sums, query_f32x16, x_f32x16);
    }
    return fold(sums);
}

static double dot_f16(const float *query, const uint16_t *x, size_t dim) {
    struct lanes sums = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    __m256 query_f32x16[2], x_f32x16[2];
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) {
        query_f32x16[0] = _mm256_loadu_ps(query + j);
        query_f32x16[1] = _mm256_loadu_ps(query + j + 8);
        x_f32x16[0] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + j)));
        x_f32x16[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + j + 8)));
        sums = add_products(sums, query_f32x16, x_f32x16);
    }
    if (j < dim) {
        unsigned left = (unsigned)(dim - j);
        __m256i x_f16x16 = _mm256_maskz_loadu_epi16((__mmask16)_bzhi_u32(0xffff, left), x + j);
        load_last(query + j, left, query_f32x16);
        x_f32x16[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(x_f16x16));
        x_f32x16[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(x_f16x16, 1));
        sums = add_products(sums, query_f32x16, x_f32x16);
    }
    return fold(sums);
}

const struct tq_dot_impl tq_dot_avx512 = {.dot_f32 = dot_f32, .dot_f16 = dot_f16};
