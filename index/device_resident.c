/* Which segments of an index are on the device. Runs of groups are given out by first fit; segments that no view has
 * any more go when searches have been without them for a while, or when their room is needed.
 *
 * Segments that do not fit are the CPU's: for one query the link, 55 GB/s, would take longer to bring them than a CPU
 * needs to scan them where they lie: a scan reads a plane or two of their codes, and the link would carry all. */
#include <stdlib.h>
#include <string.h>

#include "index/device_parts.h"
#include "src/base/alloc.h"

enum {
    GROUP = TQ_CUDA_GROUP_ROWS,
    ABSENT_SEARCHES = 64 /* a segment that so many searches did without is gone */
};

struct update {
    struct tq_device_set *set;
    const struct tq_cuda_ops *ops;
    struct tq_cuda *cuda;
    const struct tq_codec *codec;
    const struct tq_view *view;
    struct tq_stop *stop; /* NULL for the first segment: each update is to bring one */
    size_t threads;
    struct tq_cuda_why *why;
};

/* ---- Which are there ---- */

static int by_identity(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    if (x[0] != y[0]) return x[0] < y[0] ? -1 : 1;
    return (x[1] > y[1]) - (x[1] < y[1]);
}

static struct tq_resident *find(const struct tq_device_set *set, const uint64_t identity[2]) {
    if (set->residents.count == 0) return NULL;
    return bsearch(identity, set->residents.data, set->residents.count, sizeof(struct tq_resident), by_identity);
}

struct tq_resident *tq_device_set_find(const struct tq_device_set *set, const struct tq_segment *segment) {
    uint64_t identity[2];
    tq_segment_identity(segment, identity);
    return find(set, identity);
}

static bool is_refused(const struct tq_device_set *set, const uint64_t identity[2]) {
    const uint64_t *refused = set->refused.data;
    for (size_t i = 0; i < set->refused.count; i++)
        if (by_identity(refused + 2 * i, identity) == 0) return true;
    return false;
}

/* A segment that should be on the device and is not. */
static bool is_missing(const struct tq_device_set *set, const struct tq_segment *segment) {
    uint64_t identity[2];
    tq_segment_identity(segment, identity);
    return identity[0] != 0 && find(set, identity) == NULL && !is_refused(set, identity);
}

static bool is_absent(const struct tq_device_set *set, const struct tq_resident *resident) {
    return __atomic_load_n(&resident->seen, __ATOMIC_RELAXED) + ABSENT_SEARCHES < set->searches;
}

bool tq_device_set_lacks(const struct tq_device_set *set, const struct tq_view *view) {
    const struct tq_resident *residents = set->residents.data;
    for (size_t i = 0; i < set->residents.count; i++)
        if (is_absent(set, &residents[i])) return true;
    if (set->crowded == 1 + tq_device_epoch()) return false;
    for (size_t i = 0; i < view->count; i++)
        if (is_missing(set, view->segments[i].segment)) return true;
    return false;
}

/* ---- Making room ---- */

static bool is_of_view(const struct tq_view *view, const struct tq_resident *resident) {
    for (size_t i = 0; i < view->count; i++) {
        uint64_t identity[2];
        tq_segment_identity(view->segments[i].segment, identity);
        if (by_identity(identity, resident->identity) == 0) return true;
    }
    return false;
}

static void count_used(struct tq_device_set *set) {
    const struct tq_resident *residents = set->residents.data;
    set->used = 0;
    for (size_t i = 0; i < set->residents.count; i++) {
        uint64_t end = residents[i].group + residents[i].groups;
        if (end > set->used) set->used = end;
    }
}

/* Clear segments that no search had of late, or, `all` of them, those that this view lacks. */
static bool clear_absent(struct update *u, bool all) {
    struct tq_device_set *set = u->set;
    struct tq_resident *residents = set->residents.data;
    size_t kept = 0;
    bool good = true;
    for (size_t i = 0; i < set->residents.count; i++) {
        bool gone = (all || is_absent(set, &residents[i])) && !is_of_view(u->view, &residents[i]);
        if (gone && good) /* a device that is lost is asked nothing more */
            good = !tq_device_failed(u->ops->set_clear(set->rows, residents[i].group, residents[i].groups, u->why),
                                     u->why);
        if (!gone) residents[kept++] = residents[i];
    }
    set->residents.count = kept;
    count_used(set);
    return good;
}

static int by_group(const void *a, const void *b) {
    const struct tq_resident *const *x = a, *const *y = b;
    return ((*x)->group > (*y)->group) - ((*x)->group < (*y)->group);
}

/* The first run of so many groups that nobody has, which may lie beyond the capacity. */
static enum tq_status first_fit(const struct tq_device_set *set, struct tq_vector *scratch, uint32_t groups,
                                uint64_t *group) {
    size_t count = set->residents.count;
    TQ_TRY(tq_vector_reserve(scratch, count, sizeof(struct tq_resident *)));
    const struct tq_resident **ordered = scratch->data, *residents = set->residents.data;
    for (size_t i = 0; i < count; i++) ordered[i] = &residents[i];
    if (count > 1) qsort(ordered, count, sizeof *ordered, by_group);
    uint64_t end = 0;
    for (size_t i = 0; i < count && ordered[i]->group - end < groups; i++) end = ordered[i]->group + ordered[i]->groups;
    *group = end;
    return TQ_OK;
}

static uint64_t groups_of(const struct tq_segment *segment) {
    return ((uint64_t)tq_segment_row_count(segment) + GROUP - 1) / GROUP;
}

static bool reserve(struct update *u, uint64_t groups) {
    struct tq_device_set *set = u->set;
    if (groups <= set->capacity) return true;
    tq_device_set_close_lanes(set); /* they are as large as the set was */
    if (tq_device_failed(u->ops->set_reserve(set->rows, groups, u->why), u->why)) return false;
    set->capacity = groups;
    return true;
}

/* There is no room for the rows twice: then they go, and come again. */
static void start_over(struct update *u) {
    struct tq_device_set *set = u->set;
    if (!tq_device_is_usable()) return;
    set->residents.count = 0;
    set->used = 0;
    if (!tq_device_failed(u->ops->set_reserve(set->rows, 0, u->why), u->why)) set->capacity = 0;
}

/* Capacity for the view's segments, or for as many as fit. It grows by a third at least, because memory may have to be
 * copied; what this view lacks makes room before that. False after a failure that leaves the rows unknown. */
static bool make_room(struct update *u) {
    struct tq_device_set *set = u->set;
    uint64_t more = 0, third = set->capacity + set->capacity / 3;
    for (size_t i = 0; i < u->view->count; i++)
        more += is_missing(set, u->view->segments[i].segment) ? groups_of(u->view->segments[i].segment) : 0;
    if (set->used + more <= set->capacity) return true;
    if (set->capacity > 0 && !clear_absent(u, true)) return false;
    uint64_t wanted = set->used + more;
    if (wanted <= set->capacity) return true;
    uint64_t room = tq_device_set_room(set, u->ops, wanted < third ? third : wanted);
    if (room < wanted) room = tq_device_set_room(set, u->ops, wanted);
    if (!reserve(u, room) && set->capacity > 0 && room >= set->capacity + set->capacity / 8) start_over(u);
    /* Others may have taken what was free when the device was opened. */
    while (tq_device_is_usable() && room > set->capacity && !reserve(u, room)) room = room > wanted ? wanted : room / 2;
    return tq_device_is_usable();
}

/* ---- Uploading ---- */

/* Read and verify a segment's codes in the order in which they lie: row by row they would be asked for page by page. */
static enum tq_status load(const struct update *u, struct tq_segment *segment) {
    uint32_t chunks = tq_segment_code_chunks(segment);
    int worst = TQ_OK;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)u->threads) reduction(min : worst) if (u->threads > 1)
#endif
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        int status = tq_segment_load(segment, chunk);
        worst = status < worst ? status : worst;
    }
    return (enum tq_status)worst;
}

/* Rows of a segment, a block's at most, from `row` on, to the place of row `row` - `first` of the stage. */
static enum tq_status fill_block(const struct tq_codec *codec, struct tq_segment *segment, uint32_t row, uint32_t count,
                                 uint32_t first, const struct tq_cuda_rows *stage) {
    const struct tq_format *format = &codec->format;
    size_t stride = format->record_stride, to = row - first;
    uint32_t rows[TQ_BLOCK_ROWS], block = row / TQ_BLOCK_ROWS, at = row % TQ_BLOCK_ROWS;
    const uint8_t *records[TQ_BLOCK_ROWS];
    uint8_t *out = stage->records + to * stride;
    const void *errors = NULL, *second = NULL;
    for (uint32_t i = 0; i < count; i++) rows[i] = row + i;
    TQ_TRY(tq_segment_records(segment, rows, count, out, records));
    TQ_TRY(tq_segment_block(segment, TQ_PLANE_FIRST_ERROR, block, &errors));
    if (format->scan_planes > 1) TQ_TRY(tq_segment_block(segment, TQ_PLANE_SECOND_SCALARS, block, &second));
    for (uint32_t i = 0; i < count; i++) {
        struct tq_second_scalars scalars = {0, 0};
        if (second != NULL) scalars = tq_second_of(second, at + i);
        if (!format->packed) memcpy(out + i * stride, records[i], stride);
        stage->first_error[to + i] = tq_first_error_at(format, errors, at + i);
        stage->second[2 * (to + i)] = scalars.inverse;
        stage->second[2 * (to + i) + 1] = scalars.error;
    }
    return TQ_OK;
}

/* Rows first .. first + count - 1 of a segment, where `first` is a multiple of 64, by the threads of the search. */
static enum tq_status fill(const struct update *u, struct tq_segment *segment, uint32_t first, uint32_t count,
                           const struct tq_cuda_rows *stage) {
    uint32_t block = first / TQ_BLOCK_ROWS, end = first + count, blocks = (end - 1) / TQ_BLOCK_ROWS + 1;
    int worst = TQ_OK;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 8) num_threads((int)u->threads) reduction(min : worst) if (u->threads > 1)
#endif
    for (uint32_t b = block; b < blocks; b++) {
        uint32_t row = b * TQ_BLOCK_ROWS < first ? first : b * TQ_BLOCK_ROWS;
        uint32_t last = (b + 1) * TQ_BLOCK_ROWS < end ? (b + 1) * TQ_BLOCK_ROWS : end;
        int status = fill_block(u->codec, segment, row, last - row, first, stage);
        worst = status < worst ? status : worst;
    }
    return (enum tq_status)worst;
}

/* *good is false after a failure of the device; any other is the status. */
static enum tq_status upload(struct update *u, struct tq_segment *segment, uint64_t group, bool *good) {
    uint32_t rows = tq_segment_row_count(segment);
    TQ_TRY(tq_stop_check(u->stop));
    TQ_TRY(load(u, segment));
    for (uint32_t row = 0; row < rows && *good;) {
        struct tq_cuda_rows stage;
        size_t room = 0;
        TQ_TRY(tq_stop_check(u->stop));
        *good = !tq_device_failed(u->ops->set_stage(u->set->rows, &stage, &room, u->why), u->why);
        if (!*good) break;
        uint32_t count = rows - row < room ? rows - row : (uint32_t)room;
        TQ_TRY(fill(u, segment, row, count, &stage));
        *good = !tq_device_failed(u->ops->set_put(u->set->rows, group + row / GROUP, count, u->why), u->why);
        row += count;
    }
    return TQ_OK;
}

static enum tq_status note_resident(struct tq_device_set *set, struct tq_segment *segment, uint64_t group) {
    TQ_TRY(tq_vector_reserve(&set->residents, set->residents.count + 1, sizeof(struct tq_resident)));
    struct tq_resident *residents = set->residents.data, made = {.group = group, .seen = set->searches};
    made.rows = tq_segment_row_count(segment);
    made.groups = (uint32_t)groups_of(segment);
    tq_segment_identity(segment, made.identity);
    size_t at = set->residents.count++;
    for (; at > 0 && by_identity(residents[at - 1].identity, made.identity) > 0; at--)
        residents[at] = residents[at - 1];
    residents[at] = made;
    count_used(set);
    return TQ_OK;
}

static void forget_resident(struct tq_device_set *set, struct tq_segment *segment) {
    struct tq_resident *residents = set->residents.data, *gone = tq_device_set_find(set, segment);
    if (gone == NULL) return;
    size_t at = (size_t)(gone - residents);
    memmove(gone, gone + 1, (set->residents.count - at - 1) * sizeof *gone);
    set->residents.count--;
    count_used(set);
}

/* Bytes that fail their sums are the CPU's to tell of, if its search comes across them. */
static enum tq_status refuse(struct tq_device_set *set, const struct tq_segment *segment) {
    TQ_TRY(tq_vector_reserve(&set->refused, set->refused.count + 1, 2 * sizeof(uint64_t)));
    tq_segment_identity(segment, (uint64_t *)set->refused.data + 2 * set->refused.count++);
    return TQ_OK;
}

/* Put one segment where it fits. *fits is false if it does not. */
static enum tq_status place(struct update *u, struct tq_segment *segment, struct tq_vector *scratch, bool *good,
                            bool *fits) {
    struct tq_device_set *set = u->set;
    uint64_t group = 0, groups = groups_of(segment);
    TQ_TRY(first_fit(set, scratch, (uint32_t)groups, &group));
    *fits = group + groups <= set->capacity;
    if (!*fits) return TQ_OK;
    TQ_TRY(note_resident(set, segment, group));
    enum tq_status status = upload(u, segment, group, good);
    if (status == TQ_OK && *good) return TQ_OK;
    forget_resident(set, segment);
    struct tq_cuda_why ignored;
    if (*good) *good = !tq_device_failed(u->ops->set_clear(set->rows, group, groups, &ignored), &ignored);
    return status == TQ_CORRUPT ? refuse(set, segment) : status;
}

static enum tq_status place_missing(struct update *u, struct tq_stop *stop, bool *good) {
    struct tq_device_set *set = u->set;
    struct tq_vector scratch = {0};
    enum tq_status status = TQ_OK;
    bool crowded = false;
    for (size_t i = 0; i < u->view->count && status == TQ_OK && *good; i++) {
        bool fits = true;
        if (!is_missing(set, u->view->segments[i].segment)) continue;
        status = place(u, u->view->segments[i].segment, &scratch, good, &fits);
        crowded |= !fits;
        if (fits) u->stop = stop;
    }
    set->crowded = crowded || !*good ? 1 + tq_device_epoch() : 0;
    tq_free(scratch.data);
    return status;
}

static bool open_set(struct update *u) {
    struct tq_cuda_codec codec;
    if (u->set->rows != NULL) return true;
    tq_device_codec(u->codec, &codec);
    return !tq_device_failed(u->ops->set_open(u->cuda, &codec, &u->set->rows, u->why), u->why);
}

enum tq_status tq_device_set_update(struct tq_device_set *set, const struct tq_cuda_ops *ops, struct tq_cuda *cuda,
                                    const struct tq_searcher *s, struct tq_cuda_why *why) {
    struct update u = {set, ops, cuda, s->codec, s->view, NULL, s->worker_count, why};
    set->generation++;
    bool good = tq_device_is_usable() && open_set(&u) && clear_absent(&u, false); /* as it was before the lock */
    enum tq_status status = TQ_OK;
    if (good) {
        good = make_room(&u);
        if (good) status = place_missing(&u, s->stop, &good);
        if (good) good = !tq_device_failed(ops->set_finish(set->rows, why), why);
    }
    if (!good) {
        tq_device_set_empty(set); /* what a failed call has left there is not known */
        set->crowded = 1 + tq_device_epoch();
    }
    tq_device_set_count(set, ops);
    return status;
}
