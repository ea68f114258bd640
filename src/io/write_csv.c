/* CSV, or with tabs where the name ends in .tsv: a line of names, then the rows. Vectors are JSON in quotes, blobs
 * hexadecimal. NULL is an empty cell, and an empty text is "". */
#include <string.h>
#include <strings.h>

#include "src/base/alloc.h"
#include "src/io/read.h"
#include "src/io/text_row.h"

struct csv_writer {
    struct tq_text_row row;
    char separator;
};

/* Blanks at the ends would be taken for layout. */
static bool needs_quotes(const char *text, size_t size, char separator) {
    if (size == 0 || text[0] == ' ' || text[0] == '\t' || text[size - 1] == ' ' || text[size - 1] == '\t') return true;
    for (size_t i = 0; i < size; i++)
        if (text[i] == separator || text[i] == '"' || text[i] == '\n' || text[i] == '\r') return true;
    return false;
}

static enum tq_status append_text(struct csv_writer *csv, const char *text, size_t size) {
    struct tq_text_row *row = &csv->row;
    if (!needs_quotes(text, size, csv->separator)) return tq_row_bytes(row, text, size);
    TQ_TRY(tq_row_bytes(row, "\"", 1));
    for (size_t done = 0; done < size;) {
        const char *quote = memchr(text + done, '"', size - done);
        size_t part = quote == NULL ? size - done : (size_t)(quote - text) - done + 1;
        TQ_TRY(tq_row_bytes(row, text + done, part));
        if (quote != NULL) TQ_TRY(tq_row_bytes(row, "\"", 1));
        done += part;
    }
    return tq_row_bytes(row, "\"", 1);
}

static enum tq_status append_value(struct csv_writer *csv, const struct tq_value *value) {
    struct tq_text_row *row = &csv->row;
    switch (value->type) {
    case TQ_TYPE_NULL: return TQ_OK;
    case TQ_TYPE_INTEGER: return tq_row_integer(row, value->integer);
    case TQ_TYPE_REAL: return tq_row_real(row, value->real);
    case TQ_TYPE_TEXT: return append_text(csv, value->text, value->size);
    case TQ_TYPE_BLOB: return tq_row_blob(row, value->blob, value->size);
    case TQ_TYPE_VECTOR: break;
    }
    TQ_TRY(tq_row_bytes(row, "\"", 1));
    TQ_TRY(tq_row_vector(row, value->vector, value->size));
    return tq_row_bytes(row, "\"", 1);
}

static enum tq_status end_line(struct tq_writer *writer) {
    struct csv_writer *csv = writer->state;
    TQ_TRY(tq_row_bytes(&csv->row, "\n", 1));
    return tq_writer_bytes(writer, csv->row.text, csv->row.size);
}

static enum tq_status csv_open(struct tq_writer *writer) {
    size_t length = strlen(writer->path);
    struct csv_writer *csv = writer->state = tq_alloc_zero(sizeof *csv);
    if (csv == NULL) return TQ_NOMEM;
    if (writer->column_count == 0) return tq_fail(TQ_MISUSE, "%s: no columns", writer->path);
    csv->separator = length >= 4 && strcasecmp(writer->path + length - 4, ".tsv") == 0 ? '\t' : ',';
    for (size_t i = 0; i < writer->column_count; i++) {
        const char *name = writer->columns[i].name;
        if (i > 0) TQ_TRY(tq_row_bytes(&csv->row, &csv->separator, 1));
        TQ_TRY(append_text(csv, name, strlen(name)));
    }
    return end_line(writer);
}

static enum tq_status csv_put(struct tq_writer *writer, const struct tq_value *values) {
    struct csv_writer *csv = writer->state;
    csv->row.size = 0;
    for (size_t i = 0; i < writer->column_count; i++) {
        TQ_TRY(tq_row_check(writer, i, &values[i]));
        if (i > 0) TQ_TRY(tq_row_bytes(&csv->row, &csv->separator, 1));
        TQ_TRY(append_value(csv, &values[i]));
    }
    /* An empty line would be no row. */
    if (csv->row.size == 0) TQ_TRY(append_text(csv, "", 0));
    return end_line(writer);
}

static void csv_close(struct tq_writer *writer) {
    struct csv_writer *csv = writer->state;
    if (csv != NULL) tq_free(csv->row.text);
    tq_free(csv);
}

const struct tq_writer_ops tq_write_csv = {.open = csv_open, .put = csv_put, .close = csv_close};
