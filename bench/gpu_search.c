/* Searches of the rows that are there, through the plugin's table: a user's query until the candidates are known, among
 * which are the k best. They are ranked here by rows made anew, outside the time. */
#include <stdlib.h>
#include <string.h>

#include "bench/common/program.h"
#include "bench/gpu.h"
#include "src/base/alloc.h"

enum { VIEW_ROWS = 64, STEPS = 10 };

/* What turns vectors into a device's queries: a searcher over a few rows, whose number plays no part in them. */
struct asker {
    struct gpu *g;
    struct tq_searcher *searcher;
    struct tq_encoder *encoder;
    struct tq_builder *builder;
    struct tq_view_segment segment;
    struct tq_view view;
    struct tq_search_options options;
    void *memory;
    struct tq_cuda_lane *lane;
    struct tq_cuda_query *queries; /* [GPU_QUERIES] */
    float *vectors;                /* f32[GPU_QUERIES][dim] */
};

struct ask {
    const char *system, *table, *note;
    bool every_row;
    uint32_t per_call;
    double hardness;
    double percent; /* of the rows survive the first plane; 0: as many as do */
};

static void asker_open(struct asker *a, struct gpu *g) {
    const struct tq_format *format = &g->codec->format;
    *a = (struct asker){.g = g, .options = tq_search_defaults()};
    a->memory = tq_alloc(tq_query_bytes(g->codec));
    a->queries = gpu_alloc(GPU_QUERIES, sizeof *a->queries);
    a->vectors = gpu_alloc(GPU_QUERIES, format->dim * sizeof(float));
    bench_check(tq_encoder_open(g->codec, &a->encoder));
    bench_check(tq_builder_open(format, 0, VIEW_ROWS, NULL, &a->builder));
    for (uint32_t i = 0; i < VIEW_ROWS; i++) {
        struct tq_row row;
        gpu_made_row(&g->made, i, a->vectors);
        bench_check(tq_encode(a->encoder, a->vectors, &row));
        bench_check(tq_builder_append(a->builder, (int64_t)i, i, &row));
    }
    a->segment = (struct tq_view_segment){.segment = tq_builder_segment(a->builder)};
    a->view = (struct tq_view){.segments = &a->segment, .count = 1, .live = VIEW_ROWS};
    bench_check(tq_searcher_open(g->codec, &a->searcher));
    bench_check(tq_searcher_begin(a->searcher, &a->view, TQ_COSINE, &a->options));
}

static void asker_close(struct asker *a) {
    tq_searcher_close(a->searcher);
    tq_builder_close(a->builder);
    tq_encoder_close(a->encoder);
    tq_free(a->vectors);
    tq_free(a->queries);
    tq_free(a->memory);
}

static void prepare(struct asker *a, const struct ask *ask) {
    uint32_t dim = a->g->options.dim;
    gpu_made_queries(&a->g->made, ask->hardness, GPU_QUERIES, a->vectors);
    for (size_t i = 0; i < GPU_QUERIES; i++) {
        struct tq_query query;
        bench_check(tq_query_prepare(a->g->codec, a->vectors + i * dim, a->memory, &query));
        bench_check(tq_searcher_set_query(a->searcher, &query, GPU_K));
        tq_device_query(a->searcher, TQ_ASK_ANSWER, &a->queries[i]);
        a->queries[i].every_row = ask->every_row;
    }
}

/* The i-th call's answers; returns milliseconds by the clock. */
static double call(const struct asker *a, const struct ask *ask, size_t i, struct tq_cuda_answer *answers) {
    struct tq_cuda_query asked[TQ_CUDA_QUERIES_MOST];
    struct tq_cuda_why why = {{0}};
    const struct gpu *g = a->g;
    uint64_t groups = (g->rows + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
    for (size_t j = 0; j < ask->per_call; j++) asked[j] = a->queries[(i * ask->per_call + j) % GPU_QUERIES];
    double begin = bench_seconds();
    gpu_check(g->ops->search_begin(a->lane, groups, asked, ask->per_call, &why), &why, "search_begin");
    gpu_check(g->ops->search_end(a->lane, answers, &why), &why, "search_end");
    return 1e3 * (bench_seconds() - begin);
}

/* ---- Recall ---- */

/* The k best of an answer: by exact rows, or by the codes' own estimates. */
static size_t rank_rows(const struct asker *a, const struct tq_cuda_answer *answer, size_t query, bool exact,
                        uint64_t *rows) {
    double scores[GPU_K];
    int64_t ids[GPU_K];
    struct bench_best best = bench_best_begin(scores, ids, GPU_K);
    float *scratch = gpu_alloc(a->g->options.dim, sizeof *scratch);
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct tq_cuda_candidate *row = &answer->candidates[i];
        double score = row->estimate;
        if (exact) score = gpu_score(a->g, a->vectors + query * a->g->options.dim, row->row, scratch);
        bench_best_push(&best, score, (int64_t)row->row);
    }
    for (size_t i = 0; i < best.count; i++) rows[i] = (uint64_t)ids[i];
    tq_free(scratch);
    return best.count;
}

struct totals {
    double survivors, candidates, hits, queries;
    bool overflow;
};

/* All queries once, outside the time. */
static struct totals judge(const struct asker *a, const struct ask *ask, const struct gpu_truth *truth) {
    struct totals t = {0};
    for (size_t i = 0; i < GPU_QUERIES / ask->per_call; i++) {
        struct tq_cuda_answer answers[TQ_CUDA_QUERIES_MOST];
        uint64_t rows[GPU_K];
        (void)call(a, ask, i, answers);
        for (size_t j = 0; j < ask->per_call; j++, t.queries++) {
            size_t query = i * ask->per_call + j;
            t.survivors += (double)answers[j].survivors;
            t.candidates += answers[j].count;
            t.overflow = t.overflow || answers[j].overflow;
            if (truth == NULL) continue;
            size_t count = rank_rows(a, &answers[j], query, strcmp(ask->table, "codes") != 0, rows);
            t.hits += (double)gpu_hits(a->g, truth, query, rows, count);
        }
    }
    return t;
}

/* ---- Shares of survivors ---- */

static void open_lane(struct asker *a) {
    struct tq_cuda_why why = {{0}};
    gpu_check(a->g->ops->lane_open(a->g->set, &a->lane, &why), &why, "lane_open");
}

static void close_lane(struct asker *a) { a->g->ops->lane_close(a->lane); }

/* Of one query, in percent, with a gate so many times as wide. A lane remembers how deep it should scan: a new one. */
static double share_of(struct asker *a, size_t query, const struct tq_cuda_query *plain, double width) {
    static const struct ask one = {.per_call = 1};
    struct tq_cuda_answer answer;
    for (size_t j = 0; j < TQ_CUDA_SCAN_SLABS_MOST; j++)
        a->queries[query].line[j].deviation = plain->line[j].deviation * width;
    open_lane(a);
    (void)call(a, &one, query, &answer);
    close_lane(a);
    return 100 * (double)answer.survivors / (double)a->g->rows;
}

/* The first plane's gate of every query as wide as it takes, by halving: more rows survive, and the answer is the
 * same. Rather fewer than so many: with more, a lane may scan deeper. */
static void widen(struct asker *a, double percent) {
    for (size_t i = 0; i < GPU_QUERIES; i++) {
        struct tq_cuda_query plain = a->queries[i];
        double low = 0.25, high = 8;
        for (int step = 0; step < STEPS; step++) {
            double width = sqrt(low * high), found = share_of(a, i, &plain, width);
            if (found <= percent)
                low = width;
            else
                high = width;
            if (found <= percent && found > 0.95 * percent) break;
        }
        (void)share_of(a, i, &plain, low);
    }
}

/* ---- Lines ---- */

static void measure(struct asker *a, const struct ask *ask) {
    struct gpu *g = a->g;
    struct gpu_line line = GPU_LINE;
    const struct gpu_truth *truth = ask->hardness > 0 ? NULL : gpu_truth_of(g, g->rows);
    uint64_t groups = (g->rows + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
    uint64_t plane_bytes = (g->options.dim + TQ_CUDA_SLAB_DIMS - 1) / TQ_CUDA_SLAB_DIMS * (TQ_CUDA_SLAB_DIMS / 8);
    prepare(a, ask);
    if (ask->percent > 0) widen(a, ask->percent);
    open_lane(a);
    for (size_t i = 0; i < GPU_WARM + GPU_REPEATS; i++) {
        struct tq_cuda_answer answers[TQ_CUDA_QUERIES_MOST];
        double ms = call(a, ask, i, answers);
        if (i < GPU_WARM) continue;
        line.host.ms[line.host.count++] = ms;
        if (answers[0].device_ms > 0) line.device.ms[line.device.count++] = answers[0].device_ms;
    }
    struct totals t = judge(a, ask, truth);
    close_lane(a);
    line.system = ask->system;
    line.table = ask->table;
    line.note = t.overflow ? "more candidates than there is room for" : ask->note;
    line.rows = g->rows;
    line.dim = g->options.dim;
    line.queries = (int)ask->per_call;
    line.share_percent = 100 * t.survivors / t.queries / (double)g->rows;
    line.candidates = t.candidates / t.queries;
    if (truth != NULL) line.recall = t.hits / t.queries / GPU_K;
    if (ask->every_row) /* what a set takes, without its first planes, padded to slabs, that lie apart */
        line.bytes = (double)(g->ops->set_bytes(g->set, groups) - groups * TQ_CUDA_GROUP_ROWS * plane_bytes);
    gpu_tell(g, &line);
}

void gpu_search(struct gpu *g) {
    static const struct ask asks[] = {{"tqlite cascade", "exact", "by its own bar", false, 1, 0, 0},
                                      {"tqlite cascade", "exact", "by their own bars", false, 8, 0, 0},
                                      {"tqlite full codes", "codes", "", true, 1, 0, 0},
                                      {"tqlite full codes", "codes", "", true, 8, 0, 0},
                                      {"tqlite cascade", "forced", "queries far from all rows", false, 1, 0.5, 0},
                                      {"tqlite cascade", "forced", "queries far from all rows", false, 8, 0.5, 0},
                                      {"tqlite cascade", "forced", "gates for .2 %", false, 1, 0, 0.2},
                                      {"tqlite cascade", "forced", "gates for 1 %", false, 1, 0, 1},
                                      {"tqlite cascade", "forced", "gates for 3 %", false, 1, 0, 3},
                                      {"tqlite cascade", "forced", "gates for 10 %", false, 1, 0, 10}};
    struct asker a;
    asker_open(&a, g);
    for (size_t i = 0; i < TQ_COUNT(asks); i++) measure(&a, &asks[i]);
    asker_close(&a);
}
