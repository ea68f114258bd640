/* Vectors in memory, where they come from, and loops over them on a few threads. For programs of bench/. */
#ifndef BENCH_MATRIX_H
#define BENCH_MATRIX_H

#include "src/base/base.h"

struct bench_matrix {
    float *data; /* f32[rows][dim] */
    size_t rows;
    uint32_t dim;
};

static inline const float *bench_matrix_row(const struct bench_matrix *matrix, size_t row) {
    return matrix->data + row * matrix->dim;
}

enum tq_status bench_matrix_load(const char *path, struct bench_matrix *matrix);

/* The listed rows of another one. */
enum tq_status bench_matrix_take(const struct bench_matrix *from, const uint32_t *rows, size_t count,
                                 struct bench_matrix *matrix);
void bench_matrix_free(struct bench_matrix *matrix);

/* A random permutation of 0..count-1, a function of the seed alone. */
enum tq_status bench_permutation(size_t count, uint64_t seed, uint32_t **order);

/* What the bytes add up to: to know a cached result's data again. */
uint64_t bench_matrix_hash(const struct bench_matrix *matrix);

/* work(context, begin, end) over pieces of [0, count), on `threads` threads. The first failure is returned. */
typedef enum tq_status bench_work(void *context, size_t begin, size_t end);
enum tq_status bench_parallel(size_t count, size_t piece, int threads, bench_work *work, void *context);

double bench_seconds(void); /* of a clock that only goes forward */

#endif
