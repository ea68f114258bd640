/* A schema as a whole, its database and its folder: upkeep.c, pack.c. */
#ifndef TQ_WHOLE_H
#define TQ_WHOLE_H

#include "sql/registry.h"

struct tq_whole {
    struct tq_sql *sql;
    const char *schema;
    const char *file;     /* "": it has none */
    char *folder;         /* likewise */
    struct tq_conn *conn; /* the host's */
    struct tq_env *env;   /* NULL until tq_whole_env(), and where there is no folder */
    size_t tables;        /* of ours in the schema */
};

/* schema: one of the connection's. Close also on failure. TQ_MISUSE: there is no such schema. */
enum tq_status tq_whole_open(struct tq_sql *sql, const char *schema, struct tq_whole *whole);
void tq_whole_close(struct tq_whole *whole);

/* Open its folder: none if it has no tables of ours, or if the folder is not there and its values are packed. */
enum tq_status tq_whole_env(struct tq_whole *whole);

/* Close its tables on this connection, which open their folder again when they are used next. TQ_BUSY: a query runs. */
enum tq_status tq_whole_let_go(const struct tq_whole *whole);

/* TQ_MISUSE if the open transaction has written vectors that are not in the folder yet. */
enum tq_status tq_whole_check_written(const struct tq_whole *whole);

/* The argument of a function that is the name of a schema, "main" if it is absent; NULL: it is NULL or no text. */
const char *tq_whole_schema(int count, sqlite3_value **values, int at);

#endif
