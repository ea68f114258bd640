/* One index on one connection: what changes, in SQLite; what never changes, in LMDB; one commit.
 *
 * SQLite tables (all named <name>_...): rows (id -> slot), log (fresh rows), seg (segments and dead bits), gc
 * (replaced values), state (options, version). Savepoints, rollback, BUSY and crashes are therefore SQLite's.
 * Several indexes, the parts of one table, may share those five: a SQL table has one for each vector column and
 * partition. Slots and sequence numbers tell them apart; a struct tq_table is one part.
 * A put goes to rows and log; when the log holds a flush's worth, or at once for bulk, rows move into segments,
 * LMDB first and the catalog second. FORMAT.md specifies both; docs/decisions/ says why.
 *
 * A struct tq_table belongs to one thread at a time. Any number of them, in any process, may be open. */
#ifndef TQ_TABLE_H
#define TQ_TABLE_H

#include "storage/conn.h"
#include "storage/part.h"
#include "storage/segment.h"

struct tq_table;

/* Make the tables and part 0 (inside the connection's transaction, which the caller commits). more_columns: "", or SQL
 * text that begins with a comma: further columns of <name>_rows, the host's own. TQ_EXISTS. */
enum tq_status tq_table_create(struct tq_conn *conn, struct tq_env *env, const char *name,
                               const struct tq_format *format, const char *more_columns);
/* Make another part of a table that exists, inside the write transaction. TQ_EXISTS, TQ_NOT_FOUND. */
enum tq_status tq_table_add_part(struct tq_conn *conn, struct tq_env *env, const char *name, uint32_t part,
                                 const struct tq_format *format);
/* Part 0. Checks that catalog and folder belong together (uuid, serial, nonce). TQ_NOT_FOUND, TQ_FORMAT, TQ_CORRUPT. */
enum tq_status tq_table_open(struct tq_conn *conn, struct tq_env *env, const char *name, struct tq_table **table);
/* Another part. It shares the statements of `first`, any open part of the table, which may be closed before it.
 * TQ_NOT_FOUND: there is no such part. */
enum tq_status tq_table_open_part(struct tq_table *first, uint32_t part, struct tq_table **table);
void tq_table_close(struct tq_table *table);
uint32_t tq_table_part(const struct tq_table *table);
/* Whether the table has parts besides part 0. */
enum tq_status tq_table_has_parts(struct tq_table *table, bool *more);
/* Drop the tables with all parts; values are swept by a later writer. */
enum tq_status tq_table_drop(struct tq_conn *conn, const char *name);
/* Whether an index of that name is in the catalog. */
enum tq_status tq_table_exists(struct tq_conn *conn, const char *name, bool *exists);

const struct tq_format *tq_table_format(const struct tq_table *table);

/* ---- Writing, inside a write transaction of the connection ---- */

/* TQ_EXISTS if the id is taken; TQ_FULL. On failure nothing of this row stays. */
enum tq_status tq_table_put(struct tq_table *table, int64_t id, const struct tq_row *row);
enum tq_status tq_table_delete(struct tq_table *table, int64_t id); /* TQ_NOT_FOUND */

/* For a host that keeps <name>_rows itself: as put and delete, but id -> slot is the caller's to write. */
enum tq_status tq_table_put_slot(struct tq_table *table, int64_t id, const struct tq_row *row, uint64_t *slot);
enum tq_status tq_table_delete_slot(struct tq_table *table, int64_t id, uint64_t slot);

/* <name>_rows was changed and the log was not: count it, once a transaction. */
enum tq_status tq_table_touch(struct tq_table *table);
/* Grows with every such transaction, whoever committed it, and within one that is open; one count for all parts. */
enum tq_status tq_table_changes(struct tq_table *table, uint64_t *changes);

/* Before COMMIT: seal what is open, flush what is due. May run again if COMMIT was BUSY. */
enum tq_status tq_table_sync(struct tq_table *table);
/* After the connection's COMMIT, or its ROLLBACK. */
void tq_table_committed(struct tq_table *table);
void tq_table_rolled_back(struct tq_table *table);

/* A point of this part to go back to: take it when a savepoint is opened; call undo after SQLite's ROLLBACK TO. */
uint64_t tq_table_mark(struct tq_table *table);
enum tq_status tq_table_undo(struct tq_table *table, uint64_t mark);
/* Whether undo is the only way back there: rows from before the mark have gone past the log, and where they are the
 * database may not know. Then the table must stay open. */
bool tq_table_undoes(const struct tq_table *table, uint64_t mark);

/* Flush the whole log, run all merges, delete replaced values that may go. Inside a write transaction. */
enum tq_status tq_table_optimize(struct tq_table *table);
/* The same, but a log of fewer rows than `least` stays: a segment takes 2 MiB, however few it has. */
enum tq_status tq_table_optimize_from(struct tq_table *table, uint64_t least);

/* List for deletion what transactions have left in the folder that made parts and did not commit. Inside a write
 * transaction, after tq_table_optimize; one part does it for all tables of the database. */
enum tq_status tq_table_sweep(struct tq_table *table);

/* Delete replaced values that may go, and nothing else; not those that another copy of the catalog may refer to. Inside
 * a write transaction. What this one lists, a later one may delete. */
enum tq_status tq_table_collect(struct tq_table *table);

/* ---- Reading: within a transaction of the connection, or one statement of the host's ---- */

struct tq_view_segment {
    struct tq_segment *segment;
    const uint64_t *dead; /* bit a row, ceil(rows / 64) words; NULL: all alive */
    uint32_t dead_count;
};

/* What this connection's snapshot holds, its own uncommitted rows included; log rows are the last segment.
 * Valid until the next call on this table. */
struct tq_view {
    const struct tq_view_segment *segments;
    size_t count;
    uint64_t live; /* rows alive */
    uint64_t log_rows;
    uint64_t version; /* changes whenever the contents do */
};
enum tq_status tq_table_view(struct tq_table *table, struct tq_view *view);

/* Whether a row of a segment is that of `id`: the table of rows, which says where each lies, has no sums, and
 * a wrong slot in it must not be a wrong vector. TQ_CORRUPT. */
enum tq_status tq_view_check_owner(const struct tq_view_segment *segment, uint32_t row, int64_t id);

/* The LMDB snapshot is let go (readers must not pin pages while idle). The view is invalid afterwards. */
void tq_table_release(struct tq_table *table);

/* Where an id lies. TQ_NOT_FOUND. */
enum tq_status tq_table_find(struct tq_table *table, int64_t id, struct tq_view_segment *segment, uint32_t *row);
/* Likewise, for a host that has looked its slot up. */
enum tq_status tq_table_find_slot(struct tq_table *table, int64_t id, uint64_t slot, struct tq_view_segment *segment,
                                  uint32_t *row);

#endif
