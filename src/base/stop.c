#include "src/base/stop.h"

#include <time.h>

/* Asking costs the host microseconds: so seldom that it cannot be felt, so often that nobody waits. */
#define ASK_EVERY_NS 4000000u

static _Thread_local struct tq_stop *current;

static uint64_t now_ns(void) {
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void tq_stop_begin(struct tq_stop *stop) {
    stop->outer = current;
    if (stop->limit_ms > 0) stop->deadline_ns = now_ns() + (uint64_t)stop->limit_ms * 1000000u;
    current = stop;
}

void tq_stop_end(struct tq_stop *stop) {
    TQ_ASSERT(current == stop);
    current = stop->outer;
}

struct tq_stop *tq_stop_current(void) {
    return current;
}

/* The first time only notes when: what is over within milliseconds asks nobody. */
static bool ask(struct tq_stop *stop, uint64_t now) {
    if (stop->asked_ns == 0) stop->asked_ns = now;
    if (now - stop->asked_ns < ASK_EVERY_NS) return false;
    bool answer = stop->ask(stop->host);
    stop->asked_ns = now_ns();
    return answer;
}

static enum tq_status check_one(struct tq_stop *stop, bool own, uint64_t *now) {
    if (stop->cancels != NULL && atomic_load_explicit(stop->cancels, memory_order_relaxed) != stop->cancels_before)
        return tq_fail(TQ_INTERRUPTED, "cancelled by tq_cancel");
    if (atomic_load_explicit(&stop->interrupted, memory_order_relaxed)) return tq_fail(TQ_INTERRUPTED, "interrupted");
    if (*now == 0 && (stop->deadline_ns != 0 || (own && stop->ask != NULL))) *now = now_ns();
    if (stop->deadline_ns != 0 && *now >= stop->deadline_ns)
        return tq_fail(TQ_INTERRUPTED, "not done within timeout_ms, which is %d", stop->limit_ms);
    if (!own || stop->ask == NULL || !ask(stop, *now)) return TQ_OK;
    atomic_store_explicit(&stop->interrupted, true, memory_order_relaxed);
    return tq_fail(TQ_INTERRUPTED, "interrupted");
}

enum tq_status tq_stop_check(struct tq_stop *stop) {
    bool own = stop == current; /* the host is not to be asked by other threads than its own */
    uint64_t now = 0;
    for (; stop != NULL; stop = stop->outer) TQ_TRY(check_one(stop, own, &now));
    return TQ_OK;
}
