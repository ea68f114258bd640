/* Lanes: memory and graphs of searches, and the way of one query to the device and of its answer back. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/lane.h"
#include "kernels/cuda/launcher.cuh"

enum {
    SAMPLE_PART = 256,     /* every_row: one run of rows in so many is a sample, at least */
    SAMPLE_FOUND = 4096,   /* and so many that a wanted row stands for this many runs at most */
    SAMPLE_TIMES = 8,      /* and this many runs for each wanted row */
    GROUPS_FOR_ROWS = 512, /* fewer groups than this, or than 8 times those wanted: the histogram counts rows */
    FIRST_PART = 8,        /* blocks whose first rows give a bar: so many times as are wanted, */
    FIRST_TIMES = 128,     /* and all rows are no more than so many times theirs */
    DEEPER_PART = 10,      /* more than one row in so many refined: the next search scans a slab more */
    EVERY_PART = 4,        /* and where all slabs that can be scanned are, and this many are: every row */
    DEPTH_EVERY = TQ_CUDA_SCAN_SLABS_MOST + 1,
    PATIENCE_LEAST = 4, /* searches until one slab less is tried again; twice as many each time that it was wrong */
    PATIENCE_MOST = 64
};

/* ---- Opening and closing ---- */

static enum tq_cuda_status make_memory(struct tq_cuda_lane *lane, struct tq_cuda_why *why) {
    static const char doing[] = "allocating memory for a search";
    TQ_CUDA_TRY(cudaStreamCreateWithFlags(&lane->stream, cudaStreamNonBlocking), why, "making a stream for searches");
    TQ_CUDA_TRY(cudaEventCreate(&lane->begun), why, doing);
    TQ_CUDA_TRY(cudaEventCreate(&lane->ended), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&lane->question, question_bytes_most()), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&lane->state, sizeof *lane->state), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&lane->keys, SEEDS_MOST * sizeof *lane->keys), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&lane->found, sizeof *lane->found), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&lane->answer, sizeof *lane->answer), why, doing);
    TQ_CUDA_TRY(cudaHostAlloc(&lane->asked, question_bytes_most(), cudaHostAllocMapped), why, doing);
    TQ_CUDA_TRY(cudaHostAlloc(&lane->outcome, sizeof *lane->outcome, cudaHostAllocMapped), why, doing);
    return TQ_CUDA_OK;
}

enum tq_cuda_status tq_cuda_lane_open(struct tq_cuda_set *set, struct tq_cuda_lane **lane, struct tq_cuda_why *why) {
    tq_cuda_scope scope(set->cuda);
    if (tq_cuda_refine_shape(set).warps == 0)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED,
                           "rows of %u words ask for more than the %zu bytes of shared memory", set->resident.row_words,
                           set->cuda->shared_most);
    struct tq_cuda_lane *made = (struct tq_cuda_lane *)calloc(1, sizeof *made);
    if (made == nullptr) return tq_cuda_say(why, TQ_CUDA_MEMORY, "no memory for %zu bytes", sizeof *made);
    made->set = set;
    made->timed = tq_cuda_timed();
    made->state_unknown = true;
    made->slabs = 1, made->patience = PATIENCE_LEAST;
    enum tq_cuda_status status = make_memory(made, why);
    if (status != TQ_CUDA_OK) {
        tq_cuda_lane_close(made);
        return status;
    }
    *lane = made;
    return TQ_CUDA_OK;
}

static void forget_graphs(struct tq_cuda_lane *lane) {
    for (auto &one : lane->graphs) {
        if (one.graph != nullptr) (void)cudaGraphExecDestroy(one.graph);
        one.graph = nullptr;
    }
}

void tq_cuda_lane_close(struct tq_cuda_lane *lane) {
    if (lane == nullptr) return;
    tq_cuda_scope scope(lane->set->cuda);
    if (lane->stream != nullptr) (void)cudaStreamSynchronize(lane->stream);
    tq_cuda_many_close(lane);
    forget_graphs(lane);
    (void)cudaFree(lane->question);
    (void)cudaFree(lane->state);
    (void)cudaFree(lane->keys);
    (void)cudaFree(lane->found);
    (void)cudaFree(lane->answer);
    (void)cudaFree(lane->sums);
    (void)cudaFree(lane->maxima);
    (void)cudaFree(lane->filter);
    if (lane->asked != nullptr) (void)cudaFreeHost(lane->asked);
    if (lane->outcome != nullptr) (void)cudaFreeHost(lane->outcome);
    if (lane->begun != nullptr) (void)cudaEventDestroy(lane->begun);
    if (lane->ended != nullptr) (void)cudaEventDestroy(lane->ended);
    if (lane->stream != nullptr) (void)cudaStreamDestroy(lane->stream);
    (void)cudaGetLastError(); /* of a device that was lost */
    free(lane);
}

uint64_t tq_cuda_lane_bytes(const struct tq_cuda_set *set, uint64_t groups) {
    uint64_t own = question_bytes_most() + sizeof(State) + SEEDS_MOST * sizeof(double) + 2 * sizeof(Outcome);
    uint64_t each = 32 * sizeof(uint32_t) + sizeof(uint16_t) + sizeof(uint64_t);
    return own + groups * each + tq_cuda_many_bytes(set, groups);
}

enum tq_cuda_status tq_cuda_lane_room(struct tq_cuda_lane *lane, struct tq_cuda_why *why) {
    uint64_t groups = lane->set->resident.groups;
    if (groups <= lane->groups) return TQ_CUDA_OK;
    static const char doing[] = "allocating memory for the sums of a search";
    forget_graphs(lane); /* they have the addresses */
    (void)cudaFree(lane->sums);
    (void)cudaFree(lane->maxima);
    lane->sums = nullptr, lane->maxima = nullptr, lane->groups = 0;
    TQ_CUDA_TRY(cudaMalloc(&lane->sums, groups * 32 * sizeof *lane->sums), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&lane->maxima, groups * sizeof *lane->maxima), why, doing);
    lane->groups = groups;
    return TQ_CUDA_OK;
}

enum tq_cuda_status tq_cuda_lane_allow(struct tq_cuda_lane *lane, const uint64_t *words, uint64_t groups,
                                       struct tq_cuda_why *why) {
    tq_cuda_scope scope(lane->set->cuda);
    static const char doing[] = "bringing a filter to the device";
    if (words == nullptr) {
        lane->filtered = false;
        return TQ_CUDA_OK;
    }
    if (groups > lane->filter_room) {
        uint64_t *made = nullptr;
        TQ_CUDA_TRY(cudaMalloc(&made, groups * sizeof *words), why, doing);
        forget_graphs(lane); /* they have the address */
        (void)cudaFree(lane->filter);
        lane->filter = made, lane->filter_room = groups;
    }
    lane->filtered = true, lane->filter_groups = 0; /* no row, until the words are there */
    TQ_CUDA_TRY(cudaMemcpyAsync(lane->filter, words, groups * sizeof *words, cudaMemcpyHostToDevice, lane->stream), why,
                doing);
    TQ_CUDA_TRY(cudaStreamSynchronize(lane->stream), why, doing);
    lane->filter_groups = groups;
    return TQ_CUDA_OK;
}

/* ---- One query ---- */

void tq_cuda_question_make(const struct tq_cuda_resident *r, const struct tq_cuda_query *query, uint32_t slabs,
                           Question *question) {
    memset((void *)question, 0, sizeof *question);
    question->bounds = query->bounds;
    question->seed_bar = query->seed_bar;
    question->line = query->line[slabs == 0 ? 0 : slabs - 1];
    memcpy(question->weights, query->weights, sizeof question->weights);
    question->plane_sum = query->plane_sum, question->code_sum = query->code_sum;
    question->sketch_sum = query->sketch_sum;
    question->wanted = query->wanted;
    uint8_t *part = (uint8_t *)(question + 1);
    for (uint32_t s = 0; s < r->slabs; s++, part += PARTS * PART_BYTES) {
        memcpy(part + PART_PLANE * PART_BYTES, query->planes.plane[s], PART_BYTES);
        memcpy(part + PART_CODE * PART_BYTES, query->planes.code[s], 2 * PART_BYTES);
        memcpy(part + PART_SKETCH * PART_BYTES, query->planes.sketch[s], 2 * PART_BYTES);
    }
}

/* Of every how many runs of rows one is refined for the bar; 0: all rows can be candidates. */
static uint64_t sample_apart(const struct tq_cuda_lane *lane, uint64_t groups, uint32_t wanted) {
    uint64_t runs = 4 * groups,
             at_once = (uint64_t)lane->set->cuda->description.multiprocessors * tq_cuda_refine_shape(lane->set).warps;
    uint64_t sample = at_once;
    if (sample < (uint64_t)SAMPLE_TIMES * wanted) sample = (uint64_t)SAMPLE_TIMES * wanted;
    if (sample < runs / SAMPLE_PART) sample = runs / SAMPLE_PART;
    if (sample < runs * wanted / SAMPLE_FOUND) sample = runs * wanted / SAMPLE_FOUND;
    if (sample > SEEDS_MOST) sample = SEEDS_MOST;
    if (sample > runs / 2) sample = runs / 2;
    return wanted == 0 || groups * TQ_CUDA_GROUP_ROWS <= TQ_CUDA_CANDIDATES_MOST / 4 ? 0 : runs / sample;
}

/* Whether the first rows of each block are sample enough: they cost no kernel of their own. */
static bool first_rows_do(const struct tq_cuda_lane *lane, uint64_t groups, uint32_t wanted) {
    uint64_t blocks = (uint64_t)lane->set->cuda->description.multiprocessors, runs = 4 * groups;
    uint64_t at_once = blocks * tq_cuda_refine_shape(lane->set).warps;
    return blocks <= FIRST_BLOCKS_MOST && wanted <= blocks / FIRST_PART && runs >= at_once &&
           runs <= FIRST_TIMES * at_once;
}

static Plan plan_of(const struct tq_cuda_lane *lane, uint64_t groups, const struct tq_cuda_query *query) {
    uint32_t most = lane->set->resident.slabs, wanted = query->wanted;
    Plan plan;
    memset(&plan, 0, sizeof plan);
    plan.generation = lane->set->generation, plan.groups = groups;
    plan.filtered = lane->filtered, plan.filter_groups = lane->filtered ? lane->filter_groups : 0;
    plan.norms = query->bounds.metric != 0;
    if (query->every_row || lane->slabs == DEPTH_EVERY) {
        plan.apart = sample_apart(lane, groups, wanted);
        plan.seeded = plan.apart != 0;
        plan.first = plan.seeded != 0 && first_rows_do(lane, groups, wanted);
        if (plan.first != 0) plan.apart = 0;
        return plan;
    }
    plan.slabs = lane->slabs < most ? lane->slabs : most;
    plan.by_rows = groups < GROUPS_FOR_ROWS || groups < 8ull * (wanted < 32 ? 64 : 2 * wanted);
    plan.seeded = wanted > 0;
    return plan;
}

static enum tq_cuda_status capture(struct tq_cuda_lane *lane, const Plan &plan, cudaGraphExec_t *made,
                                   struct tq_cuda_why *why) {
    static const char doing[] = "making the graph of a search";
    TQ_CUDA_TRY(capture_graph(lane->stream, made, [&] { return tq_cuda_search_launch(lane, plan); }), why, doing);
    return TQ_CUDA_OK;
}

static enum tq_cuda_status graph_of(struct tq_cuda_lane *lane, const Plan &plan, cudaGraphExec_t *graph,
                                    struct tq_cuda_why *why) {
    for (auto &one : lane->graphs) {
        if (one.graph == nullptr || memcmp(&one.plan, &plan, sizeof plan) != 0) continue;
        *graph = one.graph;
        return TQ_CUDA_OK;
    }
    auto &place = lane->graphs[lane->graph_next];
    lane->graph_next = (lane->graph_next + 1) % LANE_GRAPHS;
    if (place.graph != nullptr) (void)cudaGraphExecDestroy(place.graph);
    place.graph = nullptr;
    TQ_CUDA_PASS(capture(lane, plan, &place.graph, why));
    place.plan = plan;
    *graph = place.graph;
    return TQ_CUDA_OK;
}

static enum tq_cuda_status check_search(const struct tq_cuda_lane *lane, uint64_t groups,
                                        const struct tq_cuda_query *queries, uint32_t count, struct tq_cuda_why *why) {
    if (count < 1 || count > TQ_CUDA_QUERIES_MOST)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "%u queries at once: 1 to %d", count, TQ_CUDA_QUERIES_MOST);
    if (groups > lane->set->resident.groups)
        return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "a search of %llu groups: the set has %llu",
                           (unsigned long long)groups, (unsigned long long)lane->set->resident.groups);
    for (uint32_t i = 0; i < count; i++) {
        if (queries[i].wanted > TQ_CUDA_WANTED_MOST)
            return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "the best %u of query %u: %d at most", queries[i].wanted, i,
                               TQ_CUDA_WANTED_MOST);
    }
    return TQ_CUDA_OK;
}

enum tq_cuda_status tq_cuda_search_begin(struct tq_cuda_lane *lane, uint64_t groups,
                                         const struct tq_cuda_query *queries, uint32_t count, struct tq_cuda_why *why) {
    static const char doing[] = "beginning a search";
    tq_cuda_scope scope(lane->set->cuda);
    TQ_CUDA_PASS(check_search(lane, groups, queries, count, why));
    lane->count = 0;
    TQ_CUDA_PASS(tq_cuda_lane_room(lane, why));
    TQ_CUDA_TRY(cudaStreamWaitEvent(lane->stream, lane->set->last_put, 0), why, doing);
    if (count > 1) {
        TQ_CUDA_PASS(tq_cuda_many_begin(lane, groups, queries, count, why));
        lane->count = count;
        return TQ_CUDA_OK;
    }
    Plan plan = plan_of(lane, groups, queries);
    tq_cuda_question_make(&lane->set->resident, queries, plan.slabs, lane->asked);
    lane->searched_slabs = groups == 0 ? 0 : plan.slabs;
    lane->searched = groups != 0;
    if (groups == 0) { /* nothing to launch */
        memset((void *)lane->outcome, 0, offsetof(Outcome, list));
        lane->outcome->bar = queries[0].seed_bar;
        lane->count = 1;
        return TQ_CUDA_OK;
    }
    cudaGraphExec_t graph = nullptr;
    TQ_CUDA_PASS(graph_of(lane, plan, &graph, why));
    if (lane->state_unknown)
        TQ_CUDA_TRY(cudaMemsetAsync(lane->state, 0, sizeof *lane->state, lane->stream), why, doing);
    lane->state_unknown = true;
    if (lane->timed) TQ_CUDA_TRY(cudaEventRecord(lane->begun, lane->stream), why, doing);
    TQ_CUDA_TRY(cudaGraphLaunch(graph, lane->stream), why, doing);
    if (lane->timed) TQ_CUDA_TRY(cudaEventRecord(lane->ended, lane->stream), why, doing);
    lane->count = 1;
    return TQ_CUDA_OK;
}

/* How deep the next search scans, by what this one left to refine: the answer does not depend on it, its cost does. */
static void choose_depth(struct tq_cuda_lane *lane) {
    const Outcome *o = lane->outcome;
    uint32_t most = lane->set->resident.slabs, slabs = lane->slabs;
    if (most > TQ_CUDA_SCAN_SLABS_MOST) most = TQ_CUDA_SCAN_SLABS_MOST;
    if (lane->searched_slabs != 0) { /* a scan, so that it can have been wrong */
        bool deeper = slabs < most && o->survivors > o->scanned / DEEPER_PART;
        bool every = slabs == most && o->survivors > o->scanned / EVERY_PART;
        if (deeper || every) {
            lane->patience = lane->searches == 0 && lane->patience < PATIENCE_MOST ? 2 * lane->patience
                                                                                   : lane->patience;
            lane->slabs = deeper ? slabs + 1 : (uint32_t)DEPTH_EVERY;
            lane->searches = 0;
            return;
        }
        if (slabs == 1) lane->patience = PATIENCE_LEAST;
    }
    if (slabs > 1 && ++lane->searches >= lane->patience) {
        lane->slabs = slabs == DEPTH_EVERY ? most : slabs - 1;
        lane->searches = 0;
    }
}

enum tq_cuda_status tq_cuda_search_end(struct tq_cuda_lane *lane, struct tq_cuda_answer *answers,
                                       struct tq_cuda_why *why) {
    static const char doing[] = "searching";
    tq_cuda_scope scope(lane->set->cuda);
    uint32_t count = lane->count;
    lane->count = 0;
    if (count == 0) return tq_cuda_say(why, TQ_CUDA_UNSUPPORTED, "no search was begun in this lane");
    if (count > 1) return tq_cuda_many_end(lane, answers, why);
    TQ_CUDA_TRY(cudaStreamSynchronize(lane->stream), why, doing);
    Outcome *outcome = lane->outcome;
    if (outcome->count > SENT_AT_ONCE) {
        TQ_CUDA_TRY(cudaMemcpyAsync(outcome->list + SENT_AT_ONCE, lane->answer->list + SENT_AT_ONCE,
                                    (outcome->count - SENT_AT_ONCE) * sizeof *outcome->list, cudaMemcpyDeviceToHost,
                                    lane->stream),
                    why, doing);
        TQ_CUDA_TRY(cudaStreamSynchronize(lane->stream), why, doing);
    }
    float milliseconds = 0;
    if (lane->timed && lane->searched)
        TQ_CUDA_TRY(cudaEventElapsedTime(&milliseconds, lane->begun, lane->ended), why, doing);
    if (lane->searched) {
        lane->state_unknown = false;
        choose_depth(lane);
    }
    answers[0] = {};
    answers[0].candidates = outcome->list, answers[0].count = outcome->count;
    answers[0].overflow = outcome->found > TQ_CUDA_CANDIDATES_MOST;
    answers[0].bar = outcome->bar;
    answers[0].scanned = outcome->scanned, answers[0].survivors = outcome->survivors;
    answers[0].device_ms = milliseconds;
    return TQ_CUDA_OK;
}
