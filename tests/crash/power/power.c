/* States of the disk after a loss of power, one after another, each of them checked.
 *
 *   power list                                 workloads and modes, a line each
 *   power work WORKLOAD MODE ROOT              what the recorder watches
 *   power states WORKLOAD MODE LOG PLACE SAVE STATES SEED WORKERS BAD
 *       STATES different ones, made from the log in folders below PLACE; a bad one is saved below SAVE; BAD of
 *       them end it
 *   power check WORKLOAD MODE ROOT LOW HIGH    one state: it must hold LOW to HIGH transactions
 *
 * `states` and `check` want the recorder preloaded, but no TQ_RECORD_ROOT. */
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/power/place.h"
#include "tests/crash/power/workload.h"

#define WORKERS_MAX 16
#define SEEN_MAX (1u << 21)
#define CHECK_SECONDS 60

static const struct workload *const workloads[] = {&rows_workload, &parts_workload, &library_workload};

struct seen {
    struct sum sum;
    bool checked;
    struct found found;
};

struct position {
    unsigned round;
    size_t operation, variant;
};

/* Outlives a worker that dies. */
struct worker {
    struct position position, save_at;
    bool checking, resumes;
    char message[600], state[300];
    size_t seen_count;
    struct seen seen[SEEN_MAX];
};

struct shared {
    atomic_ulong made, distinct, bad;
    struct worker workers[WORKERS_MAX];
};

struct run {
    const struct workload *workload;
    const struct mode *mode;
    struct content content;
    struct log log;
    const char *place, *save;
    unsigned long states, bad_most;
    uint64_t seed;
    unsigned workers;
    struct shared *shared;
};

static struct worker *me; /* in a worker */

void fail(const char *format, ...) {
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (me != NULL)
        (void)snprintf(me->message, sizeof me->message, "%s", text);
    else
        (void)fprintf(stderr, "%s\n", text);
    _exit(1);
}

/* ---- What a state may hold ---- */

/* So many transactions that changed something may be missing. */
static int lowest(const struct run *run, int marked) {
    int number = marked;
    for (int lost = run->mode->lost; lost > 0 && number > 0; lost--) {
        while (number > 0 && run->content.after[number - 1] == run->content.after[number]) number--;
        if (number > 0) number--;
    }
    return number;
}

/* A backup is durable by itself, whatever may be lost of the store. */
static void check_found(const struct run *run, struct found found, int low, int marked, int high) {
    int backup = run->workload->backup;
    if (backup >= 0 && marked > backup && !found.copy) fail("the backup is gone");
    for (int i = low; i <= high; i++)
        if (run->content.after[i] == run->content.after[found.number]) return;
    fail("it holds %d transactions, and %d to %d were to be there", found.number, low, high);
}

/* ---- A worker ---- */

static struct seen *find_seen(struct sum sum) {
    size_t at = (size_t)(sum.high % SEEN_MAX);
    for (;; at = (at + 1) % SEEN_MAX) {
        struct seen *seen = &me->seen[at];
        bool is_free = seen->sum.low == 0 && seen->sum.high == 0;
        if (is_free || (seen->sum.low == sum.low && seen->sum.high == sum.high)) return seen;
    }
}

/* Every single write, if there are few; else some of them. */
static struct choice choose(const struct run *run, struct position at, size_t pending, size_t variants) {
    struct choice choice = {.way = WAY_RANDOM};
    choice.seed = mix(run->seed ^ mix(at.round ^ mix(at.operation * 4096 + at.variant)));
    if (at.round == 0 && at.variant == 0) return (struct choice){.way = WAY_ALL};
    if (at.round == 0 && at.variant == 1) return (struct choice){.way = WAY_NONE};
    if (pending == 0) return choice;
    if (at.round == 0 && pending * 4 <= variants && at.variant - 2 < 2 * pending) {
        choice.way = at.variant % 2 == 0 ? WAY_MISSING : WAY_ALONE;
        choice.which = (at.variant - 2) / 2;
    } else if (choice.seed % 4 == 0) {
        choice.way = choice.seed / 4 % 2 == 0 ? WAY_MISSING : WAY_ALONE;
        choice.which = choice.seed / 8 % pending;
    }
    return choice;
}

static bool is_before(struct position a, struct position b) {
    if (a.round != b.round) return a.round < b.round;
    if (a.operation != b.operation) return a.operation < b.operation;
    return a.variant < b.variant;
}

static void describe(const struct run *run, const struct choice *choice, size_t pending, int low, int high) {
    static const char *const ways[] = {"all writes are there", "none of the writes is there",
                                       "one write is missing, number", "one write is there, number",
                                       "writes at random"};
    const struct position *at = &me->position;
    (void)snprintf(me->state, sizeof me->state,
                   "%s %s, after %zu of %zu operations, %d to %d transactions; of %zu unsynced ones %s %zu (seed %llu)",
                   run->workload->name, run->mode->name, at->operation, run->log.count, low, high, pending,
                   ways[choice->way], choice->which, (unsigned long long)run->seed);
}

static void save(const struct run *run, const struct state *state, int low, int high) {
    static unsigned count;
    char folder[500], path[600];
    (void)snprintf(folder, sizeof folder, "%s/%s_%s_%d_%u", run->save, run->workload->name, run->mode->name,
                   (int)getpid(), count++);
    (void)mkdir(folder, 0755);
    (void)snprintf(path, sizeof path, "%s/repeat", folder);
    FILE *out = fopen(path, "w");
    if (out != NULL) {
        (void)fprintf(out, "# %s\n# %s\n# On a copy of state/, with what power.sh --program has built:\n", me->state,
                      me->message);
        (void)fprintf(out, "LD_PRELOAD=recorder.so power check %s %d state %d %d\n", run->workload->name,
                      (int)(run->mode - run->workload->modes), low, high);
        (void)fclose(out);
    }
    (void)snprintf(path, sizeof path, "%s/state", folder);
    place_save(state, path);
    (void)printf("BAD: %s\n     %s\n     saved in %s\n", me->state, me->message, folder);
    (void)fflush(stdout);
}

static void one_state(const struct run *run, struct disk *disk, const struct choice *choice, const char *root) {
    static struct state state;
    int marked = disk_marked(disk), low = lowest(run, marked), high = marked + 1, count = run->workload->count();
    if (high > count) high = count;
    disk_state(disk, choice, &state);
    if (state.sum.low % run->workers != (unsigned long)(me - run->shared->workers)) return;
    atomic_fetch_add(&run->shared->made, 1);
    if (me->resumes) {
        save(run, &state, low, high);
        me->resumes = false;
        return;
    }
    describe(run, choice, disk_pending(disk), low, high);
    me->checking = true;
    struct seen *seen = find_seen(state.sum);
    if (seen->sum.low == 0 && seen->sum.high == 0) {
        if (me->seen_count++ > SEEN_MAX / 2) fail("too many states");
        seen->sum = state.sum;
        place_put(&state);
        (void)alarm(CHECK_SECONDS);
        seen->found = run->workload->check(root, run->mode, &run->content);
        (void)alarm(0);
        seen->checked = true;
        atomic_fetch_add(&run->shared->distinct, 1);
    }
    if (seen->checked) check_found(run, seen->found, low, marked, high);
    me->checking = false;
}

static bool is_over(const struct run *run) {
    if (me->resumes) return false; /* the bad one has still to be saved */
    return atomic_load(&run->shared->distinct) >= run->states || atomic_load(&run->shared->bad) >= run->bad_most;
}

/* Where few states are asked for, each round looks at other moments. */
static bool is_chosen(const struct run *run, unsigned round, size_t operation) {
    size_t apart = 4 * run->log.count / run->states + 1;
    return mix(run->seed ^ mix(round ^ mix(operation))) % apart == 0;
}

static void one_round(const struct run *run, unsigned round, size_t variants, const char *root) {
    struct disk *disk = disk_new((struct log *)&run->log);
    for (size_t operation = 0; operation <= run->log.count && !is_over(run); operation++) {
        bool chosen = is_chosen(run, round, operation);
        for (size_t variant = 0; chosen && variant < variants && !is_over(run); variant++) {
            struct position at = {round, operation, variant};
            if (me->resumes && is_before(at, me->save_at)) continue;
            me->position = at;
            struct choice choice = choose(run, at, disk_pending(disk), variants);
            one_state(run, disk, &choice, root);
        }
        if (operation < run->log.count) disk_do(disk);
    }
    disk_free(disk);
}

__attribute__((noreturn)) static void worker_run(const struct run *run, struct worker *worker) {
    char root[300];
    me = worker;
    /* Buffers of a MiB come and go: they need not be given back, and faulted in again, each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)snprintf(root, sizeof root, "%s/worker%d", run->place, (int)(worker - run->shared->workers));
    (void)mkdir(root, 0755);
    place_start(root);
    size_t variants = run->states / run->log.count + 4;
    for (unsigned round = me->resumes ? me->save_at.round : 0; round < 1000 && !is_over(run); round++) {
        unsigned long before = atomic_load(&run->shared->distinct), made = atomic_load(&run->shared->made);
        one_round(run, round, variants, root);
        made = atomic_load(&run->shared->made) - made;
        if ((atomic_load(&run->shared->distinct) - before) * 500 < made) break; /* hardly a new one among them */
    }
    _exit(0);
}

/* ---- The parent ---- */

static pid_t worker_start(const struct run *run, struct worker *worker) {
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) worker_run(run, worker);
    return pid;
}

/* Returns the process that takes its place, which saves the state first, or -1. */
static pid_t worker_ended(const struct run *run, struct worker *worker, int status) {
    if (status == 0) return -1;
    if (!worker->checking) {
        (void)printf("BAD: the generator itself ended with status %d at operation %zu\n", status,
                     worker->position.operation);
        atomic_fetch_add(&run->shared->bad, run->bad_most);
        return -1;
    }
    if (WIFSIGNALED(status)) (void)snprintf(worker->message, sizeof worker->message, "signal %d", WTERMSIG(status));
    worker->save_at = worker->position;
    worker->resumes = true;
    worker->checking = false;
    pid_t pid = worker_start(run, worker);
    atomic_fetch_add(&run->shared->bad, 1);
    return pid;
}

static void states(struct run *run) {
    pid_t pids[WORKERS_MAX];
    unsigned running = run->workers;
    time_t begin = time(NULL);
    for (unsigned i = 0; i < run->workers; i++) pids[i] = worker_start(run, &run->shared->workers[i]);
    while (running > 0) {
        int status = 0;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < run->workers; i++) {
            if (pids[i] != pid) continue;
            pids[i] = worker_ended(run, &run->shared->workers[i], status);
            if (pids[i] < 0) running--;
        }
    }
    (void)printf("%-8s %-14s %10zu %8lu %8lu %4lu %5lds\n", run->workload->name, run->mode->name, run->log.count,
                 atomic_load(&run->shared->made), atomic_load(&run->shared->distinct), atomic_load(&run->shared->bad),
                 (long)(time(NULL) - begin));
}

static void choose_workload(struct run *run, const char *name, const char *mode) {
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (strcmp(workloads[i]->name, name) == 0) run->workload = workloads[i];
    if (run->workload == NULL) fail("there is no workload %s", name);
    if ((size_t)atoi(mode) >= run->workload->mode_count) fail("%s has no mode %s", name, mode);
    run->mode = &run->workload->modes[atoi(mode)];
}

static int list(void) {
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        for (size_t k = 0; k < workloads[i]->mode_count; k++)
            (void)printf("%s %zu %s\n", workloads[i]->name, k, workloads[i]->modes[k].name);
    return 0;
}

int main(int argc, char **argv) {
    static struct run run;
    if (argc == 2 && strcmp(argv[1], "list") == 0) return list();
    if (argc < 5) return 2;
    choose_workload(&run, argv[2], argv[3]);
    if (strcmp(argv[1], "work") == 0) {
        run.workload->work(argv[4], run.mode);
        return 0;
    }
    run.workload->expect(&run.content);
    if (argc == 7 && strcmp(argv[1], "check") == 0) {
        struct found found = run.workload->check(argv[4], run.mode, &run.content);
        check_found(&run, found, atoi(argv[5]), 0, atoi(argv[6]));
        (void)printf("%d transactions%s, nothing wrong\n", found.number, found.copy ? " and a backup" : "");
        return 0;
    }
    if (argc != 11 || strcmp(argv[1], "states") != 0) return 2;
    log_read(&run.log, argv[4]);
    run.place = argv[5];
    run.save = argv[6];
    run.states = strtoul(argv[7], NULL, 10);
    run.seed = strtoull(argv[8], NULL, 10);
    run.workers = (unsigned)atoi(argv[9]);
    run.bad_most = strtoul(argv[10], NULL, 10);
    if (run.workers == 0 || run.workers > WORKERS_MAX) return 2;
    run.shared = mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                      0);
    if (run.shared == MAP_FAILED) fail("no memory");
    states(&run);
    return atomic_load(&run.shared->bad) == 0 ? 0 : 1;
}
