/* One window of segments: scan the first plane, seed the bar, list the blocks that may hold survivors, scan the
 * second plane of those where it pays, and refine what is left. Two passes, because a bar taken from the best rows of
 * all dismisses far more than one that rises with the scan. */
#include <string.h>

#include "index/cascade.h"

/* Nanoseconds, measured with AVX-512 (bench/bench_kernels): only their ratio decides how deep to scan. */
static const double block_group_ns = 2.0; /* one group of one block of a scan */
static double survivor_ns(uint32_t dim) { return 25 + 0.12 * dim; }

/* Blocks without an allowed row are not read. */
static enum tq_status scan_first(struct tq_searcher *s, struct tq_worker *worker, struct tq_task *task) {
    (void)worker;
    const struct tq_span *span = task->span;
    uint16_t *sums = tq_window_sums(&s->window, span, task->block);
    uint16_t *maxima = tq_window_maxima(&s->window, span, task->block);
    uint32_t list[TQ_TASK_BLOCKS], count = 0;
    if (span->allowed == NULL) return tq_task_scan(s, task, TQ_PLANE_FIRST, NULL, task->blocks, sums, maxima);
    memset(maxima, 0, task->blocks * sizeof *maxima);
    for (uint32_t block = task->block; block < task->block + task->blocks; block++) {
        if ((span->allowed[2 * (size_t)block] | span->allowed[2 * (size_t)block + 1]) != 0) list[count++] = block;
    }
    return tq_task_scan(s, task, TQ_PLANE_FIRST, list, count, sums, maxima);
}

/* The workers' survivors, together. */
static enum tq_status join_survivors(struct tq_searcher *s) {
    size_t total = 0;
    for (size_t i = 0; i < s->worker_count; i++) total += s->workers[i].found.count;
    TQ_TRY(tq_vector_reserve(&s->survivors, total, sizeof(struct tq_survivor)));
    s->survivors.count = 0;
    for (size_t i = 0; i < s->worker_count; i++) {
        struct tq_vector *found = &s->workers[i].found;
        if (found->count == 0) continue;
        memcpy((struct tq_survivor *)s->survivors.data + s->survivors.count, found->data,
               found->count * sizeof(struct tq_survivor));
        s->survivors.count += found->count;
        found->count = 0;
    }
    return TQ_OK;
}

enum tq_status tq_window_run(struct tq_searcher *s, uint32_t segment_first, uint32_t segment_count) {
    const struct tq_format *format = &s->codec->format;
    if (!s->window.kept) {
        TQ_TRY(tq_tasks_lay_out(s, segment_first, segment_count));
        TQ_TRY(tq_tasks_run(s, scan_first));
    }
    for (size_t i = 0; i < s->worker_count; i++) /* what the windows before have taught */
        s->seed_bar = fmax(s->seed_bar, tq_worker_bar(s, &s->workers[i]));
    if (isinf(s->seed_bar)) TQ_TRY(tq_seed(s));
    double block_ns = block_group_ns * (format->block_bytes / TQ_LAYOUT_GROUP_BYTES);
    double row_ns = survivor_ns(format->dim);
    bool count_rows = row_ns < block_ns; /* else a single row of a listed block costs more than scanning the block */
    uint64_t rows = 0, blocks = 0;
    TQ_TRY(tq_collect_list(s, count_rows, &blocks, &rows));
    bool pays = !count_rows || (double)rows * row_ns > (double)blocks * block_ns;
    bool second = format->scan_planes > 1 && pays;
    if (second) s->stats->second += blocks * TQ_BLOCK_ROWS;
    TQ_TRY(tq_collect(s, second));
    TQ_TRY(join_survivors(s));
    return tq_survivors_refine(s, s->survivors.data, s->survivors.count);
}
