/* Segments of a part: the catalog's row, the directory, the chunks, and each row's slot. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/check_parts.h"
#include "storage/chunk.h"
#include "storage/packed_record.h"
#include "storage/segment_parts.h"
#include "storage/table_parts.h"

#define ROWS_LIMIT (1u << 24) /* as of a directory: what memory is taken for on the word of the catalog */

struct visit {
    struct tq_check_walk *walk;
    struct tq_check *check;
    struct tq_check_part *part;
    const struct tq_catalog_segment *row;
    char where[420];
    struct tq_segment *segment;
    uint64_t *bits; /* NULL: nothing is dead */
    bool damaged;   /* a chunk is */
    uint64_t met;   /* rows so far that `bits` calls alive */
    uint64_t next;  /* slot behind the last row */
};

/* ---- The catalog's row ---- */

static void check_key(const struct visit *visit, uint64_t key, const char *what) {
    const struct tq_check_part *part = visit->part;
    uint64_t serial = tq_check_serial(key);
    if (!part->known) return;
    if (key >> 40 != part->identity.number)
        tq_check_found(visit->check, "%s: its %s is value %" PRIu64 " of index %u; the part has number %u",
                       visit->where, what, serial, (unsigned)(key >> 40), part->identity.number);
    else if (serial > part->state.serial)
        tq_check_found(visit->check,
                       "%s: its %s is value %" PRIu64 "; the state knows values to %" PRIu64
                       ", and what is above is deleted",
                       visit->where, what, serial, part->state.serial);
}

static enum tq_status check_row(struct visit *visit) {
    const struct tq_catalog_segment *row = visit->row;
    if (row->slot_first < visit->walk->covered)
        tq_check_found(visit->check, "%s: it overlaps the segment before it, which ends at slot %" PRIu64, visit->where,
                       visit->walk->covered);
    if (row->rows > row->slot_end - row->slot_first)
        tq_check_found(visit->check, "%s: %u rows in %" PRIu64 " slots", visit->where, row->rows,
                       row->slot_end - row->slot_first);
    check_key(visit, row->dir_key, "directory");
    if (row->dead == 0 && row->bits != NULL)
        tq_check_found(visit->check, "%s: it has no dead rows, and a list of them", visit->where);
    if (row->dead == 0 || row->rows > ROWS_LIMIT) return TQ_OK;
    visit->bits = tq_alloc_zero((row->rows / 64 + 1) * sizeof *visit->bits);
    if (visit->bits == NULL) return TQ_NOMEM;
    if (tq_bits_decode(row, visit->bits)) return TQ_OK;
    tq_check_found(visit->check, "%s: the list of dead rows is not one of %u dead ones of %u", visit->where, row->dead,
                   row->rows);
    visit->walk->lenient = true;
    return TQ_OK;
}

/* ---- The folder's values ---- */

/* Anew, whatever this process has read before: segments that are open are verified once. */
static enum tq_status check_directory(const struct visit *visit) {
    const void *value = NULL;
    size_t size = 0;
    TQ_TRY(tq_env_get(visit->check->reader, visit->row->dir_key, &value, &size));
    if (tq_chunk_hash(value, size) == visit->row->dir_sum) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "its directory (value %" PRIu64 ") fails its checksum",
                   tq_check_serial(visit->row->dir_key));
}

static enum tq_status open_segment(struct visit *visit) {
    const struct tq_catalog_segment *row = visit->row;
    struct tq_segment *segment = NULL;
    TQ_TRY(check_directory(visit));
    TQ_TRY(tq_segment_open(visit->check->env, visit->check->reader, &visit->part->format, row->dir_key, row->dir_sum,
                           &segment));
    if (tq_segment_row_count(segment) == row->rows && tq_segment_slot_first(segment) >= row->slot_first &&
        tq_segment_slot_end(segment) <= row->slot_end) {
        visit->segment = segment;
        return TQ_OK;
    }
    enum tq_status status = tq_fail(
        TQ_CORRUPT, "the catalog says %u rows to slot %" PRIu64 ", the directory %u from %" PRIu64 " to %" PRIu64,
        row->rows, row->slot_end, tq_segment_row_count(segment), tq_segment_slot_first(segment),
        tq_segment_slot_end(segment));
    tq_segment_close(segment);
    return status;
}

static enum tq_status check_chunk(struct visit *visit, const struct tq_chunk *known) {
    struct tq_chunk chunk = {.key = known->key, .sum = known->sum, .pages = known->pages};
    const void *value = NULL;
    size_t size = 0;
    uint32_t pages = visit->check->request->full ? chunk.pages : 1, bad = 0;
    char first[300] = "";
    TQ_TRY(tq_env_get(visit->check->reader, chunk.key, &value, &size));
    if (size != tq_chunk_value_bytes(&visit->part->format))
        return tq_fail(TQ_CORRUPT, "chunk %" PRIu64 " has %zu bytes", tq_check_serial(chunk.key), size);
    chunk.value = value;
    for (uint32_t page = 0; page < pages; page++) {
        if (tq_chunk_verify(&chunk, page, page) == TQ_OK) continue;
        if (bad++ == 0) (void)snprintf(first, sizeof first, "%s", tq_message());
        if (!atomic_load(&chunk.head_seen)) break; /* without the header nothing is known of the pages */
    }
    if (bad == 0) return TQ_OK;
    if (bad == 1) return tq_fail(TQ_CORRUPT, "%s", first);
    return tq_fail(TQ_CORRUPT, "%s, and %u pages more", first, bad - 1);
}

static enum tq_status check_chunks(struct visit *visit) {
    const struct tq_segment *segment = visit->segment;
    for (uint32_t i = 0; i < segment->code_chunks + segment->exact_chunks; i++) {
        TQ_TRY(tq_stop_check(tq_stop_current()));
        check_key(visit, segment->chunks[i].key, "chunk");
        enum tq_status status = check_chunk(visit, &segment->chunks[i]);
        if (status != TQ_OK) visit->damaged = true;
        TQ_TRY(tq_check_absorb(visit->check, visit->where, status));
    }
    return TQ_OK;
}

static enum tq_status note_keys(const struct visit *visit) {
    size_t exact_count = 0, code_count = tq_segment_keys(visit->segment, NULL, 0, NULL, 0, &exact_count);
    uint64_t *keys = tq_alloc_array(code_count + exact_count, sizeof *keys);
    if (keys == NULL) return TQ_NOMEM;
    (void)tq_segment_keys(visit->segment, keys, code_count, keys + code_count, exact_count, &exact_count);
    enum tq_status status = tq_check_keys_add(&visit->check->used, keys, code_count + exact_count);
    tq_free(keys);
    return status;
}

/* ---- Codes: the scan planes hold what the records hold ---- */

static void lane_differs(const struct visit *visit, uint32_t block, const char *plane) {
    tq_check_found(visit->check, "%s: rows %u to %u: the %s differs from the records", visit->where,
                   block * TQ_BLOCK_ROWS, (block + 1) * TQ_BLOCK_ROWS - 1, plane);
}

static enum tq_status check_block_codes(const struct visit *visit, uint32_t block, uint8_t *lanes) {
    static const char *const names[] = {"first plane", "second plane"};
    const struct tq_format *format = &visit->part->format;
    struct tq_segment *segment = visit->segment;
    uint32_t rows[TQ_BLOCK_ROWS], first = block * TQ_BLOCK_ROWS, count = 0;
    const uint8_t *records[TQ_BLOCK_ROWS];
    const void *stored = NULL;
    for (; count < TQ_BLOCK_ROWS && first + count < segment->rows; count++) rows[count] = first + count;
    TQ_TRY(tq_segment_records(segment, rows, count, NULL, records));
    for (uint32_t plane = 0; plane < format->scan_planes; plane++) {
        memset(lanes, 0, format->block_bytes);
        for (uint32_t i = 0; i < count; i++)
            tq_lane_write(format->dim, records[i] + (size_t)plane * format->plane_bytes, i, lanes);
        TQ_TRY(tq_segment_block(segment, plane == 0 ? TQ_PLANE_FIRST : TQ_PLANE_SECOND, block, &stored));
        if (memcmp(stored, lanes, format->block_bytes) != 0) lane_differs(visit, block, names[plane]);
    }
    if (!format->norms) return TQ_OK;
    TQ_TRY(tq_segment_block(segment, TQ_PLANE_NORM, block, &stored));
    size_t at = (size_t)format->bits * format->plane_bytes + offsetof(struct tq_record_tail, norm);
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp((const float *)stored + i, records[i] + at, sizeof(float)) == 0) continue;
        lane_differs(visit, block, "plane of norms");
        break;
    }
    return TQ_OK;
}

/* Packed records have their first plane from there. */
static enum tq_status check_codes(const struct visit *visit) {
    const struct tq_format *format = &visit->part->format;
    enum tq_status status = TQ_OK;
    if (format->packed || visit->damaged) return TQ_OK;
    uint8_t *lanes = tq_alloc(format->block_bytes);
    if (lanes == NULL) return TQ_NOMEM;
    for (uint32_t block = 0; block < visit->segment->blocks && status == TQ_OK; block++) {
        status = tq_stop_check(tq_stop_current());
        if (status == TQ_OK) status = check_block_codes(visit, block, lanes);
    }
    tq_free(lanes);
    return tq_check_absorb(visit->check, visit->where, status);
}

/* ---- Rows ---- */

/* Dead by the log, or else alive: then the walk must have it. id NULL: not known. */
static enum tq_status check_one(struct visit *visit, uint32_t row, uint64_t slot, const int64_t *id) {
    struct tq_check_walk *walk = visit->walk;
    const struct tq_check_dead *dead = NULL;
    bool marked = tq_bit(visit->bits, row), deleted = tq_check_is_deleted(walk, slot, &dead);
    int64_t own = 0;
    if (!marked) visit->met++;
    if (!marked && !deleted) return tq_check_living(walk, slot, id);
    if (!deleted) return TQ_OK;
    TQ_TRY(tq_segment_ids(visit->segment, &row, 1, &own));
    if (marked || dead->id != own)
        tq_check_found(visit->check, "%s: record %" PRIu64 " of the log deletes row %u (slot %" PRIu64 "), %s",
                       visit->where, dead->seq, row, slot,
                       marked ? "which is marked dead already" : "the row of another id");
    return TQ_OK;
}

static enum tq_status check_block(struct visit *visit, uint32_t block) {
    struct tq_segment *segment = visit->segment;
    uint32_t rows[TQ_BLOCK_ROWS], first = block * TQ_BLOCK_ROWS, count = 0;
    uint64_t slots[TQ_BLOCK_ROWS];
    int64_t room[TQ_BLOCK_ROWS];
    const int64_t *ids = NULL;
    for (; count < TQ_BLOCK_ROWS && first + count < segment->rows; count++) rows[count] = first + count;
    TQ_TRY(tq_segment_slots(segment, rows, count, slots));
    if (visit->check->request->full) TQ_TRY(tq_segment_block_ids(segment, block, room, &ids));
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] < visit->next || slots[i] >= segment->slot_end)
            return tq_fail(TQ_CORRUPT, "row %u has slot %" PRIu64 ", which is out of order", rows[i], slots[i]);
        visit->next = slots[i] + 1;
        TQ_TRY(check_one(visit, rows[i], slots[i], ids != NULL ? &ids[i] : NULL));
    }
    return TQ_OK;
}

/* The part of a segment whose rows cannot be read. */
static enum tq_status check_rest(struct visit *visit) {
    uint64_t living = visit->row->rows - visit->row->dead;
    return tq_check_range(visit->walk, visit->next, visit->row->slot_end,
                          living > visit->met ? living - visit->met : 0);
}

static enum tq_status check_opened(struct visit *visit) {
    enum tq_status status = TQ_OK;
    TQ_TRY(note_keys(visit));
    TQ_TRY(check_chunks(visit));
    visit->next = visit->segment->slot_first;
    for (uint32_t block = 0; block < visit->segment->blocks && status == TQ_OK; block++)
        status = check_block(visit, block);
    bool whole = status == TQ_OK;
    TQ_TRY(tq_check_absorb(visit->check, visit->where, status));
    if (!whole) return check_rest(visit);
    if (!visit->check->request->full) return TQ_OK;
    if (!visit->damaged) TQ_TRY(tq_check_absorb(visit->check, visit->where, tq_segment_check(visit->segment)));
    return check_codes(visit);
}

/* ---- One after another ---- */

static enum tq_status look_into(struct visit *visit) {
    enum tq_status status = TQ_OK;
    TQ_TRY(check_row(visit));
    visit->next = visit->row->slot_first;
    if (!visit->part->folder) return check_rest(visit);
    status = open_segment(visit);
    if (status == TQ_OK) return check_opened(visit);
    struct tq_check_owner *owner = tq_check_owner_find(visit->check, visit->part->identity.number);
    if (owner != NULL) owner->unread = true;
    TQ_TRY(tq_check_absorb(visit->check, visit->where, status));
    return check_rest(visit);
}

static enum tq_status take_segment(void *context, const struct tq_catalog_segment *row) {
    struct visit *visit = context;
    visit->row = row;
    enum tq_status status = look_into(visit);
    if (row->slot_end > visit->walk->covered) visit->walk->covered = row->slot_end;
    tq_segment_close(visit->segment);
    tq_free(visit->bits);
    visit->segment = NULL;
    visit->bits = NULL;
    return status;
}

/* A row of the catalog that fails its own sum: nothing is known of its slots, nor of what it refers to. */
static enum tq_status pass_over(struct visit *visit, enum tq_status status) {
    struct tq_check_owner *owner = NULL;
    TQ_TRY(tq_check_absorb(visit->check, visit->where, status));
    if (visit->part->known) owner = tq_check_owner_find(visit->check, visit->part->identity.number);
    if (owner != NULL) owner->unread = true;
    visit->walk->lenient = true;
    return TQ_OK;
}

enum tq_status tq_check_segments(struct tq_check_walk *walk, struct tq_check_part *part) {
    struct tq_check *check = walk->checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *name = walk->checked->table->name;
    sqlite3_stmt *slots = NULL;
    enum tq_status status = TQ_OK;
    int rc = SQLITE_DONE;
    TQ_TRY(tq_check_prepare(
        check, &slots, "SELECT slot0 FROM \"%w\".\"%w_seg\" WHERE slot0 BETWEEN %lld AND %lld ORDER BY slot0",
        check->conn->schema, name, (long long)tq_part_first(part->part), (long long)tq_part_end(part->part) - 1));
    while (status == TQ_OK && (rc = sqlite3_step(slots)) == SQLITE_ROW) {
        uint64_t slot = (uint64_t)sqlite3_column_int64(slots, 0);
        struct visit visit = {.walk = walk, .check = check, .part = part};
        (void)snprintf(visit.where, sizeof visit.where, "%s, part %u, segment at slot %" PRIu64, name, part->part,
                       slot);
        status = tq_stop_check(tq_stop_current());
        if (status == TQ_OK) status = tq_catalog_segment_at(walk->checked->catalog, slot, take_segment, &visit);
        if (status == TQ_CORRUPT && visit.row == NULL) status = pass_over(&visit, status);
    }
    if (status == TQ_OK) status = tq_check_stepped(check, rc, name);
    (void)sqlite3_finalize(slots);
    return status;
}
