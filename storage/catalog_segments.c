/* Statements of seg and gc. */
#include <string.h>

#include "storage/catalog_sql.h"
#include "storage/catalog_sum.h"

static uint64_t segment_sum(const struct tq_catalog_segment *segment) {
    const uint64_t values[] = {segment->slot_first, segment->slot_end, segment->rows,
                               segment->dead,       segment->dir_key,  segment->dir_sum};
    bool any = segment->dead != 0;
    return tq_catalog_sum(values, TQ_COUNT(values), any ? segment->bits : NULL, any ? segment->bits_size : 0);
}

static void bind_bits(struct tq_catalog *catalog, sqlite3_stmt *stmt, int at,
                      const struct tq_catalog_segment *segment) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    (void)sqlite3_bind_blob64(stmt, at, segment->dead != 0 ? segment->bits : NULL, segment->bits_size, SQLITE_STATIC);
}

static void bind_sum(struct tq_catalog *catalog, sqlite3_stmt *stmt, int at, uint64_t sum) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    (void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)sum);
}

enum tq_status tq_catalog_segment_add(struct tq_catalog *catalog, const struct tq_catalog_segment *segment) {
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_SEGMENT_ADD, &stmt));
    const uint64_t values[] = {segment->slot_first, segment->slot_end, segment->rows,
                               segment->dead,       segment->dir_key,  segment->dir_sum};
    tq_catalog_bind(catalog, stmt, values, TQ_COUNT(values));
    bind_bits(catalog, stmt, 7, segment);
    bind_sum(catalog, stmt, 8, segment_sum(segment));
    return tq_catalog_run(catalog, stmt, "adding a segment to");
}

enum tq_status tq_catalog_segment_mark(struct tq_catalog *catalog, const struct tq_catalog_segment *segment) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_SEGMENT_MARK, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)segment->slot_first);
    (void)sqlite3_bind_int64(stmt, 2, segment->dead);
    bind_bits(catalog, stmt, 3, segment);
    bind_sum(catalog, stmt, 4, segment_sum(segment));
    return tq_catalog_run(catalog, stmt, "marking dead rows of");
}

enum tq_status tq_catalog_segment_remove(struct tq_catalog *catalog, uint64_t slot_first) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_SEGMENT_REMOVE, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)slot_first);
    return tq_catalog_run(catalog, stmt, "removing a segment of");
}

enum tq_status tq_catalog_segment_covers(struct tq_catalog *catalog, uint64_t slot, bool *covers) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_SEGMENT_COVERS, &stmt));
    const uint64_t range[] = {slot, tq_part_first(tq_slot_part(slot))};
    tq_catalog_bind(catalog, stmt, range, TQ_COUNT(range));
    int rc = sqlite3_step(stmt);
    *covers = rc == SQLITE_ROW && sqlite3_column_int(stmt, 0) != 0;
    return tq_catalog_end(catalog, stmt, rc, "reading the segments of");
}

static bool fits_u32(sqlite3_int64 value) { return value >= 0 && value <= (sqlite3_int64)UINT32_MAX; }

static enum tq_status segments_take(struct tq_catalog *catalog, uint64_t first, uint64_t last, tq_segment_take *take,
                                    void *context) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    uint32_t part = tq_slot_part(first);
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_SEGMENT_SCAN, &stmt));
    tq_catalog_bind(catalog, stmt, (const uint64_t[]){first, last}, 2);
    enum tq_status status = TQ_OK;
    int rc = SQLITE_ROW;
    while (status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        sqlite3_int64 rows = sqlite3_column_int64(stmt, 2), dead = sqlite3_column_int64(stmt, 3);
        struct tq_catalog_segment segment = {.slot_first = (uint64_t)sqlite3_column_int64(stmt, 0),
                                             .slot_end = (uint64_t)sqlite3_column_int64(stmt, 1),
                                             .rows = (uint32_t)rows,
                                             .dead = (uint32_t)dead,
                                             .dir_key = (uint64_t)sqlite3_column_int64(stmt, 4),
                                             .dir_sum = (uint64_t)sqlite3_column_int64(stmt, 5),
                                             .bits = sqlite3_column_blob(stmt, 6),
                                             .bits_size = (size_t)sqlite3_column_bytes(stmt, 6)};
        bool ordered = segment.slot_end > segment.slot_first && segment.slot_end <= tq_part_end(part);
        if (segment_sum(&segment) != (uint64_t)sqlite3_column_int64(stmt, 7)) {
            status = tq_fail(TQ_CORRUPT, "index \"%s\": the catalog's segment at slot %llu fails its checksum",
                             catalog->name, (unsigned long long)segment.slot_first);
        } else if (!fits_u32(rows) || !fits_u32(dead) || dead > rows || !ordered) {
            status = tq_fail(TQ_CORRUPT, "index \"%s\": the catalog's segment at slot %llu contradicts itself",
                             catalog->name, (unsigned long long)segment.slot_first);
        } else {
            status = take(context, &segment);
        }
    }
    enum tq_status ended = tq_catalog_end(catalog, stmt, rc, "reading the segments of");
    return status != TQ_OK ? status : ended;
}

enum tq_status tq_catalog_segment_scan(struct tq_catalog *catalog, uint32_t part, tq_segment_take *take,
                                       void *context) {
    return segments_take(catalog, tq_part_first(part), tq_part_end(part) - 1, take, context);
}

enum tq_status tq_catalog_segment_at(struct tq_catalog *catalog, uint64_t slot_first, tq_segment_take *take,
                                     void *context) {
    return segments_take(catalog, slot_first, slot_first, take, context);
}

/* ---- gc ---- */

uint64_t tq_catalog_gc_sum(uint32_t part, uint64_t version, const void *keys, size_t count) {
    return tq_catalog_sum((const uint64_t[]){part, version}, 2, keys, count * sizeof(uint64_t));
}

enum tq_status tq_catalog_gc_add(struct tq_catalog *catalog, uint32_t part, uint64_t version, const uint64_t *keys,
                                 size_t count) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    if (count == 0) return TQ_OK;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_GC_ADD, &stmt));
    tq_catalog_bind(catalog, stmt, (const uint64_t[]){part, version}, 2);
    (void)sqlite3_bind_blob64(stmt, 3, keys, count * sizeof *keys, SQLITE_STATIC);
    bind_sum(catalog, stmt, 4, tq_catalog_gc_sum(part, version, keys, count));
    return tq_catalog_run(catalog, stmt, "listing replaced values of");
}

static void bind_range(struct tq_catalog *catalog, sqlite3_stmt *stmt, const struct tq_gc_range *range) {
    tq_catalog_bind(catalog, stmt, (const uint64_t[]){range->part, range->low, range->high}, 3);
}

enum tq_status tq_catalog_gc_any(struct tq_catalog *catalog, const struct tq_gc_range *range, bool *any) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_GC_ANY, &stmt));
    bind_range(catalog, stmt, range);
    int rc = sqlite3_step(stmt);
    *any = rc == SQLITE_ROW;
    return tq_catalog_end(catalog, stmt, rc, "reading replaced values of");
}

/* A row of gc, as TQ_SQL_GC_NEXT has it. */
struct gc_row {
    sqlite3_int64 rowid;
    const uint8_t *keys; /* while the statement stands on it */
    size_t count;
    uint32_t part;
    uint64_t version;
};

/* Shorten it from its end; a row that is used up goes. */
static enum tq_status gc_shorten(struct tq_catalog *catalog, const struct gc_row *row, size_t left) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, left == 0 ? TQ_SQL_GC_REMOVE : TQ_SQL_GC_REPLACE, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, row->rowid);
    if (left != 0) {
        (void)sqlite3_bind_blob64(stmt, 2, row->keys, left * sizeof(uint64_t), SQLITE_TRANSIENT);
        bind_sum(catalog, stmt, 3, tq_catalog_gc_sum(row->part, row->version, row->keys, left));
    }
    return tq_catalog_run(catalog, stmt, "listing replaced values of");
}

/* A key that is wrong would delete a value that is needed. */
static enum tq_status gc_read(struct tq_catalog *catalog, sqlite3_stmt *stmt, uint32_t part, struct gc_row *row) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    *row = (struct gc_row){.rowid = sqlite3_column_int64(stmt, 0),
                           .keys = sqlite3_column_blob(stmt, 1),
                           .count = (size_t)sqlite3_column_bytes(stmt, 1) / sizeof(uint64_t),
                           .part = part,
                           .version = (uint64_t)sqlite3_column_int64(stmt, 2)};
    uint64_t sum = (uint64_t)sqlite3_column_int64(stmt, 3);
    if (sum == tq_catalog_gc_sum(part, row->version, row->keys, row->count)) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "table \"%s_gc\": row %lld fails its checksum", catalog->name, (long long)row->rowid);
}

enum tq_status tq_catalog_gc_take(struct tq_catalog *catalog, const struct tq_gc_range *range, uint64_t *keys,
                                  size_t capacity, size_t *count) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    *count = 0;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_GC_NEXT, &stmt));
    while (*count < capacity) {
        struct gc_row row;
        bind_range(catalog, stmt, range);
        int rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW) return tq_catalog_end(catalog, stmt, rc, "reading replaced values of");
        enum tq_status status = gc_read(catalog, stmt, range->part, &row);
        if (status != TQ_OK) {
            (void)sqlite3_reset(stmt);
            return *count != 0 ? TQ_OK : status; /* those that were taken are to be deleted first */
        }
        size_t taken = tq_min_size(row.count, capacity - *count), left = row.count - taken;
        if (taken != 0) memcpy(keys + *count, row.keys + left * sizeof *keys, taken * sizeof *keys);
        *count += taken;
        /* While the row is being read its blob is ours; the statement is reset afterwards. */
        status = gc_shorten(catalog, &row, left);
        (void)sqlite3_reset(stmt);
        TQ_TRY(status);
    }
    return TQ_OK;
}
