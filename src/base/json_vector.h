/* Vectors as JSON text: flat arrays of numbers. */
#ifndef TQ_JSON_VECTOR_H
#define TQ_JSON_VECTOR_H

#include "src/base/base.h"

/* Memory that grows and is used again; clear with tq_free(data). */
struct tq_floats {
    float *data;
    size_t capacity;
};

/* Room for `count` elements; exported for libtq_io, with no promise to others, as what follows. */
TQ_API enum tq_status tq_floats_reserve(struct tq_floats *floats, size_t count);

/* A flat array of finite numbers, 1..TQ_DIM_MAX of them. TQ_MISUSE says what is wrong, and where. */
TQ_API enum tq_status tq_text_vector(const char *text, size_t size, struct tq_floats *floats, size_t *dim);

#endif
