/* Settings of searches, written as text: of a connection (tq_config) or of one query (tq_query). */
#ifndef TQ_OPTIONS_H
#define TQ_OPTIONS_H

#include <stdbool.h>

#include "src/db/db.h"

enum { TQ_OPTIONS_TEXT_MAX = 4096 }; /* bytes: a query's options, added up */

/* One setting; `key` is one of those below. TQ_MISUSE names it, its value and what it may be, and nothing is set.
 *
 *   confidence  a number above 0, or exact
 *   exact       on: as confidence=exact; off: the default, 3
 *   oversample  0, or 1 to 1000000
 *   rerank      another name of oversample: on is 0, off is 1; 0 is refused, since it would be read as off. Where rows
 *               are kept, scores are exact in any case
 *   threads     1 to 256
 *   timeout_ms  of one search; 0: none
 *   device      cpu, gpu or auto */
enum tq_status tq_options_set(const char *key, const char *text, size_t size, struct tq_search_options *options);

/* But for the filter, which is none of these settings. */
static inline bool tq_options_same(const struct tq_search_options *a, const struct tq_search_options *b) {
    return a->confidence == b->confidence && a->oversample == b->oversample && a->threads == b->threads &&
           a->timeout_ms == b->timeout_ms && a->device == b->device;
}

/* As the setting has it: "cpu". */
const char *tq_options_device(enum tq_device device);

/* "confidence=3.5, threads=2": settings, with commas or blanks between them. What the text does not say stays. Nothing
 * may be said twice, but settings behind a semicolon replace those before it. On failure nothing is set. */
enum tq_status tq_options_read(const char *text, size_t size, struct tq_search_options *options);

/* A query with options is a blob: a mark that is NaN, read as floats, and which no vector begins with therefore; the
 * text; the vector. */

/* Make one; text is checked. `vector` may be one already: then both options hold, and of two values the later.
 * *wrapped is tq_alloc'ed. */
enum tq_status tq_options_wrap(const void *vector, size_t vector_size, const char *text, size_t text_size,
                               void **wrapped, size_t *wrapped_size);

/* Whether a blob is one; then where its vector and its text lie, within the blob. Any bytes may be given: the text is
 * not checked, nor is the vector. The vector is as aligned as the blob, up to 4 bytes. */
bool tq_options_unwrap(const void *bytes, size_t size, const void **vector, size_t *vector_size, const char **text,
                       size_t *text_size);

#endif
