/* Rows with made-up codes, a store in a temporary folder, and a model of what an index must hold. Storage does
 * not care what the bytes mean, so nothing is encoded here. */
#ifndef TABLE_UTIL_H
#define TABLE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "storage/table.h"

#define OK(expr) assert_int_equal_text((expr), TQ_OK, #expr, __FILE__, __LINE__)
#define FAILS(expr, status) assert_int_equal_text((expr), (status), #expr, __FILE__, __LINE__)

static inline void assert_int_equal_text(enum tq_status got, enum tq_status wanted, const char *expr, const char *file,
                                         int line) {
    if (got == wanted) return;
    (void)fprintf(stderr, "%s:%d: %s is %s, not %s: %s\n", file, line, expr, tq_status_name(got),
                  tq_status_name(wanted), tq_message());
    _fail(file, line);
}

/* ---- Stores ---- */

struct store {
    char dir[256], db[300], folder[300];
    struct tq_env *env;
    struct tq_conn *conn;
    struct tq_table *table;
};

static inline int remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk) {
    (void)info;
    (void)flag;
    (void)walk;
    return remove(path);
}

static inline void remove_tree(const char *path) { (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static inline void store_paths(struct store *store) {
    (void)snprintf(store->db, sizeof store->db, "%.255s/catalog.db", store->dir);
    (void)snprintf(store->folder, sizeof store->folder, "%.255s/vectors", store->dir);
}

static inline void store_open(struct store *store, unsigned flags) {
    OK(tq_env_open(store->folder, flags, true, &store->env));
    OK(tq_conn_open(store->db, flags, &store->conn));
}

static inline struct tq_format format_of(uint32_t dim, uint32_t bits, enum tq_rows rows, enum tq_metric metric) {
    struct tq_index_options options = tq_index_defaults(dim);
    struct tq_format format;
    options.bits = bits;
    options.rows = rows;
    options.metric = metric;
    OK(tq_format_init(&format, &options));
    return format;
}

static inline void store_make(struct store *store, const struct tq_format *format) {
    const char *tmp = getenv("TMPDIR");
    memset(store, 0, sizeof *store);
    (void)snprintf(store->dir, sizeof store->dir, "%s/tq_table_XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(store->dir));
    store_paths(store);
    store_open(store, TQ_OPEN_CREATE);
    OK(tq_conn_exec(store->conn, "BEGIN IMMEDIATE"));
    OK(tq_table_create(store->conn, store->env, "docs", format, ""));
    OK(tq_conn_exec(store->conn, "COMMIT"));
    OK(tq_table_open(store->conn, store->env, "docs", &store->table));
}

/* Another connection to the same store, with its own table. */
static inline void store_join(struct store *store, const struct store *other) {
    memset(store, 0, sizeof *store);
    memcpy(store->dir, other->dir, sizeof store->dir);
    store_paths(store);
    store_open(store, 0);
    OK(tq_table_open(store->conn, store->env, "docs", &store->table));
}

static inline void store_close(struct store *store) {
    tq_table_close(store->table);
    tq_conn_close(store->conn);
    tq_env_close(store->env);
    store->table = NULL;
    store->conn = NULL;
    store->env = NULL;
}

static inline void store_reopen(struct store *store) {
    store_close(store);
    store_open(store, 0);
    OK(tq_table_open(store->conn, store->env, "docs", &store->table));
}

static inline void store_remove(struct store *store) {
    store_close(store);
    remove_tree(store->dir);
}

static inline void begin(struct store *store) { OK(tq_conn_exec(store->conn, "BEGIN IMMEDIATE")); }

static inline void commit(struct store *store) {
    OK(tq_table_sync(store->table));
    OK(tq_conn_exec(store->conn, "COMMIT"));
    tq_table_committed(store->table);
}

static inline void rollback(struct store *store) {
    OK(tq_conn_exec(store->conn, "ROLLBACK"));
    tq_table_rolled_back(store->table);
}

/* ---- Rows: a function of id and generation ---- */

struct fake {
    uint8_t *record, *exact;
    struct tq_row row;
};

static inline void fill_bytes(uint8_t *bytes, size_t size, uint64_t seed, uint64_t stream) {
    for (size_t i = 0; i < size; i += 8) {
        uint64_t value = tq_rng_at(seed, stream, i / 8 % 512);
        memcpy(bytes + i, &value, size - i < 8 ? size - i : 8);
    }
}

static inline void fake_init(struct fake *fake, const struct tq_format *format) {
    fake->record = tq_alloc_zero(format->record_stride);
    fake->exact = tq_alloc_zero(format->exact_bytes);
    assert_non_null(fake->record);
    assert_non_null(fake->exact);
}

static inline void fake_clear(struct fake *fake) {
    tq_free(fake->record);
    tq_free(fake->exact);
}

static inline const struct tq_row *fake_row(struct fake *fake, const struct tq_format *format, int64_t id,
                                            uint32_t generation) {
    uint64_t seed = (uint64_t)id * 1000003u + generation;
    fill_bytes(fake->record, format->record_bytes, seed, 1);
    fill_bytes(fake->exact, format->exact_bytes, seed, 2);
    struct tq_record_tail tail = {1.0f, (float)(seed % 1000), 0, (uint16_t)(seed % 30000)};
    uint16_t first_error = (uint16_t)(seed % 31000);
    tq_format_round(format, &tail, &first_error);
    memcpy(fake->record + format->record_bytes - sizeof tail, &tail, sizeof tail);
    fake->row = (struct tq_row){.record = fake->record,
                                .first_error = first_error,
                                .second = {(uint16_t)(seed % 29000), (uint16_t)(seed % 28000)},
                                .norm = tail.norm,
                                .exact = format->exact_bytes != 0 ? fake->exact : NULL};
    if (format->scan_planes == 1) fake->row.second = (struct tq_second_scalars){0, 0};
    return &fake->row;
}

/* ---- The model ---- */

#define MODEL_IDS 40000

struct model {
    uint32_t generation[MODEL_IDS]; /* 0: not there */
    uint64_t live;
};

/* Every row of a view must be in the model, byte for byte, and all of the model's must be seen once. */
static inline void check_view(struct tq_table *table, const struct model *model) {
    const struct tq_format *format = tq_table_format(table);
    struct tq_view view;
    struct fake fake;
    uint64_t seen = 0;
    uint8_t *met = calloc(MODEL_IDS, 1), *scratch = calloc(format->record_stride, 1);
    fake_init(&fake, format);
    OK(tq_table_view(table, &view));
    for (size_t s = 0; s < view.count; s++) {
        struct tq_segment *segment = view.segments[s].segment;
        uint32_t rows = tq_segment_row_count(segment), dead = 0;
        for (uint32_t row = 0; row < rows; row++) {
            const uint64_t *bits = view.segments[s].dead;
            if (bits != NULL && (bits[row / 64] >> (row % 64) & 1) != 0) {
                dead++;
                continue;
            }
            int64_t id = -1;
            const uint8_t *record = NULL, *exact = NULL;
            const void *errors = NULL;
            OK(tq_segment_ids(segment, &row, 1, &id));
            assert_in_range(id, 0, MODEL_IDS - 1);
            assert_int_not_equal(model->generation[id], 0);
            assert_int_equal(met[id]++, 0);
            const struct tq_row *wanted = fake_row(&fake, format, id, model->generation[id]);
            OK(tq_segment_records(segment, &row, 1, scratch, &record));
            assert_memory_equal(record, wanted->record, format->record_stride);
            OK(tq_segment_block(segment, TQ_PLANE_FIRST_ERROR, row / TQ_BLOCK_ROWS, &errors));
            assert_int_equal(tq_first_error_at(format, errors, row % TQ_BLOCK_ROWS), wanted->first_error);
            if (format->exact_bytes != 0) {
                OK(tq_segment_gather(segment, TQ_PLANE_EXACT, &row, 1, &exact));
                assert_memory_equal(exact, wanted->exact, format->exact_bytes);
            }
            seen++;
        }
        assert_int_equal(dead, view.segments[s].dead_count);
    }
    assert_int_equal(seen, model->live);
    assert_int_equal(view.live, model->live);
    fake_clear(&fake);
    free(scratch);
    free(met);
}

static inline void put(struct store *store, struct model *model, int64_t id, uint32_t generation) {
    const struct tq_format *format = tq_table_format(store->table);
    struct fake fake;
    fake_init(&fake, format);
    OK(tq_table_put(store->table, id, fake_row(&fake, format, id, generation)));
    fake_clear(&fake);
    model->live += model->generation[id] == 0;
    model->generation[id] = generation;
}

static inline void put_range(struct store *store, struct model *model, int64_t first, int64_t end) {
    for (int64_t id = first; id < end; id++) put(store, model, id, 1);
}

static inline void delete (struct store *store, struct model *model, int64_t id) {
    OK(tq_table_delete(store->table, id));
    model->generation[id] = 0;
    model->live--;
}

static inline void check_find(struct tq_table *table, const struct model *model, int64_t id) {
    struct tq_view_segment segment;
    uint32_t row = 0;
    if (model->generation[id] == 0) {
        FAILS(tq_table_find(table, id, &segment, &row), TQ_NOT_FOUND);
        return;
    }
    int64_t found = -1;
    OK(tq_table_find(table, id, &segment, &row));
    OK(tq_segment_ids(segment.segment, &row, 1, &found));
    assert_int_equal(found, id);
    assert_true(segment.dead == NULL || (segment.dead[row / 64] >> (row % 64) & 1) == 0);
}

static inline size_t segment_count(struct tq_table *table) {
    struct tq_view view;
    OK(tq_table_view(table, &view));
    return view.count - (view.log_rows != 0 ? 1 : 0);
}

#endif
