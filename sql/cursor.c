/* Cursors: where rows come from, and what is borrowed for how long.
 *
 * A vector's bytes lie in the map of the folder, or in the memory of the log's rows. A view of the table, and with it
 * the memory of the log, is good until the connection writes to the table; before that tq_cursors_detach() turns scans
 * that are under way into lists of ids. Bytes of the map that SQLite was given as they are (not copied) stay where they
 * are until the cursor is closed: a reader of its own is opened to hold them if the table is written to meanwhile. */
#include <string.h>

#include "sql/host_stop.h"
#include "sql/recognise.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"

static int fail(struct tq_sql_cursor *cursor, enum tq_status status) {
    return tq_vtab_fail(cursor->base.pVtab, status);
}

const struct tq_format *tq_cursor_format(const struct tq_sql_cursor *cursor) {
    return &cursor->table->engines[cursor->vector]->codec->format;
}

/* ---- Opening and closing ---- */

static enum tq_status allocate(struct tq_sql_cursor *cursor) {
    const struct tq_sql_table *table = cursor->table;
    size_t dim = 0, stride = 0;
    for (size_t v = 0; v < table->declaration.vectors; v++) {
        const struct tq_format *format = &table->engines[v]->codec->format;
        dim = tq_max_size(dim, format->dim);
        if (format->packed) stride = tq_max_size(stride, format->record_stride);
    }
    cursor->floats = tq_alloc_array(dim, sizeof(float));
    cursor->query = tq_alloc_array(dim, sizeof(float));
    if (stride > 0) cursor->records = tq_alloc_array(TQ_BATCH + 1, stride);
    bool got = cursor->floats != NULL && cursor->query != NULL && (stride == 0 || cursor->records != NULL);
    return got ? TQ_OK : TQ_NOMEM;
}

static void cursor_free(struct tq_sql_cursor *cursor) {
    tq_free(cursor->floats);
    tq_free(cursor->query);
    tq_free(cursor->records);
    tq_free(cursor->ids);
    tq_free(cursor);
}

int tq_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    enum tq_status status = tq_sql_table_open(table);
    if (status != TQ_OK) return tq_vtab_fail(vtab, status);
    struct tq_sql_cursor *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return SQLITE_NOMEM;
    made->table = table;
    made->eof = true;
    if (allocate(made) != TQ_OK) {
        cursor_free(made);
        return SQLITE_NOMEM;
    }
    made->next = table->cursors;
    table->cursors = made;
    *cursor = &made->base;
    return SQLITE_OK;
}

static void forget_waiting(struct tq_sql_cursor *cursor) {
    struct tq_sql_waiting *waiting = &cursor->table->sql->waiting;
    if (waiting->cursor == cursor) waiting->cursor = NULL;
}

int tq_cursor_close(sqlite3_vtab_cursor *cursor) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor, **link = &c->table->cursors;
    struct tq_sql *sql = c->table->sql;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
    if (sql->last.cursor == c) sql->last.cursor = NULL;
    forget_waiting(c);
    tq_row_reset(c);
    tq_stream_reset(c);
    tq_stream_free(c->stream);
    tq_many_free(c->many);
    tq_where_clear(&c->filter);
    tq_sql_view_free(&c->scan);
    if (c->table->cursors == NULL) tq_sql_parts_release(c->table);
    tq_env_reader_close(c->pin);
    cursor_free(c);
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

static enum tq_status add_from(struct tq_sql_cursor *cursor, sqlite3_stmt *statement, uint64_t most) {
    int rc = SQLITE_DONE;
    for (uint64_t i = 0; i < most && (rc = sqlite3_step(statement)) == SQLITE_ROW; i++) {
        TQ_TRY(tq_cursor_add_id(cursor, sqlite3_column_int64(statement, 0)));
    }
    if (rc == SQLITE_DONE || rc == SQLITE_ROW) return TQ_OK;
    return tq_sql_fail(cursor->table->sql->db, rc, "reading rows without a vector");
}

enum tq_status tq_cursor_add_nulls(struct tq_sql_cursor *cursor, uint64_t most) {
    struct tq_sql_table *table = cursor->table;
    const struct tq_where *filter = &cursor->filter;
    const char *where = filter->where;
    sqlite3_stmt *statement = NULL;
    char *text = sqlite3_mprintf("SELECT id FROM \"%w\".\"%w_rows\" WHERE %s IS NULL%s%s%s ORDER BY id", table->schema,
                                 table->name, tq_declaration_vector(&table->declaration, cursor->vector)->stored,
                                 where == NULL ? "" : " AND (", where == NULL ? "" : where, where == NULL ? "" : ")");
    enum tq_status status = text == NULL ? TQ_NOMEM : tq_sql_take(table, text, &statement);
    for (size_t at = 0; status == TQ_OK; at += filter->run) {
        tq_where_bind(filter, statement, at);
        status = add_from(cursor, statement, most);
        (void)sqlite3_reset(statement);
        if (at + filter->run >= filter->long_count) break;
    }
    if (statement != NULL) {
        (void)sqlite3_clear_bindings(statement);
        tq_sql_give(table, text, statement);
    }
    sqlite3_free(text);
    return status;
}

static enum tq_status next_id(struct tq_sql_cursor *cursor) {
    cursor->unit = NULL;
    while (cursor->id_at < cursor->id_count) {
        bool found = false;
        cursor->id = cursor->ids[cursor->id_at++];
        tq_row_moved(cursor);
        TQ_TRY(tq_row_look(cursor, &found));
        if (found) return TQ_OK;
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

static void tell_why(struct tq_sql_cursor *cursor, const char *why) {
    struct tq_sql_last *last = &cursor->table->sql->last;
    if (last->cursor == cursor) last->why = why;
}

/* tq_explain() tells of one cursor of a statement: the first one that is more than a look-up of rows. Those that are
 * begun again and again, inside a join, add up. */
static void begin_telling(struct tq_sql_cursor *cursor, const char *path) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_sql_last *last = &sql->last;
    bool look_up = strcmp(path, "rowid") == 0;
    if (last->cursor == cursor && strcmp(path, last->path) == 0) return;
    if (last->cursor != NULL && last->cursor != cursor && (look_up || strcmp(last->path, "rowid") != 0)) return;
    tq_free(last->table);
    *last = (struct tq_sql_last){.cursor = cursor, .path = path, .table = tq_sql_text(cursor->table->name)};
}

/* Without the conditions that join, if there is a table to be joined with. */
static void leave_joins(struct tq_sql_cursor *cursor, struct tq_plan_terms *terms, sqlite3_value **values) {
    size_t kept = 0;
    bool any = false;
    for (size_t i = 0; i < terms->filter_count; i++) any = any || terms->filter[i].join;
    if (!any) return;
    sqlite3_stmt *statement = tq_running_statement(cursor->table->sql->db);
    const char *text = statement == NULL ? NULL : sqlite3_sql(statement);
    if (text != NULL && tq_reads_one_table(text)) return;
    for (size_t i = 0; i < terms->filter_count; i++) {
        if (terms->filter[i].join) continue;
        values[kept] = values[i];
        terms->filter[kept++] = terms->filter[i];
    }
    terms->filter_count = kept;
}

static enum tq_status begin_match(struct tq_sql_cursor *cursor, int plan, struct tq_plan_terms *terms,
                                  sqlite3_value **values) {
    struct tq_stream_arguments arguments = {.query = values[0]};
    int at = 1;
    begin_telling(cursor, "match");
    if (plan & TQ_PLAN_K) arguments.k = values[at++];
    if (plan & TQ_PLAN_LIMIT) arguments.limit = values[at++];
    if (plan & TQ_PLAN_OFFSET) arguments.offset = values[at++];
    if (plan & TQ_PLAN_SCORE) arguments.score = values[at++];
    if (plan & TQ_PLAN_DISTANCE) arguments.distance = values[at++];
    if (plan & TQ_PLAN_ABOVE) arguments.above = values[at++];
    if (plan & TQ_PLAN_NEARER) arguments.nearer = values[at++];
    arguments.strict = (plan & TQ_PLAN_STRICT) != 0;
    leave_joins(cursor, terms, values + at);
    TQ_TRY(tq_where_make(cursor->table, terms->filter, terms->filter_count, values + at, &cursor->filter));
    return tq_stream_begin(cursor, &arguments);
}

static bool is_look_up(const struct tq_sql_table *table, const struct tq_plan_terms *terms) {
    for (size_t i = 0; i < terms->filter_count; i++) {
        const struct tq_where_term *term = &terms->filter[i];
        bool unique = term->column < 0 || term->column == table->declaration.id ||
                      term->column == table->declaration.key;
        if (unique && term->op == SQLITE_INDEX_CONSTRAINT_EQ) return true;
    }
    return false;
}

static enum tq_status begin_rows(struct tq_sql_cursor *cursor, int plan, const struct tq_plan_terms *terms,
                                 sqlite3_value **values) {
    bool look_up = is_look_up(cursor->table, terms), taken = false, by_id = (plan & TQ_PLAN_NEAREST) != 0 && !look_up;
    begin_telling(cursor, look_up ? "rowid" : terms->filter_count > 0 ? "filter" : "scan");
    TQ_TRY(tq_where_make(cursor->table, terms->filter, terms->filter_count, values, &cursor->filter));
    if (terms->filter_count == TQ_PLAN_TERMS_MAX) cursor->filter.left_out = true;
    if (!look_up) tell_why(cursor, terms->order_count > 0 ? "the order of a column" : "no vector is read");
    if (by_id) TQ_TRY(tq_nearest_begin(cursor, true, &taken));
    return taken ? TQ_OK : tq_rows_begin(cursor, terms, by_id);
}

static enum tq_status begin_scan(struct tq_sql_cursor *cursor, int plan) {
    bool taken = false;
    begin_telling(cursor, "scan");
    tell_why(cursor, "no vector is read");
    if (plan & TQ_PLAN_NEAREST) TQ_TRY(tq_nearest_begin(cursor, false, &taken));
    cursor->scan_reads = (plan & TQ_PLAN_READS) != 0;
    return taken ? TQ_OK : tq_scan_begin(cursor);
}

static enum tq_status begin(struct tq_sql_cursor *cursor, int plan, const char *text, sqlite3_value **values) {
    struct tq_plan_terms terms;
    tq_plan_read(text, &terms);
    cursor->vector = (size_t)plan >> TQ_PLAN_VECTOR_SHIFT;
    switch (plan & TQ_PLAN_MASK) {
    case TQ_PLAN_ROWS: return begin_rows(cursor, plan, &terms, values);
    case TQ_PLAN_MATCH: return begin_match(cursor, plan, &terms, values);
    default: return begin_scan(cursor, plan);
    }
}

static enum tq_status advance(struct tq_sql_cursor *cursor) {
    struct tq_sql *sql = cursor->table->sql;
    enum tq_status status = TQ_OK;
    tq_row_moved(cursor);
    switch (cursor->source) {
    case TQ_SOURCE_SCAN: status = tq_scan_next(cursor); break;
    case TQ_SOURCE_ROWS: status = tq_rows_next(cursor); break;
    case TQ_SOURCE_IDS: status = next_id(cursor); break;
    case TQ_SOURCE_HITS: status = tq_stream_next(cursor); break;
    case TQ_SOURCE_NONE: cursor->eof = true; break;
    case TQ_SOURCE_LOST: status = tq_fail(TQ_MISUSE, "the transaction was rolled back during this SELECT"); break;
    }
    if (status == TQ_OK && !cursor->eof && sql->last.cursor == cursor) sql->last.returned++;
    return status;
}

int tq_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *terms, int count, sqlite3_value **values) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor;
    (void)count;
    c->eof = false;
    c->unit = NULL;
    c->unit_mapped = false;
    c->id_count = c->id_at = 0;
    c->source = TQ_SOURCE_NONE;
    forget_waiting(c);
    tq_row_reset(c);
    tq_stream_reset(c);
    tq_where_clear(&c->filter);
    struct tq_sql_stop stop;
    tq_sql_stop_begin(&stop, c->table->sql->db);
    tq_sql_parts_hold(c->table);
    enum tq_status status = tq_sql_table_open(c->table); /* a RENAME may have closed it */
    if (status == TQ_OK) status = begin(c, plan, terms, values);
    if (status == TQ_OK) status = advance(c);
    tq_sql_parts_let_go(c->table);
    tq_sql_stop_end(&stop);
    if (status == TQ_OK) return SQLITE_OK;
    c->eof = true;
    return fail(c, status);
}

int tq_cursor_next(sqlite3_vtab_cursor *cursor) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor;
    const struct tq_sql_waiting *waiting = &c->table->sql->waiting;
    struct tq_sql_stop stop;
    tq_sql_stop_begin(&stop, c->table->sql->db);
    tq_sql_parts_hold(c->table);
    enum tq_status status = waiting->cursor == c && waiting->heard ? tq_nearest_settle(c) : TQ_OK;
    if (status == TQ_OK) status = advance(c);
    tq_sql_parts_let_go(c->table);
    tq_sql_stop_end(&stop);
    return status == TQ_OK ? SQLITE_OK : fail(c, status);
}

int tq_cursor_eof(sqlite3_vtab_cursor *cursor) { return ((struct tq_sql_cursor *)cursor)->eof; }

int tq_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    *rowid = ((struct tq_sql_cursor *)cursor)->id;
    return SQLITE_OK;
}

/* ---- Columns ---- */

int tq_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    struct tq_sql_cursor *c = (struct tq_sql_cursor *)cursor;
    const struct tq_declaration *declaration = &c->table->declaration;
    int hidden = column - (int)declaration->count;
    enum tq_status status = TQ_OK;
    if (sqlite3_vtab_nochange(context)) return SQLITE_OK; /* an UPDATE that leaves this column as it is */
    if (hidden == TQ_HIDDEN_SCORE || hidden == TQ_HIDDEN_DISTANCE) {
        if (c->source == TQ_SOURCE_HITS) {
            sqlite3_result_double(context, hidden == TQ_HIDDEN_SCORE ? c->score : c->distance);
        }
    } else if (hidden < 0) {
        const struct tq_sql_column *asked = &declaration->columns[column];
        bool here = asked->kind == TQ_COLUMN_VECTOR && asked->number == c->vector && c->unit != NULL &&
                    c->unit_changes == c->table->changes;
        tq_sql_parts_hold(c->table);
        if (here)
            tq_row_result_unit(c, context, c->vector, c->unit, c->unit_mapped);
        else
            status = tq_row_result(c, context, column);
        tq_sql_parts_let_go(c->table);
    }
    return status == TQ_OK ? SQLITE_OK : fail(c, status);
}
