/* The functions of vectors from inside: codes that are no codes, memory that runs out. tests/sql has what they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

static sqlite3 *open_db(void) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return statement;
}

static void expect(sqlite3 *db, const char *sql, const char *expected) {
    sqlite3_stmt *statement = prepare(db, sql);
    if (sqlite3_step(statement) != SQLITE_ROW) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const char *found = (const char *)sqlite3_column_text(statement, 0);
    if (found == NULL || strcmp(found, expected) != 0) fail_msg("%s: expected %s, found %s", sql, expected, found);
    sqlite3_finalize(statement);
}

/* ---- Codes ---- */

/* The code of a vector of `dim` random numbers, and what it decodes to. Free both. */
static size_t make_code(sqlite3 *db, uint32_t dim, const char *options, uint8_t **code, float **decoded) {
    sqlite3_stmt *statement = prepare(db, "SELECT c, tq_decode(c) FROM (SELECT tq_encode(?1, ?2) AS c)");
    float *vector = malloc(dim * sizeof *vector);
    for (uint32_t i = 0; i < dim; i++) vector[i] = (float)(tq_rng_at(3, dim, i) >> 44) - 5e5f;
    sqlite3_bind_blob(statement, 1, vector, (int)(dim * sizeof *vector), SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, options, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_ROW) fail_msg("%s", sqlite3_errmsg(db));
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    *code = malloc(size);
    memcpy(*code, sqlite3_column_blob(statement, 0), size);
    *decoded = malloc(dim * sizeof **decoded);
    assert_int_equal(sqlite3_column_bytes(statement, 1), dim * sizeof **decoded);
    memcpy(*decoded, sqlite3_column_blob(statement, 1), dim * sizeof **decoded);
    sqlite3_finalize(statement);
    free(vector);
    return size;
}

/* The code is at the end of a block of its own, so that AddressSanitizer sees a byte too many being read. */
static int decode(sqlite3_stmt *statement, const uint8_t *code, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, code, size);
    sqlite3_reset(statement);
    sqlite3_bind_blob64(statement, 1, copy, size, free);
    return sqlite3_step(statement);
}

/* Whatever a code holds, its elements are numbers. */
static void check_finite(sqlite3_stmt *statement) {
    const float *vector = sqlite3_column_blob(statement, 0);
    size_t dim = (size_t)sqlite3_column_bytes(statement, 0) / sizeof *vector;
    for (size_t i = 0; i < dim; i++) assert_true(vector[i] - vector[i] == 0);
}

static void test_damaged_codes(void **state) {
    static const struct {
        uint32_t dim;
        const char *options;
    } cases[] = {{1, "bits=1"}, {2, "bits=9"}, {8, "bits=8,qjl=0"}, {13, "bits=2,metric=ip"}, {100, "bits=4"}};
    enum { HEADER = 16, TAIL = 12 };
    sqlite3 *db = open_db();
    sqlite3_stmt *statement = prepare(db, "SELECT tq_decode(?1)");
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        uint8_t *code = NULL;
        float *decoded = NULL;
        size_t size = make_code(db, cases[c].dim, cases[c].options, &code, &decoded);
        for (size_t cut = 0; cut < size; cut++) assert_int_equal(decode(statement, code, cut), SQLITE_ERROR);
        for (size_t i = 0; i < size; i++) {
            bool of_seed = i >= 8 && i < HEADER, of_planes = i >= HEADER && i < size - TAIL;
            uint8_t right = code[i];
            for (unsigned value = 0; value < 256; value += of_seed || of_planes ? 85 : 1) {
                code[i] = (uint8_t)value;
                int rc = decode(statement, code, size);
                if (rc == SQLITE_ROW) check_finite(statement);
                if (i < 5 && value != right) assert_int_equal(rc, SQLITE_ERROR);
                if (of_seed || of_planes || value == right) assert_int_equal(rc, SQLITE_ROW);
            }
            code[i] = right;
        }
        assert_int_equal(decode(statement, code, size), SQLITE_ROW);
        assert_memory_equal(sqlite3_column_blob(statement, 0), decoded, cases[c].dim * sizeof *decoded);
        free(code);
        free(decoded);
    }
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* More kinds of codes than codecs are kept, in turn: each decodes as if it were the only one. */
static void test_many_codecs(void **state) {
    enum { KINDS = 7, ROUNDS = 3 };
    static const char *const options[] = {"bits=3", "bits=3,seed=1", "bits=3,qjl=0"};
    uint8_t *first[KINDS];
    float *decoded[KINDS];
    size_t sizes[KINDS];
    sqlite3 *db = open_db();
    (void)state;
    for (uint32_t i = 0; i < KINDS; i++) {
        sqlite3 *other = open_db();
        sizes[i] = make_code(other, 20 + i / 3, options[i % 3], &first[i], &decoded[i]);
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
    }
    for (uint32_t n = 0; n < KINDS * ROUNDS; n++) {
        uint32_t i = n * 3 % KINDS, dim = 20 + i / 3;
        uint8_t *code = NULL;
        float *vector = NULL;
        assert_int_equal(make_code(db, dim, options[i % 3], &code, &vector), sizes[i]);
        assert_memory_equal(code, first[i], sizes[i]);
        assert_memory_equal(vector, decoded[i], dim * sizeof *vector);
        free(code);
        free(vector);
    }
    for (uint32_t i = 0; i < KINDS; i++) {
        free(first[i]);
        free(decoded[i]);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void run_nothing(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    (void)values;
    sqlite3_result_text(context, "other", -1, SQLITE_STATIC);
}

/* A program may put a function of its own in place of one: the others go on. */
static void test_replaced_function(void **state) {
    sqlite3 *db = open_db();
    (void)state;
    expect(db, "SELECT tq_dim(tq_decode(tq_encode('[1,2]', 'bits=3')))", "2");
    assert_int_equal(sqlite3_create_function(db, "tq_decode", 1, SQLITE_UTF8, NULL, run_nothing, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_create_function(db, "tq_encode", 1, SQLITE_UTF8, NULL, run_nothing, NULL, NULL),
                     SQLITE_OK);
    expect(db, "SELECT tq_decode(tq_encode('[1,2]', 'bits=3'))", "other");
    expect(db, "SELECT length(tq_encode('[1,2]', 'bits=4'))", "32");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- Memory ---- */

static void test_memory_runs_out(void **state) {
    static const char *const work[][2] = {
        {"SELECT tq_json(tq_f16(x'003c0040'))", "[1,2]"},
        {"SELECT hex(tq_to_f16('[1,2]'))", "003C0040"},
        {"SELECT tq_json(tq_add('[1,2]', '[3,4]'))", "[4,6]"},
        {"SELECT tq_json(tq_scale('[1,2]', 2))", "[2,4]"},
        {"SELECT tq_json(tq_slice('[1,2]', 1, 2))", "[2]"},
        {"SELECT tq_norm('[3,4]')", "5.0"},
        {"SELECT tq_json(tq_avg(value)) FROM json_each('[\"[1,2]\",\"[3,4]\"]')", "[2,3]"},
        {"SELECT tq_json(tq_sum(value) OVER (ROWS 1 PRECEDING)) FROM json_each('[\"[1]\",\"[3]\"]') ORDER BY 1 DESC",
         "[4]"},
        {"SELECT tq_json(tq_decode(tq_encode('[0,0]', 'bits=3')))", "[0,0]"},
        {"SELECT sum(value) FROM tq_each('[3,4]')", "7.0"},
        {"SELECT sum(value) FROM tq_each(x'0000803f00000040')", "3.0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++) {
        int failures = 0;
        for (long n = 1; n < 40; n++) {
            sqlite3 *db = open_db();
            tq_alloc_fail_after(n);
            int rc = sqlite3_exec(db, work[i][0], NULL, NULL, NULL);
            tq_alloc_fail_after(0);
            if (rc != SQLITE_OK && rc != SQLITE_NOMEM) fail_msg("%s: %s", work[i][0], sqlite3_errmsg(db));
            failures += rc == SQLITE_NOMEM;
            expect(db, work[i][0], work[i][1]);
            assert_int_equal(sqlite3_close(db), SQLITE_OK);
        }
        assert_in_range(failures, 1, 38);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_codes),
        cmocka_unit_test(test_many_codecs),
        cmocka_unit_test(test_replaced_function),
        cmocka_unit_test(test_memory_runs_out),
    };
    sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
