/* Without libedit: the terminal's own editing of one line, and no history. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/edit.h"
#include "shell/interrupt.h"

struct shell_edit {
    char *line;
    size_t capacity;
};

struct shell_edit *shell_edit_open(struct shell_session *session) {
    (void)session;
    return calloc(1, sizeof(struct shell_edit));
}

void shell_edit_close(struct shell_edit *edit) {
    if (edit == NULL) return;
    free(edit->line);
    free(edit);
}

enum shell_got shell_edit_line(struct shell_edit *edit, const char *prompt, const char **line) {
    (void)fputs(prompt, stdout);
    (void)fflush(stdout);
    ssize_t length = getline(&edit->line, &edit->capacity, stdin);
    if (length < 0) {
        bool interrupted = shell_interrupt_seen();
        clearerr(stdin);
        (void)fputs("\n", stdout);
        return interrupted ? SHELL_INTERRUPTED : SHELL_END;
    }
    edit->line[strcspn(edit->line, "\r\n")] = '\0';
    *line = edit->line;
    return SHELL_LINE;
}

void shell_edit_remember(struct shell_edit *edit, const char *text) {
    (void)edit;
    (void)text;
}

const char *shell_edit_name(void) { return "plain lines, built without libedit"; }
