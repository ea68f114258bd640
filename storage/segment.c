/* Sealed segments: opened from their directory, shared by the process, verified page by page as they are read.
 * Reading functions are in segment_read.c. */
#include "storage/segment.h"

#include "src/base/alloc.h"
#include "storage/segment_parts.h"

#define CODE_BYTES_MAX (32u << 20) /* of a segment: bounds a builder's memory and a merge's work */
#define ROWS_MAX 65280u            /* 510 blocks: planes of the usual strides then fill chunks without a rest */
#define FLUSH_ROWS_MAX 8192u       /* small dimensions: the log is searched row by row and read at every open */
#define FLUSH_ROWS_MAX_CODES 4096u
#define FLUSH_ROWS_MIN 64u

/* ---- Geometry ---- */

static uint64_t code_bytes_block(const struct tq_format *format) {
    uint64_t bytes = 0;
    for (int plane = 0; plane < TQ_PLANE_ID; plane++)
        bytes += (uint64_t)tq_plane_units(format, (enum tq_plane)plane, TQ_BLOCK_ROWS) *
                 tq_plane_unit_bytes(format, (enum tq_plane)plane);
    return bytes;
}

uint32_t tq_segment_rows_max(const struct tq_format *format) {
    uint32_t blocks = ROWS_MAX / TQ_BLOCK_ROWS;
    while (blocks > 1 && blocks * code_bytes_block(format) > CODE_BYTES_MAX) blocks /= 2;
    return blocks * TQ_BLOCK_ROWS;
}

uint32_t tq_segment_flush_rows(const struct tq_format *format) {
    uint64_t rows = 0;
    if (format->exact_bytes > 0) {
        uint32_t chunk = tq_plane_units_chunk(format, TQ_PLANE_EXACT);
        rows = (uint64_t)chunk * ((FLUSH_ROWS_MIN + chunk - 1) / chunk);
        if (rows > FLUSH_ROWS_MAX) rows = FLUSH_ROWS_MAX;
    } else {
        rows = TQ_BLOCK_ROWS * (tq_chunk_payload_bytes(format) / code_bytes_block(format));
        if (rows > FLUSH_ROWS_MAX_CODES) rows = FLUSH_ROWS_MAX_CODES;
        if (rows < FLUSH_ROWS_MIN) rows = FLUSH_ROWS_MIN;
    }
    uint32_t most = tq_segment_rows_max(format);
    return rows < most ? (uint32_t)rows : most;
}

/* ---- Opening ---- */

static void segment_free(struct tq_segment *segment) {
    tq_free(segment->chunks);
    tq_free(segment->pieces);
    tq_free(segment->exact);
    tq_free(segment);
}

/* Look all chunks up: no page of theirs is touched, and their addresses are good as long as they live. */
static enum tq_status map_chunks(struct tq_segment *segment, struct tq_env_reader *reader,
                                 const struct tq_directory *directory) {
    uint32_t count = segment->code_chunks + segment->exact_chunks;
    for (uint32_t i = 0; i < count; i++) {
        struct tq_chunk *chunk = &segment->chunks[i];
        const void *value = NULL;
        size_t size = 0;
        chunk->key = directory->chunks[i].key;
        chunk->sum = directory->chunks[i].sum;
        chunk->pages = tq_chunk_pages(&segment->format);
        TQ_TRY(tq_env_get(reader, chunk->key, &value, &size));
        if (size != tq_chunk_value_bytes(&segment->format))
            return tq_fail(TQ_CORRUPT, "chunk %llu of index %u has %zu bytes; %u expected",
                           (unsigned long long)(chunk->key & 0xffffffffffull), (unsigned)(chunk->key >> 40), size,
                           tq_chunk_value_bytes(&segment->format));
        if (((uintptr_t)value + TQ_CHUNK_HEAD) % TQ_CHUNK_PAGE != 0)
            return tq_fail(TQ_UNSUPPORTED, "this LMDB lays values out otherwise: payload not on a page boundary");
        chunk->value = value;
    }
    return TQ_OK;
}

static void map_pieces(struct tq_segment *segment, const struct tq_directory *directory) {
    for (uint32_t i = 0; i < directory->head.pieces; i++) {
        const struct tq_directory_piece *from = &directory->pieces[i];
        if (from->plane >= TQ_PLANE_EXACT) break; /* optional planes come last */
        struct tq_plane_map *plane = &segment->planes[from->plane];
        struct tq_chunk *chunk = &segment->chunks[from->chunk];
        segment->pieces[i] = (struct tq_piece){.first = from->first,
                                               .units = from->units,
                                               .base = chunk->value + TQ_CHUNK_HEAD + from->offset,
                                               .chunk = chunk,
                                               .offset = from->offset};
        if (plane->count++ == 0) {
            plane->pieces = &segment->pieces[i];
            plane->unit_bytes = tq_plane_unit_bytes(&segment->format, (enum tq_plane)from->plane);
            plane->reciprocal = tq_reciprocal(from->units);
        }
    }
    for (uint32_t i = 0; i < directory->head.exact_pieces; i++) {
        const struct tq_directory_exact *from = &directory->exact[i];
        struct tq_chunk *chunk = &segment->chunks[segment->code_chunks + from->chunk];
        segment->exact[i] = (struct tq_exact_piece){.slot_first = from->slot_first,
                                                    .slots = from->slots,
                                                    .offset = from->offset,
                                                    .base = chunk->value + TQ_CHUNK_HEAD + from->offset,
                                                    .chunk = chunk};
    }
}

static enum tq_status segment_fill(struct tq_segment *segment, struct tq_env_reader *reader,
                                   const struct tq_directory *directory) {
    const struct tq_directory_head *head = &directory->head;
    segment->slot_first = head->slot_first;
    segment->slot_end = head->slot_end;
    segment->rows = head->rows;
    segment->blocks = (head->rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS;
    segment->id_constant = (head->flags & TQ_DIRECTORY_ID_CONSTANT) != 0;
    segment->slots_dense = (head->flags & TQ_DIRECTORY_SLOTS_DENSE) != 0;
    segment->id_offset = head->id_constant;
    segment->code_chunks = head->code_chunks;
    segment->exact_chunks = head->exact_chunks;
    segment->exact_count = head->exact_pieces;
    size_t chunks = (size_t)head->code_chunks + head->exact_chunks;
    segment->chunks = tq_alloc_zero(chunks * sizeof *segment->chunks);
    segment->pieces = tq_alloc_array(head->pieces, sizeof *segment->pieces);
    segment->exact = tq_alloc_array(head->exact_pieces, sizeof *segment->exact);
    if (segment->chunks == NULL || segment->pieces == NULL || segment->exact == NULL) return TQ_NOMEM;
    TQ_TRY(map_chunks(segment, reader, directory));
    map_pieces(segment, directory);
    return TQ_OK;
}

static enum tq_status segment_new(struct tq_env *env, struct tq_env_reader *reader, const struct tq_format *format,
                                  uint64_t dir_key, uint64_t dir_sum, struct tq_segment **out) {
    struct tq_directory directory;
    const void *value = NULL;
    size_t size = 0;
    TQ_TRY(tq_env_get(reader, dir_key, &value, &size));
    TQ_TRY(tq_directory_decode(value, size, dir_sum, tq_env_uuid(env), (uint32_t)(dir_key >> 40), format, &directory));
    struct tq_segment *segment = tq_alloc_zero(sizeof *segment);
    enum tq_status status = TQ_NOMEM;
    if (segment != NULL) {
        segment->format = *format;
        segment->env = env;
        segment->refs = 1;
        segment->dir_key = dir_key;
        segment->dir_sum = dir_sum;
        status = segment_fill(segment, reader, &directory);
    }
    tq_directory_clear(&directory);
    if (status == TQ_OK)
        *out = segment;
    else if (segment != NULL)
        segment_free(segment);
    return status;
}

enum tq_status tq_segment_open(struct tq_env *env, struct tq_env_reader *reader, const struct tq_format *format,
                               uint64_t dir_key, uint64_t dir_sum, struct tq_segment **out) {
    struct tq_segment **bucket = (struct tq_segment **)tq_env_shared_lock(env, dir_key);
    struct tq_segment *segment = *bucket;
    enum tq_status status = TQ_OK;
    while (segment != NULL && (segment->dir_key != dir_key || segment->dir_sum != dir_sum)) segment = segment->next;
    if (segment != NULL) {
        segment->refs++;
    } else {
        status = segment_new(env, reader, format, dir_key, dir_sum, &segment);
        if (status == TQ_OK) {
            segment->next = *bucket;
            *bucket = segment;
            tq_env_retain(env); /* the map must stay as long as a segment points into it */
        }
    }
    tq_env_shared_unlock(env);
    if (status == TQ_OK) *out = segment;
    return status;
}

void tq_segment_close(struct tq_segment *segment) {
    if (segment == NULL || segment->env == NULL) return; /* a builder's belongs to the builder */
    struct tq_env *env = segment->env;
    struct tq_segment **link = (struct tq_segment **)tq_env_shared_lock(env, segment->dir_key);
    bool last = --segment->refs == 0;
    if (last) {
        while (*link != segment) link = &(*link)->next;
        *link = segment->next;
    }
    tq_env_shared_unlock(env);
    if (!last) return;
    segment_free(segment);
    tq_env_close(env);
}

/* ---- What it is ---- */

uint32_t tq_segment_row_count(const struct tq_segment *segment) { return segment->rows; }
uint64_t tq_segment_slot_first(const struct tq_segment *segment) { return segment->slot_first; }
uint64_t tq_segment_slot_end(const struct tq_segment *segment) { return segment->slot_end; }

uint64_t tq_segment_code_bytes(const struct tq_segment *segment) {
    uint64_t bytes = 0;
    for (int plane = 0; plane < TQ_PLANE_EXACT; plane++)
        for (uint32_t i = 0; i < segment->planes[plane].count; i++)
            bytes += (uint64_t)segment->planes[plane].pieces[i].units * segment->planes[plane].unit_bytes;
    return bytes;
}

uint64_t tq_segment_exact_bytes(const struct tq_segment *segment) {
    uint64_t slots = segment->exact_by_row ? segment->rows : 0;
    for (uint32_t i = 0; i < segment->exact_count; i++) slots += segment->exact[i].slots;
    return slots * segment->format.exact_bytes;
}

size_t tq_segment_keys(const struct tq_segment *segment, uint64_t *code_keys, size_t code_capacity,
                       uint64_t *exact_keys, size_t exact_capacity, size_t *exact_count) {
    if (segment->env == NULL) { /* in memory */
        *exact_count = 0;
        return 0;
    }
    for (uint32_t i = 0; i < segment->code_chunks && i < code_capacity; i++) code_keys[i] = segment->chunks[i].key;
    if (segment->code_chunks < code_capacity) code_keys[segment->code_chunks] = segment->dir_key;
    for (uint32_t i = 0; i < segment->exact_chunks && i < exact_capacity; i++)
        exact_keys[i] = segment->chunks[segment->code_chunks + i].key;
    *exact_count = segment->exact_chunks;
    return (size_t)segment->code_chunks + 1;
}
