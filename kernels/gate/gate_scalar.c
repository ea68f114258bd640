/* The gate, row by row: the definition. */
#include "kernels/impl.h"

static uint32_t saturate(uint32_t value) { return value > 65535 ? 65535 : value; }

static bool passes(const struct tq_gate_query *query, uint32_t first, uint32_t second, uint32_t inverse,
                   uint32_t error) {
    uint32_t value = saturate(first + (second >> 1));
    uint32_t line = saturate(query->base + (inverse * query->gain >> 16)), lower = error * query->loss >> 16;
    return value >= (line > lower ? line - lower : 0);
}

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row++) {
        mask[row / 64] |= (uint64_t)passes(query, first[row], second[row], inverse[row], error[row]) << row % 64;
    }
}

const struct tq_gate_impl tq_gate_scalar = {.gate = gate};
