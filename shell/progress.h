/* One line on a terminal that says how far something is; nothing where errors do not go to a terminal. */
#ifndef SHELL_PROGRESS_H
#define SHELL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct shell_progress {
    const char *what; /* "words" */
    const char *unit; /* "rows" */
    bool terminal, shown;
    double start, last; /* seconds */
};

void shell_progress_begin(struct shell_progress *progress, const char *what, const char *unit);

/* Cheap: may be called for every row. fraction: 0 to 1, of all that is to be done, below 0: nobody knows; done: units
 * so far. */
void shell_progress_show(struct shell_progress *progress, double fraction, uint64_t done);

/* Wipe the line. */
void shell_progress_end(struct shell_progress *progress);

/* Seconds of a clock that only goes forward. */
double shell_seconds(void);

#endif
