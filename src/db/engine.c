/* Encoding and searching one format; what the environment says about both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/base/stop.h"
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

static enum tq_status open_codec(struct tq_engine *e, const struct tq_format *format, const struct tq_codec *codec) {
    e->codec = codec;
    if (codec != NULL) return TQ_OK;
    struct tq_kernels kernels;
    TQ_TRY(tq_kernels_from_environment(&kernels));
    TQ_TRY(tq_codec_open(format, &kernels, &e->owned_codec));
    e->codec = e->owned_codec;
    return TQ_OK;
}

static enum tq_status open_scratch(struct tq_engine *e) {
    TQ_TRY(tq_encoder_open(e->codec, &e->encoder));
    TQ_TRY(tq_searcher_open(e->codec, &e->searcher));
    e->query_memory = tq_alloc(tq_query_bytes(e->codec));
    e->scratch = tq_alloc_array(5 * (size_t)e->codec->format.dim, sizeof(float));
    e->record = tq_alloc(e->codec->format.record_stride);
    return e->query_memory == NULL || e->scratch == NULL || e->record == NULL ? TQ_NOMEM : TQ_OK;
}

enum tq_status tq_engine_open(const struct tq_format *format, const struct tq_codec *codec, struct tq_engine **engine) {
    struct tq_engine *e = tq_alloc_zero(sizeof *e);
    if (e == NULL) return TQ_NOMEM;
    enum tq_status status = open_codec(e, format, codec);
    if (status == TQ_OK) status = open_scratch(e);
    if (status != TQ_OK) {
        tq_engine_close(e);
        return status;
    }
    *engine = e;
    return TQ_OK;
}

void tq_engine_close(struct tq_engine *e) {
    if (e == NULL) return;
    tq_searcher_close(e->searcher);
    tq_encoder_close(e->encoder);
    tq_device_encoder_close(e->device_encoder);
    tq_free(e->query_memory);
    tq_free(e->scratch);
    tq_free(e->record);
    tq_codec_close(e->owned_codec);
    tq_free(e);
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
    if (options->timeout_ms < 0) {
        return tq_fail(TQ_MISUSE, "timeout_ms is %d; it must be 0 or more", options->timeout_ms);
    }
    if (options->device != TQ_DEVICE_CPU && options->device != TQ_DEVICE_AUTO && options->device != TQ_DEVICE_GPU) {
        return tq_fail(TQ_MISUSE, "device is %d; it must be 0 to 2: TQ_DEVICE_CPU, TQ_DEVICE_AUTO or TQ_DEVICE_GPU",
                       (int)options->device);
    }
    return TQ_OK;
}

static enum tq_status search(struct tq_engine *e, const struct tq_view *view, enum tq_metric metric,
                             const float *queries, size_t query_count, size_t k,
                             const struct tq_search_options *options, struct tq_hit *hits, size_t *counts,
                             struct tq_search_stats *stats) {
    TQ_TRY(tq_searcher_begin(e->searcher, view, metric, options));
    size_t answered = 0, dim = e->codec->format.dim;
    TQ_TRY(tq_searcher_device_many(e->searcher, queries, query_count, k, hits, counts, stats, &answered));
    if (k > 0 && tq_searcher_prefers_many(e->searcher, query_count - answered))
        return tq_searcher_many(e->searcher, queries + answered * dim, query_count - answered, k, hits + answered * k,
                                counts + answered, stats);
    for (size_t i = answered; i < query_count; i++) {
        struct tq_query query;
        counts[i] = 0;
        TQ_TRY(tq_query_prepare(e->codec, queries + i * dim, e->query_memory, &query));
        if (k == 0) continue;
        TQ_TRY(tq_searcher_query(e->searcher, &query, k, hits + i * k, &counts[i], stats));
    }
    return TQ_OK;
}

enum tq_status tq_engine_search(struct tq_engine *e, const struct tq_view *view, enum tq_metric metric,
                                const float *queries, size_t query_count, size_t k,
                                const struct tq_search_options *options, struct tq_hit *hits, size_t *counts,
                                struct tq_search_stats *stats) {
    struct tq_stop stop = {.limit_ms = options->timeout_ms};
    tq_stop_begin(&stop);
    enum tq_status status = search(e, view, metric, queries, query_count, k, options, hits, counts, stats);
    tq_stop_end(&stop);
    return status;
}

static enum tq_status search_range(struct tq_engine *e, const struct tq_view *view, enum tq_metric metric,
                                   const float *vector, double score, size_t capacity,
                                   const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                                   struct tq_search_stats *stats) {
    struct tq_search_options own = *options;
    struct tq_query query;
    own.oversample = 0;
    TQ_TRY(tq_searcher_begin(e->searcher, view, metric, &own));
    TQ_TRY(tq_query_prepare(e->codec, vector, e->query_memory, &query));
    return tq_searcher_range(e->searcher, &query, score, capacity, hits, count, stats);
}

enum tq_status tq_engine_range(struct tq_engine *e, const struct tq_view *view, enum tq_metric metric,
                               const float *vector, double score, size_t capacity,
                               const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                               struct tq_search_stats *stats) {
    struct tq_stop stop = {.limit_ms = options->timeout_ms};
    tq_stop_begin(&stop);
    enum tq_status status = search_range(e, view, metric, vector, score, capacity, options, hits, count, stats);
    tq_stop_end(&stop);
    return status;
}

enum tq_status tq_engine_vector(struct tq_engine *e, struct tq_segment *segment, uint32_t row, float *vector) {
    const struct tq_format *format = &e->codec->format;
    const uint8_t *unit = NULL;
    enum tq_plane plane = format->rows == TQ_ROWS_NONE ? TQ_PLANE_RECORD : TQ_PLANE_EXACT;
    if (plane == TQ_PLANE_RECORD)
        TQ_TRY(tq_segment_records(segment, &row, 1, e->record, &unit));
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
        tq_decode(e->codec, unit, vector, e->scratch);
    }
    return TQ_OK;
}
