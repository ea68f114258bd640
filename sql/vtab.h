/* The module's parts: vtab.c (life of a table), arguments.c (its declaration), plan.c (xBestIndex), cursor.c and
 * scan.c (reading), write.c (xUpdate), savepoints.c (transactions). */
#ifndef TQ_VTAB_H
#define TQ_VTAB_H

#include "sql/registry.h"
#include "sql/value.h"

/* Columns of every table: the vector, then hidden ones. The second has the table's own name and takes the query of
 * the table-valued form, `FROM words(:query)`, whose arguments fill hidden columns from the left. */
enum tq_column { TQ_COL_VECTOR, TQ_COL_QUERY, TQ_COL_K, TQ_COL_SCORE, TQ_COL_DISTANCE, TQ_COL_COUNT };

struct tq_vtab {
    sqlite3_vtab base;
    struct tq_sql_table *table;
};

/* Set the object's message to "tq: <name>: <tq_message()>" and return the code. */
extern const sqlite3_module tq_module;

int tq_vtab_fail(sqlite3_vtab *vtab, enum tq_status status);

/* ---- arguments.c ---- */

struct tq_declaration {
    char column[TQ_NAME_MAX + 1];
    struct tq_index_options options;
};

/* Read `embedding FLOAT[100], bits=4, ...`. TQ_MISUSE names what is wrong. */
enum tq_status tq_declaration_read(int count, const char *const *arguments, struct tq_declaration *declaration);

/* ---- plan.c: idxNum ---- */

enum tq_plan {
    TQ_PLAN_SCAN = 0,  /* all rows, in any order; no argument */
    TQ_PLAN_ROWID = 1, /* argv: rowid */
    TQ_PLAN_MATCH = 2, /* by score, best first; argv: query, and what the flags say, in their order */
    TQ_PLAN_MASK = 3,
    TQ_PLAN_K = 4,        /* argv has k: no more than k rows */
    TQ_PLAN_LIMIT = 8,    /* argv has LIMIT: how many rows will be asked for, if all of them pass. A hint only */
    TQ_PLAN_OFFSET = 16,  /* likewise */
    TQ_PLAN_SCORE = 32,   /* argv has the x of score > x or score >= x: SQLite drops rows, we stop at the first such */
    TQ_PLAN_DISTANCE = 64 /* likewise of distance < x or distance <= x */
};
int tq_vtab_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);

/* ---- cursor.c ---- */

enum { TQ_BATCH = 128 };

enum tq_source {
    TQ_SOURCE_NONE,
    TQ_SOURCE_SCAN, /* segments, row by row; scan.c */
    TQ_SOURCE_IDS,  /* a list of ids, each looked up; those that are gone are passed over */
    TQ_SOURCE_HITS, /* a search, extended as more is asked for; stream.c */
    TQ_SOURCE_LOST  /* a scan whose transaction was rolled back under it */
};

struct tq_sql_cursor {
    sqlite3_vtab_cursor base;
    struct tq_sql_table *table;
    struct tq_sql_cursor *next; /* of the table's */
    enum tq_source source;
    bool eof;

    /* The row: */
    int64_t id;
    bool is_null;
    const uint8_t *unit;    /* its exact row, or its record; NULL: to be looked up */
    uint64_t unit_changes;  /* table->changes when unit was set */
    bool unit_mapped;       /* unit stays where it is until the cursor is closed */
    double score, distance; /* TQ_SOURCE_HITS */

    /* TQ_SOURCE_SCAN: */
    struct tq_view view;
    size_t segment;
    uint32_t row; /* of the segment: next to be fetched */
    uint32_t batch_rows[TQ_BATCH];
    int64_t batch_ids[TQ_BATCH];
    const uint8_t *batch_units[TQ_BATCH];
    size_t batch_count, batch_at;

    /* TQ_SOURCE_IDS, and NULL rows at the end of a scan: */
    int64_t *ids;
    size_t id_count, id_capacity, id_at;

    /* TQ_SOURCE_HITS: */
    float *query;
    struct tq_hit *hits;
    size_t hit_capacity, hit_count, hit_at;
    size_t asked; /* the last search's k */
    uint64_t most, emitted;
    double least_score, most_distance; /* what SQLite will let pass: the first row that it will not ends the stream */
    struct tq_hit last;

    struct tq_env_reader *pin;
    float *vector;    /* f32[dim]: a row decoded or widened */
    uint8_t *records; /* where segments hold them packed: a batch of them, and one more */
};

int tq_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor);
int tq_cursor_close(sqlite3_vtab_cursor *cursor);
int tq_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *unused, int count, sqlite3_value **values);
int tq_cursor_next(sqlite3_vtab_cursor *cursor);
int tq_cursor_eof(sqlite3_vtab_cursor *cursor);
int tq_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column);
int tq_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid);

enum tq_status tq_cursor_add_id(struct tq_sql_cursor *cursor, int64_t id);
/* Before the table changes: cursors on it must not keep what they have borrowed. */
enum tq_status tq_cursors_detach(struct tq_sql_table *table);
/* Where a row lies, or that it is a NULL row; TQ_NOT_FOUND. */
enum tq_status tq_cursor_look_up(struct tq_sql_cursor *cursor, int64_t id);

/* ---- scan.c ---- */

enum tq_status tq_scan_begin(struct tq_sql_cursor *cursor);
enum tq_status tq_scan_next(struct tq_sql_cursor *cursor);
/* Turn the rest of a scan into a list of ids. */
enum tq_status tq_scan_to_ids(struct tq_sql_cursor *cursor);

/* ---- stream.c ---- */

struct tq_stream_arguments {
    sqlite3_value *query, *k, *limit, *offset, *score, *distance; /* NULL: not given */
};
enum tq_status tq_stream_begin(struct tq_sql_cursor *cursor, const struct tq_stream_arguments *arguments);
enum tq_status tq_stream_next(struct tq_sql_cursor *cursor);

/* ---- nearest.c: ORDER BY tq_ip(embedding, :q) DESC LIMIT n, recognised ---- */

/* If the running statement has that shape, fill the cursor with the ids of the rows that may be among the first n, in
 * the order of a scan; *taken tells. Whatever is in doubt is left to a scan. */
enum tq_status tq_nearest_begin(struct tq_sql_cursor *cursor, bool *taken);
/* Before the second row of a scan: fill the cursor likewise with the other rows, if it has waited for its query. */
enum tq_status tq_nearest_settle(struct tq_sql_cursor *cursor);
/* The statement from within which we are called, if no other is running; else NULL. */
sqlite3_stmt *tq_running_statement(sqlite3 *db);

/* ---- write.c, savepoints.c ---- */

int tq_vtab_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid);
int tq_vtab_begin(sqlite3_vtab *vtab);
int tq_vtab_sync(sqlite3_vtab *vtab);
int tq_vtab_commit(sqlite3_vtab *vtab);
int tq_vtab_rollback(sqlite3_vtab *vtab);
int tq_vtab_savepoint(sqlite3_vtab *vtab, int savepoint);
int tq_vtab_release(sqlite3_vtab *vtab, int savepoint);
int tq_vtab_rollback_to(sqlite3_vtab *vtab, int savepoint);

#endif
