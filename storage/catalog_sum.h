/* Sums over rows of the catalog: SQLite's pages have none, and a row that lies tells of rows that are not there.
 *
 * XXH3-64 of the row's blob (empty if it has none), seeded with XXH3-64 of its numbers, 8 bytes each, in the order of
 * FORMAT.md. They find accidents; who may write to the database may write sums. */
#ifndef TQ_CATALOG_SUM_H
#define TQ_CATALOG_SUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t tq_catalog_sum(const uint64_t *values, size_t count, const void *blob, size_t size);

#endif
