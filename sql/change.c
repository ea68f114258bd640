/* Writing one row's change: its vectors to their parts, and the row to the table's own tables. */
#include "sql/change.h"

#include <string.h>

#include "src/base/alloc.h"

/* ---- What is kept from change to change ---- */

void tq_writer_free(struct tq_writer *writer) {
    if (writer == NULL) return;
    if (writer->vectors != NULL && writer->partition != NULL) tq_writer_reset(writer);
    for (size_t v = 0; writer->vectors != NULL && v < writer->vector_count; v++) {
        tq_free(writer->vectors[v].floats.data);
        tq_free(writer->vectors[v].stored);
    }
    for (size_t i = 0; i < TQ_TEXT_COUNT; i++) sqlite3_free(writer->texts[i]);
    tq_free(writer->vectors);
    tq_free(writer->partition);
    tq_free(writer->new_partition);
    tq_free(writer->set);
    tq_free(writer->last_set);
    tq_free(writer);
}

static void *zeros(size_t count, size_t size) {
    void *memory = tq_alloc_array(count, size);
    if (memory != NULL) memset(memory, 0, count * size);
    return memory;
}

enum tq_status tq_writer_get(struct tq_sql_table *table, struct tq_writer **writer) {
    const struct tq_declaration *d = &table->declaration;
    if (table->writer == NULL) {
        struct tq_writer *made = tq_alloc_zero(sizeof *made);
        if (made == NULL) return TQ_NOMEM;
        made->vector_count = d->vectors;
        made->partition_count = d->partitions;
        made->vectors = zeros(d->vectors, sizeof *made->vectors);
        made->partition = zeros(d->partitions, sizeof *made->partition);
        made->new_partition = zeros(d->partitions, sizeof *made->new_partition);
        made->set = zeros(d->count + 1, sizeof *made->set);
        made->last_set = zeros(d->count + 1, sizeof *made->last_set);
        if (made->vectors == NULL || made->partition == NULL || made->new_partition == NULL || made->set == NULL ||
            made->last_set == NULL) {
            tq_writer_free(made);
            return TQ_NOMEM;
        }
        table->writer = made;
    }
    *writer = table->writer;
    return TQ_OK;
}

void tq_writer_reset(struct tq_writer *writer) {
    for (size_t v = 0; v < writer->vector_count; v++) {
        struct tq_vector_change *vector = &writer->vectors[v];
        *vector = (struct tq_vector_change){.floats = vector->floats, .stored = vector->stored};
    }
    for (size_t p = 0; p < writer->partition_count; p++) {
        sqlite3_value_free(writer->partition[p]);
        writer->partition[p] = NULL;
    }
}

void tq_writer_forget(struct tq_writer *writer) {
    if (writer != NULL) writer->top_known = false;
}

/* ---- Texts: ?1 is the row's id, ?2 its old one, ?3 and so on the columns of the declaration ---- */

enum { FIRST_PARAMETER = 3 };

/* Whether a column is one of the table `apart`, or else of rows, beside its id; set: only if it is set. */
static bool is_stored(const struct tq_declaration *d, size_t column, bool apart, const bool *set) {
    enum tq_column_kind kind = d->columns[column].kind;
    return kind != TQ_COLUMN_ID && (kind == TQ_COLUMN_APART) == apart && (set == NULL || set[column]);
}

static void append_insert(sqlite3_str *out, const struct tq_sql_table *table, bool apart) {
    const struct tq_declaration *d = &table->declaration;
    sqlite3_str_appendf(out, "INSERT INTO \"%w\".\"%w_%s\"(id", table->schema, table->name, apart ? "aux" : "rows");
    for (size_t i = 0; i < d->count; i++) {
        if (is_stored(d, i, apart, NULL)) sqlite3_str_appendf(out, ", %s", d->columns[i].stored);
    }
    sqlite3_str_appendall(out, ") VALUES (?1");
    for (size_t i = 0; i < d->count; i++) {
        if (is_stored(d, i, apart, NULL)) sqlite3_str_appendf(out, ", ?%d", (int)i + FIRST_PARAMETER);
    }
    sqlite3_str_appendall(out, ")");
}

static void append_update(sqlite3_str *out, const struct tq_sql_table *table, bool apart) {
    const struct tq_declaration *d = &table->declaration;
    const bool *set = table->writer->set;
    const char *before = " SET ";
    sqlite3_str_appendf(out, "UPDATE \"%w\".\"%w_%s\"", table->schema, table->name, apart ? "aux" : "rows");
    if (set[d->count]) {
        sqlite3_str_appendf(out, "%sid = ?1", before);
        before = ", ";
    }
    for (size_t i = 0; i < d->count; i++) {
        if (!is_stored(d, i, apart, set)) continue;
        sqlite3_str_appendf(out, "%s%s = ?%d", before, d->columns[i].stored, (int)i + FIRST_PARAMETER);
        before = ", ";
    }
    sqlite3_str_appendall(out, " WHERE id = ?2");
}

/* Column 0 is the id, so that the others need no care for commas. */
static void append_look(sqlite3_str *out, const struct tq_sql_table *table) {
    const struct tq_declaration *d = &table->declaration;
    static const enum tq_column_kind kinds[] = {TQ_COLUMN_VECTOR, TQ_COLUMN_PARTITION};
    sqlite3_str_appendall(out, "SELECT id");
    for (size_t k = 0; k < TQ_COUNT(kinds); k++) {
        for (size_t i = 0; i < d->count; i++) {
            if (d->columns[i].kind == kinds[k]) sqlite3_str_appendf(out, ", %s", d->columns[i].stored);
        }
    }
    sqlite3_str_appendf(out, " FROM \"%w\".\"%w_rows\" WHERE id = ?1", table->schema, table->name);
}

static char *make_text(const struct tq_sql_table *table, enum tq_writer_text which) {
    const char *s = table->schema, *n = table->name;
    sqlite3_str *out = sqlite3_str_new(table->sql->db);
    switch (which) {
    case TQ_TEXT_LARGEST_ID: sqlite3_str_appendf(out, "SELECT ifnull(max(id), 0) FROM \"%w\".\"%w_rows\"", s, n); break;
    case TQ_TEXT_HAS_ID: sqlite3_str_appendf(out, "SELECT id FROM \"%w\".\"%w_rows\" WHERE id = ?1", s, n); break;
    case TQ_TEXT_OF_KEY: sqlite3_str_appendf(out, "SELECT id FROM \"%w\".\"%w_rows\" WHERE key = ?1", s, n); break;
    case TQ_TEXT_LOOK: append_look(out, table); break;
    case TQ_TEXT_DELETE: sqlite3_str_appendf(out, "DELETE FROM \"%w\".\"%w_rows\" WHERE id = ?1", s, n); break;
    case TQ_TEXT_DELETE_APART: sqlite3_str_appendf(out, "DELETE FROM \"%w\".\"%w_aux\" WHERE id = ?1", s, n); break;
    case TQ_TEXT_INSERT: append_insert(out, table, false); break;
    case TQ_TEXT_INSERT_APART: append_insert(out, table, true); break;
    case TQ_TEXT_UPDATE: append_update(out, table, false); break;
    case TQ_TEXT_UPDATE_APART: append_update(out, table, true); break;
    case TQ_TEXT_COUNT: break;
    }
    return sqlite3_str_finish(out);
}

static enum tq_status take(struct tq_sql_table *table, enum tq_writer_text which, sqlite3_stmt **statement) {
    char **text = &table->writer->texts[which];
    if (*text == NULL) *text = make_text(table, which);
    if (*text == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", table->name);
    return tq_sql_take(table, *text, statement);
}

/* rc: of the last call on the statement. */
static enum tq_status give(struct tq_sql_table *table, enum tq_writer_text which, sqlite3_stmt *statement, int rc) {
    enum tq_status status = TQ_OK;
    if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE) {
        status = tq_sql_fail(table->sql->db, rc, "reading or writing rows");
    }
    (void)sqlite3_clear_bindings(statement); /* a row's values may be large */
    tq_sql_give(table, table->writer->texts[which], statement);
    return status;
}

/* ---- Looking ---- */

enum tq_status tq_writer_find(struct tq_sql_table *table, enum tq_writer_text which, int64_t id, sqlite3_value *value,
                              bool *found, int64_t *number) {
    sqlite3_stmt *statement = NULL;
    int rc = SQLITE_OK;
    TQ_TRY(take(table, which, &statement));
    if (value != NULL)
        rc = sqlite3_bind_value(statement, 1, value);
    else if (sqlite3_bind_parameter_count(statement) > 0)
        rc = sqlite3_bind_int64(statement, 1, id);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    *found = rc == SQLITE_ROW;
    if (*found) *number = sqlite3_column_int64(statement, 0);
    return give(table, which, statement, rc);
}

static enum tq_status keep_row(struct tq_writer *writer, sqlite3_stmt *statement) {
    int column = 1;
    for (size_t v = 0; v < writer->vector_count; v++, column++) {
        struct tq_vector_change *vector = &writer->vectors[v];
        vector->had = sqlite3_column_type(statement, column) != SQLITE_NULL;
        vector->old_slot = (uint64_t)sqlite3_column_int64(statement, column);
    }
    for (size_t p = 0; p < writer->partition_count; p++, column++) {
        writer->partition[p] = sqlite3_value_dup(sqlite3_column_value(statement, column));
        if (writer->partition[p] == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    }
    return TQ_OK;
}

enum tq_status tq_writer_look(struct tq_sql_table *table, int64_t id, bool *found) {
    sqlite3_stmt *statement = NULL;
    enum tq_status status = TQ_OK;
    TQ_TRY(take(table, TQ_TEXT_LOOK, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    int rc = sqlite3_step(statement);
    *found = rc == SQLITE_ROW;
    if (*found) status = keep_row(table->writer, statement);
    enum tq_status read = give(table, TQ_TEXT_LOOK, statement, rc);
    return status == TQ_OK ? read : status;
}

/* ---- Writing ---- */

static enum tq_status delete_slot(struct tq_sql_table *table, struct tq_change *change, int64_t id, size_t vector,
                                  uint64_t slot) {
    struct tq_sql_part *part = NULL;
    TQ_TRY(tq_sql_part_of_slot(table, slot, vector, &part));
    part->used = true;
    TQ_TRY(tq_table_delete_slot(part->table, id, slot));
    change->wrote = change->logged = true;
    return TQ_OK;
}

static enum tq_status delete_slots(struct tq_sql_table *table, struct tq_change *change, int64_t id) {
    sqlite3_stmt *statement = NULL;
    enum tq_status status = TQ_OK;
    TQ_TRY(take(table, TQ_TEXT_LOOK, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    int rc = sqlite3_step(statement);
    for (size_t v = 0; v < table->declaration.vectors && rc == SQLITE_ROW && status == TQ_OK; v++) {
        int column = (int)v + 1;
        if (sqlite3_column_type(statement, column) == SQLITE_NULL) continue;
        status = delete_slot(table, change, id, v, (uint64_t)sqlite3_column_int64(statement, column));
    }
    if (status != TQ_OK) {
        tq_sql_give(table, table->writer->texts[TQ_TEXT_LOOK], statement);
        return status;
    }
    return give(table, TQ_TEXT_LOOK, statement, rc);
}

static enum tq_status delete_from(struct tq_sql_table *table, struct tq_change *change, enum tq_writer_text which,
                                  int64_t id) {
    bool found = false;
    int64_t unused = 0;
    TQ_TRY(tq_writer_find(table, which, id, NULL, &found, &unused));
    change->wrote = true;
    return TQ_OK;
}

static enum tq_status delete_row(struct tq_sql_table *table, struct tq_change *change, int64_t id) {
    TQ_TRY(delete_slots(table, change, id));
    TQ_TRY(delete_from(table, change, TQ_TEXT_DELETE, id));
    return table->declaration.apart == 0 ? TQ_OK : delete_from(table, change, TQ_TEXT_DELETE_APART, id);
}

static enum tq_status put_vectors(struct tq_sql_table *table, struct tq_change *change) {
    size_t count = table->declaration.vectors;
    for (size_t v = 0; v < count; v++) {
        struct tq_vector_change *vector = &table->writer->vectors[v];
        struct tq_sql_part *part = NULL;
        if (!vector->written || vector->vector == NULL) continue;
        TQ_TRY(tq_sql_part(table, change->partition * count + v, &part));
        part->used = true;
        TQ_TRY(tq_table_put_slot(part->table, change->id, &vector->row, &vector->slot));
        vector->has = change->wrote = change->logged = true;
    }
    return TQ_OK;
}

static int bind_column(const struct tq_sql_table *table, sqlite3_stmt *statement, size_t column,
                       sqlite3_value **values) {
    const struct tq_sql_column *c = &table->declaration.columns[column];
    int parameter = (int)column + FIRST_PARAMETER;
    if (c->kind != TQ_COLUMN_VECTOR) return sqlite3_bind_value(statement, parameter, values[TQ_FIRST_COLUMN + column]);
    const struct tq_vector_change *vector = &table->writer->vectors[c->number];
    if (!vector->has) return sqlite3_bind_null(statement, parameter);
    return sqlite3_bind_int64(statement, parameter, (sqlite3_int64)vector->slot);
}

/* `set`: of UPDATE; NULL: INSERT, all columns. */
static enum tq_status write_to(struct tq_sql_table *table, struct tq_change *change, sqlite3_value **values, bool apart,
                               const bool *set) {
    enum tq_writer_text which = set == NULL ? TQ_TEXT_INSERT : TQ_TEXT_UPDATE;
    sqlite3_stmt *statement = NULL;
    if (apart) which = set == NULL ? TQ_TEXT_INSERT_APART : TQ_TEXT_UPDATE_APART;
    TQ_TRY(take(table, which, &statement));
    int rc = SQLITE_OK;
    if (set == NULL || set[table->declaration.count]) rc = sqlite3_bind_int64(statement, 1, change->id);
    if (set != NULL) rc = sqlite3_bind_int64(statement, 2, change->old_id);
    for (size_t i = 0; i < table->declaration.count && rc == SQLITE_OK; i++) {
        if (is_stored(&table->declaration, i, apart, set)) rc = bind_column(table, statement, i, values);
    }
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    TQ_TRY(give(table, which, statement, rc));
    change->wrote = true;
    return TQ_OK;
}

static enum tq_status insert_row(struct tq_sql_table *table, struct tq_change *change, sqlite3_value **values) {
    TQ_TRY(write_to(table, change, values, false, NULL));
    return table->declaration.apart == 0 ? TQ_OK : write_to(table, change, values, true, NULL);
}

/* Only what is set, so that indexes of other columns rest; the texts are those of the last row if it set the same. */
static void choose_set(struct tq_sql_table *table, const struct tq_change *change, sqlite3_value **values) {
    const struct tq_declaration *d = &table->declaration;
    struct tq_writer *writer = table->writer;
    for (size_t i = 0; i < d->count; i++) {
        const struct tq_sql_column *column = &d->columns[i];
        writer->set[i] = column->kind == TQ_COLUMN_VECTOR ? writer->vectors[column->number].written
                                                          : !sqlite3_value_nochange(values[TQ_FIRST_COLUMN + i]);
    }
    writer->set[d->count] = change->id != change->old_id;
    size_t size = (d->count + 1) * sizeof *writer->set;
    if (memcmp(writer->set, writer->last_set, size) == 0) return;
    memcpy(writer->last_set, writer->set, size);
    sqlite3_free(writer->texts[TQ_TEXT_UPDATE]);
    sqlite3_free(writer->texts[TQ_TEXT_UPDATE_APART]);
    writer->texts[TQ_TEXT_UPDATE] = writer->texts[TQ_TEXT_UPDATE_APART] = NULL;
}

static enum tq_status update_in(struct tq_sql_table *table, struct tq_change *change, sqlite3_value **values,
                                bool apart) {
    const struct tq_declaration *d = &table->declaration;
    const bool *set = table->writer->set;
    bool any = set[d->count];
    for (size_t i = 0; i < d->count && !any; i++) any = is_stored(d, i, apart, set);
    return any ? write_to(table, change, values, apart, set) : TQ_OK;
}

static enum tq_status update_row(struct tq_sql_table *table, struct tq_change *change, sqlite3_value **values) {
    choose_set(table, change, values);
    TQ_TRY(update_in(table, change, values, false));
    return table->declaration.apart == 0 ? TQ_OK : update_in(table, change, values, true);
}

/* Other connections keep what they know of the rows until they are told that it has changed. */
static enum tq_status tell(struct tq_sql_table *table, const struct tq_change *change) {
    struct tq_sql_part *part = NULL;
    if (!change->wrote || change->logged) return TQ_OK;
    TQ_TRY(tq_sql_part(table, 0, &part));
    part->used = true;
    return tq_table_touch(part->table);
}

static enum tq_status write_all(struct tq_sql_table *table, struct tq_change *change, sqlite3_value **values) {
    for (size_t i = 0; i < change->replaced_count; i++) TQ_TRY(delete_row(table, change, change->replaced[i]));
    if (!change->has) {
        TQ_TRY(delete_row(table, change, change->old_id));
        return tell(table, change);
    }
    for (size_t v = 0; change->had && v < table->declaration.vectors; v++) {
        const struct tq_vector_change *vector = &table->writer->vectors[v];
        if (vector->had && vector->written) TQ_TRY(delete_slot(table, change, change->old_id, v, vector->old_slot));
    }
    TQ_TRY(put_vectors(table, change));
    TQ_TRY(change->had ? update_row(table, change, values) : insert_row(table, change, values));
    return tell(table, change);
}

enum tq_status tq_change_write(struct tq_sql_table *table, struct tq_change *change, sqlite3_value **values) {
    enum tq_status status = write_all(table, change, values);
    if (status == TQ_OK || !change->wrote) return status;
    /* Half a change: only a code after which SQLite rolls back will do. */
    if (status == TQ_FULL || status == TQ_NOMEM || status == TQ_INTERRUPTED) return status;
    char text[400];
    sqlite3_snprintf(sizeof text, text, "%s", tq_message());
    return tq_fail(TQ_IO, "%s; the transaction was rolled back", text);
}
