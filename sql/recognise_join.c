/* Two places tell where a join's queries come from: docs(q.v) and docs.embedding MATCH q.v. Then the FROM around it
 * says which table q is. */
#include <string.h>

#include "sql/recognise.h"
#include "src/base/alloc.h"
#include "src/base/base.h"

struct join {
    struct tq_tokens tokens;
    const struct tq_recognise_table *table;
};

/* An item of FROM: [schema.]name [AS] [alias]. */
struct item {
    size_t schema, name; /* tokens; equal: no schema */
    size_t alias;        /* or the name itself */
};

static bool is_sign(const struct join *j, size_t at, char sign) { return tq_token_is_sign(&j->tokens, at, sign); }

static bool is_any_name(const struct join *j, size_t at) {
    return at < j->tokens.count && j->tokens.list[at].kind == TQ_TOKEN_NAME;
}

static bool is_one_of(const struct join *j, size_t at, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tq_token_is_keyword(&j->tokens, at, words[i])) return true;
    }
    return false;
}

static int nesting(const struct join *j, size_t at) { return is_sign(j, at, '(') - is_sign(j, at, ')'); }

/* ---- FROM ---- */

/* Behind the FROM that the token at `at` belongs to, whatever parentheses it stands in; 0: none. */
static size_t find_from(const struct join *j, size_t at) {
    int depth = 0;
    while (at-- > 0) {
        depth -= nesting(j, at);
        if (depth < 0) depth = 0;
        if (depth == 0 && tq_token_is_keyword(&j->tokens, at, "FROM")) return at + 1;
    }
    return 0;
}

static bool ends_from(const struct join *j, size_t at) {
    static const char *const words[] = {"WHERE", "GROUP", "HAVING",    "WINDOW", "ORDER",
                                        "LIMIT", "UNION", "INTERSECT", "EXCEPT", "RETURNING"};
    return is_sign(j, at, ';') || is_one_of(j, at, words, TQ_COUNT(words));
}

static bool follows_item(const struct join *j, size_t at) {
    static const char *const words[] = {"ON",    "USING", "JOIN",  "NATURAL", "CROSS", "INNER",
                                        "OUTER", "LEFT",  "RIGHT", "FULL",    "NOT",   "INDEXED"};
    return is_one_of(j, at, words, TQ_COUNT(words)) || ends_from(j, at);
}

static struct item read_item(const struct join *j, size_t at) {
    struct item item = {.schema = at, .name = is_sign(j, at + 1, '.') ? at + 2 : at};
    size_t next = item.name + 1;
    bool as = tq_token_is_keyword(&j->tokens, next, "AS");
    bool named = is_any_name(j, next + as) && (as || !follows_item(j, next));
    item.alias = named ? next + as : item.name;
    return item;
}

/* The item that is called as the token at `called`. */
static bool find_item(const struct join *j, size_t from, size_t called, struct item *item) {
    int depth = 0;
    for (size_t at = from; at < j->tokens.count && depth >= 0; at++) {
        if (depth == 0 && ends_from(j, at)) return false;
        bool begins = at == from || is_sign(j, at - 1, ',') || tq_token_is_keyword(&j->tokens, at - 1, "JOIN");
        if (depth == 0 && begins && is_any_name(j, at)) {
            *item = read_item(j, at);
            bool whole = is_any_name(j, item->name);
            if (whole && tq_token_same(&j->tokens.list[item->alias], &j->tokens.list[called])) return true;
        }
        depth += nesting(j, at);
    }
    return false;
}

/* ---- Where the query stands ---- */

/* docs(q.v) or docs(q.v, 10): the token q, or 0. */
static size_t query_of_call(const struct join *j, size_t at) {
    if (!tq_token_is_name(&j->tokens, at, j->table->name) || !is_sign(j, at + 1, '(')) return 0;
    bool column = is_any_name(j, at + 2) && is_sign(j, at + 3, '.') && is_any_name(j, at + 4);
    return column && (is_sign(j, at + 5, ',') || is_sign(j, at + 5, ')')) ? at + 2 : 0;
}

/* embedding MATCH q.v: the token q, or 0. */
static size_t query_of_match(const struct join *j, size_t at) {
    bool ours = tq_token_is_name(&j->tokens, at, j->table->name);
    for (size_t i = 0; i < j->table->vector_count && !ours; i++) {
        ours = tq_token_is_name(&j->tokens, at, j->table->vectors[i]);
    }
    if (!ours || !tq_token_is_keyword(&j->tokens, at + 1, "MATCH")) return 0;
    bool column = is_any_name(j, at + 2) && is_sign(j, at + 3, '.') && is_any_name(j, at + 4);
    return column && !is_sign(j, at + 5, '.') && !is_sign(j, at + 5, '(') ? at + 2 : 0;
}

/* docs.embedding or d.embedding, of FROM docs AS d. */
static bool is_of_table(const struct join *j, size_t from, size_t column) {
    struct item item;
    if (column < 2 || !is_sign(j, column - 1, '.')) return true;
    return find_item(j, from, column - 2, &item) && tq_token_is_name(&j->tokens, item.name, j->table->name);
}

/* WITH name AS (...), name(columns) AS (...): no table. Nor is a function. */
static bool is_table(const struct join *j, const struct item *item) {
    if (is_sign(j, item->name + 1, '(')) return false;
    for (size_t at = 0; at < j->tokens.count && item->schema == item->name; at++) {
        if (!tq_token_same(&j->tokens.list[at], &j->tokens.list[item->name])) continue;
        bool as = tq_token_is_keyword(&j->tokens, at + 1, "AS");
        if (is_sign(j, at + 1, '(') || (as && !is_any_name(j, at + 2))) return false;
        if (as && (tq_token_is_keyword(&j->tokens, at + 2, "MATERIALIZED") ||
                   tq_token_is_keyword(&j->tokens, at + 2, "NOT"))) {
            return false;
        }
    }
    return true;
}

/* ---- The answer ---- */

/* "name", whatever quotes it had. */
static size_t put_name(char *to, const struct tq_token *name) {
    char quote = name->quoted ? name->text[-1] : 0;
    size_t used = 0;
    to[used++] = '"';
    for (size_t i = 0; i < name->size; i++) {
        if (name->text[i] == '"') to[used++] = '"';
        to[used++] = name->text[i];
        bool doubled = name->text[i] == quote && quote != ']'; /* SQLite has no ] inside of [] */
        if (doubled) i++;
    }
    to[used++] = '"';
    to[used] = 0;
    return used;
}

static bool write_answer(const struct join *j, const struct item *item, size_t column,
                         struct tq_recognised_join *join) {
    const struct tq_token *list = j->tokens.list;
    size_t used = 0;
    *join = (struct tq_recognised_join){
        .source = tq_alloc(2 * (list[item->schema].size + list[item->name].size) + sizeof "\"\".\"\""),
        .column = tq_alloc(2 * list[column].size + sizeof "\"\""),
    };
    if (join->source != NULL && join->column != NULL) {
        if (item->schema != item->name) {
            used = put_name(join->source, &list[item->schema]);
            join->source[used++] = '.';
        }
        (void)put_name(join->source + used, &list[item->name]);
        (void)put_name(join->column, &list[column]);
        return true;
    }
    tq_free(join->source);
    tq_free(join->column);
    return false;
}

bool tq_recognise_join(const char *sql, const struct tq_recognise_table *table, struct tq_recognised_join *join) {
    struct join j;
    j.table = table;
    if (!tq_tokens_read(sql, NULL, &j.tokens)) return false;
    for (size_t at = 0; at < j.tokens.count; at++) {
        size_t call = query_of_call(&j, at), match = query_of_match(&j, at), query = call > 0 ? call : match;
        size_t from = query == 0 ? 0 : find_from(&j, at);
        struct item item;
        if (from == 0 || !find_item(&j, from, query, &item) || !is_table(&j, &item)) continue;
        if (match > 0 && !is_of_table(&j, from, at)) continue;
        return write_answer(&j, &item, query + 2, join);
    }
    return false;
}
