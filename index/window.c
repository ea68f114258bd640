/* One window of segments: scan the first plane, seed the bar, scan the second plane where it pays, collect what is
 * left. Two passes, because a bar taken from the best rows of all dismisses far more than one that rises with the
 * scan. */

#ifdef _OPENMP
#include <omp.h>
#endif

#include "index/cascade.h"

/* Nanoseconds, measured with AVX-512 (bench/bench_kernels): only their ratio decides how deep to scan. */
static const double block_group_ns = 2.2; /* one group of one block of a scan */
static double survivor_ns(uint32_t dim) { return 75 + 0.27 * dim; }

enum { SCAN_TASK_BLOCKS = 64 };

/* ---- Scanning ---- */

/* Blocks [first, first + count) of a span, or, with a list, list[first .. first + count). */
static enum tq_status scan_blocks(struct tq_searcher *s, int plane, const struct tq_span *span, const uint32_t *list,
                                  uint32_t first, uint32_t count) {
    struct tq_segment *segment = tq_searcher_segment(s, span->segment);
    const struct tq_format *format = &s->codec->format;
    uint32_t end = first + count;
    while (first < end) {
        uint32_t begin = list == NULL ? first : list[first], run = 0, taken = 0, relative[SCAN_TASK_BLOCKS];
        uint32_t wanted = (list == NULL ? end - 1 : list[end - 1]) - begin + 1;
        const void *units = NULL;
        TQ_TRY(tq_segment_blocks(segment, (enum tq_plane)plane, begin, wanted, &units, &run));
        while (list != NULL && first + taken < end && list[first + taken] - begin < run) {
            relative[taken] = list[first + taken] - begin;
            taken++;
        }
        if (list == NULL) taken = run;
        s->codec->kernels.scan(units, list == NULL ? NULL : relative, taken, format->block_bytes / 64, s->query->lut,
                               tq_window_sums(&s->window, plane, span) + (size_t)begin * TQ_BLOCK_ROWS,
                               tq_window_maxima(&s->window, plane, span) + begin);
        first += taken;
    }
    return TQ_OK;
}

/* Task t of a plane: the span it falls into and its share of that span's blocks or list. */
static enum tq_status scan_task(struct tq_searcher *s, int plane, size_t task) {
    const struct tq_window *w = &s->window;
    const uint32_t *lists = w->lists.data;
    for (size_t i = 0; i < w->span_count; i++) {
        size_t count = plane == 0 ? w->spans[i].blocks : w->list_first[i + 1] - w->list_first[i];
        size_t tasks = (count + SCAN_TASK_BLOCKS - 1) / SCAN_TASK_BLOCKS;
        if (task >= tasks) {
            task -= tasks;
            continue;
        }
        size_t first = task * SCAN_TASK_BLOCKS;
        return scan_blocks(s, plane, &w->spans[i], plane == 0 ? NULL : lists + w->list_first[i], (uint32_t)first,
                           (uint32_t)tq_min_size(SCAN_TASK_BLOCKS, count - first));
    }
    return TQ_OK;
}

static size_t scan_task_count(const struct tq_window *w, int plane) {
    size_t tasks = 0;
    for (size_t i = 0; i < w->span_count; i++) {
        size_t count = plane == 0 ? w->spans[i].blocks : w->list_first[i + 1] - w->list_first[i];
        tasks += (count + SCAN_TASK_BLOCKS - 1) / SCAN_TASK_BLOCKS;
    }
    return tasks;
}

static enum tq_status scan_plane(struct tq_searcher *s, int plane) {
    size_t tasks = scan_task_count(&s->window, plane);
    if (s->worker_count == 1) {
        for (size_t t = 0; t < tasks; t++) TQ_TRY(scan_task(s, plane, t));
        return TQ_OK;
    }
    for (size_t i = 0; i < s->worker_count; i++) s->workers[i].status = TQ_OK;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)s->worker_count)
#endif
    for (size_t t = 0; t < tasks; t++) {
#ifdef _OPENMP
        struct tq_worker *worker = &s->workers[omp_get_thread_num()];
#else
        struct tq_worker *worker = &s->workers[0];
#endif
        if (worker->status == TQ_OK) tq_worker_note(worker, scan_task(s, plane, t));
    }
    return tq_workers_status(s);
}

/* ---- Seeds ---- */

enum { BIN_SHIFT = 6, BINS = 65536 >> BIN_SHIFT };

/* A sum that at least `wanted` of the values reach, or 0. */
static uint16_t threshold_of(const uint32_t *bins, size_t wanted) {
    size_t total = 0;
    for (uint32_t bin = BINS; bin-- > 0;) {
        total += bins[bin];
        if (total >= wanted) return (uint16_t)(bin << BIN_SHIFT);
    }
    return 0;
}

static uint16_t threshold_by_blocks(const struct tq_window *w, size_t wanted) {
    uint32_t bins[BINS] = {0};
    const uint16_t *maxima = w->maxima[0].data;
    for (size_t b = 0; b < w->block_count; b++) bins[maxima[b] >> BIN_SHIFT]++;
    return threshold_of(bins, wanted);
}

static uint16_t threshold_by_rows(const struct tq_window *w, size_t wanted) {
    uint32_t bins[BINS] = {0};
    for (size_t i = 0; i < w->span_count; i++) {
        const struct tq_span *span = &w->spans[i];
        const uint16_t *sums = tq_window_sums(w, 0, span);
        for (size_t row = 0; row < span->rows; row++) {
            bool allowed = span->allowed == NULL || (span->allowed[row / 64] >> (row % 64) & 1);
            bins[sums[row] >> BIN_SHIFT] += allowed;
        }
    }
    return threshold_of(bins, wanted);
}

static enum tq_status collect_seeds(struct tq_searcher *s, uint16_t threshold, size_t most) {
    s->survivors.count = 0;
    for (size_t i = 0; i < s->window.span_count; i++) {
        const struct tq_span *span = &s->window.spans[i];
        const uint16_t *sums = tq_window_sums(&s->window, 0, span), *maxima = tq_window_maxima(&s->window, 0, span);
        for (uint32_t block = 0; block < span->blocks && s->survivors.count < most; block++) {
            if (maxima[block] < threshold) continue;
            uint64_t mask[2];
            s->codec->kernels.select(sums + (size_t)block * TQ_BLOCK_ROWS, NULL, threshold, mask);
            tq_span_allow(span, block, mask);
            TQ_TRY(tq_vector_reserve(&s->survivors, s->survivors.count + TQ_BLOCK_ROWS, sizeof(struct tq_survivor)));
            struct tq_survivor *out = s->survivors.data;
            for (int half = 0; half < 2; half++) {
                for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
                    uint32_t row = block * TQ_BLOCK_ROWS + 64 * (uint32_t)half + (uint32_t)__builtin_ctzll(rest);
                    out[s->survivors.count++] = (struct tq_survivor){
                        .upper = INFINITY, .segment = span->segment, .row = row, .first = tq_first_dot(s, sums[row])};
                }
            }
        }
    }
    return TQ_OK;
}

static enum tq_status seed(struct tq_searcher *s) {
    size_t wanted = tq_max_size(48, 2 * s->wanted), most = 4 * wanted;
    uint16_t threshold = 0;
    if (wanted <= s->window.block_count / 2) {
        threshold = threshold_by_blocks(&s->window, wanted);
        TQ_TRY(collect_seeds(s, threshold, most));
    }
    if (wanted > s->window.block_count / 2 || s->survivors.count < s->wanted) {
        TQ_TRY(collect_seeds(s, threshold_by_rows(&s->window, wanted), most));
    }
    for (size_t i = 0; i < s->survivors.count; i++) {
        struct tq_survivor *row = (struct tq_survivor *)s->survivors.data + i;
        struct tq_plane_scalars scalars;
        TQ_TRY(tq_plane_scalars_get(s, row->segment, row->row, &scalars));
        row->upper = tq_upper_first(s, row->first, &scalars);
    }
    return tq_survivors_seed(s, s->survivors.data, s->survivors.count);
}

/* ---- The window ---- */

static enum tq_status lay_out(struct tq_searcher *s, uint32_t segment_first, uint32_t segment_count) {
    struct tq_window *w = &s->window;
    w->span_count = segment_count;
    w->block_count = 0;
    for (uint32_t i = 0; i < segment_count; i++) {
        uint32_t segment = segment_first + i, rows = tq_segment_row_count(tq_searcher_segment(s, segment));
        w->spans[i] = (struct tq_span){.segment = segment,
                                       .rows = rows,
                                       .blocks = (rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS,
                                       .block_first = w->block_count,
                                       .allowed = tq_filter_allowed(s, segment)};
        w->block_count += w->spans[i].blocks;
        s->stats->rows += rows;
    }
    for (int plane = 0; plane < 2; plane++) {
        TQ_TRY(tq_vector_reserve(&w->sums[plane], w->block_count * TQ_BLOCK_ROWS, sizeof(uint16_t)));
        TQ_TRY(tq_vector_reserve(&w->maxima[plane], w->block_count, sizeof(uint16_t)));
    }
    return tq_vector_reserve(&w->lists, w->block_count, sizeof(uint32_t));
}

enum tq_status tq_window_run(struct tq_searcher *s, uint32_t segment_first, uint32_t segment_count) {
    TQ_TRY(lay_out(s, segment_first, segment_count));
    TQ_TRY(scan_plane(s, 0));
    if (isinf(s->seed_bar)) TQ_TRY(seed(s));
    const struct tq_format *format = &s->codec->format;
    double block_ns = block_group_ns * (format->block_bytes / 64), row_ns = survivor_ns(format->dim);
    bool count_rows = row_ns < block_ns; /* else a single row of a listed block costs more than scanning the block */
    uint64_t rows = 0;
    TQ_TRY(tq_collect_list(s, count_rows, &rows));
    size_t listed = s->window.list_first[s->window.span_count];
    bool pays = !count_rows || (double)rows * row_ns > (double)listed * block_ns;
    bool second = format->scan_planes > 1 && pays;
    if (second) {
        TQ_TRY(scan_plane(s, 1));
        s->stats->second += (uint64_t)listed * TQ_BLOCK_ROWS;
    }
    TQ_TRY(tq_collect(s, second));
    return tq_survivors_refine(s, s->survivors.data, s->survivors.count, second ? TQ_DEPTH_SECOND : TQ_DEPTH_FIRST);
}
