/* Lines of SQL and commands, gone through one by one. */
#include <stdlib.h>
#include <string.h>

#include "shell/commands.h"
#include "shell/edit.h"
#include "shell/interrupt.h"
#include "shell/session.h"
#include "shell/tokens.h"
#include "src/base/base.h"

/* What has been read of a statement that goes on. */
struct pending {
    sqlite3_str *text; /* NULL: nothing */
    unsigned long number;
    struct shell_scan scan;
};

static bool is_typed(const struct shell_lines *lines) { return lines->edit != NULL || lines->prompted; }

static void report(struct shell_session *session, const struct shell_lines *lines, unsigned long number) {
    const char *red = session->error_color ? "\033[31m" : "", *plain = session->error_color ? "\033[0m" : "";
    (void)fflush(stdout);
    if (session->told) {
        session->told = false;
    } else if (lines->name != NULL) {
        (void)fprintf(stderr, "%s%s:%lu: %s%s\n", red, lines->name, number, tq_message(), plain);
    } else {
        (void)fprintf(stderr, "%s%s: %s%s\n", red, session->interactive ? "error" : "tqshell", tq_message(), plain);
    }
    if (session->place != NULL) (void)fprintf(stderr, "%s\n", session->place);
    sqlite3_free(session->place);
    session->place = NULL;
}

static void echo(const struct shell_session *session, const char *text) {
    size_t size = strlen(text);
    if (session->echo) (void)fprintf(session->out, "%s%s", text, size > 0 && text[size - 1] == '\n' ? "" : "\n");
}

static enum tq_status run_sql(struct shell_session *session, const char *sql) {
    if (session->interactive && session->depth == 0) shell_edit_remember(session->edit, sql);
    echo(session, sql);
    enum tq_status status = shell_session_sql(session, sql);
    if (status == TQ_OK && session->changes) {
        (void)fprintf(session->out, "changes: %d   total_changes: %d\n", sqlite3_changes(session->db),
                      sqlite3_total_changes(session->db));
    }
    enum tq_status closed = shell_output_next(session);
    return status == TQ_OK ? closed : status;
}

/* The end of the input is the end of a statement, too. */
static enum tq_status run_pending(struct shell_session *session, struct pending *pending) {
    char *sql = sqlite3_str_finish(pending->text);
    pending->text = NULL;
    session->pending = NULL;
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = run_sql(session, sql);
    sqlite3_free(sql);
    return status;
}

static enum tq_status run_command(struct shell_session *session, const char *command) {
    bool was_once = session->output.once;
    if (session->interactive && session->depth == 0) shell_edit_remember(session->edit, command);
    echo(session, command);
    enum tq_status status = shell_command_run(session, command);
    enum tq_status closed = was_once ? shell_output_next(session) : TQ_OK;
    return status == TQ_OK ? closed : status;
}

static void drop_pending(struct shell_session *session, struct pending *pending) {
    sqlite3_free(sqlite3_str_finish(pending->text));
    pending->text = NULL;
    session->pending = NULL;
}

static enum tq_status take_line(struct shell_session *session, struct shell_lines *lines, struct pending *pending,
                                const char *line) {
    size_t size = strlen(line);
    if (pending->text == NULL || size != lines->size) pending->number = lines->number;
    if (size != lines->size) drop_pending(session, pending);
    if (size != lines->size) return tq_fail(TQ_MISUSE, "byte %zu of the line is NUL, which ends no text", size + 1);
    if (pending->text == NULL) {
        const char *first = shell_tokens_skip(line);
        if (*first == '\0' || *line == '#') return TQ_OK; /* #: a comment, or the first line of a program */
        if (*first == '.') return run_command(session, first);
        pending->text = sqlite3_str_new(NULL);
        pending->scan = (struct shell_scan){0};
    }
    sqlite3_str_append(pending->text, line, (int)size);
    sqlite3_str_appendchar(pending->text, 1, '\n');
    shell_scan_line(&pending->scan, line);
    session->pending = sqlite3_str_value(pending->text);
    if (!pending->scan.may_end || session->pending == NULL || !sqlite3_complete(session->pending)) return TQ_OK;
    return run_pending(session, pending);
}

static const char *prompt(const struct shell_session *session, const struct pending *pending) {
    if (pending->text != NULL) return session->prompts[1][0] != '\0' ? session->prompts[1] : "...> ";
    if (session->prompts[0][0] != '\0') return session->prompts[0];
    return sqlite3_get_autocommit(session->db) ? "tq> " : "tq*> "; /* the star: a transaction is open */
}

static enum tq_status finish(struct shell_session *session, struct pending *pending, enum shell_got got, bool typed) {
    if (got == SHELL_INTERRUPTED) {
        drop_pending(session, pending);
        session->interrupted = true;
        return typed ? TQ_OK : tq_fail(TQ_MISUSE, "interrupted");
    }
    return pending->text == NULL ? TQ_OK : run_pending(session, pending);
}

static bool ends_script(const struct shell_session *session, const struct shell_lines *lines) {
    return session->bail || session->interrupted || session->runaway || lines->stops;
}

bool shell_session_run(struct shell_session *session, struct shell_lines *lines) {
    struct pending pending = {0};
    bool typed = is_typed(lines), good = true;
    for (bool more = true; more && !session->quit;) {
        const char *line = NULL;
        if (typed) shell_interrupt_clear();
        enum shell_got got = shell_lines_next(lines, prompt(session, &pending), &line);
        if (typed) shell_interrupt_clear();
        if (typed) session->interrupted = false;
        enum tq_status status = TQ_OK;
        if (got == SHELL_LINE)
            status = take_line(session, lines, &pending, line);
        else
            status = finish(session, &pending, got, typed);
        more = got == SHELL_LINE || (typed && got == SHELL_INTERRUPTED);
        if (status == TQ_OK) continue;
        report(session, lines, pending.number);
        good = false;
        if (!typed && ends_script(session, lines)) break;
        if (typed && session->bail_typed) session->quit = true;
    }
    drop_pending(session, &pending);
    shell_lines_clear(lines);
    return good;
}
