/* Exact inner products in double: the 16 lanes of the fixed order are eight vectors of 2 doubles.
 *
 * Used       fcvtl, fcvtl2 (half to float, float to double), fmla. A product of two floats has at most 48 bits, so
 *            it is exact in double and fusing it with the addition changes nothing.
 * Per 16     16 conversions (halves: 4 more) and 8 fused multiply-adds: 12 cycles (14) on two vector pipes, half of
 *            that on four; on cores with one converting pipe 16 (20). Bound: those pipes; beyond L2, memory. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/impl.h"

enum { LANES = 16, PAIRS = LANES / 2, VECTORS = LANES / 4 };

struct lanes {
    float64x2_t pairs[PAIRS];
};

static inline struct lanes lanes_none(void) {
    float64x2_t zero = vdupq_n_f64(0);
    return (struct lanes){{zero, zero, zero, zero, zero, zero, zero, zero}};
}

static inline double fold(const struct lanes *lanes) {
    float64x2_t sums[PAIRS / 2];
    for (size_t i = 0; i < PAIRS / 2; i++) sums[i] = vaddq_f64(lanes->pairs[i], lanes->pairs[i + PAIRS / 2]);
    return vpaddd_f64(vaddq_f64(vaddq_f64(sums[0], sums[2]), vaddq_f64(sums[1], sums[3])));
}

static inline void add_products(float64x2_t *pairs, float32x4_t query, float32x4_t x) {
    pairs[0] = vfmaq_f64(pairs[0], vcvt_f64_f32(vget_low_f32(query)), vcvt_f64_f32(vget_low_f32(x)));
    pairs[1] = vfmaq_f64(pairs[1], vcvt_high_f64_f32(query), vcvt_high_f64_f32(x));
}

static inline __attribute__((always_inline)) void add_16_f32(struct lanes *lanes, const float *query, const float *x) {
#pragma GCC unroll 4
    for (size_t k = 0; k < VECTORS; k++) {
        add_products(lanes->pairs + 2 * k, vld1q_f32(query + 4 * k), vld1q_f32(x + 4 * k));
    }
}

static inline __attribute__((always_inline)) void add_16_f16(struct lanes *lanes, const float *query,
                                                             const uint16_t *x) {
#pragma GCC unroll 4
    for (size_t k = 0; k < VECTORS; k++) {
        float32x4_t x_f32x4 = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x + 4 * k)));
        add_products(lanes->pairs + 2 * k, vld1q_f32(query + 4 * k), x_f32x4);
    }
}

/* Lanes beyond dim become 0 * 0: adding +0 to a lane is no change, as no lane is ever -0. */
static double dot_f32(const float *query, const float *x, size_t dim) {
    struct lanes lanes = lanes_none();
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) add_16_f32(&lanes, query + j, x + j);
    if (j < dim) {
        float last_query[LANES] = {0}, last[LANES] = {0};
        memcpy(last_query, query + j, (dim - j) * sizeof *query);
        memcpy(last, x + j, (dim - j) * sizeof *x);
        add_16_f32(&lanes, last_query, last);
    }
    return fold(&lanes);
}

static double dot_f16(const float *query, const uint16_t *x, size_t dim) {
    struct lanes lanes = lanes_none();
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES) add_16_f16(&lanes, query + j, x + j);
    if (j < dim) {
        float last_query[LANES] = {0};
        uint16_t last[LANES] = {0};
        memcpy(last_query, query + j, (dim - j) * sizeof *query);
        memcpy(last, x + j, (dim - j) * sizeof *x);
        add_16_f16(&lanes, last_query, last);
    }
    return fold(&lanes);
}

const struct tq_dot_impl tq_dot_neon = {.dot_f32 = dot_f32, .dot_f16 = dot_f16};
