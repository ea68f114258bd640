/* What stands before the data of an array as NumPy saves it: in .npy files, and in the members of .npz files.
 * Source: numpy.lib.format, versions 1 to 3. Nothing that it says is believed before the size agrees. */
#ifndef TQ_NPY_HEADER_H
#define TQ_NPY_HEADER_H

#include "src/io/elements.h"

/* Enough of an array's beginning to read its header: arrays of numbers and texts have 128 bytes. Those with more are
 * structured ones, which hold no vectors. */
enum { TQ_NPY_HEAD_BYTES = 1024 };

struct tq_npy_header {
    char type[24]; /* as it is written, without quotes: "<f2"; the beginning of what is longer */
    bool fortran;
    unsigned axes;
    uint64_t shape[2]; /* of the first axes; 1 where there are fewer */
    uint32_t start;    /* of the data: bytes from the array's beginning */
};

/* The header in `have` bytes, all of them or the first TQ_NPY_HEAD_BYTES, of an array of `size` bytes.
 * place: for messages. TQ_FORMAT: it is none, or has no type, order or shape. */
enum tq_status tq_npy_header_read(const char *place, const uint8_t *head, size_t have, uint64_t size,
                                  struct tq_npy_header *header);

/* Whether its elements are numbers that we read. */
bool tq_npy_header_element(const struct tq_npy_header *header, enum tq_element *element);

/* Whether it can hold vectors, one a row (or one number a row, with one axis): their kind and dimensions. TQ_FORMAT
 * names what is wrong: elements that are no numbers, or big-endian; Fortran order; more axes than two; dimensions
 * outside 1..TQ_DIM_MAX; a shape that the size contradicts. */
enum tq_status tq_npy_header_vectors(const char *place, const struct tq_npy_header *header, uint64_t size,
                                     enum tq_element *element, uint32_t *dim);

/* Whether the data, of `element_bytes` an element, are as many bytes as the shape says. */
enum tq_status tq_npy_header_check_size(const char *place, const struct tq_npy_header *header, uint64_t size,
                                        size_t element_bytes);

/* "(210000, 100)", for messages. */
void tq_npy_header_shape(const struct tq_npy_header *header, char *text, size_t size);

#endif
