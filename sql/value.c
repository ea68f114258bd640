#include "sql/value.h"

#include <stdbool.h>
#include <string.h>

#include "sql/options.h"
#include "src/base/alloc.h"

static enum tq_status reserve(struct tq_floats *floats, size_t count) {
    if (count <= floats->capacity) return TQ_OK;
    size_t capacity = tq_max_size(count, floats->capacity * 2);
    float *grown = tq_realloc(floats->data, floats->capacity * sizeof(float), capacity * sizeof(float));
    if (grown == NULL) return TQ_NOMEM;
    floats->data = grown;
    floats->capacity = capacity;
    return TQ_OK;
}

enum tq_status tq_floats_copy(struct tq_floats *floats, const float *vector, size_t dim) {
    TQ_TRY(reserve(floats, dim));
    memcpy(floats->data, vector, dim * sizeof *vector);
    return TQ_OK;
}

/* ---- JSON ---- */

/* strtod() obeys the locale; JSON does not. Nineteen digits and powers of ten to 10^27 are exact in a long double of 64
 * bits, so what nine digits say of a float comes back as that float. */
struct reader {
    const char *start, *at, *end;
};

static void skip_blanks(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static bool is_digit(const struct reader *r) { return r->at < r->end && *r->at >= '0' && *r->at <= '9'; }

static bool take(struct reader *r, char c) {
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

/* Digits into *mantissa as long as they fit; returns how many there were, *dropped how many did not. */
static int take_digits(struct reader *r, uint64_t *mantissa, int *dropped) {
    int count = 0;
    for (; is_digit(r); r->at++, count++) {
        if (*mantissa <= (UINT64_MAX - 9) / 10 && *dropped == 0)
            *mantissa = *mantissa * 10 + (uint64_t)(*r->at - '0');
        else
            ++*dropped;
    }
    return count;
}

static bool take_exponent(struct reader *r, int *exponent) {
    if (r->at == r->end || (*r->at != 'e' && *r->at != 'E')) return true;
    r->at++;
    bool minus = take(r, '-');
    if (!minus) (void)take(r, '+');
    if (!is_digit(r)) return false;
    int value = 0;
    for (; is_digit(r); r->at++) value = value < 100000 ? value * 10 + (*r->at - '0') : value;
    *exponent += minus ? -value : value;
    return true;
}

static long double scale(uint64_t mantissa, int exponent) {
    long double value = (long double)mantissa, power = 10, factor = 1;
    if (exponent < -4000 || mantissa == 0) return 0;
    if (exponent > 4000) return HUGE_VALL;
    for (int e = exponent < 0 ? -exponent : exponent; e > 0; e /= 2, power *= power) {
        if (e % 2 != 0) factor *= power;
    }
    return exponent < 0 ? value / factor : value * factor;
}

static bool take_number(struct reader *r, float *number) {
    uint64_t mantissa = 0;
    int dropped = 0, exponent = 0;
    bool minus = take(r, '-');
    const char *first = r->at;
    int whole = take_digits(r, &mantissa, &dropped);
    if (whole == 0 || (whole > 1 && *first == '0')) return false;
    exponent = dropped;
    if (take(r, '.')) {
        int before = dropped, count = take_digits(r, &mantissa, &dropped);
        if (count == 0) return false;
        exponent -= count - (dropped - before);
    }
    if (!take_exponent(r, &exponent)) return false;
    float value = (float)scale(mantissa, exponent);
    *number = minus ? -value : value;
    return true;
}

static enum tq_status fail_at(const struct reader *r, const char *expected) {
    if (r->at >= r->end) return tq_fail(TQ_MISUSE, "JSON ends where %s is expected", expected);
    return tq_fail(TQ_MISUSE, "JSON has '%.*s' at character %zu where %s is expected",
                   (int)tq_min_size(12, (size_t)(r->end - r->at)), r->at, (size_t)(r->at - r->start) + 1, expected);
}

enum tq_status tq_text_vector(const char *text, size_t size, struct tq_floats *floats, size_t *dim) {
    struct reader r = {text, text, text + size};
    size_t count = 0;
    skip_blanks(&r);
    if (!take(&r, '[')) return fail_at(&r, "'['");
    do {
        skip_blanks(&r);
        TQ_TRY(reserve(floats, count + 1));
        if (count == TQ_DIM_MAX) return tq_fail(TQ_MISUSE, "JSON has more than %d numbers", TQ_DIM_MAX);
        if (!take_number(&r, &floats->data[count])) return fail_at(&r, "a number");
        if (!isfinite(floats->data[count])) {
            return tq_fail(TQ_MISUSE, "JSON: element %zu is beyond the range of float32", count);
        }
        count++;
        skip_blanks(&r);
    } while (take(&r, ','));
    if (!take(&r, ']')) return fail_at(&r, "',' or ']'");
    skip_blanks(&r);
    if (r.at != r.end) return fail_at(&r, "the end");
    *dim = count;
    return TQ_OK;
}

void tq_vector_to_json(sqlite3_str *out, const float *vector, size_t dim) {
    char text[40];
    sqlite3_str_appendchar(out, 1, '[');
    for (size_t i = 0; i < dim; i++) {
        float back = 0;
        for (int digits = 6; digits <= 9; digits++) {
            sqlite3_snprintf(sizeof text, text, "%.*g", digits, (double)vector[i]);
            struct reader r = {text, text, text + strlen(text)};
            if (take_number(&r, &back) && back == vector[i]) break;
        }
        sqlite3_str_appendf(out, i == 0 ? "%s" : ",%s", isfinite(vector[i]) ? text : "null");
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
    TQ_TRY(reserve(floats, *dim));
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
