#include "index/search.h"

#include <string.h>

#include "index/cascade.h"
#include "src/base/alloc.h"

enum tq_status tq_searcher_open(const struct tq_codec *codec, struct tq_searcher **searcher) {
    struct tq_searcher *s = tq_alloc_zero(sizeof *s);
    float *row = tq_alloc_array(codec->format.dim, sizeof(float));
    if (s == NULL || row == NULL) {
        tq_free(s);
        tq_free(row);
        return TQ_NOMEM;
    }
    s->codec = codec;
    s->row = row;
    s->sqrt_dim = sqrt((double)codec->format.dim);
    *searcher = s;
    return TQ_OK;
}

static void free_workers(struct tq_searcher *s) {
    for (size_t i = 0; s->own_scratch != NULL && i < s->worker_count; i++) tq_free(s->own_scratch[i].assembled.data);
    tq_free(s->own_scratch);
    s->own_scratch = NULL;
    for (size_t i = 0; s->workers != NULL && i <= s->worker_count; i++) {
        tq_free(s->workers[i].heap.data);
        tq_free(s->workers[i].refined.data);
        tq_free(s->workers[i].found.data);
    }
    tq_free(s->workers);
    s->workers = NULL;
    s->worker_count = 0;
}

void tq_searcher_close(struct tq_searcher *s) {
    if (s == NULL) return;
    tq_batches_free(s);
    tq_device_use_free(s->device);
    tq_filter_cache_free(&s->filter_cache);
    free_workers(s);
    struct tq_window *w = &s->window;
    void *owned[] = {s->settled.data,       w->tasks.data,  w->sums.data,
                     w->maxima.data,        w->lists.data,  s->row,
                     s->survivors.data,     s->ranked.data, s->own_allowed.words.data,
                     s->own_allowed.at.data};
    for (size_t i = 0; i < TQ_COUNT(owned); i++) tq_free(owned[i]);
    tq_free(s);
}

enum tq_status tq_searcher_set_workers(struct tq_searcher *s, size_t count, struct tq_scratch *scratch) {
    if (s->workers == NULL || s->worker_count != count) {
        free_workers(s);
        s->workers = tq_alloc_zero((count + 1) * sizeof *s->workers);
        if (s->workers == NULL) return TQ_NOMEM;
        s->worker_count = count;
    }
    if (scratch == NULL && s->own_scratch == NULL) {
        s->own_scratch = tq_alloc_zero(count * sizeof *s->own_scratch);
        if (s->own_scratch == NULL) return TQ_NOMEM;
    }
    for (size_t i = 0; i < count; i++) s->workers[i].scratch = scratch == NULL ? &s->own_scratch[i] : scratch;
    s->workers[count].scratch = s->workers[0].scratch; /* seeds are refined by the first worker's thread */
    return TQ_OK;
}

enum tq_status tq_searcher_begin(struct tq_searcher *s, const struct tq_view *view, enum tq_metric metric,
                                 const struct tq_search_options *options) {
    s->view = view;
    s->options = options;
    s->metric = metric;
    s->stop = tq_stop_current();
    TQ_ASSERT(metric == TQ_COSINE || s->codec->format.norms);
    TQ_TRY(tq_searcher_set_workers(s, options->threads <= 1 ? 1 : tq_thread_limit((size_t)options->threads), NULL));
    return tq_filter_begin(s);
}

/* What the query alone decides: how wide bounds are, and how many rows the bar is taken over. */
enum tq_status tq_searcher_set_query(struct tq_searcher *s, const struct tq_query *query, size_t k) {
    const struct tq_format *format = &s->codec->format;
    double proof = sqrt(fmax(1, (double)format->dim - 1)), z = fmin(s->options->confidence, proof);
    double zeta = z / proof;
    s->proof = z >= proof;
    s->query = query;
    s->bound = (struct tq_bound){.metric = s->metric, .zeta = zeta, .query_norm = query->norm};
    s->plane_scale = query->plane_step / s->sqrt_dim;
    s->plane_slack = zeta * query->plane_error + TQ_SLACK_PLANE;
    s->query_slack = zeta * query->code_error;
    s->code_slack = s->query_slack + TQ_SLACK_CODE;
    s->seed_bar = s->doubt = -INFINITY;
    s->by_estimate = format->rows == TQ_ROWS_NONE || s->options->oversample > 0;
    double wanted = s->options->oversample > 0 ? ceil(s->options->oversample * (double)k) : (double)k;
    wanted = fmin(fmax(wanted, (double)k), (double)s->allowed->rows);
    s->wanted = format->rows == TQ_ROWS_NONE ? tq_min_size(k, s->allowed->rows) : (size_t)wanted;
    for (size_t i = 0; i <= s->worker_count; i++) {
        TQ_TRY(tq_vector_reserve(&s->workers[i].heap, s->wanted, sizeof(double)));
        tq_worker_reset(s, &s->workers[i]);
    }
    return TQ_OK;
}

/* The allowed rows of a segment as survivors. */
static enum tq_status list_allowed(struct tq_searcher *s, uint32_t segment) {
    uint32_t rows = tq_segment_row_count(tq_searcher_segment(s, segment));
    const uint64_t *allowed = tq_filter_allowed(s, segment);
    TQ_TRY(tq_vector_reserve(&s->survivors, rows, sizeof(struct tq_survivor)));
    struct tq_survivor *out = s->survivors.data;
    size_t count = 0;
    for (uint32_t w = 0; w < (rows + 63) / 64; w++) {
        uint64_t all = rows - 64 * w >= 64 ? UINT64_MAX : (UINT64_C(1) << (rows - 64 * w)) - 1;
        for (uint64_t rest = allowed == NULL ? all : allowed[w]; rest != 0; rest &= rest - 1) {
            uint32_t row = 64 * w + (uint32_t)__builtin_ctzll(rest);
            out[count++] = (struct tq_survivor){.upper = INFINITY, .segment = segment, .row = row};
        }
    }
    s->survivors.count = count;
    return TQ_OK;
}

/* Every allowed row as a survivor: where few are allowed, reading planes of all would be the greater cost; and
 * a zero query has no direction to scan along. */
static enum tq_status refine_allowed(struct tq_searcher *s) {
    for (uint32_t i = 0; i < s->view->count; i++) {
        TQ_TRY(list_allowed(s, i));
        TQ_TRY(tq_survivors_refine(s, s->survivors.data, s->survivors.count));
    }
    return TQ_OK;
}

enum tq_status tq_searcher_run(struct tq_searcher *s, const bool *marks, bool wanted) {
    uint32_t first = 0, count = (uint32_t)s->view->count;
    while (first < count) {
        uint32_t take = 0;
        while (first + take < count && take < TQ_WINDOW_SEGMENTS && (marks == NULL || marks[first + take] == wanted))
            take++;
        if (take > 0) TQ_TRY(tq_window_run(s, first, take));
        first += take > 0 ? take : 1;
    }
    return TQ_OK;
}

/* Nanoseconds, measured with AVX-512 (bench/bench_kernels, bench/cases): only their ratio matters. */
bool tq_searcher_few_allowed(const struct tq_searcher *s) {
    const struct tq_format *format = &s->codec->format;
    double row_ns = 25 + 0.2 * format->dim, block_ns = 3.5 * format->scan_planes * ((format->dim + 3) / 4);
    double by_rows = (double)s->allowed->rows * row_ns, by_planes = (double)s->allowed->blocks * block_ns + 2e4;
    return by_rows < by_planes || s->allowed->rows <= s->wanted;
}

static enum tq_status refine_query(struct tq_searcher *s, struct tq_search_stats *stats) {
    bool refined = false;
    if (s->options->device != TQ_DEVICE_CPU) TQ_TRY(tq_device_refine(s, &refined));
    s->apart = refined;
    if (!refined) {
        bool by_rows = s->query->norm == 0 || tq_searcher_few_allowed(s);
        TQ_TRY(by_rows ? refine_allowed(s) : tq_searcher_run(s, NULL, true));
    }
    for (size_t i = 0; i < s->worker_count; i++) stats->survivors += s->workers[i].survivors;
    return TQ_OK;
}

static enum tq_status search_range(struct tq_searcher *s, const struct tq_query *query, double score, size_t capacity,
                                   struct tq_hit *hits, size_t *count, struct tq_search_stats *stats) {
    s->stats = stats;
    TQ_TRY(tq_searcher_set_query(s, query, 0));
    s->seed_bar = score; /* known from the start, so there is nothing to seed */
    TQ_TRY(refine_query(s, stats));
    return tq_rank_range(s, capacity, hits, count);
}

enum tq_status tq_searcher_query(struct tq_searcher *s, const struct tq_query *query, size_t k, struct tq_hit *hits,
                                 size_t *count, struct tq_search_stats *stats) {
    uint64_t rows_before = stats->rows;
    s->stats = stats;
    s->device_helped = false;
    TQ_TRY(tq_searcher_set_query(s, query, k));
    TQ_TRY(refine_query(s, stats));
    TQ_TRY(tq_rank(s, k, hits, count));
    s->window.kept = !s->apart && stats->rows > rows_before && s->view->count <= TQ_WINDOW_SEGMENTS;
    enum tq_status status = tq_searcher_settle(s, query, s->doubt, k, hits, count);
    s->window.kept = false;
    stats->device += s->device_helped;
    return status;
}

enum tq_status tq_searcher_settle(struct tq_searcher *s, const struct tq_query *query, double doubt, size_t k,
                                  struct tq_hit *hits, size_t *count) {
    if (doubt == -INFINITY) return TQ_OK;
    TQ_TRY(tq_vector_reserve(&s->settled, 2 * k, sizeof(struct tq_hit)));
    struct tq_hit *before = s->settled.data, *again = before + k;
    size_t found = 0, b = 0, a = 0, of_before = *count;
    memcpy(before, hits, of_before * sizeof *before);
    TQ_TRY(search_range(s, query, doubt, k, again, &found, s->stats));
    found = tq_min_size(found, k);
    for (*count = 0; *count < k && (b < of_before || a < found); (*count)++) {
        int order = b == of_before ? 1 : a == found ? -1 : tq_hit_compare(&before[b], &again[a]);
        hits[*count] = order <= 0 ? before[b] : again[a];
        b += order <= 0;
        a += order >= 0;
    }
    return TQ_OK;
}

enum tq_status tq_searcher_range(struct tq_searcher *s, const struct tq_query *query, double score, size_t capacity,
                                 struct tq_hit *hits, size_t *count, struct tq_search_stats *stats) {
    s->device_helped = false;
    TQ_TRY(search_range(s, query, score, capacity, hits, count, stats));
    stats->device += s->device_helped;
    return TQ_OK;
}
