/* What a snapshot holds: segments, their dead rows, and the log's rows as one more segment in memory.
 *
 * When the database has changed, a query reads three numbers through SQLite (version, nonce, last seq); only what
 * they say has changed is read anew. The LMDB reader is renewed after SQLite's snapshot exists: every value the catalog
 * names was durable before the catalog named it. */
#include <string.h>

#include "src/base/alloc.h"
#include "storage/conn_sql.h"
#include "storage/log_record.h"
#include "storage/table_parts.h"

/* ---- Dead rows ---- */

static uint32_t bytes_of(uint32_t rows) { return (rows + 7) / 8; }

/* A list of u16 row numbers as long as that is not longer than the bitmap: `dead` tells which it is. */
static bool is_list(uint32_t rows, uint32_t dead) { return 2 * (uint64_t)dead <= bytes_of(rows); }

void tq_bits_encode(const uint64_t *bits, uint32_t rows, uint32_t dead, uint8_t *bytes, size_t *size) {
    if (!is_list(rows, dead)) {
        *size = bytes_of(rows);
        memcpy(bytes, bits, *size);
        return;
    }
    *size = 0;
    for (uint32_t row = 0; row < rows; row++) {
        if (!tq_bit(bits, row)) continue;
        uint16_t number = (uint16_t)row;
        memcpy(bytes + *size, &number, sizeof number);
        *size += sizeof number;
    }
}

bool tq_bits_decode(const struct tq_catalog_segment *row, uint64_t *bits) {
    uint32_t dead = 0;
    if (is_list(row->rows, row->dead)) {
        if (row->bits_size != 2 * (size_t)row->dead) return false;
        for (uint32_t i = 0; i < row->dead; i++) {
            uint16_t number = 0;
            memcpy(&number, (const uint8_t *)row->bits + 2 * i, sizeof number);
            if (number >= row->rows) return false;
            bits[number / 64] |= 1ull << (number % 64);
        }
    } else {
        if (row->bits_size != bytes_of(row->rows)) return false;
        memcpy(bits, row->bits, row->bits_size);
        if (row->rows % 64 != 0 && bits[row->rows / 64] >> (row->rows % 64) != 0) return false;
    }
    for (uint32_t i = 0; i <= row->rows / 64; i++) dead += (uint32_t)__builtin_popcountll(bits[i]);
    return dead == row->dead;
}

static uint64_t *bits_new(uint32_t rows) { return tq_alloc_zero(rows / 64 * sizeof(uint64_t) + sizeof(uint64_t)); }

static enum tq_status bits_set(uint64_t **bits, uint32_t rows, uint32_t row, uint32_t *dead) {
    if (*bits == NULL) *bits = bits_new(rows);
    if (*bits == NULL) return TQ_NOMEM;
    if (!tq_bit(*bits, row)) ++*dead;
    (*bits)[row / 64] |= 1ull << (row % 64);
    return TQ_OK;
}

/* ---- Segments ---- */

static void log_clear(struct tq_cached_log *log, bool owned) {
    if (owned) tq_builder_close(log->builder);
    tq_free(log->bits);
    *log = (struct tq_cached_log){0};
}

static void segments_clear(struct tq_cached_segment *segments, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tq_segment_close(segments[i].segment);
        tq_free(segments[i].bits);
    }
}

void tq_cache_forget(struct tq_table *table) {
    table->cache.valid = false;
    table->cache.change++;
}

void tq_cache_close(struct tq_table *table) {
    struct tq_cache *cache = &table->cache;
    segments_clear(cache->segments, cache->count);
    log_clear(&cache->log, true);
    log_clear(&cache->open, false);
    tq_free(cache->segments);
    tq_free(cache->view);
    *cache = (struct tq_cache){0};
}

/* Other parts may be reading: what their snapshot names, being the same one, is in the newer reader too. */
static enum tq_status reader_renew(struct tq_table *table) {
    struct tq_table_shared *shared = table->shared;
    if (shared->reader == NULL) {
        TQ_TRY(tq_env_reader_open(table->env, &shared->reader));
    } else {
        TQ_TRY(tq_env_reader_renew(shared->reader));
    }
    if (!table->reader_live) shared->reading++;
    table->reader_live = true;
    return TQ_OK;
}

static enum tq_status segment_open(struct tq_table *table, struct tq_cached_segment *cached) {
    const struct tq_catalog_segment *row = &cached->row;
    enum tq_status status = TQ_NOT_FOUND;
    for (int attempt = 0; attempt < 2 && status == TQ_NOT_FOUND; attempt++) {
        if (attempt > 0) TQ_TRY(reader_renew(table));
        status = tq_segment_open(table->env, table->shared->reader, &table->format, row->dir_key, row->dir_sum,
                                 &cached->segment);
    }
    if (status == TQ_NOT_FOUND) return tq_table_value_missing(table, row->dir_key);
    TQ_TRY(status);
    if (tq_segment_row_count(cached->segment) == row->rows &&
        tq_segment_slot_first(cached->segment) >= row->slot_first &&
        tq_segment_slot_end(cached->segment) <= row->slot_end) {
        return TQ_OK;
    }
    return tq_fail(TQ_CORRUPT, "index \"%s\": segment at slot %llu differs from what the catalog says of it",
                   tq_catalog_name(table->catalog), (unsigned long long)row->slot_first);
}

struct load {
    struct tq_table *table;
    struct tq_cached_segment *segments;
    size_t count, capacity;
};

static enum tq_status load_one(void *context, const struct tq_catalog_segment *row) {
    struct load *load = context;
    if (load->count == load->capacity) {
        size_t capacity = load->capacity * 2 + 32, size = sizeof *load->segments;
        struct tq_cached_segment *grown = tq_realloc(load->segments, load->count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        load->segments = grown;
        load->capacity = capacity;
    }
    struct tq_cached_segment *cached = &load->segments[load->count++];
    *cached = (struct tq_cached_segment){.row = *row, .dead = row->dead};
    cached->row.bits = NULL;
    TQ_TRY(segment_open(load->table, cached));
    if (row->dead == 0) return TQ_OK;
    cached->bits = bits_new(row->rows);
    if (cached->bits == NULL) return TQ_NOMEM;
    if (tq_bits_decode(row, cached->bits)) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "index \"%s\": dead rows of the segment at slot %llu contradict each other",
                   tq_catalog_name(load->table->catalog), (unsigned long long)row->slot_first);
}

/* All of them; a segment that is open stays so, because the old ones are closed last. */
static enum tq_status load_segments(struct tq_table *table) {
    struct tq_cache *cache = &table->cache;
    struct load load = {.table = table};
    TQ_TRY(reader_renew(table));
    enum tq_status status = tq_catalog_segment_scan(table->catalog, table->part, load_one, &load);
    if (status != TQ_OK) {
        segments_clear(load.segments, load.count);
        tq_free(load.segments);
        return status;
    }
    segments_clear(cache->segments, cache->count);
    tq_free(cache->segments);
    cache->segments = load.segments;
    cache->count = load.count;
    cache->capacity = load.capacity;
    return TQ_OK;
}

struct tq_cached_segment *tq_cache_find(struct tq_table *table, uint64_t slot) {
    struct tq_cache *cache = &table->cache;
    size_t low = 0, high = cache->count;
    while (low < high) { /* the first that begins behind the slot */
        size_t mid = low + (high - low) / 2;
        if (cache->segments[mid].row.slot_first <= slot)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0 || slot >= cache->segments[low - 1].row.slot_end) return NULL;
    return &cache->segments[low - 1];
}

/* ---- Log ---- */

static enum tq_status corrupt_entry(struct tq_table *table, const struct tq_log_entry *entry, const char *what) {
    return tq_fail(TQ_CORRUPT, "table \"%s_log\": record %llu (slot %llu) %s", tq_catalog_name(table->catalog),
                   (unsigned long long)entry->seq, (unsigned long long)entry->slot, what);
}

static enum tq_status apply_put(struct tq_table *table, const struct tq_log_entry *entry) {
    struct tq_cached_log *log = &table->cache.log;
    uint8_t *record = table->record + tq_round_up(tq_log_record_bytes(&table->format), TQ_ALIGN);
    struct tq_log_place place = {entry->seq, entry->id, entry->slot};
    struct tq_row row;
    if (!tq_log_record_read(&table->format, place, entry->blob, entry->size, record, &row)) {
        return corrupt_entry(table, entry, "fails its checksum");
    }
    if (log->builder == NULL) {
        log->capacity = (TQ_LOG_FLUSHES_MAX + 1) * table->flush_rows;
        TQ_TRY(tq_builder_open(&table->format, entry->slot, log->capacity, NULL, &log->builder));
    } else if (tq_builder_row_count(log->builder) >= log->capacity) {
        return corrupt_entry(table, entry, "is one more than a log can hold");
    } else if (entry->slot < log->slot_next) {
        return corrupt_entry(table, entry, "goes back behind the one before it");
    }
    TQ_TRY(tq_builder_append(log->builder, entry->id, entry->slot, &row));
    log->slot_next = entry->slot + 1;
    log->segment = NULL;
    return TQ_OK;
}

/* The rows in memory as a segment, made once for as long as they stay the same. */
static enum tq_status memory_segment(struct tq_cached_log *log, struct tq_segment **segment) {
    if (log->segment == NULL && log->builder != NULL) {
        log->segment = tq_builder_segment(log->builder);
        if (log->segment == NULL) return tq_fail(TQ_NOMEM, "out of memory for %s", "the view of fresh rows");
    }
    *segment = log->segment;
    return TQ_OK;
}

static enum tq_status apply_del(struct tq_table *table, const struct tq_log_entry *entry) {
    struct tq_cache *cache = &table->cache;
    struct tq_cached_segment *cached = tq_cache_find(table, entry->slot);
    struct tq_cached_log *log = table->txn.builder != NULL ? &cache->open : &cache->log;
    struct tq_segment *segment = NULL;
    uint32_t row = 0;
    if (cached != NULL)
        segment = cached->segment;
    else
        TQ_TRY(memory_segment(log, &segment));
    if (segment == NULL || entry->slot < tq_segment_slot_first(segment)) {
        return corrupt_entry(table, entry, "deletes a row that does not exist");
    }
    enum tq_status status = tq_segment_find(segment, entry->slot, &row);
    if (status == TQ_NOT_FOUND) return corrupt_entry(table, entry, "deletes a row that does not exist");
    TQ_TRY(status);
    if (cached != NULL) return bits_set(&cached->bits, cached->row.rows, row, &cached->dead);
    return bits_set(&log->bits, log->capacity, row, &log->dead);
}

/* What tells an entry from another with the same seq: a restored database may use it again. */
static uint64_t entry_sum(const struct tq_log_entry *entry) {
    if (entry->op == TQ_LOG_PUT) return tq_log_record_sum(entry->blob, entry->size);
    return (entry->slot * 0x9e3779b97f4a7c15u) ^ (uint64_t)entry->id;
}

struct follow {
    struct tq_table *table;
    bool check, differs;
};

static enum tq_status follow_one(void *context, const struct tq_log_entry *entry) {
    struct follow *follow = context;
    struct tq_cache *cache = &follow->table->cache;
    if (follow->check) { /* the last one that was applied */
        follow->check = false;
        if (entry->seq == cache->seq && entry_sum(entry) == cache->sum) return TQ_OK;
        follow->differs = true;
        return TQ_NOT_FOUND; /* ends the scan */
    }
    if (entry->op != TQ_LOG_PUT && entry->op != TQ_LOG_DEL) {
        return corrupt_entry(follow->table, entry, "is of an unknown kind");
    }
    TQ_TRY(entry->op == TQ_LOG_PUT ? apply_put(follow->table, entry) : apply_del(follow->table, entry));
    cache->seq = entry->seq;
    cache->sum = entry_sum(entry);
    cache->change++;
    return TQ_OK;
}

/* *differs: the log is not a continuation of what was applied. */
static enum tq_status follow_log(struct tq_table *table, bool *differs) {
    uint64_t from = table->cache.seq;
    struct follow follow = {.table = table, .check = from != 0};
    enum tq_status status = tq_catalog_log_scan(table->catalog, table->part, from, follow_one, &follow);
    *differs = follow.differs || (status == TQ_OK && follow.check);
    return follow.differs ? TQ_OK : status;
}

/* ---- Both ---- */

/* The builder of a bulk shows its rows as one more segment; dels find them there. */
static void see_open(struct tq_table *table) {
    struct tq_cache *cache = &table->cache;
    struct tq_builder *builder = table->txn.builder;
    uint32_t rows = builder != NULL ? tq_builder_row_count(builder) : 0;
    if (builder != cache->open.builder) {
        log_clear(&cache->open, false);
        cache->open.builder = builder;
        cache->open.capacity = table->rows_max;
    }
    if (rows != cache->open_rows) {
        cache->open.segment = NULL;
        cache->change++;
    }
    cache->open_rows = rows;
}

static enum tq_status load_all(struct tq_table *table, uint64_t version, uint64_t nonce) {
    struct tq_cache *cache = &table->cache;
    bool differs = false;
    cache->valid = false;
    cache->change++;
    TQ_TRY(load_segments(table));
    log_clear(&cache->log, true);
    log_clear(&cache->open, false);
    see_open(table);
    cache->seq = 0;
    TQ_TRY(follow_log(table, &differs));
    cache->version = version;
    cache->nonce = nonce;
    cache->valid = true;
    return TQ_OK;
}

/* Asking SQLite costs microseconds, which a search over many parts would pay for each of them. */
static bool cache_is_current(struct tq_table *table) {
    const struct tq_cache *cache = &table->cache;
    if (!cache->valid || table->txn.active || cache->data_version == 0) return false;
    return tq_conn_has_snapshot(table->conn) && tq_conn_data_version(table->conn) == cache->data_version;
}

enum tq_status tq_cache_sync(struct tq_table *table) {
    struct tq_cache *cache = &table->cache;
    uint64_t version = 0, nonce = 0, seq = 0;
    bool differs = false;
    if (cache_is_current(table)) return table->reader_live ? TQ_OK : reader_renew(table);
    TQ_TRY(tq_catalog_glance(table->catalog, table->part, &version, &nonce, &seq));
    uint32_t data_version = tq_conn_data_version(table->conn);
    if (!table->reader_live) TQ_TRY(reader_renew(table));
    if (!cache->valid || version != cache->version || nonce != cache->nonce) {
        TQ_TRY(load_all(table, version, nonce));
    } else {
        see_open(table);
        if (seq != cache->seq || data_version != cache->data_version || data_version == 0) {
            enum tq_status status = follow_log(table, &differs);
            if (status != TQ_OK) cache->valid = false;
            TQ_TRY(status);
        }
        if (differs) TQ_TRY(load_all(table, version, nonce));
    }
    cache->data_version = data_version;
    return TQ_OK;
}

static enum tq_status view_room(struct tq_cache *cache) {
    if (cache->view_capacity >= cache->count + 1) return TQ_OK;
    size_t capacity = cache->count * 2 + 16;
    struct tq_view_segment *view = tq_alloc_array(capacity, sizeof *view);
    if (view == NULL) return TQ_NOMEM;
    tq_free(cache->view);
    cache->view = view;
    cache->view_capacity = capacity;
    return TQ_OK;
}

enum tq_status tq_table_view(struct tq_table *table, struct tq_view *view) {
    struct tq_cache *cache = &table->cache;
    TQ_TRY(tq_cache_sync(table));
    TQ_TRY(view_room(cache));
    struct tq_view made = {.segments = cache->view, .count = cache->count};
    for (size_t i = 0; i < cache->count; i++) {
        const struct tq_cached_segment *from = &cache->segments[i];
        cache->view[i] = (struct tq_view_segment){from->segment, from->dead != 0 ? from->bits : NULL, from->dead};
        made.live += from->row.rows - from->dead;
    }
    struct tq_cached_log *log = cache->open_rows != 0 ? &cache->open : &cache->log;
    struct tq_segment *segment = NULL;
    TQ_TRY(memory_segment(log, &segment));
    if (segment != NULL && tq_segment_row_count(segment) != 0) {
        cache->view[made.count++] = (struct tq_view_segment){segment, log->dead != 0 ? log->bits : NULL, log->dead};
        made.log_rows = tq_segment_row_count(segment) - log->dead;
        made.live += made.log_rows;
    }
    made.version = cache->change;
    *view = made;
    return TQ_OK;
}

void tq_table_release(struct tq_table *table) {
    struct tq_table_shared *shared = table->shared;
    if (table->reader_live && --shared->reading == 0) tq_env_reader_reset(shared->reader);
    table->reader_live = false;
}
