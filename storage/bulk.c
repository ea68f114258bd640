/* Bulk: from a transaction's T-th row on rows go past the log into a builder, and from it into the folder.
 *
 * All slots of segments lie below all slots of the log, so a bulk takes the log's rows along first. The rows of
 * the builder exist in memory only: ROLLBACK TO is repeated on it here, by slot. */
#include <string.h>

#include "src/base/alloc.h"
#include "storage/table_parts.h"

void tq_bulk_drop(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    tq_builder_close(txn->builder);
    txn->builder = NULL;
    table->cache.open.builder = NULL;
    table->cache.open_rows = 0;
}

static enum tq_status bulk_open(struct tq_table *table, uint64_t slot_first) {
    struct tq_transaction *txn = &table->txn;
    TQ_TRY(tq_builder_open(&table->format, slot_first, table->rows_max, &txn->sink, &txn->builder));
    txn->run_row = 0;
    txn->run_slot = slot_first;
    return TQ_OK;
}

/* The builder's rows are in the catalog as soon as it is full, so that a mark taken later finds them there. */
static enum tq_status seal_if_full(struct tq_table *table) {
    return tq_builder_row_count(table->txn.builder) < table->rows_max ? TQ_OK : tq_bulk_seal(table);
}

/* The log's living rows, oldest first. */
static enum tq_status take_log(struct tq_table *table) {
    struct tq_cached_log *log = &table->cache.log;
    struct tq_segment *segment = tq_builder_segment(log->builder);
    if (segment == NULL) return TQ_NOMEM;
    uint32_t rows = tq_segment_row_count(segment);
    for (uint32_t row = 0; row < rows; row++) {
        if (tq_bit(log->bits, row)) continue;
        TQ_TRY(tq_builder_copy(table->txn.builder, segment, row, table->format.exact_bytes != 0));
    }
    return TQ_OK;
}

enum tq_status tq_bulk_start(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    struct tq_catalog_look look;
    TQ_TRY(tq_txn_env(table));
    TQ_TRY(tq_catalog_look(table->catalog, table->part, &look));
    TQ_TRY(tq_table_recount(table));
    /* A log that has grown beyond a segment, because the folder could not be written: flush it by itself. */
    if (table->log_puts >= table->rows_max) return tq_table_flush(table, table->rows_max);
    TQ_TRY(tq_cache_sync(table));
    uint64_t slot_first = look.any_put ? look.slot_first : table->next;
    TQ_TRY(bulk_open(table, slot_first));
    enum tq_status status = look.any_put ? take_log(table) : TQ_OK;
    if (status == TQ_OK) status = tq_catalog_log_trim(table->catalog, table->part, slot_first, table->next);
    if (status != TQ_OK) {
        tq_bulk_drop(table);
        txn->leftovers = true;
        return status;
    }
    txn->bulk = true;
    txn->bulk_slot = table->next;
    txn->run_row = tq_builder_row_count(txn->builder);
    txn->run_slot = table->next;
    table->log_puts = 0;
    tq_cache_forget(table);
    return TQ_OK;
}

enum tq_status tq_bulk_append(struct tq_table *table, int64_t id, const struct tq_row *row) {
    struct tq_transaction *txn = &table->txn;
    if (txn->builder == NULL) TQ_TRY(bulk_open(table, table->next));
    TQ_TRY(tq_builder_append(txn->builder, id, table->next, row));
    table->next++;
    enum tq_status status = seal_if_full(table);
    if (status == TQ_OK) return TQ_OK;
    table->next--;
    if (!txn->broken) tq_builder_truncate(txn->builder, tq_builder_row_count(txn->builder) - 1);
    return status;
}

static enum tq_status remember(struct tq_transaction *txn, const struct tq_sealed *sealed) {
    if (txn->sealed_count == txn->sealed_capacity) {
        size_t capacity = txn->sealed_capacity * 2 + 16, size = sizeof *txn->sealed;
        struct tq_bulk_sealed *grown = tq_realloc(txn->sealed, txn->sealed_count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        txn->sealed = grown;
        txn->sealed_capacity = capacity;
    }
    txn->sealed[txn->sealed_count++] = (struct tq_bulk_sealed){
        .sealed = *sealed, .run_row = txn->run_row, .run_slot = txn->run_slot};
    return TQ_OK;
}

static struct tq_catalog_segment segment_of(const struct tq_sealed *sealed) {
    return (struct tq_catalog_segment){.slot_first = sealed->slot_first,
                                       .slot_end = sealed->slot_end,
                                       .rows = sealed->rows,
                                       .dir_key = sealed->dir_key,
                                       .dir_sum = sealed->dir_sum};
}

/* Rows deleted meanwhile stay dels of the log, until the next fold. */
enum tq_status tq_bulk_seal(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    struct tq_sealed sealed;
    if (tq_builder_row_count(txn->builder) == 0) {
        tq_bulk_drop(table);
        txn->leftovers = true;
        return TQ_OK;
    }
    TQ_TRY(tq_builder_seal(txn->builder, &sealed));
    /* From here on the rows are no longer in memory and not yet in the catalog. */
    struct tq_catalog_segment segment = segment_of(&sealed);
    enum tq_status status = tq_catalog_segment_add(table->catalog, &segment);
    if (status == TQ_OK) status = remember(txn, &sealed);
    if (status == TQ_OK) status = tq_txn_state(table);
    if (status != TQ_OK) txn->broken = true;
    tq_bulk_drop(table);
    return status;
}

/* ---- ROLLBACK TO ---- */

/* The catalog has forgotten a segment that was sealed after the savepoint but holds rows from before it: enter
 * it again, its younger rows dead. They are the last ones, and without gaps. */
static enum tq_status enter_again(struct tq_table *table, const struct tq_bulk_sealed *old, uint64_t mark) {
    struct tq_catalog_segment segment = segment_of(&old->sealed);
    uint32_t rows = segment.rows, keep = rows;
    if (mark < segment.slot_end) keep = old->run_row + (uint32_t)(mark - old->run_slot);
    uint64_t *bits = tq_alloc_zero(rows / 64 * 8 + 8);
    uint8_t *bytes = tq_alloc(rows / 8 + 8);
    enum tq_status status = TQ_NOMEM;
    if (bits != NULL && bytes != NULL) {
        for (uint32_t row = keep; row < rows; row++) bits[row / 64] |= 1ull << (row % 64);
        segment.dead = rows - keep;
        segment.bits = bytes;
        tq_bits_encode(bits, rows, segment.dead, bytes, &segment.bits_size);
        status = tq_catalog_segment_add(table->catalog, &segment);
        if (status == TQ_OK) status = tq_txn_state(table);
    }
    tq_free(bits);
    tq_free(bytes);
    return status;
}

static enum tq_status undo_sealed(struct tq_table *table, uint64_t mark) {
    struct tq_transaction *txn = &table->txn;
    size_t kept = 0;
    for (size_t i = 0; i < txn->sealed_count; i++) {
        struct tq_bulk_sealed *old = &txn->sealed[i];
        bool covers = false;
        if (old->sealed.slot_first >= mark) continue;
        TQ_TRY(tq_catalog_segment_covers(table->catalog, old->sealed.slot_first, &covers));
        if (table->next < old->sealed.slot_end) table->next = old->sealed.slot_end;
        if (!covers) TQ_TRY(enter_again(table, old, mark));
        txn->sealed[kept++] = *old;
    }
    txn->sealed_count = kept;
    return TQ_OK;
}

enum tq_status tq_bulk_undo(struct tq_table *table, uint64_t mark) {
    struct tq_transaction *txn = &table->txn;
    if (!txn->bulk) return TQ_OK;
    if (mark <= txn->bulk_slot) { /* the log's rows are the log's again, and none of ours is left */
        tq_bulk_drop(table);
        txn->bulk = false;
        txn->sealed_count = 0;
        return TQ_OK;
    }
    if (txn->builder != NULL && mark <= txn->run_slot) tq_bulk_drop(table);
    if (txn->builder != NULL) {
        uint64_t keep = txn->run_row + (mark - txn->run_slot);
        if (keep < tq_builder_row_count(txn->builder)) tq_builder_truncate(txn->builder, (uint32_t)keep);
    }
    enum tq_status status = undo_sealed(table, mark);
    if (status != TQ_OK) txn->broken = true;
    return status;
}
