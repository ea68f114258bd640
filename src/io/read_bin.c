/* fbin, u8bin, i8bin: the number of rows and their dimension, both uint32, then the rows. Source:
 * big-ann-benchmarks.com. */
#include <string.h>

#include "src/io/fixed_rows.h"
#include "src/io/read.h"

static enum tq_status bin_open(struct tq_reader *reader) {
    struct tq_fixed_rows *rows = NULL;
    const uint8_t *head = NULL;
    uint32_t count, dim;
    TQ_TRY(tq_fixed_rows_open(reader, &rows));
    switch (reader->info.format[0]) {
    case 'u': rows->element = TQ_ELEMENT_U8; break;
    case 'i': rows->element = TQ_ELEMENT_I8; break;
    default: rows->element = TQ_ELEMENT_F32; break;
    }
    rows->start = sizeof count + sizeof dim;
    TQ_TRY(tq_file_window_get(&rows->window, 0, rows->start, &head));
    memcpy(&count, head, sizeof count);
    memcpy(&dim, head + sizeof count, sizeof dim);
    if (dim < 1 || dim > TQ_DIM_MAX) {
        return tq_fail(TQ_FORMAT, "%s: the header says %u dimensions; there must be 1 to %d", reader->path, dim,
                       TQ_DIM_MAX);
    }
    uint64_t have = rows->window.size - rows->start, wanted = (uint64_t)count * dim * tq_element_bytes(rows->element);
    if (have != wanted) {
        return tq_fail(TQ_FORMAT, "%s: the header says %u rows of %u dimensions, %llu bytes; the file has %llu%s",
                       reader->path, count, dim, (unsigned long long)wanted, (unsigned long long)have,
                       have < wanted ? ": it is cut off" : "");
    }
    rows->dim = dim;
    rows->rows = count;
    return tq_fixed_rows_begin(reader);
}

const struct tq_reader_ops tq_read_bin = {.open = bin_open,
                                          .close = tq_fixed_rows_close,
                                          .next = tq_fixed_rows_next,
                                          .skip = tq_fixed_rows_skip,
                                          .progress = tq_fixed_rows_progress};
