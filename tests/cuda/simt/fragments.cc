#include "tests/cuda/simt/fragments.h"

#include <cuda_runtime.h>

#include "kernels/cuda/refine.cuh"
#include "kernels/cuda/scan.cuh"
#include "kernels/cuda/transcode.cuh"

#include <stdlib.h>

enum { SHARED_WORDS = 64 * 1024 };

thread_local uint4 tile_records[SHARED_WORDS / 4];

struct fragments {
    tq_cuda_resident resident;
    uint64_t count;
    uint32_t *signs, *rows;
    uint64_t *present, *unusable;
    float2 *norms;
    Question *question;
};

static void *zeroed(size_t bytes) {
    size_t rounded = (bytes + 255) / 256 * 256 + 256;
    void *made = aligned_alloc(256, rounded);
    if (made == nullptr) abort();
    return memset(made, 0, rounded);
}

/* ---- Rows ---- */

struct Transcode {
    TranscodeTarget to;
    TranscodeSource from;
};

static void run_transcode(void *argument) {
    const Transcode &t = *(const Transcode *)argument;
    transcode(t.to, t.from);
}

struct fragments *fragments_open(const struct tq_cuda_codec *codec, const struct tq_cuda_rows *rows, size_t count) {
    fragments *f = (fragments *)zeroed(sizeof *f);
    uint32_t slabs = tq_cuda_slabs(codec->dim), row_words = tq_cuda_row_words(codec->dim, codec->bits);
    uint64_t groups = (count + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS, padded = groups * TQ_CUDA_GROUP_ROWS;
    f->count = count;
    f->signs = (uint32_t *)zeroed(slabs * groups * TQ_CUDA_GROUP_SIGNS * sizeof(uint32_t));
    f->rows = (uint32_t *)zeroed(padded * row_words * sizeof(uint32_t));
    f->present = (uint64_t *)zeroed(groups * sizeof(uint64_t));
    f->unusable = (uint64_t *)zeroed(groups * sizeof(uint64_t));
    f->norms = (float2 *)zeroed(groups * sizeof(float2));
    f->question = (Question *)zeroed(question_bytes_most());
    memset(f->rows, 0xcc, padded * row_words * sizeof(uint32_t)); /* whatever memory of the device has in it */
    memset(f->signs, 0xcc, slabs * groups * TQ_CUDA_GROUP_SIGNS * sizeof(uint32_t));
    f->resident.signs = f->signs, f->resident.rows = f->rows;
    f->resident.present = f->present, f->resident.unusable = f->unusable, f->resident.norms = f->norms;
    f->resident.groups = groups, f->resident.slabs = slabs, f->resident.row_words = row_words;
    f->resident.dim = codec->dim, f->resident.bits = codec->bits, f->resident.code_bits = codec->code_bits;
    f->resident.scan_planes = codec->scan_planes, f->resident.qjl = codec->qjl, f->resident.packed = codec->packed;
    uint8_t *records = (uint8_t *)zeroed(padded * codec->record_stride);
    memcpy(records, rows->records, count * codec->record_stride);
    memset(records + count * codec->record_stride, 0xcc, (padded - count) * codec->record_stride);
    Transcode t = {{f->signs, f->rows, f->present, f->unusable, f->norms, groups, 0, codec->bits, slabs, row_words},
                   {records, rows->first_error, rows->second, count, codec->plane_bytes, codec->record_stride}};
    if (transcode_shared_bytes(codec->record_stride) > sizeof tile_records) abort();
    simt_run(2, TRANSCODE_THREADS, run_transcode, &t);
    free(records);
    return f;
}

void fragments_close(struct fragments *f) {
    free(f->signs);
    free(f->rows);
    free(f->present);
    free(f->unusable);
    free(f->norms);
    free(f->question);
    free(f);
}

void fragments_facts(const struct fragments *f, size_t group, uint64_t *present, uint64_t *unusable, float norms[2]) {
    *present = f->present[group];
    *unusable = f->unusable[group];
    norms[0] = f->norms[group].x;
    norms[1] = f->norms[group].y;
}

/* ---- Queries ---- */

/* As tq_cuda_question_make of lane.cu, which is the host's part. */
static void make_question(const struct fragments *f, const struct tq_cuda_query *query, uint32_t lines) {
    Question *q = f->question;
    q->bounds = query->bounds;
    q->seed_bar = query->seed_bar;
    q->line = query->line[lines - 1];
    memcpy(q->weights, query->weights, sizeof q->weights);
    q->plane_sum = query->plane_sum;
    q->code_sum = query->code_sum;
    q->sketch_sum = query->sketch_sum;
    q->wanted = query->wanted;
    unsigned char *part = (unsigned char *)(q + 1);
    for (uint32_t s = 0; s < f->resident.slabs; s++, part += PARTS * PART_BYTES) {
        memcpy(part + PART_PLANE * PART_BYTES, query->planes.plane[s], PART_BYTES);
        memcpy(part + PART_CODE * PART_BYTES, query->planes.code[s], 2 * PART_BYTES);
        memcpy(part + PART_SKETCH * PART_BYTES, query->planes.sketch[s], 2 * PART_BYTES);
    }
}

/* ---- Sums ---- */

struct Sums {
    const struct fragments *f;
    uint32_t *out;
};

template <int SLABS> static void run_sums(void *argument) {
    const Sums &job = *(const Sums *)argument;
    const Question *question = job.f->question;
    int lane = simt_lane();
    uint2 query[SLABS];
    for (int s = 0; s < SLABS; s++) query[s] = ((const uint2 *)(question + 1))[(s * PARTS + PART_PLANE) * 32 + lane];
    for (uint64_t group = 0; group < job.f->resident.groups; group++) {
        Tiles<SLABS> tiles;
        tiles.load(job.f->resident, group, lane);
        uint32_t sum = sums_of<SLABS>(tiles, query, (uint32_t)question->line.negative * 0x10001u, lane);
        uint32_t row = (uint32_t)(16 * (lane & 3) + (lane >> 2));
        job.out[group * TQ_CUDA_GROUP_ROWS + row] = sum & 0xffffu;
        job.out[group * TQ_CUDA_GROUP_ROWS + row + 8] = sum >> 16;
    }
}

void fragments_sums(const struct fragments *f, const struct tq_cuda_query *query, uint32_t slabs, uint32_t *sums) {
    static void (*const kernels[])(void *) = {run_sums<1>, run_sums<2>, run_sums<3>};
    Sums job = {f, sums};
    make_question(f, query, slabs);
    simt_run(1, 32, kernels[slabs - 1], &job);
}

/* ---- Full codes ---- */

struct Refining {
    const struct fragments *f;
    double bar;
    struct fragments_row *out;
};

/* A warp with a stage of sixteen rows after the other; each row's integers, and its bounds if it reaches the bar. */
template <int CODE_BITS, bool QJL> static void run_refine(void *argument) {
    const Refining &job = *(const Refining *)argument;
    const tq_cuda_resident &r = job.f->resident;
    const tq_cuda_bounds &bounds = job.f->question->bounds;
    int lane = simt_lane(), t = lane & 3, mine = (lane >> 2) + 8 * t;
    Weights<CODE_BITS> weights(job.f->question);
    Refine shared = {};
    shared.bounds = bounds;
    shared.bar = job.bar;
    shared.fast = make_fast(bounds, job.bar);
    shared.fast_norms = make_fast_norms(bounds, job.bar);
    simt_shared = (unsigned char *)(job.f->question + 1);
    for (uint64_t first = 0; first < job.f->count; first += 16) {
        const uint32_t *rows = r.rows + first * r.row_words;
        struct fragments_row *out = job.out + first + mine;
        Dots dots[2];
        refine_dots<CODE_BITS, QJL, true>(r.slabs, weights, shared.parts, rows, r.row_words, lane, dots);
        if (t < 2) {
            Dots own = own_dots(dots, t);
            *out = {own.first, own.second, own.code, own.sketch, 0, 0, 0, false};
        }
        refine_stage<CODE_BITS, QJL>(r, weights, shared, shared.fast, rows, r.row_words, true, lane,
                                     [&](const Bounds &made) {
                                         out->upper = made.upper;
                                         out->estimate = made.estimate;
                                         out->key = made.key;
                                         out->taken = true;
                                     });
    }
}

void fragments_refine(const struct fragments *f, const struct tq_cuda_query *query, double bar,
                      struct fragments_row *rows) {
    static void (*const kernels[4][2])(void *) = {{run_refine<1, false>, run_refine<1, true>},
                                                  {run_refine<2, false>, run_refine<2, true>},
                                                  {run_refine<3, false>, run_refine<3, true>},
                                                  {run_refine<4, false>, run_refine<4, true>}};
    Refining job = {f, bar, rows};
    make_question(f, query, 1);
    simt_run(1, 32, kernels[f->resident.code_bits - 1][f->resident.qjl], &job);
}
