/* Opening, and writing. The env files are the only ones that know LMDB.
 *
 * Rules learnt the hard way, each with a test in tests/unit/test_env.c:
 * - one MDB_env per data.mdb and process: a second one, even opened and closed, drops the process's locks, and
 *   other processes then overwrite pages that our readers see;
 * - the map is never resized while open, so that addresses of values stay good as long as the values live;
 * - no write transaction outlives a function: it belongs to one thread and blocks every process;
 * - a child after fork() must not touch what it inherits: it would release the parent's reader slots. */
#include "storage/env.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "storage/env_parts.h"
#include "storage/env_record.h"
#include "storage/page_tree.h"
#include "storage/platform.h"

#define MAP_BYTES ((size_t)1 << 40)     /* address space, not memory: the file grows as it is written */
#define MAP_BYTES_MIN ((size_t)1 << 26) /* what is tried last where address space is limited */
#define READERS_MAX 1022                /* fixed by the first process that opens; fills the lock file's pages */
#define LOCK_BYTES 65536                /* what LMDB makes of lock.mdb for so many */

/* ---- Registry: the one global state, because POSIX locks and LMDB are per process ---- */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static struct tq_env *registry;

void tq_env_registry_hold(void) { (void)pthread_mutex_lock(&registry_lock); }
void tq_env_registry_let_go(void) { (void)pthread_mutex_unlock(&registry_lock); }

/* A fork while another thread opens a store must not leave the child a locked registry. */
static void registry_init(void) {
    (void)pthread_atfork(tq_env_registry_hold, tq_env_registry_let_go, tq_env_registry_let_go);
}

static struct tq_env *registry_find(const struct stat *st) {
    pid_t pid = getpid();
    for (struct tq_env *env = registry; env != NULL; env = env->next)
        if (env->dev == st->st_dev && env->ino == st->st_ino && env->pid == pid) return env;
    return NULL;
}

static void registry_remove(struct tq_env *env) {
    struct tq_env **link = &registry;
    while (*link != NULL && *link != env) link = &(*link)->next;
    if (*link == env) *link = env->next;
}

/* ---- Opening ---- */

/* LMDB maps a file of holes: where the disk is full, its first word there would be a SIGBUS. What else is wrong with
 * the file LMDB tells. */
static int reserve_lock_file(const char *folder) {
    char file[4096];
    if (tq_folder_join(folder, TQ_LOCK_FILE, file, sizeof file) != TQ_OK) return ENAMETOOLONG;
    int error = tq_platform_reserve(file, LOCK_BYTES);
    return error == ENOSPC || error == EDQUOT ? error : 0;
}

/* Where address space is limited (ulimit -v, valgrind) a terabyte is refused: halve until it fits. */
int tq_env_lmdb_open(const char *path, unsigned flags, MDB_env **out) {
    struct tq_fd_guard guard;
    int rc = (flags & MDB_NOLOCK) != 0 ? 0 : reserve_lock_file(path);
    if (rc != 0) return rc;
    rc = ENOMEM;
    tq_fd_guard_hold(&guard);
    for (size_t bytes = MAP_BYTES; bytes >= MAP_BYTES_MIN && (rc == ENOMEM || rc == EINVAL); bytes /= 2) {
        MDB_env *mdb = NULL;
        rc = mdb_env_create(&mdb);
        if (rc != 0) continue;
        rc = mdb_env_set_maxdbs(mdb, 2);
        if (rc == 0) rc = mdb_env_set_maxreaders(mdb, READERS_MAX);
        if (rc == 0) rc = mdb_env_set_mapsize(mdb, bytes);
        if (rc == 0) rc = mdb_env_open(mdb, path, flags | MDB_NOTLS, 0644);
        if (rc == 0)
            *out = mdb;
        else
            mdb_env_close(mdb);
    }
    tq_fd_guard_release(&guard);
    return rc;
}

static enum tq_status open_dbs(struct tq_env *env) {
    MDB_txn *txn = NULL;
    MDB_val key = {3, "env"}, value;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc != 0) return tq_env_error(env->path, rc, "read transaction", 0);
    rc = mdb_dbi_open(txn, "val", MDB_INTEGERKEY, &env->val);
    if (rc == 0) rc = mdb_dbi_open(txn, "meta", 0, &env->meta);
    if (rc == 0) rc = mdb_get(txn, env->meta, &key, &value);
    enum tq_status status;
    if (rc == MDB_NOTFOUND)
        status = tq_fail(TQ_FORMAT, "%s holds no store of tqlite", env->path);
    else if (rc != 0)
        status = tq_env_error(env->path, rc, "sub-databases", 0);
    else
        status = tq_env_record_parse(env->path, value.mv_data, value.mv_size, env->uuid);
    if (status == TQ_OK) env->map = tq_page_tree_map(value.mv_data, env->page_bytes);
    if (status != TQ_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    rc = mdb_txn_commit(txn); /* keeps the handles */
    return rc == 0 ? TQ_OK : tq_env_error(env->path, rc, "sub-databases", 0);
}

static void env_free(struct tq_env *env) {
    if (env->mdb != NULL) mdb_env_close(env->mdb);
    if (env->owner_fd >= 0) {
        tq_platform_unlock(env->owner_fd, 0, 0); /* or a child after fork() keeps us from coming back */
        (void)close(env->owner_fd);
    }
    (void)pthread_mutex_destroy(&env->shared_lock);
    tq_free(env->path);
    tq_free(env);
}

enum tq_status tq_env_attach(struct tq_env *env) {
    char file[4096];
    struct stat st;
    TQ_TRY(tq_folder_join(env->path, TQ_DATA_FILE, file, sizeof file));
    unsigned flags = (env->readonly ? MDB_RDONLY : 0) | (env->immutable ? MDB_NOLOCK : 0);
    int rc = tq_env_lmdb_open(env->path, flags, &env->mdb);
    if (rc != 0) return tq_env_error(env->path, rc, "mdb_env_open", 0);
    /* Now, because another process may have replaced the file before we had locked the owner file. */
    if (stat(file, &st) != 0) return tq_fail(TQ_IO, "stat %s: %s", file, strerror(errno));
    env->dev = st.st_dev;
    env->ino = st.st_ino;
    env->linked = st.st_nlink > 0;
    TQ_TRY(tq_env_check_tree(env, false)); /* before LMDB follows the first page number */
    TQ_TRY(open_dbs(env));
    if (!env->readonly) {
        int dead = 0;
        (void)mdb_reader_check(env->mdb, &dead);
    }
    return TQ_OK;
}

/* Nobody compacts a folder whose owner file we have locked: a new data file is one that was never finished. */
static void remove_leftover(const char *folder) {
    char file[4096];
    if (tq_folder_join(folder, TQ_DATA_FILE_NEW, file, sizeof file) == TQ_OK) (void)unlink(file);
}

static enum tq_status env_fill(struct tq_env *env, const char *file) {
    TQ_TRY(tq_page_tree_check_head(file));
    if (!env->immutable) TQ_TRY(tq_folder_lock_owner(env->path, env->readonly, &env->owner_fd));
    if (!env->readonly) remove_leftover(env->path);
    return tq_env_attach(env);
}

static enum tq_status env_new(const char *folder, const char *file, unsigned flags, struct tq_env **out) {
    struct tq_env *env = tq_alloc_zero(sizeof *env);
    if (env == NULL) return TQ_NOMEM;
    size_t length = strlen(folder) + 1;
    env->path = tq_alloc(length);
    env->owner_fd = -1;
    env->pid = getpid();
    env->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
    env->readonly = (flags & TQ_OPEN_READONLY) != 0;
    env->immutable = (flags & TQ_ENV_IMMUTABLE) != 0;
    env->refs = 1;
    (void)pthread_mutex_init(&env->shared_lock, NULL);
    enum tq_status status = TQ_NOMEM;
    if (env->path != NULL) {
        memcpy(env->path, folder, length);
        status = env_fill(env, file);
    }
    if (status != TQ_OK) {
        env_free(env);
        return status;
    }
    *out = env;
    return TQ_OK;
}

/* ---- Making a folder (tq_folder_ensure renames it into place when this is done) ---- */

int tq_env_write_record(MDB_env *mdb, struct tq_env_record *record) {
    MDB_txn *txn = NULL;
    MDB_dbi val, meta;
    MDB_val key = {3, "env"}, value = {sizeof *record, record};
    int rc = mdb_txn_begin(mdb, NULL, 0, &txn);
    if (rc != 0) return rc;
    rc = mdb_dbi_open(txn, "val", MDB_CREATE | MDB_INTEGERKEY, &val);
    if (rc == 0) rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &meta);
    if (rc == 0) rc = mdb_put(txn, meta, &key, &value, MDB_NOOVERWRITE);
    if (rc == 0) return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static enum tq_status fill_folder(const char *folder) {
    struct tq_env_record record;
    TQ_TRY(tq_env_record_make(&record));
    MDB_env *mdb = NULL;
    int rc = tq_env_lmdb_open(folder, 0, &mdb);
    if (rc == 0) {
        rc = tq_env_write_record(mdb, &record);
        mdb_env_close(mdb);
    }
    return rc == 0 ? TQ_OK : tq_env_error(folder, rc, "making the store", 0);
}

static enum tq_status open_locked(const char *folder, const char *file, unsigned flags, struct tq_env **out) {
    struct stat st;
    if (stat(file, &st) != 0) {
        if (errno == ENOENT) return tq_fail(TQ_FORMAT, "%s exists but holds no store (no %s)", folder, TQ_DATA_FILE);
        return tq_fail(TQ_IO, "stat %s: %s", file, strerror(errno));
    }
    struct tq_env *env = registry_find(&st);
    if (env != NULL) {
        if (env->compacting) return tq_fail(TQ_BUSY, "%s is being compacted by this process", folder);
        if (atomic_load(&env->broken)) return tq_env_fail(env, MDB_PANIC, "open", 0);
        if (env->readonly && (flags & TQ_OPEN_READONLY) == 0)
            return tq_fail(TQ_BUSY, "%s is open in this process, read-only: close that first", folder);
        if (env->immutable && (flags & TQ_ENV_IMMUTABLE) == 0)
            return tq_fail(TQ_BUSY, "%s is open in this process, without locks: close that first", folder);
        env->refs++;
        *out = env;
        return TQ_OK;
    }
    TQ_TRY(env_new(folder, file, flags, &env));
    env->next = registry;
    registry = env;
    *out = env;
    return TQ_OK;
}

enum tq_status tq_env_open(const char *folder, unsigned flags, bool allow_netfs, struct tq_env **env) {
    char file[4096];
    TQ_TRY(tq_folder_join(folder, TQ_DATA_FILE, file, sizeof file));
    (void)pthread_once(&registry_once, registry_init);
    tq_env_registry_hold();
    enum tq_status status = tq_folder_ensure(folder, flags, allow_netfs, fill_folder);
    if (status == TQ_OK) status = open_locked(folder, file, flags, env);
    tq_env_registry_let_go();
    return status;
}

void tq_env_retain(struct tq_env *env) {
    tq_env_registry_hold();
    env->refs++;
    tq_env_registry_let_go();
}

void tq_env_close(struct tq_env *env) {
    if (env == NULL || env->pid != getpid()) return; /* inherited by fork: the parent's */
    tq_env_registry_hold();
    bool last = --env->refs == 0;
    if (last) {
        registry_remove(env);
        env_free(env); /* under the lock: nobody may open the file again before LMDB has let it go */
    }
    tq_env_registry_let_go();
}

void **tq_env_shared_lock(struct tq_env *env, uint64_t key) {
    (void)pthread_mutex_lock(&env->shared_lock);
    return &env->shared[(key ^ key >> 40) % TQ_ENV_BUCKETS];
}

void tq_env_shared_unlock(struct tq_env *env) { (void)pthread_mutex_unlock(&env->shared_lock); }

void tq_env_set_unlinked(struct tq_env *env) { env->linked = false; }

const uint8_t *tq_env_uuid(const struct tq_env *env) { return env->uuid; }
const char *tq_env_path(const struct tq_env *env) { return env->path; }

/* ---- Writing ---- */

static enum tq_status delete_values(struct tq_env *env, MDB_txn *txn, const struct tq_env_batch *batch) {
    for (size_t i = 0; i < batch->delete_count; i++) {
        uint64_t number = batch->deletes[i];
        MDB_val key = {sizeof number, &number}, value;
        int rc = mdb_get(txn, env->val, &key, &value);
        if (rc == 0) TQ_TRY(tq_env_check_value(env, number, &value)); /* its header says which pages become free */
        if (rc == 0) rc = mdb_del(txn, env->val, &key, NULL);
        if (rc != 0 && rc != MDB_NOTFOUND) return tq_env_fail(env, rc, "write", 0);
    }
    return TQ_OK;
}

static int put_values(struct tq_env *env, MDB_txn *txn, const struct tq_env_batch *batch) {
    int rc = 0;
    for (size_t i = 0; i < batch->put_count && rc == 0; i++) {
        uint64_t number = batch->puts[i].key;
        MDB_val key = {sizeof number, &number};
        MDB_val value = {batch->puts[i].size, (void *)batch->puts[i].data};
        rc = mdb_put(txn, env->val, &key, &value, MDB_NOOVERWRITE);
    }
    struct tq_env_meta meta = batch->meta;
    for (uint32_t i = 0; i <= batch->more && rc == 0; i++, meta.nonce += 2) {
        struct tq_index_key name = tq_index_key_of(batch->index + i);
        struct tq_index_record record = tq_index_record_make(&meta);
        MDB_val key = {sizeof name.bytes, name.bytes}, value = {sizeof record, &record};
        rc = mdb_put(txn, env->meta, &key, &value, 0);
    }
    return rc;
}

/* What is written to a file that was deleted goes with this process, while the catalog stays. */
static enum tq_status check_linked(const struct tq_env *env) {
    struct stat st;
    int fd = -1;
    if (!env->linked || mdb_env_get_fd(env->mdb, &fd) != 0 || fstat(fd, &st) != 0 || st.st_nlink > 0) return TQ_OK;
    return tq_fail(
        TQ_IO,
        "%s/%s was deleted or replaced while this process had it open: nothing is written; close every handle "
        "of this store and open it again",
        env->path, TQ_DATA_FILE);
}

enum tq_status tq_env_write(struct tq_env *env, const struct tq_env_batch *batch) {
    TQ_TRY(tq_env_check_process(env));
    TQ_TRY(check_linked(env));
    if (env->readonly) return tq_fail(TQ_MISUSE, "%s is open read-only", env->path);
    uint32_t last = batch->index + batch->more;
    if (last >> 24 != 0) return tq_fail(TQ_UNSUPPORTED, "index number %u: 24 bits are kept", last);
    uint64_t bytes = 0;
    for (size_t i = 0; i < batch->put_count; i++) bytes += batch->puts[i].size;
    /* Slots of readers that were killed pin every page freed since: clear them first. */
    (void)mdb_reader_check(env->mdb, NULL);
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    if (rc != 0) return tq_env_fail(env, rc, "write transaction", 0);
    enum tq_status status = delete_values(env, txn, batch);
    if (status == TQ_OK) rc = put_values(env, txn, batch);
    if (status != TQ_OK || rc != 0)
        mdb_txn_abort(txn);
    else
        rc = mdb_txn_commit(txn);
    TQ_TRY(status);
    return rc == 0 ? TQ_OK : tq_env_fail(env, rc, "write", bytes);
}
