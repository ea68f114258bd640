/* Rows on their way into shared memory, sixteen a stage, two stages a warp: by the copy engine where there is one
 * (sm_90 and later: a copy a row, or one for rows that follow each other), else by cp.async of all lanes. */
#ifndef TQ_CUDA_STREAM_CUH
#define TQ_CUDA_STREAM_CUH

#include "kernels/cuda/bits.cuh"
#include "kernels/cuda/internal.h"

enum { STAGES = 2, STAGE_ROWS = 16 };

/* Words between rows in a stage: a quarter of a warp reads eight rows at once, each from other banks. */
__host__ __device__ inline uint32_t stage_stride(uint32_t row_words) { return (row_words * 4 + 63) / 128 * 32 + 16; }

struct Stream {
    uint32_t *buffer; /* [STAGES][16][stage_stride] */
    uint64_t *full;   /* mbarriers, [STAGES] */
    const uint32_t *rows;
    uint32_t row_words, stride, phases;

    static __device__ __forceinline__ uint32_t address(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }
    __device__ __forceinline__ const uint32_t *stage_of(uint32_t stage) const {
        return buffer + stage * STAGE_ROWS * stride;
    }

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    __device__ inline void begin(int lane) {
        if (lane < STAGES) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address(full + lane)));
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        __syncwarp();
        phases = 0;
    }
    __device__ __forceinline__ void expect(uint32_t bar, uint32_t bytes) const {
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
    }
    __device__ __forceinline__ void copy(const uint32_t *to, uint64_t row, uint32_t bytes, uint32_t bar) const {
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         address(to)),
                     "l"(rows + row * row_words), "r"(bytes), "r"(bar)
                     : "memory");
    }
    /* Row `row` of the lane (16 lanes) into stage `stage`, which nobody reads any more. */
    __device__ __forceinline__ void fill(uint32_t stage, uint64_t row, int lane) {
        uint32_t bytes = row_words * 4, bar = address(full + stage);
        __syncwarp();
        if (lane == 0) expect(bar, STAGE_ROWS * bytes);
        __syncwarp();
        if (lane < STAGE_ROWS) copy(buffer + (stage * STAGE_ROWS + lane) * stride, row, bytes, bar);
    }
    /* Rows [row, row + 16), one behind the other: row_words apart. */
    __device__ __forceinline__ void fill_run(uint32_t stage, uint64_t row, int lane) {
        uint32_t bytes = STAGE_ROWS * row_words * 4, bar = address(full + stage);
        __syncwarp();
        if (lane != 0) return;
        expect(bar, bytes);
        copy(stage_of(stage), row, bytes, bar);
    }
    /* For the stage that was filled first of those in flight; `newer`: another was filled behind it. */
    __device__ __forceinline__ void wait(uint32_t stage, bool) {
        uint32_t bar = address(full + stage), done = 0, parity = phases >> stage & 1;
        while (!done)
            asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                         : "=r"(done)
                         : "r"(bar), "r"(parity)
                         : "memory");
        phases ^= 1u << stage;
    }
#else
    __device__ inline void begin(int) { phases = 0; }
    __device__ __forceinline__ void copy(const uint32_t *to, const uint32_t *from) const {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address(to)), "l"(from) : "memory");
    }
    __device__ __forceinline__ void commit() const { asm volatile("cp.async.commit_group;" ::: "memory"); }
    __device__ __forceinline__ void fill(uint32_t stage, uint64_t row, int lane) {
        __syncwarp();
        for (int i = 0; i < STAGE_ROWS; i++) {
            const uint32_t *from = rows + __shfl_sync(FULL_WARP, row, i) * row_words;
            for (uint32_t w = lane * 4; w < row_words; w += 128)
                copy(buffer + (stage * STAGE_ROWS + i) * stride + w, from + w);
        }
        commit();
    }
    __device__ __forceinline__ void fill_run(uint32_t stage, uint64_t row, int lane) {
        __syncwarp();
        for (uint32_t w = lane * 4; w < STAGE_ROWS * row_words; w += 128)
            copy(stage_of(stage) + w, rows + row * row_words + w);
        commit();
    }
    __device__ __forceinline__ void wait(uint32_t, bool newer) {
        if (newer)
            asm volatile("cp.async.wait_group 1;" ::: "memory");
        else
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        __syncwarp();
    }
#endif
};

#endif
