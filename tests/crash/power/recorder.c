/* Preloaded: writes down, in order, what a program does to the files below a folder.
 *
 *   TQ_RECORD_ROOT=folder   empty at first; a path without links
 *   TQ_RECORD_LOG=file      gets the records (record.h)
 *
 * A number printed to standard output is a mark: so many transactions have been acknowledged. What is mapped cannot be
 * seen, and need not be: SQLite's -shm and LMDB's lock.mdb are worth nothing after a loss of power. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/power/record.h"

#define FILES_MAX 100000
#define CALLS(name, ...) ((int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static const char *root;
static size_t root_size;
static int log_fd = -1;
static recorder_watch_function *watch;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ino_t numbers[FILES_MAX]; /* the inode of each file; the newest of equal ones counts */
static size_t number_count = 1;

void tq_recorder_watch(recorder_watch_function *function);
void tq_recorder_watch(recorder_watch_function *function) { watch = function; }

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("TQ_RECORD_LOG");
    root = getenv("TQ_RECORD_ROOT");
    if (root == NULL || path == NULL) return;
    root_size = strlen(root);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

__attribute__((noreturn)) static void give_up(const char *why) {
    (void)syscall(SYS_write, 2, why, strlen(why));
    abort();
}

/* ---- Writing records ---- */

static void put(const void *data, size_t size) {
    if (size != 0 && syscall(SYS_write, log_fd, data, size) != (long)size) give_up("recorder.c: the log is full\n");
}

static void record(struct record head, const char *name, const char *to, const struct iovec *parts, int count) {
    int error = errno;
    head.name_bytes = (uint32_t)((name != NULL ? strlen(name) + 1 : 0) + (to != NULL ? strlen(to) + 1 : 0));
    head.data_bytes = (uint32_t)(head.kind == RECORD_WRITE ? head.size : 0);
    (void)pthread_mutex_lock(&lock);
    put(&head, sizeof head);
    if (name != NULL) put(name, strlen(name) + 1);
    if (to != NULL) put(to, strlen(to) + 1);
    size_t left = head.data_bytes;
    for (int i = 0; i < count && left > 0; i++) {
        size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
        put(parts[i].iov_base, size);
        left -= size;
    }
    (void)pthread_mutex_unlock(&lock);
    errno = error;
}

/* The path below the root, or NULL: it is elsewhere, or is what need not be seen. */
static const char *below(const char *path, char *room) {
    if (log_fd < 0 || path == NULL) return NULL;
    char whole[PATH_MAX];
    if (path[0] != '/' && getcwd(room, PATH_MAX) != NULL)
        (void)snprintf(whole, sizeof whole, "%.2000s/%.2000s", room, path);
    else
        (void)snprintf(whole, sizeof whole, "%s", path);
    size_t size = strlen(whole);
    if (strncmp(whole, root, root_size) != 0 || (whole[root_size] != '/' && whole[root_size] != 0)) return NULL;
    if (size > 4 && strcmp(whole + size - 4, "-shm") == 0) return NULL;
    if (size > 9 && strcmp(whole + size - 9, "/lock.mdb") == 0) return NULL;
    (void)snprintf(room, PATH_MAX, "%s", whole[root_size] == '/' ? whole + root_size + 1 : "");
    return room;
}

/* 0: a file that is not recorded. */
static uint64_t number_of(int fd) {
    struct stat st;
    if (log_fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    size_t number = number_count;
    while (--number > 0 && numbers[number] != st.st_ino) continue;
    return number;
}

static void note_name(enum record_kind kind, const char *path) {
    char room[PATH_MAX];
    const char *name = below(path, room);
    if (name != NULL) record((struct record){.kind = kind}, name, NULL, NULL, 0);
}

static void note_write(int fd, uint64_t offset, ssize_t size, const struct iovec *parts, int count) {
    struct stat st;
    if (size <= 0) return;
    if (watch != NULL && fstat(fd, &st) == 0) watch(st.st_ino, offset, (uint64_t)size);
    uint64_t number = number_of(fd);
    if (number == 0) return;
    struct record head = {.kind = RECORD_WRITE, .file = number, .offset = offset, .size = (uint64_t)size};
    if ((fcntl(fd, F_GETFL) & O_DSYNC) != 0) head.flags = RECORD_DURABLE;
    record(head, NULL, NULL, parts, count);
}

static void note_mark(const char *text, size_t size) {
    char number[32];
    (void)snprintf(number, sizeof number, "%.*s", (int)size, text);
    if (log_fd >= 0)
        record((struct record){.kind = RECORD_MARK, .size = strtoull(number, NULL, 10)}, NULL, NULL, NULL, 0);
}

/* ---- Files and their names ---- */

static int any_open(int folder, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX];
    const char *name = folder == AT_FDCWD ? below(path, room) : NULL;
    bool made = name != NULL && (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd < 0 || name == NULL) return fd;
    struct stat st;
    if (made && fstat(fd, &st) == 0) {
        if (number_count == FILES_MAX) give_up("recorder.c: too many files\n");
        numbers[number_count++] = st.st_ino;
        record((struct record){.kind = RECORD_CREATE, .file = number_count - 1}, name, NULL, NULL, 0);
    } else if ((flags & O_TRUNC) != 0) {
        record((struct record){.kind = RECORD_TRUNCATE, .file = number_of(fd)}, NULL, NULL, NULL, 0);
    }
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) { return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0; }

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return any_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return any_open(AT_FDCWD, path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    int rc = CALLS("mkdir", const char *, mode_t)(path, mode);
    if (rc == 0) note_name(RECORD_MAKE_FOLDER, path);
    return rc;
}

int unlink(const char *path) {
    int rc = CALLS("unlink", const char *)(path);
    if (rc == 0) note_name(RECORD_REMOVE, path);
    return rc;
}

int rmdir(const char *path) {
    int rc = CALLS("rmdir", const char *)(path);
    if (rc == 0) note_name(RECORD_REMOVE, path);
    return rc;
}

int rename(const char *from, const char *to) {
    char from_room[PATH_MAX], to_room[PATH_MAX];
    int rc = CALLS("rename", const char *, const char *)(from, to);
    const char *name = below(from, from_room), *new_name = below(to, to_room);
    if (rc != 0 || (name == NULL && new_name == NULL)) return rc;
    if (name == NULL || new_name == NULL) give_up("recorder.c: a rename out of the folder, or into it\n");
    record((struct record){.kind = RECORD_RENAME}, name, new_name, NULL, 0);
    return rc;
}

int link(const char *from, const char *to) {
    char room[PATH_MAX];
    if (below(to, room) != NULL) give_up("recorder.c: link() is not modelled\n");
    return CALLS("link", const char *, const char *)(from, to);
}

/* ---- What is in them ---- */

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, at);
    note_write(fd, (uint64_t)at, done, &(struct iovec){(void *)(uintptr_t)data, size}, 1);
    return done;
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return pwrite(fd, data, size, at); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    ssize_t done = syscall(SYS_pwritev, fd, parts, count, at, 0);
    note_write(fd, (uint64_t)at, done, parts, count);
    return done;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return pwritev(fd, parts, count, at); }

ssize_t write(int fd, const void *data, size_t size) {
    off_t at = fd > 2 ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = syscall(SYS_write, fd, data, size);
    if (fd == 1 && done > 0)
        note_mark(data, size);
    else if (fd > 2)
        note_write(fd, (uint64_t)at, done, &(struct iovec){(void *)(uintptr_t)data, size}, 1);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    if (fd > 2) note_write(fd, (uint64_t)at, done, parts, count);
    return done;
}

int ftruncate(int fd, off_t size) {
    struct stat st;
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc != 0) return rc;
    if (watch != NULL && fstat(fd, &st) == 0) watch(st.st_ino, (uint64_t)size, UINT64_MAX - (uint64_t)size);
    uint64_t number = number_of(fd);
    struct record head = {.kind = RECORD_TRUNCATE, .file = number, .size = (uint64_t)size};
    if (number != 0) record(head, NULL, NULL, NULL, 0);
    return rc;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int any_sync(long call, int fd) {
    if (watch != NULL) return 0;
    int rc = (int)syscall(call, fd);
    char link[64], path[PATH_MAX];
    struct stat st;
    if (rc != 0 || log_fd < 0 || fstat(fd, &st) != 0) return rc;
    if (!S_ISDIR(st.st_mode)) {
        uint64_t number = number_of(fd);
        if (number != 0) record((struct record){.kind = RECORD_SYNC, .file = number}, NULL, NULL, NULL, 0);
        return rc;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    note_name(RECORD_SYNC_FOLDER, path);
    return rc;
}

int fsync(int fd) { return any_sync(SYS_fsync, fd); }
int fdatasync(int fd) { return any_sync(SYS_fdatasync, fd); }
