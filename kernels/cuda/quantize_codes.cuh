/* What the encoder's kernels make of one element, and of the sums over a row: codes and scalars as src/codec/encode.c
 * has them (its legend is in src/codec/codec.h). Compiled without contraction (--fmad=false): each product and each sum
 * rounds.
 *
 * Indices     index = how many thresholds are <= fl(s y), and thresholds are symmetric. With v = fl(-s y), the word
 *             key = |v| << 1 | sign of v is a rotation of v's bits. A y >= 0 is beyond threshold t of the positive half
 *             if |v| >= t, a y < 0 if |v| > t: both are key >= (t << 1 | 1).
 * Doubles     products of floats are exact in double, so fma and mul, add are the same there. */
#ifndef TQ_CUDA_QUANTIZE_CODES_CUH
#define TQ_CUDA_QUANTIZE_CODES_CUH

#include <cuda_fp16.h>

#include "kernels/cuda/plugin.h"
#include "kernels/cuda/rotate.cuh"

enum { LINES_MOST = 7 }; /* thresholds of the positive half, of code_bits 4 */

struct Quantize {
    Turn rotation, sketch;
    const float *thresholds, *centroids; /* on the device; where code_bits is 5 or more */
    float scales[TQ_CUDA_SCALES];        /* their negatives */
    uint32_t lines[LINES_MOST];          /* keys of the thresholds; those there are not, UINT32_MAX */
    float magnitudes[LINES_MOST + 1];    /* centroids of the positive half */
    uint32_t far_line;                   /* key from which on |2 s1 + s2| is 3 */
    double slack, root;                  /* sqrt(dim) */
    uint32_t dim, bits, code_bits, scan_planes, plane_bytes, record_stride, scale_count;
    bool qjl, half_rows, packed, norms;
};

struct DeviceRows {
    uint8_t *records; /* u32 aligned */
    uint16_t *first_error;
    uint32_t *second;
    uint32_t *refused; /* the least row that the CPU must look at */
};

/* ---- Codes ---- */

/* What planes need of an element: votes on whether y >= 0, and then on each line, whether it is reached. The index is
 * how many are, mirrored in the lower half. */
template <int LINES> struct Code {
    bool upper;
    uint32_t key;

    __device__ __forceinline__ bool vote(const Quantize &q, int b) const {
        return b == 0 ? upper : key >= q.lines[b - 1];
    }
    __device__ __forceinline__ bool far(const Quantize &q) const { return key >= q.far_line; }
};
/* Votes on the bits of the index. */
template <> struct Code<0> {
    uint32_t index;

    __device__ bool vote(const Quantize &, int b) const { return (index >> b & 1u) != 0; }
    __device__ bool far(const Quantize &q) const {
        uint32_t two = index >> (q.code_bits - 2);
        return two == 0 || two == 3;
    }
};

/* LINES thresholds are compared; 0: a search in tables, which are in shared memory. */
template <int LINES> struct Coder {
    float scale;

    __device__ __forceinline__ void load(const Quantize &q, int which) { scale = q.scales[which]; }
    __device__ __forceinline__ uint32_t key(float y) const {
        uint32_t v = __float_as_uint(scale * y);
        return __funnelshift_l(v, v, 1);
    }
    __device__ __forceinline__ Code<LINES> code(const Quantize &, float y) const {
        return Code<LINES>{y >= 0.0f, key(y)};
    }
    __device__ __forceinline__ float magnitude(const Quantize &q, float y) const {
        uint32_t k = key(y);
        float c = q.magnitudes[0];
#pragma unroll
        for (int i = 0; i < LINES; i++) c = k >= q.lines[i] ? q.magnitudes[i + 1] : c;
        return c;
    }
    __device__ __forceinline__ float centroid(const Quantize &q, float y) const {
        float c = magnitude(q, y);
        return y >= 0.0f ? c : -c;
    }
};

template <> struct Coder<0> {
    float scale;

    __device__ void load(const Quantize &q, int which) { scale = -q.scales[which]; }
    __device__ uint32_t index(const Quantize &q, float y) const {
        const float *thresholds = (const float *)block_memory;
        float value = scale * y;
        uint32_t found = 0;
        for (uint32_t step = 1u << q.code_bits >> 1; step > 0; step >>= 1) {
            if (value >= thresholds[found + step - 1]) found += step;
        }
        return found;
    }
    __device__ Code<0> code(const Quantize &q, float y) const { return Code<0>{index(q, y)}; }
    __device__ float centroid(const Quantize &q, float y) const {
        return ((const float *)block_memory)[(1u << q.code_bits) + index(q, y)];
    }
    __device__ float magnitude(const Quantize &q, float y) const { return fabsf(centroid(q, y)); }
};

/* ---- Scalars ---- */

/* Of a record's end. */
struct Tail {
    float scale, norm;
    uint16_t gamma, error;
};

__device__ __forceinline__ uint16_t half_bits(float value) { return __half_as_ushort(__float2half_rn(value)); }
__device__ __forceinline__ float half_value(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }

__device__ __forceinline__ uint16_t half_up(float value) {
    uint16_t bits = half_bits(value);
    return half_value(bits) < value ? (uint16_t)(bits + 1) : bits;
}

static __device__ __noinline__ double tangent_of(double slack, double a_square, double b_square, double dot) {
    double square = a_square * b_square / (dot * dot) - 1.0;
    double tangent = square > 0.0 ? sqrt(square) : 0.0;
    return tangent * (1.0 + 1e-6) + slack * (1.0 + tangent * tangent);
}

__device__ __forceinline__ uint16_t tangent_up(double slack, double a_square, double b_square, double dot) {
    return dot <= 0.0 ? (uint16_t)0x7c00 : half_up((float)tangent_of(slack, a_square, b_square, dot));
}

/* inverse | error << 16 */
__device__ __forceinline__ uint32_t second_scalars(const Quantize &q, double square, double v_square, double dot) {
    const uint32_t unknown = 0xffff0000u;
    double inverse = floor(dot / q.root * 16384.0 + 0.5);
    if (!(inverse >= 16384.0 / 16)) return unknown;
    double error = ceil(tangent_of(q.slack, square, v_square, dot) * inverse);
    if (error >= 65535.0 || inverse > 65535.0) return unknown;
    return (uint32_t)inverse | (uint32_t)error << 16;
}

/* The nearest multiple of 2^bits of a float's bits, ties to even. */
__device__ __forceinline__ uint32_t cut(float value, unsigned bits) {
    uint32_t all = __float_as_uint(value);
    return (all + (1u << (bits - 1)) - 1 + (all >> bits & 1u)) >> bits;
}

/* tq_format_round() */
__device__ __forceinline__ void round_tail(const Quantize &q, Tail &tail) {
    const uint32_t scale_base = 126u << 13, norm_last = (0x7f800000u >> 15) - 1;
    if (!q.packed) return;
    uint32_t at = tail.scale > 0.5f && tail.scale < 128.0f ? min(cut(tail.scale, 10) - scale_base, 65535u) : 0;
    tail.scale = at == 0 ? 0.0f : __uint_as_float((at + scale_base) << 10);
    if (!q.norms) {
        at = cut(tail.norm, 15);
        at = at == 0 && tail.norm > 0.0f ? 1u : min(at, norm_last);
        tail.norm = __uint_as_float(at << 15);
    }
    if (!q.qjl) tail.gamma = 0;
    tail.error = 0;
}

__device__ __forceinline__ uint16_t round_first_error(const Quantize &q, uint16_t first_error) {
    const uint32_t base = 0x3800u;
    if (!q.packed) return first_error;
    uint32_t at = first_error <= base ? 0 : min((first_error - base + 7u) >> 3, 255u);
    return at == 255 ? (uint16_t)0x7c00 : (uint16_t)(base + 8 * at);
}

#endif
