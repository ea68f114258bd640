/* A write transaction of a table: what is known when it begins, what happens before COMMIT, and afterwards. */
#include <string.h>
#include <sys/random.h>

#include "src/base/alloc.h"
#include "storage/conn_sql.h"
#include "storage/table_parts.h"

bool tq_txn_soft(struct tq_table *table, enum tq_status status) {
    tq_txn_check(table);
    return (status == TQ_FULL || status == TQ_BUSY) && !table->txn.broken;
}

/* ---- Beginning ---- */

/* The log's counts are bounds from its ends: counting would read every row of it. */
static void take_look(struct tq_table *table, const struct tq_catalog_look *look) {
    table->state = look->state;
    table->next = look->state.next;
    table->seq = look->seq_last > look->state.seq ? look->seq_last : look->state.seq;
    if (look->any_put && look->slot_last >= table->next) table->next = look->slot_last + 1;
    uint64_t entries = look->seq_last == 0 ? 0 : look->seq_last - look->seq_first + 1;
    table->log_puts = look->any_put ? look->slot_last - look->slot_first + 1 : 0;
    if (table->log_puts > entries) table->log_puts = entries;
    table->log_dels = entries - table->log_puts;
}

/* A part made again under the same number has nothing in common with the one this table was opened on. */
static enum tq_status look_again(struct tq_table *table, struct tq_catalog_look *look) {
    TQ_TRY(tq_catalog_look(table->catalog, table->part, look));
    if (look->number == table->identity.number) return TQ_OK;
    return tq_fail(TQ_NOT_FOUND, "index \"%s\" was dropped and made again: open it anew",
                   tq_catalog_name(table->catalog));
}

/* Three microseconds, saved when nobody has written since our own last commit. */
static enum tq_status know(struct tq_table *table) {
    uint32_t version = tq_conn_data_version(table->conn);
    if (table->known && version != 0 && version == table->data_version && tq_conn_has_snapshot(table->conn)) {
        return TQ_OK;
    }
    struct tq_catalog_look look;
    TQ_TRY(look_again(table, &look));
    take_look(table, &look);
    table->data_version = tq_conn_data_version(table->conn);
    table->known = true;
    return TQ_OK;
}

enum tq_status tq_txn_begin(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    /* SQLite rolled back, and said so, while a call was failing, which then called the transaction broken. */
    if (txn->broken && !txn->active) tq_table_rolled_back(table);
    if (txn->broken) {
        return tq_fail(TQ_IO, "index \"%s\": this transaction failed half-way and must be rolled back",
                       tq_catalog_name(table->catalog));
    }
    if (txn->active) return TQ_OK;
    TQ_TRY(know(table));
    txn->active = true;
    txn->begin = table->state;
    txn->slot_first = table->next;
    return TQ_OK;
}

void tq_txn_check(struct tq_table *table) {
    if (!tq_conn_is_writing(table->conn)) table->txn.broken = true;
}

enum tq_status tq_table_recount(struct tq_table *table) {
    return tq_catalog_log_count(table->catalog, table->part, &table->log_puts, &table->log_dels);
}

enum tq_status tq_txn_env(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    struct tq_env_meta meta;
    if (txn->env_ready) return TQ_OK;
    TQ_TRY(tq_env_meta(table->env, table->identity.number, &meta));
    TQ_TRY(tq_table_check_pair(table, &txn->begin, &meta));
    uint64_t nonce = 0;
    if (getrandom(&nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) return tq_fail(TQ_IO, "getrandom failed");
    uint64_t serial = meta.serial > txn->begin.serial ? meta.serial : txn->begin.serial;
    txn->sink = (struct tq_builder_sink){
        .env = table->env,
        .index = table->identity.number,
        .meta = {.serial = serial, .flushes = txn->begin.flushes + 1, .nonce = nonce | 1, .parent = txn->begin.nonce}};
    txn->leftovers = meta.nonce != txn->begin.nonce;
    txn->foreign = txn->leftovers && meta.flushes > txn->begin.flushes + 1;
    txn->foreign_serial = meta.serial;
    txn->env_ready = true;
    return TQ_OK;
}

uint64_t tq_txn_version(const struct tq_table *table) { return table->txn.begin.version + 1; }

/* Whether our nonce reached the folder is asked of the folder: a write that failed may have happened, and one
 * that a builder made on its way counts as well. A transaction is one version however often it comes here, because what
 * may be deleted is told from the versions of commits; so the cache has to be told. */
enum tq_status tq_txn_state(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    struct tq_catalog_state state = table->state;
    struct tq_env_meta meta;
    if (txn->env_ready) {
        TQ_TRY(tq_env_meta(table->env, table->identity.number, &meta));
        if (meta.nonce == txn->sink.meta.nonce) {
            state.serial = meta.serial > txn->sink.meta.serial ? meta.serial : txn->sink.meta.serial;
            state.flushes = txn->sink.meta.flushes;
            state.nonce = meta.nonce;
        }
    }
    state.version = tq_txn_version(table);
    state.next = table->next;
    state.seq = table->seq;
    TQ_TRY(tq_catalog_state_write(table->catalog, table->part, table->identity.number, &state));
    table->state = state;
    txn->changes++;
    tq_cache_forget(table);
    return TQ_OK;
}

/* ---- Before COMMIT ---- */

/* A flush that cannot write the folder leaves the rows where they are. */
static enum tq_status sync_log(struct tq_table *table, bool *changed) {
    if (table->log_puts < table->flush_rows && table->log_dels < TQ_LOG_DELS_MAX) return TQ_OK;
    TQ_TRY(tq_table_recount(table));
    enum tq_status status = TQ_OK;
    uint64_t before = table->txn.changes;
    if (table->log_puts >= table->flush_rows) {
        status = tq_table_flush(table, table->log_puts - table->log_puts % table->flush_rows);
    } else if (table->log_dels >= TQ_LOG_DELS_MAX) {
        status = tq_table_fold(table);
    }
    if (table->txn.changes != before) *changed = true;
    return status == TQ_OK || tq_txn_soft(table, status) ? TQ_OK : status;
}

/* Merging and deleting may fail without harm: what was not done is done next time. What nothing refers to must
 * be listed now, because the state we commit no longer tells it from the rest. */
static enum tq_status tidy(struct tq_table *table) {
    bool merged = false;
    enum tq_status status = tq_table_merge(table, false, &merged);
    if (table->txn.broken) return status;
    TQ_TRY(tq_gc_collect(table));
    status = tq_gc_run(table);
    return table->txn.broken ? status : TQ_OK;
}

enum tq_status tq_table_sync(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    bool changed = false;
    if (!txn->active) return TQ_OK;
    TQ_TRY(tq_txn_begin(table)); /* refuses a broken one */
    if (txn->builder != NULL) {
        TQ_TRY(tq_bulk_seal(table));
        changed = true;
    }
    TQ_TRY(sync_log(table, &changed));
    changed = changed || txn->sealed_count != 0 || (txn->env_ready && txn->leftovers);
    if (changed) TQ_TRY(tidy(table));
    tq_table_release(table); /* the merge's reader must not pin what the next flush frees */
    return TQ_OK;
}

enum tq_status tq_table_optimize(struct tq_table *table) { return tq_table_optimize_from(table, 1); }

enum tq_status tq_table_optimize_from(struct tq_table *table, uint64_t least) {
    bool merged = true;
    TQ_TRY(tq_txn_begin(table));
    TQ_TRY(tq_txn_env(table));
    if (table->txn.builder != NULL) TQ_TRY(tq_bulk_seal(table));
    TQ_TRY(tq_table_recount(table));
    while (table->log_puts > 0 && table->log_puts >= least) {
        uint64_t rows = table->log_puts < table->rows_max ? table->log_puts : table->rows_max;
        TQ_TRY(tq_table_flush(table, rows));
    }
    if (table->log_dels > 0) TQ_TRY(tq_table_fold(table));
    while (merged) TQ_TRY(tq_table_merge(table, true, &merged));
    TQ_TRY(tq_gc_collect(table));
    TQ_TRY(tq_gc_run_all(table));
    tq_table_release(table);
    return TQ_OK;
}

/* ---- Afterwards ---- */

static void txn_end(struct tq_table *table) {
    struct tq_transaction *txn = &table->txn;
    tq_bulk_drop(table);
    struct tq_bulk_sealed *sealed = txn->sealed;
    size_t capacity = txn->sealed_capacity;
    *txn = (struct tq_transaction){.sealed = sealed, .sealed_capacity = capacity};
}

void tq_table_committed(struct tq_table *table) {
    table->touched = false;
    if (!table->txn.active) return;
    txn_end(table);
    table->data_version = tq_conn_data_version(table->conn);
}

void tq_table_rolled_back(struct tq_table *table) {
    table->touched = false;
    if (!table->txn.active && !table->txn.broken) return;
    txn_end(table);
    table->known = false;
    tq_cache_forget(table);
}

uint64_t tq_table_mark(struct tq_table *table) {
    /* Before the first write of a transaction nobody can ask for less than all of it. */
    return table->txn.active ? table->next : 0;
}

bool tq_table_undoes(const struct tq_table *table, uint64_t mark) {
    return table->txn.active && table->txn.bulk && mark > table->txn.bulk_slot;
}

enum tq_status tq_table_undo(struct tq_table *table, uint64_t mark) {
    struct tq_transaction *txn = &table->txn;
    struct tq_catalog_look look;
    tq_cache_forget(table);
    table->known = false;
    table->touched = false; /* perhaps; counting once more does no harm */
    if (!txn->active) return TQ_OK;
    TQ_TRY(tq_txn_begin(table));
    uint64_t reached = mark > txn->slot_first ? mark : txn->slot_first;
    if (txn->env_ready) txn->leftovers = true;
    enum tq_status status = look_again(table, &look);
    if (status == TQ_NOT_FOUND) txn_end(table);
    TQ_TRY(status);
    take_look(table, &look);
    if (reached > table->next) table->next = reached; /* rows before the mark that went past the log */
    TQ_TRY(tq_bulk_undo(table, reached));
    table->known = true;
    return TQ_OK;
}
