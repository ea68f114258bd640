/* The mathematics of TurboQuant: vectors to codes, codes to vectors, queries to what the kernels read.
 * Knows nothing of files or searches.
 *
 * Legend (TurboQuant, arXiv 2504.19874, sections 2 and 3)
 *   x, u      a vector and its direction u = x / |x|        Pi        the rotation (here: codec/rotation.c)
 *   y         Pi u                                           S         the sketch (here: a second rotation of y)
 *   c         Lloyd-Max reconstruction of y                  s         |c|^2 / <c, y>
 *   r         s y - c, the residual: orthogonal to c whatever scale of y the indices were chosen at
 *   gamma     ||S r||_1 / d, the least-squares scale of the sketch
 *   x_hat     c + gamma S^T sgn(S r)                          estimate of <q,x>: <Pi q, x_hat> |x| / <y, x_hat>
 *             (the rescale is DRIVE/EDEN's and RaBitQ's: it makes the estimate exact for q = x) */
#ifndef TQ_CODEC_H
#define TQ_CODEC_H

#include "kernels/kernels.h"
#include "src/base/format.h"

/* ---- Codebook: exact Lloyd-Max for a coordinate of a random unit vector, density (1 - t^2)^((d-3)/2) ---- */

struct tq_codebook {
    uint32_t dim, code_bits;
    float centroids[256];  /* ascending, for unit vectors (about 1/sqrt(dim) in size): multiples of `step` */
    float thresholds[255]; /* midpoints of the exact centroids */
    int16_t integers[256]; /* centroids as the kernels read them: centroids[i] = integers[i] * step */
    float step;
    double distortion; /* expected squared error of a unit vector: dim * E (t - c(t))^2 */
};

/* Deterministic on every machine (only + - * / sqrt). code_bits 1..8, dim >= 1. */
void tq_codebook_init(struct tq_codebook *codebook, uint32_t dim, uint32_t code_bits);

/* ---- Rotation ---- */

enum tq_rotation_stream { TQ_STREAM_ROTATION = 1, TQ_STREAM_SKETCH = 2 };

/* Owns the arrays of *rotation until tq_rotation_clear. TQ_NOMEM. */
enum tq_status tq_rotation_init(struct tq_rotation *rotation, uint32_t dim, uint64_t seed,
                                enum tq_rotation_stream stream);
void tq_rotation_clear(struct tq_rotation *rotation);

/* A bound on |computed R x - R x| / |x|: every addition and multiplication of floats rounds by half an ulp at most. */
double tq_rotation_slack(const struct tq_rotation *rotation);

/* out = R^T in (scratch: f32[dim]); for decoding, no kernel row. */
void tq_rotation_inverse(const struct tq_rotation *rotation, const struct tq_kernels *kernels, const float *in,
                         float *out, float *scratch);

/* ---- Codec: what an index shares between its encoders and queries; immutable, any number of threads ---- */

struct tq_codec {
    struct tq_format format;
    struct tq_codebook codebook;
    struct tq_rotation rotation;
    struct tq_rotation sketch; /* dim 0 without QJL */
    struct tq_kernels kernels;
};

enum tq_status tq_codec_open(const struct tq_format *format, const struct tq_kernels *kernels, struct tq_codec **codec);
void tq_codec_close(struct tq_codec *codec);

/* ---- Encoding ---- */

struct tq_encoder; /* scratch of one thread */
enum tq_status tq_encoder_open(const struct tq_codec *codec, struct tq_encoder **encoder);
void tq_encoder_close(struct tq_encoder *encoder);

/* The scales of y that an encoder tries, in this order (one alone where code_bits is 1), and its bound on what rounding
 * does to an angle. */
enum { TQ_ENCODER_SCALES = 3 };
void tq_encoder_constants(const struct tq_codec *codec, float scales[TQ_ENCODER_SCALES], double *slack);

/* Encode f32[dim] into *row, borrowed until the next call on this encoder; row->exact points into the encoder (f16) or
 * at `vector` itself (f32). TQ_MISUSE names the first element that is not finite, or a norm beyond f32, or an
 * element beyond half precision where rows are f16. Rows of f16 are rounded first and encoded as rounded, so that the
 * code's bounds hold for the row that is kept. */
enum tq_status tq_encode(struct tq_encoder *encoder, const float *vector, struct tq_row *row);

/* The vector a record stands for: |x| Pi^T x_hat / <y, x_hat>, f32[dim]. scratch: f32[4 * dim], aligned. */
void tq_decode(const struct tq_codec *codec, const uint8_t *record, float *vector, float *scratch);

/* The index of every dimension, and the sketch bits (NULL: not wanted) of a record, u8[dim] each. */
void tq_unpack(const struct tq_format *format, const uint8_t *record, uint8_t *indices, uint8_t *sketch);

/* ---- Prepared query ---- */

/* Directions are unit: cosine estimates come out, the caller multiplies by norms. For a record with dots (A, B):
 *   first plane:  cos ~ plane_step * (2 sum - plane_abs_sum) * sqrt(1 + e1^2) / sqrt(dim),          e1 = first_error
 *   second:       cos ~ plane_step * (2 dot1 + dot2) * second.scale / sqrt(dim),         dot = 2 sum - plane_abs_sum
 *   full:         cos ~ tail.scale * (A * code_step + gamma * B * sketch_step),       gamma = tail.gamma / sqrt(dim)
 * The *_error members are |rounded - exact| / |exact| of the rotated query (for code_error the sum of both parts').
 * Rounding moves the first estimate by at most plane_error * sqrt(1 + e1^2), and the full one by at most
 * code_error * (sqrt(1 + e^2) + scale * gamma * sqrt(dim)), e and scale the tail's, because
 * |c| <= |x_hat| + gamma sqrt(dim). */
struct tq_query {
    struct tq_code_query code; /* points into this query's memory */
    const uint8_t *lut;        /* u8[groups][16] for scan: sum of |q_j| over dimensions whose sign agrees */
    const int8_t *plane_query; /* i8[padded dim] in +-31: the same integers for sign_dots */
    int32_t plane_abs_sum;     /* sum of |plane_query_j| <= 65535 */
    double plane_step, plane_error;
    double code_step, sketch_step, code_error;
    double norm, norm2; /* |q|, and its square as the exact dot kernel has it; 0 for a zero query, whose
                                   integers are all 0 */
    const float *exact; /* the query itself, f32[dim], copied */
};

size_t tq_query_bytes(const struct tq_codec *codec); /* of memory to hand to prepare, 64-byte aligned */
/* queries f32[dim] finite, else TQ_MISUSE naming the element. */
enum tq_status tq_query_prepare(const struct tq_codec *codec, const float *vector, void *memory,
                                struct tq_query *query);

/* ---- The textbook estimators of the paper, for study and tests (Algorithms 1 and 2) ---- */

enum tq_sketch_matrix { TQ_SKETCH_GAUSSIAN = 0, TQ_SKETCH_RADEMACHER = 1 };

struct tq_textbook; /* dense rotation by default, dense S; dim up to 4096 */
struct tq_textbook_options {
    uint32_t dim;
    uint32_t bits; /* total: `mse` spends all of them on the index, `prod` one on the sketch */
    bool prod;
    enum tq_sketch_matrix matrix;
    uint32_t sketch_dim; /* rows of S; 0 means dim. The constant becomes sqrt(pi/2) / sketch_dim */
    bool structured;     /* use tq_rotation for Pi instead of a dense orthogonal matrix */
    uint64_t seed;
};
enum tq_status tq_textbook_open(const struct tq_textbook_options *options, struct tq_textbook **textbook);
void tq_textbook_close(struct tq_textbook *textbook);
size_t tq_textbook_code_bytes(const struct tq_textbook *textbook); /* index u8[dim], sketch u8[sketch_dim], 2 f32 */
/* Algorithm 1 or 2, QUANT: f32[dim] -> code. */
void tq_textbook_encode(const struct tq_textbook *textbook, const float *vector, void *code);
/* Algorithm 1 or 2, DEQUANT: x~ = |x| Pi^T (c + sqrt(pi/2)/m |r| S^T qjl). */
void tq_textbook_decode(const struct tq_textbook *textbook, const void *code, float *vector);
/* <query, x~>, computed in the rotated space. rotated from tq_textbook_rotate: f32[dim + sketch_dim]. */
void tq_textbook_rotate(const struct tq_textbook *textbook, const float *query, float *rotated);
double tq_textbook_dot(const struct tq_textbook *textbook, const float *rotated, const void *code);

#endif
