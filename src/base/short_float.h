/* Floats cut to what a packed record spends on them: bits that a value never has, or that say nothing beside the
 * error of its code, are left out. Zero is kept as zero. */
#ifndef TQ_SHORT_FLOAT_H
#define TQ_SHORT_FLOAT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t tq_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float tq_float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Bits of a float >= 0, rounded to the nearest multiple of 2^cut, ties to even. */
static inline uint32_t tq_float_cut(float value, unsigned cut) {
    uint32_t bits = tq_float_bits(value);
    return (bits + (1u << (cut - 1)) - 1 + (bits >> cut & 1u)) >> cut;
}

/* A scale: 13 bits behind the point from 1/2 to 128, so 2^-14 off at most. What is out of range becomes 0, which
 * stands for "no estimate". */
#define TQ_SCALE_BASE (126u << 13)

static inline uint16_t tq_scale_pack(float scale) {
    if (!(scale > 0.5f && scale < 128.0f)) return 0;
    uint32_t at = tq_float_cut(scale, 10) - TQ_SCALE_BASE;
    return (uint16_t)(at > UINT16_MAX ? UINT16_MAX : at);
}

static inline float tq_scale_unpack(uint16_t scale) {
    return scale == 0 ? 0.0f : tq_float_of_bits((scale + TQ_SCALE_BASE) << 10);
}

/* A norm: all of a float's range, 8 bits behind the point, so 2^-9 off at most. What is not 0 stays so, what is
 * finite stays so. */
static inline uint16_t tq_norm_pack(float norm) {
    uint32_t at = tq_float_cut(norm, 15), last = (0x7f800000u >> 15) - 1;
    if (at == 0 && norm > 0) at = 1;
    return (uint16_t)(at > last ? last : at);
}

static inline float tq_norm_unpack(uint16_t norm) { return tq_float_of_bits((uint32_t)norm << 15); }

/* A first error, a half, rounded up: the tangents of the angles between vectors and their signs lie about 3/4. From
 * 1/2 to 2 there are 7 bits behind the point; what is above is infinite. */
#define TQ_FIRST_BASE 0x3800u

static inline uint8_t tq_first_error_pack(uint16_t half) {
    if (half <= TQ_FIRST_BASE) return 0;
    uint32_t at = (half - TQ_FIRST_BASE + 7u) >> 3;
    return (uint8_t)(at > UINT8_MAX ? UINT8_MAX : at);
}

static inline uint16_t tq_first_error_unpack(uint8_t error) {
    return error == UINT8_MAX ? (uint16_t)0x7c00u : (uint16_t)(TQ_FIRST_BASE + 8u * error);
}

#endif
