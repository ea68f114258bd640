/* ORDER BY tq_ip(embedding, :q) DESC LIMIT n, recognised.
 *
 * SQLite tells no virtual table of such an order, so the text of the running statement is read. Then instead of all
 * rows those are handed out that may be among the first n, found by an exact search, in the order in which a scan would
 * come upon them. SQLite calls the function and sorts as ever: of rows that it would have sorted behind the n-th, it
 * just sees none. So equal scores keep their order as well.
 *
 * A query that is more than a literal is not evaluated here: the cursor begins as a scan, and with the first row that
 * passes WHERE SQLite calls the function, query and all. The other rows of the search are handed out behind that one,
 * which is the first of a scan in any case. All that has to be known before is that the query is the same for every
 * row: a subquery that can be prepared by itself refers to nothing outside of it, and SQLite evaluates such a one once.
 *
 * WHERE has to be answered whole, and exactly. Without parameters its text is run on the table of rows. Parameters are
 * not to be had exactly from the text; but where WHERE is nothing but comparisons of columns with values, SQLite has
 * given all of them to xFilter, and so they are in cursor->filter. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sql/functions.h"
#include "sql/names.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"

enum { ROWS_MAX = 10000 }; /* asked for: beyond, a scan is as good */

/* A row among the first, and what a scan goes by: ids, or slots, which ascend from segment to segment and within. */
struct place {
    uint64_t key;
    int64_t id;
};

static int by_key(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

sqlite3_stmt *tq_running_statement(sqlite3 *db) {
    sqlite3_stmt *found = NULL;
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s != NULL; s = sqlite3_next_stmt(db, s)) {
        if (!sqlite3_stmt_busy(s)) continue;
        if (found != NULL) return NULL;
        found = s;
    }
    return found;
}

/* Whether a name without a schema means this table: a view or table of that name in temp goes before one in main. */
static bool is_meant(const struct tq_sql_table *table) {
    sqlite3 *db = table->sql->db;
    if (sqlite3_table_column_metadata(db, NULL, table->name, NULL, NULL, NULL, NULL, NULL, NULL) != SQLITE_OK) {
        return false; /* a view */
    }
    if (sqlite3_stricmp(table->schema, "temp") == 0) return true;
    if (sqlite3_stricmp(table->schema, "main") != 0) return false;
    return sqlite3_table_column_metadata(db, "temp", table->name, NULL, NULL, NULL, NULL, NULL, NULL) != SQLITE_OK;
}

static int hex_digit(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

/* f32[dim] into cursor->query; false: the function itself will complain, in its own words. */
static bool read_query(struct tq_sql_cursor *cursor, const struct tq_token *token) {
    uint32_t dim = tq_cursor_format(cursor)->dim;
    struct tq_floats floats = {0};
    size_t got = 0;
    bool good = false;
    if (token->kind == TQ_TOKEN_STRING) {
        good = tq_text_vector(token->text, token->size, &floats, &got) == TQ_OK && got == dim;
        if (good) memcpy(cursor->query, floats.data, dim * sizeof(float));
    } else if (token->size == 2 * dim * sizeof(float)) {
        uint8_t *bytes = (uint8_t *)cursor->query;
        for (size_t i = 0; i < dim * sizeof(float); i++) {
            bytes[i] = (uint8_t)(hex_digit(token->text[2 * i]) << 4 | hex_digit(token->text[2 * i + 1]));
        }
        good = tq_vector_check_finite(cursor->query, dim) == TQ_OK;
    }
    tq_free(floats.data);
    return good;
}

static enum tq_metric metric_of(int function, enum tq_metric tables) {
    static const enum tq_metric own[] = {[TQ_FN_IP] = TQ_IP, [TQ_FN_COSINE] = TQ_COSINE, [TQ_FN_L2] = TQ_L2};
    return function == TQ_FN_DISTANCE ? tables : own[function];
}

/* What the function will say of a hit: rows that it calls equal must all be there. */
static double value_of(int function, const struct tq_hit *hit) {
    return function == TQ_FN_IP || function == TQ_FN_COSINE ? hit->score : hit->distance;
}

static enum tq_status reserve_hits(struct tq_hit **hits, size_t *capacity, size_t k) {
    if (k <= *capacity) return TQ_OK;
    tq_free(*hits);
    *capacity = 0;
    *hits = tq_alloc_array(k, sizeof **hits);
    if (*hits == NULL) return TQ_NOMEM;
    *capacity = k;
    return TQ_OK;
}

/* The first `rows` hits, and those that equal the last of them: (*hits)[*count], to be freed. */
static enum tq_status search(struct tq_sql_cursor *cursor, int function, const struct tq_view *view, size_t rows,
                             struct tq_hit **hits, size_t *count) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_search_options options = sql->options;
    struct tq_search_stats stats = {0};
    enum tq_metric metric = metric_of(function, tq_cursor_format(cursor)->metric);
    size_t k = rows, capacity = 0;
    if (sql->order_by == TQ_ORDER_EXACT) {
        options = (struct tq_search_options){
            .confidence = TQ_EXACT, .threads = 1, .timeout_ms = sql->options.timeout_ms, .device = sql->options.device};
    }
    for (;;) {
        k = (size_t)(k + 1 < view->live ? k + 1 : view->live);
        TQ_TRY(reserve_hits(hits, &capacity, k));
        TQ_TRY(tq_engine_search(cursor->table->engines[cursor->vector], view, metric, cursor->query, 1, k, &options,
                                *hits, count, &stats));
        if (sql->last.cursor == cursor) {
            sql->last.searches++;
            sql->last.k = k;
            sql->last.stats = stats;
        }
        if (*count < k || *count <= rows) return TQ_OK;
        double bar = value_of(function, &(*hits)[rows - 1]);
        while (*count > rows && value_of(function, &(*hits)[*count - 1]) != bar) --*count;
        if (*count < k || k == view->live) return TQ_OK;
        k *= 4;
    }
}

static enum tq_status list_ids(struct tq_sql_cursor *cursor, const struct tq_hit *hits, size_t count, bool by_id) {
    enum tq_status status = TQ_OK;
    struct place *places = tq_alloc_array(tq_max_size(count, 1), sizeof *places);
    if (places == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < count && status == TQ_OK; i++) {
        places[i] = (struct place){.key = (uint64_t)hits[i].id ^ UINT64_C(1) << 63, .id = hits[i].id};
        if (by_id) continue;
        cursor->id = hits[i].id;
        status = tq_row_slot(cursor, cursor->vector, &places[i].key);
    }
    if (status == TQ_OK) qsort(places, count, sizeof *places, by_key);
    for (size_t i = 0; i < count && status == TQ_OK; i++) {
        status = tq_cursor_add_id(cursor, places[i].id);
    }
    tq_free(places);
    return status;
}

static void leave_out(struct tq_sql_cursor *cursor, int64_t id) {
    size_t kept = 0;
    for (size_t i = 0; i < cursor->id_count; i++) {
        if (cursor->ids[i] != id) cursor->ids[kept++] = cursor->ids[i];
    }
    cursor->id_count = kept;
}

/* `but`: a row that was handed out already, or NULL. */
static enum tq_status take(struct tq_sql_cursor *cursor, int function, uint64_t rows, bool by_id, const int64_t *but) {
    struct tq_sql *sql = cursor->table->sql;
    const struct tq_where *filter = &cursor->filter;
    const struct tq_view *view = NULL;
    struct tq_hit *hits = NULL;
    size_t count = 0;
    tq_row_reset(cursor);
    if (filter->where != NULL) {
        TQ_TRY(tq_where_view(cursor->table, cursor->vector, filter, UINT64_MAX, &view));
    } else {
        TQ_TRY(tq_sql_view(cursor->table, cursor->vector, NULL, NULL, 0, &cursor->scan));
        view = &cursor->scan.view;
        cursor->table->rows_seen = view->live;
    }
    if (sql->last.cursor == cursor) {
        sql->last.path = sql->order_by == TQ_ORDER_EXACT ? "recognised" : "recognised, approximate";
        sql->last.filter = filter->where != NULL ? "bitmap" : NULL;
        sql->last.why = NULL;
    }
    cursor->source = TQ_SOURCE_IDS;
    enum tq_status status = view->live == 0 ? TQ_OK : search(cursor, function, view, (size_t)rows, &hits, &count);
    if (status == TQ_OK) status = list_ids(cursor, hits, count, by_id);
    tq_free(hits);
    /* NULL sorts before all numbers or behind them. */
    if (status == TQ_OK) status = tq_cursor_add_nulls(cursor, rows);
    if (but != NULL) leave_out(cursor, *but);
    return status;
}

/* ---- Queries that are known later ---- */

/* The query is the same for every row. */
static bool is_constant(sqlite3 *db, const struct tq_recognised *shape) {
    sqlite3_stmt *statement = NULL;
    if (shape->subquery.size == 0) return true;
    int rc = sqlite3_prepare_v2(db, shape->subquery.text, (int)shape->subquery.size, &statement, NULL);
    bool constant = rc == SQLITE_OK && sqlite3_column_count(statement) == 1 && sqlite3_stmt_readonly(statement) != 0;
    (void)sqlite3_finalize(statement);
    return constant;
}

/* A cursor of the statement's own subquery comes here, too, if that reads the same table. */
static bool is_only_cursor(const struct tq_sql_cursor *cursor) {
    if (cursor->table->sql->waiting.cursor != NULL) return false;
    for (const struct tq_sql_cursor *c = cursor->table->cursors; c != NULL; c = c->next) {
        if (c != cursor && !c->eof) return false;
    }
    return true;
}

static bool hear(struct tq_sql_cursor *cursor, sqlite3_value *value, bool again) {
    uint32_t dim = tq_cursor_format(cursor)->dim;
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t got = 0;
    bool good = tq_value_vector(value, &floats, &vector, &got) == TQ_OK && got == dim &&
                tq_vector_check_finite(vector, dim) == TQ_OK;
    if (good && again) good = memcmp(cursor->query, vector, dim * sizeof(float)) == 0;
    if (good && !again) memcpy(cursor->query, vector, dim * sizeof(float));
    tq_free(floats.data);
    return good;
}

void tq_nearest_hear(struct tq_sql *sql, enum tq_function function, sqlite3_value **values) {
    struct tq_sql_waiting *waiting = &sql->waiting;
    if ((int)function != waiting->function || waiting->spoiled) return;
    waiting->spoiled = !hear(waiting->cursor, values[waiting->argument], waiting->heard);
    waiting->heard = true;
}

enum tq_status tq_nearest_settle(struct tq_sql_cursor *cursor) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_sql_waiting waiting = sql->waiting;
    int64_t first = cursor->id;
    bool by_id = cursor->source == TQ_SOURCE_ROWS;
    sql->waiting.cursor = NULL;
    bool sure = !waiting.spoiled && (by_id || cursor->source == TQ_SOURCE_SCAN);
    if (sure) return take(cursor, waiting.function, waiting.rows, by_id, &first);
    if (sql->last.cursor == cursor) sql->last.why = "the query is no vector, or not always the same one";
    return TQ_OK;
}

/* ---- The statement ---- */

/* WHERE as a filter that leaves nothing out. */
static const char *answer_where(struct tq_sql_cursor *cursor, const struct tq_recognised *shape) {
    struct tq_where filter;
    if (shape->where == NULL) return NULL;
    /* Before 3.38 IN is a loop around us, and each turn would hand out the rows of all. */
    if (sqlite3_libversion_number() < 3038000 && tq_where_has_list(shape->where)) return "IN, with SQLite before 3.38";
    if (shape->where_bound) {
        bool whole = tq_where_is_plain(shape->where) && !cursor->filter.left_out && cursor->filter.where != NULL;
        return whole ? NULL : "a parameter in WHERE that is not just compared with a column";
    }
    if (tq_where_from_text(shape->where, &filter) != TQ_OK) return "out of memory";
    tq_where_clear(&cursor->filter);
    cursor->filter = filter;
    return NULL;
}

static const char *recognise_shape(struct tq_sql_cursor *cursor, struct tq_recognised *shape, char **expanded) {
    const struct tq_sql_table *table = cursor->table;
    sqlite3 *db = table->sql->db;
    struct tq_names names;
    sqlite3_stmt *statement = tq_running_statement(db);
    const char *text = statement == NULL ? NULL : sqlite3_sql(statement);
    if (text == NULL) return "another statement is running on the connection";
    if (sqlite3_strglob("*[lL][iI][mM][iI][tT]*", text) == 0) {
        *expanded = sqlite3_expanded_sql(statement);
        if (*expanded == NULL) return "a long statement";
    }
    tq_names_list(table, &names);
    if (!tq_recognise(text, *expanded, &names.table, shape)) return shape->why;
    cursor->vector = shape->vector;
    if (tq_cursor_format(cursor)->rows == TQ_ROWS_NONE) return "rows=none keeps no vectors";
    if (!shape->qualified && !is_meant(table)) return "the name may mean another table or a view";
    uint64_t rows = shape->limit + shape->offset;
    if (shape->limit == 0 || rows > ROWS_MAX) return "LIMIT + OFFSET is 0 or above 10000";
    if (!is_only_cursor(cursor)) return "the table is read twice";
    if (!shape->later) return read_query(cursor, &shape->query) ? NULL : "the query is no vector of the table's";
    return is_constant(db, shape) ? NULL : "the subquery refers to the row outside of it";
}

enum tq_status tq_nearest_begin(struct tq_sql_cursor *cursor, bool by_id, bool *taken) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_recognised shape = {.later = false};
    size_t vector = cursor->vector;
    char *expanded = NULL;
    *taken = false;
    const char *why = sql->order_by == TQ_ORDER_SCAN ? "tq_config('order_by') is scan"
                                                     : recognise_shape(cursor, &shape, &expanded);
    if (why == NULL) why = answer_where(cursor, &shape);
    sqlite3_free(expanded);
    tq_free(shape.where);
    uint64_t rows = shape.limit + shape.offset;
    if (sql->last.cursor == cursor) sql->last.why = why;
    if (why != NULL) {
        cursor->vector = vector;
        return TQ_OK;
    }
    *taken = !shape.later;
    if (*taken) return take(cursor, shape.function, rows, by_id, NULL);
    if (sql->last.cursor == cursor) sql->last.why = "no second row was asked for";
    sql->waiting = (struct tq_sql_waiting){
        .cursor = cursor, .function = shape.function, .argument = shape.argument, .rows = rows};
    return TQ_OK;
}
