/* The gate, 64 rows for a word of the mask, 8 a vector.
 *
 * Used       umull, umull2 and uzp2 for the high halves of products, ushr, uqadd, uqsub, cmhs, uzp1, addp.
 * Bound      vector pipes: 12 operations for 8 rows, 100 cycles a block of 1 KiB on two of them, 50 on four. */
#include <arm_neon.h>

#include "kernels/impl.h"

static inline uint16x8_t high_product(uint16x8_t a, uint16_t b) {
    uint32x4_t low = vmull_n_u16(vget_low_u16(a), b), high = vmull_high_n_u16(a, b);
    return vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
}

/* All ones in the words of rows that pass. */
static inline uint16x8_t gate_8(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                                const uint16_t *inverse, const uint16_t *error) {
    uint16x8_t value = vqaddq_u16(vld1q_u16(first), vshrq_n_u16(vld1q_u16(second), 1));
    uint16x8_t rise = high_product(vld1q_u16(inverse), query->gain);
    uint16x8_t fall = high_product(vld1q_u16(error), query->loss);
    return vcgeq_u16(value, vqsubq_u16(vqaddq_u16(vdupq_n_u16(query->base), rise), fall));
}

/* One bit of each of 64 bytes: pairs are added three times. */
static inline uint64_t bits_of(const uint8x16_t *bytes) {
    const uint8x16_t weight = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201ull));
    uint8x16_t low = vpaddq_u8(vandq_u8(bytes[0], weight), vandq_u8(bytes[1], weight));
    uint8x16_t high = vpaddq_u8(vandq_u8(bytes[2], weight), vandq_u8(bytes[3], weight));
    uint8x16_t all = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

static void gate(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]) {
    for (size_t half = 0; half < 2; half++) {
        uint8x16_t passed[4];
        for (size_t i = 0; i < 4; i++) {
            size_t row = half * 64 + i * 16, next = row + 8;
            uint16x8_t low = gate_8(query, first + row, second + row, inverse + row, error + row);
            uint16x8_t high = gate_8(query, first + next, second + next, inverse + next, error + next);
            passed[i] = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
        }
        mask[half] = bits_of(passed);
    }
}

const struct tq_gate_impl tq_gate_neon = {.gate = gate};
