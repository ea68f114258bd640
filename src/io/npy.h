/* NumPy's .npy files of vectors, mapped whole, for programs that want their rows in any order: 2-D (or 1-D, one number
 * a row), C order. Readers of files (read_npy.c) do not map: see file_window.h. */
#ifndef TQ_NPY_H
#define TQ_NPY_H

#include "src/io/elements.h"

struct tq_npy {
    uint64_t rows;
    uint32_t dim;
    enum tq_element element;
    const uint8_t *data; /* row-major, unaligned */
    void *map;
    size_t map_bytes;
};

/* TQ_NOT_FOUND, TQ_IO; TQ_FORMAT names what is wrong with the header, as tq_npy_header_vectors() does. */
enum tq_status tq_npy_open(const char *path, struct tq_npy *npy);
void tq_npy_close(struct tq_npy *npy);

/* Row `row` < rows, as f32[dim]; rounded as tq_elements_to_f32() says. */
void tq_npy_row(const struct tq_npy *npy, uint64_t row, float *vector);

#endif
