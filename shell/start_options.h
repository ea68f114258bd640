/* What tqshell is told on its command line. */
#ifndef SHELL_START_OPTIONS_H
#define SHELL_START_OPTIONS_H

#include "shell/session.h"

struct shell_options {
    const char *database;    /* NULL: in memory */
    const char *init;        /* -init; NULL: the file of the user */
    bool done;               /* -help or -version: nothing is left to do */
    bool batch, interactive; /* whatever standard input is */
    const char **commands;   /* of -cmd; as many as command_count */
    int command_count;
    char **arguments; /* SQL and commands behind the database; as many as argument_count */
    int argument_count;
};

/* First what the session needs before it is opened; a message has gone to stderr where it is false. Call clear then,
 * too. */
bool shell_options_take(struct shell_options *options, struct shell_session *session, int count, char **words);

/* Then how results look, which is stronger than what an initial script said. */
bool shell_options_apply(const struct shell_options *options, struct shell_session *session, int count, char **words);

void shell_options_clear(struct shell_options *options);

#endif
