#include "shell/interrupt.h"

#include <signal.h>
#include <sqlite3.h>
#include <stddef.h>
#include <unistd.h>

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t presses, waiting;
static sqlite3 *volatile watched;

static void handle(int number) {
    (void)number;
    presses++;
    if (presses > 2 && waiting == 0) _exit(130);
    if (watched != NULL) sqlite3_interrupt(watched);
}

void shell_interrupt_install(void) {
    struct sigaction action = {.sa_handler = handle}; /* no SA_RESTART: reading a line must end, too */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

void shell_interrupt_watch(sqlite3 *db) { watched = db; }

void shell_interrupt_wait(bool waits) { waiting = waits; }

bool shell_interrupt_seen(void) { return presses > 0; }

void shell_interrupt_clear(void) { presses = 0; }
