/* Bit layout of codes, shared by every kernel (.c and .cu) and by storage/FORMAT.md.
 *
 * Record    row-major, one per row: `bits` bit planes of plane_bytes = ceil(dim / 8) each, then scalars.
 *           Plane p < code_bits holds bit (code_bits - 1 - p) of the Lloyd-Max index in natural binary, so
 *           plane 0 is the sign (1 = the upper half, +). With QJL, plane code_bits holds the sketch (1 = +).
 *           Dimension j is bit j % 8 of byte j / 8. Bits beyond dim are 0.
 *           A kernel may read up to 8 bytes past the last plane: the scalars lie there.
 * Block     128 rows of one scan plane (record plane 0 or 1), transposed for byte-shuffle look-ups:
 *           groups = ceil(dim / 4) runs of 64 bytes; byte l of run g holds in its low nibble dimensions
 *           4g..4g+3 of row l (bit i is dimension 4g+i), in its high nibble those of row l + 64.
 *           Rows beyond the segment are 0 bits, and whoever reads the sums must cap at its row count.
 *
 * Tile      128 rows of two-bit codes as bytes 2 bit(plane 0) + bit(plane 1), for products with many queries; never
 *           stored. 8 strips of 16 rows; a strip is one line of 64 bytes a group, byte 4 k + i being dimension 4g + i
 *           of its k-th row. Groups are padded with zeros to a multiple of 16. Two strips hold runs of four rows in
 *           turn, so that packing two lines of sums from dwords to words brings 32 rows into order. */
#ifndef TQ_LAYOUT_H
#define TQ_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum { TQ_LAYOUT_BLOCK_ROWS = 128, TQ_LAYOUT_GROUP_DIMS = 4, TQ_LAYOUT_GROUP_BYTES = 64 };

static inline size_t tq_layout_groups(size_t dim) { return (dim + 3) / 4; }
static inline size_t tq_layout_block_bytes(size_t dim) { return tq_layout_groups(dim) * 64; }
static inline size_t tq_layout_plane_bytes(size_t dim) { return (dim + 7) / 8; }

/* Queries are padded with zeros to this many elements, so that kernels need no tail. */
static inline size_t tq_layout_padded_dim(size_t dim) { return (dim + 63) / 64 * 64; }

static inline size_t tq_layout_tile_groups(size_t groups) { return (groups + 15) / 16 * 16; }
static inline size_t tq_layout_tile_bytes(size_t groups) { return 8 * tq_layout_tile_groups(groups) * 64; }
/* Which strip a row of a block is in, and where there. */
static inline size_t tq_layout_tile_strip(size_t row) { return row / 32 * 2 + row / 4 % 2; }
static inline size_t tq_layout_tile_place(size_t row) { return row % 32 / 8 * 4 + row % 4; }

#endif
