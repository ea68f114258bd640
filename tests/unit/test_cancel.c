/* Whatever runs ends soon after it is asked to, and everything is as before: through the library and through SQL. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sql/tq_sqlite.h"
#include "src/tq.h"

/* A search of all rows takes some tenths of a second without special instructions. */
enum { DIM = 2048, ROWS = 3072, PARTS = 3, QUERIES = 100, SMALL_DIM = 8, SMALL_ROWS = 9000 };

static char folder[256], file[300];

static double now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void sleep_ms(double ms) {
    struct timespec time = {(time_t)(ms / 1e3), (long)((ms - 1e3 * (double)(long)(ms / 1e3)) * 1e6)};
    (void)nanosleep(&time, NULL);
}

static void vector_of(int64_t id, int dim, float *vector) {
    uint64_t state = (uint64_t)id * 0x9e3779b97f4a7c15u + 12345;
    for (int j = 0; j < dim; j++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        vector[j] = (float)((double)(state >> 11) * 0x1p-53 - 0.5);
    }
}

static void made_vector(sqlite3_context *context, int count, sqlite3_value **values) {
    static float vector[DIM];
    int dim = sqlite3_value_int(values[1]);
    (void)count;
    vector_of(sqlite3_value_int64(values[0]), dim, vector);
    sqlite3_result_blob(context, vector, dim * (int)sizeof *vector, SQLITE_TRANSIENT);
}

static sqlite3 *open_db(void) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 2000);
    (void)sqlite3_create_function(db, "made", 2, SQLITE_UTF8, NULL, made_vector, NULL, NULL);
    return db;
}

static void must(sqlite3 *db, const char *sql) {
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
}

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    int64_t found = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW) fail_msg("%s: %s (%d)", sql, sqlite3_errmsg(db), rc);
    found = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return found;
}

static int set_up(void **state) {
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/tq_cancel_XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(folder) == NULL) return -1;
    (void)snprintf(file, sizeof file, "%s/db", folder);
    if (sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) != SQLITE_OK) return -1;
    sqlite3 *db = open_db();
    must(db, "PRAGMA journal_mode=WAL");
    char sql[300];
    (void)snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE docs USING tq(v FLOAT[%d] rows=f16 bits=8)", DIM);
    must(db, sql);
    for (int part = 0; part < PARTS; part++) {
        (void)snprintf(sql, sizeof sql,
                       "WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c WHERE i + 1 < %d)"
                       " INSERT INTO docs(rowid, v) SELECT i, made(i, %d) FROM c",
                       part * ROWS / PARTS, (part + 1) * ROWS / PARTS, DIM);
        must(db, sql);
    }
    (void)sqlite3_close(db);
    (void)setenv("TQ_ISA", "scalar", 1); /* slow enough to be caught in the act */
    return 0;
}

static int tear_down(void **state) {
    char command[600];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- Someone else, after a while ---- */

struct other {
    pthread_t thread;
    double after_ms, at_ms; /* when it did it */
    bool again;             /* and again, until `enough` */
    atomic_bool enough;
    sqlite3 *db;
    tq_index *index;
};

static void *disturb(void *argument) {
    struct other *other = argument;
    sleep_ms(other->after_ms);
    other->at_ms = now_ms();
    if (other->db != NULL) sqlite3_interrupt(other->db);
    do {
        if (other->index != NULL) tq_cancel(other->index);
        if (other->again) sleep_ms(0.2);
    } while (other->again && !atomic_load(&other->enough));
    return NULL;
}

static void begin(struct other *other) {
    if (pthread_create(&other->thread, NULL, disturb, other) != 0) fail_msg("no thread");
}

/* Milliseconds from there to here. */
static double since(struct other *other) {
    double ended = now_ms();
    (void)pthread_join(other->thread, NULL);
    return ended - other->at_ms;
}

/* The machine may be busy, and slow with sanitizers; how long it takes by itself is the measure. */
static void assert_soon(const char *what, double took_ms, double whole_ms) {
    print_message("%s: ended %.1f ms after it was asked to; alone it takes %.0f ms\n", what, took_ms, whole_ms);
    if (took_ms > 10 && took_ms > whole_ms / 3) fail_msg("%s: it went on", what);
}

/* ---- SQL ---- */

#define ALL "SELECT count(*) FROM docs WHERE v MATCH tq_query(made(7, 2048), 'confidence=exact') AND k = 100000"

static void test_interrupt(void **state) {
    (void)state;
    sqlite3 *db = open_db();
    assert_int_equal(number(db, ALL), ROWS);
    double begun = now_ms();
    assert_int_equal(number(db, ALL), ROWS);
    double whole = now_ms() - begun;
    for (int i = 0; i < 4; i++) {
        struct other other = {.after_ms = whole * (i + 1) / 10, .db = db};
        begin(&other);
        int rc = sqlite3_exec(db, ALL, NULL, NULL, NULL);
        double took = since(&other);
        assert_int_equal(rc, SQLITE_INTERRUPT);
        assert_soon("sqlite3_interrupt", took, whole);
        assert_int_equal(number(db, ALL), ROWS);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int count_down(void *argument) {
    int *left = argument;
    return --*left == 0;
}

static void test_progress_handler(void **state) {
    (void)state;
    sqlite3 *db = open_db();
    int left = 1000000000, before = left;
    sqlite3_progress_handler(db, 1000, count_down, &left);
    double begun = now_ms();
    assert_int_equal(number(db, ALL), ROWS);
    double whole = now_ms() - begun;
    int calls = before - left;
    print_message("a progress handler is called %d times in %.0f ms\n", calls, whole);
    assert_true(calls >= 3);
    left = 2;
    begun = now_ms();
    assert_int_equal(sqlite3_exec(db, ALL, NULL, NULL, NULL), SQLITE_INTERRUPT);
    assert_true(now_ms() - begun < whole);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    assert_int_equal(number(db, ALL), ROWS);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int deny_recursion(void *none, int action, const char *a, const char *b, const char *c, const char *d) {
    (void)none, (void)a, (void)b, (void)c, (void)d;
    return action == SQLITE_RECURSIVE ? SQLITE_DENY : SQLITE_OK;
}

/* A host that forbids the question: it is not asked, and the search goes on. */
static void test_authorizer(void **state) {
    (void)state;
    sqlite3 *db = open_db();
    (void)sqlite3_set_authorizer(db, deny_recursion, NULL);
    assert_int_equal(number(db, ALL), ROWS);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_sql_timeout(void **state) {
    static const char *const statements[] = {
        ALL, "SELECT rowid FROM docs WHERE v MATCH made(3, 2048) AND score > -2",
        "SELECT rowid FROM docs ORDER BY tq_cosine(v, (SELECT v FROM asked)) DESC LIMIT 3072"};
    (void)state;
    sqlite3 *db = open_db();
    must(db, "CREATE TEMP TABLE asked AS SELECT made(7, 2048) AS v");
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        must(db, statements[i]);
        assert_int_equal(number(db, "SELECT tq_config('timeout_ms', 5)"), 5);
        int rc = sqlite3_exec(db, statements[i], NULL, NULL, NULL);
        if (rc != SQLITE_INTERRUPT) fail_msg("%s: %d", statements[i], rc);
        assert_non_null(strstr(sqlite3_errmsg(db), "not done within timeout_ms, which is 5"));
        assert_int_equal(number(db, "SELECT tq_config('timeout_ms', NULL)"), 0);
        must(db, statements[i]);
    }
    int rc = sqlite3_exec(db,
                          "SELECT rowid FROM docs WHERE v MATCH tq_query(made(7, 2048), 'confidence=exact,"
                          " timeout_ms=5') AND k = 100000",
                          NULL, NULL, NULL);
    assert_int_equal(rc, SQLITE_INTERRUPT);
    /* It ends a SELECT, not the transaction around it. */
    must(db, "BEGIN; INSERT INTO docs(rowid, v) VALUES (50000, made(1, 2048)); SELECT tq_config('timeout_ms', 5)");
    assert_int_equal(sqlite3_exec(db, ALL, NULL, NULL, NULL), SQLITE_INTERRUPT);
    assert_false(sqlite3_get_autocommit(db));
    must(db, "SELECT tq_config('timeout_ms', 0)");
    assert_int_equal(number(db, ALL), ROWS + 1);
    must(db, "ROLLBACK");
    assert_int_equal(number(db, ALL), ROWS);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- SQL: at every point ---- */

struct points {
    sqlite3 *db;
    int left;
    bool by_interrupt; /* sqlite3_interrupt(), which stays on until the statement has ended; else once */
};

static int reach(void *argument) {
    struct points *points = argument;
    if (--points->left != 0) return 0;
    if (points->by_interrupt) sqlite3_interrupt(points->db);
    return !points->by_interrupt;
}

/* What the table holds, whichever way it is asked. */
static void assert_rows(sqlite3 *db, int64_t rows, int64_t sum) {
    assert_int_equal(number(db, "SELECT count(*) FROM small"), rows);
    assert_int_equal(number(db, "SELECT sum(rowid) FROM small WHERE v IS NOT NULL"), sum);
    assert_int_equal(number(db, "SELECT sum(rowid) FROM small WHERE v MATCH made(1, 8) AND k = 100000"), sum);
    assert_int_equal(number(db, "SELECT rowid FROM small WHERE v MATCH made(77, 8) AND k = 1"), 77);
}

/* The statement is interrupted at its first point, at its second, and so on until it gets through; after each, the
 * table is as before. Returns how often it was interrupted. */
static int interrupt_everywhere(sqlite3 *db, const char *sql, bool by_interrupt, int instructions, int step) {
    int64_t rows = number(db, "SELECT count(*) FROM small"), sum = number(db, "SELECT sum(rowid) FROM small");
    for (int point = 1;; point += step) {
        struct points points = {db, point, by_interrupt};
        sqlite3_progress_handler(db, instructions, reach, &points);
        int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
        sqlite3_progress_handler(db, 0, NULL, NULL);
        if (rc == SQLITE_OK) return point / step;
        if (rc != SQLITE_INTERRUPT) fail_msg("%s at %d: %s (%d)", sql, point, sqlite3_errmsg(db), rc);
        if (!sqlite3_get_autocommit(db)) must(db, "ROLLBACK");
        if (point < 20 || point % 5 == 0) assert_rows(db, rows, sum);
    }
}

static void make_small(sqlite3 *db) {
    char sql[300];
    (void)unsetenv("TQ_ISA");
    must(db, "CREATE VIRTUAL TABLE small USING tq(v FLOAT[8], n INTEGER)");
    (void)snprintf(sql, sizeof sql,
                   "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
                   " INSERT INTO small(rowid, v, n) SELECT i, made(i, 8), i %% 10 FROM c",
                   SMALL_ROWS);
    must(db, sql);
}

static void test_everywhere(void **state) {
    static const struct {
        const char *sql;
        int instructions, step; /* of SQLite between points; of points, which one in so many is tried */
    } cases[] = {
        {"SELECT rowid FROM small WHERE v MATCH made(5, 8) AND n < 7 LIMIT 20", 100, 40},
        {"SELECT rowid FROM small ORDER BY tq_l2(v, made(5, 8)) LIMIT 20", 100, 40},
        {"SELECT max(tq_dim(v)) FROM small", 100, 100},
        {"INSERT INTO small(rowid, v) SELECT rowid + 20000, v FROM small WHERE rowid <= 300", 100, 25},
        {"BEGIN; DELETE FROM small WHERE rowid % 50 = 3; INSERT INTO small(rowid, v) SELECT rowid + 30000, v FROM"
         " small WHERE rowid <= 8500; COMMIT",
         100, 900},
        {"INSERT INTO small(small) VALUES ('optimize')", 10, 5},
    };
    (void)state;
    sqlite3 *db = open_db();
    make_small(db);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int by_interrupt = 0; by_interrupt < 2; by_interrupt++) {
            must(db, "DELETE FROM small WHERE rowid > 9000 OR rowid = 8000");
            must(db, "INSERT INTO small(rowid, v) SELECT 8000, made(8000, 8)");
            int points = interrupt_everywhere(db, cases[i].sql, by_interrupt != 0, cases[i].instructions,
                                              cases[i].step);
            print_message("%d points: %.60s\n", points, cases[i].sql);
            assert_true(points >= 5);
        }
    }
    assert_int_equal(number(db, "SELECT count(*) = 1 AND min(integrity_check) = 'ok' FROM pragma_integrity_check"), 1);
    must(db, "DROP TABLE small");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    (void)setenv("TQ_ISA", "scalar", 1);
}

/* ---- The library ---- */

struct asked {
    tq_store *store;
    tq_index *index;
    float *queries;
    struct tq_hit *hits, *before;
    size_t counts[QUERIES];
};

static void ask(struct asked *asked) {
    assert_int_equal(tq_open(file, 0, &asked->store), TQ_OK);
    assert_int_equal(tq_index_open(asked->store, "docs", &asked->index), TQ_OK);
    asked->queries = calloc((size_t)QUERIES * DIM, sizeof(float));
    asked->hits = calloc((size_t)QUERIES * ROWS, sizeof *asked->hits);
    asked->before = calloc((size_t)QUERIES * ROWS, sizeof *asked->before);
    for (int i = 0; i < QUERIES; i++) vector_of(i * 31, DIM, asked->queries + (size_t)i * DIM);
}

static void close_asked(struct asked *asked) {
    free(asked->queries);
    free(asked->hits);
    free(asked->before);
    tq_index_close(asked->index);
    tq_close(asked->store);
}

static enum tq_status search(struct asked *asked, struct tq_hit *hits, size_t queries, int threads, int timeout_ms) {
    size_t k = queries == QUERIES ? ROWS / 20 : ROWS;
    struct tq_search_options options = tq_search_defaults();
    options.threads = threads;
    options.timeout_ms = timeout_ms;
    return tq_search(asked->index, asked->queries, queries, (int64_t)k, &options, hits, asked->counts, NULL);
}

static void assert_message(const char *part) {
    if (strstr(tq_message(), part) == NULL) fail_msg("message \"%s\" does not say \"%s\"", tq_message(), part);
}

static void cancel_search(struct asked *asked, size_t queries, int threads) {
    size_t bytes = queries * (queries == QUERIES ? ROWS / 20 : ROWS) * sizeof *asked->hits;
    assert_int_equal(search(asked, asked->before, queries, threads, 0), TQ_OK);
    double begun = now_ms();
    assert_int_equal(search(asked, asked->before, queries, threads, 0), TQ_OK);
    double whole = now_ms() - begun;
    for (int i = 0; i < 2; i++) {
        struct other other = {.after_ms = whole * (i + 1) / 6, .index = asked->index};
        begin(&other);
        enum tq_status status = search(asked, asked->hits, queries, threads, 0);
        double took = since(&other);
        assert_int_equal(status, TQ_INTERRUPTED);
        assert_message("cancelled by tq_cancel");
        assert_soon(threads > 1 ? "tq_cancel, threads" : "tq_cancel", took, whole);
    }
    begun = now_ms();
    assert_int_equal(search(asked, asked->hits, queries, threads, (int)(whole / 4) + 1), TQ_INTERRUPTED);
    assert_message("not done within timeout_ms, which is ");
    assert_soon("timeout_ms", now_ms() - begun - whole / 4, whole);
    assert_int_equal(search(asked, asked->hits, queries, threads, 1000000), TQ_OK);
    assert_memory_equal(asked->hits, asked->before, bytes);
}

static void test_cancel(void **state) {
    (void)state;
    struct asked asked;
    ask(&asked);
    tq_cancel(asked.index); /* nothing runs: nothing happens */
    cancel_search(&asked, 2, 1);
    cancel_search(&asked, 2, 2);
    assert_int_equal(search(&asked, asked.hits, 1, 1, -1), TQ_MISUSE);
    assert_message("timeout_ms is -1; it must be 0 or more");
    close_asked(&asked);
}

/* Codes that are read once for all queries, where products of small integers are cheap. */
static void test_cancel_batch(void **state) {
    (void)state;
    struct asked asked;
    (void)unsetenv("TQ_ISA");
    ask(&asked);
    cancel_search(&asked, QUERIES, 1);
    cancel_search(&asked, QUERIES, 2);
    close_asked(&asked);
    (void)setenv("TQ_ISA", "scalar", 1);
}

static void test_cancel_range(void **state) {
    (void)state;
    struct asked asked;
    size_t count = 0;
    struct tq_search_options options = tq_search_defaults();
    options.timeout_ms = 5;
    ask(&asked);
    assert_int_equal(tq_search_range(asked.index, asked.queries, -2, ROWS, &options, asked.hits, &count, NULL),
                     TQ_INTERRUPTED);
    options.timeout_ms = 0;
    assert_int_equal(tq_search_range(asked.index, asked.queries, -2, ROWS, &options, asked.hits, &count, NULL), TQ_OK);
    assert_int_equal(count, ROWS);
    close_asked(&asked);
}

static void test_cancel_optimize(void **state) {
    (void)state;
    struct asked asked;
    struct tq_index_info before, after;
    ask(&asked);
    assert_int_equal(tq_index_get_info(asked.index, &before), TQ_OK);
    assert_true(before.segments > 1);
    struct other other = {.again = true, .index = asked.index};
    begin(&other);
    enum tq_status status = tq_index_optimize(asked.index);
    atomic_store(&other.enough, true);
    (void)since(&other);
    assert_int_equal(status, TQ_INTERRUPTED);
    assert_int_equal(tq_index_get_info(asked.index, &after), TQ_OK);
    assert_int_equal(after.segments, before.segments);
    assert_int_equal(after.rows, ROWS);
    assert_int_equal(tq_index_optimize(asked.index), TQ_OK);
    assert_int_equal(tq_index_get_info(asked.index, &after), TQ_OK);
    assert_int_equal(after.segments, 1);
    assert_int_equal(search(&asked, asked.hits, 1, 1, 0), TQ_OK);
    assert_int_equal(asked.counts[0], ROWS);
    close_asked(&asked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupt),       cmocka_unit_test(test_progress_handler),
        cmocka_unit_test(test_authorizer),      cmocka_unit_test(test_sql_timeout),
        cmocka_unit_test(test_everywhere),      cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_batch),    cmocka_unit_test(test_cancel_range),
        cmocka_unit_test(test_cancel_optimize),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
