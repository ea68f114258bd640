#include "storage/catalog_sum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t tq_catalog_sum(const uint64_t *values, size_t count, const void *blob, size_t size) {
    return XXH3_64bits_withSeed(blob, size, XXH3_64bits(values, count * sizeof *values));
}
