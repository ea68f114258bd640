/* Rows of a statement as text: for people (table, column, line) or for programs (csv, json). */
#ifndef SHELL_RENDER_H
#define SHELL_RENDER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

#include "src/tq.h"

enum shell_mode { SHELL_TABLE, SHELL_CSV, SHELL_JSON, SHELL_LINES, SHELL_COLUMN, SHELL_MODES };
extern const char *const shell_mode_names[SHELL_MODES];

enum shell_headers { SHELL_HEADERS_AUTO /* all but csv */, SHELL_HEADERS_OFF, SHELL_HEADERS_ON };

struct shell_look {
    enum shell_mode mode;
    enum shell_headers headers;
};

struct shell_render {
    FILE *out;
    struct shell_look look;
    sqlite3_stmt *statement;
    int columns;
    unsigned long long rows;

    /* Table and column: the first rows are kept to see how wide they are; later ones must do with that. */
    char **cells;
    size_t kept;
    int *widths;
    bool *numbers; /* a column of nothing else is aligned to the right */
    bool begun;
};

/* For a statement that has columns. begin and row: TQ_NOMEM or TQ_OK. */
enum tq_status shell_render_begin(struct shell_render *render, sqlite3_stmt *statement, struct shell_look look,
                                  FILE *out);
enum tq_status shell_render_row(struct shell_render *render); /* the row the statement stands on */

/* Also after a failure, then not `complete`: what has been kept is printed and released. */
void shell_render_end(struct shell_render *render, bool complete);

/* How many columns of a terminal a text takes. */
int shell_text_width(const char *text);

#endif
