/* Repair: a catalog and a folder that do not belong together, or values that are damaged or gone, made a pair again.
 * Never done but on request, and all of it in the caller's transaction: until that is committed nothing is lost,
 * because values in LMDB are only added to. */
#ifndef TQ_REPAIR_H
#define TQ_REPAIR_H

#include "src/base/format.h"
#include "storage/conn.h"
#include "storage/env.h"

struct tq_repair_task {
    struct tq_conn *conn; /* in a transaction */
    struct tq_env *env;
    const char *name;
    enum tq_repair_how how;
    uint32_t vectors; /* vector columns of the table: part p is for column p % vectors */

    /* Codes anew from an exact row, exact_bytes of it; *row is borrowed until the next call. */
    enum tq_status (*encode)(void *context, const struct tq_format *format, const void *exact, struct tq_row *row);
    /* A vector that is lost, of column `vector`; why: one line. */
    enum tq_status (*lost)(void *context, int64_t id, uint32_t vector, const char *why);
    /* What was found or done: one line. */
    void (*note)(void *context, const char *text);
    void *context;
};

/* Rows that lose a vector stay without it where the host has a table of that name, with columns of its own; else they
 * go.
 * TQ_NOT_FOUND no such table; TQ_MISUSE this is not what `how` is for, and why; TQ_CORRUPT adopting the folder would
 * lose something; TQ_BUSY; TQ_FULL; TQ_IO. After a failure roll back. */
enum tq_status tq_table_repair(const struct tq_repair_task *task);

/* What there is at the folder's place, for whoever is about to make an empty one. */
enum tq_folder_owner {
    TQ_FOLDER_OWN,    /* the table's */
    TQ_FOLDER_SHARED, /* of another table of the same database, not of this one: it was made by such a repair */
    TQ_FOLDER_OTHER   /* of another database */
};
enum tq_status tq_table_folder_owner(struct tq_conn *conn, struct tq_env *env, const char *name,
                                     enum tq_folder_owner *owner);

/* The folder that the table's catalog names. */
enum tq_status tq_table_uuid(struct tq_conn *conn, const char *name, uint8_t uuid[16]);

/* Of the values that segments of the schema need, how many were found. */
struct tq_rescued {
    size_t wanted, found;
};
/* Fill an empty folder with an environment of this uuid from a data file that LMDB cannot follow, whatever of it can
 * be read. It is in step with the catalog of the connection's schema. Reads all of the file. TQ_FULL; TQ_IO. */
enum tq_status tq_folder_rescue(struct tq_conn *conn, const uint8_t uuid[16], const char *data, const char *folder,
                                struct tq_rescued *told);

#endif
