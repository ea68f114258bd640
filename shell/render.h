/* Rows of a statement as text: for people (table, box, column, line, markdown) or for programs. */
#ifndef SHELL_RENDER_H
#define SHELL_RENDER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

#include "src/tq.h"

enum shell_mode {
    SHELL_TABLE,
    SHELL_BOX,
    SHELL_COLUMN,
    SHELL_MARKDOWN,
    SHELL_LINES,
    SHELL_LIST,
    SHELL_TABS,
    SHELL_CSV,
    SHELL_JSON,
    SHELL_JSONL,
    SHELL_QUOTE,
    SHELL_INSERT,
    SHELL_HTML,
    SHELL_MODES
};
extern const char *const shell_mode_names[SHELL_MODES];

/* False if there is no such mode. */
bool shell_mode_find(const char *name, enum shell_mode *mode);
bool shell_mode_is_for_people(enum shell_mode mode);

enum shell_headers { SHELL_HEADERS_AUTO /* in modes for people */, SHELL_HEADERS_OFF, SHELL_HEADERS_ON };

enum { SHELL_WIDTHS_MAX = 64 };

struct shell_look {
    enum shell_mode mode;
    enum shell_headers headers;
    char *null;                     /* of .nullvalue; NULL: the mode's own */
    char *column_separator;         /* of .separator; NULL: the mode's own */
    char *row_separator;            /* the same */
    char *table;                    /* of mode insert; NULL: "table" */
    short widths[SHELL_WIDTHS_MAX]; /* of .width; 0: as wide as needed, negative: aligned to the right */
    int wrap;                       /* a cell takes more lines beyond this; 0: never */
    bool color;
};

struct shell_grid;

struct shell_render {
    FILE *out;
    const struct shell_look *look;
    sqlite3_stmt *statement;
    int columns;
    unsigned long long rows;
    struct shell_grid *grid; /* NULL in modes without columns of equal width */
};

/* For a statement that has columns. `look` must stay until the end. begin and row: TQ_NOMEM or TQ_OK. */
enum tq_status shell_render_begin(struct shell_render *render, sqlite3_stmt *statement, const struct shell_look *look,
                                  FILE *out);
enum tq_status shell_render_row(struct shell_render *render); /* the row the statement stands on */

/* Also after a failure, then not `complete`: what has been kept is printed and released. */
void shell_render_end(struct shell_render *render, bool complete);

/* How many columns of a terminal a text takes. */
int shell_text_width(const char *text);

#endif
