/* One window of segments: scan the first plane, seed the bar, scan the second plane where it pays, collect what is
 * left. Two passes, because a bar taken from the best rows of all dismisses far more than one that rises with the
 * scan. Nothing here is a row's fate twice: blocks are skipped by a threshold below every row's own. */
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "index/cascade.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"

/* Nanoseconds, measured with AVX-512 (bench/bench_kernels): only their ratio decides how deep to scan. */
static const double block_group_ns = 2.4; /* one group of one block of a scan */
static double survivor_ns(uint32_t dim) { return 60 + 0.25 * dim; }

enum { SCAN_TASK_BLOCKS = 64, THRESHOLD_NEVER = 65536 };

static uint16_t *sums_of(const struct tq_window *w, int plane, const struct tq_span *span) {
    return (uint16_t *)w->sums[plane].data + span->block_first * TQ_BLOCK_ROWS;
}

static uint16_t *maxima_of(const struct tq_window *w, int plane, const struct tq_span *span) {
    return (uint16_t *)w->maxima[plane].data + span->block_first;
}

/* ---- Scanning ---- */

/* Blocks [first, first + count) of a span, or, with a list, list[first .. first + count). */
static enum tq_status scan_blocks(struct tq_searcher *s, int plane, const struct tq_span *span,
                                  const uint32_t *list, uint32_t first, uint32_t count) {
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
                               sums_of(&s->window, plane, span) + (size_t)begin * TQ_BLOCK_ROWS,
                               maxima_of(&s->window, plane, span) + begin);
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

/* ---- Thresholds: the smallest sum a row of a block may have and still reach the bar ---- */

static uint32_t clamp_threshold(double sum) {
    if (!(sum >= 1)) return 0; /* also NaN */
    return sum > 65536 ? (uint32_t)THRESHOLD_NEVER : (uint32_t)sum - 1; /* one less: rounding of this arithmetic */
}

static uint32_t first_threshold(const struct tq_searcher *s, double bar, const struct tq_block_stats *stats) {
    double error_max = (double)stats->first_error_max;
    if (isinf(bar) || isinf(error_max)) return 0;
    double cosine = tq_bound_cosine_range(&s->bound, bar, (double)stats->norm_min, (double)stats->norm_max);
    double near = (double)(cosine > 0 ? stats->first_error_max : stats->first_error_min);
    double least = (cosine / sqrt(1 + near * near)) -
                   s->bound.zeta * tq_bound_perp(cosine) * error_max / sqrt(1 + error_max * error_max);
    return clamp_threshold(((least - s->plane_slack) / s->plane_scale + s->query->plane_abs_sum) / 2);
}

/* For sums of the form first + second / 2. */
static uint32_t second_threshold(const struct tq_searcher *s, double bar, const struct tq_block_stats *stats) {
    double error = (double)stats->second_error_max;
    if (isinf(bar) || isinf(error)) return 0;
    double cosine = tq_bound_cosine_range(&s->bound, bar, (double)stats->norm_min, (double)stats->norm_max);
    double least = cosine - s->bound.zeta * tq_bound_perp(cosine) * error - s->plane_slack * sqrt(1 + error * error);
    double scale = (double)(least > 0 ? stats->second_scale_max : stats->second_scale_min);
    return clamp_threshold((least / (s->plane_scale * scale) + 3.0 * s->query->plane_abs_sum) / 4 - 0.5);
}

static void mask_allowed(const struct tq_span *span, uint32_t block, uint64_t mask[2]) {
    uint32_t rows = span->rows - block * TQ_BLOCK_ROWS;
    if (rows < 64) {
        mask[0] &= (UINT64_C(1) << rows) - 1;
        mask[1] = 0;
    } else if (rows < 128) {
        mask[1] &= (UINT64_C(1) << (rows - 64)) - 1;
    }
    if (span->allowed == NULL) return;
    mask[0] &= span->allowed[2 * (size_t)block];
    mask[1] &= span->allowed[2 * (size_t)block + 1];
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
        const uint16_t *sums = sums_of(w, 0, span);
        for (size_t row = 0; row < span->rows; row++) {
            bool allowed = span->allowed == NULL || (span->allowed[row / 64] >> (row % 64) & 1);
            bins[sums[row] >> BIN_SHIFT] += allowed;
        }
    }
    return threshold_of(bins, wanted);
}

static int32_t first_dot(const struct tq_searcher *s, uint16_t sum) { return 2 * sum - s->query->plane_abs_sum; }

static enum tq_status collect_seeds(struct tq_searcher *s, uint16_t threshold, size_t most) {
    s->survivors.count = 0;
    for (size_t i = 0; i < s->window.span_count; i++) {
        const struct tq_span *span = &s->window.spans[i];
        const uint16_t *sums = sums_of(&s->window, 0, span), *maxima = maxima_of(&s->window, 0, span);
        for (uint32_t block = 0; block < span->blocks && s->survivors.count < most; block++) {
            if (maxima[block] < threshold) continue;
            uint64_t mask[2];
            s->codec->kernels.select(sums + (size_t)block * TQ_BLOCK_ROWS, NULL, threshold, mask);
            mask_allowed(span, block, mask);
            TQ_TRY(tq_vector_reserve(&s->survivors, s->survivors.count + TQ_BLOCK_ROWS, sizeof(struct tq_survivor)));
            struct tq_survivor *out = s->survivors.data;
            for (int half = 0; half < 2; half++) {
                for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
                    uint32_t row = block * TQ_BLOCK_ROWS + 64 * (uint32_t)half + (uint32_t)__builtin_ctzll(rest);
                    out[s->survivors.count++] =
                        (struct tq_survivor){.upper = INFINITY, .segment = span->segment, .row = row,
                                             .first = first_dot(s, sums[row])};
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

/* ---- What the first plane leaves ---- */

/* Blocks that may hold survivors into the lists, and about how many rows they are. */
static enum tq_status list_blocks(struct tq_searcher *s, uint64_t *rows) {
    struct tq_window *w = &s->window;
    uint32_t *lists = w->lists.data;
    size_t listed = 0;
    *rows = 0;
    for (size_t i = 0; i < w->span_count; i++) {
        const struct tq_span *span = &w->spans[i];
        const uint16_t *sums = sums_of(w, 0, span), *maxima = maxima_of(w, 0, span);
        w->list_first[i] = listed;
        for (uint32_t block = 0; block < span->blocks; block++) {
            const void *stats = NULL;
            TQ_TRY(tq_segment_block(tq_searcher_segment(s, span->segment), TQ_PLANE_STATS, block, &stats));
            uint32_t threshold = first_threshold(s, s->seed_bar, stats);
            if (maxima[block] < threshold) continue;
            uint64_t mask[2];
            s->codec->kernels.select(sums + (size_t)block * TQ_BLOCK_ROWS, NULL, (uint16_t)threshold, mask);
            mask_allowed(span, block, mask);
            uint32_t count = (uint32_t)(__builtin_popcountll(mask[0]) + __builtin_popcountll(mask[1]));
            *rows += count;
            if (count > 0) lists[listed++] = block;
        }
    }
    w->list_first[w->span_count] = listed;
    return TQ_OK;
}

/* The scalars of one block's rows, as stored. */
struct block_scalars {
    const uint16_t *first_error;
    const struct tq_second_scalars *second;
    const float *norm;
};

static enum tq_status block_scalars_get(struct tq_searcher *s, uint32_t segment, uint32_t block,
                                        struct block_scalars *out) {
    struct tq_segment *from = tq_searcher_segment(s, segment);
    const void *units = NULL;
    *out = (struct block_scalars){NULL, NULL, NULL};
    TQ_TRY(tq_segment_block(from, TQ_PLANE_FIRST_ERROR, block, &units));
    out->first_error = units;
    if (s->codec->format.scan_planes > 1) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_SECOND_SCALARS, block, &units));
        out->second = units;
    }
    if (s->codec->format.metric != TQ_COSINE) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_NORM, block, &units));
        out->norm = units;
    }
    return TQ_OK;
}

/* A row's upper bound by the planes read; false if it cannot reach the bar. */
static bool bound_row(const struct tq_searcher *s, const struct tq_gate *gate, const struct block_scalars *stored,
                      uint32_t r, bool second, int32_t second_dot, struct tq_survivor *row) {
    struct tq_plane_scalars scalars = {.first_error = tq_f32_from_f16(stored->first_error[r]),
                                       .norm = stored->norm == NULL ? 1 : stored->norm[r]};
    double error = (double)scalars.first_error, cosine = s->plane_scale * row->first, length = tq_gate_length(error);
    double norm = (double)scalars.norm;
    if (second) {
        scalars.second = stored->second[r];
        error = (double)tq_f32_from_f16(scalars.second.error);
        length = tq_gate_length(error);
        cosine = s->plane_scale * (2.0 * row->first + second_dot) * (double)tq_f32_from_f16(scalars.second.scale);
    } else {
        cosine = fmax(cosine * length, cosine); /* its length is at least 1 and at most `length` */
    }
    cosine += s->plane_slack * length;
    if (!tq_gate_open(s, gate, cosine, error, norm)) return false;
    if (s->proof) { /* no order to be independent of: any bound will do, and this one costs nothing */
        row->upper = isinf(error) ? INFINITY : tq_bound_score(&s->bound, cosine + error, norm, +1);
        return true;
    }
    row->upper = tq_upper_first(s, row->first, &scalars);
    if (row->upper < s->seed_bar) return false;
    if (second) row->upper = fmin(row->upper, tq_upper_second(s, row->first, second_dot, &scalars));
    return row->upper >= s->seed_bar;
}

/* The survivors of one block, by each row's own bounds. */
static enum tq_status collect_block(struct tq_searcher *s, const struct tq_span *span, uint32_t block, bool second,
                                    const struct tq_gate *gate) {
    size_t at = (size_t)block * TQ_BLOCK_ROWS;
    const uint16_t *sums = sums_of(&s->window, 0, span) + at;
    const uint16_t *deeper = second ? sums_of(&s->window, 1, span) + at : NULL;
    const void *stats = NULL;
    TQ_TRY(tq_segment_block(tq_searcher_segment(s, span->segment), TQ_PLANE_STATS, block, &stats));
    uint32_t threshold = second ? second_threshold(s, s->seed_bar, stats) : first_threshold(s, s->seed_bar, stats);
    if (threshold >= THRESHOLD_NEVER) return TQ_OK;
    uint64_t mask[2];
    s->codec->kernels.select(sums, deeper, (uint16_t)threshold, mask);
    mask_allowed(span, block, mask);
    if ((mask[0] | mask[1]) == 0) return TQ_OK;
    struct block_scalars stored;
    TQ_TRY(block_scalars_get(s, span->segment, block, &stored));
    TQ_TRY(tq_vector_reserve(&s->survivors, s->survivors.count + TQ_BLOCK_ROWS, sizeof(struct tq_survivor)));
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t r = 64 * half + (uint32_t)__builtin_ctzll(rest);
            struct tq_survivor row = {.segment = span->segment, .row = (uint32_t)at + r};
            row.first = first_dot(s, sums[r]);
            if (bound_row(s, gate, &stored, r, second, second ? first_dot(s, deeper[r]) : 0, &row)) {
                ((struct tq_survivor *)s->survivors.data)[s->survivors.count++] = row;
            }
        }
    }
    return TQ_OK;
}

static enum tq_status collect(struct tq_searcher *s, bool second) {
    const struct tq_window *w = &s->window;
    const uint32_t *lists = w->lists.data;
    struct tq_gate gate = tq_gate_at(s, s->seed_bar);
    s->survivors.count = 0;
    for (size_t i = 0; i < w->span_count; i++) {
        for (size_t at = w->list_first[i]; at < w->list_first[i + 1]; at++) {
            TQ_TRY(collect_block(s, &w->spans[i], lists[at], second, &gate));
        }
    }
    return TQ_OK;
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
    uint64_t rows = 0;
    TQ_TRY(list_blocks(s, &rows));
    const struct tq_format *format = &s->codec->format;
    size_t listed = s->window.list_first[s->window.span_count];
    double scan_ns = (double)listed * block_group_ns * (format->block_bytes / 64);
    bool second = format->scan_planes > 1 && (double)rows * survivor_ns(format->dim) > scan_ns;
    if (second) {
        TQ_TRY(scan_plane(s, 1));
        s->stats->second += (uint64_t)listed * TQ_BLOCK_ROWS;
    }
    TQ_TRY(collect(s, second));
    return tq_survivors_refine(s, s->survivors.data, s->survivors.count, second ? TQ_DEPTH_SECOND : TQ_DEPTH_FIRST);
}
