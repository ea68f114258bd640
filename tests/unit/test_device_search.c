/* A search with the help of a device has the CPU's answer, whatever is resident, allowed, deleted or failing. The
 * device is the emulated plugin (tests/cuda), which ends the program where the library breaks the plugin's rules. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "index/device_parts.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "tests/unit/scratch_folder.h"

enum { QUERIES = 11, MOST = 5000 };

static char plugin[300];

/* ---- The device ---- */

static void set(const char *name, const char *value) {
    if (value == NULL)
        (void)unsetenv(name);
    else
        (void)setenv(name, value, 1);
}

/* The environment of a device, read anew. */
static void use_device(const char *gpu, const char *memory, const char *file) {
    tq_device_forget();
    set("TQ_GPU", gpu);
    set("TQ_GPU_MEMORY", memory);
    set("TQ_GPU_PLUGIN", file == NULL ? plugin : file);
    set("TQ_EMULATED_FAIL", NULL);
    set("TQ_EMULATED_CANDIDATES", NULL);
    set("TQ_EMULATED_ABI", NULL);
}

static struct tq_device_state state_now(void) {
    struct tq_device_state state;
    tq_device_get_state(true, &state);
    return state;
}

/* ---- Stores ---- */

static tq_store *store;
static tq_index *index_of_test;
static uint32_t dim_of_test;
static char store_path[512];

/* Rows around a few centres, with copies, a zero vector and many norms. */
static void make_row(uint64_t seed, uint64_t row, uint32_t dim, float *vector) {
    uint64_t like = row % 13 == 12 ? row - 3 : row, centre = like % 17;
    float scale = like % 7 == 3 ? 4.0f : 1.0f;
    for (uint32_t j = 0; j < dim; j++) {
        double spread = (double)(tq_rng_at(seed, like, j) >> 11) * 0x1p-53 - 0.5;
        double middle = (double)(tq_rng_at(seed, 1000000 + centre, j) >> 11) * 0x1p-53 - 0.5;
        vector[j] = row == 19 ? 0.0f : scale * (float)(like % 5 == 0 ? spread : middle + 0.6 * spread);
    }
}

static void put(uint64_t first, size_t count) {
    float *vectors = tq_alloc_array(count * dim_of_test, sizeof *vectors);
    int64_t *ids = tq_alloc_array(count, sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int64_t)(first + i);
        make_row(1, first + i, dim_of_test, vectors + i * dim_of_test);
    }
    assert_int_equal(tq_put_many(index_of_test, ids, vectors, count), TQ_OK);
    tq_free(vectors);
    tq_free(ids);
}

static void open_index(const struct tq_index_options *options) {
    static int number;
    char name[40];
    (void)snprintf(name, sizeof name, "store%d", number++);
    (void)snprintf(store_path, sizeof store_path, "%s", path_of(name));
    assert_int_equal(tq_open(store_path, TQ_OPEN_CREATE, &store), TQ_OK);
    assert_int_equal(tq_index_create(store, "rows", options, &index_of_test), TQ_OK);
    dim_of_test = options->dim;
}

static void close_index(void) {
    tq_index_close(index_of_test);
    tq_close(store);
}

/* Segments of several sizes and, unless `sealed`, rows in the log. */
static void fill_index(bool sealed) {
    put(0, 1400);
    assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    put(1400, 600);
    for (int64_t id = 100; id < 1300; id += 37) assert_int_equal(tq_delete(index_of_test, id), TQ_OK);
    if (sealed) assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
}

/* ---- Comparing ---- */

static struct tq_search_stats last;

static void compare(const struct tq_search_options *asked, size_t query_count, size_t k, bool helped) {
    struct tq_search_options options = *asked;
    float *queries = tq_alloc_array(query_count * dim_of_test, sizeof *queries);
    struct tq_hit *hits = tq_alloc_zero((2 * query_count * k + 1) * sizeof *hits), *again = hits + query_count * k;
    size_t counts[2][QUERIES];
    for (size_t i = 0; i < query_count; i++)
        make_row(i % 3 == 0 ? 1 : 2, 29 * i + 1, dim_of_test, queries + i * dim_of_test);
    options.device = TQ_DEVICE_CPU;
    assert_int_equal(tq_search(index_of_test, queries, query_count, (int64_t)k, &options, hits, counts[0], &last),
                     TQ_OK);
    assert_int_equal(last.device, 0);
    options.device = TQ_DEVICE_GPU;
    assert_int_equal(tq_search(index_of_test, queries, query_count, (int64_t)k, &options, again, counts[1], &last),
                     TQ_OK);
    if (last.device != (helped ? query_count : 0)) {
        fail_msg("dim %u, k %zu: %llu of %zu had help: %s", dim_of_test, k, (unsigned long long)last.device,
                 query_count, state_now().fallback);
    }
    for (size_t i = 0; i < query_count; i++) {
        assert_int_equal(counts[0][i], counts[1][i]);
        assert_memory_equal(hits + i * k, again + i * k, counts[0][i] * sizeof *hits);
    }
    tq_free(queries);
    tq_free(hits);
}

static void compare_range(const struct tq_search_options *asked, double share, bool helped) {
    struct tq_search_options options = *asked;
    float *query = tq_alloc_array(dim_of_test, sizeof *query);
    struct tq_hit *hits = tq_alloc_zero(3 * MOST * sizeof *hits);
    size_t count = 0, again = 0;
    make_row(1, 30, dim_of_test, query);
    options.device = TQ_DEVICE_CPU;
    assert_int_equal(tq_search(index_of_test, query, 1, MOST, &options, hits, &count, NULL), TQ_OK);
    double score = hits[(size_t)(share * (double)count)].score;
    assert_int_equal(tq_search_range(index_of_test, query, score, MOST, &options, hits + MOST, &count, NULL), TQ_OK);
    options.device = TQ_DEVICE_GPU;
    assert_int_equal(tq_search_range(index_of_test, query, score, MOST, &options, hits + 2 * MOST, &again, &last),
                     TQ_OK);
    assert_int_equal(count, again);
    assert_memory_equal(hits + MOST, hits + 2 * MOST, count * sizeof *hits);
    assert_int_equal(last.device, helped);
    tq_free(query);
    tq_free(hits);
}

/* Whatever can be asked of an index. */
static void compare_all(void) {
    static const size_t ks[] = {1, 10, 1000, MOST};
    struct tq_search_options options = tq_search_defaults();
    for (size_t i = 0; i < TQ_COUNT(ks); i++) {
        compare(&options, 1, ks[i], ks[i] <= 1024);
        if (i % 2 == 1) compare(&options, QUERIES, ks[i], ks[i] <= 1024);
    }
    compare(&options, 2, 0, false);
    compare_range(&options, 0.01, true);
    compare_range(&options, 0.5, true);
    options.confidence = TQ_EXACT;
    compare(&options, 3, 10, true);
    compare_range(&options, 0.02, true);
    options.confidence = 2;
    options.oversample = 3;
    compare(&options, 2, 20, true);
    options.confidence = 0.5;
    options.oversample = 0;
    compare(&options, 2, 5, true);
}

/* ---- Tests ---- */

static void test_formats(void **state) {
    (void)state;
    static const struct {
        uint32_t dim, bits;
        int qjl;
        enum tq_rows rows;
        enum tq_metric metric;
    } formats[] = {
        {64, 4, 1, TQ_ROWS_F32, TQ_COSINE}, {100, 4, 1, TQ_ROWS_F16, TQ_IP},     {33, 5, 1, TQ_ROWS_F32, TQ_L2},
        {300, 3, 0, TQ_ROWS_F32, TQ_L2},    {70, 2, 1, TQ_ROWS_NONE, TQ_COSINE}, {128, 4, 1, TQ_ROWS_NONE, TQ_COSINE},
        {16, 1, 0, TQ_ROWS_F32, TQ_COSINE}, {3, 4, 0, TQ_ROWS_F32, TQ_COSINE},   {1, 2, 0, TQ_ROWS_F32, TQ_IP},
    };
    use_device(NULL, NULL, NULL);
    for (size_t i = 0; i < TQ_COUNT(formats); i++) {
        struct tq_index_options options = tq_index_defaults(formats[i].dim);
        options.bits = formats[i].bits;
        options.qjl = formats[i].qjl;
        options.rows = formats[i].rows;
        options.metric = formats[i].metric;
        open_index(&options);
        fill_index(false);
        compare_all();
        close_index();
        assert_int_equal(state_now().segments, 0); /* the last handle took them along */
    }
}

/* Several segments: exact rows of 256 floats fill a chunk of a flush at about a thousand. */
static void open_wide(void) {
    struct tq_index_options options = tq_index_defaults(256);
    open_index(&options);
    for (int i = 0; i < 4; i++) put((uint64_t)i * 1100, 1100);
}

static size_t segments_of_index(void) {
    struct tq_index_info info;
    assert_int_equal(tq_index_get_info(index_of_test, &info), TQ_OK);
    return info.segments;
}

static void test_writes_between_searches(void **state) {
    (void)state;
    struct tq_search_options options = tq_search_defaults();
    use_device(NULL, NULL, NULL);
    open_wide();
    assert_true(segments_of_index() > 1);
    compare(&options, 3, 10, true);
    assert_int_equal(state_now().segments, segments_of_index());
    assert_int_equal(tq_delete(index_of_test, 31), TQ_OK);
    compare(&options, 3, 10, true);
    put(MOST, 700); /* some in the log */
    compare(&options, 3, 10, true);
    assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    assert_int_equal(segments_of_index(), 1);
    compare(&options, 3, 10, true);
    assert_int_equal(state_now().segments, 1); /* it needed the place of the others */
    put(MOST + 700, 1200);
    compare(&options, QUERIES, 10, true);
    assert_int_equal(tq_begin(store), TQ_OK);
    for (int64_t id = 300; id < MOST + 1900; id++) (void)tq_delete(index_of_test, id);
    assert_int_equal(tq_commit(store), TQ_OK);
    assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    compare(&options, 3, 10, true);
    assert_true(state_now().segments > segments_of_index()); /* another view may have the old ones */
    for (int i = 0; i < 130; i++) compare(&options, 1, 1, true);
    assert_int_equal(state_now().segments, segments_of_index());
    close_index();
}

static void test_log_alone(void **state) {
    (void)state;
    struct tq_search_options options = tq_search_defaults();
    struct tq_index_options of_index = tq_index_defaults(20);
    use_device(NULL, NULL, NULL);
    open_index(&of_index);
    compare(&options, 2, 3, false);
    put(0, 150);
    compare(&options, 2, 3, false);
    assert_non_null(strstr(state_now().fallback, "log"));
    close_index();
    of_index.bits = 8;
    open_index(&of_index);
    put(0, 200);
    assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    compare(&options, QUERIES, 3, false);
    assert_non_null(strstr(state_now().fallback, "bits"));
    assert_int_equal(state_now().fallbacks, 2 + QUERIES); /* an empty index asks nobody */
    close_index();
}

static void test_filters(void **state) {
    (void)state;
    uint64_t bits[MOST / 64];
    struct tq_filter filter = {bits, 0, 64 * TQ_COUNT(bits)};
    struct tq_search_options options = tq_search_defaults();
    use_device(NULL, NULL, NULL);
    open_wide();
    put(MOST, 100);
    for (uint64_t every = 1; every <= 2000; every = 3 * every + 1) {
        memset(bits, 0, sizeof bits);
        for (uint64_t id = 5; id < filter.count; id += every) bits[id / 64] |= UINT64_C(1) << id % 64;
        options.filter = &filter;
        compare(&options, 3, 10, true);
        compare_range(&options, 0.3, true);
        options.filter = NULL;
        compare(&options, 1, 10, true);
        assert_int_equal(tq_delete(index_of_test, (int64_t)every + 40), TQ_OK);
    }
    memset(bits, 0, sizeof bits);
    options.filter = &filter;
    compare(&options, 2, 10, false); /* nothing to be found */
    filter.first_id = 4000;
    bits[2] = UINT64_MAX;
    compare(&options, 2, 10, true);
    close_index();
}

static void test_memory(void **state) {
    (void)state;
    struct tq_search_options options = tq_search_defaults();
    use_device(NULL, "0", NULL);
    open_wide();
    compare(&options, 3, 10, false);
    assert_non_null(strstr(state_now().fallback, "memory"));
    close_index();
    use_device(NULL, "1", NULL);
    open_wide();
    put(MOST, 9000);
    assert_true(segments_of_index() > 4);
    compare(&options, 3, 10, true);
    struct tq_device_state now = state_now();
    assert_true(now.segments > 0 && now.segments < segments_of_index() && now.resident <= now.limit);
    compare(&options, QUERIES, 100, true);
    options.confidence = TQ_EXACT;
    compare(&options, 2, 10, true);
    compare_range(&options, 0.1, true);
    close_index();
    use_device(NULL, "64", NULL); /* more than the device has */
    set("TQ_EMULATED_MEMORY", "900000");
    open_wide();
    options.confidence = 3;
    compare(&options, 3, 10, true);
    put(MOST, 9000);
    compare(&options, 3, 10, true);
    assert_true(state_now().segments < segments_of_index());
    set("TQ_EMULATED_MEMORY", NULL);
    close_index();
}

static void test_eviction(void **state) {
    (void)state;
    struct tq_search_options options = tq_search_defaults();
    use_device(NULL, "1", NULL);
    open_wide();
    tq_store *first_store = store;
    tq_index *first = index_of_test;
    compare(&options, 1, 10, true);
    open_wide();
    tq_store *second_store = store;
    tq_index *second = index_of_test;
    for (int i = 0; i < 14; i++) compare(&options, 1, 10, false);
    assert_int_equal(state_now().sets, 1); /* the first was used a moment ago */
    for (int i = 0; i < 257; i++) {        /* after so many it is looked for room again */
        float query[256];
        struct tq_hit hit;
        size_t count;
        make_row(1, 3, 256, query);
        options.device = TQ_DEVICE_GPU;
        assert_int_equal(tq_search(second, query, 1, 1, &options, &hit, &count, NULL), TQ_OK);
    }
    compare(&options, 2, 10, true);
    assert_int_equal(state_now().sets, 1);
    index_of_test = first;
    compare(&options, 2, 10, false);
    tq_index_close(first);
    tq_close(first_store);
    index_of_test = second;
    store = second_store;
    compare(&options, 2, 10, true);
    close_index();
}

static void test_no_plugin(void **state) {
    (void)state;
    static const struct {
        const char *gpu, *memory, *file, *abi, *why;
    } cases[] = {
        {"off", NULL, NULL, NULL, "TQ_GPU is off"},
        {"fast", NULL, NULL, NULL, "TQ_GPU is \"fast\"; it must be off, auto or the number of a device"},
        {"-1", NULL, NULL, NULL, "TQ_GPU is \"-1\"; it must be off, auto or the number of a device"},
        {"1", NULL, NULL, NULL, "there is no device 1"},
        {NULL, "4G", NULL, NULL, "TQ_GPU_MEMORY is \"4G\"; it must be a number of MiB"},
        {NULL, NULL, "/nowhere/libtq_cuda.so", NULL, "no plugin"},
        {NULL, NULL, "libm.so.6", NULL, "has no tq_cuda_plugin()"},
        {NULL, NULL, NULL, "none", "is of another version"},
        {NULL, NULL, NULL, "77", "is of another version"},
    };
    struct tq_search_options options = tq_search_defaults();
    struct tq_index_options of_index = tq_index_defaults(40);
    open_index(&of_index);
    put(0, 900);
    assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    for (size_t i = 0; i < TQ_COUNT(cases); i++) {
        use_device(cases[i].gpu, cases[i].memory, cases[i].file);
        set("TQ_EMULATED_ABI", cases[i].abi);
        struct tq_device_state now = state_now();
        assert_false(now.usable);
        if (strstr(now.why, cases[i].why) == NULL) fail_msg("%s: %s", cases[i].why, now.why);
        compare(&options, 1, 10, false);
        compare(&options, QUERIES, 10, false);
        assert_string_equal(state_now().fallback, now.why);
        assert_int_equal(state_now().fallbacks, 1 + QUERIES);
    }
    use_device("0", NULL, NULL);
    assert_true(state_now().usable);
    assert_string_equal(state_now().why, "");
    assert_string_equal(state_now().device.name, "emulated device");
    compare(&options, QUERIES, 10, true);
    close_index();
}

/* As compare, whoever answers. */
static bool is_equal(size_t query_count, size_t k, double confidence, uint64_t *helped) {
    struct tq_search_options options = tq_search_defaults();
    struct tq_search_stats stats;
    float queries[QUERIES * 256];
    struct tq_hit hits[2][QUERIES * 10];
    size_t counts[2][QUERIES];
    enum tq_status status[2];
    options.confidence = confidence;
    memset(hits, 0, sizeof hits);
    for (size_t i = 0; i < query_count; i++)
        make_row(i % 3 == 0 ? 1 : 2, 31 * i + 1, dim_of_test, queries + i * dim_of_test);
    for (int device = 0; device < 2; device++) {
        options.device = device == 0 ? TQ_DEVICE_CPU : TQ_DEVICE_GPU;
        status[device] = tq_search(index_of_test, queries, query_count, (int64_t)k, &options, hits[device],
                                   counts[device], &stats);
    }
    *helped += stats.device;
    return status[0] == TQ_OK && status[1] == TQ_OK &&
           memcmp(counts[0], counts[1], query_count * sizeof counts[0][0]) == 0 &&
           memcmp(hits[0], hits[1], query_count * k * sizeof hits[0][0]) == 0;
}

static void test_failures(void **state) {
    (void)state;
    static const char *const kinds[] = {"memory", "lost"};
    uint64_t helped = 0;
    for (size_t kind = 0; kind < TQ_COUNT(kinds); kind++) {
        for (int call = 1; call < 60; call += call < 12 ? 1 : 5) {
            struct tq_index_options options = tq_index_defaults(256);
            char text[40];
            use_device(NULL, NULL, NULL);
            open_index(&options);
            put(0, 1030);
            put(1030, 20);
            (void)snprintf(text, sizeof text, "%d:%s", call, kinds[kind]);
            set("TQ_EMULATED_FAIL", text);
            assert_true(is_equal(1, 10, 3, &helped));
            put(MOST, 1030);
            assert_true(is_equal(3, 10, 3, &helped));
            assert_true(is_equal(1, 10, TQ_EXACT, &helped));
            if (kind == 0) assert_true(call < 3 || state_now().usable); /* the first two open the device */
            if (kind == 1 && !state_now().usable) assert_string_not_equal(state_now().why, "");
            close_index();
        }
    }
    assert_true(helped > 0);
}

/* Segments that a merge replaced are cleared one after another: once the device is lost, none of them. */
static void test_lost_while_clearing(void **state) {
    (void)state;
    uint64_t helped = 0;
    use_device(NULL, NULL, NULL);
    open_wide();
    put(MOST, 9000);
    assert_true(is_equal(1, 10, 3, &helped));
    assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    set("TQ_EMULATED_FAIL", "set_clear:1:lost");
    assert_true(is_equal(1, 10, 3, &helped));
    assert_int_equal(helped, 1);
    assert_non_null(strstr(state_now().why, "the device was lost"));
    assert_int_equal(state_now().resident, 0);
    close_index();
}

static uint64_t helped_automatically(const struct tq_filter *filter) {
    struct tq_search_options options = tq_search_defaults();
    struct tq_search_stats stats;
    float query[4] = {1, -2, 3, 1};
    struct tq_hit hits[10];
    size_t count;
    options.device = TQ_DEVICE_AUTO;
    options.filter = filter;
    options.confidence = 1;
    assert_int_equal(tq_search(index_of_test, query, 1, 10, &options, hits, &count, &stats), TQ_OK);
    assert_int_equal(count, 10);
    return stats.device;
}

static void test_auto(void **state) {
    (void)state;
    struct tq_index_options options = tq_index_defaults(4);
    uint64_t bits[1] = {UINT64_MAX};
    struct tq_filter few = {bits, 100, 64};
    options.bits = 2;
    use_device(NULL, NULL, NULL);
    open_index(&options);
    put(0, 199000);
    assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    assert_int_equal(helped_automatically(NULL), 0);
    put(199000, 9000);
    assert_int_equal(helped_automatically(NULL), 1);
    assert_int_equal(helped_automatically(&few), 0); /* the CPU reads these 64 rows faster */
    assert_int_equal(state_now().fallbacks, 0);
    close_index();
}

/* Only the farther half of the rows allowed: scores are dense there, answers are doubted and sought again
 * (docs/decisions/0003), also when the CPU has had to finish what a device began. */
static void test_doubt(void **state) {
    (void)state;
    static const char *const failing[] = {NULL, "search_end:1+:memory"};
    uint64_t bits[MOST / 64 + 1];
    struct tq_filter filter = {bits, 0, MOST};
    struct tq_search_options options = tq_search_defaults();
    struct tq_hit *hits = tq_alloc_array(MOST, sizeof *hits);
    float query[256];
    size_t count;
    use_device(NULL, NULL, NULL);
    open_wide();
    put(4400, 200); /* in the log: the CPU's part */
    for (uint64_t i = 0; i < 24; i++) {
        struct tq_hit found[2][10];
        size_t counts[2];
        set("TQ_EMULATED_FAIL", NULL);
        make_row(2, 5 * i, 256, query);
        options.device = TQ_DEVICE_CPU;
        options.filter = NULL;
        assert_int_equal(tq_search(index_of_test, query, 1, MOST, &options, hits, &count, NULL), TQ_OK);
        memset(bits, 0, sizeof bits);
        for (size_t j = count / 2; j < count; j++) bits[hits[j].id / 64] |= UINT64_C(1) << hits[j].id % 64;
        options.filter = &filter;
        options.confidence = i % 3 == 0 ? 2 : 3;
        set("TQ_EMULATED_FAIL", failing[i % 2]);
        for (int device = 0; device < 2; device++) {
            options.device = device == 0 ? TQ_DEVICE_CPU : TQ_DEVICE_GPU;
            assert_int_equal(tq_search(index_of_test, query, 1, 10, &options, found[device], &counts[device], &last),
                             TQ_OK);
        }
        assert_int_equal(last.device, i % 2 == 0);
        assert_int_equal(counts[0], counts[1]);
        assert_memory_equal(found[0], found[1], counts[0] * sizeof found[0][0]);
    }
    tq_free(hits);
    close_index();
}

static void test_few_candidates(void **state) {
    (void)state;
    uint64_t helped = 0;
    use_device(NULL, NULL, NULL);
    open_wide();
    for (int room = 0; room < 60; room += 9) {
        char text[20];
        (void)snprintf(text, sizeof text, "%d", room);
        set("TQ_EMULATED_CANDIDATES", text);
        assert_true(is_equal(1, 10, 3, &helped));
        assert_true(is_equal(3, 10, 3, &helped));
        assert_true(is_equal(1, 10, TQ_EXACT, &helped));
    }
    assert_true(helped > 0);
    close_index();
}

static void test_no_memory(void **state) {
    (void)state;
    struct tq_search_options options = tq_search_defaults();
    struct tq_hit expected[10], hits[10];
    size_t count, number;
    float query[256];
    uint64_t helped = 0;
    use_device(NULL, NULL, NULL);
    open_wide();
    make_row(1, 30, 256, query);
    assert_int_equal(tq_search(index_of_test, query, 1, 10, &options, expected, &count, NULL), TQ_OK);
    options.device = TQ_DEVICE_GPU;
    for (long n = 1; n < 40; n++) {
        tq_index *again = NULL;
        tq_store *own = NULL;
        struct tq_search_stats stats;
        assert_int_equal(tq_open(store_path, 0, &own), TQ_OK);
        assert_int_equal(tq_index_open(own, "rows", &again), TQ_OK);
        assert_int_equal(tq_search(again, query, 1, 1, NULL, hits, &number, NULL), TQ_OK); /* the CPU has its memory */
        tq_alloc_fail_after(n);
        enum tq_status status = tq_search(again, query, 1, 10, &options, hits, &number, &stats);
        tq_alloc_fail_after(0);
        assert_true(status == TQ_OK || status == TQ_NOMEM);
        if (status == TQ_OK) assert_memory_equal(expected, hits, sizeof hits);
        if (status == TQ_OK) helped += stats.device;
        tq_index_close(again);
        tq_close(own);
    }
    assert_true(helped > 0);
    close_index();
}

static void test_interrupts(void **state) {
    (void)state;
    struct tq_search_options options = tq_search_defaults();
    struct tq_hit hits[10];
    size_t count;
    float query[256];
    uint64_t helped = 0;
    use_device(NULL, NULL, NULL);
    open_wide();
    put(MOST, 20000);
    make_row(1, 30, 256, query);
    options.device = TQ_DEVICE_GPU;
    options.timeout_ms = 1;
    for (int i = 0; i < 100 && state_now().segments < segments_of_index(); i++) /* each goes on where one ended */
        (void)tq_search(index_of_test, query, 1, 10, &options, hits, &count, NULL);
    assert_int_equal(state_now().segments, segments_of_index());
    assert_true(is_equal(3, 10, 3, &helped));
    assert_int_equal(helped, 3);
    close_index();
}

static void test_fork(void **state) {
    (void)state;
    uint64_t helped = 0;
    use_device(NULL, NULL, NULL);
    open_wide();
    assert_true(is_equal(1, 10, 3, &helped));
    pid_t child = fork();
    if (child == 0) {
        struct tq_device_state now = state_now();
        uint64_t none = 0;
        tq_store *own = NULL;
        bool good = !now.usable && strstr(now.why, "fork") != NULL && tq_open(store_path, 0, &own) == TQ_OK &&
                    tq_index_open(own, "rows", &index_of_test) == TQ_OK && is_equal(3, 10, 3, &none) && none == 0;
        tq_index_close(index_of_test);
        tq_close(own);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_equal(2, 10, 3, &helped));
    assert_int_equal(helped, 3);
    close_index();
}

/* What a search reads depends on every bit of the codes. */
static void count_reads(struct tq_search_stats *stats) {
    struct tq_search_options options = tq_search_defaults();
    float query[256];
    struct tq_hit hits[30];
    size_t count;
    make_row(2, 30, dim_of_test, query);
    assert_int_equal(tq_search(index_of_test, query, 1, 30, &options, hits, &count, stats), TQ_OK);
}

static void test_encoding(void **state) {
    (void)state;
    static const enum tq_rows rows[] = {TQ_ROWS_F32, TQ_ROWS_F16, TQ_ROWS_NONE};
    static const char *const failing[] = {NULL, "encoder_open:1:memory", "encode:1:memory", "encode:1:lost"};
    for (size_t i = 0; i < TQ_COUNT(rows); i++) {
        struct tq_index_options options = tq_index_defaults(48);
        struct tq_search_stats expected, stats;
        float expected_vector[48], vector[48];
        options.rows = rows[i];
        use_device(NULL, NULL, NULL);
        open_index(&options);
        put(0, 5000);
        count_reads(&expected);
        assert_int_equal(tq_get(index_of_test, 4321, expected_vector), TQ_OK);
        close_index();
        struct tq_device_state now;
        tq_device_get_state(false, &now);
        assert_false(now.usable); /* writing has opened nothing */
        for (size_t j = 0; j < TQ_COUNT(failing); j++) {
            use_device("auto", NULL, NULL);
            set("TQ_EMULATED_FAIL", failing[j]);
            open_index(&options);
            put(0, 5000);
            count_reads(&stats);
            assert_memory_equal(&expected, &stats, sizeof stats);
            assert_int_equal(tq_get(index_of_test, 4321, vector), TQ_OK);
            assert_memory_equal(expected_vector, vector, sizeof vector);
            tq_device_get_state(false, &now);
            assert_int_equal(now.usable, j != 3);
            close_index();
        }
    }
}

static void test_refused_rows(void **state) {
    (void)state;
    enum { COUNT = 4500 };
    float *vectors = tq_alloc_array(COUNT * 16, sizeof *vectors);
    int64_t *ids = tq_alloc_array(COUNT, sizeof *ids);
    struct tq_index_options options = tq_index_defaults(16);
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = (int64_t)i;
        make_row(1, i, 16, vectors + i * 16);
    }
    use_device("0", NULL, NULL);
    open_index(&options);
    vectors[4400 * 16 + 7] = NAN;
    assert_int_equal(tq_put_many(index_of_test, ids, vectors, COUNT), TQ_MISUSE);
    assert_string_equal(tq_message(), "vector 4400 of 4500 (id 4400): vector element 7 is nan; it must be finite");
    vectors[4400 * 16 + 7] = 1;
    assert_int_equal(tq_put_many(index_of_test, ids, vectors, COUNT), TQ_OK);
    close_index();
    tq_free(vectors);
    tq_free(ids);
}

static atomic_bool writing;

static void *search_again(void *argument) {
    uint64_t helped = 0;
    bool good = true;
    for (int i = 0; i < 12 && good; i++) good = is_equal(i % 2 == 0 ? 1 : 5, 10, i == 7 ? TQ_EXACT : 3, &helped);
    *(bool *)argument = good && helped > 0;
    return NULL;
}

static void *search_while_written(void *argument) {
    struct tq_search_options options = tq_search_defaults();
    struct tq_hit hits[10];
    size_t count = 0;
    float query[256];
    bool good = true;
    make_row(1, 30, 256, query);
    options.device = TQ_DEVICE_GPU;
    while (atomic_load(&writing) && good)
        good = tq_search(index_of_test, query, 1, 10, &options, hits, &count, NULL) == TQ_OK && count == 10;
    *(bool *)argument = good;
    return NULL;
}

static void run_threads(void *(*work)(void *), bool with_writer) {
    pthread_t threads[4];
    bool good[4];
    atomic_store(&writing, true);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &good[i]), 0);
    for (uint64_t i = 0; i < 5 && with_writer; i++) {
        put(MOST + 1100 * i, 1100);
        assert_int_equal(tq_delete(index_of_test, (int64_t)i), TQ_OK);
        if (i % 2 == 1) assert_int_equal(tq_index_optimize(index_of_test), TQ_OK);
    }
    atomic_store(&writing, false);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 4; i++) assert_true(good[i]);
}

static void test_threads(void **state) {
    (void)state;
    uint64_t helped = 0;
    use_device(NULL, NULL, NULL);
    open_wide();
    run_threads(search_again, false);
    run_threads(search_while_written, true);
    assert_true(is_equal(3, 10, 3, &helped));
    assert_int_equal(helped, 3);
    close_index();
}

static void *search_once(void *index) {
    struct tq_search_options options = tq_search_defaults();
    struct tq_hit hit;
    size_t count = 0;
    float query[256] = {1};
    options.device = TQ_DEVICE_GPU;
    return tq_search(index, query, 1, 1, &options, &hit, &count, NULL) == TQ_OK && count == 1 ? index : NULL;
}

/* Two indexes that come at once share the memory as those that come one after the other. */
static void test_memory_at_once(void **state) {
    (void)state;
    for (int round = 0; round < 10; round++) {
        use_device(NULL, "1", NULL);
        open_wide();
        tq_store *first_store = store;
        tq_index *first = index_of_test;
        pthread_t thread;
        void *good = NULL;
        open_wide();
        assert_int_equal(pthread_create(&thread, NULL, search_once, first), 0);
        assert_non_null(search_once(index_of_test));
        assert_int_equal(pthread_join(thread, &good), 0);
        assert_ptr_equal(good, first);
        assert_true(state_now().resident > 0 && state_now().resident <= state_now().limit);
        tq_index_close(first);
        tq_close(first_store);
        close_index();
    }
}

static int begin_tests(void **state) {
    char self[256] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return -1;
    *strrchr(self, '/') = '\0';
    (void)snprintf(plugin, sizeof plugin, "%s/libtq_cuda_emulated.so", self);
    return make_folder(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),        cmocka_unit_test(test_writes_between_searches),
        cmocka_unit_test(test_log_alone),      cmocka_unit_test(test_filters),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_no_plugin),      cmocka_unit_test(test_failures),
        cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_few_candidates),
        cmocka_unit_test(test_interrupts),     cmocka_unit_test(test_fork),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_refused_rows),   cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_auto),           cmocka_unit_test(test_lost_while_clearing),
        cmocka_unit_test(test_memory_at_once),
    };
    return cmocka_run_group_tests(tests, begin_tests, remove_folder);
}
