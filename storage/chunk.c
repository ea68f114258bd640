#include "storage/chunk.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "storage/platform.h"

#define SUMMED_FROM offsetof(struct tq_chunk_head, format)

uint64_t tq_chunk_hash(const void *data, size_t size) { return XXH3_64bits(data, size); }

static enum tq_status corrupt(const struct tq_chunk *chunk, const char *what, uint32_t page) {
    return tq_fail(TQ_CORRUPT, "chunk %llu of index %u: %s %u fails its checksum",
                   (unsigned long long)(chunk->key & 0xffffffffffull), (unsigned)(chunk->key >> 40), what, page);
}

/* The sum is the directory's, so every field is what was written once it matches; the magic lies before. */
static enum tq_status verify_head(struct tq_chunk *chunk) {
    struct tq_chunk_head head;
    if (atomic_load_explicit(&chunk->head_seen, memory_order_acquire)) return TQ_OK;
    memcpy(&head, chunk->value, sizeof head);
    uint64_t sum = XXH3_64bits(chunk->value + SUMMED_FROM, TQ_CHUNK_HEAD - SUMMED_FROM);
    bool same = head.magic == TQ_CHUNK_MAGIC && head.sum == chunk->sum && sum == chunk->sum;
    if (!same || head.pages != chunk->pages) return corrupt(chunk, "header, format", head.format);
    atomic_store_explicit(&chunk->head_seen, true, memory_order_release);
    return TQ_OK;
}

/* Two threads may verify a page at once; both find the same. */
static void note_seen(struct tq_chunk *chunk, uint32_t page) {
    (void)atomic_fetch_or_explicit(&chunk->seen[page / 64], 1ull << page % 64, memory_order_acq_rel);
}

static void note_whole(struct tq_chunk *chunk) {
    for (uint32_t word = 0; word * 64 < chunk->pages; word++) {
        uint32_t bits = chunk->pages - word * 64;
        uint64_t all = bits >= 64 ? ~0ull : (1ull << bits) - 1;
        if (atomic_load_explicit(&chunk->seen[word], memory_order_acquire) != all) return;
    }
    atomic_store_explicit(&chunk->whole, true, memory_order_release);
}

enum tq_status tq_chunk_verify(struct tq_chunk *chunk, uint32_t first, uint32_t last) {
    if (tq_chunk_ready(chunk, first, last)) return TQ_OK;
    TQ_TRY(verify_head(chunk));
    for (uint32_t page = first; page <= last; page++) {
        if (tq_chunk_pages_seen(chunk, page, page)) continue;
        uint64_t sum = 0;
        memcpy(&sum, chunk->value + sizeof(struct tq_chunk_head) + page * sizeof sum, sizeof sum);
        const uint8_t *bytes = chunk->value + TQ_CHUNK_HEAD + (size_t)page * TQ_CHUNK_PAGE;
        if (XXH3_64bits(bytes, TQ_CHUNK_PAGE) != sum) return corrupt(chunk, "page", page);
        note_seen(chunk, page);
    }
    note_whole(chunk);
    return TQ_OK;
}

void tq_chunk_willneed(const struct tq_chunk *chunk, uint32_t first, uint32_t last) {
    const uint8_t *payload = chunk->value + TQ_CHUNK_HEAD;
    for (uint32_t page = first; page <= last; page++) {
        if (tq_chunk_pages_seen(chunk, page, page)) continue;
        tq_platform_willneed(payload + (size_t)page * TQ_CHUNK_PAGE, TQ_CHUNK_PAGE);
    }
    if (!atomic_load_explicit(&chunk->head_seen, memory_order_relaxed))
        tq_platform_willneed(chunk->value, TQ_CHUNK_HEAD);
}

void tq_chunk_finish(uint8_t *value, struct tq_chunk_head *head) {
    size_t payload = (size_t)head->pages * TQ_CHUNK_PAGE;
    memset(value + TQ_CHUNK_HEAD + head->payload_bytes, 0, payload - head->payload_bytes);
    memset(value, 0, TQ_CHUNK_HEAD);
    for (uint32_t page = 0; page < head->pages; page++) {
        uint64_t sum = XXH3_64bits(value + TQ_CHUNK_HEAD + (size_t)page * TQ_CHUNK_PAGE, TQ_CHUNK_PAGE);
        memcpy(value + sizeof *head + page * sizeof sum, &sum, sizeof sum);
    }
    head->magic = TQ_CHUNK_MAGIC;
    head->format = TQ_CHUNK_FORMAT;
    memcpy(value, head, sizeof *head);
    head->sum = XXH3_64bits(value + SUMMED_FROM, TQ_CHUNK_HEAD - SUMMED_FROM);
    memcpy(value, head, sizeof *head);
}
