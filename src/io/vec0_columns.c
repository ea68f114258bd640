#include "src/io/vec0_columns.h"

#include <limits.h>
#include <string.h>

#include <sqlite3.h>

#include "src/io/database.h"

/* ---- Words ---- */

struct words {
    const char *at;
    char word[TQ_VEC0_NAME_MAX + 1]; /* that was taken last */
};

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Letters, digits and underlines; "" where there are none. */
static const char *next_word(struct words *words) {
    size_t size = 0;
    words->at = tq_sql_skip_blanks(words->at);
    while (is_letter(words->at[size]) || is_digit(words->at[size]) || words->at[size] == '_') size++;
    size_t kept = tq_min_size(size, TQ_VEC0_NAME_MAX);
    memcpy(words->word, words->at, kept);
    words->word[kept] = '\0';
    words->at += size;
    return words->word;
}

/* Words are cut to this size where they are taken. */
static void copy_word(char to[TQ_VEC0_NAME_MAX + 1], const char *word) { memcpy(to, word, strlen(word) + 1); }

static bool next_sign(struct words *words, char sign) {
    words->at = tq_sql_skip_blanks(words->at);
    if (*words->at != sign) return false;
    words->at++;
    return true;
}

static bool at_end(struct words *words) {
    words->at = tq_sql_skip_blanks(words->at);
    return *words->at == ',' || *words->at == ')' || *words->at == '\0';
}

/* sqlite-vec compares as many characters as the word has, so that "tex" is a text. */
static bool means(const char *word, const char *name) {
    return word[0] != '\0' && sqlite3_strnicmp(word, name, (int)strlen(word)) == 0;
}

static bool begins(const char *word, const char *name) { return sqlite3_strnicmp(word, name, (int)strlen(name)) == 0; }

/* ---- One argument ---- */

static bool read_vector_options(struct words *words, struct tq_vec0_columns *columns, struct tq_vec0_column *column,
                                bool first) {
    while (!at_end(words)) {
        const char *word = next_word(words);
        if (means(word, "distance_metric") && next_sign(words, '=')) {
            word = next_word(words);
            if (!first) continue;
            columns->has_metric = !means(word, "l1");
            columns->metric = means(word, "cosine") ? TQ_COSINE : TQ_L2;
        } else if (means(word, "indexed")) {
            if (!means(next_word(words), "by")) return false;
            column->apart = !means(next_word(words), "flat");
            for (int depth = 0; *words->at != '\0' && (depth > 0 || !at_end(words)); words->at++)
                depth += (*words->at == '(') - (*words->at == ')');
        } else {
            return false;
        }
    }
    return true;
}

/* name float[n] ..; *is whether it is one at all. */
static bool read_vector(struct words words, struct tq_vec0_columns *columns, struct tq_vec0_column *column, bool *is) {
    const char *type = next_word(&words);
    *is = begins(type, "float") || begins(type, "f32") || begins(type, "int8") || begins(type, "i8") ||
          begins(type, "bit");
    column->kind = type[0] == 'b' || type[0] == 'B'   ? TQ_VEC0_BITS
                   : type[0] == 'i' || type[0] == 'I' ? TQ_VEC0_I8
                                                      : TQ_VEC0_F32;
    *is = *is && next_sign(&words, '[');
    if (!*is) return true;
    const char *digits = next_word(&words);
    for (; is_digit(*digits) && column->dim <= TQ_VEC0_DIM_MAX; digits++)
        column->dim = column->dim * 10 + (uint32_t)(*digits - '0');
    if (*digits != '\0' || column->dim == 0 || column->dim > TQ_VEC0_DIM_MAX || !next_sign(&words, ']')) return false;
    bool first = true;
    for (size_t i = 0; i < columns->count; i++) first = first && columns->list[i].kind > TQ_VEC0_BITS;
    return read_vector_options(&words, columns, column, first);
}

static enum tq_type value_type(const char *word) {
    if (means(word, "text")) return TQ_TYPE_TEXT;
    if (means(word, "int") || means(word, "integer")) return TQ_TYPE_INTEGER;
    if (means(word, "float") || means(word, "double")) return TQ_TYPE_REAL;
    return means(word, "blob") ? TQ_TYPE_BLOB : TQ_TYPE_NULL;
}

static bool read_metadata(const char *word, struct tq_vec0_column *column) {
    static const struct {
        const char *name;
        enum tq_vec0_kind kind;
        enum tq_type type;
    } types[] = {{"boolean", TQ_VEC0_BOOLEAN, TQ_TYPE_INTEGER}, {"bool", TQ_VEC0_BOOLEAN, TQ_TYPE_INTEGER},
                 {"int64", TQ_VEC0_INTEGER, TQ_TYPE_INTEGER},   {"integer64", TQ_VEC0_INTEGER, TQ_TYPE_INTEGER},
                 {"integer", TQ_VEC0_INTEGER, TQ_TYPE_INTEGER}, {"int", TQ_VEC0_INTEGER, TQ_TYPE_INTEGER},
                 {"float", TQ_VEC0_REAL, TQ_TYPE_REAL},         {"double", TQ_VEC0_REAL, TQ_TYPE_REAL},
                 {"float64", TQ_VEC0_REAL, TQ_TYPE_REAL},       {"f64", TQ_VEC0_REAL, TQ_TYPE_REAL},
                 {"text", TQ_VEC0_TEXT, TQ_TYPE_TEXT}};
    for (size_t i = 0; i < TQ_COUNT(types); i++) {
        if (!means(word, types[i].name)) continue;
        column->kind = types[i].kind;
        column->type = types[i].type;
        return true;
    }
    return false;
}

static bool add(struct tq_vec0_columns *columns, struct tq_vec0_column column) {
    int kinds[] = {0, 0, 0, 1, 2, 3, 3, 3, 3}; /* what is counted together */
    if (columns->count == TQ_VEC0_COLUMNS_MAX) return false;
    for (size_t i = 0; i < columns->count; i++) column.number += kinds[columns->list[i].kind] == kinds[column.kind];
    columns->list[columns->count++] = column;
    return true;
}

/* A column with a name, or an option of the table; vec0 tries them in this order. */
static bool read_argument(struct words words, struct tq_vec0_columns *columns) {
    struct tq_vec0_column column = {.kind = TQ_VEC0_AUXILIARY};
    bool auxiliary = next_sign(&words, '+'), is_vector = false;
    copy_word(column.name, next_word(&words));
    if (column.name[0] == '\0') return false;
    if (next_sign(&words, '=')) return true;
    if (!auxiliary && !read_vector(words, columns, &column, &is_vector)) return false;
    if (is_vector) {
        column.type = column.kind == TQ_VEC0_BITS ? TQ_TYPE_BLOB : TQ_TYPE_VECTOR;
        return add(columns, column);
    }
    char type[TQ_VEC0_NAME_MAX + 1];
    copy_word(type, next_word(&words));
    column.type = value_type(type);
    if (auxiliary) return column.type != TQ_TYPE_NULL && at_end(&words) && add(columns, column);
    if (at_end(&words)) return read_metadata(type, &column) && add(columns, column);
    const char *word = next_word(&words);
    bool partition = means(word, "partition"), primary = means(word, "primary");
    if (!(partition || primary) || !means(next_word(&words), "key") || !at_end(&words)) return false;
    if (column.type != TQ_TYPE_TEXT && column.type != TQ_TYPE_INTEGER) return false;
    if (partition) {
        column.kind = TQ_VEC0_PARTITION;
        return add(columns, column);
    }
    copy_word(columns->key, column.name);
    columns->key_is_text = column.type == TQ_TYPE_TEXT;
    return true;
}

/* Where the argument ends: at a comma or parenthesis that is not within brackets. */
static const char *argument_end(const char *at) {
    for (int depth = 0;; at++) {
        at = tq_sql_skip_blanks(at);
        if (*at == '\0' || (depth == 0 && (*at == ',' || *at == ')'))) return at;
        depth += (*at == '(') - (*at == ')');
    }
}

bool tq_vec0_columns_read(const char *arguments, struct tq_vec0_columns *columns, char wrong[48]) {
    *columns = (struct tq_vec0_columns){.key = "rowid", .has_metric = true, .metric = TQ_L2};
    for (const char *at = arguments;; at++) {
        const char *end = argument_end(at);
        at = tq_sql_skip_blanks(at);
        if (!read_argument((struct words){.at = at}, columns)) {
            (void)sqlite3_snprintf(48, wrong, "%.*s", (int)tq_min_size((size_t)(end - at), 47), at);
            return false;
        }
        at = end;
        if (*at != ',') return true;
    }
}

const char *tq_vec0_store(const struct tq_vec0_column *column, size_t *row_bytes) {
    enum { TEXT_VIEW_BYTES = 16 };
    *row_bytes = 0;
    switch (column->kind) {
    case TQ_VEC0_F32: *row_bytes = column->dim * sizeof(float); return "vector_chunks";
    case TQ_VEC0_I8: *row_bytes = column->dim; return "vector_chunks";
    case TQ_VEC0_BITS: *row_bytes = (column->dim + CHAR_BIT - 1) / CHAR_BIT; return "vector_chunks";
    case TQ_VEC0_BOOLEAN: return "metadatachunks";
    case TQ_VEC0_INTEGER:
    case TQ_VEC0_REAL: *row_bytes = 8; return "metadatachunks";
    case TQ_VEC0_TEXT: *row_bytes = TEXT_VIEW_BYTES; return "metadatachunks";
    default: return NULL;
    }
}
