/* Writers from the inside: what a format implements. */
#ifndef TQ_WRITER_H
#define TQ_WRITER_H

#include <stdio.h>

#include "src/base/base.h"
#include "src/tq_io.h"

struct tq_writer_ops {
    /* Check the columns, and write what stands before the rows. */
    enum tq_status (*open)(struct tq_writer *writer);
    /* Vectors have their column's dimensions here. Values that the format cannot hold are TQ_MISUSE before anything of
     * their row is written. */
    enum tq_status (*put)(struct tq_writer *writer, const struct tq_value *row);
    /* What stands behind the rows; NULL: nothing. writer->rows of them were put. */
    enum tq_status (*finish)(struct tq_writer *writer);
    /* Release writer->state, which may be NULL or half made; NULL: there is none. */
    void (*close)(struct tq_writer *writer);
};

struct tq_writer {
    const struct tq_writer_ops *ops;
    const char *format;      /* its name */
    char *path, *unfinished; /* its name until it is whole; "": it has its own, or none */
    FILE *file;              /* may be moved about in, unless it is a pipe */
    char *buffer;            /* of the file */
    struct tq_column *columns;
    size_t column_count;
    uint64_t rows;
    int error; /* errno of the first write that failed: nothing that comes later makes this file whole */
    void *state;
};

/* Record that the file is lost, by this errno: TQ_FULL, TQ_IO. */
enum tq_status tq_writer_fail(struct tq_writer *writer, int error);

/* fwrite, or that. */
enum tq_status tq_writer_bytes(struct tq_writer *writer, const void *bytes, size_t size);

/* For formats that hold vectors alone: TQ_MISUSE unless the only column is one, of 1..TQ_DIM_MAX dimensions; and the
 * vector of a row, TQ_MISUSE where that is NULL. */
enum tq_status tq_writer_check_one_vector(struct tq_writer *writer);
enum tq_status tq_writer_one_vector(const struct tq_writer *writer, const struct tq_value *row, const float **vector);

#endif
