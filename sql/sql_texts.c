/* Questions about SQL text that need no grammar of the whole: of WHERE as rewritten for the table of rows, whether
 * it is nothing but comparisons of columns with values, joined by AND; of a statement, how many tables it reads. */
#include "sql/recognise.h"
#include "sql/sql_tokens.h"
#include "src/base/base.h"

static bool is_value(const struct tq_tokens *t, size_t *at) {
    if (tq_token_is_sign(t, *at, '-')) {
        if (*at + 1 >= t->count || t->list[*at + 1].kind != TQ_TOKEN_NUMBER) return false;
        ++*at;
    } else if (*at >= t->count || t->list[*at].kind == TQ_TOKEN_SIGN || t->list[*at].kind == TQ_TOKEN_NAME) {
        return false;
    }
    ++*at;
    return true;
}

/* = == <> != < <= > >= */
static bool take_comparison(const struct tq_tokens *t, size_t *at) {
    size_t first = *at;
    while (*at < first + 2 && (tq_token_is_sign(t, *at, '=') || tq_token_is_sign(t, *at, '<') ||
                               tq_token_is_sign(t, *at, '>') || tq_token_is_sign(t, *at, '!'))) {
        ++*at;
    }
    return *at > first;
}

static bool take_list(const struct tq_tokens *t, size_t *at) {
    if (!tq_token_is_sign(t, (*at)++, '(')) return false;
    for (;;) {
        if (!is_value(t, at)) return false;
        if (tq_token_is_sign(t, *at, ')')) break;
        if (!tq_token_is_sign(t, (*at)++, ',')) return false;
    }
    ++*at;
    return true;
}

static bool take_word(const struct tq_tokens *t, size_t *at, const char *word) {
    if (!tq_token_is_keyword(t, *at, word)) return false;
    ++*at;
    return true;
}

/* LIKE and GLOB are not on the list: SQLite makes further conditions of them, and we take none on their column. */
static bool take_term(const struct tq_tokens *t, size_t *at) {
    if (*at >= t->count || t->list[*at].kind != TQ_TOKEN_NAME || !t->list[*at].quoted) return false;
    ++*at;
    if (take_comparison(t, at)) return is_value(t, at);
    if (take_word(t, at, "ISNULL") || take_word(t, at, "NOTNULL")) return true;
    if (take_word(t, at, "BETWEEN")) return is_value(t, at) && take_word(t, at, "AND") && is_value(t, at);
    if (take_word(t, at, "IN")) return take_list(t, at);
    if (!take_word(t, at, "IS")) return false;
    (void)take_word(t, at, "NOT");
    return take_word(t, at, "NULL") || is_value(t, at);
}

bool tq_where_is_plain(const char *where) {
    struct tq_tokens tokens;
    size_t at = 0;
    if (!tq_tokens_read(where, NULL, &tokens)) return false;
    do {
        if (!take_term(&tokens, &at)) return false;
    } while (take_word(&tokens, &at, "AND"));
    return at == tokens.count;
}

bool tq_where_has_list(const char *where) {
    struct tq_tokens tokens;
    if (!tq_tokens_read(where, NULL, &tokens)) return true;
    for (size_t at = 0; at < tokens.count; at++) {
        if (tq_token_is_keyword(&tokens, at, "IN")) return true;
    }
    return false;
}

bool tq_reads_one_table(const char *sql) {
    static const char *const ends[] = {"WHERE", "GROUP", "ORDER", "LIMIT", "WINDOW"};
    struct tq_tokens t;
    size_t froms = 0, from = 0;
    int depth = 0;
    if (!tq_tokens_read(sql, NULL, &t)) return false;
    for (size_t at = 0; at < t.count; at++) {
        if (!tq_token_is_keyword(&t, at, "FROM")) continue;
        froms++;
        from = at;
    }
    for (size_t at = from + 1; froms == 1 && at < t.count; at++) {
        depth += tq_token_is_sign(&t, at, '(') - tq_token_is_sign(&t, at, ')');
        for (size_t i = 0; i < TQ_COUNT(ends) && depth == 0; i++) {
            if (tq_token_is_keyword(&t, at, ends[i])) return true;
        }
        if (depth == 0 && (tq_token_is_sign(&t, at, ',') || tq_token_is_keyword(&t, at, "JOIN"))) return false;
    }
    return froms == 1;
}
