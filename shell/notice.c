#include "shell/notice.h"

#include <string.h>

#include "shell/tokens.h"
#include "src/base/base.h"

enum { TOKENS_MAX = 400 };

struct words {
    struct shell_token tokens[TOKENS_MAX];
    size_t count;
};

/* What a term measures, if it is nothing but that. */
static const struct measure {
    const char *name;
    bool similarity;
    bool function; /* else a column, which any table may have */
} measures[] = {{"tq_ip", true, true},        {"tq_cosine", true, true}, {"tq_l2", false, true},
                {"tq_distance", false, true}, {"score", true, false},    {"distance", false, false}};

static const struct measure *measure_of(const struct shell_token *token) {
    for (size_t i = 0; i < TQ_COUNT(measures); i++) {
        if (shell_token_is(token, measures[i].name)) return &measures[i];
    }
    return NULL;
}

/* The measure of an expression: round(tq_ip(...), 3) has one, 1 - tq_cosine(...) has none that we can judge. */
static const struct measure *expression_measure(const struct words *words, size_t first, size_t end) {
    const struct measure *found = NULL;
    for (size_t i = first; i < end; i++) {
        const struct measure *here = measure_of(&words->tokens[i]);
        if (shell_token_is(&words->tokens[i], "-") || (here != NULL && found != NULL)) return NULL;
        if (here != NULL) found = here;
    }
    return found;
}

static bool has_word(const struct words *words, const char *word) {
    for (size_t i = 0; i < words->count; i++) {
        if (shell_token_is(&words->tokens[i], word)) return true;
    }
    return false;
}

static bool is_any(const struct shell_token *token, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (shell_token_is(token, list[i])) return true;
    }
    return false;
}

static bool ends_term(const struct shell_token *token) {
    static const char *const ends[] = {",", "asc", "desc", "nulls", "limit", ";"};
    return is_any(token, ends, TQ_COUNT(ends));
}

/* The result column whose alias is the name, before `end`: its expression, back to the comma or SELECT before it. */
static bool alias_measure(const struct words *words, size_t end, const struct shell_token *name,
                          const struct measure **measure) {
    for (size_t at = end; at-- > 1;) {
        const struct shell_token *token = &words->tokens[at];
        if (token->size != name->size || strncmp(token->text, name->text, name->size) != 0) continue;
        size_t last = shell_token_is(&words->tokens[at - 1], "as") ? at - 1 : at;
        if (last == at && !shell_token_is(&words->tokens[at - 1], ")")) continue;
        int depth = 0;
        size_t first = last;
        for (; first > 0 && depth >= 0; first--) {
            const struct shell_token *before = &words->tokens[first - 1];
            depth += shell_token_is(before, ")") ? 1 : shell_token_is(before, "(") ? -1 : 0;
            if (depth == 0 && (shell_token_is(before, ",") || shell_token_is(before, "select"))) break;
        }
        *measure = expression_measure(words, first, last);
        return true;
    }
    return false;
}

/* The first term behind ORDER BY at `at`: what it measures, and its end. */
static const struct measure *term_measure(const struct words *words, size_t at, size_t *end) {
    size_t first = at;
    for (int depth = 0; at < words->count; at++) {
        const struct shell_token *token = &words->tokens[at];
        if (shell_token_is(token, "(")) depth++;
        if (shell_token_is(token, ")") && depth-- == 0) break;
        if (depth == 0 && ends_term(token)) break;
    }
    *end = at;
    const struct measure *found = NULL;
    if (at == first + 1 && alias_measure(words, first - 2, &words->tokens[first], &found)) return found;
    found = expression_measure(words, first, at);
    return found == NULL || found->function || has_word(words, "match") ? found : NULL;
}

/* Whether LIMIT follows in the same parentheses. */
static bool has_limit(const struct words *words, size_t at) {
    int depth = 0;
    for (; at < words->count && depth >= 0; at++) {
        depth += shell_token_is(&words->tokens[at], "(") ? 1 : shell_token_is(&words->tokens[at], ")") ? -1 : 0;
        if (depth == 0 && shell_token_is(&words->tokens[at], "limit")) return true;
    }
    return false;
}

void shell_notice_order(const char *sql, FILE *out) {
    struct words words = {.count = 0};
    for (const char *at = shell_tokens_next(sql, &words.tokens[0]); words.tokens[words.count].size > 0;) {
        if (++words.count == TOKENS_MAX) return;
        at = shell_tokens_next(at, &words.tokens[words.count]);
    }
    for (size_t i = 2; i + 2 < words.count; i++) {
        size_t end = 0;
        if (!shell_token_is(&words.tokens[i], "order") || !shell_token_is(&words.tokens[i + 1], "by")) continue;
        const struct measure *measure = term_measure(&words, i + 2, &end);
        bool descending = end < words.count && shell_token_is(&words.tokens[end], "desc");
        if (measure == NULL || descending == measure->similarity || !has_limit(&words, end)) continue;
        (void)fprintf(out, "notice: %s is %s for near vectors: ORDER BY ... %s LIMIT returns the farthest; %s\n",
                      measure->name, measure->similarity ? "large" : "small", descending ? "DESC" : "ASC",
                      measure->similarity ? "add DESC" : "leave out DESC");
        return;
    }
}
