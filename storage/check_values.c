/* Values of the folder: each is referred to by a segment, listed as replaced, or neither. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "storage/catalog_sql.h"
#include "storage/check_parts.h"

/* ---- Keys ---- */

enum tq_status tq_check_keys_add(struct tq_check_keys *keys, const uint64_t *more, size_t count) {
    if (count == 0) return TQ_OK;
    if (keys->count + count > keys->capacity) {
        size_t capacity = 2 * (keys->count + count), size = sizeof *keys->list;
        uint64_t *grown = tq_realloc(keys->list, keys->count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        keys->list = grown;
        keys->capacity = capacity;
    }
    memcpy(keys->list + keys->count, more, count * sizeof *more);
    keys->count += count;
    return TQ_OK;
}

static int compare_keys(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void sort(struct tq_check_keys *keys) {
    if (keys->count != 0) qsort(keys->list, keys->count, sizeof *keys->list, compare_keys);
}

static bool has(const struct tq_check_keys *keys, uint64_t key) {
    return keys->count != 0 && bsearch(&key, keys->list, keys->count, sizeof key, compare_keys) != NULL;
}

/* ---- What is listed as replaced ---- */

struct listing {
    struct tq_checked *checked;
    const struct tq_check_part *part;
    int64_t row;
};

/* A value may be another index's only if that was dropped: else somebody refers to it, or will. */
static void check_listed_key(const struct listing *listing, uint64_t key) {
    struct tq_check *check = listing->checked->check;
    const struct tq_check_part *part = listing->part;
    const char *name = listing->checked->table->name;
    uint32_t number = (uint32_t)(key >> 40);
    uint64_t serial = tq_check_serial(key);
    uint64_t known = part->state.serial > part->meta.serial ? part->state.serial : part->meta.serial;
    const struct tq_check_owner *owner = tq_check_owner_find(check, number);
    if (owner != NULL && number != part->identity.number)
        tq_check_found(check, "%s: row %lld of %s_gc lists value %" PRIu64 " of index %u, which is part %u of %s", name,
                       (long long)listing->row, name, serial, number, owner->part, owner->name);
    else if (number == part->identity.number && part->folder && serial > known)
        tq_check_found(check, "%s: row %lld of %s_gc lists value %" PRIu64 ", which has not been written yet", name,
                       (long long)listing->row, name, serial);
}

static enum tq_status check_listed_row(struct tq_checked *checked, sqlite3_stmt *rows) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *name = checked->table->name;
    sqlite3_int64 row = sqlite3_column_int64(rows, 0), part = sqlite3_column_int64(rows, 1);
    sqlite3_int64 version = sqlite3_column_int64(rows, 2);
    const uint8_t *bytes = sqlite3_column_blob(rows, 3);
    size_t size = (size_t)sqlite3_column_bytes(rows, 3);
    struct listing listing = {.checked = checked, .row = row};
    if (part >= 0 && part < TQ_PARTS_MAX) listing.part = tq_check_part_find(checked, (uint32_t)part);
    if (sqlite3_column_type(rows, 1) != SQLITE_INTEGER || listing.part == NULL) {
        tq_check_found(check, "%s: row %lld of %s_gc names part %lld, which does not exist", name, row, name, part);
        return TQ_OK;
    }
    if (sqlite3_column_type(rows, 3) != SQLITE_BLOB || size % sizeof(uint64_t) != 0) {
        tq_check_found(check, "%s: row %lld of %s_gc has %zu bytes, which are no list of values", name, row, name,
                       size);
        return TQ_OK;
    }
    if ((uint64_t)sqlite3_column_int64(rows, 4) !=
        tq_catalog_gc_sum((uint32_t)part, (uint64_t)version, bytes, size / sizeof(uint64_t)))
        tq_check_found(check, "%s: row %lld of %s_gc fails its checksum", name, row, name);
    bool kept = (uint64_t)version == TQ_GC_KEPT;
    if (listing.part->known && !kept && (version < 0 || (uint64_t)version > listing.part->state.version))
        tq_check_found(check, "%s: row %lld of %s_gc names version %lld; part %lld is at %" PRIu64, name, row, name,
                       version, part, listing.part->state.version);
    uint64_t *keys = tq_alloc(size);
    if (keys == NULL) return TQ_NOMEM;
    if (size != 0) memcpy(keys, bytes, size);
    for (size_t i = 0; i < size / sizeof *keys; i++)
        if (listing.part->known) check_listed_key(&listing, keys[i]);
    enum tq_status status = tq_check_keys_add(&check->listed, keys, size / sizeof *keys);
    tq_free(keys);
    return status;
}

enum tq_status tq_check_listed(struct tq_checked *checked) {
    struct tq_check *check = checked->check;
    const sqlite3_api_routines *sqlite3_api = check->conn->api;
    const char *name = checked->table->name;
    sqlite3_stmt *rows = NULL;
    enum tq_status status = TQ_OK;
    int rc = SQLITE_DONE;
    TQ_TRY(tq_check_prepare(check, &rows, "SELECT rowid, part, version, keys, sum FROM \"%w\".\"%w_gc\"",
                            check->conn->schema, name));
    while (status == TQ_OK && (rc = sqlite3_step(rows)) == SQLITE_ROW) status = check_listed_row(checked, rows);
    if (status == TQ_OK) status = tq_check_stepped(check, rc, name);
    (void)sqlite3_finalize(rows);
    return status;
}

/* ---- What the folder holds ---- */

struct spare {
    uint64_t count, bytes;
};

static void note_spare(struct tq_check *check, const struct spare *spare, const char *what) {
    if (spare->count != 0)
        tq_check_note(check, "%s: %" PRIu64 " values, %.1f MiB", what, spare->count, (double)spare->bytes / 0x1p20);
}

static enum tq_status count_value(struct tq_check *check, uint64_t key, struct spare *spare) {
    const void *value = NULL;
    size_t size = 0;
    enum tq_status status = tq_env_get(check->reader, key, &value, &size);
    if (status == TQ_NOT_FOUND) return TQ_OK; /* written after our snapshot */
    spare->count++;
    spare->bytes += size;
    return status;
}

static enum tq_status keys_of(struct tq_check *check, uint32_t number, struct tq_check_keys *keys) {
    size_t count = 0;
    keys->count = 0;
    TQ_TRY(tq_env_keys_above(check->env, number, 0, NULL, 0, &count));
    if (count > keys->capacity) {
        tq_free(keys->list);
        keys->capacity = 0;
        keys->list = tq_alloc_array(count, sizeof *keys->list);
        if (keys->list == NULL) return TQ_NOMEM;
        keys->capacity = count;
    }
    TQ_TRY(tq_env_keys_above(check->env, number, 0, keys->list, keys->capacity, &keys->count));
    if (keys->count > keys->capacity) keys->count = keys->capacity; /* others are writing */
    return TQ_OK;
}

static enum tq_status check_number(struct tq_check *check, uint32_t number, struct tq_check_keys *keys,
                                   struct spare *spare) {
    TQ_TRY(keys_of(check, number, keys));
    for (size_t i = 0; i < keys->count; i++) {
        uint64_t key = keys->list[i];
        if (!has(&check->used, key) && !has(&check->listed, key)) TQ_TRY(count_value(check, key, spare));
    }
    return TQ_OK;
}

/* Numbers are given out in order, so the first without a record ends them. */
static enum tq_status check_numbers(struct tq_check *check, struct tq_check_keys *keys) {
    struct spare orphans = {0}, unnamed = {0};
    for (uint32_t number = 1; number < 0xffffff; number++) {
        struct tq_check_owner *owner = tq_check_owner_find(check, number);
        struct tq_env_meta meta = {.nonce = 1};
        if (number % 256 == 0) TQ_TRY(tq_stop_check(tq_stop_current()));
        enum tq_status status = tq_env_meta(check->env, number, &meta);
        if (status == TQ_OK && meta.nonce == 0) break;
        if (owner == NULL && check->request->all) TQ_TRY(tq_check_absorb(check, "folder", status));
        if (status != TQ_OK && status != TQ_CORRUPT) return status;
        if (owner == NULL && check->request->all) TQ_TRY(check_number(check, number, keys, &unnamed));
        if (owner != NULL && owner->checked && !owner->unread) TQ_TRY(check_number(check, number, keys, &orphans));
    }
    note_spare(check, &orphans, "values of transactions that were rolled back, to be deleted by later ones");
    note_spare(check, &unnamed, "values of indexes that no table is, dropped or never committed");
    return TQ_OK;
}

static void check_in_use(struct tq_check *check) {
    for (size_t i = 0; i < check->listed.count; i++) {
        uint64_t key = check->listed.list[i];
        if (!has(&check->used, key) || (i > 0 && key == check->listed.list[i - 1])) continue;
        const struct tq_check_owner *owner = tq_check_owner_find(check, (uint32_t)(key >> 40));
        tq_check_found(check, "%s, part %u: value %" PRIu64 " is in use, and listed as replaced in %s_gc",
                       owner != NULL ? owner->name : "?", owner != NULL ? owner->part : 0, tq_check_serial(key),
                       owner != NULL ? owner->name : "?");
    }
}

enum tq_status tq_check_values(struct tq_check *check) {
    struct tq_check_keys keys = {0};
    sort(&check->used);
    sort(&check->listed);
    check_in_use(check);
    enum tq_status status = check_numbers(check, &keys);
    tq_free(keys.list);
    return status;
}
