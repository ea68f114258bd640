/* Rows in neighbourhoods, and those around centres, with noise of their own: 7 parts of each of the two, 8 of noise.
 * All of it is in integers below 2^22, so the same floats come out here and in peers/gpu_made.py. */
#include "bench/common/program.h"
#include "bench/gpu.h"
#include "src/base/alloc.h"

enum stream { NOISE = 1, CENTRE = 2, NEIGHBOURHOOD = 3, CHOICE = 4 };
enum { NEIGHBOURHOODS = 20000, CENTRES = 500 };
#define QUERIES_FROM UINT64_C(1000000000000)
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* SplitMix64's finalizer. */
static inline uint64_t mixed(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t stream_at(enum stream stream, uint64_t number) {
    return mixed(number + ((uint64_t)stream << 56));
}

/* Four uniform numbers of 16 bits, around 0; `state` is the last element's. */
static inline int32_t noise_next(uint64_t *state) {
    uint64_t z = mixed(*state += GOLDEN);
    return (int32_t)((z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48)) - 131070;
}

static enum tq_status share(void *context, size_t begin, size_t end) {
    struct gpu_made *made = context;
    for (size_t i = begin; i < end; i++) {
        uint64_t own = stream_at(NEIGHBOURHOOD, i), centre = stream_at(CENTRE, i % CENTRES);
        for (uint32_t j = 0; j < made->dim; j++)
            made->shared[i * made->dim + j] = 7 * (noise_next(&own) + noise_next(&centre));
    }
    return TQ_OK;
}

void gpu_made_open(struct gpu_made *made, uint32_t dim, int threads) {
    *made = (struct gpu_made){dim, gpu_alloc((size_t)NEIGHBOURHOODS * dim, sizeof(int32_t))};
    bench_check(bench_parallel(NEIGHBOURHOODS, 256, threads, share, made));
}

void gpu_made_close(struct gpu_made *made) { tq_free(made->shared); }

static const int32_t *neighbourhood_of(const struct gpu_made *made, uint64_t number) {
    return made->shared + (stream_at(CHOICE, number) >> 33) % NEIGHBOURHOODS * made->dim;
}

void gpu_made_row(const struct gpu_made *made, uint64_t number, float *vector) {
    const int32_t *shared = neighbourhood_of(made, number);
    uint64_t state = stream_at(NOISE, number);
    for (uint32_t j = 0; j < made->dim; j++) vector[j] = (float)(shared[j] + 8 * noise_next(&state)) * 0x1p-20f;
}

void gpu_made_queries(const struct gpu_made *made, double hardness, size_t count, float *vectors) {
    for (size_t i = 0; i < count; i++) {
        const int32_t *shared = neighbourhood_of(made, QUERIES_FROM + i);
        float *vector = vectors + i * made->dim;
        gpu_made_row(made, QUERIES_FROM + i, vector);
        for (uint32_t j = 0; j < made->dim; j++) vector[j] -= (float)hardness * ((float)shared[j] * 0x1p-20f);
    }
}
