/* WHERE embedding MATCH ?: rows best first, as many as SQLite asks for.
 *
 * The first search is for as many rows as LIMIT or k ask for, or FIRST; when they are used up, for eight times as many.
 * A later search goes on behind the last row that was handed out, by score and then id: a row that the first had missed
 * (that is what `confidence` permits) stays missed, so that the order holds and no row comes twice.
 *
 * score > x and distance < x end the stream with the first row that fails them, since all later ones do, too. Equal
 * rows and everything else that is in doubt are left to SQLite, which compares again. */
#include <math.h>
#include <string.h>

#include "sql/recognise.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"

enum { FIRST = 64, GROW = 8, GUESS_MAX = 100000 };

static enum tq_status read_query(struct tq_sql_cursor *cursor, sqlite3_value *value) {
    const struct tq_sql_table *table = cursor->table;
    uint32_t dim = table->access->codec->format.dim;
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t got = 0;
    char text[64];
    enum tq_status status = tq_value_vector(value, &floats, &vector, &got);
    if (status == TQ_OK && got != dim) {
        tq_value_describe(value, got, text);
        status = tq_fail(TQ_MISUSE, "%s.%s has %u dimension%s, the query has %s", table->name, table->column, dim,
                         dim == 1 ? "" : "s", text);
    } else if (status == TQ_OK) {
        status = tq_vector_check_finite(vector, got);
        if (cursor->query == NULL) cursor->query = tq_alloc_array(dim, sizeof(float));
        if (cursor->query == NULL) status = TQ_NOMEM;
        if (status == TQ_OK) memcpy(cursor->query, vector, dim * sizeof(float));
    } else if (status == TQ_MISUSE) {
        char why[400];
        sqlite3_snprintf(sizeof why, why, "%s", tq_message());
        status = tq_fail(TQ_MISUSE, "the query of MATCH: %s", why);
    }
    tq_free(floats.data);
    return status;
}

static enum tq_status read_k(sqlite3_value *value, uint64_t *most) {
    *most = UINT64_MAX;
    if (value == NULL) return TQ_OK;
    if (sqlite3_value_type(value) != SQLITE_INTEGER) return tq_fail(TQ_MISUSE, "k must be a whole number");
    sqlite3_int64 k = sqlite3_value_int64(value);
    if (k < 0) return tq_fail(TQ_MISUSE, "k is %lld; it must be 0 or more", (long long)k);
    *most = (uint64_t)k;
    return TQ_OK;
}

/* The x of `score > x`, -x of `distance < x`; -INFINITY: nothing is sure to fail, INFINITY: everything is. As SQLite
 * compares: nothing with NULL, and numbers are less than text and blobs. */
static double read_bar(sqlite3_value *value, bool less_than) {
    enum { WHOLE = 53 }; /* bits of a whole number that is surely the same as a double */
    double sign = less_than ? -1 : 1;
    if (value == NULL) return -INFINITY;
    switch (sqlite3_value_numeric_type(value)) {
    case SQLITE_INTEGER: {
        sqlite3_int64 number = sqlite3_value_int64(value);
        bool whole = number < (1LL << WHOLE) && number > -(1LL << WHOLE);
        return whole ? sign * (double)number : -INFINITY;
    }
    case SQLITE_FLOAT: return sign * sqlite3_value_double(value);
    case SQLITE_NULL: return INFINITY;
    default: return less_than ? -INFINITY : INFINITY;
    }
}

/* LIMIT + OFFSET, which SQLite tells where it can. Where it does not (before 3.41 never beside MATCH), the statement's
 * text does: a wrong guess costs a second search and nothing else. */
static uint64_t first_guess(const struct tq_sql_cursor *cursor, const struct tq_stream_arguments *arguments) {
    uint64_t rows = 0;
    if (arguments->limit != NULL) {
        sqlite3_int64 limit = sqlite3_value_int64(arguments->limit), offset = 0;
        if (arguments->offset != NULL) offset = sqlite3_value_int64(arguments->offset);
        if (limit > 0 && limit <= GUESS_MAX && offset >= 0 && offset <= GUESS_MAX) rows = (uint64_t)(limit + offset);
    } else {
        sqlite3_stmt *statement = tq_running_statement(cursor->table->sql->db);
        char *text = statement == NULL ? NULL : sqlite3_expanded_sql(statement);
        rows = text == NULL ? 0 : tq_limit_hint(text);
        sqlite3_free(text);
    }
    return rows == 0 || rows > GUESS_MAX ? FIRST : rows;
}

static enum tq_status search(struct tq_sql_cursor *cursor, size_t k) {
    struct tq_sql *sql = cursor->table->sql;
    struct tq_search_stats stats = {0, 0, 0, 0};
    if (k > cursor->hit_capacity) {
        struct tq_hit *hits = tq_alloc_array(k, sizeof *hits);
        if (hits == NULL) return TQ_NOMEM;
        tq_free(cursor->hits);
        cursor->hits = hits;
        cursor->hit_capacity = k;
    }
    TQ_TRY(tq_sql_table_open(cursor->table));
    TQ_TRY(tq_access_search(cursor->table->access, cursor->table->access->codec->format.metric, cursor->query, 1, k,
                            &sql->options, cursor->hits, &cursor->hit_count, &stats));
    cursor->asked = k;
    cursor->hit_at = 0;
    if (sql->last.cursor == cursor) {
        sql->last.searches++;
        sql->last.k = k;
        sql->last.stats.rows += stats.rows;
        sql->last.stats.second += stats.second;
        sql->last.stats.survivors += stats.survivors;
        sql->last.stats.ranked += stats.ranked;
    }
    return TQ_OK;
}

enum tq_status tq_stream_begin(struct tq_sql_cursor *cursor, const struct tq_stream_arguments *arguments) {
    struct tq_view view;
    cursor->source = TQ_SOURCE_HITS;
    cursor->emitted = 0;
    cursor->hit_count = cursor->hit_at = 0;
    cursor->asked = 0;
    TQ_TRY(read_query(cursor, arguments->query));
    TQ_TRY(read_k(arguments->k, &cursor->most));
    cursor->least_score = read_bar(arguments->score, false);
    cursor->most_distance = -read_bar(arguments->distance, true);
    TQ_TRY(tq_table_view(cursor->table->access->table, &view));
    cursor->table->rows_seen = view.live;
    uint64_t k = cursor->most != UINT64_MAX ? cursor->most : first_guess(cursor, arguments);
    if (k > view.live) k = view.live;
    return k == 0 ? TQ_OK : search(cursor, (size_t)k);
}

static bool is_behind(const struct tq_hit *hit, const struct tq_hit *last) {
    return hit->score < last->score || (hit->score == last->score && hit->id > last->id);
}

/* More than was found so far; nothing if the search found fewer than it was asked for. */
static enum tq_status extend(struct tq_sql_cursor *cursor) {
    struct tq_view view;
    if (cursor->asked == 0 || cursor->hit_count < cursor->asked) return TQ_OK;
    TQ_TRY(tq_sql_table_open(cursor->table));
    TQ_TRY(tq_table_view(cursor->table->access->table, &view));
    uint64_t k = (uint64_t)cursor->asked * GROW;
    if (k < FIRST) k = FIRST;
    if (k > view.live / 4) k = view.live;
    if (k > cursor->most) k = cursor->most;
    if (k <= cursor->asked) return TQ_OK;
    TQ_TRY(search(cursor, (size_t)k));
    while (cursor->hit_at < cursor->hit_count && !is_behind(&cursor->hits[cursor->hit_at], &cursor->last)) {
        cursor->hit_at++;
    }
    return TQ_OK;
}

enum tq_status tq_stream_next(struct tq_sql_cursor *cursor) {
    bool more = cursor->emitted < cursor->most;
    if (more && cursor->hit_at == cursor->hit_count) TQ_TRY(extend(cursor));
    more = more && cursor->hit_at < cursor->hit_count;
    const struct tq_hit *next = &cursor->hits[cursor->hit_at];
    if (!more || next->score < cursor->least_score || next->distance > cursor->most_distance) {
        cursor->eof = true;
        return TQ_OK;
    }
    cursor->last = *next;
    cursor->hit_at++;
    cursor->emitted++;
    cursor->id = cursor->last.id;
    cursor->score = cursor->last.score;
    cursor->distance = cursor->last.distance;
    cursor->unit = NULL;
    cursor->is_null = false;
    return TQ_OK;
}
