/* What may be recognised, and what a WHERE becomes. A wrong yes is a wrong answer: most of this tries to get one.
 *
 *   test_recognise [statements]    of the random test, 20,000 by default */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sql/recognise.h"
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "src/base/rng.h"

static int statements_wanted = 20000;

static const char *const vectors[] = {"embedding", "title_vec"};
static const char *const others[] = {"id", "lang", "price", "tenant", "note", "stars"};
static const char *const stored[] = {"id", "m0", "m1", "m2", "m3", "m4"};
static const char *const apart[] = {"body", "extra_text"};
static const struct tq_recognise_table docs = {
    .schema = "main",
    .name = "docs",
    .vectors = vectors,
    .vector_count = TQ_COUNT(vectors),
    .others = others,
    .others_stored = stored,
    .other_count = TQ_COUNT(others),
    .apart = apart,
    .apart_count = TQ_COUNT(apart),
};

/* Columns whose names are keywords, functions, or need quotes. */
static const char *const odd_vectors[] = {"embedding", "glob"};
static const char *const odd_others[] = {"end",     "like", "lower", "true", "select", "distinct", "union",
                                         "a space", "a\"b", "$x",    "case", "a``b",   "not",      "\xef\xbb\xbflang"};
static const char *const odd_stored[] = {"m0", "m1", "m2", "m3",  "m4",  "m5",  "m6",
                                         "m7", "m8", "m9", "m10", "m11", "m12", "m13"};
static const char *const odd_apart[] = {"false"};
static const struct tq_recognise_table odd = {
    .schema = "temp",
    .name = "odd one",
    .vectors = odd_vectors,
    .vector_count = TQ_COUNT(odd_vectors),
    .others = odd_others,
    .others_stored = odd_stored,
    .other_count = TQ_COUNT(odd_others),
    .apart = odd_apart,
    .apart_count = TQ_COUNT(odd_apart),
};

/* ---- WHERE by itself ---- */

struct condition {
    const char *condition;
    const char *where; /* NULL: not recognised */
    const char *why;   /* part of it */
};

static void check_conditions(const struct tq_recognise_table *table, const char *format,
                             const struct condition *conditions, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct condition *c = &conditions[i];
        struct tq_recognised out;
        char *sql = sqlite3_mprintf(format, c->condition);
        bool yes = tq_recognise(sql, NULL, table, &out);
        if (yes != (c->where != NULL)) fail_msg("%s\n%s", sql, yes ? out.where : out.why);
        if (yes && strcmp(out.where, c->where) != 0) fail_msg("%s\nexpected: %s\nfound: %s", sql, c->where, out.where);
        if (!yes && out.where != NULL) fail_msg("%s: kept the text", sql);
        if (!yes && strstr(out.why, c->why) == NULL) fail_msg("%s\nexpected: %s\nfound: %s", sql, c->why, out.why);
        tq_free(out.where);
        sqlite3_free(sql);
    }
}

static const struct condition plain_conditions[] = {
    {"lang = 'en'", "\"m0\" = 'en'", NULL},
    {"lang=='en'", "\"m0\"=='en'", NULL},
    {"LANG <> 'en'", "\"m0\" <> 'en'", NULL},
    {"price != 5 and price<6", "\"m1\" != 5 and \"m1\"<6", NULL},
    {"price < .5", "\"m1\" < .5", NULL},
    {"price < 5.", "\"m1\" < 5.", NULL},
    {"price >= 1.5e-3 OR price <= -1E+3", "\"m1\" >= 1.5e-3 OR \"m1\" <= -1E+3", NULL},
    {"tenant = 0x1F", "\"m2\" = 0x1F", NULL},
    {"tenant = 0x1e-tenant", "\"m2\" = 0x1e-\"m2\"", NULL},
    {"tenant & 3 | 4 << 1 >> 2", "\"m2\" & 3 | 4 << 1 >> 2", NULL},
    {"~tenant % 5 / 2 * 3 + 1", "~\"m2\" % 5 / 2 * 3 + 1", NULL},
    {"- -tenant < 3", "- -\"m2\" < 3", NULL},
    {"-/**/-tenant < 3", "- -\"m2\" < 3", NULL},
    {"tenant/ /**/ *3", "\"m2\"/ *3", NULL},
    {"id = 5", "\"id\" = 5", NULL},
    {"rowid = 5 OR _rowid_ = 6 OR oid = 7", "\"id\" = 5 OR \"id\" = 6 OR \"id\" = 7", NULL},
    {"docs.lang = 'en'", "\"m0\" = 'en'", NULL},
    {"docs . lang = 'en'", "\"m0\" = 'en'", NULL},
    {"main.docs.lang = 'en'", "\"m0\" = 'en'", NULL},
    {"\"main\".`docs`.[lang] = 'en'", "\"m0\" = 'en'", NULL},
    {"docs.rowid IN (1,2)", "\"id\" IN (1,2)", NULL},
    {"\"lang\" = 'en'", "\"m0\" = 'en'", NULL},
    {"`LANG` = 'en'", "\"m0\" = 'en'", NULL},
    {"[Lang] = 'en'", "\"m0\" = 'en'", NULL},
    {"NOT\"lang\"='en'", "NOT\"m0\"='en'", NULL},
    {"lang = 'it''s lang'", "\"m0\" = 'it''s lang'", NULL},
    {"lang = ''", "\"m0\" = ''", NULL},
    {"lang = ''''", "\"m0\" = ''''", NULL},
    {"lang = '\"lang\"'", "\"m0\" = '\"lang\"'", NULL},
    {"lang = ') OR SELECT -- /*'", "\"m0\" = ') OR SELECT -- /*'", NULL},
    {"note = x'00ff' OR note = X''", "\"m3\" = x'00ff' OR \"m3\" = X''", NULL},
    {"lang = 'en' -- OR 1\n AND price < 2", "\"m0\" = 'en' AND \"m1\" < 2", NULL},
    {"lang /* = 'de' */ = 'en'", "\"m0\" = 'en'", NULL},
    {"/* ' */ lang = 'en' /* ' */", "\"m0\" = 'en'", NULL},
    {"lang IS NULL OR price ISNULL OR note NOTNULL OR tenant NOT NULL",
     "\"m0\" IS NULL OR \"m1\" ISNULL OR \"m3\" NOTNULL OR \"m2\" NOT NULL", NULL},
    {"lang IS NOT NULL", "\"m0\" IS NOT NULL", NULL},
    {"price BETWEEN 1 AND 2", "\"m1\" BETWEEN 1 AND 2", NULL},
    {"price NOT BETWEEN (1) AND (2)", "\"m1\" NOT BETWEEN (1) AND (2)", NULL},
    {"lang IN ('en', 'de')", "\"m0\" IN ('en', 'de')", NULL},
    {"lang NOT IN ()", "\"m0\" NOT IN ()", NULL},
    {"(tenant, lang) IN ((1, 'en'))", "(\"m2\", \"m0\") IN ((1, 'en'))", NULL},
    {"(tenant, lang) > (1, 'en')", "(\"m2\", \"m0\") > (1, 'en')", NULL},
    {"lang LIKE 'e%' ESCAPE '\\'", "\"m0\" LIKE 'e%' ESCAPE '\\'", NULL},
    {"lang NOT GLOB 'e*'", "\"m0\" NOT GLOB 'e*'", NULL},
    {"like('e%', lang)", "like('e%', \"m0\")", NULL},
    {"lang COLLATE NOCASE = 'EN'", "\"m0\" COLLATE NOCASE = 'EN'", NULL},
    {"lang COLLATE rtrim IN ('en ')", "\"m0\" COLLATE rtrim IN ('en ')", NULL},
    {"lang = 'en' COLLATE binary", "\"m0\" = 'en' COLLATE binary", NULL},
    {"CASE lang WHEN 'en' THEN price ELSE tenant END > 2", "CASE \"m0\" WHEN 'en' THEN \"m1\" ELSE \"m2\" END > 2",
     NULL},
    {"CASE WHEN lang = 'en' THEN 1 END", "CASE WHEN \"m0\" = 'en' THEN 1 END", NULL},
    {"TRUE", "TRUE", NULL},
    {"price IS NOT FALSE", "\"m1\" IS NOT FALSE", NULL},
    {"NULL", "NULL", NULL},
    {"abs(price) + round(price, 1) < length(lang)", "abs(\"m1\") + round(\"m1\", 1) < length(\"m0\")", NULL},
    {"lower(lang) || upper(lang) = 'enEN'", "lower(\"m0\") || upper(\"m0\") = 'enEN'", NULL},
    {"coalesce(lang, note, '') = ifnull(nullif(lang, 'x'), '')",
     "coalesce(\"m0\", \"m3\", '') = ifnull(nullif(\"m0\", 'x'), '')", NULL},
    {"substr(lang, 1, 1) = trim(ltrim(rtrim(lang)))", "substr(\"m0\", 1, 1) = trim(ltrim(rtrim(\"m0\")))", NULL},
    {"typeof (price) = 'real' AND instr(lang, 'e')", "typeof (\"m1\") = 'real' AND instr(\"m0\", 'e')", NULL},
    {"note -> '$.a' = 1", "\"m3\" -> '$.a' = 1", NULL},
    {"((lang = 'en'))", "((\"m0\" = 'en'))", NULL},
    {"lang = ?", "\"m0\" = ?1", NULL},
    {"lang = :a AND note = :b AND lang <> :a", "\"m0\" = ?1 AND \"m3\" = ?2 AND \"m0\" <> ?1", NULL},
    {"lang = ?7 AND note = ? AND price < @p AND price > $p",
     "\"m0\" = ?7 AND \"m3\" = ?8 AND \"m1\" < ?9 AND \"m1\" > ?10", NULL},
    {"price = 5 -?\n AND lang = 'en'", "\"m1\" = 5 -?1 AND \"m0\" = 'en'", NULL},
    {"lang = ?AND price = 1", "\"m0\" = ?1AND \"m1\" = 1", NULL},
    /* not: subqueries */
    {"lang IN (SELECT lang FROM docs)", NULL, "a subquery in WHERE"},
    {"EXISTS (SELECT 1)", NULL, "a subquery in WHERE"},
    {"price = (SELECT 1)", NULL, "a subquery in WHERE"},
    {"price = (select/**/1)", NULL, "a subquery in WHERE"},
    {"price IN (VALUES (1))", NULL, "a subquery in WHERE"},
    {"price IN (WITH x AS (SELECT 1) SELECT * FROM x)", NULL, "a subquery in WHERE"},
    {"price IN ((SELECT 1), 2)", NULL, "a subquery in WHERE"},
    {"price IN (SELECT 1 ORDER BY 1)", NULL, "a subquery in WHERE"},
    /* not: tables in disguise */
    {"price IN lang", NULL, "on the list"},
    {"price IN \"lang\"", NULL, "on the list"},
    {"price IN main.lang", NULL, "on the list"},
    {"price IN json_each('[1]')", NULL, "on the list"},
    /* not: functions */
    {"random() > 0", NULL, "a function in WHERE"},
    {"count(*) > 0", NULL, "a function in WHERE"},
    {"max(price, 1) > 0", NULL, "a function in WHERE"},
    {"MIN (price) > 0", NULL, "a function in WHERE"},
    {"sum(price) > 0", NULL, "a function in WHERE"},
    {"last_insert_rowid() = rowid", NULL, "a function in WHERE"},
    {"tq_l2(lang, x'00') < 1", NULL, "a function in WHERE"},
    {"\"lower\"(lang) = 'en'", NULL, "a function in WHERE"},
    {"lang(1)", NULL, "a function in WHERE"},
    {"\"lang\"(1)", NULL, "a function in WHERE"},
    {"main.lower(lang)", NULL, "a name in WHERE of another table"},
    {"docs.lang(1)", NULL, "a name in WHERE of another table"},
    {"cast(price AS TEXT) = '5'", NULL, "a function in WHERE"},
    {"lang REGEXP 'e'", NULL, "on the list"},
    {"likelihood(price, 0.5)", NULL, "a function in WHERE"},
    {"end(1)", NULL, "a function in WHERE"},
    {"collate(1)", NULL, "a function in WHERE"},
    {"true(1)", NULL, "a function in WHERE"},
    /* not: names */
    {"unknown = 1", NULL, "no column of the table"},
    {"lang = \"en\"", NULL, "no column of the table"},
    {"lang = `en`", NULL, "no column of the table"},
    {"lang = [en]", NULL, "no column of the table"},
    {"m0 = 'en'", NULL, "no column of the table"},
    {"slot = 1", NULL, "no column of the table"},
    {"s > 0.5", NULL, "no column of the table"},
    {"\"SELECT\" = 1", NULL, "no column of the table"},
    {"\"TRUE\"", NULL, "no column of the table"},
    {"lang = current_timestamp", NULL, "no column of the table"},
    {"other.lang = 'en'", NULL, "of another table"},
    {"temp.docs.lang = 'en'", NULL, "of another table"},
    {"a.main.docs.lang = 'en'", NULL, "of another table"},
    {"main.docs.lang.x = 'en'", NULL, "a sign in WHERE"},
    {"docs.'lang' = 'en'", NULL, "of another table"},
    {"'docs'.lang = 'en'", NULL, "a sign in WHERE"},
    {"docs.* = 1", NULL, "of another table"},
    {"docs.unknown = 1", NULL, "no column of the table"},
    {"docs.k = 1", NULL, "score, distance, k"},
    {"score > 0.5", NULL, "score, distance, k"},
    {"\"distance\" < 1", NULL, "score, distance, k"},
    {"k = 10", NULL, "score, distance, k"},
    {"docs = 'x'", NULL, "the table's name"},
    {"docs MATCH '[1]'", NULL, "the table's name"},
    {"embedding MATCH '[1]'", NULL, "a vector column"},
    {"title_vec IS NOT NULL", NULL, "a vector column"},
    {"docs.embedding IS NOT NULL", NULL, "a vector column"},
    {"length(embedding) > 5", NULL, "a vector column"},
    {"body LIKE 'x%'", NULL, "an auxiliary column"},
    {"docs.\"extra_text\" = ''", NULL, "an auxiliary column"},
    {"lang COLLATE mine = 'en'", NULL, "a collation in WHERE"},
    {"lang COLLATE lang = 'en'", NULL, "a collation in WHERE"},
    {"lang COLLATE \"nocase\" = 'en'", NULL, "a collation in WHERE"},
    {"nocase = 'en'", NULL, "no column of the table"},
    /* not: what no statement can be, or what SQLite cuts elsewhere */
    {"", NULL, "an empty WHERE clause"},
    {"lang = 'en') OR (1", NULL, "parentheses in WHERE"},
    {"(lang = 'en'", NULL, "no ORDER BY"},
    {"lang = 'en' ; DROP TABLE docs", NULL, "a sign in WHERE"},
    {"lang ^ 2", NULL, "a sign in WHERE"},
    {"[lang]] = 1", NULL, "a sign in WHERE"},
    {"lang = 'en", NULL, "a long statement"},
    {"price = 12lang", NULL, "a long statement"},
    {"price = 0x12lang", NULL, "a long statement"},
    {"price = 1e-lang", NULL, "a long statement"},
    {"price = $a::b(c)", NULL, "a long statement"},
    {"price = #1", NULL, "a sign in WHERE"},
    {"price = ?99999999999999999999", NULL, "a long statement"},
    {"\xef\xbb\xbflang = 1", NULL, "a long statement"},
    {"lang = 1 GROUP BY lang", NULL, "a GROUP BY clause"},
    {"lang IS NOT DISTINCT FROM 'x'", NULL, "on the list"},
    {"lang = 1 HAVING 1", NULL, "no column of the table"},
    {"lang = 1 WINDOW w AS (ORDER BY lang)", NULL, "no column of the table"},
    {"lang = 1 UNION SELECT rowid FROM docs WHERE 1", NULL, "a compound SELECT"},
};

static void test_conditions(void **state) {
    (void)state;
    check_conditions(&docs, "SELECT rowid FROM docs WHERE %s ORDER BY tq_l2(embedding, x'00') LIMIT 10",
                     plain_conditions, TQ_COUNT(plain_conditions));
}

static const struct condition aliased_conditions[] = {
    {"d.lang = 'en'", "\"m0\" = 'en'", NULL},
    {"D.\"lang\" = 'en'", "\"m0\" = 'en'", NULL},
    {"main.d.lang = 'en'", "\"m0\" = 'en'", NULL},
    {"d.rowid = 1", "\"id\" = 1", NULL},
    {"docs.lang = 'en'", NULL, "of another table"},
    {"main.docs.lang = 'en'", NULL, "of another table"},
    {"d.d = 'en'", NULL, "no column of the table"},
    {"d.docs = 'en'", NULL, "the table's name"},
    {"title = 'en'", NULL, "no column of the table"}, /* an alias of a result */
    {"stars = 5", "\"m4\" = 5", NULL},                /* a column and an alias: it is the column */
    {"near < 5", NULL, "no column of the table"},
};

static void test_conditions_with_aliases(void **state) {
    (void)state;
    check_conditions(&docs,
                     "SELECT lang AS title, price AS stars, tq_l2(embedding, x'00') near FROM main.docs AS d WHERE %s "
                     "ORDER BY near LIMIT 10",
                     aliased_conditions, TQ_COUNT(aliased_conditions));
}

static const struct condition odd_conditions[] = {
    {"\"end\" = 1", "\"m0\" = 1", NULL},
    {"o.end = 1", "\"m0\" = 1", NULL},
    {"end = 1", NULL, "a keyword in WHERE that is a column's name"},
    {"CASE WHEN 1 THEN 2 END", NULL, "a keyword in WHERE that is a column's name"},
    {"\"end\" LIKE 'x'", NULL, "a keyword in WHERE that is a column's name"},
    {"\"like\" = 'x'", "\"m1\" = 'x'", NULL},
    {"lower = lower(lower)", "\"m2\" = lower(\"m2\")", NULL},
    {"\"lower\" (1)", NULL, "a function in WHERE"},
    {"true", NULL, "a keyword in WHERE that is a column's name"},
    {"\"true\"", "\"m3\"", NULL},
    {"false", NULL, "a keyword in WHERE that is a column's name"},
    {"o.false", NULL, "an auxiliary column"},
    {"\"lower\" GLOB 'x'", NULL, "a keyword in WHERE that is a column's name"},
    {"o.glob = 1", NULL, "a vector column"},
    {"\"select\" = 1", "\"m4\" = 1", NULL},
    {"lower IN (select 1)", NULL, "a subquery in WHERE"},
    {"[a space] = `a space`", "\"m7\" = \"m7\"", NULL},
    {"\"a\"\"b\" = 1", NULL, "no column of the table"}, /* it is; nobody needs it */
    {"`a\"b` = 1", "\"m8\" = 1", NULL},
    {"[a\"b] = 1", "\"m8\" = 1", NULL},
    {"`a``b` = 1", NULL, "no column of the table"}, /* this is a`b */
    {"\"a``b\" = 1", "\"m11\" = 1", NULL},
    {"\"$x\" = 1", "\"m9\" = 1", NULL},
    {"$x = 1", "?1 = 1", NULL},
    {"\"case\" = 1", "\"m10\" = 1", NULL},
    {"not lower", NULL, "a keyword in WHERE that is a column's name"},
    {"\xef\xbb\xbflang = 1", NULL, "a long statement"}, /* a blank, and lang */
    {"\"odd one\".lower = 1", NULL, "of another table"},
    {"\"odd one\" = 1", NULL, "the table's name"},
};

static void test_conditions_on_odd_names(void **state) {
    (void)state;
    check_conditions(&odd, "SELECT rowid FROM temp.[odd one] o WHERE %s ORDER BY tq_l2(embedding, x'00') LIMIT 10",
                     odd_conditions, TQ_COUNT(odd_conditions));
}

/* ---- Statements ---- */

struct statement {
    const char *sql;
    const char *why; /* part of it; NULL: recognised */
};

static void check_statements(const struct tq_recognise_table *table, const struct statement *statements, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct statement *s = &statements[i];
        struct tq_recognised out;
        bool yes = tq_recognise(s->sql, NULL, table, &out);
        if (yes && s->why != NULL) fail_msg("recognised: %s", s->sql);
        if (!yes && s->why == NULL) fail_msg("%s: %s", out.why, s->sql);
        if (!yes && out.where != NULL) fail_msg("%s: kept the text", s->sql);
        if (!yes && strstr(out.why, s->why) == NULL) fail_msg("%s\nexpected: %s\nfound: %s", s->sql, s->why, out.why);
        tq_free(out.where);
    }
}

#define NEAR " ORDER BY tq_l2(embedding, x'00') LIMIT 10"
static const struct statement plain_statements[] = {
    {"SELECT lang, price, docs.tenant, docs.id, body, \"extra_text\", title_vec FROM docs" NEAR, NULL},
    {"SELECT body || lang AS text, docs.rowid FROM docs WHERE lang = 'en'" NEAR, NULL},
    {"SELECT *, docs.* FROM docs WHERE lang = 'en'" NEAR, NULL},
    {"SELECT rowid FROM docs where lang = 'en'" NEAR ";", NULL},
    {"SELECT rowid FROM docs AS d WHERE d.lang = 'en' ORDER BY tq_l2(d.embedding, x'00') LIMIT 10", NULL},
    {"SELECT rowid FROM docs WHERE lang = 'en' ORDER BY tq_ip(x'00', docs.title_vec) DESC LIMIT 10 OFFSET 5", NULL},
    {"SELECT rowid, tq_l2(title_vec, '[1]') near FROM docs WHERE price < 5 ORDER BY near LIMIT 10", NULL},
    {"SELECT tq_l2(title_vec, '[1]'), tq_l2(embedding, '[1]') FROM docs WHERE price < 5 ORDER BY 2 LIMIT 10", NULL},
    {"SELECT rowid FROM docs WHERE lang = ? ORDER BY tq_l2(embedding, ?) LIMIT 10", NULL},
    {"SELECT tq_l2(embedding, :q) s, round(tq_l2(embedding, :q), 3) FROM docs ORDER BY s LIMIT 10", NULL},
    {"SELECT rowid FROM docs ORDER BY tq_l2(embedding, tq_normalize(:q)) LIMIT 10", NULL},
    {"SELECT rowid FROM docs ORDER BY tq_l2(embedding, (SELECT embedding FROM docs WHERE id = :id)) LIMIT 10", NULL},
    {"SELECT (SELECT v FROM t WHERE t.id = docs.id) FROM docs WHERE lang = 'en'" NEAR, NULL},
    {"SELECT rowid FROM docs ORDER BY tq_l2(embedding, x'00') LIMIT ?", "LIMIT is not a number"},
    {"SELECT rowid FROM docs ORDER BY tq_l2(embedding, x'00') LIMIT 10 OFFSET :n", "LIMIT is not a number"},
    {"SELECT rowid FROM docs ORDER BY tq_l2(embedding, title_vec) LIMIT 10", "ORDER BY is not one"},
    {"SELECT rowid FROM docs ORDER BY tq_l2(embedding, lang) LIMIT 10", "ORDER BY is not one"},
    {"SELECT rowid FROM docs ORDER BY tq_l2(body, x'00') LIMIT 10", "ORDER BY is not one"},
    {"SELECT rowid FROM docs ORDER BY tq_l2(other.embedding, x'00') LIMIT 10", "ORDER BY is not one"},
    {"SELECT rowid FROM docs ORDER BY tq_l2(main.docs.embedding, x'00') LIMIT 10", "ORDER BY is not one"},
    {"SELECT rowid FROM docs ORDER BY tq_l2(embedding || '', x'00') LIMIT 10", "ORDER BY is not one"},
    {"SELECT rowid FROM docs ORDER BY ? LIMIT 10", "ORDER BY is not one"},
    {"SELECT unknown FROM docs" NEAR, "a result that is not on the list"},
    {"SELECT \"en\" FROM docs" NEAR, "a result that is not on the list"},
    {"SELECT docs.unknown FROM docs" NEAR, "a result that is not on the list"},
    {"SELECT count(*) FROM docs WHERE lang = 'en'" NEAR, "a result that is not on the list"},
    {"SELECT max(price), lang FROM docs WHERE lang = 'en'" NEAR, "a result that is not on the list"},
    {"SELECT lang IN (SELECT 1) FROM docs" NEAR, "a result that is not on the list"},
    {"SELECT DISTINCT lang FROM docs" NEAR, "SELECT DISTINCT"},
    {"SELECT rowid FROM docs WHERE lang = 'en' GROUP BY lang" NEAR, "a GROUP BY clause"},
    {"SELECT rowid FROM docs, t WHERE docs.lang = 'en'" NEAR, "more than one table"},
    {"SELECT rowid FROM docs d JOIN t WHERE d.lang = 'en'" NEAR, "more than one table"},
    {"SELECT rowid FROM docs(:q) WHERE lang = 'en'" NEAR, "FROM is not the table alone"},
    {"SELECT rowid FROM docs NOT INDEXED WHERE lang = 'en'" NEAR, "ORDER BY is not one"},
    {"SELECT rowid FROM temp.docs WHERE lang = 'en'" NEAR, "FROM is not the table alone"},
    {"SELECT rowid FROM docs WHERE" NEAR, "an empty WHERE clause"},
    {"SELECT rowid FROM docs WHERE lang = 'en' LIMIT 10", "no ORDER BY"},
    {"SELECT rowid FROM docs WHERE lang = 'en' ORDER BY tq_l2(embedding, x'00')", "no LIMIT"},
    {"SELECT rowid FROM docs WHERE lang = 'en' ORDER BY lang LIMIT 10", "ORDER BY is not one"},
    {"SELECT rowid FROM docs WHERE lang IN (SELECT 1 FROM t ORDER BY 1)" NEAR, "a subquery in WHERE"},
    {"UPDATE docs SET lang = 'en' WHERE price = 1", "not a plain SELECT"},
    {"EXPLAIN SELECT rowid FROM docs" NEAR, "not a plain SELECT"},
};

static const struct statement odd_statements[] = {
    {"SELECT \"distinct\" x FROM \"odd one\"" NEAR, NULL},
    {"SELECT distinct x FROM \"odd one\"" NEAR, "SELECT DISTINCT"},
    {"SELECT distinct lower FROM \"odd one\"" NEAR, "SELECT DISTINCT"},
    {"SELECT lower union select lower FROM \"odd one\"" NEAR, "a compound SELECT"},
    {"SELECT \"select\", \"union\" FROM \"odd one\"" NEAR, NULL},
    {"SELECT end, like, [glob] FROM \"odd one\"" NEAR, NULL},
};

static void test_statements(void **state) {
    (void)state;
    check_statements(&docs, plain_statements, TQ_COUNT(plain_statements));
    check_statements(&odd, odd_statements, TQ_COUNT(odd_statements));
}

static void test_which_vector(void **state) {
    (void)state;
    struct tq_recognised out;
    assert_true(tq_recognise("SELECT title_vec FROM docs" NEAR, NULL, &docs, &out));
    assert_int_equal(out.vector, 0);
    assert_null(out.where);
    assert_false(out.where_bound);
    const char *sql = "SELECT tq_ip(embedding, 'a') FROM docs ORDER BY tq_ip('[1]', docs.Title_Vec) DESC LIMIT 3, 4";
    assert_true(tq_recognise(sql, NULL, &docs, &out));
    assert_int_equal(out.vector, 1);
    assert_int_equal(out.argument, 0);
    assert_int_equal(out.limit, 4);
    assert_int_equal(out.offset, 3);
    assert_memory_equal(out.query.text, "[1]", out.query.size);
}

/* ---- Values of parameters ---- */

/* Columns of the user in `docs`, under other names in `rows`; a table called as a column is. */
static sqlite3 *open_tables(void) {
    static const char tables[] =
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, lang TEXT, price REAL, tenant INTEGER, note, stars NUMERIC,"
        " embedding, title_vec, body TEXT, extra_text, k, score, distance, docs);"
        "CREATE TABLE rows(id INTEGER PRIMARY KEY, slot, m0 TEXT, m1 REAL, m2 INTEGER, m3, m4 NUMERIC);"
        "CREATE TABLE lang(a); INSERT INTO lang VALUES (1), ('en'), (2.5);"
        "CREATE TABLE source(v TEXT, e); INSERT INTO source VALUES "
        "('en', 1), ('EN', 2.5), ('e%', NULL), ('', -1), (NULL, 0), ('5', '5'), ('en ', 'en'), ('10', x'656e'),"
        "('5.0', 5), ('lang', 9223372036854775807), ('''', -9223372036854775808), ('deAbc', 1e300);"
        "INSERT INTO docs(lang, price, tenant, note, stars, embedding, title_vec, body, k, score, distance, docs)"
        " SELECT a.v, b.e, b.e, a.e, b.v, 'x', 'y', 'z', 1, 2, 3, 'lang' FROM source a, source b;"
        "INSERT INTO rows SELECT id, id * 3, lang, price, tenant, note, stars FROM docs;";
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    if (sqlite3_exec(db, tables, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    return db;
}

static void no_distance(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    (void)values;
    sqlite3_result_int(context, 0);
}

static int open_db(void **state) {
    *state = open_tables();
    return sqlite3_create_function(*state, "tq_l2", 2, SQLITE_UTF8, NULL, no_distance, NULL, NULL);
}

static int close_db(void **state) { return sqlite3_close(*state); }

/* As the extension does it: the statement's own text, and that which SQLite expands. ?1 is a query, ?2 a limit. */
static bool recognise_bound(sqlite3 *db, const char *sql, int64_t limit, struct tq_recognised *out, char **expanded) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    (void)sqlite3_bind_text(statement, 1, "[1, 'x']", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, limit);
    (void)sqlite3_bind_double(statement, 3, 0.1 + 0.2);
    *expanded = sqlite3_expanded_sql(statement);
    sqlite3_finalize(statement);
    return tq_recognise(sql, *expanded, &docs, out);
}

static void test_values_of_parameters(void **state) {
    static const char *const texts[] = {
        "SELECT rowid FROM docs WHERE price < ?3 ORDER BY tq_l2(embedding, ?1) LIMIT ?2",
        "SELECT ?3, - ?2, -- ?\n rowid FROM docs WHERE price<- ?2 AND '?' <> ?3 ORDER BY tq_l2(embedding,?1)LIMIT ?2",
        "SELECT :q || \"LANG\" FROM docs WHERE lang = :q ORDER BY tq_l2(:q, embedding) LIMIT :n;",
    };
    static const char *const wheres[] = {"\"m1\" < ?3", "\"m1\"<- ?2 AND '?' <> ?3", "\"m0\" = ?1"};
    for (size_t i = 0; i < TQ_COUNT(texts); i++) {
        struct tq_recognised out;
        char *expanded = NULL;
        if (!recognise_bound(*state, texts[i], 12, &out, &expanded)) fail_msg("%s: %s", texts[i], out.why);
        assert_string_equal(out.where, wheres[i]);
        assert_true(out.where_bound);
        assert_false(out.later);
        assert_int_equal(out.limit, 12);
        assert_int_equal(out.query.kind, TQ_TOKEN_STRING);
        assert_int_equal(out.query.size, strlen("[1, ''x'']"));
        assert_memory_equal(out.query.text, "[1, ''x'']", out.query.size);
        tq_free(out.where);
        sqlite3_free(expanded);
    }
}

static void test_expanded_text_is_not_trusted(void **state) {
    static const char sql[] = "SELECT rowid FROM docs WHERE price = 5 -?2\n OR id > 0"
                              " ORDER BY tq_l2(embedding, ?1) LIMIT 10";
    static const char limit[] = "SELECT rowid FROM docs ORDER BY tq_l2(embedding, ?1) LIMIT ?2";
    struct tq_recognised out;
    char *expanded = NULL;
    assert_true(recognise_bound(*state, sql, -7, &out, &expanded)); /* "5 --7" is a comment */
    assert_string_equal(out.where, "\"m1\" = 5 -?2 OR \"id\" > 0");
    assert_false(out.later);
    assert_memory_equal(out.query.text, "[1, ''x'']", out.query.size);
    tq_free(out.where);
    sqlite3_free(expanded);
    /* SQLite writes a statement inside of another one as a comment. */
    assert_true(tq_recognise(sql, "-- SELECT rowid FROM docs WHERE", &docs, &out));
    assert_true(out.later);
    tq_free(out.where);
    assert_false(tq_recognise(limit, "-- SELECT rowid FROM docs ORDER BY", &docs, &out));
    assert_string_equal(out.why, "LIMIT is not a number");
    assert_false(recognise_bound(*state, limit, -1, &out, &expanded));
    sqlite3_free(expanded);
}

static void test_limit_hint(void **state) {
    (void)state;
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT 7"), 7);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT 7 OFFSET 3;"), 10);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT 3, 7"), 10);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT (7)"), 0);
    assert_int_equal(tq_limit_hint("SELECT 1 LIMIT ?"), 0);
    assert_int_equal(tq_limit_hint(";"), 0);
    assert_int_equal(tq_limit_hint(""), 0);
}

/* ---- Against SQLite ---- */

/* Draws of one statement. */
struct dice {
    uint64_t statement, drawn;
    sqlite3_str *text;
};

static uint32_t roll(struct dice *d, uint32_t sides) { return tq_rng_below(7, d->statement, d->drawn++, sides); }

#define PICK(dice, words) (words)[roll((dice), (uint32_t)TQ_COUNT(words))]

/* _ is a value, with its own draws. */
static void put_value(struct dice *d);
static void put(struct dice *d, const char *text) {
    static const char *const gaps[] = {" ", " ", " ", "  ", "\n", "/* ' */", " -- \"\n"};
    for (; *text != 0; text++) {
        if (*text == '_')
            put_value(d);
        else
            sqlite3_str_appendchar(d->text, 1, *text);
    }
    sqlite3_str_appendall(d->text, PICK(d, gaps));
}

static void put_value(struct dice *d) {
    static const char *const columns[] = {"lang",   "price",   "tenant",       "note",     "stars", "id",
                                          "rowid",  "LANG",    "\"price\"",    "[tenant]", "d.oid", "`note`",
                                          "d.lang", "d.price", "main.d.stars", "d.\"id\""};
    static const char *const literals[] = {"1",  "2.5",   "'en'", "'EN'", "'5'", "NULL",  "0",    "-1",
                                           "''", "x'65'", "'e%'", "1e9",  ".5",  "TRUE",  "''''", "'lang'",
                                           "?1", ":b",    "?",    "0x10", "5",   "-7.e-1"};
    static const char *const more[] = {"abs(_)",
                                       "length (_)",
                                       "lower(_)",
                                       "typeof(_)",
                                       "trim(_)",
                                       "round(_)",
                                       "coalesce(_,_)",
                                       "nullif(_, _)",
                                       "instr(_, _)",
                                       "substr(_, _)",
                                       "(_ + _)",
                                       "(_- _)",
                                       "(_*_)",
                                       "(_ % _)",
                                       "(_||_)",
                                       "(_ & _)",
                                       "(_ << _)",
                                       "(_/_)",
                                       "(- _)",
                                       "(_ COLLATE NOCASE)",
                                       "(_ | ~_)",
                                       "_ COLLATE rtrim",
                                       "CASE WHEN _ THEN _ ELSE _ END",
                                       "CASE _ WHEN _ THEN _ END"};
    uint32_t kind = roll(d, 24);
    if (kind < 13)
        put(d, PICK(d, columns));
    else
        put(d, kind < 20 ? PICK(d, literals) : PICK(d, more));
}

static void put_condition(struct dice *d, int depth) {
    static const char *const tests[] = {"_ = _",
                                        "_ == _",
                                        "_ <> _",
                                        "_ != _",
                                        "_ < _",
                                        "_<=_",
                                        "_ > _",
                                        "_ >= _",
                                        "_ IS _",
                                        "_ IS NOT _",
                                        "_ LIKE _",
                                        "_ GLOB _",
                                        "_ NOT LIKE _",
                                        "_ IS NULL",
                                        "_ ISNULL",
                                        "_ NOTNULL",
                                        "_ NOT NULL",
                                        "_ IN ()",
                                        "_ IN (_)",
                                        "_ IN(_, _, _)",
                                        "_ NOT IN (_, _)",
                                        "_ BETWEEN _ AND _",
                                        "_ NOT BETWEEN _ AND _",
                                        "like(_, _)",
                                        "_ LIKE '%e' ESCAPE 'e'",
                                        "_",
                                        "_ = _ COLLATE NOCASE",
                                        "(_, _) < (_, _)"};
    uint32_t kind = roll(d, depth > 3 ? 5 : 10);
    if (kind < 5) {
        put(d, PICK(d, tests));
    } else if (kind < 8) {
        put_condition(d, depth + 1);
        put(d, roll(d, 2) == 0 ? "AND" : "OR");
        put_condition(d, depth + 1);
    } else {
        put(d, kind == 8 ? "NOT (" : "(");
        put_condition(d, depth + 1);
        put(d, ")");
    }
}

/* A word replaced, left out or added: what comes of it may still be a statement, and mean something else. */
static char *damage(struct dice *d, char *text) {
    static const char *const words[] = {"lang",        "\"lang\"",
                                        "\"en\"",      "body",
                                        "score",       "docs",
                                        "extra",       "title",
                                        "\"title\"",   "id",
                                        "slot",        "m0",
                                        "\"m1\"",      "(",
                                        ")",           ",",
                                        "-",           "--",
                                        "->",          "||",
                                        "SELECT",      "(SELECT 1)",
                                        "IN lang",     "IN (lang)",
                                        "END",         "LIKE",
                                        "NOT",         "'",
                                        "\"",          "`",
                                        "[",           "]",
                                        "'d'.lang",    "1e-3",
                                        "random()",    "max(1,id)",
                                        "max(id)",     "COLLATE",
                                        "d.lang",      "docs.lang",
                                        "d.'lang'",    ".5",
                                        "5.",          "x'00'",
                                        "X 'a'",       "like(",
                                        "AND",         "?3",
                                        "$n",          "@n",
                                        ":b",          "?",
                                        "/*",          "*/",
                                        "[lang]",      "embedding",
                                        "true",        "IS NOT",
                                        "EXISTS",      "\xef\xbb\xbf",
                                        "0x1e-tenant", "current_date",
                                        "stars",       "IN (SELECT a FROM lang)"};
    size_t at = 0;
    for (uint32_t skipped = roll(d, 30); skipped > 0 && text[at] != 0; skipped--) {
        at += strcspn(text + at, " ");
        at += strspn(text + at, " ");
    }
    size_t left_out = roll(d, 3) == 0 ? 0 : strcspn(text + at, " \n");
    const char *added = roll(d, 5) == 0 ? "" : PICK(d, words), *gap = roll(d, 4) == 0 ? "" : " ";
    char *damaged = sqlite3_mprintf("%.*s%s%s%s", (int)at, text, added, gap, text + at + left_out);
    sqlite3_free(text);
    return damaged;
}

/* Every second one is damaged. */
static char *random_statement(uint64_t number) {
    struct dice d = {.statement = number, .text = sqlite3_str_new(NULL)};
    put_condition(&d, 0);
    char *condition = sqlite3_str_finish(d.text);
    uint32_t times = number % 2 == 0 ? 0 : 1 + roll(&d, 2);
    for (; times > 0; times--) condition = damage(&d, condition);
    char *sql = sqlite3_mprintf("SELECT id, body AS extra, lang AS title, price AS stars FROM main.docs AS d WHERE %s "
                                "ORDER BY tq_l2(embedding, x'00') LIMIT 1000",
                                condition);
    sqlite3_free(condition);
    return sql;
}

/* Of one that has fewer parameters, the last ones do not matter. */
static void bind_some(sqlite3_stmt *statement) {
    int count = sqlite3_bind_parameter_count(statement);
    for (int i = 1; i <= count; i++) {
        if (i % 3 == 0) (void)sqlite3_bind_double(statement, i, 2.5);
        if (i % 3 == 1) (void)sqlite3_bind_text(statement, i, "en", 2, SQLITE_STATIC);
        if (i % 3 == 2) (void)sqlite3_bind_int(statement, i, -1);
    }
}

/* The ids as text, or the error that was met. */
static char *ids_of(sqlite3 *db, sqlite3_stmt *statement) {
    sqlite3_str *out = sqlite3_str_new(db);
    int rc = SQLITE_OK;
    bind_some(statement);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        sqlite3_str_appendf(out, "%lld ", sqlite3_column_int64(statement, 0));
    }
    if (rc != SQLITE_DONE) {
        sqlite3_str_reset(out);
        sqlite3_str_appendf(out, "error: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    char *text = sqlite3_str_finish(out);
    return text == NULL ? sqlite3_mprintf("") : text;
}

/* 1: SQLite and the recogniser take it, and the same rows were found. */
static int compare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *original = NULL, *rewritten = NULL;
    struct tq_recognised out;
    if (sqlite3_prepare_v2(db, sql, -1, &original, NULL) != SQLITE_OK) return 0;
    if (!tq_recognise(sql, NULL, &docs, &out)) {
        sqlite3_finalize(original);
        return 0;
    }
    char *text = sqlite3_mprintf("SELECT id FROM rows WHERE (%s) ORDER BY id", out.where);
    int rc = sqlite3_prepare_v2(db, text, -1, &rewritten, NULL);
    if (rc != SQLITE_OK) fail_msg("%s\n%s\n%s", sql, text, sqlite3_errmsg(db));
    if (sqlite3_bind_parameter_count(rewritten) > 0 && !out.where_bound) fail_msg("parameters in %s", text);
    char *expected = ids_of(db, original), *found = ids_of(db, rewritten);
    if (strcmp(expected, found) != 0) fail_msg("%s\n%s\nexpected: %s\nfound: %s", sql, text, expected, found);
    sqlite3_free(expected);
    sqlite3_free(found);
    sqlite3_free(text);
    tq_free(out.where);
    return 1;
}

static void test_same_rows(void **state) {
    int compared[2] = {0, 0};
    for (int i = 0; i < statements_wanted; i++) {
        char *sql = random_statement((uint64_t)i);
        compared[i % 2] += compare(*state, sql);
        sqlite3_free(sql);
    }
    if (compared[0] < statements_wanted / 3 || compared[1] < statements_wanted / 20) {
        fail_msg("only %d were compared, and %d damaged ones", compared[0], compared[1]);
    }
}

/* ---- Memory ---- */

static void test_no_memory(void **state) {
    (void)state;
    struct tq_recognised out;
    tq_alloc_fail_after(1);
    assert_false(tq_recognise("SELECT id FROM docs WHERE lang = 'en'" NEAR, NULL, &docs, &out));
    assert_string_equal(out.why, "out of memory");
    assert_null(out.where);
    tq_alloc_fail_after(0);
}

int main(int argc, char **argv) {
    if (argc > 1) statements_wanted = atoi(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_conditions_with_aliases),
        cmocka_unit_test(test_conditions_on_odd_names),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_which_vector),
        cmocka_unit_test_setup_teardown(test_values_of_parameters, open_db, close_db),
        cmocka_unit_test_setup_teardown(test_expanded_text_is_not_trusted, open_db, close_db),
        cmocka_unit_test(test_limit_hint),
        cmocka_unit_test_setup_teardown(test_same_rows, open_db, close_db),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
