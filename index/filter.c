/* Which rows a search may return: alive, and allowed by the caller's id filter. One bitmap a segment.
 *
 * A filter speaks of ids, a scan of rows. What a filter means for a sealed segment is kept with a copy of the filter:
 * asked again, it costs comparing the copy. */
#include <string.h>

#include "index/cascade.h"
#include "src/base/alloc.h"

enum { KEPT_WORDS_MAX = 1 << 21 }; /* 16 MiB of filter; larger ones are translated every time */

/* What the kept filter leaves of a sealed segment. */
struct translation {
    uint64_t identity[2];
    size_t words_at;
};

/* Blocks are read in pairs of words, so a bitmap covers whole blocks; the rows beyond the last stay 0. */
static size_t words_of(uint32_t rows) { return (size_t)(rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS * 2; }

/* ---- One segment's rows ---- */

static uint64_t filter_word(const struct tq_filter *filter, uint64_t at) {
    uint64_t word = at < (filter->count + 63) / 64 ? filter->bits[at] : 0;
    uint64_t left = filter->count - 64 * at; /* ids that the last word covers; the bits beyond are anything */
    return at == filter->count / 64 && left < 64 ? word & ((UINT64_C(1) << left) - 1) : word;
}

/* The filter's bits of ids first_id + at .. + 63, where `at` may lie before or behind it. */
static uint64_t filter_window(const struct tq_filter *filter, int64_t at) {
    if (at <= -64 || (at > 0 && (uint64_t)at >= filter->count)) return 0;
    if (at < 0) return filter_word(filter, 0) << -at;
    uint64_t word = (uint64_t)at / 64, shift = (uint64_t)at % 64;
    uint64_t low = filter_word(filter, word) >> shift;
    return shift == 0 ? low : low | filter_word(filter, word + 1) << (64 - shift);
}

static bool filter_allows(const struct tq_filter *filter, int64_t id) {
    uint64_t at = (uint64_t)id - (uint64_t)filter->first_id;
    return id >= filter->first_id && at < filter->count && (filter->bits[at / 64] >> (at % 64) & 1);
}

/* The words of a segment whose ids ascend by one. */
static void translate_run(const struct tq_filter *filter, int64_t first_id, uint32_t rows, uint64_t *words) {
    int64_t at;
    bool apart = __builtin_sub_overflow(first_id, filter->first_id, &at);
    for (uint32_t w = 0; w < (rows + 63) / 64; w++) {
        int64_t here;
        words[w] = apart || __builtin_add_overflow(at, 64 * (int64_t)w, &here) ? 0 : filter_window(filter, here);
    }
}

static enum tq_status translate(struct tq_segment *segment, const struct tq_filter *filter, uint64_t *words) {
    uint32_t rows = tq_segment_row_count(segment);
    int64_t first_id;
    memset(words, 0, words_of(rows) * sizeof *words);
    if (tq_segment_ids_ascend(segment, &first_id)) {
        translate_run(filter, first_id, rows, words);
        return TQ_OK;
    }
    for (uint32_t first = 0; first < rows; first += TQ_BLOCK_ROWS) {
        const int64_t *ids = NULL;
        uint32_t count = rows - first < TQ_BLOCK_ROWS ? rows - first : TQ_BLOCK_ROWS;
        int64_t room[TQ_BLOCK_ROWS];
        TQ_TRY(tq_segment_block_ids(segment, first / TQ_BLOCK_ROWS, room, &ids));
        for (uint32_t i = 0; i < count; i++)
            words[(first + i) / 64] |= (uint64_t)filter_allows(filter, ids[i]) << (first + i) % 64;
    }
    return TQ_OK;
}

/* ---- The kept filter ---- */

static enum tq_status keep(struct tq_filter_cache *cache, const struct tq_filter *filter) {
    size_t words = (filter->count + 63) / 64;
    bool same = cache->valid && cache->first_id == filter->first_id && cache->count == filter->count &&
                memcmp(cache->bits.data, filter->bits, words * sizeof(uint64_t)) == 0;
    if (same) return TQ_OK;
    cache->valid = false;
    cache->translations.count = cache->words.count = 0;
    if (words == 0 || words > KEPT_WORDS_MAX) return TQ_OK;
    TQ_TRY(tq_vector_reserve(&cache->bits, words, sizeof(uint64_t)));
    memcpy(cache->bits.data, filter->bits, words * sizeof(uint64_t));
    cache->first_id = filter->first_id;
    cache->count = filter->count;
    cache->valid = true;
    return TQ_OK;
}

/* Where the cache has a segment's words, made if they are not there. */
static enum tq_status kept_words(struct tq_filter_cache *cache, const uint64_t identity[2], struct tq_segment *segment,
                                 const struct tq_filter *filter, size_t *at) {
    const struct translation *known = cache->translations.data;
    size_t words = words_of(tq_segment_row_count(segment));
    for (size_t i = 0; i < cache->translations.count; i++) {
        if (known[i].identity[0] != identity[0] || known[i].identity[1] != identity[1]) continue;
        *at = known[i].words_at;
        return TQ_OK;
    }
    if (cache->words.count > 4 * (size_t)KEPT_WORDS_MAX) cache->translations.count = cache->words.count = 0;
    TQ_TRY(tq_vector_reserve(&cache->translations, cache->translations.count + 1, sizeof(struct translation)));
    TQ_TRY(tq_vector_reserve(&cache->words, cache->words.count + words, sizeof(uint64_t)));
    *at = cache->words.count;
    TQ_TRY(translate(segment, filter, (uint64_t *)cache->words.data + *at));
    ((struct translation *)cache->translations.data)[cache->translations.count++] = (struct translation){
        {identity[0], identity[1]}, *at};
    cache->words.count += words;
    return TQ_OK;
}

/* ---- All segments ---- */

static enum tq_status fill_bitmap(struct tq_searcher *s, const struct tq_view_segment *vs, uint64_t *bits) {
    const struct tq_filter *filter = s->options->filter;
    uint32_t rows = tq_segment_row_count(vs->segment);
    uint64_t identity[2];
    TQ_TRY(tq_stop_check(s->stop));
    tq_segment_identity(vs->segment, identity);
    if (filter == NULL) {
        memset(bits, 0xff, words_of(rows) * sizeof *bits);
    } else if (s->filter_cache.valid && identity[0] != 0) {
        size_t at = 0;
        TQ_TRY(kept_words(&s->filter_cache, identity, vs->segment, filter, &at));
        memcpy(bits, (const uint64_t *)s->filter_cache.words.data + at, words_of(rows) * sizeof *bits);
    } else {
        TQ_TRY(translate(vs->segment, filter, bits));
    }
    for (uint32_t w = 0; vs->dead != NULL && w < (rows + 63) / 64; w++) bits[w] &= ~vs->dead[w];
    if (rows % 64 != 0) bits[rows / 64] &= (UINT64_C(1) << rows % 64) - 1;
    for (size_t w = (rows + 63) / 64; w < words_of(rows); w++) bits[w] = 0;
    return TQ_OK;
}

/* Rows and blocks that are left of a segment. */
static void count_allowed(const uint64_t *words, size_t count, struct tq_allowed *allowed) {
    for (size_t w = 0; w < count; w += 2) {
        if ((words[w] | words[w + 1]) == 0) continue;
        allowed->blocks++;
        allowed->rows += (uint64_t)__builtin_popcountll(words[w]) + (uint64_t)__builtin_popcountll(words[w + 1]);
    }
}

enum tq_status tq_filter_begin(struct tq_searcher *s) {
    struct tq_allowed *allowed = &s->own_allowed;
    size_t segment_count = s->view->count, words = 0;
    TQ_TRY(tq_vector_reserve(&allowed->at, segment_count, sizeof(size_t)));
    if (s->options->filter != NULL) TQ_TRY(keep(&s->filter_cache, s->options->filter));
    size_t *at = allowed->at.data;
    s->allowed = allowed;
    allowed->rows = allowed->blocks = 0;
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
            allowed->blocks += (rows + TQ_BLOCK_ROWS - 1) / TQ_BLOCK_ROWS;
            continue;
        }
        uint64_t *bits = (uint64_t *)allowed->words.data + at[i];
        TQ_TRY(fill_bitmap(s, vs, bits));
        count_allowed(bits, words_of(rows), allowed);
    }
    return TQ_OK;
}

void tq_filter_cache_free(struct tq_filter_cache *cache) {
    tq_free(cache->bits.data);
    tq_free(cache->translations.data);
    tq_free(cache->words.data);
}

const uint64_t *tq_filter_allowed(const struct tq_searcher *s, uint32_t segment) {
    size_t at = ((const size_t *)s->allowed->at.data)[segment];
    return at == SIZE_MAX ? NULL : (const uint64_t *)s->allowed->words.data + at;
}
