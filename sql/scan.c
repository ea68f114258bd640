/* All rows by segments of one vector column, then those without a vector in it. */
#include <string.h>

#include "sql/vtab.h"
#include "src/base/alloc.h"

enum tq_status tq_scan_begin(struct tq_sql_cursor *cursor) {
    TQ_TRY(tq_sql_view(cursor->table, cursor->vector, NULL, NULL, 0, &cursor->scan));
    cursor->table->rows_seen = cursor->scan.view.live;
    cursor->source = TQ_SOURCE_SCAN;
    cursor->segment = 0;
    cursor->segment_row = 0;
    cursor->batch_count = cursor->batch_at = 0;
    return TQ_OK;
}

static bool is_dead(const struct tq_view_segment *from, uint32_t row) {
    return from->dead != NULL && (from->dead[row / 64] >> (row % 64) & 1) != 0;
}

/* The next living rows of a segment, up to a batch; none when it has no more. */
static void choose_rows(struct tq_sql_cursor *cursor, const struct tq_view_segment *from) {
    uint32_t rows = tq_segment_row_count(from->segment);
    size_t count = 0;
    for (; cursor->segment_row < rows && count < TQ_BATCH; cursor->segment_row++) {
        if (!is_dead(from, cursor->segment_row)) cursor->batch_rows[count++] = cursor->segment_row;
    }
    cursor->batch_count = count;
    cursor->batch_at = 0;
}

/* Rows in memory are those of the log: their memory moves when more are added. */
static bool is_mapped(const struct tq_segment *segment) {
    uint64_t identity[2];
    tq_segment_identity(segment, identity);
    return identity[0] != 0;
}

static enum tq_status fill_batch(struct tq_sql_cursor *cursor) {
    bool codes_only = tq_cursor_format(cursor)->rows == TQ_ROWS_NONE;
    cursor->batch_count = 0;
    while (cursor->segment < cursor->scan.view.count) {
        const struct tq_view_segment *from = &cursor->scan.view.segments[cursor->segment];
        choose_rows(cursor, from);
        if (cursor->batch_count == 0) {
            cursor->segment++;
            cursor->segment_row = 0;
            continue;
        }
        size_t count = cursor->batch_count;
        const uint32_t *rows = cursor->batch_rows;
        cursor->unit_mapped = cursor->scan_reads && !codes_only && is_mapped(from->segment);
        TQ_TRY(tq_segment_ids(from->segment, rows, count, cursor->batch_ids));
        if (!cursor->scan_reads) return TQ_OK;
        if (codes_only) return tq_segment_records(from->segment, rows, count, cursor->records, cursor->batch_units);
        return tq_segment_gather(from->segment, TQ_PLANE_EXACT, rows, count, cursor->batch_units);
    }
    return TQ_OK;
}

enum tq_status tq_scan_next(struct tq_sql_cursor *cursor) {
    if (cursor->batch_at == cursor->batch_count) {
        TQ_TRY(fill_batch(cursor));
        if (cursor->batch_count == 0) {
            cursor->source = TQ_SOURCE_IDS;
            cursor->unit = NULL;
            TQ_TRY(tq_cursor_add_nulls(cursor, UINT64_MAX));
            cursor->eof = cursor->id_count == 0;
            if (!cursor->eof) cursor->id = cursor->ids[cursor->id_at++];
            return TQ_OK;
        }
        cursor->unit_changes = cursor->table->changes;
    }
    cursor->id = cursor->batch_ids[cursor->batch_at];
    cursor->unit = cursor->scan_reads ? cursor->batch_units[cursor->batch_at] : NULL;
    cursor->batch_at++;
    return TQ_OK;
}

enum tq_status tq_scan_to_ids(struct tq_sql_cursor *cursor) {
    do {
        for (; cursor->batch_at < cursor->batch_count; cursor->batch_at++) {
            TQ_TRY(tq_cursor_add_id(cursor, cursor->batch_ids[cursor->batch_at]));
        }
        TQ_TRY(fill_batch(cursor));
    } while (cursor->batch_count > 0);
    TQ_TRY(tq_cursor_add_nulls(cursor, UINT64_MAX));
    cursor->source = TQ_SOURCE_IDS;
    return TQ_OK;
}
