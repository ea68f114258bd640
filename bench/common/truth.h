/* Exact neighbours by brute force in double, lists of the best, and how well a list does against the truth. */
#ifndef BENCH_TRUTH_H
#define BENCH_TRUTH_H

#include "bench/common/matrix.h"

/* ---- The k best of a stream of scores: larger first, equal ones by smaller id ---- */

struct bench_best {
    double *scores;
    int64_t *ids;
    size_t k, count;
};
/* `scores` and `ids` have room for k >= 1. */
struct bench_best bench_best_begin(double *scores, int64_t *ids, size_t k);
void bench_best_insert(struct bench_best *best, double score, int64_t id);
void bench_best_sort(struct bench_best *best); /* at the end: best first */

/* Most scores do not reach the list: that test is inline. */
static inline void bench_best_push(struct bench_best *best, double score, int64_t id) {
    if (best->count < best->k || score >= best->scores[0]) bench_best_insert(best, score, id);
}

/* ---- Scores ---- */

/* squares: |x|^2 of every row, in double. */
enum tq_status bench_squares(const struct bench_matrix *matrix, double **squares);

/* tq.h's definition of score, from the inner product and the squared norms. */
double bench_score(enum tq_metric metric, double dot, double query_square, double row_square);

/* ---- Lists of the k best rows for many queries ---- */

struct bench_lists {
    size_t queries, k;
    int64_t *ids;   /* [queries][k], -1 where there are fewer rows */
    double *scores; /* [queries][k] */
};
enum tq_status bench_lists_init(struct bench_lists *lists, size_t queries, size_t k);
void bench_lists_free(struct bench_lists *lists);

struct bench_problem {
    const struct bench_matrix *base, *queries;
    enum tq_metric metric;
    const double *base_squares, *query_squares;
    int threads;
};

/* Score every row of `rows` (problem->base, or approximations of it, whose norms are taken as problem's). */
enum tq_status bench_brute_force(const struct bench_problem *problem, const struct bench_matrix *rows,
                                 struct bench_lists *lists);

/* The truth: from the file if it holds the answer to this problem, else computed and written there. NULL: no file. */
enum tq_status bench_truth(const struct bench_problem *problem, size_t k, const char *file, struct bench_lists *truth);

/* ---- Recall ---- */

/* A hit by score: the row's exact score reaches the true k-th to 1e-6 relative. By id: it is one of the true k. */
enum bench_measure {
    BENCH_SCORE_1,
    BENCH_SCORE_10,
    BENCH_SCORE_100,
    BENCH_ID_1,
    BENCH_ID_10,
    BENCH_ID_100,
    BENCH_ONE_1, /* 1@k: the true first (by score) is among the first k; k = 1, 2, 4 .. 64 */
    BENCH_ONE_2,
    BENCH_ONE_4,
    BENCH_ONE_8,
    BENCH_ONE_16,
    BENCH_ONE_32,
    BENCH_ONE_64,
    BENCH_MEASURES
};

struct bench_interval {
    double mean, low, high; /* 95 %, bootstrap over queries; NAN where the lists are too short for the measure */
};

/* Compare ids [queries][k] (rows of problem->base, -1 for none) with the truth. */
enum tq_status bench_recall(const struct bench_problem *problem, const struct bench_lists *truth, const int64_t *ids,
                            size_t k, struct bench_interval recall[BENCH_MEASURES]);

/* The share'th quantile, 0..1, of values; sorts them. */
double bench_quantile(double *values, size_t count, double share);

#endif
