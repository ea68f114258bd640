/* For tests that damage the catalog on purpose: sums that fit what was written, as who writes there could make them. */
#ifndef TQ_TESTS_RESEAL_H
#define TQ_TESTS_RESEAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

#include "storage/catalog_sum.h"

/* Integers, and a blob or NULL at the end. */
static uint64_t reseal_sum(int count, sqlite3_value **values) {
    uint64_t numbers[16] = {0};
    for (int i = 0; i + 1 < count && i < 16; i++) numbers[i] = (uint64_t)sqlite3_value_int64(values[i]);
    const void *blob = sqlite3_value_blob(values[count - 1]);
    return tq_catalog_sum(numbers, (size_t)count - 1, blob, (size_t)sqlite3_value_bytes(values[count - 1]));
}

static void reseal_number(sqlite3_context *context, int count, sqlite3_value **values) {
    sqlite3_result_int64(context, (sqlite3_int64)reseal_sum(count, values));
}

static void reseal_blob(sqlite3_context *context, int count, sqlite3_value **values) {
    uint64_t sum = reseal_sum(count, values);
    sqlite3_result_blob(context, &sum, sizeof sum, SQLITE_TRANSIENT);
}

/* All rows of a table's catalog. False: a statement failed, which damage can make it do. */
static inline bool reseal(sqlite3 *db, const char *schema, const char *table) {
    char *sql = sqlite3_mprintf(
        "UPDATE \"%w\".\"%w_state\" SET sum = reseal(part, number, version, serial, flushes, nonce, next, seq, NULL),"
        " options_sum = reseal(part, format, codec, number, dim, metric, bits, qjl, exact, seed, uuid);"
        "UPDATE \"%w\".\"%w_seg\" SET sum = reseal(slot0, slot1, rows, dead, dir, dir_sum,"
        " CASE WHEN dead <> 0 THEN bits END);"
        "UPDATE \"%w\".\"%w_gc\" SET sum = reseal(part, version, keys);"
        "UPDATE \"%w\".\"%w_log\" SET rec = reseal_blob(seq, op, id, slot, NULL) WHERE op = 2;",
        schema, table, schema, table, schema, table, schema, table);
    if (sql == NULL) abort();
    (void)sqlite3_create_function(db, "reseal", -1, SQLITE_UTF8, NULL, reseal_number, NULL, NULL);
    (void)sqlite3_create_function(db, "reseal_blob", -1, SQLITE_UTF8, NULL, reseal_blob, NULL, NULL);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK;
}

#endif
