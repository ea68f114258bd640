/* An index's handle: its codec, its writer, its pool of readers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/stop.h"
#include "src/db/handle.h"

static enum tq_status check_name(const char *name) {
    size_t length = name == NULL ? 0 : strlen(name);
    if (length == 0 || length > TQ_NAME_MAX) {
        return tq_fail(TQ_MISUSE, "an index name has %zu bytes; it must have 1 to %d", length, TQ_NAME_MAX);
    }
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    bool good = strchr(letters, name[0]) != NULL &&
                strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == length;
    if (good) return TQ_OK;
    return tq_fail(TQ_MISUSE, "index name \"%s\" must be a letter, then letters, digits and underscores", name);
}

/* ---- Readers ---- */

static void reader_close(struct tq_reader *reader) {
    tq_access_close(reader->access);
    tq_conn_close(reader->conn);
    tq_free(reader);
}

static enum tq_status reader_open(struct tq_index *index, struct tq_reader **reader) {
    struct tq_reader *r = tq_alloc_zero(sizeof *r);
    if (r == NULL) return TQ_NOMEM;
    /* A reader writes nothing, but SQLite needs a writable handle to keep a WAL's shared memory in order. */
    enum tq_status status = tq_conn_open(index->store->catalog, index->store->flags & TQ_OPEN_READONLY, &r->conn);
    if (status == TQ_OK) status = tq_access_open(r->conn, index->store->env, index->name, index->codec, &r->access);
    if (status != TQ_OK) {
        reader_close(r);
        return status;
    }
    *reader = r;
    return TQ_OK;
}

static enum tq_status reader_acquire(struct tq_index *index, struct tq_reader **reader) {
    (void)pthread_mutex_lock(&index->store->pool_lock);
    struct tq_reader *r = index->idle;
    if (r != NULL) index->idle = r->next;
    (void)pthread_mutex_unlock(&index->store->pool_lock);
    if (r == NULL) TQ_TRY(reader_open(index, &r));
    enum tq_status status = tq_conn_exec(r->conn, "BEGIN");
    if (status != TQ_OK) {
        reader_close(r);
        return status;
    }
    *reader = r;
    return TQ_OK;
}

static void reader_release(struct tq_index *index, struct tq_reader *reader) {
    tq_table_release(reader->access->table);
    if (tq_conn_exec(reader->conn, "COMMIT") != TQ_OK) {
        reader_close(reader);
        return;
    }
    (void)pthread_mutex_lock(&index->store->pool_lock);
    reader->next = index->idle;
    index->idle = reader;
    (void)pthread_mutex_unlock(&index->store->pool_lock);
}

/* ---- Handles ---- */

static enum tq_status open_writer(struct tq_index *index) {
    struct tq_store *store = index->store;
    struct tq_access *access = NULL;
    TQ_TRY(tq_access_open(store->conn, store->env, index->name, NULL, &access));
    index->codec = access->engine->owned_codec; /* readers borrow it, so the handle keeps it */
    access->engine->owned_codec = NULL;
    index->writer = access;
    return TQ_OK;
}

static void free_index(struct tq_index *index) {
    while (index->idle != NULL) {
        struct tq_reader *reader = index->idle;
        index->idle = reader->next;
        reader_close(reader);
    }
    tq_access_close(index->writer);
    tq_codec_close(index->codec);
    tq_free(index);
}

/* Opening twice gives the same handle: two writers on one connection would each hold half of its fresh rows. */
static struct tq_index *find_open(struct tq_store *store, const char *name) {
    struct tq_index *i = store->indexes;
    while (i != NULL && strcmp(i->name, name) != 0) i = i->next;
    return i;
}

static enum tq_status open_locked(struct tq_store *store, const char *name, tq_index **index) {
    struct tq_index *i = find_open(store, name);
    if (i != NULL) {
        i->references++;
        *index = i;
        return TQ_OK;
    }
    i = tq_alloc_zero(sizeof *i);
    if (i == NULL) return TQ_NOMEM;
    i->store = store;
    i->references = 1;
    memcpy(i->name, name, strlen(name) + 1);
    enum tq_status status = open_writer(i);
    if (status != TQ_OK) {
        free_index(i);
        return status;
    }
    i->next = store->indexes;
    store->indexes = i;
    *index = i;
    return TQ_OK;
}

enum tq_status tq_index_open(tq_store *store, const char *name, tq_index **index) {
    TQ_TRY(check_name(name));
    (void)pthread_mutex_lock(&store->write_lock);
    enum tq_status status = open_locked(store, name, index);
    (void)pthread_mutex_unlock(&store->write_lock);
    return status;
}

struct creation {
    const char *name;
    struct tq_format format;
    struct tq_index *made;
};

static enum tq_status create(struct tq_store *store, struct tq_index *index, void *argument) {
    struct creation *creation = argument;
    (void)index;
    TQ_TRY(tq_table_create(store->conn, store->env, creation->name, &creation->format, ""));
    return open_locked(store, creation->name, &creation->made); /* before COMMIT: it may fail */
}

enum tq_status tq_index_create(tq_store *store, const char *name, const struct tq_index_options *options,
                               tq_index **index) {
    struct creation creation = {.name = name};
    TQ_TRY(check_name(name));
    TQ_TRY(tq_format_init(&creation.format, options));
    enum tq_status status = tq_store_write(store, NULL, create, &creation);
    if (status == TQ_OK)
        *index = creation.made;
    else
        tq_index_close(creation.made);
    return status;
}

void tq_index_close(tq_index *index) {
    if (index == NULL) return;
    struct tq_store *store = index->store;
    (void)pthread_mutex_lock(&store->write_lock);
    if (--index->references == 0) {
        struct tq_index **link = &store->indexes;
        while (*link != index) link = &(*link)->next;
        *link = index->next;
        free_index(index);
    }
    (void)pthread_mutex_unlock(&store->write_lock);
}

static enum tq_status drop(struct tq_store *store, struct tq_index *index, void *argument) {
    const char *name = argument;
    (void)index;
    if (find_open(store, name) != NULL) return tq_fail(TQ_BUSY, "index \"%s\" is open: close it first", name);
    bool exists = false;
    TQ_TRY(tq_table_exists(store->conn, name, &exists));
    if (!exists) return tq_fail(TQ_NOT_FOUND, "there is no index \"%s\"", name);
    return tq_table_drop(store->conn, name);
}

enum tq_status tq_index_drop(tq_store *store, const char *name) {
    char copy[TQ_NAME_MAX + 1];
    TQ_TRY(check_name(name));
    memcpy(copy, name, strlen(name) + 1);
    return tq_store_write(store, NULL, drop, copy);
}

/* ---- Cancelling ---- */

void tq_cancel(tq_index *index) { (void)atomic_fetch_add(&index->cancels, 1); }

static struct tq_stop stop_of(struct tq_index *index) {
    return (struct tq_stop){.cancels = &index->cancels, .cancels_before = atomic_load(&index->cancels)};
}

/* ---- Writing ---- */

struct vectors {
    const int64_t *ids;
    const float *vectors;
    size_t count;
};

static enum tq_status put_one(struct tq_store *store, struct tq_index *index, void *argument) {
    const struct vectors *v = argument;
    (void)store;
    return tq_access_put(index->writer, v->ids[0], v->vectors);
}

enum tq_status tq_put(tq_index *index, int64_t id, const float *vector) {
    struct vectors one = {.ids = &id, .vectors = vector, .count = 1};
    return tq_store_write(index->store, index, put_one, &one);
}

static enum tq_status put_all(struct tq_index *index, const struct vectors *v) {
    struct tq_access_rows rows = {.ids = v->ids, .vectors = v->vectors, .count = v->count};
    for (size_t i = 0; i < v->count; i++) {
        enum tq_status status = tq_access_put_row(index->writer, &rows, i);
        if (status != TQ_OK) {
            char text[512];
            (void)snprintf(text, sizeof text, "%s", tq_message());
            return tq_fail(status, "vector %zu of %zu (id %lld): %s", i, v->count, (long long)v->ids[i], text);
        }
    }
    return TQ_OK;
}

static enum tq_status put_many(struct tq_store *store, struct tq_index *index, void *argument) {
    uint64_t mark = tq_table_mark(index->writer->table);
    TQ_TRY(tq_conn_exec(store->conn, "SAVEPOINT tq_put_many"));
    enum tq_status status = put_all(index, argument);
    if (status == TQ_OK) return tq_conn_exec(store->conn, "RELEASE tq_put_many");
    char text[512];
    (void)snprintf(text, sizeof text, "%s", tq_message());
    enum tq_status undone = tq_conn_exec(store->conn, "ROLLBACK TO tq_put_many; RELEASE tq_put_many");
    if (undone == TQ_OK) undone = tq_table_undo(index->writer->table, mark);
    if (undone != TQ_OK) store->lost = true;
    return tq_fail(status, "%s", text);
}

enum tq_status tq_put_many(tq_index *index, const int64_t *ids, const float *vectors, size_t count) {
    struct vectors many = {.ids = ids, .vectors = vectors, .count = count};
    return tq_store_write(index->store, index, put_many, &many);
}

static enum tq_status delete_one(struct tq_store *store, struct tq_index *index, void *argument) {
    (void)store;
    return tq_table_delete(index->writer->table, *(const int64_t *)argument);
}

enum tq_status tq_delete(tq_index *index, int64_t id) { return tq_store_write(index->store, index, delete_one, &id); }

static enum tq_status optimize(struct tq_store *store, struct tq_index *index, void *argument) {
    (void)store;
    (void)argument;
    TQ_TRY(tq_table_optimize(index->writer->table));
    return tq_table_sweep(index->writer->table);
}

enum tq_status tq_index_optimize(tq_index *index) {
    if (index->store->in_transaction) return tq_fail(TQ_MISUSE, "tq_index_optimize: a transaction is open");
    struct tq_stop stop = stop_of(index);
    tq_stop_begin(&stop);
    enum tq_status status = tq_store_write(index->store, index, optimize, NULL);
    /* What the first replaced may only go now. */
    if (status == TQ_OK) status = tq_store_write(index->store, index, optimize, NULL);
    tq_stop_end(&stop);
    return status;
}

/* ---- Reading ---- */

enum tq_status tq_get(tq_index *index, int64_t id, float *vector) {
    struct tq_reader *reader = NULL;
    TQ_TRY(reader_acquire(index, &reader));
    enum tq_status status = tq_access_get(reader->access, id, vector);
    reader_release(index, reader);
    return status;
}

enum tq_status tq_search(tq_index *index, const float *queries, size_t query_count, int64_t k,
                         const struct tq_search_options *options, struct tq_hit *hits, size_t *counts,
                         struct tq_search_stats *stats) {
    struct tq_search_options defaults = tq_search_defaults();
    struct tq_search_stats ignored = {0};
    if (options == NULL) options = &defaults;
    if (stats == NULL) stats = &ignored;
    *stats = ignored;
    TQ_TRY(tq_search_check(options, k));
    struct tq_reader *reader = NULL;
    struct tq_stop stop = stop_of(index);
    TQ_TRY(reader_acquire(index, &reader));
    tq_stop_begin(&stop);
    enum tq_status status = tq_access_search(reader->access, index->codec->format.metric, queries, query_count,
                                             (size_t)k, options, hits, counts, stats);
    tq_stop_end(&stop);
    reader_release(index, reader);
    return status;
}

enum tq_status tq_search_range(tq_index *index, const float *query, double score, int64_t capacity,
                               const struct tq_search_options *options, struct tq_hit *hits, size_t *count,
                               struct tq_search_stats *stats) {
    struct tq_search_options defaults = tq_search_defaults();
    struct tq_search_stats ignored = {0};
    if (options == NULL) options = &defaults;
    if (stats == NULL) stats = &ignored;
    *stats = ignored;
    *count = 0;
    if (capacity < 0) return tq_fail(TQ_MISUSE, "capacity is %lld; it must be 0 or more", (long long)capacity);
    if (isnan(score)) return tq_fail(TQ_MISUSE, "score is nan; it must be a number");
    TQ_TRY(tq_search_check(options, 0));
    struct tq_reader *reader = NULL;
    struct tq_stop stop = stop_of(index);
    TQ_TRY(reader_acquire(index, &reader));
    tq_stop_begin(&stop);
    enum tq_status status = tq_access_range(reader->access, query, score, (size_t)capacity, options, hits, count,
                                            stats);
    tq_stop_end(&stop);
    reader_release(index, reader);
    return status;
}

static void fill_info(const struct tq_index *index, const struct tq_view *view, struct tq_index_info *info) {
    const struct tq_format *format = &index->codec->format;
    *info = (struct tq_index_info){.options = tq_format_options(format),
                                   .rows = view->live,
                                   .log_rows = view->log_rows,
                                   .code_bytes_row = tq_format_code_bytes_row(format),
                                   .exact_bytes_row = format->exact_bytes,
                                   .isa = index->codec->kernels.name};
    for (size_t i = 0; i < view->count; i++) {
        const struct tq_view_segment *vs = &view->segments[i];
        bool is_log = view->log_rows > 0 && i + 1 == view->count;
        info->segments += is_log ? 0 : 1;
        info->dead_rows += vs->dead_count;
        info->code_bytes += is_log ? 0 : tq_segment_code_bytes(vs->segment);
        info->exact_bytes += is_log ? 0 : tq_segment_exact_bytes(vs->segment);
    }
}

enum tq_status tq_index_get_info(tq_index *index, struct tq_index_info *info) {
    struct tq_reader *reader = NULL;
    struct tq_view view;
    TQ_TRY(reader_acquire(index, &reader));
    enum tq_status status = tq_table_view(reader->access->table, &view);
    if (status == TQ_OK) fill_info(index, &view, info);
    reader_release(index, reader);
    return status;
}
