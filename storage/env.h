/* The LMDB environment of a store: values that are written once and never change.
 *
 * One environment per folder and process (a registry by device and inode hands it out again), as LMDB demands.
 * Only the env files include lmdb.h. Knows nothing of what the values mean. */
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
 * (unless allow_netfs), a second copy of this library in the process, and a data file whose pages do not hang together
 * (page_tree.h).
 * TQ_NOT_FOUND, TQ_FORMAT, TQ_IO, TQ_CORRUPT, TQ_UNSUPPORTED. */
enum tq_status tq_env_open(const char *folder, unsigned flags, bool allow_netfs, struct tq_env **env);
/* A flag more, with TQ_OPEN_READONLY: nobody writes, as the caller knows. No lock is taken, so that the folder need not
 * be writable. */
#define TQ_ENV_IMMUTABLE 4u
void tq_env_close(struct tq_env *env); /* NULL is fine */

/* Hold an environment open once more; each hold ends with a tq_env_close. */
void tq_env_retain(struct tq_env *env);

/* Its data file is taken away on purpose: it lives as long as the process has it open. Else a write is refused when the
 * file has lost its name (TQ_IO). */
void tq_env_set_unlinked(struct tq_env *env);

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

/* Walk LMDB's own pages, which have no checksums, down to the first page of each value. Opening does the same but for
 * those first pages, which are looked at when a value is read or deleted. TQ_CORRUPT names the page; TQ_IO, TQ_BUSY. */
enum tq_status tq_env_check_pages(struct tq_env *env);

/* Bytes: of the file, and of it free for reuse. */
enum tq_status tq_env_size(struct tq_env *env, uint64_t *file_bytes, uint64_t *free_bytes);

/* ---- All of it ---- */

/* Copy the environment, as it is now, into an empty folder: compacted, with an owner file, synced. Writers go on.
 * *bytes: of its data file. TQ_FULL; TQ_IO. */
enum tq_status tq_env_copy(struct tq_env *env, const char *folder, uint64_t *bytes);

/* Write the data file anew without its free pages, and put it in the place of the old one. `env` is the only hold of
 * this folder in this process, without readers and segments. Killed at any moment, it leaves the old file or the new
 * one. A failure to open it again makes the environment unusable. *freed: bytes by which the file became smaller.
 * TQ_BUSY somebody else has it open; TQ_FULL; TQ_UNSUPPORTED that cannot be known here; TQ_IO. */
enum tq_status tq_env_compact(struct tq_env *env, uint64_t *freed);

/* Fill an empty folder with an environment: values and meta records one by one, then end; drop in any case. Nothing is
 * sure before the end has returned TQ_OK. */
struct tq_env_restore;
enum tq_status tq_env_restore_begin(const char *folder, const uint8_t uuid[16], struct tq_env_restore **restore);
enum tq_status tq_env_restore_value(struct tq_env_restore *restore, uint64_t key, const void *data, size_t size);
enum tq_status tq_env_restore_meta(struct tq_env_restore *restore, uint32_t index, const struct tq_env_meta *meta);
enum tq_status tq_env_restore_end(struct tq_env_restore *restore);
void tq_env_restore_drop(struct tq_env_restore *restore); /* NULL is fine */

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
