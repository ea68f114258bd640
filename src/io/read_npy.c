/* .npy: an array of vectors as NumPy saves it. */
#include "src/io/fixed_rows.h"
#include "src/io/npy_header.h"
#include "src/io/read.h"

static enum tq_status npy_open(struct tq_reader *reader) {
    struct tq_fixed_rows *rows = NULL;
    struct tq_npy_header header;
    const uint8_t *head = NULL;
    TQ_TRY(tq_fixed_rows_open(reader, &rows));
    uint64_t size = rows->window.size;
    size_t have = size < TQ_NPY_HEAD_BYTES ? (size_t)size : TQ_NPY_HEAD_BYTES;
    TQ_TRY(tq_file_window_get(&rows->window, 0, have, &head));
    TQ_TRY(tq_npy_header_read(reader->path, head, have, size, &header));
    TQ_TRY(tq_npy_header_vectors(reader->path, &header, size, &rows->element, &rows->dim));
    rows->start = header.start;
    rows->rows = header.shape[0];
    return tq_fixed_rows_begin(reader);
}

const struct tq_reader_ops tq_read_npy = {.open = npy_open,
                                          .close = tq_fixed_rows_close,
                                          .next = tq_fixed_rows_next,
                                          .skip = tq_fixed_rows_skip,
                                          .progress = tq_fixed_rows_progress};
