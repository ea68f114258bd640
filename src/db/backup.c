/* A store as a whole: copied while it is in use, compacted while nobody else uses it. */
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/db/handle.h"

/* The copy is laid out as the store is: catalog.db inside the folder, or the folder beside the database. */
static enum tq_status copy_to(struct tq_store *store, struct tq_conn *conn, const char *path) {
    const char *folder = tq_env_path(store->env);
    size_t length = strlen(folder), bytes = strlen(path) + sizeof "/catalog.db";
    bool inside = strncmp(store->catalog, folder, length) == 0 && store->catalog[length] == '/';
    char *beside = tq_alloc(bytes);
    uint64_t written = 0;
    if (beside == NULL) return TQ_NOMEM;
    (void)snprintf(beside, bytes, inside ? "%s/catalog.db" : "%s-tq", path);
    struct tq_pair_place place = {.database = inside ? beside : path, .folder = inside ? path : beside};
    enum tq_status status = tq_pair_copy(conn, store->env, &place, &written);
    tq_free(beside);
    return status;
}

/* On a connection of its own, so that other threads write meanwhile. */
enum tq_status tq_backup(tq_store *store, const char *path) {
    struct tq_conn *conn = NULL;
    if (path == NULL || path[0] == '\0') return tq_fail(TQ_MISUSE, "tq_backup: the path is empty");
    TQ_TRY(tq_conn_open(store->catalog, store->flags & TQ_OPEN_READONLY, &conn));
    enum tq_status status = copy_to(store, conn, path);
    tq_conn_close(conn);
    return status;
}

static enum tq_status compact_locked(struct tq_store *store, uint64_t *freed_bytes) {
    uint64_t freed = 0;
    if (store->in_transaction) return tq_fail(TQ_MISUSE, "tq_compact: a transaction is open");
    if (store->indexes != NULL) {
        return tq_fail(TQ_BUSY, "tq_compact: index \"%s\" is open: close it first", store->indexes->name);
    }
    TQ_TRY(tq_pair_collect(store->conn, store->env));
    TQ_TRY(tq_env_compact(store->env, &freed));
    if (freed_bytes != NULL) *freed_bytes = freed;
    return TQ_OK;
}

enum tq_status tq_compact(tq_store *store, uint64_t *freed_bytes) {
    if ((store->flags & TQ_OPEN_READONLY) != 0) {
        return tq_fail(TQ_MISUSE, "tq_compact: the store was opened with TQ_OPEN_READONLY");
    }
    (void)pthread_mutex_lock(&store->write_lock);
    enum tq_status status = compact_locked(store, freed_bytes);
    (void)pthread_mutex_unlock(&store->write_lock);
    return status;
}
