/* Which calls fail, and how it may be told. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/crash/faults/fault_sql.h"

#define WRITING (CALL_WRITE | CALL_MAKE | CALL_NAME)
#define ROOM_MAX (6 << 20) /* more than that, and every transaction has room */
#define ONCE(classes, action, error)                                                                                   \
    { classes, action, error, 0, false, false }
#define LASTING(classes, action, error)                                                                                \
    { classes, action, error, 0, true, false }

static const struct campaign calls[] = {
    {"full", ONCE(WRITING, FAULT_ERROR, ENOSPC), " 13 10 14 8 ", false},
    {"full-lasting", LASTING(WRITING, FAULT_ERROR, ENOSPC), " 13 10 14 8 ", false},
    {"quota", ONCE(WRITING, FAULT_ERROR, EDQUOT), " 13 10 14 8 ", false},
    {"quota-lasting", LASTING(WRITING, FAULT_ERROR, EDQUOT), " 13 10 14 8 ", false},
    {"write", ONCE(CALL_WRITE, FAULT_ERROR, EIO), " 10 ", false},
    {"write-lasting", LASTING(CALL_WRITE, FAULT_ERROR, EIO), " 10 ", false},
    {"short", ONCE(CALL_WRITE, FAULT_SHORT, 0), " 10 13 ", false},
    {"short-lasting", LASTING(CALL_WRITE, FAULT_SHORT, 0), " 10 13 ", false},
    {"interrupted", ONCE(CALL_WRITE | CALL_OPEN | CALL_MAKE | CALL_READ | CALL_SIZE, FAULT_ERROR, EINTR), " 10 ",
     false},
    {"sync", ONCE(CALL_SYNC, FAULT_ERROR, EIO), " 10 ", false},
    {"sync-forgets", ONCE(CALL_SYNC, FAULT_FORGET, EIO), " 10 ", false},
    {"sync-forgets-lasting", LASTING(CALL_SYNC, FAULT_FORGET, EIO), " 10 ", false},
    {"size", ONCE(CALL_SIZE, FAULT_ERROR, EIO), " 10 ", false},
    {"size-lasting", LASTING(CALL_SIZE, FAULT_ERROR, EIO), " 10 ", false},
    {"name", ONCE(CALL_NAME, FAULT_ERROR, EIO), " 10 14 ", false},
    {"name-lasting", LASTING(CALL_NAME, FAULT_ERROR, EACCES), " 10 14 ", false},
    {"open", ONCE(CALL_OPEN | CALL_MAKE, FAULT_ERROR, EMFILE), " 10 14 8 ", false},
    {"open-lasting", LASTING(CALL_OPEN | CALL_MAKE, FAULT_ERROR, EACCES), " 10 14 8 ", false},
    {"read", ONCE(CALL_READ, FAULT_ERROR, EIO), " 10 11 ", false},
    {"read-lasting", LASTING(CALL_READ, FAULT_ERROR, EIO), " 10 11 ", false},
    {"map", ONCE(CALL_MAP, FAULT_ERROR, ENOMEM), " 10 7 ", false},
    {"map-lasting", LASTING(CALL_MAP, FAULT_ERROR, ENOMEM), " 10 7 ", false},
    {"lock", ONCE(CALL_LOCK, FAULT_ERROR, ENOLCK), " 5 10 15 ", true},
    {"lock-lasting", LASTING(CALL_LOCK, FAULT_ERROR, EIO), " 5 10 15 ", true},
    {"stat", ONCE(CALL_STAT, FAULT_ERROR, EIO), " 10 14 8 ", false},
    {"stat-lasting", LASTING(CALL_STAT, FAULT_ERROR, EIO), " 10 14 8 ", false},
};
static const struct campaign memory[] = {
    {"memory", ONCE(CALL_MEMORY, FAULT_ERROR, ENOMEM), " 7 ", false},
    {"memory-lasting", LASTING(CALL_MEMORY, FAULT_ERROR, ENOMEM), " 7 ", false},
};
static const struct campaign full[] = {
    {"disk", {0, FAULT_FILL, ENOSPC, 0, true, false}, " 13 10 14 8 ", false},
};

const struct campaigns full_campaigns = {full, sizeof full / sizeof *full};
const struct campaigns call_campaigns = {calls, sizeof calls / sizeof *calls};
const struct campaigns memory_campaigns = {memory, sizeof memory / sizeof *memory};

bool campaign_fits(const struct campaign *campaign) {
    char code[8];
    (void)snprintf(code, sizeof code, " %d ", record->code & 0xff);
    bool fits = strstr(campaign->codes, code) != NULL;
    /* SQLite says that of a page which cannot be read, and opens read-only what it cannot open otherwise. */
    if (record->code == SQLITE_CORRUPT) fits = fits && strstr(record->text, "malformed") != NULL;
    /* LMDB takes a lock that fails for one that another process has, which has made the file of locks. */
    if (strstr(record->text, "MDB_INVALID") != NULL && campaign->fault.classes == CALL_LOCK) return true;
    bool no_room = campaign->fault.error == ENOSPC || campaign->fault.error == EDQUOT;
    /* A journal that cannot be made: SQLite tries to read it then, and forgets why. */
    bool journal = strstr(record->text, "unable to open database file") != NULL;
    if (no_room && record->code != SQLITE_FULL && strncmp(record->text, "tq: ", 4) == 0) fits = journal;
    if (record->code == SQLITE_ERROR) fits = strstr(campaign->codes, " 8 ") && strstr(record->text, "readonly");
    return fits;
}

const struct fault fault_counting = {.classes = 2 * CALL_MEMORY - 1, .at = LONG_MAX};

void campaign_count(struct call_counts *counts) {
    *counts = (struct call_counts){.of_class = {0}};
    for (long call = 0; call < record->calls && call < CALLS_NOTED; call++)
        counts->of_class[__builtin_ctz(record->noted[call])]++;
    counts->of_class[__builtin_ctz(CALL_MEMORY)] = record->memory_calls;
}

long campaign_total(const struct campaign *campaign, const struct call_counts *counts) {
    long total = 0;
    if (campaign->fault.action == FAULT_FILL) return ROOM_MAX;
    for (unsigned bit = 0; bit < sizeof counts->of_class / sizeof *counts->of_class; bit++)
        if ((campaign->fault.classes >> bit & 1) != 0) total += counts->of_class[bit];
    return total;
}

int open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    while (dir != NULL && readdir(dir) != NULL) count++;
    if (dir != NULL) (void)closedir(dir);
    return count;
}
