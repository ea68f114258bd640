/* Connections, schemas and tables: finding, opening, counting. */
#include "sql/vtab.h"

#include <string.h>

#include "src/base/alloc.h"

char *tq_sql_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = tq_alloc(size);
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}

/* ---- The connection ---- */

static void place_free(struct tq_sql_place *place);

enum tq_status tq_sql_open(sqlite3 *db, struct tq_sql **sql) {
    struct tq_sql *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->db = db;
    made->options = tq_search_defaults();
    made->plain = tq_alloc_zero(sizeof *made->plain);
    enum tq_status status = made->plain == NULL ? TQ_NOMEM : tq_kernels_from_environment(&made->plain->kernels);
    if (status != TQ_OK) {
        tq_sql_close(made);
        return status;
    }
    *sql = made;
    return TQ_OK;
}

void tq_sql_close(struct tq_sql *sql) {
    if (sql == NULL) return;
    TQ_ASSERT(sql->tables == NULL);
    while (sql->places != NULL) {
        struct tq_sql_place *place = sql->places;
        sql->places = place->next;
        place_free(place);
    }
    tq_free(sql->plain);
    tq_free(sql->last.table);
    tq_free(sql->notice);
    tq_free(sql);
}

/* ---- Schemas ---- */

static void place_free(struct tq_sql_place *place) {
    tq_conn_close(place->conn);
    tq_env_close(place->env);
    tq_free(place->schema);
    tq_free(place->file);
    tq_free(place);
}

static void place_release(struct tq_sql *sql, struct tq_sql_place *place) {
    if (place == NULL || --place->refs > 0) return;
    tq_conn_close(place->conn); /* statements of ours would keep the connection from closing */
    place->conn = NULL;
    if (place->temporary) return;
    struct tq_sql_place **link = &sql->places;
    while (*link != place) link = &(*link)->next;
    *link = place->next;
    place_free(place);
}

static struct tq_sql_place *place_find(struct tq_sql *sql, const char *schema) {
    const char *file = tq_sql_file(sql->db, schema);
    struct tq_sql_place *p = sql->places;
    while (p != NULL && (sqlite3_stricmp(p->schema, schema) != 0 || strcmp(p->file, file) != 0)) p = p->next;
    return p;
}

static enum tq_status place_make(struct tq_sql *sql, const char *schema, bool create, struct tq_sql_place **place) {
    struct tq_sql_place *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->schema = tq_sql_text(schema);
    made->file = tq_sql_text(tq_sql_file(sql->db, schema));
    made->temporary = made->file != NULL && made->file[0] == 0;
    enum tq_status status = made->schema == NULL || made->file == NULL ? TQ_NOMEM : TQ_OK;
    if (status == TQ_OK) status = tq_sql_env_open(sql, schema, create, &made->env);
    if (status != TQ_OK) {
        place_free(made);
        return status;
    }
    made->next = sql->places;
    sql->places = made;
    *place = made;
    return TQ_OK;
}

static enum tq_status place_acquire(struct tq_sql *sql, const char *schema, bool create, struct tq_sql_place **place) {
    struct tq_sql_place *found = place_find(sql, schema);
    if (found == NULL) TQ_TRY(place_make(sql, schema, create, &found));
    found->refs++;
    enum tq_status status = TQ_OK;
    if (found->conn == NULL) status = tq_conn_wrap(sql->db, sqlite3_api, schema, &found->conn);
    if (status == TQ_OK)
        *place = found;
    else
        place_release(sql, found);
    return status;
}

/* ---- Tables ---- */

struct tq_sql_table *tq_sql_table_find(struct tq_sql *sql, const char *schema, const char *name) {
    const char *file = tq_sql_file(sql->db, schema);
    for (struct tq_sql_table *t = sql->tables; t != NULL; t = t->next) {
        if (t->gone || sqlite3_stricmp(t->schema, schema) != 0 || sqlite3_stricmp(t->name, name) != 0) continue;
        if (strcmp(t->file, file) == 0) return t;
    }
    return NULL;
}

enum tq_status tq_sql_table_connect(struct tq_sql *sql, const char *schema, const char *name,
                                    struct tq_sql_table **table) {
    char *text = sqlite3_mprintf("SELECT rowid FROM \"%w\".\"%w\" LIMIT 0", schema, name);
    sqlite3_stmt *statement = NULL;
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(sql->db, text, -1, &statement, NULL);
    sqlite3_free(text);
    (void)sqlite3_finalize(statement);
    if (rc != SQLITE_OK) return tq_sql_fail(sql->db, rc, NULL);
    *table = tq_sql_table_find(sql, schema, name);
    return *table != NULL ? TQ_OK : tq_fail(TQ_MISUSE, "\"%s\" is not a tq table", name);
}

static void table_free(struct tq_sql_table *table) {
    tq_sql_table_close(table);
    tq_declaration_free(&table->declaration);
    tq_free(table->schema);
    tq_free(table->file);
    tq_free(table->name);
    tq_free(table->arguments);
    tq_free(table);
}

/* The declaration's text, its arguments one a line. */
static char *join(int count, const char *const *arguments) {
    size_t size = 1;
    for (int i = 0; i < count; i++) size += strlen(arguments[i]) + 1;
    char *text = tq_alloc(size), *at = text;
    if (text == NULL) return NULL;
    for (int i = 0; i < count; i++) {
        size_t length = strlen(arguments[i]);
        memcpy(at, arguments[i], length);
        at[length] = '\n';
        at += length + 1;
    }
    *at = 0;
    return text;
}

static enum tq_status table_make(struct tq_sql *sql, const char *schema, const char *name, int count,
                                 const char *const *arguments, struct tq_sql_table **table) {
    struct tq_sql_table *t = tq_alloc_zero(sizeof *t);
    if (t == NULL) return TQ_NOMEM;
    t->sql = sql;
    t->rows_seen = 1000000;
    t->schema = tq_sql_text(schema);
    t->file = tq_sql_text(tq_sql_file(sql->db, schema));
    t->name = tq_sql_text(name);
    t->arguments = join(count, arguments);
    enum tq_status status = tq_declaration_read(count, arguments, &t->declaration);
    if (t->schema == NULL || t->file == NULL || t->name == NULL || t->arguments == NULL) status = TQ_NOMEM;
    if (status != TQ_OK) {
        table_free(t);
        return status;
    }
    t->next = sql->tables;
    sql->tables = t;
    *table = t;
    return TQ_OK;
}

/* Whether a table is the one that is meant: another connection may have dropped it and made another of its name. */
static bool is_declared(const struct tq_sql_table *table, int count, const char *const *arguments) {
    char *text = join(count, arguments);
    bool same = text != NULL && strcmp(text, table->arguments) == 0;
    tq_free(text);
    return same;
}

enum tq_status tq_sql_table_acquire(struct tq_sql *sql, const char *schema, const char *name, int count,
                                    const char *const *arguments, bool create, struct tq_sql_table **table) {
    struct tq_sql_table *t = tq_sql_table_find(sql, schema, name);
    if (t != NULL && (create || !is_declared(t, count, arguments))) {
        t->gone = true;
        t = NULL;
    }
    if (t == NULL) TQ_TRY(table_make(sql, schema, name, count, arguments, &t));
    t->doubted = t->doubted || t->created;
    t->refs++;
    *table = t;
    return TQ_OK;
}

void tq_sql_table_release(struct tq_sql_table *table) {
    if (table == NULL || --table->refs > 0) return;
    struct tq_sql_table **link = &table->sql->tables;
    while (*link != table) link = &(*link)->next;
    *link = table->next;
    table_free(table);
}

/* ---- Opening and closing ---- */

static enum tq_status open_parts(struct tq_sql_table *table) {
    size_t vectors = table->declaration.vectors;
    table->engines = tq_alloc_zero(vectors * sizeof *table->engines);
    if (table->engines == NULL) return TQ_NOMEM;
    for (size_t v = 0; v < vectors; v++) {
        struct tq_sql_part *part = NULL;
        TQ_TRY(tq_sql_part(table, v, &part));
        uint32_t dim = tq_table_format(part->table)->dim;
        uint32_t declared = tq_declaration_vector(&table->declaration, v)->options.dim;
        if (dim != declared) {
            return tq_fail(TQ_CORRUPT, "table \"%s\": part %zu has %u dimensions, its column has %u", table->name, v,
                           dim, declared);
        }
        TQ_TRY(tq_engine_open(tq_table_format(part->table), NULL, &table->engines[v]));
    }
    return TQ_OK;
}

static enum tq_status read_number(struct tq_sql_table *table, bool *found, int64_t *number) {
    return tq_sql_once(table, "SELECT number FROM \"%w\".\"%w_state\" ORDER BY part LIMIT 1", 0, found, number);
}

enum tq_status tq_sql_table_stands(struct tq_sql_table *table, bool *stands) {
    int64_t number = 0;
    TQ_TRY(tq_sql_once(table, "SELECT 1 FROM \"%w\".sqlite_master WHERE name = '%q_state'", 0, stands, NULL));
    if (*stands) TQ_TRY(read_number(table, stands, &number));
    *stands = *stands && number == table->number;
    return TQ_OK;
}

/* SQLite calls no xRollbackTo for savepoints that are older than the table: after ROLLBACK TO its name may be that of
 * the table that was dropped or renamed before it was made. */
static enum tq_status settle(struct tq_sql_table *table) {
    bool stands = true;
    if (table->place != NULL) TQ_TRY(tq_sql_table_stands(table, &stands));
    if (!stands) {
        TQ_TRY(tq_cursors_detach(table));
        tq_sql_table_close(table);
    }
    table->doubted = false;
    return TQ_OK;
}

enum tq_status tq_sql_table_open(struct tq_sql_table *table) {
    if (table->doubted) TQ_TRY(settle(table));
    if (table->engines != NULL) return TQ_OK;
    if (table->place == NULL) TQ_TRY(place_acquire(table->sql, table->schema, false, &table->place));
    tq_sql_parts_hold(table);
    enum tq_status status = open_parts(table);
    if (status != TQ_OK) tq_sql_table_close(table);
    tq_sql_parts_let_go(table);
    return status;
}

void tq_sql_table_close(struct tq_sql_table *table) {
    tq_where_forget(table);
    tq_writer_free(table->writer);
    table->writer = NULL;
    tq_sql_statements_close(table);
    tq_sql_parts_close(table);
    for (size_t v = 0; table->engines != NULL && v < table->declaration.vectors; v++) {
        tq_engine_close(table->engines[v]);
    }
    tq_free(table->engines);
    table->engines = NULL;
    place_release(table->sql, table->place);
    table->place = NULL;
    table->changes++;
}

/* ---- CREATE, DROP, RENAME ---- */

/* Tables that the C library made in this file may be taken over, if they are what was asked for. */
static enum tq_status adopt(struct tq_sql_table *table, const struct tq_format *format) {
    struct tq_table *first = NULL;
    const struct tq_declaration *d = &table->declaration;
    TQ_TRY(tq_table_open(table->place->conn, table->place->env, table->name, &first));
    struct tq_format there = *tq_table_format(first);
    tq_table_close(first);
    if (!tq_format_same(&there, format)) {
        return tq_fail(TQ_EXISTS, "an index \"%s\" is there already, with other options: dim %u, bits %u, metric %d",
                       table->name, there.dim, there.bits, (int)there.metric);
    }
    if (d->vectors == 1 && d->partitions == 0 && d->key < 0) return TQ_OK;
    return tq_fail(TQ_EXISTS,
                   "an index \"%s\" is there already; it can become a table with one vector column and "
                   "metadata, without partitions and text keys",
                   table->name);
}

static enum tq_status add_columns(struct tq_sql_table *table) {
    for (size_t i = 0; i < table->declaration.count; i++) {
        const struct tq_sql_column *column = &table->declaration.columns[i];
        if (column->kind != TQ_COLUMN_METADATA) continue;
        TQ_TRY(tq_sql_execf(table->sql->db, "adding a column", "ALTER TABLE \"%w\".\"%w_rows\" ADD COLUMN %s %s",
                            table->schema, table->name, column->stored, column->affinity));
    }
    return TQ_OK;
}

/* Indexes end in the slots, so that a filter reads nothing else. */
static enum tq_status create_indexes(struct tq_sql_table *table, int64_t number) {
    const struct tq_declaration *d = &table->declaration;
    sqlite3 *db = table->sql->db;
    char slots[TQ_STORED_MAX * 20] = "slot";
    for (size_t v = 1; v < d->vectors; v++) {
        size_t used = strlen(slots);
        sqlite3_snprintf((int)(sizeof slots - used), slots + used, ", slot%d", (int)v);
        TQ_TRY(tq_sql_execf(db, "creating an index",
                            "CREATE INDEX \"%w\".tqlite_%lld_null%d ON \"%w_rows\"(id) WHERE slot%d IS NULL",
                            table->schema, (long long)number, (int)v, table->name, (int)v));
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct tq_sql_column *column = &d->columns[i];
        if (!column->indexed && column->kind != TQ_COLUMN_PARTITION) continue;
        TQ_TRY(tq_sql_execf(db, "creating an index", "CREATE INDEX \"%w\".tqlite_%lld_%s ON \"%w_rows\"(%s, %s)",
                            table->schema, (long long)number, column->stored, table->name, column->stored, slots));
    }
    return TQ_OK;
}

/* "a0 TEXT, a1": the columns of a kind with their types. */
static char *list_columns(const struct tq_declaration *d, enum tq_column_kind kind, bool types) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    for (size_t i = 0; i < d->count; i++) {
        const struct tq_sql_column *column = &d->columns[i];
        if (column->kind != kind) continue;
        bool typed = types && strcmp(column->affinity, "BLOB") != 0; /* BLOB is that of no type */
        sqlite3_str_appendf(out, "%s%s%s%s", sqlite3_str_length(out) > 0 ? ", " : "", column->stored, typed ? " " : "",
                            typed ? column->affinity : "");
    }
    return sqlite3_str_finish(out);
}

static enum tq_status create_tables_beside(struct tq_sql_table *table, int64_t number) {
    const struct tq_declaration *d = &table->declaration;
    char *apart = list_columns(d, TQ_COLUMN_APART, true), *partition = list_columns(d, TQ_COLUMN_PARTITION, true);
    char *values = list_columns(d, TQ_COLUMN_PARTITION, false);
    bool missing = (d->apart > 0 && apart == NULL) || (d->partitions > 0 && (partition == NULL || values == NULL));
    enum tq_status status = missing ? tq_fail(TQ_NOMEM, "out of memory for the tables of \"%s\"", table->name) : TQ_OK;
    if (d->apart > 0 && status == TQ_OK) {
        status = tq_sql_execf(table->sql->db, "creating the table of columns apart",
                              "CREATE TABLE \"%w\".\"%w_aux\"(id INTEGER PRIMARY KEY, %s)", table->schema, table->name,
                              apart);
    }
    if (d->partitions > 0 && status == TQ_OK) {
        status = tq_sql_execf(table->sql->db, "creating the table of partitions",
                              "CREATE TABLE \"%w\".\"%w_parts\"(part INTEGER PRIMARY KEY, %s);"
                              "CREATE INDEX \"%w\".tqlite_%lld_part ON \"%w_parts\"(%s)",
                              table->schema, table->name, partition, table->schema, (long long)number, table->name,
                              values);
    }
    sqlite3_free(apart);
    sqlite3_free(partition);
    sqlite3_free(values);
    return status;
}

/* Somebody else's table of a name that is needed. */
static enum tq_status check_free(const struct tq_sql_table *table) {
    const char *n = table->name;
    sqlite3 *db = table->sql->db;
    sqlite3_stmt *statement = NULL;
    char *text = sqlite3_mprintf(
        "SELECT name FROM \"%w\".sqlite_master WHERE name COLLATE NOCASE IN ('%q_rows', '%q_log',"
        " '%q_seg', '%q_gc', '%q_aux', '%q_parts') LIMIT 1",
        table->schema, n, n, n, n, n, n);
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    sqlite3_free(text);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    enum tq_status status = TQ_OK;
    if (rc == SQLITE_ROW) {
        status = tq_fail(TQ_EXISTS, "a table \"%s\" is there already, and a table \"%s\" needs that name",
                         (const char *)sqlite3_column_text(statement, 0), n);
    } else if (rc != SQLITE_DONE) {
        status = tq_sql_fail(db, rc, "looking for tables in the way");
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static enum tq_status create_parts(struct tq_sql_table *table) {
    const struct tq_declaration *d = &table->declaration;
    struct tq_conn *conn = table->place->conn;
    struct tq_format format;
    bool exists = false;
    TQ_TRY(tq_format_init(&format, &tq_declaration_vector(d, 0)->options));
    TQ_TRY(tq_table_exists(conn, table->name, &exists));
    if (exists) {
        TQ_TRY(adopt(table, &format));
        return add_columns(table);
    }
    TQ_TRY(check_free(table));
    char *more = tq_declaration_more_columns(d);
    if (more == NULL) return TQ_NOMEM;
    enum tq_status status = tq_table_create(conn, table->place->env, table->name, &format, more);
    sqlite3_free(more);
    for (size_t v = 1; v < d->vectors && status == TQ_OK; v++) {
        status = tq_format_init(&format, &tq_declaration_vector(d, v)->options);
        if (status == TQ_OK) {
            status = tq_table_add_part(conn, table->place->env, table->name, (uint32_t)v, &format);
        }
    }
    return status;
}

enum tq_status tq_sql_table_create(struct tq_sql_table *table) {
    struct tq_format format;
    for (size_t v = 0; v < table->declaration.vectors; v++) { /* before anything is made */
        TQ_TRY(tq_format_init(&format, &tq_declaration_vector(&table->declaration, v)->options));
    }
    if (table->place == NULL) TQ_TRY(place_acquire(table->sql, table->schema, true, &table->place));
    TQ_TRY(create_parts(table));
    TQ_TRY(read_number(table, NULL, &table->number));
    /* Indexes are named by it, because RENAME leaves their names as they are. */
    TQ_TRY(create_tables_beside(table, table->number));
    return create_indexes(table, table->number);
}

static const char *const shadows[] = {"rows", "log", "seg", "gc", "state", "aux", "parts"};

bool tq_sql_is_shadow(const char *suffix) {
    for (size_t i = 0; i < TQ_COUNT(shadows); i++) {
        if (sqlite3_stricmp(suffix, shadows[i]) == 0) return true;
    }
    return false;
}

enum tq_status tq_sql_table_drop(struct tq_sql_table *table) {
    struct tq_conn *conn = NULL;
    tq_sql_table_close(table);
    TQ_TRY(tq_conn_wrap(table->sql->db, sqlite3_api, table->schema, &conn));
    enum tq_status status = tq_table_drop(conn, table->name);
    tq_conn_close(conn);
    if (status != TQ_OK && status != TQ_NOT_FOUND) return status; /* a table without tables can be dropped, too */
    return tq_sql_execf(table->sql->db, "dropping the tables beside",
                        "DROP TABLE IF EXISTS \"%w\".\"%w_aux\"; DROP TABLE IF EXISTS \"%w\".\"%w_parts\"",
                        table->schema, table->name, table->schema, table->name);
}

enum tq_status tq_sql_table_rename(struct tq_sql_table *table, const char *name) {
    const struct tq_declaration *d = &table->declaration;
    enum tq_status status = TQ_OK;
    char *copy = tq_sql_text(name);
    if (copy == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < table->part_capacity && status == TQ_OK; i++) {
        if (table->parts[i] != NULL && table->parts[i]->used) status = tq_table_sync(table->parts[i]->table);
    }
    if (status == TQ_OK) status = read_number(table, NULL, &table->number);
    if (status == TQ_OK) tq_sql_table_close(table);
    for (size_t i = 0; i < TQ_COUNT(shadows) && status == TQ_OK; i++) {
        bool absent = (strcmp(shadows[i], "aux") == 0 && d->apart == 0) ||
                      (strcmp(shadows[i], "parts") == 0 && d->partitions == 0);
        if (absent) continue;
        status = tq_sql_execf(table->sql->db, "renaming", "ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"",
                              table->schema, table->name, shadows[i], name, shadows[i]);
    }
    if (status != TQ_OK) {
        tq_free(copy);
        return status;
    }
    tq_free(table->name);
    table->name = copy;
    table->created = true;
    return TQ_OK;
}
