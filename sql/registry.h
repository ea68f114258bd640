/* What a connection knows of its tq tables.
 *
 * SQLite makes and unmakes sqlite3_vtab objects whenever the schema changes, also in mid-transaction, and then two
 * of them may stand for one table. So nothing is kept in them: they point at a struct tq_sql_table, which is found
 * again by (schema, name), counted, and closed with its last object. The registry itself is the module's client
 * data and goes with the connection.
 *
 *   registry.c    connections, schemas, tables: finding, opening, CREATE, DROP, RENAME
 *   parts.c       a table's parts: one store of vectors for each vector column and partition
 *   statements.c  SQL on a table's own tables
 *   where.c       WHERE on columns beside the vectors, as a bitmap of rows */
#ifndef TQ_REGISTRY_H
#define TQ_REGISTRY_H

#include "sql/declaration.h"

enum tq_order_by { TQ_ORDER_EXACT, TQ_ORDER_APPROXIMATE, TQ_ORDER_SCAN };

/* What tq_explain() tells of the last query. */
struct tq_sql_last {
    struct tq_sql_cursor *cursor; /* that it is about; NULL once that is closed */
    char *table;
    const char *path;
    const char *why;    /* of a scan: why it is one */
    const char *filter; /* how WHERE was answered; NULL: there was none for us */
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
 * that is kept prepared keeps its tables from being let go of, and another file may be ATTACHed under the same name
 * by then. */
struct tq_sql_place {
    struct tq_sql_place *next;
    char *schema, *file;
    struct tq_conn *conn; /* NULL while refs is 0 */
    struct tq_env *env;
    unsigned refs;  /* tables */
    bool temporary; /* its folder has no name: closed with the connection, because nobody could open it again */
};

struct tq_sql_mark {
    int savepoint;
    uint64_t mark;
};

/* The vectors of one column in one partition. */
struct tq_sql_part {
    struct tq_table *table;
    bool used; /* by the running transaction: told of its end */
    bool lost; /* to be closed as soon as no row is being changed */
    struct tq_sql_mark *marks;
    size_t mark_count, mark_capacity;
};

enum { TQ_KEPT_STATEMENTS = 24 };

struct tq_sql_table {
    struct tq_sql_table *next;
    struct tq_sql *sql;
    unsigned refs; /* sqlite3_vtab objects */
    bool gone;     /* another table has its name now */
    char *schema, *file, *name;
    char *arguments; /* the declaration's text */
    struct tq_declaration declaration;
    struct tq_sql_place *place; /* NULL until the table is first used, as are: */
    struct tq_engine **engines; /* one a vector column */
    struct tq_sql_part **parts; /* by number: partition * vectors + vector; NULL: not open */
    size_t part_capacity;
    char *find_partition, *add_partition; /* parts.c: texts */
    struct tq_sql_kept {
        char *text;
        sqlite3_stmt *statement;
        uint64_t used;
    } kept[TQ_KEPT_STATEMENTS];
    uint64_t kept_clock;
    struct tq_where_entry *filters; /* filter.c's */
    struct tq_writer *writer;       /* write.c's */
    int holds;                      /* what runs uses parts: none may be closed */
    bool repaired;                  /* by the running transaction: its end by ROLLBACK closes all parts */
    bool created;                   /* or renamed, by the running transaction, of which a part may be rolled back */
    bool doubted;                   /* created and connected anew, or rolled back: perhaps its name is another's */
    int64_t number;                 /* of its index, if created */
    int closed_in;                  /* savepoint that cannot be rolled back to, plus 1: RENAME let go of its rows */
    struct tq_sql_cursor *cursors;  /* open ones */
    uint64_t changes;               /* grows whenever what cursors have borrowed may be gone */
    uint64_t rows_seen;             /* live rows when last looked at: for costs */
};

enum tq_status tq_sql_open(sqlite3 *db, struct tq_sql **sql);
void tq_sql_close(struct tq_sql *sql);

/* Find or make; each call is one reference. arguments: those of USING tq(...). create: it is a new table, whatever
 * had its name before. */
enum tq_status tq_sql_table_acquire(struct tq_sql *sql, const char *schema, const char *name, int count,
                                    const char *const *arguments, bool create, struct tq_sql_table **table);
void tq_sql_table_release(struct tq_sql_table *table);
struct tq_sql_table *tq_sql_table_find(struct tq_sql *sql, const char *schema, const char *name);

/* Naming a table makes SQLite connect it, and then it is in the registry; nothing is opened. TQ_MISUSE: it is none of
 * ours. */
enum tq_status tq_sql_table_connect(struct tq_sql *sql, const char *schema, const char *name,
                                    struct tq_sql_table **table);

/* Open folder and index unless they are open. An existing table without its folder is an error that names both. */
enum tq_status tq_sql_table_open(struct tq_sql_table *table);
/* Whether the index that was made for a created table is still the one of its name. */
enum tq_status tq_sql_table_stands(struct tq_sql_table *table, bool *stands);
/* Let go of folder, index and statements; the next use opens them again. */
void tq_sql_table_close(struct tq_sql_table *table);
/* CREATE: make the folder if need be, and the tables. */
enum tq_status tq_sql_table_create(struct tq_sql_table *table);
/* DROP: tables only, so that ROLLBACK brings everything back. Needs no folder. */
enum tq_status tq_sql_table_drop(struct tq_sql_table *table);
enum tq_status tq_sql_table_rename(struct tq_sql_table *table, const char *name);
bool tq_sql_is_shadow(const char *suffix);

/* The folder of a schema's file ("" for databases without one): <file>-tq. Free with tq_free. */
enum tq_status tq_sql_folder(sqlite3 *db, const char *schema, char **folder);
/* folder.c: open the folder of a schema; `create`: for CREATE VIRTUAL TABLE. */
enum tq_status tq_sql_env_open(struct tq_sql *sql, const char *schema, bool create, struct tq_env **env);
/* The file of a schema, "" if it has none. */
const char *tq_sql_file(sqlite3 *db, const char *schema);

/* ---- parts.c ---- */

/* A part, opened if need be. Number: partition * declaration.vectors + vector. */
enum tq_status tq_sql_part(struct tq_sql_table *table, size_t number, struct tq_sql_part **part);
/* That of a slot of a vector column, for reading a row. TQ_CORRUPT: the slot is another column's. */
enum tq_status tq_sql_part_of_slot(struct tq_sql_table *table, uint64_t slot, size_t vector, struct tq_sql_part **part);
/* The part of the values of a partition (values[declaration.partitions], or NULL without partitions) for writing:
 * made if it is not there; *number is that of the partition. */
enum tq_status tq_sql_partition(struct tq_sql_table *table, sqlite3_value **values, uint32_t *number);
void tq_sql_parts_close(struct tq_sql_table *table);
/* Close a part that a rollback has undone; while parts are held, when they are let go. */
void tq_sql_part_lose(struct tq_sql_table *table, size_t number);
/* Around all that runs SQL of ours: a statement that fails for want of room or memory, or for an error of the disk,
 * makes SQLite roll back at once, and xRollback is called in the middle of it. Pairs may be nested. */
void tq_sql_parts_hold(struct tq_sql_table *table);
void tq_sql_parts_let_go(struct tq_sql_table *table);

/* Rows of a vector column as one view: those of all partitions, or of some. Borrowed from the parts until the table
 * changes, but for the memory below; reuse or tq_sql_view_free(). */
struct tq_sql_view {
    struct tq_view view;
    struct tq_view_segment *segments;
    size_t capacity;
    size_t *numbers; /* of the parts */
    size_t number_count, number_capacity;
    uint64_t stamp; /* the same as long as the rows are */
};
/* where: of the partitions to take, an SQL text with ?1 .. ?n for values; NULL: all. */
enum tq_status tq_sql_view(struct tq_sql_table *table, size_t vector, const char *where, sqlite3_value **values,
                           size_t value_count, struct tq_sql_view *view);
/* The same parts again, when it is known that no others have come. */
enum tq_status tq_sql_view_again(struct tq_sql_table *table, struct tq_sql_view *view);
void tq_sql_view_free(struct tq_sql_view *view);
/* The segment that may have a slot, the last one that does not begin behind it, or `count`; guess: try that first. */
size_t tq_sql_view_find(const struct tq_view_segment *segments, size_t count, uint64_t slot, size_t guess);
/* No cursor is open: readers must not pin pages while idle. */
void tq_sql_parts_release(struct tq_sql_table *table);

/* ---- statements.c ---- */

/* A statement of the table with this text, taken from those that are kept or prepared anew; nobody else has it until
 * it is given back, which resets it. */
enum tq_status tq_sql_take(struct tq_sql_table *table, const char *text, sqlite3_stmt **statement);
void tq_sql_give(struct tq_sql_table *table, const char *text, sqlite3_stmt *statement);
/* Take, bind `value` to ?1, step once, give back: *found whether there was a row, *result its column 0. Both may be
 * NULL. The text is a format whose only conversions are "%w"."%w for schema and name, up to three times. */
enum tq_status tq_sql_once(struct tq_sql_table *table, const char *format, int64_t value, bool *found, int64_t *result);
void tq_sql_statements_close(struct tq_sql_table *table);

/* TQ_BUSY and the like from a result code of SQLite on our own statements, with its text; doing: what, or NULL. */
enum tq_status tq_sql_fail(sqlite3 *db, int rc, const char *doing);
/* printf with SQLite's %w and %q, run at once. */
enum tq_status tq_sql_execf(sqlite3 *db, const char *doing, const char *format, ...);
/* SQLite's result code for a status. */
int tq_sql_code(enum tq_status status);
char *tq_sql_text(const char *text); /* a copy by tq_alloc, or NULL */

/* change.c: what a table keeps from one change of a row for the next. */
void tq_writer_free(struct tq_writer *writer);

#endif
