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
