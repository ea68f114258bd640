/* Parts of a table: beside each other in shared tables, each against a model of its own. Here the test is the host
 * that keeps id -> slot. */
#include "tests/unit/table_util.h"

#include "storage/catalog_sql.h"
#include "storage/table_parts.h"
#include "tests/unit/reseal_store.h"

#define PARTS 4
#define IDS 700

static const uint32_t part_numbers[PARTS] = {0, 1, 77, TQ_PARTS_MAX - 1};

/* Different dimensions and kinds of rows; 255, 64, 127 and 126 rows a flush. */
static struct tq_format format_at(int at) {
    static const struct {
        uint32_t dim, bits;
        enum tq_rows rows;
    } formats[PARTS] = {
        {2048, 2, TQ_ROWS_F16}, {65536, 1, TQ_ROWS_NONE}, {2048, 2, TQ_ROWS_F32}, {8192, 1, TQ_ROWS_F16}};
    return format_of(formats[at].dim, formats[at].bits, formats[at].rows, TQ_IP);
}

/* What the test knows of one part. */
struct known {
    struct model model;
    uint64_t slots[IDS];
    uint64_t mark;
    bool made;
};

struct host {
    struct store store;
    struct tq_table *tables[PARTS];
    struct known known[PARTS];
};

static struct host *host_new(void) {
    struct host *host = calloc(1, sizeof *host);
    struct tq_format format = format_at(0);
    assert_non_null(host);
    store_make(&host->store, &format);
    host->tables[0] = host->store.table;
    host->known[0].made = true;
    return host;
}

static void add_part(struct host *host, int at) {
    struct tq_format format = format_at(at);
    OK(tq_table_add_part(host->store.conn, host->store.env, "docs", part_numbers[at], &format));
    OK(tq_table_open_part(host->store.table, part_numbers[at], &host->tables[at]));
    assert_int_equal(tq_table_part(host->tables[at]), part_numbers[at]);
    host->known[at].made = true;
}

static void close_part(struct host *host, int at) {
    tq_table_close(host->tables[at]);
    host->tables[at] = NULL;
}

static void host_free(struct host *host) {
    for (int at = 1; at < PARTS; at++) close_part(host, at);
    store_remove(&host->store);
    free(host);
}

/* Part 0 first or last, so that statements outlive the table they were prepared by. */
static void host_reopen(struct host *host, bool zero_first) {
    if (zero_first) tq_table_close(host->tables[0]);
    for (int at = 1; at < PARTS; at++) close_part(host, at);
    host->store.table = zero_first ? NULL : host->tables[0];
    store_reopen(&host->store);
    host->tables[0] = host->store.table;
    for (int at = 1; at < PARTS; at++) {
        if (host->known[at].made) OK(tq_table_open_part(host->tables[0], part_numbers[at], &host->tables[at]));
    }
}

static void put_at(struct host *host, int at, int64_t id, uint32_t generation) {
    struct known *known = &host->known[at];
    struct tq_format format = format_at(at);
    struct fake fake;
    fake_init(&fake, &format);
    OK(tq_table_put_slot(host->tables[at], id, fake_row(&fake, &format, id, generation), &known->slots[id]));
    assert_int_equal(tq_slot_part(known->slots[id]), part_numbers[at]);
    fake_clear(&fake);
    known->model.live += known->model.generation[id] == 0;
    known->model.generation[id] = generation;
}

static void delete_at(struct host *host, int at, int64_t id) {
    struct known *known = &host->known[at];
    OK(tq_table_delete_slot(host->tables[at], id, known->slots[id]));
    known->model.generation[id] = 0;
    known->model.live--;
}

static void check_at(struct host *host, int at) {
    const struct known *known = &host->known[at];
    check_view(host->tables[at], &known->model);
    for (int64_t id = 0; id < IDS; id += 13) {
        struct tq_view_segment segment;
        uint32_t row = 0;
        int64_t found = -1;
        if (known->model.generation[id] == 0) continue;
        OK(tq_table_find_slot(host->tables[at], id, known->slots[id], &segment, &row));
        OK(tq_segment_ids(segment.segment, &row, 1, &found));
        assert_int_equal(found, id);
    }
}

static void commit_all(struct host *host) {
    for (int at = 0; at < PARTS; at++) {
        if (host->tables[at] != NULL) OK(tq_table_sync(host->tables[at]));
    }
    OK(tq_conn_exec(host->store.conn, "COMMIT"));
    for (int at = 0; at < PARTS; at++) {
        if (host->tables[at] != NULL) tq_table_committed(host->tables[at]);
    }
}

/* ---- Random operations ---- */

struct saved {
    struct known known[PARTS];
};

static void open_savepoint(struct host *host, struct saved *save, int depth) {
    char sql[64];
    (void)snprintf(sql, sizeof sql, "SAVEPOINT s%d", depth);
    OK(tq_conn_exec(host->store.conn, sql));
    for (int at = 0; at < PARTS; at++) {
        host->known[at].mark = host->tables[at] != NULL ? tq_table_mark(host->tables[at]) : 0;
    }
    memcpy(save->known, host->known, sizeof save->known);
}

static void undo_to(struct host *host, const struct saved *save, int depth) {
    char sql[64];
    (void)snprintf(sql, sizeof sql, "ROLLBACK TO s%d", depth);
    OK(tq_conn_exec(host->store.conn, sql));
    for (int at = 0; at < PARTS; at++) {
        if (host->tables[at] == NULL) continue;
        if (save->known[at].made) {
            OK(tq_table_undo(host->tables[at], save->known[at].mark));
            continue;
        }
        enum tq_status status = tq_table_undo(host->tables[at], 0);
        assert_true(status == TQ_NOT_FOUND || status == TQ_OK); /* TQ_OK: it was not written to */
        close_part(host, at);
    }
    memcpy(host->known, save->known, sizeof save->known);
}

static void step(struct host *host, struct saved *saves, int *depth, uint64_t seed, int i) {
    uint32_t what = tq_rng_below(seed, 1, (uint64_t)i, 100);
    int at = (int)tq_rng_below(seed, 6, (uint64_t)i, PARTS);
    int64_t id = tq_rng_below(seed, 2, (uint64_t)i, IDS);
    if (what < 6 && *depth < 4) {
        open_savepoint(host, &saves[*depth], *depth);
        ++*depth;
    } else if (what < 12 && *depth > 0) {
        int to = (int)tq_rng_below(seed, 3, (uint64_t)i, (uint32_t)*depth);
        undo_to(host, &saves[to], to);
        *depth = to + 1;
    } else if (!host->known[at].made) {
        if (what < 40) add_part(host, at);
    } else if (what < 15) {
        check_at(host, at);
    } else if (what < 17) {
        OK(tq_table_sync(host->tables[at]));
    } else if (what < 18) {
        OK(tq_table_optimize(host->tables[at]));
    } else if (what < 24) {
        for (int64_t n = 0; n < 150; n++) {
            int64_t next = (id + n) % IDS;
            if (host->known[at].model.generation[next] == 0) put_at(host, at, next, (uint32_t)(i * 1000 + n + 1));
        }
    } else if (host->known[at].model.generation[id] == 0) {
        put_at(host, at, id, (uint32_t)i + 1);
    } else {
        delete_at(host, at, id);
    }
}

static void roll_back_all(struct host *host, const struct known *before) {
    OK(tq_conn_exec(host->store.conn, "ROLLBACK"));
    for (int at = 0; at < PARTS; at++) {
        if (host->tables[at] == NULL) continue;
        tq_table_rolled_back(host->tables[at]);
        if (!before[at].made) close_part(host, at);
    }
    memcpy(host->known, before, sizeof host->known);
}

/* Nothing is left in the folder but what the parts' segments need. */
static void check_folder(struct host *host) {
    for (int round = 0; round < 2; round++) {
        begin(&host->store);
        for (int at = 0; at < PARTS; at++) {
            if (host->known[at].made) OK(tq_table_optimize(host->tables[at]));
        }
        commit_all(host);
    }
    for (int at = 0; at < PARTS; at++) {
        struct tq_view view;
        size_t wanted = 0, exact = 0, found = 0;
        if (!host->known[at].made) continue;
        OK(tq_table_view(host->tables[at], &view));
        assert_in_range(view.count, 0, 1);
        if (view.count != 0) wanted = tq_segment_keys(view.segments[0].segment, NULL, 0, NULL, 0, &exact);
        OK(tq_env_keys_above(host->store.env, host->tables[at]->identity.number, 0, NULL, 0, &found));
        assert_int_equal(found, wanted + exact);
        check_at(host, at);
    }
}

static void random_operations(uint64_t seed, int count) {
    struct host *host = host_new();
    struct known *before = calloc(PARTS, sizeof *before);
    struct saved *saves = calloc(4, sizeof *saves);
    for (int i = 0; i < count;) {
        int depth = 0, length = 1 + (int)tq_rng_below(seed, 4, (uint64_t)i, 60);
        memcpy(before, host->known, sizeof host->known);
        begin(&host->store);
        for (int end = i + length; i < end; i++) step(host, saves, &depth, seed, i);
        uint32_t how = tq_rng_below(seed, 5, (uint64_t)i, 10);
        if (how < 3)
            roll_back_all(host, before);
        else
            commit_all(host);
        if (how == 5 || how == 6) host_reopen(host, how == 5);
    }
    host_reopen(host, false);
    for (int at = 0; at < PARTS; at++) {
        if (host->known[at].made) check_at(host, at);
    }
    check_folder(host);
    host_free(host);
    free(before);
    free(saves);
}

static void test_parts_beside_each_other(void **state) {
    (void)state;
    const char *seeds = getenv("TQ_TEST_SEEDS");
    uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 4;
    for (uint64_t seed = 1; seed <= count; seed++) random_operations(seed, 900);
}

/* ---- Making and dropping ---- */

static void test_adding_a_part(void **state) {
    (void)state;
    struct host *host = host_new();
    struct tq_conn *conn = host->store.conn;
    struct tq_env *env = host->store.env;
    struct tq_format format = format_at(1);
    struct tq_table *table = NULL;
    bool more = true;
    OK(tq_table_has_parts(host->tables[0], &more));
    assert_false(more);
    FAILS(tq_table_open_part(host->tables[0], 1, &table), TQ_NOT_FOUND);
    assert_non_null(strstr(tq_message(), "index \"docs\" has no part 1"));
    begin(&host->store);
    FAILS(tq_table_add_part(conn, env, "docs", 0, &format), TQ_EXISTS);
    FAILS(tq_table_add_part(conn, env, "docs", TQ_PARTS_MAX, &format), TQ_FULL);
    assert_non_null(strstr(tq_message(), "it may have 4194304 parts"));
    FAILS(tq_table_add_part(conn, env, "dogs", 1, &format), TQ_NOT_FOUND);
    add_part(host, 1);
    FAILS(tq_table_add_part(conn, env, "docs", 1, &format), TQ_EXISTS);
    assert_non_null(strstr(tq_message(), "index \"docs\" has part 1 already"));
    for (int64_t id = 0; id < 300; id++) put_at(host, 1, id, 1);
    check_at(host, 1);
    struct known nothing = {.made = false};
    OK(tq_conn_exec(conn, "ROLLBACK"));
    tq_table_rolled_back(host->tables[1]);
    host->known[1] = nothing;
    FAILS(tq_table_open_part(host->tables[0], 1, &table), TQ_NOT_FOUND);

    /* The table that was opened on the first one must not write to the second. */
    begin(&host->store);
    struct tq_table *stale = host->tables[1];
    struct fake fake;
    uint64_t slot = 0;
    fake_init(&fake, &format);
    FAILS(tq_table_put_slot(stale, 1, fake_row(&fake, &format, 1, 1), &slot), TQ_NOT_FOUND);
    add_part(host, 1);
    FAILS(tq_table_put_slot(stale, 1, fake_row(&fake, &format, 1, 1), &slot), TQ_NOT_FOUND);
    assert_non_null(strstr(tq_message(), "dropped and made again"));
    tq_table_close(stale);
    for (int64_t id = 0; id < 300; id++) put_at(host, 1, id, 2);
    commit_all(host);
    check_at(host, 1);
    OK(tq_table_has_parts(host->tables[0], &more));
    assert_true(more);
    fake_clear(&fake);
    host_free(host);
}

/* ROLLBACK TO a point before the part: it ends, and neither COMMIT nor closing minds. */
static void test_undoing_a_part(void **state) {
    (void)state;
    struct host *host = host_new();
    begin(&host->store);
    put_at(host, 0, 5, 1);
    OK(tq_conn_exec(host->store.conn, "SAVEPOINT a"));
    uint64_t mark = tq_table_mark(host->tables[0]);
    add_part(host, 1);
    for (int64_t id = 0; id < 100; id++) put_at(host, 1, id, 1);
    OK(tq_conn_exec(host->store.conn, "ROLLBACK TO a"));
    OK(tq_table_undo(host->tables[0], mark));
    FAILS(tq_table_undo(host->tables[1], 0), TQ_NOT_FOUND);
    commit_all(host);
    host->known[1] = (struct known){.made = false};
    check_at(host, 0);
    host_free(host);
}

/* Replaced values are deleted by versions, and every part counts its own. */
static void test_replaced_values_are_the_parts_own(void **state) {
    (void)state;
    struct host *host = host_new();
    begin(&host->store);
    add_part(host, 1);
    commit_all(host);
    for (int round = 0; round < 20; round++) {
        begin(&host->store);
        put_at(host, 0, round, 1);
        OK(tq_table_optimize(host->tables[0]));
        commit_all(host);
    }
    for (int64_t first = 0; first < 300; first += 150) {
        begin(&host->store);
        for (int64_t id = first; id < first + 150; id++) put_at(host, 1, id, 1);
        commit_all(host);
    }
    begin(&host->store);
    put_at(host, 0, 30, 1);
    OK(tq_conn_exec(host->store.conn, "SAVEPOINT a"));
    uint64_t mark = tq_table_mark(host->tables[1]), mark_zero = tq_table_mark(host->tables[0]);
    OK(tq_table_optimize(host->tables[1]));
    assert_int_equal(segment_count(host->tables[1]), 1);
    OK(tq_table_optimize(host->tables[0]));
    OK(tq_conn_exec(host->store.conn, "ROLLBACK TO a"));
    OK(tq_table_undo(host->tables[0], mark_zero));
    OK(tq_table_undo(host->tables[1], mark));
    commit_all(host);
    host_reopen(host, false);
    check_at(host, 0);
    check_at(host, 1);
    assert_int_equal(segment_count(host->tables[1]), 2);
    host_free(host);
}

/* One part lets go of the LMDB snapshot while another still reads. */
static void test_release(void **state) {
    (void)state;
    struct host *host = host_new();
    const void *data = NULL;
    size_t size = 0;
    begin(&host->store);
    add_part(host, 1);
    put_at(host, 0, 1, 1);
    put_at(host, 1, 1, 1);
    commit_all(host);
    OK(tq_conn_exec(host->store.conn, "BEGIN"));
    check_at(host, 0);
    check_at(host, 1);
    struct tq_env_reader *reader = host->tables[0]->shared->reader;
    assert_ptr_equal(reader, host->tables[1]->shared->reader);
    tq_table_release(host->tables[0]);
    tq_table_release(host->tables[0]);
    FAILS(tq_env_get(reader, 1, &data, &size), TQ_NOT_FOUND);
    tq_table_release(host->tables[1]);
    FAILS(tq_env_get(reader, 1, &data, &size), TQ_MISUSE); /* nobody reads */
    check_at(host, 1);
    close_part(host, 1);
    FAILS(tq_env_get(reader, 1, &data, &size), TQ_MISUSE);
    OK(tq_conn_exec(host->store.conn, "COMMIT"));
    host_free(host);
}

static uint64_t values_of(struct host *host, uint32_t number) {
    size_t count = 0;
    OK(tq_env_keys_above(host->store.env, number, 0, NULL, 0, &count));
    return count;
}

static void test_drop_releases_all(void **state) {
    (void)state;
    struct host *host = host_new();
    struct tq_format format = format_at(0);
    uint32_t numbers[PARTS];
    begin(&host->store);
    for (int at = 1; at < PARTS; at++) add_part(host, at);
    for (int64_t id = 0; id < 600; id++) {
        for (int at = 0; at < PARTS; at++) put_at(host, at, id, 1);
    }
    commit_all(host);
    for (int at = 0; at < PARTS; at++) {
        numbers[at] = host->tables[at]->identity.number;
        assert_true(values_of(host, numbers[at]) > 0);
        close_part(host, at);
    }
    begin(&host->store);
    OK(tq_table_drop(host->store.conn, "docs"));
    OK(tq_table_create(host->store.conn, host->store.env, "docs", &format, ""));
    OK(tq_conn_exec(host->store.conn, "COMMIT"));
    OK(tq_table_open(host->store.conn, host->store.env, "docs", &host->store.table));
    host->tables[0] = host->store.table;
    memset(host->known, 0, sizeof host->known);
    host->known[0].made = true;
    for (int i = 0; i < 3; i++) {
        begin(&host->store);
        for (int64_t id = 0; id < 230; id++) put_at(host, 0, i * 230 + id, 1);
        OK(tq_table_optimize(host->tables[0]));
        commit_all(host);
    }
    for (int at = 0; at < PARTS; at++) assert_int_equal(values_of(host, numbers[at]), 0);
    check_at(host, 0);
    host_free(host);
}

static int compare_numbers(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Two connections make parts in turn, and some transactions are rolled back: no number twice. */
static void test_numbers(void **state) {
    (void)state;
    enum { ROUNDS = 60 };
    struct host *host = host_new();
    struct tq_format format = format_of(8, 4, TQ_ROWS_F32, TQ_L2);
    struct store other, *stores[2] = {&host->store, &other};
    uint32_t numbers[ROUNDS];
    store_join(&other, &host->store);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct store *store = stores[i / 5 % 2];
        struct tq_table *table = NULL;
        begin(store);
        OK(tq_table_add_part(store->conn, store->env, "docs", i + 1, &format));
        OK(tq_table_open_part(store->table, i + 1, &table));
        numbers[i] = table->identity.number;
        tq_table_close(table);
        OK(tq_conn_exec(store->conn, i % 7 == 3 ? "ROLLBACK" : "COMMIT"));
    }
    qsort(numbers, ROUNDS, sizeof *numbers, compare_numbers);
    for (uint32_t i = 1; i < ROUNDS; i++) assert_true(numbers[i - 1] < numbers[i]);
    assert_true(numbers[0] > 1 && numbers[ROUNDS - 1] < 4 * ROUNDS);
    store_close(&other);
    host_free(host);
}

/* LMDB has 1,022 readers for all processes, which parts must not use up. */
static void test_many_parts(void **state) {
    (void)state;
    enum { MANY = 1100 };
    struct host *host = host_new();
    struct tq_table **tables = calloc(MANY, sizeof(struct tq_table *));
    struct tq_format format = format_of(8, 4, TQ_ROWS_F32, TQ_L2);
    struct fake fake;
    uint64_t slot = 0;
    fake_init(&fake, &format);
    begin(&host->store);
    for (uint32_t i = 0; i < MANY; i++) {
        OK(tq_table_add_part(host->store.conn, host->store.env, "docs", i + 1, &format));
        OK(tq_table_open_part(host->tables[0], i + 1, &tables[i]));
        OK(tq_table_put_slot(tables[i], i, fake_row(&fake, &format, i, 1), &slot));
        OK(tq_table_sync(tables[i]));
    }
    OK(tq_conn_exec(host->store.conn, "COMMIT"));
    for (uint32_t i = 0; i < MANY; i++) {
        struct tq_view view;
        int64_t id = -1;
        uint32_t row = 0;
        tq_table_committed(tables[i]);
        OK(tq_table_view(tables[i], &view));
        assert_int_equal(view.live, 1);
        OK(tq_segment_ids(view.segments[0].segment, &row, 1, &id));
        assert_int_equal(id, i);
    }
    for (uint32_t i = 0; i < MANY; i++) tq_table_close(tables[i]);
    fake_clear(&fake);
    free(tables);
    host_free(host);
}

/* ---- Tables as they are and as they were ---- */

static void test_older_tables(void **state) {
    (void)state;
    struct host *host = host_new();
    struct tq_table *table = NULL;
    close_part(host, 0);
    host->store.table = NULL;
    OK(tq_conn_exec(host->store.conn, "CREATE TABLE old AS SELECT * FROM docs_state"));
    OK(tq_conn_exec(host->store.conn, "DROP TABLE docs_state"));
    OK(tq_conn_exec(host->store.conn,
                    "CREATE TABLE docs_state(one INTEGER PRIMARY KEY CHECK (one = 1), format, number)"));
    OK(tq_conn_exec(host->store.conn, "INSERT INTO docs_state SELECT 1, format, number FROM old"));
    FAILS(tq_table_open(host->store.conn, host->store.env, "docs", &table), TQ_FORMAT);
    assert_non_null(strstr(tq_message(), "index \"docs\" was made by an older version"));
    begin(&host->store);
    OK(tq_table_drop(host->store.conn, "docs"));
    OK(tq_conn_exec(host->store.conn, "COMMIT"));
    host_free(host);
}

static void test_state_of_another_part(void **state) {
    (void)state;
    struct host *host = host_new();
    struct tq_table *table = NULL;
    begin(&host->store);
    add_part(host, 1);
    commit_all(host);
    OK(tq_conn_exec(host->store.conn, "UPDATE docs_state SET next = 5 WHERE part = 1"));
    assert_true(reseal_catalog(host->store.conn->db));
    FAILS(tq_table_open_part(host->tables[0], 1, &table), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "part 1 names slots that are not its own"));
    OK(tq_conn_exec(host->store.conn, "DELETE FROM docs_state WHERE part = 0"));
    FAILS(tq_table_open(host->store.conn, host->store.env, "docs", &table), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "has no part 0"));
    host_free(host);
}

static void test_range_used_up(void **state) {
    (void)state;
    struct host *host = host_new();
    struct tq_format format = format_at(1);
    struct fake fake;
    uint64_t slot = 0, end = (uint64_t)2 << TQ_PART_SHIFT;
    fake_init(&fake, &format);
    begin(&host->store);
    add_part(host, 1);
    commit_all(host);
    OK(tq_conn_exec(host->store.conn, "UPDATE docs_state SET next = (2 << 40) - 100 WHERE part = 1"));
    assert_true(reseal_catalog(host->store.conn->db));
    begin(&host->store); /* 64 rows a flush: the log, then a bulk, up to the last slot */
    for (int64_t id = 0; id < 100; id++) put_at(host, 1, id, 1);
    assert_true(host->known[1].slots[99] == end - 1);
    FAILS(tq_table_put_slot(host->tables[1], 100, fake_row(&fake, &format, 100, 1), &slot), TQ_FULL);
    assert_non_null(strstr(tq_message(), "part 1 has used up its 2^40 slots"));
    delete_at(host, 1, 99);
    commit_all(host);
    check_at(host, 1);
    host_reopen(host, false);
    check_at(host, 1);
    begin(&host->store);
    FAILS(tq_table_put_slot(host->tables[1], 100, fake_row(&fake, &format, 100, 1), &slot), TQ_FULL);
    commit_all(host);
    OK(tq_conn_exec(host->store.conn, "UPDATE docs_state SET seq = (2 << 40) - 2 WHERE part = 1"));
    assert_true(reseal_catalog(host->store.conn->db));
    begin(&host->store);
    delete_at(host, 1, 98);
    FAILS(tq_table_delete_slot(host->tables[1], 97, host->known[1].slots[97]), TQ_FULL);
    assert_non_null(strstr(tq_message(), "sequence numbers"));
    commit_all(host);
    check_at(host, 1);
    fake_clear(&fake);
    host_free(host);
}

/* Rows without a vector, and a host's own columns. */
static void test_null_slots(void **state) {
    (void)state;
    struct tq_format format = format_at(0);
    struct model *model = calloc(1, sizeof *model);
    struct store store;
    struct fake fake;
    store_make(&store, &format);
    fake_init(&fake, &format);
    begin(&store);
    put(&store, model, 3, 1);
    OK(tq_conn_exec(store.conn, "INSERT INTO docs_rows(id, slot) VALUES (4, NULL)"));
    FAILS(tq_table_delete(store.table, 4), TQ_NOT_FOUND);
    put(&store, model, 4, 1); /* which has no vector yet */
    FAILS(tq_table_put(store.table, 4, fake_row(&fake, &format, 4, 1)), TQ_EXISTS);
    commit(&store);
    check_find(store.table, model, 4);
    check_view(store.table, model);
    begin(&store);
    OK(tq_table_create(store.conn, store.env, "more", &format, ", key TEXT NOT NULL UNIQUE"));
    struct tq_table *more = NULL;
    OK(tq_table_open(store.conn, store.env, "more", &more));
    FAILS(tq_table_put(more, 1, fake_row(&fake, &format, 1, 1)), TQ_CORRUPT); /* not "exists" */
    assert_non_null(strstr(tq_message(), "NOT NULL constraint failed: more_rows.key"));
    tq_table_close(more);
    OK(tq_conn_exec(store.conn, "ROLLBACK"));
    tq_table_rolled_back(store.table);
    fake_clear(&fake);
    store_remove(&store);
    free(model);
}

/* ---- Changes that the log does not tell ---- */

static uint64_t changes_of(struct tq_table *table) {
    uint64_t changes = 0;
    OK(tq_table_changes(table, &changes));
    return changes;
}

static void test_changes(void **state) {
    (void)state;
    struct host *host = host_new();
    struct store other;
    struct tq_table *table = host->tables[0];
    store_join(&other, &host->store);
    uint64_t first = changes_of(table);
    begin(&host->store);
    for (int i = 0; i < 3; i++) OK(tq_table_touch(table));
    assert_int_equal(changes_of(table), first + 1);
    assert_int_equal(changes_of(other.table), first);
    OK(tq_table_sync(table));
    OK(tq_conn_exec(host->store.conn, "COMMIT"));
    tq_table_committed(table);
    assert_int_equal(changes_of(other.table), first + 1);
    begin(&host->store);
    OK(tq_table_touch(table));
    rollback(&host->store);
    assert_int_equal(changes_of(table), first + 1);
    begin(&host->store); /* a savepoint takes the count back: it is made again */
    OK(tq_conn_exec(host->store.conn, "SAVEPOINT a"));
    OK(tq_table_touch(table));
    OK(tq_conn_exec(host->store.conn, "ROLLBACK TO a"));
    OK(tq_table_undo(table, 0));
    OK(tq_table_touch(table));
    assert_int_equal(changes_of(table), first + 2);
    commit(&host->store);
    begin(&host->store);
    put_at(host, 0, 1, 1); /* the log tells it */
    commit(&host->store);
    assert_int_equal(changes_of(other.table), first + 2);
    begin(&host->store); /* the flush of a put leaves the count alone; a part counts in part 0 */
    add_part(host, 1);
    uint64_t added = changes_of(table);
    assert_true(added > first + 2);
    for (int64_t id = 0; id < 300; id++) put_at(host, 1, id, 1);
    OK(tq_table_optimize(host->tables[1]));
    OK(tq_table_touch(host->tables[1]));
    commit_all(host);
    assert_int_equal(changes_of(other.table), added + 1);
    store_close(&other);
    host_free(host);
}

/* ---- Costs ---- */

/* Steps of SQLite's machine that a statement has taken since this was last asked. */
static int steps_of(struct tq_table *table, enum tq_catalog_statement which) {
    const sqlite3_api_routines *sqlite3_api = table->conn->api;
    sqlite3_stmt *stmt = table->catalog->statements[which];
    assert_non_null(stmt);
    assert_int_equal(sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1), 0);
    return sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 1);
}

/* What every query and every transaction asks does not depend on how long the logs are. */
static void test_look_ups(void **state) {
    (void)state;
    struct host *host = host_new();
    int steps[2][2] = {{0}};
    begin(&host->store);
    for (int at = 1; at < PARTS; at++) add_part(host, at);
    for (int round = 0; round < 2; round++) {
        for (int64_t id = 0; id < 20; id++) {
            for (int at = 0; at < PARTS; at++) put_at(host, at, round * 20 + id, 1);
        }
        struct tq_catalog_look look;
        uint64_t version = 0, nonce = 0, seq = 0;
        OK(tq_catalog_look(host->tables[2]->catalog, part_numbers[2], &look));
        OK(tq_catalog_glance(host->tables[2]->catalog, part_numbers[2], &version, &nonce, &seq));
        (void)steps_of(host->tables[2], TQ_SQL_LOOK);
        (void)steps_of(host->tables[2], TQ_SQL_GLANCE);
        OK(tq_catalog_look(host->tables[2]->catalog, part_numbers[2], &look));
        OK(tq_catalog_glance(host->tables[2]->catalog, part_numbers[2], &version, &nonce, &seq));
        steps[round][0] = steps_of(host->tables[2], TQ_SQL_LOOK);
        steps[round][1] = steps_of(host->tables[2], TQ_SQL_GLANCE);
        assert_true(look.seq_first == ((uint64_t)part_numbers[2] << TQ_PART_SHIFT) + 1 && look.seq_last == seq);
    }
    assert_true(steps[0][0] > 0 && steps[0][1] > 0);
    assert_int_equal(steps[0][0], steps[1][0]);
    assert_int_equal(steps[0][1], steps[1][1]);
    commit_all(host);
    OK(tq_conn_exec(host->store.conn, "BEGIN"));
    check_at(host, 2);
    (void)steps_of(host->tables[2], TQ_SQL_GLANCE);
    check_at(host, 2); /* nothing has changed: SQLite is not asked */
    assert_int_equal(steps_of(host->tables[2], TQ_SQL_GLANCE), 0);
    OK(tq_conn_exec(host->store.conn, "COMMIT"));
    host_free(host);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undoing_a_part), cmocka_unit_test(test_replaced_values_are_the_parts_own),
        cmocka_unit_test(test_release),        cmocka_unit_test(test_parts_beside_each_other),
        cmocka_unit_test(test_adding_a_part),  cmocka_unit_test(test_drop_releases_all),
        cmocka_unit_test(test_numbers),        cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_older_tables),   cmocka_unit_test(test_state_of_another_part),
        cmocka_unit_test(test_range_used_up),  cmocka_unit_test(test_null_slots),
        cmocka_unit_test(test_changes),        cmocka_unit_test(test_look_ups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
