/* Encoding: f32 vector -> rotated direction -> indices -> sketch of the residual -> bit planes and scalars.
 * The legend is in codec.h. Knows nothing of queries or storage.
 *
 * Every value that reaches a record comes from basic operations and sqrt in a fixed order, so that all machines
 * write the same bytes. Errors are measured on the rounded code in double, not predicted. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/f16.h"
#include "src/codec/codec.h"

#define F16_MAX 65504.0f
#define F16_INFINITY ((uint16_t)0x7c00)

struct tq_encoder {
    const struct tq_codec *codec;
    double slack;       /* bound on the angle that float rounding of u, y, S y and z can add up to */
    float *direction;   /* x, then u; later the signs of the planes */
    float *rotated;     /* y */
    float *code;        /* c, then r; without sketch stays c */
    float *sketched;    /* S y */
    float *residual;    /* z = S r, then S x_hat */
    float stretch;      /* s */
    uint8_t *indices;   /* u8[dim] */
    uint8_t *candidate; /* u8[dim] */
    uint8_t *sketch;    /* u8[dim] */
    uint8_t *record;
    uint16_t *half; /* the exact row where rows are f16 */
};

/* Scales of y tried against the codebook (EDEN and extended RaBitQ search one likewise): the index set whose direction
 * is nearest to y wins. One bit knows no scale.
 * GloVe, 100,000 words, 1 - cos^2 of 4 and 5 bits: .00904 .00237 with one scale, .00809 .00205 with these three, .00792
 * .00197 with five, .00760 .00187 with nine; each costs one `quantize`, 3 % of an encoding. Counting the sketch in the
 * choice gains 4 % at 4 bits with QJL and costs a rotation a scale, so it is not done. */
static const float encoder_scales[TQ_ENCODER_SCALES] = {1.0f, 0.92f, 1.08f};

void tq_encoder_constants(const struct tq_codec *codec, float scales[TQ_ENCODER_SCALES], double *slack) {
    memcpy(scales, encoder_scales, sizeof encoder_scales);
    *slack = 1e-6 + tq_rotation_slack(&codec->rotation);
    if (codec->format.qjl) *slack += 2.0 * tq_rotation_slack(&codec->sketch);
}

enum tq_status tq_encoder_open(const struct tq_codec *codec, struct tq_encoder **encoder) {
    size_t dim = codec->format.dim;
    size_t floats = tq_round_up(dim * sizeof(float), TQ_ALIGN), bytes = tq_round_up(dim, TQ_ALIGN);
    size_t head = tq_round_up(sizeof **encoder, TQ_ALIGN);
    size_t halves = tq_round_up(dim * sizeof(uint16_t), TQ_ALIGN);
    char *block = tq_alloc_zero(head + 5 * floats + 3 * bytes + halves +
                                tq_round_up(codec->format.record_stride, TQ_ALIGN));
    if (block == NULL) return TQ_NOMEM;
    struct tq_encoder *made = (struct tq_encoder *)(void *)block;
    made->codec = codec;
    float scales[TQ_ENCODER_SCALES];
    tq_encoder_constants(codec, scales, &made->slack);
    float **const vectors[] = {&made->direction, &made->rotated, &made->code, &made->sketched, &made->residual};
    uint8_t **const arrays[] = {&made->indices, &made->candidate, &made->sketch};
    block += head;
    for (size_t i = 0; i < TQ_COUNT(vectors); i++, block += floats) *vectors[i] = (float *)(void *)block;
    for (size_t i = 0; i < TQ_COUNT(arrays); i++, block += bytes) *arrays[i] = (uint8_t *)block;
    made->half = (uint16_t *)(void *)block;
    made->record = (uint8_t *)block + halves;
    *encoder = made;
    return TQ_OK;
}

void tq_encoder_close(struct tq_encoder *encoder) { tq_free(encoder); }

/* The first element that cannot be stored, or TQ_OK. */
static enum tq_status check_elements(const float *vector, uint32_t dim, float limit) {
    for (uint32_t j = 0; j < dim; j++) {
        if (isnan(vector[j])) return tq_fail(TQ_MISUSE, "vector element %u is nan; it must be finite", j);
        if (isinf(vector[j])) return tq_fail(TQ_MISUSE, "vector element %u is infinite; it must be finite", j);
        if (fabsf(vector[j]) > limit)
            return tq_fail(TQ_MISUSE, "vector element %u is %.9g; half precision ends at %.0f", j, (double)vector[j],
                           (double)limit);
    }
    return TQ_OK;
}

/* Copy the vector, as rows will keep it, to `direction`, and measure it. Rows of half precision are encoded after
 * rounding: a bound proved for the code must hold for the row that ranking will read. */
static enum tq_status load(struct tq_encoder *e, const float *vector, double *norm) {
    const struct tq_kernels *kernels = &e->codec->kernels;
    uint32_t dim = e->codec->format.dim;
    if (e->codec->format.rows == TQ_ROWS_F16) {
        TQ_TRY(check_elements(vector, dim, F16_MAX));
        kernels->to_f16(vector, dim, e->half);
        for (uint32_t j = 0; j < dim; j++) e->direction[j] = tq_f32_from_f16(e->half[j]);
    } else {
        memcpy(e->direction, vector, dim * sizeof *vector);
    }
    double square = kernels->dot_f32(e->direction, e->direction, dim);
    if (!(square <= DBL_MAX)) TQ_TRY(check_elements(vector, dim, FLT_MAX));
    *norm = sqrt(square);
    if (*norm > (double)FLT_MAX)
        return tq_fail(TQ_MISUSE, "the norm of the vector is %.6g; it must be at most %.6g", *norm, (double)FLT_MAX);
    return TQ_OK;
}

/* In double, because 1 / norm leaves the range of floats for norms that do not. */
static void make_unit(float *x, uint32_t dim, double norm) {
    double inverse = 1.0 / norm;
    for (uint32_t j = 0; j < dim; j++) x[j] = (float)((double)x[j] * inverse);
}

static void choose_indices(struct tq_encoder *e) {
    const struct tq_codebook *codebook = &e->codec->codebook;
    struct tq_quantizer quantizer = {codebook->dim, codebook->code_bits, codebook->thresholds, codebook->centroids};
    size_t count = codebook->code_bits == 1 ? 1 : TQ_COUNT(encoder_scales);
    struct tq_quantized_sums best, sums;
    e->codec->kernels.quantize(&quantizer, e->rotated, encoder_scales[0], e->indices, &best);
    for (size_t i = 1; i < count; i++) {
        e->codec->kernels.quantize(&quantizer, e->rotated, encoder_scales[i], e->candidate, &sums);
        double dot = sums.dot, best_dot = best.dot;
        if (dot * dot * (double)best.norm <= best_dot * best_dot * (double)sums.norm) continue;
        uint8_t *swap = e->indices;
        e->indices = e->candidate;
        e->candidate = swap;
        best = sums;
    }
    e->stretch = best.norm / best.dot;
}

/* tan of the angle between a and b, never too small. */
static double tangent_of(const struct tq_encoder *e, double a_square, double b_square, double dot) {
    double square = a_square * b_square / (dot * dot) - 1.0;
    double tangent = square > 0.0 ? sqrt(square) : 0.0;
    return tangent * (1.0 + 1e-6) + e->slack * (1.0 + tangent * tangent);
}

/* In half precision. */
static uint16_t tangent_up(const struct tq_encoder *e, double a_square, double b_square, double dot) {
    return dot <= 0.0 ? F16_INFINITY : tq_f16_up((float)tangent_of(e, a_square, b_square, dot));
}

/* The inverse is rounded by 2^-15, which TQ_SLACK_PLANE covers where it is 1/16 or more; below that v is so far off
 * u that nothing is lost by saying so. */
static struct tq_second_scalars second_scalars(const struct tq_encoder *e, double square, double v_square, double dot) {
    double inverse = floor(dot / sqrt((double)e->codec->format.dim) * TQ_SECOND_ONE + 0.5);
    if (!(inverse >= TQ_SECOND_ONE / 16)) return (struct tq_second_scalars){0, UINT16_MAX};
    double error = ceil(tangent_of(e, square, v_square, dot) * inverse);
    if (error >= UINT16_MAX || inverse > UINT16_MAX) return (struct tq_second_scalars){0, UINT16_MAX};
    return (struct tq_second_scalars){(uint16_t)inverse, (uint16_t)error};
}

/* first_error and second: y against the signs that scan planes hold, s1 and 2 s1 + s2. */
static void measure_planes(struct tq_encoder *e, double square, struct tq_row *row) {
    const struct tq_kernels *kernels = &e->codec->kernels;
    uint32_t dim = e->codec->format.dim, code_bits = e->codec->format.code_bits;
    float *signs = e->direction;
    for (uint32_t j = 0; j < dim; j++) signs[j] = (float)(2 * (e->indices[j] >> (code_bits - 1)) - 1);
    row->first_error = tangent_up(e, square, dim, kernels->dot_f32(e->rotated, signs, dim));
    row->second = (struct tq_second_scalars){0};
    if (e->codec->format.scan_planes < 2) return;
    for (uint32_t j = 0; j < dim; j++) signs[j] = (float)(2 * (e->indices[j] >> (code_bits - 2)) - 3);
    double dot = kernels->dot_f32(e->rotated, signs, dim);
    row->second = second_scalars(e, square, kernels->dot_f32(signs, signs, dim), dot);
}

/* Sketch bits and gamma of r = s y - c; `residual` becomes S x_hat, made with the gamma that is stored. */
static uint16_t sketch_residual(struct tq_encoder *e) {
    const struct tq_codec *codec = e->codec;
    uint32_t dim = codec->format.dim;
    for (uint32_t j = 0; j < dim; j++) e->code[j] = e->stretch * e->rotated[j] - e->code[j];
    codec->kernels.rotate(&codec->sketch, e->code, e->residual);
    codec->kernels.rotate(&codec->sketch, e->rotated, e->sketched);
    double root = sqrt((double)dim), sum = codec->kernels.sketch(e->residual, dim, e->sketch);
    uint16_t half = tq_f16_from_f32((float)(sum / root));
    float gamma = (float)((double)tq_f32_from_f16(half) / root);
    for (uint32_t j = 0; j < dim; j++) {
        float code = e->stretch * e->sketched[j] - e->residual[j]; /* S c */
        e->residual[j] = code + (e->sketch[j] != 0 ? gamma : -gamma);
    }
    return half;
}

/* The scalars of the full code: y against x_hat. */
static void measure_code(struct tq_encoder *e, struct tq_record_tail *tail) {
    const struct tq_codec *codec = e->codec;
    uint32_t dim = codec->format.dim;
    const float *exact = e->rotated, *estimate = e->code;
    for (uint32_t j = 0; j < dim; j++) e->code[j] = codec->codebook.centroids[e->indices[j]];
    if (codec->format.qjl) {
        tail->gamma = sketch_residual(e);
        exact = e->sketched;
        estimate = e->residual;
    }
    double exact_square = codec->kernels.dot_f32(exact, exact, dim);
    double square = codec->kernels.dot_f32(estimate, estimate, dim);
    double dot = codec->kernels.dot_f32(exact, estimate, dim);
    /* A code this far off its vector would be blown up tenfold, noise and all: such a row has no estimate, and its
     * bound sends it to exact ranking (turbovec's #116 tells what happens otherwise). */
    bool usable = dot > 0.1 * sqrt(exact_square * square);
    tail->scale = usable ? (float)(1.0 / dot) : 0.0f;
    tail->error = usable ? tangent_up(e, exact_square, square, dot) : F16_INFINITY;
}

static void finish(struct tq_encoder *e, const float *vector, struct tq_record_tail *tail, struct tq_row *row) {
    const struct tq_format *format = &e->codec->format;
    tq_format_round(format, tail, &row->first_error);
    memcpy(e->record + format->bits * format->plane_bytes, tail, sizeof *tail);
    row->record = e->record;
    row->norm = tail->norm;
    row->exact = format->rows == TQ_ROWS_NONE ? NULL : vector;
    if (format->rows == TQ_ROWS_F16) row->exact = e->half;
}

enum tq_status tq_encode(struct tq_encoder *encoder, const float *vector, struct tq_row *row) {
    const struct tq_codec *codec = encoder->codec;
    const struct tq_format *format = &codec->format;
    double norm = 0.0;
    TQ_TRY(load(encoder, vector, &norm));
    struct tq_record_tail tail = {.norm = (float)norm};
    if (norm == 0.0) {
        memset(encoder->record, 0, format->record_stride);
        *row = (struct tq_row){.first_error = F16_INFINITY};
        finish(encoder, vector, &tail, row);
        return TQ_OK;
    }
    make_unit(encoder->direction, format->dim, norm);
    codec->kernels.rotate(&codec->rotation, encoder->direction, encoder->rotated);
    choose_indices(encoder);
    measure_code(encoder, &tail);
    measure_planes(encoder, codec->kernels.dot_f32(encoder->rotated, encoder->rotated, format->dim), row);
    codec->kernels.pack(encoder->indices, format->qjl ? encoder->sketch : NULL, format->dim, format->code_bits,
                        encoder->record);
    finish(encoder, vector, &tail, row);
    return TQ_OK;
}
