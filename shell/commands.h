/* Commands, which begin with a point. Each is a row of one table in commands.c, and .help is that table. */
#ifndef SHELL_COMMANDS_H
#define SHELL_COMMANDS_H

#include <stddef.h>

#include "shell/session.h"

/* count >= 1 words; words[0] is the command's own name. */
typedef enum tq_status shell_command_handler(struct shell_session *session, int count, char **words);

/* What .help groups commands by. */
enum shell_topic {
    SHELL_ABOUT_SHELL,
    SHELL_ABOUT_OUTPUT,
    SHELL_ABOUT_DATABASE,
    SHELL_ABOUT_DATA,
    SHELL_ABOUT_VECTORS,
    SHELL_ABOUT_UPKEEP,
    SHELL_TOPICS
};

struct shell_command {
    /* arguments: for usage messages, and what completion goes by: TABLE, FILE, DIR, COMMAND, a|b, [OPTIONAL], --option
     * VALUE; alternatives of several words are set apart by " | ". */
    const char *name, *arguments, *help;
    int least, most; /* arguments */
    shell_command_handler *run;
    enum shell_topic topic;
    enum shell_reach reach; /* what it may do; -safe refuses all but SHELL_REACH_NOTHING */
    const char *details;    /* lines for .help NAME, each with its end; NULL: none */
};

/* Sorted by name. */
extern const struct shell_command shell_commands[];
extern const size_t shell_command_count;

/* `line` begins with the point. */
enum tq_status shell_command_run(struct shell_session *session, const char *line);

/* A name, or the only one that begins so. TQ_MISUSE lists those that fit. */
enum tq_status shell_command_find(const char *name, const struct shell_command **found);

/* TQ_MISUSE "usage: ...". */
enum tq_status shell_command_usage(const char *name);

/* on, off, yes, no, true, false, 1, 0. */
enum tq_status shell_read_switch(const char *command, const char *text, bool *on);

/* help.c */
shell_command_handler shell_cmd_help;

/* cmd_session.c */
shell_command_handler shell_cmd_cd, shell_cmd_limit, shell_cmd_load, shell_cmd_open, shell_cmd_quit, shell_cmd_read,
    shell_cmd_shell, shell_cmd_timeout, shell_cmd_version;

/* All lines of a file, or of what "|program" prints. */
enum tq_status shell_read_script(struct shell_session *session, const char *name);

/* cmd_schema.c */
shell_command_handler shell_cmd_schema, shell_cmd_tables;

/* cmd_info.c */
shell_command_handler shell_cmd_explain, shell_cmd_info;

/* cmd_search.c */
shell_command_handler shell_cmd_search, shell_cmd_similar;

/* cmd_recall.c, cmd_tune.c, cmd_bench.c */
shell_command_handler shell_cmd_recall, shell_cmd_tune, shell_cmd_bench;

/* cmd_upkeep.c */
shell_command_handler shell_cmd_backup, shell_cmd_check, shell_cmd_compact, shell_cmd_repair;

/* cmd_machine.c */
shell_command_handler shell_cmd_gpu, shell_cmd_kernels;
shell_command_handler shell_cmd_databases, shell_cmd_indexes;

/* dump.c */
shell_command_handler shell_cmd_dump;

/* cmd_settings.c */
shell_command_handler shell_cmd_bail, shell_cmd_changes, shell_cmd_echo, shell_cmd_eqp, shell_cmd_headers,
    shell_cmd_mode, shell_cmd_nullvalue, shell_cmd_pager, shell_cmd_prompt, shell_cmd_separator, shell_cmd_show,
    shell_cmd_timer, shell_cmd_width;

/* cmd_output.c */
shell_command_handler shell_cmd_once, shell_cmd_output, shell_cmd_print;

/* cmd_param.c */
shell_command_handler shell_cmd_param;

/* Bind every parameter of a statement that has one of these names. One without a value is a failure. */
enum tq_status shell_param_bind(struct shell_session *session, sqlite3_stmt *statement);

/* cmd_import.c */
shell_command_handler shell_cmd_import;
extern const char shell_import_details[];

/* cmd_export.c */
shell_command_handler shell_cmd_export;
extern const char shell_export_details[];

#endif
