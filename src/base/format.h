/* What a row of an index looks like in bytes: the options, checked, and the sizes that follow from them.
 * Knows nothing of files, kernels or queries. */
#ifndef TQ_FORMAT_H
#define TQ_FORMAT_H

#include "src/base/base.h"
#include "src/base/short_float.h"

#define TQ_BLOCK_ROWS 128u /* rows of a block, the unit of a scan plane */

struct tq_format {
    uint32_t dim;
    uint32_t bits;      /* total bits a dimension */
    uint32_t code_bits; /* of them Lloyd-Max index bits, 1..8: bits - qjl */
    bool qjl;
    enum tq_metric metric;
    enum tq_rows rows;
    uint64_t seed;
    bool norms;  /* a plane of norms, so that any metric can be asked; else cosine alone, where bytes are the point */
    bool packed; /* rows is NONE: what is stored of a record lacks what its segment has elsewhere (FORMAT.md), and its
                    scalars are rounded to fewer bits, by tq_format_round() */

    uint32_t
        scan_planes; /* sign planes kept in blocks: 2, or 1 where code_bits is 1 or bytes are the point (rows NONE) */
    uint32_t plane_bytes;   /* one bit plane of one record: ceil(dim / 8) */
    uint32_t record_bytes;  /* bits * plane_bytes + sizeof(struct tq_record_tail) */
    uint32_t record_stride; /* record_bytes padded: 32 or a multiple of 64; of 4 where rows is NONE */
    uint32_t stored_bytes;  /* of a record in a segment: record_stride, or less where it is packed */
    uint32_t block_bytes;   /* one block of one scan plane: 64 * ceil(dim / 4) */
    uint32_t exact_bytes;   /* one exact row: 4, 2 or 0 times dim */
};

/* Scalars behind the bit planes of a record, unaligned: read with memcpy. */
struct tq_record_tail {
    float scale;    /* 1 / <u, x_hat>, u = x / |x|; 0 for a zero vector */
    float norm;     /* |x| */
    uint16_t gamma; /* half: ||S r||_1 / sqrt(dim), the sketch's scale; 0 without QJL */
    uint16_t error; /* half, rounded up: tan of the angle between u and x_hat; 0, for nothing, where packed */
};
_Static_assert(sizeof(struct tq_record_tail) == 12, "written to disk as it is");

/* Per row, of the code v = 2 s1 + s2 that two planes make, in units of 1 / TQ_SECOND_ONE; both are 3 at most. */
#define TQ_SECOND_ONE 16384.0
struct tq_second_scalars {
    uint16_t inverse; /* <u, v> / sqrt(dim); 0: v says nothing about u */
    uint16_t error;   /* rounded up: that times tan of the angle between u and v; then 65535 */
};

/* A block of them: kernels take words of one kind at a time. */
struct tq_second_block {
    uint16_t inverse[TQ_BLOCK_ROWS], error[TQ_BLOCK_ROWS];
};

static inline struct tq_second_scalars tq_second_of(const struct tq_second_block *block, uint32_t row) {
    return (struct tq_second_scalars){block->inverse[row], block->error[row]};
}

/* One vector, encoded; every pointer borrowed from the encoder until its next call. */
struct tq_row {
    const uint8_t *record;           /* record_stride bytes */
    uint16_t first_error;            /* half, rounded up: tan of the angle between u and its signs; inf if x = 0 */
    struct tq_second_scalars second; /* zeros when scan_planes is 1 */
    float norm;
    const void *exact; /* exact_bytes, or NULL */
};

/* Check options (bits 0 and qjl -1 mean the defaults) and derive the sizes. TQ_MISUSE names what is wrong. */
enum tq_status tq_format_init(struct tq_format *format, const struct tq_index_options *options);

/* The options a format came from, defaults filled in. */
struct tq_index_options tq_format_options(const struct tq_format *format);

/* Whether both came from the same options, so that either's codec reads the other's rows. */
bool tq_format_same(const struct tq_format *a, const struct tq_format *b);

/* Scalars as a packed record can hold them; whatever is stored went through here once, so that a row in memory, in
 * the log and in a segment is the same to the last bit. Does nothing unless format->packed. */
void tq_format_round(const struct tq_format *format, struct tq_record_tail *tail, uint16_t *first_error);

/* The half that unit `at` of plane FIRST_ERROR stands for. */
static inline uint16_t tq_first_error_at(const struct tq_format *format, const void *units, uint32_t at) {
    return format->packed ? tq_first_error_unpack(((const uint8_t *)units)[at]) : ((const uint16_t *)units)[at];
}

/* Bytes of codes and side data a row costs in a segment, ids and page sums apart. */
double tq_format_code_bytes_row(const struct tq_format *format);

#endif
