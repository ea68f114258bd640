/* Line, list, tabs, csv, json, jsonl, quote, insert and html: row by row. */
#include <string.h>

#include "shell/cell.h"
#include "shell/modes.h"
#include "src/base/base.h"

static const char *name_of(const struct shell_render *render, int column) {
    const char *name = sqlite3_column_name(render->statement, column);
    return name == NULL ? "" : name; /* memory was short */
}

static bool is_null(const struct shell_render *render, int column) {
    return sqlite3_column_type(render->statement, column) == SQLITE_NULL;
}

/* ---- Separated by something ---- */

static const char *column_separator(const struct shell_look *look) {
    if (look->column_separator != NULL) return look->column_separator;
    return look->mode == SHELL_LIST ? "|" : look->mode == SHELL_TABS ? "\t" : ",";
}

static const char *row_separator(const struct shell_look *look) {
    return look->row_separator != NULL ? look->row_separator : "\n";
}

static void append_header_cell(sqlite3_str *built, const struct shell_render *render, int column) {
    const char *name = name_of(render, column);
    switch (render->look->mode) {
    case SHELL_CSV: shell_append_csv(built, name, column_separator(render->look)); break;
    case SHELL_QUOTE: sqlite3_str_appendf(built, "%Q", name); break;
    default: sqlite3_str_appendall(built, name);
    }
}

static void append_cell(sqlite3_str *built, const struct shell_render *render, int column) {
    if (render->look->mode == SHELL_QUOTE)
        shell_cell_literal(built, render->statement, column);
    else if (is_null(render, column))
        sqlite3_str_appendall(built, shell_mode_null(render->look));
    else if (render->look->mode == SHELL_CSV)
        shell_cell_csv(built, render->statement, column, column_separator(render->look));
    else
        shell_cell_text(built, render->statement, column);
}

static enum tq_status separated_row(const struct shell_render *render, bool header) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    for (int i = 0; i < render->columns; i++) {
        if (i > 0) sqlite3_str_appendall(built, column_separator(render->look));
        if (header)
            append_header_cell(built, render, i);
        else
            append_cell(built, render, i);
    }
    sqlite3_str_appendall(built, row_separator(render->look));
    return shell_mode_print(render->out, built);
}

/* ---- Line ---- */

static enum tq_status line_row(const struct shell_render *render) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    const char *bold = render->look->color ? "\033[1m" : "", *plain = render->look->color ? "\033[0m" : "";
    int widest = 0;
    for (int i = 0; i < render->columns; i++) {
        int width = shell_text_width(name_of(render, i));
        if (width > widest) widest = width;
    }
    if (render->rows > 0) sqlite3_str_appendchar(built, 1, '\n');
    for (int i = 0; i < render->columns; i++) {
        const char *name = name_of(render, i);
        sqlite3_str_appendchar(built, widest - shell_text_width(name), ' ');
        sqlite3_str_appendf(built, "%s%s%s = ", bold, name, plain);
        if (is_null(render, i))
            sqlite3_str_appendall(built, shell_mode_null(render->look));
        else
            shell_cell_plain(built, render->statement, i);
        sqlite3_str_appendchar(built, 1, '\n');
    }
    return shell_mode_print(render->out, built);
}

/* ---- JSON ---- */

static enum tq_status json_row(const struct shell_render *render) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    bool lines = render->look->mode == SHELL_JSONL;
    if (!lines) sqlite3_str_appendall(built, render->rows == 0 ? "[" : ",\n ");
    for (int i = 0; i < render->columns; i++) {
        const char *name = name_of(render, i);
        sqlite3_str_appendall(built, i == 0 ? "{" : ",");
        shell_append_json(built, name, (int)strlen(name));
        sqlite3_str_appendchar(built, 1, ':');
        shell_cell_json(built, render->statement, i);
    }
    sqlite3_str_appendall(built, lines ? "}\n" : "}");
    return shell_mode_print(render->out, built);
}

/* ---- SQL ---- */

static enum tq_status insert_row(const struct shell_render *render) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    const char *table = render->look->table == NULL ? "table" : render->look->table;
    sqlite3_str_appendall(built, "INSERT INTO ");
    shell_append_name(built, table);
    for (int i = 0; shell_mode_has_headers(render->look) && i < render->columns; i++) {
        sqlite3_str_appendall(built, i == 0 ? "(" : ",");
        shell_append_name(built, name_of(render, i));
        if (i + 1 == render->columns) sqlite3_str_appendall(built, ")");
    }
    sqlite3_str_appendall(built, " VALUES(");
    for (int i = 0; i < render->columns; i++) {
        if (i > 0) sqlite3_str_appendall(built, ",");
        shell_cell_literal(built, render->statement, i);
    }
    sqlite3_str_appendall(built, ");\n");
    return shell_mode_print(render->out, built);
}

/* ---- HTML ---- */

static void append_html(sqlite3_str *built, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': sqlite3_str_appendall(built, "&lt;"); break;
        case '>': sqlite3_str_appendall(built, "&gt;"); break;
        case '&': sqlite3_str_appendall(built, "&amp;"); break;
        case '"': sqlite3_str_appendall(built, "&quot;"); break;
        case '\'': sqlite3_str_appendall(built, "&#39;"); break;
        default: sqlite3_str_appendchar(built, 1, *text);
        }
    }
}

static enum tq_status html_row(const struct shell_render *render, bool header) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    sqlite3_str_appendall(built, "<TR>");
    for (int i = 0; i < render->columns; i++) {
        sqlite3_str_appendall(built, header ? "<TH>" : "<TD>");
        if (header) {
            append_html(built, name_of(render, i));
        } else if (is_null(render, i)) {
            append_html(built, shell_mode_null(render->look));
        } else {
            sqlite3_str *cell = sqlite3_str_new(NULL);
            shell_cell_plain(cell, render->statement, i);
            char *text = sqlite3_str_finish(cell);
            append_html(built, text == NULL ? "" : text);
            sqlite3_free(text);
        }
        sqlite3_str_appendall(built, header ? "</TH>\n" : "</TD>\n");
    }
    sqlite3_str_appendall(built, "</TR>\n");
    return shell_mode_print(render->out, built);
}

/* ---- All ---- */

enum tq_status shell_text_begin(struct shell_render *render) {
    if (!shell_mode_has_headers(render->look)) return TQ_OK;
    switch (render->look->mode) {
    case SHELL_LIST:
    case SHELL_TABS:
    case SHELL_CSV:
    case SHELL_QUOTE: return separated_row(render, true);
    case SHELL_HTML: return html_row(render, true);
    default: return TQ_OK;
    }
}

enum tq_status shell_text_row(struct shell_render *render) {
    switch (render->look->mode) {
    case SHELL_LINES: return line_row(render);
    case SHELL_JSON:
    case SHELL_JSONL: return json_row(render);
    case SHELL_INSERT: return insert_row(render);
    case SHELL_HTML: return html_row(render, false);
    default: return separated_row(render, false);
    }
}

void shell_text_end(struct shell_render *render, bool complete) {
    if (render->look->mode != SHELL_JSON) return;
    if (render->rows > 0)
        (void)fputs("]\n", render->out);
    else if (complete)
        (void)fputs("[]\n", render->out);
}
