/* Whether bytes of unknown origin are a vector. */
#ifndef TQ_VECTOR_BLOB_H
#define TQ_VECTOR_BLOB_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* SQLite does not say where a blob comes from. Text and integers, read as floats, are absurdly large or small. */
static inline bool tq_blob_is_vector(const void *blob, size_t size) {
    enum { LOOKED_AT = 4 * 1024 };
    if (size == 0 || size % 4 != 0) return false;
    for (size_t i = 0; i < size && i < LOOKED_AT; i += 4) {
        float value;
        memcpy(&value, (const uint8_t *)blob + i, sizeof value);
        float magnitude = fabsf(value);
        if (value != 0 && !(magnitude > 1e-20f && magnitude < 1e12f)) return false;
    }
    return true;
}

#endif
