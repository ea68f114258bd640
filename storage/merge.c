/* Merge: neighbouring segments become one, dead rows are dropped, exact rows stay where they are.
 *
 * Levels: a segment of level l holds about T * 8^l rows. Eight neighbours of a level become one of the next; on
 * the last level below R / 2 one waits until R is reached, so that few large segments end half empty. Codes are
 * copied, never encoded again. */
#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/directory.h"
#include "storage/table_parts.h"

#define FAN 8u
#define DEAD_MAX 35u                   /* percent: beyond it a segment is rewritten alone, and exact rows are copied */
#define DEAD_MAX_ALL 10u               /* when everything is to be merged */
#define BYTES_MAX ((uint64_t)72 << 20) /* written by a merge that a writer meets on its way */
#define CHECK_ROWS 64u                 /* copied, before it is asked again whether to go on */

struct run {
    size_t first, count;
};

static uint64_t live_of(const struct tq_cached_segment *cached) { return cached->row.rows - cached->dead; }

/* Exact rows for which there is room in the chunks a segment refers to: dead ones and what was never filled, after
 * a small flush or at the end of a bulk, count alike. */
static uint64_t exact_room(const struct tq_table *table, const struct tq_cached_segment *cached) {
    size_t chunks = 0;
    if (table->format.exact_bytes == 0) return 0;
    (void)tq_segment_keys(cached->segment, NULL, 0, NULL, 0, &chunks);
    return chunks * (uint64_t)tq_plane_units_chunk(&table->format, TQ_PLANE_EXACT);
}

/* Segments that this transaction's bulk has sealed stay as they are: ROLLBACK TO may have to enter them again. */
static bool mergeable(const struct tq_table *table, const struct tq_cached_segment *cached) {
    const struct tq_transaction *txn = &table->txn;
    return txn->sealed_count == 0 || cached->row.slot_first < txn->sealed[0].sealed.slot_first;
}

/* ---- Choosing ---- */

static unsigned level_of(const struct tq_table *table, uint64_t rows) {
    unsigned level = 0;
    for (uint64_t limit = (uint64_t)table->flush_rows * FAN / 2; rows >= limit; limit *= FAN) level++;
    return level;
}

/* From `first` on, as many as may join, fit into R and are wanted. Returns whether that is worth a merge. */
static bool extend(const struct tq_table *table, unsigned level, bool all, struct run *run) {
    const struct tq_cache *cache = &table->cache;
    uint64_t nominal = table->flush_rows, rows = 0;
    for (unsigned i = 0; i < level; i++) nominal *= FAN;
    bool last = nominal * FAN > table->rows_max / 2;
    for (run->count = 0; run->first + run->count < cache->count; run->count++) {
        const struct tq_cached_segment *cached = &cache->segments[run->first + run->count];
        uint64_t live = live_of(cached);
        if (!mergeable(table, cached)) break;
        if (!all && (live > table->rows_max / 2 || (!last && level_of(table, live) > level))) break;
        if (rows + live > table->rows_max) return run->count >= 2 && (all || last);
        rows += live;
        if (!all && !last && run->count + 1 == FAN) {
            run->count++;
            return true;
        }
    }
    if (run->count < 2) return false;
    return all || (last && rows + nominal > table->rows_max);
}

static bool choose_tier(const struct tq_table *table, bool all, struct run *run) {
    uint64_t nominal = table->flush_rows;
    for (unsigned level = 0; level == 0 || nominal <= table->rows_max / 2; level++, nominal *= FAN) {
        run->first = 0;
        while (run->first < table->cache.count) {
            if (extend(table, level, all, run)) return true;
            /* A run that ended for want of room may begin one later; one that met a larger segment, behind it. */
            run->first += all || run->count == 0 ? 1 : run->count;
        }
        if (all) break;
    }
    return false;
}

static bool choose_alone(const struct tq_table *table, bool all, struct run *run) {
    const struct tq_cache *cache = &table->cache;
    uint64_t percent = all ? DEAD_MAX_ALL : DEAD_MAX;
    for (size_t i = 0; i < cache->count; i++) {
        const struct tq_cached_segment *cached = &cache->segments[i];
        if (!mergeable(table, cached) || cached->dead == 0) continue;
        if (cached->dead * 100ull <= percent * cached->row.rows) continue;
        *run = (struct run){i, 1};
        return true;
    }
    return false;
}

/* ---- Doing ---- */

struct merge {
    struct run run;
    uint64_t live;
    bool with_exact; /* copy exact rows; else refer to the chunks they are in */
    struct tq_sealed sealed;
};

static void measure(const struct tq_table *table, bool all, struct merge *merge) {
    uint64_t room = 0, bytes = 0;
    merge->live = 0;
    for (size_t i = 0; i < merge->run.count; i++) {
        const struct tq_cached_segment *cached = &table->cache.segments[merge->run.first + i];
        merge->live += live_of(cached);
        room += exact_room(table, cached);
        bytes += tq_segment_code_bytes(cached->segment) / cached->row.rows * live_of(cached);
    }
    bytes += merge->live * table->format.exact_bytes;
    /* All or none: pieces of copied rows may reach over the small gap that an adopted segment fills. */
    merge->with_exact = room != 0 && merge->live * 100 < (100 - DEAD_MAX) * room && (all || bytes <= BYTES_MAX);
}

static enum tq_status copy_segment(struct tq_builder *builder, const struct tq_cached_segment *cached,
                                   bool with_exact) {
    for (uint32_t row = 0; row < cached->row.rows; row++) {
        if (row % CHECK_ROWS == 0) TQ_TRY(tq_stop_check(tq_stop_current()));
        if (tq_bit(cached->bits, row)) continue;
        TQ_TRY(tq_builder_copy(builder, cached->segment, row, with_exact));
    }
    return TQ_OK;
}

static enum tq_status fill(struct tq_table *table, struct merge *merge, struct tq_builder *builder) {
    const struct tq_cached_segment *cached = &table->cache.segments[merge->run.first];
    if (!merge->with_exact && table->format.exact_bytes != 0) {
        for (size_t i = 0; i < merge->run.count; i++) {
            if (live_of(&cached[i]) != 0) TQ_TRY(tq_builder_adopt(builder, cached[i].segment));
        }
    }
    for (size_t i = 0; i < merge->run.count; i++) TQ_TRY(copy_segment(builder, &cached[i], merge->with_exact));
    return tq_builder_seal(builder, &merge->sealed);
}

static enum tq_status write_folder(struct tq_table *table, struct merge *merge) {
    struct tq_builder *builder = NULL;
    TQ_TRY(tq_txn_env(table));
    if (merge->live == 0) return TQ_OK;
    uint64_t slot = table->cache.segments[merge->run.first].row.slot_first;
    TQ_TRY(tq_builder_open(&table->format, slot, (uint32_t)merge->live, &table->txn.sink, &builder));
    enum tq_status status = fill(table, merge, builder);
    tq_builder_close(builder);
    if (status != TQ_OK) table->txn.leftovers = true;
    return status;
}

static enum tq_status write_catalog(struct tq_table *table, const struct merge *merge) {
    const struct tq_cached_segment *cached = &table->cache.segments[merge->run.first];
    for (size_t i = 0; i < merge->run.count; i++) {
        /* Exact rows of a segment without a living row were not adopted. */
        bool with_exact = merge->with_exact || live_of(&cached[i]) == 0;
        TQ_TRY(tq_gc_list(table, cached[i].segment, with_exact));
        TQ_TRY(tq_catalog_segment_remove(table->catalog, cached[i].row.slot_first));
    }
    if (merge->live != 0) {
        struct tq_catalog_segment segment = {.slot_first = cached[0].row.slot_first,
                                             .slot_end = cached[merge->run.count - 1].row.slot_end,
                                             .rows = merge->sealed.rows,
                                             .dir_key = merge->sealed.dir_key,
                                             .dir_sum = merge->sealed.dir_sum};
        TQ_TRY(tq_catalog_segment_add(table->catalog, &segment));
    }
    return tq_txn_state(table);
}

static enum tq_status merge_run(struct tq_table *table, bool all, struct run run) {
    struct merge merge = {.run = run};
    measure(table, all, &merge);
    TQ_TRY(write_folder(table, &merge));
    enum tq_status status = write_catalog(table, &merge);
    if (status != TQ_OK) table->txn.broken = true;
    return status;
}

/* Dels must be in the bits before the rows they speak of are gone. */
static enum tq_status fold_first(struct tq_table *table) {
    for (size_t i = 0; i < table->cache.count; i++) {
        const struct tq_cached_segment *cached = &table->cache.segments[i];
        if (cached->dead == cached->row.dead) continue;
        TQ_TRY(tq_table_fold(table));
        return tq_cache_sync(table);
    }
    return TQ_OK;
}

/* Segments without a living row cost nothing to drop. */
static enum tq_status drop_dead(struct tq_table *table) {
    size_t i = 0;
    while (i < table->cache.count) {
        const struct tq_cached_segment *cached = &table->cache.segments[i];
        if (live_of(cached) != 0 || !mergeable(table, cached)) {
            i++;
            continue;
        }
        TQ_TRY(merge_run(table, true, (struct run){i, 1}));
        TQ_TRY(tq_cache_sync(table));
    }
    return TQ_OK;
}

enum tq_status tq_table_merge(struct tq_table *table, bool all, bool *merged) {
    struct run run = {0, 0};
    *merged = false;
    TQ_TRY(tq_cache_sync(table));
    TQ_TRY(fold_first(table));
    TQ_TRY(drop_dead(table));
    if (!choose_tier(table, all, &run) && !choose_alone(table, all, &run)) return TQ_OK;
    TQ_TRY(merge_run(table, all, run));
    *merged = true;
    return TQ_OK;
}
