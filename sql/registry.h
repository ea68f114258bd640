/* What a connection knows of its tq tables.
 *
 * SQLite makes and unmakes sqlite3_vtab objects whenever the schema changes, also in mid-transaction, and then two
 * of them may stand for one table. So nothing is kept in them: they point at a struct tq_sql_table, which is found
 * again by (schema, name), counted, and closed with its last object. The registry itself is the module's client
 * data and goes with the connection. */
#ifndef TQ_REGISTRY_H
#define TQ_REGISTRY_H

#include <sqlite3ext.h>

#include "src/db/db.h"

SQLITE_EXTENSION_INIT3

enum tq_order_by { TQ_ORDER_EXACT, TQ_ORDER_APPROXIMATE, TQ_ORDER_SCAN };

/* What tq_explain() tells of the last query. */
struct tq_sql_last {
    struct tq_sql_cursor *cursor; /* that it is about; NULL once that is closed */
    char *table;
    const char *path;
    const char *why; /* of a scan: why it is one */
    uint64_t returned;
    uint64_t searches;
    uint64_t k;
    struct tq_search_stats stats;
};

/* A scan that becomes a search with its second row: by then the function has been called with the query. */
struct tq_sql_waiting {
    struct tq_sql_cursor *cursor; /* NULL: none waits */
    int function, argument;       /* enum tq_function; which argument is the query */
    uint64_t rows;                /* that are asked for */
    bool heard, spoiled;          /* spoiled: not a vector of the table's, or not always the same */
};

struct tq_sql {
    sqlite3 *db;
    struct tq_sql_place *places;
    struct tq_sql_table *tables;
    struct tq_codec *plain; /* what tq_exact_score() reads of a codec: kernels, and rows of f32 */
    enum tq_order_by order_by;
    struct tq_search_options options;
    struct tq_sql_last last;
    struct tq_sql_waiting waiting;
    char *notice; /* of a folder that was renamed */
};

/* A schema (main, temp, an ATTACHed name) and the folder that belongs to its file. Both are its name: a statement
 * that is kept prepared keeps its tables from being let go of, and another file may be ATTACHed under the same name by
 * then. */
struct tq_sql_place {
    struct tq_sql_place *next;
    char *schema, *file;
    struct tq_conn *conn; /* NULL while refs is 0 */
    struct tq_env *env;
    unsigned refs;  /* tables */
    bool temporary; /* its folder has no name: closed with the connection, because nobody could open it again */
};

enum tq_sql_statement {
    TQ_SQL_ID_MAX,
    TQ_SQL_ROW_HAS,
    TQ_SQL_NULL_HAS,
    TQ_SQL_NULL_ADD,
    TQ_SQL_NULL_DELETE,
    TQ_SQL_NULL_IDS,
    TQ_SQL_STATEMENTS
};

struct tq_sql_mark {
    int savepoint;
    uint64_t mark;
};

struct tq_sql_table {
    struct tq_sql_table *next;
    struct tq_sql *sql;
    unsigned refs; /* sqlite3_vtab objects */
    bool gone;     /* another table has its name now */
    char *schema, *file, *name, *column;
    struct tq_sql_place *place; /* NULL until the table is first used, as are: */
    struct tq_access *access;
    sqlite3_stmt *statements[TQ_SQL_STATEMENTS];
    struct tq_sql_cursor *cursors; /* open ones */
    uint64_t changes;              /* grows whenever what cursors have borrowed may be gone */
    uint64_t rows_seen;            /* live rows when last looked at: for costs */
    struct tq_sql_mark *marks;
    size_t mark_count, mark_capacity;
};

enum tq_status tq_sql_open(sqlite3 *db, struct tq_sql **sql);
void tq_sql_close(struct tq_sql *sql);

/* Find or make; each call is one reference. `column`: name of the vector column. create: it is a new table, whatever
 * had its name before. */
enum tq_status tq_sql_table_acquire(struct tq_sql *sql, const char *schema, const char *name, const char *column,
                                    bool create, struct tq_sql_table **table);
void tq_sql_table_release(struct tq_sql_table *table);
struct tq_sql_table *tq_sql_table_find(struct tq_sql *sql, const char *schema, const char *name);

/* Open folder and index unless they are open. An existing table without its folder is an error that names both. */
enum tq_status tq_sql_table_open(struct tq_sql_table *table);
/* Let go of folder, index and statements; the next use opens them again. */
void tq_sql_table_close(struct tq_sql_table *table);
/* CREATE: make the folder if need be, and the tables. */
enum tq_status tq_sql_table_create(struct tq_sql_table *table, const struct tq_format *format);
/* DROP: tables only, so that ROLLBACK brings everything back. Needs no folder. */
enum tq_status tq_sql_table_drop(struct tq_sql_table *table);
enum tq_status tq_sql_table_rename(struct tq_sql_table *table, const char *name);

/* The folder of a schema's file ("" for databases without one): <file>-tq. Free with tq_free. */
enum tq_status tq_sql_folder(sqlite3 *db, const char *schema, char **folder);
/* folder.c: open the folder of a schema; `create`: for CREATE VIRTUAL TABLE. */
enum tq_status tq_sql_env_open(struct tq_sql *sql, const char *schema, bool create, struct tq_env **env);
/* The file of a schema, "" if it has none. */
const char *tq_sql_file(sqlite3 *db, const char *schema);

/* A statement of the table, prepared at first need and reset; its parameter 1 is set to `id`. */
enum tq_status tq_sql_prepare(struct tq_sql_table *table, enum tq_sql_statement which, int64_t id,
                              sqlite3_stmt **statement);
/* Run one and reset it: *value is column 0 of its row, *found whether there was one. Both may be NULL. */
enum tq_status tq_sql_step(struct tq_sql_table *table, enum tq_sql_statement which, int64_t id, bool *found,
                           int64_t *value);
/* TQ_BUSY and the like from a result code of SQLite on our own statements, with its text; doing: what, or NULL. */
enum tq_status tq_sql_fail(sqlite3 *db, int rc, const char *doing);

/* printf with SQLite's %w and %q, run at once. */
enum tq_status tq_sql_execf(sqlite3 *db, const char *doing, const char *format, ...);

/* SQLite's result code for a status. */
int tq_sql_code(enum tq_status status);
char *tq_sql_text(const char *text); /* a copy by tq_alloc, or NULL */

#endif
