/* Counting bits by the tensor cores' b1 products (mma.m16n8k256, and, popc): eight bit planes of a query's integers are
 * the eight columns, so every sum is the integer that the CPU computes. */
#ifndef TQ_CUDA_BITS_CUH
#define TQ_CUDA_BITS_CUH

#include <stdint.h>

static constexpr unsigned FULL_WARP = 0xffffffffu;

/* A kernel of a search may begin before the one ahead of it has ended (sm_90 and later): what it does until it waits
 * must need nothing of that one. Each kernel waits, so all that came before is done then. */
__device__ __forceinline__ void wait_for_kernel_before() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void let_next_kernel_begin() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ void bit_product(int (&c)[4], const uint32_t (&a)[4], uint2 b) {
    asm("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
}

/* The six planes' counts of a tile to its two rows' sums, low and high half, still to be added over four lanes.
 * pair, shift: of the lane's two planes; the sixth is the sign. */
__device__ __forceinline__ uint32_t weigh_six(const int (&c)[4], int pair, int shift) {
    return (uint32_t)((c[0] + pair * c[1]) << shift) + ((uint32_t)((c[2] + pair * c[3]) << shift) << 16);
}

/* Sixteen planes' counts to a value of each of a lane's two rows, still to be added over four lanes. */
__device__ __forceinline__ void weigh_sixteen(const int (&low)[4], const int (&high)[4], int t, int (&out)[2]) {
    int pair = t == 3 ? -2 : 2;
#pragma unroll
    for (int h = 0; h < 2; h++)
        out[h] = (int)(((uint32_t)(low[2 * h] + 2 * low[2 * h + 1]) << (2 * t)) +
                       ((uint32_t)(high[2 * h] + pair * high[2 * h + 1]) << (8 + 2 * t)));
}

/* Lane t of four gets the sum over them of p[t]. */
__device__ __forceinline__ uint32_t add_lanes(const uint32_t (&p)[4], int t) {
    bool high = (t & 2) != 0, odd = (t & 1) != 0;
    uint32_t a = high ? p[2] : p[0], b = high ? p[3] : p[1];
    a += __shfl_xor_sync(FULL_WARP, high ? p[0] : p[2], 2);
    b += __shfl_xor_sync(FULL_WARP, high ? p[1] : p[3], 2);
    return (odd ? b : a) + __shfl_xor_sync(FULL_WARP, odd ? a : b, 1);
}

#endif
