/* Cursors: where rows come from, and what is borrowed for how long.
 *
 * A row's bytes lie in the map of the folder, or in the memory of the log's rows. A view of the table, and with it the
 * memory of the log, is good until the connection writes to the table; before that tq_cursors_detach() turns scans that
 * are under way into lists of ids. Bytes of the map that SQLite was given as they are (not copied) stay where they are
 * until the cursor is closed: a reader of its own is opened to hold them if the table is written to meanwhile. */
#include "sql/vtab.h"

#include <string.h>

#include "sql/functions.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"

static int fail(struct tq_sql_cursor *cursor, enum tq_status status) {
    return tq_vtab_fail(cursor->base.pVtab, status);
}

/* ---- Opening and closing ---- */

int tq_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    enum tq_status status = tq_sql_table_open(table);
    if (status != TQ_OK) return tq_vtab_fail(vtab, status);
    struct tq_sql_cursor *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return SQLITE_NOMEM;
    const struct tq_format *format = &table->access->codec->format;
    made->vector = tq_alloc_array(format->dim, sizeof(float));
    if (format->packed) made->records = tq_alloc_array(TQ_BATCH + 1, format->record_stride);
    if (made->vector == NULL || (format->packed && made->records == NULL)) {
        tq_free(made->vector);
        tq_free(made);
        return SQLITE_NOMEM;
    }
    made->table = table;
    made->eof = true;
    made->next = table->cursors;
    table->cursors = made;
    *cursor = &made->base;
    return SQLITE_OK;
}

int tq_cursor_close(sqlite3_vtab_cursor *cursor) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor, **link = &c->table->cursors;
    struct tq_sql *sql = c->table->sql;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
    if (sql->last.cursor == c) sql->last.cursor = NULL;
    if (sql->waiting.cursor == c) sql->waiting.cursor = NULL;
    if (c->table->cursors == NULL && c->table->access != NULL) tq_table_release(c->table->access->table);
    tq_env_reader_close(c->pin);
    tq_free(c->ids);
    tq_free(c->query);
    tq_free(c->hits);
    tq_free(c->vector);
    tq_free(c->records);
    tq_free(c);
    return SQLITE_OK;
}

/* ---- Lists of ids ---- */

enum tq_status tq_cursor_add_id(struct tq_sql_cursor *cursor, int64_t id) {
    if (cursor->id_count == cursor->id_capacity) {
        size_t capacity = cursor->id_capacity * 2 + 64;
        int64_t *grown = tq_realloc(cursor->ids, cursor->id_capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL) return TQ_NOMEM;
        cursor->ids = grown;
        cursor->id_capacity = capacity;
    }
    cursor->ids[cursor->id_count++] = id;
    return TQ_OK;
}

enum tq_status tq_cursor_look_up(struct tq_sql_cursor *cursor, int64_t id) {
    struct tq_sql_table *table = cursor->table;
    struct tq_view_segment where;
    uint32_t row = 0;
    bool found = false;
    TQ_TRY(tq_sql_table_open(table));
    cursor->unit = NULL;
    enum tq_status status = tq_table_find(table->access->table, id, &where, &row);
    if (status == TQ_NOT_FOUND) {
        TQ_TRY(tq_sql_step(table, TQ_SQL_NULL_HAS, id, &found, NULL));
        cursor->is_null = found;
        cursor->id = id;
        return found ? TQ_OK : TQ_NOT_FOUND;
    }
    TQ_TRY(status);
    const struct tq_format *format = &table->access->codec->format;
    if (format->rows == TQ_ROWS_NONE) {
        uint8_t *record = cursor->records + (size_t)TQ_BATCH * format->record_stride;
        TQ_TRY(tq_segment_records(where.segment, &row, 1, record, &cursor->unit));
    } else {
        TQ_TRY(tq_segment_gather(where.segment, TQ_PLANE_EXACT, &row, 1, &cursor->unit));
    }
    cursor->unit_mapped = false; /* not known here, and one row is soon copied */
    cursor->unit_changes = table->changes;
    cursor->is_null = false;
    cursor->id = id;
    return TQ_OK;
}

static enum tq_status next_id(struct tq_sql_cursor *cursor) {
    while (cursor->id_at < cursor->id_count) {
        enum tq_status status = tq_cursor_look_up(cursor, cursor->ids[cursor->id_at++]);
        if (status != TQ_NOT_FOUND) return status;
    }
    cursor->eof = true;
    return TQ_OK;
}

enum tq_status tq_cursors_detach(struct tq_sql_table *table) {
    for (struct tq_sql_cursor *c = table->cursors; c != NULL; c = c->next) {
        if (!c->eof && c->unit_mapped && c->pin == NULL && table->place != NULL) {
            TQ_TRY(tq_env_reader_open(table->place->env, &c->pin));
        }
        if (c->source == TQ_SOURCE_SCAN && !c->eof) TQ_TRY(tq_scan_to_ids(c));
    }
    table->changes++;
    return TQ_OK;
}

/* ---- Reading ---- */

/* tq_explain() tells of one cursor of a statement: the first one that is more than a look-up of rows. Those that are
 * begun again and again, inside a join, add up. */
static void begin_telling(struct tq_sql_cursor *cursor, const char *path, bool look_up) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_sql_last *last = &sql->last;
    if (last->cursor == cursor && strcmp(path, last->path) == 0) return;
    if (last->cursor != NULL && last->cursor != cursor && (look_up || strcmp(last->path, "rowid") != 0)) return;
    tq_free(last->table);
    *last = (struct tq_sql_last){.cursor = cursor, .path = path, .table = tq_sql_text(cursor->table->name)};
}

/* rowid = 'x', 1.5 or NULL: no row has it. */
static enum tq_status begin_rowid(struct tq_sql_cursor *cursor, sqlite3_value *value) {
    int type = sqlite3_value_numeric_type(value);
    cursor->source = TQ_SOURCE_IDS;
    if (type == SQLITE_FLOAT) {
        double number = sqlite3_value_double(value);
        if (!(number >= -0x1p63 && number < 0x1p63) || number != (double)(int64_t)number) return TQ_OK;
        return tq_cursor_add_id(cursor, (int64_t)number);
    }
    return type == SQLITE_INTEGER ? tq_cursor_add_id(cursor, sqlite3_value_int64(value)) : TQ_OK;
}

static enum tq_status begin_match(struct tq_sql_cursor *cursor, int plan, sqlite3_value **values) {
    struct tq_stream_arguments arguments = {.query = values[0]};
    int at = 1;
    if (plan & TQ_PLAN_K) arguments.k = values[at++];
    if (plan & TQ_PLAN_LIMIT) arguments.limit = values[at++];
    if (plan & TQ_PLAN_OFFSET) arguments.offset = values[at++];
    if (plan & TQ_PLAN_SCORE) arguments.score = values[at++];
    if (plan & TQ_PLAN_DISTANCE) arguments.distance = values[at++];
    return tq_stream_begin(cursor, &arguments);
}

static enum tq_status begin(struct tq_sql_cursor *cursor, int plan, sqlite3_value **values) {
    bool taken = false;
    switch (plan & TQ_PLAN_MASK) {
    case TQ_PLAN_ROWID: begin_telling(cursor, "rowid", true); return begin_rowid(cursor, values[0]);
    case TQ_PLAN_MATCH: begin_telling(cursor, "match", false); return begin_match(cursor, plan, values);
    default: break;
    }
    begin_telling(cursor, "scan", false);
    TQ_TRY(tq_nearest_begin(cursor, &taken));
    return taken ? TQ_OK : tq_scan_begin(cursor);
}

static enum tq_status advance(struct tq_sql_cursor *cursor) {
    struct tq_sql *sql = cursor->table->sql;
    enum tq_status status = TQ_OK;
    switch (cursor->source) {
    case TQ_SOURCE_SCAN: status = tq_scan_next(cursor); break;
    case TQ_SOURCE_IDS: status = next_id(cursor); break;
    case TQ_SOURCE_HITS: status = tq_stream_next(cursor); break;
    case TQ_SOURCE_NONE: cursor->eof = true; break;
    case TQ_SOURCE_LOST: status = tq_fail(TQ_MISUSE, "the transaction was rolled back during this SELECT"); break;
    }
    if (status == TQ_OK && !cursor->eof && sql->last.cursor == cursor) sql->last.returned++;
    return status;
}

int tq_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *unused, int count, sqlite3_value **values) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor;
    (void)unused;
    (void)count;
    c->eof = false;
    c->unit = NULL;
    c->unit_mapped = false;
    c->id_count = c->id_at = 0;
    enum tq_status status = tq_sql_table_open(c->table); /* a RENAME may have closed it */
    if (status == TQ_OK) status = begin(c, plan, values);
    if (status == TQ_OK) status = advance(c);
    if (status == TQ_OK) return SQLITE_OK;
    c->eof = true;
    return fail(c, status);
}

int tq_cursor_next(sqlite3_vtab_cursor *cursor) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor;
    enum tq_status status = c->table->sql->waiting.cursor == c ? tq_nearest_settle(c) : TQ_OK;
    if (status == TQ_OK) status = advance(c);
    return status == TQ_OK ? SQLITE_OK : fail(c, status);
}

int tq_cursor_eof(sqlite3_vtab_cursor *cursor) { return ((struct tq_sql_cursor *)cursor)->eof; }

int tq_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    *rowid = ((struct tq_sql_cursor *)cursor)->id;
    return SQLITE_OK;
}

/* ---- Columns ---- */

static enum tq_status result_vector(struct tq_sql_cursor *c, sqlite3_context *context) {
    const struct tq_access *access = c->table->access;
    if (c->is_null) return TQ_OK;
    if (c->unit == NULL || c->unit_changes != c->table->changes) {
        enum tq_status status = tq_cursor_look_up(c, c->id);
        if (status == TQ_NOT_FOUND) return TQ_OK; /* deleted meanwhile */
        TQ_TRY(status);
        if (c->is_null) return TQ_OK;
        access = c->table->access;
    }
    const struct tq_format *format = &access->codec->format;
    size_t bytes = format->dim * sizeof(float);
    if (format->rows == TQ_ROWS_F32) {
        sqlite3_result_blob64(context, c->unit, bytes, c->unit_mapped ? SQLITE_STATIC : SQLITE_TRANSIENT);
    } else if (format->rows == TQ_ROWS_F16) {
        for (uint32_t i = 0; i < format->dim; i++) {
            uint16_t half;
            memcpy(&half, c->unit + 2 * (size_t)i, sizeof half);
            c->vector[i] = tq_f32_from_f16(half);
        }
        sqlite3_result_blob64(context, c->vector, bytes, SQLITE_TRANSIENT);
    } else {
        tq_decode(access->codec, c->unit, c->vector, access->scratch);
        sqlite3_result_blob64(context, c->vector, bytes, SQLITE_TRANSIENT);
    }
    sqlite3_result_subtype(context, tq_metric_subtype(format->metric));
    return TQ_OK;
}

int tq_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor;
    if (sqlite3_vtab_nochange(context)) return SQLITE_OK; /* an UPDATE that leaves this column as it is */
    if (column == TQ_COL_VECTOR) {
        enum tq_status status = result_vector(c, context);
        if (status != TQ_OK) return fail(c, status);
    } else if (c->source == TQ_SOURCE_HITS && column == TQ_COL_SCORE) {
        sqlite3_result_double(context, c->score);
    } else if (c->source == TQ_SOURCE_HITS && column == TQ_COL_DISTANCE) {
        sqlite3_result_double(context, c->distance);
    }
    return SQLITE_OK;
}
