/* The directory of a segment: a small value that says in which chunk every plane lies. FORMAT.md section 3.
 *
 * Encodes and decodes; what it hands out is bounds-checked against the format, so that readers need not. */
#ifndef TQ_DIRECTORY_H
#define TQ_DIRECTORY_H

#include "storage/chunk.h"
#include "storage/segment.h"

#define TQ_DIRECTORY_MAGIC 0x7463657269647174ull /* "tqdirect" */
#define TQ_DIRECTORY_FORMAT 1u
#define TQ_CODEC_VERSION 0u   /* grows when the same vector and seed give another code */
#define TQ_PLANE_OPTIONAL 64u /* planes from here on may be unknown: they are skipped */

enum tq_directory_flags { TQ_DIRECTORY_ID_CONSTANT = 1, TQ_DIRECTORY_SLOTS_DENSE = 2, TQ_DIRECTORY_FLAGS = 3 };

struct tq_directory_head {
    uint64_t magic;
    uint32_t format;
    uint32_t index;
    uint8_t uuid[16];
    uint64_t slot_first;
    uint64_t slot_end;
    uint64_t seed;
    int64_t id_constant; /* id - slot, modulo 2^64, under ID_CONSTANT */
    uint32_t rows;
    uint32_t dim;
    uint8_t bits;
    uint8_t qjl;
    uint8_t metric;
    uint8_t rows_kind;
    uint16_t flags;
    uint16_t codec_version;
    uint32_t chunk_pages;
    uint32_t code_chunks;
    uint32_t exact_chunks;
    uint32_t pieces;
    uint32_t exact_pieces;
    uint32_t size; /* of this value */
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct tq_directory_head) == 128, "written to disk as it is");

struct tq_directory_chunk {
    uint64_t key;
    uint64_t sum; /* of its header: a chunk of another history is found out */
};
_Static_assert(sizeof(struct tq_directory_chunk) == 16, "written to disk as it is");

struct tq_directory_piece { /* ascending by plane, then first */
    uint32_t plane;
    uint32_t first; /* unit: a block for FIRST, SECOND and STATS, else a row */
    uint32_t units;
    uint32_t chunk;  /* of the code chunks */
    uint32_t offset; /* in its payload, a multiple of 64 */
    uint32_t reserved;
};
_Static_assert(sizeof(struct tq_directory_piece) == 24, "written to disk as it is");

struct tq_directory_exact { /* ascending by slot, disjoint */
    uint64_t slot_first;
    uint32_t slots;
    uint32_t chunk; /* of the exact chunks */
    uint32_t offset;
    uint32_t reserved;
};
_Static_assert(sizeof(struct tq_directory_exact) == 24, "written to disk as it is");

/* Everything in memory of its own: tq_directory_clear. */
struct tq_directory {
    struct tq_directory_head head;
    struct tq_directory_chunk *chunks; /* code chunks, then exact chunks */
    struct tq_directory_piece *pieces;
    struct tq_directory_exact *exact;
};

void tq_directory_clear(struct tq_directory *directory);

/* Bytes of one unit of a plane; units of a plane in a segment of `rows` rows, 0 where the format has no such
 * plane (ID and SLOT: whether they are there is the segment's business); units that are never split. */
uint32_t tq_plane_unit_bytes(const struct tq_format *format, enum tq_plane plane);
uint32_t tq_plane_units(const struct tq_format *format, enum tq_plane plane, uint32_t rows);
uint32_t tq_plane_grain(enum tq_plane plane);

/* The most units of a plane that a chunk of its own holds. */
uint32_t tq_plane_units_chunk(const struct tq_format *format, enum tq_plane plane);

/* The value of a directory whose tables are filled (sizes in head; magic, format and size are set here):
 * *value is tq_alloc'ed. */
enum tq_status tq_directory_encode(struct tq_directory *directory, uint8_t **value, size_t *size);

/* TQ_CORRUPT unless its sum is dir_sum, it belongs to this index, store and format and every piece lies within
 * its chunk and every plane is whole; TQ_FORMAT if newer. */
enum tq_status tq_directory_decode(const void *value, size_t size, uint64_t dir_sum, const uint8_t *uuid,
                                   uint32_t index, const struct tq_format *format, struct tq_directory *directory);

#endif
