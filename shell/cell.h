/* One value as text. */
#ifndef SHELL_CELL_H
#define SHELL_CELL_H

#include <sqlite3.h>

/* For people, plain; a blob that holds floats is `<100 floats: 0.12, -0.3, ...>`. */
void shell_cell_plain(sqlite3_str *out, sqlite3_stmt *statement, int column);
/* For programs; blobs are hexadecimal. */
void shell_cell_text(sqlite3_str *out, sqlite3_stmt *statement, int column);
void shell_cell_csv(sqlite3_str *out, sqlite3_stmt *statement, int column, const char *separator);
void shell_cell_json(sqlite3_str *out, sqlite3_stmt *statement, int column);
/* SQL that gives the same value, on one line. */
void shell_cell_literal(sqlite3_str *out, sqlite3_stmt *statement, int column);

/* Control characters are shown, not obeyed. */
void shell_append_plain(sqlite3_str *out, const char *text, int size);
void shell_append_csv(sqlite3_str *out, const char *text, const char *separator);
void shell_append_json(sqlite3_str *out, const char *text, int size);
/* The name of a table or column, quoted where SQL needs it. */
void shell_append_name(sqlite3_str *out, const char *name);

#endif
