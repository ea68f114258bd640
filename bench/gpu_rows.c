/* Rows by the hundred million: made in pieces on all cores, compared with the queries, encoded by the device, and put
 * there. Nothing of them is kept here, and none comes twice. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/common/program.h"
#include "bench/gpu.h"
#include "src/base/alloc.h"
#include "src/base/status.h"

enum { ENCODERS = 4 };

/* What a piece is made in. */
struct room {
    struct room *next;
    float *vectors;
    struct tq_cuda_rows rows;
};

struct filling {
    struct gpu *g;
    uint64_t first; /* row of the first piece */
    struct tq_cuda_encoder *encoders[ENCODERS];
    pthread_mutex_t encoder_locks[ENCODERS], lock; /* lock: of the set, the free rooms and the best rows */
    struct room *rooms;
    double norms[GPU_QUERIES];
    struct bench_best best[GPU_QUERIES];
};

void gpu_check(enum tq_cuda_status status, const struct tq_cuda_why *why, const char *doing) {
    if (status == TQ_CUDA_OK) return;
    fprintf(stderr, "gpu: %s: %s\n", doing, why->text);
    exit(1);
}

struct tq_codec *gpu_codec_open(uint32_t dim) {
    struct tq_index_options options = tq_index_defaults(dim);
    struct tq_format format;
    struct tq_kernels kernels;
    struct tq_codec *codec = NULL;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    bench_check(tq_format_init(&format, &options));
    bench_check(tq_codec_open(&format, &kernels, &codec));
    return codec;
}

/* ---- Truth ---- */

static double cosine(const struct gpu *g, const float *query, double norm, const float *row) {
    double square = g->kernels.dot_f32(row, row, g->options.dim);
    return g->kernels.dot_f32(query, row, g->options.dim) / (norm * sqrt(square));
}

double gpu_score(const struct gpu *g, const float *query, uint64_t row, float *scratch) {
    gpu_made_row(&g->made, row, scratch);
    return cosine(g, query, sqrt(g->kernels.dot_f32(query, query, g->options.dim)), scratch);
}

static void compare(struct filling *f, const struct room *room, uint64_t first, size_t count) {
    double scores[GPU_QUERIES][GPU_K];
    int64_t ids[GPU_QUERIES][GPU_K];
    struct bench_best best[GPU_QUERIES];
    uint32_t dim = f->g->options.dim;
    for (size_t q = 0; q < GPU_QUERIES; q++) best[q] = bench_best_begin(scores[q], ids[q], GPU_K);
    for (size_t i = 0; i < count; i++) {
        const float *row = room->vectors + i * dim;
        double norm = sqrt(f->g->kernels.dot_f32(row, row, dim));
        for (size_t q = 0; q < GPU_QUERIES; q++) {
            double dot = f->g->kernels.dot_f32(f->g->queries + q * dim, row, dim);
            bench_best_push(&best[q], dot / (norm * f->norms[q]), (int64_t)(first + i));
        }
    }
    (void)pthread_mutex_lock(&f->lock);
    for (size_t q = 0; q < GPU_QUERIES; q++)
        for (size_t i = 0; i < best[q].count; i++) bench_best_push(&f->best[q], scores[q][i], ids[q][i]);
    (void)pthread_mutex_unlock(&f->lock);
}

static void keep_truth(struct filling *f) {
    struct gpu_truth *truth = &f->g->truths[f->g->truth_count++];
    truth->rows = f->g->rows;
    bench_check(bench_lists_init(&truth->lists, GPU_QUERIES, GPU_K));
    for (size_t q = 0; q < GPU_QUERIES; q++) {
        bench_best_sort(&f->best[q]);
        memcpy(truth->lists.ids + q * GPU_K, f->best[q].ids, GPU_K * sizeof *f->best[q].ids);
        memcpy(truth->lists.scores + q * GPU_K, f->best[q].scores, GPU_K * sizeof *f->best[q].scores);
    }
    char text[GPU_K * 21 + 1] = "";
    for (size_t i = 0; i < GPU_K; i++) (void)snprintf(text + strlen(text), 22, " %lld", (long long)truth->lists.ids[i]);
    gpu_remark(f->g, "truth of query 0 among %llu:%s", (unsigned long long)truth->rows, text);
}

const struct gpu_truth *gpu_truth_of(const struct gpu *g, uint64_t rows) {
    for (size_t i = 0; i < g->truth_count; i++)
        if (g->truths[i].rows == rows) return &g->truths[i];
    return NULL;
}

size_t gpu_hits(const struct gpu *g, const struct gpu_truth *truth, size_t query, const uint64_t *rows, size_t count) {
    double bar = truth->lists.scores[query * GPU_K + GPU_K - 1];
    float *scratch = gpu_alloc(g->options.dim, sizeof *scratch);
    size_t hits = 0;
    for (size_t i = 0; i < count; i++)
        hits += gpu_score(g, g->queries + query * g->options.dim, rows[i], scratch) >= bar - 1e-6 * fabs(bar);
    tq_free(scratch);
    return tq_min_size(hits, GPU_K);
}

/* ---- Filling ---- */

static struct room *take_room(struct filling *f) {
    (void)pthread_mutex_lock(&f->lock);
    struct room *room = f->rooms;
    if (room != NULL) f->rooms = room->next;
    (void)pthread_mutex_unlock(&f->lock);
    if (room != NULL) return room;
    size_t stride = f->g->codec->format.record_stride;
    room = gpu_alloc(1, sizeof *room);
    room->vectors = gpu_alloc((size_t)GPU_PIECE_ROWS * f->g->options.dim, sizeof(float));
    room->rows = (struct tq_cuda_rows){.records = gpu_alloc(GPU_PIECE_ROWS, stride),
                                       .first_error = gpu_alloc(GPU_PIECE_ROWS, sizeof(uint16_t)),
                                       .second = gpu_alloc(GPU_PIECE_ROWS, 2 * sizeof(uint16_t))};
    return room;
}

static void give_room(struct filling *f, struct room *room) {
    (void)pthread_mutex_lock(&f->lock);
    room->next = f->rooms;
    f->rooms = room;
    (void)pthread_mutex_unlock(&f->lock);
}

static void free_rooms(struct filling *f) {
    for (struct room *room = f->rooms, *next = NULL; room != NULL; room = next) {
        next = room->next;
        tq_free(room->vectors);
        tq_free(room->rows.records);
        tq_free(room->rows.first_error);
        tq_free(room->rows.second);
        tq_free(room);
    }
}

/* The lock is held. */
static enum tq_cuda_status put(struct filling *f, const struct tq_cuda_rows *from, uint64_t first, size_t count,
                               struct tq_cuda_why *why) {
    const struct tq_cuda_ops *ops = f->g->ops;
    size_t stride = f->g->codec->format.record_stride;
    for (size_t done = 0, n = 0; done < count; done += n) {
        struct tq_cuda_rows stage;
        enum tq_cuda_status status = ops->set_stage(f->g->set, &stage, &n, why);
        if (status != TQ_CUDA_OK) return status;
        n = tq_min_size(n, count - done);
        memcpy(stage.records, from->records + done * stride, n * stride);
        memcpy(stage.first_error, from->first_error + done, n * sizeof *stage.first_error);
        memcpy(stage.second, from->second + 2 * done, 2 * n * sizeof *stage.second);
        status = ops->set_put(f->g->set, (first + done) / TQ_CUDA_GROUP_ROWS, n, why);
        if (status != TQ_CUDA_OK) return status;
    }
    return TQ_CUDA_OK;
}

static enum tq_status fill_piece(void *context, size_t begin, size_t end) {
    struct filling *f = context;
    struct gpu *g = f->g;
    struct tq_cuda_why why = {{0}};
    struct room *room = take_room(f);
    size_t count = end - begin, refused = 0, encoder = begin / GPU_PIECE_ROWS % ENCODERS;
    uint64_t first = f->first + begin;
    for (size_t i = 0; i < count; i++) gpu_made_row(&g->made, first + i, room->vectors + i * g->options.dim);
    compare(f, room, first, count);
    (void)pthread_mutex_lock(&f->encoder_locks[encoder]);
    gpu_check(g->ops->encode(f->encoders[encoder], room->vectors, count, &room->rows, &refused, &why), &why, "encode");
    (void)pthread_mutex_unlock(&f->encoder_locks[encoder]);
    if (refused < count) return tq_fail(TQ_CORRUPT, "row %llu was refused", (unsigned long long)(first + refused));
    (void)pthread_mutex_lock(&f->lock);
    gpu_check(put(f, &room->rows, first, count, &why), &why, "put");
    (void)pthread_mutex_unlock(&f->lock);
    give_room(f, room);
    return TQ_OK;
}

/* Room for so many rows, or for as many as the device has memory for; 0 if those are no more than there are. */
static uint64_t reserve(struct gpu *g, uint64_t rows) {
    struct tq_cuda_why why = {{0}};
    for (;;) {
        uint64_t groups = (rows + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
        enum tq_cuda_status status = TQ_CUDA_MEMORY;
        uint64_t most = g->device.free / 16 * 15; /* encoders need some, too */
        if (g->ops->set_bytes(g->set, groups) + g->ops->lane_bytes(g->set, groups) < most)
            status = g->ops->set_reserve(g->set, groups, &why);
        if (status == TQ_CUDA_OK) return rows;
        if (status != TQ_CUDA_MEMORY) gpu_check(status, &why, "set_reserve");
        gpu_remark(g, "%llu rows do not fit: %s", (unsigned long long)rows, why.text);
        rows = rows / 10 * 9 / TQ_CUDA_GROUP_ROWS * TQ_CUDA_GROUP_ROWS;
        if (rows <= g->rows) return 0;
    }
}

void gpu_rows_open(struct gpu *g) {
    struct tq_cuda_why why = {{0}};
    struct tq_cuda_codec codec;
    g->codec = gpu_codec_open(g->options.dim);
    tq_device_codec(g->codec, &codec);
    gpu_check(g->ops->set_open(g->cuda, &codec, &g->set, &why), &why, "set_open");
}

static void begin_best(struct filling *f) {
    uint32_t dim = f->g->options.dim;
    const struct gpu_truth *before = gpu_truth_of(f->g, f->g->rows);
    for (size_t q = 0; q < GPU_QUERIES; q++) {
        const float *query = f->g->queries + q * dim;
        f->norms[q] = sqrt(f->g->kernels.dot_f32(query, query, dim));
        f->best[q] = bench_best_begin(gpu_alloc(GPU_K, sizeof(double)), gpu_alloc(GPU_K, sizeof(int64_t)), GPU_K);
        for (size_t i = q * GPU_K; before != NULL && i < (q + 1) * GPU_K; i++)
            bench_best_push(&f->best[q], before->lists.scores[i], before->lists.ids[i]);
    }
}

bool gpu_rows_grow(struct gpu *g, uint64_t rows) {
    struct filling f = {.g = g, .first = g->rows, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct tq_cuda_why why = {{0}};
    struct tq_cuda_codec codec;
    double begin = bench_seconds();
    rows = reserve(g, rows);
    if (rows == 0) return false;
    tq_device_codec(g->codec, &codec);
    for (size_t i = 0; i < ENCODERS; i++) {
        (void)pthread_mutex_init(&f.encoder_locks[i], NULL);
        gpu_check(g->ops->encoder_open(g->cuda, &codec, &f.encoders[i], &why), &why, "encoder_open");
    }
    begin_best(&f);
    bench_check(bench_parallel(rows - g->rows, GPU_PIECE_ROWS, g->options.threads, fill_piece, &f));
    gpu_check(g->ops->set_finish(g->set, &why), &why, "set_finish");
    g->rows = rows;
    gpu_remark(g, "%llu rows made, judged, encoded and put: %.1f s", (unsigned long long)(rows - f.first),
               bench_seconds() - begin);
    keep_truth(&f);
    for (size_t i = 0; i < ENCODERS; i++) g->ops->encoder_close(f.encoders[i]);
    for (size_t q = 0; q < GPU_QUERIES; q++) {
        tq_free(f.best[q].scores);
        tq_free(f.best[q].ids);
    }
    free_rooms(&f);
    return true;
}

void gpu_rows_close(struct gpu *g) {
    g->ops->set_close(g->set);
    g->set = NULL;
    g->rows = 0;
}
