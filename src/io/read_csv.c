/* CSV and TSV: a vector in one column, or in a column for each dimension. */
#include "src/io/read.h"

#ifdef TQ_HAVE_CSV
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/decimal.h"
#include "src/base/utf8.h"
#include "src/io/csv_columns.h"

struct csv {
    struct tq_csv_rows rows;
    struct tq_csv_columns columns;
    struct tq_floats floats; /* the vector of the row that was read last */
};

static enum tq_status csv_open(struct tq_reader *reader) {
    struct csv *csv = reader->state = tq_alloc_zero(sizeof *csv);
    if (csv == NULL) return TQ_NOMEM;
    TQ_TRY(tq_csv_open(&csv->rows, reader->path, reader->options.separator));
    TQ_TRY(tq_csv_columns_find(&csv->columns, &csv->rows, reader));
    return tq_floats_reserve(&csv->floats, csv->columns.dim);
}

static void csv_close(struct tq_reader *reader) {
    struct csv *csv = reader->state;
    if (csv == NULL) return;
    tq_csv_columns_free(&csv->columns);
    tq_csv_close(&csv->rows);
    tq_free(csv->floats.data);
    tq_free(csv);
}

/* ---- Cells ---- */

static enum tq_status fail_cell(const struct csv *csv, const char *name, const char *what) {
    return tq_fail(TQ_MISUSE, "%s, line %llu, column %s: %s", csv->rows.lines.path,
                   (unsigned long long)csv->rows.row_line, name, what);
}

static enum tq_status take_plain(const struct csv *csv, const struct tq_csv_field *field,
                                 const struct tq_csv_cell *cell, struct tq_value *value) {
    int64_t integer = 0;
    double real = 0;
    *value = (struct tq_value){.type = TQ_TYPE_NULL};
    bool number = field->type == TQ_TYPE_INTEGER || field->type == TQ_TYPE_REAL;
    if (cell->text == NULL || (cell->size == 0 && number)) return TQ_OK;
    enum tq_type type = field->type == TQ_TYPE_TEXT ? TQ_TYPE_TEXT
                                                    : tq_cell_type(cell->text, cell->size, &integer, &real);
    if (type == TQ_TYPE_INTEGER && field->type == TQ_TYPE_REAL)
        *value = (struct tq_value){.type = TQ_TYPE_REAL, .real = (double)integer};
    else if (type == TQ_TYPE_INTEGER)
        *value = (struct tq_value){.type = type, .integer = integer};
    else if (type == TQ_TYPE_REAL)
        *value = (struct tq_value){.type = type, .real = real};
    else
        *value = (struct tq_value){.type = type, .size = cell->size, .text = cell->text};
    size_t wrong = type == TQ_TYPE_TEXT ? tq_utf8_check(cell->text, cell->size) : cell->size;
    if (wrong == cell->size) return TQ_OK;
    char what[48];
    (void)snprintf(what, sizeof what, "byte 0x%02x is not UTF-8", (unsigned char)cell->text[wrong]);
    return fail_cell(csv, field->name, what);
}

static enum tq_status take_cell_vector(struct csv *csv, const struct tq_csv_field *field,
                                       const struct tq_csv_cell *cell, struct tq_value *value) {
    char what[256];
    size_t dim = 0;
    *value = (struct tq_value){.type = TQ_TYPE_NULL};
    if (cell->size == 0) return TQ_OK;
    enum tq_status status = tq_cell_vector(cell->text, cell->size, &csv->floats, &dim);
    if (status == TQ_NOMEM) return status;
    if (status == TQ_OK && dim != csv->columns.dim) {
        (void)snprintf(what, sizeof what, "%zu dimensions; there must be %u", dim, csv->columns.dim);
        return fail_cell(csv, field->name, what);
    }
    (void)snprintf(what, sizeof what, "%s", tq_message());
    if (status != TQ_OK) return fail_cell(csv, field->name, what);
    *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = dim, .vector = csv->floats.data};
    return TQ_OK;
}

/* NULL if all cells are empty. */
static enum tq_status take_range(struct csv *csv, const struct tq_csv_cell *cells, struct tq_value *value) {
    const struct tq_csv_field *fields = csv->columns.fields + csv->columns.first;
    const size_t dim = csv->columns.vector_fields;
    size_t empty = 0;
    *value = (struct tq_value){.type = TQ_TYPE_NULL};
    while (empty < dim && cells[empty].size == 0) empty++;
    if (empty == dim) return TQ_OK;
    for (size_t i = 0; i < dim; i++) {
        char what[80];
        const char *at = cells[i].text, *end = at == NULL ? NULL : at + cells[i].size;
        if (cells[i].size == 0) return fail_cell(csv, fields[i].name, "the cell is empty");
        bool number = tq_decimal_f32(&at, end, TQ_DECIMAL_LOOSE, &csv->floats.data[i]) && at == end;
        if (number && isfinite(csv->floats.data[i])) continue;
        (void)snprintf(what, sizeof what, "%s %s", tq_quote(cells[i].text, cells[i].size).text,
                       number ? "is beyond the range of float32" : "is no number");
        return fail_cell(csv, fields[i].name, what);
    }
    *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = dim, .vector = csv->floats.data};
    return TQ_OK;
}

/* ---- Rows ---- */

static enum tq_status csv_next(struct tq_reader *reader, bool *end) {
    struct csv *csv = reader->state;
    const struct tq_csv_columns *columns = &csv->columns;
    const struct tq_csv_cell *cells = NULL;
    struct tq_value *value = reader->values;
    TQ_TRY(tq_csv_next(&csv->rows, end));
    if (*end) return TQ_OK;
    cells = csv->rows.cells;
    if (csv->rows.cell_count != columns->count) {
        return tq_fail(TQ_MISUSE, "%s, line %llu: %zu cell%s; there must be %zu", reader->path,
                       (unsigned long long)csv->rows.row_line, csv->rows.cell_count,
                       csv->rows.cell_count == 1 ? "" : "s", columns->count);
    }
    for (size_t i = 0; i < columns->count; i++) {
        const struct tq_csv_field *field = &columns->fields[i];
        if (!field->wanted) continue;
        if (!columns->has_vector || i != columns->first)
            TQ_TRY(take_plain(csv, field, &cells[i], value++));
        else if (columns->range)
            TQ_TRY(take_range(csv, cells + i, value++));
        else
            TQ_TRY(take_cell_vector(csv, field, &cells[i], value++));
    }
    return TQ_OK;
}

static double csv_progress(const struct tq_reader *reader) {
    const struct csv *csv = reader->state;
    return tq_lines_progress(&csv->rows.lines);
}

static void csv_place(const struct tq_reader *reader, char *text, size_t size) {
    const struct csv *csv = reader->state;
    (void)snprintf(text, size, "%s, line %llu", reader->path, (unsigned long long)csv->rows.row_line);
}

const struct tq_reader_ops tq_read_csv = {
    .open = csv_open, .close = csv_close, .next = csv_next, .progress = csv_progress, .place = csv_place};
#endif
