/* Conditions beside MATCH, answered in one of two ways. Few rows pass: a bitmap of them is made, and the search sees no
 * others. Many pass: the search sees all rows, and each one found is looked up. Which it is, is not known before: a
 * sample tells, and the first rows found know better. docs/decisions/0009. */
#include <math.h>

#include "sql/stream.h"

/* Rows that a bitmap may have if it is made before anything is known, through an index; rows of a sample. Either is
 * some .1 ms. Without an index a wrong choice is dearer: where few rows pass, the sample is a larger one. */
enum { PROBE = 1000, SAMPLE = 150, SAMPLE_LARGE = 500 };
#define SHARE_SMALL .15

static enum tq_status prepare_check(struct tq_sql_cursor *cursor) {
    struct tq_stream *stream = cursor->stream;
    const struct tq_sql_table *table = cursor->table;
    stream->check_text = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w_rows\" WHERE id = ?%d AND (%s)", table->schema,
                                         table->name, (int)cursor->filter.count + 1, cursor->filter.where);
    if (stream->check_text == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement");
    TQ_TRY(tq_sql_take(cursor->table, stream->check_text, &stream->check));
    tq_where_bind(&cursor->filter, stream->check, 0);
    return TQ_OK;
}

enum tq_status tq_filtering_pass(struct tq_sql_cursor *cursor, int64_t id, bool *pass) {
    struct tq_stream *stream = cursor->stream;
    if (stream->check == NULL) TQ_TRY(prepare_check(cursor));
    (void)sqlite3_bind_int64(stream->check, (int)cursor->filter.count + 1, id);
    int rc = sqlite3_step(stream->check);
    *pass = rc == SQLITE_ROW;
    (void)sqlite3_reset(stream->check);
    stream->looked++;
    stream->passed += *pass;
    return rc == SQLITE_ROW || rc == SQLITE_DONE
               ? TQ_OK
               : tq_sql_fail(cursor->table->sql->db, rc, "checking a row against WHERE");
}

/* In microseconds, measured: looking at one more row of a search and looking it up; a row of a bitmap, stepped to in an
 * index; a row of the table, where no index helps, whether it passes or not. Only their ratios matter. */
static const double each_us = 12, indexed_us = 0.07, stepped_us = 0.05;

static double bitmap_cost(const struct tq_sql_cursor *cursor, double rows, double share) {
    return cursor->filter.narrow ? rows * share * indexed_us : rows * stepped_us;
}

/* Rows to look at so that `wanted` of them pass, probably. */
double tq_rows_needed(double wanted, double share) { return (wanted + 1.2 * sqrt(wanted) + 1) / share; }

/* The share of rows that pass, by a sample of them. */
static enum tq_status sample(struct tq_sql_cursor *cursor, const struct tq_view *view, uint64_t count, double *share) {
    struct tq_stream *stream = cursor->stream;
    uint64_t step = view->live / count + 1, passed = 0, looked = 0, skip = step / 2;
    for (size_t i = 0; i < view->count; i++) {
        struct tq_segment *segment = view->segments[i].segment;
        uint64_t rows = tq_segment_row_count(segment), at = skip;
        for (; at < rows; at += step) {
            uint32_t row = (uint32_t)at;
            int64_t id = 0;
            bool pass = false;
            TQ_TRY(tq_segment_ids(segment, &row, 1, &id));
            TQ_TRY(tq_filtering_pass(cursor, id, &pass)); /* a dead one does not */
            looked++;
            passed += pass;
        }
        skip = at - rows;
    }
    *share = ((double)passed + .5) / ((double)looked + 1);
    stream->looked = stream->passed = 0;
    return TQ_OK;
}

/* A bitmap that is there, or soon made; else what is cheaper, by a sample. A bitmap can be used again: when looking at
 * each row has cost as much as an eighth of one, it is made. */
enum tq_status tq_filtering_begin(struct tq_sql_cursor *cursor) {
    struct tq_stream *stream = cursor->stream;
    const struct tq_where *filter = &cursor->filter;
    const struct tq_view *view = NULL;
    struct tq_where_notes *notes = NULL;
    stream->filtering = TQ_FILTERING_NONE;
    if (filter->where == NULL) return TQ_OK;
    stream->filtering = TQ_FILTERING_BITMAP;
    TQ_TRY(tq_where_notes(cursor->table, cursor->vector, filter, &notes));
    TQ_TRY(tq_where_view(cursor->table, cursor->vector, filter, filter->long_count > 0 ? UINT64_MAX : 0, &view));
    if (view == NULL && filter->narrow && notes->share == 0) {
        TQ_TRY(tq_where_view(cursor->table, cursor->vector, filter, PROBE, &view));
    }
    if (view != NULL) return TQ_OK;
    TQ_TRY(tq_sql_view(cursor->table, cursor->vector, filter->partitions, filter->values, filter->count, &stream->all));
    if (notes->share == 0) TQ_TRY(sample(cursor, &stream->all.view, SAMPLE, &notes->share));
    if (notes->share < SHARE_SMALL && !filter->narrow && !notes->sampled_well) {
        TQ_TRY(sample(cursor, &stream->all.view, SAMPLE_LARGE, &notes->share));
        notes->sampled_well = true;
    }
    double wanted = (double)(stream->expected > 0 ? stream->expected : TQ_FIRST_ROWS);
    double cost = tq_rows_needed(wanted, notes->share) * each_us;
    double bitmap = bitmap_cost(cursor, (double)stream->all.view.live, notes->share);
    stream->share = notes->share;
    if (cost > bitmap || notes->spent > bitmap / 8) return TQ_OK;
    notes->spent += cost;
    stream->filtering = TQ_FILTERING_EACH;
    return TQ_OK;
}

/* More rows are needed than the sample had it, perhaps because rows near the query pass less often than others. *rows:
 * how many to look for. */
void tq_filtering_again(struct tq_sql_cursor *cursor, uint64_t *rows) {
    struct tq_stream *stream = cursor->stream;
    if (stream->filtering != TQ_FILTERING_EACH || stream->expected <= stream->emitted) return;
    double share = ((double)stream->passed + .5) / ((double)stream->looked + 1);
    double more = tq_rows_needed((double)(stream->expected - stream->emitted), share);
    double bitmap = bitmap_cost(cursor, (double)cursor->table->rows_seen, fmin(share, stream->share));
    *rows = stream->asked + (uint64_t)more;
    if (more * each_us < bitmap) return;
    stream->filtering = TQ_FILTERING_BITMAP;
    *rows = stream->expected;
    tq_filtering_reset(cursor);
}

void tq_filtering_reset(struct tq_sql_cursor *cursor) {
    struct tq_stream *stream = cursor->stream;
    if (stream->check != NULL) {
        (void)sqlite3_clear_bindings(stream->check);
        tq_sql_give(cursor->table, stream->check_text, stream->check);
    }
    sqlite3_free(stream->check_text);
    stream->check = NULL;
    stream->check_text = NULL;
}
