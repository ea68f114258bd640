/* Reading: in LMDB's transactions, whose snapshots never change. */
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "storage/env_parts.h"
#include "storage/env_record.h"

struct tq_env_reader {
    struct tq_env *env;
    MDB_txn *txn;
    bool active;
};

enum tq_status tq_env_begin_read(struct tq_env *env, MDB_txn **txn) {
    TQ_TRY(tq_env_check_process(env));
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);
    if (rc == MDB_READERS_FULL) {
        int dead = 0;
        (void)mdb_reader_check(env->mdb, &dead);
        rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);
    }
    return rc == 0 ? TQ_OK : tq_env_fail(env, rc, "read transaction", 0);
}

/* A writer that was killed behind its last page has told no reader of it: they stay one write behind until the next
 * write begins. Who decides by what it reads what to write, begins one: else it would take keys that are taken. */
static enum tq_status begin_newest(struct tq_env *env, MDB_txn **txn) {
    MDB_envinfo info;
    MDB_txn *write = NULL;
    TQ_TRY(tq_env_begin_read(env, txn));
    if (env->readonly || mdb_env_info(env->mdb, &info) != 0 || info.me_last_txnid <= mdb_txn_id(*txn)) return TQ_OK;
    mdb_txn_abort(*txn);
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &write);
    if (rc != 0) return tq_env_fail(env, rc, "write transaction", 0);
    mdb_txn_abort(write);
    return tq_env_begin_read(env, txn);
}

enum tq_status tq_env_meta(struct tq_env *env, uint32_t index, struct tq_env_meta *meta) {
    MDB_txn *txn = NULL;
    struct tq_index_key name = tq_index_key_of(index);
    MDB_val key = {sizeof name.bytes, name.bytes}, value;
    struct tq_env_meta found = {.serial = 0};
    TQ_TRY(begin_newest(env, &txn));
    int rc = mdb_get(txn, env->meta, &key, &value);
    bool whole = rc != 0 || tq_index_record_parse(value.mv_data, value.mv_size, &found);
    mdb_txn_abort(txn);
    if (rc != 0 && rc != MDB_NOTFOUND) return tq_env_fail(env, rc, "meta record", 0);
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
    TQ_TRY(begin_newest(env, &txn));
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
    if (rc != 0 && rc != MDB_NOTFOUND) return tq_env_fail(env, rc, "keys", 0);
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
    TQ_TRY(tq_env_begin_read(env, &txn));
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
    if (rc != MDB_NOTFOUND) return tq_env_fail(env, rc, "free pages", 0);
    *file_bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    *free_bytes = pages * stat.ms_psize;
    return TQ_OK;
}

enum tq_status tq_env_reader_open(struct tq_env *env, struct tq_env_reader **out) {
    struct tq_env_reader *reader = tq_alloc_zero(sizeof *reader);
    if (reader == NULL) return TQ_NOMEM;
    enum tq_status status = tq_env_begin_read(env, &reader->txn);
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
    TQ_TRY(tq_env_check_process(reader->env));
    tq_env_reader_reset(reader);
    int rc = mdb_txn_renew(reader->txn);
    if (rc != 0) return tq_env_fail(reader->env, rc, "read transaction", 0);
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
    TQ_TRY(tq_env_check_process(env));
    if (!reader->active) return tq_fail(TQ_MISUSE, "%s: read without a read transaction", env->path);
    MDB_val key = {sizeof number, &number}, value;
    int rc = mdb_get(reader->txn, env->val, &key, &value);
    if (rc == MDB_NOTFOUND)
        return tq_fail(TQ_NOT_FOUND, "%s has no value %llu of index %u", env->path,
                       (unsigned long long)(number & 0xffffffffffull), (unsigned)(number >> 40));
    if (rc != 0) return tq_env_fail(env, rc, "value", 0);
    TQ_TRY(tq_env_check_value(env, number, &value));
    *data = value.mv_data;
    *size = value.mv_size;
    return TQ_OK;
}
