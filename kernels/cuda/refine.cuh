/* The full code of sixteen rows a warp, out of shared memory: the CPU's integers, and the bounds of rows that may reach
 * the bar. */
#ifndef TQ_CUDA_REFINE_CUH
#define TQ_CUDA_REFINE_CUH

#include "kernels/cuda/bounds.cuh"
#include "kernels/cuda/stream.cuh"

typedef uint32_t PartsShared; /* an address in shared memory: generic ones are slower to load from */
__device__ __forceinline__ uint2 part_of(PartsShared shared, uint32_t slab, int part, int lane) {
    uint32_t address = shared + ((slab * PARTS + part) * 32 + lane) * 8;
    uint2 words;
    asm("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(words.x), "=r"(words.y) : "r"(address));
    return words;
}

/* A slab of the lane's two rows: a[p] is the A operand of plane p. */
template <int PLANES>
__device__ __forceinline__ void load_slab(const uint32_t *const (&from)[2], uint32_t slab, int t,
                                          uint32_t (&a)[PLANES][4]) {
#pragma unroll
    for (int p = 0; p + 1 < PLANES; p += 2)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            uint4 word = *(const uint4 *)(from[h] + slab * 8 * PLANES + p * 8 + 4 * t);
            a[p][h] = word.x, a[p][2 + h] = word.y;
            a[p + 1][h] = word.z, a[p + 1][2 + h] = word.w;
        }
    if constexpr (PLANES % 2 != 0) {
        constexpr int p = PLANES - 1;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            uint2 word = *(const uint2 *)(from[h] + slab * 8 * PLANES + p * 8 + 2 * t);
            a[p][h] = word.x, a[p][2 + h] = word.y;
        }
    }
}

/* The bits of several planes that are all set: a product of bits. */
template <int CODE_BITS, int PLANES>
__device__ __forceinline__ void product_of(const uint32_t (&a)[PLANES][4], int product, uint32_t (&bits)[4]) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        bits[i] = ~0u;
#pragma unroll
        for (int p = 0; p < CODE_BITS; p++)
            if ((product >> (CODE_BITS - 1 - p) & 1) != 0) bits[i] &= a[p][i];
    }
}

/* Constants of a query that every row needs, in registers: a load for each row would stall it. */
template <int CODE_BITS> struct Weights {
    int32_t product[1 << CODE_BITS], code, sketch, plane;
    __device__ __forceinline__ explicit Weights(const Question *q) {
#pragma unroll
        for (int i = 0; i < 1 << CODE_BITS; i++) product[i] = q->weights[i];
        code = q->weights[0] * q->code_sum, sketch = q->sketch_sum, plane = q->plane_sum;
    }
};

/* Integers of the lane's rows g and g + 8 of sixteen that lie in shared memory, `stride` words apart; complete in all
 * four lanes of a row. A centroid is a sum of weights of products of its bits, so its product with a query is a sum
 * of bit counts, exact to the last bit modulo 2^32. PLANES_TOO: the first two planes' dot products as well. */
template <int CODE_BITS, bool QJL, bool PLANES_TOO>
__device__ __forceinline__ void refine_dots(uint32_t slabs, const Weights<CODE_BITS> &weights, PartsShared shared,
                                            const uint32_t *rows, uint32_t stride, int lane, Dots (&dots)[2]) {
    constexpr int PLANES = CODE_BITS + (QJL ? 1 : 0), PRODUCTS = 1 << CODE_BITS;
    constexpr int PASSES = CODE_BITS <= 3 ? 1 : 3, EACH = (PRODUCTS - 1 + PASSES - 1) / PASSES; /* registers */
    int g = lane >> 2, t = lane & 3;
    const uint32_t *from[2] = {rows + g * stride, rows + (g + 8) * stride};
    int code[2][4] = {}, sketch[2][4] = {}, first[4] = {}, second[4] = {};
#pragma unroll
    for (int pass = 0; pass < PASSES; pass++) {
        int counts[EACH][2][4] = {};
#pragma unroll 1 /* more were slower, for want of registers */
        for (uint32_t slab = 0; slab < slabs; slab++) {
            uint32_t a[PLANES][4];
            uint2 low = part_of(shared, slab, PART_CODE, lane), high = part_of(shared, slab, PART_CODE + 1, lane);
            load_slab<PLANES>(from, slab, t, a);
#pragma unroll
            for (int n = 0; n < EACH; n++) {
                if (1 + pass * EACH + n >= PRODUCTS) continue;
                uint32_t bits[4];
                product_of<CODE_BITS, PLANES>(a, 1 + pass * EACH + n, bits);
                bit_product(counts[n][0], bits, low);
                bit_product(counts[n][1], bits, high);
            }
            if (pass > 0) continue;
            if (QJL) {
                bit_product(sketch[0], a[PLANES - 1], part_of(shared, slab, PART_SKETCH, lane));
                bit_product(sketch[1], a[PLANES - 1], part_of(shared, slab, PART_SKETCH + 1, lane));
            }
            if (PLANES_TOO) {
                uint2 plane = part_of(shared, slab, PART_PLANE, lane);
                bit_product(first, a[0], plane);
                if (CODE_BITS > 1) bit_product(second, a[CODE_BITS > 1 ? 1 : 0], plane);
            }
        }
#pragma unroll
        for (int n = 0; n < EACH; n++) {
            if (1 + pass * EACH + n >= PRODUCTS) continue;
            int weight = weights.product[1 + pass * EACH + n];
#pragma unroll
            for (int i = 0; i < 8; i++) code[i / 4][i % 4] += weight * counts[n][i / 4][i % 4];
        }
    }
    int v[4][2] = {};
    int pair = t == 2 ? -2 : 2;
    weigh_sixteen(code[0], code[1], t, v[0]);
    if (QJL) weigh_sixteen(sketch[0], sketch[1], t, v[1]);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        v[2][h] = (first[2 * h] + pair * first[2 * h + 1]) << (2 * t);
        v[3][h] = (second[2 * h] + pair * second[2 * h + 1]) << (2 * t);
    }
#pragma unroll
    for (int i = 0; i < (PLANES_TOO ? 4 : 2); i++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            v[i][h] += __shfl_xor_sync(FULL_WARP, v[i][h], 1);
            v[i][h] += __shfl_xor_sync(FULL_WARP, v[i][h], 2);
        }
#pragma unroll
    for (int h = 0; h < 2; h++)
        dots[h] = Dots{v[0][h] + weights.code, QJL ? 2 * v[1][h] - weights.sketch : 0, 2 * v[2][h] - weights.plane,
                       2 * v[3][h] - weights.plane};
}

__device__ __forceinline__ Tail load_tail(const tq_cuda_resident &r, const uint32_t *row) {
    const uint32_t *from = row + r.bits * r.slabs * 8;
    uint4 w = *(const uint4 *)from;
    return Tail{__uint_as_float(w.x), __uint_as_float(w.y), w.z, w.w, from[4]};
}

/* Those of the lane's own row; member by member, or they would go through local memory. */
__device__ __forceinline__ Dots own_dots(const Dots (&dots)[2], int t) {
    return Dots{t == 0 ? dots[0].code : dots[1].code, t == 0 ? dots[0].sketch : dots[1].sketch,
                t == 0 ? dots[0].first : dots[1].first, t == 0 ? dots[0].second : dots[1].second};
}

/* What all warps of a block that refines share; behind it in shared memory: the query's parts, the warps' stages. */
struct alignas(16) Refine {
    tq_cuda_bounds bounds;
    Fast fast;
    FastNorms fast_norms;
    PartsShared parts;
    uint32_t taken;      /* parts of the work that warps took: collect.cuh */
    uint32_t runs_taken; /* runs.cuh */
    double bar;
};

/* Sixteen rows of a stage, `stride` words apart. Lanes t = 0 and 1 have a row each, g + 8 t; those of them with a row
 * that is wanted and reaches the bar call take(bounds). */
template <int CODE_BITS, bool QJL, class Take>
__device__ __forceinline__ void refine_stage(const tq_cuda_resident &r, const Weights<CODE_BITS> &weights,
                                             const Refine &shared, const Fast &fast, const uint32_t *rows,
                                             uint32_t stride, bool wanted, int lane, const Take &take) {
    int g = lane >> 2, t = lane & 3;
    Dots dots[2];
    Tail tail;
    bool may = false;
    if (t < 2) tail = load_tail(r, rows + (g + 8 * t) * stride);
    refine_dots<CODE_BITS, QJL, false>(r.slabs, weights, shared.parts, rows, stride, lane, dots);
    if (t < 2 && wanted) may = may_reach(fast, shared.fast_norms, tail, own_dots(dots, t), r.packed);
    if (!__any_sync(FULL_WARP, may)) return;
    refine_dots<CODE_BITS, QJL, true>(r.slabs, weights, shared.parts, rows, stride, lane, dots); /* few get here */
    if (!may) return;
    Bounds made = bound_row(shared.bounds, tail, own_dots(dots, t), shared.bar);
    if (made.upper >= shared.bar) take(made);
}

#endif
