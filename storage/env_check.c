/* What LMDB itself does not look at: page_tree.c, on a snapshot that a read transaction holds. */
#include "storage/env_parts.h"
#include "storage/page_tree.h"
#include "storage/platform.h"

#define TRIES_MAX 100

/* The transaction keeps the snapshot's pages as they are. The second commit after it overwrites its meta page. */
static enum tq_status check_newest(struct tq_env *env, const char *file, bool values, bool *gone) {
    MDB_txn *txn = NULL;
    struct tq_page_tree tree = {.file = file, .values = values};
    TQ_TRY(tq_env_begin_read(env, &txn));
    tree.transaction = mdb_txn_id(txn);
    int rc = mdb_env_get_fd(env->mdb, &tree.fd);
    enum tq_status status = rc == 0 ? tq_page_tree_check(&tree, gone) : tq_env_fail(env, rc, "mdb_env_get_fd", 0);
    mdb_txn_abort(txn);
    return status;
}

enum tq_status tq_env_check_tree(struct tq_env *env, bool values) {
    char file[4096];
    TQ_TRY(tq_folder_join(env->path, TQ_DATA_FILE, file, sizeof file));
    for (int i = 0; i < TRIES_MAX; i++) {
        bool gone = false;
        TQ_TRY(check_newest(env, file, values, &gone));
        if (!gone) return TQ_OK;
    }
    return tq_fail(TQ_BUSY, "%s: other processes write faster than its meta pages can be read", file);
}

enum tq_status tq_env_check_pages(struct tq_env *env) { return tq_env_check_tree(env, true); }

enum tq_status tq_env_check_value(const struct tq_env *env, uint64_t key, const MDB_val *value) {
    if (tq_page_tree_value_fits(env->map, env->page_bytes, value->mv_data, value->mv_size)) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "%s: value %llu of index %u: its first page is damaged, or not a value's", env->path,
                   (unsigned long long)(key & 0xffffffffffull), (unsigned)(key >> 40));
}
