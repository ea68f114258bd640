/* What device.cu does with a driver: one device, which is there, is this program. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/internal.h"

enum tq_cuda_status tq_cuda_say(struct tq_cuda_why *why, enum tq_cuda_status status, const char *format, ...) {
    if (why == nullptr) return status;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return status;
}

enum tq_cuda_status tq_cuda_failed(struct tq_cuda_why *why, cudaError_t error, const char *doing) {
    return tq_cuda_say(why, error == cudaErrorMemoryAllocation ? TQ_CUDA_MEMORY : TQ_CUDA_UNSUPPORTED, "%s: error %d",
                       doing, (int)error);
}

tq_cuda_scope::tq_cuda_scope(const struct tq_cuda *device) : cuda(device), before(nullptr) {}
tq_cuda_scope::~tq_cuda_scope() {}

enum tq_cuda_status tq_cuda_open(int, struct tq_cuda **cuda, struct tq_cuda_why *) {
    struct tq_cuda *made = (struct tq_cuda *)calloc(1, sizeof *made);
    if (made == nullptr) abort();
    (void)snprintf(made->description.name, sizeof made->description.name, "kernels on a CPU");
#ifdef __CUDA_ARCH__
    made->description.major = __CUDA_ARCH__ / 100; /* built for its way of doing things */
#else
    made->description.major = 9;
#endif
    made->description.driver = made->description.runtime = 13000;
    made->description.multiprocessors = 2;
    made->shared_most = SIMT_SHARED_MOST;
    *cuda = made;
    return TQ_CUDA_OK;
}

void tq_cuda_close(struct tq_cuda *cuda) { free(cuda); }

enum tq_cuda_status tq_cuda_describe(struct tq_cuda *cuda, struct tq_cuda_description *description,
                                     struct tq_cuda_why *) {
    size_t free_bytes = 0, bytes = 0;
    (void)cudaMemGetInfo(&free_bytes, &bytes);
    *description = cuda->description;
    description->memory = bytes;
    description->free = free_bytes;
    return TQ_CUDA_OK;
}
