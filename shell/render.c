#include "shell/render.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>

#include "shell/modes.h"
#include "src/base/base.h"

const char *const shell_mode_names[SHELL_MODES] = {"table", "box",  "column", "markdown", "line",   "list", "tabs",
                                                   "csv",   "json", "jsonl",  "quote",    "insert", "html"};

bool shell_mode_find(const char *name, enum shell_mode *mode) {
    static const struct {
        const char *name;
        enum shell_mode mode;
    } others[] = {{"lines", SHELL_LINES}, {"columns", SHELL_COLUMN}, {"jsonlines", SHELL_JSONL}};
    for (int i = 0; i < SHELL_MODES; i++) {
        if (strcmp(name, shell_mode_names[i]) != 0) continue;
        *mode = (enum shell_mode)i;
        return true;
    }
    for (size_t i = 0; i < TQ_COUNT(others); i++) {
        if (strcmp(name, others[i].name) != 0) continue;
        *mode = others[i].mode;
        return true;
    }
    return false;
}

bool shell_mode_is_for_people(enum shell_mode mode) { return mode <= SHELL_LINES; }

bool shell_mode_has_headers(const struct shell_look *look) {
    if (look->headers != SHELL_HEADERS_AUTO) return look->headers == SHELL_HEADERS_ON;
    return shell_mode_is_for_people(look->mode);
}

const char *shell_mode_null(const struct shell_look *look) {
    if (look->null != NULL) return look->null;
    return shell_mode_is_for_people(look->mode) ? "NULL" : "";
}

/* The bytes of the first character of `text`, and the columns it takes. */
static size_t measure(const char *text, size_t left, int *columns) {
    mbstate_t state = {0};
    wchar_t character;
    size_t bytes = mbrtowc(&character, text, left, &state);
    *columns = 1;
    if (bytes == (size_t)-1 || bytes == (size_t)-2 || bytes == 0) return 1;
    int width = wcwidth(character);
    if (width >= 0) *columns = width;
    return bytes;
}

int shell_text_width(const char *text) {
    int width = 0, one;
    for (size_t left = strlen(text); left > 0;) {
        size_t bytes = measure(text, left, &one);
        width += one;
        text += bytes;
        left -= bytes;
    }
    return width;
}

size_t shell_text_fit(const char *text, int width, int *taken) {
    size_t size = strlen(text), used = 0;
    int one;
    for (*taken = 0; used < size; *taken += one) {
        size_t bytes = measure(text + used, size - used, &one);
        if (used > 0 && *taken + one > width) return used;
        used += bytes;
    }
    return used;
}

enum tq_status shell_mode_print(FILE *out, sqlite3_str *built) {
    int size = sqlite3_str_length(built);
    bool failed = sqlite3_str_errcode(built) != SQLITE_OK;
    char *text = sqlite3_str_finish(built);
    if (!failed && size > 0) (void)fwrite(text, 1, (size_t)size, out);
    sqlite3_free(text);
    return failed ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

static bool is_grid(enum shell_mode mode) { return mode <= SHELL_MARKDOWN; }

enum tq_status shell_render_begin(struct shell_render *render, sqlite3_stmt *statement, const struct shell_look *look,
                                  FILE *out) {
    *render = (struct shell_render){.out = out, .look = look, .statement = statement};
    render->columns = sqlite3_column_count(statement);
    return is_grid(look->mode) ? shell_grid_begin(render) : shell_text_begin(render);
}

enum tq_status shell_render_row(struct shell_render *render) {
    enum tq_status status = is_grid(render->look->mode) ? shell_grid_row(render) : shell_text_row(render);
    if (status == TQ_OK) render->rows++;
    return status;
}

void shell_render_end(struct shell_render *render, bool complete) {
    if (is_grid(render->look->mode))
        shell_grid_end(render);
    else
        shell_text_end(render, complete);
}
