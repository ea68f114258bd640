/* Commands about the shell itself and its connection. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell/arguments.h"
#include "shell/commands.h"
#include "shell/edit.h"
#include "src/base/base.h"

enum { READ_DEPTH = 16, EXIT_MOST = 255 };

/* ---- The connection ---- */

static enum tq_status remove_file(const char *path) {
    return unlink(path) == 0 || errno == ENOENT ? TQ_OK : tq_fail(TQ_IO, "%s: %s", path, strerror(errno));
}

enum tq_status shell_cmd_open(struct shell_session *session, int count, char **words) {
    bool readonly = false, fresh = false, was = session->readonly;
    const struct shell_option options[] = {{"--readonly", NULL, &readonly}, {"--new", NULL, &fresh}};
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count > 2) return shell_command_usage(words[0]);
    if (fresh && count > 1) {
        TQ_TRY(shell_session_open(session, ":memory:")); /* it may be the file that is open */
        TQ_TRY(remove_file(words[1]));
    }
    session->readonly |= readonly;
    enum tq_status status = shell_session_open(session, count > 1 ? words[1] : ":memory:");
    session->readonly = status == TQ_OK ? session->readonly : was;
    return status;
}

enum tq_status shell_cmd_timeout(struct shell_session *session, int count, char **words) {
    int64_t milliseconds = 0;
    (void)count;
    TQ_TRY(shell_read_integer("timeout", words[1], 0, INT32_MAX, &milliseconds));
    session->busy_ms = (int)milliseconds;
    (void)sqlite3_busy_timeout(session->db, session->busy_ms);
    return TQ_OK;
}

static const struct {
    const char *name;
    int code;
} limits[] = {
    {"length", SQLITE_LIMIT_LENGTH},
    {"sql_length", SQLITE_LIMIT_SQL_LENGTH},
    {"column", SQLITE_LIMIT_COLUMN},
    {"expr_depth", SQLITE_LIMIT_EXPR_DEPTH},
    {"compound_select", SQLITE_LIMIT_COMPOUND_SELECT},
    {"vdbe_op", SQLITE_LIMIT_VDBE_OP},
    {"function_arg", SQLITE_LIMIT_FUNCTION_ARG},
    {"attached", SQLITE_LIMIT_ATTACHED},
    {"like_pattern_length", SQLITE_LIMIT_LIKE_PATTERN_LENGTH},
    {"variable_number", SQLITE_LIMIT_VARIABLE_NUMBER},
    {"trigger_depth", SQLITE_LIMIT_TRIGGER_DEPTH},
    {"worker_threads", SQLITE_LIMIT_WORKER_THREADS},
};

enum tq_status shell_cmd_limit(struct shell_session *session, int count, char **words) {
    size_t found = TQ_COUNT(limits);
    int64_t value = -1;
    for (size_t i = 0; count > 1 && i < TQ_COUNT(limits); i++) {
        if (strcasecmp(limits[i].name, words[1]) == 0) found = i;
    }
    if (count > 1 && found == TQ_COUNT(limits)) {
        return tq_fail(TQ_MISUSE, "no limit is called \"%.40s\"; .limit lists them", words[1]);
    }
    if (count > 2) {
        TQ_TRY(shell_read_integer(words[1], words[2], 0, INT32_MAX, &value));
        (void)sqlite3_limit(session->db, limits[found].code, (int)value);
    }
    for (size_t i = 0; i < TQ_COUNT(limits); i++) {
        if (count > 1 && i != found) continue;
        (void)fprintf(session->out, "%20s %d\n", limits[i].name, sqlite3_limit(session->db, limits[i].code, -1));
    }
    return TQ_OK;
}

enum tq_status shell_cmd_load(struct shell_session *session, int count, char **words) {
    char *message = NULL;
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    int rc = sqlite3_load_extension(session->db, words[1], count > 2 ? words[2] : NULL, &message);
    (void)sqlite3_db_config(session->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    enum tq_status status = rc == SQLITE_OK ? TQ_OK
                                            : tq_fail(TQ_IO, "%s", message == NULL ? sqlite3_errstr(rc) : message);
    sqlite3_free(message);
    return status;
}

/* ---- The shell ---- */

enum tq_status shell_cmd_quit(struct shell_session *session, int count, char **words) {
    int64_t status = 0;
    if (count > 1) TQ_TRY(shell_read_integer("exit status", words[1], 0, EXIT_MOST, &status));
    session->quit = true;
    session->exits = count > 1;
    session->exit_status = (int)status;
    return TQ_OK;
}

static enum tq_status open_script(struct shell_session *session, const char *name, FILE **file) {
    struct stat info;
    bool program = name[0] == '|';
    if (program && session->reach != SHELL_REACH_PROGRAMS) {
        return tq_fail(TQ_MISUSE, "programs are not allowed here: %s", name);
    }
    *file = program ? popen(name + 1, "re") : fopen(name, "re");
    if (*file == NULL) return tq_fail(TQ_NOT_FOUND, "%s: %s", name, strerror(errno));
    if (program || fstat(fileno(*file), &info) != 0 || !S_ISDIR(info.st_mode)) return TQ_OK;
    (void)fclose(*file);
    return tq_fail(TQ_MISUSE, "%s: %s", name, strerror(EISDIR));
}

enum tq_status shell_read_script(struct shell_session *session, const char *name) {
    struct shell_lines lines = {.name = name};
    if (session->depth == READ_DEPTH) {
        session->runaway = true;
        return tq_fail(TQ_MISUSE, ".read is nested more than %d deep", READ_DEPTH);
    }
    TQ_TRY(open_script(session, name, &lines.file));
    session->depth++;
    bool good = shell_session_run(session, &lines);
    session->depth--;
    if (session->depth == 0) session->runaway = false;
    bool left = session->quit;                  /* then the program may have ended because nobody read what it wrote */
    if (!session->exits) session->quit = false; /* .quit ends the script, .exit STATUS all of them */
    int ended = name[0] == '|' ? pclose(lines.file) : fclose(lines.file);
    if (good && !left && name[0] == '|' && ended != 0) return tq_fail(TQ_IO, "%s: the program failed", name);
    session->told = !good;
    return good ? TQ_OK : tq_fail(TQ_MISUSE, "%s: failed", name);
}

enum tq_status shell_cmd_read(struct shell_session *session, int count, char **words) {
    (void)count;
    return shell_read_script(session, words[1]);
}

enum tq_status shell_cmd_cd(struct shell_session *session, int count, char **words) {
    (void)session, (void)count;
    return chdir(words[1]) == 0 ? TQ_OK : tq_fail(TQ_IO, "%s: %s", words[1], strerror(errno));
}

/* A word that had quotes gets them again, as the program that runs it wants them; * and the like keep their meaning. */
static void append_word(sqlite3_str *built, const char *word) {
    if (strpbrk(word, " \t\n\"'\\") == NULL) {
        sqlite3_str_appendall(built, word);
        return;
    }
    sqlite3_str_appendchar(built, 1, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'') sqlite3_str_appendall(built, "'\\'");
        sqlite3_str_appendchar(built, 1, *word);
    }
    sqlite3_str_appendchar(built, 1, '\'');
}

/* A single word is a line for the program: .shell "ls | wc -l". */
static char *join(int count, char **words) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    if (count == 2) sqlite3_str_appendall(built, words[1]);
    for (int i = 1; count > 2 && i < count; i++) {
        if (i > 1) sqlite3_str_appendchar(built, 1, ' ');
        append_word(built, words[i]);
    }
    return sqlite3_str_finish(built);
}

enum tq_status shell_cmd_shell(struct shell_session *session, int count, char **words) {
    if (words[1][0] == '\0') return shell_command_usage(words[0]);
    char *command = join(count, words);
    if (command == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    (void)fflush(session->out);
    int status = system(command);
    sqlite3_free(command);
    if (status == 0) return TQ_OK;
    if (status == -1) return tq_fail(TQ_IO, "%s: %s", words[1], strerror(errno));
    if (WIFEXITED(status)) return tq_fail(TQ_MISUSE, "%s ended with status %d", words[1], WEXITSTATUS(status));
    return tq_fail(TQ_MISUSE, "%s ended by signal %d", words[1], WTERMSIG(status));
}

enum tq_status shell_cmd_version(struct shell_session *session, int count, char **words) {
    (void)count;
    (void)words;
    (void)fprintf(session->out, "tqlite %s\nSQLite %s\nlines typed: %s\n", tq_version(), sqlite3_libversion(),
                  shell_edit_name());
    return TQ_OK;
}
