/* A plugin without a GPU: the whole table of kernels/cuda/plugin.h in plain C, so that the host's way to a device and
 * back is tested on any machine. It promises no more than the contract does, and ends the program with a sentence where
 * a caller breaks the contract: a test then fails that would pass by luck.
 *
 * Environment, read at each call
 *   TQ_EMULATED_FAIL        [op:]n:status[,...]: the n-th call of an operation (of any, without a name), from 1, fails;
 *                           status is memory, lost, unsupported or absent. n may end in +: that call and all after it.
 *                           A new value starts counting anew. After `lost` everything fails.
 *   TQ_EMULATED_MEMORY      bytes of the device, 1 GiB otherwise
 *   TQ_EMULATED_CANDIDATES  so many rows an answer has room for, TQ_CUDA_CANDIDATES_MOST otherwise
 *   TQ_EMULATED_TRACE       1: a line to stderr for each call
 * read when the plugin is opened
 *   TQ_EMULATED_ABI         none: no table for any version; a number: a table that says it has that version */
#ifndef TQ_EMULATED_H
#define TQ_EMULATED_H

#include <pthread.h>
#include <stdatomic.h>

#include "kernels/cuda/plugin.h"
#include "src/codec/codec.h"

struct tq_cuda {
    pid_t process;
    atomic_int users; /* encoders and sets */
    _Atomic uint64_t used;
};

struct tq_cuda_encoder {
    struct tq_cuda *cuda;
    struct tq_codec codec; /* made anew from what the host says of its own */
    struct tq_encoder *encoder;
    atomic_bool busy;
};

struct tq_cuda_set {
    struct tq_cuda *cuda;
    struct tq_format format;  /* its sizes */
    uint64_t groups, counted; /* counted: bytes of the device */
    uint8_t *records;
    uint16_t *first_error, *second;
    uint64_t *present;
    struct tq_cuda_rows stage; /* NULLs: none */
    atomic_int lanes, reading;
};

struct emulated_list {
    struct tq_cuda_candidate *rows;
    size_t count, capacity;
};

struct tq_cuda_lane {
    struct tq_cuda_set *set;
    uint64_t *allowed, allowed_groups; /* NULL: all */
    uint64_t groups, counted;
    struct tq_cuda_query *queries; /* [TQ_CUDA_QUERIES_MOST] */
    uint32_t count;
    bool begun;
    atomic_bool busy;
    struct emulated_list lists[TQ_CUDA_QUERIES_MOST];
};

/* ---- emulated_faults.c ---- */

/* End the program unless the caller keeps to the contract. */
void emulated_contract(bool kept, const char *operation, const char *rule);
/* At the beginning of each operation that can fail: the status it is to fail with, or TQ_CUDA_OK. */
enum tq_cuda_status emulated_enter(const struct tq_cuda *cuda, const char *operation, struct tq_cuda_why *why);
enum tq_cuda_status emulated_fail(enum tq_cuda_status status, struct tq_cuda_why *why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A number in the environment. */
uint64_t emulated_number(const char *name, uint64_t otherwise);
/* Count `bytes` of the device's memory instead of *counted. */
enum tq_cuda_status emulated_memory(struct tq_cuda *cuda, uint64_t *counted, uint64_t bytes, struct tq_cuda_why *why);

/* ---- emulated_encode.c ---- */

enum tq_cuda_status emulated_encoder_open(struct tq_cuda *cuda, const struct tq_cuda_codec *codec,
                                          struct tq_cuda_encoder **encoder, struct tq_cuda_why *why);
void emulated_encoder_close(struct tq_cuda_encoder *encoder);
enum tq_cuda_status emulated_encode(struct tq_cuda_encoder *encoder, const float *vectors, size_t count,
                                    const struct tq_cuda_rows *out, size_t *refused, struct tq_cuda_why *why);
/* The sizes that a codec names. */
struct tq_format emulated_format(const struct tq_cuda_codec *codec);

/* ---- emulated_search.c ---- */

/* One query's answer. false: no memory. */
bool emulated_search(struct tq_cuda_lane *lane, const struct tq_cuda_query *query, struct emulated_list *list,
                     struct tq_cuda_answer *answer);

#endif
