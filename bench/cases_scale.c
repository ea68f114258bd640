/* Table scale: stores larger than the caches, of made-up data of which the first plane leaves more or fewer rows. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/cases.h"
#include "bench/common/program.h"
#include "bench/common/report.h"
#include "bench/common/truth.h"
#include "src/base/alloc.h"
#include "src/base/format.h"

enum { QUERIES = 128, TRUTHS = 48, CHUNK = 8192, PASSES = 11, LABEL = 80 };
enum way { DEFAULT, TWO_THREADS, EXACT, EXACT_TWO, WAYS };
static const char *const way_names[WAYS] = {"3, 1 thread", "3, 2 threads", "exact, 1 thread", "exact, 2 threads"};

struct loaded {
    struct cases_made made;
    char path[4200];
    tq_store *store;
    tq_index *index;
    double passing, put_seconds, disk_bytes; /* put_seconds: without making the rows */
    struct bench_matrix queries;
};

/* ---- What the machine reads in a second ---- */

/* Bytes a second of one core over `bytes` of memory, best pages the system gives or small ones as a mapped file has. */
static double bandwidth(size_t bytes, bool small_pages) {
    double rates[PASSES];
    size_t count = bytes / sizeof(uint64_t) / 16 * 16;
    uint64_t *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) bench_check(TQ_NOMEM);
    (void)madvise(data, bytes, small_pages ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    memset(data, 1, bytes);
    volatile uint64_t kept = 0;
    for (size_t r = 0; r < PASSES; r++) {
        uint64_t sums[16] = {0}; /* enough to keep all loads in flight */
        double start = cases_thread_seconds();
        for (size_t i = 0; i < count; i += 16) {
            for (size_t j = 0; j < 16; j++) sums[j] += data[i + j];
        }
        rates[r] = (double)bytes / (cases_thread_seconds() - start);
        for (size_t j = 0; j < 16; j++) kept = kept + sums[j];
    }
    (void)munmap(data, bytes);
    return bench_median(rates, PASSES);
}

/* ---- Loading ---- */

static void load(const struct cases *c, struct loaded *l) {
    struct tq_index_options options = tq_index_defaults(l->made.dim);
    float *vectors = cases_alloc((size_t)CHUNK * l->made.dim, sizeof *vectors);
    int64_t *ids = cases_alloc(CHUNK, sizeof *ids);
    (void)snprintf(l->path, sizeof l->path, "%s/scale", c->folder);
    bench_check(tq_open(l->path, TQ_OPEN_CREATE, &l->store));
    bench_check(tq_index_create(l->store, "vectors", &options, &l->index));
    bench_check(tq_begin(l->store));
    l->put_seconds = 0;
    for (size_t first = 0; first < l->made.rows; first += CHUNK) {
        size_t count = tq_min_size(CHUNK, l->made.rows - first);
        for (size_t i = 0; i < count; i++) {
            ids[i] = (int64_t)(first + i);
            cases_made_row(&l->made, first + i, vectors + i * l->made.dim);
        }
        double start = bench_seconds();
        bench_check(tq_put_many(l->index, ids, vectors, count));
        l->put_seconds += bench_seconds() - start;
    }
    double start = bench_seconds();
    bench_check(tq_commit(l->store));
    l->put_seconds += bench_seconds() - start;
    l->disk_bytes = bench_allotted_bytes(l->path);
    tq_free(vectors);
    tq_free(ids);
}

/* ---- Asking ---- */

/* What the cascade reads of one query, as the format lays it out. */
static double bytes_read(const struct tq_format *format, const struct cases_ask *ask) {
    double plane = (double)format->block_bytes / TQ_BLOCK_ROWS, asked = (double)ask->count;
    double scalars = sizeof(struct tq_second_scalars);
    return ((double)ask->stats.rows * plane + (double)ask->stats.second * (plane + scalars) +
            (double)ask->stats.survivors * (double)(format->record_stride + scalars) +
            (double)ask->stats.ranked * (double)format->exact_bytes) /
           asked;
}

static double recall(const struct cases_ask *ask, const double *truth) {
    size_t k = ask->k, good = 0, judged = tq_min_size(TRUTHS, ask->count);
    struct tq_hit *hits = cases_alloc(k, sizeof *hits);
    for (size_t q = 0; q < judged; q++) {
        struct tq_search_stats stats;
        size_t found = 0;
        double bar = truth[q * k + k - 1];
        cases_search(ask, q, hits, &found, &stats);
        for (size_t i = 0; i < found; i++) good += hits[i].score >= bar - 1e-6 * fabs(bar);
    }
    tq_free(hits);
    return (double)good / (double)(judged * k);
}

/* Queries a second, all in one call. */
static double batch_rate(const struct cases *c, const struct loaded *l) {
    double rates[3];
    size_t k = c->options.k, count = l->queries.rows, *found = cases_alloc(count, sizeof *found);
    struct tq_hit *hits = cases_alloc(count * k, sizeof *hits);
    for (size_t r = 0; r < TQ_COUNT(rates); r++) {
        double start = bench_seconds();
        bench_check(tq_search(l->index, l->queries.data, count, (int64_t)k, NULL, hits, found, NULL));
        rates[r] = (double)count / (bench_seconds() - start);
    }
    tq_free(hits);
    tq_free(found);
    return bench_median(rates, TQ_COUNT(rates));
}

static const struct cases_column columns[] = {{"ms p50", 2},     {"ms p99", 2}, {"recall", 4},  {"second plane", 0},
                                              {"full code", 0},  {"ranked", 1}, {"MB read", 1}, {"ms at bandwidth", 2},
                                              {"p50 / that", 2}, {"queries", 0}};

static void tell(struct cases *c, const struct loaded *l, const double *truth, double wanted, double rate) {
    struct cases_ask asks[WAYS];
    struct tq_format format;
    struct tq_index_options options = tq_index_defaults(l->made.dim);
    bench_check(tq_format_init(&format, &options));
    for (size_t i = 0; i < WAYS; i++) {
        asks[i] = (struct cases_ask){.index = l->index,
                                     .queries = &l->queries,
                                     .k = c->options.k,
                                     .options = tq_search_defaults(),
                                     .wall = i == TWO_THREADS || i == EXACT_TWO};
        asks[i].options.threads = asks[i].wall ? 2 : 1;
        if (i >= EXACT) asks[i].options.confidence = TQ_EXACT;
    }
    cases_time(c, asks, WAYS);
    for (size_t i = 0; i < WAYS; i++) {
        const struct cases_ask *a = &asks[i];
        char label[LABEL];
        double count = (double)a->count, bytes = bytes_read(&format, a), ms = 1e3 * bytes / rate;
        bool single = !a->wall;
        (void)snprintf(label, sizeof label, "%g %% | %s", 100 * wanted, way_names[i]);
        cases_row(c, label,
                  (double[]){a->p50, a->p99, recall(a, truth), (double)a->stats.second / count,
                             (double)a->stats.survivors / count, (double)a->stats.ranked / count, bytes / 1e6,
                             single ? ms : NAN, single ? a->p50 / ms : NAN, count});
    }
}

static void one_share(struct cases *c, struct loaded *l, double share, double rate) {
    struct tq_index_info info;
    size_t k = c->options.k;
    double *truth = cases_alloc((size_t)TRUTHS * k, sizeof *truth);
    l->passing = cases_made_tune(&l->made, share, k);
    cases_made_queries(&l->made, QUERIES, &l->queries);
    cases_made_truth(&l->made, &l->queries, TRUTHS, k, truth);
    load(c, l);
    bench_check(tq_index_get_info(l->index, &info));
    tell(c, l, truth, share, rate);
    (void)printf(
        "<!-- %g %%: sample %.2f %%, spread %.3f, offset %.3f; loaded in %.1f s, durable, %.0f vectors/s; store "
        "%.0f bytes a row, codes %.1f, exact rows %.1f; %llu segments, %llu rows in the log; %d queries in one "
        "call: %.1f queries/s -->\n",
        100 * share, 100 * l->passing, l->made.spread, l->made.offset, l->put_seconds,
        (double)l->made.rows / l->put_seconds, l->disk_bytes / (double)l->made.rows, info.code_bytes_row,
        info.exact_bytes_row, (unsigned long long)info.segments, (unsigned long long)info.log_rows, QUERIES,
        batch_rate(c, l));
    (void)fflush(stdout);
    cases_store_close(l->store, l->index);
    bench_temporary_remove(l->path);
    bench_matrix_free(&l->queries);
    tq_free(truth);
}

void cases_scale(struct cases *c) {
    const struct cases_options *o = &c->options;
    struct loaded l;
    char title[LABEL], meaning[1000];
    size_t plane = o->rows / TQ_BLOCK_ROWS * 64 * ((o->dim + 3) / 4) + 1024;
    double rate = bandwidth(plane, true), large = bandwidth(plane, false);
    (void)snprintf(title, sizeof title, "%zu x %u, made up", o->rows, o->dim);
    (void)snprintf(
        meaning, sizeof meaning,
        "passing: rows that the first plane leaves at confidence 3, by a sample: clusters of 64 unit vectors around "
        "an offset, the looser the more pass; queries are rows moved by a third of their length. Two threads: wall "
        "clock. MB read: both planes, scalars, codes and exact rows, by their counts; at bandwidth: by the %.1f GB/s "
        "at which one core reads a buffer of the first plane's size, %.0f MB in pages of 4 KiB (%.1f in large ones).",
        rate / 1e9, (double)plane / 1e6, large / 1e9);
    cases_made_open(&l.made, o->rows, o->dim);
    cases_table(c, "scale", title, meaning, "passing | confidence", columns, TQ_COUNT(columns));
    for (size_t i = 0; i < o->survivor_count; i++) one_share(c, &l, o->survivors[i], rate);
    cases_made_close(&l.made);
}
