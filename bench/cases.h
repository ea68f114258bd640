/* What the tables of build/cases share: the data, a list of things to ask, and how a table is written. */
#ifndef CASES_H
#define CASES_H

#include <math.h>
#include <stdio.h>

#include "bench/common/matrix.h"

enum { CASES_SHARES = 8, CASES_COLUMNS = 16 };

struct cases_options {
    const char *base, *query, *csv, *only;
    enum tq_metric metric;
    size_t rounds, queries, k;
    double seconds; /* a configuration may take, about */
    /* of the data that table `scale` makes */
    size_t rows;
    uint32_t dim;
    double survivors[CASES_SHARES];
    size_t survivor_count;
};

struct cases_column {
    const char *name;
    int decimals;
};

struct cases {
    struct cases_options options;
    struct bench_matrix base, queries; /* the queries in random order */
    double *base_squares, *query_squares;
    FILE *csv; /* NULL: not wanted */
    const char *folder;
    char path[4200]; /* of the store of the base; ids are rows */
    tq_store *store;
    tq_index *index;
    bool failed; /* answers differed that must not */
    /* the table in progress */
    const char *word;
    const struct cases_column *columns;
    size_t column_count;
};

/* ---- cases_ask.c: asking, timing, judging ---- */

/* One configuration: its queries, one a call. */
struct cases_ask {
    tq_index *index;
    const struct bench_matrix *queries;
    size_t k;
    struct tq_search_options options;
    const struct tq_filter *filters; /* NULL, or one a query, or one for all */
    bool one_filter;
    const double *scores; /* NULL, or one a query: all rows of at least that score, room for k */
    size_t most;          /* queries; 0: no limit but options.queries */
    bool wall;            /* wall clock; else the processor time of this thread */
    const int64_t *ids;   /* id of a row, NULL: they are the same */
    const uint32_t *row;  /* row of an id, NULL: the same */
    /* Results. Of a query's times the median over rounds counts. */
    size_t count; /* queries asked: the first ones, as many as the time allows */
    double p50, p99, recall;
    struct tq_search_stats stats; /* of one round: sums */
};

/* Time all of them, in turns. */
void cases_time(const struct cases *c, struct cases_ask *asks, size_t count);

/* recall by score against brute force in double over the base, of the first 200 queries; others' filters and ids
 * count. */
void cases_judge(const struct cases *c, struct cases_ask *asks, size_t count);

/* Searches one query with its filter. */
void cases_search(const struct cases_ask *ask, size_t query, struct tq_hit *hits, size_t *found,
                  struct tq_search_stats *stats);

double cases_thread_seconds(void); /* processor time of the calling thread */
void *cases_alloc(size_t count, size_t size);

/* A store with one index, filled in one transaction; closed again. ids NULL: rows' numbers. */
void cases_store_make(const char *path, const struct bench_matrix *rows, const int64_t *ids, enum tq_metric metric);
void cases_store_open(const char *path, tq_store **store, tq_index **index);
void cases_store_close(tq_store *store, tq_index *index);

/* ---- cases.c: tables ---- */

/* `first` heads the label's column or, with " | " in it, columns. */
void cases_table(struct cases *c, const char *word, const char *title, const char *meaning, const char *first,
                 const struct cases_column *columns, size_t count);
void cases_row(const struct cases *c, const char *label, const double *values); /* NAN: nothing to say */

struct cases_ask cases_plain_ask(const struct cases *c); /* of the data's queries, k and confidence as usual */
static inline double cases_a_query(const struct cases_ask *ask, uint64_t sum) {
    return (double)sum / (double)ask->count;
}

/* ---- cases_query.c ---- */

void cases_k(struct cases *c);
void cases_queries(struct cases *c);
void cases_range(struct cases *c);

/* ---- cases_filter.c ---- */

void cases_filters(struct cases *c);

/* ---- cases_machine.c ---- */

void cases_batch(struct cases *c);
void cases_threads(struct cases *c);
void cases_isa(struct cases *c);
void cases_first(struct cases *c);
int cases_first_child(char **arguments, double start);

/* ---- cases_scale.c ---- */

void cases_scale(struct cases *c);

/* ---- cases_made.c: vectors for cases_scale.c, made piece by piece ---- */

/* Unit vectors around centres, all of them around a common offset. A function of these numbers. */
struct cases_made {
    size_t rows, clusters;
    uint32_t dim;
    double offset; /* cosine of any row with the common direction */
    double spread; /* length of the noise around a centre, in lengths of what the centre has beside the offset */
    float *centres, *common;
};

void cases_made_open(struct cases_made *made, size_t rows, uint32_t dim);
void cases_made_close(struct cases_made *made);
void cases_made_row(const struct cases_made *made, size_t row, float *vector);
/* Some rows, each moved by a third of its length. */
void cases_made_queries(const struct cases_made *made, size_t count, struct bench_matrix *queries);

/* Set offset and spread so that about `share` of the rows pass the first plane at confidence 3 for the k best.
 * Returns the share found, on a sample. */
double cases_made_tune(struct cases_made *made, double share, size_t k);

/* The k best scores (cosine) of the first `count` queries, double[count][k], best first: all rows made again. */
void cases_made_truth(const struct cases_made *made, const struct bench_matrix *queries, size_t count, size_t k,
                      double *scores);

#endif
