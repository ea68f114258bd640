/* Vectors as SQL values: float32 blobs and JSON text. */
#ifndef TQ_VALUE_H
#define TQ_VALUE_H

#include "sql/registry.h"
#include "src/base/json_vector.h"

/* A vector from elsewhere into that memory. */
enum tq_status tq_floats_copy(struct tq_floats *floats, const float *vector, size_t dim);

/* The vector a value stands for: f32[*dim], dim >= 1, borrowed from the value or from `floats` until either changes.
 * A blob is taken as it is, its elements unchecked; JSON is a flat array of finite numbers. TQ_MISUSE says what is
 * wrong: NULL, a number, a length that is no multiple of 4, the place in the JSON. */
enum tq_status tq_value_vector(sqlite3_value *value, struct tq_floats *floats, const float **vector, size_t *dim);

/* The same from the bytes of a blob; tq_text_vector() has text. */
enum tq_status tq_bytes_vector(const void *bytes, size_t size, struct tq_floats *floats, const float **vector,
                               size_t *dim);

/* "INTEGER" and so on: for messages. */
const char *tq_value_type_name(sqlite3_value *value);

/* "the value has 99 (396 bytes)", and so on: for messages. `text` has room for 64 bytes. */
void tq_value_describe(sqlite3_value *value, size_t dim, char text[64]);

/* TQ_MISUSE naming the first element that is NaN or infinite. */
enum tq_status tq_vector_check_finite(const float *vector, size_t dim);

/* Append a vector as JSON, each element as short as it may be to read back as the same float. */
void tq_vector_to_json(sqlite3_str *out, const float *vector, size_t dim);

#endif
