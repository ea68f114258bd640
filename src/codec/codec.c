/* The codec of an index: everything that follows from its format, built once and shared by all threads. */
#include "src/codec/codec.h"
#include "src/base/alloc.h"

enum tq_status tq_codec_open(const struct tq_format *format, const struct tq_kernels *kernels,
                             struct tq_codec **codec) {
    struct tq_codec *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->format = *format;
    made->kernels = *kernels;
    enum tq_status status = tq_rotation_init(&made->rotation, format->dim, format->seed, TQ_STREAM_ROTATION);
    if (status == TQ_OK && format->qjl)
        status = tq_rotation_init(&made->sketch, format->dim, format->seed, TQ_STREAM_SKETCH);
    if (status != TQ_OK) {
        tq_codec_close(made);
        return status;
    }
    tq_codebook_init(&made->codebook, format->dim, format->code_bits);
    *codec = made;
    return TQ_OK;
}

void tq_codec_close(struct tq_codec *codec) {
    if (codec == NULL) return;
    tq_rotation_clear(&codec->rotation);
    tq_rotation_clear(&codec->sketch);
    tq_free(codec);
}
