/* The end of a search: T, the k-th largest key of the candidates, and the rows with u >= T. */
#ifndef TQ_CUDA_FINISH_CUH
#define TQ_CUDA_FINISH_CUH

#include "kernels/cuda/collect.cuh"

/* T, and the candidates with u >= T, by a block; `bar` is no higher than T, `all` how many were found. What is needed
 * at once goes to the host's memory by itself. */
__device__ inline void finish_query(const Question *question, double bar, uint32_t all, uint64_t survivors,
                                    uint64_t scanned, const Outcome *found, Outcome *answer, Outcome *host) {
    __shared__ Selection selection;
    __shared__ uint64_t keys[FINISH_KEYS];
    __shared__ uint32_t kept;
    uint32_t count = min(all, (uint32_t)TQ_CUDA_CANDIDATES_MOST), wanted = question->wanted;
    double reached = -infinity();
    if (threadIdx.x == 0) kept = 0;
    __syncthreads();
    if (wanted > 0) {
        for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) {
            double key = __ldcg(&found->list[i].key);
            if (!(key >= bar)) continue;
            uint32_t at = atomicAdd(&kept, 1u);
            if (at < FINISH_KEYS) keys[at] = ordered(key);
        }
        __syncthreads();
        if (kept <= FINISH_KEYS) {
            reached = select_largest(selection, kept, wanted, [&](uint32_t i) { return keys[i]; });
        } else {
            reached = select_largest(selection, count, wanted, [&](uint32_t i) {
                double key = __ldcg(&found->list[i].key);
                return key >= bar ? ordered(key) : 0;
            });
        }
    }
    bar = fmax(bar, reached);
    __syncthreads();
    if (threadIdx.x == 0) kept = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) {
        tq_cuda_candidate one = found->list[i];
        if (!(one.upper >= bar)) continue;
        uint32_t at = atomicAdd(&kept, 1u);
        answer->list[at] = one;
        if (at < SENT_AT_ONCE) host->list[at] = one;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        host->bar = bar;
        host->count = kept, host->found = all;
        host->survivors = survivors, host->scanned = scanned;
    }
}

static __global__ void __launch_bounds__(FINISH_THREADS)
    finish(const Question *question, bool seeded, const Outcome *found, Outcome *answer, State *state, Outcome *host) {
    wait_for_kernel_before();
    finish_query(question, known_bar(question, state, seeded), state->candidates, state->survivors, state->scanned,
                 found, answer, host);
    __syncthreads();
    /* The state is left as the next query's first kernel expects it. */
    uint32_t used = question->bounds.metric == 0 ? SEED_BINS : SEED_BINS + 2 * RANK_BINS;
    for (uint32_t i = threadIdx.x; i < used; i += blockDim.x) ((uint32_t *)state)[i] = 0;
    if (threadIdx.x == 0) {
        state->seeds = state->candidates = state->survivors = state->scanned = state->seed_threshold = 0;
        state->ready = 0;
        state->bar = 0;
    }
}

#endif
