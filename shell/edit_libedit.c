/* Lines by libedit, whose own interface is used because the one it borrows from readline swallows Ctrl-C. */
#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/edit.h"
#include "shell/interrupt.h"

enum { HISTORY_LINES = 2000 };

struct shell_edit {
    EditLine *el;
    History *history;
    char *path; /* of the history; NULL: it is not kept */
    const char *prompt;
    char *line;
    size_t capacity;
};

/* ---- What libedit calls ---- */

static char *get_prompt(EditLine *el) {
    struct shell_edit *edit = NULL;
    static char none[] = "";
    if (el_get(el, EL_CLIENTDATA, &edit) != 0 || edit == NULL) return none;
    return (char *)edit->prompt;
}

/* One character, or -1 as soon as a signal has come: libedit itself would go on reading. */
static int get_character(EditLine *el, wchar_t *character) {
    mbstate_t state = {0};
    (void)el;
    for (;;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR && !shell_interrupt_seen()) continue;
        if (got <= 0) return (int)got;
        size_t used = mbrtowc(character, &byte, 1, &state);
        if (used == (size_t)-2) continue;
        if (used == (size_t)-1) *character = L'?';
        return 1;
    }
}

/* ---- History ---- */

/* $TQSHELL_HISTORY, which may be empty, or ~/.tqshell_history. */
static char *history_path(void) {
    const char *path = getenv("TQSHELL_HISTORY"), *home = getenv("HOME");
    char *made = NULL;
    if (path != NULL) return path[0] == '\0' ? NULL : strdup(path);
    if (home == NULL || asprintf(&made, "%s/.tqshell_history", home) < 0) return NULL;
    return made;
}

static void open_history(struct shell_edit *edit) {
    HistEvent event;
    edit->history = history_init();
    if (edit->history == NULL) return;
    (void)history(edit->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(edit->history, &event, H_SETUNIQUE, 1);
    (void)el_set(edit->el, EL_HIST, history, edit->history);
    edit->path = history_path();
    if (edit->path != NULL) (void)history(edit->history, &event, H_LOAD, edit->path);
}

/* As one line, so that one step back brings all of it; a comment that ends with its line would swallow the rest. */
void shell_edit_remember(struct shell_edit *edit, const char *text) {
    HistEvent event;
    char *line = edit->history == NULL ? NULL : strdup(text);
    if (line == NULL) return;
    size_t length = strlen(line);
    while (length > 0 && strchr(" \r\n", line[length - 1]) != NULL) line[--length] = '\0';
    if (strstr(line, "--") == NULL) {
        for (char *at = line; *at != '\0'; at++) *at = *at == '\n' || *at == '\r' ? ' ' : *at;
    }
    char *rest = NULL;
    for (char *one = strtok_r(line, "\n", &rest); one != NULL; one = strtok_r(NULL, "\n", &rest)) {
        (void)history(edit->history, &event, H_ENTER, one);
    }
    free(line);
}

/* ---- Life ---- */

struct shell_edit *shell_edit_open(void) {
    struct shell_edit *edit = calloc(1, sizeof *edit);
    if (edit == NULL) return NULL;
    edit->prompt = "";
    edit->el = el_init("tqshell", stdin, stdout, stderr);
    if (edit->el == NULL) {
        free(edit);
        return NULL;
    }
    (void)el_set(edit->el, EL_CLIENTDATA, edit);
    (void)el_set(edit->el, EL_PROMPT, get_prompt);
    (void)el_set(edit->el, EL_EDITOR, "emacs");
    (void)el_set(edit->el, EL_SIGNAL, 0);
    (void)el_set(edit->el, EL_GETCFN, get_character);
    (void)el_set(edit->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    open_history(edit);
    (void)el_source(edit->el, NULL); /* ~/.editrc */
    return edit;
}

void shell_edit_close(struct shell_edit *edit) {
    HistEvent event;
    if (edit == NULL) return;
    if (edit->history != NULL && edit->path != NULL) (void)history(edit->history, &event, H_SAVE, edit->path);
    el_end(edit->el);
    if (edit->history != NULL) history_end(edit->history);
    free(edit->path);
    free(edit->line);
    free(edit);
}

enum shell_got shell_edit_line(struct shell_edit *edit, const char *prompt, const char **line) {
    int count = 0;
    edit->prompt = prompt;
    el_resize(edit->el);
    const char *got = el_gets(edit->el, &count);
    if (shell_interrupt_seen()) {
        (void)fputs("^C\n", stdout);
        (void)fflush(stdout);
        return SHELL_INTERRUPTED;
    }
    if (got == NULL || count <= 0) {
        (void)fputs("\n", stdout);
        return SHELL_END;
    }
    size_t length = strcspn(got, "\r\n");
    if (length >= edit->capacity) {
        char *grown = realloc(edit->line, length + 1);
        if (grown == NULL) return SHELL_END;
        edit->line = grown;
        edit->capacity = length + 1;
    }
    memcpy(edit->line, got, length);
    edit->line[length] = '\0';
    *line = edit->line;
    return SHELL_LINE;
}

const char *shell_edit_name(void) { return "libedit"; }
