/* Where results go: standard output, a file or a program by .output and .once, and for those who type, a pager around
 * what is longer than the screen. */
#ifndef SHELL_OUTPUT_H
#define SHELL_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "src/tq.h"

struct shell_session;

struct shell_output {
    char *target; /* a file, or "|program"; NULL: standard output */
    bool once;    /* back to standard output after the next statement or command */
    FILE *paged;  /* what takes the place of standard output, while a result is printed */
    char *pager;  /* NULL: none */
};

/* target: a file, "|program", or NULL, standard output. What was open before is closed, and its failure told. */
enum tq_status shell_output_set(struct shell_session *session, const char *target, bool once);

/* After a statement or command that was not .once itself. */
enum tq_status shell_output_next(struct shell_session *session);

/* At a terminal, for somebody who types: between these two, what is longer than the screen goes through the pager.
 * They may be nested; elsewhere they do nothing. */
void shell_pager_begin(struct shell_session *session);
void shell_pager_end(struct shell_session *session);

/* Whether the pager, or the program of .output, has ended before all was shown: the rest need not be made. */
bool shell_output_left(const struct shell_session *session);

/* $PAGER, or less where there is one. */
void shell_pager_default(struct shell_session *session);

/* All that was written is where it belongs, or why not. */
enum tq_status shell_output_flush(FILE *out);

#endif
