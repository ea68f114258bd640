/* INSERT, UPDATE, DELETE. Everything is checked before anything is written: SQLite opens no savepoint for a statement
 * that writes one row, so what a failed one has written would stay. */
#include "sql/vtab.h"

#include <string.h>

#include "src/base/alloc.h"

/* One row's change: from the row `old_id` (if had) to the row `id` (if has) with a vector or NULL. */
struct change {
    bool had, has;
    int64_t old_id, id;
    bool keep_vector; /* UPDATE of the rowid alone */
    bool is_null;
    const float *vector;
    struct tq_floats floats;
    float *kept; /* the old vector */
};

enum { FIRST_COLUMN = 2 }; /* values: old rowid, new rowid, columns */

/* ---- Reading the arguments ---- */

static enum tq_status check_hidden(const struct tq_sql_table *table, sqlite3_value **values) {
    const char *names[TQ_COL_COUNT] = {table->column, table->name, "k", "score", "distance"};
    for (int column = TQ_COL_QUERY; column < TQ_COL_COUNT; column++) {
        sqlite3_value *value = values[FIRST_COLUMN + column];
        if (sqlite3_value_type(value) == SQLITE_NULL || sqlite3_value_nochange(value)) continue;
        return tq_fail(TQ_MISUSE, "column %s belongs to queries and cannot be written", names[column]);
    }
    return TQ_OK;
}

static enum tq_status read_vector(const struct tq_sql_table *table, sqlite3_value *value, struct change *change) {
    uint32_t dim = table->access->codec->format.dim;
    size_t got = 0;
    char text[64], why[400];
    if (sqlite3_value_nochange(value)) {
        change->keep_vector = true;
        return TQ_OK;
    }
    change->is_null = sqlite3_value_type(value) == SQLITE_NULL;
    if (change->is_null) return TQ_OK;
    enum tq_status status = tq_value_vector(value, &change->floats, &change->vector, &got);
    if (status == TQ_OK && got != dim) {
        tq_value_describe(value, got, text);
        return tq_fail(TQ_MISUSE, "%s.%s has %u dimension%s, the value has %s", table->name, table->column, dim,
                       dim == 1 ? "" : "s", text);
    }
    if (status == TQ_OK) status = tq_vector_check_finite(change->vector, got);
    if (status != TQ_MISUSE) return status;
    sqlite3_snprintf(sizeof why, why, "%s", tq_message());
    return tq_fail(TQ_MISUSE, "%s.%s: %s", table->name, table->column, why);
}

static enum tq_status read_change(const struct tq_sql_table *table, int count, sqlite3_value **values,
                                  struct change *change) {
    change->had = sqlite3_value_type(values[0]) != SQLITE_NULL;
    change->old_id = sqlite3_value_int64(values[0]);
    change->has = count > 1;
    if (!change->has) return TQ_OK;
    int type = sqlite3_value_type(values[1]);
    if (type != SQLITE_INTEGER && type != SQLITE_NULL) return tq_fail(TQ_MISUSE, "rowid must be an integer");
    if (type == SQLITE_NULL && change->had) return tq_fail(TQ_MISUSE, "rowid cannot become NULL");
    change->id = sqlite3_value_int64(values[1]);
    TQ_TRY(check_hidden(table, values));
    return read_vector(table, values[FIRST_COLUMN + TQ_COL_VECTOR], change);
}

/* ---- Commands: INSERT INTO words(words) VALUES ('optimize') ---- */

static bool is_command(int count, sqlite3_value **values) {
    return count > 1 && sqlite3_value_type(values[0]) == SQLITE_NULL &&
           sqlite3_value_type(values[FIRST_COLUMN + TQ_COL_QUERY]) == SQLITE_TEXT;
}

static enum tq_status run_command(struct tq_sql_table *table, sqlite3_value **values) {
    const char *command = (const char *)sqlite3_value_text(values[FIRST_COLUMN + TQ_COL_QUERY]);
    if (command == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    if (sqlite3_stricmp(command, "optimize") != 0) {
        return tq_fail(TQ_MISUSE, "unknown command \"%.40s\"; there is optimize", command);
    }
    TQ_TRY(tq_cursors_detach(table));
    return tq_table_optimize(table->access->table);
}

/* ---- Looking before writing ---- */

static enum tq_status choose_id(struct tq_sql_table *table, sqlite3_value **values, struct change *change) {
    int64_t most = 0;
    if (!change->has || sqlite3_value_type(values[1]) != SQLITE_NULL) return TQ_OK;
    TQ_TRY(tq_sql_step(table, TQ_SQL_ID_MAX, 0, NULL, &most));
    if (most == INT64_MAX) return tq_fail(TQ_FULL, "the largest rowid is taken; choose one");
    change->id = most + 1;
    return TQ_OK;
}

static enum tq_status is_taken(struct tq_sql_table *table, int64_t id, bool *taken) {
    TQ_TRY(tq_sql_step(table, TQ_SQL_ROW_HAS, id, taken, NULL));
    return *taken ? TQ_OK : tq_sql_step(table, TQ_SQL_NULL_HAS, id, taken, NULL);
}

/* UPDATE of the rowid alone: the vector moves with it. */
static enum tq_status read_kept(struct tq_sql_table *table, struct change *change) {
    const struct tq_format *format = &table->access->codec->format;
    if (!change->keep_vector || change->id == change->old_id) return TQ_OK;
    change->kept = tq_alloc_array(format->dim, sizeof(float));
    if (change->kept == NULL) return TQ_NOMEM;
    enum tq_status status = tq_access_get(table->access, change->old_id, change->kept);
    change->is_null = status == TQ_NOT_FOUND;
    if (change->is_null) return TQ_OK;
    TQ_TRY(status);
    change->vector = change->kept;
    if (format->rows != TQ_ROWS_NONE) return TQ_OK;
    return tq_fail(TQ_MISUSE, "a rowid cannot change where rows=none: the vector itself is not kept; insert it anew");
}

/* ---- Writing ---- */

static enum tq_status delete_row(struct tq_sql_table *table, int64_t id) {
    enum tq_status status = tq_table_delete(table->access->table, id);
    if (status != TQ_NOT_FOUND && status != TQ_OK) return status;
    /* also behind a vector: the C library may have given a NULL row's id one */
    return tq_sql_step(table, TQ_SQL_NULL_DELETE, id, NULL, NULL);
}

static enum tq_status write_change(struct tq_sql_table *table, const struct change *change, bool replace) {
    bool wrote = change->had || replace;
    enum tq_status status = TQ_OK;
    if (change->had) status = delete_row(table, change->old_id);
    if (status == TQ_OK && replace) status = delete_row(table, change->id);
    if (status == TQ_OK && change->has) {
        status = change->is_null ? tq_sql_step(table, TQ_SQL_NULL_ADD, change->id, NULL, NULL)
                                 : tq_access_put(table->access, change->id, change->vector);
    }
    if (status == TQ_OK || !wrote) return status;
    /* Half a change: only a code after which SQLite rolls the transaction back will do. */
    char text[400];
    sqlite3_snprintf(sizeof text, text, "%s", tq_message());
    return tq_fail(TQ_IO, "%s; the transaction was rolled back", text);
}

static int conflict(sqlite3_vtab *vtab, int64_t id) {
    (void)tq_fail(TQ_EXISTS, "rowid %lld exists already", (long long)id);
    (void)tq_vtab_fail(vtab, TQ_EXISTS);
    return SQLITE_CONSTRAINT; /* exactly this code: SQLite then does what OR IGNORE, FAIL or ROLLBACK ask for */
}

static int apply(sqlite3_vtab *vtab, sqlite3_value **values, struct change *change) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    bool taken = false, replace = false;
    if (change->had && change->has && change->keep_vector && change->id == change->old_id) return SQLITE_OK;
    enum tq_status status = choose_id(table, values, change);
    bool own_id = change->has && sqlite3_value_type(values[1]) == SQLITE_NULL;
    if (status == TQ_OK && change->has && !own_id && !(change->had && change->id == change->old_id)) {
        status = is_taken(table, change->id, &taken);
    }
    if (status == TQ_OK && taken) {
        replace = sqlite3_vtab_on_conflict(table->sql->db) == SQLITE_REPLACE;
        if (!replace) return conflict(vtab, change->id);
    }
    if (status == TQ_OK) status = read_kept(table, change);
    if (status == TQ_OK) status = tq_cursors_detach(table);
    if (status == TQ_OK) status = write_change(table, change, replace);
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

int tq_vtab_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    struct change change = {0};
    sqlite3_int64 last = sqlite3_last_insert_rowid(table->sql->db);
    enum tq_status status = tq_sql_table_open(table);
    bool command = is_command(count, values);
    if (status == TQ_OK) status = command ? run_command(table, values) : read_change(table, count, values, &change);
    int rc = status != TQ_OK ? tq_vtab_fail(vtab, status) : command ? SQLITE_OK : apply(vtab, values, &change);
    if (rc == SQLITE_OK && change.has && !change.had) *rowid = change.id;
    if (rc == SQLITE_OK && command) *rowid = last;
    tq_free(change.floats.data);
    tq_free(change.kept);
    sqlite3_set_last_insert_rowid(table->sql->db, last); /* ours are not the user's; of an INSERT SQLite sets it */
    return rc;
}
