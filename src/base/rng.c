#include "src/base/rng.h"

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t tq_rng_at(uint64_t seed, uint64_t stream, uint64_t i) {
    uint64_t key = mix(seed + 0x9e3779b97f4a7c15ull) ^ mix(stream * 0xd1342543de82ef95ull + 1);
    return mix(key + (i + 1) * 0x9e3779b97f4a7c15ull);
}
