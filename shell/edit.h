/* Lines typed at a terminal. Two implementations, of which the build takes one: edit_libedit.c, with editing and a
 * history that is kept, and edit_plain.c. */
#ifndef SHELL_EDIT_H
#define SHELL_EDIT_H

#include "shell/line.h"

struct shell_edit;

struct shell_session;

/* NULL if memory is short. The session is asked for what may complete a word. */
struct shell_edit *shell_edit_open(struct shell_session *session);
void shell_edit_close(struct shell_edit *edit);

/* *line: without its end, valid until the next call. */
enum shell_got shell_edit_line(struct shell_edit *edit, const char *prompt, const char **line);

/* Into the history: a statement of one or more lines, or a command. edit may be NULL. */
void shell_edit_remember(struct shell_edit *edit, const char *text);

/* For .version. */
const char *shell_edit_name(void);

#endif
