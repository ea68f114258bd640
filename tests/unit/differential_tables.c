#include "tests/unit/differential_tables.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Tables ---- */

static struct column *add_column(struct table *table, enum kind kind, const char *type, const char *format, ...) {
    struct column *column = &table->columns[table->count++];
    va_list args;
    *column = (struct column){.kind = kind, .type = type, .marks = ""};
    va_start(args, format);
    (void)vsnprintf(column->name, sizeof column->name, format, args);
    va_end(args);
    return column;
}

static const char *any_type(struct dice *d) {
    return WORD(d, "TEXT", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "", "BOOLEAN", "DECIMAL(10,2)", "VARCHAR(20)",
                "INT", "DOUBLE PRECISION", "DATE", "FLOAT");
}

void choose_table(struct maker *m) {
    struct table *t = &m->table;
    struct dice *d = &m->dice;
    *t = (struct table){.name = "docs", .metric = WORD(d, "cosine", "ip", "l2")};
    bool vectors_last = dice_chance(d, 30);
    uint32_t key = dice_below(d, 3);
    if (key == 0) add_column(t, ID, "INTEGER", "id");
    if (key == 1) add_column(t, KEY, "TEXT", "key");
    uint32_t metadata = 1 + dice_below(d, 4), partitions = dice_chance(d, 50) ? 0 : 1 + dice_below(d, 2);
    if (!vectors_last) add_column(t, VECTOR, "", "embedding")->dim = 1 + dice_below(d, 4);
    for (uint32_t i = 0; i < metadata; i++) {
        struct column *column = add_column(t, METADATA, any_type(d), "c%u", i);
        if (dice_chance(d, 40)) column->marks = "INDEXED";
    }
    for (uint32_t i = 0; i < partitions; i++) {
        add_column(t, PARTITION, WORD(d, "INTEGER", "TEXT", "", "NUMERIC", "REAL"), "p%u", i)->marks = "PARTITION KEY";
    }
    if (vectors_last) add_column(t, VECTOR, "", "embedding")->dim = 1 + dice_below(d, 4);
    if (dice_chance(d, 50)) add_column(t, VECTOR, "", "second")->dim = 1 + dice_below(d, 3);
    for (uint32_t i = dice_below(d, 3); i > 0; i--) add_column(t, APART, any_type(d), "a%u", i);
}

const struct column *find(const struct table *t, enum kind kind, size_t number) {
    for (size_t i = 0; i < t->count; i++) {
        if (t->columns[i].kind == kind && number-- == 0) return &t->columns[i];
    }
    return NULL;
}

size_t count_of(const struct table *t, enum kind kind) {
    size_t count = 0;
    while (find(t, kind, count) != NULL) count++;
    return count;
}

char *our_table(const struct table *t, struct dice *d) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, "CREATE VIRTUAL TABLE %s USING tq(", t->name);
    for (size_t i = 0; i < t->count; i++) {
        const struct column *c = &t->columns[i];
        const char *key = c->kind == ID || c->kind == KEY ? "PRIMARY KEY" : c->marks;
        sqlite3_str_appendf(out, "%s%s ", c->kind == APART ? "+" : "", c->name);
        if (c->kind == VECTOR)
            sqlite3_str_appendf(out, "FLOAT[%u] rows=%s, ", c->dim, WORD(d, "f32", "f32", "f16"));
        else
            sqlite3_str_appendf(out, "%s %s, ", c->type, key);
    }
    sqlite3_str_appendf(out, "metric=%s, bits=%s)", t->metric, WORD(d, "4", "2", "8", "1"));
    return sqlite3_str_finish(out);
}

char *plain_table(const struct table *t) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, "CREATE TABLE %s(", t->name);
    for (size_t i = 0; i < t->count; i++) {
        const struct column *c = &t->columns[i];
        const char *marks = c->kind == ID ? "PRIMARY KEY" : c->kind == KEY ? "NOT NULL UNIQUE" : "";
        sqlite3_str_appendf(out, "%s%s %s %s", i == 0 ? "" : ", ", c->name, c->kind == VECTOR ? "BLOB" : c->type,
                            marks);
    }
    sqlite3_str_appendall(out, ")");
    return sqlite3_str_finish(out);
}

/* What is no vector of the column's dimension fails in a tq table: for the ordinary one, a trigger sees to that. */
char *plain_check(const struct table *t, const char *event) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    sqlite3_str_appendf(out, "CREATE TRIGGER check_%s BEFORE %s ON %s BEGIN", event, event, t->name);
    for (size_t i = 0; i < count_of(t, VECTOR); i++) {
        const struct column *c = find(t, VECTOR, i);
        sqlite3_str_appendf(out, " SELECT tq_ip(NEW.%s, zeroblob(%u));", c->name, c->dim * 4);
    }
    sqlite3_str_appendall(out, " END");
    return sqlite3_str_finish(out);
}

/* ---- Values ---- */

const char *any_value(struct dice *d) {
    return dice_chance(d, 60)
               ? WORD(d, "NULL", "0", "1", "2", "3", "5", "'a'", "'b'", "'5'", "2.5", "'ab'", "-1")
               : WORD(d, "''", "'A'", "'5.0'", "5.0", "1e308", "-1e308", "9223372036854775807", "-9223372036854775808",
                      "9007199254740993", "'9007199254740993'", "9007199254740992.0", "'é'", "'日本語'", "' 5'", "'5 '",
                      "'1e1'", "x''", "x'35'", "x'00ff'", "'a''b'", "'%'", "'a_c'", "'*'", "0.1", "1e-300", "-0.0",
                      "1e999", "'0x10'", "'abc'", "x'61'", "'-1'", "4294967296", "'1e308'", "10", "'a b  c'", "'ABC'",
                      "1.0", "' '");
}

const char *any_id(struct dice *d) {
    return WORD(d, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "-3", "'5'", "7.0", "1000000000000");
}

const char *any_key(struct dice *d) {
    return WORD(d, "'a'", "'b'", "'c'", "'d'", "'e'", "'5'", "5", "5.5", "''", "x'61'", "'é'", "'A'", "'f'", "'g'");
}

void append_vector(sqlite3_str *out, struct dice *d, uint32_t dim) {
    static const float numbers[] = {0, 1, -1, 2, 0.5f, 1, -0.0f, 3};
    bool zero = dice_chance(d, 8);
    sqlite3_str_appendall(out, "x'");
    for (uint32_t i = 0; i < dim; i++) {
        float number = zero ? 0 : numbers[dice_below(d, 8)];
        unsigned char bytes[4];
        memcpy(bytes, &number, 4);
        for (int j = 0; j < 4; j++) sqlite3_str_appendf(out, "%02x", bytes[j]);
    }
    sqlite3_str_appendall(out, "'");
}

static void append_vector_or_null(sqlite3_str *out, struct dice *d, uint32_t dim) {
    if (dice_chance(d, 12))
        sqlite3_str_appendall(out, "NULL");
    else
        append_vector(out, d, dim);
}

const char *bad_vector(struct dice *d) {
    return WORD(d, "x''", "x'00'", "'nothing'", "5", "1.5", "x'0000c07f'", "zeroblob(400)");
}

void append_new_value(sqlite3_str *out, struct dice *d, const struct column *c, uint32_t bad_percent) {
    if (c->kind == VECTOR) {
        if (dice_chance(d, bad_percent))
            sqlite3_str_appendall(out, bad_vector(d));
        else
            append_vector_or_null(out, d, c->dim);
    } else if (c->kind == ID) {
        sqlite3_str_appendall(out, dice_chance(d, bad_percent) ? WORD(d, "'x'", "1.5", "x'35'", "' '") : any_id(d));
    } else if (c->kind == KEY) {
        sqlite3_str_appendall(out, dice_chance(d, bad_percent) ? "NULL" : any_key(d));
    } else if (c->kind == PARTITION) {
        sqlite3_str_appendall(out, WORD(d, "NULL", "1", "2", "'a'", "'1'", "1.0", "2", "'b'", "''", "x'31'"));
    } else {
        sqlite3_str_appendall(out, any_value(d));
    }
}

/* ---- Conditions ---- */

const struct column *any_column(struct maker *m) {
    return &m->table.columns[dice_below(&m->dice, (uint32_t)m->table.count)];
}

/* A column that is no vector, or the rowid. */
const char *any_name(struct maker *m) {
    const struct column *c = any_column(m);
    if (c->kind == VECTOR || dice_chance(&m->dice, 12)) return WORD(&m->dice, "rowid", "rowid", "oid", "_rowid_");
    return c->name;
}

/* What the named column may well hold. */
static const char *value_for(struct maker *m, const char *name) {
    struct dice *d = &m->dice;
    if (dice_chance(d, 30)) return any_value(d);
    if (strcmp(name, "key") == 0) return any_key(d);
    if (strcmp(name, "id") == 0 || strstr(name, "id") != NULL) return any_id(d);
    if (name[0] == 'p') return WORD(d, "1", "2", "'a'", "'1'", "NULL", "x'31'");
    return any_value(d);
}

static void append_list(sqlite3_str *out, struct maker *m, const char *name) {
    uint32_t count = dice_chance(&m->dice, 5) ? 40 : dice_below(&m->dice, 6);
    for (uint32_t i = 0; i < count; i++) sqlite3_str_appendf(out, "%s%s", i == 0 ? "" : ", ", value_for(m, name));
}

static const char *any_pattern(struct dice *d) {
    return WORD(d, "'a%'", "'%'", "'5%'", "'_'", "'%b%'", "'A_C'", "''", "'a'", "'é%'", "NULL", "5", "'%5'", "'a\\%'",
                "x'61'", "'a_'");
}

/* `p`: what stands before columns, such as "d."; kind: below KINDS, or KINDS_WITHOUT_LIKE. */
enum { KINDS_WITHOUT_LIKE = 8, KINDS = 10 };

static void append_about(sqlite3_str *out, struct maker *m, const char *p, const char *c, uint32_t kind) {
    struct dice *d = &m->dice;
    switch (kind) {
    case 0: sqlite3_str_appendf(out, "%s%s %s", p, c, WORD(d, "IS NULL", "IS NOT NULL", "NOTNULL", "ISNULL")); break;
    case 1:
        sqlite3_str_appendf(out, "%s%s IN (", p, c);
        append_list(out, m, c);
        sqlite3_str_appendall(out, ")");
        break;
    case 2:
        sqlite3_str_appendf(out, "%s%s IN (SELECT %s FROM other%s)", p, c, WORD(d, "x", "y", "n"),
                            WORD(d, "", " WHERE y IS NOT NULL", " WHERE n < 3"));
        break;
    case 3: sqlite3_str_appendf(out, "%s%s BETWEEN %s AND %s", p, c, value_for(m, c), value_for(m, c)); break;
    case 4:
        sqlite3_str_appendf(out, "%s %s %s%s", value_for(m, c), WORD(d, "=", "<", ">=", "IS", ">", "<="), p, c);
        break;
    case 8: sqlite3_str_appendf(out, "%s%s LIKE %s", p, c, any_pattern(d)); break;
    case 9:
        sqlite3_str_appendf(out, "%s%s GLOB %s", p, c,
                            WORD(d, "'a*'", "'*'", "'?'", "'[a-c]*'", "'5*'", "''", "NULL", "'A*'"));
        break;
    default:
        sqlite3_str_appendf(out, "%s%s %s %s", p, c,
                            WORD(d, "=", "==", "<>", "!=", "<", "<=", ">", ">=", "IS", "IS NOT"), value_for(m, c));
    }
}

void append_simple(sqlite3_str *out, struct maker *m, const char *p) {
    append_about(out, m, p, any_name(m), dice_below(&m->dice, KINDS));
}

static bool may_hold_text(const struct column *c) {
    return c->kind == KEY || c->type[0] == 0 || strstr(c->type, "CHAR") != NULL || strcmp(c->type, "TEXT") == 0 ||
           strcmp(c->type, "BLOB") == 0;
}

/* One that a search answers by itself: numbers are not compared with columns that may hold them as text, and LIKE is
 * the only one on its column. */
void append_answered(sqlite3_str *out, struct maker *m, const char *p, bool alone) {
    struct dice *d = &m->dice;
    const struct column *c = any_column(m);
    while (c->kind == VECTOR || c->kind == APART) c = any_column(m);
    if (!may_hold_text(c)) {
        append_about(out, m, p, c->name, dice_below(d, alone ? KINDS : KINDS_WITHOUT_LIKE));
        return;
    }
    const char *value = WORD(d, "'a'", "'b'", "'5'", "''", "x'35'", "'A'", "'ab'", "NULL");
    sqlite3_str_appendf(out, "%s%s ", p, c->name);
    if (dice_chance(d, 30))
        sqlite3_str_appendf(out, "IN (%s, 'a', '2', x'00ff')", value);
    else if (alone && dice_chance(d, 20))
        sqlite3_str_appendf(out, "%s %s", WORD(d, "LIKE", "GLOB"), value);
    else
        sqlite3_str_appendf(out, WORD(d, "= %s", "< %s", "IS %s", "<> %s", ">= %s", "BETWEEN '1' AND %s"), value);
}

static void append_about_vector(sqlite3_str *out, struct maker *m, const char *p) {
    struct dice *d = &m->dice;
    const struct column *c = find(&m->table, VECTOR, dice_below(d, (uint32_t)count_of(&m->table, VECTOR)));
    switch (dice_below(d, m->writing ? 4 : 5)) {
    case 0: sqlite3_str_appendf(out, "%s%s IS %s", p, c->name, WORD(d, "NULL", "NOT NULL")); break;
    case 1: sqlite3_str_appendf(out, "length(%s%s) > %s", p, c->name, WORD(d, "4", "8")); break;
    case 2:
        sqlite3_str_appendf(out, "tq_l2(%s%s, ", p, c->name);
        append_vector(out, d, c->dim);
        sqlite3_str_appendall(out, ") < 1.5");
        break;
    case 4: sqlite3_str_appendf(out, "%s%s IN (SELECT %s FROM %s)", p, c->name, c->name, m->table.name); break;
    default:
        sqlite3_str_appendf(out, "%s%s %s ", p, c->name, WORD(d, "=", "<>", "<", ">=", "IS NOT"));
        append_vector(out, d, c->dim);
    }
}

/* What SQLite has to look at by itself. */
static void append_odd(sqlite3_str *out, struct maker *m, const char *p) {
    struct dice *d = &m->dice;
    const char *c = any_name(m), *other = any_name(m);
    switch (dice_below(d, m->writing ? 16 : 17)) {
    case 16:
        sqlite3_str_appendf(out, "%s%s %s (SELECT %s FROM %s)", p, c, WORD(d, "IN", "NOT IN"), other, m->table.name);
        break;
    case 14:
        sqlite3_str_appendf(out, "%s%s NOT IN (", p, c);
        append_list(out, m, c);
        sqlite3_str_appendall(out, ")");
        break;
    case 15: sqlite3_str_appendf(out, "%s%s NOT BETWEEN %s AND %s", p, c, value_for(m, c), value_for(m, c)); break;
    case 10: sqlite3_str_appendf(out, "%s%s NOT %s %s", p, c, WORD(d, "LIKE", "GLOB"), any_pattern(d)); break;
    case 0: sqlite3_str_appendf(out, "%s%s %s %s%s", p, c, WORD(d, "=", "<", "IS", "<>", ">="), p, other); break;
    case 1: sqlite3_str_appendf(out, "+%s%s = %s", p, c, value_for(m, c)); break;
    case 2: sqlite3_str_appendf(out, "%s%s + 0 > %s", p, c, value_for(m, c)); break;
    case 3:
        sqlite3_str_appendf(out, "typeof(%s%s) = %s", p, c, WORD(d, "'integer'", "'text'", "'real'", "'null'"));
        break;
    case 4: sqlite3_str_appendf(out, "%s%s || '' = %s", p, c, value_for(m, c)); break;
    case 5:
        sqlite3_str_appendf(out, "%s%s = %s COLLATE %s", p, c, value_for(m, c), WORD(d, "NOCASE", "RTRIM", "BINARY"));
        break;
    case 6:
        sqlite3_str_appendf(out, "%s%s COLLATE NOCASE %s", p, c, WORD(d, "IN ('A', 'B', 5)", "> 'A'", "= 'AB'"));
        break;
    case 7:
        sqlite3_str_appendf(out, "EXISTS (SELECT 1 FROM other WHERE other.%s = %s%s)", WORD(d, "x", "y", "n"), p, c);
        break;
    case 8:
        sqlite3_str_appendf(out, "(%s%s, %s%s) %s", p, c, p, other,
                            WORD(d, "= (1, 'a')", "IN (SELECT x, y FROM other)", "> (1, 2)", "IS (NULL, 'a')"));
        break;
    case 9: sqlite3_str_appendf(out, "coalesce(%s%s, %s) = %s", p, c, value_for(m, c), value_for(m, c)); break;
    case 11: sqlite3_str_appendf(out, "%s%s = (SELECT max(n) FROM other)", p, c); break;
    case 12:
        sqlite3_str_appendf(out, "CAST(%s%s AS %s) = %s", p, c, WORD(d, "TEXT", "INTEGER"), value_for(m, c));
        break;
    default: sqlite3_str_appendf(out, "%s%s LIKE 'a!%%' ESCAPE '!'", p, c);
    }
}

void append_condition(sqlite3_str *out, struct maker *m, const char *p, int depth) {
    struct dice *d = &m->dice;
    uint32_t kind = dice_below(d, 100);
    if (depth > 0 && kind < 40) {
        sqlite3_str_appendall(out, kind < 5 ? "NOT (" : "(");
        append_condition(out, m, p, depth - 1);
        sqlite3_str_appendall(out, kind < 22 ? " AND " : " OR ");
        append_condition(out, m, p, depth - 1);
        sqlite3_str_appendall(out, ")");
    } else if (kind < 80) {
        append_simple(out, m, p);
    } else if (kind < 87) {
        append_about_vector(out, m, p);
    } else if (kind < 99) {
        append_odd(out, m, p);
    } else {
        sqlite3_str_appendall(
            out, p[0] != 0 ? "1" : WORD(d, "1", "0", "NULL", "1 = 1", "rowid IS TRUE", "rowid IS NOT FALSE"));
    }
}

void append_where(sqlite3_str *out, struct maker *m, const char *p) {
    if (dice_chance(&m->dice, 12)) return;
    sqlite3_str_appendall(out, " WHERE ");
    append_condition(out, m, p, 2);
}
