/* Whether a database and its folder hold what each says of the other.
 *
 * Nothing is believed and nothing is mended: whatever is wrong is told, one line a finding, and the check goes on. What
 * it cannot look at (no memory, a disk that fails, an interrupt) ends it.
 *
 *   check_tables.c    what is told and to whom; tables, parts, states; which numbers belong to whom
 *   check_rows.c      rows of SQLite against slots that are alive, in one ordered walk
 *   check_segments.c  a segment's row, directory, chunks and rows
 *   check_values.c    values of the folder: in use, listed as replaced, or neither
 *   check_columns.c   partitions, columns apart and keys of a SQL table */
#ifndef TQ_CHECK_TABLES_H
#define TQ_CHECK_TABLES_H

#include "src/base/format.h"
#include "storage/conn.h"
#include "storage/env.h"

/* A table as its host has declared it. */
struct tq_check_table {
    const char *name;
    size_t vectors;                  /* columns of vectors: slot, slot1, ..; 0: it is not declared */
    const struct tq_format *formats; /* [vectors] */
    bool partitions, apart;          /* there is a table of partitions, one of columns apart */
};

struct tq_check_request {
    const struct tq_check_table *tables;
    size_t count;
    bool all;  /* and every other table of ours in the schema, as its columns say it is */
    bool full; /* read every page; else what tells that something is missing or contradicts itself */
    /* A line of text without its end. What begins with TQ_CHECK_NOTE is no error. */
    void (*report)(void *context, const char *finding);
    void *context;
};

#define TQ_CHECK_NOTE "note: "

/* One snapshot of the schema, and of the folder behind it. env NULL: there is none, so that the tables of SQLite are
 * checked alone. TQ_CORRUPT: there was a finding. */
enum tq_status tq_tables_check(struct tq_conn *conn, struct tq_env *env, const struct tq_check_request *request);

/* Whether the schema has tables of ours. */
enum tq_status tq_tables_any(struct tq_conn *conn, bool *any);

#endif
