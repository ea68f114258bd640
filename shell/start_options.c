#include "shell/start_options.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/base.h"

static const char usage[] =
    "usage: tqshell [options] [database] [sql]...\n"
    "\n"
    "How rows are shown\n"
    "  -table -box -column -markdown -line -list -tabs -csv -json -jsonl -quote -html   the mode; table by default\n"
    "  -header, -noheader    names of columns; by default in modes for people\n"
    "  -nullvalue TEXT       what stands for NULL\n"
    "  -separator TEXT       between values, in list, tabs, csv and quote\n"
    "  -newline TEXT         behind rows, in the same\n"
    "  -echo                 print statements and commands before they run\n"
    "What is run\n"
    "  -cmd COMMAND          run this first\n"
    "  -init FILE            run this file first, not ~/.tqshellrc\n"
    "  -bail                 stop at the first failure\n"
    "  -batch, -interactive  treat standard input as a script, or as somebody who types\n"
    "  -readonly             never write to the database\n"
    "  -safe                 no other files, no programs\n"
    "  -version, -help\n"
    "\n"
    "Without a database, one in memory. Without SQL, lines are read from standard input. SQL given as arguments stops\n"
    "at its first failure, a script goes on; both end with status 1. Commands: tqshell :memory: .help\n";

/* What an option wants to have done, and when. */
enum what {
    HELP,
    VERSION,
    HEADER,
    NO_HEADER,
    NULL_VALUE,
    SEPARATOR,
    NEWLINE,
    ECHO,
    COMMAND,
    INIT,
    BAIL,
    BATCH,
    INTERACTIVE,
    READONLY,
    SAFE,
    MODE
};

static const struct option {
    const char *name;
    enum what what;
    bool valued;
} all[] = {{"help", HELP, false},
           {"version", VERSION, false},
           {"header", HEADER, false},
           {"noheader", NO_HEADER, false},
           {"nullvalue", NULL_VALUE, true},
           {"separator", SEPARATOR, true},
           {"newline", NEWLINE, true},
           {"echo", ECHO, false},
           {"cmd", COMMAND, true},
           {"init", INIT, true},
           {"bail", BAIL, false},
           {"batch", BATCH, false},
           {"interactive", INTERACTIVE, false},
           {"readonly", READONLY, false},
           {"safe", SAFE, false}};

/* *value: the mode's name, for a mode. */
static const struct option *find(const char *name, enum shell_mode *mode) {
    static const struct option a_mode = {"mode", MODE, false};
    for (size_t i = 0; i < TQ_COUNT(all); i++) {
        if (strcmp(all[i].name, name) == 0) return &all[i];
    }
    return shell_mode_find(name, mode) && *mode != SHELL_INSERT ? &a_mode : NULL;
}

/* An option, "-- " begins a comment of SQL. */
static bool is_option(const char *word) { return word[0] == '-' && word[1] != '\0' && strchr(word, ' ') == NULL; }

static bool take(struct shell_options *options, struct shell_session *session, enum what what, const char *value) {
    switch (what) {
    case HELP: (void)fputs(usage, stdout); break;
    case VERSION: (void)printf("tqshell %s, SQLite %s\n", tq_version(), sqlite3_libversion()); break;
    case COMMAND: options->commands[options->command_count++] = value; break;
    case INIT: options->init = value; break;
    case BATCH: options->batch = true; break;
    case INTERACTIVE: options->interactive = true; break;
    case READONLY: session->readonly = true; break;
    case SAFE: session->reach = SHELL_REACH_NOTHING; break;
    case BAIL: session->bail = session->bail_typed = true; break;
    default: return true;
    }
    options->done |= what == HELP || what == VERSION;
    return true;
}

/* \n and \t as sqlite3 takes them. */
static char *unescaped(const char *text) {
    char *copy = strdup(text), *to = copy;
    for (const char *at = text; copy != NULL && *at != '\0'; at++) {
        bool escape = at[0] == '\\' && at[1] != '\0' && strchr("ntr\\", at[1]) != NULL;
        if (escape) at++;
        *to++ = (char)(!escape ? *at : *at == 'n' ? '\n' : *at == 't' ? '\t' : *at == 'r' ? '\r' : *at);
    }
    if (copy != NULL) *to = '\0';
    return copy;
}

static bool replace(char **kept, const char *text) {
    free(*kept);
    *kept = unescaped(text);
    return *kept != NULL;
}

static bool look(struct shell_session *session, enum what what, const char *value, enum shell_mode mode) {
    switch (what) {
    case HEADER: session->look.headers = SHELL_HEADERS_ON; return true;
    case NO_HEADER: session->look.headers = SHELL_HEADERS_OFF; return true;
    case NULL_VALUE: return replace(&session->look.null, value);
    case SEPARATOR: return replace(&session->look.column_separator, value);
    case NEWLINE: return replace(&session->look.row_separator, value);
    case ECHO: session->echo = true; return true;
    case BAIL: session->bail = session->bail_typed = true; return true;
    case MODE: session->look.mode = mode; return true;
    default: return true;
    }
}

static bool complain(const char *what, const char *word) {
    (void)fprintf(stderr, "tqshell: %s %s\n%s", what, word, usage);
    return false;
}

bool shell_options_take(struct shell_options *options, struct shell_session *session, int count, char **words) {
    enum shell_mode mode = SHELL_TABLE;
    bool ended = false;
    *options = (struct shell_options){.arguments = calloc((size_t)count, sizeof(char *)),
                                      .commands = calloc((size_t)count, sizeof(char *))};
    if (options->arguments == NULL || options->commands == NULL) return complain("out of memory", "");
    for (int at = 1; at < count && !options->done; at++) {
        if (ended || !is_option(words[at])) {
            if (options->database == NULL)
                options->database = words[at];
            else
                options->arguments[options->argument_count++] = words[at];
            continue;
        }
        const char *name = words[at] + (words[at][1] == '-' ? 2 : 1);
        ended = name[0] == '\0'; /* -- */
        if (ended) continue;
        const struct option *option = find(name, &mode);
        if (option == NULL) return complain("unknown option", words[at]);
        if (option->valued && at + 1 == count) return complain("a value is missing behind", words[at]);
        at += option->valued;
        if (!take(options, session, option->what, words[at])) return false;
    }
    return true;
}

bool shell_options_apply(const struct shell_options *options, struct shell_session *session, int count, char **words) {
    enum shell_mode mode = SHELL_TABLE;
    (void)options;
    for (int at = 1; at < count; at++) {
        if (!is_option(words[at])) continue;
        const char *name = words[at] + (words[at][1] == '-' ? 2 : 1);
        if (name[0] == '\0') break;
        const struct option *option = find(name, &mode);
        if (option == NULL) continue;
        at += option->valued;
        if (!look(session, option->what, words[at], mode)) return complain("out of memory", "");
    }
    return true;
}

void shell_options_clear(struct shell_options *options) {
    free(options->arguments);
    free(options->commands);
}
