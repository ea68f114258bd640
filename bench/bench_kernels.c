/* Times every operation of every instruction set that this CPU runs: median of ROUNDS, after a warm-up.
 *
 *     bench_kernels [dim [bits [operation]]]    100 and 4 by default: bits are the planes of a record, sketch included
 *
 * ns        per row (per block of 128 rows for transpose, scan, select, gate, unpack; per query and block for
 *           multiply and reach)
 * GB/s      of what an operation reads, the query apart (multiply: the tile once for all queries)
 * bound     the longer of two times, and which it is:
 *             ports   the cycles that the heads of kernels/<op>_<isa>.c state, for an Intel core since Ice Lake or
 *                     two vector pipes of an Arm core (one with four may pass 100 %); the clock is measured
 *             L1, L2, stream   reading the lines once from where they lie: bandwidth measured in this run, by
 *                     16-byte loads (wider ones may pass 100 % of L1); streams as long as the operation's, with
 *                     prefetches 8 KiB ahead
 *             random  asking for the lines of the same records, 20 ahead, and reading a byte of each
 *           No bound where a head states none: scalar rows, and codes beyond the bits it is stated for.
 * A row that takes an operation over from a weaker one is not printed again. */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "tests/kernels/check.h"

enum { ROUNDS = 9, ROWS_MAX = 210000, RECORD_BYTES_MAX = 64 << 20, BATCH = 4096, FLOAT_ROWS = 32, TAIL = 12 };
enum { LINE = 64, AHEAD = 20, TILE_QUERIES = 32, WARM_BLOCKS = 16, L1_BYTES = 32 << 10, L2_BYTES = 1 << 20 };

enum level { L1, L2, STREAM, RANDOM, LEVELS };
static const char *const level_names[LEVELS] = {"L1", "L2", "stream", "random"};

struct bench {
    struct tq_kernels kernels;
    struct check_random random;
    size_t dim, bits, code_bits, rows, blocks, groups, stride, next;
    struct tq_rotation rotation;
    struct tq_quantizer quantizer;
    struct tq_code_query query;
    float *floats, *out; /* FLOAT_ROWS rows */
    uint16_t *halves;    /* the same */
    uint8_t *indices, *sketch, *record, *block_data, *records, *lut;
    int8_t *plane_query;
    uint16_t *sums, *maxima;
    uint32_t *list;        /* half of the blocks, ascending */
    const uint8_t **order; /* all records, shuffled */
    struct tq_code_dots *dots;
    int32_t *sign_dots;
    uint8_t *tile;
    int8_t *tile_queries;
    int32_t *tile_sums;
    double clock, bandwidth[STREAM]; /* cycles and bytes a ns */
    volatile double sink;
};

/* The thread's own time: what others do on its core does not count. */
static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Cycles a nanosecond, by a chain of shifts and xors: 6 dependent operations of one cycle a step. Many short rounds,
 * so that some are not interrupted. */
static double measure_clock(void) {
    double best = 0;
    for (int round = 0; round < 200; round++) {
        uint64_t x = 88172645463325252ull, steps = 50000;
        double start = now_ns();
        for (uint64_t i = 0; i < steps; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        volatile uint64_t sink = x;
        (void)sink;
        double clock = 6.0 * (double)steps / (now_ns() - start);
        best = clock > best ? clock : best;
    }
    return best;
}

/* ---- Data ---- */

static void *need(size_t count, size_t size) {
    void *memory = tq_alloc_array(count, size);
    if (memory == NULL) exit(2);
    memset(memory, 0, count * size);
    return memory;
}

static void init_rotation(struct bench *b) {
    uint32_t dim = (uint32_t)b->dim, span = 1, parts = 1, rounds;
    while (span * 2 <= dim) span *= 2;
    if (span / 4 >= 1 && 3 * (span / 2) == dim) { /* three whole runs need no permutation */
        span /= 2;
        parts = 3;
    }
    bool whole = span * parts == dim;
    rounds = whole ? 3 : 4;
    uint32_t *signs = need((size_t)dim * rounds, sizeof *signs);
    uint32_t *permutation = need((size_t)dim * rounds, sizeof *permutation);
    for (size_t i = 0; i < (size_t)dim * rounds; i++) {
        uint32_t at = (uint32_t)(i % dim), k = random_below(&b->random, at + 1);
        signs[i] = random_below(&b->random, 2) << 31;
        permutation[i] = permutation[i - at + k];
        permutation[i - at + k] = at;
    }
    b->rotation = (struct tq_rotation){dim, rounds, parts, span, 0.125f, whole ? NULL : permutation, signs};
}

static void init_quantizer(struct bench *b) {
    size_t count = (size_t)1 << b->code_bits;
    float *thresholds = need(count, sizeof *thresholds), *centroids = need(count, sizeof *centroids);
    int16_t *integers = need(count, sizeof *integers);
    for (size_t k = 0; k < count; k++) {
        centroids[k] = ((float)k + 0.5f) / (float)count * 2 - 1;
        thresholds[k] = ((float)k + 1) / (float)count * 2 - 1;
        integers[k] = (int16_t)(centroids[k] * 500);
    }
    b->quantizer = (struct tq_quantizer){(uint32_t)b->dim, (uint32_t)b->code_bits, thresholds, centroids};
    b->query.centroids = integers;
}

static void init_queries(struct bench *b) {
    size_t padded = tq_layout_padded_dim(b->dim);
    int16_t *query = need(padded, sizeof *query), *sketch_query = need(padded, sizeof *sketch_query);
    b->plane_query = need(padded, 1);
    for (size_t j = 0; j < b->dim; j++) {
        query[j] = (int16_t)fill_int(&b->random, FILL_RANDOM, j, -1000, 1000);
        sketch_query[j] = (int16_t)fill_int(&b->random, FILL_RANDOM, j, -1000, 1000);
        b->plane_query[j] = (int8_t)fill_int(&b->random, FILL_RANDOM, j, -31, 31);
    }
    b->query.dim = (uint32_t)b->dim;
    b->query.code_bits = (uint32_t)b->code_bits;
    b->query.sketch = b->bits > 1;
    b->query.query = query;
    b->query.sketch_query = sketch_query;
    b->lut = need(b->groups, 16);
    uint32_t highest = 65535 / (uint32_t)b->groups < 124 ? 65535 / (uint32_t)b->groups : 124;
    for (size_t i = 0; i < b->groups * 16; i++) b->lut[i] = (uint8_t)random_below(&b->random, highest + 1);
}

static void init_rows(struct bench *b) {
    size_t block_bytes = tq_layout_block_bytes(b->dim);
    b->records = need(b->rows, b->stride);
    b->block_data = need(b->blocks, block_bytes);
    b->order = need(b->rows, sizeof *b->order);
    for (size_t i = 0; i < b->rows * b->stride / 8; i++) {
        uint64_t bits = random_u64(&b->random);
        memcpy(b->records + 8 * i, &bits, 8);
    }
    for (size_t i = 0; i < b->rows; i++) {
        size_t k = random_below(&b->random, (uint32_t)i + 1);
        b->order[i] = b->order[k];
        b->order[k] = b->records + i * b->stride;
    }
    for (size_t i = 0; i < b->blocks * block_bytes; i++) b->block_data[i] = (uint8_t)random_u64(&b->random);
    b->sums = need(b->blocks, 128 * sizeof *b->sums);
    b->maxima = need(b->blocks, sizeof *b->maxima);
    b->list = need(b->blocks / 2 + 1, sizeof *b->list);
    for (uint32_t i = 0; i < b->blocks / 2; i++) b->list[i] = 2 * i + random_below(&b->random, 2);
    b->tile = need(tq_layout_tile_bytes(b->groups), 1);
    b->tile_queries = need(TILE_QUERIES, tq_layout_padded_dim(b->dim));
    b->tile_sums = need(TILE_QUERIES * 128, sizeof *b->tile_sums);
    for (size_t q = 0; q < TILE_QUERIES; q++) {
        memcpy(b->tile_queries + q * tq_layout_padded_dim(b->dim), b->plane_query, b->dim);
    }
    b->dots = need(BATCH, sizeof *b->dots);
    b->sign_dots = need(BATCH, sizeof *b->sign_dots);
}

static void bench_init(struct bench *b, size_t dim, size_t bits) {
    b->dim = dim;
    b->bits = bits;
    b->code_bits = bits > 1 ? bits - 1 : 1;
    b->groups = tq_layout_groups(dim);
    b->stride = tq_round_up(bits * tq_layout_plane_bytes(dim) + TAIL, 64);
    b->rows = tq_max_size(tq_min_size(ROWS_MAX, RECORD_BYTES_MAX / b->stride), 2 * BATCH);
    b->blocks = (b->rows + 127) / 128;
    init_rotation(b);
    init_quantizer(b);
    init_queries(b);
    init_rows(b);
    b->floats = need(FLOAT_ROWS * dim, sizeof *b->floats);
    b->out = need(2 * dim, sizeof *b->out); /* and room for a power of two */
    b->halves = need(FLOAT_ROWS * dim, sizeof *b->halves);
    b->indices = need(dim, 1);
    b->sketch = need(dim, 1);
    b->record = need(bits * tq_layout_plane_bytes(dim) + TAIL, 1);
    for (size_t i = 0; i < FLOAT_ROWS * dim; i++) {
        b->floats[i] = (float)fill_int(&b->random, FILL_RANDOM, i, -1000, 1000) * 0.001f;
        b->halves[i] = (uint16_t)random_below(&b->random, 0x7bff);
    }
}

/* ---- Operations: each does some work and returns how many items it was ---- */

static const float *next_row(struct bench *b) { return b->floats + b->dim * (b->next++ % FLOAT_ROWS); }

static size_t run_rotate(struct bench *b) {
    b->kernels.rotate(&b->rotation, next_row(b), b->out);
    return 1;
}

static size_t run_hadamard(struct bench *b) {
    memcpy(b->out, next_row(b), b->rotation.span * sizeof *b->out); /* or values would grow to infinity */
    b->kernels.hadamard(b->out, b->rotation.span);
    return 1;
}

static size_t run_quantize(struct bench *b) {
    struct tq_quantized_sums sums;
    b->kernels.quantize(&b->quantizer, next_row(b), 1.01f, b->indices, &sums);
    return 1;
}

static size_t run_sketch(struct bench *b) {
    b->sink = (double)b->kernels.sketch(next_row(b), b->dim, b->sketch);
    return 1;
}

static size_t run_sketch_dot(struct bench *b) {
    b->sink = (double)b->kernels.sketch_dot(next_row(b), b->sketch, b->dim);
    return 1;
}

static size_t run_to_f16(struct bench *b) {
    b->kernels.to_f16(next_row(b), b->dim, (uint16_t *)b->out);
    return 1;
}

static size_t run_pack(struct bench *b) {
    b->kernels.pack(b->indices, b->query.sketch ? b->sketch : NULL, b->dim, (uint32_t)b->code_bits, b->record);
    return 1;
}

static size_t run_transpose(struct bench *b) {
    size_t block = b->next++ % WARM_BLOCKS;
    b->kernels.transpose(b->records + block * 128 * b->stride, b->stride, 128, 0, b->dim, b->block_data);
    return 1;
}

static size_t run_scan(struct bench *b) {
    b->kernels.scan(b->block_data, NULL, b->blocks, b->groups, b->lut, b->sums, b->maxima);
    return b->blocks;
}

static size_t run_scan_list(struct bench *b) {
    b->kernels.scan(b->block_data, b->list, b->blocks / 2, b->groups, b->lut, b->sums, b->maxima);
    return b->blocks / 2;
}

static size_t run_select(struct bench *b) {
    uint64_t mask[2];
    size_t block = b->next++ % 32;
    b->kernels.select(b->sums + 128 * block, b->sums + 128 * 32, 2000, mask);
    b->sink = (double)mask[0];
    return 1;
}

static size_t run_gate(struct bench *b) {
    static const struct tq_gate_query query = {.base = 2250, .gain = 1100, .loss = 500};
    uint64_t mask[2];
    size_t block = b->next++ % 30;
    b->kernels.gate(&query, b->sums + 128 * block, b->sums + 128 * 32, b->sums + 128 * 33, b->sums + 128 * 34, mask);
    b->sink = (double)mask[0];
    return 1;
}

static size_t run_sign_dots(struct bench *b) {
    size_t first = b->next++ % (b->rows / BATCH) * BATCH;
    b->kernels.sign_dots(b->plane_query, b->dim, 0, b->order + first, BATCH, b->sign_dots);
    return BATCH;
}

static size_t run_refine(struct bench *b) {
    size_t first = b->next++ % (b->rows / BATCH) * BATCH;
    b->kernels.refine(&b->query, b->order + first, BATCH, b->dots);
    return BATCH;
}

static size_t run_score(struct bench *b) {
    size_t first = b->next++ % (b->rows / BATCH) * BATCH;
    b->kernels.score(&b->query, b->records + first * b->stride, b->stride, BATCH, b->dots);
    return BATCH;
}

static size_t run_dot_f32(struct bench *b) {
    b->sink = b->kernels.dot_f32(b->floats, next_row(b), b->dim);
    return 1;
}

static size_t run_dot_f16(struct bench *b) {
    b->sink = b->kernels.dot_f16(b->floats, b->halves + b->dim * (b->next++ % FLOAT_ROWS), b->dim);
    return 1;
}

static size_t run_unpack(struct bench *b) {
    size_t bytes = tq_layout_block_bytes(b->dim), block = b->next++ % WARM_BLOCKS;
    b->kernels.unpack(b->block_data + block * bytes, b->block_data + (block + 1) * bytes, b->groups, b->tile);
    return 1;
}

static size_t run_multiply(struct bench *b) {
    b->kernels.multiply(b->tile, b->groups, b->tile_queries, tq_layout_padded_dim(b->dim), TILE_QUERIES, b->tile_sums);
    return TILE_QUERIES;
}

static size_t run_reach(struct bench *b) {
    static const struct tq_gate_query query = {.base = 2250, .gain = 1100, .loss = 500};
    uint64_t mask[2];
    size_t q = b->next++ % TILE_QUERIES;
    b->kernels.reach(&query, 1 << 20, b->tile_sums + 128 * q, b->sums + 128 * 33, b->sums + 128 * 34, mask);
    b->sink = (double)mask[0];
    return 1;
}

/* ---- Operations, and the cycles that the heads of the kernel files state ---- */

/* What `cycles` are per; RANDOM operations read records one by one. */
enum unit { PER_ITEM, PER_DIM, PER_DIM_AND_PLANE, PER_ELEMENT_MIXED, PER_DIM_AT_3_BITS };

#define MEMBER(op) offsetof(struct tq_kernels, op)
static const struct op {
    const char *name;
    size_t (*run)(struct bench *b);
    size_t member; /* of struct tq_kernels */
    enum unit unit;
    double ssse3, avx2, avx512, avx512vnni, avx512vbmi, amx, neon;
} ops[] = {
    {"rotate", run_rotate, MEMBER(rotate), PER_ELEMENT_MIXED, 4.0 / 4, 4.5 / 8, 6.5 / 16, 0, 0, 0, 4.5 / 4},
    {"hadamard", run_hadamard, MEMBER(hadamard), PER_ELEMENT_MIXED, 4.0 / 4, 4.5 / 8, 6.5 / 16, 0, 0, 0, 4.5 / 4},
    {"quantize", run_quantize, MEMBER(quantize), PER_DIM_AT_3_BITS, 9.0 / 4, 10.0 / 8, 10.0 / 16, 0, 0, 0, 12.0 / 4},
    {"sketch", run_sketch, MEMBER(sketch), PER_DIM, 1.7 / 4, 3.0 / 8, 3.0 / 16, 0, 0, 0, 2.0 / 4},
    {"sketch_dot", run_sketch_dot, MEMBER(sketch_dot), PER_DIM, 1.7 / 4, 2.3 / 8, 2.5 / 16, 0, 0, 0, 2.5 / 4},
    {"to_f16", run_to_f16, MEMBER(to_f16), PER_DIM, 6.7 / 4, 1.0 / 8, 1.5 / 16, 0, 0, 0, 0.5 / 4},
    {"pack", run_pack, MEMBER(pack), PER_DIM_AND_PLANE, 1.0 / 16, 1.0 / 32, 1.0 / 64, 0, 0, 0, 6.0 / 64},
    {"transpose", run_transpose, MEMBER(transpose), PER_DIM, 256.0 / 64, 128.0 / 64, 128.0 / 64, 0, 0, 0, 128.0 / 64},
    {"scan", run_scan, MEMBER(scan), PER_DIM, 12.0 / 4, 6.0 / 4, 4.5 / 4, 0, 3.5 / 4, 0, 14.0 / 4},
    {"scan list", run_scan_list, MEMBER(scan), PER_DIM, 12.0 / 4, 6.0 / 4, 4.5 / 4, 0, 3.5 / 4, 0, 14.0 / 4},
    {"select", run_select, MEMBER(select), PER_ITEM, 27, 15, 8, 0, 0, 0, 36},
    {"gate", run_gate, MEMBER(gate), PER_ITEM, 72, 25, 14, 0, 0, 0, 100},
    {"unpack", run_unpack, MEMBER(unpack), PER_DIM, 0, 0, 0, 28.0 / 4, 0, 0, 0},
    {"multiply", run_multiply, MEMBER(multiply), PER_DIM, 0, 0, 0, 4.0 / 4, 0, 8.0 / 64, 0},
    {"reach", run_reach, MEMBER(reach), PER_ITEM, 0, 0, 0, 22, 0, 0, 0},
    {"sign_dots", run_sign_dots, MEMBER(sign_dots), PER_DIM, 2.3 / 16, 2.3 / 32, 2.5 / 64, 0, 0, 0, 2.5 / 16},
    {"refine", run_refine, MEMBER(refine), PER_DIM_AND_PLANE, 75.0 / 400, 50.0 / 400, 40.0 / 400, 0, 0, 0, 98.0 / 400},
    {"score", run_score, MEMBER(score), PER_DIM_AND_PLANE, 75.0 / 400, 50.0 / 400, 40.0 / 400, 0, 0, 0, 98.0 / 400},
    {"dot_f32", run_dot_f32, MEMBER(dot_f32), PER_DIM, 16.0 / 16, 6.0 / 16, 3.0 / 16, 0, 0, 0, 12.0 / 16},
    {"dot_f16", run_dot_f16, MEMBER(dot_f16), PER_DIM, 24.0 / 16, 6.0 / 16, 3.0 / 16, 0, 0, 0, 14.0 / 16},
};

static double stated_cycles(const struct op *op, const char *isa) {
    const struct {
        const char *isa;
        double cycles;
    } columns[] = {
        {"ssse3", op->ssse3},           {"avx2", op->avx2}, {"avx512", op->avx512}, {"avx512vnni", op->avx512vnni},
        {"avx512vbmi", op->avx512vbmi}, {"amx", op->amx},   {"neon", op->neon}};
    for (size_t i = 0; i < TQ_COUNT(columns); i++) {
        if (strcmp(columns[i].isa, isa) == 0) return columns[i].cycles;
    }
    return 0;
}

static bool is(const struct op *op, const char *name) { return strcmp(op->name, name) == 0; }

/* Of an item; 0: none is stated. */
static double port_cycles(const struct bench *b, const struct op *op) {
    double dim = (double)b->dim, cycles = stated_cycles(op, b->kernels.name), mixed = b->rotation.span;
    switch (op->unit) {
    case PER_ITEM: return cycles;
    case PER_DIM: return cycles * dim;
    case PER_DIM_AND_PLANE: return b->code_bits > 3 && !is(op, "pack") ? 0 : cycles * dim * (double)b->bits;
    case PER_DIM_AT_3_BITS: return b->code_bits == 3 ? cycles * dim : 0;
    default: break;
    }
    if (is(op, "hadamard") || cycles == 0) return cycles * mixed;
    bool narrow = strcmp(b->kernels.name, "ssse3") == 0 || strcmp(b->kernels.name, "neon") == 0;
    double gathered = b->rotation.permutation == NULL ? 0 : dim * (narrow ? 1 : 0.75); /* cycles an element */
    return b->rotation.rounds * (cycles * mixed * b->rotation.parts + gathered);
}

/* ---- Memory ---- */

/* Bytes that an item reads, the query apart, and those that a run of items goes through. */
struct traffic {
    size_t bytes, moved, footprint; /* moved: whole lines of them */
    enum level level;
};

static struct traffic traffic_of(const struct bench *b, const struct op *op) {
    size_t dim = b->dim, block = tq_layout_block_bytes(dim), plane = tq_layout_plane_bytes(dim), bytes = 4 * dim;
    size_t footprint = FLOAT_ROWS * bytes;
    if (is(op, "hadamard")) bytes = 4 * b->rotation.span;
    if (is(op, "sketch_dot")) bytes = 5 * dim;
    if (is(op, "dot_f16")) bytes = 2 * dim;
    if (is(op, "pack")) bytes = footprint = 2 * dim;
    if (is(op, "transpose")) footprint = WARM_BLOCKS * (bytes = 128 * plane);
    if (op->member == MEMBER(scan)) footprint = b->blocks * (bytes = block);
    if (is(op, "scan list")) footprint /= 2;
    if (is(op, "select")) footprint = WARM_BLOCKS * (bytes = 512);
    if (is(op, "gate")) footprint = WARM_BLOCKS * (bytes = 1024);
    if (is(op, "reach")) footprint = TILE_QUERIES * (bytes = 1024);
    if (is(op, "unpack")) footprint = WARM_BLOCKS * (bytes = 2 * block);
    if (is(op, "multiply")) bytes = (footprint = tq_layout_tile_bytes(b->groups)) / TILE_QUERIES;
    if (is(op, "score") || is(op, "refine")) bytes = b->bits * plane + TAIL, footprint = b->rows * b->stride;
    if (is(op, "sign_dots")) bytes = plane, footprint = b->rows * b->stride;
    enum level level = footprint <= L1_BYTES ? L1 : footprint <= L2_BYTES ? L2 : STREAM;
    if (is(op, "sign_dots") || is(op, "refine")) level = RANDOM;
    size_t moved = is(op, "transpose") ? 128 * tq_round_up(plane, LINE) : bytes;
    if (is(op, "score")) moved = tq_round_up(bytes, LINE);
    return (struct traffic){bytes, moved, footprint, level};
}

typedef uint64_t words_u64x2 __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) uint64_t read_lines(const uint8_t *from, size_t bytes, bool ahead) {
    words_u64x2 sums[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    for (size_t at = 0; at + LINE <= bytes; at += LINE) {
        const words_u64x2 *line = (const void *)(from + at);
        if (ahead) __builtin_prefetch(from + at + (8 << 10));
        for (size_t i = 0; i < 4; i++) sums[i] += line[i];
    }
    sums[0] += sums[1] + sums[2] + sums[3];
    return sums[0][0] + sums[0][1];
}

/* Bytes a ns of the best round: a bound is what nothing gets below. */
static double measure_bandwidth(struct bench *b, size_t bytes, bool ahead) {
    size_t repeats = 1 + ((size_t)8 << 20) / bytes;
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t sum = 0;
        double start = now_ns();
        for (size_t i = 0; i < repeats; i++) {
            sum += ahead ? read_lines(b->records, bytes, true) : read_lines(b->records, bytes, false);
            __asm__ volatile("" ::: "memory"); /* or one reading would do for all */
        }
        double rate = (double)(repeats * bytes) / (now_ns() - start);
        b->sink = (double)sum;
        best = rate > best ? rate : best;
    }
    return best;
}

/* ns to touch `bytes` of each record in random order. */
static double measure_random(struct bench *b, size_t bytes) {
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t sum = 0;
        double start = now_ns();
        for (size_t i = 0; i < b->rows; i++) {
            const uint8_t *later = b->order[i + AHEAD < b->rows ? i + AHEAD : i];
            for (size_t at = 0; at < bytes; at += LINE) __builtin_prefetch(later + at);
            for (size_t at = 0; at < bytes; at += LINE) sum += b->order[i][at];
        }
        double ns = (now_ns() - start) / (double)b->rows;
        b->sink = (double)sum;
        best = ns < best ? ns : best;
    }
    return best;
}

/* ---- Table ---- */

static double median_ns(struct bench *b, const struct op *op) {
    double samples[ROUNDS];
    size_t calls = 1;
    for (;;) { /* calls that take 2 ms or more; doubles as the warm-up */
        double start = now_ns();
        for (size_t i = 0; i < calls; i++) op->run(b);
        if (now_ns() - start > 2e6) break;
        calls *= 2;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t items = 0;
        double start = now_ns();
        for (size_t i = 0; i < calls; i++) items += op->run(b);
        samples[round] = (now_ns() - start) / (double)items;
    }
    qsort(samples, ROUNDS, sizeof *samples, by_value);
    return samples[ROUNDS / 2];
}

static double memory_ns(struct bench *b, struct traffic traffic) {
    double moved = (double)traffic.moved;
    switch (traffic.level) {
    case RANDOM: return measure_random(b, traffic.bytes);
    case STREAM: return moved / measure_bandwidth(b, traffic.footprint, true);
    default: return moved / b->bandwidth[traffic.level];
    }
}

static void print_op(struct bench *b, const struct op *op) {
    struct traffic traffic = traffic_of(b, op);
    double ns = median_ns(b, op), ports = port_cycles(b, op) / b->clock, memory = memory_ns(b, traffic);
    double bound = ports > memory ? ports : memory;
    printf("%-10s %-10s %10.1f ns %8.2f GB/s", op->name, b->kernels.name, ns, (double)traffic.bytes / ns);
    if (ports > 0) {
        printf("   bound %8.1f ns %-6s %4.0f %%", bound, ports > memory ? "ports" : level_names[traffic.level],
               100 * bound / ns);
    }
    printf("\n");
}

static bool same_function(const struct tq_kernels *a, const struct tq_kernels *b, const struct op *op) {
    return memcmp((const char *)a + op->member, (const char *)b + op->member, sizeof(void (*)(void))) == 0;
}

static void bench_op(struct bench *b, const struct op *op) {
    struct tq_kernels weaker = {0};
    for (size_t i = 0; tq_isa_name(i) != NULL; i++) {
        unsigned mask;
        if (!tq_isa_from_name(tq_isa_name(i), &mask) || (mask & ~tq_cpu_isa()) != 0) continue;
        tq_kernels_select(mask, &b->kernels);
        if (!same_function(&b->kernels, &weaker, op)) print_op(b, op);
        weaker = b->kernels;
    }
}

int main(int argc, char **argv) {
    static struct bench b;
    size_t dim = argc > 1 ? strtoul(argv[1], NULL, 10) : 100, bits = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
    if (dim < 1 || dim > 65536 || bits < 1 || bits > 9) {
        fprintf(stderr, "usage: bench_kernels [dim 1..65536 [bits 1..9 [operation]]]\n");
        return 2;
    }
    bench_init(&b, dim, bits);
    b.clock = measure_clock();
    b.bandwidth[L1] = measure_bandwidth(&b, L1_BYTES / 2, false);
    b.bandwidth[L2] = measure_bandwidth(&b, L2_BYTES / 2, false);
    printf("dim %zu, bits %zu (code %zu, sketch %d), %zu rows of %zu bytes, rotation %u rounds of %u x %u\n", dim, bits,
           b.code_bits, (int)b.query.sketch, b.rows, b.stride, b.rotation.rounds, b.rotation.parts, b.rotation.span);
    printf("%.2f GHz; reading %.0f GB/s from L1, %.0f from L2, %.0f from the records\n", b.clock, b.bandwidth[L1],
           b.bandwidth[L2], measure_bandwidth(&b, b.rows * b.stride, true));
    for (size_t i = 0; i < TQ_COUNT(ops); i++) {
        if (argc < 4 || is(&ops[i], argv[3])) bench_op(&b, &ops[i]);
    }
    return 0; /* memory goes with the process */
}
