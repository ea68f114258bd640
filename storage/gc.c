/* Values in LMDB that nothing refers to: found, listed, and deleted when no snapshot can need them any more. */
#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/sweep.h"

#define BATCH 64u /* values of at most 1 MiB deleted by one write */

/* ---- Listing ---- */

struct keys {
    uint64_t *list;
    size_t count, capacity;
};

static enum tq_status gc_add(struct tq_table *table, uint64_t version, const struct keys *keys) {
    return tq_catalog_gc_add(table->catalog, table->part, version, keys->list, keys->count);
}

enum tq_status tq_gc_list(struct tq_table *table, const struct tq_segment *segment, bool with_exact) {
    size_t exact_count = 0;
    size_t code_count = tq_segment_keys(segment, NULL, 0, NULL, 0, &exact_count);
    uint64_t *keys = tq_alloc_array(code_count + exact_count, sizeof *keys);
    if (keys == NULL) return TQ_NOMEM;
    (void)tq_segment_keys(segment, keys, code_count, keys + code_count, exact_count, &exact_count);
    size_t count = code_count + (with_exact ? exact_count : 0);
    enum tq_status status = gc_add(table, tq_txn_version(table), &(struct keys){keys, count, count});
    tq_free(keys);
    return status;
}

static enum tq_status keys_room(struct keys *keys, size_t more) {
    if (keys->count + more <= keys->capacity) return TQ_OK;
    size_t capacity = (keys->count + more) * 2, size = sizeof *keys->list;
    uint64_t *grown = tq_realloc(keys->list, keys->count * size, capacity * size);
    if (grown == NULL) return TQ_NOMEM;
    keys->list = grown;
    keys->capacity = capacity;
    return TQ_OK;
}

static int compare_keys(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Keys that the segments of this transaction refer to, ascending. */
static enum tq_status keys_in_use(struct tq_table *table, struct keys *used) {
    uint64_t old = tq_env_key(table->identity.number, table->txn.begin.serial);
    for (size_t i = 0; i < table->cache.count; i++) {
        const struct tq_cached_segment *cached = &table->cache.segments[i];
        if (cached->row.dir_key <= old) continue;
        size_t exact_count = 0;
        size_t code_count = tq_segment_keys(cached->segment, NULL, 0, NULL, 0, &exact_count);
        TQ_TRY(keys_room(used, code_count + exact_count));
        uint64_t *at = used->list + used->count;
        (void)tq_segment_keys(cached->segment, at, code_count, at + code_count, exact_count, &exact_count);
        used->count += code_count + exact_count;
    }
    if (used->count != 0) qsort(used->list, used->count, sizeof *used->list, compare_keys);
    return TQ_OK;
}

static enum tq_status keys_above(struct tq_table *table, uint32_t number, uint64_t serial, struct keys *keys) {
    size_t count = 0;
    TQ_TRY(tq_env_keys_above(table->env, number, serial, NULL, 0, &count));
    TQ_TRY(keys_room(keys, count));
    TQ_TRY(tq_env_keys_above(table->env, number, serial, keys->list, count, &keys->count));
    if (keys->count > count) keys->count = count;
    return TQ_OK;
}

/* What was there when the transaction began can never have been seen, if the folder was one step ahead at most;
 * if it was further ahead, another copy of the catalog may own it. What this transaction itself has left over
 * counts as replaced now: a savepoint may bring back what refers to it. */
static enum tq_status list_orphans(struct tq_table *table, const struct keys *found, const struct keys *used) {
    const struct tq_transaction *txn = &table->txn;
    uint64_t foreign_end = tq_env_key(table->identity.number, txn->foreign_serial);
    struct keys before = {0}, own = {0};
    enum tq_status status = keys_room(&before, found->count + 1);
    if (status == TQ_OK) status = keys_room(&own, found->count + 1);
    for (size_t i = 0; status == TQ_OK && i < found->count; i++) {
        uint64_t key = found->list[i];
        if (used->count != 0 && bsearch(&key, used->list, used->count, sizeof key, compare_keys) != NULL) continue;
        struct keys *to = key <= foreign_end ? &before : &own;
        to->list[to->count++] = key;
    }
    uint64_t version = txn->foreign ? TQ_GC_KEPT : TQ_GC_NOW;
    if (status == TQ_OK) status = gc_add(table, version, &before);
    if (status == TQ_OK) status = gc_add(table, tq_txn_version(table), &own);
    tq_free(before.list);
    tq_free(own.list);
    return status;
}

static enum tq_status collect_orphans(struct tq_table *table) {
    struct keys found = {0}, used = {0};
    enum tq_status status = tq_cache_sync(table);
    if (status == TQ_OK) status = keys_above(table, table->identity.number, table->txn.begin.serial, &found);
    if (status == TQ_OK) status = keys_in_use(table, &used);
    if (status == TQ_OK) status = list_orphans(table, &found, &used);
    if (status == TQ_OK) status = tq_txn_state(table);
    tq_free(found.list);
    tq_free(used.list);
    return status;
}

/* A number that is damaged may be another index's, whose values would go. */
static enum tq_status is_living(struct tq_table *table, uint32_t number, bool *living) {
    struct tq_named_numbers numbers;
    enum tq_status status = tq_numbers_named(table->conn, tq_env_uuid(table->env), &numbers);
    *living = status == TQ_UNSUPPORTED; /* tables of another version: whose it is cannot be known */
    if (*living) return TQ_OK;
    TQ_TRY(status);
    for (size_t i = 0; i < numbers.count; i++) {
        if (numbers.list[i].number == number && numbers.list[i].living) *living = true;
    }
    tq_free(numbers.list);
    return TQ_OK;
}

static enum tq_status list_dropped(struct tq_table *table, uint32_t number) {
    struct keys keys = {0};
    enum tq_status status = keys_above(table, number, 0, &keys);
    if (status == TQ_OK) status = gc_add(table, tq_txn_version(table), &keys);
    tq_free(keys.list);
    return status;
}

/* Indexes that were dropped: their values become ours to delete, as if we had replaced them now. */
static enum tq_status collect_dropped(struct tq_table *table) {
    uint32_t number = 0;
    TQ_TRY(tq_catalog_dropped_take(table->catalog, &number));
    while (number != 0) {
        bool living = false;
        TQ_TRY(is_living(table, number, &living));
        if (!living) TQ_TRY(list_dropped(table, number));
        TQ_TRY(tq_txn_state(table));
        TQ_TRY(tq_catalog_dropped_take(table->catalog, &number));
    }
    return TQ_OK;
}

enum tq_status tq_gc_collect(struct tq_table *table) {
    enum tq_status status = TQ_OK;
    if (table->txn.env_ready && table->txn.leftovers) {
        status = collect_orphans(table);
        if (status == TQ_OK) table->txn.leftovers = false;
    }
    if (status == TQ_OK) status = collect_dropped(table);
    if (status != TQ_OK) table->txn.broken = true;
    return status;
}

/* ---- Deleting ---- */

/* Readers that take turns never let the whole log be copied. But each of them is at frame `copied` or behind it, and so
 * past every version that was met when the log was no longer than that. */
static uint64_t newest_marked(struct tq_table *table, const struct tq_wal_look *wal) {
    uint64_t newest = TQ_GC_NOW;
    if (wal->salt == 0) return newest;
    for (size_t i = 0; i < TQ_GC_MARKS; i++) {
        const struct tq_gc_mark *mark = &table->marks[i];
        bool passed = mark->wal.salt != wal->salt || mark->wal.frames <= wal->copied;
        if (mark->wal.salt != 0 && passed && mark->version > newest) newest = mark->version;
    }
    table->marks[table->mark_next++ % TQ_GC_MARKS] = (struct tq_gc_mark){table->txn.begin.version, *wal};
    return newest;
}

/* The newest version whose values may go: version v is proved when no snapshot older than v is read or can come
 * back. Only versions committed before this transaction count. */
static enum tq_status newest_proved(struct tq_table *table, uint64_t *newest) {
    uint64_t begin = table->txn.begin.version;
    struct tq_gc_range range = {table->part, TQ_GC_NOW + 1, begin};
    bool any = false;
    *newest = TQ_GC_NOW;
    TQ_TRY(tq_catalog_gc_any(table->catalog, &range, &any));
    if (!any) return TQ_OK;
    struct tq_wal_look wal;
    enum tq_proof proof = tq_conn_prove(table->conn, &wal);
    if (proof == TQ_PROOF_WAL) *newest = begin;
    if (proof == TQ_PROOF_JOURNAL) *newest = begin - 1;
    if (proof == TQ_PROOF_WAL_PART) *newest = newest_marked(table, &wal);
    return TQ_OK;
}

static enum tq_status delete_keys(struct tq_table *table, const uint64_t *keys, size_t count) {
    TQ_TRY(tq_txn_env(table));
    struct tq_env_batch batch = {
        .deletes = keys, .delete_count = count, .index = table->identity.number, .meta = table->txn.sink.meta};
    return tq_env_write(table->env, &batch);
}

/* One batch; *count 0: nothing was left. */
static enum tq_status run_batch(struct tq_table *table, uint64_t low, uint64_t high, size_t *count) {
    uint64_t keys[BATCH];
    struct tq_gc_range range = {table->part, low, high};
    *count = 0;
    enum tq_status status = tq_catalog_gc_take(table->catalog, &range, keys, BATCH, count);
    if (status == TQ_OK && *count == 0) return TQ_OK;
    if (status != TQ_OK) {
        table->txn.broken = status != TQ_CORRUPT; /* a list that cannot be read was left as it is */
        return status;
    }
    enum tq_status deleted = delete_keys(table, keys, *count);
    if (deleted != TQ_OK) status = gc_add(table, high, &(struct keys){keys, *count, BATCH}); /* back, for later */
    if (status == TQ_OK) status = tq_txn_state(table);
    if (status != TQ_OK) table->txn.broken = true;
    return deleted != TQ_OK ? deleted : status;
}

static enum tq_status run_proved(struct tq_table *table, bool all) {
    uint64_t newest = TQ_GC_NOW;
    size_t count = 1;
    TQ_TRY(newest_proved(table, &newest));
    while (count != 0) {
        TQ_TRY(tq_stop_check(tq_stop_current()));
        TQ_TRY(run_batch(table, TQ_GC_NOW, newest, &count));
        if (!all) return TQ_OK;
    }
    return TQ_OK;
}

enum tq_status tq_gc_run(struct tq_table *table) { return run_proved(table, false); }

/* With a rollback journal, what the last version replaced may go once there is another one. */
static enum tq_status promise_more(struct tq_table *table) {
    struct tq_gc_range listed = {table->part, TQ_GC_NOW, TQ_GC_KEPT - 1};
    bool any = false;
    TQ_TRY(tq_catalog_gc_any(table->catalog, &listed, &any));
    return any && table->state.version == table->txn.begin.version ? tq_txn_state(table) : TQ_OK;
}

enum tq_status tq_gc_run_all(struct tq_table *table) {
    size_t count = 1;
    TQ_TRY(run_proved(table, true));
    while (count != 0) TQ_TRY(run_batch(table, TQ_GC_KEPT, TQ_GC_KEPT, &count));
    return promise_more(table);
}

enum tq_status tq_table_collect(struct tq_table *table) {
    TQ_TRY(tq_txn_begin(table));
    TQ_TRY(tq_txn_env(table));
    TQ_TRY(tq_gc_collect(table));
    TQ_TRY(run_proved(table, true));
    TQ_TRY(promise_more(table));
    tq_table_release(table);
    return TQ_OK;
}
