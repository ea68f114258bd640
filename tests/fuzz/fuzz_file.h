/* For targets that read files of vectors: an input is a file, and all its rows are read. */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include <unistd.h>

#include "src/tq_io.h"
#include "tests/fuzz/fuzz.h"

static int fuzz_descriptor = -1;
static char fuzz_path[4096];

static inline void fuzz_remove_file(void) { (void)unlink(fuzz_path); }

/* A file with these contents, in $TMPDIR; one for all inputs. */
static inline const char *fuzz_file(const uint8_t *data, size_t size) {
    const char *folder = getenv("TMPDIR");
    if (fuzz_descriptor < 0) {
        (void)snprintf(fuzz_path, sizeof fuzz_path, "%s/tq-fuzz-XXXXXX", folder == NULL ? "/tmp" : folder);
        fuzz_descriptor = mkstemp(fuzz_path);
        fuzz_require(fuzz_descriptor >= 0 && atexit(fuzz_remove_file) == 0, "a temporary file");
    }
    fuzz_require(ftruncate(fuzz_descriptor, 0) == 0 && pwrite(fuzz_descriptor, data, size, 0) == (ssize_t)size,
                 "a temporary file");
    return fuzz_path;
}

/* Touch every byte of a value, so that a sanitizer sees what is not there. */
static inline void fuzz_value(const struct tq_column *column, const struct tq_value *value) {
    static volatile unsigned char sink;
    size_t bytes = value->size;
    if (value->type == TQ_TYPE_VECTOR) {
        fuzz_require(column->type == TQ_TYPE_VECTOR && value->size == column->dim, "the column's dimensions");
        bytes *= sizeof(float);
    } else if (value->type == TQ_TYPE_TEXT) {
        fuzz_require(value->text[bytes] == 0, "a zero byte behind a text");
    } else if (value->type != TQ_TYPE_BLOB) {
        return;
    }
    for (size_t i = 0; i < bytes; i++) sink = (unsigned char)(sink ^ ((const unsigned char *)value->blob)[i]);
}

/* All rows of a file. A reader that never ends is found by the time limit. */
static inline void fuzz_read_path(const struct tq_reader_options *options, const char *path) {
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    if (tq_reader_open(path, options, &reader) != TQ_OK) {
        fuzz_require(reader == NULL && tq_message()[0] != 0, "a message, and no reader");
        return;
    }
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    enum tq_status status = TQ_OK;
    for (uint64_t rows = 0;; rows++) {
        status = tq_reader_next(reader, &row);
        double progress = tq_reader_progress(reader);
        fuzz_require(progress >= 0 && progress <= 1, "progress from 0 to 1");
        fuzz_require(tq_reader_place(reader)[0] != 0, "a place");
        if (status == TQ_MISUSE) continue; /* a bad row */
        if (status != TQ_OK || row == NULL) break;
        fuzz_require(rows < info->rows, "no more rows than announced");
        for (size_t i = 0; i < info->column_count; i++) fuzz_value(&info->columns[i], &row[i]);
    }
    fuzz_require(tq_reader_next(reader, &row) == status && row == NULL, "an end that stays one");
    tq_reader_close(reader);
}

/* Of an input that claims to be of a format. */
static inline void fuzz_read(const struct tq_reader_options *options, const uint8_t *data, size_t size) {
    fuzz_read_path(options, fuzz_file(data, size));
}

#endif
