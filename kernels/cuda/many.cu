/* Two to eight queries in one search: memory, launches and graphs. Queries that the kernels of several do not take, or
 * whose lists of rows were too short, are asked one after the other. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/lane.h"
#include "kernels/cuda/launcher.cuh"
#include "kernels/cuda/many_refine.cuh"

enum {
    GROUPS_LEAST = 256, /* fewer are as quickly asked one by one */
    SHARES = 8,
    SHARE_FIRST = 3,    /* how many rows are handed over: shares[] */
    SMALLER_AFTER = 16, /* searches in which the share before would have been enough */
    BRING_THREADS = 1024,
    ROW_BYTES = 10 /* of a list: struct ManyLists */
};

static const uint32_t shares[SHARES] = {2, 3, 4, 6, 8, 12, 16, 20}; /* of 1,000 */

struct ManyPlan { /* compared as bytes: no padding that is not zeroed */
    uint64_t generation, groups, filter_groups;
    const uint64_t *filter; /* NULL: none */
    const uint32_t *sums;
    uint32_t count, share, metric, unused;
};

struct tq_cuda_many {
    size_t question_size;
    /* of the device */
    ManyAsked *asked; /* and the questions behind it */
    ManyState *state;
    Outcome *found, *answers; /* [8] */
    /* of the host: page-locked, */
    ManyAsked *asking;
    Outcome *outcomes; /* [8] */
    uint32_t *reached; /* [8]: rows whose sums of the first slab may reach the bar */
    /* and not */
    struct tq_cuda_query queries[MANY_MOST]; /* to ask them alone */
    struct tq_cuda_candidate *alone[MANY_MOST];
    ManyPlan plan;
    cudaGraphExec_t graph;
    uint64_t groups;
    uint32_t count;
    uint32_t share, searches; /* of shares[]; how many searches in a row the one before would have done for */
    bool together;
};

/* ---- Memory ---- */

static size_t question_size_of(const struct tq_cuda_set *set) {
    return (question_bytes(set->resident.slabs) + alignof(Question) - 1) / alignof(Question) * alignof(Question);
}

uint64_t tq_cuda_many_bytes(const struct tq_cuda_set *set, uint64_t groups) {
    (void)groups; /* lists of rows are where the sums of one query would be */
    return sizeof(ManyAsked) + MANY_MOST * (question_size_of(set) + 2 * sizeof(Outcome)) + sizeof(ManyState);
}

static enum tq_cuda_status make_memory(struct tq_cuda_many *many, cudaStream_t stream, struct tq_cuda_why *why) {
    static const char doing[] = "allocating memory for a search of several queries";
    size_t asked = sizeof(ManyAsked) + MANY_MOST * many->question_size;
    TQ_CUDA_TRY(cudaMalloc(&many->asked, asked), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&many->state, sizeof *many->state), why, doing);
    TQ_CUDA_TRY(cudaMemsetAsync(many->state, 0, sizeof *many->state, stream), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&many->found, MANY_MOST * sizeof *many->found), why, doing);
    TQ_CUDA_TRY(cudaMalloc(&many->answers, MANY_MOST * sizeof *many->answers), why, doing);
    TQ_CUDA_TRY(cudaHostAlloc(&many->asking, asked, cudaHostAllocMapped), why, doing);
    TQ_CUDA_TRY(cudaHostAlloc(&many->reached, MANY_MOST * sizeof *many->reached, cudaHostAllocMapped), why, doing);
    TQ_CUDA_TRY(cudaHostAlloc(&many->outcomes, MANY_MOST * sizeof *many->outcomes, cudaHostAllocMapped), why, doing);
    return TQ_CUDA_OK;
}

static enum tq_cuda_status open_many(struct tq_cuda_lane *lane, struct tq_cuda_why *why) {
    if (lane->many != nullptr) return TQ_CUDA_OK;
    struct tq_cuda_many *many = (struct tq_cuda_many *)calloc(1, sizeof *many);
    if (many == nullptr) return tq_cuda_say(why, TQ_CUDA_MEMORY, "no memory for %zu bytes", sizeof *many);
    many->question_size = question_size_of(lane->set);
    many->share = SHARE_FIRST;
    lane->many = many;
    enum tq_cuda_status status = make_memory(many, lane->stream, why);
    if (status != TQ_CUDA_OK) tq_cuda_many_close(lane);
    return status;
}

void tq_cuda_many_close(struct tq_cuda_lane *lane) {
    struct tq_cuda_many *many = lane->many;
    if (many == nullptr) return;
    lane->many = nullptr;
    if (many->graph != nullptr) (void)cudaGraphExecDestroy(many->graph);
    (void)cudaFree(many->asked);
    (void)cudaFree(many->state);
    (void)cudaFree(many->found);
    (void)cudaFree(many->answers);
    if (many->asking != nullptr) (void)cudaFreeHost(many->asking);
    if (many->outcomes != nullptr) (void)cudaFreeHost(many->outcomes);
    if (many->reached != nullptr) (void)cudaFreeHost(many->reached);
    for (auto &list : many->alone) free(list);
    free(many);
}

/* ---- Launches ---- */

/* What the kernels of a search share. */
struct Launch {
    const struct tq_cuda_lane *lane;
    const struct tq_cuda_many *many;
    Scope scope;
    ManyLists lists;
    uint32_t count;
    int32_t metric;
    unsigned multiprocessors, scan_blocks;
};

static unsigned at_most(uint64_t blocks, uint64_t most) { return (unsigned)(blocks < most ? blocks : most); }

static ManyLists lists_of(const struct tq_cuda_lane *lane, uint32_t count) {
    uint64_t most = lane->groups * 32 * sizeof(uint32_t) / ROW_BYTES / count / 32 * 32;
    most = most < UINT32_MAX / 2 ? most : UINT32_MAX / 2;
    uint32_t *survivors = lane->sums + most * count;
    return {lane->sums, (uint16_t *)(survivors + most * count), survivors, (uint32_t)most};
}

static void launch_sample(const Launch &l, uint32_t share, Launcher &launch) {
    unsigned samples = at_most(l.scope.groups, MANY_SAMPLES);
    float rows = (float)share / 1000, groups = 1 - powf(1 - rows, TQ_CUDA_GROUP_ROWS); /* if rows are in no order */
    launch(l.metric != 0 ? many_sample<true> : many_sample<false>, (samples + MANY_WARPS - 1) / MANY_WARPS,
           MANY_THREADS, 0, l.lane->set->resident, l.scope, l.many->asked, l.many->question_size, l.count, samples,
           groups, l.many->state);
}

template <int PAIRS> static void launch_scan(const Launch &l, Launcher &launch) {
    launch(l.metric != 0 ? many_scan<PAIRS, true> : many_scan<PAIRS, false>, l.scan_blocks, MANY_THREADS, 0,
           l.lane->set->resident, l.scope, l.count, l.metric, l.lists, l.many->state);
}

static void launch_scan_pairs(const Launch &l, Launcher &launch) {
    switch ((l.count + 1) / 2) {
    case 1: launch_scan<1>(l, launch); break;
    case 2: launch_scan<2>(l, launch); break;
    default: launch_scan<4>(l, launch); break;
    }
}

static void launch_filter(const Launch &l, Launcher &launch) {
    auto kernel = l.lane->set->resident.slabs > 1
                      ? (l.metric != 0 ? many_filter<true, true> : many_filter<true, false>)
                      : (l.metric != 0 ? many_filter<false, true> : many_filter<false, false>);
    launch(kernel, l.multiprocessors * 4, 32 * FILTER_WARPS, 0, l.lane->set->resident, l.many->asked,
           l.many->question_size, l.count, l.lists, l.many->state);
}

static struct RefineShape bars_shape(const struct tq_cuda_set *set) {
    struct RefineShape shape = tq_cuda_refine_shape(set);
    uint32_t each = warp_bytes(set->resident.row_words);
    while (shape.warps > 0 && (shape.warps > BARS_WARPS || shape.bytes + sizeof(Bars) + 1024 > set->cuda->shared_most))
        shape.warps--, shape.bytes -= each;
    return shape;
}

template <int CODE_BITS, bool QJL> static cudaError_t launch_kernels(const Launch &l, uint32_t share) {
    const struct tq_cuda_many *m = l.many;
    const struct tq_cuda_resident &r = l.lane->set->resident;
    struct RefineShape bars = bars_shape(l.lane->set), refine = tq_cuda_refine_shape(l.lane->set);
    Launcher launch = {l.lane->stream, l.lane->set->cuda->description.major >= 9, cudaSuccess};
    size_t asked = sizeof(ManyAsked) + l.count * m->question_size;
    launch(bring_question, 1, BRING_THREADS, 0, (const uint4 *)m->asking, (uint4 *)m->asked, (uint32_t)(asked / 16));
    launch_sample(l, share, launch);
    launch_scan_pairs(l, launch);
    launch(many_bars<CODE_BITS, QJL>, l.count, bars.warps * 32, bars.bytes, r, m->asked, m->question_size,
           l.scan_blocks, m->state);
    launch_filter(l, launch);
    unsigned blocks = l.multiprocessors > l.count ? l.multiprocessors : l.count; /* one a query at least: turn_of() */
    launch(many_refine<CODE_BITS, QJL>, blocks, refine.warps * 32, refine.bytes, r, m->asked, m->question_size, l.count,
           l.lists, m->found, m->state);
    launch(many_finish, l.count, FINISH_THREADS, 0, m->asked, m->question_size, l.lists.most, m->found, m->answers,
           m->outcomes, m->reached, m->state);
    return launch.error;
}

template <int CODE_BITS> static cudaError_t launch_code(const Launch &l, uint32_t share) {
    return l.lane->set->resident.qjl ? launch_kernels<CODE_BITS, true>(l, share)
                                     : launch_kernels<CODE_BITS, false>(l, share);
}

static cudaError_t launch_all(const Launch &l, uint32_t share) {
    switch (l.lane->set->resident.code_bits) {
    case 1: return launch_code<1>(l, share);
    case 2: return launch_code<2>(l, share);
    case 3: return launch_code<3>(l, share);
    case 4: return launch_code<4>(l, share);
    default: return cudaErrorNotSupported;
    }
}

/* ---- Graphs ---- */

static cudaError_t capture_kernels(const struct tq_cuda_lane *lane, const ManyPlan &plan) {
    const struct tq_cuda_many *many = lane->many;
    const struct tq_cuda_description &device = lane->set->cuda->description;
    unsigned multiprocessors = (unsigned)device.multiprocessors;
    unsigned at_once = plan.metric == 0 && device.major == 9 ? SCAN_AT_ONCE : SCAN_AT_ONCE_FEWER;
    unsigned blocks = at_most((plan.groups + MANY_WARPS - 1) / MANY_WARPS, multiprocessors * at_once);
    Launch l = {lane,
                many,
                {plan.groups, plan.filter, plan.filter_groups},
                lists_of(lane, plan.count),
                plan.count,
                (int32_t)plan.metric,
                multiprocessors,
                at_most(blocks, MANY_BESTS)};
    return launch_all(l, plan.share);
}

static enum tq_cuda_status make_graph(struct tq_cuda_lane *lane, const ManyPlan &plan, struct tq_cuda_why *why) {
    static const char doing[] = "making the graph of a search of several queries";
    struct tq_cuda_many *many = lane->many;
    if (many->graph != nullptr && memcmp(&many->plan, &plan, sizeof plan) == 0) return TQ_CUDA_OK;
    if (many->graph != nullptr) (void)cudaGraphExecDestroy(many->graph);
    many->graph = nullptr;
    TQ_CUDA_TRY(capture_graph(lane->stream, &many->graph, [&] { return capture_kernels(lane, plan); }), why, doing);
    many->plan = plan;
    return TQ_CUDA_OK;
}

/* ---- A search ---- */

static bool take_together(const struct tq_cuda_lane *lane, uint64_t groups, const struct tq_cuda_query *queries,
                          uint32_t count) {
    if (groups < GROUPS_LEAST || bars_shape(lane->set).warps == 0) return false;
    for (uint32_t q = 0; q < count; q++)
        if (queries[q].every_row || queries[q].wanted > MANY_WANTED_MOST) return false;
    return true;
}

/* The line of the second slab alone: deviations of slabs add up as squares. */
static ManySecond second_of(const struct tq_cuda_resident *r, const struct tq_cuda_line *line) {
    if (r->slabs < 2) return {0, 0, 0};
    double square = line[1].deviation * line[1].deviation - line[0].deviation * line[0].deviation;
    int32_t absolute = line[1].absolute - line[0].absolute, negative = line[1].negative - line[0].negative;
    return {(float)(line[1].mean - line[0].mean), (float)sqrt(square > 0 ? square : 0), absolute - 2 * negative};
}

enum tq_cuda_status tq_cuda_many_begin(struct tq_cuda_lane *lane, uint64_t groups, const struct tq_cuda_query *queries,
                                       uint32_t count, struct tq_cuda_why *why) {
    static const char doing[] = "beginning a search of several queries";
    TQ_CUDA_PASS(open_many(lane, why));
    struct tq_cuda_many *many = lane->many;
    memcpy(many->queries, queries, count * sizeof *queries);
    many->groups = groups, many->count = count;
    many->together = take_together(lane, groups, queries, count);
    if (!many->together) return TQ_CUDA_OK; /* asked at the end */
    for (uint32_t q = 0; q < count; q++) {
        many->asking->second[q] = second_of(&lane->set->resident, queries[q].line);
        tq_cuda_question_make(&lane->set->resident, queries + q, 1,
                              (Question *)((char *)(many->asking + 1) + q * many->question_size));
    }
    ManyPlan plan;
    memset(&plan, 0, sizeof plan);
    plan.generation = lane->set->generation, plan.groups = groups, plan.count = count;
    plan.filter = lane->filtered ? lane->filter : nullptr,
    plan.filter_groups = lane->filtered ? lane->filter_groups : 0;
    plan.sums = lane->sums;
    plan.share = shares[many->share], plan.metric = (uint32_t)queries[0].bounds.metric;
    TQ_CUDA_PASS(make_graph(lane, plan, why));
    if (lane->timed) TQ_CUDA_TRY(cudaEventRecord(lane->begun, lane->stream), why, doing);
    TQ_CUDA_TRY(cudaGraphLaunch(many->graph, lane->stream), why, doing);
    if (lane->timed) TQ_CUDA_TRY(cudaEventRecord(lane->ended, lane->stream), why, doing);
    return TQ_CUDA_OK;
}

/* A query by itself; its list moves, because the next one's takes its place. */
static enum tq_cuda_status ask_alone(struct tq_cuda_lane *lane, uint32_t q, struct tq_cuda_answer *answer,
                                     struct tq_cuda_why *why) {
    struct tq_cuda_many *many = lane->many;
    TQ_CUDA_PASS(tq_cuda_search_begin(lane, many->groups, many->queries + q, 1, why));
    TQ_CUDA_PASS(tq_cuda_search_end(lane, answer, why));
    size_t bytes = answer->count * sizeof *answer->candidates;
    void *list = bytes > 0 ? realloc(many->alone[q], bytes) : nullptr;
    if (list == nullptr && bytes > 0) return tq_cuda_say(why, TQ_CUDA_MEMORY, "no memory for %zu bytes", bytes);
    if (bytes == 0) return TQ_CUDA_OK;
    many->alone[q] = (struct tq_cuda_candidate *)list;
    memcpy(list, answer->candidates, bytes);
    answer->candidates = many->alone[q];
    return TQ_CUDA_OK;
}

/* The rest of long lists, and what is known of each query; those to be asked alone have MANY_AGAIN. */
static enum tq_cuda_status fetch_answers(struct tq_cuda_lane *lane, struct tq_cuda_answer *answers,
                                         struct tq_cuda_why *why) {
    static const char doing[] = "searching for several queries";
    struct tq_cuda_many *many = lane->many;
    float milliseconds = 0;
    bool more = false;
    TQ_CUDA_TRY(cudaStreamSynchronize(lane->stream), why, doing);
    if (lane->timed) TQ_CUDA_TRY(cudaEventElapsedTime(&milliseconds, lane->begun, lane->ended), why, doing);
    for (uint32_t q = 0; q < many->count; q++) {
        Outcome *outcome = many->outcomes + q;
        answers[q] = {};
        answers[q].candidates = outcome->list, answers[q].count = outcome->count;
        answers[q].device_ms = milliseconds;
        if (outcome->count == MANY_AGAIN) continue;
        answers[q].overflow = outcome->found > TQ_CUDA_CANDIDATES_MOST;
        answers[q].bar = outcome->bar;
        answers[q].scanned = outcome->scanned, answers[q].survivors = outcome->survivors;
        if (outcome->count <= SENT_AT_ONCE) continue;
        TQ_CUDA_TRY(cudaMemcpyAsync(outcome->list + SENT_AT_ONCE, many->answers[q].list + SENT_AT_ONCE,
                                    (outcome->count - SENT_AT_ONCE) * sizeof *outcome->list, cudaMemcpyDeviceToHost,
                                    lane->stream),
                    why, doing);
        more = true;
    }
    if (more) TQ_CUDA_TRY(cudaStreamSynchronize(lane->stream), why, doing);
    return TQ_CUDA_OK;
}

/* How many rows the next search hands over: the answer does not depend on it, its cost does. */
static void choose_share(struct tq_cuda_many *many) {
    bool more = false, less = many->share > 0;
    uint32_t before = less ? shares[many->share - 1] : 0;
    for (uint32_t q = 0; q < many->count; q++) {
        const Outcome *o = many->outcomes + q;
        more |= o->count == MANY_AGAIN && o->found == AGAIN_MORE;
        less &= o->count != MANY_AGAIN && many->reached[q] < o->scanned * before / 1250; /* with a quarter of room */
    }
    many->searches = less ? many->searches + 1 : 0;
    if (more && many->share < SHARES - 1) {
        many->share++;
    } else if (many->searches >= SMALLER_AFTER) {
        many->share--;
        many->searches = 0;
    }
}

enum tq_cuda_status tq_cuda_many_end(struct tq_cuda_lane *lane, struct tq_cuda_answer *answers,
                                     struct tq_cuda_why *why) {
    struct tq_cuda_many *many = lane->many;
    uint32_t count = many->count;
    if (many->together) {
        TQ_CUDA_PASS(fetch_answers(lane, answers, why));
        choose_share(many);
    }
    double milliseconds = many->together ? answers[0].device_ms : 0;
    for (uint32_t q = 0; q < count; q++) {
        if (many->together && answers[q].count != MANY_AGAIN) continue;
        TQ_CUDA_PASS(ask_alone(lane, q, answers + q, why));
        milliseconds += answers[q].device_ms;
    }
    for (uint32_t q = 0; q < count; q++) answers[q].device_ms = milliseconds;
    return TQ_CUDA_OK;
}
