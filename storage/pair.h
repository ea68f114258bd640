/* A pair as a whole: a database's tables of ours and the folder that belongs to it, whatever tables there are.
 *
 *   pair.c       every part of every table; deleting what nothing refers to
 *   pair_copy.c  a second pair, in its own place
 *   pair_pack.c  the folder's values in a table of the database, and back */
#ifndef TQ_PAIR_H
#define TQ_PAIR_H

#include "storage/table.h"

/* Visit every part of every table of ours in the connection's schema, within a transaction of the caller's. Parts are
 * open during the visit only. */
typedef enum tq_status tq_pair_visit(void *context, struct tq_table *part);
enum tq_status tq_pair_each(struct tq_conn *conn, struct tq_env *env, tq_pair_visit *visit, void *context);

/* How many tables of ours the schema has. */
enum tq_status tq_pair_count(struct tq_conn *conn, size_t *count);

/* Delete the values that nothing refers to and no snapshot can need, in two transactions of its own: what the first one
 * lists, the second one may delete. The connection must have none open. TQ_BUSY: another writer. */
enum tq_status tq_pair_collect(struct tq_conn *conn, struct tq_env *env);

/* Where a pair lies. database inside folder: the C library's catalog.db; else each has its own place. */
struct tq_pair_place {
    const char *database;
    const char *folder; /* NULL: no folder */
};

/* Copy a snapshot of the schema, and the folder, which may be ahead of it: values never change. Both are made beside
 * their places, checked against each other, synced and renamed, the folder first. Neither may exist. The connection
 * must not be writing. env NULL: the schema has no folder. *bytes: of both files.
 * TQ_EXISTS; TQ_FULL the disk is, nothing is left behind; TQ_BUSY; TQ_CORRUPT what was copied is no pair; TQ_IO. */
enum tq_status tq_pair_copy(struct tq_conn *conn, struct tq_env *env, const struct tq_pair_place *target,
                            uint64_t *bytes);

/* Copy all values that the schema's tables refer to into its table tqlite_packed, within a transaction of the caller's
 * that goes back on failure. Each is checked. *bytes: of the values. */
enum tq_status tq_pair_pack(struct tq_conn *conn, struct tq_env *env, uint64_t *bytes);
/* Whether the schema has that table. */
enum tq_status tq_pair_is_packed(struct tq_conn *conn, bool *packed);
/* Make the folder from it if there is none, see that it holds what the tables refer to, and drop the table, within a
 * transaction of the caller's. *bytes: of the values written. TQ_NOT_FOUND nothing is packed; TQ_CORRUPT values are
 * missing or damaged; TQ_FORMAT the folder there is another's. */
enum tq_status tq_pair_unpack(struct tq_conn *conn, const char *folder, bool allow_netfs, uint64_t *bytes);

#endif
