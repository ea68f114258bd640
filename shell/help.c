/* .help, which is the table of commands. */
#include <string.h>

#include "shell/commands.h"
#include "src/base/base.h"

enum { HELP_COLUMN = 26 };

static const char *const topics[SHELL_TOPICS] = {
    "The shell", "What is shown, and where", "The database", "Data in and out", "Vectors", "Upkeep"};

static void print_command(const struct shell_command *command, FILE *out) {
    int width = fprintf(out, "%s%s%s", command->name, command->arguments[0] == '\0' ? "" : " ", command->arguments);
    bool fits = width < HELP_COLUMN;
    (void)fprintf(out, "%s%*s%s\n", fits ? "" : "\n", fits ? HELP_COLUMN - width : HELP_COLUMN, "", command->help);
}

static void print_all(bool details, FILE *out) {
    for (int topic = 0; topic < SHELL_TOPICS; topic++) {
        (void)fprintf(out, "%s%s\n", topic > 0 ? "\n" : "", topics[topic]);
        for (size_t i = 0; i < shell_command_count; i++) {
            const struct shell_command *command = &shell_commands[i];
            if ((int)command->topic != topic) continue;
            print_command(command, out);
            if (details && command->details != NULL) (void)fputs(command->details, out);
        }
    }
    (void)fputs("\nEverything else is SQL, and ends with ';'. .help COMMAND tells more.\n", out);
}

/* The word as it stands in a text of the table. */
static bool mentions(const struct shell_command *command, const char *word) {
    return strcasestr(command->name, word) != NULL || strcasestr(command->help, word) != NULL ||
           strcasestr(command->arguments, word) != NULL ||
           (command->details != NULL && strcasestr(command->details, word) != NULL);
}

static void print_full(const struct shell_command *command, FILE *out) {
    print_command(command, out);
    if (command->details != NULL) (void)fputs(command->details, out);
}

static enum tq_status print_help(struct shell_session *session, int count, char **words) {
    const char *word = count > 1 ? words[1] : "";
    bool all = strcmp(word, "-all") == 0 || strcmp(word, "--all") == 0 || strcmp(word, "-a") == 0;
    size_t found = 0;
    if (count == 1 || all) {
        print_all(all, session->out);
        return TQ_OK;
    }
    if (word[0] == '.') word++;
    for (size_t i = 0; i < shell_command_count; i++) {
        if (strncmp(shell_commands[i].name + 1, word, strlen(word)) != 0) continue;
        found++;
        print_full(&shell_commands[i], session->out);
    }
    bool named = found > 0;
    for (size_t i = 0; !named && i < shell_command_count; i++) {
        if (!mentions(&shell_commands[i], word)) continue;
        found++;
        print_command(&shell_commands[i], session->out);
    }
    return found > 0 ? TQ_OK : tq_fail(TQ_NOT_FOUND, "no command has to do with \"%.40s\"", words[1]);
}

enum tq_status shell_cmd_help(struct shell_session *session, int count, char **words) {
    shell_pager_begin(session);
    enum tq_status status = print_help(session, count, words);
    shell_pager_end(session);
    return status;
}
