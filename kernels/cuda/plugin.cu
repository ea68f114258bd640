/* The table, the one symbol that is exported, and what all files of the plugin have but once. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/internal.h"

pthread_mutex_t tq_cuda_launching = PTHREAD_MUTEX_INITIALIZER;

bool tq_cuda_timed(void) {
    const char *times = getenv("TQ_CUDA_TIMES");
    return times != nullptr && strcmp(times, "1") == 0;
}

static const struct tq_cuda_ops operations = {
    TQ_CUDA_ABI,          sizeof(struct tq_cuda_ops), tq_cuda_open,        tq_cuda_close,      tq_cuda_describe,
    tq_cuda_encoder_open, tq_cuda_encoder_close,      tq_cuda_encode,      tq_cuda_set_open,   tq_cuda_set_close,
    tq_cuda_set_bytes,    tq_cuda_lane_bytes,         tq_cuda_set_reserve, tq_cuda_set_stage,  tq_cuda_set_put,
    tq_cuda_set_clear,    tq_cuda_set_finish,         tq_cuda_lane_open,   tq_cuda_lane_close, tq_cuda_lane_allow,
    tq_cuda_search_begin, tq_cuda_search_end,         tq_cuda_encoder_ms,
};

extern "C" __attribute__((visibility("default"))) const struct tq_cuda_ops *tq_cuda_plugin(uint32_t abi) {
    return abi == TQ_CUDA_ABI ? &operations : nullptr;
}
