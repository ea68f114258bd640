/* Rotation, one element at a time: the reference. */
#include <string.h>

#include "kernels/impl.h"
#include "kernels/rotate/rounds.h"

static void hadamard(float *x, size_t n) {
    for (size_t h = 1; h < n; h *= 2) {
        for (size_t i = 0; i < n; i++) {
            if (i & h) continue;
            float a = x[i], b = x[i + h];
            x[i] = a + b;
            x[i + h] = a - b;
        }
    }
}

/* The Householder reflection along (1,1,1)/sqrt(3), which mixes three runs as a Hadamard stage mixes two. */
static void reflect(float *x, size_t span) {
    for (size_t i = 0; i < span; i++) {
        float a = x[i], b = x[i + span], c = x[i + 2 * span];
        float s = ((a + b) + c) * 0.6666667f;
        x[i] = a - s;
        x[i + span] = b - s;
        x[i + 2 * span] = c - s;
    }
}

static float flip(float value, uint32_t sign) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits ^= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void turn(const struct tq_rotation *rotation, uint32_t round, const float *from, float *to) {
    size_t dim = rotation->dim, first = round * dim;
    const uint32_t *permutation = rotation->permutation == NULL ? NULL : rotation->permutation + first;
    for (size_t i = 0; i < dim; i++) {
        to[i] = flip(from[permutation == NULL ? i : permutation[i]], rotation->signs[first + i]);
    }
}

static void mix(const struct tq_rotation *rotation, uint32_t round, float *x) {
    size_t span = rotation->span, touched = rotation->parts * span;
    float *run = x + tq_round_start(rotation, round);
    for (size_t i = 0; i < touched; i += span) hadamard(run + i, span);
    if (rotation->parts == 3) reflect(run, span);
    for (size_t i = 0; i < touched; i++) run[i] *= rotation->scale;
}

static void rotate(const struct tq_rotation *rotation, const float *in, float *out) {
    tq_rounds_any(rotation, in, out, turn, mix);
}

const struct tq_rotate_impl tq_rotate_scalar = {.rotate = rotate, .hadamard = hadamard};
