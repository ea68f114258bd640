/* The library as a program sees it: src/tq.h alone, on real folders. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/tq.h"
#include "tests/unit/scratch_folder.h"

/* A vector whose nearest neighbour is itself: its number spread over the dimensions. */
static void vector_of(int64_t id, uint32_t dim, float *vector) {
    uint64_t state = (uint64_t)id * 0x9e3779b97f4a7c15u + 12345;
    for (uint32_t j = 0; j < dim; j++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        vector[j] = (float)((double)(state >> 11) * 0x1p-53 - 0.5);
    }
}

static void assert_message(const char *part) {
    if (strstr(tq_message(), part) != NULL) return;
    print_error("message \"%s\" does not say \"%s\"\n", tq_message(), part);
    fail();
}

static tq_index *create(tq_store **store, const char *name, struct tq_index_options options) {
    tq_index *index = NULL;
    assert_int_equal(tq_open(path_of(name), TQ_OPEN_CREATE, store), TQ_OK);
    assert_int_equal(tq_index_create(*store, "words", &options, &index), TQ_OK);
    return index;
}

static void test_put_get_search_reopen(void **state) {
    (void)state;
    static const enum tq_rows kinds[] = {TQ_ROWS_F32, TQ_ROWS_F16, TQ_ROWS_NONE};
    static const double tolerance[] = {0, 3e-4, 0.35};
    for (size_t kind = 0; kind < 3; kind++) {
        enum { DIM = 37, COUNT = 500 };
        char name[16];
        (void)snprintf(name, sizeof name, "reopen%zu", kind);
        struct tq_index_options options = tq_index_defaults(DIM);
        options.rows = kinds[kind];
        options.bits = 6;
        tq_store *store = NULL;
        tq_index *index = create(&store, name, options);
        float vector[DIM], got[DIM];
        assert_int_equal(tq_begin(store), TQ_OK);
        for (int64_t id = 0; id < COUNT; id++) {
            vector_of(id * 3 - 700, DIM, vector);
            assert_int_equal(tq_put(index, id * 3 - 700, vector), TQ_OK);
        }
        assert_int_equal(tq_commit(store), TQ_OK);
        tq_index_close(index);
        tq_close(store);
        assert_int_equal(tq_open(path_of(name), TQ_OPEN_READONLY, &store), TQ_OK);
        assert_int_equal(tq_index_open(store, "words", &index), TQ_OK);
        for (int64_t id = -700; id < 3 * COUNT - 700; id += 39) {
            struct tq_hit hit;
            size_t count = 0;
            vector_of(id, DIM, vector);
            assert_int_equal(tq_get(index, id, got), TQ_OK);
            for (int j = 0; j < DIM; j++) assert_true(fabs((double)(got[j] - vector[j])) <= tolerance[kind]);
            assert_int_equal(tq_search(index, vector, 1, 1, NULL, &hit, &count, NULL), TQ_OK);
            assert_int_equal(count, 1);
            assert_int_equal(hit.id, id);
            assert_true(fabs(hit.distance - (1 - hit.score)) < 1e-12);
        }
        assert_int_equal(tq_put(index, 1000000, vector), TQ_MISUSE);
        tq_index_close(index);
        tq_close(store);
    }
}

static void test_bad_options(void **state) {
    (void)state;
    static const struct {
        uint32_t dim, bits;
        int qjl, metric, rows;
        const char *message;
    } cases[] = {
        {0, 4, -1, 0, 0, "dim is 0"},    {65537, 4, -1, 0, 0, "65536"}, {8, 10, -1, 0, 0, "bits is 10"},
        {8, 1, 1, 0, 0, "bits is 1"},    {8, 9, 0, 0, 0, "bits is 9"},  {8, 4, 2, 0, 0, "qjl is 2"},
        {8, 4, -1, 7, 0, "metric is 7"}, {8, 4, -1, 0, 3, "rows is 3"},
    };
    tq_store *store = NULL;
    assert_int_equal(tq_open(path_of("options"), TQ_OPEN_CREATE, &store), TQ_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tq_index_options options = tq_index_defaults(cases[i].dim);
        tq_index *index = NULL;
        options.bits = cases[i].bits;
        options.qjl = cases[i].qjl;
        options.metric = (enum tq_metric)cases[i].metric;
        options.rows = (enum tq_rows)cases[i].rows;
        assert_int_equal(tq_index_create(store, "x", &options, &index), TQ_MISUSE);
        assert_message(cases[i].message);
        assert_null(index);
    }
    struct tq_index_options good = tq_index_defaults(4);
    tq_index *index = NULL;
    static const char *const names[] = {
        "", "1a", "a b", "a\"b", "_x", "x-y", "x1234567890123456789012345678901234567890123456789012345678901234"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(tq_index_create(store, names[i], &good, &index), TQ_MISUSE);
    }
    assert_int_equal(tq_index_open(store, "absent", &index), TQ_NOT_FOUND);
    assert_int_equal(tq_index_create(store, "x", &good, &index), TQ_OK);
    tq_index *twice = NULL;
    assert_int_equal(tq_index_create(store, "x", &good, &twice), TQ_EXISTS);
    assert_message("x");
    tq_index_close(index);
    tq_close(store);
}

static void test_bad_vectors(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *index = create(&store, "vectors", tq_index_defaults(4));
    float good[4] = {1, 2, 3, 4}, bad[4] = {1, 2, NAN, 4}, vectors[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -INFINITY, 0};
    const int64_t ids[3] = {10, 11, 12};
    struct tq_hit hit;
    struct tq_index_info info;
    size_t count = 0;
    assert_int_equal(tq_put(index, 1, bad), TQ_MISUSE);
    assert_message("2");
    assert_int_equal(tq_put_many(index, ids, vectors, 3), TQ_MISUSE);
    assert_message("id 12");
    assert_int_equal(tq_index_get_info(index, &info), TQ_OK);
    assert_int_equal(info.rows, 0);
    assert_int_equal(tq_put(index, 1, good), TQ_OK);
    assert_int_equal(tq_put(index, 1, good), TQ_EXISTS);
    assert_message("1");
    assert_int_equal(tq_begin(store), TQ_OK);
    assert_int_equal(tq_begin(store), TQ_MISUSE);
    assert_int_equal(tq_put(index, 2, good), TQ_OK);
    assert_int_equal(tq_put(index, 1, good), TQ_EXISTS); /* the transaction goes on without it */
    assert_int_equal(tq_delete(index, 77), TQ_NOT_FOUND);
    assert_int_equal(tq_commit(store), TQ_OK);
    assert_int_equal(tq_commit(store), TQ_MISUSE);
    assert_int_equal(tq_get(index, 77, good), TQ_NOT_FOUND);
    assert_message("77");
    assert_int_equal(tq_search(index, bad, 1, 1, NULL, &hit, &count, NULL), TQ_MISUSE);
    assert_message("nan");
    assert_int_equal(tq_search(index, good, 1, -3, NULL, &hit, &count, NULL), TQ_MISUSE);
    assert_message("k is -3");
    assert_int_equal(tq_search(index, good, 1, 0, NULL, NULL, &count, NULL), TQ_OK);
    assert_int_equal(count, 0);
    tq_index_close(index);
    tq_close(store);
}

static void test_bad_searches(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *index = create(&store, "searches", tq_index_defaults(4));
    const float query[4] = {1, 2, 3, 4};
    static const struct {
        double confidence, oversample;
        int threads, device;
        const char *message;
    } cases[] = {{0, 0, 1, 0, "confidence"},
                 {-1, 0, 1, 0, "confidence is -1"},
                 {NAN, 0, 1, 0, "confidence"},
                 {3, 0.5, 1, 0, "oversample"},
                 {3, -1, 1, 0, "oversample"},
                 {3, 0, 0, 0, "threads is 0"},
                 {3, 0, 1000, 0, "256"},
                 {3, 0, 1, 3, "device is 3; it must be 0 to 2: TQ_DEVICE_CPU, TQ_DEVICE_AUTO or TQ_DEVICE_GPU"},
                 {3, 0, 1, -1, "device is -1; it must be 0 to 2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tq_search_options options = {.confidence = cases[i].confidence,
                                            .oversample = cases[i].oversample,
                                            .threads = cases[i].threads,
                                            .device = (enum tq_device)cases[i].device};
        struct tq_hit hit;
        size_t count = 0;
        assert_int_equal(tq_search(index, query, 1, 1, &options, &hit, &count, NULL), TQ_MISUSE);
        assert_message(cases[i].message);
    }
    tq_index_close(index);
    tq_close(store);
}

static void test_bad_stores(void **state) {
    (void)state;
    tq_store *store = NULL;
    assert_int_equal(tq_open(path_of("nothing"), 0, &store), TQ_NOT_FOUND);
    assert_message("nothing");
    assert_int_equal(tq_open("", 0, &store), TQ_MISUSE);
    assert_int_equal(tq_open(path_of("a"), 64, &store), TQ_MISUSE);
    assert_int_equal(mkdir(path_of("other"), 0700), 0);
    FILE *file = fopen(path_of("other/readme"), "w");
    assert_non_null(file);
    (void)fputs("not a store", file);
    (void)fclose(file);
    assert_int_equal(tq_open(path_of("other"), TQ_OPEN_CREATE, &store), TQ_FORMAT);
    assert_int_equal(tq_open(path_of("other"), 0, &store), TQ_FORMAT);
    assert_null(store);
    assert_int_equal(mkdir(path_of("fresh"), 0700), 0);
    assert_int_equal(tq_open(path_of("fresh"), 0, &store), TQ_FORMAT);
    assert_int_equal(tq_open(path_of("fresh"), TQ_OPEN_CREATE, &store), TQ_OK);
    tq_close(store);
}

static void test_transactions(void **state) {
    (void)state;
    enum { DIM = 16 };
    tq_store *store = NULL;
    tq_index *index = create(&store, "transactions", tq_index_defaults(DIM));
    float vector[DIM];
    struct tq_index_info info;
    for (int64_t id = 0; id < 20; id++) {
        vector_of(id, DIM, vector);
        assert_int_equal(tq_put(index, id, vector), TQ_OK);
    }
    assert_int_equal(tq_begin(store), TQ_OK);
    for (int64_t id = 20; id < 12000; id++) {
        vector_of(id, DIM, vector);
        assert_int_equal(tq_put(index, id, vector), TQ_OK);
    }
    assert_int_equal(tq_delete(index, 3), TQ_OK);
    assert_int_equal(tq_index_get_info(index, &info), TQ_OK);
    assert_int_equal(info.rows, 20); /* others see what was committed */
    tq_abort(store);
    assert_int_equal(tq_index_get_info(index, &info), TQ_OK);
    assert_int_equal(info.rows, 20);
    assert_int_equal(tq_delete(index, 3), TQ_OK);
    assert_int_equal(tq_get(index, 3, vector), TQ_NOT_FOUND);
    assert_int_equal(tq_index_get_info(index, &info), TQ_OK);
    assert_int_equal(info.rows, 19);
    tq_index_close(index);
    tq_close(store);
}

/* Many small commits, a bulk load, deletions: the rows that must be there are, before and after optimize. */
static void test_life_of_an_index(void **state) {
    (void)state;
    enum { DIM = 8, COUNT = 30000 };
    struct tq_index_options options = tq_index_defaults(DIM);
    tq_store *store = NULL;
    tq_index *index = create(&store, "life", options);
    int64_t *ids = malloc(COUNT * sizeof *ids);
    float *vectors = malloc(COUNT * DIM * sizeof *vectors), got[DIM];
    for (int64_t i = 0; i < COUNT; i++) {
        ids[i] = i;
        vector_of(i, DIM, vectors + i * DIM);
    }
    assert_int_equal(tq_put_many(index, ids, vectors, COUNT / 2), TQ_OK);
    for (int64_t i = COUNT / 2; i < COUNT / 2 + 50; i++) assert_int_equal(tq_put(index, i, vectors + i * DIM), TQ_OK);
    assert_int_equal(tq_put_many(index, ids + COUNT / 2 + 50, vectors + (COUNT / 2 + 50) * DIM, COUNT / 2 - 50), TQ_OK);
    for (int64_t i = 0; i < COUNT; i += 3) {
        if (i % 300 == 0) assert_int_equal(tq_delete(index, i), TQ_OK);
    }
    for (int round = 0; round < 2; round++) {
        struct tq_index_info info;
        assert_int_equal(tq_index_get_info(index, &info), TQ_OK);
        assert_int_equal(info.rows, COUNT - COUNT / 300);
        for (int64_t i = 0; i < COUNT; i += 149) {
            struct tq_hit hit;
            size_t count = 0;
            assert_int_equal(tq_get(index, i, got), i % 300 == 0 ? TQ_NOT_FOUND : TQ_OK);
            if (i % 300 == 0) continue;
            assert_memory_equal(got, vectors + i * DIM, sizeof got);
            assert_int_equal(tq_search(index, got, 1, 1, NULL, &hit, &count, NULL), TQ_OK);
            assert_int_equal(hit.id, i);
        }
        assert_int_equal(tq_index_optimize(index), TQ_OK);
    }
    free(ids);
    free(vectors);
    tq_index_close(index);
    tq_close(store);
}

static void test_two_indexes(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *words = create(&store, "two", tq_index_defaults(3)), *images = NULL, *again = NULL;
    struct tq_index_options options = tq_index_defaults(5);
    const float three[3] = {1, 2, 3}, five[5] = {5, 4, 3, 2, 1};
    float got[5];
    assert_int_equal(tq_index_create(store, "images", &options, &images), TQ_OK);
    assert_int_equal(tq_begin(store), TQ_OK);
    assert_int_equal(tq_put(words, 1, three), TQ_OK);
    assert_int_equal(tq_put(images, 1, five), TQ_OK);
    assert_int_equal(tq_commit(store), TQ_OK);
    assert_int_equal(tq_get(images, 1, got), TQ_OK);
    assert_memory_equal(got, five, sizeof five);
    assert_int_equal(tq_index_open(store, "words", &again), TQ_OK);
    assert_ptr_equal(again, words);
    tq_index_close(again);
    assert_int_equal(tq_get(words, 1, got), TQ_OK);
    assert_memory_equal(got, three, sizeof three);
    assert_int_equal(tq_index_drop(store, "images"), TQ_BUSY);
    tq_index_close(words);
    tq_index_close(images);
    assert_int_equal(tq_index_drop(store, "images"), TQ_OK);
    assert_int_equal(tq_index_drop(store, "images"), TQ_NOT_FOUND);
    assert_int_equal(tq_index_open(store, "images", &images), TQ_NOT_FOUND);
    assert_int_equal(tq_index_create(store, "images", &options, &images), TQ_OK);
    assert_int_equal(tq_get(images, 1, got), TQ_NOT_FOUND);
    tq_index_close(images);
    tq_close(store);
}

/* ---- Readers beside a writer ---- */

enum { SHARED_DIM = 24, SHARED_ROWS = 4000 };

struct shared {
    tq_index *index;
    int failures;
};

static void *read_along(void *argument) {
    struct shared *shared = argument;
    float vector[SHARED_DIM];
    for (int i = 0; i < 300; i++) {
        struct tq_hit hits[5];
        size_t count = 0;
        int64_t id = i % 500; /* committed before the readers began */
        vector_of(id, SHARED_DIM, vector);
        bool good = tq_search(shared->index, vector, 1, 5, NULL, hits, &count, NULL) == TQ_OK && hits[0].id == id;
        if (!good) shared->failures++;
    }
    return NULL;
}

static void test_readers_beside_a_writer(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *index = create(&store, "shared", tq_index_defaults(SHARED_DIM));
    struct shared shared[4];
    pthread_t threads[4];
    float vector[SHARED_DIM];
    for (int64_t id = 0; id < SHARED_ROWS; id++) {
        if (id == 500) {
            for (int t = 0; t < 4; t++) {
                shared[t] = (struct shared){.index = index};
                assert_int_equal(pthread_create(&threads[t], NULL, read_along, &shared[t]), 0);
            }
        }
        if (id % 250 == 0) assert_int_equal(tq_begin(store), TQ_OK);
        vector_of(id, SHARED_DIM, vector);
        assert_int_equal(tq_put(index, id, vector), TQ_OK);
        if (id % 250 == 249) assert_int_equal(tq_commit(store), TQ_OK);
    }
    for (int t = 0; t < 4; t++) {
        assert_int_equal(pthread_join(threads[t], NULL), 0);
        assert_int_equal(shared[t].failures, 0);
    }
    tq_index_close(index);
    tq_close(store);
}

static void test_instruction_sets(void **state) {
    (void)state;
#ifdef __x86_64__
    static const char *const refused[] = {"neon", "altivec", "", "AVX2"};
#else
    static const char *const refused[] = {"avx2", "altivec", "", "NEON"};
#endif
    tq_store *store = NULL;
    const char *before = getenv("TQ_ISA");
    char kept[32];
    (void)snprintf(kept, sizeof kept, "%s", before == NULL ? "" : before);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        (void)setenv("TQ_ISA", refused[i], 1);
        assert_int_equal(tq_open(path_of("sets"), TQ_OPEN_CREATE, &store), TQ_MISUSE);
        assert_message(i == 0 ? "this CPU does not have; it must be one of scalar" : "no instruction set known here");
    }
    (void)setenv("TQ_ISA", "scalar", 1);
    tq_index *index = create(&store, "sets", tq_index_defaults(5));
    struct tq_index_info info;
    assert_int_equal(tq_index_get_info(index, &info), TQ_OK);
    assert_string_equal(info.isa, "scalar");
    tq_index_close(index);
    tq_close(store);
    (void)(before == NULL ? unsetenv("TQ_ISA") : setenv("TQ_ISA", kept, 1));
}

static int child_searches(void) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    const float query[4] = {1, 2, 3, 4};
    struct tq_search_options options = tq_search_defaults();
    struct tq_hit hit = {.id = -1};
    size_t count = 0;
    options.threads = 3;
    (void)alarm(20);
    bool good = tq_open(path_of("forked"), 0, &store) == TQ_OK && tq_index_open(store, "words", &index) == TQ_OK &&
                tq_search(index, query, 1, 1, &options, &hit, &count, NULL) == TQ_OK && count == 1 && hit.id == 7;
    return good ? 0 : 1;
}

/* OpenMP's threads do not follow into a child, and it must not wait for them. */
static void test_fork_after_threads(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *index = create(&store, "forked", tq_index_defaults(4));
    const float query[4] = {1, 2, 3, 4};
    struct tq_search_options options = tq_search_defaults();
    struct tq_hit hit;
    size_t count = 0;
    options.threads = 3;
    assert_int_equal(tq_put(index, 7, query), TQ_OK);
    assert_int_equal(tq_search(index, query, 1, 1, &options, &hit, &count, NULL), TQ_OK);
    pid_t child = fork();
    if (child == 0) _exit(child_searches());
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    tq_index_close(index);
    tq_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_search_reopen),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_bad_vectors),
        cmocka_unit_test(test_bad_searches),
        cmocka_unit_test(test_bad_stores),
        cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_fork_after_threads),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_life_of_an_index),
        cmocka_unit_test(test_two_indexes),
        cmocka_unit_test(test_readers_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
