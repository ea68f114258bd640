/* The last step: the candidates, ranked by their exact rows; or, where there are none, by their estimates. */
#include <stdlib.h>

#include "index/cascade.h"
#include "src/base/f16.h"

/* The hit comes first, so that tq_hit_compare orders these too. */
struct ranked {
    struct tq_hit hit;
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
    return tq_topk_bar(&spare->top);
}

/* The candidates of all workers into s->ranked, scores as estimated, in place order. */
static enum tq_status gather_candidates(struct tq_searcher *s) {
    double bar = final_bar(s);
    size_t total = 0;
    for (size_t i = 0; i < s->worker_count; i++) total += s->workers[i].refined.count;
    s->ranked.count = 0;
    TQ_TRY(tq_vector_reserve(&s->ranked, total, sizeof(struct ranked)));
    struct ranked *out = s->ranked.data;
    for (size_t i = 0; i < s->worker_count; i++) {
        const struct tq_refined *refined = s->workers[i].refined.data;
        for (size_t j = 0; j < s->workers[i].refined.count; j++) {
            if (refined[j].upper < bar) continue;
            out[s->ranked.count++] = (struct ranked){.hit.score = refined[j].estimate,
                                                     .segment = refined[j].segment,
                                                     .row = refined[j].row};
        }
    }
    qsort(out, s->ranked.count, sizeof *out, by_place);
    return TQ_OK;
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

static enum tq_status fill(struct tq_searcher *s, bool exact) {
    struct ranked *rows = s->ranked.data;
    size_t first = 0;
    while (first < s->ranked.count) {
        size_t end = first + 1;
        while (end < s->ranked.count && end - first < TQ_BATCH_ROWS && rows[end].segment == rows[first].segment) end++;
        TQ_TRY(fill_batch(s, rows + first, end - first, exact));
        first = end;
    }
    return TQ_OK;
}

enum tq_status tq_rank(struct tq_searcher *s, size_t k, struct tq_hit *hits, size_t *count) {
    bool exact = s->codec->format.rows != TQ_ROWS_NONE;
    TQ_TRY(gather_candidates(s));
    TQ_TRY(fill(s, exact && !s->by_estimate));
    qsort(s->ranked.data, s->ranked.count, sizeof(struct ranked), tq_hit_compare);
    if (s->by_estimate && exact) {
        s->ranked.count = tq_min_size(s->ranked.count, s->wanted);
        qsort(s->ranked.data, s->ranked.count, sizeof(struct ranked), by_place);
        TQ_TRY(fill(s, true));
        qsort(s->ranked.data, s->ranked.count, sizeof(struct ranked), tq_hit_compare);
    }
    s->stats->ranked += exact ? s->ranked.count : 0;
    *count = tq_min_size(k, s->ranked.count);
    for (size_t i = 0; i < *count; i++) {
        hits[i] = ((const struct ranked *)s->ranked.data)[i].hit;
        hits[i].distance = tq_distance(s->codec->format.metric, hits[i].score);
    }
    return TQ_OK;
}
