/* Survivors of the planes: their full code and QJL, the bounds of their scores, and the bar that rises with them. */
#include "index/cascade.h"

/* ---- Batches ---- */

enum { BEST_ROWS = 32 };

double tq_worker_bar(const struct tq_searcher *s, const struct tq_worker *w) {
    double bar = tq_topk_bar(&w->top);
    return bar > s->seed_bar ? bar : s->seed_bar;
}

enum tq_status tq_bound_planes(struct tq_searcher *s, uint32_t segment, uint32_t row, const uint8_t *record,
                               double *upper) {
    const struct tq_format *format = &s->codec->format;
    void (*sign_dots)(const int8_t *, size_t, uint32_t, const uint8_t *const *, size_t,
                      int32_t *) = s->codec->kernels.sign_dots;
    struct tq_plane_scalars scalars;
    int32_t first = 0, second = 0;
    *upper = INFINITY;
    TQ_TRY(tq_plane_scalars_get(s, segment, row, &scalars));
    sign_dots(s->query->plane_query, format->dim, 0, &record, 1, &first);
    *upper = tq_upper_first(s, first, scalars.first_error, scalars.norm);
    if (format->scan_planes < 2) return TQ_OK;
    sign_dots(s->query->plane_query, format->dim, 1, &record, 1, &second);
    *upper = fmin(*upper, tq_upper_second(s, first, second, scalars.second, scalars.norm));
    return TQ_OK;
}

enum tq_status tq_scratch_records(struct tq_searcher *s, struct tq_scratch *scratch, struct tq_segment *segment,
                                  const uint32_t *rows, size_t count) {
    const struct tq_format *format = &s->codec->format;
    if (format->packed) TQ_TRY(tq_vector_reserve(&scratch->assembled, count * format->record_stride, 1));
    return tq_segment_records(segment, rows, count, scratch->assembled.data, scratch->records);
}

/* Refine w->scratch->batch[0..count), all of one segment. */
static enum tq_status refine_batch(struct tq_searcher *s, struct tq_worker *w, size_t count) {
    if (count == 0) return TQ_OK;
    TQ_TRY(tq_stop_read(s->stop, count * s->codec->format.record_stride, &w->unchecked));
    uint32_t rows[TQ_BATCH_ROWS];
    for (size_t i = 0; i < count; i++) rows[i] = w->scratch->batch[i].row;
    struct tq_segment *segment = tq_searcher_segment(s, w->scratch->batch[0].segment);
    TQ_TRY(tq_scratch_records(s, w->scratch, segment, rows, count));
    s->codec->kernels.refine(&s->query->code, w->scratch->records, count, w->scratch->codes);
    w->survivors += count;
    TQ_TRY(tq_vector_reserve(&w->refined, w->refined.count + count, sizeof(struct tq_refined)));
    struct tq_refined *out = w->refined.data;
    double bar = tq_worker_bar(s, w);
    struct tq_gate gate = tq_gate_at(s, bar);
    bool planes = !s->proof && s->query->norm > 0;
    for (size_t i = 0; i < count; i++) {
        struct tq_refined refined = {.segment = w->scratch->batch[i].segment, .row = w->scratch->batch[i].row};
        const uint8_t *record = w->scratch->records[i];
        if (!tq_gate_full(s, record, &w->scratch->codes[i], &gate)) continue;
        tq_bound_full(s, record, &w->scratch->codes[i], &refined);
        if (refined.upper < bar) continue;
        /* A key that cannot raise the bar may stay larger than it is: it is not among the k largest. */
        refined.planes_pending = planes;
        if (planes && refined.rank_key > tq_topk_bar(&w->top)) {
            double upper;
            TQ_TRY(tq_bound_planes(s, refined.segment, refined.row, record, &upper));
            refined.planes_pending = false;
            refined.upper = fmin(refined.upper, upper);
            refined.rank_key = fmin(refined.rank_key, upper);
            if (refined.upper < bar) continue;
        }
        out[w->refined.count++] = refined;
        tq_topk_push(&w->top, refined.rank_key);
        if (tq_worker_bar(s, w) > bar) {
            bar = tq_worker_bar(s, w);
            gate = tq_gate_at(s, bar);
        }
    }
    return TQ_OK;
}

static enum tq_status refine_range(struct tq_searcher *s, struct tq_worker *w, const struct tq_survivor *survivors,
                                   size_t count) {
    size_t filled = 0;
    double bar = tq_worker_bar(s, w);
    for (size_t i = 0; i < count; i++) {
        if (survivors[i].upper < bar || survivors[i].upper == -INFINITY) continue;
        if (filled == TQ_BATCH_ROWS || (filled > 0 && w->scratch->batch[0].segment != survivors[i].segment)) {
            TQ_TRY(refine_batch(s, w, filled));
            filled = 0;
            bar = tq_worker_bar(s, w);
        }
        w->scratch->batch[filled++] = survivors[i];
    }
    return refine_batch(s, w, filled);
}

static void refine_share(struct tq_searcher *s, size_t share, const struct tq_survivor *survivors, size_t count) {
    struct tq_worker *w = &s->workers[share];
    size_t first = count * share / s->worker_count, last = count * (share + 1) / s->worker_count;
    tq_worker_note(w, refine_range(s, w, survivors + first, last - first));
}

/* The rows of the largest upper bounds go first: the bar they set spares most of the others. A proof reads their exact
 * scores too, because its lower bounds are far below them; these rows are refined again in their turn. */
static enum tq_status refine_best(struct tq_searcher *s, struct tq_survivor *survivors, size_t count) {
    double values[BEST_ROWS];
    struct tq_topk top = {.values = values, .capacity = BEST_ROWS};
    struct tq_survivor best[2 * BEST_ROWS];
    size_t taken = 0;
    bool by_exact = s->proof && !s->by_estimate;
    for (size_t i = 0; i < count; i++) tq_topk_push(&top, survivors[i].upper);
    double bar = tq_topk_bar(&top);
    for (size_t i = 0; i < count && taken < TQ_COUNT(best); i++) {
        if (survivors[i].upper < bar) continue;
        best[taken++] = survivors[i];
        if (!by_exact) survivors[i].upper = -INFINITY;
    }
    if (by_exact) return tq_survivors_seed(s, best, taken);
    return refine_range(s, &s->workers[0], best, taken);
}

enum tq_status tq_survivors_refine_found(struct tq_searcher *s, struct tq_worker *w) {
    size_t count = w->found.count;
    w->found.count = 0;
    return refine_range(s, w, w->found.data, count);
}

enum tq_status tq_survivors_refine(struct tq_searcher *s, struct tq_survivor *survivors, size_t count) {
    bool helps = s->wanted <= BEST_ROWS && count > 4 * BEST_ROWS;
    if (helps) TQ_TRY(refine_best(s, survivors, count));
    if (s->worker_count == 1) return refine_range(s, &s->workers[0], survivors, count);
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads((int)s->worker_count)
#endif
    for (size_t share = 0; share < s->worker_count; share++) refine_share(s, share, survivors, count);
    return tq_workers_status(s);
}

enum tq_status tq_survivors_seed(struct tq_searcher *s, const struct tq_survivor *survivors, size_t count) {
    struct tq_worker *w = &s->workers[s->worker_count];
    tq_worker_reset(s, w);
    TQ_TRY(refine_range(s, w, survivors, count));
    double bar = tq_topk_bar(&w->top);
    if (s->proof && !s->by_estimate) TQ_TRY(tq_rank_bar(s, &w->refined, &bar));
    s->seed_bar = fmax(s->seed_bar, bar);
    s->stats->survivors += w->survivors;
    return TQ_OK;
}
