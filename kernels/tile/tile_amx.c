/* Tiles by AMX: 16 queries x 16 rows x 64 dimensions an instruction.
 *
 * Registers  tmm0-3 sums of 2 runs of queries x 2 strips; tmm4-5 queries; tmm6-7 strips.
 * Bound      tdpbsud, 16 cycles each: 1 cycle for 16 rows x 64 dimensions and query, 16 times vpdpbusd; four tile loads
 *            (8 cycles each) for every four of them. The sums leave by 16 lines of 64 bytes a tile. */
#include <immintrin.h>
#include <string.h>

#include "kernels/impl.h"

enum { STRIPS = 8, RUN = 16, LINE = 64, ROWS = TQ_LAYOUT_BLOCK_ROWS };

struct __attribute__((packed)) tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Queries of the first and of the second run. */
static void configure(size_t first, size_t second) {
    struct tile_config config = {.palette = 1};
    const size_t rows[] = {first, first, second, second, first, second, RUN, RUN};
    for (size_t i = 0; i < 8; i++) {
        config.rows[i] = (uint8_t)(rows[i] == 0 ? RUN : rows[i]);
        config.row_bytes[i] = LINE;
    }
    _tile_loadconfig(&config);
}

static inline void multiply_pair(const uint8_t *tile, size_t steps, const int8_t *queries, size_t stride, bool two,
                                 int32_t *sums) {
    size_t strip_bytes = steps * RUN * LINE;
    for (size_t strip = 0; strip < STRIPS; strip += 2) {
        const uint8_t *codes = tile + strip * strip_bytes;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (size_t step = 0; step < steps; step++) {
            _tile_loadd(4, queries + step * LINE, stride);
            _tile_loadd(6, codes + step * RUN * LINE, LINE);
            _tile_loadd(7, codes + strip_bytes + step * RUN * LINE, LINE);
            _tile_dpbsud(0, 4, 6);
            _tile_dpbsud(1, 4, 7);
            if (!two) continue;
            _tile_loadd(5, queries + RUN * stride + step * LINE, stride);
            _tile_dpbsud(2, 5, 6);
            _tile_dpbsud(3, 5, 7);
        }
        int32_t *to = sums + strip * RUN;
        _tile_stored(0, to, ROWS * sizeof *sums);
        _tile_stored(1, to + RUN, ROWS * sizeof *sums);
        if (!two) continue;
        _tile_stored(2, to + RUN * ROWS, ROWS * sizeof *sums);
        _tile_stored(3, to + RUN * ROWS + RUN, ROWS * sizeof *sums);
    }
}

static void multiply(const uint8_t *tile, size_t groups, const int8_t *queries, size_t stride, size_t count,
                     int32_t *sums) {
    size_t steps = tq_layout_tile_groups(groups) / RUN;
    if (count == 0) return;
    if (count >= 2 * RUN) configure(RUN, RUN);
    for (; count >= 2 * RUN; count -= 2 * RUN) {
        multiply_pair(tile, steps, queries, stride, true, sums);
        queries += 2 * RUN * stride;
        sums += 2 * RUN * ROWS;
    }
    if (count > 0) {
        configure(count < RUN ? count : RUN, count > RUN ? count - RUN : 0);
        multiply_pair(tile, steps, queries, stride, count > RUN, sums);
    }
    _tile_release();
}

const struct tq_tile_impl tq_tile_amx = {.multiply = multiply};
