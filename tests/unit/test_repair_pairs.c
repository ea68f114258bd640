/* Catalog and folder of different times: what a repair makes of them and what its ROLLBACK leaves; and values of
 * numbers that no catalog names, which are deleted when they are certainly nobody's. */
#include "tests/unit/table_util.h"

#include "storage/repair.h"

#define FLUSH 127 /* rows a flush of with_exact() */

static struct tq_format with_exact(void) { return format_of(4096, 2, TQ_ROWS_F16, TQ_L2); }

static uint64_t value_count(struct store *store, uint32_t index) {
    size_t count = 0;
    OK(tq_env_keys_above(store->env, index, 0, NULL, 0, &count));
    return count;
}

static void copy(const struct store *store, const char *from, const char *to) {
    char command[1000];
    (void)snprintf(command, sizeof command, "cd '%s' && rm -rf %s && cp -r %s %s", store->dir, to, from, to);
    assert_int_equal(system(command), 0);
}

static void open_again(struct store *store) {
    store_open(store, 0);
    OK(tq_table_open(store->conn, store->env, "docs", &store->table));
}

static void bulk(struct store *store, struct model *model, int64_t first) {
    begin(store);
    put_range(store, model, first, first + 2 * FLUSH);
    commit(store);
}

/* ---- Repair ---- */

static enum tq_status no_codes(void *context, const struct tq_format *format, const void *exact, struct tq_row *row) {
    (void)context;
    (void)format;
    (void)exact;
    (void)row;
    return tq_fail(TQ_MISUSE, "nothing here is damaged");
}

static enum tq_status forget_lost(void *context, int64_t id, uint32_t vector, const char *why) {
    struct model *model = context;
    (void)vector;
    assert_int_not_equal(strlen(why), 0);
    assert_int_not_equal(model->generation[id], 0);
    model->generation[id] = 0;
    model->live--;
    return TQ_OK;
}

static void ignore_note(void *context, const char *text) {
    (void)context;
    assert_int_not_equal(strlen(text), 0);
}

/* Inside a transaction. */
static enum tq_status repair(struct store *store, enum tq_repair_how how, struct model *model) {
    struct tq_repair_task task = {.conn = store->conn,
                                  .env = store->env,
                                  .name = "docs",
                                  .how = how,
                                  .vectors = 1,
                                  .encode = no_codes,
                                  .lost = forget_lost,
                                  .note = ignore_note,
                                  .context = model};
    return tq_table_repair(&task);
}

static void check_refused(struct store *store, const char *part) {
    struct tq_table *table = NULL;
    FAILS(tq_table_open(store->conn, store->env, "docs", &table), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), part));
    assert_non_null(strstr(tq_message(), store->folder));
    assert_non_null(strstr(tq_message(), store->db));
}

/* The folder holds what the one segment that is left refers to, and nothing else. */
static void check_all_is_used(struct store *store) {
    struct tq_view view;
    size_t exact = 0;
    OK(tq_table_view(store->table, &view));
    assert_int_equal(view.count, 1);
    size_t codes = tq_segment_keys(view.segments[0].segment, NULL, 0, NULL, 0, &exact);
    tq_table_release(store->table);
    assert_int_equal(value_count(store, 1), codes + exact);
}

/* A wrong pair is refused; still so after a repair that was rolled back; and sound after one that was not. */
static void mend(struct store *store, const char *part, struct model *model) {
    struct model *scratch = malloc(sizeof *scratch);
    assert_non_null(scratch);
    store_open(store, 0);
    check_refused(store, part);
    for (int i = 0; i < 2; i++) {
        *scratch = *model;
        begin(store);
        OK(repair(store, TQ_REPAIR_SALVAGE, scratch));
        OK(tq_conn_exec(store->conn, "ROLLBACK"));
        check_refused(store, "restore both from one backup"); /* by now perhaps for another reason */
    }
    begin(store);
    OK(repair(store, TQ_REPAIR_SALVAGE, model));
    OK(tq_conn_exec(store->conn, "COMMIT"));
    OK(tq_table_open(store->conn, store->env, "docs", &store->table));
    check_view(store->table, model);
    bulk(store, model, 9000);
    store_reopen(store);
    check_view(store->table, model);
    for (int i = 0; i < 3; i++) {
        begin(store);
        OK(tq_table_optimize(store->table));
        commit(store);
    }
    check_view(store->table, model);
    check_all_is_used(store);
    free(scratch);
}

/* A bit of the first exact chunk: of rows that both sides of what follows have. */
static void damage(const struct store *store) {
    char path[400];
    uint8_t page[4096];
    (void)snprintf(path, sizeof path, "%s/data.mdb", store->folder);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    long at = 0;
    uint64_t serial = 0;
    while (serial != 1 && fread(page, 1, sizeof page, file) == sizeof page) {
        if (memcmp(page + 16, "tqchunk", 8) == 0 && page[16 + 40] == 2) memcpy(&serial, page + 16 + 24, sizeof serial);
        if (serial != 1) at += (long)sizeof page;
    }
    assert_int_equal(serial, 1);
    assert_int_equal(fseek(file, at + 3 * 4096 + 5, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at + 3 * 4096 + 5, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte ^ 1, file), EOF);
    assert_int_equal(fclose(file), 0);
}

/* The folder is that of an earlier time, by one flush, and by two. */
static void folder_behind(int flushes) {
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    store_make(&store, &format);
    bulk(&store, model, 0);
    store_close(&store);
    copy(&store, "vectors", "older");
    open_again(&store);
    for (int i = 1; i <= flushes; i++) bulk(&store, model, 1000 * i);
    store_close(&store);
    copy(&store, "older", "vectors");
    damage(&store);
    mend(&store, flushes == 1 ? "1 flush behind" : "2 flushes behind", model);
    store_remove(&store);
    free(model);
}

static void test_folder_behind(void **state) {
    (void)state;
    folder_behind(1);
    folder_behind(2);
}

/* Both went on from the same point: the folder of one, so many flushes further, beside the catalog of the other.
 * Salvage writes to the folder only where a segment is damaged. */
static void diverged(int flushes) {
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model), *other = calloc(1, sizeof *other);
    struct store store;
    store_make(&store, &format);
    bulk(&store, model, 0);
    store_close(&store);
    copy(&store, "catalog.db", "before.db");
    copy(&store, "vectors", "before");
    *other = *model;
    open_again(&store);
    for (int i = 1; i <= flushes; i++) bulk(&store, other, 1000 * i);
    store_close(&store);
    copy(&store, "vectors", "others");
    copy(&store, "before.db", "catalog.db");
    copy(&store, "before", "vectors");
    open_again(&store);
    bulk(&store, model, 5000);
    store_close(&store);
    copy(&store, "others", "vectors");
    damage(&store);
    mend(&store, "changed separately after flush", model);
    store_remove(&store);
    free(model);
    free(other);
}

static void test_diverged(void **state) {
    (void)state;
    diverged(1);
    diverged(2);
}

/* A folder that is older by a flush which wrote nothing that is needed may be adopted; one that lacks something not. */
static void test_adopt_folder(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    store_make(&store, &format);
    bulk(&store, model, 0);
    store_close(&store);
    copy(&store, "vectors", "first");
    open_again(&store);
    bulk(&store, model, 1000);
    begin(&store);
    OK(tq_table_optimize(store.table));
    commit(&store);
    store_close(&store);
    copy(&store, "vectors", "merged");
    open_again(&store);
    begin(&store);
    OK(tq_table_optimize(store.table)); /* deletes what the merge has replaced */
    commit(&store);
    store_close(&store);

    copy(&store, "first", "vectors");
    store_open(&store, 0);
    check_refused(&store, "flushes behind");
    begin(&store);
    FAILS(repair(&store, TQ_REPAIR_ADOPT_FOLDER, model), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "1 of 1 segments of part 0, up to 508 vectors, are not in folder"));
    OK(tq_conn_exec(store.conn, "ROLLBACK"));
    store_close(&store);

    copy(&store, "merged", "vectors");
    store_open(&store, 0);
    check_refused(&store, "1 flush behind");
    begin(&store);
    OK(repair(&store, TQ_REPAIR_ADOPT_FOLDER, model));
    OK(tq_conn_exec(store.conn, "ROLLBACK"));
    check_refused(&store, "1 flush behind");
    begin(&store);
    OK(repair(&store, TQ_REPAIR_ADOPT_FOLDER, model));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    OK(tq_table_open(store.conn, store.env, "docs", &store.table));
    check_view(store.table, model);
    bulk(&store, model, 2000);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* Damage in the catalog itself: a segment's dead rows, a del and a put of the log. */
static void test_catalog(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    struct tq_view view;
    store_make(&store, &format);
    bulk(&store, model, 0);
    begin(&store);
    for (int64_t id = 5; id < 9; id++) delete (&store, model, id);
    OK(tq_table_optimize(store.table));
    commit(&store);
    begin(&store);
    put_range(&store, model, 500, 510);
    delete (&store, model, 20);
    commit(&store);
    begin(&store);
    OK(tq_conn_exec(store.conn, "UPDATE docs_seg SET dead = dead + 1"));
    OK(tq_conn_exec(store.conn, "UPDATE docs_log SET rec = x'00' WHERE op = 2"));
    OK(tq_conn_exec(store.conn, "UPDATE docs_log SET id = 77 WHERE id = 505"));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    store_reopen(&store);
    FAILS(tq_table_view(store.table, &view), TQ_CORRUPT);
    begin(&store);
    OK(repair(&store, TQ_REPAIR_SALVAGE, model)); /* forgets 505 */
    OK(tq_conn_exec(store.conn, "COMMIT"));
    assert_int_equal(model->generation[505], 0);
    assert_int_equal(model->live, 2 * FLUSH - 5 + 9);
    store_reopen(&store);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* An environment without locks is nobody's to write beside. */
static void test_immutable(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    struct tq_env *env = NULL, *second = NULL;
    store_make(&store, &format);
    bulk(&store, model, 0);
    store_close(&store);
    OK(tq_env_open(store.folder, TQ_OPEN_READONLY | TQ_ENV_IMMUTABLE, true, &env));
    FAILS(tq_env_open(store.folder, 0, true, &second), TQ_BUSY);
    FAILS(tq_env_open(store.folder, TQ_OPEN_READONLY, true, &second), TQ_BUSY);
    assert_non_null(strstr(tq_message(), "without locks"));
    OK(tq_conn_open(store.db, 0, &store.conn));
    OK(tq_table_open(store.conn, env, "docs", &store.table));
    check_view(store.table, model);
    store.env = env;
    store_remove(&store);
    free(model);
}

/* ---- Values that nobody names ---- */

static void make_table(struct store *store, const char *name, bool rows, const char *end) {
    struct tq_table *table = NULL, *own = store->table;
    struct model *model = calloc(1, sizeof *model);
    begin(store);
    OK(tq_table_create(store->conn, store->env, name, tq_table_format(own), ""));
    OK(tq_table_open(store->conn, store->env, name, &table));
    store->table = table;
    if (rows) put_range(store, model, 0, 2 * FLUSH);
    OK(tq_table_sync(table));
    OK(tq_conn_exec(store->conn, end));
    tq_table_close(table);
    store->table = own;
    free(model);
}

static void sweep(struct store *store) {
    for (int i = 0; i < 3; i++) {
        begin(store);
        OK(tq_table_optimize(store->table));
        OK(tq_table_sweep(store->table));
        commit(store);
    }
}

static void test_sweep(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    store_make(&store, &format); /* number 1 */
    bulk(&store, model, 0);
    make_table(&store, "more", true, "ROLLBACK"); /* number 2 */
    uint64_t left = value_count(&store, 2);
    assert_in_range(left, 3, 100);
    sweep(&store);
    assert_int_equal(value_count(&store, 2), left); /* the largest number may be that of a newer catalog */
    make_table(&store, "more", true, "COMMIT");     /* number 3 */
    uint64_t others = value_count(&store, 3);
    sweep(&store);
    assert_int_equal(value_count(&store, 2), 0);
    assert_int_equal(value_count(&store, 3), others);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* What an old snapshot may still be reading of a table that was dropped goes no sooner than ever. */
static void test_sweep_and_readers(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model);
    struct store store, reader;
    store_make(&store, &format);
    make_table(&store, "more", true, "COMMIT"); /* number 2 */
    make_table(&store, "last", false, "COMMIT");
    store_join(&reader, &store);
    struct tq_view view;
    OK(tq_conn_exec(reader.conn, "BEGIN"));
    tq_table_close(reader.table);
    OK(tq_table_open(reader.conn, reader.env, "more", &reader.table));
    OK(tq_table_view(reader.table, &view));
    uint64_t kept = value_count(&store, 2);
    begin(&store);
    OK(tq_table_drop(store.conn, "more"));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    bulk(&store, model, 0); /* lists them, and the number is named no more */
    sweep(&store);
    assert_int_equal(value_count(&store, 2), kept);
    tq_table_release(reader.table);
    OK(tq_table_view(reader.table, &view));
    for (size_t i = 0; i < view.count; i++) OK(tq_segment_check(view.segments[i].segment));
    tq_table_release(reader.table);
    OK(tq_conn_exec(reader.conn, "COMMIT"));
    store_close(&reader);
    sweep(&store);
    assert_int_equal(value_count(&store, 2), 0);
    store_remove(&store);
    free(model);
}

static void check_table(struct store *store, const char *name, uint64_t rows) {
    struct tq_table *table = NULL;
    struct tq_view view;
    OK(tq_table_open(store->conn, store->env, name, &table));
    OK(tq_table_view(table, &view));
    assert_int_equal(view.live, rows);
    for (size_t i = 0; i < view.count; i++) OK(tq_segment_check(view.segments[i].segment));
    tq_table_close(table);
}

/* An older catalog, in step with the folder in all that it knows of, must not delete what a newer one has made. */
static void test_older_catalog(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    store_make(&store, &format);
    bulk(&store, model, 0);
    store_close(&store);
    copy(&store, "catalog.db", "older.db");
    open_again(&store);
    make_table(&store, "more", true, "COMMIT");
    store_close(&store);
    copy(&store, "catalog.db", "newer.db");
    copy(&store, "older.db", "catalog.db");
    open_again(&store);
    sweep(&store);
    bulk(&store, model, 1000);
    sweep(&store);
    assert_true(value_count(&store, 2) > 0);
    check_view(store.table, model);
    store_close(&store);
    copy(&store, "newer.db", "catalog.db");
    store_open(&store, 0);
    check_table(&store, "more", 2 * FLUSH);
    store_remove(&store);
    free(model);
}

/* Nor if it has gone on to make tables of its own: the newer one has written twice, so it has committed once. */
static void test_older_catalog_that_goes_on(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model), *more = calloc(1, sizeof *more);
    struct store store;
    store_make(&store, &format);
    store_close(&store);
    copy(&store, "catalog.db", "older.db");
    open_again(&store);
    make_table(&store, "more", true, "COMMIT");
    tq_table_close(store.table);
    OK(tq_table_open(store.conn, store.env, "more", &store.table));
    bulk(&store, more, 3000);
    store_close(&store);
    copy(&store, "catalog.db", "newer.db");
    copy(&store, "older.db", "catalog.db");
    open_again(&store);
    make_table(&store, "mine", true, "COMMIT");
    sweep(&store);
    store_close(&store);
    copy(&store, "newer.db", "catalog.db");
    store_open(&store, 0);
    check_table(&store, "more", 4 * FLUSH);
    store_remove(&store);
    free(model);
    free(more);
}

/* As long as one table is not in step with the folder, nothing is swept. */
static void test_out_of_step(void **state) {
    (void)state;
    struct tq_format format = with_exact();
    struct model *model = calloc(1, sizeof *model), *other = calloc(1, sizeof *other);
    struct store store, third;
    store_make(&store, &format);
    make_table(&store, "more", true, "ROLLBACK"); /* number 2 */
    make_table(&store, "third", true, "COMMIT");  /* number 3 */
    store_join(&third, &store);
    tq_table_close(third.table);
    OK(tq_table_open(third.conn, third.env, "third", &third.table));
    begin(&third);
    put_range(&third, other, 1000, 1000 + 2 * FLUSH);
    OK(tq_table_sync(third.table));
    rollback(&third); /* one step ahead: perhaps another copy of the catalog has committed it */
    sweep(&store);
    assert_true(value_count(&store, 2) > 0);
    bulk(&third, other, 2000);
    sweep(&store);
    assert_int_equal(value_count(&store, 2), 0);
    store_close(&third);
    store_remove(&store);
    free(model);
    free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder_behind), cmocka_unit_test(test_diverged),
        cmocka_unit_test(test_adopt_folder),  cmocka_unit_test(test_catalog),
        cmocka_unit_test(test_sweep),         cmocka_unit_test(test_sweep_and_readers),
        cmocka_unit_test(test_older_catalog), cmocka_unit_test(test_older_catalog_that_goes_on),
        cmocka_unit_test(test_out_of_step),   cmocka_unit_test(test_immutable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
