/* From sums to answers, for several queries.
 *
 *   many_bars     the best rows of the scan's blocks, refined: each query's bar; a block a query
 *   many_filter   rows handed over that have such sums, and whose sums over two slabs may reach the bar, too: survivors
 *   many_refine   those; a block has rows of one query
 *   many_finish   T of each query, and the rows with u >= T; a block a query */
#ifndef TQ_CUDA_MANY_REFINE_CUH
#define TQ_CUDA_MANY_REFINE_CUH

#include "kernels/cuda/finish.cuh"
#include "kernels/cuda/many_scan.cuh"

/* Outcome's count of a query that must be asked alone; `found` says why. */
enum : uint32_t { MANY_AGAIN = 0xffffffffu };
enum {
    AGAIN_MORE = 1,
    AGAIN_LESS = 2
}; /* its bar asks for more rows than were handed over; there is no room for them */

enum { BARS_WARPS = 8, MANY_SEEDS = 512, MANY_WANTED_MOST = 128 };

/* Whether a query's lists have all that its bar asks for. */
__device__ __forceinline__ bool list_complete(const ManyQuery &query, uint32_t most) {
    return query.complete && query.rows <= most;
}

/* ---- Sixteen rows at a time ---- */

/* What a loop over rows needs now and then, in shared memory: the loop itself needs all registers. */
struct Portion { /* of a warp */
    const uint32_t *rows;
    uint32_t next, last;
};
static __shared__ Portion portions[WARPS_MOST];

/* Rows number `first` to `last` of a list, in equal portions for the block's warps, refined. */
template <int CODE_BITS, bool QJL, class Take>
__device__ __forceinline__ void refine_rows(const tq_cuda_resident &r, const Weights<CODE_BITS> &weights,
                                            const Refine &shared, Warp &warp, const uint32_t *rows, uint32_t first,
                                            uint32_t last, int lane, const Take &take) {
    Fast fast = shared.fast;
    Stream &stream = warp.stream;
    uint32_t warps = blockDim.x / 32, own = threadIdx.x / 32, steps = (last - first + STAGE_ROWS - 1) / STAGE_ROWS;
    uint32_t each = (steps + warps - 1) / warps * STAGE_ROWS, g = lane >> 2, t = lane & 3;
    first += own * each;
    if (lane == 0) portions[own] = {rows, first, min(last, first + each)};
    __syncwarp();
    Portion &portion = portions[threadIdx.x / 32];
    for (;;) {
        uint32_t length = min(portion.last - min(portion.next, portion.last), (uint32_t)LIST_MOST), stage = 0;
        if (length == 0) break;
        for (uint32_t i = lane; i < length; i += 32) warp.list[i] = portion.rows[portion.next + i];
        __syncwarp();
        if (lane == 0) portion.next += length;
        auto fill = [&](uint32_t to, uint32_t at) {
            stream.fill(to, warp.list[min(at + (lane & (STAGE_ROWS - 1)), length - 1)], lane);
        };
        fill(0, 0);
        for (uint32_t at = 0; at < length; at += STAGE_ROWS, stage ^= 1) {
            bool newer = at + STAGE_ROWS < length;
            if (newer) fill(stage ^ 1, at + STAGE_ROWS);
            stream.wait(stage, newer);
            uint32_t i = at + g + 8 * t;
            refine_stage<CODE_BITS, QJL>(r, weights, shared, fast, stream.stage_of(stage), stream.stride, i < length,
                                         lane, [&](const Bounds &made) { take(made, warp.list[i]); });
            __syncwarp();
        }
    }
}

/* ---- Bars ---- */

/* Whether all rows were handed over whose sums a bar asks for. Where norms matter, the cosines that two bars ask of a
 * norm are no less apart than those that they ask of the largest norm, and the sums that belong to them by as many
 * times the least mean. */
__device__ inline bool handed_all(const tq_cuda_bounds &b, const ManyQuery &query, float norm_most, double bar) {
    const ManyLine &line = query.line;
    if (b.metric == 0) return coarse_at_cosine(line, (float)bar, line.deviation) + MANY_ZERO >= (int32_t)query.handed;
    double apart = (bar - query.handed_norms.bar) / ((b.metric == 1 ? 1 : 2) * (double)norm_most * b.query_norm);
    return apart * line.least_mean * 0.9999 - 0.1 >= line.deviation; /* with room for floats */
}

struct alignas(16) Bars {
    uint32_t ranks[MANY_BESTS];
    uint32_t rows[MANY_SEEDS];
    double keys[MANY_SEEDS];
    Selection selection;
    uint32_t row_count, key_count;
};

/* The best rows that the scan's blocks have, as many as are to make a bar, and others as good as the last of them. */
__device__ inline void list_bests(Bars &c, const unsigned long long *bests, uint32_t blocks, uint32_t wanted) {
    if (threadIdx.x == 0) c.row_count = c.key_count = 0;
    for (uint32_t i = threadIdx.x; i < (blocks + 3) / 4 * 4; i += blockDim.x)
        c.ranks[i] = i < blocks ? (uint32_t)(__ldcg(bests + i) >> 32) : 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < blocks; i += blockDim.x) {
        uint32_t own = c.ranks[i], larger = 0;
#pragma unroll 4
        for (uint32_t j = 0; j < blocks; j += 4) {
            uint4 others = *(const uint4 *)(c.ranks + j);
            larger += (others.x > own) + (others.y > own) + (others.z > own) + (others.w > own);
        }
        if (own == 0 || larger >= wanted) continue;
        uint32_t at = atomicAdd(&c.row_count, 1u);
        if (at < MANY_SEEDS) c.rows[at] = (uint32_t)__ldcg(bests + i);
    }
    __syncthreads();
}

template <int CODE_BITS, bool QJL>
__global__ void __launch_bounds__(32 * BARS_WARPS, 1)
    many_bars(const __grid_constant__ tq_cuda_resident r, const ManyAsked *asked, size_t question_size, uint32_t blocks,
              ManyState *state) {
    extern __shared__ __align__(128) unsigned char memory[];
    __shared__ Bars c;
    uint32_t q = blockIdx.x, lane = threadIdx.x & 31;
    const Question *question = question_of(asked, question_size, q);
    ManyQuery &made = state->query[q];
    Warp warp = make_warp(r, memory, lane);
    let_next_kernel_begin();
    wait_for_kernel_before();
    Refine &shared = make_refine(question, r.slabs, -infinity(), memory);
    double bar = -infinity();
    if (question->wanted > 0) {
        list_bests(c, state->bests[q], blocks, seeds_wanted(*question));
        Weights<CODE_BITS> weights(question);
        refine_rows<CODE_BITS, QJL>(r, weights, shared, warp, c.rows, 0, min(c.row_count, (uint32_t)MANY_SEEDS), lane,
                                    TakeKey{c.keys, &c.key_count});
        __syncthreads();
        bar = select_largest(c.selection, c.key_count, question->wanted,
                             [&](uint32_t i) { return ordered(c.keys[i]); });
    }
    if (threadIdx.x != 0) return;
    bar = fmax(bar, question->seed_bar);
    made.seeds = question->wanted > 0 ? c.key_count : 0;
    made.reached = made.survivors = made.candidates = 0;
    made.complete = handed_all(question->bounds, made, __uint_as_float(state->norm_most), bar);
    made.bar = bar;
}

/* ---- The second slab ---- */

enum { FILTER_WARPS = 8, FILTER_ROWS = 64 };

/* A row's sum of signs of the first slab by four bits, S, and that of the second by six, U, together: for a row at
 * cosine c, weight * S + U is at least what both means make at c, less the deviation, but for one in some millions: the
 * two deviate apart from each other. The weight is the one that is best for it. */
struct TwoSlabs {
    ManyLine line;
    float weight, second_mean, deviation;

    __device__ __forceinline__ TwoSlabs(const ManyLine &first, const ManySecond &second) : line(first) {
        float square = line.deviation * line.deviation, other = second.deviation * second.deviation;
        weight = second.mean > 0 && square > 0 ? line.least_mean * other / (square * second.mean) : 1.0f;
        second_mean = second.mean;
        deviation = sqrtf(weight * weight * square + other);
    }
    /* What U must be at least. */
    __device__ __forceinline__ float needed(uint32_t sum, float cosine) const {
        float mean = weight * mean_at_cosine(line, cosine) + cosine * second_mean;
        float part = weight * (float)(2 * ((int)sum - MANY_ZERO) - line.sum);
        return mean - deviation - part - 1.0f - 1e-5f * (fabsf(mean) + fabsf(part)); /* floats */
    }
};

/* The words of a row in tiles that are a lane's operand: rows at g need t's, those at g + 8 as well. */
__device__ __forceinline__ uint2 load_signs(const tq_cuda_resident &r, uint32_t slab, uint32_t row, int t) {
    const uint32_t *tile = r.signs + (slab * r.groups + row / 64) * 512 + row % 64 / 16 * 128;
    return __ldg((const uint2 *)(tile + (row % 8 * 4 + t) * 4 + (row % 16 >= 8 ? 2 : 0)));
}

/* Of up to 64 rows in shared memory, with what they need of the second slab, those that have it: passed[i] of lanes
 * t = 0 and 1 is that of row 16 i + g + 8 t. SECOND: there is one; else all of them do. */
template <bool SECOND>
__device__ __forceinline__ void pass_second(const tq_cuda_resident &r, const uint32_t *rows, const float *needed,
                                            uint32_t count, uint2 operand, int32_t sum, int lane,
                                            uint32_t (&passed)[FILTER_ROWS / 16]) {
    int g = lane >> 2, t = lane & 3, pair = t == 2 ? -2 : 2, shift = 2 * t;
    uint2 low[FILTER_ROWS / 16], high[FILTER_ROWS / 16];
#pragma unroll
    for (uint32_t i = 0; i < FILTER_ROWS / 16; i++) {
        if (!SECOND) passed[i] = t < 2 && 16 * i + g + 8 * t < count ? 1 : 0;
        if (!SECOND || 16 * i >= count) continue;
        low[i] = load_signs(r, 1, rows[min(16 * i + g, count - 1)], t);
        high[i] = load_signs(r, 1, rows[min(16 * i + g + 8, count - 1)], t);
    }
#pragma unroll
    for (uint32_t i = 0; i < FILTER_ROWS / 16; i++) {
        if (!SECOND) continue;
        passed[i] = 0;
        if (16 * i >= count) continue;
        int c[4] = {0, 0, 0, 0};
        uint32_t a[4] = {low[i].x, high[i].x, low[i].y, high[i].y};
        bit_product(c, a, operand);
        int v[2] = {(c[0] + pair * c[1]) * (1 << shift), (c[2] + pair * c[3]) * (1 << shift)};
#pragma unroll
        for (int h = 0; h < 2; h++) {
            v[h] += __shfl_xor_sync(FULL_WARP, v[h], 1);
            v[h] += __shfl_xor_sync(FULL_WARP, v[h], 2);
        }
        uint32_t row = 16 * i + g + 8 * t;
        float signs = (float)(2 * (t == 0 ? v[0] : v[1]) - sum);
        passed[i] = t < 2 && row < count && !(signs < needed[row]) ? 1 : 0;
    }
}

/* What a warp of many_filter has in hand. */
struct FilterRows {
    uint32_t row[FILTER_ROWS];
    float needed[FILTER_ROWS];
};

/* Of `left` rows of a list, from number `from` on, those whose sums of the first slab reach what is asked of them.
 * Returns how many those are. */
template <bool NORMS>
__device__ __forceinline__ uint32_t list_reached(const tq_cuda_resident &r, const ManyLists &lists, uint64_t from,
                                                 uint32_t left, const TwoSlabs &two, const FastNorms &fast,
                                                 int32_t metric, FilterRows &rows, int lane) {
    uint32_t kept = 0;
    __syncwarp();
#pragma unroll
    for (int h = 0; h < 2; h++) {
        uint32_t i = 32 * h + lane, sum = i < left ? lists.sums[from + i] : 0,
                 row = i < left ? lists.rows[from + i] : 0;
        float cosine = fast.bar;
        if (NORMS && sum != 0) cosine = cosine_of_norms(fast, metric, r.norms[row / 64]);
        bool reaches = sum != 0 && (int32_t)sum - MANY_ZERO >= coarse_at_cosine(two.line, cosine, two.line.deviation);
        uint32_t reached = __ballot_sync(FULL_WARP, reaches);
        if (reaches) {
            uint32_t to = kept + __popc(reached & ((1u << lane) - 1));
            rows.row[to] = row;
            rows.needed[to] = sum == MANY_ALWAYS ? -1e38f : two.needed(sum, cosine);
        }
        kept += __popc(reached);
    }
    __syncwarp();
    return kept;
}

/* Those that passed, to the query's survivors. */
__device__ __forceinline__ void add_survivors(const uint32_t *rows, const uint32_t (&passed)[FILTER_ROWS / 16],
                                              uint32_t *survivors, uint32_t *count, int lane) {
    uint32_t own = 0, to = 0;
#pragma unroll
    for (uint32_t i = 0; i < FILTER_ROWS / 16; i++) own += passed[i];
    uint32_t total = __reduce_add_sync(FULL_WARP, own);
    if (total == 0) return;
    if (lane == 0) to = atomicAdd(count, total);
    to = __shfl_sync(FULL_WARP, to, 0);
#pragma unroll
    for (uint32_t i = 0; i < FILTER_ROWS / 16; i++) {
        uint32_t bits = __ballot_sync(FULL_WARP, passed[i] != 0);
        if (passed[i] != 0)
            survivors[to + __popc(bits & ((1u << lane) - 1))] = rows[16 * i + (lane >> 2) + 8 * (lane & 3)];
        to += __popc(bits);
    }
}

/* SECOND: there is a second slab. NORMS: what is asked of a row depends on its group's. A warp takes 64 rows of a list
 * at a time. */
template <bool SECOND, bool NORMS>
__global__ void __launch_bounds__(32 * FILTER_WARPS)
    many_filter(const __grid_constant__ tq_cuda_resident r, const ManyAsked *asked, size_t question_size,
                uint32_t count, const __grid_constant__ ManyLists lists, ManyState *state) {
    __shared__ FilterRows rows[FILTER_WARPS];
    int lane = threadIdx.x & 31, own = threadIdx.x / 32;
    let_next_kernel_begin();
    wait_for_kernel_before();
    uint64_t at = (uint64_t)blockIdx.x * FILTER_WARPS + own, step = (uint64_t)gridDim.x * FILTER_WARPS, before = 0;
    for (uint32_t q = 0; q < count; q++) {
        ManyQuery &query = state->query[q];
        uint32_t length = list_complete(query, lists.most) ? query.rows : 0, all = 0;
        uint32_t chunks = (length + FILTER_ROWS - 1) / FILTER_ROWS;
        if (at < before + chunks) {
            const Question *question = question_of(asked, question_size, q);
            TwoSlabs two(query.line, asked->second[q]);
            FastNorms fast = make_fast_norms(question->bounds, query.bar);
            uint2 operand = {};
            if (SECOND) operand = ((const uint2 *)(question + 1))[(PARTS + PART_PLANE) * 32 + lane];
            for (; at < before + chunks; at += step) {
                uint32_t first = (uint32_t)(at - before) * FILTER_ROWS, passed[FILTER_ROWS / 16];
                uint32_t kept = list_reached<NORMS>(r, lists, (uint64_t)q * lists.most + first, length - first, two,
                                                    fast, question->bounds.metric, rows[own], lane);
                pass_second<SECOND>(r, rows[own].row, rows[own].needed, kept, operand, asked->second[q].sum, lane,
                                    passed);
                add_survivors(rows[own].row, passed, lists.survivors + (uint64_t)q * lists.most, &query.survivors,
                              lane);
                all += kept;
            }
            if (lane == 0) atomicAdd(&query.reached, all);
        }
        before += chunks;
    }
}

/* ---- Refining ---- */

/* The blocks are shared out among queries, one to each and the others by how many rows they have, so that a block has
 * rows of one query: that, and which of its blocks it is of how many. */
struct Turn {
    uint32_t query, block, blocks;
};
__device__ __forceinline__ Turn turn_of(const ManyState *state, uint32_t count) {
    uint32_t rows[MANY_MOST], first = 0;
    float total = 0;
#pragma unroll
    for (uint32_t q = 0; q < MANY_MOST; q++) {
        rows[q] = q < count ? state->query[q].survivors : 0;
        total += (float)rows[q];
    }
    Turn turn = {count, 0, 0};
#pragma unroll
    for (uint32_t q = 0; q < MANY_MOST; q++) {
        uint32_t own = 1 + (uint32_t)((float)(gridDim.x - count) * 0.9999f * (float)rows[q] / fmaxf(total, 1.0f));
        if (q < count && blockIdx.x >= first && blockIdx.x < first + own) turn = {q, blockIdx.x - first, own};
        first += own;
    }
    return turn;
}

template <int CODE_BITS, bool QJL>
__global__ void __launch_bounds__(REFINE_THREADS, 1)
    many_refine(const __grid_constant__ tq_cuda_resident r, const ManyAsked *asked, size_t question_size,
                uint32_t count, const __grid_constant__ ManyLists lists, Outcome *found, ManyState *state) {
    extern __shared__ __align__(128) unsigned char memory[];
    int lane = threadIdx.x & 31;
    Warp warp = make_warp(r, memory, lane);
    let_next_kernel_begin();
    wait_for_kernel_before();
    Turn turn = turn_of(state, count);
    if (turn.query >= count) return;
    uint32_t rows = state->query[turn.query].survivors, steps = (rows + STAGE_ROWS - 1) / STAGE_ROWS;
    uint32_t first = (uint32_t)((uint64_t)steps * turn.block / turn.blocks) * STAGE_ROWS;
    uint32_t last = min((uint32_t)((uint64_t)steps * (turn.block + 1) / turn.blocks) * STAGE_ROWS, rows);
    if (first >= last) return;
    const Question *question = question_of(asked, question_size, turn.query);
    Refine &shared = make_refine(question, r.slabs, state->query[turn.query].bar, memory);
    Weights<CODE_BITS> weights(question);
    refine_rows<CODE_BITS, QJL>(r, weights, shared, warp, lists.survivors + (uint64_t)turn.query * lists.most, first,
                                last, lane,
                                TakeCandidate{found[turn.query].list, &state->query[turn.query].candidates});
}

static __global__ void __launch_bounds__(FINISH_THREADS, 1)
    many_finish(const ManyAsked *asked, size_t question_size, uint32_t most, const Outcome *found, Outcome *answer,
                Outcome *host, uint32_t *reached, const ManyState *state) {
    uint32_t q = blockIdx.x;
    wait_for_kernel_before();
    const ManyQuery *query = state->query + q;
    const Question *question = question_of(asked, question_size, q);
    if (threadIdx.x == 0) reached[q] = query->reached;
    if (!list_complete(*query, most)) {
        if (threadIdx.x == 0) host[q].count = MANY_AGAIN, host[q].found = query->rows > most ? AGAIN_LESS : AGAIN_MORE;
        return;
    }
    finish_query(question, query->bar, query->candidates, query->survivors + query->seeds, state->scanned, found + q,
                 answer + q, host + q);
}

#endif
