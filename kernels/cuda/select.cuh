/* The wanted-th largest of some doubles, by all threads of a block: digits narrow it down until few are left. */
#ifndef TQ_CUDA_SELECT_CUH
#define TQ_CUDA_SELECT_CUH

#include "kernels/cuda/bits.cuh"
#include "kernels/cuda/bounds.cuh"

enum { SELECT_FEW = 512, SELECT_BINS = 256 };

struct Selection {
    uint64_t few[SELECT_FEW];
    uint32_t bins[SELECT_BINS], count, above, digit;
    unsigned long long set, clear, chosen;
};

/* Doubles in the order of unsigned numbers. 0 is below all of them and stands for none. */
__device__ __forceinline__ uint64_t ordered(double value) {
    uint64_t bits = (uint64_t)__double_as_longlong(value);
    return (bits >> 63) != 0 ? ~bits : bits | 0x8000000000000000ull;
}
__device__ __forceinline__ double of_ordered(uint64_t bits) {
    return __longlong_as_double((long long)((bits >> 63) != 0 ? bits & 0x7fffffffffffffffull : ~bits));
}

/* Of the keys whose bits from `shift` on are those of `prefix`, at most SELECT_FEW: ranked by counting larger ones. */
template <class Key>
__device__ inline double select_of_few(Selection &s, uint32_t count, uint32_t wanted, uint64_t prefix, int shift,
                                       const Key &key) {
    if (threadIdx.x == 0) s.count = 0, s.chosen = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) {
        uint64_t value = key(i);
        if (value != 0 && (shift == 64 || value >> shift == prefix)) s.few[atomicAdd(&s.count, 1u)] = value;
    }
    __syncthreads();
    uint32_t left = s.count;
    for (uint32_t i = threadIdx.x; i < left; i += blockDim.x) {
        uint64_t value = s.few[i];
        uint32_t larger = 0;
        for (uint32_t j = 0; j < left; j++) larger += s.few[j] > value || (s.few[j] == value && j < i);
        if (larger == wanted - 1) s.chosen = value;
    }
    __syncthreads();
    return s.chosen == 0 ? -infinity() : of_ordered(s.chosen);
}

/* How many keys there are, and the bits in which all of them are the same. */
template <class Key>
__device__ inline uint32_t common_bits(Selection &s, uint32_t count, const Key &key, uint64_t *prefix, int *shift) {
    uint64_t set = 0, clear = 0;
    uint32_t there = 0;
    if (threadIdx.x == 0) s.count = 0, s.set = 0, s.clear = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) {
        uint64_t value = key(i);
        if (value != 0) set |= value, clear |= ~value, there++;
    }
    there = __reduce_add_sync(FULL_WARP, there);
    uint32_t set_low = __reduce_or_sync(FULL_WARP, (uint32_t)set), set_high = __reduce_or_sync(FULL_WARP, set >> 32);
    uint32_t clear_low = __reduce_or_sync(FULL_WARP, (uint32_t)clear);
    uint32_t clear_high = __reduce_or_sync(FULL_WARP, clear >> 32);
    if (threadIdx.x % 32 == 0) {
        atomicAdd(&s.count, there);
        atomicOr(&s.set, (unsigned long long)set_high << 32 | set_low);
        atomicOr(&s.clear, (unsigned long long)clear_high << 32 | clear_low);
    }
    __syncthreads();
    *shift = 64 - __clzll((long long)(s.set & s.clear));
    *prefix = *shift == 64 ? 0 : s.set >> *shift;
    return s.count;
}

/* The next digit below `shift`: counts of its values, and which of them holds the wanted-th. */
template <class Key>
__device__ inline void narrow(Selection &s, uint32_t count, uint32_t wanted, uint64_t prefix, int shift, int next,
                              const Key &key) {
    uint32_t digits = 1u << (shift - next);
    for (uint32_t i = threadIdx.x; i < SELECT_BINS; i += blockDim.x) s.bins[i] = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) {
        uint64_t value = key(i);
        if (value != 0 && (shift == 64 || value >> shift == prefix))
            atomicAdd(&s.bins[(uint32_t)(value >> next) & (digits - 1)], 1u);
    }
    __syncthreads();
    if (threadIdx.x >= 32) return;
    const uint32_t each = SELECT_BINS / 32, last = SELECT_BINS - 1 - threadIdx.x * each; /* lane 0 has the largest */
    uint32_t sum = 0;
    for (uint32_t i = 0; i < each; i++) sum += s.bins[last - i];
    uint32_t through = sum;
    for (int d = 1; d < 32; d *= 2) {
        uint32_t before = __shfl_up_sync(FULL_WARP, through, d);
        if (threadIdx.x >= (uint32_t)d) through += before;
    }
    uint32_t above = through - sum;
    if (above >= wanted || through < wanted) return; /* one lane is left */
    uint32_t digit = last;
    while (above + s.bins[digit] < wanted) above += s.bins[digit--];
    s.above = above, s.count = s.bins[digit];
    s.digit = digit;
}

/* key(i): ordered(), or 0 for those that do not count. -infinity if there are fewer than wanted. */
template <class Key>
__device__ inline double select_largest(Selection &s, uint32_t count, uint32_t wanted, const Key &key) {
    uint64_t prefix = 0;
    int shift = 64;
    if (count > SELECT_FEW) {
        uint32_t left = common_bits(s, count, key, &prefix, &shift);
        if (left < wanted) return -infinity();
        while (left > SELECT_FEW && shift > 0) {
            int next = shift > 8 ? shift - 8 : 0;
            __syncthreads();
            narrow(s, count, wanted, prefix, shift, next, key);
            __syncthreads();
            prefix = (shift == 64 ? 0 : prefix << (shift - next)) | s.digit;
            wanted -= s.above, left = s.count, shift = next;
        }
        if (shift == 0) return of_ordered(prefix);
        __syncthreads();
    }
    return select_of_few(s, count, wanted, prefix, shift, key);
}

#endif
