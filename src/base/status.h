/* The one way to fail: record a text for this thread and return its status. */
#ifndef TQ_STATUS_H
#define TQ_STATUS_H

#include "src/tq.h"

/* Record what tq_message() will say (printf format; truncated at 511 bytes) and return `status`. Exported for libtq_io,
 * with no promise to others. */
TQ_API enum tq_status tq_fail(enum tq_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
