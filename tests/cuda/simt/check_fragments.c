/* The device's own code, compiled for the CPU (fragments.h), against the library's kernels: rows in the device's order,
 * sums of the first plane, dot products of the planes, the code and the sketch, and the bounds made of them. */
#include <math.h>
#include <string.h>

#include "src/base/f16.h"
#include "tests/cuda/device_harness.h"
#include "tests/cuda/device_truth.h"
#include "tests/cuda/simt/fragments.h"

enum { ROWS = 64 + 3, QUERIES_MOST = 2 };

static void *allocated(size_t bytes) {
    void *made = calloc(1, bytes + 64);
    if (made == NULL) abort();
    return made;
}

struct job {
    struct harness *h;
    struct truth *t;
    struct fragments *f;
    size_t count, padded;
    struct tq_cuda_query query;
    struct tq_cuda_candidate *bounds;
    struct fragments_row *rows;
    uint32_t *sums;
};

static const struct tq_format *format_of(const struct job *job) { return &job->t->format; }

/* ---- Groups ---- */

static void check_facts(struct job *job) {
    const struct tq_format *f = format_of(job);
    for (size_t group = 0; group < job->padded / TQ_CUDA_GROUP_ROWS; group++) {
        uint64_t present = 0, unusable = 0, want_present = 0, want_unusable = 0;
        float norms[2] = {0, 0}, want_norms[2] = {INFINITY, 0};
        fragments_facts(job->f, group, &present, &unusable, norms);
        for (size_t i = 0; i < TQ_CUDA_GROUP_ROWS; i++) {
            size_t row = group * TQ_CUDA_GROUP_ROWS + i;
            struct tq_record_tail tail;
            if (row >= job->count) break;
            memcpy(&tail, job->t->records + row * f->record_stride + (size_t)f->bits * f->plane_bytes, sizeof tail);
            bool usable = tail.scale != 0 && isfinite(tq_f32_from_f16(tail.error)) &&
                          isfinite(tq_f32_from_f16(job->t->first_error[row]));
            want_present |= UINT64_C(1) << i;
            if (!usable) want_unusable |= UINT64_C(1) << i;
            want_norms[0] = fminf(want_norms[0], tail.norm);
            want_norms[1] = fmaxf(want_norms[1], tail.norm);
        }
        harness_case(job->h,
                     present == want_present && unusable == want_unusable &&
                         memcmp(norms, want_norms, sizeof norms) == 0,
                     "dim %u, %u bits: group %zu has rows %llx not %llx, unusable %llx not %llx", f->dim, f->bits,
                     group, (unsigned long long)present, (unsigned long long)want_present, (unsigned long long)unusable,
                     (unsigned long long)want_unusable);
    }
}

/* ---- Sums ---- */

/* The library's look-ups over the first `dims` dimensions. */
static uint32_t looked_up(const struct job *job, size_t row, uint32_t dims) {
    const struct tq_format *f = format_of(job);
    const uint8_t *record = job->t->records + row * f->record_stride;
    uint32_t sum = 0;
    for (uint32_t group = 0; group < (dims + 3) / 4; group++)
        sum += job->t->query.lut[16 * group + (record[group / 2] >> 4 * (group % 2) & 15)];
    return sum;
}

/* All dimensions: by the kernel that searches with them. */
static void check_scan(struct job *job) {
    const struct tq_format *f = format_of(job);
    uint8_t *block = allocated(tq_layout_block_bytes(f->dim) + 128), *aligned = block + (64 - (uintptr_t)block % 64);
    uint16_t sums[TQ_BLOCK_ROWS], most = 0;
    size_t wrong = 0;
    job->t->codec->kernels.transpose(job->t->records, f->record_stride, job->count, 0, f->dim, aligned);
    job->t->codec->kernels.scan(aligned, NULL, 1, tq_layout_groups(f->dim), job->t->query.lut, sums, &most);
    for (size_t row = 0; row < job->count; row++) wrong += job->sums[row] != sums[row];
    harness_case(job->h, wrong == 0, "dim %u: %zu of %zu sums are not the library's scan's", f->dim, wrong, job->count);
    free(block);
}

static void check_sums(struct job *job) {
    const struct tq_format *f = format_of(job);
    for (uint32_t slabs = 1; slabs <= TQ_CUDA_SCAN_SLABS_MOST; slabs++) {
        uint32_t dims = slabs * TQ_CUDA_SLAB_DIMS < f->dim ? slabs * TQ_CUDA_SLAB_DIMS : f->dim;
        if ((slabs - 1) * TQ_CUDA_SLAB_DIMS >= f->dim) break;
        size_t wrong = 0;
        fragments_sums(job->f, &job->query, slabs, job->sums);
        for (size_t row = 0; row < job->count; row++) wrong += job->sums[row] != looked_up(job, row, dims);
        harness_case(job->h, wrong == 0, "dim %u, %u slabs: %zu of %zu sums differ", f->dim, slabs, wrong, job->count);
        if (dims == f->dim) check_scan(job);
    }
}

/* ---- Full codes ---- */

/* Zeros of either sign are the same: of two, the lesser one may be any. */
static bool same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (a == 0 && b == 0); }

static void check_codes(struct job *job, double bar) {
    const struct tq_format *f = format_of(job);
    size_t wrong_dots = 0, wrong_bounds = 0, wrong_taken = 0;
    fragments_refine(job->f, &job->query, bar, job->rows);
    for (size_t i = 0; i < job->count; i++) {
        const struct fragments_row *got = &job->rows[i];
        const struct tq_cuda_candidate *want = &job->bounds[i];
        struct truth_integers dots = truth_integers(job->t, job->t->records + i * f->record_stride);
        wrong_dots += got->first != dots.first || (f->code_bits > 1 && got->second != dots.second) ||
                      got->code != dots.code || got->sketch != dots.sketch;
        wrong_taken += got->taken != (want->upper >= bar);
        wrong_bounds += got->taken && (!same(got->upper, want->upper) || !same(got->key, want->key) ||
                                       !same(got->estimate, want->estimate));
    }
    harness_case(job->h, wrong_dots == 0, "dim %u, %u bits, qjl %d: dot products of %zu of %zu rows differ", f->dim,
                 f->bits, f->qjl, wrong_dots, job->count);
    harness_case(job->h, wrong_bounds == 0, "dim %u, %u bits, qjl %d, metric %d: bounds of %zu of %zu rows differ",
                 f->dim, f->bits, f->qjl, job->query.bounds.metric, wrong_bounds, job->count);
    harness_case(job->h, wrong_taken == 0, "dim %u, %u bits, qjl %d, metric %d, bar %g: %zu of %zu rows", f->dim,
                 f->bits, f->qjl, job->query.bounds.metric, bar, wrong_taken, job->count);
}

/* ---- Formats ---- */

static void make_data(struct harness *h, float *x, uint32_t dim, size_t count, uint32_t n) {
    harness_odd_rows(&h->random, x, dim, count, true);
    for (size_t i = 0; i < count && n % 2 == 0; i++) {
        for (uint32_t j = 0; j < dim; j++) x[i * dim + j] = harness_normal(&h->random);
    }
}

static void check_format(struct harness *h, uint32_t dim, uint32_t code_bits, int qjl, uint32_t n) {
    static const enum tq_rows kinds[] = {TQ_ROWS_F32, TQ_ROWS_NONE, TQ_ROWS_F16};
    struct job job = {.h = h, .count = ROWS, .padded = 2 * TQ_CUDA_GROUP_ROWS};
    job.t = truth_open(dim, code_bits + (uint32_t)qjl, qjl, kinds[n % 3], TQ_COSINE);
    if (job.t == NULL) return;
    struct tq_cuda_codec codec;
    float *x = allocated((ROWS + QUERIES_MOST) * dim * sizeof *x);
    make_data(h, x, dim, ROWS + QUERIES_MOST, n);
    truth_add(job.t, x, ROWS);
    truth_codec(job.t, &codec);
    struct tq_cuda_rows rows = {job.t->records, job.t->first_error, job.t->second};
    job.f = fragments_open(&codec, &rows, ROWS);
    job.bounds = allocated(ROWS * sizeof *job.bounds);
    job.rows = allocated(job.padded * sizeof *job.rows);
    job.sums = allocated(job.padded * sizeof *job.sums);
    check_facts(&job);
    for (uint32_t q = 0; q < (h->form == HARNESS_FULL ? QUERIES_MOST : 1); q++) {
        enum tq_metric metric = job.t->format.norms ? (enum tq_metric)((n + q) % 3) : TQ_COSINE;
        job.t->options.confidence = (n + q) % 4 == 3 ? TQ_EXACT : 3;
        if (!truth_query(job.t, metric, x + (ROWS + q) * dim, 10, &job.query)) abort();
        check_sums(&job);
        truth_bounds(job.t, job.bounds);
        check_codes(&job, -INFINITY);
        check_codes(&job, job.bounds[q * ROWS / 2].upper); /* the row itself reaches it */
    }
    fragments_close(job.f);
    free(job.bounds);
    free(job.rows);
    free(job.sums);
    free(x);
    truth_close(job.t);
}

int main(int argc, char **argv) {
    static const uint32_t large[] = {384, 768, 1024, 1536, 3072};
    struct harness h;
    uint32_t n = 0;
    int exit = harness_open(&h, argc, argv);
    if (exit != 0) return exit;
    if (harness_group(&h, "fragments, dim 1..257")) {
        for (uint32_t dim = 1; dim <= 257; dim++) {
            bool all = h.form == HARNESS_FULL || dim % 32 < 2 || dim == 257;
            for (uint32_t format = all ? 0 : dim % 8; format < (all ? 8 : dim % 8 + 1); format++)
                check_format(&h, dim, format / 2 + 1, format % 2, n++);
        }
    }
    if (harness_group(&h, "fragments, dim 384..3072")) {
        for (size_t i = 0; i < TQ_COUNT(large); i++) {
            for (uint32_t format = 0; format < 8; format++) {
                if (h.form == HARNESS_FULL || format == 7 || format == i + 1)
                    check_format(&h, large[i], format / 2 + 1, format % 2, n++);
            }
        }
    }
    return harness_close(&h);
}
