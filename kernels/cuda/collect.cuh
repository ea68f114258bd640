/* From sums to candidates. Each warp works by itself, so that those that wait for memory leave the others work.
 *
 *   seed_bar       rows of the best sums, refined: the k-th best key is a bar, no higher than T
 *   collect_rows   rows whose sum may reach the bar, refined; those whose bound reaches it are candidates */
#ifndef TQ_CUDA_COLLECT_CUH
#define TQ_CUDA_COLLECT_CUH

#include "kernels/cuda/refine.cuh"
#include "kernels/cuda/scan.cuh"
#include "kernels/cuda/select.cuh"

/* LIST_MOST: a power of two, rows in flight and less than a stage of others, when a turn adds GROUPS_AT_ONCE groups. */
enum { WARPS_MOST = 12, GROUPS_AT_ONCE = 4, LIST_MOST = 512 };
/* Where products of bits are emulated (sm_100 and later), a warp needs more registers, and a block has fewer warps. */
enum { WARPS_EMULATING = 8 };
#if __CUDA_ARCH__ >= 1000
#define REFINE_THREADS (32 * WARPS_EMULATING)
#else
#define REFINE_THREADS (32 * WARPS_MOST)
#endif
static_assert(STAGES * STAGE_ROWS + STAGE_ROWS + 64 * GROUPS_AT_ONCE <= LIST_MOST, "a list is a ring");

/* ---- Shared memory of a block: Refine, parts of the query, and of each warp its list, barriers and stages ---- */

__host__ __device__ inline uint32_t warps_offset(uint32_t slabs) {
    return ((uint32_t)sizeof(Refine) + slabs * PARTS * PART_BYTES + 127) / 128 * 128;
}
__host__ __device__ inline uint32_t warp_bytes(uint32_t row_words) {
    return (uint32_t)STAGES * STAGE_ROWS * 4 * stage_stride(row_words) + LIST_MOST * 4 + 128;
}

struct Warp {
    Stream stream;
    uint32_t *list;
};

__device__ inline Warp make_warp(const tq_cuda_resident &r, unsigned char *memory, int lane) {
    uint32_t stride = stage_stride(r.row_words);
    unsigned char *own = memory + warps_offset(r.slabs) + (threadIdx.x / 32) * (size_t)warp_bytes(r.row_words);
    unsigned char *behind = own + (size_t)STAGES * STAGE_ROWS * 4 * stride;
    Warp warp = {{(uint32_t *)own, (uint64_t *)(behind + LIST_MOST * 4), r.rows, r.row_words, stride, 0},
                 (uint32_t *)behind};
    warp.stream.begin(lane);
    return warp;
}

__device__ inline void make_bar(const Question *question, double bar, Refine &shared) {
    shared.bar = bar;
    shared.fast = make_fast(question->bounds, bar);
    shared.fast_norms = make_fast_norms(question->bounds, bar);
}

/* The block's part of it; `bar` is what rows are refined for. */
__device__ inline Refine &make_refine(const Question *question, uint32_t slabs, double bar, unsigned char *memory) {
    Refine &shared = *(Refine *)memory;
    uint4 *to = (uint4 *)(memory + sizeof(Refine));
    for (uint32_t i = threadIdx.x; i < slabs * PARTS * PART_BYTES / 16; i += blockDim.x)
        to[i] = ((const uint4 *)(question + 1))[i];
    if (threadIdx.x == 0) {
        shared.bounds = question->bounds;
        make_bar(question, bar, shared);
        shared.taken = 0;
        shared.parts = (uint32_t)__cvta_generic_to_shared(to);
    }
    __syncthreads();
    return shared;
}

/* ---- Where rows go that reach the bar: few, so each has an atomic of its own ---- */

struct TakeCandidate {
    tq_cuda_candidate *out;
    uint32_t *count;
    __device__ __forceinline__ void operator()(const Bounds &made, uint64_t row) const {
        uint32_t at = atomicAdd(count, 1u);
        if (at < TQ_CUDA_CANDIDATES_MOST) out[at] = tq_cuda_candidate{made.upper, made.estimate, made.key, row};
    }
};

struct TakeKey {
    double *out;
    uint32_t *count;
    __device__ __forceinline__ void operator()(const Bounds &made, uint64_t) const {
        uint32_t at = atomicAdd(count, 1u);
        if (at < SEEDS_MOST) out[at] = made.key;
    }
};

/* ---- Rows by their sums ---- */

/* A group's rows whose sum is at least `least`, and of the `always` ones all that may be found, appended to the warp's
 * list; returns its new end. */
__device__ __forceinline__ uint32_t list_group(uint32_t group, uint32_t sum, uint32_t least, uint64_t always,
                                               uint32_t *list, uint32_t end, int lane) {
    uint32_t row = 16 * (lane & 3) + (lane >> 2), low_sum = sum & 0xffffu, high_sum = sum >> 16;
    bool low = low_sum >= least, high = high_sum >= least;
    if (always != 0) {
        low = low || (low_sum != 0 && (always >> row & 1) != 0);
        high = high || (high_sum != 0 && (always >> (row + 8) & 1) != 0);
    }
    uint32_t lows = __ballot_sync(FULL_WARP, low), highs = __ballot_sync(FULL_WARP, high);
    uint32_t before = (1u << lane) - 1, count = __popc(lows);
    if (low) list[(end + __popc(lows & before)) % LIST_MOST] = group * 64 + row;
    if (high) list[(end + count + __popc(highs & before)) % LIST_MOST] = group * 64 + row + 8;
    return end + count + __popc(highs);
}

/* Up to 32 groups at a time, the next that no warp of the block has taken. A lane for each asks whether its largest sum
 * reaches what threshold_of(group) says (with ALWAYS, or whether it has rows whose sums say nothing), and those that do
 * are looked into by the whole warp. */
template <bool ALWAYS, class Threshold> struct Listing {
    const tq_cuda_resident &r;
    const uint32_t *sums;
    const uint16_t *maxima;
    const Threshold &threshold_of;
    uint32_t *taken;                   /* shared: how many runs of groups the block's warps took */
    uint32_t groups, run, first, next; /* `first`: of the run in hand; `next`: of the one on its way */
    uint32_t largest, least, listed;
    uint64_t always, next_always;

    __device__ __forceinline__ void load(int lane) {
        uint32_t index = 0;
        if (lane == 0) index = atomicAdd(taken, 1u);
        next = min((__shfl_sync(FULL_WARP, index, 0) * gridDim.x + blockIdx.x) * run, groups);
        bool there = (uint32_t)lane < run && next + lane < groups;
        largest = there ? maxima[next + lane] : 0;
        next_always = ALWAYS && there ? r.unusable[next + lane] : 0;
    }
    __device__ __forceinline__ void begin(uint32_t warps, int lane) {
        uint32_t share = (groups + warps - 1) / warps;
        run = share <= 32 ? share : share < 4 * 32 ? 16 : 32; /* as even as it can be, or small enough to become so */
        listed = 0;
        load(lane);
    }
    __device__ __forceinline__ bool more() const { return listed != 0 || next < groups; }
    /* Appends rows to the list, maybe none; its new end. */
    __device__ __forceinline__ uint32_t turn(uint32_t *list, uint32_t end, int lane) {
        if (listed == 0) {
            first = next, always = next_always, least = 0;
            if (largest != 0) least = threshold_of(first + lane);
            listed = __ballot_sync(FULL_WARP, largest != 0 && (largest >= least || always != 0));
            load(lane);
        }
        uint32_t from[GROUPS_AT_ONCE], sum[GROUPS_AT_ONCE];
        int count = 0;
#pragma unroll
        for (int i = 0; i < GROUPS_AT_ONCE; i++) {
            from[i] = listed != 0 ? __ffs(listed) - 1 : 0;
            sum[i] = listed != 0 ? __ldcg(sums + (first + from[i]) * 32ull + lane) : 0;
            count += listed != 0;
            listed &= listed - 1;
        }
#pragma unroll
        for (int i = 0; i < GROUPS_AT_ONCE; i++) {
            uint32_t own = __shfl_sync(FULL_WARP, least, from[i]);
            uint64_t word = ALWAYS ? __shfl_sync(FULL_WARP, always, from[i]) : 0;
            if (i < count) end = list_group(first + from[i], sum[i], own, word, list, end, lane);
        }
        return end;
    }
};

/* Listed rows are refined, sixteen at a time; while some are on their way, more are listed. */
template <int CODE_BITS, bool QJL, bool ALWAYS, class Threshold, class Take>
__device__ inline void refine_by_sums(const tq_cuda_resident &r, uint32_t groups, const Question *question,
                                      const uint32_t *sums, const uint16_t *maxima, Refine &shared, Warp &warp,
                                      const Threshold &threshold_of, uint32_t *survivors, const Take &take) {
    int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    Weights<CODE_BITS> weights(question);
    Fast fast = shared.fast;
    Stream &stream = warp.stream;
    uint32_t warps = blockDim.x / 32;
    Listing<ALWAYS, Threshold> listing = {r, sums, maxima, threshold_of, &shared.taken, groups};
    listing.begin(gridDim.x * warps, lane);
    /* rows [refined, filled) are on their way, [filled, end) are listed */
    uint32_t refined = 0, filled = 0, end = 0, stage = 0;
    for (;;) {
        if (end - filled < STAGE_ROWS && listing.more()) {
            end = listing.turn(warp.list, end, lane);
            continue;
        }
        uint32_t flying = (filled - refined + STAGE_ROWS - 1) / STAGE_ROWS;
        if (end != filled && flying < STAGES) {
            __syncwarp();
            uint32_t count = min(end - filled, (uint32_t)STAGE_ROWS),
                     i = min((uint32_t)lane & (STAGE_ROWS - 1), count - 1);
            stream.fill((stage + flying) % STAGES, warp.list[(filled + i) % LIST_MOST], lane);
            filled += count;
            continue;
        }
        if (flying == 0) break;
        stream.wait(stage, flying > 1);
        uint32_t i = refined + g + 8 * t;
        refine_stage<CODE_BITS, QJL>(r, weights, shared, fast, stream.stage_of(stage), stream.stride, i < filled, lane,
                                     [&](const Bounds &made) { take(made, warp.list[i % LIST_MOST]); });
        __syncwarp();
        refined = min(refined + STAGE_ROWS, filled);
        stage = (stage + 1) % STAGES;
    }
    if (lane == 0 && refined != 0) atomicAdd(survivors, refined);
}

/* The largest bar that is known before candidates are sought. */
__device__ __forceinline__ double known_bar(const Question *question, const State *state, bool seeded) {
    return fmax(seeded ? state->bar : -infinity(), question->seed_bar);
}

/* The last block of a kernel that left keys makes the bar of them. */
__device__ inline void bar_of_keys(const Question *question, const double *keys, unsigned char *memory, State *state) {
    Selection &selection = *(Selection *)(memory + warps_offset(0)); /* the stages are done with */
    __shared__ bool last;
    __syncthreads();
    if (threadIdx.x < 32) {
        bool mine = last_block(&state->done, threadIdx.x);
        if (threadIdx.x == 0) last = mine;
    }
    __syncthreads();
    if (!last) return;
    uint32_t count = min(*(volatile uint32_t *)&state->seeds, (uint32_t)SEEDS_MOST);
    double bar = select_largest(selection, count, question->wanted,
                                [&](uint32_t i) { return ordered(__ldcg(keys + i)); });
    if (threadIdx.x == 0) state->bar = fmax(bar, question->seed_bar);
}

template <int CODE_BITS, bool QJL>
__global__ void __launch_bounds__(REFINE_THREADS, 1)
    seed_bar(const __grid_constant__ tq_cuda_resident r, uint32_t groups, const Question *question,
             const uint32_t *sums, const uint16_t *maxima, double *keys, State *state) {
    extern __shared__ __align__(128) unsigned char memory[];
    let_next_kernel_begin();
    Warp warp = make_warp(r, memory, threadIdx.x & 31);
    wait_for_kernel_before();
    Refine &shared = make_refine(question, r.slabs, -infinity(), memory);
    uint32_t threshold = state->seed_threshold;
    auto threshold_of = [&](uint32_t group) {
        if (question->bounds.metric == 0) return threshold;
        return sum_of_rank(*question, threshold, r.norms[group]);
    };
    refine_by_sums<CODE_BITS, QJL, false>(r, groups, question, sums, maxima, shared, warp, threshold_of,
                                          &state->survivors, TakeKey{keys, &state->seeds});
    bar_of_keys(question, keys, memory, state);
}

template <int CODE_BITS, bool QJL>
__global__ void __launch_bounds__(REFINE_THREADS, 1)
    collect_rows(const __grid_constant__ tq_cuda_resident r, uint32_t groups, const Question *question, bool seeded,
                 const uint32_t *sums, const uint16_t *maxima, Outcome *found, State *state) {
    extern __shared__ __align__(128) unsigned char memory[];
    let_next_kernel_begin();
    Warp warp = make_warp(r, memory, threadIdx.x & 31);
    wait_for_kernel_before();
    double bar = known_bar(question, state, seeded);
    Refine &shared = make_refine(question, r.slabs, bar, memory);
    uint32_t threshold = sum_at_cosine(*question, bar);
    auto threshold_of = [&](uint32_t group) {
        if (question->bounds.metric == 0) return threshold;
        float2 norms = r.norms[group];
        return sum_at_cosine(*question, cosine_in_range(question->bounds, bar, norms.x, norms.y));
    };
    refine_by_sums<CODE_BITS, QJL, true>(r, groups, question, sums, maxima, shared, warp, threshold_of,
                                         &state->survivors, TakeCandidate{found->list, &state->candidates});
}

#endif
