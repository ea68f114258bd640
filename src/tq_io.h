/* Files of vectors: reading and writing them in the formats that people have. Library libtq_io, which needs libtq.
 *
 * A reader gives the rows of a file one by one, in the file's order, each with the same columns: mostly one vector, and
 * what the format has beside it (words, ids, metadata). A writer takes such rows. Neither holds more than a few rows in
 * memory, whatever the file's size.
 *
 *     tq_reader *reader;
 *     const struct tq_value *row;
 *     tq_reader_open("words.npy", NULL, &reader);
 *     for (int64_t id = 0; tq_reader_next(reader, &row) == TQ_OK && row != NULL; id++)
 *         tq_put(index, id, row[0].vector);
 *     tq_reader_close(reader);
 *
 * Errors   as in tq.h; tq_message() names the file, the line or row, and the column.
 * Threads  a reader or writer is used by one thread at a time.
 */
#ifndef TQ_IO_H
#define TQ_IO_H

#include "tq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Rows ---------------------------------------------------------------------------------------------- */

enum tq_type {
    TQ_TYPE_NULL = 0,
    TQ_TYPE_INTEGER = 1,
    TQ_TYPE_REAL = 2,
    TQ_TYPE_TEXT = 3, /* UTF-8 */
    TQ_TYPE_BLOB = 4,
    TQ_TYPE_VECTOR = 5 /* f32 */
};

struct tq_value {
    enum tq_type type; /* TQ_TYPE_NULL in any column; a column's own type but for that, where its format is strict */
    size_t size;       /* bytes of a text or blob, dimensions of a vector */
    union {
        int64_t integer;
        double real;
        const char *text; /* followed by a zero byte, which `size` does not count; may contain others */
        const void *blob;
        const float *vector; /* f32[size], aligned */
    };
};

struct tq_column {
    const char *name;
    enum tq_type type; /* NULL: the file does not say */
    uint32_t dim;      /* of a vector: 1..TQ_DIM_MAX */
    bool key;          /* its values name the rows: words, ids */
};

/* ---- Reading ------------------------------------------------------------------------------------------- */

typedef struct tq_reader tq_reader;

struct tq_reader_options {
    const char *format; /* NULL: by the file's name and first bytes; else a name of tq_format_name() */
    const char *part; /* which array of a .npz, dataset of HDF5, table of SQLite; NULL: the only one, or the usual one.
                            HDF5 of ann-benchmarks: "train" is the usual one; "test" has the queries with their truth */
    const char *columns; /* NULL: all. "a,b,c": these; a name of none of them is an error */
    const char
        *vector;     /* CSV, JSON lines, tables: the column that holds the vector, or "first..last" where each dimension
                            has a column of its own; NULL: the one that looks like it. "": there is none */
    const char *key; /* the column whose values name the rows; NULL: the one that the format says. "": none */
    uint32_t dim;    /* 0: as the file has it; else other dimensions are an error */
    int header;      /* CSV: whether the first line has the names of columns; -1: if it looks like it */
    char separator;  /* CSV: 0: by name and contents: comma, tab or semicolon */
    bool texts;      /* CSV: cells are texts even where they look like numbers, but for the vector's */
};

/* {NULL, NULL, NULL, NULL, NULL, 0, -1, 0, false} */
TQ_API struct tq_reader_options tq_reader_defaults(void);

struct tq_reader_info {
    const char *format;
    const struct tq_column *columns; /* [column_count], valid until the reader is closed */
    size_t column_count;
    size_t vector;   /* place of the first vector column; column_count: there is none */
    uint64_t rows;   /* UINT64_MAX: not known before the end */
    bool has_metric; /* the file says which metric it is meant for */
    enum tq_metric metric;
    const char *queries; /* part of the same file that holds queries for these rows, or NULL */
};

/* Open a file and read what its beginning says about columns; options: NULL for the defaults.
 *
 * What the header claims is checked against the file's size before it is believed.
 * Returns  TQ_OK; TQ_NOT_FOUND no such file, part or column; TQ_FORMAT not this format, truncated, or absurd: the
 *          message says which; TQ_UNSUPPORTED built without the library that reads it; TQ_MISUSE an option;
 *          TQ_NOMEM; TQ_IO */
TQ_API enum tq_status tq_reader_open(const char *path, const struct tq_reader_options *options, tq_reader **reader);
TQ_API void tq_reader_close(tq_reader *reader);
TQ_API const struct tq_reader_info *tq_reader_get_info(const tq_reader *reader);

/* The next row: *row is [column_count] values, valid until the next call; NULL behind the last row.
 *
 * Returns  TQ_OK; TQ_MISUSE this row is bad (its message names place, column and value), and the next call goes on with
 *          the row behind it; anything else ends the reading: TQ_FORMAT the file ends in the middle of a row, or is not
 *          what it said; TQ_IO; TQ_NOMEM */
TQ_API enum tq_status tq_reader_next(tq_reader *reader, const struct tq_value **row);

/* Pass over `count` rows, bad ones included; fewer if the file ends. As fast as the format allows. */
TQ_API enum tq_status tq_reader_skip(tq_reader *reader, uint64_t count);

/* Where the row lies that was read last, for messages: "words.csv, line 17" or "base.npy, row 3" (rows count from 0,
 * lines from 1). Valid until the next call. */
TQ_API const char *tq_reader_place(tq_reader *reader);

/* How much of the file has been read, 0 to 1. */
TQ_API double tq_reader_progress(const tq_reader *reader);

/* ---- Writing ------------------------------------------------------------------------------------------- */

typedef struct tq_writer tq_writer;

/* Begin a file. `columns` are copied; format NULL: by the name's ending.
 *
 * It is written under another name beside its place, and renamed by tq_writer_close(): a failure or a crash leaves what
 * was there before. Only a pipe or a device is written to as it is, and not as .npy, whose beginning is written last.
 * Returns  TQ_OK; TQ_MISUSE an ending that no writer has, or columns that the format cannot hold: .npy and .fvecs take
 *          one vector column and nothing else; TQ_UNSUPPORTED; TQ_FULL; TQ_IO */
TQ_API enum tq_status tq_writer_open(const char *path, const char *format, const struct tq_column *columns,
                                     size_t column_count, tq_writer **writer);

/* row: [column_count] values.
 * Returns  TQ_OK; TQ_MISUSE a value that the format cannot hold, or a vector of another dimension: nothing of the row
 *          is in the file; TQ_FULL, TQ_IO: the file is lost, whatever follows, and tq_writer_close() says so again */
TQ_API enum tq_status tq_writer_put(tq_writer *writer, const struct tq_value *row);

/* Finish the file, make it durable and give it its name. The writer is gone in any case; on failure so is the file. */
TQ_API enum tq_status tq_writer_close(tq_writer *writer);

/* Throw away what was written. NULL is fine. */
TQ_API void tq_writer_abort(tq_writer *writer);

/* ---- Formats ------------------------------------------------------------------------------------------- */

enum { TQ_CAN_READ = 1, TQ_CAN_WRITE = 2 };

/* Name of the format `place`, from 0; NULL behind the last. *flags: whether this build reads and writes it; 0 for one
 * that needs a library which is missing. *help: one line. Both may be NULL. */
TQ_API const char *tq_format_name(size_t place, unsigned *flags, const char **help);

#ifdef __cplusplus
}
#endif
#endif
