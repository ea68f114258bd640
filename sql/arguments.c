/* What stands between the parentheses of CREATE VIRTUAL TABLE ... USING tq(...). */
#include <ctype.h>
#include <string.h>

#include "sql/vtab.h"

static const char *skip_blanks(const char *at) {
    while (isspace((unsigned char)*at)) at++;
    return at;
}

/* A bare or quoted word into `word`; returns what follows it, or NULL. */
static const char *take_word(const char *at, char *word, size_t size) {
    size_t length = 0;
    at = skip_blanks(at);
    char quote = *at == '"' || *at == '\'' || *at == '`' ? *at : 0;
    if (quote != 0) at++;
    for (; *at != 0; at++) {
        if (quote != 0 && *at == quote && at[1] != quote) break;
        if (quote != 0 && *at == quote) at++;
        if (quote == 0 && !isalnum((unsigned char)*at) && *at != '_' && (unsigned char)*at < 0x80) break;
        if (length + 1 >= size) return NULL;
        word[length++] = *at;
    }
    word[length] = 0;
    if (quote != 0 && *at++ != quote) return NULL;
    return length == 0 ? NULL : at;
}

static bool is_one_of(const char *word, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (sqlite3_stricmp(word, words[i]) == 0) return true;
    }
    return false;
}

/* A whole number of 64 bits, decimal. */
static bool take_number(const char *text, uint64_t *number) {
    if (*text == 0) return false;
    *number = 0;
    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(*number, 10u, number)) return false;
        if (__builtin_add_overflow(*number, (uint64_t)(*text - '0'), number)) return false;
    }
    return *text == 0;
}

/* ---- embedding FLOAT[100] ---- */

static enum tq_status read_column(const char *argument, struct tq_declaration *declaration) {
    static const char *const reserved[] = {"score", "distance", "rank", "k", "rowid", "oid", "_rowid_"};
    static const char *const types[] = {"FLOAT", "VECTOR", "FLOAT32", "F32"};
    char type[16], digits[16];
    uint64_t dim = 0;
    const char *at = take_word(argument, declaration->column, sizeof declaration->column);
    if (at != NULL) at = take_word(at, type, sizeof type);
    if (at == NULL || !is_one_of(type, types, TQ_COUNT(types))) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": a vector column is declared as embedding FLOAT[100]", argument);
    }
    if (is_one_of(declaration->column, reserved, TQ_COUNT(reserved))) {
        return tq_fail(TQ_MISUSE, "\"%s\" is reserved; call the vector column something else", declaration->column);
    }
    at = skip_blanks(at);
    char close = *at == '[' ? ']' : *at == '(' ? ')' : 0;
    size_t length = strspn(at + (close != 0), " 0123456789");
    if (close == 0 || at[1 + length] != close || length >= sizeof digits || *skip_blanks(at + length + 2) != 0) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": the dimension is missing, as in embedding FLOAT[100]", argument);
    }
    memcpy(digits, at + 1, length);
    digits[length] = 0;
    while (length > 0 && digits[length - 1] == ' ') digits[--length] = 0;
    if (!take_number(skip_blanks(digits), &dim) || dim < 1 || dim > TQ_DIM_MAX) {
        return tq_fail(TQ_MISUSE, "\"%.60s\": the dimension must be 1 to %d", argument, TQ_DIM_MAX);
    }
    declaration->options.dim = (uint32_t)dim;
    return TQ_OK;
}

/* ---- bits=4 ---- */

static enum tq_status read_choice(const char *key, const char *value, const char *const *names, size_t count,
                                  const char *list, int *choice) {
    for (size_t i = 0; i < count; i++) {
        if (sqlite3_stricmp(value, names[i]) != 0) continue;
        *choice = (int)i;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "%s is \"%.40s\"; it must be %s", key, value, list);
}

static enum tq_status read_small(const char *key, const char *value, uint64_t low, uint64_t high, uint64_t *number) {
    if (take_number(value, number) && *number >= low && *number <= high) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s is \"%.40s\"; it must be %llu to %llu", key, value, (unsigned long long)low,
                   (unsigned long long)high);
}

static enum tq_status read_option(const char *key, const char *value, struct tq_index_options *options) {
    static const char *const metrics[] = {"cosine", "ip", "l2"}, *const rows[] = {"f32", "f16", "none"};
    uint64_t number = 0;
    int choice = 0;
    if (sqlite3_stricmp(key, "bits") == 0) {
        TQ_TRY(read_small("bits", value, 1, TQ_BITS_MAX, &number));
        options->bits = (uint32_t)number;
    } else if (sqlite3_stricmp(key, "metric") == 0) {
        TQ_TRY(read_choice("metric", value, metrics, TQ_COUNT(metrics), "cosine, ip or l2", &choice));
        options->metric = (enum tq_metric)choice;
    } else if (sqlite3_stricmp(key, "rows") == 0) {
        TQ_TRY(read_choice("rows", value, rows, TQ_COUNT(rows), "f32, f16 or none", &choice));
        options->rows = (enum tq_rows)choice;
    } else if (sqlite3_stricmp(key, "qjl") == 0) {
        TQ_TRY(read_small("qjl", value, 0, 1, &number));
        options->qjl = (int)number;
    } else if (sqlite3_stricmp(key, "seed") == 0) {
        TQ_TRY(read_small("seed", value, 0, INT64_MAX, &number));
        options->seed = number;
    } else {
        return tq_fail(TQ_MISUSE, "unknown option \"%.40s\"; there are bits, metric, rows, qjl and seed", key);
    }
    return TQ_OK;
}

enum tq_status tq_declaration_read(int count, const char *const *arguments, struct tq_declaration *declaration) {
    char key[TQ_NAME_MAX + 1], value[64];
    *declaration = (struct tq_declaration){.options = tq_index_defaults(0)};
    for (int i = 0; i < count; i++) {
        const char *at = take_word(arguments[i], key, sizeof key);
        at = at == NULL ? NULL : skip_blanks(at);
        if (at != NULL && *at == '=') {
            at = take_word(at + 1, value, sizeof value);
            if (at == NULL || *skip_blanks(at) != 0) {
                return tq_fail(TQ_MISUSE, "\"%.60s\": an option is written as bits=4", arguments[i]);
            }
            TQ_TRY(read_option(key, value, &declaration->options));
        } else if (declaration->options.dim != 0) {
            return tq_fail(TQ_MISUSE, "\"%.60s\": a table has one vector column and options", arguments[i]);
        } else {
            TQ_TRY(read_column(arguments[i], declaration));
        }
    }
    if (declaration->options.dim != 0) return TQ_OK;
    return tq_fail(TQ_MISUSE, "no vector column is declared, as in USING tq(embedding FLOAT[100])");
}
