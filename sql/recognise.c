#include "sql/recognise.h"

#include <ctype.h>
#include <string.h>

#include "sql/functions.h"

enum { TOKENS_MAX = 200, RESULTS_MAX = 32 };

struct parser {
    struct tq_token tokens[TOKENS_MAX];
    size_t count, at;
    const char *schema, *table, *column;
    struct tq_token alias; /* of the table; size 0: none */
    struct result {
        size_t first, end;     /* tokens, alias apart */
        struct tq_token alias; /* size 0: none */
        bool star;
    } results[RESULTS_MAX];
    size_t result_count;
};

/* ---- Tokens ---- */

static bool is_name_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80) != 0; }

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

static const char *take_token(const char *at, struct tq_token *token) {
    *token = (struct tq_token){.kind = TQ_TOKEN_SIGN, .text = at, .size = 1};
    if (*at == '\'') {
        token->kind = TQ_TOKEN_STRING;
        return take_quoted(at + 1, '\'', token);
    }
    if ((*at == 'x' || *at == 'X') && at[1] == '\'') {
        token->kind = TQ_TOKEN_BLOB;
        return take_quoted(at + 2, '\'', token);
    }
    if (*at == '"' || *at == '`' || *at == '[') {
        *token = (struct tq_token){.kind = TQ_TOKEN_NAME, .quoted = true};
        return take_quoted(at + 1, *at == '[' ? ']' : *at, token);
    }
    if (!is_name_char(*at)) return at + 1;
    token->kind = isdigit((unsigned char)*at) ? TQ_TOKEN_NUMBER : TQ_TOKEN_NAME;
    bool fraction = token->kind == TQ_TOKEN_NUMBER; /* 1.5e-3 as one token */
    while (is_name_char(*at) || (fraction && *at == '.')) {
        bool exponent = fraction && (*at == 'e' || *at == 'E') && (at[1] == '-' || at[1] == '+');
        at += exponent ? 2 : 1;
    }
    token->size = (size_t)(at - token->text);
    return at;
}

static bool tokenize(struct parser *p, const char *sql) {
    for (const char *at = skip(sql); *at != 0; at = skip(at)) {
        if (p->count == TOKENS_MAX) return false;
        at = take_token(at, &p->tokens[p->count++]);
        if (at == NULL) return false;
    }
    return p->count > 0;
}

/* ---- Looking at tokens ---- */

static bool is_sign(const struct parser *p, size_t at, char sign) {
    return at < p->count && p->tokens[at].kind == TQ_TOKEN_SIGN && p->tokens[at].text[0] == sign;
}

/* As SQLite has it: letters of ASCII only, whatever the locale. */
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same(const struct tq_token *token, const char *name, size_t size) {
    /* A quote inside a quoted name: nobody needs that to be fast. */
    if (token->size != size || (token->quoted && memchr(token->text, '"', size) != NULL)) return false;
    for (size_t i = 0; i < size; i++) {
        if (lower(token->text[i]) != lower(name[i])) return false;
    }
    return true;
}

static bool is_name(const struct parser *p, size_t at, const char *name) {
    return at < p->count && p->tokens[at].kind == TQ_TOKEN_NAME && same(&p->tokens[at], name, strlen(name));
}

static bool is_keyword(const struct parser *p, size_t at, const char *name) {
    return is_name(p, at, name) && !p->tokens[at].quoted;
}

/* What a token adds to the depth of parentheses. */
static int nesting(const struct parser *p, size_t at) { return is_sign(p, at, '(') - is_sign(p, at, ')'); }

static bool take_keyword(struct parser *p, const char *name) {
    if (!is_keyword(p, p->at, name)) return false;
    p->at++;
    return true;
}

static bool take_whole(struct parser *p, uint64_t *number) {
    const struct tq_token *token = &p->tokens[p->at];
    if (p->at >= p->count || token->kind != TQ_TOKEN_NUMBER || token->size > 9) return false;
    *number = 0;
    for (size_t i = 0; i < token->size; i++) {
        if (!isdigit((unsigned char)token->text[i])) return false;
        *number = *number * 10 + (uint64_t)(token->text[i] - '0');
    }
    p->at++;
    return true;
}

/* The table, by the name that the statement may call it by. */
static bool is_table(const struct parser *p, size_t at) {
    if (p->alias.size == 0) return is_name(p, at, p->table);
    return at < p->count && p->tokens[at].kind == TQ_TOKEN_NAME && same(&p->tokens[at], p->alias.text, p->alias.size);
}

static bool is_column(const struct parser *p, size_t at) {
    static const char *const others[] = {"rowid", "oid", "_rowid_", "k", "score", "distance"};
    if (is_name(p, at, p->column)) return true;
    for (size_t i = 0; i < TQ_COUNT(others); i++) {
        if (is_name(p, at, others[i])) return true;
    }
    return false;
}

/* ---- Results ---- */

static bool is_function(const struct parser *p, size_t at) {
    static const char *const others[] = {"tq_f32", "tq_json", "tq_normalize", "tq_dim", "round", "length", "typeof"};
    for (size_t i = 0; i < TQ_FN_COUNT; i++) {
        if (is_keyword(p, at, tq_function_names[i])) return true;
    }
    for (size_t i = 0; i < TQ_COUNT(others); i++) {
        if (is_keyword(p, at, others[i])) return true;
    }
    return false;
}

/* What may stand before a parenthesis in a subquery. No aggregates, which may turn out to be those of the statement,
 * and no functions of ours that score: one that is called while the query is awaited would be taken for it. */
static bool is_call_in_subquery(const struct parser *p, size_t at) {
    static const char *const words[] = {"AND",    "AS",     "EXISTS",  "FROM",        "IN",    "JOIN",
                                        "NOT",    "ON",     "OR",      "BY",          "USING", "VALUES",
                                        "WHERE",  "SELECT", "abs",     "lower",       "upper", "coalesce",
                                        "ifnull", "tq_f32", "tq_json", "tq_normalize"};
    for (size_t i = 0; i < TQ_COUNT(words); i++) {
        if (is_keyword(p, at, words[i])) return true;
    }
    return false;
}

/* (SELECT ...) at `at`: where it closes, or 0. The rest is SQLite's to judge. Not so where a name in double quotes may
 * be a column of the statement, and with the subquery by itself a text. */
static size_t subquery_end(const struct parser *p, size_t at, size_t end) {
    int depth = 1;
    if (!is_sign(p, at, '(') || !is_keyword(p, at + 1, "SELECT")) return 0;
    for (at++; at < end; at++) {
        const struct tq_token *token = &p->tokens[at];
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
        const struct tq_token *token = &p->tokens[at];
        size_t close = subquery_end(p, at, end);
        if (close > 0) {
            ++*count;
            at = close;
            continue;
        }
        if (token->kind == TQ_TOKEN_SIGN && strchr("+-*/(),.|", token->text[0]) == NULL) return false;
        if (token->kind != TQ_TOKEN_NAME) continue;
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
    if (end - first < 2 || p->tokens[last].kind != TQ_TOKEN_NAME || is_sign(p, last - 1, '.')) return true;
    bool as = is_keyword(p, last - 1, "AS");
    if (!as && p->tokens[last - 1].kind == TQ_TOKEN_SIGN && !is_sign(p, last - 1, ')')) return true;
    result->alias = p->tokens[last];
    result->end = as ? last - 1 : last;
    return true;
}

/* Up to FROM. */
static bool split_results(struct parser *p) {
    size_t first = p->at;
    int depth = 0;
    for (; p->at < p->count; p->at++) {
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
        if (!is_name(p, p->at, p->schema)) return false;
        p->at += 2;
    }
    if (!is_name(p, p->at++, p->table)) return false;
    bool as = take_keyword(p, "AS");
    if (p->at >= p->count) return false;
    if (as || !is_keyword(p, p->at, "ORDER")) {
        if (p->tokens[p->at].kind != TQ_TOKEN_NAME) return false;
        p->alias = p->tokens[p->at++];
    }
    return true;
}

/* ---- ORDER BY ---- */

/* [table.]column at `at`: how many tokens, or 0. */
static size_t vector_column(const struct parser *p, size_t at) {
    if (is_sign(p, at + 1, '.')) return is_table(p, at) && is_name(p, at + 2, p->column) ? 3 : 0;
    return is_name(p, at, p->column) ? 1 : 0;
}

static bool check_constant(const struct parser *p, size_t first, size_t end) {
    int depth = 0;
    size_t subqueries = 0;
    if (!check_expression(p, first, end, &subqueries) || subqueries > 0) return false;
    for (size_t at = first; at < end; at++) {
        depth += nesting(p, at);
        if (depth == 0 && is_sign(p, at, ',')) return false;
        if (p->tokens[at].kind == TQ_TOKEN_NAME && !is_sign(p, at + 1, '(')) return false; /* a column */
    }
    return true;
}

static bool is_query(const struct parser *p, size_t first, size_t end, struct tq_recognised *out) {
    const struct tq_token *token = &p->tokens[first];
    if (first >= end) return false;
    out->later = end - first > 1 || (token->kind != TQ_TOKEN_STRING && token->kind != TQ_TOKEN_BLOB);
    out->query = *token;
    if (!out->later) return true;
    size_t close = subquery_end(p, first, end);
    if (close + 1 != end) return check_constant(p, first, end);
    const char *text = p->tokens[first + 1].text;
    out->subquery = (struct tq_token){.text = text, .size = (size_t)(p->tokens[close].text - text)};
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
    out->argument = vector_column(p, start) == comma - start ? 1 : 0;
    if (out->argument == 1) return is_query(p, comma + 1, close, out);
    return vector_column(p, comma + 1) == close - comma - 1 && is_query(p, start, comma, out);
}

/* Where the term ends: at ASC, DESC, NULLS or LIMIT. */
static size_t term_end(const struct parser *p, size_t at) {
    static const char *const words[] = {"ASC", "DESC", "NULLS", "LIMIT"};
    for (int depth = 0; at < p->count; at++) {
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
    const struct tq_token *term = &p->tokens[first];
    const struct result *found = NULL;
    for (size_t i = 0; i < p->result_count; i++) {
        const struct result *result = &p->results[i];
        if (result->star && term->kind == TQ_TOKEN_NUMBER) return false; /* numbers count what * stands for */
        bool named = term->kind == TQ_TOKEN_NAME && result->alias.size > 0 &&
                     same(term, result->alias.text, result->alias.size);
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
    } reasons[] = {{"UNION", "a compound SELECT"},  {"EXCEPT", "a compound SELECT"}, {"INTERSECT", "a compound SELECT"},
                   {"JOIN", "more than one table"}, {"WHERE", "a WHERE clause"},     {"GROUP", "a GROUP BY clause"},
                   {"DISTINCT", "SELECT DISTINCT"}};
    size_t from = p->count, order = p->count, limit = p->count, found = TQ_COUNT(reasons);
    int depth = 0;
    if (!is_keyword(p, 0, "SELECT")) return "not a plain SELECT";
    for (size_t at = 0; at < p->count; at++) {
        depth += nesting(p, at);
        if (depth > 0) continue;
        if (is_keyword(p, at, "FROM")) from = at;
        if (is_keyword(p, at, "ORDER")) order = at;
        if (is_keyword(p, at, "LIMIT")) limit = at;
        if (is_sign(p, at, ',') && from < at && order == p->count && limit == p->count) return "more than one table";
        for (size_t i = 0; i < found; i++) {
            if (is_keyword(p, at, reasons[i].word)) found = i;
        }
    }
    if (found < TQ_COUNT(reasons)) return reasons[found].why;
    if (order == p->count) return "no ORDER BY";
    return limit == p->count ? "no LIMIT" : NULL;
}

/* NULL: recognised. Otherwise what was in the way. */
static const char *parse(struct parser *p, struct tq_recognised *out) {
    size_t subqueries = 0;
    if (!take_keyword(p, "SELECT")) return "not a plain SELECT";
    if (!split_results(p) || !take_table(p, out)) return "FROM is not the table alone, under its own name";
    for (size_t i = 0; i < p->result_count; i++) {
        const struct result *result = &p->results[i];
        if (!check_expression(p, result->first, result->end, &subqueries)) return "a result that is not on the list";
    }
    if (!take_order(p, out)) return "ORDER BY is not one tq_ function of the column and a constant, nearest first";
    if (!take_limit(p, out)) return "LIMIT is not a number";
    if (subqueries > 0) out->later = true; /* they may read the table, too: the first call tells which cursor is ours */
    if (is_sign(p, p->at, ';')) p->at++;
    return p->at == p->count ? NULL : "LIMIT is not a number";
}

bool tq_recognise(const char *sql, const char *schema, const char *table, const char *column,
                  struct tq_recognised *recognised) {
    struct parser p;
    p.count = p.at = p.result_count = 0;
    p.schema = schema;
    p.table = table;
    p.column = column;
    p.alias = (struct tq_token){.size = 0};
    *recognised = (struct tq_recognised){.why = "a long statement"};
    if (!tokenize(&p, sql)) return false;
    recognised->why = parse(&p, recognised);
    if (recognised->why == NULL) return true;
    const char *plain = plain_reason(&p);
    if (plain != NULL) recognised->why = plain;
    return false;
}

uint64_t tq_limit_hint(const char *sql) {
    struct parser p;
    struct tq_recognised out = {0};
    p.count = 0;
    if (!tokenize(&p, sql)) return 0;
    size_t end = is_sign(&p, p.count - 1, ';') ? p.count - 1 : p.count;
    for (size_t words = 2; words <= 4 && words <= end; words += 2) {
        p.at = end - words;
        if (take_limit(&p, &out) && p.at == end) return out.limit + out.offset;
    }
    return 0;
}
