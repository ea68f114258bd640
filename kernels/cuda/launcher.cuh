/* Launches of the kernels of a search. */
#ifndef TQ_CUDA_LAUNCHER_CUH
#define TQ_CUDA_LAUNCHER_CUH

#include <cuda_runtime.h>

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

#endif
