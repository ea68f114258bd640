/* Scan of a plane of signs, row by row: the definition of sums, maxima and masks. */
#include <string.h>

#include "kernels/impl.h"

enum { BLOCK_ROWS = TQ_LAYOUT_BLOCK_ROWS, GROUP_BYTES = TQ_LAYOUT_GROUP_BYTES, NIBBLES = 16 };

static uint16_t scan_block(const uint8_t *block, size_t groups, const uint8_t *lut, uint16_t *sums) {
    uint16_t maximum = 0;
    memset(sums, 0, BLOCK_ROWS * sizeof *sums);
    for (size_t g = 0; g < groups; g++) {
        const uint8_t *bytes = block + g * GROUP_BYTES, *table = lut + g * NIBBLES;
        for (size_t l = 0; l < GROUP_BYTES; l++) {
            sums[l] = (uint16_t)(sums[l] + table[bytes[l] & 15]);
            sums[l + GROUP_BYTES] = (uint16_t)(sums[l + GROUP_BYTES] + table[bytes[l] >> 4]);
        }
    }
    for (size_t row = 0; row < BLOCK_ROWS; row++) maximum = sums[row] > maximum ? sums[row] : maximum;
    return maximum;
}

static void scan(const uint8_t *blocks, const uint32_t *list, size_t count, size_t groups, const uint8_t *lut,
                 uint16_t *sums, uint16_t *maxima) {
    for (size_t i = 0; i < count; i++) {
        size_t b = list == NULL ? i : list[i];
        maxima[b] = scan_block(blocks + b * groups * GROUP_BYTES, groups, lut, sums + b * BLOCK_ROWS);
    }
}

static void select_rows(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < BLOCK_ROWS; row++) {
        uint32_t value = sums[row] + (second == NULL ? 0u : (uint32_t)second[row] >> 1);
        if (value > UINT16_MAX) value = UINT16_MAX;
        mask[row / 64] |= (uint64_t)(value >= threshold) << row % 64;
    }
}

const struct tq_scan_impl tq_scan_scalar = {.scan = scan, .select = select_rows};
