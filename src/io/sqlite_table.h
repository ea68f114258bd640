/* Which table of an SQLite database is read, and what its columns hold. */
#ifndef TQ_SQLITE_TABLE_H
#define TQ_SQLITE_TABLE_H

#include "src/io/database.h"
#include "src/tq_io.h"

enum tq_sqlite_kind {
    TQ_SQLITE_ROWIDS,  /* an ordinary one */
    TQ_SQLITE_VIRTUAL, /* of a module that is loaded here, as tq is in tqshell */
    TQ_SQLITE_OTHER,   /* WITHOUT ROWID, or a view */
    TQ_SQLITE_VEC0     /* of sqlite-vec, whose rows lie in tables beside it */
};

struct tq_sqlite_column {
    char *name;
    enum tq_type type; /* as declared; else that of all values in the sample; NULL: neither says */
    uint32_t dim;      /* of the vectors that it holds; 0: it does not look like any */
    bool primary_key;
};

struct tq_sqlite_table {
    char *name, *sql;
    enum tq_sqlite_kind kind;
    struct tq_sqlite_column *columns; /* of all kinds but vec0 */
    size_t column_count;
    const char *rowid; /* the name by which the rowid can be had beside the columns; OTHER: NULL */
    size_t key;        /* place of the column that is the primary key; column_count: none is, alone */
};

/* The table or view that options.part names; without that, the only one that has vectors, or has the column that
 * options.vector names. TQ_NOT_FOUND and TQ_MISUSE list what there is. Free it, also after a failure. */
enum tq_status tq_database_table(const struct tq_database *database, const struct tq_reader_options *options,
                                 struct tq_sqlite_table *table);
void tq_sqlite_table_free(struct tq_sqlite_table *table);

/* Place of a column; column_count: there is none. As SQLite compares names. */
size_t tq_sqlite_table_place(const struct tq_sqlite_table *table, const char *name, size_t size);

#endif
