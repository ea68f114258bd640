/* tq_check: a connection of its own, so that a snapshot is looked at while others write. */
#include "src/db/handle.h"

enum tq_status tq_check(tq_store *store, int full, void (*report)(void *context, const char *finding), void *context) {
    struct tq_check_request request = {.all = true, .full = full != 0, .report = report, .context = context};
    struct tq_conn *conn = NULL;
    TQ_TRY(tq_conn_open(store->catalog, store->flags & TQ_OPEN_READONLY, &conn));
    enum tq_status status = tq_tables_check(conn, store->env, &request);
    tq_conn_close(conn);
    return status;
}
