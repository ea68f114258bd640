/* A store: its folder, its catalog, its one writing transaction. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/alloc.h"
#include "src/db/handle.h"

/* A store is a folder with catalog.db inside, or a SQLite database with its folder beside it. */
enum tq_status tq_store_place(const char *path, char **folder, char **catalog) {
    struct stat info;
    bool is_database = stat(path, &info) == 0 && S_ISREG(info.st_mode);
    size_t bytes = strlen(path) + sizeof "/catalog.db";
    *folder = tq_alloc(bytes);
    *catalog = tq_alloc(bytes);
    if (*folder == NULL || *catalog == NULL) return TQ_NOMEM;
    (void)snprintf(*folder, bytes, is_database ? "%s-tq" : "%s", path);
    (void)snprintf(*catalog, bytes, is_database ? "%s" : "%s/catalog.db", path);
    return TQ_OK;
}

static enum tq_status open_parts(struct tq_store *store, const char *folder) {
    TQ_TRY(tq_env_open(folder, store->flags, tq_netfs_allowed(), &store->env));
    return tq_conn_open(store->catalog, store->flags, &store->conn);
}

enum tq_status tq_open(const char *path, unsigned flags, tq_store **store) {
    if (path == NULL || path[0] == '\0') return tq_fail(TQ_MISUSE, "tq_open: the path is empty");
    if ((flags & ~(unsigned)(TQ_OPEN_CREATE | TQ_OPEN_READONLY)) != 0 || flags == (TQ_OPEN_CREATE | TQ_OPEN_READONLY)) {
        return tq_fail(TQ_MISUSE, "tq_open: flags are 0x%x; TQ_OPEN_CREATE or TQ_OPEN_READONLY may be set", flags);
    }
    struct tq_kernels kernels;
    TQ_TRY(tq_kernels_from_environment(&kernels)); /* an unknown TQ_ISA is told here, not by the first search */
    struct tq_store *s = tq_alloc_zero(sizeof *s);
    if (s == NULL) return TQ_NOMEM;
    char *folder = NULL;
    s->flags = flags;
    (void)pthread_mutex_init(&s->write_lock, NULL);
    (void)pthread_mutex_init(&s->pool_lock, NULL);
    enum tq_status status = tq_store_place(path, &folder, &s->catalog);
    if (status == TQ_OK) status = open_parts(s, folder);
    tq_free(folder);
    if (status != TQ_OK) {
        tq_close(s);
        return status;
    }
    *store = s;
    return TQ_OK;
}

void tq_close(tq_store *store) {
    if (store == NULL) return;
    if (store->in_transaction) tq_abort(store);
    TQ_ASSERT(store->indexes == NULL);
    tq_conn_close(store->conn);
    tq_env_close(store->env);
    (void)pthread_mutex_destroy(&store->write_lock);
    (void)pthread_mutex_destroy(&store->pool_lock);
    tq_free(store->catalog);
    tq_free(store);
}

/* ---- Transactions; write_lock is held ---- */

static enum tq_status begin(struct tq_store *store) {
    TQ_TRY(tq_conn_exec(store->conn, "BEGIN IMMEDIATE"));
    store->in_transaction = true;
    return TQ_OK;
}

static void roll_back(struct tq_store *store) {
    if (tq_conn_in_transaction(store->conn)) (void)tq_conn_exec(store->conn, "ROLLBACK");
    store->in_transaction = store->lost = false;
    for (struct tq_index *i = store->indexes; i != NULL; i = i->next) {
        if (i->touched) tq_table_rolled_back(i->writer->table);
        i->touched = false;
    }
}

/* SQLite itself ends a transaction on some failures: what was written after that would be committed piece by piece. */
static enum tq_status check_transaction(const struct tq_store *store) {
    if (!store->lost && tq_conn_in_transaction(store->conn)) return TQ_OK;
    return tq_fail(TQ_IO, "this transaction is being rolled back, because an earlier call failed: tq_abort() ends it");
}

static enum tq_status commit(struct tq_store *store) {
    enum tq_status status = check_transaction(store);
    for (struct tq_index *i = store->indexes; i != NULL && status == TQ_OK; i = i->next) {
        if (i->touched) status = tq_table_sync(i->writer->table);
    }
    if (status == TQ_OK) status = tq_conn_exec(store->conn, "COMMIT");
    if (status != TQ_OK) {
        roll_back(store);
        return status;
    }
    store->in_transaction = false;
    for (struct tq_index *i = store->indexes; i != NULL; i = i->next) {
        if (i->touched) tq_table_committed(i->writer->table);
        i->touched = false;
    }
    return TQ_OK;
}

static enum tq_status refuse_readonly(const struct tq_store *store) {
    if ((store->flags & TQ_OPEN_READONLY) == 0) return TQ_OK;
    return tq_fail(TQ_MISUSE, "the store was opened with TQ_OPEN_READONLY");
}

enum tq_status tq_begin(tq_store *store) {
    TQ_TRY(refuse_readonly(store));
    (void)pthread_mutex_lock(&store->write_lock);
    enum tq_status status = store->in_transaction ? tq_fail(TQ_MISUSE, "tq_begin: a transaction is open already")
                                                  : begin(store);
    (void)pthread_mutex_unlock(&store->write_lock);
    return status;
}

enum tq_status tq_commit(tq_store *store) {
    (void)pthread_mutex_lock(&store->write_lock);
    enum tq_status status = !store->in_transaction ? tq_fail(TQ_MISUSE, "tq_commit: no transaction is open")
                                                   : commit(store);
    (void)pthread_mutex_unlock(&store->write_lock);
    return status;
}

void tq_abort(tq_store *store) {
    (void)pthread_mutex_lock(&store->write_lock);
    if (store->in_transaction) roll_back(store);
    (void)pthread_mutex_unlock(&store->write_lock);
}

static enum tq_status write_locked(struct tq_store *store, struct tq_index *index, tq_write_function *function,
                                   void *argument) {
    bool own = !store->in_transaction;
    TQ_TRY(own ? begin(store) : check_transaction(store));
    if (index != NULL) index->touched = true;
    enum tq_status status = function(store, index, argument);
    if (!own) return status;
    if (status == TQ_OK) return commit(store);
    roll_back(store);
    return status;
}

enum tq_status tq_store_write(struct tq_store *store, struct tq_index *index, tq_write_function *function,
                              void *argument) {
    TQ_TRY(refuse_readonly(store));
    (void)pthread_mutex_lock(&store->write_lock);
    enum tq_status status = write_locked(store, index, function, argument);
    (void)pthread_mutex_unlock(&store->write_lock);
    return status;
}
