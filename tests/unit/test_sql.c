/* The SQLite extension from inside: what scripts of the sqlite3 command cannot do. tests/sql has the rest.
 *
 *   test_sql [statements]    of the differential test, 2,000 by default */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sql/recognise.h"
#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

static int statements_wanted = 2000;

/* ---- Helpers ---- */

struct scratch {
    char folder[64], file[80];
    sqlite3 *db;
};

static void exec(sqlite3 *db, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args), *error = NULL;
    va_end(args);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
    sqlite3_free(sql);
}

static int try_exec(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL); }

/* Rows as text, columns joined by |, rows by newlines; "error: ..." if it fails. Free with sqlite3_free. */
static char *query(sqlite3 *db, const char *sql, const float *vector, size_t dim) {
    sqlite3_stmt *statement = NULL;
    sqlite3_str *out = sqlite3_str_new(db);
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK && vector != NULL) sqlite3_bind_blob(statement, 1, vector, (int)(dim * 4), SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            if (sqlite3_column_type(statement, i) == SQLITE_FLOAT) { /* every bit counts */
                sqlite3_str_appendf(out, "%s%!.17g", i == 0 ? "" : "|", sqlite3_column_double(statement, i));
            } else {
                sqlite3_str_appendf(out, "%s%s", i == 0 ? "" : "|", text == NULL ? "NULL" : text);
            }
        }
        sqlite3_str_appendchar(out, 1, '\n');
        rc = SQLITE_OK;
    }
    if (rc != SQLITE_OK && rc != SQLITE_DONE) sqlite3_str_appendf(out, "error: %s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    char *text = sqlite3_str_finish(out);
    return text == NULL ? sqlite3_mprintf("") : text;
}

static void expect(sqlite3 *db, const char *sql, const char *expected) {
    char *found = query(db, sql, NULL, 0);
    if (strcmp(found, expected) != 0) fail_msg("%s\nexpected: %s\nfound: %s", sql, expected, found);
    sqlite3_free(found);
}

static sqlite3 *open_db(const char *file) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 2000);
    return db;
}

static int setup(void **state) {
    struct scratch *s = calloc(1, sizeof *s);
    const char *base = getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%s/tq-test-sql-XXXXXX", base != NULL && strlen(base) < 40 ? base : "/tmp");
    if (mkdtemp(s->folder) == NULL) return -1;
    snprintf(s->file, sizeof s->file, "%s/t.db", s->folder);
    s->db = open_db(s->file);
    *state = s;
    return 0;
}

static int teardown(void **state) {
    struct scratch *s = *state;
    char command[128];
    int rc = sqlite3_close(s->db); /* not _v2: nothing of ours may keep it open */
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    if (system(command) != 0) rc = -1;
    free(s);
    return rc;
}

static float uniform(uint64_t stream, uint64_t i) {
    return (float)(int32_t)(tq_rng_at(7, stream, i) >> 40) * 0x1p-23f - 1;
}

static void random_vector(uint64_t stream, float *vector, size_t dim) {
    for (size_t i = 0; i < dim; i++) vector[i] = uniform(stream, i);
}

static void insert(sqlite3 *db, const char *table, int64_t id, const float *vector, size_t dim) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("INSERT INTO %s(rowid, v) VALUES (%lld, ?1)", table, id);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    if (vector != NULL) sqlite3_bind_blob(statement, 1, vector, (int)(dim * 4), SQLITE_TRANSIENT);
    if (sqlite3_step(statement) != SQLITE_DONE) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    sqlite3_free(sql);
}

/* ---- Recognised against always-right ---- */

struct differ {
    const char *table, *metric, *rows;
    uint32_t dim, count;
};

static const struct differ tables[] = {
    {"a", "cosine", "f32", 8, 700},  {"b", "ip", "f32", 24, 300},   {"c", "l2", "f32", 3, 900},
    {"d", "cosine", "f16", 16, 400}, {"e", "l2", "f16", 5, 200},    {"f", "cosine", "none", 32, 150},
    {"g", "ip", "f16", 1, 60},       {"h", "cosine", "f32", 2, 40}, {"i", "l2", "f32", 600, 900},
};

/* Few distinct vectors and coarse numbers in some tables: equal scores are the interesting case. */
static void fill(sqlite3 *db, const struct differ *t, uint64_t seed) {
    float *vector = malloc(t->dim * sizeof *vector);
    exec(db, "CREATE VIRTUAL TABLE %s USING tq(v FLOAT[%u], metric=%s, rows=%s); BEGIN", t->table, t->dim, t->metric,
         t->rows);
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t kind = tq_rng_at(seed, 1, i) % 16, stream = kind < 6 ? kind : 100 + i;
        for (uint32_t j = 0; j < t->dim; j++) {
            vector[j] = uniform(stream + 1000 * t->dim, j);
            if (kind == 6) vector[j] = 0;
            if (kind > 11) vector[j] = (float)(int)(vector[j] * 2);
        }
        insert(db, t->table, (int64_t)(i * 11 % t->count + 1), kind == 7 && t->dim < 30 ? NULL : vector, t->dim);
    }
    exec(db, "COMMIT; DELETE FROM %s WHERE rowid %% 11 = 3", t->table);
    exec(db, "UPDATE %s SET v = (SELECT v FROM %s WHERE v IS NOT NULL LIMIT 1) WHERE rowid %% 13 = 5", t->table,
         t->table);
    free(vector);
}

static const char *pick(uint64_t *state, const char *const *words, size_t count) {
    *state = tq_rng_at(*state, 3, 1);
    return words[*state % count];
}

#define PICK(...)                                                                                                      \
    pick(&at, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* A statement that the grammar allows, or nearly. */
static char *make_statement(uint64_t seed, const struct differ *t) {
    uint64_t at = seed;
    const char *function = PICK("tq_ip", "tq_cosine", "tq_l2", "tq_distance", "TQ_Distance", "tq_cosine", "tq_l2");
    bool similar = strstr(function, "ip") != NULL || strstr(function, "cos") != NULL;
    const char *alias = PICK("", "", "", "AS t", "w", "\"w w\"");
    const char *prefix = alias[0] == 0 ? PICK("", "", t->table) : "";
    const char *asked = PICK("?1", "?1", "(SELECT e FROM q)", "(select v from %s where rowid = 5)", "tq_f32(?1)",
                             "(SELECT v FROM %s LIMIT 1)", "(SELECT b.v FROM %s AS b WHERE b.rowid = %s.rowid + 1)",
                             "(SELECT v FROM %s AS n WHERE v NOT NULL AND \"rowid\" > 9)", "(SELECT NULL)",
                             "(SELECT coalesce(e, 'x') FROM q)", "(SELECT v FROM %s ORDER BY v LIMIT 1 OFFSET 3)",
                             "(SELECT v FROM %s ORDER BY random() LIMIT 0)", "(SELECT v FROM %s(?1) LIMIT 1)");
    char column[40], text[100], call[300];
    sqlite3_snprintf(sizeof text, text, asked, t->table, alias[0] == 0 ? t->table : "t");
    sqlite3_snprintf(sizeof column, column, "%s%s%s", prefix, prefix[0] == 0 ? "" : ".",
                     PICK("v", "v", "\"v\"", "[V]"));
    if (at % 5 == 0)
        sqlite3_snprintf(sizeof call, call, "%s(%s, %s)", function, text, column);
    else
        sqlite3_snprintf(sizeof call, call, "%s( %s ,%s)", function, column, text);
    const char *direction = similar ? PICK("DESC", "desc", "DESC", "DESC NULLS LAST", "DESC NULLS FIRST", "")
                                    : PICK("", "ASC", "", "NULLS LAST", "ASC NULLS FIRST", "DESC");
    bool plain = tq_rng_at(seed, 9, 1) % 3 != 0; /* else anything may come */
    const char *order = plain ? PICK("%s", "s", "S", "2")
                              : PICK("%s", "s", "2", "-s", "%s + 0", "s, rowid", "rowid, s");
    char term[320];
    sqlite3_snprintf(sizeof term, term, order, call);
    const char *where = plain ? "" : PICK("", "", "WHERE rowid % 3 = 1", "WHERE v IS NOT NULL");
    const char *head = plain ? PICK("SELECT", "select /* x */") : PICK("SELECT", "SELECT DISTINCT", "SELECT ALL");
    const char *more = plain ? PICK("", ", round(1.5e0)", ", length(v)", ", tq_dim(v) AS d",
                                    ", tq_ip(v, (SELECT v FROM %s LIMIT 1))", ", (SELECT count(*) FROM %s)",
                                    ", (SELECT length(v) FROM %s LIMIT 1)",
                                    ", (SELECT x.v FROM %s AS x WHERE x.v IN (v) LIMIT 1)")
                             : PICK("", ", max(1, 2)", ", count(*) OVER ()", ", (SELECT 1)", ", 1 = 1");
    char results[80];
    sqlite3_snprintf(sizeof results, results, more, t->table);
    const char *limit = plain ? PICK("1", "3", "10", "25", "100", "2000", "7") : PICK("5", "0", "-1", "4 + 4");
    const char *offset = PICK("", "", "", " OFFSET 0", " OFFSET 5", " OFFSET 60", " -- end", ";");
    return sqlite3_mprintf("%s rowid, %s AS s%s FROM %s%s %s %s ORDER BY %s %s LIMIT %s%s", head, call, results,
                           at % 3 == 0 && alias[0] == 0 && prefix[0] == 0 ? "main." : "", t->table, alias, where, term,
                           direction, limit, offset);
}

static bool was_recognised(sqlite3 *db) {
    char *path = query(db, "SELECT tq_explain() LIKE '%\"path\":\"recognised\"%'", NULL, 0);
    bool yes = strcmp(path, "1\n") == 0;
    sqlite3_free(path);
    return yes;
}

static void test_recognised_equals_scan(void **state) {
    struct scratch *s = *state;
    size_t count = sizeof tables / sizeof tables[0];
    int recognised = 0, subqueries = 0, lookups = 0;
    float vector[600];
    for (size_t i = 0; i < count; i++) fill(s->db, &tables[i], i);
    exec(s->db, "CREATE TABLE q(e)");
    for (int i = 0; i < statements_wanted; i++) {
        const struct differ *t = &tables[tq_rng_at(1, 5, (uint64_t)i) % count];
        uint64_t kind = tq_rng_at(1, 6, (uint64_t)i) % 20;
        random_vector(kind < 4 ? kind + 1000 * t->dim : 50000 + (uint64_t)i, vector, t->dim); /* a stored one, or new */
        if (kind == 5) memset(vector, 0, sizeof vector);
        if (kind > 14) {
            for (uint32_t j = 0; j < t->dim; j++) vector[j] = (float)(int)(vector[j] * 2);
        }
        exec(s->db, "DELETE FROM q");
        sqlite3_free(query(s->db, "INSERT INTO q VALUES (?1)", vector, t->dim));
        char *sql = make_statement((uint64_t)i, t);
        exec(s->db, "SELECT tq_config('order_by', 'exact')");
        char *fast = query(s->db, sql, vector, t->dim);
        bool taken = was_recognised(s->db);
        recognised += taken;
        subqueries += taken && strstr(sql, "(SELECT e FROM q)") != NULL;
        lookups += taken && strstr(sql, "where rowid = 5") != NULL;
        exec(s->db, "SELECT tq_config('order_by', 'scan')");
        char *right = query(s->db, sql, vector, t->dim);
        assert_false(was_recognised(s->db));
        if (strcmp(fast, right) != 0) fail_msg("statement %d: %s\nrecognised:\n%s\nscan:\n%s", i, sql, fast, right);
        sqlite3_free(fast);
        sqlite3_free(right);
        sqlite3_free(sql);
    }
    if (recognised < statements_wanted / 5 || subqueries < statements_wanted / 50 || lookups < statements_wanted / 50) {
        fail_msg("of %d only %d were recognised, %d and %d of them with a subquery", statements_wanted, recognised,
                 subqueries, lookups);
    }
}

/* ---- The grammar by itself ---- */

static bool seen(const char *sql) {
    static const char *const vectors[] = {"embedding"};
    const struct tq_recognise_table table = {.schema = "main", .name = "words", .vectors = vectors, .vector_count = 1};
    struct tq_recognised out;
    bool recognised = tq_recognise(sql, NULL, &table, &out);
    tq_free(out.where);
    return recognised;
}

static void check_grammar(const char *const *yes, size_t yes_count, const char *const *no, size_t no_count) {
    for (size_t i = 0; i < yes_count; i++) {
        if (!seen(yes[i])) fail_msg("not recognised: %s", yes[i]);
    }
    for (size_t i = 0; i < no_count; i++) {
        if (seen(no[i])) fail_msg("recognised: %s", no[i]);
    }
}

static void test_grammar_of_queries(void **state) {
    (void)state;
    static const char *const yes[] = {
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, (SELECT e FROM q WHERE n IN (1, 2) LIMIT 1)) LIMIT 10",
        "SELECT tq_l2((SELECT upper(e) FROM q), w.embedding) s, (SELECT 1) FROM words w ORDER BY s LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(tq_normalize('[1]'), embedding) LIMIT 10",
    };
    static const char *const no[] = {
        "SELECT (SELECT max(words.rowid)) FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT tq_ip(embedding, (SELECT max(words.rowid))) FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, (SELECT \"e\" FROM q)) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, (SELECT e FROM q ORDER BY random())) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, (SELECT e FROM q ORDER BY tq_l2(e, '[1]'))) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, (SELECT e FROM q) || (SELECT e FROM q)) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, (VALUES ('[1]'))) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, tq_normalize(embedding)) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, rowid) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, (SELECT e FROM q) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, ) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(, embedding) LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2() LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2( LIMIT 10",
        "SELECT rowid FROM words ORDER BY LIMIT 10",
    };
    check_grammar(yes, sizeof yes / sizeof yes[0], no, sizeof no / sizeof no[0]);
}

static void test_grammar(void **state) {
    (void)state;
    static const char *const yes[] = {
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "select rowid, tq_ip(embedding,'[1]') s from main.words order by s desc limit 10 offset 5 ;",
        "SELECT * FROM words AS w ORDER BY tq_l2(w.embedding, x'00') LIMIT 5, 10",
        "SELECT tq_ip(x'00', embedding) FROM \"words\" ORDER BY 1 DESC LIMIT 1",
        "SELECT round(tq_cosine(embedding, '[1]'), 3) FROM words ORDER BY tq_cosine(embedding, '[1]') DESC LIMIT 9",
        "SELECT w.rowid AS id, 'x' || length(w.embedding) FROM words w ORDER BY tq_distance(w.embedding, x'0') LIMIT 2",
    };
    static const char *const no[] = {
        "",
        "SELECT",
        "SELECT rowid FROM words",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_l2(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT -1",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 5 + 5",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 1.5",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC, rowid LIMIT 10",
        "SELECT rowid FROM words ORDER BY rowid, tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY -tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') COLLATE nocase DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, embedding) DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_ip(x'00', x'00') DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00', 1) DESC LIMIT 10",
        "SELECT rowid FROM words WHERE k ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words, words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words JOIN t ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words GROUP BY 1 ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT DISTINCT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT max(rowid) FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT count(*) FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid, row_number() OVER () FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM (SELECT * FROM words) ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "WITH c AS (SELECT 1) SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words UNION SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM aux.words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM other ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT other.rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT words.rowid FROM words AS w ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT name FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT *, tq_ip(embedding, x'00') FROM words ORDER BY 2 DESC LIMIT 10",
        "SELECT tq_ip(embedding, x'00') AS s, tq_ip(embedding, x'01') AS s FROM words ORDER BY s DESC LIMIT 10",
        "SELECT tq_ip(embedding, x'00') + 1 AS s FROM words ORDER BY s DESC LIMIT 10",
        "SELECT rowid FROM words('[1]') ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10; SELECT 2",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding, x'00",
        "SELECT rowid FROM words ORDER BY tq_ip(embedding",
        "SELECT rowid FROM words ORDER BY",
        "SELECT rowid FROM words ORDER BY 1 DESC LIMIT 10",
        "SELECT rowid FROM words /* ORDER BY tq_ip(embedding, x'00') DESC LIMIT 10",
    };
    check_grammar(yes, sizeof yes / sizeof yes[0], no, sizeof no / sizeof no[0]);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT 7"), 7);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT 7 OFFSET 3;"), 10);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT 3, 7"), 10);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT (7)"), 0);
    assert_int_equal(tq_limit_hint(""), 0);
}

/* ---- Cursors under writes ---- */

/* Every form of reading is stepped while the same connection writes: no row twice, no crash, no stale memory. */
static void test_writing_under_a_select(void **state) {
    static const char *const forms[] = {"SELECT rowid, v FROM w",
                                        "SELECT rowid, v FROM w ORDER BY tq_ip(v, ?1) DESC LIMIT 90",
                                        "SELECT rowid, v FROM w(?1) ORDER BY score DESC",
                                        "SELECT rowid, v FROM w WHERE rowid IN (1, 3, 5, 7, 9, 11, 13, 15, 17, 19)"};
    struct scratch *s = *state;
    enum { DIM = 512, ROWS = 1200 };
    float vector[DIM], q[DIM];
    exec(s->db, "CREATE VIRTUAL TABLE w USING tq(v FLOAT[512], metric=ip); BEGIN");
    for (int i = 1; i <= ROWS; i++) {
        random_vector((uint64_t)i, vector, DIM);
        insert(s->db, "w", i, vector, DIM);
    }
    exec(s->db, "COMMIT");
    random_vector(9999, q, DIM);
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
        sqlite3_stmt *statement = NULL;
        assert_int_equal(sqlite3_prepare_v2(s->db, forms[f], -1, &statement, NULL), SQLITE_OK);
        if (sqlite3_bind_parameter_count(statement) > 0) sqlite3_bind_blob(statement, 1, q, sizeof q, SQLITE_STATIC);
        char got[4 * ROWS] = {0};
        int rows = 0;
        while (sqlite3_step(statement) == SQLITE_ROW) {
            int64_t id = sqlite3_column_int64(statement, 0);
            const float *there = sqlite3_column_blob(statement, 1);
            if (id < 4 * ROWS && got[id]++ != 0) fail_msg("%s: row %lld twice", forms[f], (long long)id);
            if (rows % 7 == 0) {
                exec(s->db, "DELETE FROM w WHERE rowid = %lld", id + 2);
                random_vector((uint64_t)(id + 2), vector, DIM);
                insert(s->db, "w", id + 2, vector, DIM);
            }
            if (rows % 11 == 0) exec(s->db, "UPDATE w SET v = v WHERE rowid = %lld", id);
            /* What the row gave out is good until the next step, whatever was written. */
            random_vector((uint64_t)id, vector, DIM);
            if (there != NULL && id <= ROWS) assert_memory_equal(there, vector, sizeof vector);
            rows++;
        }
        assert_true(rows >= 9);
        assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    }
    expect(s->db, "SELECT count(*) >= 1200, count(*) = count(DISTINCT rowid) FROM w", "1|1\n");
}

static void test_rollback_under_a_select(void **state) {
    struct scratch *s = *state;
    sqlite3_stmt *statement = NULL;
    exec(s->db, "CREATE VIRTUAL TABLE w USING tq(v FLOAT[2]); INSERT INTO w(v) VALUES ('[1,2]'), ('[3,4]'), ('[5,6]')");
    exec(s->db, "BEGIN; INSERT INTO w(v) VALUES ('[7,8]')");
    assert_int_equal(sqlite3_prepare_v2(s->db, "SELECT rowid, v FROM w", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    exec(s->db, "ROLLBACK");
    assert_int_not_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_not_equal(sqlite3_finalize(statement), SQLITE_OK);
    expect(s->db, "SELECT count(*) FROM w", "3\n");
}

/* Values of the vector column kept by SQLite beyond their row. */
static void test_vectors_outlive_their_row(void **state) {
    struct scratch *s = *state;
    float vector[64];
    exec(s->db, "CREATE VIRTUAL TABLE w USING tq(v FLOAT[64], bits=2); BEGIN");
    for (int i = 1; i <= 9000; i++) {
        random_vector((uint64_t)i, vector, 64);
        insert(s->db, "w", i, vector, 64);
    }
    exec(s->db, "COMMIT");
    expect(s->db, "SELECT max(rowid), v = (SELECT v FROM w WHERE rowid = 9000) FROM w", "9000|1\n");
    expect(s->db, "SELECT min(rowid), v = (SELECT v FROM w WHERE rowid = 1) FROM w", "1|1\n");
    expect(s->db,
           "SELECT count(*) FROM (SELECT rowid AS i, v, lag(v) OVER (ORDER BY rowid) AS p FROM w) AS x"
           " WHERE p IS NOT NULL AND p <> (SELECT v FROM w WHERE rowid = x.i - 1) AND i < 50",
           "0\n");
    expect(s->db, "SELECT count(*) FROM (SELECT max(v) AS m FROM w) WHERE m IN (SELECT v FROM w)", "1\n");
    expect(s->db, "SELECT count(DISTINCT v) FROM w", "9000\n");
    exec(s->db, "CREATE TABLE copy AS SELECT rowid AS id, v FROM w");
    expect(s->db, "SELECT count(*) FROM copy JOIN w ON w.rowid = id WHERE w.v = copy.v", "9000\n");
    exec(s->db, "INSERT INTO w(v) SELECT v FROM w");
    expect(s->db, "SELECT count(*), count(DISTINCT v) FROM w", "18000|9000\n");
}

/* ---- Connections ---- */

static void test_two_connections(void **state) {
    struct scratch *s = *state;
    exec(s->db, "PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE w USING tq(v FLOAT[2]);"
                "INSERT INTO w(rowid, v) VALUES (1, '[1,0]')");
    sqlite3 *other = open_db(s->file);
    expect(other, "SELECT rowid FROM w('[1,0]')", "1\n");
    exec(other, "BEGIN; SELECT count(*) FROM w");
    exec(s->db, "INSERT INTO w(rowid, v) VALUES (2, '[0,1]'); DELETE FROM w WHERE rowid = 1");
    expect(other, "SELECT rowid FROM w('[0,1]')", "1\n");
    exec(other, "COMMIT");
    expect(other, "SELECT rowid FROM w('[0,1]')", "2\n");
    exec(s->db, "BEGIN IMMEDIATE; INSERT INTO w(rowid, v) VALUES (3, '[1,1]')");
    sqlite3_busy_timeout(other, 0);
    assert_int_equal(try_exec(other, "INSERT INTO w(rowid, v) VALUES (4, '[1,1]')"), SQLITE_BUSY);
    expect(other, "SELECT count(*) FROM w", "1\n");
    exec(s->db, "COMMIT");
    exec(other, "INSERT INTO w(rowid, v) VALUES (4, '[1,1]')");
    expect(s->db, "SELECT group_concat(rowid) FROM (SELECT rowid FROM w ORDER BY rowid)", "2,3,4\n");
    exec(other, "ALTER TABLE w RENAME TO x"); /* the schema changes under the first */
    expect(s->db, "SELECT count(*) FROM x", "3\n");
    exec(s->db, "INSERT INTO x(rowid, v) VALUES (5, '[2,1]')");
    expect(other, "SELECT rowid FROM x ORDER BY tq_cosine(v, '[2,1]') DESC LIMIT 1", "5\n");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

/* A COMMIT that finds a reader in its way is tried again. */
static void test_busy_commit(void **state) {
    struct scratch *s = *state;
    exec(s->db, "CREATE VIRTUAL TABLE w USING tq(v FLOAT[2]); INSERT INTO w(rowid, v) VALUES (1, '[1,0]')");
    sqlite3 *other = open_db(s->file);
    exec(other, "BEGIN; SELECT count(*) FROM w");
    sqlite3_busy_timeout(s->db, 0);
    exec(s->db, "BEGIN; INSERT INTO w(rowid, v) VALUES (2, '[0,1]')");
    assert_int_equal(try_exec(s->db, "COMMIT"), SQLITE_BUSY);
    exec(s->db, "INSERT INTO w(rowid, v) VALUES (3, '[1,1]')");
    assert_int_equal(try_exec(s->db, "COMMIT"), SQLITE_BUSY);
    exec(other, "COMMIT");
    exec(s->db, "COMMIT");
    expect(other, "SELECT count(*), (SELECT count(*) FROM w('[1,1]')) FROM w", "3|3\n");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

/* One file, used through SQL and through the library. */
static void test_library_and_sql(void **state) {
    struct scratch *s = *state;
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_hit hit;
    size_t count = 0;
    float vector[2] = {1, 1}, got[2];
    exec(s->db, "CREATE VIRTUAL TABLE w USING tq(v FLOAT[2]); INSERT INTO w(rowid, v) VALUES (1, '[1,0]'), (2, NULL)");
    assert_int_equal(tq_open(s->file, 0, &store), TQ_OK);
    assert_int_equal(tq_index_open(store, "w", &index), TQ_OK);
    assert_int_equal(tq_get(index, 1, got), TQ_OK);
    assert_int_equal(tq_put(index, 3, vector), TQ_OK);
    assert_int_equal(tq_put(index, 2, vector), TQ_OK); /* was a NULL row: now it has a vector */
    expect(s->db, "SELECT rowid, tq_json(v) FROM w ORDER BY rowid", "1|[1,0]\n2|[1,1]\n3|[1,1]\n");
    exec(s->db, "DELETE FROM w WHERE rowid = 2");
    expect(s->db, "SELECT rowid FROM w ORDER BY rowid", "1\n3\n");
    exec(s->db, "INSERT INTO w(rowid, v) VALUES (4, '[-1,-1]')");
    vector[0] = vector[1] = -1;
    assert_int_equal(tq_search(index, vector, 1, 1, NULL, &hit, &count, NULL), TQ_OK);
    assert_int_equal(hit.id, 4);
    tq_index_close(index);
    struct tq_index_options options = tq_index_defaults(2);
    assert_int_equal(tq_index_create(store, "mine", &options, &index), TQ_OK);
    assert_int_equal(tq_put(index, 7, vector), TQ_OK);
    tq_index_close(index);
    exec(s->db, "CREATE VIRTUAL TABLE mine USING tq(v FLOAT[2])");
    expect(s->db, "SELECT rowid, round(score, 9) FROM mine('[-1,-1]')", "7|1.0\n");
    assert_int_equal(try_exec(s->db, "CREATE VIRTUAL TABLE w2 USING tq(v FLOAT[2], bits=x)"), SQLITE_ERROR);
    tq_close(store);
}

static void test_defensive_and_untrusted(void **state) {
    struct scratch *s = *state;
    exec(s->db,
         "CREATE VIRTUAL TABLE w USING tq(v FLOAT[2]); CREATE VIEW n AS SELECT rowid AS id, tq_json(v) AS j FROM w");
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    exec(s->db, "INSERT INTO w(v) VALUES ('[1,0]')");
    expect(s->db, "SELECT * FROM n", "1|[1,0]\n");
    assert_int_equal(try_exec(s->db, "DELETE FROM w_rows"), SQLITE_ERROR); /* shadow tables are ours */
    exec(s->db, "ALTER TABLE w RENAME TO z; DROP VIEW n; DROP TABLE z");
}

/* A statement that is kept prepared keeps what is known of a table that ROLLBACK has taken away; another one has its
 * name then. */
static void test_rollback_of_a_table(void **state) {
    struct scratch *s = *state;
    sqlite3_stmt *kept = NULL;
    exec(s->db, "CREATE VIRTUAL TABLE w USING tq(v FLOAT[1]); INSERT INTO w(v) VALUES ('[1]'), ('[2]'), ('[3]');"
                "INSERT INTO w(w) VALUES ('optimize'); BEGIN; ALTER TABLE w RENAME TO z;"
                "CREATE VIRTUAL TABLE w USING tq(v FLOAT[1])");
    assert_int_equal(sqlite3_prepare_v2(s->db, "INSERT INTO w(v) VALUES ('[5]')", -1, &kept, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(kept), SQLITE_DONE);
    assert_int_equal(sqlite3_reset(kept), SQLITE_OK);
    exec(s->db, "ROLLBACK");
    assert_int_equal(sqlite3_step(kept), SQLITE_DONE);
    assert_int_equal(sqlite3_reset(kept), SQLITE_OK);
    expect(s->db, "SELECT rowid, tq_json(v) FROM w", "1|[1]\n2|[2]\n3|[3]\n4|[5]\n");
    expect(s->db, "SELECT tq_check('w')", "ok\n");
    assert_int_equal(sqlite3_finalize(kept), SQLITE_OK);
}

/* ---- Memory that cannot be had ---- */

static void test_allocation_failures(void **state) {
    static const char *const work[] = {
        "INSERT INTO w(rowid, v) VALUES (50, '[1,2,3]')",
        "UPDATE w SET v = '[3,2,1]' WHERE rowid = 1",
        "DELETE FROM w WHERE rowid = 50",
        "SELECT rowid, v FROM w",
        "SELECT rowid FROM w('[1,2,3]') ORDER BY score DESC",
        "SELECT rowid FROM w ORDER BY tq_cosine(v, '[1,2,3]') DESC LIMIT 5",
        "SELECT rowid FROM w ORDER BY tq_cosine(v, (SELECT v FROM w WHERE rowid = 1)) DESC LIMIT 5",
        ("BEGIN; INSERT INTO w(rowid, v) VALUES (60, '[1,2,3]'); SAVEPOINT a; INSERT INTO w(v) VALUES ('[1,1,1]');"
         "ROLLBACK TO a; ROLLBACK"),
        "SELECT tq_info('w'), tq_explain(), tq_config('threads')",
    };
    struct scratch *s = *state;
    exec(s->db,
         "CREATE VIRTUAL TABLE w USING tq(v FLOAT[3]); INSERT INTO w(rowid, v) VALUES (1, '[1,1,1]'), (2, NULL)");
    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++) {
        for (long n = 1; n < 200; n++) {
            sqlite3 *db = open_db(s->file);
            tq_alloc_fail_after(n);
            int rc = try_exec(db, work[i]);
            tq_alloc_fail_after(0);
            if (rc != SQLITE_OK) (void)try_exec(db, "ROLLBACK");
            expect(db, "SELECT count(*) FROM w WHERE rowid <= 2", "2\n");
            assert_int_equal(sqlite3_close(db), SQLITE_OK);
            if (rc == SQLITE_OK && n > 60) break;
        }
    }
    expect(s->db, "SELECT rowid, tq_json(v) FROM w", "1|[3,2,1]\n2|NULL\n");
}

/* As sqlite3_auto_extension() and then a program by hand do: the first call leaves no error behind, which SQLite would
 * take for its own, and the second finds that all is there. */
static void test_registering(void **state) {
    struct scratch *s = *state;
    assert_int_equal(sqlite3_errcode(s->db), SQLITE_OK);
    exec(s->db, "CREATE VIRTUAL TABLE w USING tq(v FLOAT[2]); INSERT INTO w(rowid, v) VALUES (1, '[1,2]')");
    assert_int_equal(sqlite3_tq_init(s->db, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_errcode(s->db), SQLITE_OK);
    expect(s->db, "SELECT rowid FROM w('[1,2]')", "1\n");
    FILE *file = fopen(s->file, "r+b"); /* not a database: opening is not what finds out */
    assert_non_null(file);
    assert_int_equal(fwrite("nothing", 1, 7, file), 7);
    assert_int_equal(fclose(file), 0);
    sqlite3 *other = open_db(s->file);
    assert_int_equal(try_exec(other, "SELECT * FROM sqlite_master"), SQLITE_NOTADB);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

int main(int argc, char **argv) {
    if (argc > 1) statements_wanted = atoi(argv[1]);
    if (sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) != SQLITE_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_grammar_of_queries),
        cmocka_unit_test_setup_teardown(test_registering, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recognised_equals_scan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writing_under_a_select, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rollback_under_a_select, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vectors_outlive_their_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_library_and_sql, setup, teardown),
        cmocka_unit_test_setup_teardown(test_defensive_and_untrusted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rollback_of_a_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_allocation_failures, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
