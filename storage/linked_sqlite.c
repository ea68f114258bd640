/* The SQLite this library was linked to, as a function table, so that conn.c needs one way of calling only. */
#define SQLITE_CORE 1 /* here, and only here, calls go straight to the linked library */

#include <pthread.h>
#include <sqlite3.h>

#include "src/base/base.h"
#include "storage/conn_sql.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const sqlite3_api_routines *linked; /* written once, under the lock */

/* SQLite shows its table to extensions only, so we pose as one for a moment. Another thread that opens a
 * connection meanwhile calls this too, with the same table. */
static int capture(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
    (void)db;
    (void)message;
    __atomic_store_n(&linked, api, __ATOMIC_RELEASE);
    return SQLITE_OK;
}

enum tq_status tq_linked_sqlite(const sqlite3_api_routines **api) {
    int rc = SQLITE_OK;
    (void)pthread_mutex_lock(&lock);
    if (__atomic_load_n(&linked, __ATOMIC_ACQUIRE) == NULL) {
        sqlite3 *db = NULL;
        rc = sqlite3_auto_extension((void (*)(void))capture);
        if (rc == SQLITE_OK) rc = sqlite3_open(":memory:", &db);
        (void)sqlite3_close(db);
        (void)sqlite3_cancel_auto_extension((void (*)(void))capture);
    }
    (void)pthread_mutex_unlock(&lock);
    *api = __atomic_load_n(&linked, __ATOMIC_ACQUIRE);
    if (*api == NULL)
        return tq_fail(rc == SQLITE_NOMEM ? TQ_NOMEM : TQ_UNSUPPORTED, "SQLite does not start: %s", sqlite3_errstr(rc));
    return TQ_OK;
}
