/* What the files of the plugin share: a device in use, the rows that are resident on it and their layout, errors.
 * CUDA C++; nothing of it is seen outside libtq_cuda.so.
 *
 *   plugin.cu     the table: the one symbol that is exported; the lock of launches
 *   device.cu     struct tq_cuda, errors in words
 *   set.cu        struct tq_cuda_set and its rows; transcode.cuh brings them into the order below
 *   encoder.cu    struct tq_cuda_encoder
 *   lane.cu       struct tq_cuda_lane, all of searching
 *
 * Slab      256 dimensions of a plane. A plane is padded with zeros to whole slabs.
 * Group     64 rows. Rows that were never put, or cleared, are absent; all of their bits are 0 or of no meaning, and
 *           those that a partly full group lacks are 0.
 * Tile      16 rows of a slab of the first plane, 512 bytes in the order of mma.m16n8k256: lane (g, t), g = lane / 4,
 *           t = lane % 4, has 16 bytes: words 2t, 2t + 1 of row g, then of row g + 8. Which dimensions a word holds is
 *           the query's business, so the order of words within a slab is free; this one lets a lane read 8 bytes of a
 *           row-major plane at once.
 * Signs     the first plane of all rows: slab s of all groups lies together, group after group, 4 tiles each, from
 *           word s * groups * 512 on, where `groups` is the set's capacity and not how many hold rows.
 * Row       row_words words: slab after slab, and in it two planes at a time, 8 bytes of one and 8 of the other in
 *           turn, so that a lane reads 16 bytes; a plane that is left over as it is. Then five words: scale, norm,
 *           gamma | error << 16, first error, inverse | second error << 16 (struct tq_record_tail and the rows' side
 *           data); padded with zeros to 8 words, a sector of memory. */
#ifndef TQ_CUDA_INTERNAL_H
#define TQ_CUDA_INTERNAL_H

#include <cuda.h>
#include <cuda_runtime.h>
#include <pthread.h>

#include "kernels/cuda/plugin.h"

/* ---- Layout ---- */

enum { TQ_CUDA_TAIL_WORDS = 5, TQ_CUDA_TILE_ROWS = 16, TQ_CUDA_SLAB_WORDS = 8, TQ_CUDA_GROUP_SIGNS = 512 };

__host__ __device__ constexpr uint32_t tq_cuda_slabs(uint32_t dim) {
    return (dim + TQ_CUDA_SLAB_DIMS - 1) / TQ_CUDA_SLAB_DIMS;
}
__host__ __device__ constexpr uint32_t tq_cuda_row_words(uint32_t dim, uint32_t bits) {
    return (bits * TQ_CUDA_SLAB_WORDS * tq_cuda_slabs(dim) + TQ_CUDA_TAIL_WORDS + 7) / 8 * 8;
}

/* The rows of a set, as kernels get them, by value. */
struct tq_cuda_resident {
    const uint32_t *signs;    /* [slabs][groups][512] */
    const uint32_t *rows;     /* [64 * groups][row_words] */
    const uint64_t *present;  /* [groups]: bit i, row i of the group is there */
    const uint64_t *unusable; /* [groups]: it is, but its first plane or its full code says nothing of its direction, so
                                 that no sum may dismiss it: its first error or its error is infinite, or its scale 0 */
    const float2 *norms; /* [groups]: the smallest and the largest norm of the rows that are there; inf, 0 if none */
    uint64_t groups;     /* capacity: how far slabs are apart, in groups */
    uint32_t dim, bits, code_bits, slabs, row_words, scan_planes;
    bool qjl, packed;
};

/* ---- A device in use ---- */

struct tq_cuda {
    CUcontext context; /* the device's primary one */
    /* The calling thread's; functions of the driver, which nothing is linked with. */
    CUresult(CUDAAPI *context_of)(CUcontext *context);
    CUresult(CUDAAPI *context_set)(CUcontext context);
    struct tq_cuda_description description; /* but `free` */
    size_t shared_most;                     /* bytes of shared memory that a block can ask for */
};

/* Makes the device the calling thread's for as long as this lives, and then the one that it had: other users of CUDA in
 * the program must not notice. Every function of the table begins with one. */
class tq_cuda_scope {
  public:
    explicit tq_cuda_scope(const struct tq_cuda *cuda);
    ~tq_cuda_scope();
    tq_cuda_scope(const tq_cuda_scope &) = delete;
    tq_cuda_scope &operator=(const tq_cuda_scope &) = delete;

  private:
    const struct tq_cuda *cuda;
    CUcontext before;
};

/* Held from where a kernel is told how much shared memory it may ask for until it is launched or in a graph: the limit
 * is the kernel's own, and another set or encoder may set another one meanwhile. */
extern pthread_mutex_t tq_cuda_launching;

/* Whether times are measured: the environment has TQ_CUDA_TIMES=1. */
bool tq_cuda_timed(void);

/* ---- Errors ---- */

/* `why`, where it is not NULL, as by printf; returns `status`. */
enum tq_cuda_status tq_cuda_say(struct tq_cuda_why *why, enum tq_cuda_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The status of an error of the runtime, and why: `doing` says what failed ("copying rows to the device"). MEMORY; or
 * LOST, where the device says it again when it is asked again; UNSUPPORTED, if the error went away. */
enum tq_cuda_status tq_cuda_failed(struct tq_cuda_why *why, cudaError_t error, const char *doing);

/* Return from the calling function if a call of the runtime fails. */
#define TQ_CUDA_TRY(call, why, doing)                                                                                  \
    do {                                                                                                               \
        cudaError_t try_error = (call);                                                                                \
        if (try_error != cudaSuccess) return tq_cuda_failed(why, try_error, doing);                                    \
    } while (0)
/* The same for functions of the plugin. */
#define TQ_CUDA_PASS(call)                                                                                             \
    do {                                                                                                               \
        enum tq_cuda_status pass_status = (call);                                                                      \
        if (pass_status != TQ_CUDA_OK) return pass_status;                                                             \
    } while (0)

/* ---- Rows that are resident ---- */

struct tq_cuda_stage; /* set.cu: page-locked memory on its way to the device */

struct tq_cuda_set {
    struct tq_cuda *cuda;
    struct tq_cuda_resident resident; /* moves, and `generation` with it, when set_reserve changes the capacity: */
    uint64_t generation;              /* a graph that was captured with another one must be captured again */
    uint32_t plane_bytes, record_stride;
    cudaStream_t stream;  /* of stage, put, clear and reserve */
    cudaEvent_t last_put; /* recorded behind the last of them: cudaStreamWaitEvent before reading rows */
    struct tq_cuda_stage *stage;
};

/* ---- The functions of the table ---- */

/* device.cu */
enum tq_cuda_status tq_cuda_open(int device, struct tq_cuda **cuda, struct tq_cuda_why *why);
void tq_cuda_close(struct tq_cuda *cuda);
enum tq_cuda_status tq_cuda_describe(struct tq_cuda *cuda, struct tq_cuda_description *description,
                                     struct tq_cuda_why *why);

/* encoder.cu */
enum tq_cuda_status tq_cuda_encoder_open(struct tq_cuda *cuda, const struct tq_cuda_codec *codec,
                                         struct tq_cuda_encoder **encoder, struct tq_cuda_why *why);
void tq_cuda_encoder_close(struct tq_cuda_encoder *encoder);
enum tq_cuda_status tq_cuda_encode(struct tq_cuda_encoder *encoder, const float *vectors, size_t count,
                                   const struct tq_cuda_rows *out, size_t *refused, struct tq_cuda_why *why);
double tq_cuda_encoder_ms(const struct tq_cuda_encoder *encoder);

/* set.cu */
enum tq_cuda_status tq_cuda_set_open(struct tq_cuda *cuda, const struct tq_cuda_codec *codec, struct tq_cuda_set **set,
                                     struct tq_cuda_why *why);
void tq_cuda_set_close(struct tq_cuda_set *set);
uint64_t tq_cuda_set_bytes(const struct tq_cuda_set *set, uint64_t groups);
enum tq_cuda_status tq_cuda_set_reserve(struct tq_cuda_set *set, uint64_t groups, struct tq_cuda_why *why);
enum tq_cuda_status tq_cuda_set_stage(struct tq_cuda_set *set, struct tq_cuda_rows *rows, size_t *count,
                                      struct tq_cuda_why *why);
enum tq_cuda_status tq_cuda_set_put(struct tq_cuda_set *set, uint64_t group, size_t count, struct tq_cuda_why *why);
enum tq_cuda_status tq_cuda_set_clear(struct tq_cuda_set *set, uint64_t group, uint64_t groups,
                                      struct tq_cuda_why *why);
enum tq_cuda_status tq_cuda_set_finish(struct tq_cuda_set *set, struct tq_cuda_why *why);

/* lane.cu */
uint64_t tq_cuda_lane_bytes(const struct tq_cuda_set *set, uint64_t groups);
enum tq_cuda_status tq_cuda_lane_open(struct tq_cuda_set *set, struct tq_cuda_lane **lane, struct tq_cuda_why *why);
void tq_cuda_lane_close(struct tq_cuda_lane *lane);
enum tq_cuda_status tq_cuda_lane_allow(struct tq_cuda_lane *lane, const uint64_t *words, uint64_t groups,
                                       struct tq_cuda_why *why);
enum tq_cuda_status tq_cuda_search_begin(struct tq_cuda_lane *lane, uint64_t groups,
                                         const struct tq_cuda_query *queries, uint32_t count, struct tq_cuda_why *why);
enum tq_cuda_status tq_cuda_search_end(struct tq_cuda_lane *lane, struct tq_cuda_answer *answers,
                                       struct tq_cuda_why *why);

#endif
