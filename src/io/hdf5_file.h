/* HDF5 files, as much as rows of numbers need; and libhdf5's failures in a sentence.
 *
 * libhdf5 may have been built without locks: all calls here are made under one of ours. */
#ifndef TQ_HDF5_FILE_H
#define TQ_HDF5_FILE_H

#include "src/base/base.h"
#include "src/io/elements.h"

#ifdef TQ_HAVE_HDF5
#include <hdf5.h>

struct tq_hdf5_array {
    hid_t dataset, space;
    uint64_t rows;
    uint64_t width; /* elements of a row; 1 where there is one dimension only */
    int dimensions;
    bool numeric;
    bool half;             /* IEEE half precision, little-endian: read as it is, and widened here */
    uint64_t block_rows;   /* to read at once, so that no chunk is unpacked twice, and memory is bounded */
    uint64_t first, count; /* rows that are in `block` */
    void *block;           /* 4 bytes an element */
    void *halves;
};

struct tq_hdf5_file {
    hid_t file, access; /* access: of datasets, which follows no links to other files */
    const char *path;   /* borrowed: for messages */
};

enum tq_status tq_hdf5_open(const char *path, struct tq_hdf5_file *file);
void tq_hdf5_close(struct tq_hdf5_file *file);

/* Whether there is something of this name. */
bool tq_hdf5_has(const struct tq_hdf5_file *file, const char *name);

/* What there is, "train 60000 x 784, test 10000 x 784, ..", as much as there is room for; *only: the name of the one
 * that has two dimensions and numbers, or "" if there are none or several. */
void tq_hdf5_list(const struct tq_hdf5_file *file, char *text, size_t size, char *only, size_t only_size);

/* Look at a dataset; nothing of it is read. TQ_NOT_FOUND there is none; TQ_FORMAT fewer data than it claims;
 * TQ_UNSUPPORTED they lie elsewhere, or in chunks too large. Close it, also after a failure. */
enum tq_status tq_hdf5_array_open(const struct tq_hdf5_file *file, const char *name, struct tq_hdf5_array *array);
void tq_hdf5_array_close(struct tq_hdf5_array *array);

enum tq_hdf5_element { TQ_HDF5_F32, TQ_HDF5_F32LE, TQ_HDF5_I32LE };

/* Row `row` < rows of a numeric array of two dimensions, until the next call. */
enum tq_status tq_hdf5_array_row(const struct tq_hdf5_file *file, struct tq_hdf5_array *array,
                                 enum tq_hdf5_element element, uint64_t row, const void **elements);

/* An attribute of the file: false if there is none that is a text, or a number. */
bool tq_hdf5_text(const struct tq_hdf5_file *file, const char *name, char *text, size_t size);
bool tq_hdf5_number(const struct tq_hdf5_file *file, const char *name, uint64_t *number);

#endif
#endif
