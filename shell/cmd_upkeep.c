/* .check, .repair, .backup, .compact: the functions of docs/upkeep.md. */
#include <stdio.h>
#include <string.h>

#include "shell/arguments.h"
#include "shell/cell.h"
#include "shell/commands.h"
#include "shell/progress.h"
#include "shell/tables.h"
#include "shell/vector_table.h"
#include "src/base/base.h"

/* What a function answers, a row for each of its lines. */
static void append_lines(sqlite3_str *rows, const char *prefix, const char *text) {
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        char *line = sqlite3_mprintf("%s%.*s", prefix, (int)length, text);
        sqlite3_str_appendall(rows, sqlite3_str_length(rows) == 0 ? "[" : ",");
        if (line != NULL) shell_append_json(rows, line, (int)strlen(line));
        sqlite3_free(line);
        text += length + (text[length] == '\n');
    }
}

static enum tq_status show_lines(struct shell_session *session, const char *name, sqlite3_str *rows) {
    char sql[80];
    sqlite3_str_appendall(rows, sqlite3_str_length(rows) == 0 ? "[]" : "]");
    (void)snprintf(sql, sizeof sql, "SELECT value AS %s FROM json_each(?1)", name);
    return shell_rows_show(session, sql, rows);
}

/* The value of a SELECT made by sqlite3_mprintf, which is freed here. */
static enum tq_status take_value(struct shell_session *session, char *sql, char **value) {
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = shell_session_value(session, sql, NULL, value);
    sqlite3_free(sql);
    if (status == TQ_OK && *value == NULL) status = tq_fail(TQ_NOMEM, "out of memory");
    return status;
}

/* One that cannot be opened is known by name nonetheless; so is an index that the C library has made. */
static enum tq_status find_table(struct shell_session *session, const char *word, struct shell_table *table) {
    enum tq_status status = shell_table_find(session, word, table);
    return table->kind == SHELL_TABLE_TQ ? TQ_OK : status;
}

/* ---- .check ---- */

struct check {
    struct shell_session *session;
    sqlite3_str *rows;
    bool full;
    uint64_t findings;
};

/* table NULL: all of the schema. */
static enum tq_status check_one(struct check *check, const char *schema, const char *table) {
    char *answer = NULL;
    TQ_TRY(take_value(check->session,
                      sqlite3_mprintf("SELECT tq_check(%Q, '%s', %Q)", table, check->full ? "full" : "quick", schema),
                      &answer));
    bool main = sqlite3_stricmp(schema, "main") == 0;
    char *prefix = sqlite3_mprintf("%s%s", main ? "" : schema, main ? "" : ": ");
    if (strcmp(answer, "ok") != 0) {
        for (const char *at = answer; at != NULL; at = strchr(at + 1, '\n')) check->findings++;
        append_lines(check->rows, prefix == NULL ? "" : prefix, answer);
    }
    sqlite3_free(prefix);
    sqlite3_free(answer);
    return TQ_OK;
}

static enum tq_status check_all(struct check *check) {
    sqlite3_stmt *statement = NULL;
    enum tq_status status = shell_prepare_format(
        check->session, &statement, "SELECT name FROM pragma_database_list WHERE name <> 'temp' ORDER BY seq");
    while (status == TQ_OK && sqlite3_step(statement) == SQLITE_ROW)
        status = check_one(check, (const char *)sqlite3_column_text(statement, 0), NULL);
    (void)sqlite3_finalize(statement);
    return status;
}

enum tq_status shell_cmd_check(struct shell_session *session, int count, char **words) {
    struct check check = {.session = session};
    struct shell_table table = {.schema = NULL};
    const struct shell_option options[] = {{"--full", NULL, &check.full}};
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count > 2) return shell_command_usage(words[0]);
    if (count == 2) TQ_TRY(find_table(session, words[1], &table));
    check.rows = sqlite3_str_new(session->db);
    enum tq_status status = count == 2 ? check_one(&check, table.schema, table.name) : check_all(&check);
    shell_table_clear(&table);
    if (status == TQ_OK && check.findings == 0) append_lines(check.rows, "", "ok");
    if (status != TQ_OK) {
        sqlite3_free(sqlite3_str_finish(check.rows));
        return status;
    }
    TQ_TRY(show_lines(session, "finding", check.rows));
    if (check.findings == 0) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "%llu finding%s", (unsigned long long)check.findings, check.findings == 1 ? "" : "s");
}

/* ---- .repair ---- */

enum tq_status shell_cmd_repair(struct shell_session *session, int count, char **words) {
    struct shell_table table = {.schema = NULL};
    char *answer = NULL;
    (void)count;
    TQ_TRY(find_table(session, words[1], &table));
    enum tq_status status = take_value(
        session, sqlite3_mprintf("SELECT tq_repair(%Q, %Q, %Q)", table.name, words[2], table.schema), &answer);
    shell_table_clear(&table);
    TQ_TRY(status);
    sqlite3_str *rows = sqlite3_str_new(session->db);
    append_lines(rows, "", answer);
    sqlite3_free(answer);
    return show_lines(session, "repair", rows);
}

/* ---- .backup, .compact ---- */

/* A function that answers with a number of bytes. */
static enum tq_status take_bytes(struct shell_session *session, char *sql, char bytes[32]) {
    char *answer = NULL;
    sqlite3_int64 number = 0;
    TQ_TRY(take_value(session, sql, &answer));
    for (const char *at = answer; *at >= '0' && *at <= '9'; at++) number = 10 * number + (*at - '0');
    sqlite3_free(answer);
    shell_bytes_text((double)number, bytes, 32);
    return TQ_OK;
}

enum tq_status shell_cmd_backup(struct shell_session *session, int count, char **words) {
    const char *schema = count == 3 ? words[1] : "main", *file = words[count - 1];
    char bytes[32];
    double start = shell_seconds();
    TQ_TRY(take_bytes(session, sqlite3_mprintf("SELECT tq_backup(%Q, %Q)", file, schema), bytes));
    (void)fprintf(stderr, "%s: %s with the folder %s-tq, %.2f s\n", file, bytes, file, shell_seconds() - start);
    return TQ_OK;
}

static enum tq_status optimize(struct shell_session *session, const char *schema, const char *table) {
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\") VALUES('optimize')", schema, table, table);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_exec(session->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? TQ_OK : shell_session_fail(session, rc);
}

/* Names first: a statement that is being stepped through would keep what is to be compacted. */
static enum tq_status optimize_all(struct shell_session *session, const char *schema) {
    static const char list[] = "SELECT json_group_array(name) FROM \"%w\".sqlite_master WHERE type = 'table' AND"
                               " replace(lower(sql), ' ', '') LIKE 'createvirtualtable%%usingtq(%%'";
    char *names = NULL, *name = NULL;
    char at[80];
    TQ_TRY(take_value(session, sqlite3_mprintf(list, schema), &names));
    enum tq_status status = TQ_OK;
    for (int i = 0; status == TQ_OK; i++) {
        (void)snprintf(at, sizeof at, "SELECT json_extract(?1, '$[%d]')", i);
        status = shell_session_value(session, at, names, &name);
        if (status != TQ_OK || name == NULL) break;
        status = optimize(session, schema, name);
        sqlite3_free(name);
    }
    sqlite3_free(names);
    return status;
}

enum tq_status shell_cmd_compact(struct shell_session *session, int count, char **words) {
    char bytes[32];
    bool quick = false;
    const struct shell_option options[] = {{"--quick", NULL, &quick}};
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count > 2) return shell_command_usage(words[0]);
    const char *schema = count == 2 ? words[1] : "main";
    double start = shell_seconds();
    if (sqlite3_db_readonly(session->db, schema) < 0) return tq_fail(TQ_MISUSE, "there is no database \"%s\"", schema);
    if (!sqlite3_get_autocommit(session->db)) return tq_fail(TQ_MISUSE, "a transaction is open: COMMIT it first");
    if (!quick) TQ_TRY(optimize_all(session, schema));
    TQ_TRY(take_bytes(session, sqlite3_mprintf("SELECT tq_compact(%Q)", schema), bytes));
    (void)fprintf(stderr, "%s given back, %.2f s\n", bytes, shell_seconds() - start);
    return TQ_OK;
}
