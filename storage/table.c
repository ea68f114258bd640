/* Tables: making and opening them, and single rows. */
#include "storage/table.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "src/base/alloc.h"
#include "storage/log_record.h"
#include "storage/table_parts.h"

/* ---- Making and opening ---- */

/* Numbers are given out in order and their meta records never go, so the first free one is found by bisection. */
static enum tq_status number_free(struct tq_env *env, uint32_t *number) {
    uint32_t low = 1, high = 0xffffff;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct tq_env_meta meta;
        TQ_TRY(tq_env_meta(env, mid, &meta));
        if (meta.nonce == 0)
            high = mid;
        else
            low = mid + 1;
    }
    *number = low;
    return low < 0xffffff ? TQ_OK : tq_fail(TQ_FULL, "folder \"%s\" has had 2^24 indexes", tq_env_path(env));
}

enum tq_status tq_table_create(struct tq_conn *conn, struct tq_env *env, const char *name,
                               const struct tq_format *format) {
    bool exists = false;
    TQ_TRY(tq_catalog_exists(conn, name, &exists));
    if (exists) return tq_fail(TQ_EXISTS, "index \"%s\" exists already", name);
    struct tq_catalog_identity identity;
    memcpy(identity.uuid, tq_env_uuid(env), sizeof identity.uuid);
    TQ_TRY(number_free(env, &identity.number));
    uint64_t nonce = 0;
    if (getrandom(&nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) return tq_fail(TQ_IO, "getrandom failed");
    nonce |= 1;
    /* The tables first: they take SQLite's write lock, and with it the right to choose a number. */
    TQ_TRY(tq_catalog_create(conn, name, format, &identity, nonce));
    struct tq_env_batch batch = {.index = identity.number, .meta = {.nonce = nonce}};
    return tq_env_write(env, &batch);
}

enum tq_status tq_table_drop(struct tq_conn *conn, const char *name) { return tq_catalog_drop(conn, name); }

enum tq_status tq_table_exists(struct tq_conn *conn, const char *name, bool *exists) {
    return tq_catalog_exists(conn, name, exists);
}

static enum tq_status check_uuid(struct tq_table *table) {
    const uint8_t *mine = table->identity.uuid, *theirs = tq_env_uuid(table->env);
    if (memcmp(mine, theirs, 16) == 0) return TQ_OK;
    return tq_fail(
        TQ_FORMAT, "folder \"%s\" belongs to another database (uuid %02x%02x%02x%02x.. != %02x%02x%02x%02x..)",
        tq_env_path(table->env), theirs[0], theirs[1], theirs[2], theirs[3], mine[0], mine[1], mine[2], mine[3]);
}

enum tq_status tq_table_check_pair(struct tq_table *table, const struct tq_catalog_state *state,
                                   const struct tq_env_meta *meta) {
    const char *name = tq_catalog_name(table->catalog), *path = tq_env_path(table->env);
    unsigned long long ours = state->flushes, theirs = meta->flushes;
    if (meta->nonce == 0) {
        return tq_fail(TQ_CORRUPT, "index \"%s\": folder \"%s\" has never heard of it; restore both from one backup",
                       name, path);
    }
    if (theirs < ours) {
        return tq_fail(TQ_CORRUPT,
                       "index \"%s\": folder \"%s\" is %llu flushes behind the catalog (%llu < %llu); restore both "
                       "from one backup",
                       name, path, ours - theirs, theirs, ours);
    }
    if ((theirs == ours && meta->nonce != state->nonce) || (theirs == ours + 1 && meta->parent != state->nonce)) {
        return tq_fail(TQ_CORRUPT,
                       "index \"%s\": folder \"%s\" and the catalog were changed separately after flush %llu", name,
                       path, ours - (theirs == ours && ours > 0 ? 1 : 0));
    }
    return TQ_OK;
}

static enum tq_status table_check(struct tq_table *table) {
    struct tq_catalog_look look;
    struct tq_env_meta meta;
    TQ_TRY(check_uuid(table));
    TQ_TRY(tq_catalog_look(table->catalog, &look));
    TQ_TRY(tq_env_meta(table->env, table->identity.number, &meta)); /* second, so it is the newer one */
    return tq_table_check_pair(table, &look.state, &meta);
}

enum tq_status tq_table_open(struct tq_conn *conn, struct tq_env *env, const char *name, struct tq_table **out) {
    struct tq_table *table = tq_alloc_zero(sizeof *table);
    if (table == NULL) return TQ_NOMEM;
    table->conn = conn;
    table->env = env;
    enum tq_status status = tq_catalog_open(conn, name, &table->catalog, &table->format, &table->identity);
    if (status != TQ_OK) goto failed;
    status = table_check(table);
    if (status != TQ_OK) goto failed;
    table->flush_rows = tq_segment_flush_rows(&table->format);
    table->rows_max = tq_segment_rows_max(&table->format);
    status = TQ_NOMEM;
    table->record = tq_alloc(tq_round_up(tq_log_record_bytes(&table->format), TQ_ALIGN) + table->format.record_stride);
    if (table->record == NULL) goto failed;
    *out = table;
    return TQ_OK;
failed:
    tq_table_close(table);
    return status;
}

void tq_table_close(struct tq_table *table) {
    if (table == NULL) return;
    tq_bulk_drop(table);
    tq_cache_close(table);
    tq_env_reader_close(table->reader);
    tq_catalog_close(table->catalog);
    tq_free(table->txn.sealed);
    tq_free(table->record);
    tq_free(table);
}

const struct tq_format *tq_table_format(const struct tq_table *table) { return &table->format; }

/* ---- Rows ---- */

static enum tq_status log_put(struct tq_table *table, int64_t id, const struct tq_row *row) {
    tq_log_record_write(&table->format, id, table->next, row, table->record);
    struct tq_log_entry entry = {.seq = table->seq + 1,
                                 .op = TQ_LOG_PUT,
                                 .id = id,
                                 .slot = table->next,
                                 .blob = table->record,
                                 .size = tq_log_record_bytes(&table->format)};
    TQ_TRY(tq_catalog_log_add(table->catalog, &entry));
    table->seq++;
    table->log_puts++;
    table->next++;
    return TQ_OK;
}

/* A log that is full is one whose flushes failed: try once more before refusing. */
static enum tq_status log_room(struct tq_table *table) {
    uint64_t most = (uint64_t)TQ_LOG_FLUSHES_MAX * table->flush_rows;
    if (table->log_puts < most) return TQ_OK;
    TQ_TRY(tq_table_recount(table));
    if (table->log_puts < most) return TQ_OK;
    return tq_table_flush(table, table->flush_rows);
}

enum tq_status tq_table_put(struct tq_table *table, int64_t id, const struct tq_row *row) {
    TQ_TRY(tq_txn_begin(table));
    if (!table->txn.bulk && table->next - table->txn.slot_first >= table->flush_rows) {
        /* If the folder cannot be written now, the log takes the row, as long as it has room. */
        enum tq_status status = tq_bulk_start(table);
        if (status != TQ_OK && !tq_txn_soft(status)) return status;
    }
    if (!table->txn.bulk) TQ_TRY(log_room(table));
    enum tq_status status = tq_catalog_row_add(table->catalog, id, table->next);
    if (status != TQ_OK) {
        tq_txn_check(table);
        return status;
    }
    status = table->txn.bulk ? tq_bulk_append(table, id, row) : log_put(table, id, row);
    if (status == TQ_OK) return TQ_OK;
    char text[512]; /* the message of the failure that counts */
    (void)snprintf(text, sizeof text, "%s", tq_message());
    if (tq_catalog_row_remove(table->catalog, id) != TQ_OK) table->txn.broken = true;
    tq_txn_check(table);
    return tq_fail(status, "%s", text);
}

enum tq_status tq_table_delete(struct tq_table *table, int64_t id) {
    uint64_t slot = 0;
    TQ_TRY(tq_txn_begin(table));
    TQ_TRY(tq_catalog_row_slot(table->catalog, id, &slot));
    struct tq_log_entry entry = {.seq = table->seq + 1, .op = TQ_LOG_DEL, .id = id, .slot = slot};
    enum tq_status status = tq_catalog_log_add(table->catalog, &entry);
    if (status != TQ_OK) {
        tq_txn_check(table);
        return status;
    }
    table->seq++;
    table->log_dels++;
    status = tq_catalog_row_remove(table->catalog, id);
    if (status != TQ_OK) table->txn.broken = true; /* a live row that the log calls dead */
    return status;
}

static enum tq_status misplaced(struct tq_table *table, int64_t id, uint64_t slot) {
    return tq_fail(TQ_CORRUPT, "index \"%s\": id %lld has slot %llu, which is in no segment",
                   tq_catalog_name(table->catalog), (long long)id, (unsigned long long)slot);
}

enum tq_status tq_table_find(struct tq_table *table, int64_t id, struct tq_view_segment *segment, uint32_t *row) {
    uint64_t slot = 0;
    struct tq_view view;
    struct tq_view_segment found = {0};
    TQ_TRY(tq_table_view(table, &view));
    TQ_TRY(tq_catalog_row_slot(table->catalog, id, &slot));
    struct tq_cached_segment *cached = tq_cache_find(table, slot);
    if (cached != NULL) {
        found = (struct tq_view_segment){cached->segment, cached->dead != 0 ? cached->bits : NULL, cached->dead};
    } else if (view.count > table->cache.count) { /* rows in memory come last */
        found = view.segments[view.count - 1];
    }
    if (found.segment == NULL || slot < tq_segment_slot_first(found.segment)) return misplaced(table, id, slot);
    enum tq_status status = tq_segment_find(found.segment, slot, row);
    if (status == TQ_NOT_FOUND) return misplaced(table, id, slot);
    if (status == TQ_OK) *segment = found;
    return status;
}
