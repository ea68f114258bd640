/* SQL on a table's own tables: statements that are kept prepared, by their text. */
#include <stdarg.h>
#include <string.h>

#include "sql/registry.h"
#include "src/base/alloc.h"

int tq_sql_code(enum tq_status status) {
    switch (status) {
    case TQ_OK: return SQLITE_OK;
    case TQ_NOMEM: return SQLITE_NOMEM;
    case TQ_IO: return SQLITE_IOERR;
    case TQ_FULL: return SQLITE_FULL;
    case TQ_CORRUPT: return SQLITE_CORRUPT_VTAB;
    case TQ_BUSY: return SQLITE_BUSY;
    case TQ_INTERRUPTED: return SQLITE_INTERRUPT;
    default: return SQLITE_ERROR;
    }
}

enum tq_status tq_sql_fail(sqlite3 *db, int rc, const char *doing) {
    enum tq_status status = TQ_MISUSE;
    switch (rc & 0xff) {
    case SQLITE_NOMEM: status = TQ_NOMEM; break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: status = TQ_BUSY; break;
    case SQLITE_FULL: status = TQ_FULL; break;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: status = TQ_IO; break;
    case SQLITE_CORRUPT: status = TQ_CORRUPT; break;
    case SQLITE_INTERRUPT: status = TQ_INTERRUPTED; break;
    default: break;
    }
    if (status == TQ_IO && tq_conn_no_room(db, sqlite3_api)) status = TQ_FULL;
    return tq_fail(status, "%s%s%s", doing == NULL ? "" : doing, doing == NULL ? "" : ": ", sqlite3_errmsg(db));
}

enum tq_status tq_sql_execf(sqlite3 *db, const char *doing, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = sqlite3_vmprintf(format, args);
    va_end(args);
    if (text == NULL) return tq_fail(TQ_NOMEM, "%s: out of memory", doing);
    int rc = sqlite3_exec(db, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return rc == SQLITE_OK ? TQ_OK : tq_sql_fail(db, rc, doing);
}

/* ---- Kept statements ---- */

enum tq_status tq_sql_take(struct tq_sql_table *table, const char *text, sqlite3_stmt **statement) {
    for (size_t i = 0; i < TQ_KEPT_STATEMENTS; i++) {
        struct tq_sql_kept *kept = &table->kept[i];
        if (kept->statement == NULL || strcmp(kept->text, text) != 0) continue;
        *statement = kept->statement;
        kept->statement = NULL;
        return TQ_OK;
    }
    int rc = sqlite3_prepare_v3(table->sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    return rc == SQLITE_OK ? TQ_OK : tq_sql_fail(table->sql->db, rc, "preparing");
}

/* The place that has this text already, else an empty one, else the one that was used longest ago. */
static struct tq_sql_kept *place_for(struct tq_sql_table *table, const char *text) {
    struct tq_sql_kept *best = &table->kept[0];
    for (size_t i = 0; i < TQ_KEPT_STATEMENTS; i++) {
        struct tq_sql_kept *kept = &table->kept[i];
        if (kept->text != NULL && kept->statement == NULL && strcmp(kept->text, text) == 0) return kept;
        if (kept->text == NULL || kept->used < best->used) best = kept;
    }
    return best;
}

void tq_sql_give(struct tq_sql_table *table, const char *text, sqlite3_stmt *statement) {
    if (statement == NULL) return;
    (void)sqlite3_reset(statement);
    /* A table that was closed meanwhile keeps nothing: its statements would hold the connection. */
    struct tq_sql_kept *kept = table->place == NULL ? NULL : place_for(table, text);
    if (kept != NULL && (kept->text == NULL || strcmp(kept->text, text) != 0)) {
        char *copy = tq_sql_text(text);
        if (copy == NULL) {
            kept = NULL;
        } else {
            tq_free(kept->text);
            kept->text = copy;
        }
    }
    if (kept == NULL) {
        (void)sqlite3_finalize(statement);
        return;
    }
    (void)sqlite3_finalize(kept->statement);
    kept->statement = statement;
    kept->used = ++table->kept_clock;
}

enum tq_status tq_sql_once(struct tq_sql_table *table, const char *format, int64_t value, bool *found,
                           int64_t *result) {
    const char *s = table->schema, *n = table->name;
    sqlite3_stmt *statement = NULL;
    char *text = sqlite3_mprintf(format, s, n, s, n, s, n);
    enum tq_status status = text == NULL ? TQ_NOMEM : tq_sql_take(table, text, &statement);
    if (status == TQ_OK) {
        if (sqlite3_bind_parameter_count(statement) > 0) (void)sqlite3_bind_int64(statement, 1, value);
        int rc = sqlite3_step(statement);
        if (found != NULL) *found = rc == SQLITE_ROW;
        if (result != NULL && rc == SQLITE_ROW) *result = sqlite3_column_int64(statement, 0);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
            status = tq_sql_fail(table->sql->db, rc, "reading or writing rows");
        }
        tq_sql_give(table, text, statement);
    }
    sqlite3_free(text);
    return status;
}

void tq_sql_statements_close(struct tq_sql_table *table) {
    for (size_t i = 0; i < TQ_KEPT_STATEMENTS; i++) {
        (void)sqlite3_finalize(table->kept[i].statement);
        tq_free(table->kept[i].text);
        table->kept[i] = (struct tq_sql_kept){.text = NULL};
    }
}
