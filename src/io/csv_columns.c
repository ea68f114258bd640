#include "src/io/csv_columns.h"

#ifdef TQ_HAVE_CSV
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/alloc.h"
#include "src/base/utf8.h"

/* Neighbouring columns of numbers are dimensions from here on. */
enum { RUN_LEAST = 4 };

/* ---- The first row ---- */

static bool is_number(const struct tq_csv_cell *cell) {
    int64_t integer = 0;
    double real = 0;
    return cell->text != NULL && tq_cell_type(cell->text, cell->size, &integer, &real) != TQ_TYPE_TEXT;
}

/* pandas names columns 0, 1, 2, ... where they have no names. */
static bool counts_up(const struct tq_csv_cell *cells, size_t count) {
    size_t last = count, run = 1;
    int64_t after = 0, before = 0;
    double real = 0;
    if (count < RUN_LEAST || tq_cell_type(cells[last - 1].text, cells[last - 1].size, &after, &real) != TQ_TYPE_INTEGER)
        return false;
    for (last--; last > 0; last--, run++, after = before) {
        const struct tq_csv_cell *cell = &cells[last - 1];
        if (cell->text == NULL || tq_cell_type(cell->text, cell->size, &before, &real) != TQ_TYPE_INTEGER) break;
        if (before != after - 1) return false;
    }
    for (size_t i = 0; i < last; i++)
        if (is_number(&cells[i])) return false;
    return run >= RUN_LEAST && after == 0;
}

static enum tq_status looks_like_header(const struct tq_csv_rows *rows, bool *header) {
    struct tq_floats floats = {0};
    enum tq_status status = TQ_OK;
    *header = true;
    for (size_t i = 0; i < rows->cell_count && *header && status != TQ_NOMEM; i++) {
        const struct tq_csv_cell *cell = &rows->cells[i];
        struct tq_column_sample sample = {0};
        status = tq_sample_add(&sample, cell->text, cell->size, &floats);
        *header = !is_number(cell) && sample.vectors == 0;
    }
    tq_free(floats.data);
    if (!*header && rows->cells[rows->cell_count - 1].text != NULL) *header = counts_up(rows->cells, rows->cell_count);
    return status == TQ_NOMEM ? status : TQ_OK;
}

static enum tq_status name_field(struct tq_csv_field *field, const struct tq_csv_cell *cell, size_t place) {
    char made[24];
    (void)snprintf(made, sizeof made, "c%zu", place + 1);
    field->named = cell != NULL && cell->size > 0;
    const char *name = field->named ? cell->text : made;
    size_t bytes = field->named ? cell->size + 1 : strlen(made) + 1;
    field->name = tq_alloc(bytes);
    if (field->name == NULL) return TQ_NOMEM;
    memcpy(field->name, name, bytes);
    return TQ_OK;
}

static int compare_names(const void *a, const void *b) {
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    int order = strcasecmp(left, right);
    return order != 0 ? order : strcmp(left, right);
}

/* As SQL compares them. */
static enum tq_status check_names(const struct tq_csv_columns *columns, const char *path) {
    const char **names = tq_alloc_array(columns->count, sizeof *names);
    enum tq_status status = TQ_OK;
    if (names == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < columns->count; i++) {
        names[i] = columns->fields[i].name;
        if (tq_utf8_check(names[i], strlen(names[i])) < strlen(names[i]))
            status = tq_fail(TQ_FORMAT, "%s: the name of column %zu is not UTF-8", path, i + 1);
    }
    qsort(names, columns->count, sizeof *names, compare_names);
    for (size_t i = 1; i < columns->count && status == TQ_OK; i++)
        if (strcasecmp(names[i], names[i - 1]) == 0)
            status = tq_fail(TQ_FORMAT, "%s: two columns have the name %s", path,
                             tq_quote(names[i], strlen(names[i])).text);
    tq_free(names);
    return status;
}

static enum tq_status read_names(struct tq_csv_columns *columns, struct tq_csv_rows *rows,
                                 const struct tq_reader *reader) {
    bool end = false, header = reader->options.header > 0;
    const uint64_t begin = tq_lines_offset(&rows->lines);
    enum tq_status status = tq_csv_next(rows, &end);
    if (status == TQ_MISUSE) {
        char what[512];
        (void)snprintf(what, sizeof what, "%s", tq_message());
        return tq_fail(TQ_FORMAT, "%s", what);
    }
    TQ_TRY(status);
    if (end) return tq_fail(TQ_FORMAT, "%s: the file has blank lines only", reader->path);
    if (reader->options.header < 0) TQ_TRY(looks_like_header(rows, &header));
    columns->fields = tq_alloc_array(rows->cell_count, sizeof *columns->fields);
    if (columns->fields == NULL) return TQ_NOMEM;
    memset(columns->fields, 0, rows->cell_count * sizeof *columns->fields);
    columns->count = rows->cell_count;
    for (size_t i = 0; i < columns->count; i++)
        TQ_TRY(name_field(&columns->fields[i], header ? &rows->cells[i] : NULL, i));
    if (!header) tq_lines_seek(&rows->lines, begin, 0);
    TQ_TRY(check_names(columns, reader->path));
    /* Behind the check: those of a thousand columns called id would be large. */
    for (size_t i = 0; i < columns->count; i++)
        TQ_TRY(tq_sample_init(&columns->fields[i].sample, columns->fields[i].name));
    return TQ_OK;
}

/* ---- The rows behind it ---- */

static enum tq_status sample_rows(struct tq_csv_columns *columns, struct tq_csv_rows *rows) {
    struct tq_floats floats = {0};
    const uint64_t begin = tq_lines_offset(&rows->lines), number = rows->lines.line;
    enum tq_status status = TQ_OK;
    bool end = false;
    while (columns->sampled < TQ_SAMPLE_ROWS && tq_lines_offset(&rows->lines) - begin < TQ_SAMPLE_BYTES) {
        status = tq_csv_next(rows, &end);
        if ((status != TQ_OK && status != TQ_MISUSE) || end) break;
        if (status == TQ_MISUSE || rows->cell_count != columns->count) continue;
        columns->sampled++;
        for (size_t i = 0; i < columns->count && status == TQ_OK; i++)
            status = tq_sample_add(&columns->fields[i].sample, rows->cells[i].text, rows->cells[i].size, &floats);
        if (status != TQ_OK) break;
    }
    tq_free(floats.data);
    tq_lines_seek(&rows->lines, begin, number);
    if (status == TQ_MISUSE) status = TQ_OK;
    for (size_t i = 0; i < columns->count; i++) columns->fields[i].type = tq_sample_type(&columns->fields[i].sample);
    return status;
}

/* ---- The vector ---- */

static bool find_field(const struct tq_csv_columns *columns, const char *name, size_t length, size_t *place) {
    for (*place = 0; *place < columns->count; ++*place) {
        const char *other = columns->fields[*place].name;
        if (strlen(other) == length && strncmp(other, name, length) == 0) return true;
    }
    return false;
}

static enum tq_status fail_name(const struct tq_csv_columns *columns, const char *path, const char *name,
                                size_t length) {
    struct tq_name_list list = {.used = 0};
    for (size_t i = 0; i < columns->count && !list.cut; i++) tq_name_list_add(&list, columns->fields[i].name);
    return tq_fail_no_column(path, name, length, &list);
}

/* Digits at the end of a name; SIZE_MAX: there are none. *stem: bytes before them. */
static size_t name_number(const char *name, size_t *stem) {
    size_t length = strlen(name), number = 0;
    for (*stem = length; *stem > 0 && name[*stem - 1] >= '0' && name[*stem - 1] <= '9';) --*stem;
    if (*stem == length || length - *stem > 9) return SIZE_MAX;
    for (size_t i = *stem; i < length; i++) number = number * 10 + (size_t)(name[i] - '0');
    return number;
}

static bool continues(const struct tq_csv_field *field, const struct tq_csv_field *before) {
    size_t stem = 0, stem_before = 0;
    size_t number = name_number(field->name, &stem), number_before = name_number(before->name, &stem_before);
    return number != SIZE_MAX && number_before != SIZE_MAX && number == number_before + 1 && stem == stem_before &&
           strncmp(field->name, before->name, stem) == 0;
}

/* The longest run of numeric columns that are named so; those without names at the end of the rows. */
static void find_run(struct tq_csv_columns *columns, bool named) {
    for (size_t begin = 0, i = 0; i < columns->count; i++) {
        const struct tq_csv_field *field = &columns->fields[i];
        bool numeric = tq_sample_is_numeric(&field->sample) && (field->sample.cells > 0 || columns->sampled == 0);
        if (!numeric || (i > begin && named && !continues(field, field - 1))) begin = i;
        if (!numeric) begin = i + 1;
        size_t count = i + 1 - begin;
        if (count < RUN_LEAST || count <= columns->vector_fields || (!named && i + 1 < columns->count)) continue;
        *columns = (struct tq_csv_columns){columns->fields,
                                           columns->count,
                                           columns->sampled,
                                           begin,
                                           count,
                                           true,
                                           true,
                                           (uint32_t)tq_min_size(count, UINT32_MAX)};
    }
}

static void find_vector(struct tq_csv_columns *columns) {
    bool named = columns->count > 0 && (columns->fields[0].named || columns->fields[columns->count - 1].named);
    for (size_t i = 0; i < columns->count; i++) {
        const struct tq_column_sample *sample = &columns->fields[i].sample;
        if (!tq_sample_is_vector(sample) || sample->dim <= columns->dim) continue;
        columns->first = i;
        columns->vector_fields = 1;
        columns->has_vector = true;
        columns->dim = (uint32_t)sample->dim;
    }
    if (!columns->has_vector) find_run(columns, named);
}

/* "name", or "first..last". */
static enum tq_status take_vector(struct tq_csv_columns *columns, const struct tq_reader *reader) {
    const char *name = reader->options.vector, *dots = strstr(name, "..");
    size_t last = 0;
    columns->has_vector = true;
    columns->vector_fields = 1;
    if (find_field(columns, name, strlen(name), &columns->first)) {
        const struct tq_column_sample *sample = &columns->fields[columns->first].sample;
        columns->dim = sample->any_dim > 0 ? (uint32_t)sample->any_dim : reader->options.dim;
        if (columns->dim > 0) return TQ_OK;
        return tq_fail(TQ_FORMAT, "%s: column %s has no vector in the first %zu rows", reader->path, name,
                       columns->sampled);
    }
    if (dots == NULL) return fail_name(columns, reader->path, name, strlen(name));
    if (!find_field(columns, name, (size_t)(dots - name), &columns->first))
        return fail_name(columns, reader->path, name, (size_t)(dots - name));
    if (!find_field(columns, dots + 2, strlen(dots + 2), &last))
        return fail_name(columns, reader->path, dots + 2, strlen(dots + 2));
    if (last < columns->first)
        return tq_fail(TQ_MISUSE, "%s: %s: the last column stands before the first", reader->path, name);
    columns->range = true;
    columns->vector_fields = last - columns->first + 1;
    columns->dim = (uint32_t)columns->vector_fields;
    return TQ_OK;
}

/* ---- What the reader gives ---- */

static size_t find_key(const struct tq_csv_columns *columns) {
    for (size_t i = 0; i < columns->count; i++) {
        bool in_vector = columns->has_vector && i - columns->first < columns->vector_fields;
        if (!in_vector && tq_sample_is_key(&columns->fields[i].sample)) return i;
    }
    return columns->count;
}

/* A range has no name of its own. */
static const char *vector_name(const struct tq_csv_columns *columns) {
    size_t place = 0;
    if (!columns->range) return columns->fields[columns->first].name;
    bool taken = find_field(columns, "embedding", strlen("embedding"), &place);
    return taken && place - columns->first >= columns->vector_fields ? "vector" : "embedding";
}

static enum tq_status declare(struct tq_csv_columns *columns, struct tq_reader *reader) {
    size_t key = find_key(columns);
    for (size_t i = 0; i < columns->count; i++) {
        struct tq_csv_field *field = &columns->fields[i];
        bool in_vector = columns->has_vector && i - columns->first < columns->vector_fields;
        if (in_vector && i > columns->first) continue;
        const char *name = in_vector ? vector_name(columns) : field->name;
        field->wanted = tq_reader_wants(reader, name);
        if (reader->options.texts) field->type = TQ_TYPE_TEXT;
        enum tq_type type = in_vector ? TQ_TYPE_VECTOR : field->type;
        if (field->wanted) TQ_TRY(tq_reader_column(reader, name, type, columns->dim, i == key));
    }
    return TQ_OK;
}

enum tq_status tq_csv_columns_find(struct tq_csv_columns *columns, struct tq_csv_rows *rows, struct tq_reader *reader) {
    const char *vector = reader->options.vector;
    TQ_TRY(read_names(columns, rows, reader));
    TQ_TRY(sample_rows(columns, rows));
    if (vector == NULL)
        find_vector(columns);
    else if (*vector != '\0')
        TQ_TRY(take_vector(columns, reader));
    return declare(columns, reader);
}

void tq_csv_columns_free(struct tq_csv_columns *columns) {
    for (size_t i = 0; i < columns->count; i++) {
        tq_free(columns->fields[i].name);
        tq_sample_free(&columns->fields[i].sample);
    }
    tq_free(columns->fields);
}
#endif
