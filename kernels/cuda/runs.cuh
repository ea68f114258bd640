/* Every row's full code, rows one behind the other.
 *
 *   sample_rows        some of them, for the bar
 *   score_rows         all of them
 *   score_first_rows   all of them, and the bar out of the first: where rows are few, a kernel less */
#ifndef TQ_CUDA_RUNS_CUH
#define TQ_CUDA_RUNS_CUH

#include "kernels/cuda/collect.cuh"

/* Runs of sixteen rows, every `apart`-th of them. A block's warps take its share one by one, so that one which found
 * more than others has fewer. Those that have no row to find are not read. */
struct Runs {
    const tq_cuda_resident &r;
    const Scope &scope;
    uint32_t *taken; /* shared: how many the block's warps took */
    uint32_t apart, end;
    uint32_t run, next, ahead; /* rows of the first two are on their way, and the word of the third */
    uint32_t rows, next_rows, ahead_rows;

    __device__ __forceinline__ void take_one(int lane) {
        uint32_t index = 0;
        if (lane == 0) index = atomicAdd(taken, 1u);
        index = __shfl_sync(FULL_WARP, index, 0);
        uint32_t warps = blockDim.x / 32, turn = index / warps; /* of a turn, a block's runs lie together */
        ahead = min(((turn * gridDim.x + blockIdx.x) * warps + index - turn * warps) * apart, end);
        ahead_rows = ahead < end ? (uint32_t)(allowed_of(r, scope, ahead / 4) >> (ahead % 4 * 16)) & 0xffffu : 0u;
    }
    __device__ __forceinline__ void advance(int lane) {
        run = next, rows = next_rows;
        while (ahead < end && ahead_rows == 0) take_one(lane);
        next = ahead, next_rows = ahead_rows;
        take_one(lane);
    }
    __device__ __forceinline__ void begin(Stream &stream, int lane) {
        take_one(lane);
        advance(lane);
        advance(lane);
        if (run < end) stream.fill_run(0, run * (uint64_t)STAGE_ROWS, lane);
        if (next < end) stream.fill_run(1, next * (uint64_t)STAGE_ROWS, lane);
    }
};

/* The first two runs are asked for; nothing of the question is needed. */
__device__ __forceinline__ Runs make_runs(const tq_cuda_resident &r, const Scope &scope, uint32_t apart,
                                          unsigned char *memory, Stream &stream) {
    Refine &shared = *(Refine *)memory;
    if (threadIdx.x == 0) shared.runs_taken = 0;
    __syncthreads();
    Runs runs = {r, scope, &shared.runs_taken, apart, (uint32_t)scope.groups * 4};
    runs.begin(stream, threadIdx.x & 31);
    return runs;
}

/* The run whose rows are in `stage` or on their way there, refined, and the one behind the next asked for. How many
 * rows it has. */
template <int CODE_BITS, bool QJL, class Take>
__device__ __forceinline__ uint32_t refine_run(Runs &runs, const Weights<CODE_BITS> &weights, const Refine &shared,
                                               const Fast &fast, Stream &stream, uint32_t stage, int lane,
                                               const Take &take) {
    uint32_t rows = runs.rows, row = (lane >> 2) + 8 * (lane & 3);
    stream.wait(stage, runs.next < runs.end);
    refine_stage<CODE_BITS, QJL>(runs.r, weights, shared, fast, stream.stage_of(stage), runs.r.row_words,
                                 (rows >> (row & 15) & 1) != 0, lane,
                                 [&](const Bounds &made) { take(made, runs.run * (uint64_t)STAGE_ROWS + row); });
    __syncwarp();
    runs.advance(lane);
    if (runs.next < runs.end) stream.fill_run(stage, runs.next * (uint64_t)STAGE_ROWS, lane);
    return __popc(rows);
}

/* All of them, from the one in `stage` on. */
template <int CODE_BITS, bool QJL, class Take>
__device__ inline uint32_t refine_runs(Runs &runs, const Question *question, const Refine &shared, Warp &warp,
                                       uint32_t stage, const Take &take) {
    Weights<CODE_BITS> weights(question);
    Fast fast = shared.fast;
    uint32_t rows = 0;
    for (; runs.run < runs.end; stage ^= 1)
        rows += refine_run<CODE_BITS, QJL>(runs, weights, shared, fast, warp.stream, stage, threadIdx.x & 31, take);
    return rows;
}

/* The best key of the lanes that got here together. */
struct TakeBestKey {
    TakeKey take;
    __device__ __forceinline__ void operator()(const Bounds &made, uint64_t row) const {
        uint32_t there = __activemask();
        float key = (float)made.key, most = key;
        for (uint32_t rest = there; rest != 0; rest &= rest - 1)
            most = fmaxf(most, __shfl_sync(there, key, __ffs(rest) - 1));
        uint32_t winners = __ballot_sync(there, key == most);
        if ((threadIdx.x & 31) == (uint32_t)__ffs(winners) - 1) take(made, row);
    }
};

/* Every `apart`-th run of sixteen rows; the best key of each. */
template <int CODE_BITS, bool QJL>
__global__ void __launch_bounds__(REFINE_THREADS, 1)
    sample_rows(const __grid_constant__ tq_cuda_resident r, const __grid_constant__ Scope scope, uint32_t apart,
                const Question *question, double *keys, State *state) {
    extern __shared__ __align__(128) unsigned char memory[];
    let_next_kernel_begin();
    Warp warp = make_warp(r, memory, threadIdx.x & 31);
    Runs runs = make_runs(r, scope, apart, memory, warp.stream);
    wait_for_kernel_before();
    Refine &shared = make_refine(question, r.slabs, -infinity(), memory);
    refine_runs<CODE_BITS, QJL>(runs, question, shared, warp, 0, TakeBestKey{{keys, &state->seeds}});
    bar_of_keys(question, keys, memory, state);
}

template <int CODE_BITS, bool QJL>
__global__ void __launch_bounds__(REFINE_THREADS, 1)
    score_rows(const __grid_constant__ tq_cuda_resident r, const __grid_constant__ Scope scope,
               const Question *question, bool seeded, Outcome *found, State *state) {
    extern __shared__ __align__(128) unsigned char memory[];
    let_next_kernel_begin();
    Warp warp = make_warp(r, memory, threadIdx.x & 31);
    Runs runs = make_runs(r, scope, 1, memory, warp.stream);
    wait_for_kernel_before();
    Refine &shared = make_refine(question, r.slabs, known_bar(question, state, seeded), memory);
    uint32_t taken = refine_runs<CODE_BITS, QJL>(runs, question, shared, warp, 0,
                                                 TakeCandidate{found->list, &state->candidates});
    if ((threadIdx.x & 31) == 0 && taken != 0) atomicAdd(&state->survivors, taken);
}

/* ---- The bar out of the first rows ---- */

/* SPIN_MOST: clocks that a block waits for others. Not all of them may be running, when there are other lanes; a block
 * that has waited in vain goes on without a bar. */
enum { FIRST_EACH = FIRST_BLOCKS_MOST / 32, SPIN_MOST = 100000 };

/* A float no larger than the key, in the order of unsigned numbers. */
__device__ __forceinline__ uint32_t ordered_below(double key) {
    float near = (float)key;
    uint32_t bits = __float_as_uint(near), order = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
    return (double)near > key ? order - 1 : order;
}
__device__ __forceinline__ double of_ordered_below(uint32_t bits) {
    return __uint_as_float((bits >> 31) != 0 ? bits & 0x7fffffffu : ~bits);
}

/* The wanted-th largest of a key a block, by a warp; few are wanted. */
__device__ inline double select_of_blocks(const uint32_t *keys, uint32_t count, uint32_t wanted, int lane) {
    uint32_t own[FIRST_EACH], most = 0;
#pragma unroll
    for (int i = 0; i < FIRST_EACH; i++) own[i] = lane + 32u * i < count ? __ldcg(keys + lane + 32 * i) : 0;
    for (uint32_t n = 0; n < wanted; n++) {
        uint32_t largest = 0;
#pragma unroll
        for (int i = 0; i < FIRST_EACH; i++) largest = max(largest, own[i]);
        most = __reduce_max_sync(FULL_WARP, largest);
        uint32_t owners = __ballot_sync(FULL_WARP, largest == most);
        bool mine = lane == __ffs(owners) - 1; /* of equals one goes */
#pragma unroll
        for (int i = 0; i < FIRST_EACH; i++)
            if (mine && own[i] == most) own[i] = 0, mine = false;
    }
    return most == 0 ? -infinity() : of_ordered_below(most);
}

/* A block's best key goes to the others'; the last block makes the bar of them, the others wait for it. */
__device__ inline double bar_of_first(const Question *question, double key, uint32_t *keys, State *state) {
    __shared__ uint32_t best[WARPS_MOST];
    __shared__ double bar;
    int lane = threadIdx.x & 31;
    uint32_t most = __reduce_max_sync(FULL_WARP, ordered_below(key));
    if (lane == 0) best[threadIdx.x / 32] = most;
    __syncthreads();
    if (threadIdx.x < 32) {
        most = __reduce_max_sync(FULL_WARP, lane < blockDim.x / 32 ? best[lane] : 0);
        if (lane == 0) keys[blockIdx.x] = most;
        double made = question->seed_bar;
        if (last_block(&state->done, lane)) {
            made = fmax(made, select_of_blocks(keys, gridDim.x, question->wanted, lane));
            if (lane == 0) {
                *(volatile double *)&state->bar = made;
                __threadfence();
                *(volatile uint32_t *)&state->ready = 1;
            }
        } else if (lane == 0) {
            long long from = clock64();
            uint32_t ready = 0;
            while ((ready = *(volatile uint32_t *)&state->ready) == 0 && clock64() - from < SPIN_MOST) __nanosleep(100);
            __threadfence();
            if (ready != 0) made = *(volatile double *)&state->bar;
        }
        if (lane == 0) bar = made;
    }
    __syncthreads();
    return bar;
}

template <int CODE_BITS, bool QJL>
__global__ void __launch_bounds__(REFINE_THREADS, 1)
    score_first_rows(const __grid_constant__ tq_cuda_resident r, const __grid_constant__ Scope scope,
                     const Question *question, double *keys, Outcome *found, State *state) {
    extern __shared__ __align__(128) unsigned char memory[];
    let_next_kernel_begin();
    int lane = threadIdx.x & 31, row = (lane >> 2) + 8 * (lane & 3);
    Warp warp = make_warp(r, memory, lane);
    Runs runs = make_runs(r, scope, 1, memory, warp.stream);
    wait_for_kernel_before();
    Refine &shared = make_refine(question, r.slabs, -infinity(), memory);
    Bounds first = {-infinity(), -infinity(), -infinity()};
    uint64_t at = runs.run * (uint64_t)STAGE_ROWS + row;
    uint32_t rows = runs.run < runs.end ? runs.rows : 0;
    if (runs.run < runs.end)
        refine_run<CODE_BITS, QJL>(runs, Weights<CODE_BITS>(question), shared, shared.fast, warp.stream, 0, lane,
                                   [&](const Bounds &made, uint64_t) { first = made; });
    double bar = bar_of_first(question, first.key, (uint32_t *)keys, state);
    if (threadIdx.x == 0) make_bar(question, bar, shared);
    __syncthreads();
    TakeCandidate take = {found->list, &state->candidates};
    if ((lane & 3) < 2 && (rows >> (row & 15) & 1) != 0 && first.upper >= bar) take(first, at);
    uint32_t taken = __popc(rows) + refine_runs<CODE_BITS, QJL>(runs, question, shared, warp, 1, take);
    if (lane == 0 && taken != 0) atomicAdd(&state->survivors, taken);
}

#endif
