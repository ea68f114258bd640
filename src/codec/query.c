/* Preparing a query: its rotated direction in the three integer forms that kernels read, with the error each
 * rounding makes. The legend is in codec.h. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/codec/codec.h"

enum {
    PLANE_MAX = 31,        /* four of them fit a look-up entry of 7 bits */
    PLANE_SUM_MAX = 65535, /* a sum of look-ups fits u16 */
    CODE_NORM_MAX = 32767, /* |query| * |any code row| < 2^31 */
};

/* Where the parts of a query lie in its one block of memory, in bytes from its start. */
struct parts {
    size_t code, sketch, centroids, lut, plane, exact, rotated, other, bytes;
};

static struct parts lay_out(const struct tq_codec *codec) {
    size_t dim = codec->format.dim, padded = tq_layout_padded_dim(dim), at = 0;
    struct parts p;
    const struct {
        size_t *offset, size;
    } list[] = {
        {&p.lut, tq_layout_groups(dim) * 16},
        {&p.plane, padded},
        {&p.code, padded * sizeof(int16_t)},
        {&p.sketch, codec->format.qjl ? padded * sizeof(int16_t) : 0},
        {&p.centroids, sizeof(int16_t) << codec->format.code_bits},
        {&p.exact, dim * sizeof(float)},
        {&p.rotated, dim * sizeof(float)},
        {&p.other, dim * sizeof(float)}, /* the direction, then S y; else scratch */
    };
    for (size_t i = 0; i < TQ_COUNT(list); i++) {
        *list[i].offset = at;
        at += tq_round_up(list[i].size, TQ_ALIGN);
    }
    p.bytes = at;
    return p;
}

size_t tq_query_bytes(const struct tq_codec *codec) { return lay_out(codec).bytes; }

/* Rounded to the nearest integer; halves away from zero. */
static int32_t round_to_int(float value) { return (int32_t)(value + (value < 0.0f ? -0.5f : 0.5f)); }

/* q in integers of `step`. Returns |rounded - q| / |q|, a little up. `loss` is scratch, f32[dim]. */
static double round_all(const struct tq_codec *codec, const float *q, double step, int16_t *rounded, float *loss) {
    uint32_t dim = codec->format.dim;
    float inverse = (float)(1.0 / step), unit = (float)step;
    for (uint32_t j = 0; j < dim; j++) rounded[j] = (int16_t)round_to_int(q[j] * inverse);
    for (uint32_t j = 0; j < dim; j++) loss[j] = (float)rounded[j] * unit - q[j];
    double ratio = codec->kernels.dot_f32(loss, loss, dim) / codec->kernels.dot_f32(q, q, dim);
    return sqrt(ratio) * (1.0 + 1e-6) + 0x1p-22;
}

/* Entry p of a group: the sum of |q_j| over its dimensions whose sign is that of bit j of p. It starts from the
 * negative ones; a bit that is set takes its |q_j| away or adds it. */
static void fill_lut(const int8_t *plane, size_t groups, uint8_t *lut) {
    for (size_t g = 0; g < groups; g++, plane += 4, lut += 16) {
        int none = 0;
        for (int i = 0; i < 4; i++) none += plane[i] < 0 ? -plane[i] : 0;
        lut[0] = (uint8_t)none;
        for (int i = 0; i < 4; i++)
            for (int p = 0; p < 1 << i; p++) lut[p + (1 << i)] = (uint8_t)(lut[p] + plane[i]);
    }
}

static int32_t sum_of_absolutes(const int16_t *rounded, uint32_t dim) {
    int32_t sum = 0;
    for (uint32_t j = 0; j < dim; j++) sum += rounded[j] < 0 ? -rounded[j] : rounded[j];
    return sum;
}

/* The largest element becomes PLANE_MAX: clipping a few would lower the error by 3 % at best. Beyond 5,000
 * dimensions the limit on the sum asks for coarser steps. `rounded` is scratch, i16[dim]. */
static void prepare_plane(const struct tq_codec *codec, const float *q, char *memory, const struct parts *p,
                          float *loss, int16_t *rounded, struct tq_query *query) {
    uint32_t dim = codec->format.dim;
    int8_t *plane = (int8_t *)(memory + p->plane);
    float largest = 0.0f;
    for (uint32_t j = 0; j < dim; j++) largest = fabsf(q[j]) > largest ? fabsf(q[j]) : largest;
    for (double step = (double)largest / PLANE_MAX;; step *= fmax(1.01, query->plane_abs_sum / (double)PLANE_SUM_MAX)) {
        query->plane_step = (double)(float)step;
        query->plane_error = round_all(codec, q, query->plane_step, rounded, loss);
        query->plane_abs_sum = sum_of_absolutes(rounded, dim);
        if (query->plane_abs_sum <= PLANE_SUM_MAX) break;
    }
    for (uint32_t j = 0; j < dim; j++) plane[j] = (int8_t)rounded[j];
    fill_lut(plane, tq_layout_groups(dim), (uint8_t *)(memory + p->lut));
}

/* q in int16, of norm at most CODE_NORM_MAX whatever rounding does. Returns its step; adds to *error. */
static double prepare_code(const struct tq_codec *codec, const float *q, float *loss, int16_t *rounded, double *error) {
    uint32_t dim = codec->format.dim;
    double square = codec->kernels.dot_f32(q, q, dim);
    double step = (double)(float)(sqrt(square) / (CODE_NORM_MAX - 1.0 - 0.5 * sqrt((double)dim)));
    *error += round_all(codec, q, step, rounded, loss);
    return step;
}

static enum tq_status check_elements(const float *vector, uint32_t dim) {
    for (uint32_t j = 0; j < dim; j++) {
        if (isnan(vector[j])) return tq_fail(TQ_MISUSE, "query element %u is nan; it must be finite", j);
        if (isinf(vector[j])) return tq_fail(TQ_MISUSE, "query element %u is infinite; it must be finite", j);
    }
    return TQ_OK;
}

/* Pointers into memory; integers are 0 until filled. */
static struct tq_query empty_query(const struct tq_codec *codec, char *memory, const struct parts *p) {
    memset(memory, 0, p->bytes);
    return (struct tq_query){
        .code = {.dim = codec->format.dim,
                 .code_bits = codec->format.code_bits,
                 .sketch = codec->format.qjl,
                 .query = (const int16_t *)(const void *)(memory + p->code),
                 .sketch_query = codec->format.qjl ? (const int16_t *)(const void *)(memory + p->sketch) : NULL,
                 .centroids = (const int16_t *)(const void *)(memory + p->centroids)},
        .lut = (const uint8_t *)(memory + p->lut),
        .plane_query = (const int8_t *)(memory + p->plane),
        .exact = (const float *)(const void *)(memory + p->exact),
    };
}

enum tq_status tq_query_prepare(const struct tq_codec *codec, const float *vector, void *memory,
                                struct tq_query *query) {
    uint32_t dim = codec->format.dim;
    struct parts p = lay_out(codec);
    char *base = memory;
    struct tq_query made = empty_query(codec, base, &p);
    float *exact = (float *)(void *)(base + p.exact), *rotated = (float *)(void *)(base + p.rotated);
    float *other = (float *)(void *)(base + p.other);
    int16_t *code = (int16_t *)(void *)(base + p.code), *sketch = (int16_t *)(void *)(base + p.sketch);
    memcpy(exact, vector, dim * sizeof *vector);
    memcpy(base + p.centroids, codec->codebook.integers, sizeof(int16_t) << codec->format.code_bits);
    double square = codec->kernels.dot_f32(exact, exact, dim);
    if (!(square <= DBL_MAX)) TQ_TRY(check_elements(vector, dim));
    made.norm = sqrt(square);
    made.norm2 = square;
    if (made.norm > 0.0) {
        for (uint32_t j = 0; j < dim; j++) other[j] = (float)((double)exact[j] * (1.0 / made.norm));
        codec->kernels.rotate(&codec->rotation, other, rotated);
        prepare_plane(codec, rotated, base, &p, other, code, &made);
        double step = prepare_code(codec, rotated, other, code, &made.code_error);
        made.code_step = step * (double)codec->codebook.step;
        made.plane_error += tq_rotation_slack(&codec->rotation);
        made.code_error += tq_rotation_slack(&codec->rotation);
    }
    if (made.norm > 0.0 && codec->format.qjl) {
        codec->kernels.rotate(&codec->sketch, rotated, other);
        made.sketch_step = prepare_code(codec, other, rotated, sketch, &made.code_error);
        made.code_error += tq_rotation_slack(&codec->rotation) + tq_rotation_slack(&codec->sketch);
    }
    *query = made;
    return TQ_OK;
}
