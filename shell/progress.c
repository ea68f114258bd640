#include "shell/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR_MAX = 30, LINE_MAX_BYTES = 512 };

double shell_seconds(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void shell_progress_begin(struct shell_progress *progress, const char *what, const char *unit) {
    double now = shell_seconds();
    *progress = (struct shell_progress){what, unit, isatty(STDERR_FILENO) != 0, false, now, now};
}

/* Asked for each time: windows change their size. */
static size_t terminal_width(void) {
    struct winsize size = {.ws_col = 0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

/* "3 s", "2:05 min", "1:02:05 h" */
static void format_left(double seconds, char *text, size_t size) {
    unsigned long whole = seconds < 0 ? 0 : seconds > 1e8 ? 100000000 : (unsigned long)(seconds + 0.5);
    if (whole < 60)
        (void)snprintf(text, size, "%lu s", whole);
    else if (whole < 3600)
        (void)snprintf(text, size, "%lu:%02lu min", whole / 60, whole % 60);
    else
        (void)snprintf(text, size, "%lu:%02lu:%02lu h", whole / 3600, whole / 60 % 60, whole % 60);
}

/* The bar takes what the terminal has left; then the name gives way, at a character's beginning. Ctrl-C is shown behind
 * the line, and must not make it two. */
static void print_line(const struct shell_progress *progress, double fraction, const char *figures) {
    size_t width = terminal_width(), room = width > 3 ? width - 3 : 0, used = strlen(figures),
           name = strlen(progress->what);
    if (used > room) return;
    size_t most = room - used;
    if (name + 1 > most) name = most > 0 ? most - 1 : 0;
    while (name > 0 && ((unsigned char)progress->what[name] & 0xc0) == 0x80) name--;
    (void)fprintf(stderr, "\r%.*s%s", (int)name, progress->what, name > 0 ? " " : "");
    size_t bar = most - name > 4 ? most - name - 4 : 0;
    if (bar > BAR_MAX) bar = BAR_MAX;
    if (fraction >= 0 && bar >= 5) {
        static const char marks[BAR_MAX + 1] = "##############################";
        int full = fraction > 1 ? (int)bar : (int)(fraction * (double)bar);
        (void)fprintf(stderr, "[%.*s%*s] ", full, marks, (int)bar - full, "");
    }
    (void)fprintf(stderr, "%s\033[K", figures);
}

void shell_progress_show(struct shell_progress *progress, double fraction, uint64_t done) {
    if (!progress->terminal || done % 64 != 0) return;
    double now = shell_seconds(), elapsed = now - progress->start;
    if (now - progress->last < 0.2 || elapsed < 0.4) return;
    char figures[LINE_MAX_BYTES] = "", left[48] = "";
    size_t used = 0;
    progress->last = now;
    progress->shown = true;
    if (fraction >= 0)
        used = (size_t)snprintf(figures, sizeof figures, "%.0f %%, ", 100 * (fraction > 1 ? 1 : fraction));
    used += (size_t)snprintf(figures + used, sizeof figures - used, "%llu %s, %.0f/s", (unsigned long long)done,
                             progress->unit, (double)done / elapsed);
    if (fraction > 0.001) {
        format_left(elapsed / fraction - elapsed, left, sizeof left);
        (void)snprintf(figures + used, sizeof figures - used, ", %s left", left);
    }
    print_line(progress, fraction, figures);
}

void shell_progress_end(struct shell_progress *progress) {
    if (progress->shown) (void)fputs("\r\033[K", stderr);
    progress->shown = false;
}
