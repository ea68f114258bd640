/* sqlite-vec's vec0 tables, without sqlite-vec: read_sqlite.c finds them, and hands them on. */
#ifndef TQ_READ_VEC0_H
#define TQ_READ_VEC0_H

#include "src/io/reader.h"
#include "src/io/sqlite_table.h"

/* Goes on as the reader of this table; takes what both hold, also on failure. */
enum tq_status tq_vec0_open(struct tq_reader *reader, struct tq_database *database, struct tq_sqlite_table *table);

/* A value of a row, borrowed from the statement. */
void tq_sqlite_value(sqlite3_stmt *row, int column, struct tq_value *value);

#endif
