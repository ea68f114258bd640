/* Making, finding, opening and dropping the tables of an index, and its parts. */
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "storage/catalog_sql.h"
#include "storage/catalog_sum.h"
#include "storage/directory.h"

#define NAME_BYTES_MAX 255 /* the host may call its table anything; the library's own rule is db's to check */

static enum tq_status check_name(const char *name) {
    size_t size = strlen(name);
    if (size >= 1 && size <= NAME_BYTES_MAX) return TQ_OK;
    return tq_fail(TQ_MISUSE, "an index name has %zu bytes; it must have 1 to %d", size, NAME_BYTES_MAX);
}

/* Whether a statement has a row; it is freed. */
static enum tq_status any_row(struct tq_conn *conn, const char *name, char *sql, bool *any) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", name);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
    enum tq_status status = TQ_OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "looking for index", name);
    (void)sqlite3_finalize(stmt);
    *any = rc == SQLITE_ROW;
    return status;
}

static enum tq_status table_exists(struct tq_conn *conn, const char *name, const char *suffix, bool *exists) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_master WHERE type = 'table'"
                                " AND name = '%q%q' COLLATE NOCASE",
                                conn->schema, name, suffix);
    return any_row(conn, name, sql, exists);
}

enum tq_status tq_catalog_exists(struct tq_conn *conn, const char *name, bool *exists) {
    TQ_TRY(check_name(name));
    return table_exists(conn, name, "_state", exists);
}

static enum tq_status must_exist(struct tq_conn *conn, const char *name) {
    bool exists = false;
    TQ_TRY(tq_catalog_exists(conn, name, &exists));
    return exists ? TQ_OK : tq_fail(TQ_NOT_FOUND, "there is no index \"%s\"", name);
}

enum tq_status tq_catalog_create(struct tq_conn *conn, const char *name, const char *more_columns) {
    const char *s = conn->schema;
    bool exists = false;
    TQ_TRY(tq_catalog_exists(conn, name, &exists));
    if (exists) return tq_fail(TQ_EXISTS, "index \"%s\" exists already", name);
    return tq_conn_execf(
        conn, name,
        "CREATE TABLE \"%w\".\"%w_rows\"(id INTEGER PRIMARY KEY, slot INTEGER%s);"
        "CREATE TABLE \"%w\".\"%w_log\"(seq INTEGER PRIMARY KEY, op INTEGER NOT NULL, id INTEGER NOT NULL,"
        " slot INTEGER NOT NULL, rec BLOB);"
        "CREATE TABLE \"%w\".\"%w_seg\"(slot0 INTEGER PRIMARY KEY, slot1 INTEGER NOT NULL,"
        " rows INTEGER NOT NULL, dead INTEGER NOT NULL, dir INTEGER NOT NULL, dir_sum INTEGER NOT NULL,"
        " bits BLOB, sum INTEGER NOT NULL);"
        "CREATE TABLE \"%w\".\"%w_gc\"(part INTEGER NOT NULL, version INTEGER NOT NULL, keys BLOB NOT NULL,"
        " sum INTEGER NOT NULL);"
        "CREATE TABLE \"%w\".\"%w_state\"(part INTEGER PRIMARY KEY, format INTEGER NOT NULL,"
        " codec INTEGER NOT NULL, uuid BLOB NOT NULL, number INTEGER NOT NULL, dim INTEGER NOT NULL,"
        " metric INTEGER NOT NULL, bits INTEGER NOT NULL, qjl INTEGER NOT NULL, exact INTEGER NOT NULL,"
        " seed INTEGER NOT NULL, version INTEGER NOT NULL, serial INTEGER NOT NULL, flushes INTEGER NOT NULL,"
        " nonce INTEGER NOT NULL, next INTEGER NOT NULL, seq INTEGER NOT NULL, changes INTEGER NOT NULL,"
        " options_sum INTEGER NOT NULL, sum INTEGER NOT NULL)",
        s, name, more_columns, s, name, s, name, s, name, s, name);
}

/* Other connections keep lists of parts: one more of them counts as a change. */
enum tq_status tq_catalog_part_begin(struct tq_conn *conn, const char *name, uint32_t part) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    bool exists = false;
    TQ_TRY(must_exist(conn, name));
    TQ_TRY(tq_conn_execf(conn, name, "UPDATE \"%w\".\"%w_state\" SET changes = changes + 1 WHERE part = 0",
                         conn->schema, name));
    char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w_state\" WHERE part = %u", conn->schema, name, part);
    TQ_TRY(any_row(conn, name, sql, &exists));
    return exists ? tq_fail(TQ_EXISTS, "index \"%s\" has part %u already", name, part) : TQ_OK;
}

static uint64_t options_sum(uint32_t part, const struct tq_format *format, const struct tq_catalog_identity *identity) {
    const uint64_t values[] = {part,
                               TQ_CATALOG_FORMAT,
                               TQ_CODEC_VERSION,
                               identity->number,
                               format->dim,
                               (uint64_t)format->metric,
                               format->bits,
                               format->qjl ? 1 : 0,
                               (uint64_t)format->rows,
                               format->seed};
    return tq_catalog_sum(values, TQ_COUNT(values), identity->uuid, sizeof identity->uuid);
}

/* A folder that was made anew gives out the old one's numbers again: values of this part must not be taken for those of
 * an index that was dropped. */
static enum tq_status number_is_used(struct tq_conn *conn, uint32_t number) {
    bool exists = false;
    TQ_TRY(table_exists(conn, "tqlite_dropped", "", &exists));
    if (!exists) return TQ_OK;
    return tq_conn_execf(conn, "tqlite_dropped", "DELETE FROM \"%w\".tqlite_dropped WHERE number = %u", conn->schema,
                         number);
}

enum tq_status tq_catalog_part_add(struct tq_conn *conn, const char *name, uint32_t part,
                                   const struct tq_format *format, const struct tq_catalog_identity *identity,
                                   uint64_t nonce) {
    struct tq_catalog_state state = {
        .version = 1, .nonce = nonce, .next = tq_part_first(part), .seq = tq_part_first(part)};
    char uuid[33];
    for (size_t i = 0; i < 16; i++) (void)snprintf(uuid + 2 * i, 3, "%02x", identity->uuid[i]);
    TQ_TRY(number_is_used(conn, identity->number));
    /* Named by the number, because RENAME leaves an index its name. */
    if (part == 0) {
        TQ_TRY(tq_conn_execf(conn, name, "CREATE INDEX \"%w\".tqlite_%u_null ON \"%w_rows\"(id) WHERE slot IS NULL",
                             conn->schema, identity->number, name));
    }
    return tq_conn_execf(conn, name,
                         "INSERT INTO \"%w\".\"%w_state\" VALUES"
                         "(%u, %d, %d, x'%s', %u, %u, %d, %u, %d, %d, %lld, %lld, 0, 0, %lld, %lld, %lld, 0,"
                         " %lld, %lld)",
                         conn->schema, name, part, (int)TQ_CATALOG_FORMAT, (int)TQ_CODEC_VERSION, uuid,
                         identity->number, format->dim, (int)format->metric, format->bits, format->qjl ? 1 : 0,
                         (int)format->rows, (long long)format->seed, (long long)state.version, (long long)state.nonce,
                         (long long)state.next, (long long)state.seq, (long long)options_sum(part, format, identity),
                         (long long)tq_catalog_state_sum(part, identity->number, &state));
}

enum tq_status tq_catalog_part_move(struct tq_catalog *catalog, uint32_t part, const struct tq_format *format,
                                    const struct tq_catalog_identity *identity, const struct tq_catalog_state *state) {
    char uuid[33];
    for (size_t i = 0; i < 16; i++) (void)snprintf(uuid + 2 * i, 3, "%02x", identity->uuid[i]);
    TQ_TRY(tq_conn_execf(catalog->conn, catalog->name,
                         "UPDATE \"%w\".\"%w_state\" SET uuid = x'%s', number = %u, options_sum = %lld WHERE part = %u",
                         catalog->conn->schema, catalog->name, uuid, identity->number,
                         (long long)options_sum(part, format, identity), part));
    return tq_catalog_state_write(catalog, part, identity->number, state);
}

/* The list of what is to be deleted goes with the table, and may name values of indexes that were dropped before: their
 * numbers are listed once more. */
static enum tq_status list_again(struct tq_conn *conn, const char *name) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    enum tq_status status = TQ_OK;
    uint32_t last = 0;
    char *sql = sqlite3_mprintf("SELECT part, version, keys, sum FROM \"%w\".\"%w_gc\"", conn->schema, name);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    while (rc == SQLITE_OK && status == TQ_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        const uint8_t *keys = sqlite3_column_blob(stmt, 2);
        size_t count = (size_t)sqlite3_column_bytes(stmt, 2) / sizeof(uint64_t);
        uint64_t sum = tq_catalog_gc_sum((uint32_t)sqlite3_column_int64(stmt, 0),
                                         (uint64_t)sqlite3_column_int64(stmt, 1), keys, count);
        if (sum != (uint64_t)sqlite3_column_int64(stmt, 3)) continue; /* a wrong number would be a living index's */
        for (size_t i = 0; i < count && status == TQ_OK; i++) {
            uint64_t key;
            memcpy(&key, keys + i * sizeof key, sizeof key);
            uint32_t number = (uint32_t)(key >> 40);
            if (number == last) continue;
            status = tq_conn_execf(conn, name, "INSERT OR IGNORE INTO \"%w\".tqlite_dropped VALUES (%u)", conn->schema,
                                   number);
            last = number;
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

enum tq_status tq_catalog_drop(struct tq_conn *conn, const char *name) {
    const char *s = conn->schema;
    TQ_TRY(must_exist(conn, name));
    TQ_TRY(tq_conn_execf(conn, name,
                         "CREATE TABLE IF NOT EXISTS \"%w\".tqlite_dropped(number INTEGER PRIMARY KEY);"
                         "INSERT OR IGNORE INTO \"%w\".tqlite_dropped SELECT number FROM \"%w\".\"%w_state\"",
                         s, s, s, name));
    TQ_TRY(list_again(conn, name));
    return tq_conn_execf(conn, name,
                         "DROP TABLE \"%w\".\"%w_rows\"; DROP TABLE \"%w\".\"%w_log\";"
                         "DROP TABLE \"%w\".\"%w_seg\"; DROP TABLE \"%w\".\"%w_gc\";"
                         "DROP TABLE \"%w\".\"%w_state\"",
                         s, name, s, name, s, name, s, name, s, name);
}

enum tq_status tq_catalog_dropped_take(struct tq_catalog *catalog, uint32_t *number) {
    struct tq_conn *conn = catalog->conn;
    const sqlite3_api_routines *sqlite3_api = conn->api;
    bool exists = false;
    *number = 0;
    TQ_TRY(table_exists(conn, "tqlite_dropped", "", &exists));
    if (!exists) return TQ_OK;
    char *sql = sqlite3_mprintf("SELECT number FROM \"%w\".tqlite_dropped LIMIT 1", conn->schema);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", catalog->name);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) *number = (uint32_t)sqlite3_column_int64(stmt, 0);
    enum tq_status status = TQ_OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "reading", "tqlite_dropped");
    (void)sqlite3_finalize(stmt);
    if (status != TQ_OK || *number == 0) return status;
    return tq_conn_execf(conn, "tqlite_dropped", "DELETE FROM \"%w\".tqlite_dropped WHERE number = %u", conn->schema,
                         *number);
}

/* Columns as in TQ_SQL_IDENTIFY. */
static enum tq_status parse_identity(struct tq_conn *conn, const char *name, uint32_t part, sqlite3_stmt *stmt,
                                     struct tq_format *format, struct tq_catalog_identity *identity) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_int64 stored = sqlite3_column_int64(stmt, 0), codec = sqlite3_column_int64(stmt, 1);
    if (stored != TQ_CATALOG_FORMAT || codec != TQ_CODEC_VERSION) {
        return tq_fail(TQ_FORMAT, "index \"%s\" has format %lld and codec %lld; this version reads %u and %u%s", name,
                       (long long)stored, (long long)codec, TQ_CATALOG_FORMAT, TQ_CODEC_VERSION,
                       stored > TQ_CATALOG_FORMAT ? ": it was made by a newer one" : "");
    }
    sqlite3_int64 number = sqlite3_column_int64(stmt, 3);
    const void *uuid = sqlite3_column_blob(stmt, 2);
    if (sqlite3_column_bytes(stmt, 2) != 16 || uuid == NULL || number < 1 || number > 0xffffff) {
        return tq_fail(TQ_CORRUPT, "index \"%s\": its state names no folder", name);
    }
    struct tq_index_options options = {.dim = (uint32_t)sqlite3_column_int64(stmt, 4),
                                       .metric = (enum tq_metric)sqlite3_column_int(stmt, 5),
                                       .bits = (uint32_t)sqlite3_column_int(stmt, 6),
                                       .qjl = sqlite3_column_int(stmt, 7),
                                       .rows = (enum tq_rows)sqlite3_column_int(stmt, 8),
                                       .seed = (uint64_t)sqlite3_column_int64(stmt, 9)};
    if (options.bits == 0 || options.qjl < 0 || tq_format_init(format, &options) != TQ_OK) {
        return tq_fail(TQ_CORRUPT, "index \"%s\": its state holds options that no index can have", name);
    }
    memcpy(identity->uuid, uuid, sizeof identity->uuid);
    identity->number = (uint32_t)number;
    if (options_sum(part, format, identity) == (uint64_t)sqlite3_column_int64(stmt, 10)) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "index \"%s\": the options of part %u fail their checksum", name, part);
}

enum tq_status tq_catalog_identify(struct tq_catalog *catalog, uint32_t part, struct tq_format *format,
                                   struct tq_catalog_identity *identity) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_IDENTIFY, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, part);
    int rc = sqlite3_step(stmt);
    enum tq_status status = TQ_OK;
    if (rc == SQLITE_ROW) status = parse_identity(catalog->conn, catalog->name, part, stmt, format, identity);
    enum tq_status ended = tq_catalog_end(catalog, stmt, rc, "opening index");
    TQ_TRY(status != TQ_OK ? status : ended);
    return rc == SQLITE_ROW ? TQ_OK : tq_catalog_part_missing(catalog, part);
}

enum tq_status tq_catalog_has_parts(struct tq_catalog *catalog, bool *more) {
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    sqlite3_stmt *stmt = NULL;
    TQ_TRY(tq_catalog_statement(catalog, TQ_SQL_HAS_PARTS, &stmt));
    int rc = sqlite3_step(stmt);
    *more = rc == SQLITE_ROW;
    return tq_catalog_end(catalog, stmt, rc, "reading the state of");
}

/* Format 0, which made no promise, had other tables: IDENTIFY would not even be a statement. */
static enum tq_status check_shape(struct tq_conn *conn, const char *name) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    char *state = sqlite3_mprintf("%s_state", name);
    if (state == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", name);
    int rc = sqlite3_table_column_metadata(conn->db, conn->schema, state, "options_sum", NULL, NULL, NULL, NULL, NULL);
    sqlite3_free(state);
    if (rc == SQLITE_OK) return TQ_OK;
    if (rc != SQLITE_ERROR) return tq_conn_fail(conn, rc, "opening index", name);
    return tq_fail(TQ_FORMAT,
                   "index \"%s\" was made by an older version, whose tables this one does not read; make it "
                   "anew",
                   name);
}

enum tq_status tq_catalog_open(struct tq_conn *conn, const char *name, struct tq_catalog **catalog) {
    TQ_TRY(must_exist(conn, name));
    TQ_TRY(check_shape(conn, name));
    struct tq_catalog *made = tq_alloc_zero(sizeof *made);
    size_t size = strlen(name) + 1;
    char *copy = tq_alloc(size);
    if (made == NULL || copy == NULL) {
        tq_free(made);
        tq_free(copy);
        return TQ_NOMEM;
    }
    memcpy(copy, name, size);
    made->conn = conn;
    made->name = copy;
    *catalog = made;
    return TQ_OK;
}

void tq_catalog_close(struct tq_catalog *catalog) {
    if (catalog == NULL) return;
    const sqlite3_api_routines *sqlite3_api = catalog->conn->api;
    for (int i = 0; i < TQ_SQL_COUNT; i++) (void)sqlite3_finalize(catalog->statements[i]);
    tq_free(catalog->name);
    tq_free(catalog);
}

const char *tq_catalog_name(const struct tq_catalog *catalog) { return catalog->name; }
