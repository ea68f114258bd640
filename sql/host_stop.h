/* What runs inside one call of SQLite's ends when the host asks for it: sqlite3_interrupt() or a progress handler. */
#ifndef TQ_HOST_STOP_H
#define TQ_HOST_STOP_H

#include <sqlite3ext.h>

#include "src/base/stop.h"

struct tq_sql_stop {
    struct tq_stop stop;
    sqlite3 *db;
    sqlite3_stmt *question; /* made when there has been time to ask */
    bool mute;              /* it cannot be made */
};

/* Around whatever may take long, on the connection's thread. */
void tq_sql_stop_begin(struct tq_sql_stop *stop, sqlite3 *db);
void tq_sql_stop_end(struct tq_sql_stop *stop);

#endif
