/* The first plane of all rows for several queries at once.
 *
 *   many_sample   from the largest sums of some groups: which sum about one row in so many reaches
 *   many_scan     every group: rows with such sums, handed over in lists, and the best row of each block
 *
 * The lists hold what any bar may ask for, as long as it asks for no more of a query's rows than were handed over; the
 * bar itself comes of the best rows (many_refine.cuh), as that of a single query does. A warp keeps rows in shared
 * memory until there are enough of a query: then one atomic makes room for them all. */
#ifndef TQ_CUDA_MANY_SCAN_CUH
#define TQ_CUDA_MANY_SCAN_CUH

#include "kernels/cuda/many_query.cuh"

enum { MANY_WARPS = 8, MANY_THREADS = 32 * MANY_WARPS, MANY_KEPT = 120, MANY_HANDED = MANY_KEPT - 64 };
enum { MANY_SAMPLES = 512, MANY_BESTS = 1 << 10 }; /* groups of the sample; blocks of the scan */
enum : uint32_t { MANY_ALWAYS = 0xffff };          /* for a sum: it says nothing, and the row must be looked at */

/* What the kernels of a query leave each other. Sums are P + MANY_ZERO. */
struct ManyQuery {
    ManyLine line;
    FastNorms
        handed_norms; /* where norms matter: rows are handed over that would have this score without deviations, */
    uint32_t handed;  /* else those of this sum at least */
    uint32_t rows;    /* handed over, more than there is memory for if it overflows */
    bool complete;    /* the list has all rows that the bar asks for, if there is room */
    uint32_t seeds, candidates;
    uint32_t reached, survivors; /* rows with such sums, and those of them that the second slab leaves */
    double bar;
};
struct ManyState {
    uint32_t operands[MANY_PAIRS][64];
    unsigned long long scanned;
    uint32_t done;      /* blocks of the sample: 0 between searches */
    uint32_t norm_most; /* bits of the largest norm, where norms matter */
    ManyQuery query[MANY_MOST];
    uint32_t ranks[MANY_MOST][MANY_SAMPLES];
    unsigned long long bests[MANY_MOST][MANY_BESTS]; /* of each block: rank << 32 | row; 0: none */
};

/* ---- Where norms matter ---- */

/* The least cosine at which a row of a group with these norms may reach a bar, less what floats may err by. */
__device__ __forceinline__ float cosine_of_norms(const FastNorms &fast, int32_t metric, float2 norms) {
    float norm = fast.bar > 0 ? norms.y : norms.x, unused;
    if (metric != 1) norm = fminf(fmaxf(sqrtf(fmaxf(fast.bar + fast.query_square, 0.0f)), norms.x), norms.y);
    return needed_cosine(fast, metric, norm, &unused);
}

/* How good a sum is as one to begin with, in the order of unsigned numbers; 0 is not. */
template <bool NORMS>
__device__ __forceinline__ uint32_t rank_of_coarse(const Question *question, const ManyLine &line, uint32_t sum,
                                                   const float2 *norms) {
    if (!NORMS) return sum;
    return rank_at_cosine(*question, (float)(2 * ((int)sum - MANY_ZERO) - line.sum) / line.least_mean, *norms);
}

/* The bar that a row of this rank would reach, if its sum did not deviate. */
__device__ __forceinline__ float bar_of_rank(const tq_cuda_bounds &b, uint32_t rank) {
    float score = __uint_as_float((rank >> 31) != 0 ? rank & 0x7fffffffu : ~rank), length = (float)b.query_norm;
    return b.metric == 1 ? score * length : score - length * length;
}

/* ---- The sample ---- */

/* One of each run of groups, not always the same one: rows may have been put in some order. */
__device__ __forceinline__ uint64_t sample_group(uint32_t i, uint32_t samples, uint64_t groups) {
    uint64_t first = i * groups / samples, apart = (i + 1) * groups / samples - first;
    return first + __umulhi(i * 2654435761u, (uint32_t)apart);
}

/* Halves of a word for pair_rows' bits 0 and 16, all ones or none. */
__device__ __forceinline__ uint32_t mask_halves(uint32_t bits) {
    return ((bits & 1) != 0 ? 0xffffu : 0u) | ((bits >> 16 & 1) != 0 ? 0xffff0000u : 0u);
}

/* The largest rank that the part `share` of those groups reaches that have rows at all; by a warp. */
template <bool NORMS>
__device__ inline uint32_t common_rank(const uint32_t *ranks, uint32_t samples, float share, int lane) {
    uint32_t own[MANY_SAMPLES / 32], there = 0, low = 0;
#pragma unroll
    for (uint32_t i = 0; i < MANY_SAMPLES / 32; i++) {
        own[i] = 32 * i + lane < samples ? __ldcg(ranks + 32 * i + lane) : 0;
        there += own[i] != 0;
    }
    uint32_t wanted = (uint32_t)ceilf(share * (float)__reduce_add_sync(FULL_WARP, there));
    for (uint32_t bit = NORMS ? 1u << 31 : 1u << 15; bit != 0; bit /= 2) { /* `low` is reached by enough */
        uint32_t count = 0;
#pragma unroll
        for (uint32_t i = 0; i < MANY_SAMPLES / 32; i++) count += own[i] >= (low | bit);
        if (__reduce_add_sync(FULL_WARP, count) >= wanted) low |= bit;
    }
    return low;
}

/* group_share: of groups that have a row which is handed over. */
template <bool NORMS>
__global__ void __launch_bounds__(MANY_THREADS, 2)
    many_sample(const __grid_constant__ tq_cuda_resident r, const __grid_constant__ Scope scope, const ManyAsked *asked,
                size_t question_size, uint32_t count, uint32_t samples, float group_share, ManyState *state) {
    __shared__ uint32_t operands[MANY_PAIRS][64];
    __shared__ ManyLine lines[MANY_MOST];
    __shared__ bool last;
    int lane = threadIdx.x & 31, own = threadIdx.x / 32;
    PairLane pair(lane);
    uint32_t at = blockIdx.x * MANY_WARPS + own, step = gridDim.x * MANY_WARPS;
    for (int i = threadIdx.x; i < MANY_PAIRS * 64; i += MANY_THREADS) operands[i / 64][i % 64] = 0;
    __syncthreads();
    let_next_kernel_begin();
    wait_for_kernel_before();
    if (own < (int)count) coarsen(question_of(asked, question_size, own), r.dim, own, operands, &lines[own], lane);
    __syncthreads();
    if (blockIdx.x == 0 && own < (int)count && lane == 0)
        state->query[own].line = lines[own], state->query[own].rows = 0;
    if (blockIdx.x == 0)
        for (int i = threadIdx.x; i < MANY_PAIRS * 64; i += MANY_THREADS)
            state->operands[i / 64][i % 64] = operands[i / 64][i % 64];
    if (blockIdx.x == 0 && threadIdx.x == 0) state->scanned = 0, state->norm_most = 0;
    for (; at < samples; at += step) {
        uint64_t group = sample_group(at, samples, scope.groups);
        Tiles<1> tiles;
        tiles.load(r, group, lane);
        uint32_t rows = pair_rows(allowed_of(r, scope, group) & ~r.unusable[group], pair, lane);
        uint32_t x = mask_halves(rows), y = mask_halves(rows >> 1);
#pragma unroll
        for (int q = 0; q < MANY_PAIRS; q++) {
            uint2 sums = pair_sums(tiles, ((const uint2 *)operands[q])[lane], pair, added_for(0));
            uint32_t most = __vmaxu2(sums.x & x, sums.y & y);
            most = max(most & 0xffffu, most >> 16);
            most = max(most, __shfl_xor_sync(FULL_WARP, most, 1));
            most = max(most, __shfl_xor_sync(FULL_WARP, most, 4));
            most = max(most, __shfl_xor_sync(FULL_WARP, most, 8));
            most = max(most, __shfl_xor_sync(FULL_WARP, most, 16));
            uint32_t query = 2 * q + pair.second;
            if ((lane & ~2) != 0 || query >= count) continue;
            uint32_t rank = 0;
            if (most != 0)
                rank = rank_of_coarse<NORMS>(question_of(asked, question_size, query), lines[query], most,
                                             r.norms + group);
            state->ranks[query][at] = rank;
        }
    }
    __syncthreads();
    if (own == 0) {
        bool mine = last_block(&state->done, lane);
        if (lane == 0) last = mine;
    }
    __syncthreads();
    if (!last || own >= (int)count) return;
    uint32_t rank = common_rank<NORMS>(state->ranks[own], samples, group_share, lane);
    if (lane != 0) return;
    ManyQuery &query = state->query[own];
    query.handed = NORMS ? 0 : max(rank, (uint32_t)(MANY_ZERO - MANY_SUMS));
    const tq_cuda_bounds &bounds = question_of(asked, question_size, own)->bounds;
    if (NORMS) query.handed_norms = make_fast_norms(bounds, (double)bar_of_rank(bounds, rank));
}

/* ---- The scan ---- */

/* Where lists are: of each query `most` rows, and their sums. */
struct ManyLists {
    uint32_t *rows;      /* [count][most] */
    uint16_t *sums;      /* [count][most] */
    uint32_t *survivors; /* [count][most]: rows of those that are left */
    uint32_t most;
};

struct ManyKept {
    uint32_t row[MANY_WARPS][MANY_MOST][MANY_KEPT];
    uint16_t sum[MANY_WARPS][MANY_MOST][MANY_KEPT];
    unsigned long long best[MANY_WARPS][MANY_MOST];
    uint32_t filled[MANY_WARPS][MANY_MOST], to[MANY_MOST], scanned[MANY_WARPS];
    uint32_t norm_most[MANY_WARPS]; /* bits */
};

/* Of the warp's next 32 groups: which have rows that may be found, and which have some whose sums say nothing. */
struct Ahead {
    uint32_t some, always;
};
template <bool NORMS>
__device__ __forceinline__ Ahead look_ahead(const tq_cuda_resident &r, const Scope &scope, uint32_t group,
                                            uint32_t step, ManyKept &kept, int warp, int lane) {
    uint64_t own = group + (uint64_t)lane * step, word = own < scope.groups ? allowed_of(r, scope, own) : 0;
    uint32_t rows = __reduce_add_sync(FULL_WARP, (uint32_t)__popcll(word));
    if (lane == 0) kept.scanned[warp] += rows;
    if (NORMS) {
        uint32_t most = __reduce_max_sync(FULL_WARP, word != 0 ? __float_as_uint(r.norms[own].y) : 0);
        if (lane == 0) kept.norm_most[warp] = max(kept.norm_most[warp], most);
    }
    bool always = word != 0 && (word & r.unusable[own]) != 0;
    return Ahead{__ballot_sync(FULL_WARP, word != 0), __ballot_sync(FULL_WARP, always)};
}

/* Rows of a warp and query go to place `to` of the query's list. */
__device__ __forceinline__ void move_kept(const ManyKept &kept, int own, uint32_t q, uint32_t filled, uint32_t to,
                                          const ManyLists &lists, int lane) {
    for (uint32_t i = lane; i < filled; i += 32) {
        if (to + i >= lists.most) break;
        lists.rows[(uint64_t)q * lists.most + to + i] = kept.row[own][q][i];
        lists.sums[(uint64_t)q * lists.most + to + i] = kept.sum[own][q][i];
    }
}

/* The lists of a warp that are long enough go to the queries' own. */
__device__ inline void hand_over(ManyKept &kept, int own, uint32_t count, const ManyLists &lists, ManyState *state,
                                 int lane) {
    __syncwarp();
    for (uint32_t q = 0; q < count; q++) {
        uint32_t filled = kept.filled[own][q], to = 0;
        if (filled <= MANY_HANDED) continue;
        if (lane == 0) to = atomicAdd(&state->query[q].rows, filled);
        move_kept(kept, own, q, filled, __shfl_sync(FULL_WARP, to, 0), lists, lane);
        __syncwarp();
        if (lane == 0) kept.filled[own][q] = 0;
        __syncwarp();
    }
}

/* What is left of all warps, one atomic a query and block; and the block's best rows. */
__device__ inline void hand_over_rest(ManyKept &kept, uint32_t count, const ManyLists &lists, ManyState *state) {
    __syncthreads();
    if (threadIdx.x == MANY_MOST) {
        uint32_t scanned = 0, norm_most = 0;
        for (int w = 0; w < MANY_WARPS; w++) scanned += kept.scanned[w], norm_most = max(norm_most, kept.norm_most[w]);
        if (scanned != 0) atomicAdd(&state->scanned, (unsigned long long)scanned);
        if (norm_most != 0) atomicMax(&state->norm_most, norm_most); /* 0 where norms do not matter */
    }
    if (threadIdx.x < count) {
        uint32_t total = 0;
        unsigned long long best = 0;
        for (int w = 0; w < MANY_WARPS; w++)
            total += kept.filled[w][threadIdx.x], best = max(best, kept.best[w][threadIdx.x]);
        state->bests[threadIdx.x][blockIdx.x] = best;
        kept.to[threadIdx.x] = total > 0 ? atomicAdd(&state->query[threadIdx.x].rows, total) : 0;
    }
    __syncthreads();
    for (uint32_t q = threadIdx.x / 32; q < count; q += MANY_WARPS) {
        uint32_t to = kept.to[q];
        for (int w = 0; w < MANY_WARPS; w++) {
            uint32_t filled = kept.filled[w][q];
            move_kept(kept, w, q, filled, to, lists, threadIdx.x & 31);
            to += filled;
        }
    }
}

/* Rows of a group that reach what their query hands over, or that must be looked at in any case, into the warp's
 * lists. sums: of each pair, with `added`. What a sum is above that, times the norm, is but for a factor what its score
 * is above the bar that is handed over: the best rows are found by it. Returns whether a list must be handed over. */
template <int PAIRS, bool NORMS>
__device__ __forceinline__ bool keep_rows(ManyKept &kept, int own, uint32_t group, uint32_t count, float norm,
                                          const uint2 (&sums)[PAIRS], const uint32_t (&added)[PAIRS], uint32_t allowed,
                                          uint32_t always, const PairLane &pair, int lane) {
    bool full = false;
    uint32_t hits[PAIRS], at[PAIRS];
#pragma unroll
    for (int q = 0; q < PAIRS; q++) {
        hits[q] = ((sums[q].x >> 15 & 0x10001u) | (sums[q].y >> 14 & 0x20002u) | always) & allowed;
        if (2 * q + pair.second >= count) hits[q] = 0;
        at[q] = 0;
        if (hits[q] != 0) at[q] = atomicAdd(&kept.filled[own][2 * q + pair.second], (uint32_t)__popc(hits[q]));
        full |= at[q] + 4 > MANY_HANDED;
    }
#pragma unroll
    for (int q = 0; q < PAIRS; q++) {
        uint32_t query = 2 * q + pair.second;
        for (uint32_t left = hits[q]; left != 0; left &= left - 1, at[q]++) {
            uint32_t bit = __ffs((int)left) - 1, row = group * 64 + pair_row(bit, pair, lane);
            uint32_t sum = ((bit & 1) != 0 ? sums[q].y : sums[q].x) >> (bit & 16) & 0xffffu;
            uint32_t rank = NORMS ? __float_as_uint((float)(sum - MANY_ZERO + 1) * norm) : 0;
            sum = (always >> bit & 1) != 0 ? MANY_ALWAYS : sum - (added[q] & 0xffffu) + MANY_ZERO;
            kept.row[own][query][at[q]] = row, kept.sum[own][query][at[q]] = (uint16_t)sum;
            if (sum == MANY_ALWAYS) continue;
            unsigned long long best = (unsigned long long)(NORMS ? rank : sum) << 32 | row;
            if (best > kept.best[own][query]) atomicMax(&kept.best[own][query], best);
        }
    }
    return __any_sync(FULL_WARP, full) != 0;
}

/* Where norms matter, what the queries hand over; in shared memory for want of registers. */
struct HandedNorms {
    ManyLine line[MANY_MOST];
    FastNorms bar[MANY_MOST];
};
__device__ inline void load_handed(HandedNorms &handed, const ManyState *state, uint32_t count) {
    if (threadIdx.x < count) {
        handed.line[threadIdx.x] = state->query[threadIdx.x].line;
        handed.bar[threadIdx.x] = state->query[threadIdx.x].handed_norms;
    }
    __syncthreads();
}
template <int PAIRS>
__device__ __forceinline__ void add_by_norms(const HandedNorms &handed, int32_t metric, float2 norms, uint32_t count,
                                             const PairLane &pair, int lane, uint32_t (&added)[PAIRS]) {
    uint32_t query = min((uint32_t)lane, count - 1); /* each lane for one */
    int32_t least = coarse_at_cosine(handed.line[query], cosine_of_norms(handed.bar[query], metric, norms), 0);
    uint32_t own = added_for(lane < (int)count ? least : MANY_SUMS);
#pragma unroll
    for (int q = 0; q < PAIRS; q++) added[q] = __shfl_sync(FULL_WARP, own, 2 * q + pair.second);
}

/* Blocks of a multiprocessor at once: three where registers are enough for it, which is sm_90, without norms. */
enum { SCAN_AT_ONCE = 3, SCAN_AT_ONCE_FEWER = 2 };
#if __CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1000
#define MANY_SCAN_BLOCKS(norms) ((norms) ? SCAN_AT_ONCE_FEWER : SCAN_AT_ONCE)
#else
#define MANY_SCAN_BLOCKS(norms) SCAN_AT_ONCE_FEWER
#endif

/* PAIRS: of queries, the last one may be alone. NORMS: which sum is handed over depends on a group's norms. */
template <int PAIRS, bool NORMS>
__global__ void __launch_bounds__(MANY_THREADS, MANY_SCAN_BLOCKS(NORMS))
    many_scan(const __grid_constant__ tq_cuda_resident r, const __grid_constant__ Scope scope, uint32_t count,
              int32_t metric, const __grid_constant__ ManyLists lists, ManyState *state) {
    __shared__ ManyKept kept;
    int lane = threadIdx.x & 31, own = threadIdx.x / 32;
    PairLane pair(lane);
    uint32_t group = blockIdx.x * MANY_WARPS + own, step = gridDim.x * MANY_WARPS, groups = (uint32_t)scope.groups;
    uint32_t turn = 0, added[PAIRS];
    uint2 operand[PAIRS];
    Tiles<1> now, next;
    if (group < groups) now.load(r, group, lane);
    if (lane < MANY_MOST) kept.filled[own][lane] = 0, kept.best[own][lane] = 0;
    if (lane == 0) kept.scanned[own] = 0, kept.norm_most[own] = 0;
    __syncwarp();
    let_next_kernel_begin();
    wait_for_kernel_before();
#pragma unroll
    for (int q = 0; q < PAIRS; q++) {
        uint32_t query = 2 * q + pair.second;
        operand[q] = ((const uint2 *)state->operands[q])[lane];
        added[q] = added_for(query < count ? (int32_t)state->query[query].handed - MANY_ZERO : MANY_SUMS);
    }
    __shared__ HandedNorms handed;
    if (NORMS) load_handed(handed, state, count);
    Ahead ahead = {};
    for (; group < groups; group += step, turn++) {
        uint32_t bit = turn % 32;
        if (bit == 0) ahead = look_ahead<NORMS>(r, scope, group, step, kept, own, lane);
        bool more = bit == 31 || (ahead.some >> ((bit + 1) & 31) & 1) != 0;
        if (more && group + step < groups) next.load(r, group + step, lane);
        if ((ahead.some >> bit & 1) != 0) {
            uint2 sums[PAIRS];
            uint32_t any = 0, special = ahead.always >> bit & 1;
            if (NORMS) {
                add_by_norms<PAIRS>(handed, metric, r.norms[group], count, pair, lane, added);
            }
#pragma unroll
            for (int q = 0; q < PAIRS; q++) {
                sums[q] = pair_sums(now, operand[q], pair, added[q]);
                any |= sums[q].x | sums[q].y;
            }
            if (__any_sync(FULL_WARP, (any & 0x80008000u) != 0 || special != 0)) {
                uint32_t always = special != 0 ? pair_rows(r.unusable[group], pair, lane) : 0;
                uint32_t allowed = pair_rows(allowed_of(r, scope, group), pair, lane);
                float norm = NORMS ? r.norms[group].y : 1.0f;
                if (keep_rows<PAIRS, NORMS>(kept, own, group, count, norm, sums, added, allowed, always, pair, lane))
                    hand_over(kept, own, count, lists, state, lane);
                __syncwarp();
            }
        }
        now = next;
    }
    hand_over_rest(kept, count, lists, state);
}

#endif
