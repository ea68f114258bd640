/* A tq table against an ordinary table of the same columns: random statements, to which both must answer the same.
 *
 *   test_differential [statements [seed [differences to show]]]
 *
 * A case is some statements on new tables, all chosen before the first of them runs, so that a difference can be
 * reduced by leaving statements out. Where the answer depends on the order in which rows are come upon, which no table
 * promises, nothing is asked: rows that are to become equal to one another change one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/tq_sqlite.h"
#include "tests/unit/differential_tables.h"

static long statements_wanted = 6000, differences_shown = 1;
static uint64_t first_seed = 1;

/* ---- Steps ---- */

static struct step *add(struct maker *m, const char *category, enum step_order order, sqlite3_str *text) {
    struct step *step = steps_add(&m->steps, category);
    step->order = order;
    step->connection = m->connection;
    step->ours = step->plain = sqlite3_str_finish(text);
    return step;
}

static struct step *add_text(struct maker *m, const char *category, enum step_order order, const char *format, ...) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    va_list args;
    va_start(args, format);
    sqlite3_str_vappendf(out, format, args);
    va_end(args);
    return add(m, category, order, out);
}

static void add_pair(struct maker *m, const char *category, char *ours, char *plain) {
    struct step *step = steps_add(&m->steps, category);
    step->ours = ours;
    step->plain = plain;
}

/* ---- Writing ---- */

static const char *any_conflict(struct dice *d) {
    return dice_chance(d, 45) ? ""
                              : WORD(d, " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT", " OR ROLLBACK",
                                     " OR REPLACE", " OR IGNORE");
}

/* Columns of an INSERT: chosen[i]; the rowid apart. */
static bool append_columns(sqlite3_str *out, struct maker *m, bool *chosen) {
    struct table *t = &m->table;
    bool named = find(t, ID, 0) != NULL, rowid = !named && dice_chance(&m->dice, 60);
    sqlite3_str_appendf(out, "(%s", rowid ? "rowid" : "");
    bool first = !rowid;
    for (size_t i = 0; i < t->count; i++) {
        chosen[i] = dice_chance(&m->dice, t->columns[i].kind == KEY ? 97 : 80);
        if (!chosen[i]) continue;
        sqlite3_str_appendf(out, "%s%s", first ? "" : ", ", t->columns[i].name);
        first = false;
    }
    if (first) {
        chosen[0] = true;
        sqlite3_str_appendall(out, t->columns[0].name);
    }
    sqlite3_str_appendall(out, ")");
    return rowid;
}

static void append_row(sqlite3_str *out, struct maker *m, bool rowid, const bool *chosen, uint32_t bad_percent) {
    struct table *t = &m->table;
    bool first = !rowid;
    sqlite3_str_appendf(out, "(%s", rowid ? any_id(&m->dice) : "");
    for (size_t i = 0; i < t->count; i++) {
        if (!chosen[i]) continue;
        sqlite3_str_appendall(out, first ? "" : ", ");
        first = false;
        append_new_value(out, &m->dice, &t->columns[i], bad_percent);
    }
    sqlite3_str_appendall(out, ")");
}

static void make_insert(struct maker *m) {
    struct dice *d = &m->dice;
    bool chosen[COLUMNS_MAX];
    sqlite3_str *out = sqlite3_str_new(NULL);
    uint32_t rows = dice_chance(d, 55) ? 1 : 2 + dice_below(d, 6);
    if (dice_chance(d, 6))
        sqlite3_str_appendf(out, "REPLACE INTO %s", m->table.name);
    else
        sqlite3_str_appendf(out, "INSERT%s INTO %s", any_conflict(d), m->table.name);
    if (dice_chance(d, 1)) {
        sqlite3_str_appendall(out, " DEFAULT VALUES");
        add(m, "INSERT", STEP_LIST, out);
        return;
    }
    bool rowid = append_columns(out, m, chosen);
    sqlite3_str_appendall(out, " VALUES ");
    for (uint32_t i = 0; i < rows; i++) {
        sqlite3_str_appendall(out, i == 0 ? "" : ", ");
        append_row(out, m, rowid, chosen, rows > 1 ? 3 : 5);
    }
    add(m, rows > 1 ? "INSERT of rows" : "INSERT", STEP_LIST, out);
}

static void make_insert_select(struct maker *m) {
    struct dice *d = &m->dice;
    struct table *t = &m->table;
    const char *first = find(t, KEY, 0) != NULL ? "key" : "rowid";
    const struct column *c = any_column(m), *v = find(t, VECTOR, 0);
    sqlite3_str *out = sqlite3_str_new(NULL);
    bool third = c->kind == METADATA || c->kind == PARTITION || c->kind == APART;
    sqlite3_str_appendf(out, "INSERT%s INTO %s(%s, %s%s%s) SELECT ", any_conflict(d), t->name, first, v->name,
                        third ? ", " : "", third ? c->name : "");
    if (dice_chance(d, 50)) {
        sqlite3_str_appendf(out, "%s, %s%s%s FROM %s AS d",
                            first[0] == 'k' ? "key || 'x'" : WORD(d, "rowid + 20", "rowid"), v->name, third ? ", " : "",
                            third ? any_name(m) : "", t->name);
        append_where(out, m, "d.");
        sqlite3_str_appendall(out, " ORDER BY d.rowid");
    } else {
        sqlite3_str_appendf(out, "%s, ", first[0] == 'k' ? "y" : "n");
        append_vector(out, d, v->dim);
        sqlite3_str_appendf(out, "%s FROM other ORDER BY other.rowid", third ? ", x" : "");
    }
    add(m, "INSERT SELECT", STEP_LIST, out);
}

/* One row, whatever rows there are. */
static void append_one_row(sqlite3_str *out, struct maker *m) {
    if (find(&m->table, KEY, 0) != NULL && dice_chance(&m->dice, 50))
        sqlite3_str_appendf(out, " WHERE key = %s", any_key(&m->dice));
    else
        sqlite3_str_appendf(out, " WHERE rowid = %s", any_id(&m->dice));
}

/* Of the id or the key. */
static void make_update_of_names(struct maker *m) {
    struct dice *d = &m->dice;
    struct table *t = &m->table;
    const struct column *c = any_column(m);
    bool key = find(t, KEY, 0) != NULL && dice_chance(d, 60);
    const char *name = key ? "key" : find(t, ID, 0) != NULL && dice_chance(d, 60) ? "id" : "rowid";
    sqlite3_str *out = sqlite3_str_new(NULL);
    if (!key && dice_chance(d, 15)) {
        sqlite3_str_appendf(out, "UPDATE%s %s SET %s = -%s", WORD(d, "", " OR IGNORE", " OR ABORT", " OR ROLLBACK"),
                            t->name, name, name);
        append_where(out, m, "");
    } else {
        sqlite3_str_appendf(out, "UPDATE%s %s SET %s = %s", any_conflict(d), t->name, name,
                            dice_chance(d, 5) ? WORD(d, "NULL", "'x'")
                            : key             ? any_key(d)
                                              : any_id(d));
        if (c->kind != ID && c->kind != KEY && dice_chance(d, 50)) {
            sqlite3_str_appendf(out, ", %s = ", c->name);
            append_new_value(out, d, c, 3);
        }
        append_one_row(out, m);
    }
    add(m, "UPDATE of id or key", STEP_LIST, out);
}

static void append_set(sqlite3_str *out, struct maker *m, const struct column *c) {
    struct dice *d = &m->dice;
    sqlite3_str_appendf(out, "%s = ", c->name);
    if (c->kind == VECTOR && dice_chance(d, 20)) {
        sqlite3_str_appendf(out, "CASE WHEN rowid %% 3 = 1 THEN %s ELSE %s END",
                            dice_chance(d, 30) ? bad_vector(d) : "NULL", c->name);
    } else if (c->kind != VECTOR && dice_chance(d, 30)) {
        sqlite3_str_appendf(out, WORD(d, "%s", "%s || 'x'", "coalesce(%s, 1)", "typeof(%s)", "%s + 1"), any_name(m));
    } else {
        append_new_value(out, d, c, 3);
    }
}

static void make_update(struct maker *m) {
    struct dice *d = &m->dice;
    bool set[COLUMNS_MAX] = {false}, any = false;
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, "UPDATE%s %s SET ", any_conflict(d), m->table.name);
    for (uint32_t i = 0; i < 8 && (!any || dice_chance(d, 35)); i++) {
        const struct column *c = any_column(m);
        size_t place = (size_t)(c - m->table.columns);
        if (set[place] || c->kind == ID || c->kind == KEY) continue;
        sqlite3_str_appendall(out, any ? ", " : "");
        append_set(out, m, c);
        set[place] = any = true;
    }
    if (!any) sqlite3_str_appendf(out, "%s = NULL", find(&m->table, METADATA, 0)->name);
    if (dice_chance(d, 30))
        append_one_row(out, m);
    else
        append_where(out, m, "");
    add(m, "UPDATE", STEP_LIST, out);
}

static void make_update_from(struct maker *m) {
    struct dice *d = &m->dice;
    const struct column *c = any_column(m);
    if (c->kind == ID || c->kind == KEY || c->kind == VECTOR) c = find(&m->table, METADATA, 0);
    add_text(m, "UPDATE FROM", STEP_LIST, "UPDATE %s SET %s = other.%s FROM other WHERE other.n = %s.%s", m->table.name,
             c->name, WORD(d, "x", "y", "n"), m->table.name, any_name(m));
}

static void make_delete(struct maker *m) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, "DELETE FROM %s", m->table.name);
    if (dice_chance(&m->dice, 55)) {
        append_one_row(out, m);
    } else {
        sqlite3_str_appendall(out, " WHERE ");
        append_simple(out, m, "");
        sqlite3_str_appendall(out, " AND ");
        append_condition(out, m, "", 1);
    }
    add(m, "DELETE", STEP_LIST, out);
}

static void make_returning(struct maker *m) {
    bool chosen[COLUMNS_MAX];
    sqlite3_str *out = sqlite3_str_new(NULL);
    /* Without OR IGNORE: SQLite returns a row that a virtual table has passed over. */
    sqlite3_str_appendf(out, "INSERT%s INTO %s", WORD(&m->dice, "", " OR REPLACE"), m->table.name);
    bool rowid = append_columns(out, m, chosen);
    sqlite3_str_appendall(out, " VALUES ");
    append_row(out, m, rowid, chosen, 5);
    sqlite3_str_appendall(out, " RETURNING 1, length(embedding)");
    add(m, "INSERT RETURNING", STEP_LIST, out);
}

/* ---- Reading ---- */

static void append_results(sqlite3_str *out, struct maker *m, const char *p) {
    if (dice_chance(&m->dice, 30)) {
        sqlite3_str_appendf(out, "%srowid, %s*", p, p);
        return;
    }
    sqlite3_str_appendf(out, "%srowid", p);
    for (uint32_t i = dice_below(&m->dice, 4); i > 0; i--) {
        sqlite3_str_appendf(out, WORD(&m->dice, ", %s%s", ", %s%s", ", typeof(%s%s)", ", length(%s%s)"), p,
                            any_column(m)->name);
    }
}

static void make_select(struct maker *m) {
    struct dice *d = &m->dice;
    bool ordered = dice_chance(d, 50);
    sqlite3_str *out = sqlite3_str_new(NULL);
    const char *p = WORD(d, "", "", "d.");
    sqlite3_str_appendall(out, "SELECT ");
    append_results(out, m, p);
    sqlite3_str_appendf(out, " FROM %s%s", m->table.name, p[0] == 0 ? "" : " AS d");
    append_where(out, m, p);
    if (ordered) {
        sqlite3_str_appendall(out, " ORDER BY ");
        for (uint32_t i = dice_below(d, 3); i > 0; i--) {
            sqlite3_str_appendf(
                out, "%s%s%s, ", p, any_name(m),
                WORD(d, "", "", " DESC", " DESC", " NULLS LAST", " COLLATE NOCASE", " DESC NULLS FIRST"));
        }
        sqlite3_str_appendf(out, "%srowid%s", p, WORD(d, "", "", " DESC"));
        if (dice_chance(d, 60)) sqlite3_str_appendf(out, " LIMIT %s", WORD(d, "0", "1", "2", "3", "5", "8", "-1"));
        if (dice_chance(d, 30)) sqlite3_str_appendf(out, "%s", "");
    }
    add(m, ordered ? "SELECT in order" : "SELECT", ordered ? STEP_LIST : STEP_BAG, out);
}

static void make_group(struct maker *m) {
    struct dice *d = &m->dice;
    const char *c = any_name(m);
    sqlite3_str *out = sqlite3_str_new(NULL);
    switch (dice_below(d, 5)) {
    case 0: sqlite3_str_appendf(out, "SELECT count(*) FROM %s", m->table.name); break;
    case 1:
        sqlite3_str_appendf(out,
                            "SELECT count(%s), count(DISTINCT %s), min(rowid), max(rowid), count(embedding), "
                            "sum(typeof(%s) = 'text') FROM %s",
                            c, any_name(m), c, m->table.name);
        break;
    case 2: sqlite3_str_appendf(out, "SELECT DISTINCT typeof(%s), %s FROM %s", c, c, m->table.name); break;
    default: sqlite3_str_appendf(out, "SELECT %s, typeof(%s), count(*), sum(rowid) FROM %s", c, c, m->table.name);
    }
    bool grouped = strstr(sqlite3_str_value(out), "sum(rowid)") != NULL;
    append_where(out, m, "");
    if (grouped) sqlite3_str_appendf(out, " GROUP BY %s, typeof(%s)%s", c, c, WORD(d, "", "", " HAVING count(*) > 1"));
    add(m, "aggregates", STEP_BAG, out);
}

static void make_join(struct maker *m) {
    struct dice *d = &m->dice;
    const char *t = m->table.name, *c = any_name(m), *e = any_name(m), *o = WORD(d, "x", "y", "n");
    sqlite3_str *out = sqlite3_str_new(NULL);
    const char *sign = WORD(d, "=", "=", "=", "IS", "LIKE", "<>", "<");
    switch (dice_below(d, 7)) {
    case 0:
        sqlite3_str_appendf(out, "SELECT d.rowid, o.rowid, d.%s FROM %s AS d JOIN other AS o ON d.%s %s o.%s", e, t, c,
                            sign, o);
        break;
    case 1:
        sqlite3_str_appendf(out, "SELECT d.rowid, o.rowid FROM other AS o JOIN %s AS d ON o.%s %s d.%s", t, o, sign, c);
        break;
    case 2:
        sqlite3_str_appendf(out, "SELECT d.rowid, o.rowid, d.%s FROM other AS o LEFT JOIN %s AS d ON d.%s %s o.%s", e,
                            t, c, sign, o);
        break;
    case 3:
        sqlite3_str_appendf(out, "SELECT d.rowid, o.rowid FROM %s AS d LEFT JOIN other AS o ON d.%s %s o.%s", t, c,
                            sign, o);
        break;
    case 4:
        sqlite3_str_appendf(out, "SELECT d.rowid, o.rowid FROM %s AS d, %s AS o ON d.%s %s o.%s", t, t, c, sign, e);
        break;
    case 5:
        sqlite3_str_appendf(out, "SELECT d.rowid, o.rowid FROM %s AS d CROSS JOIN other AS o ON d.%s %s o.%s", t, c,
                            sign, o);
        break;
    default:
        sqlite3_str_appendf(out, "SELECT d.rowid, o.rowid FROM other AS o %s JOIN %s AS d ON d.%s = o.%s",
                            sqlite3_libversion_number() >= 3039000 ? WORD(d, "RIGHT", "FULL", "LEFT") : "LEFT", t, c,
                            o);
    }
    append_where(out, m, "d.");
    add(m, "joins", STEP_BAG, out);
}

static void make_compound(struct maker *m) {
    struct dice *d = &m->dice;
    const char *t = m->table.name;
    sqlite3_str *out = sqlite3_str_new(NULL);
    switch (dice_below(d, 4)) {
    case 0:
        sqlite3_str_appendf(out, "SELECT rowid, row_number() OVER (ORDER BY %s, rowid) FROM %s", any_name(m), t);
        append_where(out, m, "");
        break;
    case 1:
        sqlite3_str_appendf(out, "SELECT rowid FROM %s", t);
        append_where(out, m, "");
        sqlite3_str_appendf(out, " %s SELECT rowid FROM %s", WORD(d, "UNION", "EXCEPT", "INTERSECT", "UNION ALL"), t);
        append_where(out, m, "");
        break;
    case 2:
        sqlite3_str_appendf(out, "WITH w AS (SELECT rowid AS r, %s AS c FROM %s", any_name(m), t);
        append_where(out, m, "");
        sqlite3_str_appendf(out, ") SELECT a.r, b.r FROM w AS a %s JOIN w AS b ON a.c = b.r", WORD(d, "", "LEFT"));
        break;
    default:
        sqlite3_str_appendf(out,
                            "SELECT x, y, (SELECT count(*) FROM %s AS d WHERE d.%s = other.x), (SELECT min(rowid) FROM "
                            "%s AS d WHERE d.%s > other.n) FROM other",
                            t, any_name(m), t, any_name(m));
    }
    add(m, "compound", STEP_BAG, out);
}

static void make_all_rows(struct maker *m) {
    add_text(m, "all rows", STEP_LIST, "SELECT rowid, * FROM %s ORDER BY rowid", m->table.name);
}

/* ---- Searching ---- */

/* The function whose value is the score, or the distance. */
static const char *value_function(const char *metric, bool distance) {
    if (strcmp(metric, "l2") == 0) return "tq_l2(%s, %s)";
    if (strcmp(metric, "ip") == 0) return distance ? "-tq_ip(%s, %s)" : "tq_ip(%s, %s)";
    return distance ? "1.0 - tq_cosine(%s, %s)" : "tq_cosine(%s, %s)";
}

struct nearest {
    const struct column *column;
    bool distance;
    char *query, *value, *condition; /* condition: with AND before it */
};

static struct nearest choose_nearest(struct maker *m, bool simple) {
    struct dice *d = &m->dice;
    struct nearest n = {.column = find(&m->table, VECTOR, dice_below(d, (uint32_t)count_of(&m->table, VECTOR)))};
    sqlite3_str *query = sqlite3_str_new(NULL), *condition = sqlite3_str_new(NULL);
    n.distance = strcmp(m->table.metric, "l2") == 0 || dice_chance(d, 30);
    append_vector(query, d, n.column->dim);
    n.query = sqlite3_str_finish(query);
    n.value = sqlite3_mprintf(value_function(m->table.metric, n.distance), n.column->name, n.query);
    uint32_t conditions = dice_below(d, 3);
    for (uint32_t i = 0; i < conditions; i++) {
        sqlite3_str_appendall(condition, " AND ");
        if (simple)
            append_answered(condition, m, "", conditions == 1);
        else
            append_condition(condition, m, "", 2);
    }
    sqlite3_str_appendall(condition, " ");
    n.condition = sqlite3_str_finish(condition);
    return n;
}

static void nearest_free(struct nearest *n) {
    sqlite3_free(n->query);
    sqlite3_free(n->value);
    sqlite3_free(n->condition);
}

/* embedding MATCH x'..', or docs(x'..'), or docs MATCH. Complete up to the conditions. */
static void append_match(sqlite3_str *out, struct maker *m, const struct nearest *n) {
    struct dice *d = &m->dice;
    const char *t = m->table.name;
    char *query = dice_chance(d, 20) ? sqlite3_mprintf("tq_query(%s, 'confidence=exact')", n->query)
                                     : sqlite3_mprintf("%s", n->query);
    bool first = n->column == find(&m->table, VECTOR, 0);
    sqlite3_str_appendf(out, "SELECT rowid, %s FROM ", n->distance ? "distance" : "score");
    if (first && dice_chance(d, 25))
        sqlite3_str_appendf(out, "%s(%s) WHERE 1", t, query);
    else
        sqlite3_str_appendf(out, "%s WHERE %s MATCH %s", t, first && dice_chance(d, 20) ? t : n->column->name, query);
    sqlite3_free(query);
}

static void add_nearest(struct maker *m, const char *category, sqlite3_str *ours, const struct nearest *n,
                        const char *more, long limit, long offset) {
    struct step *step = add(m, category, STEP_NEAREST, ours);
    step->plain = sqlite3_mprintf("SELECT rowid, %s AS s FROM %s WHERE %s IS NOT NULL%s%s ORDER BY s %s, rowid",
                                  n->value, m->table.name, n->column->name, n->condition, more,
                                  n->distance ? "" : "DESC");
    step->limit = limit;
    step->offset = offset;
}

static void make_match(struct maker *m) {
    struct dice *d = &m->dice;
    struct nearest n = choose_nearest(m, false);
    const char *order = n.distance ? "distance" : "score DESC";
    long limit = dice_chance(d, 20) ? -1 : (long)dice_below(d, 9),
         offset = dice_chance(d, 20) ? (long)dice_below(d, 4) : 0;
    sqlite3_str *out = sqlite3_str_new(NULL);
    append_match(out, m, &n);
    sqlite3_str_appendf(out, "%sORDER BY %s LIMIT %d OFFSET %d", n.condition, order, (int)limit, (int)offset);
    add_nearest(m, "MATCH", out, &n, "", limit, offset);
    nearest_free(&n);
}

static void make_match_k(struct maker *m) {
    struct dice *d = &m->dice;
    struct nearest n = choose_nearest(m, true);
    long k = (long)dice_below(d, 7);
    sqlite3_str *out = sqlite3_str_new(NULL);
    append_match(out, m, &n);
    sqlite3_str_appendf(out, " AND k = %d%sORDER BY %s", (int)k, n.condition, n.distance ? "distance" : "score DESC");
    add_nearest(m, "MATCH, k", out, &n, "", k, 0);
    nearest_free(&n);
}

static void make_match_range(struct maker *m) {
    struct dice *d = &m->dice;
    struct nearest n = choose_nearest(m, false);
    char more[200], range[60];
    const char *bar = WORD(d, "0", "0.5", "1", "-1.5", "2.25", "1e9", "-1e9", "0.25");
    (void)snprintf(range, sizeof range, "%s %s", n.distance ? WORD(d, "<=", "<") : WORD(d, ">=", ">"), bar);
    (void)snprintf(more, sizeof more, "AND %s %s", n.value, range);
    long limit = dice_chance(d, 50) ? -1 : (long)dice_below(d, 9);
    sqlite3_str *out = sqlite3_str_new(NULL);
    append_match(out, m, &n);
    sqlite3_str_appendf(out, " AND %s %s%sORDER BY %s LIMIT %d", n.distance ? "distance" : "score", range, n.condition,
                        n.distance ? "distance" : "score DESC", (int)limit);
    add_nearest(m, "MATCH, range", out, &n, more, limit, 0);
    nearest_free(&n);
}

/* A search beside another table, in any order. */
static void make_match_join(struct maker *m) {
    struct dice *d = &m->dice;
    struct nearest n = choose_nearest(m, false);
    const char *t = m->table.name, *c = any_name(m), *o = WORD(d, "x", "y", "n");
    sqlite3_str *ours = sqlite3_str_new(NULL);
    const char *kind = WORD(d, "JOIN", "LEFT JOIN", "CROSS JOIN");
    sqlite3_str_appendf(ours,
                        "SELECT d.rowid, o.rowid, %s FROM %s AS d %s other AS o ON d.%s = o.%s WHERE d.%s MATCH %s",
                        n.distance ? "d.distance" : "d.score", t, kind, c, o, n.column->name, n.query);
    struct step *step = add(m, "MATCH, join", STEP_BAG, ours);
    step->plain = sqlite3_mprintf("SELECT d.rowid, o.rowid, %s FROM %s AS d %s other AS o ON d.%s = o.%s WHERE d.%s "
                                  "IS NOT NULL",
                                  n.value, t, kind, c, o, n.column->name);
    nearest_free(&n);
}

/* A search for every row of another table. */
static void make_match_each(struct maker *m) {
    struct dice *d = &m->dice;
    struct table *t = &m->table;
    const struct column *v = find(t, VECTOR, 0);
    bool distance = strcmp(t->metric, "l2") == 0;
    int k = (int)dice_below(d, 4);
    sqlite3_str *ours = sqlite3_str_new(NULL), *condition = sqlite3_str_new(NULL);
    char name[24], query[24];
    (void)snprintf(name, sizeof name, "d.%s", v->name);
    (void)snprintf(query, sizeof query, "q.v%u", v->dim);
    if (dice_chance(d, 40)) {
        sqlite3_str_appendall(condition, " AND ");
        append_answered(condition, m, "d.", true);
    }
    const char *where = sqlite3_str_value(condition);
    sqlite3_str_appendf(ours,
                        WORD(d, "SELECT q.rowid, d.rowid, d.%s FROM other AS q, %s AS d WHERE d.%s MATCH %s",
                             "SELECT q.rowid, d.rowid, d.%s FROM other AS q JOIN %s AS d ON d.%s MATCH %s"),
                        distance ? "distance" : "score", t->name, v->name, query);
    sqlite3_str_appendf(ours, " AND k = %d%s", k, where == NULL ? "" : where);
    struct step *step = add(m, "MATCH, each", STEP_BAG, ours);
    char *value = sqlite3_mprintf(value_function(t->metric, distance), name, query);
    step->plain = sqlite3_mprintf(
        "SELECT a, b, s FROM (SELECT q.rowid AS a, d.rowid AS b, %s AS s, row_number() OVER (PARTITION BY q.rowid "
        "ORDER BY %s %s, d.rowid) AS i FROM other AS q, %s AS d WHERE d.%s IS NOT NULL%s) WHERE i <= %d",
        value, value, distance ? "" : "DESC", t->name, v->name, where == NULL ? "" : where, k);
    sqlite3_free(value);
    sqlite3_free(sqlite3_str_finish(condition));
}

/* Every vector is found, and nothing else. */
static void make_match_all(struct maker *m) {
    const struct column *v = find(&m->table, VECTOR, dice_below(&m->dice, (uint32_t)count_of(&m->table, VECTOR)));
    struct step *step = add_text(m, "MATCH, all", STEP_BAG, "SELECT rowid FROM %s WHERE %s MATCH zeroblob(%u)",
                                 m->table.name, v->name, v->dim * 4);
    step->plain = sqlite3_mprintf("SELECT rowid FROM %s WHERE %s IS NOT NULL", m->table.name, v->name);
}

/* ---- The rest ---- */

static void make_transaction(struct maker *m) {
    add_text(m, "transactions", STEP_LIST, "%s",
             WORD(&m->dice, "BEGIN", "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT s1",
                  "SAVEPOINT s2", "SAVEPOINT s1", "ROLLBACK TO s1", "ROLLBACK TO s2", "RELEASE s1", "RELEASE s2"));
}

static void make_optimize(struct maker *m) {
    struct step *step = add_text(m, "optimize", STEP_LIST, "INSERT INTO %s(%s) VALUES ('optimize')", m->table.name,
                                 m->table.name);
    step->plain = sqlite3_mprintf("DELETE FROM %s WHERE 0", m->table.name);
}

static void make_rename(struct maker *m) {
    const char *next = m->table.name[0] == 'd' ? "\"a 'name'\"" : "docs";
    add_text(m, "rename", STEP_LIST, "ALTER TABLE %s RENAME TO %s", m->table.name, next);
    m->table.name = next;
}

static void make_other(struct maker *m) {
    struct dice *d = &m->dice;
    add_text(m, "ordinary table", STEP_LIST,
             WORD(d, "UPDATE other SET x = %s WHERE n = %s", "UPDATE other SET y = %s WHERE n = %s",
                  "UPDATE other SET x = %s WHERE n >= %s"),
             any_value(d), any_id(d));
}

static void make_reopen(struct maker *m) { steps_add(&m->steps, "reopen")->reopen = true; }

/* What one step of a hundred may be: it comes until the share is used up. */
static const struct {
    uint32_t share;
    void (*make)(struct maker *);
} makers[] = {{17, make_insert},     {3, make_insert_select}, {6, make_update_of_names}, {9, make_update},
              {1, make_update_from}, {5, make_delete},        {1, make_returning},       {14, make_select},
              {4, make_group},       {6, make_join},          {4, make_compound},        {6, make_all_rows},
              {6, make_match},       {4, make_match_k},       {3, make_match_range},     {1, make_match_join},
              {1, make_match_each},  {2, make_match_all},     {4, make_transaction},     {1, make_optimize},
              {1, make_other},       {1, make_rename}};

static bool writes(void (*make)(struct maker *)) {
    return make == make_update_of_names || make == make_update || make == make_update_from || make == make_delete;
}

static void make_one(struct maker *m) {
    uint32_t number = dice_below(&m->dice, 100);
    size_t i = 0;
    for (; i + 1 < sizeof makers / sizeof makers[0] && number >= makers[i].share; i++) number -= makers[i].share;
    m->connection = dice_chance(&m->dice, 6);
    m->writing = writes(makers[i].make);
    makers[i].make(m);
    m->connection = 0;
    m->writing = false;
    if (dice_chance(&m->dice, 1)) make_reopen(m);
}

static void make_other_rows(struct maker *m) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendall(out, "INSERT INTO other VALUES ");
    for (int i = 0; i < 7; i++) {
        sqlite3_str_appendf(out, "%s(%s, %s, %d", i == 0 ? "" : ", ", any_value(&m->dice), any_value(&m->dice), i);
        for (uint32_t dim = 1; dim <= 4; dim++) {
            sqlite3_str_appendall(out, ", ");
            append_vector(out, &m->dice, dim);
        }
        sqlite3_str_appendall(out, ")");
    }
    add(m, "begin", STEP_LIST, out);
}

static void make_begin(struct maker *m) {
    if (dice_chance(&m->dice, 50)) add_text(m, "begin", STEP_LIST, "PRAGMA journal_mode = WAL");
    add_text(m, "begin", STEP_LIST, "CREATE TABLE other(x, y TEXT, n INTEGER UNIQUE, v1, v2, v3, v4)");
    make_other_rows(m);
    add_pair(m, "begin", our_table(&m->table, &m->dice), plain_table(&m->table));
    add_pair(m, "begin of the ordinary one", sqlite3_mprintf("SELECT 1 WHERE 0"), plain_check(&m->table, "INSERT"));
    add_pair(m, "begin of the ordinary one", sqlite3_mprintf("SELECT 1 WHERE 0"), plain_check(&m->table, "UPDATE"));
    for (size_t i = 0; i < m->steps.count; i++) m->steps.list[i].needed = true;
}

/* More rows than a search looks at first. */
static void make_many_rows(struct maker *m) {
    struct table *t = &m->table;
    sqlite3_str *out = sqlite3_str_new(NULL);
    bool key = find(t, KEY, 0) != NULL;
    sqlite3_str_appendf(out, "WITH RECURSIVE more(i) AS (VALUES (100) UNION ALL SELECT i + 1 FROM more WHERE i < %u) ",
                        100 + dice_below(&m->dice, 400));
    sqlite3_str_appendf(out, "INSERT INTO %s(rowid%s", t->name, key ? ", key" : "");
    for (size_t i = 0; i < t->count; i++) {
        if (t->columns[i].kind >= VECTOR) sqlite3_str_appendf(out, ", %s", t->columns[i].name);
    }
    sqlite3_str_appendf(out, ") SELECT i%s", key ? ", 'k' || i" : "");
    for (size_t i = 0; i < t->count; i++) {
        const struct column *c = &t->columns[i];
        unsigned turn = 2 + dice_below(&m->dice, 6);
        if (c->kind == VECTOR)
            sqlite3_str_appendf(out, ", (SELECT v%u FROM other WHERE n = i %% 7)", c->dim);
        else if (c->kind > VECTOR)
            sqlite3_str_appendf(out, ", (SELECT x FROM other WHERE n = i %% %u)", turn);
    }
    sqlite3_str_appendall(out, " FROM more");
    add(m, "INSERT of many", STEP_LIST, out);
}

/* ---- All of it ---- */

enum { CASE_STEPS = 100 };

static void make_case(struct maker *m, uint64_t seed) {
    *m = (struct maker){.dice = {.seed = seed}};
    choose_table(m);
    make_begin(m);
    if (dice_chance(&m->dice, 12)) make_many_rows(m);
    for (int i = 0; i < CASE_STEPS; i++) make_one(m);
    add_text(m, "end", STEP_LIST, "COMMIT");
    make_all_rows(m);
    make_match_all(m);
    add_text(m, "end", STEP_LIST, "PRAGMA integrity_check");
}

static struct tally tally;
static uint64_t seed_now;

static bool run_case(uint64_t seed) {
    struct maker m;
    size_t at = 0;
    seed_now = seed;
    make_case(&m, seed);
    char *why = steps_run(&m.steps, NULL, &at, &tally);
    if (why != NULL) steps_report(&m.steps, at, seed);
    steps_free(&m.steps);
    sqlite3_free(why);
    return why == NULL;
}

static void test_same_as_an_ordinary_table(void **state) {
    (void)state;
    long differences = 0;
    uint64_t seed = first_seed;
    for (; tally.statements < statements_wanted && differences < differences_shown; seed++) {
        if (!run_case(seed)) differences++;
    }
    (void)printf("seeds %llu to %llu: %ld statements, %ld of them failed, %ld rows, %ld differences\n",
                 (unsigned long long)first_seed, (unsigned long long)seed - 1, tally.statements, tally.failed,
                 tally.rows, differences);
    for (size_t i = 0; i < TALLY_KINDS && tally.kinds[i].category != NULL; i++) {
        (void)printf("%s%s %ld", i == 0 ? "" : "; ", tally.kinds[i].category, tally.kinds[i].count);
    }
    (void)printf("\n");
    assert_int_equal(differences, 0);
}

int main(int argc, char **argv) {
    if (argc > 1) statements_wanted = atol(argv[1]);
    if (argc > 2) first_seed = strtoull(argv[2], NULL, 10);
    if (argc > 3) differences_shown = atol(argv[3]);
    if (sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) != SQLITE_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_as_an_ordinary_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
