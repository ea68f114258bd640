/* What kill.py kills, and what it checks afterwards.
 *
 *   crash_work work DIR VARIANT          transaction after transaction; the number of each is printed once committed
 *   crash_work full DIR FLAG             the folder's disk is full while FLAG exists: commits go on, in the log
 *   crash_work check DIR VARIANT ACKED   the store holds exactly the first ACKED transactions, or one more; then it
 *                                        is written to again, flushed, merged, and nothing is left behind
 *
 * A transaction is a function of its number, so the checker knows what must be there. */
#include "tests/unit/table_util.h"

#define SINGLES 140
#define BULKS 9
#define TRANSACTIONS (SINGLES + BULKS + 30)

static struct tq_format format_for(int variant) {
    return variant == 0 ? format_of(32768, 1, TQ_ROWS_NONE, TQ_COSINE) : format_of(8192, 1, TQ_ROWS_F16, TQ_L2);
}

/* Apply transaction `number` to the model, and to the store if there is one. */
static void one(struct store *store, struct model *model, int number, int64_t id) {
    uint32_t generation = (uint32_t)number + 1;
    if (model->generation[id] != 0) {
        if (store != NULL) OK(tq_table_delete(store->table, id));
        model->generation[id] = 0;
        model->live--;
        return;
    }
    if (store != NULL) {
        put(store, model, id, generation);
        return;
    }
    model->generation[id] = generation;
    model->live++;
}

static void apply(struct store *store, struct model *model, int number, uint32_t flush_rows) {
    if (number < SINGLES) {
        one(store, model, number, number);
        if (number % 9 == 8) one(store, model, number, number - 5);
    } else if (number < SINGLES + BULKS) {
        int64_t first = 1000 + (number - SINGLES) * 1000;
        for (uint32_t i = 0; i < flush_rows + 2; i++) one(store, model, number, first + i);
    } else if (number % 10 == 5) { /* a third of a bulk's rows, and all of a flush's */
        for (int64_t id = 1000; id < 1000 + flush_rows; id += 3) one(store, model, number, id);
        for (int64_t id = 0; id < 60; id++) one(store, model, number, id);
    } else if (number % 10 != 9) {
        one(store, model, number, 20000 + number);
    }
    if (number >= SINGLES + BULKS && number % 10 == 9 && store != NULL) OK(tq_table_optimize(store->table));
}

static void open_or_make(struct store *store, const char *dir, const struct tq_format *format) {
    bool exists = false;
    memset(store, 0, sizeof *store);
    (void)snprintf(store->dir, sizeof store->dir, "%s", dir);
    store_paths(store);
    store_open(store, TQ_OPEN_CREATE);
    begin(store);
    OK(tq_table_exists(store->conn, "docs", &exists));
    if (!exists) OK(tq_table_create(store->conn, store->env, "docs", format, ""));
    OK(tq_conn_exec(store->conn, "COMMIT"));
    OK(tq_table_open(store->conn, store->env, "docs", &store->table));
}

static void work(const char *dir, int variant) {
    struct tq_format format = format_for(variant);
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    open_or_make(&store, dir, &format);
    for (int number = 0; number < TRANSACTIONS; number++) {
        begin(&store);
        apply(&store, model, number, tq_segment_flush_rows(&format));
        commit(&store);
        char text[32];
        int size = snprintf(text, sizeof text, "%d\n", number + 1);
        if (write(1, text, (size_t)size) != size) exit(3);
    }
    store_close(&store);
    free(model);
}

static void fill(const char *dir, const char *flag) {
    struct tq_format format = format_for(0);
    struct model *model = calloc(1, sizeof *model);
    uint32_t flush_rows = tq_segment_flush_rows(&format);
    struct store store;
    struct fake fake;
    fake_init(&fake, &format);
    open_or_make(&store, dir, &format);
    (void)fclose(fopen(flag, "w"));
    for (int64_t id = 0; id < 16 * flush_rows; id++) {
        begin(&store);
        put(&store, model, id, 1);
        commit(&store); /* succeeds, though no flush does */
    }
    begin(&store);
    FAILS(tq_table_put(store.table, 9999, fake_row(&fake, &format, 9999, 1)), TQ_FULL);
    rollback(&store);
    check_view(store.table, model);
    (void)unlink(flag);
    begin(&store);
    put(&store, model, 9999, 1);
    commit(&store);
    check_view(store.table, model);
    struct tq_view view;
    OK(tq_table_view(store.table, &view));
    if (view.log_rows >= flush_rows) exit(4);
    store_close(&store);
    fake_clear(&fake);
    free(model);
}

/* After two optimizations only what the segments refer to may be in the folder. */
static void check_nothing_left(struct store *store) {
    struct tq_view view;
    size_t values = 0, used = 0;
    uint32_t index = 1; /* 2 where the first creation was killed: numbers are not given out twice */
    for (int i = 0; i < 2; i++) {
        begin(store);
        OK(tq_table_optimize(store->table));
        commit(store);
    }
    OK(tq_table_view(store->table, &view));
    for (size_t i = 0; i < view.count; i++) {
        size_t exact = 0;
        uint64_t key;
        used += tq_segment_keys(view.segments[i].segment, &key, 1, NULL, 0, &exact);
        index = (uint32_t)(key >> 40);
        used += exact;
        OK(tq_segment_check(view.segments[i].segment));
    }
    OK(tq_env_keys_above(store->env, index, 0, NULL, 0, &values));
    assert_int_equal(values, used);
}

static char *check_dir;
static int check_variant, check_acked;

static void test_check(void **state) {
    (void)state;
    struct tq_format format = format_for(check_variant);
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    struct tq_view view;
    open_or_make(&store, check_dir, &format);
    OK(tq_table_view(store.table, &view));
    for (int number = 0; number < check_acked; number++) apply(NULL, model, number, tq_segment_flush_rows(&format));
    /* The transaction in flight may have made it, or not; its last row tells. */
    struct model *after = calloc(1, sizeof *after);
    *after = *model;
    if (check_acked < TRANSACTIONS) apply(NULL, after, check_acked, tq_segment_flush_rows(&format));
    if (view.live != model->live || view.live == after->live) {
        for (int64_t id = MODEL_IDS - 1; id >= 0; id--) {
            struct tq_view_segment segment;
            uint32_t row = 0;
            if (model->generation[id] == after->generation[id]) continue;
            bool there = tq_table_find(store.table, id, &segment, &row) == TQ_OK;
            if (there == (after->generation[id] != 0)) *model = *after;
            break;
        }
    }
    check_view(store.table, model);
    for (int64_t id = 0; id < 12000; id += 37) check_find(store.table, model, id);
    begin(&store);
    put_range(&store, model, 30000, 30000 + tq_segment_flush_rows(&format));
    commit(&store);
    check_view(store.table, model);
    check_nothing_left(&store);
    check_view(store.table, model);
    store_close(&store);
    free(model);
    free(after);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "work") == 0) {
        work(argv[2], atoi(argv[3]));
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "full") == 0) {
        fill(argv[2], argv[3]);
        return 0;
    }
    if (argc != 5 || strcmp(argv[1], "check") != 0) return 2;
    check_dir = argv[2];
    check_variant = atoi(argv[3]);
    check_acked = atoi(argv[4]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
