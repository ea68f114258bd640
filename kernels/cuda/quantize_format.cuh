/* A codec as the encoder's kernels read it; on the host. */
#ifndef TQ_CUDA_QUANTIZE_FORMAT_CUH
#define TQ_CUDA_QUANTIZE_FORMAT_CUH

#include <math.h>
#include <string.h>

#include "kernels/cuda/quantize_codes.cuh"

/* Whether thresholds and centroids of one half are those of the other but for their signs: kernels compare sizes. */
static inline bool quantize_is_symmetric(const struct tq_cuda_codec *codec) {
    uint32_t count = 1u << codec->code_bits;
    for (uint32_t i = 0; i < count; i++) {
        if (codec->centroids[i] != -codec->centroids[count - 1 - i]) return false;
        if (i + 1 < count && codec->thresholds[i] != -codec->thresholds[count - 2 - i]) return false;
    }
    return true;
}

/* The positive half, where it is short enough to be compared one by one. */
static inline void quantize_set_lines(const struct tq_cuda_codec *codec, Quantize *q) {
    uint32_t positive = 1u << (codec->code_bits - 1);
    q->far_line = UINT32_MAX;
    for (uint32_t i = 0; i < LINES_MOST; i++) q->lines[i] = UINT32_MAX;
    if (positive > LINES_MOST + 1) return;
    for (uint32_t i = 0; i < positive; i++) q->magnitudes[i] = codec->centroids[positive + i];
    for (uint32_t i = 0; i + 1 < positive; i++) {
        uint32_t bits;
        memcpy(&bits, &codec->thresholds[positive + i], sizeof bits);
        q->lines[i] = bits << 1 | 1u;
    }
    if (positive > 1) q->far_line = q->lines[positive / 2 - 1];
}

static inline void quantize_set_turn(const struct tq_rotation *rotation, Turn *turn) {
    if (rotation->dim == 0) return;
    turn->rounds = rotation->rounds;
    turn->parts = rotation->parts;
    turn->span = rotation->span;
    turn->scale = rotation->scale;
}

/* All but the arrays. */
static inline void quantize_set_format(const struct tq_cuda_codec *codec, Quantize *q) {
    q->dim = codec->dim;
    q->bits = codec->bits;
    q->code_bits = codec->code_bits;
    q->scan_planes = codec->scan_planes;
    q->plane_bytes = codec->plane_bytes;
    q->record_stride = codec->record_stride;
    q->scale_count = codec->code_bits == 1 ? 1 : TQ_CUDA_SCALES;
    q->qjl = codec->qjl;
    q->half_rows = codec->half_rows;
    q->packed = codec->packed;
    q->norms = codec->norms;
    q->slack = codec->slack;
    q->root = sqrt((double)codec->dim);
    for (uint32_t i = 0; i < TQ_CUDA_SCALES; i++) q->scales[i] = -codec->scales[i];
    quantize_set_lines(codec, q);
    quantize_set_turn(&codec->rotation, &q->rotation);
    quantize_set_turn(&codec->sketch, &q->sketch);
    q->sketch.offset = q->rotation.rounds * q->dim;
}

/* f32[rounds][dim], in the order in which Aligned reads them with so many threads a row. The first round has signs
 * alone, a later one the scale of the round before it: products with a sign and without differ in their sign alone. */
static inline void quantize_fill_factors(const struct tq_rotation *rotation, uint32_t lanes, float *factors) {
    for (uint32_t round = 0; round < rotation->rounds; round++) {
        size_t first = (size_t)round * rotation->dim;
        for (uint32_t j = 0; j < rotation->dim; j++) {
            float factor = round == 0 ? 1.0f : rotation->scale;
            size_t at = j / (4 * lanes) * (4 * lanes) + j % lanes * 4 + j / lanes % 4;
            factors[first + at] = rotation->signs[first + j] != 0 ? -factor : factor;
        }
    }
}

#endif
