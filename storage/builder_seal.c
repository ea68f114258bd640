/* Sealing: planes into chunks, rests into shared ones, the directory last. FORMAT.md sections 2 and 3. */
#include "src/base/alloc.h"
#include "storage/builder_parts.h"

#define PIECES_MAX_PLANE 4u /* beyond its whole chunks a plane's rest lies in at most two pieces */

/* The directory as it grows, and the rest chunk being filled. */
struct sealing {
    struct tq_builder *builder;
    struct tq_directory directory;
    uint32_t chunk_room, piece_room;
    uint8_t *image; /* the open rest chunk */
    uint32_t fill;
    uint32_t rest_first; /* first piece of it, whose chunk number is not known before it is posted */
};

/* ---- Directory tables ---- */

static enum tq_status tables_open(struct sealing *sealing, const uint32_t *units) {
    const struct tq_format *format = &sealing->builder->format;
    for (int plane = 0; plane < TQ_PLANE_EXACT; plane++) {
        if (units[plane] == 0) continue;
        uint32_t whole = units[plane] / tq_plane_units_chunk(format, (enum tq_plane)plane);
        sealing->piece_room += whole + PIECES_MAX_PLANE;
        sealing->chunk_room += whole + 1; /* a plane's rest needs less than a chunk */
    }
    struct tq_directory *directory = &sealing->directory;
    uint32_t exact = sealing->builder->exact.own.chunk_count + sealing->builder->exact.adopted.chunk_count;
    directory->chunks = tq_alloc_array((size_t)sealing->chunk_room + exact, sizeof *directory->chunks);
    directory->pieces = tq_alloc_array(sealing->piece_room, sizeof *directory->pieces);
    if (directory->chunks == NULL || directory->pieces == NULL) return TQ_NOMEM;
    return tq_out_reserve_drops(&sealing->builder->out, (size_t)sealing->chunk_room + exact);
}

static void add_chunk(struct sealing *sealing, uint8_t *image, enum tq_chunk_kind kind, uint32_t payload_bytes) {
    struct tq_directory *directory = &sealing->directory;
    TQ_ASSERT(directory->head.code_chunks < sealing->chunk_room);
    struct tq_directory_chunk *chunk = &directory->chunks[directory->head.code_chunks++];
    tq_out_post(&sealing->builder->out, image, kind, payload_bytes, &chunk->key, &chunk->sum);
}

static void add_piece(struct sealing *sealing, enum tq_plane plane, uint32_t first, uint32_t units, uint32_t offset) {
    struct tq_directory *directory = &sealing->directory;
    TQ_ASSERT(directory->head.pieces < sealing->piece_room);
    directory->pieces[directory->head.pieces++] = (struct tq_directory_piece){
        .plane = (uint32_t)plane,
        .first = first,
        .units = units,
        .chunk = UINT32_MAX, /* the open rest chunk */
        .offset = offset};
}

/* ---- Planes ---- */

static void post_rests(struct sealing *sealing) {
    struct tq_directory *directory = &sealing->directory;
    if (sealing->image == NULL) return;
    for (uint32_t i = 0; i < directory->head.pieces; i++)
        if (directory->pieces[i].chunk == UINT32_MAX) directory->pieces[i].chunk = directory->head.code_chunks;
    add_chunk(sealing, sealing->image, TQ_CHUNK_RESTS, sealing->fill);
    sealing->image = NULL;
    sealing->fill = 0;
}

static enum tq_status put_whole(struct sealing *sealing, enum tq_plane plane, uint32_t first, uint32_t units) {
    struct tq_builder *builder = sealing->builder;
    size_t unit = tq_plane_unit_bytes(&builder->format, plane);
    uint8_t *image = NULL;
    TQ_TRY(tq_out_take(&builder->out, &image));
    memcpy(image + TQ_CHUNK_HEAD, builder->planes[plane] + first * unit, units * unit);
    add_piece(sealing, plane, first, units, 0);
    sealing->directory.pieces[sealing->directory.head.pieces - 1].chunk = sealing->directory.head.code_chunks;
    add_chunk(sealing, image, TQ_CHUNK_CODES, (uint32_t)(units * unit));
    return TQ_OK;
}

/* Units that go into the open rest chunk, split at the plane's grain where it ends. */
static enum tq_status put_rest(struct sealing *sealing, enum tq_plane plane, uint32_t first, uint32_t units) {
    struct tq_builder *builder = sealing->builder;
    uint32_t unit = tq_plane_unit_bytes(&builder->format, plane), grain = tq_plane_grain(plane);
    uint32_t payload = tq_chunk_payload_bytes(&builder->format);
    while (units > 0) {
        if (sealing->image == NULL) TQ_TRY(tq_out_take(&builder->out, &sealing->image));
        uint32_t offset = (uint32_t)tq_round_up(sealing->fill, 64);
        uint32_t fit = offset >= payload ? 0 : (payload - offset) / (unit * grain) * grain;
        if (fit == 0) {
            post_rests(sealing);
            continue;
        }
        uint32_t run = units < fit ? units : fit;
        uint8_t *to = sealing->image + TQ_CHUNK_HEAD;
        memset(to + sealing->fill, 0, offset - sealing->fill);
        memcpy(to + offset, builder->planes[plane] + (size_t)first * unit, (size_t)run * unit);
        add_piece(sealing, plane, first, run, offset);
        sealing->fill = offset + run * unit;
        first += run;
        units -= run;
    }
    return TQ_OK;
}

static enum tq_status put_planes(struct sealing *sealing, const uint32_t *units) {
    const struct tq_format *format = &sealing->builder->format;
    for (int i = 0; i < TQ_PLANE_EXACT; i++) {
        enum tq_plane plane = (enum tq_plane)i;
        uint32_t chunk = tq_plane_units_chunk(format, plane), first = 0;
        for (; units[plane] - first >= chunk; first += chunk) TQ_TRY(put_whole(sealing, plane, first, chunk));
        TQ_TRY(put_rest(sealing, plane, first, units[plane] - first));
    }
    post_rests(sealing);
    return TQ_OK;
}

/* ---- Directory ---- */

static bool ids_constant(const struct tq_builder *builder, int64_t *offset) {
    const int64_t *ids = (const int64_t *)builder->planes[TQ_PLANE_ID];
    const uint32_t *slots = (const uint32_t *)builder->planes[TQ_PLANE_SLOT];
    uint64_t first = builder->rows == 0 ? 0 : (uint64_t)ids[0] - slots[0];
    for (uint32_t row = 0; row < builder->rows; row++)
        if ((uint64_t)ids[row] - slots[row] != first) return false;
    *offset = (int64_t)(first - builder->slot_first);
    return true;
}

static void describe(struct sealing *sealing, uint32_t *units) {
    struct tq_builder *builder = sealing->builder;
    const struct tq_format *format = &builder->format;
    struct tq_directory_head *head = &sealing->directory.head;
    *head = (struct tq_directory_head){.index = builder->out.sink->index,
                                       .slot_first = builder->slot_first,
                                       .slot_end = builder->slot_next,
                                       .seed = format->seed,
                                       .rows = builder->rows,
                                       .dim = format->dim,
                                       .bits = (uint8_t)format->bits,
                                       .qjl = format->qjl ? 1 : 0,
                                       .metric = (uint8_t)format->metric,
                                       .rows_kind = (uint8_t)format->rows,
                                       .codec_version = TQ_CODEC_VERSION,
                                       .chunk_pages = tq_chunk_pages(format)};
    memcpy(head->uuid, tq_env_uuid(builder->out.sink->env), sizeof head->uuid);
    for (int plane = 0; plane < TQ_PLANE_EXACT; plane++)
        units[plane] = tq_plane_units(format, (enum tq_plane)plane, builder->rows);
    if (ids_constant(builder, &head->id_constant)) {
        head->flags |= TQ_DIRECTORY_ID_CONSTANT;
        units[TQ_PLANE_ID] = 0;
    }
    if (builder->slot_next - builder->slot_first == builder->rows) {
        head->flags |= TQ_DIRECTORY_SLOTS_DENSE;
        units[TQ_PLANE_SLOT] = 0;
    }
}

static void list_exact_chunks(const struct tq_builder *builder, struct tq_directory *directory) {
    struct tq_directory_chunk *to = directory->chunks + directory->head.code_chunks;
    const struct tq_exact_list *lists[] = {&builder->exact.own, &builder->exact.adopted};
    for (size_t list = 0; list < TQ_COUNT(lists); list++)
        for (uint32_t i = 0; i < lists[list]->chunk_count; i++)
            *to++ = (struct tq_directory_chunk){lists[list]->chunks[i].key, lists[list]->chunks[i].sum};
}

/* The directory leaves with the last chunks, so that it never names one that is not there. */
static enum tq_status put_directory(struct sealing *sealing, struct tq_sealed *sealed) {
    struct tq_builder *builder = sealing->builder;
    struct tq_builder_sink *sink = builder->out.sink;
    uint8_t *value = NULL;
    size_t size = 0;
    list_exact_chunks(builder, &sealing->directory);
    TQ_TRY(tq_directory_encode(&sealing->directory, &value, &size));
    struct tq_env_put put = {tq_env_key(sink->index, ++sink->meta.serial), value, size};
    *sealed = (struct tq_sealed){.slot_first = builder->slot_first,
                                 .slot_end = builder->slot_next,
                                 .rows = builder->rows,
                                 .dir_key = put.key,
                                 .dir_sum = tq_chunk_hash(value, size)};
    enum tq_status status = tq_out_write(&builder->out, &put);
    tq_free(value);
    return status;
}

/* On failure the builder holds its rows as before, and may be sealed again: code chunks are made anew. */
static void undo(struct sealing *sealing) {
    struct tq_out *out = &sealing->builder->out;
    if (sealing->image != NULL) tq_out_return(out, sealing->image);
    for (uint32_t i = 0; i < sealing->directory.head.code_chunks; i++)
        tq_out_withdraw(out, sealing->directory.chunks[i].key);
}

static void empty(struct tq_builder *builder) {
    builder->rows = 0;
    builder->slot_first = builder->slot_next;
    builder->stale = false;
    builder->exact.own.piece_count = builder->exact.own.chunk_count = 0;
    builder->exact.adopted.piece_count = builder->exact.adopted.chunk_count = 0;
}

enum tq_status tq_builder_seal(struct tq_builder *builder, struct tq_sealed *sealed) {
    struct sealing sealing = {.builder = builder};
    struct tq_sealed result;
    uint32_t units[TQ_PLANE_EXACT];
    if (builder->out.sink == NULL) return tq_fail(TQ_MISUSE, "a builder without a sink cannot be sealed");
    tq_builder_close_block(builder);
    tq_exact_finish(builder);
    describe(&sealing, units);
    enum tq_status status = tq_exact_list(builder, &sealing.directory);
    if (status == TQ_OK) status = tables_open(&sealing, units);
    if (status == TQ_OK) status = put_planes(&sealing, units);
    if (status == TQ_OK) status = put_directory(&sealing, &result);
    if (status == TQ_OK) {
        empty(builder);
        *sealed = result;
    } else {
        undo(&sealing);
    }
    tq_directory_clear(&sealing.directory);
    return status;
}
