#include "shell/line.h"

#include <stdlib.h>
#include <string.h>

#include "shell/edit.h"
#include "shell/interrupt.h"

/* As some editors put it in front of UTF-8. */
static const char byte_order_mark[] = "\xef\xbb\xbf";

static void take(struct shell_lines *lines, size_t size, const char **line) {
    char *start = lines->buffer;
    while (size > 0 && (start[size - 1] == '\n' || start[size - 1] == '\r')) size--;
    start[size] = '\0';
    if (lines->number == 1 && strncmp(start, byte_order_mark, strlen(byte_order_mark)) == 0) {
        start += strlen(byte_order_mark);
        size -= strlen(byte_order_mark);
    }
    lines->size = size;
    *line = start;
}

static enum shell_got from_file(struct shell_lines *lines, const char *prompt, const char **line) {
    if (lines->prompted) {
        (void)fputs(prompt, stdout);
        (void)fflush(stdout);
    }
    ssize_t size = getline(&lines->buffer, &lines->capacity, lines->file);
    if (shell_interrupt_seen()) {
        clearerr(lines->file);
        return SHELL_INTERRUPTED;
    }
    if (size < 0) return SHELL_END;
    take(lines, (size_t)size, line);
    return SHELL_LINE;
}

static enum shell_got from_text(struct shell_lines *lines, const char **line) {
    size_t size = strcspn(lines->text, "\n");
    if (*lines->text == '\0') return SHELL_END;
    if (size >= lines->capacity) {
        char *grown = realloc(lines->buffer, size + 1);
        if (grown == NULL) return SHELL_END;
        lines->buffer = grown;
        lines->capacity = size + 1;
    }
    memcpy(lines->buffer, lines->text, size);
    lines->text += size + (lines->text[size] == '\n');
    take(lines, size, line);
    return SHELL_LINE;
}

enum shell_got shell_lines_next(struct shell_lines *lines, const char *prompt, const char **line) {
    lines->number++;
    if (lines->edit != NULL) {
        enum shell_got got = shell_edit_line(lines->edit, prompt, line);
        if (got == SHELL_LINE) lines->size = strlen(*line);
        return got;
    }
    return lines->file != NULL ? from_file(lines, prompt, line) : from_text(lines, line);
}

void shell_lines_clear(struct shell_lines *lines) {
    free(lines->buffer);
    lines->buffer = NULL;
    lines->capacity = 0;
}
