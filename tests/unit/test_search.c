/* The cascade, over segments in memory: what it must find, and that nothing but the rows decides the answer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/search.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/base/rng.h"

/* Rows around a few centres, so that there are near neighbours, far ones and ties; no libm, so no machine differs. */
static float value_at(uint64_t seed, uint64_t row, uint64_t j) {
    uint64_t centre = row % 17;
    double spread = (double)(tq_rng_at(seed, row, j) >> 11) * 0x1p-53 - 0.5;
    double middle = (double)(tq_rng_at(seed, 1000000 + centre, j) >> 11) * 0x1p-53 - 0.5;
    return (float)(row % 5 == 0 ? spread : middle + 0.6 * spread);
}

static float *make_rows(uint64_t seed, size_t count, uint32_t dim) {
    float *rows = tq_alloc_array(count * dim, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        /* some rows are copies of others: equal scores, told apart by id */
        size_t like = i % 13 == 12 ? i - 3 : i;
        float scale = i % 7 == 3 ? 4.0f : 1.0f;
        for (uint32_t j = 0; j < dim; j++) rows[i * dim + j] = scale * value_at(seed, like, j);
    }
    if (count > 20) memset(rows + 19 * dim, 0, dim * sizeof *rows); /* a zero vector */
    return rows;
}

/* An index of in-memory segments. */
struct fixture {
    struct tq_format format;
    enum tq_metric metric; /* asked; the index's own at first */
    struct tq_codec *codec;
    struct tq_builder *builders[16];
    struct tq_view_segment segments[16];
    uint64_t *dead[16];
    struct tq_view view;
    struct tq_searcher *searcher;
    void *query_memory;
};

static void open_fixture(struct fixture *f, const struct tq_index_options *options, unsigned isa) {
    memset(f, 0, sizeof *f);
    struct tq_kernels kernels;
    tq_kernels_select(isa, &kernels);
    assert_int_equal(tq_format_init(&f->format, options), TQ_OK);
    f->metric = f->format.metric;
    assert_int_equal(tq_codec_open(&f->format, &kernels, &f->codec), TQ_OK);
    assert_int_equal(tq_searcher_open(f->codec, &f->searcher), TQ_OK);
    f->query_memory = tq_alloc(tq_query_bytes(f->codec));
}

/* Rows order[first..last) with ids = their numbers. */
static void add_segment(struct fixture *f, const float *rows, const uint32_t *order, size_t first, size_t last) {
    struct tq_encoder *encoder = NULL;
    struct tq_builder *builder = NULL;
    assert_int_equal(tq_encoder_open(f->codec, &encoder), TQ_OK);
    assert_int_equal(tq_builder_open(&f->format, first, (uint32_t)(last - first), NULL, &builder), TQ_OK);
    for (size_t i = first; i < last; i++) {
        struct tq_row row;
        assert_int_equal(tq_encode(encoder, rows + (size_t)order[i] * f->format.dim, &row), TQ_OK);
        assert_int_equal(tq_builder_append(builder, order[i], i, &row), TQ_OK);
    }
    tq_encoder_close(encoder);
    f->builders[f->view.count] = builder;
    f->segments[f->view.count] = (struct tq_view_segment){.segment = tq_builder_segment(builder)};
    f->view.segments = f->segments;
    f->view.count++;
    f->view.live += last - first;
}

static void close_fixture(struct fixture *f) {
    for (size_t i = 0; i < f->view.count; i++) {
        tq_builder_close(f->builders[i]);
        tq_free(f->dead[i]);
    }
    tq_searcher_close(f->searcher);
    tq_free(f->query_memory);
    tq_codec_close(f->codec);
}

static void mark_dead(struct fixture *f, size_t segment, uint32_t row) {
    struct tq_view_segment *vs = &f->segments[segment];
    if (f->dead[segment] == NULL) f->dead[segment] = tq_alloc_zero(tq_segment_row_count(vs->segment) / 64 * 8 + 8);
    f->dead[segment][row / 64] |= UINT64_C(1) << (row % 64);
    vs->dead = f->dead[segment];
    vs->dead_count++;
    f->view.live--;
}

static struct tq_search_stats last_stats;

static size_t run(struct fixture *f, const float *query, size_t k, const struct tq_search_options *options,
                  struct tq_hit *hits) {
    struct tq_query prepared;
    struct tq_search_stats stats = {0};
    size_t count = 0;
    assert_int_equal(tq_query_prepare(f->codec, query, f->query_memory, &prepared), TQ_OK);
    assert_int_equal(tq_searcher_begin(f->searcher, &f->view, f->metric, options), TQ_OK);
    assert_int_equal(tq_searcher_query(f->searcher, &prepared, k, hits, &count, &stats), TQ_OK);
    assert_true(stats.ranked <= stats.survivors + f->view.live);
    last_stats = stats;
    if (f->format.scan_planes == 2) { /* asked as one of many, the answer is the same to the last bit */
        struct tq_hit *again = tq_alloc_zero((k + 1) * sizeof *again);
        size_t again_count = 0;
        assert_int_equal(tq_searcher_many(f->searcher, query, 1, k, again, &again_count, &stats), TQ_OK);
        assert_int_equal(again_count, count);
        assert_memory_equal(again, hits, count * sizeof *hits);
        tq_free(again);
    }
    return count;
}

static double exact_score(enum tq_metric metric, const float *q, const float *x, uint32_t dim) {
    double qx = 0, qq = 0, xx = 0, far = 0;
    for (uint32_t j = 0; j < dim; j++) {
        qx += (double)q[j] * (double)x[j];
        qq += (double)q[j] * (double)q[j];
        xx += (double)x[j] * (double)x[j];
        far += ((double)q[j] - (double)x[j]) * ((double)q[j] - (double)x[j]);
    }
    if (metric == TQ_IP) return qx;
    if (metric == TQ_L2) return -far;
    return qq == 0 || xx == 0 ? 0 : qx / sqrt(qq * xx);
}

/* Scores of the true top k, best first. */
static size_t true_scores(const struct fixture *f, const float *rows, size_t count, const bool *allowed,
                          const float *query, size_t k, struct tq_hit *best) {
    struct tq_hit *all = tq_alloc_array(count, sizeof *all);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (allowed != NULL && !allowed[i]) continue;
        double score = exact_score(f->metric, query, rows + i * f->format.dim, f->format.dim);
        all[found++] = (struct tq_hit){.id = (int64_t)i, .score = score};
    }
    for (size_t i = 0; i < found && i < k; i++) {
        for (size_t j = i + 1; j < found; j++) {
            bool better = all[j].score > all[i].score || (all[j].score == all[i].score && all[j].id < all[i].id);
            if (!better) continue;
            struct tq_hit swap = all[i];
            all[i] = all[j];
            all[j] = swap;
        }
        best[i] = all[i];
    }
    tq_free(all);
    return found < k ? found : k;
}

static void assert_close(double got, double expected, double scale) {
    if (fabs(got - expected) <= 1e-9 * scale) return;
    print_error("score %.17g, expected %.17g\n", got, expected);
    fail();
}

static uint32_t *identity(size_t count) {
    uint32_t *order = tq_alloc_array(count, sizeof *order);
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    return order;
}

/* confidence=exact finds the true scores, whatever the format. */
static void exact_is_exact(uint32_t dim, uint32_t bits, int qjl, enum tq_metric metric, size_t count, size_t k) {
    struct tq_index_options options = tq_index_defaults(dim);
    options.bits = bits;
    options.qjl = qjl;
    options.metric = metric;
    struct fixture f;
    open_fixture(&f, &options, tq_cpu_isa());
    float *rows = make_rows(dim * 31 + bits, count, dim), *queries = make_rows(dim * 77 + bits, 21, dim);
    uint32_t *order = identity(count);
    add_segment(&f, rows, order, 0, count / 3);
    add_segment(&f, rows, order, count / 3, count);
    struct tq_search_options exact = tq_search_defaults();
    exact.confidence = TQ_EXACT;
    struct tq_hit *hits = tq_alloc_array(k, sizeof *hits), *best = tq_alloc_array(k, sizeof *best);
    for (size_t q = 0; q < 63; q++) { /* the 20th is the zero vector; and once more under each other metric */
        f.metric = (enum tq_metric)(((uint32_t)metric + q / 21) % 3);
        size_t found = run(&f, queries + q % 21 * dim, k, &exact, hits);
        assert_int_equal(found, true_scores(&f, rows, count, NULL, queries + q % 21 * dim, k, best));
        for (size_t i = 0; i < found; i++) assert_close(hits[i].score, best[i].score, 20.0 * dim);
        for (size_t i = 1; i < found; i++) {
            bool ordered = hits[i - 1].score > hits[i].score ||
                           (hits[i - 1].score == hits[i].score && hits[i - 1].id < hits[i].id);
            assert_true(ordered);
        }
    }
    tq_free(hits);
    tq_free(best);
    tq_free(rows);
    tq_free(queries);
    tq_free(order);
    close_fixture(&f);
}

static void test_exact_over_formats(void **state) {
    (void)state;
    static const uint32_t dims[] = {1, 2, 3, 5, 33, 96, 100};
    for (size_t d = 0; d < TQ_COUNT(dims); d++) {
        for (uint32_t bits = 1; bits <= 9; bits++) {
            for (int qjl = bits == 9; qjl <= (bits > 1); qjl++) {
                enum tq_metric metric = (enum tq_metric)((d + bits + (uint32_t)qjl) % 3);
                exact_is_exact(dims[d], bits, qjl, metric, 700, 10);
            }
        }
    }
}

static void test_exact_over_counts(void **state) {
    (void)state;
    static const size_t counts[] = {3, 63, 127, 128, 129, 385, 1500};
    for (size_t c = 0; c < TQ_COUNT(counts); c++) {
        for (int metric = TQ_COSINE; metric <= TQ_L2; metric++) {
            exact_is_exact(24, 4, 1, (enum tq_metric)metric, counts[c], 1);
            exact_is_exact(24, 4, 1, (enum tq_metric)metric, counts[c], 200);
        }
    }
}

/* ---- The same answer, however it is reached ---- */

enum { SAME_ROWS = 3000, SAME_K = 25, SAME_QUERIES = 12 };

struct variant {
    unsigned isa;
    int threads;
    size_t pieces;
    bool shuffled;
    bool many; /* all queries in one call, where the format has two scan planes */
};

static void shuffle(uint32_t *order, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = tq_rng_below(5, 5, i, (uint32_t)i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

static void answers(const struct variant *v, const struct tq_index_options *index_options,
                    const struct tq_search_options *options, const float *rows, const float *queries,
                    struct tq_hit *hits) {
    struct fixture f;
    open_fixture(&f, index_options, v->isa);
    uint32_t *order = identity(SAME_ROWS);
    if (v->shuffled) shuffle(order, SAME_ROWS);
    for (size_t p = 0; p < v->pieces; p++) {
        add_segment(&f, rows, order, SAME_ROWS * p / v->pieces, SAME_ROWS * (p + 1) / v->pieces);
    }
    struct tq_search_options own = *options;
    own.threads = v->threads;
    if (v->many && f.format.scan_planes == 2) {
        size_t counts[SAME_QUERIES];
        struct tq_search_stats stats = {0};
        assert_int_equal(tq_searcher_begin(f.searcher, &f.view, f.metric, &own), TQ_OK);
        assert_int_equal(tq_searcher_many(f.searcher, queries, SAME_QUERIES, SAME_K, hits, counts, &stats), TQ_OK);
    }
    for (size_t q = 0; q < SAME_QUERIES && !(v->many && f.format.scan_planes == 2); q++) {
        size_t found = run(&f, queries + q * index_options->dim, SAME_K, &own, hits + q * SAME_K);
        assert_int_equal(found, SAME_K);
    }
    tq_free(order);
    close_fixture(&f);
}

static void same_answers(const struct tq_index_options *index_options, const struct tq_search_options *options) {
    static const struct variant variants[] = {
        {TQ_ISA_SCALAR, 1, 1, false, false},
        {~0u, 1, 1, false, false},
        {~0u, 2, 1, false, false},
        {~0u, 3, 5, true, false},
        {~0u, 1, 11, false, false},
        {~0u, 1, 4, true, false},
        {TQ_ISA_AVX2, 2, 2, true, false},
        {TQ_ISA_SCALAR, 1, 3, true, false},
        {TQ_ISA_SCALAR, 1, 2, true, true},
        {~0u, 1, 5, true, true},
        {~0u, 3, 1, false, true},
        {~(unsigned)TQ_ISA_AMX, 2, 3, true, true},
    };
    float *rows = make_rows(42, SAME_ROWS, index_options->dim);
    float *queries = make_rows(43, SAME_QUERIES, index_options->dim);
    struct tq_hit *first = tq_alloc_zero(SAME_QUERIES * SAME_K * sizeof *first);
    struct tq_hit *other = tq_alloc_zero(SAME_QUERIES * SAME_K * sizeof *other);
    answers(&variants[0], index_options, options, rows, queries, first);
    for (size_t v = 1; v < TQ_COUNT(variants); v++) {
        struct variant variant = variants[v];
        variant.isa &= tq_cpu_isa();
        answers(&variant, index_options, options, rows, queries, other);
        assert_memory_equal(first, other, SAME_QUERIES * SAME_K * sizeof *first);
    }
    tq_free(first);
    tq_free(other);
    tq_free(rows);
    tq_free(queries);
}

static void test_same_answers(void **state) {
    (void)state;
    static const double confidences[] = {0.5, 1.5, 3.0, TQ_EXACT};
    for (int metric = TQ_COSINE; metric <= TQ_L2; metric++) {
        for (size_t c = 0; c < TQ_COUNT(confidences); c++) {
            struct tq_index_options index_options = tq_index_defaults(50);
            index_options.metric = (enum tq_metric)metric;
            struct tq_search_options options = tq_search_defaults();
            options.confidence = confidences[c];
            same_answers(&index_options, &options);
        }
    }
}

static void test_same_answers_of_estimates(void **state) {
    (void)state;
    struct tq_search_options options = tq_search_defaults();
    struct tq_index_options none = tq_index_defaults(50), half = tq_index_defaults(50);
    none.rows = TQ_ROWS_NONE;
    same_answers(&none, &options);
    none.qjl = 0;
    none.metric = TQ_L2;
    same_answers(&none, &options);
    options.oversample = 2.5;
    same_answers(&half, &options);
    half.rows = TQ_ROWS_F16;
    half.bits = 2;
    same_answers(&half, &options);
}

static double estimate_of(const struct fixture *f, const struct tq_query *query, const uint8_t *record) {
    struct tq_code_dots dots;
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)f->format.bits * f->format.plane_bytes, sizeof tail);
    f->codec->kernels.refine(&query->code, &record, 1, &dots);
    double gamma = (double)tq_f32_from_f16(tail.gamma) / sqrt((double)f->format.dim), norm = (double)tail.norm;
    double cosine = (double)tail.scale * (dots.code * query->code_step + gamma * dots.sketch * query->sketch_step);
    if (f->metric == TQ_COSINE) return cosine;
    double product = cosine * norm * query->norm;
    return f->metric == TQ_IP ? product : 2 * product - query->norm * query->norm - norm * norm;
}

/* Without exact rows: a hit's score is the estimate of the record as it was encoded, and a row that the planes kept
 * from being found is not better, in truth, than the last hit, whatever the sign of scores. */
static void check_estimates(struct fixture *f, const float *rows, size_t count, const float *query, size_t k) {
    struct tq_hit *hits = tq_alloc_zero(k * sizeof *hits);
    struct tq_search_options exact = tq_search_defaults();
    struct tq_encoder *encoder = NULL;
    struct tq_query prepared;
    exact.confidence = TQ_EXACT;
    assert_int_equal(run(f, query, k, &exact, hits), k);
    assert_int_equal(tq_encoder_open(f->codec, &encoder), TQ_OK);
    assert_int_equal(tq_query_prepare(f->codec, query, f->query_memory, &prepared), TQ_OK);
    double least = hits[k - 1].score + 1e-6;
    for (size_t i = 0; i < count; i++) {
        struct tq_row row;
        size_t at = 0;
        assert_int_equal(tq_encode(encoder, rows + i * f->format.dim, &row), TQ_OK);
        double estimate = estimate_of(f, &prepared, row.record);
        while (at < k && hits[at].id != (int64_t)i) at++;
        if (at < k)
            assert_close(hits[at].score, estimate, 1000);
        else
            assert_true(estimate <= least ||
                        exact_score(f->metric, query, rows + i * f->format.dim, f->format.dim) <= least);
    }
    tq_encoder_close(encoder);
    tq_free(hits);
}

static void estimates_of(uint32_t dim, uint32_t bits, int qjl, enum tq_metric metric) {
    enum { COUNT = 700, QUERIES = 4 };
    static const size_t ks[] = {10, COUNT - 30};
    struct tq_index_options options = tq_index_defaults(dim);
    struct fixture f;
    options.metric = metric;
    options.rows = TQ_ROWS_NONE;
    options.bits = bits;
    options.qjl = qjl;
    open_fixture(&f, &options, tq_cpu_isa());
    float *rows = make_rows(dim + bits, COUNT, dim), *queries = make_rows(60 + bits, QUERIES, dim);
    uint32_t *order = identity(COUNT);
    add_segment(&f, rows, order, 0, 300);
    add_segment(&f, rows, order, 300, COUNT);
    for (size_t q = 0; q < 2 * QUERIES; q++) check_estimates(&f, rows, COUNT, queries + q / 2 * dim, ks[q % 2]);
    tq_free(order);
    tq_free(rows);
    tq_free(queries);
    close_fixture(&f);
}

static void test_estimates(void **state) {
    (void)state;
    static const uint32_t dims[] = {1, 2, 7, 50, 100};
    for (size_t d = 0; d < TQ_COUNT(dims); d++) {
        for (uint32_t bits = 1; bits <= 9; bits++) {
            for (int qjl = bits == 9; qjl <= (bits > 1); qjl++)
                estimates_of(dims[d], bits, qjl, (enum tq_metric)((d + bits + (uint32_t)qjl) % 3));
        }
    }
}

/* ---- Deletions and filters ---- */

static void check_allowed(struct fixture *f, const float *rows, size_t count, const bool *allowed,
                          const struct tq_search_options *options) {
    enum { K = 30 };
    struct tq_hit hits[K], best[K];
    float *queries = make_rows(99, 8, f->format.dim);
    for (size_t q = 0; q < 8; q++) {
        const float *query = queries + q * f->format.dim;
        size_t found = run(f, query, K, options, hits);
        assert_int_equal(found, true_scores(f, rows, count, allowed, query, K, best));
        for (size_t i = 0; i < found; i++) {
            assert_true(allowed[hits[i].id]);
            assert_close(hits[i].score, best[i].score, 100);
        }
    }
    tq_free(queries);
}

static void test_deletions_and_filters(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    static const uint32_t every[] = {1, 2, 10, 100, 700, 3000};
    struct tq_index_options options = tq_index_defaults(40);
    float *rows = make_rows(7, COUNT, 40);
    uint32_t *order = identity(COUNT);
    for (size_t e = 0; e < TQ_COUNT(every); e++) {
        struct fixture f;
        bool allowed[COUNT];
        uint64_t bits[COUNT / 64 + 1] = {0};
        open_fixture(&f, &options, tq_cpu_isa());
        add_segment(&f, rows, order, 0, 900);
        add_segment(&f, rows, order, 900, COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            bool dead = i % 3 == 1, named = i >= 100 && i % every[e] == 0;
            allowed[i] = !dead && named;
            if (dead) mark_dead(&f, i >= 900, i >= 900 ? i - 900 : i);
            if (named) bits[(i - 100) / 64] |= UINT64_C(1) << ((i - 100) % 64);
        }
        struct tq_filter filter = {.bits = bits, .first_id = 100, .count = COUNT - 100};
        struct tq_search_options search = tq_search_defaults();
        search.confidence = TQ_EXACT;
        search.filter = &filter;
        check_allowed(&f, rows, COUNT, allowed, &search);
        close_fixture(&f);
    }
    tq_free(rows);
    tq_free(order);
}

/* Rows alone are scanned plane by plane; thin among deleted ones they are refined at once. At a confidence low enough
 * for bounds to fail, only bounds applied on both ways give the same answers. */
static void test_depth_does_not_matter(void **state) {
    (void)state;
    enum { FEW = 1300, THIN = 60, MANY = FEW * THIN, DIM = 40, K = 5 };
    struct tq_index_options options = tq_index_defaults(DIM);
    float *rows = make_rows(21, MANY, DIM), *queries = make_rows(22, 200, DIM);
    uint32_t *order = identity(MANY), *few = identity(FEW);
    for (uint32_t i = 0; i < FEW; i++) few[i] = i * THIN;
    for (int metric = TQ_COSINE; metric <= TQ_L2; metric++) {
        options.metric = (enum tq_metric)metric;
        struct fixture alone, among;
        open_fixture(&alone, &options, tq_cpu_isa());
        open_fixture(&among, &options, tq_cpu_isa());
        add_segment(&alone, rows, few, 0, FEW);
        add_segment(&among, rows, order, 0, MANY);
        for (uint32_t row = 0; row < MANY; row++)
            if (row % THIN != 0) mark_dead(&among, 0, row);
        struct tq_search_options search = tq_search_defaults();
        search.confidence = 0.2;
        uint64_t scanned = 0;
        for (size_t q = 0; q < 200; q++) {
            struct tq_hit a[K], b[K];
            assert_int_equal(run(&alone, queries + q * DIM, K, &search, a), K);
            scanned += last_stats.rows;
            assert_int_equal(run(&among, queries + q * DIM, K, &search, b), K);
            assert_int_equal(last_stats.rows, 0);
            assert_memory_equal(a, b, sizeof a);
        }
        assert_true(scanned > 100 * FEW); /* all but the zero queries */
        close_fixture(&alone);
        close_fixture(&among);
    }
    tq_free(rows);
    tq_free(queries);
    tq_free(order);
    tq_free(few);
}

/* At the default confidence hardly a neighbour is missed, and far fewer rows are refined than scanned. */
static void test_default_confidence(void **state) {
    (void)state;
    enum { COUNT = 20000, DIM = 64, K = 10 };
    struct tq_index_options options = tq_index_defaults(DIM);
    struct fixture f;
    open_fixture(&f, &options, tq_cpu_isa());
    float *rows = make_rows(3, COUNT, DIM), *queries = make_rows(4, 40, DIM);
    uint32_t *order = identity(COUNT);
    add_segment(&f, rows, order, 0, COUNT);
    struct tq_search_options defaults = tq_search_defaults();
    size_t found = 0;
    for (size_t q = 0; q < 40; q++) {
        struct tq_hit hits[K], best[K];
        assert_int_equal(run(&f, queries + q * DIM, K, &defaults, hits), K);
        (void)true_scores(&f, rows, COUNT, NULL, queries + q * DIM, K, best);
        for (size_t i = 0; i < K; i++) found += hits[i].score >= best[K - 1].score - 1e-6;
    }
    assert_true(found >= 39 * K);
    tq_free(rows);
    tq_free(queries);
    tq_free(order);
    close_fixture(&f);
}

/* Scores that span 60 orders of magnitude rank as exact arithmetic ranks them. */
static void test_extreme_norms(void **state) {
    (void)state;
    enum { COUNT = 600, DIM = 20, K = 50 };
    static const float scales[] = {1e-30f, 1e-18f, 1.0f, 1e12f, 1e30f};
    for (int metric = TQ_COSINE; metric <= TQ_L2; metric++) {
        struct tq_index_options options = tq_index_defaults(DIM);
        options.metric = (enum tq_metric)metric;
        struct fixture f;
        open_fixture(&f, &options, tq_cpu_isa());
        float *rows = make_rows(11, COUNT, DIM), *queries = make_rows(12, 10, DIM);
        for (size_t i = 0; i < COUNT * DIM; i++) rows[i] *= scales[i / DIM % 5];
        for (size_t i = 0; i < 10 * DIM; i++) queries[i] *= scales[i / DIM % 5];
        uint32_t *order = identity(COUNT);
        add_segment(&f, rows, order, 0, COUNT);
        struct tq_search_options exact = tq_search_defaults();
        exact.confidence = TQ_EXACT;
        for (size_t q = 0; q < 10; q++) {
            struct tq_hit hits[K], best[K];
            assert_int_equal(run(&f, queries + q * DIM, K, &exact, hits), K);
            (void)true_scores(&f, rows, COUNT, NULL, queries + q * DIM, K, best);
            for (size_t i = 0; i < K; i++) {
                assert_true(fabs(hits[i].score - best[i].score) <= 1e-9 * fabs(best[i].score));
            }
        }
        tq_free(rows);
        tq_free(queries);
        tq_free(order);
        close_fixture(&f);
    }
}

static void test_nothing_to_find(void **state) {
    (void)state;
    struct tq_index_options options = tq_index_defaults(8);
    struct fixture f;
    struct tq_search_options defaults = tq_search_defaults();
    struct tq_hit hits[5];
    float *rows = make_rows(1, 2, 8);
    uint32_t *order = identity(2);
    open_fixture(&f, &options, tq_cpu_isa());
    assert_int_equal(run(&f, rows, 5, &defaults, hits), 0);
    add_segment(&f, rows, order, 0, 1);
    assert_int_equal(run(&f, rows, 5, &defaults, hits), 1);
    assert_int_equal(hits[0].id, 0);
    mark_dead(&f, 0, 0);
    assert_int_equal(run(&f, rows, 5, &defaults, hits), 0);
    tq_free(rows);
    tq_free(order);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_find),
        cmocka_unit_test(test_exact_over_formats),
        cmocka_unit_test(test_exact_over_counts),
        cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_same_answers_of_estimates),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_deletions_and_filters),
        cmocka_unit_test(test_default_confidence),
        cmocka_unit_test(test_extreme_norms),
        cmocka_unit_test(test_depth_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
