/* Ctrl-C: stops what the database is doing, not the shell. The third one in a row ends the program. */
#ifndef SHELL_INTERRUPT_H
#define SHELL_INTERRUPT_H

#include <stdbool.h>

struct sqlite3;

void shell_interrupt_install(void);

/* The connection whose statement a Ctrl-C stops; NULL: none. */
void shell_interrupt_watch(struct sqlite3 *db);

/* While another program has the terminal, Ctrl-C is meant for that and never ends the shell. */
void shell_interrupt_wait(bool waits);

/* Whether Ctrl-C was pressed since it was last cleared. */
bool shell_interrupt_seen(void);
void shell_interrupt_clear(void);

#endif
