/* Flush: the log's oldest rows become a segment. Fold: its dels become dead bits. */
#include "src/base/alloc.h"
#include "storage/table_parts.h"

/* ---- Fold ---- */

static enum tq_status fold_one(struct tq_table *table, const struct tq_cached_segment *cached) {
    struct tq_catalog_segment segment = cached->row;
    uint8_t *bytes = tq_alloc(segment.rows / 8 + 8);
    if (bytes == NULL) return TQ_NOMEM;
    segment.dead = cached->dead;
    segment.bits = bytes;
    tq_bits_encode(cached->bits, segment.rows, segment.dead, bytes, &segment.bits_size);
    enum tq_status status = tq_catalog_segment_mark(table->catalog, &segment);
    tq_free(bytes);
    return status;
}

/* The cache holds all dels; `slot_end`: where the log's remaining rows begin. */
static enum tq_status fold_until(struct tq_table *table, uint64_t slot_end) {
    struct tq_cache *cache = &table->cache;
    for (size_t i = 0; i < cache->count; i++) {
        struct tq_cached_segment *cached = &cache->segments[i];
        if (cached->dead != cached->row.dead) TQ_TRY(fold_one(table, cached));
    }
    return tq_catalog_log_trim(table->catalog, table->part, tq_part_first(table->part), slot_end);
}

enum tq_status tq_table_fold(struct tq_table *table) {
    struct tq_catalog_look look;
    TQ_TRY(tq_cache_sync(table));
    TQ_TRY(tq_catalog_look(table->catalog, table->part, &look));
    enum tq_status status = fold_until(table, look.any_put ? look.slot_first : table->next);
    if (status == TQ_OK) status = tq_txn_state(table);
    if (status == TQ_OK) status = tq_table_recount(table);
    if (status != TQ_OK) table->txn.broken = true;
    return status;
}

/* ---- Flush ---- */

struct flush {
    uint32_t rows;     /* of the log, from its first */
    uint64_t slot_end; /* of what is flushed */
    bool any;          /* a row of them is alive */
    struct tq_sealed sealed;
};

/* Rows that died in the log are left out. */
static enum tq_status copy_rows(struct tq_table *table, struct tq_segment *from, struct flush *flush,
                                struct tq_builder *builder) {
    const uint64_t *bits = table->cache.log.bits;
    for (uint32_t row = 0; row < flush->rows; row++) {
        if (tq_bit(bits, row)) continue;
        TQ_TRY(tq_builder_copy(builder, from, row, table->format.exact_bytes != 0));
    }
    flush->any = tq_builder_row_count(builder) != 0;
    return flush->any ? tq_builder_seal(builder, &flush->sealed) : TQ_OK;
}

static enum tq_status write_folder(struct tq_table *table, struct tq_segment *from, struct flush *flush) {
    struct tq_builder *builder = NULL;
    uint32_t all = tq_segment_row_count(from), first = 0;
    uint64_t slot = 0;
    flush->slot_end = table->next;
    if (flush->rows < all) TQ_TRY(tq_segment_slots(from, &flush->rows, 1, &flush->slot_end));
    TQ_TRY(tq_segment_slots(from, &first, 1, &slot));
    TQ_TRY(tq_builder_open(&table->format, slot, flush->rows, &table->txn.sink, &builder));
    enum tq_status status = copy_rows(table, from, flush, builder);
    tq_builder_close(builder);
    if (status != TQ_OK) table->txn.leftovers = true;
    return status;
}

static enum tq_status write_catalog(struct tq_table *table, const struct flush *flush) {
    if (flush->any) {
        struct tq_catalog_segment segment = {.slot_first = flush->sealed.slot_first,
                                             .slot_end = flush->sealed.slot_end,
                                             .rows = flush->sealed.rows,
                                             .dir_key = flush->sealed.dir_key,
                                             .dir_sum = flush->sealed.dir_sum};
        TQ_TRY(tq_catalog_segment_add(table->catalog, &segment));
    }
    TQ_TRY(fold_until(table, flush->slot_end));
    TQ_TRY(tq_txn_state(table));
    return tq_table_recount(table);
}

enum tq_status tq_table_flush(struct tq_table *table, uint64_t rows) {
    TQ_TRY(tq_txn_env(table));
    TQ_TRY(tq_cache_sync(table));
    struct tq_builder *builder = table->cache.log.builder;
    struct tq_segment *from = builder != NULL ? tq_builder_segment(builder) : NULL;
    if (builder != NULL && from == NULL) return TQ_NOMEM;
    if (from == NULL || tq_segment_row_count(from) == 0) return tq_table_recount(table);
    uint64_t most = tq_segment_row_count(from);
    if (most > table->rows_max) most = table->rows_max;
    struct flush flush = {.rows = (uint32_t)(rows < most ? rows : most)};
    TQ_TRY(write_folder(table, from, &flush));
    /* The log still has the rows; but a catalog half changed can only be rolled back. */
    enum tq_status status = write_catalog(table, &flush);
    if (status != TQ_OK) table->txn.broken = true;
    return status;
}
