/* Where SQL and commands come from, line by line: a file, a text, or somebody who types. */
#ifndef SHELL_LINE_H
#define SHELL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct shell_edit;

enum shell_got { SHELL_LINE, SHELL_END, SHELL_INTERRUPTED };

struct shell_lines {
    const char *name; /* for messages, "stdin" or a file's; NULL: none is needed */
    FILE *file;       /* one of these three */
    const char *text; /* what is left of it */
    struct shell_edit *edit;
    bool prompted;        /* -interactive: a file that is treated as somebody who types */
    bool stops;           /* at the first failure, whatever -bail says */
    unsigned long number; /* of the line that was read last, from 1 */
    size_t size;          /* of that line; it may contain NUL bytes */
    char *buffer;
    size_t capacity;
};

/* *line: without its end, valid until the next call. `prompt` is for those who type. */
enum shell_got shell_lines_next(struct shell_lines *lines, const char *prompt, const char **line);
void shell_lines_clear(struct shell_lines *lines);

#endif
