#include "shell/render.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "shell/cell.h"
#include "src/base/base.h"

enum { KEPT_ROWS = 1000 };

const char *const shell_mode_names[SHELL_MODES] = {"table", "csv", "json", "line", "column"};

int shell_text_width(const char *text) {
    mbstate_t state = {0};
    int width = 0;
    for (size_t left = strlen(text); left > 0;) {
        wchar_t character;
        size_t bytes = mbrtowc(&character, text, left, &state);
        int one = 1;
        if (bytes == (size_t)-1 || bytes == (size_t)-2 || bytes == 0) {
            bytes = 1;
            memset(&state, 0, sizeof state);
        } else {
            one = wcwidth(character);
        }
        width += one < 0 ? 1 : one;
        text += bytes;
        left -= bytes;
    }
    return width;
}

static bool has_headers(const struct shell_render *render) {
    if (render->look.headers != SHELL_HEADERS_AUTO) return render->look.headers == SHELL_HEADERS_ON;
    return render->look.mode != SHELL_CSV;
}

static void fill(FILE *out, char c, int count) {
    for (int i = 0; i < count; i++) (void)fputc(c, out);
}

/* Print what was built, or say that memory was short. */
static enum tq_status print_built(FILE *out, sqlite3_str *built) {
    char *text = sqlite3_str_finish(built);
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    (void)fputs(text, out);
    sqlite3_free(text);
    return TQ_OK;
}

/* ---- Table and column ---- */

static void print_rule(const struct shell_render *render) {
    bool table = render->look.mode == SHELL_TABLE;
    for (int i = 0; i < render->columns; i++) {
        (void)fputs(table ? "+-" : i > 0 ? "  " : "", render->out);
        fill(render->out, '-', render->widths[i]);
        if (table) (void)fputc('-', render->out);
    }
    (void)fputs(table ? "+\n" : "\n", render->out);
}

static void print_grid_row(const struct shell_render *render, char **cells) {
    bool table = render->look.mode == SHELL_TABLE;
    for (int i = 0; i < render->columns; i++) {
        int blanks = render->widths[i] - shell_text_width(cells[i]);
        bool last = i + 1 == render->columns && !table; /* no blanks at the end of a line */
        (void)fputs(table ? (i > 0 ? " | " : "| ") : i > 0 ? "  " : "", render->out);
        if (render->numbers[i]) fill(render->out, ' ', blanks);
        (void)fputs(cells[i], render->out);
        if (!render->numbers[i] && !last) fill(render->out, ' ', blanks);
    }
    (void)fputs(table ? " |\n" : "\n", render->out);
}

static void free_cells(char **cells, size_t count) {
    for (size_t i = 0; i < count; i++) sqlite3_free(cells[i]);
}

/* Header and kept rows: their widths are known now. */
static void begin_grid(struct shell_render *render) {
    size_t columns = (size_t)render->columns;
    render->begun = true;
    for (size_t i = 0; i < (render->kept + 1) * columns; i++) {
        int width = i < columns && !has_headers(render) ? 0 : shell_text_width(render->cells[i]);
        if (width > render->widths[i % columns]) render->widths[i % columns] = width;
    }
    if (render->look.mode == SHELL_TABLE) print_rule(render);
    if (has_headers(render)) {
        print_grid_row(render, render->cells);
        print_rule(render);
    }
    for (size_t row = 1; row <= render->kept; row++) print_grid_row(render, render->cells + row * columns);
}

/* cells: char *[columns], out. */
static enum tq_status make_cells(struct shell_render *render, char **cells) {
    for (int i = 0; i < render->columns; i++) {
        sqlite3_str *built = sqlite3_str_new(NULL);
        shell_cell_plain(built, render->statement, i);
        bool failed = sqlite3_str_errcode(built) != SQLITE_OK;
        cells[i] = sqlite3_str_finish(built);
        if (cells[i] == NULL && !failed) cells[i] = sqlite3_mprintf("%s", ""); /* an empty text is built as NULL */
        if (cells[i] == NULL) {
            free_cells(cells, (size_t)i);
            return tq_fail(TQ_NOMEM, "out of memory");
        }
        int type = sqlite3_column_type(render->statement, i);
        if (!render->begun && type != SQLITE_INTEGER && type != SQLITE_FLOAT && type != SQLITE_NULL) {
            render->numbers[i] = false;
        }
    }
    return TQ_OK;
}

static enum tq_status grid_row(struct shell_render *render) {
    size_t columns = (size_t)render->columns, place = render->begun ? 1 : render->kept + 1;
    char **cells = render->cells + place * columns;
    if (render->begun) free_cells(cells, columns);
    if (render->begun) memset(cells, 0, columns * sizeof *cells);
    TQ_TRY(make_cells(render, cells));
    if (render->begun) {
        print_grid_row(render, cells);
    } else if (++render->kept == KEPT_ROWS) {
        begin_grid(render);
    }
    return TQ_OK;
}

static enum tq_status grid_open(struct shell_render *render) {
    size_t columns = (size_t)render->columns;
    render->cells = calloc((KEPT_ROWS + 1) * columns, sizeof *render->cells);
    render->widths = calloc(columns, sizeof *render->widths);
    render->numbers = calloc(columns, sizeof *render->numbers);
    if (render->cells == NULL || render->widths == NULL || render->numbers == NULL) {
        return tq_fail(TQ_NOMEM, "out of memory");
    }
    for (int i = 0; i < render->columns; i++) {
        render->numbers[i] = true;
        render->cells[i] = sqlite3_mprintf("%s", sqlite3_column_name(render->statement, i));
        if (render->cells[i] == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    }
    return TQ_OK;
}

/* ---- Line, csv, json ---- */

static enum tq_status line_row(struct shell_render *render) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    int widest = 0;
    for (int i = 0; i < render->columns; i++) {
        int width = shell_text_width(sqlite3_column_name(render->statement, i));
        if (width > widest) widest = width;
    }
    if (render->rows > 0) sqlite3_str_appendchar(built, 1, '\n');
    for (int i = 0; i < render->columns; i++) {
        const char *name = sqlite3_column_name(render->statement, i);
        sqlite3_str_appendchar(built, widest - shell_text_width(name), ' ');
        sqlite3_str_appendf(built, "%s = ", name);
        shell_cell_plain(built, render->statement, i);
        sqlite3_str_appendchar(built, 1, '\n');
    }
    return print_built(render->out, built);
}

static enum tq_status csv_row(struct shell_render *render, bool header) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    for (int i = 0; i < render->columns; i++) {
        if (i > 0) sqlite3_str_appendchar(built, 1, ',');
        if (header)
            shell_append_csv(built, sqlite3_column_name(render->statement, i));
        else
            shell_cell_csv(built, render->statement, i);
    }
    sqlite3_str_appendchar(built, 1, '\n');
    return print_built(render->out, built);
}

static enum tq_status json_row(struct shell_render *render) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    sqlite3_str_appendall(built, render->rows == 0 ? "[" : ",\n ");
    for (int i = 0; i < render->columns; i++) {
        const char *name = sqlite3_column_name(render->statement, i);
        sqlite3_str_appendall(built, i == 0 ? "{" : ",");
        shell_append_json(built, name, (int)strlen(name));
        sqlite3_str_appendchar(built, 1, ':');
        shell_cell_json(built, render->statement, i);
    }
    sqlite3_str_appendchar(built, 1, '}');
    return print_built(render->out, built);
}

/* ---- All modes ---- */

static bool is_grid(const struct shell_render *render) {
    return render->look.mode == SHELL_TABLE || render->look.mode == SHELL_COLUMN;
}

enum tq_status shell_render_begin(struct shell_render *render, sqlite3_stmt *statement, struct shell_look look,
                                  FILE *out) {
    *render = (struct shell_render){.out = out, .look = look, .statement = statement};
    render->columns = sqlite3_column_count(statement);
    if (is_grid(render)) return grid_open(render);
    return look.mode == SHELL_CSV && has_headers(render) ? csv_row(render, true) : TQ_OK;
}

enum tq_status shell_render_row(struct shell_render *render) {
    enum tq_status status = TQ_OK;
    switch (render->look.mode) {
    case SHELL_CSV: status = csv_row(render, false); break;
    case SHELL_JSON: status = json_row(render); break;
    case SHELL_LINES: status = line_row(render); break;
    default: status = grid_row(render);
    }
    if (status == TQ_OK) render->rows++;
    return status;
}

void shell_render_end(struct shell_render *render, bool complete) {
    if (render->look.mode == SHELL_JSON && render->rows > 0)
        (void)fputs("]\n", render->out);
    else if (render->look.mode == SHELL_JSON && complete)
        (void)fputs("[]\n", render->out);
    if (is_grid(render) && render->cells != NULL && render->widths != NULL && render->numbers != NULL) {
        bool any = render->rows > 0;
        if (any && !render->begun) begin_grid(render);
        if (any && render->look.mode == SHELL_TABLE) print_rule(render);
        free_cells(render->cells, (KEPT_ROWS + 1) * (size_t)render->columns);
    }
    free(render->cells);
    free(render->widths);
    free(render->numbers);
}
