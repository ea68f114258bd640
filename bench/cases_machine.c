/* Tables about the machine: batches, threads, instruction sets, a fresh process. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cases.h"
#include "bench/common/program.h"
#include "kernels/kernels.h"
#include "src/base/alloc.h"

enum { LABEL = 80, ROUNDS_MOST = 64, SETS_MOST = 16, POOL = 1000, ENOUGH = 256 };

/* ---- Batches ---- */

struct call {
    tq_index *index;
    size_t size, calls; /* queries in one call */
    int threads;
    size_t differ; /* queries answered otherwise than one by one */
    double rates[ROUNDS_MOST];
};

/* One round: queries a second, of processor time where one thread works. */
static double run_calls(const struct cases *c, const struct call *call, struct tq_hit *hits, size_t *found) {
    struct tq_search_options options = tq_search_defaults();
    size_t k = c->options.k;
    options.threads = call->threads;
    double (*clock)(void) = call->threads == 1 ? cases_thread_seconds : bench_seconds;
    double start = clock();
    for (size_t i = 0; i < call->calls; i++) {
        size_t first = i * call->size;
        bench_check(tq_search(call->index, bench_matrix_row(&c->queries, first), call->size, (int64_t)k, &options,
                              hits + first * k, found + first, NULL));
    }
    return (double)(call->calls * call->size) / (clock() - start);
}

/* Rates of all calls, in turns, and whether they answer what single calls of c->index do. */
static void time_calls(struct cases *c, struct call *calls, size_t count) {
    size_t k = c->options.k, pool = tq_min_size(POOL, c->queries.rows),
           rounds = tq_min_size(c->options.rounds, ROUNDS_MOST);
    struct tq_hit *truth = cases_alloc(pool * k, sizeof *truth), *hits = cases_alloc(pool * k, sizeof *hits);
    size_t *true_found = cases_alloc(pool, sizeof *true_found), *found = cases_alloc(pool, sizeof *found);
    struct call single = {.index = c->index, .size = 1, .calls = pool, .threads = 1};
    (void)run_calls(c, &single, truth, true_found);
    for (size_t i = 0; i < count; i++) {
        (void)run_calls(c, &calls[i], hits, found);
        for (size_t q = 0; q < calls[i].size * calls[i].calls; q++) {
            bool same = found[q] == true_found[q] && memcmp(hits + q * k, truth + q * k, found[q] * sizeof *hits) == 0;
            calls[i].differ += !same;
        }
        c->failed = c->failed || calls[i].differ > 0;
    }
    for (size_t r = 0; r < rounds; r++) {
        for (size_t i = 0; i < count; i++) {
            size_t turn = (i + r) % count;
            calls[turn].rates[r] = run_calls(c, &calls[turn], hits, found);
        }
    }
    tq_free(truth);
    tq_free(hits);
    tq_free(true_found);
    tq_free(found);
}

void cases_batch(struct cases *c) {
    static const struct cases_column columns[] = {
        {"queries/s", 0}, {"slowest round", 0}, {"times one by one", 2}, {"differing", 0}};
    static const size_t sizes[] = {1, 8, 16, 64, 256, 1000};
    struct call calls[2 * TQ_COUNT(sizes)];
    size_t count = 0, rounds = tq_min_size(c->options.rounds, ROUNDS_MOST);
    for (size_t i = 0; i < 2 * TQ_COUNT(sizes); i++) {
        size_t size = sizes[i % TQ_COUNT(sizes)];
        if (size > tq_min_size(POOL, c->queries.rows)) continue;
        calls[count++] = (struct call){.index = c->index,
                                       .size = size,
                                       .calls = tq_max_size(1, tq_min_size(ENOUGH, c->queries.rows) / size),
                                       .threads = i < TQ_COUNT(sizes) ? 1 : 2};
    }
    time_calls(c, calls, count);
    cases_table(
        c, "batch", "Many queries in one call",
        "Wall clock, median over rounds. differing: queries whose hits are not, to the last bit, those of single "
        "calls.",
        "queries a call | threads", columns, TQ_COUNT(columns));
    double one = 0;
    for (size_t i = 0; i < count; i++) {
        char label[LABEL];
        double rate = bench_median(calls[i].rates, rounds);
        if (i == 0) one = rate;
        (void)snprintf(label, sizeof label, "%zu | %d", calls[i].size, calls[i].threads);
        cases_row(c, label, (double[]){rate, calls[i].rates[0], rate / one, (double)calls[i].differ});
    }
}

/* ---- Threads ---- */

void cases_threads(struct cases *c) {
    static const struct cases_column columns[] = {{"ms p50", 3}, {"ms p99", 3}, {"speed-up", 2}, {"queries", 0}};
    struct cases_ask asks[4];
    for (size_t i = 0; i < TQ_COUNT(asks); i++) {
        asks[i] = (struct cases_ask){.index = c->index,
                                     .queries = &c->queries,
                                     .k = c->options.k,
                                     .options = tq_search_defaults(),
                                     .wall = true};
        asks[i].options.threads = 1 + (int)(i % 2);
        if (i >= 2) asks[i].options.confidence = TQ_EXACT;
    }
    cases_time(c, asks, TQ_COUNT(asks));
    cases_table(c, "threads", "One query on two threads",
                "Wall clock. speed-up: of p50 over one thread. Table scale has it on more rows.",
                "confidence | threads", columns, TQ_COUNT(columns));
    for (size_t i = 0; i < TQ_COUNT(asks); i++) {
        char label[LABEL];
        (void)snprintf(label, sizeof label, "%s | %d", i < 2 ? "3" : "exact", asks[i].options.threads);
        cases_row(c, label,
                  (double[]){asks[i].p50, asks[i].p99, asks[i / 2 * 2].p50 / asks[i].p50, (double)asks[i].count});
    }
}

/* ---- Instruction sets ---- */

struct set {
    const char *name;
    tq_store *store;
    tq_index *index;
};

/* A store reads TQ_ISA when it is opened, so one process can hold one of each. */
static size_t open_sets(const struct cases *c, struct set *sets) {
    size_t count = 0;
    const char *name, *before = getenv("TQ_ISA");
    char *kept = before == NULL ? NULL : cases_alloc(strlen(before) + 1, 1);
    if (kept != NULL) memcpy(kept, before, strlen(before) + 1);
    for (size_t i = 0; (name = tq_isa_name(i)) != NULL && count < SETS_MOST; i++) {
        unsigned mask = 0;
        if (!tq_isa_from_name(name, &mask) || (mask & ~tq_cpu_isa()) != 0) continue;
        (void)setenv("TQ_ISA", name, 1);
        sets[count].name = name;
        cases_store_open(c->path, &sets[count].store, &sets[count].index);
        count++;
    }
    (void)(kept == NULL ? unsetenv("TQ_ISA") : setenv("TQ_ISA", kept, 1));
    tq_free(kept);
    return count;
}

void cases_isa(struct cases *c) {
    static const struct cases_column columns[] = {{"ms p50", 3},   {"/ best", 2},          {"exact ms p50", 3},
                                                  {"/ best", 2},   {"queries/s of 64", 0}, {"best /", 2},
                                                  {"differing", 0}};
    struct set sets[SETS_MOST];
    struct cases_ask asks[2 * SETS_MOST];
    struct call calls[SETS_MOST];
    size_t count = open_sets(c, sets), rounds = tq_min_size(c->options.rounds, ROUNDS_MOST);
    double best[3] = {INFINITY, INFINITY, 0}, rates[SETS_MOST];
    for (size_t i = 0; i < count; i++) {
        asks[i] = (struct cases_ask){
            .index = sets[i].index, .queries = &c->queries, .k = c->options.k, .options = tq_search_defaults()};
        asks[count + i] = asks[i];
        asks[count + i].options.confidence = TQ_EXACT;
        calls[i] = (struct call){
            .index = sets[i].index, .size = tq_min_size(64, c->queries.rows), .calls = 1, .threads = 1};
    }
    cases_time(c, asks, 2 * count);
    time_calls(c, calls, count);
    for (size_t i = 0; i < count; i++) {
        rates[i] = bench_median(calls[i].rates, rounds);
        best[0] = fmin(best[0], asks[i].p50);
        best[1] = fmin(best[1], asks[count + i].p50);
        best[2] = fmax(best[2], rates[i]);
    }
    cases_table(c, "isa", "Instruction sets",
                "Each that this processor has, with those it includes (TQ_ISA). queries/s of 64 in one call. "
                "differing: queries whose hits are not those of the best set, to the last bit.",
                "set", columns, TQ_COUNT(columns));
    for (size_t i = 0; i < count; i++) {
        const struct cases_ask *exact = &asks[count + i];
        cases_row(c, sets[i].name,
                  (double[]){asks[i].p50, asks[i].p50 / best[0], exact->p50, exact->p50 / best[1], rates[i],
                             best[2] / rates[i], (double)calls[i].differ});
        cases_store_close(sets[i].store, sets[i].index);
    }
}

/* ---- A fresh process ---- */

enum part { TO_MAIN, OPEN, INDEX_OPEN, FIRST, SECOND, TO_HIT, PARTS };

/* arguments: store, file with one query, its dimension and k as one text, the clock before exec. */
int cases_first_child(char **arguments, double start) {
    float query[TQ_DIM_MAX];
    char *end;
    size_t dim = strtoul(arguments[2], &end, 10), k = strtoul(end, NULL, 10), found = 0;
    FILE *file = fopen(arguments[1], "rb");
    if (file == NULL || dim > TQ_DIM_MAX || fread(query, sizeof *query, dim, file) != dim) return 1;
    (void)fclose(file);
    struct tq_hit *hits = cases_alloc(k, sizeof *hits);
    tq_store *store = NULL;
    tq_index *index = NULL;
    double times[4];
    times[0] = bench_seconds();
    bench_check(tq_open(arguments[0], 0, &store));
    times[1] = bench_seconds();
    bench_check(tq_index_open(store, "vectors", &index));
    times[2] = bench_seconds();
    bench_check(tq_search(index, query, 1, (int64_t)k, NULL, hits, &found, NULL));
    times[3] = bench_seconds();
    bench_check(tq_search(index, query, 1, (int64_t)k, NULL, hits, &found, NULL));
    (void)printf("%.9f %.9f %.9f %.9f %.9f %.9f\n", start - strtod(arguments[3], NULL), times[1] - times[0],
                 times[2] - times[1], times[3] - times[2], bench_seconds() - times[3], times[3] - start);
    tq_free(hits);
    cases_store_close(store, index);
    return 0;
}

static bool run_child(const struct cases *c, const char *query, double parts[PARTS]) {
    char sizes[64], clock[64], answer[512] = "";
    int ends[2], status = 1;
    (void)snprintf(sizes, sizeof sizes, "%u %zu", c->queries.dim, c->options.k);
    if (pipe(ends) != 0) return false;
    pid_t child = fork();
    if (child == 0) { /* the clock is read here: what fork copies is this program's affair */
        (void)snprintf(clock, sizeof clock, "%.9f", bench_seconds());
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "cases", "first-child", c->path, query, sizes, clock, (char *)NULL);
        _exit(1);
    }
    (void)close(ends[1]);
    ssize_t length = read(ends[0], answer, sizeof answer - 1);
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0 || length <= 0) return false;
    char *at = answer;
    for (size_t i = 0; i < PARTS; i++) parts[i] = 1e3 * strtod(at, &at);
    return true;
}

void cases_first(struct cases *c) {
    static const struct cases_column columns[] = {{"median ms", 2}, {"least", 2}, {"most", 2}};
    static const char *const names[PARTS] = {"exec to main", "tq_open",        "tq_index_open",
                                             "first search", "the same again", "main to first hit"};
    double ms[PARTS][ROUNDS_MOST];
    size_t rounds = tq_min_size(c->options.rounds, ROUNDS_MOST);
    char query[4200];
    (void)snprintf(query, sizeof query, "%s/query", c->folder);
    FILE *file = fopen(query, "wb");
    bool good = file != NULL && fwrite(c->queries.data, sizeof(float), c->queries.dim, file) == c->queries.dim;
    if (file == NULL || fclose(file) != 0 || !good) exit(EXIT_FAILURE);
    for (size_t r = 0; r <= rounds; r++) { /* one more, forgotten: pages of the program */
        double parts[PARTS];
        if (!run_child(c, query, parts)) exit(EXIT_FAILURE);
        for (size_t i = 0; i < PARTS && r > 0; i++) ms[i][r - 1] = parts[i];
    }
    cases_table(c, "first", "The first query of a process",
                "Wall clock, files in the page cache; main to first hit is what the parts after exec add up to, and "
                "reading the query.",
                "part", columns, TQ_COUNT(columns));
    for (size_t i = 0; i < PARTS; i++) {
        double median = bench_median(ms[i], rounds);
        cases_row(c, names[i], (double[]){median, ms[i][0], ms[i][rounds - 1]});
    }
}
