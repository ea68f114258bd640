#include "bench/common/truth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

enum { QUERY_PIECE = 16, ROW_PIECE = 128, RESAMPLES = 1000 };

/* ---- The k best: a heap whose root is the worst ---- */

struct bench_best bench_best_begin(double *scores, int64_t *ids, size_t k) {
    return (struct bench_best){scores, ids, k, 0};
}

/* Is entry a worse than (score, id)? */
static bool is_worse(const struct bench_best *best, size_t a, double score, int64_t id) {
    return best->scores[a] < score || (!(best->scores[a] > score) && best->ids[a] > id);
}

/* Put (score, id) into a hole and let it sink below what is worse. */
static void sink(struct bench_best *best, size_t hole, double score, int64_t id) {
    for (size_t child; (child = 2 * hole + 1) < best->count; hole = child) {
        if (child + 1 < best->count && is_worse(best, child + 1, best->scores[child], best->ids[child])) child++;
        if (!is_worse(best, child, score, id)) break;
        best->scores[hole] = best->scores[child];
        best->ids[hole] = best->ids[child];
    }
    best->scores[hole] = score;
    best->ids[hole] = id;
}

void bench_best_insert(struct bench_best *best, double score, int64_t id) {
    if (best->count == best->k) {
        if (is_worse(best, 0, score, id)) sink(best, 0, score, id);
        return;
    }
    size_t hole = best->count++;
    while (hole > 0 && !is_worse(best, (hole - 1) / 2, score, id)) {
        best->scores[hole] = best->scores[(hole - 1) / 2];
        best->ids[hole] = best->ids[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    best->scores[hole] = score;
    best->ids[hole] = id;
}

void bench_best_sort(struct bench_best *best) {
    size_t count = best->count;
    while (best->count > 1) {
        size_t last = --best->count;
        double score = best->scores[last], worst = best->scores[0];
        int64_t id = best->ids[last], worst_id = best->ids[0];
        sink(best, 0, score, id);
        best->scores[last] = worst;
        best->ids[last] = worst_id;
    }
    best->count = count;
}

/* ---- Scores ---- */

enum tq_status bench_squares(const struct bench_matrix *matrix, double **squares) {
    struct tq_kernels kernels;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    double *made = tq_alloc_array(matrix->rows, sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < matrix->rows; i++) {
        const float *row = bench_matrix_row(matrix, i);
        made[i] = kernels.dot_f32(row, row, matrix->dim);
    }
    *squares = made;
    return TQ_OK;
}

double bench_score(enum tq_metric metric, double dot, double query_square, double row_square) {
    if (metric == TQ_IP) return dot;
    if (metric == TQ_L2) return 2 * dot - query_square - row_square;
    double norms = sqrt(query_square) * sqrt(row_square);
    return norms > 0 ? dot / norms : 0;
}

enum tq_status bench_lists_init(struct bench_lists *lists, size_t queries, size_t k) {
    *lists = (struct bench_lists){queries, k, tq_alloc_array(queries * k, sizeof *lists->ids),
                                  tq_alloc_array(queries * k, sizeof *lists->scores)};
    if (lists->ids == NULL || lists->scores == NULL) {
        bench_lists_free(lists);
        return TQ_NOMEM;
    }
    for (size_t i = 0; i < queries * k; i++) lists->ids[i] = -1;
    return TQ_OK;
}

void bench_lists_free(struct bench_lists *lists) {
    tq_free(lists->ids);
    tq_free(lists->scores);
    *lists = (struct bench_lists){0};
}

struct brute_force {
    const struct bench_problem *problem;
    const struct bench_matrix *rows;
    struct bench_lists *lists;
    struct tq_kernels kernels;
};

static enum tq_status score_piece(void *context, size_t begin, size_t end) {
    struct brute_force *b = context;
    const struct bench_problem *p = b->problem;
    size_t k = b->lists->k;
    struct bench_best best[QUERY_PIECE];
    for (size_t q = begin; q < end; q++)
        best[q - begin] = bench_best_begin(b->lists->scores + q * k, b->lists->ids + q * k, k);
    for (size_t first = 0; first < b->rows->rows; first += ROW_PIECE) {
        size_t last = tq_min_size(first + ROW_PIECE, b->rows->rows);
        for (size_t q = begin; q < end; q++) {
            const float *query = bench_matrix_row(p->queries, q);
            for (size_t i = first; i < last; i++) {
                double dot = b->kernels.dot_f32(query, bench_matrix_row(b->rows, i), b->rows->dim);
                double score = bench_score(p->metric, dot, p->query_squares[q], p->base_squares[i]);
                bench_best_push(&best[q - begin], score, (int64_t)i);
            }
        }
    }
    for (size_t q = begin; q < end; q++) bench_best_sort(&best[q - begin]);
    return TQ_OK;
}

enum tq_status bench_brute_force(const struct bench_problem *problem, const struct bench_matrix *rows,
                                 struct bench_lists *lists) {
    struct brute_force b = {.problem = problem, .rows = rows, .lists = lists};
    tq_kernels_select(tq_cpu_isa(), &b.kernels);
    return bench_parallel(problem->queries->rows, QUERY_PIECE, problem->threads, score_piece, &b);
}

/* ---- The cached truth ---- */

struct truth_header {
    char magic[8];
    uint64_t base_hash, query_hash, queries, k, metric;
};

static bool read_truth(const char *file, const struct truth_header *wanted, struct bench_lists *truth) {
    FILE *stream = fopen(file, "rb");
    if (stream == NULL) return false;
    struct truth_header found;
    size_t count = truth->queries * truth->k;
    bool good = fread(&found, sizeof found, 1, stream) == 1 && memcmp(&found, wanted, sizeof found) == 0 &&
                fread(truth->ids, sizeof *truth->ids, count, stream) == count &&
                fread(truth->scores, sizeof *truth->scores, count, stream) == count;
    (void)fclose(stream);
    return good;
}

static enum tq_status write_truth(const char *file, const struct truth_header *header,
                                  const struct bench_lists *truth) {
    FILE *stream = fopen(file, "wb");
    if (stream == NULL) return tq_fail(TQ_IO, "%s cannot be written", file);
    size_t count = truth->queries * truth->k;
    bool good = fwrite(header, sizeof *header, 1, stream) == 1 &&
                fwrite(truth->ids, sizeof *truth->ids, count, stream) == count &&
                fwrite(truth->scores, sizeof *truth->scores, count, stream) == count;
    good = fclose(stream) == 0 && good;
    return good ? TQ_OK : tq_fail(TQ_IO, "%s cannot be written", file);
}

enum tq_status bench_truth(const struct bench_problem *problem, size_t k, const char *file, struct bench_lists *truth) {
    TQ_TRY(bench_lists_init(truth, problem->queries->rows, k));
    struct truth_header header = {{'t', 'q', 't', 'r', 'u', 't', 'h', '1'},
                                  bench_matrix_hash(problem->base),
                                  bench_matrix_hash(problem->queries),
                                  problem->queries->rows,
                                  k,
                                  (uint64_t)problem->metric};
    if (file != NULL && read_truth(file, &header, truth)) return TQ_OK;
    for (size_t i = 0; i < truth->queries * k; i++) truth->ids[i] = -1;
    enum tq_status status = bench_brute_force(problem, problem->base, truth);
    if (status == TQ_OK && file != NULL) status = write_truth(file, &header, truth);
    if (status != TQ_OK) bench_lists_free(truth);
    return status;
}

/* ---- Recall ---- */

static int compare_doubles(const void *a, const void *b) {
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

double bench_quantile(double *values, size_t count, double share) {
    if (count == 0) return NAN;
    qsort(values, count, sizeof *values, compare_doubles);
    return values[(size_t)(share * (double)(count - 1) + 0.5)];
}

static struct bench_interval bootstrap(const double *values, size_t count) {
    double sum = 0, means[RESAMPLES];
    for (size_t i = 0; i < count; i++) sum += values[i];
    for (size_t r = 0; r < RESAMPLES; r++) {
        double resampled = 0;
        for (size_t i = 0; i < count; i++) resampled += values[tq_rng_below(r, 2, i, (uint32_t)count)];
        means[r] = resampled / (double)count;
    }
    double low = bench_quantile(means, RESAMPLES, 0.025);
    return (struct bench_interval){sum / (double)count, low, bench_quantile(means, RESAMPLES, 0.975)};
}

/* Does a score reach the true k-th, rounding aside? */
static bool reaches(double score, double bar) { return score >= bar - 1e-6 * fabs(bar); }

static double share_by_id(const int64_t *ids, const int64_t *truth, size_t k) {
    size_t hits = 0;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; ids[i] >= 0 && j < k; j++) hits += ids[i] == truth[j];
    return (double)hits / (double)k;
}

static const size_t depths[BENCH_MEASURES] = {1, 10, 100, 1, 10, 100, 1, 2, 4, 8, 16, 32, 64};

/* One query: every measure whose depth the lists have. */
static void judge(const struct bench_lists *truth, size_t query, const int64_t *ids, const double *scores, size_t k,
                  double *values) {
    const double *true_scores = truth->scores + query * truth->k;
    for (size_t m = 0; m < BENCH_MEASURES; m++) {
        size_t depth = depths[m], hits = 0;
        double *value = values + m * truth->queries + query;
        if (depth > k || depth > truth->k) continue;
        double bar = m >= BENCH_ONE_1 ? true_scores[0] : true_scores[depth - 1];
        for (size_t i = 0; i < depth; i++) hits += ids[i] >= 0 && reaches(scores[i], bar);
        if (m >= BENCH_ONE_1)
            *value = hits > 0;
        else if (m >= BENCH_ID_1)
            *value = share_by_id(ids, truth->ids + query * truth->k, depth);
        else
            *value = (double)hits / (double)depth;
    }
}

enum tq_status bench_recall(const struct bench_problem *problem, const struct bench_lists *truth, const int64_t *ids,
                            size_t k, struct bench_interval recall[BENCH_MEASURES]) {
    struct tq_kernels kernels;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    size_t queries = truth->queries;
    double *values = tq_alloc_array(queries * BENCH_MEASURES, sizeof *values);
    double *scores = tq_alloc_array(k, sizeof *scores);
    enum tq_status status = values == NULL || scores == NULL ? TQ_NOMEM : TQ_OK;
    for (size_t q = 0; status == TQ_OK && q < queries; q++) {
        const float *query = bench_matrix_row(problem->queries, q);
        for (size_t i = 0; i < k; i++) {
            int64_t id = ids[q * k + i];
            if (id < 0) continue;
            double dot = kernels.dot_f32(query, bench_matrix_row(problem->base, (size_t)id), problem->base->dim);
            scores[i] = bench_score(problem->metric, dot, problem->query_squares[q], problem->base_squares[id]);
        }
        judge(truth, q, ids + q * k, scores, k, values);
    }
    for (size_t m = 0; status == TQ_OK && m < BENCH_MEASURES; m++) {
        bool present = depths[m] <= k && depths[m] <= truth->k;
        recall[m] = present ? bootstrap(values + m * queries, queries) : (struct bench_interval){NAN, NAN, NAN};
    }
    tq_free(values);
    tq_free(scores);
    return status;
}
