/* Records, first errors and second scalars of a plugin against tq_encode, every byte. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/cuda/device_harness.h"
#include "tests/cuda/device_truth.h"

enum { GUARD = 64, FILL = 0xab };

struct job {
    struct harness *h;
    struct truth *truth;
    struct tq_cuda_encoder *encoder;
    struct tq_cuda_rows out;
    size_t room; /* rows */
};

/* ---- One format ---- */

static bool guard_kept(const void *bytes, size_t used) {
    for (size_t i = 0; i < GUARD; i++) {
        if (((const uint8_t *)bytes)[used + i] != FILL) return false;
    }
    return true;
}

static void *filled(size_t bytes) {
    void *made = malloc(bytes + GUARD);
    if (made == NULL) abort();
    return memset(made, FILL, bytes + GUARD);
}

static void free_rows(struct job *job) {
    free(job->out.records);
    free(job->out.first_error);
    free(job->out.second);
}

static void make_rows(struct job *job, size_t count) {
    free_rows(job);
    job->room = count;
    job->out = (struct tq_cuda_rows){filled(count * job->truth->format.record_stride), filled(count * 2),
                                     filled(count * 4)};
}

static bool job_open(struct job *job, struct harness *h, uint32_t dim, uint32_t bits, int qjl, enum tq_rows rows,
                     enum tq_metric metric) {
    struct tq_cuda_codec codec;
    struct tq_cuda_why why = {""};
    *job = (struct job){.h = h, .truth = truth_open(dim, bits, qjl, rows, metric)};
    if (job->truth == NULL) return false;
    truth_codec(job->truth, &codec);
    enum tq_cuda_status status = h->ops->encoder_open(h->cuda, &codec, &job->encoder, &why);
    memset(&codec, 0xff, sizeof codec); /* it was borrowed for the call */
    if (harness_did(h, status, &why, "encoder_open")) return true;
    truth_close(job->truth);
    return false;
}

static void job_close(struct job *job) {
    job->h->ops->encoder_close(job->encoder);
    free_rows(job);
    truth_close(job->truth);
}

/* The first thing that is wrong with row i, or NULL. */
static const char *wrong_part(const struct job *job, size_t i, const struct tq_row *row) {
    const struct tq_format *f = &job->truth->format;
    size_t planes = (size_t)f->bits * f->plane_bytes;
    const uint8_t *record = job->out.records + i * f->record_stride;
    if (memcmp(record, row->record, planes) != 0) return "planes";
    if (memcmp(record + planes, row->record + planes, 4) != 0) return "scale";
    if (memcmp(record + planes + 4, row->record + planes + 4, 4) != 0) return "norm";
    if (memcmp(record + planes + 8, row->record + planes + 8, 2) != 0) return "gamma";
    if (memcmp(record + planes + 10, row->record + planes + 10, 2) != 0) return "error";
    if (memcmp(record, row->record, f->record_stride) != 0) return "padding";
    if (job->out.first_error[i] != row->first_error) return "first error";
    if (job->out.second[2 * i] != row->second.inverse || job->out.second[2 * i + 1] != row->second.error)
        return "second scalars";
    return NULL;
}

static void check_rows(struct job *job, const float *vectors, size_t count) {
    const struct tq_format *f = &job->truth->format;
    struct tq_cuda_why why = {""};
    size_t refused = SIZE_MAX, wanted = 0, wrong = 0, first = 0;
    const char *part = NULL;
    make_rows(job, count);
    if (!harness_did(job->h, job->h->ops->encode(job->encoder, vectors, count, &job->out, &refused, &why), &why,
                     "encode"))
        return;
    for (; wanted < count; wanted++) {
        struct tq_row row;
        if (tq_encode(job->truth->encoder, vectors + wanted * f->dim, &row) != TQ_OK) break;
        if (wanted >= refused) continue; /* the device was wrong about this row: told below */
        const char *here = wrong_part(job, wanted, &row);
        if (here == NULL) continue;
        if (wrong++ == 0) part = here, first = wanted;
    }
    const char *form = f->packed ? "none" : f->rows == TQ_ROWS_F16 ? "f16" : "f32";
    harness_case(job->h, wrong == 0, "dim %u, %u bits, qjl %d, rows %s: %zu of %zu rows differ; row %zu: %s", f->dim,
                 f->bits, f->qjl, form, wrong, count, first, part == NULL ? "" : part);
    harness_case(job->h, refused == wanted, "dim %u, %u bits, rows %s: %zu of %zu rows are good, not %zu", f->dim,
                 f->bits, form, wanted, count, refused);
    harness_case(job->h,
                 guard_kept(job->out.records, count * f->record_stride) &&
                     guard_kept(job->out.first_error, 2 * count) && guard_kept(job->out.second, 4 * count),
                 "dim %u, %u bits: bytes behind the last of %zu rows were written", f->dim, f->bits, count);
}

/* ---- Groups ---- */

static void check_format(struct harness *h, uint32_t dim, uint32_t bits, int qjl, enum tq_rows rows,
                         enum tq_metric metric, size_t count) {
    struct job job;
    if (!job_open(&job, h, dim, bits, qjl, rows, metric)) return;
    float *vectors = malloc((count * dim + 1) * sizeof *vectors), *odd = vectors + 1; /* no more than aligned */
    if (vectors == NULL) abort();
    harness_odd_rows(&h->random, odd, dim, count, rows == TQ_ROWS_F16);
    check_rows(&job, odd, count);
    free(vectors);
    job_close(&job);
}

/* Whether all formats of this dimension are gone through, or only two of them. */
static bool dim_is_thorough(uint32_t dim) {
    return dim <= 12 || dim == 33 || dim == 100 || dim == 128 || dim == 200 || dim == 257 || dim > 300;
}

static void check_dim(struct harness *h, uint32_t dim) {
    size_t count = h->form == HARNESS_FULL ? 60 : 25;
    for (uint32_t bits = 1; bits <= 9; bits++) {
        for (int qjl = 0; qjl < 2; qjl++) {
            if (dim_is_thorough(dim) ? h->form == HARNESS_SANITIZER && bits > 5 : bits != 4 && bits != dim % 9 + 1)
                continue;
            check_format(h, dim, bits, qjl, TQ_ROWS_F32, (enum tq_metric)(dim % 3), count);
        }
    }
    if (!dim_is_thorough(dim)) return;
    check_format(h, dim, 4, 1, TQ_ROWS_F16, TQ_COSINE, count);
    check_format(h, dim, 3, 1, TQ_ROWS_F16, TQ_L2, count);
    check_format(h, dim, 4, 1, TQ_ROWS_NONE, TQ_COSINE, count);
    check_format(h, dim, 4, 0, TQ_ROWS_NONE, TQ_IP, count);
    check_format(h, dim, 1, 0, TQ_ROWS_NONE, TQ_COSINE, count);
}

static void check_dims(struct harness *h) {
    static const uint32_t some[] = {1, 2, 3, 5, 7, 8, 12, 33, 63, 64, 65, 96, 100, 128, 192, 200, 255, 256, 257};
    static const uint32_t few[] = {1, 3, 33, 100, 128, 256, 257};
    static const uint32_t large[] = {384, 500, 768, 1000, 1024, 1536, 3072};
    size_t step = h->form == HARNESS_FULL ? 1 : 0;
    if (harness_group(h, "encode, dim 1..257")) {
        for (uint32_t dim = 1; dim <= 257 && step > 0; dim++) check_dim(h, dim);
        for (size_t i = 0; i < TQ_COUNT(some) && h->form == HARNESS_SHORT; i++) check_dim(h, some[i]);
        for (size_t i = 0; i < TQ_COUNT(few) && h->form == HARNESS_SANITIZER; i++) check_dim(h, few[i]);
    }
    if (harness_group(h, "encode, dim 384..3072")) {
        for (size_t i = 0; i < TQ_COUNT(large); i++) {
            if (h->form == HARNESS_FULL)
                check_dim(h, large[i]);
            else
                check_format(h, large[i], 4, 1, TQ_ROWS_F32, TQ_COSINE, 20);
        }
    }
}

static void check_counts(struct harness *h) {
    static const size_t counts[] = {0, 1, 2, 63, 64, 65, 1000, 100000};
    struct job job;
    if (!harness_group(h, "encode, counts of rows") || !job_open(&job, h, 96, 4, 1, TQ_ROWS_F32, TQ_COSINE)) return;
    size_t most = h->form == HARNESS_FULL ? 100000 : h->form == HARNESS_SHORT ? 1000 : 65;
    float *vectors = malloc(most * 96 * sizeof *vectors);
    if (vectors == NULL) abort();
    harness_odd_rows(&h->random, vectors, 96, most, false);
    for (size_t i = 0; i < TQ_COUNT(counts); i++) {
        if (counts[i] <= most) check_rows(&job, vectors, counts[i]);
    }
    check_rows(&job, vectors, 3); /* fewer again */
    free(vectors);
    job_close(&job);
}

/* Makes row x one that is refused; false: this dimension or format has no such row. */
static bool spoil(float *x, uint32_t dim, int kind, bool half) {
    float *element = &x[dim - 1];
    switch (kind) {
    case 0: *element = NAN; return true;
    case 1: *element = INFINITY; return true;
    case 2: x[0] = -INFINITY; return true;
    case 3: /* a norm beyond floats, its elements within */
        for (uint32_t j = 0; j < dim; j++) x[j] = j % 2 == 0 ? FLT_MAX : -FLT_MAX;
        return dim > 1 && !half;
    case 4: *element = 65505.0f; return half;
    case 5: *element = -1e30f; return half;
    default:
        x[0] = NAN;
        x[dim / 2] = INFINITY;
        return true;
    }
}

static void check_refused(struct harness *h, uint32_t dim, enum tq_rows rows, size_t count) {
    struct job job;
    if (!job_open(&job, h, dim, 4, 1, rows, TQ_COSINE)) return;
    bool half = rows == TQ_ROWS_F16;
    float *vectors = malloc(count * dim * sizeof *vectors), *kept = malloc(dim * sizeof *kept);
    if (vectors == NULL || kept == NULL) abort();
    harness_odd_rows(&h->random, vectors, dim, count, half);
    for (int kind = 0; kind < 7; kind++) {
        size_t at = kind == 0 ? 0 : kind == 1 ? count - 1 : random_below(&h->random, (uint32_t)count);
        float *x = vectors + at * dim;
        memcpy(kept, x, dim * sizeof *kept);
        if (spoil(x, dim, kind, half)) check_rows(&job, vectors, count);
        memcpy(x, kept, dim * sizeof *kept);
    }
    float *last = vectors + (count - 1) * dim; /* two at once: the first of them counts */
    vectors[(count / 2) * dim] = NAN;
    last[0] = INFINITY;
    check_rows(&job, vectors, count);
    last[0] = half ? 65504.0f : 1e38f; /* as large as may be */
    vectors[(count / 2) * dim] = half ? -65504.0f : FLT_MIN;
    check_rows(&job, vectors, count);
    free(vectors);
    free(kept);
    job_close(&job);
}

int main(int argc, char **argv) {
    struct harness h;
    int exit = harness_open(&h, argc, argv);
    if (exit != 0) return exit;
    check_dims(&h);
    check_counts(&h);
    if (harness_group(&h, "encode, rows that are refused")) {
        static const uint32_t dims[] = {1, 2, 33, 100, 384, 768, 1536};
        for (size_t i = 0; i < (h.form == HARNESS_SANITIZER ? 5 : TQ_COUNT(dims)); i++) {
            for (int rows = 0; rows < 3; rows++)
                check_refused(&h, dims[i], (enum tq_rows)rows,
                              h.form == HARNESS_FULL    ? 500
                              : h.form == HARNESS_SHORT ? 70
                                                        : 10);
        }
    }
    if (h.form == HARNESS_FULL && harness_group(&h, "encode, 20,000 rows")) {
        check_format(&h, 1536, 4, 1, TQ_ROWS_F32, TQ_COSINE, 20000);
        check_format(&h, 768, 4, 1, TQ_ROWS_F16, TQ_L2, 20000);
        check_format(&h, 200, 4, 1, TQ_ROWS_F32, TQ_COSINE, 20000);
        check_format(&h, 200, 5, 0, TQ_ROWS_NONE, TQ_COSINE, 20000);
    }
    return harness_close(&h);
}
