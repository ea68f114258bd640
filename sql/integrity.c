/* tq_check(), and the same for PRAGMA integrity_check and quick_check. */
#include <string.h>

#include "sql/functions.h"
#include "sql/host_stop.h"
#include "sql/sql_tokens.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"

enum { FINDINGS_MAX = 100, INTEGRITY_MAX = 10 };

/* ---- Findings as a text ---- */

struct findings {
    sqlite3_str *text, *notes;
    int most;
    uint64_t count;
};

static void append_line(sqlite3_str *out, const char *line) {
    if (sqlite3_str_length(out) > 0) sqlite3_str_appendchar(out, 1, '\n');
    sqlite3_str_appendall(out, line);
}

static void take_finding(void *context, const char *finding) {
    struct findings *findings = context;
    if (strncmp(finding, TQ_CHECK_NOTE, strlen(TQ_CHECK_NOTE)) == 0) {
        append_line(findings->notes, finding);
        return;
    }
    if (findings->count++ < (uint64_t)findings->most) append_line(findings->text, finding);
}

static void findings_begin(struct findings *findings, int most) {
    *findings = (struct findings){.text = sqlite3_str_new(NULL), .notes = sqlite3_str_new(NULL), .most = most};
}

/* sqlite3_free; NULL: out of memory. ok: the text where there is nothing to tell. */
static char *findings_end(struct findings *findings, const char *ok, bool notes) {
    if (findings->count == 0) sqlite3_str_appendall(findings->text, ok);
    if (findings->count > (uint64_t)findings->most)
        sqlite3_str_appendf(findings->text, "\nand %llu more", findings->count - (uint64_t)findings->most);
    char *noted = sqlite3_str_finish(findings->notes);
    if (notes && noted != NULL) append_line(findings->text, noted);
    sqlite3_free(noted);
    return sqlite3_str_finish(findings->text);
}

/* ---- Which tables ---- */

struct tables {
    struct tq_sql *sql;
    const char *schema;
    struct tq_check_table *list; /* with names and formats of their own */
    size_t count;
    struct findings *findings;
};

static void tables_free(struct tables *tables) {
    for (size_t i = 0; i < tables->count; i++) {
        tq_free((void *)tables->list[i].name);
        tq_free((void *)tables->list[i].formats);
    }
    tq_free(tables->list);
}

static struct tq_check_table *tables_add(struct tables *tables, const char *name) {
    size_t size = sizeof *tables->list;
    struct tq_check_table *grown = tq_realloc(tables->list, tables->count * size, (tables->count + 1) * size);
    if (grown == NULL) return NULL;
    tables->list = grown;
    struct tq_check_table *added = &tables->list[tables->count];
    *added = (struct tq_check_table){.name = tq_sql_text(name)};
    if (added->name == NULL) return NULL;
    tables->count++;
    return added;
}

/* Rows of this connection's transaction that are in memory only go where those of others are. */
static enum tq_status write_out(struct tq_sql_table *table) {
    enum tq_status status = TQ_OK;
    for (size_t i = 0; i < table->part_capacity && status == TQ_OK; i++) {
        if (table->parts[i] != NULL && table->parts[i]->used) status = tq_table_sync(table->parts[i]->table);
    }
    return status;
}

static enum tq_status add_declared(struct tables *tables, struct tq_sql_table *table) {
    const struct tq_declaration *d = &table->declaration;
    struct tq_check_table *added = tables_add(tables, table->name);
    struct tq_format *formats = tq_alloc_array(d->vectors, sizeof *formats);
    if (added == NULL || formats == NULL) {
        tq_free(formats);
        return TQ_NOMEM;
    }
    added->formats = formats;
    added->vectors = d->vectors;
    added->partitions = d->partitions > 0;
    added->apart = d->apart > 0;
    for (size_t v = 0; v < d->vectors; v++) TQ_TRY(tq_format_init(&formats[v], &tq_declaration_vector(d, v)->options));
    return write_out(table);
}

/* Naming a table makes SQLite connect it, and then it is in the registry. *found NULL: it is none of ours. */
static int connect(const struct tables *tables, const char *name, struct tq_sql_table **found) {
    sqlite3_stmt *statement = NULL;
    char *text = sqlite3_mprintf("SELECT rowid FROM \"%w\".\"%w\" LIMIT 0", tables->schema, name);
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(tables->sql->db, text, -1, &statement, NULL);
    sqlite3_free(text);
    (void)sqlite3_finalize(statement);
    *found = rc == SQLITE_OK ? tq_sql_table_find(tables->sql, tables->schema, name) : NULL;
    return rc;
}

static bool is_ours(const char *sql, struct tq_tokens *tokens) {
    size_t at = 0;
    (void)tq_tokens_read(sql, NULL, tokens); /* of a long one, the beginning will do */
    while (at < tokens->count && !tq_token_is_keyword(tokens, at, "USING")) at++;
    return tq_token_is_name(tokens, at + 1, "tq");
}

/* A table that SQLite cannot connect is told of; its own tables are looked at nonetheless. */
static enum tq_status add_virtual(struct tables *tables, const char *name) {
    struct tq_sql_table *table = NULL;
    char text[400];
    int rc = connect(tables, name, &table);
    if (table != NULL) return add_declared(tables, table);
    if (rc != SQLITE_ERROR && rc != SQLITE_CORRUPT && rc != SQLITE_CORRUPT_VTAB)
        return tq_sql_fail(tables->sql->db, rc, name);
    sqlite3_snprintf(sizeof text, text, "%s: %s", name, sqlite3_errmsg(tables->sql->db));
    take_finding(tables->findings, text);
    return TQ_OK;
}

/* Names first: connecting a table may read the schema anew. */
static enum tq_status list_virtual(struct tables *tables, char ***names, size_t *count) {
    sqlite3 *db = tables->sql->db;
    sqlite3_stmt *statement = NULL;
    struct tq_tokens *tokens = tq_alloc(sizeof *tokens);
    char *text = sqlite3_mprintf(
        "SELECT name, sql FROM \"%w\".sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%%'"
        " ORDER BY name",
        tables->schema);
    int rc = tokens == NULL || text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    sqlite3_free(text);
    enum tq_status status = TQ_OK;
    if (rc == SQLITE_OK) rc = SQLITE_ROW;
    while (status == TQ_OK && rc == SQLITE_ROW && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *sql = (const char *)sqlite3_column_text(statement, 1);
        if (sql == NULL || !is_ours(sql, tokens)) continue;
        char *name = tq_sql_text((const char *)sqlite3_column_text(statement, 0));
        char **grown = tq_realloc(*names, *count * sizeof *grown, (*count + 1) * sizeof *grown);
        if (grown != NULL) *names = grown;
        if (name != NULL && grown != NULL)
            grown[(*count)++] = name;
        else
            tq_free(name);
        if (name == NULL || grown == NULL) status = TQ_NOMEM;
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_sql_fail(db, rc, "looking for tq tables");
    (void)sqlite3_finalize(statement);
    tq_free(tokens);
    return status;
}

static enum tq_status add_all(struct tables *tables) {
    char **names = NULL;
    size_t count = 0;
    enum tq_status status = list_virtual(tables, &names, &count);
    for (size_t i = 0; i < count; i++) {
        if (status == TQ_OK) status = add_virtual(tables, names[i]);
        tq_free(names[i]);
    }
    tq_free(names);
    return status;
}

/* One that the C library has made has no virtual table. */
static enum tq_status add_named(struct tables *tables, struct tq_conn *conn, const char *name) {
    struct tq_sql_table *table = NULL;
    bool exists = false;
    (void)connect(tables, name, &table);
    if (table != NULL) return add_declared(tables, table);
    TQ_TRY(tq_table_exists(conn, name, &exists));
    if (!exists) return tq_fail(TQ_MISUSE, "\"%s\" is not a tq table of \"%s\"", name, tables->schema);
    return tables_add(tables, name) != NULL ? TQ_OK : TQ_NOMEM;
}

/* ---- The folder ---- */

/* Of a database without a file it has no name: the connection's own. *env stays NULL if it cannot be had, which is a
 * finding. */
static enum tq_status open_folder(struct tables *tables, struct tq_env **env) {
    const char *file = tq_sql_file(tables->sql->db, tables->schema);
    for (struct tq_sql_place *p = tables->sql->places; p != NULL && file[0] == 0; p = p->next) {
        if (!p->temporary || sqlite3_stricmp(p->schema, tables->schema) != 0) continue;
        tq_env_retain(p->env);
        *env = p->env;
        return TQ_OK;
    }
    enum tq_status status = tq_sql_env_open(tables->sql, tables->schema, false, env);
    if (status == TQ_OK) return TQ_OK;
    *env = NULL;
    if (status == TQ_NOMEM || status == TQ_BUSY || status == TQ_INTERRUPTED) return status;
    char text[600];
    sqlite3_snprintf(sizeof text, text, "folder: %s", tq_message());
    take_finding(tables->findings, text);
    return TQ_OK;
}

static enum tq_status check_tables(struct tables *tables, struct tq_conn *conn, bool all, bool full) {
    struct tq_env *env = NULL;
    bool any = tables->count > 0;
    if (!any) TQ_TRY(tq_tables_any(conn, &any));
    if (!any) return TQ_OK;
    TQ_TRY(open_folder(tables, &env));
    struct tq_check_request request = {.tables = tables->list,
                                       .count = tables->count,
                                       .all = all,
                                       .full = full,
                                       .report = take_finding,
                                       .context = tables->findings};
    enum tq_status status = tq_tables_check(conn, env, &request);
    tq_env_close(env);
    return status == TQ_CORRUPT ? TQ_OK : status; /* they were told */
}

/* name NULL: all tables. */
static enum tq_status check(struct tq_sql *sql, const char *schema, const char *name, bool full,
                            struct findings *findings) {
    struct tables tables = {.sql = sql, .schema = schema, .findings = findings};
    struct tq_conn *conn = NULL;
    struct tq_sql_stop stop;
    TQ_TRY(tq_conn_wrap(sql->db, sqlite3_api, schema, &conn));
    tq_sql_stop_begin(&stop, sql->db);
    enum tq_status status = name == NULL ? add_all(&tables) : add_named(&tables, conn, name);
    if (status == TQ_OK) status = check_tables(&tables, conn, name == NULL, full);
    tq_sql_stop_end(&stop);
    tables_free(&tables);
    tq_conn_close(conn);
    return status;
}

/* ---- tq_check(), tq_check('docs'), tq_check('docs', 'full'), tq_check(NULL, 'notes', 'temp') ---- */

enum extent { EXTENT_QUICK, EXTENT_FULL, EXTENT_NOTES, EXTENT_COUNT };

static enum tq_status read_extent(const char *word, enum extent *extent) {
    static const char *const words[EXTENT_COUNT] = {"quick", "full", "notes"};
    for (int i = 0; i < EXTENT_COUNT; i++) {
        if (sqlite3_stricmp(word, words[i]) != 0) continue;
        *extent = (enum extent)i;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "the second argument is \"%.40s\"; it must be quick, full or notes", word);
}

static enum tq_status check_schema(sqlite3 *db, const char *schema) {
    /* SQLite makes the database of "temp" when something is put there. */
    bool exists = schema != NULL && (sqlite3_db_filename(db, schema) != NULL || sqlite3_stricmp(schema, "temp") == 0);
    if (exists) return TQ_OK;
    return tq_fail(TQ_MISUSE, "there is no schema \"%.100s\"", schema == NULL ? "" : schema);
}

static void run_check(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    const char *name = count > 0 ? (const char *)sqlite3_value_text(values[0]) : NULL;
    const char *word = count > 1 ? (const char *)sqlite3_value_text(values[1]) : "quick";
    const char *schema = count > 2 ? (const char *)sqlite3_value_text(values[2]) : "main";
    enum extent extent = EXTENT_QUICK;
    struct findings findings;
    findings_begin(&findings, FINDINGS_MAX);
    enum tq_status status = read_extent(word == NULL ? "" : word, &extent);
    if (status == TQ_OK) status = check_schema(sql->db, schema);
    if (status == TQ_OK) status = check(sql, schema, name, extent == EXTENT_FULL, &findings);
    char *text = findings_end(&findings, "ok", extent == EXTENT_NOTES);
    if (status == TQ_OK && text == NULL) status = TQ_NOMEM;
    if (status == TQ_OK) {
        sqlite3_result_text(context, text, -1, sqlite3_free);
        return;
    }
    sqlite3_free(text);
    tq_function_fail(context, "tq_check", status);
}

int tq_check_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_check", 0, SQLITE_DIRECTONLY, run_check},
        {"tq_check", 1, SQLITE_DIRECTONLY, run_check},
        {"tq_check", 2, SQLITE_DIRECTONLY, run_check},
        {"tq_check", 3, SQLITE_DIRECTONLY, run_check},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}

/* ---- PRAGMA integrity_check, quick_check ---- */

/* A code would end the check of the whole database: only memory and the host's own wish are worth that. */
int tq_vtab_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **error) {
    enum { QUICK = 1 };
    struct tq_sql *sql = ((struct tq_vtab *)vtab)->table->sql;
    struct findings findings;
    findings_begin(&findings, INTEGRITY_MAX);
    enum tq_status status = check(sql, schema, name, (flags & QUICK) == 0, &findings);
    char *text = findings_end(&findings, "", false);
    if (status == TQ_NOMEM || status == TQ_INTERRUPTED) {
        sqlite3_free(text);
        return tq_sql_code(status);
    }
    if (status != TQ_OK) *error = sqlite3_mprintf("tq: %s: could not be checked: %s", name, tq_message());
    if (status == TQ_OK && findings.count > 0) *error = sqlite3_mprintf("tq: %s", text);
    sqlite3_free(text);
    return SQLITE_OK;
}
