/* Inside of a search that is streamed: stream.c, filtering.c. */
#ifndef TQ_STREAM_H
#define TQ_STREAM_H

#include "sql/vtab.h"

enum { TQ_FIRST_ROWS = 64 }; /* of a search, if nothing says how many will be asked for */

enum tq_filtering { TQ_FILTERING_NONE, TQ_FILTERING_BITMAP, TQ_FILTERING_EACH };

struct tq_stream {
    struct tq_search_options options;
    struct tq_hit *hits;
    size_t capacity, count, at;
    size_t asked; /* the last search's k */
    uint64_t most, emitted;
    uint64_t expected;                 /* rows that will be asked for, as far as is known */
    double least_score, most_distance; /* what SQLite will let pass: the first row that it will not ends the stream */
    double bar;                        /* both as one score, rounded down */
    double most_score, least_distance; /* rows above or nearer were on an earlier page: they do not count */
    bool strict;                       /* nor those that equal it */
    bool complete;                     /* the last search found all there is */
    struct tq_hit last;
    enum tq_filtering filtering;
    uint64_t looked, passed; /* TQ_FILTERING_EACH */
    double share;            /* of rows that pass, by a sample */
    char *check_text;
    sqlite3_stmt *check;
    struct tq_sql_view all;

    /* The last search of all rows, which hits[] still has: an inner loop of a join may ask the same again. */
    struct {
        float *query; /* NULL: nothing */
        bool valid;
        size_t asked, count;
        uint64_t stamp;
        struct tq_search_options options;
    } kept;
};

/* ---- filtering.c ---- */

/* Choose: for the stream's filter, and for as many rows as are expected. */
enum tq_status tq_filtering_begin(struct tq_sql_cursor *cursor);
/* More rows are needed: choose again. *rows: how many to look for; in: what is usual. */
void tq_filtering_again(struct tq_sql_cursor *cursor, uint64_t *rows);
/* Whether a row passes. */
enum tq_status tq_filtering_pass(struct tq_sql_cursor *cursor, int64_t id, bool *pass);
/* Rows to look at so that `wanted` of them pass, probably. */
double tq_rows_needed(double wanted, double share);
/* Its statement is given back. */
void tq_filtering_reset(struct tq_sql_cursor *cursor);

#endif
