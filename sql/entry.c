/* The extension's entry point. */
#include <pthread.h>
#include <sqlite3ext.h>

#include "sql/functions.h"
#include "sql/tq_sqlite.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"

SQLITE_EXTENSION_INIT1

enum { OLDEST = 3034000 }; /* sqlite3_txn_state() */

static void close_registry(void *sql) { tq_sql_close(sql); }

/* Twice on one connection, by auto_extension and by hand, would make two registries for the same tables.
 *
 * This pragma neither fails nor reads the schema. A statement that fails would not do: what it leaves on the connection
 * is taken for a failure of the extension, and it is logged. */
static bool is_registered(sqlite3 *db) {
    sqlite3_stmt *statement = NULL;
    bool there = false;
    if (sqlite3_prepare_v2(db, "PRAGMA module_list", -1, &statement, NULL) != SQLITE_OK) return false;
    while (!there && sqlite3_step(statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        there = name != NULL && sqlite3_stricmp(name, "tq") == 0;
    }
    (void)sqlite3_finalize(statement);
    return there;
}

/* Every connection brings the same; threads that have one already must not find it written to. */
static void keep_routines(const sqlite3_api_routines *api) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)pthread_mutex_lock(&lock);
    if (api != NULL && api != sqlite3_api) sqlite3_api = api;
    (void)pthread_mutex_unlock(&lock);
}

int sqlite3_tq_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    struct tq_sql *sql = NULL;
    keep_routines(api);
    if (sqlite3_api == NULL) return SQLITE_MISUSE; /* called by hand before SQLite has called */
    if (sqlite3_libversion_number() < OLDEST) {
        if (error != NULL) {
            *error = sqlite3_mprintf("tq needs SQLite 3.34 or newer, this is %s", sqlite3_libversion());
        }
        return SQLITE_ERROR;
    }
    if (is_registered(db)) return SQLITE_OK;
    enum tq_status status = tq_sql_open(db, &sql);
    if (status != TQ_OK) {
        if (error != NULL) *error = sqlite3_mprintf("tq: %s", tq_message());
        return tq_sql_code(status);
    }
    /* From here on the module owns the registry, also on failure. The functions outlive it by nothing: SQLite drops
     * both with the connection. */
    int rc = sqlite3_create_module_v2(db, "tq", &tq_module.base, sql, close_registry);
    if (rc == SQLITE_OK) rc = tq_functions_register(sql);
    if (rc == SQLITE_OK) rc = tq_info_register(sql);
    return rc;
}
