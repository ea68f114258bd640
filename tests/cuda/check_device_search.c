/* Sets and searches of a plugin against the CPU: u, m and the estimate of every row it returns, T, and that no row with
 * u >= T is missing (index/search.h). */
#include <math.h>
#include <string.h>

#include "tests/cuda/device_harness.h"
#include "tests/cuda/device_truth.h"

enum { NO_ROW = UINT32_MAX };

/* A set, and which row of the truth lies where in it. */
struct placed {
    struct harness *h;
    struct truth *truth;
    struct tq_cuda_set *set;
    struct tq_cuda_lane *lane;
    uint64_t groups;                  /* reserved */
    uint64_t searched;                /* groups that searches are over */
    uint32_t *row_at;                 /* [64 * groups]: NO_ROW where there is none */
    uint64_t *allowed;                /* [groups], NULL: all */
    struct tq_cuda_candidate *bounds; /* [truth->count] of the last query */
    double *keys;                     /* [64 * groups] */
    uint64_t extra;                   /* rows that were returned and need not have been */
    uint64_t survivors, scanned, answered;
};

static void *allocated(size_t bytes) {
    void *made = calloc(1, bytes + 64);
    if (made == NULL) abort();
    return made;
}

/* ---- Sets ---- */

static bool placed_open(struct placed *p, struct harness *h, struct truth *truth) {
    struct tq_cuda_codec codec;
    struct tq_cuda_why why = {""};
    *p = (struct placed){.h = h, .truth = truth};
    truth_codec(truth, &codec);
    if (!harness_did(h, h->ops->set_open(h->cuda, &codec, &p->set, &why), &why, "set_open")) return false;
    p->bounds = allocated(truth->count * sizeof *p->bounds);
    return true;
}

static void placed_close(struct placed *p) {
    if (p->lane != NULL) p->h->ops->lane_close(p->lane);
    p->h->ops->set_close(p->set);
    free(p->row_at);
    free(p->allowed);
    free(p->bounds);
    free(p->keys);
}

static bool open_lane(struct placed *p) {
    struct tq_cuda_why why = {""};
    if (p->lane != NULL) p->h->ops->lane_close(p->lane);
    p->lane = NULL;
    return harness_did(p->h, p->h->ops->lane_open(p->set, &p->lane, &why), &why, "lane_open");
}

static bool reserve(struct placed *p, uint64_t groups) {
    struct tq_cuda_why why = {""};
    if (!harness_did(p->h, p->h->ops->set_reserve(p->set, groups, &why), &why, "set_reserve")) return false;
    uint32_t *row_at = allocated(groups * TQ_CUDA_GROUP_ROWS * sizeof *row_at);
    uint64_t kept = (groups < p->groups ? groups : p->groups) * TQ_CUDA_GROUP_ROWS;
    for (uint64_t i = 0; i < groups * TQ_CUDA_GROUP_ROWS; i++) row_at[i] = i < kept ? p->row_at[i] : NO_ROW;
    free(p->row_at);
    free(p->keys);
    p->row_at = row_at;
    p->keys = allocated(groups * TQ_CUDA_GROUP_ROWS * sizeof *p->keys);
    p->groups = p->searched = groups;
    return true;
}

/* Rows first .. first + count - 1 of the truth from a group on. */
static bool put(struct placed *p, uint64_t group, size_t first, size_t count) {
    const struct truth *t = p->truth;
    size_t stride = t->format.record_stride;
    struct tq_cuda_why why = {""};
    while (count > 0) {
        struct tq_cuda_rows stage = {NULL, NULL, NULL};
        size_t room = 0;
        if (!harness_did(p->h, p->h->ops->set_stage(p->set, &stage, &room, &why), &why, "set_stage")) return false;
        harness_case(p->h, room >= TQ_CUDA_GROUP_ROWS && room % TQ_CUDA_GROUP_ROWS == 0, "a stage of %zu rows", room);
        size_t rows = tq_min_size(room, count);
        memcpy(stage.records, t->records + first * stride, rows * stride);
        memcpy(stage.first_error, t->first_error + first, rows * sizeof *stage.first_error);
        memcpy(stage.second, t->second + 2 * first, 2 * rows * sizeof *stage.second);
        if (!harness_did(p->h, p->h->ops->set_put(p->set, group, rows, &why), &why, "set_put")) return false;
        uint64_t at = group * TQ_CUDA_GROUP_ROWS, end = (at + rows + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
        for (uint64_t i = at; i < end * TQ_CUDA_GROUP_ROWS; i++)
            p->row_at[i] = i - at < rows ? (uint32_t)(first + (i - at)) : NO_ROW;
        group = end;
        first += rows;
        count -= rows;
    }
    return true;
}

static bool clear(struct placed *p, uint64_t group, uint64_t groups) {
    struct tq_cuda_why why = {""};
    for (uint64_t i = group * TQ_CUDA_GROUP_ROWS; i < (group + groups) * TQ_CUDA_GROUP_ROWS; i++) p->row_at[i] = NO_ROW;
    return harness_did(p->h, p->h->ops->set_clear(p->set, group, groups, &why), &why, "set_clear");
}

/* All rows of the truth, in one run from group 0 on. */
static bool put_all(struct placed *p) {
    uint64_t groups = (p->truth->count + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
    struct tq_cuda_why why = {""};
    return reserve(p, groups) && put(p, 0, 0, p->truth->count) &&
           harness_did(p->h, p->h->ops->set_finish(p->set, &why), &why, "set_finish") && open_lane(p);
}

/* Each row with so many chances in 256; 256: all, without a bitmap. */
static bool allow(struct placed *p, uint32_t share) {
    struct tq_cuda_why why = {""};
    free(p->allowed);
    p->allowed = share >= 256 ? NULL : allocated(p->groups * sizeof *p->allowed);
    for (uint64_t i = 0; i < p->groups * TQ_CUDA_GROUP_ROWS && p->allowed != NULL; i++) {
        uint64_t bit = UINT64_C(1) << i % TQ_CUDA_GROUP_ROWS;
        if (random_below(&p->h->random, 256) < share) p->allowed[i / TQ_CUDA_GROUP_ROWS] |= bit;
    }
    uint64_t *words = NULL;
    if (p->allowed != NULL) {
        words = allocated(p->groups * sizeof *words);
        memcpy(words, p->allowed, p->groups * sizeof *words);
    }
    bool done = harness_did(p->h, p->h->ops->lane_allow(p->lane, words, p->groups, &why), &why, "lane_allow");
    for (uint64_t i = 0; i < p->groups && words != NULL; i++) words[i] = ~words[i]; /* it was copied */
    free(words);
    return done;
}

/* ---- Answers ---- */

/* The truth's row at a place, if it may be found. */
static uint32_t row_found_at(const struct placed *p, uint64_t place) {
    if (place >= p->searched * TQ_CUDA_GROUP_ROWS) return NO_ROW;
    uint64_t bit = place % TQ_CUDA_GROUP_ROWS;
    if (p->allowed != NULL && (p->allowed[place / TQ_CUDA_GROUP_ROWS] >> bit & 1) == 0) return NO_ROW;
    return p->row_at[place];
}

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static double true_bar(struct placed *p, const struct tq_cuda_query *query) {
    size_t count = 0;
    if (query->wanted == 0) return query->seed_bar;
    for (uint64_t i = 0; i < p->searched * TQ_CUDA_GROUP_ROWS; i++) {
        uint32_t row = row_found_at(p, i);
        if (row != NO_ROW) p->keys[count++] = p->bounds[row].key;
    }
    if (count < query->wanted) return query->seed_bar;
    qsort(p->keys, count, sizeof *p->keys, descending);
    return fmax(query->seed_bar, p->keys[query->wanted - 1]);
}

/* Zeros of either sign are the same: of two, the lesser one may be any. */
static bool same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (a == 0 && b == 0); }

struct verdict {
    size_t wrong, forbidden, twice, below, missing, members;
    uint32_t example;
};

static struct verdict judge(struct placed *p, const struct tq_cuda_answer *answer, double bar) {
    struct verdict v = {0};
    uint64_t places = p->searched * TQ_CUDA_GROUP_ROWS;
    uint8_t *seen = allocated(places);
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct tq_cuda_candidate *got = &answer->candidates[i];
        uint32_t row = row_found_at(p, got->row);
        if (row == NO_ROW) {
            v.forbidden++;
            continue;
        }
        v.twice += seen[got->row]++ > 0;
        const struct tq_cuda_candidate *want = &p->bounds[row];
        bool right = same(got->upper, want->upper) && same(got->key, want->key) && same(got->estimate, want->estimate);
        if (!right && v.wrong++ == 0) v.example = i;
        if (!(want->upper >= bar)) v.below++;
    }
    for (uint64_t i = 0; i < places; i++) {
        uint32_t row = row_found_at(p, i);
        if (row == NO_ROW || !(p->bounds[row].upper >= bar)) continue;
        v.members++;
        v.missing += seen[i] == 0;
    }
    free(seen);
    return v;
}

static void describe(const struct placed *p, const struct tq_cuda_query *query, char text[192]) {
    static const char *const metrics[] = {"cosine", "ip", "l2"}, *const kinds[] = {"f32", "f16", "none"};
    const struct tq_format *f = &p->truth->format;
    (void)snprintf(text, 192, "dim %u, %u bits, qjl %d, rows %s, %s, z %g%s, k %u%s, %llu groups%s", f->dim, f->bits,
                   f->qjl, kinds[f->rows], metrics[query->bounds.metric], query->bounds.confidence,
                   query->bounds.by_estimate ? ", by estimate" : "", query->wanted,
                   query->every_row ? ", every row" : "", (unsigned long long)p->searched,
                   p->allowed == NULL ? "" : ", some allowed");
}

/* p->bounds are this query's. */
static void check_answer(struct placed *p, const struct tq_cuda_query *query, const struct tq_cuda_answer *answer) {
    char what[192];
    double bar = true_bar(p, query);
    struct verdict v = judge(p, answer, bar);
    describe(p, query, what);
    if (v.wrong > 0) {
        const struct tq_cuda_candidate *got = &answer->candidates[v.example];
        const struct tq_cuda_candidate *want = &p->bounds[row_found_at(p, got->row)];
        harness_case(p->h, false, "%s: %zu rows are wrong; place %llu: u %a not %a, m %a not %a, estimate %a not %a",
                     what, v.wrong, (unsigned long long)got->row, got->upper, want->upper, got->key, want->key,
                     got->estimate, want->estimate);
    }
    harness_case(p->h, v.forbidden == 0 && v.twice == 0, "%s: %zu rows that may not be found, %zu twice", what,
                 v.forbidden, v.twice);
    if (answer->overflow) {
        harness_case(p->h, v.members > answer->count || v.missing > 0, "%s: an overflow of %u rows", what,
                     answer->count);
        harness_case(p->h, answer->bar <= bar, "%s: an overflow's bar %a, above T %a", what, answer->bar, bar);
        return;
    }
    harness_case(p->h, same(answer->bar, bar), "%s: T %a not %a", what, answer->bar, bar);
    harness_case(p->h, v.missing == 0, "%s: %zu of %zu rows are missing, of %llu scored", what, v.missing, v.members,
                 (unsigned long long)answer->survivors);
    p->extra += v.below;
    p->survivors += answer->survivors;
    p->scanned += answer->scanned;
    p->answered++;
}

/* A query's vector and the options it was made with. */
struct asked {
    const float *vector;
    double confidence, oversample;
};

static void make_query(struct placed *p, enum tq_metric metric, const struct asked *asked, uint32_t k,
                       struct tq_cuda_query *query) {
    p->truth->options.confidence = asked->confidence;
    p->truth->options.oversample = asked->oversample;
    if (!truth_query(p->truth, metric, asked->vector, k, query)) abort();
}

/* Ask for `count` queries at once. */
static void ask(struct placed *p, enum tq_metric metric, const struct tq_cuda_query *queries, const struct asked *asked,
                uint32_t count) {
    struct tq_cuda_answer answers[TQ_CUDA_QUERIES_MOST];
    struct tq_cuda_why why = {""};
    struct tq_cuda_query *copy = allocated(count * sizeof *copy);
    memcpy(copy, queries, count * sizeof *copy);
    bool begun = harness_did(p->h, p->h->ops->search_begin(p->lane, p->searched, copy, count, &why), &why,
                             "search_begin");
    memset(copy, 0xff, count * sizeof *copy); /* they were copied */
    if (begun && harness_did(p->h, p->h->ops->search_end(p->lane, answers, &why), &why, "search_end")) {
        for (uint32_t i = 0; i < count; i++) {
            make_query(p, metric, &asked[i], 1, copy);
            truth_bounds(p->truth, p->bounds);
            check_answer(p, &queries[i], &answers[i]);
        }
    }
    free(copy);
}

static void ask_one(struct placed *p, enum tq_metric metric, double confidence, const float *vector, uint32_t k) {
    struct tq_cuda_query *query = allocated(sizeof *query);
    struct asked asked = {vector, confidence, 0};
    make_query(p, metric, &asked, k, query);
    ask(p, metric, query, &asked, 1);
    free(query);
}

/* ---- Data ---- */

enum data { DATA_CLUSTERS, DATA_UNIFORM, DATA_ODD, DATA_NORMS, DATA_COPIES, DATA_UNUSABLE, DATA_COUNT };

static void fill(struct check_random *random, enum data data, uint32_t dim, size_t count, float *x, bool half) {
    struct harness_clusters clusters;
    if (data == DATA_ODD) {
        harness_odd_rows(random, x, dim, count, half);
        return;
    }
    harness_clusters_open(&clusters, random, dim, 8, 64);
    for (size_t i = 0; i < count; i++) {
        float *row = x + i * dim, scale = i % 7 == 3 ? 3.0f : 1.0f;
        harness_clusters_row(&clusters, random, row);
        if (data == DATA_NORMS) scale = powf(10.0f, (float)random_below(random, 600) / 100.0f - (half ? 4.0f : 3.0f));
        for (uint32_t j = 0; j < dim; j++) row[j] = data == DATA_UNIFORM ? harness_normal(random) : row[j] * scale;
        if (data == DATA_COPIES && i > 10 && i % 2 == 0) memcpy(row, x + (i % 10) * dim, dim * sizeof *row);
        if (data == DATA_UNUSABLE) { /* most groups have no row near to a query */
            const float *near = x + i / TQ_CUDA_GROUP_ROWS * TQ_CUDA_GROUP_ROWS * dim;
            for (uint32_t j = 0; j < dim; j++) row[j] = near[j] + 0.3f * harness_normal(random);
        }
        if (i % 13 == 12) memcpy(row, row - 3 * dim, dim * sizeof *row);
        if (i % 97 == 19) memset(row, 0, dim * sizeof *row);
    }
    harness_clusters_close(&clusters);
}

/* A truth with rows, and some queries near them: f32[16][dim] to free. NULL where there is no such format. */
static struct truth *make_truth(struct harness *h, uint32_t dim, uint32_t code_bits, int qjl, enum tq_rows rows,
                                enum data data, size_t count, float **queries) {
    struct truth *t = truth_open(dim, code_bits + (uint32_t)qjl, qjl, rows, TQ_COSINE);
    if (t == NULL) return NULL;
    float *x = allocated((count + 16) * dim * sizeof *x);
    fill(&h->random, data, dim, count, x, rows == TQ_ROWS_F16);
    t->unusable_each = data == DATA_UNUSABLE ? 41 : 0;
    truth_add(t, x, count);
    *queries = allocated(16 * (size_t)dim * sizeof **queries);
    for (size_t q = 0; q < 16; q++) {
        float *to = *queries + q * dim;
        const float *near = x + (count == 0 ? 0 : random_below(&h->random, (uint32_t)count)) * dim;
        for (uint32_t j = 0; j < dim; j++)
            to[j] = q % 4 == 3 ? harness_normal(&h->random)
                               : near[j] + (q % 4 == 2 ? 0 : 0.3f) * harness_normal(&h->random);
    }
    free(x);
    return t;
}

/* Metrics that the format can be asked. */
static enum tq_metric metric_of(const struct truth *t, uint32_t n) {
    return t->format.norms ? (enum tq_metric)(n % 3) : TQ_COSINE;
}

static double confidence_of(uint32_t n) {
    static const double confidences[] = {3, 2, 4, TQ_EXACT};
    return confidences[n % 4];
}

/* ---- Groups of cases ---- */

static void check_format(struct harness *h, uint32_t dim, uint32_t code_bits, int qjl, uint32_t n, size_t count) {
    float *queries = NULL;
    struct placed p;
    enum tq_rows rows = (enum tq_rows)(n % 5 == 4 ? TQ_ROWS_NONE : n % 5 == 3 ? TQ_ROWS_F16 : TQ_ROWS_F32);
    struct truth *t = make_truth(h, dim, code_bits, qjl, rows, (enum data)(n / 2 % DATA_COUNT), count, &queries);
    if (t == NULL) return;
    if (placed_open(&p, h, t)) {
        bool ready = put_all(&p);
        for (uint32_t i = 0; i < 3 && ready; i++) {
            ask_one(&p, metric_of(t, n + i), confidence_of(i == 0 ? 0 : n + i), queries + ((n + 5 * i) % 16) * dim,
                    i == 2 ? 30 : 10);
        }
        placed_close(&p);
    }
    free(queries);
    truth_close(t);
}

static void check_formats(struct harness *h) {
    static const uint32_t some[] = {1, 2, 3, 4, 5, 7, 15, 17, 31, 33, 63, 65, 100, 127, 129, 191, 200, 255, 257};
    static const uint32_t few[] = {1, 33, 257};
    static const uint32_t large[] = {384, 500, 512, 768, 1000, 1024, 1536, 3072, 4096};
    uint32_t n = 0;
    const uint32_t *dims = h->form == HARNESS_SANITIZER ? few : some;
    size_t count = h->form == HARNESS_SANITIZER ? TQ_COUNT(few) : TQ_COUNT(some);
    if (h->form == HARNESS_FULL) count = 129;
    if (harness_group(h, "search, formats, dim 1..257")) {
        for (size_t i = 0; i < count; i++) {
            uint32_t dim = h->form == HARNESS_FULL ? (uint32_t)(2 * i + 1) : dims[i];
            for (uint32_t format = 0; format < 8; format++) check_format(h, dim, format / 2 + 1, format % 2, n++, 300);
        }
    }
    if (!harness_group(h, "search, formats, dim 384..4096")) return;
    for (size_t i = 0; i < TQ_COUNT(large); i++) {
        for (uint32_t format = 0; format < 8; format++) {
            if (h->form != HARNESS_FULL && format != 7 && format != i % 8) continue;
            if (h->form == HARNESS_SANITIZER && large[i] != 768 && large[i] != 3072) continue;
            check_format(h, large[i], format / 2 + 1, format % 2, n++, h->form == HARNESS_FULL ? 1500 : 150);
        }
    }
}

static void check_size(struct placed *p, const float *queries, size_t count, uint32_t n) {
    static const uint32_t wanted[] = {1, 10, 100, 1000, 1024};
    struct truth *t = p->truth;
    uint32_t dim = t->format.dim;
    if (!reserve(p, 0) || !reserve(p, (count + 63) / 64) || !put(p, 0, 0, count) || !open_lane(p)) return;
    for (uint32_t i = 0; i < TQ_COUNT(wanted); i++) {
        if (p->h->form != HARNESS_FULL && i != n % 5 && i != 1) continue;
        ask_one(p, metric_of(t, n + i), confidence_of(n + i), queries + (n + i) % 16 * dim, wanted[i]);
    }
}

/* Every count of rows, up to some groups of groups. */
static void check_sizes(struct harness *h) {
    static const size_t edges[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025};
    if (!harness_group(h, "search, 0..1025 rows")) return;
    float *queries = NULL;
    struct truth *t = make_truth(h, 96, 4, 1, TQ_ROWS_F32, DATA_CLUSTERS, 1025, &queries);
    struct placed p;
    uint32_t n = 0;
    if (t != NULL && placed_open(&p, h, t)) {
        for (size_t i = 0; i < TQ_COUNT(edges); i++) check_size(&p, queries, edges[i], n++);
        for (size_t count = 3; count < 1025 && h->form == HARNESS_FULL; count += 11)
            check_size(&p, queries, count, n++);
        placed_close(&p);
    }
    free(queries);
    if (t != NULL) truth_close(t);
}

/* Puts of odd sizes, one behind the other, with groups between them that have no rows. */
static bool put_pieces(struct placed *p, uint64_t groups) {
    uint64_t group = 0;
    size_t count = p->truth->count;
    while (group < groups) {
        uint64_t most = (groups - group) * TQ_CUDA_GROUP_ROWS;
        size_t rows = 1 + random_below(&p->h->random, 300);
        rows = tq_min_size(rows, most);
        if (!put(p, group, random_below(&p->h->random, (uint32_t)(count - rows)), rows)) return false;
        group += (rows + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS + random_below(&p->h->random, 3);
    }
    return true;
}

static void ask_all(struct placed *p, const float *queries) {
    static const uint32_t shares[] = {256, 128, 8, 0};
    for (uint32_t i = 0; i < TQ_COUNT(shares); i++) {
        if (!allow(p, shares[i])) return;
        const float *vector = queries + (size_t)(4 * i % 16) * p->truth->format.dim;
        ask_one(p, metric_of(p->truth, i), confidence_of(i), vector, 10);
    }
    (void)allow(p, 256);
}

static void check_pieces_of(struct harness *h, struct truth *t, const float *queries) {
    struct placed p;
    if (!placed_open(&p, h, t)) return;
    struct tq_cuda_why why = {""};
    bool ready = reserve(&p, 17) && put_pieces(&p, 17) && open_lane(&p);
    if (ready) ask_all(&p, queries);
    ready = ready && reserve(&p, 40); /* the lane stays open over all of it */
    if (ready) ask_all(&p, queries);
    ready = ready && put(&p, 30, 5, 200) && put(&p, 3, 100, 70) && clear(&p, 5, 4) && clear(&p, 39, 1);
    if (ready) ask_all(&p, queries);
    p.searched = 9; /* fewer groups than there are */
    if (ready) ask_all(&p, queries);
    p.searched = 0;
    if (ready) ask_one(&p, TQ_COSINE, 3, queries, 10);
    ready = ready && reserve(&p, 11);
    if (ready) ask_all(&p, queries);
    ready = ready && reserve(&p, 20) && put(&p, 19, 7, 1); /* those between were given up: no rows */
    if (ready) ask_all(&p, queries);
    ready = ready && clear(&p, 0, 20) && clear(&p, 20, 0);
    if (ready) ask_one(&p, TQ_COSINE, 3, queries, 10);
    ready = ready && reserve(&p, 0) && reserve(&p, 5) && put(&p, 2, 0, 150);
    ready = ready && harness_did(h, h->ops->set_finish(p.set, &why), &why, "set_finish");
    if (ready) ask_all(&p, queries);
    harness_case(h,
                 h->ops->set_bytes(p.set, 100) >= 100 * 64 * (t->format.bits * t->format.plane_bytes) &&
                     h->ops->set_bytes(p.set, 200) > h->ops->set_bytes(p.set, 100) &&
                     h->ops->lane_bytes(p.set, 200) >= h->ops->lane_bytes(p.set, 100),
                 "bytes of groups do not grow");
    placed_close(&p);
}

static void check_pieces(struct harness *h) {
    if (!harness_group(h, "search, sets put in pieces")) return;
    for (uint32_t n = 0; n < 5; n++) {
        static const uint32_t dims[] = {40, 200, 257, 520, 768};
        float *queries = NULL;
        struct truth *t = make_truth(h, dims[n], 4 - n % 3, 1, n == 3 ? TQ_ROWS_NONE : TQ_ROWS_F32, DATA_CLUSTERS, 700,
                                     &queries);
        if (t == NULL) continue;
        for (int i = 0; i < (h->form == HARNESS_FULL ? 4 : 1); i++) check_pieces_of(h, t, queries);
        free(queries);
        truth_close(t);
    }
}

/* What a query can ask for beside the k best. */
static void vary(struct placed *p, uint32_t kind, struct tq_cuda_query *query) {
    truth_bounds(p->truth, p->bounds);
    double some = p->bounds[random_below(&p->h->random, (uint32_t)p->truth->count)].upper, bar = true_bar(p, query);
    switch (kind) {
    case 1: query->seed_bar = some; break; /* may be above T */
    case 2: query->seed_bar = bar; break;
    case 3: query->every_row = true; break;
    case 4: /* a range */
        query->seed_bar = some;
        query->wanted = 0;
        break;
    case 5:
        query->seed_bar = nextafter(bar, INFINITY);
        query->wanted = 0;
        break;
    case 6:
        query->seed_bar = some - 0.01 * fabs(some);
        query->every_row = true;
        break;
    default: break;
    }
}

static void check_asked(struct placed *p, const float *queries, uint32_t n) {
    static const uint32_t wanted[] = {10, 1, 100, 1000, 10, 3};
    struct truth *t = p->truth;
    uint32_t count = 1 + n % TQ_CUDA_QUERIES_MOST;
    enum tq_metric metric = metric_of(t, n);
    struct tq_cuda_query *made = allocated(TQ_CUDA_QUERIES_MOST * sizeof *made);
    struct asked asked[TQ_CUDA_QUERIES_MOST];
    for (uint32_t i = 0; i < count; i++) {
        bool proof = n % 16 == 15, mixed = n % 5 == 4;
        asked[i] = (struct asked){.vector = queries + (size_t)((n + i) % 16) * t->format.dim,
                                  .confidence = proof ? TQ_EXACT : confidence_of((mixed ? i : n) % 3),
                                  .oversample = (n + i) % 9 == 8 ? 4 : 0};
        make_query(p, metric, &asked[i], wanted[(n / 8 + i) % 6], &made[i]);
        vary(p, (n + 3 * i) % 8, &made[i]);
    }
    ask(p, metric, made, asked, count);
    free(made);
}

/* A query of zeros has no direction to scan along, so it scores every row. */
static void ask_zero(struct placed *p, enum tq_metric metric, const float *zero) {
    struct tq_cuda_query *query = allocated(sizeof *query);
    struct asked asked = {zero, 3, 0};
    make_query(p, metric, &asked, 10, query);
    query->every_row = true;
    ask(p, metric, query, &asked, 1);
    free(query);
}

static void check_options_of(struct harness *h, struct truth *t, const float *queries, uint32_t rounds) {
    struct placed p;
    if (!placed_open(&p, h, t)) return;
    bool ready = put_all(&p);
    for (uint32_t n = 0; n < rounds && ready; n++) {
        if (n % 12 == 10) ready = allow(&p, 100);
        if (n % 12 == 0) ready = ready && allow(&p, 256);
        if (ready) check_asked(&p, queries, n);
    }
    float *zero = allocated(t->format.dim * sizeof *zero);
    if (ready && allow(&p, 256)) {
        for (uint32_t i = 0; i < 3; i++) ask_zero(&p, metric_of(t, i), zero);
    }
    free(zero);
    placed_close(&p);
}

static void check_options(struct harness *h) {
    static const char *const names[] = {"search, options, clusters", "search, options, uniform rows",
                                        "search, options, odd rows", "search, options, norms over 6 decades",
                                        "search, options, copies",   "search, options, rows without a code"};
    static const uint32_t dims[] = {96, 300, 768};
    for (uint32_t data = 0; data < DATA_COUNT; data++) {
        if (!harness_group(h, names[data])) continue;
        for (uint32_t n = 0; n < 9; n++) {
            if (h->form != HARNESS_FULL && n != data && n != data + 4) continue;
            float *queries = NULL;
            struct truth *t = make_truth(h, dims[n % 3], 4 - n % 2, n != 4, (enum tq_rows)(n / 3), (enum data)data,
                                         h->form == HARNESS_FULL ? 1500 : 400, &queries);
            if (t == NULL) continue;
            check_options_of(h, t, queries, h->form == HARNESS_FULL ? 32 : h->form == HARNESS_SHORT ? 24 : 8);
            free(queries);
            truth_close(t);
        }
    }
}

/* So many rows that most of them are dismissed by their first plane. */
static void check_large_of(struct harness *h, uint32_t dim, uint32_t code_bits, enum tq_rows rows, size_t count) {
    struct harness_clusters clusters;
    struct placed p;
    struct truth *t = truth_open(dim, code_bits + 1, 1, rows, TQ_COSINE);
    float *x = allocated((count + 8) * dim * sizeof *x), *queries = x + count * dim;
    harness_clusters_open(&clusters, &h->random, dim, 64, 1024);
    for (size_t i = 0; i < count + 8; i++) harness_clusters_row(&clusters, &h->random, x + i * dim);
    truth_add(t, x, count);
    if (placed_open(&p, h, t)) {
        struct tq_cuda_query *made = allocated(TQ_CUDA_QUERIES_MOST * sizeof *made);
        struct asked asked[TQ_CUDA_QUERIES_MOST];
        bool ready = put_all(&p);
        for (uint32_t i = 0; i < 6 && ready; i++)
            ask_one(&p, metric_of(t, i), 3, queries + i * dim, i % 2 == 0 ? 10 : 100);
        for (uint32_t i = 0; i < TQ_CUDA_QUERIES_MOST && ready; i++) {
            asked[i] = (struct asked){queries + i * dim, 3, 0};
            make_query(&p, TQ_COSINE, &asked[i], 10, &made[i]);
        }
        if (ready) ask(&p, TQ_COSINE, made, asked, TQ_CUDA_QUERIES_MOST);
        if (ready && allow(&p, 30)) ask_one(&p, TQ_COSINE, 3, queries, 10);
        printf("  %zu rows of dim %u, %u bits: an answer scored %llu rows and returned %llu too many\n", count, dim,
               t->format.bits, (unsigned long long)(p.survivors / (p.answered + (p.answered == 0))),
               (unsigned long long)p.extra);
        free(made);
        placed_close(&p);
    }
    harness_clusters_close(&clusters);
    free(x);
    truth_close(t);
}

/* Eight queries in one search, again and again until as many rows are handed over as they need; the emulated device has
 * fewer multiprocessors than there are queries. */
static void check_together(struct harness *h) {
    const size_t count = 20000, dim = 256;
    struct harness_clusters clusters;
    struct placed p;
    struct truth *t = truth_open((uint32_t)dim, 3, 1, TQ_ROWS_F16, TQ_COSINE);
    float *x = allocated((count + TQ_CUDA_QUERIES_MOST) * dim * sizeof *x), *queries = x + count * dim;
    harness_clusters_open(&clusters, &h->random, (uint32_t)dim, 64, 1024);
    for (size_t i = 0; i < count + TQ_CUDA_QUERIES_MOST; i++) harness_clusters_row(&clusters, &h->random, x + i * dim);
    truth_add(t, x, count);
    if (placed_open(&p, h, t)) {
        struct tq_cuda_query *made = allocated(TQ_CUDA_QUERIES_MOST * sizeof *made);
        struct asked asked[TQ_CUDA_QUERIES_MOST];
        bool ready = put_all(&p);
        for (uint32_t i = 0; i < TQ_CUDA_QUERIES_MOST && ready; i++) {
            asked[i] = (struct asked){queries + i * dim, 3, 0};
            make_query(&p, TQ_COSINE, &asked[i], 1, &made[i]);
        }
        for (int n = 0; n < 6 && ready; n++) ask(&p, TQ_COSINE, made, asked, TQ_CUDA_QUERIES_MOST);
        free(made);
        placed_close(&p);
    }
    harness_clusters_close(&clusters);
    free(x);
    truth_close(t);
}

/* More rows reach T than an answer has room for: copies of one. */
static void check_overflow(struct harness *h) {
    size_t count = TQ_CUDA_CANDIDATES_MOST + 4000;
    struct placed p;
    struct truth *t = truth_open(32, 4, 1, TQ_ROWS_F16, TQ_COSINE);
    float *x = allocated(count * 32 * sizeof *x);
    for (uint32_t j = 0; j < 32; j++) x[j] = harness_normal(&h->random);
    for (size_t i = 1; i < count; i++) memcpy(x + i * 32, x, 32 * sizeof *x);
    truth_add(t, x, count);
    if (placed_open(&p, h, t)) {
        if (put_all(&p)) {
            ask_one(&p, TQ_COSINE, 3, x, 10);
            if (allow(&p, 100)) ask_one(&p, TQ_COSINE, 3, x, 10);
        }
        placed_close(&p);
    }
    free(x);
    truth_close(t);
}

int main(int argc, char **argv) {
    struct harness h;
    int exit = harness_open(&h, argc, argv);
    if (exit != 0) return exit;
    check_formats(&h);
    check_sizes(&h);
    check_pieces(&h);
    check_options(&h);
    if (h.form == HARNESS_FULL && harness_group(&h, "search, 200,000 rows")) {
        check_large_of(&h, 256, 3, TQ_ROWS_F16, 200000);
        check_large_of(&h, 768, 3, TQ_ROWS_F32, 50000);
        check_large_of(&h, 200, 4, TQ_ROWS_NONE, 100000);
    }
    if (h.form != HARNESS_SANITIZER && harness_group(&h, "search, clusters of rows")) {
        check_large_of(&h, 256, 3, TQ_ROWS_F16, 4000);
        check_large_of(&h, 768, 3, TQ_ROWS_F32, 2000);
    }
    if (harness_group(&h, "search, eight queries together")) check_together(&h);
    if (h.form == HARNESS_FULL && harness_group(&h, "search, an answer that overflows")) check_overflow(&h);
    return harness_close(&h);
}
