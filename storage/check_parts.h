/* What the files of a check share (check_tables.h). */
#ifndef TQ_CHECK_PARTS_H
#define TQ_CHECK_PARTS_H

#include "storage/catalog.h"
#include "storage/check_tables.h"
#include "storage/conn_sql.h"
#include "storage/segment.h"

struct tq_check_keys {
    uint64_t *list;
    size_t count, capacity;
};

/* Of a key. */
static inline uint64_t tq_check_serial(uint64_t key) { return key & (((uint64_t)1 << 40) - 1); }

/* A part of a table of the schema, whether it is checked or not: a number must belong to one only. */
struct tq_check_owner {
    uint32_t number, part;
    const char *name;
    bool checked;
    bool unread; /* a segment could not be opened, so that what it refers to is not known */
};

struct tq_check {
    struct tq_conn *conn;
    struct tq_env *env;           /* NULL: no folder */
    struct tq_env_reader *reader; /* of the folder, begun after SQLite's snapshot */
    const struct tq_check_request *request;
    uint64_t findings;
    char first[400];
    char **names; /* of all tables of the schema */
    size_t name_count;
    struct tq_check_owner *owners; /* ascending by number */
    size_t owner_count, owner_capacity;
    struct tq_check_keys used;   /* values that segments refer to */
    struct tq_check_keys listed; /* values that are listed as replaced */
};

struct tq_check_part {
    uint32_t part;
    bool known;  /* it has a format and a number */
    bool folder; /* and the folder is its own */
    struct tq_format format;
    struct tq_catalog_identity identity;
    struct tq_catalog_state state;
    struct tq_env_meta meta;
};

/* The table that is being checked. */
struct tq_checked {
    struct tq_check *check;
    const struct tq_check_table *table;
    struct tq_catalog *catalog;
    struct tq_check_part *parts; /* ascending */
    size_t part_count;
};

/* ---- check_tables.c ---- */

void tq_check_found(struct tq_check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tq_check_note(struct tq_check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What tells of the data becomes a finding, "<where>: <message>", and TQ_OK; what kept us from looking is returned. */
enum tq_status tq_check_absorb(struct tq_check *check, const char *where, enum tq_status status);
/* Prepare a statement; printf with SQLite's %w. */
enum tq_status tq_check_prepare(struct tq_check *check, sqlite3_stmt **statement, const char *format, ...);
/* The status of a step that is neither a row nor the end. */
enum tq_status tq_check_stepped(struct tq_check *check, int rc, const char *name);
/* "slot1" of "slot" and 1. */
enum { TQ_CHECK_NAME = 32 };
void tq_check_column(char name[TQ_CHECK_NAME], const char *kind, size_t number);
/* NULL: there is no such part, or no such number. */
struct tq_check_part *tq_check_part_find(const struct tq_checked *checked, uint32_t part);
struct tq_check_owner *tq_check_owner_find(const struct tq_check *check, uint32_t number);
enum tq_status tq_check_exists(struct tq_check *check, const char *name, const char *suffix, const char *column,
                               bool *exists);

/* ---- check_rows.c ---- */

/* A walk over the rows of one vector column, ascending by slot, beside what the log says is dead. */
struct tq_check_dead {
    uint64_t slot, seq;
    int64_t id;
};
struct tq_check_walk {
    struct tq_checked *checked;
    size_t vector;
    sqlite3_stmt *rows;
    bool any;                   /* the walk stands on a row: */
    uint64_t slot;              /* of it */
    int64_t id;                 /* of it */
    bool lenient;               /* rows up to the next slot that is known are not to be told of */
    uint64_t covered;           /* end of the last segment */
    struct tq_check_dead *dead; /* entries of the part's log, ascending by slot */
    size_t dead_count, dead_at;
};
enum tq_status tq_check_rows(struct tq_checked *checked, size_t vector);
/* A living row: slots ascend. id NULL: not known. */
enum tq_status tq_check_living(struct tq_check_walk *walk, uint64_t slot, const int64_t *id);
/* Whether the log says that a row is dead. */
bool tq_check_is_deleted(struct tq_check_walk *walk, uint64_t slot, const struct tq_check_dead **dead);
/* Slots of which it is only known how many are alive, the log's dels not counted. */
enum tq_status tq_check_range(struct tq_check_walk *walk, uint64_t first, uint64_t end, uint64_t living);

/* ---- check_segments.c ---- */

enum tq_status tq_check_segments(struct tq_check_walk *walk, struct tq_check_part *part);

/* ---- check_values.c ---- */

enum tq_status tq_check_keys_add(struct tq_check_keys *keys, const uint64_t *more, size_t count);
/* What a table lists as replaced. */
enum tq_status tq_check_listed(struct tq_checked *checked);
/* Once all tables were looked at. */
enum tq_status tq_check_values(struct tq_check *check);

/* ---- check_columns.c ---- */

enum tq_status tq_check_columns(struct tq_checked *checked);

#endif
