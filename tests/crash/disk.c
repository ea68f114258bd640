/* Preloaded before shim.so: a disk that forgets what was not synced, or that is full.
 *
 *   TQ_DISK_POWER=1    whoever is killed by the shim loses what it had written to files and not synced, and in half of
 *                      the cases, by the number of calls, the unlinking of the last journal as well
 *   TQ_DISK_FULL=n,m   the n-th to m-th write fail: no space
 *   TQ_DISK_CALLS=f    a letter for each call that the shim counts is written to f at exit: w, s (sync), o (other)
 *
 * Names of files that are made or renamed are not lost: only what is in them. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define UNDO_MAX 100000
#define CALLS_MAX 1000000

struct undo {
    dev_t dev;
    ino_t ino;
    int fd;
    off_t at, old_size;
    size_t size;
    char *old;
};

static int power;
static long full_first = -1, full_last = -1, writes;
static struct undo undos[UNDO_MAX];
static int undo_count;
static char calls[CALLS_MAX], kept[4200], kept_as[4096];
static int call_count;

static void *next_of(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
    const char *full = getenv("TQ_DISK_FULL");
    power = getenv("TQ_DISK_POWER") != NULL;
    if (full != NULL) (void)sscanf(full, "%ld,%ld", &full_first, &full_last);
}

__attribute__((destructor)) static void finish(void) {
    const char *file = getenv("TQ_DISK_CALLS");
    FILE *out = file == NULL ? NULL : fopen(file, "w");
    if (kept[0] != 0) (void)syscall(SYS_unlinkat, AT_FDCWD, kept, 0);
    if (out == NULL) return;
    (void)fwrite(calls, 1, (size_t)call_count, out);
    (void)fclose(out);
}

static void note(char letter) {
    if (call_count < CALLS_MAX) calls[call_count++] = letter;
}

static int is_full(void) {
    writes++;
    if (writes < full_first || writes > full_last) return 0;
    errno = ENOSPC;
    return 1;
}

/* ---- What power takes back ---- */

/* What is written through a descriptor with O_DSYNC is there at once. */
static void remember(int fd, off_t at, size_t size) {
    struct stat st;
    if (!power || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (fcntl(fd, F_GETFL) & O_DSYNC) != 0) return;
    if (undo_count == UNDO_MAX) {
        static const char text[] = "disk.c: too many writes without a sync\n";
        (void)syscall(SYS_write, 2, text, sizeof text - 1);
        abort();
    }
    struct undo *undo = &undos[undo_count++];
    *undo = (struct undo){.dev = st.st_dev, .ino = st.st_ino, .fd = fd, .at = at, .old_size = st.st_size, .size = size};
    if (at >= st.st_size) return;
    undo->old = malloc(size);
    ssize_t got = undo->old == NULL ? -1 : pread(fd, undo->old, size, at);
    undo->size = got > 0 ? (size_t)got : 0;
}

static int same_file(int fd, const struct undo *undo) {
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_dev == undo->dev && st.st_ino == undo->ino;
}

static void synced(int fd) {
    int left = 0;
    for (int i = 0; i < undo_count; i++) {
        if (same_file(fd, &undos[i]))
            free(undos[i].old);
        else
            undos[left++] = undos[i];
    }
    undo_count = left;
}

static const char *path_of(int fd, char *path, size_t size) {
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, size - 1);
    path[got < 0 ? 0 : got] = 0;
    return path;
}

static int is_journal(const char *path) {
    size_t size = strlen(path);
    return size > 8 && strcmp(path + size - 8, "-journal") == 0;
}

/* The descriptor may be closed by now: SQLite and LMDB keep theirs as long as the file lives, but for journals. */
static void lose_power(void) {
    while (undo_count > 0) {
        struct undo *undo = &undos[--undo_count];
        if (!same_file(undo->fd, undo)) continue;
        if (undo->old != NULL) (void)syscall(SYS_pwrite64, undo->fd, undo->old, undo->size, undo->at);
        (void)syscall(SYS_ftruncate, undo->fd, undo->old_size);
    }
    if (kept[0] != 0 && call_count % 2 == 0)
        (void)syscall(SYS_renameat, AT_FDCWD, kept, AT_FDCWD, kept_as);
    else if (kept[0] != 0)
        (void)syscall(SYS_unlinkat, AT_FDCWD, kept, 0);
}

int kill(pid_t pid, int signal) {
    if (power && signal == SIGKILL && pid == getpid()) lose_power();
    return (int)syscall(SYS_kill, pid, signal);
}

/* ---- Calls ---- */

typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);

static ssize_t any_pwrite(const char *name, int fd, const void *data, size_t size, off_t at) {
    note('w');
    if (is_full()) return -1;
    remember(fd, at, size);
    return ((pwrite_fn *)next_of(name))(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return any_pwrite("pwrite", fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return any_pwrite("pwrite64", fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
    if (fd > 2) {
        note('w');
        if (is_full()) return -1;
        remember(fd, lseek(fd, 0, SEEK_CUR), size);
    }
    return ((ssize_t(*)(int, const void *, size_t))next_of("write"))(fd, data, size);
}

static size_t size_of(const struct iovec *parts, int count) {
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    return size;
}

typedef ssize_t pwritev_fn(int, const struct iovec *, int, off_t);

static ssize_t any_pwritev(const char *name, int fd, const struct iovec *parts, int count, off_t at) {
    note('w');
    if (is_full()) return -1;
    remember(fd, at, size_of(parts, count));
    return ((pwritev_fn *)next_of(name))(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return any_pwritev("pwritev", fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
    return any_pwritev("pwritev64", fd, parts, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    note('w');
    if (is_full()) return -1;
    remember(fd, lseek(fd, 0, SEEK_CUR), size_of(parts, count));
    return ((ssize_t(*)(int, const struct iovec *, int))next_of("writev"))(fd, parts, count);
}

/* A folder that is synced has forgotten the journal for good. */
static int is_folder_of(int fd, const char *file) {
    char path[4096];
    size_t size = strlen(path_of(fd, path, sizeof path));
    return strncmp(path, file, size) == 0 && strchr(file + size, '/') == file + size &&
           strrchr(file, '/') == file + size;
}

static int any_sync(const char *name, int fd) {
    note('s');
    int rc = ((int (*)(int))next_of(name))(fd);
    if (!power || rc != 0) return rc;
    synced(fd);
    if (kept[0] != 0 && is_folder_of(fd, kept_as)) {
        (void)syscall(SYS_unlinkat, AT_FDCWD, kept, 0);
        kept[0] = 0;
    }
    return rc;
}

int fdatasync(int fd) { return any_sync("fdatasync", fd); }
int fsync(int fd) { return any_sync("fsync", fd); }

int rename(const char *from, const char *to) {
    note('o');
    return ((int (*)(const char *, const char *))next_of("rename"))(from, to);
}

int unlink(const char *path) {
    note('o');
    if (power && is_journal(path)) {
        if (kept[0] != 0) (void)syscall(SYS_unlinkat, AT_FDCWD, kept, 0);
        (void)snprintf(kept_as, sizeof kept_as, "%s", path);
        (void)snprintf(kept, sizeof kept, "%s.kept", path);
        if (syscall(SYS_linkat, AT_FDCWD, kept_as, AT_FDCWD, kept, 0) != 0) kept[0] = 0;
    }
    return ((int (*)(const char *))next_of("unlink"))(path);
}

static int any_truncate(const char *name, int fd, off_t size) {
    struct stat st;
    note('o');
    if (power && fstat(fd, &st) == 0 && size < st.st_size) remember(fd, size, (size_t)(st.st_size - size));
    return ((int (*)(int, off_t))next_of(name))(fd, size);
}

int ftruncate(int fd, off_t size) { return any_truncate("ftruncate", fd, size); }
int ftruncate64(int fd, off_t size) { return any_truncate("ftruncate64", fd, size); }
