/* What the stages of a search share. Private to index/. */
#ifndef TQ_CASCADE_H
#define TQ_CASCADE_H

#include "index/bound.h"
#include "index/search.h"
#include "index/topk.h"

/* A growable array: `data` holds capacity elements of the size given to tq_vector_reserve. */
struct tq_vector {
    void *data;
    size_t capacity, count; /* in elements */
};
/* worker.c */
enum tq_status tq_vector_reserve(struct tq_vector *vector, size_t count, size_t element_bytes);

/* A row that the planes could not dismiss. */
struct tq_survivor {
    double upper; /* smallest upper bound of its score so far */
    uint32_t segment, row;
    int32_t first; /* signed dot product of the first plane */
};

/* A row whose full code has been scored. */
struct tq_refined {
    double upper, estimate; /* of its score */
    double rank_key;        /* m: what the k-th largest is taken of */
    uint32_t segment, row;
};

enum { TQ_BATCH_ROWS = 256 };

/* One thread's share of refining: a bar of its own, which rises. */
struct tq_worker {
    struct tq_topk top;
    struct tq_vector heap;    /* double: top's memory */
    struct tq_vector refined; /* struct tq_refined */
    uint64_t survivors;       /* scored at full depth */
    enum tq_status status;
    char message[512]; /* tq_message() of the thread that failed */
    const uint8_t *records[TQ_BATCH_ROWS];
    struct tq_survivor batch[TQ_BATCH_ROWS];
    int32_t dots[TQ_BATCH_ROWS];
    struct tq_code_dots codes[TQ_BATCH_ROWS];
};

/* A segment inside a window. */
struct tq_span {
    uint32_t segment; /* in the view */
    uint32_t rows, blocks;
    size_t block_first;      /* of this span in the window's arrays */
    const uint64_t *allowed; /* NULL: all */
};

enum { TQ_WINDOW_SEGMENTS = 8 };

struct tq_window {
    struct tq_span spans[TQ_WINDOW_SEGMENTS];
    size_t span_count, block_count;
    struct tq_vector sums[2];   /* u16[128 * block_count] of each plane */
    struct tq_vector maxima[2]; /* u16[block_count] */
    struct tq_vector lists;     /* u32[block_count]: blocks that may hold survivors, span after span */
    size_t list_first[TQ_WINDOW_SEGMENTS + 1];
};

struct tq_searcher {
    const struct tq_codec *codec;
    const struct tq_view *view;
    const struct tq_search_options *options;
    enum tq_metric metric;
    const struct tq_query *query;
    struct tq_bound bound;
    size_t wanted;    /* how many the bar is the wanted-th largest of */
    bool proof;       /* bounds hold with certainty: any valid bar gives the same answer */
    bool by_estimate; /* a fixed count of the best estimates, not every row whose bound asks for it */
    double seed_bar;
    double sqrt_dim;
    double plane_scale; /* plane_step / sqrt(dim): a plane's dot product to its cosine, per unit of code length */
    double plane_slack; /* added to that */
    double query_slack; /* what rounding the query costs, per unit of length of the code, and again of the sketch */
    double code_slack;  /* that, and the arithmetic's, per unit of length of the code */
    struct tq_window window;
    struct tq_vector survivors;  /* struct tq_survivor */
    struct tq_vector ranked;     /* candidates, rank.c's own struct */
    float *row;                  /* one exact row, widened */
    struct tq_vector allowed;    /* u64 bitmaps, segment after segment */
    struct tq_vector allowed_at; /* size_t: where each segment's begins, SIZE_MAX for none */
    uint64_t allowed_rows;       /* alive and not filtered out */
    struct tq_worker *workers;   /* worker_count of them, and one more for the seeds */
    size_t worker_count;
    struct tq_search_stats *stats;
};

static inline struct tq_segment *tq_searcher_segment(const struct tq_searcher *s, uint32_t segment) {
    return s->view->segments[segment].segment;
}

void tq_worker_reset(struct tq_searcher *s, struct tq_worker *w);
/* A parallel region's failures: noted by the worker's thread, told again by the caller's. */
void tq_worker_note(struct tq_worker *w, enum tq_status status);
enum tq_status tq_workers_status(const struct tq_searcher *s);

/* filter.c */
enum tq_status tq_filter_begin(struct tq_searcher *s);
const uint64_t *tq_filter_allowed(const struct tq_searcher *s, uint32_t segment);

/* window.c: one window of segments, from its planes to refined rows. */
enum tq_status tq_window_run(struct tq_searcher *s, uint32_t segment_first, uint32_t segment_count);

static inline uint16_t *tq_window_sums(const struct tq_window *w, int plane, const struct tq_span *span) {
    return (uint16_t *)w->sums[plane].data + span->block_first * TQ_BLOCK_ROWS;
}
static inline uint16_t *tq_window_maxima(const struct tq_window *w, int plane, const struct tq_span *span) {
    return (uint16_t *)w->maxima[plane].data + span->block_first;
}
/* A sum of look-ups as the signed dot product of a plane. */
static inline int32_t tq_first_dot(const struct tq_searcher *s, uint16_t sum) {
    return 2 * sum - s->query->plane_abs_sum;
}

/* collect.c */
/* Clear the bits of rows that are beyond the segment, dead or filtered out. */
void tq_span_allow(const struct tq_span *span, uint32_t block, uint64_t mask[2]);
/* Blocks that may hold survivors of the first plane into the window's lists, and about how many rows those are, if
 * it is to be known. */
enum tq_status tq_collect_list(struct tq_searcher *s, bool count_rows, uint64_t *rows);
/* The survivors of the listed blocks by the planes read, into s->survivors. */
enum tq_status tq_collect(struct tq_searcher *s, bool second);

/* row_bound.c */
/* The row's upper bound by its first plane, given the signed dot product. scalars of the row are read. */
struct tq_plane_scalars {
    float first_error;
    struct tq_second_scalars second;
    float norm;
};
double tq_upper_first(const struct tq_searcher *s, int32_t first, const struct tq_plane_scalars *scalars);
double tq_upper_second(const struct tq_searcher *s, int32_t first, int32_t second,
                       const struct tq_plane_scalars *scalars);
/* Whether a row may reach the bar, by an estimate of its cosine with all slack added: the same question as comparing
 * its upper bound, without solving for it. Says yes in doubt. */
struct tq_gate {
    double bar, cosine, kappa; /* cosine metric: the bar, and zeta * perp of it */
};
struct tq_gate tq_gate_at(const struct tq_searcher *s, double bar);
static inline bool tq_gate_open(const struct tq_searcher *s, const struct tq_gate *gate, double estimate, double error,
                                double norm) {
    if (s->bound.metric == TQ_COSINE) return !(estimate < gate->cosine - gate->kappa * error - 1e-9);
    if (norm == 0) return true;
    double q = s->bound.query_norm, cosine = tq_bound_cosine(&s->bound, gate->bar, norm);
    double rounding = 1e-9 + 1e-15 * (norm / q + q / norm); /* of the squares of a distance */
    return !(estimate < cosine - s->bound.zeta * tq_bound_perp(cosine) * error - rounding);
}
/* At least sqrt(1 + error^2), and near it where errors are small. */
static inline double tq_gate_length(double error) { return 1 + 0.5 * error * error; }

enum tq_status tq_plane_scalars_get(const struct tq_searcher *s, uint32_t segment, uint32_t row,
                                    struct tq_plane_scalars *scalars);
/* The bounds of a record's full code; false where they show that the row cannot reach the gate's bar. */
bool tq_bound_full(const struct tq_searcher *s, const uint8_t *record, const struct tq_code_dots *dots, double upper,
                   const struct tq_gate *gate, struct tq_refined *refined);

/* survivors.c */
/* How much of the planes a survivor's `upper` includes already. */
enum tq_depth { TQ_DEPTH_NONE = 0, TQ_DEPTH_FIRST = 1, TQ_DEPTH_SECOND = 2 };
/* Refine survivors; results go to the workers. Those refined early are marked by an upper bound of -infinity. */
enum tq_status tq_survivors_refine(struct tq_searcher *s, struct tq_survivor *survivors, size_t count,
                                   enum tq_depth depth);
/* Refine some rows only to raise s->seed_bar, a bar that no row of the answer is below. */
enum tq_status tq_survivors_seed(struct tq_searcher *s, const struct tq_survivor *survivors, size_t count);

/* rank.c */
/* A proof may take its bar from exact scores: the k-th best of some refined rows. */
enum tq_status tq_rank_bar(struct tq_searcher *s, const struct tq_vector *refined, double *bar);
/* The candidates of all workers, ranked. */
enum tq_status tq_rank(struct tq_searcher *s, size_t k, struct tq_hit *hits, size_t *count);

#endif
