/* Rows that can still be read are kept, the others told of. The table of rows is the truth about which rows live: dead
 * bits and the log's dels are made from it anew, so that damage to those heals, too. */
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/conn_sql.h"
#include "storage/log_record.h"
#include "storage/repair_parts.h"
#include "storage/segment_parts.h"
#include "storage/table_parts.h"

#define CHECK_ROWS 64u /* read, before it is asked again whether to go on */

struct numbers {
    uint64_t *list;
    size_t count, capacity;
};

static enum tq_status add_number(struct numbers *numbers, uint64_t number) {
    if (numbers->count == numbers->capacity) {
        size_t capacity = 2 * numbers->capacity + 64, size = sizeof number;
        uint64_t *grown = tq_realloc(numbers->list, numbers->count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        numbers->list = grown;
        numbers->capacity = capacity;
    }
    numbers->list[numbers->count++] = number;
    return TQ_OK;
}

struct fresh_row { /* of the log: its put can be read */
    uint64_t slot, seq;
    int64_t id;
    bool alive;
};

struct walk {
    struct tq_repair_part *part;
    size_t segment; /* the first that does not end before the row's slot */
    struct fresh_row *fresh;
    size_t fresh_count, fresh_capacity;
    struct numbers lost;     /* ids */
    struct numbers unwanted; /* sequence numbers of the log: entries to be removed */
    uint8_t *record, *scratch;
};

static bool is_damage(enum tq_status status) { return status == TQ_CORRUPT || status == TQ_NOT_FOUND; }

/* A statement with three names and up to three numbers. */
static enum tq_status prepare(const struct tq_repair_part *part, char *sql, sqlite3_stmt **stmt) {
    const sqlite3_api_routines *sqlite3_api = part->task->conn->api;
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", part->task->name);
    enum tq_status status = tq_conn_prepare(part->task->conn, sql, stmt);
    sqlite3_free(sql);
    return status;
}

/* ---- The log ---- */

static enum tq_status add_fresh(struct walk *walk, const struct fresh_row *row) {
    if (walk->fresh_count == walk->fresh_capacity) {
        size_t capacity = 2 * walk->fresh_capacity + 64, size = sizeof *row;
        struct fresh_row *grown = tq_realloc(walk->fresh, walk->fresh_count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        walk->fresh = grown;
        walk->fresh_capacity = capacity;
    }
    walk->fresh[walk->fresh_count++] = *row;
    return TQ_OK;
}

/* Slots of puts ascend, and lie above those of segments. */
static bool is_whole(const struct walk *walk, sqlite3_stmt *stmt, const struct fresh_row *row) {
    const struct tq_repair_part *part = walk->part;
    const sqlite3_api_routines *sqlite3_api = part->task->conn->api;
    uint64_t after = part->count == 0 ? 0 : part->segments[part->count - 1].row.slot_end;
    if (walk->fresh_count != 0) after = walk->fresh[walk->fresh_count - 1].slot + 1;
    struct tq_row unused;
    if (sqlite3_column_int(stmt, 1) != TQ_LOG_PUT || row->slot < after || tq_slot_part(row->slot) != part->part) {
        return false;
    }
    struct tq_log_place place = {(uint64_t)sqlite3_column_int64(stmt, 0), row->id, row->slot};
    return tq_log_record_read(&part->format, place, sqlite3_column_blob(stmt, 4), (size_t)sqlite3_column_bytes(stmt, 4),
                              walk->record, &unused);
}

static enum tq_status read_log(struct walk *walk) {
    const struct tq_repair_part *part = walk->part;
    struct tq_conn *conn = part->task->conn;
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(
        prepare(part,
                sqlite3_mprintf("SELECT seq, op, id, slot, rec FROM \"%w\".\"%w_log\" WHERE seq BETWEEN %lld AND %lld"
                                " ORDER BY seq",
                                conn->schema, part->task->name, (long long)tq_part_first(part->part),
                                (long long)tq_part_end(part->part) - 1),
                &stmt));
    enum tq_status status = TQ_OK;
    int rc = SQLITE_DONE;
    while (status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct fresh_row row = {.seq = (uint64_t)sqlite3_column_int64(stmt, 0),
                                .id = sqlite3_column_int64(stmt, 2),
                                .slot = (uint64_t)sqlite3_column_int64(stmt, 3)};
        status = is_whole(walk, stmt, &row) ? add_fresh(walk, &row) : add_number(&walk->unwanted, row.seq);
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "reading the log of", part->task->name);
    (void)sqlite3_finalize(stmt);
    return status;
}

static int compare_fresh(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = ((const struct fresh_row *)b)->slot;
    return (left > right) - (left < right);
}

/* ---- One row ---- */

static enum tq_status lose(struct walk *walk, int64_t id, const char *why) {
    const struct tq_repair_task *task = walk->part->task;
    TQ_TRY(task->lost(task->context, id, walk->part->part % task->vectors, why));
    return add_number(&walk->lost, (uint64_t)id);
}

static enum tq_status row_of_log(struct walk *walk, int64_t id, uint64_t slot) {
    struct fresh_row *found = walk->fresh_count == 0
                                  ? NULL
                                  : bsearch(&slot, walk->fresh, walk->fresh_count, sizeof *walk->fresh, compare_fresh);
    if (found == NULL) return lose(walk, id, "its record in the log fails its checksum or is gone");
    if (found->id != id || found->alive) return lose(walk, id, "its slot is another row's");
    found->alive = true;
    return TQ_OK;
}

static enum tq_status row_of_whole(struct walk *walk, struct tq_repair_segment *at, int64_t id, uint64_t slot) {
    uint32_t row = 0;
    int64_t stored = 0;
    enum tq_status status = tq_segment_find(at->segment, slot, &row);
    if (status == TQ_NOT_FOUND) return lose(walk, id, "its slot is in no segment");
    if (status == TQ_OK) status = tq_segment_ids(at->segment, &row, 1, &stored);
    TQ_TRY(status);
    if (at->alive == NULL) at->alive = tq_alloc_zero(tq_segment_row_count(at->segment) / 64 * 8 + 8);
    if (at->alive == NULL) return TQ_NOMEM;
    if (stored != id || tq_bit(at->alive, row)) return lose(walk, id, "its slot is another row's");
    at->alive[row / 64] |= 1ull << (row % 64);
    at->alive_count++;
    return TQ_OK;
}

/* What can be read of a row: its exact one is never made up; codes are, from the exact one. */
static enum tq_status read_row(struct walk *walk, struct tq_repair_segment *at, uint64_t slot, struct tq_row *row) {
    const struct tq_repair_part *part = walk->part;
    const uint8_t *exact = NULL;
    uint32_t number = 0;
    enum tq_status status = tq_segment_find(at->segment, slot, &number);
    if (status == TQ_NOT_FOUND) return status;
    if (part->format.exact_bytes > 0) TQ_TRY(tq_segment_exact_unit(at->segment, slot, false, &exact));
    if (status == TQ_OK) status = tq_segment_codes(at->segment, number, walk->scratch, row);
    if (status == TQ_CORRUPT && exact != NULL) {
        status = part->task->encode(part->task->context, &part->format, exact, row);
    }
    if (status == TQ_OK) row->exact = exact;
    return status;
}

/* The row's id where that can be read: a table of rows that is wrong must not give a row another's vector. */
static bool is_others(struct tq_repair_segment *at, int64_t id, uint64_t slot) {
    uint32_t row = 0;
    int64_t stored = id;
    if (tq_segment_find(at->segment, slot, &row) == TQ_OK) (void)tq_segment_ids(at->segment, &row, 1, &stored);
    return stored != id;
}

static enum tq_status row_of_damaged(struct walk *walk, struct tq_repair_segment *at, int64_t id, uint64_t slot) {
    struct tq_repair_part *part = walk->part;
    struct tq_row row;
    if (is_others(at, id, slot)) return lose(walk, id, "its slot is another row's");
    enum tq_status status = read_row(walk, at, slot, &row);
    if (is_damage(status)) return lose(walk, id, tq_message());
    TQ_TRY(status);
    if (at->builder == NULL) {
        TQ_TRY(tq_builder_open(&part->format, at->row.slot_first, tq_segment_row_count(at->segment), &part->sink,
                               &at->builder));
    }
    status = tq_builder_append(at->builder, id, slot, &row);
    return status == TQ_MISUSE ? lose(walk, id, "its slot is another row's") : status;
}

static enum tq_status take_row(struct walk *walk, int64_t id, uint64_t slot) {
    struct tq_repair_part *part = walk->part;
    while (walk->segment < part->count && slot >= part->segments[walk->segment].row.slot_end) walk->segment++;
    if (walk->segment == part->count) return row_of_log(walk, id, slot);
    struct tq_repair_segment *at = &part->segments[walk->segment];
    if (slot < at->row.slot_first) return lose(walk, id, "its slot is in no segment");
    if (at->fate == TQ_FATE_WHOLE) return row_of_whole(walk, at, id, slot);
    if (at->fate == TQ_FATE_DAMAGED) return row_of_damaged(walk, at, id, slot);
    return lose(walk, id, at->why[0] != 0 ? at->why : "the folder is gone");
}

/* ---- All rows of the part, by slot ---- */

static void slot_column(const struct tq_repair_part *part, char column[16]) {
    const sqlite3_api_routines *sqlite3_api = part->task->conn->api;
    uint32_t vector = part->part % part->task->vectors;
    sqlite3_snprintf(16, column, vector == 0 ? "slot" : "slot%u", vector);
}

static enum tq_status walk_rows(struct walk *walk) {
    const struct tq_repair_part *part = walk->part;
    struct tq_conn *conn = part->task->conn;
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    char column[16];
    slot_column(part, column);
    TQ_TRY(
        prepare(part,
                sqlite3_mprintf("SELECT id, %s FROM \"%w\".\"%w_rows\" WHERE %s BETWEEN %lld AND %lld ORDER BY %s, id",
                                column, conn->schema, part->task->name, column, (long long)tq_part_first(part->part),
                                (long long)tq_part_end(part->part) - 1, column),
                &stmt));
    enum tq_status status = TQ_OK;
    int rc = SQLITE_DONE;
    for (uint64_t i = 0; status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW; i++) {
        if (i % CHECK_ROWS == 0) status = tq_stop_check(tq_stop_current());
        if (status == TQ_OK) {
            status = take_row(walk, sqlite3_column_int64(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1));
        }
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "reading the rows of", part->task->name);
    (void)sqlite3_finalize(stmt);
    return status;
}

/* ---- Writing ---- */

static enum tq_status enter(struct tq_repair_part *part, const struct tq_repair_segment *at,
                            const struct tq_sealed *sealed) {
    struct tq_catalog_segment row = {.slot_first = at->row.slot_first,
                                     .slot_end = at->row.slot_end,
                                     .rows = sealed->rows,
                                     .dir_key = sealed->dir_key,
                                     .dir_sum = sealed->dir_sum};
    uint32_t words = row.rows / 64 + 1;
    uint8_t *bytes = tq_alloc(row.rows / 8 + 8);
    uint64_t *dead = tq_alloc_zero(words * sizeof *dead);
    enum tq_status status = bytes == NULL || dead == NULL ? TQ_NOMEM : TQ_OK;
    for (uint32_t i = 0; status == TQ_OK && at->alive != NULL && i < row.rows; i++) {
        if (tq_bit(at->alive, i)) continue;
        dead[i / 64] |= 1ull << (i % 64);
        row.dead++;
    }
    if (row.dead != 0) {
        row.bits = bytes;
        tq_bits_encode(dead, row.rows, row.dead, bytes, &row.bits_size);
    }
    if (status == TQ_OK) status = tq_catalog_segment_add(part->catalog, &row);
    tq_free(bytes);
    tq_free(dead);
    return status;
}

static enum tq_status write_segment(struct tq_repair_part *part, struct tq_repair_segment *at) {
    struct tq_sealed sealed = {.rows = 0};
    uint64_t rows = at->segment == NULL ? 0 : tq_segment_row_count(at->segment), kept = 0;
    if (at->fate == TQ_FATE_WHOLE && at->alive_count != 0) {
        kept = at->alive_count;
        sealed = (struct tq_sealed){.rows = (uint32_t)rows, .dir_key = at->row.dir_key, .dir_sum = at->row.dir_sum};
    } else if (at->builder != NULL && tq_builder_row_count(at->builder) != 0) {
        kept = tq_builder_row_count(at->builder);
        TQ_TRY(tq_builder_seal(at->builder, &sealed));
    }
    if (at->fate != TQ_FATE_WHOLE && part->task->how == TQ_REPAIR_SALVAGE) {
        tq_repair_note(part, "part %u, %s; %llu of its vectors are saved", part->part, at->why,
                       (unsigned long long)kept);
    }
    TQ_TRY(tq_catalog_segment_remove(part->catalog, at->row.slot_first));
    return kept == 0 ? TQ_OK : enter(part, at, &sealed);
}

/* ?1, for each number of a list. */
static enum tq_status run_for_each(const struct tq_repair_part *part, char *sql, const struct numbers *numbers) {
    struct tq_conn *conn = part->task->conn;
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    enum tq_status status = prepare(part, sql, &stmt);
    for (size_t i = 0; status == TQ_OK && i < numbers->count; i++) {
        (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)numbers->list[i]);
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "repairing", part->task->name);
        (void)sqlite3_reset(stmt);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum tq_status write_rows(struct walk *walk) {
    const struct tq_repair_part *part = walk->part;
    const char *s = part->task->conn->schema, *n = part->task->name;
    const sqlite3_api_routines *sqlite3_api = part->task->conn->api;
    char column[16];
    slot_column(part, column);
    for (size_t i = 0; i < walk->fresh_count; i++) {
        if (!walk->fresh[i].alive) TQ_TRY(add_number(&walk->unwanted, walk->fresh[i].seq));
    }
    TQ_TRY(run_for_each(part, sqlite3_mprintf("DELETE FROM \"%w\".\"%w_log\" WHERE seq = ?1", s, n), &walk->unwanted));
    char *lost = part->keep_rows
                     ? sqlite3_mprintf("UPDATE \"%w\".\"%w_rows\" SET %s = NULL WHERE id = ?1", s, n, column)
                     : sqlite3_mprintf("DELETE FROM \"%w\".\"%w_rows\" WHERE id = ?1", s, n);
    return run_for_each(part, lost, &walk->lost);
}

static enum tq_status salvage(struct walk *walk) {
    struct tq_repair_part *part = walk->part;
    walk->record = tq_alloc(part->format.record_stride);
    walk->scratch = tq_alloc(part->format.record_stride);
    if (walk->record == NULL || walk->scratch == NULL) return TQ_NOMEM;
    TQ_TRY(read_log(walk));
    TQ_TRY(walk_rows(walk));
    for (size_t i = 0; i < part->count; i++) TQ_TRY(write_segment(part, &part->segments[i]));
    return write_rows(walk);
}

enum tq_status tq_salvage_part(struct tq_repair_part *part) {
    struct walk walk = {.part = part};
    enum tq_status status = salvage(&walk);
    tq_free(walk.fresh);
    tq_free(walk.lost.list);
    tq_free(walk.unwanted.list);
    tq_free(walk.record);
    tq_free(walk.scratch);
    return status;
}
