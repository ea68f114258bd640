/* A search with the help of a GPU: the device finds candidates among the segments that are resident, the CPU meanwhile
 * among the others, and rank.c goes on with all of them. The device's T is never above that of all rows, and its list
 * has every row that reaches it: so the answer is the CPU's (search.h).
 *
 * Whatever fails, the CPU does the rest: a failure here is told by tq_device_state, and by nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/device_parts.h"
#include "src/base/alloc.h"

enum {
    AUTO_ROWS = 200000,    /* sealed rows from which a device, asked for by `auto`, is faster than one thread */
    OVERFLOW_ATTEMPTS = 4, /* searches from a bar that rises with each, before the CPU answers */
    GROUP = TQ_CUDA_GROUP_ROWS
};

/* ---- Whether to ask ---- */

/* Whether the query is one for a device; if not, why, where that is worth telling. */
static bool is_fit(const struct tq_searcher *s, uint64_t rows, char *why, size_t size) {
    const struct tq_format *format = &s->codec->format;
    bool automatic = s->options->device == TQ_DEVICE_AUTO;
    why[0] = '\0';
    if (s->query->norm == 0 || (s->wanted == 0 && s->seed_bar == -INFINITY)) return false;
    if (automatic && (rows < AUTO_ROWS || tq_searcher_few_allowed(s))) return false;
    if (s->wanted > TQ_CUDA_WANTED_MOST) {
        (void)snprintf(why, size, "%zu rows are wanted; a device finds at most %d", s->wanted, TQ_CUDA_WANTED_MOST);
    } else if (!tq_device_supports(format)) {
        (void)snprintf(why, size, "codes of %u bits, QJL aside, and %u dimensions; a device has at most %d and %d",
                       format->code_bits, format->dim, TQ_CUDA_CODE_BITS_MOST, TQ_CUDA_SLABS_MOST * TQ_CUDA_SLAB_DIMS);
    } else if (rows == 0) {
        (void)snprintf(why, size, "all rows are in the log, which the CPU searches");
    }
    return why[0] == '\0';
}

/* ---- Answers ---- */

static bool begin(const struct tq_device_use *use, struct tq_device_stay *stay, uint32_t count) {
    return !tq_device_failed(
        stay->ops->search_begin(stay->lane->lane, stay->set->used, use->queries, count, &stay->why), &stay->why);
}

static bool end(struct tq_device_stay *stay, struct tq_cuda_answer *answers) {
    return !tq_device_failed(stay->ops->search_end(stay->lane->lane, answers, &stay->why), &stay->why);
}

/* The segment that has a group: the last that begins at it or before. */
static const struct tq_device_place *place_of(const struct tq_device_use *use, uint64_t group) {
    const struct tq_device_place *places = use->places.data;
    size_t low = 0, high = use->places.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (places[middle].group <= group)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &places[low - 1];
}

/* The candidates, as if the first worker had refined them. *good: they are rows of the view. */
static enum tq_status take(struct tq_searcher *s, struct tq_device_stay *stay, const struct tq_cuda_answer *answer,
                           bool *good) {
    struct tq_worker *w = &s->workers[0];
    TQ_TRY(tq_vector_reserve(&w->refined, w->refined.count + answer->count, sizeof(struct tq_refined)));
    struct tq_refined *out = (struct tq_refined *)w->refined.data + w->refined.count;
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct tq_cuda_candidate *candidate = &answer->candidates[i];
        const struct tq_device_place *place = place_of(s->device, candidate->row / GROUP);
        uint64_t row = place == NULL ? UINT64_MAX : candidate->row - GROUP * place->group;
        *good = place != NULL && row < place->resident->rows;
        if (!*good) {
            (void)snprintf(stay->why.text, sizeof stay->why.text, "the device found row %llu, which is not there",
                           (unsigned long long)candidate->row);
            return TQ_OK;
        }
        out[i] = (struct tq_refined){.upper = candidate->upper,
                                     .estimate = candidate->estimate,
                                     .rank_key = candidate->key,
                                     .segment = place->segment,
                                     .row = (uint32_t)row};
    }
    for (uint32_t i = 0; i < answer->count; i++) tq_topk_push(&w->top, out[i].rank_key);
    w->refined.count += answer->count;
    s->stats->rows += answer->scanned;
    s->stats->survivors += answer->survivors;
    return TQ_OK;
}

/* A proof's bar: the exact scores of the rows of the best estimates. *good is false after a failure of the device. */
static enum tq_status find_bar(struct tq_searcher *s, struct tq_device_stay *stay, bool *good) {
    struct tq_cuda_answer answer;
    double bar = -INFINITY;
    tq_device_query(s, TQ_ASK_SEEDS, s->device->queries);
    *good = begin(s->device, stay, 1) && end(stay, &answer);
    if (!*good || answer.overflow) return TQ_OK;
    TQ_TRY(take(s, stay, &answer, good));
    if (*good) TQ_TRY(tq_rank_bar(s, &s->workers[0].refined, &bar));
    tq_worker_reset(s, &s->workers[0]);
    s->seed_bar = fmax(s->seed_bar, bar);
    return TQ_OK;
}

/* Search again from a higher bar, while there are more candidates than memory for them. */
static bool settle_overflow(struct tq_device_use *use, struct tq_device_stay *stay, struct tq_cuda_answer *answer) {
    for (int attempt = 1; answer->overflow; attempt++) {
        bool higher = use->queries[0].wanted > 0 && answer->bar > use->queries[0].seed_bar;
        if (!higher || attempt == OVERFLOW_ATTEMPTS) {
            (void)snprintf(stay->why.text, sizeof stay->why.text, "more than %d rows may be in the answer",
                           TQ_CUDA_CANDIDATES_MOST);
            return false;
        }
        use->queries[0].seed_bar = answer->bar;
        if (!begin(use, stay, 1) || !end(stay, answer)) return false;
    }
    return true;
}

/* The query's candidates from both; *others: the CPU has done its part. *good: so has the device. */
static enum tq_status search_both(struct tq_searcher *s, struct tq_device_stay *stay, bool *others, bool *good) {
    struct tq_device_use *use = s->device;
    struct tq_cuda_answer answer;
    bool by_exact = s->proof && !s->by_estimate && s->wanted > 0;
    if (by_exact) TQ_TRY(find_bar(s, stay, good));
    if (!*good) return TQ_OK;
    tq_device_query(s, TQ_ASK_ANSWER, use->queries);
    if (by_exact && s->seed_bar > -INFINITY) use->queries[0].wanted = 0; /* better than any k-th lower bound */
    *good = begin(use, stay, 1);
    if (!*good) return TQ_OK;
    enum tq_status status = tq_searcher_run(s, use->marks.data, false);
    *others = true;
    *good = end(stay, &answer) && settle_overflow(use, stay, &answer);
    if (status == TQ_OK && *good) status = take(s, stay, &answer, good);
    return status;
}

enum tq_status tq_device_refine(struct tq_searcher *s, bool *refined) {
    struct tq_set_key key;
    struct tq_device_stay stay;
    char why[256];
    bool others = false, good = true;
    *refined = false;
    /* A lane of many queries is the CPU's, and sums that are kept are read faster than the device is asked. */
    if (s->own_scratch == NULL || s->window.kept) return TQ_OK;
    if (!is_fit(s, tq_device_key(s, &key), why, sizeof why)) {
        if (why[0] != '\0') tq_device_note_fallback(why, 1);
        return TQ_OK;
    }
    TQ_TRY(tq_device_arrive(s, &key, &stay));
    if (stay.lane != NULL) {
        enum tq_status status = search_both(s, &stay, &others, &good);
        tq_device_leave(&stay);
        TQ_TRY(status);
        if (good && !s->device_helped) tq_device_note_search();
        *refined = s->device_helped = good;
        if (good) return TQ_OK;
    }
    tq_device_note_fallback(stay.why.text, 1);
    if (!others) return TQ_OK;
    *refined = true;
    return tq_searcher_run(s, s->device->marks.data, true);
}

/* ---- Several queries ---- */

/* Prepare them, those with a direction to scan along for the device. */
static enum tq_status prepare_group(struct tq_searcher *s, const float *vectors, size_t count, size_t k,
                                    uint32_t *asked) {
    struct tq_device_use *use = s->device;
    *asked = 0;
    for (size_t i = 0; i < count; i++) {
        struct tq_query *query = &use->prepared[i];
        TQ_TRY(
            tq_query_prepare(s->codec, vectors + i * s->codec->format.dim, use->memory + i * use->query_bytes, query));
        if (query->norm == 0) continue;
        TQ_TRY(tq_searcher_set_query(s, query, k));
        tq_device_query(s, TQ_ASK_ANSWER, &use->queries[(*asked)++]);
    }
    return TQ_OK;
}

/* One query's answer from the device's and the CPU's candidates; *good: they are rows of the view. */
static enum tq_status rank_one(struct tq_searcher *s, struct tq_device_stay *stay, const struct tq_query *query,
                               const struct tq_cuda_answer *answer, size_t k, struct tq_hit *hits, size_t *count,
                               bool *good) {
    TQ_TRY(tq_searcher_set_query(s, query, k));
    TQ_TRY(tq_searcher_run(s, s->device->marks.data, false));
    TQ_TRY(take(s, stay, answer, good));
    if (!*good) return TQ_OK;
    for (size_t i = 0; i < s->worker_count; i++) s->stats->survivors += s->workers[i].survivors;
    return tq_rank(s, k, hits, count);
}

/* Candidates of all queries are taken before any is settled: that searches again, in the same memory. */
static enum tq_status rank_group(struct tq_searcher *s, struct tq_device_stay *stay,
                                 const struct tq_cuda_answer *answers, size_t count, size_t k, struct tq_hit *hits,
                                 size_t *counts) {
    struct tq_device_use *use = s->device;
    const struct tq_cuda_answer *next = answers;
    for (size_t i = 0; i < count; i++) {
        use->doubts[i] = INFINITY; /* to be searched alone */
        if (use->prepared[i].norm == 0 || (next++)->overflow) continue;
        bool good = true;
        TQ_TRY(rank_one(s, stay, &use->prepared[i], next - 1, k, hits + i * k, &counts[i], &good));
        if (good) use->doubts[i] = s->doubt;
    }
    return TQ_OK;
}

static enum tq_status finish_group(struct tq_searcher *s, size_t count, size_t k, struct tq_hit *hits, size_t *counts,
                                   struct tq_search_stats *stats) {
    struct tq_device_use *use = s->device;
    for (size_t i = 0; i < count; i++) {
        const struct tq_query *query = &use->prepared[i];
        if (use->doubts[i] == INFINITY) {
            TQ_TRY(tq_searcher_query(s, query, k, hits + i * k, &counts[i], stats));
            continue;
        }
        s->device_helped = true;
        TQ_TRY(tq_searcher_settle(s, query, use->doubts[i], k, hits + i * k, &counts[i]));
        tq_device_note_search();
        stats->device++;
    }
    return TQ_OK;
}

/* At most 8 queries at once. *done is false where the device cannot. */
static enum tq_status search_group(struct tq_searcher *s, const struct tq_set_key *key, const float *vectors,
                                   size_t count, size_t k, struct tq_hit *hits, size_t *counts,
                                   struct tq_search_stats *stats, struct tq_cuda_why *why, bool *done) {
    struct tq_cuda_answer answers[TQ_CUDA_QUERIES_MOST];
    struct tq_device_stay stay;
    uint32_t asked = 0;
    TQ_TRY(prepare_group(s, vectors, count, k, &asked));
    TQ_TRY(tq_device_arrive(s, key, &stay));
    *why = stay.why;
    if (stay.lane == NULL) return TQ_OK;
    *done = asked == 0 || (begin(s->device, &stay, asked) && end(&stay, answers));
    enum tq_status status = *done ? rank_group(s, &stay, answers, count, k, hits, counts) : TQ_OK;
    *why = stay.why;
    tq_device_leave(&stay);
    TQ_TRY(status);
    return *done ? finish_group(s, count, k, hits, counts, stats) : TQ_OK;
}

/* Proofs go one by one, each from a bar of its own; as long as the device helps. */
static enum tq_status search_singly(struct tq_searcher *s, const float *vectors, size_t query_count, size_t k,
                                    struct tq_hit *hits, size_t *counts, struct tq_search_stats *stats,
                                    size_t *answered) {
    struct tq_device_use *use = s->device;
    for (size_t i = 0; i < query_count; i++) {
        TQ_TRY(tq_query_prepare(s->codec, vectors + i * s->codec->format.dim, use->memory, &use->prepared[0]));
        TQ_TRY(tq_searcher_query(s, &use->prepared[0], k, hits + i * k, &counts[i], stats));
        *answered = i + 1;
        if (!s->device_helped && use->prepared[0].norm > 0) break;
    }
    return TQ_OK;
}

/* Whether the device is to be asked: as for the first of the queries. */
static enum tq_status look_at_first(struct tq_searcher *s, const float *vectors, size_t k, struct tq_set_key *key,
                                    struct tq_cuda_why *why, bool *fit) {
    struct tq_device_use *use = s->device;
    TQ_TRY(tq_query_prepare(s->codec, vectors, use->memory, &use->prepared[0]));
    TQ_TRY(tq_searcher_set_query(s, &use->prepared[0], k));
    *fit = is_fit(s, tq_device_key(s, key), why->text, sizeof why->text);
    return TQ_OK;
}

static enum tq_status search_groups(struct tq_searcher *s, const struct tq_set_key *key, const float *vectors,
                                    size_t query_count, size_t k, struct tq_hit *hits, size_t *counts,
                                    struct tq_search_stats *stats, struct tq_cuda_why *why, size_t *answered) {
    bool done = true;
    while (*answered < query_count && done) {
        size_t i = *answered, count = tq_min_size(query_count - i, TQ_CUDA_QUERIES_MOST);
        done = false;
        TQ_TRY(search_group(s, key, vectors + i * s->codec->format.dim, count, k, hits + i * k, counts + i, stats, why,
                            &done));
        if (done) *answered += count;
    }
    return TQ_OK;
}

enum tq_status tq_searcher_device_many(struct tq_searcher *s, const float *vectors, size_t query_count, size_t k,
                                       struct tq_hit *hits, size_t *counts, struct tq_search_stats *stats,
                                       size_t *answered) {
    struct tq_set_key key;
    struct tq_cuda_why why = {{0}};
    bool fit = false;
    *answered = 0;
    s->stats = stats;
    if (s->options->device == TQ_DEVICE_CPU || query_count < 2 || k == 0) return TQ_OK;
    TQ_TRY(tq_device_use_make(s));
    TQ_TRY(look_at_first(s, vectors, k, &key, &why, &fit));
    if (fit && s->proof && !s->by_estimate)
        TQ_TRY(search_singly(s, vectors, query_count, k, hits, counts, stats, answered));
    else if (fit)
        TQ_TRY(search_groups(s, &key, vectors, query_count, k, hits, counts, stats, &why, answered));
    /* One by one, those that are left will tell for themselves. */
    size_t left = query_count - *answered;
    if ((fit || why.text[0] != '\0') && left > 0 && tq_searcher_prefers_many(s, left))
        tq_device_note_fallback(why.text, left);
    return TQ_OK;
}
