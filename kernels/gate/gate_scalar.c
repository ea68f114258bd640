/* The gate, row by row: the definition. */
#include "kernels/impl.h"
#include "src/base/f16.h"

static bool passes(const struct tq_gate_query *query, int32_t first, int32_t second, const uint16_t scalars[2]) {
    float scale = tq_f32_from_f16(scalars[0]), error = tq_f32_from_f16(scalars[1]);
    float value = (float)(4 * first + 2 * second - query->base) * query->unit;
    float slack = query->slack * (1.0f + 0.5f * (error * error));
    return !(value * scale + slack < query->bar - query->kappa * error);
}

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *scalars, uint64_t mask[2]) {
    mask[0] = mask[1] = 0;
    for (size_t row = 0; row < TQ_LAYOUT_BLOCK_ROWS; row++) {
        mask[row / 64] |= (uint64_t)passes(query, first[row], second[row], scalars + 2 * row) << row % 64;
    }
}

const struct tq_gate_impl tq_gate_scalar = {.gate = gate};
