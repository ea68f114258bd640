#include "shell/session.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "shell/commands.h"
#include "shell/edit.h"
#include "shell/interrupt.h"
#include "shell/notice.h"
#include "shell/tokens.h"
#include "src/base/base.h"

enum { BUSY_MS = 5000 };

/* ---- The connection ---- */

enum tq_status shell_session_fail(struct shell_session *session, int rc) {
    if (rc == SQLITE_INTERRUPT && shell_interrupt_seen()) { /* a time limit ends a statement, too */
        session->interrupted = true;
        return tq_fail(TQ_MISUSE, "interrupted");
    }
    return tq_fail(TQ_MISUSE, "%s", rc == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(session->db));
}

enum tq_status shell_session_open(struct shell_session *session, const char *path) {
    int flags = SQLITE_OPEN_URI |
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
    (void)sqlite3_busy_timeout(db, BUSY_MS);
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

/* ---- Statements ---- */

static enum tq_status flush(FILE *out) {
    if (fflush(out) == 0 && !ferror(out)) return TQ_OK;
    int error = errno;
    clearerr(out);
    return tq_fail(TQ_IO, "writing the results: %s", strerror(error));
}

static enum tq_status show_rows(struct shell_session *session, sqlite3_stmt *statement) {
    struct shell_render render;
    int rc = SQLITE_DONE;
    if (sqlite3_column_count(statement) == 0) {
        while ((rc = sqlite3_step(statement)) == SQLITE_ROW) continue;
        return rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
    }
    enum tq_status status = shell_render_begin(&render, statement, session->look, stdout);
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) status = shell_render_row(&render);
    if (status == TQ_OK && rc != SQLITE_DONE) status = shell_session_fail(session, rc);
    shell_render_end(&render, status == TQ_OK);
    return status == TQ_OK ? flush(stdout) : status;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec * 1e-6; }

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static enum tq_status run_statement(struct shell_session *session, sqlite3_stmt *statement) {
    struct rusage before, after;
    double start = now();
    (void)getrusage(RUSAGE_SELF, &before);
    shell_notice_order(sqlite3_sql(statement), stderr);
    enum tq_status status = show_rows(session, statement);
    if (!session->timer) return status;
    (void)getrusage(RUSAGE_SELF, &after);
    (void)fprintf(stderr, "time: %.3f s, user %.3f s, system %.3f s\n", now() - start,
                  seconds(after.ru_utime) - seconds(before.ru_utime),
                  seconds(after.ru_stime) - seconds(before.ru_stime));
    return status;
}

enum tq_status shell_session_sql(struct shell_session *session, const char *sql) {
    while (*sql != '\0') {
        sqlite3_stmt *statement = NULL;
        int rc = sqlite3_prepare_v2(session->db, sql, -1, &statement, &sql);
        if (rc != SQLITE_OK) return shell_session_fail(session, rc);
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

/* ---- Lines ---- */

/* What has been read of a statement that goes on. */
struct pending {
    sqlite3_str *text; /* NULL: nothing */
    unsigned long number;
};

static void report(const struct shell_session *session, const struct shell_lines *lines, unsigned long number) {
    if (lines->name != NULL)
        (void)fprintf(stderr, "%s:%lu: %s\n", lines->name, number, tq_message());
    else
        (void)fprintf(stderr, "%s: %s\n", session->interactive ? "error" : "tqshell", tq_message());
}

/* The end of the input is the end of a statement, too. */
static enum tq_status run_pending(struct shell_session *session, struct pending *pending) {
    char *sql = sqlite3_str_finish(pending->text);
    pending->text = NULL;
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    if (session->interactive && session->depth == 0) shell_edit_remember(session->edit, sql);
    enum tq_status status = shell_session_sql(session, sql);
    sqlite3_free(sql);
    return status;
}

static enum tq_status take_line(struct shell_session *session, struct shell_lines *lines, struct pending *pending,
                                const char *line) {
    if (pending->text == NULL) {
        const char *first = shell_tokens_skip(line);
        if (*first == '\0') return TQ_OK;
        if (*first == '.') {
            pending->number = lines->number;
            if (lines->edit != NULL) shell_edit_remember(lines->edit, first);
            return shell_command_run(session, first);
        }
        pending->text = sqlite3_str_new(NULL);
        pending->number = lines->number;
    }
    sqlite3_str_appendall(pending->text, line);
    sqlite3_str_appendchar(pending->text, 1, '\n');
    const char *sofar = sqlite3_str_value(pending->text);
    if (strchr(line, ';') == NULL || sofar == NULL || !sqlite3_complete(sofar)) return TQ_OK;
    return run_pending(session, pending);
}

static const char *prompt(const struct shell_session *session, const struct pending *pending) {
    if (pending->text != NULL) return "...> ";
    return sqlite3_get_autocommit(session->db) ? "tq> " : "tq*> "; /* the star: a transaction is open */
}

static enum tq_status finish(struct shell_session *session, struct pending *pending, enum shell_got got, bool typed) {
    if (got == SHELL_INTERRUPTED) {
        sqlite3_free(sqlite3_str_finish(pending->text));
        pending->text = NULL;
        session->interrupted = true;
        return typed ? TQ_OK : tq_fail(TQ_MISUSE, "interrupted");
    }
    return pending->text == NULL ? TQ_OK : run_pending(session, pending);
}

bool shell_session_run(struct shell_session *session, struct shell_lines *lines) {
    struct pending pending = {0};
    bool typed = lines->edit != NULL, good = true;
    for (bool more = true; more && !session->quit;) {
        const char *line = NULL;
        if (typed) shell_interrupt_clear();
        enum shell_got got = shell_lines_next(lines, prompt(session, &pending), &line);
        if (typed) shell_interrupt_clear();
        enum tq_status status = TQ_OK;
        if (got == SHELL_LINE)
            status = take_line(session, lines, &pending, line);
        else
            status = finish(session, &pending, got, typed);
        more = got == SHELL_LINE || (typed && got == SHELL_INTERRUPTED);
        if (status == TQ_OK) continue;
        report(session, lines, pending.number);
        good = false;
        if (!typed) break;
        if (session->bail) session->quit = true;
    }
    sqlite3_free(sqlite3_str_finish(pending.text));
    shell_lines_clear(lines);
    return good;
}
