#include "tests/cuda/device_truth.h"

#include <stdlib.h>
#include <string.h>

#include "index/device_parts.h"

/* Tests have no way on without it. */
static void need(bool done) {
    if (!done) abort();
}

struct truth *truth_open(uint32_t dim, uint32_t bits, int qjl, enum tq_rows rows, enum tq_metric metric) {
    struct truth *t = calloc(1, sizeof *t);
    need(t != NULL);
    struct tq_index_options options = {
        .dim = dim, .bits = bits, .qjl = qjl, .rows = rows, .metric = metric, .seed = 0x7471};
    struct tq_kernels kernels;
    tq_kernels_select(tq_cpu_isa(), &kernels);
    if (tq_format_init(&t->format, &options) != TQ_OK) {
        free(t);
        return NULL;
    }
    need(tq_codec_open(&t->format, &kernels, &t->codec) == TQ_OK);
    need(tq_encoder_open(t->codec, &t->encoder) == TQ_OK);
    need(tq_searcher_open(t->codec, &t->searcher) == TQ_OK);
    t->query_memory = aligned_alloc(64, tq_round_up(tq_query_bytes(t->codec), 64));
    need(t->query_memory != NULL);
    t->options = tq_search_defaults();
    return t;
}

void truth_close(struct truth *t) {
    tq_searcher_close(t->searcher);
    for (size_t i = 0; i < t->view.count; i++) tq_builder_close(t->builders[i]);
    tq_encoder_close(t->encoder);
    tq_codec_close(t->codec);
    free(t->query_memory);
    free(t->records);
    free(t->first_error);
    free(t->second);
    free(t);
}

void truth_codec(const struct truth *t, struct tq_cuda_codec *codec) { tq_device_codec(t->codec, codec); }

/* The rows of a segment as they are stored, rounded where they are packed. */
static void read_segment(struct truth *t, size_t first, struct tq_segment *segment) {
    size_t stride = t->format.record_stride;
    for (uint32_t row = 0; row < tq_segment_row_count(segment); row++) {
        size_t at = first + row;
        const uint8_t *record = NULL;
        const void *units = NULL;
        need(tq_segment_records(segment, &row, 1, t->records + at * stride, &record) == TQ_OK);
        if (record != t->records + at * stride) memcpy(t->records + at * stride, record, stride);
        need(tq_segment_block(segment, TQ_PLANE_FIRST_ERROR, row / TQ_BLOCK_ROWS, &units) == TQ_OK);
        t->first_error[at] = tq_first_error_at(&t->format, units, row % TQ_BLOCK_ROWS);
        if (t->format.scan_planes < 2) continue;
        need(tq_segment_block(segment, TQ_PLANE_SECOND_SCALARS, row / TQ_BLOCK_ROWS, &units) == TQ_OK);
        struct tq_second_scalars scalars = tq_second_of(units, row % TQ_BLOCK_ROWS);
        t->second[2 * at] = scalars.inverse;
        t->second[2 * at + 1] = scalars.error;
    }
}

/* As encode.c leaves a row that its code is too far off; record: a copy to be changed. */
static void make_unusable(const struct tq_format *f, struct tq_row *row, uint8_t *record) {
    struct tq_record_tail tail;
    uint8_t *at = record + (size_t)f->bits * f->plane_bytes;
    memcpy(record, row->record, f->record_stride);
    memcpy(&tail, at, sizeof tail);
    tail.scale = 0;
    tail.error = f->packed ? 0 : 0x7c00;
    memcpy(at, &tail, sizeof tail);
    row->record = record;
    row->first_error = 0x7c00;
    row->second = (struct tq_second_scalars){0, f->scan_planes > 1 ? UINT16_MAX : 0};
}

void truth_add(struct truth *t, const float *vectors, size_t count) {
    uint8_t *record = calloc(1, t->format.record_stride);
    need(record != NULL);
    t->records = calloc(count + 1, t->format.record_stride);
    t->first_error = calloc(count + 1, sizeof *t->first_error);
    t->second = calloc(2 * count + 1, sizeof *t->second);
    need(t->records != NULL && t->first_error != NULL && t->second != NULL);
    for (size_t first = 0; first < count; first += TRUTH_SEGMENT_ROWS) {
        size_t rows = tq_min_size(TRUTH_SEGMENT_ROWS, count - first), at = t->view.count;
        need(at < TRUTH_SEGMENTS_MOST);
        need(tq_builder_open(&t->format, first, (uint32_t)rows, NULL, &t->builders[at]) == TQ_OK);
        for (size_t i = first; i < first + rows; i++) {
            struct tq_row row;
            need(tq_encode(t->encoder, vectors + i * t->format.dim, &row) == TQ_OK);
            if (t->unusable_each > 0 && i % t->unusable_each == 0) make_unusable(&t->format, &row, record);
            need(tq_builder_append(t->builders[at], (int64_t)i, i, &row) == TQ_OK);
        }
        t->segments[at] = (struct tq_view_segment){.segment = tq_builder_segment(t->builders[at])};
        read_segment(t, first, t->segments[at].segment);
        t->view.segments = t->segments;
        t->view.count++;
        t->view.live += rows;
    }
    t->count = count;
    free(record);
}

bool truth_query(struct truth *t, enum tq_metric metric, const float *vector, uint32_t k, struct tq_cuda_query *query) {
    if (tq_query_prepare(t->codec, vector, t->query_memory, &t->query) != TQ_OK) return false;
    need(tq_searcher_begin(t->searcher, &t->view, metric, &t->options) == TQ_OK);
    need(tq_searcher_set_query(t->searcher, &t->query, k) == TQ_OK);
    tq_device_query(t->searcher, TQ_ASK_ANSWER, query);
    t->searcher->bound.zeta = query->bounds.zeta; /* of a proof without exact rows it is another */
    query->wanted = k;                            /* and not how many rows there are */
    return true;
}

struct truth_integers truth_integers(const struct truth *t, const uint8_t *record) {
    const struct tq_kernels *kernels = &t->codec->kernels;
    struct truth_integers made = {0, 0, 0, 0};
    struct tq_code_dots dots;
    kernels->refine(&t->query.code, &record, 1, &dots);
    kernels->sign_dots(t->query.plane_query, t->format.dim, 0, &record, 1, &made.first);
    if (t->format.code_bits > 1) kernels->sign_dots(t->query.plane_query, t->format.dim, 1, &record, 1, &made.second);
    made.code = dots.code;
    made.sketch = dots.sketch;
    return made;
}

void truth_bounds(struct truth *t, struct tq_cuda_candidate *rows) {
    bool planes = !t->searcher->proof && t->query.norm > 0;
    for (size_t at = 0; at < t->count; at++) {
        const uint8_t *record = t->records + at * t->format.record_stride;
        struct tq_code_dots dots;
        struct tq_refined refined = {0};
        double upper = INFINITY;
        t->codec->kernels.refine(&t->query.code, &record, 1, &dots);
        tq_bound_full(t->searcher, record, &dots, &refined);
        uint32_t segment = (uint32_t)(at / TRUTH_SEGMENT_ROWS), row = (uint32_t)(at % TRUTH_SEGMENT_ROWS);
        if (planes) need(tq_bound_planes(t->searcher, segment, row, record, &upper) == TQ_OK);
        rows[at] = (struct tq_cuda_candidate){fmin(refined.upper, upper), refined.estimate,
                                              fmin(refined.rank_key, upper), at};
    }
}
