/* SQLite ends a transaction by itself when it gets no memory in the middle of it. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "src/tq.h"
#include "tests/unit/table_util.h"

#define INDEXES 4
#define DIM 2000
#define ROWS 100 /* of each index */

static tq_store *db;
static tq_index *indexes[INDEXES];
static float vector[DIM];

/* The first failure of the rows from `first` on, or TQ_OK. */
static enum tq_status put_rows(int64_t first) {
    for (int64_t id = first; id < first + ROWS; id++) {
        for (int which = 0; which < INDEXES; which++) {
            vector[id % DIM] = (float)id;
            enum tq_status status = tq_put(indexes[which], id, vector);
            if (status != TQ_OK) return status;
        }
    }
    return TQ_OK;
}

static uint64_t rows_of(int which) {
    struct tq_index_info info;
    OK(tq_index_get_info(indexes[which], &info));
    return info.rows;
}

static void test_nothing_is_written_after_it_was_lost(void **state) {
    (void)state;
    char dir[] = "/tmp/tq_lost_XXXXXX", path[64];
    struct tq_index_options options = tq_index_defaults(DIM);
    options.rows = TQ_ROWS_F16;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/store", dir);
    OK(tq_open(path, TQ_OPEN_CREATE, &db));
    for (int which = 0; which < INDEXES; which++) {
        char name[] = "index0";
        name[5] = (char)('0' + which);
        OK(tq_index_create(db, name, &options, &indexes[which]));
        OK(tq_put(indexes[which], 0, vector));
    }
    OK(tq_begin(db));
    (void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + 50000);
    FAILS(put_rows(1), TQ_NOMEM);
    (void)sqlite3_hard_heap_limit64(0);
    for (int which = 0; which < INDEXES; which++) {
        FAILS(tq_put(indexes[which], 9999, vector), TQ_IO);
        assert_non_null(strstr(tq_message(), "tq_abort() ends it"));
    }
    FAILS(tq_commit(db), TQ_IO);
    for (int which = 0; which < INDEXES; which++) assert_int_equal(rows_of(which), 1);
    OK(tq_begin(db));
    OK(put_rows(1));
    OK(tq_commit(db));
    for (int which = 0; which < INDEXES; which++) {
        assert_int_equal(rows_of(which), ROWS + 1);
        tq_index_close(indexes[which]);
    }
    tq_close(db);
    remove_tree(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_is_written_after_it_was_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
