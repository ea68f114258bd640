#include "sql/recognise.h"

#include <string.h>

#include "sql/functions.h"
#include "sql/recognise_where.h"
#include "src/base/alloc.h"

enum { RESULTS_MAX = 32 };

struct parser {
    struct tq_tokens tokens;
    size_t at;
    const struct tq_recognise_table *table;
    struct tq_token alias; /* of the table; size 0: none */
    struct result {
        size_t first, end;     /* tokens, alias apart */
        struct tq_token alias; /* size 0: none */
        bool star;
    } results[RESULTS_MAX];
    size_t result_count;
};

/* ---- Looking at tokens ---- */

static bool is_sign(const struct parser *p, size_t at, char sign) { return tq_token_is_sign(&p->tokens, at, sign); }

static bool is_name(const struct parser *p, size_t at, const char *name) {
    return tq_token_is_name(&p->tokens, at, name);
}

static bool is_keyword(const struct parser *p, size_t at, const char *name) {
    return tq_token_is_keyword(&p->tokens, at, name);
}

/* What a token adds to the depth of parentheses. */
static int nesting(const struct parser *p, size_t at) { return is_sign(p, at, '(') - is_sign(p, at, ')'); }

static bool take_keyword(struct parser *p, const char *name) {
    if (!is_keyword(p, p->at, name)) return false;
    p->at++;
    return true;
}

/* The token at `at`, or the literal that a parameter there stands for. */
static struct tq_token literal(const struct parser *p, size_t at) {
    struct tq_token token = p->tokens.list[at], value;
    bool known = token.kind == TQ_TOKEN_PARAMETER && token.value != NULL;
    return known && tq_token_take(token.value, &value) != NULL ? value : token;
}

static bool take_whole(struct parser *p, uint64_t *number) {
    if (p->at >= p->tokens.count) return false;
    struct tq_token token = literal(p, p->at);
    if (token.kind != TQ_TOKEN_NUMBER || token.size > 9) return false;
    *number = 0;
    for (size_t i = 0; i < token.size; i++) {
        if (token.text[i] < '0' || token.text[i] > '9') return false;
        *number = *number * 10 + (uint64_t)(token.text[i] - '0');
    }
    p->at++;
    return true;
}

static bool is_table(const struct parser *p, size_t at) {
    return tq_recognise_is_table(&p->tokens, at, p->table->name, &p->alias);
}

static bool is_one_of(const struct parser *p, size_t at, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (is_name(p, at, names[i])) return true;
    }
    return false;
}

static bool is_column(const struct parser *p, size_t at) {
    static const char *const hidden[] = {"rowid", "oid", "_rowid_", "k", "score", "distance"};
    const struct tq_recognise_table *table = p->table;
    return is_one_of(p, at, table->vectors, table->vector_count) ||
           is_one_of(p, at, table->others, table->other_count) || is_one_of(p, at, table->apart, table->apart_count) ||
           is_one_of(p, at, hidden, TQ_COUNT(hidden));
}

/* ---- Results ---- */

static bool is_function(const struct parser *p, size_t at) {
    static const char *const others[] = {"tq_f32", "tq_json", "tq_normalize", "tq_dim", "round", "length", "typeof"};
    return !p->tokens.list[at].quoted &&
           (is_one_of(p, at, tq_function_names, TQ_FN_COUNT) || is_one_of(p, at, others, TQ_COUNT(others)));
}

/* What may stand before a parenthesis in a subquery. No aggregates, which may turn out to be those of the statement,
 * and no functions of ours that score: one that is called while the query is awaited would be taken for it. */
static bool is_call_in_subquery(const struct parser *p, size_t at) {
    static const char *const words[] = {"AND",    "AS",     "EXISTS",  "FROM",        "IN",    "JOIN",
                                        "NOT",    "ON",     "OR",      "BY",          "USING", "VALUES",
                                        "WHERE",  "SELECT", "abs",     "lower",       "upper", "coalesce",
                                        "ifnull", "tq_f32", "tq_json", "tq_normalize"};
    return !p->tokens.list[at].quoted && is_one_of(p, at, words, TQ_COUNT(words));
}

/* (SELECT ...) at `at`: where it closes, or 0. The rest is SQLite's to judge. Not so where a name in double quotes may
 * be a column of the statement, and with the subquery by itself a text. */
static size_t subquery_end(const struct parser *p, size_t at, size_t end) {
    int depth = 1;
    if (!is_sign(p, at, '(') || !is_keyword(p, at + 1, "SELECT")) return 0;
    for (at++; at < end; at++) {
        const struct tq_token *token = &p->tokens.list[at];
        depth += nesting(p, at);
        if (depth == 0) return at;
        if (is_sign(p, at, ';')) return 0;
        if (token->kind != TQ_TOKEN_NAME) continue;
        if (token->quoted && token->text[-1] == '"') return 0;
        if (is_sign(p, at + 1, '(') && !is_call_in_subquery(p, at)) return 0;
    }
    return 0;
}

/* Every token of an expression is on the list, or in a subquery; `count` of these. */
static bool check_expression(const struct parser *p, size_t first, size_t end, size_t *count) {
    if (first == end) return false;
    for (size_t at = first; at < end; at++) {
        const struct tq_token *token = &p->tokens.list[at];
        size_t close = subquery_end(p, at, end);
        if (close > 0) {
            ++*count;
            at = close;
            continue;
        }
        if (token->kind == TQ_TOKEN_SIGN && strchr("+-*/(),.|", token->text[0]) == NULL) return false;
        if (token->kind != TQ_TOKEN_NAME) continue;
        if (is_keyword(p, at, "SELECT")) return false; /* a compound, whatever columns are called */
        bool called = is_sign(p, at + 1, '('), qualifies = is_sign(p, at + 1, '.');
        if (called ? !is_function(p, at) : qualifies ? !is_table(p, at) : !is_column(p, at)) return false;
    }
    return true;
}

/* `expression AS alias`, `expression alias`, `*`, `table.*`. */
static bool note_result(struct parser *p, size_t first, size_t end) {
    if (p->result_count == RESULTS_MAX || first == end) return false;
    struct result *result = &p->results[p->result_count++];
    *result = (struct result){.first = first, .end = end};
    result->star = is_sign(p, end - 1, '*') && (end - first == 1 || is_sign(p, end - 2, '.'));
    size_t last = end - 1;
    if (end - first < 2 || p->tokens.list[last].kind != TQ_TOKEN_NAME || is_sign(p, last - 1, '.')) return true;
    bool as = is_keyword(p, last - 1, "AS");
    if (!as && p->tokens.list[last - 1].kind == TQ_TOKEN_SIGN && !is_sign(p, last - 1, ')')) return true;
    result->alias = p->tokens.list[last];
    result->end = as ? last - 1 : last;
    return true;
}

/* Up to FROM. */
static bool split_results(struct parser *p) {
    size_t first = p->at;
    int depth = 0;
    for (; p->at < p->tokens.count; p->at++) {
        depth += nesting(p, p->at);
        bool comma = depth == 0 && is_sign(p, p->at, ','), from = depth == 0 && is_keyword(p, p->at, "FROM");
        if (!comma && !from) continue;
        if (!note_result(p, first, p->at)) return false;
        first = p->at + 1;
        if (from) break;
    }
    return take_keyword(p, "FROM");
}

static bool take_table(struct parser *p, struct tq_recognised *out) {
    out->qualified = is_sign(p, p->at + 1, '.');
    if (out->qualified) {
        if (!is_name(p, p->at, p->table->schema)) return false;
        p->at += 2;
    }
    if (!is_name(p, p->at++, p->table->name)) return false;
    bool as = take_keyword(p, "AS");
    if (p->at >= p->tokens.count) return false;
    if (as || (!is_keyword(p, p->at, "WHERE") && !is_keyword(p, p->at, "ORDER"))) {
        if (p->tokens.list[p->at].kind != TQ_TOKEN_NAME) return false;
        p->alias = p->tokens.list[p->at++];
    }
    return true;
}

/* ---- WHERE ---- */

/* NULL, or what was in the way. */
static const char *take_where(struct parser *p, struct tq_recognised *out) {
    if (!take_keyword(p, "WHERE")) return NULL;
    size_t first = p->at;
    for (int depth = 0; p->at < p->tokens.count; p->at++) {
        depth += nesting(p, p->at);
        if (depth < 0) return "parentheses in WHERE"; /* they would close those around its copy */
        if (depth == 0 && is_keyword(p, p->at, "ORDER")) break;
    }
    return tq_recognise_where(&p->tokens, first, p->at, p->table, &p->alias, &out->where, &out->where_bound);
}

/* ---- ORDER BY ---- */

/* A vector column at `at`: which, or -1. */
static int vector_name(const struct parser *p, size_t at) {
    for (size_t i = 0; i < p->table->vector_count; i++) {
        if (is_name(p, at, p->table->vectors[i])) return (int)i;
    }
    return -1;
}

/* [table.]column and nothing else. */
static bool is_vector(const struct parser *p, size_t first, size_t end, size_t *vector) {
    bool qualified = end - first == 3 && is_sign(p, first + 1, '.') && is_table(p, first);
    int found = qualified || end - first == 1 ? vector_name(p, end - 1) : -1;
    if (found >= 0) *vector = (size_t)found;
    return found >= 0;
}

static bool check_constant(const struct parser *p, size_t first, size_t end) {
    int depth = 0;
    size_t subqueries = 0;
    if (!check_expression(p, first, end, &subqueries) || subqueries > 0) return false;
    for (size_t at = first; at < end; at++) {
        depth += nesting(p, at);
        if (depth == 0 && is_sign(p, at, ',')) return false;
        if (p->tokens.list[at].kind == TQ_TOKEN_NAME && !is_sign(p, at + 1, '(')) return false; /* a column */
    }
    return true;
}

static bool is_query(const struct parser *p, size_t first, size_t end, struct tq_recognised *out) {
    if (first >= end) return false;
    out->query = literal(p, first);
    out->later = end - first > 1 || (out->query.kind != TQ_TOKEN_STRING && out->query.kind != TQ_TOKEN_BLOB);
    if (!out->later) return true;
    size_t close = subquery_end(p, first, end);
    if (close + 1 != end) return check_constant(p, first, end);
    const char *text = p->tokens.list[first + 1].text;
    out->subquery = (struct tq_token){.text = text, .size = (size_t)(p->tokens.list[close].text - text)};
    return true;
}

/* fn(column, query) or fn(query, column) and nothing else between `first` and `end`. */
static bool is_call(const struct parser *p, size_t first, size_t end, struct tq_recognised *out) {
    int function = TQ_FN_COUNT, depth = 0;
    for (int i = 0; i < TQ_FN_COUNT; i++) {
        if (is_keyword(p, first, tq_function_names[i])) function = i;
    }
    if (function == TQ_FN_COUNT || !is_sign(p, first + 1, '(') || !is_sign(p, end - 1, ')')) return false;
    size_t start = first + 2, comma = start, close = end - 1;
    for (; comma < close && (depth > 0 || !is_sign(p, comma, ',')); comma++) {
        depth += nesting(p, comma);
        if (depth < 0) return false;
    }
    if (comma == start || comma + 1 >= close) return false;
    out->function = function;
    out->argument = is_vector(p, start, comma, &out->vector) ? 1 : 0;
    if (out->argument == 1) return is_query(p, comma + 1, close, out);
    return is_vector(p, comma + 1, close, &out->vector) && is_query(p, start, comma, out);
}

/* Where the term ends: at ASC, DESC, NULLS or LIMIT. */
static size_t term_end(const struct parser *p, size_t at) {
    static const char *const words[] = {"ASC", "DESC", "NULLS", "LIMIT"};
    for (int depth = 0; at < p->tokens.count; at++) {
        depth += nesting(p, at);
        for (size_t i = 0; i < TQ_COUNT(words) && depth == 0; i++) {
            if (is_keyword(p, at, words[i])) return at;
        }
    }
    return at;
}

static bool is_near(const struct parser *p, size_t first, size_t end, struct tq_recognised *out) {
    if (end - first > 1) return is_call(p, first, end, out);
    if (end == first) return false;
    const struct tq_token *term = &p->tokens.list[first];
    const struct result *found = NULL;
    for (size_t i = 0; i < p->result_count; i++) {
        const struct result *result = &p->results[i];
        if (result->star && term->kind == TQ_TOKEN_NUMBER) return false; /* numbers count what * stands for */
        bool named = term->kind == TQ_TOKEN_NAME && result->alias.size > 0 && tq_token_same(term, &result->alias);
        bool numbered = term->kind == TQ_TOKEN_NUMBER && term->size == 1 && term->text[0] == (char)('1' + i) && i < 9;
        if (!named && !numbered) continue;
        if (found != NULL) return false;
        found = result;
    }
    return found != NULL && is_call(p, found->first, found->end, out);
}

static bool take_order(struct parser *p, struct tq_recognised *out) {
    if (!take_keyword(p, "ORDER") || !take_keyword(p, "BY")) return false;
    size_t end = term_end(p, p->at);
    if (!is_near(p, p->at, end, out)) return false;
    p->at = end;
    bool descending = take_keyword(p, "DESC");
    if (!descending) (void)take_keyword(p, "ASC");
    if (take_keyword(p, "NULLS") && !take_keyword(p, "FIRST") && !take_keyword(p, "LAST")) return false;
    return descending == (out->function == TQ_FN_IP || out->function == TQ_FN_COSINE);
}

/* LIMIT n OFFSET m; LIMIT m, n. */
static bool take_limit(struct parser *p, struct tq_recognised *out) {
    if (!take_keyword(p, "LIMIT") || !take_whole(p, &out->limit)) return false;
    if (take_keyword(p, "OFFSET")) return take_whole(p, &out->offset);
    if (!is_sign(p, p->at, ',')) return true;
    p->at++;
    out->offset = out->limit;
    return take_whole(p, &out->limit);
}

/* ---- The statement ---- */

/* What users will want to know of a statement that was not recognised; NULL: see how far it got. */
static const char *plain_reason(const struct parser *p) {
    static const struct {
        const char *word, *why;
    } reasons[] = {{"UNION", "a compound SELECT"},
                   {"EXCEPT", "a compound SELECT"},
                   {"INTERSECT", "a compound SELECT"},
                   {"JOIN", "more than one table"},
                   {"GROUP", "a GROUP BY clause"}};
    size_t from = p->tokens.count, order = p->tokens.count, limit = p->tokens.count, found = TQ_COUNT(reasons);
    int depth = 0;
    if (!is_keyword(p, 0, "SELECT")) return "not a plain SELECT";
    for (size_t at = 0; at < p->tokens.count; at++) {
        depth += nesting(p, at);
        if (depth > 0) continue;
        if (is_keyword(p, at, "FROM")) from = at;
        if (is_keyword(p, at, "ORDER")) order = at;
        if (is_keyword(p, at, "LIMIT")) limit = at;
        if (is_sign(p, at, ',') && from < at && order == p->tokens.count && limit == p->tokens.count)
            return "more than one table";
        for (size_t i = 0; i < found; i++) {
            if (is_keyword(p, at, reasons[i].word)) found = i;
        }
    }
    if (found < TQ_COUNT(reasons)) return reasons[found].why;
    if (order == p->tokens.count) return "no ORDER BY";
    return limit == p->tokens.count ? "no LIMIT" : NULL;
}

/* NULL: recognised. Otherwise what was in the way. */
static const char *parse(struct parser *p, struct tq_recognised *out) {
    size_t subqueries = 0;
    if (!take_keyword(p, "SELECT")) return "not a plain SELECT";
    if (is_keyword(p, p->at, "DISTINCT")) return "SELECT DISTINCT"; /* whatever columns are called */
    if (!split_results(p) || !take_table(p, out)) return "FROM is not the table alone, under its own name";
    for (size_t i = 0; i < p->result_count; i++) {
        const struct result *result = &p->results[i];
        if (!check_expression(p, result->first, result->end, &subqueries)) return "a result that is not on the list";
    }
    const char *why = take_where(p, out);
    if (why != NULL) return why;
    if (!take_order(p, out)) return "ORDER BY is not one tq_ function of the column and a constant, nearest first";
    if (!take_limit(p, out)) return "LIMIT is not a number";
    if (subqueries > 0) out->later = true; /* they may read the table, too: the first call tells which cursor is ours */
    if (is_sign(p, p->at, ';')) p->at++;
    return p->at == p->tokens.count ? NULL : "LIMIT is not a number";
}

bool tq_recognise(const char *sql, const char *expanded, const struct tq_recognise_table *table,
                  struct tq_recognised *recognised) {
    struct parser p;
    p.at = p.result_count = 0;
    p.table = table;
    p.alias = (struct tq_token){.size = 0};
    *recognised = (struct tq_recognised){.why = "a long statement"};
    if (!tq_tokens_read(sql, expanded, &p.tokens)) return false;
    recognised->why = parse(&p, recognised);
    if (recognised->why == NULL) return true;
    const char *plain = plain_reason(&p);
    if (plain != NULL) recognised->why = plain;
    tq_free(recognised->where);
    recognised->where = NULL;
    return false;
}

uint64_t tq_limit_hint(const char *sql) {
    struct parser p;
    struct tq_recognised out = {0};
    if (!tq_tokens_read(sql, NULL, &p.tokens)) return 0;
    size_t end = is_sign(&p, p.tokens.count - 1, ';') ? p.tokens.count - 1 : p.tokens.count;
    for (size_t words = 2; words <= 4 && words <= end; words += 2) {
        p.at = end - words;
        if (take_limit(&p, &out) && p.at == end) return out.limit + out.offset;
    }
    return 0;
}
