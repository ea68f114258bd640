/* Decoding: a record back to the vector it stands for. Off the search path: plain loops, no kernel rows. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "src/base/f16.h"
#include "src/codec/codec.h"

void tq_unpack(const struct tq_format *format, const uint8_t *record, uint8_t *indices, uint8_t *sketch) {
    memset(indices, 0, format->dim);
    for (uint32_t plane = 0; plane < format->code_bits; plane++) {
        const uint8_t *bits = record + (size_t)plane * format->plane_bytes;
        for (uint32_t j = 0; j < format->dim; j++)
            indices[j] = (uint8_t)(indices[j] << 1 | (bits[j / 8] >> (j % 8) & 1));
    }
    if (sketch == NULL) return;
    const uint8_t *bits = record + (size_t)format->code_bits * format->plane_bytes;
    for (uint32_t j = 0; j < format->dim; j++) sketch[j] = (uint8_t)(format->qjl ? bits[j / 8] >> (j % 8) & 1 : 0);
}

/* A row of norm near the end of floats may decode a little beyond it. */
static float saturate(double value) { return (float)fmax(-(double)FLT_MAX, fmin((double)FLT_MAX, value)); }

void tq_decode(const struct tq_codec *codec, const uint8_t *record, float *vector, float *scratch) {
    const struct tq_format *format = &codec->format;
    uint32_t dim = format->dim;
    float *estimate = scratch, *turned = scratch + dim, *work = scratch + 2 * (size_t)dim;
    uint8_t *indices = (uint8_t *)(scratch + 3 * (size_t)dim), *sketch = indices + dim;
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    tq_unpack(format, record, indices, format->qjl ? sketch : NULL);
    memset(turned, 0, dim * sizeof *turned);
    if (format->qjl) {
        float gamma = (float)((double)tq_f32_from_f16(tail.gamma) / sqrt((double)dim));
        for (uint32_t j = 0; j < dim; j++) estimate[j] = sketch[j] != 0 ? gamma : -gamma;
        tq_rotation_inverse(&codec->sketch, &codec->kernels, estimate, turned, work);
    }
    for (uint32_t j = 0; j < dim; j++) estimate[j] = codec->codebook.centroids[indices[j]] + turned[j];
    tq_rotation_inverse(&codec->rotation, &codec->kernels, estimate, turned, work);
    double scale = (double)tail.norm * (double)tail.scale;
    for (uint32_t j = 0; j < dim; j++) vector[j] = saturate((double)turned[j] * scale);
}
