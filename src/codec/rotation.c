/* Rotations: seed -> random orthogonal map, exactly dim x dim (padding to a power of two would cost up to twice the
 * code bytes). Where each shape comes from, and how well it mixes: docs/decisions/0004-rotation.md.
 *
 *   2^k      3 rounds of signs, Hadamard
 *   3 2^k    3 rounds of signs, Hadamard (x) Householder-3: one orthogonal matrix over all coordinates
 *   others   4 rounds of signs and the largest Hadamard that fits, laid over the head and the tail in turn, with a
 *            random permutation before each head. Head and tail may share one coordinate only (dim 127): the
 *            permutation between the pairs is what mixes them. There is none between a head and its tail, which
 *            must reach every coordinate the head left out: with one, 6 % of the one-hot vectors of dim 127 and
 *            dim 1000 went through all four rounds untouched
 *
 * Knows nothing of codebooks. The forward map is a kernel; only its inverse, for decoding, is here. */
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/codec/codec.h"

/* Streams of the random numbers: one for the signs and one for the permutation of each round. */
enum draw { DRAW_SIGNS = 0, DRAW_PERMUTATION = 1 };

static uint64_t draw_stream(enum tq_rotation_stream stream, uint32_t round, enum draw draw) {
    return (uint64_t)stream << 32 | (uint64_t)round << 1 | (uint64_t)draw;
}

static void fill_signs(uint32_t *signs, uint32_t dim, uint64_t seed, uint64_t stream) {
    for (uint32_t j = 0; j < dim; j++) signs[j] = (uint32_t)(tq_rng_at(seed, stream, j) >> 63) << 31;
}

static void fill_identity(uint32_t *permutation, uint32_t dim) {
    for (uint32_t j = 0; j < dim; j++) permutation[j] = j;
}

/* Fisher-Yates */
static void fill_permutation(uint32_t *permutation, uint32_t dim, uint64_t seed, uint64_t stream) {
    fill_identity(permutation, dim);
    for (uint32_t j = dim - 1; j > 0; j--) {
        uint32_t other = tq_rng_below(seed, stream, j, j + 1);
        uint32_t swap = permutation[j];
        permutation[j] = permutation[other];
        permutation[other] = swap;
    }
}

static uint32_t largest_power_of_two(uint32_t n) { return 1u << (31 - __builtin_clz(n)); }

static void choose_shape(struct tq_rotation *rotation, uint32_t dim) {
    uint32_t odd = dim >> __builtin_ctz(dim);
    *rotation = (struct tq_rotation){.dim = dim, .rounds = 3, .parts = 1, .span = dim};
    if (odd == 3) {
        rotation->parts = 3;
        rotation->span = dim / 3;
    } else if (odd != 1) {
        rotation->rounds = 4;
        rotation->span = largest_power_of_two(dim);
    }
    rotation->scale = (float)(1.0 / sqrt((double)rotation->span));
}

enum tq_status tq_rotation_init(struct tq_rotation *rotation, uint32_t dim, uint64_t seed,
                                enum tq_rotation_stream stream) {
    TQ_ASSERT(dim >= 1 && dim <= TQ_DIM_MAX);
    struct tq_rotation made;
    choose_shape(&made, dim);
    bool permuted = made.parts * made.span != dim;
    size_t count = (size_t)made.rounds * dim;
    uint32_t *signs = tq_alloc_array(count, sizeof *signs);
    uint32_t *permutation = permuted ? tq_alloc_array(count, sizeof *permutation) : NULL;
    if (signs == NULL || (permuted && permutation == NULL)) {
        tq_free(signs);
        tq_free(permutation);
        return TQ_NOMEM;
    }
    for (uint32_t round = 0; round < made.rounds; round++) {
        size_t at = (size_t)round * dim;
        fill_signs(signs + at, dim, seed, draw_stream(stream, round, DRAW_SIGNS));
        if (permuted && round % 2 == 0)
            fill_permutation(permutation + at, dim, seed, draw_stream(stream, round, DRAW_PERMUTATION));
        if (permuted && round % 2 != 0) fill_identity(permutation + at, dim);
    }
    made.signs = signs;
    made.permutation = permutation;
    *rotation = made;
    return TQ_OK;
}

void tq_rotation_clear(struct tq_rotation *rotation) {
    tq_free((void *)(uintptr_t)rotation->signs);
    tq_free((void *)(uintptr_t)rotation->permutation);
    *rotation = (struct tq_rotation){0};
}

double tq_rotation_slack(const struct tq_rotation *rotation) {
    double roundings = rotation->parts == 3 ? 6.0 : 2.0; /* the scale and its own rounding; the reflection */
    for (uint32_t span = rotation->span; span > 1; span /= 2) roundings += 1.0;
    return roundings * rotation->rounds * 0x1p-24;
}

/* The mix of a round is symmetric: it is its own inverse. */
static void mix(const struct tq_rotation *rotation, const struct tq_kernels *kernels, uint32_t round, float *x) {
    uint32_t span = rotation->span, touched = rotation->parts * span;
    float *run = x + (round % 2 == 0 ? 0 : rotation->dim - touched);
    for (uint32_t part = 0; part < rotation->parts; part++) kernels->hadamard(run + part * span, span);
    for (uint32_t i = 0; rotation->parts == 3 && i < span; i++) {
        float *a = run + i, *b = a + span, *c = b + span;
        float s = ((*a + *b) + *c) * 0.6666667f;
        *a -= s;
        *b -= s;
        *c -= s;
    }
    for (uint32_t i = 0; i < touched; i++) run[i] *= rotation->scale;
}

static float flip(float value, uint32_t sign) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits ^= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void tq_rotation_inverse(const struct tq_rotation *rotation, const struct tq_kernels *kernels, const float *in,
                         float *out, float *scratch) {
    uint32_t dim = rotation->dim;
    memcpy(scratch, in, dim * sizeof *in);
    for (uint32_t round = rotation->rounds; round-- > 0;) {
        const uint32_t *signs = rotation->signs + (size_t)round * dim;
        const uint32_t *permutation = rotation->permutation == NULL ? NULL
                                                                    : rotation->permutation + (size_t)round * dim;
        mix(rotation, kernels, round, scratch);
        for (uint32_t j = 0; j < dim; j++) out[permutation == NULL ? j : permutation[j]] = flip(scratch[j], signs[j]);
        if (round > 0) memcpy(scratch, out, dim * sizeof *out);
    }
}
