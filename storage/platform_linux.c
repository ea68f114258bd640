#include "storage/platform.h"

#ifndef TQ_PLATFORM_POSIX

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

int tq_platform_lock_byte(int fd, uint64_t offset) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return 0;
    return errno == EACCES ? EAGAIN : errno;
}

void tq_platform_unlock(int fd, uint64_t offset, uint64_t size) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)size};
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

int tq_platform_lock_look(int fd, uint64_t offset, uint64_t size, long *pid) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)size};
    *pid = 0;
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return errno;
    if (lock.l_type == F_UNLCK) return 0;
    if (lock.l_pid > 0) *pid = (long)lock.l_pid; /* -1: an open file's */
    return EAGAIN;
}

/* Magic numbers of statfs(2), written out: linux/magic.h lacks half of them. */
const char *tq_platform_network(const char *path) {
    static const struct {
        uint32_t magic;
        const char *name;
    } kinds[] = {{0x6969, "NFS"},      {0x517b, "SMB"},        {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"},
                 {0x65735546, "FUSE"}, {0x01021997, "9P"},     {0x00c36400, "Ceph"}, {0x5346414f, "AFS"},
                 {0x73757245, "Coda"}, {0x0bd00bd0, "Lustre"}, {0x564c, "NCP"},      {0x19830326, "FhGFS"},
                 {0x47504653, "GPFS"}, {0x013111a8, "IBRIX"},  {0x0bad1dea, "Panfs"}};
    struct statfs fs;
    if (statfs(path, &fs) != 0) return NULL;
    for (size_t i = 0; i < TQ_COUNT(kinds); i++)
        if ((uint32_t)fs.f_type == kinds[i].magic) return kinds[i].name;
    return NULL;
}

int tq_platform_reserve(const char *file, uint64_t size) {
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return errno;
    int error = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
    (void)close(fd);
    return error == EOPNOTSUPP || error == ENOSYS ? 0 : error;
}

void tq_platform_willneed(const void *address, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)address & ~(page - 1);
    (void)madvise((void *)begin, (uintptr_t)address + size - begin, MADV_WILLNEED);
}

int tq_platform_random(void *bytes, size_t size) {
    uint8_t *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got < 0 ? errno : EIO;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

#else
typedef int tq_platform_linux_unused; /* ISO C wants a declaration */
#endif
