/* Inside of struct tq_catalog: the statements, shared by catalog.c, catalog_schema.c and catalog_segments.c. */
#ifndef TQ_CATALOG_SQL_H
#define TQ_CATALOG_SQL_H

#include "storage/catalog.h"
#include "storage/conn_sql.h"

enum tq_catalog_statement {
    TQ_SQL_IDENTIFY,
    TQ_SQL_HAS_PARTS,
    TQ_SQL_LOOK,
    TQ_SQL_GLANCE,
    TQ_SQL_STATE_WRITE,
    TQ_SQL_CHANGES,
    TQ_SQL_CHANGES_ADD,
    TQ_SQL_ROW_ADD,
    TQ_SQL_ROW_FILL,
    TQ_SQL_ROW_EMPTY,
    TQ_SQL_ROW_REMOVE,
    TQ_SQL_ROW_SLOT,
    TQ_SQL_LOG_ADD,
    TQ_SQL_LOG_SCAN,
    TQ_SQL_LOG_TRIM,
    TQ_SQL_LOG_COUNT,
    TQ_SQL_SEGMENT_ADD,
    TQ_SQL_SEGMENT_MARK,
    TQ_SQL_SEGMENT_REMOVE,
    TQ_SQL_SEGMENT_COVERS,
    TQ_SQL_SEGMENT_SCAN,
    TQ_SQL_GC_ADD,
    TQ_SQL_GC_ANY,
    TQ_SQL_GC_NEXT,
    TQ_SQL_GC_REMOVE,
    TQ_SQL_GC_REPLACE,
    TQ_SQL_COUNT
};

struct tq_catalog {
    struct tq_conn *conn;
    char *name;
    sqlite3_stmt *statements[TQ_SQL_COUNT]; /* prepared when first used */
};

enum tq_status tq_catalog_statement(struct tq_catalog *catalog, enum tq_catalog_statement which, sqlite3_stmt **stmt);
/* Step a statement that returns nothing, and reset it. */
enum tq_status tq_catalog_run(struct tq_catalog *catalog, sqlite3_stmt *stmt, const char *doing);
/* Reset, and turn the last step's code into a status (DONE and ROW are fine). */
enum tq_status tq_catalog_end(struct tq_catalog *catalog, sqlite3_stmt *stmt, int rc, const char *doing);

/* Bind 64-bit numbers to ?1, ?2, ... */
void tq_catalog_bind(struct tq_catalog *catalog, sqlite3_stmt *stmt, const uint64_t *values, size_t count);
/* Of rows of state and gc: catalog_sum.h. */
uint64_t tq_catalog_state_sum(uint32_t part, uint32_t number, const struct tq_catalog_state *state);
uint64_t tq_catalog_gc_sum(uint32_t part, uint64_t version, const void *keys, size_t count);
/* Why a part's row of state was not found. */
enum tq_status tq_catalog_part_missing(struct tq_catalog *catalog, uint32_t part);

#endif
