#include "shell/tokens.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

const char *shell_tokens_skip(const char *at) {
    for (;;) {
        while (isspace((unsigned char)*at)) at++;
        if (at[0] == '-' && at[1] == '-') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            if (end == NULL) return at;
            at = end + 2;
        } else {
            return at;
        }
    }
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80) != 0; }

static const char *quoted(const char *at, char close) {
    for (at++; *at != '\0'; at++) {
        if (*at != close) continue;
        if (at[1] != close || close == ']') return at + 1;
        at++;
    }
    return at;
}

const char *shell_tokens_next(const char *at, struct shell_token *token) {
    at = shell_tokens_skip(at);
    const char *start = at;
    if (*at == '\'' || *at == '"' || *at == '`')
        at = quoted(at, *at);
    else if (*at == '[')
        at = quoted(at, ']');
    else if (*at != '\0')
        at++;
    if (is_word(*start)) {
        while (is_word(*at) || (isdigit((unsigned char)*start) && *at == '.')) at++;
    }
    *token = (struct shell_token){start, (size_t)(at - start)};
    return at;
}

bool shell_token_is(const struct shell_token *token, const char *word) {
    return token->size == strlen(word) && strncasecmp(token->text, word, token->size) == 0;
}

/* Behind the text or comment that is open at the line's start. */
static const char *leave(struct shell_scan *scan, const char *at) {
    if (scan->open == '*') {
        const char *end = strstr(at, "*/");
        if (end == NULL) return at + strlen(at);
        scan->open = '\0';
        return end + 2;
    }
    const char *end = strchr(at, scan->open);
    if (end == NULL) return at + strlen(at);
    scan->open = '\0'; /* a doubled quote opens again at once */
    return end + 1;
}

void shell_scan_line(struct shell_scan *scan, const char *line) {
    for (const char *at = line; *at != '\0';) {
        if (scan->open != '\0') {
            at = leave(scan, at);
        } else if (at[0] == '-' && at[1] == '-') {
            return;
        } else if (at[0] == '/' && at[1] == '*') {
            scan->open = '*';
            at += 2;
        } else if (strchr("'\"`[", *at) != NULL) {
            scan->open = *at == '[' ? ']' : *at;
            scan->may_end = false;
            at++;
        } else {
            if (!isspace((unsigned char)*at)) scan->may_end = *at == ';';
            at++;
        }
    }
}
