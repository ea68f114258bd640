/* Inside of a builder: builder.c (rows), builder_exact.c (exact rows), builder_out.c (values on their way to
 * LMDB), builder_seal.c (layout), builder_block.c (transposition). */
#ifndef TQ_BUILDER_PARTS_H
#define TQ_BUILDER_PARTS_H

#include "storage/segment_parts.h"

/* ---- Values on their way to LMDB ---- */

#define TQ_OUT_IMAGES 16 /* of 1 MiB: a write transaction, held twice (here and by LMDB) */

struct tq_out {
    struct tq_builder_sink *sink;
    const struct tq_format *format;
    uint8_t *images[TQ_OUT_IMAGES]; /* finished and waiting */
    uint64_t keys[TQ_OUT_IMAGES];
    uint32_t waiting;
    uint32_t taken; /* handed out and not yet posted or returned */
    uint8_t *spare[TQ_OUT_IMAGES];
    uint32_t spare_count;
    uint64_t *drops; /* written, no longer wanted: deleted with the next write */
    size_t drop_count, drop_room;
};

/* A value to fill (payload from TQ_CHUNK_HEAD), 64-byte aligned payload. May write what waits. */
enum tq_status tq_out_take(struct tq_out *out, uint8_t **image);
/* Finish an image taken: it gets its key and waits. */
void tq_out_post(struct tq_out *out, uint8_t *image, enum tq_chunk_kind kind, uint32_t payload_bytes, uint64_t *key,
                 uint64_t *sum);
void tq_out_return(struct tq_out *out, uint8_t *image); /* an image taken is not needed */
enum tq_status tq_out_reserve_drops(struct tq_out *out, size_t count);
void tq_out_withdraw(struct tq_out *out, uint64_t key); /* a key posted is not needed; drops are reserved */
const uint8_t *tq_out_waiting(const struct tq_out *out, uint64_t key); /* its image, or NULL: it is written */
/* Write what waits, and one more value if extra is not NULL. All or nothing. */
enum tq_status tq_out_write(struct tq_out *out, const struct tq_env_put *extra);
void tq_out_clear(struct tq_out *out);

/* ---- Exact rows, by slot ---- */

struct tq_exact_chunk {
    uint64_t key, sum;
};

struct tq_exact_list {
    struct tq_directory_exact *pieces;
    struct tq_exact_chunk *chunks;
    uint32_t piece_count, piece_room, chunk_count, chunk_room;
};

struct tq_exact_rows {
    struct tq_exact_list own;     /* ascending; the open image is chunk own.chunk_count */
    struct tq_exact_list adopted; /* ascending */
    uint8_t *image;               /* open, or NULL */
    uint32_t fill;                /* bytes of it */
};

struct tq_builder {
    struct tq_format format;
    uint64_t slot_first;
    uint64_t slot_next; /* smallest slot that may come */
    uint32_t capacity, rows;
    uint32_t room;                   /* rows the planes have memory for, whole blocks */
    bool stale;                      /* the open block is not transposed */
    uint8_t *planes[TQ_PLANE_COUNT]; /* NORM, ID and SLOT always; EXACT, by row, without a sink */
    uint8_t *record;                 /* where records are packed: one that is copied */
    struct tq_out out;
    struct tq_exact_rows exact;

    struct tq_segment view;
    struct tq_piece view_pieces[TQ_PLANE_COUNT];
    struct tq_chunk memory; /* what all pieces in memory lie in: verified */
};

enum tq_status tq_exact_append(struct tq_builder *builder, uint64_t slot, const void *exact);
void tq_exact_truncate(struct tq_builder *builder, uint64_t slot_end);
void tq_exact_finish(struct tq_builder *builder); /* post the open image */
/* Own and adopted pieces, merged by slot, into the directory's tables; TQ_MISUSE if they overlap or miss a row. */
enum tq_status tq_exact_list(struct tq_builder *builder, struct tq_directory *directory);
void tq_exact_clear(struct tq_builder *builder);

/* Write the layout's whole planes: one block of plane bytes at `offset` of every record. rows <= 128. */
void tq_block_transpose(const uint8_t *records, size_t stride, uint32_t rows, uint32_t dim, uint8_t *block);

/* Transpose the open block, if there is one and it changed; pads its row planes with zeros. */
void tq_builder_close_block(struct tq_builder *builder);

#endif
