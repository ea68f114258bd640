/* .npy, float32: the header is written again behind the last row, when their number is known. */
#include <errno.h>
#include <string.h>

#include "src/io/read.h"

enum { HEADER_BYTES = 128, PREFIX_BYTES = 10 }; /* as NumPy has it: the data begin at a multiple of 64 */

static enum tq_status write_header(struct tq_writer *writer) {
    char header[HEADER_BYTES + 1];
    (void)snprintf(header, sizeof header, "\x93NUMPY\x01%c%c%c", 0, HEADER_BYTES - PREFIX_BYTES, 0);
    int used = snprintf(header + PREFIX_BYTES, sizeof header - PREFIX_BYTES,
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %u), }",
                        (unsigned long long)writer->rows, writer->columns->dim);
    memset(header + PREFIX_BYTES + used, ' ', sizeof header - PREFIX_BYTES - (size_t)used);
    header[HEADER_BYTES - 1] = '\n';
    return tq_writer_bytes(writer, header, HEADER_BYTES);
}

static enum tq_status npy_open(struct tq_writer *writer) {
    TQ_TRY(tq_writer_check_one_vector(writer));
    if (fseek(writer->file, 0, SEEK_SET) != 0) {
        return tq_fail(TQ_MISUSE, "%s: a pipe; npy begins with the number of rows and needs a file", writer->path);
    }
    return write_header(writer);
}

static enum tq_status npy_put(struct tq_writer *writer, const struct tq_value *row) {
    const float *vector = NULL;
    TQ_TRY(tq_writer_one_vector(writer, row, &vector));
    return tq_writer_bytes(writer, vector, writer->columns->dim * sizeof *vector);
}

static enum tq_status npy_finish(struct tq_writer *writer) {
    if (fseek(writer->file, 0, SEEK_SET) != 0) return tq_writer_fail(writer, errno);
    return write_header(writer);
}

const struct tq_writer_ops tq_write_npy = {.open = npy_open, .put = npy_put, .finish = npy_finish};
