/* From rotated rows to codes: Lloyd-Max indices, sketch signs, halves, and the sums the encoder needs.
 * 16 lanes are kept so that every vector width adds in the same order. */
#include "kernels/impl.h"
#include "src/base/f16.h"

enum { LANES = 16 };

static float fold(float *lanes) {
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

/* Binary search, one bit of the index a step: the thresholds ascend. */
static uint32_t count_below(const struct tq_quantizer *quantizer, float value) {
    uint32_t index = 0;
    for (uint32_t step = 1u << quantizer->code_bits >> 1; step > 0; step >>= 1) {
        if (value >= quantizer->thresholds[index + step - 1]) index += step;
    }
    return index;
}

static void quantize(const struct tq_quantizer *quantizer, const float *x, float scale, uint8_t *indices,
                     struct tq_quantized_sums *sums) {
    float dots[LANES] = {0}, norms[LANES] = {0};
    for (size_t j = 0; j < quantizer->dim; j++) {
        uint32_t index = count_below(quantizer, scale * x[j]);
        float centroid = quantizer->centroids[index];
        indices[j] = (uint8_t)index;
        dots[j % LANES] += centroid * x[j];
        norms[j % LANES] += centroid * centroid;
    }
    sums->dot = fold(dots);
    sums->norm = fold(norms);
}

static float sketch(const float *x, size_t dim, uint8_t *sketch_bits) {
    float lanes[LANES] = {0};
    for (size_t j = 0; j < dim; j++) {
        sketch_bits[j] = x[j] >= 0;
        lanes[j % LANES] += __builtin_fabsf(x[j]);
    }
    return fold(lanes);
}

static float sketch_dot(const float *x, const uint8_t *sketch_bits, size_t dim) {
    float lanes[LANES] = {0};
    for (size_t j = 0; j < dim; j++) lanes[j % LANES] += sketch_bits[j] ? x[j] : -x[j];
    return fold(lanes);
}

static void to_f16(const float *x, size_t dim, uint16_t *half) {
    for (size_t j = 0; j < dim; j++) half[j] = tq_f16_from_f32(x[j]);
}

const struct tq_quantize_impl tq_quantize_scalar = {
    .quantize = quantize, .sketch = sketch, .sketch_dot = sketch_dot, .to_f16 = to_f16};
