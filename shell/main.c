/* tqshell: SQLite with the tq extension linked in. docs/shell.md is its manual. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/edit.h"
#include "shell/interrupt.h"
#include "shell/session.h"
#include "sql/tq_sqlite.h"
#include "src/base/base.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

static const char usage[] = "usage: tqshell [options] [database] [sql]...\n"
                            "\n"
                            "  -csv, -json, -line, -column, -table   how rows are shown; table by default\n"
                            "  -header, -noheader                    names of columns; by default all but csv\n"
                            "  -readonly                             never write to the database\n"
                            "  -bail                                 typed lines, too, end with the first failure\n"
                            "  -version, -help\n"
                            "\n"
                            "Without a database, one in memory. Without SQL, lines are read from standard input;\n"
                            "a script stops at its first failure with status 1. Commands: tqshell :memory: .help\n";

static bool set_mode(struct shell_session *session, const char *name) {
    for (int mode = 0; mode < SHELL_MODES; mode++) {
        if (strcmp(name, shell_mode_names[mode]) != 0) continue;
        session->look.mode = (enum shell_mode)mode;
        return true;
    }
    return false;
}

static bool set_option(struct shell_session *session, const char *name) {
    if (strcmp(name, "header") == 0)
        session->look.headers = SHELL_HEADERS_ON;
    else if (strcmp(name, "noheader") == 0)
        session->look.headers = SHELL_HEADERS_OFF;
    else if (strcmp(name, "readonly") == 0)
        session->readonly = true;
    else if (strcmp(name, "bail") == 0)
        session->bail = true;
    else
        return set_mode(session, name);
    return true;
}

/* How many arguments were options, or -1; *done: nothing is left to do. */
static int read_options(struct shell_session *session, int count, char **arguments, bool *done) {
    int at = 1;
    for (; at < count && arguments[at][0] == '-' && arguments[at][1] != '\0'; at++) {
        const char *name = arguments[at] + (arguments[at][1] == '-' ? 2 : 1);
        if (name[0] == '\0') return at + 1; /* -- */
        if (strcmp(name, "help") == 0) {
            (void)fputs(usage, stdout);
            *done = true;
        } else if (strcmp(name, "version") == 0) {
            (void)printf("tqshell %s, SQLite %s\n", tq_version(), sqlite3_libversion());
            *done = true;
        } else if (!set_option(session, name)) {
            (void)fprintf(stderr, "tqshell: unknown option %s\n%s", arguments[at], usage);
            return -1;
        }
        if (*done) return at;
    }
    return at;
}

static bool run_arguments(struct shell_session *session, int count, char **arguments) {
    bool good = true;
    for (int i = 0; i < count && good && !session->quit; i++) {
        struct shell_lines lines = {.text = arguments[i]};
        good = shell_session_run(session, &lines);
    }
    return good;
}

static bool run_typed(struct shell_session *session) {
    session->edit = shell_edit_open();
    if (session->edit == NULL) return false;
    session->interactive = true;
    (void)printf("tqlite %s, SQLite %s, database %s; .help lists commands\n", tq_version(), sqlite3_libversion(),
                 session->path);
    struct shell_lines lines = {.edit = session->edit};
    bool good = shell_session_run(session, &lines);
    shell_edit_close(session->edit);
    session->interrupted = false;
    return good || !session->bail;
}

int main(int count, char **arguments) {
    struct shell_session session = {0};
    bool done = false, good = true;
    (void)setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) (void)setlocale(LC_CTYPE, "C.UTF-8"); /* SQLite's texts are UTF-8 */
    int at = read_options(&session, count, arguments, &done);
    if (at < 0) return EXIT_USAGE;
    if (done) return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
    (void)sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
    shell_interrupt_install();
    if (shell_session_open(&session, at < count ? arguments[at] : ":memory:") != TQ_OK) {
        (void)fprintf(stderr, "tqshell: %s\n", tq_message());
        return EXIT_FAILED;
    }
    at++;
    if (at < count) {
        good = run_arguments(&session, count - at, arguments + at);
    } else if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        good = run_typed(&session);
    } else {
        struct shell_lines lines = {.name = "stdin", .file = stdin};
        good = shell_session_run(&session, &lines);
    }
    shell_session_close(&session);
    if (good) return EXIT_SUCCESS;
    return session.interrupted ? EXIT_INTERRUPTED : EXIT_FAILED;
}
