/* Faults at every call: one program that holds the library, prepares a store, and for each point forks a process that
 * opens it, does one thing, and is killed, refused something or denied memory at its n-th call; another one, forked as
 * well, then looks at what is there. A point costs some ten milliseconds, because no process starts from nothing and
 * only what was written is put back.
 *
 * The calls of the C library that the program itself defines (fault_calls.c, fault_heap.c) are those that SQLite and
 * LMDB call, too. */
#ifndef TQ_FAULTS_H
#define TQ_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- Calls (fault_calls.c) ---- */

/* What a call is; a fault is for some of them. Only calls that concern a file below the watched folder count. */
enum call_class {
    CALL_WRITE = 1,
    CALL_SYNC = 2,
    CALL_SIZE = 4,  /* ftruncate, fallocate */
    CALL_NAME = 8,  /* rename, unlink, mkdir, rmdir */
    CALL_MAKE = 16, /* open that may create */
    CALL_OPEN = 32, /* any other open */
    CALL_READ = 64,
    CALL_MAP = 128,
    CALL_LOCK = 256,
    CALL_STAT = 512,
    CALL_MEMORY = 1024 /* malloc and the like */
};
#define CALLS_CHANGING (CALL_WRITE | CALL_SYNC | CALL_SIZE | CALL_NAME | CALL_MAKE)

enum fault_action {
    FAULT_NONE, /* only count */
    FAULT_KILL,
    FAULT_KILL_TORN, /* after half of the write */
    FAULT_ERROR,     /* fail with .error */
    FAULT_SHORT,     /* write half, and say so */
    FAULT_FILL,      /* no call: the file system has .at bytes left */
    FAULT_FORGET /* sync fails with .error; of the folder, and of a WAL, what was written since the last one is gone */
};

struct fault {
    unsigned classes;
    enum fault_action action;
    int error;
    long at; /* the n-th call of these classes, from 1 on */
    bool lasting;
    bool keeps_wal; /* of FAULT_FORGET */
};

#define CALLS_NOTED (1 << 20)
#define RANGES_MAX (1 << 19)

/* Lives in memory that all processes share. */
struct fault_record {
    long calls;                  /* of the fault's classes, since it was set */
    long fired;                  /* how often the fault has struck */
    uint16_t noted[CALLS_NOTED]; /* the class of each call */
    long memory_calls;
    int done;        /* transactions that returned */
    long done_at[8]; /* calls by then */
    int opened;      /* the store was opened */
    char text[1024]; /* the last message of a failure */
    int code;
    struct {
        ino_t ino;
        off_t at, size;
    } ranges[RANGES_MAX]; /* what was written since the store was put back */
    int range_count;
    bool ranges_lost;
};
extern struct fault_record *record;

/* Zeros. */
void *fault_shared(size_t size);
void fault_start(void);
/* From here on calls below `folder` count in this process. */
void fault_watch(const char *folder);
void fault_set(const struct fault *fault);
void fault_clear(void);
/* A call of malloc() and the like; true: it is to fail. */
bool fault_memory_due(void);

/* ---- Memory (fault_heap.c) ---- */

/* Blocks that are in use. */
long heap_blocks(void);
/* From here on blocks are listed; heap_print() says where those that are left came from. */
void heap_list(void);
void heap_print(void);
/* Prints a backtrace when a fault strikes. */
extern bool fault_verbose;
void fault_trace(const char *what);

/* ---- The store (fault_store.c) ---- */

/* Below it, one folder is used, and another one is what it is put back to. */
void store_make(const char *root);
const char *store_path(void); /* of the database in it */
const char *store_folder(void);
void store_put_back(void);
void store_advance(void); /* what it holds now is what it is put back to */
void store_remove(void);
/* Leave so many bytes to the file system; take the rest back. Without its lock file LMDB has to make one. */
void store_fill(long room, bool without_lock_file);
void store_empty(void);
void store_save(const char *folder, const char *name, const char *command);

/* ---- Processes (fault_process.c) ---- */

struct outcome {
    bool killed;
    int status;      /* exit status, or minus the signal */
    char text[2048]; /* what it wrote to standard error */
};
/* Fork, run, wait. More than `seconds`: it is ended and has hung. */
struct outcome process_run(void (*body)(void *), void *argument, int seconds);

/* ---- Tests ---- */

/* A kind of failure, and what it may be called. */
struct campaign {
    const char *name;
    struct fault fault;
    const char *codes; /* SQLite's codes that are fitting, between blanks */
    bool either;       /* COMMIT may fail and have happened: in SQLite's own steps behind the commit point */
};
struct campaigns {
    const struct campaign *list;
    size_t count;
};
extern const struct campaigns call_campaigns, memory_campaigns, full_campaigns;
/* Whether record->code and record->text are fitting. */
bool campaign_fits(const struct campaign *campaign);
/* How many calls of each class a run without faults makes. */
struct call_counts {
    long of_class[11]; /* by the number of the bit */
};
extern const struct fault fault_counting;
void campaign_count(struct call_counts *counts);
long campaign_total(const struct campaign *campaign, const struct call_counts *counts);
int open_files(void);

struct options {
    uint64_t seed;
    long points;
    long seconds; /* at most, about; 0: no limit */
    const char *folder, *save;
    int plan, mode; /* mode -1: all of them in turn */
    /* One point again, verbosely; at 0: none. */
    int from;
    const char *campaign;
    long at;
    enum fault_action action;
};

struct tally {
    const struct options *options;
    double until;           /* seconds: no more points after that; 0: no limit */
    long points, bad, hits; /* hits: the fault struck */
};

uint64_t fault_chance(uint64_t *state, uint64_t below);
/* Now, in seconds of some clock. */
double tally_now(void);
/* What comes next is one of `parts` that share the time until `end` (0: no limit). */
void tally_share(struct tally *tally, double end, long parts);
bool tally_over(const struct tally *tally);
/* wanted / parts, rounded up or down by chance. */
long tally_part(long wanted, long parts, uint64_t *chance);
/* Counts a point; a bad one is told and saved. */
void tally_point(struct tally *tally, const char *wrong, const char *repeat);

void kill_points(struct tally *tally);
void call_errors(struct tally *tally);
void memory_errors(struct tally *tally);
/* On a file system of its own, which is filled. */
void full_errors(struct tally *tally);
/* The same through the C library. */
void api_call_errors(struct tally *tally);
void api_memory_errors(struct tally *tally);

#endif
