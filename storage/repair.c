/* Repair of a table, part by part: which values are there, and what the state becomes. */
#include "storage/repair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "storage/conn_sql.h"
#include "storage/platform.h"
#include "storage/repair_parts.h"
#include "storage/segment_parts.h"
#include "storage/sweep.h"

void tq_repair_note(const struct tq_repair_part *part, const char *format, ...) {
    char text[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    part->task->note(part->task->context, text);
}

/* ---- Segments ---- */

/* A failure that tells of the value, not of the machine. */
static bool is_damage(enum tq_status status) { return status == TQ_CORRUPT || status == TQ_NOT_FOUND; }

/* The header of every chunk: a folder of another history may hold other values under the same keys. */
static enum tq_status check_heads(struct tq_segment *segment) {
    for (uint32_t i = 0; i < segment->code_chunks + segment->exact_chunks; i++) {
        TQ_TRY(tq_chunk_verify(&segment->chunks[i], 0, 0));
    }
    return TQ_OK;
}

static void say_why(const struct tq_repair_part *part, struct tq_repair_segment *found, const char *text) {
    uint64_t first = tq_part_first(part->part);
    (void)snprintf(found->why, sizeof found->why, "segment of slots %llu to %llu: %s",
                   (unsigned long long)(found->row.slot_first - first),
                   (unsigned long long)(found->row.slot_end - first), text);
}

static enum tq_status look_at_segment(struct tq_repair_part *part, struct tq_repair_segment *found, bool all_pages) {
    const struct tq_catalog_segment *row = &found->row;
    enum tq_status status = TQ_NOT_FOUND;
    if (row->dir_key >> 40 == part->identity.number) {
        status = tq_segment_open(part->task->env, part->reader, &part->format, row->dir_key, row->dir_sum,
                                 &found->segment);
    }
    found->fate = TQ_FATE_GONE;
    if (status == TQ_OK) {
        found->fate = TQ_FATE_DAMAGED;
        status = all_pages ? tq_segment_check(found->segment) : check_heads(found->segment);
    }
    if (status == TQ_OK) found->fate = TQ_FATE_WHOLE;
    if (status == TQ_OK) return TQ_OK;
    if (!is_damage(status)) return status;
    char text[200];
    (void)snprintf(text, sizeof text, "%s", status == TQ_NOT_FOUND ? "it is not in the folder" : tq_message());
    say_why(part, found, text);
    return TQ_OK;
}

/* As it is in the catalog, whether or not its sum is right: what the directory says counts. */
static enum tq_status read_segment(struct tq_repair_part *part, sqlite3_stmt *stmt) {
    const sqlite3_api_routines *sqlite3_api = part->task->conn->api;
    if (part->count == part->capacity) {
        size_t capacity = 2 * part->capacity + 32, size = sizeof *part->segments;
        struct tq_repair_segment *grown = tq_realloc(part->segments, part->count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        part->segments = grown;
        part->capacity = capacity;
    }
    part->segments[part->count++] = (struct tq_repair_segment){
        .row = {.slot_first = (uint64_t)sqlite3_column_int64(stmt, 0),
                .slot_end = (uint64_t)sqlite3_column_int64(stmt, 1),
                .dir_key = (uint64_t)sqlite3_column_int64(stmt, 2),
                .dir_sum = (uint64_t)sqlite3_column_int64(stmt, 3)},
        .fate = TQ_FATE_GONE};
    return TQ_OK;
}

/* Ranges must be disjoint whatever the catalog says: a segment ends where the next one begins. */
static void bound_segments(struct tq_repair_part *part) {
    uint64_t end = part->look.any_put ? part->look.slot_first : part->look.state.next;
    for (size_t i = part->count; i > 0; i--) {
        struct tq_catalog_segment *row = &part->segments[i - 1].row;
        if (row->slot_end > end || row->slot_end <= row->slot_first) row->slot_end = end;
        end = row->slot_first;
    }
}

static enum tq_status read_segments(struct tq_repair_part *part) {
    struct tq_conn *conn = part->task->conn;
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf("SELECT slot0, slot1, dir, dir_sum FROM \"%w\".\"%w_seg\" WHERE slot0 BETWEEN %lld AND"
                                " %lld ORDER BY slot0",
                                conn->schema, part->task->name, (long long)tq_part_first(part->part),
                                (long long)tq_part_end(part->part) - 1);
    if (sql == NULL) return TQ_NOMEM;
    enum tq_status status = tq_conn_prepare(conn, sql, &stmt);
    int rc = SQLITE_DONE;
    while (status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) status = read_segment(part, stmt);
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "reading the segments of", sql);
    (void)sqlite3_finalize(stmt);
    sqlite3_free(sql);
    bound_segments(part);
    return status;
}

/* Those that open twice, or reach over their range, would give a row two places. */
static void distrust(struct tq_repair_part *part) {
    for (size_t i = 0; i < part->count; i++) {
        struct tq_repair_segment *found = &part->segments[i];
        if (found->segment == NULL) continue;
        bool within = tq_segment_slot_first(found->segment) >= found->row.slot_first &&
                      tq_segment_slot_end(found->segment) <= found->row.slot_end;
        if (within) continue;
        tq_segment_close(found->segment);
        found->segment = NULL;
        found->fate = TQ_FATE_GONE;
        say_why(part, found, "the catalog gives it slots that are not its own");
    }
}

static enum tq_status look_at_segments(struct tq_repair_part *part, bool all_pages) {
    TQ_TRY(read_segments(part));
    for (size_t i = 0; i < part->count; i++) {
        if (part->task->how != TQ_REPAIR_ADOPT_EMPTY) TQ_TRY(look_at_segment(part, &part->segments[i], all_pages));
    }
    distrust(part);
    return TQ_OK;
}

/* ---- Values that nothing refers to ---- */

struct keys {
    uint64_t *list;
    size_t count;
};

static int compare_keys(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static enum tq_status add_keys_of(const struct tq_segment *segment, struct keys *keys) {
    size_t exact = 0, codes = tq_segment_keys(segment, NULL, 0, NULL, 0, &exact), size = sizeof *keys->list;
    uint64_t *grown = tq_realloc(keys->list, keys->count * size, (keys->count + codes + exact) * size);
    if (grown == NULL) return TQ_NOMEM;
    keys->list = grown;
    (void)tq_segment_keys(segment, grown + keys->count, codes, grown + keys->count + codes, exact, &exact);
    keys->count += codes + exact;
    return TQ_OK;
}

struct used_keys {
    struct tq_repair_part *part;
    struct keys *used;
};

static enum tq_status take_used(void *context, const struct tq_catalog_segment *row) {
    struct used_keys *both = context;
    struct tq_segment *segment = NULL;
    struct tq_repair_part *part = both->part;
    TQ_TRY(tq_segment_open(part->task->env, part->reader, &part->format, row->dir_key, row->dir_sum, &segment));
    enum tq_status status = add_keys_of(segment, both->used);
    tq_segment_close(segment);
    return status;
}

/* Everything of the part that its segments, as they are now, do not need. What is listed already is listed again, which
 * does no harm. Adopted from another history, it may be what another copy of the database needs: only optimize, which
 * somebody asks for, deletes that. */
static enum tq_status list_unused(struct tq_repair_part *part) {
    struct keys used = {0}, all = {0};
    struct used_keys both = {part, &used};
    size_t found = 0, kept = 0;
    TQ_TRY(tq_env_reader_renew(part->reader));
    enum tq_status status = tq_catalog_segment_scan(part->catalog, part->part, take_used, &both);
    if (status == TQ_OK && used.count > 1) qsort(used.list, used.count, sizeof *used.list, compare_keys);
    if (status == TQ_OK) {
        status = tq_env_keys_above(part->task->env, part->identity.number, 0, NULL, 0, &all.count);
    }
    if (status == TQ_OK) all.list = tq_alloc_array(all.count, sizeof *all.list);
    if (status == TQ_OK && all.list == NULL) status = TQ_NOMEM;
    if (status == TQ_OK) {
        status = tq_env_keys_above(part->task->env, part->identity.number, 0, all.list, all.count, &found);
    }
    for (size_t i = 0; status == TQ_OK && i < all.count && i < found; i++) {
        uint64_t key = all.list[i];
        if (used.count != 0 && bsearch(&key, used.list, used.count, sizeof key, compare_keys) != NULL) continue;
        all.list[kept++] = key;
    }
    uint64_t version = part->task->how == TQ_REPAIR_ADOPT_FOLDER ? TQ_GC_KEPT : part->next.version;
    if (status == TQ_OK) status = tq_catalog_gc_add(part->catalog, part->part, version, all.list, kept);
    tq_free(used.list);
    tq_free(all.list);
    return status;
}

/* ---- State ---- */

/* Slots and sequence numbers are not used again, also when the log that knows of them is cut. */
static struct tq_catalog_state state_after(const struct tq_catalog_look *look, const struct tq_env_meta *meta) {
    struct tq_catalog_state state = look->state;
    state.version++;
    state.flushes = meta->flushes;
    state.nonce = meta->nonce;
    if (meta->serial > state.serial) state.serial = meta->serial;
    if (look->any_put && look->slot_last >= state.next) state.next = look->slot_last + 1;
    if (look->seq_last > state.seq) state.seq = look->seq_last;
    return state;
}

/* What is written to the folder must not make a wrong pair look like a right one should all this be rolled back. */
static enum tq_status begin_writing(struct tq_repair_part *part) {
    const struct tq_catalog_state *state = &part->look.state;
    const struct tq_env_meta *meta = &part->meta;
    bool ahead = meta->flushes == state->flushes + 1;
    bool pair = (meta->flushes == state->flushes && meta->nonce == state->nonce) ||
                (ahead && meta->parent == state->nonce);
    uint64_t nonce = 0;
    if (tq_platform_random(&nonce, sizeof nonce) != 0) return tq_fail(TQ_IO, "random bytes are not to be had");
    part->sink = (struct tq_builder_sink){
        .env = part->task->env,
        .index = part->identity.number,
        .meta = {.serial = meta->serial > state->serial ? meta->serial : state->serial,
                 .flushes = ahead ? meta->flushes : meta->flushes + 1,
                 .nonce = nonce | 1,
                 .parent = pair ? state->nonce : meta->nonce}};
    return TQ_OK;
}

/* A number of this folder: the part is new to it. */
static enum tq_status take_number(struct tq_repair_part *part) {
    uint64_t nonce = 0;
    TQ_TRY(tq_number_take(part->task->conn, part->task->env, &part->identity, &nonce));
    part->meta = (struct tq_env_meta){.nonce = nonce};
    part->look.state.serial = part->look.state.flushes = 0;
    part->look.state.nonce = nonce;
    return TQ_OK;
}

static enum tq_status finish(struct tq_repair_part *part) {
    return tq_catalog_part_move(part->catalog, part->part, &part->format, &part->identity, &part->next);
}

/* ---- The three ways ---- */

static enum tq_status refuse_folder(const struct tq_repair_part *part, size_t missing, uint64_t slots) {
    return tq_fail(
        TQ_CORRUPT,
        "index \"%s\": %zu of %zu segments of part %u, up to %llu vectors, are not in folder \"%s\": it cannot "
        "be adopted without loss; tq_repair with salvage keeps the others",
        part->task->name, missing, part->count, part->part, (unsigned long long)slots, tq_env_path(part->task->env));
}

static enum tq_status adopt_folder(struct tq_repair_part *part) {
    size_t missing = 0;
    uint64_t slots = 0;
    TQ_TRY(look_at_segments(part, false));
    for (size_t i = 0; i < part->count; i++) {
        const struct tq_repair_segment *found = &part->segments[i];
        if (found->fate == TQ_FATE_WHOLE) continue;
        missing++;
        slots += found->row.slot_end - found->row.slot_first;
        tq_repair_note(part, "part %u, %s", part->part, found->why);
    }
    if (missing != 0) return refuse_folder(part, missing, slots);
    bool pair = part->meta.flushes == part->look.state.flushes && part->meta.nonce == part->look.state.nonce;
    if (pair) return TQ_OK;
    if (part->meta.nonce == 0) TQ_TRY(take_number(part));
    part->next = state_after(&part->look, &part->meta);
    TQ_TRY(list_unused(part));
    return finish(part);
}

static enum tq_status salvage(struct tq_repair_part *part) {
    if (part->meta.nonce == 0) TQ_TRY(take_number(part));
    TQ_TRY(look_at_segments(part, true));
    TQ_TRY(begin_writing(part));
    part->next = state_after(&part->look, &part->meta);
    TQ_TRY(tq_salvage_part(part));
    struct tq_env_meta meta;
    TQ_TRY(tq_env_meta(part->task->env, part->identity.number, &meta));
    part->next = state_after(&part->look, &meta);
    TQ_TRY(list_unused(part));
    return finish(part);
}

static enum tq_status adopt_empty(struct tq_repair_part *part) {
    TQ_TRY(take_number(part));
    TQ_TRY(look_at_segments(part, false));
    part->next = state_after(&part->look, &part->meta);
    TQ_TRY(tq_salvage_part(part));
    return finish(part);
}

/* ---- Parts ---- */

static void part_clear(struct tq_repair_part *part) {
    for (size_t i = 0; i < part->count; i++) {
        tq_segment_close(part->segments[i].segment);
        tq_builder_close(part->segments[i].builder);
        tq_free(part->segments[i].alive);
    }
    tq_free(part->segments);
}

static enum tq_status check_folder(const struct tq_repair_part *part) {
    const struct tq_repair_task *task = part->task;
    if (task->how == TQ_REPAIR_ADOPT_EMPTY || memcmp(part->identity.uuid, tq_env_uuid(task->env), 16) == 0)
        return TQ_OK;
    return tq_fail(
        TQ_MISUSE,
        "index \"%s\": folder \"%s\" belongs to another database than \"%s\" and cannot hold its vectors; put "
        "its own folder there, or call tq_repair with adopt-empty",
        task->name, tq_env_path(task->env), tq_conn_file(task->conn));
}

static enum tq_status repair_part(struct tq_repair_part *part) {
    const struct tq_repair_task *task = part->task;
    TQ_TRY(tq_catalog_identify(part->catalog, part->part, &part->format, &part->identity));
    TQ_TRY(check_folder(part));
    TQ_TRY(tq_catalog_look(part->catalog, part->part, &part->look));
    if (task->how != TQ_REPAIR_ADOPT_EMPTY) TQ_TRY(tq_env_meta(task->env, part->identity.number, &part->meta));
    switch (task->how) {
    case TQ_REPAIR_ADOPT_FOLDER: return adopt_folder(part);
    case TQ_REPAIR_ADOPT_EMPTY: return adopt_empty(part);
    case TQ_REPAIR_SALVAGE: return salvage(part);
    }
    return tq_fail(TQ_MISUSE, "how is %d; it must be one of enum tq_repair_how", (int)task->how);
}

/* The integer that a statement finds; its text is freed. */
static enum tq_status find_number(struct tq_conn *conn, const char *name, char *sql, uint32_t *number, bool *found) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", name);
    enum tq_status status = tq_conn_prepare(conn, sql, &stmt);
    sqlite3_free(sql);
    int rc = status == TQ_OK ? sqlite3_step(stmt) : SQLITE_DONE;
    *found = rc == SQLITE_ROW;
    if (*found) *number = (uint32_t)sqlite3_column_int64(stmt, 0);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "reading the state of", name);
    (void)sqlite3_finalize(stmt);
    return status;
}

/* The first part at or behind a number. */
static enum tq_status next_part(struct tq_conn *conn, const char *name, uint32_t *number, bool *found) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    return find_number(conn, name,
                       sqlite3_mprintf("SELECT part FROM \"%w\".\"%w_state\" WHERE part >= %u ORDER BY part LIMIT 1",
                                       conn->schema, name, *number),
                       number, found);
}

static enum tq_status has_host(struct tq_conn *conn, const char *name, bool *has) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    uint32_t unused = 0;
    return find_number(conn, name,
                       sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_master WHERE type = 'table' AND"
                                       " name = '%q' COLLATE NOCASE",
                                       conn->schema, name),
                       &unused, has);
}

static enum tq_status repair_parts(const struct tq_repair_task *task, struct tq_catalog *catalog,
                                   struct tq_env_reader *reader) {
    bool found = true, keep_rows = false;
    uint32_t number = 0;
    TQ_TRY(tq_catalog_changes_add(catalog)); /* takes the write lock, and tells other connections */
    TQ_TRY(has_host(task->conn, task->name, &keep_rows));
    TQ_TRY(next_part(task->conn, task->name, &number, &found));
    while (found) {
        struct tq_repair_part part = {
            .task = task, .catalog = catalog, .reader = reader, .part = number, .keep_rows = keep_rows};
        enum tq_status status = repair_part(&part);
        part_clear(&part);
        TQ_TRY(status);
        number++;
        TQ_TRY(next_part(task->conn, task->name, &number, &found));
    }
    return TQ_OK;
}

/* Numbers that the database's catalogs name, of a folder that is gone, must not be given out in this one: dropping a
 * table that was not repaired would list them, and delete the values of another. */
static enum tq_status reserve_numbers(const struct tq_repair_task *task) {
    struct tq_named_numbers named;
    uint32_t most = 0, first = 0;
    TQ_TRY(tq_numbers_named(task->conn, tq_env_uuid(task->env), &named));
    for (size_t i = 0; i < named.count; i++) {
        if (!named.list[i].ours && named.list[i].number < 0xfffffe) most = named.list[i].number;
    }
    tq_free(named.list);
    TQ_TRY(tq_number_free(task->env, &first));
    if (most < first) return TQ_OK;
    struct tq_env_batch batch = {.index = first, .more = most - first, .meta = {.nonce = 1}};
    if (tq_platform_random(&batch.meta.nonce, sizeof batch.meta.nonce) != 0) return tq_fail(TQ_IO, "no random bytes");
    batch.meta.nonce |= 1;
    return tq_env_write(task->env, &batch);
}

enum tq_status tq_table_repair(const struct tq_repair_task *task) {
    struct tq_catalog *catalog = NULL;
    struct tq_env_reader *reader = NULL;
    TQ_TRY(tq_catalog_open(task->conn, task->name, &catalog));
    enum tq_status status = tq_env_reader_open(task->env, &reader);
    if (status == TQ_OK && task->how == TQ_REPAIR_ADOPT_EMPTY) {
        status = reserve_numbers(task);
        /* They are keys of the folder that is gone. */
        if (status == TQ_OK) {
            status = tq_conn_execf(task->conn, task->name, "DELETE FROM \"%w\".\"%w_gc\"", task->conn->schema,
                                   task->name);
        }
    }
    if (status == TQ_OK) status = repair_parts(task, catalog, reader);
    tq_env_reader_close(reader);
    tq_catalog_close(catalog);
    return status;
}

enum tq_status tq_table_uuid(struct tq_conn *conn, const char *name, uint8_t uuid[16]) {
    struct tq_catalog *catalog = NULL;
    struct tq_format format;
    struct tq_catalog_identity identity;
    TQ_TRY(tq_catalog_open(conn, name, &catalog));
    enum tq_status status = tq_catalog_identify(catalog, 0, &format, &identity);
    tq_catalog_close(catalog);
    if (status == TQ_OK) memcpy(uuid, identity.uuid, sizeof identity.uuid);
    return status;
}

enum tq_status tq_table_folder_owner(struct tq_conn *conn, struct tq_env *env, const char *name,
                                     enum tq_folder_owner *owner) {
    uint8_t uuid[16];
    struct tq_named_numbers named;
    TQ_TRY(tq_table_uuid(conn, name, uuid));
    TQ_TRY(tq_numbers_named(conn, tq_env_uuid(env), &named));
    *owner = TQ_FOLDER_OTHER;
    for (size_t i = 0; i < named.count; i++) {
        if (named.list[i].ours) *owner = TQ_FOLDER_SHARED;
    }
    if (memcmp(uuid, tq_env_uuid(env), sizeof uuid) == 0) *owner = TQ_FOLDER_OWN;
    tq_free(named.list);
    return TQ_OK;
}
