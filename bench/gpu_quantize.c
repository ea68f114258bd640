/* 100,000 rows encoded: by the device, whole and its kernels alone, and by the CPU, whose bytes must be the same. */
#include <string.h>

#include "bench/common/program.h"
#include "bench/gpu.h"
#include "src/base/alloc.h"

enum { ROWS = 100000, CPU_ROWS = 4096 };

struct work {
    struct gpu *g;
    struct gpu_made made;
    struct tq_codec *codec;
    float *vectors; /* [ROWS][dim] */
    struct tq_cuda_rows rows;
    uint8_t *records; /* of the CPU: [CPU_ROWS][record_stride] */
    bool differ;
};

static enum tq_status make(void *context, size_t begin, size_t end) {
    struct work *w = context;
    for (size_t i = begin; i < end; i++) gpu_made_row(&w->made, i, w->vectors + i * w->made.dim);
    return TQ_OK;
}

static enum tq_status encode_here(void *context, size_t begin, size_t end) {
    struct work *w = context;
    struct tq_encoder *encoder = NULL;
    size_t stride = w->codec->format.record_stride;
    TQ_TRY(tq_encoder_open(w->codec, &encoder));
    enum tq_status status = TQ_OK;
    for (size_t i = begin; status == TQ_OK && i < end; i++) {
        struct tq_row row;
        status = tq_encode(encoder, w->vectors + i * w->made.dim, &row);
        if (status != TQ_OK) break;
        memcpy(w->records + i * stride, row.record, stride);
        if (memcmp(row.record, w->rows.records + i * stride, stride) != 0) w->differ = true;
        if (row.first_error != w->rows.first_error[i] || row.second.inverse != w->rows.second[2 * i] ||
            row.second.error != w->rows.second[2 * i + 1])
            w->differ = true;
    }
    tq_encoder_close(encoder);
    return status;
}

static struct gpu_line begin_line(const struct work *w, const char *system, uint64_t rows) {
    struct gpu_line line = GPU_LINE;
    const struct tq_format *format = &w->codec->format;
    line.system = system;
    line.table = "quantize";
    line.rows = rows;
    line.dim = format->dim;
    line.bytes = (double)rows * (4.0 * format->dim + format->record_bytes + 6); /* read, and written */
    return line;
}

static void by_device(struct work *w) {
    const struct tq_cuda_ops *ops = w->g->ops;
    struct gpu_line line = begin_line(w, "tqlite on the device", ROWS);
    struct tq_cuda_encoder *encoder = NULL;
    struct tq_cuda_why why = {{0}};
    struct tq_cuda_codec codec;
    tq_device_codec(w->codec, &codec);
    gpu_check(ops->encoder_open(w->g->cuda, &codec, &encoder, &why), &why, "encoder_open");
    for (size_t i = 0; i < GPU_WARM + GPU_REPEATS; i++) {
        size_t refused = 0;
        double begin = bench_seconds();
        gpu_check(ops->encode(encoder, w->vectors, ROWS, &w->rows, &refused, &why), &why, "encode");
        double ms = 1e3 * (bench_seconds() - begin), kernels = ops->encoder_ms(encoder);
        if (i < GPU_WARM) continue;
        line.host.ms[line.host.count++] = ms;
        if (kernels > 0) line.device.ms[line.device.count++] = kernels;
    }
    ops->encoder_close(encoder);
    line.note = "kernels: the sum of chunks of which several run at once";
    gpu_tell(w->g, &line);
}

static void by_cpu(struct work *w, int threads, const char *system) {
    struct gpu_line line = begin_line(w, system, CPU_ROWS);
    for (size_t i = 0; i < 5; i++) {
        double begin = bench_seconds();
        bench_check(bench_parallel(CPU_ROWS, threads == 1 ? CPU_ROWS : 64, threads, encode_here, w));
        line.host.ms[line.host.count++] = 1e3 * (bench_seconds() - begin);
    }
    line.note = w->differ ? "BYTES DIFFER" : "the same bytes";
    w->g->failed = w->g->failed || w->differ;
    gpu_tell(w->g, &line);
}

void gpu_quantize(struct gpu *g) {
    static const uint32_t dims[] = {200, 1536, 3072};
    for (size_t i = 0; i < TQ_COUNT(dims); i++) {
        struct work w = {.g = g, .codec = gpu_codec_open(dims[i])};
        size_t stride = w.codec->format.record_stride;
        gpu_made_open(&w.made, dims[i], g->options.threads);
        w.vectors = gpu_alloc((size_t)ROWS * dims[i], sizeof(float));
        w.rows = (struct tq_cuda_rows){.records = gpu_alloc(ROWS, stride),
                                       .first_error = gpu_alloc(ROWS, sizeof(uint16_t)),
                                       .second = gpu_alloc(ROWS, 2 * sizeof(uint16_t))};
        w.records = gpu_alloc(CPU_ROWS, stride);
        bench_check(bench_parallel(ROWS, 256, g->options.threads, make, &w));
        by_device(&w);
        by_cpu(&w, 1, "tqlite on the CPU, one thread");
        by_cpu(&w, g->options.threads, "tqlite on the CPU, all threads");
        void *owned[] = {w.vectors, w.rows.records, w.rows.first_error, w.rows.second, w.records};
        for (size_t j = 0; j < TQ_COUNT(owned); j++) tq_free(owned[j]);
        gpu_made_close(&w.made);
        tq_codec_close(w.codec);
    }
}
