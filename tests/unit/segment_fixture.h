/* Rows that are a function of their number, and a check of a segment against them, bit by bit. */
#ifndef TQ_TEST_SEGMENT_FIXTURE_H
#define TQ_TEST_SEGMENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/f16.h"
#include "src/base/rng.h"
#include "storage/segment.h"

#define must(expr) must_at(expr, #expr, __LINE__)
static inline void must_at(enum tq_status status, const char *what, int line) {
    if (status != TQ_OK) fail_msg("line %d: %s: %s: %s", line, what, tq_status_name(status), tq_message());
}

struct folder {
    char path[256], store[300], data[320];
};

static inline void folder_make_in(struct folder *folder, const char *parent) {
    (void)snprintf(folder->path, sizeof folder->path, "%s/tq-test-XXXXXX", parent);
    if (mkdtemp(folder->path) == NULL) fail_msg("mkdtemp %s", folder->path);
    (void)snprintf(folder->store, sizeof folder->store, "%s/store", folder->path);
    (void)snprintf(folder->data, sizeof folder->data, "%s/data.mdb", folder->store);
}

static inline void folder_make(struct folder *folder) {
    const char *parent = getenv("TMPDIR");
    folder_make_in(folder, parent != NULL && strlen(parent) < 200 ? parent : "/tmp");
}

static inline void remove_tree(const char *path) {
    DIR *dir = opendir(path);
    char name[1024];
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int length = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof name) continue;
        if (unlink(name) != 0) remove_tree(name);
    }
    if (dir != NULL) (void)closedir(dir);
    (void)rmdir(path);
}

/* ---- Model rows ---- */

enum slots { DENSE, GAPS, WIDE_GAPS };

struct model {
    struct tq_format format;
    uint64_t slot_first;
    enum slots slots;
    bool random_ids;
    uint8_t *record, *exact; /* of the row made last */
};

static inline uint64_t model_slot(const struct model *model, uint32_t row) {
    uint64_t slot = model->slot_first + row;
    if (model->slots == GAPS) slot += row / 3 + (row > 50 ? 64 : 0); /* one gap of exactly what zeros fill */
    if (model->slots == WIDE_GAPS) slot += row / 40 * 1000;
    return slot;
}

static inline int64_t model_id(const struct model *model, uint32_t row) {
    if (model->random_ids) return (int64_t)tq_rng_at(model->format.seed, 77, row);
    return (int64_t)model_slot(model, row) - 5000000000;
}

static inline void model_row(struct model *model, uint32_t row, struct tq_row *out) {
    const struct tq_format *f = &model->format;
    memset(model->record, 0, f->record_stride);
    for (uint32_t byte = 0; byte < f->bits * f->plane_bytes; byte++) {
        uint64_t random = tq_rng_at(f->seed, 1000 + row, byte / 8);
        uint32_t dims = f->dim - byte % f->plane_bytes * 8; /* left from this byte on */
        model->record[byte] = (uint8_t)((uint8_t)(random >> byte % 8 * 8) & (dims < 8 ? (1u << dims) - 1 : 255u));
    }
    uint64_t random = tq_rng_at(f->seed, 2, row);
    struct tq_record_tail tail = {.scale = 1.0f + (float)(random & 255) / 64,
                                  .norm = 0.25f + (float)(random >> 8 & 1023) / 256,
                                  .gamma = (uint16_t)(random >> 20 & 0x3fff),
                                  .error = (uint16_t)(random >> 34 & 0x3fff)};
    uint16_t first_error = tq_f16_up((float)(random >> 48 & 1023) / 300);
    tq_format_round(f, &tail, &first_error);
    memcpy(model->record + f->record_bytes - sizeof tail, &tail, sizeof tail);
    for (uint32_t i = 0; i < f->exact_bytes; i++)
        model->exact[i] = (uint8_t)(tq_rng_at(f->seed, 3 + ((uint64_t)row << 8), i / 8) >> i % 8 * 8);
    *out = (struct tq_row){.record = model->record,
                           .first_error = first_error,
                           .norm = tail.norm,
                           .exact = f->exact_bytes > 0 ? model->exact : NULL};
    if (f->scan_planes == 2) {
        out->second.inverse = (uint16_t)(random % 7 == 0 ? 0 : 20000 + (random >> 40 & 255));
        out->second.error = (uint16_t)(random >> 48);
    }
}

static inline void model_open(struct model *model, struct tq_index_options options) {
    must(tq_format_init(&model->format, &options));
    model->record = malloc(model->format.record_stride);
    model->exact = malloc(model->format.exact_bytes + 1);
}

static inline void model_close(struct model *model) {
    free(model->record);
    free(model->exact);
}

static inline void model_append(struct model *model, struct tq_builder *builder, uint32_t from, uint32_t to) {
    struct tq_row row;
    for (uint32_t i = from; i < to; i++) {
        model_row(model, i, &row);
        must(tq_builder_append(builder, model_id(model, i), model_slot(model, i), &row));
    }
}

/* ---- Checks: every function of the reader against the model ---- */

static inline int record_bit(const struct tq_format *f, const uint8_t *record, uint32_t plane, uint32_t dim) {
    return record[plane * f->plane_bytes + dim / 8] >> dim % 8 & 1;
}

static inline void check_bits(const struct tq_format *f, const uint8_t *block, const uint8_t *record, uint32_t plane,
                              uint32_t lane) {
    for (uint32_t dim = 0; dim < f->dim; dim++) {
        uint8_t byte = block[dim / 4 * 64 + lane % 64];
        int bit = (lane < 64 ? byte & 15 : byte >> 4) >> dim % 4 & 1;
        if (bit != record_bit(f, record, plane, dim)) fail_msg("plane %u, lane %u, dim %u differs", plane, lane, dim);
    }
}

static inline void widen(const struct tq_format *f, struct tq_block_stats *s, const struct tq_row *row, bool begin) {
    double tangent = (double)tq_f32_from_f16(row->first_error), c = 1 / sqrt(1 + tangent * tangent);
    float cosine = (float)c, sine = isinf(tangent) ? INFINITY : (float)(tangent * c * (1 + 1e-6));
    if (begin) *s = (struct tq_block_stats){cosine, cosine, sine, row->norm, row->norm, 0};
    if (cosine < s->cos_min) s->cos_min = cosine;
    if (cosine > s->cos_max || f->packed) s->cos_max = f->packed ? 1 : cosine;
    if (sine > s->sin_max) s->sin_max = sine;
    if (row->norm < s->norm_min) s->norm_min = row->norm;
    if (row->norm > s->norm_max) s->norm_max = row->norm;
    if (row->second.inverse == 0) s->second_unknown++;
}

static inline void check_block(struct model *model, struct tq_segment *segment, uint32_t block, uint32_t rows) {
    const struct tq_format *f = &model->format;
    const void *first, *second = NULL, *errors, *scalars = NULL, *norms = NULL, *stats;
    must(tq_segment_block(segment, TQ_PLANE_FIRST, block, &first));
    must(tq_segment_block(segment, TQ_PLANE_FIRST_ERROR, block, &errors));
    must(tq_segment_block(segment, TQ_PLANE_STATS, block, &stats));
    if (f->scan_planes == 2) must(tq_segment_block(segment, TQ_PLANE_SECOND, block, &second));
    if (f->scan_planes == 2) must(tq_segment_block(segment, TQ_PLANE_SECOND_SCALARS, block, &scalars));
    if (f->norms) must(tq_segment_block(segment, TQ_PLANE_NORM, block, &norms));
    struct tq_block_stats expected = {0};
    uint8_t *zeros = calloc(1, f->record_stride);
    struct tq_row row;
    for (uint32_t lane = 0; lane < 128; lane++) {
        uint32_t at = block * 128 + lane;
        bool present = at < rows;
        row = (struct tq_row){.record = zeros, .first_error = tq_first_error_at(f, zeros, 0)};
        if (present) model_row(model, at, &row);
        if (present) widen(f, &expected, &row, lane == 0);
        check_bits(f, first, row.record, 0, lane);
        if (second != NULL) check_bits(f, second, row.record, 1, lane);
        assert_int_equal(tq_first_error_at(f, errors, lane), row.first_error);
        struct tq_second_scalars kept = scalars == NULL ? row.second : tq_second_of(scalars, lane);
        assert_memory_equal(&kept, &row.second, 4);
        if (norms != NULL) assert_memory_equal((const uint8_t *)norms + lane * 4, &row.norm, 4);
    }
    free(zeros);
    assert_memory_equal(stats, &expected, sizeof expected);
    assert_int_equal((uintptr_t)first % 64, 0);
}

static inline void check_rows(struct model *model, struct tq_segment *segment, const uint32_t *rows, size_t count) {
    const struct tq_format *f = &model->format;
    const uint8_t **records = malloc(count * sizeof *records + 1), **exact = malloc(count * sizeof *exact + 1);
    int64_t *ids = malloc(count * 8 + 1);
    uint64_t *slots = malloc(count * 8 + 1);
    uint8_t *scratch = malloc(count * f->record_stride + 1);
    must(tq_segment_records(segment, rows, count, scratch, records));
    if (f->exact_bytes > 0) must(tq_segment_gather(segment, TQ_PLANE_EXACT, rows, count, exact));
    must(tq_segment_ids(segment, rows, count, ids));
    must(tq_segment_slots(segment, rows, count, slots));
    for (size_t i = 0; i < count; i++) {
        struct tq_row row;
        uint32_t found = 0;
        model_row(model, rows[i], &row);
        assert_memory_equal(records[i], row.record, f->record_stride);
        if (f->exact_bytes > 0) assert_memory_equal(exact[i], row.exact, f->exact_bytes);
        assert_int_equal(ids[i], model_id(model, rows[i]));
        assert_int_equal(slots[i], model_slot(model, rows[i]));
        must(tq_segment_find(segment, slots[i], &found));
        assert_int_equal(found, rows[i]);
        bool gap = i + 1 < count && rows[i + 1] == rows[i] + 1 && model_slot(model, rows[i] + 1) > slots[i] + 1;
        if (gap) assert_int_equal(tq_segment_find(segment, slots[i] + 1, &found), TQ_NOT_FOUND);
    }
    free(scratch);
    free(records);
    free(exact);
    free(ids);
    free(slots);
}

static inline void check_runs(struct tq_segment *segment, enum tq_plane plane, uint32_t blocks) {
    for (uint32_t block = 0; block < blocks;) {
        const void *run, *single;
        uint32_t count = 0;
        must(tq_segment_blocks(segment, plane, block, 7, &run, &count));
        assert_in_range(count, 1, 7);
        must(tq_segment_block(segment, plane, block, &single));
        assert_ptr_equal(run, single);
        block += count;
        assert_true(block <= blocks);
    }
}

static inline void check_segment(struct model *model, struct tq_segment *segment, uint32_t rows) {
    uint32_t blocks = (rows + 127) / 128, step = rows > 4000 ? rows / 2000 : 1, count = 0;
    uint32_t *chosen = malloc((rows + 1) * sizeof *chosen), missing;
    assert_int_equal(tq_segment_row_count(segment), rows);
    assert_int_equal(tq_segment_slot_first(segment), model->slot_first);
    assert_int_equal(tq_segment_slot_end(segment), rows == 0 ? model->slot_first : model_slot(model, rows - 1) + 1);
    for (uint32_t row = 0; row < rows; row += step) chosen[count++] = row;
    if (rows > 0) chosen[count++] = rows - 1;
    check_rows(model, segment, chosen, count);
    for (uint32_t i = 0; i < count / 2; i++) { /* descending too */
        uint32_t swap = chosen[i];
        chosen[i] = chosen[count - 1 - i];
        chosen[count - 1 - i] = swap;
    }
    check_rows(model, segment, chosen, count < 100 ? count : 100);
    free(chosen);
    for (uint32_t block = 0; block < blocks; block += step) check_block(model, segment, block, rows);
    if (blocks > 0) check_block(model, segment, blocks - 1, rows);
    check_runs(segment, TQ_PLANE_FIRST, blocks);
    check_runs(segment, TQ_PLANE_STATS, blocks);
    if (model->format.scan_planes == 2) check_runs(segment, TQ_PLANE_SECOND, blocks);
    assert_int_equal(tq_segment_find(segment, model->slot_first - 1, &missing), TQ_NOT_FOUND);
    assert_int_equal(tq_segment_find(segment, tq_segment_slot_end(segment), &missing), TQ_NOT_FOUND);
    must(tq_segment_check(segment));
}

static inline void open_sealed(struct tq_env *env, const struct tq_format *format, const struct tq_sealed *sealed,
                               struct tq_segment **segment) {
    struct tq_env_reader *reader = NULL;
    must(tq_env_reader_open(env, &reader));
    must(tq_segment_open(env, reader, format, sealed->dir_key, sealed->dir_sum, segment));
    tq_env_reader_close(reader);
}

#endif
