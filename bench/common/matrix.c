#include "bench/common/matrix.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/io/npy.h"

enum { THREADS_MAX = 64 };

static enum tq_status allocate(size_t rows, uint32_t dim, struct bench_matrix *matrix) {
    float *data = tq_alloc_array(rows * dim, sizeof *data);
    if (data == NULL) return TQ_NOMEM;
    *matrix = (struct bench_matrix){data, rows, dim};
    return TQ_OK;
}

enum tq_status bench_matrix_load(const char *path, struct bench_matrix *matrix) {
    struct tq_npy npy;
    TQ_TRY(tq_npy_open(path, &npy));
    enum tq_status status = allocate((size_t)npy.rows, npy.dim, matrix);
    for (uint64_t i = 0; status == TQ_OK && i < npy.rows; i++) tq_npy_row(&npy, i, matrix->data + i * npy.dim);
    tq_npy_close(&npy);
    return status;
}

enum tq_status bench_matrix_take(const struct bench_matrix *from, const uint32_t *rows, size_t count,
                                 struct bench_matrix *matrix) {
    TQ_TRY(allocate(count, from->dim, matrix));
    for (size_t i = 0; i < count; i++)
        memcpy(matrix->data + i * from->dim, bench_matrix_row(from, rows[i]), from->dim * sizeof(float));
    return TQ_OK;
}

void bench_matrix_free(struct bench_matrix *matrix) {
    tq_free(matrix->data);
    matrix->data = NULL;
}

enum tq_status bench_permutation(size_t count, uint64_t seed, uint32_t **order) {
    uint32_t *made = tq_alloc_array(count, sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < count; i++) made[i] = (uint32_t)i;
    for (size_t i = count; i > 1; i--) {
        uint32_t j = tq_rng_below(seed, 1, i, (uint32_t)i), last = made[i - 1];
        made[i - 1] = made[j];
        made[j] = last;
    }
    *order = made;
    return TQ_OK;
}

uint64_t bench_matrix_hash(const struct bench_matrix *matrix) {
    uint64_t hash = 14695981039346656037u ^ matrix->rows ^ (uint64_t)matrix->dim << 40;
    for (size_t i = 0; i < matrix->rows * matrix->dim; i++) {
        uint32_t bits;
        memcpy(&bits, matrix->data + i, sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
    }
    return hash;
}

struct loop {
    size_t count, piece;
    bench_work *work;
    void *context;
    atomic_size_t next;
    atomic_int status;
    char message[512]; /* of the first failure; written by whoever set `status` */
};

static void *run_pieces(void *argument) {
    struct loop *loop = argument;
    while (atomic_load(&loop->status) == TQ_OK) {
        size_t begin = atomic_fetch_add(&loop->next, loop->piece);
        if (begin >= loop->count) break;
        enum tq_status status = loop->work(loop->context, begin, tq_min_size(begin + loop->piece, loop->count));
        int expected = TQ_OK;
        if (status != TQ_OK && atomic_compare_exchange_strong(&loop->status, &expected, status)) {
            strncpy(loop->message, tq_message(), sizeof loop->message - 1);
        }
    }
    return NULL;
}

enum tq_status bench_parallel(size_t count, size_t piece, int threads, bench_work *work, void *context) {
    struct loop loop = {.count = count, .piece = piece, .work = work, .context = context};
    pthread_t others[THREADS_MAX];
    int started = 0;
    while (started + 1 < threads && started < THREADS_MAX &&
           pthread_create(&others[started], NULL, run_pieces, &loop) == 0)
        started++;
    (void)run_pieces(&loop);
    for (int i = 0; i < started; i++) (void)pthread_join(others[i], NULL);
    int status = atomic_load(&loop.status);
    return status == TQ_OK ? TQ_OK : tq_fail((enum tq_status)status, "%s", loop.message);
}

double bench_seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
