/* ORDER BY a function LIMIT n, answered by a search, against the same statement answered by a scan: rows and their
 * order must be the same, whatever stands in WHERE.
 *
 *   test_differential_order [statements [seed [differences to show]]] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sql/tq_sqlite.h"
#include "tests/unit/differential.h"

static long statements_wanted = 8000, differences_shown = 1;
static uint64_t first_seed = 1;

/* ---- Tables ---- */

struct shape {
    const char *name, *columns; /* vectors apart */
    const char *names[12];      /* of columns that WHERE may use */
    size_t count;
    struct vector {
        const char *name, *options;
        uint32_t dim;
    } vectors[3];
    size_t vector_count;
    int rows;
};

static const struct shape shapes[] = {
    {"docs",
     "id INTEGER PRIMARY KEY, title TEXT, price REAL INDEXED, lang TEXT INDEXED, tag, data BLOB, +body TEXT",
     {"id", "title", "price", "lang", "tag", "data", "rowid", "price", "lang"},
     9,
     {{"embedding", "metric=cosine", 8}, {"title_vec", "metric=ip rows=f16 bits=2", 3}},
     2,
     260},
    {"parts",
     "key TEXT PRIMARY KEY, n INTEGER INDEXED, tenant INTEGER PARTITION KEY, region TEXT PARTITION KEY, flag BOOLEAN",
     {"key", "n", "tenant", "region", "flag", "rowid", "tenant", "n"},
     8,
     {{"v", "metric=l2", 4}, {"w", "metric=cosine bits=1", 16}, {"x", "metric=ip", 1}},
     3,
     180},
    {"\"odd one\"",
     "\"the name\" VARCHAR(20), amount DECIMAL(10,2), \"select\" NUMERIC INDEXED, plain",
     {"\"the name\"", "amount", "\"select\"", "plain", "rowid", "_rowid_"},
     6,
     {{"\"a vector\"", "metric=l2 rows=f16 qjl=0", 2}},
     1,
     120},
    {"codes", "n INT, t TEXT", {"n", "t", "rowid"}, 3, {{"v", "metric=cosine rows=none", 8}}, 1, 60},
};

/* The last one, which is never recognised, now and then. */
static const struct shape *shape_of(uint64_t seed) { return &shapes[seed % 12 == 11 ? 3 : seed % 3]; }

/* ---- Values ---- */

enum { PARAMETERS_MAX = 40 };

struct value {
    int type; /* as of sqlite3_value_type() */
    int64_t integer;
    double real;
    const char *text;
};

struct maker {
    struct dice dice;
    const struct shape *shape;
    sqlite3_str *sql;
    struct value values[PARAMETERS_MAX];
    int count;
    const char *prefix; /* before columns, such as "d." */
    bool either;        /* there is an OR */
};

static struct value any_number(struct dice *d) {
    static const double reals[] = {
        0.1, 1e-300, -0.5, 2.5, 1e308, 3.0, 9007199254740993.0, 1.0 / 3, -0.0, 1e15, 0.30000000000000004};
    static const int64_t integers[] = {
        0, 1, 2, 3, 5, 7, 10, 42, 60, -1, 100, 4294967296, INT64_MAX, INT64_MIN, 9007199254740993};
    if (dice_chance(d, 35)) return (struct value){.type = SQLITE_FLOAT, .real = reals[dice_below(d, 11)]};
    return (struct value){.type = SQLITE_INTEGER, .integer = integers[dice_below(d, dice_chance(d, 70) ? 9 : 15)]};
}

static struct value any_value(struct dice *d) {
    uint32_t kind = dice_below(d, 100);
    if (kind < 45) return any_number(d);
    if (kind < 50) return (struct value){.type = SQLITE_NULL};
    const char *text = WORD(d, "a", "b", "ab", "A", "en", "de", "", "it's", "say \"no\"", "é", "5", "5.0", "0.1",
                            "x--y", "/* c */", "?1", "a%", "en", "de", "k3", "k7", "日本");
    return (struct value){.type = kind < 58 ? SQLITE_BLOB : SQLITE_TEXT, .text = text};
}

static void append_literal(sqlite3_str *out, const struct value *value) {
    char text[40];
    switch (value->type) {
    case SQLITE_INTEGER:
        if (value->integer == INT64_MIN)
            sqlite3_str_appendall(out, "(-9223372036854775807 - 1)");
        else
            sqlite3_str_appendf(out, "%lld", value->integer);
        break;
    case SQLITE_FLOAT:
        (void)snprintf(text, sizeof text, "%.17g", value->real);
        sqlite3_str_appendf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
        break;
    case SQLITE_TEXT: sqlite3_str_appendf(out, "%Q", value->text); break;
    case SQLITE_BLOB:
        sqlite3_str_appendall(out, "x'");
        for (const char *c = value->text; *c != 0; c++) sqlite3_str_appendf(out, "%02x", (unsigned char)*c);
        sqlite3_str_appendall(out, "'");
        break;
    default: sqlite3_str_appendall(out, "NULL");
    }
}

static void bind(sqlite3_stmt *statement, int parameter, const struct value *value) {
    switch (value->type) {
    case SQLITE_INTEGER: sqlite3_bind_int64(statement, parameter, value->integer); break;
    case SQLITE_FLOAT: sqlite3_bind_double(statement, parameter, value->real); break;
    case SQLITE_TEXT: sqlite3_bind_text(statement, parameter, value->text, -1, SQLITE_STATIC); break;
    case SQLITE_BLOB:
        sqlite3_bind_blob(statement, parameter, value->text, (int)strlen(value->text), SQLITE_STATIC);
        break;
    default: sqlite3_bind_null(statement, parameter);
    }
}

/* As a literal, or as a parameter in one of its spellings. */
static void append_value(struct maker *m, struct value value) {
    struct dice *d = &m->dice;
    if (m->count == PARAMETERS_MAX || dice_chance(d, 55)) {
        append_literal(m->sql, &value);
        return;
    }
    m->values[m->count++] = value;
    if (dice_chance(d, 70))
        sqlite3_str_appendall(m->sql, "?");
    else
        sqlite3_str_appendf(m->sql, "%sp%d", WORD(d, ":", "@", "$"), m->count);
}

/* ---- Vectors ---- */

static void append_vector(sqlite3_str *out, struct dice *d, uint32_t dim, bool json) {
    static const float numbers[] = {0, 1, -1, 2, 0.5f, 1, -0.25f, 3};
    bool zero = dice_chance(d, 5);
    sqlite3_str_appendall(out, json ? "'[" : "x'");
    for (uint32_t i = 0; i < dim; i++) {
        /* Few different ones: equal scores are the interesting case. */
        float number = zero ? 0 : i < 2 || dice_chance(d, 20) ? numbers[dice_below(d, 8)] : 1;
        unsigned char bytes[4];
        memcpy(bytes, &number, 4);
        if (json) sqlite3_str_appendf(out, "%s%f", i == 0 ? "" : ",", (double)number);
        for (int j = 0; j < 4 && !json; j++) sqlite3_str_appendf(out, "%02x", bytes[j]);
    }
    sqlite3_str_appendall(out, json ? "]'" : "'");
}

static void append_query(struct maker *m, uint32_t dim) {
    struct dice *d = &m->dice;
    switch (dice_below(d, 12)) {
    case 0: sqlite3_str_appendf(m->sql, "(SELECT q FROM asked WHERE dim = %u)", dim); break;
    case 1:
        sqlite3_str_appendall(m->sql, "tq_f32(");
        append_vector(m->sql, d, dim, true);
        sqlite3_str_appendall(m->sql, ")");
        break;
    case 2:
    case 3: append_vector(m->sql, d, dim, true); break;
    case 4:
        sqlite3_str_appendf(m->sql, "(SELECT %s FROM %s WHERE rowid = 9)", m->shape->vectors[0].name, m->shape->name);
        break;
    case 5: sqlite3_str_appendall(m->sql, WORD(d, "NULL", "'[1]'", "x'00'")); break;
    default: append_vector(m->sql, d, dim, false);
    }
}

/* ---- WHERE ---- */

static const char *any_name(struct maker *m) {
    return m->shape->names[dice_below(&m->dice, (uint32_t)m->shape->count)];
}

static void append_column(struct maker *m) { sqlite3_str_appendf(m->sql, "%s%s", m->prefix, any_name(m)); }

static void append_list(struct maker *m) {
    uint32_t count = dice_chance(&m->dice, 4) ? 30 : dice_below(&m->dice, 5);
    sqlite3_str_appendall(m->sql, "(");
    for (uint32_t i = 0; i < count; i++) {
        sqlite3_str_appendall(m->sql, i == 0 ? "" : ", ");
        append_value(m, any_value(&m->dice));
    }
    sqlite3_str_appendall(m->sql, ")");
}

/* A column compared with values: what SQLite tells of. */
static void append_comparison(struct maker *m) {
    struct dice *d = &m->dice;
    append_column(m);
    switch (dice_below(d, 8)) {
    case 0:
        sqlite3_str_appendall(m->sql, WORD(d, " IS NULL", " IS NOT NULL", " NOTNULL", " ISNULL", " NOT NULL"));
        break;
    case 1:
        sqlite3_str_appendall(m->sql, WORD(d, " IN ", " IN ", " NOT IN "));
        append_list(m);
        break;
    case 2:
        sqlite3_str_appendall(m->sql, WORD(d, " BETWEEN ", " BETWEEN ", " NOT BETWEEN "));
        append_value(m, any_value(d));
        sqlite3_str_appendall(m->sql, " AND ");
        append_value(m, any_value(d));
        break;
    case 3:
        sqlite3_str_appendall(m->sql, WORD(d, " LIKE ", " GLOB ", " NOT LIKE "));
        sqlite3_str_appendall(m->sql, WORD(d, "'a%'", "'%e%'", "'e*'", "'_'", "'%'", "'[a-e]*'", "'k_'"));
        break;
    default:
        sqlite3_str_appendf(m->sql, " %s ",
                            WORD(d, "=", "==", "<>", "!=", "<", "<=", ">", ">=", "IS", "IS NOT", "<", ">="));
        append_value(m, any_value(d));
    }
}

static void append_function(struct maker *m) {
    struct dice *d = &m->dice;
    const char *c = any_name(m), *p = m->prefix;
    switch (dice_below(d, 13)) {
    case 0: sqlite3_str_appendf(m->sql, "length(%s%s) > 1", p, c); break;
    case 1:
        sqlite3_str_appendf(m->sql, "typeof(%s%s) %s", p, c,
                            WORD(d, "= 'text'", "<> 'integer'", "IN ('real', 'blob')"));
        break;
    case 2: sqlite3_str_appendf(m->sql, "coalesce(%s%s, 3) = 3", p, c); break;
    case 3: sqlite3_str_appendf(m->sql, "lower(%s%s) = 'ab'", p, c); break;
    case 4: sqlite3_str_appendf(m->sql, "substr(%s%s, 1, 1) = %s", p, c, WORD(d, "'a'", "'e'", "'k'")); break;
    case 5:
        sqlite3_str_appendf(m->sql, "CASE WHEN %s%s > 5 THEN 1 WHEN %s%s IS NULL THEN 0 ELSE NULL END", p, c, p, c);
        break;
    case 6: sqlite3_str_appendf(m->sql, "%s%s %% 3 = 1", p, c); break;
    case 7: sqlite3_str_appendf(m->sql, "%s%s + 1 > %s%s", p, c, p, any_name(m)); break;
    case 8: sqlite3_str_appendf(m->sql, "%s%s = 'EN' COLLATE NOCASE", p, c); break;
    case 9: sqlite3_str_appendf(m->sql, "%s%s || '' = %s%s", p, c, p, any_name(m)); break;
    case 10: sqlite3_str_appendf(m->sql, "ifnull(nullif(%s%s, 'a'), %s%s) >= 'b'", p, c, p, any_name(m)); break;
    case 11: sqlite3_str_appendf(m->sql, "%s%s LIKE 'a!%%' ESCAPE '!'", p, c); break;
    default: sqlite3_str_appendf(m->sql, "%s%s = %s%s", p, c, p, any_name(m));
    }
}

/* What is not recognised, or hardly. */
static void append_odd(struct maker *m) {
    struct dice *d = &m->dice;
    switch (dice_below(d, 5)) {
    case 0: sqlite3_str_appendf(m->sql, "%s%s IS NOT NULL", m->prefix, m->shape->vectors[0].name); break;
    case 1:
        append_column(m);
        sqlite3_str_appendall(m->sql, " IN (SELECT dim FROM asked)");
        break;
    case 2:
        sqlite3_str_appendall(m->sql, "EXISTS (SELECT 1 FROM asked WHERE dim = ");
        append_column(m);
        sqlite3_str_appendall(m->sql, ")");
        break;
    case 3: sqlite3_str_appendall(m->sql, WORD(d, "1", "0", "TRUE", "NULL", "rowid IS NOT FALSE")); break;
    default: sqlite3_str_appendf(m->sql, "tq_dim(%s%s) > 0", m->prefix, m->shape->vectors[0].name);
    }
}

static void append_condition(struct maker *m, int depth) {
    struct dice *d = &m->dice;
    uint32_t kind = dice_below(d, 100);
    if (depth > 0 && kind < 40) {
        const char *open = WORD(d, "(", "(", "(", "NOT (");
        bool in_parentheses = dice_chance(d, 50);
        sqlite3_str_appendall(m->sql, in_parentheses ? open : "");
        append_condition(m, depth - 1);
        bool either = dice_chance(d, 33);
        m->either = m->either || either;
        sqlite3_str_appendall(m->sql, either ? " OR " : " AND ");
        append_condition(m, depth - 1);
        sqlite3_str_appendall(m->sql, in_parentheses ? ")" : "");
    } else if (kind < 82) {
        append_comparison(m);
    } else if (kind < 96) {
        append_function(m);
    } else {
        append_odd(m);
    }
}

/* ---- Statements ---- */

static void append_call(struct maker *m, const struct vector *v, const char *function, const char *query) {
    bool turned = m->dice.seed % 5 == 0;
    sqlite3_str_appendf(m->sql, "%s(%s%s%s%s%s)", function, turned ? query : m->prefix, turned ? ", " : v->name,
                        turned ? m->prefix : ", ", turned ? v->name : query, "");
}

static void append_limit(struct maker *m) {
    struct dice *d = &m->dice;
    static const int64_t limits[] = {1, 2, 3, 5, 8, 20, 100, 500, 0};
    struct value limit = {.type = SQLITE_INTEGER, .integer = limits[dice_below(d, dice_chance(d, 95) ? 8 : 9)]};
    sqlite3_str_appendall(m->sql, " LIMIT ");
    append_value(m, limit);
    if (!dice_chance(d, 30)) return;
    sqlite3_str_appendall(m->sql, WORD(d, " OFFSET ", " OFFSET ", ", "));
    append_value(m, (struct value){.type = SQLITE_INTEGER, .integer = dice_below(d, 12)});
}

static char *query_text(struct maker *m, uint32_t dim) {
    m->sql = sqlite3_str_new(NULL);
    append_query(m, dim);
    return sqlite3_str_finish(m->sql);
}

/* "WHERE ...", or NULL. */
static char *condition_text(struct maker *m) {
    m->either = false;
    m->sql = sqlite3_str_new(NULL);
    if (dice_chance(&m->dice, 80)) {
        sqlite3_str_appendall(m->sql, " WHERE ");
        append_condition(m, 2);
    }
    return sqlite3_str_finish(m->sql);
}

/* With OR, SQLite may go through the table once for each side: then which of the equal ones come first, and which of
 * them are within LIMIT, is its own affair, and only their values are compared. */
static void append_results(struct maker *m, const struct vector *v, const char *function, const char *query,
                           bool named) {
    struct dice *d = &m->dice;
    const char *columns = WORD(d, "rowid", "rowid", "rowid, *", "*", "rowid");
    if (!m->either) sqlite3_str_appendall(m->sql, columns);
    if (m->either || named || dice_chance(d, 20)) {
        sqlite3_str_appendall(m->sql, m->either ? "" : ", ");
        append_call(m, v, function, query);
        sqlite3_str_appendall(m->sql, WORD(d, " AS nearness", " nearness"));
    }
    if (!m->either && dice_chance(d, 20)) sqlite3_str_appendf(m->sql, ", %s%s", m->prefix, any_name(m));
}

static char *make_statement(struct maker *m) {
    struct dice *d = &m->dice;
    const struct shape *s = m->shape;
    const struct vector *v = &s->vectors[dice_below(d, (uint32_t)s->vector_count)];
    const char *function = WORD(d, "tq_ip", "tq_cosine", "tq_l2", "tq_distance", "tq_cosine", "TQ_L2");
    bool similar = strstr(function, "ip") != NULL || strstr(function, "cos") != NULL;
    const char *alias = WORD(d, "", "", "", " AS d", " d");
    m->prefix = alias[0] != 0 && dice_chance(d, 70) ? "d." : "";
    char *query = query_text(m, v->dim), *condition = condition_text(m);
    bool by_alias = dice_chance(d, 40);
    m->sql = sqlite3_str_new(NULL);
    sqlite3_str_appendall(m->sql, "SELECT ");
    append_results(m, v, function, query, by_alias);
    sqlite3_str_appendf(m->sql, " FROM %s%s%s%s", dice_chance(d, 10) ? "main." : "", s->name, alias,
                        condition == NULL ? "" : condition);
    sqlite3_str_appendall(m->sql, " ORDER BY ");
    if (by_alias)
        sqlite3_str_appendall(m->sql, "nearness");
    else
        append_call(m, v, function, query);
    sqlite3_str_appendall(m->sql, similar ? WORD(d, " DESC", " DESC", " desc", " DESC NULLS LAST", " DESC NULLS FIRST")
                                          : WORD(d, "", "", " ASC", " NULLS LAST", " ASC NULLS FIRST"));
    append_limit(m);
    sqlite3_free(condition);
    sqlite3_free(query);
    return sqlite3_str_finish(m->sql);
}

/* ---- Rows ---- */

static void run(sqlite3 *db, char *sql) {
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
    sqlite3_free(sql);
}

static void append_column_value(struct maker *m, const char *name) {
    struct dice *d = &m->dice;
    if (strcmp(name, "rowid") == 0 || strcmp(name, "id") == 0)
        sqlite3_str_appendf(m->sql, "%u", 1 + dice_below(d, (uint32_t)m->shape->rows * 2));
    else if (strcmp(name, "key") == 0)
        sqlite3_str_appendf(m->sql, "'k%u'", dice_below(d, (uint32_t)m->shape->rows * 2));
    else if (strcmp(name, "tenant") == 0 || strcmp(name, "region") == 0)
        sqlite3_str_appendall(m->sql, WORD(d, "1", "2", "'en'", "NULL", "3"));
    else {
        struct value value = any_value(d);
        append_literal(m->sql, &value);
    }
}

/* "(a, b, v)", or their values. */
static void append_row(struct maker *m, bool names) {
    const struct shape *s = m->shape;
    sqlite3_str_appendall(m->sql, "(");
    for (size_t i = 0; i < s->count; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++) again = again || strcmp(s->names[i], s->names[j]) == 0;
        bool rowid = strstr(s->names[i], "rowid") != NULL;
        if (again || rowid) continue;
        if (names)
            sqlite3_str_appendf(m->sql, "%s, ", s->names[i]);
        else
            append_column_value(m, s->names[i]), sqlite3_str_appendall(m->sql, ", ");
    }
    for (size_t i = 0; i < s->vector_count; i++) {
        sqlite3_str_appendall(m->sql, i == 0 ? "" : ", ");
        if (names)
            sqlite3_str_appendall(m->sql, s->vectors[i].name);
        else if (dice_chance(&m->dice, 10))
            sqlite3_str_appendall(m->sql, "NULL");
        else
            append_vector(m->sql, &m->dice, s->vectors[i].dim, false);
    }
    sqlite3_str_appendall(m->sql, ")");
}

static void insert_rows(sqlite3 *db, struct maker *m, int rows) {
    for (int i = 0; i < rows; i++) {
        m->sql = sqlite3_str_new(NULL);
        sqlite3_str_appendf(m->sql, "INSERT OR REPLACE INTO %s", m->shape->name);
        append_row(m, true);
        sqlite3_str_appendall(m->sql, " VALUES ");
        append_row(m, false);
        run(db, sqlite3_str_finish(m->sql));
    }
}

static void change_rows(sqlite3 *db, struct maker *m) {
    const struct shape *s = m->shape;
    struct dice *d = &m->dice;
    switch (dice_below(d, 6)) {
    case 0: run(db, sqlite3_mprintf("INSERT INTO %s(%s) VALUES ('optimize')", s->name, s->name)); break;
    case 1: run(db, sqlite3_mprintf("DELETE FROM %s WHERE rowid %% 17 = %u", s->name, dice_below(d, 17))); break;
    case 2:
        run(db, sqlite3_mprintf("UPDATE %s SET %s = NULL WHERE rowid %% 31 = %u", s->name, s->vectors[0].name,
                                dice_below(d, 31)));
        break;
    case 3:
        run(db, sqlite3_mprintf("UPDATE %s SET %s = (SELECT max(%s) FROM %s) WHERE rowid %% 13 = %u", s->name,
                                s->vectors[0].name, s->vectors[0].name, s->name, dice_below(d, 13)));
        break;
    case 4:
        run(db, sqlite3_mprintf("UPDATE %s SET %s = %s WHERE rowid %% 11 = %u", s->name, s->names[1],
                                WORD(d, "3", "'a'", "NULL"), dice_below(d, 11)));
        break;
    default: insert_rows(db, m, 12);
    }
}

static void create(sqlite3 *db, struct maker *m) {
    const struct shape *s = m->shape;
    m->sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(m->sql, "DROP TABLE IF EXISTS %s; CREATE VIRTUAL TABLE %s USING tq(%s", s->name, s->name,
                        s->columns);
    for (size_t i = 0; i < s->vector_count; i++)
        sqlite3_str_appendf(m->sql, ", %s FLOAT[%u] %s", s->vectors[i].name, s->vectors[i].dim, s->vectors[i].options);
    sqlite3_str_appendall(m->sql, "); BEGIN");
    run(db, sqlite3_str_finish(m->sql));
    insert_rows(db, m, s->rows / 2);
    run(db, sqlite3_mprintf("INSERT INTO %s(%s) VALUES ('optimize')", s->name, s->name));
    insert_rows(db, m, s->rows / 2);
    run(db, sqlite3_mprintf("COMMIT; CREATE TABLE IF NOT EXISTS asked(dim INTEGER UNIQUE, q)"));
    for (size_t i = 0; i < s->vector_count; i++) {
        m->sql = sqlite3_str_new(NULL);
        sqlite3_str_appendf(m->sql, "INSERT OR REPLACE INTO asked VALUES (%u, ", s->vectors[i].dim);
        append_vector(m->sql, &m->dice, s->vectors[i].dim, false);
        sqlite3_str_appendall(m->sql, ")");
        run(db, sqlite3_str_finish(m->sql));
    }
}

/* ---- Comparing ---- */

static struct { long statements, recognised, with_where, with_parameters, with_rows; } tally;

static char *answer(sqlite3 *db, const struct maker *m, const char *sql, const char *order_by, bool *recognised) {
    sqlite3_stmt *statement = NULL;
    run(db, sqlite3_mprintf("SELECT tq_config('order_by', %Q)", order_by));
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    for (int i = 0; i < m->count && rc == SQLITE_OK; i++) bind(statement, i + 1, &m->values[i]);
    char *rows = rc == SQLITE_OK ? rows_of_statement(statement) : sqlite3_mprintf("error: %s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    char *how = rows_of_query(db, "SELECT tq_explain()");
    *recognised = strstr(how, "\"path\":\"recognised\"") != NULL;
    sqlite3_free(how);
    return rows;
}

static bool differs(sqlite3 *db, const struct maker *m, const char *sql) {
    bool recognised = false, scanned = false;
    char *fast = answer(db, m, sql, "exact", &recognised), *right = answer(db, m, sql, "scan", &scanned);
    bool different = strcmp(fast, right) != 0;
    sqlite3_free(fast);
    sqlite3_free(right);
    return different;
}

/* Delete rows that the difference does not need. */
static void reduce(sqlite3 *db, const struct maker *m, const char *sql) {
    const char *t = m->shape->name;
    run(db, sqlite3_mprintf("SAVEPOINT all_rows"));
    for (int64_t id = 1; id <= 2 * m->shape->rows + 400; id++) {
        run(db, sqlite3_mprintf("SAVEPOINT one; DELETE FROM %s WHERE rowid = %lld", t, id));
        run(db, sqlite3_mprintf(differs(db, m, sql) ? "RELEASE one" : "ROLLBACK TO one; RELEASE one"));
    }
}

static void report(sqlite3 *db, const struct maker *m, const char *sql, uint64_t seed) {
    bool recognised = false;
    reduce(db, m, sql);
    char *rows = sqlite3_mprintf("SELECT rowid, * FROM %s", m->shape->name), *left = rows_of_query(db, rows);
    char *fast = answer(db, m, sql, "exact", &recognised);
    char *how = rows_of_query(db, "SELECT tq_explain()");
    char *right = answer(db, m, sql, "scan", &recognised);
    sqlite3_str *values = sqlite3_str_new(NULL);
    for (int i = 0; i < m->count; i++) {
        sqlite3_str_appendall(values, i == 0 ? "" : ", ");
        append_literal(values, &m->values[i]);
    }
    char *bound = sqlite3_str_finish(values);
    (void)printf(
        "-- seed %llu, table %s(%s), rows:\n%s-- parameters: %s\n%s;\n-- found:\n%s\n-- expected:\n%s\n-- %s\n",
        (unsigned long long)seed, m->shape->name, m->shape->columns, left, bound == NULL ? "none" : bound, sql, fast,
        right, how);
    (void)fflush(stdout);
    run(db, sqlite3_mprintf("ROLLBACK TO all_rows; RELEASE all_rows"));
    sqlite3_free(rows);
    sqlite3_free(left);
    sqlite3_free(fast);
    sqlite3_free(how);
    sqlite3_free(right);
    sqlite3_free(bound);
}

static bool run_one(sqlite3 *db, struct maker *m, uint64_t seed) {
    bool recognised = false, scanned = false;
    m->count = 0;
    char *sql = make_statement(m);
    char *fast = answer(db, m, sql, "exact", &recognised), *right = answer(db, m, sql, "scan", &scanned);
    bool same = strcmp(fast, right) == 0;
    tally.statements++;
    tally.recognised += recognised;
    tally.with_where += recognised && strstr(sql, "WHERE") != NULL;
    tally.with_parameters += recognised && m->count > 0;
    tally.with_rows += recognised && fast[0] != 0;
    if (scanned) fail_msg("recognised although order_by is scan: %s", sql);
    if (!same) report(db, m, sql, seed);
    sqlite3_free(fast);
    sqlite3_free(right);
    sqlite3_free(sql);
    return same;
}

enum { STATEMENTS_OF_A_CASE = 400 };

static long run_case(sqlite3 *db, uint64_t seed) {
    long differences = 0;
    struct maker m = {.dice = {.seed = seed}, .shape = shape_of(seed)};
    create(db, &m);
    for (int i = 0; i < STATEMENTS_OF_A_CASE && differences < differences_shown; i++) {
        if (i % 20 == 19) change_rows(db, &m);
        if (!run_one(db, &m, seed)) differences++;
    }
    return differences;
}

static void test_search_equals_scan(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    long differences = 0;
    uint64_t seed = first_seed;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (; tally.statements < statements_wanted && differences < differences_shown; seed++) {
        differences += run_case(db, seed);
    }
    (void)printf(
        "seeds %llu to %llu: %ld statements, %ld recognised (%ld with WHERE, %ld with parameters, %ld with rows),"
        " %ld differences\n",
        (unsigned long long)first_seed, (unsigned long long)seed - 1, tally.statements, tally.recognised,
        tally.with_where, tally.with_parameters, tally.with_rows, differences);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(differences, 0);
    assert_true(tally.recognised * 2 > tally.statements);
}

int main(int argc, char **argv) {
    if (argc > 1) statements_wanted = atol(argv[1]);
    if (argc > 2) first_seed = strtoull(argv[2], NULL, 10);
    if (argc > 3) differences_shown = atol(argv[3]);
    if (sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) != SQLITE_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_search_equals_scan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
