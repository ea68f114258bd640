/* Another SQLite database: opened read only, never believed, and its failures in words. */
#ifndef TQ_DATABASE_H
#define TQ_DATABASE_H

#include <sqlite3.h>

#include "src/base/base.h"

struct tq_database {
    sqlite3 *db;
    const char *path; /* borrowed: for messages */
};

/* One transaction of reading is begun, so that all statements see the same rows. TQ_FORMAT: no database, or encrypted;
 * TQ_BUSY after some seconds. On failure there is nothing to close. */
enum tq_status tq_database_open(const char *path, struct tq_database *database);
void tq_database_close(struct tq_database *database);

/* The last failure of a call, in words. */
enum tq_status tq_database_fail(const struct tq_database *database);

/* format as of sqlite3_mprintf(): "%w" within double quotes for names. */
enum tq_status tq_database_prepare(const struct tq_database *database, sqlite3_stmt **statement, const char *format,
                                   ...);

/* One row further; *row whether there is one. */
enum tq_status tq_database_step(const struct tq_database *database, sqlite3_stmt *statement, bool *row);

/* ---- The schema ---- */

/* The text of CREATE VIRTUAL TABLE taken apart: "name USING module(arguments)". */
struct tq_virtual_table {
    const char *module, *arguments; /* arguments: behind the parenthesis, or at the end */
    size_t module_size;
};

/* False: the text is of no virtual table. */
bool tq_virtual_table_read(const char *sql, struct tq_virtual_table *table);

/* Whether its module has this name. */
bool tq_virtual_table_is(const struct tq_virtual_table *table, const char *module);

/* Past blanks and comments. */
const char *tq_sql_skip_blanks(const char *at);

#endif
