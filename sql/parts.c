/* A table's parts: the vectors of one column in one partition each. All parts of a column share its engine. */
#include <string.h>

#include "sql/registry.h"
#include "src/base/alloc.h"

static void part_free(struct tq_sql_part *part) {
    if (part == NULL) return;
    tq_table_close(part->table);
    tq_free(part->marks);
    tq_free(part);
}

static struct tq_sql_part *any_open(const struct tq_sql_table *table) {
    for (size_t i = 0; i < table->part_capacity; i++) {
        if (table->parts[i] != NULL) return table->parts[i];
    }
    return NULL;
}

static enum tq_status reserve(struct tq_sql_table *table, size_t number) {
    if (number < table->part_capacity) return TQ_OK;
    size_t capacity = tq_max_size(number + 1, 2 * table->part_capacity);
    struct tq_sql_part **grown = tq_realloc(table->parts, table->part_capacity * sizeof *grown,
                                            capacity * sizeof *grown);
    if (grown == NULL) return TQ_NOMEM;
    memset(grown + table->part_capacity, 0, (capacity - table->part_capacity) * sizeof *grown);
    table->parts = grown;
    table->part_capacity = capacity;
    return TQ_OK;
}

/* The engine of a column reads the rows of all its parts: their formats must be one. */
static enum tq_status check_format(const struct tq_sql_table *table, size_t number, const struct tq_table *part) {
    const struct tq_engine *engine = table->engines == NULL ? NULL
                                                            : table->engines[number % table->declaration.vectors];
    if (engine == NULL) return TQ_OK;
    if (tq_format_same(&engine->codec->format, tq_table_format(part))) return TQ_OK;
    return tq_fail(TQ_CORRUPT, "table \"%s\": part %zu is not like its column", table->name, number);
}

enum tq_status tq_sql_part(struct tq_sql_table *table, size_t number, struct tq_sql_part **part) {
    if (number < table->part_capacity && table->parts[number] != NULL) {
        *part = table->parts[number];
        return TQ_OK;
    }
    if (number >= TQ_PARTS_MAX) return tq_fail(TQ_CORRUPT, "table \"%s\" names part %zu", table->name, number);
    TQ_TRY(reserve(table, number));
    const struct tq_sql_part *open = any_open(table);
    if (open == NULL && number > 0) {
        struct tq_sql_part *first = NULL;
        TQ_TRY(tq_sql_part(table, 0, &first));
        open = first;
    }
    struct tq_sql_part *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    enum tq_status status = TQ_OK;
    if (open != NULL)
        status = tq_table_open_part(open->table, (uint32_t)number, &made->table);
    else
        status = tq_table_open(table->place->conn, table->place->env, table->name, &made->table);
    if (status == TQ_OK) status = check_format(table, number, made->table);
    if (status != TQ_OK) {
        part_free(made);
        return status;
    }
    table->parts[number] = *part = made;
    return TQ_OK;
}

enum tq_status tq_sql_part_of_slot(struct tq_sql_table *table, uint64_t slot, size_t vector,
                                   struct tq_sql_part **part) {
    if (tq_slot_part(slot) % table->declaration.vectors != vector) {
        return tq_fail(TQ_CORRUPT, "table \"%s\": slot %llu is not one of vector column %zu", table->name,
                       (unsigned long long)slot, vector);
    }
    return tq_sql_part(table, tq_slot_part(slot), part);
}

void tq_sql_parts_close(struct tq_sql_table *table) {
    for (size_t i = 0; i < table->part_capacity; i++) part_free(table->parts[i]);
    tq_free(table->parts);
    sqlite3_free(table->find_partition);
    sqlite3_free(table->add_partition);
    table->parts = NULL;
    table->part_capacity = 0;
    table->find_partition = table->add_partition = NULL; /* RENAME changes them */
}

void tq_sql_parts_release(struct tq_sql_table *table) {
    for (size_t i = 0; i < table->part_capacity; i++) {
        if (table->parts[i] != NULL) tq_table_release(table->parts[i]->table);
    }
}

void tq_sql_part_lose(struct tq_sql_table *table, size_t number) {
    struct tq_sql_part *part = table->parts[number];
    if (part == NULL) return;
    part->lost = true;
    if (table->holds > 0) return;
    part_free(part);
    table->parts[number] = NULL;
}

void tq_sql_parts_hold(struct tq_sql_table *table) { table->holds++; }

void tq_sql_parts_let_go(struct tq_sql_table *table) {
    if (--table->holds > 0) return;
    for (size_t i = 0; i < table->part_capacity; i++) {
        if (table->parts[i] != NULL && table->parts[i]->lost) tq_sql_part_lose(table, i);
    }
}

/* ---- Partitions ---- */

/* "SELECT part FROM parts WHERE p0 IS ?1 AND p1 IS ?2", or
 * "INSERT INTO parts(part, p0, p1) SELECT coalesce(max(part), -1) + 1, ?1, ?2 FROM parts". */
static char *partition_text(const struct tq_sql_table *table, bool insert) {
    size_t count = table->declaration.partitions;
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, insert ? "INSERT INTO \"%w\".\"%w_parts\"(part" : "SELECT part FROM \"%w\".\"%w_parts\"",
                        table->schema, table->name);
    for (size_t i = 0; i < count; i++) {
        if (insert)
            sqlite3_str_appendf(out, ", p%d", (int)i);
        else
            sqlite3_str_appendf(out, "%s p%d IS ?%d", i == 0 ? " WHERE" : " AND", (int)i, (int)i + 1);
    }
    if (insert) sqlite3_str_appendf(out, ") SELECT coalesce(max(part), -1) + 1");
    for (size_t i = 0; insert && i < count; i++) sqlite3_str_appendf(out, ", ?%d", (int)i + 1);
    if (insert) sqlite3_str_appendf(out, " FROM \"%w\".\"%w_parts\"", table->schema, table->name);
    return sqlite3_str_finish(out);
}

/* With the affinity of REAL, as it is stored: IS would tell 2^53 + 1 from the double that became of it. */
static void bind_partition(const struct tq_sql_table *table, sqlite3_stmt *statement, size_t number,
                           sqlite3_value *value) {
    const struct tq_sql_column *column = table->declaration.columns;
    while (column->kind != TQ_COLUMN_PARTITION || column->number != number) column++;
    if (strcmp(column->affinity, "REAL") == 0 && sqlite3_value_numeric_type(value) == SQLITE_INTEGER)
        (void)sqlite3_bind_double(statement, (int)number + 1, sqlite3_value_double(value));
    else
        (void)sqlite3_bind_value(statement, (int)number + 1, value);
}

static enum tq_status run_partition(struct tq_sql_table *table, sqlite3_value **values, bool insert, bool *found,
                                    uint32_t *number) {
    sqlite3_stmt *statement = NULL;
    char **text = insert ? &table->add_partition : &table->find_partition;
    if (*text == NULL) *text = partition_text(table, insert);
    if (*text == NULL) return TQ_NOMEM;
    TQ_TRY(tq_sql_take(table, *text, &statement));
    for (size_t i = 0; i < table->declaration.partitions; i++) bind_partition(table, statement, i, values[i]);
    int rc = sqlite3_step(statement);
    enum tq_status status = TQ_OK;
    *found = rc == SQLITE_ROW;
    if (*found) *number = (uint32_t)sqlite3_column_int64(statement, 0);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) status = tq_sql_fail(table->sql->db, rc, "finding a partition");
    (void)sqlite3_clear_bindings(statement);
    tq_sql_give(table, *text, statement);
    return status;
}

/* The first partition's parts are made with the table; its formats are everyone's. */
static enum tq_status add_parts(struct tq_sql_table *table, uint32_t number) {
    size_t vectors = table->declaration.vectors;
    if (number == 0) return TQ_OK;
    if ((number + 1) * vectors > TQ_PARTS_MAX) {
        return tq_fail(TQ_FULL, "table \"%s\" has %u partitions; no more are possible", table->name, number);
    }
    for (size_t v = 0; v < vectors; v++) {
        size_t at = number * vectors + v;
        TQ_TRY(tq_table_add_part(table->place->conn, table->place->env, table->name, (uint32_t)at,
                                 &table->engines[v]->codec->format));
    }
    return TQ_OK;
}

enum tq_status tq_sql_partition(struct tq_sql_table *table, sqlite3_value **values, uint32_t *number) {
    bool found = false;
    *number = 0;
    if (table->declaration.partitions == 0) return TQ_OK;
    TQ_TRY(run_partition(table, values, false, &found, number));
    if (found) return TQ_OK;
    TQ_TRY(run_partition(table, values, true, &found, number));
    TQ_TRY(run_partition(table, values, false, &found, number));
    if (!found) return tq_fail(TQ_CORRUPT, "table \"%s\": a new partition is not found again", table->name);
    return add_parts(table, *number);
}

/* ---- Views ---- */

void tq_sql_view_free(struct tq_sql_view *view) {
    tq_free(view->segments);
    tq_free(view->numbers);
    *view = (struct tq_sql_view){.capacity = 0};
}

size_t tq_sql_view_find(const struct tq_view_segment *segments, size_t count, uint64_t slot, size_t guess) {
    size_t low = 0, high = count;
    if (guess < count) {
        const struct tq_segment *segment = segments[guess].segment;
        if (slot >= tq_segment_slot_first(segment) && slot < tq_segment_slot_end(segment)) return guess;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tq_segment_slot_first(segments[middle].segment) <= slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? count : low - 1;
}

static enum tq_status append(struct tq_sql_table *table, size_t number, struct tq_sql_view *out) {
    struct tq_sql_part *part = NULL;
    struct tq_view view;
    TQ_TRY(tq_sql_part(table, number, &part));
    TQ_TRY(tq_table_view(part->table, &view));
    if (out->view.count + view.count > out->capacity) {
        size_t capacity = 2 * (out->view.count + view.count);
        struct tq_view_segment *grown = tq_realloc(out->segments, out->capacity * sizeof *grown,
                                                   capacity * sizeof *grown);
        if (grown == NULL) return TQ_NOMEM;
        out->segments = grown;
        out->capacity = capacity;
    }
    if (view.count > 0) memcpy(out->segments + out->view.count, view.segments, view.count * sizeof *view.segments);
    out->view.segments = out->segments;
    out->view.count += view.count;
    out->view.live += view.live;
    out->view.log_rows += view.log_rows;
    out->stamp = (out->stamp ^ (number << 40 ^ view.version)) * UINT64_C(0x9e3779b97f4a7c15);
    return TQ_OK;
}

static enum tq_status append_number(struct tq_sql_table *table, size_t number, struct tq_sql_view *view) {
    if (view->number_count == view->number_capacity) {
        size_t capacity = 2 * view->number_capacity + 4;
        size_t *grown = tq_realloc(view->numbers, view->number_capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL) return TQ_NOMEM;
        view->numbers = grown;
        view->number_capacity = capacity;
    }
    view->numbers[view->number_count++] = number;
    return append(table, number, view);
}

static void begin_view(const struct tq_sql_table *table, struct tq_sql_view *view) {
    view->view = (struct tq_view){.segments = view->segments};
    /* Versions are small numbers, too: as it is, this one might cancel them out. */
    view->stamp = table->changes * UINT64_C(0x9e3779b97f4a7c15);
}

enum tq_status tq_sql_view_again(struct tq_sql_table *table, struct tq_sql_view *view) {
    begin_view(table, view);
    for (size_t i = 0; i < view->number_count; i++) TQ_TRY(append(table, view->numbers[i], view));
    return TQ_OK;
}

static enum tq_status append_partitions(struct tq_sql_table *table, size_t vector, const char *text,
                                        sqlite3_value **values, size_t value_count, struct tq_sql_view *view) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(tq_sql_take(table, text, &statement));
    int wanted = sqlite3_bind_parameter_count(statement), rc = SQLITE_ROW;
    for (int i = 0; i < wanted && (size_t)i < value_count; i++) {
        (void)sqlite3_bind_value(statement, i + 1, values[i]);
    }
    enum tq_status status = TQ_OK;
    while (status == TQ_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        size_t partition = (size_t)sqlite3_column_int64(statement, 0);
        status = append_number(table, partition * table->declaration.vectors + vector, view);
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_sql_fail(table->sql->db, rc, "listing partitions");
    (void)sqlite3_clear_bindings(statement);
    tq_sql_give(table, text, statement);
    return status;
}

enum tq_status tq_sql_view(struct tq_sql_table *table, size_t vector, const char *where, sqlite3_value **values,
                           size_t value_count, struct tq_sql_view *view) {
    begin_view(table, view);
    view->number_count = 0;
    if (table->declaration.partitions == 0) return append_number(table, vector, view);
    char *text = sqlite3_mprintf("SELECT part FROM \"%w\".\"%w_parts\"%s%s ORDER BY part", table->schema, table->name,
                                 where == NULL ? "" : " WHERE ", where == NULL ? "" : where);
    if (text == NULL) return TQ_NOMEM;
    enum tq_status status = append_partitions(table, vector, text, values, value_count, view);
    sqlite3_free(text);
    return status;
}
