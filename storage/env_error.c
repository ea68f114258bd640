/* LMDB's errors and errno -> status: the only such mapping. */
#include <errno.h>
#include <unistd.h>

#include "storage/env_parts.h"
#include "storage/platform.h"

#define FULL_RESERVE ((uint64_t)16 << 20) /* LMDB reports a full disk as EIO: less space than this explains one */

static enum tq_status status_of(int rc, bool disk_full) {
    switch (rc) {
    case MDB_NOTFOUND: return TQ_NOT_FOUND;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT: return TQ_FULL;
    case ENOMEM: return TQ_NOMEM;
    case MDB_READERS_FULL:
    case EAGAIN:
    case EBUSY: return TQ_BUSY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_KEYEXIST: return TQ_CORRUPT;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: return TQ_FORMAT;
    case EIO: return disk_full ? TQ_FULL : TQ_IO;
    default: return TQ_IO;
    }
}

/* LMDB's short write on a full disk is EIO: ask the file system which of the two it was. */
enum tq_status tq_env_error(const char *path, int rc, const char *what, uint64_t bytes) {
    bool disk_full = rc == EIO && tq_folder_free_bytes(path) < bytes + FULL_RESERVE;
    if (disk_full)
        return tq_fail(TQ_FULL, "%s: %s: disk full, %llu MiB needed", path, what,
                       (unsigned long long)((bytes + FULL_RESERVE) >> 20));
    const char *hint = rc == MDB_MAP_RESIZED ? " (this process got too little address space: ulimit -v?)" : "";
    return tq_fail(status_of(rc, disk_full), "%s: %s: %s%s", path, what, mdb_strerror(rc), hint);
}

enum tq_status tq_env_fail(struct tq_env *env, int rc, const char *what, uint64_t bytes) {
    if (rc == MDB_PANIC) {
        atomic_store(&env->broken, true);
        return tq_fail(TQ_IO,
                       "%s: %s: an earlier write failed half-way; close every handle of this store in this "
                       "process and open it again",
                       env->path, what);
    }
    return tq_env_error(env->path, rc, what, bytes);
}

enum tq_status tq_env_check_process(const struct tq_env *env) {
    if (env->pid == getpid() && env->mdb != NULL) return TQ_OK;
    if (env->pid == getpid()) {
        return tq_fail(TQ_IO,
                       "%s could not be opened again after a compaction: close every handle of this store in this "
                       "process and open it again",
                       env->path);
    }
    return tq_fail(TQ_MISUSE, "%s was opened by process %ld: a child after fork() must open it anew", env->path,
                   (long)env->pid);
}
