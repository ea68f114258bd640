/* Rows that come and go leave no trace in the answers: after most of an index was deleted and put again, in another
 * order and in transactions of all sizes, every search says what a fresh index says, to the last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/base.h"
#include "src/base/rng.h"
#include "src/tq.h"
#include "tests/unit/scratch_folder.h"

enum { DIM = 24, ROWS = 24000, QUERIES = 40, K = 20 };

static float vectors[ROWS][DIM], queries[QUERIES][DIM];
static int64_t order[ROWS];
static void fill(float *values, size_t count, uint64_t stream) {
    for (size_t i = 0; i < count; i++) values[i] = (float)(tq_rng_at(7, stream, i) % 2001) / 1000 - 1;
}

static void shuffle(size_t count, uint64_t seed) {
    for (size_t i = count; i > 1; i--) {
        size_t other = tq_rng_at(seed, 3, i) % i;
        int64_t swapped = order[i - 1];
        order[i - 1] = order[other];
        order[other] = swapped;
    }
}

static tq_index *create(const char *name, enum tq_metric metric, enum tq_rows rows, tq_store **store) {
    struct tq_index_options options = tq_index_defaults(DIM);
    tq_index *index = NULL;
    char path[300];
    options.metric = metric;
    options.rows = rows;
    (void)snprintf(path, sizeof path, "%s/%s%d%d", folder, name, (int)metric, (int)rows);
    assert_int_equal(tq_open(path, TQ_OPEN_CREATE, store), TQ_OK);
    assert_int_equal(tq_index_create(*store, "words", &options, &index), TQ_OK);
    return index;
}

static void close_all(tq_index *index, tq_store *store) {
    tq_index_close(index);
    tq_close(store);
}

/* order[0 .. count), in transactions of 1 to 4,000 rows, a tenth of them rolled back and done again. */
static void in_transactions(tq_store *store, tq_index *index, size_t count, bool put) {
    size_t at = 0;
    for (uint64_t n = 0; at < count; n++) {
        static const size_t sizes[] = {1, 17, 300, 4000};
        size_t size = tq_min_size(1 + tq_rng_at(11, 1, n) % sizes[n % TQ_COUNT(sizes)], count - at);
        assert_int_equal(tq_begin(store), TQ_OK);
        for (size_t i = at; i < at + size; i++) {
            if (put)
                assert_int_equal(tq_put(index, order[i], vectors[order[i]]), TQ_OK);
            else
                assert_int_equal(tq_delete(index, order[i]), TQ_OK);
        }
        if (tq_rng_at(11, 2, n) % 10 == 0) {
            tq_abort(store);
            continue;
        }
        assert_int_equal(tq_commit(store), TQ_OK);
        at += size;
    }
}

static void check_same(tq_index *fresh, tq_index *worn, double confidence) {
    static struct tq_hit expected[QUERIES * K], found[QUERIES * K];
    size_t expected_counts[QUERIES], counts[QUERIES];
    struct tq_search_options options = tq_search_defaults();
    options.confidence = confidence;
    assert_int_equal(tq_search(fresh, queries[0], QUERIES, K, &options, expected, expected_counts, NULL), TQ_OK);
    assert_int_equal(tq_search(worn, queries[0], QUERIES, K, &options, found, counts, NULL), TQ_OK);
    for (size_t q = 0; q < QUERIES; q++) {
        assert_int_equal(expected_counts[q], K);
        assert_int_equal(counts[q], K);
        for (size_t i = q * K; i < (q + 1) * K; i++) {
            assert_int_equal(found[i].id, expected[i].id);
            assert_memory_equal(&found[i].score, &expected[i].score, sizeof found[i].score);
        }
    }
}

static void churn(enum tq_metric metric, enum tq_rows rows) {
    tq_store *fresh_store = NULL, *store = NULL;
    tq_index *fresh = create("fresh", metric, rows, &fresh_store), *worn = create("worn", metric, rows, &store);
    for (int64_t i = 0; i < ROWS; i++) order[i] = i;
    assert_int_equal(tq_put_many(fresh, order, vectors[0], ROWS), TQ_OK);
    assert_int_equal(tq_put_many(worn, order, vectors[0], ROWS), TQ_OK);
    for (uint64_t round = 0; round < 2; round++) {
        size_t changed = ROWS * 9 / 10;
        shuffle(ROWS, 2 * round + metric);
        in_transactions(store, worn, changed, false);
        shuffle(changed, 2 * round + 1);
        in_transactions(store, worn, changed, true);
        check_same(fresh, worn, 3);
        check_same(fresh, worn, TQ_EXACT);
    }
    assert_int_equal(tq_index_optimize(worn), TQ_OK);
    check_same(fresh, worn, 3);
    struct tq_index_info info;
    assert_int_equal(tq_index_get_info(worn, &info), TQ_OK);
    assert_int_equal(info.rows, ROWS);
    close_all(worn, store);
    close_all(fresh, fresh_store);
}

static void test_cosine(void **state) {
    (void)state;
    churn(TQ_COSINE, TQ_ROWS_F32);
}

static void test_ip(void **state) {
    (void)state;
    churn(TQ_IP, TQ_ROWS_F16);
}

static void test_l2_codes_only(void **state) {
    (void)state;
    churn(TQ_L2, TQ_ROWS_NONE);
}

static int set_up(void **state) {
    fill(vectors[0], (size_t)ROWS * DIM, 1);
    fill(queries[0], (size_t)QUERIES * DIM, 2);
    return make_folder(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_ip),
        cmocka_unit_test(test_l2_codes_only),
    };
    return cmocka_run_group_tests(tests, set_up, remove_folder);
}
