/* Error bounds: from an estimate of a cosine to the largest and smallest score a row can have.
 *
 * A code x_hat of the direction u, scaled so that <u, x_hat> = 1, is u + e with e orthogonal to u and |e| = tan(theta),
 * a number stored with the row. So for a unit query q the estimate <q, x_hat> = v + <q_perp, e>, where v = <q, u> is
 * the true cosine and |q_perp| = sqrt(1 - v^2). By Cauchy-Schwarz it errs by at most sqrt(1 - v^2) tan(theta): a
 * proof. For a random rotation the error is about normal with 1/sqrt(d - 1) of that: `zeta` below scales the bound,
 * 1 for the proof, z / sqrt(d - 1) for confidence z. Solving v <= estimate + zeta tan(theta) sqrt(1 - v^2) for the
 * largest v makes the bound a property of the row alone, so no answer depends on the order rows were read in.
 * Source: RaBitQ (arXiv 2405.12497) section 3.2 for the bound on signs; docs/decisions/0003 for this form. */
#ifndef TQ_BOUND_H
#define TQ_BOUND_H

#include <math.h>

#include "src/tq.h"

/* Roundings that a proof has to cover, in units of the code's length. Scan planes: halves stored with a relative
 * error of 2^-10. Full code: f32 arithmetic of rotation and scale. */
#define TQ_SLACK_PLANE 1e-3
#define TQ_SLACK_CODE 4e-6
/* Norms are stored as f32: |x|^2 is known to this relative error; |q|^2 to that of a few double operations. */
#define TQ_SLACK_NORM2 2.5e-7
#define TQ_SLACK_QUERY2 4e-15

struct tq_bound {
    enum tq_metric metric;
    double zeta;       /* 0 < zeta <= 1 */
    double query_norm; /* |q| > 0 */
};

/* The part of a unit query orthogonal to any row whose cosine is at least t. */
static inline double tq_bound_perp(double t) { return t <= 0 ? 1 : t >= 1 ? 0 : sqrt(1 - t * t); }

/* Largest cosine v with v - kappa * perp(v) <= estimate. */
static inline double tq_bound_upper(double estimate, double kappa) {
    if (estimate >= 1) return estimate;
    if (estimate <= -kappa) return estimate + kappa;
    return (estimate + kappa * sqrt(1 + kappa * kappa - estimate * estimate)) / (1 + kappa * kappa);
}

/* Smallest cosine v with v + kappa * perp(v) >= estimate. */
static inline double tq_bound_lower(double estimate, double kappa) {
    if (estimate >= 1) estimate = 1;
    if (estimate <= kappa) return estimate - kappa;
    return (estimate - kappa * sqrt(1 + kappa * kappa - estimate * estimate)) / (1 + kappa * kappa);
}

/* The score of a row of norm `norm` at a cosine; `sign` +1 or -1 widens it by what the norm's rounding can do. */
static inline double tq_bound_score(const struct tq_bound *b, double cosine, double norm, int sign) {
    if (b->metric == TQ_COSINE) return cosine;
    if (b->metric == TQ_IP) return norm == 0 ? 0 : cosine * norm * b->query_norm;
    double norm2 = norm * norm, query2 = b->query_norm * b->query_norm;
    double base = -norm2 - query2 + sign * (TQ_SLACK_NORM2 * norm2 + TQ_SLACK_QUERY2 * query2);
    return norm == 0 ? base : base + 2 * norm * b->query_norm * cosine;
}

/* The cosine at which a row of this norm reaches the score `bar`: below it, it cannot. norm > 0 unless cosine. */
static inline double tq_bound_cosine(const struct tq_bound *b, double bar, double norm) {
    if (b->metric == TQ_COSINE) return bar;
    if (b->metric == TQ_IP) return bar / (norm * b->query_norm);
    double q = b->query_norm;
    return (bar + q * q * (1 - TQ_SLACK_QUERY2) + norm * norm * (1 - TQ_SLACK_NORM2)) / (2 * norm * q);
}

/* The smallest such cosine over norms in [low, high], low > 0. */
double tq_bound_cosine_range(const struct tq_bound *b, double bar, double low, double high);

#endif
