/* Which rows a search may return: alive, and allowed by the caller's id filter. One bitmap a segment. */
#include <string.h>

#include "index/cascade.h"

static bool filter_allows(const struct tq_filter *filter, int64_t id) {
    uint64_t at = (uint64_t)id - (uint64_t)filter->first_id;
    return id >= filter->first_id && at < filter->count && (filter->bits[at / 64] >> (at % 64) & 1);
}

/* Clear the bits of rows whose id the filter does not name. */
static enum tq_status apply_filter(struct tq_segment *segment, const struct tq_filter *filter, uint64_t *bits) {
    uint32_t row_count = tq_segment_row_count(segment);
    for (uint32_t first = 0; first < row_count; first += 64) {
        uint32_t rows[64];
        int64_t ids[64];
        uint32_t count = row_count - first < 64 ? row_count - first : 64;
        for (uint32_t i = 0; i < count; i++) rows[i] = first + i;
        TQ_TRY(tq_segment_ids(segment, rows, count, ids));
        uint64_t word = 0;
        for (uint32_t i = 0; i < count; i++) word |= (uint64_t)filter_allows(filter, ids[i]) << i;
        bits[first / 64] &= word;
    }
    return TQ_OK;
}

static uint64_t count_bits(const uint64_t *words, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += (uint64_t)__builtin_popcountll(words[i]);
    return total;
}

/* Blocks are read in pairs of words, so a bitmap covers whole blocks; the rows beyond the last stay 0. */
static size_t words_of(uint32_t rows) { return (size_t)(rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS * 2; }

static enum tq_status fill_bitmap(struct tq_searcher *s, const struct tq_view_segment *vs, uint64_t *bits) {
    uint32_t rows = tq_segment_row_count(vs->segment);
    memset(bits, 0, words_of(rows) * sizeof *bits);
    for (uint32_t w = 0; w < (rows + 63) / 64; w++) {
        uint64_t valid = rows - 64 * w >= 64 ? UINT64_MAX : (UINT64_C(1) << (rows - 64 * w)) - 1;
        bits[w] = valid & (vs->dead == NULL ? UINT64_MAX : ~vs->dead[w]);
    }
    return s->options->filter == NULL ? TQ_OK : apply_filter(vs->segment, s->options->filter, bits);
}

enum tq_status tq_filter_begin(struct tq_searcher *s) {
    struct tq_allowed *allowed = &s->own_allowed;
    size_t segment_count = s->view->count, words = 0;
    TQ_TRY(tq_vector_reserve(&allowed->at, segment_count, sizeof(size_t)));
    size_t *at = allowed->at.data;
    s->allowed = allowed;
    allowed->rows = 0;
    for (size_t i = 0; i < segment_count; i++) {
        const struct tq_view_segment *vs = &s->view->segments[i];
        bool all = s->options->filter == NULL && vs->dead_count == 0;
        at[i] = all ? SIZE_MAX : words;
        words += all ? 0 : words_of(tq_segment_row_count(vs->segment));
    }
    TQ_TRY(tq_vector_reserve(&allowed->words, words, sizeof(uint64_t)));
    for (size_t i = 0; i < segment_count; i++) {
        const struct tq_view_segment *vs = &s->view->segments[i];
        uint32_t rows = tq_segment_row_count(vs->segment);
        if (at[i] == SIZE_MAX) {
            allowed->rows += rows;
            continue;
        }
        uint64_t *bits = (uint64_t *)allowed->words.data + at[i];
        TQ_TRY(fill_bitmap(s, vs, bits));
        allowed->rows += count_bits(bits, words_of(rows));
    }
    return TQ_OK;
}

const uint64_t *tq_filter_allowed(const struct tq_searcher *s, uint32_t segment) {
    size_t at = ((const size_t *)s->allowed->at.data)[segment];
    return at == SIZE_MAX ? NULL : (const uint64_t *)s->allowed->words.data + at;
}
