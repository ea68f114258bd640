/* tq_repair('docs', 'adopt-folder' | 'adopt-empty' | 'salvage' [, schema]): what storage/repair.h does, in one
 * savepoint, so that ROLLBACK undoes it, with a report. */
#include <string.h>

#include "sql/functions.h"
#include "sql/host_stop.h"
#include "src/base/alloc.h"

enum { IDS_TOLD = 20, NOTES_TOLD = 100 };

struct report {
    struct tq_sql_table *table;
    sqlite3_str *out;
    uint64_t lost, notes;
    int64_t ids[IDS_TOLD];
    sqlite3_stmt *insert; /* into <table>_lost; NULL until something is */
};

/* ---- What is lost ---- */

static enum tq_status open_list(struct report *report) {
    const struct tq_sql_table *table = report->table;
    sqlite3 *db = table->sql->db;
    TQ_TRY(tq_sql_execf(db, "listing what is lost",
                        "CREATE TABLE IF NOT EXISTS \"%w\".\"%w_lost\"(id INTEGER, vector TEXT, why TEXT)",
                        table->schema, table->name));
    char *text = sqlite3_mprintf("INSERT INTO \"%w\".\"%w_lost\"(id, vector, why) VALUES (?1, ?2, ?3)", table->schema,
                                 table->name);
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, text, -1, &report->insert, NULL);
    sqlite3_free(text);
    return rc == SQLITE_OK ? TQ_OK : tq_sql_fail(db, rc, "listing what is lost");
}

static enum tq_status take_lost(void *context, int64_t id, uint32_t vector, const char *why) {
    struct report *report = context;
    const struct tq_declaration *d = &report->table->declaration;
    if (report->lost < IDS_TOLD) report->ids[report->lost] = id;
    report->lost++;
    if (report->insert == NULL) TQ_TRY(open_list(report));
    (void)sqlite3_bind_int64(report->insert, 1, id);
    (void)sqlite3_bind_text(report->insert, 2, tq_declaration_vector(d, vector)->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(report->insert, 3, why, -1, SQLITE_TRANSIENT);
    int rc = sqlite3_step(report->insert);
    (void)sqlite3_reset(report->insert);
    return rc == SQLITE_DONE ? TQ_OK : tq_sql_fail(report->table->sql->db, rc, "listing what is lost");
}

static void take_note(void *context, const char *text) {
    struct report *report = context;
    if (report->notes++ < NOTES_TOLD) sqlite3_str_appendf(report->out, "%s\n", text);
}

static void end_notes(struct report *report) {
    if (report->notes > NOTES_TOLD) sqlite3_str_appendf(report->out, "and %llu more\n", report->notes - NOTES_TOLD);
}

static void tell_end(const struct report *report, const char *done) {
    sqlite3_str_appendf(report->out, "%s: %s; ", report->table->name, done);
    if (report->lost == 0) {
        sqlite3_str_appendall(report->out, "nothing is lost");
        return;
    }
    sqlite3_str_appendf(report->out, "%llu vector%s lost, listed in table \"%w_lost\"; the rows are there, with NULL: ",
                        report->lost, report->lost == 1 ? " is" : "s are", report->table->name);
    for (uint64_t i = 0; i < report->lost && i < IDS_TOLD; i++) {
        sqlite3_str_appendf(report->out, "%s%lld", i == 0 ? "" : ", ", report->ids[i]);
    }
    if (report->lost > IDS_TOLD) sqlite3_str_appendf(report->out, " and %llu more", report->lost - IDS_TOLD);
}

/* ---- Doing it ---- */

static const struct {
    const char *name, *done;
    enum tq_repair_how how;
} ways[] = {
    {"adopt-folder", "the folder is adopted", TQ_REPAIR_ADOPT_FOLDER},
    {"adopt-empty", "it begins anew in an empty folder", TQ_REPAIR_ADOPT_EMPTY},
    {"salvage", "what verifies is kept", TQ_REPAIR_SALVAGE},
};

static enum tq_status find_way(const char *name, size_t *way) {
    for (size_t i = 0; i < TQ_COUNT(ways); i++) {
        if (name == NULL || sqlite3_stricmp(name, ways[i].name) != 0) continue;
        *way = i;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "unknown way \"%.40s\"; there is adopt-folder, adopt-empty, salvage",
                   name == NULL ? "" : name);
}

static bool is_written(const struct tq_sql_table *table) {
    for (size_t i = 0; i < table->part_capacity; i++) {
        if (table->parts[i] != NULL && table->parts[i]->used) return true;
    }
    return false;
}

/* Tables of one database share a folder: all let go of it, because another may come in its place. */
static enum tq_status let_go(struct tq_sql *sql, const struct tq_sql_table *which) {
    struct tq_sql_table *table = NULL;
    for (table = sql->tables; table != NULL; table = table->next) {
        if (strcmp(table->file, which->file) != 0) continue;
        if (table->cursors != NULL) {
            return tq_fail(TQ_BUSY, "a statement of this connection is reading table \"%s\": end it first",
                           table->name);
        }
        if (is_written(table)) {
            return tq_fail(TQ_MISUSE, "this transaction has written to table \"%s\": COMMIT or ROLLBACK first",
                           table->name);
        }
    }
    for (table = sql->tables; table != NULL; table = table->next) {
        if (strcmp(table->file, which->file) == 0) tq_sql_table_close(table);
    }
    return TQ_OK;
}

static enum tq_status open_folder(struct tq_sql *sql, struct tq_repairer *repairer, struct tq_conn *conn,
                                  const struct tq_sql_table *table, enum tq_repair_how how, struct tq_env **env) {
    char *folder = NULL;
    TQ_TRY(tq_sql_folder(sql->db, table->schema, &folder));
    enum tq_status status = how == TQ_REPAIR_ADOPT_EMPTY ? tq_repairer_empty(repairer, conn, folder, table->name, env)
                                                         : tq_sql_env_open(sql, table->schema, false, env);
    if (status != TQ_OK && how == TQ_REPAIR_SALVAGE) {
        status = tq_repairer_rescue(repairer, conn, folder, table->name, status, env);
    }
    tq_free(folder);
    return status;
}

static enum tq_status run_way(struct tq_sql *sql, struct report *report, enum tq_repair_how how) {
    const struct tq_sql_table *table = report->table;
    struct tq_repairer repairer = {.lost = take_lost, .note = take_note, .context = report};
    struct tq_conn *conn = NULL;
    struct tq_env *env = NULL;
    /* The write lock comes before a look at the folder, which may be replaced. */
    TQ_TRY(tq_sql_execf(sql->db, "beginning", "UPDATE \"%w\".\"%w_state\" SET changes = changes WHERE part = 0",
                        table->schema, table->name));
    TQ_TRY(tq_conn_wrap(sql->db, sqlite3_api, table->schema, &conn));
    enum tq_status status = open_folder(sql, &repairer, conn, table, how, &env);
    if (status == TQ_OK) {
        status = tq_repairer_run(&repairer, conn, env, table->name, how, (uint32_t)table->declaration.vectors);
    }
    tq_repairer_clear(&repairer);
    tq_env_close(env);
    tq_conn_close(conn);
    (void)sqlite3_finalize(report->insert);
    return status;
}

/* A statement that writes nothing, but makes the table a part of the transaction: it opens, which is the proof, and it
 * is told of a ROLLBACK. */
static enum tq_status join_transaction(struct tq_sql_table *table) {
    table->repaired = true;
    return tq_sql_execf(table->sql->db, "after the repair", "DELETE FROM \"%w\".\"%w\" WHERE 0", table->schema,
                        table->name);
}

static enum tq_status in_savepoint(struct tq_sql *sql, struct report *report, enum tq_repair_how how) {
    TQ_TRY(tq_sql_execf(sql->db, "beginning", "SAVEPOINT tq_repair"));
    enum tq_status status = run_way(sql, report, how);
    if (status == TQ_OK) status = join_transaction(report->table);
    if (status == TQ_OK) status = tq_sql_execf(sql->db, "committing", "RELEASE tq_repair");
    if (status == TQ_OK) return TQ_OK;
    char text[1000];
    sqlite3_snprintf(sizeof text, text, "%s", tq_message());
    (void)sqlite3_exec(sql->db, "ROLLBACK TO tq_repair; RELEASE tq_repair", NULL, NULL, NULL);
    return tq_fail(status, "%s", text);
}

/* What was found is told in the message, too: a refusal says what is missing. */
static enum tq_status with_notes(struct report *report, enum tq_status status) {
    char text[1000];
    sqlite3_snprintf(sizeof text, text, "%s", tq_message());
    if (status == TQ_OK || sqlite3_str_length(report->out) == 0) return status;
    const char *notes = sqlite3_str_value(report->out);
    return tq_fail(status, "%s\n%.*s", text, (int)strlen(notes) - 1, notes);
}

static enum tq_status repair(struct tq_sql *sql, const char *name, const char *way_name, const char *schema,
                             struct report *report) {
    size_t way = 0;
    TQ_TRY(find_way(way_name, &way));
    TQ_TRY(tq_sql_table_connect(sql, schema, name, &report->table));
    if (report->table->file[0] == 0) {
        return tq_fail(TQ_MISUSE, "database \"%s\" has no file, and nothing that could be repaired", schema);
    }
    TQ_TRY(let_go(sql, report->table));
    struct tq_sql_stop stop;
    tq_sql_stop_begin(&stop, sql->db);
    enum tq_status status = in_savepoint(sql, report, ways[way].how);
    tq_sql_stop_end(&stop);
    end_notes(report);
    if (status == TQ_OK) tell_end(report, ways[way].done);
    return with_notes(report, status);
}

static void run_repair(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    const char *name = (const char *)sqlite3_value_text(values[0]), *way = (const char *)sqlite3_value_text(values[1]);
    const char *schema = count > 2 ? (const char *)sqlite3_value_text(values[2]) : "main";
    struct report report = {.out = sqlite3_str_new(NULL)};
    enum tq_status status = tq_fail(TQ_MISUSE, "name a table, a way and, if need be, a schema");
    if (name != NULL && way != NULL && schema != NULL) status = repair(sql, name, way, schema, &report);
    char *text = sqlite3_str_finish(report.out);
    if (status != TQ_OK)
        tq_function_fail(context, "tq_repair", status);
    else if (text == NULL)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    sqlite3_free(text);
}

int tq_repair_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_repair", 2, SQLITE_DIRECTONLY, run_repair},
        {"tq_repair", 3, SQLITE_DIRECTONLY, run_repair},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
