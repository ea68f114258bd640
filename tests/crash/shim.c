/* Preloaded: kill this process (-9) at its n-th call that changes a file. TQ_KILL_AT=n; with TQ_KILL_TORN=1 half of
 * a write still happens. TQ_KILL_COUNT=file: nothing is killed, the number of calls is written there at exit.
 * Standard output and error do not count.
 * TQ_NO_SPACE=file: while that file exists, writes to LMDB's data file fail as on a full disk. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static long kill_at = -1;
static int torn;

static void *next_of(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
    const char *at = getenv("TQ_KILL_AT"), *half = getenv("TQ_KILL_TORN");
    kill_at = at != NULL ? atol(at) : -1;
    torn = half != NULL;
}

__attribute__((destructor)) static void finish(void) {
    const char *file = getenv("TQ_KILL_COUNT");
    if (file == NULL) return;
    FILE *out = fopen(file, "w");
    if (out == NULL) return;
    (void)fprintf(out, "%ld\n", atomic_load(&calls));
    (void)fclose(out);
}

static int due(void) { return atomic_fetch_add(&calls, 1) + 1 == kill_at; }

static void die(void) {
    (void)kill(getpid(), SIGKILL);
    for (;;) (void)pause();
}

static int no_space(int fd) {
    const char *flag = getenv("TQ_NO_SPACE");
    char link[64], path[4096];
    if (flag == NULL || access(flag, F_OK) != 0) return 0;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path);
    if (size < 8 || memcmp(path + size - 8, "data.mdb", 8) != 0) return 0;
    errno = ENOSPC;
    return 1;
}

typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);

static ssize_t any_pwrite(const char *name, int fd, const void *data, size_t size, off_t at) {
    pwrite_fn *real = (pwrite_fn *)next_of(name);
    if (no_space(fd)) return -1;
    if (due()) {
        if (torn) (void)real(fd, data, size / 2, at);
        die();
    }
    return real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return any_pwrite("pwrite", fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return any_pwrite("pwrite64", fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))next_of("write");
    if (no_space(fd)) return -1;
    if (fd > 2 && due()) {
        if (torn) (void)real(fd, data, size / 2);
        die();
    }
    return real(fd, data, size);
}

typedef ssize_t pwritev_fn(int, const struct iovec *, int, off_t);

static ssize_t any_pwritev(const char *name, int fd, const struct iovec *parts, int count, off_t at) {
    pwritev_fn *real = (pwritev_fn *)next_of(name);
    if (no_space(fd)) return -1;
    if (due()) {
        if (torn && count > 1) (void)real(fd, parts, count / 2, at);
        die();
    }
    return real(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return any_pwritev("pwritev", fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
    return any_pwritev("pwritev64", fd, parts, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t (*real)(int, const struct iovec *, int) = (ssize_t(*)(int, const struct iovec *, int))next_of("writev");
    if (no_space(fd)) return -1;
    if (due()) {
        if (torn && count > 1) (void)real(fd, parts, count / 2);
        die();
    }
    return real(fd, parts, count);
}

static int by_fd(const char *name, int fd) {
    if (due()) die();
    return ((int (*)(int))next_of(name))(fd);
}

int fdatasync(int fd) { return by_fd("fdatasync", fd); }
int fsync(int fd) { return by_fd("fsync", fd); }

int rename(const char *from, const char *to) {
    if (due()) die();
    return ((int (*)(const char *, const char *))next_of("rename"))(from, to);
}

int unlink(const char *path) {
    if (due()) die();
    return ((int (*)(const char *))next_of("unlink"))(path);
}

int ftruncate(int fd, off_t size) {
    if (due()) die();
    return ((int (*)(int, off_t))next_of("ftruncate"))(fd, size);
}
int ftruncate64(int fd, off_t size) {
    if (due()) die();
    return ((int (*)(int, off_t))next_of("ftruncate64"))(fd, size);
}
