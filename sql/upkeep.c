/* tq_backup(), tq_compact(): the database and its folder as a whole. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sql/functions.h"
#include "sql/whole.h"
#include "src/base/alloc.h"

/* ---- A schema and its folder ---- */

enum tq_status tq_whole_open(struct tq_sql *sql, const char *schema, struct tq_whole *whole) {
    *whole = (struct tq_whole){.sql = sql, .schema = schema};
    if (sqlite3_db_readonly(sql->db, schema) < 0) return tq_fail(TQ_MISUSE, "there is no database \"%s\"", schema);
    whole->file = tq_sql_file(sql->db, schema);
    TQ_TRY(tq_sql_folder(sql->db, schema, &whole->folder));
    TQ_TRY(tq_conn_wrap(sql->db, sqlite3_api, schema, &whole->conn));
    return tq_pair_count(whole->conn, &whole->tables);
}

void tq_whole_close(struct tq_whole *whole) {
    tq_env_close(whole->env);
    tq_conn_close(whole->conn);
    tq_free(whole->folder);
    *whole = (struct tq_whole){.sql = NULL};
}

/* Of a database without a file: only its own connection knows the folder. */
static struct tq_env *private_env(const struct tq_whole *whole) {
    for (struct tq_sql_place *p = whole->sql->places; p != NULL; p = p->next) {
        if (p->temporary && sqlite3_stricmp(p->schema, whole->schema) == 0) return p->env;
    }
    return NULL;
}

enum tq_status tq_whole_env(struct tq_whole *whole) {
    struct stat info;
    bool packed = false;
    if (whole->tables == 0) return TQ_OK;
    if (whole->folder[0] == 0) {
        struct tq_env *env = private_env(whole);
        if (env != NULL) tq_env_retain(env);
        whole->env = env;
        return TQ_OK;
    }
    if (stat(whole->folder, &info) != 0) TQ_TRY(tq_pair_is_packed(whole->conn, &packed));
    return packed ? TQ_OK : tq_sql_env_open(whole->sql, whole->schema, false, &whole->env);
}

static bool is_of(const struct tq_sql_table *table, const struct tq_whole *whole) {
    return strcmp(table->file, whole->file) == 0 && sqlite3_stricmp(table->schema, whole->schema) == 0;
}

enum tq_status tq_whole_check_written(const struct tq_whole *whole) {
    for (struct tq_sql_table *t = whole->sql->tables; t != NULL; t = t->next) {
        for (size_t i = 0; is_of(t, whole) && i < t->part_capacity; i++) {
            if (t->parts[i] == NULL || !t->parts[i]->used) continue;
            return tq_fail(TQ_MISUSE, "the transaction that is open has written to \"%s\": commit it first", t->name);
        }
    }
    return TQ_OK;
}

enum tq_status tq_whole_let_go(const struct tq_whole *whole) {
    for (struct tq_sql_table *t = whole->sql->tables; t != NULL; t = t->next) {
        if (!is_of(t, whole) || t->cursors == NULL) continue;
        return tq_fail(TQ_BUSY, "a query on table \"%s\" of this connection is running", t->name);
    }
    for (struct tq_sql_table *t = whole->sql->tables; t != NULL; t = t->next) {
        if (is_of(t, whole)) tq_sql_table_close(t);
    }
    return TQ_OK;
}

const char *tq_whole_schema(int count, sqlite3_value **values, int at) {
    if (count <= at) return "main";
    return sqlite3_value_type(values[at]) == SQLITE_NULL ? NULL : (const char *)sqlite3_value_text(values[at]);
}

/* ---- tq_backup('/path/copy.db'), tq_backup('/path/copy.db', 'schema') ---- */

static enum tq_status check_path(sqlite3_value *value, const char **path) {
    const char *text = sqlite3_value_type(value) == SQLITE_NULL ? NULL : (const char *)sqlite3_value_text(value);
    if (text == NULL || text[0] == 0) return tq_fail(TQ_MISUSE, "the path is %s", text == NULL ? "NULL" : "empty");
    if (strlen(text) != (size_t)sqlite3_value_bytes(value)) return tq_fail(TQ_MISUSE, "the path contains a zero byte");
    if (strncmp(text, "file:", 5) == 0) return tq_fail(TQ_MISUSE, "the path is a URI; it must be a path");
    *path = text;
    return TQ_OK;
}

static enum tq_status backup(struct tq_whole *whole, const char *path, uint64_t *bytes) {
    TQ_TRY(tq_whole_env(whole));
    char *folder = sqlite3_mprintf("%s-tq", path);
    if (folder == NULL) return TQ_NOMEM;
    struct tq_pair_place place = {.database = path, .folder = folder};
    enum tq_status status = tq_pair_copy(whole->conn, whole->env, &place, bytes);
    sqlite3_free(folder);
    return status;
}

static void run_backup(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_whole whole = {.sql = NULL};
    const char *path = NULL, *schema = tq_whole_schema(count, values, 1);
    uint64_t bytes = 0;
    enum tq_status status = check_path(values[0], &path);
    if (status == TQ_OK && schema == NULL) status = tq_fail(TQ_MISUSE, "the name of the database is NULL");
    if (status == TQ_OK) status = tq_whole_open(sqlite3_user_data(context), schema, &whole);
    if (status == TQ_OK) status = backup(&whole, path, &bytes);
    if (status == TQ_OK)
        sqlite3_result_int64(context, (sqlite3_int64)bytes);
    else
        tq_function_fail(context, "tq_backup", status);
    tq_whole_close(&whole);
}

/* ---- tq_compact(), tq_compact('schema') ---- */

static enum tq_status compact(struct tq_whole *whole, uint64_t *freed) {
    sqlite3 *db = whole->sql->db;
    if (whole->file[0] == 0) return tq_fail(TQ_UNSUPPORTED, "a database without a file is not compacted");
    if (sqlite3_db_readonly(db, whole->schema) == 1) return tq_fail(TQ_MISUSE, "the database is read-only");
    if (!sqlite3_get_autocommit(db) || sqlite3_txn_state(db, whole->schema) == SQLITE_TXN_WRITE) {
        return tq_fail(TQ_MISUSE, "a transaction is open: compacting is one of its own");
    }
    if (whole->tables == 0) return TQ_OK;
    TQ_TRY(tq_whole_let_go(whole));
    TQ_TRY(tq_sql_env_open(whole->sql, whole->schema, false, &whole->env));
    TQ_TRY(tq_pair_collect(whole->conn, whole->env));
    return tq_env_compact(whole->env, freed);
}

static void run_compact(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_whole whole = {.sql = NULL};
    const char *schema = tq_whole_schema(count, values, 0);
    uint64_t freed = 0;
    enum tq_status status = TQ_OK;
    if (schema == NULL) status = tq_fail(TQ_MISUSE, "the name of the database is NULL");
    if (status == TQ_OK) status = tq_whole_open(sqlite3_user_data(context), schema, &whole);
    if (status == TQ_OK) status = compact(&whole, &freed);
    if (status == TQ_OK)
        sqlite3_result_int64(context, (sqlite3_int64)freed);
    else
        tq_function_fail(context, "tq_compact", status);
    tq_whole_close(&whole);
}

int tq_upkeep_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_backup", 1, SQLITE_DIRECTONLY, run_backup},
        {"tq_backup", 2, SQLITE_DIRECTONLY, run_backup},
        {"tq_compact", 0, SQLITE_DIRECTONLY, run_compact},
        {"tq_compact", 1, SQLITE_DIRECTONLY, run_compact},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
