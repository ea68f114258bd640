/* The SQLite tables of one index: statements and nothing else. Knows nothing of LMDB, segments or transactions.
 *
 * The parts of a table (table.h) share these tables and, on one connection, the statements: what belongs to a part is
 * found by its range of slots or sequence numbers, which is a parameter.
 * Every call leaves its statement reset, so that no read transaction of the host stays open because of us.
 * Numbers of 64 bits without sign are stored by bit cast. */
#ifndef TQ_CATALOG_H
#define TQ_CATALOG_H

#include "src/base/format.h"
#include "storage/conn.h"
#include "storage/part.h"

struct tq_catalog;

#define TQ_CATALOG_FORMAT 1u /* of the tables; another one is refused */

/* ---- Life of the tables ---- */

struct tq_catalog_identity {
    uint8_t uuid[16]; /* of the folder */
    uint32_t number;  /* of the part in the folder */
};
/* The tables, without a part. more_columns: of rows, as in tq_table_create. TQ_EXISTS. */
enum tq_status tq_catalog_create(struct tq_conn *conn, const char *name, const char *more_columns);
/* Take SQLite's write lock and see that the part can be made. TQ_EXISTS, TQ_NOT_FOUND. */
enum tq_status tq_catalog_part_begin(struct tq_conn *conn, const char *name, uint32_t part);
enum tq_status tq_catalog_part_add(struct tq_conn *conn, const char *name, uint32_t part,
                                   const struct tq_format *format, const struct tq_catalog_identity *identity,
                                   uint64_t nonce);
/* Leaves the numbers of all parts in the store's table of dropped indexes. TQ_NOT_FOUND. */
enum tq_status tq_catalog_drop(struct tq_conn *conn, const char *name);
enum tq_status tq_catalog_exists(struct tq_conn *conn, const char *name, bool *exists);

/* TQ_NOT_FOUND; TQ_FORMAT (older tables). */
enum tq_status tq_catalog_open(struct tq_conn *conn, const char *name, struct tq_catalog **catalog);
void tq_catalog_close(struct tq_catalog *catalog);
const char *tq_catalog_name(const struct tq_catalog *catalog);
/* What a part is. TQ_NOT_FOUND; TQ_FORMAT (newer); TQ_CORRUPT (options that no index can have). */
enum tq_status tq_catalog_identify(struct tq_catalog *catalog, uint32_t part, struct tq_format *format,
                                   struct tq_catalog_identity *identity);
/* Whether there are parts besides part 0. */
enum tq_status tq_catalog_has_parts(struct tq_catalog *catalog, bool *more);

/* ---- State ---- */

struct tq_catalog_state {
    uint64_t version; /* + 1 with every change of segments */
    uint64_t serial;  /* largest LMDB serial the catalog knows; keys above it are orphans */
    uint64_t flushes; /* SQLite transactions that wrote to LMDB */
    uint64_t nonce;   /* of the last of them */
    uint64_t next;    /* slot after the last one when this was written; the log may go on */
    uint64_t seq;     /* likewise for the log: the last one given out, or the part's first slot if none was */
};

/* The state and both ends of the log, by six look-ups. */
struct tq_catalog_look {
    struct tq_catalog_state state;
    uint32_t number;                /* of the part in the folder: another one if it was dropped and made again */
    uint64_t seq_first, seq_last;   /* 0: the log is empty */
    uint64_t slot_first, slot_last; /* of its put entries; meaningless unless any_put */
    bool any_put;
};
enum tq_status tq_catalog_look(struct tq_catalog *catalog, uint32_t part, struct tq_catalog_look *look);
/* For every query: has anything changed? seq: the last one given out. */
enum tq_status tq_catalog_glance(struct tq_catalog *catalog, uint32_t part, uint64_t *version, uint64_t *nonce,
                                 uint64_t *seq);
/* number: of the part in the folder; the row's sum covers it. */
enum tq_status tq_catalog_state_write(struct tq_catalog *catalog, uint32_t part, uint32_t number,
                                      const struct tq_catalog_state *state);

/* The part is another one of a folder from now on, perhaps of another folder. */
enum tq_status tq_catalog_part_move(struct tq_catalog *catalog, uint32_t part, const struct tq_format *format,
                                    const struct tq_catalog_identity *identity, const struct tq_catalog_state *state);

/* The count of changes of rows that the log does not tell, one for all parts. */
enum tq_status tq_catalog_changes(struct tq_catalog *catalog, uint64_t *changes);
enum tq_status tq_catalog_changes_add(struct tq_catalog *catalog);

/* ---- rows: id -> slot, where it is not the host's to write ---- */

/* TQ_EXISTS. A row that has no slot yet is given one: *filled. */
enum tq_status tq_catalog_row_add(struct tq_catalog *catalog, int64_t id, uint64_t slot, bool *filled);
enum tq_status tq_catalog_row_undo(struct tq_catalog *catalog, int64_t id, bool filled);
enum tq_status tq_catalog_row_remove(struct tq_catalog *catalog, int64_t id);
/* TQ_NOT_FOUND, also for a row without a slot. */
enum tq_status tq_catalog_row_slot(struct tq_catalog *catalog, int64_t id, uint64_t *slot);

/* ---- log ---- */

enum tq_log_op { TQ_LOG_PUT = 1, TQ_LOG_DEL = 2 };

struct tq_log_entry {
    uint64_t seq;
    enum tq_log_op op;
    int64_t id;
    uint64_t slot;
    const void *blob; /* of a put; borrowed until the next entry */
    size_t size;
};
enum tq_status tq_catalog_log_add(struct tq_catalog *catalog, const struct tq_log_entry *entry);
/* A part's entries from `seq` on, in order, until `take` fails; 0: all of them. */
typedef enum tq_status tq_log_take(void *context, const struct tq_log_entry *entry);
enum tq_status tq_catalog_log_scan(struct tq_catalog *catalog, uint32_t part, uint64_t seq, tq_log_take *take,
                                   void *context);
/* Forget a part's entries of both kinds whose slot lies in [slot_first, slot_end). */
enum tq_status tq_catalog_log_trim(struct tq_catalog *catalog, uint32_t part, uint64_t slot_first, uint64_t slot_end);
enum tq_status tq_catalog_log_count(struct tq_catalog *catalog, uint32_t part, uint64_t *put_count,
                                    uint64_t *del_count);

/* ---- seg ---- */

struct tq_catalog_segment {
    uint64_t slot_first, slot_end;
    uint32_t rows, dead;
    uint64_t dir_key, dir_sum;
    const void *bits; /* NULL if nothing is dead; borrowed until the next one */
    size_t bits_size;
};
enum tq_status tq_catalog_segment_add(struct tq_catalog *catalog, const struct tq_catalog_segment *segment);
enum tq_status tq_catalog_segment_mark(struct tq_catalog *catalog, const struct tq_catalog_segment *segment);
enum tq_status tq_catalog_segment_remove(struct tq_catalog *catalog, uint64_t slot_first);
enum tq_status tq_catalog_segment_covers(struct tq_catalog *catalog, uint64_t slot, bool *covers);
typedef enum tq_status tq_segment_take(void *context, const struct tq_catalog_segment *segment);
enum tq_status tq_catalog_segment_scan(struct tq_catalog *catalog, uint32_t part, tq_segment_take *take, void *context);
/* The one that begins at a slot. */
enum tq_status tq_catalog_segment_at(struct tq_catalog *catalog, uint64_t slot_first, tq_segment_take *take,
                                     void *context);

/* ---- gc: values that nothing refers to, by the version that dropped them ---- */

#define TQ_GC_NOW 0u         /* never visible to anyone: an orphan */
#define TQ_GC_KEPT INT64_MAX /* perhaps another copy's: only optimize deletes it */

enum tq_status tq_catalog_gc_add(struct tq_catalog *catalog, uint32_t part, uint64_t version, const uint64_t *keys,
                                 size_t count);
/* A part's rows with low <= version <= high. */
struct tq_gc_range {
    uint32_t part;
    uint64_t low, high;
};
/* There are some. */
enum tq_status tq_catalog_gc_any(struct tq_catalog *catalog, const struct tq_gc_range *range, bool *any);
/* Take out up to `capacity` keys of them. */
enum tq_status tq_catalog_gc_take(struct tq_catalog *catalog, const struct tq_gc_range *range, uint64_t *keys,
                                  size_t capacity, size_t *count);

/* A number of an index that was dropped, and forget it; *number is 0 when there is none. */
enum tq_status tq_catalog_dropped_take(struct tq_catalog *catalog, uint32_t *number);

#endif
