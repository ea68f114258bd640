#include "src/io/database.h"

#include <stdarg.h>
#include <string.h>

#include "src/base/alloc.h"

/* ---- Failures ---- */

enum tq_status tq_database_fail(const struct tq_database *database) {
    const char *path = database->path, *text = sqlite3_errmsg(database->db);
    if (sqlite3_extended_errcode(database->db) == SQLITE_READONLY_ROLLBACK) {
        return tq_fail(TQ_IO,
                       "%s: a program ended while it was writing to it: open it with sqlite3 first, which undoes that",
                       path);
    }
    switch (sqlite3_errcode(database->db) & 0xff) {
    case SQLITE_NOMEM: return tq_fail(TQ_NOMEM, "%s: out of memory", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return tq_fail(TQ_BUSY, "%s: another program is writing to it", path);
    case SQLITE_NOTADB: return tq_fail(TQ_FORMAT, "%s: not an SQLite database, or an encrypted one", path);
    case SQLITE_CORRUPT: return tq_fail(TQ_FORMAT, "%s: damaged: %s", path, text);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return tq_fail(
            TQ_IO,
            "%s: it is in WAL mode, and its folder cannot be written: read a copy of it elsewhere, or have its "
            "owner run PRAGMA journal_mode = delete (%s)",
            path, text);
    case SQLITE_IOERR: return tq_fail(TQ_IO, "%s: %s", path, text);
    case SQLITE_INTERRUPT: return tq_fail(TQ_INTERRUPTED, "%s: interrupted", path);
    default: return tq_fail(TQ_FORMAT, "%s: %s", path, text);
    }
}

/* ---- Life ---- */

/* What a file from elsewhere may do to us: its views and defaults call harmless functions only, no row is larger than
 * memory, and a file that gets shorter is an error instead of a signal. */
static int tie_down(sqlite3 *db) {
    enum { ROW_BYTES_MAX = 1 << 28, BUSY_MILLISECONDS = 2000 };
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, BUSY_MILLISECONDS);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
    int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, "PRAGMA mmap_size = 0; PRAGMA cell_size_check = on", NULL, NULL, NULL);
    return rc;
}

enum tq_status tq_database_open(const char *path, struct tq_database *database) {
    *database = (struct tq_database){.path = path};
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(path, &database->db, flags, NULL);
    if (rc == SQLITE_OK) rc = tie_down(database->db);
    if (rc == SQLITE_OK) rc = sqlite3_exec(database->db, "BEGIN; SELECT 1 FROM sqlite_master", NULL, NULL, NULL);
    if (rc == SQLITE_OK) return TQ_OK;
    enum tq_status status = tq_database_fail(database);
    tq_database_close(database);
    return status;
}

void tq_database_close(struct tq_database *database) {
    (void)sqlite3_close(database->db);
    database->db = NULL;
}

/* ---- Statements ---- */

enum tq_status tq_database_prepare(const struct tq_database *database, sqlite3_stmt **statement, const char *format,
                                   ...) {
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "%s: out of memory", database->path);
    int rc = sqlite3_prepare_v2(database->db, sql, -1, statement, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? TQ_OK : tq_database_fail(database);
}

enum tq_status tq_database_step(const struct tq_database *database, sqlite3_stmt *statement, bool *row) {
    int rc = sqlite3_step(statement);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? TQ_OK : tq_database_fail(database);
}

/* ---- The schema ---- */

const char *tq_sql_skip_blanks(const char *at) {
    for (;;) {
        const char *end = NULL;
        at += strspn(at, " \t\n\r\f");
        if (at[0] == '-' && at[1] == '-')
            end = strchr(at, '\n');
        else if (at[0] == '/' && at[1] == '*')
            end = strstr(at + 2, "*/");
        else
            return at;
        if (end == NULL) return at + strlen(at);
        at = end + (at[0] == '-' ? 1 : 2);
    }
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

/* A name, quoted or not: what is between the quotes, and where it goes on; NULL if there is none. */
static const char *take_name(const char *at, const char **text, size_t *size) {
    at = tq_sql_skip_blanks(at);
    char quote = *at == '[' ? ']' : *at;
    *text = at;
    if (quote != '\0' && strchr("\"`']", quote) != NULL) {
        *text = ++at;
        while (*at != '\0' && (at[0] != quote || (quote != ']' && at[1] == quote))) at += at[0] == quote ? 2 : 1;
        *size = (size_t)(at - *text);
        return *at == '\0' ? NULL : at + 1;
    }
    while (is_word(*at)) at++;
    *size = (size_t)(at - *text);
    return *size == 0 ? NULL : at;
}

static const char *take_keyword(const char *at, const char *word) {
    const char *text = NULL;
    size_t size = 0;
    const char *rest = take_name(at, &text, &size);
    return rest != NULL && size == strlen(word) && sqlite3_strnicmp(text, word, (int)size) == 0 ? rest : NULL;
}

bool tq_virtual_table_read(const char *sql, struct tq_virtual_table *table) {
    static const char *const words[] = {"CREATE", "VIRTUAL", "TABLE"};
    const char *at = sql, *name = NULL;
    size_t size = 0;
    for (size_t i = 0; i < TQ_COUNT(words) && at != NULL; i++) at = take_keyword(at, words[i]);
    if (at != NULL) at = take_name(at, &name, &size);
    if (at != NULL) at = take_keyword(at, "USING");
    if (at != NULL) at = take_name(at, &table->module, &table->module_size);
    if (at == NULL) return false;
    at = tq_sql_skip_blanks(at);
    table->arguments = *at == '(' ? at + 1 : at + strlen(at);
    return true;
}

bool tq_virtual_table_is(const struct tq_virtual_table *table, const char *module) {
    return table->module_size == strlen(module) &&
           sqlite3_strnicmp(table->module, module, (int)table->module_size) == 0;
}
