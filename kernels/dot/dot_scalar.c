/* Exact inner products in double. 16 lanes are kept so that every vector width adds in the same order. */
#include "kernels/impl.h"
#include "src/base/f16.h"

enum { LANES = 16 };

static double fold(double *lanes) {
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

static double dot_f32(const float *query, const float *x, size_t dim) {
    double lanes[LANES] = {0};
    for (size_t j = 0; j < dim; j++) lanes[j % LANES] += (double)query[j] * (double)x[j];
    return fold(lanes);
}

static double dot_f16(const float *query, const uint16_t *x, size_t dim) {
    double lanes[LANES] = {0};
    for (size_t j = 0; j < dim; j++) lanes[j % LANES] += (double)query[j] * (double)tq_f32_from_f16(x[j]);
    return fold(lanes);
}

const struct tq_dot_impl tq_dot_scalar = {.dot_f32 = dot_f32, .dot_f16 = dot_f16};
