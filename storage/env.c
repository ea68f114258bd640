/* The only file that knows LMDB.
 *
 * Rules learnt the hard way, each with a test in tests/unit/test_env.c:
 * - one MDB_env per data.mdb and process: a second one, even opened and closed, drops the process's locks, and
 *   other processes then overwrite pages that our readers see;
 * - the map is never resized while open, so that addresses of values stay good as long as the values live;
 * - no write transaction outlives a function: it belongs to one thread and blocks every process;
 * - a child after fork() must not touch what it inherits: it would release the parent's reader slots. */
#include "storage/env.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "storage/env_record.h"
#include "storage/platform.h"

#define MAP_BYTES ((size_t)1 << 40)       /* address space, not memory: the file grows as it is written */
#define MAP_BYTES_MIN ((size_t)1 << 26)   /* what is tried last where address space is limited */
#define READERS_MAX 1022                  /* fixed by the first process that opens; fills the lock file's pages */
#define FULL_RESERVE ((uint64_t)16 << 20) /* LMDB reports a full disk as EIO: less space than this explains one */
#define BUCKETS 1024u

struct tq_env {
    struct tq_env *next;
    MDB_env *mdb;
    MDB_dbi val, meta;
    dev_t dev;
    ino_t ino;
    unsigned refs;
    pid_t pid;
    int owner_fd;
    bool readonly;
    atomic_bool broken; /* LMDB could not write its last page: only a new MDB_env can tell what is on disk */
    uint8_t uuid[16];
    char *path;
    pthread_mutex_t shared_lock;
    void *shared[BUCKETS];
};

struct tq_env_reader {
    struct tq_env *env;
    MDB_txn *txn;
    bool active;
};

/* ---- Registry: the one global state, because POSIX locks and LMDB are per process ---- */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static struct tq_env *registry;

static void registry_hold(void) { (void)pthread_mutex_lock(&registry_lock); }
static void registry_let_go(void) { (void)pthread_mutex_unlock(&registry_lock); }

/* A fork while another thread opens a store must not leave the child a locked registry. */
static void registry_init(void) { (void)pthread_atfork(registry_hold, registry_let_go, registry_let_go); }

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

/* ---- LMDB's errors and errno -> status: the only such mapping ---- */

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
static enum tq_status fail(const char *path, int rc, const char *what, uint64_t bytes) {
    bool disk_full = rc == EIO && tq_folder_free_bytes(path) < bytes + FULL_RESERVE;
    if (disk_full)
        return tq_fail(TQ_FULL, "%s: %s: disk full, %llu MiB needed", path, what,
                       (unsigned long long)((bytes + FULL_RESERVE) >> 20));
    const char *hint = rc == MDB_MAP_RESIZED ? " (this process got too little address space: ulimit -v?)" : "";
    return tq_fail(status_of(rc, disk_full), "%s: %s: %s%s", path, what, mdb_strerror(rc), hint);
}

static enum tq_status env_fail(struct tq_env *env, int rc, const char *what, uint64_t bytes) {
    if (rc == MDB_PANIC) {
        atomic_store(&env->broken, true);
        return tq_fail(TQ_IO,
                       "%s: %s: an earlier write failed half-way; close every handle of this store in this "
                       "process and open it again",
                       env->path, what);
    }
    return fail(env->path, rc, what, bytes);
}

static enum tq_status check_process(const struct tq_env *env) {
    if (env->pid == getpid()) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s was opened by process %ld: a child after fork() must open it anew", env->path,
                   (long)env->pid);
}

/* ---- Opening ---- */

/* Where address space is limited (ulimit -v, valgrind) a terabyte is refused: halve until it fits. */
static int lmdb_open(const char *path, unsigned flags, MDB_env **out) {
    struct tq_fd_guard guard;
    int rc = ENOMEM;
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

/* A page beyond the end of the file would be a SIGBUS, not an error. */
static enum tq_status check_length(const struct tq_env *env, off_t size) {
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(env->mdb, &info);
    if (rc == 0) rc = mdb_env_stat(env->mdb, &stat);
    if (rc != 0) return fail(env->path, rc, "mdb_env_info", 0);
    uint64_t need = 0;
    if (__builtin_mul_overflow((uint64_t)info.me_last_pgno + 1, (uint64_t)stat.ms_psize, &need) ||
        (uint64_t)size < need)
        return tq_fail(TQ_CORRUPT, "%s/%s is cut off: %lld bytes of %llu", env->path, TQ_DATA_FILE, (long long)size,
                       (unsigned long long)need);
    return TQ_OK;
}

static enum tq_status open_dbs(struct tq_env *env) {
    MDB_txn *txn = NULL;
    MDB_val key = {3, "env"}, value;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc != 0) return fail(env->path, rc, "read transaction", 0);
    rc = mdb_dbi_open(txn, "val", MDB_INTEGERKEY, &env->val);
    if (rc == 0) rc = mdb_dbi_open(txn, "meta", 0, &env->meta);
    if (rc == 0) rc = mdb_get(txn, env->meta, &key, &value);
    enum tq_status status;
    if (rc == MDB_NOTFOUND)
        status = tq_fail(TQ_FORMAT, "%s holds no store of tqlite", env->path);
    else if (rc != 0)
        status = fail(env->path, rc, "sub-databases", 0);
    else
        status = tq_env_record_parse(env->path, value.mv_data, value.mv_size, env->uuid);
    if (status != TQ_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    rc = mdb_txn_commit(txn); /* keeps the handles */
    return rc == 0 ? TQ_OK : fail(env->path, rc, "sub-databases", 0);
}

static void env_free(struct tq_env *env) {
    if (env->mdb != NULL) mdb_env_close(env->mdb);
    if (env->owner_fd >= 0) (void)close(env->owner_fd);
    (void)pthread_mutex_destroy(&env->shared_lock);
    tq_free(env->path);
    tq_free(env);
}

static enum tq_status env_fill(struct tq_env *env, const struct stat *st, const char *file) {
    TQ_TRY(tq_folder_check_data(file));
    TQ_TRY(tq_folder_lock_owner(env->path, env->readonly, &env->owner_fd));
    int rc = lmdb_open(env->path, env->readonly ? MDB_RDONLY : 0, &env->mdb);
    if (rc != 0) return fail(env->path, rc, "mdb_env_open", 0);
    struct stat now; /* again: another process may have written since */
    TQ_TRY(check_length(env, stat(file, &now) == 0 ? now.st_size : st->st_size));
    TQ_TRY(open_dbs(env));
    if (!env->readonly) {
        int dead = 0;
        (void)mdb_reader_check(env->mdb, &dead);
    }
    return TQ_OK;
}

static enum tq_status env_new(const char *folder, const struct stat *st, const char *file, bool readonly,
                              struct tq_env **out) {
    struct tq_env *env = tq_alloc_zero(sizeof *env);
    if (env == NULL) return TQ_NOMEM;
    size_t length = strlen(folder) + 1;
    env->path = tq_alloc(length);
    env->owner_fd = -1;
    env->pid = getpid();
    env->readonly = readonly;
    env->dev = st->st_dev;
    env->ino = st->st_ino;
    env->refs = 1;
    (void)pthread_mutex_init(&env->shared_lock, NULL);
    enum tq_status status = TQ_NOMEM;
    if (env->path != NULL) {
        memcpy(env->path, folder, length);
        status = env_fill(env, st, file);
    }
    if (status != TQ_OK) {
        env_free(env);
        return status;
    }
    *out = env;
    return TQ_OK;
}

/* ---- Making a folder (tq_folder_ensure renames it into place when this is done) ---- */

static int write_env_record(MDB_env *mdb, struct tq_env_record *record) {
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
    int rc = lmdb_open(folder, 0, &mdb);
    if (rc == 0) {
        rc = write_env_record(mdb, &record);
        mdb_env_close(mdb);
    }
    return rc == 0 ? TQ_OK : fail(folder, rc, "making the store", 0);
}

static enum tq_status open_locked(const char *folder, const char *file, bool readonly, struct tq_env **out) {
    struct stat st;
    if (stat(file, &st) != 0) {
        if (errno == ENOENT) return tq_fail(TQ_FORMAT, "%s exists but holds no store (no %s)", folder, TQ_DATA_FILE);
        return tq_fail(TQ_IO, "stat %s: %s", file, strerror(errno));
    }
    struct tq_env *env = registry_find(&st);
    if (env != NULL) {
        if (atomic_load(&env->broken)) return env_fail(env, MDB_PANIC, "open", 0);
        if (env->readonly && !readonly)
            return tq_fail(TQ_BUSY, "%s is open in this process, read-only: close that first", folder);
        env->refs++;
        *out = env;
        return TQ_OK;
    }
    TQ_TRY(env_new(folder, &st, file, readonly, &env));
    env->next = registry;
    registry = env;
    *out = env;
    return TQ_OK;
}

enum tq_status tq_env_open(const char *folder, unsigned flags, bool allow_netfs, struct tq_env **env) {
    char file[4096];
    TQ_TRY(tq_folder_join(folder, TQ_DATA_FILE, file, sizeof file));
    (void)pthread_once(&registry_once, registry_init);
    registry_hold();
    enum tq_status status = tq_folder_ensure(folder, flags, allow_netfs, fill_folder);
    if (status == TQ_OK) status = open_locked(folder, file, (flags & TQ_OPEN_READONLY) != 0, env);
    registry_let_go();
    return status;
}

void tq_env_retain(struct tq_env *env) {
    registry_hold();
    env->refs++;
    registry_let_go();
}

void tq_env_close(struct tq_env *env) {
    if (env == NULL || env->pid != getpid()) return; /* inherited by fork: the parent's */
    registry_hold();
    bool last = --env->refs == 0;
    if (last) {
        registry_remove(env);
        env_free(env); /* under the lock: nobody may open the file again before LMDB has let it go */
    }
    registry_let_go();
}

void **tq_env_shared_lock(struct tq_env *env, uint64_t key) {
    (void)pthread_mutex_lock(&env->shared_lock);
    return &env->shared[(key ^ key >> 40) % BUCKETS];
}

void tq_env_shared_unlock(struct tq_env *env) { (void)pthread_mutex_unlock(&env->shared_lock); }

const uint8_t *tq_env_uuid(const struct tq_env *env) { return env->uuid; }
const char *tq_env_path(const struct tq_env *env) { return env->path; }

/* ---- Writing ---- */

static int write_batch(struct tq_env *env, MDB_txn *txn, const struct tq_env_batch *batch) {
    int rc = 0;
    for (size_t i = 0; i < batch->delete_count && rc == 0; i++) {
        uint64_t number = batch->deletes[i];
        MDB_val key = {sizeof number, &number};
        rc = mdb_del(txn, env->val, &key, NULL);
        if (rc == MDB_NOTFOUND) rc = 0;
    }
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

enum tq_status tq_env_write(struct tq_env *env, const struct tq_env_batch *batch) {
    TQ_TRY(check_process(env));
    if (env->readonly) return tq_fail(TQ_MISUSE, "%s is open read-only", env->path);
    uint32_t last = batch->index + batch->more;
    if (last >> 24 != 0) return tq_fail(TQ_UNSUPPORTED, "index number %u: 24 bits are kept", last);
    uint64_t bytes = 0;
    for (size_t i = 0; i < batch->put_count; i++) bytes += batch->puts[i].size;
    /* Slots of readers that were killed pin every page freed since: clear them first. */
    (void)mdb_reader_check(env->mdb, NULL);
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    if (rc != 0) return env_fail(env, rc, "write transaction", 0);
    rc = write_batch(env, txn, batch);
    if (rc != 0) mdb_txn_abort(txn);
    if (rc == 0) rc = mdb_txn_commit(txn);
    return rc == 0 ? TQ_OK : env_fail(env, rc, "write", bytes);
}

/* ---- Reading ---- */

static enum tq_status begin_read(struct tq_env *env, MDB_txn **txn) {
    TQ_TRY(check_process(env));
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);
    if (rc == MDB_READERS_FULL) {
        int dead = 0;
        (void)mdb_reader_check(env->mdb, &dead);
        rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);
    }
    return rc == 0 ? TQ_OK : env_fail(env, rc, "read transaction", 0);
}

enum tq_status tq_env_meta(struct tq_env *env, uint32_t index, struct tq_env_meta *meta) {
    MDB_txn *txn = NULL;
    struct tq_index_key name = tq_index_key_of(index);
    MDB_val key = {sizeof name.bytes, name.bytes}, value;
    struct tq_env_meta found = {.serial = 0};
    TQ_TRY(begin_read(env, &txn));
    int rc = mdb_get(txn, env->meta, &key, &value);
    bool whole = rc != 0 || tq_index_record_parse(value.mv_data, value.mv_size, &found);
    mdb_txn_abort(txn);
    if (rc != 0 && rc != MDB_NOTFOUND) return env_fail(env, rc, "meta record", 0);
    if (!whole) return tq_fail(TQ_CORRUPT, "%s: meta record of index %u fails its checksum", env->path, index);
    *meta = found;
    return TQ_OK;
}

enum tq_status tq_env_keys_above(struct tq_env *env, uint32_t index, uint64_t serial, uint64_t *keys, size_t capacity,
                                 size_t *count) {
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    uint64_t number = tq_env_key(index, serial) + 1;
    MDB_val key = {sizeof number, &number}, value;
    size_t found = 0;
    TQ_TRY(begin_read(env, &txn));
    int rc = mdb_cursor_open(txn, env->val, &cursor);
    if (rc == 0) rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (key.mv_size != sizeof number) rc = MDB_CORRUPTED;
        if (rc != 0) break;
        memcpy(&number, key.mv_data, sizeof number);
        if (number >> 40 != index) break;
        if (found < capacity) keys[found] = number;
        found++;
    }
    if (cursor != NULL) mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    if (rc != 0 && rc != MDB_NOTFOUND) return env_fail(env, rc, "keys", 0);
    *count = found;
    return TQ_OK;
}

enum tq_status tq_env_size(struct tq_env *env, uint64_t *file_bytes, uint64_t *free_bytes) {
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_envinfo info;
    MDB_stat stat;
    MDB_val key, value;
    uint64_t pages = 0;
    TQ_TRY(begin_read(env, &txn));
    int rc = mdb_env_info(env->mdb, &info);
    if (rc == 0) rc = mdb_env_stat(env->mdb, &stat);
    if (rc == 0) rc = mdb_cursor_open(txn, 0, &cursor); /* 0: LMDB's own list of free pages */
    if (rc == 0) rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        size_t listed = 0;
        if (value.mv_size >= sizeof listed) memcpy(&listed, value.mv_data, sizeof listed);
        pages += listed;
    }
    if (cursor != NULL) mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    if (rc != MDB_NOTFOUND) return env_fail(env, rc, "free pages", 0);
    *file_bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    *free_bytes = pages * stat.ms_psize;
    return TQ_OK;
}

enum tq_status tq_env_reader_open(struct tq_env *env, struct tq_env_reader **out) {
    struct tq_env_reader *reader = tq_alloc_zero(sizeof *reader);
    if (reader == NULL) return TQ_NOMEM;
    enum tq_status status = begin_read(env, &reader->txn);
    if (status != TQ_OK) {
        tq_free(reader);
        return status;
    }
    tq_env_retain(env); /* LMDB must not be closed under a transaction */
    reader->env = env;
    reader->active = true;
    *out = reader;
    return TQ_OK;
}

enum tq_status tq_env_reader_renew(struct tq_env_reader *reader) {
    TQ_TRY(check_process(reader->env));
    tq_env_reader_reset(reader);
    int rc = mdb_txn_renew(reader->txn);
    if (rc != 0) return env_fail(reader->env, rc, "read transaction", 0);
    reader->active = true;
    return TQ_OK;
}

void tq_env_reader_reset(struct tq_env_reader *reader) {
    if (!reader->active || reader->env->pid != getpid()) return;
    mdb_txn_reset(reader->txn);
    reader->active = false;
}

void tq_env_reader_close(struct tq_env_reader *reader) {
    if (reader == NULL || reader->env->pid != getpid()) return; /* after fork the slot is the parent's */
    mdb_txn_abort(reader->txn);
    tq_env_close(reader->env);
    tq_free(reader);
}

enum tq_status tq_env_get(struct tq_env_reader *reader, uint64_t number, const void **data, size_t *size) {
    struct tq_env *env = reader->env;
    TQ_TRY(check_process(env));
    if (!reader->active) return tq_fail(TQ_MISUSE, "%s: read without a read transaction", env->path);
    MDB_val key = {sizeof number, &number}, value;
    int rc = mdb_get(reader->txn, env->val, &key, &value);
    if (rc == MDB_NOTFOUND)
        return tq_fail(TQ_NOT_FOUND, "%s has no value %llu of index %u", env->path,
                       (unsigned long long)(number & 0xffffffffffull), (unsigned)(number >> 40));
    if (rc != 0) return env_fail(env, rc, "value", 0);
    *data = value.mv_data;
    *size = value.mv_size;
    return TQ_OK;
}
