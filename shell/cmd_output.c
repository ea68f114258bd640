/* Commands about where results go. */
#include <stdio.h>
#include <string.h>

#include "shell/commands.h"
#include "src/base/base.h"

/* As in sqlite3, a program may be written without quotes: its words are put together again. */
static char *target_of(int count, char **words) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    for (int i = 1; i < count; i++) sqlite3_str_appendf(built, "%s%s", i > 1 ? " " : "", words[i]);
    return sqlite3_str_finish(built);
}

/* off and stdout mean standard output. */
static enum tq_status redirect(struct shell_session *session, int count, char **words, bool once) {
    bool none = count == 1 || strcmp(words[1], "off") == 0 || strcmp(words[1], "stdout") == 0;
    if (none) return shell_output_set(session, NULL, once);
    if (words[1][0] == '\0' || (count > 2 && words[1][0] != '|')) return shell_command_usage(words[0]);
    if (session->reach == SHELL_REACH_NOTHING) {
        return tq_fail(TQ_MISUSE, "%s FILE is not allowed with -safe", words[0]);
    }
    char *target = target_of(count, words);
    if (target == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = shell_output_set(session, target, once);
    sqlite3_free(target);
    return status;
}

enum tq_status shell_cmd_output(struct shell_session *session, int count, char **words) {
    return redirect(session, count, words, false);
}

enum tq_status shell_cmd_once(struct shell_session *session, int count, char **words) {
    return redirect(session, count, words, true);
}

enum tq_status shell_cmd_print(struct shell_session *session, int count, char **words) {
    for (int i = 1; i < count; i++) (void)fprintf(session->out, "%s%s", i > 1 ? " " : "", words[i]);
    (void)fputc('\n', session->out);
    return TQ_OK;
}
