/* Searching on a GPU: the plugin libtq_cuda.so, what is resident on its device, and a query's way there and back.
 *
 * device_plugin.c finds and opens the plugin, once a process; device_sets.c shares its memory out; device_resident.c
 * keeps segments there; device_query.c makes a query's integers what kernels read; device_view.c and device_search.c
 * are a searcher's way to candidates. These go through rank.c, as the CPU's do; whatever fails, the CPU answers.
 *
 * Environment  TQ_GPU=off, auto or the device's number; TQ_GPU_MEMORY=MiB that may be resident; TQ_GPU_PLUGIN=path */
#ifndef TQ_DEVICE_H
#define TQ_DEVICE_H

#include "kernels/cuda/plugin.h"
#include "src/codec/codec.h"

/* What there is, for `.gpu`, tq_gpu() and tq_info(). */
struct tq_device_state {
    bool usable;
    char why[256];    /* why not, or "" */
    char plugin[256]; /* its path, or "" */
    struct tq_cuda_description device;
    uint64_t limit, resident; /* bytes that may be, and are, in use on the device */
    uint64_t sets, segments, rows;
    uint64_t searches;  /* queries answered with its help, of this process */
    uint64_t fallbacks; /* queries that asked for it and were answered by the CPU alone */
    char fallback[256]; /* why the last of them was, or "" */
};

/* `open`: look for a plugin and a device now, if nobody has; else tell what is known. Any thread. */
void tq_device_get_state(bool open, struct tq_device_state *state);

/* ---- Encoding ---- */

/* An encoder on the device; NULL where TQ_GPU does not ask for one, or there can be none. */
struct tq_device_encoder;
struct tq_device_encoder *tq_device_encoder_open(const struct tq_codec *codec);
void tq_device_encoder_close(struct tq_device_encoder *encoder); /* NULL is fine */
/* Encode f32[count][dim], or as many from the first on as it likes and are good. How many were; what is left is for
 * tq_encode. */
size_t tq_device_encode(struct tq_device_encoder *encoder, const float *vectors, size_t count);
/* Row `at` of those, `vector` being its own: as tq_encode gives it, borrowed until the next call. */
void tq_device_encoded(struct tq_device_encoder *encoder, size_t at, const float *vector, struct tq_row *row);

#endif
