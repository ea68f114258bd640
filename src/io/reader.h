/* Readers from the inside: what a format implements. Its state hangs on reader->state; read_npy.c is a short one. */
#ifndef TQ_READER_H
#define TQ_READER_H

#include "src/base/base.h"
#include "src/tq_io.h"

enum { TQ_COLUMNS_MAX = 2000 };

struct tq_reader_ops {
    /* Look at the file; call tq_reader_column() for each column that tq_reader_wants(). For all formats it is checked
     * afterwards that options.columns and options.key name columns that are there, and the key is marked. On failure
     * the caller calls close(). */
    enum tq_status (*open)(struct tq_reader *reader);
    /* Must accept a state that is NULL or half made. */
    void (*close)(struct tq_reader *reader);
    /* Fill reader->values; *end at the end of the file. TQ_MISUSE: a bad row, which is behind us now. */
    enum tq_status (*next)(struct tq_reader *reader, bool *end);
    /* Up to `count` rows further; NULL: they are read one by one. Adds to *skipped what it passed. */
    enum tq_status (*skip)(struct tq_reader *reader, uint64_t count, uint64_t *skipped);
    double (*progress)(const struct tq_reader *reader);
    /* Of the row that was read last; NULL: "<path>, row <number>". */
    void (*place)(const struct tq_reader *reader, char *text, size_t size);
};

struct tq_reader {
    const struct tq_reader_ops *ops;
    char *path;
    struct tq_reader_options options; /* texts are copies */
    struct tq_reader_info info;
    struct tq_column *columns; /* [column_count] */
    struct tq_value *values;   /* [column_count], of the row that was read last */
    uint64_t row;              /* rows begun so far, bad ones included: the row that was read last is row - 1 */
    bool ended;
    enum tq_status failed; /* what ended it, with its message; TQ_OK: nothing yet */
    char failure[512];
    char place[4200];
    void *state;
};

/* Add a column. dim: of a vector, checked against 1..TQ_DIM_MAX and options.dim. */
enum tq_status tq_reader_column(struct tq_reader *reader, const char *name, enum tq_type type, uint64_t dim, bool key);

/* The next name of a list "a, b,c": *name is NULL behind the last. Returns what is behind it. */
const char *tq_next_name(const char *list, const char **name, size_t *size);

/* Whether options.columns allows this name; true where it is NULL. */
bool tq_reader_wants(const struct tq_reader *reader, const char *name);

#endif
