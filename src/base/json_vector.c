#include "src/base/json_vector.h"

#include <math.h>
#include <stdbool.h>

#include "src/base/alloc.h"
#include "src/base/decimal.h"

enum tq_status tq_floats_reserve(struct tq_floats *floats, size_t count) {
    if (count <= floats->capacity) return TQ_OK;
    size_t capacity = tq_max_size(count, floats->capacity * 2);
    float *grown = tq_realloc(floats->data, floats->capacity * sizeof(float), capacity * sizeof(float));
    if (grown == NULL) return TQ_NOMEM;
    floats->data = grown;
    floats->capacity = capacity;
    return TQ_OK;
}

struct reader {
    const char *start, *at, *end;
};

static void skip_blanks(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static bool take(struct reader *r, char c) {
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
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
        if (count == floats->capacity) TQ_TRY(tq_floats_reserve(floats, count + 1));
        if (count == TQ_DIM_MAX) return tq_fail(TQ_MISUSE, "JSON has more than %d numbers", TQ_DIM_MAX);
        if (!tq_decimal_f32(&r.at, r.end, TQ_DECIMAL_JSON, &floats->data[count])) return fail_at(&r, "a number");
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
