#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/db/db.h"

/* "scalar, ssse3, avx2": the sets that this CPU has. */
static void list_sets(char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; tq_isa_name(i) != NULL; i++) {
        unsigned mask;
        if (!tq_isa_from_name(tq_isa_name(i), &mask) || (mask & ~tq_cpu_isa()) != 0) continue;
        int added = snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ", ", tq_isa_name(i));
        if (added > 0 && used + (size_t)added < size) used += (size_t)added;
    }
}

enum tq_status tq_kernels_from_environment(struct tq_kernels *kernels) {
    unsigned mask = tq_cpu_isa();
    const char *name = getenv("TQ_ISA");
    bool known = name == NULL || tq_isa_from_name(name, &mask);
    if (!known || (mask & ~tq_cpu_isa()) != 0) {
        char sets[128];
        list_sets(sets, sizeof sets);
        return tq_fail(TQ_MISUSE, "TQ_ISA is \"%.40s\", %s; it must be one of %s", name,
                       known ? "which this CPU does not have" : "which is no instruction set known here", sets);
    }
    tq_kernels_select(mask, kernels);
    return TQ_OK;
}

bool tq_netfs_allowed(void) {
    const char *value = getenv("TQ_ALLOW_NETFS");
    return value != NULL && strcmp(value, "1") == 0;
}

const char *tq_temporary_folder(void) {
    const char *value = getenv("SQLITE_TMPDIR");
    if (value == NULL || value[0] == 0) value = getenv("TMPDIR");
    return value == NULL || value[0] == 0 ? "/tmp" : value;
}

static enum tq_status open_codec(struct tq_access *a, const struct tq_codec *codec) {
    a->codec = codec;
    if (codec != NULL) return TQ_OK;
    struct tq_kernels kernels;
    TQ_TRY(tq_kernels_from_environment(&kernels));
    TQ_TRY(tq_codec_open(tq_table_format(a->table), &kernels, &a->owned_codec));
    a->codec = a->owned_codec;
    return TQ_OK;
}

static enum tq_status open_scratch(struct tq_access *a) {
    TQ_TRY(tq_encoder_open(a->codec, &a->encoder));
    TQ_TRY(tq_searcher_open(a->codec, &a->searcher));
    a->query_memory = tq_alloc(tq_query_bytes(a->codec));
    a->scratch = tq_alloc_array(5 * (size_t)a->codec->format.dim, sizeof(float));
    a->record = tq_alloc(a->codec->format.record_stride);
    return a->query_memory == NULL || a->scratch == NULL || a->record == NULL ? TQ_NOMEM : TQ_OK;
}

enum tq_status tq_access_open(struct tq_conn *conn, struct tq_env *env, const char *name, const struct tq_codec *codec,
                              struct tq_access **access) {
    struct tq_access *a = tq_alloc_zero(sizeof *a);
    if (a == NULL) return TQ_NOMEM;
    a->conn = conn;
    enum tq_status status = tq_table_open(conn, env, name, &a->table);
    if (status == TQ_OK) status = open_codec(a, codec);
    if (status == TQ_OK) status = open_scratch(a);
    if (status != TQ_OK) {
        tq_access_close(a);
        return status;
    }
    *access = a;
    return TQ_OK;
}

void tq_access_close(struct tq_access *a) {
    if (a == NULL) return;
    tq_searcher_close(a->searcher);
    tq_encoder_close(a->encoder);
    tq_free(a->query_memory);
    tq_free(a->scratch);
    tq_free(a->record);
    tq_table_close(a->table);
    tq_codec_close(a->owned_codec);
    tq_free(a);
}

enum tq_status tq_access_put(struct tq_access *a, int64_t id, const float *vector) {
    struct tq_row row;
    TQ_TRY(tq_encode(a->encoder, vector, &row));
    return tq_table_put(a->table, id, &row);
}

enum tq_status tq_search_check(const struct tq_search_options *options, int64_t k) {
    if (k < 0) return tq_fail(TQ_MISUSE, "k is %lld; it must be 0 or more", (long long)k);
    if (!(options->confidence > 0)) {
        return tq_fail(TQ_MISUSE, "confidence is %g; it must be above 0", options->confidence);
    }
    if (!(options->oversample == 0 || (options->oversample >= 1 && options->oversample <= 1e6))) {
        return tq_fail(TQ_MISUSE, "oversample is %g; it must be 0, or 1 to 1000000", options->oversample);
    }
    if (options->threads < 1 || options->threads > 256) {
        return tq_fail(TQ_MISUSE, "threads is %d; it must be 1 to 256", options->threads);
    }
    return TQ_OK;
}

enum tq_status tq_access_search(struct tq_access *a, enum tq_metric metric, const float *queries, size_t query_count,
                                size_t k, const struct tq_search_options *options, struct tq_hit *hits, size_t *counts,
                                struct tq_search_stats *stats) {
    struct tq_view view;
    TQ_TRY(tq_table_view(a->table, &view));
    TQ_TRY(tq_searcher_begin(a->searcher, &view, metric, options));
    if (k > 0 && tq_searcher_prefers_many(a->searcher, query_count))
        return tq_searcher_many(a->searcher, queries, query_count, k, hits, counts, stats);
    for (size_t i = 0; i < query_count; i++) {
        struct tq_query query;
        counts[i] = 0;
        TQ_TRY(tq_query_prepare(a->codec, queries + i * a->codec->format.dim, a->query_memory, &query));
        if (k == 0) continue;
        TQ_TRY(tq_searcher_query(a->searcher, &query, k, hits + i * k, &counts[i], stats));
    }
    return TQ_OK;
}

enum tq_status tq_access_range(struct tq_access *a, const float *vector, double score, size_t capacity,
                               const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                               struct tq_search_stats *stats) {
    struct tq_search_options own = *options;
    struct tq_view view;
    struct tq_query query;
    own.oversample = 0;
    TQ_TRY(tq_table_view(a->table, &view));
    TQ_TRY(tq_searcher_begin(a->searcher, &view, a->codec->format.metric, &own));
    TQ_TRY(tq_query_prepare(a->codec, vector, a->query_memory, &query));
    return tq_searcher_range(a->searcher, &query, score, capacity, hits, count, stats);
}

enum tq_status tq_access_vector(struct tq_access *a, struct tq_segment *segment, uint32_t row, float *vector) {
    const struct tq_format *format = &a->codec->format;
    const uint8_t *unit = NULL;
    enum tq_plane plane = format->rows == TQ_ROWS_NONE ? TQ_PLANE_RECORD : TQ_PLANE_EXACT;
    if (plane == TQ_PLANE_RECORD)
        TQ_TRY(tq_segment_records(segment, &row, 1, a->record, &unit));
    else
        TQ_TRY(tq_segment_gather(segment, plane, &row, 1, &unit));
    if (format->rows == TQ_ROWS_F32) {
        memcpy(vector, unit, format->exact_bytes);
    } else if (format->rows == TQ_ROWS_F16) {
        for (uint32_t i = 0; i < format->dim; i++) {
            uint16_t half;
            memcpy(&half, unit + 2 * (size_t)i, sizeof half);
            vector[i] = tq_f32_from_f16(half);
        }
    } else {
        tq_decode(a->codec, unit, vector, a->scratch);
    }
    return TQ_OK;
}

enum tq_status tq_access_get(struct tq_access *a, int64_t id, float *vector) {
    struct tq_view_segment where;
    uint32_t row = 0;
    TQ_TRY(tq_table_find(a->table, id, &where, &row));
    return tq_access_vector(a, where.segment, row, vector);
}
