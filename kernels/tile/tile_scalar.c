/* Tiles, one value at a time: the definition. */
#include <string.h>

#include "kernels/impl.h"

static void unpack(const uint8_t *first, const uint8_t *second, size_t groups, uint8_t *tile) {
    size_t padded = tq_layout_tile_groups(groups);
    memset(tile, 0, tq_layout_tile_bytes(groups));
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row++) {
        uint8_t *to = tile + tq_layout_tile_strip(row) * padded * 64 + tq_layout_tile_place(row) * 4;
        for (size_t g = 0; g < groups; g++) {
            uint32_t at = (uint32_t)(g * TQ_LAYOUT_GROUP_BYTES + row % 64), shift = row < 64 ? 0 : 4;
            uint32_t high = first[at] >> shift, low = second[at] >> shift;
            for (size_t i = 0; i < 4; i++) to[g * 64 + i] = (uint8_t)(2 * (high >> i & 1) + (low >> i & 1));
        }
    }
}

static void multiply(const uint8_t *tile, size_t groups, const int8_t *queries, size_t stride, size_t count,
                     int32_t *sums) {
    size_t padded = tq_layout_tile_groups(groups);
    for (size_t q = 0; q < count; q++) {
        const int8_t *query = queries + q * stride;
        for (size_t at = 0; at < TQ_LAYOUT_BLOCK_ROWS; at++) {
            const uint8_t *codes = tile + at / 16 * padded * 64 + at % 16 * 4;
            int32_t sum = 0;
            for (size_t j = 0; j < 4 * groups; j++) sum += query[j] * codes[j / 4 * 64 + j % 4];
            sums[q * TQ_LAYOUT_BLOCK_ROWS + at] = sum;
        }
    }
}

static void reach(const struct tq_gate_query *query, int32_t offset, const int32_t *sums, const uint16_t *inverse,
                  const uint16_t *error, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row++) {
        int32_t value = (sums[tq_layout_tile_strip(row) * 16 + tq_layout_tile_place(row)] + offset) >> 1;
        int32_t line = query->base + (int32_t)((uint32_t)inverse[row] * query->gain >> 16);
        line = (line > 65535 ? 65535 : line) - (int32_t)((uint32_t)error[row] * query->loss >> 16);
        mask[row / 64] |= (uint64_t)((value > 65535 ? 65535 : value) >= (line < 0 ? 0 : line)) << row % 64;
    }
}

const struct tq_tile_impl tq_tile_scalar = {.unpack = unpack, .multiply = multiply, .reach = reach};
