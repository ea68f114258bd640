/* tq_each(v): the elements of a vector as rows, SELECT i, value FROM tq_each(:v). */
#include <string.h>

#include "sql/functions.h"
#include "sql/value.h"
#include "src/base/alloc.h"

enum column { COLUMN_I, COLUMN_VALUE, COLUMN_VECTOR };

struct cursor {
    sqlite3_vtab_cursor base;
    struct tq_floats copy;
    size_t dim, at;
};

static int connect(sqlite3 *db, void *sql, int count, const char *const *arguments, sqlite3_vtab **vtab, char **error) {
    (void)sql;
    (void)count;
    (void)arguments;
    (void)error;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(i INTEGER, value REAL, vector HIDDEN)");
    if (rc != SQLITE_OK) return rc;
    *vtab = tq_alloc_zero(sizeof **vtab);
    return *vtab == NULL ? SQLITE_NOMEM : sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
}

static int disconnect(sqlite3_vtab *vtab) {
    tq_free(vtab);
    return SQLITE_OK;
}

/* Which vector is all that is asked; SQLite does the rest. */
static int best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    bool unusable = false;
    (void)vtab;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
        if (constraint->iColumn != COLUMN_VECTOR || constraint->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        unusable = unusable || constraint->usable == 0;
        if (constraint->usable == 0 || info->idxNum == 1) continue;
        info->idxNum = 1;
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
    }
    if (info->idxNum == 0 && unusable) return SQLITE_CONSTRAINT;
    info->estimatedCost = info->idxNum == 1 ? 1000 : 1e50;
    info->estimatedRows = 1000;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *vtab, sqlite3_vtab_cursor **base) {
    struct cursor *cursor = tq_alloc_zero(sizeof *cursor);
    (void)vtab;
    if (cursor == NULL) return SQLITE_NOMEM;
    *base = &cursor->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    tq_free(cursor->copy.data);
    tq_free(cursor);
    return SQLITE_OK;
}

/* A blob is the value's own, which goes before the cursor does. */
static enum tq_status keep(struct cursor *cursor, sqlite3_value *value) {
    const float *vector = NULL;
    size_t dim = 0;
    TQ_TRY(tq_value_vector(value, &cursor->copy, &vector, &dim));
    if (vector != cursor->copy.data) TQ_TRY(tq_floats_copy(&cursor->copy, vector, dim));
    cursor->dim = dim;
    return TQ_OK;
}

static int filter(sqlite3_vtab_cursor *base, int plan, const char *text, int count, sqlite3_value **values) {
    struct cursor *cursor = (struct cursor *)base;
    (void)text;
    (void)count;
    cursor->dim = cursor->at = 0;
    if (plan == 1 && sqlite3_value_type(values[0]) == SQLITE_NULL) return SQLITE_OK;
    enum tq_status status = plan == 1 ? keep(cursor, values[0])
                                      : tq_fail(TQ_MISUSE, "no vector is given, as in FROM tq_each('[1, 2]')");
    if (status == TQ_OK) return SQLITE_OK;
    sqlite3_free(base->pVtab->zErrMsg);
    base->pVtab->zErrMsg = sqlite3_mprintf("tq_each: %s", tq_message());
    return status == TQ_NOMEM ? SQLITE_NOMEM : SQLITE_ERROR;
}

static int next(sqlite3_vtab_cursor *base) {
    ((struct cursor *)base)->at++;
    return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *base) {
    const struct cursor *cursor = (const struct cursor *)base;
    return cursor->at >= cursor->dim;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number) {
    const struct cursor *cursor = (const struct cursor *)base;
    if (number == COLUMN_I)
        sqlite3_result_int64(context, (sqlite3_int64)cursor->at);
    else if (number == COLUMN_VALUE)
        sqlite3_result_double(context, (double)cursor->copy.data[cursor->at]);
    else
        sqlite3_result_blob64(context, cursor->copy.data, cursor->dim * sizeof(float), SQLITE_TRANSIENT);
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *id) {
    *id = (sqlite3_int64)((const struct cursor *)base)->at;
    return SQLITE_OK;
}

int tq_each_register(struct tq_sql *sql) {
    static const sqlite3_module module = {.xConnect = connect,
                                          .xBestIndex = best_index,
                                          .xDisconnect = disconnect,
                                          .xOpen = open_cursor,
                                          .xClose = close_cursor,
                                          .xFilter = filter,
                                          .xNext = next,
                                          .xEof = eof,
                                          .xColumn = column,
                                          .xRowid = rowid};
    return sqlite3_create_module_v2(sql->db, "tq_each", &module, NULL, NULL);
}
