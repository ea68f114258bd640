/* Every number of the catalog that a search believes has a sum over it: a changed one is an error, whatever it says. */
#include "storage/conn_sql.h"
#include "tests/unit/reseal_store.h"
#include "tests/unit/table_util.h"

#define FLUSH 127 /* rows a flush */

static const char *const damages[] = {
    "UPDATE docs_state SET version = version + 1 WHERE part = 0",
    "UPDATE docs_state SET serial = serial - 1",
    "UPDATE docs_state SET flushes = flushes + 1",
    "UPDATE docs_state SET nonce = nonce + 2",
    "UPDATE docs_state SET next = next + 1",
    "UPDATE docs_state SET seq = seq + 1",
    "UPDATE docs_state SET number = number + 1",
    "UPDATE docs_state SET metric = 1 - metric % 2",
    "UPDATE docs_state SET seed = seed + 1",
    "UPDATE docs_state SET exact = 0",
    "UPDATE docs_state SET uuid = zeroblob(16)",
    "UPDATE docs_seg SET slot1 = slot1 + 1",
    "UPDATE docs_seg SET rows = rows - 1",
    "UPDATE docs_seg SET dead = dead - 1 WHERE dead > 0",
    "UPDATE docs_seg SET dir = dir + 1",
    "UPDATE docs_seg SET dir_sum = dir_sum + 1",
    "UPDATE docs_seg SET bits = x'09000a00' WHERE dead = 2", /* as many, but others */
    "UPDATE docs_log SET slot = slot - 1 WHERE op = 2",
    "UPDATE docs_log SET op = 1 WHERE op = 2",
    "UPDATE docs_log SET rec = NULL WHERE op = 2",
    "UPDATE docs_log SET op = 2 WHERE op = 1",
    "UPDATE docs_log SET id = id + 1 WHERE op = 1",
    "UPDATE docs_log SET seq = seq + 1000 WHERE op = 1",
};

static void fill(struct store *store, struct model *model, int64_t first, int64_t count) {
    for (int64_t id = first; id < first + count; id++) {
        begin(store);
        put(store, model, id, 1);
        commit(store);
    }
}

/* Segments, two dead rows in one of them, and a log with puts and dels. */
static void make_everything(struct store *store, struct model *model) {
    struct tq_format format = format_of(4096, 2, TQ_ROWS_F16, TQ_L2);
    store_make(store, &format);
    fill(store, model, 0, FLUSH);
    begin(store);
    delete (store, model, 3);
    delete (store, model, 5);
    commit(store);
    fill(store, model, FLUSH, FLUSH); /* folds the dels */
    begin(store);
    put_range(store, model, 300, 310);
    delete (store, model, 7);
    commit(store);
}

static int count_of(struct store *store, const char *sql) {
    const sqlite3_api_routines *sqlite3_api = store->conn->api;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->conn->db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int count = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    return count;
}

/* As a reader that has just come would see it; TQ_OK if nothing is amiss. */
static enum tq_status look(struct store *store) {
    struct tq_table *table = NULL;
    struct tq_view view;
    enum tq_status status = tq_table_open(store->conn, store->env, "docs", &table);
    if (status == TQ_OK) status = tq_table_view(table, &view);
    tq_table_close(table);
    return status;
}

static void test_every_number(void **state) {
    (void)state;
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    assert_non_null(model);
    make_everything(&store, model);
    assert_int_equal(count_of(&store, "SELECT count(*) FROM docs_seg WHERE dead = 2"), 1);
    OK(look(&store));
    for (size_t i = 0; i < TQ_COUNT(damages); i++) {
        OK(tq_conn_exec(store.conn, "BEGIN"));
        OK(tq_conn_exec(store.conn, damages[i]));
        if (count_of(&store, "SELECT changes()") == 0) fail_msg("%s: changes nothing", damages[i]);
        enum tq_status status = look(&store);
        if (status != TQ_CORRUPT && status != TQ_FORMAT) fail_msg("%s: %s", damages[i], tq_status_name(status));
        OK(tq_conn_exec(store.conn, "ROLLBACK"));
    }
    OK(look(&store));
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* A key that is wrong in the list of replaced values would delete one that is needed. */
static void test_list_of_replaced_values(void **state) {
    (void)state;
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    assert_non_null(model);
    make_everything(&store, model);
    begin(&store);
    OK(tq_conn_exec(store.conn, "INSERT INTO docs_gc SELECT 0, 1, CAST(x'' AS BLOB), 0"));
    OK(tq_conn_exec(store.conn, "UPDATE docs_gc SET keys = (SELECT x'0100000000010000')"));
    OK(tq_conn_exec(store.conn, "COMMIT"));
    store_reopen(&store);
    begin(&store);
    FAILS(tq_table_optimize(store.table), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "docs_gc"));
    OK(tq_conn_exec(store.conn, "ROLLBACK"));
    tq_table_rolled_back(store.table);
    fill(&store, model, 400, FLUSH); /* flushes go on without it */
    check_view(store.table, model);
    OK(tq_conn_exec(store.conn, "DELETE FROM docs_gc"));
    begin(&store);
    OK(tq_table_optimize(store.table));
    commit(&store);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* What the list of dropped indexes says is not believed of one that lives. */
static void test_dropped_number_that_lives(void **state) {
    (void)state;
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    assert_non_null(model);
    make_everything(&store, model);
    OK(tq_conn_exec(store.conn, "CREATE TABLE tqlite_dropped(number INTEGER PRIMARY KEY)"));
    OK(tq_conn_exec(store.conn, "INSERT INTO tqlite_dropped SELECT number FROM docs_state"));
    for (int i = 0; i < 3; i++) {
        begin(&store);
        OK(tq_table_optimize(store.table));
        commit(&store);
    }
    assert_int_equal(count_of(&store, "SELECT count(*) FROM tqlite_dropped"), 0);
    store_reopen(&store);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

/* The other tests that damage the catalog depend on it. */
static void test_reseal(void **state) {
    (void)state;
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    assert_non_null(model);
    make_everything(&store, model);
    OK(tq_conn_exec(store.conn, "UPDATE docs_state SET sum = 0, options_sum = 1"));
    OK(tq_conn_exec(store.conn, "UPDATE docs_seg SET sum = 0"));
    OK(tq_conn_exec(store.conn, "UPDATE docs_log SET rec = zeroblob(8) WHERE op = 2"));
    FAILS(look(&store), TQ_CORRUPT);
    assert_true(reseal_catalog(store.conn->db));
    OK(look(&store));
    store_reopen(&store);
    check_view(store.table, model);
    store_remove(&store);
    free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_list_of_replaced_values),
        cmocka_unit_test(test_dropped_number_that_lives),
        cmocka_unit_test(test_reseal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
