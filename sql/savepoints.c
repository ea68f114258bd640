/* Transactions. Rows are in tables, so that SQLite itself undoes them; here the index learns of it.
 *
 * Two sqlite3_vtab objects may stand for one table within a transaction, and both are told of everything: each of these
 * may be called twice in a row. */
#include "sql/vtab.h"

#include "src/base/alloc.h"

static struct tq_sql_table *table_of(sqlite3_vtab *vtab) { return ((struct tq_vtab *)vtab)->table; }

int tq_vtab_begin(sqlite3_vtab *vtab) {
    enum tq_status status = tq_sql_table_open(table_of(vtab));
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

int tq_vtab_sync(sqlite3_vtab *vtab) {
    struct tq_sql_table *table = table_of(vtab);
    if (table->access == NULL) return SQLITE_OK;
    sqlite3_int64 last = sqlite3_last_insert_rowid(table->sql->db);
    enum tq_status status = tq_cursors_detach(table);
    if (status == TQ_OK) status = tq_table_sync(table->access->table);
    sqlite3_set_last_insert_rowid(table->sql->db, last);
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

static void ended(struct tq_sql_table *table) {
    table->mark_count = 0;
    table->changes++;
}

int tq_vtab_commit(sqlite3_vtab *vtab) {
    struct tq_sql_table *table = table_of(vtab);
    if (table->access != NULL) tq_table_committed(table->access->table);
    ended(table);
    return SQLITE_OK;
}

/* What a scan had still to read may be gone with the transaction, and asking is not possible here: it ends with an
 * error, not with fewer rows. */
int tq_vtab_rollback(sqlite3_vtab *vtab) {
    struct tq_sql_table *table = table_of(vtab);
    for (struct tq_sql_cursor *c = table->cursors; c != NULL; c = c->next) {
        if (c->source == TQ_SOURCE_SCAN && !c->eof) c->source = TQ_SOURCE_LOST;
    }
    if (table->access != NULL) tq_table_rolled_back(table->access->table);
    ended(table);
    return SQLITE_OK;
}

/* ---- Savepoints ---- */

static struct tq_sql_mark *find(struct tq_sql_table *table, int savepoint) {
    for (size_t i = 0; i < table->mark_count; i++) {
        if (table->marks[i].savepoint == savepoint) return &table->marks[i];
    }
    return NULL;
}

int tq_vtab_savepoint(sqlite3_vtab *vtab, int savepoint) {
    struct tq_sql_table *table = table_of(vtab);
    uint64_t mark = table->access != NULL ? tq_table_mark(table->access->table) : 0;
    struct tq_sql_mark *there = find(table, savepoint);
    if (there != NULL) {
        there->mark = mark;
        return SQLITE_OK;
    }
    if (table->mark_count == table->mark_capacity) {
        size_t capacity = table->mark_capacity * 2 + 8;
        struct tq_sql_mark *grown = tq_realloc(table->marks, table->mark_capacity * sizeof *grown,
                                               capacity * sizeof *grown);
        if (grown == NULL) return SQLITE_NOMEM;
        table->marks = grown;
        table->mark_capacity = capacity;
    }
    table->marks[table->mark_count++] = (struct tq_sql_mark){.savepoint = savepoint, .mark = mark};
    return SQLITE_OK;
}

/* Savepoints from this one on are gone. */
static void forget(struct tq_sql_table *table, int savepoint) {
    size_t kept = 0;
    for (size_t i = 0; i < table->mark_count; i++) {
        if (table->marks[i].savepoint < savepoint) table->marks[kept++] = table->marks[i];
    }
    table->mark_count = kept;
}

int tq_vtab_release(sqlite3_vtab *vtab, int savepoint) {
    forget(table_of(vtab), savepoint);
    return SQLITE_OK;
}

/* A savepoint that we were not told of was opened before our first write: nothing of ours is older. */
int tq_vtab_rollback_to(sqlite3_vtab *vtab, int savepoint) {
    struct tq_sql_table *table = table_of(vtab);
    const struct tq_sql_mark *there = find(table, savepoint);
    uint64_t mark = there != NULL ? there->mark : 0;
    enum tq_status status = tq_cursors_detach(table);
    forget(table, savepoint + 1);
    if (table->access != NULL) {
        enum tq_status undone = tq_table_undo(table->access->table, mark);
        if (status == TQ_OK) status = undone;
    }
    table->changes++;
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}
