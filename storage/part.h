/* How the parts of a table are told apart: by the range their slots lie in, and the sequence numbers of their logs. */
#ifndef TQ_PART_H
#define TQ_PART_H

#include <stdint.h>

#define TQ_PART_SHIFT 40 /* part << 40 | 0 .. 2^40 - 1; sequence numbers begin at 1 */
#define TQ_PARTS_MAX (1u << 22)
_Static_assert((uint64_t)TQ_PARTS_MAX << TQ_PART_SHIFT <= INT64_MAX,
               "they are SQLite's integers, also one past the end");

/* The part a slot or a sequence number belongs to. */
static inline uint32_t tq_slot_part(uint64_t slot) { return (uint32_t)(slot >> TQ_PART_SHIFT); }

static inline uint64_t tq_part_first(uint32_t part) { return (uint64_t)part << TQ_PART_SHIFT; }
static inline uint64_t tq_part_end(uint32_t part) { return tq_part_first(part + 1); }

#endif
