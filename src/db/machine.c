/* How fast this machine reads: the first plane through the scan kernel, and plain words, which no scan can beat. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "src/db/db.h"

/* More than most caches hold; a run of blocks as a search scans them. */
enum { BYTES = 128 << 20, DIM = 128, RUN_BLOCKS = 64, AHEAD = 8192, PASSES_MOST = 16 };

static const double all_seconds = 0.5; /* the best pass counts: others use the machine, too */

struct measured {
    const struct tq_kernels *kernels;
    uint8_t *bytes;
    uint16_t *sums, *maxima;
    uint8_t *lut;
    uint64_t sum; /* so that reading is not left out */
};

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void scan_all(struct measured *m) {
    size_t block = tq_layout_block_bytes(DIM), run = RUN_BLOCKS * block;
    for (size_t at = 0; at + run <= BYTES; at += run) {
        m->kernels->scan(m->bytes + at, NULL, RUN_BLOCKS, tq_layout_groups(DIM), m->lut, m->sums, m->maxima);
        m->sum += m->maxima[0];
    }
}

/* Fetched ahead as the kernel does it: without that a processor reads a third less. */
static void read_all(struct measured *m) {
    uint64_t lanes[16] = {0}, words[16];
    for (size_t at = 0; at + sizeof words <= BYTES; at += sizeof words) {
        __builtin_prefetch(m->bytes + at + AHEAD);
        __builtin_prefetch(m->bytes + at + AHEAD + sizeof words / 2);
        memcpy(words, m->bytes + at, sizeof words);
        for (size_t i = 0; i < TQ_COUNT(words); i++) lanes[i] += words[i];
    }
    for (size_t i = 0; i < TQ_COUNT(lanes); i++) m->sum += lanes[i];
}

static double time_pass(struct measured *m, void (*pass)(struct measured *)) {
    double start = now();
    pass(m);
    return fmax(now() - start, 1e-9);
}

/* In turns, so that both have the same luck. */
static enum tq_status time_passes(struct measured *m, struct tq_machine_speed *speed) {
    double begin = now();
    for (int i = 0; i < PASSES_MOST && (i < 2 || now() - begin < all_seconds); i++) {
        TQ_TRY(tq_stop_check(tq_stop_current()));
        speed->scan = fmax(speed->scan, (double)BYTES / time_pass(m, scan_all));
        speed->read = fmax(speed->read, (double)BYTES / time_pass(m, read_all));
    }
    return TQ_OK;
}

enum tq_status tq_machine_measure(const struct tq_kernels *kernels, struct tq_machine_speed *speed) {
    size_t groups = tq_layout_groups(DIM);
    struct tq_machine_speed found = {.bytes = BYTES};
    struct measured m = {.kernels = kernels,
                         .bytes = tq_alloc(BYTES),
                         .sums = tq_alloc_array((size_t)RUN_BLOCKS * TQ_BLOCK_ROWS, sizeof(uint16_t)),
                         .maxima = tq_alloc_array(RUN_BLOCKS, sizeof(uint16_t)),
                         .lut = tq_alloc(groups * 16)};
    bool memory = m.bytes != NULL && m.sums != NULL && m.maxima != NULL && m.lut != NULL;
    enum tq_status status = memory ? TQ_OK : TQ_NOMEM;
    if (memory) {
        for (size_t i = 0; i < BYTES; i++) m.bytes[i] = (uint8_t)(i * 167);
        for (size_t i = 0; i < groups * 16; i++) m.lut[i] = (uint8_t)(i % 16);
        status = time_passes(&m, &found);
    }
    volatile uint64_t used = m.sum;
    (void)used;
    tq_free(m.bytes);
    tq_free(m.sums);
    tq_free(m.maxima);
    tq_free(m.lut);
    if (status == TQ_OK) *speed = found;
    return status;
}
