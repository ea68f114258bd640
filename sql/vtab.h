/* The module's parts: vtab.c (life of a table), declaration.c (its columns), plan.c (xBestIndex), cursor.c, row.c,
 * scan.c, stream.c and nearest.c (reading), write.c (xUpdate), savepoints.c (transactions). */
#ifndef TQ_VTAB_H
#define TQ_VTAB_H

#include "sql/value.h"
#include "sql/where.h"

struct tq_vtab {
    sqlite3_vtab base;
    struct tq_sql_table *table;
};

/* With the member that came with SQLite 3.44, whatever header this is compiled with: older ones do not look at it. */
struct tq_module {
    sqlite3_module base;
#if SQLITE_VERSION_NUMBER < 3044000
    int (*xIntegrity)(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **error);
#endif
};
extern const struct tq_module tq_module;
/* integrity.c */
int tq_vtab_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **error);

/* Set the object's message to "tq: <name>: <tq_message()>" and return the code. */
int tq_vtab_fail(sqlite3_vtab *vtab, enum tq_status status);

/* ---- plan.c: idxNum; idxStr holds filters and order ---- */

enum tq_plan {
    TQ_PLAN_SCAN = 0,  /* all rows, by segments of one vector column, in any order; no argument */
    TQ_PLAN_ROWS = 1,  /* by the table of rows: look-ups, filters, other columns; argv: values of the filter */
    TQ_PLAN_MATCH = 2, /* by score, best first; argv: query, what the flags say in their order, values of the filter */
    TQ_PLAN_MASK = 3,
    TQ_PLAN_K = 4,         /* argv has k: no more than k rows */
    TQ_PLAN_LIMIT = 8,     /* argv has LIMIT: how many rows will be asked for, if all of them pass. A hint only */
    TQ_PLAN_OFFSET = 16,   /* likewise */
    TQ_PLAN_SCORE = 32,    /* argv has the x of score > x or score >= x: SQLite drops rows, we stop at the first such */
    TQ_PLAN_DISTANCE = 64, /* likewise of distance < x or distance <= x */
    TQ_PLAN_NEAREST = 128, /* ROWS, SCAN: vectors are read, in no asked order: ORDER BY a function may be recognised */
    TQ_PLAN_READS = 256,   /* SCAN: the vectors are read */
    TQ_PLAN_ABOVE = 512,   /* argv has the x of score < x or score <= x: rows above do not count as found */
    TQ_PLAN_NEARER = 1024, /* likewise of distance > x or distance >= x */
    TQ_PLAN_STRICT = 2048, /* ABOVE, NEARER: nor do those that equal it */
    TQ_PLAN_VECTOR_SHIFT = 12 /* number of the vector column: of MATCH, or the one that a scan reads */
};
/* idxStr: "column,op,flags;" for each value of the filter, then "|" and "column,descending;" for each term of ORDER
 * BY that is consumed, then "#" and the columns that the statement reads, as sqlite3_index_info.colUsed has them.
 * column: of the declaration; -1 rowid. */
enum { TQ_PLAN_TERMS_MAX = 32, TQ_TERM_LIST = 1, TQ_TERM_LITERAL = 2, TQ_TERM_JOIN = 4 };
struct tq_plan_terms {
    struct tq_where_term filter[TQ_PLAN_TERMS_MAX];
    size_t filter_count;
    struct {
        int column;
        bool descending;
    } order[TQ_PLAN_TERMS_MAX];
    size_t order_count;
    uint64_t used;
};
/* Whether a mask such as colUsed has a column: its last bit stands for all from there on. */
static inline bool tq_plan_uses(uint64_t used, size_t column) { return (used >> (column < 63 ? column : 63) & 1) != 0; }
void tq_plan_read(const char *text, struct tq_plan_terms *terms);
int tq_vtab_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);

/* ---- cursor.c ---- */

enum { TQ_BATCH = 128 };

enum tq_source {
    TQ_SOURCE_NONE,
    TQ_SOURCE_SCAN, /* segments, row by row; scan.c */
    TQ_SOURCE_ROWS, /* a statement on the table of rows; row.c */
    TQ_SOURCE_IDS,  /* a list of ids, each looked up; those that are gone are passed over */
    TQ_SOURCE_HITS, /* a search, extended as more is asked for; stream.c */
    TQ_SOURCE_LOST  /* a scan whose transaction was rolled back under it */
};

struct tq_sql_cursor {
    sqlite3_vtab_cursor base;
    struct tq_sql_table *table;
    struct tq_sql_cursor *next; /* of the table's */
    enum tq_source source;
    size_t vector; /* number of the column that is scanned or searched */
    bool eof;
    int64_t id; /* of the row */

    /* The row in the table of rows and in that of columns apart; row.c. */
    struct tq_row_at {
        char *text;
        sqlite3_stmt *statement; /* on the row if ready */
        bool ready, found;
    } row, apart;
    bool row_is_source; /* TQ_SOURCE_ROWS: row.statement goes from row to row */
    uint64_t row_used;  /* the columns that it has */
    size_t list_at;     /* of the filter's long list */
    struct {
        bool known;
        uint32_t number; /* of the part that `view` is of */
        uint64_t changes;
        struct tq_view view;
        size_t segment; /* last used */
    } look;

    /* TQ_SOURCE_SCAN: the row's vector */
    const uint8_t *unit;   /* its exact row, or its record; NULL: to be looked up */
    uint64_t unit_changes; /* table->changes when unit was set */
    bool unit_mapped;      /* unit stays where it is until the cursor is closed */

    struct tq_sql_view scan;
    bool scan_reads; /* the vectors themselves */
    size_t segment;
    uint32_t segment_row; /* next to be fetched */
    uint32_t batch_rows[TQ_BATCH];
    int64_t batch_ids[TQ_BATCH];
    const uint8_t *batch_units[TQ_BATCH];
    size_t batch_count, batch_at;

    /* TQ_SOURCE_IDS, and NULL rows at the end of a scan: */
    int64_t *ids;
    size_t id_count, id_capacity, id_at;

    /* TQ_SOURCE_HITS: */
    struct tq_stream *stream; /* stream.c's */
    struct tq_many *many;     /* many.c's */
    double score, distance;

    struct tq_where filter;
    float *query; /* f32[largest dim] */
    struct tq_env_reader *pin;
    float *floats;    /* f32[largest dim]: a row decoded or widened */
    uint8_t *records; /* where segments hold them packed: a batch of them, and one more */
};

int tq_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor);
int tq_cursor_close(sqlite3_vtab_cursor *cursor);
int tq_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *terms, int count, sqlite3_value **values);
int tq_cursor_next(sqlite3_vtab_cursor *cursor);
int tq_cursor_eof(sqlite3_vtab_cursor *cursor);
int tq_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column);
int tq_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid);

enum tq_status tq_cursor_add_id(struct tq_sql_cursor *cursor, int64_t id);
/* Rows without a vector in the cursor's column, that pass its filter: at most so many. */
enum tq_status tq_cursor_add_nulls(struct tq_sql_cursor *cursor, uint64_t most);
/* Before the table changes: cursors on it must not keep what they have borrowed. */
enum tq_status tq_cursors_detach(struct tq_sql_table *table);
const struct tq_format *tq_cursor_format(const struct tq_sql_cursor *cursor); /* of its vector column */

/* ---- row.c ---- */

/* The row of the table of rows on which the cursor is; *found false: it was deleted meanwhile. */
enum tq_status tq_row_look(struct tq_sql_cursor *cursor, bool *found);
void tq_row_moved(struct tq_sql_cursor *cursor); /* cursor->id is another row's */
void tq_row_reset(struct tq_sql_cursor *cursor); /* statements are given back */
/* Begin TQ_SOURCE_ROWS: rows that pass cursor->filter, in the order asked for. */
enum tq_status tq_rows_begin(struct tq_sql_cursor *cursor, const struct tq_plan_terms *terms, bool by_id);
enum tq_status tq_rows_next(struct tq_sql_cursor *cursor);
/* A visible column of the row, as SQL value. */
enum tq_status tq_row_result(struct tq_sql_cursor *cursor, sqlite3_context *context, int column);
/* Where the vector of a column lies, by the table of rows: *unit NULL if there is none. */
enum tq_status tq_row_unit(struct tq_sql_cursor *cursor, size_t vector, const uint8_t **unit);
enum tq_status tq_row_slot(struct tq_sql_cursor *cursor, size_t vector, uint64_t *slot); /* of cursor->id */
/* A vector's unit as f32[dim] blob. */
void tq_row_result_unit(struct tq_sql_cursor *cursor, sqlite3_context *context, size_t vector, const uint8_t *unit,
                        bool stays);

/* ---- scan.c ---- */

enum tq_status tq_scan_begin(struct tq_sql_cursor *cursor);
enum tq_status tq_scan_next(struct tq_sql_cursor *cursor);
/* Turn the rest of a scan into a list of ids. */
enum tq_status tq_scan_to_ids(struct tq_sql_cursor *cursor);

/* ---- stream.c ---- */

struct tq_stream_arguments {
    sqlite3_value *query, *k, *limit, *offset, *score, *distance, *above, *nearer; /* NULL: not given */
    bool strict;
};
enum tq_status tq_stream_begin(struct tq_sql_cursor *cursor, const struct tq_stream_arguments *arguments);
enum tq_status tq_stream_next(struct tq_sql_cursor *cursor);
void tq_stream_reset(struct tq_sql_cursor *cursor); /* its statement is given back */
void tq_stream_free(struct tq_stream *stream);

/* ---- many.c: the queries of a join, searched together ---- */

/* Whether the answer to cursor->query is there: hits[k]. */
bool tq_many_answer(struct tq_sql_cursor *cursor, const struct tq_sql_view *view, size_t k,
                    const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                    struct tq_search_stats *stats);
void tq_many_free(struct tq_many *many);

/* ---- nearest.c: ORDER BY tq_ip(embedding, :q) DESC LIMIT n, recognised ---- */

/* If the running statement has that shape, fill the cursor with the ids of the rows that may be among the first n, in
 * the order of a scan (by_id: of ids); *taken tells. Whatever is in doubt is left to a scan. cursor->filter has the
 * conditions that SQLite has told of. */
enum tq_status tq_nearest_begin(struct tq_sql_cursor *cursor, bool by_id, bool *taken);
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
/* Before DROP and RENAME. *bulk: rows will be nowhere if the statement fails; *savepoint: its own. */
enum tq_status tq_vtab_check_close(const struct tq_sql_table *table, bool *bulk, int *savepoint);

#endif
