/* Options of an index, written as text: of CREATE VIRTUAL TABLE and of tq_encode(). */
#ifndef TQ_INDEX_OPTIONS_H
#define TQ_INDEX_OPTIONS_H

#include <sqlite3ext.h>
#include <stdbool.h>

#include "src/db/db.h"

SQLITE_EXTENSION_INIT3

/* bits, metric, distance_metric, rows, qjl, seed. */
bool tq_index_option_known(const char *key);
/* TQ_MISUSE names the option, its value and what it may be. */
enum tq_status tq_index_option_set(const char *key, const char *value, struct tq_index_options *options);

/* A whole number of 64 bits, decimal, and nothing else. */
bool tq_text_whole(const char *text, uint64_t *number);

#endif
