/* Exact rows of a builder with a sink: runs of slots in images, full ones leave for LMDB. Chunks of other segments
 * are adopted by reference. */
#include "src/base/alloc.h"
#include "storage/builder_parts.h"

#define GAP_BYTES_MAX 256u /* zeros for slots without a row; a longer gap costs less as a new piece */

static enum tq_status list_reserve(struct tq_exact_list *list, uint32_t pieces, uint32_t chunks) {
    if (list->piece_count + pieces > list->piece_room) {
        uint32_t room = 2 * (list->piece_count + pieces);
        void *grown = tq_realloc(list->pieces, list->piece_room * sizeof *list->pieces, room * sizeof *list->pieces);
        if (grown == NULL) return TQ_NOMEM;
        list->pieces = grown;
        list->piece_room = room;
    }
    if (list->chunk_count + chunks > list->chunk_room) {
        uint32_t room = 2 * (list->chunk_count + chunks);
        void *grown = tq_realloc(list->chunks, list->chunk_room * sizeof *list->chunks, room * sizeof *list->chunks);
        if (grown == NULL) return TQ_NOMEM;
        list->chunks = grown;
        list->chunk_room = room;
    }
    return TQ_OK;
}

/* ---- Own rows ---- */

void tq_exact_finish(struct tq_builder *builder) {
    struct tq_exact_rows *exact = &builder->exact;
    if (exact->image == NULL) return;
    struct tq_exact_chunk *chunk = &exact->own.chunks[exact->own.chunk_count++]; /* reserved when it was taken */
    tq_out_post(&builder->out, exact->image, TQ_CHUNK_EXACT, exact->fill, &chunk->key, &chunk->sum);
    exact->image = NULL;
    exact->fill = 0;
}

/* The piece in the open image that a slot can join, else NULL. */
static struct tq_directory_exact *open_piece(struct tq_exact_rows *exact, uint32_t exact_bytes, uint64_t slot) {
    struct tq_exact_list *own = &exact->own;
    if (exact->image == NULL || own->piece_count == 0) return NULL;
    struct tq_directory_exact *piece = &own->pieces[own->piece_count - 1];
    if (piece->chunk != own->chunk_count) return NULL;
    return (slot - (piece->slot_first + piece->slots)) <= GAP_BYTES_MAX / exact_bytes ? piece : NULL;
}

/* Room for one row in an image, a new piece in it. */
static enum tq_status begin_piece(struct tq_builder *builder, uint64_t slot) {
    struct tq_exact_rows *exact = &builder->exact;
    uint32_t payload = tq_chunk_payload_bytes(&builder->format);
    uint32_t offset = (uint32_t)tq_round_up(exact->fill, 64);
    if (exact->image != NULL && offset + builder->format.exact_bytes > payload) tq_exact_finish(builder);
    TQ_TRY(list_reserve(&exact->own, 1, 1));
    TQ_TRY(tq_out_reserve_drops(&builder->out, exact->own.chunk_count + 1));
    if (exact->image == NULL) {
        TQ_TRY(tq_out_take(&builder->out, &exact->image));
        exact->fill = offset = 0;
    }
    memset(exact->image + TQ_CHUNK_HEAD + exact->fill, 0, offset - exact->fill);
    exact->fill = offset;
    exact->own.pieces[exact->own.piece_count++] = (struct tq_directory_exact){
        .slot_first = slot, .chunk = exact->own.chunk_count, .offset = offset};
    return TQ_OK;
}

enum tq_status tq_exact_append(struct tq_builder *builder, uint64_t slot, const void *row) {
    struct tq_exact_rows *exact = &builder->exact;
    uint32_t size = builder->format.exact_bytes, payload = tq_chunk_payload_bytes(&builder->format);
    struct tq_directory_exact *piece = open_piece(exact, size, slot);
    if (piece != NULL) {
        uint32_t at = piece->offset + (uint32_t)(slot - piece->slot_first) * size;
        if (at <= payload && size <= payload - at) {
            memset(exact->image + TQ_CHUNK_HEAD + exact->fill, 0, at - exact->fill);
            memcpy(exact->image + TQ_CHUNK_HEAD + at, row, size);
            piece->slots = (uint32_t)(slot - piece->slot_first) + 1;
            exact->fill = at + size;
            return TQ_OK;
        }
        tq_exact_finish(builder);
    }
    TQ_TRY(begin_piece(builder, slot));
    piece = &exact->own.pieces[exact->own.piece_count - 1];
    memcpy(exact->image + TQ_CHUNK_HEAD + exact->fill, row, size);
    piece->slots = 1;
    exact->fill += size;
    return TQ_OK;
}

/* A chunk that was finished stays as it is and loses slots; rows that come later begin a new one. */
void tq_exact_truncate(struct tq_builder *builder, uint64_t slot_end) {
    struct tq_exact_rows *exact = &builder->exact;
    struct tq_exact_list *own = &exact->own;
    while (own->piece_count > 0 && own->pieces[own->piece_count - 1].slot_first >= slot_end) own->piece_count--;
    struct tq_directory_exact *last = own->piece_count > 0 ? &own->pieces[own->piece_count - 1] : NULL;
    if (last != NULL && last->slot_first + last->slots > slot_end)
        last->slots = (uint32_t)(slot_end - last->slot_first);
    uint32_t chunks = last == NULL ? 0 : last->chunk + 1;
    if (exact->image != NULL) {
        bool kept = chunks > own->chunk_count;
        exact->fill = kept ? last->offset + last->slots * builder->format.exact_bytes : 0;
        if (!kept) {
            tq_out_return(&builder->out, exact->image);
            exact->image = NULL;
        }
    }
    while (own->chunk_count > chunks) tq_out_withdraw(&builder->out, own->chunks[--own->chunk_count].key);
}

void tq_exact_clear(struct tq_builder *builder) {
    struct tq_exact_rows *exact = &builder->exact;
    if (exact->image != NULL) tq_out_return(&builder->out, exact->image);
    tq_free(exact->own.pieces);
    tq_free(exact->own.chunks);
    tq_free(exact->adopted.pieces);
    tq_free(exact->adopted.chunks);
    *exact = (struct tq_exact_rows){.image = NULL};
}

/* ---- Adoption ---- */

enum tq_status tq_builder_adopt(struct tq_builder *builder, struct tq_segment *segment) {
    struct tq_exact_list *list = &builder->exact.adopted;
    if (builder->out.sink == NULL || segment->env == NULL)
        return tq_fail(TQ_MISUSE, "exact rows in memory cannot be adopted");
    if (segment->exact_count == 0) return TQ_OK;
    const struct tq_exact_piece *first = &segment->exact[0], *last = &segment->exact[segment->exact_count - 1];
    uint32_t at = 0;
    while (at < list->piece_count && list->pieces[at].slot_first < first->slot_first) at++;
    bool below = at > 0 && list->pieces[at - 1].slot_first + list->pieces[at - 1].slots > first->slot_first;
    bool above = at < list->piece_count && list->pieces[at].slot_first < last->slot_first + last->slots;
    if (below || above) return tq_fail(TQ_MISUSE, "exact rows of these slots are adopted already");
    TQ_TRY(list_reserve(list, segment->exact_count, segment->exact_chunks));
    memmove(&list->pieces[at + segment->exact_count], &list->pieces[at],
            (list->piece_count - at) * sizeof *list->pieces);
    const struct tq_chunk *chunks = segment->chunks + segment->code_chunks;
    for (uint32_t i = 0; i < segment->exact_count; i++) {
        const struct tq_exact_piece *from = &segment->exact[i];
        list->pieces[at + i] = (struct tq_directory_exact){.slot_first = from->slot_first,
                                                           .slots = from->slots,
                                                           .chunk = list->chunk_count +
                                                                    (uint32_t)(from->chunk - chunks),
                                                           .offset = from->offset};
    }
    for (uint32_t i = 0; i < segment->exact_chunks; i++)
        list->chunks[list->chunk_count + i] = (struct tq_exact_chunk){chunks[i].key, chunks[i].sum};
    list->piece_count += segment->exact_count;
    list->chunk_count += segment->exact_chunks;
    return TQ_OK;
}

/* ---- The whole list ---- */

/* Every row's slot must lie in a piece; both ascend. */
static enum tq_status check_rows(const struct tq_builder *builder, const struct tq_directory *directory) {
    const uint32_t *slots = (const uint32_t *)builder->planes[TQ_PLANE_SLOT];
    const struct tq_directory_exact *piece = directory->exact, *end = piece + directory->head.exact_pieces;
    for (uint32_t row = 0; row < builder->rows; row++) {
        uint64_t slot = builder->slot_first + slots[row];
        while (piece < end && piece->slot_first + piece->slots <= slot) piece++;
        if (piece == end || slot < piece->slot_first)
            return tq_fail(TQ_MISUSE, "slot %llu has neither an exact row nor an adopted one",
                           (unsigned long long)slot);
    }
    return TQ_OK;
}

static enum tq_status merge_lists(const struct tq_exact_list *own, const struct tq_exact_list *adopted,
                                  struct tq_directory_exact *out) {
    uint32_t a = 0, b = 0, count = own->piece_count + adopted->piece_count;
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool take_own = b == adopted->piece_count ||
                        (a < own->piece_count && own->pieces[a].slot_first < adopted->pieces[b].slot_first);
        out[i] = take_own ? own->pieces[a++] : adopted->pieces[b++];
        if (!take_own) out[i].chunk += own->chunk_count;
        if (out[i].slot_first < end) return tq_fail(TQ_MISUSE, "exact rows both adopted and appended");
        end = out[i].slot_first + out[i].slots;
    }
    return TQ_OK;
}

enum tq_status tq_exact_list(struct tq_builder *builder, struct tq_directory *directory) {
    const struct tq_exact_list *own = &builder->exact.own, *adopted = &builder->exact.adopted;
    if (builder->format.exact_bytes == 0) return TQ_OK;
    uint32_t pieces = own->piece_count + adopted->piece_count;
    TQ_ASSERT(directory->exact == NULL && builder->exact.image == NULL);
    directory->exact = tq_alloc_array(pieces, sizeof *directory->exact);
    if (directory->exact == NULL) return TQ_NOMEM;
    TQ_TRY(merge_lists(own, adopted, directory->exact));
    directory->head.exact_pieces = pieces;
    directory->head.exact_chunks = own->chunk_count + adopted->chunk_count;
    return check_rows(builder, directory);
}
