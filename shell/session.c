#include "shell/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "shell/commands.h"
#include "shell/error_place.h"
#include "shell/interrupt.h"
#include "shell/notice.h"
#include "shell/progress.h"
#include "shell/query_plan.h"
#include "shell/safe.h"
#include "src/base/base.h"

/* ---- The connection ---- */

enum tq_status shell_session_fail(struct shell_session *session, int rc) {
    if (rc == SQLITE_INTERRUPT && shell_interrupt_seen()) { /* a time limit ends a statement, too */
        session->interrupted = true;
        return tq_fail(TQ_MISUSE, "interrupted");
    }
    return tq_fail(TQ_MISUSE, "%s", rc == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(session->db));
}

enum tq_status shell_session_open(struct shell_session *session, const char *path) {
    /* One thread uses the connection: without locks .import is 5 % faster. */
    int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
                (session->readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite3 *db = NULL;
    char *copy = sqlite3_mprintf("%s", path);
    int rc = copy == NULL ? SQLITE_NOMEM : sqlite3_open_v2(path, &db, flags, NULL);
    /* SQLite opens the file when it is first needed; say what is wrong with it now. */
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY) {
        enum tq_status status = tq_fail(TQ_IO, "%s: %s", path, db == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(db));
        (void)sqlite3_close_v2(db);
        sqlite3_free(copy);
        return status;
    }
    shell_session_close(session);
    (void)sqlite3_busy_timeout(db, session->busy_ms);
    if (session->reach == SHELL_REACH_NOTHING) shell_safe_confine(db);
    session->db = db;
    session->path = copy;
    shell_interrupt_watch(db);
    return TQ_OK;
}

void shell_session_close(struct shell_session *session) {
    shell_interrupt_watch(NULL);
    if (session->db != NULL && !sqlite3_get_autocommit(session->db)) {
        (void)fputs("notice: a transaction was not committed; it is rolled back\n", stderr);
    }
    (void)sqlite3_close_v2(session->db);
    sqlite3_free(session->path);
    session->db = NULL;
    session->path = NULL;
}

void shell_session_free(struct shell_session *session) {
    free(session->look.null);
    free(session->look.column_separator);
    free(session->look.row_separator);
    free(session->look.table);
    free(session->output.target);
    free(session->output.pager);
    sqlite3_free(session->place);
}

enum tq_status shell_session_refuse_own(struct shell_session *session, const char *path) {
    struct stat file, own;
    sqlite3_stmt *list = NULL;
    enum tq_status status = TQ_OK;
    if (stat(path, &file) != 0) return TQ_OK;
    (void)sqlite3_prepare_v2(session->db, "SELECT name, file FROM pragma_database_list", -1, &list, NULL);
    while (status == TQ_OK && sqlite3_step(list) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(list, 1);
        if (name == NULL || stat(name, &own) != 0 || own.st_dev != file.st_dev || own.st_ino != file.st_ino) continue;
        status = tq_fail(TQ_MISUSE, "%s is open here already, as %s: INSERT INTO .. SELECT .. copies its tables", path,
                         (const char *)sqlite3_column_text(list, 0));
    }
    (void)sqlite3_finalize(list);
    return status;
}

/* ---- Statements ---- */

static enum tq_status show_rows(struct shell_session *session, sqlite3_stmt *statement) {
    struct shell_render render;
    int rc = SQLITE_DONE;
    if (sqlite3_column_count(statement) == 0) {
        while ((rc = sqlite3_step(statement)) == SQLITE_ROW) continue;
        return rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
    }
    shell_pager_begin(session);
    FILE *out = session->out;
    session->look.color = session->color && (out == session->output.paged || out == stdout);
    enum tq_status status = shell_render_begin(&render, statement, &session->look, out);
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        status = shell_render_row(&render);
        if (!ferror(out)) continue; /* nobody reads what would follow */
        rc = SQLITE_DONE;
        break;
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = shell_session_fail(session, rc);
    shell_render_end(&render, status == TQ_OK);
    bool left = shell_output_left(session);
    enum tq_status written = shell_output_flush(out);
    shell_pager_end(session);
    return status != TQ_OK || left ? status : written;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec * 1e-6; }

static enum tq_status run_statement(struct shell_session *session, sqlite3_stmt *statement) {
    struct rusage before, after;
    double start = shell_seconds();
    (void)getrusage(RUSAGE_SELF, &before);
    shell_notice_order(sqlite3_sql(statement), stderr);
    if (session->plan) TQ_TRY(shell_plan_of(session, statement));
    bool tree = sqlite3_stmt_isexplain(statement) == 2 &&
                (shell_mode_is_for_people(session->look.mode) || session->look.mode == SHELL_LIST);
    enum tq_status status = tree ? shell_plan_show(session, statement) : show_rows(session, statement);
    if (!session->timer) return status;
    (void)getrusage(RUSAGE_SELF, &after);
    (void)fprintf(stderr, "time: %.3f s, user %.3f s, system %.3f s\n", shell_seconds() - start,
                  seconds(after.ru_utime) - seconds(before.ru_utime),
                  seconds(after.ru_stime) - seconds(before.ru_stime));
    return status;
}

enum tq_status shell_session_sql(struct shell_session *session, const char *sql) {
    while (*sql != '\0') {
        sqlite3_stmt *statement = NULL;
        const char *rest = sql;
        int rc = sqlite3_prepare_v2(session->db, sql, -1, &statement, &rest);
        if (rc != SQLITE_OK) {
            session->place = shell_place_of(session->db, sql);
            return shell_session_fail(session, rc);
        }
        sql = rest;
        enum tq_status status = statement == NULL ? TQ_OK : shell_param_bind(session, statement);
        if (status == TQ_OK && statement != NULL) status = run_statement(session, statement);
        (void)sqlite3_finalize(statement);
        TQ_TRY(status);
    }
    return TQ_OK;
}

static enum tq_status prepare(struct shell_session *session, const char *sql, const char *text,
                              sqlite3_stmt **statement) {
    *statement = NULL;
    int rc = sqlite3_prepare_v2(session->db, sql, -1, statement, NULL);
    if (rc == SQLITE_OK && text != NULL) rc = sqlite3_bind_text(*statement, 1, text, -1, SQLITE_TRANSIENT);
    if (rc == SQLITE_OK) return TQ_OK;
    enum tq_status status = shell_session_fail(session, rc);
    (void)sqlite3_finalize(*statement);
    return status;
}

enum tq_status shell_session_show(struct shell_session *session, const char *sql, const char *text) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(prepare(session, sql, text, &statement));
    enum tq_status status = show_rows(session, statement);
    (void)sqlite3_finalize(statement);
    return status;
}

enum tq_status shell_session_value(struct shell_session *session, const char *sql, const char *text, char **value) {
    sqlite3_stmt *statement = NULL;
    *value = NULL;
    TQ_TRY(prepare(session, sql, text, &statement));
    int rc = sqlite3_step(statement);
    enum tq_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
    if (rc == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        *value = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
        if (*value == NULL) status = tq_fail(TQ_NOMEM, "out of memory");
    }
    (void)sqlite3_finalize(statement);
    return status;
}
