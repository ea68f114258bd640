/* Forking, and counting what came of it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/faults/faults.h"
#include "tests/crash/sql_model.h"

struct outcome process_run(void (*body)(void *), void *argument, int seconds) {
    static int messages = -1;
    struct outcome outcome = {.killed = false};
    int status = 0;
    if (messages < 0) messages = memfd_create("messages", 0);
    if (messages < 0 || ftruncate(messages, 0) != 0 || lseek(messages, 0, SEEK_SET) != 0) fail("no memory file");
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) fail("fork failed");
    if (child == 0) {
        if (!fault_verbose) (void)dup2(messages, 2);
        (void)alarm((unsigned)seconds);
        body(argument);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child) fail("waitpid failed");
    outcome.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    outcome.status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    ssize_t got = pread(messages, outcome.text, sizeof outcome.text - 1, 0);
    outcome.text[got > 0 ? got : 0] = 0;
    if (outcome.status == -SIGALRM) (void)snprintf(outcome.text, sizeof outcome.text, "hangs");
    return outcome;
}

uint64_t fault_chance(uint64_t *state, uint64_t below) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % below;
}

double tally_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void tally_share(struct tally *tally, double end, long parts) {
    double now = tally_now();
    tally->until = end > 0 ? now + (end - now) / (double)parts : 0;
}

long tally_part(long wanted, long parts, uint64_t *chance) {
    return wanted <= 0 ? 0 : (wanted + (long)fault_chance(chance, (uint64_t)parts)) / parts;
}

bool tally_over(const struct tally *tally) { return tally->until > 0 && tally_now() > tally->until; }

void tally_point(struct tally *tally, const char *wrong, const char *repeat) {
    char name[64];
    tally->points++;
    tally->hits += record->fired > 0;
    if (wrong == NULL) return;
    tally->bad++;
    (void)printf("BAD %s\n    %s\n", repeat, wrong);
    (void)fflush(stdout);
    (void)snprintf(name, sizeof name, "bad-%ld", tally->bad);
    if (tally->options->save != NULL) store_save(tally->options->save, name, repeat);
}
