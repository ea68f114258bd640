/* Lines by libedit, whose own interface is used because the one it borrows from readline swallows Ctrl-C. */
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell/complete.h"
#include "shell/edit.h"
#include "shell/interrupt.h"
#include "shell/session.h"
#include "src/base/base.h"
#include "src/base/utf8.h"

enum { HISTORY_LINES = 2000, UNPRINTED = 1 /* around what moves no cursor in a prompt */ };

struct shell_edit {
    struct shell_session *session;
    EditLine *el;
    History *history;
    char *path; /* of the history; NULL: it is not kept */
    char prompt[80];
    char *line;
    size_t capacity;
};

/* ---- What libedit calls ---- */

static char *get_prompt(EditLine *el) {
    struct shell_edit *edit = NULL;
    static char none[] = "";
    if (el_get(el, EL_CLIENTDATA, &edit) != 0 || edit == NULL) return none;
    return edit->prompt;
}

static volatile sig_atomic_t continued;

static void handle_continue(int number) {
    (void)number;
    continued = 1;
}

/* After Ctrl-Z and fg the terminal has the modes of the shell that stopped this one, and its text. */
static void take_terminal_again(EditLine *el) {
    continued = 0;
    (void)el_set(el, EL_PREP_TERM, 0); /* else libedit believes that nothing has changed */
    (void)el_set(el, EL_PREP_TERM, 1);
    (void)el_set(el, EL_REFRESH);
}

/* A key that comes together with Ctrl-C ends the waiting in its place: it belongs to the next line. */
static struct {
    bool kept;
    char byte;
} after_interrupt;

static ssize_t get_byte(char *byte) {
    if (after_interrupt.kept) {
        after_interrupt.kept = false;
        *byte = after_interrupt.byte;
        return 1;
    }
    ssize_t got = read(STDIN_FILENO, byte, 1);
    if (got <= 0 || !shell_interrupt_seen()) return got;
    after_interrupt.kept = true;
    after_interrupt.byte = *byte;
    errno = EINTR;
    return -1;
}

/* One character, or -1 as soon as Ctrl-C has come: libedit itself would go on reading. */
static int get_character(EditLine *el, wchar_t *character) {
    mbstate_t state = {0};
    for (;;) {
        char byte;
        ssize_t got = get_byte(&byte);
        if (continued) take_terminal_again(el);
        if (got < 0 && errno == EINTR && !shell_interrupt_seen()) continue;
        if (got <= 0) return (int)got;
        size_t used = mbrtowc(character, &byte, 1, &state);
        if (used == (size_t)-2) continue;
        if (used == (size_t)-1) *character = L'?';
        return 1;
    }
}

/* ---- Completion ---- */

/* As many columns as the screen has room for, the names going down. */
static void list_matches(const struct shell_matches *matches) {
    enum { SHOWN_MAX = 300 };
    struct winsize size = {0};
    size_t shown = tq_min_size(matches->count, SHOWN_MAX), widest = 1;
    for (size_t i = 0; i < shown; i++) widest = tq_max_size(widest, (size_t)shell_text_width(matches->texts[i]));
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size.ws_col = 80;
    size_t columns = tq_max_size(1, size.ws_col / (widest + 1)), rows = (shown + columns - 1) / columns;
    (void)fputc('\n', stdout);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < shown; i += rows) {
            int width = shell_text_width(matches->texts[i]);
            bool last = i + rows >= shown;
            (void)fprintf(stdout, "%s%*s", matches->texts[i], last ? 0 : (int)widest + 1 - width, "");
        }
        (void)fputc('\n', stdout);
    }
    if (shown < matches->count) (void)fprintf(stdout, "... and %zu more\n", matches->count - shown);
    (void)fflush(stdout);
}

/* The word that ends at the cursor becomes the first `size` bytes of `text`. libedit counts characters. */
static void replace_word(EditLine *el, const char *word, size_t word_size, const char *text, size_t size) {
    char *part = strndup(text, size);
    if (part == NULL) return;
    el_deletestr(el, (int)tq_utf8_count(word, word_size));
    (void)el_insertstr(el, part);
    free(part);
}

static unsigned char complete(EditLine *el, int key) {
    struct shell_edit *edit = NULL;
    struct shell_matches matches;
    const LineInfo *info = el_line(el);
    (void)key;
    if (el_get(el, EL_CLIENTDATA, &edit) != 0 || edit == NULL || info == NULL) return CC_ERROR;
    char *line = strndup(info->buffer, (size_t)(info->lastchar - info->buffer));
    if (line == NULL) return CC_ERROR;
    size_t cursor = (size_t)(info->cursor - info->buffer);
    if (strspn(line, " ") >= cursor) { /* an indent, perhaps of a text that is pasted */
        free(line);
        return el_insertstr(el, "    ") == 0 ? CC_REFRESH : CC_ERROR;
    }
    unsigned char result = CC_REFRESH;
    shell_complete(edit->session, line, cursor, &matches);
    size_t typed = cursor - matches.start, common = shell_matches_common(&matches);
    if (matches.count == 0) {
        result = CC_REFRESH_BEEP;
    } else if (matches.count == 1 || common > typed) {
        replace_word(el, line + matches.start, typed, matches.texts[0], common);
    } else {
        list_matches(&matches);
        result = CC_REDISPLAY;
    }
    shell_matches_clear(&matches);
    free(line);
    return result;
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

static bool write_history(const struct shell_edit *edit, int file) {
    HistEvent event;
    FILE *out = fdopen(file, "w");
    if (out == NULL) {
        (void)close(file);
        return false;
    }
    bool good = history(edit->history, &event, H_SAVE_FP, out) >= 0 && fflush(out) == 0 && ferror(out) == 0;
    return fclose(out) == 0 && good;
}

/* Beside its place and then renamed, so that a full disk leaves the old one; directly where the folder refuses that. */
static void replace_history(const struct shell_edit *edit, const char *path, const struct stat *old) {
    HistEvent event;
    char *aside = NULL;
    if (asprintf(&aside, "%s.new-%ld", path, (long)getpid()) < 0) return;
    int file = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        if (errno == EACCES) (void)history(edit->history, &event, H_SAVE, path);
    } else {
        /* With sudo it is still its owner's. */
        bool owned = old == NULL || fchown(file, old->st_uid, old->st_gid) == 0 || old->st_uid == geteuid();
        if (!write_history(edit, file) || !owned || rename(aside, path) != 0) (void)unlink(aside);
    }
    free(aside);
}

/* A device, such as /dev/null, gets nothing: libedit would take away everybody's rights to it. */
static void save_history(const struct shell_edit *edit) {
    struct stat old;
    HistEvent event;
    if (edit->history == NULL || edit->path == NULL) return;
    bool there = stat(edit->path, &old) == 0;
    if (there && !S_ISREG(old.st_mode)) return;
    char *place = there ? realpath(edit->path, NULL) : NULL; /* behind links, which stay */
    if (!there && lstat(edit->path, &old) == 0)
        (void)history(edit->history, &event, H_SAVE, edit->path); /* a link to what is not there yet */
    else
        replace_history(edit, place != NULL ? place : edit->path, there ? &old : NULL);
    free(place);
}

/* As one line, so that one step back brings all of it; a comment that ends with its line would swallow the rest. */
void shell_edit_remember(struct shell_edit *edit, const char *text) {
    HistEvent event;
    char *line = edit == NULL || edit->history == NULL ? NULL : strdup(text);
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

struct shell_edit *shell_edit_open(struct shell_session *session) {
    struct shell_edit *edit = calloc(1, sizeof *edit);
    if (edit == NULL) return NULL;
    edit->session = session;
    edit->el = el_init("tqshell", stdin, stdout, stderr);
    if (edit->el == NULL) {
        free(edit);
        return NULL;
    }
    (void)el_set(edit->el, EL_CLIENTDATA, edit);
    (void)el_set(edit->el, EL_PROMPT_ESC, get_prompt, UNPRINTED);
    (void)el_set(edit->el, EL_EDITOR, "emacs");
    (void)el_set(edit->el, EL_SIGNAL, 0);
    (void)el_set(edit->el, EL_GETCFN, get_character);
    (void)el_set(edit->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_set(edit->el, EL_ADDFN, "tqshell-complete", "Complete the word", complete);
    (void)el_set(edit->el, EL_BIND, "^I", "tqshell-complete", NULL);
    open_history(edit);
    (void)el_source(edit->el, NULL); /* ~/.editrc */
    return edit;
}

static EditLine *volatile kept;

void shell_edit_close(struct shell_edit *edit) {
    if (edit == NULL) return;
    save_history(edit);
    /* el_end() loses the names that EL_ADDFN has copied; the program ends, and the terminal is as it was after each
     * line. */
    kept = edit->el;
    (void)el_set(kept, EL_CLIENTDATA, NULL);
    if (edit->history != NULL) history_end(edit->history);
    free(edit->path);
    free(edit->line);
    free(edit);
}

/* libedit forgets a colour behind the last character: it ends before that. */
static void set_prompt(struct shell_edit *edit, const char *prompt) {
    size_t size = strlen(prompt);
    if (edit->session->color && size > 1 && tq_utf8_count(prompt, size) == size)
        (void)snprintf(edit->prompt, sizeof edit->prompt, "%c\033[1;36m%c%.*s%c\033[0m%c%s", UNPRINTED, UNPRINTED,
                       (int)size - 1, prompt, UNPRINTED, UNPRINTED, prompt + size - 1);
    else
        (void)snprintf(edit->prompt, sizeof edit->prompt, "%s", prompt);
}

enum shell_got shell_edit_line(struct shell_edit *edit, const char *prompt, const char **line) {
    int count = 0;
    set_prompt(edit, prompt);
    el_resize(edit->el);
    struct sigaction action = {.sa_handler = handle_continue}, before; /* no SA_RESTART: reading a key must end */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGCONT, &action, &before);
    const char *got = el_gets(edit->el, &count);
    (void)sigaction(SIGCONT, &before, NULL); /* other reads would take its end for that of the file */
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
