/* .npz: several NumPy arrays. One holds the vectors; those of one axis with as many rows are columns beside them. All
 * members are unpacked side by side, so that a row costs no more memory than a buffer for each. */
#include "src/io/read.h"

#ifdef TQ_HAVE_ZIP
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/alloc.h"
#include "src/base/utf8.h"
#include "src/io/npz_array.h"

enum { ROW_BYTES_MAX = 64 << 20, VECTORS_BUFFER_BYTES = 1 << 18, COLUMN_BUFFER_BYTES = 1 << 14 };

struct npz_column {
    struct tq_npz_array *array;
    enum tq_type type;
    enum tq_element element; /* of numbers */
    bool wide;               /* texts of four bytes a character, not one */
    uint32_t dim;            /* of vectors */
    size_t row_bytes;
    const uint8_t *bytes; /* of the row that is being read */
    void *value;          /* f32[dim], or char[row_bytes + 1] */
};

struct npz_state {
    struct tq_npz npz;
    struct npz_column *columns; /* [count], the vectors first */
    size_t count, row_bytes;
    uint64_t rows, row;
};

/* ---- Which array holds the vectors ---- */

static bool may_hold_vectors(const struct tq_npz_array *array) {
    enum tq_element unused;
    return array->is_array && array->header.axes == 2 && tq_npy_header_element(&array->header, &unused);
}

/* Names all arrays, or those that may hold vectors. */
static enum tq_status fail_choice(const struct npz_state *state, enum tq_status status, const char *why) {
    char list[384] = "";
    size_t used = 0;
    for (size_t i = 0; i < state->npz.count && used < sizeof list; i++) {
        const struct tq_npz_array *array = &state->npz.arrays[i];
        char shape[64] = "";
        if (status == TQ_MISUSE && !may_hold_vectors(array)) continue;
        if (array->is_array) tq_npy_header_shape(&array->header, shape, sizeof shape);
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.80s %s %s", used > 0 ? ", " : "", array->name,
                                 array->is_array ? array->header.type : "(unreadable)", shape);
    }
    return tq_fail(status, "%s: %s; it has %s", state->npz.path, why, used > 0 ? list : "no arrays");
}

static bool is_part(const char *part, const char *name) {
    size_t length = strlen(name);
    return strncmp(part, name, length) == 0 && (part[length] == '\0' || strcmp(part + length, ".npy") == 0);
}

static enum tq_status choose_vectors(struct npz_state *state, const char *part, struct tq_npz_array **chosen) {
    struct tq_npz_array *found = NULL;
    char why[160];
    size_t count = 0;
    for (size_t i = 0; i < state->npz.count; i++) {
        struct tq_npz_array *array = &state->npz.arrays[i];
        if (part != NULL ? !is_part(part, array->name) : !may_hold_vectors(array)) continue;
        found = array;
        count++;
    }
    if (part != NULL && found == NULL) {
        (void)snprintf(why, sizeof why, "no array \"%.80s\"", part);
        return fail_choice(state, TQ_NOT_FOUND, why);
    }
    if (count == 0) return fail_choice(state, TQ_NOT_FOUND, "no array of numbers with two axes");
    if (count > 1) return fail_choice(state, TQ_MISUSE, "several arrays may hold the vectors: name one as the part");
    *chosen = found;
    return found->is_array ? TQ_OK : tq_npz_array_look(&state->npz, found);
}

/* ---- Columns ---- */

/* What an array of one axis is as a column; false: nothing. */
static bool describe_column(struct tq_npz_array *array, struct npz_column *column) {
    const char *type = array->header.type;
    char *end = NULL;
    *column = (struct npz_column){.array = array};
    if (tq_npy_header_element(&array->header, &column->element) || strcmp(type, "|b1") == 0) {
        if (strcmp(type, "|b1") == 0) column->element = TQ_ELEMENT_U8;
        column->type = tq_element_is_float(column->element) ? TQ_TYPE_REAL : TQ_TYPE_INTEGER;
        column->row_bytes = tq_element_bytes(column->element);
        return true;
    }
    column->wide = strncmp(type, "<U", 2) == 0;
    if (!column->wide && strncmp(type, "|S", 2) != 0) return false;
    unsigned long length = strtoul(type + 2, &end, 10);
    if (end == type + 2 || *end != '\0' || length > ROW_BYTES_MAX) return false;
    column->type = TQ_TYPE_TEXT;
    column->row_bytes = length * (column->wide ? 4 : 1);
    return true;
}

static bool names_rows(const struct npz_column *column) {
    static const char *const numbers[] = {"id", "ids", "rowid", "key", "keys"};
    static const char *const texts[] = {"word", "words", "key", "keys", "id", "ids", "name", "names"};
    bool text = column->type == TQ_TYPE_TEXT;
    const char *const *names = text ? texts : numbers;
    if (column->type != TQ_TYPE_INTEGER && !text) return false;
    for (size_t i = 0; i < (text ? TQ_COUNT(texts) : TQ_COUNT(numbers)); i++)
        if (strcasecmp(names[i], column->array->name) == 0) return true;
    return false;
}

/* numpy.savez calls arrays that were given no name arr_0, arr_1, ...: that says nothing about vectors. */
static const char *vectors_name(const struct tq_npz_array *array) {
    return strncmp(array->name, "arr_", 4) == 0 ? "embedding" : array->name;
}

static enum tq_status add_vectors(struct tq_reader *reader, struct tq_npz_array *array) {
    struct npz_state *state = reader->state;
    struct npz_column column = {.array = array, .type = TQ_TYPE_VECTOR};
    char place[512];
    tq_npz_place(&state->npz, array, place, sizeof place);
    TQ_TRY(tq_npy_header_vectors(place, &array->header, array->size, &column.element, &column.dim));
    column.row_bytes = column.dim * tq_element_bytes(column.element);
    state->rows = reader->info.rows = array->header.shape[0];
    if (!tq_reader_wants(reader, vectors_name(array))) return TQ_OK;
    state->columns[state->count++] = column;
    state->row_bytes += column.row_bytes;
    return tq_reader_column(reader, vectors_name(array), TQ_TYPE_VECTOR, column.dim, false);
}

static enum tq_status add_column(struct tq_reader *reader, struct tq_npz_array *array) {
    struct npz_state *state = reader->state;
    struct npz_column column;
    char place[512];
    bool fits = array->is_array && array->header.axes == 1 && array->header.shape[0] == state->rows;
    if (!fits || !describe_column(array, &column) || !tq_reader_wants(reader, array->name)) return TQ_OK;
    tq_npz_place(&state->npz, array, place, sizeof place);
    TQ_TRY(tq_npy_header_check_size(place, &array->header, array->size, column.row_bytes));
    state->row_bytes += column.row_bytes;
    if (state->row_bytes > ROW_BYTES_MAX) {
        return tq_fail(TQ_FORMAT, "%s: with it rows have %zu bytes; they may have %d", place, state->row_bytes,
                       ROW_BYTES_MAX);
    }
    state->columns[state->count++] = column;
    return tq_reader_column(reader, array->name, column.type, 0, false);
}

/* One key: numbers before texts, because they are rowids. */
static void choose_key(struct tq_reader *reader) {
    const struct npz_state *state = reader->state;
    size_t key = state->count;
    for (size_t i = 0; i < state->count; i++) {
        if (!names_rows(&state->columns[i])) continue;
        if (key == state->count || state->columns[i].type < state->columns[key].type) key = i;
    }
    if (key < state->count) reader->columns[key].key = true;
}

static enum tq_status begin_columns(struct npz_state *state) {
    for (size_t i = 0; i < state->count; i++) {
        struct npz_column *column = &state->columns[i];
        size_t buffer = column->type == TQ_TYPE_VECTOR ? VECTORS_BUFFER_BYTES : COLUMN_BUFFER_BYTES;
        TQ_TRY(tq_npz_array_begin(&state->npz, column->array, tq_max_size(buffer, column->row_bytes)));
        if (column->type == TQ_TYPE_VECTOR)
            column->value = tq_alloc_array(column->dim, sizeof(float));
        else
            column->value = tq_alloc(column->type == TQ_TYPE_TEXT ? column->row_bytes + 1 : 0);
        if (column->value == NULL) return TQ_NOMEM;
    }
    return TQ_OK;
}

/* ---- Life ---- */

static enum tq_status npz_open(struct tq_reader *reader) {
    struct npz_state *state = reader->state = tq_alloc_zero(sizeof *state);
    struct tq_npz_array *vectors = NULL;
    if (state == NULL) return TQ_NOMEM;
    TQ_TRY(tq_npz_open(reader->path, &state->npz));
    state->columns = tq_alloc_zero(state->npz.count * sizeof *state->columns);
    if (state->columns == NULL) return TQ_NOMEM;
    TQ_TRY(choose_vectors(state, reader->options.part, &vectors));
    TQ_TRY(add_vectors(reader, vectors));
    for (size_t i = 0; i < state->npz.count; i++)
        if (&state->npz.arrays[i] != vectors) TQ_TRY(add_column(reader, &state->npz.arrays[i]));
    choose_key(reader);
    return begin_columns(state);
}

static void npz_close(struct tq_reader *reader) {
    struct npz_state *state = reader->state;
    if (state == NULL) return;
    for (size_t i = 0; i < state->count; i++) tq_free(state->columns[i].value);
    tq_npz_close(&state->npz);
    tq_free(state->columns);
    tq_free(state);
}

/* ---- Rows ---- */

static size_t put_utf8(uint32_t point, char *to) {
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, point >>= 6) to[i] = (char)(0x80 | (point & 0x3f));
    to[0] = (char)(first[bytes < 2 ? 0 : bytes] | point);
    return bytes;
}

/* Four bytes a character, padded with zeros, as UTF-8; false: one of them is no character. */
static bool text_from_wide(const struct npz_column *column, size_t *size) {
    char *text = column->value;
    size_t characters = column->row_bytes / 4;
    uint32_t point = 0;
    for (*size = 0; characters > 0; characters--) {
        memcpy(&point, column->bytes + (characters - 1) * 4, sizeof point);
        if (point != 0) break;
    }
    for (size_t i = 0; i < characters; i++) {
        memcpy(&point, column->bytes + i * 4, sizeof point);
        if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
        *size += put_utf8(point, text + *size);
    }
    text[*size] = '\0';
    return true;
}

static bool text_from_bytes(const struct npz_column *column, size_t *size) {
    char *text = column->value;
    for (*size = column->row_bytes; *size > 0 && column->bytes[*size - 1] == 0;) --*size;
    memcpy(text, column->bytes, *size);
    text[*size] = '\0';
    return tq_utf8_check(text, *size) == *size;
}

static enum tq_status convert(const struct npz_state *state, const struct npz_column *column, struct tq_value *value) {
    bool good = true;
    *value = (struct tq_value){.type = column->type};
    switch (column->type) {
    case TQ_TYPE_VECTOR:
        tq_elements_to_f32(column->element, column->bytes, column->dim, column->value);
        value->size = column->dim;
        value->vector = column->value;
        return TQ_OK;
    case TQ_TYPE_INTEGER: good = tq_element_to_integer(column->element, column->bytes, &value->integer); break;
    case TQ_TYPE_REAL: value->real = tq_element_to_real(column->element, column->bytes); return TQ_OK;
    default:
        good = column->wide ? text_from_wide(column, &value->size) : text_from_bytes(column, &value->size);
        value->text = column->value;
        break;
    }
    if (good) return TQ_OK;
    char what[64] = "a text that is no UTF-8";
    if (column->type == TQ_TYPE_INTEGER)
        (void)snprintf(what, sizeof what, "%.0f is beyond 9223372036854775807",
                       tq_element_to_real(column->element, column->bytes));
    return tq_fail(TQ_MISUSE, "%s, row %llu, column %.80s: %s", state->npz.path, (unsigned long long)state->row - 1,
                   column->array->name, what);
}

static enum tq_status npz_next(struct tq_reader *reader, bool *end) {
    struct npz_state *state = reader->state;
    *end = state->row == state->rows;
    for (size_t i = 0; *end && i < state->count; i++) TQ_TRY(tq_npz_array_end(&state->npz, state->columns[i].array));
    if (*end) return TQ_OK;
    state->row++;
    for (size_t i = 0; i < state->count; i++) { /* all of the row, before one of its values is refused */
        struct npz_column *column = &state->columns[i];
        TQ_TRY(tq_npz_array_take(&state->npz, column->array, column->row_bytes, &column->bytes));
    }
    for (size_t i = 0; i < state->count; i++) TQ_TRY(convert(state, &state->columns[i], &reader->values[i]));
    return TQ_OK;
}

static enum tq_status npz_skip(struct tq_reader *reader, uint64_t count, uint64_t *skipped) {
    struct npz_state *state = reader->state;
    uint64_t left = state->rows - state->row, rows = count < left ? count : left;
    for (size_t i = 0; i < state->count; i++) {
        const struct npz_column *column = &state->columns[i];
        TQ_TRY(tq_npz_array_skip(&state->npz, column->array, rows * column->row_bytes));
    }
    state->row += rows;
    *skipped = rows;
    return TQ_OK;
}

static double npz_progress(const struct tq_reader *reader) {
    const struct npz_state *state = reader->state;
    return state->rows == 0 ? 1 : (double)state->row / (double)state->rows;
}

const struct tq_reader_ops tq_read_npz = {
    .open = npz_open, .close = npz_close, .next = npz_next, .skip = npz_skip, .progress = npz_progress};
#endif
