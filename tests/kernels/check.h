/* What kernel tests and benchmarks share: random numbers, data with extremes, memory between guard pages. */
#ifndef TQ_CHECK_H
#define TQ_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- Random numbers: SplitMix64, one state, printed as the seed of a failure ---- */

struct check_random {
    uint64_t state;
};

static inline uint64_t random_u64(struct check_random *random) {
    uint64_t z = random->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline uint32_t random_below(struct check_random *random, uint32_t bound) {
    return (uint32_t)((random_u64(random) >> 32) * bound >> 32);
}

/* Both signs and 16 powers of two, so that sums depend on the order of addition. */
static inline float random_float(struct check_random *random) {
    uint64_t bits = random_u64(random);
    float magnitude = (float)((bits >> 8 & 0xffffff) | 1) * 0x1p-24f;
    for (unsigned i = 0; i < (bits & 15); i++) magnitude *= 0.5f;
    return bits & 16 ? magnitude : -magnitude;
}

/* ---- Fills ---- */

enum check_fill { FILL_MIN, FILL_MAX, FILL_ALTERNATING, FILL_RANDOM, FILL_COUNT };

/* An integer in [low, high]. */
static inline int32_t fill_int(struct check_random *random, enum check_fill fill, size_t i, int32_t low, int32_t high) {
    switch (fill) {
    case FILL_MIN: return low;
    case FILL_MAX: return high;
    case FILL_ALTERNATING: return i % 2 == 0 ? low : high;
    default: return low + (int32_t)random_below(random, (uint32_t)(high - low + 1));
    }
}

static inline float fill_float(struct check_random *random, enum check_fill fill, size_t i, float limit) {
    switch (fill) {
    case FILL_MIN: return -limit;
    case FILL_MAX: return limit;
    case FILL_ALTERNATING: return i % 3 == 0 ? -0.0f : i % 2 == 0 ? limit : -limit;
    default: return limit * random_float(random);
    }
}

/* ---- Memory whose neighbours cannot be touched ---- */

enum { GUARD_PAGE = 4096, GUARD_BYTES = 1 << 20, GUARD_SLOTS = 10 };

struct check_guard {
    uint8_t *slots[GUARD_SLOTS];
};

static inline void guard_open(struct check_guard *guard) {
    for (size_t i = 0; i < GUARD_SLOTS; i++) {
        uint8_t *pages = mmap(NULL, GUARD_BYTES + 2 * GUARD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED || mprotect(pages + GUARD_PAGE, GUARD_BYTES, PROT_READ | PROT_WRITE) != 0) {
            perror("guard pages");
            exit(2);
        }
        guard->slots[i] = pages + GUARD_PAGE;
    }
}

/* size bytes that end at a page without access, or else start behind one. */
static inline void *guard_place(const struct check_guard *guard, size_t slot, size_t size, bool at_end) {
    if (slot >= GUARD_SLOTS || size > GUARD_BYTES) abort();
    return guard->slots[slot] + (at_end ? GUARD_BYTES - size : 0);
}

#endif
