/* The work on a window, cut into runs of blocks that threads take in turn. */
#include <stdatomic.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "index/cascade.h"

size_t tq_thread_limit(size_t wanted) {
    static atomic_int owner;
    int first = 0, self = (int)getpid();
    bool ours = atomic_compare_exchange_strong(&owner, &first, self) || first == self;
    return ours ? wanted : 1;
}

size_t tq_thread_number(void) {
#ifdef _OPENMP
    return (size_t)omp_get_thread_num();
#else
    return 0;
#endif
}

enum tq_status tq_tasks_lay_out(struct tq_searcher *s, uint32_t segment_first, uint32_t segment_count) {
    struct tq_window *w = &s->window;
    w->span_count = segment_count;
    w->block_count = w->task_count = 0;
    for (uint32_t i = 0; i < segment_count; i++) {
        uint32_t segment = segment_first + i, rows = tq_segment_row_count(tq_searcher_segment(s, segment));
        struct tq_span *span = &w->spans[i];
        *span = (struct tq_span){.segment = segment,
                                 .rows = rows,
                                 .blocks = (rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS,
                                 .block_first = w->block_count,
                                 .allowed = tq_filter_allowed(s, segment)};
        w->block_count += span->blocks;
        s->stats->rows += rows;
        TQ_TRY(tq_vector_reserve(&w->tasks, w->task_count + span->blocks / TQ_TASK_BLOCKS + 1, sizeof(struct tq_task)));
        for (uint32_t block = 0; block < span->blocks; block += TQ_TASK_BLOCKS) {
            uint32_t left = span->blocks - block;
            ((struct tq_task *)w->tasks.data)[w->task_count++] = (struct tq_task){
                .span = span, .block = block, .blocks = left < TQ_TASK_BLOCKS ? left : TQ_TASK_BLOCKS};
        }
    }
    TQ_TRY(tq_vector_reserve(&w->sums, w->block_count * TQ_BLOCK_ROWS, sizeof(uint16_t)));
    TQ_TRY(tq_vector_reserve(&w->maxima, w->block_count, sizeof(uint16_t)));
    return tq_vector_reserve(&w->lists, w->block_count, sizeof(uint32_t));
}

static enum tq_status run_one(struct tq_searcher *s, struct tq_worker *worker, struct tq_task *task,
                              tq_task_step step) {
    TQ_TRY(tq_stop_read(s->stop, (size_t)task->blocks * s->codec->format.block_bytes, &worker->unchecked));
    return step(s, worker, task);
}

enum tq_status tq_tasks_run(struct tq_searcher *s, tq_task_step step) {
    struct tq_task *tasks = s->window.tasks.data;
    size_t count = s->window.task_count;
    if (s->worker_count == 1) {
        for (size_t t = 0; t < count; t++) TQ_TRY(run_one(s, &s->workers[0], &tasks[t], step));
        return TQ_OK;
    }
    for (size_t i = 0; i < s->worker_count; i++) s->workers[i].status = TQ_OK;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)s->worker_count)
#endif
    for (size_t t = 0; t < count; t++) {
        struct tq_worker *worker = &s->workers[tq_thread_number()];
        if (worker->status == TQ_OK) tq_worker_note(worker, run_one(s, worker, &tasks[t], step));
    }
    return tq_workers_status(s);
}

enum tq_status tq_task_scan(struct tq_searcher *s, const struct tq_task *task, enum tq_plane plane,
                            const uint32_t *list, uint32_t count, uint16_t *sums, uint16_t *maxima) {
    struct tq_segment *segment = tq_searcher_segment(s, task->span->segment);
    size_t groups = s->codec->format.block_bytes / TQ_LAYOUT_GROUP_BYTES;
    uint32_t last = task->block + task->blocks, done = 0;
    while (done < count) {
        uint32_t begin = list == NULL ? task->block + done : list[done], run = 0, taken = 0;
        uint32_t relative[TQ_TASK_BLOCKS];
        const void *units = NULL;
        TQ_TRY(tq_segment_blocks(segment, plane, begin, last - begin, &units, &run));
        while (list != NULL && done + taken < count && list[done + taken] - begin < run) {
            relative[taken] = list[done + taken] - begin;
            taken++;
        }
        if (list == NULL) taken = run < count - done ? run : count - done;
        size_t at = begin - task->block;
        s->codec->kernels.scan(units, list == NULL ? NULL : relative, taken, groups, s->query->lut,
                               sums + at * TQ_BLOCK_ROWS, maxima + at);
        done += taken;
    }
    return TQ_OK;
}
