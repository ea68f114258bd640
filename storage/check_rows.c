/* Rows of SQLite against slots that are alive.
 *
 * Slots are met in ascending order: the segments of a part, then its log, then the next part of the same column. So are
 * the rows, which SQLite sorts by slot (on disk where they are many). Each side's next number is compared with the
 * other's, and nothing needs to be remembered but the part's log. */
#include <inttypes.h>
#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/check_parts.h"
#include "storage/log_record.h"
#include "storage/table_parts.h"

/* ---- Rows ---- */

/* Whether a row of the walk has a slot that can be one; else that is told. */
static bool is_plausible(struct tq_check_walk *walk, sqlite3_stmt *rows) {
    struct tq_check *check = walk->checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *name = walk->checked->table->name;
    sqlite3_int64 slot = sqlite3_column_int64(rows, 0), id = sqlite3_column_int64(rows, 1);
    uint32_t part = tq_slot_part((uint64_t)slot);
    if (sqlite3_column_type(rows, 0) != SQLITE_INTEGER || slot < 0) {
        tq_check_found(check, "%s: id %lld has slot %.40s of vector column %zu, which is none", name, (long long)id,
                       (const char *)sqlite3_column_text(rows, 0), walk->vector);
        return false;
    }
    if (part % walk->checked->table->vectors == walk->vector && tq_check_part_find(walk->checked, part) != NULL)
        return true;
    tq_check_found(check, "%s: id %lld has slot %lld of vector column %zu, which belongs to part %u", name,
                   (long long)id, (long long)slot, walk->vector, part);
    return false;
}

static enum tq_status next_row(struct tq_check_walk *walk) {
    struct tq_check *check = walk->checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    int rc = SQLITE_ROW;
    while ((rc = sqlite3_step(walk->rows)) == SQLITE_ROW && !is_plausible(walk, walk->rows)) continue;
    walk->any = rc == SQLITE_ROW;
    if (!walk->any) return tq_check_stepped(check, rc, walk->checked->table->name);
    walk->slot = (uint64_t)sqlite3_column_int64(walk->rows, 0);
    walk->id = sqlite3_column_int64(walk->rows, 1);
    return TQ_OK;
}

/* Rows before a slot: none of theirs is alive. */
static enum tq_status pass_until(struct tq_check_walk *walk, uint64_t slot) {
    while (walk->any && walk->slot < slot) {
        if (!walk->lenient)
            tq_check_found(walk->checked->check, "%s: id %" PRId64 " has slot %" PRIu64 ", where no living row is",
                           walk->checked->table->name, walk->id, walk->slot);
        TQ_TRY(next_row(walk));
    }
    walk->lenient = false;
    return TQ_OK;
}

enum tq_status tq_check_living(struct tq_check_walk *walk, uint64_t slot, const int64_t *id) {
    struct tq_check *check = walk->checked->check;
    const char *name = walk->checked->table->name;
    TQ_TRY(pass_until(walk, slot));
    if (!walk->any || walk->slot != slot) {
        tq_check_found(check, "%s: slot %" PRIu64 " of part %u holds a living row, and no row of %s_rows has it", name,
                       slot, tq_slot_part(slot), name);
        return TQ_OK;
    }
    if (id != NULL && *id != walk->id)
        tq_check_found(check, "%s: id %" PRId64 " has slot %" PRIu64 ", which holds the row of id %" PRId64, name,
                       walk->id, slot, *id);
    int64_t first = walk->id;
    TQ_TRY(next_row(walk));
    while (walk->any && walk->slot == slot) {
        tq_check_found(check, "%s: ids %" PRId64 " and %" PRId64 " have the same slot %" PRIu64, name, first, walk->id,
                       slot);
        TQ_TRY(next_row(walk));
    }
    return TQ_OK;
}

enum tq_status tq_check_range(struct tq_check_walk *walk, uint64_t first, uint64_t end, uint64_t living) {
    const struct tq_check_dead *dead = NULL;
    uint64_t found = 0, deleted = tq_check_is_deleted(walk, first, &dead);
    TQ_TRY(pass_until(walk, first));
    for (; walk->any && walk->slot < end; found++) TQ_TRY(next_row(walk));
    while (walk->dead_at < walk->dead_count && walk->dead[walk->dead_at].slot < end)
        deleted += tq_check_is_deleted(walk, walk->dead[walk->dead_at].slot, &dead);
    if (found + deleted != living)
        tq_check_found(walk->checked->check,
                       "%s: %" PRIu64 " rows have slots %" PRIu64 " to %" PRIu64 ", where %" PRIu64 " rows are alive",
                       walk->checked->table->name, found, first, end - 1, living > deleted ? living - deleted : 0);
    return TQ_OK;
}

/* ---- The log ---- */

static void found_in_log(struct tq_check_walk *walk, uint64_t seq, uint64_t slot, const char *what) {
    const char *name = walk->checked->table->name;
    tq_check_found(walk->checked->check, "%s: record %" PRIu64 " of %s_log (slot %" PRIu64 ") %s", name, seq, name,
                   slot, what);
}

bool tq_check_is_deleted(struct tq_check_walk *walk, uint64_t slot, const struct tq_check_dead **dead) {
    for (; walk->dead_at < walk->dead_count && walk->dead[walk->dead_at].slot < slot; walk->dead_at++) {
        const struct tq_check_dead *stray = &walk->dead[walk->dead_at];
        if (!walk->lenient) found_in_log(walk, stray->seq, stray->slot, "deletes a row that does not exist");
    }
    *dead = NULL;
    for (; walk->dead_at < walk->dead_count && walk->dead[walk->dead_at].slot == slot; walk->dead_at++) {
        const struct tq_check_dead *here = &walk->dead[walk->dead_at];
        if (*dead != NULL) found_in_log(walk, here->seq, slot, "deletes a row that another record has deleted");
        *dead = here;
    }
    return *dead != NULL;
}

struct put {
    uint64_t slot, seq;
    int64_t id;
};

struct log {
    struct tq_check_walk *walk;
    const struct tq_check_part *part;
    struct put *puts;
    size_t put_count, put_capacity, dead_capacity;
    uint64_t seq; /* of the last one that was read */
    uint8_t *record;
};

/* One more element: of `size` bytes each. NULL: out of memory. */
static void *grow(void *list, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return list;
    size_t more = 2 * *capacity + 64;
    void *grown = tq_realloc(list, count * size, more * size);
    if (grown != NULL) *capacity = more;
    return grown;
}

static enum tq_status take_put(struct log *log, const struct tq_log_entry *entry) {
    const struct tq_check_part *part = log->part;
    struct tq_log_place place = {entry->seq, entry->id, entry->slot};
    struct tq_row row;
    uint64_t last = log->put_count != 0 ? log->puts[log->put_count - 1].slot : 0;
    if (log->put_count != 0 && entry->slot <= last) {
        found_in_log(log->walk, entry->seq, entry->slot, "goes back behind the one before it");
        return TQ_OK;
    }
    bool whole = !part->known || tq_log_record_read(&part->format, place, entry->blob, entry->size, log->record, &row);
    if (!whole) found_in_log(log->walk, entry->seq, entry->slot, "fails its checksum");
    struct put *grown = grow(log->puts, log->put_count, &log->put_capacity, sizeof *grown);
    if (grown == NULL) return TQ_NOMEM;
    log->puts = grown;
    log->puts[log->put_count++] = (struct put){entry->slot, entry->seq, entry->id};
    return TQ_OK;
}

static enum tq_status take_entry(void *context, const struct tq_log_entry *entry) {
    struct log *log = context;
    struct tq_check_walk *walk = log->walk;
    log->seq = entry->seq;
    if (tq_slot_part(entry->slot) != log->part->part) {
        found_in_log(walk, entry->seq, entry->slot, "names a slot of another part");
        return TQ_OK;
    }
    if (entry->op == TQ_LOG_PUT) return take_put(log, entry);
    if (entry->op != TQ_LOG_DEL) {
        found_in_log(walk, entry->seq, entry->slot, "is of an unknown kind");
        return TQ_OK;
    }
    struct tq_check_dead *grown = grow(walk->dead, walk->dead_count, &log->dead_capacity, sizeof *grown);
    if (grown == NULL) return TQ_NOMEM;
    walk->dead = grown;
    walk->dead[walk->dead_count++] = (struct tq_check_dead){entry->slot, entry->seq, entry->id};
    return TQ_OK;
}

/* The entry behind one that was read; *seq stays if there is none. */
static enum tq_status seq_after(struct log *log, uint64_t *seq) {
    struct tq_check *check = log->walk->checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *name = log->walk->checked->table->name;
    sqlite3_stmt *statement = NULL;
    TQ_TRY(tq_check_prepare(check, &statement, "SELECT min(seq) FROM \"%w\".\"%w_log\" WHERE seq > %lld",
                            check->conn->schema, name, (long long)*seq));
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
        *seq = (uint64_t)sqlite3_column_int64(statement, 0);
    enum tq_status status = tq_check_stepped(check, rc, name);
    (void)sqlite3_finalize(statement);
    return status;
}

static int compare_dead(const void *a, const void *b) {
    const struct tq_check_dead *left = a, *right = b;
    if (left->slot != right->slot) return left->slot < right->slot ? -1 : 1;
    return (left->seq > right->seq) - (left->seq < right->seq);
}

/* The catalog ends a scan at an entry that fails its sum: that is told, and the rest is read behind it. */
static enum tq_status read_log(struct log *log) {
    struct tq_checked *checked = log->walk->checked;
    uint64_t from = 0, end = tq_part_end(log->part->part);
    enum tq_status status = TQ_CORRUPT;
    log->seq = tq_part_first(log->part->part);
    while (status == TQ_CORRUPT && from < end) {
        status = tq_catalog_log_scan(checked->catalog, log->part->part, from, take_entry, log);
        if (status != TQ_CORRUPT) break;
        uint64_t before = log->seq;
        TQ_TRY(tq_check_absorb(checked->check, checked->table->name, status));
        TQ_TRY(seq_after(log, &log->seq));
        if (log->seq == before) break; /* no entry is at fault: SQLite's own page is */
        from = log->seq + 1;
    }
    if (status != TQ_CORRUPT) TQ_TRY(status);
    if (log->walk->dead_count != 0)
        qsort(log->walk->dead, log->walk->dead_count, sizeof *log->walk->dead, compare_dead);
    return TQ_OK;
}

static enum tq_status check_puts(struct log *log) {
    struct tq_check_walk *walk = log->walk;
    const struct tq_check_part *part = log->part;
    uint64_t most = part->known ? (TQ_LOG_FLUSHES_MAX + 1ull) * tq_segment_flush_rows(&part->format) : UINT64_MAX;
    if (log->put_count > most)
        found_in_log(walk, log->puts[most].seq, log->puts[most].slot, "is more than a log holds");
    for (size_t i = 0; i < log->put_count; i++) {
        const struct put *put = &log->puts[i];
        const struct tq_check_dead *dead = NULL;
        if (put->slot < walk->covered) found_in_log(walk, put->seq, put->slot, "has a slot that segments have reached");
        if (!tq_check_is_deleted(walk, put->slot, &dead)) {
            TQ_TRY(tq_check_living(walk, put->slot, &put->id));
            continue;
        }
        if (dead->seq < put->seq) found_in_log(walk, dead->seq, put->slot, "deletes a row that comes later");
        if (dead->id != put->id) found_in_log(walk, dead->seq, put->slot, "deletes the row of another id");
    }
    return TQ_OK;
}

/* The next row would get a slot that one has. */
static void check_next(const struct log *log) {
    const struct tq_check_part *part = log->part;
    uint64_t next = part->state.next;
    if (log->put_count != 0 && log->puts[log->put_count - 1].slot >= next)
        next = log->puts[log->put_count - 1].slot + 1;
    if (!part->known || log->walk->covered <= next) return;
    tq_check_found(log->walk->checked->check,
                   "%s, part %u: its state says the next slot is %" PRIu64 ", and segments reach to %" PRIu64,
                   log->walk->checked->table->name, part->part, next, log->walk->covered);
}

static enum tq_status check_part(struct tq_check_walk *walk, struct tq_check_part *part) {
    struct log log = {.walk = walk, .part = part};
    const struct tq_check_dead *dead = NULL;
    walk->dead_count = walk->dead_at = 0;
    walk->covered = tq_part_first(part->part);
    log.record = tq_alloc(part->known ? part->format.record_stride : 0);
    enum tq_status status = log.record == NULL ? TQ_NOMEM : read_log(&log);
    if (status == TQ_OK) status = tq_check_segments(walk, part);
    if (status == TQ_OK) status = check_puts(&log);
    if (status == TQ_OK) (void)tq_check_is_deleted(walk, tq_part_end(part->part), &dead);
    if (status == TQ_OK) check_next(&log);
    tq_free(log.record);
    tq_free(log.puts);
    tq_free(walk->dead);
    walk->dead = NULL;
    return status;
}

enum tq_status tq_check_rows(struct tq_checked *checked, size_t vector) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    struct tq_check_walk walk = {.checked = checked, .vector = vector};
    char slot[TQ_CHECK_NAME] = "slot";
    if (vector > 0) tq_check_column(slot, "slot", vector);
    TQ_TRY(tq_check_prepare(check, &walk.rows,
                            "SELECT \"%w\", id FROM \"%w\".\"%w_rows\" WHERE \"%w\" IS NOT NULL ORDER BY 1", slot,
                            check->conn->schema, checked->table->name, slot));
    enum tq_status status = next_row(&walk);
    for (size_t i = 0; i < checked->part_count && status == TQ_OK; i++) {
        struct tq_check_part *part = &checked->parts[i];
        if (part->part % checked->table->vectors != vector) continue;
        status = tq_stop_check(tq_stop_current());
        if (status == TQ_OK) status = check_part(&walk, part);
    }
    if (status == TQ_OK) status = pass_until(&walk, UINT64_MAX);
    (void)sqlite3_finalize(walk.rows);
    return status;
}
