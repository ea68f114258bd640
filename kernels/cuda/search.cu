/* Launches of the kernels of one search. */
#include "kernels/cuda/collect.cuh"
#include "kernels/cuda/finish.cuh"
#include "kernels/cuda/lane.h"
#include "kernels/cuda/launcher.cuh"
#include "kernels/cuda/runs.cuh"

enum { SHARED_STATIC = 1024 /* bytes that kernels which refine have beside what they ask for */ };

struct RefineShape tq_cuda_refine_shape(const struct tq_cuda_set *set) {
    const struct tq_cuda_resident *r = &set->resident;
    size_t own = warps_offset(r->slabs) + SHARED_STATIC, each = warp_bytes(r->row_words);
    size_t room = set->cuda->shared_most, warps = room < own ? 0 : (room - own) / each;
    size_t most = set->cuda->description.major >= 10 ? (size_t)WARPS_EMULATING : (size_t)WARPS_MOST;
    warps = warps < most ? warps : most;
    return {(uint32_t)warps, (uint32_t)(warps_offset(r->slabs) + warps * each)};
}

static unsigned blocks_of(const struct tq_cuda_lane *lane, uint64_t items, uint64_t each, unsigned at_once) {
    uint64_t blocks = (items + each - 1) / each,
             most = (uint64_t)lane->set->cuda->description.multiprocessors * at_once;
    return (unsigned)(blocks < most ? blocks : most);
}

static Scope scope_of(const struct tq_cuda_lane *lane, const Plan &plan) {
    return {plan.groups, plan.filtered != 0 ? lane->filter : nullptr, plan.filter_groups};
}

/* ---- Sums ---- */

template <int SLABS, bool BY_ROWS, bool FILTERED>
static void launch_scan(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    unsigned blocks = blocks_of(lane, plan.groups, SCAN_WARPS, scan_blocks<SLABS>());
    launch(scan_signs<SLABS, BY_ROWS, FILTERED>, blocks, SCAN_THREADS, 0, lane->set->resident, scope_of(lane, plan),
           lane->question, lane->sums, lane->maxima, lane->state);
}

template <int SLABS>
static void launch_scan_slabs(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    if (plan.by_rows != 0 && plan.filtered != 0) return launch_scan<SLABS, true, true>(lane, plan, launch);
    if (plan.by_rows != 0) return launch_scan<SLABS, true, false>(lane, plan, launch);
    if (plan.filtered != 0) return launch_scan<SLABS, false, true>(lane, plan, launch);
    launch_scan<SLABS, false, false>(lane, plan, launch);
}

template <bool BY_ROWS> static void launch_ranks(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    unsigned blocks = blocks_of(lane, plan.groups * (BY_ROWS ? 32 : 1), SCAN_THREADS, 4);
    launch(rank_sums<0, BY_ROWS>, blocks, SCAN_THREADS, 0, lane->set->resident, scope_of(lane, plan), lane->question,
           lane->sums, lane->maxima, lane->state);
    launch(rank_sums<1, BY_ROWS>, blocks, SCAN_THREADS, 0, lane->set->resident, scope_of(lane, plan), lane->question,
           lane->sums, lane->maxima, lane->state);
}

static void launch_sums(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    switch (plan.slabs) {
    case 1: launch_scan_slabs<1>(lane, plan, launch); break;
    case 2: launch_scan_slabs<2>(lane, plan, launch); break;
    default: launch_scan_slabs<3>(lane, plan, launch); break;
    }
    if (plan.norms == 0 || plan.seeded == 0) return;
    plan.by_rows != 0 ? launch_ranks<true>(lane, plan, launch) : launch_ranks<false>(lane, plan, launch);
}

/* ---- Full codes ---- */

template <int CODE_BITS, bool QJL>
static void launch_by_sums(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    const struct tq_cuda_resident &r = lane->set->resident;
    struct RefineShape shape = tq_cuda_refine_shape(lane->set);
    unsigned threads = shape.warps * 32, blocks = blocks_of(lane, plan.groups, shape.warps, 1);
    uint32_t groups = (uint32_t)plan.groups;
    launch_sums(lane, plan, launch);
    if (plan.seeded != 0)
        launch(seed_bar<CODE_BITS, QJL>, blocks, threads, shape.bytes, r, groups, lane->question, lane->sums,
               lane->maxima, lane->keys, lane->state);
    launch(collect_rows<CODE_BITS, QJL>, blocks, threads, shape.bytes, r, groups, lane->question, plan.seeded != 0,
           lane->sums, lane->maxima, lane->found, lane->state);
}

template <int CODE_BITS, bool QJL>
static void launch_every_row(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    const struct tq_cuda_resident &r = lane->set->resident;
    struct RefineShape shape = tq_cuda_refine_shape(lane->set);
    unsigned threads = shape.warps * 32, blocks = blocks_of(lane, plan.groups * 4, shape.warps, 1);
    if (plan.first != 0)
        return launch(score_first_rows<CODE_BITS, QJL>, blocks, threads, shape.bytes, r, scope_of(lane, plan),
                      lane->question, lane->keys, lane->found, lane->state);
    if (plan.seeded != 0)
        launch(sample_rows<CODE_BITS, QJL>, blocks, threads, shape.bytes, r, scope_of(lane, plan), (uint32_t)plan.apart,
               lane->question, lane->keys, lane->state);
    launch(score_rows<CODE_BITS, QJL>, blocks, threads, shape.bytes, r, scope_of(lane, plan), lane->question,
           plan.seeded != 0, lane->found, lane->state);
}

template <int CODE_BITS, bool QJL>
static void launch_rows(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    plan.slabs == 0 ? launch_every_row<CODE_BITS, QJL>(lane, plan, launch)
                    : launch_by_sums<CODE_BITS, QJL>(lane, plan, launch);
}

template <int CODE_BITS> static void launch_code(const struct tq_cuda_lane *lane, const Plan &plan, Launcher &launch) {
    lane->set->resident.qjl ? launch_rows<CODE_BITS, true>(lane, plan, launch)
                            : launch_rows<CODE_BITS, false>(lane, plan, launch);
}

cudaError_t tq_cuda_search_launch(const struct tq_cuda_lane *lane, const Plan &plan) {
    const struct tq_cuda_resident &r = lane->set->resident;
    Launcher launch = {lane->stream, lane->set->cuda->description.major >= 9, cudaSuccess};
    launch(bring_question, 1, 256, 0, (const uint4 *)lane->asked, (uint4 *)lane->question,
           (uint32_t)(question_bytes(r.slabs) / sizeof(uint4)));
    switch (r.code_bits) {
    case 1: launch_code<1>(lane, plan, launch); break;
    case 2: launch_code<2>(lane, plan, launch); break;
    case 3: launch_code<3>(lane, plan, launch); break;
    case 4: launch_code<4>(lane, plan, launch); break;
    default: return cudaErrorNotSupported;
    }
    launch(finish, 1, FINISH_THREADS, 0, lane->question, plan.seeded != 0, lane->found, lane->answer, lane->state,
           lane->outcome);
    return launch.error;
}
