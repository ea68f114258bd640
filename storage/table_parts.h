/* Inside of struct tq_table, shared by table.c (rows), transaction.c, view.c, flush.c, merge.c and gc.c. */
#ifndef TQ_TABLE_PARTS_H
#define TQ_TABLE_PARTS_H

#include "storage/catalog.h"
#include "storage/table.h"

#define TQ_LOG_DELS_MAX 4096u  /* more of them are folded into the segments' dead bits */
#define TQ_LOG_FLUSHES_MAX 16u /* the log may grow to so many flushes' worth while the folder cannot be written */

/* ---- What a view is made of, kept from query to query ---- */

struct tq_cached_segment {
    struct tq_catalog_segment row; /* row.dead: as stored; row.bits is not used */
    struct tq_segment *segment;
    uint64_t *bits; /* dead rows, those of the log's dels included; NULL: none */
    uint32_t dead;
};

struct tq_cached_log { /* rows in memory: the log's, or those of the open builder of a bulk */
    struct tq_builder *builder;
    struct tq_segment *segment; /* the builder's rows, or NULL: not asked for since the last append */
    uint64_t *bits;
    uint64_t slot_next;
    uint32_t dead, capacity;
};

struct tq_cache {
    bool valid;
    uint64_t version, nonce; /* of the catalog's state */
    uint64_t seq, sum;       /* of the last entry of the log that was applied; seq 0: none */
    uint32_t data_version;
    uint64_t change;                    /* counts changes: tq_view.version */
    struct tq_cached_segment *segments; /* ascending by slot */
    size_t count, capacity;
    struct tq_cached_log log;
    struct tq_cached_log open; /* builder: the transaction's, borrowed */
    uint32_t open_rows;
    struct tq_view_segment *view;
    size_t view_capacity;
};

/* ---- A write transaction ---- */

struct tq_bulk_sealed {
    struct tq_sealed sealed;
    uint32_t run_row;  /* from this row on slots have no gaps: */
    uint64_t run_slot; /* the slot of run_row */
};

struct tq_transaction {
    bool active;
    bool broken;      /* memory and tables may differ: only ROLLBACK helps */
    uint64_t changes; /* of the state */
    struct tq_catalog_state begin;
    uint64_t slot_first; /* next when it began */

    /* The folder: one nonce for all its writes, so that orphans are a chain of one. */
    bool env_ready;
    bool leftovers; /* values above begin.serial that no segment refers to may be there */
    bool foreign;   /* the folder was more than one step ahead when we began */
    uint64_t foreign_serial;
    struct tq_builder_sink sink;

    /* Bulk: past the log. */
    bool bulk;
    uint64_t bulk_slot; /* first slot of the bulk, the log's rows it took along apart */
    struct tq_builder *builder;
    uint32_t run_row; /* as in struct tq_bulk_sealed */
    uint64_t run_slot;
    struct tq_bulk_sealed *sealed;
    size_t sealed_count, sealed_capacity;
};

/* Version `version` and all before it were committed by then; the newest ones this table has met. */
struct tq_gc_mark {
    uint64_t version;
    struct tq_wal_look wal;
};
#define TQ_GC_MARKS 8u

/* What the parts of a table have in common on one connection. One reader, because LMDB has a thousand for all
 * processes. */
struct tq_table_shared {
    size_t references;
    struct tq_catalog *catalog;
    struct tq_env_reader *reader;
    size_t reading; /* parts with reader_live */
};

struct tq_table {
    struct tq_conn *conn;
    struct tq_env *env;
    struct tq_table_shared *shared;
    struct tq_catalog *catalog; /* shared->catalog */
    uint32_t part;
    struct tq_format format;
    struct tq_catalog_identity identity;
    uint32_t flush_rows, rows_max;
    uint8_t *record; /* scratch: one encoded log record, and behind it one padded record */

    /* Where the next row goes; good while nobody else writes (data_version). */
    bool known;
    uint32_t data_version;
    struct tq_catalog_state state;
    uint64_t next, seq;          /* next slot; last seq given out */
    uint64_t log_puts, log_dels; /* upper bounds, exact after tq_table_recount() */

    struct tq_transaction txn;
    bool touched;                         /* this transaction has counted its change of rows */
    struct tq_gc_mark marks[TQ_GC_MARKS]; /* a ring; wal.salt 0: not used */
    unsigned mark_next;
    struct tq_cache cache;
    bool reader_live;
};

/* ---- transaction.c ---- */

enum tq_status tq_txn_begin(struct tq_table *table);
/* After a failure: SQLite ends the whole transaction on some of them, and then nothing more may be written. */
void tq_txn_check(struct tq_table *table);
/* Before the first write to the folder: which nonce, which serial, are there orphans. */
enum tq_status tq_txn_env(struct tq_table *table);
enum tq_status tq_table_recount(struct tq_table *table);
/* The version that this transaction makes. */
uint64_t tq_txn_version(const struct tq_table *table);
/* Write the state: that version, and what the folder says it holds. */
enum tq_status tq_txn_state(struct tq_table *table);
/* The folder could not be written, and what should have gone there is still in the log. */
bool tq_txn_soft(struct tq_table *table, enum tq_status status);

/* ---- pair_check.c: TQ_OK, or why catalog and folder do not belong together ---- */

enum tq_status tq_table_check_uuid(struct tq_table *table);
enum tq_status tq_table_check_pair(struct tq_table *table, const struct tq_catalog_state *state,
                                   const struct tq_env_meta *meta);
/* A value that the catalog names is not there: TQ_CORRUPT with the reason. */
enum tq_status tq_table_value_missing(struct tq_table *table, uint64_t key);

/* ---- table.c: index numbers ---- */

/* The smallest one that was never given out; from there on all are free. TQ_FULL. */
enum tq_status tq_number_free(struct tq_env *env, uint32_t *number);
/* One of the folder for a part that is being made: inside a write transaction. */
enum tq_status tq_number_take(struct tq_conn *conn, struct tq_env *env, struct tq_catalog_identity *identity,
                              uint64_t *nonce);

/* ---- bulk.c ---- */

enum tq_status tq_bulk_start(struct tq_table *table);
enum tq_status tq_bulk_append(struct tq_table *table, int64_t id, const struct tq_row *row);
enum tq_status tq_bulk_seal(struct tq_table *table);
enum tq_status tq_bulk_undo(struct tq_table *table, uint64_t mark);
void tq_bulk_drop(struct tq_table *table);

/* ---- view.c ---- */

/* Bring the cache up to the connection's snapshot. */
enum tq_status tq_cache_sync(struct tq_table *table);
void tq_cache_forget(struct tq_table *table); /* what it holds may be wrong */
void tq_cache_close(struct tq_table *table);
/* The cached segment that covers a slot, or NULL. */
struct tq_cached_segment *tq_cache_find(struct tq_table *table, uint64_t slot);
/* Bits as the catalog stores them: *size bytes of `bytes`, which has room for rows / 8 + 8. */
void tq_bits_encode(const uint64_t *bits, uint32_t rows, uint32_t dead, uint8_t *bytes, size_t *size);
/* The reverse, into zeros, rows / 64 + 1 words; false if row->dead and row->bits contradict each other. */
bool tq_bits_decode(const struct tq_catalog_segment *row, uint64_t *bits);

static inline bool tq_bit(const uint64_t *bits, uint32_t row) {
    return bits != NULL && (bits[row / 64] >> (row % 64) & 1) != 0;
}

/* ---- flush.c, merge.c, gc.c: parts of tq_table_sync() and tq_table_optimize() ---- */

/* Move the log's oldest `rows` rows into a segment, and fold. */
enum tq_status tq_table_flush(struct tq_table *table, uint64_t rows);
/* Write the cache's dead bits to the catalog and forget the dels they come from. */
enum tq_status tq_table_fold(struct tq_table *table);
/* One merge, if there is one to do. all: whatever makes fewer segments. */
enum tq_status tq_table_merge(struct tq_table *table, bool all, bool *merged);
/* List what the folder holds and nothing refers to; what indexes that were dropped have left. */
enum tq_status tq_gc_collect(struct tq_table *table);
/* Delete some of the listed values that no snapshot can need; all of them, and what was kept for another copy. */
enum tq_status tq_gc_run(struct tq_table *table);
enum tq_status tq_gc_run_all(struct tq_table *table);
/* List the values of a segment as replaced by the version that is being written. */
enum tq_status tq_gc_list(struct tq_table *table, const struct tq_segment *segment, bool with_exact);

#endif
