/* Exact inner products in double: the 16 lanes of the fixed order are four vectors of 4 doubles.
 *
 * Used       vcvtps2pd from memory, vcvtph2ps, vfmadd231pd. A product of two floats has at most 48 bits, so
 *            it is exact in double and fusing it with the addition changes nothing.
 * Per 16     8 conversions and 4 fused multiply-adds on ports 0 and 1: 6 cycles. Bound: those ports; beyond
 *            L2, memory. */
#include <immintrin.h>
#include <string.h>

#include "kernels/impl.h"

enum { LANES = 16 };

static inline double fold(const __m256d *lanes_f64x4) {
    __m256d first = _mm256_add_pd(lanes_f64x4[0], lanes_f64x4[2]);
    __m256d second = _mm256_add_pd(lanes_f64x4[1], lanes_f64x4[3]);
    __m256d sums_f64x4 = _mm256_add_pd(first, second);
    __m128d sums_f64x2 = _mm_add_pd(_mm256_castpd256_pd128(sums_f64x4), _mm256_extractf128_pd(sums_f64x4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(sums_f64x2, _mm_unpackhi_pd(sums_f64x2, sums_f64x2)));
}

static inline __m256d add_products(__m256d sums_f64x4, __m128 query_f32x4, __m128 x_f32x4) {
    return _mm256_fmadd_pd(_mm256_cvtps_pd(query_f32x4), _mm256_cvtps_pd(x_f32x4), sums_f64x4);
}

static inline void add_16(__m256d *lanes_f64x4, const float *query, const float *x) {
    for (int k = 0; k < 4; k++) {
        lanes_f64x4[k] = add_products(lanes_f64x4[k], _mm_loadu_ps(query + 4 * k), _mm_loadu_ps(x + 4 * k));
    }
}

static inline __m128i first_lanes(size_t n) {
    static const int32_t window[8] = {-1, -1, -1, -1};
    return _mm_loadu_si128((const __m128i *)(window + 4 - (n < 4 ? n : 4)));
}

/* Lanes beyond dim become 0 * 0: adding +0 to a lane is no change, as no lane is ever -0. */
static inline void add_last(__m256d *lanes_f64x4, const float *query, const float *x, size_t n) {
    for (size_t k = 0; k < 4 && 4 * k < n; k++) {
        __m128i used = first_lanes(n - 4 * k);
        lanes_f64x4[k] = add_products(lanes_f64x4[k], _mm_maskload_ps(query + 4 * k, used),
                                      _mm_maskload_ps(x + 4 * k, used));
    }
}

static double dot_f32(const float *query, const float *x, size_t dim) {
    __m256d zero = _mm256_setzero_pd(), lanes_f64x4[4] = {zero, zero, zero, zero};
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) add_16(lanes_f64x4, query + j, x + j);
    add_last(lanes_f64x4, query + j, x + j, dim - j);
    return fold(lanes_f64x4);
}

static inline void widen(const uint16_t *half, float *x) {
    _mm256_storeu_ps(x, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)half)));
    _mm256_storeu_ps(x + 8, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(half + 8))));
}

static double dot_f16(const float *query, const uint16_t *x, size_t dim) {
    __m256d zero = _mm256_setzero_pd(), lanes_f64x4[4] = {zero, zero, zero, zero};
    float x_f32[LANES];
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) {
        widen(x + j, x_f32); /* through the stack: vcvtps2pd is cheaper from memory than from a register */
        add_16(lanes_f64x4, query + j, x_f32);
    }
    if (j < dim) {
        uint16_t padded[LANES] = {0};
        memcpy(padded, x + j, (dim - j) * sizeof *x);
        widen(padded, x_f32);
        add_last(lanes_f64x4, query + j, x_f32, dim - j);
    }
    return fold(lanes_f64x4);
}

const struct tq_dot_impl tq_dot_avx2 = {.dot_f32 = dot_f32, .dot_f16 = dot_f16};
