/* Failures that a test asks for, and the rules that callers have to keep. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cuda/emulated.h"

enum { OPERATIONS_MOST = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char asked[256]; /* what the counts belong to */
    uint64_t calls;
    struct {
        const char *name;
        uint64_t calls;
    } of[OPERATIONS_MOST];
    uint64_t times; /* the counts were begun */
    bool lost;
} state;
static _Thread_local uint64_t told_lost; /* `times` when this thread was */

void emulated_contract(bool kept, const char *operation, const char *rule) {
    if (kept) return;
    (void)fprintf(stderr, "emulated plugin: %s: %s\n", operation, rule);
    abort();
}

enum tq_cuda_status emulated_fail(enum tq_cuda_status status, struct tq_cuda_why *why, const char *format, ...) {
    if (why == NULL) return status;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return status;
}

uint64_t emulated_number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text == NULL || text[0] == 0 ? otherwise : strtoull(text, NULL, 0);
}

static enum tq_cuda_status status_named(const char *name) {
    static const char *const names[] = {"ok", "absent", "memory", "unsupported", "lost"};
    size_t length = strcspn(name, ",");
    for (size_t i = 1; i < TQ_COUNT(names); i++) {
        if (strlen(names[i]) == length && strncmp(name, names[i], length) == 0) return (enum tq_cuda_status)i;
    }
    emulated_contract(false, "TQ_EMULATED_FAIL", "the status must be memory, lost, unsupported or absent");
    return TQ_CUDA_OK;
}

/* Whether one item, [op:]n[+]:status, means this call; *status is its. */
static bool item_fits(const char *item, const char *operation, uint64_t call, enum tq_cuda_status *status) {
    if (*item < '0' || *item > '9') {
        size_t length = strlen(operation);
        if (strncmp(item, operation, length) != 0 || item[length] != ':') return false;
        item += length + 1;
    } else {
        call = state.calls;
    }
    char *end = NULL;
    uint64_t wanted = strtoull(item, &end, 10);
    bool on = *end == '+';
    end += on;
    emulated_contract(*end == ':', "TQ_EMULATED_FAIL", "write [op:]n[+]:status");
    *status = status_named(end + 1);
    return call == wanted || (on && call > wanted);
}

/* Counts the call. The lock is held. */
static enum tq_cuda_status status_of_call(const char *operation) {
    const char *asked = getenv("TQ_EMULATED_FAIL");
    if (asked == NULL) asked = "";
    if (strncmp(asked, state.asked, sizeof state.asked - 1) != 0) {
        uint64_t times = state.times + 1;
        memset(&state, 0, sizeof state);
        state.times = times;
        (void)snprintf(state.asked, sizeof state.asked, "%s", asked);
    }
    size_t at = 0;
    while (state.of[at].name != NULL && strcmp(state.of[at].name, operation) != 0) at++;
    state.of[at].name = operation;
    state.of[at].calls++;
    state.calls++;
    emulated_contract(!state.lost || told_lost != state.times, operation,
                      "after a device was lost only close functions may be called");
    if (state.lost) return TQ_CUDA_LOST;
    for (const char *item = state.asked; *item != 0; item += strcspn(item, ","), item += *item == ',') {
        enum tq_cuda_status status = TQ_CUDA_OK;
        if (item_fits(item, operation, state.of[at].calls, &status)) return status;
    }
    return TQ_CUDA_OK;
}

enum tq_cuda_status emulated_enter(const struct tq_cuda *cuda, const char *operation, struct tq_cuda_why *why) {
    emulated_contract(cuda == NULL || cuda->process == getpid(), operation, "called in a child after fork()");
    (void)pthread_mutex_lock(&lock);
    enum tq_cuda_status status = status_of_call(operation);
    if (status == TQ_CUDA_LOST) {
        state.lost = true;
        told_lost = state.times;
    }
    (void)pthread_mutex_unlock(&lock);
    if (emulated_number("TQ_EMULATED_TRACE", 0) != 0)
        (void)fprintf(stderr, "emulated plugin: %s%s\n", operation, status == TQ_CUDA_OK ? "" : " fails");
    if (status == TQ_CUDA_OK) return status;
    return emulated_fail(status, why, "%s: a failure that TQ_EMULATED_FAIL asks for", operation);
}

enum tq_cuda_status emulated_memory(struct tq_cuda *cuda, uint64_t *counted, uint64_t bytes, struct tq_cuda_why *why) {
    uint64_t limit = emulated_number("TQ_EMULATED_MEMORY", UINT64_C(1) << 30);
    uint64_t used = atomic_fetch_add(&cuda->used, bytes) + bytes;
    if (bytes > *counted && used - *counted > limit) {
        (void)atomic_fetch_sub(&cuda->used, bytes);
        return emulated_fail(TQ_CUDA_MEMORY, why, "%llu bytes are wanted of a device that has %llu and %llu in use",
                             (unsigned long long)bytes, (unsigned long long)limit, (unsigned long long)(used - bytes));
    }
    (void)atomic_fetch_sub(&cuda->used, *counted);
    *counted = bytes;
    return TQ_CUDA_OK;
}
