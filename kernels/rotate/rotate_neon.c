/* Rotation with 4 floats a vector.
 *
 * A Hadamard run of up to 64 elements stays in 16 of the 32 registers: the stages h = 1 and 2 act inside a vector,
 * 4 to 32 between vectors. Longer runs add passes over memory that do two stages each.
 * Inside     lane i of stage h becomes partner + x (i & h == 0) or partner - x. One shuffle and one fmla with +-1
 *            do both: x * +-1 is exact, so the single rounding is that of the sum.
 * Used       rev64, ext, fmla, fadd, fsub, fmul; ld1 to lanes for the permutation.
 * Per vector 4 operations of stages 1 and 2, one per later stage, one multiply: 9 for span 64. Bound: two vector
 *            pipes, about 4.5 cycles per 4 elements mixed and round, half of that on four; a permutation is loads
 *            of single elements, about 1 cycle each, and comes on top. Memory is L1. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/impl.h"
#include "kernels/rotate/rounds.h"

enum { LANES = 4, RUN_MAX = 64 };

/* Stages h = 1 and 2 of one vector. */
static inline float32x4_t mix_lanes(float32x4_t x) {
    static const float signs[2][LANES] = {{1, -1, 1, -1}, {1, 1, -1, -1}};
    x = vfmaq_f32(vrev64q_f32(x), x, vld1q_f32(signs[0]));
    return vfmaq_f32(vextq_f32(x, x, 2), x, vld1q_f32(signs[1]));
}

static inline __attribute__((always_inline)) void join(float32x4_t *x, int half) {
    for (int i = 0; i < half; i++) {
        float32x4_t a = x[i], b = x[i + half];
        x[i] = vaddq_f32(a, b);
        x[i + half] = vsubq_f32(a, b);
    }
}

static inline __attribute__((always_inline)) void mix_2(float32x4_t *x) { join(x, 1); }

static inline __attribute__((always_inline)) void mix_4(float32x4_t *x) {
    mix_2(x);
    mix_2(x + 2);
    join(x, 2);
}

static inline __attribute__((always_inline)) void mix_8(float32x4_t *x) {
    mix_4(x);
    mix_4(x + 4);
    join(x, 4);
}

static inline __attribute__((always_inline)) void mix_16(float32x4_t *x) {
    mix_8(x);
    mix_8(x + 8);
    join(x, 8);
}

/* The whole transform of `count` vectors in registers, then scale. */
static inline __attribute__((always_inline)) void transform_run(float *x, int count, float scale) {
    float32x4_t run[RUN_MAX / LANES];
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) run[i] = mix_lanes(vld1q_f32(x + i * LANES));
    if (count == 2) mix_2(run);
    if (count == 4) mix_4(run);
    if (count == 8) mix_8(run);
    if (count == 16) mix_16(run);
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) vst1q_f32(x + i * LANES, vmulq_f32(run[i], vdupq_n_f32(scale)));
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
    float32x4_t scale_f32x4 = vdupq_n_f32(scale);
    for (size_t base = 0; base < n; base += 2 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            float32x4_t pair[2] = {vld1q_f32(at), vld1q_f32(at + h)};
            mix_2(pair);
            vst1q_f32(at, vmulq_f32(pair[0], scale_f32x4));
            vst1q_f32(at + h, vmulq_f32(pair[1], scale_f32x4));
        }
    }
}

/* Stages h and 2h over memory: half the traffic of two single passes. */
static void pass_two(float *x, size_t n, size_t h, float scale) {
    float32x4_t scale_f32x4 = vdupq_n_f32(scale);
    for (size_t base = 0; base < n; base += 4 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            float32x4_t quad[4] = {vld1q_f32(at), vld1q_f32(at + h), vld1q_f32(at + 2 * h), vld1q_f32(at + 3 * h)};
            mix_4(quad);
            for (size_t k = 0; k < 4; k++) vst1q_f32(at + k * h, vmulq_f32(quad[k], scale_f32x4));
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
    case 64: transform_run(x, 16, scale); break;
    default: n < LANES ? transform_short(x, n, scale) : transform_long(x, n, scale); break;
    }
}

static void hadamard(float *x, size_t n) { transform(x, n, 1.0f); }

/* (a,b,c) -> (a - s, b - s, c - s) with s = ((a + b) + c) * 2/3, then scale. */
static void reflect(float *x, size_t span, float scale) {
    float32x4_t scale_f32x4 = vdupq_n_f32(scale), thirds_f32x4 = vdupq_n_f32(0.6666667f);
    size_t i = 0;
    for (; i + LANES <= span; i += LANES) {
        float32x4_t a = vld1q_f32(x + i), b = vld1q_f32(x + i + span), c = vld1q_f32(x + i + 2 * span);
        float32x4_t s = vmulq_f32(vaddq_f32(vaddq_f32(a, b), c), thirds_f32x4);
        vst1q_f32(x + i, vmulq_f32(vsubq_f32(a, s), scale_f32x4));
        vst1q_f32(x + i + span, vmulq_f32(vsubq_f32(b, s), scale_f32x4));
        vst1q_f32(x + i + 2 * span, vmulq_f32(vsubq_f32(c, s), scale_f32x4));
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
    float32x4_t x;
    if (turn->permutation == NULL) {
        x = vld1q_f32(turn->from + i);
    } else {
        const uint32_t *source = turn->permutation + i;
        x = vld1q_dup_f32(turn->from + source[0]);
        x = vld1q_lane_f32(turn->from + source[1], x, 1);
        x = vld1q_lane_f32(turn->from + source[2], x, 2);
        x = vld1q_lane_f32(turn->from + source[3], x, 3);
    }
    uint32x4_t flipped = veorq_u32(vreinterpretq_u32_f32(x), vld1q_u32(turn->signs + i));
    vst1q_f32(turn->to + i, vreinterpretq_f32_u32(flipped));
}

static inline void turn_one(const struct turn *turn, size_t i) {
    uint32_t bits;
    memcpy(&bits, turn->from + (turn->permutation == NULL ? i : turn->permutation[i]), sizeof bits);
    bits ^= turn->signs[i];
    memcpy(turn->to + i, &bits, sizeof bits);
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

const struct tq_rotate_impl tq_rotate_neon = {.rotate = rotate, .hadamard = hadamard};
