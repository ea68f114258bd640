/* What the parts of sql_cases share: the data, and statements that are timed in turns. */
#ifndef BENCH_SQL_CASES_H
#define BENCH_SQL_CASES_H

#include <sqlite3.h>
#include <stdio.h>

#include "bench/common/matrix.h"
#include "bench/common/program.h"
#include "src/base/alloc.h"

enum { SQL_K = 10, SQL_SHARES = 8, SQL_RANKS = 3 };

/* Of the rows, these shares have the labels "l0" to "l7"; the rest has "rest". */
extern const double sql_shares[SQL_SHARES];
extern const size_t sql_ranks[SQL_RANKS];

struct sql_options {
    const char *base, *query, *only, *vec;
    size_t rounds, queries;
};

struct sql_cases {
    struct sql_options options;
    struct bench_matrix base, queries;
    double *scores;      /* [queries][rows]: cosine, in double */
    double *rank_scores; /* [queries][SQL_RANKS]: the score of the row of that rank */
    int32_t *labels;     /* [rows]: 0 .. SQL_SHARES, the last is "rest" */
    double *prices;      /* [rows]: 0 to 1 */
    char folder[4096];
    bool docs_made;
    bool failed; /* something was found that must not be, and printed */
};

/* ---- Databases ---- */

/* A connection to a file in the run's folder, made if it is not there. */
sqlite3 *sql_open(const struct sql_cases *c, const char *name);
void sql_run(sqlite3 *db, const char *sql);
sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql);
/* The only row's only value, up to the buffer's size. */
const char *sql_text(sqlite3 *db, const char *sql, char *text, size_t size);
int64_t sql_integer(sqlite3 *db, const char *sql);
void sql_label(const struct sql_cases *c, size_t row, char name[8]);
double sql_seconds_of_thread(void);

/* Insert all rows in one transaction. bind sets all parameters of a row. */
typedef void sql_bind(const struct sql_cases *c, sqlite3_stmt *statement, size_t row);
struct sql_seconds {
    double wall, processor;
};
struct sql_seconds sql_insert_all(const struct sql_cases *c, sqlite3 *db, const char *sql, sql_bind *bind);
void sql_bind_vector(const struct sql_cases *c, sqlite3_stmt *statement, size_t row);   /* ?1 rowid, ?2 vector */
void sql_bind_metadata(const struct sql_cases *c, sqlite3_stmt *statement, size_t row); /* and ?3 label, ?4 price */
void sql_bind_blob(const struct sql_cases *c, sqlite3_stmt *statement, int at, const float *vector);

/* As int8, the largest component 127: of every vector its own scale, which cosine does not see. */
void sql_bind_byte_codes(const struct sql_cases *c, sqlite3_stmt *statement, int at, const float *vector);

/* docs.db, with all rows: docs(embedding, label TEXT INDEXED, plain TEXT, price REAL INDEXED, cost REAL, title TEXT),
 * where plain is label and cost is price without an index; words(embedding) beside it. */
void sql_make_docs(struct sql_cases *c);

/* ---- Statements in turns ---- */

/* ?1 is the query, ?2 what the filter compares with. */
struct sql_way {
    char label[80];
    sqlite3 *db;
    char sql[300];
    size_t most;           /* queries a round; 0: all of the round's share */
    const int32_t *groups; /* only rows of this group pass; NULL: all */
    int32_t group;         /* -1: another one with every query, of: */
    int32_t group_count;
    bool as_number;  /* ?2 is the group, not its label */
    double below;    /* only rows with a price below it pass; 0: all */
    bool moving;     /* `below` is a little different with every query */
    int rank;        /* ?2 is the score of sql_ranks[rank - 1]; 0: it is not */
    bool byte_codes; /* the query as int8 */
    size_t k;        /* rows expected; 0: as many as there are up to SQL_K. Others are not judged */
    size_t against;  /* the way that `ratio` is to */

    /* What came out: */
    double ms, ratio, recall; /* medians over rounds; NAN where not judged */
    size_t fewest, most_rows, asked;
    bool wrong; /* fewer rows than there are, or others */
    char explain[300];
};
void sql_ways_run(struct sql_cases *c, struct sql_way *ways, size_t count);
/* A table of them all; `ratio` says what the ratios are to. */
void sql_ways_print(const char *title, const char *meaning, const char *ratio, const struct sql_way *ways,
                    size_t count);
/* What tq_explain() says after "key":, or "-". */
const char *sql_explained(const char *explain, const char *key, char *value, size_t size);
void sql_way_bind(const struct sql_cases *c, const struct sql_way *way, sqlite3_stmt *statement, size_t query);
/* Milliseconds; the ids found in ids[SQL_K], and how many rows there were. */
double sql_ask(const struct sql_cases *c, const struct sql_way *way, sqlite3_stmt *statement, size_t query,
               int64_t *ids, size_t *count);

/* ---- Tables ---- */

void sql_cases_filters(struct sql_cases *c);
void sql_cases_first(struct sql_cases *c);
void sql_cases_order(struct sql_cases *c);
void sql_cases_insert(struct sql_cases *c);
void sql_cases_update(struct sql_cases *c);
void sql_cases_join(struct sql_cases *c);
void sql_cases_partition(struct sql_cases *c);
void sql_cases_many(struct sql_cases *c);
void sql_cases_look_up(struct sql_cases *c);

#endif
