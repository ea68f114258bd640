/* The modes behind render.h. */
#ifndef SHELL_MODES_H
#define SHELL_MODES_H

#include "shell/render.h"

bool shell_mode_has_headers(const struct shell_look *look);

/* How NULL is shown. */
const char *shell_mode_null(const struct shell_look *look);

/* Print what was built, or say that memory was short. */
enum tq_status shell_mode_print(FILE *out, sqlite3_str *built);

/* mode_grid.c: table, box, column, markdown. The first rows are kept to see how wide they are; later ones must do with
 * that. */
enum tq_status shell_grid_begin(struct shell_render *render);
enum tq_status shell_grid_row(struct shell_render *render);
void shell_grid_end(struct shell_render *render);

/* mode_text.c: all others, row by row. */
enum tq_status shell_text_begin(struct shell_render *render);
enum tq_status shell_text_row(struct shell_render *render);
void shell_text_end(struct shell_render *render, bool complete);

/* The first part of a text that fits into `width` columns: at least one character, and the columns it takes. */
size_t shell_text_fit(const char *text, int width, int *taken);

#endif
