#include "index/bound.h"

double tq_bound_cosine_range(const struct tq_bound *b, double bar, double low, double high) {
    if (b->metric == TQ_COSINE) return bar;
    if (b->metric == TQ_IP) return tq_bound_cosine(b, bar, bar > 0 ? high : low);
    /* (A + c n^2) / (2 n q) is convex in n where A > 0, with its minimum at n = sqrt(A / c); else it grows with n. */
    double a = (bar + b->query_norm * b->query_norm * (1 - TQ_SLACK_QUERY2)) / (1 - TQ_SLACK_NORM2);
    double best = a > 0 ? sqrt(a) : low;
    return tq_bound_cosine(b, bar, best < low ? low : best > high ? high : best);
}
