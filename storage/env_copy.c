/* Whole environments: copied, compacted, made from values.
 *
 * LMDB's compacting copy counts a value's bytes in an int (ITS#10346); ours have a few MiB at most. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "storage/env_parts.h"
#include "storage/env_record.h"
#include "storage/platform.h"

/* ---- Copying ---- */

static enum tq_status file_fail(const char *file, int error, const char *what) {
    if (error == ENOSPC || error == EDQUOT) return tq_fail(TQ_FULL, "%s: %s: disk full", file, what);
    return tq_env_error(file, error, what, 0);
}

/* The copy is for whoever may use the original. */
static void take_over_mode(const struct stat *original, int fd) {
    (void)fchmod(fd, original->st_mode & 0777);
    if (fchown(fd, original->st_uid, original->st_gid) != 0) return; /* only root gives files away */
}

static enum tq_status copy_to(MDB_env *mdb, const char *file, int fd, uint64_t *bytes) {
    struct stat st;
    int original = -1;
    if (mdb_env_get_fd(mdb, &original) == 0 && fstat(original, &st) == 0) take_over_mode(&st, fd);
    int rc = mdb_env_copyfd2(mdb, fd, MDB_CP_COMPACT);
    if (rc != 0) return file_fail(file, rc, "copying");
    if (fsync(fd) != 0 || fstat(fd, &st) != 0) return file_fail(file, errno, "fsync");
    *bytes = (uint64_t)st.st_size;
    return TQ_OK;
}

/* A new file; nothing is left of it on failure. cold: it will not be read soon. */
static enum tq_status copy_file(MDB_env *mdb, const char *file, bool cold, uint64_t *bytes) {
    struct tq_fd_guard guard;
    tq_fd_guard_hold(&guard);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), error = errno;
    tq_fd_guard_release(&guard);
    if (fd < 0) return file_fail(file, error, "open");
    enum tq_status status = copy_to(mdb, file, fd, bytes);
    if (cold) (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
    if (status != TQ_OK) (void)unlink(file);
    return status;
}

enum tq_status tq_env_copy(struct tq_env *env, const char *folder, uint64_t *bytes) {
    char file[4096];
    struct stat st;
    TQ_TRY(tq_env_check_process(env));
    if (stat(env->path, &st) == 0) (void)chmod(folder, st.st_mode & 0777);
    TQ_TRY(tq_folder_join(folder, TQ_DATA_FILE, file, sizeof file));
    TQ_TRY(copy_file(env->mdb, file, true, bytes));
    return tq_folder_finish(folder);
}

/* ---- Compacting ---- */

/* LMDB's own lock on byte 0, which everybody has who has the environment open, other programs and older versions of
 * this library too. While it is ours, LMDB waits in their mdb_env_open(). Ours must be closed: closing any descriptor
 * of this file would drop LMDB's lock. */
static enum tq_status lock_lmdb(const char *folder, int *fd) {
    char file[4096];
    long pid = 0;
    TQ_TRY(tq_folder_join(folder, TQ_LOCK_FILE, file, sizeof file));
    *fd = open(file, O_RDWR | O_CLOEXEC);
    if (*fd < 0) return tq_fail(TQ_IO, "open %s: %s", file, strerror(errno));
    int error = tq_platform_lock_byte(*fd, 0);
    if (error == 0) return TQ_OK;
    bool known = tq_platform_lock_look(*fd, 0, 1, &pid) == EAGAIN && pid > 0;
    (void)close(*fd);
    *fd = -1;
    if (error != EAGAIN) return tq_fail(TQ_UNSUPPORTED, "locking %s: %s", file, strerror(error));
    if (known)
        return tq_fail(TQ_BUSY, "%s is open in process %ld: it can be compacted when nobody has it open", folder, pid);
    return tq_fail(TQ_BUSY, "%s is open in another process: it can be compacted when nobody has it open", folder);
}

/* Everything in a new file beside the old one, on disk. */
static enum tq_status write_new(const char *folder, const char *file, uint64_t *bytes) {
    MDB_env *mdb = NULL;
    (void)unlink(file); /* of a compaction that was killed */
    int rc = tq_env_lmdb_open(folder, MDB_RDONLY | MDB_NOLOCK, &mdb);
    if (rc != 0) return tq_env_error(folder, rc, "mdb_env_open", 0);
    enum tq_status status = copy_file(mdb, file, false, bytes);
    mdb_env_close(mdb);
    return status;
}

/* The copy's transactions are counted from 1 again, and LMDB's table of readers, which has a number of the old file's,
 * must not be used with it: a program that waits for our lock would. Empty, it is made anew or refused. */
static enum tq_status put_in_place(const char *folder, int lock, const char *from, const char *to) {
    if (ftruncate(lock, 0) != 0) {
        enum tq_status status = tq_fail(TQ_IO, "emptying %s/%s: %s", folder, TQ_LOCK_FILE, strerror(errno));
        (void)unlink(from);
        return status;
    }
    if (rename(from, to) != 0) {
        enum tq_status status = tq_fail(TQ_IO, "rename %s to %s: %s", from, to, strerror(errno));
        (void)unlink(from);
        return status;
    }
    return tq_folder_sync(folder);
}

/* Its message is that of `status`, which is returned, unless that is TQ_OK. */
static enum tq_status attach_again(struct tq_env *env, enum tq_status status) {
    char text[512];
    (void)snprintf(text, sizeof text, "%s", tq_message());
    enum tq_status attached = tq_env_attach(env);
    if (attached != TQ_OK && env->mdb != NULL) {
        mdb_env_close(env->mdb);
        env->mdb = NULL;
    }
    return status == TQ_OK ? attached : tq_fail(status, "%s", text);
}

static enum tq_status claim(struct tq_env *env) {
    enum tq_status status = TQ_OK;
    tq_env_registry_hold();
    if (env->compacting)
        status = tq_fail(TQ_BUSY, "%s is being compacted by this process", env->path);
    else if (env->refs != 1)
        status = tq_fail(
            TQ_BUSY,
            "%s is in use elsewhere in this process, by another connection, an index or a query: it can be "
            "compacted when nobody else has it open",
            env->path);
    else
        env->compacting = true;
    tq_env_registry_let_go();
    return status;
}

/* The list of environments is locked while the file at this name is not the one in the list, and not longer: a large
 * copy takes minutes, and other stores are opened and closed meanwhile. */
static enum tq_status replace(struct tq_env *env, const char *file, uint64_t *bytes) {
    char new_file[4096];
    int lock = -1;
    TQ_TRY(tq_folder_join(env->path, TQ_DATA_FILE_NEW, new_file, sizeof new_file));
    mdb_env_close(env->mdb);
    env->mdb = NULL;
    enum tq_status status = lock_lmdb(env->path, &lock);
    /* Second, because it cannot tell who is there; it tells of those that come, and of readers without LMDB's lock. */
    if (status == TQ_OK) status = tq_folder_close_gate(env->path, env->owner_fd);
    bool closed = status == TQ_OK;
    if (status == TQ_OK) status = write_new(env->path, new_file, bytes);
    tq_env_registry_hold();
    if (status == TQ_OK) status = put_in_place(env->path, lock, new_file, file);
    if (lock >= 0) {
        tq_platform_unlock(lock, 0, 0); /* or LMDB would wait for ourselves, or for a child after fork() */
        (void)close(lock);
    }
    status = attach_again(env, status);
    if (closed) tq_folder_open_gate(env->owner_fd);
    tq_env_registry_let_go();
    return status;
}

static enum tq_status compact(struct tq_env *env, uint64_t *freed) {
    char file[4096];
    struct stat old;
    uint64_t bytes = 0;
    TQ_TRY(tq_folder_join(env->path, TQ_DATA_FILE, file, sizeof file));
    if (stat(file, &old) != 0) return tq_fail(TQ_IO, "stat %s: %s", file, strerror(errno));
    TQ_TRY(replace(env, file, &bytes));
    *freed = (uint64_t)old.st_size > bytes ? (uint64_t)old.st_size - bytes : 0;
    return TQ_OK;
}

enum tq_status tq_env_compact(struct tq_env *env, uint64_t *freed) {
    TQ_TRY(tq_env_check_process(env));
    if (env->readonly) return tq_fail(TQ_MISUSE, "%s is open read-only", env->path);
    TQ_TRY(claim(env));
    enum tq_status status = compact(env, freed);
    tq_env_registry_hold();
    env->compacting = false;
    tq_env_registry_let_go();
    return status;
}

/* ---- Making one from values ---- */

struct tq_env_restore {
    MDB_env *mdb;
    MDB_dbi val, meta;
    char *folder;
};

static enum tq_status restore_fail(const struct tq_env_restore *restore, int rc) {
    return file_fail(restore->folder, rc, "making the store");
}

static enum tq_status restore_put(struct tq_env_restore *restore, MDB_dbi dbi, MDB_val *key, MDB_val *value) {
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(restore->mdb, NULL, 0, &txn);
    if (rc != 0) return restore_fail(restore, rc);
    rc = mdb_put(txn, dbi, key, value, MDB_NOOVERWRITE);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return rc == 0 ? TQ_OK : restore_fail(restore, rc);
}

/* Nothing is synced before the end: nobody sees the folder until then. */
static enum tq_status restore_open(struct tq_env_restore *restore, const uint8_t uuid[16]) {
    struct tq_env_record record = tq_env_record_of(uuid);
    MDB_txn *txn = NULL;
    int rc = tq_env_lmdb_open(restore->folder, MDB_NOSYNC, &restore->mdb);
    if (rc == 0) rc = tq_env_write_record(restore->mdb, &record);
    if (rc == 0) rc = mdb_txn_begin(restore->mdb, NULL, 0, &txn);
    if (rc != 0) return restore_fail(restore, rc);
    rc = mdb_dbi_open(txn, "val", MDB_INTEGERKEY, &restore->val);
    if (rc == 0) rc = mdb_dbi_open(txn, "meta", 0, &restore->meta);
    if (rc == 0)
        rc = mdb_txn_commit(txn); /* keeps the handles */
    else
        mdb_txn_abort(txn);
    return rc == 0 ? TQ_OK : restore_fail(restore, rc);
}

void tq_env_restore_drop(struct tq_env_restore *restore) {
    if (restore == NULL) return;
    if (restore->mdb != NULL) mdb_env_close(restore->mdb);
    tq_free(restore->folder);
    tq_free(restore);
}

enum tq_status tq_env_restore_begin(const char *folder, const uint8_t uuid[16], struct tq_env_restore **out) {
    struct tq_env_restore *restore = tq_alloc_zero(sizeof *restore);
    if (restore == NULL) return TQ_NOMEM;
    size_t size = strlen(folder) + 1;
    restore->folder = tq_alloc(size);
    enum tq_status status = restore->folder == NULL ? TQ_NOMEM : TQ_OK;
    if (status == TQ_OK) {
        memcpy(restore->folder, folder, size);
        status = restore_open(restore, uuid);
    }
    if (status == TQ_OK)
        *out = restore;
    else
        tq_env_restore_drop(restore);
    return status;
}

enum tq_status tq_env_restore_value(struct tq_env_restore *restore, uint64_t number, const void *data, size_t size) {
    MDB_val key = {sizeof number, &number}, value = {size, (void *)data};
    return restore_put(restore, restore->val, &key, &value);
}

enum tq_status tq_env_restore_meta(struct tq_env_restore *restore, uint32_t index, const struct tq_env_meta *meta) {
    struct tq_index_key name = tq_index_key_of(index);
    struct tq_index_record record = tq_index_record_make(meta);
    MDB_val key = {sizeof name.bytes, name.bytes}, value = {sizeof record, &record};
    return restore_put(restore, restore->meta, &key, &value);
}

enum tq_status tq_env_restore_end(struct tq_env_restore *restore) {
    int rc = mdb_env_sync(restore->mdb, 1);
    if (rc != 0) return restore_fail(restore, rc);
    mdb_env_close(restore->mdb);
    restore->mdb = NULL;
    return tq_folder_finish(restore->folder);
}
