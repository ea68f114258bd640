/* tqlite: vector search for people who have SQLite and no wish to run a server.
 *
 * A store is a folder (an LMDB environment and a SQLite catalog) that holds any number of indexes. An index
 * holds vectors of one dimension under one metric, compressed without training by TurboQuant: a random
 * rotation, Lloyd-Max codes, and one QJL sign bit per dimension for the residual. A search reads one bit
 * plane of every row, dismisses rows by an error bound, refines the survivors with the full code, and ranks
 * the last few with the exact rows.
 *
 * Sources  TurboQuant (arXiv 2504.19874), QJL (2406.03482), DRIVE / EDEN (NeurIPS 2021, ICML 2022: the
 *          per-vector scale), RaBitQ (2405.12497: survivors by an error bound), ADSampling (2303.09855).
 *
 * Words    id: your key. slot, row: where a vector lies inside; never shown. rank: a place in a result.
 * Errors   every function that can fail returns enum tq_status, TQ_OK is 0; outputs are untouched on failure.
 *          tq_message() names the value, the limit and the place.
 * Threads  handles may be shared: any number of threads may search and get while one thread writes. One
 *          thread at a time writes to a store (tq_begin ... tq_commit).
 */
#ifndef TQ_H
#define TQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TQ_API __attribute__((visibility("default")))
#else
#define TQ_API
#endif

#define TQ_VERSION "0.1.0"
#define TQ_VERSION_NUMBER 100 /* major * 10000 + minor * 100 + patch */

/* ---- Vocabulary ---------------------------------------------------------------------------------------- */

enum tq_status {
    TQ_OK = 0,
    TQ_MISUSE = -1,       /* an argument is wrong: the message names it, its value and the limit */
    TQ_NOMEM = -2,        /* memory could not be had */
    TQ_IO = -3,           /* the operating system failed: the message carries its word for it */
    TQ_FULL = -4,         /* the disk, or an index's log, is full */
    TQ_CORRUPT = -5,      /* stored bytes fail their checksum or contradict each other */
    TQ_NOT_FOUND = -6,    /* no such store, index or id */
    TQ_EXISTS = -7,       /* the name or id is there already */
    TQ_BUSY = -8,         /* another writer holds the store */
    TQ_FORMAT = -9,       /* not a tqlite store, or one written by a newer version */
    TQ_UNSUPPORTED = -10, /* not possible with this build or on this machine */
    TQ_INTERRUPTED = -11  /* ended by tq_cancel() or a time limit, as asked; all is as before the call */
};

/* What "near" means. score: larger is better. distance: smaller is nearer. */
enum tq_metric {
    TQ_COSINE = 0, /* score = <q,x> / (|q| |x|), 0 for a zero vector; distance = 1 - score */
    TQ_IP = 1,     /* score = <q,x>;                                  distance = -score */
    TQ_L2 = 2      /* score = -|q-x|^2;                               distance = |q-x| */
};

/* How the vectors themselves are kept beside their codes. */
enum tq_rows {
    TQ_ROWS_F32 = 0, /* as inserted, bit for bit: exact ranking */
    TQ_ROWS_F16 = 1, /* rounded to half precision: exact ranking of the rounded vectors */
    TQ_ROWS_NONE = 2 /* codes only: scores are QJL-corrected estimates */
};

#define TQ_DIM_MAX 65536 /* dimensions of a vector */
#define TQ_BITS_MAX 9    /* bits a dimension, the QJL bit included */
#define TQ_NAME_MAX 63   /* bytes of an index name: a letter, then letters, digits and underscores */

typedef struct tq_store tq_store;
typedef struct tq_index tq_index;

/* The text of this thread's last failure, or "" if none. Valid until the thread's next call that fails. */
TQ_API const char *tq_message(void);

/* The constant's name, "TQ_CORRUPT" for instance; "TQ_?" for a number that is none of them. */
TQ_API const char *tq_status_name(enum tq_status status);

/* ---- A store and its indexes --------------------------------------------------------------------------- */

enum tq_open_flags {
    TQ_OPEN_CREATE = 1,  /* make the store if nothing is there */
    TQ_OPEN_READONLY = 2 /* never write */
};

/* Open a store: a folder, made whole or not at all under TQ_OPEN_CREATE.
 *
 * Reads no vector. A process may open one store many times; a child after fork() must open it anew.
 * Environment  TQ_ISA=scalar|ssse3|avx2|avx512|avx512vnni|avx512vbmi|amx|neon: no more than this instruction set;
 *              TQ_ALLOW_NETFS=1 permits network file systems, where neither LMDB nor SQLite can promise anything;
 *              TQ_GPU, TQ_GPU_MEMORY, TQ_GPU_PLUGIN: docs/gpu.md; they are read when something first asks for a GPU.
 * Returns      TQ_OK; TQ_NOT_FOUND nothing there; TQ_FORMAT something else or newer; TQ_IO; TQ_CORRUPT */
TQ_API enum tq_status tq_open(const char *path, unsigned flags, tq_store **store);

/* Close it. A transaction that is open is aborted. Indexes of this store must be closed before. NULL is fine. */
TQ_API void tq_close(tq_store *store);

struct tq_index_options {
    uint32_t dim;          /* 1..TQ_DIM_MAX */
    enum tq_metric metric; /* TQ_COSINE by default */
    uint32_t bits;         /* total bits a dimension: 1..9 with qjl (then >= 2), 1..8 without; 0 means 4 */
    int qjl;               /* 1, 0, or -1: the QJL bit is one of `bits` whenever bits >= 2 */
    enum tq_rows rows;     /* TQ_ROWS_F32 */
    uint64_t seed;         /* of the rotations; stored with the index. Same seed and vector, same code */
};

/* {dim, TQ_COSINE, 4, -1, TQ_ROWS_F32, a fixed seed}. */
TQ_API struct tq_index_options tq_index_defaults(uint32_t dim);

/* Make an empty index. Inside tq_begin() it is part of that transaction, else it commits by itself.
 * Returns  TQ_OK; TQ_EXISTS; TQ_MISUSE an option out of its range; TQ_BUSY; TQ_IO */
TQ_API enum tq_status tq_index_create(tq_store *store, const char *name, const struct tq_index_options *options,
                                      tq_index **index);

/* Returns  TQ_OK; TQ_NOT_FOUND; TQ_FORMAT; TQ_CORRUPT */
TQ_API enum tq_status tq_index_open(tq_store *store, const char *name, tq_index **index);
TQ_API void tq_index_close(tq_index *index);

/* Drop an index that is not open, with all its vectors. Its space is reclaimed by later writers.
 * Returns  TQ_OK; TQ_NOT_FOUND; TQ_BUSY it is open in this store, or another writer; TQ_IO */
TQ_API enum tq_status tq_index_drop(tq_store *store, const char *name);

/* ---- Writing ------------------------------------------------------------------------------------------- */

/* Begin a transaction over all indexes of the store. Nothing of it is seen by others before tq_commit().
 * Without one, each put and delete commits by itself.
 * Returns  TQ_OK; TQ_BUSY another writer; TQ_MISUSE one is open already */
TQ_API enum tq_status tq_begin(tq_store *store);

/* Make it durable: once TQ_OK is returned, it survives a crash of the machine. On failure nothing of it stays. */
TQ_API enum tq_status tq_commit(tq_store *store);
TQ_API void tq_abort(tq_store *store);

/* Store one vector under a new id.
 *
 *   vector   f32[dim], finite, Euclidean norm at most 3.4e38; kept as options.rows says
 *
 * Returns  TQ_OK; TQ_EXISTS the id is taken; TQ_MISUSE NaN or infinity (the message names the place);
 *          TQ_FULL; TQ_BUSY; TQ_IO. On failure the transaction stays open, without this vector. */
TQ_API enum tq_status tq_put(tq_index *index, int64_t id, const float *vector);

/* Store many: ids i64[count], vectors f32[count][dim]. All of them or, on failure, none of them. */
TQ_API enum tq_status tq_put_many(tq_index *index, const int64_t *ids, const float *vectors, size_t count);

/* Returns  TQ_OK; TQ_NOT_FOUND; TQ_BUSY; TQ_IO */
TQ_API enum tq_status tq_delete(tq_index *index, int64_t id);

/* ---- Reading ------------------------------------------------------------------------------------------- */

/* The vector of an id, f32[dim]: as inserted (TQ_ROWS_F32), rounded (F16), or decoded from its code (NONE). */
TQ_API enum tq_status tq_get(tq_index *index, int64_t id, float *vector);

/* Ids a search may return: bit i of bits[i / 64] stands for id first_id + i, set means allowed.
 * An id outside the bitmap is not allowed. */
struct tq_filter {
    const uint64_t *bits;
    int64_t first_id;
    size_t count; /* ids covered */
};

#define TQ_EXACT 1e30 /* as `confidence`: no row is dismissed but by proof, so the result is exact */

/* What searches codes. The answer is the same; where a GPU cannot be used, the CPU answers (docs/gpu.md). */
enum tq_device {
    TQ_DEVICE_CPU = 0,
    TQ_DEVICE_AUTO = 1, /* a GPU where the index is large enough for it to pay */
    TQ_DEVICE_GPU = 2   /* a GPU wherever it can */
};

struct tq_search_options {
    double confidence;              /* z of the error bound, > 0; 3.0 by default, TQ_EXACT for a proof */
    double oversample;              /* 0: rank exactly every row whose bound asks for it;
                                        >= 1: exactly the oversample * k best estimates */
    int threads;                    /* 1 by default; more enter an OpenMP region (in a child forked after one: 1) */
    int timeout_ms;                 /* 0: none; else TQ_INTERRUPTED when so many milliseconds have passed */
    const struct tq_filter *filter; /* NULL: every id */
    enum tq_device device;          /* TQ_DEVICE_CPU */
};

/* {3.0, 0, 1, 0, NULL, TQ_DEVICE_CPU} */
TQ_API struct tq_search_options tq_search_defaults(void);

struct tq_hit {
    int64_t id;
    double score;    /* larger is better */
    double distance; /* smaller is nearer */
};

/* What a search read; sums over its queries. */
struct tq_search_stats {
    uint64_t rows;      /* rows whose first plane was read */
    uint64_t second;    /* rows whose second plane was read */
    uint64_t survivors; /* rows whose full code was scored */
    uint64_t ranked;    /* rows ranked exactly */
    uint64_t device;    /* queries whose codes a GPU searched, at least in part */
};

/* The k best rows of each query among those committed before the call.
 *
 *   queries  f32[query_count][dim], finite
 *   hits     out, [query_count][k], best first; equal scores by smaller id
 *   counts   out, [query_count]: hits found, less than k only if fewer rows qualify
 *   options  NULL for the defaults;  stats  out, may be NULL
 *
 * The answer does not depend on insertion order, segments, threads or instruction set.
 * Error    at confidence z a true neighbour is missed with about the probability that a normal variable exceeds z,
 *          at most some three times that (a row passes three bounds); with TQ_EXACT never. With TQ_ROWS_NONE
 *          scores are estimates and never proved.
 * Returns  TQ_OK; TQ_MISUSE; TQ_NOMEM; TQ_CORRUPT a page failed its checksum; TQ_INTERRUPTED by tq_cancel() or
 *          options.timeout_ms; TQ_IO
 * Source   the bound: RaBitQ (2405.12497) section 3.2; docs/decisions/0003 */
TQ_API enum tq_status tq_search(tq_index *index, const float *queries, size_t query_count, int64_t k,
                                const struct tq_search_options *options, struct tq_hit *hits, size_t *counts,
                                struct tq_search_stats *stats);

/* The rows of at least a score (range search), at most `capacity` of them: those of the highest scores.
 *
 *   query    f32[dim], finite
 *   score    the least, as the index's metric has it (for TQ_L2: minus the square of the radius); not NaN
 *   hits     out, [capacity], best first;  count  out: rows found, which may be more than capacity
 *   options  as for tq_search, but for oversample, which has no meaning here;  stats  out, may be NULL
 *
 * Error    at confidence z a row above the score is missed with about the probability that a normal variable exceeds
 *          z; with TQ_EXACT never. No row below the score is returned; with TQ_ROWS_NONE scores are estimates.
 * Returns  as tq_search */
TQ_API enum tq_status tq_search_range(tq_index *index, const float *query, double score, int64_t capacity,
                                      const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                                      struct tq_search_stats *stats);

struct tq_index_info {
    struct tq_index_options options;
    uint64_t rows;      /* live */
    uint64_t log_rows;  /* of them, not yet in a segment */
    uint64_t dead_rows; /* deleted, their space not yet reclaimed */
    uint64_t segments;
    uint64_t code_bytes;   /* codes with all side data, in segments */
    uint64_t exact_bytes;  /* exact rows, in segments */
    double code_bytes_row; /* of the format, ids and checksums apart */
    double exact_bytes_row;
    const char *isa; /* the instruction set in use */
};
TQ_API enum tq_status tq_index_get_info(tq_index *index, struct tq_index_info *info);

/* Move the log into segments and merge small segments. Durable when it returns; outside tq_begin() only. */
TQ_API enum tq_status tq_index_optimize(tq_index *index);

/* From any thread: calls of tq_search(), tq_search_range() and tq_index_optimize() that are running on this handle end
 * with TQ_INTERRUPTED, within milliseconds where the disk answers. Later calls are not touched, nor is what was
 * committed. (tq_index_open() of one name in one store gives the same handle.) */
TQ_API void tq_cancel(tq_index *index);

/* Check every index of the store: whether catalog and folder belong together, and each holds what the other says.
 *
 *   full     0: what tells that something is missing or contradicts itself; 1: every page against its checksum as well,
 *            each row's id, and codes against each other, so that all vectors are read
 *   report   called for each finding with one line of text, which names index, segment, chunk or row and says what is
 *            wrong; "note: ..." is no error: space that a later writer reclaims. NULL is fine. context: given to it
 *
 * Looks at what was committed before the call; others may write meanwhile. Mends nothing.
 * Returns  TQ_OK nothing found, or notes alone; TQ_CORRUPT there were findings, all of them told; it could not look:
 *          TQ_NOMEM, TQ_IO, TQ_BUSY */
TQ_API enum tq_status tq_check(tq_store *store, int full, void (*report)(void *context, const char *finding),
                               void *context);

/* ---- Repair -------------------------------------------------------------------------------------------- */

/* An index whose catalog and folder do not belong together, or whose values are damaged, is refused with a message that
 * says what differs. Restoring both from one backup loses nothing; these keep what there is. */
enum tq_repair_how {
    TQ_REPAIR_ADOPT_FOLDER = 0, /* the folder is of another time than the catalog, but holds all that it needs: make
                                   them a pair. Loses nothing, or is refused */
    TQ_REPAIR_ADOPT_EMPTY = 1,  /* the folder, or its data.mdb, is gone for good, or is another's: begin an empty one.
                                   Keeps the fresh vectors, which are in the catalog's log */
    TQ_REPAIR_SALVAGE = 2       /* values are damaged or missing: keep every vector whose bytes verify. A code is made
                                   anew from its exact row, an exact row is never made up */
};

/* Repair one index of a store that is not open in this process, in one transaction; ids whose vectors are lost are
 * removed (in a database with SQL tables their rows stay, without the vector).
 *
 *   path    as for tq_open, which may fail on it
 *   report  may be NULL: told what is found and done, and each id that is lost, a line each
 *
 * Nothing is deleted from the folder: what is set aside gets another name, what is replaced goes with later writes.
 * Returns  TQ_OK; TQ_NOT_FOUND; TQ_MISUSE it is not what this way is for, and why; TQ_CORRUPT ADOPT_FOLDER would lose
 *          something; TQ_UNSUPPORTED a SQL table with several parts: use tq_repair() in SQL; TQ_BUSY; TQ_FULL; TQ_IO */
TQ_API enum tq_status tq_repair(const char *path, const char *name, enum tq_repair_how how,
                                void (*report)(void *context, const char *finding), void *context);

/* ---- The store as a whole -------------------------------------------------------------------------------- */

/* Copy the store, as it is now, to a path where nothing is; tq_open() opens the copy. Others, in any process, read and
 * write meanwhile; a transaction that is open is not in the copy. It is laid out as the store is: a folder, or, for a
 * store that is a SQLite database, the database `path` and the folder `path`-tq. It is made beside its place, checked
 * and renamed: a crash leaves nothing or a whole copy (and perhaps `path`.new-<16 hex>, which may be deleted).
 * Returns  TQ_OK; TQ_EXISTS something is at the path; TQ_FULL the disk is, and nothing is left; TQ_CORRUPT; TQ_IO */
TQ_API enum tq_status tq_backup(tq_store *store, const char *path);

/* Give the space of what was deleted and replaced back to the file system: the store's data file is written anew, which
 * takes as much room as what lives in it. All indexes of this store must be closed, and nobody else may have the store
 * open, in this process or another. A crash leaves the old file or the new one.
 *
 *   freed_bytes  out, may be NULL: how much smaller the data file is
 *
 * Returns  TQ_OK; TQ_BUSY somebody else has it open: the message says which process; TQ_MISUSE within tq_begin();
 *          TQ_FULL; TQ_UNSUPPORTED the file system has no locks; TQ_IO */
TQ_API enum tq_status tq_compact(tq_store *store, uint64_t *freed_bytes);

/* "0.1.0" of the library that is running, which may differ from TQ_VERSION. */
TQ_API const char *tq_version(void);

#ifdef __cplusplus
}
#endif
#endif
