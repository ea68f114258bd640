/* A query as the kernels of a search read it, and what they leave. Made by lane.cu from struct tq_cuda_query: the parts
 * of slabs that there are, in the order of lanes, behind the constants, so that one small copy brings all. */
#ifndef TQ_CUDA_QUESTION_CUH
#define TQ_CUDA_QUESTION_CUH

#include "kernels/cuda/plugin.h"

/* Operands of products, 32 pairs of words each, for each slab: eight planes of the first plane's query, and sixteen of
 * the code's and of the sketched query. */
enum { PART_PLANE, PART_CODE, PART_SKETCH = 3, PARTS = 5, PART_BYTES = 256 };

struct alignas(256) Question {
    struct tq_cuda_bounds bounds;
    double seed_bar;
    struct tq_cuda_line line; /* of as many slabs as are scanned */
    int32_t weights[1 << TQ_CUDA_CODE_BITS_MOST];
    int32_t plane_sum, code_sum, sketch_sum;
    uint32_t wanted;
    /* uint2 parts[slabs][PARTS][32] follow */
};

static inline size_t question_bytes(uint32_t slabs) { return sizeof(Question) + (size_t)slabs * PARTS * PART_BYTES; }
static inline size_t question_bytes_most() { return question_bytes(TQ_CUDA_SLABS_MOST); }

/* Which rows a search may find. */
struct Scope {
    uint64_t groups;        /* 0 .. groups - 1 */
    const uint64_t *filter; /* a word a group; NULL: all */
    uint64_t filter_groups; /* those beyond have no row */
};

enum { SEED_BINS = 1024, RANK_BINS = 4096, SEEDS_MOST = 1 << 14, SENT_AT_ONCE = 256 };
enum { FINISH_THREADS = 1024, FINISH_KEYS = 4096 };
enum { FIRST_BLOCKS_MOST = 192 /* whose first rows can give a bar: collect.cuh */ };

/* Sums of a slab or of several, as they are kept: 0 for a row that may not be found, else one more than the CPU's. */
enum { SUM_NEVER = 0x10000 };

/* Counters of a running search; zeros between searches, so that a graph need not clear them. */
struct State {
    uint32_t histogram[SEED_BINS];
    uint32_t ranks[2][RANK_BINS];
    uint32_t seeds, candidates, survivors, scanned, done; /* done: blocks of the running kernel */
    uint32_t ready;                                       /* the bar is known */
    uint32_t seed_threshold;                              /* of sums; or, where norms matter, of rank_of() */
    double bar;
};

/* What goes back to the host, and the list right behind it. */
struct Outcome {
    double bar;
    uint32_t count, found; /* listed; and those that were to be listed, more than there is memory for if it overflows */
    uint64_t survivors, scanned;
    struct tq_cuda_candidate list[TQ_CUDA_CANDIDATES_MOST];
};

#endif
