/* xBestIndex: which of three ways to read a table, and what it costs. sql/vtab.h says how a plan is written down.
 *
 *   SCAN    all rows, when nothing but rowid and one vector column is asked for
 *   ROWS    conditions on other columns, their values, or their order: by the table of rows
 *   MATCH   a query: embedding MATCH ?, or words(?)
 *
 * The order of MATCH is consumed for ORDER BY score DESC and ORDER BY distance, and for nothing else. LIMIT and
 * OFFSET are hints of how far to search at first: rows are handed out one by one until SQLite stops asking, so that
 * every other condition, join and OFFSET is SQLite's own affair. Conditions that a plan takes SQLite checks again,
 * unless they surely mean the same in the table of rows: the affinity of their other side is not known here, but
 * matters only beside text.
 *
 * A unit of cost is a step of a scan, some 100 ns. A search is never as cheap as looking up a row: otherwise SQLite
 * would put it into the inner loop of a join, one search for each outer row. */
#include "sql/vtab.h"

#include <stdlib.h>
#include <string.h>

#ifndef SQLITE_INDEX_CONSTRAINT_LIMIT /* 3.38 */
#define SQLITE_INDEX_CONSTRAINT_LIMIT 73
#define SQLITE_INDEX_CONSTRAINT_OFFSET 74
#endif

/* SQLite heeds `omit` of the first so many constraints; of others it would ask for the value of k, or call MATCH. */
enum { OMIT_MAX = 16 };

struct wanted {
    int query, k, limit, offset, score, distance, above, nearer; /* places in aConstraint, or -1 */
    size_t vector;                                               /* number of the column that query is about */
    bool unusable; /* a query or k that only another order of the join provides */
    bool twice;
    bool k_compared;                /* other than by = */
    bool strict;                    /* above, nearer: < and >, not <= and >= */
    int filters[TQ_PLAN_TERMS_MAX]; /* places in aConstraint */
    size_t filter_count;
    int unique; /* that of these which chooses one row, or -1 */
};

/* ---- What is asked for ---- */

static enum tq_hidden hidden_of(const struct tq_declaration *declaration, int column) {
    return column < (int)declaration->count ? TQ_HIDDEN_COUNT : (enum tq_hidden)(column - (int)declaration->count);
}

/* Kept in the table of rows: what conditions and orders may be about. */
static bool is_stored(const struct tq_declaration *declaration, int column) {
    if (column < 0) return true;
    if (column >= (int)declaration->count) return false;
    enum tq_column_kind kind = declaration->columns[column].kind;
    return kind != TQ_COLUMN_VECTOR && kind != TQ_COLUMN_APART;
}

static bool is_unique(const struct tq_declaration *declaration, int column) {
    return column < 0 || column == declaration->id || column == declaration->key;
}

static bool is_like(int op) { return op == SQLITE_INDEX_CONSTRAINT_LIKE || op == SQLITE_INDEX_CONSTRAINT_GLOB; }

/* From LIKE 'a%' SQLite makes >= 'a' and < 'b' as well, and checks those no more. They are about text: a blob that
 * LIKE takes for text is not between them. The table of rows has them from its own LIKE, where SQLite minds blobs. */
static bool may_come_of_like(const sqlite3_index_info *info, int column, int op) {
    if (op != SQLITE_INDEX_CONSTRAINT_GE && op != SQLITE_INDEX_CONSTRAINT_LT) return false;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].iColumn == column && is_like(info->aConstraint[i].op)) return true;
    }
    return false;
}

static bool is_filter(sqlite3_index_info *info, const struct tq_declaration *declaration, int at) {
    int column = info->aConstraint[at].iColumn, op = info->aConstraint[at].op;
    if (!info->aConstraint[at].usable) return false;
    if (!is_stored(declaration, column)) { /* of a vector the table of rows tells whether there is none */
        bool vector = column < (int)declaration->count && declaration->columns[column].kind == TQ_COLUMN_VECTOR;
        return vector && op == SQLITE_INDEX_CONSTRAINT_ISNULL;
    }
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_LIKE:
    case SQLITE_INDEX_CONSTRAINT_GLOB:
    case SQLITE_INDEX_CONSTRAINT_ISNULL:
    case SQLITE_INDEX_CONSTRAINT_ISNOTNULL: return true;
    case SQLITE_INDEX_CONSTRAINT_EQ:
    case SQLITE_INDEX_CONSTRAINT_GT:
    case SQLITE_INDEX_CONSTRAINT_LE:
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_GE:
    case SQLITE_INDEX_CONSTRAINT_NE:
    case SQLITE_INDEX_CONSTRAINT_ISNOT:
    case SQLITE_INDEX_CONSTRAINT_IS: break;
    default: return false;
    }
    const char *collation = sqlite3_vtab_collation(info, at);
    return collation != NULL && sqlite3_stricmp(collation, "BINARY") == 0 && !may_come_of_like(info, column, op);
}

static void note_filter(const sqlite3_index_info *info, const struct tq_declaration *declaration, int at,
                        struct wanted *wanted) {
    if (wanted->filter_count == TQ_PLAN_TERMS_MAX) return;
    wanted->filters[wanted->filter_count++] = at;
    int op = info->aConstraint[at].op;
    bool equal = op == SQLITE_INDEX_CONSTRAINT_EQ || op == SQLITE_INDEX_CONSTRAINT_IS;
    if (equal && is_unique(declaration, info->aConstraint[at].iColumn)) wanted->unique = at;
}

/* Whether it is an IN; with `take`, have all its values at once. Before 3.38 SQLite calls for one after another, and
 * does not say so. */
static bool is_list(sqlite3_index_info *info, int at, bool take) {
#if SQLITE_VERSION_NUMBER >= 3038000
    if (sqlite3_libversion_number() < 3038000 || !sqlite3_vtab_in(info, at, -1)) return false;
    if (take) (void)sqlite3_vtab_in(info, at, 1);
    return true;
#else
    (void)info, (void)at, (void)take;
    return false;
#endif
}

static void note_query(struct wanted *wanted, int at, bool usable, size_t vector) {
    if (!usable)
        wanted->unusable = true;
    else if (wanted->query >= 0)
        wanted->twice = true;
    else
        wanted->query = at;
    wanted->vector = vector;
}

static bool is_one_of(int op, int a, int b) { return op == a || op == b; }

/* score < ?, distance > ?: what comes behind a row that was seen before. One of them, since the two may be strict or
 * not. */
static void note_page(enum tq_hidden hidden, int op, bool usable, int at, struct wanted *wanted) {
    bool above = hidden == TQ_HIDDEN_SCORE && is_one_of(op, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE);
    bool nearer = hidden == TQ_HIDDEN_DISTANCE && is_one_of(op, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE);
    if (!usable || !(above || nearer) || wanted->above >= 0 || wanted->nearer >= 0) return;
    if (above) wanted->above = at;
    if (nearer) wanted->nearer = at;
    wanted->strict = is_one_of(op, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_GT);
}

static void note_hidden(sqlite3_index_info *info, enum tq_hidden hidden, int at, struct wanted *wanted) {
    int op = info->aConstraint[at].op;
    bool usable = info->aConstraint[at].usable != 0, equal = op == SQLITE_INDEX_CONSTRAINT_EQ;
    if (hidden == TQ_HIDDEN_QUERY && (equal || op == SQLITE_INDEX_CONSTRAINT_MATCH)) {
        note_query(wanted, at, usable, 0);
    } else if (hidden == TQ_HIDDEN_K && (!equal || is_list(info, at, false))) {
        wanted->k_compared = true;
    } else if (hidden == TQ_HIDDEN_K) {
        if (usable)
            wanted->k = at;
        else
            wanted->unusable = true;
    } else if (hidden == TQ_HIDDEN_SCORE && usable &&
               is_one_of(op, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE)) {
        wanted->score = at;
    } else if (hidden == TQ_HIDDEN_DISTANCE && usable &&
               is_one_of(op, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE)) {
        wanted->distance = at;
    } else {
        note_page(hidden, op, usable, at, wanted);
    }
}

static struct wanted look(sqlite3_index_info *info, const struct tq_declaration *declaration) {
    struct wanted wanted = {.query = -1,
                            .k = -1,
                            .limit = -1,
                            .offset = -1,
                            .score = -1,
                            .distance = -1,
                            .above = -1,
                            .nearer = -1,
                            .unique = -1};
    for (int i = 0; i < info->nConstraint; i++) {
        int column = info->aConstraint[i].iColumn, op = info->aConstraint[i].op;
        bool usable = info->aConstraint[i].usable != 0;
        /* The column of LIMIT and OFFSET means nothing. */
        if (op == SQLITE_INDEX_CONSTRAINT_LIMIT) {
            if (usable) wanted.limit = i;
        } else if (op == SQLITE_INDEX_CONSTRAINT_OFFSET) {
            if (usable) wanted.offset = i;
        } else if (hidden_of(declaration, column) != TQ_HIDDEN_COUNT) {
            note_hidden(info, hidden_of(declaration, column), i, &wanted);
        } else if (column >= 0 && declaration->columns[column].kind == TQ_COLUMN_VECTOR &&
                   op == SQLITE_INDEX_CONSTRAINT_MATCH) {
            note_query(&wanted, i, usable, declaration->columns[column].number);
        } else if (is_filter(info, declaration, i)) {
            note_filter(info, declaration, i, &wanted);
        }
    }
    return wanted;
}

/* A table that is not open yet has shown no rows, and may have many. */
static uint64_t rows_of(const struct tq_sql_table *table) { return table->rows_seen < 1000 ? 1000 : table->rows_seen; }

static double match_cost(const struct tq_sql_table *table) { return (double)rows_of(table) * 0.02 + 40; }

/* ---- Arguments, and the text of filters and order ---- */

static void use(sqlite3_index_info *info, int constraint, bool omit, int flag, int *arguments) {
    if (constraint < 0) return;
    info->aConstraintUsage[constraint].argvIndex = ++*arguments;
    info->aConstraintUsage[constraint].omit = omit;
    info->idxNum |= flag;
}

/* A literal has no affinity; parameters and columns of other tables look alike from here. */
static bool is_literal(sqlite3_index_info *info, int at) {
#if SQLITE_VERSION_NUMBER >= 3038000
    sqlite3_value *value = NULL;
    return sqlite3_libversion_number() >= 3038000 && sqlite3_vtab_rhs_value(info, at, &value) == SQLITE_OK;
#else
    (void)info, (void)at;
    return false;
#endif
}

/* Whether the table of rows answers a condition as SQLite would: numbers beside text depend on the other side. */
static bool is_exact(sqlite3_index_info *info, const struct tq_declaration *declaration, int at, bool list) {
    int column = info->aConstraint[at].iColumn, op = info->aConstraint[at].op;
    if (list || is_like(op)) return false;
    if (op == SQLITE_INDEX_CONSTRAINT_ISNULL || op == SQLITE_INDEX_CONSTRAINT_ISNOTNULL) return true;
    const char *affinity = column < 0 || column == declaration->id ? "INTEGER" : declaration->columns[column].affinity;
    return (strcmp(affinity, "TEXT") != 0 && strcmp(affinity, "BLOB") != 0) || is_literal(info, at);
}

/* With k, `rowid = other.id` is not to be a condition of the search: k rows are found and then joined. Whether the
 * other side is another table is known when the statement runs. */
static bool may_join(sqlite3_index_info *info, const struct tq_declaration *declaration, const struct wanted *wanted,
                     int at, bool list) {
    return wanted->k >= 0 && info->aConstraint[at].op == SQLITE_INDEX_CONSTRAINT_EQ &&
           is_unique(declaration, info->aConstraint[at].iColumn) && !list && !is_literal(info, at);
}

static void use_filters(sqlite3_index_info *info, const struct tq_declaration *declaration, const struct wanted *wanted,
                        bool take_lists, sqlite3_str *text, int *arguments) {
    for (size_t i = 0; i < wanted->filter_count; i++) {
        int at = wanted->filters[i], flags = is_literal(info, at) ? TQ_TERM_LITERAL : 0;
        bool list = is_list(info, at, take_lists), join = may_join(info, declaration, wanted, at, list);
        if (list && take_lists) flags |= TQ_TERM_LIST;
        if (join) flags |= TQ_TERM_JOIN;
        use(info, at, !join && is_exact(info, declaration, at, list), 0, arguments);
        sqlite3_str_appendf(text, "%d,%d,%d;", info->aConstraint[at].iColumn, (int)info->aConstraint[at].op, flags);
    }
}

static int finish(sqlite3_index_info *info, sqlite3_str *text) {
    int rc = sqlite3_str_errcode(text);
    info->idxStr = sqlite3_str_finish(text);
    info->needToFreeIdxStr = info->idxStr != NULL;
    return rc;
}

/* The next number, and the sign after it. */
static int take_number(const char **at) {
    char *end;
    int number = (int)strtol(*at, &end, 10);
    *at = *end == 0 ? end : end + 1;
    return number;
}

void tq_plan_read(const char *text, struct tq_plan_terms *terms) {
    const char *at = text == NULL ? "" : text;
    terms->filter_count = terms->order_count = 0;
    terms->used = UINT64_MAX;
    while (*at != 0 && *at != '|' && terms->filter_count < TQ_PLAN_TERMS_MAX) {
        struct tq_where_term *term = &terms->filter[terms->filter_count++];
        term->column = take_number(&at);
        term->op = take_number(&at);
        int flags = take_number(&at);
        term->list = (flags & TQ_TERM_LIST) != 0;
        term->literal = (flags & TQ_TERM_LITERAL) != 0;
        term->join = (flags & TQ_TERM_JOIN) != 0;
    }
    if (*at != '|') return;
    for (at++; *at != 0 && *at != '#' && terms->order_count < TQ_PLAN_TERMS_MAX; terms->order_count++) {
        terms->order[terms->order_count].column = take_number(&at);
        terms->order[terms->order_count].descending = take_number(&at) != 0;
    }
    if (*at == '#') terms->used = (uint64_t)strtoll(at + 1, NULL, 10);
}

/* ---- MATCH ---- */

/* ORDER BY score DESC, with rowid behind it; or distance, of which two may be equal where the scores are not. */
static bool is_our_order(const sqlite3_index_info *info, const struct tq_declaration *declaration) {
    if (info->nOrderBy < 1 || info->nOrderBy > 2) return false;
    enum tq_hidden first = hidden_of(declaration, info->aOrderBy[0].iColumn);
    bool descending = info->aOrderBy[0].desc != 0;
    if (info->nOrderBy == 1 && first == TQ_HIDDEN_DISTANCE && !descending) return true;
    if (first != TQ_HIDDEN_SCORE || !descending) return false;
    if (info->nOrderBy == 1) return true;
    int second = info->aOrderBy[1].iColumn;
    return (second < 0 || second == declaration->id) && info->aOrderBy[1].desc == 0;
}

static int plan_match(sqlite3_index_info *info, const struct tq_sql_table *table, const struct wanted *wanted) {
    const struct tq_declaration *declaration = &table->declaration;
    int arguments = 0;
    info->idxNum = TQ_PLAN_MATCH | (int)(wanted->vector << TQ_PLAN_VECTOR_SHIFT);
    use(info, wanted->query, true, 0, &arguments);
    use(info, wanted->k, true, TQ_PLAN_K, &arguments);
    use(info, wanted->limit, false, TQ_PLAN_LIMIT, &arguments);
    use(info, wanted->offset, false, TQ_PLAN_OFFSET, &arguments);
    use(info, wanted->score, false, TQ_PLAN_SCORE, &arguments);
    use(info, wanted->distance, false, TQ_PLAN_DISTANCE, &arguments);
    use(info, wanted->above, false, TQ_PLAN_ABOVE, &arguments);
    use(info, wanted->nearer, false, TQ_PLAN_NEARER, &arguments);
    if (wanted->strict) info->idxNum |= TQ_PLAN_STRICT;
    /* Lists whole: a search for each value would return k rows each, and no order of all. */
    sqlite3_str *text = sqlite3_str_new(NULL);
    use_filters(info, declaration, wanted, true, text, &arguments);
    info->estimatedCost = match_cost(table);
    bool one = wanted->unique >= 0 && !is_list(info, wanted->unique, false);
    info->estimatedRows = one ? 1 : 256;
    info->orderByConsumed = is_our_order(info, declaration);
    return finish(info, text);
}

/* ---- ROWS and SCAN ---- */

/* Columns that the statement reads: how many vector columns (*vector: the first's number), and whether others of
 * which only the table of rows knows. */
static size_t columns_used(const sqlite3_index_info *info, const struct tq_declaration *declaration, size_t *vector,
                           bool *others) {
    size_t vectors = 0;
    *vector = 0;
    *others = false;
    for (size_t i = 0; i < declaration->count; i++) {
        const struct tq_sql_column *column = &declaration->columns[i];
        if (!tq_plan_uses(info->colUsed, i)) continue;
        if (column->kind == TQ_COLUMN_VECTOR) {
            if (vectors++ == 0) *vector = column->number;
        } else if (column->kind != TQ_COLUMN_ID) {
            *others = true;
        }
    }
    return vectors;
}

static bool can_order(const sqlite3_index_info *info, const struct tq_declaration *declaration) {
    if (info->nOrderBy < 1 || info->nOrderBy > TQ_PLAN_TERMS_MAX) return false;
    for (int i = 0; i < info->nOrderBy; i++) {
        if (!is_stored(declaration, info->aOrderBy[i].iColumn)) return false;
    }
    return true;
}

/* The part of all rows that an index leaves for a condition to choose; 1: there is no index for it. */
static double indexed_part(const struct tq_declaration *declaration, int column, int op) {
    enum tq_column_kind kind = column >= 0 ? declaration->columns[column].kind : TQ_COLUMN_ID;
    bool partition = kind == TQ_COLUMN_PARTITION;
    if (kind == TQ_COLUMN_VECTOR) return 1.0 / 1000; /* is NULL */
    if (!partition && !is_unique(declaration, column) && !declaration->columns[column].indexed) return 1;
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_NE:
    case SQLITE_INDEX_CONSTRAINT_ISNOT:
    case SQLITE_INDEX_CONSTRAINT_ISNOTNULL: return 1;
    case SQLITE_INDEX_CONSTRAINT_EQ:
    case SQLITE_INDEX_CONSTRAINT_IS:
    case SQLITE_INDEX_CONSTRAINT_ISNULL: return partition ? 1.0 / 50 : 1.0 / 20;
    default: return 1.0 / 4;
    }
}

/* The best index decides what is read; every further condition leaves less of that. */
static void estimate_rows(sqlite3_index_info *info, const struct tq_sql_table *table, const struct wanted *wanted) {
    double all = (double)rows_of(table), part = 1, rest = 1;
    size_t best = 0;
    for (size_t i = 0; i < wanted->filter_count; i++) {
        int at = wanted->filters[i];
        double by_index = indexed_part(&table->declaration, info->aConstraint[at].iColumn, info->aConstraint[at].op);
        if (by_index >= part) continue;
        part = by_index;
        best = i;
    }
    for (size_t i = 0; i < wanted->filter_count; i++) {
        if (part < 1 && i == best) continue;
        int op = info->aConstraint[wanted->filters[i]].op;
        rest *= is_one_of(op, SQLITE_INDEX_CONSTRAINT_EQ, SQLITE_INDEX_CONSTRAINT_IS) ? 0.25 : 0.5;
    }
    if (wanted->filter_count == 0)
        info->estimatedCost = all * 6 + 100;
    else
        info->estimatedCost = part < 1 ? (all * part + 1) * 4 + 40 : all + 100;
    info->estimatedRows = (sqlite3_int64)(all * part * rest) + 1;
}

/* One row, or with IN one after another. Other conditions SQLite checks on that row sooner than we could. */
static int plan_look_up(sqlite3_index_info *info, const struct tq_declaration *declaration,
                        const struct wanted *wanted) {
    struct wanted only = {.filters = {wanted->unique}, .filter_count = 1, .k = -1};
    bool list = is_list(info, wanted->unique, false);
    sqlite3_str *text = sqlite3_str_new(NULL);
    int arguments = 0;
    use_filters(info, declaration, &only, false, text, &arguments);
    sqlite3_str_appendf(text, "|#%lld", (sqlite3_int64)info->colUsed);
    info->idxNum |= TQ_PLAN_ROWS;
    info->estimatedCost = list ? 30 * 25 : 30;
    info->estimatedRows = list ? 25 : 1;
    /* Not so a key: a number beside it may stand for several texts. */
    bool key = declaration->key >= 0 && info->aConstraint[wanted->unique].iColumn == declaration->key;
    if (!list && !key) {
        info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
    }
    return finish(info, text);
}

/* A list is taken whole: where SQLite loops over its values, it compares each by rules of its own. Then there is no
 * order, because a long one is read in runs. */
static int plan_rows(sqlite3_index_info *info, const struct tq_sql_table *table, const struct wanted *wanted,
                     bool ordered) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    int arguments = 0;
    info->idxNum |= TQ_PLAN_ROWS;
    for (size_t i = 0; i < wanted->filter_count; i++) ordered = ordered && !is_list(info, wanted->filters[i], false);
    use_filters(info, &table->declaration, wanted, true, text, &arguments);
    estimate_rows(info, table, wanted);
    sqlite3_str_appendchar(text, 1, '|');
    for (int i = 0; ordered && i < info->nOrderBy; i++) {
        sqlite3_str_appendf(text, "%d,%d;", info->aOrderBy[i].iColumn, info->aOrderBy[i].desc != 0);
    }
    if (ordered) info->orderByConsumed = 1;
    sqlite3_str_appendf(text, "#%lld", (sqlite3_int64)info->colUsed);
    return finish(info, text);
}

/* Whether the statement reads score, distance or the query: then it means to search, wherever its MATCH is. UPDATE
 * FROM reads all hidden columns and means nothing by it. */
static bool means_search(const sqlite3_index_info *info, const struct tq_declaration *declaration) {
    int used = 0;
    for (size_t hidden = 0; hidden < TQ_HIDDEN_COUNT; hidden++) {
        used += tq_plan_uses(info->colUsed, declaration->count + hidden);
    }
    return used > 0 && used < TQ_HIDDEN_COUNT;
}

/* Before 3.50.4 SQLite asks for each side of `rowid = 1 OR rowid = 2` without saying that there is a MATCH beside
 * them, and if the sides are cheaper, it has no use for the search. A side must cost as much, then. */
static void mind_or(sqlite3_index_info *info, const struct tq_sql_table *table, size_t vectors) {
    bool side = vectors > 0 || means_search(info, &table->declaration);
    double least = match_cost(table) + 1;
    if (sqlite3_libversion_number() >= 3050004 || !side) return;
    if (info->estimatedCost < least) info->estimatedCost = least;
}

static int plan_without_query(sqlite3_index_info *info, const struct tq_sql_table *table, const struct wanted *wanted) {
    const struct tq_declaration *declaration = &table->declaration;
    size_t vector = 0;
    bool others = false, ordered = can_order(info, declaration);
    size_t vectors = columns_used(info, declaration, &vector, &others);
    bool key_list = wanted->unique >= 0 && info->aConstraint[wanted->unique].iColumn == declaration->key &&
                    declaration->key >= 0 && is_list(info, wanted->unique, false);
    int rc = SQLITE_OK;
    info->idxNum = (int)(vector << TQ_PLAN_VECTOR_SHIFT);
    if (vectors > 0) info->idxNum |= TQ_PLAN_READS;
    bool look_up = wanted->unique >= 0 && !key_list;
    if (vectors > 0 && info->nOrderBy == 0 && !look_up) info->idxNum |= TQ_PLAN_NEAREST;
    if (look_up) {
        rc = plan_look_up(info, declaration, wanted);
    } else if (wanted->filter_count > 0 || ordered || others || vectors > 1) {
        rc = plan_rows(info, table, wanted, ordered);
    } else {
        info->estimatedCost = (double)rows_of(table) * 2 + 100;
        info->estimatedRows = (sqlite3_int64)rows_of(table) + 1;
    }
    mind_or(info, table, vectors);
    return rc;
}

static enum tq_status check(const struct wanted *wanted, const struct tq_declaration *declaration) {
    if (wanted->twice) {
        return tq_fail(TQ_MISUSE, "one SELECT has two queries of one table; name the table twice to have two");
    }
    if (wanted->query >= 0 && wanted->k_compared) {
        return tq_fail(TQ_MISUSE, "k is compared with one number by =, as in k = 10");
    }
    if (wanted->query < 0 && wanted->k >= 0) {
        return tq_fail(TQ_MISUSE, "k = ... needs a query: %s MATCH ...", tq_declaration_vector(declaration, 0)->name);
    }
    if (wanted->query >= OMIT_MAX || (wanted->query >= 0 && wanted->k >= OMIT_MAX)) {
        return tq_fail(TQ_MISUSE, "a query has at most %d conditions beside it; more are written as +price < 5",
                       OMIT_MAX - 1);
    }
    return TQ_OK;
}

int tq_vtab_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    const struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    struct wanted wanted = look(info, &table->declaration);
    if (wanted.unusable) return SQLITE_CONSTRAINT; /* not in this order of the join */
    enum tq_status status = check(&wanted, &table->declaration);
    if (status != TQ_OK) return tq_vtab_fail(vtab, status);
    return wanted.query >= 0 ? plan_match(info, table, &wanted) : plan_without_query(info, table, &wanted);
}
