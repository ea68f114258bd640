/* A condition on one row of values that the table of rows has as well, under other names. Two things make its copy mean
 * the same: every word is a column, or of a short list of words that mean the same everywhere; and no name is left that
 * the table of rows could take for one of its own. */
#include "sql/recognise_where.h"

#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/base.h"

struct where {
    const struct tq_tokens *tokens;
    const struct tq_recognise_table *table;
    const struct tq_token *alias;
    size_t at, end; /* tokens */
    char *text;
    size_t used, capacity;
    bool bound;
};

bool tq_recognise_is_table(const struct tq_tokens *tokens, size_t at, const char *name, const struct tq_token *alias) {
    if (alias->size == 0) return tq_token_is_name(tokens, at, name);
    return at < tokens->count && tq_token_same(&tokens->list[at], alias);
}

/* ---- Words ---- */

static bool is_one_of(const struct where *w, size_t at, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tq_token_is_name(w->tokens, at, names[i])) return true;
    }
    return false;
}

static bool is_bare_one_of(const struct where *w, const char *const *words, size_t count) {
    return !w->tokens->list[w->at].quoted && is_one_of(w, w->at, words, count);
}

/* What may stand before a parenthesis. IN may stand nowhere else: IN name is a table. */
static bool may_open(const struct where *w) {
    static const char *const words[] = {"AND",      "OR",     "NOT",    "IS",     "BETWEEN", "IN",    "LIKE",
                                        "GLOB",     "ESCAPE", "CASE",   "WHEN",   "THEN",    "ELSE",  "abs",
                                        "coalesce", "ifnull", "instr",  "length", "lower",   "ltrim", "nullif",
                                        "round",    "rtrim",  "substr", "trim",   "typeof",  "upper"};
    return is_bare_one_of(w, words, TQ_COUNT(words));
}

static bool is_word(const struct where *w) {
    static const char *const words[] = {"AND",     "OR",   "NOT",  "IS",     "NULL",   "ISNULL", "NOTNULL",
                                        "BETWEEN", "LIKE", "GLOB", "ESCAPE", "CASE",   "WHEN",   "THEN",
                                        "ELSE",    "END",  "TRUE", "FALSE",  "COLLATE"};
    return is_bare_one_of(w, words, TQ_COUNT(words));
}

static bool is_collation(const struct where *w) {
    static const char *const words[] = {"BINARY", "NOCASE", "RTRIM"};
    return is_bare_one_of(w, words, TQ_COUNT(words));
}

static bool begins_subquery(const struct where *w) {
    static const char *const words[] = {"SELECT", "VALUES", "EXISTS", "WITH"};
    return is_bare_one_of(w, words, TQ_COUNT(words));
}

/* ---- Writing ---- */

static void put(struct where *w, const char *text, size_t size) {
    TQ_ASSERT(w->used + size < w->capacity);
    memcpy(w->text + w->used, text, size);
    w->used += size;
    w->text[w->used] = 0;
}

/* Blanks and comments before a token become one blank: no new comment or quote comes into being. */
static void put_gap(struct where *w) {
    const struct tq_token *token = &w->tokens->list[w->at];
    if (w->used > 0 && tq_token_begin(token) > tq_token_end(token - 1)) put(w, " ", 1);
}

static const char *copy(struct where *w) {
    const struct tq_token *token = &w->tokens->list[w->at];
    put_gap(w);
    put(w, tq_token_begin(token), (size_t)(tq_token_end(token) - tq_token_begin(token)));
    w->at++;
    return NULL;
}

static const char *copy_parameter(struct where *w) {
    char text[16];
    int size = snprintf(text, sizeof text, "?%u", (unsigned)w->tokens->list[w->at].number);
    put_gap(w);
    put(w, text, (size_t)size);
    w->at++;
    w->bound = true;
    return NULL;
}

/* ---- Names ---- */

/* Of the table, but not one that may be copied. */
static const char *why_not(const struct where *w, size_t at) {
    static const char *const of_search[] = {"k", "score", "distance"};
    if (is_one_of(w, at, w->table->vectors, w->table->vector_count)) return "a vector column in WHERE";
    if (is_one_of(w, at, w->table->apart, w->table->apart_count)) return "an auxiliary column in WHERE";
    bool of_ours = is_one_of(w, at, of_search, TQ_COUNT(of_search)) || tq_token_is_name(w->tokens, at, w->table->name);
    return of_ours ? "score, distance, k or the table's name in WHERE" : NULL;
}

static const char *stored_name(const struct where *w, size_t at) {
    static const char *const rowids[] = {"rowid", "oid", "_rowid_"};
    for (size_t i = 0; i < w->table->other_count; i++) {
        if (tq_token_is_name(w->tokens, at, w->table->others[i])) return w->table->others_stored[i];
    }
    return is_one_of(w, at, rowids, TQ_COUNT(rowids)) ? "id" : NULL;
}

/* The column at `at`; what qualifies it begins at w->at. */
static const char *take_column(struct where *w, size_t at) {
    const char *stored = stored_name(w, at), *why = why_not(w, at);
    if (stored == NULL) return why != NULL ? why : "a word in WHERE that is no column of the table and not on the list";
    put_gap(w);
    put(w, "\"", 1);
    put(w, stored, strlen(stored));
    put(w, "\"", 1);
    w->at = at + 1;
    return NULL;
}

/* table.column, schema.table.column. */
static const char *take_qualified(struct where *w) {
    size_t table = w->at;
    if (tq_token_is_sign(w->tokens, table + 3, '.')) {
        if (!tq_token_is_name(w->tokens, table, w->table->schema)) return "a name in WHERE of another table";
        table += 2;
    }
    bool ours = tq_recognise_is_table(w->tokens, table, w->table->name, w->alias);
    bool named = table + 2 < w->end && w->tokens->list[table + 2].kind == TQ_TOKEN_NAME;
    if (!ours || !named || tq_token_is_sign(w->tokens, table + 3, '(')) return "a name in WHERE of another table";
    return take_column(w, table + 2);
}

static const char *take_name(struct where *w) {
    if (tq_token_is_keyword(w->tokens, w->at - 1, "COLLATE")) {
        return is_collation(w) ? copy(w) : "a collation in WHERE that is not on the list";
    }
    if (begins_subquery(w)) return "a subquery in WHERE";
    if (tq_token_is_sign(w->tokens, w->at + 1, '(')) {
        return may_open(w) ? copy(w) : "a function in WHERE that is not on the list";
    }
    if (tq_token_is_sign(w->tokens, w->at + 1, '.')) return take_qualified(w);
    if (!is_word(w)) return take_column(w, w->at);
    /* To SQLite, some keywords are names where they can be no keyword. */
    bool is_column = stored_name(w, w->at) != NULL || why_not(w, w->at) != NULL;
    return is_column ? "a keyword in WHERE that is a column's name, too" : copy(w);
}

static const char *take(struct where *w) {
    const struct tq_token *token = &w->tokens->list[w->at];
    switch (token->kind) {
    case TQ_TOKEN_NAME: return take_name(w);
    case TQ_TOKEN_PARAMETER: return copy_parameter(w);
    case TQ_TOKEN_SIGN: return strchr("+-*/%|&~=<>!(),", token->text[0]) != NULL ? copy(w) : "a sign in WHERE";
    case TQ_TOKEN_STRING:
    case TQ_TOKEN_BLOB:
    case TQ_TOKEN_NUMBER: break;
    }
    return copy(w);
}

/* At most: quotes and a blank for every token, and every token a name or a parameter. */
static size_t size_bound(const struct where *w) {
    size_t longest = sizeof "?4294967295", size = 1;
    for (size_t i = 0; i < w->table->other_count; i++) {
        longest = tq_max_size(longest, strlen(w->table->others_stored[i]));
    }
    for (size_t i = w->at; i < w->end; i++) size += w->tokens->list[i].size + longest + 4;
    return size;
}

const char *tq_recognise_where(const struct tq_tokens *tokens, size_t first, size_t end,
                               const struct tq_recognise_table *table, const struct tq_token *alias, char **text,
                               bool *bound) {
    struct where w = {.tokens = tokens, .table = table, .alias = alias, .at = first, .end = end};
    const char *why = first < end ? NULL : "an empty WHERE clause";
    w.capacity = size_bound(&w);
    w.text = tq_alloc(w.capacity);
    if (w.text == NULL) return "out of memory";
    while (why == NULL && w.at < end) why = take(&w);
    if (why == NULL) {
        *text = w.text;
        *bound = w.bound;
    } else {
        tq_free(w.text);
    }
    return why;
}
