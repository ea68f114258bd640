/* Bit planes from indices, and scan blocks from bit planes: the definitions of layout.h, byte by byte. */
#include <string.h>

#include "kernels/impl.h"

static void pack_plane(const uint8_t *values, size_t dim, uint32_t shift, uint8_t *plane) {
    memset(plane, 0, tq_layout_plane_bytes(dim));
    for (size_t j = 0; j < dim; j++) plane[j / 8] |= (uint8_t)(((uint32_t)values[j] >> shift & 1u) << j % 8);
}

static void pack(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits, uint8_t *record) {
    size_t plane_bytes = tq_layout_plane_bytes(dim);
    for (uint32_t p = 0; p < code_bits; p++) {
        pack_plane(indices, dim, code_bits - 1 - p, record + p * plane_bytes);
    }
    if (sketch != NULL) pack_plane(sketch, dim, 0, record + code_bits * plane_bytes);
}

static void transpose(const uint8_t *records, size_t stride, size_t row_count, uint32_t plane, size_t dim,
                      uint8_t *block) {
    size_t groups = tq_layout_groups(dim), offset = plane * tq_layout_plane_bytes(dim);
    memset(block, 0, tq_layout_block_bytes(dim));
    for (size_t row = 0; row < row_count; row++) {
        const uint8_t *bits = records + row * stride + offset;
        size_t byte = row % TQ_LAYOUT_GROUP_BYTES, shift = row < TQ_LAYOUT_GROUP_BYTES ? 0 : 4;
        for (size_t g = 0; g < groups; g++) {
            uint32_t nibble = (uint32_t)bits[g / 2] >> g % 2 * 4 & 15u;
            block[g * TQ_LAYOUT_GROUP_BYTES + byte] |= (uint8_t)(nibble << shift);
        }
    }
}

const struct tq_pack_impl tq_pack_scalar = {.pack = pack, .transpose = transpose};
