/* index/bound.h and index/row_bound.c, operation by operation: the same doubles as the CPU's (--fmad=false), and tests
 * that come before them: of sums, and of full codes in floats, with room for rounding. */
#ifndef TQ_CUDA_BOUNDS_CUH
#define TQ_CUDA_BOUNDS_CUH

#include <cuda_fp16.h>

#include "kernels/cuda/question.cuh"

struct Tail {
    float scale, norm;
    uint32_t gamma_error, first_error, second; /* as words of the row: internal.h */
};
struct Dots {
    int32_t code, sketch, first, second;
};
/* u, m and the estimate of a row. */
struct Bounds {
    double upper, estimate, key;
};

__device__ __forceinline__ float half_value(uint32_t half) {
    return __half2float(__ushort_as_half((unsigned short)half));
}
__device__ __forceinline__ double infinity() { return __longlong_as_double(0x7ff0000000000000ll); }

/* ---- index/bound.h ---- */

__device__ __forceinline__ double bound_perp(double t) { return t <= 0 ? 1 : t >= 1 ? 0 : sqrt(1 - t * t); }

__device__ __forceinline__ double bound_upper(double estimate, double kappa) {
    if (estimate >= 1) return estimate;
    if (estimate <= -kappa) return estimate + kappa;
    return (estimate + kappa * sqrt(1 + kappa * kappa - estimate * estimate)) / (1 + kappa * kappa);
}

__device__ __forceinline__ double bound_lower(double estimate, double kappa) {
    if (estimate >= 1) estimate = 1;
    if (estimate <= kappa) return estimate - kappa;
    return (estimate - kappa * sqrt(1 + kappa * kappa - estimate * estimate)) / (1 + kappa * kappa);
}

__device__ __forceinline__ double bound_score(const tq_cuda_bounds &b, double cosine, double norm, int sign) {
    if (b.metric == 0) return cosine;
    if (b.metric == 1) return norm == 0 ? 0 : cosine * norm * b.query_norm;
    double norm2 = norm * norm, query2 = b.query_norm * b.query_norm;
    double base = -norm2 - query2 + sign * (2.5e-7 * norm2 + 4e-15 * query2);
    return norm == 0 ? base : base + 2 * norm * b.query_norm * cosine;
}

/* ---- index/row_bound.c ---- */

__device__ __forceinline__ double upper_first(const tq_cuda_bounds &b, int32_t first, const Tail &tail) {
    double error = half_value(tail.first_error);
    if (isinf(error)) return infinity();
    double length = sqrt(1 + error * error);
    double cosine = b.plane_scale * first + b.plane_slack;
    double stretched = b.packed && cosine < 0 ? cosine : cosine * length;
    return bound_score(b, bound_upper(stretched, b.zeta * error), tail.norm, +1);
}

__device__ __forceinline__ double upper_second(const tq_cuda_bounds &b, int32_t first, int32_t second,
                                               const Tail &tail) {
    if ((tail.second & 0xffffu) == 0) return infinity();
    double inverse = 1 / (double)(tail.second & 0xffffu), error = (tail.second >> 16) * inverse;
    double cosine = b.plane_scale * (2.0 * first + second) * (inverse * 16384.0);
    cosine += b.plane_slack * sqrt(1 + error * error);
    return bound_score(b, bound_upper(cosine, b.zeta * error), tail.norm, +1);
}

/* Rows that get here are few: one copy of all these doubles, so that those that do not keep their registers. */
static __device__ __noinline__ Bounds bound_row(const tq_cuda_bounds &b, Tail tail, Dots dots, double bar) {
    double gamma = b.qjl ? (double)half_value(tail.gamma_error & 0xffffu) / b.sqrt_dim : 0, scale = tail.scale;
    double cosine = scale * (dots.code * b.code_step + gamma * dots.sketch * b.sketch_step), norm = tail.norm;
    double error = b.packed ? 0 : (double)half_value(tail.gamma_error >> 16);
    double sketch_slack = b.query_slack * scale * gamma * b.sqrt_dim;
    double lower = -infinity(), upper = infinity(), estimate = bound_score(b, cosine, norm, 0);
    if (!isinf(error)) {
        double slack = b.code_slack * sqrt(1 + error * error) + sketch_slack;
        double kappa = b.zeta * error, high = bound_upper(cosine + slack, kappa);
        upper = bound_score(b, high, norm, +1);
        lower = bound_score(b, bound_lower(cosine - slack, kappa), norm, -1);
    }
    if (b.by_estimate)
        lower = estimate;
    else if (!b.proof)
        lower = estimate - 1.0 * (upper - estimate) / b.confidence;
    double key = fmin(upper, lower);
    if (!b.proof && b.query_norm > 0 && upper >= bar) {
        double planes = upper_first(b, dots.first, tail);
        if (b.scan_planes > 1) planes = fmin(planes, upper_second(b, dots.first, dots.second, tail));
        key = fmin(key, planes);
        upper = fmin(upper, planes);
    }
    return Bounds{upper, estimate, key};
}

/* ---- Sums ---- */

/* The least sum (question.cuh) that a row of cosine c has, but for one in some millions. 1: any row's; NaN, which
 * infinities make, is that too. */
__device__ __forceinline__ uint32_t sum_at_cosine(const Question &q, double cosine) {
    double sum = 0.5 * (cosine * q.line.mean - q.line.deviation + q.line.absolute);
    if (!(sum >= 1)) return 1;
    return sum >= SUM_NEVER ? (uint32_t)SUM_NEVER : (uint32_t)sum + 1;
}

/* The smallest cosine at which a row with a norm in [low, high] reaches the bar: index/bound.c. */
__device__ __forceinline__ double cosine_in_range(const tq_cuda_bounds &b, double bar, double low, double high) {
    double q = b.query_norm;
    if (b.metric == 0) return bar;
    if (b.metric == 1) return bar / ((bar > 0 ? high : low) * q);
    double a = (bar + q * q * (1 - 4e-15)) / (1 - 2.5e-7), best = a > 0 ? sqrt(a) : low;
    double norm = best < low ? low : best > high ? high : best;
    return (bar + q * q * (1 - 4e-15) + norm * norm * (1 - 2.5e-7)) / (2 * norm * q);
}

/* About the best score at a cosine in a group with these norms, in the order of unsigned numbers: where norms matter,
 * rows to begin with are not those of the largest sums. */
__device__ __forceinline__ uint32_t rank_at_cosine(const Question &q, float cosine, float2 norms) {
    float length = (float)q.bounds.query_norm, score;
    if (q.bounds.metric == 1) {
        score = cosine * (cosine > 0 ? norms.y : norms.x);
    } else {
        float norm = fminf(fmaxf(length * cosine, norms.x), norms.y);
        score = norm * (2 * length * cosine - norm);
    }
    if (!(score == score)) return 0;
    uint32_t bits = __float_as_uint(score);
    return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

/* That of a sum. */
__device__ __forceinline__ uint32_t rank_of(const Question &q, uint32_t sum, float2 norms) {
    return rank_at_cosine(q, (2.0f * (float)(sum - 1) - (float)q.line.absolute) / (float)q.line.mean, norms);
}

/* The least sum of that rank, or SUM_NEVER; it grows with the sum. */
__device__ inline uint32_t sum_of_rank(const Question &q, uint32_t rank, float2 norms) {
    uint32_t low = 1, high = SUM_NEVER; /* high reaches it, or none does */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (rank_of(q, middle, norms) >= rank)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- Full codes in floats ---- */

/* Whether a row's full code may reach the bar, with room for rounding: spares nearly all rows the doubles. These are in
 * registers. */
struct Fast {
    float code, sketch, bar, kappa, slack, sketch_slack;
    int32_t metric;
};
/* And these, for where norms matter, are not. */
struct FastNorms {
    float bar, query_norm, query_square, zeta;
};

enum { FAST_ALWAYS = -1 /* for a metric: every row may */ };

__device__ inline Fast make_fast(const tq_cuda_bounds &b, double bar) {
    Fast fast;
    fast.code = (float)b.code_step;
    fast.sketch = b.qjl ? (float)(b.sketch_step / b.sqrt_dim) : 0;
    fast.bar = (float)bar - 2e-5f;
    fast.kappa = (float)(b.zeta * bound_perp(bar));
    fast.slack = (float)b.code_slack;
    fast.sketch_slack = (float)b.query_slack;
    fast.metric = isinf(bar) ? (int32_t)FAST_ALWAYS : b.metric;
    return fast;
}

__device__ inline FastNorms make_fast_norms(const tq_cuda_bounds &b, double bar) {
    return FastNorms{(float)bar, (float)b.query_norm, (float)(b.query_norm * b.query_norm), (float)b.zeta};
}

/* The cosine that a row of this norm needs, less what floats may err by; and kappa there. */
__device__ __forceinline__ float needed_cosine(const FastNorms &fast, int32_t metric, float norm, float *kappa) {
    float product = norm * fast.query_norm, square = norm * norm;
    *kappa = fast.zeta;
    float terms = metric == 1 ? fabsf(fast.bar) : 0.5f * (fabsf(fast.bar) + fast.query_square + square);
    float needed = metric == 1 ? fast.bar : 0.5f * (fast.bar + fast.query_square + square);
    if (!(product > 1e-30f) || !(terms < 1e37f)) return -1e30f; /* floats cannot tell */
    float cosine = (needed - 4e-6f * terms) / product - 2e-5f;
    if (cosine > 0) *kappa = fast.zeta * sqrtf(fmaxf(0.0f, 1.0f - cosine * cosine));
    return cosine;
}

__device__ __forceinline__ bool may_reach(const Fast &fast, const FastNorms &norms, const Tail &tail, const Dots &dots,
                                          bool packed) {
    float gamma = half_value(tail.gamma_error & 0xffffu), error = packed ? 0.0f : half_value(tail.gamma_error >> 16);
    float cosine = tail.scale * ((float)dots.code * fast.code + gamma * (float)dots.sketch * fast.sketch);
    float bar = fast.bar, kappa = fast.kappa;
    if (fast.metric > 0) bar = needed_cosine(norms, fast.metric, tail.norm, &kappa);
    float more = fast.slack * (1.0f + error) + fast.sketch_slack * tail.scale * gamma + kappa * error;
    bool below = cosine + more * 1.00001f < bar; /* an infinite error may make NaN of it: not below */
    return fast.metric == FAST_ALWAYS || !below;
}

#endif
