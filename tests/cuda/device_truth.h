/* What the CPU says: an index in memory, rows as a device gets them, and of each row the bounds that search.h's answer
 * is made of. */
#ifndef TQ_DEVICE_TRUTH_H
#define TQ_DEVICE_TRUTH_H

#include "index/cascade.h"
#include "kernels/cuda/plugin.h"

enum { TRUTH_SEGMENTS_MOST = 128, TRUTH_SEGMENT_ROWS = 4096 };

struct truth {
    struct tq_format format;
    struct tq_codec *codec;
    struct tq_encoder *encoder;
    struct tq_builder *builders[TRUTH_SEGMENTS_MOST];
    struct tq_view_segment segments[TRUTH_SEGMENTS_MOST];
    struct tq_view view;
    size_t count;         /* rows */
    size_t unusable_each; /* every so many-th row that truth_add gets has no code to speak of; 0: none */
    uint8_t *records;
    uint16_t *first_error, *second;
    struct tq_searcher *searcher;
    struct tq_search_options options;
    struct tq_query query; /* the last one asked for */
    void *query_memory;
};

/* NULL where there is no such format. qjl: 0 or 1. */
struct truth *truth_open(uint32_t dim, uint32_t bits, int qjl, enum tq_rows rows, enum tq_metric metric);
void truth_close(struct truth *t);
void truth_codec(const struct truth *t, struct tq_cuda_codec *codec);

/* Append f32[count][dim], all of them good; once. */
void truth_add(struct truth *t, const float *vectors, size_t count);

/* A query as the device wants it, for k rows. */
bool truth_query(struct truth *t, enum tq_metric metric, const float *vector, uint32_t k, struct tq_cuda_query *query);

/* u, m and the estimate of every row to the query asked for last: [count]. */
void truth_bounds(struct truth *t, struct tq_cuda_candidate *rows);

/* Integers of a record by the CPU's kernels: first, second, code, sketch. */
struct truth_integers {
    int32_t first, second, code, sketch;
};
struct truth_integers truth_integers(const struct truth *t, const uint8_t *record);

#endif
