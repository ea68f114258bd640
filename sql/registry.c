/* Connections, schemas and tables: finding, opening, counting. */
#include "sql/registry.h"

#include <string.h>

#include "src/base/alloc.h"

char *tq_sql_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = tq_alloc(size);
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}

int tq_sql_code(enum tq_status status) {
    switch (status) {
    case TQ_OK: return SQLITE_OK;
    case TQ_NOMEM: return SQLITE_NOMEM;
    case TQ_IO: return SQLITE_IOERR;
    case TQ_FULL: return SQLITE_FULL;
    case TQ_CORRUPT: return SQLITE_CORRUPT_VTAB;
    case TQ_BUSY: return SQLITE_BUSY;
    default: return SQLITE_ERROR;
    }
}

enum tq_status tq_sql_fail(sqlite3 *db, int rc, const char *doing) {
    enum tq_status status = TQ_MISUSE;
    switch (rc & 0xff) {
    case SQLITE_NOMEM: status = TQ_NOMEM; break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: status = TQ_BUSY; break;
    case SQLITE_FULL: status = TQ_FULL; break;
    case SQLITE_IOERR: status = TQ_IO; break;
    case SQLITE_CORRUPT: status = TQ_CORRUPT; break;
    default: break;
    }
    return tq_fail(status, "%s%s%s", doing == NULL ? "" : doing, doing == NULL ? "" : ": ", sqlite3_errmsg(db));
}

enum tq_status tq_sql_execf(sqlite3 *db, const char *doing, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = sqlite3_vmprintf(format, args);
    va_end(args);
    if (text == NULL) return tq_fail(TQ_NOMEM, "%s: out of memory", doing);
    int rc = sqlite3_exec(db, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return rc == SQLITE_OK ? TQ_OK : tq_sql_fail(db, rc, doing);
}

/* ---- The connection ---- */

static void place_free(struct tq_sql_place *place);

enum tq_status tq_sql_open(sqlite3 *db, struct tq_sql **sql) {
    struct tq_sql *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->db = db;
    made->options = tq_search_defaults();
    made->plain = tq_alloc_zero(sizeof *made->plain);
    enum tq_status status = made->plain == NULL ? TQ_NOMEM : tq_kernels_from_environment(&made->plain->kernels);
    if (status != TQ_OK) {
        tq_sql_close(made);
        return status;
    }
    *sql = made;
    return TQ_OK;
}

void tq_sql_close(struct tq_sql *sql) {
    if (sql == NULL) return;
    TQ_ASSERT(sql->tables == NULL);
    while (sql->places != NULL) {
        struct tq_sql_place *place = sql->places;
        sql->places = place->next;
        place_free(place);
    }
    tq_free(sql->plain);
    tq_free(sql->last.table);
    tq_free(sql->notice);
    tq_free(sql);
}

/* ---- Schemas ---- */

static void place_free(struct tq_sql_place *place) {
    tq_conn_close(place->conn);
    tq_env_close(place->env);
    tq_free(place->schema);
    tq_free(place->file);
    tq_free(place);
}

static void place_release(struct tq_sql *sql, struct tq_sql_place *place) {
    if (place == NULL || --place->refs > 0) return;
    tq_conn_close(place->conn); /* statements of ours would keep the connection from closing */
    place->conn = NULL;
    if (place->temporary) return;
    struct tq_sql_place **link = &sql->places;
    while (*link != place) link = &(*link)->next;
    *link = place->next;
    place_free(place);
}

static struct tq_sql_place *place_find(struct tq_sql *sql, const char *schema) {
    const char *file = tq_sql_file(sql->db, schema);
    struct tq_sql_place *p = sql->places;
    while (p != NULL && (sqlite3_stricmp(p->schema, schema) != 0 || strcmp(p->file, file) != 0)) p = p->next;
    return p;
}

static enum tq_status place_make(struct tq_sql *sql, const char *schema, bool create, struct tq_sql_place **place) {
    struct tq_sql_place *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->schema = tq_sql_text(schema);
    made->file = tq_sql_text(tq_sql_file(sql->db, schema));
    made->temporary = made->file != NULL && made->file[0] == 0;
    enum tq_status status = made->schema == NULL || made->file == NULL ? TQ_NOMEM : TQ_OK;
    if (status == TQ_OK) status = tq_sql_env_open(sql, schema, create, &made->env);
    if (status != TQ_OK) {
        place_free(made);
        return status;
    }
    made->next = sql->places;
    sql->places = made;
    *place = made;
    return TQ_OK;
}

static enum tq_status place_acquire(struct tq_sql *sql, const char *schema, bool create, struct tq_sql_place **place) {
    struct tq_sql_place *found = place_find(sql, schema);
    if (found == NULL) TQ_TRY(place_make(sql, schema, create, &found));
    found->refs++;
    enum tq_status status = TQ_OK;
    if (found->conn == NULL) status = tq_conn_wrap(sql->db, sqlite3_api, schema, &found->conn);
    if (status == TQ_OK)
        *place = found;
    else
        place_release(sql, found);
    return status;
}

/* ---- Tables ---- */

struct tq_sql_table *tq_sql_table_find(struct tq_sql *sql, const char *schema, const char *name) {
    const char *file = tq_sql_file(sql->db, schema);
    for (struct tq_sql_table *t = sql->tables; t != NULL; t = t->next) {
        if (t->gone || sqlite3_stricmp(t->schema, schema) != 0 || sqlite3_stricmp(t->name, name) != 0) continue;
        if (strcmp(t->file, file) == 0) return t;
    }
    return NULL;
}

static void table_free(struct tq_sql_table *table) {
    tq_sql_table_close(table);
    tq_free(table->schema);
    tq_free(table->file);
    tq_free(table->name);
    tq_free(table->column);
    tq_free(table->marks);
    tq_free(table);
}

enum tq_status tq_sql_table_acquire(struct tq_sql *sql, const char *schema, const char *name, const char *column,
                                    bool create, struct tq_sql_table **table) {
    struct tq_sql_table *t = tq_sql_table_find(sql, schema, name);
    if (create && t != NULL) {
        t->gone = true;
        t = NULL;
    }
    if (t == NULL) {
        t = tq_alloc_zero(sizeof *t);
        if (t == NULL) return TQ_NOMEM;
        t->sql = sql;
        t->schema = tq_sql_text(schema);
        t->file = tq_sql_text(tq_sql_file(sql->db, schema));
        t->name = tq_sql_text(name);
        t->column = tq_sql_text(column);
        t->rows_seen = 1000000;
        if (t->schema == NULL || t->file == NULL || t->name == NULL || t->column == NULL) {
            table_free(t);
            return TQ_NOMEM;
        }
        t->next = sql->tables;
        sql->tables = t;
    }
    t->refs++;
    *table = t;
    return TQ_OK;
}

void tq_sql_table_release(struct tq_sql_table *table) {
    if (table == NULL || --table->refs > 0) return;
    struct tq_sql_table **link = &table->sql->tables;
    while (*link != table) link = &(*link)->next;
    *link = table->next;
    table_free(table);
}

enum tq_status tq_sql_table_open(struct tq_sql_table *table) {
    if (table->access != NULL) return TQ_OK;
    if (table->place == NULL) TQ_TRY(place_acquire(table->sql, table->schema, false, &table->place));
    enum tq_status status = tq_access_open(table->place->conn, table->place->env, table->name, NULL, &table->access);
    if (status != TQ_OK) tq_sql_table_close(table);
    return status;
}

void tq_sql_table_close(struct tq_sql_table *table) {
    for (size_t i = 0; i < TQ_SQL_STATEMENTS; i++) {
        (void)sqlite3_finalize(table->statements[i]);
        table->statements[i] = NULL;
    }
    tq_access_close(table->access);
    table->access = NULL;
    place_release(table->sql, table->place);
    table->place = NULL;
    table->changes++;
}

/* Tables that the C library made in this file may be taken over, if they are what was asked for. */
static enum tq_status check_same(struct tq_sql_table *table, const struct tq_format *format) {
    TQ_TRY(tq_sql_table_open(table));
    const struct tq_format *there = &table->access->codec->format;
    bool same = there->dim == format->dim && there->bits == format->bits && there->qjl == format->qjl &&
                there->metric == format->metric && there->rows == format->rows && there->seed == format->seed;
    if (same) return TQ_OK;
    return tq_fail(TQ_EXISTS, "an index \"%s\" is there already, with other options: dim %u, bits %u, metric %d",
                   table->name, there->dim, there->bits, (int)there->metric);
}

enum tq_status tq_sql_table_create(struct tq_sql_table *table, const struct tq_format *format) {
    bool exists = false;
    if (table->place == NULL) TQ_TRY(place_acquire(table->sql, table->schema, true, &table->place));
    struct tq_conn *conn = table->place->conn;
    TQ_TRY(tq_table_exists(conn, table->name, &exists));
    TQ_TRY(exists ? check_same(table, format) : tq_table_create(conn, table->place->env, table->name, format));
    return tq_sql_execf(table->sql->db, "creating the table of NULLs",
                        "CREATE TABLE \"%w\".\"%w_nulls\"(id INTEGER PRIMARY KEY)", table->schema, table->name);
}

enum tq_status tq_sql_table_drop(struct tq_sql_table *table) {
    struct tq_conn *conn = NULL;
    tq_sql_table_close(table);
    TQ_TRY(tq_conn_wrap(table->sql->db, sqlite3_api, table->schema, &conn));
    enum tq_status status = tq_table_drop(conn, table->name);
    tq_conn_close(conn);
    if (status != TQ_OK && status != TQ_NOT_FOUND) return status; /* a table without tables can be dropped, too */
    return tq_sql_execf(table->sql->db, "dropping the table of NULLs", "DROP TABLE IF EXISTS \"%w\".\"%w_nulls\"",
                        table->schema, table->name);
}

enum tq_status tq_sql_table_rename(struct tq_sql_table *table, const char *name) {
    static const char *const suffixes[] = {"rows", "log", "seg", "gc", "state", "nulls"};
    char *copy = tq_sql_text(name);
    if (copy == NULL) return TQ_NOMEM;
    enum tq_status status = table->access != NULL ? tq_table_sync(table->access->table) : TQ_OK;
    if (status == TQ_OK) tq_sql_table_close(table);
    for (size_t i = 0; i < TQ_COUNT(suffixes) && status == TQ_OK; i++) {
        status = tq_sql_execf(table->sql->db, "renaming", "ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"",
                              table->schema, table->name, suffixes[i], name, suffixes[i]);
    }
    if (status != TQ_OK) {
        tq_free(copy);
        return status;
    }
    tq_free(table->name);
    table->name = copy;
    return TQ_OK;
}

/* ---- Statements on the tables ---- */

/* Rows that have a vector win: the C library, which knows no NULLs, may have given a NULL row's id one. */
static const char *const statement_text[TQ_SQL_STATEMENTS] = {
    [TQ_SQL_ID_MAX] = "SELECT max(0, ifnull((SELECT max(id) FROM \"%w\".\"%w_rows\"), 0),"
                      " ifnull((SELECT max(id) FROM \"%w\".\"%w_nulls\"), 0))",
    [TQ_SQL_ROW_HAS] = "SELECT 1 FROM \"%w\".\"%w_rows\" WHERE id = ?1",
    [TQ_SQL_NULL_HAS] = "SELECT 1 FROM \"%w\".\"%w_nulls\" WHERE id = ?1",
    [TQ_SQL_NULL_ADD] = "INSERT INTO \"%w\".\"%w_nulls\" VALUES (?1)",
    [TQ_SQL_NULL_DELETE] = "DELETE FROM \"%w\".\"%w_nulls\" WHERE id = ?1",
    [TQ_SQL_NULL_IDS] = "SELECT id FROM \"%w\".\"%w_nulls\" AS n WHERE NOT EXISTS"
                        " (SELECT 1 FROM \"%w\".\"%w_rows\" AS r WHERE r.id = n.id) ORDER BY id",
};

static enum tq_status prepare(struct tq_sql_table *table, enum tq_sql_statement which) {
    const char *s = table->schema, *n = table->name;
    char *text = sqlite3_mprintf(statement_text[which], s, n, s, n);
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", n);
    int rc = sqlite3_prepare_v3(table->sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &table->statements[which], NULL);
    sqlite3_free(text);
    return rc == SQLITE_OK ? TQ_OK : tq_sql_fail(table->sql->db, rc, "preparing");
}

enum tq_status tq_sql_prepare(struct tq_sql_table *table, enum tq_sql_statement which, int64_t id,
                              sqlite3_stmt **statement) {
    if (table->statements[which] == NULL) TQ_TRY(prepare(table, which));
    *statement = table->statements[which];
    if (sqlite3_bind_parameter_count(*statement) > 0) (void)sqlite3_bind_int64(*statement, 1, id);
    return TQ_OK;
}

enum tq_status tq_sql_step(struct tq_sql_table *table, enum tq_sql_statement which, int64_t id, bool *found,
                           int64_t *value) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(tq_sql_prepare(table, which, id, &statement));
    int rc = sqlite3_step(statement);
    if (found != NULL) *found = rc == SQLITE_ROW;
    if (value != NULL && rc == SQLITE_ROW) *value = sqlite3_column_int64(statement, 0);
    enum tq_status status = TQ_OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) status = tq_sql_fail(table->sql->db, rc, "reading or writing rows");
    (void)sqlite3_reset(statement);
    return status;
}
