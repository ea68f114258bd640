/* What stands between the parentheses of CREATE VIRTUAL TABLE .. USING vec0(..). Text in, columns out. Source: the
 * documentation and the behaviour of sqlite-vec 0.1.x. */
#ifndef TQ_VEC0_COLUMNS_H
#define TQ_VEC0_COLUMNS_H

#include "src/base/base.h"
#include "src/tq_io.h"

enum tq_vec0_kind {
    TQ_VEC0_F32,       /* float[n] */
    TQ_VEC0_I8,        /* int8[n] */
    TQ_VEC0_BITS,      /* bit[n] */
    TQ_VEC0_PARTITION, /* in the table of chunks */
    TQ_VEC0_AUXILIARY, /* +name: in a table by rowid */
    TQ_VEC0_BOOLEAN,   /* metadata: arrays in chunks */
    TQ_VEC0_INTEGER,
    TQ_VEC0_REAL,
    TQ_VEC0_TEXT
};

/* sqlite-vec allows 16 of each kind. */
enum { TQ_VEC0_COLUMNS_MAX = 64, TQ_VEC0_DIM_MAX = 8192, TQ_VEC0_NAME_MAX = 127 };

struct tq_vec0_column {
    char name[TQ_VEC0_NAME_MAX + 1];
    enum tq_vec0_kind kind;
    enum tq_type type; /* of its values: partition keys and auxiliary columns */
    int number;        /* among those of its kind, with which the names of its tables and columns end */
    uint32_t dim;      /* of vectors */
    bool apart;        /* vectors that an index of their own keeps: rescore, ivf, diskann */
};

struct tq_vec0_columns {
    struct tq_vec0_column list[TQ_VEC0_COLUMNS_MAX];
    size_t count;
    char key[TQ_VEC0_NAME_MAX + 1]; /* "rowid" where none was declared */
    bool key_is_text;
    bool has_metric;       /* l1 is none of ours */
    enum tq_metric metric; /* of the first vector column */
};

/* False: not understood; *wrong is the argument that is not, cut to its first characters. */
bool tq_vec0_columns_read(const char *arguments, struct tq_vec0_columns *columns, char wrong[48]);

/* "vector_chunks", "metadatachunks" and so on: how the name of the table with the column's values ends; NULL: in none
 * of its own. Bytes of one row in it; 0: a bit. */
const char *tq_vec0_store(const struct tq_vec0_column *column, size_t *row_bytes);

#endif
