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

/* What SQLite is told of the columns. The vector's type shows its dimension, and has the affinity of BLOB because that
 * word is in it: FLOAT[100] alone would have that of REAL, and VECTOR(100) that of NUMERIC. */
static int declare(sqlite3 *db, const char *name, const struct tq_declaration *declaration) {
    char *text = sqlite3_mprintf("CREATE TABLE x(\"%w\" FLOAT[%u] BLOB, \"%w\" HIDDEN, k INTEGER HIDDEN,"
                                 " score REAL HIDDEN, distance REAL HIDDEN)",
                                 declaration->column, (unsigned)declaration->options.dim, name);
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_declare_vtab(db, text);
    sqlite3_free(text);
    if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    /* A schema can make a table open the folder beside its own database and nothing else, so views and triggers of
     * databases that are not trusted may use it. */
    if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    return rc;
}

static enum tq_status check_names(const char *name, const char *column) {
    static const char *const hidden[] = {"k", "score", "distance"};
    if (sqlite3_stricmp(name, column) == 0) {
        return tq_fail(TQ_MISUSE, "the column cannot have the table's name, \"%s\"", name);
    }
    for (size_t i = 0; i < TQ_COUNT(hidden); i++) {
        if (sqlite3_stricmp(name, hidden[i]) == 0) {
            return tq_fail(TQ_MISUSE, "a table cannot be called \"%s\": it has a hidden column of that name", name);
        }
    }
    return TQ_OK;
}

static enum tq_status create_index(struct tq_sql_table *table, const struct tq_declaration *declaration) {
    struct tq_format format;
    TQ_TRY(check_names(table->name, declaration->column));
    TQ_TRY(tq_format_init(&format, &declaration->options));
    return tq_sql_table_create(table, &format);
}

/* arguments: module, schema, table, then those of USING tq(...). */
static int make(sqlite3 *db, struct tq_sql *sql, int count, const char *const *arguments, bool create,
                sqlite3_vtab **vtab, char **error) {
    const char *schema = arguments[1], *name = arguments[2], *teller = create ? NULL : name;
    struct tq_declaration declaration;
    enum tq_status status = tq_declaration_read(count - 3, arguments + 3, &declaration);
    if (status != TQ_OK) return fail(error, teller, status);
    struct tq_vtab *made = sqlite3_malloc64(sizeof *made);
    if (made == NULL) return SQLITE_NOMEM;
    *made = (struct tq_vtab){0};
    status = tq_sql_table_acquire(sql, schema, name, declaration.column, create, &made->table);
    if (status == TQ_OK && create) status = create_index(made->table, &declaration);
    int rc = status == TQ_OK ? declare(db, name, &declaration) : fail(error, teller, status);
    if (rc != SQLITE_OK) {
        tq_sql_table_release(made->table);
        sqlite3_free(made);
        return rc;
    }
    *vtab = &made->base;
    return SQLITE_OK;
}

static int vtab_create(sqlite3 *db, void *sql, int count, const char *const *arguments, sqlite3_vtab **vtab,
                       char **error) {
    return make(db, sql, count, arguments, true, vtab, error);
}

/* Opens nothing: a table whose folder is missing must not keep the rest of the database, or its own DROP, from
 * working. */
static int vtab_connect(sqlite3 *db, void *sql, int count, const char *const *arguments, sqlite3_vtab **vtab,
                        char **error) {
    return make(db, sql, count, arguments, false, vtab, error);
}

static int vtab_disconnect(sqlite3_vtab *vtab) {
    tq_sql_table_release(((struct tq_vtab *)vtab)->table);
    sqlite3_free(vtab);
    return SQLITE_OK;
}

static int vtab_destroy(sqlite3_vtab *vtab) {
    enum tq_status status = tq_cursors_detach(((struct tq_vtab *)vtab)->table);
    if (status == TQ_OK) status = tq_sql_table_drop(((struct tq_vtab *)vtab)->table);
    if (status != TQ_OK) return tq_vtab_fail(vtab, status);
    return vtab_disconnect(vtab);
}

static int vtab_rename(sqlite3_vtab *vtab, const char *name) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    enum tq_status status = check_names(name, table->column);
    if (status == TQ_OK) status = tq_cursors_detach(table);
    if (status == TQ_OK) status = tq_sql_table_rename(table, name);
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

static int vtab_shadow_name(const char *suffix) {
    static const char *const suffixes[] = {"rows", "log", "seg", "gc", "state", "nulls"};
    for (size_t i = 0; i < TQ_COUNT(suffixes); i++) {
        if (sqlite3_stricmp(suffix, suffixes[i]) == 0) return 1;
    }
    return 0;
}

const sqlite3_module tq_module = {
    .iVersion = 3,
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
};
