#include "src/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/base.h"

/* Thread-local, like errno: a failing tq_open() has no handle to keep a text in, and searches of one handle
 * run on many threads (docs/decisions/0002). */
static _Thread_local char message[512];

enum tq_status tq_fail(enum tq_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return status;
}

const char *tq_message(void) { return message; }

const char *tq_version(void) { return TQ_VERSION; }

const char *tq_status_name(enum tq_status status) {
    static const char *const names[] = {"TQ_OK",   "TQ_MISUSE",  "TQ_NOMEM",       "TQ_IO",
                                        "TQ_FULL", "TQ_CORRUPT", "TQ_NOT_FOUND",   "TQ_EXISTS",
                                        "TQ_BUSY", "TQ_FORMAT",  "TQ_UNSUPPORTED", "TQ_INTERRUPTED"};
    int at = -(int)status;
    return at >= 0 && at < (int)TQ_COUNT(names) ? names[at] : "TQ_?";
}

#ifndef NDEBUG
_Noreturn void tq_assert_failed(const char *cond, const char *file, int line) {
    (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, cond);
    abort();
}
#endif
