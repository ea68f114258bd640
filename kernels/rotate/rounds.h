/* The order of rounds and buffers of a rotation, shared by rotate_<isa>.c; each of those brings the two steps. */
#ifndef TQ_ROUNDS_H
#define TQ_ROUNDS_H

#include "kernels/kernels.h"
#include "src/base/base.h"

/* Permute and flip: to = flip(from[permutation]). from == to is allowed where permutation is NULL. */
typedef void tq_round_turn(const struct tq_rotation *rotation, uint32_t round, const float *from, float *to);
/* Hadamard runs, reflection and scale, in place. */
typedef void tq_round_mix(const struct tq_rotation *rotation, uint32_t round, float *x);

/* First element of the runs that round mixes. */
static inline size_t tq_round_start(const struct tq_rotation *rotation, uint32_t round) {
    return round % 2 == 0 ? 0 : rotation->dim - (size_t)rotation->parts * rotation->span;
}

/* A permutation cannot work in place, so rounds alternate between two buffers such that the last one lands
 * in out. Without a permutation scratch is not touched. */
static inline void tq_rounds(const struct tq_rotation *rotation, const float *in, float *out, float *scratch,
                             tq_round_turn *turn, tq_round_mix *mix) {
    const float *from = in;
    for (uint32_t round = 0; round < rotation->rounds; round++) {
        bool direct = rotation->permutation == NULL || (rotation->rounds - round) % 2 == 1;
        float *to = direct ? out : scratch;
        turn(rotation, round, from, to);
        mix(rotation, round, to);
        from = to;
    }
}

/* Kernels own no memory, so scratch is on the stack: 16 KiB, or 256 KiB for the few dimensions that need it
 * (a frame of its own, so that the usual case does not touch its pages). */
enum { TQ_ROUNDS_SMALL_DIM = 4096 };

static __attribute__((noinline, unused)) void tq_rounds_large(const struct tq_rotation *rotation, const float *in,
                                                              float *out, tq_round_turn *turn, tq_round_mix *mix) {
    float scratch[TQ_DIM_MAX];
    tq_rounds(rotation, in, out, scratch, turn, mix);
}

static inline void tq_rounds_small(const struct tq_rotation *rotation, const float *in, float *out, tq_round_turn *turn,
                                   tq_round_mix *mix) {
    float scratch[TQ_ROUNDS_SMALL_DIM];
    tq_rounds(rotation, in, out, scratch, turn, mix);
}

static inline void tq_rounds_any(const struct tq_rotation *rotation, const float *in, float *out, tq_round_turn *turn,
                                 tq_round_mix *mix) {
    if (rotation->permutation == NULL) {
        tq_rounds(rotation, in, out, NULL, turn, mix);
    } else if (rotation->dim <= TQ_ROUNDS_SMALL_DIM) {
        tq_rounds_small(rotation, in, out, turn, mix);
    } else {
        tq_rounds_large(rotation, in, out, turn, mix);
    }
}

#endif
