/* .param: values for :name, @name, $name and ?. Kept as sqlite3 keeps them, so that a script runs in both. */
#include <string.h>

#include "shell/commands.h"
#include "src/base/base.h"

static enum tq_status run(struct shell_session *session, const char *sql) {
    int rc = sqlite3_exec(session->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? TQ_OK : shell_session_fail(session, rc);
}

/* SQLite keeps names that begin with sqlite_ to itself, unless asked. */
static enum tq_status make_table(struct shell_session *session) {
    int before = 0, defensive = 0;
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive);
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, -1, &before);
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, NULL);
    enum tq_status status = run(session, "CREATE TABLE IF NOT EXISTS temp.sqlite_parameters(key TEXT PRIMARY KEY,"
                                         " value) WITHOUT ROWID");
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, before, NULL);
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_DEFENSIVE, defensive, NULL);
    return status;
}

static enum tq_status set(struct shell_session *session, const char *name, const char *value) {
    TQ_TRY(make_table(session));
    char *sql = sqlite3_mprintf("REPLACE INTO temp.sqlite_parameters VALUES(%Q, (%s))", name, value);
    enum tq_status status = sql == NULL ? tq_fail(TQ_NOMEM, "out of memory") : run(session, sql);
    sqlite3_free(sql);
    if (status == TQ_OK || session->interrupted) return status;
    /* sqlite3 takes what is no expression for a text. */
    sql = sqlite3_mprintf("REPLACE INTO temp.sqlite_parameters VALUES(%Q, %Q)", name, value);
    status = sql == NULL ? tq_fail(TQ_NOMEM, "out of memory") : run(session, sql);
    sqlite3_free(sql);
    return status;
}

static enum tq_status unset(struct shell_session *session, const char *name) {
    TQ_TRY(make_table(session));
    char *sql = sqlite3_mprintf("DELETE FROM temp.sqlite_parameters WHERE key = %Q", name);
    enum tq_status status = sql == NULL ? tq_fail(TQ_NOMEM, "out of memory") : run(session, sql);
    sqlite3_free(sql);
    return status;
}

enum tq_status shell_cmd_param(struct shell_session *session, int count, char **words) {
    if (strcmp(words[1], "set") == 0 && count == 4) {
        if (strchr(":@$?", words[2][0]) == NULL) {
            return tq_fail(TQ_MISUSE, "parameter \"%.40s\": it must begin as in the statement, with : @ $ or ?",
                           words[2]);
        }
        return set(session, words[2], words[3]);
    }
    if (count == 2 && (strcmp(words[1], "list") == 0 || strcmp(words[1], "init") == 0)) {
        TQ_TRY(make_table(session));
        if (strcmp(words[1], "init") == 0) return TQ_OK;
        return shell_session_show(session, "SELECT key AS name, value FROM temp.sqlite_parameters", NULL);
    }
    if (count == 2 && strcmp(words[1], "clear") == 0)
        return run(session, "DROP TABLE IF EXISTS temp.sqlite_parameters");
    if (count == 3 && strcmp(words[1], "unset") == 0) return unset(session, words[2]);
    return shell_command_usage(words[0]);
}

enum tq_status shell_param_bind(struct shell_session *session, sqlite3_stmt *statement) {
    int count = sqlite3_bind_parameter_count(statement);
    sqlite3_stmt *find = NULL; /* stays NULL where nothing was ever set */
    if (count == 0) return TQ_OK;
    (void)sqlite3_prepare_v2(session->db, "SELECT value FROM temp.sqlite_parameters WHERE key = ?1", -1, &find, NULL);
    enum tq_status status = TQ_OK;
    for (int i = 1; i <= count && status == TQ_OK; i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i);
        if (name == NULL) name = "?";
        bool found = find != NULL && sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
                     sqlite3_step(find) == SQLITE_ROW;
        if (found)
            (void)sqlite3_bind_value(statement, i, sqlite3_column_value(find, 0));
        else
            status = tq_fail(TQ_MISUSE, "parameter %s has no value; use .param set %s VALUE", name, name);
        (void)sqlite3_reset(find);
    }
    (void)sqlite3_finalize(find);
    return status;
}
