/* Rotation with 4 floats a vector.
 *
 * A Hadamard run of up to 32 elements stays in 8 of the 16 registers: the stages h = 1 and 2 act inside a vector,
 * 4, 8 and 16 between vectors. Longer runs add passes over memory that do two stages each.
 * Inside     lane i of stage h becomes partner + x (i & h == 0) or partner - x: a shuffle, a flip of signs, a sum.
 * Used       pshufd (p15), xorps (p015), addps, subps, mulps (p01).
 * Per vector 6 operations of stages 1 and 2, one per later stage, one multiply: 11 for span 64, and two or four
 *            loads and stores. Bound: ports 0 and 1, about 4 cycles per 4 elements mixed and round; a permutation
 *            is loads of single elements, about 1 cycle each, and comes on top. Memory is L1. */
#include <tmmintrin.h>

#include "kernels/impl.h"
#include "kernels/rotate/rounds.h"

enum { LANES = 4, RUN_MAX = 32 };

/* Stages h = 1 and 2 of one vector. */
static inline __m128 mix_lanes(__m128 x) {
    const __m128 signs_1 = _mm_setr_ps(0.0f, -0.0f, 0.0f, -0.0f), signs_2 = _mm_setr_ps(0.0f, 0.0f, -0.0f, -0.0f);
    x = _mm_add_ps(_mm_shuffle_ps(x, x, 0xb1), _mm_xor_ps(x, signs_1));
    return _mm_add_ps(_mm_shuffle_ps(x, x, 0x4e), _mm_xor_ps(x, signs_2));
}

static inline __attribute__((always_inline)) void join(__m128 *x, int half) {
    for (int i = 0; i < half; i++) {
        __m128 a = x[i], b = x[i + half];
        x[i] = _mm_add_ps(a, b);
        x[i + half] = _mm_sub_ps(a, b);
    }
}

static inline __attribute__((always_inline)) void mix_2(__m128 *x) { join(x, 1); }

static inline __attribute__((always_inline)) void mix_4(__m128 *x) {
    mix_2(x);
    mix_2(x + 2);
    join(x, 2);
}

static inline __attribute__((always_inline)) void mix_8(__m128 *x) {
    mix_4(x);
    mix_4(x + 4);
    join(x, 4);
}

/* The whole transform of `count` vectors in registers, then scale. */
static inline __attribute__((always_inline)) void transform_run(float *x, int count, float scale) {
    __m128 run[RUN_MAX / LANES];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) run[i] = mix_lanes(_mm_loadu_ps(x + i * LANES));
    if (count == 2) mix_2(run);
    if (count == 4) mix_4(run);
    if (count == 8) mix_8(run);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) _mm_storeu_ps(x + i * LANES, _mm_mul_ps(run[i], _mm_set1_ps(scale)));
}

/* One or two elements. */
static void transform_short(float *x, size_t n, float scale) {
    if (n == 2) {
        float a = x[0], b = x[1];
        x[0] = a + b;
        x[1] = a - b;
    }
    for (size_t i = 0; i < n; i++) x[i] *= scale;
}

/* Stage h over memory: 2h-element pieces. */
static void pass_one(float *x, size_t n, size_t h, float scale) {
    __m128 scale_f32x4 = _mm_set1_ps(scale);
    for (size_t base = 0; base < n; base += 2 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            __m128 pair[2] = {_mm_loadu_ps(at), _mm_loadu_ps(at + h)};
            mix_2(pair);
            _mm_storeu_ps(at, _mm_mul_ps(pair[0], scale_f32x4));
            _mm_storeu_ps(at + h, _mm_mul_ps(pair[1], scale_f32x4));
        }
    }
}

/* Stages h and 2h over memory: half the traffic of two single passes. */
static void pass_two(float *x, size_t n, size_t h, float scale) {
    __m128 scale_f32x4 = _mm_set1_ps(scale);
    for (size_t base = 0; base < n; base += 4 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            __m128 quad[4] = {_mm_loadu_ps(at), _mm_loadu_ps(at + h), _mm_loadu_ps(at + 2 * h),
                              _mm_loadu_ps(at + 3 * h)};
            mix_4(quad);
            for (size_t k = 0; k < 4; k++) _mm_storeu_ps(at + k * h, _mm_mul_ps(quad[k], scale_f32x4));
        }
    }
}

static void transform_long(float *x, size_t n, float scale) {
    size_t h = RUN_MAX;
    for (size_t i = 0; i < n; i += RUN_MAX) transform_run(x + i, RUN_MAX / LANES, 1.0f);
    if (__builtin_ctzll(n / RUN_MAX) % 2 == 1) {
        pass_one(x, n, h, n == 2 * h ? scale : 1.0f);
        h *= 2;
    }
    for (; h < n; h *= 4) pass_two(x, n, h, 4 * h == n ? scale : 1.0f);
}

/* scale 1 is exact, so the plain transform needs no code of its own. */
static void transform(float *x, size_t n, float scale) {
    switch (n) {
    case 4: transform_run(x, 1, scale); break;
    case 8: transform_run(x, 2, scale); break;
    case 16: transform_run(x, 4, scale); break;
    case 32: transform_run(x, 8, scale); break;
    default: n < LANES ? transform_short(x, n, scale) : transform_long(x, n, scale); break;
    }
}

static void hadamard(float *x, size_t n) { transform(x, n, 1.0f); }

/* (a,b,c) -> (a - s, b - s, c - s) with s = ((a + b) + c) * 2/3, then scale. */
static void reflect(float *x, size_t span, float scale) {
    __m128 scale_f32x4 = _mm_set1_ps(scale), thirds_f32x4 = _mm_set1_ps(0.6666667f);
    size_t i = 0;
    for (; i + LANES <= span; i += LANES) {
        __m128 a = _mm_loadu_ps(x + i), b = _mm_loadu_ps(x + i + span), c = _mm_loadu_ps(x + i + 2 * span);
        __m128 s = _mm_mul_ps(_mm_add_ps(_mm_add_ps(a, b), c), thirds_f32x4);
        _mm_storeu_ps(x + i, _mm_mul_ps(_mm_sub_ps(a, s), scale_f32x4));
        _mm_storeu_ps(x + i + span, _mm_mul_ps(_mm_sub_ps(b, s), scale_f32x4));
        _mm_storeu_ps(x + i + 2 * span, _mm_mul_ps(_mm_sub_ps(c, s), scale_f32x4));
    }
    for (; i < span; i++) { /* spans of 1 and 2 */
        float *a = x + i, *b = a + span, *c = b + span, s = ((*a + *b) + *c) * 0.6666667f;
        *a = (*a - s) * scale;
        *b = (*b - s) * scale;
        *c = (*c - s) * scale;
    }
}

static void mix(const struct tq_rotation *rotation, uint32_t round, float *x) {
    size_t span = rotation->span, touched = rotation->parts * span;
    float *run = x + tq_round_start(rotation, round);
    float scale = rotation->parts == 3 ? 1.0f : rotation->scale;
    for (size_t i = 0; i < touched; i += span) transform(run + i, span, scale);
    if (rotation->parts == 3) reflect(run, span, rotation->scale);
}

struct turn {
    const float *from;
    const uint32_t *permutation, *signs;
    float *to;
};

static inline void turn_lanes(const struct turn *turn, size_t i) {
    __m128 signs = _mm_castsi128_ps(_mm_loadu_si128((const __m128i *)(const void *)(turn->signs + i)));
    __m128 x_f32x4;
    if (turn->permutation == NULL) {
        x_f32x4 = _mm_loadu_ps(turn->from + i);
    } else {
        const uint32_t *source = turn->permutation + i;
        x_f32x4 = _mm_setr_ps(turn->from[source[0]], turn->from[source[1]], turn->from[source[2]],
                              turn->from[source[3]]);
    }
    _mm_storeu_ps(turn->to + i, _mm_xor_ps(x_f32x4, signs));
}

static inline void turn_one(const struct turn *turn, size_t i) {
    __m128 sign = _mm_castsi128_ps(_mm_cvtsi32_si128((int)turn->signs[i]));
    __m128 x = _mm_load_ss(turn->from + (turn->permutation == NULL ? i : turn->permutation[i]));
    _mm_store_ss(turn->to + i, _mm_xor_ps(x, sign));
}

static inline void turn_range(const struct turn *turn, size_t first, size_t end) {
    size_t i = first;
    for (; i + LANES <= end; i += LANES) turn_lanes(turn, i);
    for (; i < end; i++) turn_one(turn, i);
}

/* In two ranges, so that mix loads vectors where this stored them: a load across two recent stores stalls. */
static void turn(const struct tq_rotation *rotation, uint32_t round, const float *from, float *to) {
    size_t first = (size_t)round * rotation->dim, start = tq_round_start(rotation, round);
    const uint32_t *permutation = rotation->permutation;
    struct turn job = {.from = from,
                       .permutation = permutation == NULL ? NULL : permutation + first,
                       .signs = rotation->signs + first,
                       .to = to};
    turn_range(&job, 0, start);
    turn_range(&job, start, rotation->dim);
}

static void rotate(const struct tq_rotation *rotation, const float *in, float *out) {
    tq_rounds_any(rotation, in, out, turn, mix);
}

const struct tq_rotate_impl tq_rotate_ssse3 = {.rotate = rotate, .hadamard = hadamard};
