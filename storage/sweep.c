/* Values of numbers that no catalog names: a transaction that made a part was rolled back, or died, after it had
 * written to the folder. FORMAT.md, section 5, says when they are certainly nobody's. */
#include "storage/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "storage/conn_sql.h"

/* ---- Rows of all indexes ---- */

/* Every row of a statement, whose text is freed. */
static enum tq_status each_row(struct tq_conn *conn, char *sql, tq_row_take *take, void *context) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory for a statement on %s", "the list of indexes");
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_ERROR) return tq_fail(TQ_UNSUPPORTED, "%s", sqlite3_errmsg(conn->db));
    enum tq_status status = TQ_OK;
    while (rc == SQLITE_OK && status == TQ_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        status = take(context, stmt);
        rc = SQLITE_OK;
    }
    if (status == TQ_OK && rc != SQLITE_DONE) status = tq_conn_fail(conn, rc, "reading", "the list of indexes");
    (void)sqlite3_finalize(stmt);
    return status;
}

struct each {
    struct tq_conn *conn;
    const char *columns, *suffix;
    tq_row_take *take;
    void *context;
};

static enum tq_status each_index(void *context, sqlite3_stmt *stmt) {
    const struct each *each = context;
    const sqlite3_api_routines *sqlite3_api = each->conn->api;
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    if (name == NULL) return tq_fail(TQ_NOMEM, "out of memory for %s", "the list of indexes");
    return each_row(
        each->conn,
        sqlite3_mprintf("SELECT %s FROM \"%w\".\"%w%w\"", each->columns, each->conn->schema, name, each->suffix),
        each->take, each->context);
}

enum tq_status tq_catalog_names(struct tq_conn *conn, tq_row_take *take, void *context) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    return each_row(conn,
                    sqlite3_mprintf("WITH names(name) AS (SELECT name FROM \"%w\".sqlite_master WHERE type = 'table'),"
                                    " stems(stem) AS (SELECT substr(name, 1, length(name) - 6) FROM names"
                                    " WHERE substr(name, -6) = '_state')"
                                    " SELECT stem FROM stems WHERE stem || '_seg' IN names AND stem || '_gc' IN names"
                                    " AND stem || '_log' IN names AND stem || '_rows' IN names ORDER BY stem",
                                    conn->schema),
                    take, context);
}

enum tq_status tq_catalogs_each(struct tq_conn *conn, const char *columns, const char *suffix, tq_row_take *take,
                                void *context) {
    struct each each = {conn, columns, suffix, take, context};
    return tq_catalog_names(conn, each_index, &each);
}

/* ---- What is named ---- */

struct reading {
    const sqlite3_api_routines *api;
    const uint8_t *uuid;
    struct tq_named_numbers *numbers;
};

static enum tq_status add(struct tq_named_numbers *numbers, const struct tq_named_number *number) {
    if (numbers->count == numbers->capacity) {
        size_t capacity = 2 * numbers->capacity + 64, size = sizeof *numbers->list;
        struct tq_named_number *grown = tq_realloc(numbers->list, numbers->count * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        numbers->list = grown;
        numbers->capacity = capacity;
    }
    numbers->list[numbers->count++] = *number;
    return TQ_OK;
}

static enum tq_status take_state(void *context, sqlite3_stmt *stmt) {
    const struct reading *reading = context;
    const sqlite3_api_routines *sqlite3_api = reading->api;
    const void *uuid = sqlite3_column_blob(stmt, 1);
    bool ours = sqlite3_column_bytes(stmt, 1) == 16 && memcmp(uuid, reading->uuid, 16) == 0;
    struct tq_named_number number = {.number = (uint32_t)sqlite3_column_int64(stmt, 0),
                                     .living = true,
                                     .ours = ours,
                                     .flushes = (uint64_t)sqlite3_column_int64(stmt, 2),
                                     .nonce = (uint64_t)sqlite3_column_int64(stmt, 3),
                                     .serial = (uint64_t)sqlite3_column_int64(stmt, 4)};
    return add(reading->numbers, &number);
}

static enum tq_status take_keys(void *context, sqlite3_stmt *stmt) {
    const struct reading *reading = context;
    const sqlite3_api_routines *sqlite3_api = reading->api;
    const uint8_t *keys = sqlite3_column_blob(stmt, 0);
    size_t count = (size_t)sqlite3_column_bytes(stmt, 0) / sizeof(uint64_t);
    uint32_t last = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key;
        memcpy(&key, keys + i * sizeof key, sizeof key);
        if ((uint32_t)(key >> 40) == last) continue;
        last = (uint32_t)(key >> 40);
        TQ_TRY(add(reading->numbers, &(struct tq_named_number){.number = last}));
    }
    return TQ_OK;
}

static enum tq_status take_dropped(void *context, sqlite3_stmt *stmt) {
    const struct reading *reading = context;
    const sqlite3_api_routines *sqlite3_api = reading->api;
    return add(reading->numbers, &(struct tq_named_number){.number = (uint32_t)sqlite3_column_int64(stmt, 0)});
}

static enum tq_status note_row(void *context, sqlite3_stmt *stmt) {
    (void)stmt;
    *(bool *)context = true;
    return TQ_OK;
}

static enum tq_status read_dropped(struct tq_conn *conn, struct reading *reading) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    bool any = false;
    TQ_TRY(each_row(conn,
                    sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_master WHERE type = 'table'"
                                    " AND name = 'tqlite_dropped'",
                                    conn->schema),
                    note_row, &any));
    if (!any) return TQ_OK;
    return each_row(conn, sqlite3_mprintf("SELECT number FROM \"%w\".tqlite_dropped", conn->schema), take_dropped,
                    reading);
}

static int compare(const void *a, const void *b) {
    uint32_t left = ((const struct tq_named_number *)a)->number, right = ((const struct tq_named_number *)b)->number;
    return (left > right) - (left < right);
}

enum tq_status tq_numbers_named(struct tq_conn *conn, const uint8_t uuid[16], struct tq_named_numbers *numbers) {
    struct reading reading = {conn->api, uuid, numbers};
    *numbers = (struct tq_named_numbers){.count = 0};
    enum tq_status status = tq_catalogs_each(conn, "number, uuid, flushes, nonce, serial", "_state", take_state,
                                             &reading);
    if (status == TQ_OK) status = tq_catalogs_each(conn, "keys", "_gc", take_keys, &reading);
    if (status == TQ_OK) status = read_dropped(conn, &reading);
    if (status != TQ_OK) {
        tq_free(numbers->list);
        *numbers = (struct tq_named_numbers){.count = 0};
        return status;
    }
    if (numbers->count > 1) qsort(numbers->list, numbers->count, sizeof *numbers->list, compare);
    return TQ_OK;
}

/* ---- What is nobody's ---- */

static enum tq_status in_step(struct tq_env *env, const struct tq_named_number *named, bool *is) {
    struct tq_env_meta meta;
    TQ_TRY(tq_env_meta(env, named->number, &meta));
    *is = named->ours && meta.flushes == named->flushes && meta.nonce == named->nonce;
    return TQ_OK;
}

/* Only a catalog that is in step with the folder in all its parts is certainly not an older copy. */
static enum tq_status all_in_step(struct tq_env *env, const struct tq_named_numbers *numbers, bool *all) {
    *all = true;
    for (size_t i = 0; i < numbers->count && *all; i++) {
        if (numbers->list[i].living) TQ_TRY(in_step(env, &numbers->list[i], all));
    }
    return TQ_OK;
}

/* More than one transaction has written to it: so at least one of them was committed, in a catalog that is not ours. */
static enum tq_status was_committed(struct tq_env *env, uint32_t number, bool *was) {
    struct tq_env_meta meta;
    TQ_TRY(tq_env_meta(env, number, &meta));
    *was = meta.flushes > 1;
    return TQ_OK;
}

/* As if the values had been replaced now. */
static enum tq_status list_values(struct tq_table *table, uint32_t number, size_t count) {
    size_t found = 0;
    uint64_t *keys = tq_alloc_array(count, sizeof *keys);
    if (keys == NULL) return TQ_NOMEM;
    enum tq_status status = tq_env_keys_above(table->env, number, 0, keys, count, &found);
    if (found < count) count = found;
    if (status == TQ_OK) {
        status = tq_catalog_gc_add(table->catalog, table->part, tq_txn_version(table), keys, count);
    }
    tq_free(keys);
    return status;
}

/* Looking at every part of the database is for the rare case that there is something to delete. */
static enum tq_status list_unnamed(struct tq_table *table, const struct tq_named_numbers *numbers, uint32_t end,
                                   bool *any) {
    size_t at = 0, count = 0;
    for (uint32_t number = 1; number < end; number++) {
        bool was = false, all = true;
        while (at < numbers->count && numbers->list[at].number < number) at++;
        if (at < numbers->count && numbers->list[at].number == number) continue;
        TQ_TRY(tq_env_keys_above(table->env, number, 0, NULL, 0, &count));
        if (count != 0) TQ_TRY(was_committed(table->env, number, &was));
        if (count == 0 || was) continue;
        if (!*any) TQ_TRY(all_in_step(table->env, numbers, &all));
        if (!all) return TQ_OK;
        *any = true;
        TQ_TRY(list_values(table, number, count));
    }
    return TQ_OK;
}

/* Numbers are given out in order. One that is smaller than one of ours was given out before it; had it been committed
 * by then, our catalog would know. A larger one may be that of a newer catalog. */
static enum tq_status sweep(struct tq_table *table, const struct tq_named_numbers *numbers) {
    const struct tq_named_number *last = NULL;
    bool any = false, known = false;
    for (size_t i = 0; i < numbers->count; i++) {
        if (numbers->list[i].living && numbers->list[i].ours) last = &numbers->list[i];
    }
    /* One that is damaged, and that the folder does not know, would be a loop over four billion. */
    if (last != NULL) TQ_TRY(in_step(table->env, last, &known));
    enum tq_status status = known ? list_unnamed(table, numbers, last->number, &any) : TQ_OK;
    if (status == TQ_OK && any) status = tq_txn_state(table);
    if (status != TQ_OK) table->txn.broken = true;
    return status;
}

enum tq_status tq_table_sweep(struct tq_table *table) {
    struct tq_named_numbers numbers;
    TQ_TRY(tq_txn_begin(table));
    /* SQLite's write lock is what says that nobody is making a part just now. */
    if (!tq_conn_is_writing(table->conn)) return TQ_OK;
    enum tq_status status = tq_numbers_named(table->conn, tq_env_uuid(table->env), &numbers);
    if (status == TQ_UNSUPPORTED) return TQ_OK; /* tables of another version: theirs are not known */
    TQ_TRY(status);
    status = sweep(table, &numbers);
    tq_free(numbers.list);
    return status;
}
