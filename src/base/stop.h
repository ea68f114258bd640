/* Ending what runs: by a handle's cancel, a time limit or the host's interrupt.
 *
 * An entry point begins a scope on its thread; loops ask tq_stop_check() about every TQ_STOP_BYTES that they read.
 * Scopes nest: a search with a time limit runs inside a statement that may be interrupted. They are the thread's, as
 * its message is, because a merge or a check is reached through functions that have nothing else to do with it. Threads
 * that work for another one are given its scope. */
#ifndef TQ_STOP_H
#define TQ_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "src/base/base.h"

enum { TQ_STOP_BYTES = 1 << 20 };

struct tq_stop {
    struct tq_stop *outer;      /* set by tq_stop_begin(), as is deadline_ns */
    const atomic_uint *cancels; /* NULL, or a count: work ends when it is no longer cancels_before */
    unsigned cancels_before;
    int limit_ms; /* 0: none */
    uint64_t deadline_ns;
    bool (*ask)(void *host); /* NULL, or whether the host was interrupted: asked now and then by the scope's thread */
    void *host;
    uint64_t asked_ns;       /* when it was asked last */
    atomic_bool interrupted; /* what it answered */
};

/* Fill in what may end the work; the rest is zero. */
void tq_stop_begin(struct tq_stop *stop);
void tq_stop_end(struct tq_stop *stop);

/* The scope of this thread, or NULL. */
struct tq_stop *tq_stop_current(void);

/* TQ_INTERRUPTED, with a message that says by what, if this scope or one around it is to end. Any thread; NULL is
 * fine. */
enum tq_status tq_stop_check(struct tq_stop *stop);

/* For loops: `bytes` more were read, *unchecked since the last check. */
static inline enum tq_status tq_stop_read(struct tq_stop *stop, size_t bytes, size_t *unchecked) {
    *unchecked += bytes;
    if (*unchecked < TQ_STOP_BYTES) return TQ_OK;
    *unchecked = 0;
    return tq_stop_check(stop);
}

#endif
