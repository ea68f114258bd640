/* Statements of state, rows and log. */
#include "storage/catalog.h"

#include <string.h>

#include "src/base/alloc.h"
#include "storage/catalog_sql.h"

/* Every table is written "%w"."%w_...": schema and name, given six times, which is enough for all of them. */
static const char *const sql_texts[TQ_SQL_COUNT] = {
    [TQ_SQL_LOOK] = "SELECT version, serial, flushes, nonce, next, seq,"
                    " (SELECT min(seq) FROM \"%w\".\"%w_log\"), (SELECT max(seq) FROM \"%w\".\"%w_log\"),"
                    " (SELECT slot FROM \"%w\".\"%w_log\" WHERE op = 1 ORDER BY seq LIMIT 1),"
                    " (SELECT slot FROM \"%w\".\"%w_log\" WHERE op = 1 ORDER BY seq DESC LIMIT 1)"
                    " FROM \"%w\".\"%w_state\"",
    [TQ_SQL_GLANCE] = "SELECT version, nonce, max(seq, coalesce((SELECT max(seq) FROM \"%w\".\"%w_log\"), 0))"
                      " FROM \"%w\".\"%w_state\"",
    [TQ_SQL_STATE_WRITE] = "UPDATE \"%w\".\"%w_state\" SET version = ?1, serial = ?2, flushes = ?3, nonce = ?4,"
                           " next = ?5, seq = ?6",
    [TQ_SQL_ROW_ADD] = "INSERT INTO \"%w\".\"%w_rows\"(id, slot) VALUES (?1, ?2)",
    [TQ_SQL_ROW_REMOVE] = "DELETE FROM \"%w\".\"%w_rows\" WHERE id = ?1",
    [TQ_SQL_ROW_SLOT] = "SELECT slot FROM \"%w\".\"%w_rows\" WHERE id = ?1",
    [TQ_SQL_LOG_ADD] = "INSERT INTO \"%w\".\"%w_log\"(seq, op, id, slot, rec) VALUES (?1, ?2, ?3, ?4, ?5)",
    [TQ_SQL_LOG_SCAN] = "SELECT seq, op, id, slot, rec FROM \"%w\".\"%w_log\" WHERE seq >= ?1 ORDER BY seq",
    [TQ_SQL_LOG_TRIM] = "DELETE FROM \"%w\".\"%w_log\" WHERE slot >= ?1 AND slot < ?2",
    [TQ_SQL_LOG_COUNT] = "SELECT count(*), coalesce(sum(op = 1), 0) FROM \"%w\".\"%w_log\"",
    [TQ_SQL_SEGMENT_ADD] = "INSERT INTO \"%w\".\"%w_seg\"(slot0, slot1, rows, dead, dir, dir_sum, bits)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [TQ_SQL_SEGMENT_MARK] = "UPDATE \"%w\".\"%w_seg\" SET dead = ?2, bits = ?3 WHERE slot0 = ?1",
    [TQ_SQL_SEGMENT_REMOVE] = "DELETE FROM \"%w\".\"%w_seg\" WHERE slot0 = ?1",
    [TQ_SQL_SEGMENT_COVERS] = "SELECT slot1 > ?1 FROM \"%w\".\"%w_seg\" WHERE slot0 <= ?1"
                              " ORDER BY slot0 DESC LIMIT 1",
    [TQ_SQL_SEGMENT_SCAN] = "SELECT slot0, slot1, rows, dead, dir, dir_sum, bits FROM \"%w\".\"%w_seg\""
                            " ORDER BY slot0",
    [TQ_SQL_GC_ADD] = "INSERT INTO \"%w\".\"%w_gc\"(version, keys) VALUES (?1, ?2)",
    [TQ_SQL_GC_ANY] = "SELECT 1 FROM \"%w\".\"%w_gc\" WHERE version BETWEEN ?1 AND ?2 LIMIT 1",
    [TQ_SQL_GC_NEXT] = "SELECT rowid, keys FROM \"%w\".\"%w_gc\" WHERE version BETWEEN ?1 AND ?2"
                       " ORDER BY rowid LIMIT 1",
    [TQ_SQL_GC_REMOVE] = "DELETE FROM \"%w\".\"%w_gc\" WHERE rowid = ?1",
    [TQ_SQL_GC_REPLACE] = "UPDATE \"%w\".\"%w_gc\" SET keys = ?2 WHERE rowid = ?1",
};

enum tq_status tq_catalog_statement(struct tq_catalog *catalog, enum tq_catalog_statement which, sqlite3_stmt **stmt) {
    struct tq_conn *conn = catalog->conn;
    const sqlite3_api_routines *sqlite3_api = conn->api;
    *stmt = catalog->statements[which];
    if (*stmt != NULL) return TQ_OK;
    const char *s = conn->schema, *n = catalog->name;
    char *sql = sqlite3_mprintf(sql_texts[which], s, n, s, n, s, n, s, n, s, n, s, n);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", n);
    int rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) return tq_conn_fail(conn, rc, "preparing a statement on", n);
    catalog->statements[which] = *stmt;
    return TQ_OK;
}

enum tq_status tq_catalog_end(struct tq_catalog *catalog, sqlite3_stmt *stmt, int rc, const char *doing) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    enum tq_status status = TQ_OK;
    /* Before the reset: it may replace the message. */
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) status = tq_conn_fail(catalog->conn, rc, doing, catalog->name);
    (void)sqlite3_reset(stmt);
    return status;
}

enum tq_status tq_catalog_run(struct tq_catalog *catalog, sqlite3_stmt *stmt, const char *doing) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    int rc = sqlite3_step(stmt);
    return tq_catalog_end(catalog, stmt, rc, doing);
}

/* ---- state ---- */

static enum tq_status state_missing(struct tq_catalog *catalog) {
    return tq_fail(TQ_CORRUPT, "index \"%s\": its table of state is empty", catalog->name);
}

enum tq_status tq_catalog_look(struct tq_catalog *catalog, struct tq_catalog_look *look) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOOK, &stmt));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        uint64_t values[10];
        for (int i = 0; i < 10; i++) values[i] = (uint64_t)sqlite3_column_int64(stmt, i);
        *look = (struct tq_catalog_look){.state = {values[0], values[1], values[2], values[3], values[4], values[5]},
                                         .seq_first = values[6],
                                         .seq_last = values[7],
                                         .slot_first = values[8],
                                         .slot_last = values[9],
                                         .any_put = sqlite3_column_type(stmt, 8) != SQLITE_NULL};
    }
    TQ_TRY(tq_catalog_end(catalog, stmt, rc, "reading the state of"));
    return rc == SQLITE_ROW ? TQ_OK : state_missing(catalog);
}

enum tq_status tq_catalog_glance(struct tq_catalog *catalog, uint64_t *version, uint64_t *nonce, uint64_t *seq) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_GLANCE, &stmt));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *version = (uint64_t)sqlite3_column_int64(stmt, 0);
        *nonce = (uint64_t)sqlite3_column_int64(stmt, 1);
        *seq = (uint64_t)sqlite3_column_int64(stmt, 2);
    }
    TQ_TRY(tq_catalog_end(catalog, stmt, rc, "reading the state of"));
    return rc == SQLITE_ROW ? TQ_OK : state_missing(catalog);
}

enum tq_status tq_catalog_state_write(struct tq_catalog *catalog, const struct tq_catalog_state *state) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_STATE_WRITE, &stmt));
    const uint64_t values[] = {state->version, state->serial, state->flushes, state->nonce, state->next, state->seq};
    for (int i = 0; i < (int)TQ_COUNT(values); i++) {
        (void)sqlite3_bind_int64(stmt, i + 1, (sqlite3_int64)values[i]);
    }
    return tq_catalog_run(catalog, stmt, "writing the state of");
}

/* ---- rows ---- */

enum tq_status tq_catalog_row_add(struct tq_catalog *catalog, int64_t id, uint64_t slot) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_ROW_ADD, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)slot);
    int rc = sqlite3_step(stmt);
    if ((rc & 0xff) == SQLITE_CONSTRAINT) {
        (void)sqlite3_reset(stmt);
        return tq_fail(TQ_EXISTS, "index \"%s\" holds id %lld already", catalog->name, (long long)id);
    }
    return tq_catalog_end(catalog, stmt, rc, "adding a row to");
}

enum tq_status tq_catalog_row_remove(struct tq_catalog *catalog, int64_t id) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_ROW_REMOVE, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, id);
    return tq_catalog_run(catalog, stmt, "removing a row of");
}

enum tq_status tq_catalog_row_slot(struct tq_catalog *catalog, int64_t id, uint64_t *slot) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_ROW_SLOT, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, id);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) *slot = (uint64_t)sqlite3_column_int64(stmt, 0);
    TQ_TRY(tq_catalog_end(catalog, stmt, rc, "looking up a row of"));
    if (rc == SQLITE_ROW) return TQ_OK;
    return tq_fail(TQ_NOT_FOUND, "index \"%s\" has no id %lld", catalog->name, (long long)id);
}

/* ---- log ---- */

enum tq_status tq_catalog_log_add(struct tq_catalog *catalog, const struct tq_log_entry *entry) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_ADD, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)entry->seq);
    (void)sqlite3_bind_int(stmt, 2, (int)entry->op);
    (void)sqlite3_bind_int64(stmt, 3, entry->id);
    (void)sqlite3_bind_int64(stmt, 4, (sqlite3_int64)entry->slot);
    (void)sqlite3_bind_blob64(stmt, 5, entry->blob, entry->size, SQLITE_STATIC);
    return tq_catalog_run(catalog, stmt, "writing the log of");
}

enum tq_status tq_catalog_log_scan(struct tq_catalog *catalog, uint64_t seq, tq_log_take *take, void *context) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_SCAN, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)seq);
    enum tq_status status = TQ_OK;
    int rc = SQLITE_ROW;
    while (status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct tq_log_entry entry = {.seq = (uint64_t)sqlite3_column_int64(stmt, 0),
                                     .op = (enum tq_log_op)sqlite3_column_int(stmt, 1),
                                     .id = sqlite3_column_int64(stmt, 2),
                                     .slot = (uint64_t)sqlite3_column_int64(stmt, 3),
                                     .blob = sqlite3_column_blob(stmt, 4),
                                     .size = (size_t)sqlite3_column_bytes(stmt, 4)};
        status = take(context, &entry);
    }
    enum tq_status ended = tq_catalog_end(catalog, stmt, rc, "reading the log of");
    return status != TQ_OK ? status : ended;
}

enum tq_status tq_catalog_log_trim(struct tq_catalog *catalog, uint64_t slot_first, uint64_t slot_end) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_TRIM, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)slot_first);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)slot_end);
    return tq_catalog_run(catalog, stmt, "shortening the log of");
}

enum tq_status tq_catalog_log_count(struct tq_catalog *catalog, uint64_t *put_count, uint64_t *del_count) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_COUNT, &stmt));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *put_count = (uint64_t)sqlite3_column_int64(stmt, 1);
        *del_count = (uint64_t)sqlite3_column_int64(stmt, 0) - *put_count;
    }
    return tq_catalog_end(catalog, stmt, rc, "counting the log of");
}
