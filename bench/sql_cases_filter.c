/* Filters: at every share of the rows, for the first time and again, beside sqlite-vec, in a recognised ORDER BY. */
#include <math.h>
#include <string.h>

#include "bench/sql_cases.h"

#define MATCH "SELECT rowid FROM docs WHERE embedding MATCH ?1"
#define BEST " ORDER BY score DESC LIMIT 10"

static void add_shares(struct sql_cases *c, sqlite3 *db, struct sql_way *ways, size_t *count, const char *what,
                       const char *sql) {
    for (size_t i = 0; i < SQL_SHARES; i++) {
        struct sql_way *way = &ways[(*count)++];
        *way = (struct sql_way){.db = db, .groups = c->labels, .group = (int32_t)i};
        (void)snprintf(way->label, sizeof way->label, "%s, %g %%", what, 100 * sql_shares[i]);
        (void)snprintf(way->sql, sizeof way->sql, "%s", sql);
    }
}

static struct sql_way price_way(sqlite3 *db, const char *what, const char *sql, double below, bool moving) {
    struct sql_way way = {.db = db, .below = below, .moving = moving};
    (void)snprintf(way.label, sizeof way.label, "%s, %g %%%s", what, 100 * below, moving ? ", another every time" : "");
    (void)snprintf(way.sql, sizeof way.sql, "%s", sql);
    return way;
}

/* ---- sqlite-vec ---- */

static void bind_bytes(const struct sql_cases *c, sqlite3_stmt *statement, size_t row) {
    sql_bind_metadata(c, statement, row);
    sql_bind_byte_codes(c, statement, 2, bench_matrix_row(&c->base, row));
}

static void make_vec(const struct sql_cases *c, sqlite3 *db, const char *table, const char *type, const char *value,
                     sql_bind *bind) {
    char sql[300];
    (void)snprintf(sql, sizeof sql,
                   "CREATE VIRTUAL TABLE %s USING vec0(e %s[%u] distance_metric=cosine, label TEXT, price FLOAT)",
                   table, type, c->base.dim);
    sql_run(db, sql);
    (void)snprintf(sql, sizeof sql, "INSERT INTO %s(rowid, e, label, price) VALUES(?1, %s, ?3, ?4)", table, value);
    struct sql_seconds taken = sql_insert_all(c, db, sql, bind);
    (void)printf("\nsqlite-vec, %s with two columns: %zu rows inserted in %.2f s.\n", type, c->base.rows, taken.wall);
}

static sqlite3 *open_vec(const struct sql_cases *c) {
    char *message = NULL;
    sqlite3 *db = sql_open(c, "vec.db");
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    int rc = sqlite3_load_extension(db, c->options.vec, NULL, &message);
    if (rc != SQLITE_OK) (void)fprintf(stderr, "%s: %s\n", c->options.vec, message);
    bench_check_sql(db, rc);
    char version[40];
    (void)printf("\nsqlite-vec %s.\n", sql_text(db, "SELECT vec_version()", version, sizeof version));
    make_vec(c, db, "floats", "float", "?2", sql_bind_metadata);
    make_vec(c, db, "bytes", "int8", "vec_int8(?2)", bind_bytes);
    return db;
}

/* Each against the same filter through us: no filter is ways[0], the shares begin at `indexed`. */
static void add_vec(struct sql_cases *c, sqlite3 *db, struct sql_way *ways, size_t *count, size_t indexed,
                    size_t price) {
    static const char *const tables[][3] = {{"float", "floats", "?1"}, {"int8", "bytes", "vec_int8(?1)"}};
    char label[40], sql[200];
    for (size_t i = 0; i < TQ_COUNT(tables); i++) {
        size_t first = *count;
        (void)snprintf(label, sizeof label, "sqlite-vec %s", tables[i][0]);
        (void)snprintf(sql, sizeof sql, "SELECT rowid FROM %s WHERE e MATCH %s AND k = 10", tables[i][1], tables[i][2]);
        ways[*count] = (struct sql_way){.db = db};
        (void)snprintf(ways[*count].label, sizeof ways[*count].label, "%s, no filter", label);
        (void)snprintf(ways[(*count)++].sql, sizeof ways->sql, "%s", sql);
        (void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql), " AND label = ?2");
        add_shares(c, db, ways, count, label, sql);
        (void)snprintf(strstr(sql, "label"), sizeof "price < ?2", "price < ?2");
        ways[(*count)++] = price_way(db, label, sql, 0.1, true);
        for (size_t w = first; w < *count; w++) {
            ways[w].most = 2;
            ways[w].byte_codes = i == 1;
            ways[w].against = w == first ? 0 : w == *count - 1 ? price : indexed + w - first - 1;
        }
    }
}

/* How many; *indexed: where the shares begin, *price: 10 % by price, another every time. */
static size_t add_ours(struct sql_cases *c, sqlite3 *db, struct sql_way *ways, size_t *indexed, size_t *price) {
    static const double below[] = {0.5, 0.1, 0.01, 0.001};
    size_t count = 0;
    ways[count++] = (struct sql_way){.label = "no filter, LIMIT 10", .db = db, .sql = MATCH BEST};
    ways[count++] = (struct sql_way){.label = "no filter, k = 10", .db = db, .sql = MATCH " AND k = 10"};
    ways[count++] = (struct sql_way){.label = "no filter, table without metadata",
                                     .db = db,
                                     .sql = "SELECT rowid FROM words WHERE embedding MATCH ?1" BEST};
    *indexed = count;
    add_shares(c, db, ways, &count, "label, indexed", MATCH " AND label = ?2" BEST);
    add_shares(c, db, ways, &count, "label, indexed, k = 10", MATCH " AND label = ?2 AND k = 10");
    add_shares(c, db, ways, &count, "label, not indexed", MATCH " AND plain = ?2" BEST);
    for (size_t i = 0; i < TQ_COUNT(below); i++) {
        ways[count++] = price_way(db, "price, indexed", MATCH " AND price < ?2" BEST, below[i], false);
        if (below[i] == 0.1) *price = count;
        ways[count++] = price_way(db, "price, indexed", MATCH " AND price < ?2" BEST, below[i], true);
        ways[count++] = price_way(db, "price, not indexed", MATCH " AND cost < ?2" BEST, below[i], true);
    }
    return count;
}

void sql_cases_filters(struct sql_cases *c) {
    struct sql_way ways[96];
    size_t indexed = 0, price = 0;
    sql_make_docs(c);
    sqlite3 *db = sql_open(c, "docs.db"), *vec = c->options.vec == NULL ? NULL : open_vec(c);
    size_t ours = add_ours(c, db, ways, &indexed, &price), count = ours;
    if (vec != NULL) add_vec(c, vec, ways, &count, indexed, price);
    sql_ways_run(c, ways, count);
    sql_ways_print(
        "Filters, used again and again",
        "label = ?, price < ?. The same value in every query, unless it says otherwise; the first use was in "
        "the warm-up. `label` is text, `price` a number, both given out at random.",
        "times no filter", ways, ours);
    if (vec != NULL) {
        sql_ways_print("The same filters through sqlite-vec",
                       "vec0 with two metadata columns, of which one is filtered. int8: of each vector its own scale.",
                       "times tqlite, indexed", ways + ours, count - ours);
    }
    (void)sqlite3_close(db);
    (void)sqlite3_close(vec);
}

/* ---- The first time ---- */

struct first {
    double *plain, *first, *second, *more;
};

static void use_first(struct sql_cases *c, struct sql_way *way, size_t round, const struct first *out) {
    struct sql_way plain = {.sql = MATCH BEST};
    int64_t ids[SQL_K];
    size_t found, q = round % c->queries.rows, other = (round + 1) % c->queries.rows;
    way->db = plain.db = sql_open(c, "docs.db");
    sqlite3_stmt *unfiltered = sql_prepare(way->db, plain.sql), *filtered = sql_prepare(way->db, way->sql);
    (void)sql_ask(c, &plain, unfiltered, other, ids, &found);
    out->plain[round] = sql_ask(c, &plain, unfiltered, q, ids, &found);
    out->first[round] = sql_ask(c, way, filtered, q, ids, &found);
    bool all = found == SQL_K;
    (void)sql_text(way->db, "SELECT tq_explain()", way->explain, sizeof way->explain);
    out->second[round] = sql_ask(c, way, filtered, other, ids, &found);
    out->more[round] = out->first[round] - out->plain[round];
    way->wrong = way->wrong || !all || found != SQL_K;
    (void)sqlite3_finalize(unfiltered);
    (void)sqlite3_finalize(filtered);
    (void)sqlite3_close(way->db);
}

static void print_first(struct sql_cases *c, const struct sql_way *way, const struct first *times) {
    size_t rounds = c->options.rounds;
    double more = bench_median(times->more, rounds);
    char filter[20], searches[20];
    (void)printf("| %s | %.3f | %.3f | %.3f | %.3f | %.3f | %s | %s |\n", way->label,
                 bench_median(times->plain, rounds), bench_median(times->first, rounds), more, times->more[rounds - 1],
                 bench_median(times->second, rounds), sql_explained(way->explain, "filter", filter, sizeof filter),
                 sql_explained(way->explain, "searches", searches, sizeof searches));
    if (way->wrong) (void)printf("\nWRONG: not %d rows.\n\n", SQL_K);
    c->failed = c->failed || way->wrong;
    (void)fflush(stdout);
}

static void first_uses(struct sql_cases *c, const char *title, const char *meaning) {
    struct sql_way ways[32];
    struct first times[32];
    size_t count = 0, rounds = c->options.rounds;
    add_shares(c, NULL, ways, &count, "label, indexed", MATCH " AND label = ?2" BEST);
    add_shares(c, NULL, ways, &count, "label, not indexed", MATCH " AND plain = ?2" BEST);
    ways[count++] = price_way(NULL, "price, indexed", MATCH " AND price < ?2" BEST, 0.1, false);
    ways[count++] = price_way(NULL, "price, not indexed", MATCH " AND cost < ?2" BEST, 0.1, false);
    for (size_t i = 0; i < count; i++) {
        double *all = tq_alloc_array(4 * rounds, sizeof *all);
        if (all == NULL) bench_check(TQ_NOMEM);
        times[i] = (struct first){all, all + rounds, all + 2 * rounds, all + 3 * rounds};
    }
    for (size_t round = 0; round < rounds; round++) {
        uint32_t *order = NULL;
        bench_check(bench_permutation(count, round, &order));
        for (size_t i = 0; i < count; i++) use_first(c, &ways[order[i]], round, &times[order[i]]);
        tq_free(order);
    }
    (void)printf(
        "\n### %s\n\n%s\n\n| filter | unfiltered ms | first use | more than unfiltered | at most | second use | "
        "filter, first use | searches |\n|---|---|---|---|---|---|---|---|\n",
        title, meaning);
    for (size_t i = 0; i < count; i++) {
        print_first(c, &ways[i], &times[i]);
        tq_free(times[i].plain);
    }
}

void sql_cases_first(struct sql_cases *c) {
    sql_make_docs(c);
    first_uses(c, "A filter for the first time",
               "A new connection, two queries without a filter, of which the second is timed, then the same query with "
               "it, then another one. Statements are prepared. No other connection: every page is read, and its sum "
               "checked, for the first time.");
    struct sql_way many = {.db = sql_open(c, "docs.db")};
    sqlite3_stmt *statement = sql_prepare(many.db, MATCH " ORDER BY score DESC LIMIT 3000");
    for (size_t q = 0; q < c->queries.rows; q++) {
        int64_t ids[SQL_K];
        size_t found;
        (void)sql_ask(c, &many, statement, q, ids, &found);
    }
    (void)sqlite3_finalize(statement);
    first_uses(c, "A filter for the first time, the file in use",
               "The same while another connection of the process, which has read most of the vectors, stays open.");
    (void)sqlite3_close(many.db);
}

/* ---- ORDER BY a function of the vector ---- */

void sql_cases_order(struct sql_cases *c) {
#define ORDER " ORDER BY tq_cosine(embedding, ?1) DESC LIMIT 10"
    sql_make_docs(c);
    sqlite3 *db = sql_open(c, "docs.db"), *scan = sql_open(c, "docs.db");
    sql_run(scan, "SELECT tq_config('order_by', 'scan')");
    struct sql_way ways[] = {
        {.label = "recognised, no WHERE", .db = db, .sql = "SELECT rowid FROM docs" ORDER},
        {.label = "scan, no WHERE", .db = scan, .sql = "SELECT rowid FROM docs" ORDER, .most = 2},
        {.label = "recognised, indexed, 10 %",
         .db = db,
         .sql = "SELECT rowid FROM docs WHERE label = ?2" ORDER,
         .groups = c->labels,
         .group = 2},
        {.label = "scan, indexed, 10 %",
         .db = scan,
         .sql = "SELECT rowid FROM docs WHERE label = ?2" ORDER,
         .groups = c->labels,
         .group = 2,
         .most = 2},
        {.label = "recognised, indexed, 1 %",
         .db = db,
         .sql = "SELECT rowid FROM docs WHERE label = ?2" ORDER,
         .groups = c->labels,
         .group = 5},
        {.label = "scan, indexed, 1 %",
         .db = scan,
         .sql = "SELECT rowid FROM docs WHERE label = ?2" ORDER,
         .groups = c->labels,
         .group = 5,
         .most = 2},
        {.label = "recognised, not indexed, 10 %",
         .db = db,
         .sql = "SELECT rowid FROM docs WHERE plain = ?2" ORDER,
         .groups = c->labels,
         .group = 2},
        {.label = "scan, not indexed, 10 %",
         .db = scan,
         .sql = "SELECT rowid FROM docs WHERE plain = ?2" ORDER,
         .groups = c->labels,
         .group = 2,
         .most = 2},
    };
    sql_ways_run(c, ways, TQ_COUNT(ways));
    sql_ways_print("ORDER BY tq_cosine(embedding, :q) DESC LIMIT 10, with WHERE",
                   "Recognised, and with `tq_config('order_by', 'scan')`. Exact both.", "times the first", ways,
                   TQ_COUNT(ways));
    (void)sqlite3_close(db);
    (void)sqlite3_close(scan);
}
