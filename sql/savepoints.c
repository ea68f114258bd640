/* Transactions. Rows are in tables, so that SQLite itself undoes them; here the parts learn of it.
 *
 * Two sqlite3_vtab objects may stand for one table within a transaction, and both are told of everything: each of
 * these may be called twice in a row. */
#include "sql/change.h"
#include "sql/host_stop.h"

#include "src/base/alloc.h"

static struct tq_sql_table *table_of(sqlite3_vtab *vtab) { return ((struct tq_vtab *)vtab)->table; }

/* The first part at or after *number that the transaction has written to, or NULL. */
static struct tq_sql_part *next_used(const struct tq_sql_table *table, size_t *number) {
    for (; *number < table->part_capacity; ++*number) {
        struct tq_sql_part *part = table->parts[*number];
        if (part != NULL && part->used) return part;
    }
    return NULL;
}

int tq_vtab_begin(sqlite3_vtab *vtab) {
    tq_writer_forget(table_of(vtab)->writer);
    enum tq_status status = tq_sql_table_open(table_of(vtab));
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

/* Whether the transaction may have made the part, or made it another one. */
static bool may_be_new(const struct tq_sql_table *table, size_t number) {
    return table->repaired || number >= table->declaration.vectors;
}

/* Whether what runs may still call it the transaction's, after this rollback. */
static bool is_in_use(const struct tq_sql_table *table, size_t number) {
    return table->holds > 0 && table->parts[number] != NULL && table->parts[number]->used;
}

static void ended(struct tq_sql_table *table) {
    for (size_t i = 0; i < table->part_capacity; i++) {
        struct tq_sql_part *part = table->parts[i];
        if (part == NULL) continue;
        part->used = false;
        part->mark_count = 0;
    }
    table->repaired = table->created = table->doubted = false;
    table->closed_in = 0;
    table->changes++;
    tq_writer_forget(table->writer);
}

static void undo_all(struct tq_sql_table *table) {
    struct tq_sql_part *part = NULL;
    for (size_t number = 0; (part = next_used(table, &number)) != NULL; number++) tq_table_rolled_back(part->table);
    for (size_t number = 0; number < table->part_capacity; number++) {
        if (may_be_new(table, number) || is_in_use(table, number)) tq_sql_part_lose(table, number);
    }
    bool doubted = table->created || table->doubted;
    ended(table);
    table->doubted = doubted; /* a statement that is kept prepared may keep it for the older table of its name */
}

/* SQLite calls no xRollbackTo for savepoints that are older than the table: ROLLBACK TO has taken it away, and what it
 * had written. */
static enum tq_status look_if_there(struct tq_sql_table *table, bool *there) {
    *there = !table->gone;
    return table->created && *there ? tq_sql_table_stands(table, there) : TQ_OK;
}

static enum tq_status sync_parts(struct tq_sql_table *table) {
    struct tq_sql_part *part = NULL;
    bool there = true;
    TQ_TRY(look_if_there(table, &there));
    TQ_TRY(tq_cursors_detach(table));
    if (!there) {
        undo_all(table);
        return TQ_OK;
    }
    for (size_t number = 0; (part = next_used(table, &number)) != NULL; number++) TQ_TRY(tq_table_sync(part->table));
    return TQ_OK;
}

int tq_vtab_sync(sqlite3_vtab *vtab) {
    struct tq_sql_table *table = table_of(vtab);
    size_t number = 0;
    if (next_used(table, &number) == NULL) return SQLITE_OK;
    sqlite3_int64 last = sqlite3_last_insert_rowid(table->sql->db);
    bool failed_before = sqlite3_errcode(table->sql->db) == SQLITE_NOMEM;
    struct tq_sql_stop stop;
    tq_sql_stop_begin(&stop, table->sql->db);
    tq_sql_parts_hold(table);
    enum tq_status status = sync_parts(table);
    tq_sql_parts_let_go(table);
    tq_sql_stop_end(&stop);
    sqlite3_set_last_insert_rowid(table->sql->db, last);
    /* Where a statement of ours got no memory, SQLite's COMMIT will say SQLITE_NOMEM, whatever we did about it: then it
     * must not happen. */
    if (status == TQ_OK && !failed_before && sqlite3_errcode(table->sql->db) == SQLITE_NOMEM) return SQLITE_NOMEM;
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

int tq_vtab_commit(sqlite3_vtab *vtab) {
    struct tq_sql_table *table = table_of(vtab);
    struct tq_sql_part *part = NULL;
    for (size_t number = 0; (part = next_used(table, &number)) != NULL; number++) tq_table_committed(part->table);
    ended(table);
    return SQLITE_OK;
}

/* What a scan had still to read may be gone with the transaction, and asking is not possible here, where SQL would
 * take a lock that nobody gives back: the scan ends with an error, not with fewer rows. A statement on the table of
 * rows knows for itself. */
int tq_vtab_rollback(sqlite3_vtab *vtab) {
    struct tq_sql_table *table = table_of(vtab);
    for (struct tq_sql_cursor *c = table->cursors; c != NULL; c = c->next) {
        if (c->source == TQ_SOURCE_SCAN && !c->eof) c->source = TQ_SOURCE_LOST;
    }
    undo_all(table);
    return SQLITE_OK;
}

/* ---- Savepoints ---- */

/* Those from this one on are gone. */
static void forget(struct tq_sql_part *part, int savepoint) {
    size_t kept = 0;
    for (size_t i = 0; i < part->mark_count; i++) {
        if (part->marks[i].savepoint < savepoint) part->marks[kept++] = part->marks[i];
    }
    part->mark_count = kept;
}

/* A savepoint that a part has no mark of was opened before its first write: nothing in it is older. */
static uint64_t mark_of(const struct tq_sql_part *part, int savepoint) {
    for (size_t i = 0; i < part->mark_count; i++) {
        if (part->marks[i].savepoint == savepoint) return part->marks[i].mark;
    }
    return 0;
}

static enum tq_status add_mark(struct tq_sql_part *part, int savepoint) {
    forget(part, savepoint);
    if (part->mark_count == part->mark_capacity) {
        size_t capacity = part->mark_capacity * 2 + 8;
        struct tq_sql_mark *grown = tq_realloc(part->marks, part->mark_capacity * sizeof *grown,
                                               capacity * sizeof *grown);
        if (grown == NULL) return TQ_NOMEM;
        part->marks = grown;
        part->mark_capacity = capacity;
    }
    part->marks[part->mark_count++] = (struct tq_sql_mark){.savepoint = savepoint, .mark = tq_table_mark(part->table)};
    return TQ_OK;
}

int tq_vtab_savepoint(sqlite3_vtab *vtab, int savepoint) {
    struct tq_sql_table *table = table_of(vtab);
    struct tq_sql_part *part = NULL;
    for (size_t number = 0; (part = next_used(table, &number)) != NULL; number++) {
        if (add_mark(part, savepoint) != TQ_OK) return SQLITE_NOMEM;
    }
    return SQLITE_OK;
}

int tq_vtab_release(sqlite3_vtab *vtab, int savepoint) {
    struct tq_sql_table *table = table_of(vtab);
    struct tq_sql_part *part = NULL;
    for (size_t number = 0; (part = next_used(table, &number)) != NULL; number++) forget(part, savepoint);
    if (savepoint < table->closed_in) table->closed_in = 0;
    return SQLITE_OK;
}

/* A part that has nothing older than the savepoint is let go of: it may have been made since, and what is there is
 * read again when it is needed, under the name that the table then has. */
static enum tq_status undo_parts(struct tq_sql_table *table, int savepoint) {
    enum tq_status status = TQ_OK;
    for (size_t number = 0; number < table->part_capacity; number++) {
        struct tq_sql_part *part = table->parts[number];
        if (part == NULL || (!part->used && !may_be_new(table, number))) continue;
        uint64_t mark = mark_of(part, savepoint);
        if (mark == 0) {
            tq_sql_part_lose(table, number);
            continue;
        }
        enum tq_status undone = tq_table_undo(part->table, mark);
        forget(part, savepoint + 1);
        if (status == TQ_OK) status = undone;
    }
    return status;
}

int tq_vtab_rollback_to(sqlite3_vtab *vtab, int savepoint) {
    struct tq_sql_table *table = table_of(vtab);
    size_t number = 0;
    bool there = true;
    if (table->closed_in > 0 && savepoint < table->closed_in) {
        /* Of a statement: then SQLite rolls back everything. */
        return tq_vtab_fail(vtab, tq_fail(TQ_IO, "the rows of a bulk cannot be kept; roll the transaction back"));
    }
    tq_sql_parts_hold(table); /* a statement of ours that gets no memory makes SQLite roll back everything */
    enum tq_status status = tq_cursors_detach(table);
    if (status == TQ_OK && next_used(table, &number) != NULL) status = look_if_there(table, &there);
    if (!there) undo_all(table);
    enum tq_status undone = undo_parts(table, savepoint);
    tq_sql_parts_let_go(table);
    tq_writer_forget(table->writer);
    table->changes++;
    if (status == TQ_OK) status = undone;
    return status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
}

/* ---- DROP and RENAME ---- */

/* They close the table, and so forget what only it can undo. For their own savepoint, which is the last one, there is
 * the way back of rolling back everything: *bulk. */
enum tq_status tq_vtab_check_close(const struct tq_sql_table *table, bool *bulk, int *savepoint) {
    const struct tq_sql_part *part = NULL;
    *bulk = false;
    for (size_t number = 0; (part = next_used(table, &number)) != NULL; number++) {
        for (size_t i = 0; i < part->mark_count; i++) {
            if (!tq_table_undoes(part->table, part->marks[i].mark)) continue;
            if (i + 1 < part->mark_count) {
                return tq_fail(TQ_MISUSE, "many rows were inserted before a savepoint that is open: RELEASE it, or "
                                          "COMMIT, before the table is dropped or renamed");
            }
            *bulk = true;
            *savepoint = part->marks[i].savepoint;
        }
    }
    return TQ_OK;
}
