/* The first bar: the k-th best of the rows that look best by their first plane. */
#include "index/cascade.h"

enum { BIN_SHIFT = 6, BINS = 65536 >> BIN_SHIFT };

/* A sum that at least `wanted` of the values reach, or 0. */
static uint16_t threshold_of(const uint32_t *bins, size_t wanted) {
    size_t total = 0;
    for (uint32_t bin = BINS; bin-- > 0;) {
        total += bins[bin];
        if (total >= wanted) return (uint16_t)(bin << BIN_SHIFT);
    }
    return 0;
}

static uint16_t threshold_by_blocks(const struct tq_window *w, size_t wanted) {
    uint32_t bins[BINS] = {0};
    const uint16_t *maxima = w->maxima.data;
    for (size_t b = 0; b < w->block_count; b++) bins[maxima[b] >> BIN_SHIFT]++;
    return threshold_of(bins, wanted);
}

static uint16_t threshold_by_rows(const struct tq_window *w, size_t wanted) {
    uint32_t bins[BINS] = {0};
    for (size_t i = 0; i < w->span_count; i++) {
        const struct tq_span *span = &w->spans[i];
        const uint16_t *sums = tq_window_sums(w, span, 0);
        for (size_t row = 0; row < span->rows; row++) {
            bool allowed = span->allowed == NULL || (span->allowed[row / 64] >> (row % 64) & 1);
            if (allowed) bins[sums[row] >> BIN_SHIFT]++;
        }
    }
    return threshold_of(bins, wanted);
}

static enum tq_status collect_seeds(struct tq_searcher *s, uint16_t threshold, size_t most) {
    s->survivors.count = 0;
    for (size_t i = 0; i < s->window.span_count; i++) {
        const struct tq_span *span = &s->window.spans[i];
        const uint16_t *sums = tq_window_sums(&s->window, span, 0), *maxima = tq_window_maxima(&s->window, span, 0);
        for (uint32_t block = 0; block < span->blocks && s->survivors.count < most; block++) {
            if (maxima[block] < threshold) continue;
            uint64_t mask[2];
            s->codec->kernels.select(sums + (size_t)block * TQ_BLOCK_ROWS, NULL, threshold, mask);
            tq_span_allow(span, block, mask);
            TQ_TRY(tq_vector_reserve(&s->survivors, s->survivors.count + TQ_BLOCK_ROWS, sizeof(struct tq_survivor)));
            struct tq_survivor *out = s->survivors.data;
            for (int half = 0; half < 2; half++) {
                for (uint64_t rest = mask[half]; rest != 0; rest &= rest - 1) {
                    uint32_t row = block * TQ_BLOCK_ROWS + 64 * (uint32_t)half + (uint32_t)__builtin_ctzll(rest);
                    out[s->survivors.count++] = (struct tq_survivor){
                        .upper = INFINITY, .segment = span->segment, .row = row};
                }
            }
        }
    }
    return TQ_OK;
}

enum tq_status tq_seed(struct tq_searcher *s) {
    size_t wanted = tq_max_size(48, 2 * s->wanted), most = 4 * wanted;
    uint16_t threshold = 0;
    if (wanted <= s->window.block_count / 2) {
        threshold = threshold_by_blocks(&s->window, wanted);
        TQ_TRY(collect_seeds(s, threshold, most));
    }
    if (wanted > s->window.block_count / 2 || s->survivors.count < s->wanted) {
        TQ_TRY(collect_seeds(s, threshold_by_rows(&s->window, wanted), most));
    }
    return tq_survivors_seed(s, s->survivors.data, s->survivors.count);
}
