#include "storage/directory.h"

#include "src/base/alloc.h"

#define ROWS_LIMIT (1u << 24) /* of what a directory may claim: keeps all arithmetic below within 32 bits */

void tq_directory_clear(struct tq_directory *directory) {
    tq_free(directory->chunks);
    tq_free(directory->pieces);
    tq_free(directory->exact);
    *directory = (struct tq_directory){.chunks = NULL};
}

/* ---- Planes ---- */

uint32_t tq_plane_unit_bytes(const struct tq_format *format, enum tq_plane plane) {
    switch (plane) {
    case TQ_PLANE_FIRST:
    case TQ_PLANE_SECOND: return format->block_bytes;
    case TQ_PLANE_FIRST_ERROR: return format->packed ? sizeof(uint8_t) : sizeof(uint16_t);
    case TQ_PLANE_SECOND_SCALARS: return sizeof(struct tq_second_block);
    case TQ_PLANE_NORM: return sizeof(float);
    case TQ_PLANE_STATS: return sizeof(struct tq_block_stats);
    case TQ_PLANE_RECORD: return format->stored_bytes;
    case TQ_PLANE_ID: return sizeof(int64_t);
    case TQ_PLANE_SLOT: return sizeof(uint32_t);
    case TQ_PLANE_EXACT: return format->exact_bytes;
    default: return 0;
    }
}

uint32_t tq_plane_units(const struct tq_format *format, enum tq_plane plane, uint32_t rows) {
    uint32_t blocks = (rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS;
    bool two = format->scan_planes == 2;
    switch (plane) {
    case TQ_PLANE_FIRST:
    case TQ_PLANE_STATS: return blocks;
    case TQ_PLANE_SECOND:
    case TQ_PLANE_SECOND_SCALARS: return two ? blocks : 0;
    case TQ_PLANE_NORM: return format->norms ? blocks * TQ_BLOCK_ROWS : 0;
    case TQ_PLANE_RECORD: return rows;
    case TQ_PLANE_FIRST_ERROR:
    case TQ_PLANE_ID:
    case TQ_PLANE_SLOT: return blocks * TQ_BLOCK_ROWS;
    default: return 0;
    }
}

uint32_t tq_plane_grain(enum tq_plane plane) {
    switch (plane) {
    case TQ_PLANE_FIRST_ERROR:
    case TQ_PLANE_NORM:
    case TQ_PLANE_ID:
    case TQ_PLANE_SLOT: return TQ_BLOCK_ROWS;
    default: return 1;
    }
}

uint32_t tq_plane_units_chunk(const struct tq_format *format, enum tq_plane plane) {
    uint32_t grain = tq_plane_grain(plane);
    return tq_chunk_payload_bytes(format) / (tq_plane_unit_bytes(format, plane) * grain) * grain;
}

/* ---- Encoding ---- */

static size_t directory_size(const struct tq_directory_head *head) {
    return sizeof *head + ((size_t)head->code_chunks + head->exact_chunks) * sizeof(struct tq_directory_chunk) +
           (size_t)head->pieces * sizeof(struct tq_directory_piece) +
           (size_t)head->exact_pieces * sizeof(struct tq_directory_exact);
}

static uint8_t *append_bytes(uint8_t *at, const void *data, size_t size) {
    if (size > 0) memcpy(at, data, size);
    return at + size;
}

enum tq_status tq_directory_encode(struct tq_directory *directory, uint8_t **value, size_t *size) {
    struct tq_directory_head *head = &directory->head;
    size_t bytes = directory_size(head);
    if (bytes > TQ_VALUE_BYTES_MAX)
        return tq_fail(TQ_UNSUPPORTED, "a segment's directory would take %zu bytes; %u is the limit", bytes,
                       TQ_VALUE_BYTES_MAX);
    uint8_t *out = tq_alloc(bytes);
    if (out == NULL) return TQ_NOMEM;
    head->magic = TQ_DIRECTORY_MAGIC;
    head->format = TQ_DIRECTORY_FORMAT;
    head->size = (uint32_t)bytes;
    uint8_t *at = append_bytes(out, head, sizeof *head);
    size_t chunks = (size_t)head->code_chunks + head->exact_chunks;
    at = append_bytes(at, directory->chunks, chunks * sizeof *directory->chunks);
    at = append_bytes(at, directory->pieces, head->pieces * sizeof *directory->pieces);
    (void)append_bytes(at, directory->exact, head->exact_pieces * sizeof *directory->exact);
    *value = out;
    *size = bytes;
    return TQ_OK;
}

/* ---- Decoding: nothing is believed ---- */

static enum tq_status corrupt(const char *what) { return tq_fail(TQ_CORRUPT, "segment directory: %s", what); }

static enum tq_status check_head(const struct tq_directory_head *head, size_t size, const uint8_t *uuid, uint32_t index,
                                 const struct tq_format *format) {
    if (head->magic != TQ_DIRECTORY_MAGIC) return corrupt("it is none");
    if (head->format != TQ_DIRECTORY_FORMAT)
        return tq_fail(TQ_FORMAT, "segment directory of format %u; this library reads %u", head->format,
                       TQ_DIRECTORY_FORMAT);
    if ((head->flags & ~TQ_DIRECTORY_FLAGS) != 0)
        return tq_fail(TQ_FORMAT, "segment directory with flags 0x%x; this library knows 0x%x", head->flags,
                       TQ_DIRECTORY_FLAGS);
    if (memcmp(head->uuid, uuid, sizeof head->uuid) != 0) return corrupt("it belongs to another store");
    if (head->index != index) return corrupt("it belongs to another index");
    if (head->codec_version != TQ_CODEC_VERSION)
        return tq_fail(TQ_FORMAT, "segment encoded by codec version %u; this library has %u", head->codec_version,
                       TQ_CODEC_VERSION);
    if (head->dim != format->dim || head->bits != format->bits || head->qjl != (format->qjl ? 1 : 0) ||
        head->metric != (unsigned)format->metric || head->rows_kind != (unsigned)format->rows ||
        head->seed != format->seed || head->chunk_pages != tq_chunk_pages(format))
        return corrupt("its options are not the index's");
    uint64_t slots = head->slot_end - head->slot_first;
    if (head->slot_end < head->slot_first || slots > UINT32_MAX || head->rows > slots || head->rows > ROWS_LIMIT)
        return corrupt("its rows contradict its slots");
    if ((head->flags & TQ_DIRECTORY_SLOTS_DENSE) && slots != head->rows) return corrupt("its slots have gaps");
    if (head->size != size || directory_size(head) != size) return corrupt("its size is wrong");
    return TQ_OK;
}

static void *copy_table(const uint8_t **at, size_t count, size_t size) {
    void *table = tq_alloc_array(count, size);
    if (table == NULL) return NULL;
    if (count > 0) memcpy(table, *at, count * size);
    *at += count * size;
    return table;
}

static bool fits(uint32_t offset, uint32_t units, uint32_t unit_bytes, uint32_t payload) {
    return offset % 64 == 0 && offset <= payload && (uint64_t)units * unit_bytes <= payload - offset;
}

/* Units of a plane as this directory must list them. */
static uint32_t units_listed(const struct tq_directory_head *head, const struct tq_format *format,
                             enum tq_plane plane) {
    if (plane == TQ_PLANE_ID && (head->flags & TQ_DIRECTORY_ID_CONSTANT)) return 0;
    if (plane == TQ_PLANE_SLOT && (head->flags & TQ_DIRECTORY_SLOTS_DENSE)) return 0;
    return tq_plane_units(format, plane, head->rows);
}

static enum tq_status check_piece(const struct tq_directory_piece *piece, const struct tq_format *format,
                                  uint32_t code_chunks, uint32_t expected_first) {
    enum tq_plane plane = (enum tq_plane)piece->plane;
    uint32_t payload = tq_chunk_payload_bytes(format);
    if (piece->chunk >= code_chunks) return corrupt("a piece names no chunk");
    if (piece->first != expected_first || piece->units == 0 || piece->units % tq_plane_grain(plane) != 0)
        return corrupt("the pieces of a plane do not join");
    if (!fits(piece->offset, piece->units, tq_plane_unit_bytes(format, plane), payload))
        return corrupt("a piece leaves its chunk");
    return TQ_OK;
}

static enum tq_status check_pieces(const struct tq_directory *directory, const struct tq_format *format) {
    const struct tq_directory_head *head = &directory->head;
    uint32_t covered[TQ_PLANE_EXACT] = {0};
    uint32_t plane_before = 0;
    for (uint32_t i = 0; i < head->pieces; i++) {
        const struct tq_directory_piece *piece = &directory->pieces[i];
        if (piece->plane < plane_before) return corrupt("its planes are out of order");
        plane_before = piece->plane;
        if (piece->plane >= TQ_PLANE_OPTIONAL) continue;
        if (piece->plane >= TQ_PLANE_EXACT) return tq_fail(TQ_FORMAT, "segment with plane %u", piece->plane);
        TQ_TRY(check_piece(piece, format, head->code_chunks, covered[piece->plane]));
        uint32_t left = units_listed(head, format, (enum tq_plane)piece->plane) - covered[piece->plane];
        if (piece->units > left) return corrupt("a plane is too long");
        covered[piece->plane] += piece->units;
    }
    for (uint32_t plane = 0; plane < TQ_PLANE_EXACT; plane++)
        if (covered[plane] != units_listed(head, format, (enum tq_plane)plane)) return corrupt("a plane is cut off");
    return TQ_OK;
}

static enum tq_status check_exact(const struct tq_directory *directory, const struct tq_format *format) {
    const struct tq_directory_head *head = &directory->head;
    uint64_t end = 0;
    if (format->exact_bytes == 0 && head->exact_pieces + head->exact_chunks != 0)
        return corrupt("exact rows where the index has none");
    for (uint32_t i = 0; i < head->exact_pieces; i++) {
        const struct tq_directory_exact *piece = &directory->exact[i];
        if (piece->chunk >= head->exact_chunks) return corrupt("a piece names no chunk");
        if (piece->slots == 0 || piece->slot_first < end || piece->slot_first > UINT64_MAX - piece->slots)
            return corrupt("its exact rows are out of order");
        if (!fits(piece->offset, piece->slots, format->exact_bytes, tq_chunk_payload_bytes(format)))
            return corrupt("a piece leaves its chunk");
        end = piece->slot_first + piece->slots;
    }
    return TQ_OK;
}

static enum tq_status check_tables(const struct tq_directory *directory, const struct tq_format *format) {
    const struct tq_directory_head *head = &directory->head;
    for (uint64_t i = 0; i < (uint64_t)head->code_chunks + head->exact_chunks; i++)
        if (directory->chunks[i].key >> 40 != head->index) return corrupt("a chunk of another index");
    TQ_TRY(check_pieces(directory, format));
    return check_exact(directory, format);
}

enum tq_status tq_directory_decode(const void *value, size_t size, uint64_t dir_sum, const uint8_t *uuid,
                                   uint32_t index, const struct tq_format *format, struct tq_directory *directory) {
    struct tq_directory new = {.chunks = NULL};
    const uint8_t *at = value;
    if (size < sizeof new.head) return corrupt("it is cut off");
    if (tq_chunk_hash(value, size) != dir_sum) return corrupt("its checksum is not the catalog's");
    memcpy(&new.head, at, sizeof new.head);
    TQ_TRY(check_head(&new.head, size, uuid, index, format));
    at += sizeof new.head;
    size_t chunks = (size_t) new.head.code_chunks + new.head.exact_chunks;
    new.chunks = copy_table(&at, chunks, sizeof *new.chunks);
    if (new.chunks != NULL) new.pieces = copy_table(&at, new.head.pieces, sizeof *new.pieces);
    if (new.pieces != NULL) new.exact = copy_table(&at, new.head.exact_pieces, sizeof *new.exact);
    enum tq_status status = new.exact == NULL ? TQ_NOMEM : check_tables(&new, format);
    if (status == TQ_OK)
        *directory = new;
    else
        tq_directory_clear(&new);
    return status;
}
