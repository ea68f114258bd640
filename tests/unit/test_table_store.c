/* Tables and the world around them: snapshots, crashes between the two commits, folders that do not belong,
 * several processes, space. */
#include "tests/unit/table_util.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FLUSH 127 /* rows a flush of with_exact() */

static struct tq_format with_exact(void) { return format_of(4096, 2, TQ_ROWS_F16, TQ_L2); }

static struct model *model_new(void) {
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    return model;
}

static uint64_t value_count(struct store *store, uint32_t index) {
    size_t count = 0;
    OK(tq_env_keys_above(store->env, index, 0, NULL, 0, &count));
    return count;
}

/* A reader stays on an old snapshot while a writer flushes, merges and deletes what it replaced. */
static void old_snapshot(const char *journal_mode) {
    struct tq_format format = with_exact();
    struct model *model = model_new(), *old = model_new();
    struct store writer, reader;
    store_make(&writer, &format);
    OK(tq_conn_exec(writer.conn, journal_mode));
    begin(&writer);
    put_range(&writer, model, 0, 50);
    commit(&writer);
    for (int64_t id = 50; id < 50 + 3 * FLUSH; id++) {
        begin(&writer);
        put(&writer, model, id, 1);
        commit(&writer);
    }
    store_join(&reader, &writer);
    bool wal = strstr(journal_mode, "WAL") != NULL;
    if (wal) OK(tq_conn_exec(reader.conn, "BEGIN"));
    check_view(reader.table, model);
    *old = *model;
    for (int64_t id = 1000; id < 1000 + 9 * FLUSH; id++) {
        begin(&writer);
        put(&writer, model, id, 1);
        if (id % 3 == 0 && model->generation[id - 900] != 0) delete (&writer, model, id - 900);
        commit(&writer);
    }
    begin(&writer);
    OK(tq_table_optimize(writer.table));
    commit(&writer);
    begin(&writer);
    OK(tq_table_optimize(writer.table));
    commit(&writer);
    check_view(writer.table, model);
    if (wal) {
        check_view(reader.table, old); /* nothing it needs has gone */
        tq_table_release(reader.table);
        check_view(reader.table, old);
        uint64_t kept = value_count(&writer, 1);
        OK(tq_conn_exec(reader.conn, "COMMIT"));
        begin(&writer);
        OK(tq_table_optimize(writer.table));
        commit(&writer);
        assert_true(value_count(&writer, 1) < kept); /* now it has */
    }
    check_view(reader.table, model);
    tq_table_release(reader.table);
    begin(&writer);
    OK(tq_table_optimize(writer.table));
    commit(&writer);
    /* Nothing is left but what the one segment needs. */
    struct tq_view view;
    uint64_t keys[4096];
    size_t exact = 0;
    OK(tq_table_view(writer.table, &view));
    assert_int_equal(view.count, 1);
    size_t codes = tq_segment_keys(view.segments[0].segment, keys, 4096, keys, 4096, &exact);
    assert_int_equal(value_count(&writer, 1), codes + exact);
    store_close(&reader);
    store_remove(&writer);
    free(model);
    free(old);
}

static void test_old_snapshot(void **state) {
    (void)state;
    old_snapshot("PRAGMA journal_mode=WAL");
    old_snapshot("PRAGMA journal_mode=DELETE");
}

/* The folder was written, SQLite went back: the next flush removes what nothing refers to. */
static void test_leftovers(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = model_new(), other = {0};
    struct store store;
    store_make(&store, &format);
    for (int round = 0; round < 3; round++) {
        begin(&store);
        for (int64_t id = 5000; id < 5000 + 3 * FLUSH; id++) put(&store, &other, id, 1);
        OK(tq_table_sync(store.table));
        rollback(&store);
        store_reopen(&store);
        check_view(store.table, model);
    }
    uint64_t orphans = value_count(&store, 1);
    assert_true(orphans > 0);
    begin(&store);
    put_range(&store, model, 0, FLUSH);
    commit(&store);
    check_view(store.table, model);
    assert_in_range(value_count(&store, 1), 1, 3); /* exact rows, codes, directory */
    store_remove(&store);
    free(model);
}

static void test_dropped_index(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = model_new();
    struct store store;
    store_make(&store, &format);
    begin(&store);
    put_range(&store, model, 0, 4 * FLUSH);
    commit(&store);
    tq_table_close(store.table);
    begin(&store);
    OK(tq_table_drop(store.conn, "docs"));
    OK(tq_table_create(store.conn, store.env, "docs", &format, ""));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    memset(model, 0, sizeof *model);
    check_view(store.table, model);
    assert_true(value_count(&store, 1) > 0);
    for (int i = 0; i < 3; i++) {
        begin(&store);
        put_range(&store, model, i * FLUSH, (i + 1) * FLUSH);
        commit(&store);
    }
    assert_int_equal(value_count(&store, 1), 0);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* ---- Folders ---- */

static void copy_file(const char *from, const char *to) {
    char buffer[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_true(in != NULL && out != NULL);
    size_t got = 0;
    while ((got = fread(buffer, 1, sizeof buffer, in)) > 0) assert_int_equal(fwrite(buffer, 1, got, out), got);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void copy_data(const struct store *store, const char *to, bool back) {
    char data[400];
    (void)snprintf(data, sizeof data, "%s/data.mdb", store->folder);
    if (back)
        copy_file(to, data);
    else
        copy_file(data, to);
}

static void bulk(struct store *store, struct model *model, int64_t first) {
    begin(store);
    put_range(store, model, first, first + 2 * FLUSH);
    commit(store);
}

static void test_wrong_folders(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = model_new(), scratch = {0};
    struct store store, other;
    char older[300], newer[300];
    store_make(&store, &format);
    store_make(&other, &format);
    (void)snprintf(older, sizeof older, "%s/older.mdb", store.dir);
    (void)snprintf(newer, sizeof newer, "%s/newer.mdb", store.dir);
    struct tq_table *table = NULL;
    FAILS(tq_table_open(store.conn, other.env, "docs", &table), TQ_FORMAT);
    assert_non_null(strstr(tq_message(), "belongs to another database"));
    bulk(&store, model, 0);
    store_close(&store);
    copy_data(&store, older, false);
    store_open(&store, 0);
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    bulk(&store, model, 1000);
    bulk(&store, model, 2000);
    store_close(&store);
    copy_data(&store, newer, false);
    copy_data(&store, older, true);
    store_open(&store, 0);
    FAILS(tq_table_open(store.conn, store.env, "docs", &table), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "2 flushes behind"));
    store_close(&store);
    copy_data(&store, newer, true);
    store_open(&store, 0);
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    check_view(store.table, model);
    store_close(&store);

    /* Both go on from the same point, separately: the folder of one beside the catalog of the other. */
    char db[300];
    (void)snprintf(db, sizeof db, "%s/copy.db", store.dir);
    copy_file(store.db, db);
    store_open(&store, 0);
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    scratch = *model;
    bulk(&store, &scratch, 3000);
    store_close(&store);
    copy_file(db, store.db);
    char wal[400];
    (void)snprintf(wal, sizeof wal, "%s-wal", store.db);
    (void)unlink(wal);
    copy_data(&store, older, false);
    copy_data(&store, newer, true);
    store_open(&store, 0);
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    bulk(&store, model, 4000);
    store_close(&store);
    copy_data(&store, older, true);
    store_open(&store, 0);
    FAILS(tq_table_open(store.conn, store.env, "docs", &store.table), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "changed separately"));
    store_remove(&store);
    store_remove(&other);
    free(model);
}

/* ---- Corruption, processes, space ---- */

static void test_corrupt_log(void **state) {
    (void)state;
    struct tq_format format = format_of(64, 4, TQ_ROWS_F32, TQ_COSINE);
    struct model *model = model_new();
    struct store store;
    struct tq_view view;
    store_make(&store, &format);
    begin(&store);
    put_range(&store, model, 0, 9);
    commit(&store);
    begin(&store);
    OK(tq_conn_exec(store.conn, "UPDATE docs_log SET rec = substr(rec, 1, 20) || x'5a' || substr(rec, 22)"
                                " WHERE seq = 5"));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    store_reopen(&store);
    FAILS(tq_table_view(store.table, &view), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "docs_log"));
    assert_non_null(strstr(tq_message(), "record 5"));
    begin(&store); /* another id in the same place is found out too */
    OK(tq_conn_exec(store.conn, "DELETE FROM docs_log WHERE seq = 5"));
    OK(tq_conn_exec(store.conn, "UPDATE docs_log SET id = 77 WHERE seq = 6"));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    FAILS(tq_table_view(store.table, &view), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "record 6"));
    store_remove(&store);
    free(model);
}

/* The same seq again, with another record: a reader that has cached the first must notice. */
static void test_replaced_log(void **state) {
    (void)state;
    struct tq_format format = format_of(64, 4, TQ_ROWS_F32, TQ_COSINE);
    struct model *model = model_new();
    struct store store, reader;
    store_make(&store, &format);
    begin(&store);
    put_range(&store, model, 0, 5);
    commit(&store);
    store_join(&reader, &store);
    check_view(reader.table, model);
    begin(&store);
    OK(tq_conn_exec(store.conn, "DELETE FROM docs_log WHERE seq = 5"));
    OK(tq_conn_exec(store.conn, "DELETE FROM docs_rows WHERE id = 4"));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    tq_table_rolled_back(store.table);
    model->generation[4] = 0;
    model->live--;
    begin(&store);
    put(&store, model, 9, 3);
    commit(&store);
    check_view(reader.table, model);
    store_close(&reader);
    store_remove(&store);
    free(model);
}

/* With a rollback journal the power may take back the last commit, whose values the next transaction may be deleting by
 * then. That commit has flushed and merged, so its own changes came one after another. */
static void test_power_takes_one_back(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = model_new(), *before = model_new();
    struct store store;
    char kept[400];
    store_make(&store, &format);
    OK(tq_conn_exec(store.conn, "PRAGMA journal_mode=DELETE"));
    for (int64_t part = 0; part < 3; part++) {
        begin(&store);
        put_range(&store, model, part * FLUSH, (part + 1) * FLUSH);
        commit(&store);
    }
    begin(&store);
    OK(tq_table_optimize(store.table)); /* what it replaces, the transaction below deletes after it has replaced more */
    commit(&store);
    begin(&store);
    put_range(&store, model, 3 * FLUSH, 4 * FLUSH);
    commit(&store);
    *before = *model;
    store_close(&store);
    (void)snprintf(kept, sizeof kept, "%s.kept", store.db);
    copy_file(store.db, kept);
    store_open(&store, 0);
    OK(tq_conn_exec(store.conn, "PRAGMA journal_mode=DELETE"));
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    begin(&store);
    for (int64_t id = 0; id < 2 * FLUSH; id += 2) delete (&store, model, id);
    put_range(&store, model, 1000, 1000 + 2 * FLUSH);
    OK(tq_table_optimize(store.table));
    commit(&store);
    begin(&store);
    put_range(&store, model, 2000, 2000 + FLUSH);
    OK(tq_table_sync(store.table));
    OK(tq_table_optimize(store.table)); /* the folder has changed, the database has not */
    rollback(&store);
    store_close(&store);
    copy_file(kept, store.db);
    store_open(&store, 0);
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    check_view(store.table, before);
    store_remove(&store);
    free(before);
    free(model);
}

/* The log is never copied to its end, because the next reader has come before the last one goes. */
static void test_readers_in_turn(void **state) {
    (void)state;
    enum { ROUNDS = 12, ROWS = 5 * FLUSH };
    struct tq_format format = with_exact();
    struct model *model = model_new(), *seen = model_new();
    struct store writer, readers[2];
    uint64_t most = 0, last = 0;
    store_make(&writer, &format);
    store_join(&readers[0], &writer);
    store_join(&readers[1], &writer);
    OK(tq_conn_exec(writer.conn, "PRAGMA synchronous=NORMAL"));
    OK(tq_conn_exec(readers[1].conn, "BEGIN"));
    for (int round = 0; round < ROUNDS; round++) {
        struct store *reader = &readers[round % 2];
        OK(tq_conn_exec(reader->conn, "BEGIN"));
        check_view(reader->table, model);
        *seen = *model;
        OK(tq_conn_exec(readers[1 - round % 2].conn, "COMMIT"));
        for (int64_t i = 0; i < ROWS; i++) {
            begin(&writer);
            if (round > 0) delete (&writer, model, (round - 1) * ROWS + i);
            put(&writer, model, round * ROWS + i, 1);
            commit(&writer);
        }
        check_view(reader->table, seen);
        tq_table_release(reader->table);
        last = value_count(&writer, 1);
        if (round < ROUNDS / 2 && last > most) most = last;
    }
    assert_in_range(last, 1, most + most / 4);
    OK(tq_conn_exec(readers[1].conn, "COMMIT"));
    store_close(&readers[1]);
    store_close(&readers[0]);
    store_remove(&writer);
    free(seen);
    free(model);
}

static void child_writes(const struct store *parent, int64_t first) {
    struct store store;
    struct model *model = model_new();
    store_join(&store, parent);
    for (int64_t id = first; id < first + 300; id++) {
        begin(&store);
        put(&store, model, id, 1);
        commit(&store);
    }
    store_close(&store);
    free(model);
}

static void test_two_processes(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = model_new();
    struct store store;
    pid_t children[2];
    store_make(&store, &format);
    store_close(&store);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            child_writes(&store, 1000 * i);
            _exit(0);
        }
    }
    for (int i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
        for (int64_t id = 1000 * i; id < 1000 * i + 300; id++) model->generation[id] = 1;
    }
    model->live = 600;
    store_open(&store, 0);
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* Rows come and go; the folder holds them, what is being replaced, and not much more. */
static void test_space_is_bounded(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = model_new();
    struct store store;
    uint64_t file_bytes = 0, free_bytes = 0;
    store_make(&store, &format);
    for (int i = 0; i < 2000;) {
        begin(&store);
        for (int end = i + 20; i < end; i++) {
            int64_t id = tq_rng_below(7, 1, (uint64_t)i, 600);
            if (model->generation[id] != 0)
                delete (&store, model, id);
            else
                put(&store, model, id, (uint32_t)i + 1);
        }
        commit(&store);
    }
    check_view(store.table, model);
    OK(tq_env_size(store.env, &file_bytes, &free_bytes));
    double row = tq_format_code_bytes_row(&format) + format.exact_bytes;
    assert_true((double)(file_bytes - free_bytes) < 6 * 600 * row + (16 << 20));
    assert_true((double)file_bytes < 8 * 600 * row + (24 << 20));
    store_remove(&store);
    free(model);
}

/* ---- Memory ---- */

/* Rows, a savepoint undone, a bulk, dead rows, flush and merge: TQ_OK or TQ_NOMEM. */
static enum tq_status try_everything(struct store *store, struct model *model, struct fake *fake, int64_t first) {
    const struct tq_format *format = tq_table_format(store->table);
    struct tq_view view;
    for (int64_t id = first; id < first + 3 * FLUSH; id++) {
        if (id == first + 20) TQ_TRY(tq_table_delete(store->table, first + 3));
        TQ_TRY(tq_table_put(store->table, id, fake_row(fake, format, id, 1)));
        model->generation[id] = 1;
        if (id == first + 2 * FLUSH) TQ_TRY(tq_table_view(store->table, &view));
    }
    model->generation[first + 3] = 0;
    model->live += 3 * FLUSH - 1;
    TQ_TRY(tq_table_optimize(store->table));
    return tq_table_sync(store->table);
}

static void test_no_memory(void **state) {
    (void)state;
    struct tq_format format = format_of(4096, 1, TQ_ROWS_F16, TQ_COSINE);
    struct model *model = model_new(), *next = model_new();
    struct store store;
    struct fake fake;
    store_make(&store, &format);
    fake_init(&fake, &format);
    begin(&store);
    put_range(&store, model, 20000, 20000 + 2 * FLUSH);
    commit(&store);
    enum tq_status status = TQ_NOMEM;
    for (long n = 1; status != TQ_OK; n += 1 + n / 8) {
        assert_true(n < 100000);
        store_reopen(&store);
        *next = *model;
        begin(&store);
        tq_alloc_fail_after(n);
        status = try_everything(&store, next, &fake, 0);
        tq_alloc_fail_after(0);
        if (status == TQ_OK) break;
        assert_int_equal(status, TQ_NOMEM);
        rollback(&store);
        check_view(store.table, model);
    }
    OK(tq_conn_exec(store.conn, "COMMIT"));
    tq_table_committed(store.table);
    check_view(store.table, next);
    fake_clear(&fake);
    store_remove(&store);
    free(model);
    free(next);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_snapshot),    cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_dropped_index),   cmocka_unit_test(test_wrong_folders),
        cmocka_unit_test(test_corrupt_log),     cmocka_unit_test(test_replaced_log),
        cmocka_unit_test(test_readers_in_turn), cmocka_unit_test(test_power_takes_one_back),
        cmocka_unit_test(test_two_processes),   cmocka_unit_test(test_space_is_bounded),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
