/* Index numbers: which of a folder's the catalogs of its database name, and what nobody can name any more. */
#ifndef TQ_SWEEP_H
#define TQ_SWEEP_H

#include "storage/conn_sql.h"
#include "storage/table_parts.h"

struct tq_named_number {
    uint32_t number;
    bool living; /* of a part, not one that was dropped or whose values are listed for deletion */
    bool ours;   /* living: of the folder with that uuid */
    uint64_t flushes, nonce, serial;
};

struct tq_named_numbers {
    struct tq_named_number *list; /* ascending; a number may be named more than once; tq_free */
    size_t count, capacity;
};

/* What the tables of the connection's schema name. TQ_UNSUPPORTED: one of them has another shape. */
enum tq_status tq_numbers_named(struct tq_conn *conn, const uint8_t uuid[16], struct tq_named_numbers *numbers);

typedef enum tq_status tq_row_take(void *context, sqlite3_stmt *stmt);
/* The names of all indexes of the schema, ascending, one a row. */
enum tq_status tq_catalog_names(struct tq_conn *conn, tq_row_take *take, void *context);
/* Every row of one of the tables, "_state" for instance, of all of them. */
enum tq_status tq_catalogs_each(struct tq_conn *conn, const char *columns, const char *suffix, tq_row_take *take,
                                void *context);

#endif
