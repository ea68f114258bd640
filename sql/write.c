/* INSERT, UPDATE, DELETE: reading and checking. Everything is checked before anything is written: SQLite opens no
 * savepoint for a statement that writes one row, so what a failed one has written would stay. Only an empty partition
 * may, which nobody sees. */
#include <string.h>

#include "sql/change.h"
#include "sql/host_stop.h"
#include "src/base/alloc.h"

static const struct tq_format *format_of(const struct tq_sql_table *table, size_t vector) {
    return &table->engines[vector]->codec->format;
}

static sqlite3_value *hidden_of(const struct tq_sql_table *table, sqlite3_value **values, enum tq_hidden hidden) {
    return values[TQ_FIRST_COLUMN + table->declaration.count + (size_t)hidden];
}

/* UPDATE that does not set the column. */
static bool is_kept(const struct tq_change *change, sqlite3_value *value) {
    return change->had && sqlite3_value_nochange(value);
}

/* ---- Hidden columns ---- */

static bool is_update_from(const struct tq_sql_table *table, sqlite3_value **values) {
    for (int hidden = 0; hidden < TQ_HIDDEN_COUNT; hidden++) {
        if (sqlite3_value_nochange(hidden_of(table, values, hidden))) return false;
    }
    return true;
}

/* UPDATE ... FROM hands back what a search has found: score and distance. */
static enum tq_status check_hidden(const struct tq_sql_table *table, sqlite3_value **values,
                                   const struct tq_change *change) {
    const char *names[TQ_HIDDEN_COUNT] = {table->name, "k", "score", "distance"};
    for (int hidden = 0; hidden < TQ_HIDDEN_COUNT; hidden++) {
        sqlite3_value *value = hidden_of(table, values, hidden);
        if (sqlite3_value_type(value) == SQLITE_NULL || is_kept(change, value)) continue;
        if (change->from && (hidden == TQ_HIDDEN_SCORE || hidden == TQ_HIDDEN_DISTANCE)) continue;
        return tq_fail(TQ_MISUSE, "column %s belongs to queries and cannot be written", names[hidden]);
    }
    return TQ_OK;
}

/* ---- Rowid and key ---- */

/* What a column of INTEGER PRIMARY KEY takes: 5, 5.0, '5'. */
static bool as_integer(sqlite3_value *value, int64_t *number) {
    int type = sqlite3_value_numeric_type(value);
    double real = sqlite3_value_double(value);
    if (type == SQLITE_INTEGER) *number = sqlite3_value_int64(value);
    if (type != SQLITE_FLOAT) return type == SQLITE_INTEGER;
    if (!(real >= -0x1p63 && real < 0x1p63) || real != (double)(int64_t)real) return false;
    *number = (int64_t)real;
    return true;
}

static enum tq_status read_integer(const char *name, sqlite3_value *value, int64_t *number) {
    if (as_integer(value, number)) return TQ_OK;
    int type = sqlite3_value_type(value);
    if (type == SQLITE_NULL) return tq_fail(TQ_MISUSE, "%s cannot become NULL", name);
    if (type == SQLITE_BLOB) return tq_fail(TQ_MISUSE, "datatype mismatch: %s is a blob, not an integer", name);
    const char *text = (const char *)sqlite3_value_text(value), *quote = type == SQLITE_TEXT ? "'" : "";
    return tq_fail(TQ_MISUSE, "datatype mismatch: %s is %s%.40s%s, not an integer", name, quote,
                   text == NULL ? "" : text, quote);
}

/* The rowid has two names, its own and that of the ID column: each may say which row it is to be, or leave it open. */
static enum tq_status read_id(const struct tq_sql_table *table, sqlite3_value **values, struct tq_change *change) {
    const struct tq_declaration *d = &table->declaration;
    const struct tq_sql_column *column = d->id < 0 ? NULL : &d->columns[d->id];
    sqlite3_value *own = values[1], *named = column == NULL ? NULL : values[TQ_FIRST_COLUMN + d->id];
    bool own_says = change->had || sqlite3_value_type(own) != SQLITE_NULL;
    bool named_says = named != NULL && !is_kept(change, named) &&
                      (change->had || sqlite3_value_type(named) != SQLITE_NULL);
    int64_t own_id = change->old_id, named_id = change->old_id;
    if (own_says) TQ_TRY(read_integer("rowid", own, &own_id));
    if (named_says) TQ_TRY(read_integer(column->name, named, &named_id));
    if (change->had) { /* SQLite gives the old one where it is not set */
        own_says = own_id != change->old_id;
        named_says = named_id != change->old_id;
    }
    if (own_says && named_says && own_id != named_id) {
        return tq_fail(TQ_MISUSE, "rowid is %lld and %s is %lld; they are one", (long long)own_id, column->name,
                       (long long)named_id);
    }
    change->own_id = !change->had && !own_says && !named_says;
    change->id = named_says ? named_id : own_id;
    return TQ_OK;
}

static enum tq_status check_key(const struct tq_sql_table *table, sqlite3_value **values, struct tq_change *change) {
    const struct tq_declaration *d = &table->declaration;
    if (d->key < 0 || sqlite3_value_type(values[TQ_FIRST_COLUMN + d->key]) != SQLITE_NULL ||
        is_kept(change, values[TQ_FIRST_COLUMN + d->key])) {
        return TQ_OK;
    }
    change->constraint = true;
    return tq_fail(TQ_MISUSE, "%s.%s is NULL; every row must have a key", table->name, d->columns[d->key].name);
}

/* ---- Vectors ---- */

static enum tq_status encode(const struct tq_sql_table *table, size_t number) {
    struct tq_vector_change *vector = &table->writer->vectors[number];
    return tq_encode(table->engines[number]->encoder, vector->vector, &vector->row);
}

static enum tq_status read_vector(const struct tq_sql_table *table, const struct tq_sql_column *column,
                                  sqlite3_value *value) {
    struct tq_vector_change *vector = &table->writer->vectors[column->number];
    uint32_t dim = format_of(table, column->number)->dim;
    size_t got = 0;
    char text[64], why[400];
    enum tq_status status = tq_value_vector(value, &vector->floats, &vector->vector, &got);
    if (status == TQ_OK && got != dim) {
        tq_value_describe(value, got, text);
        return tq_fail(TQ_MISUSE, "%s.%s has %u dimension%s, the value has %s", table->name, column->name, dim,
                       dim == 1 ? "" : "s", text);
    }
    if (status == TQ_OK) {
        status = encode(table, column->number);
        /* It refuses what is not finite, too; of the text that people read there is one. */
        if (status == TQ_MISUSE) (void)tq_vector_check_finite(vector->vector, got);
    }
    if (status != TQ_MISUSE) return status;
    sqlite3_snprintf(sizeof why, why, "%s", tq_message());
    return tq_fail(TQ_MISUSE, "%s.%s: %s", table->name, column->name, why);
}

static enum tq_status read_vectors(const struct tq_sql_table *table, sqlite3_value **values,
                                   const struct tq_change *change) {
    const struct tq_declaration *d = &table->declaration;
    for (size_t i = 0; i < d->count; i++) {
        sqlite3_value *value = values[TQ_FIRST_COLUMN + i];
        if (d->columns[i].kind != TQ_COLUMN_VECTOR) continue;
        table->writer->vectors[d->columns[i].number].kept = is_kept(change, value);
        if (is_kept(change, value) || sqlite3_value_type(value) == SQLITE_NULL) continue;
        TQ_TRY(read_vector(table, &d->columns[i], value));
    }
    return TQ_OK;
}

static enum tq_status read_change(const struct tq_sql_table *table, int count, sqlite3_value **values,
                                  struct tq_change *change) {
    change->had = sqlite3_value_type(values[0]) != SQLITE_NULL;
    change->old_id = sqlite3_value_int64(values[0]);
    change->has = count > 1;
    if (!change->has) return TQ_OK;
    change->from = change->had && is_update_from(table, values);
    TQ_TRY(check_hidden(table, values, change));
    TQ_TRY(read_id(table, values, change));
    TQ_TRY(read_vectors(table, values, change));
    return check_key(table, values, change);
}

/* ---- Commands: INSERT INTO words(words) VALUES ('optimize') ---- */

/* There may be thousands of partitions: one of few rows is better off in the log. */
static enum tq_status optimize_part(struct tq_sql_table *table, struct tq_sql_part *part) {
    uint64_t flush = tq_segment_flush_rows(tq_table_format(part->table));
    part->used = true;
    return tq_table_optimize_from(part->table, table->declaration.partitions > 0 ? flush / 8 : 1);
}

static enum tq_status optimize(struct tq_sql_table *table) {
    int64_t number = -1;
    struct tq_sql_part *part = NULL;
    for (bool found = true; found;) {
        TQ_TRY(tq_sql_once(table, "SELECT part FROM \"%w\".\"%w_state\" WHERE part >= ?1 ORDER BY part LIMIT 1",
                           number + 1, &found, &number));
        if (!found) break;
        TQ_TRY(tq_sql_part(table, (size_t)number, &part));
        TQ_TRY(optimize_part(table, part));
    }
    TQ_TRY(tq_sql_part(table, 0, &part));
    return tq_table_sweep(part->table);
}

static const struct {
    const char *name;
    enum tq_status (*run)(struct tq_sql_table *);
} commands[] = {{"optimize", optimize}};

static bool is_command(const struct tq_sql_table *table, int count, sqlite3_value **values) {
    return count > 1 && sqlite3_value_type(values[0]) == SQLITE_NULL &&
           sqlite3_value_type(hidden_of(table, values, TQ_HIDDEN_QUERY)) == SQLITE_TEXT;
}

static enum tq_status run_command(struct tq_sql_table *table, sqlite3_value **values) {
    const char *command = (const char *)sqlite3_value_text(hidden_of(table, values, TQ_HIDDEN_QUERY));
    char known[128] = "";
    if (command == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    for (size_t i = 0; i < TQ_COUNT(commands); i++) {
        size_t length = strlen(known);
        if (sqlite3_stricmp(command, commands[i].name) != 0) {
            sqlite3_snprintf((int)(sizeof known - length), known + length, "%s%s", i == 0 ? "" : ", ",
                             commands[i].name);
            continue;
        }
        TQ_TRY(tq_cursors_detach(table));
        return commands[i].run(table);
    }
    return tq_fail(TQ_MISUSE, "unknown command \"%.40s\"; there is %s", command, known);
}

/* ---- Other rows in the way ---- */

static enum tq_status learn_top(struct tq_sql_table *table) {
    struct tq_writer *writer = table->writer;
    if (writer->top_known && !table->repaired) return TQ_OK;
    TQ_TRY(tq_writer_find(table, TQ_TEXT_LARGEST_ID, 0, NULL, &writer->top_known, &writer->top));
    return TQ_OK;
}

static enum tq_status choose_id(struct tq_sql_table *table, struct tq_change *change) {
    struct tq_writer *writer = table->writer;
    if (writer->top <= 0) tq_writer_forget(writer);
    TQ_TRY(learn_top(table));
    if (writer->top == INT64_MAX) return tq_fail(TQ_FULL, "the largest rowid is taken; choose one");
    change->id = writer->top + 1;
    return TQ_OK;
}

/* Rows are mostly inserted in rising order: then the largest rowid tells that there is none in the way. */
static enum tq_status find_id(struct tq_sql_table *table, int64_t id, bool *found) {
    int64_t other = 0;
    TQ_TRY(learn_top(table));
    *found = false;
    if (id > table->writer->top) return TQ_OK;
    return tq_writer_find(table, TQ_TEXT_HAS_ID, id, NULL, found, &other);
}

static void follow_top(struct tq_writer *writer, const struct tq_change *change, enum tq_status status) {
    bool only_added = status == TQ_OK && change->has && !change->had && change->replaced_count == 0;
    if (!only_added) tq_writer_forget(writer);
    if (change->id > writer->top) writer->top = change->id;
}

static enum tq_status fail_key(sqlite3_value *key) {
    if (sqlite3_value_type(key) == SQLITE_BLOB) {
        return tq_fail(TQ_EXISTS, "a key that is this blob of %d bytes exists already", sqlite3_value_bytes(key));
    }
    const char *text = (const char *)sqlite3_value_text(key);
    return tq_fail(TQ_EXISTS, "key '%.60s' exists already", text == NULL ? "" : text);
}

/* REPLACE lists the row for deletion; anything else fails, by `status` and its message. */
static enum tq_status in_the_way(struct tq_sql_table *table, struct tq_change *change, int64_t id) {
    if (change->had && id == change->old_id) return TQ_OK;
    if (change->replaced_count > 0 && change->replaced[0] == id) return TQ_OK;
    if (sqlite3_vtab_on_conflict(table->sql->db) != SQLITE_REPLACE) {
        change->constraint = true;
        return TQ_EXISTS;
    }
    change->replaced[change->replaced_count++] = id;
    return TQ_OK;
}

static enum tq_status find_conflicts(struct tq_sql_table *table, sqlite3_value **values, struct tq_change *change) {
    int place = table->declaration.key;
    bool found = false;
    int64_t other = 0;
    if (!change->own_id && !(change->had && change->id == change->old_id)) {
        TQ_TRY(find_id(table, change->id, &found));
        if (found && in_the_way(table, change, change->id) != TQ_OK) {
            return tq_fail(TQ_EXISTS, "rowid %lld exists already", (long long)change->id);
        }
    }
    if (place < 0 || is_kept(change, values[TQ_FIRST_COLUMN + place])) return TQ_OK;
    TQ_TRY(tq_writer_find(table, TQ_TEXT_OF_KEY, 0, values[TQ_FIRST_COLUMN + place], &found, &other));
    if (found && in_the_way(table, change, other) != TQ_OK) return fail_key(values[TQ_FIRST_COLUMN + place]);
    return TQ_OK;
}

/* ---- Where vectors go ---- */

static enum tq_status read_stored(struct tq_sql_table *table, const struct tq_change *change, size_t number) {
    struct tq_vector_change *vector = &table->writer->vectors[number];
    struct tq_sql_part *part = NULL;
    struct tq_view_segment where;
    uint32_t row = 0;
    if (vector->stored == NULL) vector->stored = tq_alloc_array(format_of(table, number)->dim, sizeof(float));
    if (vector->stored == NULL) return TQ_NOMEM;
    TQ_TRY(tq_sql_part_of_slot(table, vector->old_slot, number, &part));
    TQ_TRY(tq_table_find_slot(part->table, change->old_id, vector->old_slot, &where, &row));
    return tq_engine_vector(table->engines[number], where.segment, row, vector->stored);
}

/* UPDATE ... FROM gives every vector as it was read. To write it again would cost, and where rows=none would lose: what
 * is read there is what the code stands for, not what was encoded. */
static enum tq_status keep_equal(struct tq_sql_table *table, struct tq_change *change) {
    for (size_t v = 0; v < table->declaration.vectors; v++) {
        struct tq_vector_change *vector = &table->writer->vectors[v];
        if (vector->kept) continue;
        vector->kept = vector->vector == NULL && !vector->had;
        if (!change->from || vector->vector == NULL || !vector->had) continue;
        TQ_TRY(read_stored(table, change, v));
        vector->kept = memcmp(vector->stored, vector->vector, format_of(table, v)->dim * sizeof(float)) == 0;
        if (vector->kept) vector->vector = NULL;
    }
    return TQ_OK;
}

/* The row will have vectors; its old ones lie in *partition; one of the columns that choose it is set. */
static void look_at_partition(const struct tq_sql_table *table, sqlite3_value **values, const struct tq_change *change,
                              bool *any, int64_t *partition, bool *set) {
    const struct tq_declaration *d = &table->declaration;
    *any = *set = false;
    *partition = -1;
    for (size_t v = 0; v < d->vectors; v++) {
        const struct tq_vector_change *vector = &table->writer->vectors[v];
        if (vector->had) *partition = (int64_t)(tq_slot_part(vector->old_slot) / d->vectors);
        if (vector->kept ? vector->had : vector->vector != NULL) *any = true;
    }
    for (size_t i = 0; i < d->count; i++) {
        sqlite3_value *value = values[TQ_FIRST_COLUMN + i];
        if (d->columns[i].kind != TQ_COLUMN_PARTITION) continue;
        bool kept = is_kept(change, value);
        table->writer->new_partition[d->columns[i].number] = kept ? table->writer->partition[d->columns[i].number]
                                                                  : value;
        if (!kept) *set = true;
    }
}

static enum tq_status choose_partition(struct tq_sql_table *table, sqlite3_value **values, struct tq_change *change) {
    bool any = false, set = false;
    int64_t partition = -1;
    look_at_partition(table, values, change, &any, &partition, &set);
    if (!any) return TQ_OK;
    if (partition < 0 || set) return tq_sql_partition(table, table->writer->new_partition, &change->partition);
    change->partition = (uint32_t)partition;
    return TQ_OK;
}

/* A vector that UPDATE leaves as it is moves with the row: its segment holds the id, and belongs to the partition. */
static enum tq_status move(struct tq_sql_table *table, const struct tq_change *change, size_t number) {
    struct tq_vector_change *vector = &table->writer->vectors[number];
    bool leaves = vector->had && tq_slot_part(vector->old_slot) / table->declaration.vectors != change->partition;
    if (!vector->had || (!leaves && change->id == change->old_id)) return TQ_OK;
    if (format_of(table, number)->rows == TQ_ROWS_NONE) {
        return tq_fail(TQ_MISUSE, "a %s cannot change where rows=none: the vector itself is not kept; insert it anew",
                       leaves ? "partition key" : "rowid");
    }
    TQ_TRY(read_stored(table, change, number));
    vector->vector = vector->stored;
    vector->written = true;
    return encode(table, number);
}

static enum tq_status place_vectors(struct tq_sql_table *table, sqlite3_value **values, struct tq_change *change) {
    TQ_TRY(keep_equal(table, change));
    TQ_TRY(choose_partition(table, values, change));
    for (size_t v = 0; v < table->declaration.vectors; v++) {
        struct tq_vector_change *vector = &table->writer->vectors[v];
        vector->written = !vector->kept;
        if (vector->kept) TQ_TRY(move(table, change, v));
    }
    return TQ_OK;
}

/* ---- All of it ---- */

static enum tq_status apply(struct tq_sql_table *table, sqlite3_value **values, struct tq_change *change) {
    bool found = true;
    if (change->own_id) TQ_TRY(choose_id(table, change));
    if (change->has) TQ_TRY(find_conflicts(table, values, change));
    if (change->had) TQ_TRY(tq_writer_look(table, change->old_id, &found));
    if (!found) return TQ_OK; /* an earlier row of this statement has replaced it */
    TQ_TRY(tq_cursors_detach(table));
    if (change->has) TQ_TRY(place_vectors(table, values, change));
    return tq_change_write(table, change, values);
}

static enum tq_status update(struct tq_sql_table *table, int count, sqlite3_value **values, struct tq_change *change) {
    struct tq_writer *writer = NULL;
    TQ_TRY(tq_writer_get(table, &writer));
    enum tq_status status = read_change(table, count, values, change);
    if (status == TQ_OK) status = apply(table, values, change);
    follow_top(writer, change, status);
    tq_writer_reset(writer);
    return status;
}

int tq_vtab_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    struct tq_change change = {.had = false};
    sqlite3_int64 last = sqlite3_last_insert_rowid(table->sql->db);
    tq_sql_parts_hold(table);
    enum tq_status status = tq_sql_table_open(table);
    bool command = is_command(table, count, values);
    struct tq_sql_stop stop;
    tq_sql_stop_begin(&stop, table->sql->db);
    if (status == TQ_OK) status = command ? run_command(table, values) : update(table, count, values, &change);
    tq_sql_parts_let_go(table);
    tq_sql_stop_end(&stop);
    int rc = status == TQ_OK ? SQLITE_OK : tq_vtab_fail(vtab, status);
    /* Exactly this code, for SQLite to do what OR IGNORE, FAIL or ROLLBACK ask for. */
    if (status != TQ_OK && change.constraint) rc = SQLITE_CONSTRAINT;
    if (rc == SQLITE_OK && change.has && !change.had) *rowid = change.id;
    if (rc == SQLITE_OK && command) *rowid = last;
    sqlite3_set_last_insert_rowid(table->sql->db, last); /* ours are not the user's; of an INSERT SQLite sets it */
    return rc;
}
