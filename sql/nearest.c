/* ORDER BY tq_ip(embedding, :q) DESC LIMIT n, recognised.
 *
 * SQLite tells no virtual table of such an order, so the text of the running statement is read. Then instead of all
 * rows those are handed out that may be among the first n, found by an exact search, in the order in which a scan would
 * come upon them. SQLite calls the function and sorts as ever: of rows that it would have sorted behind the n-th, it
 * just sees none. So equal scores keep their order as well. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sql/functions.h"
#include "sql/recognise.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"

enum { ROWS_MAX = 10000 }; /* asked for: beyond, a scan is as good */

/* A row among the first, and where a scan finds it. */
struct place {
    size_t segment;
    uint32_t row;
    int64_t id;
};

static int by_place(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
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
    uint32_t dim = cursor->table->access->codec->format.dim;
    struct tq_floats floats = {0};
    size_t got = 0;
    if (cursor->query == NULL) cursor->query = tq_alloc_array(dim, sizeof(float));
    if (cursor->query == NULL) return false;
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

/* The first `rows` hits, and those that equal the last of them: cursor->hits[*count]. */
static enum tq_status search(struct tq_sql_cursor *cursor, const struct tq_recognised *shape, uint64_t live,
                             size_t *count) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_search_options options = sql->options;
    enum tq_metric metric = metric_of(shape->function, cursor->table->access->codec->format.metric);
    size_t rows = (size_t)(shape->limit + shape->offset), k = rows;
    if (sql->order_by == TQ_ORDER_EXACT) options = (struct tq_search_options){.confidence = TQ_EXACT, .threads = 1};
    for (;;) {
        k = (size_t)(k + 1 < live ? k + 1 : live);
        if (k > cursor->hit_capacity) {
            tq_free(cursor->hits);
            cursor->hit_capacity = 0;
            cursor->hits = tq_alloc_array(k, sizeof *cursor->hits);
            if (cursor->hits == NULL) return TQ_NOMEM;
            cursor->hit_capacity = k;
        }
        TQ_TRY(tq_access_search(cursor->table->access, metric, cursor->query, 1, k, &options, cursor->hits, count,
                                &sql->last.stats));
        sql->last.searches++;
        sql->last.k = k;
        if (*count < k || *count <= rows) return TQ_OK;
        double bar = value_of(shape->function, &cursor->hits[rows - 1]);
        while (*count > rows && value_of(shape->function, &cursor->hits[*count - 1]) != bar) --*count;
        if (*count < k || k == live) return TQ_OK;
        k *= 4;
    }
}

static enum tq_status list_ids(struct tq_sql_cursor *cursor, const struct tq_view *view, size_t count) {
    enum tq_status status = TQ_OK;
    struct place *places = tq_alloc_array(count, sizeof *places);
    if (places == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < count && status == TQ_OK; i++) {
        struct tq_view_segment where = {0};
        places[i] = (struct place){.id = cursor->hits[i].id};
        status = tq_table_find(cursor->table->access->table, places[i].id, &where, &places[i].row);
        while (status == TQ_OK && places[i].segment < view->count &&
               view->segments[places[i].segment].segment != where.segment) {
            places[i].segment++;
        }
    }
    if (status == TQ_OK) qsort(places, count, sizeof *places, by_place);
    for (size_t i = 0; i < count && status == TQ_OK; i++) status = tq_cursor_add_id(cursor, places[i].id);
    tq_free(places);
    return status;
}

/* Rows without a vector, as many as may be asked for: NULL sorts before all numbers or behind them. */
static enum tq_status add_nulls(struct tq_sql_cursor *cursor, uint64_t most) {
    sqlite3_stmt *statement = NULL;
    enum tq_status status = TQ_OK;
    TQ_TRY(tq_sql_prepare(cursor->table, TQ_SQL_NULL_IDS, 0, &statement));
    for (uint64_t i = 0; i < most && status == TQ_OK && sqlite3_step(statement) == SQLITE_ROW; i++) {
        status = tq_cursor_add_id(cursor, sqlite3_column_int64(statement, 0));
    }
    (void)sqlite3_reset(statement);
    return status;
}

static bool recognise(struct tq_sql_cursor *cursor, sqlite3_stmt *statement, struct tq_recognised *shape,
                      char **expanded) {
    const struct tq_sql_table *table = cursor->table;
    const struct tq_format *format = &table->access->codec->format;
    const char *text = sqlite3_sql(statement);
    if (text == NULL || format->rows == TQ_ROWS_NONE) return false;
    if (sqlite3_strglob("*[lL][iI][mM][iI][tT]*", text) != 0) return false;
    *expanded = sqlite3_expanded_sql(statement);
    if (*expanded == NULL) return false;
    if (!tq_recognise(*expanded, table->schema, table->name, table->column, shape)) return false;
    if (!shape->qualified && !is_meant(table)) return false;
    uint64_t rows = shape->limit + shape->offset;
    if (shape->limit == 0 || rows > ROWS_MAX) return false;
    return read_query(cursor, &shape->query);
}

enum tq_status tq_nearest_begin(struct tq_sql_cursor *cursor, bool *taken) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_recognised shape;
    struct tq_view view;
    char *expanded = NULL;
    size_t count = 0;
    *taken = false;
    if (sql->order_by == TQ_ORDER_SCAN) return TQ_OK;
    sqlite3_stmt *statement = tq_running_statement(sql->db);
    *taken = statement != NULL && recognise(cursor, statement, &shape, &expanded);
    sqlite3_free(expanded);
    if (!*taken) return TQ_OK;
    TQ_TRY(tq_table_view(cursor->table->access->table, &view));
    cursor->table->rows_seen = view.live;
    sql->last.path = sql->order_by == TQ_ORDER_EXACT ? "recognised" : "recognised, approximate";
    cursor->source = TQ_SOURCE_IDS;
    if (view.live > 0) TQ_TRY(search(cursor, &shape, view.live, &count));
    TQ_TRY(list_ids(cursor, &view, count));
    return add_nulls(cursor, shape.limit + shape.offset);
}
