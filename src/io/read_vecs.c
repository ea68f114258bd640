/* fvecs, bvecs, ivecs: each row begins with its dimension, int32, which is the same in all of them. Source:
 * corpus-texmex.irisa.fr. */
#include <string.h>

#include "src/io/fixed_rows.h"
#include "src/io/read.h"

static int32_t read_dim(const uint8_t *bytes) {
    int32_t dim;
    memcpy(&dim, bytes, sizeof dim);
    return dim;
}

static enum tq_status fail_dim(const struct tq_reader *reader, uint64_t row, int32_t dim, uint32_t first) {
    return tq_fail(TQ_FORMAT, "%s, row %llu: %d dimensions, but row 0 has %u; they must be the same", reader->path,
                   (unsigned long long)row, dim, first);
}

/* The size is no whole number of rows: because the dimension changes somewhere, or because the file is cut off. */
static enum tq_status find_fault(const struct tq_reader *reader, struct tq_fixed_rows *rows) {
    const uint8_t *bytes = NULL;
    size_t stride = tq_fixed_rows_stride(rows);
    uint64_t size = rows->window.size;
    for (uint64_t row = 0; size - row * stride >= rows->head; row++) {
        TQ_TRY(tq_file_window_get(&rows->window, row * stride, rows->head, &bytes));
        if (read_dim(bytes) != (int32_t)rows->dim) return fail_dim(reader, row, read_dim(bytes), rows->dim);
        if (size - row * stride < stride) break;
    }
    return tq_fail(TQ_FORMAT, "%s, row %llu: cut off after %llu of %zu bytes", reader->path,
                   (unsigned long long)(size / stride), (unsigned long long)(size % stride), stride);
}

static enum tq_status vecs_open(struct tq_reader *reader) {
    struct tq_fixed_rows *rows = NULL;
    const uint8_t *head = NULL;
    TQ_TRY(tq_fixed_rows_open(reader, &rows));
    switch (reader->info.format[0]) {
    case 'b': rows->element = TQ_ELEMENT_U8; break;
    case 'i': rows->element = TQ_ELEMENT_I32; break;
    default: rows->element = TQ_ELEMENT_F32; break;
    }
    rows->head = sizeof(int32_t);
    if (rows->window.size == 0) return tq_fail(TQ_FORMAT, "%s: empty; it must have a row at least", reader->path);
    TQ_TRY(tq_file_window_get(&rows->window, 0, rows->head, &head));
    int32_t dim = read_dim(head);
    if (dim < 1 || dim > TQ_DIM_MAX) {
        return tq_fail(TQ_FORMAT, "%s, row 0: %d dimensions; there must be 1 to %d", reader->path, dim, TQ_DIM_MAX);
    }
    rows->dim = (uint32_t)dim;
    rows->rows = rows->window.size / tq_fixed_rows_stride(rows);
    if (rows->window.size % tq_fixed_rows_stride(rows) != 0) return find_fault(reader, rows);
    return tq_fixed_rows_begin(reader);
}

static enum tq_status vecs_next(struct tq_reader *reader, bool *end) {
    struct tq_fixed_rows *rows = reader->state;
    size_t stride = tq_fixed_rows_stride(rows);
    const uint8_t *bytes = NULL;
    if (rows->row < rows->rows) {
        TQ_TRY(tq_file_window_get(&rows->window, rows->row * stride, stride, &bytes));
        if (read_dim(bytes) != (int32_t)rows->dim) return fail_dim(reader, rows->row, read_dim(bytes), rows->dim);
    }
    return tq_fixed_rows_next(reader, end);
}

const struct tq_reader_ops tq_read_vecs = {.open = vecs_open,
                                           .close = tq_fixed_rows_close,
                                           .next = vecs_next,
                                           .skip = tq_fixed_rows_skip,
                                           .progress = tq_fixed_rows_progress};
