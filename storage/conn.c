/* Connections: open or borrow, transactions, errors, and the proof that no older snapshot is being read. */
#include "storage/conn.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "src/base/alloc.h"
#include "storage/conn_sql.h"

#define BUSY_MS 5000
#define SPILL_IS_SAFE 3050002 /* older: pages spilled before a ROLLBACK TO may spoil the commit; decisions/0010 */

static enum tq_status status_of(int rc, const char *text) {
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return TQ_BUSY;
    case SQLITE_FULL: return TQ_FULL;
    case SQLITE_NOMEM: return TQ_NOMEM;
    case SQLITE_CORRUPT: return TQ_CORRUPT;
    case SQLITE_CONSTRAINT: return TQ_CORRUPT; /* callers that expect one look at rc first */
    case SQLITE_NOTADB: return TQ_FORMAT;
    case SQLITE_INTERRUPT: return TQ_INTERRUPTED;
    case SQLITE_READONLY: return TQ_MISUSE;
    case SQLITE_ERROR: return strstr(text, "no such table") != NULL ? TQ_NOT_FOUND : TQ_IO;
    default: return TQ_IO;
    }
}

bool tq_conn_no_room(struct sqlite3 *db, const struct sqlite3_api_routines *api) {
    const sqlite3_api_routines *sqlite3_api = api;
    int error = sqlite3_system_errno(db);
    return (sqlite3_errcode(db) & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT);
}

enum tq_status tq_conn_fail(struct tq_conn *conn, int rc, const char *doing, const char *name) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    const char *text = conn->db != NULL ? sqlite3_errmsg(conn->db) : "out of memory";
    enum tq_status status = status_of(rc, text);
    bool full = status == TQ_IO && conn->db != NULL && tq_conn_no_room(conn->db, conn->api);
    return tq_fail(full ? TQ_FULL : status, "%s \"%s\": SQLite: %s (%d)%s", doing, name, text, rc,
                   full ? ": no room" : "");
}

static enum tq_status conn_alloc(const sqlite3_api_routines *api, const char *schema, struct tq_conn **conn) {
    struct tq_conn *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    size_t size = strlen(schema) + 1;
    made->api = api;
    made->schema = tq_alloc(size);
    if (made->schema == NULL) {
        tq_free(made);
        return TQ_NOMEM;
    }
    memcpy(made->schema, schema, size);
    *conn = made;
    return TQ_OK;
}

static enum tq_status configure(struct tq_conn *conn, const char *file, unsigned flags) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    (void)sqlite3_busy_timeout(conn->db, BUSY_MS);
    (void)sqlite3_extended_result_codes(conn->db, 1);
    const char *sql = (flags & TQ_OPEN_READONLY) != 0 ? "SELECT 1 FROM sqlite_master"
                                                      : "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL";
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK && sqlite3_libversion_number() < SPILL_IS_SAFE) {
        rc = sqlite3_exec(conn->db, "PRAGMA cache_spill=OFF", NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? TQ_OK : tq_conn_fail(conn, rc, "opening", file);
}

static enum tq_status fail_open(const char *file, int error) {
    if (error == 0 || error == ENOENT || error == ENOTDIR) {
        return tq_fail(TQ_NOT_FOUND, "catalog \"%s\" not found", file);
    }
    bool full = error == ENOSPC || error == EDQUOT;
    return tq_fail(full ? TQ_FULL : TQ_IO, "opening \"%s\": %s", file, strerror(error));
}

enum tq_status tq_conn_open(const char *file, unsigned flags, struct tq_conn **conn) {
    const sqlite3_api_routines *sqlite3_api = NULL;
    TQ_TRY(tq_linked_sqlite(&sqlite3_api));
    struct tq_conn *made = NULL;
    TQ_TRY(conn_alloc(sqlite3_api, "main", &made));
    made->own = true;
    /* One thread at a time uses a connection (table.h), so SQLite need not lock. */
    int mode = SQLITE_OPEN_NOMUTEX;
    mode |= (flags & TQ_OPEN_READONLY) != 0 ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if ((flags & TQ_OPEN_CREATE) != 0 && (flags & TQ_OPEN_READONLY) == 0) mode |= SQLITE_OPEN_CREATE;
    int rc = sqlite3_open_v2(file, &made->db, mode, NULL);
    enum tq_status status = TQ_OK;
    if (rc != SQLITE_OK) {
        status = tq_conn_fail(made, rc, "opening", file);
        if ((rc & 0xff) == SQLITE_CANTOPEN) status = fail_open(file, sqlite3_system_errno(made->db));
    }
    if (status == TQ_OK) status = configure(made, file, flags);
    if (status != TQ_OK) {
        tq_conn_close(made);
        return status;
    }
    *conn = made;
    return TQ_OK;
}

enum tq_status tq_conn_wrap(struct sqlite3 *db, const struct sqlite3_api_routines *api, const char *schema,
                            struct tq_conn **conn) {
    TQ_TRY(conn_alloc(api, schema, conn));
    (*conn)->db = db;
    return TQ_OK;
}

void tq_conn_close(struct tq_conn *conn) {
    if (conn == NULL) return;
    const sqlite3_api_routines *sqlite3_api = conn->api;
    for (unsigned i = 0; i < conn->cached_count; i++) {
        (void)sqlite3_finalize(conn->cached[i].stmt);
        tq_free(conn->cached[i].sql);
    }
    if (conn->own) (void)sqlite3_close_v2(conn->db);
    tq_free(conn->schema);
    tq_free(conn);
}

enum tq_status tq_conn_prepare(struct tq_conn *conn, const char *sql, sqlite3_stmt **stmt) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    int rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
    return rc == SQLITE_OK ? TQ_OK : tq_conn_fail(conn, rc, "preparing", sql);
}

static sqlite3_stmt *cached_find(struct tq_conn *conn, const char *sql) {
    for (unsigned i = 0; i < conn->cached_count; i++) {
        if (strcmp(conn->cached[i].sql, sql) == 0) return conn->cached[i].stmt;
    }
    return NULL;
}

static enum tq_status cached_add(struct tq_conn *conn, const char *sql, sqlite3_stmt **stmt) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    size_t size = strlen(sql) + 1;
    char *copy = tq_alloc(size);
    if (copy == NULL) return TQ_NOMEM;
    memcpy(copy, sql, size);
    enum tq_status status = tq_conn_prepare(conn, sql, stmt);
    if (status != TQ_OK || *stmt == NULL) {
        (void)sqlite3_finalize(*stmt);
        tq_free(copy);
        return status != TQ_OK ? status : tq_fail(TQ_MISUSE, "\"%s\" is not a statement", sql);
    }
    conn->cached[conn->cached_count].sql = copy;
    conn->cached[conn->cached_count++].stmt = *stmt;
    return TQ_OK;
}

enum tq_status tq_conn_exec(struct tq_conn *conn, const char *sql) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = cached_find(conn, sql);
    if (stmt == NULL && conn->cached_count == TQ_CONN_CACHED) {
        int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
        return rc == SQLITE_OK ? TQ_OK : tq_conn_fail(conn, rc, "running", sql);
    }
    if (stmt == NULL) TQ_TRY(cached_add(conn, sql, &stmt));
    int rc = sqlite3_step(stmt);
    enum tq_status status = TQ_OK;
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) status = tq_conn_fail(conn, rc, "running", sql);
    (void)sqlite3_reset(stmt);
    return status;
}

enum tq_status tq_conn_execf(struct tq_conn *conn, const char *name, const char *format, ...) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", name);
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    enum tq_status status = rc == SQLITE_OK ? TQ_OK : tq_conn_fail(conn, rc, "changing", name);
    sqlite3_free(sql);
    return status;
}

const char *tq_conn_file(struct tq_conn *conn) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    const char *file = sqlite3_db_filename(conn->db, conn->schema);
    return file == NULL ? "" : file;
}

bool tq_conn_in_transaction(struct tq_conn *conn) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    return !sqlite3_get_autocommit(conn->db);
}

uint32_t tq_conn_data_version(struct tq_conn *conn) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    unsigned version = 0;
    int rc = sqlite3_file_control(conn->db, conn->schema, SQLITE_FCNTL_DATA_VERSION, &version);
    return rc == SQLITE_OK ? version : 0;
}

bool tq_conn_has_snapshot(struct tq_conn *conn) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    return sqlite3_txn_state(conn->db, conn->schema) > SQLITE_TXN_NONE;
}

bool tq_conn_is_writing(struct tq_conn *conn) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    return sqlite3_txn_state(conn->db, conn->schema) == SQLITE_TXN_WRITE;
}

/* First column of the first row of a PRAGMA, compared with `wanted`. */
static bool pragma_is(struct tq_conn *conn, const char *pragma, const char *wanted) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    char *sql = sqlite3_mprintf("PRAGMA \"%w\".%s", conn->schema, pragma);
    sqlite3_stmt *stmt = NULL;
    bool equal = false;
    if (sql != NULL && sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(stmt, 0);
        equal = text != NULL && strcmp((const char *)text, wanted) == 0;
    }
    (void)sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return equal;
}

/* From the log's header: 0 if it cannot be read. */
static uint64_t wal_salt(const sqlite3_api_routines *sqlite3_api, sqlite3 *db) {
    sqlite3_file *wal = NULL;
    uint8_t header[32] = {0};
    uint64_t salt = 0;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (rc != SQLITE_OK || wal == NULL || wal->pMethods == NULL) return 0;
    if (wal->pMethods->xRead(wal, header, sizeof header, 0) != SQLITE_OK) return 0;
    memcpy(&salt, header + 16, sizeof salt);
    return salt;
}

/* A PASSIVE checkpoint copies as far as the oldest reader allows, and makes durable what it copies.
 * It must come from another connection, ours being inside a write transaction. */
static bool wal_look(struct tq_conn *conn, const char *file, struct tq_wal_look *look) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3 *second = NULL;
    sqlite3_vfs *vfs = NULL; /* the host's: another one would not see its locks */
    *look = (struct tq_wal_look){.frames = -1, .copied = -1};
    (void)sqlite3_file_control(conn->db, conn->schema, SQLITE_FCNTL_VFS_POINTER, &vfs);
    if (vfs == NULL) return false;
    int rc = sqlite3_open_v2(file, &second, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs->zName);
    if (rc == SQLITE_OK) rc = sqlite3_exec(second, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_wal_checkpoint_v2(second, "main", SQLITE_CHECKPOINT_PASSIVE, &look->frames, &look->copied);
    }
    if (rc == SQLITE_OK) look->salt = wal_salt(sqlite3_api, second);
    (void)sqlite3_close_v2(second);
    return rc == SQLITE_OK && look->frames >= 0;
}

enum tq_proof tq_conn_prove(struct tq_conn *conn, struct tq_wal_look *look) {
    const char *file = tq_conn_file(conn);
    if (file[0] == 0) return TQ_PROOF_JOURNAL; /* in memory: one connection */
    if (pragma_is(conn, "synchronous", "0")) return TQ_PROOF_NONE;
    if (!pragma_is(conn, "journal_mode", "wal")) return TQ_PROOF_JOURNAL;
    if (!wal_look(conn, file, look)) return TQ_PROOF_NONE;
    return look->frames == look->copied ? TQ_PROOF_WAL : TQ_PROOF_WAL_PART;
}
