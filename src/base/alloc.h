/* The only callers of malloc. Memory is aligned to TQ_ALIGN bytes, a cache line and the widest vector.
 * What is marked TQ_API is exported for libtq_io, with no promise to others. */
#ifndef TQ_ALLOC_H
#define TQ_ALLOC_H

#include <stddef.h>

#include "src/tq.h"

#define TQ_ALIGN 64

/* size bytes, or NULL (with tq_message() set). tq_alloc(0) is a valid pointer. Release with tq_free(). */
TQ_API void *tq_alloc(size_t size);
TQ_API void *tq_alloc_zero(size_t size);

/* count * size bytes with the product checked. */
TQ_API void *tq_alloc_array(size_t count, size_t size);

/* A larger block with the first old_size bytes kept; NULL leaves `old` as it was. */
TQ_API void *tq_realloc(void *old, size_t old_size, size_t new_size);
TQ_API void tq_free(void *memory);

/* Tests: let the nth allocation from now fail (once); 0 switches it off. */
void tq_alloc_fail_after(long n);

#endif
