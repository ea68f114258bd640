/* Rows in memory, as the planes of a segment: appended, truncated, shown as a segment. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "storage/builder_parts.h"
#include "storage/packed_record.h"

#define ROOM_FIRST 256u /* rows of the log's builders at first; they grow by doubling */

/* Bytes of a plane for so many rows (whole blocks); 0 where this builder keeps none. */
static size_t plane_bytes(const struct tq_builder *builder, enum tq_plane plane, uint32_t rows) {
    size_t unit = tq_plane_unit_bytes(&builder->format, plane);
    switch (plane) {
    case TQ_PLANE_FIRST:
    case TQ_PLANE_SECOND:
    case TQ_PLANE_STATS: return tq_plane_units(&builder->format, plane, rows) * unit;
    case TQ_PLANE_EXACT: return builder->out.sink == NULL ? rows * unit : 0;
    default: return rows * unit;
    }
}

/* On failure planes may have more memory than `room` says, which does no harm. */
static enum tq_status grow(struct tq_builder *builder, uint32_t room) {
    room = (uint32_t)tq_round_up(room, TQ_BLOCK_ROWS);
    for (int plane = 0; plane < TQ_PLANE_COUNT; plane++) {
        size_t old = plane_bytes(builder, (enum tq_plane)plane, builder->room);
        size_t new = plane_bytes(builder, (enum tq_plane)plane, room);
        void *grown = tq_realloc(builder->planes[plane], old, new);
        if (grown == NULL) return TQ_NOMEM;
        builder->planes[plane] = grown;
    }
    builder->room = room;
    return TQ_OK;
}

enum tq_status tq_builder_open(const struct tq_format *format, uint64_t slot_first, uint32_t capacity,
                               struct tq_builder_sink *sink, struct tq_builder **out) {
    struct tq_builder *builder = tq_alloc_zero(sizeof *builder);
    if (builder == NULL) return TQ_NOMEM;
    builder->format = *format;
    builder->slot_first = builder->slot_next = slot_first;
    builder->capacity = capacity;
    builder->out = (struct tq_out){.sink = sink, .format = &builder->format};
    atomic_store(&builder->memory.whole, true);
    /* Doubling would hold a sealed segment's codes one and a half times: with a sink all address space at once. */
    enum tq_status status = grow(builder, sink != NULL || capacity < ROOM_FIRST ? capacity : ROOM_FIRST);
    builder->record = format->packed ? tq_alloc(format->record_stride) : NULL;
    if (format->packed && builder->record == NULL) status = TQ_NOMEM;
    if (status == TQ_OK)
        *out = builder;
    else
        tq_builder_close(builder);
    return status;
}

static void view_clear(struct tq_segment *view) {
    tq_free(view->chunks);
    tq_free(view->exact);
    view->chunks = NULL;
    view->exact = NULL;
    view->exact_count = view->exact_chunks = 0;
}

void tq_builder_close(struct tq_builder *builder) {
    if (builder == NULL) return;
    view_clear(&builder->view);
    tq_exact_clear(builder);
    tq_out_clear(&builder->out);
    for (int plane = 0; plane < TQ_PLANE_COUNT; plane++) tq_free(builder->planes[plane]);
    tq_free(builder->record);
    tq_free(builder);
}

/* ---- Appending ---- */

/* A packed first error may be far above the true one: that tells no largest cosine. */
static void stats_add(const struct tq_format *format, struct tq_block_stats *stats, const struct tq_row *row) {
    double tangent = (double)tq_f32_from_f16(row->first_error), cosine = 1 / sqrt(1 + tangent * tangent);
    float sine = isinf(tangent) ? INFINITY : (float)(tangent * cosine * (1 + 1e-6));
    if ((float)cosine < stats->cos_min) stats->cos_min = (float)cosine;
    if ((float)cosine > stats->cos_max) stats->cos_max = (float)cosine;
    if (format->packed) stats->cos_max = 1;
    if (sine > stats->sin_max) stats->sin_max = sine;
    if (row->norm < stats->norm_min) stats->norm_min = row->norm;
    if (row->norm > stats->norm_max) stats->norm_max = row->norm;
    stats->second_unknown += row->second.inverse == 0;
}

static void stats_row(struct tq_builder *builder, uint32_t at, const struct tq_row *row) {
    struct tq_block_stats *stats = (struct tq_block_stats *)builder->planes[TQ_PLANE_STATS] + at / TQ_BLOCK_ROWS;
    if (at % TQ_BLOCK_ROWS == 0)
        *stats = (struct tq_block_stats){.cos_min = 1, .norm_min = row->norm, .norm_max = row->norm};
    stats_add(&builder->format, stats, row);
}

static void transpose_block(struct tq_builder *builder, uint32_t block, uint32_t rows) {
    const struct tq_format *format = &builder->format;
    if (format->packed) return; /* it was written lane by lane */
    size_t stride = format->record_stride;
    const uint8_t *records = builder->planes[TQ_PLANE_RECORD] + (size_t)block * TQ_BLOCK_ROWS * stride;
    for (uint32_t plane = 0; plane < format->scan_planes; plane++)
        tq_block_transpose(records + (size_t)plane * format->plane_bytes, stride, rows, format->dim,
                           builder->planes[TQ_PLANE_FIRST + plane] + (size_t)block * format->block_bytes);
}

static struct tq_second_block *second_block(const struct tq_builder *builder, uint32_t row) {
    return (struct tq_second_block *)builder->planes[TQ_PLANE_SECOND_SCALARS] + row / TQ_BLOCK_ROWS;
}

static void put_second(struct tq_builder *builder, uint32_t at, struct tq_second_scalars scalars) {
    struct tq_second_block *block = second_block(builder, at);
    block->inverse[at % TQ_BLOCK_ROWS] = scalars.inverse;
    block->error[at % TQ_BLOCK_ROWS] = scalars.error;
}

static void put_record(struct tq_builder *builder, uint32_t at, const struct tq_row *row) {
    const struct tq_format *format = &builder->format;
    uint8_t *stored = builder->planes[TQ_PLANE_RECORD] + (size_t)at * format->stored_bytes;
    if (!format->packed) {
        memcpy(stored, row->record, format->stored_bytes);
        ((uint16_t *)builder->planes[TQ_PLANE_FIRST_ERROR])[at] = row->first_error;
        return;
    }
    uint8_t *block = builder->planes[TQ_PLANE_FIRST] + (size_t)(at / TQ_BLOCK_ROWS) * format->block_bytes;
    if (at % TQ_BLOCK_ROWS == 0) memset(block, 0, format->block_bytes);
    tq_lane_write(format->dim, row->record, at % TQ_BLOCK_ROWS, block);
    tq_packed_write(format, row->record, stored);
    builder->planes[TQ_PLANE_FIRST_ERROR][at] = tq_first_error_pack(row->first_error);
}

static void put_codes(struct tq_builder *builder, int64_t id, uint64_t slot, const struct tq_row *row) {
    uint32_t at = builder->rows;
    put_record(builder, at, row);
    if (builder->format.scan_planes == 2) put_second(builder, at, row->second);
    ((float *)builder->planes[TQ_PLANE_NORM])[at] = row->norm;
    ((int64_t *)builder->planes[TQ_PLANE_ID])[at] = id;
    ((uint32_t *)builder->planes[TQ_PLANE_SLOT])[at] = (uint32_t)(slot - builder->slot_first);
    stats_row(builder, at, row);
    builder->rows++;
    builder->slot_next = slot + 1;
    builder->stale = builder->rows % TQ_BLOCK_ROWS != 0;
    if (!builder->stale) transpose_block(builder, at / TQ_BLOCK_ROWS, TQ_BLOCK_ROWS);
}

static enum tq_status check_append(const struct tq_builder *builder, uint64_t slot) {
    if (builder->rows >= builder->capacity)
        return tq_fail(TQ_MISUSE, "a builder for %u rows is full", builder->capacity);
    if (slot < builder->slot_next || slot - builder->slot_first >= UINT32_MAX)
        return tq_fail(TQ_MISUSE, "slot %llu does not follow %llu in a segment from %llu", (unsigned long long)slot,
                       (unsigned long long)builder->slot_next, (unsigned long long)builder->slot_first);
    return TQ_OK;
}

enum tq_status tq_builder_append(struct tq_builder *builder, int64_t id, uint64_t slot, const struct tq_row *row) {
    uint32_t exact_bytes = builder->format.exact_bytes;
    TQ_TRY(check_append(builder, slot));
    if (builder->rows == builder->room)
        TQ_TRY(grow(builder, builder->room > builder->capacity / 2 ? builder->capacity : 2 * builder->room));
    if (exact_bytes > 0 && builder->out.sink == NULL) {
        if (row->exact == NULL)
            return tq_fail(TQ_MISUSE, "slot %llu comes without its exact row", (unsigned long long)slot);
        memcpy(builder->planes[TQ_PLANE_EXACT] + (size_t)builder->rows * exact_bytes, row->exact, exact_bytes);
    } else if (exact_bytes > 0 && row->exact != NULL) {
        TQ_TRY(tq_exact_append(builder, slot, row->exact));
    }
    put_codes(builder, id, slot, row);
    return TQ_OK;
}

/* Rows are copied by the run, so the kernel's readahead is welcome (ask = false). */
enum tq_status tq_segment_codes(struct tq_segment *segment, uint32_t row, uint8_t *scratch, struct tq_row *codes) {
    const struct tq_format *format = &segment->format;
    struct tq_row copy = {.exact = NULL};
    const uint8_t *bytes = NULL;
    struct tq_record_tail tail;
    TQ_TRY(tq_segment_unit(segment, TQ_PLANE_FIRST_ERROR, row, false, &bytes));
    copy.first_error = tq_first_error_at(format, bytes, 0);
    if (format->scan_planes == 2) {
        TQ_TRY(tq_segment_unit(segment, TQ_PLANE_SECOND_SCALARS, row / TQ_BLOCK_ROWS, false, &bytes));
        const struct tq_second_block *block = (const void *)bytes;
        copy.second = tq_second_of(block, row % TQ_BLOCK_ROWS);
    }
    if (format->packed)
        TQ_TRY(tq_segment_records(segment, &row, 1, scratch, &copy.record));
    else
        TQ_TRY(tq_segment_unit(segment, TQ_PLANE_RECORD, row, false, &copy.record));
    memcpy(&tail, copy.record + format->record_bytes - sizeof tail, sizeof tail);
    copy.norm = tail.norm;
    *codes = copy;
    return TQ_OK;
}

enum tq_status tq_builder_copy(struct tq_builder *builder, struct tq_segment *segment, uint32_t row, bool with_exact) {
    struct tq_row copy;
    const uint8_t *exact = NULL;
    uint64_t slot = 0;
    int64_t id = 0;
    TQ_ASSERT(row < segment->rows && segment->format.record_stride == builder->format.record_stride);
    TQ_TRY(tq_segment_slots(segment, &row, 1, &slot));
    TQ_TRY(tq_segment_ids(segment, &row, 1, &id));
    TQ_TRY(tq_segment_codes(segment, row, builder->record, &copy));
    if (with_exact && segment->format.exact_bytes > 0) {
        if (segment->exact_by_row)
            TQ_TRY(tq_segment_unit(segment, TQ_PLANE_EXACT, row, false, &exact));
        else
            TQ_TRY(tq_segment_exact_unit(segment, slot, false, &exact));
        copy.exact = exact;
    }
    return tq_builder_append(builder, id, slot, &copy);
}

uint32_t tq_builder_row_count(const struct tq_builder *builder) { return builder->rows; }

static struct tq_second_scalars second_of_row(const struct tq_builder *builder, uint32_t row) {
    if (builder->format.scan_planes < 2) return (struct tq_second_scalars){0, 0};
    return tq_second_of(second_block(builder, row), row % TQ_BLOCK_ROWS);
}

void tq_builder_truncate(struct tq_builder *builder, uint32_t row_count) {
    if (row_count >= builder->rows) return;
    const struct tq_format *format = &builder->format;
    const uint32_t *slots = (const uint32_t *)builder->planes[TQ_PLANE_SLOT];
    builder->rows = row_count;
    builder->slot_next = builder->slot_first + (row_count == 0 ? 0 : (uint64_t)slots[row_count - 1] + 1);
    builder->stale = row_count % TQ_BLOCK_ROWS != 0;
    for (uint32_t row = row_count - row_count % TQ_BLOCK_ROWS; row < row_count; row++) {
        struct tq_row kept = {.first_error = tq_first_error_at(format, builder->planes[TQ_PLANE_FIRST_ERROR], row),
                              .second = second_of_row(builder, row),
                              .norm = ((const float *)builder->planes[TQ_PLANE_NORM])[row]};
        stats_row(builder, row, &kept);
    }
    if (builder->out.sink != NULL) tq_exact_truncate(builder, builder->slot_next);
}

/* ---- The rows so far as a segment ---- */

void tq_builder_close_block(struct tq_builder *builder) {
    if (!builder->stale) return;
    uint32_t block = builder->rows / TQ_BLOCK_ROWS, rows = builder->rows % TQ_BLOCK_ROWS;
    transpose_block(builder, block, rows);
    if (builder->format.packed)
        tq_lanes_clear(builder->format.dim, rows,
                       builder->planes[TQ_PLANE_FIRST] + (size_t)block * builder->format.block_bytes);
    for (int plane = 0; plane < TQ_PLANE_EXACT; plane++) {
        if (tq_plane_grain((enum tq_plane)plane) == 1) continue;
        size_t unit = tq_plane_unit_bytes(&builder->format, (enum tq_plane)plane);
        memset(builder->planes[plane] + builder->rows * unit, 0, (TQ_BLOCK_ROWS - rows) * unit);
    }
    for (uint32_t lane = rows; lane < TQ_BLOCK_ROWS && builder->format.scan_planes == 2; lane++)
        put_second(builder, block * TQ_BLOCK_ROWS + lane, (struct tq_second_scalars){0, 0});
    builder->stale = false;
}

static void view_plane(struct tq_builder *builder, enum tq_plane plane, uint32_t units) {
    if (units == 0) {
        builder->view.planes[plane].count = 0;
        return;
    }
    builder->view_pieces[plane] = (struct tq_piece){
        .units = units, .base = builder->planes[plane], .chunk = &builder->memory};
    builder->view.planes[plane] = (struct tq_plane_map){
        .pieces = &builder->view_pieces[plane], .count = 1, .unit_bytes = tq_plane_unit_bytes(&builder->format, plane)};
}

static void view_exact_piece(struct tq_segment *view, const struct tq_directory_exact *from, uint32_t chunk_base) {
    struct tq_chunk *chunk = &view->chunks[from->chunk + chunk_base];
    view->exact[view->exact_count++] = (struct tq_exact_piece){.slot_first = from->slot_first,
                                                               .slots = from->slots,
                                                               .offset = from->offset,
                                                               .base = chunk->value + TQ_CHUNK_HEAD + from->offset,
                                                               .chunk = chunk};
}

/* Chunks that have left are looked up again; those in memory are read where they are. */
static enum tq_status view_chunk(struct tq_builder *builder, struct tq_env_reader *reader,
                                 const struct tq_exact_chunk *from, struct tq_chunk *chunk) {
    const void *value = tq_out_waiting(&builder->out, from->key);
    size_t size = 0;
    atomic_store(&chunk->whole, value != NULL);
    if (value == NULL) {
        TQ_TRY(tq_env_get(reader, from->key, &value, &size));
        if (size != tq_chunk_value_bytes(&builder->format)) return tq_fail(TQ_CORRUPT, "chunk of %zu bytes", size);
    }
    chunk->value = value;
    chunk->key = from->key;
    chunk->sum = from->sum;
    chunk->pages = tq_chunk_pages(&builder->format);
    return TQ_OK;
}

/* With a sink: exact rows lie in the open image, in those that wait, in LMDB, and in adopted chunks. */
static enum tq_status view_exact(struct tq_builder *builder, struct tq_env_reader *reader) {
    const struct tq_exact_list *own = &builder->exact.own, *adopted = &builder->exact.adopted;
    struct tq_segment *view = &builder->view;
    uint32_t open = builder->exact.image != NULL ? 1 : 0, chunks = own->chunk_count + open;
    view->exact_chunks = chunks + adopted->chunk_count;
    view->chunks = tq_alloc_zero(view->exact_chunks * sizeof *view->chunks);
    view->exact = tq_alloc_array(own->piece_count + adopted->piece_count, sizeof *view->exact);
    if (view->chunks == NULL || view->exact == NULL) return TQ_NOMEM;
    for (uint32_t i = 0; i < own->chunk_count; i++)
        TQ_TRY(view_chunk(builder, reader, &own->chunks[i], &view->chunks[i]));
    for (uint32_t i = 0; i < adopted->chunk_count; i++)
        TQ_TRY(view_chunk(builder, reader, &adopted->chunks[i], &view->chunks[chunks + i]));
    if (open) {
        view->chunks[own->chunk_count].value = builder->exact.image;
        atomic_store(&view->chunks[own->chunk_count].whole, true);
    }
    uint32_t a = 0, b = 0;
    while (a < own->piece_count || b < adopted->piece_count) {
        bool take_own = b == adopted->piece_count ||
                        (a < own->piece_count && own->pieces[a].slot_first < adopted->pieces[b].slot_first);
        if (take_own)
            view_exact_piece(view, &own->pieces[a++], 0);
        else
            view_exact_piece(view, &adopted->pieces[b++], chunks);
    }
    return TQ_OK;
}

static enum tq_status view_sink(struct tq_builder *builder) {
    struct tq_env_reader *reader = NULL;
    view_clear(&builder->view);
    TQ_TRY(tq_env_reader_open(builder->out.sink->env, &reader));
    enum tq_status status = view_exact(builder, reader);
    tq_env_reader_close(reader);
    if (status != TQ_OK) view_clear(&builder->view);
    return status;
}

struct tq_segment *tq_builder_segment(struct tq_builder *builder) {
    struct tq_segment *view = &builder->view;
    tq_builder_close_block(builder);
    view->format = builder->format;
    view->slot_first = builder->slot_first;
    view->slot_end = builder->slot_next;
    view->rows = builder->rows;
    view->blocks = (builder->rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS;
    for (int plane = 0; plane < TQ_PLANE_EXACT; plane++)
        view_plane(builder, (enum tq_plane)plane,
                   tq_plane_units(&builder->format, (enum tq_plane)plane, builder->rows));
    bool exact = builder->format.exact_bytes > 0;
    view->exact_by_row = exact && builder->out.sink == NULL;
    if (view->exact_by_row) view_plane(builder, TQ_PLANE_EXACT, builder->rows);
    if (exact && !view->exact_by_row && view_sink(builder) != TQ_OK) return NULL;
    return view;
}
