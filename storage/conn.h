/* A SQLite connection as the catalog uses it: our own, or the host's when we are an extension.
 *
 * Calls go through the function table of whichever SQLite the connection belongs to (each function keeps it in a
 * local named sqlite3_api, which sqlite3ext.h's macros use), so that one object serves a host with its own copy. */
#ifndef TQ_CONN_H
#define TQ_CONN_H

#include "src/base/base.h"

struct tq_conn;
struct sqlite3;
struct sqlite3_api_routines;

/* Our own connection to catalog.db (SQLite linked to this library): WAL, synchronous FULL, busy timeout 5 s. */
enum tq_status tq_conn_open(const char *file, unsigned flags, struct tq_conn **conn);

/* Borrow the host's connection; `schema` ("main", "temp", an ATTACHed name) is where our tables live. */
enum tq_status tq_conn_wrap(struct sqlite3 *db, const struct sqlite3_api_routines *api, const char *schema,
                            struct tq_conn **conn);
void tq_conn_close(struct tq_conn *conn); /* finalizes its statements; closes only what tq_conn_open opened */

/* Transactions of our own connections: "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "SAVEPOINT a" ... */
enum tq_status tq_conn_exec(struct tq_conn *conn, const char *sql);

/* How far the log is copied: readers and recovery see frame `copied` or a later one. `salt` changes when the log begins
 * anew, and it does only when nobody reads the old one any more. */
struct tq_wal_look {
    uint64_t salt;
    int frames, copied;
};

/* Whether the last failure on this connection was for want of room, though SQLite calls it SQLITE_IOERR: a quota, for
 * instance. */
bool tq_conn_no_room(struct sqlite3 *db, const struct sqlite3_api_routines *api);

/* True between BEGIN and COMMIT or ROLLBACK. */
bool tq_conn_in_transaction(struct tq_conn *conn);

#endif
