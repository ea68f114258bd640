/* Table, box, column and markdown: cells below each other. */
#include <stdlib.h>
#include <string.h>

#include "shell/cell.h"
#include "shell/modes.h"
#include "src/base/base.h"

enum { KEPT_ROWS = 1000 };

struct shell_grid {
    char **cells; /* header, kept rows; then the header and the row that is printed */
    bool *nulls;  /* of each */
    size_t kept;
    int *widths, *limits; /* limits: cells beyond take more lines; 0: none */
    bool *right;          /* aligned so: a column of nothing but numbers */
    bool *chosen;         /* by .width */
    const char **rest;    /* of the cells of a row, while its lines are printed */
    bool begun;
};

/* What stands around cells. */
struct frame {
    const char *left, *between, *right; /* of a row */
    const char *fill;
    const char *top[3], *middle[3], *bottom[3]; /* left, crossing, right; NULL: no such line */
};

static const struct frame frames[] = {
    [SHELL_TABLE] = {"| ", " | ", " |", "-", {"+-", "-+-", "-+"}, {"+-", "-+-", "-+"}, {"+-", "-+-", "-+"}},
    [SHELL_BOX] = {"│ ", " │ ", " │", "─", {"┌─", "─┬─", "─┐"}, {"├─", "─┼─", "─┤"}, {"└─", "─┴─", "─┘"}},
    [SHELL_COLUMN] = {"", "  ", "", "-", {NULL}, {"", "  ", ""}, {NULL}},
    [SHELL_MARKDOWN] = {"| ", " | ", " |", "-", {NULL}, {"|-", "-|-", "-|"}, {NULL}},
};

static const struct frame *frame_of(const struct shell_render *render) { return &frames[render->look->mode]; }

static void fill(FILE *out, const char *with, int count) {
    for (int i = 0; i < count; i++) (void)fputs(with, out);
}

/* The line below the header of a markdown table says how columns are aligned. */
static void print_markdown_rule(const struct shell_render *render) {
    const struct shell_grid *grid = render->grid;
    for (int i = 0; i < render->columns; i++) {
        (void)fputs("|-", render->out);
        fill(render->out, "-", grid->widths[i]);
        (void)fputs(grid->right[i] ? ":" : "-", render->out);
    }
    (void)fputs("|\n", render->out);
}

static void print_rule(const struct shell_render *render, const char *const *parts) {
    if (parts[0] == NULL) return;
    if (render->look->mode == SHELL_MARKDOWN) {
        print_markdown_rule(render);
        return;
    }
    (void)fputs(parts[0], render->out);
    for (int i = 0; i < render->columns; i++) {
        if (i > 0) (void)fputs(parts[1], render->out);
        fill(render->out, frame_of(render)->fill, render->grid->widths[i]);
    }
    (void)fputs(parts[2], render->out);
    (void)fputc('\n', render->out);
}

/* One line of one cell; what did not fit stays in rest. Returns whether something stays. */
static bool print_cell(const struct shell_render *render, int column, const char *style, bool last) {
    struct shell_grid *grid = render->grid;
    const char *text = grid->rest[column];
    int width = grid->widths[column], taken = 0;
    size_t size = grid->limits[column] > 0 ? shell_text_fit(text, grid->limits[column], &taken) : strlen(text);
    if (grid->limits[column] == 0) taken = shell_text_width(text);
    if (grid->right[column]) fill(render->out, " ", width - taken);
    if (style != NULL && size > 0) (void)fputs(style, render->out);
    (void)fwrite(text, 1, size, render->out);
    if (style != NULL && size > 0) (void)fputs("\033[0m", render->out);
    if (!grid->right[column] && !last) fill(render->out, " ", width - taken);
    grid->rest[column] = text + size;
    return text[size] != '\0';
}

/* cells, nulls: of this row. */
static void print_row(const struct shell_render *render, char **cells, const bool *nulls, const char *style) {
    const struct frame *frame = frame_of(render);
    struct shell_grid *grid = render->grid;
    for (int i = 0; i < render->columns; i++) grid->rest[i] = cells[i];
    for (bool more = true; more;) {
        more = false;
        (void)fputs(frame->left, render->out);
        for (int i = 0; i < render->columns; i++) {
            const char *own = render->look->color && nulls[i] ? "\033[2m" : style;
            bool last = i + 1 == render->columns && frame->right[0] == '\0'; /* no blanks at the end of a line */
            if (i > 0) (void)fputs(frame->between, render->out);
            more |= print_cell(render, i, own, last);
        }
        (void)fprintf(render->out, "%s\n", frame->right);
    }
}

static void free_cells(char **cells, size_t count) {
    for (size_t i = 0; i < count; i++) sqlite3_free(cells[i]);
}

/* Header and kept rows: their widths are known now. */
static void begin_output(struct shell_render *render) {
    struct shell_grid *grid = render->grid;
    size_t columns = (size_t)render->columns;
    bool headers = shell_mode_has_headers(render->look);
    grid->begun = true;
    for (size_t i = 0; i < (grid->kept + 1) * columns; i++) {
        size_t column = i % columns;
        int width = i < columns && !headers ? 0 : shell_text_width(grid->cells[i]);
        if (grid->limits[column] > 0 && width > grid->limits[column]) width = grid->limits[column];
        if (width > grid->widths[column]) grid->widths[column] = width;
    }
    print_rule(render, frame_of(render)->top);
    if (headers) {
        print_row(render, grid->cells, grid->nulls, render->look->color ? "\033[1m" : NULL);
        print_rule(render, frame_of(render)->middle);
    }
    for (size_t row = 1; row <= grid->kept; row++)
        print_row(render, grid->cells + row * columns, grid->nulls + row * columns, NULL);
}

static char *finish_cell(sqlite3_str *built) {
    bool failed = sqlite3_str_errcode(built) != SQLITE_OK;
    char *text = sqlite3_str_finish(built);
    return text == NULL && !failed ? sqlite3_mprintf("%s", "") : text; /* an empty text is built as NULL */
}

/* A bar would end the cell. */
static char *escape_bars(char *text) {
    if (text == NULL || strchr(text, '|') == NULL) return text;
    sqlite3_str *built = sqlite3_str_new(NULL);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '|') sqlite3_str_appendchar(built, 1, '\\');
        sqlite3_str_appendchar(built, 1, *at);
    }
    sqlite3_free(text);
    return finish_cell(built);
}

static char *make_cell(struct shell_render *render, int column, bool *null) {
    int type = sqlite3_column_type(render->statement, column);
    sqlite3_str *built = sqlite3_str_new(NULL);
    *null = type == SQLITE_NULL;
    if (*null)
        sqlite3_str_appendall(built, shell_mode_null(render->look));
    else
        shell_cell_plain(built, render->statement, column);
    struct shell_grid *grid = render->grid;
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT || *null;
    if (!grid->begun && !number && !grid->chosen[column]) grid->right[column] = false;
    char *text = finish_cell(built);
    return render->look->mode == SHELL_MARKDOWN ? escape_bars(text) : text;
}

enum tq_status shell_grid_row(struct shell_render *render) {
    struct shell_grid *grid = render->grid;
    size_t columns = (size_t)render->columns, place = grid->begun ? 1 : grid->kept + 1;
    char **cells = grid->cells + place * columns;
    bool *nulls = grid->nulls + place * columns;
    if (grid->begun) free_cells(cells, columns);
    if (grid->begun) memset(cells, 0, columns * sizeof *cells);
    for (int i = 0; i < render->columns; i++) {
        cells[i] = make_cell(render, i, &nulls[i]);
        if (cells[i] != NULL) continue;
        free_cells(cells, (size_t)i);
        memset(cells, 0, columns * sizeof *cells);
        return tq_fail(TQ_NOMEM, "out of memory");
    }
    if (grid->begun) {
        print_row(render, cells, nulls, NULL);
    } else if (++grid->kept == KEPT_ROWS) {
        begin_output(render);
    }
    return TQ_OK;
}

/* A column without an alias is called by its expression, which may take several lines. */
static char *plain_name(sqlite3_stmt *statement, int column) {
    const char *name = sqlite3_column_name(statement, column);
    sqlite3_str *plain = sqlite3_str_new(NULL);
    if (name != NULL) shell_append_plain(plain, name, (int)strlen(name));
    char *built = sqlite3_str_finish(plain);
    return built != NULL || name == NULL || *name != '\0' ? built : sqlite3_mprintf(""); /* nothing is built as NULL */
}

static enum tq_status open_columns(struct shell_render *render) {
    struct shell_grid *grid = render->grid;
    for (int i = 0; i < render->columns; i++) {
        int width = i < SHELL_WIDTHS_MAX ? render->look->widths[i] : 0;
        grid->chosen[i] = width != 0;
        grid->right[i] = width <= 0;
        grid->widths[i] = abs(width);
        grid->limits[i] = width != 0 ? abs(width) : render->look->wrap;
        char *name = plain_name(render->statement, i);
        grid->cells[i] = render->look->mode == SHELL_MARKDOWN ? escape_bars(name) : name;
        if (grid->cells[i] == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    }
    return TQ_OK;
}

enum tq_status shell_grid_begin(struct shell_render *render) {
    size_t columns = (size_t)render->columns;
    struct shell_grid *grid = render->grid = calloc(1, sizeof *grid);
    if (grid == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    grid->cells = calloc((KEPT_ROWS + 1) * columns, sizeof *grid->cells);
    grid->nulls = calloc((KEPT_ROWS + 1) * columns, sizeof *grid->nulls);
    grid->widths = calloc(columns, sizeof *grid->widths);
    grid->limits = calloc(columns, sizeof *grid->limits);
    grid->right = calloc(columns, sizeof *grid->right);
    grid->chosen = calloc(columns, sizeof *grid->chosen);
    grid->rest = calloc(columns, sizeof *grid->rest);
    if (grid->cells == NULL || grid->nulls == NULL || grid->widths == NULL || grid->limits == NULL ||
        grid->right == NULL || grid->chosen == NULL || grid->rest == NULL) {
        return tq_fail(TQ_NOMEM, "out of memory");
    }
    return open_columns(render);
}

void shell_grid_end(struct shell_render *render) {
    struct shell_grid *grid = render->grid;
    if (grid == NULL) return;
    if (render->rows > 0) { /* then nothing was short of memory when it began */
        if (!grid->begun) begin_output(render);
        print_rule(render, frame_of(render)->bottom);
    }
    if (grid->cells != NULL) free_cells(grid->cells, (KEPT_ROWS + 1) * (size_t)render->columns);
    free(grid->cells);
    free(grid->nulls);
    free(grid->widths);
    free(grid->limits);
    free(grid->right);
    free(grid->chosen);
    free(grid->rest);
    free(grid);
    render->grid = NULL;
}
