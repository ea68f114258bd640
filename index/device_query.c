/* Codecs and queries, as the plugin's kernels read them: bit planes, weights, lines and bounds. */
#include <stdlib.h>
#include <string.h>

#include "index/device_parts.h"

bool tq_device_supports(const struct tq_format *format) {
    return format->code_bits <= TQ_CUDA_CODE_BITS_MOST && format->dim <= TQ_CUDA_SLABS_MOST * TQ_CUDA_SLAB_DIMS;
}

void tq_device_codec(const struct tq_codec *codec, struct tq_cuda_codec *made) {
    const struct tq_format *f = &codec->format;
    *made = (struct tq_cuda_codec){.rotation = codec->rotation,
                                   .sketch = codec->sketch,
                                   .dim = f->dim,
                                   .bits = f->bits,
                                   .code_bits = f->code_bits,
                                   .scan_planes = f->scan_planes,
                                   .plane_bytes = f->plane_bytes,
                                   .record_stride = f->record_stride,
                                   .qjl = f->qjl,
                                   .half_rows = f->rows == TQ_ROWS_F16,
                                   .packed = f->packed,
                                   .norms = f->norms,
                                   .thresholds = codec->codebook.thresholds,
                                   .centroids = codec->codebook.centroids};
    tq_encoder_constants(codec, made->scales, &made->slack);
}

/* Byte p of the result has bit p of each of the eight bytes: the transpose of 8 x 8 bits, by exchanging ever larger
 * squares across the diagonal. */
static uint64_t transpose_bits(uint64_t x) {
    uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
    return x ^ t ^ t << 28;
}

/* Eight integers' bytes, of dimensions `at` .. at + 7 of a slab, into eight planes. */
static void put_bytes(uint32_t (*planes)[8], uint32_t at, const uint8_t bytes[8]) {
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++) x |= (uint64_t)bytes[i] << 8 * i;
    x = transpose_bits(x);
    for (unsigned p = 0; p < 8; p++) planes[p][at / 32] |= (uint32_t)(x >> 8 * p & 0xff) << at % 32;
}

/* 16-bit integers into planes 0-7 and 8-15, which lie behind each other. Returns their sum. */
static int32_t put_words(uint32_t (*planes)[8][8], uint32_t at, const int16_t words[8]) {
    uint8_t low[8], high[8];
    int32_t sum = 0;
    for (unsigned i = 0; i < 8; i++) {
        low[i] = (uint8_t)(uint16_t)words[i];
        high[i] = (uint8_t)((uint16_t)words[i] >> 8);
        sum += words[i];
    }
    put_bytes(planes[0], at, low);
    put_bytes(planes[1], at, high);
    return sum;
}

/* The query's integers are padded with zeros to more than eights. The planes' are of six bits: the two above would
 * repeat the sign, and are to be 0. */
static void put_planes(const struct tq_query *query, uint32_t dim, struct tq_cuda_query *made) {
    for (uint32_t j = 0; j < dim; j += 8) {
        uint32_t slab = j / TQ_CUDA_SLAB_DIMS, at = j % TQ_CUDA_SLAB_DIMS;
        uint8_t plane[8];
        for (unsigned i = 0; i < 8; i++) {
            plane[i] = (uint8_t)query->plane_query[j + i] & 0x3f;
            made->plane_sum += query->plane_query[j + i];
        }
        put_bytes(made->planes.plane[slab], at, plane);
        made->code_sum += put_words(made->planes.code[slab], at, query->code.query + j);
        if (query->code.sketch)
            made->sketch_sum += put_words(made->planes.sketch[slab], at, query->code.sketch_query + j);
    }
}

/* centroid(index) = sum of weights over subsets of the index' bits (a Moebius transform), so that a kernel, which has
 * bits of many rows in a word, needs products of bit planes and no look-ups. */
static void put_weights(const struct tq_codebook *codebook, int32_t *weights) {
    uint32_t count = 1u << codebook->code_bits;
    for (uint32_t i = 0; i < count; i++) weights[i] = codebook->integers[i];
    for (uint32_t bit = 1; bit < count; bit *= 2) {
        for (uint32_t i = 0; i < count; i++) {
            if ((i & bit) != 0) weights[i] -= weights[i ^ bit];
        }
    }
}

/* Lines: where the sum over the first slabs of q_j, signed as a row is, lies for a row at cosine c to the query.
 *
 * After a random rotation q_j and y_j are close to normal, of deviation 1/sqrt(d) and correlation c. For such a pair
 * E[q_j sgn y_j] = c sqrt(2/pi) / sqrt(d), whatever c is (Bussgang's theorem, 1952): summed over the slabs' dimensions,
 * c sqrt(2/pi) sqrt(d) part, where `part` is their share of the query's square. That share is what varies from query to
 * query, so it is measured and not taken to be that of the dimensions. A term's variance is at most q_j^2, and on a
 * sphere terms are negatively correlated: the deviation is at most sqrt(part). All of it is in units of a step.
 *
 * .79 instead of sqrt(2/pi) = .798 errs downwards for the cosines that matter. A row is lost when its sum falls
 * `deviations` below its mean: for z = 3, and less, five of them, one row in 3.5 million; that is apart from the CPU's
 * own risk, which is z.
 *
 * Where the lines cover all dimensions the CPU's bound is at hand: it keeps a row at angle theta to its signs if
 *   sum >= c sqrt(d) cos theta - z sin theta sqrt(1 - c^2),
 * which is above the line as long as deviations >= c (.79 sqrt(d) - sqrt(d) cos theta) + z sin theta sqrt(1 - c^2).
 * The bracket is at most .79 sqrt(d) - 1, less than 3.5 up to 32 dimensions, and beyond them at most 3 for all but one
 * row in millions (sqrt(d) cos theta = |y|_1 has the deviation .6): the right side is at most sqrt(3.5^2 + z^2), less
 * than max(z, 3) + 2. So there the line dismisses nothing that the CPU keeps. */
static void put_lines(const struct tq_searcher *s, struct tq_cuda_query *made) {
    const int8_t *integers = s->query->plane_query;
    double deviations = fmax(s->options->confidence, 3) + 2, all = 0, square = 0;
    int32_t negative = 0, absolute = 0;
    uint32_t dim = s->codec->format.dim;
    for (uint32_t j = 0; j < dim; j++) all += (double)integers[j] * integers[j];
    for (uint32_t slabs = 1; slabs <= TQ_CUDA_SCAN_SLABS_MOST; slabs++) {
        uint32_t first = (slabs - 1) * TQ_CUDA_SLAB_DIMS, end = slabs * TQ_CUDA_SLAB_DIMS;
        if (first >= dim) break;
        for (uint32_t j = first; j < end && j < dim; j++) {
            negative += integers[j] < 0 ? -integers[j] : 0;
            absolute += abs(integers[j]);
            square += (double)integers[j] * integers[j];
        }
        double part = square / all;
        made->line[slabs - 1] = (struct tq_cuda_line){.negative = negative,
                                                      .absolute = absolute,
                                                      .mean = 0.79 * s->sqrt_dim * part / s->query->plane_step,
                                                      .deviation = deviations * sqrt(part) / s->query->plane_step};
    }
}

/* Rows of the best estimates are found by bounds of any width. A proof's are so wide that most rows would be
 * candidates: then they are those of an ordinary search, which still are at least the estimates. */
static void put_bounds(const struct tq_searcher *s, enum tq_device_ask ask, struct tq_cuda_bounds *made) {
    const struct tq_query *q = s->query;
    double zeta = s->bound.zeta;
    bool by_estimate = s->by_estimate || ask == TQ_ASK_SEEDS;
    if (s->proof && by_estimate) zeta = fmin(zeta, 3 / s->sqrt_dim);
    *made = (struct tq_cuda_bounds){.zeta = zeta,
                                    .query_norm = s->bound.query_norm,
                                    .plane_scale = s->plane_scale,
                                    .plane_slack = s->plane_slack,
                                    .query_slack = s->query_slack,
                                    .code_slack = s->code_slack,
                                    .sqrt_dim = s->sqrt_dim,
                                    .code_step = q->code_step,
                                    .sketch_step = q->sketch_step,
                                    .confidence = s->options->confidence,
                                    .metric = (int32_t)s->metric,
                                    .scan_planes = (int32_t)s->codec->format.scan_planes,
                                    .packed = s->codec->format.packed,
                                    .qjl = s->codec->format.qjl,
                                    .proof = s->proof,
                                    .by_estimate = by_estimate};
}

void tq_device_query(const struct tq_searcher *s, enum tq_device_ask ask, struct tq_cuda_query *made) {
    memset(made, 0, sizeof *made);
    put_planes(s->query, s->codec->format.dim, made);
    put_weights(&s->codec->codebook, made->weights);
    put_lines(s, made);
    put_bounds(s, ask, &made->bounds);
    made->wanted = (uint32_t)s->wanted;
    made->seed_bar = s->seed_bar;
    made->every_row = s->proof;
}
