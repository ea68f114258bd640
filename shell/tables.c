#include "shell/tables.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/base.h"

/* ---- Statements ---- */

enum tq_status shell_run(struct shell_session *session, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    int rc = sqlite3_exec(session->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? TQ_OK : shell_session_fail(session, rc);
}

enum tq_status shell_prepare(struct shell_session *session, const char *sql, const char *first, const char *second,
                             sqlite3_stmt **statement) {
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(session->db, sql, -1, statement, NULL);
    if (rc == SQLITE_OK && first != NULL) rc = sqlite3_bind_text(*statement, 1, first, -1, SQLITE_TRANSIENT);
    if (rc == SQLITE_OK && second != NULL) rc = sqlite3_bind_text(*statement, 2, second, -1, SQLITE_TRANSIENT);
    if (rc == SQLITE_OK) return TQ_OK;
    enum tq_status status = shell_session_fail(session, rc);
    (void)sqlite3_finalize(*statement);
    *statement = NULL;
    return status;
}

/* What stepping has ended with, and the statement's end. */
static enum tq_status finish(struct shell_session *session, sqlite3_stmt *statement, int rc) {
    enum tq_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? TQ_OK : shell_session_fail(session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum tq_status copy(const char *text, char **into) {
    *into = sqlite3_mprintf("%s", text == NULL ? "" : text);
    return *into == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

/* ---- Columns ---- */

unsigned shell_declared_dim(const char *type) {
    static const char start[] = "FLOAT[";
    char *end = NULL;
    if (type == NULL || strncmp(type, start, sizeof start - 1) != 0) return 0;
    unsigned long dim = strtoul(type + sizeof start - 1, &end, 10);
    return *end == ']' && dim <= TQ_DIM_MAX ? (unsigned)dim : 0;
}

static enum shell_column_kind kind_of(const char *kind) {
    if (kind == NULL) return SHELL_COLUMN_PLAIN;
    if (strcmp(kind, "id") == 0) return SHELL_COLUMN_ID;
    if (strcmp(kind, "key") == 0) return SHELL_COLUMN_KEY;
    return strcmp(kind, "vector") == 0 ? SHELL_COLUMN_VECTOR : SHELL_COLUMN_PLAIN;
}

static enum tq_status add_column(struct shell_table *table, sqlite3_stmt *statement) {
    sqlite3_uint64 bytes = (table->column_count + 1) * sizeof *table->columns;
    struct shell_table_column *columns = sqlite3_realloc64(table->columns, bytes);
    if (columns == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    table->columns = columns;
    struct shell_table_column *column = &columns[table->column_count++];
    *column = (struct shell_table_column){.kind = kind_of((const char *)sqlite3_column_text(statement, 2))};
    TQ_TRY(copy((const char *)sqlite3_column_text(statement, 0), &column->name));
    TQ_TRY(copy((const char *)sqlite3_column_text(statement, 1), &column->type));
    if (column->kind == SHELL_COLUMN_VECTOR) column->dim = shell_declared_dim(column->type);
    return TQ_OK;
}

static enum tq_status read_columns(struct shell_session *session, struct shell_table *table) {
    /* A table of nothing but one vector column has it at the top. */
    static const char of_tq[] =
        "SELECT json_extract(c.value, '$.name'), json_extract(c.value, '$.type'), json_extract(c.value, '$.kind')"
        " FROM (SELECT tq_info(?1, ?2) AS i), json_each(coalesce(json_extract(i, '$.columns'), json_array(json_object("
        "'name', json_extract(i, '$.column'), 'type', 'FLOAT[' || json_extract(i, '$.dim') || ']', 'kind', 'vector'))))"
        " AS c";
    static const char of_others[] = "SELECT name, type, NULL FROM pragma_table_xinfo(?1, ?2) WHERE hidden = 0";
    sqlite3_stmt *statement = NULL;
    const char *sql = table->kind == SHELL_TABLE_TQ ? of_tq : of_others;
    TQ_TRY(shell_prepare(session, sql, table->name, table->schema, &statement));
    enum tq_status status = TQ_OK;
    int rc = SQLITE_ROW;
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) status = add_column(table, statement);
    enum tq_status read = finish(session, statement, rc);
    return status == TQ_OK ? read : status;
}

/* ---- Which table ---- */

/* Whether a virtual table is ours; the words of its CREATE would not tell for sure. */
static bool is_tq(struct shell_session *session, const struct shell_table *table) {
    sqlite3_stmt *statement = NULL;
    const char *sql = "SELECT tq_info(?1, ?2)";
    if (shell_prepare(session, sql, table->name, table->schema, &statement) != TQ_OK) return false;
    int rc = sqlite3_step(statement);
    bool other = rc != SQLITE_ROW && strstr(sqlite3_errmsg(session->db), "not a tq table") != NULL;
    (void)sqlite3_finalize(statement);
    return !other; /* of a damaged one, reading its columns tells what is wrong */
}

/* In table->schema. */
static enum tq_status look_for(struct shell_session *session, const char *name, struct shell_table *table) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT name, type = 'view', rootpage > 0 FROM \"%w\".sqlite_master"
                                " WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
                                table->schema);
    enum tq_status status = shell_prepare(session, sql, name, NULL, &statement);
    sqlite3_free(sql);
    TQ_TRY(status);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        status = copy((const char *)sqlite3_column_text(statement, 0), &table->name);
        table->kind = sqlite3_column_int(statement, 1) != 0   ? SHELL_TABLE_VIEW
                      : sqlite3_column_int(statement, 2) != 0 ? SHELL_TABLE_OTHER
                                                              : SHELL_TABLE_TQ;
    }
    enum tq_status read = finish(session, statement, rc);
    TQ_TRY(status);
    TQ_TRY(read);
    if (table->kind == SHELL_TABLE_TQ && !is_tq(session, table)) table->kind = SHELL_TABLE_OTHER;
    return TQ_OK;
}

/* In the order in which SQLite looks. prefix: of the schema's name, -1: any. */
static enum tq_status look_in_schemas(struct shell_session *session, const char *name, int prefix, const char *word,
                                      struct shell_table *table, bool *known) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare(session,
                         "SELECT name FROM (SELECT name, seq FROM pragma_database_list"
                         " UNION SELECT 'temp', 1)" /* not listed before it is used */
                         " ORDER BY seq <> 1, seq",
                         NULL, NULL, &statement));
    enum tq_status status = TQ_OK;
    int rc = SQLITE_ROW;
    while (status == TQ_OK && table->kind == SHELL_TABLE_MISSING && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *schema = (const char *)sqlite3_column_text(statement, 0);
        bool fits = prefix < 0 || (sqlite3_strnicmp(schema, word, prefix) == 0 && schema[prefix] == '\0');
        if (!fits) continue;
        *known = true;
        sqlite3_free(table->schema);
        status = copy(schema, &table->schema);
        if (status == TQ_OK) status = look_for(session, name, table);
    }
    enum tq_status read = finish(session, statement, rc);
    return status == TQ_OK ? read : status;
}

/* The place of a table that is to be made. */
static enum tq_status take_missing(struct shell_table *table, const char *schema, const char *name) {
    sqlite3_free(table->schema);
    table->schema = NULL;
    TQ_TRY(copy(schema, &table->schema));
    return copy(name, &table->name);
}

enum tq_status shell_table_find(struct shell_session *session, const char *word, struct shell_table *table) {
    const char *point = strchr(word, '.');
    bool known = false;
    *table = (struct shell_table){.kind = SHELL_TABLE_MISSING};
    if (*word == '\0') return tq_fail(TQ_MISUSE, "the table's name is empty");
    TQ_TRY(look_in_schemas(session, word, -1, word, table, &known));
    known = false;
    if (table->kind == SHELL_TABLE_MISSING && point != NULL) {
        TQ_TRY(look_in_schemas(session, point + 1, (int)(point - word), word, table, &known));
    }
    if (table->kind != SHELL_TABLE_MISSING) return read_columns(session, table);
    if (!known) return take_missing(table, "main", word);
    char *schema = NULL;
    TQ_TRY(copy(table->schema, &schema));
    enum tq_status status = take_missing(table, schema, point + 1);
    sqlite3_free(schema);
    return status;
}

void shell_table_clear(struct shell_table *table) {
    for (size_t i = 0; i < table->column_count; i++) {
        sqlite3_free(table->columns[i].name);
        sqlite3_free(table->columns[i].type);
    }
    sqlite3_free(table->columns);
    sqlite3_free(table->schema);
    sqlite3_free(table->name);
    *table = (struct shell_table){.kind = SHELL_TABLE_MISSING};
}

size_t shell_table_column(const struct shell_table *table, const char *name) {
    size_t at = 0;
    while (at < table->column_count && sqlite3_stricmp(table->columns[at].name, name) != 0) at++;
    return at;
}

size_t shell_table_first(const struct shell_table *table, enum shell_column_kind kind) {
    size_t at = 0;
    while (at < table->column_count && table->columns[at].kind != kind) at++;
    return at;
}

void shell_table_list(const struct shell_table *table, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < table->column_count && used + 1 < size; i++) {
        (void)sqlite3_snprintf((int)(size - used), text + used, "%s%s", i > 0 ? ", " : "", table->columns[i].name);
        used += strlen(text + used);
    }
}
