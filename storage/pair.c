/* Every part of every table of a schema. */
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "storage/pair_parts.h"
#include "storage/sweep.h"

struct tq_pair_failure tq_pair_failed(enum tq_status status) {
    struct tq_pair_failure failure = {.status = status};
    (void)snprintf(failure.text, sizeof failure.text, "%s", tq_message());
    return failure;
}

enum tq_status tq_pair_fail_again(const struct tq_pair_failure *failure) {
    return tq_fail(failure->status, "%s", failure->text);
}

void tq_pair_failed_at(struct tq_pair_failure *failure, const char *made, const char *place) {
    size_t kept = strlen(place), length = strlen(made);
    char *at = strstr(failure->text, made);
    if (length > kept && strncmp(made, place, kept) == 0 && at != NULL) {
        memmove(at + kept, at + length, strlen(at + length) + 1);
    }
}

/* ---- Visiting ---- */

struct names {
    char **list;
    size_t count, capacity;
};

static void names_free(struct names *names) {
    for (size_t i = 0; i < names->count; i++) tq_free(names->list[i]);
    tq_free(names->list);
}

static enum tq_status names_add(struct names *names, const char *name) {
    if (name == NULL) return TQ_NOMEM;
    if (names->count == names->capacity) {
        size_t capacity = 2 * names->capacity + 8, size = sizeof *names->list;
        char **grown = tq_realloc(names->list, names->capacity * size, capacity * size);
        if (grown == NULL) return TQ_NOMEM;
        names->list = grown;
        names->capacity = capacity;
    }
    size_t size = strlen(name) + 1;
    char *copy = tq_alloc(size);
    if (copy == NULL) return TQ_NOMEM;
    memcpy(copy, name, size);
    names->list[names->count++] = copy;
    return TQ_OK;
}

struct listing {
    const sqlite3_api_routines *api;
    struct names *names;
};

static enum tq_status take_name(void *context, sqlite3_stmt *stmt) {
    const struct listing *listing = context;
    const sqlite3_api_routines *sqlite3_api = listing->api;
    return names_add(listing->names, (const char *)sqlite3_column_text(stmt, 0));
}

/* By their shadow tables: a module need not be loaded for them. */
static enum tq_status names_read(struct tq_conn *conn, struct names *names) {
    struct listing listing = {conn->api, names};
    return tq_catalog_names(conn, take_name, &listing);
}

enum tq_status tq_pair_count(struct tq_conn *conn, size_t *count) {
    struct names names = {0};
    enum tq_status status = names_read(conn, &names);
    if (status == TQ_OK) *count = names.count;
    names_free(&names);
    return status;
}

/* The number of the next part, or -1. */
static enum tq_status next_part(struct tq_conn *conn, const char *name, int64_t *part) {
    const sqlite3_api_routines *sqlite3_api = conn->api;
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf("SELECT coalesce(min(part), -1) FROM \"%w\".\"%w_state\" WHERE part > %lld",
                                conn->schema, name, (long long)*part);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) *part = sqlite3_column_int64(stmt, 0);
    enum tq_status status = rc == SQLITE_ROW ? TQ_OK : tq_conn_fail(conn, rc, "reading the parts of", name);
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum tq_status visit_parts(struct tq_conn *conn, const char *name, struct tq_table *first, tq_pair_visit *visit,
                                  void *context) {
    TQ_TRY(visit(context, first));
    for (int64_t number = 0;;) {
        struct tq_table *part = NULL;
        TQ_TRY(next_part(conn, name, &number));
        if (number < 0) return TQ_OK;
        TQ_TRY(tq_table_open_part(first, (uint32_t)number, &part));
        enum tq_status status = visit(context, part);
        tq_table_close(part);
        TQ_TRY(status);
    }
}

enum tq_status tq_pair_each(struct tq_conn *conn, struct tq_env *env, tq_pair_visit *visit, void *context) {
    struct names names = {0};
    enum tq_status status = names_read(conn, &names);
    for (size_t i = 0; i < names.count && status == TQ_OK; i++) {
        struct tq_table *first = NULL;
        status = tq_table_open(conn, env, names.list[i], &first);
        if (status == TQ_OK) status = visit_parts(conn, names.list[i], first, visit, context);
        tq_table_close(first);
    }
    names_free(&names);
    return status;
}

static enum tq_status part_states(struct tq_conn *conn, const char *name, tq_pair_state *state, void *context) {
    struct tq_catalog *catalog = NULL;
    TQ_TRY(tq_catalog_open(conn, name, &catalog));
    enum tq_status status = TQ_OK;
    for (int64_t number = -1; status == TQ_OK;) {
        struct tq_format format;
        struct tq_catalog_identity identity;
        struct tq_catalog_look look;
        status = next_part(conn, name, &number);
        if (number < 0) break;
        if (status == TQ_OK) status = tq_catalog_identify(catalog, (uint32_t)number, &format, &identity);
        if (status == TQ_OK) status = tq_catalog_look(catalog, (uint32_t)number, &look);
        if (status == TQ_OK) status = state(context, &identity, &look);
    }
    tq_catalog_close(catalog);
    return status;
}

enum tq_status tq_pair_states(struct tq_conn *conn, tq_pair_state *state, void *context) {
    struct names names = {0};
    enum tq_status status = names_read(conn, &names);
    for (size_t i = 0; i < names.count && status == TQ_OK; i++) {
        status = part_states(conn, names.list[i], state, context);
    }
    names_free(&names);
    return status;
}

/* ---- Values ---- */

static enum tq_status take_value(struct tq_table *part, uint64_t key, tq_pair_take *take, void *context) {
    const void *data = NULL;
    size_t size = 0;
    enum tq_status status = tq_env_get(part->shared->reader, key, &data, &size);
    if (status == TQ_NOT_FOUND) {
        return tq_fail(TQ_CORRUPT, "index \"%s\": value %llu is missing in folder \"%s\"",
                       tq_catalog_name(part->catalog), (unsigned long long)(key & 0xffffffffffu),
                       tq_env_path(part->env));
    }
    return status == TQ_OK && take != NULL ? take(context, key, data, size) : status;
}

static enum tq_status segment_values(struct tq_table *part, const struct tq_segment *segment, tq_pair_take *take,
                                     void *context) {
    size_t exact_count = 0;
    size_t code_count = tq_segment_keys(segment, NULL, 0, NULL, 0, &exact_count);
    uint64_t *keys = tq_alloc_array(code_count + exact_count, sizeof *keys);
    if (keys == NULL) return TQ_NOMEM;
    (void)tq_segment_keys(segment, keys, code_count, keys + code_count, exact_count, &exact_count);
    enum tq_status status = TQ_OK;
    for (size_t i = 0; i < code_count + exact_count && status == TQ_OK; i++) {
        status = take_value(part, keys[i], take, context);
    }
    tq_free(keys);
    return status;
}

enum tq_status tq_pair_values(struct tq_table *part, bool check, tq_pair_take *take, void *context) {
    struct tq_view view;
    enum tq_status status = tq_table_view(part, &view);
    for (size_t i = 0; i < part->cache.count && status == TQ_OK; i++) {
        struct tq_segment *segment = part->cache.segments[i].segment;
        if (check) status = tq_segment_check(segment);
        if (status == TQ_OK) status = segment_values(part, segment, take, context);
    }
    tq_table_release(part);
    return status;
}

/* ---- Deleting what nothing refers to ---- */

static enum tq_status collect_part(void *context, struct tq_table *part) {
    (void)context;
    return tq_table_collect(part);
}

static enum tq_status collect_once(struct tq_conn *conn, struct tq_env *env) {
    TQ_TRY(tq_conn_exec(conn, "BEGIN IMMEDIATE"));
    enum tq_status status = tq_pair_each(conn, env, collect_part, NULL);
    if (status == TQ_OK) status = tq_conn_exec(conn, "COMMIT");
    if (status == TQ_OK) return TQ_OK;
    struct tq_pair_failure failure = tq_pair_failed(status);
    if (tq_conn_in_transaction(conn)) (void)tq_conn_exec(conn, "ROLLBACK");
    return tq_pair_fail_again(&failure);
}

enum tq_status tq_pair_collect(struct tq_conn *conn, struct tq_env *env) {
    TQ_TRY(collect_once(conn, env));
    return collect_once(conn, env);
}
