/* All rows: segment by segment, then the rows without a vector. */
#include <string.h>

#include "sql/vtab.h"
#include "src/base/alloc.h"

enum tq_status tq_scan_begin(struct tq_sql_cursor *cursor) {
    TQ_TRY(tq_table_view(cursor->table->access->table, &cursor->view));
    cursor->table->rows_seen = cursor->view.live;
    cursor->source = TQ_SOURCE_SCAN;
    cursor->segment = 0;
    cursor->row = 0;
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
    for (; cursor->row < rows && count < TQ_BATCH; cursor->row++) {
        if (!is_dead(from, cursor->row)) cursor->batch_rows[count++] = cursor->row;
    }
    cursor->batch_count = count;
    cursor->batch_at = 0;
}

static enum tq_status fill_batch(struct tq_sql_cursor *cursor) {
    bool codes_only = cursor->table->access->codec->format.rows == TQ_ROWS_NONE;
    cursor->batch_count = 0;
    while (cursor->segment < cursor->view.count) {
        const struct tq_view_segment *from = &cursor->view.segments[cursor->segment];
        choose_rows(cursor, from);
        if (cursor->batch_count == 0) {
            cursor->segment++;
            cursor->row = 0;
            continue;
        }
        size_t count = cursor->batch_count;
        const uint32_t *rows = cursor->batch_rows;
        TQ_TRY(tq_segment_ids(from->segment, rows, count, cursor->batch_ids));
        if (codes_only) return tq_segment_records(from->segment, rows, count, cursor->records, cursor->batch_units);
        return tq_segment_gather(from->segment, TQ_PLANE_EXACT, rows, count, cursor->batch_units);
    }
    return TQ_OK;
}

/* Rows without a vector are few: their ids are read at once. */
static enum tq_status add_null_ids(struct tq_sql_cursor *cursor) {
    sqlite3_stmt *statement = NULL;
    enum tq_status status = TQ_OK;
    TQ_TRY(tq_sql_prepare(cursor->table, TQ_SQL_NULL_IDS, 0, &statement));
    int rc = sqlite3_step(statement);
    for (; rc == SQLITE_ROW && status == TQ_OK; rc = sqlite3_step(statement)) {
        status = tq_cursor_add_id(cursor, sqlite3_column_int64(statement, 0));
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_sql_fail(cursor->table->sql->db, rc, "reading NULL rows");
    (void)sqlite3_reset(statement);
    return status;
}

enum tq_status tq_scan_next(struct tq_sql_cursor *cursor) {
    if (cursor->batch_at == cursor->batch_count) {
        TQ_TRY(fill_batch(cursor));
        if (cursor->batch_count == 0) {
            cursor->source = TQ_SOURCE_IDS;
            TQ_TRY(add_null_ids(cursor));
            cursor->eof = cursor->id_count == 0;
            return cursor->eof ? TQ_OK : tq_cursor_look_up(cursor, cursor->ids[cursor->id_at++]);
        }
        /* The log's rows come last, and their memory moves when more are added. */
        cursor->unit_mapped = cursor->view.log_rows == 0 || cursor->segment + 1 < cursor->view.count;
        cursor->unit_changes = cursor->table->changes;
        cursor->is_null = false;
    }
    cursor->id = cursor->batch_ids[cursor->batch_at];
    cursor->unit = cursor->batch_units[cursor->batch_at++];
    return TQ_OK;
}

enum tq_status tq_scan_to_ids(struct tq_sql_cursor *cursor) {
    do {
        for (; cursor->batch_at < cursor->batch_count; cursor->batch_at++) {
            TQ_TRY(tq_cursor_add_id(cursor, cursor->batch_ids[cursor->batch_at]));
        }
        TQ_TRY(fill_batch(cursor));
    } while (cursor->batch_count > 0);
    TQ_TRY(add_null_ids(cursor));
    cursor->source = TQ_SOURCE_IDS;
    return TQ_OK;
}
