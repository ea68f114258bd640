#include "shell/cell.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/base/vector_blob.h"

static void append_replacement(sqlite3_str *out) { sqlite3_str_appendall(out, "\xef\xbf\xbd"); }

/* ---- Plain ---- */

void shell_append_plain(sqlite3_str *out, const char *plain, int size) {
    const unsigned char *text = (const unsigned char *)plain;
    for (int i = 0; i < size;) {
        int bytes = (int)tq_utf8_bytes((const char *)text + i, (size_t)(size - i));
        unsigned char c = text[i];
        bool control = c < 0x20 || c == 0x7f || (bytes == 2 && c == 0xc2 && text[i + 1] < 0xa0);
        if (c == '\n')
            sqlite3_str_appendall(out, "\\n");
        else if (c == '\t')
            sqlite3_str_appendall(out, "\\t");
        else if (control)
            sqlite3_str_appendf(out, "\\x%02x", bytes == 2 ? text[i + 1] : c);
        else if (bytes == 0)
            append_replacement(out);
        else
            sqlite3_str_append(out, (const char *)text + i, bytes);
        i += bytes == 0 ? 1 : bytes;
    }
}

static void append_vector(sqlite3_str *out, const uint8_t *blob, int count) {
    enum { SHOWN = 3 };
    sqlite3_str_appendf(out, "<%d float%s:", count, count == 1 ? "" : "s");
    for (int i = 0; i < count && i < SHOWN; i++) {
        float value;
        memcpy(&value, blob + 4 * i, sizeof value);
        sqlite3_str_appendf(out, "%s %.3g", i == 0 ? "" : ",", (double)value);
    }
    sqlite3_str_appendall(out, count > SHOWN ? ", ...>" : ">");
}

static void append_hexadecimal(sqlite3_str *out, const uint8_t *blob, int size) {
    static const char digits[] = "0123456789abcdef";
    char part[256];
    int used = 0;
    for (int i = 0; i < size; i++) {
        part[used++] = digits[blob[i] >> 4];
        part[used++] = digits[blob[i] & 15];
        if (used < (int)sizeof part && i + 1 < size) continue;
        sqlite3_str_append(out, part, used);
        used = 0;
    }
}

static void append_plain_blob(sqlite3_str *out, const uint8_t *blob, int size) {
    enum { SHOWN = 8 };
    if (tq_blob_is_vector(blob, (size_t)size)) {
        append_vector(out, blob, size / 4);
        return;
    }
    sqlite3_str_appendf(out, "<%d byte%s%s", size, size == 1 ? "" : "s", size > 0 ? ": " : "");
    append_hexadecimal(out, blob, size < SHOWN ? size : SHOWN);
    sqlite3_str_appendall(out, size > SHOWN ? "...>" : ">");
}

void shell_cell_plain(sqlite3_str *out, sqlite3_stmt *statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_BLOB:
        append_plain_blob(out, sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
        break;
    default:
        shell_append_plain(out, (const char *)sqlite3_column_text(statement, column),
                           sqlite3_column_bytes(statement, column));
    }
}

/* ---- List and CSV ---- */

void shell_append_csv(sqlite3_str *out, const char *text, const char *separator) {
    if (text[0] != '\0' && strpbrk(text, "\"\r\n") == NULL && (*separator == '\0' || strstr(text, separator) == NULL)) {
        sqlite3_str_appendall(out, text);
        return;
    }
    sqlite3_str_appendchar(out, 1, '"');
    for (; *text != '\0'; text++) sqlite3_str_appendchar(out, *text == '"' ? 2 : 1, *text);
    sqlite3_str_appendchar(out, 1, '"');
}

static const char *text_of(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text == NULL ? "" : text;
}

void shell_cell_text(sqlite3_str *out, sqlite3_stmt *statement, int column) {
    if (sqlite3_column_type(statement, column) == SQLITE_BLOB)
        append_hexadecimal(out, sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
    else
        sqlite3_str_appendall(out, text_of(statement, column));
}

void shell_cell_csv(sqlite3_str *out, sqlite3_stmt *statement, int column, const char *separator) {
    if (sqlite3_column_type(statement, column) == SQLITE_BLOB)
        shell_cell_text(out, statement, column);
    else
        shell_append_csv(out, text_of(statement, column), separator);
}

/* ---- JSON ---- */

void shell_append_json(sqlite3_str *out, const char *text, int size) {
    const unsigned char *at = (const unsigned char *)text;
    sqlite3_str_appendchar(out, 1, '"');
    for (int i = 0; i < size;) {
        int bytes = (int)tq_utf8_bytes(text + i, (size_t)(size - i));
        if (bytes == 0)
            append_replacement(out);
        else if (at[i] == '"' || at[i] == '\\')
            sqlite3_str_appendf(out, "\\%c", at[i]);
        else if (at[i] == '\n')
            sqlite3_str_appendall(out, "\\n");
        else if (at[i] < 0x20)
            sqlite3_str_appendf(out, "\\u%04x", at[i]);
        else
            sqlite3_str_append(out, text + i, bytes);
        i += bytes == 0 ? 1 : bytes;
    }
    sqlite3_str_appendchar(out, 1, '"');
}

/* 15 digits where they say it all, else 17. These by the C library: SQLite's are not always the nearest. */
static void append_real(sqlite3_str *out, double real) {
    char text[64];
    (void)sqlite3_snprintf(sizeof text, text, "%!.15g", real);
    if (!isinf(real) && strtod(text, NULL) != real) {
        int size = snprintf(text, sizeof text, "%.17g", real);
        if (strpbrk(text, ".e") == NULL) (void)snprintf(text + size, sizeof text - (size_t)size, ".0");
    }
    sqlite3_str_appendall(out, !isinf(real) ? text : real > 0 ? "1e999" : "-1e999");
}

void shell_cell_json(sqlite3_str *out, sqlite3_stmt *statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL: sqlite3_str_appendall(out, "null"); break;
    case SQLITE_INTEGER: sqlite3_str_appendf(out, "%lld", sqlite3_column_int64(statement, column)); break;
    case SQLITE_FLOAT: append_real(out, sqlite3_column_double(statement, column)); break;
    case SQLITE_BLOB:
        sqlite3_str_appendchar(out, 1, '"');
        append_hexadecimal(out, sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
        sqlite3_str_appendchar(out, 1, '"');
        break;
    default: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        shell_append_json(out, text == NULL ? "" : text, sqlite3_column_bytes(statement, column));
    }
    }
}

/* ---- SQL ---- */

void shell_append_name(sqlite3_str *out, const char *name) {
    size_t size = strlen(name);
    bool plain = isalpha((unsigned char)name[0]) || name[0] == '_' || (name[0] & 0x80) != 0; /* as SQLite's tokenizer */
    for (size_t i = 0; i < size && plain; i++)
        plain = isalnum((unsigned char)name[i]) || name[i] == '_' || (name[i] & 0x80) != 0;
    if (plain && !sqlite3_keyword_check(name, (int)size))
        sqlite3_str_appendall(out, name);
    else
        sqlite3_str_appendf(out, "\"%w\"", name);
}

/* Literals cannot hold NUL bytes, and what is no UTF-8 should not depend on who reads it. */
static void append_odd_text(sqlite3_str *out, const char *text, int size) {
    sqlite3_str_appendall(out, "CAST(X'");
    append_hexadecimal(out, (const uint8_t *)text, size);
    sqlite3_str_appendall(out, "' AS TEXT)");
}

/* A mark that stands for a line's end and does not occur in the text. */
static void find_mark(const char *text, const char *first, char *mark, size_t size) {
    (void)snprintf(mark, size, "%s", first);
    for (unsigned i = 0; strstr(text, mark) != NULL; i++) (void)snprintf(mark, size, "(%s%u)", first, i);
}

static void append_until_quotes(sqlite3_str *out, const char *text, const char *line, const char *back) {
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            sqlite3_str_appendall(out, line);
        else if (*text == '\r')
            sqlite3_str_appendall(out, back);
        else
            sqlite3_str_appendchar(out, *text == '\'' ? 2 : 1, *text);
    }
}

/* Whoever reads lines may change their ends: as sqlite3, put them together when the SQL runs. */
static void append_text_literal(sqlite3_str *out, const char *text) {
    char line[24] = "", back[24] = "";
    bool has_line = strchr(text, '\n') != NULL, has_back = strchr(text, '\r') != NULL;
    if (has_line) find_mark(text, "\\n", line, sizeof line);
    if (has_back) find_mark(text, "\\r", back, sizeof back);
    sqlite3_str_appendf(out, "%s%s'", has_line ? "replace(" : "", has_back ? "replace(" : "");
    append_until_quotes(out, text, line, back);
    sqlite3_str_appendchar(out, 1, '\'');
    if (has_back) sqlite3_str_appendf(out, ",'%s',char(13))", back);
    if (has_line) sqlite3_str_appendf(out, ",'%s',char(10))", line);
}

void shell_cell_literal(sqlite3_str *out, sqlite3_stmt *statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL: sqlite3_str_appendall(out, "NULL"); break;
    case SQLITE_INTEGER: sqlite3_str_appendf(out, "%lld", sqlite3_column_int64(statement, column)); break;
    case SQLITE_FLOAT: append_real(out, sqlite3_column_double(statement, column)); break;
    case SQLITE_BLOB:
        sqlite3_str_appendall(out, "X'");
        append_hexadecimal(out, sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
        sqlite3_str_appendchar(out, 1, '\'');
        break;
    default: {
        const char *text = text_of(statement, column);
        size_t size = (size_t)sqlite3_column_bytes(statement, column);
        if (memchr(text, '\0', size) != NULL || tq_utf8_check(text, size) != size)
            append_odd_text(out, text, (int)size);
        else
            append_text_literal(out, text);
    }
    }
}
