/* Arithmetic on arrays, one implementation per instruction set, chosen at run time per handle.
 *
 * Kernels are pure: no memory, no errors, no globals. Callers have validated. All of them are deterministic
 * across instruction sets, bit for bit: integers are exact, and float sums have a fixed order (below).
 * Knows nothing of codecs, segments or searches; layout.h has the bytes.
 *
 * Fixed order  a float or double reduction over dimensions keeps 16 lanes: element j is added to lane j % 16
 *              in ascending j (multiply, round, then add; no fused multiply-add in f32), and the lanes are
 *              folded 16 -> 8 -> 4 -> 2 -> 1 by lane[i] += lane[i + half]. Elements beyond dim are not added. */
#ifndef TQ_KERNELS_H
#define TQ_KERNELS_H

#include <stdbool.h>

#include "kernels/layout.h"

enum tq_isa {
    TQ_ISA_SCALAR = 0,
    TQ_ISA_SSSE3 = 1u << 8,  /* SSSE3 */
    TQ_ISA_NEON = 1u << 9,   /* Advanced SIMD of AArch64, whose baseline has it */
    TQ_ISA_AVX2 = 1u << 0,   /* AVX2, FMA, F16C, BMI2 */
    TQ_ISA_AVX512 = 1u << 1, /* AVX-512 F, BW, DQ, VL */
    TQ_ISA_AVX512VNNI = 1u << 2,
    TQ_ISA_AVX512VBMI = 1u << 3,
    TQ_ISA_AMX = 1u << 4,                             /* AMX-TILE, AMX-INT8, and the system's leave to use them */
    TQ_ISA_PRODUCTS = TQ_ISA_AVX512VNNI | TQ_ISA_AMX, /* where `multiply` is faster than as many scans */
};

/* A random orthogonal map R^dim -> R^dim: `rounds` rounds of (permute and flip signs; mix), see codec/rotation.c.
 * Round r maps x to y: t[i] = flip(x[permutation[r*dim + i]], signs[r*dim + i]), then mixes t.
 * The mix of round r: for each of `parts` runs of `span` elements (span a power of two) from `start`, an
 * unnormalised Hadamard transform; start = 0 for even r, dim - parts * span for odd r. When parts is 3, also
 * (a,b,c) -> (a - s, b - s, c - s), s = (a + b + c) * 2/3 evaluated as ((a + b) + c) * 0.6666667f, over elements
 * i, i + span, i + 2 span, after the Hadamard transforms. Finally the elements touched are multiplied by `scale`. */
struct tq_rotation {
    uint32_t dim, rounds, parts, span;
    float scale;                 /* 1 / sqrt(span), rounded to f32 */
    const uint32_t *permutation; /* [rounds][dim], or NULL for the identity */
    const uint32_t *signs;       /* [rounds][dim]: 0 or 0x80000000, xor-ed into the float */
};

/* One row, rotated, against a codebook. */
struct tq_quantizer {
    uint32_t dim, code_bits;
    const float *thresholds; /* [(1 << code_bits) - 1] ascending: index = count of thresholds <= value */
    const float *centroids;  /* [1 << code_bits] ascending */
};

struct tq_quantized_sums {
    float dot;  /* sum of centroid[index_j] * x_j,  fixed order */
    float norm; /* sum of centroid[index_j]^2,      fixed order */
};

/* A prepared query as the kernels read it; arrays of integers are padded to tq_layout_padded_dim() with zeros. */
struct tq_code_query {
    uint32_t dim, code_bits;
    bool sketch;                 /* the records have a QJL plane */
    const int16_t *query;        /* rotated query, |query| * |any code row| < 2^31 */
    const int16_t *sketch_query; /* the same through the second rotation; NULL without sketch */
    const int16_t *centroids;    /* [1 << code_bits] */
};

struct tq_code_dots {
    int32_t code;   /* sum of query_j * centroids[index_j] */
    int32_t sketch; /* sum of +-sketch_query_j; 0 without sketch */
};

/* A line that rows of a block must reach, in u16 with saturation (+|, -|) and the high half of a product (*^).
 * Row r passes if
 *   first[r] +| (second[r] >> 1)  >=  (base +| (inverse[r] *^ gain)) -| (error[r] *^ loss) */
struct tq_gate_query {
    uint16_t base, gain, loss;
};

struct tq_kernels {
    const char *name; /* of the instruction set, as tq_isa_name() has it */
    unsigned isa;     /* all instruction sets among them */

    /* out = R in. in, out: f32[dim], not overlapping; 64-byte aligned. */
    void (*rotate)(const struct tq_rotation *rotation, const float *in, float *out);

    /* In-place unnormalised Hadamard transform, n a power of two: stages h = 1, 2, 4 .. n/2 of
     * (x[i], x[i+h]) -> (x[i] + x[i+h], x[i] - x[i+h]). */
    void (*hadamard)(float *x, size_t n);

    /* indices u8[dim] = codes of scale * x (each product rounded to f32), sums as against x itself. */
    void (*quantize)(const struct tq_quantizer *quantizer, const float *x, float scale, uint8_t *indices,
                     struct tq_quantized_sums *sums);

    /* sketch u8[dim] = 1 where x_j >= 0, and the fixed-order sum of |x_j|. */
    float (*sketch)(const float *x, size_t dim, uint8_t *sketch);

    /* Fixed-order sum of x_j * (sketch_j ? 1 : -1). */
    float (*sketch_dot)(const float *x, const uint8_t *sketch, size_t dim);

    /* The bit planes of a record from indices and (unless NULL) sketch, each u8[dim]. */
    void (*pack)(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits, uint8_t *record);

    /* One block of a scan plane from records[0..row_count), row_count <= 128; the rest becomes 0. Reads record
     * plane `plane`; block: tq_layout_block_bytes(dim). */
    void (*transpose)(const uint8_t *records, size_t stride, size_t row_count, uint32_t plane, size_t dim,
                      uint8_t *block);

    /* Scan a plane of signs. For each listed block b (list NULL: b = 0..count-1; else list[0..count)):
     * sums[128*b + row] = sum over groups of lut[16*group + nibble], maxima[b] = the largest of them (all 128).
     * Look-up entries are at most 124, and the sum of a group's largest entries at most 65535. */
    void (*scan)(const uint8_t *blocks, const uint32_t *list, size_t count, size_t groups, const uint8_t *lut,
                 uint16_t *sums, uint16_t *maxima);

    /* Bit r of mask[r / 64] = value_r >= threshold over one block, value = sums[r], or, with `second`, the
     * saturating u16 sums[r] + (second[r] >> 1). */
    void (*select)(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]);

    /* Bit r of mask[r / 64]: row r of a block passes the gate. first, second, inverse, error: u16[128]. */
    void (*gate)(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]);

    /* A tile from the blocks of the two scan planes. tile: tq_layout_tile_bytes(groups). */
    void (*unpack)(const uint8_t *first, const uint8_t *second, size_t groups, uint8_t *tile);

    /* sums i32[count][128], in the tile's order of rows: query_j * (2 bit(plane 0) + bit(plane 1)) over all j.
     * queries: i8, `stride` bytes apart (a multiple of 64), zeros beyond dim; within +-31. */
    void (*multiply)(const uint8_t *tile, size_t groups, const int8_t *queries, size_t stride, size_t count,
                     int32_t *sums);

    /* gate, of rows whose value is (sum + offset) >> 1, limited to u16. sums: i32[128] of one query, as multiply left
     * them; sum + offset >= 0. */
    void (*reach)(const struct tq_gate_query *query, int32_t offset, const int32_t *sums, const uint16_t *inverse,
                  const uint16_t *error, uint64_t mask[2]);

    /* Sparse form of scan: dots[i] = sum over dim of (bit ? query_j : -query_j), bits of record plane `plane`.
     * query: i8[padded dim], entries within +-31. */
    void (*sign_dots)(const int8_t *query, size_t dim, uint32_t plane, const uint8_t *const *records, size_t count,
                      int32_t *dots);

    /* Refine chosen rows: full code and QJL of records[0..count). Prefetches ahead. */
    void (*refine)(const struct tq_code_query *query, const uint8_t *const *records, size_t count,
                   struct tq_code_dots *dots);

    /* The same over a run of records, `stride` apart: the full score of a row range. */
    void (*score)(const struct tq_code_query *query, const uint8_t *records, size_t stride, size_t count,
                  struct tq_code_dots *dots);

    /* Inner products in double, fixed order (products are exact, so fusing is allowed). x may be unaligned. */
    double (*dot_f32)(const float *query, const float *x, size_t dim);
    double (*dot_f16)(const float *query, const uint16_t *x, size_t dim);

    /* Nearest half, ties to even. */
    void (*to_f16)(const float *x, size_t dim, uint16_t *half);
};

/* Instruction sets this CPU and operating system can run, as a mask of enum tq_isa. */
unsigned tq_cpu_isa(void);

/* For every operation the best implementation within the mask; the scalar row is complete. Pure. */
void tq_kernels_select(unsigned isa_mask, struct tq_kernels *kernels);

/* The name of operation i, NULL beyond the last; *row_name: of the row that serves it within the mask. */
const char *tq_kernels_operation(unsigned isa_mask, size_t i, const char **row_name);

/* The names of instruction sets, weaker ones first; NULL beyond the last. */
const char *tq_isa_name(size_t i);

/* The mask for a name: the set and those it includes; false if unknown. */
bool tq_isa_from_name(const char *name, unsigned *isa_mask);

/* Whether this program has rows for the set: not for those of another kind of processor. */
bool tq_isa_is_built(const char *name);

#endif
