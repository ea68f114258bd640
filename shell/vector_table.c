#include "shell/vector_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shell/arguments.h"
#include "src/base/base.h"

enum tq_status shell_prepare_format(struct shell_session *session, sqlite3_stmt **statement, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    *statement = NULL;
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(session->db, sql, -1, statement, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? TQ_OK : shell_session_fail(session, rc);
}

enum tq_status shell_rows_show(struct shell_session *session, const char *sql, sqlite3_str *rows) {
    char *text = sqlite3_str_finish(rows);
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = shell_session_show(session, sql, text);
    sqlite3_free(text);
    return status;
}

void shell_bytes_text(double bytes, char *text, size_t size) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < TQ_COUNT(units); unit++) bytes /= 1024;
    (void)snprintf(text, size, "%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes, units[unit]);
}

/* ---- What tq_info() says ---- */

static char *copy_text(sqlite3_stmt *statement, int column) {
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text == NULL ? NULL : sqlite3_mprintf("%s", text);
}

static enum tq_status read_index(struct shell_vectors *v, sqlite3_stmt *statement) {
    static const char *const metrics[] = {"cosine", "ip", "l2"}, *const rows[] = {"f32", "f16", "none"};
    v->column = copy_text(statement, 0);
    v->dim = sqlite3_column_int64(statement, 1);
    v->bits = sqlite3_column_int64(statement, 2);
    v->vectors = sqlite3_column_int64(statement, 3);
    v->nulls = sqlite3_column_int64(statement, 4);
    for (size_t i = 0; i < TQ_COUNT(metrics); i++) {
        if (strcmp(metrics[i], (const char *)sqlite3_column_text(statement, 5)) == 0) v->metric = (enum tq_metric)i;
        if (strcmp(rows[i], (const char *)sqlite3_column_text(statement, 6)) == 0) v->rows = (enum tq_rows)i;
    }
    return v->column == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

static enum tq_status choose_column(struct shell_vectors *v, const char *column) {
    /* A table with one vector column has it at the top. */
    static const char sql[] =
        "SELECT json_extract(x, '$.column'), json_extract(x, '$.dim'), json_extract(x, '$.bits'),"
        " json_extract(x, '$.vectors'), json_extract(x, '$.nulls'), json_extract(x, '$.metric'),"
        " json_extract(x, '$.rows') FROM (SELECT value AS x FROM json_each(CASE WHEN json_type(?1, '$.indexes') IS NULL"
        " THEN json_array(json(?1)) ELSE json_extract(?1, '$.indexes') END))"
        " WHERE ?2 IS NULL OR lower(json_extract(x, '$.column')) = lower(?2)";
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare_format(v->session, &statement, "%s", sql));
    int rc = sqlite3_bind_text(statement, 1, v->info, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK && column != NULL) rc = sqlite3_bind_text(statement, 2, column, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    enum tq_status status = TQ_OK;
    if (rc == SQLITE_ROW)
        status = read_index(v, statement);
    else if (rc == SQLITE_DONE)
        status = tq_fail(TQ_NOT_FOUND, "%s has no vector column \"%.63s\"; .info lists them", v->table.name, column);
    else
        status = shell_session_fail(v->session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum tq_status choose_key(struct shell_vectors *v) {
    static const char sql[] = "SELECT json_extract(value, '$.name') FROM json_each(?1, '$.columns')"
                              " WHERE json_extract(value, '$.kind') = '%s'";
    char one[sizeof sql + 4];
    (void)snprintf(one, sizeof one, sql, "key");
    TQ_TRY(shell_session_value(v->session, one, v->info, &v->key));
    (void)snprintf(one, sizeof one, sql, "id");
    TQ_TRY(shell_session_value(v->session, one, v->info, &v->id));
    v->has_id = v->id != NULL;
    if (!v->has_id) v->id = sqlite3_mprintf("rowid");
    return v->id == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

static enum tq_status look_at(struct shell_vectors *v, const char *column) {
    v->quoted = sqlite3_mprintf("\"%w\".\"%w\"", v->table.schema, v->table.name);
    if (v->quoted == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    char *sql = sqlite3_mprintf("SELECT tq_info(?1, '%q')", v->table.schema);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = shell_session_value(v->session, sql, v->table.name, &v->info);
    sqlite3_free(sql);
    TQ_TRY(status);
    TQ_TRY(choose_column(v, column));
    return choose_key(v);
}

enum tq_status shell_vectors_open(struct shell_session *session, const char *word, const char *column,
                                  struct shell_vectors *vectors) {
    struct shell_vectors found = {.session = session};
    enum tq_status status = shell_table_find(session, word, &found.table);
    if (status == TQ_OK && found.table.kind == SHELL_TABLE_MISSING)
        status = tq_fail(TQ_NOT_FOUND, "no such table: %s", word);
    else if (status == TQ_OK && found.table.kind != SHELL_TABLE_TQ)
        status = tq_fail(TQ_MISUSE, "%s is %s", word,
                         found.table.kind == SHELL_TABLE_VIEW ? "a view, not a tq table" : "not a tq table");
    if (status == TQ_OK) status = look_at(&found, column);
    if (status == TQ_OK)
        *vectors = found;
    else
        shell_vectors_close(&found);
    return status;
}

enum tq_status shell_vectors_ask_on(struct shell_vectors *vectors, const char *device) {
    char *set = NULL;
    if (device != NULL) TQ_TRY(shell_check_device(device));
    if (device == NULL) TQ_TRY(shell_session_value(vectors->session, "SELECT tq_config('device')", NULL, &set));
    (void)snprintf(vectors->device, sizeof vectors->device, "%s", device != NULL ? device : set == NULL ? "cpu" : set);
    sqlite3_free(set);
    return TQ_OK;
}

void shell_vectors_close(struct shell_vectors *vectors) {
    shell_table_clear(&vectors->table);
    sqlite3_free(vectors->quoted);
    sqlite3_free(vectors->info);
    sqlite3_free(vectors->column);
    sqlite3_free(vectors->key);
    sqlite3_free(vectors->id);
    *vectors = (struct shell_vectors){.session = NULL};
}
