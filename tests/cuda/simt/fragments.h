/* The device code of kernels/cuda on a CPU, without a GPU and without CUDA's compiler: rows brought into the device's
 * order, sums of the first plane, integers and bounds of full codes. fragments.cc compiles the very headers that the
 * plugin is made of, over cuda_runtime.h of this folder. */
#ifndef TQ_FRAGMENTS_H
#define TQ_FRAGMENTS_H

#include "kernels/cuda/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fragments;

struct fragments_row {
    int32_t first, second, code, sketch;
    double upper, estimate, key; /* if taken */
    bool taken;                  /* it reaches the bar */
};

/* Rows as tq_encode makes them, in the set's order from group 0 on. */
struct fragments *fragments_open(const struct tq_cuda_codec *codec, const struct tq_cuda_rows *rows, size_t count);
void fragments_close(struct fragments *f);

/* Of a group: which rows are there, which say nothing, the least and the largest norm. */
void fragments_facts(const struct fragments *f, size_t group, uint64_t *present, uint64_t *unusable, float norms[2]);

/* sums [64 * groups] of the first `slabs` slabs, 1..3, as the CPU's look-ups give them. */
void fragments_sums(const struct fragments *f, const struct tq_cuda_query *query, uint32_t slabs, uint32_t *sums);

/* rows [64 * groups]. */
void fragments_refine(const struct fragments *f, const struct tq_cuda_query *query, double bar,
                      struct fragments_row *rows);

#ifdef __cplusplus
}
#endif

#endif
