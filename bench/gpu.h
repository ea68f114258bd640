/* What the parts of build/gpu share: the device, rows that are made, what is known of the truth, and the CSV. */
#ifndef GPU_H
#define GPU_H

#include <stdio.h>

#include "bench/common/matrix.h"
#include "bench/common/truth.h"
#include "index/device_parts.h"

enum { GPU_QUERIES = 24, GPU_WARM = 3, GPU_REPEATS = 20, GPU_K = 10, GPU_PIECE_ROWS = 32768, GPU_SIZES = 8 };

struct gpu_options {
    uint64_t rows[GPU_SIZES]; /* ascending; 0 ends them */
    uint64_t store_rows;
    uint32_t dim;
    int threads;
    const char *csv, *only;
    const char *base, *query; /* vectors from elsewhere, or NULL */
};

/* ---- gpu_made.c: rows that are functions of their number ---- */

struct gpu_made {
    uint32_t dim;
    int32_t *shared; /* [neighbourhoods][dim]: what the rows of a neighbourhood have in common */
};
void gpu_made_open(struct gpu_made *made, uint32_t dim, int threads);
void gpu_made_close(struct gpu_made *made);
void gpu_made_row(const struct gpu_made *made, uint64_t number, float *vector);
/* f32[count][dim]: rows like the others, and none of them. hardness 0..1 takes so much away of what they share with
 * a neighbourhood: the bar sinks, and more rows survive the first plane. */
void gpu_made_queries(const struct gpu_made *made, double hardness, size_t count, float *vectors);

/* ---- gpu_rows.c: rows made, encoded by the device and put there; the truth about them on the way ---- */

struct gpu_truth {
    uint64_t rows; /* among the first so many */
    struct bench_lists lists;
};

struct gpu {
    struct gpu_options options;
    FILE *csv;
    const struct tq_cuda_ops *ops;
    struct tq_cuda *cuda;
    struct tq_cuda_description device;
    struct tq_kernels kernels;
    struct gpu_made made;
    float *queries; /* [GPU_QUERIES][dim], of hardness 0 */
    struct tq_codec *codec;
    struct tq_cuda_set *set;
    uint64_t rows; /* that the set holds */
    struct gpu_truth truths[GPU_SIZES];
    size_t truth_count;
    bool failed; /* answers differed that must not */
};

/* Stop with what the plugin says, unless all is well. */
void gpu_check(enum tq_cuda_status status, const struct tq_cuda_why *why, const char *doing);

struct tq_codec *gpu_codec_open(uint32_t dim);
void gpu_rows_open(struct gpu *g);
/* Until the set has so many, or as many as there is room for; g->truths gains their truth. False: it has as many. */
bool gpu_rows_grow(struct gpu *g, uint64_t rows);
void gpu_rows_close(struct gpu *g);
const struct gpu_truth *gpu_truth_of(const struct gpu *g, uint64_t rows); /* NULL: none is known */
/* How many of the rows are hits for a query of hardness 0: by score, bench/README.md. */
size_t gpu_hits(const struct gpu *g, const struct gpu_truth *truth, size_t query, const uint64_t *rows, size_t count);
double gpu_score(const struct gpu *g, const float *query, uint64_t row, float *scratch);

/* ---- gpu.c: the CSV ---- */

struct gpu_times {
    double ms[GPU_REPEATS];
    size_t count; /* 0: not known */
};

/* A line. Numbers below 0 are left empty. */
struct gpu_line {
    const char *system, *table, *note;
    uint64_t rows;
    uint32_t dim;
    int queries;
    double share_percent, candidates, bytes, recall;
    struct gpu_times device, host;
};
#define GPU_LINE                                                                                                       \
    { .note = "", .queries = -1, .share_percent = -1, .candidates = -1, .bytes = -1, .recall = -1 }
void gpu_tell(struct gpu *g, struct gpu_line *line);
void gpu_remark(struct gpu *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool gpu_is_wanted(const struct gpu *g, const char *word);
void *gpu_alloc(size_t count, size_t size);

/* ---- The tables ---- */

void gpu_quantize(struct gpu *g); /* gpu_quantize.c */
void gpu_search(struct gpu *g);   /* gpu_search.c: of the rows that are there */
void gpu_library(struct gpu *g);  /* gpu_library.c: through tq_search, beside the CPU */

#endif
