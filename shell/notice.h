/* A word to those who sort the wrong way. */
#ifndef SHELL_NOTICE_H
#define SHELL_NOTICE_H

#include <stdio.h>

/* If a statement sorts a similarity (tq_ip, tq_cosine, score) ascending with LIMIT, or a distance descending, its rows
 * are the farthest: say so. Judged by its words; in doubt nothing is said. */
void shell_notice_order(const char *sql, FILE *out);

#endif
