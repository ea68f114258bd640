#include "sql/sql_tokens.h"

#include <ctype.h>
#include <string.h>

/* As SQLite has it: letters of ASCII only, whatever the locale. */
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name_start(char c) { return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || (c & 0x80) != 0; }
static bool is_name_char(char c) { return is_name_start(c) || is_digit(c) || c == '$'; }

/* ---- Cutting ---- */

static const char *skip(const char *at) {
    for (;;) {
        while (isspace((unsigned char)*at)) at++;
        if (at[0] == '-' && at[1] == '-') {
            while (*at != 0 && *at != '\n') at++;
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            if (end == NULL) return at + strlen(at);
            at = end + 2;
        } else {
            return at;
        }
    }
}

/* Behind the opening quote; the token ends at `close`, doubled ones belong to it. */
static const char *take_quoted(const char *at, char close, struct tq_token *token) {
    token->text = at;
    for (; *at != 0; at++) {
        if (*at != close) continue;
        if (close != ']' && at[1] == close)
            at++;
        else
            break;
    }
    if (*at == 0) return NULL;
    token->size = (size_t)(at - token->text);
    return at + 1;
}

/* 12, 1.5e-3, .5, 0x1F: of 0x1e-3, the exponent is none. */
static const char *take_number(const char *at) {
    if (at[0] == '0' && lower(at[1]) == 'x') {
        at += 2;
        while (isxdigit((unsigned char)*at)) at++;
    } else {
        while (is_digit(*at)) at++;
        if (*at == '.') at++;
        while (is_digit(*at)) at++;
        const char *digits = at + 1 + (lower(*at) == 'e' && (at[1] == '-' || at[1] == '+'));
        if (lower(*at) == 'e' && is_digit(*digits)) at = digits;
        while (is_digit(*at)) at++;
    }
    return is_name_char(*at) ? NULL : at;
}

static const char *take_parameter(const char *at) {
    bool numbered = *at++ == '?';
    const char *first = at;
    while (numbered ? is_digit(*at) : is_name_char(*at)) at++;
    if (numbered) return at;
    bool like_tcl = *at == '(' || (at[0] == ':' && at[1] == ':'); /* $a::b(c) */
    return at == first || like_tcl ? NULL : at;
}

static const char *take_word(const char *at) {
    if (strncmp(at, "\xef\xbb\xbf", 3) == 0) return NULL; /* a byte order mark: a blank for SQLite */
    while (is_name_char(*at)) at++;
    return at;
}

const char *tq_token_take(const char *at, struct tq_token *token) {
    *token = (struct tq_token){.kind = TQ_TOKEN_SIGN, .text = at, .size = 1};
    if (*at == 0) return NULL;
    if (*at == '\'') {
        token->kind = TQ_TOKEN_STRING;
        return take_quoted(at + 1, '\'', token);
    }
    if (lower(*at) == 'x' && at[1] == '\'') {
        token->kind = TQ_TOKEN_BLOB;
        return take_quoted(at + 2, '\'', token);
    }
    if (*at == '"' || *at == '`' || *at == '[') {
        *token = (struct tq_token){.kind = TQ_TOKEN_NAME, .quoted = true};
        return take_quoted(at + 1, *at == '[' ? ']' : *at, token);
    }
    const char *end = at + 1;
    if (is_digit(*at) || (*at == '.' && is_digit(at[1]))) {
        token->kind = TQ_TOKEN_NUMBER;
        end = take_number(at);
    } else if (strchr("?:@$", *at) != NULL) {
        token->kind = TQ_TOKEN_PARAMETER;
        end = take_parameter(at);
    } else if (is_name_start(*at)) {
        token->kind = TQ_TOKEN_NAME;
        end = take_word(at);
    }
    if (end != NULL) token->size = (size_t)(end - at);
    return end;
}

/* ---- Parameters ---- */

/* As sqlite3_bind_parameter_index has it; 0: more than anybody has. */
static uint32_t number_parameter(const struct tq_tokens *tokens, const struct tq_token *token) {
    uint32_t highest = 0, number = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct tq_token *other = &tokens->list[i];
        if (other->kind != TQ_TOKEN_PARAMETER || other == token) continue;
        bool named = token->text[0] != '?' && token->size == other->size;
        if (named && memcmp(token->text, other->text, token->size) == 0) return other->number;
        if (other->number > highest) highest = other->number;
    }
    if (token->text[0] != '?' || token->size == 1) return highest + 1;
    for (size_t i = 1; i < token->size; i++) {
        if (number > 1000000) return 0;
        number = number * 10 + (uint32_t)(token->text[i] - '0');
    }
    return number;
}

/* Behind the literal that stands for a parameter, or NULL. */
static const char *skip_value(const char *at) {
    struct tq_token token;
    return tq_token_take(*at == '-' ? at + 1 : at, &token);
}

bool tq_tokens_read(const char *sql, const char *expanded, struct tq_tokens *tokens) {
    const char *copied = sql; /* up to here, both texts were compared */
    tokens->count = 0;
    for (const char *at = skip(sql); *at != 0; at = skip(at)) {
        if (tokens->count == TQ_TOKENS_MAX) return false;
        struct tq_token *token = &tokens->list[tokens->count++];
        at = tq_token_take(at, token);
        if (at == NULL) return false;
        if (token->kind != TQ_TOKEN_PARAMETER) continue;
        token->number = number_parameter(tokens, token);
        if (token->number == 0) return false;
        size_t same = (size_t)(token->text - copied);
        if (expanded == NULL || strncmp(expanded, copied, same) != 0) {
            expanded = NULL;
            continue;
        }
        token->value = expanded + same;
        expanded = skip_value(token->value);
        copied = at;
    }
    return tokens->count > 0;
}

/* ---- Looking ---- */

static size_t opening(const struct tq_token *token) {
    if (token->kind == TQ_TOKEN_BLOB) return 2;
    return token->quoted || token->kind == TQ_TOKEN_STRING ? 1 : 0;
}

const char *tq_token_begin(const struct tq_token *token) { return token->text - opening(token); }
const char *tq_token_end(const struct tq_token *token) { return token->text + token->size + (opening(token) > 0); }

bool tq_token_is_sign(const struct tq_tokens *tokens, size_t at, char sign) {
    return at < tokens->count && tokens->list[at].kind == TQ_TOKEN_SIGN && tokens->list[at].text[0] == sign;
}

/* A quote inside a quoted name is doubled: nobody needs to know such a name. */
static bool has_quote(const struct tq_token *token) {
    return token->quoted && memchr(token->text, token->text[-1], token->size) != NULL;
}

static bool same_text(const char *one, const char *other, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (lower(one[i]) != lower(other[i])) return false;
    }
    return true;
}

bool tq_token_same(const struct tq_token *token, const struct tq_token *other) {
    if (token->kind != TQ_TOKEN_NAME || other->kind != TQ_TOKEN_NAME || token->size != other->size) return false;
    return !has_quote(token) && !has_quote(other) && same_text(token->text, other->text, token->size);
}

bool tq_token_is_name(const struct tq_tokens *tokens, size_t at, const char *name) {
    struct tq_token named = {.kind = TQ_TOKEN_NAME, .text = name, .size = strlen(name)};
    return at < tokens->count && tq_token_same(&tokens->list[at], &named);
}

bool tq_token_is_keyword(const struct tq_tokens *tokens, size_t at, const char *name) {
    return tq_token_is_name(tokens, at, name) && !tokens->list[at].quoted;
}
