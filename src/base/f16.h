/* IEEE half precision in software: side data of codes must round the same way on every machine. */
#ifndef TQ_F16_H
#define TQ_F16_H

#include <stdint.h>
#include <string.h>

static inline float tq_f32_from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu, bits;
    float value;
    if (rest >= 0x7c00u) {
        bits = sign | 0x7f800000u | ((rest & 0x3ffu) << 13);
    } else if (rest >= 0x400u) {
        bits = sign | ((rest + 0x1c000u) << 13);
    } else {
        value = (float)rest * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Nearest, ties to even; beyond 65504 becomes infinity. */
static inline uint16_t tq_f16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (bits >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
    if (bits < 0x38800000u) {
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f; /* an ulp of 0.5 is 2^-24, the spacing of half's subnormals: the add rounds */
        memcpy(&bits, &magnitude, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return (uint16_t)(sign | ((bits >> 13) - 0x1c000u));
}

/* The smallest half that is not below a value >= 0: for bounds, which must never shrink. */
static inline uint16_t tq_f16_up(float value) {
    uint16_t half = tq_f16_from_f32(value);
    return tq_f32_from_f16(half) < value ? (uint16_t)(half + 1) : half;
}

#endif
