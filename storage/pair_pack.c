/* A folder's values in a table of its database, tqlite_packed: for one file that is sent somewhere, and back.
 *
 *     key                      value
 *     0                        uuid of the folder
 *     number of a part         its record in the folder's `meta`
 *     number << 40 | serial    a value
 *
 * One value at a time is in memory. What is packed is a copy: the folder is still there. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/alloc.h"
#include "storage/env_record.h"
#include "storage/pair_parts.h"
#include "storage/platform.h"

#define KEY_UUID 0u
#define NUMBER_MAX 0xffffffu
#define NUMBERS_LATER (1u << 20) /* parts made after packing: more are not believed, they would cost memory */

static enum tq_status prepare(struct tq_conn *conn, const char *format, sqlite3_stmt **stmt) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    char *sql = sqlite3_mprintf(format, conn->schema);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(conn->db, sql, -1, stmt, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? TQ_OK : tq_conn_fail(conn, rc, "preparing a statement on", "tqlite_packed");
}

/* ---- Packing ---- */

struct packing {
    struct tq_conn *conn;
    struct tq_env *env;
    sqlite3_stmt *insert;
    uint64_t bytes;
};

/* A value that several segments refer to is packed once. */
static enum tq_status add(void *context, uint64_t key, const void *data, size_t size) {
    struct packing *packing = context;
    const sqlite3_api_routines *sqlite3_api = packing->conn->api;
    (void)sqlite3_bind_int64(packing->insert, 1, (sqlite3_int64)key);
    int rc = sqlite3_bind_blob64(packing->insert, 2, data, size, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(packing->insert);
    bool added = rc == SQLITE_DONE && sqlite3_changes(packing->conn->db) == 1;
    (void)sqlite3_reset(packing->insert);
    (void)sqlite3_clear_bindings(packing->insert);
    if (rc != SQLITE_DONE) return tq_conn_fail(packing->conn, rc, "writing", "tqlite_packed");
    if (added) packing->bytes += size;
    return TQ_OK;
}

static enum tq_status pack_part(void *context, struct tq_table *part) {
    return tq_pair_values(part, true, add, context);
}

/* All that were ever given out: a number must not come back in a folder that is made of this. */
static enum tq_status pack_numbers(struct packing *packing) {
    for (uint32_t number = 1; number <= NUMBER_MAX; number++) {
        struct tq_env_meta meta;
        TQ_TRY(tq_env_meta(packing->env, number, &meta));
        if (meta.nonce == 0) break;
        struct tq_index_record record = tq_index_record_make(&meta);
        TQ_TRY(add(packing, number, &record, sizeof record));
    }
    return TQ_OK;
}

enum tq_status tq_pair_pack(struct tq_conn *conn, struct tq_env *env, uint64_t *bytes) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    struct packing packing = {.conn = conn, .env = env};
    /* The write lock comes first, so that nobody is between LMDB and SQLite. */
    TQ_TRY(
        tq_conn_execf(conn, "tqlite_packed",
                      "CREATE TABLE IF NOT EXISTS \"%w\".tqlite_packed(key INTEGER PRIMARY KEY, value BLOB NOT NULL);"
                      "DELETE FROM \"%w\".tqlite_packed",
                      conn->schema, conn->schema));
    TQ_TRY(prepare(conn, "INSERT OR IGNORE INTO \"%w\".tqlite_packed(key, value) VALUES (?1, ?2)", &packing.insert));
    enum tq_status status = add(&packing, KEY_UUID, tq_env_uuid(env), 16);
    if (status == TQ_OK) status = pack_numbers(&packing);
    packing.bytes = 0;
    if (status == TQ_OK) status = tq_pair_each(conn, env, pack_part, &packing);
    (void)sqlite3_finalize(packing.insert);
    if (status == TQ_OK) *bytes = packing.bytes;
    return status;
}

enum tq_status tq_pair_is_packed(struct tq_conn *conn, bool *packed) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(prepare(conn, "SELECT 1 FROM \"%w\".sqlite_master WHERE type = 'table' AND name = 'tqlite_packed'", &stmt));
    int rc = sqlite3_step(stmt);
    enum tq_status status = TQ_OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "looking for", "tqlite_packed");
    (void)sqlite3_finalize(stmt);
    if (status == TQ_OK) *packed = rc == SQLITE_ROW;
    return status;
}

/* ---- Unpacking ---- */

struct unpacking {
    struct tq_conn *conn;
    struct tq_env_restore *restore;
    uint8_t uuid[16];
    struct tq_env_meta *metas; /* [NUMBER] as packed, then as they will be; nonce 0: there is none */
    uint32_t count;            /* of numbers, 0 among them */
    uint32_t capacity;
    bool stale; /* a part was written to since */
    uint64_t bytes;
};

static enum tq_status damaged(long long key, const char *what) {
    return tq_fail(TQ_CORRUPT, "table \"tqlite_packed\": key %lld: %s", key, what);
}

static enum tq_status keep_meta(struct unpacking *u, uint32_t number, const struct tq_env_meta *meta) {
    if (number >= u->capacity) {
        uint32_t capacity = 2 * number + 16;
        size_t size = sizeof *u->metas;
        struct tq_env_meta *grown = tq_realloc(u->metas, u->capacity * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        memset(grown + u->capacity, 0, (capacity - u->capacity) * size);
        u->metas = grown;
        u->capacity = capacity;
    }
    if (number >= u->count) u->count = number + 1;
    u->metas[number] = *meta;
    return TQ_OK;
}

static enum tq_status take_row(struct unpacking *u, sqlite3_int64 key, const void *data, size_t size) {
    struct tq_env_meta meta;
    uint64_t number = (uint64_t)key;
    if (data == NULL || size == 0) return damaged(key, "it holds no value");
    if (number == KEY_UUID) return TQ_OK;
    if (number <= NUMBER_MAX) {
        if (!tq_index_record_parse(data, size, &meta)) return damaged(key, "the record fails its checksum");
        return keep_meta(u, (uint32_t)number, &meta);
    }
    if (number >> 40 == 0) return damaged(key, "it is no key of a value");
    u->bytes += size;
    return tq_env_restore_value(u->restore, number, data, size);
}

static enum tq_status take_rows(struct unpacking *u) {
    const sqlite3_api_routines *sqlite3_api = u->conn->api;
    sqlite3_stmt *stmt = NULL;
    enum tq_status status = prepare(u->conn, "SELECT key, value FROM \"%w\".tqlite_packed ORDER BY key", &stmt);
    int rc = SQLITE_ROW;
    while (status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const void *data = sqlite3_column_blob(stmt, 1);
        status = take_row(u, sqlite3_column_int64(stmt, 0), data, (size_t)sqlite3_column_bytes(stmt, 1));
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_conn_fail(u->conn, rc, "reading", "tqlite_packed");
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum tq_status read_uuid(struct tq_conn *conn, uint8_t uuid[16]) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(prepare(conn, "SELECT value FROM \"%w\".tqlite_packed WHERE key = 0", &stmt));
    bool whole = sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) == 16 &&
                 sqlite3_column_blob(stmt, 0) != NULL;
    if (whole) memcpy(uuid, sqlite3_column_blob(stmt, 0), 16);
    (void)sqlite3_finalize(stmt);
    return whole ? TQ_OK : damaged(KEY_UUID, "no uuid of a folder");
}

/* The folder is to be what the catalog says, whatever was packed: it has nothing that the catalog does not name. */
static enum tq_status adjust_meta(void *context, const struct tq_catalog_identity *identity,
                                  const struct tq_catalog_look *look) {
    struct unpacking *u = context;
    struct tq_env_meta packed = {0};
    const struct tq_catalog_state *state = &look->state;
    if (memcmp(identity->uuid, u->uuid, sizeof u->uuid) != 0) {
        return tq_fail(TQ_FORMAT, "table \"tqlite_packed\" was packed from another database's folder");
    }
    if (look->number > u->capacity + NUMBERS_LATER) {
        return tq_fail(TQ_CORRUPT, "number %u of a part is far from those in tqlite_packed", look->number);
    }
    if (look->number < u->count) packed = u->metas[look->number];
    bool rolled_back = packed.flushes == state->flushes + 1 && packed.parent == state->nonce;
    if (packed.nonce != state->nonce && !rolled_back) u->stale = true;
    struct tq_env_meta meta = {.serial = packed.serial > state->serial ? packed.serial : state->serial,
                               .flushes = state->flushes,
                               .nonce = state->nonce};
    return keep_meta(u, look->number, &meta);
}

static enum tq_status put_metas(struct unpacking *u) {
    for (uint32_t number = 1; number < u->count; number++) {
        struct tq_env_meta meta = u->metas[number];
        if (meta.nonce == 0)
            meta = (struct tq_env_meta){.nonce = 1}; /* claimed by nobody that is here: not free either */
        TQ_TRY(tq_env_restore_meta(u->restore, number, &meta));
    }
    return TQ_OK;
}

static enum tq_status fill(struct unpacking *u, const char *folder) {
    TQ_TRY(read_uuid(u->conn, u->uuid));
    TQ_TRY(tq_env_restore_begin(folder, u->uuid, &u->restore));
    TQ_TRY(take_rows(u));
    TQ_TRY(tq_pair_states(u->conn, adjust_meta, u));
    TQ_TRY(put_metas(u));
    return tq_env_restore_end(u->restore);
}

static enum tq_status look_at_part(void *context, struct tq_table *part) {
    const bool *pages = context;
    return tq_pair_values(part, *pages, NULL, NULL);
}

static enum tq_status check_folder(struct tq_conn *conn, const char *folder, bool allow_netfs, bool pages) {
    struct tq_env *env = NULL;
    TQ_TRY(tq_env_open(folder, 0, allow_netfs, &env));
    enum tq_status status = tq_pair_each(conn, env, look_at_part, &pages);
    struct tq_pair_failure failure = tq_pair_failed(status);
    tq_env_close(env);
    return status == TQ_OK ? TQ_OK : tq_pair_fail_again(&failure);
}

static enum tq_status make_folder(struct unpacking *u, const char *folder, bool allow_netfs) {
    char temporary[4096];
    TQ_TRY(tq_folder_make_beside(folder, temporary, sizeof temporary));
    enum tq_status status = fill(u, temporary);
    if (status == TQ_OK) status = check_folder(u->conn, temporary, allow_netfs, true);
    if (status == TQ_OK) status = tq_folder_move(temporary, folder);
    if (status == TQ_OK) return TQ_OK;
    struct tq_pair_failure failure = tq_pair_failed(status);
    tq_pair_failed_at(&failure, temporary, folder);
    tq_env_restore_drop(u->restore); /* before its files go */
    u->restore = NULL;
    tq_folder_remove(temporary);
    if (status != TQ_CORRUPT || !u->stale) return tq_pair_fail_again(&failure);
    return tq_fail(
        TQ_CORRUPT,
        "vectors were written after tq_pack(), and the folder \"%s\" that has them is not here: what was packed "
        "is not enough (%s)",
        folder, failure.text);
}

enum tq_status tq_pair_unpack(struct tq_conn *conn, const char *folder, bool allow_netfs, uint64_t *bytes) {
    struct unpacking u = {.conn = conn};
    struct stat st;
    bool packed = false;
    TQ_TRY(tq_pair_is_packed(conn, &packed));
    if (!packed) return tq_fail(TQ_NOT_FOUND, "nothing is packed in this database: it has no table tqlite_packed");
    TQ_TRY(tq_conn_execf(conn, "tqlite_packed", "DELETE FROM \"%w\".tqlite_packed WHERE key IS NULL", conn->schema));
    enum tq_status status = stat(folder, &st) == 0 ? check_folder(conn, folder, allow_netfs, false)
                                                   : make_folder(&u, folder, allow_netfs);
    tq_env_restore_drop(u.restore);
    tq_free(u.metas);
    TQ_TRY(status);
    TQ_TRY(tq_conn_execf(conn, "tqlite_packed", "DROP TABLE \"%w\".tqlite_packed", conn->schema));
    *bytes = u.bytes;
    return TQ_OK;
}
