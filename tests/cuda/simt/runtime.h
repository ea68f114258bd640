/* The host's side of CUDA, as much as the plugin uses: memory is the system's, and what is put into a stream is done at
 * once, or kept while a graph is made of it. */
#ifndef TQ_SIMT_RUNTIME_H
#define TQ_SIMT_RUNTIME_H

#include <vector>

enum cudaError_t {
    cudaSuccess,
    cudaErrorMemoryAllocation,
    cudaErrorInvalidConfiguration,
    cudaErrorInvalidValue,
    cudaErrorNotSupported
};

typedef std::function<void()> SimtWork;

struct CUstream_st {
    bool capturing;
    std::vector<SimtWork> captured;
    void put(const SimtWork &work) {
        if (capturing)
            captured.push_back(work);
        else
            work();
    }
};
typedef CUstream_st *cudaStream_t;
typedef struct SimtGraph {
    std::vector<SimtWork> work;
} * cudaGraph_t, *cudaGraphExec_t;
typedef struct SimtEvent {
    int unused;
} * cudaEvent_t;

enum {
    cudaStreamNonBlocking,
    cudaEventDisableTiming,
    cudaHostAllocDefault,
    cudaHostAllocMapped,
    cudaHostAllocPortable
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice };
enum { cudaStreamCaptureModeThreadLocal, cudaFuncAttributeMaxDynamicSharedMemorySize };
enum { cudaLaunchAttributeProgrammaticStreamSerialization };

struct cudaPointerAttributes {
    cudaMemoryType type;
};
struct cudaLaunchAttribute {
    int id;
    struct {
        int programmaticStreamSerializationAllowed;
    } val;
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
};

/* ---- simt.cc ---- */

cudaError_t simt_allocate(void **made, size_t bytes);
void simt_free(void *memory);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *bytes);
/* overlapping: it may begin before the one ahead has ended. */
void simt_launch(dim3 blocks, dim3 threads, size_t shared, bool overlapping, const SimtWork &kernel);

/* ---- Memory ---- */

template <class T> static inline cudaError_t cudaMalloc(T **made, size_t bytes) {
    return simt_allocate((void **)made, bytes);
}
template <class T> static inline cudaError_t cudaHostAlloc(T **made, size_t bytes, int) {
    return simt_allocate((void **)made, bytes);
}
static inline cudaError_t cudaFree(const void *memory) { return simt_free((void *)memory), cudaSuccess; }
static inline cudaError_t cudaFreeHost(const void *memory) { return simt_free((void *)memory), cudaSuccess; }
static inline cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind) {
    return memcpy(to, from, bytes), cudaSuccess;
}
static inline cudaError_t cudaMemset(void *to, int byte, size_t bytes) { return memset(to, byte, bytes), cudaSuccess; }
static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind,
                                          cudaStream_t stream) {
    return stream->put([=] { memcpy(to, from, bytes); }), cudaSuccess;
}
static inline cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t stream) {
    return stream->put([=] { memset(to, byte, bytes); }), cudaSuccess;
}
static inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *found, const void *) {
    return found->type = cudaMemoryTypeUnregistered, cudaSuccess;
}

/* ---- Streams, events, graphs ---- */

static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *made, int) {
    return *made = new CUstream_st(), cudaSuccess;
}
static inline cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
static inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
static inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, int) { return cudaSuccess; }
static inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, int) {
    return stream->capturing = true, cudaSuccess;
}
static inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *made) {
    *made = new SimtGraph{stream->captured};
    stream->captured.clear();
    return stream->capturing = false, cudaSuccess;
}
static inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t *made, cudaGraph_t graph, int) {
    return *made = new SimtGraph(*graph), cudaSuccess;
}
static inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
static inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return delete graph, cudaSuccess; }
static inline cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    for (const SimtWork &work : graph->work) stream->put(work);
    return cudaSuccess;
}
static inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t *made, int) {
    return *made = new SimtEvent(), cudaSuccess;
}
static inline cudaError_t cudaEventCreate(cudaEvent_t *made) { return *made = new SimtEvent(), cudaSuccess; }
static inline cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
static inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
static inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
static inline cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t, cudaEvent_t) { return *ms = 0, cudaSuccess; }
static inline cudaError_t cudaGetLastError() { return cudaSuccess; }

/* ---- Launches ---- */

template <class Kernel> static inline cudaError_t cudaFuncSetAttribute(Kernel, int, int bytes) {
    return bytes <= SIMT_SHARED_MOST ? cudaSuccess : cudaErrorInvalidValue;
}
template <class Kernel>
static inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Kernel, int, size_t) {
    return *blocks = 1, cudaSuccess;
}

struct SimtLauncher {
    dim3 blocks, threads;
    size_t shared;
    cudaStream_t stream;
    bool overlapping;
    template <class... Parameters, class... Arguments>
    void run(void (*kernel)(Parameters...), const Arguments &...arguments) const {
        std::tuple<std::decay_t<Parameters>...> kept(arguments...);
        dim3 grid = blocks, block = threads;
        size_t bytes = shared;
        bool early = overlapping;
        stream->put([=] { simt_launch(grid, block, bytes, early, [&] { std::apply(kernel, kept); }); });
    }
};
static inline SimtLauncher simt_on(dim3 blocks, dim3 threads, size_t shared, cudaStream_t stream) {
    return {blocks, threads, shared, stream, false};
}
template <class... Parameters, class... Arguments>
static inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Parameters...),
                                             const Arguments &...arguments) {
    SimtLauncher launcher = {config->gridDim, config->blockDim, config->dynamicSmemBytes, config->stream,
                             config->numAttrs != 0 && !config->stream->captured.empty()};
    launcher.run(kernel, arguments...);
    return cudaSuccess;
}

#endif
