/* Commands that tell what is in a database. */
#include <stdio.h>
#include <string.h>

#include "shell/commands.h"
#include "src/base/base.h"

enum { TABLE_LIST = 3037000 }; /* PRAGMA table_list, which knows what is a shadow table */

/* Prints the first column of each row. */
static enum tq_status print_texts(struct shell_session *session, const char *sql, const char *text, const char *end) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
    if (rc == SQLITE_RANGE) rc = SQLITE_OK; /* no pattern in this statement */
    shell_pager_begin(session);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);
        (void)fprintf(session->out, "%s%s\n", value == NULL ? "" : value, end);
        rc = SQLITE_OK;
    }
    shell_pager_end(session);
    enum tq_status status = rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

/* sqlite_master of all databases: schema, place, type, name, tbl_name, sql. NULL: memory is short. */
static char *all_schemas(struct shell_session *session) {
    sqlite3_stmt *list = NULL;
    sqlite3_str *built = sqlite3_str_new(NULL);
    int rc = sqlite3_prepare_v2(session->db, "PRAGMA database_list", -1, &list, NULL);
    for (int i = 0; rc == SQLITE_OK && sqlite3_step(list) == SQLITE_ROW; i++) {
        const char *name = (const char *)sqlite3_column_text(list, 1);
        sqlite3_str_appendf(built, "%sSELECT %Q AS schema, rowid AS place, type, name, tbl_name, sql FROM \"%w\".%s",
                            i == 0 ? "" : " UNION ALL ", name, name,
                            strcmp(name, "temp") == 0 ? "sqlite_temp_master" : "sqlite_master");
    }
    (void)sqlite3_finalize(list);
    return sqlite3_str_finish(built);
}

/* Tables that users made, as (schema, name): no internal ones, no shadow tables. */
static const char *own_tables(void) {
    if (sqlite3_libversion_number() >= TABLE_LIST) {
        return "SELECT schema, name FROM pragma_table_list WHERE type IN ('table', 'view', 'virtual')"
               " AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'tqlite_*'";
    }
    return "SELECT 'main' AS schema, name FROM main.sqlite_master WHERE type IN ('table', 'view')"
           " AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'tqlite_*' UNION"
           " SELECT 'temp', name FROM sqlite_temp_master WHERE type IN ('table', 'view')"
           " AND name NOT GLOB 'sqlite_*'";
}

/* A table's name, with its schema where it is not main: as typed, LIKE, or GLOB if it has such signs. */
#define FITS(schema, name)                                                                                             \
    "(?1 IS NULL OR CASE WHEN ?1 GLOB '*[*?[]*' THEN " name " GLOB ?1 OR " schema " || '.' || " name " GLOB ?1"        \
    " ELSE " name " LIKE ?1 OR " schema " || '.' || " name " LIKE ?1 END)"

enum tq_status shell_cmd_tables(struct shell_session *session, int count, char **words) {
    char *sql = sqlite3_mprintf("SELECT iif(schema IN ('main', 'temp'), '', schema || '.') || name FROM (%s)"
                                " WHERE " FITS("schema", "name") " ORDER BY schema NOT IN ('main', 'temp'), 1",
                                own_tables());
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = print_texts(session, sql, count > 1 ? words[1] : NULL, "");
    sqlite3_free(sql);
    return status;
}

enum tq_status shell_cmd_indexes(struct shell_session *session, int count, char **words) {
    char *schemas = all_schemas(session), *sql = NULL;
    if (schemas != NULL)
        sql = sqlite3_mprintf("SELECT iif(schema IN ('main', 'temp'), '', schema || '.') || name FROM (%s)"
                              " WHERE type = 'index' AND (schema, tbl_name) IN (%s) AND " FITS(
                                  "schema", "tbl_name") " ORDER BY schema NOT IN ('main', 'temp'), 1",
                              schemas, own_tables());
    enum tq_status status = sql == NULL ? tq_fail(TQ_NOMEM, "out of memory")
                                        : print_texts(session, sql, count > 1 ? words[1] : NULL, "");
    sqlite3_free(schemas);
    sqlite3_free(sql);
    return status;
}

/* What is in a schema of its own says so: CREATE TABLE aux.t. SQLite has these words before a name. */
#define NAMED_SQL                                                                                                      \
    "CASE WHEN schema = 'main' THEN sql"                                                                               \
    " WHEN sql LIKE 'CREATE VIRTUAL TABLE %%' THEN substr(sql, 1, 21) || q || substr(sql, 22)"                         \
    " WHEN sql LIKE 'CREATE UNIQUE INDEX %%' THEN substr(sql, 1, 20) || q || substr(sql, 21)"                          \
    " WHEN sql LIKE 'CREATE TRIGGER %%' THEN substr(sql, 1, 15) || q || substr(sql, 16)"                               \
    " WHEN sql LIKE 'CREATE TABLE %%' OR sql LIKE 'CREATE INDEX %%' THEN substr(sql, 1, 13) || q || substr(sql, 14)"   \
    " WHEN sql LIKE 'CREATE VIEW %%' THEN substr(sql, 1, 12) || q || substr(sql, 13) ELSE sql END"

/* An internal table is shown to those who name it. */
enum tq_status shell_cmd_schema(struct shell_session *session, int count, char **words) {
    const char *pattern = count > 1 ? words[1] : NULL;
    char *schemas = all_schemas(session), *sql = NULL, *found = NULL;
    enum tq_status status = TQ_OK;
    if (schemas != NULL)
        sql = sqlite3_mprintf("SELECT " NAMED_SQL " FROM (SELECT *, '\"' || replace(schema, '\"', '\"\"') || '\".' AS q"
                              " FROM (%s)) WHERE sql IS NOT NULL AND (lower(tbl_name) = lower(?1)"
                              " OR ((schema, tbl_name) IN (%s) AND " FITS(
                                  "schema", "tbl_name") "))"
                                                        " ORDER BY schema NOT IN ('main', 'temp'), schema, place",
                              schemas, own_tables());
    if (sql == NULL) status = tq_fail(TQ_NOMEM, "out of memory");
    if (status == TQ_OK && pattern != NULL) {
        status = shell_session_value(session, sql, pattern, &found);
        if (status == TQ_OK && found == NULL) status = tq_fail(TQ_NOT_FOUND, "no such table: %s", pattern);
    }
    if (status == TQ_OK) status = print_texts(session, sql, pattern, ";");
    sqlite3_free(found);
    sqlite3_free(schemas);
    sqlite3_free(sql);
    return status;
}

enum tq_status shell_cmd_databases(struct shell_session *session, int count, char **words) {
    sqlite3_stmt *list = NULL;
    (void)count, (void)words;
    int rc = sqlite3_prepare_v2(session->db, "PRAGMA database_list", -1, &list, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(list)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(list, 1);
        const char *file = (const char *)sqlite3_column_text(list, 2);
        bool none = file == NULL || file[0] == '\0';
        (void)fprintf(session->out, "%s: %s %s\n", name, none ? "\"\"" : file,
                      sqlite3_db_readonly(session->db, name) == 1 ? "r/o" : "r/w");
        rc = SQLITE_OK;
    }
    enum tq_status status = rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
    (void)sqlite3_finalize(list);
    return status;
}
