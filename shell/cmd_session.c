/* Commands about the shell itself. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "shell/commands.h"
#include "shell/edit.h"
#include "src/base/base.h"

enum { READ_DEPTH = 16 };

static enum tq_status read_switch(char **words, bool *on) {
    *on = strcmp(words[1], "on") == 0;
    if (*on || strcmp(words[1], "off") == 0) return TQ_OK;
    return tq_fail(TQ_MISUSE, "usage: %s on|off", words[0]);
}

enum tq_status shell_cmd_headers(struct shell_session *session, int count, char **words) {
    bool on = false;
    (void)count;
    TQ_TRY(read_switch(words, &on));
    session->look.headers = on ? SHELL_HEADERS_ON : SHELL_HEADERS_OFF;
    return TQ_OK;
}

enum tq_status shell_cmd_timer(struct shell_session *session, int count, char **words) {
    (void)count;
    return read_switch(words, &session->timer);
}

enum tq_status shell_cmd_mode(struct shell_session *session, int count, char **words) {
    (void)count;
    for (int mode = 0; mode < SHELL_MODES; mode++) {
        if (strcmp(words[1], shell_mode_names[mode]) != 0) continue;
        session->look.mode = (enum shell_mode)mode;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "mode is \"%.40s\"; it must be table, csv, json, line or column", words[1]);
}

enum tq_status shell_cmd_open(struct shell_session *session, int count, char **words) {
    return shell_session_open(session, count > 1 ? words[1] : ":memory:");
}

enum tq_status shell_cmd_quit(struct shell_session *session, int count, char **words) {
    (void)count;
    (void)words;
    session->quit = true;
    return TQ_OK;
}

enum tq_status shell_cmd_read(struct shell_session *session, int count, char **words) {
    struct shell_lines lines = {.name = words[1]};
    struct stat info;
    (void)count;
    if (session->depth == READ_DEPTH) return tq_fail(TQ_MISUSE, ".read is nested more than %d deep", READ_DEPTH);
    lines.file = fopen(words[1], "re");
    if (lines.file == NULL) return tq_fail(TQ_NOT_FOUND, "%s: %s", words[1], strerror(errno));
    if (fstat(fileno(lines.file), &info) == 0 && S_ISDIR(info.st_mode)) {
        (void)fclose(lines.file);
        return tq_fail(TQ_MISUSE, "%s: %s", words[1], strerror(EISDIR));
    }
    session->depth++;
    bool good = shell_session_run(session, &lines);
    session->depth--;
    (void)fclose(lines.file);
    return good ? TQ_OK : tq_fail(TQ_MISUSE, ".read stopped: %s", words[1]);
}

enum tq_status shell_cmd_version(struct shell_session *session, int count, char **words) {
    (void)session;
    (void)count;
    (void)words;
    (void)printf("tqlite %s\nSQLite %s\nlines typed: %s\n", tq_version(), sqlite3_libversion(), shell_edit_name());
    return TQ_OK;
}
