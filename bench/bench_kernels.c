/* Times every operation of every instruction set that this CPU runs: median of ROUNDS, after a warm-up.
 *
 *     bench_kernels [dim] [bits]           default 100 and 4: bits are the planes of a record, sketch included
 *
 * ns        per row (per block of 128 rows for transpose, scan, select, gate)
 * GB/s      of what an operation reads, the query apart
 * of bound  port-bound cycles as the heads of kernels/<op>_<isa>.c state them, over cycles measured; the clock
 *           is measured too. A scan in cache and a refine at random from L3 may be held by memory instead. */
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "tests/kernels/check.h"

enum { ROUNDS = 9, ROWS_MAX = 210000, RECORD_BYTES_MAX = 64 << 20, BATCH = 4096, FLOAT_ROWS = 32, TAIL = 12 };

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
    volatile double sink;
};

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Cycles a nanosecond, by a chain of shifts and xors: 6 dependent operations of one cycle a step. */
static double measure_clock(void) {
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t x = 88172645463325252ull, steps = 2000000;
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
    size_t block = b->next++ % 16; /* records in L2 */
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
    static const struct tq_gate_query query = {.base = 6000, .unit = 1e-3f, .slack = 0.01f, .bar = 0.5f, .kappa = 0.3f};
    uint64_t mask[2];
    size_t block = b->next++ % 30;
    b->kernels.gate(&query, b->sums + 128 * block, b->sums + 128 * 32, b->sums + 128 * 33, mask);
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

/* ---- Bounds ---- */

enum unit { UNIT_DIM, UNIT_ROUNDS, UNIT_CODES, UNIT_SEARCH, UNIT_NONE };

/* Cycles per dimension (UNIT_NONE: per item), 0 where no port-bound is stated. */
static const struct op {
    const char *name;
    size_t (*run)(struct bench *b);
    enum unit unit;
    double bound_avx2, bound_avx512;
    double bits_read; /* per dimension and item */
} ops[] = {
    {"rotate", run_rotate, UNIT_ROUNDS, 4.5 / 8, 6.5 / 16, 32},
    {"hadamard", run_hadamard, UNIT_DIM, 0, 0, 32},
    {"quantize", run_quantize, UNIT_SEARCH, 10.0 / 8, 10.0 / 16, 32},
    {"sketch", run_sketch, UNIT_DIM, 0, 0, 32},
    {"sketch_dot", run_sketch_dot, UNIT_DIM, 0, 0, 40},
    {"to_f16", run_to_f16, UNIT_DIM, 0, 0, 32},
    {"pack", run_pack, UNIT_DIM, 0, 0, 16},
    {"transpose", run_transpose, UNIT_DIM, 128.0 / 64, 128.0 / 64, 128},
    {"scan", run_scan, UNIT_DIM, 6.0 / 4, 4.5 / 4, 128},
    {"scan list", run_scan_list, UNIT_DIM, 6.0 / 4, 4.5 / 4, 128},
    {"select", run_select, UNIT_NONE, 0, 0, 0},
    {"gate", run_gate, UNIT_NONE, 0, 0, 0},
    {"sign_dots", run_sign_dots, UNIT_DIM, 0, 0, 1},
    {"refine", run_refine, UNIT_CODES, 1.5 / 16, 2.0 / 32, 0},
    {"score", run_score, UNIT_CODES, 1.5 / 16, 2.0 / 32, 0},
    {"dot_f32", run_dot_f32, UNIT_DIM, 6.0 / 16, 3.0 / 16, 32},
    {"dot_f16", run_dot_f16, UNIT_DIM, 6.0 / 16, 3.0 / 16, 16},
};

static double bound_cycles(const struct bench *b, const struct op *op) {
    bool avx2 = b->kernels.isa == TQ_ISA_AVX2;
    double dim = (double)b->dim, per_dim = avx2 ? op->bound_avx2 : op->bound_avx512;
    if (b->kernels.isa == TQ_ISA_SCALAR) return 0;
    if (op->unit == UNIT_ROUNDS) { /* what is mixed, and 3/4 of a cycle for each element permuted */
        double mixed = b->rotation.span * b->rotation.parts, gathered = b->rotation.permutation == NULL ? 0 : dim;
        return b->rotation.rounds * (per_dim * mixed + 0.75 * gathered);
    }
    if (op->unit == UNIT_SEARCH && b->code_bits > (avx2 ? 3 : 4)) return 0; /* gathers: latency, not ports */
    if (op->unit == UNIT_CODES) per_dim *= (double)b->bits;
    return per_dim * dim;
}

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

static void print_op(struct bench *b, const struct op *op, double clock) {
    double ns = median_ns(b, op), bound = bound_cycles(b, op);
    double bits_read = op->unit == UNIT_CODES ? (double)b->bits : op->bits_read;
    double bytes = op->unit == UNIT_NONE ? 512 : bits_read * (double)b->dim / 8;
    if (strncmp(op->name, "scan", 4) == 0) bytes = (double)tq_layout_block_bytes(b->dim);
    if (strcmp(op->name, "hadamard") == 0) bytes = 4.0 * b->rotation.span;
    printf("%-10s %-6s %10.1f ns %8.2f GB/s", op->name, b->kernels.name, ns, bytes / ns);
    if (bound > 0) printf("  %5.0f %% of bound", 100 * bound / (ns * clock));
    printf("\n");
}

int main(int argc, char **argv) {
    static const char *const names[] = {"scalar", "avx2", "avx512"};
    static struct bench b;
    size_t dim = argc > 1 ? strtoul(argv[1], NULL, 10) : 100, bits = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
    if (dim < 1 || dim > 65536 || bits < 1 || bits > 9) {
        fprintf(stderr, "usage: bench_kernels [dim 1..65536] [bits 1..9]\n");
        return 2;
    }
    bench_init(&b, dim, bits);
    double clock = measure_clock();
    printf("dim %zu, bits %zu (code %zu, sketch %d), %zu rows of %zu bytes, rotation %u rounds of %u x %u, %.2f GHz\n",
           dim, bits, b.code_bits, (int)b.query.sketch, b.rows, b.stride, b.rotation.rounds, b.rotation.parts,
           b.rotation.span, clock);
    for (size_t i = 0; i < TQ_COUNT(ops); i++) {
        for (size_t k = 0; k < TQ_COUNT(names); k++) {
            unsigned mask;
            if (!tq_isa_from_name(names[k], &mask) || (mask & ~tq_cpu_isa()) != 0) continue;
            tq_kernels_select(mask, &b.kernels);
            if (strcmp(b.kernels.name, names[k]) == 0) print_op(&b, &ops[i], clock);
        }
    }
    return 0; /* memory goes with the process */
}
