#include "src/io/fixed_rows.h"

#include "src/base/alloc.h"

enum tq_status tq_fixed_rows_open(struct tq_reader *reader, struct tq_fixed_rows **rows) {
    struct tq_fixed_rows *made = reader->state = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    tq_file_window_init(&made->window);
    *rows = made;
    return tq_file_window_open(&made->window, reader->path);
}

size_t tq_fixed_rows_stride(const struct tq_fixed_rows *rows) {
    return rows->head + rows->dim * tq_element_bytes(rows->element);
}

enum tq_status tq_fixed_rows_begin(struct tq_reader *reader) {
    struct tq_fixed_rows *rows = reader->state;
    reader->info.rows = rows->rows;
    TQ_TRY(tq_reader_column(reader, "embedding", TQ_TYPE_VECTOR, rows->dim, false));
    rows->vector = tq_alloc_array(rows->dim, sizeof *rows->vector);
    return rows->vector == NULL ? TQ_NOMEM : TQ_OK;
}

void tq_fixed_rows_close(struct tq_reader *reader) {
    struct tq_fixed_rows *rows = reader->state;
    if (rows == NULL) return;
    tq_file_window_close(&rows->window);
    tq_free(rows->vector);
    tq_free(rows);
}

enum tq_status tq_fixed_rows_next(struct tq_reader *reader, bool *end) {
    struct tq_fixed_rows *rows = reader->state;
    size_t stride = tq_fixed_rows_stride(rows);
    const uint8_t *bytes = NULL;
    *end = rows->row == rows->rows;
    if (*end) return TQ_OK;
    TQ_TRY(tq_file_window_get(&rows->window, rows->start + rows->row * stride, stride, &bytes));
    tq_elements_to_f32(rows->element, bytes + rows->head, rows->dim, rows->vector);
    reader->values[0] = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = rows->dim, .vector = rows->vector};
    rows->row++;
    return TQ_OK;
}

enum tq_status tq_fixed_rows_skip(struct tq_reader *reader, uint64_t count, uint64_t *skipped) {
    struct tq_fixed_rows *rows = reader->state;
    uint64_t left = rows->rows - rows->row;
    *skipped = count < left ? count : left;
    rows->row += *skipped;
    return TQ_OK;
}

double tq_fixed_rows_progress(const struct tq_reader *reader) {
    const struct tq_fixed_rows *rows = reader->state;
    return rows->rows == 0 ? 1 : (double)rows->row / (double)rows->rows;
}
