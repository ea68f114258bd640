/* WHERE on columns beside the vectors: as SQL on the table of rows, and from that as a bitmap of rows.
 *
 * Conditions are evaluated by SQLite itself, on columns of the same affinity, so that they mean here what they mean
 * elsewhere. docs/decisions/0009 says what is answered how, and what it costs. */
#ifndef TQ_WHERE_H
#define TQ_WHERE_H

#include "sql/registry.h"

/* One condition `column op value`, or `column IN (values)`. */
struct tq_where_term {
    int column; /* of the declaration; -1: rowid */
    int op;     /* SQLITE_INDEX_CONSTRAINT_... */
    bool list, literal;
    bool join; /* not a condition of the search if the statement has another table */
};

struct tq_where {
    char *where;            /* on <name>_rows, ?1 .. ?n for values; sqlite3_malloc'ed. NULL: no condition */
    char *partitions;       /* the part of it that chooses partitions, or NULL; same parameters */
    bool partitions_only;   /* there is nothing else in it */
    bool narrow;            /* an index helps: likely few rows, soon found */
    bool left_out;          /* a condition is not in it: rows that pass may yet fail */
    sqlite3_value **values; /* copies; a list that is too long for one statement comes last: */
    size_t count;
    size_t long_count; /* of them belong to it; the statement takes so many of them at a time: */
    size_t run;
};

/* Conditions with their values, lists read whole. Those whose meaning might differ are left out: SQLite checks each
 * row that it is given. */
enum tq_status tq_where_make(const struct tq_sql_table *table, const struct tq_where_term *terms, size_t count,
                             sqlite3_value **values, struct tq_where *filter);
/* From the text of a WHERE clause on the table of rows, without parameters; NULL: no condition. */
enum tq_status tq_where_from_text(const char *where, struct tq_where *filter);
void tq_where_clear(struct tq_where *filter);
/* Bind ?1 .. ?n; of a long list those from `at` on, the last one repeated where there are no more. */
void tq_where_bind(const struct tq_where *filter, sqlite3_stmt *statement, size_t at);

/* The rows of a vector column that pass, kept for the next time. *view is NULL, and the work done is lost, when more
 * than `budget` of them pass; with budget 0 it is looked up and not made. Good until the table is next used. */
enum tq_status tq_where_view(struct tq_sql_table *table, size_t vector, const struct tq_where *filter, uint64_t budget,
                             const struct tq_view **view);
/* What its caller knows of a filter, kept with it; 0: nothing. */
struct tq_where_notes {
    double share; /* of rows that pass; forgotten when the rows have changed */
    double spent; /* on answering it without a bitmap */
    bool sampled_well;
};
enum tq_status tq_where_notes(struct tq_sql_table *table, size_t vector, const struct tq_where *filter,
                              struct tq_where_notes **notes);
/* The function that its statements call. */
int tq_where_register(struct tq_sql *sql);
void tq_where_forget(struct tq_sql_table *table);

#endif
