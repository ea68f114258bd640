/* A folder of a test program's own, made before its tests and removed behind them. */
#ifndef SCRATCH_FOLDER_H
#define SCRATCH_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[256];

static inline int make_folder(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/tq_test_XXXXXX", tmp == NULL ? "/tmp" : tmp);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static inline int remove_folder(void **state) {
    (void)state;
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%.255s'", folder);
    return system(command);
}

/* Two at a time. */
static inline const char *path_of(const char *name) {
    static char paths[2][512];
    static int turn;
    turn = 1 - turn;
    (void)snprintf(paths[turn], sizeof paths[turn], "%.255s/%.200s", folder, name);
    return paths[turn];
}

#endif
