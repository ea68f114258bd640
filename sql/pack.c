/* tq_pack(), tq_unpack(): the folder's values in the database, for who ships one file. */
#include "sql/functions.h"
#include "sql/whole.h"

#include <stdio.h>

typedef enum tq_status whole_function(struct tq_whole *whole, uint64_t *bytes);

static enum tq_status pack(struct tq_whole *whole, uint64_t *bytes) {
    TQ_TRY(tq_whole_check_written(whole));
    TQ_TRY(tq_whole_env(whole));
    if (whole->env == NULL) {
        return tq_fail(TQ_NOT_FOUND, whole->tables == 0 ? "there is no tq table in \"%s\"" : "\"%s\" is packed already",
                       whole->schema);
    }
    return tq_pair_pack(whole->conn, whole->env, bytes);
}

static enum tq_status unpack(struct tq_whole *whole, uint64_t *bytes) {
    if (whole->folder[0] == 0) return tq_fail(TQ_UNSUPPORTED, "a database without a file has no folder to unpack to");
    TQ_TRY(tq_whole_check_written(whole));
    TQ_TRY(tq_whole_let_go(whole)); /* of a folder that was deleted, perhaps */
    return tq_pair_unpack(whole->conn, whole->folder, tq_netfs_allowed(), bytes);
}

/* All or nothing, in the transaction that is open or in one of its own. */
static enum tq_status in_savepoint(struct tq_whole *whole, whole_function *function, uint64_t *bytes) {
    sqlite3 *db = whole->sql->db;
    TQ_TRY(tq_sql_execf(db, "beginning", "SAVEPOINT tq_whole"));
    enum tq_status status = function(whole, bytes);
    if (status == TQ_OK) status = tq_sql_execf(db, "committing", "RELEASE tq_whole");
    if (status == TQ_OK) return TQ_OK;
    char text[512];
    (void)snprintf(text, sizeof text, "%s", tq_message());
    if (!sqlite3_get_autocommit(db)) (void)tq_sql_execf(db, "going back", "ROLLBACK TO tq_whole; RELEASE tq_whole");
    return tq_fail(status, "%s", text);
}

static void run(sqlite3_context *context, const char *name, whole_function *function, const char *schema) {
    struct tq_whole whole = {.sql = NULL};
    uint64_t bytes = 0;
    enum tq_status status = TQ_OK;
    if (schema == NULL) status = tq_fail(TQ_MISUSE, "the name of the database is NULL");
    if (status == TQ_OK) status = tq_whole_open(sqlite3_user_data(context), schema, &whole);
    if (status == TQ_OK) status = in_savepoint(&whole, function, &bytes);
    if (status == TQ_OK)
        sqlite3_result_int64(context, (sqlite3_int64)bytes);
    else
        tq_function_fail(context, name, status);
    tq_whole_close(&whole);
}

static void run_pack(sqlite3_context *context, int count, sqlite3_value **values) {
    run(context, "tq_pack", pack, tq_whole_schema(count, values, 0));
}

static void run_unpack(sqlite3_context *context, int count, sqlite3_value **values) {
    run(context, "tq_unpack", unpack, tq_whole_schema(count, values, 0));
}

int tq_pack_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_pack", 0, SQLITE_DIRECTONLY, run_pack},
        {"tq_pack", 1, SQLITE_DIRECTONLY, run_pack},
        {"tq_unpack", 0, SQLITE_DIRECTONLY, run_unpack},
        {"tq_unpack", 1, SQLITE_DIRECTONLY, run_unpack},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
