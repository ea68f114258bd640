/* SQL cut into words: enough to see where a statement begins and how it sorts. Not a parser. */
#ifndef SHELL_TOKENS_H
#define SHELL_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

struct shell_token {
    const char *text; /* with its quotes */
    size_t size;      /* 0: the end */
};

/* Past blanks and comments; a comment that does not end is not passed. */
const char *shell_tokens_skip(const char *at);

/* The next token; returns what follows it. */
const char *shell_tokens_next(const char *at, struct shell_token *token);

/* A statement gone through line by line, so that a long one is not read again and again to see whether it ends. */
struct shell_scan {
    char open;    /* the quote that is open, or '*' for a comment; '\0': none */
    bool may_end; /* a semicolon comes last */
};

void shell_scan_line(struct shell_scan *scan, const char *line);

/* Without regard to case. */
bool shell_token_is(const struct shell_token *token, const char *word);

#endif
