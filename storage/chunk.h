/* A chunk: one LMDB value of payload pages, each with its checksum, behind a page of header. FORMAT.md section 2.
 *
 * Knows pages, not planes. A chunk in memory and one in the map are read alike. */
#ifndef TQ_CHUNK_H
#define TQ_CHUNK_H

#include <stdatomic.h>
#include <string.h>

#include "src/base/format.h"

#define TQ_CHUNK_MAGIC 0x006b6e7568637174ull /* "tqchunk\0" */
#define TQ_CHUNK_FORMAT 1u
#define TQ_CHUNK_PAGE 4096u
#define TQ_CHUNK_HEAD 4080u     /* the payload starts on a page: LMDB's own header has the 16 bytes before */
#define TQ_CHUNK_PAGES 255u     /* payload pages; the value then is TQ_VALUE_BYTES_MAX */
#define TQ_CHUNK_PAGES_MAX 256u /* where a block of a scan plane needs them: dim beyond 65,280 */

enum tq_chunk_kind { TQ_CHUNK_CODES = 0, TQ_CHUNK_RESTS = 1, TQ_CHUNK_EXACT = 2 };

struct tq_chunk_head {
    uint64_t magic;
    uint64_t sum; /* XXH3-64 of bytes 16 to 4,079: the rest of this header, the page sums, the zeros */
    uint32_t format;
    uint32_t index;
    uint64_t serial;
    uint64_t uuid_part; /* the first 8 bytes of the store's */
    uint16_t kind;
    uint16_t pages;
    uint32_t payload_bytes; /* written; zeros up to pages * 4,096 */
};
_Static_assert(sizeof(struct tq_chunk_head) == 48, "written to disk as it is");
_Static_assert(sizeof(struct tq_chunk_head) + TQ_CHUNK_PAGES_MAX * 8 <= TQ_CHUNK_HEAD, "the sums fit the first page");

/* Payload pages of every chunk of a format; bytes of payload, of the value. */
static inline uint32_t tq_chunk_pages(const struct tq_format *format) {
    return format->block_bytes > TQ_CHUNK_PAGES * TQ_CHUNK_PAGE ? TQ_CHUNK_PAGES_MAX : TQ_CHUNK_PAGES;
}
static inline uint32_t tq_chunk_payload_bytes(const struct tq_format *format) {
    return tq_chunk_pages(format) * TQ_CHUNK_PAGE;
}
static inline uint32_t tq_chunk_value_bytes(const struct tq_format *format) {
    return TQ_CHUNK_HEAD + tq_chunk_payload_bytes(format);
}

/* ---- Reading: any number of threads ---- */

struct tq_chunk {
    const uint8_t *value;
    uint64_t key;
    uint64_t sum; /* what the head's sum must be, from the directory */
    uint32_t pages;
    atomic_bool head_seen;
    atomic_bool whole;        /* every page verified: the one thing the fast path reads */
    _Atomic uint64_t seen[4]; /* a bit a page */
};

static inline bool tq_chunk_pages_seen(const struct tq_chunk *chunk, uint32_t first, uint32_t last) {
    for (uint32_t page = first; page <= last; page++) {
        uint64_t word = atomic_load_explicit(&chunk->seen[page / 64], memory_order_acquire);
        if (!(word >> page % 64 & 1)) return false;
    }
    return true;
}

/* Whether pages first..last may be used already. */
static inline bool tq_chunk_ready(const struct tq_chunk *chunk, uint32_t first, uint32_t last) {
    return atomic_load_explicit(&chunk->whole, memory_order_acquire) || tq_chunk_pages_seen(chunk, first, last);
}

/* Verify payload pages first..last (<= pages - 1), and on first touch the header. TQ_CORRUPT names the place. */
enum tq_status tq_chunk_verify(struct tq_chunk *chunk, uint32_t first, uint32_t last);

/* Ask for those of pages first..last from disk that are not verified. */
void tq_chunk_willneed(const struct tq_chunk *chunk, uint32_t first, uint32_t last);

/* ---- Writing ---- */

/* Fill the first page of a value whose payload is complete up to head->payload_bytes; zeros the rest of it.
 * head->magic, format and sum are set here. */
void tq_chunk_finish(uint8_t *value, struct tq_chunk_head *head);

/* XXH3-64, for the directory. */
uint64_t tq_chunk_hash(const void *data, size_t size);

#endif
