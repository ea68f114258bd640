/* What stands between the parentheses of CREATE VIRTUAL TABLE ... USING tq(...). SQLite has cut it at the commas that
 * stand in no parentheses; comments inside an argument are still there. */
#include "sql/declaration.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "sql/index_options.h"
#include "sql/registry.h"
#include "src/base/alloc.h"

enum { NAME_BYTES = 255, VECTORS_MAX = 16, PARTITIONS_MAX = 16 };

/* ---- Words ---- */

static const char *skip_blanks(const char *at) {
    for (;;) {
        if (isspace((unsigned char)*at)) {
            at++;
        } else if (at[0] == '-' && at[1] == '-') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            at = end == NULL ? at + strlen(at) : end + 2;
        } else {
            return at;
        }
    }
}

static bool is_name_byte(char byte) {
    return isalnum((unsigned char)byte) || byte == '_' || byte == '$' || (unsigned char)byte >= 0x80;
}

/* A word without quotes; returns what follows it, or NULL: there is none, or it is too long. */
static const char *take_bare(const char *at, char *word, size_t size) {
    size_t length = 0;
    at = skip_blanks(at);
    while (is_name_byte(at[length])) length++;
    if (length == 0 || length >= size) return NULL;
    memcpy(word, at, length);
    word[length] = 0;
    return at + length;
}

/* Likewise a word in quotes of any kind that SQLite knows, or without. */
static const char *take_word(const char *at, char *word, size_t size) {
    size_t length = 0;
    at = skip_blanks(at);
    if (*at == 0 || strchr("\"'`[", *at) == NULL) return take_bare(at, word, size);
    char close = *at == '[' ? ']' : *at;
    for (at++; *at != 0; at++) {
        if (*at == close && (close == ']' || at[1] != close)) break;
        if (*at == close) at++;
        if (length + 1 >= size) return NULL;
        word[length++] = *at;
    }
    word[length] = 0;
    return length == 0 || *at != close ? NULL : at + 1;
}

static bool is_one_of(const char *word, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (sqlite3_stricmp(word, words[i]) == 0) return true;
    }
    return false;
}

/* ---- bits=4 ---- */

/* *taken: it was an option, good or bad, and no column. */
static enum tq_status read_table_option(const char *argument, struct tq_index_options *options, bool *taken) {
    char key[NAME_BYTES + 1], value[64];
    const char *at = take_word(argument, key, sizeof key);
    *taken = false;
    if (at == NULL) return TQ_OK;
    at = skip_blanks(at);
    bool bare = *at == 0 && tq_index_option_known(key);
    if (*at != '=' && !bare) return TQ_OK;
    *taken = true;
    at = bare ? NULL : take_word(at + 1, value, sizeof value);
    if (at == NULL || *skip_blanks(at) != 0) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": an option is written as bits=4", argument);
    }
    return tq_index_option_set(key, value, options);
}

/* ---- What SQL has and we have not ---- */

static const char *const unsupported[] = {"NOT",           "UNIQUE",     "DEFAULT",   "CHECK",  "COLLATE",
                                          "REFERENCES",    "CONSTRAINT", "GENERATED", "ALWAYS", "AS",
                                          "AUTOINCREMENT", "FOREIGN",    "HIDDEN",    "ON"};

static bool ends_type(const char *word) {
    static const char *const marks[] = {"PRIMARY", "PARTITION", "INDEXED", "NULL"};
    return is_one_of(word, marks, TQ_COUNT(marks)) || is_one_of(word, unsupported, TQ_COUNT(unsupported));
}

/* The word is something we do not do; or else something else was expected. */
static enum tq_status refuse(const char *argument, const char *word, const char *expected) {
    if (!is_one_of(word, unsupported, TQ_COUNT(unsupported))) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": %s", argument, expected);
    }
    bool not_null = sqlite3_stricmp(word, "NOT") == 0;
    return tq_fail(TQ_MISUSE, "\"%.60s\": %s is not supported in a tq table", argument, not_null ? "NOT NULL" : word);
}

/* ---- embedding FLOAT[100] metric=ip ---- */

/* FLOAT alone is a number, and FLOAT(10,2); the other words are vectors only. *after: what follows the word. */
static bool is_vector(const char *at, const char **after) {
    static const char *const types[] = {"FLOAT", "VECTOR", "FLOAT32", "F32"};
    char type[16];
    at = take_bare(at, type, sizeof type);
    if (at == NULL || !is_one_of(type, types, TQ_COUNT(types))) return false;
    *after = at = skip_blanks(at);
    if (sqlite3_stricmp(type, "FLOAT") != 0) return true;
    return *at == '[' || (*at == '(' && at[strcspn(at, ",)")] != ',');
}

static enum tq_status read_dimension(const char *argument, const char **at, uint32_t *dim) {
    char digits[32], close = **at == '[' ? ']' : **at == '(' ? ')' : 0;
    const char *inside = *at + 1;
    uint64_t number = 0;
    size_t length = close == 0 ? 0 : strspn(inside, " 0123456789");
    if (close == 0 || inside[length] != close || length >= sizeof digits) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": the dimension is missing, as in embedding FLOAT[100]", argument);
    }
    *at = inside + length + 1;
    memcpy(digits, inside, length);
    while (length > 0 && digits[length - 1] == ' ') length--;
    digits[length] = 0;
    if (!tq_text_whole(skip_blanks(digits), &number) || number < 1 || number > TQ_DIM_MAX) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": the dimension must be 1 to %d", argument, TQ_DIM_MAX);
    }
    *dim = (uint32_t)number;
    return TQ_OK;
}

static enum tq_status read_vector(const char *argument, const char *at, struct tq_index_options *options) {
    static const char expected[] = "after FLOAT[100] come options, as in metric=ip bits=3, or nothing";
    TQ_TRY(read_dimension(argument, &at, &options->dim));
    for (at = skip_blanks(at); *at != 0; at = skip_blanks(at)) {
        char key[NAME_BYTES + 1] = "", value[64];
        at = take_bare(at, key, sizeof key);
        at = at == NULL ? NULL : skip_blanks(at);
        if (at == NULL || *at != '=') return refuse(argument, key, expected);
        at = take_word(at + 1, value, sizeof value);
        if (at == NULL) return tq_fail(TQ_MISUSE, "\"%.60s\": an option is written as bits=4", argument);
        TQ_TRY(tq_index_option_set(key, value, options));
    }
    return TQ_OK;
}

/* ---- title VARCHAR(20) INDEXED ---- */

static bool contains(const char *type, const char *word) {
    for (; *type != 0; type++) {
        if (sqlite3_strnicmp(type, word, (int)strlen(word)) == 0) return true;
    }
    return false;
}

/* datatype3.html, section 3.1 */
static const char *affinity(const char *type) {
    if (contains(type, "INT")) return "INTEGER";
    if (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT")) return "TEXT";
    if (*type == 0 || contains(type, "BLOB")) return "BLOB";
    return contains(type, "REAL") || contains(type, "FLOA") || contains(type, "DOUB") ? "REAL" : "NUMERIC";
}

static enum tq_status fail_type(const char *argument) {
    return tq_fail(TQ_MISUSE, "\"%.60s\": a type is words, then perhaps numbers, as in DECIMAL(10,2), %d bytes at most",
                   argument, NAME_BYTES);
}

/* Words and (n[,m]) up to the first word that is no type's, with single blanks: type[NAME_BYTES + 1]. */
static enum tq_status read_type(const char *argument, const char **at, char *type) {
    char word[NAME_BYTES + 1];
    size_t length = 0;
    for (*at = skip_blanks(*at); is_name_byte(**at); *at = skip_blanks(*at)) {
        const char *after = take_bare(*at, word, sizeof word);
        if (after == NULL || strchr("$0123456789", *word) != NULL) return fail_type(argument);
        if (ends_type(word)) break;
        size_t size = strlen(word), blank = length > 0;
        if (length + blank + size > NAME_BYTES) return fail_type(argument);
        if (blank) type[length++] = ' ';
        memcpy(type + length, word, size);
        length += size;
        *at = after;
    }
    type[length] = 0;
    if (**at == '[') {
        return tq_fail(TQ_MISUSE, "\"%.60s\": a vector column is declared as embedding FLOAT[100]", argument);
    }
    if (**at != '(' || length == 0) return TQ_OK;
    size_t inside = strspn(*at + 1, " +-.,0123456789");
    if ((*at)[1 + inside] != ')' || length + inside + 2 > NAME_BYTES) return fail_type(argument);
    memcpy(type + length, *at, inside + 2);
    type[length + inside + 2] = 0;
    *at += inside + 2;
    return TQ_OK;
}

static enum tq_status make_primary(const char *argument, const char *type, struct tq_sql_column *column) {
    bool integer = sqlite3_stricmp(type, "INTEGER") == 0 || sqlite3_stricmp(type, "INT") == 0;
    if (!integer && sqlite3_stricmp(type, "TEXT") != 0) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": a primary key is INTEGER or TEXT", argument);
    }
    column->kind = integer ? TQ_COLUMN_ID : TQ_COLUMN_KEY;
    return TQ_OK;
}

/* What follows the type. */
static enum tq_status read_marks(const char *argument, const char *at, const char *type, struct tq_sql_column *column) {
    static const char expected[] = "after the type comes INDEXED, PARTITION KEY, PRIMARY KEY or nothing";
    bool marked = false;
    for (at = skip_blanks(at); *at != 0; at = skip_blanks(at)) {
        char word[32] = "", key[32] = "";
        at = take_bare(at, word, sizeof word);
        if (at == NULL) return refuse(argument, word, expected);
        if (sqlite3_stricmp(word, "NULL") == 0) continue; /* says what is so without it */
        bool indexed = sqlite3_stricmp(word, "INDEXED") == 0, primary = sqlite3_stricmp(word, "PRIMARY") == 0;
        if (!indexed) {
            if (!primary && sqlite3_stricmp(word, "PARTITION") != 0) return refuse(argument, word, expected);
            at = take_bare(at, key, sizeof key);
            if (at == NULL || sqlite3_stricmp(key, "KEY") != 0) return refuse(argument, key, expected);
        }
        if (column->kind == TQ_COLUMN_APART) {
            return tq_fail(TQ_MISUSE, "\"%.60s\": a column with + is neither INDEXED nor a key", argument);
        }
        if (marked) {
            return tq_fail(TQ_MISUSE, "\"%.60s\": a column is INDEXED, a PARTITION KEY or a PRIMARY KEY, once",
                           argument);
        }
        marked = true;
        if (indexed)
            column->indexed = true;
        else if (primary)
            TQ_TRY(make_primary(argument, type, column));
        else
            column->kind = TQ_COLUMN_PARTITION;
    }
    return TQ_OK;
}

/* ---- Columns ---- */

static enum tq_status check_column_name(const struct tq_declaration *declaration, const char *name) {
    static const char *const reserved[] = {"score", "distance", "rank", "k", "rowid", "oid", "_rowid_"};
    if (is_one_of(name, reserved, TQ_COUNT(reserved))) {
        return tq_fail(TQ_MISUSE, "\"%s\" is reserved; call the column something else", name);
    }
    for (size_t i = 0; i < declaration->count; i++) {
        if (sqlite3_stricmp(name, declaration->columns[i].name) == 0) {
            return tq_fail(TQ_MISUSE, "column \"%s\" is declared twice", name);
        }
    }
    return TQ_OK;
}

/* Count it among its kind, and give it its name in the tables. */
static enum tq_status number_column(struct tq_declaration *declaration, struct tq_sql_column *column) {
    static const char letters[] = {[TQ_COLUMN_METADATA] = 'm', [TQ_COLUMN_PARTITION] = 'p', [TQ_COLUMN_APART] = 'a'};
    size_t size = sizeof column->stored;
    switch (column->kind) {
    case TQ_COLUMN_ID:
    case TQ_COLUMN_KEY:
        if (declaration->id >= 0 || declaration->key >= 0) {
            return tq_fail(TQ_MISUSE, "a table has one primary key; \"%s\" is the second", column->name);
        }
        *(column->kind == TQ_COLUMN_ID ? &declaration->id : &declaration->key) = (int)declaration->count;
        (void)snprintf(column->stored, size, "%s", column->kind == TQ_COLUMN_ID ? "id" : "key");
        return TQ_OK;
    case TQ_COLUMN_VECTOR:
        column->number = declaration->vectors++;
        (void)snprintf(column->stored, size, column->number == 0 ? "slot" : "slot%zu", column->number);
        break;
    case TQ_COLUMN_METADATA: column->number = declaration->metadata++; break;
    case TQ_COLUMN_PARTITION: column->number = declaration->partitions++; break;
    case TQ_COLUMN_APART: column->number = declaration->apart++; break;
    }
    if (column->kind != TQ_COLUMN_VECTOR) {
        (void)snprintf(column->stored, size, "%c%zu", letters[column->kind], column->number);
    }
    if (declaration->vectors > VECTORS_MAX) {
        return tq_fail(TQ_MISUSE, "a table has at most %d vector columns", VECTORS_MAX);
    }
    if (declaration->partitions > PARTITIONS_MAX) {
        return tq_fail(TQ_MISUSE, "a table has at most %d partition keys", PARTITIONS_MAX);
    }
    return TQ_OK;
}

/* What follows the name: type[NAME_BYTES + 1]. */
static enum tq_status read_rest(const char *argument, const char *at, char *type, struct tq_sql_column *column) {
    const char *after = NULL;
    if (!is_vector(at, &after)) {
        TQ_TRY(read_type(argument, &at, type));
        column->affinity = affinity(type);
        return read_marks(argument, at, type, column);
    }
    if (column->kind == TQ_COLUMN_APART) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": a vector column is declared without +", argument);
    }
    column->kind = TQ_COLUMN_VECTOR;
    column->affinity = "BLOB";
    TQ_TRY(read_vector(argument, after, &column->options));
    (void)snprintf(type, NAME_BYTES + 1, "FLOAT[%u]", (unsigned)column->options.dim);
    return TQ_OK;
}

static enum tq_status read_column(const char *argument, const struct tq_index_options *defaults,
                                  struct tq_declaration *declaration) {
    static const char *const constraints[] = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"};
    char name[NAME_BYTES + 1], type[NAME_BYTES + 1];
    const char *begin = skip_blanks(argument);
    bool apart = *begin == '+';
    if (apart) begin = skip_blanks(begin + 1);
    const char *at = take_word(begin, name, sizeof name);
    if (at == NULL) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": a column has a name of 1 to %d bytes, as in title TEXT", argument,
                       NAME_BYTES);
    }
    if (is_name_byte(*begin) && is_one_of(name, constraints, TQ_COUNT(constraints))) {
        return refuse(argument, name, "a primary key is declared as id INTEGER PRIMARY KEY or key TEXT PRIMARY KEY");
    }
    TQ_TRY(check_column_name(declaration, name));
    if (declaration->count == TQ_COLUMNS_MAX)
        return tq_fail(TQ_MISUSE, "a table has at most %d columns", TQ_COLUMNS_MAX);
    struct tq_sql_column *column = &declaration->columns[declaration->count];
    column->kind = apart ? TQ_COLUMN_APART : TQ_COLUMN_METADATA;
    column->options = *defaults;
    TQ_TRY(read_rest(argument, at, type, column));
    column->name = tq_sql_text(name);
    column->type = tq_sql_text(type);
    enum tq_status status = column->name == NULL || column->type == NULL ? TQ_NOMEM : TQ_OK;
    if (status == TQ_OK) status = number_column(declaration, column);
    declaration->count++;
    return status;
}

enum tq_status tq_declaration_read(int count, const char *const *arguments, struct tq_declaration *declaration) {
    struct tq_index_options defaults = tq_index_defaults(0);
    bool is_option = false;
    *declaration = (struct tq_declaration){.id = -1, .key = -1};
    declaration->columns = tq_alloc_zero(tq_min_size((size_t)count, TQ_COLUMNS_MAX) * sizeof *declaration->columns);
    if (declaration->columns == NULL) return TQ_NOMEM;
    for (int i = 0; i < count; i++) TQ_TRY(read_table_option(arguments[i], &defaults, &is_option));
    for (int i = 0; i < count; i++) {
        struct tq_index_options seen;
        TQ_TRY(read_table_option(arguments[i], &seen, &is_option));
        if (!is_option) TQ_TRY(read_column(arguments[i], &defaults, declaration));
    }
    if (declaration->vectors > 0) return TQ_OK;
    return tq_fail(TQ_MISUSE, "no vector column is declared, as in USING tq(embedding FLOAT[100])");
}

void tq_declaration_free(struct tq_declaration *declaration) {
    for (size_t i = 0; i < declaration->count; i++) {
        tq_free(declaration->columns[i].name);
        tq_free(declaration->columns[i].type);
    }
    tq_free(declaration->columns);
    *declaration = (struct tq_declaration){.id = -1, .key = -1};
}

enum tq_status tq_declaration_check_name(const struct tq_declaration *declaration, const char *table) {
    static const char *const taken[] = {"k", "score", "distance", "rowid", "oid", "_rowid_"};
    for (size_t i = 0; i < declaration->count; i++) {
        if (sqlite3_stricmp(table, declaration->columns[i].name) == 0) {
            return tq_fail(TQ_MISUSE, "the column cannot have the table's name, \"%s\"", table);
        }
    }
    if (!is_one_of(table, taken, TQ_COUNT(taken))) return TQ_OK;
    return tq_fail(TQ_MISUSE, "a table cannot be called \"%s\": each has a hidden column of that name, or its rowid",
                   table);
}

const struct tq_sql_column *tq_declaration_vector(const struct tq_declaration *declaration, size_t number) {
    for (size_t i = 0; i < declaration->count; i++) {
        const struct tq_sql_column *column = &declaration->columns[i];
        if (column->kind == TQ_COLUMN_VECTOR && column->number == number) return column;
    }
    return NULL;
}

/* ---- Text for SQLite ---- */

/* A finished text; an empty one is a text, too, and sqlite3_str_finish() has none. */
static char *finish(sqlite3_str *text) {
    bool failed = sqlite3_str_errcode(text) != SQLITE_OK, empty = sqlite3_str_length(text) == 0;
    char *finished = sqlite3_str_finish(text);
    if (failed) {
        sqlite3_free(finished);
        return NULL;
    }
    return empty ? sqlite3_mprintf("%s", "") : finished;
}

/* A vector's type shows its dimension, and has the affinity of BLOB because that word is in it: FLOAT[100] alone would
 * have that of REAL, and VECTOR(100) that of NUMERIC. */
static const char *suffix(enum tq_column_kind kind) {
    if (kind == TQ_COLUMN_VECTOR) return " BLOB";
    return kind == TQ_COLUMN_ID ? " PRIMARY KEY" : "";
}

char *tq_declaration_text(const struct tq_declaration *declaration, const char *table) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "CREATE TABLE x(");
    for (size_t i = 0; i < declaration->count; i++) {
        const struct tq_sql_column *column = &declaration->columns[i];
        const char *type = column->kind == TQ_COLUMN_ID ? "INTEGER" : column->type;
        sqlite3_str_appendf(text, "\"%w\"%s%s%s, ", column->name, *type == 0 ? "" : " ", type, suffix(column->kind));
    }
    sqlite3_str_appendf(text, "\"%w\" HIDDEN, k INTEGER HIDDEN, score REAL HIDDEN, distance REAL HIDDEN)", table);
    return finish(text);
}

char *tq_declaration_more_columns(const struct tq_declaration *declaration) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    for (size_t i = 1; i < declaration->vectors; i++) {
        sqlite3_str_appendf(text, ", %s INTEGER", tq_declaration_vector(declaration, i)->stored);
    }
    if (declaration->key >= 0) sqlite3_str_appendall(text, ", key TEXT UNIQUE");
    for (int kind = TQ_COLUMN_METADATA; kind <= TQ_COLUMN_PARTITION; kind++) {
        for (size_t i = 0; i < declaration->count; i++) {
            const struct tq_sql_column *column = &declaration->columns[i];
            if ((int)column->kind != kind) continue;
            bool typed = strcmp(column->affinity, "BLOB") != 0;
            sqlite3_str_appendf(text, ", %s%s%s", column->stored, typed ? " " : "", typed ? column->affinity : "");
        }
    }
    return finish(text);
}
