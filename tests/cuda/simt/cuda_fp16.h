/* Half precision, widened. */
#ifndef TQ_SIMT_CUDA_FP16_H
#define TQ_SIMT_CUDA_FP16_H

#include <cmath>

struct __half {
    unsigned short bits;
};

static inline __half __ushort_as_half(unsigned short bits) { return {bits}; }

static inline float __half2float(__half half) {
    int exponent = half.bits >> 10 & 31, fraction = half.bits & 1023;
    float value = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                  : exponent == 0 ? std::ldexp((float)fraction, -24)
                                  : std::ldexp((float)(1024 + fraction), exponent - 25);
    return half.bits >> 15 != 0 ? -value : value;
}

static inline unsigned short __half_as_ushort(__half half) { return half.bits; }

/* Nearest, ties to even. */
static inline __half __float2half_rn(float value) {
    unsigned bits = 0;
    __builtin_memcpy(&bits, &value, sizeof bits);
    unsigned sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return {(unsigned short)0x7fff};
    if (magnitude >= 0x477ff000u) return {(unsigned short)(sign | 0x7c00u)};
    if (magnitude < 0x38800000u) /* a multiple of 2^-24 */
        return {(unsigned short)(sign | (unsigned)std::nearbyint(std::ldexp(std::fabs((double)value), 24)))};
    unsigned rounded = magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u);
    return {(unsigned short)(sign | rounded >> 13)};
}

#endif
