/* The k-th largest of a stream of numbers, and the order of results. */
#ifndef TQ_TOPK_H
#define TQ_TOPK_H

#include <math.h>
#include <stddef.h>

#include "src/tq.h"

/* A heap of the `capacity` largest values so far, smallest on top. */
struct tq_topk {
    double *values; /* capacity of them, the owner's memory */
    size_t capacity, count;
};

/* The capacity-th largest value, or -infinity while there are fewer. */
static inline double tq_topk_bar(const struct tq_topk *top) {
    return top->count < top->capacity || top->capacity == 0 ? -INFINITY : top->values[0];
}

void tq_topk_push(struct tq_topk *top, double value);

/* Best first: higher score, then smaller id. For qsort over struct tq_hit. */
int tq_hit_compare(const void *a, const void *b);

#endif
