/* Reading segments. Everything handed out lies in pages that were verified in this process. */
#include "src/base/stop.h"
#include "storage/packed_record.h"
#include "storage/platform.h"
#include "storage/segment_parts.h"

static enum tq_status corrupt_slot(const struct tq_segment *segment, uint64_t slot) {
    return tq_fail(TQ_CORRUPT, "segment of slots %llu to %llu: slot %llu has no exact row",
                   (unsigned long long)segment->slot_first, (unsigned long long)segment->slot_end,
                   (unsigned long long)slot);
}

/* Bytes `offset` to `offset + size` of a payload. */
static enum tq_status verify_range(struct tq_chunk *chunk, size_t offset, size_t size, bool ask) {
    uint32_t first = (uint32_t)(offset / TQ_CHUNK_PAGE), last = (uint32_t)((offset + size - 1) / TQ_CHUNK_PAGE);
    if (tq_chunk_ready(chunk, first, last)) return TQ_OK;
    if (ask) tq_chunk_willneed(chunk, first, last);
    return tq_chunk_verify(chunk, first, last);
}

static bool range_ready(const struct tq_chunk *chunk, size_t offset, size_t size) {
    return tq_chunk_ready(chunk, (uint32_t)(offset / TQ_CHUNK_PAGE), (uint32_t)((offset + size - 1) / TQ_CHUNK_PAGE));
}

/* Only behind range_ready() == false: in memory, where offsets may pass 32 bits, everything is ready. */
static void willneed_range(const struct tq_chunk *chunk, size_t offset, size_t size) {
    tq_chunk_willneed(chunk, (uint32_t)(offset / TQ_CHUNK_PAGE), (uint32_t)((offset + size - 1) / TQ_CHUNK_PAGE));
}

/* ---- Blocks ---- */

enum tq_status tq_segment_block(struct tq_segment *segment, enum tq_plane plane, uint32_t block, const void **units) {
    const struct tq_plane_map *map = &segment->planes[plane];
    TQ_ASSERT((plane <= TQ_PLANE_STATS || plane == TQ_PLANE_ID) && block < segment->blocks && map->count > 0);
    uint32_t rows = tq_plane_grain(plane); /* units of a block */
    const struct tq_piece *piece = tq_plane_find(map, block * rows);
    size_t from = (size_t)(block * rows - piece->first) * map->unit_bytes;
    TQ_TRY(verify_range(piece->chunk, piece->offset + from, rows * map->unit_bytes, false));
    *units = piece->base + from;
    return TQ_OK;
}

enum tq_status tq_segment_blocks(struct tq_segment *segment, enum tq_plane plane, uint32_t block, uint32_t wanted,
                                 const void **units, uint32_t *count) {
    const struct tq_plane_map *map = &segment->planes[plane];
    TQ_ASSERT(tq_plane_grain(plane) == 1 && plane <= TQ_PLANE_STATS);
    TQ_ASSERT(block < segment->blocks && map->count > 0 && wanted > 0);
    const struct tq_piece *piece = tq_plane_find(map, block);
    uint32_t at = block - piece->first;
    uint32_t run = wanted < piece->units - at ? wanted : piece->units - at;
    size_t from = (size_t)at * map->unit_bytes;
    TQ_TRY(verify_range(piece->chunk, piece->offset + from, (size_t)run * map->unit_bytes, false));
    *units = piece->base + from;
    *count = run;
    return TQ_OK;
}

/* ---- Single units ---- */

enum tq_status tq_segment_unit(struct tq_segment *segment, enum tq_plane plane, uint32_t unit, bool ask,
                               const uint8_t **bytes) {
    const struct tq_plane_map *map = &segment->planes[plane];
    const struct tq_piece *piece = tq_plane_find(map, unit);
    size_t from = (size_t)(unit - piece->first) * map->unit_bytes;
    TQ_TRY(verify_range(piece->chunk, piece->offset + from, map->unit_bytes, ask));
    *bytes = piece->base + from;
    return TQ_OK;
}

enum tq_status tq_segment_slot_of(struct tq_segment *segment, uint32_t row, uint32_t *offset) {
    const uint8_t *bytes = NULL;
    if (segment->slots_dense) {
        *offset = row;
        return TQ_OK;
    }
    TQ_TRY(tq_segment_unit(segment, TQ_PLANE_SLOT, row, false, &bytes));
    memcpy(offset, bytes, sizeof *offset);
    return TQ_OK;
}

/* The piece of exact rows that holds a slot; `hint` is tried first. NULL: none does. */
static const struct tq_exact_piece *exact_find(const struct tq_segment *segment, uint64_t slot,
                                               const struct tq_exact_piece *hint) {
    if (hint != NULL && slot - hint->slot_first < hint->slots) return hint;
    uint32_t low = 0, high = segment->exact_count;
    while (low < high) { /* the first piece that ends behind the slot */
        uint32_t mid = low + (high - low) / 2;
        const struct tq_exact_piece *piece = &segment->exact[mid];
        if (piece->slot_first + piece->slots <= slot)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == segment->exact_count || slot < segment->exact[low].slot_first) return NULL;
    return &segment->exact[low];
}

enum tq_status tq_segment_exact_unit(struct tq_segment *segment, uint64_t slot, bool ask, const uint8_t **bytes) {
    uint32_t size = segment->format.exact_bytes;
    const struct tq_exact_piece *piece = exact_find(segment, slot, NULL);
    if (piece == NULL) return corrupt_slot(segment, slot);
    size_t from = (size_t)(slot - piece->slot_first) * size;
    TQ_TRY(verify_range(piece->chunk, piece->offset + from, size, ask));
    *bytes = piece->base + from;
    return TQ_OK;
}

/* ---- Gathering: the batch is asked from disk as a whole, then verified ---- */

struct place {
    struct tq_chunk *chunk;
    size_t offset;
};

/* Where a row's unit of an ordinary plane lies; `hint` holds the piece of the row before. */
static const uint8_t *locate(const struct tq_plane_map *map, uint32_t row, const struct tq_piece **hint,
                             struct place *place) {
    const struct tq_piece *piece = *hint;
    if (piece == NULL || row - piece->first >= piece->units) *hint = piece = tq_plane_find(map, row);
    size_t from = (size_t)(row - piece->first) * map->unit_bytes;
    *place = (struct place){piece->chunk, piece->offset + from};
    return piece->base + from;
}

/* First touch: ask for all missing pages, so that the disk sees them together, then verify. */
static enum tq_status gather_missing(const struct tq_plane_map *map, const uint32_t *rows, size_t count) {
    const struct tq_piece *hint = NULL;
    struct place place;
    for (size_t i = 0; i < count; i++) {
        (void)locate(map, rows[i], &hint, &place);
        if (!range_ready(place.chunk, place.offset, map->unit_bytes))
            willneed_range(place.chunk, place.offset, map->unit_bytes);
    }
    for (size_t i = 0; i < count; i++) {
        (void)locate(map, rows[i], &hint, &place);
        TQ_TRY(verify_range(place.chunk, place.offset, map->unit_bytes, false));
    }
    return TQ_OK;
}

static enum tq_status gather_plane(const struct tq_plane_map *map, const uint32_t *rows, size_t count,
                                   const uint8_t **units) {
    const struct tq_piece *hint = NULL;
    struct place place;
    bool ready = true;
    for (size_t i = 0; i < count; i++) {
        units[i] = locate(map, rows[i], &hint, &place);
        ready &= range_ready(place.chunk, place.offset, map->unit_bytes);
    }
    return ready ? TQ_OK : gather_missing(map, rows, count);
}

/* As gather_plane, by slots. First pass: pointers and advice; second pass, only if a page was missing: verify. */
static enum tq_status gather_exact(struct tq_segment *segment, const uint32_t *rows, size_t count,
                                   const uint8_t **units) {
    const struct tq_exact_piece *piece = NULL;
    uint32_t size = segment->format.exact_bytes, slot = 0;
    bool ready = true;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            TQ_TRY(tq_segment_slot_of(segment, rows[i], &slot));
            piece = exact_find(segment, segment->slot_first + slot, piece);
            if (piece == NULL) return corrupt_slot(segment, segment->slot_first + slot);
            size_t from = (size_t)(segment->slot_first + slot - piece->slot_first) * size;
            size_t offset = piece->offset + from;
            units[i] = piece->base + from;
            if (range_ready(piece->chunk, offset, size)) continue;
            ready = false;
            if (pass == 0)
                willneed_range(piece->chunk, offset, size);
            else
                TQ_TRY(verify_range(piece->chunk, offset, size, false));
        }
        if (ready) break;
    }
    return TQ_OK;
}

enum tq_status tq_segment_gather(struct tq_segment *segment, enum tq_plane plane, const uint32_t *rows, size_t count,
                                 const uint8_t **units) {
    TQ_ASSERT(plane == TQ_PLANE_RECORD || (plane == TQ_PLANE_EXACT && segment->format.exact_bytes > 0));
    if (plane == TQ_PLANE_EXACT && !segment->exact_by_row) return gather_exact(segment, rows, count, units);
    return gather_plane(&segment->planes[plane], rows, count, units);
}

enum { AHEAD_ROWS = 12, AHEAD_BLOCK_BYTES = 8192 };

/* A row soon to be read, and its block if that is another one. Where the block lies is a guess: in the same piece. */
static void fetch_ahead(const struct tq_format *format, const uint8_t *stored, uintptr_t block, bool other) {
    for (size_t at = 0; at < format->stored_bytes; at += 64) __builtin_prefetch(stored + at);
    __builtin_prefetch(stored + format->stored_bytes - 1);
    if (!other || format->block_bytes > AHEAD_BLOCK_BYTES) return;
    for (size_t at = 0; at < format->block_bytes; at += 64) __builtin_prefetch((const void *)(block + at));
}

/* records: the stored ones, which become whole. */
static enum tq_status assemble(struct tq_segment *segment, const uint32_t *rows, size_t count, uint8_t *scratch,
                               const uint8_t **records) {
    const struct tq_format *format = &segment->format;
    const void *first = NULL, *norms = NULL;
    uint32_t block = UINT32_MAX;
    for (size_t i = 0; i < count; i++, scratch += format->record_stride) {
        if (rows[i] / TQ_BLOCK_ROWS != block) {
            block = rows[i] / TQ_BLOCK_ROWS;
            TQ_TRY(tq_segment_block(segment, TQ_PLANE_FIRST, block, &first));
            if (format->norms) TQ_TRY(tq_segment_block(segment, TQ_PLANE_NORM, block, &norms));
        }
        if (i + AHEAD_ROWS < count) {
            uint32_t ahead = rows[i + AHEAD_ROWS] / TQ_BLOCK_ROWS, before = rows[i + AHEAD_ROWS - 1] / TQ_BLOCK_ROWS;
            uintptr_t at = (uintptr_t)first + ((uintptr_t)ahead - block) * format->block_bytes;
            fetch_ahead(format, records[i + AHEAD_ROWS], at, ahead != before);
        }
        uint32_t lane = rows[i] % TQ_BLOCK_ROWS;
        tq_packed_read(format, records[i], first, lane, norms == NULL ? 0.0f : ((const float *)norms)[lane], scratch);
        records[i] = scratch;
    }
    return TQ_OK;
}

enum tq_status tq_segment_records(struct tq_segment *segment, const uint32_t *rows, size_t count, uint8_t *scratch,
                                  const uint8_t **records) {
    TQ_TRY(gather_plane(&segment->planes[TQ_PLANE_RECORD], rows, count, records));
    return segment->format.packed ? assemble(segment, rows, count, scratch, records) : TQ_OK;
}

/* ---- Rows, slots and ids ---- */

enum tq_status tq_segment_slots(struct tq_segment *segment, const uint32_t *rows, size_t count, uint64_t *slots) {
    uint32_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        TQ_ASSERT(rows[i] < segment->rows);
        TQ_TRY(tq_segment_slot_of(segment, rows[i], &offset));
        slots[i] = segment->slot_first + offset;
    }
    return TQ_OK;
}

enum tq_status tq_segment_ids(struct tq_segment *segment, const uint32_t *rows, size_t count, int64_t *ids) {
    uint32_t offset = 0;
    const uint8_t *bytes = NULL;
    for (size_t i = 0; i < count; i++) {
        TQ_ASSERT(rows[i] < segment->rows);
        if (segment->id_constant) {
            TQ_TRY(tq_segment_slot_of(segment, rows[i], &offset));
            ids[i] = (int64_t)(segment->slot_first + offset + (uint64_t)segment->id_offset);
        } else {
            TQ_TRY(tq_segment_unit(segment, TQ_PLANE_ID, rows[i], false, &bytes));
            memcpy(&ids[i], bytes, sizeof ids[i]);
        }
    }
    return TQ_OK;
}

enum tq_status tq_segment_block_ids(struct tq_segment *segment, uint32_t block, int64_t *room, const int64_t **ids) {
    uint32_t first = block * TQ_BLOCK_ROWS, left = segment->rows - first, rows[TQ_BLOCK_ROWS];
    uint32_t count = left < TQ_BLOCK_ROWS ? left : TQ_BLOCK_ROWS;
    *ids = room;
    if (!segment->id_constant) {
        const void *units = NULL;
        TQ_TRY(tq_segment_block(segment, TQ_PLANE_ID, block, &units));
        *ids = units;
        return TQ_OK;
    }
    for (uint32_t i = 0; i < count; i++) rows[i] = first + i;
    return tq_segment_ids(segment, rows, count, room);
}

bool tq_segment_ids_ascend(const struct tq_segment *segment, int64_t *first) {
    *first = (int64_t)(segment->slot_first + (uint64_t)segment->id_offset);
    return segment->id_constant && segment->slots_dense;
}

void tq_segment_identity(const struct tq_segment *segment, uint64_t identity[2]) {
    identity[0] = segment->dir_key;
    identity[1] = segment->dir_sum;
}

const uint8_t *tq_segment_uuid(const struct tq_segment *segment) {
    return segment->env == NULL ? NULL : tq_env_uuid(segment->env);
}

enum tq_status tq_segment_find(struct tq_segment *segment, uint64_t slot, uint32_t *row) {
    uint64_t wanted = slot - segment->slot_first;
    uint32_t low = 0, high = segment->rows, offset = 0;
    bool outside = slot < segment->slot_first || slot >= segment->slot_end;
    if (!outside && segment->slots_dense) {
        *row = (uint32_t)wanted;
        return TQ_OK;
    }
    while (!outside && low < high) {
        uint32_t mid = low + (high - low) / 2;
        TQ_TRY(tq_segment_slot_of(segment, mid, &offset));
        if (offset == wanted) {
            *row = mid;
            return TQ_OK;
        }
        if (offset < wanted)
            low = mid + 1;
        else
            high = mid;
    }
    return tq_fail(TQ_NOT_FOUND, "slot %llu is not in this segment", (unsigned long long)slot);
}

/* ---- All of it ---- */

uint32_t tq_segment_code_chunks(const struct tq_segment *segment) {
    return segment->env == NULL ? 0 : segment->code_chunks;
}

enum tq_status tq_segment_load(struct tq_segment *segment, uint32_t at) {
    struct tq_chunk *chunk = &segment->chunks[at];
    if (tq_chunk_ready(chunk, 0, chunk->pages - 1)) return TQ_OK;
    tq_platform_willneed(chunk->value, TQ_CHUNK_HEAD + (size_t)chunk->pages * TQ_CHUNK_PAGE);
    return tq_chunk_verify(chunk, 0, chunk->pages - 1);
}

/* ---- Checking ---- */

static enum tq_status check_rows(struct tq_segment *segment) {
    uint64_t next = 0;
    uint32_t offset = 0;
    for (uint32_t row = 0; row < segment->rows; row++) {
        TQ_TRY(tq_segment_slot_of(segment, row, &offset));
        if (offset < next || offset >= segment->slot_end - segment->slot_first)
            return tq_fail(TQ_CORRUPT, "segment of slots %llu to %llu: row %u is out of order",
                           (unsigned long long)segment->slot_first, (unsigned long long)segment->slot_end, row);
        next = (uint64_t)offset + 1;
        uint64_t slot = segment->slot_first + offset;
        bool by_slot = segment->format.exact_bytes > 0 && !segment->exact_by_row;
        if (by_slot && exact_find(segment, slot, NULL) == NULL) return corrupt_slot(segment, slot);
    }
    return TQ_OK;
}

enum tq_status tq_segment_check(struct tq_segment *segment) {
    for (uint32_t i = 0; i < segment->code_chunks + segment->exact_chunks; i++) {
        TQ_TRY(tq_stop_check(tq_stop_current()));
        TQ_TRY(tq_chunk_verify(&segment->chunks[i], 0, segment->chunks[i].pages - 1));
    }
    return check_rows(segment);
}
