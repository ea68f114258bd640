/* Tables changed through SQL. The model is an ordinary table in memory to which the same statements are applied: where
 * tq has a vector, it has the number the vector is made of. */
#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sql/tq_sqlite.h"
#include "tests/crash/power/workload.h"

#define DIM_A 16 /* f32 */
#define DIM_B 24 /* f16 */
#define HITS_MAX 4096

/* One letter a transaction; see say_alone() and say_inside(). */
static const char rows_plan[] = "CiIIIIbIIuILIIIIIbdILIbbLmDIILbTIILIolkIsIRIIbIukoIIdIIbBIUIIIXCIIbIkiKIi";
static const char parts_plan[] = "CIibIpIbIuIIPbIDIIsbIrfIINVIokIIuImdTIInIIbBIUIIoXCIb";

struct plan {
    const char *letters, *table;
    bool parts; /* two vectors a row, partitions, text keys and further columns */
};

static const struct plan rows = {rows_plan, "docs", false}, parts = {parts_plan, "docs", true};

/* cache_spill: docs/sql.md says what SQLite 3.34 to 3.40 does to a WAL without it. */
#define WAL "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=40; PRAGMA cache_spill=OFF; "
static const struct mode modes[] = {
    {"WAL,FULL", WAL "PRAGMA synchronous=FULL;", 0, true},
    {"WAL,NORMAL", WAL "PRAGMA synchronous=NORMAL;", LOST_ANY, true},
    {"DELETE,FULL", "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;", 1, false},
    {"DELETE,EXTRA", "PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA;", 0, false},
    {"TRUNCATE,FULL", "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL;", 0, false},
    {"PERSIST,FULL", "PRAGMA journal_mode=PERSIST; PRAGMA synchronous=FULL;", 0, false},
};

/* ---- Statements ---- */

struct script {
    const struct plan *plan;
    sqlite3_str *out;
    bool model;
    int number;
    const char *name; /* of the table, which is renamed */
};

__attribute__((format(printf, 2, 3))) static void say(struct script *script, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sqlite3_str_vappendf(script->out, format, arguments);
    va_end(arguments);
}

static void say_create(struct script *script) {
    if (script->model && script->plan->parts)
        say(script, "CREATE TABLE docs(key TEXT PRIMARY KEY NOT NULL, a, b, n INTEGER, tenant INTEGER, body TEXT);");
    else if (script->model)
        say(script, "CREATE TABLE docs(id INTEGER PRIMARY KEY, a, n INTEGER);");
    else if (script->plan->parts)
        say(script,
            "CREATE VIRTUAL TABLE docs USING tq(key TEXT PRIMARY KEY, a FLOAT[%d] metric=l2, b FLOAT[%d] metric=ip"
            " rows=f16, n INTEGER INDEXED, tenant INTEGER PARTITION KEY, +body TEXT, bits=2, qjl=0);",
            DIM_A, DIM_B);
    else
        say(script, "CREATE VIRTUAL TABLE docs USING tq(id INTEGER PRIMARY KEY, a FLOAT[%d] metric=l2, n INTEGER);",
            DIM_A);
}

/* Rows of which n is number * 100 + first and so on; tenants from `tenant` on in turn. Some have no vector. */
static void say_rows(struct script *script, int first, int count, int tenant, int tenants) {
    first += script->number * 100;
    say(script, "WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c WHERE i + 1 < %d) INSERT INTO %s",
        first, first + count, script->name);
    if (script->plan->parts)
        say(script,
            "(key, a, b, n, tenant, body) SELECT printf('k%%d', i), CASE WHEN i %% 17 <> 3 THEN vector(%d, i) END,"
            " CASE WHEN i %% 5 <> 2 THEN vector(%d, i + 7) END, i, nullif(%d + i %% %d, 3), printf('body %%d', i)"
            " FROM c;",
            DIM_A, DIM_B, tenant, tenants);
    else
        say(script, "(id, a, n) SELECT i, vector(%d, i), i FROM c;", DIM_A);
}

/* One row in `part`, other ones with each transaction. */
static void say_which(struct script *script, int part) {
    say(script, " WHERE n %% %d = %d;", part, (int)chance((uint64_t)script->number, 1, (uint64_t)part));
}

static void say_vectors(struct script *script, int part) {
    say(script, "UPDATE %s SET a = vector(%d, n + %d)", script->name, DIM_A, script->number);
    if (script->plan->parts) say(script, ", b = CASE WHEN n %% 5 THEN vector(%d, n + %d) END", DIM_B, script->number);
    say_which(script, part);
}

static void say_metadata(struct script *script) {
    say(script, "UPDATE %s SET n = n + 1", script->name);
    if (script->plan->parts) say(script, ", body = body || '+'");
    say_which(script, 4);
}

static void say_move(struct script *script, int part, int tenant) {
    say(script, "UPDATE %s SET tenant = %d", script->name, tenant);
    say_which(script, part);
}

static void say_delete(struct script *script, int part) {
    say(script, "DELETE FROM %s", script->name);
    say_which(script, part);
}

static void say_optimize(struct script *script) {
    if (!script->model) say(script, "INSERT INTO %s(%s) VALUES ('optimize');", script->name, script->name);
}

static void say_replace(struct script *script) {
    for (int i = 0; i < 3; i++)
        say(script, "INSERT OR REPLACE INTO %s(key, a, n, tenant) VALUES ('k%d', vector(%d, %d), %d, %d);",
            script->name, 100 * (2 * i + 1) + i, DIM_A, script->number + i, script->number * 100 + i, i);
}

/* Fails at its last row, and is undone alone; then one that keeps what it has. */
static void say_failing(struct script *script) {
    say_rows(script, 0, 1, 0, 1);
    say(script, "INSERT INTO %s(key, a, tenant) VALUES ('new', vector(%d, 1), 77), ('k%d', NULL, 78);", script->name,
        DIM_A, script->number * 100);
    say(script,
        "INSERT OR FAIL INTO %s(key, a, n, tenant) VALUES ('kept%d', vector(%d, 2), 5, 1), ('k%d', NULL, 1, 2);",
        script->name, script->number, DIM_A, script->number * 100);
}

/* Two savepoints, the inner one undone after a bulk; the outer one is kept. */
static void say_savepoints(struct script *script, int before, int inside) {
    say_rows(script, 0, before, 0, 2);
    say(script, "SAVEPOINT outside;");
    say_vectors(script, 5);
    say(script, "SAVEPOINT inside;");
    say_rows(script, 30, inside, 0, 2);
    say_delete(script, 5);
    say(script, "ROLLBACK TO inside;");
    say_rows(script, 70, 2, 1, 2);
    say(script, "RELEASE outside;");
}

static void say_rolled_back(struct script *script) {
    say_rows(script, 0, 20, 0, 2);
    say_vectors(script, 3);
    say_optimize(script);
}

static void say_rename(struct script *script) {
    say(script, "ALTER TABLE %s RENAME TO %s;", script->name, strcmp(script->name, "docs") == 0 ? "terms" : "docs");
}

/* Those that one statement makes, without BEGIN. */
static bool say_alone(struct script *script, char kind) {
    switch (kind) {
    case 'C': say_create(script); return true;
    case 'I': say_rows(script, 0, 4, (int)chance((uint64_t)script->number, 2, 2), 1); return true;
    case 'o': say_optimize(script); return true;
    case 'n': say_rename(script); return true;
    case 'k': say(script, script->model ? "" : "SELECT tq_compact();"); return true;
    case 'X': say(script, "DROP TABLE %s;", script->name); return true;
    case 'K':
    case 'L':
    case 'l': return true; /* see work() */
    default: return false;
    }
}

static void say_inside(struct script *script, char kind) {
    int number = script->number;
    switch (kind) {
    case 'i': say_rows(script, 0, 1, 0, 1); break;
    case 'b': say_rows(script, 0, 10, 0, 1); break;
    case 'B': say_rows(script, 0, 90, 0, 2); break;
    case 'u': say_vectors(script, 6); break;
    case 'U': say_vectors(script, 2); break;
    case 'm': say_metadata(script); break;
    case 'p': say_move(script, 5, 2); break;
    case 'P': say_move(script, 7, 50 + number); break;
    case 'd': say_delete(script, 8); break;
    case 'D': say_delete(script, 2); break;
    case 'r': say_replace(script); break;
    case 'f': say_failing(script); break;
    case 's': say_savepoints(script, 3, 5); break;
    case 'T': say_savepoints(script, 12, 30); break;
    case 'R': say_rolled_back(script); break;
    case 'N': say_rows(script, 0, 12, 200, 1); break;
    case 'V': say_rows(script, 0, 12, 300, 1); break;
    default: fail("there is no transaction '%c'", kind);
    }
}

static char *transaction(const struct plan *plan, int number, bool model, const char *name) {
    struct script script = {.plan = plan, .out = sqlite3_str_new(NULL), .model = model, .number = number, .name = name};
    char kind = plan->letters[number];
    if (!say_alone(&script, kind)) {
        say(&script, "BEGIN;");
        say_inside(&script, kind);
        say(&script, kind == 'R' || kind == 'N' ? "ROLLBACK;" : "COMMIT;");
    }
    return sqlite3_str_finish(script.out);
}

/* ---- Running them ---- */

static void run_vector(sqlite3_context *context, int count, sqlite3_value **values) {
    float vector[DIM_MAX];
    int dim = sqlite3_value_int(values[0]);
    (void)count;
    if (sqlite3_user_data(context) != NULL) { /* the model's */
        sqlite3_result_int64(context, sqlite3_value_int64(values[1]));
        return;
    }
    make_vector(sqlite3_value_int64(values[1]), dim, vector);
    sqlite3_result_blob(context, vector, dim * (int)sizeof *vector, SQLITE_TRANSIENT);
}

static sqlite3 *open_any(const char *path, bool model) {
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) fail("open %s: %s", path, sqlite3_errmsg(db));
    (void)sqlite3_create_function(db, "vector", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, model ? db : NULL, run_vector,
                                  NULL, NULL);
    return db;
}

/* What a constraint forbids, it forbids the model too. */
static void must(sqlite3 *db, const char *all) {
    const char *text = all;
    while (text != NULL && *text != 0) {
        sqlite3_stmt *statement = NULL;
        int rc = sqlite3_prepare_v2(db, text, -1, &statement, &text);
        while (rc == SQLITE_OK || rc == SQLITE_ROW) rc = statement == NULL ? SQLITE_DONE : sqlite3_step(statement);
        (void)sqlite3_finalize(statement);
        if (rc != SQLITE_DONE && rc != SQLITE_CONSTRAINT)
            fail("%s (%d, %d): %.300s", sqlite3_errmsg(db), rc, sqlite3_extended_errcode(db), all);
    }
}

static sqlite3 *open_store(const char *root, const struct mode *mode) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/test.db", root);
    (void)sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
    sqlite3 *db = open_any(path, false);
    must(db, mode->pragmas);
    return db;
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

/* NULL: there is none. */
static const char *name_now(sqlite3 *db) {
    static const char *const names[] = {NULL, "docs", "terms"};
    return names[number_of(prepare(db, "SELECT coalesce(sum(1 + (name = 'terms')), 0) FROM sqlite_master"
                                       " WHERE type = 'table' AND name IN ('docs', 'terms')"))];
}

static void apply(sqlite3 *db, const struct plan *plan, int number, bool model) {
    const char *name = name_now(db);
    char *text = transaction(plan, number, model, name == NULL ? "docs" : name);
    must(db, text);
    sqlite3_free(text);
}

/* ---- Contents ---- */

struct vectors { /* of column a, for searches: rows that have one, ascending */
    int64_t ids[HITS_MAX];
    float list[HITS_MAX][DIM_A];
    size_t count;
};

static void add_value(XXH3_state_t *state, sqlite3_stmt *statement, int column) {
    int type = sqlite3_column_type(statement, column);
    const void *text = sqlite3_column_text(statement, column);
    (void)XXH3_64bits_update(state, &type, sizeof type);
    (void)XXH3_64bits_update(state, text == NULL ? "" : text, (size_t)sqlite3_column_bytes(statement, column));
}

static void add_vector(XXH3_state_t *state, sqlite3_stmt *statement, int column, int dim, bool model,
                       struct vectors *vectors) {
    float made[DIM_MAX];
    const void *vector = made;
    if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
        (void)XXH3_64bits_update(state, "-", 1);
        return;
    }
    if (model)
        make_vector(sqlite3_column_int64(statement, column), dim, made);
    else
        vector = sqlite3_column_blob(statement, column);
    size_t size = model ? (size_t)dim * sizeof *made : (size_t)sqlite3_column_bytes(statement, column);
    (void)XXH3_64bits_update(state, vector, size);
    if (vectors == NULL || vectors->count == HITS_MAX || size != sizeof *vectors->list) return;
    vectors->ids[vectors->count] = sqlite3_column_int64(statement, 0);
    memcpy(vectors->list[vectors->count++], vector, size);
}

/* The rows, as one number; 0 without a table. */
static uint64_t content_of(sqlite3 *db, const struct plan *plan, bool model, struct vectors *vectors) {
    const char *name = name_now(db);
    XXH3_state_t state;
    if (vectors != NULL) vectors->count = 0;
    if (name == NULL) return 0;
    (void)XXH3_64bits_reset(&state);
    (void)XXH3_64bits_update(&state, name, strlen(name));
    const char *columns = plan->parts ? "rowid, key, n, tenant, body, b, a" : "id, n, a";
    sqlite3_stmt *statement = prepare(db, "SELECT %s FROM %s ORDER BY rowid", columns, name);
    int a = sqlite3_column_count(statement) - 1;
    while (step(statement)) {
        for (int i = 0; i < a - (plan->parts ? 1 : 0); i++) add_value(&state, statement, i);
        if (plan->parts) add_vector(&state, statement, a - 1, DIM_B, model, NULL);
        add_vector(&state, statement, a, DIM_A, model, vectors);
    }
    (void)sqlite3_finalize(statement);
    return XXH3_64bits_digest(&state);
}

/* ---- Work ---- */

/* A connection that goes on reading what was there when it began, while others write: it must be able to. */
struct reader {
    sqlite3 *db;
    uint64_t content;
};

static void reader_end(struct reader *reader, const struct plan *plan) {
    if (reader->db == NULL) return;
    if (content_of(reader->db, plan, false, NULL) != reader->content) fail("a reader's snapshot has changed");
    must(reader->db, "COMMIT");
    if (sqlite3_close(reader->db) != SQLITE_OK) fail("a reader cannot be closed");
    reader->db = NULL;
}

static void reader_begin(struct reader *reader, const struct plan *plan, const char *root, const struct mode *mode) {
    reader->db = open_store(root, mode);
    must(reader->db, "BEGIN");
    reader->content = content_of(reader->db, plan, false, NULL);
}

/* Readers take turns, so that the log is never copied as a whole. With a journal nobody could commit beside them. */
static void turn(const struct plan *plan, const char *root, const struct mode *mode, char kind) {
    static struct reader readers[2];
    static int now;
    if (!mode->wal) return;
    if (kind == 'L') reader_begin(&readers[1 - now], plan, root, mode);
    reader_end(&readers[now], plan);
    now = 1 - now;
}

static void back_up(sqlite3 *db, const char *root) {
    char *text = sqlite3_mprintf("SELECT tq_backup('%q/copy.db')", root);
    must(db, text);
    sqlite3_free(text);
}

static void work(const struct plan *plan, const char *root, const struct mode *mode) {
    sqlite3 *db = open_store(root, mode);
    for (int number = 0; plan->letters[number] != 0; number++) {
        char kind = plan->letters[number];
        apply(db, plan, number, false);
        if (kind == 'K') back_up(db, root);
        if (kind == 'L' || kind == 'l') turn(plan, root, mode, kind);
        acknowledge(number + 1);
    }
    if (sqlite3_close(db) != SQLITE_OK) fail("the database cannot be closed");
}

/* The checker's own transaction, in the store and in the model. */
static void say_tail(struct script *script) {
    say(script, "BEGIN;");
    say_rows(script, 0, 9, 0, 1);
    say_vectors(script, 3);
    if (script->plan->parts) say_move(script, 4, 1);
    say(script, "COMMIT;");
    say_delete(script, 5);
}

static void run_tail(sqlite3 *db, const struct plan *plan, bool model) {
    const char *name = name_now(db);
    struct script script = {.plan = plan,
                            .out = sqlite3_str_new(NULL),
                            .model = model,
                            .number = 150,
                            .name = name == NULL ? "docs" : name};
    if (name == NULL) say_create(&script);
    say_tail(&script);
    char *text = sqlite3_str_finish(script.out);
    must(db, text);
    sqlite3_free(text);
}

static void expect(const struct plan *plan, struct content *content) {
    sqlite3 *model = open_any(":memory:", true);
    for (int number = 0;; number++) {
        sqlite3 *next = open_any(":memory:", true);
        sqlite3_backup *backup = sqlite3_backup_init(next, "main", model, "main");
        (void)sqlite3_backup_step(backup, -1);
        (void)sqlite3_backup_finish(backup);
        content->after[number] = content_of(model, plan, true, NULL);
        run_tail(model, plan, true);
        content->tail[number] = content_of(model, plan, true, NULL);
        (void)sqlite3_close(model);
        model = next;
        if (plan->letters[number] == 0) break;
        apply(model, plan, number, true);
    }
    (void)sqlite3_close(model);
}

/* ---- Checks ---- */

static void check_integrity(sqlite3 *db) {
    sqlite3_stmt *statement = prepare(db, "PRAGMA quick_check");
    if (!step(statement) || strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        fail("quick_check: %s", sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
}

/* An exact search finds the rows that have a vector, no other ones, at their distances. */
static void check_search(sqlite3 *db, const struct vectors *vectors) {
    float query[DIM_A];
    const char *name = name_now(db);
    if (name == NULL) return;
    make_vector(5, DIM_A, query);
    sqlite3_stmt *got = prepare(db,
                                "SELECT rowid, distance FROM %s WHERE a MATCH tq_query(?1, 'exact=on')"
                                " ORDER BY +rowid",
                                name);
    (void)sqlite3_bind_blob(got, 1, query, sizeof query, SQLITE_STATIC);
    for (size_t i = 0;; i++) {
        bool there = step(got);
        if (there != (i < vectors->count) || (there && sqlite3_column_int64(got, 0) != vectors->ids[i]))
            fail("a search does not find row %zu of %zu", i, vectors->count);
        if (!there) break;
        double sum = 0;
        for (int k = 0; k < DIM_A; k++) {
            double gap = (double)query[k] - (double)vectors->list[i][k];
            sum += gap * gap;
        }
        if (fabs(sqlite3_column_double(got, 1) - sqrt(sum)) > 1e-3)
            fail("a search has row %" PRId64 " at %g, not %g", vectors->ids[i], sqlite3_column_double(got, 1),
                 sqrt(sum));
    }
    (void)sqlite3_finalize(got);
}

/* Catalog and folder by their own check; 'full': every page and every row of them. */
static void check_tables(sqlite3 *db, const char *how) {
    const char *name = name_now(db);
    if (name == NULL) return;
    sqlite3_stmt *statement = prepare(db, "SELECT tq_check('%s', '%s')", name, how);
    if (!step(statement) || strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        fail("tq_check: %s", sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
}

static void check_left(sqlite3 *db, const char *root, bool wal) {
    char folder[300];
    const char *name = name_now(db);
    (void)snprintf(folder, sizeof folder, "%s/test.db-tq", root);
    check_values(db, folder, &name, 1, wal);
}

/* Nothing, or all of it. */
static bool check_copy(const struct plan *plan, const char *root, const struct content *content) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/copy.db", root);
    if (access(path, F_OK) != 0) return false;
    sqlite3 *db = open_any(path, false);
    check_integrity(db);
    if (content_of(db, plan, false, NULL) != content->after[strchr(plan->letters, 'K') - plan->letters])
        fail("the backup is not what was there");
    check_tables(db, "full");
    if (sqlite3_close(db) != SQLITE_OK) fail("the backup cannot be closed");
    return true;
}

static struct found check(const struct plan *plan, const char *root, const struct mode *mode,
                          const struct content *content) {
    static struct vectors vectors;
    int count = (int)strlen(plan->letters);
    sqlite3 *db = open_store(root, mode);
    bool copy = check_copy(plan, root, content);
    check_integrity(db);
    uint64_t at_first = content_of(db, plan, false, &vectors);
    int number = find_content(content->after, count, at_first);
    if (number < 0) fail("the table (%zu vectors) is not as after any number of transactions", vectors.count);
    check_search(db, &vectors);
    check_tables(db, "full");
    run_tail(db, plan, false);
    if (content_of(db, plan, false, &vectors) != content->tail[number]) fail("after one more transaction it is wrong");
    char *optimize = sqlite3_mprintf("INSERT INTO %s(%s) VALUES ('optimize');", name_now(db), name_now(db));
    for (int i = 0; i < 2; i++) must(db, optimize);
    sqlite3_free(optimize);
    if (content_of(db, plan, false, &vectors) != content->tail[number]) fail("after optimize it is wrong");
    check_search(db, &vectors);
    check_tables(db, "quick");
    check_left(db, root, mode->wal);
    if (sqlite3_close(db) != SQLITE_OK) fail("the database cannot be closed");
    return (struct found){number, copy};
}

/* ---- The two of them ---- */

static int rows_count(void) { return (int)strlen(rows_plan); }
static void rows_work(const char *root, const struct mode *mode) { work(&rows, root, mode); }
static void rows_expect(struct content *content) { expect(&rows, content); }
static struct found rows_check(const char *root, const struct mode *mode, const struct content *content) {
    return check(&rows, root, mode, content);
}

static int parts_count(void) { return (int)strlen(parts_plan); }
static void parts_work(const char *root, const struct mode *mode) { work(&parts, root, mode); }
static void parts_expect(struct content *content) { expect(&parts, content); }
static struct found parts_check(const char *root, const struct mode *mode, const struct content *content) {
    return check(&parts, root, mode, content);
}

const struct workload rows_workload = {.name = "rows",
                                       .modes = modes,
                                       .mode_count = sizeof modes / sizeof *modes,
                                       .count = rows_count,
                                       .backup = sizeof rows_plan - sizeof "KIi",
                                       .work = rows_work,
                                       .expect = rows_expect,
                                       .check = rows_check};
const struct workload parts_workload = {.name = "parts",
                                        .modes = modes,
                                        .mode_count = sizeof modes / sizeof *modes,
                                        .count = parts_count,
                                        .backup = -1,
                                        .work = parts_work,
                                        .expect = parts_expect,
                                        .check = parts_check};
