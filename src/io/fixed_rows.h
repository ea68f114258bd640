/* Files whose rows all have the same size: .npy, fvecs and the like, fbin and the like. What readers of them share. */
#ifndef TQ_FIXED_ROWS_H
#define TQ_FIXED_ROWS_H

#include "src/io/elements.h"
#include "src/io/file_window.h"
#include "src/io/reader.h"

struct tq_fixed_rows {
    struct tq_file_window window;
    enum tq_element element;
    uint32_t dim;
    uint64_t start; /* of the first row in the file */
    uint32_t head;  /* bytes of a row before its elements */
    uint64_t rows;  /* in the file; start + rows * tq_fixed_rows_stride() bytes are there */
    uint64_t row;   /* the next one */
    float *vector;  /* f32[dim] */
};

/* The first half of open(): reader->state, with the file open. */
enum tq_status tq_fixed_rows_open(struct tq_reader *reader, struct tq_fixed_rows **rows);

/* The second, when element, dim, start, head and rows are filled in: the column, and what the reader tells. */
enum tq_status tq_fixed_rows_begin(struct tq_reader *reader);

size_t tq_fixed_rows_stride(const struct tq_fixed_rows *rows);

/* Members of tq_reader_ops; `next` looks at no row's head. */
void tq_fixed_rows_close(struct tq_reader *reader);
enum tq_status tq_fixed_rows_next(struct tq_reader *reader, bool *end);
enum tq_status tq_fixed_rows_skip(struct tq_reader *reader, uint64_t count, uint64_t *skipped);
double tq_fixed_rows_progress(const struct tq_reader *reader);

#endif
