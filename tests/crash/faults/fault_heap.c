/* malloc() and the like, for the whole program: counted, and refused when a fault says so. */
#include <errno.h>
#include <execinfo.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/faults/faults.h"

#define LISTED_MAX (1 << 18)
#define FRAMES 24

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *memory);

struct listed {
    void *memory;
    size_t size;
    int count;
    void *frames[FRAMES];
};
static long blocks;
static struct listed *list; /* by address; only where it was asked for */
static __thread bool inside;

long heap_blocks(void) { return __atomic_load_n(&blocks, __ATOMIC_RELAXED); }

void fault_trace(const char *what) {
    void *frames[FRAMES];
    if (inside) return;
    inside = true;
    int count = backtrace(frames, FRAMES);
    dprintf(2, "refused %s at:\n", what);
    backtrace_symbols_fd(frames, count, 2);
    inside = false;
}

void heap_list(void) {
    void *frames[FRAMES];
    (void)backtrace(frames, FRAMES); /* it loads a library when first called */
    list = __libc_calloc(LISTED_MAX, sizeof *list);
}

void heap_print(void) {
    struct listed *all = list;
    list = NULL;
    for (size_t i = 0; all != NULL && i < LISTED_MAX; i++) {
        if (all[i].memory == NULL) continue;
        dprintf(2, "%zu bytes are left, from:\n", all[i].size);
        backtrace_symbols_fd(all[i].frames, all[i].count, 2);
    }
}

static struct listed *place_of(void *memory, void *wanted) {
    size_t at = ((size_t)memory >> 4) * 0x9e3779b1u % LISTED_MAX;
    while (list[at].memory != wanted && list[at].memory != NULL) at = (at + 1) % LISTED_MAX;
    return &list[at];
}

static void enter(void *memory, size_t size) {
    struct listed *place = NULL;
    size_t at = ((size_t)memory >> 4) * 0x9e3779b1u % LISTED_MAX;
    if (list == NULL || inside) return;
    inside = true;
    while (list[at].memory != NULL && list[at].memory != (void *)-1) at = (at + 1) % LISTED_MAX;
    place = &list[at];
    place->memory = memory;
    place->size = size;
    place->count = backtrace(place->frames, FRAMES);
    inside = false;
}

static void *taken(void *memory, size_t size) {
    if (memory == NULL) return NULL;
    (void)__atomic_add_fetch(&blocks, 1, __ATOMIC_RELAXED);
    enter(memory, size);
    return memory;
}

static void given(void *memory) {
    if (memory == NULL) return;
    (void)__atomic_sub_fetch(&blocks, 1, __ATOMIC_RELAXED);
    if (list == NULL) return;
    struct listed *place = place_of(memory, memory);
    if (place->memory == memory) place->memory = (void *)-1; /* others may lie behind it */
}

static bool refused(void) {
    if (inside || !fault_memory_due()) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) { return refused() ? NULL : taken(__libc_malloc(size), size); }

void *calloc(size_t count, size_t size) { return refused() ? NULL : taken(__libc_calloc(count, size), count * size); }

void *realloc(void *old, size_t size) {
    if (refused()) return NULL;
    void *memory = __libc_realloc(old, size);
    if (memory == NULL && size > 0) return NULL;
    given(old);
    return taken(memory, size);
}

void *memalign(size_t align, size_t size) { return refused() ? NULL : taken(__libc_memalign(align, size), size); }
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **memory, size_t align, size_t size) {
    void *got = memalign(align, size);
    if (got == NULL) return ENOMEM;
    *memory = got;
    return 0;
}

void free(void *memory) {
    int error = errno;
    given(memory);
    if (memory != NULL) memset(memory, 0xdd, malloc_usable_size(memory)); /* who still uses it is to notice */
    __libc_free(memory);
    errno = error;
}
