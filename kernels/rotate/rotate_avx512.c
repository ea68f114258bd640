/* Rotation with 16 floats a vector.
 *
 * A Hadamard run of up to 256 elements stays in 16 registers: the stages h = 1, 2, 4, 8 act inside a vector,
 * those from 16 on between vectors. Longer runs add passes over memory that do two stages each.
 * Inside     lane i of stage h becomes partner + x (i & h == 0) or partner - x. One shuffle and one
 *            vfmadd213ps with +-1 do both: x * +-1 is exact, so the single rounding is that of the sum.
 * Used       vpermilps, vshuff32x4 (p5), vfmaddps, vaddps, vsubps (p05), vgatherdps for the permutation.
 * Per vector 8 operations of stages 1..8 and one per later stage, one multiply: 13 for span 256.
 * Bound      ports 0 and 5: 6.5 cycles per 16 elements mixed and round; with a permutation the gather, about
 *            3/4 of a cycle an element, comes on top and dominates. Memory is L1. */
#include <immintrin.h>

#include "kernels/impl.h"
#include "kernels/rotate/rounds.h"

enum { LANES = 16, RUN_MAX = 256 };

static inline __m512 lane_signs(__mmask16 minus) {
    return _mm512_mask_blend_ps(minus, _mm512_set1_ps(1.0f), _mm512_set1_ps(-1.0f));
}

/* Stages h = 1 .. min(n, 16) / 2 of one vector. */
static inline __m512 mix_lanes(__m512 x, size_t n) {
    if (n > 1) x = _mm512_fmadd_ps(x, lane_signs(0xaaaa), _mm512_permute_ps(x, 0xb1));
    if (n > 2) x = _mm512_fmadd_ps(x, lane_signs(0xcccc), _mm512_permute_ps(x, 0x4e));
    if (n > 4) x = _mm512_fmadd_ps(x, lane_signs(0xf0f0), _mm512_shuffle_f32x4(x, x, 0xb1));
    if (n > 8) x = _mm512_fmadd_ps(x, lane_signs(0xff00), _mm512_shuffle_f32x4(x, x, 0x4e));
    return x;
}

static inline __attribute__((always_inline)) void join(__m512 *x, int half) {
    for (int i = 0; i < half; i++) {
        __m512 a = x[i], b = x[i + half];
        x[i] = _mm512_add_ps(a, b);
        x[i + half] = _mm512_sub_ps(a, b);
    }
}

static inline __attribute__((always_inline)) void mix_2(__m512 *x) { join(x, 1); }

static inline __attribute__((always_inline)) void mix_4(__m512 *x) {
    mix_2(x);
    mix_2(x + 2);
    join(x, 2);
}

static inline __attribute__((always_inline)) void mix_8(__m512 *x) {
    mix_4(x);
    mix_4(x + 4);
    join(x, 4);
}

static inline __attribute__((always_inline)) void mix_16(__m512 *x) {
    mix_8(x);
    mix_8(x + 8);
    join(x, 8);
}

/* The whole transform of `count` vectors in registers, then scale. */
static inline __attribute__((always_inline)) void transform_run(float *x, int count, float scale) {
    __m512 run[LANES];
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) run[i] = mix_lanes(_mm512_loadu_ps(x + i * LANES), LANES);
    if (count == 2) mix_2(run);
    if (count == 4) mix_4(run);
    if (count == 8) mix_8(run);
    if (count == 16) mix_16(run);
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) {
        _mm512_storeu_ps(x + i * LANES, _mm512_mul_ps(run[i], _mm512_set1_ps(scale)));
    }
}

static void transform_short(float *x, size_t n, float scale) {
    __mmask16 used = (__mmask16)_bzhi_u32(0xffff, (unsigned)n);
    __m512 run = mix_lanes(_mm512_maskz_loadu_ps(used, x), n);
    _mm512_mask_storeu_ps(x, used, _mm512_mul_ps(run, _mm512_set1_ps(scale)));
}

/* Stage h over memory: 2h-element pieces. */
static void pass_one(float *x, size_t n, size_t h, float scale) {
    __m512 scale_f32x16 = _mm512_set1_ps(scale);
    for (size_t base = 0; base < n; base += 2 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            __m512 pair[2] = {_mm512_loadu_ps(at), _mm512_loadu_ps(at + h)};
            mix_2(pair);
            _mm512_storeu_ps(at, _mm512_mul_ps(pair[0], scale_f32x16));
            _mm512_storeu_ps(at + h, _mm512_mul_ps(pair[1], scale_f32x16));
        }
    }
}

/* Stages h and 2h over memory: half the traffic of two single passes. */
static void pass_two(float *x, size_t n, size_t h, float scale) {
    __m512 scale_f32x16 = _mm512_set1_ps(scale);
    for (size_t base = 0; base < n; base += 4 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            __m512 quad[4] = {_mm512_loadu_ps(at), _mm512_loadu_ps(at + h), _mm512_loadu_ps(at + 2 * h),
                              _mm512_loadu_ps(at + 3 * h)};
            mix_4(quad);
            for (size_t k = 0; k < 4; k++) {
                _mm512_storeu_ps(at + k * h, _mm512_mul_ps(quad[k], scale_f32x16));
            }
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
    case 16: transform_run(x, 1, scale); break;
    case 32: transform_run(x, 2, scale); break;
    case 64: transform_run(x, 4, scale); break;
    case 128: transform_run(x, 8, scale); break;
    case 256: transform_run(x, 16, scale); break;
    default: n < LANES ? transform_short(x, n, scale) : transform_long(x, n, scale); break;
    }
}

static void hadamard(float *x, size_t n) { transform(x, n, 1.0f); }

/* (a,b,c) -> (a - s, b - s, c - s) with s = ((a + b) + c) * 2/3, then scale. */
static void reflect(float *x, size_t span, float scale) {
    __m512 scale_f32x16 = _mm512_set1_ps(scale), thirds_f32x16 = _mm512_set1_ps(0.6666667f);
    for (size_t i = 0; i < span; i += LANES) {
        __mmask16 used = (__mmask16)_bzhi_u32(0xffff, (unsigned)(span - i < LANES ? span - i : LANES));
        __m512 a = _mm512_maskz_loadu_ps(used, x + i);
        __m512 b = _mm512_maskz_loadu_ps(used, x + i + span);
        __m512 c = _mm512_maskz_loadu_ps(used, x + i + 2 * span);
        __m512 s = _mm512_mul_ps(_mm512_add_ps(_mm512_add_ps(a, b), c), thirds_f32x16);
        _mm512_mask_storeu_ps(x + i, used, _mm512_mul_ps(_mm512_sub_ps(a, s), scale_f32x16));
        _mm512_mask_storeu_ps(x + i + span, used, _mm512_mul_ps(_mm512_sub_ps(b, s), scale_f32x16));
        _mm512_mask_storeu_ps(x + i + 2 * span, used, _mm512_mul_ps(_mm512_sub_ps(c, s), scale_f32x16));
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

static void turn_range(const struct turn *turn, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i += LANES) {
        __mmask16 used = (__mmask16)_bzhi_u32(0xffff, (unsigned)(end - i < LANES ? end - i : LANES));
        __m512i signs_u32x16 = _mm512_maskz_loadu_epi32(used, turn->signs + i);
        __m512 x_f32x16;
        if (turn->permutation == NULL) {
            x_f32x16 = _mm512_maskz_loadu_ps(used, turn->from + i);
        } else { /* lanes beyond the end read from[0] */
            __m512i source_u32x16 = _mm512_maskz_loadu_epi32(used, turn->permutation + i);
            x_f32x16 = _mm512_i32gather_ps(source_u32x16, turn->from, 4);
        }
        x_f32x16 = _mm512_xor_ps(x_f32x16, _mm512_castsi512_ps(signs_u32x16));
        _mm512_mask_storeu_ps(turn->to + i, used, x_f32x16);
    }
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

const struct tq_rotate_impl tq_rotate_avx512 = {.rotate = rotate, .hadamard = hadamard};
