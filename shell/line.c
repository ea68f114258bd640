#include "shell/line.h"

#include <stdlib.h>
#include <string.h>

#include "shell/edit.h"
#include "shell/interrupt.h"

static void drop_end(char *line, size_t length) {
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = '\0';
}

static enum shell_got from_file(struct shell_lines *lines, const char **line) {
    ssize_t length = getline(&lines->buffer, &lines->capacity, lines->file);
    if (shell_interrupt_seen()) return SHELL_INTERRUPTED;
    if (length < 0) return SHELL_END;
    drop_end(lines->buffer, (size_t)length);
    *line = lines->buffer;
    return SHELL_LINE;
}

static enum shell_got from_text(struct shell_lines *lines, const char **line) {
    size_t length = strcspn(lines->text, "\n");
    if (*lines->text == '\0') return SHELL_END;
    if (length >= lines->capacity) {
        char *grown = realloc(lines->buffer, length + 1);
        if (grown == NULL) return SHELL_END;
        lines->buffer = grown;
        lines->capacity = length + 1;
    }
    memcpy(lines->buffer, lines->text, length);
    lines->buffer[length] = '\0';
    lines->text += length + (lines->text[length] == '\n');
    drop_end(lines->buffer, length);
    *line = lines->buffer;
    return SHELL_LINE;
}

enum shell_got shell_lines_next(struct shell_lines *lines, const char *prompt, const char **line) {
    lines->number++;
    if (lines->edit != NULL) return shell_edit_line(lines->edit, prompt, line);
    return lines->file != NULL ? from_file(lines, line) : from_text(lines, line);
}

void shell_lines_clear(struct shell_lines *lines) {
    free(lines->buffer);
    lines->buffer = NULL;
    lines->capacity = 0;
}
