#include "src/io/text_cells.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/alloc.h"
#include "src/base/decimal.h"
#include "src/io/lines.h"

/* Numbers without brackets are a vector from here on: two or three are as likely a date or a telephone number. */
enum { BARE_NUMBERS = 4 };

/* ---- A cell ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

enum tq_type tq_cell_type(const char *text, size_t size, int64_t *integer, double *real) {
    const char *at = text, *end = text + size;
    bool minus = at < end && *at == '-';
    const char *digits = at + minus;
    uint64_t magnitude = 0;
    if (digits == end || (!is_digit(*digits) && *digits != '.')) return TQ_TYPE_TEXT;
    if (*digits == '0' && digits + 1 < end && is_digit(digits[1])) return TQ_TYPE_TEXT;
    for (at = digits; at < end && is_digit(*at) && at - digits < 19; at++)
        magnitude = magnitude * 10 + (uint64_t)(*at - '0');
    bool zero = minus && magnitude == 0; /* as an integer, -0 is 0 */
    if (at == end && !zero && magnitude <= (uint64_t)INT64_MAX + minus) {
        *integer = minus ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
        return TQ_TYPE_INTEGER;
    }
    bool whole = true;
    for (const char *c = digits; c < end && whole; c++) whole = is_digit(*c);
    at = text;
    if ((whole && !zero) || !tq_decimal_f64(&at, end, TQ_DECIMAL_LOOSE, real) || at != end) return TQ_TYPE_TEXT;
    return TQ_TYPE_REAL;
}

static const char *pass_separators(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

static enum tq_status fail_element(const char *at, const char *end, size_t place) {
    size_t size = 0;
    while (size < (size_t)(end - at) && strchr(" \t\r\n,;", at[size]) == NULL) size++;
    if (at == end) return tq_fail(TQ_MISUSE, "the vector ends where element %zu is expected", place);
    return tq_fail(TQ_MISUSE, "element %zu is %s, which is no number", place, tq_quote(at, size).text);
}

/* A vector's text without its brackets. */
static enum tq_status take_brackets(const char **at, const char **end) {
    static const char pairs[] = "[](){}";
    *at = pass_separators(*at, *end);
    while (*end > *at && strchr(" \t\r\n", (*end)[-1]) != NULL) --*end;
    const char *open = *at < *end && **at != '\0' ? strchr(pairs, **at) : NULL;
    if (open == NULL || (open - pairs) % 2 != 0) return TQ_OK;
    ++*at;
    if (*end == *at || (*end)[-1] != open[1]) return tq_fail(TQ_MISUSE, "the vector does not end with '%c'", open[1]);
    --*end;
    while (*end > *at && strchr(" \t\r\n", (*end)[-1]) != NULL) --*end;
    return TQ_OK;
}

enum tq_status tq_cell_vector(const char *text, size_t size, struct tq_floats *floats, size_t *dim) {
    const char *at = text, *end = text + size;
    size_t count = 0;
    TQ_TRY(take_brackets(&at, &end));
    do {
        at = pass_separators(at, end);
        const char *first = at;
        if (count == floats->capacity) TQ_TRY(tq_floats_reserve(floats, count + 1));
        if (count == TQ_DIM_MAX) return tq_fail(TQ_MISUSE, "the vector has more than %d elements", TQ_DIM_MAX);
        if (!tq_decimal_f32(&at, end, TQ_DECIMAL_LOOSE, &floats->data[count])) return fail_element(first, end, count);
        if (at < end && strchr(" \t\r\n,;", *at) == NULL) return fail_element(first, end, count);
        if (!isfinite(floats->data[count])) {
            return tq_fail(TQ_MISUSE, "element %zu is %s, beyond the range of float32", count,
                           tq_quote(first, (size_t)(at - first)).text);
        }
        count++;
        at = pass_separators(at, end);
        if (at < end && (*at == ',' || *at == ';')) {
            at++;
            if (at == end) return fail_element(end, end, count);
        }
    } while (at < end);
    *dim = count;
    return TQ_OK;
}

/* ---- A column ---- */

/* FNV-1a, https://www.rfc-editor.org/rfc/rfc9923 */
static uint64_t hash_text(const char *text, size_t size) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

enum tq_status tq_sample_init(struct tq_column_sample *sample, const char *name) {
    *sample = (struct tq_column_sample){0};
    bool named = strcasecmp(name, "id") == 0 || strcasecmp(name, "key") == 0 || strcasecmp(name, "word") == 0;
    if (named) sample->hashes = tq_alloc_array(TQ_SAMPLE_ROWS, sizeof *sample->hashes);
    return named && sample->hashes == NULL ? TQ_NOMEM : TQ_OK;
}

void tq_sample_free(struct tq_column_sample *sample) { tq_free(sample->hashes); }

static bool may_be_vector(const char *text, size_t size) {
    return size > 1 && (strchr("[({", text[0]) != NULL || strpbrk(text, " ;,") != NULL);
}

void tq_sample_count(struct tq_column_sample *sample, enum tq_type type, const char *text, size_t size, size_t dim) {
    if (sample->cells + sample->empty == TQ_SAMPLE_ROWS) return;
    if (type == TQ_TYPE_NULL) {
        sample->empty++;
        return;
    }
    if (sample->hashes != NULL) sample->hashes[sample->cells] = hash_text(text, size);
    sample->cells++;
    sample->integers += type == TQ_TYPE_INTEGER;
    sample->reals += type == TQ_TYPE_REAL;
    if (type == TQ_TYPE_VECTOR && sample->dim == 0) sample->dim = dim;
    sample->vectors += type == TQ_TYPE_VECTOR && dim == sample->dim;
}

enum tq_status tq_sample_add(struct tq_column_sample *sample, const char *text, size_t size, struct tq_floats *floats) {
    int64_t integer = 0;
    double real = 0;
    size_t dim = 1; /* of a number */
    bool vector = true;
    enum tq_type type = size == 0 ? TQ_TYPE_NULL : tq_cell_type(text, size, &integer, &real);
    if (type == TQ_TYPE_TEXT) {
        enum tq_status status = may_be_vector(text, size) ? tq_cell_vector(text, size, floats, &dim) : TQ_MISUSE;
        if (status == TQ_NOMEM) return status;
        vector = status == TQ_OK;
        if (vector && (dim >= BARE_NUMBERS || strchr("[({", text[0]) != NULL)) type = TQ_TYPE_VECTOR;
    }
    if (size > 0 && vector && sample->any_dim == 0) sample->any_dim = dim;
    tq_sample_count(sample, type, text, size, dim);
    return TQ_OK;
}

enum tq_type tq_sample_type(const struct tq_column_sample *sample) {
    if (sample->cells == 0) return TQ_TYPE_NULL;
    if (sample->integers == sample->cells) return TQ_TYPE_INTEGER;
    return sample->integers + sample->reals == sample->cells ? TQ_TYPE_REAL : TQ_TYPE_TEXT;
}

bool tq_sample_is_numeric(const struct tq_column_sample *sample) {
    return 2 * (sample->integers + sample->reals) >= sample->cells;
}

bool tq_sample_is_vector(const struct tq_column_sample *sample) {
    return sample->vectors > 0 && 2 * sample->vectors >= sample->cells;
}

static int compare_hashes(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

bool tq_sample_is_key(struct tq_column_sample *sample) {
    if (sample->hashes == NULL || sample->empty > 0) return false;
    qsort(sample->hashes, sample->cells, sizeof *sample->hashes, compare_hashes);
    for (size_t i = 1; i < sample->cells; i++)
        if (sample->hashes[i] == sample->hashes[i - 1]) return false;
    return true;
}

/* ---- Names for messages ---- */

void tq_name_list_add(struct tq_name_list *list, const char *name) {
    list->cut = list->used + 40 >= sizeof list->text;
    if (list->cut) return;
    list->used += (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%.32s",
                                   list->count++ == 0 ? "" : ", ", name);
}

enum tq_status tq_fail_no_column(const char *path, const char *name, size_t size, const struct tq_name_list *list) {
    return tq_fail(TQ_NOT_FOUND, "%s: no column %s; there are %s%s", path, tq_quote(name, size).text, list->text,
                   list->cut ? ", ..." : "");
}
