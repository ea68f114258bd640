/* Rotations, element by element what kernels/rotate computes. LANES threads, 16 or 32, hold a row: thread `lane` of
 * them has the elements j = LANES i + lane.
 *
 *   Aligned    2^k and 3 2^k: registers. The low bits of j are the thread's: shuffles; the others are the register's.
 *              Factors of a round (+-1, then +-scale of the round before) come from shared memory, four at a time.
 *   Overlap    other dimensions: permutations and the shifted tail go through shared memory
 *   InMemory   anything, in shared memory alone */
#ifndef TQ_CUDA_ROTATE_CUH
#define TQ_CUDA_ROTATE_CUH

#include "kernels/cuda/reduce.cuh"

extern __shared__ __align__(16) uint8_t block_memory[];

/* How the warps of a block keep together. The instructions of a long rotation do not fit the cache that feeds a
 * scheduler: warps that go through them at the same time fetch them once. */
enum Pace { FREE, BY_STEP, BY_ROUND };

/* A rotation on the device. */
struct Turn {
    const float *factors;                 /* Aligned: [rounds][dim / LANES / 4][LANES][4] */
    const uint32_t *permutation;          /* [rounds][dim], or NULL */
    const uint32_t *signs;                /* [rounds][dim] */
    uint32_t rounds, parts, span, offset; /* of the factors in shared memory, in floats */
    float scale;
};

/* What the threads of a row have to themselves. */
struct Own {
    int lane; /* of LANES */
    uint32_t dim;
    float *buffer; /* f32[dim] in shared memory: Overlap and InMemory */
};

/* (x[i], x[i + h]) -> (sum, difference) across threads: h = 1 .. LANES / 2 */
template <int LANES, int N> __device__ __forceinline__ void butterflies_across(float (&v)[N], int count, int lane) {
#pragma unroll
    for (int h = 1; h < LANES; h *= 2) {
        float sign = (lane & h) != 0 ? -1.0f : 1.0f;
#pragma unroll
        for (int i = 0; i < N; i++) {
            if (i < count) v[i] = __fmaf_rn(sign, v[i], __shfl_xor_sync(FULL_WARP, v[i], h));
        }
    }
}

/* The same within runs of `run` registers. */
template <int N> __device__ __forceinline__ void butterflies_within(float (&v)[N], int count, int run) {
#pragma unroll
    for (int h = 1; h < N; h *= 2) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            if (h >= run || i >= count || (i % run & h) != 0) continue;
            float a = v[i], b = v[i + h];
            v[i] = a + b;
            v[i + h] = a - b;
        }
    }
}

/* The Householder reflection along (1,1,1)/sqrt(3) */
__device__ __forceinline__ void reflect(float &a, float &b, float &c) {
    float s = ((a + b) + c) * 0.6666667f;
    a -= s;
    b -= s;
    c -= s;
}

template <int COUNT> struct Registers {
    float v[COUNT];
    __device__ __forceinline__ float &operator[](int i) { return v[i]; }
};

template <int PARTS, int RUN, int THREADS> /* RUN = span / THREADS */
struct Aligned {
    static constexpr int LANES = THREADS, PER = PARTS * RUN;
    static constexpr int WHOLE = PER; /* so many elements of a thread are there whatever the dimension */
    static constexpr bool GUARDED = false, SHARED_FACTORS = true;
    static constexpr uint32_t BUFFERS = 0;
    using Row = Registers<PER>;

    __device__ static __forceinline__ void mix(Row &row, int lane) {
        butterflies_across<LANES>(row.v, PER, lane);
        butterflies_within(row.v, PER, RUN);
        if constexpr (PARTS == 3) {
#pragma unroll
            for (int i = 0; i < RUN; i++) reflect(row[i], row[i + RUN], row[i + 2 * RUN]);
        }
    }

    template <Pace PACE> __device__ static __forceinline__ void rotate(const Turn &turn, Row &row, const Own &own) {
        const float *factors = (const float *)block_memory + turn.offset + 4 * own.lane;
#pragma unroll 1
        for (uint32_t round = 0; round < turn.rounds; round++, factors += LANES * PER) {
            if (PACE == BY_ROUND) __syncthreads();
#pragma unroll
            for (int i = 0; i < PER; i += 4) {
                float4 f = *(const float4 *)(factors + LANES * i);
                row[i] *= f.x;
                row[i + 1] *= f.y;
                row[i + 2] *= f.z;
                row[i + 3] *= f.w;
            }
            mix(row, own.lane);
        }
#pragma unroll
        for (int i = 0; i < PER; i++) row[i] *= turn.scale;
    }
};

template <int RUN, int THREADS> struct Overlap {
    static constexpr int LANES = THREADS, PER = 2 * RUN, WHOLE = RUN;
    static constexpr bool GUARDED = true, SHARED_FACTORS = false;
    static constexpr uint32_t BUFFERS = 1;
    using Row = Registers<PER>;

    __device__ static __forceinline__ void store(Row &row, const Own &own) {
        __syncwarp();
#pragma unroll
        for (int i = 0; i < PER; i++) {
            uint32_t j = LANES * i + own.lane;
            if (i < WHOLE || j < own.dim) own.buffer[j] = row[i];
        }
        __syncwarp();
    }

    __device__ static __forceinline__ void mix(Row &row, const Turn &turn, int lane) {
        butterflies_across<LANES>(row.v, RUN, lane);
        butterflies_within(row.v, RUN, RUN);
#pragma unroll
        for (int i = 0; i < RUN; i++) row[i] *= turn.scale;
    }

    /* A head starts at 0, so its elements are the first RUN of each thread. */
    __device__ static __forceinline__ void head(const Turn &turn, uint32_t round, Row &row, const Own &own) {
        const uint32_t *permutation = turn.permutation + round * own.dim, *signs = turn.signs + round * own.dim;
        store(row, own);
#pragma unroll
        for (int i = 0; i < PER; i++) {
            uint32_t j = LANES * i + own.lane;
            if (i < WHOLE || j < own.dim) row[i] = flip(own.buffer[__ldg(permutation + j)], __ldg(signs + j));
        }
        mix(row, turn, own.lane);
    }

    __device__ static __forceinline__ void tail(const Turn &turn, uint32_t round, Row &row, const Own &own) {
        const uint32_t *signs = turn.signs + round * own.dim, start = own.dim - LANES * RUN;
#pragma unroll
        for (int i = 0; i < PER; i++) {
            uint32_t j = LANES * i + own.lane;
            if (i < WHOLE || j < own.dim) row[i] = flip(row[i], __ldg(signs + j));
        }
        store(row, own);
        Row shifted;
#pragma unroll
        for (int i = 0; i < PER; i++) shifted[i] = i < RUN ? own.buffer[start + LANES * i + own.lane] : 0.0f;
        mix(shifted, turn, own.lane);
        __syncwarp();
#pragma unroll
        for (int i = 0; i < RUN; i++) own.buffer[start + LANES * i + own.lane] = shifted[i];
        __syncwarp();
#pragma unroll
        for (int i = 0; i < PER; i++) {
            uint32_t j = LANES * i + own.lane;
            if (i < WHOLE || j < own.dim) row[i] = own.buffer[j];
        }
    }

    template <Pace PACE> __device__ static __forceinline__ void rotate(const Turn &turn, Row &row, const Own &own) {
#pragma unroll 1
        for (uint32_t round = 0; round < turn.rounds; round += 2) {
            if (PACE == BY_ROUND) __syncthreads();
            head(turn, round, row, own);
            tail(turn, round + 1, row, own);
        }
    }
};

struct InMemory {
    static constexpr int LANES = WARP_LANES, PER = 0, WHOLE = 0;
    static constexpr bool GUARDED = true, SHARED_FACTORS = false;
    static constexpr uint32_t BUFFERS = 2;
    struct Row {
        float *v;
        __device__ __forceinline__ float &operator[](int i) { return v[LANES * i]; }
    };

    __device__ static void hadamard(float *x, uint32_t span, int lane) {
        for (uint32_t h = 1; h < span; h *= 2) {
            __syncwarp();
            for (uint32_t pair = lane; pair < span / 2; pair += LANES) {
                uint32_t i = 2 * pair - (pair & (h - 1)); /* pair / h * 2 h + pair % h */
                float a = x[i], b = x[i + h];
                x[i] = a + b;
                x[i + h] = a - b;
            }
        }
        __syncwarp();
    }

    __device__ static void mix(const Turn &turn, uint32_t round, float *x, const Own &own) {
        uint32_t span = turn.span, touched = turn.parts * span;
        float *run = x + (round % 2 == 0 ? 0 : own.dim - touched);
        for (uint32_t part = 0; part < turn.parts; part++) hadamard(run + part * span, span, own.lane);
        for (uint32_t i = own.lane; turn.parts == 3 && i < span; i += LANES)
            reflect(run[i], run[i + span], run[i + 2 * span]);
        __syncwarp();
        for (uint32_t i = own.lane; i < touched; i += LANES) run[i] *= turn.scale;
        __syncwarp();
    }

    template <Pace PACE> __device__ static void rotate(const Turn &turn, Row &row, const Own &own) {
        float *x = row.v - own.lane;
        for (uint32_t round = 0; round < turn.rounds; round++) {
            const uint32_t *signs = turn.signs + (size_t)round * own.dim;
            const uint32_t *permutation = turn.permutation == nullptr ? nullptr
                                                                      : turn.permutation + (size_t)round * own.dim;
            __syncwarp();
            for (uint32_t j = own.lane; j < own.dim; j += LANES)
                own.buffer[j] = flip(x[permutation == nullptr ? j : permutation[j]], signs[j]);
            __syncwarp();
            for (uint32_t j = own.lane; j < own.dim; j += LANES) x[j] = own.buffer[j];
            mix(turn, round, x, own);
        }
    }
};

#endif
