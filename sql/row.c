/* Rows by the table of rows: what stands beside the vectors, and where these lie. */
#include <string.h>

#include "sql/functions.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"

/* ---- Statements ---- */

/* Places of columns in the statement: id, then those that are asked for, as they are declared; of a vector its slot. */
static bool is_beside(const struct tq_sql_column *column) {
    return column->kind != TQ_COLUMN_ID && column->kind != TQ_COLUMN_APART;
}

static int place_of(const struct tq_sql_cursor *cursor, size_t column) {
    int place = 1;
    for (size_t i = 0; i < column; i++) {
        place += is_beside(&cursor->table->declaration.columns[i]) && tq_plan_uses(cursor->row_used, i);
    }
    return place;
}

static int slot_place(const struct tq_sql_cursor *cursor, size_t vector) {
    const struct tq_declaration *declaration = &cursor->table->declaration;
    return place_of(cursor, (size_t)(tq_declaration_vector(declaration, vector) - declaration->columns));
}

static void append_columns(sqlite3_str *out, struct tq_sql_cursor *cursor, uint64_t used) {
    const struct tq_declaration *declaration = &cursor->table->declaration;
    cursor->row_used = used;
    sqlite3_str_appendall(out, "SELECT id");
    for (size_t i = 0; i < declaration->count; i++) {
        const struct tq_sql_column *column = &declaration->columns[i];
        if (is_beside(column) && tq_plan_uses(used, i)) sqlite3_str_appendf(out, ", %s", column->stored);
    }
}

static enum tq_status take(struct tq_sql_cursor *cursor, struct tq_row_at *at, char *text) {
    if (text == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on \"%s\"", cursor->table->name);
    at->text = text;
    at->ready = false;
    return tq_sql_take(cursor->table, text, &at->statement);
}

static void give(struct tq_sql_cursor *cursor, struct tq_row_at *at) {
    if (at->statement != NULL) {
        (void)sqlite3_clear_bindings(at->statement);
        tq_sql_give(cursor->table, at->text, at->statement);
    }
    sqlite3_free(at->text);
    *at = (struct tq_row_at){.text = NULL};
}

void tq_row_reset(struct tq_sql_cursor *cursor) {
    give(cursor, &cursor->row);
    give(cursor, &cursor->apart);
    cursor->row_is_source = false;
    cursor->look.known = false;
}

void tq_row_moved(struct tq_sql_cursor *cursor) {
    if (!cursor->row_is_source) cursor->row.ready = false;
    cursor->apart.ready = false;
}

/* The row of cursor->id. */
static enum tq_status step(struct tq_sql_cursor *cursor, struct tq_row_at *at) {
    (void)sqlite3_reset(at->statement);
    (void)sqlite3_bind_int64(at->statement, 1, cursor->id);
    int rc = sqlite3_step(at->statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return tq_sql_fail(cursor->table->sql->db, rc, "reading a row");
    at->found = rc == SQLITE_ROW;
    at->ready = true;
    return TQ_OK;
}

enum tq_status tq_row_look(struct tq_sql_cursor *cursor, bool *found) {
    struct tq_sql_table *table = cursor->table;
    if (cursor->row.statement == NULL) {
        sqlite3_str *out = sqlite3_str_new(table->sql->db);
        append_columns(out, cursor, UINT64_MAX);
        sqlite3_str_appendf(out, " FROM \"%w\".\"%w_rows\" WHERE id = ?1", table->schema, table->name);
        TQ_TRY(take(cursor, &cursor->row, sqlite3_str_finish(out)));
    }
    if (!cursor->row.ready) TQ_TRY(step(cursor, &cursor->row));
    *found = cursor->row.found;
    return TQ_OK;
}

static enum tq_status look_apart(struct tq_sql_cursor *cursor, bool *found) {
    struct tq_sql_table *table = cursor->table;
    if (cursor->apart.statement == NULL) {
        sqlite3_str *out = sqlite3_str_new(table->sql->db);
        sqlite3_str_appendall(out, "SELECT id");
        for (size_t i = 0; i < table->declaration.apart; i++) sqlite3_str_appendf(out, ", a%d", (int)i);
        sqlite3_str_appendf(out, " FROM \"%w\".\"%w_aux\" WHERE id = ?1", table->schema, table->name);
        TQ_TRY(take(cursor, &cursor->apart, sqlite3_str_finish(out)));
    }
    if (!cursor->apart.ready) TQ_TRY(step(cursor, &cursor->apart));
    *found = cursor->apart.found;
    return TQ_OK;
}

/* ---- A run of rows ---- */

static void append_order(sqlite3_str *out, const struct tq_declaration *declaration,
                         const struct tq_plan_terms *terms) {
    for (size_t i = 0; i < terms->order_count; i++) {
        int column = terms->order[i].column;
        sqlite3_str_appendf(out, "%s %s%s", i == 0 ? " ORDER BY" : ",",
                            column < 0 ? "id" : declaration->columns[column].stored,
                            terms->order[i].descending ? " DESC" : "");
    }
}

enum tq_status tq_rows_begin(struct tq_sql_cursor *cursor, const struct tq_plan_terms *terms, bool by_id) {
    struct tq_sql_table *table = cursor->table;
    sqlite3_str *out = sqlite3_str_new(table->sql->db);
    append_columns(out, cursor, terms->used);
    sqlite3_str_appendf(out, " FROM \"%w\".\"%w_rows\"", table->schema, table->name);
    if (cursor->filter.where != NULL) sqlite3_str_appendf(out, " WHERE %s", cursor->filter.where);
    append_order(out, &table->declaration, terms);
    if (terms->order_count == 0 && by_id) sqlite3_str_appendall(out, " ORDER BY id");
    TQ_TRY(take(cursor, &cursor->row, sqlite3_str_finish(out)));
    cursor->list_at = 0;
    tq_where_bind(&cursor->filter, cursor->row.statement, 0);
    cursor->row_is_source = true;
    cursor->source = TQ_SOURCE_ROWS;
    return TQ_OK;
}

enum tq_status tq_rows_next(struct tq_sql_cursor *cursor) {
    const struct tq_where *filter = &cursor->filter;
    int rc = sqlite3_step(cursor->row.statement);
    while (rc == SQLITE_DONE && cursor->list_at + filter->run < filter->long_count) {
        cursor->list_at += filter->run;
        (void)sqlite3_reset(cursor->row.statement);
        tq_where_bind(filter, cursor->row.statement, cursor->list_at);
        rc = sqlite3_step(cursor->row.statement);
    }
    cursor->apart.ready = false;
    cursor->eof = rc != SQLITE_ROW;
    cursor->row.ready = cursor->row.found = !cursor->eof;
    if (!cursor->eof) cursor->id = sqlite3_column_int64(cursor->row.statement, 0);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? TQ_OK : tq_sql_fail(cursor->table->sql->db, rc, "reading rows");
}

/* ---- Vectors ---- */

/* The view of the part that has a slot. It is asked for once, and again when the table has changed: the statement that
 * reads sees one snapshot of everything else. */
static enum tq_status look_at_part(struct tq_sql_cursor *cursor, uint64_t slot, size_t vector) {
    struct tq_sql_table *table = cursor->table;
    struct tq_sql_part *part = NULL;
    uint32_t number = tq_slot_part(slot);
    bool same = cursor->look.known && cursor->look.number == number && cursor->look.changes == table->changes;
    if (same && number % table->declaration.vectors == vector) return TQ_OK;
    cursor->look.known = false;
    TQ_TRY(tq_sql_part_of_slot(table, slot, vector, &part));
    TQ_TRY(tq_table_view(part->table, &cursor->look.view));
    cursor->look.number = number;
    cursor->look.changes = table->changes;
    cursor->look.segment = 0;
    cursor->look.known = true;
    return TQ_OK;
}

enum tq_status tq_row_slot(struct tq_sql_cursor *cursor, size_t vector, uint64_t *slot) {
    bool found = false;
    tq_row_moved(cursor);
    TQ_TRY(tq_row_look(cursor, &found));
    if (!found) return tq_fail(TQ_CORRUPT, "row %lld is in a segment, but not in the table", (long long)cursor->id);
    *slot = (uint64_t)sqlite3_column_int64(cursor->row.statement, slot_place(cursor, vector));
    return TQ_OK;
}

enum tq_status tq_row_unit(struct tq_sql_cursor *cursor, size_t vector, const uint8_t **unit) {
    struct tq_sql_table *table = cursor->table;
    const struct tq_format *format = &table->engines[vector]->codec->format;
    bool found = false;
    uint32_t row = 0;
    *unit = NULL;
    TQ_TRY(tq_row_look(cursor, &found));
    int place = slot_place(cursor, vector);
    if (!found || sqlite3_column_type(cursor->row.statement, place) == SQLITE_NULL) return TQ_OK;
    uint64_t slot = (uint64_t)sqlite3_column_int64(cursor->row.statement, place);
    TQ_TRY(look_at_part(cursor, slot, vector));
    const struct tq_view *view = &cursor->look.view;
    size_t at = tq_sql_view_find(view->segments, view->count, slot, cursor->look.segment);
    enum tq_status status = TQ_NOT_FOUND;
    if (at < view->count) status = tq_segment_find(view->segments[at].segment, slot, &row);
    if (status == TQ_NOT_FOUND) {
        return tq_fail(TQ_CORRUPT, "row %lld has slot %llu, which is in no segment", (long long)cursor->id,
                       (unsigned long long)slot);
    }
    TQ_TRY(status);
    TQ_TRY(tq_view_check_owner(&view->segments[at], row, cursor->id));
    struct tq_segment *segment = view->segments[at].segment;
    cursor->look.segment = at;
    if (format->rows != TQ_ROWS_NONE) return tq_segment_gather(segment, TQ_PLANE_EXACT, &row, 1, unit);
    uint8_t *record = format->packed ? cursor->records + (size_t)TQ_BATCH * format->record_stride : NULL;
    return tq_segment_records(segment, &row, 1, record, unit);
}

void tq_row_result_unit(struct tq_sql_cursor *cursor, sqlite3_context *context, size_t vector, const uint8_t *unit,
                        bool stays) {
    struct tq_engine *engine = cursor->table->engines[vector];
    const struct tq_format *format = &engine->codec->format;
    size_t bytes = format->dim * sizeof(float);
    if (format->rows == TQ_ROWS_F32) {
        sqlite3_result_blob64(context, unit, bytes, stays ? SQLITE_STATIC : SQLITE_TRANSIENT);
    } else if (format->rows == TQ_ROWS_F16) {
        for (uint32_t i = 0; i < format->dim; i++) {
            uint16_t half;
            memcpy(&half, unit + 2 * (size_t)i, sizeof half);
            cursor->floats[i] = tq_f32_from_f16(half);
        }
        sqlite3_result_blob64(context, cursor->floats, bytes, SQLITE_TRANSIENT);
    } else {
        tq_decode(engine->codec, unit, cursor->floats, engine->scratch);
        sqlite3_result_blob64(context, cursor->floats, bytes, SQLITE_TRANSIENT);
    }
    sqlite3_result_subtype(context, tq_metric_subtype(format->metric));
}

/* ---- Columns ---- */

enum tq_status tq_row_result(struct tq_sql_cursor *cursor, sqlite3_context *context, int column) {
    const struct tq_declaration *declaration = &cursor->table->declaration;
    const struct tq_sql_column *asked = &declaration->columns[column];
    const uint8_t *unit = NULL;
    bool found = false;
    if (!tq_plan_uses(cursor->row_used, (size_t)column) && cursor->row.statement != NULL) {
        return tq_fail(TQ_CORRUPT, "column %s was not asked for when the statement began", asked->name);
    }
    switch (asked->kind) {
    case TQ_COLUMN_ID: sqlite3_result_int64(context, cursor->id); break;
    case TQ_COLUMN_VECTOR:
        TQ_TRY(tq_row_unit(cursor, asked->number, &unit));
        if (unit != NULL) tq_row_result_unit(cursor, context, asked->number, unit, false);
        break;
    case TQ_COLUMN_APART:
        TQ_TRY(look_apart(cursor, &found));
        if (found) {
            sqlite3_result_value(context, sqlite3_column_value(cursor->apart.statement, 1 + (int)asked->number));
        }
        break;
    default:
        TQ_TRY(tq_row_look(cursor, &found));
        if (found) {
            int place = place_of(cursor, (size_t)column);
            sqlite3_result_value(context, sqlite3_column_value(cursor->row.statement, place));
        }
    }
    return TQ_OK;
}
