/* Every operation and instruction set against the scalar row, bit for bit, and the scalar row against naive.h.
 * Buffers lie once at the end and once at the start of pages whose neighbours have no access.
 *
 *     check_kernels [--isa=NAME] [--seed=N]        one row, another seed */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "src/base/base.h"
#include "tests/kernels/check.h"
#include "tests/kernels/naive.h"

enum { TAIL_BYTES = 12, RECORDS = 45, DIM_MAX = 2112, REPORTS_MAX = 5 };

static const uint32_t dims[] = {1,  2,  3,   4,   5,   7,   8,   31,  32,  33,   63,  64,
                                65, 96, 100, 127, 128, 200, 257, 384, 768, 1000, 1536};

/* What is compared, and what a failure prints. */
struct check {
    const struct tq_kernels *reference, *tested;
    struct check_guard guard;
    struct check_random random;
    uint64_t seed; /* of the run: each operation starts from it */
    const char *op;
    enum check_fill fill;
    bool at_end;
    uint32_t dim, bits;
    long passed, failed; /* of this operation */
};

static void *place(const struct check *c, size_t slot, size_t size) {
    return guard_place(&c->guard, slot, size, c->at_end);
}

/* A case is a number: fill and side of the pages vary fastest. */
static void case_begin(struct check *c, size_t number, uint32_t dim, uint32_t bits) {
    c->fill = (enum check_fill)(number % FILL_COUNT);
    c->at_end = number / FILL_COUNT % 2 == 0;
    c->dim = dim;
    c->bits = bits;
}
enum { CASES = 2 * FILL_COUNT };

static void expect_equal(struct check *c, const char *what, const void *expected, const void *got, size_t count,
                         size_t size) {
    const uint8_t *a = expected, *b = got;
    size_t i = 0;
    while (i < count && memcmp(a + i * size, b + i * size, size) == 0) i++;
    if (i == count) {
        c->passed++;
        return;
    }
    c->failed++;
    if (c->failed > REPORTS_MAX) return;
    printf("FAIL %s %s of %s: seed %llu dim %u bits %u fill %d %s index %zu\n", c->op, what, c->tested->name,
           (unsigned long long)c->seed, c->dim, c->bits, (int)c->fill, c->at_end ? "at end" : "at start", i);
}

static float *fill_floats(struct check *c, size_t slot, size_t count, float limit) {
    float *x = place(c, slot, count * sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = fill_float(&c->random, c->fill, i, limit);
    return x;
}

static uint8_t *fill_bytes(struct check *c, size_t slot, size_t count, int32_t low, int32_t high) {
    uint8_t *bytes = place(c, slot, count);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)fill_int(&c->random, c->fill, i, low, high);
    return bytes;
}

/* ---- rotate, hadamard ---- */

static uint32_t *random_permutations(struct check *c, size_t slot, uint32_t dim, uint32_t rounds) {
    uint32_t *to = place(c, slot, sizeof *to * dim * rounds);
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t *order = to + (size_t)r * dim;
        for (uint32_t i = 0; i < dim; i++) {
            uint32_t k = random_below(&c->random, i + 1);
            order[i] = order[k];
            order[k] = i;
        }
    }
    return to;
}

static void check_rotation(struct check *c, uint32_t dim, uint32_t parts, bool permuted) {
    static float expected[65536];
    uint32_t span = 1, rounds = 1 + random_below(&c->random, 4);
    while (2 * span * parts <= dim) span *= 2;
    if (span > 1 && random_below(&c->random, 4) == 0) span /= 2;
    uint32_t *signs = place(c, 0, sizeof *signs * dim * rounds);
    for (size_t i = 0; i < (size_t)dim * rounds; i++) signs[i] = random_below(&c->random, 2) << 31;
    struct tq_rotation rotation = {.dim = dim, .rounds = rounds, .parts = parts, .span = span};
    rotation.scale = 1.0f / (float)(1 + random_below(&c->random, 50));
    rotation.signs = signs;
    rotation.permutation = permuted ? random_permutations(c, 1, dim, rounds) : NULL;
    const float *in = fill_floats(c, 2, dim, 3.0f);
    float *out = place(c, 3, dim * sizeof *out);
    c->reference->rotate(&rotation, in, expected);
    c->tested->rotate(&rotation, in, out);
    c->bits = parts;
    expect_equal(c, permuted ? "permuted" : "direct", expected, out, dim, sizeof *out);
}

static void check_rotate(struct check *c) {
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 6; i++) {
        uint32_t parts = (uint32_t)(i / TQ_COUNT(dims) % 3 + 1), dim = dims[i % TQ_COUNT(dims)];
        case_begin(c, i / TQ_COUNT(dims) / 6, dim, 0);
        if (parts <= dim) check_rotation(c, dim, parts, i / TQ_COUNT(dims) / 3 % 2 == 0);
    }
    for (size_t i = 0; i < CASES; i++) {
        static const uint32_t large[] = {4096, 4097, 6144, 10000};
        case_begin(c, i, large[i % 4], 0);
        check_rotation(c, large[i % 4], (uint32_t)(i % 2 == 0 ? 1 : 3), i % 4 != 2);
    }
}

static void check_hadamard(struct check *c) {
    static float expected[16384];
    for (size_t i = 0; i < CASES * 15; i++) {
        size_t n = (size_t)1 << i % 15;
        case_begin(c, i / 15, (uint32_t)n, 0);
        float *x = fill_floats(c, 0, n, 3.0f);
        memcpy(expected, x, n * sizeof *x);
        c->reference->hadamard(expected, n);
        c->tested->hadamard(x, n);
        expect_equal(c, "values", expected, x, n, sizeof *x);
    }
}

/* ---- quantize, sketch, sketch_dot, to_f16 ---- */

/* Ascending with some equal neighbours; x hits thresholds exactly where scale is 1. */
static void check_quantizer(struct check *c, float scale) {
    static uint8_t expected[DIM_MAX];
    uint32_t count = 1u << c->bits;
    float *thresholds = place(c, 0, (count - 1) * sizeof *thresholds), limit = 0.01f;
    float *centroids = place(c, 1, count * sizeof *centroids), *x = fill_floats(c, 2, c->dim, 0.02f);
    for (uint32_t k = 0; k < count; k++) {
        centroids[k] = -0.01f + 0.02f * (float)k / (float)count + 0.003f * random_float(&c->random) / (float)count;
        if (k + 1 == count) break;
        limit = random_below(&c->random, 8) == 0 ? 0 : 0.02f / (float)count;
        thresholds[k] = k == 0 ? -0.01f : thresholds[k - 1] + limit;
    }
    for (uint32_t j = 0; c->fill == FILL_RANDOM && j < c->dim; j += 3) {
        x[j] = thresholds[random_below(&c->random, count - 1)];
    }
    struct tq_quantizer quantizer = {c->dim, c->bits, thresholds, centroids};
    struct tq_quantized_sums expected_sums, sums;
    uint8_t *indices = place(c, 3, c->dim);
    c->reference->quantize(&quantizer, x, scale, expected, &expected_sums);
    c->tested->quantize(&quantizer, x, scale, indices, &sums);
    expect_equal(c, "indices", expected, indices, c->dim, 1);
    expect_equal(c, "dot", &expected_sums.dot, &sums.dot, 1, sizeof sums.dot);
    expect_equal(c, "norm", &expected_sums.norm, &sums.norm, 1, sizeof sums.norm);
}

static void check_quantize(struct check *c) {
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 8; i++) {
        case_begin(c, i / TQ_COUNT(dims) / 8, dims[i % TQ_COUNT(dims)], (uint32_t)(i / TQ_COUNT(dims) % 8 + 1));
        check_quantizer(c, 1.0f);
        check_quantizer(c, 0.3f + 0.1f * random_float(&c->random));
    }
}

static void check_sketch(struct check *c) {
    static uint8_t expected[DIM_MAX];
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES; i++) {
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], 0);
        const float *x = fill_floats(c, 0, c->dim, 2.0f);
        uint8_t *sketch = place(c, 1, c->dim);
        float expected_sum = c->reference->sketch(x, c->dim, expected);
        float sum = c->tested->sketch(x, c->dim, sketch);
        expect_equal(c, "bits", expected, sketch, c->dim, 1);
        expect_equal(c, "sum", &expected_sum, &sum, 1, sizeof sum);
    }
}

static void check_sketch_dot(struct check *c) {
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 4; i++) {
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], 0);
        const uint8_t *sketch = fill_bytes(c, 1, c->dim, 0, 1);
        if (i / TQ_COUNT(dims) / CASES % 2 == 0) c->fill = FILL_RANDOM;
        const float *x = fill_floats(c, 0, c->dim, 2.0f);
        float expected = c->reference->sketch_dot(x, sketch, c->dim);
        float sum = c->tested->sketch_dot(x, sketch, c->dim);
        expect_equal(c, "sum", &expected, &sum, 1, sizeof sum);
    }
}

/* Ties, subnormals and overflow included; not NaN, which rows cannot hold. */
static void check_to_f16(struct check *c) {
    static uint16_t expected[DIM_MAX];
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 4; i++) {
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], 0);
        float *x = fill_floats(c, 0, c->dim, c->fill == FILL_MAX ? 65520.0f : 65519.99f);
        for (size_t j = 0; c->fill == FILL_RANDOM && j < c->dim; j++) {
            uint32_t bits = (uint32_t)random_u64(&c->random) & (j % 3 == 0 ? 0xfffff000u : ~0u);
            uint32_t exponent = 127 - 27 + random_below(&c->random, 45);
            bits = (bits & 0x807fffffu) | exponent << 23;
            memcpy(&x[j], &bits, sizeof bits);
        }
        uint16_t *half = place(c, 1, c->dim * sizeof *half);
        c->reference->to_f16(x, c->dim, expected);
        c->tested->to_f16(x, c->dim, half);
        expect_equal(c, "halves", expected, half, c->dim, sizeof *half);
    }
}

/* ---- pack, transpose ---- */

static void check_pack(struct check *c) {
    static uint8_t expected[9 * DIM_MAX / 8 + 64];
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 16; i++) {
        size_t number = i / TQ_COUNT(dims);
        case_begin(c, number / 16, dims[i % TQ_COUNT(dims)], (uint32_t)(number % 8 + 1));
        bool with_sketch = number / 8 % 2 == 0;
        size_t bytes = (c->bits + with_sketch) * tq_layout_plane_bytes(c->dim) + TAIL_BYTES;
        const uint8_t *indices = fill_bytes(c, 0, c->dim, 0, (1 << c->bits) - 1);
        const uint8_t *sketch = with_sketch ? fill_bytes(c, 1, c->dim, 0, 1) : NULL;
        uint8_t *record = place(c, 2, bytes);
        memset(expected, 0xa5, bytes); /* the scalars behind the planes must survive */
        memset(record, 0xa5, bytes);
        c->reference->pack(indices, sketch, c->dim, c->bits, expected);
        c->tested->pack(indices, sketch, c->dim, c->bits, record);
        expect_equal(c, "record", expected, record, bytes, 1);
    }
}

/* count records in slot, stride apart: planes as fills say, zeros beyond dim, any bits in the tail. */
static uint8_t *fill_records(struct check *c, size_t slot, size_t count, uint32_t planes, size_t *stride) {
    static uint8_t values[DIM_MAX];
    size_t plane_bytes = tq_layout_plane_bytes(c->dim);
    *stride = planes * plane_bytes + TAIL_BYTES;
    uint8_t *records = place(c, slot, count * *stride);
    for (size_t i = 0; i < count; i++) {
        uint8_t *record = records + i * *stride;
        for (uint32_t p = 0; p < planes; p++) {
            for (size_t j = 0; j < c->dim; j++) values[j] = (uint8_t)fill_int(&c->random, c->fill, i + p + j, 0, 1);
            naive_pack(values, NULL, c->dim, 1, record + p * plane_bytes);
        }
        for (size_t j = 0; j < TAIL_BYTES; j++) record[*stride - 1 - j] = (uint8_t)random_u64(&c->random);
    }
    return records;
}

static void check_transpose(struct check *c) {
    static const uint32_t counts[] = {0, 1, 63, 64, 65, 127, 128};
    static uint8_t expected[DIM_MAX / 4 * 64];
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES; i++) {
        uint32_t planes = 2, row_count = counts[random_below(&c->random, TQ_COUNT(counts))];
        size_t stride;
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], row_count);
        const uint8_t *records = fill_records(c, 0, row_count, planes, &stride);
        size_t bytes = tq_layout_block_bytes(c->dim);
        for (uint32_t plane = 0; plane < planes; plane++) {
            uint8_t *block = place(c, 1, bytes);
            memset(block, 0xa5, bytes);
            c->reference->transpose(records, stride, row_count, plane, c->dim, expected);
            c->tested->transpose(records, stride, row_count, plane, c->dim, block);
            expect_equal(c, "block", expected, block, bytes, 1);
        }
    }
}

/* ---- scan, select ---- */

static void check_scan_case(struct check *c, const uint32_t *list, size_t count, size_t block_count) {
    static uint16_t expected[8 * 128], expected_maxima[8];
    size_t groups = tq_layout_groups(c->dim);
    const uint8_t *blocks = fill_bytes(c, 0, block_count * groups * 64, 0, 255);
    if (c->fill != FILL_RANDOM) c->fill = (enum check_fill)random_below(&c->random, FILL_COUNT);
    const uint8_t *lut = fill_bytes(c, 1, groups * 16, 0, 124);
    uint16_t *sums = place(c, 2, block_count * 128 * sizeof *sums);
    uint16_t *maxima = place(c, 3, block_count * sizeof *maxima);
    memset(expected, 0xa5, sizeof expected); /* blocks not listed must keep theirs */
    memset(expected_maxima, 0xa5, sizeof expected_maxima);
    memset(sums, 0xa5, block_count * 128 * sizeof *sums);
    memset(maxima, 0xa5, block_count * sizeof *maxima);
    c->reference->scan(blocks, list, count, groups, lut, expected, expected_maxima);
    c->tested->scan(blocks, list, count, groups, lut, sums, maxima);
    expect_equal(c, "sums", expected, sums, block_count * 128, sizeof *sums);
    expect_equal(c, "maxima", expected_maxima, maxima, block_count, sizeof *maxima);
}

static void check_scan(struct check *c) {
    for (size_t i = 0; i < (TQ_COUNT(dims) + 1) * CASES; i++) {
        size_t which = i % (TQ_COUNT(dims) + 1);
        case_begin(c, i / (TQ_COUNT(dims) + 1), which < TQ_COUNT(dims) ? dims[which] : DIM_MAX, 0);
        size_t block_count = 1 + random_below(&c->random, 5);
        check_scan_case(c, NULL, block_count, block_count);
        check_scan_case(c, NULL, 0, block_count);
        uint32_t *list = place(c, 4, 4 * sizeof *list);
        for (uint32_t k = 0; k < 4; k++) list[k] = random_below(&c->random, (uint32_t)block_count);
        check_scan_case(c, list, 4, block_count);
        check_scan_case(c, c->at_end ? list + 3 : list, 1, block_count);
    }
}

static void check_select(struct check *c) {
    for (size_t i = 0; i < CASES * 64; i++) {
        uint64_t expected[2], mask[2];
        case_begin(c, i, 128, 0);
        uint16_t *sums = place(c, 0, 128 * sizeof *sums), *second = place(c, 1, 128 * sizeof *second);
        int32_t top = random_below(&c->random, 2) ? 65535 : 300; /* saturation, and ties */
        for (size_t row = 0; row < 128; row++) {
            sums[row] = (uint16_t)fill_int(&c->random, c->fill, row, 0, top);
            second[row] = (uint16_t)fill_int(&c->random, FILL_RANDOM, row, 0, top);
        }
        uint16_t thresholds[] = {0, 1, 65535, 32768, sums[5], (uint16_t)(sums[7] + second[7] / 2)};
        for (size_t k = 0; k < 2 * TQ_COUNT(thresholds); k++) {
            const uint16_t *other = k % 2 == 0 ? NULL : second;
            c->reference->select(sums, other, thresholds[k / 2], expected);
            c->tested->select(sums, other, thresholds[k / 2], mask);
            expect_equal(c, other ? "two planes" : "one plane", expected, mask, 2, sizeof *mask);
        }
    }
}

/* ---- sign_dots, refine, score ---- */

static const uint32_t record_counts[] = {RECORDS, 0, 1, 2, 19, 20, 21, 40, 41};

/* Pointers to the records in another order, the last record included. */
static const uint8_t **shuffle_records(struct check *c, size_t slot, const uint8_t *records, size_t stride,
                                       size_t count) {
    const uint8_t **list = place(c, slot, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        size_t k = random_below(&c->random, (uint32_t)i + 1);
        list[i] = list[k];
        list[k] = records + i * stride;
    }
    return list;
}

static void check_sign_dots(struct check *c) {
    static int32_t expected[RECORDS];
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 4; i++) {
        uint32_t planes = 1 + random_below(&c->random, 3), plane = random_below(&c->random, planes);
        size_t count = record_counts[random_below(&c->random, TQ_COUNT(record_counts))], stride;
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], planes);
        const uint8_t *records = fill_records(c, 0, count, planes, &stride);
        const uint8_t **list = shuffle_records(c, 1, records, stride, count);
        int8_t *query = place(c, 2, tq_layout_padded_dim(c->dim));
        int32_t *dots = place(c, 3, count * sizeof *dots);
        memset(query, 0, tq_layout_padded_dim(c->dim));
        for (size_t j = 0; j < c->dim; j++) query[j] = (int8_t)fill_int(&c->random, c->fill, j, -31, 31);
        c->reference->sign_dots(query, c->dim, plane, list, count, expected);
        c->tested->sign_dots(query, c->dim, plane, list, count, dots);
        expect_equal(c, "dots", expected, dots, count, sizeof *dots);
    }
}

static int16_t *fill_query(struct check *c, size_t slot, int32_t low, int32_t high) {
    size_t padded = tq_layout_padded_dim(c->dim);
    int16_t *query = place(c, slot, padded * sizeof *query);
    memset(query, 0, padded * sizeof *query);
    for (size_t j = 0; j < c->dim; j++) query[j] = (int16_t)fill_int(&c->random, c->fill, j, low, high);
    return query;
}

/* The largest integers that the contract allows: dim * limit^2 < 2^31. */
static int32_t code_limit(uint32_t dim) {
    int32_t limit = 32767;
    while ((int64_t)limit * limit * dim >= (int64_t)1 << 31) limit -= 1 + limit / 4096;
    return limit;
}

static void check_codes(struct check *c, bool sketch) {
    static struct tq_code_dots expected[RECORDS];
    size_t count = record_counts[random_below(&c->random, TQ_COUNT(record_counts))], stride;
    int32_t limit = code_limit(c->dim);
    const uint8_t *records = fill_records(c, 0, count, c->bits + sketch, &stride);
    const uint8_t **list = shuffle_records(c, 1, records, stride, count);
    int16_t *centroids = place(c, 4, sizeof *centroids << c->bits);
    for (size_t k = 0; k < (size_t)1 << c->bits; k++) {
        centroids[k] = (int16_t)fill_int(&c->random, FILL_RANDOM, k, -limit, limit);
    }
    centroids[0] = (int16_t)-limit;
    centroids[(1u << c->bits) - 1] = (int16_t)limit;
    struct tq_code_query query = {.dim = c->dim, .code_bits = c->bits, .sketch = sketch};
    query.query = fill_query(c, 2, -limit, limit);
    query.sketch_query = sketch ? fill_query(c, 3, INT16_MIN, INT16_MAX) : NULL;
    query.centroids = centroids;
    struct tq_code_dots *dots = place(c, 5, count * sizeof *dots);
    if (strcmp(c->op, "refine") == 0) {
        c->reference->refine(&query, list, count, expected);
        c->tested->refine(&query, list, count, dots);
    } else {
        c->reference->score(&query, records, stride, count, expected);
        c->tested->score(&query, records, stride, count, dots);
    }
    expect_equal(c, sketch ? "with sketch" : "without sketch", expected, dots, count, sizeof *dots);
}

static void check_refine(struct check *c) {
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 16; i++) {
        size_t number = i / TQ_COUNT(dims);
        case_begin(c, number / 16, dims[i % TQ_COUNT(dims)], (uint32_t)(number % 8 + 1));
        check_codes(c, number / 8 % 2 == 0);
    }
}

/* ---- dots ---- */

static void check_dot_f32(struct check *c) {
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 4; i++) {
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], 0);
        const float *query = fill_floats(c, 0, c->dim, 1e10f), *x = fill_floats(c, 1, c->dim, 1e-20f);
        double expected = c->reference->dot_f32(query, x, c->dim), dot = c->tested->dot_f32(query, x, c->dim);
        expect_equal(c, "dot", &expected, &dot, 1, sizeof dot);
    }
}

static void check_dot_f16(struct check *c) {
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES * 4; i++) {
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], 0);
        const float *query = fill_floats(c, 0, c->dim, 1e10f);
        uint16_t *x = place(c, 1, c->dim * sizeof *x);
        for (size_t j = 0; j < c->dim; j++) { /* every finite half, subnormals and -0 too */
            int32_t sign = fill_int(&c->random, c->fill, j, 0, 1);
            x[j] = (uint16_t)(sign << 15 | fill_int(&c->random, c->fill, j / 2, 0, 0x7bff));
        }
        double expected = c->reference->dot_f16(query, x, c->dim), dot = c->tested->dot_f16(query, x, c->dim);
        expect_equal(c, "dot", &expected, &dot, 1, sizeof dot);
    }
}

/* ---- Main ---- */

static struct check check;

/* A touch outside a buffer: say where, as a wrong result would. */
static void report_fault(int number) {
    char text[200];
    int length = snprintf(text, sizeof text, "FAIL %s of %s: signal %d, seed %llu dim %u bits %u fill %d %s\n",
                          check.op, check.tested->name, number, (unsigned long long)check.seed, check.dim, check.bits,
                          (int)check.fill, check.at_end ? "at end" : "at start");
    if (write(STDOUT_FILENO, text, (size_t)length) < 0) _exit(3);
    _exit(1);
}

/* ---- gate ---- */

static void check_gate(struct check *c) {
    for (size_t i = 0; i < CASES * 64; i++) {
        uint64_t expected[2], mask[2];
        case_begin(c, i, 128, 0);
        uint16_t *first = place(c, 0, 128 * sizeof *first), *second = place(c, 1, 128 * sizeof *second);
        uint16_t *inverse = place(c, 2, 256 * sizeof *inverse), *error = inverse + 128;
        int32_t top = random_below(&c->random, 2) ? 65535 : 3000;
        for (size_t row = 0; row < 128; row++) {
            first[row] = (uint16_t)fill_int(&c->random, c->fill, row, 0, top);
            second[row] = (uint16_t)fill_int(&c->random, FILL_RANDOM, row, 0, top);
            inverse[row] = (uint16_t)(random_below(&c->random, 8) == 0 ? 65535 * random_below(&c->random, 2)
                                                                       : 20000 + random_below(&c->random, 20000));
            error[row] = (uint16_t)(random_below(&c->random, 8) == 0 ? 65535 * random_below(&c->random, 2)
                                                                     : random_below(&c->random, 20000));
        }
        struct tq_gate_query query = {.base = (uint16_t)(3 * top / 4 - 2), .gain = (uint16_t)top, .loss = 300};
        if (i % 7 == 3) query.loss = 65535;
        if (i % 7 == 4) query = (struct tq_gate_query){0, 0, 0};
        if (i % 7 == 5) query.base = 65535;
        if (i % 7 == 6) query.gain = (uint16_t)random_below(&c->random, 65536);
        c->reference->gate(&query, first, second, inverse, error, expected);
        c->tested->gate(&query, first, second, inverse, error, mask);
        expect_equal(c, "mask", expected, mask, 2, sizeof *mask);
    }
}

/* ---- tiles ---- */

/* Two blocks, their tile and a few queries against it. */
static void check_tile(struct check *c) {
    static const uint32_t counts[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 40};
    static uint8_t expected_tile[8 * (DIM_MAX / 4 + 16) * 64];
    static int32_t expected_sums[40 * 128];
    for (size_t i = 0; i < TQ_COUNT(dims) * CASES / 2; i++) {
        case_begin(c, i / TQ_COUNT(dims), dims[i % TQ_COUNT(dims)], 0);
        uint32_t count = counts[random_below(&c->random, TQ_COUNT(counts))];
        size_t groups = tq_layout_groups(c->dim), bytes = tq_layout_block_bytes(c->dim);
        size_t tile_bytes = tq_layout_tile_bytes(groups), stride = tq_layout_padded_dim(c->dim);
        uint8_t *first = place(c, 0, bytes), *second = place(c, 1, bytes), *tile = place(c, 2, tile_bytes);
        for (size_t at = 0; at < bytes; at++) {
            first[at] = (uint8_t)fill_int(&c->random, c->fill, at, 0, 255);
            second[at] = (uint8_t)fill_int(&c->random, c->fill, at + 1, 0, 255);
        }
        c->reference->unpack(first, second, groups, expected_tile);
        c->tested->unpack(first, second, groups, tile);
        expect_equal(c, "tile", expected_tile, tile, tile_bytes, 1);
        int8_t *queries = place(c, 0, count * stride);
        int32_t *sums = place(c, 1, count * 128 * sizeof *sums);
        memset(queries, 0, count * stride);
        for (size_t at = 0; at < count * stride; at++)
            if (at % stride < c->dim) queries[at] = (int8_t)fill_int(&c->random, c->fill, at, -31, 31);
        c->reference->multiply(tile, groups, queries, stride, count, expected_sums);
        c->tested->multiply(tile, groups, queries, stride, count, sums);
        expect_equal(c, "sums", expected_sums, sums, count * 128, sizeof *sums);
    }
}

static void check_reach(struct check *c) {
    for (size_t i = 0; i < CASES * 64; i++) {
        uint64_t expected[2], mask[2];
        case_begin(c, i, 128, 0);
        int32_t *sums = place(c, 0, 128 * sizeof *sums), top = random_below(&c->random, 2) ? 98000 : 3000;
        uint16_t *inverse = place(c, 1, 256 * sizeof *inverse), *error = inverse + 128;
        for (size_t row = 0; row < 128; row++) {
            sums[row] = fill_int(&c->random, c->fill, row, -top / 2, top);
            inverse[row] = (uint16_t)random_below(&c->random, 65536);
            error[row] = (uint16_t)random_below(&c->random, 65536);
        }
        struct tq_gate_query query = {.base = (uint16_t)(top / 4), .gain = (uint16_t)(top / 9), .loss = 300};
        if (i % 7 == 3) query.loss = 65535;
        if (i % 7 == 4) query = (struct tq_gate_query){0, 0, 0};
        if (i % 7 == 5) query.base = 65535;
        c->reference->reach(&query, top / 2 + 1, sums, inverse, error, expected);
        c->tested->reach(&query, top / 2 + 1, sums, inverse, error, mask);
        expect_equal(c, "mask", expected, mask, 2, sizeof *mask);
    }
}

static const struct op {
    const char *name;
    void (*check)(struct check *c);
} ops[] = {
    {"rotate", check_rotate},
    {"hadamard", check_hadamard},
    {"quantize", check_quantize},
    {"sketch", check_sketch},
    {"sketch_dot", check_sketch_dot},
    {"to_f16", check_to_f16},
    {"pack", check_pack},
    {"transpose", check_transpose},
    {"scan", check_scan},
    {"select", check_select},
    {"gate", check_gate},
    {"tile", check_tile},
    {"reach", check_reach},
    {"sign_dots", check_sign_dots},
    {"refine", check_refine},
    {"score", check_refine},
    {"dot_f32", check_dot_f32},
    {"dot_f16", check_dot_f16},
};

static void check_isa(struct check *c, long *passed, long *failed) {
    for (size_t i = 0; i < TQ_COUNT(ops); i++) {
        c->op = ops[i].name;
        c->passed = c->failed = 0;
        c->random.state = c->seed;
        ops[i].check(c);
        printf("%-10s %-6s against %-6s  %6ld equal, %ld not\n", c->op, c->tested->name, c->reference->name, c->passed,
               c->failed);
        *passed += c->passed;
        *failed += c->failed;
    }
}

int main(int argc, char **argv) {
    struct check *c = &check;
    const char *only = NULL;
    long passed = 0, failed = 0;
    c->seed = 20251121;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--isa=", 6) == 0) only = argv[i] + 6;
        if (strncmp(argv[i], "--seed=", 7) == 0) c->seed = strtoull(argv[i] + 7, NULL, 0);
    }
    guard_open(&c->guard);
    signal(SIGSEGV, report_fault);
    signal(SIGBUS, report_fault);
    signal(SIGILL, report_fault);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; tq_isa_name(i) != NULL; i++) {
        struct tq_kernels scalar, tested;
        const char *name = tq_isa_name(i);
        unsigned mask;
        if (only != NULL && strcmp(only, name) != 0) continue;
        if (!tq_isa_from_name(name, &mask) || (mask & ~tq_cpu_isa()) != 0) {
            printf("%s skipped: this CPU cannot run it\n", name);
            continue;
        }
        tq_kernels_select(TQ_ISA_SCALAR, &scalar);
        tq_kernels_select(mask, &tested);
        if (strcmp(tested.name, name) != 0) printf("%s has no row of its own here\n", name);
        c->reference = i == 0 ? &naive_kernels : &scalar;
        c->tested = &tested;
        check_isa(c, &passed, &failed);
    }
    printf("%ld passed, %ld failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
