/* What libtq and its plugin for NVIDIA devices, libtq_cuda.so, say to each other. Plain C, no CUDA in it.
 *
 * The plugin exports one function, tq_cuda_plugin(), and calls nothing of libtq: the table below is all. It is opened
 * at run time, so a library built here runs where there is no CUDA, and one plugin serves every program.
 *
 * Division     The host has queries, bounds, snapshots, filters, ids and exact rows; the device has codes and integers.
 *              Each kernel computes the integers of the CPU's kernels and, from them, the doubles of index/row_bound.c
 *              in their order of operations, so the bounds u and keys m of a row are the same bits (docs/gpu.md).
 * Answer       With T the wanted-th largest m, the rows with u >= T (index/search.h). That is a property of the rows,
 *              so the host's ranking goes on with them as with its own. A device may return more rows, never fewer.
 * Threads      A set is read by any number of lanes at once; reserve, stage, put and clear need it alone. A lane, an
 *              encoder: one thread at a time, and any thread after another. Nothing here may be used in a child after
 *              fork().
 * Errors       Each call that can fail fills *why, where it is not NULL. After TQ_CUDA_LOST only close functions may be
 *              called; after TQ_CUDA_MEMORY everything is as before the call.
 * The store is never written by a plugin. */
#ifndef TQ_CUDA_PLUGIN_H
#define TQ_CUDA_PLUGIN_H

#include "kernels/kernels.h"

#define TQ_CUDA_ABI 1u
#define TQ_CUDA_ENTRY "tq_cuda_plugin"

enum tq_cuda_status {
    TQ_CUDA_OK = 0,
    TQ_CUDA_ABSENT = 1,      /* no driver, one that is too old, no such device, or one that is too old */
    TQ_CUDA_MEMORY = 2,      /* of the device, or page-locked memory of the host */
    TQ_CUDA_UNSUPPORTED = 3, /* this format or size is none for the device */
    TQ_CUDA_LOST = 4         /* the device failed, and will go on failing in this process */
};

struct tq_cuda_why {
    char text[256]; /* for a person: what failed, with the number and the limit; ends with 0 */
};

struct tq_cuda;         /* a device in use */
struct tq_cuda_encoder; /* buffers for encoding one format */
struct tq_cuda_set;     /* rows of one format that are resident */
struct tq_cuda_lane;    /* scratch of one search at a time over one set */

struct tq_cuda_description {
    char name[64];       /* "NVIDIA H200" */
    int device;          /* its number */
    int major, minor;    /* compute capability */
    int driver, runtime; /* as CUDA has them: 13000 for 13.0 */
    int multiprocessors;
    uint64_t memory, free; /* bytes */
};

/* ---- Formats ---- */

enum { TQ_CUDA_SCALES = 3 };

/* What a device needs of a codec (src/codec/codec.h, src/base/format.h); arrays are borrowed for the call alone. */
struct tq_cuda_codec {
    struct tq_rotation rotation, sketch; /* sketch.dim 0 without QJL */
    uint32_t dim, bits, code_bits, scan_planes;
    uint32_t plane_bytes, record_stride;
    bool qjl, half_rows, packed, norms;
    const float *thresholds, *centroids; /* [(1 << code_bits) - 1], [1 << code_bits] */
    float scales[TQ_CUDA_SCALES];        /* of y, tried in this order; the first one alone where code_bits is 1 */
    double slack;                        /* of tangents: struct tq_encoder */
};

/* Rows as tq_encode makes them: `count` of them, arrays one behind the other. */
struct tq_cuda_rows {
    uint8_t *records;      /* [count][record_stride]: planes, then struct tq_record_tail */
    uint16_t *first_error; /* [count], half */
    uint16_t *second;      /* [count][2]: inverse, error; zeros when scan_planes is 1 */
};

/* ---- Queries ---- */

enum {
    TQ_CUDA_GROUP_ROWS = 64,     /* rows are resident, allowed and found by groups */
    TQ_CUDA_SLAB_DIMS = 256,     /* dimensions are padded with zeros to whole slabs */
    TQ_CUDA_SLABS_MOST = 16,     /* so dim is 4,096 at most */
    TQ_CUDA_SCAN_SLABS_MOST = 3, /* of the first plane, before the full code is read */
    TQ_CUDA_CODE_BITS_MOST = 4,
    TQ_CUDA_WANTED_MOST = 1024,
    TQ_CUDA_QUERIES_MOST = 8,
    TQ_CUDA_CANDIDATES_MOST = 1 << 16
};

/* Integers of a query as bit planes, two's complement: plane p, word w of slab s has bit p of the integers of
 * dimensions 256 s + 32 w .. + 31. Zeros beyond dim. */
struct tq_cuda_planes {
    uint32_t plane[TQ_CUDA_SLABS_MOST][8][8];     /* tq_query.plane_query: 6 planes are used, the others are 0 */
    uint32_t code[TQ_CUDA_SLABS_MOST][2][8][8];   /* tq_query.code.query: planes 0-7, 8-15 */
    uint32_t sketch[TQ_CUDA_SLABS_MOST][2][8][8]; /* tq_query.code.sketch_query */
};

/* What bounds need: members of struct tq_searcher and struct tq_query of the same names. */
struct tq_cuda_bounds {
    double zeta, query_norm, plane_scale, plane_slack, query_slack, code_slack, sqrt_dim;
    double code_step, sketch_step, confidence;
    int32_t metric, scan_planes; /* enum tq_metric */
    bool packed, qjl, proof, by_estimate;
};

/* The first `slabs` slabs of the first plane. The integers q_j of the planes' query, added where a row's sign is + and
 * taken away where it is -, make a sum; the CPU's look-ups give (sum + absolute) / 2. For a row at cosine c to the
 * query it is about c * mean, and falls below c * mean - deviation for one row in some millions (docs/gpu.md has
 * which). */
struct tq_cuda_line {
    int32_t negative; /* sum of |q_j| over negative q_j */
    int32_t absolute; /* sum of |q_j| */
    double mean, deviation;
};

struct tq_cuda_query {
    struct tq_cuda_planes planes;
    int32_t plane_sum, code_sum, sketch_sum;      /* of all integers */
    int32_t weights[1 << TQ_CUDA_CODE_BITS_MOST]; /* centroid(index) = sum of weights[s] over s with s & index == s */
    struct tq_cuda_line line[TQ_CUDA_SCAN_SLABS_MOST]; /* of 1, 2 and 3 slabs; as many as there are */
    struct tq_cuda_bounds bounds;
    uint32_t wanted; /* T is the wanted-th largest key, 1..1024; 0: T is seed_bar (a range search) */
    double seed_bar; /* no row of the answer is below it; -infinity: nothing is known */
    bool every_row;  /* score all allowed rows by their full code: no statistics in the answer. A proof needs it */
};

/* A row of the answer. */
struct tq_cuda_candidate {
    double upper;    /* u: the smallest upper bound of its score */
    double estimate; /* of its score */
    double key;      /* m: u or its lower bound, whichever is less */
    uint64_t row;    /* 64 * group + row in the group */
};

struct tq_cuda_answer {
    const struct tq_cuda_candidate *candidates; /* of the lane, until its next search; in no order */
    uint32_t count;
    bool overflow;      /* there were more candidates than memory for them: `bar` is right, the list lacks rows */
    double bar;         /* T, or, of an overflow, some lower bound of it */
    uint64_t scanned;   /* rows whose first plane was read */
    uint64_t survivors; /* rows whose full code was scored */
    double device_ms;   /* of this search's graph, by events, copies included; of the whole search if there are several
                           queries. 0 unless the environment had TQ_CUDA_TIMES=1 when the lane was opened */
};

/* ---- The table ---- */

struct tq_cuda_ops {
    uint32_t abi;   /* TQ_CUDA_ABI */
    uint32_t bytes; /* sizeof(struct tq_cuda_ops) */

    /* device: its number, as CUDA counts them. */
    enum tq_cuda_status (*open)(int device, struct tq_cuda **cuda, struct tq_cuda_why *why);
    void (*close)(struct tq_cuda *cuda); /* after everything that was opened with it */
    enum tq_cuda_status (*describe)(struct tq_cuda *cuda, struct tq_cuda_description *description,
                                    struct tq_cuda_why *why);

    /* Encoding: the bytes that tq_encode writes, every one. vectors: f32[count][dim] of the host, pageable or not.
     * *refused: how many rows from the first on are good; count, or the place of the first row that tq_encode must look
     * at (not finite, a norm or an element too large), and it says why. */
    enum tq_cuda_status (*encoder_open)(struct tq_cuda *cuda, const struct tq_cuda_codec *codec,
                                        struct tq_cuda_encoder **encoder, struct tq_cuda_why *why);
    void (*encoder_close)(struct tq_cuda_encoder *encoder);
    enum tq_cuda_status (*encode)(struct tq_cuda_encoder *encoder, const float *vectors, size_t count,
                                  const struct tq_cuda_rows *out, size_t *refused, struct tq_cuda_why *why);

    /* Rows. Of `codec` the sizes alone are read. */
    enum tq_cuda_status (*set_open)(struct tq_cuda *cuda, const struct tq_cuda_codec *codec, struct tq_cuda_set **set,
                                    struct tq_cuda_why *why);
    void (*set_close)(struct tq_cuda_set *set); /* after its lanes */
    /* Bytes of the device that so many groups take, in a set and in a lane of it. */
    uint64_t (*set_bytes)(const struct tq_cuda_set *set, uint64_t groups);
    uint64_t (*lane_bytes)(const struct tq_cuda_set *set, uint64_t groups);
    /* Room for so many groups, those put before are kept; groups never put, or cleared, have no rows. It may be less
     * than before: those beyond are gone. */
    enum tq_cuda_status (*set_reserve)(struct tq_cuda_set *set, uint64_t groups, struct tq_cuda_why *why);
    /* Page-locked memory for the next put: room for *count rows, a multiple of 64, until that put. */
    enum tq_cuda_status (*set_stage)(struct tq_cuda_set *set, struct tq_cuda_rows *rows, size_t *count,
                                     struct tq_cuda_why *why);
    /* The first `count` rows of the stage become those of the groups from `group` on; the last of them may be partly
     * full. Runs on behind the call: set_finish or the next search waits for it. */
    enum tq_cuda_status (*set_put)(struct tq_cuda_set *set, uint64_t group, size_t count, struct tq_cuda_why *why);
    enum tq_cuda_status (*set_clear)(struct tq_cuda_set *set, uint64_t group, uint64_t groups,
                                     struct tq_cuda_why *why); /* rows of these groups are gone */
    enum tq_cuda_status (*set_finish)(struct tq_cuda_set *set, struct tq_cuda_why *why);

    /* Searching. */
    enum tq_cuda_status (*lane_open)(struct tq_cuda_set *set, struct tq_cuda_lane **lane, struct tq_cuda_why *why);
    void (*lane_close)(struct tq_cuda_lane *lane);
    /* Which rows may be found by this lane's searches from now on: a word a group, of as many groups at least as are
     * searched, copied; NULL: all. Rows that were never put are never found. */
    enum tq_cuda_status (*lane_allow)(struct tq_cuda_lane *lane, const uint64_t *words, uint64_t groups,
                                      struct tq_cuda_why *why);
    /* Begin a search for 1..8 queries of one metric, which are copied, over groups 0 .. groups - 1; wait for its
     * answers, one a query. Until then the lane does nothing else, and its set stays as it is. A lane whose search
     * failed, other than by LOST, can begin another. */
    enum tq_cuda_status (*search_begin)(struct tq_cuda_lane *lane, uint64_t groups, const struct tq_cuda_query *queries,
                                        uint32_t count, struct tq_cuda_why *why);
    enum tq_cuda_status (*search_end)(struct tq_cuda_lane *lane, struct tq_cuda_answer *answers,
                                      struct tq_cuda_why *why);

    /* For benchmarks: milliseconds of the kernels of the last encode, by events, without copies. 0 unless the
     * environment had TQ_CUDA_TIMES=1 when the encoder was opened. */
    double (*encoder_ms)(const struct tq_cuda_encoder *encoder);
};

/* The only symbol. NULL if the plugin does not have this version. */
typedef const struct tq_cuda_ops *tq_cuda_entry(uint32_t abi);

#endif
