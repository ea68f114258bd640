/* Rotation with 8 floats a vector.
 *
 * A Hadamard run of up to 64 elements stays in 8 of the 16 registers: the stages h = 1, 2, 4 act inside a
 * vector, 8, 16 and 32 between vectors. Longer runs add passes over memory that do two stages each.
 * Inside     lane i of stage h becomes partner + x (i & h == 0) or partner - x. One shuffle and one
 *            vfmadd with +-1 do both: x * +-1 is exact, so the single rounding is that of the sum.
 * Used       vpermilps, vperm2f128 (p5), vfmaddps, vaddps, vsubps (p01), vgatherdps for the permutation.
 * Per vector 6 operations of stages 1..4 and one per later stage, one multiply: 12 for span 256, and two
 *            loads and stores. Bound: ports 0 and 1, about 4.5 cycles per 8 elements mixed and round; the
 *            gather of a permutation, 3/4 of a cycle an element, comes on top. Memory is L1. */
#include <immintrin.h>

#include "kernels/impl.h"
#include "kernels/rotate/rounds.h"

enum { LANES = 8, RUN_MAX = 64 };

static inline __m256i first_lanes(size_t n) {
    static const int32_t window[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(window + LANES - (n < LANES ? n : LANES)));
}

/* Stages h = 1 .. min(n, 8) / 2 of one vector. */
static inline __m256 mix_lanes(__m256 x, size_t n) {
    const __m256 signs_1 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
    const __m256 signs_2 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 signs_4 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);
    if (n > 1) x = _mm256_fmadd_ps(x, signs_1, _mm256_permute_ps(x, 0xb1));
    if (n > 2) x = _mm256_fmadd_ps(x, signs_2, _mm256_permute_ps(x, 0x4e));
    if (n > 4) x = _mm256_fmadd_ps(x, signs_4, _mm256_permute2f128_ps(x, x, 1));
    return x;
}

static inline __attribute__((always_inline)) void join(__m256 *x, int half) {
    for (int i = 0; i < half; i++) {
        __m256 a = x[i], b = x[i + half];
        x[i] = _mm256_add_ps(a, b);
        x[i + half] = _mm256_sub_ps(a, b);
    }
}

static inline __attribute__((always_inline)) void mix_2(__m256 *x) { join(x, 1); }

static inline __attribute__((always_inline)) void mix_4(__m256 *x) {
    mix_2(x);
    mix_2(x + 2);
    join(x, 2);
}

static inline __attribute__((always_inline)) void mix_8(__m256 *x) {
    mix_4(x);
    mix_4(x + 4);
    join(x, 4);
}

/* The whole transform of `count` vectors in registers, then scale. */
static inline __attribute__((always_inline)) void transform_run(float *x, int count, float scale) {
    __m256 run[LANES];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) run[i] = mix_lanes(_mm256_loadu_ps(x + i * LANES), LANES);
    if (count == 2) mix_2(run);
    if (count == 4) mix_4(run);
    if (count == 8) mix_8(run);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        _mm256_storeu_ps(x + i * LANES, _mm256_mul_ps(run[i], _mm256_set1_ps(scale)));
    }
}

static void transform_short(float *x, size_t n, float scale) {
    __m256i used = first_lanes(n);
    __m256 run = mix_lanes(_mm256_maskload_ps(x, used), n);
    _mm256_maskstore_ps(x, used, _mm256_mul_ps(run, _mm256_set1_ps(scale)));
}

/* Stage h over memory: 2h-element pieces. */
static void pass_one(float *x, size_t n, size_t h, float scale) {
    __m256 scale_f32x8 = _mm256_set1_ps(scale);
    for (size_t base = 0; base < n; base += 2 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            __m256 pair[2] = {_mm256_loadu_ps(at), _mm256_loadu_ps(at + h)};
            mix_2(pair);
            _mm256_storeu_ps(at, _mm256_mul_ps(pair[0], scale_f32x8));
            _mm256_storeu_ps(at + h, _mm256_mul_ps(pair[1], scale_f32x8));
        }
    }
}

/* Stages h and 2h over memory: half the traffic of two single passes. */
static void pass_two(float *x, size_t n, size_t h, float scale) {
    __m256 scale_f32x8 = _mm256_set1_ps(scale);
    for (size_t base = 0; base < n; base += 4 * h) {
        for (float *at = x + base; at < x + base + h; at += LANES) {
            __m256 quad[4] = {_mm256_loadu_ps(at), _mm256_loadu_ps(at + h), _mm256_loadu_ps(at + 2 * h),
                              _mm256_loadu_ps(at + 3 * h)};
            mix_4(quad);
            for (size_t k = 0; k < 4; k++) {
                _mm256_storeu_ps(at + k * h, _mm256_mul_ps(quad[k], scale_f32x8));
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
    case 8: transform_run(x, 1, scale); break;
    case 16: transform_run(x, 2, scale); break;
    case 32: transform_run(x, 4, scale); break;
    case 64: transform_run(x, 8, scale); break;
    default: n < LANES ? transform_short(x, n, scale) : transform_long(x, n, scale); break;
    }
}

static void hadamard(float *x, size_t n) { transform(x, n, 1.0f); }

/* (a,b,c) -> (a - s, b - s, c - s) with s = ((a + b) + c) * 2/3, then scale. */
static void reflect(float *x, size_t span, float scale) {
    __m256 scale_f32x8 = _mm256_set1_ps(scale), thirds_f32x8 = _mm256_set1_ps(0.6666667f);
    for (size_t i = 0; i < span; i += LANES) {
        __m256i used = first_lanes(span - i);
        __m256 a = _mm256_maskload_ps(x + i, used);
        __m256 b = _mm256_maskload_ps(x + i + span, used);
        __m256 c = _mm256_maskload_ps(x + i + 2 * span, used);
        __m256 s = _mm256_mul_ps(_mm256_add_ps(_mm256_add_ps(a, b), c), thirds_f32x8);
        _mm256_maskstore_ps(x + i, used, _mm256_mul_ps(_mm256_sub_ps(a, s), scale_f32x8));
        _mm256_maskstore_ps(x + i + span, used, _mm256_mul_ps(_mm256_sub_ps(b, s), scale_f32x8));
        _mm256_maskstore_ps(x + i + 2 * span, used, _mm256_mul_ps(_mm256_sub_ps(c, s), scale_f32x8));
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

static inline void turn_lanes(const struct turn *turn, size_t i, __m256i used) {
    __m256i signs_u32x8 = _mm256_maskload_epi32((const int *)(turn->signs + i), used);
    __m256 x_f32x8;
    if (turn->permutation == NULL) {
        x_f32x8 = _mm256_maskload_ps(turn->from + i, used);
    } else { /* lanes beyond the end read from[0] */
        __m256i source_i32x8 = _mm256_maskload_epi32((const int *)(turn->permutation + i), used);
        x_f32x8 = _mm256_i32gather_ps(turn->from, source_i32x8, 4);
    }
    _mm256_maskstore_ps(turn->to + i, used, _mm256_xor_ps(x_f32x8, _mm256_castsi256_ps(signs_u32x8)));
}

/* In two ranges, so that mix loads vectors where this stored them: a load across two recent stores stalls. */
static void turn(const struct tq_rotation *rotation, uint32_t round, const float *from, float *to) {
    size_t first = (size_t)round * rotation->dim, start = tq_round_start(rotation, round);
    const uint32_t *permutation = rotation->permutation;
    struct turn job = {.from = from,
                       .permutation = permutation == NULL ? NULL : permutation + first,
                       .signs = rotation->signs + first,
                       .to = to};
    for (size_t i = 0; i < start; i += LANES) turn_lanes(&job, i, first_lanes(start - i));
    for (size_t i = start; i < rotation->dim; i += LANES) turn_lanes(&job, i, first_lanes(rotation->dim - i));
}

static void rotate(const struct tq_rotation *rotation, const float *in, float *out) {
    tq_rounds_any(rotation, in, out, turn, mix);
}

const struct tq_rotate_impl tq_rotate_avx2 = {.rotate = rotate, .hadamard = hadamard};
