#include "src/base/format.h"

static enum tq_status check_options(const struct tq_index_options *o, uint32_t bits, bool qjl) {
    if (o->dim < 1 || o->dim > TQ_DIM_MAX)
        return tq_fail(TQ_MISUSE, "dim is %u; it must be 1 to %u", o->dim, TQ_DIM_MAX);
    if (bits < 1 || bits > TQ_BITS_MAX) return tq_fail(TQ_MISUSE, "bits is %u; it must be 1 to %u", bits, TQ_BITS_MAX);
    if (o->qjl < -1 || o->qjl > 1) return tq_fail(TQ_MISUSE, "qjl is %d; it must be 0, 1 or -1 (default)", o->qjl);
    if (qjl && bits < 2) return tq_fail(TQ_MISUSE, "qjl=1 needs bits of 2 to 9; bits is %u", bits);
    if (!qjl && bits > 8) return tq_fail(TQ_MISUSE, "bits is %u; without QJL it must be 1 to 8", bits);
    if ((int)o->metric < TQ_COSINE || (int)o->metric > TQ_L2)
        return tq_fail(TQ_MISUSE, "metric is %d; it must be 0 (cosine), 1 (ip) or 2 (l2)", (int)o->metric);
    if ((int)o->rows < TQ_ROWS_F32 || (int)o->rows > TQ_ROWS_NONE)
        return tq_fail(TQ_MISUSE, "rows is %d; it must be 0 (f32), 1 (f16) or 2 (none)", (int)o->rows);
    return TQ_OK;
}

/* Rows are read at random: a stride that is 32 or a multiple of 64 costs the fewest cache lines. Where codes
 * are all there is, bytes are the point. */
static uint32_t record_stride(uint32_t bytes, enum tq_rows rows) {
    if (rows == TQ_ROWS_NONE) return (uint32_t)tq_round_up(bytes, 4);
    return bytes <= 32 ? 32 : (uint32_t)tq_round_up(bytes, 64);
}

/* The planes but the first; scale; the norm where there is no plane of norms; gamma. */
static uint32_t packed_bytes(uint32_t dim, uint32_t bits, bool qjl, bool norms) {
    return (dim + 7) / 8 * (bits - 1) + (uint32_t)sizeof(uint16_t) * (1 + (norms ? 0u : 1u) + (qjl ? 1u : 0u));
}

enum tq_status tq_format_init(struct tq_format *format, const struct tq_index_options *options) {
    uint32_t bits = options->bits == 0 ? 4 : options->bits;
    bool qjl = options->qjl < 0 ? bits >= 2 : options->qjl != 0;
    TQ_TRY(check_options(options, bits, qjl));
    static const uint32_t exact_size[] = {4, 2, 0};
    uint32_t plane_bytes = (options->dim + 7) / 8;
    bool packed = options->rows == TQ_ROWS_NONE, norms = options->metric != TQ_COSINE || !packed;
    uint32_t record_bytes = bits * plane_bytes + (uint32_t)sizeof(struct tq_record_tail);
    uint32_t stride = record_stride(record_bytes, options->rows);
    *format = (struct tq_format){
        .dim = options->dim,
        .bits = bits,
        .code_bits = bits - (qjl ? 1 : 0),
        .qjl = qjl,
        .metric = options->metric,
        .rows = options->rows,
        .seed = options->seed,
        .norms = norms,
        .packed = packed,
        .scan_planes = bits - (qjl ? 1 : 0) >= 2 && !packed ? 2 : 1,
        .plane_bytes = plane_bytes,
        .record_bytes = record_bytes,
        .record_stride = stride,
        .stored_bytes = packed ? packed_bytes(options->dim, bits, qjl, norms) : stride,
        .block_bytes = (options->dim + 3) / 4 * 64,
        .exact_bytes = options->dim * exact_size[options->rows],
    };
    return TQ_OK;
}

struct tq_index_options tq_format_options(const struct tq_format *format) {
    return (struct tq_index_options){.dim = format->dim,
                                     .metric = format->metric,
                                     .bits = format->bits,
                                     .qjl = format->qjl ? 1 : 0,
                                     .rows = format->rows,
                                     .seed = format->seed};
}

bool tq_format_same(const struct tq_format *a, const struct tq_format *b) {
    return a->dim == b->dim && a->bits == b->bits && a->qjl == b->qjl && a->metric == b->metric && a->rows == b->rows &&
           a->seed == b->seed;
}

void tq_format_round(const struct tq_format *format, struct tq_record_tail *tail, uint16_t *first_error) {
    if (!format->packed) return;
    tail->scale = tq_scale_unpack(tq_scale_pack(tail->scale));
    if (!format->norms) tail->norm = tq_norm_unpack(tq_norm_pack(tail->norm));
    if (!format->qjl) tail->gamma = 0;
    tail->error = 0;
    *first_error = tq_first_error_unpack(tq_first_error_pack(*first_error));
}

double tq_format_code_bytes_row(const struct tq_format *format) {
    size_t scalars = format->packed ? sizeof(uint8_t) : sizeof(uint16_t);
    if (format->scan_planes > 1) scalars += sizeof(struct tq_second_scalars);
    if (format->norms) scalars += sizeof(float);
    size_t block = (size_t)format->block_bytes * format->scan_planes + 24; /* the planes, and struct tq_block_stats */
    return (double)block / TQ_BLOCK_ROWS + (double)(scalars + format->stored_bytes);
}

struct tq_index_options tq_index_defaults(uint32_t dim) {
    return (struct tq_index_options){.dim = dim, .bits = 4, .qjl = -1, .seed = 0x7471};
}

struct tq_search_options tq_search_defaults(void) {
    return (struct tq_search_options){.confidence = 3.0, .threads = 1};
}
