#include "storage/packed_record.h"

#include <string.h>

#define LANE_BYTES 64u /* of a run of a block: lanes l and l + 64 share byte l */

/* ---- Lanes ---- */

void tq_lane_write(uint32_t dim, const uint8_t *plane, uint32_t lane, uint8_t *block) {
    uint32_t groups = (dim + 3) / 4, shift = lane / LANE_BYTES * 4;
    uint8_t *at = block + lane % LANE_BYTES, others = (uint8_t)(0xf0 >> shift);
    for (uint32_t group = 0; group < groups; group++, at += LANE_BYTES) {
        uint32_t nibble = (uint32_t)plane[group / 2] >> group % 2 * 4 & 15u;
        *at = (uint8_t)((*at & others) | nibble << shift);
    }
}

void tq_lanes_clear(uint32_t dim, uint32_t first, uint8_t *block) {
    uint32_t groups = (dim + 3) / 4;
    uint8_t kept[LANE_BYTES];
    for (uint32_t i = 0; i < LANE_BYTES; i++)
        kept[i] = (uint8_t)((i < first ? 0x0f : 0) | (i + LANE_BYTES < first ? 0xf0 : 0));
    for (uint32_t group = 0; group < groups; group++, block += LANE_BYTES)
        for (uint32_t i = 0; i < LANE_BYTES; i++) block[i] &= kept[i];
}

/* The path of every row that a search refines: two loops, so that shifts are constants. */
static void lane_read(uint32_t dim, const uint8_t *restrict block, uint32_t lane, uint8_t *restrict plane) {
    uint32_t groups = (dim + 3) / 4, pairs = groups / 2;
    const uint8_t *at = block + lane % LANE_BYTES;
    if (lane < LANE_BYTES) {
        for (uint32_t i = 0; i < pairs; i++, at += (size_t)2 * LANE_BYTES)
            plane[i] = (uint8_t)((at[0] & 0x0f) | at[LANE_BYTES] << 4);
        if (groups % 2 != 0) plane[pairs] = *at & 0x0f;
    } else {
        for (uint32_t i = 0; i < pairs; i++, at += (size_t)2 * LANE_BYTES)
            plane[i] = (uint8_t)(at[0] >> 4 | (at[LANE_BYTES] & 0xf0));
        if (groups % 2 != 0) plane[pairs] = *at >> 4;
    }
}

/* ---- Records ---- */

/* Sizes are small and vary: a call to memcpy would cost more than the copy. */
static inline void copy_planes(uint8_t *restrict to, const uint8_t *restrict from, size_t size) {
    if (size < 8) {
        for (size_t i = 0; i < size; i++) to[i] = from[i];
        return;
    }
    for (size_t i = 0; i + 8 < size; i += 8) memcpy(to + i, from + i, 8);
    memcpy(to + size - 8, from + size - 8, 8);
}

void tq_packed_write(const struct tq_format *format, const uint8_t *record, uint8_t *stored) {
    struct tq_record_tail tail;
    uint16_t scalars[3];
    size_t count = 0;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    scalars[count++] = tq_scale_pack(tail.scale);
    if (!format->norms) scalars[count++] = tq_norm_pack(tail.norm);
    if (format->qjl) scalars[count++] = tail.gamma;
    size_t planes = (size_t)(format->bits - 1) * format->plane_bytes;
    memcpy(stored, record + format->plane_bytes, planes);
    memcpy(stored + planes, scalars, count * sizeof *scalars);
}

void tq_packed_read(const struct tq_format *format, const uint8_t *stored, const uint8_t *block, uint32_t lane,
                    float norm, uint8_t *record) {
    size_t planes = (size_t)(format->bits - 1) * format->plane_bytes, at = planes;
    struct tq_record_tail tail = {.norm = norm};
    uint16_t half;
    memcpy(&half, stored + at, sizeof half);
    tail.scale = tq_scale_unpack(half);
    if (!format->norms) {
        memcpy(&half, stored + (at += sizeof half), sizeof half);
        tail.norm = tq_norm_unpack(half);
    }
    if (format->qjl) memcpy(&tail.gamma, stored + at + sizeof half, sizeof tail.gamma);
    lane_read(format->dim, block, lane, record);
    copy_planes(record + format->plane_bytes, stored, planes);
    memcpy(record + format->plane_bytes + planes, &tail, sizeof tail);
    for (size_t i = format->record_bytes; i < format->record_stride; i++) record[i] = 0;
}
