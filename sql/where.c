/* Conditions as SQL text, with their values. where_view.c makes bitmaps of them. */
#include "sql/where.h"

#include <string.h>

#include "src/base/alloc.h"

enum { RUN = 500 }; /* values of a list in one statement */

#ifndef SQLITE_INDEX_CONSTRAINT_ISNULL /* all of 3.34 are there; named here for the reader of old headers */
#error "sqlite3.h is older than 3.34"
#endif

/* ---- Values ---- */

static enum tq_status add_value(struct tq_where *filter, sqlite3_value *value, size_t *capacity) {
    if (filter->count == *capacity) {
        size_t grown = 2 * *capacity + 8;
        sqlite3_value **values = tq_realloc(filter->values, *capacity * sizeof *values, grown * sizeof *values);
        if (values == NULL) return TQ_NOMEM;
        filter->values = values;
        *capacity = grown;
    }
    sqlite3_value *copy = sqlite3_value_dup(value);
    if (copy == NULL) return TQ_NOMEM;
    filter->values[filter->count++] = copy;
    return TQ_OK;
}

/* The whole right side of IN: where SQLite gives it as one (3.38). */
static enum tq_status add_list(struct tq_where *filter, sqlite3_value *list, size_t *capacity) {
    sqlite3_value *value = NULL;
    int rc = sqlite3_vtab_in_first(list, &value);
    for (; rc == SQLITE_OK && value != NULL; rc = sqlite3_vtab_in_next(list, &value)) {
        TQ_TRY(add_value(filter, value, capacity));
    }
    return rc == SQLITE_OK || rc == SQLITE_DONE ? TQ_OK : tq_fail(TQ_NOMEM, "reading the values of IN");
}

/* ---- Terms ---- */

static const char *operator_of(int op) {
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ: return "=";
    case SQLITE_INDEX_CONSTRAINT_GT: return ">";
    case SQLITE_INDEX_CONSTRAINT_LE: return "<=";
    case SQLITE_INDEX_CONSTRAINT_LT: return "<";
    case SQLITE_INDEX_CONSTRAINT_GE: return ">=";
    case SQLITE_INDEX_CONSTRAINT_NE: return "<>";
    case SQLITE_INDEX_CONSTRAINT_IS: return "IS";
    case SQLITE_INDEX_CONSTRAINT_ISNOT: return "IS NOT";
    case SQLITE_INDEX_CONSTRAINT_LIKE: return "LIKE";
    case SQLITE_INDEX_CONSTRAINT_GLOB: return "GLOB";
    case SQLITE_INDEX_CONSTRAINT_ISNULL: return "IS NULL";
    case SQLITE_INDEX_CONSTRAINT_ISNOTNULL: return "IS NOT NULL";
    default: return NULL;
    }
}

static bool has_value(int op) {
    return op != SQLITE_INDEX_CONSTRAINT_ISNULL && op != SQLITE_INDEX_CONSTRAINT_ISNOTNULL;
}

static bool compares(int op) { return op != SQLITE_INDEX_CONSTRAINT_LIKE && op != SQLITE_INDEX_CONSTRAINT_GLOB; }

/* A number against text: if it comes from a column of numbers, SQLite turns the text into a number, else the number
 * into text (datatype3.html section 4.2); which, is not told. A literal is not from a column. */
static bool is_doubtful(const char *affinity, sqlite3_value *value) {
    int type = sqlite3_value_type(value);
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    return number && (strcmp(affinity, "TEXT") == 0 || strcmp(affinity, "BLOB") == 0);
}

struct writing {
    struct tq_where *filter;
    sqlite3_str *where, *partitions;
    size_t capacity;
    bool others; /* than conditions on partitions */
};

static void append_condition(sqlite3_str *out, const char *left, const struct tq_where_term *term, size_t first,
                             size_t count) {
    sqlite3_str_appendf(out, "%s %s", left, term->list ? "IN (" : operator_of(term->op));
    for (size_t i = 0; i < count; i++) sqlite3_str_appendf(out, "%s?%d", i > 0 ? "," : " ", (int)(first + i) + 1);
    if (term->list) sqlite3_str_appendchar(out, 1, ')');
}

static void append_term(sqlite3_str *out, const char *column, const struct tq_where_term *term, size_t first,
                        size_t count) {
    if (sqlite3_str_length(out) > 0) sqlite3_str_appendall(out, " AND ");
    append_condition(out, column, term, first, count);
}

/* All rows that may pass, whichever is turned into the other. To a number every text is larger, also where it stands
 * for none: then the cast tells nothing. */
static void append_either(sqlite3_str *out, const char *column, const struct tq_where_term *term, size_t first,
                          size_t count) {
    char as_number[TQ_STORED_MAX + 32];
    bool below = term->op == SQLITE_INDEX_CONSTRAINT_EQ || term->op == SQLITE_INDEX_CONSTRAINT_IS ||
                 term->op == SQLITE_INDEX_CONSTRAINT_LT || term->op == SQLITE_INDEX_CONSTRAINT_LE;
    sqlite3_snprintf(sizeof as_number, as_number, "CAST(%s AS NUMERIC)", column);
    sqlite3_str_appendall(out, sqlite3_str_length(out) > 0 ? " AND (" : "(");
    append_condition(out, column, term, first, count);
    sqlite3_str_appendall(out, " OR ");
    if (below)
        append_condition(out, as_number, term, first, count);
    else
        sqlite3_str_appendf(out, "typeof(%s) IN ('text', 'blob')", column);
    sqlite3_str_appendchar(out, 1, ')');
}

static void forget_from(struct tq_where *filter, size_t first) {
    while (filter->count > first) sqlite3_value_free(filter->values[--filter->count]);
}

static bool any_doubtful(const struct tq_where *filter, size_t first, const char *affinity) {
    for (size_t i = first; i < filter->count; i++) {
        if (is_doubtful(affinity, filter->values[i])) return true;
    }
    return false;
}

static enum tq_status write_term(struct writing *w, const struct tq_sql_table *table, const struct tq_where_term *term,
                                 sqlite3_value *value) {
    struct tq_where *filter = w->filter;
    const struct tq_sql_column *column = term->column < 0 ? NULL : &table->declaration.columns[term->column];
    const char *name = column == NULL ? "id" : column->stored;
    size_t first = filter->count;
    if (term->list)
        TQ_TRY(add_list(filter, value, &w->capacity));
    else if (has_value(term->op))
        TQ_TRY(add_value(filter, value, &w->capacity));
    size_t count = filter->count - first;
    bool too_long = count > RUN, doubtful = compares(term->op) && !term->literal && column != NULL &&
                                            column->kind != TQ_COLUMN_ID &&
                                            any_doubtful(filter, first, column->affinity);
    filter->left_out = filter->left_out || doubtful;
    if (doubtful && !too_long) {
        append_either(w->where, name, term, first, count);
        w->others = true;
        return TQ_OK;
    }
    if (doubtful || (too_long && filter->long_count > 0)) {
        forget_from(filter, first);
        filter->left_out = true;
        return TQ_OK;
    }
    if (too_long) {
        filter->long_count = count;
        filter->run = RUN;
    }
    append_term(w->where, name, term, first, too_long ? RUN : count);
    bool partition = column != NULL && column->kind == TQ_COLUMN_PARTITION && !too_long;
    if (partition) append_term(w->partitions, name, term, first, count);
    w->others = w->others || !partition;
    bool indexed = column == NULL || column->indexed || column->kind == TQ_COLUMN_ID || column->kind == TQ_COLUMN_KEY ||
                   column->kind == TQ_COLUMN_PARTITION || column->kind == TQ_COLUMN_VECTOR;
    bool selects = term->op != SQLITE_INDEX_CONSTRAINT_NE && term->op != SQLITE_INDEX_CONSTRAINT_ISNOT &&
                   term->op != SQLITE_INDEX_CONSTRAINT_ISNOTNULL;
    filter->narrow = filter->narrow || (indexed && selects);
    return TQ_OK;
}

/* Long lists last, so that the parameters before theirs stay where they are. Which are long is known when they are
 * read: the shorter ones, and all that are no lists, go first. */
static enum tq_status write_terms(struct writing *w, const struct tq_sql_table *table,
                                  const struct tq_where_term *terms, size_t count, sqlite3_value **values) {
    for (int lists = 0; lists < 2; lists++) {
        for (size_t i = 0; i < count; i++) {
            if (terms[i].list == (lists == 1)) TQ_TRY(write_term(w, table, &terms[i], values[i]));
        }
    }
    return TQ_OK;
}

enum tq_status tq_where_make(const struct tq_sql_table *table, const struct tq_where_term *terms, size_t count,
                             sqlite3_value **values, struct tq_where *filter) {
    struct writing w = {.filter = filter, .where = sqlite3_str_new(NULL), .partitions = sqlite3_str_new(NULL)};
    *filter = (struct tq_where){.where = NULL};
    enum tq_status status = write_terms(&w, table, terms, count, values);
    bool failed = sqlite3_str_errcode(w.where) != SQLITE_OK || sqlite3_str_errcode(w.partitions) != SQLITE_OK;
    filter->where = sqlite3_str_finish(w.where);
    filter->partitions = sqlite3_str_finish(w.partitions);
    filter->partitions_only = filter->partitions != NULL && !w.others;
    if (status == TQ_OK && failed) status = TQ_NOMEM;
    if (status != TQ_OK) tq_where_clear(filter);
    return status;
}

enum tq_status tq_where_from_text(const char *where, struct tq_where *filter) {
    *filter = (struct tq_where){.where = NULL};
    if (where == NULL) return TQ_OK;
    filter->where = sqlite3_mprintf("%s", where);
    return filter->where == NULL ? TQ_NOMEM : TQ_OK;
}

void tq_where_clear(struct tq_where *filter) {
    forget_from(filter, 0);
    tq_free(filter->values);
    sqlite3_free(filter->where);
    sqlite3_free(filter->partitions);
    *filter = (struct tq_where){.where = NULL};
}

void tq_where_bind(const struct tq_where *filter, sqlite3_stmt *statement, size_t at) {
    size_t plain = filter->count - filter->long_count;
    for (size_t i = 0; i < plain; i++) (void)sqlite3_bind_value(statement, (int)i + 1, filter->values[i]);
    for (size_t i = 0; i < filter->run; i++) {
        size_t of_list = tq_min_size(at + i, filter->long_count - 1);
        (void)sqlite3_bind_value(statement, (int)(plain + i) + 1, filter->values[plain + of_list]);
    }
}
