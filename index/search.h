/* The cascade: first plane of all rows -> second plane -> full code with QJL of the survivors -> exact rows of the
 * last few. Which segments and bytes are read is decided here; the bytes are storage's, the arithmetic kernels'.
 *
 * The answer is a property of the rows alone. Let u be a row's smallest upper bound over all depths and r its lower
 * bound at full depth, m = min(u, r), and T the k-th largest m. The candidates are the rows with u >= T; they are
 * ranked exactly. A row may be dropped once u is below the k-th best m seen so far, which never exceeds T: so
 * neither order, segments, threads nor depth change the answer, only its cost (docs/decisions/0003).
 *
 *   begin      which rows are allowed (deletions, filter): one bitmap a segment           filter.c
 *   window     up to 8 segments: scan the first plane, seed the bar, scan deeper          window.c, task.c, seed.c
 *   collect    from sums to survivors, by blocks and then by rows                         collect.c
 *   survivors  full code of what is left, bounds, a rising bar                            survivors.c
 *   rank       exact rows of the candidates                                               rank.c */
#ifndef TQ_SEARCH_H
#define TQ_SEARCH_H

#include <math.h>

#include "src/codec/codec.h"
#include "storage/table.h"

struct tq_searcher; /* scratch of one search at a time; grows as needed and is kept */

enum tq_status tq_searcher_open(const struct tq_codec *codec, struct tq_searcher **searcher);
void tq_searcher_close(struct tq_searcher *searcher); /* NULL is fine */

/* Begin a run of queries over one view, under any metric if format.norms, else under the index's own or cosine.
 * `view` and `options` are borrowed until the last of them. */
enum tq_status tq_searcher_begin(struct tq_searcher *searcher, const struct tq_view *view, enum tq_metric metric,
                                 const struct tq_search_options *options);

/* The k >= 1 best rows: hits[k] best first, *count of them found. stats are added to. */
enum tq_status tq_searcher_query(struct tq_searcher *searcher, const struct tq_query *query, size_t k,
                                 struct tq_hit *hits, size_t *count, struct tq_search_stats *stats);

/* The rows of at least a score: *count of them, hits[capacity] the best, best first. */
enum tq_status tq_searcher_range(struct tq_searcher *searcher, const struct tq_query *query, double score,
                                 size_t capacity, struct tq_hit *hits, size_t *count, struct tq_search_stats *stats);

/* Whether so many queries are better asked together: products of small integers must be cheap (kernels/tile). */
bool tq_searcher_prefers_many(const struct tq_searcher *searcher, size_t query_count);

/* The same answers for f32[count][dim], prepared here, from codes that are read once for a hundred queries; of formats
 * with two scan planes. hits[count][k], counts[count]. TQ_MISUSE names a bad element. */
enum tq_status tq_searcher_many(struct tq_searcher *searcher, const float *vectors, size_t query_count, size_t k,
                                struct tq_hit *hits, size_t *counts, struct tq_search_stats *stats);

/* The same by a GPU, if options.device asks for one and it can: the answers of the first *answered queries. */
enum tq_status tq_searcher_device_many(struct tq_searcher *searcher, const float *vectors, size_t query_count, size_t k,
                                       struct tq_hit *hits, size_t *counts, struct tq_search_stats *stats,
                                       size_t *answered);

/* The score, under any metric, of a stored exact row (rows are not NONE). Of the query only `exact` and `norm2` are
 * read, so sql/ needs to prepare no more. scratch: f32[dim]. Every exact score comes
 * from here, so that C and SQL agree to the last bit. */
double tq_exact_score(const struct tq_codec *codec, const struct tq_query *query, enum tq_metric metric,
                      const void *exact, float *scratch);

/* The distance that belongs to a score. */
static inline double tq_distance(enum tq_metric metric, double score) {
    return metric == TQ_COSINE ? 1 - score : metric == TQ_IP ? 0 - score : sqrt(score < 0 ? -score : 0);
}

#endif
