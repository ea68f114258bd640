/* From the sums of scanned planes to survivors: blocks first, by a threshold below every row's own; then rows. */
#include <string.h>

#include "index/cascade.h"
#include "src/base/f16.h"

enum { THRESHOLD_NEVER = 65536 };

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

/* ---- Blocks: the smallest first sum that a row may have and still reach the bar ---- */

double tq_block_cosine(const struct tq_searcher *s, const struct tq_gate *gate, const struct tq_block_stats *stats,
                       double *kappa) {
    *kappa = gate->kappa;
    if (s->bound.metric == TQ_COSINE) return gate->bar;
    double cosine = tq_bound_cosine_range(&s->bound, gate->bar, (double)stats->norm_min, (double)stats->norm_max);
    *kappa = s->bound.zeta * tq_bound_perp(cosine);
    return cosine;
}

static inline uint32_t first_threshold(const struct tq_searcher *s, const struct tq_gate *gate, double per_sum,
                                       const struct tq_block_stats *stats) {
    double kappa, cosine = tq_block_cosine(s, gate, stats, &kappa);
    double least = cosine * (double)(cosine > 0 ? stats->cos_min : stats->cos_max) - kappa * (double)stats->sin_max;
    double sum = (least - s->plane_slack) * per_sum + 0.5 * s->query->plane_abs_sum;
    if (!(sum >= 1)) return 0;                                          /* also NaN, of infinities */
    return sum > 65536 ? (uint32_t)THRESHOLD_NEVER : (uint32_t)sum - 1; /* one less: rounding of this arithmetic */
}

/* Rows of a block whose first sum reaches the threshold. */
static uint32_t count_rows_of(const struct tq_searcher *s, const struct tq_span *span, uint32_t block,
                              uint32_t threshold) {
    uint64_t mask[2];
    s->codec->kernels.select(tq_window_sums(&s->window, span, block), NULL, (uint16_t)threshold, mask);
    tq_span_allow(span, block, mask);
    return (uint32_t)(__builtin_popcountll(mask[0]) + __builtin_popcountll(mask[1]));
}

static enum tq_status list_task(struct tq_searcher *s, struct tq_worker *worker, struct tq_task *task) {
    const struct tq_span *span = task->span;
    const uint16_t *maxima = tq_window_maxima(&s->window, span, 0);
    uint32_t *list = tq_task_list(&s->window, task), listed = 0, end = task->block + task->blocks;
    struct tq_gate gate = tq_gate_at(s, s->seed_bar);
    double per_sum = 0.5 / s->plane_scale;
    (void)worker;
    task->rows = 0;
    for (uint32_t block = task->block, run = 0; block < end; block += run) {
        const void *units = NULL;
        TQ_TRY(
            tq_segment_blocks(tq_searcher_segment(s, span->segment), TQ_PLANE_STATS, block, end - block, &units, &run));
        for (uint32_t i = 0; i < run; i++) {
            uint32_t threshold = first_threshold(s, &gate, per_sum, (const struct tq_block_stats *)units + i);
            if (maxima[block + i] < threshold) continue;
            uint32_t rows = !s->count_rows && span->allowed == NULL ? 1 : count_rows_of(s, span, block + i, threshold);
            task->rows += rows;
            list[listed] = block + i;
            listed += rows > 0;
        }
    }
    task->listed = listed;
    return TQ_OK;
}

enum tq_status tq_collect_list(struct tq_searcher *s, bool count_rows, uint64_t *blocks, uint64_t *rows) {
    const struct tq_task *tasks = s->window.tasks.data;
    s->count_rows = count_rows;
    TQ_TRY(tq_tasks_run(s, list_task));
    for (size_t t = 0; t < s->window.task_count; t++) {
        *blocks += tasks[t].listed;
        *rows += tasks[t].rows;
    }
    return TQ_OK;
}

/* ---- Rows by the first plane alone ---- */

/* A stored half without a branch: exact where it is normal; never below the true value of a number >= 0, and 65536,
 * beyond any bar, for infinity. */
static inline double half_at_least(uint16_t half) {
    uint32_t bits = ((uint32_t)half << 13) + 0x38000000u;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

enum tq_status tq_reserve_block(struct tq_worker *worker, struct tq_survivor **out) {
    TQ_TRY(tq_vector_reserve(&worker->found, worker->found.count + TQ_BLOCK_ROWS, sizeof(struct tq_survivor)));
    *out = (struct tq_survivor *)worker->found.data + worker->found.count;
    return TQ_OK;
}

/* What a row may score at any bar from the gate's on: for the cosine metric without solving for it, because the part
 * of the query orthogonal to the row shrinks as the bar rises. */
static inline double loose_upper(const struct tq_searcher *s, const struct tq_gate *gate, double estimate, double error,
                                 double norm) {
    if (s->bound.metric == TQ_COSINE) return estimate + gate->kappa * error + 1e-9;
    double looser = tq_bound_score(&s->bound, estimate + s->bound.zeta * error, norm, +1);
    if (looser < gate->bar) return looser;
    return tq_bound_score(&s->bound, tq_bound_upper(estimate, s->bound.zeta * error), norm, +1);
}

/* Rows of a block that pass the gate. Whether one does is hard to foresee, so it decides no branch. */
static uint32_t gate_first(const struct tq_searcher *s, const struct tq_gate *gate, const uint16_t *sums,
                           const uint16_t *errors, const float *norms, const uint64_t mask[2],
                           struct tq_survivor *out) {
    uint32_t count = 0;
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t r = 64 * half + (uint32_t)__builtin_ctzll(rest);
            double error = half_at_least(errors[r]), length = tq_gate_length(error);
            double cosine = s->plane_scale * tq_first_dot(s, sums[r]);
            cosine = (cosine > 0 ? cosine * length : cosine) + s->plane_slack * length; /* the true length is >= 1 */
            double norm = norms == NULL ? 1 : (double)norms[r];
            out[count].upper = loose_upper(s, gate, cosine, error, norm);
            out[count].row = r;
            count += out[count].upper >= gate->bar;
        }
    }
    return count;
}

/* Where first errors are packed there are so few that what follows from each is known beforehand. */
struct packed_gate {
    double error[UINT8_MAX + 1], length[UINT8_MAX + 1];
    double more[UINT8_MAX + 1]; /* what loose_upper adds to the cosine, under the cosine metric */
};

static void make_packed_gate(const struct tq_searcher *s, const struct tq_gate *gate, struct packed_gate *made) {
    for (uint32_t i = 0; i <= UINT8_MAX; i++) {
        double error = half_at_least(tq_first_error_unpack((uint8_t)i)), length = tq_gate_length(error);
        made->length[i] = length;
        made->error[i] = error;
        made->more[i] = s->plane_slack * length + gate->kappa * error + 1e-9;
    }
}

/* As gate_first, each in a loop of its own. */
static uint32_t gate_packed_cosine(const struct tq_searcher *s, double bar, const struct packed_gate *packed,
                                   const uint16_t *sums, const uint8_t *errors, const uint64_t mask[2],
                                   struct tq_survivor *out) {
    uint32_t count = 0;
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t r = 64 * half + (uint32_t)__builtin_ctzll(rest), e = errors[r];
            double cosine = s->plane_scale * tq_first_dot(s, sums[r]);
            out[count].upper = (cosine > 0 ? cosine * packed->length[e] : cosine) + packed->more[e];
            out[count].row = r;
            count += out[count].upper >= bar;
        }
    }
    return count;
}

static uint32_t gate_packed(const struct tq_searcher *s, double bar, const struct packed_gate *packed,
                            const uint16_t *sums, const uint8_t *errors, const float *norms, const uint64_t mask[2],
                            struct tq_survivor *out) {
    uint32_t count = 0;
    if (norms == NULL) return gate_packed_cosine(s, bar, packed, sums, errors, mask, out);
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t r = 64 * half + (uint32_t)__builtin_ctzll(rest), e = errors[r];
            double cosine = s->plane_scale * tq_first_dot(s, sums[r]), length = packed->length[e];
            cosine = (cosine > 0 ? cosine * length : cosine) + s->plane_slack * length;
            double upper = tq_bound_upper(cosine, s->bound.zeta * packed->error[e]);
            out[count].upper = tq_bound_score(&s->bound, upper, (double)norms[r], +1);
            out[count].row = r;
            count += out[count].upper >= bar;
        }
    }
    return count;
}

static enum tq_status collect_block_first(struct tq_searcher *s, struct tq_worker *worker, const struct tq_span *span,
                                          uint32_t block, const struct tq_gate *gate,
                                          const struct packed_gate *packed) {
    struct tq_segment *segment = tq_searcher_segment(s, span->segment);
    const uint16_t *sums = tq_window_sums(&s->window, span, block);
    const void *stats = NULL, *errors = NULL, *norms = NULL;
    TQ_TRY(tq_segment_block(segment, TQ_PLANE_STATS, block, &stats));
    uint32_t threshold = first_threshold(s, gate, 0.5 / s->plane_scale, stats);
    uint64_t mask[2];
    s->codec->kernels.select(sums, NULL, (uint16_t)threshold, mask);
    tq_span_allow(span, block, mask);
    if ((mask[0] | mask[1]) == 0) return TQ_OK;
    TQ_TRY(tq_segment_block(segment, TQ_PLANE_FIRST_ERROR, block, &errors));
    if (s->bound.metric != TQ_COSINE) TQ_TRY(tq_segment_block(segment, TQ_PLANE_NORM, block, &norms));
    struct tq_survivor *out = NULL;
    TQ_TRY(tq_reserve_block(worker, &out));
    uint32_t count = packed != NULL ? gate_packed(s, gate->bar, packed, sums, errors, norms, mask, out)
                                    : gate_first(s, gate, sums, errors, norms, mask, out);
    for (uint32_t i = 0; i < count; i++) {
        out[i].segment = span->segment;
        out[i].row += block * TQ_BLOCK_ROWS;
    }
    worker->found.count += count;
    return TQ_OK;
}

static enum tq_status collect_task_first(struct tq_searcher *s, struct tq_worker *worker, struct tq_task *task) {
    const uint32_t *list = tq_task_list(&s->window, task);
    struct tq_gate gate = tq_gate_at(s, s->seed_bar);
    bool packed = s->codec->format.packed && task->listed > 0;
    struct packed_gate packed_gate;
    if (packed) make_packed_gate(s, &gate, &packed_gate);
    for (uint32_t i = 0; i < task->listed; i++)
        TQ_TRY(collect_block_first(s, worker, task->span, list[i], &gate, packed ? &packed_gate : NULL));
    return TQ_OK;
}

/* ---- Rows by both planes ---- */

/* The gate of a block in integers, none of whose rows with an upper bound that reaches the bar is below it. With
 * x = inverse, y = error in units of 1 and L = sqrt(x^2 + y^2) <= x + y, a row may reach cosine t only if
 *     unit * (2 dot1 + dot2) + slack * L >= t x - kappa y,      2 dot1 + dot2 = 4 first + 2 second - 3 abs_sum.
 * All that is rounded here is rounded down. */
struct tq_gate_query tq_gate_line(const struct tq_searcher *s, double cosine, double kappa) {
    const struct tq_gate_query all = {0, 0, 0};
    double per_unit = 1 / s->plane_scale;
    double gain = (cosine - s->plane_slack) * per_unit; /* * 2^16 / (4 * TQ_SECOND_ONE) */
    double loss = (kappa + s->plane_slack) * per_unit + 1;
    double base = 0.75 * s->query->plane_abs_sum - 3.5 + (gain < 0 ? 0.75 * gain - 1 : 0);
    if (!(base >= 0) || !(loss <= UINT16_MAX)) return all;
    gain = gain < 0 ? 0 : gain > UINT16_MAX ? UINT16_MAX : gain;
    return (struct tq_gate_query){(uint16_t)base, (uint16_t)gain, (uint16_t)loss}; /* casts cut off */
}

/* What the rows of a run of blocks need to be judged. */
struct deep {
    const struct tq_block_stats *stats;
    const struct tq_second_block *scalars;
    uint32_t first, run; /* the blocks they are of */
};

static enum tq_status deep_reach(struct tq_searcher *s, const struct tq_task *task, uint32_t block, struct deep *deep) {
    if (block - deep->first < deep->run) return TQ_OK;
    struct tq_segment *segment = tq_searcher_segment(s, task->span->segment);
    uint32_t wanted = task->block + task->blocks - block, run = 0;
    const void *stats = NULL, *scalars = NULL;
    TQ_TRY(tq_segment_blocks(segment, TQ_PLANE_STATS, block, wanted, &stats, &run));
    TQ_TRY(tq_segment_blocks(segment, TQ_PLANE_SECOND_SCALARS, block, run, &scalars, &run));
    *deep = (struct deep){stats, scalars, block, run};
    return TQ_OK;
}

uint32_t tq_take_row(const struct tq_searcher *s, const struct tq_gate *gate, int32_t dot,
                     struct tq_second_scalars scalars, double norm, uint32_t segment, uint32_t row,
                     struct tq_survivor *out) {
    *out = (struct tq_survivor){INFINITY, segment, row};
    if (scalars.inverse == 0) return 1;
    double inverse = 1 / (double)scalars.inverse, error = scalars.error * inverse;
    double cosine = s->plane_scale * dot * (TQ_SECOND_ONE * inverse);
    out->upper = loose_upper(s, gate, cosine + s->plane_slack * tq_gate_length(error), error, norm);
    return out->upper >= gate->bar;
}

/* The rows in the mask, those that the gate let through without reason excepted. */
static enum tq_status take_rows(struct tq_searcher *s, struct tq_worker *worker, const struct tq_span *span,
                                uint32_t block, const struct tq_gate *gate, const struct tq_second_block *scalars,
                                const uint16_t *sums, const uint16_t *deeper, const uint64_t mask[2]) {
    const void *norms = NULL;
    if (s->bound.metric != TQ_COSINE)
        TQ_TRY(tq_segment_block(tq_searcher_segment(s, span->segment), TQ_PLANE_NORM, block, &norms));
    struct tq_survivor *out = NULL;
    uint32_t kept = 0;
    TQ_TRY(tq_reserve_block(worker, &out));
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t r = 64 * half + (uint32_t)__builtin_ctzll(rest);
            int32_t dot = 2 * tq_first_dot(s, sums[r]) + tq_first_dot(s, deeper[r]);
            double norm = norms == NULL ? 1 : (double)((const float *)norms)[r];
            kept += tq_take_row(s, gate, dot, tq_second_of(scalars, r), norm, span->segment, block * TQ_BLOCK_ROWS + r,
                                out + kept);
        }
    }
    worker->found.count += kept;
    return TQ_OK;
}

/* The second plane of the listed blocks, and at once, while its sums are in the first cache, which rows they leave. */
static enum tq_status collect_task_deep(struct tq_searcher *s, struct tq_worker *worker, struct tq_task *task) {
    const struct tq_span *span = task->span;
    const uint32_t *list = tq_task_list(&s->window, task);
    struct tq_gate gate = tq_gate_at(s, s->seed_bar);
    struct tq_gate_query line = tq_gate_line(s, gate.cosine, gate.kappa);
    struct deep deep = {.run = 0};
    TQ_TRY(tq_task_scan(s, task, TQ_PLANE_SECOND, list, task->listed, worker->scratch->sums, worker->scratch->maxima));
    for (uint32_t i = 0; i < task->listed; i++) {
        uint32_t block = list[i];
        const uint16_t *sums = tq_window_sums(&s->window, span, block);
        const uint16_t *deeper = worker->scratch->sums + (size_t)(block - task->block) * TQ_BLOCK_ROWS;
        TQ_TRY(deep_reach(s, task, block, &deep));
        const struct tq_block_stats *stats = deep.stats + (block - deep.first);
        const struct tq_second_block *scalars = deep.scalars + (block - deep.first);
        uint64_t mask[2] = {UINT64_MAX, UINT64_MAX};
        if (s->bound.metric != TQ_COSINE) {
            double kappa, cosine = tq_block_cosine(s, &gate, stats, &kappa);
            line = tq_gate_line(s, cosine, kappa);
        }
        if (stats->second_unknown == 0)
            s->codec->kernels.gate(&line, sums, deeper, scalars->inverse, scalars->error, mask);
        tq_span_allow(span, block, mask);
        if ((mask[0] | mask[1]) != 0) TQ_TRY(take_rows(s, worker, span, block, &gate, scalars, sums, deeper, mask));
    }
    return TQ_OK;
}

enum tq_status tq_collect(struct tq_searcher *s, bool second) {
    return tq_tasks_run(s, second ? collect_task_deep : collect_task_first);
}
