/* What the env files share. Nobody else includes this. */
#ifndef TQ_ENV_PARTS_H
#define TQ_ENV_PARTS_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "storage/env.h"

#define TQ_ENV_BUCKETS 1024u

struct tq_env {
    struct tq_env *next;
    MDB_env *mdb; /* NULL: closed for a compaction that could not open it again */
    MDB_dbi val, meta;
    dev_t dev;
    ino_t ino;
    unsigned refs;
    pid_t pid;
    int owner_fd;
    bool readonly;
    bool immutable;     /* opened without locks */
    bool linked;        /* the data file has a name, and should keep it */
    bool compacting;    /* under the registry's lock */
    atomic_bool broken; /* LMDB could not write its last page: only a new MDB_env can tell what is on disk */
    uint32_t page_bytes;
    const uint8_t *map; /* page 0 */
    uint8_t uuid[16];
    char *path;
    pthread_mutex_t shared_lock;
    void *shared[TQ_ENV_BUCKETS];
};

/* LMDB's error or errno `rc` of the store at `path`, as a status; what: what was being done; bytes: how many were to
 * be written. TQ_FULL where an error of the disk is explained by a full one. */
enum tq_status tq_env_error(const char *path, int rc, const char *what, uint64_t bytes);
/* The same for an environment that is open; notes when it can no longer be used. */
enum tq_status tq_env_fail(struct tq_env *env, int rc, const char *what, uint64_t bytes);

/* TQ_MISUSE in a child after fork(). */
enum tq_status tq_env_check_process(const struct tq_env *env);

/* The process's list of environments: held while one is opened, closed, or its file replaced. */
void tq_env_registry_hold(void);
void tq_env_registry_let_go(void);

/* LMDB's mdb_env_open with our limits, as much address space as can be had, and these flags besides: 0 or its error. */
int tq_env_lmdb_open(const char *path, unsigned flags, MDB_env **mdb);
struct tq_env_record;
/* Make the sub-databases of a new environment, and its record: 0 or LMDB's error. */
int tq_env_write_record(MDB_env *mdb, struct tq_env_record *record);
/* Open LMDB for an environment whose owner file is locked, and check what there is; sets mdb, dev and ino. */
enum tq_status tq_env_attach(struct tq_env *env);

/* A read transaction, to be ended by mdb_txn_abort. TQ_BUSY where all reader slots are taken by living processes. */
enum tq_status tq_env_begin_read(struct tq_env *env, MDB_txn **txn);

/* As tq_env_check_pages; without `values`, which is quick, their first pages are left alone. */
enum tq_status tq_env_check_tree(struct tq_env *env, bool values);

/* Whether the pages of a value that LMDB has found are a value's. TQ_CORRUPT. */
enum tq_status tq_env_check_value(const struct tq_env *env, uint64_t key, const MDB_val *value);

#endif
