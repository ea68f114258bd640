#include "shell/vector_query.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/arguments.h"
#include "src/base/base.h"
#include "src/tq_io.h"

enum { FILE_BYTES_MOST = 4 << 20, LIKE_MOST = 5 };

void shell_query_free(struct shell_query *query) {
    sqlite3_free(query->vectors);
    *query = (struct shell_query){.vectors = NULL};
}

/* ---- A row ---- */

/* condition: of ?1, which is the text. */
static enum tq_status look_up(const struct shell_vectors *v, const char *condition, const char *what,
                              struct shell_query *query, bool *found) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare_format(v->session, &statement, "SELECT rowid, \"%w\" IS NULL FROM %s WHERE %s", v->column,
                                v->quoted, condition));
    int rc = sqlite3_bind_text(statement, 1, what, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    enum tq_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? TQ_OK : shell_session_fail(v->session, rc);
    *found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        *query = (struct shell_query){.is_row = true, .row = sqlite3_column_int64(statement, 0), .count = 1};
        if (sqlite3_column_int(statement, 1) != 0)
            status = tq_fail(TQ_MISUSE, "%s: row %s has no vector in %s", v->table.name, what, v->column);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static bool is_integer(const char *text) {
    size_t sign = text[0] == '-' || text[0] == '+' ? 1 : 0, digits = strspn(text + sign, "0123456789");
    return digits > 0 && text[sign + digits] == '\0';
}

/* A number that is no key, where there are keys. */
static enum tq_status tell_of_row(const struct shell_vectors *v, const char *what, int64_t row) {
    char *key = NULL,
         *sql = sqlite3_mprintf("SELECT \"%w\" FROM %s WHERE rowid = %lld", v->key, v->quoted, (long long)row);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = shell_session_value(v->session, sql, NULL, &key);
    if (status == TQ_OK)
        (void)fprintf(stderr, "no %s is '%s': taken for rowid %lld, '%s'\n", v->key, what, (long long)row,
                      key == NULL ? "" : key);
    sqlite3_free(sql);
    sqlite3_free(key);
    return status;
}

enum tq_status shell_query_row(const struct shell_vectors *v, const char *what, struct shell_query *query,
                               bool *found) {
    *found = false;
    if (v->key != NULL) {
        char *condition = sqlite3_mprintf("\"%w\" = ?1", v->key);
        if (condition == NULL) return tq_fail(TQ_NOMEM, "out of memory");
        enum tq_status status = look_up(v, condition, what, query, found);
        sqlite3_free(condition);
        TQ_TRY(status);
    }
    if (*found || !is_integer(what)) return TQ_OK;
    TQ_TRY(look_up(v, "rowid = CAST(?1 AS INTEGER)", what, query, found));
    return *found && v->key != NULL ? tell_of_row(v, what, query->row) : TQ_OK;
}

/* ---- A file ---- */

static enum tq_status append_vector(const struct shell_vectors *v, const struct tq_value *value, const char *place,
                                    struct shell_query *query, sqlite3_str *out) {
    if (value->type != TQ_TYPE_VECTOR) return tq_fail(TQ_MISUSE, "%s: there is no vector", place);
    if (value->size != (size_t)v->dim)
        return tq_fail(TQ_MISUSE, "%s: %zu dimensions; %s.%s has %lld", place, value->size, v->table.name, v->column,
                       (long long)v->dim);
    for (size_t i = 0; i < value->size; i++) {
        double element = (double)value->vector[i];
        if (!isfinite(element)) return tq_fail(TQ_MISUSE, "%s: element %zu is not finite", place, i);
        sqlite3_str_appendf(out, "%s%!.9g", i > 0 ? "," : query->count > 0 ? ",[" : "[[", element);
    }
    sqlite3_str_appendchar(out, 1, ']');
    query->count++;
    return TQ_OK;
}

static enum tq_status read_rows(const struct shell_vectors *v, tq_reader *reader, size_t most,
                                struct shell_query *query, sqlite3_str *out) {
    const struct tq_value *row = NULL;
    size_t vector = tq_reader_get_info(reader)->vector;
    if (vector == tq_reader_get_info(reader)->column_count)
        return tq_fail(TQ_MISUSE, "%s: there is no vector", tq_reader_place(reader));
    for (;;) {
        TQ_TRY(tq_reader_next(reader, &row));
        query->more = row != NULL && query->count == most;
        if (row == NULL || query->more) return TQ_OK;
        TQ_TRY(append_vector(v, &row[vector], tq_reader_place(reader), query, out));
    }
}

/* A file of nothing but numbers: one vector a line, or, where a bracket is the first of all, one vector. */
static bool read_numbers(const struct shell_vectors *v, const char *path, char *text, size_t most,
                         struct shell_query *query, sqlite3_str *out, enum tq_status *status) {
    size_t length = strlen(text);
    char *save = NULL, *end = NULL, place[240];
    bool one = text[strspn(text, " \t\r\n")] == '[';
    float *vector = calloc((size_t)v->dim + 1, sizeof *vector);
    if (length == 0 || strspn(text, "0123456789+-.eE,; \t\r\n[]") != length || vector == NULL) {
        free(vector);
        return false;
    }
    for (char *line = strtok_r(text, one ? "[]" : "[]\r\n", &save); line != NULL && *status == TQ_OK;
         line = strtok_r(NULL, one ? "[]" : "[]\r\n", &save)) {
        struct tq_value value = {.type = TQ_TYPE_VECTOR, .vector = vector};
        for (char *at = line; value.size <= (size_t)v->dim; at = end) {
            at += strspn(at, ",; \t\r\n");
            float number = strtof(at, &end);
            if (end == at) break;
            vector[value.size++] = number;
        }
        if (value.size == 0) continue;
        query->more = query->count == most;
        if (query->more) break;
        (void)snprintf(place, sizeof place, "%.200s, vector %zu", path, query->count + 1);
        *status = append_vector(v, &value, place, query, out);
    }
    free(vector);
    return query->count > 0 || *status != TQ_OK;
}

/* Whether the file was one of plain numbers. */
static bool read_text(const struct shell_vectors *v, const char *path, size_t most, struct shell_query *query,
                      sqlite3_str *out, enum tq_status *status) {
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(FILE_BYTES_MOST + 1);
    size_t size = text == NULL ? 0 : fread(text, 1, FILE_BYTES_MOST + 1, file);
    bool good = false;
    if (text != NULL && size <= FILE_BYTES_MOST && memchr(text, '\0', size) == NULL) {
        text[size] = '\0';
        good = read_numbers(v, path, text, most, query, out, status);
    }
    free(text);
    if (file != NULL) (void)fclose(file);
    return good;
}

static enum tq_status read_file(const struct shell_vectors *v, const char *path, size_t most,
                                struct shell_query *query) {
    tq_reader *reader = NULL;
    sqlite3_str *out = sqlite3_str_new(v->session->db);
    enum tq_status status = TQ_OK;
    if (!read_text(v, path, most, query, out, &status)) {
        status = tq_reader_open(path, NULL, &reader);
        if (status == TQ_OK) status = read_rows(v, reader, most, query, out);
        tq_reader_close(reader);
    }
    if (status == TQ_OK && query->count == 0) status = tq_fail(TQ_MISUSE, "%s: there is no vector", path);
    sqlite3_str_appendchar(out, 1, ']');
    query->vectors = sqlite3_str_finish(out);
    if (status == TQ_OK && query->vectors == NULL) status = tq_fail(TQ_NOMEM, "out of memory");
    if (status == TQ_OK && query->count == 1) { /* by itself */
        size_t length = strlen(query->vectors);
        memmove(query->vectors, query->vectors + 1, length - 2);
        query->vectors[length - 2] = '\0';
    }
    if (status != TQ_OK) shell_query_free(query);
    return status;
}

/* ---- Which of them ---- */

/* Keys that match a pattern of GLOB, as a list; sqlite3_free, or NULL where there are none. */
static char *list_keys(const struct shell_vectors *v, const char *pattern) {
    sqlite3_stmt *statement = NULL;
    sqlite3_str *list = sqlite3_str_new(v->session->db);
    enum tq_status status = shell_prepare_format(
        v->session, &statement, "SELECT \"%w\" FROM %s WHERE \"%w\" GLOB ?1 ORDER BY length(\"%w\"), 1 LIMIT %d",
        v->key, v->quoted, v->key, v->key, LIKE_MOST);
    if (status == TQ_OK) (void)sqlite3_bind_text(statement, 1, pattern, -1, SQLITE_STATIC);
    while (status == TQ_OK && sqlite3_step(statement) == SQLITE_ROW)
        sqlite3_str_appendf(list, "%s%s", sqlite3_str_length(list) > 0 ? ", " : "", sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    return sqlite3_str_finish(list);
}

/* "king, kings, kingdom": keys that begin as the text does, or as it does in lower case, as far as any do. */
static char *keys_alike(const struct shell_vectors *v, const char *what) {
    char *lower = NULL, *alike = NULL;
    if (v->key == NULL || strpbrk(what, "*?[") != NULL) return NULL;
    if (shell_session_value(v->session, "SELECT lower(?1)", what, &lower) != TQ_OK || lower == NULL) return NULL;
    for (size_t length = strlen(what); length > 0 && alike == NULL; length--) {
        if (((unsigned char)what[length] & 0xc0) == 0x80) continue; /* in the middle of a character */
        char *pattern = sqlite3_mprintf("%.*s*", (int)length, what);
        alike = pattern == NULL ? NULL : list_keys(v, pattern);
        if (pattern != NULL) memcpy(pattern, lower, length);
        if (alike == NULL && pattern != NULL) alike = list_keys(v, pattern);
        sqlite3_free(pattern);
    }
    sqlite3_free(lower);
    return alike;
}

enum tq_status shell_query_no_row(const struct shell_vectors *v, const char *what) {
    char *alike = keys_alike(v, what);
    enum tq_status status = tq_fail(TQ_NOT_FOUND, "%s has no row %s%s%s", v->table.name, what,
                                    alike == NULL ? "" : "; keys that begin alike: ", alike == NULL ? "" : alike);
    sqlite3_free(alike);
    return status;
}

static enum tq_status nothing_of_all(const struct shell_vectors *v, const char *what) {
    char *alike = keys_alike(v, what);
    enum tq_status status = tq_fail(TQ_NOT_FOUND,
                                    "\"%.80s\" is no %s of %s, no vector as in \"[0.1, 0.2]\", and no file%s%s", what,
                                    v->key == NULL ? v->id : v->key, v->table.name,
                                    alike == NULL ? "" : "; keys that begin alike: ", alike == NULL ? "" : alike);
    sqlite3_free(alike);
    return status;
}

enum tq_status shell_query_read(const struct shell_vectors *v, const char *what, size_t most,
                                struct shell_query *query) {
    struct shell_query read = {.count = 0};
    bool found = false;
    TQ_TRY(shell_query_row(v, what, &read, &found));
    if (!found && what[strspn(what, " \t\n")] == '[') {
        read.vectors = sqlite3_mprintf("%s", what);
        if (read.vectors == NULL) return tq_fail(TQ_NOMEM, "out of memory");
        read.count = 1;
    } else if (!found) {
        if (strchr(what, '/') == NULL && access(what, F_OK) != 0) return nothing_of_all(v, what);
        if (v->session->reach == SHELL_REACH_NOTHING)
            return tq_fail(TQ_MISUSE, "%s: files are not read with -safe", what);
        TQ_TRY(shell_session_refuse_own(v->session, what));
        TQ_TRY(read_file(v, what, most, &read));
    }
    *query = read;
    return TQ_OK;
}
