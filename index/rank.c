/* The last step: the candidates, ranked by their exact rows; or, where there are none, by their estimates. */
#include <stdlib.h>
#include <string.h>

#include "index/cascade.h"
#include "src/base/f16.h"

enum { PROOF_BATCH = 64, SORTED_MOST = 1024 };

/* A candidate. The hit comes first, so that tq_hit_compare orders these too; its score is the estimate until the
 * exact row has been read. */
struct ranked {
    struct tq_hit hit;
    double upper, estimate;
    uint32_t segment, row;
};

static int by_place(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The wanted-th largest rank key of all workers. */
static double final_bar(struct tq_searcher *s) {
    struct tq_worker *spare = &s->workers[s->worker_count]; /* the seeds' heap is free by now */
    tq_worker_reset(s, spare);
    for (size_t i = 0; i < s->worker_count; i++) {
        const struct tq_refined *refined = s->workers[i].refined.data;
        for (size_t j = 0; j < s->workers[i].refined.count; j++) tq_topk_push(&spare->top, refined[j].rank_key);
    }
    return fmax(s->seed_bar, tq_topk_bar(&spare->top));
}

double tq_exact_score(const struct tq_codec *codec, const struct tq_query *query, enum tq_metric metric,
                      const void *exact, float *scratch) {
    const struct tq_format *format = &codec->format;
    double (*dot)(const float *, const float *, size_t) = codec->kernels.dot_f32;
    const float *row = exact;
    if (format->rows == TQ_ROWS_F16) {
        for (uint32_t i = 0; i < format->dim; i++) scratch[i] = tq_f32_from_f16(((const uint16_t *)exact)[i]);
        row = scratch;
    }
    double product = dot(query->exact, row, format->dim);
    if (metric == TQ_IP) return product;
    double row2 = dot(row, row, format->dim);
    if (metric == TQ_L2) return 0 - fmax(0, query->norm2 + row2 - 2 * product); /* never -0 */
    return row2 == 0 || query->norm2 == 0 ? 0 : product / (sqrt(query->norm2) * sqrt(row2));
}

/* Ids, and exact scores where wanted, of ranked rows that lie in one segment. */
static enum tq_status fill_batch(struct tq_searcher *s, struct ranked *rows, size_t count, bool exact) {
    size_t bytes = count * (exact ? s->codec->format.exact_bytes : sizeof(int64_t));
    TQ_TRY(tq_stop_read(s->stop, bytes, &s->workers[0].unchecked));
    uint32_t at[TQ_BATCH_ROWS] = {0};
    int64_t ids[TQ_BATCH_ROWS];
    const uint8_t *units[TQ_BATCH_ROWS];
    for (size_t i = 0; i < count; i++) at[i] = rows[i].row;
    struct tq_segment *segment = tq_searcher_segment(s, rows[0].segment);
    TQ_TRY(tq_segment_ids(segment, at, count, ids));
    for (size_t i = 0; i < count; i++) rows[i].hit.id = ids[i];
    if (!exact) return TQ_OK;
    TQ_TRY(tq_segment_gather(segment, TQ_PLANE_EXACT, at, count, units));
    for (size_t i = 0; i < count; i++) {
        if (i + 8 < count) __builtin_prefetch(units[i + 8]);
        rows[i].hit.score = tq_exact_score(s->codec, s->query, s->bound.metric, units[i], s->row);
    }
    return TQ_OK;
}

/* Read ids, and exact scores where wanted, of ranked rows in any order. */
static enum tq_status fill(struct tq_searcher *s, struct ranked *rows, size_t count, bool exact) {
    size_t first = 0, ordered = 1;
    while (ordered < count && by_place(&rows[ordered - 1], &rows[ordered]) < 0) ordered++;
    if (ordered < count) qsort(rows, count, sizeof *rows, by_place); /* most often they are in order */
    while (first < count) {
        size_t end = first + 1;
        while (end < count && end - first < TQ_BATCH_ROWS && rows[end].segment == rows[first].segment) end++;
        TQ_TRY(fill_batch(s, rows + first, end - first, exact));
        first = end;
    }
    return TQ_OK;
}

/* Refined rows that reach the bar, appended to s->ranked. */
static enum tq_status take_refined(struct tq_searcher *s, const struct tq_vector *from, double bar) {
    TQ_TRY(tq_vector_reserve(&s->ranked, s->ranked.count + from->count, sizeof(struct ranked)));
    struct ranked *out = s->ranked.data;
    const struct tq_refined *refined = from->data;
    for (size_t i = 0; i < from->count; i++) {
        double upper = refined[i].upper;
        if (upper < bar) continue;
        if (refined[i].planes_pending) {
            struct tq_scratch *scratch = s->workers[0].scratch;
            TQ_TRY(tq_stop_read(s->stop, s->codec->format.record_stride, &s->workers[0].unchecked));
            double planes;
            TQ_TRY(tq_scratch_records(s, scratch, tq_searcher_segment(s, refined[i].segment), &refined[i].row, 1));
            TQ_TRY(tq_bound_planes(s, refined[i].segment, refined[i].row, scratch->records[0], &planes));
            upper = fmin(upper, planes);
            if (upper < bar) continue;
        }
        out[s->ranked.count++] = (struct ranked){.hit.score = refined[i].estimate,
                                                 .upper = upper,
                                                 .estimate = refined[i].estimate,
                                                 .segment = refined[i].segment,
                                                 .row = refined[i].row};
    }
    return TQ_OK;
}

/* Bring the rows of about the `most` largest upper bounds to the front, keep the order of the others. Returns how
 * many they are. */
static size_t best_first(struct ranked *rows, size_t count, size_t most) {
    double values[SORTED_MOST];
    struct ranked best[SORTED_MOST];
    struct tq_topk top = {.values = values, .capacity = most};
    size_t taken = 0, rest = 0;
    if (count <= most || most > SORTED_MOST) return count;
    for (size_t i = 0; i < count; i++) tq_topk_push(&top, rows[i].upper);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].upper >= tq_topk_bar(&top) && taken < most)
            best[taken++] = rows[i];
        else
            rows[rest++] = rows[i];
    }
    memmove(rows + taken, rows, rest * sizeof *rows);
    memcpy(rows, best, taken * sizeof *rows);
    return taken;
}

/* Exact scores, largest upper bounds first, until none that is left can reach the wanted-th best of them. The rows
 * read come first; s->ranked.count becomes their number. Only a proof may stop so: its answer is the true one. */
static enum tq_status fill_until_proved(struct tq_searcher *s) {
    struct tq_worker *spare = &s->workers[s->worker_count];
    struct ranked *rows = s->ranked.data;
    size_t done = 0;
    tq_worker_reset(s, spare);
    for (size_t most = PROOF_BATCH; done < s->ranked.count; most *= 4) {
        size_t kept = done;
        for (size_t i = done; i < s->ranked.count; i++) {
            if (rows[i].upper >= tq_topk_bar(&spare->top)) rows[kept++] = rows[i];
        }
        size_t count = best_first(rows + done, kept - done, most);
        s->ranked.count = kept;
        TQ_TRY(fill(s, rows + done, count, true));
        for (size_t i = done; i < done + count; i++) tq_topk_push(&spare->top, rows[i].hit.score);
        done += count;
    }
    return TQ_OK;
}

enum tq_status tq_rank_bar(struct tq_searcher *s, const struct tq_vector *refined, double *bar) {
    if (refined->count < s->wanted) return TQ_OK;
    s->ranked.count = 0;
    TQ_TRY(take_refined(s, refined, -INFINITY));
    TQ_TRY(fill_until_proved(s));
    *bar = fmax(*bar, tq_topk_bar(&s->workers[s->worker_count].top));
    return TQ_OK;
}

/* Sort the `most` best to the front and forget the others, which may be many. */
static void keep_best(struct tq_searcher *s, size_t most) {
    struct tq_worker *spare = &s->workers[s->worker_count];
    struct ranked *rows = s->ranked.data;
    size_t kept = 0;
    tq_worker_reset(s, spare);
    spare->top.capacity = tq_min_size(most, s->wanted); /* what its memory holds */
    for (size_t i = 0; i < s->ranked.count; i++) tq_topk_push(&spare->top, rows[i].hit.score);
    for (size_t i = 0; i < s->ranked.count; i++) {
        if (rows[i].hit.score >= tq_topk_bar(&spare->top)) rows[kept++] = rows[i];
    }
    qsort(rows, kept, sizeof *rows, tq_hit_compare);
    s->ranked.count = tq_min_size(kept, most);
}

/* The best `wanted` by estimate, then their exact scores. */
static enum tq_status rank_estimates(struct tq_searcher *s, bool exact) {
    TQ_TRY(fill(s, s->ranked.data, s->ranked.count, false));
    keep_best(s, s->wanted);
    return exact ? fill(s, s->ranked.data, s->ranked.count, true) : TQ_OK;
}

static void give(const struct tq_searcher *s, struct tq_hit *hits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        hits[i] = ((const struct ranked *)s->ranked.data)[i].hit;
        hits[i].distance = tq_distance(s->bound.metric, hits[i].score);
    }
}

/* The bar that rows were dismissed by should not be above the score that the answer ends with. */
static void note_doubt(struct tq_searcher *s, double bar) {
    const struct ranked *last = (const struct ranked *)s->ranked.data + s->ranked.count - 1;
    double deviation = (last->upper - last->estimate) / s->options->confidence;
    if (bar - last->hit.score > TQ_DOUBT_DEVIATIONS * deviation) s->doubt = last->hit.score;
}

enum tq_status tq_rank(struct tq_searcher *s, size_t k, struct tq_hit *hits, size_t *count) {
    bool exact = s->codec->format.rows != TQ_ROWS_NONE;
    double bar = final_bar(s);
    s->ranked.count = 0;
    for (size_t i = 0; i < s->worker_count; i++) TQ_TRY(take_refined(s, &s->workers[i].refined, bar));
    *count = 0;
    if (s->ranked.count == 0) return TQ_OK;
    if (s->by_estimate)
        TQ_TRY(rank_estimates(s, exact));
    else if (s->proof)
        TQ_TRY(fill_until_proved(s));
    else
        TQ_TRY(fill(s, s->ranked.data, s->ranked.count, true));
    s->stats->ranked += exact ? s->ranked.count : 0;
    keep_best(s, k);
    *count = s->ranked.count;
    give(s, hits, *count);
    if (*count == k && k > 0 && !s->proof && !s->by_estimate) note_doubt(s, bar);
    return TQ_OK;
}

enum tq_status tq_rank_range(struct tq_searcher *s, size_t capacity, struct tq_hit *hits, size_t *count) {
    bool exact = s->codec->format.rows != TQ_ROWS_NONE;
    size_t kept = 0;
    s->ranked.count = 0;
    for (size_t i = 0; i < s->worker_count; i++) TQ_TRY(take_refined(s, &s->workers[i].refined, s->seed_bar));
    TQ_TRY(fill(s, s->ranked.data, s->ranked.count, exact));
    s->stats->ranked += exact ? s->ranked.count : 0;
    struct ranked *rows = s->ranked.data;
    for (size_t i = 0; i < s->ranked.count; i++) {
        if (rows[i].hit.score >= s->seed_bar) rows[kept++] = rows[i];
    }
    if (kept > 0) qsort(rows, kept, sizeof *rows, tq_hit_compare);
    *count = kept;
    give(s, hits, tq_min_size(kept, capacity));
    return TQ_OK;
}
