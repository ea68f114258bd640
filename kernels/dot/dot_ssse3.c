/* Exact inner products in double: the 16 lanes of the fixed order are eight vectors of 2 doubles.
 *
 * Halves     are widened as words: the upper word of a float is the sign and the shifted exponent, the lower one
 *            what is left of the fraction; punpck puts them together. A subnormal half gets the exponent of
 *            the smallest normal one, which is then subtracted. No multiplication by 2^112, the usual way: its
 *            subnormal operands cost a microcode assist each. A zero comes out as +0 whatever its sign, which
 *            changes no lane, as no lane is ever -0.
 * Used       cvtps2pd from memory, mulpd, addpd (p01). A product of two floats is exact in double.
 * Per 16     16 conversions, 8 multiplications, 8 additions on ports 0 and 1: 16 cycles. Halves: 40 operations
 *            more on ports 0, 1 and 5, 24 cycles in all. Bound: those ports; beyond L2, memory. */
#include <string.h>
#include <tmmintrin.h>

#include "kernels/impl.h"

enum { LANES = 16, PAIRS = LANES / 2 };

static inline double fold(const __m128d *lanes_f64x2) {
    __m128d sums[PAIRS / 2];
    for (size_t i = 0; i < PAIRS / 2; i++) sums[i] = _mm_add_pd(lanes_f64x2[i], lanes_f64x2[i + PAIRS / 2]);
    __m128d sums_f64x2 = _mm_add_pd(_mm_add_pd(sums[0], sums[2]), _mm_add_pd(sums[1], sums[3]));
    return _mm_cvtsd_f64(_mm_add_sd(sums_f64x2, _mm_unpackhi_pd(sums_f64x2, sums_f64x2)));
}

static inline __m128d load_pair(const float *x) {
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(const void *)x)));
}

static inline __attribute__((always_inline)) void add_16(__m128d *lanes_f64x2, const float *query, const float *x) {
#pragma GCC unroll 8
    for (size_t k = 0; k < PAIRS; k++) {
        __m128d products_f64x2 = _mm_mul_pd(load_pair(query + 2 * k), load_pair(x + 2 * k));
        lanes_f64x2[k] = _mm_add_pd(lanes_f64x2[k], products_f64x2);
    }
}

/* Lanes beyond dim become 0 * 0: adding +0 to a lane is no change, as no lane is ever -0. */
static inline void add_last(__m128d *lanes_f64x2, const float *query, const float *x, size_t n) {
    float padded_query[LANES] = {0}, padded_x[LANES] = {0};
    memcpy(padded_query, query, n * sizeof *query);
    memcpy(padded_x, x, n * sizeof *x);
    add_16(lanes_f64x2, padded_query, padded_x);
}

static double dot_f32(const float *query, const float *x, size_t dim) {
    __m128d zero = _mm_setzero_pd(), lanes_f64x2[PAIRS] = {zero, zero, zero, zero, zero, zero, zero, zero};
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) add_16(lanes_f64x2, query + j, x + j);
    if (j < dim) add_last(lanes_f64x2, query + j, x + j, dim - j);
    return fold(lanes_f64x2);
}

static inline __m128 join(__m128i low_u16x8, __m128i high_u16x8, int half) {
    return _mm_castsi128_ps(half == 0 ? _mm_unpacklo_epi16(low_u16x8, high_u16x8)
                                      : _mm_unpackhi_epi16(low_u16x8, high_u16x8));
}

static inline void widen_8(const uint16_t *half, float *x) {
    enum { EXPONENT_SHIFT = 112 << 7, SMALLEST = 113 << 7 }; /* 2^-14 is the smallest normal half */
    __m128i half_u16x8 = _mm_loadu_si128((const __m128i *)(const void *)half);
    __m128i sign = _mm_and_si128(half_u16x8, _mm_set1_epi16((short)0x8000));
    __m128i rest = _mm_xor_si128(half_u16x8, sign);
    __m128i subnormal = _mm_cmpgt_epi16(_mm_set1_epi16(0x400), rest);
    __m128i special = _mm_cmpgt_epi16(rest, _mm_set1_epi16(0x7bff));
    __m128i exponent = _mm_add_epi16(_mm_srli_epi16(rest, 3), _mm_set1_epi16(EXPONENT_SHIFT));
    exponent = _mm_add_epi16(exponent, _mm_and_si128(special, _mm_set1_epi16(EXPONENT_SHIFT)));
    exponent = _mm_add_epi16(exponent, _mm_and_si128(subnormal, _mm_set1_epi16(1 << 7)));
    __m128i low = _mm_slli_epi16(rest, 13), high = _mm_or_si128(exponent, sign), zero = _mm_setzero_si128();
    __m128i excess = _mm_and_si128(subnormal, _mm_or_si128(sign, _mm_set1_epi16(SMALLEST)));
    _mm_storeu_ps(x, _mm_sub_ps(join(low, high, 0), join(zero, excess, 0)));
    _mm_storeu_ps(x + 4, _mm_sub_ps(join(low, high, 1), join(zero, excess, 1)));
}

static inline void widen(const uint16_t *half, float *x) {
    widen_8(half, x);
    widen_8(half + PAIRS, x + PAIRS);
}

static double dot_f16(const float *query, const uint16_t *x, size_t dim) {
    __m128d zero = _mm_setzero_pd(), lanes_f64x2[PAIRS] = {zero, zero, zero, zero, zero, zero, zero, zero};
    float x_f32[LANES];
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) {
        widen(x + j, x_f32); /* through the stack: cvtps2pd is cheaper from memory than from a register */
        add_16(lanes_f64x2, query + j, x_f32);
    }
    if (j < dim) {
        uint16_t padded[LANES] = {0};
        memcpy(padded, x + j, (dim - j) * sizeof *x);
        widen(padded, x_f32);
        add_last(lanes_f64x2, query + j, x_f32, dim - j);
    }
    return fold(lanes_f64x2);
}

const struct tq_dot_impl tq_dot_ssse3 = {.dot_f32 = dot_f32, .dot_f16 = dot_f16};
