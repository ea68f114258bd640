/* CUDA C++ on a CPU, as much of it as the headers of kernels/cuda need: their device code is compiled as it is, and run
 * by fibers, one a thread of a block. A fiber runs until its warp or its block has to come together; so threads run in
 * an order that hardware would hardly have, and code that lacks a barrier is likely to show it. */
#ifndef TQ_SIMT_CUDA_RUNTIME_H
#define TQ_SIMT_CUDA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

#define __device__
#define __host__
#define __global__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)
#define __shared__ thread_local /* fibers of a block are one thread of the system */

using std::isinf;
using std::max;
using std::min;

struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct uint3 {
    uint32_t x, y, z;
};
struct dim3 {
    uint32_t x, y, z;
    dim3(uint32_t many = 1) : x(many), y(1), z(1) {}
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
static inline uint32_t min(const volatile uint32_t &a, uint32_t b) { return a < b ? a : b; }

/* ---- Threads ---- */

extern thread_local uint3 threadIdx, blockIdx, blockDim, gridDim;

/* Run kernel(argument) by `blocks` blocks of `threads` threads, one block after the other. */
void simt_run(uint32_t blocks, uint32_t threads, void (*kernel)(void *), void *argument);

/* Wait for the other lanes of the warp; then what each of them gave, 32 of `bytes` each, until the next call. A mask of
 * the calling lane alone: nobody is waited for. Any other mask is that of lanes which come together with all others. */
const void *simt_gather(uint32_t mask, const void *given, size_t bytes);
void simt_wait_block();

static inline void __syncthreads() { simt_wait_block(); }
static inline void __syncwarp(uint32_t mask = 0xffffffffu) { (void)simt_gather(mask, "", 1); }
static inline void __threadfence() {}

static inline int simt_lane() { return (int)(threadIdx.x % 32); }

template <class T> static inline const T *simt_all(uint32_t mask, T value) {
    return (const T *)simt_gather(mask, &value, sizeof value);
}

template <class T> static inline T __shfl_sync(uint32_t mask, T value, int from) {
    return simt_all(mask, value)[from & 31];
}
template <class T> static inline T __shfl_xor_sync(uint32_t mask, T value, int other) {
    return simt_all(mask, value)[simt_lane() ^ other];
}
template <class T> static inline T __shfl_up_sync(uint32_t mask, T value, unsigned delta) {
    int from = simt_lane() - (int)delta;
    return simt_all(mask, value)[from < 0 ? simt_lane() : from];
}
static inline uint32_t __ballot_sync(uint32_t mask, bool value) {
    const uint32_t *all = simt_all(mask, (uint32_t)value);
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++) bits |= all[i] << i;
    return bits & mask;
}
static inline bool __any_sync(uint32_t mask, bool value) { return __ballot_sync(mask, value) != 0; }
static inline bool __all_sync(uint32_t mask, bool value) { return __ballot_sync(mask, value) == mask; }
static inline uint32_t __reduce_max_sync(uint32_t mask, uint32_t value) {
    const uint32_t *all = simt_all(mask, value);
    return *std::max_element(all, all + 32);
}
static inline uint32_t __reduce_add_sync(uint32_t mask, uint32_t value) {
    const uint32_t *all = simt_all(mask, value);
    uint32_t sum = 0;
    for (int i = 0; i < 32; i++) sum += all[i];
    return sum;
}

static inline uint32_t __reduce_or_sync(uint32_t mask, uint32_t value) {
    const uint32_t *all = simt_all(mask, value);
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++) bits |= all[i];
    return bits;
}
/* Lanes run one after the other until they come together: each is alone in a branch. */
static inline uint32_t __activemask() { return 1u << simt_lane(); }

/* D = A B + C of mma.sync.m16n8k256 with and.popc: a lane's words of A and B, and its elements of C and D, as the PTX
 * ISA has them (Matrix Fragments for mma.m16n8k256). */
void simt_bit_product(int (&c)[4], const uint32_t (&a)[4], uint2 b);

/* ---- Arithmetic and memory ---- */

template <class To, class From> static inline To simt_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "bits are kept");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline float __uint_as_float(uint32_t bits) { return simt_bits<float>(bits); }
static inline float __int_as_float(int32_t bits) { return simt_bits<float>(bits); }
static inline int32_t __float_as_int(float value) { return simt_bits<int32_t>(value); }
static inline uint32_t __float_as_uint(float value) { return simt_bits<uint32_t>(value); }
static inline double __longlong_as_double(long long bits) { return simt_bits<double>(bits); }
static inline uint32_t __funnelshift_r(uint32_t low, uint32_t high, uint32_t shift) {
    return (uint32_t)((((uint64_t)high << 32) | low) >> (shift & 31));
}
static inline uint32_t __funnelshift_l(uint32_t low, uint32_t high, uint32_t shift) {
    return (uint32_t)(((((uint64_t)high << 32) | low) << (shift & 31)) >> 32);
}
static inline long long __double_as_longlong(double value) { return simt_bits<long long>(value); }
/* Waiting for another block is in vain, as one runs after the other: time flies. */
static inline long long clock64() {
    static thread_local long long now;
    return now += 1ll << 40;
}
static inline void __nanosleep(unsigned) {}
static inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
static inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }
static inline int __float2int_rn(float value) { return (int)std::nearbyintf(value); }
static inline uint32_t __umulhi(uint32_t a, uint32_t b) { return (uint32_t)(((uint64_t)a * b) >> 32); }
static inline uint32_t __vmaxu2(uint32_t a, uint32_t b) {
    return max(a & 0xffffu, b & 0xffffu) | max(a >> 16, b >> 16) << 16;
}
static inline int __clzll(long long bits) { return bits == 0 ? 64 : __builtin_clzll((unsigned long long)bits); }
static inline int __popc(uint32_t bits) { return __builtin_popcount(bits); }
static inline int __popcll(uint64_t bits) { return __builtin_popcountll(bits); }
static inline int __ffs(uint32_t bits) { return __builtin_ffs((int)bits); }
static inline int __ffsll(uint64_t bits) { return __builtin_ffsll((long long)bits); }

template <class T> static inline T __ldcs(const T *from) { return *from; }
template <class T> static inline T __ldcg(const T *from) { return *from; }
template <class T> static inline T __ldcv(const T *from) { return *from; }
template <class T> static inline T __ldg(const T *from) { return *from; }
template <class T> static inline void __stcs(T *to, T value) { *to = value; }
template <class T> static inline void __stcg(T *to, T value) { *to = value; }
template <class T, class V> static inline T atomicAdd(T *to, V value) {
    T before = *to;
    *to = (T)(before + (T)value);
    return before;
}
template <class T, class V> static inline T atomicOr(T *to, V value) {
    T before = *to;
    *to = before | (T)value;
    return before;
}
template <class T, class V> static inline T atomicMin(T *to, V value) {
    T before = *to;
    *to = std::min(before, (T)value);
    return before;
}
template <class T, class V> static inline T atomicMax(T *to, V value) {
    T before = *to;
    *to = std::max(before, (T)value);
    return before;
}

/* What a launch asked for; addresses of shared memory count from simt_shared, which is that or what a test sets. */
enum { SIMT_SHARED_MOST = 227 * 1024 };
extern unsigned char simt_dynamic[SIMT_SHARED_MOST + 1024];
extern thread_local unsigned char *simt_shared;
static inline size_t __cvta_generic_to_shared(const void *address) {
    return (size_t)((const unsigned char *)address - simt_shared);
}
static inline uint2 simt_shared_pair(uint32_t address) {
    uint2 pair;
    memcpy(&pair, simt_shared + address, sizeof pair);
    return pair;
}

/* A kernel that may begin before the one ahead has ended has to wait for it: this says that it does. */
void simt_waited();

/* Copies into shared memory are done when they are waited for, and not before: who reads too early reads what was
 * there. barrier: the address of that which counts them; 0: they belong to groups of the calling thread. */
void simt_copy_later(uint32_t barrier, uint32_t to, const void *from, uint32_t bytes);
uint32_t simt_arrived(uint32_t barrier); /* by all lanes of a warp; 1 */
void simt_commit();                      /* the copies since the last time are a group */
void simt_wait_groups(uint32_t but);     /* all groups but the last ones */

#include "tests/cuda/simt/runtime.h"

#endif
