/* How good the answers are: every format against brute force, codes only and through the whole cascade.
 *
 * usage  recall BASE.npy QUERY.npy [option ...]
 *   --metric cosine|ip|l2   cosine
 *   --queries N             1000 of them at random; 0: all, in random order
 *   --k K                   100: length of the lists that codes alone give
 *   --formats F,...         all; 4 is 4 bits without QJL, 4q 4 bits of which one is QJL's
 *   --cascade F,...         4q,4; none
 *   --cascade-k K           10
 *   --confidence Z,...      2,2.5,3,3.5,exact
 *   --rows f32|f16          f32: the exact rows that the cascade keeps
 *   --rounds N              3: of timed queries
 *   --textbook              the paper's mse and prod beside them: Gaussian S, nothing rescaled
 *   --shuffle-base          the cascade once more, vectors inserted in a random order
 *   --truth FILE            cache of the true neighbours
 *   --csv FILE              the same numbers, and more of them, for programs
 *   --threads N             1; of scoring and of searches. Times are comparable at 1 only
 *
 * Codes only: every row is scored with its full code, by the estimate of codec.h, and the best K are the answer.
 * Cascade: a store in $TMPDIR, filled in one transaction and committed; one tq_search() a query. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/common/report.h"
#include "bench/common/truth.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/codec/codec.h"

enum { LIST_MAX = 32, QUERY_PIECE = 4, ENCODE_PIECE = 4096, SCORE_PIECE = 2048, SEED = 20260 };

struct choice {
    uint32_t bits;
    bool qjl;
};

struct options {
    const char *base, *query, *truth, *csv;
    enum tq_metric metric;
    enum tq_rows rows; /* of the cascade */
    size_t queries, k, cascade_k, rounds;
    struct choice formats[LIST_MAX], cascade[LIST_MAX];
    size_t format_count, cascade_count, confidence_count;
    double confidence[LIST_MAX];
    bool textbook, shuffle;
    int threads;
};

struct bench {
    struct options options;
    struct bench_matrix base, queries;
    struct bench_problem problem;
    struct bench_lists truth;
    FILE *csv; /* NULL: not wanted */
};

static const double absent = NAN;

/* ---- Results ---- */

struct result {
    const char *table, *order;
    char format[16];
    double code_bytes, exact_bytes, confidence;
    size_t k;
    struct bench_interval recall[BENCH_MEASURES];
    double ms_median, ms_p99, rows, second, survivors, ranked; /* a query */
    double build_seconds, disk_bytes;
};

static void csv_number(FILE *csv, double value) {
    if (csv == NULL) return;
    if (isnan(value))
        (void)fprintf(csv, ",");
    else
        (void)fprintf(csv, ",%.8g", value);
}

static void csv_head(FILE *csv) {
    static const char *const names[BENCH_MEASURES] = {"recall_1", "recall_10", "recall_100", "id_1",  "id_10",
                                                      "id_100",   "one_1",     "one_2",      "one_4", "one_8",
                                                      "one_16",   "one_32",    "one_64"};
    if (csv == NULL) return;
    (void)fprintf(csv, "table,order,format,code_bytes_row,exact_bytes_row,confidence,k");
    for (size_t m = 0; m < BENCH_MEASURES; m++) (void)fprintf(csv, ",%s,%s_low,%s_high", names[m], names[m], names[m]);
    (void)fprintf(csv, ",ms_median,ms_p99,rows,second,survivors,ranked,build_s,store_bytes\n");
}

static void csv_row(FILE *csv, const struct result *r) {
    if (csv == NULL) return;
    (void)fprintf(csv, "%s,%s,%s", r->table, r->order, r->format);
    const double before[] = {r->code_bytes, r->exact_bytes, r->confidence, (double)r->k};
    const double after[] = {r->ms_median, r->ms_p99, r->rows,          r->second,
                            r->survivors, r->ranked, r->build_seconds, r->disk_bytes};
    for (size_t i = 0; i < TQ_COUNT(before); i++) csv_number(csv, before[i]);
    for (size_t m = 0; m < BENCH_MEASURES; m++) {
        csv_number(csv, r->recall[m].mean);
        csv_number(csv, r->recall[m].low);
        csv_number(csv, r->recall[m].high);
    }
    for (size_t i = 0; i < TQ_COUNT(after); i++) csv_number(csv, after[i]);
    (void)fprintf(csv, "\n");
    (void)fflush(csv);
}

static void name_format(const char *kind, uint32_t bits, char name[16]) {
    (void)snprintf(name, 16, "%u%s", bits, kind);
}

/* ---- Codes only ---- */

static void print_codes_head(const char *title) {
    (void)printf(
        "\n### %s\n\n| format | bytes a row | recall@1 | recall@10 (95 %%) | by id | recall@100 | 1@2 | 1@4 | 1@8 "
        "| 1@16 | 1@32 | 1@64 |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        title);
}

static void print_codes(const struct result *r) {
    const struct bench_interval *m = r->recall;
    (void)printf("| %s | %.1f | %.4f | %.4f (%.4f-%.4f) | %.4f | %.4f |", r->format, r->code_bytes,
                 m[BENCH_SCORE_1].mean, m[BENCH_SCORE_10].mean, m[BENCH_SCORE_10].low, m[BENCH_SCORE_10].high,
                 m[BENCH_ID_10].mean, m[BENCH_SCORE_100].mean);
    for (size_t i = BENCH_ONE_2; i < BENCH_MEASURES; i++) (void)printf(" %.4f |", m[i].mean);
    (void)printf("\n");
    (void)fflush(stdout);
}

struct codes {
    const struct bench *bench;
    struct tq_codec *codec;
    uint8_t *records;
    struct bench_lists lists;
};

static enum tq_status encode_piece(void *context, size_t begin, size_t end) {
    struct codes *codes = context;
    struct tq_encoder *encoder;
    TQ_TRY(tq_encoder_open(codes->codec, &encoder));
    size_t stride = codes->codec->format.record_stride;
    enum tq_status status = TQ_OK;
    for (size_t i = begin; status == TQ_OK && i < end; i++) {
        struct tq_row row;
        status = tq_encode(encoder, bench_matrix_row(&codes->bench->base, i), &row);
        if (status == TQ_OK) memcpy(codes->records + i * stride, row.record, stride);
    }
    tq_encoder_close(encoder);
    return status;
}

/* The estimated score of one record, codec.h at struct tq_query. */
static double estimate(const struct codes *codes, const struct tq_query *query, const uint8_t *record,
                       struct tq_code_dots dots) {
    const struct tq_format *format = &codes->codec->format;
    struct tq_record_tail tail;
    memcpy(&tail, record + format->bits * format->plane_bytes, sizeof tail);
    double gamma = (double)tq_f32_from_f16(tail.gamma) / sqrt((double)format->dim);
    double cosine = (double)tail.scale * (dots.code * query->code_step + gamma * dots.sketch * query->sketch_step);
    double norm = tail.norm;
    if (format->metric == TQ_COSINE) return norm > 0 ? cosine : 0;
    return bench_score(format->metric, cosine * norm * query->norm, query->norm2, norm * norm);
}

static enum tq_status search_codes(const struct codes *codes, size_t q, void *memory, struct tq_code_dots *dots) {
    const struct bench *bench = codes->bench;
    const struct tq_codec *codec = codes->codec;
    size_t stride = codec->format.record_stride, k = codes->lists.k;
    struct bench_best best = bench_best_begin(codes->lists.scores + q * k, codes->lists.ids + q * k, k);
    struct tq_query query;
    TQ_TRY(tq_query_prepare(codec, bench_matrix_row(&bench->queries, q), memory, &query));
    for (size_t first = 0; first < bench->base.rows; first += SCORE_PIECE) {
        size_t count = tq_min_size(SCORE_PIECE, bench->base.rows - first);
        const uint8_t *records = codes->records + first * stride;
        codec->kernels.score(&query.code, records, stride, count, dots);
        for (size_t i = 0; i < count; i++)
            bench_best_push(&best, estimate(codes, &query, records + i * stride, dots[i]), (int64_t)(first + i));
    }
    bench_best_sort(&best);
    return TQ_OK;
}

static enum tq_status search_piece(void *context, size_t begin, size_t end) {
    const struct codes *codes = context;
    void *memory = tq_alloc(tq_query_bytes(codes->codec));
    struct tq_code_dots *dots = tq_alloc_array(SCORE_PIECE, sizeof *dots);
    enum tq_status status = memory == NULL || dots == NULL ? TQ_NOMEM : TQ_OK;
    for (size_t q = begin; status == TQ_OK && q < end; q++) status = search_codes(codes, q, memory, dots);
    tq_free(memory);
    tq_free(dots);
    return status;
}

static enum tq_status fill_and_search(struct codes *codes, struct result *result) {
    const struct bench *bench = codes->bench;
    const struct tq_format *format = &codes->codec->format;
    TQ_TRY(bench_lists_init(&codes->lists, bench->queries.rows, bench->options.k));
    codes->records = tq_alloc_array(bench->base.rows * format->record_stride + TQ_ALIGN, 1);
    if (codes->records == NULL) return TQ_NOMEM;
    double start = bench_seconds();
    TQ_TRY(bench_parallel(bench->base.rows, ENCODE_PIECE, bench->options.threads, encode_piece, codes));
    result->build_seconds = bench_seconds() - start;
    TQ_TRY(bench_parallel(bench->queries.rows, QUERY_PIECE, bench->options.threads, search_piece, codes));
    result->code_bytes = tq_format_code_bytes_row(format);
    return bench_recall(&bench->problem, &bench->truth, codes->lists.ids, codes->lists.k, result->recall);
}

static struct tq_index_options index_options(const struct bench *bench, struct choice choice, enum tq_rows rows) {
    struct tq_index_options options = tq_index_defaults(bench->base.dim);
    options.metric = bench->options.metric;
    options.bits = choice.bits;
    options.qjl = choice.qjl;
    options.rows = rows;
    return options;
}

static struct result begin_result(const char *table, const char *order, size_t k) {
    return (struct result){.table = table,
                           .order = order,
                           .exact_bytes = absent,
                           .confidence = absent,
                           .k = k,
                           .ms_median = absent,
                           .ms_p99 = absent,
                           .rows = absent,
                           .second = absent,
                           .survivors = absent,
                           .ranked = absent,
                           .build_seconds = absent,
                           .disk_bytes = absent};
}

static enum tq_status run_codes(const struct bench *bench, struct choice choice) {
    struct codes codes = {.bench = bench};
    struct result result = begin_result("codes", "as it is", bench->options.k);
    struct tq_format format;
    struct tq_kernels kernels;
    struct tq_index_options options = index_options(bench, choice, TQ_ROWS_NONE);
    name_format(choice.qjl ? "q" : "", choice.bits, result.format);
    tq_kernels_select(tq_cpu_isa(), &kernels);
    enum tq_status status = tq_format_init(&format, &options);
    if (status == TQ_OK) status = tq_codec_open(&format, &kernels, &codes.codec);
    if (status == TQ_OK) status = fill_and_search(&codes, &result);
    if (status == TQ_OK) {
        print_codes(&result);
        csv_row(bench->csv, &result);
    }
    bench_lists_free(&codes.lists);
    tq_free(codes.records);
    tq_codec_close(codes.codec);
    return status;
}

/* ---- The paper's own estimators: decoded, then <q, x~> of every row ---- */

struct decoding {
    const struct bench *bench;
    struct tq_textbook *textbook;
    struct bench_matrix rows;
};

static enum tq_status decode_piece(void *context, size_t begin, size_t end) {
    struct decoding *d = context;
    void *code = tq_alloc(tq_textbook_code_bytes(d->textbook));
    if (code == NULL) return TQ_NOMEM;
    for (size_t i = begin; i < end; i++) {
        tq_textbook_encode(d->textbook, bench_matrix_row(&d->bench->base, i), code);
        tq_textbook_decode(d->textbook, code, d->rows.data + i * d->rows.dim);
    }
    tq_free(code);
    return TQ_OK;
}

static enum tq_status score_textbook(struct decoding *d, struct result *result) {
    const struct bench *bench = d->bench;
    struct bench_lists lists = {0};
    d->rows = (struct bench_matrix){tq_alloc_array(bench->base.rows * bench->base.dim, sizeof(float)), bench->base.rows,
                                    bench->base.dim};
    enum tq_status status = d->rows.data == NULL ? TQ_NOMEM : TQ_OK;
    if (status == TQ_OK) status = bench_lists_init(&lists, bench->queries.rows, bench->options.k);
    if (status == TQ_OK)
        status = bench_parallel(bench->base.rows, ENCODE_PIECE, bench->options.threads, decode_piece, d);
    if (status == TQ_OK) status = bench_brute_force(&bench->problem, &d->rows, &lists);
    if (status == TQ_OK) status = bench_recall(&bench->problem, &bench->truth, lists.ids, lists.k, result->recall);
    bench_lists_free(&lists);
    bench_matrix_free(&d->rows);
    return status;
}

static enum tq_status run_textbook(const struct bench *bench, struct choice choice) {
    struct tq_textbook_options options = {.dim = bench->base.dim, .bits = choice.bits, .prod = choice.qjl, .seed = 1};
    struct decoding d = {.bench = bench};
    struct result result = begin_result("textbook", "as it is", bench->options.k);
    name_format(choice.qjl ? " prod" : " mse", choice.bits, result.format);
    /* What its code needs: the bits, the norm, and for prod the residual's norm. */
    result.code_bytes = ceil(bench->base.dim * choice.bits / 8.0) + (choice.qjl ? 8 : 4);
    TQ_TRY(tq_textbook_open(&options, &d.textbook));
    enum tq_status status = score_textbook(&d, &result);
    if (status == TQ_OK) {
        print_codes(&result);
        csv_row(bench->csv, &result);
    }
    tq_textbook_close(d.textbook);
    return status;
}

/* ---- The cascade, through the public API ---- */

struct cascade {
    const struct bench *bench;
    struct result result; /* what all of its rows share */
    char path[256];
    tq_store *store;
    tq_index *index;
    int64_t *answers;     /* [queries][k] */
    double *milliseconds; /* [rounds][queries] */
    struct tq_hit *hits;
};

static void print_cascade_head(size_t k) {
    (void)printf(
        "\n### Cascade, k = %zu, one query at a time\n\n"
        "| format | base | confidence | recall@%zu (95 %%) | by id | recall@1 | ms median | p99 | second plane | "
        "full code | ranked exactly |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        k,
        k == 1     ? (size_t)1
        : k >= 100 ? (size_t)100
                   : (size_t)10);
}

static void print_cascade(const struct result *r) {
    size_t at = r->k == 1 ? 0 : r->k >= 100 ? 2 : 1;
    const struct bench_interval *recall = &r->recall[BENCH_SCORE_1 + at];
    char confidence[32] = "exact";
    if (r->confidence < TQ_EXACT) (void)snprintf(confidence, sizeof confidence, "%.2f", r->confidence);
    (void)printf("| %s | %s | %s | %.5f (%.5f-%.5f) | %.5f | %.5f | %.3f | %.3f | %.0f | %.0f | %.1f |\n", r->format,
                 r->order, confidence, recall->mean, recall->low, recall->high, r->recall[BENCH_ID_1 + at].mean,
                 r->recall[BENCH_SCORE_1].mean, r->ms_median, r->ms_p99, r->second, r->survivors, r->ranked);
    (void)fflush(stdout);
}

static enum tq_status fill_store(struct cascade *c, const int64_t *ids, const struct bench_matrix *rows,
                                 struct choice choice) {
    const struct bench *bench = c->bench;
    struct tq_index_options options = index_options(bench, choice, bench->options.rows);
    TQ_TRY(bench_temporary_make(c->path, sizeof c->path));
    char inner[sizeof c->path + 8];
    (void)snprintf(inner, sizeof inner, "%s/store", c->path);
    TQ_TRY(tq_open(inner, TQ_OPEN_CREATE, &c->store));
    TQ_TRY(tq_index_create(c->store, "vectors", &options, &c->index));
    double start = bench_seconds();
    TQ_TRY(tq_begin(c->store));
    TQ_TRY(tq_put_many(c->index, ids, rows->data, rows->rows));
    TQ_TRY(tq_commit(c->store));
    c->result.build_seconds = bench_seconds() - start;
    c->result.disk_bytes = bench_allotted_bytes(inner);
    struct tq_index_info info;
    TQ_TRY(tq_index_get_info(c->index, &info));
    c->result.code_bytes = info.code_bytes_row;
    c->result.exact_bytes = info.exact_bytes_row;
    (void)printf("<!-- %s, base %s: built and durable in %.3f s, %.0f vectors/s; %llu segments, %llu rows in the log; "
                 "codes %.1f B a row, exact rows %.1f, store %.1f; %s -->\n",
                 c->result.format, c->result.order, c->result.build_seconds,
                 (double)rows->rows / c->result.build_seconds, (unsigned long long)info.segments,
                 (unsigned long long)info.log_rows, info.code_bytes_row, info.exact_bytes_row,
                 c->result.disk_bytes / (double)rows->rows, info.isa);
    return TQ_OK;
}

/* Every query once, timed; the answers of the last round stay. */
static enum tq_status run_round(struct cascade *c, const struct tq_search_options *options, double *milliseconds,
                                struct tq_search_stats *stats) {
    const struct bench *bench = c->bench;
    size_t k = bench->options.cascade_k;
    *stats = (struct tq_search_stats){0};
    for (size_t q = 0; q < bench->queries.rows; q++) {
        struct tq_search_stats one = {0};
        size_t count = 0;
        double start = bench_seconds();
        TQ_TRY(
            tq_search(c->index, bench_matrix_row(&bench->queries, q), 1, (int64_t)k, options, c->hits, &count, &one));
        milliseconds[q] = 1e3 * (bench_seconds() - start);
        for (size_t i = 0; i < k; i++) c->answers[q * k + i] = i < count ? c->hits[i].id : -1;
        stats->rows += one.rows;
        stats->second += one.second;
        stats->survivors += one.survivors;
        stats->ranked += one.ranked;
    }
    return TQ_OK;
}

static enum tq_status measure_confidence(struct cascade *c, double confidence) {
    const struct bench *bench = c->bench;
    size_t queries = bench->queries.rows, rounds = bench->options.rounds;
    struct tq_search_options options = tq_search_defaults();
    struct tq_search_stats stats = {0};
    options.confidence = confidence;
    options.threads = bench->options.threads;
    TQ_TRY(run_round(c, &options, c->milliseconds, &stats)); /* a warm-up */
    for (size_t r = 0; r < rounds; r++) TQ_TRY(run_round(c, &options, c->milliseconds + r * queries, &stats));
    struct result r = c->result;
    r.confidence = confidence;
    r.ms_median = bench_quantile(c->milliseconds, rounds * queries, 0.5);
    r.ms_p99 = bench_quantile(c->milliseconds, rounds * queries, 0.99);
    r.rows = (double)stats.rows / (double)queries;
    r.second = (double)stats.second / (double)queries;
    r.survivors = (double)stats.survivors / (double)queries;
    r.ranked = (double)stats.ranked / (double)queries;
    TQ_TRY(bench_recall(&bench->problem, &bench->truth, c->answers, r.k, r.recall));
    print_cascade(&r);
    csv_row(bench->csv, &r);
    return TQ_OK;
}

static enum tq_status measure_store(struct cascade *c, const int64_t *ids, const struct bench_matrix *rows,
                                    struct choice choice) {
    const struct options *o = &c->bench->options;
    size_t queries = c->bench->queries.rows;
    c->answers = tq_alloc_array(queries * o->cascade_k, sizeof *c->answers);
    c->milliseconds = tq_alloc_array(queries * o->rounds, sizeof *c->milliseconds);
    c->hits = tq_alloc_array(o->cascade_k, sizeof *c->hits);
    if (c->answers == NULL || c->milliseconds == NULL || c->hits == NULL) return TQ_NOMEM;
    TQ_TRY(fill_store(c, ids, rows, choice));
    for (size_t i = 0; i < o->confidence_count; i++) TQ_TRY(measure_confidence(c, o->confidence[i]));
    return TQ_OK;
}

/* `order` lists the rows of the base as they are inserted; their ids are their places in the base. */
static enum tq_status run_cascade(const struct bench *bench, struct choice choice, const uint32_t *order,
                                  const char *order_name) {
    size_t count = bench->base.rows;
    struct cascade c = {.bench = bench, .result = begin_result("cascade", order_name, bench->options.cascade_k)};
    struct bench_matrix rows = {0};
    int64_t *ids = tq_alloc_array(count, sizeof *ids);
    name_format(choice.qjl ? "q" : "", choice.bits, c.result.format);
    enum tq_status status = ids == NULL ? TQ_NOMEM : bench_matrix_take(&bench->base, order, count, &rows);
    for (size_t i = 0; status == TQ_OK && i < count; i++) ids[i] = order[i];
    if (status == TQ_OK) status = measure_store(&c, ids, &rows, choice);
    tq_index_close(c.index);
    tq_close(c.store);
    if (c.path[0] != '\0') bench_temporary_remove(c.path);
    tq_free(c.answers);
    tq_free(c.milliseconds);
    tq_free(c.hits);
    tq_free(ids);
    bench_matrix_free(&rows);
    return status;
}

static enum tq_status run_cascades(const struct bench *bench) {
    size_t count = bench->base.rows;
    uint32_t *order;
    print_cascade_head(bench->options.cascade_k);
    for (int shuffled = 0; shuffled <= (bench->options.shuffle ? 1 : 0); shuffled++) {
        TQ_TRY(bench_permutation(count, SEED + 1, &order));
        for (size_t i = 0; i < count && shuffled == 0; i++) order[i] = (uint32_t)i;
        enum tq_status status = TQ_OK;
        for (size_t i = 0; status == TQ_OK && i < bench->options.cascade_count; i++)
            status = run_cascade(bench, bench->options.cascade[i], order, shuffled ? "shuffled" : "as it is");
        tq_free(order);
        TQ_TRY(status);
    }
    return TQ_OK;
}

/* ---- Options ---- */

static enum tq_status parse_formats(const char *text, struct choice *list, size_t *count) {
    *count = 0;
    if (strcmp(text, "none") == 0) return TQ_OK;
    for (uint32_t bits = 1; strcmp(text, "all") == 0 && bits <= TQ_BITS_MAX; bits++) {
        if (bits < TQ_BITS_MAX) list[(*count)++] = (struct choice){bits, false};
        if (bits > 1) list[(*count)++] = (struct choice){bits, true};
    }
    if (*count > 0) return TQ_OK;
    for (const char *at = text; *at != '\0' && *count < LIST_MAX; at += *at == ',') {
        char *end;
        unsigned long bits = strtoul(at, &end, 10);
        bool qjl = *end == 'q';
        end += qjl;
        if (end == at || (*end != ',' && *end != '\0') || bits < (qjl ? 2u : 1u) || bits > (qjl ? 9u : 8u))
            return tq_fail(TQ_MISUSE, "format %s; it must be 1 to 8, or 2q to 9q", at);
        list[(*count)++] = (struct choice){(uint32_t)bits, qjl};
        at = end;
    }
    return TQ_OK;
}

static enum tq_status parse_confidence(const char *text, struct options *options) {
    options->confidence_count = 0;
    for (const char *at = text; *at != '\0' && options->confidence_count < LIST_MAX; at += *at == ',') {
        char *end = (char *)at;
        bool exact = strncmp(at, "exact", 5) == 0;
        double z = exact ? TQ_EXACT : strtod(at, &end);
        end += exact ? 5 : 0;
        if ((*end != ',' && *end != '\0') || !(z > 0))
            return tq_fail(TQ_MISUSE, "confidence %s; it must be a positive number or exact", at);
        options->confidence[options->confidence_count++] = z;
        at = end;
    }
    return TQ_OK;
}

static enum tq_status parse_metric(const char *text, enum tq_metric *metric) {
    static const char *const names[] = {"cosine", "ip", "l2"};
    for (size_t i = 0; i < TQ_COUNT(names); i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *metric = (enum tq_metric)i;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "metric %s; it must be cosine, ip or l2", text);
}

static enum tq_status parse_rows(const char *text, enum tq_rows *rows) {
    bool half = strcmp(text, "f16") == 0;
    if (!half && strcmp(text, "f32") != 0) return tq_fail(TQ_MISUSE, "rows %s; they must be f32 or f16", text);
    *rows = half ? TQ_ROWS_F16 : TQ_ROWS_F32;
    return TQ_OK;
}

static enum tq_status parse_count(const char *text, size_t *count) {
    char *end;
    *count = strtoul(text, &end, 10);
    return *text != '\0' && *end == '\0' ? TQ_OK : tq_fail(TQ_MISUSE, "%s is not a count", text);
}

/* An option that has a value. */
static enum tq_status parse_valued(const char *name, const char *value, struct options *o) {
    size_t threads;
    if (strcmp(name, "--metric") == 0) return parse_metric(value, &o->metric);
    if (strcmp(name, "--rows") == 0) return parse_rows(value, &o->rows);
    if (strcmp(name, "--queries") == 0) return parse_count(value, &o->queries);
    if (strcmp(name, "--k") == 0) return parse_count(value, &o->k);
    if (strcmp(name, "--cascade-k") == 0) return parse_count(value, &o->cascade_k);
    if (strcmp(name, "--rounds") == 0) return parse_count(value, &o->rounds);
    if (strcmp(name, "--formats") == 0) return parse_formats(value, o->formats, &o->format_count);
    if (strcmp(name, "--cascade") == 0) return parse_formats(value, o->cascade, &o->cascade_count);
    if (strcmp(name, "--confidence") == 0) return parse_confidence(value, o);
    if (strcmp(name, "--truth") == 0) return o->truth = value, TQ_OK;
    if (strcmp(name, "--csv") == 0) return o->csv = value, TQ_OK;
    if (strcmp(name, "--threads") != 0) return tq_fail(TQ_MISUSE, "%s is no option; see the head of recall.c", name);
    TQ_TRY(parse_count(value, &threads));
    o->threads = (int)tq_min_size(tq_max_size(threads, 1), 64);
    return TQ_OK;
}

static enum tq_status parse(int argc, char **argv, struct options *o) {
    *o = (struct options){.queries = 1000, .k = 100, .cascade_k = 10, .rounds = 3, .threads = 1};
    TQ_TRY(parse_formats("all", o->formats, &o->format_count));
    TQ_TRY(parse_formats("4q,4", o->cascade, &o->cascade_count));
    TQ_TRY(parse_confidence("2,2.5,3,3.5,exact", o));
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--textbook") == 0) {
            o->textbook = true;
        } else if (strcmp(argv[i], "--shuffle-base") == 0) {
            o->shuffle = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            if (i + 1 == argc) return tq_fail(TQ_MISUSE, "%s needs a value", argv[i]);
            TQ_TRY(parse_valued(argv[i], argv[i + 1], o));
            i++;
        } else if (o->query == NULL) {
            *(o->base == NULL ? &o->base : &o->query) = argv[i];
        } else {
            return tq_fail(TQ_MISUSE, "%s: there are two files already", argv[i]);
        }
    }
    if (o->query == NULL) return tq_fail(TQ_MISUSE, "usage: recall BASE.npy QUERY.npy [option ...], see recall.c");
    if (o->k < 1 || o->cascade_k < 1 || o->rounds < 1) return tq_fail(TQ_MISUSE, "k and rounds must be at least 1");
    return TQ_OK;
}

/* ---- All of it ---- */

static enum tq_status load(struct bench *bench) {
    const struct options *o = &bench->options;
    struct bench_matrix all;
    uint32_t *order = NULL;
    TQ_TRY(bench_matrix_load(o->base, &bench->base));
    TQ_TRY(bench_matrix_load(o->query, &all));
    if (all.dim != bench->base.dim || all.rows == 0)
        return tq_fail(TQ_MISUSE, "%zu queries of %u dimensions, the base has %u", all.rows, all.dim, bench->base.dim);
    if (bench->base.rows < tq_max_size(o->k, o->cascade_k) || bench->base.rows > UINT32_MAX)
        return tq_fail(TQ_MISUSE, "%zu rows in the base; there must be k of them at least", bench->base.rows);
    TQ_TRY(bench_permutation(all.rows, SEED, &order));
    size_t count = o->queries == 0 ? all.rows : tq_min_size(o->queries, all.rows);
    enum tq_status status = bench_matrix_take(&all, order, count, &bench->queries);
    tq_free(order);
    bench_matrix_free(&all);
    TQ_TRY(status);
    double *base_squares, *query_squares;
    TQ_TRY(bench_squares(&bench->base, &base_squares));
    TQ_TRY(bench_squares(&bench->queries, &query_squares));
    bench->problem = (struct bench_problem){&bench->base, &bench->queries, o->metric,
                                            base_squares, query_squares,   o->threads};
    return bench_truth(&bench->problem, tq_max_size(100, tq_max_size(o->k, o->cascade_k)), o->truth, &bench->truth);
}

static enum tq_status run(struct bench *bench) {
    const struct options *o = &bench->options;
    TQ_TRY(load(bench));
    (void)printf("\n%zu x %u base vectors, %zu queries.\n", bench->base.rows, bench->base.dim, bench->queries.rows);
    if (o->format_count > 0) print_codes_head("Codes only");
    for (size_t i = 0; i < o->format_count; i++) TQ_TRY(run_codes(bench, o->formats[i]));
    if (o->textbook) print_codes_head("The paper's own estimators, codes only");
    for (size_t i = 0; o->textbook && i < o->format_count; i++) TQ_TRY(run_textbook(bench, o->formats[i]));
    return o->cascade_count > 0 && o->confidence_count > 0 ? run_cascades(bench) : TQ_OK;
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    enum tq_status status = parse(argc, argv, &bench.options);
    if (status == TQ_OK) {
        bench_report_head(stdout, "    ", argc, argv);
        if (bench.options.csv != NULL) bench.csv = fopen(bench.options.csv, "w");
        if (bench.options.csv != NULL && bench.csv == NULL)
            status = tq_fail(TQ_IO, "%s cannot be written", bench.options.csv);
    }
    if (bench.csv != NULL) bench_report_head(bench.csv, "# ", argc, argv);
    csv_head(bench.csv);
    if (status == TQ_OK) status = run(&bench);
    if (bench.csv != NULL) (void)fclose(bench.csv);
    bench_lists_free(&bench.truth);
    bench_matrix_free(&bench.base);
    bench_matrix_free(&bench.queries);
    tq_free((void *)bench.problem.base_squares);
    tq_free((void *)bench.problem.query_squares);
    if (status == TQ_OK) return EXIT_SUCCESS;
    (void)fprintf(stderr, "recall: %s (%s)\n", tq_message(), tq_status_name(status));
    return EXIT_FAILURE;
}
