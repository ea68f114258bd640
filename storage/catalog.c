/* Statements of state, rows and log. */
#include "storage/catalog.h"

#include <string.h>

#include "src/base/alloc.h"
#include "storage/catalog_sql.h"
#include "storage/catalog_sum.h"

/* Every table is written "%w"."%w_...": schema and name, given six times, which is enough for all of them. */
static const char *const sql_texts[TQ_SQL_COUNT] = {
    [TQ_SQL_IDENTIFY] = "SELECT format, codec, uuid, number, dim, metric, bits, qjl, exact, seed, options_sum"
                        " FROM \"%w\".\"%w_state\" WHERE part = ?1",
    [TQ_SQL_HAS_PARTS] = "SELECT 1 FROM \"%w\".\"%w_state\" WHERE part > 0 LIMIT 1",
    [TQ_SQL_LOOK] =
        "SELECT version, serial, flushes, nonce, next, seq, number, sum,"
        " (SELECT min(seq) FROM \"%w\".\"%w_log\" WHERE seq BETWEEN ?2 AND ?3),"
        " (SELECT max(seq) FROM \"%w\".\"%w_log\" WHERE seq BETWEEN ?2 AND ?3),"
        " (SELECT slot FROM \"%w\".\"%w_log\" WHERE seq BETWEEN ?2 AND ?3 AND op = 1 ORDER BY seq LIMIT 1),"
        " (SELECT slot FROM \"%w\".\"%w_log\" WHERE seq BETWEEN ?2 AND ?3 AND op = 1 ORDER BY seq DESC LIMIT 1)"
        " FROM \"%w\".\"%w_state\" WHERE part = ?1",
    [TQ_SQL_GLANCE] = "SELECT version, nonce, max(seq, coalesce("
                      "(SELECT max(seq) FROM \"%w\".\"%w_log\" WHERE seq BETWEEN ?2 AND ?3), 0))"
                      " FROM \"%w\".\"%w_state\" WHERE part = ?1",
    [TQ_SQL_STATE_WRITE] = "UPDATE \"%w\".\"%w_state\" SET version = ?2, serial = ?3, flushes = ?4, nonce = ?5,"
                           " next = ?6, seq = ?7, sum = ?8 WHERE part = ?1",
    [TQ_SQL_CHANGES] = "SELECT changes FROM \"%w\".\"%w_state\" WHERE part = 0",
    [TQ_SQL_CHANGES_ADD] = "UPDATE \"%w\".\"%w_state\" SET changes = changes + 1 WHERE part = 0",
    [TQ_SQL_ROW_ADD] = "INSERT INTO \"%w\".\"%w_rows\"(id, slot) VALUES (?1, ?2)",
    [TQ_SQL_ROW_FILL] = "UPDATE \"%w\".\"%w_rows\" SET slot = ?2 WHERE id = ?1 AND slot IS NULL",
    [TQ_SQL_ROW_EMPTY] = "UPDATE \"%w\".\"%w_rows\" SET slot = NULL WHERE id = ?1",
    [TQ_SQL_ROW_REMOVE] = "DELETE FROM \"%w\".\"%w_rows\" WHERE id = ?1",
    [TQ_SQL_ROW_SLOT] = "SELECT slot FROM \"%w\".\"%w_rows\" WHERE id = ?1",
    [TQ_SQL_LOG_ADD] = "INSERT INTO \"%w\".\"%w_log\"(seq, op, id, slot, rec) VALUES (?1, ?2, ?3, ?4, ?5)",
    [TQ_SQL_LOG_SCAN] = "SELECT seq, op, id, slot, rec FROM \"%w\".\"%w_log\" WHERE seq BETWEEN ?1 AND ?2"
                        " ORDER BY seq",
    [TQ_SQL_LOG_TRIM] = "DELETE FROM \"%w\".\"%w_log\" WHERE seq BETWEEN ?1 AND ?2"
                        " AND slot >= ?3 AND slot < ?4",
    [TQ_SQL_LOG_COUNT] = "SELECT count(*), coalesce(sum(op = 1), 0) FROM \"%w\".\"%w_log\""
                         " WHERE seq BETWEEN ?1 AND ?2",
    [TQ_SQL_SEGMENT_ADD] = "INSERT INTO \"%w\".\"%w_seg\"(slot0, slot1, rows, dead, dir, dir_sum, bits, sum)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [TQ_SQL_SEGMENT_MARK] = "UPDATE \"%w\".\"%w_seg\" SET dead = ?2, bits = ?3, sum = ?4 WHERE slot0 = ?1",
    [TQ_SQL_SEGMENT_REMOVE] = "DELETE FROM \"%w\".\"%w_seg\" WHERE slot0 = ?1",
    [TQ_SQL_SEGMENT_COVERS] = "SELECT slot1 > ?1 FROM \"%w\".\"%w_seg\""
                              " WHERE slot0 BETWEEN ?2 AND ?1 ORDER BY slot0 DESC LIMIT 1",
    [TQ_SQL_SEGMENT_SCAN] = "SELECT slot0, slot1, rows, dead, dir, dir_sum, bits, sum FROM \"%w\".\"%w_seg\""
                            " WHERE slot0 BETWEEN ?1 AND ?2 ORDER BY slot0",
    [TQ_SQL_GC_ADD] = "INSERT INTO \"%w\".\"%w_gc\"(part, version, keys, sum) VALUES (?1, ?2, ?3, ?4)",
    [TQ_SQL_GC_ANY] = "SELECT 1 FROM \"%w\".\"%w_gc\" WHERE part = ?1 AND version BETWEEN ?2 AND ?3"
                      " LIMIT 1",
    [TQ_SQL_GC_NEXT] = "SELECT rowid, keys, version, sum FROM \"%w\".\"%w_gc\" WHERE part = ?1"
                       " AND version BETWEEN ?2 AND ?3 ORDER BY rowid LIMIT 1",
    [TQ_SQL_GC_REMOVE] = "DELETE FROM \"%w\".\"%w_gc\" WHERE rowid = ?1",
    [TQ_SQL_GC_REPLACE] = "UPDATE \"%w\".\"%w_gc\" SET keys = ?2, sum = ?3 WHERE rowid = ?1",
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

void tq_catalog_bind(struct tq_catalog *catalog, sqlite3_stmt *stmt, const uint64_t *values, size_t count) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    for (size_t i = 0; i < count; i++) (void)sqlite3_bind_int64(stmt, (int)i + 1, (sqlite3_int64)values[i]);
}

/* ?1: the part; ?2 and ?3: the ends of its range of numbers, slots and seqs alike. */
static void bind_part(struct tq_catalog *catalog, sqlite3_stmt *stmt, uint32_t part) {
    const uint64_t values[] = {part, tq_part_first(part), tq_part_end(part) - 1};
    tq_catalog_bind(catalog, stmt, values, TQ_COUNT(values));
}

/* ---- state ---- */

enum tq_status tq_catalog_part_missing(struct tq_catalog *catalog, uint32_t part) {
    if (part == 0) return tq_fail(TQ_CORRUPT, "index \"%s\": its table of state has no part 0", catalog->name);
    return tq_fail(TQ_NOT_FOUND, "index \"%s\" has no part %u", catalog->name, part);
}

uint64_t tq_catalog_state_sum(uint32_t part, uint32_t number, const struct tq_catalog_state *state) {
    const uint64_t values[] = {part,           number,       state->version, state->serial,
                               state->flushes, state->nonce, state->next,    state->seq};
    return tq_catalog_sum(values, TQ_COUNT(values), NULL, 0);
}

static bool is_of_part(uint64_t number, uint32_t part) {
    return number >= tq_part_first(part) && number <= tq_part_end(part);
}

/* A slot given out beyond its part's range would be another part's row. */
static enum tq_status check_look(struct tq_catalog *catalog, uint32_t part, const struct tq_catalog_look *look,
                                 uint64_t sum) {
    const struct tq_catalog_state *state = &look->state;
    if (sum != tq_catalog_state_sum(part, look->number, state)) {
        return tq_fail(TQ_CORRUPT, "index \"%s\": the state of part %u fails its checksum", catalog->name, part);
    }
    bool good = is_of_part(state->next, part) && is_of_part(state->seq, part);
    if (look->any_put) good = good && is_of_part(look->slot_first, part) && is_of_part(look->slot_last, part);
    if (good) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "index \"%s\": the state of part %u names slots that are not its own", catalog->name,
                   part);
}

enum tq_status tq_catalog_look(struct tq_catalog *catalog, uint32_t part, struct tq_catalog_look *look) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    uint64_t sum = 0;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOOK, &stmt));
    bind_part(catalog, stmt, part);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        uint64_t values[12];
        for (int i = 0; i < 12; i++) values[i] = (uint64_t)sqlite3_column_int64(stmt, i);
        *look = (struct tq_catalog_look){.state = {values[0], values[1], values[2], values[3], values[4], values[5]},
                                         .number = (uint32_t)values[6],
                                         .seq_first = values[8],
                                         .seq_last = values[9],
                                         .slot_first = values[10],
                                         .slot_last = values[11],
                                         .any_put = sqlite3_column_type(stmt, 10) != SQLITE_NULL};
        sum = values[7];
    }
    TQ_TRY(tq_catalog_end(catalog, stmt, rc, "reading the state of"));
    return rc == SQLITE_ROW ? check_look(catalog, part, look, sum) : tq_catalog_part_missing(catalog, part);
}

enum tq_status tq_catalog_glance(struct tq_catalog *catalog, uint32_t part, uint64_t *version, uint64_t *nonce,
                                 uint64_t *seq) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_GLANCE, &stmt));
    bind_part(catalog, stmt, part);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *version = (uint64_t)sqlite3_column_int64(stmt, 0);
        *nonce = (uint64_t)sqlite3_column_int64(stmt, 1);
        *seq = (uint64_t)sqlite3_column_int64(stmt, 2);
    }
    TQ_TRY(tq_catalog_end(catalog, stmt, rc, "reading the state of"));
    return rc == SQLITE_ROW ? TQ_OK : tq_catalog_part_missing(catalog, part);
}

enum tq_status tq_catalog_state_write(struct tq_catalog *catalog, uint32_t part, uint32_t number,
                                      const struct tq_catalog_state *state) {
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_STATE_WRITE, &stmt));
    const uint64_t values[] = {part,         state->version, state->serial, state->flushes,
                               state->nonce, state->next,    state->seq,    tq_catalog_state_sum(part, number, state)};
    tq_catalog_bind(catalog, stmt, values, TQ_COUNT(values));
    return tq_catalog_run(catalog, stmt, "writing the state of");
}

enum tq_status tq_catalog_changes(struct tq_catalog *catalog, uint64_t *changes) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_CHANGES, &stmt));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) *changes = (uint64_t)sqlite3_column_int64(stmt, 0);
    TQ_TRY(tq_catalog_end(catalog, stmt, rc, "reading the state of"));
    return rc == SQLITE_ROW ? TQ_OK : tq_catalog_part_missing(catalog, 0);
}

enum tq_status tq_catalog_changes_add(struct tq_catalog *catalog) {
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_CHANGES_ADD, &stmt));
    return tq_catalog_run(catalog, stmt, "writing the state of");
}

/* ---- rows ---- */

/* A row without a vector, which the host has made for its other columns. */
static enum tq_status row_fill(struct tq_catalog *catalog, int64_t id, uint64_t slot) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_ROW_FILL, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)slot);
    TQ_TRY(tq_catalog_run(catalog, stmt, "adding a vector to"));
    if (sqlite3_changes(catalog->conn->db) == 1) return TQ_OK;
    return tq_fail(TQ_EXISTS, "index \"%s\" holds id %lld already", catalog->name, (long long)id);
}

enum tq_status tq_catalog_row_add(struct tq_catalog *catalog, int64_t id, uint64_t slot, bool *filled) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    *filled = false;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_ROW_ADD, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)slot);
    int rc = sqlite3_step(stmt);
    /* Other constraints are those of the host's own columns. */
    if (rc != SQLITE_DONE && sqlite3_extended_errcode(catalog->conn->db) == SQLITE_CONSTRAINT_PRIMARYKEY) {
        (void)sqlite3_reset(stmt);
        *filled = true;
        return row_fill(catalog, id, slot);
    }
    return tq_catalog_end(catalog, stmt, rc, "adding a row to");
}

enum tq_status tq_catalog_row_undo(struct tq_catalog *catalog, int64_t id, bool filled) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    if (!filled) return tq_catalog_row_remove(catalog, id);
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_ROW_EMPTY, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, id);
    return tq_catalog_run(catalog, stmt, "taking a vector from");
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
    bool found = rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
    if (found) *slot = (uint64_t)sqlite3_column_int64(stmt, 0);
    TQ_TRY(tq_catalog_end(catalog, stmt, rc, "looking up a row of"));
    if (found) return TQ_OK;
    return tq_fail(TQ_NOT_FOUND, "index \"%s\" has no id %lld", catalog->name, (long long)id);
}

/* ---- log ---- */

static uint64_t del_sum(const struct tq_log_entry *entry) {
    const uint64_t values[] = {entry->seq, (uint64_t)entry->op, (uint64_t)entry->id, entry->slot};
    return tq_catalog_sum(values, TQ_COUNT(values), NULL, 0);
}

/* A put has a sum in its blob, which log_record.c knows. */
static bool del_is_whole(const struct tq_log_entry *entry) {
    uint64_t sum = del_sum(entry);
    return entry->size == sizeof sum && memcmp(entry->blob, &sum, sizeof sum) == 0;
}

enum tq_status tq_catalog_log_add(struct tq_catalog *catalog, const struct tq_log_entry *entry) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_ADD, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)entry->seq);
    (void)sqlite3_bind_int(stmt, 2, (int)entry->op);
    (void)sqlite3_bind_int64(stmt, 3, entry->id);
    (void)sqlite3_bind_int64(stmt, 4, (sqlite3_int64)entry->slot);
    uint64_t sum = del_sum(entry);
    if (entry->op == TQ_LOG_DEL)
        (void)sqlite3_bind_blob64(stmt, 5, &sum, sizeof sum, SQLITE_STATIC);
    else
        (void)sqlite3_bind_blob64(stmt, 5, entry->blob, entry->size, SQLITE_STATIC);
    return tq_catalog_run(catalog, stmt, "writing the log of");
}

enum tq_status tq_catalog_log_scan(struct tq_catalog *catalog, uint32_t part, uint64_t seq, tq_log_take *take,
                                   void *context) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_SCAN, &stmt));
    const uint64_t range[] = {seq != 0 ? seq : tq_part_first(part), tq_part_end(part) - 1};
    tq_catalog_bind(catalog, stmt, range, TQ_COUNT(range));
    enum tq_status status = TQ_OK;
    int rc = SQLITE_ROW;
    while (status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct tq_log_entry entry = {.seq = (uint64_t)sqlite3_column_int64(stmt, 0),
                                     .op = (enum tq_log_op)sqlite3_column_int(stmt, 1),
                                     .id = sqlite3_column_int64(stmt, 2),
                                     .slot = (uint64_t)sqlite3_column_int64(stmt, 3),
                                     .blob = sqlite3_column_blob(stmt, 4),
                                     .size = (size_t)sqlite3_column_bytes(stmt, 4)};
        if (entry.op == TQ_LOG_DEL && !del_is_whole(&entry)) {
            status = tq_fail(TQ_CORRUPT, "table \"%s_log\": record %llu (slot %llu) fails its checksum", catalog->name,
                             (unsigned long long)entry.seq, (unsigned long long)entry.slot);
        } else {
            status = take(context, &entry);
        }
    }
    enum tq_status ended = tq_catalog_end(catalog, stmt, rc, "reading the log of");
    return status != TQ_OK ? status : ended;
}

enum tq_status tq_catalog_log_trim(struct tq_catalog *catalog, uint32_t part, uint64_t slot_first, uint64_t slot_end) {
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_TRIM, &stmt));
    const uint64_t values[] = {tq_part_first(part), tq_part_end(part) - 1, slot_first, slot_end};
    tq_catalog_bind(catalog, stmt, values, TQ_COUNT(values));
    return tq_catalog_run(catalog, stmt, "shortening the log of");
}

enum tq_status tq_catalog_log_count(struct tq_catalog *catalog, uint32_t part, uint64_t *put_count,
                                    uint64_t *del_count) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_LOG_COUNT, &stmt));
    const uint64_t range[] = {tq_part_first(part), tq_part_end(part) - 1};
    tq_catalog_bind(catalog, stmt, range, TQ_COUNT(range));
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *put_count = (uint64_t)sqlite3_column_int64(stmt, 1);
        *del_count = (uint64_t)sqlite3_column_int64(stmt, 0) - *put_count;
    }
    return tq_catalog_end(catalog, stmt, rc, "counting the log of");
}
