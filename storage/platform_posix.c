#include "storage/platform.h"

#ifdef TQ_PLATFORM_POSIX

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int tq_platform_lock_byte(int fd, uint64_t offset) {
    (void)fd;
    (void)offset;
    return 0;
}

void tq_platform_unlock(int fd, uint64_t offset, uint64_t size) {
    (void)fd;
    (void)offset;
    (void)size;
}

int tq_platform_lock_look(int fd, uint64_t offset, uint64_t size, long *pid) {
    (void)fd;
    (void)offset;
    (void)size;
    *pid = 0;
    return ENOTSUP;
}

const char *tq_platform_network(const char *path) {
    (void)path;
    return NULL;
}

int tq_platform_reserve(const char *file, uint64_t size) {
    (void)file;
    (void)size;
    return 0;
}

void tq_platform_willneed(const void *address, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)address & ~(page - 1);
    (void)posix_madvise((void *)begin, (uintptr_t)address + size - begin, POSIX_MADV_WILLNEED);
}

int tq_platform_random(void *bytes, size_t size) {
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    uint8_t *at = bytes;
    int error = 0;
    while (size > 0 && error == 0) {
        ssize_t got = read(fd, at, size);
        if (got <= 0) {
            error = got == 0 ? EIO : errno == EINTR ? 0 : errno;
            continue;
        }
        at += got;
        size -= (size_t)got;
    }
    (void)close(fd);
    return error;
}

#else
typedef int tq_platform_posix_unused; /* ISO C wants a declaration */
#endif
