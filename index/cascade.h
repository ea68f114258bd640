/* What the stages of a search share. Private to index/. */
#ifndef TQ_CASCADE_H
#define TQ_CASCADE_H

#include "index/bound.h"
#include "index/search.h"
#include "index/topk.h"
#include "src/base/stop.h"

/* A growable array: `data` holds capacity elements of the size given to tq_vector_reserve. */
struct tq_vector {
    void *data;
    size_t capacity, count; /* in elements */
};
/* worker.c */
enum tq_status tq_vector_reserve(struct tq_vector *vector, size_t count, size_t element_bytes);

/* A row that the planes could not dismiss. */
struct tq_survivor {
    double upper; /* some upper bound of its score, or of what its planes leave above any bar it may yet meet */
    uint32_t segment, row;
};

/* Below a proof a row's rank key is its estimate less this many standard deviations of it: the k-th largest of many
 * estimates lies above the k-th largest score, by about so much. Where it still does, by more than the second number
 * (scores are dense there), the answer is doubted: tq_searcher_settle. docs/decisions/0003. */
#define TQ_KEY_DEVIATIONS 1.0
#define TQ_DOUBT_DEVIATIONS 0.35

/* A row whose full code has been scored. */
struct tq_refined {
    double upper, estimate; /* of its score */
    double rank_key;        /* m: what the k-th largest is taken of */
    uint32_t segment, row;
    bool planes_pending; /* `upper` lacks the bounds of the planes */
};

enum { TQ_BATCH_ROWS = 256, TQ_TASK_BLOCKS = 64 };

/* What a thread works in, whichever query it works for. */
struct tq_scratch {
    uint16_t sums[TQ_TASK_BLOCKS * TQ_BLOCK_ROWS], maxima[TQ_TASK_BLOCKS]; /* of a task's second plane */
    const uint8_t *records[TQ_BATCH_ROWS];
    struct tq_vector assembled; /* u8: records that segments hold packed */
    struct tq_survivor batch[TQ_BATCH_ROWS];
    struct tq_code_dots codes[TQ_BATCH_ROWS];
};

/* One thread's share of refining: a bar of its own, which rises. */
struct tq_worker {
    struct tq_scratch *scratch;
    struct tq_topk top;
    struct tq_vector heap;    /* double: top's memory */
    struct tq_vector refined; /* struct tq_refined */
    struct tq_vector found;   /* struct tq_survivor */
    uint64_t survivors;       /* scored at full depth */
    size_t unchecked;         /* bytes read since tq_stop_check() */
    enum tq_status status;
    char message[512]; /* tq_message() of the thread that failed */
};

/* Rows that may be found: alive, and allowed by the caller's filter. */
struct tq_allowed {
    struct tq_vector words; /* u64 bitmaps, segment after segment */
    struct tq_vector at;    /* size_t: where each segment's begins, SIZE_MAX for none: all rows */
    uint64_t rows, blocks;  /* and blocks that have such a row */
};

/* The filter asked for last, and what it means for the rows of sealed segments. */
struct tq_filter_cache {
    bool valid;
    int64_t first_id;
    size_t count;
    struct tq_vector bits;         /* u64: a copy of the filter's */
    struct tq_vector translations; /* filter.c's own struct, one a segment */
    struct tq_vector words;        /* u64: their bitmaps, whole blocks */
};

/* A segment inside a window. */
struct tq_span {
    uint32_t segment; /* in the view */
    uint32_t rows, blocks;
    size_t block_first;      /* of this span in the window's arrays */
    const uint64_t *allowed; /* NULL: all */
};

/* A run of a span's blocks, and what the first plane leaves of it. */
struct tq_task {
    const struct tq_span *span;
    uint32_t block, blocks;
    uint32_t listed; /* blocks that may hold survivors: tq_task_list */
    uint32_t rows;   /* that may be survivors, where they are counted */
};

enum { TQ_WINDOW_SEGMENTS = 64 }; /* the sums of 4 million rows */

struct tq_window {
    bool kept; /* the first plane's sums are of this view and query already */
    struct tq_span spans[TQ_WINDOW_SEGMENTS];
    size_t span_count, block_count, task_count;
    struct tq_vector tasks;  /* struct tq_task */
    struct tq_vector sums;   /* u16[128 * block_count] of the first plane */
    struct tq_vector maxima; /* u16[block_count] */
    struct tq_vector lists;  /* u32[block_count]: each task's list begins where its blocks do */
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
    bool count_rows;  /* listing blocks counts their rows */
    bool by_estimate; /* a fixed count of the best estimates, not every row whose bound asks for it */
    double seed_bar;
    double doubt; /* a score that the answer should be sought again from, or -infinity */
    double sqrt_dim;
    double plane_scale; /* plane_step / sqrt(dim): a plane's dot product to its cosine, per unit of code length */
    double plane_slack; /* added to that */
    double query_slack; /* what rounding the query costs, per unit of length of the code, and again of the sketch */
    double code_slack;  /* that, and the arithmetic's, per unit of length of the code */
    struct tq_window window;
    struct tq_vector survivors; /* struct tq_survivor */
    struct tq_vector settled;   /* struct tq_hit */
    struct tq_vector ranked;    /* candidates, rank.c's own struct */
    float *row;                 /* one exact row, widened */
    struct tq_allowed own_allowed;
    struct tq_filter_cache filter_cache;
    const struct tq_allowed *allowed; /* own, or that of the searcher whose lane this is */
    struct tq_worker *workers;        /* worker_count of them, and one more for the seeds */
    size_t worker_count;
    struct tq_scratch *own_scratch; /* of the workers; NULL in a lane */
    struct tq_batch **batches;      /* batch_count of them, one a thread; made when first needed */
    size_t batch_count;
    struct tq_search_stats *stats;
    struct tq_stop *stop;         /* of the thread that searches; its workers ask it, too */
    struct tq_device_use *device; /* what it has of a GPU; NULL until that is asked for */
    bool device_helped;           /* with this query */
    bool apart;                   /* its segments were searched some by a GPU, or some after others */
};

static inline struct tq_segment *tq_searcher_segment(const struct tq_searcher *s, uint32_t segment) {
    return s->view->segments[segment].segment;
}

/* Whether a row may reach the bar, by an estimate of its cosine with all slack added: the same question as comparing
 * its upper bound, without solving for it. Says yes in doubt. */
struct tq_gate {
    double bar, cosine, kappa; /* cosine metric: the bar, and zeta * perp of it */
};

void tq_worker_reset(struct tq_searcher *s, struct tq_worker *w);
/* A parallel region's failures: noted by the worker's thread, told again by the caller's. */
void tq_worker_note(struct tq_worker *w, enum tq_status status);
enum tq_status tq_workers_status(const struct tq_searcher *s);

/* search.c */
/* Workers of one query; `scratch` is borrowed by all of them, or NULL: each gets its own. */
enum tq_status tq_searcher_set_workers(struct tq_searcher *s, size_t count, struct tq_scratch *scratch);
/* Make ready for a query, which is borrowed. */
enum tq_status tq_searcher_set_query(struct tq_searcher *s, const struct tq_query *query, size_t k);
/* If the ranking doubts its answer, search again, with this searcher, for every row that may reach the score it ended
 * with; the answer is the best of both. `doubt` is of the query's own searcher, which may be another. */
enum tq_status tq_searcher_settle(struct tq_searcher *s, const struct tq_query *query, double doubt, size_t k,
                                  struct tq_hit *hits, size_t *count);
/* Whether so few rows are allowed that their codes are refined directly. */
bool tq_searcher_few_allowed(const struct tq_searcher *s);
/* Refine the segments of the view, or those alone whose mark is `wanted`. */
enum tq_status tq_searcher_run(struct tq_searcher *s, const bool *marks, bool wanted);

/* device_search.c */
/* Refine the query's rows with the help of a GPU; *refined is false where it cannot, and nothing has happened. */
enum tq_status tq_device_refine(struct tq_searcher *s, bool *refined);
void tq_device_use_free(struct tq_device_use *use); /* NULL is fine */

/* batch.c */
void tq_batches_free(struct tq_searcher *s);

/* filter.c */
enum tq_status tq_filter_begin(struct tq_searcher *s);
void tq_filter_cache_free(struct tq_filter_cache *cache);
const uint64_t *tq_filter_allowed(const struct tq_searcher *s, uint32_t segment);

/* window.c: one window of segments, from its planes to refined rows. */
enum tq_status tq_window_run(struct tq_searcher *s, uint32_t segment_first, uint32_t segment_count);

static inline uint16_t *tq_window_sums(const struct tq_window *w, const struct tq_span *span, uint32_t block) {
    return (uint16_t *)w->sums.data + (span->block_first + block) * TQ_BLOCK_ROWS;
}
static inline uint16_t *tq_window_maxima(const struct tq_window *w, const struct tq_span *span, uint32_t block) {
    return (uint16_t *)w->maxima.data + span->block_first + block;
}
static inline uint32_t *tq_task_list(const struct tq_window *w, const struct tq_task *task) {
    return (uint32_t *)w->lists.data + task->span->block_first + task->block;
}
/* A sum of look-ups as the signed dot product of a plane. */
static inline int32_t tq_first_dot(const struct tq_searcher *s, uint16_t sum) {
    return 2 * sum - s->query->plane_abs_sum;
}

/* task.c */
/* Threads that a search may use. A child forked after a search with threads has one: OpenMP's others stayed with its
 * parent, and it would wait for them for ever. */
size_t tq_thread_limit(size_t wanted);
size_t tq_thread_number(void); /* of the calling thread in its OpenMP team; 0 without one */
enum tq_status tq_tasks_lay_out(struct tq_searcher *s, uint32_t segment_first, uint32_t segment_count);
/* A step of every task, by all workers. */
typedef enum tq_status (*tq_task_step)(struct tq_searcher *s, struct tq_worker *worker, struct tq_task *task);
enum tq_status tq_tasks_run(struct tq_searcher *s, tq_task_step step);
/* Scan `count` blocks of a task, its first ones or those listed; sums and maxima begin with the task's first block. */
enum tq_status tq_task_scan(struct tq_searcher *s, const struct tq_task *task, enum tq_plane plane,
                            const uint32_t *list, uint32_t count, uint16_t *sums, uint16_t *maxima);

/* seed.c */
enum tq_status tq_seed(struct tq_searcher *s);

/* collect.c */
/* Clear the bits of rows that are beyond the segment, dead or filtered out. */
void tq_span_allow(const struct tq_span *span, uint32_t block, uint64_t mask[2]);
/* Blocks that may hold survivors of the first plane into the tasks' lists, and about how many rows those are, if it
 * is to be known. */
enum tq_status tq_collect_list(struct tq_searcher *s, bool count_rows, uint64_t *blocks, uint64_t *rows);
/* The gate of rows by both planes, for a bar at a cosine and zeta times the part of the query orthogonal to it. */
struct tq_gate_query tq_gate_line(const struct tq_searcher *s, double cosine, double kappa);
/* The cosine that some row of a block must have at least, and its kappa. */
double tq_block_cosine(const struct tq_searcher *s, const struct tq_gate *gate, const struct tq_block_stats *stats,
                       double *kappa);
/* A row that the gate let through, by dot = 2 dot1 + dot2: appended to out if it may reach the bar. Returns how many
 * rows that makes. norm: 1 for the cosine metric. */
uint32_t tq_take_row(const struct tq_searcher *s, const struct tq_gate *gate, int32_t dot,
                     struct tq_second_scalars scalars, double norm, uint32_t segment, uint32_t row,
                     struct tq_survivor *out);
/* Room for a block's rows among the survivors found. */
enum tq_status tq_reserve_block(struct tq_worker *worker, struct tq_survivor **out);
/* The survivors of the listed blocks into worker->found, by the first plane or, read here, the second as well. */
enum tq_status tq_collect(struct tq_searcher *s, bool second);

/* row_bound.c */
struct tq_plane_scalars {
    float first_error;
    struct tq_second_scalars second;
    float norm;
};
/* The row's upper bound by a plane, given the signed dot products. */
double tq_upper_first(const struct tq_searcher *s, int32_t first, float error, float norm);
double tq_upper_second(const struct tq_searcher *s, int32_t first, int32_t second, struct tq_second_scalars scalars,
                       float norm);
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
/* Whether a record's full code leaves its row; and the bounds by it. */
bool tq_gate_full(const struct tq_searcher *s, const uint8_t *record, const struct tq_code_dots *dots,
                  const struct tq_gate *gate);
void tq_bound_full(const struct tq_searcher *s, const uint8_t *record, const struct tq_code_dots *dots,
                   struct tq_refined *refined);
/* The smallest upper bound by the planes. Every row of an answer gets it, or which planes were read would show. (A
 * proof's answer is the true one, whatever bounds it took.) */
enum tq_status tq_bound_planes(struct tq_searcher *s, uint32_t segment, uint32_t row, const uint8_t *record,
                               double *upper);

/* survivors.c */
/* Whole records of rows of a segment, into scratch->records. */
enum tq_status tq_scratch_records(struct tq_searcher *s, struct tq_scratch *scratch, struct tq_segment *segment,
                                  const uint32_t *rows, size_t count);
/* Refine survivors; results go to the workers. Those refined early are marked by an upper bound of -infinity. */
enum tq_status tq_survivors_refine(struct tq_searcher *s, struct tq_survivor *survivors, size_t count);
/* Those found by one worker, by that worker; none are left. */
enum tq_status tq_survivors_refine_found(struct tq_searcher *s, struct tq_worker *w);
/* The best bar so far: of the seeds, or of the rows that this worker has refined. */
double tq_worker_bar(const struct tq_searcher *s, const struct tq_worker *w);
/* Refine some rows only to raise s->seed_bar, a bar that no row of the answer is below. */
enum tq_status tq_survivors_seed(struct tq_searcher *s, const struct tq_survivor *survivors, size_t count);

/* rank.c */
/* A proof may take its bar from exact scores: the k-th best of some refined rows. */
enum tq_status tq_rank_bar(struct tq_searcher *s, const struct tq_vector *refined, double *bar);
/* The candidates of all workers, ranked. */
enum tq_status tq_rank(struct tq_searcher *s, size_t k, struct tq_hit *hits, size_t *count);
/* Those that reach s->seed_bar: how many, and the best `capacity` of them. */
enum tq_status tq_rank_range(struct tq_searcher *s, size_t capacity, struct tq_hit *hits, size_t *count);

#endif
