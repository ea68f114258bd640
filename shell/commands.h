/* Commands, which begin with a point. Each is a row of one table in commands.c, and .help is that table. */
#ifndef SHELL_COMMANDS_H
#define SHELL_COMMANDS_H

#include "shell/session.h"

/* count >= 1 words; words[0] is the command's own name. */
typedef enum tq_status shell_command_handler(struct shell_session *session, int count, char **words);

struct shell_command {
    const char *name, *arguments, *help;
    int least, most; /* arguments */
    shell_command_handler *run;
};

/* `line` begins with the point. */
enum tq_status shell_command_run(struct shell_session *session, const char *line);

/* cmd_session.c */
shell_command_handler shell_cmd_headers, shell_cmd_mode, shell_cmd_open, shell_cmd_quit, shell_cmd_read,
    shell_cmd_timer, shell_cmd_version;

/* cmd_schema.c */
shell_command_handler shell_cmd_explain, shell_cmd_info, shell_cmd_schema, shell_cmd_tables;

/* cmd_param.c */
shell_command_handler shell_cmd_param;

/* Bind every parameter of a statement that has one of these names. One without a value is a failure. */
enum tq_status shell_param_bind(struct shell_session *session, sqlite3_stmt *statement);

/* cmd_import.c */
shell_command_handler shell_cmd_import;

#endif
