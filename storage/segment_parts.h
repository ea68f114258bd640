/* Inside of a segment, shared by its readers and the builder, which shows its memory as a segment. */
#ifndef TQ_SEGMENT_PARTS_H
#define TQ_SEGMENT_PARTS_H

#include "storage/directory.h"

struct tq_piece {
    uint32_t first, units;
    const uint8_t *base; /* of unit `first` */
    struct tq_chunk *chunk;
    uint32_t offset; /* of base in the chunk's payload */
};

struct tq_plane_map {
    struct tq_piece *pieces; /* joined, ascending */
    uint32_t count;
    uint32_t unit_bytes;
    uint32_t reciprocal; /* unit * reciprocal >> 32 guesses the piece: all but the last ones have equal units */
};

struct tq_exact_piece {
    uint64_t slot_first;
    uint32_t slots;
    uint32_t offset;
    const uint8_t *base;
    struct tq_chunk *chunk;
};

struct tq_segment {
    struct tq_format format;
    uint64_t slot_first, slot_end;
    uint32_t rows, blocks;
    bool id_constant, slots_dense;
    bool exact_by_row; /* in memory: planes[EXACT] is an ordinary row plane */
    int64_t id_offset; /* id = slot + id_offset */
    struct tq_plane_map planes[TQ_PLANE_COUNT];
    struct tq_exact_piece *exact;
    uint32_t exact_count;
    struct tq_chunk *chunks;
    uint32_t code_chunks, exact_chunks;

    /* Sealed segments only. */
    struct tq_segment *next; /* in the environment's bucket */
    struct tq_env *env;
    uint32_t refs; /* under the environment's lock */
    uint64_t dir_key, dir_sum;
    struct tq_piece *pieces; /* of all planes */
};

static inline uint32_t tq_reciprocal(uint32_t units_piece) {
    return units_piece <= 1 ? UINT32_MAX : (uint32_t)((1ull << 32) / units_piece + 1);
}

/* The piece a unit < the plane's units lies in. */
static inline const struct tq_piece *tq_plane_find(const struct tq_plane_map *plane, uint32_t unit) {
    uint32_t at = (uint32_t)((uint64_t)unit * plane->reciprocal >> 32);
    if (at >= plane->count) at = plane->count - 1;
    while (unit < plane->pieces[at].first) at--;
    while (unit - plane->pieces[at].first >= plane->pieces[at].units) at++;
    return &plane->pieces[at];
}

/* Verified bytes of one unit; `ask`: it is one of few, so keep the kernel from reading ahead around it. */
enum tq_status tq_segment_unit(struct tq_segment *segment, enum tq_plane plane, uint32_t unit, bool ask,
                               const uint8_t **bytes);
enum tq_status tq_segment_exact_unit(struct tq_segment *segment, uint64_t slot, bool ask, const uint8_t **bytes);

/* A row without its exact one, from verified bytes; scratch: record_stride bytes, used where records are packed. */
enum tq_status tq_segment_codes(struct tq_segment *segment, uint32_t row, uint8_t *scratch, struct tq_row *codes);

/* slot - slot_first of a row. */
enum tq_status tq_segment_slot_of(struct tq_segment *segment, uint32_t row, uint32_t *offset);

#endif
