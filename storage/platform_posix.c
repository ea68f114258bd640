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

const char *tq_platform_network(const char *path) {
    (void)path;
    return NULL;
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
