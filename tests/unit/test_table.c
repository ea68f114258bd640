/* Tables: rows in and out, flush, merge, bulk, folding, and what a random sequence of everything leaves. */
#include "tests/unit/table_util.h"

static struct model *model_new(void) {
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    return model;
}

/* d = 4,096: 127 rows a flush. Codes only, d = 65,536, 1 bit: 64 rows a flush, some 2,000 a segment. */
static struct tq_format with_exact(void) { return format_of(4096, 2, TQ_ROWS_F16, TQ_L2); }
static struct tq_format codes_only(void) { return format_of(65536, 1, TQ_ROWS_NONE, TQ_COSINE); }

static void test_rows(void **state) {
    (void)state;
    struct tq_format format = format_of(100, 4, TQ_ROWS_F32, TQ_COSINE);
    struct model *model = model_new();
    struct store store;
    bool exists = false;
    store_make(&store, &format);
    OK(tq_table_exists(store.conn, "DOCS", &exists));
    assert_true(exists);
    OK(tq_table_exists(store.conn, "doc", &exists));
    assert_false(exists);
    begin(&store);
    put_range(&store, model, 0, 10);
    struct fake fake;
    fake_init(&fake, &format);
    FAILS(tq_table_put(store.table, 3, fake_row(&fake, &format, 3, 2)), TQ_EXISTS);
    assert_non_null(strstr(tq_message(), "id 3 already"));
    FAILS(tq_table_delete(store.table, 77), TQ_NOT_FOUND);
    delete (&store, model, 4);
    check_view(store.table, model);
    commit(&store);
    check_view(store.table, model);
    for (int64_t id = 0; id < 12; id++) check_find(store.table, model, id);
    begin(&store);
    put(&store, model, 4, 9);
    delete (&store, model, 4);
    put(&store, model, 4, 10);
    commit(&store);
    store_reopen(&store);
    check_view(store.table, model);
    FAILS(tq_table_create(store.conn, store.env, "docs", &format, ""), TQ_EXISTS);
    struct tq_index_options mine = tq_format_options(&format), theirs = tq_format_options(tq_table_format(store.table));
    assert_true(mine.dim == theirs.dim && mine.metric == theirs.metric && mine.bits == theirs.bits);
    assert_true(mine.qjl == theirs.qjl && mine.rows == theirs.rows && mine.seed == theirs.seed);
    fake_clear(&fake);
    store_remove(&store);
    free(model);
}

static void test_names_are_quoted(void **state) {
    (void)state;
    struct tq_format format = format_of(8, 4, TQ_ROWS_F32, TQ_COSINE);
    struct store store;
    struct tq_table *odd = NULL;
    const char *name = "a \"b'; DROP TABLE docs_rows; --";
    store_make(&store, &format);
    OK(tq_conn_exec(store.conn, "BEGIN IMMEDIATE"));
    OK(tq_table_create(store.conn, store.env, name, &format, ""));
    OK(tq_table_open(store.conn, store.env, name, &odd));
    struct fake fake;
    fake_init(&fake, &format);
    OK(tq_table_put(odd, 1, fake_row(&fake, &format, 1, 1)));
    OK(tq_table_sync(odd));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    tq_table_committed(odd);
    tq_table_close(odd);
    OK(tq_conn_exec(store.conn, "BEGIN IMMEDIATE"));
    OK(tq_table_drop(store.conn, name));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    FAILS(tq_table_open(store.conn, store.env, name, &odd), TQ_NOT_FOUND);
    FAILS(tq_table_drop(store.conn, name), TQ_NOT_FOUND);
    fake_clear(&fake);
    store_remove(&store);
}

/* Single-row commits: flushes at T, merges of eight, dead rows on the way. */
static void flush_and_merge(struct tq_format format, int64_t count) {
    struct model *model = model_new();
    struct store store;
    store_make(&store, &format);
    uint32_t flush = tq_segment_flush_rows(&format);
    for (int64_t id = 0; id < count; id++) {
        begin(&store);
        put(&store, model, id, 1);
        if (id % 7 == 3) delete (&store, model, id - 2);
        commit(&store);
        if (id % 400 == 399) check_view(store.table, model);
    }
    check_view(store.table, model);
    size_t flushes = (size_t)count / flush;
    assert_true(flushes >= 9);
    assert_true(segment_count(store.table) < flushes);
    store_reopen(&store);
    check_view(store.table, model);
    begin(&store);
    OK(tq_table_optimize(store.table));
    commit(&store);
    check_view(store.table, model);
    assert_int_equal(segment_count(store.table), 1);
    store_remove(&store);
    free(model);
}

static void test_flush_and_merge(void **state) {
    (void)state;
    flush_and_merge(with_exact(), 2600);
    flush_and_merge(codes_only(), 1300);
}

static void test_bulk(void **state) {
    (void)state;
    struct tq_format format = codes_only();
    struct model *model = model_new();
    struct store store;
    store_make(&store, &format);
    int64_t rows_max = tq_segment_rows_max(&format);
    for (int64_t id = 0; id < 20; id++) { /* the log has rows already, some dead */
        begin(&store);
        put(&store, model, id, 1);
        if (id % 5 == 4) delete (&store, model, id - 1);
        commit(&store);
    }
    begin(&store);
    put_range(&store, model, 100, 100 + rows_max + 300);
    check_view(store.table, model); /* its own rows, sealed and open */
    delete (&store, model, 5);
    delete (&store, model, 100);
    delete (&store, model, 100 + rows_max + 200);
    check_view(store.table, model);
    check_find(store.table, model, 100 + rows_max + 299);
    check_find(store.table, model, 100);
    commit(&store);
    check_view(store.table, model);
    assert_int_equal(segment_count(store.table), 2);
    store_reopen(&store);
    check_view(store.table, model);
    begin(&store); /* rolled back: nothing stays */
    for (int64_t id = 10000; id < 10000 + rows_max + 100; id++) {
        struct model other = *model;
        put(&store, &other, id, 1);
    }
    rollback(&store);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

static void test_many_dels_fold(void **state) {
    (void)state;
    struct tq_format format = format_of(64, 1, TQ_ROWS_NONE, TQ_COSINE);
    struct model *model = model_new();
    struct store store;
    store_make(&store, &format);
    begin(&store);
    put_range(&store, model, 0, 30000);
    commit(&store);
    begin(&store);
    for (int64_t id = 0; id < 30000; id += 5) delete (&store, model, id);
    commit(&store);
    check_view(store.table, model);
    store_reopen(&store);
    check_view(store.table, model);
    begin(&store);
    for (int64_t id = 1; id < 30000; id += 5) delete (&store, model, id);
    commit(&store); /* beyond 35 %: rewritten alone */
    struct tq_view view;
    OK(tq_table_view(store.table, &view));
    assert_int_equal(view.count, 1);
    assert_int_equal(view.segments[0].dead_count, 0);
    check_view(store.table, model);
    begin(&store);
    for (int64_t id = 0; id < 30000; id++) {
        if (model->generation[id] != 0) delete (&store, model, id);
    }
    commit(&store);
    OK(tq_table_view(store.table, &view));
    assert_int_equal(view.count, 0);
    store_remove(&store);
    free(model);
}

/* ---- Random operations against the model ---- */

struct saved {
    struct model model;
    uint64_t mark;
};

static void step(struct store *store, struct model *model, struct saved *saves, int *depth, uint64_t seed, int i) {
    uint32_t what = tq_rng_below(seed, 1, (uint64_t)i, 100);
    int64_t id = tq_rng_below(seed, 2, (uint64_t)i, 1500);
    char sql[64];
    if (what < 6 && *depth < 4) {
        (void)snprintf(sql, sizeof sql, "SAVEPOINT s%d", *depth);
        OK(tq_conn_exec(store->conn, sql));
        saves[*depth] = (struct saved){*model, tq_table_mark(store->table)};
        ++*depth;
    } else if (what < 12 && *depth > 0) {
        int to = (int)tq_rng_below(seed, 3, (uint64_t)i, (uint32_t)*depth);
        (void)snprintf(sql, sizeof sql, "ROLLBACK TO s%d", to);
        OK(tq_conn_exec(store->conn, sql));
        OK(tq_table_undo(store->table, saves[to].mark));
        *model = saves[to].model;
        *depth = to + 1;
    } else if (what < 15) {
        check_view(store->table, model);
    } else if (what < 17) {
        OK(tq_table_sync(store->table)); /* as if COMMIT were BUSY */
    } else if (what < 18) {
        OK(tq_table_optimize(store->table));
    } else if (what < 24) { /* a run of puts: bulk, sooner or later */
        for (int64_t n = 0; n < 150; n++) {
            int64_t next = (id + n) % 1500;
            if (model->generation[next] == 0) put(store, model, next, (uint32_t)i * 1000u + (uint32_t)n + 1);
        }
    } else if (model->generation[id] == 0) {
        put(store, model, id, (uint32_t)i + 1);
    } else {
        delete (store, model, id);
    }
}

static void random_operations(struct tq_format format, uint64_t seed, int count) {
    struct model *model = model_new(), *before = model_new();
    struct saved *saves = calloc(4, sizeof *saves);
    struct store store;
    store_make(&store, &format);
    for (int i = 0; i < count;) {
        int depth = 0, length = 1 + (int)tq_rng_below(seed, 4, (uint64_t)i, 60);
        *before = *model;
        begin(&store);
        for (int end = i + length; i < end; i++) step(&store, model, saves, &depth, seed, i);
        uint32_t how = tq_rng_below(seed, 5, (uint64_t)i, 10);
        if (how < 3) {
            if (how == 0) OK(tq_table_sync(store.table));
            rollback(&store);
            *model = *before;
        } else {
            commit(&store);
        }
        if (how == 5) store_reopen(&store);
        if (how == 6) check_view(store.table, model);
    }
    store_reopen(&store);
    check_view(store.table, model);
    for (int64_t id = 0; id < 1500; id++) check_find(store.table, model, id);
    store_remove(&store);
    free(model);
    free(before);
    free(saves);
}

static void test_random_operations(void **state) {
    (void)state;
    const char *seeds = getenv("TQ_TEST_SEEDS");
    uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 3;
    for (uint64_t seed = 1; seed <= count; seed++) {
        random_operations(format_of(2048, 2, TQ_ROWS_F32, TQ_IP), seed, 700);
        random_operations(format_of(16384, 1, TQ_ROWS_NONE, TQ_COSINE), seed + 100, 700);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_names_are_quoted), cmocka_unit_test(test_flush_and_merge),
        cmocka_unit_test(test_bulk), cmocka_unit_test(test_many_dels_fold),   cmocka_unit_test(test_random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
