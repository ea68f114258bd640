/* Results that are longer than the screen go through a program that shows them page by page. It is started when the
 * screen is full and not before, so that short results do not wait for it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "shell/interrupt.h"
#include "shell/output.h"
#include "shell/session.h"
#include "src/base/base.h"

/* There is one terminal. */
static struct {
    char *kept; /* what fits on the screen so far */
    size_t size, capacity;
    unsigned rows, columns; /* of the screen */
    unsigned row, column;   /* where the text stands */
    FILE *program;          /* NULL: not started */
    const char *command;
    bool left;
    int depth;
} pager;

static bool keep(const char *text, size_t size) {
    if (pager.size + size > pager.capacity) {
        size_t capacity = 2 * (pager.size + size);
        char *grown = realloc(pager.kept, capacity);
        if (grown == NULL) return false;
        pager.kept = grown;
        pager.capacity = capacity;
    }
    memcpy(pager.kept + pager.size, text, size);
    pager.size += size;
    return true;
}

/* Bytes that begin a character count as one column: near enough to see whether a screen is full. */
static bool fills_screen(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        bool end = text[i] == '\n';
        if (((unsigned char)text[i] & 0xc0) != 0x80) pager.column++;
        if (end || pager.column > pager.columns) {
            pager.row++;
            pager.column = end ? 0 : 1;
        }
    }
    return pager.row >= pager.rows;
}

static void start(void) {
    (void)fflush(stdout);
    pager.program = popen(pager.command, "we");
    if (pager.program == NULL) return;
    (void)signal(SIGPIPE, SIG_IGN); /* leaving the pager early does not end the shell */
    shell_interrupt_wait(true);
}

static ssize_t pass_on(const char *text, size_t size) {
    if (fwrite(text, 1, size, pager.program) == size && fflush(pager.program) == 0) return (ssize_t)size;
    pager.left = true;
    return 0;
}

/* For stdio: bytes taken, 0 on failure. */
static ssize_t take(void *unused, const char *text, size_t size) {
    (void)unused;
    if (pager.left) return 0;
    if (pager.program != NULL) return pass_on(text, size);
    if (!keep(text, size)) return 0;
    if (!fills_screen(text, size)) return (ssize_t)size;
    start();
    if (pager.program == NULL) return (ssize_t)size;
    return pass_on(pager.kept, pager.size) == 0 ? 0 : (ssize_t)size;
}

static int finish(void *unused) {
    (void)unused;
    if (pager.program != NULL) {
        (void)pclose(pager.program);
        shell_interrupt_wait(false);
        (void)signal(SIGPIPE, SIG_DFL);
    } else {
        if (pager.size > 0) (void)fwrite(pager.kept, 1, pager.size, stdout);
        (void)fflush(stdout);
    }
    pager.program = NULL;
    return 0;
}

void shell_pager_begin(struct shell_session *session) {
    struct winsize size = {0};
    if (pager.depth > 0) pager.depth++;
    if (pager.depth > 0 || !session->interactive || session->output.pager == NULL || session->out != stdout) return;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2) return;
    FILE *paged = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take, .close = finish});
    if (paged == NULL) return;
    char *kept = pager.kept;
    size_t capacity = pager.capacity;
    memset(&pager, 0, sizeof pager);
    pager.kept = kept;
    pager.capacity = capacity;
    pager.rows = size.ws_row;
    pager.columns = size.ws_col;
    pager.command = session->output.pager;
    pager.depth = 1;
    session->output.paged = session->out = paged;
}

void shell_pager_end(struct shell_session *session) {
    if (pager.depth == 0 || --pager.depth > 0) return;
    (void)fclose(session->output.paged);
    if (session->out == session->output.paged) session->out = stdout;
    session->output.paged = NULL;
}

bool shell_output_left(const struct shell_session *session) {
    if (session->output.paged != NULL) return pager.left;
    return session->output.target != NULL && session->output.target[0] == '|' && ferror(session->out) != 0;
}

static bool is_installed(const char *program) {
    const char *path = getenv("PATH");
    for (size_t size; path != NULL && *path != '\0'; path += size + (path[size] == ':')) {
        char name[4096];
        size = strcspn(path, ":");
        (void)snprintf(name, sizeof name, "%.*s/%s", (int)size, path, program);
        if (access(name, X_OK) == 0) return true;
    }
    return false;
}

void shell_pager_default(struct shell_session *session) {
    const char *named = getenv("PAGER");
    (void)setenv("LESS", "FRSX", 0); /* colours, and long lines cut: tables stay tables */
    free(session->output.pager);
    session->output.pager = NULL;
    if (named != NULL)
        session->output.pager = named[0] == '\0' ? NULL : strdup(named);
    else if (is_installed("less"))
        session->output.pager = strdup("less");
}
