/* A process is killed at its n-th call that changes a file; the next one must find what was committed, and no more
 * than the transaction in flight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/faults/fault_sql.h"

/* At most so many points of one leg; calls beside a sync, and those that are no writes, come first. */
struct points {
    long *list;
    long count;
};

struct kill {
    const struct course *course;
    struct fault fault;
    bool thorough; /* the check writes, too */
};

static int leg_length(const struct course *course) {
    int left = transactions - course->number;
    return left < course->length ? left : course->length;
}

static void go(void *argument) {
    const struct kill *kill = argument;
    const struct course *course = kill->course;
    fault_watch(store_folder());
    fault_set(&kill->fault);
    sqlite3 *db = sql_open(course->mode);
    if (db == NULL) fail("cannot open: %s", record->text);
    for (int i = 0; i < leg_length(course); i++) {
        int rc = apply(db, course->number + i, false);
        if (rc != SQLITE_OK) fail("transaction %d: %s (%d)", course->number + i, sqlite3_errmsg(db), rc);
        record->done_at[record->done++] = record->calls;
    }
}

static void look(void *argument) {
    const struct kill *kill = argument;
    const struct course *course = kill->course;
    int acked = record->done;
    fault_watch(store_folder()); /* what it writes is put back later */
    record->done = acked;
    sqlite3 *db = sql_open(course->mode), *model = NULL;
    char first[sizeof why] = "";
    if (db == NULL) fail("cannot open: %s (%d)", record->text, record->code);
    must(db, "PRAGMA cache_size=-100000"); /* each page is read once */
    for (int i = acked; i <= acked + 1 && i <= leg_length(course) && model == NULL; i++) {
        if (same_tables(db, course->models[i])) model = course->models[i];
        if (i == acked) memcpy(first, why, sizeof first);
    }
    if (model == NULL) fail("%d acknowledged; not that state: %s; nor the next: %s", acked, first, why);
    unnamed_may_stay = true;
    if (kill->thorough)
        check_end(db, model, store_path());
    else
        check_some(db, model);
}

/* ---- One point ---- */

static const char *action_name(enum fault_action action) { return action == FAULT_KILL_TORN ? "torn" : "whole"; }

static void kill_once(struct tally *tally, struct kill *kill) {
    char repeat[300], wrong[2300] = "";
    const struct course *course = kill->course;
    store_put_back();
    struct outcome outcome = process_run(go, kill, 60);
    int acked = record->done;
    record->fired = outcome.killed;
    long fired = record->fired;
    if (!outcome.killed && outcome.status != 0)
        (void)snprintf(wrong, sizeof wrong, "the workload: status %d: %s", outcome.status, outcome.text);
    if (wrong[0] == 0) {
        outcome = process_run(look, kill, 60);
        if (outcome.status != 0)
            (void)snprintf(wrong, sizeof wrong, "the check, %d acknowledged: status %d: %s", acked, outcome.status,
                           outcome.text);
    }
    record->fired = fired;
    (void)snprintf(repeat, sizeof repeat, "faults kill --seed %llu --plan %d --mode %d --from %d --at %ld --action %s",
                   (unsigned long long)seed, tally->options->plan, course->mode, course->number, kill->fault.at,
                   action_name(kill->fault.action));
    if (wrong[0] != 0 && tally->options->save != NULL) { /* as the kill left it */
        store_put_back();
        (void)process_run(go, kill, 60);
    }
    tally_point(tally, wrong[0] != 0 ? wrong : NULL, repeat);
}

/* ---- Which points ---- */

static int compare(const void *a, const void *b) {
    long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

static bool is_near_sync(long call, long total) {
    for (long at = call - 1; at <= call + 1; at++)
        if (at >= 1 && at <= total && record->noted[at - 1] != CALL_WRITE) return true;
    return false;
}

/* Half of them are calls that do not write, or beside one. */
static void choose(struct points *points, long total, long wanted, uint64_t *chance) {
    long *near = calloc((size_t)total + 1, sizeof *near), near_count = 0;
    points->list = calloc((size_t)(total + wanted + 1), sizeof *points->list);
    points->count = 0;
    for (long call = 1; call <= total; call++)
        if (is_near_sync(call, total)) near[near_count++] = call;
    for (long i = 0; i < wanted / 2 && near_count > 0; i++) {
        long at = (long)fault_chance(chance, (uint64_t)near_count);
        points->list[points->count++] = near[at];
        near[at] = near[--near_count];
    }
    while (points->count < wanted && points->count < total)
        points->list[points->count++] = 1 + (long)fault_chance(chance, (uint64_t)total);
    qsort(points->list, (size_t)points->count, sizeof *points->list, compare);
    long kept = 0;
    for (long i = 0; i < points->count; i++)
        if (i == 0 || points->list[i] != points->list[i - 1]) points->list[kept++] = points->list[i];
    points->count = kept;
    free(near);
}

static void run_leg(struct tally *tally, const struct course *course, long wanted, uint64_t *chance) {
    struct kill kill = {.course = course, .fault = {.classes = CALLS_CHANGING, .action = FAULT_NONE}};
    struct points points;
    store_put_back();
    struct outcome outcome = process_run(go, &kill, 60);
    if (outcome.status != 0) fail("without any fault: status %d: %s", outcome.status, outcome.text);
    choose(&points, record->calls, wanted, chance);
    for (long i = 0; i < points.count && !tally_over(tally); i++) {
        kill.fault.at = points.list[i];
        kill.fault.action = fault_chance(chance, 2) == 0 ? FAULT_KILL : FAULT_KILL_TORN;
        kill.thorough = fault_chance(chance, 10) == 0;
        kill_once(tally, &kill);
    }
    free(points.list);
}

static void run_mode(struct tally *tally, int mode, long wanted, uint64_t *chance) {
    struct course course;
    double end = tally->until;
    store_make(tally->options->folder);
    course_start(&course, mode);
    while (course.number < transactions) {
        long share = tally_part(wanted, transactions - course.number, chance);
        course.length = 1 + (int)fault_chance(chance, 2);
        long before = tally->points;
        tally_share(tally, end, transactions - course.number);
        run_leg(tally, &course, share, chance);
        wanted -= tally->points - before;
        store_put_back();
        course_advance(&course);
    }
    course_end(&course);
}

static void repeat_one(struct tally *tally) {
    const struct options *options = tally->options;
    struct course course;
    struct kill kill = {.course = &course, .thorough = true};
    store_make(options->folder);
    course_start(&course, options->mode);
    while (course.number < options->from) course_advance(&course);
    kill.fault = (struct fault){.classes = CALLS_CHANGING, .at = options->at, .action = options->action};
    kill_once(tally, &kill);
}

void kill_points(struct tally *tally) {
    uint64_t chance = tally->options->seed;
    double end = tally->options->seconds > 0 ? tally_now() + (double)tally->options->seconds : 0;
    if (tally->options->at > 0) {
        repeat_one(tally);
        return;
    }
    for (int mode = 0; mode < MODES; mode++) {
        if (tally->options->mode >= 0 && tally->options->mode != mode) continue;
        long share = tally->options->mode >= 0 ? tally->options->points : tally->options->points / MODES;
        long points = tally->points;
        tally_share(tally, end, tally->options->mode >= 0 ? 1 : MODES - mode);
        run_mode(tally, mode, share, &chance);
        (void)printf("%s: %ld kill points\n", mode_name(mode), tally->points - points);
        (void)fflush(stdout);
    }
}
