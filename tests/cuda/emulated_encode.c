/* Encoding by the library's own encoder, with a codec made of nothing but what the host told the device: a number that
 * it tells wrongly shows as a wrong byte. */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/emulated.h"

struct tq_format emulated_format(const struct tq_cuda_codec *codec) {
    return (struct tq_format){.dim = codec->dim,
                              .bits = codec->bits,
                              .code_bits = codec->code_bits,
                              .qjl = codec->qjl,
                              .rows = codec->packed      ? TQ_ROWS_NONE
                                      : codec->half_rows ? TQ_ROWS_F16
                                                         : TQ_ROWS_F32,
                              .norms = codec->norms,
                              .packed = codec->packed,
                              .scan_planes = codec->scan_planes,
                              .plane_bytes = codec->plane_bytes,
                              .record_stride = codec->record_stride};
}

static uint32_t *copied(const uint32_t *from, size_t count) {
    uint32_t *made = malloc(count * sizeof *made);
    if (made != NULL) memcpy(made, from, count * sizeof *made);
    return made;
}

static bool copy_rotation(struct tq_rotation *to, const struct tq_rotation *from) {
    size_t count = (size_t)from->rounds * from->dim;
    *to = *from;
    to->permutation = from->permutation == NULL ? NULL : copied(from->permutation, count);
    to->signs = copied(from->signs, count);
    return to->signs != NULL && (from->permutation == NULL || to->permutation != NULL);
}

static void free_rotation(struct tq_rotation *rotation) {
    free((void *)(uintptr_t)rotation->permutation);
    free((void *)(uintptr_t)rotation->signs);
}

/* What the library's encoder knows without being told, and a device does not. */
static void check_constants(const struct tq_cuda_codec *codec) {
    static const float scales[TQ_CUDA_SCALES] = {1.0f, 0.92f, 1.08f};
    double slack = 1e-6 + tq_rotation_slack(&codec->rotation);
    if (codec->qjl) slack += 2.0 * tq_rotation_slack(&codec->sketch);
    emulated_contract(memcmp(codec->scales, scales, sizeof scales) == 0, "encoder_open",
                      "the scales are not encode.c's");
    emulated_contract(memcmp(&codec->slack, &slack, sizeof slack) == 0, "encoder_open", "the slack is not encode.c's");
    emulated_contract(codec->bits == codec->code_bits + codec->qjl && codec->rotation.dim == codec->dim &&
                          codec->sketch.dim == (codec->qjl ? codec->dim : 0),
                      "encoder_open", "the codec's members contradict each other");
}

enum tq_cuda_status emulated_encoder_open(struct tq_cuda *cuda, const struct tq_cuda_codec *codec,
                                          struct tq_cuda_encoder **encoder, struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(cuda, "encoder_open", why);
    if (status != TQ_CUDA_OK) return status;
    check_constants(codec);
    struct tq_cuda_encoder *made = calloc(1, sizeof *made);
    if (made == NULL) return emulated_fail(TQ_CUDA_MEMORY, why, "no memory for an encoder");
    made->cuda = cuda;
    (void)atomic_fetch_add(&cuda->users, 1);
    made->codec.format = emulated_format(codec);
    made->codec.codebook.dim = codec->dim;
    made->codec.codebook.code_bits = codec->code_bits;
    size_t centroids = (size_t)1 << codec->code_bits;
    memcpy(made->codec.codebook.centroids, codec->centroids, centroids * sizeof(float));
    memcpy(made->codec.codebook.thresholds, codec->thresholds, (centroids - 1) * sizeof(float));
    tq_kernels_select(tq_cpu_isa(), &made->codec.kernels);
    if (!copy_rotation(&made->codec.rotation, &codec->rotation) ||
        (codec->qjl && !copy_rotation(&made->codec.sketch, &codec->sketch)) ||
        tq_encoder_open(&made->codec, &made->encoder) != TQ_OK) {
        emulated_encoder_close(made);
        return emulated_fail(TQ_CUDA_MEMORY, why, "no memory for an encoder");
    }
    *encoder = made;
    return TQ_CUDA_OK;
}

void emulated_encoder_close(struct tq_cuda_encoder *encoder) {
    tq_encoder_close(encoder->encoder);
    free_rotation(&encoder->codec.rotation);
    free_rotation(&encoder->codec.sketch);
    (void)atomic_fetch_sub(&encoder->cuda->users, 1);
    free(encoder);
}

enum tq_cuda_status emulated_encode(struct tq_cuda_encoder *e, const float *vectors, size_t count,
                                    const struct tq_cuda_rows *out, size_t *refused, struct tq_cuda_why *why) {
    enum tq_cuda_status status = emulated_enter(e->cuda, "encode", why);
    if (status != TQ_CUDA_OK) return status;
    emulated_contract(!atomic_exchange(&e->busy, true), "encode", "one encoder is used by two threads");
    size_t dim = e->codec.format.dim, stride = e->codec.format.record_stride, i = 0;
    for (; i < count; i++) {
        struct tq_row row;
        if (tq_encode(e->encoder, vectors + i * dim, &row) != TQ_OK) break;
        memcpy(out->records + i * stride, row.record, stride);
        out->first_error[i] = row.first_error;
        out->second[2 * i] = row.second.inverse;
        out->second[2 * i + 1] = row.second.error;
    }
    *refused = i;
    atomic_store(&e->busy, false);
    return TQ_CUDA_OK;
}
