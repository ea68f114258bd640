/* What is the same in all workloads: vectors, and the store seen from below. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/conn_sql.h"
#include "storage/table.h"
#include "tests/crash/power/model.h"
#include "tests/crash/power/workload.h"

#define KEYS_MAX 4096

/* ---- Vectors ---- */

void make_vector(int64_t from, int dim, float *vector) {
    uint64_t state = mix((uint64_t)from);
    for (int i = 0; i < dim; i++) {
        if (i % 8 == 0) state = mix(state);
        vector[i] = ((float)(state >> (i % 8 * 8) & 31) - 15.5F) / 8;
    }
    for (int i = 0; i < 6; i++) vector[i] = (float)(from >> (4 * i) & 15) / 8;
}

uint64_t chance(uint64_t number, uint64_t which, uint64_t below) { return mix(number * 64 + which) % below; }

void acknowledge(int done) {
    char text[32];
    int size = snprintf(text, sizeof text, "%d\n", done);
    if (write(1, text, (size_t)size) != size) exit(3);
}

int find_content(const uint64_t *after, int count, uint64_t content) {
    for (int number = 0; number <= count; number++)
        if (after[number] == content) return number;
    return -1;
}

/* ---- Values ---- */

struct keys {
    uint64_t list[KEYS_MAX];
    size_t count;
};

struct listing {
    struct keys used, listed;
    uint32_t numbers[KEYS_MAX / 8]; /* of the parts in the folder */
    size_t number_count;
};

static void add(struct keys *keys, uint64_t key) {
    if (keys->count == KEYS_MAX) fail("more than %d values", KEYS_MAX);
    keys->list[keys->count++] = key;
}

static bool has(const struct keys *keys, uint64_t key) {
    for (size_t i = 0; i < keys->count; i++)
        if (keys->list[i] == key) return true;
    return false;
}

static void must(enum tq_status status, const char *what) {
    if (status != TQ_OK) fail("%s: %s", what, tq_message());
}

static void list_used(struct tq_table *table, struct listing *listing) {
    struct tq_view view;
    must(tq_table_view(table, &view), "view");
    for (size_t i = 0; i < view.count; i++) {
        uint64_t codes[64], exact[256];
        size_t exact_count = 0,
               code_count = tq_segment_keys(view.segments[i].segment, codes, 64, exact, 256, &exact_count);
        for (size_t k = 0; k < code_count; k++) add(&listing->used, codes[k]);
        for (size_t k = 0; k < exact_count; k++) add(&listing->used, exact[k]);
    }
    tq_table_release(table);
}

static sqlite3_stmt *prepare(struct tq_conn *conn, const char *format, const char *name) {
    char text[200];
    sqlite3_stmt *statement = NULL;
    (void)snprintf(text, sizeof text, format, name);
    must(tq_conn_prepare(conn, text, &statement), name);
    return statement;
}

static void list_gc(struct tq_conn *conn, const char *name, struct listing *listing) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *statement = prepare(conn, "SELECT keys FROM %s_gc", name);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const uint8_t *blob = sqlite3_column_blob(statement, 0);
        for (int i = 0; i + 8 <= sqlite3_column_bytes(statement, 0); i += 8) {
            uint64_t key;
            memcpy(&key, blob + i, sizeof key);
            add(&listing->listed, key);
        }
    }
    (void)sqlite3_finalize(statement);
}

static void list_table(struct tq_conn *conn, struct tq_env *env, const char *name, struct listing *listing) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    struct tq_table *first = NULL;
    bool exists = false;
    must(tq_table_exists(conn, name, &exists), name);
    if (!exists) return;
    must(tq_table_open(conn, env, name, &first), name);
    sqlite3_stmt *parts = prepare(conn, "SELECT part, number FROM %s_state ORDER BY part", name);
    while (sqlite3_step(parts) == SQLITE_ROW) {
        struct tq_table *table = first;
        uint32_t part = (uint32_t)sqlite3_column_int(parts, 0);
        listing->numbers[listing->number_count++] = (uint32_t)sqlite3_column_int(parts, 1);
        if (part != 0) must(tq_table_open_part(first, part, &table), name);
        list_used(table, listing);
        if (part != 0) tq_table_close(table);
    }
    (void)sqlite3_finalize(parts);
    tq_table_close(first);
    list_gc(conn, name, listing);
}

static void find_left(struct tq_env *env, const struct listing *listing, bool wal) {
    static uint64_t keys[KEYS_MAX];
    for (size_t i = 0; i < listing->number_count; i++) {
        size_t count = 0;
        must(tq_env_keys_above(env, listing->numbers[i], 0, keys, KEYS_MAX, &count), "keys");
        for (size_t k = 0; k < count; k++)
            if (!has(&listing->used, keys[k]) && (wal || !has(&listing->listed, keys[k])))
                fail("value %" PRIu64 " of index %u is left over", keys[k] & ((UINT64_C(1) << 40) - 1),
                     listing->numbers[i]);
    }
}

void check_values(struct sqlite3 *db, const char *folder, const char *const *tables, size_t count, bool wal) {
    static struct listing listing;
    const sqlite3_api_routines *api = NULL;
    struct tq_env *env = NULL;
    struct tq_conn *conn = NULL;
    listing.used.count = listing.listed.count = listing.number_count = 0;
    must(tq_env_open(folder, 0, true, &env), "folder");
    must(tq_linked_sqlite(&api), "SQLite");
    must(tq_conn_wrap(db, api, "main", &conn), "catalog"); /* tq_conn_open would choose the journal mode */
    must(tq_conn_exec(conn, "BEGIN"), "catalog");
    for (size_t i = 0; i < count; i++) list_table(conn, env, tables[i], &listing);
    must(tq_conn_exec(conn, "COMMIT"), "catalog");
    find_left(env, &listing, wal);
    tq_conn_close(conn);
    tq_env_close(env);
}
