/* Survivors of the planes: their full code and QJL, the bounds of their scores, and the bar that rises with them. */
#include "index/cascade.h"

/* ---- Batches ---- */

enum { BEST_ROWS = 32 };

static double worker_bar(const struct tq_searcher *s, const struct tq_worker *w) {
    return fmax(s->seed_bar, tq_topk_bar(&w->top));
}

/* Keep those of the batch whose upper bound reaches the bar, their records beside them. */
static size_t drop_below(struct tq_worker *w, size_t count, double bar) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (w->batch[i].upper < bar) continue;
        w->batch[kept] = w->batch[i];
        w->records[kept++] = w->records[i];
    }
    return kept;
}

/* Apply the bounds of the planes that no scan has read for these rows: the answer must not depend on depth. */
static enum tq_status deepen(struct tq_searcher *s, struct tq_worker *w, size_t *count, enum tq_depth depth) {
    const struct tq_format *format = &s->codec->format;
    const struct tq_kernels *kernels = &s->codec->kernels;
    for (uint32_t plane = depth; plane < format->scan_planes; plane++) {
        kernels->sign_dots(s->query->plane_query, format->dim, plane, w->records, *count, w->dots);
        for (size_t i = 0; i < *count; i++) {
            struct tq_survivor *row = &w->batch[i];
            struct tq_plane_scalars scalars;
            TQ_TRY(tq_plane_scalars_get(s, row->segment, row->row, &scalars));
            if (plane == 0) row->first = w->dots[i];
            double upper = plane == 0 ? tq_upper_first(s, w->dots[i], &scalars)
                                      : tq_upper_second(s, row->first, w->dots[i], &scalars);
            row->upper = fmin(row->upper, upper);
        }
        *count = drop_below(w, *count, worker_bar(s, w));
    }
    return TQ_OK;
}

/* Refine w->batch[0..count), all of one segment. */
static enum tq_status refine_batch(struct tq_searcher *s, struct tq_worker *w, size_t count, enum tq_depth depth) {
    if (count == 0) return TQ_OK;
    uint32_t rows[TQ_BATCH_ROWS];
    for (size_t i = 0; i < count; i++) rows[i] = w->batch[i].row;
    struct tq_segment *segment = tq_searcher_segment(s, w->batch[0].segment);
    TQ_TRY(tq_segment_gather(segment, TQ_PLANE_RECORD, rows, count, w->records));
    TQ_TRY(deepen(s, w, &count, depth));
    s->codec->kernels.refine(&s->query->code, w->records, count, w->codes);
    w->survivors += count;
    TQ_TRY(tq_vector_reserve(&w->refined, w->refined.count + count, sizeof(struct tq_refined)));
    struct tq_refined *out = w->refined.data;
    double bar = worker_bar(s, w);
    struct tq_gate gate = tq_gate_at(s, bar);
    for (size_t i = 0; i < count; i++) {
        struct tq_refined refined = {.segment = w->batch[i].segment, .row = w->batch[i].row};
        if (!tq_bound_full(s, w->records[i], &w->codes[i], w->batch[i].upper, &gate, &refined)) continue;
        if (refined.upper < bar) continue;
        out[w->refined.count++] = refined;
        tq_topk_push(&w->top, refined.rank_key);
        if (worker_bar(s, w) > bar) {
            bar = worker_bar(s, w);
            gate = tq_gate_at(s, bar);
        }
    }
    return TQ_OK;
}

static enum tq_status refine_range(struct tq_searcher *s, struct tq_worker *w, const struct tq_survivor *survivors,
                                   size_t count, enum tq_depth depth) {
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        if (survivors[i].upper < worker_bar(s, w)) continue;
        bool flush = filled == TQ_BATCH_ROWS || (filled > 0 && w->batch[0].segment != survivors[i].segment);
        if (flush) {
            TQ_TRY(refine_batch(s, w, filled, depth));
            filled = 0;
        }
        w->batch[filled++] = survivors[i];
    }
    return refine_batch(s, w, filled, depth);
}

static void refine_share(struct tq_searcher *s, size_t share, const struct tq_survivor *survivors, size_t count,
                         enum tq_depth depth) {
    struct tq_worker *w = &s->workers[share];
    size_t first = count * share / s->worker_count, last = count * (share + 1) / s->worker_count;
    tq_worker_note(w, refine_range(s, w, survivors + first, last - first, depth));
}

/* The rows of the largest upper bounds go first: the bar they set spares most of the others. */
static enum tq_status refine_best(struct tq_searcher *s, struct tq_survivor *survivors, size_t count,
                                  enum tq_depth depth) {
    double values[BEST_ROWS];
    struct tq_topk top = {.values = values, .capacity = BEST_ROWS};
    struct tq_survivor best[2 * BEST_ROWS];
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) tq_topk_push(&top, survivors[i].upper);
    double bar = tq_topk_bar(&top);
    for (size_t i = 0; i < count && taken < TQ_COUNT(best); i++) {
        if (survivors[i].upper < bar) continue;
        best[taken++] = survivors[i];
        survivors[i].upper = -INFINITY;
    }
    return refine_range(s, &s->workers[0], best, taken, depth);
}

enum tq_status tq_survivors_refine(struct tq_searcher *s, struct tq_survivor *survivors, size_t count,
                                   enum tq_depth depth) {
    bool helps = s->wanted <= BEST_ROWS && count > 4 * BEST_ROWS;
    if (helps) TQ_TRY(refine_best(s, survivors, count, depth));
    if (s->worker_count == 1) return refine_range(s, &s->workers[0], survivors, count, depth);
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads((int)s->worker_count)
#endif
    for (size_t share = 0; share < s->worker_count; share++) refine_share(s, share, survivors, count, depth);
    return tq_workers_status(s);
}

enum tq_status tq_survivors_seed(struct tq_searcher *s, const struct tq_survivor *survivors, size_t count) {
    struct tq_worker *w = &s->workers[s->worker_count];
    tq_worker_reset(s, w);
    TQ_TRY(refine_range(s, w, survivors, count, TQ_DEPTH_FIRST));
    double bar = tq_topk_bar(&w->top);
    if (s->proof && !s->by_estimate) TQ_TRY(tq_rank_bar(s, &w->refined, &bar));
    s->seed_bar = fmax(s->seed_bar, bar);
    s->stats->survivors += w->survivors;
    return TQ_OK;
}
