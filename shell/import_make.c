/* The table that is made from what the file holds. */
#include <stdio.h>
#include <string.h>

#include "shell/import.h"
#include "src/base/base.h"

static const char *const metrics[] = {"cosine", "ip", "l2"}; /* by enum tq_metric */

static const char *type_name(enum tq_type type) {
    switch (type) {
    case TQ_TYPE_INTEGER: return " INTEGER";
    case TQ_TYPE_REAL: return " REAL";
    case TQ_TYPE_TEXT: return " TEXT";
    case TQ_TYPE_BLOB:
    case TQ_TYPE_VECTOR: return " BLOB";
    default: return "";
    }
}

static bool is_one_of(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (size == length && sqlite3_strnicmp(at, name, (int)length) == 0) return true;
        at += size + (at[size] == ',');
    }
    return false;
}

/* Names that a tq table keeps for itself get an underscore. */
static enum tq_status choose_name(struct import *import, size_t place, bool is_tq) {
    const char *reserved = "score,distance,rank,k,rowid,oid,_rowid_", *name = import->info->columns[place].name;
    bool clash = is_tq && (is_one_of(reserved, name) || sqlite3_stricmp(name, import->table.name) == 0);
    import->names[place] = sqlite3_mprintf("%s%s", name, clash ? "_" : "");
    if (import->names[place] == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    if (clash) {
        (void)fprintf(stderr, "notice: column %s is called %s: tq tables have another use for its name\n", name,
                      import->names[place]);
    }
    return TQ_OK;
}

/* ---- CREATE VIRTUAL TABLE ---- */

static enum tq_status append_tq_column(struct import *import, sqlite3_str *sql, size_t place, bool *has_key) {
    const struct tq_column *column = &import->info->columns[place];
    bool rowid = is_one_of("rowid,oid,_rowid_", column->name) && column->type == TQ_TYPE_INTEGER;
    bool key = column->key && !*has_key && (column->type == TQ_TYPE_INTEGER || column->type == TQ_TYPE_TEXT);
    if (rowid && import->row_ids) {
        import->row_ids = false;
        import->names[place] = sqlite3_mprintf("rowid");
        return import->names[place] == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
    }
    TQ_TRY(choose_name(import, place, true));
    const char *name = import->names[place];
    const char *before = sqlite3_str_length(sql) > 0 ? ", " : "";
    if (column->type == TQ_TYPE_VECTOR) {
        sqlite3_str_appendf(sql, "%s\"%w\" FLOAT[%u]", before, name, column->dim);
    } else if (key) {
        *has_key = true;
        if (column->type == TQ_TYPE_INTEGER) import->row_ids = false;
        sqlite3_str_appendf(sql, "%s\"%w\"%s PRIMARY KEY", before, name, type_name(column->type));
    } else {
        bool apart = is_one_of(import->options.auxiliary, column->name);
        sqlite3_str_appendf(sql, "%s%s\"%w\"%s", before, apart ? "+" : "", name, type_name(column->type));
    }
    return TQ_OK;
}

static void append_options(const struct import *import, sqlite3_str *sql) {
    const struct import_options *options = &import->options;
    const char *metric = options->metric;
    if (metric == NULL && import->info->has_metric) metric = metrics[import->info->metric];
    if (metric != NULL) sqlite3_str_appendf(sql, ", metric=%s", metric);
    if (options->bits != NULL) sqlite3_str_appendf(sql, ", bits=%s", options->bits);
    if (options->kept != NULL) sqlite3_str_appendf(sql, ", rows=%s", options->kept);
}

static enum tq_status append_tq_columns(struct import *import, sqlite3_str *sql) {
    bool has_key = false;
    import->row_ids = true;
    for (size_t i = 0; i < import->info->column_count; i++) TQ_TRY(append_tq_column(import, sql, i, &has_key));
    append_options(import, sql);
    return TQ_OK;
}

/* ---- CREATE TABLE ---- */

static enum tq_status append_columns(struct import *import, sqlite3_str *sql) {
    bool has_key = import->options.key == NULL; /* what only looks like a key need not be one to the end */
    for (size_t i = 0; i < import->info->column_count; i++) {
        const struct tq_column *column = &import->info->columns[i];
        TQ_TRY(choose_name(import, i, false));
        sqlite3_str_appendf(sql, "%s\"%w\"%s%s", i > 0 ? ", " : "", column->name, type_name(column->type),
                            column->key && !has_key ? " PRIMARY KEY" : "");
        has_key = has_key || column->key;
    }
    return TQ_OK;
}

/* ---- Both ---- */

static enum tq_status check_options(const struct import *import, bool is_tq) {
    const struct import_options *options = &import->options;
    const char *tq_only = options->auxiliary != NULL       ? "--aux"
                          : options->metric != NULL        ? "--metric"
                          : options->bits != NULL          ? "--bits"
                          : options->kept != NULL          ? "--rows"
                          : options->first_id_text != NULL ? "--first-id"
                                                           : NULL;
    if (is_tq || tq_only == NULL) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s is for tq tables, and %s has no column of vectors%s", tq_only, import->path,
                   options->vector == NULL ? "; --vector names one" : "");
}

enum tq_status shell_import_make(struct import *import) {
    const struct shell_table *table = &import->table;
    bool is_tq = import->info->vector < import->info->column_count;
    TQ_TRY(check_options(import, is_tq));
    if (import->info->column_count == 0) {
        return tq_fail(TQ_MISUSE, "%s has no columns: a table cannot be made of it", import->path);
    }
    sqlite3_str *columns = sqlite3_str_new(import->session->db);
    enum tq_status status = is_tq ? append_tq_columns(import, columns) : append_columns(import, columns);
    char *list = sqlite3_str_finish(columns);
    char *sql = sqlite3_mprintf(is_tq ? "CREATE VIRTUAL TABLE \"%w\".\"%w\" USING tq(%s)"
                                      : "CREATE TABLE \"%w\".\"%w\"(%s)",
                                table->schema, table->name, list);
    if (status == TQ_OK && import->options.verbose && sql != NULL) (void)fprintf(stderr, "%s;\n", sql);
    if (status == TQ_OK) status = shell_run(import->session, "%s", sql);
    sqlite3_free(list);
    sqlite3_free(sql);
    import->made = status == TQ_OK;
    return status;
}
