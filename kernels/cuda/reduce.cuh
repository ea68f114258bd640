/* The fixed order of sums (kernels.h) on the device: lane j % 16 of a sum belongs to one thread, which adds the
 * elements j = t, 16 + t, 32 + t .. in turn; a fold of the sixteen ends it. */
#ifndef TQ_CUDA_REDUCE_CUH
#define TQ_CUDA_REDUCE_CUH

#include <cstdint>

enum { SUM_LANES = 16, WARP_LANES = 32 };
static constexpr unsigned FULL_WARP = 0xffffffffu;

/* lane[i] += lane[i + half], half 8, 4, 2, 1. Addition commutes, so each thread of a half warp has lane 0's sum. */
template <class T> __device__ __forceinline__ T fold(T sum) {
#pragma unroll
    for (int step = SUM_LANES / 2; step > 0; step /= 2) sum += __shfl_xor_sync(FULL_WARP, sum, step);
    return sum;
}

__device__ __forceinline__ float flip(float value, uint32_t sign) {
    return __uint_as_float(__float_as_uint(value) ^ sign);
}

#endif
