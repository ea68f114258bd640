/* The lines of a file, one after another, in memory that does not depend on the file's size. */
#ifndef TQ_LINES_H
#define TQ_LINES_H

#include <stdbool.h>

#include "src/base/base.h"

/* Bytes of the longest line: what a vector of TQ_DIM_MAX takes, and a long text beside it. */
enum { TQ_LINE_MAX = 4 << 20 };

struct tq_lines {
    const char *path; /* borrowed */
    int file;
    uint64_t size, read_to; /* bytes of the file, and how many of them were read */
    char *buffer;
    size_t capacity, at, end; /* of the buffer: buffer[at .. end) is not given out yet */
    uint64_t line;            /* number, from 1, of the line that was read last */
};

/* At a file's beginning: *mark is the size of its byte order mark. TQ_FORMAT: compressed, or UTF-16. */
enum tq_status tq_text_begin(const char *path, const void *bytes, size_t size, size_t *mark);

/* A byte order mark is passed over. TQ_FORMAT: as of tq_text_begin(). */
enum tq_status tq_lines_open(struct tq_lines *lines, const char *path);
/* Of one that is all zero, too. */
void tq_lines_close(struct tq_lines *lines);

/* The next line, valid until the next call: *text[*size] is '\n', or 0 where the file ends without one; *text is NULL
 * at the end. TQ_MISUSE: longer than TQ_LINE_MAX, and behind us now. */
enum tq_status tq_lines_next(struct tq_lines *lines, const char **text, size_t *size);

/* Without "\r" at its end. */
size_t tq_line_trim(const char *text, size_t size);

/* The next `size` <= TQ_LINE_MAX bytes, or fewer at the end: *got. They are not taken. */
enum tq_status tq_lines_peek(struct tq_lines *lines, size_t size, const char **bytes, size_t *got);

/* Take bytes that were seen. */
void tq_lines_take(struct tq_lines *lines, size_t size);

/* Where the next line begins, and going back there: line is the number of the one before. */
uint64_t tq_lines_offset(const struct tq_lines *lines);
void tq_lines_seek(struct tq_lines *lines, uint64_t offset, uint64_t line);

/* 0 to 1. */
double tq_lines_progress(const struct tq_lines *lines);

/* Whether the bytes are no text: a zero among them, or many control characters. */
bool tq_is_binary(const void *bytes, size_t size);

/* The beginning of a text from a file, fit for a message: in quotes, on one line, valid. */
struct tq_quoted {
    char text[48];
};
struct tq_quoted tq_quote(const char *text, size_t size);

#endif
