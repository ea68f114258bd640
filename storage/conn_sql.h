/* Inside of struct tq_conn, for the files of storage/ that speak SQL. Each function that calls SQLite declares
 *
 *     const sqlite3_api_routines *sqlite3_api = conn->api;
 *
 * and the macros of sqlite3ext.h then go to the SQLite that the connection belongs to. */
#ifndef TQ_CONN_SQL_H
#define TQ_CONN_SQL_H

#include <sqlite3ext.h>

#include "storage/conn.h"

#define TQ_CONN_CACHED 8u /* BEGIN, COMMIT and the like, prepared once */

/* Index numbers of a folder that this connection has claimed and not used yet. */
struct tq_numbers {
    uint8_t uuid[16];
    uint32_t next, left, claimed; /* claimed: at once, the last time */
    uint64_t nonce;               /* of `next` */
};

struct tq_conn {
    sqlite3 *db;
    const sqlite3_api_routines *api;
    bool own;
    char *schema;
    struct {
        char *sql;
        sqlite3_stmt *stmt;
    } cached[TQ_CONN_CACHED];
    unsigned cached_count;
    struct tq_numbers numbers;
};

/* The function table of the SQLite this library is linked to. */
enum tq_status tq_linked_sqlite(const sqlite3_api_routines **api);

/* The one place where a result code of SQLite becomes ours. `doing` is a verb phrase, `name` the index or file. */
enum tq_status tq_conn_fail(struct tq_conn *conn, int rc, const char *doing, const char *name);

/* printf with SQLite's %w and %Q, run at once. */
enum tq_status tq_conn_execf(struct tq_conn *conn, const char *name, const char *format, ...);
enum tq_status tq_conn_prepare(struct tq_conn *conn, const char *sql, sqlite3_stmt **stmt);

/* The database's file, "" if it has none: for messages. */
const char *tq_conn_file(struct tq_conn *conn);

/* A counter that moves when the file is changed by anyone; only meaningful while a transaction is open or just
 * after our own COMMIT. 0 if SQLite cannot say. */
uint32_t tq_conn_data_version(struct tq_conn *conn);

/* Whether a snapshot of our schema is open, that is, whether tq_conn_data_version() speaks of now. */
bool tq_conn_has_snapshot(struct tq_conn *conn);
/* Whether the write transaction is still there: SQLite itself ends it on some failures. */
bool tq_conn_is_writing(struct tq_conn *conn);

/* How old snapshots can be: decided by a private second connection to the same file (FORMAT.md, "When a value
 * may be deleted"). */
enum tq_proof {
    TQ_PROOF_NONE,    /* someone may still read an older snapshot */
    TQ_PROOF_JOURNAL, /* rollback journal: a commit shuts readers out, the last one may be lost with the power */
    TQ_PROOF_WAL,     /* everything committed is in the database file and no reader is behind it */
    TQ_PROOF_WAL_PART /* what lies before a frame of the log is, and nobody reads from before it */
};

/* *look is filled for the last two. */
enum tq_proof tq_conn_prove(struct tq_conn *conn, struct tq_wal_look *look);

#endif
