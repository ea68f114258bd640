/* Engines: a search over whatever view a host puts together; and the C library beside tables of several parts. */
#include "tests/unit/table_util.h"

#include "src/db/db.h"

#define DIM 64
#define ROWS 600 /* of a part: some in a segment, some in the log */
#define K 10

static void vector_of(int64_t id, float *vector) {
    for (uint32_t j = 0; j < DIM; j++) {
        vector[j] = (float)((double)(tq_rng_at(5, (uint64_t)id, j) >> 11) * 0x1p-53 - 0.5);
    }
}

struct pair {
    struct store store;
    struct tq_table *tables[2];
    struct tq_engine *engine;
};

/* Even ids in part 0, odd ones in part 3. */
static void pair_make(struct pair *pair, enum tq_rows rows) {
    struct tq_format format = format_of(DIM, 4, rows, TQ_COSINE);
    store_make(&pair->store, &format);
    OK(tq_engine_open(&format, NULL, &pair->engine));
    begin(&pair->store);
    OK(tq_table_add_part(pair->store.conn, pair->store.env, "docs", 3, &format));
    pair->tables[0] = pair->store.table;
    OK(tq_table_open_part(pair->store.table, 3, &pair->tables[1]));
    for (int64_t id = 0; id < 2 * ROWS; id++) {
        float vector[DIM];
        struct tq_row row;
        uint64_t slot = 0;
        vector_of(id, vector);
        OK(tq_encode(pair->engine->encoder, vector, &row));
        OK(tq_table_put_slot(pair->tables[id % 2], id, &row, &slot));
        if (id != 1000) continue;
        OK(tq_table_optimize(pair->tables[0]));
        OK(tq_table_optimize(pair->tables[1]));
    }
    for (int i = 0; i < 2; i++) OK(tq_table_sync(pair->tables[i]));
    OK(tq_conn_exec(pair->store.conn, "COMMIT"));
    for (int i = 0; i < 2; i++) tq_table_committed(pair->tables[i]);
}

static void pair_remove(struct pair *pair) {
    tq_engine_close(pair->engine);
    tq_table_close(pair->tables[1]);
    store_remove(&pair->store);
}

static size_t search(struct pair *pair, const struct tq_view *view, const float *query, struct tq_hit *hits) {
    struct tq_search_options options = tq_search_defaults();
    struct tq_search_stats stats = {0};
    size_t count = 0;
    OK(tq_engine_search(pair->engine, view, TQ_COSINE, query, 1, K, &options, hits, &count, &stats));
    return count;
}

static int compare_hits(const void *a, const void *b) {
    const struct tq_hit *left = a, *right = b;
    if (left->score != right->score) return left->score < right->score ? 1 : -1;
    return (left->id > right->id) - (left->id < right->id);
}

/* Leave a row out, as a host does with what its own filter does not want. */
static void bury(struct tq_view_segment *segments, size_t count, int64_t id) {
    static uint64_t dead[ROWS / 64 + 1];
    for (size_t s = 0; s < count; s++) {
        uint32_t rows = tq_segment_row_count(segments[s].segment);
        for (uint32_t row = 0; row < rows; row++) {
            int64_t found = -1;
            OK(tq_segment_ids(segments[s].segment, &row, 1, &found));
            if (found != id) continue;
            memset(dead, 0, sizeof dead);
            dead[row / 64] = UINT64_C(1) << (row % 64);
            segments[s].dead = dead;
            segments[s].dead_count = 1;
            return;
        }
    }
    fail_msg("id %lld is in no segment", (long long)id);
}

/* The k best of both views are the best of the k best of each. */
static void check_join(struct pair *pair, const struct tq_view *views, const float *query) {
    struct tq_view_segment segments[16];
    struct tq_hit apart[2 * K], joined[K];
    struct tq_view both = {.segments = segments};
    for (int i = 0; i < 2; i++) {
        memcpy(segments + both.count, views[i].segments, views[i].count * sizeof *segments);
        both.count += views[i].count;
        both.live += views[i].live;
        assert_int_equal(search(pair, &views[i], query, apart + i * K), K);
    }
    qsort(apart, 2 * K, sizeof *apart, compare_hits);
    assert_int_equal(search(pair, &both, query, joined), K);
    for (int i = 0; i < K; i++) {
        assert_int_equal(joined[i].id, apart[i].id);
        assert_true(joined[i].score == apart[i].score);
    }
    memcpy(apart, joined, sizeof joined);
    bury(segments, both.count, apart[0].id);
    both.live--;
    assert_int_equal(search(pair, &both, query, joined), K);
    for (int i = 1; i < K; i++) assert_int_equal(joined[i - 1].id, apart[i].id);
}

static void test_joined_views(void **state) {
    (void)state;
    static const enum tq_rows kinds[] = {TQ_ROWS_F32, TQ_ROWS_F16, TQ_ROWS_NONE};
    for (int kind = 0; kind < 3; kind++) {
        struct pair pair;
        struct tq_view views[2];
        float query[DIM], got[DIM];
        pair_make(&pair, kinds[kind]);
        OK(tq_conn_exec(pair.store.conn, "BEGIN"));
        for (int i = 0; i < 2; i++) OK(tq_table_view(pair.tables[i], &views[i]));
        assert_true(views[0].count == 2 && views[0].log_rows > 0);
        for (int64_t id = 0; id < 40; id += 2) {
            vector_of(id, query);
            check_join(&pair, views, query);
        }
        uint32_t row = 7;
        int64_t id = 0;
        OK(tq_segment_ids(views[1].segments[0].segment, &row, 1, &id));
        vector_of(id, query);
        OK(tq_engine_vector(pair.engine, views[1].segments[0].segment, row, got));
        for (uint32_t j = 0; j < DIM; j++) {
            double far = (double)got[j] - (double)query[j];
            assert_true(far * far <= (kind == 0 ? 0 : kind == 1 ? 1e-6 : 0.1));
        }
        OK(tq_conn_exec(pair.store.conn, "COMMIT"));
        pair_remove(&pair);
    }
}

/* A partition that nobody has filled, or none at all. */
static void test_view_of_nothing(void **state) {
    (void)state;
    static const enum tq_rows kinds[] = {TQ_ROWS_F32, TQ_ROWS_F16, TQ_ROWS_NONE};
    enum { QUERIES = 200 };
    for (int kind = 0; kind < 3; kind++) {
        struct tq_format format = format_of(DIM, kind == 2 ? 1 : 4, kinds[kind], TQ_IP);
        struct tq_search_options options = tq_search_defaults();
        struct tq_search_stats stats = {0};
        struct tq_engine *engine = NULL;
        struct tq_view nothing = {.segments = NULL};
        struct tq_hit hits[QUERIES];
        size_t counts[QUERIES], count = 9;
        float *queries = tq_alloc_array(QUERIES * DIM, sizeof *queries);
        for (int64_t id = 0; id < QUERIES; id++) vector_of(id, queries + id * DIM);
        OK(tq_engine_open(&format, NULL, &engine));
        for (size_t k = 0; k < 2; k++) {
            for (size_t asked = 1; asked <= QUERIES; asked += QUERIES - 1) {
                counts[0] = counts[asked - 1] = 9;
                OK(tq_engine_search(engine, &nothing, TQ_IP, queries, asked, k, &options, hits, counts, &stats));
                assert_int_equal(counts[0] + counts[asked - 1], 0);
            }
        }
        OK(tq_engine_range(engine, &nothing, TQ_L2, queries, -1e9, QUERIES, &options, hits, &count, &stats));
        assert_int_equal(count, 0);
        tq_engine_close(engine);
        tq_free(queries);
    }
}

/* ---- The C library ---- */

static void test_library_refuses_parts(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    char dir[256], path[300], catalog[320];
    (void)snprintf(dir, sizeof dir, "%s/tq_engine_XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/store", dir);
    (void)snprintf(catalog, sizeof catalog, "%s/catalog.db", path);
    struct tq_index_options options = tq_index_defaults(8);
    tq_store *store = NULL;
    tq_index *index = NULL;
    OK(tq_open(path, TQ_OPEN_CREATE, &store));
    OK(tq_index_create(store, "docs", &options, &index));
    tq_index_close(index);
    tq_close(store);

    struct tq_env *env = NULL;
    struct tq_conn *conn = NULL;
    struct tq_format format;
    OK(tq_format_init(&format, &options));
    OK(tq_env_open(path, 0, true, &env));
    OK(tq_conn_open(catalog, 0, &conn));
    OK(tq_conn_exec(conn, "BEGIN IMMEDIATE"));
    OK(tq_table_add_part(conn, env, "docs", 1, &format));
    OK(tq_conn_exec(conn, "COMMIT"));
    tq_conn_close(conn);
    tq_env_close(env);

    OK(tq_open(path, TQ_OPEN_READONLY, &store));
    FAILS(tq_index_open(store, "docs", &index), TQ_UNSUPPORTED);
    assert_string_equal(tq_message(), "index \"docs\" has partitions or several vector columns; use SQL");
    tq_close(store);
    OK(tq_open(path, 0, &store));
    FAILS(tq_index_open(store, "docs", &index), TQ_UNSUPPORTED);
    OK(tq_index_drop(store, "docs"));
    OK(tq_index_create(store, "docs", &options, &index));
    tq_index_close(index);
    tq_close(store);
    remove_tree(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined_views),
        cmocka_unit_test(test_view_of_nothing),
        cmocka_unit_test(test_library_refuses_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
