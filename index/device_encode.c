/* Rows of a batch encoded by a GPU: the bytes that tq_encode writes, many at a time. What the device will not take it
 * leaves to tq_encode, which says what is wrong with it. */
#include <string.h>

#include "index/device_parts.h"
#include "src/base/alloc.h"

enum { BATCH_BYTES = 32 << 20, CAPACITY_LEAST = 1024 };

struct tq_device_encoder {
    const struct tq_codec *codec;
    struct tq_cuda_encoder *encoder; /* NULL once it has failed */
    struct tq_cuda_rows rows;
    size_t capacity, stride;
    uint16_t *half; /* one exact row */
};

void tq_device_encoder_close(struct tq_device_encoder *e) {
    if (e == NULL) return;
    const struct tq_cuda_ops *ops = tq_device_ops_to_close();
    if (ops != NULL && e->encoder != NULL) ops->encoder_close(e->encoder);
    void *owned[] = {e->rows.records, e->rows.first_error, e->rows.second, e->half};
    for (size_t i = 0; i < TQ_COUNT(owned); i++) tq_free(owned[i]);
    tq_free(e);
}

static bool make_memory(struct tq_device_encoder *e, const struct tq_format *format) {
    e->stride = format->record_stride;
    e->capacity = tq_max_size(BATCH_BYTES / (e->stride + format->dim * sizeof(float)), CAPACITY_LEAST);
    e->rows.records = tq_alloc_array(e->capacity, e->stride);
    e->rows.first_error = tq_alloc_array(e->capacity, sizeof(uint16_t));
    e->rows.second = tq_alloc_array(e->capacity, 2 * sizeof(uint16_t));
    e->half = tq_alloc_array(format->dim, sizeof(uint16_t));
    return e->rows.records != NULL && e->rows.first_error != NULL && e->rows.second != NULL && e->half != NULL;
}

struct tq_device_encoder *tq_device_encoder_open(const struct tq_codec *codec) {
    struct tq_cuda *cuda = NULL;
    const struct tq_cuda_ops *ops = tq_device_may_encode() ? tq_device_ops(&cuda) : NULL;
    struct tq_cuda_codec sizes;
    struct tq_cuda_why why;
    if (ops == NULL) return NULL;
    struct tq_device_encoder *e = tq_alloc_zero(sizeof *e);
    if (e == NULL) return NULL;
    e->codec = codec;
    tq_device_codec(codec, &sizes);
    if (make_memory(e, &codec->format) && !tq_device_failed(ops->encoder_open(cuda, &sizes, &e->encoder, &why), &why))
        return e;
    tq_device_encoder_close(e);
    return NULL;
}

size_t tq_device_encode(struct tq_device_encoder *e, const float *vectors, size_t count) {
    struct tq_cuda *cuda = NULL;
    const struct tq_cuda_ops *ops = tq_device_ops(&cuda);
    struct tq_cuda_why why;
    size_t good = 0;
    if (ops == NULL || e->encoder == NULL) return 0;
    count = tq_min_size(count, e->capacity);
    if (!tq_device_failed(ops->encode(e->encoder, vectors, count, &e->rows, &good, &why), &why)) return good;
    ops->encoder_close(e->encoder);
    e->encoder = NULL;
    return 0;
}

void tq_device_encoded(struct tq_device_encoder *e, size_t at, const float *vector, struct tq_row *row) {
    const struct tq_format *format = &e->codec->format;
    struct tq_record_tail tail;
    const uint8_t *record = e->rows.records + at * e->stride;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    *row = (struct tq_row){.record = record,
                           .first_error = e->rows.first_error[at],
                           .second = {e->rows.second[2 * at], e->rows.second[2 * at + 1]},
                           .norm = tail.norm,
                           .exact = format->rows == TQ_ROWS_NONE ? NULL : vector};
    if (format->rows != TQ_ROWS_F16) return;
    e->codec->kernels.to_f16(vector, format->dim, e->half);
    row->exact = e->half;
}
