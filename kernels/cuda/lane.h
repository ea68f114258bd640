/* A lane: scratch of one search at a time over one set, its stream, and the graphs that its searches are. lane.cu opens
 * it and answers one query, search.cu has the kernels of that, many.cu answers several together. */
#ifndef TQ_CUDA_LANE_H
#define TQ_CUDA_LANE_H

#include "kernels/cuda/internal.h"
#include "kernels/cuda/question.cuh"

enum { LANE_GRAPHS = 6 };

/* What a graph was captured for. Compared as bytes: no padding that is not zeroed. */
struct Plan {
    uint64_t generation, groups;
    uint64_t filter_groups;
    uint64_t apart;   /* every_row: of every `apart`-th run of rows comes the bar; 0: of none */
    uint32_t slabs;   /* scanned; 0: every row is scored */
    uint32_t by_rows; /* the histogram counts rows and not groups */
    uint32_t seeded;  /* the bar comes from keys */
    uint32_t norms;   /* matter: not the cosine metric */
    uint32_t filtered;
    uint32_t first; /* every_row: the bar comes from the first rows of each block */
};

struct tq_cuda_many; /* many.cu */

struct tq_cuda_lane {
    struct tq_cuda_set *set;
    cudaStream_t stream;
    bool timed;
    cudaEvent_t begun, ended;
    /* of the device */
    Question *question; /* question_bytes_most() */
    State *state;
    double *keys; /* [SEEDS_MOST] */
    Outcome *found, *answer;
    uint32_t *sums;   /* [groups][32] */
    uint16_t *maxima; /* [groups] */
    uint64_t groups;
    uint64_t *filter; /* [filter_room], of which filter_groups are the caller's */
    uint64_t filter_room, filter_groups;
    bool filtered;
    /* of the host, page-locked */
    Question *asked;
    Outcome *outcome;
    struct {
        Plan plan;
        cudaGraphExec_t graph;
    } graphs[LANE_GRAPHS];
    uint32_t graph_next;         /* the one to be replaced */
    uint32_t count;              /* of the queries that were begun; 0: none were */
    bool searched;               /* and there was something to launch */
    uint32_t slabs;              /* how deep the next one query scans */
    uint32_t searched_slabs;     /* how deep the last did; 0: it scored every row */
    uint32_t searches, patience; /* since that was chosen, and until less is tried */
    bool state_unknown;          /* a search failed half way: counters may not be zeros */
    struct tq_cuda_many *many;   /* NULL until the first search for several */
};

/* lane.cu */
/* sums and maxima for the set's capacity. */
enum tq_cuda_status tq_cuda_lane_room(struct tq_cuda_lane *lane, struct tq_cuda_why *why);
/* A query as kernels read it, for a scan of `slabs` slabs (0: none); question_bytes(resident.slabs) bytes. */
void tq_cuda_question_make(const struct tq_cuda_resident *r, const struct tq_cuda_query *query, uint32_t slabs,
                           Question *question);

/* search.cu */
/* Warps and bytes of shared memory of the kernels that refine; 0 warps if not even one fits. */
struct RefineShape {
    uint32_t warps, bytes;
};
struct RefineShape tq_cuda_refine_shape(const struct tq_cuda_set *set);
/* The kernels of one search into the lane's stream, from bringing lane->asked on. */
cudaError_t tq_cuda_search_launch(const struct tq_cuda_lane *lane, const Plan &plan);

/* many.cu: as search_begin and search_end, for 2 to 8 queries; `lane` has room. */
enum tq_cuda_status tq_cuda_many_begin(struct tq_cuda_lane *lane, uint64_t groups, const struct tq_cuda_query *queries,
                                       uint32_t count, struct tq_cuda_why *why);
enum tq_cuda_status tq_cuda_many_end(struct tq_cuda_lane *lane, struct tq_cuda_answer *answers,
                                     struct tq_cuda_why *why);
void tq_cuda_many_close(struct tq_cuda_lane *lane);                          /* lane->many, which may be NULL */
uint64_t tq_cuda_many_bytes(const struct tq_cuda_set *set, uint64_t groups); /* of the device */

#endif
