/* A device in use, and errors in words. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/internal.h"

enum { OLDEST_MAJOR = 8 }; /* compute capability: products of bits, asynchronous copies */

/* ---- Errors ---- */

enum tq_cuda_status tq_cuda_say(struct tq_cuda_why *why, enum tq_cuda_status status, const char *format, ...) {
    if (why == nullptr) return status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return status;
}

static bool means_absent(cudaError_t error) {
    switch (error) {
    case cudaErrorInsufficientDriver:
    case cudaErrorCallRequiresNewerDriver:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorDevicesUnavailable: /* another process has it for itself */
    case cudaErrorDeviceNotLicensed:
    case cudaErrorStubLibrary:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
    case cudaErrorSystemNotReady:
    case cudaErrorInitializationError:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidKernelImage:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorJitCompilationDisabled:
    case cudaErrorNotPermitted:
    case cudaErrorOperatingSystem: return true;
    default: return false;
    }
}

enum tq_cuda_status tq_cuda_failed(struct tq_cuda_why *why, cudaError_t error, const char *doing) {
    const char *text = cudaGetErrorString(error);
    (void)cudaGetLastError(); /* an error that can be got over would be reported again by the next launch */
    if (error == cudaErrorMemoryAllocation)
        return tq_cuda_say(why, TQ_CUDA_MEMORY, "%s: %s (CUDA error %d)", doing, text, (int)error);
    size_t free_bytes = 0, bytes = 0;
    if (cudaMemGetInfo(&free_bytes, &bytes) != cudaSuccess)
        return tq_cuda_say(why, TQ_CUDA_LOST, "%s: %s (CUDA error %d); this process cannot use the device any more",
                           doing, text, (int)error);
    return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "%s: %s (CUDA error %d)", doing, text, (int)error);
}

/* The same while a device is opened: there may be none that could be asked again. */
static enum tq_cuda_status open_failed(struct tq_cuda_why *why, cudaError_t error, const char *doing) {
    if (!means_absent(error)) return tq_cuda_failed(why, error, doing);
    (void)cudaGetLastError();
    return tq_cuda_say(why, TQ_CUDA_ABSENT, "%s: %s (CUDA error %d)", doing, cudaGetErrorString(error), (int)error);
}

#define OPEN_TRY(call, why, doing)                                                                                     \
    do {                                                                                                               \
        cudaError_t open_error = (call);                                                                               \
        if (open_error != cudaSuccess) return open_failed(why, open_error, doing);                                     \
    } while (0)

/* ---- The calling thread's context ---- */

tq_cuda_scope::tq_cuda_scope(const struct tq_cuda *device) : cuda(device), before(nullptr) {
    (void)cuda->context_of(&before);
    if (before != cuda->context) (void)cuda->context_set(cuda->context);
}

tq_cuda_scope::~tq_cuda_scope() {
    if (before != cuda->context) (void)cuda->context_set(before);
}

/* ---- Opening ---- */

static __global__ void answer_call(uint32_t *answer) { *answer = TQ_CUDA_ABI; }

/* Whether code of this plugin runs there at all. */
static enum tq_cuda_status try_kernel(struct tq_cuda_why *why) {
    static const char doing[] = "running a first kernel";
    uint32_t *place = nullptr, answer = 0;
    OPEN_TRY(cudaMalloc(&place, sizeof *place), why, "allocating 4 bytes on the device");
    answer_call<<<1, 1>>>(place);
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) error = cudaMemcpy(&answer, place, sizeof answer, cudaMemcpyDeviceToHost);
    enum tq_cuda_status status = TQ_CUDA_OK;
    if (error != cudaSuccess)
        status = open_failed(why, error, doing);
    else if (answer != TQ_CUDA_ABI)
        status = tq_cuda_say(why, TQ_CUDA_LOST, "%s: the device left %u where it had to write %u", doing, answer,
                             TQ_CUDA_ABI);
    (void)cudaFree(place);
    return status;
}

/* Whether there is a driver, new enough, and a device of that number. */
static enum tq_cuda_status find_device(int device, struct tq_cuda_description *found, struct tq_cuda_why *why) {
    OPEN_TRY(cudaRuntimeGetVersion(&found->runtime), why, "asking for the version of the runtime");
    OPEN_TRY(cudaDriverGetVersion(&found->driver), why, "asking for the version of the driver");
    if (found->driver == 0)
        return tq_cuda_say(why, TQ_CUDA_ABSENT, "there is no NVIDIA driver here (libcuda.so.1 was not found)");
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver) {
        (void)cudaGetLastError();
        return tq_cuda_say(why, TQ_CUDA_ABSENT, "the NVIDIA driver is for CUDA %d.%d at most: %d.%d is needed",
                           found->driver / 1000, found->driver % 1000 / 10, found->runtime / 1000,
                           found->runtime % 1000 / 10);
    }
    if (error == cudaErrorNoDevice) {
        (void)cudaGetLastError();
        return tq_cuda_say(why, TQ_CUDA_ABSENT,
                           "there is an NVIDIA driver, but no device that it lets this process use");
    }
    OPEN_TRY(error, why, "counting the devices");
    if (device < 0 || device >= count)
        return tq_cuda_say(why, TQ_CUDA_ABSENT, "there is no device %d: the driver has %d, numbered from 0", device,
                           count);
    return TQ_CUDA_OK;
}

static enum tq_cuda_status read_properties(struct tq_cuda *cuda, int device, struct tq_cuda_why *why) {
    struct tq_cuda_description *d = &cuda->description;
    cudaDeviceProp properties;
    OPEN_TRY(cudaGetDeviceProperties(&properties, device), why, "asking for the properties of the device");
    snprintf(d->name, sizeof d->name, "%.63s", properties.name);
    d->device = device;
    d->major = properties.major, d->minor = properties.minor;
    d->multiprocessors = properties.multiProcessorCount;
    d->memory = properties.totalGlobalMem;
    cuda->shared_most = properties.sharedMemPerBlockOptin;
    if (d->major < OLDEST_MAJOR)
        return tq_cuda_say(why, TQ_CUDA_ABSENT, "%s has compute capability %d.%d: %d.0 is needed", d->name, d->major,
                           d->minor, OLDEST_MAJOR);
    return TQ_CUDA_OK;
}

/* A function of the driver, which was not there when this was linked. */
static cudaError_t find_function(const char *name, void **function) {
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
    cudaError_t error = cudaGetDriverEntryPointByVersion(name, function, 4000, cudaEnableDefault, &found);
#else
    cudaError_t error = cudaGetDriverEntryPoint(name, function, cudaEnableDefault, &found);
#endif
    if (error != cudaSuccess) return error;
    return found == cudaDriverEntryPointSuccess && *function != nullptr ? cudaSuccess : cudaErrorInsufficientDriver;
}

/* The context that the runtime gives the device, for a thread whose context was another. */
static enum tq_cuda_status enter(struct tq_cuda *cuda, struct tq_cuda_why *why) {
    static const char doing[] = "beginning to use the device";
    OPEN_TRY(find_function("cuCtxGetCurrent", (void **)&cuda->context_of), why, doing);
    OPEN_TRY(find_function("cuCtxSetCurrent", (void **)&cuda->context_set), why, doing);
    CUcontext before = nullptr;
    (void)cuda->context_of(&before);
    enum tq_cuda_status status = TQ_CUDA_OK;
    cudaError_t error = cudaSetDevice(cuda->description.device);
    if (error == cudaSuccess) error = cudaFree(nullptr); /* runtimes before 12 make the context now */
    if (error == cudaSuccess && (cuda->context_of(&cuda->context) != CUDA_SUCCESS || cuda->context == nullptr))
        error = cudaErrorInitializationError;
    if (error != cudaSuccess)
        status = open_failed(why, error, doing);
    else
        status = try_kernel(why);
    (void)cuda->context_set(before);
    return status;
}

enum tq_cuda_status tq_cuda_open(int device, struct tq_cuda **cuda, struct tq_cuda_why *why) {
    struct tq_cuda *made = (struct tq_cuda *)calloc(1, sizeof *made);
    if (made == nullptr) return tq_cuda_say(why, TQ_CUDA_MEMORY, "no memory for %zu bytes", sizeof *made);
    enum tq_cuda_status status = find_device(device, &made->description, why);
    if (status == TQ_CUDA_OK) status = read_properties(made, device, why);
    if (status == TQ_CUDA_OK) status = enter(made, why);
    if (status != TQ_CUDA_OK) {
        free(made);
        return status;
    }
    *cuda = made;
    return TQ_CUDA_OK;
}

/* The context stays: it is the process's, and others may use it. */
void tq_cuda_close(struct tq_cuda *cuda) { free(cuda); }

enum tq_cuda_status tq_cuda_describe(struct tq_cuda *cuda, struct tq_cuda_description *description,
                                     struct tq_cuda_why *why) {
    tq_cuda_scope scope(cuda);
    size_t free_bytes = 0, bytes = 0;
    TQ_CUDA_TRY(cudaMemGetInfo(&free_bytes, &bytes), why, "asking for the free memory of the device");
    *description = cuda->description;
    description->free = free_bytes;
    return TQ_CUDA_OK;
}
