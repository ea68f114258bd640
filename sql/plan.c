/* xBestIndex: which of three ways to read a table, and what it costs.
 *
 *   idxNum & 3   way     taken when                                      argv                          order
 *   0  SCAN      all rows                                                -                             none
 *   1  ROWID     rowid = ?, no query                                     rowid                         one row
 *   2  MATCH     embedding MATCH ?, or words(?)                          query and more by flags       score DESC
 *   flags of MATCH, in the order of their arguments: 4 k, 8 limit, 16 offset, 32 score > ?, 64 distance < ?
 *
 * The order of MATCH is consumed for ORDER BY score DESC and ORDER BY distance, and for nothing else. LIMIT and OFFSET
 * are hints of how far to search at first: rows are handed out one by one until SQLite stops asking, so that every
 * other condition, join and OFFSET is SQLite's own affair.
 *
 * A unit of cost is a step of a scan, some 100 ns. A search costs a tenth of a scan or less, but never as little as
 * looking up a row: otherwise SQLite would put it into the inner loop of a join, one search for each outer row. */
#include "sql/vtab.h"

#ifndef SQLITE_INDEX_CONSTRAINT_LIMIT /* 3.38 */
#define SQLITE_INDEX_CONSTRAINT_LIMIT 73
#define SQLITE_INDEX_CONSTRAINT_OFFSET 74
#endif

struct wanted {
    int query, rowid, k, limit, offset, score, distance; /* places in aConstraint, or -1 */
    bool unusable;                                       /* a query or k that only another order of the join provides */
    bool twice;
};

static void note_query(struct wanted *wanted, int at, bool usable) {
    if (!usable)
        wanted->unusable = true;
    else if (wanted->query >= 0)
        wanted->twice = true;
    else
        wanted->query = at;
}

static bool is_one_of(int op, int a, int b) { return op == a || op == b; }

static struct wanted look(const sqlite3_index_info *info) {
    struct wanted wanted = {.query = -1, .rowid = -1, .k = -1, .limit = -1, .offset = -1, .score = -1, .distance = -1};
    for (int i = 0; i < info->nConstraint; i++) {
        int column = info->aConstraint[i].iColumn, op = info->aConstraint[i].op;
        bool usable = info->aConstraint[i].usable != 0, equal = op == SQLITE_INDEX_CONSTRAINT_EQ;
        if (op == SQLITE_INDEX_CONSTRAINT_LIMIT) {
            if (usable) wanted.limit = i;
        } else if (op == SQLITE_INDEX_CONSTRAINT_OFFSET) {
            if (usable) wanted.offset = i;
        } else if ((column == TQ_COL_VECTOR && op == SQLITE_INDEX_CONSTRAINT_MATCH) ||
                   (column == TQ_COL_QUERY && (equal || op == SQLITE_INDEX_CONSTRAINT_MATCH))) {
            note_query(&wanted, i, usable);
        } else if (column == TQ_COL_K && equal) {
            if (usable)
                wanted.k = i;
            else
                wanted.unusable = true;
        } else if (column == -1 && equal && usable) {
            wanted.rowid = i;
        } else if (column == TQ_COL_SCORE && usable &&
                   is_one_of(op, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE)) {
            wanted.score = i;
        } else if (column == TQ_COL_DISTANCE && usable &&
                   is_one_of(op, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE)) {
            wanted.distance = i;
        }
    }
    return wanted;
}

static void use(sqlite3_index_info *info, int constraint, bool omit, int flag, int *arguments) {
    if (constraint < 0) return;
    info->aConstraintUsage[constraint].argvIndex = ++*arguments;
    info->aConstraintUsage[constraint].omit = omit;
    info->idxNum |= flag;
}

static void plan_match(sqlite3_index_info *info, const struct wanted *wanted, uint64_t rows) {
    int arguments = 0;
    info->idxNum = TQ_PLAN_MATCH;
    use(info, wanted->query, true, 0, &arguments);
    use(info, wanted->k, true, TQ_PLAN_K, &arguments);
    use(info, wanted->limit, false, TQ_PLAN_LIMIT, &arguments);
    use(info, wanted->offset, false, TQ_PLAN_OFFSET, &arguments);
    use(info, wanted->score, false, TQ_PLAN_SCORE, &arguments);
    use(info, wanted->distance, false, TQ_PLAN_DISTANCE, &arguments);
    info->estimatedCost = (double)rows * 0.1 + 1000;
    info->estimatedRows = rows < 256 ? (sqlite3_int64)rows + 1 : 256;
    if (info->nOrderBy != 1) return;
    int column = info->aOrderBy[0].iColumn;
    bool descending = info->aOrderBy[0].desc != 0;
    info->orderByConsumed = (column == TQ_COL_SCORE && descending) || (column == TQ_COL_DISTANCE && !descending) ? 1
                                                                                                                 : 0;
}

int tq_vtab_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    struct tq_sql_table *table = ((struct tq_vtab *)vtab)->table;
    struct wanted wanted = look(info);
    int arguments = 0;
    if (wanted.unusable) return SQLITE_CONSTRAINT; /* not in this order of the join */
    if (wanted.twice) {
        (void)tq_fail(TQ_MISUSE, "one SELECT has two queries of one table; name the table twice to have two");
        return tq_vtab_fail(vtab, TQ_MISUSE);
    }
    if (wanted.query >= 0) {
        plan_match(info, &wanted, table->rows_seen);
        return SQLITE_OK;
    }
    if (wanted.k >= 0) {
        (void)tq_fail(TQ_MISUSE, "k = ... needs a query: %s MATCH ...", table->column);
        return tq_vtab_fail(vtab, TQ_MISUSE);
    }
    if (wanted.rowid >= 0) {
        /* omit is off: SQLite compares again, so that rowid = 'x' or rowid = 1.5 mean what they mean elsewhere. */
        use(info, wanted.rowid, false, TQ_PLAN_ROWID, &arguments);
        info->estimatedCost = 30;
        info->estimatedRows = 1;
        info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
        return SQLITE_OK;
    }
    info->idxNum = TQ_PLAN_SCAN;
    info->estimatedCost = (double)table->rows_seen * 2 + 100;
    info->estimatedRows = (sqlite3_int64)table->rows_seen + 1;
    return SQLITE_OK;
}
