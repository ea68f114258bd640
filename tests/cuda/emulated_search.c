/* Every allowed row of a lane, scored: integers by plain sums over bits, bounds by index/row_bound.c from what the
 * query says; T and the rows that reach it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/cascade.h"
#include "src/base/f16.h"
#include "tests/cuda/emulated.h"

/* A query taken apart again, and what row_bound.c wants to see. */
struct prepared {
    const struct tq_cuda_query *query;
    int32_t *plane, *code, *sketch; /* [dim] */
    int32_t centroids[1 << TQ_CUDA_CODE_BITS_MOST];
    struct tq_codec codec;
    struct tq_query cpu_query;
    struct tq_search_options options;
    struct tq_searcher searcher;
};

/* Element j of bit planes, two's complement of `count` bits, 8 planes to a stretch. */
static int32_t element(const uint32_t (*planes)[8], uint32_t count, uint32_t j) {
    uint32_t value = 0, w = j % TQ_CUDA_SLAB_DIMS / 32, b = j % 32;
    for (uint32_t p = 0; p < count; p++) value |= (planes[p][w] >> b & 1) << p;
    return (int32_t)(value << (32 - count)) >> (32 - count);
}

static bool prepare(struct prepared *p, const struct tq_format *format, const struct tq_cuda_query *query) {
    uint32_t dim = format->dim;
    const struct tq_cuda_bounds *b = &query->bounds;
    p->query = query;
    p->plane = malloc(3 * dim * sizeof *p->plane);
    if (p->plane == NULL) return false;
    p->code = p->plane + dim;
    p->sketch = p->code + dim;
    int32_t sums[3] = {0};
    for (uint32_t j = 0; j < dim; j++) {
        uint32_t slab = j / TQ_CUDA_SLAB_DIMS;
        sums[0] += p->plane[j] = element(query->planes.plane[slab], 6, j);
        sums[1] += p->code[j] = element(query->planes.code[slab][0], 16, j);
        sums[2] += p->sketch[j] = element(query->planes.sketch[slab][0], 16, j);
    }
    emulated_contract(sums[0] == query->plane_sum && sums[1] == query->code_sum && sums[2] == query->sketch_sum,
                      "search_begin", "the sums of a query's integers are not those of its planes");
    for (int32_t index = 0; index < 1 << format->code_bits; index++) {
        p->centroids[index] = 0;
        for (int32_t set = 0; set <= index; set++)
            p->centroids[index] += (set & index) == set ? query->weights[set] : 0;
    }
    p->codec.format = *format;
    p->cpu_query = (struct tq_query){.code_step = b->code_step, .sketch_step = b->sketch_step, .norm = b->query_norm};
    p->options.confidence = b->confidence;
    p->searcher = (struct tq_searcher){.codec = &p->codec,
                                       .query = &p->cpu_query,
                                       .options = &p->options,
                                       .metric = (enum tq_metric)b->metric,
                                       .bound = {(enum tq_metric)b->metric, b->zeta, b->query_norm},
                                       .proof = b->proof,
                                       .by_estimate = b->by_estimate,
                                       .sqrt_dim = b->sqrt_dim,
                                       .plane_scale = b->plane_scale,
                                       .plane_slack = b->plane_slack,
                                       .query_slack = b->query_slack,
                                       .code_slack = b->code_slack};
    emulated_contract(b->packed == format->packed && b->qjl == format->qjl &&
                          b->scan_planes == (int32_t)format->scan_planes,
                      "search_begin", "a query is of another format than its set");
    return true;
}

struct integers {
    struct tq_code_dots dots;
    int32_t first, second;
};

static struct integers integers_of(const struct prepared *p, const uint8_t *record) {
    const struct tq_format *f = &p->codec.format;
    const uint8_t *sketch = record + (size_t)f->code_bits * f->plane_bytes;
    struct integers made = {{0, 0}, 0, 0};
    for (uint32_t j = 0; j < f->dim; j++) {
        uint32_t byte = j / 8, bit = j % 8, index = 0;
        for (uint32_t plane = 0; plane < f->code_bits; plane++)
            index = 2 * index + (record[(size_t)plane * f->plane_bytes + byte] >> bit & 1);
        made.dots.code += p->code[j] * p->centroids[index];
        made.first += (index >> (f->code_bits - 1)) != 0 ? p->plane[j] : -p->plane[j];
        if (f->code_bits > 1) made.second += (index >> (f->code_bits - 2) & 1) != 0 ? p->plane[j] : -p->plane[j];
        if (f->qjl) made.dots.sketch += (sketch[byte] >> bit & 1) != 0 ? p->sketch[j] : -p->sketch[j];
    }
    return made;
}

static struct tq_cuda_candidate score(const struct prepared *p, const struct tq_cuda_set *set, uint64_t row) {
    const struct tq_format *f = &set->format;
    const uint8_t *record = set->records + row * f->record_stride;
    struct integers of = integers_of(p, record);
    struct tq_refined refined;
    tq_bound_full(&p->searcher, record, &of.dots, &refined);
    struct tq_cuda_candidate made = {refined.upper, refined.estimate, refined.rank_key, row};
    if (p->searcher.proof || p->searcher.bound.query_norm <= 0) return made;
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)f->bits * f->plane_bytes, sizeof tail);
    double planes = tq_upper_first(&p->searcher, of.first, tq_f32_from_f16(set->first_error[row]), tail.norm);
    if (f->scan_planes > 1) {
        struct tq_second_scalars scalars = {set->second[2 * row], set->second[2 * row + 1]};
        planes = fmin(planes, tq_upper_second(&p->searcher, of.first, of.second, scalars, tail.norm));
    }
    made.upper = fmin(made.upper, planes);
    made.key = fmin(made.key, planes);
    return made;
}

static bool push(struct emulated_list *list, struct tq_cuda_candidate made) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : 2 * list->capacity;
        struct tq_cuda_candidate *rows = realloc(list->rows, capacity * sizeof *rows);
        if (rows == NULL) return false;
        list->rows = rows;
        list->capacity = capacity;
    }
    list->rows[list->count++] = made;
    return true;
}

static bool score_all(const struct tq_cuda_lane *lane, const struct prepared *p, struct emulated_list *list,
                      struct tq_topk *top) {
    for (uint64_t group = 0; group < lane->groups; group++) {
        uint64_t rows = lane->set->present[group];
        if (lane->allowed != NULL) rows &= lane->allowed[group];
        for (; rows != 0; rows &= rows - 1) {
            uint64_t row = TQ_CUDA_GROUP_ROWS * group + (uint64_t)__builtin_ctzll(rows);
            struct tq_cuda_candidate made = score(p, lane->set, row);
            if (p->query->wanted > 0) tq_topk_push(top, made.key);
            if (!push(list, made)) return false;
        }
    }
    return true;
}

bool emulated_search(struct tq_cuda_lane *lane, const struct tq_cuda_query *query, struct emulated_list *list,
                     struct tq_cuda_answer *answer) {
    double heap[TQ_CUDA_WANTED_MOST];
    struct tq_topk top = {.values = heap, .capacity = query->wanted};
    struct prepared *p = calloc(1, sizeof *p);
    list->count = 0;
    bool made = p != NULL && prepare(p, &lane->set->format, query) && score_all(lane, p, list, &top);
    if (p != NULL) free(p->plane);
    free(p);
    if (!made) return false;
    *answer = (struct tq_cuda_answer){.candidates = list->rows, .scanned = list->count, .survivors = list->count};
    answer->bar = query->wanted == 0 ? query->seed_bar : fmax(query->seed_bar, tq_topk_bar(&top));
    size_t kept = 0, room = emulated_number("TQ_EMULATED_CANDIDATES", TQ_CUDA_CANDIDATES_MOST);
    for (size_t i = 0; i < list->count; i++) {
        if (list->rows[i].upper >= answer->bar) list->rows[kept++] = list->rows[i];
    }
    answer->overflow = kept > room;
    answer->count = (uint32_t)(answer->overflow ? room : kept);
    return true;
}
