/* Table filters: searches among some of the rows. */
#include <stdlib.h>
#include <string.h>

#include "bench/cases.h"
#include "bench/common/program.h"
#include "bench/common/truth.h"
#include "kernels/kernels.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

enum { SEED = 20267, FAR_QUERIES = 64, LABEL = 80 };

/* A filter that is asked again may be known already; so there is also one that never is. */
enum spread { AT_RANDOM, ANEW, RANGE, FAR, FAR_EXACT, SPREADS };
static const char *const spread_names[SPREADS] = {"at random", "at random, others each query", "a range of ids",
                                                  "farthest from the query", "farthest from the query, exact"};
static const double shares[] = {.5, .1, .01, .001, .0001};
enum { SHARES = TQ_COUNT(shares), FILTERED = SPREADS * SHARES, ASKS = 1 + FILTERED };

/* A store, and who is who in it. */
struct numbering {
    const char *name;
    tq_store *store;
    tq_index *index;
    int64_t *ids;  /* NULL: rows' numbers */
    uint32_t *row; /* NULL: the same */
    struct tq_filter *filters[FILTERED];
    struct cases_ask asks[ASKS];
};

static struct tq_filter empty_filter(size_t ids) {
    uint64_t *bits = cases_alloc((ids + 63) / 64, sizeof *bits);
    memset(bits, 0, (ids + 63) / 64 * sizeof *bits);
    return (struct tq_filter){bits, 0, ids};
}

static void allow(const struct tq_filter *filter, int64_t id) {
    ((uint64_t *)filter->bits)[id / 64] |= UINT64_C(1) << (id % 64);
}

static struct tq_filter common_filter(enum spread spread, size_t rows, double share, size_t number) {
    struct tq_filter filter = empty_filter(rows);
    size_t count = tq_max_size(1, (size_t)(share * (double)rows)), first = (rows - count) / 3;
    uint32_t *order = NULL;
    bench_check(bench_permutation(rows, SEED + 5 + number, &order));
    for (size_t i = 0; i < count; i++) allow(&filter, spread == RANGE ? (int64_t)(first + i) : (int64_t)order[i]);
    tq_free(order);
    return filter;
}

/* For each of the first queries the rows of the smallest scores. */
static void far_filters(const struct cases *c, const struct numbering *n, struct tq_filter **filters, size_t queries) {
    struct tq_kernels kernels;
    size_t rows = c->base.rows;
    double *scores = cases_alloc(rows, sizeof *scores), *sorted = cases_alloc(rows, sizeof *sorted);
    tq_kernels_select(tq_cpu_isa(), &kernels);
    for (size_t q = 0; q < queries; q++) {
        for (size_t i = 0; i < rows; i++) {
            double dot = kernels.dot_f32(bench_matrix_row(&c->queries, q), bench_matrix_row(&c->base, i), c->base.dim);
            sorted[i] = scores[i] = bench_score(c->options.metric, dot, c->query_squares[q], c->base_squares[i]);
        }
        (void)bench_median(sorted, rows);
        for (size_t s = 0; s < SHARES; s++) {
            double limit = sorted[tq_max_size(1, (size_t)(shares[s] * (double)rows)) - 1];
            filters[s][q] = empty_filter(rows);
            for (size_t i = 0; i < rows; i++) {
                if (scores[i] <= limit) allow(&filters[s][q], n->ids == NULL ? (int64_t)i : n->ids[i]);
            }
        }
    }
    tq_free(scores);
    tq_free(sorted);
}

static void number_rows(struct cases *c, bool scattered, struct numbering *n) {
    *n = (struct numbering){.name = scattered ? "permuted" : "in order"};
    if (scattered) {
        char path[4200];
        (void)snprintf(path, sizeof path, "%s/permuted", c->folder);
        n->ids = cases_alloc(c->base.rows, sizeof *n->ids);
        n->row = cases_alloc(c->base.rows, sizeof *n->row);
        uint32_t *order = NULL;
        bench_check(bench_permutation(c->base.rows, SEED, &order));
        for (size_t i = 0; i < c->base.rows; i++) {
            n->ids[i] = order[i];
            n->row[order[i]] = (uint32_t)i;
        }
        tq_free(order);
        cases_store_make(path, &c->base, n->ids, c->options.metric);
        cases_store_open(path, &n->store, &n->index);
    }
    size_t far = tq_min_size(FAR_QUERIES, tq_min_size(c->queries.rows, c->options.queries));
    for (size_t i = 0; i < ASKS; i++) {
        n->asks[i] = cases_plain_ask(c);
        if (scattered) n->asks[i].index = n->index;
        n->asks[i].ids = n->ids;
        n->asks[i].row = n->row;
        if (i == 0) continue;
        enum spread spread = (enum spread)((i - 1) / SHARES);
        bool each = spread == ANEW || spread == FAR || spread == FAR_EXACT;
        n->asks[i].one_filter = !each;
        n->asks[i].most = each ? far : 0;
        n->asks[i].options.confidence = spread == FAR_EXACT ? TQ_EXACT : n->asks[i].options.confidence;
        n->filters[i - 1] = spread == FAR_EXACT ? n->filters[i - 1 - SHARES] : cases_alloc(far, sizeof **n->filters);
        n->asks[i].filters = n->filters[i - 1];
        for (size_t q = 0; spread < FAR && q < (each ? far : 1); q++)
            n->filters[i - 1][q] = common_filter(spread, c->base.rows, shares[(i - 1) % SHARES], q);
    }
    far_filters(c, n, n->filters + (size_t)FAR * SHARES, far);
}

static void forget_rows(struct numbering *n) {
    if (n->store != NULL) cases_store_close(n->store, n->index);
    for (size_t i = 0; i < (size_t)FAR_EXACT * SHARES; i++) { /* those borrow theirs */
        size_t count = n->asks[i + 1].one_filter ? 1 : n->asks[i + 1].most;
        for (size_t q = 0; q < count; q++) tq_free((uint64_t *)n->filters[i][q].bits);
        tq_free(n->filters[i]);
    }
    tq_free(n->ids);
    tq_free(n->row);
}

void cases_filters(struct cases *c) {
    static const struct cases_column columns[] = {{"ms p50", 3},    {"ms p99", 3}, {"recall", 4},
                                                  {"full code", 0}, {"ranked", 1}, {"p50 / no filter", 2},
                                                  {"queries", 0}};
    for (int scattered = 0; scattered < 2; scattered++) {
        struct numbering n;
        number_rows(c, scattered == 1, &n);
        cases_time(c, n.asks, ASKS);
        cases_judge(c, n.asks, ASKS);
        if (scattered == 0)
            cases_table(
                c, "filters", "Filters",
                "allowed: share of the rows. ids: rows' numbers, or those permuted, in a second store. The bitmap "
                "is made before the clock starts. recall: of the allowed rows.",
                "ids | which rows | allowed", columns, TQ_COUNT(columns));
        for (size_t i = 0; i < ASKS; i++) {
            const struct cases_ask *a = &n.asks[i];
            char label[LABEL];
            (void)snprintf(label, sizeof label, "%s | %s | %g", n.name,
                           i == 0 ? "no filter" : spread_names[(i - 1) / SHARES],
                           i == 0 ? 1 : shares[(i - 1) % SHARES]);
            cases_row(c, label,
                      (double[]){a->p50, a->p99, a->recall, cases_a_query(a, a->stats.survivors),
                                 cases_a_query(a, a->stats.ranked), a->p50 / n.asks[0].p50, (double)a->count});
        }
        forget_rows(&n);
    }
}
