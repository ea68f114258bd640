/* The estimators of the paper as printed, for study and tests: Algorithms 1 (`mse`) and 2 (`prod`) of TurboQuant
 * (arXiv 2504.19874), whose sketch is QJL's (2406.03482). Slow, dense, and with libm: nothing here is stored.
 *
 * S acts on the rotated residual. The paper applies it before the rotation; for Gaussian S the two have the same
 * law. For Rademacher S the constant sqrt(pi/2) holds only as far as <S_i, r> is normal (central limit).
 * The legend is in codec.h; m is the number of rows of S. */
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/codec/codec.h"

#define PI 3.14159265358979323846
#define DIM_MAX 4096u

enum stream { STREAM_PI = 101, STREAM_S = 102 };

struct tq_textbook {
    struct tq_textbook_options options;
    uint32_t code_bits; /* 0: `prod` with one bit, QJL alone */
    struct tq_codebook codebook;
    struct tq_kernels kernels;
    struct tq_rotation structured; /* dim 0 unless options.structured */
    float *pi;                     /* [dim][dim], NULL if structured */
    float *s;                      /* [sketch_dim][dim], NULL without a sketch */
    double constant;               /* sqrt(pi / 2) / sketch_dim */
};

/* A code in memory. */
struct scalars {
    float norm, residual_norm;
};

/* Box and Muller */
static double gaussian(uint64_t seed, uint64_t stream, uint64_t i) {
    double u = ((double)(tq_rng_at(seed, stream, 2 * i) >> 11) + 0.5) * 0x1p-53;
    double v = (double)(tq_rng_at(seed, stream, 2 * i + 1) >> 11) * 0x1p-53;
    return sqrt(-2.0 * log(u)) * cos(2.0 * PI * v);
}

static double dot_f64(const double *a, const double *b, uint32_t dim) {
    double sum = 0.0;
    for (uint32_t j = 0; j < dim; j++) sum += a[j] * b[j];
    return sum;
}

/* Gram and Schmidt over the rows of a Gaussian matrix: uniform over the orthogonal group. Twice is enough. */
static void orthonormalise(double *rows, uint32_t dim) {
    for (uint32_t i = 0; i < dim; i++) {
        double *row = rows + (size_t)i * dim;
        for (uint32_t k = 0; k < 2 * i; k++) {
            const double *other = rows + (size_t)(k % i) * dim;
            double dot = dot_f64(row, other, dim);
            for (uint32_t j = 0; j < dim; j++) row[j] -= dot * other[j];
        }
        double scale = 1.0 / sqrt(dot_f64(row, row, dim));
        for (uint32_t j = 0; j < dim; j++) row[j] *= scale;
    }
}

static enum tq_status make_pi(struct tq_textbook *t) {
    uint32_t dim = t->options.dim;
    if (t->options.structured) return tq_rotation_init(&t->structured, dim, t->options.seed, TQ_STREAM_ROTATION);
    size_t count = (size_t)dim * dim;
    double *rows = tq_alloc_array(count, sizeof *rows);
    t->pi = tq_alloc_array(count, sizeof *t->pi);
    if (rows == NULL || t->pi == NULL) {
        tq_free(rows);
        return TQ_NOMEM;
    }
    for (size_t i = 0; i < count; i++) rows[i] = gaussian(t->options.seed, STREAM_PI, i);
    orthonormalise(rows, dim);
    for (size_t i = 0; i < count; i++) t->pi[i] = (float)rows[i];
    tq_free(rows);
    return TQ_OK;
}

static enum tq_status make_s(struct tq_textbook *t) {
    size_t count = (size_t)t->options.sketch_dim * t->options.dim;
    t->s = tq_alloc_array(count, sizeof *t->s);
    if (t->s == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < count; i++) {
        bool sign = tq_rng_at(t->options.seed, STREAM_S, i) >> 63 != 0;
        t->s[i] = t->options.matrix == TQ_SKETCH_RADEMACHER ? (sign ? 1.0f : -1.0f)
                                                            : (float)gaussian(t->options.seed, STREAM_S, i);
    }
    return TQ_OK;
}

static enum tq_status check(const struct tq_textbook_options *o) {
    if (o->dim < 1 || o->dim > DIM_MAX)
        return tq_fail(TQ_MISUSE, "dim is %u; the textbook takes 1 to %u", o->dim, DIM_MAX);
    if (o->sketch_dim > DIM_MAX)
        return tq_fail(TQ_MISUSE, "sketch_dim is %u; the textbook takes 0 to %u", o->sketch_dim, DIM_MAX);
    uint32_t bits_max = o->prod ? 9 : 8;
    if (o->bits < 1 || o->bits > bits_max)
        return tq_fail(TQ_MISUSE, "bits is %u; it must be 1 to %u", o->bits, bits_max);
    return TQ_OK;
}

enum tq_status tq_textbook_open(const struct tq_textbook_options *options, struct tq_textbook **textbook) {
    TQ_TRY(check(options));
    struct tq_textbook *made = tq_alloc_zero(sizeof *made);
    if (made == NULL) return TQ_NOMEM;
    made->options = *options;
    if (!options->prod) made->options.sketch_dim = 0;
    if (options->prod && options->sketch_dim == 0) made->options.sketch_dim = options->dim;
    made->code_bits = options->prod ? options->bits - 1 : options->bits;
    if (made->code_bits > 0) tq_codebook_init(&made->codebook, options->dim, made->code_bits);
    tq_kernels_select(tq_cpu_isa(), &made->kernels);
    enum tq_status status = make_pi(made);
    if (status == TQ_OK && options->prod) {
        made->constant = sqrt(PI / 2.0) / made->options.sketch_dim;
        status = make_s(made);
    }
    if (status != TQ_OK) {
        tq_textbook_close(made);
        return status;
    }
    *textbook = made;
    return TQ_OK;
}

void tq_textbook_close(struct tq_textbook *textbook) {
    if (textbook == NULL) return;
    tq_rotation_clear(&textbook->structured);
    tq_free(textbook->pi);
    tq_free(textbook->s);
    tq_free(textbook);
}

size_t tq_textbook_code_bytes(const struct tq_textbook *textbook) {
    return textbook->options.dim + textbook->options.sketch_dim + sizeof(struct scalars);
}

/* out = matrix in, f32[rows][dim] times f32[dim]. */
static void multiply(const float *matrix, uint32_t rows, uint32_t dim, const float *in, float *out) {
    for (uint32_t i = 0; i < rows; i++) {
        double sum = 0.0;
        for (uint32_t j = 0; j < dim; j++) sum += (double)matrix[(size_t)i * dim + j] * (double)in[j];
        out[i] = (float)sum;
    }
}

/* in aligned, f32[dim] */
static void rotate(const struct tq_textbook *t, const float *in, float *out) {
    if (t->options.structured) {
        t->kernels.rotate(&t->structured, in, out);
    } else {
        multiply(t->pi, t->options.dim, t->options.dim, in, out);
    }
}

static double norm_of(const float *x, uint32_t dim) {
    double sum = 0.0;
    for (uint32_t j = 0; j < dim; j++) sum += (double)x[j] * (double)x[j];
    return sqrt(sum);
}

static float centroid(const struct tq_textbook *t, uint8_t index) {
    return t->code_bits == 0 ? 0.0f : t->codebook.centroids[index];
}

static uint8_t nearest(const struct tq_textbook *t, float value) {
    uint32_t index = 0;
    for (uint32_t i = 0; i + 1 < 1u << t->code_bits; i++) index += t->codebook.thresholds[i] <= value;
    return (uint8_t)index;
}

void tq_textbook_encode(const struct tq_textbook *textbook, const float *vector, void *code) {
    _Alignas(TQ_ALIGN) float x[DIM_MAX] = {0}, y[DIM_MAX];
    uint32_t dim = textbook->options.dim, sketch_dim = textbook->options.sketch_dim;
    uint8_t *indices = code, *sketch = indices + dim;
    struct scalars scalars = {.norm = (float)norm_of(vector, dim)};
    double inverse = scalars.norm > 0.0f ? 1.0 / (double)scalars.norm : 0.0;
    for (uint32_t j = 0; j < dim; j++) x[j] = (float)((double)vector[j] * inverse);
    rotate(textbook, x, y);
    for (uint32_t j = 0; j < dim; j++) {
        indices[j] = nearest(textbook, y[j]);
        y[j] -= centroid(textbook, indices[j]);
    }
    scalars.residual_norm = (float)norm_of(y, dim);
    if (textbook->s != NULL) {
        float *product = x;
        multiply(textbook->s, sketch_dim, dim, y, product);
        for (uint32_t i = 0; i < sketch_dim; i++) sketch[i] = product[i] >= 0.0f;
    }
    memcpy(sketch + sketch_dim, &scalars, sizeof scalars);
}

void tq_textbook_decode(const struct tq_textbook *textbook, const void *code, float *vector) {
    _Alignas(TQ_ALIGN) float estimate[DIM_MAX], turned[DIM_MAX], work[DIM_MAX];
    uint32_t dim = textbook->options.dim, sketch_dim = textbook->options.sketch_dim;
    const uint8_t *indices = code, *sketch = indices + dim;
    struct scalars scalars;
    memcpy(&scalars, sketch + sketch_dim, sizeof scalars);
    for (uint32_t j = 0; j < dim; j++) estimate[j] = centroid(textbook, indices[j]);
    float scale = (float)(textbook->constant * (double)scalars.residual_norm);
    for (uint32_t i = 0; i < sketch_dim; i++) {
        const float *row = textbook->s + (size_t)i * dim;
        float sign = sketch[i] != 0 ? scale : -scale;
        for (uint32_t j = 0; j < dim; j++) estimate[j] += sign * row[j];
    }
    if (textbook->options.structured) {
        tq_rotation_inverse(&textbook->structured, &textbook->kernels, estimate, turned, work);
    } else {
        memset(turned, 0, dim * sizeof *turned);
        for (size_t i = 0; i < dim; i++)
            for (uint32_t j = 0; j < dim; j++) turned[j] += estimate[i] * textbook->pi[i * dim + j];
    }
    for (uint32_t j = 0; j < dim; j++) vector[j] = scalars.norm * turned[j];
}

void tq_textbook_rotate(const struct tq_textbook *textbook, const float *query, float *rotated) {
    _Alignas(TQ_ALIGN) float x[DIM_MAX], y[DIM_MAX];
    uint32_t dim = textbook->options.dim;
    memcpy(x, query, dim * sizeof *query);
    rotate(textbook, x, y);
    memcpy(rotated, y, dim * sizeof *y);
    if (textbook->s != NULL) multiply(textbook->s, textbook->options.sketch_dim, dim, y, rotated + dim);
}

double tq_textbook_dot(const struct tq_textbook *textbook, const float *rotated, const void *code) {
    uint32_t dim = textbook->options.dim, sketch_dim = textbook->options.sketch_dim;
    const uint8_t *indices = code, *sketch = indices + dim;
    double sum = 0.0, sketch_sum = 0.0;
    struct scalars scalars;
    memcpy(&scalars, sketch + sketch_dim, sizeof scalars);
    for (uint32_t j = 0; j < dim; j++) sum += (double)rotated[j] * (double)centroid(textbook, indices[j]);
    for (uint32_t i = 0; i < sketch_dim; i++) {
        double term = rotated[dim + i];
        sketch_sum += sketch[i] != 0 ? term : -term;
    }
    sum += textbook->constant * (double)scalars.residual_norm * sketch_sum;
    return (double)scalars.norm * sum;
}
