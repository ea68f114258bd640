/* Completion in SQL: keywords, tables, columns, functions. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shell/cell.h"
#include "shell/complete.h"
#include "shell/session.h"
#include "shell/tokens.h"
#include "src/base/base.h"

/* The word at the cursor. */
struct place {
    struct shell_session *session;
    struct shell_matches *matches;
    const char *word;
    size_t size;
    bool quoted; /* it begins with " */
    bool named;  /* the statement names a table */
    char *text;  /* the whole statement: what was typed before, and the line to its end */
    size_t at;   /* where in it the word begins */
};

/* ---- What the database knows ---- */

/* Each first column of a query. Failures are nobody's concern here. */
static void each(struct shell_session *session, const char *sql, const char *first, const char *second,
                 void (*visit)(struct place *place, const char *text), struct place *place) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL) == SQLITE_OK) {
        if (first != NULL) (void)sqlite3_bind_text(statement, 1, first, -1, SQLITE_STATIC);
        if (second != NULL) (void)sqlite3_bind_text(statement, 2, second, -1, SQLITE_STATIC);
        while (sqlite3_step(statement) == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(statement, 0);
            if (text != NULL) visit(place, text);
        }
    }
    (void)sqlite3_finalize(statement);
}

/* A name as SQL wants it; typed with a quote it keeps that. */
static void offer_name(struct place *place, const char *name) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    if (place->quoted)
        sqlite3_str_appendf(built, "\"%w\"", name);
    else
        shell_append_name(built, name);
    char *text = sqlite3_str_finish(built);
    bool fits = text != NULL && (place->quoted || strncasecmp(name, place->word, place->size) == 0);
    if (fits && place->quoted) shell_matches_offer(place->matches, place->word, place->size, text, " ");
    if (fits && !place->quoted) shell_matches_offer(place->matches, "", 0, text, " ");
    sqlite3_free(text);
}

static void offer_function(struct place *place, const char *name) {
    if (isalpha((unsigned char)name[0])) shell_matches_offer(place->matches, place->word, place->size, name, "(");
}

/* As SQLite lists them; before 3.37 there is no table_list, and more of them are seen. */
static const char *tables_sql(void) {
    if (sqlite3_libversion_number() >= 3037000) {
        return "SELECT name FROM pragma_table_list WHERE type <> 'shadow' AND name NOT GLOB 'sqlite_*'"
               " AND name NOT GLOB 'tqlite_*' AND (?1 IS NULL OR schema = ?1 COLLATE NOCASE)";
    }
    return "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*'"
           " AND name NOT GLOB 'tqlite_*' AND (?1 IS NULL OR ?1 = 'main')";
}

static void offer_columns(struct place *place, const char *table) {
    /* Hidden columns count, but for the one that is called as the table. */
    each(place->session, "SELECT name FROM pragma_table_xinfo(?1) WHERE name <> ?1 COLLATE NOCASE", table, NULL,
         offer_name, place);
}

void shell_complete_tables(struct shell_session *session, struct shell_matches *matches, const char *word,
                           size_t size) {
    struct place place = {.session = session, .matches = matches, .word = word, .size = size};
    each(session, tables_sql(), NULL, NULL, offer_name, &place);
}

/* ---- What the statement says ---- */

/* A token without its quotes, to be freed. */
static char *unquoted(const struct shell_token *token) {
    bool quoted = token->size >= 2 && strchr("\"`[", token->text[0]) != NULL;
    return strndup(token->text + quoted, token->size - 2 * (size_t)quoted);
}

static bool same_name(const struct shell_token *token, const char *name) {
    char *plain = unquoted(token);
    bool same = plain != NULL && strcasecmp(plain, name) == 0;
    free(plain);
    return same;
}

/* Columns of a table that the statement names. */
static void offer_columns_if_named(struct place *place, const char *table) {
    struct shell_token token;
    for (const char *at = shell_tokens_next(place->text, &token); token.size > 0; at = shell_tokens_next(at, &token)) {
        if (token.text == place->text + place->at || !same_name(&token, table)) continue;
        offer_columns(place, table);
        place->named = true;
        return;
    }
}

static bool is_name(const struct shell_token *token) {
    return isalnum((unsigned char)token->text[0]) || strchr("_\"`[", token->text[0]) != NULL ||
           (token->text[0] & 0x80) != 0;
}

/* Behind "owner.": columns of a table, of the one that has this alias, or tables of a schema. */
static void offer_members(struct place *place, const char *owner) {
    struct shell_token token, before = {"", 0};
    bool earlier_as = false;
    offer_columns(place, owner);
    each(place->session, tables_sql(), owner, NULL, offer_name, place);
    for (const char *at = shell_tokens_next(place->text, &token); token.size > 0; at = shell_tokens_next(at, &token)) {
        if (shell_token_is(&token, "as")) {
            earlier_as = true;
            continue;
        }
        bool alias = same_name(&token, owner) && before.size > 0 && (is_name(&before) || earlier_as);
        char *table = alias ? unquoted(&before) : NULL;
        if (table != NULL) offer_columns(place, table);
        free(table);
        before = token;
        earlier_as = false;
    }
}

/* ---- Keywords ---- */

static void offer_keyword(struct place *place, const char *keyword, size_t size) {
    char text[40];
    if (size >= sizeof text) return;
    bool lower = place->size > 0 && islower((unsigned char)place->word[0]);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(lower ? tolower((unsigned char)keyword[i]) : toupper((unsigned char)keyword[i]));
    text[size] = '\0';
    shell_matches_offer(place->matches, place->word, place->size, text, " ");
}

static void offer_keywords(struct place *place) {
    const char *keyword = NULL;
    int size = 0;
    for (int i = 0; i < sqlite3_keyword_count(); i++) {
        if (sqlite3_keyword_name(i, &keyword, &size) == SQLITE_OK) offer_keyword(place, keyword, (size_t)size);
    }
}

static void offer_first_keywords(struct place *place) {
    static const char *const words[] = {"ALTER",  "ANALYZE", "ATTACH",  "BEGIN",   "COMMIT",   "CREATE",
                                        "DELETE", "DETACH",  "DROP",    "END",     "EXPLAIN",  "INSERT",
                                        "PRAGMA", "REINDEX", "RELEASE", "REPLACE", "ROLLBACK", "SAVEPOINT",
                                        "SELECT", "UPDATE",  "VACUUM",  "VALUES",  "WITH"};
    for (size_t i = 0; i < TQ_COUNT(words); i++) offer_keyword(place, words[i], strlen(words[i]));
}

/* ---- The place ---- */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80) != 0; }

/* The last two tokens before the word. */
static void find_before(const struct place *place, struct shell_token *last, struct shell_token *owner) {
    struct shell_token token;
    const char *end = place->text + place->at;
    *last = *owner = (struct shell_token){"", 0};
    for (const char *at = shell_tokens_next(place->text, &token); token.size > 0 && token.text < end;
         at = shell_tokens_next(at, &token)) {
        *owner = *last;
        *last = token;
    }
}

static void offer_all(struct place *place) {
    static const char *const wants_table[] = {"from", "join", "into", "update", "table"};
    struct shell_token last, owner;
    find_before(place, &last, &owner);
    if (shell_token_is(&last, ".") && owner.size > 0) {
        char *name = unquoted(&owner);
        if (name != NULL) offer_members(place, name);
        free(name);
        return;
    }
    if (last.size == 0 || shell_token_is(&last, ";")) {
        offer_first_keywords(place);
        return;
    }
    if (shell_token_is(&last, "pragma")) {
        each(place->session, "SELECT name FROM pragma_pragma_list", NULL, NULL, offer_name, place);
        return;
    }
    each(place->session, tables_sql(), NULL, NULL, offer_name, place);
    for (size_t i = 0; i < TQ_COUNT(wants_table); i++) {
        if (shell_token_is(&last, wants_table[i])) return;
    }
    each(place->session, tables_sql(), NULL, NULL, offer_columns_if_named, place);
    if (!place->named && place->size > 0) each(place->session, tables_sql(), NULL, NULL, offer_columns, place);
    if (place->quoted || place->size == 0) return;
    each(place->session, "SELECT DISTINCT name FROM pragma_function_list", NULL, NULL, offer_function, place);
    offer_keywords(place);
}

/* What is open at the cursor, as struct shell_scan has it. */
static char open_at(const char *pending, const char *line, size_t cursor) {
    struct shell_scan scan = {0};
    char *before = strndup(line, cursor);
    if (before == NULL) return '*';
    shell_scan_line(&scan, pending);
    shell_scan_line(&scan, before);
    free(before);
    return scan.open;
}

void shell_complete_sql(struct shell_session *session, const char *line, size_t cursor, struct shell_matches *matches) {
    const char *pending = session->pending == NULL ? "" : session->pending;
    char open = open_at(pending, line, cursor);
    struct place place = {.session = session, .matches = matches, .quoted = open == '"'};
    size_t start = cursor;
    if (open != '\0' && open != '"') return;
    while (start > 0 && (place.quoted ? line[start] != '"' || start == cursor : is_word(line[start - 1]))) start--;
    if (start > 0 && strchr(":@?$", line[start - 1]) != NULL) return; /* a parameter */
    matches->start = start;
    place.word = line + start;
    place.size = cursor - start;
    place.at = strlen(pending) + start;
    if (asprintf(&place.text, "%s%s", pending, line) < 0) return;
    offer_all(&place);
    free(place.text);
}
