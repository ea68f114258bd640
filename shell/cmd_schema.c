/* Commands that tell what is in a database. */
#include <string.h>

#include "shell/commands.h"
#include "src/base/base.h"

enum { TABLE_LIST = 3037000 }; /* PRAGMA table_list, which knows what is a shadow table */

/* Prints the first column of each row. */
static enum tq_status print_texts(struct shell_session *session, const char *sql, const char *text, const char *end) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK && text != NULL) rc = sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);
        (void)printf("%s%s\n", value == NULL ? "" : value, end);
        rc = SQLITE_OK;
    }
    enum tq_status status = rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

/* Tables that users made: no internal ones, no shadow tables. */
static const char *own_tables(void) {
    if (sqlite3_libversion_number() >= TABLE_LIST) {
        return "SELECT iif(schema IN ('main', 'temp'), '', schema || '.') || name FROM pragma_table_list"
               " WHERE type IN ('table', 'view', 'virtual') AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'tqlite_*'"
               " ORDER BY schema NOT IN ('main', 'temp'), 1";
    }
    return "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*'"
           " AND name NOT GLOB 'tqlite_*' UNION SELECT name FROM sqlite_temp_master WHERE type IN ('table', 'view')"
           " ORDER BY 1";
}

enum tq_status shell_cmd_tables(struct shell_session *session, int count, char **words) {
    (void)count;
    (void)words;
    return print_texts(session, own_tables(), NULL, "");
}

enum tq_status shell_cmd_schema(struct shell_session *session, int count, char **words) {
    static const char one[] = "SELECT sql FROM (SELECT *, rowid AS place FROM sqlite_master UNION ALL"
                              " SELECT *, rowid AS place FROM sqlite_temp_master)"
                              " WHERE sql IS NOT NULL AND lower(tbl_name) = lower(?1) ORDER BY place";
    static const char all[] = "SELECT sql FROM (SELECT *, rowid AS place FROM sqlite_master UNION ALL"
                              " SELECT *, rowid AS place FROM sqlite_temp_master)"
                              " WHERE sql IS NOT NULL AND tbl_name IN (%s) ORDER BY place";
    if (count > 1) {
        char *found = NULL;
        TQ_TRY(shell_session_value(session, one, words[1], &found));
        bool any = found != NULL;
        sqlite3_free(found);
        if (!any) return tq_fail(TQ_NOT_FOUND, "no such table: %s", words[1]);
        return print_texts(session, one, words[1], ";");
    }
    /* The list of names, without its own order. */
    char *names = sqlite3_mprintf("SELECT * FROM (%s)", own_tables());
    char *sql = names == NULL ? NULL : sqlite3_mprintf(all, names);
    enum tq_status status = sql == NULL ? tq_fail(TQ_NOMEM, "out of memory") : print_texts(session, sql, NULL, ";");
    sqlite3_free(names);
    sqlite3_free(sql);
    return status;
}

enum tq_status shell_cmd_info(struct shell_session *session, int count, char **words) {
    (void)count;
    return shell_session_show(session, "SELECT key, value FROM json_each(tq_info(?1))", words[1]);
}

enum tq_status shell_cmd_explain(struct shell_session *session, int count, char **words) {
    char *last = NULL;
    (void)count;
    (void)words;
    TQ_TRY(shell_session_value(session, "SELECT tq_explain()", NULL, &last));
    if (last == NULL) return tq_fail(TQ_MISUSE, "no tq table has been queried yet");
    enum tq_status status = shell_session_show(session, "SELECT key, value FROM json_each(?1)", last);
    sqlite3_free(last);
    return status;
}
