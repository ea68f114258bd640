/* The life of a tq table: CREATE, open, RENAME, DROP. */
#include "sql/vtab.h"

#include <string.h>

#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"

/* The table is named once: messages about a column begin with "words.embedding". Nor need it be to who creates it:
 * name is NULL. */
static int fail(char **error, const char *name, enum tq_status status) {
    const char *text = tq_message();
    size_t length = name == NULL ? 0 : strlen(name);
    bool named = name == NULL || (strncmp(text, name, length) == 0 && text[length] == '.');
    sqlite3_free(*error);
    *error = named ? sqlite3_mprintf("tq: %s", text) : sqlite3_mprintf("tq: %s: %s", name, text);
    return tq_sql_code(status);
}

int tq_vtab_fail(sqlite3_vtab *vtab, enum tq_status status) {
    return fail(&vtab->zErrMsg, ((struct tq_vtab *)vtab)->table->name, status);
}

static int declare(sqlite3 *db, const char *name, const struct tq_declaration *declaration) {
    char *text = tq_declaration_text(declaration, name);
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_declare_vtab(db, text);
    sqlite3_free(text);
    if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    /* A schema can make a table open the folder beside its own database and nothing else, so views and triggers of
     * databases that are not trusted may use it. */
    if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    return rc;
}

/* arguments: module, schema, table, then those of USING tq(...). */
static int make(sqlite3 *db, struct tq_sql *sql, int count, const char *const *arguments, bool create,
                sqlite3_vtab **vtab, char **error) {
    const char *schema = arguments[1], *name = arguments[2];
    struct tq_vtab *made = sqlite3_malloc64(sizeof *made);
    if (made == NULL) return SQLITE_NOMEM;
    *made = (struct tq_vtab){0};
    enum tq_status status = tq_sql_table_acquire(sql, schema, name, count - 3, arguments + 3, create, &made->table);
    if (status == TQ_OK && create) status = tq_declaration_check_name(&made->table->declaration, name);
    if (status == TQ_OK && create) status = tq_sql_table_create(made->table);
    int rc = status == TQ_OK ? declare(db, name, &made->table->declaration) : fail(error, create ? NULL : name, status);
    if (rc != SQLITE_OK) {
        if (status == TQ_OK) *error = sqlite3_mprintf("%s", sqlite3_errmsg(db)); /* a type that is none to SQLite */
        tq_sql_table_release(made->table);
        sqlite3_free(made);
        return rc;
    }
    *vtab = &made->base;
    return SQLITE_OK;
}

static int vtab_create(sqlite3 *db, void *sql, int count, const char *const *arguments, sqlite3_vtab **vtab,
                       char **error) {
    sqlite3_int64 last = sqlite3_last_insert_rowid(db);
    int rc = make(db, sql, count, arguments, true, vtab, error);
    if (rc == SQLITE_OK) ((struct tq_vtab *)*vtab)->table->created = true;
    sqlite3_set_last_insert_rowid(db, last);
    return rc;
}

/* Opens nothing: a table whose folder is missing must not keep the rest of the database, or its own DROP, from
 * working. */
static int vtab_connect(sqlite3 *db, void *sql, int count, const char *const *arguments, sqlite3_vtab **vtab,
                        char **error) {
    return make(db, sql, count, arguments, false, vtab, error);
}

static int vtab_disconnect(sqlite3_vtab *vtab) {
    tq_sql_table_release(((struct tq_vtab *)vtab)->table);
    sqlite3_free(vtab->zErrMsg); /* a DROP that failed: SQLite does not take its message */
    sqlite3_free(vtab);
    return SQLITE_OK;
}

/* The rows of a bulk went with the table when it was closed: only a code after which SQLite rolls back will do. */
static enum tq_status fail_closed(enum tq_status status, bool bulk) {
    if (status == TQ_OK || !bulk) return status;
    char text[400];
    sqlite3_snprintf(sizeof text, text, "%s", tq_message());
    return tq_fail(TQ_IO, "%s; the transaction was rolled back", text);
}

static int vtab_destroy(sqlite3_vtab *vtab) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    bool bulk = false;
    int savepoint = 0;
    enum tq_status status = tq_vtab_check_close(table, &bulk, &savepoint);
    if (status == TQ_OK) status = tq_cursors_detach(table);
    if (status == TQ_OK) status = fail_closed(tq_sql_table_drop(table), bulk);
    if (status != TQ_OK) return tq_vtab_fail(vtab, status);
    return vtab_disconnect(vtab);
}

static int vtab_rename(sqlite3_vtab *vtab, const char *name) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    sqlite3_int64 last = sqlite3_last_insert_rowid(table->sql->db);
    bool bulk = false;
    int savepoint = 0;
    enum tq_status status = tq_declaration_check_name(&table->declaration, name);
    tq_sql_parts_hold(table);
    if (status == TQ_OK) status = tq_vtab_check_close(table, &bulk, &savepoint);
    if (status == TQ_OK) status = tq_cursors_detach(table);
    if (status == TQ_OK) status = fail_closed(tq_sql_table_rename(table, name), bulk);
    if (status == TQ_OK && bulk) table->closed_in = savepoint + 1;
    tq_sql_parts_let_go(table);
    sqlite3_set_last_insert_rowid(table->sql->db, last);
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

static int vtab_shadow_name(const char *suffix) { return tq_sql_is_shadow(suffix); }

const struct tq_module tq_module = {
    .base =
        {
            .iVersion = 4,
            .xCreate = vtab_create,
            .xConnect = vtab_connect,
            .xBestIndex = tq_vtab_best_index,
            .xDisconnect = vtab_disconnect,
            .xDestroy = vtab_destroy,
            .xOpen = tq_cursor_open,
            .xClose = tq_cursor_close,
            .xFilter = tq_cursor_filter,
            .xNext = tq_cursor_next,
            .xEof = tq_cursor_eof,
            .xColumn = tq_cursor_column,
            .xRowid = tq_cursor_rowid,
            .xUpdate = tq_vtab_update,
            .xBegin = tq_vtab_begin,
            .xSync = tq_vtab_sync,
            .xCommit = tq_vtab_commit,
            .xRollback = tq_vtab_rollback,
            .xRename = vtab_rename,
            .xSavepoint = tq_vtab_savepoint,
            .xRelease = tq_vtab_release,
            .xRollbackTo = tq_vtab_rollback_to,
            .xShadowName = vtab_shadow_name,
#if SQLITE_VERSION_NUMBER >= 3044000
            .xIntegrity = tq_vtab_integrity,
#endif
        },
#if SQLITE_VERSION_NUMBER < 3044000
    .xIntegrity = tq_vtab_integrity,
#endif
};
