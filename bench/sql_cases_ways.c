/* Statements of sql_cases, asked in turns, timed and judged. */
#include <math.h>
#include <string.h>

#include "bench/common/truth.h"
#include "bench/sql_cases.h"

/* Less is no matter of confidence, nor of a peer's bytes. */
#define RECALL_LEAST 0.9

/* ---- Asking ---- */

static int32_t group_of(const struct sql_way *way, size_t query) {
    return way->group >= 0 ? way->group : (int32_t)((query * 2654435761u >> 7) % (size_t)way->group_count);
}

static double bound_of(const struct sql_way *way, size_t query) {
    return way->moving ? way->below * (0.9 + 0.1 * (double)(query * 2654435761u % 1000) / 1000) : way->below;
}

void sql_bind_byte_codes(const struct sql_cases *c, sqlite3_stmt *statement, int at, const float *vector) {
    int8_t codes[4096];
    double largest = 0;
    for (uint32_t d = 0; d < c->base.dim; d++) largest = fmax(largest, fabs((double)vector[d]));
    for (uint32_t d = 0; d < c->base.dim && d < sizeof codes; d++)
        codes[d] = (int8_t)lrint((double)vector[d] * 127 / largest);
    (void)sqlite3_bind_blob(statement, at, codes, (int)tq_min_size(c->base.dim, sizeof codes), SQLITE_TRANSIENT);
}

void sql_way_bind(const struct sql_cases *c, const struct sql_way *way, sqlite3_stmt *statement, size_t query) {
    char name[16];
    if (way->byte_codes)
        sql_bind_byte_codes(c, statement, 1, bench_matrix_row(&c->queries, query));
    else
        sql_bind_blob(c, statement, 1, bench_matrix_row(&c->queries, query));
    if (sqlite3_bind_parameter_count(statement) < 2) return;
    if (way->rank > 0) {
        (void)sqlite3_bind_double(statement, 2, c->rank_scores[query * SQL_RANKS + (size_t)way->rank - 1]);
    } else if (way->below > 0) {
        (void)sqlite3_bind_double(statement, 2, bound_of(way, query));
    } else if (way->as_number) {
        (void)sqlite3_bind_int(statement, 2, group_of(way, query));
    } else {
        (void)snprintf(name, sizeof name, "l%d", (int)group_of(way, query));
        (void)sqlite3_bind_text(statement, 2, name, -1, SQLITE_TRANSIENT);
    }
}

double sql_ask(const struct sql_cases *c, const struct sql_way *way, sqlite3_stmt *statement, size_t query,
               int64_t *ids, size_t *count) {
    sql_way_bind(c, way, statement, query);
    *count = 0;
    int rc;
    double start = sql_seconds_of_thread();
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (*count < SQL_K) ids[*count] = sqlite3_column_int64(statement, 0);
        ++*count;
    }
    double seconds = sql_seconds_of_thread() - start;
    if (rc != SQLITE_DONE) bench_check_sql(way->db, rc);
    (void)sqlite3_reset(statement);
    return 1e3 * seconds;
}

/* ---- Judging ---- */

static bool passes(const struct sql_cases *c, const struct sql_way *way, size_t query, size_t row) {
    if (way->groups != NULL && way->groups[row] != group_of(way, query)) return false;
    return way->below == 0 || c->prices[row] < bound_of(way, query);
}

/* The share of the true k that was found; less than 1 too if a row does not pass or comes twice. */
static double judge(const struct sql_cases *c, const struct sql_way *way, size_t query, const int64_t *ids,
                    size_t count) {
    const double *scores = c->scores + query * c->base.rows;
    double best[SQL_K];
    int64_t best_ids[SQL_K];
    struct bench_best list = bench_best_begin(best, best_ids, SQL_K);
    for (size_t row = 0; row < c->base.rows; row++) {
        if (passes(c, way, query, row)) bench_best_push(&list, scores[row], (int64_t)row);
    }
    if (list.count == 0) return 1;
    bench_best_sort(&list);
    double bar = list.scores[list.count - 1];
    size_t hits = 0;
    for (size_t i = 0; i < tq_min_size(count, list.count); i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++) again = again || ids[i] == ids[j];
        hits += !again && passes(c, way, query, (size_t)ids[i]) && scores[ids[i]] >= bar - 1e-6 * fabs(bar);
    }
    return (double)hits / (double)list.count;
}

/* ---- In turns ---- */

struct answers {
    int64_t *ids;  /* [queries][SQL_K] */
    size_t *count; /* [queries]; SIZE_MAX: not asked */
    double *ms;    /* [rounds] */
};

static void ask_share(struct sql_cases *c, struct sql_way *way, sqlite3_stmt *statement, struct answers *answers,
                      size_t round) {
    size_t first = round * c->queries.rows / c->options.rounds, end = (round + 1) * c->queries.rows / c->options.rounds;
    if (way->most > 0) end = tq_min_size(end, first + way->most);
    double *ms = tq_alloc_array(end - first, sizeof *ms);
    int64_t ids[SQL_K];
    size_t count;
    if (ms == NULL) bench_check(TQ_NOMEM);
    /* What the statement before has left in the caches is gone after a few queries. */
    for (size_t warm = way->most > 0 ? 1 : 5; warm > 0; warm--)
        (void)sql_ask(c, way, statement, (first + warm + c->queries.rows / 2) % c->queries.rows, ids, &count);
    for (size_t q = first; q < end; q++)
        ms[q - first] = sql_ask(c, way, statement, q, answers->ids + q * SQL_K, &answers->count[q]);
    answers->ms[round] = bench_median(ms, end - first);
    tq_free(ms);
    if (round == 0) (void)sql_text(way->db, "SELECT tq_explain()", way->explain, sizeof way->explain);
}

static void summarise(struct sql_cases *c, struct sql_way *way, const struct answers *mine,
                      const struct answers *reference) {
    double *ratios = tq_alloc_array(c->options.rounds, sizeof *ratios), recall = 0;
    if (ratios == NULL) bench_check(TQ_NOMEM);
    for (size_t r = 0; r < c->options.rounds; r++) ratios[r] = mine->ms[r] / reference->ms[r];
    way->ratio = bench_median(ratios, c->options.rounds);
    tq_free(ratios);
    way->fewest = SIZE_MAX;
    way->asked = way->most_rows = 0;
    for (size_t q = 0; q < c->queries.rows; q++) {
        if (mine->count[q] == SIZE_MAX) continue;
        way->asked++;
        way->fewest = tq_min_size(way->fewest, mine->count[q]);
        way->most_rows = tq_max_size(way->most_rows, mine->count[q]);
        if (way->k == 0) recall += judge(c, way, q, mine->ids + q * SQL_K, mine->count[q]);
    }
    way->recall = way->k == 0 ? recall / (double)way->asked : (double)NAN;
    way->wrong = way->recall < RECALL_LEAST || (way->k >= SQL_K && way->most_rows < SQL_K);
    c->failed = c->failed || way->wrong;
}

void sql_ways_run(struct sql_cases *c, struct sql_way *ways, size_t count) {
    struct answers *answers = tq_alloc_array(count, sizeof *answers);
    sqlite3_stmt **statements = tq_alloc_array(count, sizeof(sqlite3_stmt *));
    if (answers == NULL || statements == NULL) bench_check(TQ_NOMEM);
    for (size_t i = 0; i < count; i++) {
        answers[i] = (struct answers){tq_alloc_array(c->queries.rows * SQL_K, sizeof(int64_t)),
                                      tq_alloc_array(c->queries.rows, sizeof(size_t)),
                                      tq_alloc_array(c->options.rounds, sizeof(double))};
        if (answers[i].ids == NULL || answers[i].count == NULL || answers[i].ms == NULL) bench_check(TQ_NOMEM);
        memset(answers[i].count, 0xff, c->queries.rows * sizeof(size_t));
        statements[i] = sql_prepare(ways[i].db, ways[i].sql);
    }
    for (size_t round = 0; round < c->options.rounds; round++) {
        uint32_t *order = NULL;
        bench_check(bench_permutation(count, round, &order));
        for (size_t i = 0; i < count; i++)
            ask_share(c, &ways[order[i]], statements[order[i]], &answers[order[i]], round);
        tq_free(order);
    }
    for (size_t i = 0; i < count; i++) summarise(c, &ways[i], &answers[i], &answers[ways[i].against]);
    for (size_t i = 0; i < count; i++) {
        ways[i].ms = bench_median(answers[i].ms, c->options.rounds);
        (void)sqlite3_finalize(statements[i]);
        tq_free(answers[i].ids);
        tq_free(answers[i].count);
        tq_free(answers[i].ms);
    }
    tq_free(answers);
    tq_free(statements);
}

const char *sql_explained(const char *explain, const char *key, char *value, size_t size) {
    char quoted[40];
    (void)snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(explain, quoted);
    (void)snprintf(value, size, "-");
    if (at == NULL) return value;
    at += strlen(quoted);
    at += *at == '"';
    (void)snprintf(value, size, "%.*s", (int)strcspn(at, "\",}"), at);
    return value;
}

static void print_way(const struct sql_way *way) {
    char filter[20], searches[20];
    (void)printf("| %s | %.3f | %.2f | ", way->label, way->ms, way->ratio);
    (void)(isnan(way->recall) ? printf("- |") : printf("%.4f |", way->recall));
    if (way->fewest == way->most_rows)
        (void)printf(" %zu |", way->fewest);
    else
        (void)printf(" %zu to %zu |", way->fewest, way->most_rows);
    (void)printf(" %s | %s | %zu |\n", sql_explained(way->explain, "filter", filter, sizeof filter),
                 sql_explained(way->explain, "searches", searches, sizeof searches), way->asked);
    if (way->wrong) (void)printf("\nWRONG: too few rows, or others.\n\n");
}

void sql_ways_print(const char *title, const char *meaning, const char *ratio, const struct sql_way *ways,
                    size_t count) {
    (void)printf("\n### %s\n\n%s\n\n| statement | ms | %s | recall | rows | filter | searches | queries |\n"
                 "|---|---|---|---|---|---|---|---|\n",
                 title, meaning, ratio);
    for (size_t i = 0; i < count; i++) print_way(&ways[i]);
    (void)fflush(stdout);
}
