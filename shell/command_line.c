/* A line with a command: cut into words, looked up, run. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shell/commands.h"
#include "src/base/base.h"

enum { WORDS_MAX = 64 };

enum tq_status shell_read_switch(const char *command, const char *text, bool *on) {
    static const struct {
        const char *word;
        bool on;
    } words[] = {{"on", true},   {"yes", true}, {"true", true},   {"1", true},
                 {"off", false}, {"no", false}, {"false", false}, {"0", false}};
    for (size_t i = 0; i < TQ_COUNT(words); i++) {
        if (strcasecmp(text, words[i].word) != 0) continue;
        *on = words[i].on;
        return TQ_OK;
    }
    return shell_command_usage(command);
}

/* The names that begin so, for a message. */
static void list_fitting(const char *name, char *list, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < shell_command_count && used < size; i++) {
        if (strncmp(shell_commands[i].name, name, strlen(name)) != 0) continue;
        used += (size_t)snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", shell_commands[i].name);
    }
}

enum tq_status shell_command_find(const char *name, const struct shell_command **found) {
    size_t length = strlen(name), fits = 0;
    for (size_t i = 0; i < shell_command_count; i++) {
        if (strncmp(shell_commands[i].name, name, length) != 0) continue;
        *found = &shell_commands[i];
        fits++;
        if (shell_commands[i].name[length] == '\0') return TQ_OK;
    }
    if (length < 2 || fits == 0) return tq_fail(TQ_MISUSE, "unknown command \"%.40s\"; .help lists them", name);
    if (fits == 1) return TQ_OK;
    char list[300] = "";
    list_fitting(name, list, sizeof list);
    return tq_fail(TQ_MISUSE, "ambiguous command \"%.40s\": %s", name, list);
}

enum tq_status shell_command_usage(const char *name) {
    const struct shell_command *command = NULL;
    TQ_TRY(shell_command_find(name, &command));
    return tq_fail(TQ_MISUSE, "usage: %s%s%s", command->name, command->arguments[0] == '\0' ? "" : " ",
                   command->arguments);
}

/* ---- Words ---- */

static char escaped(char c) {
    switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'v': return '\v';
    default: return c;
    }
}

/* One word moved to its own beginning, without quotes; as in sqlite3, a backslash means something but in '...'. */
static enum tq_status cut(char **from, bool *closed) {
    char *at = *from, *to = at, quote = *at == '\'' || *at == '"' ? *at : '\0';
    if (quote != '\0') at++;
    *closed = quote == '\0';
    while (*at != '\0') {
        if (quote == '\0' && strchr(" \t", *at) != NULL) break;
        if (*at == quote && at[1] != quote) {
            *closed = true;
            at++;
            break;
        }
        bool doubled = *at == quote, escape = *at == '\\' && quote != '\'' && at[1] != '\0';
        at += doubled || escape;
        *to++ = escape ? escaped(*at) : *at;
        at++;
    }
    bool apart = *at == '\0' || strchr(" \t", *at) != NULL;
    if (*at != '\0' && apart) at++;
    *to = '\0';
    *from = at;
    if (!*closed) return tq_fail(TQ_MISUSE, "a quote is not closed");
    return apart ? TQ_OK : tq_fail(TQ_MISUSE, "a blank is missing behind a quote");
}

/* Cuts `line` into words, which lie in it. */
static enum tq_status split(char *line, char **words, int *count) {
    char *at = line;
    for (*count = 0;;) {
        bool closed = false;
        at += strspn(at, " \t");
        if (*at == '\0') return TQ_OK;
        if (*count == WORDS_MAX) return tq_fail(TQ_MISUSE, "more than %d words", WORDS_MAX);
        words[(*count)++] = at;
        TQ_TRY(cut(&at, &closed));
    }
}

/* `semicolon`: one stood apart behind the words. It ends the command as it ends SQL, or is the word that is missing. */
static enum tq_status run_words(struct shell_session *session, int count, char **words, bool semicolon) {
    const struct shell_command *command = NULL;
    char separator[] = ";";
    TQ_TRY(shell_command_find(words[0], &command));
    if (semicolon && count - 1 < command->least && count < WORDS_MAX) words[count++] = separator;
    if (count - 1 < command->least || count - 1 > command->most) return shell_command_usage(command->name);
    if (command->reach > session->reach) {
        return tq_fail(TQ_MISUSE, "%s is not allowed with -safe", command->name);
    }
    return command->run(session, count, words);
}

enum tq_status shell_command_run(struct shell_session *session, const char *line) {
    char *words[WORDS_MAX], *copy = strdup(line);
    int count = 0;
    if (copy == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    size_t length = strlen(copy);
    while (length > 1 && strchr(" \t;", copy[length - 1]) != NULL) copy[--length] = '\0';
    bool semicolon = strspn(line + length, " \t") > 0 && strchr(line + length, ';') != NULL;
    enum tq_status status = split(copy, words, &count);
    if (status == TQ_OK) status = run_words(session, count, words, semicolon);
    free(copy);
    (void)fflush(session->out);
    return status;
}
