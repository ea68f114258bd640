#include "tests/crash/sql_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/env.h"

#define KEYS_MAX 65536
#define POOL 65536

/* One letter a transaction; see say_alone() and say_inside(). */
static const char *const plans[] = {
    "CcbbibBubbxbbDdPbois",              /* segments, merges and what they leave, in several parts */
    "CciixifmspRrTNisVudonixmpnYiXCibo", /* rows, savepoints, tables */
    "CciiibiixiumiBidifopibriRiTiUsibPdxibiNibiVbubDibibioiniixibumdpnYiixBibrXCiibTisiDox", /* all of it, for long */
    "CcbiqiBumqdPrsfxTqoRniDYq", /* all of it, shortly; questions within transactions */
};
const char *plan = "";
int transactions;

uint64_t seed;

void choose_plan(int number) {
    plan = plans[number];
    transactions = (int)strlen(plan);
}

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static unsigned chance(int number, unsigned which, unsigned below) {
    return (unsigned)(mix(seed * 1000003 + (uint64_t)number * 64 + which) % below);
}

/* ---- Vectors: eighths, which a half holds exactly ---- */

/* Cut out of one long row of numbers, for speed; the first ones tell vectors apart. */
void make_vector(int64_t from, int dim, float *vector) {
    static float pool[POOL + DIM_MAX];
    for (int i = 0; pool[0] == 0 && i < POOL + DIM_MAX; i++) pool[i] = ((float)(mix((uint64_t)i) % 32) - 15.5F) / 8;
    memcpy(vector, pool + mix((uint64_t)from) % POOL, (size_t)dim * sizeof *vector);
    for (int i = 0; i < 6; i++) vector[i] = (float)(from >> (4 * i) & 15) / 8;
}

static void run_vector(sqlite3_context *context, int count, sqlite3_value **values) {
    static float vector[DIM_MAX];
    int dim = sqlite3_value_int(values[0]);
    (void)count;
    if (sqlite3_user_data(context) != NULL) { /* the model's */
        sqlite3_result_int64(context, sqlite3_value_int64(values[1]));
        return;
    }
    make_vector(sqlite3_value_int64(values[1]), dim, vector);
    sqlite3_result_blob(context, vector, dim * (int)sizeof *vector, SQLITE_TRANSIENT);
}

/* ---- Transactions ---- */

struct script {
    sqlite3_str *out;
    bool model;
    int number;
    const char *name; /* of the table, which is renamed */
    bool few;         /* of its rows have a second vector */
};

__attribute__((format(printf, 2, 3))) static void say(struct script *script, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sqlite3_str_vappendf(script->out, format, arguments);
    va_end(arguments);
}

static void say_create(struct script *script) {
    if (script->model)
        say(script, "CREATE TABLE docs(key TEXT PRIMARY KEY NOT NULL, a, b, lang TEXT, n INTEGER, tenant INTEGER,"
                    " body TEXT);");
    else
        say(script,
            "CREATE VIRTUAL TABLE docs USING tq(key TEXT PRIMARY KEY, a FLOAT[%d] metric=l2, b FLOAT[%d]"
            " metric=ip rows=f16, lang TEXT INDEXED, n INTEGER, tenant INTEGER PARTITION KEY, +body TEXT,"
            " bits=2, qjl=0);",
            DIM_A, DIM_B);
}

static void say_create_plain(struct script *script) {
    if (script->model)
        say(script, "CREATE TABLE plain(id INTEGER PRIMARY KEY, a);");
    else
        say(script,
            "CREATE VIRTUAL TABLE plain USING tq(id INTEGER PRIMARY KEY, a FLOAT[%d] metric=l2, bits=1, qjl=0);",
            DIM_A);
}

/* Rows of which n is number * 1000 + first and so on; tenants from `tenant` on in turn. Some have no vector. */
static void say_rows(struct script *script, int first, int count, int tenant, int tenants) {
    first += script->number * 1000;
    say(script,
        "WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c WHERE i + 1 < %d)"
        " INSERT INTO %s(key, a, b, lang, n, tenant, body) SELECT printf('k%%d', i), CASE WHEN i %% 37 <> 3 THEN"
        " vector(%d, i) END, CASE WHEN i %% 41 %s 5 THEN vector(%d, i + 7) END, CASE i %% 3 WHEN 0 THEN 'de' WHEN 1"
        " THEN 'en' END, i, nullif(%d + i %% %d, 3), printf('body %%d', i) FROM c;",
        first, first + count, script->name, DIM_A, script->few ? "<" : "<>", DIM_B, tenant, tenants);
}

static void say_one(struct script *script, int first) {
    say_rows(script, first, 1, (int)chance(script->number, (unsigned)first, 4), 1);
}

/* One row in `part`, other ones with each transaction. */
static void say_which(struct script *script, int part) {
    say(script, " WHERE n %% %d = %d;", part, (int)chance(script->number, 1, (unsigned)part));
}

static void say_vectors(struct script *script, int part) {
    say(script, "UPDATE %s SET a = vector(%d, n + %d), b = CASE WHEN n %% 5 THEN vector(%d, n + %d) END", script->name,
        DIM_A, script->number, DIM_B, script->number);
    say_which(script, part);
}

static void say_move(struct script *script, int part, int tenant) {
    say(script, "UPDATE %s SET tenant = %d", script->name, tenant);
    say_which(script, part);
}

static void say_delete(struct script *script, int part) {
    say(script, "DELETE FROM %s", script->name);
    say_which(script, part);
}

static void say_optimize(struct script *script, const char *name) {
    if (!script->model) say(script, "INSERT INTO %s(%s) VALUES ('optimize');", name, name);
}

static void say_plain(struct script *script, int count) {
    say(script,
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
        " INSERT INTO plain(id, a) SELECT %d + i, vector(%d, %d + i) FROM c;",
        count, script->number * 1000, DIM_A, script->number * 1000);
}

static void say_replace(struct script *script) {
    say(script,
        "INSERT OR REPLACE INTO %s(key, a, b, lang, n, tenant, body) SELECT key, vector(%d, n + 1), b, 'fr',"
        " n, 1, 'again' FROM %s WHERE n %% 17 = %d AND b IS NULL;",
        script->name, DIM_A, script->name, (int)chance(script->number, 2, 17));
    for (int i = 0; i < 4; i++)
        say(script, "INSERT OR REPLACE INTO %s(key, a, n, tenant) VALUES ('k%d', vector(%d, %d), %d, %d);",
            script->name, 3000 * i + 1001 + i, DIM_A, script->number + i, script->number * 1000 + i, i);
}

/* Fails at its last row, and is undone alone; then one that keeps what it has. */
static void say_failing(struct script *script) {
    say_one(script, 0);
    say(script, "INSERT INTO %s(key, a, tenant) VALUES ('new', vector(%d, 1), 77), ('k%d', NULL, 78);", script->name,
        DIM_A, script->number * 1000);
    say(script,
        "INSERT OR FAIL INTO %s(key, a, n, tenant) VALUES ('kept%d', vector(%d, 2), 5, 79), ('k%d', NULL, 1, 2);",
        script->name, script->number, DIM_A, script->number * 1000);
    say(script, "INSERT OR IGNORE INTO %s(key, tenant) VALUES ('k%d', 80);", script->name, script->number * 1000);
}

/* Two savepoints, the inner one undone after a bulk; the outer one is kept. */
static void say_savepoints(struct script *script, int before, int inside) {
    say_rows(script, 0, before, 0, 2);
    say(script, "SAVEPOINT outside;");
    say_vectors(script, 13);
    say(script, "SAVEPOINT inside;");
    say_rows(script, 300, inside, 0, 3);
    say_delete(script, 5);
    say_move(script, 4, 50 + script->number);
    say(script, "ROLLBACK TO inside;");
    say_rows(script, 600, 3, 1, 2);
    say(script, "RELEASE outside;");
}

/* Rows of a partition that is made here, and questions that read them. */
static void say_questions(struct script *script) {
    say_rows(script, 0, 20, 400 + script->number, 2);
    for (int i = 0; i < 2; i++) {
        if (!script->model) {
            say(script, "SELECT key, distance FROM %s WHERE a MATCH vector(%d, 5) AND lang = 'de' AND k = 3;",
                script->name, DIM_A);
            say(script, "SELECT key, b FROM %s WHERE tenant >= %d;", script->name, 400 + script->number);
            say(script, "SELECT tq_info('%s');", script->name);
        }
        say_rows(script, 100 + 10 * i, 2, 400 + script->number, 2);
    }
}

static void say_rolled_back(struct script *script) {
    say_rows(script, 0, 150, 0, 2);
    say_vectors(script, 3);
    say_delete(script, 4);
    say_optimize(script, script->name);
}

static void say_rename(struct script *script) {
    const char *to = strcmp(script->name, "docs") == 0 ? "terms" : "docs";
    say(script, "ALTER TABLE %s RENAME TO %s;", script->name, to);
}

static void say_drop(struct script *script) { say(script, "DROP TABLE %s;", script->name); }

static void say_again(struct script *script) {
    say_one(script, 900);
    say_drop(script);
    say_create(script);
    script->name = "docs";
    say_rows(script, 0, 150, 0, 2);
}

static void say_both(struct script *script) {
    say_rows(script, 0, 3, 0, 3);
    say_plain(script, script->number % 2 == 0 ? 3 : 70);
    say_delete(script, 23);
}

/* Those that one statement makes, without BEGIN. */
static bool say_alone(struct script *script, char kind) {
    switch (kind) {
    case 'C': say_create(script); return true;
    case 'c': say_create_plain(script); return true;
    case 'i': say_one(script, 0); return true;
    case 'o': say_optimize(script, script->name); return true;
    case 'n': say_rename(script); return true;
    case 'X': say_drop(script); return true;
    default: return false;
    }
}

static void say_inside(struct script *script, char kind) {
    int number = script->number;
    switch (kind) {
    case 'b':
        script->few = number % 4 != 0;
        say_rows(script, 0, 66 + (int)chance(number, 3, 8), 0, 1);
        break;
    case 'B': say_rows(script, 0, 210, 0, 3); break;
    case 'u': say_vectors(script, 6); break;
    case 'U': say_vectors(script, 2); break;
    case 'm':
        say(script, "UPDATE %s SET lang = 'it', body = body || '+'", script->name);
        say_which(script, 4);
        break;
    case 'p': say_move(script, 5, 2); break;
    case 'P': say_move(script, 3, 100 + number); break;
    case 'd': say_delete(script, 8); break;
    case 'D': say_delete(script, 2); break;
    case 'r': say_replace(script); break;
    case 'f': say_failing(script); break;
    case 's': say_savepoints(script, 5, 20); break;
    case 'T': say_savepoints(script, 80, 250); break;
    case 'x': say_both(script); break;
    case 'Y': say_again(script); break;
    case 'q': say_questions(script); break;
    case 'R': say_rolled_back(script); break;
    case 'N': say_rows(script, 0, 100, 200 + number, 1); break;
    case 'V': say_rows(script, 0, 100, 300 + number, 1); break;
    default: fail("there is no transaction '%c'", kind);
    }
}

char *transaction(int number, bool model, const char *name) {
    struct script script = {.out = sqlite3_str_new(NULL), .model = model, .number = number, .name = name};
    char kind = plan[number];
    if (!say_alone(&script, kind)) {
        say(&script, "BEGIN;");
        say_inside(&script, kind);
        say(&script, kind == 'R' || kind == 'N' ? "ROLLBACK;" : "COMMIT;");
    }
    return sqlite3_str_finish(script.out);
}

/* ---- Running them ---- */

/* What a constraint forbids, it forbids the model too. */
int run(sqlite3 *db, const char *text) {
    while (text != NULL && *text != 0) {
        sqlite3_stmt *statement = NULL;
        int rc = sqlite3_prepare_v2(db, text, -1, &statement, &text);
        while (rc == SQLITE_OK || rc == SQLITE_ROW) rc = statement == NULL ? SQLITE_DONE : sqlite3_step(statement);
        (void)sqlite3_finalize(statement);
        if (rc != SQLITE_DONE && rc != SQLITE_CONSTRAINT) return rc;
    }
    return SQLITE_OK;
}

void must(sqlite3 *db, const char *text) {
    int rc = run(db, text);
    if (rc != SQLITE_OK) fail("%s (%d): %.400s", sqlite3_errmsg(db), rc, text);
}

void roll_back(sqlite3 *db) {
    if (sqlite3_get_autocommit(db) == 0) must(db, "ROLLBACK");
}

__attribute__((format(printf, 2, 3))) static sqlite3_stmt *prepare(sqlite3 *db, const char *format, ...) {
    sqlite3_stmt *statement = NULL;
    va_list arguments;
    va_start(arguments, format);
    char *text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) fail("%s: %s", sqlite3_errmsg(db), text);
    sqlite3_free(text);
    return statement;
}

static bool step(sqlite3_stmt *statement) {
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        fail("%s (%d): %s", sqlite3_errmsg(sqlite3_db_handle(statement)), rc, sqlite3_sql(statement));
    return rc == SQLITE_ROW;
}

static int64_t number_of(sqlite3_stmt *statement) {
    int64_t number = step(statement) ? sqlite3_column_int64(statement, 0) : -1;
    (void)sqlite3_finalize(statement);
    return number;
}

static bool exists(sqlite3 *db, const char *name) {
    return number_of(prepare(db, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '%s'", name)) == 1;
}

const char *name_now(sqlite3 *db) { return exists(db, "terms") ? "terms" : "docs"; }

int apply(sqlite3 *db, int number, bool model) {
    char *text = transaction(number, model, name_now(db));
    int rc = run(db, text);
    sqlite3_free(text);
    return rc;
}

void add_vector(sqlite3 *db, bool model) {
    (void)sqlite3_create_function(db, "vector", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, model ? &seed : NULL, run_vector,
                                  NULL, NULL);
}

sqlite3 *open_model(void) {
    sqlite3 *db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) fail("no memory for the model");
    add_vector(db, true);
    return db;
}

/* ---- Checks: the tables against the model ---- */

char why[512]; /* the last difference */

__attribute__((format(printf, 1, 2))) static bool differ(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return false;
}

static bool same_vector(sqlite3_stmt *got, sqlite3_stmt *model, int column, int dim) {
    static float vector[DIM_MAX];
    if (sqlite3_column_type(model, column) == SQLITE_NULL) return sqlite3_column_type(got, column) == SQLITE_NULL;
    make_vector(sqlite3_column_int64(model, column), dim, vector);
    size_t size = (size_t)dim * sizeof *vector;
    const void *blob = sqlite3_column_blob(got, column);
    return blob != NULL && (size_t)sqlite3_column_bytes(got, column) == size && memcmp(blob, vector, size) == 0;
}

static bool same_value(sqlite3_stmt *got, sqlite3_stmt *model, int column) {
    const char *a = (const char *)sqlite3_column_text(got, column);
    const char *b = (const char *)sqlite3_column_text(model, column);
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

/* Rows by rowid; the last `vectors` columns are vectors. */
static bool same_rows(sqlite3_stmt *got, sqlite3_stmt *model, int vectors) {
    int count = sqlite3_column_count(got);
    for (;;) {
        bool a = step(got), b = step(model);
        long long id = sqlite3_column_int64(a ? got : model, 0);
        if (a != b) return differ("row %lld is %s", id, a ? "too many" : "missing");
        if (!a) return true;
        for (int i = 0; i < count; i++) {
            bool is_vector = i >= count - vectors;
            bool same = is_vector ? same_vector(got, model, i, i == count - vectors ? DIM_A : DIM_B)
                                  : same_value(got, model, i);
            if (!same)
                return differ("row %lld: column %s is %.40s, not %.40s", id, sqlite3_column_name(got, i),
                              is_vector ? "a vector" : (const char *)sqlite3_column_text(got, i),
                              sqlite3_column_text(model, i));
        }
    }
}

static bool same_table(sqlite3 *db, sqlite3 *model, const char *name) {
    bool is_plain = strcmp(name, "plain") == 0;
    const char *columns = is_plain ? "rowid, id, a" : "rowid, key, lang, n, tenant, body, a, b";
    if (exists(db, name) != exists(model, name))
        return differ("table %s is%s there", name, exists(db, name) ? "" : " not");
    if (!exists(db, name)) return true;
    sqlite3_stmt *got = prepare(db, "SELECT %s FROM %s ORDER BY rowid", columns, name);
    sqlite3_stmt *wanted = prepare(model, "SELECT %s FROM %s ORDER BY rowid", columns, name);
    bool same = same_rows(got, wanted, is_plain ? 1 : 2);
    (void)sqlite3_finalize(got);
    (void)sqlite3_finalize(wanted);
    return same;
}

bool same_tables(sqlite3 *db, sqlite3 *model) {
    return same_table(db, model, "docs") && same_table(db, model, "terms") && same_table(db, model, "plain");
}

static double distance_of(bool is_ip, const float *x, const float *y, int dim) {
    double sum = 0;
    for (int i = 0; i < dim; i++) {
        double gap = (double)x[i] - (double)y[i];
        sum += is_ip ? (double)x[i] * (double)y[i] : gap * gap;
    }
    return is_ip ? -sum : sqrt(sum);
}

/* An exact search finds the rows that have a vector, no other ones, at their distances. */
static void check_search(sqlite3 *db, sqlite3 *model, const char *name, char column, const char *where, int64_t probe) {
    static float query[DIM_MAX], vector[DIM_MAX];
    int dim = column == 'a' ? DIM_A : DIM_B;
    make_vector(probe, dim, query);
    sqlite3_stmt *got = prepare(
        db, "SELECT rowid, distance FROM %s WHERE %c MATCH tq_query(?1, 'exact=on')%s ORDER BY +rowid", name, column,
        where);
    sqlite3_stmt *wanted = prepare(model, "SELECT rowid, %c FROM %s WHERE %c IS NOT NULL%s ORDER BY rowid", column,
                                   name, column, where);
    (void)sqlite3_bind_blob(got, 1, query, dim * (int)sizeof *query, SQLITE_STATIC);
    for (;;) {
        bool a = step(got), b = step(wanted);
        long long id = sqlite3_column_int64(b ? wanted : got, 0);
        if (a != b || (a && sqlite3_column_int64(got, 0) != id))
            fail("%s.%c MATCH%s: row %lld is not as it should be", name, column, where, id);
        if (!a) break;
        make_vector(sqlite3_column_int64(wanted, 1), dim, vector);
        double distance = distance_of(column == 'b', query, vector, dim);
        if (fabs(sqlite3_column_double(got, 1) - distance) > 1e-3 * (1 + fabs(distance)))
            fail("%s.%c MATCH: row %lld is at %g, not %g", name, column, id, sqlite3_column_double(got, 1), distance);
    }
    (void)sqlite3_finalize(got);
    (void)sqlite3_finalize(wanted);
}

/* ---- Checks: the table's own tables ---- */

static void none(sqlite3 *db, const char *what, const char *name, const char *text) {
    char *replaced = NULL, *rest = NULL;
    sqlite3_str *out = sqlite3_str_new(NULL);
    replaced = sqlite3_mprintf("%s", text);
    for (char *at = strtok_r(replaced, "@", &rest); at != NULL; at = strtok_r(NULL, "@", &rest))
        sqlite3_str_appendf(out, "%s%s", at, *rest != 0 || text[strlen(text) - 1] == '@' ? name : "");
    char *query = sqlite3_str_finish(out);
    int64_t count = number_of(prepare(db, "SELECT count(*) FROM (%s)", query));
    if (count != 0) fail("%s: %lld times %s", name, (long long)count, what);
    sqlite3_free(query);
    sqlite3_free(replaced);
}

/* @ is the table's name. */
static void check_shadows(sqlite3 *db, const char *name) {
    static const struct {
        const char *what, *text;
    } rules[] = {
        {"a row without its columns apart", "SELECT id FROM @_rows EXCEPT SELECT id FROM @_aux"},
        {"columns apart without a row", "SELECT id FROM @_aux EXCEPT SELECT id FROM @_rows"},
        {"a partition without state", "SELECT part * 2 FROM @_parts UNION SELECT part * 2 + 1 FROM @_parts"
                                      " EXCEPT SELECT part FROM @_state"},
        {"a state without partition", "SELECT part FROM @_state WHERE part > 1 EXCEPT SELECT part * 2 FROM @_parts"
                                      " EXCEPT SELECT part * 2 + 1 FROM @_parts"},
        {"a partition that is there twice", "SELECT 1 FROM @_parts GROUP BY p0 HAVING count(*) > 1"},
        {"a number given out twice", "SELECT 1 FROM @_state GROUP BY number HAVING count(*) > 1"},
        {"a row without partition", "SELECT 1 FROM @_rows r WHERE NOT EXISTS"
                                    " (SELECT 1 FROM @_parts p WHERE p.p0 IS r.p0)"},
        {"a slot of another part", "SELECT 1 FROM @_rows r JOIN @_parts p ON p.p0 IS r.p0 WHERE"
                                   " r.slot >> 40 <> 2 * p.part OR r.slot1 >> 40 <> 2 * p.part + 1"},
        {"a slot given out twice", "SELECT 1 FROM @_rows WHERE slot IS NOT NULL GROUP BY slot HAVING count(*) > 1"},
        {"a second slot given out twice", "SELECT 1 FROM @_rows WHERE slot1 IS NOT NULL GROUP BY slot1 HAVING"
                                          " count(*) > 1"},
        {"a log of no part", "SELECT seq >> 40 FROM @_log EXCEPT SELECT part FROM @_state"},
        {"a segment of no part", "SELECT slot0 >> 40 FROM @_seg EXCEPT SELECT part FROM @_state"},
        {"garbage of no part", "SELECT part FROM @_gc EXCEPT SELECT part FROM @_state"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) none(db, rules[i].what, name, rules[i].text);
}

static void check_integrity(sqlite3 *db, const char *how) {
    sqlite3_stmt *statement = prepare(db, "PRAGMA %s", how);
    if (!step(statement) || strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        fail("%s: %s", how, sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
}

void check_all(sqlite3 *db, sqlite3 *model, const char *when) {
    const char *name = name_now(model);
    check_integrity(db, "integrity_check");
    if (!same_tables(db, model)) fail("%s: %s", when, why);
    if (exists(model, "plain")) check_search(db, model, "plain", 'a', "", 5);
    if (!exists(model, name)) return;
    check_shadows(db, name);
    for (char column = 'a'; column <= 'b'; column++) {
        check_search(db, model, name, column, "", number_of(prepare(model, "SELECT max(%c) FROM %s", column, name)));
        check_search(db, model, name, column, " AND (tenant IS NULL OR tenant >= 1) AND lang = 'en'", 1);
    }
}

void check_some(sqlite3 *db, sqlite3 *model) {
    const char *name = name_now(model);
    check_integrity(db, "quick_check");
    if (exists(model, "plain")) check_search(db, model, "plain", 'a', "", 5);
    if (!exists(model, name)) return;
    check_shadows(db, name);
    check_search(db, model, name, 'a', " AND (tenant IS NULL OR tenant >= 1) AND lang = 'en'", 1);
    check_search(db, model, name, 'b', "", 1);
}

/* ---- Checks: what the folder holds ---- */

struct keys {
    uint64_t list[KEYS_MAX];
    size_t count;
};
static struct keys used, listed, named;
bool unnamed_may_stay;

static void add_key(struct keys *keys, uint64_t key) {
    if (keys->count == KEYS_MAX) fail("more than %d values", KEYS_MAX);
    keys->list[keys->count++] = key;
}

static void list_keys(sqlite3 *db, const char *name) {
    if (!exists(db, name)) return;
    sqlite3_stmt *statement = prepare(db, "SELECT number FROM %s_state", name);
    while (step(statement)) add_key(&named, (uint64_t)sqlite3_column_int64(statement, 0));
    (void)sqlite3_finalize(statement);
    statement = prepare(db, "SELECT dir FROM %s_seg", name);
    while (step(statement)) add_key(&used, (uint64_t)sqlite3_column_int64(statement, 0));
    (void)sqlite3_finalize(statement);
    statement = prepare(db, "SELECT keys FROM %s_gc", name);
    while (step(statement)) {
        const uint8_t *blob = sqlite3_column_blob(statement, 0);
        for (int i = 0; i + 8 <= sqlite3_column_bytes(statement, 0); i += 8) {
            uint64_t key;
            memcpy(&key, blob + i, sizeof key);
            add_key(&listed, key);
        }
    }
    (void)sqlite3_finalize(statement);
}

static bool has_key(const struct keys *keys, uint64_t key) {
    for (size_t i = 0; i < keys->count; i++)
        if (keys->list[i] == key) return true;
    return false;
}

static void env_must(enum tq_status status) {
    if (status != TQ_OK) fail("the folder: %s", tq_message());
}

/* A directory names its chunks behind its first 128 bytes; storage/FORMAT.md, section 3. */
static void add_chunks(struct tq_env_reader *reader, uint64_t directory) {
    const void *data = NULL;
    size_t size = 0;
    uint32_t counts[2];
    env_must(tq_env_get(reader, directory, &data, &size));
    memcpy(counts, (const char *)data + 84, sizeof counts);
    for (uint32_t i = 0; i < counts[0] + counts[1]; i++) {
        uint64_t chunk;
        memcpy(&chunk, (const char *)data + 128 + 16 * (size_t)i, sizeof chunk);
        add_key(&used, chunk);
    }
}

static void check_index(struct tq_env *env, uint32_t index) {
    static uint64_t keys[KEYS_MAX];
    size_t count = 0, left = 0;
    if (unnamed_may_stay && !has_key(&named, index)) return;
    env_must(tq_env_keys_above(env, index, 0, keys, KEYS_MAX, &count));
    for (size_t i = 0; i < count; i++) left += !has_key(&used, keys[i]) && !has_key(&listed, keys[i]);
    if (left != 0) fail("%zu of the %zu values of index number %" PRIu32 " are left over", left, count, index);
}

/* Every value is one that a segment needs, or one that is going to be deleted. The database is closed meanwhile: a
 * process may open the folder once only. */
static void check_folder(const char *folder) {
    struct tq_env *env = NULL;
    struct tq_env_reader *reader = NULL;
    struct tq_env_meta meta = {.nonce = 1};
    size_t directories = used.count;
    env_must(tq_env_open(folder, TQ_OPEN_READONLY, true, &env));
    env_must(tq_env_reader_open(env, &reader));
    for (size_t i = 0; i < directories; i++) add_chunks(reader, used.list[i]);
    for (uint32_t index = 1; meta.nonce != 0; index++) {
        check_index(env, index);
        env_must(tq_env_meta(env, index, &meta));
    }
    tq_env_reader_close(reader);
    tq_env_close(env);
}

/* ---- Checks: one after another ---- */

/* The same in both. */
static void both(sqlite3 *db, sqlite3 *model, void (*say_it)(struct script *)) {
    for (int i = 0; i < 2; i++) {
        struct script script = {
            .out = sqlite3_str_new(NULL), .model = i == 1, .number = transactions, .name = name_now(model)};
        say_it(&script);
        char *text = sqlite3_str_finish(script.out);
        must(i == 1 ? model : db, text);
        sqlite3_free(text);
    }
}

static void say_tail(struct script *script) {
    say(script, "BEGIN;");
    say_rows(script, 0, 80, 0, 1);
    say_vectors(script, 9);
    say_move(script, 10, 999);
    say(script, "COMMIT;");
    say_delete(script, 7);
}

static void say_tidy(struct script *script) {
    say(script, "DELETE FROM %s WHERE n = 1;", script->name);
    say_optimize(script, script->name);
    say_optimize(script, "plain");
    say_optimize(script, script->name);
    say_optimize(script, "plain");
}

static void check_usable(sqlite3 *db, sqlite3 *model) {
    if (!exists(model, "plain")) both(db, model, say_create_plain);
    if (!exists(model, name_now(model))) both(db, model, say_create);
    both(db, model, say_tail);
    if (!same_tables(db, model)) fail("after one more transaction: %s", why);
    both(db, model, say_tidy);
    check_all(db, model, "after optimize");
}

void apply_to_model(sqlite3 *model, int number) {
    if (apply(model, number, true) != SQLITE_OK) fail("the model: %s", sqlite3_errmsg(model));
    roll_back(model);
}

/* All is over: the table can be used as ever, and nothing is left behind. */
void check_end(sqlite3 *db, sqlite3 *model, const char *path) {
    check_all(db, model, "at first");
    check_usable(db, model);
    list_keys(db, name_now(db));
    list_keys(db, "plain");
    if (sqlite3_close(db) != SQLITE_OK) fail("the database cannot be closed");
    char *folder = sqlite3_mprintf("%s-tq", path);
    check_folder(folder);
    sqlite3_free(folder);
    (void)sqlite3_close(model);
}
