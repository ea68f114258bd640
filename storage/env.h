/* The LMDB environment of a store: values that are written once and never change.
 *
 * One environment per folder and process (a registry by device and inode hands it out again), as LMDB demands.
 * The only file that includes lmdb.h is env.c. Knows nothing of what the values mean. */
#ifndef TQ_ENV_H
#define TQ_ENV_H

#include "src/base/base.h"

struct tq_env;

/* The largest value that fills whole pages: 1 MiB less LMDB's page header. Every big value has this size class. */
#define TQ_VALUE_BYTES_MAX ((1u << 20) - 16u)

/* A key names the index and a serial that is never used twice: index << 40 | serial. */
static inline uint64_t tq_env_key(uint32_t index, uint64_t serial) { return (uint64_t)index << 40 | serial; }

/* What LMDB knows of one index: enough to tell orphans, and folders that do not belong to the catalog. */
struct tq_env_meta {
    uint64_t serial; /* the largest serial ever written */
    uint64_t flushes;
    uint64_t nonce;  /* of the last write */
    uint64_t parent; /* nonce of the write before it */
};

/* Open the folder; under TQ_OPEN_CREATE make it whole (in a temporary directory, synced, renamed) if it is absent.
 * A folder that exists must hold data.mdb with our "env" record, else TQ_FORMAT. Refuses network file systems
 * (unless allow_netfs), a second copy of this library in the process, and a data file shorter than LMDB's last page.
 * TQ_NOT_FOUND, TQ_FORMAT, TQ_IO, TQ_CORRUPT, TQ_UNSUPPORTED. */
enum tq_status tq_env_open(const char *folder, unsigned flags, bool allow_netfs, struct tq_env **env);
void tq_env_close(struct tq_env *env); /* NULL is fine */

/* Hold an environment open once more; each hold ends with a tq_env_close. */
void tq_env_retain(struct tq_env *env);

/* A table of 1,024 buckets for what the process shares on this environment (segment.c keeps its open segments
 * there): the bucket of a key, NULL at first, used only between lock and unlock. */
void **tq_env_shared_lock(struct tq_env *env, uint64_t key);
void tq_env_shared_unlock(struct tq_env *env);

const uint8_t *tq_env_uuid(const struct tq_env *env); /* 16 bytes, made with the folder */
const char *tq_env_path(const struct tq_env *env);

/* ---- Writing: everything in one call, because an LMDB write transaction must not outlive a function ---- */

struct tq_env_put {
    uint64_t key;
    const void *data;
    size_t size;
};

struct tq_env_batch {
    const struct tq_env_put *puts; /* keys ascending where possible; none may exist */
    size_t put_count;
    const uint64_t *deletes; /* absent keys are fine */
    size_t delete_count;
    uint32_t index; /* whose meta record is replaced */
    uint32_t more;  /* and so many behind it, their nonces 2 apart: numbers claimed by one write */
    struct tq_env_meta meta;
};

/* Write a batch and make it durable. All or nothing. TQ_FULL when the disk is; TQ_BUSY; TQ_IO. */
enum tq_status tq_env_write(struct tq_env *env, const struct tq_env_batch *batch);

/* The index's meta record; all zeros if there is none. */
enum tq_status tq_env_meta(struct tq_env *env, uint32_t index, struct tq_env_meta *meta);

/* Keys of an index above `serial` (orphans), at most `capacity`; *count is how many were found in all. */
enum tq_status tq_env_keys_above(struct tq_env *env, uint32_t index, uint64_t serial, uint64_t *keys, size_t capacity,
                                 size_t *count);

/* Bytes: of the file, and of it free for reuse. */
enum tq_status tq_env_size(struct tq_env *env, uint64_t *file_bytes, uint64_t *free_bytes);

/* ---- Reading ---- */

/* A read transaction: values it sees stay mapped, at the same address, until it ends or is renewed. Any thread. */
struct tq_env_reader;
enum tq_status tq_env_reader_open(struct tq_env *env, struct tq_env_reader **reader);
enum tq_status tq_env_reader_renew(struct tq_env_reader *reader); /* to the newest state; 17 ns */
void tq_env_reader_reset(struct tq_env_reader *reader);           /* pins nothing until renewed */
void tq_env_reader_close(struct tq_env_reader *reader);

/* TQ_NOT_FOUND if there is no such key. The bytes are not checked here. */
enum tq_status tq_env_get(struct tq_env_reader *reader, uint64_t key, const void **data, size_t *size);

#endif
