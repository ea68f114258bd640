#include "src/base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/base.h"

static atomic_long countdown; /* fault injection of the tests; 0 is off */

void tq_alloc_fail_after(long n) { atomic_store(&countdown, n); }

void *tq_alloc(size_t size) {
    void *memory = NULL;
    bool fail = atomic_load_explicit(&countdown, memory_order_relaxed) > 0 && atomic_fetch_sub(&countdown, 1) == 1;
    if (!fail && size <= SIZE_MAX - TQ_ALIGN) {
        memory = aligned_alloc(TQ_ALIGN, tq_round_up(tq_max_size(size, 1), TQ_ALIGN));
    }
    if (memory == NULL) (void)tq_fail(TQ_NOMEM, "out of memory: %zu bytes could not be had", size);
    return memory;
}

void *tq_alloc_zero(size_t size) {
    void *memory = tq_alloc(size);
    if (memory != NULL) memset(memory, 0, size);
    return memory;
}

void *tq_alloc_array(size_t count, size_t size) {
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total)) total = SIZE_MAX;
    return tq_alloc(total);
}

void *tq_realloc(void *old, size_t old_size, size_t new_size) {
    void *memory = tq_alloc(new_size);
    if (memory == NULL) return NULL;
    if (old != NULL) memcpy(memory, old, tq_min_size(old_size, new_size));
    free(old);
    return memory;
}

void tq_free(void *memory) { free(memory); }
