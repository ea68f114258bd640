/* WHERE embedding MATCH ?: rows best first, as many as SQLite asks for.
 *
 * The first search is for as many rows as LIMIT or k ask for, or TQ_FIRST_ROWS; when they are used up, for eight
 * times as many. A later search goes on behind the last row that was handed out, by score and then id: a row that
 * the first had missed (that is what `confidence` permits) stays missed, so that the order holds and no row comes
 * twice.
 *
 * score > x and distance < x end the stream with the first row that fails them, since all later ones do, too; where
 * nothing else limits it, one range search finds all of them. Equal rows and everything else that is in doubt are
 * left to SQLite, which compares again. Conditions on other columns: filtering.c. */
#include <math.h>
#include <string.h>

#include "sql/options.h"
#include "sql/recognise.h"
#include "sql/stream.h"
#include "src/base/alloc.h"

enum { GROW = 8, GUESS_MAX = 100000, RANGE_FIRST = 1024 };

void tq_stream_free(struct tq_stream *stream) {
    if (stream == NULL) return;
    TQ_ASSERT(stream->check == NULL);
    tq_sql_view_free(&stream->all);
    tq_free(stream->kept.query);
    tq_free(stream->hits);
    tq_free(stream);
}

/* ---- Arguments ---- */

/* A query may bring its own settings. */
static enum tq_status read_options(struct tq_stream *stream, sqlite3_value *value) {
    const void *bytes = NULL;
    const char *text = NULL;
    size_t size = 0, text_size = 0;
    if (sqlite3_value_type(value) != SQLITE_BLOB) return TQ_OK;
    const void *all = sqlite3_value_blob(value);
    if (!tq_options_unwrap(all, (size_t)sqlite3_value_bytes(value), &bytes, &size, &text, &text_size)) return TQ_OK;
    return tq_options_read(text, text_size, &stream->options);
}

static enum tq_status read_query(struct tq_sql_cursor *cursor, sqlite3_value *value) {
    const struct tq_sql_table *table = cursor->table;
    uint32_t dim = tq_cursor_format(cursor)->dim;
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t got = 0;
    char text[64];
    enum tq_status status = read_options(cursor->stream, value);
    if (status == TQ_OK) status = tq_value_vector(value, &floats, &vector, &got);
    if (status == TQ_OK && got != dim) {
        tq_value_describe(value, got, text);
        status = tq_fail(TQ_MISUSE, "%s.%s has %u dimension%s, the query has %s", table->name,
                         tq_declaration_vector(&table->declaration, cursor->vector)->name, dim, dim == 1 ? "" : "s",
                         text);
    } else if (status == TQ_OK) {
        status = tq_vector_check_finite(vector, got);
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
    int type = sqlite3_value_type(value); /* some programs bind all numbers as doubles */
    double number = sqlite3_value_double(value);
    if ((type != SQLITE_INTEGER && type != SQLITE_FLOAT) || number != floor(number) || fabs(number) > 0x1p62) {
        return tq_fail(TQ_MISUSE, "k must be a whole number");
    }
    sqlite3_int64 k = type == SQLITE_INTEGER ? sqlite3_value_int64(value) : (sqlite3_int64)number;
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

/* The score below which no row can pass. What rounding may have taken from a distance is given back. */
static double bar_of(enum tq_metric metric, double least_score, double most_distance) {
    double by_distance = -INFINITY, slack = 1e-9;
    if (most_distance < INFINITY) {
        if (metric == TQ_COSINE)
            by_distance = 1 - most_distance - slack;
        else if (metric == TQ_IP)
            by_distance = -most_distance - slack * fabs(most_distance);
        else
            by_distance = most_distance < 0 ? INFINITY : -most_distance * most_distance * (1 + slack);
    }
    return fmax(least_score, by_distance);
}

/* LIMIT + OFFSET, which SQLite tells where it can. Where it does not (before 3.41 never beside MATCH), the
 * statement's text does: a wrong guess costs a second search and nothing else. */
static uint64_t rows_expected(const struct tq_sql_cursor *cursor, const struct tq_stream_arguments *arguments) {
    uint64_t rows = 0;
    if (arguments->limit != NULL) {
        sqlite3_int64 limit = sqlite3_value_int64(arguments->limit), offset = 0;
        if (arguments->offset != NULL) offset = sqlite3_value_int64(arguments->offset);
        if (limit > 0 && limit <= GUESS_MAX && offset >= 0 && offset <= GUESS_MAX) rows = (uint64_t)(limit + offset);
    } else {
        sqlite3_stmt *statement = tq_running_statement(cursor->table->sql->db);
        const char *text = statement == NULL ? NULL : sqlite3_sql(statement);
        if (text == NULL || sqlite3_strglob("*[lL][iI][mM][iI][tT]*", text) != 0) return 0;
        rows = tq_limit_hint(text);
        if (rows > 0) return rows > GUESS_MAX ? 0 : rows;
        char *expanded = sqlite3_expanded_sql(statement); /* the query, too: it is dear */
        rows = expanded == NULL ? 0 : tq_limit_hint(expanded);
        sqlite3_free(expanded);
    }
    return rows > GUESS_MAX ? 0 : rows;
}

/* ---- Searching ---- */

static enum tq_status reserve_hits(struct tq_stream *stream, size_t k) {
    if (k <= stream->capacity) return TQ_OK;
    struct tq_hit *hits = tq_alloc_array(k, sizeof *hits);
    if (hits == NULL) return TQ_NOMEM;
    tq_free(stream->hits);
    stream->hits = hits;
    stream->capacity = k;
    return TQ_OK;
}

/* The rows to search: those of the bitmap, or all of the partitions that are asked for. */
static enum tq_status find_view(struct tq_sql_cursor *cursor, const struct tq_view **view) {
    struct tq_stream *stream = cursor->stream;
    const struct tq_where *filter = &cursor->filter;
    TQ_TRY(tq_sql_table_open(cursor->table));
    if (stream->filtering == TQ_FILTERING_BITMAP)
        return tq_where_view(cursor->table, cursor->vector, filter, UINT64_MAX, view);
    TQ_TRY(tq_sql_view(cursor->table, cursor->vector, filter->partitions, filter->values, filter->count, &stream->all));
    *view = &stream->all.view;
    return TQ_OK;
}

static void tell(const struct tq_sql_cursor *cursor, size_t k, const struct tq_search_stats *stats) {
    static const char *const names[] = {NULL, "bitmap", "each row"};
    struct tq_sql_last *last = &cursor->table->sql->last;
    if (last->cursor != cursor) return;
    last->searches++;
    last->k = k;
    last->filter = names[cursor->stream->filtering];
    last->stats.rows += stats->rows;
    last->stats.second += stats->second;
    last->stats.survivors += stats->survivors;
    last->stats.ranked += stats->ranked;
    last->stats.device += stats->device;
}

/* Whether hits[] has the answer already. */
static bool is_kept(const struct tq_sql_cursor *cursor, size_t k) {
    const struct tq_stream *stream = cursor->stream;
    if (!stream->kept.valid || stream->filtering != TQ_FILTERING_NONE || stream->kept.asked != k) return false;
    return stream->kept.stamp == stream->all.stamp && tq_options_same(&stream->kept.options, &stream->options) &&
           memcmp(stream->kept.query, cursor->query, tq_cursor_format(cursor)->dim * sizeof(float)) == 0;
}

static void keep(const struct tq_sql_cursor *cursor, size_t k) {
    struct tq_stream *stream = cursor->stream;
    size_t bytes = tq_cursor_format(cursor)->dim * sizeof(float);
    if (stream->filtering != TQ_FILTERING_NONE) return;
    if (stream->kept.query == NULL) stream->kept.query = tq_alloc(bytes);
    stream->kept.valid = stream->kept.query != NULL;
    if (!stream->kept.valid) return;
    memcpy(stream->kept.query, cursor->query, bytes);
    stream->kept.asked = k;
    stream->kept.count = stream->count;
    stream->kept.stamp = stream->all.stamp;
    stream->kept.options = stream->options;
}

static enum tq_status search(struct tq_sql_cursor *cursor, const struct tq_view *view, uint64_t rows) {
    struct tq_stream *stream = cursor->stream;
    struct tq_engine *engine = cursor->table->engines[cursor->vector];
    struct tq_search_stats stats = {0};
    size_t k = (size_t)(rows < view->live ? rows : view->live);
    stream->asked = k;
    stream->at = stream->count = 0;
    stream->complete = k == view->live;
    if (k == 0) return TQ_OK;
    if (is_kept(cursor, k)) {
        stream->count = stream->kept.count;
    } else {
        stream->kept.valid = false;
        TQ_TRY(reserve_hits(stream, k));
        /* With k, a join may be asking one query after another. */
        bool joined = stream->most != UINT64_MAX && stream->filtering == TQ_FILTERING_NONE && stream->emitted == 0;
        bool answered = joined &&
                        tq_many_answer(cursor, &stream->all, k, &stream->options, stream->hits, &stream->count, &stats);
        if (!answered) {
            TQ_TRY(tq_engine_search(engine, view, engine->codec->format.metric, cursor->query, 1, k, &stream->options,
                                    stream->hits, &stream->count, &stats));
        }
        tell(cursor, k, &stats);
        keep(cursor, k);
    }
    if (stream->count < k) stream->complete = true;
    return TQ_OK;
}

/* All rows above the bar, or the best `rows` of them. */
static enum tq_status search_range(struct tq_sql_cursor *cursor, const struct tq_view *view, uint64_t rows) {
    struct tq_stream *stream = cursor->stream;
    struct tq_engine *engine = cursor->table->engines[cursor->vector];
    struct tq_search_stats stats = {0};
    size_t capacity = (size_t)(rows < view->live ? rows : view->live), found = 0;
    stream->kept.valid = false;
    stream->asked = capacity;
    stream->at = stream->count = 0;
    stream->complete = true;
    if (capacity == 0) return TQ_OK;
    TQ_TRY(reserve_hits(stream, capacity));
    TQ_TRY(tq_engine_range(engine, view, engine->codec->format.metric, cursor->query, stream->bar, capacity,
                           &stream->options, stream->hits, &found, &stats));
    stream->count = tq_min_size(found, capacity);
    stream->complete = found <= capacity;
    tell(cursor, capacity, &stats);
    return TQ_OK;
}

/* ---- The stream ---- */

static enum tq_status begin(struct tq_sql_cursor *cursor, const struct tq_stream_arguments *arguments) {
    struct tq_stream *stream = cursor->stream;
    const struct tq_view *view = NULL;
    TQ_TRY(read_query(cursor, arguments->query));
    TQ_TRY(read_k(arguments->k, &stream->most));
    stream->least_score = read_bar(arguments->score, false);
    stream->most_distance = -read_bar(arguments->distance, true);
    stream->most_score = -read_bar(arguments->above, true);
    stream->least_distance = read_bar(arguments->nearer, false);
    stream->strict = arguments->strict;
    stream->bar = bar_of(tq_cursor_format(cursor)->metric, stream->least_score, stream->most_distance);
    stream->expected = stream->most != UINT64_MAX ? stream->most : rows_expected(cursor, arguments);
    bool nothing = stream->bar == INFINITY || stream->most_score == -INFINITY || stream->least_distance == INFINITY;
    if (stream->most == 0 || nothing) {
        stream->complete = true;
        return TQ_OK;
    }
    TQ_TRY(tq_filtering_begin(cursor));
    TQ_TRY(find_view(cursor, &view));
    if (stream->filtering != TQ_FILTERING_BITMAP) cursor->table->rows_seen = view->live;
    if (stream->expected == 0 && stream->bar > -INFINITY) return search_range(cursor, view, RANGE_FIRST);
    uint64_t rows = stream->expected == 0 ? TQ_FIRST_ROWS : stream->expected;
    if (stream->filtering == TQ_FILTERING_EACH) rows = (uint64_t)tq_rows_needed((double)rows, stream->share);
    return search(cursor, view, rows);
}

enum tq_status tq_stream_begin(struct tq_sql_cursor *cursor, const struct tq_stream_arguments *arguments) {
    struct tq_stream *stream = cursor->stream;
    cursor->source = TQ_SOURCE_HITS;
    if (stream == NULL) {
        stream = cursor->stream = tq_alloc_zero(sizeof *stream);
        if (stream == NULL) return TQ_NOMEM;
    }
    struct tq_stream before = *stream;
    *stream = (struct tq_stream){.hits = before.hits,
                                 .capacity = before.capacity,
                                 .all = before.all,
                                 .kept = before.kept,
                                 .options = cursor->table->sql->options};
    return begin(cursor, arguments);
}

void tq_stream_reset(struct tq_sql_cursor *cursor) {
    if (cursor->stream != NULL) tq_filtering_reset(cursor);
}

static bool is_behind(const struct tq_hit *hit, const struct tq_hit *last) {
    return hit->score < last->score || (hit->score == last->score && hit->id > last->id);
}

/* More than was found so far, behind what was handed out. */
static enum tq_status extend(struct tq_sql_cursor *cursor) {
    struct tq_stream *stream = cursor->stream;
    const struct tq_view *view = NULL;
    struct tq_hit last = stream->count > 0 ? stream->hits[stream->count - 1] : stream->last;
    uint64_t rows = (uint64_t)tq_max_size(stream->asked, TQ_FIRST_ROWS) * GROW;
    tq_filtering_again(cursor, &rows);
    TQ_TRY(find_view(cursor, &view));
    if (rows > view->live / 4) rows = view->live;
    if (stream->bar > -INFINITY)
        TQ_TRY(search_range(cursor, view, rows));
    else
        TQ_TRY(search(cursor, view, rows));
    while (stream->at < stream->count && !is_behind(&stream->hits[stream->at], &last)) stream->at++;
    return TQ_OK;
}

/* On an earlier page. */
static bool is_before(const struct tq_stream *stream, const struct tq_hit *hit) {
    if (stream->strict && (hit->score == stream->most_score || hit->distance == stream->least_distance)) return true;
    return hit->score > stream->most_score || hit->distance < stream->least_distance;
}

enum tq_status tq_stream_next(struct tq_sql_cursor *cursor) {
    struct tq_stream *stream = cursor->stream;
    bool pass = false;
    cursor->unit = NULL;
    cursor->eof = true;
    while (stream->emitted < stream->most) {
        while (stream->at == stream->count && !stream->complete) TQ_TRY(extend(cursor));
        if (stream->at == stream->count) return TQ_OK;
        const struct tq_hit *next = &stream->hits[stream->at];
        if (next->score < stream->least_score || next->distance > stream->most_distance) return TQ_OK;
        stream->last = *next;
        stream->at++;
        if (is_before(stream, &stream->last)) continue;
        pass = stream->filtering != TQ_FILTERING_EACH;
        if (!pass) TQ_TRY(tq_filtering_pass(cursor, stream->last.id, &pass));
        if (pass) break;
    }
    if (!pass) return TQ_OK;
    stream->emitted++;
    cursor->eof = false;
    cursor->id = stream->last.id;
    cursor->score = stream->last.score;
    cursor->distance = stream->last.distance;
    return TQ_OK;
}
