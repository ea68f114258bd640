/* Settings as text, queries that carry them, and tq_config() and tq_query(), which take them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sql/options.h"
#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "src/base/rng.h"

static int open_connection(void **state) {
    sqlite3 *db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) return -1;
    *state = db;
    return 0;
}

static int close_connection(void **state) { return sqlite3_close(*state); }

/* SQLite gives its functions to the extension with the first connection. */
static int load(void **state) {
    if (sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) != SQLITE_OK || open_connection(state) != 0) return -1;
    return close_connection(state);
}

static int unload(void **state) {
    (void)state;
    sqlite3_reset_auto_extension();
    return 0;
}

/* The first column of the first row, or "error: ...". Free with sqlite3_free. */
static char *query(sqlite3 *db, const char *sql, const void *blob, size_t size) {
    sqlite3_stmt *statement = NULL;
    char *result = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK && blob != NULL) rc = sqlite3_bind_blob(statement, 1, blob, (int)size, SQLITE_TRANSIENT);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        result = sqlite3_mprintf("%s", text == NULL ? "NULL" : text);
    } else {
        result = sqlite3_mprintf("error: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    return result;
}

static void expect(sqlite3 *db, const char *sql, const char *expected) {
    char *found = query(db, sql, NULL, 0);
    if (strcmp(found, expected) != 0) fail_msg("%s\nexpected: %s\nfound: %s", sql, expected, found);
    sqlite3_free(found);
}

/* ---- Text ---- */

static const struct {
    const char *text;
    double confidence, oversample;
    int threads;
} good[] = {
    {"", 7, 8, 9},
    {" \t\r\n,, ", 7, 8, 9},
    {"confidence=3.5", 3.5, 8, 9},
    {"confidence=3.5, threads=2", 3.5, 8, 2},
    {"confidence=3.5 threads=2,oversample=4", 3.5, 4, 2},
    {" Threads = 2 ,\n CONFIDENCE =Exact", TQ_EXACT, 8, 2},
    {"confidence=1e3", 1000, 8, 9},
    {"confidence=25E-1", 2.5, 8, 9},
    {"confidence=.5", 0.5, 8, 9},
    {"confidence=2.", 2, 8, 9},
    {"confidence=0.1", 0.1, 8, 9},
    {"confidence=1e300", TQ_EXACT, 8, 9},
    {"confidence=1e999", TQ_EXACT, 8, 9},
    {"exact=on", TQ_EXACT, 8, 9},
    {"exact=true", TQ_EXACT, 8, 9},
    {"exact=1", TQ_EXACT, 8, 9},
    {"exact=off", 3, 8, 9},
    {"exact=false", 3, 8, 9},
    {"exact=0", 3, 8, 9},
    {"oversample=0", 7, 0, 9},
    {"oversample=1", 7, 1, 9},
    {"oversample=1000000", 7, 1e6, 9},
    {"rerank=on", 7, 0, 9},
    {"rerank=off", 7, 1, 9},
    {"rerank=2.5", 7, 2.5, 9},
    {"threads=1", 7, 8, 1},
    {"threads=256.0", 7, 8, 256},
    {"threads=2; threads=3", 7, 8, 3},
    {"confidence=2,threads=4;exact=on", TQ_EXACT, 8, 4},
};

#define SETTINGS "there are confidence, exact, oversample, rerank, threads, timeout_ms and device"
static const struct {
    const char *text, *message;
} bad[] = {
    {"speed=2", "unknown setting \"speed\"; " SETTINGS},
    {"order_by=scan", "unknown setting \"order_by\"; " SETTINGS},
    {"=2", "unknown setting \"\"; " SETTINGS},
    {"thread=2", "unknown setting \"thread\"; " SETTINGS},
    {"device=tpu", "device is \"tpu\"; it must be cpu, gpu or auto"},
    {"device=1", "device is \"1\"; it must be cpu, gpu or auto"},
    {"device=gpus", "device is \"gpus\"; it must be cpu, gpu or auto"},
    {"device=", "device has no value; a setting is written device=value"},
    {"device=gpu device=gpu", "device=gpu: device is set already"},
    {"timeout_ms=-1", "timeout_ms is -1; it must be 0 or more"},
    {"timeout_ms=1.5", "timeout_ms is \"1.5\"; it must be a whole number of milliseconds, or 0 for none"},
    {"timeout_ms=1e10", "timeout_ms is \"1e10\"; it must be a whole number of milliseconds, or 0 for none"},
    {"timeout_ms=5 timeout_ms=6", "timeout_ms=6: timeout_ms is set already"},
    {"threads", "threads has no value; a setting is written threads=value"},
    {"threads=", "threads has no value; a setting is written threads=value"},
    {"threads=,exact=on", "threads has no value; a setting is written threads=value"},
    {"threads 2", "threads has no value; a setting is written threads=value"},
    {"threads=0", "threads is 0; it must be 1 to 256"},
    {"threads=257", "threads is 257; it must be 1 to 256"},
    {"threads=-1", "threads is -1; it must be 1 to 256"},
    {"threads=1.5", "threads is \"1.5\"; it must be a whole number, 1 to 256"},
    {"threads=1e10", "threads is \"1e10\"; it must be a whole number, 1 to 256"},
    {"threads=all", "threads is \"all\"; it must be a whole number, 1 to 256"},
    {"threads=2x", "threads is \"2x\"; it must be a whole number, 1 to 256"},
    {"threads=0x2", "threads is \"0x2\"; it must be a whole number, 1 to 256"},
    {"threads=00000000000000000000000000000000000000002",
     "threads is \"0000000000000000000000000000000000000000\"; it must be a whole number, 1 to 256"},
    {"confidence=0", "confidence is 0; it must be above 0"},
    {"confidence=-1", "confidence is -1; it must be above 0"},
    {"confidence=sure", "confidence is \"sure\"; it must be a number above 0, or exact"},
    {"confidence=nan", "confidence is \"nan\"; it must be a number above 0, or exact"},
    {"confidence=inf", "confidence is \"inf\"; it must be a number above 0, or exact"},
    {"confidence=.", "confidence is \".\"; it must be a number above 0, or exact"},
    {"confidence=1e", "confidence is \"1e\"; it must be a number above 0, or exact"},
    {"confidence=1e+", "confidence is \"1e+\"; it must be a number above 0, or exact"},
    {"confidence=1.2.3", "confidence is \"1.2.3\"; it must be a number above 0, or exact"},
    {"confidence=+3", "confidence is \"+3\"; it must be a number above 0, or exact"},
    {"exact=maybe", "exact is \"maybe\"; it must be on or off"},
    {"oversample=0.5", "oversample is 0.5; it must be 0, or 1 to 1000000"},
    {"oversample=2e6", "oversample is 2e+06; it must be 0, or 1 to 1000000"},
    {"oversample=on", "oversample is \"on\"; it must be 0, or 1 to 1000000"},
    {"rerank=0", "rerank is \"0\"; it must be on, off, or 1 to 1000000"},
    {"rerank=no", "rerank is \"no\"; it must be on, off, or 1 to 1000000"},
    {"threads=2,threads=2", "threads=2: threads is set already"},
    {"exact=on confidence=3", "confidence=3: confidence is set already"},
    {"oversample=2,rerank=4", "rerank=4: oversample is set already"},
    {"threads=2;threads=3,threads=4", "threads=4: threads is set already"},
};

static void test_text(void **state) {
    (void)state;
    for (size_t i = 0; i < TQ_COUNT(good); i++) {
        struct tq_search_options options = {.confidence = 7, .oversample = 8, .threads = 9};
        if (tq_options_read(good[i].text, strlen(good[i].text), &options) != TQ_OK)
            fail_msg("\"%s\": %s", good[i].text, tq_message());
        if (options.confidence != good[i].confidence || options.oversample != good[i].oversample ||
            options.threads != good[i].threads) {
            fail_msg("\"%s\": confidence %g, oversample %g, threads %d", good[i].text, options.confidence,
                     options.oversample, options.threads);
        }
    }
}

/* The first setting is fine and must not stay. */
static void test_wrong_text(void **state) {
    (void)state;
    for (size_t i = 0; i < TQ_COUNT(bad); i++) {
        struct tq_search_options options = {.confidence = 7, .oversample = 8, .threads = 9}, before = options;
        char *text = sqlite3_mprintf("rerank=5,confidence=4,threads=3;%s", bad[i].text);
        assert_int_equal(tq_options_read(text, strlen(text), &options), TQ_MISUSE);
        if (strcmp(tq_message(), bad[i].message) != 0)
            fail_msg("\"%s\"\nexpected: %s\nfound: %s", bad[i].text, bad[i].message, tq_message());
        assert_memory_equal(&options, &before, sizeof options);
        sqlite3_free(text);
    }
}

static void test_device(void **state) {
    static const struct {
        const char *text;
        enum tq_device device;
    } cases[] = {{"device=gpu", TQ_DEVICE_GPU},
                 {"threads=2, Device = AUTO", TQ_DEVICE_AUTO},
                 {"device=gpu;device=cpu", TQ_DEVICE_CPU},
                 {"threads=2", TQ_DEVICE_CPU}};
    (void)state;
    for (size_t i = 0; i < TQ_COUNT(cases); i++) {
        struct tq_search_options options = tq_search_defaults();
        assert_int_equal(tq_options_read(cases[i].text, strlen(cases[i].text), &options), TQ_OK);
        assert_int_equal(options.device, cases[i].device);
    }
    struct tq_search_options options = tq_search_defaults(), other = options;
    other.device = TQ_DEVICE_GPU;
    assert_false(tq_options_same(&options, &other)); /* a kept answer is of another search */
    assert_string_equal(tq_options_device(options.device), "cpu");
    assert_string_equal(tq_options_device(TQ_DEVICE_AUTO), "auto");
    assert_string_equal(tq_options_device(TQ_DEVICE_GPU), "gpu");
}

static void test_timeout(void **state) {
    struct tq_search_options options = tq_search_defaults(), other = options;
    (void)state;
    assert_int_equal(options.timeout_ms, 0);
    assert_int_equal(tq_options_read("threads=2, timeout_ms=250", 25, &options), TQ_OK);
    assert_int_equal(options.timeout_ms, 250);
    other.threads = 2;
    assert_false(tq_options_same(&options, &other)); /* a kept answer is of another search */
}

/* The text ends where it is said to end: what follows belongs to others. */
static void test_text_ends(void **state) {
    struct tq_search_options options = tq_search_defaults();
    (void)state;
    assert_int_equal(tq_options_read("threads=25", 9, &options), TQ_OK);
    assert_int_equal(options.threads, 2);
    assert_int_equal(tq_options_read("confidence=exactly", 16, &options), TQ_OK);
    assert_true(options.confidence >= TQ_EXACT);
    assert_int_equal(tq_options_read("threads=2\0,threads=300", 22, &options), TQ_MISUSE);
    assert_int_equal(tq_options_set("threads", "34", 1, &options), TQ_OK);
    assert_int_equal(options.threads, 3);
    assert_int_equal(tq_options_set("thread", "3", 1, &options), TQ_MISUSE);
}

/* ---- Queries with options ---- */

struct wrapped {
    uint8_t *bytes;
    size_t size;
};

static struct wrapped wrap(const void *vector, size_t size, const char *text) {
    void *bytes = NULL;
    struct wrapped made = {NULL, 0};
    if (tq_options_wrap(vector, size, text, strlen(text), &bytes, &made.size) != TQ_OK) fail_msg("%s", tq_message());
    made.bytes = bytes;
    return made;
}

static const float plain[3] = {1, -2.5f, 3};

static void test_wrap(void **state) {
    static const char *const texts[] = {"", "threads=2", "threads=12", "confidence=exact, rerank=off threads=4"};
    (void)state;
    for (size_t i = 0; i < TQ_COUNT(texts); i++) {
        struct wrapped made = wrap(plain, sizeof plain, texts[i]);
        const void *vector = NULL;
        const char *text = NULL;
        size_t vector_size = 0, text_size = 0;
        float first = 0;
        assert_true(tq_options_unwrap(made.bytes, made.size, &vector, &vector_size, &text, &text_size));
        assert_int_equal(vector_size, sizeof plain);
        assert_memory_equal(vector, plain, sizeof plain);
        assert_int_equal((uintptr_t)vector % sizeof(float), 0);
        assert_int_equal(text_size, strlen(texts[i]));
        assert_memory_equal(text, texts[i], text_size);
        memcpy(&first, made.bytes, sizeof first);
        assert_true(first != first);
        tq_free(made.bytes);
    }
    const void *vector = NULL;
    const char *text = NULL;
    size_t vector_size = 0, text_size = 0;
    assert_false(tq_options_unwrap(plain, sizeof plain, &vector, &vector_size, &text, &text_size));
    assert_false(tq_options_unwrap(NULL, 0, &vector, &vector_size, &text, &text_size));
}

static void test_wrap_again(void **state) {
    struct tq_search_options options = tq_search_defaults();
    const void *vector = NULL;
    const char *text = NULL;
    size_t vector_size = 0, text_size = 0;
    (void)state;
    struct wrapped first = wrap(plain, sizeof plain, "threads=2, confidence=2");
    struct wrapped second = wrap(first.bytes, first.size, "");
    struct wrapped third = wrap(second.bytes, second.size, "oversample=3 confidence=4");
    assert_true(tq_options_unwrap(third.bytes, third.size, &vector, &vector_size, &text, &text_size));
    assert_int_equal(vector_size, sizeof plain);
    assert_memory_equal(vector, plain, sizeof plain);
    assert_int_equal(tq_options_read(text, text_size, &options), TQ_OK);
    assert_int_equal(options.threads, 2);
    assert_true(options.confidence == 4 && options.oversample == 3);
    tq_free(first.bytes);
    tq_free(second.bytes);
    tq_free(third.bytes);
}

/* Read whatever unwrap points at, in memory that ends where the bytes end. */
static bool try_bytes(const uint8_t *bytes, size_t size) {
    struct tq_search_options options = tq_search_defaults();
    const void *vector = NULL;
    const char *text = NULL;
    size_t vector_size = 0, text_size = 0;
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    memcpy(copy, bytes, size);
    bool is = tq_options_unwrap(copy, size, &vector, &vector_size, &text, &text_size);
    if (is) {
        assert_true((const uint8_t *)text + text_size <= (const uint8_t *)vector);
        assert_true((const uint8_t *)vector + vector_size == copy + size);
        if (tq_options_read(text, text_size, &options) == TQ_OK) assert_int_equal(tq_search_check(&options, 1), TQ_OK);
    }
    free(copy);
    return is;
}

static void test_wrap_refuses(void **state) {
    char blanks[TQ_OPTIONS_TEXT_MAX + 1];
    void *bytes = NULL;
    size_t size = 0;
    (void)state;
    memset(blanks, ' ', sizeof blanks);
    assert_int_equal(tq_options_wrap(plain, sizeof plain, blanks, sizeof blanks, &bytes, &size), TQ_MISUSE);
    assert_string_equal(tq_message(), "options have 4097 bytes; 4096 are possible");
    assert_int_equal(tq_options_wrap(plain, sizeof plain, "threads=0", 9, &bytes, &size), TQ_MISUSE);
    assert_string_equal(tq_message(), "threads is 0; it must be 1 to 256");
    tq_alloc_fail_after(1);
    assert_int_equal(tq_options_wrap(plain, sizeof plain, "", 0, &bytes, &size), TQ_NOMEM);
    tq_alloc_fail_after(0);
    assert_null(bytes);
    assert_int_equal(tq_options_wrap(plain, sizeof plain, blanks, sizeof blanks - 1, &bytes, &size), TQ_OK);
    void *more = NULL;
    assert_int_equal(tq_options_wrap(bytes, size, "", 0, &more, &size), TQ_MISUSE);
    const uint32_t too_long = TQ_OPTIONS_TEXT_MAX + 1; /* nobody makes these, but they may come */
    memcpy((uint8_t *)bytes + 12, &too_long, sizeof too_long);
    assert_false(try_bytes(bytes, size));
    tq_free(bytes);
}

static void test_hostile_bytes(void **state) {
    enum { HEAD = 16 };
    struct wrapped made = wrap(plain, sizeof plain, "threads=2, confidence=2.5;exact=on");
    size_t text_end = made.size - sizeof plain, taken = 0;
    (void)state;
    for (size_t size = 0; size < text_end; size++) assert_false(try_bytes(made.bytes, size));
    for (size_t at = 0; at < made.size; at++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t kept = made.bytes[at];
            made.bytes[at] = (uint8_t)value;
            bool is = try_bytes(made.bytes, made.size);
            if (at < HEAD - 4) assert_true(is == (value == kept));
            taken += is;
            made.bytes[at] = kept;
        }
    }
    assert_true(taken > 256 * (made.size - HEAD));
    for (uint64_t i = 0; i < 20000; i++) { /* other texts */
        for (size_t at = HEAD; at < text_end; at++) {
            static const char letters[] = "threads=2, confidence=;exact0.1e9-\0";
            if (tq_rng_at(3, i, at) % 8 == 0) {
                made.bytes[at] = (uint8_t)letters[tq_rng_at(4, i, at) % sizeof letters];
            }
        }
        assert_true(try_bytes(made.bytes, made.size));
    }
    tq_free(made.bytes);
}

/* ---- SQL ---- */

static void test_config(void **state) {
    sqlite3 *db = *state;
    expect(db, "SELECT tq_config()",
           "{\"order_by\":\"exact\",\"confidence\":3.0,\"oversample\":0.0,\"threads\":1,\"timeout_ms\":0,"
           "\"device\":\"cpu\"}");
    expect(db, "SELECT tq_config('confidence', 2.3)", "2.3");
    expect(db, "SELECT tq_config('threads', '4')", "4");
    expect(db, "SELECT tq_config('Threads', 5.0)", "5");
    expect(db, "SELECT tq_config('oversample', 2)", "2.0");
    expect(db, "SELECT tq_config('timeout_ms', 250)", "250");
    expect(db, "SELECT tq_config('timeout_ms')", "250");
    expect(db, "SELECT tq_config('timeout_ms', NULL)", "0");
    expect(db, "SELECT tq_config('timeout_ms', -1)", "error: tq_config: timeout_ms is -1; it must be 0 or more");
    expect(db, "SELECT tq_config('device')", "cpu");
    expect(db, "SELECT tq_config('device', 'gpu')", "gpu");
    expect(db, "SELECT tq_config('device', NULL)", "cpu");
    expect(db, "SELECT tq_config('device', 'Auto')", "auto");
    expect(db, "SELECT tq_config('device', 'tpu')", "error: tq_config: device is \"tpu\"; it must be cpu, gpu or auto");
    expect(db, "SELECT tq_config('device', 2)", "error: tq_config: device is \"2\"; it must be cpu, gpu or auto");
    expect(db, "SELECT tq_config('order_by', 'Scan')", "scan");
    expect(db, "SELECT tq_config()",
           "{\"order_by\":\"scan\",\"confidence\":2.3,\"oversample\":2.0,\"threads\":5,\"timeout_ms\":0,"
           "\"device\":\"auto\"}");
    expect(db, "SELECT tq_config('confidence', 'exact')", "exact");
    expect(db, "SELECT json_extract(tq_config(), '$.confidence')", "exact");
    expect(db, "SELECT tq_config('confidence', -1)", "error: tq_config: confidence is -1; it must be above 0");
    expect(db, "SELECT tq_config('confidence', '2,threads=3')",
           "error: tq_config: confidence is \"2,threads=3\"; it must be a number above 0, or exact");
    expect(db, "SELECT tq_config('order_by', 'fast')",
           "error: tq_config: order_by is \"fast\"; it must be exact, approximate or scan");
    expect(db, "SELECT tq_config('speed', 1)",
           "error: tq_config: unknown setting \"speed\";"
           " there are order_by, confidence, oversample, threads, timeout_ms and device");
    expect(db, "SELECT tq_config(NULL)",
           "error: tq_config: unknown setting \"\";"
           " there are order_by, confidence, oversample, threads, timeout_ms and device");
    expect(db, "SELECT tq_config('confidence', NULL)", "3.0");
    expect(db, "SELECT tq_config('oversample', NULL)", "0.0");
    expect(db, "SELECT tq_config('threads', NULL)", "1");
    expect(db, "SELECT tq_config('order_by', NULL)", "exact");
}

static void test_query(void **state) {
    sqlite3 *db = *state;
    static const uint32_t nan[2] = {0x3f800000, 0x7fc00000};
    expect(db, "SELECT tq_query(NULL, 'threads=2')", "NULL");
    expect(db, "SELECT typeof(tq_query('[1,2]', NULL))", "blob");
    expect(db, "SELECT tq_query('[1,2]', NULL) = tq_query(tq_f32('[1,2]'), '')", "1");
    expect(db, "SELECT tq_query('[1,2]', 'threads=2') = tq_query(tq_query('[1,2]', 'threads=2'), '')", "0");
    expect(db, "SELECT tq_json(tq_query(tq_query('[1,2]', 'threads=2'), 'threads=3'))", "[1,2]");
    expect(db, "SELECT tq_ip(tq_query('[1,2]', 'exact=on'), '[3,4]')", "11.0");
    expect(db, "SELECT tq_query('[1,2]', 'threads=0')", "error: tq_query: threads is 0; it must be 1 to 256");
    expect(db, "SELECT tq_query('[1,2]', 7)", "error: tq_query: unknown setting \"7\"; " SETTINGS);
    expect(db, "SELECT tq_query('[1,]', '')",
           "error: tq_query: JSON has ']' at character 4 where a number is expected");
    char *found = query(db, "SELECT tq_query(?1, '')", nan, sizeof nan);
    assert_string_equal(found, "error: tq_query: element 1 is NaN; it must be finite");
    sqlite3_free(found);
}

/* A generated column needs a deterministic function, and where schemas are not trusted a harmless one. */
static void test_query_in_a_schema(void **state) {
    sqlite3 *db = *state;
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE q(v, w AS (tq_query(v, 'threads=2')) STORED);"
                                  "INSERT INTO q(v) VALUES ('[1,2]')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    expect(db, "SELECT w = tq_query(tq_f32('[1,2]'), 'threads=2') FROM q", "1");
    assert_int_equal(sqlite3_exec(db, "CREATE VIEW c AS SELECT tq_config('threads', 2)", NULL, NULL, NULL), SQLITE_OK);
    expect(db, "SELECT * FROM c", "error: unsafe use of tq_config()");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_wrong_text),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_text_ends),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_wrap_again),
        cmocka_unit_test(test_wrap_refuses),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test_setup_teardown(test_config, open_connection, close_connection),
        cmocka_unit_test_setup_teardown(test_query, open_connection, close_connection),
        cmocka_unit_test_setup_teardown(test_query_in_a_schema, open_connection, close_connection),
    };
    return cmocka_run_group_tests_name("options", tests, load, unload);
}
