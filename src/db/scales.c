/* What the rows of an index are like: the scalars that are stored beside their codes. */
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/base/stop.h"
#include "src/db/db.h"

static void take(struct tq_spread *spread, double value) {
    if (spread->count == 0 || value < spread->least) spread->least = value;
    if (spread->count == 0 || value > spread->most) spread->most = value;
    spread->sum += value;
    spread->count++;
}

static void take_record(const struct tq_format *format, const uint8_t *record, struct tq_scales *scales) {
    struct tq_record_tail tail;
    memcpy(&tail, record + (size_t)format->bits * format->plane_bytes, sizeof tail);
    take(&scales->norm, (double)tail.norm);
    if (tail.scale == 0) {
        scales->zeros++;
        return;
    }
    take(&scales->scale, (double)tail.scale);
    double error = (double)tq_f32_from_f16(tail.error);
    if (!format->packed && isfinite(error)) take(&scales->error, error);
}

static enum tq_status take_segment(const struct tq_format *format, const struct tq_view_segment *from, uint8_t *scratch,
                                   struct tq_scales *scales) {
    uint32_t count = tq_segment_row_count(from->segment), rows[TQ_BLOCK_ROWS];
    const uint8_t *records[TQ_BLOCK_ROWS];
    size_t unchecked = 0;
    for (uint32_t first = 0; first < count; first += TQ_BLOCK_ROWS) {
        size_t living = 0, end = tq_min_size(count, first + TQ_BLOCK_ROWS);
        for (uint32_t row = first; row < end; row++)
            if (from->dead == NULL || (from->dead[row / 64] >> (row % 64) & 1) == 0) rows[living++] = row;
        TQ_TRY(tq_stop_read(tq_stop_current(), (size_t)TQ_BLOCK_ROWS * format->record_stride, &unchecked));
        TQ_TRY(tq_segment_records(from->segment, rows, living, scratch, records));
        for (size_t i = 0; i < living; i++) take_record(format, records[i], scales);
    }
    return TQ_OK;
}

enum tq_status tq_view_scales(const struct tq_format *format, const struct tq_view *view, struct tq_scales *scales) {
    uint8_t *scratch = tq_alloc_array(TQ_BLOCK_ROWS, format->record_stride);
    if (scratch == NULL) return TQ_NOMEM;
    struct tq_scales found = {.zeros = 0};
    enum tq_status status = TQ_OK;
    for (size_t i = 0; i < view->count && status == TQ_OK; i++)
        status = take_segment(format, &view->segments[i], scratch, &found);
    tq_free(scratch);
    if (status == TQ_OK) *scales = found;
    return status;
}
