/* NumPy's .npy files of vectors, mapped and read row by row: 2-D (or 1-D, one column a row), C order, little-endian
 * f2, f4 or f8. Source: numpy.lib.format, versions 1 to 3. Nothing the header says is believed before the file's
 * size agrees. */
#ifndef TQ_NPY_H
#define TQ_NPY_H

#include "src/base/base.h"

struct tq_npy {
    uint64_t rows;
    uint32_t dim;
    uint32_t element_bytes; /* 2, 4 or 8 */
    const uint8_t *data;    /* row-major, unaligned */
    void *map;
    size_t map_bytes;
};

/* TQ_NOT_FOUND, TQ_IO; TQ_FORMAT names what is wrong with the header: object or integer elements, Fortran order, more
 * dimensions than two, dimensions outside 1..TQ_DIM_MAX, or a shape that the file's size contradicts. */
enum tq_status tq_npy_open(const char *path, struct tq_npy *npy);
void tq_npy_close(struct tq_npy *npy);

/* Row `row` < rows, as f32[dim]; f8 elements are rounded. */
void tq_npy_row(const struct tq_npy *npy, uint64_t row, float *vector);

#endif
