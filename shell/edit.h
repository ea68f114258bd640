/* Lines typed at a terminal. Two implementations, of which the build takes one: edit_libedit.c, with editing and a
 * history that is kept, and edit_plain.c. */
#ifndef SHELL_EDIT_H
#define SHELL_EDIT_H

#include "shell/line.h"

struct shell_edit;

/* NULL if memory is short: then lines are read without it. */
struct shell_edit *shell_edit_open(void);
void shell_edit_close(struct shell_edit *edit);

/* *line: without its end, valid until the next call. */
enum shell_got shell_edit_line(struct shell_edit *edit, const char *prompt, const char **line);

/* Into the history: a statement of one or more lines, or a command. */
void shell_edit_remember(struct shell_edit *edit, const char *text);

/* For .version. */
const char *shell_edit_name(void);

#endif
