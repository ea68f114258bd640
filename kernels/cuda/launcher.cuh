/* Launches of the kernels of a search, and the graph that they become. */
#ifndef TQ_CUDA_LAUNCHER_CUH
#define TQ_CUDA_LAUNCHER_CUH

#include "kernels/cuda/internal.h"

/* Launches one behind the other, each of which may begin before the one ahead has ended; the first error is kept. */
struct Launcher {
    cudaStream_t stream;
    bool overlapping; /* the device can */
    cudaError_t error;

    template <class... Parameters, class... Arguments>
    void operator()(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, uint32_t bytes,
                    Arguments... arguments) {
        if (error == cudaSuccess && bytes > 0)
            error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
        if (error != cudaSuccess) return;
        cudaLaunchAttribute attribute = {};
        attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attribute.val.programmaticStreamSerializationAllowed = 1;
        cudaLaunchConfig_t config = {};
        config.gridDim = blocks, config.blockDim = threads, config.dynamicSmemBytes = bytes;
        config.stream = stream;
        config.attrs = &attribute, config.numAttrs = overlapping ? 1 : 0;
        error = cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
    }
};

/* The graph of what launch() puts into the stream. */
template <class Launch>
static inline cudaError_t capture_graph(cudaStream_t stream, cudaGraphExec_t *made, const Launch &launch) {
    cudaGraph_t graph = nullptr;
    (void)pthread_mutex_lock(&tq_cuda_launching);
    cudaError_t error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    if (error == cudaSuccess) {
        error = launch();
        cudaError_t ended = cudaStreamEndCapture(stream, &graph);
        if (error == cudaSuccess) error = ended;
    }
    if (error == cudaSuccess) error = cudaGraphInstantiate(made, graph, 0);
    (void)pthread_mutex_unlock(&tq_cuda_launching);
    if (graph != nullptr) (void)cudaGraphDestroy(graph);
    return error;
}

#endif
