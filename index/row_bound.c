/* What one row's score can be, by each depth of its code. bound.h has the mathematics. */
#include <string.h>

#include "index/cascade.h"
#include "src/base/f16.h"

double tq_upper_first(const struct tq_searcher *s, int32_t first, const struct tq_plane_scalars *scalars) {
    double error = (double)scalars->first_error;
    if (isinf(error)) return INFINITY;
    double length = sqrt(1 + error * error);
    double cosine = s->plane_scale * first + s->plane_slack;
    double upper = tq_bound_upper(cosine * length, s->bound.zeta * error);
    return tq_bound_score(&s->bound, upper, (double)scalars->norm, +1);
}

double tq_upper_second(const struct tq_searcher *s, int32_t first, int32_t second,
                       const struct tq_plane_scalars *scalars) {
    double error = (double)tq_f32_from_f16(scalars->second.error);
    if (isinf(error)) return INFINITY;
    double scale = (double)tq_f32_from_f16(scalars->second.scale);
    double cosine = s->plane_scale * (2.0 * first + second) * scale;
    cosine += s->plane_slack * sqrt(1 + error * error);
    return tq_bound_score(&s->bound, tq_bound_upper(cosine, s->bound.zeta * error), (double)scalars->norm, +1);
}

struct tq_gate tq_gate_at(const struct tq_searcher *s, double bar) {
    return (struct tq_gate){.bar = bar, .cosine = bar, .kappa = s->bound.zeta * tq_bound_perp(bar)};
}

bool tq_bound_full(const struct tq_searcher *s, const uint8_t *record, const struct tq_code_dots *dots, double upper,
                   const struct tq_gate *gate, struct tq_refined *refined) {
    const struct tq_format *format = &s->codec->format;
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    double gamma = (double)tq_f32_from_f16(tail.gamma) / s->sqrt_dim;
    double error = (double)tq_f32_from_f16(tail.error), norm = (double)tail.norm;
    double cosine = (double)tail.scale *
                    (dots->code * s->query->code_step + gamma * dots->sketch * s->query->sketch_step);
    double sketch_slack = s->query_slack * (double)tail.scale * gamma * s->sqrt_dim;
    if (!tq_gate_open(s, gate, cosine + s->code_slack * tq_gate_length(error) + sketch_slack, error, norm))
        return false;
    refined->estimate = tq_bound_score(&s->bound, cosine, norm, 0);
    double lower = -INFINITY;
    if (!isinf(error)) {
        double slack = s->code_slack * sqrt(1 + error * error) + sketch_slack, kappa = s->bound.zeta * error;
        double full = tq_bound_score(&s->bound, tq_bound_upper(cosine + slack, kappa), norm, +1);
        upper = fmin(upper, full);
        lower = tq_bound_score(&s->bound, tq_bound_lower(cosine - slack, kappa), norm, -1);
    }
    refined->upper = upper;
    refined->rank_key = fmin(upper, !s->proof || s->by_estimate ? refined->estimate : lower);
    return true;
}

enum tq_status tq_plane_scalars_get(const struct tq_searcher *s, uint32_t segment, uint32_t row,
                                    struct tq_plane_scalars *scalars) {
    struct tq_segment *from = tq_searcher_segment(s, segment);
    uint32_t block = row / TQ_BLOCK_ROWS, at = row % TQ_BLOCK_ROWS;
    const void *units = NULL;
    TQ_TRY(tq_segment_block(from, TQ_PLANE_FIRST_ERROR, block, &units));
    scalars->first_error = tq_f32_from_f16(((const uint16_t *)units)[at]);
    scalars->norm = 1;
    scalars->second = (struct tq_second_scalars){0, 0};
    if (s->codec->format.scan_planes > 1) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_SECOND_SCALARS, block, &units));
        scalars->second = ((const struct tq_second_scalars *)units)[at];
    }
    if (s->bound.metric != TQ_COSINE) {
        TQ_TRY(tq_segment_block(from, TQ_PLANE_NORM, block, &units));
        scalars->norm = ((const float *)units)[at];
    }
    return TQ_OK;
}
