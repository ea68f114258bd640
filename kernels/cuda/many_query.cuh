/* Queries of four bits, two of them in a product: how several queries read the first plane at the price of one.
 *
 * Lines        A query's integers of the planes, q_j of six bits, are rounded again to v_j of four. A row's sum of
 *              v_j, added where its sign is + and taken away where it is -, replaces that of q_j. Let m_j(c) be the
 *              mean sign of dimension j of rows at cosine c. It has the sign of q_j, grows with |q_j|, and is
 *              proportional to q_j for a small c, 1 for c = 1; so (sum of v_j m_j) / (sum of q_j m_j) lies between its
 *              values at those ends,
 *                  (sum of v_j q_j) / (sum of q_j^2)     and     (sum of |v_j|) / (sum of |q_j|),
 *              and the least of both times the line's mean is a mean for v. Signs of dimensions that deviate from m_j
 *              by themselves make a variance of at most the sum of v_j^2, as the line's is one of q_j^2. For normal
 *              q_j and the step below both together cost 0.6 % of the deviation.
 * Sums         P: of v_j over a row's bits that are set. The sum of signs is 2 P less the sum of v_j. */
#ifndef TQ_CUDA_MANY_QUERY_CUH
#define TQ_CUDA_MANY_QUERY_CUH

#include "kernels/cuda/scan.cuh"

enum { MANY_MOST = TQ_CUDA_QUERIES_MOST, MANY_PAIRS = MANY_MOST / 2 };

/* P lies within +-MANY_SUMS / 2; with MANY_ZERO added it is positive, and with the threshold taken away and that added
 * it has the highest bit of 16 where it reaches the threshold. */
enum { MANY_SUMS = 4096, MANY_ZERO = 1 << 15 };

struct ManyLine {
    float least_mean, most_mean, deviation; /* of the sum of signs; of the means, which one is less is the cosine's */
    int32_t sum;                            /* of all v_j */
};
/* The second slab alone, by six bits: mean and deviation of its sum of signs, and the sum of its q_j. */
struct ManySecond {
    float mean, deviation;
    int32_t sum;
};
/* What goes to the device in front of the questions. */
struct alignas(256) ManyAsked {
    ManySecond second[MANY_MOST]; /* zeros where there is one slab */
    /* Question and its parts, MANY_MOST times question_size bytes, follow */
};
__device__ __forceinline__ const Question *question_of(const ManyAsked *asked, size_t question_size, uint32_t q) {
    return (const Question *)((const char *)(asked + 1) + q * question_size);
}

/* The mean sum of signs at cosine c, or less. */
__device__ __forceinline__ float mean_at_cosine(const ManyLine &line, float cosine) {
    return fminf(cosine * line.least_mean, cosine * line.most_mean);
}
/* The least P that a row of cosine c has, when it may be so much below its mean. NaN, which infinities make: any P. */
__device__ __forceinline__ int32_t coarse_at_cosine(const ManyLine &line, float cosine, float deviation) {
    float least = 0.5f * (mean_at_cosine(line, cosine) - deviation + (float)line.sum);
    if (!(least >= -MANY_SUMS)) return -MANY_SUMS;
    return (int32_t)floorf(fminf(least - 0.01f, (float)MANY_SUMS)); /* with room for the rounding of floats */
}
/* In both halves of a word: what makes bit 15 tell. */
__device__ __forceinline__ uint32_t added_for(int32_t threshold) {
    return (uint32_t)(MANY_ZERO - threshold) * 0x10001u;
}

/* A warp's query number `at`: its first slab into the operands of its pair's product, columns 4 (at % 2) and the three
 * behind, and its line. */
__device__ inline void coarsen(const Question *question, uint32_t dim, uint32_t at, uint32_t (*operands)[64],
                               ManyLine *line, int lane) {
    const uint32_t *planes = (const uint32_t *)(question + 1) + PART_PLANE * PART_BYTES / 4; /* [plane][8] */
    int w = lane >> 2, part = lane & 3, value[8], squares = 0, absolute = 0;
    uint32_t bits[6];
#pragma unroll
    for (int p = 0; p < 6; p++) bits[p] = planes[p * 8 + w] >> (8 * part);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int v = 0;
#pragma unroll
        for (int p = 0; p < 6; p++) v |= (int)(bits[p] >> i & 1) << p;
        value[i] = (v ^ 32) - 32;
        squares += value[i] * value[i], absolute += abs(value[i]);
    }
    squares = __reduce_add_sync(FULL_WARP, squares), absolute = __reduce_add_sync(FULL_WARP, absolute);
    /* the step that loses least of a normal distribution in 16 levels */
    float step = 0.335f * sqrtf((float)squares / (float)min(dim, (uint32_t)TQ_CUDA_SLAB_DIMS));
    uint32_t made[4] = {};
    int sum = 0, product = 0, own_squares = 0, own_absolute = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int v = step > 0 ? max(-8, min(7, __float2int_rn((float)value[i] / step))) : 0;
        sum += v, product += v * value[i], own_squares += v * v, own_absolute += abs(v);
#pragma unroll
        for (int p = 0; p < 4; p++) made[p] |= (uint32_t)(v >> p & 1) << (8 * part + i);
    }
#pragma unroll
    for (int p = 0; p < 4; p++) {
        made[p] |= __shfl_xor_sync(FULL_WARP, made[p], 1);
        made[p] |= __shfl_xor_sync(FULL_WARP, made[p], 2);
    }
    uint32_t word = part == 0 ? made[0] : part == 1 ? made[1] : part == 2 ? made[2] : made[3];
    operands[at / 2][(4 * (at & 1) + part) * 8 + w] = word;
    sum = __reduce_add_sync(FULL_WARP, sum), product = __reduce_add_sync(FULL_WARP, product);
    own_squares = __reduce_add_sync(FULL_WARP, own_squares);
    own_absolute = __reduce_add_sync(FULL_WARP, own_absolute);
    if (lane != 0) return;
    float mean = (float)question->line.mean;
    float small = (float)product / (float)max(squares, 1), large = (float)own_absolute / (float)max(absolute, 1);
    line->least_mean = mean * fminf(small, large), line->most_mean = mean * fmaxf(small, large);
    line->deviation = (float)question->line.deviation * sqrtf((float)own_squares / (float)max(squares, 1));
    line->sum = sum;
}

/* ---- Sums of a pair of queries ---- */

/* Lanes t = 0, 1 have the first query, 2, 3 the second; even lanes end with tiles 0 and 1, odd ones with 2 and 3. */
struct PairLane {
    bool odd, second;
    int low, high; /* weights of the lane's two columns */
    __device__ __forceinline__ explicit PairLane(int lane)
        : odd((lane & 1) != 0), second((lane & 2) != 0), low(odd ? 4 : 1), high(odd ? -8 : 2) {}
};

/* P of four rows of the lane, g and g + 8 of its first tile in the halves of x, and of its second in those of y, with
 * `added` in each half. Four columns a query, of two's complement. */
__device__ __forceinline__ uint2 pair_sums(const Tiles<1> &tiles, uint2 operand, const PairLane &pair, uint32_t added) {
    uint32_t p[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int c[4] = {0, 0, 0, 0};
        const uint4 &w = tiles.word[0][i];
        uint32_t a[4] = {w.x, w.z, w.y, w.w};
        bit_product(c, a, operand);
        p[i] = (uint32_t)(c[0] * pair.low + c[1] * pair.high + c[2] * (pair.low * 65536) + c[3] * (pair.high * 65536));
    }
    uint32_t x = (pair.odd ? p[2] : p[0]) + __shfl_xor_sync(FULL_WARP, pair.odd ? p[0] : p[2], 1);
    uint32_t y = (pair.odd ? p[3] : p[1]) + __shfl_xor_sync(FULL_WARP, pair.odd ? p[1] : p[3], 1);
    return make_uint2(x + added, y + added);
}

/* Those rows of a group's word: bit 0 and 16 the halves of x, bit 1 and 17 those of y. Row of bit b: pair_row(). */
__device__ __forceinline__ uint32_t pair_rows(uint64_t word, const PairLane &pair, int lane) {
    uint32_t own = (uint32_t)(pair.odd ? word >> 32 : word) >> (lane >> 2);
    return (own & 1) | (own >> 8 & 1) << 16 | (own >> 16 & 1) << 1 | (own >> 24 & 1) << 17;
}
__device__ __forceinline__ uint32_t pair_row(uint32_t bit, const PairLane &pair, int lane) {
    return (pair.odd ? 32u : 0u) + (lane >> 2) + (bit >> 4) * 8 + (bit & 1) * 16;
}

#endif
