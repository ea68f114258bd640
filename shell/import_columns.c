/* Which column of the file goes into which column of the table. */
#include <stdio.h>
#include <string.h>

#include "shell/import.h"
#include "src/base/base.h"

static enum tq_status set_name(struct import *import, size_t column, const char *name) {
    import->names[column] = sqlite3_mprintf("%s", name);
    return import->names[column] == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

static bool is_taken(const struct import *import, const char *name) {
    for (size_t i = 0; i < import->info->column_count; i++)
        if (import->names[i] != NULL && sqlite3_stricmp(import->names[i], name) == 0) return true;
    return false;
}

static bool is_rowid(const char *name) {
    return sqlite3_stricmp(name, "rowid") == 0 || sqlite3_stricmp(name, "oid") == 0 ||
           sqlite3_stricmp(name, "_rowid_") == 0;
}

static enum tq_status fail_absent(const struct import *import, const struct tq_column *column) {
    char list[300];
    shell_table_list(&import->table, list, sizeof list);
    return tq_fail(TQ_MISUSE, "%s has no column \"%.60s\"; it has %s. --columns names those of %s to be read",
                   import->table.name, column->name, list, import->path);
}

static enum tq_status check_dim(const struct import *import, const struct tq_column *column,
                                const struct shell_table_column *target) {
    if (target->kind != SHELL_COLUMN_VECTOR || column->type != TQ_TYPE_VECTOR || target->dim == column->dim) {
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "%s.%s has %u dimensions, %s has %u", import->table.name, target->name, target->dim,
                   import->path, column->dim);
}

/* ---- By name ---- */

static enum tq_status use(struct import *import, size_t place, size_t target) {
    const struct shell_table_column *column = &import->table.columns[target];
    TQ_TRY(check_dim(import, &import->info->columns[place], column));
    return set_name(import, place, column->name);
}

/* Also by the name that .import gives to one which tq tables have another use for. */
static size_t find_column(const struct shell_table *table, const char *name) {
    size_t target = shell_table_column(table, name);
    char *other = target == table->column_count && table->kind == SHELL_TABLE_TQ ? sqlite3_mprintf("%s_", name) : NULL;
    if (other != NULL) target = shell_table_column(table, other);
    sqlite3_free(other);
    return target;
}

static enum tq_status match_equal_names(struct import *import) {
    bool is_tq = import->table.kind == SHELL_TABLE_TQ;
    for (size_t i = 0; i < import->info->column_count; i++) {
        const struct tq_column *column = &import->info->columns[i];
        size_t target = find_column(&import->table, column->name);
        if (target == import->table.column_count) {
            if (is_rowid(column->name) && !is_taken(import, "rowid")) TQ_TRY(set_name(import, i, "rowid"));
            continue;
        }
        /* A vector goes where vectors are, whatever else is called like it. */
        bool vector = import->table.columns[target].kind == SHELL_COLUMN_VECTOR;
        if (is_tq && column->type == TQ_TYPE_VECTOR && !vector) continue;
        TQ_TRY(use(import, i, target));
    }
    return TQ_OK;
}

static size_t count_vectors(const struct tq_reader_info *info) {
    size_t count = 0;
    for (size_t i = 0; i < info->column_count; i++) count += info->columns[i].type == TQ_TYPE_VECTOR;
    return count;
}

/* The file's only vector, whatever it is called, is for the first vector column. */
static enum tq_status match_vector(struct import *import) {
    size_t from = import->info->vector, to = shell_table_first(&import->table, SHELL_COLUMN_VECTOR);
    if (count_vectors(import->info) != 1 || import->names[from] != NULL) return TQ_OK;
    if (to == import->table.column_count || is_taken(import, import->table.columns[to].name)) return TQ_OK;
    return use(import, from, to);
}

/* The values that name the rows: whole numbers are for the rowid, texts for the table's text key. */
static enum tq_status match_key(struct import *import) {
    const struct shell_table *table = &import->table;
    size_t id = shell_table_first(table, SHELL_COLUMN_ID), key = shell_table_first(table, SHELL_COLUMN_KEY);
    for (size_t i = 0; i < import->info->column_count && table->kind == SHELL_TABLE_TQ; i++) {
        const struct tq_column *column = &import->info->columns[i];
        if (!column->key || import->names[i] != NULL) continue;
        if (key < table->column_count && !is_taken(import, table->columns[key].name)) return use(import, i, key);
        if (column->type != TQ_TYPE_INTEGER) {
            return tq_fail(TQ_MISUSE,
                           "the key column \"%.60s\" of %s is text, and %s has no TEXT PRIMARY KEY; --key \"\""
                           " takes it for an ordinary column, --columns can leave it out",
                           column->name, import->path, table->name);
        }
        if (id < table->column_count && !is_taken(import, table->columns[id].name)) return use(import, i, id);
        if (id == table->column_count && !is_taken(import, "rowid")) return set_name(import, i, "rowid");
    }
    return TQ_OK;
}

static enum tq_status has_rows(struct import *import, bool *any) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" LIMIT 1", import->table.schema, import->table.name);
    enum tq_status status = shell_prepare(import->session, sql, NULL, NULL, &statement);
    sqlite3_free(sql);
    TQ_TRY(status);
    int rc = sqlite3_step(statement);
    *any = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) status = shell_session_fail(import->session, rc);
    (void)sqlite3_finalize(statement);
    return status;
}

/* A table with a text key may be added to, again and again; in one without, rowids are all there is to tell rows that
 * are there already from new ones. */
static enum tq_status choose_row_ids(struct import *import) {
    const struct shell_table *table = &import->table;
    size_t id = shell_table_first(table, SHELL_COLUMN_ID), key = shell_table_first(table, SHELL_COLUMN_KEY);
    bool named = is_taken(import, "rowid") || (id < table->column_count && is_taken(import, table->columns[id].name));
    bool any = false;
    if (key < table->column_count && !is_taken(import, table->columns[key].name)) {
        return tq_fail(TQ_MISUSE, "%s has the key \"%.60s\", which %s has not: --key names the column to take",
                       table->name, table->columns[key].name, import->path);
    }
    import->row_ids = !named;
    if (named || key == table->column_count || import->options.first_id_text != NULL) return TQ_OK;
    TQ_TRY(has_rows(import, &any));
    import->row_ids = !any;
    return TQ_OK;
}

static enum tq_status match_names(struct import *import) {
    TQ_TRY(match_equal_names(import));
    TQ_TRY(match_vector(import));
    TQ_TRY(match_key(import));
    for (size_t i = 0; i < import->info->column_count; i++)
        if (import->names[i] == NULL) return fail_absent(import, &import->info->columns[i]);
    return import->table.kind == SHELL_TABLE_TQ ? choose_row_ids(import) : TQ_OK;
}

/* ---- By place, as sqlite3 does ---- */

static enum tq_status match_places(struct import *import) {
    size_t columns = import->table.column_count, cells = import->info->column_count;
    if (cells != columns) {
        (void)fprintf(stderr, "notice: %s has %zu columns, %s has %zu: %s\n", import->path, cells, import->table.name,
                      columns, cells < columns ? "the last ones stay NULL" : "the last ones are left out");
    }
    for (size_t i = 0; i < cells && i < columns; i++) TQ_TRY(set_name(import, i, import->table.columns[i].name));
    return TQ_OK;
}

enum tq_status shell_import_match(struct import *import) {
    if (import->table.kind == SHELL_TABLE_VIEW) {
        return tq_fail(TQ_MISUSE, "%s is a view; rows go into tables", import->table.name);
    }
    if (import->table.kind == SHELL_TABLE_TQ && import->info->vector == import->info->column_count &&
        import->info->column_count > 0 && import->options.vector == NULL) {
        return tq_fail(TQ_MISUSE, "%s has no column of vectors for %s; --vector names one, --vector \"\" goes without",
                       import->path, import->table.name);
    }
    if (import->options.first_id_text != NULL && import->table.kind != SHELL_TABLE_TQ) {
        return tq_fail(TQ_MISUSE, "--first-id is for tq tables; %s is not one", import->table.name);
    }
    return import->by_place ? match_places(import) : match_names(import);
}
