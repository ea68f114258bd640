/* Counter-based random numbers: value i of a stream is a function of (seed, stream, i) alone, so that every
 * machine and every order of asking gives the same bits. */
#ifndef TQ_RNG_H
#define TQ_RNG_H

#include <stdint.h>

/* SplitMix64's finalizer over the mixed key (Steele, Lea, Flood 2014). */
uint64_t tq_rng_at(uint64_t seed, uint64_t stream, uint64_t i);

/* Uniform in [0, bound), bound > 0, by Lemire's multiply; the bias is below 2^-32 for bounds of 2^32. */
static inline uint32_t tq_rng_below(uint64_t seed, uint64_t stream, uint64_t i, uint32_t bound) {
    return (uint32_t)(((tq_rng_at(seed, stream, i) >> 32) * bound) >> 32);
}

#endif
