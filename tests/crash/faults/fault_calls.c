/* The calls of the C library that change or read files, as SQLite, LMDB and the library see them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/faults/faults.h"

#define FILES_MAX 1024
#define UNDOS_MAX 65536

struct fault_record *record;
bool fault_verbose;

static struct fault now;
static char watched[512];
static size_t watched_size; /* 0: nothing is */
static bool is_watched[FILES_MAX], is_folder[FILES_MAX], is_wal[FILES_MAX];

struct undo {
    int fd;
    ino_t ino;
    off_t at, old_size;
    size_t size;
    void *old;
};
static struct undo undos[UNDOS_MAX];
static int undo_count;

void *fault_shared(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    return memory;
}

void fault_start(void) { record = fault_shared(sizeof *record); }

void fault_watch(const char *folder) {
    watched_size = (size_t)snprintf(watched, sizeof watched, "%s/", folder);
    record->done = record->opened = 0;
    record->text[0] = 0;
    record->fired = record->calls = record->memory_calls = 0;
}

void fault_set(const struct fault *fault) {
    record->fired = record->calls = record->memory_calls = 0;
    now = *fault;
}

void fault_clear(void) {
    now = (struct fault){.classes = 0};
    for (int i = 0; i < undo_count; i++) free(undos[i].old);
    undo_count = 0;
}

static bool is_ours(const char *path) {
    return watched_size > 0 && path != NULL && strncmp(path, watched, watched_size) == 0;
}

static bool is_our_file(int fd) { return watched_size > 0 && fd >= 0 && fd < FILES_MAX && is_watched[fd]; }

static bool strikes(long call) { return call == now.at || (now.lasting && call > now.at); }

/* One more call; true: the fault strikes. */
static bool is_due(unsigned class) {
    if ((now.classes & class) == 0) return false;
    long call = __atomic_add_fetch(&record->calls, 1, __ATOMIC_RELAXED);
    if (call <= CALLS_NOTED) record->noted[call - 1] = (uint16_t) class;
    if (now.action == FAULT_NONE || !strikes(call)) return false;
    record->fired++;
    if (fault_verbose) fault_trace("a call");
    return true;
}

bool fault_memory_due(void) {
    if ((now.classes & CALL_MEMORY) == 0) return false;
    long call = __atomic_add_fetch(&record->memory_calls, 1, __ATOMIC_RELAXED);
    if (now.action == FAULT_NONE || !strikes(call)) return false;
    record->fired++;
    if (fault_verbose) fault_trace("an allocation");
    return true;
}

static void die(void) {
    (void)syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) (void)pause();
}

/* Whether the call fails; errno is set. Kills come here, too. */
static bool fails(unsigned class) {
    if (!is_due(class)) return false;
    if (now.action == FAULT_KILL || now.action == FAULT_KILL_TORN) die();
    if (now.action != FAULT_ERROR) return false;
    errno = now.error;
    return true;
}

/* ---- What is to be put back, or forgotten ---- */

static bool look(int fd, struct stat *st) { return syscall(SYS_fstat, fd, st) == 0; }

static void note_range(ino_t ino, off_t at, off_t size) {
    int count = record->range_count;
    if (count > 0 && record->ranges[count - 1].ino == ino &&
        record->ranges[count - 1].at + record->ranges[count - 1].size == at) {
        record->ranges[count - 1].size += size;
        return;
    }
    if (count == RANGES_MAX) {
        record->ranges_lost = true;
        return;
    }
    record->ranges[count].ino = ino;
    record->ranges[count].at = at;
    record->ranges[count].size = size;
    record->range_count = count + 1;
}

static void note_write(int fd, off_t at, size_t size) {
    struct stat st;
    if (!look(fd, &st)) return;
    note_range(st.st_ino, at, (off_t)size);
    if (now.action != FAULT_FORGET || undo_count == UNDOS_MAX || (fcntl(fd, F_GETFL) & O_DSYNC) != 0) return;
    struct undo *undo = &undos[undo_count++];
    *undo = (struct undo){.fd = fd, .ino = st.st_ino, .at = at, .old_size = st.st_size, .size = 0};
    if (at >= st.st_size) return;
    undo->old = malloc(size);
    ssize_t got = undo->old == NULL ? -1 : syscall(SYS_pread64, fd, undo->old, size, at);
    undo->size = got > 0 ? (size_t)got : 0;
}

/* What was written to the file since its last sync: it is on the disk now, or it is gone. */
static void settle(int fd, bool forget) {
    struct stat st;
    int left = 0;
    if (undo_count == 0 || !look(fd, &st)) return;
    for (int i = undo_count - 1; forget && i >= 0; i--) {
        if (undos[i].ino != st.st_ino) continue;
        if (undos[i].size > 0) (void)syscall(SYS_pwrite64, fd, undos[i].old, undos[i].size, undos[i].at);
        (void)syscall(SYS_ftruncate, fd, undos[i].old_size);
    }
    for (int i = 0; i < undo_count; i++) {
        if (undos[i].ino == st.st_ino)
            free(undos[i].old);
        else
            undos[left++] = undos[i];
    }
    undo_count = left;
}

/* ---- Writing ---- */

static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t at) {
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        ssize_t got = syscall(SYS_pwrite64, fd, parts[i].iov_base, parts[i].iov_len, at + all);
        if (got < 0) return all > 0 ? all : got;
        all += got;
        if ((size_t)got < parts[i].iov_len) break;
    }
    return all;
}

static ssize_t half(int fd, const struct iovec *parts, int count, off_t at) {
    struct iovec first = {parts[0].iov_base, (parts[0].iov_len + 1) / 2};
    return count > 1 ? write_parts(fd, parts, count / 2, at) : write_parts(fd, &first, 1, at);
}

static ssize_t any_write(int fd, const struct iovec *parts, int count, off_t at) {
    size_t size = 0;
    if (!is_our_file(fd)) return write_parts(fd, parts, count, at);
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    if (!is_due(CALL_WRITE)) {
        note_write(fd, at, size);
        return write_parts(fd, parts, count, at);
    }
    if (now.action == FAULT_ERROR) {
        errno = now.error;
        return -1;
    }
    if (now.action == FAULT_KILL) die();
    note_write(fd, at, size);
    if (now.action == FAULT_FORGET) return write_parts(fd, parts, count, at);
    ssize_t got = half(fd, parts, count, at);
    if (now.action == FAULT_KILL_TORN) die();
    return got;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    struct iovec part = {(void *)data, size};
    return any_write(fd, &part, 1, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return pwrite(fd, data, size, at); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return any_write(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return any_write(fd, parts, count, at); }

ssize_t write(int fd, const void *data, size_t size) {
    if (!is_our_file(fd)) return syscall(SYS_write, fd, data, size);
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t got = pwrite(fd, data, size, at);
    if (got > 0) (void)lseek(fd, at + got, SEEK_SET);
    return got;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!is_our_file(fd)) return syscall(SYS_writev, fd, parts, count);
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t got = any_write(fd, parts, count, at);
    if (got > 0) (void)lseek(fd, at + got, SEEK_SET);
    return got;
}

static int any_sync(long number, int fd) {
    bool ours = is_our_file(fd);
    bool due = ours && is_due(CALL_SYNC);
    if (due && (now.action == FAULT_KILL || now.action == FAULT_KILL_TORN)) die();
    if (ours && !due) settle(fd, false);
    if (!due || now.action == FAULT_SHORT) return (int)syscall(number, fd);
    /* Not SQLite's own files: it puts its pages in memory back from the journal, and that would be gone. */
    if (now.action == FAULT_FORGET) settle(fd, is_folder[fd] || (is_wal[fd] && !now.keeps_wal));
    errno = now.error;
    return -1;
}

int fdatasync(int fd) { return any_sync(SYS_fdatasync, fd); }
int fsync(int fd) { return any_sync(SYS_fsync, fd); }

int ftruncate(int fd, off_t size) {
    struct stat st;
    if (is_our_file(fd)) {
        if (fails(CALL_SIZE)) return -1;
        if (look(fd, &st) && size < st.st_size) note_write(fd, size, (size_t)(st.st_size - size));
    }
    return (int)syscall(SYS_ftruncate, fd, size);
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int posix_fallocate(int fd, off_t at, off_t size) {
    if (is_our_file(fd) && fails(CALL_SIZE)) return errno;
    return syscall(SYS_fallocate, fd, 0, at, size) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off_t at, off_t size) { return posix_fallocate(fd, at, size); }

/* ---- Names ---- */

int rename(const char *from, const char *to) {
    if (is_ours(from) && fails(CALL_NAME)) return -1;
    return (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path) {
    if (is_ours(path) && fails(CALL_NAME)) return -1;
    return (int)syscall(SYS_unlink, path);
}

int mkdir(const char *path, mode_t mode) {
    if (is_ours(path) && fails(CALL_NAME)) return -1;
    return (int)syscall(SYS_mkdir, path, mode);
}

int rmdir(const char *path) {
    if (is_ours(path) && fails(CALL_NAME)) return -1;
    return (int)syscall(SYS_rmdir, path);
}

static int any_open(const char *path, int flags, mode_t mode) {
    bool ours = is_ours(path);
    if (ours && fails((flags & O_CREAT) != 0 ? CALL_MAKE : CALL_OPEN)) return -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd < 0 || fd >= FILES_MAX) return fd;
    is_watched[fd] = ours;
    is_folder[fd] = strstr(path, "data.mdb") != NULL;
    is_wal[fd] = strstr(path, "-wal") != NULL;
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return any_open(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return any_open(path, flags, mode);
}

/* ---- Reading, mapping, locking ---- */

ssize_t pread(int fd, void *data, size_t size, off_t at) {
    if (is_our_file(fd) && fails(CALL_READ)) return -1;
    return syscall(SYS_pread64, fd, data, size, at);
}
ssize_t pread64(int fd, void *data, size_t size, off_t at) { return pread(fd, data, size, at); }

ssize_t read(int fd, void *data, size_t size) {
    if (is_our_file(fd) && fails(CALL_READ)) return -1;
    return syscall(SYS_read, fd, data, size);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at) {
    bool ours = is_our_file(fd) || (fd < 0 && watched_size > 0);
    if (ours && fails(CALL_MAP)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, at);
}
void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t at) {
    return mmap(address, size, protection, flags, fd, at);
}

static int any_fcntl(int fd, int command, long argument) {
    bool is_lock = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_GETLK;
    if (is_lock && is_our_file(fd)) {
        const struct flock *lock = (const struct flock *)argument;
        if ((command == F_GETLK || lock->l_type != F_UNLCK) && fails(CALL_LOCK)) return -1;
    }
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    return any_fcntl(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    return any_fcntl(fd, command, argument);
}

int fstat(int fd, struct stat *st) {
    if (is_our_file(fd) && fails(CALL_STAT)) return -1;
    return (int)syscall(SYS_fstat, fd, st);
}
int fstat64(int fd, struct stat64 *st) { return fstat(fd, (struct stat *)st); }

int stat(const char *path, struct stat *st) {
    if (is_ours(path) && fails(CALL_STAT)) return -1;
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}
int stat64(const char *path, struct stat64 *st) { return stat(path, (struct stat *)st); }
