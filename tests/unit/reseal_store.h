/* tests/reseal.h for files that know SQLite by conn_sql.h, whose macros stand in its way. */
#ifndef RESEAL_STORE_H
#define RESEAL_STORE_H

#include <stdbool.h>

struct sqlite3;

/* The catalog of index docs. */
bool reseal_catalog(struct sqlite3 *db);

#endif
