#include "shell/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/base.h"

enum { WORDS_MAX = 16 };

static shell_command_handler help;

static const struct shell_command commands[] = {
    {".exit", "", "leave the shell", 0, 0, shell_cmd_quit},
    {".explain", "", "what the last query of a tq table read, and which path it took", 0, 0, shell_cmd_explain},
    {".headers", "on|off", "names of columns above the rows; without it, in all modes but csv", 1, 1,
     shell_cmd_headers},
    {".help", "", "this list", 0, 0, help},
    {".import", "FILE.npy TABLE [--first-id N]",
     "add the rows of a NumPy file to a tq table, which is made if there is none; rowids are N, N+1, ... from 0", 2, 4,
     shell_cmd_import},
    {".info", "TABLE", "dimensions, metric, counts and bytes of a tq table", 1, 1, shell_cmd_info},
    {".mode", "table|csv|json|line|column", "how rows are shown", 1, 1, shell_cmd_mode},
    {".open", "[FILE]", "close the database and open another one; without FILE, one in memory", 0, 1, shell_cmd_open},
    {".param", "set NAME VALUE | list | clear",
     "parameters of statements; VALUE is an expression, quoted if it has blanks", 1, 3, shell_cmd_param},
    {".quit", "", "leave the shell", 0, 0, shell_cmd_quit},
    {".read", "FILE", "run SQL and commands from a file", 1, 1, shell_cmd_read},
    {".schema", "[TABLE]", "the CREATE statements", 0, 1, shell_cmd_schema},
    {".tables", "", "names of tables and views", 0, 0, shell_cmd_tables},
    {".timer", "on|off", "say how long each statement took", 1, 1, shell_cmd_timer},
    {".version", "", "versions of tqlite and of SQLite", 0, 0, shell_cmd_version},
};

static enum tq_status help(struct shell_session *session, int count, char **words) {
    (void)session;
    (void)count;
    (void)words;
    for (size_t i = 0; i < TQ_COUNT(commands); i++) {
        const struct shell_command *command = &commands[i];
        int width = printf("%s%s%s", command->name, command->arguments[0] == '\0' ? "" : " ", command->arguments);
        bool fits = width < 24;
        (void)printf("%s%*s%s\n", fits ? "" : "\n", fits ? 24 - width : 24, "", command->help);
    }
    (void)puts("Everything else is SQL, and ends with ';'.");
    return TQ_OK;
}

/* A name, or the only one that begins so. */
static enum tq_status find(const char *name, const struct shell_command **found) {
    size_t length = strlen(name), fits = 0;
    for (size_t i = 0; i < TQ_COUNT(commands); i++) {
        if (strncmp(commands[i].name, name, length) != 0) continue;
        *found = &commands[i];
        fits++;
        if (commands[i].name[length] == '\0') return TQ_OK;
    }
    if (fits == 1 && length > 1) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s command \"%.40s\"; .help lists them", fits > 1 ? "ambiguous" : "unknown", name);
}

/* Words are set apart by blanks; quoted with ' or " they may contain some. Cuts `line` into pieces. */
static enum tq_status split(char *line, char **words, int *count) {
    char *at = line;
    for (*count = 0;;) {
        at += strspn(at, " \t");
        if (*at == '\0') return TQ_OK;
        if (*count == WORDS_MAX) return tq_fail(TQ_MISUSE, "more than %d words", WORDS_MAX);
        char quote = *at == '\'' || *at == '"' ? *at : '\0';
        words[(*count)++] = quote != '\0' ? ++at : at;
        at += quote != '\0' ? strcspn(at, quote == '\'' ? "'" : "\"") : strcspn(at, " \t");
        if (*at == '\0' && quote != '\0') return tq_fail(TQ_MISUSE, "a quote is not closed");
        if (*at != '\0') *at++ = '\0';
        if (quote != '\0' && *at != '\0' && *at != ' ' && *at != '\t') {
            return tq_fail(TQ_MISUSE, "a blank is missing behind a quote");
        }
    }
}

static enum tq_status run_words(struct shell_session *session, int count, char **words) {
    const struct shell_command *command = NULL;
    TQ_TRY(find(words[0], &command));
    if (count - 1 < command->least || count - 1 > command->most) {
        return tq_fail(TQ_MISUSE, "usage: %s %s", command->name, command->arguments);
    }
    return command->run(session, count, words);
}

enum tq_status shell_command_run(struct shell_session *session, const char *line) {
    char *words[WORDS_MAX], *copy = strdup(line);
    int count = 0;
    if (copy == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    size_t length = strlen(copy);
    while (length > 1 && strchr(" \t;", copy[length - 1]) != NULL) copy[--length] = '\0';
    enum tq_status status = split(copy, words, &count);
    if (status == TQ_OK) status = run_words(session, count, words);
    free(copy);
    (void)fflush(stdout);
    return status;
}
