/* FROM queries AS q, docs(q.v, 10): a search for each outer row, and many of them at once, from codes that are read
 * once.
 *
 * SQLite tells of one query at a time. But the text of the statement says where they come from, so the next ones are
 * read there, ahead, and searched together; when SQLite then asks for the next of them, its answer is there. Queries
 * are compared by their bytes: a wrong guess costs time and nothing else, and after it no more is guessed. */
#include <string.h>

#include "sql/names.h"
#include "sql/options.h"
#include "sql/vtab.h"
#include "src/base/alloc.h"

/* The first search is not ahead of anything; the second shows that it is a join. Then few, in case only few are asked
 * for, and more. */
enum { AHEAD_FIRST = 32, AHEAD_MAX = 256, SKIP_MAX = 10000, HITS_MAX = 1 << 20 };

struct tq_many {
    uint64_t searches; /* of this cursor, one after another */
    bool given_up;
    sqlite3_stmt *source; /* the outer table's queries */
    size_t ahead;
    size_t count, next; /* queries that are answered; the one that should come next */
    size_t k, dim;
    uint64_t stamp;
    struct tq_search_options options;
    float *last;         /* f32[dim]: the query before this one */
    float *queries;      /* f32[AHEAD_MAX][dim] */
    struct tq_hit *hits; /* [AHEAD_MAX][k] */
    size_t counts[AHEAD_MAX];
};

void tq_many_free(struct tq_many *many) {
    if (many == NULL) return;
    (void)sqlite3_finalize(many->source);
    tq_free(many->last);
    tq_free(many->queries);
    tq_free(many->hits);
    tq_free(many);
}

/* ---- Reading ahead ---- */

static sqlite3_stmt *open_source(const struct tq_sql_cursor *cursor) {
    sqlite3 *db = cursor->table->sql->db;
    struct tq_recognised_join join;
    struct tq_names names;
    sqlite3_stmt *running = tq_running_statement(db), *source = NULL;
    const char *text = running == NULL ? NULL : sqlite3_sql(running);
    tq_names_list(cursor->table, &names);
    if (text == NULL || !tq_recognise_join(text, &names.table, &join)) return NULL;
    char *select = sqlite3_mprintf("SELECT %s FROM %s", join.column, join.source);
    tq_free(join.source);
    tq_free(join.column);
    if (select == NULL || sqlite3_prepare_v2(db, select, -1, &source, NULL) != SQLITE_OK) source = NULL;
    sqlite3_free(select);
    return source;
}

/* The source's next query; what is no vector of this dimension is SQLite's to complain of. */
static const float *next_query(struct tq_many *many, struct tq_floats *floats) {
    while (sqlite3_step(many->source) == SQLITE_ROW) {
        const float *vector = NULL;
        size_t got = 0;
        sqlite3_value *value = sqlite3_column_value(many->source, 0);
        int type = sqlite3_value_type(value);
        if (type != SQLITE_BLOB && type != SQLITE_TEXT) continue;
        if (tq_value_vector(value, floats, &vector, &got) != TQ_OK || got != many->dim) continue;
        if (tq_vector_check_finite(vector, got) == TQ_OK) return vector;
    }
    return NULL;
}

static bool same(const struct tq_many *many, const float *a, const float *b) {
    return memcmp(a, b, many->dim * sizeof(float)) == 0;
}

/* Go on in the source until the query that is asked for. The one before it must be the one that was asked for last:
 * if not, the statement leaves some of them out. */
static bool find_place(struct tq_many *many, const float *query, struct tq_floats *floats) {
    bool follows = many->count > 0; /* behind an earlier run of them, all of which were used */
    for (size_t i = 0; i < SKIP_MAX; i++) {
        const float *vector = next_query(many, floats);
        if (vector == NULL) return false;
        if (follows && same(many, vector, query)) return true;
        follows = same(many, vector, many->last);
    }
    return false;
}

static bool read_queries(struct tq_many *many, const float *query, struct tq_floats *floats) {
    const float *vector = NULL;
    if (!find_place(many, query, floats)) return false;
    memcpy(many->queries, query, many->dim * sizeof(float));
    many->count = 1;
    while (many->count < many->ahead && (vector = next_query(many, floats)) != NULL) {
        memcpy(many->queries + many->count++ * many->dim, vector, many->dim * sizeof(float));
    }
    return many->count > 1;
}

static bool reserve(struct tq_many *many, size_t k) {
    if (many->hits != NULL && many->k == k) return true;
    tq_free(many->hits);
    tq_free(many->queries);
    many->k = k;
    many->count = 0;
    many->hits = tq_alloc_array(AHEAD_MAX * k, sizeof *many->hits);
    many->queries = tq_alloc_array(AHEAD_MAX * many->dim, sizeof *many->queries);
    return many->hits != NULL && many->queries != NULL;
}

static bool read_ahead(struct tq_sql_cursor *cursor, const struct tq_sql_view *view, size_t k,
                       const struct tq_search_options *options, struct tq_search_stats *stats) {
    struct tq_many *many = cursor->many;
    struct tq_engine *engine = cursor->table->engines[cursor->vector];
    struct tq_floats floats = {0};
    if (many->source == NULL) many->source = open_source(cursor);
    if (many->source == NULL || !reserve(many, k)) return false;
    many->ahead = many->ahead == 0 ? AHEAD_FIRST : tq_min_size(2 * many->ahead, AHEAD_MAX);
    many->stamp = view->stamp;
    many->options = *options;
    many->next = 0;
    bool read = read_queries(many, cursor->query, &floats);
    tq_free(floats.data);
    if (read && tq_engine_search(engine, &view->view, engine->codec->format.metric, many->queries, many->count, k,
                                 options, many->hits, many->counts, stats) == TQ_OK) {
        return true;
    }
    many->count = 0;
    return false;
}

/* ---- Answers ---- */

static bool same_search(const struct tq_many *many, const struct tq_sql_view *view, size_t k,
                        const struct tq_search_options *options) {
    return many->k == k && many->stamp == view->stamp && tq_options_same(&many->options, options);
}

static bool answer(struct tq_sql_cursor *cursor, const struct tq_sql_view *view, size_t k,
                   const struct tq_search_options *options, struct tq_search_stats *stats) {
    struct tq_many *many = cursor->many;
    bool known = many->next < many->count && same_search(many, view, k, options);
    if (known && same(many, many->queries + many->next * many->dim, cursor->query)) return true;
    if (many->next == many->count && read_ahead(cursor, view, k, options, stats)) return true;
    many->given_up = true;
    return false;
}

bool tq_many_answer(struct tq_sql_cursor *cursor, const struct tq_sql_view *view, size_t k,
                    const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                    struct tq_search_stats *stats) {
    struct tq_many *many = cursor->many;
    size_t dim = tq_cursor_format(cursor)->dim;
    if (many == NULL) {
        many = cursor->many = tq_alloc_zero(sizeof *many);
        if (many != NULL) many->last = tq_alloc_array(dim, sizeof(float));
    }
    if (many == NULL || many->last == NULL || many->given_up || k * AHEAD_MAX > HITS_MAX) return false;
    many->dim = dim;
    bool found = many->searches++ > 0 && answer(cursor, view, k, options, stats);
    memcpy(many->last, cursor->query, dim * sizeof(float));
    if (!found) return false;
    *count = many->counts[many->next];
    memcpy(hits, many->hits + many->next * k, *count * sizeof *hits);
    many->next++;
    return true;
}
