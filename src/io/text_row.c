#include "src/io/text_row.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/decimal.h"
#include "src/base/utf8.h"

static enum tq_status reserve(struct tq_text_row *row, size_t more) {
    if (more <= row->capacity - row->size) return TQ_OK;
    size_t capacity = tq_max_size(2 * row->capacity, row->size + more);
    char *grown = tq_realloc(row->text, row->size, capacity);
    if (grown == NULL) return TQ_NOMEM;
    row->text = grown;
    row->capacity = capacity;
    return TQ_OK;
}

enum tq_status tq_row_bytes(struct tq_text_row *row, const void *bytes, size_t size) {
    TQ_TRY(reserve(row, size));
    if (size > 0) memcpy(row->text + row->size, bytes, size);
    row->size += size;
    return TQ_OK;
}

enum tq_status tq_row_integer(struct tq_text_row *row, int64_t integer) {
    enum { DIGITS = 24 };
    TQ_TRY(reserve(row, DIGITS));
    row->size += (size_t)snprintf(row->text + row->size, DIGITS, "%lld", (long long)integer);
    return TQ_OK;
}

enum tq_status tq_row_real(struct tq_text_row *row, double real) {
    TQ_TRY(reserve(row, TQ_DECIMAL_BYTES + 2));
    char *text = row->text + row->size;
    if (isinf(real)) return tq_row_bytes(row, real < 0 ? "-1e999" : "1e999", real < 0 ? 6 : 5);
    size_t size = tq_decimal_write_f64(text, real);
    if (strpbrk(text, ".e") == NULL) {
        memcpy(text + size, ".0", 2);
        size += 2;
    }
    row->size += size;
    return TQ_OK;
}

enum tq_status tq_row_vector(struct tq_text_row *row, const float *vector, size_t dim) {
    TQ_TRY(reserve(row, dim * (TQ_DECIMAL_BYTES + 1) + 2));
    char *at = row->text + row->size;
    *at++ = '[';
    for (size_t i = 0; i < dim; i++) {
        if (i > 0) *at++ = ',';
        at += tq_decimal_write_f32(at, vector[i]);
    }
    *at++ = ']';
    row->size = (size_t)(at - row->text);
    return TQ_OK;
}

enum tq_status tq_row_blob(struct tq_text_row *row, const void *bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *byte = bytes;
    TQ_TRY(reserve(row, 2 * size));
    for (size_t i = 0; i < size; i++) {
        row->text[row->size++] = digits[byte[i] >> 4];
        row->text[row->size++] = digits[byte[i] & 15];
    }
    return TQ_OK;
}

static enum tq_status fail_value(const struct tq_writer *writer, size_t column, const char *what) {
    return tq_fail(TQ_MISUSE, "%s, row %llu, column %s: %s", writer->path, (unsigned long long)writer->rows,
                   writer->columns[column].name, what);
}

enum tq_status tq_row_check(const struct tq_writer *writer, size_t column, const struct tq_value *value) {
    char what[64];
    if (value->type == TQ_TYPE_REAL && isnan(value->real)) return fail_value(writer, column, "not a number (NaN)");
    if (value->type == TQ_TYPE_TEXT) {
        size_t wrong = tq_utf8_check(value->text, value->size);
        if (memchr(value->text, 0, value->size) != NULL)
            return fail_value(writer, column, "the text has a zero byte in it; write hex() of it");
        (void)snprintf(what, sizeof what, "byte %zu of the text is not UTF-8; write hex() of it", wrong);
        if (wrong < value->size) return fail_value(writer, column, what);
    }
    for (size_t i = 0; value->type == TQ_TYPE_VECTOR && i < value->size; i++) {
        if (isfinite(value->vector[i])) continue;
        (void)snprintf(what, sizeof what, "element %zu is not finite", i);
        return fail_value(writer, column, what);
    }
    return TQ_OK;
}
