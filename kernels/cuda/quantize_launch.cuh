/* The encoder's kernels and their launching: each file quantize_*.cu has some shapes, so that they are built side by
 * side. */
#ifndef TQ_CUDA_QUANTIZE_LAUNCH_CUH
#define TQ_CUDA_QUANTIZE_LAUNCH_CUH

#include "kernels/cuda/quantize.cuh"

/* ---- The kernel: persistent blocks ---- */

/* In shared memory: tables of the block, then of each warp what is known of rows, rows, buffers, records. */
struct Shared {
    uint32_t table_bytes, row_words, buffer_words, stage_bytes, warp_bytes;
};

/* Known to the compiler where the shape is for one dimension. */
template <class Shape> __host__ __device__ inline uint32_t dim_of(const Quantize &q) {
    return Shape::GUARDED ? q.dim : (uint32_t)(Shape::PER * Shape::LANES);
}

template <class Shape, int ROWS> __host__ __device__ inline Shared shared_of(const Quantize &q) {
    Shared shared;
    uint32_t dim = dim_of<Shape>(q);
    uint32_t floats = Shape::SHARED_FACTORS ? (q.rotation.rounds + q.sketch.rounds) * dim : 0;
    if (q.code_bits > 4) floats = 2u << q.code_bits;
    shared.table_bytes = (4 * floats + 127) / 128 * 128;
    shared.row_words = (dim + 15) / 32 * 32 + 16; /* rows of a warp begin in different banks */
    shared.stage_bytes = (q.record_stride + 15) / 16 * 16;
    shared.buffer_words = Shape::BUFFERS * WARP_LANES / Shape::LANES * ((dim + 3) / 4 * 4);
    uint32_t words = ROWS * shared.row_words + shared.buffer_words;
    shared.warp_bytes = 4 * words + ROWS * (shared.stage_bytes + (uint32_t)sizeof(Known));
    return shared;
}

template <class Shape> __device__ __forceinline__ void fill_tables(const Quantize &q) {
    float *table = (float *)block_memory;
    if (Shape::SHARED_FACTORS) {
        uint32_t first = q.rotation.rounds * q.dim, all = first + q.sketch.rounds * q.dim;
        for (uint32_t i = threadIdx.x; i < all; i += blockDim.x)
            table[i] = i < first ? q.rotation.factors[i] : q.sketch.factors[i - first];
    } else if (q.code_bits > 4) {
        uint32_t count = 1u << q.code_bits;
        for (uint32_t i = threadIdx.x; i < 2 * count; i += blockDim.x)
            table[i] = i >= count ? q.centroids[i - count] : i + 1 < count ? q.thresholds[i] : 0.0f;
    }
    __syncthreads();
}

template <class Shape, int ROWS, int WARPS, Pace PACE>
__global__ void __launch_bounds__(WARPS * 32, 1)
    quantize_rows(const __grid_constant__ Quantize q, const float *__restrict__ vectors, uint64_t count,
                  const __grid_constant__ DeviceRows out) {
    Shared shared = shared_of<Shape, ROWS>(q);
    fill_tables<Shape>(q);
    uint32_t lane = threadIdx.x & 31;
    uint32_t warp = __shfl_sync(FULL_WARP, threadIdx.x / 32, 0); /* the same in all threads, and known to be */
    Known *known = (Known *)(block_memory + shared.table_bytes + (size_t)warp * shared.warp_bytes);
    float *slots = (float *)(known + ROWS);
    float *buffers = slots + ROWS * shared.row_words;
    uint8_t *stage = (uint8_t *)(buffers + shared.buffer_words);
    uint32_t side = lane / SUM_LANES % ROWS, dim = dim_of<Shape>(q), padded = (dim + 3) / 4 * 4;
    Own own = {(int)(lane % Shape::LANES), dim, buffers + lane / Shape::LANES * padded};
    Encoder<Shape, ROWS, PACE> encoder = {
        q, out, own, known, slots, stage, shared.row_words, shared.stage_bytes, side, lane % SUM_LANES};
    for (uint32_t at = lane; at < ROWS * shared.stage_bytes; at += WARP_LANES) stage[at] = 0;
    typename Shape::Row row;
    if constexpr (Shape::PER == 0) row.v = buffers + padded + lane;
    /* All warps of a block take as many turns: they wait for each other in between. */
    uint32_t turn = blockDim.x / 32 * ROWS, place = warp * ROWS;
    uint64_t step = (uint64_t)gridDim.x * turn;
    for (uint64_t first = (uint64_t)blockIdx.x * turn + place; first - place < count; first += step)
        encoder.encode(vectors, first, step, count, row);
}

/* ---- Launching ---- */

/* What a launch needs to know of the device. */
struct LaunchLimits {
    int multiprocessors;
    size_t shared; /* bytes a block may have */
};

/* vectors f32[count][dim], `out`: on the device. cudaErrorInvalidConfiguration: the shape does not fit. */
typedef cudaError_t QuantizeLaunch(const Quantize &q, const LaunchLimits &limits, const float *vectors, uint64_t count,
                                   const DeviceRows &out, cudaStream_t stream);

/* A kernel, and the threads a row of the factors that it reads; 0: it reads signs and permutations. */
struct QuantizeKernel {
    QuantizeLaunch *launch;
    uint32_t lanes;
};

/* The kernel for a rotation's shape; launch NULL where there is none. What has none is quantize_any's, and so are codes
 * of more than 4 bits. */
QuantizeKernel quantize_short(uint32_t parts, uint32_t span); /* Aligned, up to 1,024 dimensions; quantize_short.cu */
QuantizeKernel quantize_long(uint32_t parts, uint32_t span);  /* Aligned, beyond; quantize_long.cu */
QuantizeKernel quantize_overlap(uint32_t span);               /* Overlap; quantize_other.cu */
QuantizeKernel quantize_any();                                /* InMemory; quantize_other.cu */

/* As many warps a block as memory allows, up to WARPS. */
template <class Shape, int ROWS, int WARPS, Pace PACE>
static cudaError_t launch(const Quantize &q, const LaunchLimits &limits, const float *vectors, uint64_t count,
                          const DeviceRows &out, cudaStream_t stream) {
    auto kernel = quantize_rows<Shape, ROWS, WARPS, PACE>;
    Shared shared = shared_of<Shape, ROWS>(q);
    if (shared.table_bytes + (size_t)shared.warp_bytes > limits.shared) return cudaErrorInvalidConfiguration;
    size_t fit = (limits.shared - shared.table_bytes) / shared.warp_bytes;
    unsigned warps = fit < WARPS ? (unsigned)fit : WARPS;
    size_t bytes = shared.table_bytes + (size_t)warps * shared.warp_bytes;
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    int resident = 0;
    if (error == cudaSuccess)
        error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, (int)warps * 32, bytes);
    if (error != cudaSuccess || count == 0) return error;
    if (resident < 1) return cudaErrorInvalidConfiguration;
    uint64_t blocks = (count + warps * ROWS - 1) / (warps * ROWS), most = (uint64_t)limits.multiprocessors * resident;
    kernel<<<(unsigned)(blocks < most ? blocks : most), warps * 32, bytes, stream>>>(q, vectors, count, out);
    return cudaGetLastError();
}

template <class Shape, int ROWS, int WARPS, Pace PACE> static QuantizeKernel kernel_of() {
    return QuantizeKernel{launch<Shape, ROWS, WARPS, PACE>, Shape::SHARED_FACTORS ? Shape::LANES : 0};
}

#endif
