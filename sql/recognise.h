/* Does a statement have the one shape that can be answered by a search? Text in, text out: no SQLite, no table.
 *
 *     SELECT <results> FROM [schema.]table [[AS] alias]
 *     ORDER BY <near> [ASC|DESC] [NULLS FIRST|LAST] LIMIT n [OFFSET m | , m] [;]
 *
 *   near     fn(column, query) or fn(query, column); fn is tq_ip or tq_cosine (DESC), or tq_l2 or tq_distance
 *            (ASC). Or a result's alias or number that stands for such a call
 *   query    a literal, tq_f32() and the like of literals, or (SELECT ...), of which the caller must find out whether
 *            it can be prepared by itself: then it refers to nothing outside of it
 *   results  *, columns of the table, literals, arithmetic on them, calls of tq_ functions, round, length, typeof, and
 *            (SELECT ...) without aggregates
 *
 * Whatever is not on this list is not recognised: aggregates, windows, DISTINCT, other subqueries, joins, WHERE,
 * unknown names. Parameters must be replaced by their values before (sqlite3_expanded_sql). */
#ifndef TQ_RECOGNISE_H
#define TQ_RECOGNISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tq_token_kind { TQ_TOKEN_NAME, TQ_TOKEN_STRING, TQ_TOKEN_BLOB, TQ_TOKEN_NUMBER, TQ_TOKEN_SIGN };

struct tq_token {
    enum tq_token_kind kind;
    bool quoted;      /* NAME: never a keyword */
    const char *text; /* without quotes and x; inner quotes still doubled */
    size_t size;
};

struct tq_recognised {
    int function;             /* enum tq_function */
    int argument;             /* 0, 1: which one is the query */
    bool qualified;           /* the table's name has its schema before it */
    bool later;               /* the query is known when the function is called */
    struct tq_token query;    /* unless later: STRING (JSON) or BLOB (hexadecimal) */
    struct tq_token subquery; /* later: its text, without parentheses; size 0 if it is none */
    uint64_t limit, offset;
    const char *why; /* not recognised: what was in the way */
};

bool tq_recognise(const char *sql, const char *schema, const char *table, const char *column,
                  struct tq_recognised *recognised);

/* LIMIT + OFFSET at the end of a statement's text, 0 if there are none: how many rows will probably be asked for. */
uint64_t tq_limit_hint(const char *sql);

#endif
