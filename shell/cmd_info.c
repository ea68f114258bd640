/* .info and .explain: what tq_info() and tq_explain() say, a line each, with what the numbers mean. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shell/arguments.h"
#include "shell/cell.h"
#include "shell/commands.h"
#include "shell/vector_table.h"
#include "src/base/base.h"

enum { ABOUT_BYTES = 160 };

/* ---- Lines: name, value, meaning ---- */

/* The rows of a JSON array so far. */
static void add_line(sqlite3_str *lines, const char *what, sqlite3_stmt *statement, int column, const char *about) {
    bool first = sqlite3_str_length(lines) == 0;
    sqlite3_str_appendall(lines, first ? "[[" : ",[");
    shell_append_json(lines, what, (int)strlen(what));
    sqlite3_str_appendchar(lines, 1, ',');
    shell_cell_json(lines, statement, column);
    sqlite3_str_appendchar(lines, 1, ',');
    shell_append_json(lines, about, (int)strlen(about));
    sqlite3_str_appendchar(lines, 1, ']');
}

static enum tq_status show_lines(struct shell_session *session, sqlite3_str *lines) {
    sqlite3_str_appendchar(lines, 1, ']');
    return shell_rows_show(session,
                           "SELECT json_extract(value, '$[0]') AS what, json_extract(value, '$[1]') AS value,"
                           " json_extract(value, '$[2]') AS about FROM json_each(?1)",
                           lines);
}

/* ---- .info ---- */

static const struct {
    const char *name, *about;
} meanings[] = {
    {"table", ""},
    {"columns", ""},
    {"column", ""},
    {"dim", "dimensions of a vector"},
    {"metric", "what near means"},
    {"bits", "bits a dimension of the codes"},
    {"qjl", "whether one of them is a sketch of the residual"},
    {"rows", "how the vectors themselves are kept"},
    {"seed", "of the rotation"},
    {"vectors", "rows with a vector"},
    {"nulls", "rows without"},
    {"log", "vectors not yet in segments"},
    {"dead", "deleted vectors whose space is not reclaimed yet"},
    {"segments", "runs of rows in the folder"},
    {"zeros", "vectors of nothing but zeros"},
    {"norm_min", "length of the shortest vector"},
    {"norm_mean", "mean length"},
    {"norm_max", "length of the longest vector"},
    {"scale_min", "factor that makes estimates exact for the vector itself: least"},
    {"scale_mean", "mean; the nearer to 1, the better the codes fit the data"},
    {"scale_max", "greatest"},
    {"error_min", "tangent of the angle between vector and code: least"},
    {"error_mean", "mean"},
    {"error_max", "greatest"},
    {"partitions", "combinations of partition keys"},
    {"isa", "instruction set in use; .kernels has more"},
    {"gpu", "what searches where device is gpu or auto; .gpu has more"},
    {"folder", "where codes and vectors are"},
    {"notice", ""},
};

static const char *meaning(const char *name) {
    for (size_t i = 0; i < TQ_COUNT(meanings); i++)
        if (strcmp(name, meanings[i].name) == 0) return meanings[i].about;
    return "";
}

static void about_bytes(double bytes, int64_t rows, char about[ABOUT_BYTES]) {
    char text[32];
    shell_bytes_text(bytes, text, sizeof text);
    if (rows > 0)
        (void)snprintf(about, ABOUT_BYTES, "%s, %.1f bytes a vector", text, bytes / (double)rows);
    else
        (void)snprintf(about, ABOUT_BYTES, "%s", text);
}

/* Statement: name, value, and how many vectors are in segments. */
static void add_leaf(sqlite3_str *lines, sqlite3_stmt *statement, const char *prefix) {
    char name[TQ_NAME_MAX + 80], about[ABOUT_BYTES];
    const char *own = (const char *)sqlite3_column_text(statement, 0);
    size_t used = (size_t)snprintf(name, sizeof name, "%s", prefix);
    (void)snprintf(name + used, sizeof name - used, "%s", own == NULL ? "" : own);
    if (strstr(name + used, "_bytes") != NULL)
        about_bytes(sqlite3_column_double(statement, 1), sqlite3_column_int64(statement, 2), about);
    else
        (void)snprintf(about, sizeof about, "%s", meaning(name + used));
    add_line(lines, name, statement, 1, about);
}

/* sql: rows for add_leaf; ?1 is the JSON. */
static enum tq_status add_leaves(const struct shell_vectors *v, const char *sql, const char *json, const char *prefix,
                                 sqlite3_str *lines) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare_format(v->session, &statement, "%s", sql));
    int rc = sqlite3_bind_text(statement, 1, json, -1, SQLITE_TRANSIENT);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        add_leaf(lines, statement, prefix);
        rc = SQLITE_OK;
    }
    enum tq_status status = rc == SQLITE_DONE ? TQ_OK : shell_session_fail(v->session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

/* With several vector columns each has its name before its lines. */
static enum tq_status add_indexes(const struct shell_vectors *v, sqlite3_str *lines) {
    static const char sql[] = "SELECT value, json_extract(value, '$.column'), json_array_length(?1, '$.indexes')"
                              " FROM json_each(CASE WHEN json_type(?1, '$.indexes') IS NULL THEN json_array(json(?1))"
                              " ELSE json_extract(?1, '$.indexes') END)";
    static const char leaves[] = "SELECT iif(path = '$', key, substr(path, 3) || '_' || key), atom,"
                                 " json_extract(?1, '$.vectors') - json_extract(?1, '$.log') FROM json_tree(?1)"
                                 " WHERE atom IS NOT NULL AND key NOT IN ('table', 'isa', 'gpu', 'folder', 'notice')";
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare_format(v->session, &statement, "%s", sql));
    enum tq_status status = TQ_OK;
    int rc = sqlite3_bind_text(statement, 1, v->info, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        char prefix[TQ_NAME_MAX + 8] = "";
        if (sqlite3_column_int(statement, 2) > 1)
            (void)snprintf(prefix, sizeof prefix, "%.60s.", sqlite3_column_text(statement, 1));
        status = add_leaves(v, leaves, (const char *)sqlite3_column_text(statement, 0), prefix, lines);
        rc = SQLITE_OK;
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = shell_session_fail(v->session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

/* "word TEXT key, embedding FLOAT[100], lang TEXT indexed" */
static enum tq_status add_columns(const struct shell_vectors *v, sqlite3_str *lines) {
    return add_leaves(v,
                      "SELECT 'columns', group_concat(trim(json_extract(value, '$.name') || ' ' ||"
                      " json_extract(value, '$.type') || CASE json_extract(value, '$.kind') WHEN 'vector' THEN ''"
                      " WHEN 'metadata' THEN iif(json_extract(value, '$.indexed'), ' INDEXED', '')"
                      " WHEN 'partition' THEN ' PARTITION KEY' WHEN 'auxiliary' THEN ' (auxiliary)'"
                      " ELSE ' PRIMARY KEY' END), ', '), 0 FROM json_each(?1, '$.columns') HAVING count(*) > 0",
                      v->info, "", lines);
}

static enum tq_status add_file(const struct shell_vectors *v, const char *what, const char *path, sqlite3_str *lines) {
    struct stat info;
    char json[80], sql[120];
    if (path == NULL || path[0] == '\0' || stat(path, &info) != 0) return TQ_OK;
    (void)snprintf(json, sizeof json, "%lld", (long long)info.st_size);
    (void)snprintf(sql, sizeof sql, "SELECT '%s', ?1 + 0, 0", what);
    return add_leaves(v, sql, json, "", lines);
}

static enum tq_status add_files(const struct shell_vectors *v, sqlite3_str *lines) {
    char *folder = NULL;
    TQ_TRY(shell_session_value(v->session, "SELECT json_extract(?1, '$.folder')", v->info, &folder));
    char *data = folder == NULL || folder[0] == '\0' ? NULL : sqlite3_mprintf("%s/data.mdb", folder);
    sqlite3_free(folder);
    enum tq_status status = add_file(v, "database_bytes", sqlite3_db_filename(v->session->db, v->table.schema), lines);
    if (status == TQ_OK) status = add_file(v, "folder_bytes", data, lines);
    sqlite3_free(data);
    return status;
}

static enum tq_status add_all(struct shell_vectors *v, bool quick, sqlite3_str *lines) {
    static const char top[] = "SELECT key, value, 0 FROM json_each(?1) WHERE key IN (%s)";
    char sql[sizeof top + 60];
    if (!quick) {
        char *text = sqlite3_mprintf("SELECT tq_info(?1, '%q', 'full')", v->table.schema), *full = NULL;
        if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
        enum tq_status status = shell_session_value(v->session, text, v->table.name, &full);
        sqlite3_free(text);
        TQ_TRY(status);
        sqlite3_free(v->info);
        v->info = full;
    }
    (void)snprintf(sql, sizeof sql, top, "'table'");
    TQ_TRY(add_leaves(v, sql, v->info, "", lines));
    TQ_TRY(add_columns(v, lines));
    TQ_TRY(add_indexes(v, lines));
    (void)snprintf(sql, sizeof sql, top, "'partitions', 'isa', 'gpu', 'folder', 'notice'");
    TQ_TRY(add_leaves(v, sql, v->info, "", lines));
    return add_files(v, lines);
}

enum tq_status shell_cmd_info(struct shell_session *session, int count, char **words) {
    struct shell_vectors vectors = {.session = NULL};
    bool quick = false;
    const struct shell_option options[] = {{"--quick", NULL, &quick}};
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count != 2) return shell_command_usage(words[0]);
    TQ_TRY(shell_vectors_open(session, words[1], NULL, &vectors));
    sqlite3_str *lines = sqlite3_str_new(session->db);
    enum tq_status status = add_all(&vectors, quick, lines);
    if (status == TQ_OK)
        status = show_lines(session, lines);
    else
        sqlite3_free(sqlite3_str_finish(lines));
    shell_vectors_close(&vectors);
    return status;
}

/* ---- .explain ---- */

static const char *path_about(const char *path) {
    static const char *const paths[][2] = {
        {"match", "a search: codes first, then the vectors of what may be among the best"},
        {"recognised", "ORDER BY, recognised: a search that is proved to be exact"},
        {"rowid", "rows looked up by their keys, no search"},
        {"filter", "rows by conditions on other columns, no search"},
        {"scan", "all rows, one by one, no search"},
    };
    for (size_t i = 0; i < TQ_COUNT(paths); i++)
        if (strcmp(path, paths[i][0]) == 0) return paths[i][1];
    return "";
}

static const char *filter_about(const char *filter) {
    if (strcmp(filter, "bitmap") == 0) return "conditions as a bitmap of rows, before the search";
    return "conditions looked at for each row that was found";
}

/* Statement: key, value, rows, searches of the whole. */
static void add_explained(sqlite3_str *lines, sqlite3_stmt *statement) {
    static const char *const plain[][2] = {{"returned", "rows handed to SQLite"},
                                           {"why", "no search because of this"},
                                           {"searches", "searches of the statement; the numbers below are their sums"},
                                           {"k", "rows that the last search was for"},
                                           {"gpu", "queries that a GPU searched for, at least in part"}};
    static const char *const parts[][2] = {{"rows", "first bits read, of every row searched"},
                                           {"second", "second bits read, of rows that might be near"},
                                           {"survivors", "whole codes scored"},
                                           {"ranked", "vectors themselves read, for exact scores"}};
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const char *value = (const char *)sqlite3_column_text(statement, 1);
    double rows = sqlite3_column_double(statement, 2),
           share = fmin(100, 100 * sqlite3_column_double(statement, 1) / rows);
    char about[ABOUT_BYTES] = "";
    if (name == NULL || value == NULL) return;
    if (strcmp(name, "path") == 0) (void)snprintf(about, sizeof about, "%s", path_about(value));
    if (strcmp(name, "filter") == 0) (void)snprintf(about, sizeof about, "%s", filter_about(value));
    for (size_t i = 0; i < TQ_COUNT(plain); i++)
        if (strcmp(name, plain[i][0]) == 0) (void)snprintf(about, sizeof about, "%s", plain[i][1]);
    for (size_t i = 0; i < TQ_COUNT(parts); i++) {
        if (strcmp(name, parts[i][0]) != 0) continue;
        if (i == 0 && rows == 0)
            (void)snprintf(about, sizeof about, "so few rows that all of them were scored");
        else if (i == 0 || rows == 0)
            (void)snprintf(about, sizeof about, "%s", parts[i][1]);
        else
            (void)snprintf(about, sizeof about, "%s: %.3g %% of the rows", parts[i][1], share);
    }
    add_line(lines, name, statement, 1, about);
}

/* Whether a statement opens virtual tables; others leave what tq_explain() tells as it was. */
static enum tq_status uses_tables(struct shell_session *session, const char *sql, bool *uses) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare_format(session, &statement, "EXPLAIN %s", sql));
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *opcode = (const char *)sqlite3_column_text(statement, 1);
        *uses = *uses || (opcode != NULL && strcmp(opcode, "VFilter") == 0);
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
}

/* Run a SELECT, its rows dropped. */
static enum tq_status run_query(struct shell_session *session, const char *sql) {
    sqlite3_stmt *statement = NULL;
    bool uses = false;
    const char *rest = "";
    int rc = sqlite3_prepare_v2(session->db, sql, -1, &statement, &rest);
    if (rc != SQLITE_OK) return shell_session_fail(session, rc);
    enum tq_status status = TQ_OK;
    if (statement == NULL || !sqlite3_stmt_readonly(statement) || rest[strspn(rest, " \t\n;")] != '\0')
        status = tq_fail(TQ_MISUSE, ".explain runs one statement that reads, quoted as one word");
    if (status == TQ_OK) status = uses_tables(session, sql, &uses);
    if (status == TQ_OK && !uses) status = tq_fail(TQ_MISUSE, "the statement reads no tq table");
    if (status == TQ_OK) status = shell_param_bind(session, statement);
    rc = SQLITE_ROW;
    while (status == TQ_OK && rc == SQLITE_ROW) rc = sqlite3_step(statement);
    if (status == TQ_OK && rc != SQLITE_DONE) status = shell_session_fail(session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

enum tq_status shell_cmd_explain(struct shell_session *session, int count, char **words) {
    static const char sql[] = "SELECT key, value, json_extract(?1, '$.rows') FROM json_each(?1)";
    char *last = NULL;
    sqlite3_stmt *statement = NULL;
    if (count > 1) TQ_TRY(run_query(session, words[1]));
    TQ_TRY(shell_session_value(session, "SELECT tq_explain()", NULL, &last));
    if (last == NULL) return tq_fail(TQ_MISUSE, "no tq table has been queried yet");
    sqlite3_str *lines = sqlite3_str_new(session->db);
    enum tq_status status = shell_prepare_format(session, &statement, "%s", sql);
    int rc = status == TQ_OK ? sqlite3_bind_text(statement, 1, last, -1, SQLITE_STATIC) : SQLITE_DONE;
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        add_explained(lines, statement);
        rc = SQLITE_OK;
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = shell_session_fail(session, rc);
    (void)sqlite3_finalize(statement);
    sqlite3_free(last);
    if (status == TQ_OK) return show_lines(session, lines);
    sqlite3_free(sqlite3_str_finish(lines));
    return status;
}
