/* JSON lines: a flat object for each row. Vectors are arrays, blobs hexadecimal texts. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/io/read.h"
#include "src/io/text_row.h"

static enum tq_status append_string(struct tq_text_row *row, const char *text, size_t size) {
    TQ_TRY(tq_row_bytes(row, "\"", 1));
    for (size_t done = 0; done < size;) {
        size_t plain = done;
        while (plain < size && (unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\') plain++;
        TQ_TRY(tq_row_bytes(row, text + done, plain - done));
        done = plain;
        if (done == size) break;
        char escaped[8];
        const char c = text[done++];
        int length = c == '"' || c == '\\' ? snprintf(escaped, sizeof escaped, "\\%c", c)
                     : c == '\n'           ? snprintf(escaped, sizeof escaped, "\\n")
                     : c == '\t'           ? snprintf(escaped, sizeof escaped, "\\t")
                                           : snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
        TQ_TRY(tq_row_bytes(row, escaped, (size_t)length));
    }
    return tq_row_bytes(row, "\"", 1);
}

static enum tq_status append_value(struct tq_text_row *row, const struct tq_value *value) {
    switch (value->type) {
    case TQ_TYPE_NULL: break;
    case TQ_TYPE_INTEGER: return tq_row_integer(row, value->integer);
    case TQ_TYPE_REAL: return tq_row_real(row, value->real);
    case TQ_TYPE_TEXT: return append_string(row, value->text, value->size);
    case TQ_TYPE_BLOB:
        TQ_TRY(tq_row_bytes(row, "\"", 1));
        TQ_TRY(tq_row_blob(row, value->blob, value->size));
        return tq_row_bytes(row, "\"", 1);
    case TQ_TYPE_VECTOR: return tq_row_vector(row, value->vector, value->size);
    }
    return tq_row_bytes(row, "null", 4);
}

static enum tq_status jsonl_open(struct tq_writer *writer) {
    if (writer->column_count == 0) return tq_fail(TQ_MISUSE, "%s: no columns", writer->path);
    writer->state = tq_alloc_zero(sizeof(struct tq_text_row));
    return writer->state == NULL ? TQ_NOMEM : TQ_OK;
}

static enum tq_status jsonl_put(struct tq_writer *writer, const struct tq_value *values) {
    struct tq_text_row *row = writer->state;
    row->size = 0;
    for (size_t i = 0; i < writer->column_count; i++) {
        const char *name = writer->columns[i].name;
        TQ_TRY(tq_row_check(writer, i, &values[i]));
        TQ_TRY(tq_row_bytes(row, i == 0 ? "{" : ",", 1));
        TQ_TRY(append_string(row, name, strlen(name)));
        TQ_TRY(tq_row_bytes(row, ":", 1));
        TQ_TRY(append_value(row, &values[i]));
    }
    TQ_TRY(tq_row_bytes(row, "}\n", 2));
    return tq_writer_bytes(writer, row->text, row->size);
}

static void jsonl_close(struct tq_writer *writer) {
    struct tq_text_row *row = writer->state;
    if (row != NULL) tq_free(row->text);
    tq_free(row);
}

const struct tq_writer_ops tq_write_jsonl = {.open = jsonl_open, .put = jsonl_put, .close = jsonl_close};
