/* All that a reader gives, as text to compare: a line of columns, a line for each row, and failures as they come. */
#ifndef ROWS_TEXT_H
#define ROWS_TEXT_H

#include "src/base/alloc.h"
#include "tests/unit/file_util.h"

enum { ROWS_TEXT_BYTES = 1 << 16 };
static char rows_text[ROWS_TEXT_BYTES];

__attribute__((format(printf, 1, 2))) static inline void add_text(const char *format, ...) {
    size_t used = strlen(rows_text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(rows_text + used, sizeof rows_text - used, format, arguments);
    va_end(arguments);
}

static inline void add_value(const struct tq_value *value) {
    switch (value->type) {
    case TQ_TYPE_NULL: add_text("NULL"); break;
    case TQ_TYPE_INTEGER: add_text("%lld", (long long)value->integer); break;
    case TQ_TYPE_REAL: add_text("%.17g", value->real); break;
    case TQ_TYPE_TEXT: add_text("'%s'", value->text); break;
    case TQ_TYPE_BLOB:
        add_text("x'");
        for (size_t i = 0; i < value->size; i++) add_text("%02x", ((const uint8_t *)value->blob)[i]);
        add_text("'");
        break;
    case TQ_TYPE_VECTOR:
        for (size_t i = 0; i < value->size; i++) add_text("%s%g", i == 0 ? "[" : ",", (double)value->vector[i]);
        add_text("]");
        break;
    }
}

/* "id* embedding[3] note\n": a star for the key, dimensions of vectors. */
static inline void add_columns_text(const struct tq_reader_info *info) {
    for (size_t i = 0; i < info->column_count; i++) {
        const struct tq_column *column = &info->columns[i];
        add_text("%s%s%s", i == 0 ? "" : " ", column->name, column->key ? "*" : "");
        if (column->type == TQ_TYPE_VECTOR) add_text("[%u]", column->dim);
    }
    add_text("\n");
}

/* A bad row is "bad: <message>"; what ends the reading is "<status>: <message>", with the folder left out. */
static inline const char *read_rows(const char *path, const struct tq_reader_options *options) {
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    rows_text[0] = '\0';
    enum tq_status status = tq_reader_open(path, options, &reader);
    const char *name = strrchr(path, '/');
    size_t folder_bytes = name == NULL ? 0 : (size_t)(name + 1 - path);
    if (status == TQ_OK) add_columns_text(tq_reader_get_info(reader));
    size_t columns = status == TQ_OK ? tq_reader_get_info(reader)->column_count : 0;
    while (reader != NULL && (status == TQ_OK || status == TQ_MISUSE)) {
        status = tq_reader_next(reader, &row);
        if (status == TQ_MISUSE) add_text("bad: %s\n", tq_message() + folder_bytes);
        if (status != TQ_OK) continue;
        if (row == NULL) break;
        for (size_t i = 0; i < columns; i++) {
            if (i > 0) add_text("|");
            add_value(&row[i]);
        }
        add_text("\n");
    }
    if (status != TQ_OK) {
        bool has_path = strncmp(tq_message(), path, folder_bytes) == 0;
        add_text("%s: %s\n", tq_status_name(status), tq_message() + (has_path ? folder_bytes : 0));
    }
    tq_reader_close(reader);
    return rows_text;
}

/* Memory runs out at each place in turn, at `least` of them: it is said, and nothing leaks (under a sanitizer). */
static inline void read_without_memory(const char *path, const struct tq_reader_options *options, long least) {
    long n = 1;
    for (; n < 2000; n++) {
        tq_alloc_fail_after(n);
        (void)read_rows(path, options);
        tq_alloc_fail_after(0);
        if (strstr(rows_text, "TQ_NOMEM") == NULL) break;
    }
    assert_in_range(n, least, 1999);
    assert_null(strstr(rows_text, "TQ_"));
}

#endif
