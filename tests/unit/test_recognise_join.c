/* Where the queries of a join come from. A wrong guess costs time only; a missed one, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sql/recognise.h"
#include "src/base/alloc.h"
#include "src/base/base.h"

static const char *const vectors[] = {"embedding", "title_vec"};
static const char *const others[] = {"id", "lang"};
static const struct tq_recognise_table docs = {.schema = "main",
                                               .name = "docs",
                                               .vectors = vectors,
                                               .vector_count = TQ_COUNT(vectors),
                                               .others = others,
                                               .others_stored = others,
                                               .other_count = TQ_COUNT(others)};

struct join {
    const char *sql;
    const char *answer; /* source.column; NULL: none */
};

static const struct join joins[] = {
    {"SELECT * FROM queries q, docs(q.v)", "\"queries\".\"v\""},
    {"SELECT * FROM queries AS q, docs(q.v, 10)", "\"queries\".\"v\""},
    {"SELECT * FROM queries, docs(queries.v)", "\"queries\".\"v\""},
    {"SELECT * FROM main.queries, main.docs(queries.v, 10) d", "\"main\".\"queries\".\"v\""},
    {"SELECT * FROM queries q JOIN docs(q.v, 10)", "\"queries\".\"v\""},
    {"SELECT * FROM queries q CROSS JOIN docs(q.v)", "\"queries\".\"v\""},
    {"SELECT * FROM docs(q.v, 10) d, queries q", "\"queries\".\"v\""},
    {"SELECT * FROM queries AS q JOIN docs ON docs.embedding MATCH q.v", "\"queries\".\"v\""},
    {"SELECT * FROM queries AS q JOIN docs ON docs.embedding MATCH q.v AND k = 10", "\"queries\".\"v\""},
    {"SELECT * FROM queries AS q JOIN docs ON (k = 10 AND (docs.title_vec MATCH q.v))", "\"queries\".\"v\""},
    {"SELECT * FROM queries q LEFT JOIN docs d ON d.embedding MATCH q.v WHERE d.k = 3", "\"queries\".\"v\""},
    {"SELECT * FROM queries q, docs WHERE embedding MATCH q.v AND k = 2", "\"queries\".\"v\""},
    {"SELECT * FROM queries q, docs d WHERE d.docs MATCH q.v", "\"queries\".\"v\""},
    {"SELECT a.rowid FROM docs AS a JOIN docs AS b ON b.embedding MATCH a.title_vec", "\"docs\".\"title_vec\""},
    {"SELECT * FROM t JOIN queries q USING (a, b) JOIN docs ON embedding MATCH q.v", "\"queries\".\"v\""},
    {"SELECT * FROM [my queries] AS `q q`, \"docs\"(\"q q\".[v v])", "\"my queries\".\"v v\""},
    {"SELECT * FROM `a``b\"c` q, docs(q.\"x\"\"y\")", "\"a`b\"\"c\".\"x\"\"y\""},
    {"SELECT * FROM [a\"b] q, docs(q.[x``y])", "\"a\"\"b\".\"x``y\""},
    {"select * from Queries Q, DOCS ( q.V )", "\"Queries\".\"V\""},
    {"INSERT INTO hits SELECT q.id, d.rowid FROM queries q, docs(q.v, 5) d", "\"queries\".\"v\""},
    {"SELECT * FROM (SELECT q.id FROM queries q JOIN docs(q.v, 5)) x ORDER BY 1", "\"queries\".\"v\""},
    {"WITH h AS (SELECT q.id FROM queries q, docs(q.v, 5)) SELECT * FROM h", "\"queries\".\"v\""},
    {"SELECT count(*) FROM t WHERE id IN (SELECT docs.rowid FROM queries q, docs(q.v, 5))", "\"queries\".\"v\""},
    {"SELECT (SELECT max(id) FROM t), q.id FROM queries q, docs(q.v, 5) GROUP BY q.id", "\"queries\".\"v\""},
    {"SELECT * FROM queries q, docs(q.v, 10) WHERE q.id = ? AND score > :s", "\"queries\".\"v\""},
    {"SELECT * FROM docs(:q)", NULL},
    {"SELECT * FROM docs('[1]', 10)", NULL},
    {"SELECT * FROM queries q, docs(v)", NULL},
    {"SELECT * FROM queries q, docs(tq_f32(q.v))", NULL},
    {"SELECT * FROM queries q, docs(q.v || '')", NULL},
    {"SELECT * FROM queries q, docs(main.q.v)", NULL},
    {"SELECT * FROM queries q, docs(p.v)", NULL},
    {"SELECT * FROM queries q, docs(queries.v)", NULL}, /* it is called q */
    {"SELECT * FROM queries q, other(q.v)", NULL},
    {"SELECT * FROM (SELECT v FROM queries) q, docs(q.v)", NULL},
    {"SELECT * FROM (queries q), docs(q.v)", NULL},
    {"SELECT * FROM json_each('[1]') q, docs(q.value)", NULL},
    {"SELECT * FROM json_each('[1]'), docs(json_each.value)", NULL},
    {"SELECT * FROM main.json_each('[1]'), docs(json_each.value)", NULL},
    {"SELECT * FROM docs(q.v, 10) ORDER BY score, q", NULL},
    {"SELECT * FROM t JOIN u USING (a, q), docs(q.v)", NULL},
    {"SELECT * FROM json_each, docs(json_each.value)", "\"json_each\".\"value\""},
    {"WITH q AS (SELECT v FROM t) SELECT * FROM q, docs(q.v)", NULL},
    {"WITH near(v) AS (SELECT v FROM t) SELECT * FROM near q, docs(q.v)", NULL},
    {"WITH q AS NOT MATERIALIZED (SELECT v FROM t) SELECT * FROM q, docs(q.v)", NULL},
    {"WITH q AS MATERIALIZED (SELECT v FROM t) SELECT * FROM q, docs(q.v)", NULL},
    {"SELECT (SELECT d.rowid FROM docs(q.v, 1) d) FROM queries q", NULL},
    {"SELECT * FROM queries q JOIN docs ON docs.lang MATCH q.v", NULL},
    {"SELECT * FROM queries q JOIN other ON other.embedding MATCH q.v", NULL},
    {"SELECT * FROM queries q JOIN docs ON docs.embedding MATCH :q", NULL},
    {"SELECT * FROM queries q JOIN docs ON docs.embedding MATCH main.q.v", NULL},
    {"SELECT * FROM queries q JOIN docs ON docs.embedding MATCH q.v.w", NULL},
    {"SELECT docs.embedding MATCH q.v", NULL},
    {"docs(q.v)", NULL},
    {"SELECT * FROM queries., docs(queries.v)", NULL},
    {"SELECT * FROM queries q, docs(q.", NULL},
    {"SELECT * FROM queries q, docs(q.v", NULL},
    {"", NULL},
};

static void test_joins(void **state) {
    (void)state;
    for (size_t i = 0; i < TQ_COUNT(joins); i++) {
        struct tq_recognised_join join;
        bool yes = tq_recognise_join(joins[i].sql, &docs, &join);
        if (!yes && joins[i].answer != NULL) fail_msg("not recognised: %s", joins[i].sql);
        if (!yes) continue;
        char *found = sqlite3_mprintf("%s.%s", join.source, join.column);
        const char *expected = joins[i].answer == NULL ? "nothing" : joins[i].answer;
        if (strcmp(found, expected) != 0) fail_msg("%s\nexpected: %s\nfound: %s", joins[i].sql, expected, found);
        sqlite3_free(found);
        tq_free(join.source);
        tq_free(join.column);
    }
}

static void test_no_memory(void **state) {
    (void)state;
    struct tq_recognised_join join;
    for (int n = 1; n <= 2; n++) {
        tq_alloc_fail_after(n);
        assert_false(tq_recognise_join("SELECT * FROM queries q, docs(q.v)", &docs, &join));
    }
    tq_alloc_fail_after(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_joins), cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
