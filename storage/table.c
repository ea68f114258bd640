/* Tables: making and opening them and their parts, and single rows. */
#include "storage/table.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "src/base/alloc.h"
#include "storage/conn_sql.h"
#include "storage/log_record.h"
#include "storage/table_parts.h"

#define CLAIM_MAX 256u /* index numbers at once */

/* ---- Making and opening ---- */

/* Numbers are given out in order and their meta records never go, so the first free one is found by bisection. */
enum tq_status tq_number_free(struct tq_env *env, uint32_t *number) {
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

/* A claim costs a sync of the disk, so that a connection that makes many parts claims twice as many each time; what it
 * leaves over is lost. SQLite's write lock is held, and with it the right to choose. */
static enum tq_status number_claim(struct tq_env *env, struct tq_numbers *numbers) {
    uint32_t first = 0, count = numbers->claimed < CLAIM_MAX ? 2 * numbers->claimed : CLAIM_MAX;
    TQ_TRY(tq_number_free(env, &first));
    if (count == 0) count = 1;
    if (count > 0xffffff - first) count = 0xffffff - first;
    uint64_t nonce = 0;
    if (getrandom(&nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) return tq_fail(TQ_IO, "getrandom failed");
    nonce |= 1; /* 0: no index */
    struct tq_env_batch batch = {.index = first, .more = count - 1, .meta = {.nonce = nonce}};
    TQ_TRY(tq_env_write(env, &batch));
    *numbers = (struct tq_numbers){.next = first, .left = count, .claimed = count, .nonce = nonce};
    memcpy(numbers->uuid, tq_env_uuid(env), sizeof numbers->uuid);
    return TQ_OK;
}

enum tq_status tq_number_take(struct tq_conn *conn, struct tq_env *env, struct tq_catalog_identity *identity,
                              uint64_t *nonce) {
    struct tq_numbers *numbers = &conn->numbers;
    bool mine = memcmp(numbers->uuid, tq_env_uuid(env), sizeof numbers->uuid) == 0;
    if (!mine || numbers->left == 0) TQ_TRY(number_claim(env, numbers));
    identity->number = numbers->next;
    memcpy(identity->uuid, numbers->uuid, sizeof identity->uuid);
    *nonce = numbers->nonce;
    numbers->next++; /* never given out twice, whatever becomes of this one */
    numbers->left--;
    numbers->nonce += 2;
    return TQ_OK;
}

static enum tq_status part_make(struct tq_conn *conn, struct tq_env *env, const char *name, uint32_t part,
                                const struct tq_format *format) {
    struct tq_catalog_identity identity;
    uint64_t nonce = 0;
    TQ_TRY(tq_number_take(conn, env, &identity, &nonce));
    return tq_catalog_part_add(conn, name, part, format, &identity, nonce);
}

enum tq_status tq_table_create(struct tq_conn *conn, struct tq_env *env, const char *name,
                               const struct tq_format *format, const char *more_columns) {
    TQ_TRY(tq_catalog_create(conn, name, more_columns));
    return part_make(conn, env, name, 0, format);
}

enum tq_status tq_table_add_part(struct tq_conn *conn, struct tq_env *env, const char *name, uint32_t part,
                                 const struct tq_format *format) {
    if (part >= TQ_PARTS_MAX) {
        return tq_fail(TQ_FULL, "index \"%s\" would get part %u; it may have %u parts", name, part, TQ_PARTS_MAX);
    }
    TQ_TRY(tq_catalog_part_begin(conn, name, part));
    return part_make(conn, env, name, part, format);
}

enum tq_status tq_table_drop(struct tq_conn *conn, const char *name) { return tq_catalog_drop(conn, name); }

enum tq_status tq_table_exists(struct tq_conn *conn, const char *name, bool *exists) {
    return tq_catalog_exists(conn, name, exists);
}

static enum tq_status table_check(struct tq_table *table) {
    struct tq_catalog_look look;
    struct tq_env_meta meta;
    TQ_TRY(tq_table_check_uuid(table));
    TQ_TRY(tq_catalog_look(table->catalog, table->part, &look));
    TQ_TRY(tq_env_meta(table->env, table->identity.number, &meta)); /* second, so it is the newer one */
    return tq_table_check_pair(table, &look.state, &meta);
}

static void shared_release(struct tq_table_shared *shared) {
    if (shared == NULL || --shared->references != 0) return;
    tq_env_reader_close(shared->reader);
    tq_catalog_close(shared->catalog);
    tq_free(shared);
}

static enum tq_status shared_open(struct tq_conn *conn, const char *name, struct tq_table_shared **out) {
    struct tq_table_shared *shared = tq_alloc_zero(sizeof *shared);
    if (shared == NULL) return TQ_NOMEM;
    shared->references = 1;
    enum tq_status status = tq_catalog_open(conn, name, &shared->catalog);
    if (status == TQ_OK)
        *out = shared;
    else
        shared_release(shared);
    return status;
}

static enum tq_status part_open(struct tq_table *table) {
    TQ_TRY(tq_catalog_identify(table->catalog, table->part, &table->format, &table->identity));
    TQ_TRY(table_check(table));
    table->flush_rows = tq_segment_flush_rows(&table->format);
    table->rows_max = tq_segment_rows_max(&table->format);
    table->record = tq_alloc(tq_round_up(tq_log_record_bytes(&table->format), TQ_ALIGN) + table->format.record_stride);
    return table->record != NULL ? TQ_OK : TQ_NOMEM;
}

/* Takes a reference of `shared` over. */
static enum tq_status table_open(struct tq_conn *conn, struct tq_env *env, struct tq_table_shared *shared,
                                 uint32_t part, struct tq_table **out) {
    struct tq_table *table = tq_alloc_zero(sizeof *table);
    if (table == NULL) {
        shared_release(shared);
        return TQ_NOMEM;
    }
    table->conn = conn;
    table->env = env;
    table->shared = shared;
    table->catalog = shared->catalog;
    table->part = part;
    enum tq_status status = part_open(table);
    if (status == TQ_OK)
        *out = table;
    else
        tq_table_close(table);
    return status;
}

enum tq_status tq_table_open(struct tq_conn *conn, struct tq_env *env, const char *name, struct tq_table **table) {
    struct tq_table_shared *shared = NULL;
    TQ_TRY(shared_open(conn, name, &shared));
    return table_open(conn, env, shared, 0, table);
}

enum tq_status tq_table_open_part(struct tq_table *first, uint32_t part, struct tq_table **table) {
    first->shared->references++;
    return table_open(first->conn, first->env, first->shared, part, table);
}

void tq_table_close(struct tq_table *table) {
    if (table == NULL) return;
    tq_bulk_drop(table);
    tq_cache_close(table);
    tq_table_release(table);
    shared_release(table->shared);
    tq_free(table->txn.sealed);
    tq_free(table->record);
    tq_free(table);
}

uint32_t tq_table_part(const struct tq_table *table) { return table->part; }

enum tq_status tq_table_has_parts(struct tq_table *table, bool *more) {
    return tq_catalog_has_parts(table->catalog, more);
}

const struct tq_format *tq_table_format(const struct tq_table *table) { return &table->format; }

/* ---- Rows ---- */

static enum tq_status log_put(struct tq_table *table, int64_t id, const struct tq_row *row) {
    struct tq_log_place place = {table->seq + 1, id, table->next};
    tq_log_record_write(&table->format, place, row, table->record);
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

static enum tq_status range_check(struct tq_table *table, uint64_t next, const char *what) {
    if (next < tq_part_end(table->part)) return TQ_OK;
    return tq_fail(TQ_FULL, "index \"%s\": part %u has used up its 2^%d %s", tq_catalog_name(table->catalog),
                   table->part, TQ_PART_SHIFT, what);
}

/* Afterwards the next row's slot is table->next, wherever the row goes. */
static enum tq_status put_begin(struct tq_table *table) {
    TQ_TRY(tq_txn_begin(table));
    TQ_TRY(range_check(table, table->next, "slots"));
    TQ_TRY(range_check(table, table->seq + 1, "sequence numbers"));
    if (!table->txn.bulk && table->next - table->txn.slot_first >= table->flush_rows) {
        /* If the folder cannot be written now, the log takes the row, as long as it has room. */
        enum tq_status status = tq_bulk_start(table);
        if (status != TQ_OK && !tq_txn_soft(table, status)) return status;
    }
    return table->txn.bulk ? TQ_OK : log_room(table);
}

static enum tq_status put_end(struct tq_table *table, int64_t id, const struct tq_row *row) {
    enum tq_status status = table->txn.bulk ? tq_bulk_append(table, id, row) : log_put(table, id, row);
    if (status != TQ_OK) tq_txn_check(table);
    return status;
}

enum tq_status tq_table_put_slot(struct tq_table *table, int64_t id, const struct tq_row *row, uint64_t *slot) {
    TQ_TRY(put_begin(table));
    *slot = table->next;
    return put_end(table, id, row);
}

enum tq_status tq_table_put(struct tq_table *table, int64_t id, const struct tq_row *row) {
    bool filled = false;
    TQ_TRY(put_begin(table));
    enum tq_status status = tq_catalog_row_add(table->catalog, id, table->next, &filled);
    if (status != TQ_OK) {
        tq_txn_check(table);
        return status;
    }
    status = put_end(table, id, row);
    if (status == TQ_OK) return TQ_OK;
    char text[512]; /* the message of the failure that counts */
    (void)snprintf(text, sizeof text, "%s", tq_message());
    if (tq_catalog_row_undo(table->catalog, id, filled) != TQ_OK) table->txn.broken = true;
    tq_txn_check(table);
    return tq_fail(status, "%s", text);
}

enum tq_status tq_table_delete_slot(struct tq_table *table, int64_t id, uint64_t slot) {
    TQ_TRY(tq_txn_begin(table));
    TQ_TRY(range_check(table, table->seq + 1, "sequence numbers"));
    struct tq_log_entry entry = {.seq = table->seq + 1, .op = TQ_LOG_DEL, .id = id, .slot = slot};
    enum tq_status status = tq_catalog_log_add(table->catalog, &entry);
    if (status != TQ_OK) {
        tq_txn_check(table);
        return status;
    }
    table->seq++;
    table->log_dels++;
    return TQ_OK;
}

enum tq_status tq_table_delete(struct tq_table *table, int64_t id) {
    uint64_t slot = 0;
    TQ_TRY(tq_txn_begin(table));
    TQ_TRY(tq_catalog_row_slot(table->catalog, id, &slot));
    TQ_TRY(tq_table_delete_slot(table, id, slot));
    enum tq_status status = tq_catalog_row_remove(table->catalog, id);
    if (status != TQ_OK) table->txn.broken = true; /* a live row that the log calls dead */
    return status;
}

enum tq_status tq_table_touch(struct tq_table *table) {
    if (table->touched) return TQ_OK;
    TQ_TRY(tq_catalog_changes_add(table->catalog));
    table->touched = true;
    return TQ_OK;
}

enum tq_status tq_table_changes(struct tq_table *table, uint64_t *changes) {
    return tq_catalog_changes(table->catalog, changes);
}

static enum tq_status misplaced(struct tq_table *table, int64_t id, uint64_t slot) {
    return tq_fail(TQ_CORRUPT, "index \"%s\": id %lld has slot %llu, which is in no segment",
                   tq_catalog_name(table->catalog), (long long)id, (unsigned long long)slot);
}

enum tq_status tq_view_check_owner(const struct tq_view_segment *segment, uint32_t row, int64_t id) {
    int64_t owner = 0;
    TQ_TRY(tq_segment_ids(segment->segment, &row, 1, &owner));
    if (owner == id) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "row %lld of the table of rows has the slot of row %lld", (long long)id,
                   (long long)owner);
}

enum tq_status tq_table_find(struct tq_table *table, int64_t id, struct tq_view_segment *segment, uint32_t *row) {
    uint64_t slot = 0;
    TQ_TRY(tq_catalog_row_slot(table->catalog, id, &slot));
    return tq_table_find_slot(table, id, slot, segment, row);
}

enum tq_status tq_table_find_slot(struct tq_table *table, int64_t id, uint64_t slot, struct tq_view_segment *segment,
                                  uint32_t *row) {
    struct tq_view view;
    struct tq_view_segment found = {0};
    uint32_t at = 0;
    TQ_TRY(tq_table_view(table, &view));
    struct tq_cached_segment *cached = tq_cache_find(table, slot);
    if (cached != NULL) {
        found = (struct tq_view_segment){cached->segment, cached->dead != 0 ? cached->bits : NULL, cached->dead};
    } else if (view.count > table->cache.count) { /* rows in memory come last */
        found = view.segments[view.count - 1];
    }
    if (found.segment == NULL || slot < tq_segment_slot_first(found.segment)) return misplaced(table, id, slot);
    enum tq_status status = tq_segment_find(found.segment, slot, &at);
    if (status == TQ_NOT_FOUND) return misplaced(table, id, slot);
    TQ_TRY(status);
    TQ_TRY(tq_view_check_owner(&found, at, id));
    *segment = found;
    *row = at;
    return TQ_OK;
}
