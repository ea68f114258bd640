/* Statements as the recogniser reads them. Whatever is recognised and means something to SQLite has a WHERE that lets
 * the same rows through in the table of rows.
 *
 * A WHERE is tried on ordinary tables: docs as its user sees it, docs_rows as it is kept. */
#define SQLITE_CORE
#include <sqlite3.h>

#include "sql/recognise.h"
#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "tests/fuzz/fuzz.h"

static const char *const vectors[] = {"embedding", "title_vec"};
static const char *const others[] = {"id", "lang", "price", "tenant", "end", "a b"};
static const char *const stored[] = {"id", "m0", "m1", "m2", "m3", "m4"};
static const char *const apart[] = {"body"};
static const struct tq_recognise_table docs = {.schema = "main",
                                               .name = "docs",
                                               .vectors = vectors,
                                               .vector_count = TQ_COUNT(vectors),
                                               .others = others,
                                               .others_stored = stored,
                                               .other_count = TQ_COUNT(others),
                                               .apart = apart,
                                               .apart_count = TQ_COUNT(apart)};

enum { STEPS_MAX = 20000 }; /* of SQLite's machine: how long a join of many tables takes is not our business */
static sqlite3 *db;

static int stop(void *unused) {
    (void)unused;
    return 1;
}

/* Reading is all that a statement may do: there are files outside. */
static int authorize(void *unused, int action, const char *a, const char *b, const char *c, const char *d) {
    (void)unused, (void)a, (void)b, (void)c, (void)d;
    bool reads = action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION ||
                 action == SQLITE_RECURSIVE;
    return reads ? SQLITE_OK : SQLITE_DENY;
}

static void open_database(void) {
    if (db != NULL) return;
    fuzz_require(sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) == SQLITE_OK &&
                     sqlite3_open(":memory:", &db) == SQLITE_OK,
                 "a database");
    int rc = sqlite3_exec(
        db,
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, embedding, title_vec, lang TEXT, price REAL, tenant INTEGER,"
        " \"end\", \"a b\" NUMERIC, body);"
        "CREATE TABLE docs_rows(id INTEGER PRIMARY KEY, m0 TEXT, m1 REAL, m2 INTEGER, m3, m4 NUMERIC);"
        "INSERT INTO docs VALUES"
        "(1, tq_f32('[1,2]'), NULL, 'en', 1.5, 7, NULL, 1, 'a'),"
        "(2, tq_f32('[2,2]'), tq_f32('[1]'), 'de', -3, 0, 'x', '2', 'b'),"
        "(3, tq_f32('[3,1]'), tq_f32('[2]'), NULL, NULL, NULL, x'00', 'z', 'c'),"
        "(4, tq_f32('[0,0]'), NULL, '5', 5, 5, 5, 5, NULL),"
        "(-9, NULL, NULL, '', 1e300, 9223372036854775807, '5', 0.5, 'e');"
        "INSERT INTO docs_rows SELECT id, lang, price, tenant, \"end\", \"a b\" FROM docs",
        NULL, NULL, NULL);
    fuzz_require(rc == SQLITE_OK, "the tables");
    (void)sqlite3_set_authorizer(db, authorize, NULL);
    sqlite3_progress_handler(db, STEPS_MAX, stop, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100);
}

/* Rows of a statement, or -1 if it fails. */
static int64_t count_rows(sqlite3_stmt *statement) {
    int64_t count = 0;
    int rc = SQLITE_ROW;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) count++;
    return rc == SQLITE_DONE ? count : -1;
}

static void bind_all(sqlite3_stmt *statement) {
    int count = sqlite3_bind_parameter_count(statement);
    for (int i = 1; i <= count && i <= 50; i++) {
        if (i % 3 == 1) (void)sqlite3_bind_text(statement, i, "[1,2]", -1, SQLITE_STATIC);
        if (i % 3 == 2) (void)sqlite3_bind_int(statement, i, i);
    }
}

static void broken(const char *sql, const char *where, const char *promise) {
    (void)fprintf(stderr, "%s\n%s\n%s\n", sql, where, sqlite3_errmsg(db));
    fuzz_require(false, promise);
}

static void check_same_rows(const char *sql, sqlite3_stmt *statement, const struct tq_recognised *recognised) {
    const char *where = recognised->where == NULL ? "1" : recognised->where;
    char *text = sqlite3_mprintf("SELECT id FROM docs_rows WHERE %s", where);
    sqlite3_stmt *kept = NULL;
    if (sqlite3_prepare_v2(db, text, -1, &kept, NULL) != SQLITE_OK)
        broken(sql, text, "a recognised WHERE is one for the table of rows");
    bind_all(kept);
    int64_t found = count_rows(kept), wanted = count_rows(statement);
    uint64_t all = found < 0 ? 0 : (uint64_t)found;
    uint64_t behind = recognised->offset >= all ? 0 : all - recognised->offset;
    uint64_t expected = recognised->limit < behind ? recognised->limit : behind;
    if (found >= 0 && wanted >= 0 && (uint64_t)wanted != expected)
        broken(sql, text, "a recognised WHERE lets the same rows through");
    (void)sqlite3_finalize(kept);
    sqlite3_free(text);
}

static void check(const char *sql) {
    struct tq_recognised recognised;
    struct tq_recognised_join join;
    sqlite3_stmt *statement = NULL;
    char *expanded = NULL;
    const char *tail = "";
    if (sqlite3_prepare_v2(db, sql, -1, &statement, &tail) != SQLITE_OK) statement = NULL;
    if (statement != NULL) {
        bind_all(statement);
        expanded = sqlite3_expanded_sql(statement);
    }
    const char *own = statement == NULL ? sql : sqlite3_sql(statement);
    if (tq_recognise(own, expanded, &docs, &recognised)) {
        if (recognised.where != NULL && tq_where_is_plain(recognised.where)) (void)tq_where_has_list(recognised.where);
        if (statement != NULL) check_same_rows(own, statement, &recognised);
    } else {
        fuzz_require(recognised.where == NULL && recognised.why != NULL, "what is not recognised says why");
    }
    tq_free(recognised.where);
    if (tq_recognise_join(own, &docs, &join)) {
        fuzz_require(join.source != NULL && join.column != NULL, "a join has both");
        tq_free(join.source);
        tq_free(join.column);
    }
    (void)tq_limit_hint(own);
    (void)tq_where_is_plain(own);
    (void)tq_where_has_list(own);
    sqlite3_free(expanded);
    (void)sqlite3_finalize(statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_database();
    char *sql = fuzz_text(data, size);
    check(sql);
    free(sql);
    return 0;
}
