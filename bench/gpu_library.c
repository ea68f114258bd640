/* Through tq.h, as a user has it: a store, searched by the CPU and with the device's help. Answers must be the same. */
#include <string.h>

#include "bench/common/program.h"
#include "bench/common/report.h"
#include "bench/gpu.h"
#include "src/base/alloc.h"

enum { REAL_QUERIES = 200, SEED = 9 };

struct work {
    struct gpu *g;
    tq_index *index;
    struct bench_matrix base; /* rows 0: they are made */
    struct bench_matrix queries;
    uint64_t rows;
    struct tq_hit *first, *hits;     /* [queries][GPU_K]: what the CPU answered; what was answered last */
    const struct bench_lists *truth; /* NULL: unknown */
    float *piece;
    uint64_t piece_first;
};

static void row_of(const struct work *w, uint64_t row, float *vector) {
    if (w->base.rows == 0)
        gpu_made_row(&w->g->made, row, vector);
    else
        memcpy(vector, bench_matrix_row(&w->base, row), w->base.dim * sizeof(float));
}

static enum tq_status make(void *context, size_t begin, size_t end) {
    struct work *w = context;
    for (size_t i = begin; i < end; i++) row_of(w, w->piece_first + i, w->piece + i * w->queries.dim);
    return TQ_OK;
}

static void fill(struct work *w, tq_store *store) {
    int64_t *ids = gpu_alloc(GPU_PIECE_ROWS, sizeof *ids);
    double begin = bench_seconds(), put = 0;
    w->piece = gpu_alloc((size_t)GPU_PIECE_ROWS * w->queries.dim, sizeof(float));
    bench_check(tq_begin(store));
    for (uint64_t first = 0; first < w->rows; first += GPU_PIECE_ROWS) {
        size_t count = tq_min_size(GPU_PIECE_ROWS, w->rows - first);
        w->piece_first = first;
        bench_check(bench_parallel(count, 256, w->g->options.threads, make, w));
        for (size_t i = 0; i < count; i++) ids[i] = (int64_t)(first + i);
        double start = bench_seconds();
        bench_check(tq_put_many(w->index, ids, w->piece, count));
        put += bench_seconds() - start;
    }
    double start = bench_seconds();
    bench_check(tq_commit(store));
    put += bench_seconds() - start;
    gpu_remark(w->g, "store of %llu x %u: tq_put_many and tq_commit %.1f s, with making the rows %.1f s",
               (unsigned long long)w->rows, w->queries.dim, put, bench_seconds() - begin);
    tq_free(w->piece);
    tq_free(ids);
}

static double call(const struct work *w, const struct tq_search_options *options, size_t query, size_t per_call,
                   struct tq_search_stats *stats) {
    size_t counts[TQ_CUDA_QUERIES_MOST];
    double begin = bench_seconds();
    bench_check(tq_search(w->index, bench_matrix_row(&w->queries, query), per_call, GPU_K, options,
                          w->hits + query * GPU_K, counts, stats));
    return 1e3 * (bench_seconds() - begin);
}

/* ---- Judging ---- */

static size_t count_hits(const struct work *w, size_t query) {
    const struct tq_kernels *kernels = &w->g->kernels;
    const float *vector = bench_matrix_row(&w->queries, query);
    double bar = w->truth->scores[query * GPU_K + GPU_K - 1];
    float *row = gpu_alloc(w->queries.dim, sizeof *row);
    size_t found = 0;
    for (size_t i = 0; i < GPU_K; i++) {
        row_of(w, (uint64_t)w->hits[query * GPU_K + i].id, row);
        double score = bench_score(TQ_COSINE, kernels->dot_f32(vector, row, w->queries.dim),
                                   kernels->dot_f32(vector, vector, w->queries.dim),
                                   kernels->dot_f32(row, row, w->queries.dim));
        found += score >= bar - 1e-6 * fabs(bar);
    }
    tq_free(row);
    return found;
}

static bool is_same(const struct tq_hit *a, const struct tq_hit *b) {
    return a->id == b->id && memcmp(&a->score, &b->score, sizeof a->score) == 0;
}

static void measure(struct work *w, const char *system, const struct tq_search_options *options, size_t per_call) {
    struct gpu_line line = GPU_LINE;
    struct tq_search_stats stats, all = {0};
    size_t found = 0, count = w->queries.rows, differ = 0;
    char note[160];
    for (size_t i = 0; i < GPU_WARM + GPU_REPEATS; i++) {
        double ms = call(w, options, i * per_call % count, per_call, &stats);
        if (i >= GPU_WARM) line.host.ms[line.host.count++] = ms;
    }
    for (size_t i = 0; i < count; i += per_call) {
        (void)call(w, options, i, per_call, &stats);
        all.survivors += stats.survivors;
        all.ranked += stats.ranked;
        all.device += stats.device;
    }
    if (w->first == NULL) {
        w->first = gpu_alloc(count * GPU_K, sizeof *w->first);
        memcpy(w->first, w->hits, count * GPU_K * sizeof *w->first);
    }
    for (size_t i = 0; i < count * GPU_K; i++) differ += !is_same(&w->first[i], &w->hits[i]);
    for (size_t i = 0; w->truth != NULL && i < count; i++) found += count_hits(w, i);
    w->g->failed = w->g->failed || differ > 0;
    (void)snprintf(note, sizeof note, "%s; by the device %llu of %zu", differ > 0 ? "ANSWERS DIFFER" : "the same",
                   (unsigned long long)all.device, count);
    line.system = system;
    line.table = "library";
    line.note = note;
    line.rows = w->rows;
    line.dim = w->queries.dim;
    line.queries = (int)per_call;
    line.share_percent = 100 * (double)all.survivors / (double)count / (double)w->rows;
    line.candidates = (double)all.ranked / (double)count;
    if (w->truth != NULL) line.recall = (double)found / (double)count / GPU_K;
    gpu_tell(w->g, &line);
}

static void measure_all(struct work *w) {
    struct tq_search_options options = tq_search_defaults();
    struct tq_search_stats stats = {0};
    for (size_t per_call = 1; per_call <= TQ_CUDA_QUERIES_MOST; per_call *= TQ_CUDA_QUERIES_MOST) {
        options.device = TQ_DEVICE_CPU;
        options.threads = 1;
        measure(w, "tq_search, CPU, one thread", &options, per_call);
        options.threads = w->g->options.threads;
        measure(w, "tq_search, CPU, all threads", &options, per_call);
        options.threads = 1;
        options.device = TQ_DEVICE_GPU;
        if (per_call == 1)
            gpu_remark(w->g, "the device's first query, with the upload: %.1f ms", call(w, &options, 0, 1, &stats));
        measure(w, "tq_search, GPU", &options, per_call);
    }
    struct tq_device_state state;
    tq_device_get_state(false, &state);
    if (state.fallbacks > 0)
        gpu_remark(w->g, "%llu fallbacks: %s", (unsigned long long)state.fallbacks, state.fallback);
}

static void run(struct work *w) {
    char folder[4096], path[4104];
    tq_store *store = NULL;
    struct tq_index_options options = tq_index_defaults(w->queries.dim);
    w->hits = gpu_alloc(w->queries.rows * GPU_K, sizeof *w->hits);
    bench_check(bench_temporary_make(folder, sizeof folder));
    (void)snprintf(path, sizeof path, "%s/store", folder);
    bench_check(tq_open(path, TQ_OPEN_CREATE, &store));
    bench_check(tq_index_create(store, "vectors", &options, &w->index));
    fill(w, store);
    measure_all(w);
    tq_index_close(w->index);
    tq_close(store);
    bench_temporary_remove(folder);
    tq_free(w->hits);
    tq_free(w->first);
}

/* ---- Rows from elsewhere ---- */

static void run_files(struct gpu *g) {
    struct work w = {.g = g};
    struct bench_matrix all;
    struct bench_lists truth;
    struct bench_problem problem = {.base = &w.base, .queries = &w.queries, .threads = g->options.threads};
    double *base_squares = NULL, *query_squares = NULL;
    uint32_t *order = NULL;
    bench_check(bench_matrix_load(g->options.base, &w.base));
    bench_check(bench_matrix_load(g->options.query, &all));
    bench_check(bench_permutation(all.rows, SEED, &order));
    bench_check(bench_matrix_take(&all, order, tq_min_size(all.rows, REAL_QUERIES), &w.queries));
    bench_check(bench_squares(&w.base, &base_squares));
    bench_check(bench_squares(&w.queries, &query_squares));
    problem.base_squares = base_squares;
    problem.query_squares = query_squares;
    problem.metric = TQ_COSINE;
    bench_check(bench_lists_init(&truth, w.queries.rows, GPU_K));
    bench_check(bench_brute_force(&problem, &w.base, &truth));
    w.rows = w.base.rows;
    w.truth = &truth;
    run(&w);
    bench_lists_free(&truth);
    bench_matrix_free(&w.base);
    bench_matrix_free(&w.queries);
    bench_matrix_free(&all);
    tq_free(base_squares);
    tq_free(query_squares);
    tq_free(order);
}

void gpu_library(struct gpu *g) {
    const struct gpu_truth *truth = gpu_truth_of(g, g->options.store_rows);
    struct work w = {.g = g, .rows = g->options.store_rows};
    w.queries = (struct bench_matrix){g->queries, GPU_QUERIES, g->options.dim};
    w.truth = truth == NULL ? NULL : &truth->lists;
    run(&w);
    if (g->options.base != NULL && g->options.query != NULL) run_files(g);
}
