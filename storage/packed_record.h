/* Records where no exact rows are kept: what a segment stores of them, and the whole record put together again.
 * The first plane lies in a block already, and the norm in a plane of norms where there is one (FORMAT.md). */
#ifndef TQ_PACKED_RECORD_H
#define TQ_PACKED_RECORD_H

#include "src/base/format.h"

/* format->stored_bytes of a record, whose scalars tq_format_round() has seen. */
void tq_packed_write(const struct tq_format *format, const uint8_t *record, uint8_t *stored);
/* The record, record_stride bytes, of lane `lane` of a block of the first plane. norm: counts if format->norms. */
void tq_packed_read(const struct tq_format *format, const uint8_t *stored, const uint8_t *block, uint32_t lane,
                    float norm, uint8_t *record);

/* A lane of a block from a record's first plane; what it held before does not matter. */
void tq_lane_write(uint32_t dim, const uint8_t *plane, uint32_t lane, uint8_t *block);
/* Zeros in the lanes from `first` on. */
void tq_lanes_clear(uint32_t dim, uint32_t first, uint8_t *block);

#endif
