/* What one row's score can be, by each depth of its code. bound.h has the mathematics. */
#include <string.h>

#include "index/cascade.h"
#include "src/base/f16.h"

double tq_upper_first(const struct tq_searcher *s, int32_t first, float first_error, float norm) {
    double error = (double)first_error;
    if (isinf(error)) return INFINITY;
    double length = sqrt(1 + error * error);
    double cosine = s->plane_scale * first + s->plane_slack;
    /* A packed error may be far above the true one, whose length is 1 at least. */
    double stretched = s->codec->format.packed && cosine < 0 ? cosine : cosine * length;
    double upper = tq_bound_upper(stretched, s->bound.zeta * error);
    return tq_bound_score(&s->bound, upper, (double)norm, +1);
}

double tq_upper_second(const struct tq_searcher *s, int32_t first, int32_t second, struct tq_second_scalars scalars,
                       float norm) {
    if (scalars.inverse == 0) return INFINITY;
    double inverse = 1 / (double)scalars.inverse, error = scalars.error * inverse;
    double cosine = s->plane_scale * (2.0 * first + second) * (inverse * TQ_SECOND_ONE);
    cosine += s->plane_slack * sqrt(1 + error * error);
    return tq_bound_score(&s->bound, tq_bound_upper(cosine, s->bound.zeta * error), (double)norm, +1);
}

struct tq_gate tq_gate_at(const struct tq_searcher *s, double bar) {
    return (struct tq_gate){.bar = bar, .cosine = bar, .kappa = s->bound.zeta * tq_bound_perp(bar)};
}

/* A record's scalars and what its full code says of the cosine. */
struct full {
    double cosine, norm, error;
    double sketch_slack; /* what rounding the sketched query costs; the code's is per length of the code */
};

static inline struct full full_of(const struct tq_searcher *s, const uint8_t *record, const struct tq_code_dots *dots) {
    const struct tq_format *format = &s->codec->format;
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    double gamma = format->qjl ? (double)tq_f32_from_f16(tail.gamma) / s->sqrt_dim : 0, scale = (double)tail.scale;
    return (struct full){.cosine = scale *
                                   (dots->code * s->query->code_step + gamma * dots->sketch * s->query->sketch_step),
                         .norm = (double)tail.norm,
                         .error = format->packed ? 0 : (double)tq_f32_from_f16(tail.error),
                         .sketch_slack = s->query_slack * scale * gamma * s->sqrt_dim};
}

bool tq_gate_full(const struct tq_searcher *s, const uint8_t *record, const struct tq_code_dots *dots,
                  const struct tq_gate *gate) {
    struct full full = full_of(s, record, dots);
    double estimate = full.cosine + s->code_slack * tq_gate_length(full.error) + full.sketch_slack;
    return tq_gate_open(s, gate, estimate, full.error, full.norm);
}

void tq_bound_full(const struct tq_searcher *s, const uint8_t *record, const struct tq_code_dots *dots,
                   struct tq_refined *refined) {
    struct full full = full_of(s, record, dots);
    double lower = -INFINITY, upper = INFINITY;
    refined->estimate = tq_bound_score(&s->bound, full.cosine, full.norm, 0);
    if (!isinf(full.error)) {
        double slack = s->code_slack * sqrt(1 + full.error * full.error) + full.sketch_slack;
        double kappa = s->bound.zeta * full.error, high = tq_bound_upper(full.cosine + slack, kappa);
        upper = tq_bound_score(&s->bound, high, full.norm, +1);
        lower = tq_bound_score(&s->bound, tq_bound_lower(full.cosine - slack, kappa), full.norm, -1);
    }
    refined->upper = upper;
    if (s->by_estimate)
        lower = refined->estimate;
    else if (!s->proof)
        lower = refined->estimate - TQ_KEY_DEVIATIONS * (upper - refined->estimate) / s->options->confidence;
    refined->rank_key = fmin(upper, lower);
}

enum tq_status tq_plane_scalars_get(const struct tq_searcher *s, uint32_t segment, uint32_t row,
                                    struct tq_plane_scalars *scalars) {
    struct tq_segment *from = tq_searcher_segment(s, segment);
    uint32_t block = row / TQ_BLOCK_ROWS, at = row % TQ_BLOCK_ROWS;
    const void *units = NULL;
    TQ_TRY(tq_segment_block(from, TQ_PLANE_FIRST_ERROR, block, &units));
    scalars->first_error = tq_f32_from_f16(tq_first_error_at(&s->codec->format, units, at));
    scalars->norm = 1;
    scalars->second = (struct tq_second_scalars){0, 0};
    if (s->codec->format.scan_planes > 1) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_SECOND_SCALARS, block, &units));
        scalars->second = tq_second_of(units, at);
    }
    if (s->bound.metric != TQ_COSINE) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_NORM, block, &units));
        scalars->norm = ((const float *)units)[at];
    }
    return TQ_OK;
}
