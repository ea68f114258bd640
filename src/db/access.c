/* An index of the C library on a connection: part 0 of its table, and its engine. */
#include "src/base/alloc.h"
#include "src/db/db.h"

/* One part is what the C library can write: whose row is which is SQL's to know. */
static enum tq_status refuse_parts(struct tq_access *a, const char *name) {
    bool more = false;
    TQ_TRY(tq_table_has_parts(a->table, &more));
    if (!more) return TQ_OK;
    return tq_fail(TQ_UNSUPPORTED, "index \"%s\" has partitions or several vector columns; use SQL", name);
}

enum tq_status tq_access_open(struct tq_conn *conn, struct tq_env *env, const char *name, const struct tq_codec *codec,
                              struct tq_access **access) {
    struct tq_access *a = tq_alloc_zero(sizeof *a);
    if (a == NULL) return TQ_NOMEM;
    a->conn = conn;
    enum tq_status status = tq_table_open(conn, env, name, &a->table);
    if (status == TQ_OK) status = refuse_parts(a, name);
    if (status == TQ_OK) status = tq_engine_open(tq_table_format(a->table), codec, &a->engine);
    if (status != TQ_OK) {
        tq_access_close(a);
        return status;
    }
    *access = a;
    return TQ_OK;
}

void tq_access_close(struct tq_access *a) {
    if (a == NULL) return;
    tq_table_close(a->table);
    tq_engine_close(a->engine);
    tq_free(a);
}

enum tq_status tq_access_put(struct tq_access *a, int64_t id, const float *vector) {
    struct tq_row row;
    TQ_TRY(tq_encode(a->engine->encoder, vector, &row));
    return tq_table_put(a->table, id, &row);
}

/* Fewer rows are encoded sooner than a device is asked; so many are left to the CPU behind a row that it refused. */
enum { DEVICE_ROWS_LEAST = 4096, DEVICE_ROWS_SKIPPED = 256 };

/* Encode rows from `at` on by the device, if there is one. */
static void encode_ahead(struct tq_engine *e, struct tq_access_rows *rows, size_t at) {
    size_t left = rows->count - at;
    if (rows->count < DEVICE_ROWS_LEAST) return;
    if (!e->device_asked) e->device_encoder = tq_device_encoder_open(e->codec);
    e->device_asked = true;
    if (e->device_encoder == NULL) return;
    rows->first = at;
    rows->end = at + tq_device_encode(e->device_encoder, rows->vectors + at * e->codec->format.dim, left);
    rows->again = rows->end == at ? at + DEVICE_ROWS_SKIPPED : rows->end;
}

enum tq_status tq_access_put_row(struct tq_access *a, struct tq_access_rows *rows, size_t at) {
    struct tq_engine *e = a->engine;
    const float *vector = rows->vectors + at * e->codec->format.dim;
    struct tq_row row;
    if (at >= rows->end && at >= rows->again) encode_ahead(e, rows, at);
    if (at >= rows->end) return tq_access_put(a, rows->ids[at], vector);
    tq_device_encoded(e->device_encoder, at - rows->first, vector, &row);
    return tq_table_put(a->table, rows->ids[at], &row);
}

enum tq_status tq_access_search(struct tq_access *a, enum tq_metric metric, const float *queries, size_t query_count,
                                size_t k, const struct tq_search_options *options, struct tq_hit *hits, size_t *counts,
                                struct tq_search_stats *stats) {
    struct tq_view view;
    TQ_TRY(tq_table_view(a->table, &view));
    return tq_engine_search(a->engine, &view, metric, queries, query_count, k, options, hits, counts, stats);
}

enum tq_status tq_access_range(struct tq_access *a, const float *vector, double score, size_t capacity,
                               const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                               struct tq_search_stats *stats) {
    struct tq_view view;
    TQ_TRY(tq_table_view(a->table, &view));
    return tq_engine_range(a->engine, &view, tq_table_format(a->table)->metric, vector, score, capacity, options, hits,
                           count, stats);
}

enum tq_status tq_access_vector(struct tq_access *a, struct tq_segment *segment, uint32_t row, float *vector) {
    return tq_engine_vector(a->engine, segment, row, vector);
}

enum tq_status tq_access_get(struct tq_access *a, int64_t id, float *vector) {
    struct tq_view_segment where;
    uint32_t row = 0;
    TQ_TRY(tq_table_find(a->table, id, &where, &row));
    return tq_engine_vector(a->engine, where.segment, row, vector);
}
