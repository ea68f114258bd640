#include "src/io/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/utf8.h"

enum { BLOCK = 256 << 10 };

/* What is taken for text often enough to say what to do about it. */
enum tq_status tq_text_begin(const char *path, const void *bytes, size_t size, size_t *mark) {
    static const struct {
        const char *begin, *what;
    } others[] = {{"\xff\xfe", "UTF-16; save it as UTF-8"},
                  {"\xfe\xff", "UTF-16; save it as UTF-8"},
                  {"\x1f\x8b", "compressed; gunzip it first"},
                  {"PK\3\4", "a zip file; unzip it first"}};
    for (size_t i = 0; i < TQ_COUNT(others); i++) {
        size_t length = strlen(others[i].begin);
        if (size >= length && memcmp(bytes, others[i].begin, length) == 0)
            return tq_fail(TQ_FORMAT, "%s: %s", path, others[i].what);
    }
    *mark = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    return TQ_OK;
}

enum tq_status tq_lines_open(struct tq_lines *lines, const char *path) {
    struct stat info;
    const char *bytes = NULL;
    size_t got = 0, mark = 0;
    *lines = (struct tq_lines){.path = path, .file = -1, .capacity = 2 * BLOCK};
    lines->buffer = tq_alloc(lines->capacity + 1);
    if (lines->buffer == NULL) return TQ_NOMEM;
    lines->file = open(path, O_RDONLY | O_CLOEXEC);
    if (lines->file < 0 || fstat(lines->file, &info) != 0) {
        return tq_fail(errno == ENOENT ? TQ_NOT_FOUND : TQ_IO, "%s: %s", path, strerror(errno));
    }
    lines->size = (uint64_t)info.st_size;
    (void)posix_fadvise(lines->file, 0, 0, POSIX_FADV_SEQUENTIAL);
    TQ_TRY(tq_lines_peek(lines, 4, &bytes, &got));
    TQ_TRY(tq_text_begin(path, bytes, got, &mark));
    tq_lines_take(lines, mark);
    return TQ_OK;
}

void tq_lines_close(struct tq_lines *lines) {
    if (lines->path != NULL && lines->file >= 0) (void)close(lines->file);
    tq_free(lines->buffer);
    *lines = (struct tq_lines){0};
}

/* More bytes behind those that are there; *more is false at the end of the file. */
static enum tq_status fill(struct tq_lines *lines, bool *more) {
    if (lines->at > 0) memmove(lines->buffer, lines->buffer + lines->at, lines->end - lines->at);
    lines->end -= lines->at;
    lines->at = 0;
    if (lines->capacity - lines->end < BLOCK) {
        char *grown = tq_realloc(lines->buffer, lines->end, 2 * lines->capacity + 1);
        if (grown == NULL) return TQ_NOMEM;
        lines->buffer = grown;
        lines->capacity *= 2;
    }
    ssize_t got = -1;
    do {
        got = pread(lines->file, lines->buffer + lines->end, BLOCK, (off_t)lines->read_to);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return tq_fail(TQ_IO, "%s: %s", lines->path, strerror(errno));
    if (got == 0 && lines->read_to < lines->size) {
        return tq_fail(TQ_FORMAT, "%s: %llu bytes when it was opened, cut off at byte %llu since", lines->path,
                       (unsigned long long)lines->size, (unsigned long long)lines->read_to);
    }
    lines->read_to += (uint64_t)got;
    lines->end += (size_t)got;
    lines->buffer[lines->end] = '\0';
    *more = got > 0;
    return TQ_OK;
}

/* The rest of a line that is too long. */
static enum tq_status pass_line(struct tq_lines *lines) {
    for (bool more = true; more;) {
        const char *from = lines->buffer + lines->at, *end = memchr(from, '\n', lines->end - lines->at);
        lines->at = end == NULL ? lines->end : lines->at + (size_t)(end - from) + 1;
        if (end != NULL) break;
        TQ_TRY(fill(lines, &more));
    }
    return tq_fail(TQ_MISUSE, "%s, line %llu: longer than %d bytes", lines->path, (unsigned long long)lines->line,
                   TQ_LINE_MAX);
}

enum tq_status tq_lines_next(struct tq_lines *lines, const char **text, size_t *size) {
    size_t seen = 0;
    *text = NULL;
    for (bool more = true;;) {
        const char *from = lines->buffer + lines->at;
        const char *end = memchr(from + seen, '\n', lines->end - lines->at - seen);
        seen = end == NULL ? lines->end - lines->at : (size_t)(end - from);
        if (end == NULL && more && seen <= TQ_LINE_MAX) {
            TQ_TRY(fill(lines, &more));
            continue;
        }
        if (end == NULL && seen == 0) return TQ_OK;
        lines->line++;
        if (seen > TQ_LINE_MAX) return pass_line(lines);
        lines->at += seen + (end != NULL);
        *text = from;
        *size = seen;
        return TQ_OK;
    }
}

size_t tq_line_trim(const char *text, size_t size) { return size > 0 && text[size - 1] == '\r' ? size - 1 : size; }

enum tq_status tq_lines_peek(struct tq_lines *lines, size_t size, const char **bytes, size_t *got) {
    bool more = true;
    while (lines->end - lines->at < size && more) TQ_TRY(fill(lines, &more));
    *bytes = lines->buffer + lines->at;
    *got = tq_min_size(size, lines->end - lines->at);
    return TQ_OK;
}

void tq_lines_take(struct tq_lines *lines, size_t size) { lines->at += size; }

uint64_t tq_lines_offset(const struct tq_lines *lines) { return lines->read_to - (lines->end - lines->at); }

void tq_lines_seek(struct tq_lines *lines, uint64_t offset, uint64_t line) {
    uint64_t first = lines->read_to - lines->end;
    lines->line = line;
    if (offset >= first && offset <= lines->read_to) {
        lines->at = (size_t)(offset - first);
        return;
    }
    lines->at = lines->end = 0;
    lines->read_to = offset;
    lines->buffer[0] = '\0';
}

double tq_lines_progress(const struct tq_lines *lines) {
    uint64_t passed = tq_lines_offset(lines);
    return lines->size == 0 || passed > lines->size ? 1 : (double)passed / (double)lines->size;
}

bool tq_is_binary(const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    size_t controls = 0;
    for (size_t i = 0; i < size; i++)
        controls += at[i] < 0x20 && at[i] != '\t' && at[i] != '\n' && at[i] != '\r' && at[i] != '\f';
    return controls > size / 8 || memchr(bytes, 0, size) != NULL;
}

struct tq_quoted tq_quote(const char *text, size_t size) {
    enum { SHOWN = 32 };
    struct tq_quoted quoted = {"\""};
    size_t used = 1, at = 0;
    while (at < size && used <= SHOWN) {
        size_t bytes = tq_utf8_bytes(text + at, size - at);
        bool shown = bytes > 0 && (unsigned char)text[at] >= 0x20 && text[at] != 0x7f;
        if (shown)
            memcpy(quoted.text + used, text + at, bytes);
        else
            quoted.text[used] = '?';
        used += shown ? bytes : 1;
        at += bytes == 0 ? 1 : bytes;
    }
    memcpy(quoted.text + used, at < size ? "...\"" : "\"", at < size ? 5 : 2);
    return quoted;
}
