/*   faults TEST[,TEST...] [--points N] [--seconds N] [--seed S] [--plan P] [--mode M] [--save DIR] [--folder DIR]
 *
 * TEST: kill, errors, memory, api-errors, api-memory; full, where the folder lies on a small file system of its own.
 * --folder: where the store is made; /dev/shm by default. A point that is bad is printed with the options that repeat
 * it, and what it leaves is copied below --save. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sql/tq_sqlite.h"
#include "tests/crash/faults/fault_sql.h"

static const struct {
    const char *name;
    void (*run)(struct tally *);
} tests[] = {{"kill", kill_points}, {"errors", call_errors},         {"memory", memory_errors},
             {"full", full_errors}, {"api-errors", api_call_errors}, {"api-memory", api_memory_errors}};

static const char *value_of(int argc, char **argv, const char *name, const char *otherwise) {
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return otherwise;
}

static long number_of(int argc, char **argv, const char *name, const char *otherwise) {
    return strtol(value_of(argc, argv, name, otherwise), NULL, 10);
}

static struct options read_options(int argc, char **argv) {
    static char folder[300];
    struct options options = {
        .points = number_of(argc, argv, "--points", "1000"),
        .seconds = number_of(argc, argv, "--seconds", "0"),
        .save = value_of(argc, argv, "--save", NULL),
        .plan = (int)number_of(argc, argv, "--plan", "3"),
        .mode = (int)number_of(argc, argv, "--mode", "-1"),
        .from = (int)number_of(argc, argv, "--from", "0"),
        .campaign = value_of(argc, argv, "--campaign", ""),
        .at = number_of(argc, argv, "--at", "0"),
        .action = strcmp(value_of(argc, argv, "--action", "whole"), "torn") == 0 ? FAULT_KILL_TORN : FAULT_KILL,
    };
    seed = strtoull(value_of(argc, argv, "--seed", "1"), NULL, 10);
    options.seed = seed;
    (void)snprintf(folder, sizeof folder, "%s/tq_faults_%d", value_of(argc, argv, "--folder", "/dev/shm"), getpid());
    options.folder = folder;
    fault_verbose = options.at > 0;
    return options;
}

/* Whether a list of names between commas has one. */
static bool has_name(const char *list, const char *name) {
    size_t size = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ','), at += at != NULL)
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == 0)) return true;
    return false;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    struct options options = read_options(argc, argv);
    int status = 2;
    fault_start();
    (void)sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
    choose_plan(options.plan);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        struct tally tally = {.options = &options};
        if (!has_name(argv[1], tests[i].name)) continue;
        if (mkdir(options.folder, 0755) != 0) fail("mkdir %s", options.folder);
        (void)printf("seed %llu\n", (unsigned long long)options.seed);
        tests[i].run(&tally);
        store_remove();
        (void)printf("%s: %ld points, %ld bad\n", tests[i].name, tally.points, tally.bad);
        (void)fflush(stdout);
        if (tally.bad > 0 || status == 1)
            status = 1;
        else
            status = 0;
    }
    return status;
}
