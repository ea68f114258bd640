#include "sql/value.h"

#include <stdbool.h>
#include <string.h>

#include "sql/options.h"
#include "src/base/alloc.h"
#include "src/base/decimal.h"

enum tq_status tq_floats_copy(struct tq_floats *floats, const float *vector, size_t dim) {
    TQ_TRY(tq_floats_reserve(floats, dim));
    memcpy(floats->data, vector, dim * sizeof *vector);
    return TQ_OK;
}

void tq_vector_to_json(sqlite3_str *out, const float *vector, size_t dim) {
    char text[TQ_DECIMAL_BYTES];
    sqlite3_str_appendchar(out, 1, '[');
    for (size_t i = 0; i < dim; i++) {
        if (i > 0) sqlite3_str_appendchar(out, 1, ',');
        if (isfinite(vector[i]))
            sqlite3_str_append(out, text, (int)tq_decimal_write_f32(text, vector[i] + 0.0f)); /* -0 as 0 */
        else
            sqlite3_str_appendall(out, "null");
    }
    sqlite3_str_appendchar(out, 1, ']');
}

/* ---- Blobs ---- */

enum tq_status tq_bytes_vector(const void *bytes, size_t size, struct tq_floats *floats, const float **vector,
                               size_t *dim) {
    if (size == 0) return tq_fail(TQ_MISUSE, "the blob is empty");
    if (size % sizeof(float) != 0) {
        return tq_fail(TQ_MISUSE, "the blob has %zu bytes: float32 vectors have a multiple of 4", size);
    }
    if (size / sizeof(float) > TQ_DIM_MAX) {
        return tq_fail(TQ_MISUSE, "the blob has %zu bytes: more than %d dimensions", size, TQ_DIM_MAX);
    }
    *dim = size / sizeof(float);
    if ((uintptr_t)bytes % _Alignof(float) == 0) {
        *vector = bytes;
        return TQ_OK;
    }
    TQ_TRY(tq_floats_reserve(floats, *dim));
    memcpy(floats->data, bytes, size);
    *vector = floats->data;
    return TQ_OK;
}

const char *tq_value_type_name(sqlite3_value *value) {
    static const char *const names[] = {"?", "INTEGER", "REAL", "TEXT", "BLOB", "NULL"};
    int type = sqlite3_value_type(value);
    return names[type >= 1 && type <= 5 ? type : 0];
}

enum tq_status tq_value_vector(sqlite3_value *value, struct tq_floats *floats, const float **vector, size_t *dim) {
    int type = sqlite3_value_type(value);
    if (type == SQLITE_BLOB) {
        const void *bytes = sqlite3_value_blob(value);
        const char *text = NULL;
        size_t size = (size_t)sqlite3_value_bytes(value), text_size = 0;
        (void)tq_options_unwrap(bytes, size, &bytes, &size, &text, &text_size);
        return tq_bytes_vector(bytes, size, floats, vector, dim);
    }
    if (type == SQLITE_TEXT) {
        const char *text = (const char *)sqlite3_value_text(value);
        if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
        TQ_TRY(tq_text_vector(text, (size_t)sqlite3_value_bytes(value), floats, dim));
        *vector = floats->data;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "a vector is a float32 blob or a JSON array, not %s", tq_value_type_name(value));
}

void tq_value_describe(sqlite3_value *value, size_t dim, char text[64]) {
    if (sqlite3_value_type(value) == SQLITE_TEXT)
        sqlite3_snprintf(64, text, "%llu (JSON)", (unsigned long long)dim);
    else
        sqlite3_snprintf(64, text, "%llu (%llu bytes)", (unsigned long long)dim, (unsigned long long)dim * 4);
}

enum tq_status tq_vector_check_finite(const float *vector, size_t dim) {
    for (size_t i = 0; i < dim; i++) {
        if (isfinite(vector[i])) continue;
        return tq_fail(TQ_MISUSE, "element %zu is %s; it must be finite", i, isnan(vector[i]) ? "NaN" : "infinite");
    }
    return TQ_OK;
}
