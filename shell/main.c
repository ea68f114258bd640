/* tqshell: SQLite with the tq extension linked in. docs/shell.md is its manual. */
#include <locale.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/commands.h"
#include "shell/edit.h"
#include "shell/interrupt.h"
#include "shell/session.h"
#include "shell/start_options.h"
#include "sql/tq_sqlite.h"
#include "src/base/base.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

static bool run_texts(struct shell_session *session, int count, const char *const *texts) {
    bool good = true;
    for (int i = 0; i < count && good && !session->quit; i++) {
        struct shell_lines lines = {.text = texts[i], .stops = true};
        good = shell_session_run(session, &lines);
    }
    return good;
}

static bool shows_colors(int file) {
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(file) && (none == NULL || none[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static bool run_typed(struct shell_session *session) {
    struct shell_lines lines = {0};
    if (isatty(STDIN_FILENO)) {
        lines.edit = session->edit = shell_edit_open(session);
        if (session->edit == NULL) return false;
    } else {
        lines.file = stdin;
        lines.prompted = true;
    }
    (void)printf("tqlite %s, SQLite %s, database %s; .help lists commands\n", tq_version(), sqlite3_libversion(),
                 session->path);
    bool good = shell_session_run(session, &lines);
    shell_edit_close(session->edit);
    session->interrupted = false;
    return good || !session->bail_typed;
}

/* A file that is asked for must be there; one's own may be. */
static bool run_initial(struct shell_session *session, const struct shell_options *options) {
    const char *home = getenv("HOME");
    char own[4096];
    const char *name = options->init;
    if (name == NULL) {
        if (!session->interactive || session->reach == SHELL_REACH_NOTHING || home == NULL) return true;
        (void)snprintf(own, sizeof own, "%s/.tqshellrc", home);
        if (access(own, R_OK) != 0) return true;
        name = own;
    }
    if (shell_read_script(session, name) == TQ_OK) return true;
    if (!session->told) (void)fprintf(stderr, "tqshell: %s\n", tq_message());
    session->told = false;
    return options->init == NULL || !session->bail;
}

static bool run_all(struct shell_session *session, const struct shell_options *options, int count, char **words) {
    bool first = run_initial(session, options);
    if (!shell_options_apply(options, session, count, words)) return false;
    if (first) first = run_texts(session, options->command_count, options->commands);
    if (session->quit || (!first && !session->interactive)) return first;
    if (options->argument_count > 0) {
        return run_texts(session, options->argument_count, (const char *const *)options->arguments);
    }
    if (session->interactive) return run_typed(session);
    struct shell_lines lines = {.name = "stdin", .file = stdin};
    return shell_session_run(session, &lines);
}

static int run(struct shell_session *session, const struct shell_options *options, int count, char **words) {
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    session->interactive = options->argument_count == 0 && (terminal || options->interactive) && !options->batch;
    session->color = session->interactive && shows_colors(STDOUT_FILENO);
    session->error_color = session->interactive && shows_colors(STDERR_FILENO);
    if (session->interactive && session->reach == SHELL_REACH_PROGRAMS) shell_pager_default(session);
#ifdef M_TRIM_THRESHOLD
    /* Segments are built in a few MB that are let go of after each: of an .import's page faults, three in five came of
     * giving them back to the system. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* counting each allocation costs .import another 5 % */
    (void)sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
    shell_interrupt_install();
    if (shell_session_open(session, options->database == NULL ? ":memory:" : options->database) != TQ_OK) {
        (void)fprintf(stderr, "tqshell: %s\n", tq_message());
        return EXIT_FAILED;
    }
    bool good = run_all(session, options, count, words);
    if (shell_output_set(session, NULL, false) != TQ_OK) {
        (void)fprintf(stderr, "tqshell: %s\n", tq_message());
        good = false;
    }
    shell_session_close(session);
    if (session->exits) return session->exit_status;
    if (good) return EXIT_SUCCESS;
    return session->interrupted ? EXIT_INTERRUPTED : EXIT_FAILED;
}

int main(int count, char **words) {
    struct shell_session session = {.out = stdout, .reach = SHELL_REACH_PROGRAMS, .busy_ms = SHELL_BUSY_MS};
    struct shell_options options;
    int status = EXIT_USAGE;
    (void)setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) (void)setlocale(LC_CTYPE, "C.UTF-8"); /* SQLite's texts are UTF-8 */
    (void)signal(SIGXFSZ, SIG_IGN); /* a file at its limit (ulimit -f) is a full disk: an error like others */
    if (shell_options_take(&options, &session, count, words))
        status = options.done ? (fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED)
                              : run(&session, &options, count, words);
    shell_options_clear(&options);
    shell_session_free(&session);
    return status;
}
