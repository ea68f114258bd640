#include "shell/cell.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 character at `at`; 0: it is none. */
static int character_bytes(const unsigned char *at, int left) {
    int bytes = at[0] < 0x80                    ? 1
                : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                : (at[0] & 0xf0) == 0xe0        ? 3
                : at[0] >= 0xf0                 ? 4
                                                : 0;
    if (bytes == 0 || bytes > left || at[0] > 0xf4) return 0;
    for (int i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    return bytes;
}

static void append_replacement(sqlite3_str *out) { sqlite3_str_appendall(out, "\xef\xbf\xbd"); }

/* ---- Plain ---- */

static void append_plain_text(sqlite3_str *out, const unsigned char *text, int size) {
    for (int i = 0; i < size;) {
        int bytes = character_bytes(text + i, size - i);
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

/* SQLite does not say where a blob comes from. Text and integers, read as floats, are absurdly large or small. */
static bool is_vector(const uint8_t *blob, int size) {
    if (size == 0 || size % 4 != 0) return false;
    for (int i = 0; i < size && i < 4 * 1024; i += 4) {
        float value;
        memcpy(&value, blob + i, sizeof value);
        float magnitude = fabsf(value);
        if (value != 0 && !(magnitude > 1e-20f && magnitude < 1e12f)) return false;
    }
    return true;
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
    for (int i = 0; i < size; i++) sqlite3_str_appendf(out, "%02x", blob[i]);
}

static void append_plain_blob(sqlite3_str *out, const uint8_t *blob, int size) {
    enum { SHOWN = 8 };
    if (is_vector(blob, size)) {
        append_vector(out, blob, size / 4);
        return;
    }
    sqlite3_str_appendf(out, "<%d byte%s%s", size, size == 1 ? "" : "s", size > 0 ? ": " : "");
    append_hexadecimal(out, blob, size < SHOWN ? size : SHOWN);
    sqlite3_str_appendall(out, size > SHOWN ? "...>" : ">");
}

void shell_cell_plain(sqlite3_str *out, sqlite3_stmt *statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL: sqlite3_str_appendall(out, "NULL"); break;
    case SQLITE_BLOB:
        append_plain_blob(out, sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
        break;
    default: append_plain_text(out, sqlite3_column_text(statement, column), sqlite3_column_bytes(statement, column));
    }
}

/* ---- CSV ---- */

void shell_append_csv(sqlite3_str *out, const char *text) {
    if (text[0] != '\0' && strpbrk(text, ",\"\r\n") == NULL) {
        sqlite3_str_appendall(out, text);
        return;
    }
    sqlite3_str_appendchar(out, 1, '"');
    for (; *text != '\0'; text++) sqlite3_str_appendchar(out, *text == '"' ? 2 : 1, *text);
    sqlite3_str_appendchar(out, 1, '"');
}

void shell_cell_csv(sqlite3_str *out, sqlite3_stmt *statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL: break;
    case SQLITE_BLOB:
        append_hexadecimal(out, sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
        break;
    default: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        shell_append_csv(out, text == NULL ? "" : text);
    }
    }
}

/* ---- JSON ---- */

void shell_append_json(sqlite3_str *out, const char *text, int size) {
    const unsigned char *at = (const unsigned char *)text;
    sqlite3_str_appendchar(out, 1, '"');
    for (int i = 0; i < size;) {
        int bytes = character_bytes(at + i, size - i);
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

/* 15 digits where they say it all. */
static void append_real(sqlite3_str *out, double real) {
    char text[64];
    (void)sqlite3_snprintf(sizeof text, text, "%!.15g", real);
    if (isinf(real))
        sqlite3_str_appendall(out, real > 0 ? "1e999" : "-1e999");
    else if (strtod(text, NULL) == real)
        sqlite3_str_appendall(out, text);
    else
        sqlite3_str_appendf(out, "%!.17g", real);
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
