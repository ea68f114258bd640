/* .dump: a database as SQL that makes it again. What sqlite3 prints of it would be tables behind tables, of no use
 * without the folder. */
#include <stdlib.h>
#include <string.h>

#include "shell/arguments.h"
#include "shell/cell.h"
#include "shell/commands.h"
#include "shell/tables.h"
#include "src/base/base.h"

struct dump {
    struct shell_session *session;
    bool data_only, keep_rowids;
    bool writes_schema; /* the writable_schema that other modules need is on */
    char *condition;    /* of SQL, on name */
};

/* ---- Rows ---- */

/* The rows of `select` as INSERTs that begin so. */
static enum tq_status print_rows(struct dump *dump, const char *select, const char *insert) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare(dump->session, select, NULL, NULL, &statement));
    enum tq_status status = TQ_OK;
    int rc = SQLITE_ROW, columns = sqlite3_column_count(statement);
    FILE *out = dump->session->out;
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        sqlite3_str *built = sqlite3_str_new(NULL);
        for (int i = 0; i < columns; i++) {
            if (i > 0) sqlite3_str_appendchar(built, 1, ',');
            shell_cell_literal(built, statement, i);
        }
        char *values = sqlite3_str_finish(built);
        if (values == NULL)
            status = tq_fail(TQ_NOMEM, "out of memory");
        else if (fprintf(out, "%s VALUES(%s);\n", insert, values) < 0)
            status = shell_output_flush(out);
        sqlite3_free(values);
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = shell_session_fail(dump->session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

static bool has_column(const struct shell_table *table, const char *name) {
    return shell_table_column(table, name) < table->column_count;
}

/* A name that means the rowid and no column; NULL: the table has none. */
static const char *rowid_name(struct dump *dump, const struct shell_table *table) {
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    for (size_t i = 0; i < TQ_COUNT(names); i++) {
        sqlite3_stmt *statement = NULL;
        if (has_column(table, names[i])) continue;
        char *sql = sqlite3_mprintf("SELECT %s FROM main.\"%w\"", names[i], table->name);
        bool found = shell_prepare(dump->session, sql, NULL, NULL, &statement) == TQ_OK;
        sqlite3_free(sql);
        (void)sqlite3_finalize(statement);
        return found ? names[i] : NULL;
    }
    return NULL;
}

/* Not of tables that are made by others. */
static const char *statistics_condition(void) {
    if (sqlite3_libversion_number() < 3037000) return "";
    return " WHERE tbl IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual'))";
}

/* Columns are named: there may be hidden and generated ones, and a rowid. */
static enum tq_status print_table_rows(struct dump *dump, const struct shell_table *table) {
    sqlite3_str *select = sqlite3_str_new(NULL), *insert = sqlite3_str_new(NULL);
    bool tq = table->kind == SHELL_TABLE_TQ, keyed = shell_table_first(table, SHELL_COLUMN_ID) < table->column_count;
    const char *rowid = (tq && !keyed) || (!tq && dump->keep_rowids) ? rowid_name(dump, table) : NULL;
    sqlite3_str_appendall(insert, "INSERT INTO ");
    shell_append_name(insert, table->name);
    sqlite3_str_appendf(select, "SELECT %s", rowid == NULL ? "" : rowid);
    sqlite3_str_appendf(insert, "(%s", rowid == NULL ? "" : rowid);
    for (size_t i = 0; i < table->column_count; i++) {
        const char *comma = i > 0 || rowid != NULL ? "," : "";
        sqlite3_str_appendf(select, "%s\"%w\"", comma, table->columns[i].name);
        sqlite3_str_appendall(insert, comma);
        shell_append_name(insert, table->columns[i].name);
    }
    sqlite3_str_appendf(select, " FROM main.\"%w\"%s", table->name, tq ? "" : " NOT INDEXED"); /* in their order */
    if (strcmp(table->name, "sqlite_stat1") == 0) sqlite3_str_appendall(select, statistics_condition());
    sqlite3_str_appendall(insert, ")");
    char *select_text = sqlite3_str_finish(select), *insert_text = sqlite3_str_finish(insert);
    enum tq_status status = insert_text == NULL || select_text == NULL ? tq_fail(TQ_NOMEM, "out of memory")
                                                                       : print_rows(dump, select_text, insert_text);
    sqlite3_free(select_text);
    sqlite3_free(insert_text);
    return status;
}

/* ---- Tables ---- */

static enum tq_status note_lossy(struct dump *dump, const char *name) {
    static const char sql[] = "SELECT group_concat(json_extract(value, '$.column'), ', ') FROM (SELECT value FROM"
                              " json_each(tq_info(?1, 'main'), '$.indexes') UNION SELECT tq_info(?1, 'main'))"
                              " WHERE json_extract(value, '$.rows') = 'none'";
    char *columns = NULL;
    TQ_TRY(shell_session_value(dump->session, sql, name, &columns));
    if (columns != NULL)
        (void)fprintf(dump->session->out, "-- rows=none: %s has no vectors; these are what its codes stand for\n",
                      columns);
    sqlite3_free(columns);
    return TQ_OK;
}

/* Another module's tables are copied as they lie in the file; CREATE VIRTUAL TABLE would make them anew. */
static void print_other_virtual(struct dump *dump, const char *name, const char *sql) {
    FILE *out = dump->session->out;
    if (!dump->writes_schema) (void)fputs("PRAGMA writable_schema=ON;\n", out);
    dump->writes_schema = true;
    char *line = sqlite3_mprintf("INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)"
                                 "VALUES('table',%Q,%Q,0,%Q);\n",
                                 name, name, sql);
    if (line != NULL) (void)fputs(line, out);
    sqlite3_free(line);
}

static bool is_virtual(const char *sql) { return sqlite3_strnicmp(sql, "CREATE VIRTUAL TABLE", 20) == 0; }

static enum tq_status print_create(struct dump *dump, const struct shell_table *table, const char *name,
                                   const char *sql) {
    FILE *out = dump->session->out;
    static const char quoted[] = "CREATE TABLE '"; /* as modules make theirs, which may be there already */
    if (table->kind == SHELL_TABLE_TQ) TQ_TRY(note_lossy(dump, name));
    if (dump->data_only) return TQ_OK;
    if (strcmp(name, "sqlite_sequence") == 0)
        (void)fputs("DELETE FROM sqlite_sequence;\n", out);
    else if (strcmp(name, "sqlite_stat1") == 0)
        (void)fputs("ANALYZE sqlite_schema;\n", out);
    else if (is_virtual(sql) && table->kind != SHELL_TABLE_TQ)
        print_other_virtual(dump, name, sql);
    else if (strncmp(sql, quoted, sizeof quoted - 1) == 0)
        (void)fprintf(out, "CREATE TABLE IF NOT EXISTS %s;\n", sql + sizeof quoted - 2);
    else
        (void)fprintf(out, "%s;\n", sql);
    return TQ_OK;
}

/* The tables behind a tq table are made with it. SQLite itself takes what stands before the last '_' for the owner. */
static enum tq_status is_behind_tq(struct dump *dump, const char *name, bool *behind) {
    static const char *const parts[] = {"_rows", "_aux", "_parts", "_log", "_seg", "_gc", "_state"};
    const char *end = strrchr(name, '_');
    bool fits = false;
    *behind = false;
    for (size_t i = 0; end != NULL && i < TQ_COUNT(parts); i++) fits |= strcmp(end, parts[i]) == 0;
    if (!fits) return TQ_OK;
    struct shell_table owner = {0};
    char *word = sqlite3_mprintf("main.%.*s", (int)(end - name), name);
    enum tq_status status = word == NULL ? tq_fail(TQ_NOMEM, "out of memory")
                                         : shell_table_find(dump->session, word, &owner);
    *behind = status == TQ_OK && owner.kind == SHELL_TABLE_TQ;
    sqlite3_free(word);
    shell_table_clear(&owner);
    return status;
}

static enum tq_status print_table(struct dump *dump, const char *name, const char *sql) {
    struct shell_table table = {0};
    bool behind = false;
    bool system = strncmp(name, "sqlite_", 7) == 0;
    if (system && strcmp(name, "sqlite_sequence") != 0 && strcmp(name, "sqlite_stat1") != 0) return TQ_OK;
    TQ_TRY(is_behind_tq(dump, name, &behind));
    if (behind) return TQ_OK;
    char *word = sqlite3_mprintf("main.%s", name);
    enum tq_status status = word == NULL ? tq_fail(TQ_NOMEM, "out of memory")
                                         : shell_table_find(dump->session, word, &table);
    if (status == TQ_OK) status = print_create(dump, &table, name, sql);
    bool rows = table.kind == SHELL_TABLE_TQ || !is_virtual(sql);
    if (status == TQ_OK && rows) status = print_table_rows(dump, &table);
    sqlite3_free(word);
    shell_table_clear(&table);
    return status;
}

/* ---- All ---- */

/* For each (name, sql) of a query. */
static enum tq_status each(struct dump *dump, const char *query,
                           enum tq_status (*visit)(struct dump *dump, const char *name, const char *sql)) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf(query, dump->condition);
    enum tq_status status = shell_prepare(dump->session, sql, NULL, NULL, &statement);
    sqlite3_free(sql);
    TQ_TRY(status);
    int rc = SQLITE_ROW;
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        status = visit(dump, (const char *)sqlite3_column_text(statement, 0),
                       (const char *)sqlite3_column_text(statement, 1));
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = shell_session_fail(dump->session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum tq_status print_other(struct dump *dump, const char *name, const char *sql) {
    (void)name;
    (void)fprintf(dump->session->out, "%s;\n", sql);
    return TQ_OK;
}

static char *make_condition(int count, char **patterns) {
    sqlite3_str *built = sqlite3_str_new(NULL);
    for (int i = 0; i < count; i++)
        sqlite3_str_appendf(built, "%stbl_name %s %Q", i > 0 ? " OR " : "",
                            strpbrk(patterns[i], "*?[") == NULL ? "LIKE" : "GLOB", patterns[i]);
    if (count == 0) sqlite3_str_appendall(built, "1");
    return sqlite3_str_finish(built);
}

static enum tq_status print_all(struct dump *dump) {
    TQ_TRY(each(dump,
                "SELECT name, sql FROM main.sqlite_master WHERE type = 'table' AND sql IS NOT NULL"
                " AND name NOT GLOB 'tqlite_*' AND (%s)"
                " ORDER BY name IN ('sqlite_sequence', 'sqlite_stat1'), rowid",
                print_table));
    if (dump->data_only) return TQ_OK;
    return each(dump,
                "SELECT name, sql FROM main.sqlite_master WHERE type IN ('index', 'trigger', 'view')"
                " AND sql IS NOT NULL AND name NOT GLOB 'tqlite_*' AND (%s) ORDER BY rowid",
                print_other);
}

static enum tq_status print_database(struct dump *dump) {
    FILE *out = dump->session->out;
    (void)fputs(dump->data_only ? "" : "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n", out);
    enum tq_status status = print_all(dump);
    if (dump->writes_schema) (void)fputs("PRAGMA writable_schema=OFF;\n", out);
    if (status != TQ_OK) (void)fprintf(out, "/* not all: %s */\n", tq_message());
    if (!dump->data_only) (void)fputs(status == TQ_OK ? "COMMIT;\n" : "ROLLBACK;\n", out);
    return status == TQ_OK ? shell_output_flush(out) : status;
}

/* In one transaction, so that all is of one moment. */
enum tq_status shell_cmd_dump(struct shell_session *session, int count, char **words) {
    struct dump dump = {.session = session};
    const struct shell_option options[] = {{"--data-only", NULL, &dump.data_only},
                                           {"--preserve-rowids", NULL, &dump.keep_rowids}};
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    dump.condition = make_condition(count - 1, words + 1);
    if (dump.condition == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = shell_run(session, "SAVEPOINT tqshell_dump");
    if (status == TQ_OK) {
        shell_pager_begin(session);
        status = print_database(&dump);
        bool left = shell_output_left(session);
        shell_pager_end(session);
        (void)sqlite3_exec(session->db, "RELEASE tqshell_dump", NULL, NULL, NULL);
        if (left) status = TQ_OK;
    }
    sqlite3_free(dump.condition);
    return status;
}
