/* The last step: the candidates, ranked by their exact rows; or, where there are none, by their estimates. */
#include <stdlib.h>

#include "index/cascade.h"
#include "src/base/f16.h"

enum { PROOF_BATCH = 64 };

/* A candidate. The hit comes first, so that tq_hit_compare orders these too; its score is the estimate until the
 * exact row has been read. */
struct ranked {
    struct tq_hit hit;
    double upper;
    uint32_t segment, row;
};

static int by_place(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int by_upper(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    return (x->upper < y->upper) - (x->upper > y->upper);
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
    if (metric == TQ_L2) return -fmax(0, query->norm2 + row2 - 2 * product);
    return row2 == 0 || query->norm2 == 0 ? 0 : product / (sqrt(query->norm2) * sqrt(row2));
}

/* Ids, and exact scores where wanted, of ranked rows that lie in one segment. */
static enum tq_status fill_batch(struct tq_searcher *s, struct ranked *rows, size_t count, bool exact) {
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
    size_t first = 0;
    qsort(rows, count, sizeof *rows, by_place);
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
        if (refined[i].upper < bar) continue;
        out[s->ranked.count++] = (struct ranked){.hit.score = refined[i].estimate,
                                                 .upper = refined[i].upper,
                                                 .segment = refined[i].segment,
                                                 .row = refined[i].row};
    }
    return TQ_OK;
}

/* Exact scores in order of upper bounds, until none that is left can reach the wanted-th best of them. The rows read
 * come first; s->ranked.count becomes their number. Only a proof may stop so: its answer is the true one. */
static enum tq_status fill_until_proved(struct tq_searcher *s) {
    struct tq_worker *spare = &s->workers[s->worker_count];
    struct ranked *rows = s->ranked.data;
    size_t done = 0;
    tq_worker_reset(s, spare);
    qsort(rows, s->ranked.count, sizeof *rows, by_upper);
    while (done < s->ranked.count && rows[done].upper >= tq_topk_bar(&spare->top)) {
        size_t count = tq_min_size(PROOF_BATCH, s->ranked.count - done);
        TQ_TRY(fill(s, rows + done, count, true));
        for (size_t i = done; i < done + count; i++) tq_topk_push(&spare->top, rows[i].hit.score);
        done += count;
    }
    s->ranked.count = done;
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

/* The best `wanted` by estimate, then their exact scores. */
static enum tq_status rank_estimates(struct tq_searcher *s, bool exact) {
    TQ_TRY(fill(s, s->ranked.data, s->ranked.count, false));
    qsort(s->ranked.data, s->ranked.count, sizeof(struct ranked), tq_hit_compare);
    s->ranked.count = tq_min_size(s->ranked.count, s->wanted);
    return exact ? fill(s, s->ranked.data, s->ranked.count, true) : TQ_OK;
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
    qsort(s->ranked.data, s->ranked.count, sizeof(struct ranked), tq_hit_compare);
    s->stats->ranked += exact ? s->ranked.count : 0;
    *count = tq_min_size(k, s->ranked.count);
    for (size_t i = 0; i < *count; i++) {
        hits[i] = ((const struct ranked *)s->ranked.data)[i].hit;
        hits[i].distance = tq_distance(s->bound.metric, hits[i].score);
    }
    return TQ_OK;
}
