/* SQL text as tokens, cut where SQLite cuts them. Text in, tokens out: no SQLite, no table. */
#ifndef TQ_SQL_TOKENS_H
#define TQ_SQL_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tq_token_kind {
    TQ_TOKEN_NAME,
    TQ_TOKEN_STRING,
    TQ_TOKEN_BLOB,
    TQ_TOKEN_NUMBER,
    TQ_TOKEN_PARAMETER, /* ?, ?5, :name, @name, $name */
    TQ_TOKEN_SIGN       /* one character each: <> are two */
};

struct tq_token {
    enum tq_token_kind kind;
    bool quoted;      /* NAME: never a keyword */
    uint32_t number;  /* PARAMETER: as SQLite counts it, from 1 */
    const char *text; /* without quotes and x; inner quotes still doubled */
    size_t size;
    const char *value; /* PARAMETER: where its literal begins in the expanded text; NULL: not known */
};

enum { TQ_TOKENS_MAX = 1000 };

struct tq_tokens {
    struct tq_token list[TQ_TOKENS_MAX];
    size_t count;
};

/* False: too many, or not cut as SQLite would. `expanded` (NULL: none) is the same text with values in place of
 * parameters, of sqlite3_expanded_sql. */
bool tq_tokens_read(const char *sql, const char *expanded, struct tq_tokens *tokens);

/* The token that begins at `at`; returns what follows it, or NULL. */
const char *tq_token_take(const char *at, struct tq_token *token);

/* The text of a token, quotes and all: from where to where. */
const char *tq_token_begin(const struct tq_token *token);
const char *tq_token_end(const struct tq_token *token);

bool tq_token_is_sign(const struct tq_tokens *tokens, size_t at, char sign);
bool tq_token_is_name(const struct tq_tokens *tokens, size_t at, const char *name);
bool tq_token_is_keyword(const struct tq_tokens *tokens, size_t at, const char *name); /* not quoted */
/* Two names that SQLite takes for the same one. Names with a doubled quote inside are never the same. */
bool tq_token_same(const struct tq_token *token, const struct tq_token *other);

#endif
