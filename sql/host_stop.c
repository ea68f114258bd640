/* SQLite looks whether it was interrupted between the instructions of a statement, and there it calls the progress
 * handler; while a virtual table works it does neither, and before 3.41 nobody could ask it. So a small statement is
 * run now and then on the same connection: it fails with SQLITE_INTERRUPT if the connection was interrupted, because
 * the statement that called us is still running, and its instructions count for the progress handler like any others.
 * No version of SQLite is told from another, and none is asked for what it does not have. */
#include "sql/host_stop.h"

SQLITE_EXTENSION_INIT3

/* About 300 instructions, so that a handler called every thousand is called some dozens of times a second. */
static const char question[] = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20)"
                               " SELECT count(*) FROM c";

static bool was_interrupted(void *host) {
    struct tq_sql_stop *stop = host;
    if (stop->mute) return false;
    int rc = SQLITE_OK;
    if (stop->question == NULL) rc = sqlite3_prepare_v2(stop->db, question, -1, &stop->question, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(stop->question);
    (void)sqlite3_reset(stop->question);
    bool answered = rc == SQLITE_ROW || rc == SQLITE_INTERRUPT;
    stop->mute = !answered; /* an authorizer may forbid it */
    return rc == SQLITE_INTERRUPT;
}

void tq_sql_stop_begin(struct tq_sql_stop *stop, sqlite3 *db) {
    *stop = (struct tq_sql_stop){.stop = {.ask = was_interrupted, .host = stop}, .db = db};
    tq_stop_begin(&stop->stop);
}

void tq_sql_stop_end(struct tq_sql_stop *stop) {
    tq_stop_end(&stop->stop);
    (void)sqlite3_finalize(stop->question);
}
