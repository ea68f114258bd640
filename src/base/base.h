/* What every folder may use: assertions, early return, alignment, checked sizes. */
#ifndef TQ_BASE_H
#define TQ_BASE_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

/* Conditions that only a defect of ours can break. Never on bytes from disk, never on arguments of users. */
#ifdef NDEBUG
#define TQ_ASSERT(cond) ((void)0)
#else
TQ_API _Noreturn void tq_assert_failed(const char *cond, const char *file, int line);
#define TQ_ASSERT(cond) ((cond) ? (void)0 : tq_assert_failed(#cond, __FILE__, __LINE__))
#endif

/* Return at once on failure. A function that owns something uses `goto done` instead. */
#define TQ_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        enum tq_status tq_try_status_ = (expr);                                                                        \
        if (tq_try_status_ != TQ_OK) return tq_try_status_;                                                            \
    } while (0)

#define TQ_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline size_t tq_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t tq_max_size(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t tq_round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

#endif
