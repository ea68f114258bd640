/* Does a statement have the one shape that can be answered by a search? Text in, text out: no SQLite, no table.
 *
 *     SELECT <results> FROM [schema.]table [[AS] alias] [WHERE <condition>]
 *     ORDER BY <near> [ASC|DESC] [NULLS FIRST|LAST] LIMIT n [OFFSET m | , m] [;]
 *
 *   near       fn(column, query) or fn(query, column); fn is tq_ip or tq_cosine (DESC), or tq_l2 or tq_distance
 *              (ASC). Or a result's alias or number that stands for such a call
 *   query      a literal, a parameter, tq_f32() and the like of these, or (SELECT ...), of which the caller must find
 *              out whether it can be prepared by itself: then it refers to nothing outside of it
 *   results    *, columns of the table, literals, arithmetic on them, calls of tq_ functions, round, length, typeof,
 *              and (SELECT ...) without aggregates
 *   condition  columns that are kept beside the vectors, literals, parameters, operators, CASE and a few functions
 *              that look at nothing but their arguments; no subquery. It means the same in the table of rows
 *
 * Whatever is not on this list is not recognised: aggregates, windows, DISTINCT, other subqueries, joins, unknown
 * names. */
#ifndef TQ_RECOGNISE_H
#define TQ_RECOGNISE_H

#include "sql/sql_tokens.h"

/* What the recogniser is told of a table: the names that its statement may use. */
struct tq_recognise_table {
    const char *schema, *name;
    const char *const *vectors;
    size_t vector_count;
    const char *const *others; /* visible columns whose values are kept beside the vectors */
    size_t other_count;
    const char *const *others_stored; /* what each is called in the table of rows, such as m0 */
    const char *const *apart;         /* auxiliary columns: results, never in WHERE */
    size_t apart_count;
};

struct tq_recognised {
    int function;             /* enum tq_function */
    int argument;             /* 0, 1: which one is the query */
    size_t vector;            /* which of the table's vector columns is the other one */
    bool qualified;           /* the table's name has its schema before it */
    bool later;               /* the query is known when the function is called */
    struct tq_token query;    /* unless later: STRING (JSON) or BLOB (hexadecimal) */
    struct tq_token subquery; /* later: its text, without parentheses; size 0 if it is none */
    /* NULL: none. For the table of rows, to be released with tq_free. Parameters are written ?1, ?2, ... as the
     * statement counts them, since the expanded text does not tell them exactly: numbers are rounded to 15 digits,
     * texts end at a zero byte, and "-?" with -1 is the comment "--1". */
    char *where;
    bool where_bound; /* it has parameters */
    uint64_t limit, offset;
    const char *why; /* not recognised: what was in the way */
};

/* `sql` is the statement's own text, `expanded` that of sqlite3_expanded_sql or NULL: LIMIT and the query are read
 * from it where they are parameters. Both must live as long as the tokens of `recognised` are used. */
bool tq_recognise(const char *sql, const char *expanded, const struct tq_recognise_table *table,
                  struct tq_recognised *recognised);

/* Of a WHERE rewritten so: whether it is nothing but comparisons of columns with values, joined by AND, without LIKE
 * and GLOB; whether IN is in it. */
bool tq_where_is_plain(const char *where);
bool tq_where_has_list(const char *where);

/* Whether a statement has one FROM with one table in it. Says no in doubt. */
bool tq_reads_one_table(const char *sql);

/* LIMIT + OFFSET at the end of a statement's text, 0 if there are none: how many rows will probably be asked for. */
uint64_t tq_limit_hint(const char *sql);

/* ---- recognise_join.c ---- */

/* Where the queries of a join come from. A guess that is checked by use: a wrong one costs time and nothing else. */
struct tq_recognised_join {
    char *source; /* the outer table, quoted, its schema before it if the statement has one; to be released: tq_free */
    char *column; /* quoted; to be released, too */
};

/* FROM queries AS q, docs(q.v); FROM queries JOIN docs ON docs.embedding MATCH queries.v. */
bool tq_recognise_join(const char *sql, const struct tq_recognise_table *table, struct tq_recognised_join *join);

#endif
