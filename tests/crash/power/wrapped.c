/* Small flushes and small segments, so that a few dozen transactions have many of both, and merges that adopt exact
 * rows: the program is linked with --wrap for these functions. The format does not say how many rows a segment has. */
#include "storage/directory.h"
#include "tests/crash/power/workload.h"

uint32_t __wrap_tq_segment_flush_rows(const struct tq_format *format);
uint32_t __wrap_tq_segment_rows_max(const struct tq_format *format);
uint32_t __wrap_tq_plane_units_chunk(const struct tq_format *format, enum tq_plane plane);
uint32_t __real_tq_plane_units_chunk(const struct tq_format *format, enum tq_plane plane);

uint32_t __wrap_tq_segment_flush_rows(const struct tq_format *format) {
    (void)format;
    return FLUSH_ROWS;
}

uint32_t __wrap_tq_segment_rows_max(const struct tq_format *format) {
    (void)format;
    return SEGMENT_ROWS;
}

/* Of exact rows this is only what a merge takes for a full chunk. */
uint32_t __wrap_tq_plane_units_chunk(const struct tq_format *format, enum tq_plane plane) {
    return plane == TQ_PLANE_EXACT ? FLUSH_ROWS + FLUSH_ROWS / 2 : __real_tq_plane_units_chunk(format, plane);
}
