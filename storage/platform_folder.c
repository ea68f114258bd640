#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/platform.h"

void tq_fd_guard_hold(struct tq_fd_guard *guard) {
    guard->count = 0;
    for (;;) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0) return;
        if (fd > 2) {
            (void)close(fd);
            return;
        }
        guard->fds[guard->count++] = fd;
    }
}

void tq_fd_guard_release(struct tq_fd_guard *guard) {
    while (guard->count > 0) (void)close(guard->fds[--guard->count]);
}

/* What errno says of a call on a path: no room is an error of its own. */
static enum tq_status fail_call(const char *call, const char *path, int error) {
    bool full = error == ENOSPC || error == EDQUOT;
    return tq_fail(full ? TQ_FULL : TQ_IO, "%s %s: %s", call, path, strerror(error));
}

enum tq_status tq_folder_join(const char *folder, const char *name, char *path, size_t size) {
    int length = snprintf(path, size, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= size) return tq_fail(TQ_MISUSE, "path is too long: %.200s...", folder);
    return TQ_OK;
}

/* Length of a path without slashes at its end. */
static size_t trimmed_length(const char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    return length;
}

enum tq_status tq_folder_parent(const char *path, char *parent, size_t size) {
    size_t length = trimmed_length(path);
    while (length > 0 && path[length - 1] != '/') length--;
    while (length > 1 && path[length - 1] == '/') length--;
    if (length + 2 > size) return tq_fail(TQ_MISUSE, "path is too long: %.200s...", path);
    (void)snprintf(parent, size, "%.*s", (int)length, path);
    if (length == 0) (void)snprintf(parent, size, ".");
    return TQ_OK;
}

enum tq_status tq_folder_make_beside(const char *folder, char *temporary, size_t size) {
    for (int attempt = 0; attempt < 8; attempt++) {
        uint64_t random = 0;
        int error = tq_platform_random(&random, sizeof random);
        if (error != 0) return tq_fail(TQ_IO, "random bytes: %s", strerror(error));
        int length = snprintf(temporary, size, "%.*s.new-%016llx", (int)trimmed_length(folder), folder,
                              (unsigned long long)random);
        if (length < 0 || (size_t)length >= size) return tq_fail(TQ_MISUSE, "path is too long: %.200s...", folder);
        if (mkdir(temporary, 0777) == 0) return TQ_OK;
        if (errno == ENOENT) return tq_fail(TQ_NOT_FOUND, "the folder that %s should lie in does not exist", folder);
        if (errno != EEXIST) break;
    }
    return fail_call("mkdir", temporary, errno);
}

enum tq_status tq_folder_sync(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_call("open", path, errno);
    int error = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    /* Some file systems cannot sync a folder and say EINVAL; there is nothing more to do on them. */
    if (error != 0 && error != EINVAL) return fail_call("fsync", path, error);
    return TQ_OK;
}

enum tq_status tq_folder_sync_parent(const char *path) {
    char parent[4096];
    TQ_TRY(tq_folder_parent(path, parent, sizeof parent));
    return tq_folder_sync(parent);
}

enum tq_status tq_folder_refuse_existing(const char *path) {
    struct stat st;
    if (lstat(path, &st) == 0) return tq_fail(TQ_EXISTS, "\"%s\" exists already: nothing is overwritten", path);
    return errno == ENOENT ? TQ_OK : tq_fail(TQ_IO, "stat %s: %s", path, strerror(errno));
}

enum tq_status tq_folder_move(const char *from, const char *to) {
    TQ_TRY(tq_folder_refuse_existing(to));
    if (rename(from, to) == 0) return tq_folder_sync_parent(to);
    return tq_fail(TQ_IO, "rename %s to %s: %s", from, to, strerror(errno));
}

uint64_t tq_folder_free_bytes(const char *path) {
    struct statvfs fs;
    if (statvfs(path, &fs) != 0) return UINT64_MAX;
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* The registry cannot see a second copy of this library in the process; a lock of the open file can. */
enum tq_status tq_folder_lock_owner(const char *folder, bool readonly, int *fd) {
    char path[4096];
    struct tq_fd_guard guard;
    TQ_TRY(tq_folder_join(folder, TQ_OWNER_FILE, path, sizeof path));
    tq_fd_guard_hold(&guard);
    *fd = open(path, O_RDWR | O_CLOEXEC | (readonly ? 0 : O_CREAT), 0644);
    int error = errno;
    tq_fd_guard_release(&guard);
    if (*fd < 0 && readonly) return TQ_OK; /* a read-only medium: nothing to protect from us */
    if (*fd < 0) return fail_call("open", path, error);
    error = tq_platform_lock_byte(*fd, (uint64_t)getpid());
    if (error == EAGAIN)
        return tq_fail(TQ_UNSUPPORTED,
                       "%s is open in a second copy of this library in process %ld (or by a process of that "
                       "number in another container)",
                       folder, (long)getpid());
    if (error != 0) return TQ_OK; /* a file system without such locks: go on without the check */
    return tq_folder_pass_gate(folder, *fd, (uint64_t)getpid());
}

void tq_folder_remove(const char *folder) {
    const char *const names[] = {TQ_DATA_FILE, TQ_LOCK_FILE, TQ_OWNER_FILE};
    char path[4096];
    for (size_t i = 0; i < TQ_COUNT(names); i++)
        if (tq_folder_join(folder, names[i], path, sizeof path) == TQ_OK) (void)unlink(path);
    (void)rmdir(folder);
}

enum tq_status tq_folder_finish(const char *folder) {
    char path[4096];
    TQ_TRY(tq_folder_join(folder, TQ_OWNER_FILE, path, sizeof path));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return fail_call("open", path, errno);
    (void)close(fd);
    TQ_TRY(tq_folder_join(folder, TQ_DATA_FILE, path, sizeof path));
    TQ_TRY(tq_folder_sync(path));
    return tq_folder_sync(folder);
}

/* A torn first write would leave a file that LMDB refuses for ever: so it is made elsewhere and renamed. */
static enum tq_status make_folder(const char *folder, enum tq_status (*fill)(const char *folder)) {
    char temporary[4096];
    TQ_TRY(tq_folder_make_beside(folder, temporary, sizeof temporary));
    enum tq_status status = fill(temporary);
    if (status == TQ_OK) status = tq_folder_finish(temporary);
    if (status == TQ_OK && rename(temporary, folder) != 0) {
        bool other_was_faster = errno == EEXIST || errno == ENOTEMPTY;
        if (!other_was_faster) status = fail_call("rename to", folder, errno);
        tq_folder_remove(temporary);
        return status;
    }
    if (status == TQ_OK) return tq_folder_sync_parent(folder);
    tq_folder_remove(temporary);
    return status;
}

static enum tq_status check_network(const char *folder, bool absent, bool allow_netfs) {
    char parent[4096];
    if (allow_netfs) return TQ_OK;
    if (absent) {
        TQ_TRY(tq_folder_parent(folder, parent, sizeof parent));
        folder = parent;
    }
    const char *kind = tq_platform_network(folder);
    if (kind == NULL) return TQ_OK;
    return tq_fail(TQ_UNSUPPORTED,
                   "%s lies on %s: neither LMDB nor SQLite can promise anything on network file systems "
                   "(TQ_ALLOW_NETFS=1 permits it)",
                   folder, kind);
}

static bool is_empty(const char *folder) {
    DIR *dir = opendir(folder);
    int entries = 0;
    while (dir != NULL && readdir(dir) != NULL) entries++;
    if (dir != NULL) (void)closedir(dir);
    return entries == 2; /* itself and its parent */
}

enum tq_status tq_folder_ensure(const char *folder, unsigned flags, bool allow_netfs,
                                enum tq_status (*fill)(const char *folder)) {
    struct stat st;
    bool absent = stat(folder, &st) != 0;
    if (absent && errno != ENOENT && errno != ENOTDIR) return tq_fail(TQ_IO, "stat %s: %s", folder, strerror(errno));
    TQ_TRY(check_network(folder, absent, allow_netfs));
    if (!absent && !S_ISDIR(st.st_mode)) return tq_fail(TQ_FORMAT, "%s is a file, a store is a folder", folder);
    if (!absent && !((flags & TQ_OPEN_CREATE) && is_empty(folder))) return TQ_OK; /* rename replaces an empty one */
    if (!(flags & TQ_OPEN_CREATE)) return tq_fail(TQ_NOT_FOUND, "%s does not exist", folder);
    if (flags & TQ_OPEN_READONLY) return tq_fail(TQ_NOT_FOUND, "%s does not exist and may not be made", folder);
    return make_folder(folder, fill);
}
