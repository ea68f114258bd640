/* From the sums of scanned planes to survivors: blocks first, by a threshold below every row's own; then rows. */
#include <string.h>

#include "index/cascade.h"
#include "src/base/f16.h"

enum { THRESHOLD_NEVER = 65536 };

/* ---- Thresholds: the smallest sum a row of a block may have and still reach the bar ---- */

static uint32_t clamp_threshold(double sum) {
    if (!(sum >= 1)) return 0;                                          /* also NaN */
    return sum > 65536 ? (uint32_t)THRESHOLD_NEVER : (uint32_t)sum - 1; /* one less: rounding of this arithmetic */
}

/* The cosine that some row of a block must have at least, and zeta times the part of the query orthogonal to it. */
static double block_cosine(const struct tq_searcher *s, const struct tq_gate *gate, const struct tq_block_stats *stats,
                           double *kappa) {
    *kappa = gate->kappa;
    if (s->bound.metric == TQ_COSINE) return gate->bar;
    double cosine = tq_bound_cosine_range(&s->bound, gate->bar, (double)stats->norm_min, (double)stats->norm_max);
    *kappa = s->bound.zeta * tq_bound_perp(cosine);
    return cosine;
}

static uint32_t first_threshold(const struct tq_searcher *s, const struct tq_gate *gate,
                                const struct tq_block_stats *stats) {
    double far = (double)stats->first_error_max, kappa;
    if (isinf(gate->bar) || isinf(far)) return 0;
    double cosine = block_cosine(s, gate, stats, &kappa), shrink = 1 / sqrt(1 + far * far),
           least = -kappa * far * shrink;
    if (cosine > 0) {
        least += cosine * shrink;
    } else {
        least += cosine / sqrt(1 + (double)stats->first_error_min * (double)stats->first_error_min);
    }
    return clamp_threshold(((least - s->plane_slack) / s->plane_scale + s->query->plane_abs_sum) / 2);
}

/* For sums of the form first + second / 2. */
static uint32_t second_threshold(const struct tq_searcher *s, const struct tq_gate *gate,
                                 const struct tq_block_stats *stats) {
    double error = (double)stats->second_error_max, kappa;
    if (isinf(gate->bar) || isinf(error)) return 0;
    double cosine = block_cosine(s, gate, stats, &kappa);
    double least = cosine - kappa * error - s->plane_slack * tq_gate_length(error);
    double scale = (double)(least > 0 ? stats->second_scale_max : stats->second_scale_min);
    return clamp_threshold((least / (s->plane_scale * scale) + 3.0 * s->query->plane_abs_sum) / 4 - 0.5);
}

void tq_span_allow(const struct tq_span *span, uint32_t block, uint64_t mask[2]) {
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

/* ---- What the first plane leaves ---- */

enum tq_status tq_collect_list(struct tq_searcher *s, bool count_rows, uint64_t *rows) {
    struct tq_window *w = &s->window;
    struct tq_gate gate = tq_gate_at(s, s->seed_bar);
    uint32_t *lists = w->lists.data;
    size_t listed = 0;
    *rows = 0;
    for (size_t i = 0; i < w->span_count; i++) {
        const struct tq_span *span = &w->spans[i];
        const uint16_t *sums = tq_window_sums(w, 0, span), *maxima = tq_window_maxima(w, 0, span);
        w->list_first[i] = listed;
        for (uint32_t block = 0; block < span->blocks; block++) {
            const void *stats = NULL;
            TQ_TRY(tq_segment_block(tq_searcher_segment(s, span->segment), TQ_PLANE_STATS, block, &stats));
            uint32_t threshold = first_threshold(s, &gate, stats);
            if (maxima[block] < threshold) continue;
            if (!count_rows && span->allowed == NULL) {
                lists[listed++] = block;
                continue;
            }
            uint64_t mask[2];
            s->codec->kernels.select(sums + (size_t)block * TQ_BLOCK_ROWS, NULL, (uint16_t)threshold, mask);
            tq_span_allow(span, block, mask);
            uint32_t count = (uint32_t)(__builtin_popcountll(mask[0]) + __builtin_popcountll(mask[1]));
            *rows += count;
            if (count > 0) lists[listed++] = block;
        }
    }
    w->list_first[w->span_count] = listed;
    return TQ_OK;
}

/* The scalars of one block's rows, as stored; `second` only if that plane has been read. */
struct block_scalars {
    const uint16_t *first_error;
    const struct tq_second_scalars *second;
    const float *norm;
};

static enum tq_status block_scalars_get(struct tq_searcher *s, uint32_t segment, uint32_t block, bool second,
                                        struct block_scalars *out) {
    struct tq_segment *from = tq_searcher_segment(s, segment);
    const void *units = NULL;
    *out = (struct block_scalars){NULL, NULL, NULL};
    TQ_TRY(tq_segment_block(from, TQ_PLANE_FIRST_ERROR, block, &units));
    out->first_error = units;
    if (second) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_SECOND_SCALARS, block, &units));
        out->second = units;
    }
    if (s->bound.metric != TQ_COSINE) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_NORM, block, &units));
        out->norm = units;
    }
    return TQ_OK;
}

/* Rows of a block that pass the gate, with a loose bound of their cosines. */
struct passed {
    uint32_t count;
    uint8_t rows[TQ_BLOCK_ROWS];
    double cosines[TQ_BLOCK_ROWS];
};

/* A stored half without a branch: exact where it is normal; never below the true value of a number >= 0, and 65536,
 * beyond any bar, for infinity. */
static inline double half_at_least(uint16_t half) {
    uint32_t bits = ((uint32_t)half << 13) + 0x38000000u;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Estimate and error of a row by the deepest plane read; all slack is added to the estimate. */
static inline double estimate_row(const struct tq_searcher *s, const struct block_scalars *stored, uint32_t r,
                                  int32_t first, int32_t second, double *error) {
    if (stored->second != NULL) {
        *error = half_at_least(stored->second[r].error);
        double cosine = s->plane_scale * (2.0 * first + second) * half_at_least(stored->second[r].scale);
        return cosine + s->plane_slack * tq_gate_length(*error);
    }
    *error = half_at_least(stored->first_error[r]);
    double length = tq_gate_length(*error), cosine = s->plane_scale * first;
    return (cosine > 0 ? cosine * length : cosine) + s->plane_slack * length; /* the true length is 1 or more */
}

/* Whether a row stays is hard to foresee, so it decides no branch here. */
static void gate_rows(const struct tq_searcher *s, const struct tq_gate *gate, const struct block_scalars *stored,
                      const uint16_t *sums, const uint16_t *deeper, const uint64_t mask[2], struct passed *passed) {
    uint32_t count = 0;
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t r = 64 * half + (uint32_t)__builtin_ctzll(rest);
            int32_t second = deeper == NULL ? 0 : tq_first_dot(s, deeper[r]);
            double error, cosine = estimate_row(s, stored, r, tq_first_dot(s, sums[r]), second, &error);
            passed->rows[count] = (uint8_t)r;
            passed->cosines[count] = cosine + error;
            count += tq_gate_open(s, gate, cosine, error, stored->norm == NULL ? 1 : (double)stored->norm[r]);
        }
    }
    passed->count = count;
}

/* The upper bound of a row's score by the planes read. A proof needs no more than some bound: its answer is the
 * true one. Else every row gets the bounds of every plane, or the answer would depend on what was read. */
static double upper_of(const struct tq_searcher *s, const struct block_scalars *stored, uint32_t r, int32_t first,
                       const uint16_t *deeper, double cosine) {
    struct tq_plane_scalars scalars = {.norm = stored->norm == NULL ? 1 : stored->norm[r]};
    if (s->proof) return tq_bound_score(&s->bound, cosine, (double)scalars.norm, +1);
    scalars.first_error = tq_f32_from_f16(stored->first_error[r]);
    double upper = tq_upper_first(s, first, &scalars);
    if (deeper == NULL || upper < s->seed_bar) return upper;
    scalars.second = stored->second[r];
    return fmin(upper, tq_upper_second(s, first, tq_first_dot(s, deeper[r]), &scalars));
}

/* The same line for a whole block at once in f32, a little lower than the rows' own. */
static struct tq_gate_query gate_line(const struct tq_searcher *s, const struct tq_gate *gate) {
    return (struct tq_gate_query){.base = 3 * s->query->plane_abs_sum,
                                  .unit = (float)s->plane_scale,
                                  .slack = (float)s->plane_slack,
                                  .bar = (float)(gate->cosine - 1e-5),
                                  .kappa = (float)gate->kappa};
}

static enum tq_status collect_block(struct tq_searcher *s, const struct tq_span *span, uint32_t block, bool second,
                                    const struct tq_gate *gate, const struct tq_gate_query *line) {
    size_t at = (size_t)block * TQ_BLOCK_ROWS;
    const uint16_t *sums = tq_window_sums(&s->window, 0, span) + at;
    const uint16_t *deeper = second ? tq_window_sums(&s->window, 1, span) + at : NULL;
    const void *stats = NULL;
    TQ_TRY(tq_segment_block(tq_searcher_segment(s, span->segment), TQ_PLANE_STATS, block, &stats));
    uint32_t threshold = second ? second_threshold(s, gate, stats) : first_threshold(s, gate, stats);
    if (threshold >= THRESHOLD_NEVER) return TQ_OK;
    uint64_t mask[2];
    s->codec->kernels.select(sums, deeper, (uint16_t)threshold, mask);
    tq_span_allow(span, block, mask);
    if ((mask[0] | mask[1]) == 0) return TQ_OK;
    struct block_scalars stored;
    struct passed passed;
    TQ_TRY(block_scalars_get(s, span->segment, block, second, &stored));
    TQ_TRY(tq_vector_reserve(&s->survivors, s->survivors.count + TQ_BLOCK_ROWS, sizeof(struct tq_survivor)));
    if (second && s->bound.metric == TQ_COSINE) {
        uint64_t open[2];
        s->codec->kernels.gate(line, sums, deeper, (const uint16_t *)stored.second, open);
        mask[0] &= open[0];
        mask[1] &= open[1];
    }
    gate_rows(s, gate, &stored, sums, deeper, mask, &passed);
    struct tq_survivor *out = s->survivors.data;
    for (uint32_t i = 0; i < passed.count; i++) {
        uint32_t r = passed.rows[i];
        int32_t first = tq_first_dot(s, sums[r]);
        double upper = upper_of(s, &stored, r, first, deeper, passed.cosines[i]);
        if (upper < s->seed_bar) continue;
        out[s->survivors.count++] = (struct tq_survivor){
            .upper = upper, .segment = span->segment, .row = (uint32_t)at + r, .first = first};
    }
    return TQ_OK;
}

enum tq_status tq_collect(struct tq_searcher *s, bool second) {
    const struct tq_window *w = &s->window;
    const uint32_t *lists = w->lists.data;
    struct tq_gate gate = tq_gate_at(s, s->seed_bar);
    struct tq_gate_query line = gate_line(s, &gate);
    s->survivors.count = 0;
    for (size_t i = 0; i < w->span_count; i++) {
        for (size_t at = w->list_first[i]; at < w->list_first[i + 1]; at++) {
            TQ_TRY(collect_block(s, &w->spans[i], lists[at], second, &gate, &line));
        }
    }
    return TQ_OK;
}
