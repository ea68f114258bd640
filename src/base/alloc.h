/* The only callers of malloc. Memory is aligned to TQ_ALIGN bytes, a cache line and the widest vector. */
#ifndef TQ_ALLOC_H
#define TQ_ALLOC_H

#include <stddef.h>

#define TQ_ALIGN 64

/* size bytes, or NULL (with tq_message() set). tq_alloc(0) is a valid pointer. Release with tq_free(). */
void *tq_alloc(size_t size);
void *tq_alloc_zero(size_t size);

/* count * size bytes with the product checked. */
void *tq_alloc_array(size_t count, size_t size);

/* A larger block with the first old_size bytes kept; NULL leaves `old` as it was. */
void *tq_realloc(void *old, size_t old_size, size_t new_size);
void tq_free(void *memory);

/* Tests: let the nth allocation from now fail (once); 0 switches it off. */
void tq_alloc_fail_after(long n);

#endif
