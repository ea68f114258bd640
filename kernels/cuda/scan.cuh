/* The first plane of all rows: sums of one query over its first slabs, the largest of each group, and how good a sum
 * the first rows to refine must have. */
#ifndef TQ_CUDA_SCAN_CUH
#define TQ_CUDA_SCAN_CUH

#include "kernels/cuda/bits.cuh"
#include "kernels/cuda/bounds.cuh"
#include "kernels/cuda/internal.h"

enum { SCAN_THREADS = 256, SCAN_WARPS = SCAN_THREADS / 32 };

/* ---- What a lane holds of a group: tiles, and which rows may be found ---- */

template <int SLABS> struct Tiles {
    uint4 word[SLABS][4];
    __device__ __forceinline__ void load(const tq_cuda_resident &r, uint64_t group, int lane) {
#pragma unroll
        for (int s = 0; s < SLABS; s++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                word[s][i] = __ldcs((const uint4 *)r.signs + (s * r.groups + group) * 128 + i * 32 + lane);
    }
};

__device__ __forceinline__ uint64_t allowed_of(const tq_cuda_resident &r, const Scope &scope, uint64_t group) {
    uint64_t word = r.present[group];
    if (scope.filter != nullptr) word &= group < scope.filter_groups ? scope.filter[group] : 0;
    return word;
}

/* The bits of a lane's two rows, 16 t + g and 8 more, as the halves of a word, all ones or none. */
__device__ __forceinline__ uint32_t halves_of(uint64_t word, int lane) {
    uint32_t row = 16 * (lane & 3) + (lane >> 2);
    return ((word >> row & 1) != 0 ? 0xffffu : 0u) | ((word >> (row + 8) & 1) != 0 ? 0xffff0000u : 0u);
}

/* A group's sums of one query, those of the lane's two rows in the halves of a word, one more than the CPU's. */
template <int SLABS>
__device__ __forceinline__ uint32_t sums_of(const Tiles<SLABS> &tiles, const uint2 (&query)[SLABS], uint32_t none,
                                            int lane) {
    int t = lane & 3, pair = t == 2 ? -2 : 2, shift = 2 * t;
    uint32_t p[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int c[4] = {0, 0, 0, 0};
#pragma unroll
        for (int s = 0; s < SLABS; s++) {
            const uint4 &w = tiles.word[s][i];
            uint32_t a[4] = {w.x, w.z, w.y, w.w};
            bit_product(c, a, query[s]);
        }
        p[i] = weigh_six(c, pair, shift);
    }
    return add_lanes(p, t) + none;
}

/* ---- Histograms: from which bin on there are enough ---- */

/* How many groups, or rows, the first bar is to come of. */
__device__ __forceinline__ uint32_t seeds_wanted(const Question &q) { return max(64u, 2 * q.wanted); }

/* The highest bin with which, and those above, there are at least `wanted`; 0 if there are not so many. By a warp,
 * which narrows down a run of bins to a 32nd each time. *above: how many are in the bins above it. */
template <uint32_t BINS>
__device__ inline uint32_t find_bin(const uint32_t *bins, uint32_t wanted, int lane, uint32_t *above) {
    uint32_t end = BINS, total = 0;
    for (uint32_t each = BINS / 32;; each = each >= 32 ? each / 32 : 1) {
        uint32_t sum = 0, last = end - lane * each; /* behind the lane's bins */
        bool there = last >= each && last <= end;
        if (there && each >= 4) {
#pragma unroll 8
            for (uint32_t i = 0; i < each; i += 4) {
                uint4 four = __ldcg((const uint4 *)(bins + last - each + i));
                sum += four.x + four.y + four.z + four.w;
            }
        } else if (there) {
            sum = __ldcg(bins + last - 1);
        }
        uint32_t through = sum;
#pragma unroll
        for (int d = 1; d < 32; d *= 2) {
            uint32_t before = __shfl_up_sync(FULL_WARP, through, d);
            if (lane >= d) through += before;
        }
        uint32_t reached = __ballot_sync(FULL_WARP, there && total + through >= wanted);
        *above = total;
        if (reached == 0) return 0;
        int first = __ffs(reached) - 1;
        total += __shfl_sync(FULL_WARP, through - sum, first);
        end -= first * each;
        *above = total;
        if (each == 1) return end - 1;
    }
}

/* Of a block's histogram the top is added to that of all blocks: as many as may be wanted. By a warp. */
template <uint32_t BINS>
__device__ inline void add_top(const uint32_t *histogram, uint32_t wanted, uint32_t *to, int lane) {
    uint32_t total = 0;
    for (int first = (int)BINS - 32; first >= 0 && total < wanted; first -= 32) {
        uint32_t count = histogram[first + lane];
        if (count != 0) atomicAdd(to + first + lane, count);
        total += __reduce_add_sync(FULL_WARP, count);
    }
}

/* Whether this warp's block is the last of the kernel to get here; what the others wrote before is seen then. */
__device__ inline bool last_block(uint32_t *done, int lane) {
    uint32_t before = 0;
    __threadfence();
    __syncwarp();
    if (lane == 0) before = atomicAdd(done, 1u);
    if (__shfl_sync(FULL_WARP, before, 0) != gridDim.x - 1) return false;
    __threadfence();
    if (lane == 0) *done = 0;
    return true;
}

/* ---- The question ---- */

/* From the host's memory, 16 bytes a thread: quicker than a copy of the graph, and the scan begins meanwhile. */
static __global__ void bring_question(const uint4 *from, uint4 *to, uint32_t count) {
    let_next_kernel_begin();
    wait_for_kernel_before();
    for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) to[i] = __ldcv(from + i);
}

/* ---- The scan ---- */

template <int SLABS> __host__ __device__ constexpr int bin_shift() { return SLABS == 1 ? 3 : SLABS == 2 ? 4 : 5; }

/* Blocks of a multiprocessor; fewer where products of bits are emulated. */
template <int SLABS> __host__ __device__ constexpr int scan_blocks() {
#if __CUDA_ARCH__ >= 1000
    return SLABS == 1 ? 3 : SLABS == 2 ? 2 : 1;
#else
    return SLABS == 1 ? 4 : 2;
#endif
}

/* BY_ROWS: so few groups that rows are counted instead of groups. FILTERED: many groups may have no row to find. */
template <int SLABS, bool BY_ROWS, bool FILTERED>
__global__ void __launch_bounds__(SCAN_THREADS, scan_blocks<SLABS>())
    scan_signs(const __grid_constant__ tq_cuda_resident r, const __grid_constant__ Scope scope,
               const Question *question, uint32_t *sums, uint16_t *maxima, State *state) {
    __shared__ uint32_t histogram[SEED_BINS];
    for (int i = threadIdx.x; i < SEED_BINS; i += SCAN_THREADS) histogram[i] = 0;
    __syncthreads();
    let_next_kernel_begin();
    int lane = threadIdx.x & 31;
    uint32_t step = gridDim.x * SCAN_WARPS, group = blockIdx.x * SCAN_WARPS + threadIdx.x / 32;
    uint32_t groups = (uint32_t)scope.groups, scanned = 0;
    Tiles<SLABS> now, next;
    uint64_t word = group < groups ? allowed_of(r, scope, group) : 0;
    uint64_t next_word = FILTERED && group + step < groups ? allowed_of(r, scope, group + step) : 0;
    if (word != 0) now.load(r, group, lane);
    wait_for_kernel_before(); /* rows do not change, the question comes */
    uint32_t none = (question->line.negative + 1) * 0x10001u;
    uint2 query[SLABS];
#pragma unroll
    for (int s = 0; s < SLABS; s++) query[s] = ((const uint2 *)(question + 1))[(s * PARTS + PART_PLANE) * 32 + lane];
    for (; group < groups; group += step) {
        /* Without a filter the tiles do not wait to be known to have rows. */
        if (FILTERED ? next_word != 0 : group + step < groups) next.load(r, group + step, lane);
        if (!FILTERED && group + step < groups) next_word = r.present[group + step];
        uint32_t most = 0;
        if (word != 0) {
            uint32_t sum = sums_of<SLABS>(now, query, none, lane);
            scanned += __popcll(word);
            if (word != ~0ull) sum &= halves_of(word, lane);
            if (BY_ROWS) {
                if ((sum & 0xffffu) != 0) atomicAdd(&histogram[(sum & 0xffffu) >> bin_shift<SLABS>()], 1u);
                if (sum >> 16 != 0) atomicAdd(&histogram[sum >> 16 >> bin_shift<SLABS>()], 1u);
            }
            most = __reduce_max_sync(FULL_WARP, max(sum & 0xffffu, sum >> 16));
            if (!BY_ROWS && lane == 0 && most != 0) atomicAdd(&histogram[most >> bin_shift<SLABS>()], 1u);
            sums[group * 32ull + lane] = sum;
        }
        if (lane == 0) maxima[group] = (uint16_t)most;
        now = next;
        word = next_word;
        if (FILTERED && group + 2 * step < groups) next_word = allowed_of(r, scope, group + 2 * step);
    }
    if (lane == 0 && scanned != 0) atomicAdd(&state->scanned, scanned);
    __syncthreads();
    if (threadIdx.x >= 32) return;
    uint32_t wanted = seeds_wanted(*question), above;
    add_top<SEED_BINS>(histogram, wanted, state->histogram, lane);
    if (!last_block(&state->done, lane)) return;
    uint32_t bin = find_bin<SEED_BINS>(state->histogram, wanted, lane, &above);
    if (lane == 0) state->seed_threshold = max(1u, bin << bin_shift<SLABS>());
}

/* Where norms matter: the rank (bounds.cuh) that enough groups or rows have, by its first twelve bits and then by its
 * next. */
template <int PASS, bool BY_ROWS>
__global__ void __launch_bounds__(SCAN_THREADS)
    rank_sums(const __grid_constant__ tq_cuda_resident r, const __grid_constant__ Scope scope, const Question *question,
              const uint32_t *sums, const uint16_t *maxima, State *state) {
    __shared__ uint32_t histogram[RANK_BINS];
    for (int i = threadIdx.x; i < RANK_BINS; i += SCAN_THREADS) histogram[i] = 0;
    __syncthreads();
    let_next_kernel_begin();
    wait_for_kernel_before();
    uint32_t prefix = PASS == 0 ? 0 : state->seed_threshold >> 20;
    auto count = [&](uint32_t sum, uint64_t group) {
        if (sum == 0) return;
        uint32_t rank = rank_of(*question, sum, r.norms[group]);
        if (PASS == 0)
            atomicAdd(&histogram[rank >> 20], 1u);
        else if (rank >> 20 == prefix)
            atomicAdd(&histogram[rank >> 8 & (RANK_BINS - 1)], 1u);
    };
    uint64_t at = (uint64_t)blockIdx.x * SCAN_THREADS + threadIdx.x, step = (uint64_t)gridDim.x * SCAN_THREADS;
    if (BY_ROWS) {
        for (; at < scope.groups * 32; at += step) {
            if (maxima[at / 32] == 0) continue;
            count(sums[at] & 0xffffu, at / 32);
            count(sums[at] >> 16, at / 32);
        }
    } else {
        for (; at < scope.groups; at += step) count(maxima[at], at);
    }
    __syncthreads();
    int lane = threadIdx.x & 31;
    if (threadIdx.x >= 32) return;
    uint32_t wanted = seeds_wanted(*question), above, *all = state->ranks[PASS];
    add_top<RANK_BINS>(histogram, wanted, all, lane);
    if (!last_block(&state->done, lane)) return;
    if (PASS == 1) { /* how many are above the first bin is known from the first pass */
        uint32_t bin = find_bin<RANK_BINS>(state->ranks[0], wanted, lane, &above);
        wanted -= min(wanted, above);
        bin = bin << 20 | find_bin<RANK_BINS>(all, wanted, lane, &above) << 8;
        if (lane == 0) state->seed_threshold = bin;
        return;
    }
    uint32_t bin = find_bin<RANK_BINS>(all, wanted, lane, &above);
    if (lane == 0) state->seed_threshold = bin << 20;
}

#endif
