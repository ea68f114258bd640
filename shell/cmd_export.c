/* .export: the rows of a table or of a query into a file, all of them or none. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shell/arguments.h"
#include "shell/cell.h"
#include "shell/commands.h"
#include "shell/interrupt.h"
#include "shell/progress.h"
#include "shell/tables.h"
#include "src/base/base.h"
#include "src/base/vector_blob.h"
#include "src/tq_io.h"

const char shell_export_details[] =
    "  --format F        npy, fvecs, csv, jsonl; else the file's name tells\n"
    "  --columns A,B     only these, in this order\n"
    "  --vector C        the column of a query whose blobs are vectors; \"\": there is none\n"
    "A QUERY is SQL in quotes: .export 'SELECT word, embedding FROM words WHERE rowid < 10' few.csv\n";

struct export_column {
    enum tq_type type; /* NULL: what the row has */
    uint32_t dim;
    float *vector; /* f32[dim]: SQLite's memory need not be aligned */
};

struct export {
    struct shell_session *session;
    const char *path, *format, *columns, *vector;
    const char *name; /* of the table; of a query, the file's */
    char *sql;
    bool of_table, by_rowid; /* nothing but vectors, in the order of rowids */
    uint64_t total;          /* rows; UINT64_MAX: not known */
    sqlite3_stmt *statement;
    int count;
    struct export_column *made; /* [count] */
    struct tq_value *values;    /* [count] */
    tq_writer *writer;
    uint64_t rows;
    struct shell_progress progress;
};

/* ---- What is read ---- */

/* The only formats that hold one vector and nothing beside it. */
static bool is_bare(const struct export *export) {
    static const char *const bare[] = {"npy", "fvecs"};
    size_t length = strlen(export->path);
    for (size_t i = 0; i < TQ_COUNT(bare); i++) {
        size_t size = strlen(bare[i]);
        if (export->format != NULL ? strcmp(export->format, bare[i]) == 0
                                   : length > size && export->path[length - size - 1] == '.' &&
                                         sqlite3_stricmp(export->path + length - size, bare[i]) == 0)
            return true;
    }
    return false;
}

static enum tq_status append_listed(struct export *export, const struct shell_table *table, sqlite3_str *sql) {
    const char *before = "";
    for (const char *at = export->columns; *at != '\0';) {
        size_t size = strcspn(at, ",");
        char *name = sqlite3_mprintf("%.*s", (int)size, at);
        if (name == NULL) return tq_fail(TQ_NOMEM, "out of memory");
        size_t place = shell_table_column(table, name);
        bool rowid = sqlite3_stricmp(name, "rowid") == 0;
        sqlite3_free(name);
        if (place == table->column_count && !rowid) {
            char list[300];
            shell_table_list(table, list, sizeof list);
            return tq_fail(TQ_MISUSE, "%s has no column \"%.*s\"; it has %s", table->name, (int)size, at, list);
        }
        sqlite3_str_appendf(sql, "%s\"%w\"", before, rowid ? "rowid" : table->columns[place].name);
        before = ", ";
        at += size + (at[size] == ',');
    }
    return TQ_OK;
}

static enum tq_status append_only_vector(const struct shell_table *table, sqlite3_str *sql) {
    size_t found = table->column_count, count = 0;
    for (size_t i = table->column_count; i-- > 0;) {
        if (table->columns[i].kind != SHELL_COLUMN_VECTOR) continue;
        found = i;
        count++;
    }
    if (count == 0) {
        return tq_fail(TQ_MISUSE, "%s has no vector column; .npy and .fvecs hold nothing else", table->name);
    }
    if (count > 1) {
        return tq_fail(TQ_MISUSE, "%s has %zu vector columns, and .npy and .fvecs hold one: --columns says which",
                       table->name, count);
    }
    sqlite3_str_appendf(sql, "\"%w\"", table->columns[found].name);
    return TQ_OK;
}

static void append_all(const struct shell_table *table, sqlite3_str *sql) {
    const char *before = "";
    bool named = table->kind != SHELL_TABLE_TQ || shell_table_first(table, SHELL_COLUMN_ID) < table->column_count ||
                 shell_table_first(table, SHELL_COLUMN_KEY) < table->column_count;
    if (!named) {
        sqlite3_str_appendall(sql, "rowid");
        before = ", ";
    }
    for (size_t i = 0; i < table->column_count; i++, before = ", ")
        sqlite3_str_appendf(sql, "%s\"%w\"", before, table->columns[i].name);
    if (table->column_count == 0) sqlite3_str_appendall(sql, "*"); /* a view */
}

static enum tq_status count_rows(struct export *export, const struct shell_table *table) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\".\"%w\"", table->schema, table->name);
    enum tq_status status = shell_prepare(export->session, sql, NULL, NULL, &statement);
    sqlite3_free(sql);
    TQ_TRY(status);
    if (sqlite3_step(statement) == SQLITE_ROW) export->total = (uint64_t)sqlite3_column_int64(statement, 0);
    int rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? TQ_OK : shell_session_fail(export->session, rc);
}

static enum tq_status select_from(struct export *export, const struct shell_table *table) {
    if (table->kind == SHELL_TABLE_MISSING) {
        return tq_fail(TQ_NOT_FOUND, "no such table: %s; a query is given in quotes", table->name);
    }
    sqlite3_str *sql = sqlite3_str_new(export->session->db);
    enum tq_status status = TQ_OK;
    sqlite3_str_appendall(sql, "SELECT ");
    if (export->columns != NULL)
        status = append_listed(export, table, sql);
    else if (is_bare(export))
        status = append_only_vector(table, sql);
    else
        append_all(table, sql);
    sqlite3_str_appendf(sql, " FROM \"%w\".\"%w\"", table->schema, table->name);
    if (table->kind == SHELL_TABLE_TQ) sqlite3_str_appendall(sql, " ORDER BY rowid");
    export->sql = sqlite3_str_finish(sql);
    export->by_rowid = table->kind == SHELL_TABLE_TQ && is_bare(export);
    return status == TQ_OK && export->progress.terminal ? count_rows(export, table) : status;
}

/* A query begins with a word of SQL, and has another one behind it. */
static bool is_query(const char *word) {
    static const char *const starts[] = {"select", "with", "values", "pragma"};
    word += strspn(word, " \t(");
    size_t length = strcspn(word, " \t(*'\"");
    for (size_t i = 0; i < TQ_COUNT(starts); i++)
        if (strlen(starts[i]) == length && sqlite3_strnicmp(word, starts[i], (int)length) == 0)
            return word[length] != 0;
    return false;
}

static enum tq_status choose(struct export *export, const char *word) {
    struct shell_table table;
    if (is_query(word)) {
        if (export->columns != NULL) return tq_fail(TQ_MISUSE, "--columns is for tables; a query names its own");
        export->sql = sqlite3_mprintf("%s", word);
        return export->sql == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
    }
    export->of_table = true;
    enum tq_status status = shell_table_find(export->session, word, &table);
    if (status == TQ_OK) status = select_from(export, &table);
    shell_table_clear(&table);
    return status;
}

static enum tq_status prepare(struct export *export) {
    const char *rest = NULL;
    int rc = sqlite3_prepare_v2(export->session->db, export->sql, -1, &export->statement, &rest);
    if (rc != SQLITE_OK) return shell_session_fail(export->session, rc);
    export->count = sqlite3_column_count(export->statement);
    if (!sqlite3_stmt_readonly(export->statement)) return tq_fail(TQ_MISUSE, "the statement writes; .export reads");
    if (export->count == 0) return tq_fail(TQ_MISUSE, "the statement has no rows to export");
    if (rest[strspn(rest, " \t\r\n;")] != '\0') return tq_fail(TQ_MISUSE, "more than one statement to export");
    return shell_param_bind(export->session, export->statement);
}

/* ---- Columns ---- */

/* What is said or declared; else what the first row has, where it looks like a vector. */
static enum tq_status look_at_column(struct export *export, int column, bool row, bool *named) {
    struct export_column *made = &export->made[column];
    const char *name = sqlite3_column_name(export->statement, column);
    bool asked = export->vector != NULL && name != NULL && sqlite3_stricmp(name, export->vector) == 0;
    uint32_t dim = shell_declared_dim(sqlite3_column_decltype(export->statement, column));
    bool blob = row && sqlite3_column_type(export->statement, column) == SQLITE_BLOB;
    int bytes = blob ? sqlite3_column_bytes(export->statement, column) : 0;
    bool likely = blob && tq_blob_is_vector(sqlite3_column_blob(export->statement, column), (size_t)bytes);
    if (asked) *named = true;
    if (export->vector != NULL && !asked) return TQ_OK;
    if (asked && dim == 0 && (bytes == 0 || bytes % 4 != 0)) {
        return tq_fail(TQ_MISUSE, "column %s is no vector: the first row has no blob of float32 numbers there", name);
    }
    if (dim == 0 && (asked || likely)) dim = (uint32_t)bytes / 4;
    if (dim == 0 || dim > TQ_DIM_MAX) return TQ_OK;
    made->type = TQ_TYPE_VECTOR;
    made->dim = dim;
    made->vector = sqlite3_malloc64(dim * sizeof *made->vector);
    return made->vector == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

static enum tq_status open_writer(struct export *export, bool row) {
    size_t count = (size_t) export->count;
    bool named = export->vector == NULL || *export->vector == '\0';
    export->made = sqlite3_malloc64(count * sizeof *export->made);
    export->values = sqlite3_malloc64(count * sizeof *export->values);
    struct tq_column *columns = sqlite3_malloc64(count * sizeof *columns);
    if (export->made == NULL || export->values == NULL || columns == NULL) {
        sqlite3_free(columns);
        return tq_fail(TQ_NOMEM, "out of memory");
    }
    memset(export->made, 0, count * sizeof *export->made);
    enum tq_status status = TQ_OK;
    for (int i = 0; i < export->count && status == TQ_OK; i++) {
        status = look_at_column(export, i, row, &named);
        columns[i] = (struct tq_column){.name = sqlite3_column_name(export->statement, i),
                                        .type = export->made[i].type,
                                        .dim = export->made[i].dim};
    }
    if (status == TQ_OK && !named) status = tq_fail(TQ_MISUSE, "the query has no column \"%.60s\"", export->vector);
    if (status == TQ_OK) status = tq_writer_open(export->path, export->format, columns, count, &export->writer);
    sqlite3_free(columns);
    return status;
}

/* ---- Rows ---- */

static enum tq_status take_vector(struct export *export, int column, struct tq_value *value) {
    const struct export_column *made = &export->made[column];
    size_t bytes = (size_t)sqlite3_column_bytes(export->statement, column);
    if (bytes != made->dim * sizeof(float)) {
        return tq_fail(TQ_MISUSE, "row %llu: column %s has %zu bytes, and not those of %u float32 numbers",
                       (unsigned long long)export->rows, sqlite3_column_name(export->statement, column), bytes,
                       made->dim);
    }
    memcpy(made->vector, sqlite3_column_blob(export->statement, column), bytes);
    *value = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = made->dim, .vector = made->vector};
    return TQ_OK;
}

static enum tq_status take_value(struct export *export, int column) {
    sqlite3_stmt *statement = export->statement;
    struct tq_value *value = &export->values[column];
    *value = (struct tq_value){.type = TQ_TYPE_NULL};
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        *value = (struct tq_value){.type = TQ_TYPE_INTEGER, .integer = sqlite3_column_int64(statement, column)};
        break;
    case SQLITE_FLOAT:
        *value = (struct tq_value){.type = TQ_TYPE_REAL, .real = sqlite3_column_double(statement, column)};
        break;
    case SQLITE_TEXT:
        *value = (struct tq_value){.type = TQ_TYPE_TEXT, .text = (const char *)sqlite3_column_text(statement, column)};
        break;
    case SQLITE_BLOB:
        if (export->made[column].type == TQ_TYPE_VECTOR) return take_vector(export, column, value);
        *value = (struct tq_value){.type = TQ_TYPE_BLOB, .blob = sqlite3_column_blob(statement, column)};
        break;
    default: return TQ_OK;
    }
    bool sized = value->type == TQ_TYPE_TEXT || value->type == TQ_TYPE_BLOB;
    if (sized) value->size = (size_t)sqlite3_column_bytes(statement, column);
    if (value->type == TQ_TYPE_TEXT && value->text == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    return TQ_OK;
}

static enum tq_status put_row(struct export *export) {
    char message[400];
    for (int i = 0; i < export->count; i++) TQ_TRY(take_value(export, i));
    enum tq_status status = tq_writer_put(export->writer, export->values);
    if (status != TQ_MISUSE) return status;
    (void)sqlite3_snprintf(sizeof message, message, "%s", tq_message());
    return tq_fail(TQ_MISUSE, "row %llu: %s", (unsigned long long)export->rows, message);
}

static enum tq_status put_rows(struct export *export) {
    int rc = sqlite3_step(export->statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return shell_session_fail(export->session, rc);
    TQ_TRY(open_writer(export, rc == SQLITE_ROW));
    for (; rc == SQLITE_ROW; rc = sqlite3_step(export->statement)) {
        if (shell_interrupt_seen()) return shell_session_fail(export->session, SQLITE_INTERRUPT);
        TQ_TRY(put_row(export));
        export->rows++;
        double done = export->total == UINT64_MAX ? -1 : (double)export->rows / (double)export->total;
        shell_progress_show(&export->progress, done, export->rows);
    }
    return rc == SQLITE_DONE ? TQ_OK : shell_session_fail(export->session, rc);
}

/* ---- All of it ---- */

static void append_vectors(const struct export *export, sqlite3_str *out) {
    const char *before = " of";
    for (int i = 0; i < export->count; i++) {
        if (export->made[i].type != TQ_TYPE_VECTOR) continue;
        sqlite3_str_appendf(out, "%s %u", before, export->made[i].dim);
        before = " and";
    }
    if (before[1] == 'a') sqlite3_str_appendall(out, " dimensions");
}

static void tell(const struct export *export) {
    struct stat file = {.st_size = 0};
    double seconds = shell_seconds() - export->progress.start;
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, "%s: %,llu row%s", export->path, (unsigned long long)export->rows,
                        export->rows == 1 ? "" : "s");
    append_vectors(export, out);
    if (seconds <= 0) seconds = 1e-9;
    sqlite3_str_appendf(out, ", %.2f s (%,llu/s", seconds, (unsigned long long)((double)export->rows / seconds));
    if (stat(export->path, &file) == 0 && file.st_size >= 1000000)
        sqlite3_str_appendf(out, ", %.0f MB/s", (double)file.st_size / 1e6 / seconds);
    sqlite3_str_appendall(out, ")");
    char *text = sqlite3_str_finish(out);
    (void)fprintf(stderr, "%s\n", text == NULL ? export->path : text);
    sqlite3_free(text);
    if (export->by_rowid) {
        (void)fprintf(stderr, "Rows are in the order of their rowids, which such a file has no room for; a .csv or"
                              " .jsonl has them.\n");
    }
}

static void clear(struct export *export) {
    (void)sqlite3_finalize(export->statement);
    tq_writer_abort(export->writer);
    for (int i = 0; export->made != NULL && i < export->count; i++) sqlite3_free(export->made[i].vector);
    sqlite3_free(export->made);
    sqlite3_free(export->values);
    sqlite3_free(export->sql);
}

enum tq_status shell_cmd_export(struct shell_session *session, int count, char **words) {
    struct export export = {.session = session, .total = UINT64_MAX};
    const struct shell_option list[] = {
        {"--format", &export.format, NULL}, {"--columns", &export.columns, NULL}, {"--vector", &export.vector, NULL}};
    TQ_TRY(shell_options_read(list, TQ_COUNT(list), &count, words));
    if (count != 3) return shell_command_usage(".export");
    export.path = words[2];
    shell_progress_begin(&export.progress, export.path, "rows");
    enum tq_status status = choose(&export, words[1]);
    if (status == TQ_OK) status = prepare(&export);
    if (status == TQ_OK) status = put_rows(&export);
    shell_progress_end(&export.progress);
    if (status == TQ_OK) {
        status = tq_writer_close(export.writer);
        export.writer = NULL;
    }
    if (status == TQ_OK) tell(&export);
    clear(&export);
    return status;
}
