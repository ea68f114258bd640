/* Many queries at once: a block's two-bit codes are unpacked to bytes and multiplied with the queries of a hundred
 * lanes before the next block is touched. A lane is a searcher of one query; what a lane takes from a block are the
 * same survivors, by the same bounds, as a search of its own would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/cascade.h"
#include "src/base/alloc.h"

enum {
    LANES = 256,
    LANES_AT_ONCE = 128, /* setting up the tiles' registers is paid once for them */
    REFINE_BLOCKS = 64,  /* survivors are refined while the records of so many blocks are in the second cache, */
    REFINE_FOUND = 192,  /* or when a lane has so many */
    SEED_STRIDE = 4,     /* seeds come from every fourth block of a large index */
    SEED_BLOCKS = 1024,  /* which has at least so many */
    LEAST_QUERIES = 10,  /* fewer do not pay for unpacking; one more for every so many dimensions */
    LEAST_DIMS = 56
};

/* A row that may become a seed, by the value of its sum. */
struct seed {
    uint32_t value, segment, row;
};

/* A lane's gate in integers: all that most blocks need to see of it. */
struct line {
    struct tq_gate_query gate;
    int32_t offset; /* (sum of a tile + offset) >> 1 is what the gate speaks of */
};

struct lane {
    struct tq_searcher *searcher;
    struct tq_query query;
    struct tq_gate gate; /* at the lane's bar */
    double doubt;        /* tq_searcher.doubt */
    struct line *line;   /* b->lines */
    int32_t sum_of_query;
    struct tq_vector seeds; /* struct seed: the best of those met, and some that were for a time */
    struct tq_vector seed_heap;
    struct tq_topk seed_top;
    uint32_t seed_threshold; /* what seed_top asks for */
};

struct tq_batch {
    struct line lines[LANES];
    struct lane lanes[LANES];
    size_t lane_count; /* in use */
    bool seeded;       /* lanes have a bar */
    bool unknown;      /* the lines let all rows through, for a block some of whose rows no line speaks of */
    size_t query_bytes, stride;
    char *memory;   /* prepared queries */
    int8_t *packed; /* i8[LANES][stride]: what the tiles are multiplied with */
    uint8_t *tile;
    int32_t *sums; /* i32[LANES_AT_ONCE][128] */
    struct tq_search_stats stats;
    size_t unchecked; /* bytes, as if each lane had read them, since tq_stop_check() */
    enum tq_status status;
    char message[512];
    struct tq_scratch scratch;
};

/* One block of a segment, as a batch reads it. */
struct block {
    uint32_t segment, block, rows; /* rows: of the segment */
    const uint64_t *allowed;
    const uint8_t *first, *second;
    const struct tq_block_stats *stats;
    const struct tq_second_block *scalars;
    const float *norms; /* NULL for the cosine metric */
};

/* ---- Memory ---- */

static void free_batch(struct tq_batch *b) {
    if (b == NULL) return;
    for (size_t i = 0; i < LANES; i++) {
        tq_searcher_close(b->lanes[i].searcher);
        tq_free(b->lanes[i].seeds.data);
        tq_free(b->lanes[i].seed_heap.data);
    }
    tq_free(b->scratch.assembled.data);
    tq_free(b->memory);
    tq_free(b->packed);
    tq_free(b->tile);
    tq_free(b->sums);
    tq_free(b);
}

void tq_batches_free(struct tq_searcher *s) {
    for (size_t i = 0; i < s->batch_count; i++) free_batch(s->batches[i]);
    tq_free(s->batches);
    s->batches = NULL;
    s->batch_count = 0;
}

static struct tq_batch *make_batch(const struct tq_codec *codec) {
    struct tq_batch *b = tq_alloc_zero(sizeof *b);
    if (b == NULL) return NULL;
    b->query_bytes = tq_round_up(tq_query_bytes(codec), TQ_ALIGN);
    b->stride = tq_layout_padded_dim(codec->format.dim);
    b->memory = tq_alloc_array(LANES, b->query_bytes);
    b->packed = tq_alloc_array(LANES, b->stride);
    b->tile = tq_alloc(tq_layout_tile_bytes(tq_layout_groups(codec->format.dim)));
    b->sums = tq_alloc_array((size_t)LANES_AT_ONCE * TQ_BLOCK_ROWS, sizeof *b->sums);
    if (b->memory != NULL && b->packed != NULL && b->tile != NULL && b->sums != NULL) return b;
    free_batch(b);
    return NULL;
}

static enum tq_status make_batches(struct tq_searcher *s) {
    if (s->batch_count >= s->worker_count) return TQ_OK;
    tq_batches_free(s);
    s->batches = tq_alloc_zero(s->worker_count * sizeof *s->batches);
    if (s->batches == NULL) return TQ_NOMEM;
    s->batch_count = s->worker_count;
    for (size_t i = 0; i < s->batch_count; i++) {
        s->batches[i] = make_batch(s->codec);
        if (s->batches[i] == NULL) return TQ_NOMEM;
    }
    return TQ_OK;
}

/* ---- Lanes ---- */

static enum tq_status open_lane(struct tq_searcher *s, struct tq_batch *b, struct lane *lane) {
    if (lane->searcher == NULL) TQ_TRY(tq_searcher_open(s->codec, &lane->searcher));
    lane->searcher->view = s->view;
    lane->searcher->options = s->options;
    lane->searcher->metric = s->metric;
    lane->searcher->allowed = s->allowed;
    lane->searcher->stats = &b->stats;
    lane->searcher->stop = s->stop;
    return tq_searcher_set_workers(lane->searcher, 1, &b->scratch);
}

static void set_bar(struct lane *lane) {
    struct tq_searcher *s = lane->searcher;
    lane->gate = tq_gate_at(s, tq_worker_bar(s, &s->workers[0]));
    lane->line->gate = tq_gate_line(s, lane->gate.cosine, lane->gate.kappa);
}

/* The lines as this block needs them: by its norms, or open where rows have no second scalars. */
static void set_lines(struct tq_batch *b, const struct block *block) {
    b->unknown = block->stats->second_unknown != 0;
    for (size_t i = 0; i < b->lane_count; i++) {
        const struct lane *lane = &b->lanes[i];
        double kappa, cosine = tq_block_cosine(lane->searcher, &lane->gate, block->stats, &kappa);
        lane->line->gate = b->unknown ? (struct tq_gate_query){0, 0, 0} : tq_gate_line(lane->searcher, cosine, kappa);
    }
}

static void set_seed_threshold(struct lane *lane, double value) {
    lane->seed_threshold = (uint32_t)fmin(fmax(value, 0), UINT16_MAX);
    lane->line->gate = (struct tq_gate_query){.base = (uint16_t)lane->seed_threshold};
}

/* The next query into a lane of its own. One that no scan helps is answered at once and takes none. */
static enum tq_status add_query(struct tq_searcher *s, struct tq_batch *b, const float *vector, size_t k,
                                struct tq_hit *hits, size_t *count, bool *laned) {
    size_t at = b->lane_count;
    struct lane *lane = &b->lanes[at];
    *laned = false;
    TQ_TRY(open_lane(s, b, lane));
    TQ_TRY(tq_query_prepare(s->codec, vector, b->memory + at * b->query_bytes, &lane->query));
    if (lane->query.norm == 0 || tq_searcher_few_allowed(lane->searcher))
        return tq_searcher_query(lane->searcher, &lane->query, k, hits, count, &b->stats);
    TQ_TRY(tq_searcher_set_query(lane->searcher, &lane->query, k));
    memcpy(b->packed + at * b->stride, lane->query.plane_query, b->stride);
    lane->sum_of_query = 0;
    for (size_t j = 0; j < s->codec->format.dim; j++) lane->sum_of_query += lane->query.plane_query[j];
    lane->line = &b->lines[at];
    lane->line->offset = 3 * (lane->query.plane_abs_sum - lane->sum_of_query) / 2;
    size_t seeds = tq_max_size(48, 2 * lane->searcher->wanted);
    TQ_TRY(tq_vector_reserve(&lane->seeds, 4 * seeds + TQ_BLOCK_ROWS, sizeof(struct seed)));
    TQ_TRY(tq_vector_reserve(&lane->seed_heap, seeds, sizeof(double)));
    lane->seed_top = (struct tq_topk){.values = lane->seed_heap.data, .capacity = seeds};
    lane->seeds.count = 0;
    /* Of rows in random directions one in a hundred is above. Where that leaves too few, the bar begins lower. */
    set_seed_threshold(lane, 0.25 * (3.0 * lane->query.plane_abs_sum + 2.3 * sqrt(5) / lane->query.plane_step));
    b->lane_count++;
    *laned = true;
    return TQ_OK;
}

/* ---- Blocks ---- */

/* Rows of a block, in the mask, that a lane's line lets through. */
typedef enum tq_status (*block_step)(struct lane *lane, const struct block *block, const int32_t *sums,
                                     const uint64_t mask[2]);

/* Clear the bits of rows that are beyond the segment, dead or filtered out. */
static void allow(const struct block *block, uint64_t mask[2]) {
    struct tq_span span = {.rows = block->rows, .allowed = block->allowed};
    tq_span_allow(&span, block->block, mask);
}

static enum tq_status run_block(struct tq_searcher *s, struct tq_batch *b, const struct block *block, block_step step) {
    const struct tq_kernels *kernels = &s->codec->kernels;
    if (b->seeded && (block->norms != NULL || block->stats->second_unknown != 0 || b->unknown)) set_lines(b, block);
    size_t groups = s->codec->format.block_bytes / TQ_LAYOUT_GROUP_BYTES;
    kernels->unpack(block->first, block->second, groups, b->tile);
    for (size_t lane = 0; lane < b->lane_count; lane += LANES_AT_ONCE) {
        size_t count = tq_min_size(b->lane_count - lane, LANES_AT_ONCE);
        kernels->multiply(b->tile, groups, b->packed + lane * b->stride, b->stride, count, b->sums);
        for (size_t i = 0; i < count; i++) {
            const struct line *line = &b->lines[lane + i];
            const int32_t *sums = b->sums + i * TQ_BLOCK_ROWS;
            uint64_t mask[2];
            kernels->reach(&line->gate, line->offset, sums, block->scalars->inverse, block->scalars->error, mask);
            if ((mask[0] | mask[1]) == 0) continue;
            allow(block, mask);
            TQ_TRY(step(&b->lanes[lane + i], block, sums, mask));
        }
    }
    return TQ_OK;
}

static enum tq_status refine_lane(struct lane *lane) {
    struct tq_searcher *s = lane->searcher;
    TQ_TRY(tq_survivors_refine_found(s, &s->workers[0]));
    set_bar(lane);
    return TQ_OK;
}

static enum tq_status refine_lanes(struct tq_batch *b) {
    for (size_t i = 0; i < b->lane_count; i++)
        if (b->lanes[i].searcher->workers[0].found.count > 0) TQ_TRY(refine_lane(&b->lanes[i]));
    return TQ_OK;
}

/* Every stride-th block of a segment that has an allowed row. */
static enum tq_status run_segment(struct tq_searcher *s, struct tq_batch *b, uint32_t at, uint32_t stride,
                                  block_step step) {
    struct tq_segment *segment = tq_searcher_segment(s, at);
    uint32_t rows = tq_segment_row_count(segment), blocks = (rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS;
    const uint64_t *allowed = tq_filter_allowed(s, at);
    for (uint32_t number = 0; number < blocks; number += stride) {
        if (allowed != NULL && (allowed[2 * (size_t)number] | allowed[2 * (size_t)number + 1]) == 0) continue;
        const void *first = NULL, *second = NULL, *stats = NULL, *scalars = NULL, *norms = NULL;
        TQ_TRY(tq_segment_block(segment, TQ_PLANE_FIRST, number, &first));
        TQ_TRY(tq_segment_block(segment, TQ_PLANE_SECOND, number, &second));
        TQ_TRY(tq_segment_block(segment, TQ_PLANE_STATS, number, &stats));
        TQ_TRY(tq_segment_block(segment, TQ_PLANE_SECOND_SCALARS, number, &scalars));
        if (s->metric != TQ_COSINE) TQ_TRY(tq_segment_block(segment, TQ_PLANE_NORM, number, &norms));
        struct block block = {at, number, rows, allowed, first, second, stats, scalars, norms};
        TQ_TRY(tq_stop_read(s->stop, s->codec->format.block_bytes * b->lane_count, &b->unchecked));
        TQ_TRY(run_block(s, b, &block, step));
        if (b->seeded && number % REFINE_BLOCKS == REFINE_BLOCKS - 1) TQ_TRY(refine_lanes(b));
    }
    return b->seeded ? refine_lanes(b) : TQ_OK;
}

static inline int32_t sum_of_row(const int32_t *sums, uint32_t row) {
    return sums[tq_layout_tile_strip(row) * 16 + tq_layout_tile_place(row)];
}

/* ---- Seeds ---- */

/* The best of those met: what the heap keeps, and what ties with its last. */
static void keep_best_seeds(struct lane *lane) {
    struct seed *seeds = lane->seeds.data;
    size_t kept = 0;
    for (size_t i = 0; i < lane->seeds.count && kept < lane->seed_top.capacity; i++)
        if (seeds[i].value >= lane->seed_threshold) seeds[kept++] = seeds[i];
    lane->seeds.count = kept;
}

static enum tq_status take_seeds(struct lane *lane, const struct block *block, const int32_t *sums,
                                 const uint64_t mask[2]) {
    struct seed *seeds = lane->seeds.data;
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t row = 64 * half + (uint32_t)__builtin_ctzll(rest);
            uint32_t value = (uint32_t)(sum_of_row(sums, row) + lane->line->offset) >> 1;
            if (value <= lane->seed_threshold) continue;
            seeds[lane->seeds.count++] = (struct seed){value, block->segment, block->block * TQ_BLOCK_ROWS + row};
            tq_topk_push(&lane->seed_top, value);
        }
    }
    if (tq_topk_bar(&lane->seed_top) > lane->seed_threshold) set_seed_threshold(lane, tq_topk_bar(&lane->seed_top));
    if (lane->seeds.count > 4 * lane->seed_top.capacity) keep_best_seeds(lane);
    return TQ_OK;
}

static int by_place(const void *a, const void *b) {
    const struct tq_survivor *x = a, *y = b;
    if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static enum tq_status refine_seeds(struct lane *lane) {
    struct tq_searcher *s = lane->searcher;
    keep_best_seeds(lane);
    const struct seed *seeds = lane->seeds.data;
    TQ_TRY(tq_vector_reserve(&s->survivors, lane->seeds.count, sizeof(struct tq_survivor)));
    struct tq_survivor *rows = s->survivors.data;
    for (size_t i = 0; i < lane->seeds.count; i++)
        rows[i] = (struct tq_survivor){INFINITY, seeds[i].segment, seeds[i].row};
    if (lane->seeds.count > 0) qsort(rows, lane->seeds.count, sizeof *rows, by_place);
    TQ_TRY(tq_survivors_seed(s, rows, lane->seeds.count));
    set_bar(lane);
    return TQ_OK;
}

static enum tq_status seed_lanes(struct tq_searcher *s, struct tq_batch *b) {
    size_t blocks = 0;
    for (uint32_t i = 0; i < s->view->count; i++)
        blocks += (tq_segment_row_count(tq_searcher_segment(s, i)) + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS;
    uint32_t stride = blocks >= SEED_BLOCKS ? SEED_STRIDE : 1;
    for (uint32_t i = 0; i < s->view->count; i++) TQ_TRY(run_segment(s, b, i, stride, take_seeds));
    for (size_t i = 0; i < b->lane_count; i++) TQ_TRY(refine_seeds(&b->lanes[i]));
    b->seeded = true;
    b->unknown = false;
    return TQ_OK;
}

/* ---- Survivors ---- */

static enum tq_status take_survivors(struct lane *lane, const struct block *block, const int32_t *sums,
                                     const uint64_t mask[2]) {
    struct tq_searcher *s = lane->searcher;
    struct tq_worker *worker = &s->workers[0];
    struct tq_survivor *out = NULL;
    uint32_t kept = 0;
    TQ_TRY(tq_reserve_block(worker, &out));
    for (uint32_t half = 0; half < 2; half++) {
        for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
            uint32_t row = 64 * half + (uint32_t)__builtin_ctzll(rest);
            int32_t dot = 2 * sum_of_row(sums, row) - 3 * lane->sum_of_query;
            double norm = block->norms == NULL ? 1 : (double)block->norms[row];
            kept += tq_take_row(s, &lane->gate, dot, tq_second_of(block->scalars, row), norm, block->segment,
                                block->block * TQ_BLOCK_ROWS + row, out + kept);
        }
    }
    worker->found.count += kept;
    return worker->found.count < REFINE_FOUND ? TQ_OK : refine_lane(lane);
}

/* ---- A batch ---- */

static enum tq_status run_lanes(struct tq_searcher *s, struct tq_batch *b) {
    if (b->lane_count == 0) return TQ_OK;
    TQ_TRY(seed_lanes(s, b));
    for (uint32_t i = 0; i < s->view->count; i++) {
        uint64_t rows = tq_segment_row_count(tq_searcher_segment(s, i));
        TQ_TRY(run_segment(s, b, i, 1, take_survivors));
        b->stats.rows += rows * b->lane_count;
        b->stats.second += rows * b->lane_count;
    }
    return TQ_OK;
}

static enum tq_status run_batch(struct tq_searcher *s, struct tq_batch *b, const float *vectors, size_t query_count,
                                size_t k, struct tq_hit *hits, size_t *counts) {
    size_t of_lane[LANES];
    b->lane_count = 0;
    b->seeded = false;
    for (size_t i = 0; i < query_count; i++) {
        bool laned;
        TQ_TRY(add_query(s, b, vectors + i * s->codec->format.dim, k, hits + i * k, &counts[i], &laned));
        if (laned) of_lane[b->lane_count - 1] = i;
    }
    TQ_TRY(run_lanes(s, b));
    for (size_t lane = 0; lane < b->lane_count; lane++) {
        struct tq_searcher *one = b->lanes[lane].searcher;
        size_t i = of_lane[lane];
        b->stats.survivors += one->workers[0].survivors;
        TQ_TRY(tq_rank(one, k, hits + i * k, &counts[i]));
        b->lanes[lane].doubt = one->doubt;
    }
    for (size_t lane = 0; lane < b->lane_count; lane++) { /* the first searcher has the memory for all of them */
        struct tq_searcher *any = b->lanes[0].searcher;
        size_t i = of_lane[lane];
        TQ_TRY(tq_searcher_settle(any, &b->lanes[lane].query, b->lanes[lane].doubt, k, hits + i * k, &counts[i]));
    }
    return TQ_OK;
}

static void note(struct tq_batch *b, enum tq_status status) {
    b->status = status;
    if (status == TQ_OK) return;
    (void)snprintf(b->message, sizeof b->message, "%s", tq_message());
}

static enum tq_status sum_up(struct tq_searcher *s, struct tq_search_stats *stats) {
    for (size_t i = 0; i < s->worker_count; i++) {
        const struct tq_batch *b = s->batches[i];
        if (b->status != TQ_OK) return tq_fail(b->status, "%s", b->message);
        stats->rows += b->stats.rows;
        stats->second += b->stats.second;
        stats->survivors += b->stats.survivors;
        stats->ranked += b->stats.ranked;
    }
    return TQ_OK;
}

bool tq_searcher_prefers_many(const struct tq_searcher *s, size_t query_count) {
    return s->codec->format.scan_planes == 2 && (s->codec->kernels.isa & TQ_ISA_PRODUCTS) != 0 &&
           query_count >= (LEAST_QUERIES + s->codec->format.dim / LEAST_DIMS) * s->worker_count;
}

enum tq_status tq_searcher_many(struct tq_searcher *s, const float *vectors, size_t query_count, size_t k,
                                struct tq_hit *hits, size_t *counts, struct tq_search_stats *stats) {
    if (query_count == 0) return TQ_OK;
    TQ_TRY(make_batches(s));
    size_t least = (query_count + s->worker_count - 1) / s->worker_count, size = tq_min_size(LANES, least);
    size_t batches = (query_count + size - 1) / size;
    for (size_t i = 0; i < s->worker_count; i++) {
        s->batches[i]->stats = (struct tq_search_stats){0};
        s->batches[i]->status = TQ_OK;
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)s->worker_count) if (s->worker_count > 1)
#endif
    for (size_t i = 0; i < batches; i++) {
        struct tq_batch *b = s->batches[tq_thread_number()];
        size_t first = i * size, count = tq_min_size(size, query_count - first);
        if (b->status != TQ_OK) continue;
        note(b, run_batch(s, b, vectors + first * s->codec->format.dim, count, k, hits + first * k, counts + first));
    }
    return sum_up(s, stats);
}
