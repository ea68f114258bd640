/* Does a statement have the one shape that can be answered by a search? Text in, text out: no SQLite, no table.
 *
 *     SELECT <results> FROM [schema.]table [[AS] alias]
 *     ORDER BY <near> [ASC|DESC] [NULLS FIRST|LAST] LIMIT n [OFFSET m | , m] [;]
 *
 *   near     fn(column, literal) or fn(literal, column); fn is tq_ip or tq_cosine (DESC), or tq_l2 or tq_distance
 *            (ASC). Or a result's alias or number that stands for such a call
 *   results  *, columns of the table, literals, arithmetic on them, and calls of tq_ functions, round, length, typeof
 *
 * Whatever is not on this list is not recognised: aggregates, windows, DISTINCT, subqueries, joins, WHERE, unknown
 * names. Parameters must be replaced by their values before (sqlite3_expanded_sql). */
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
    int function;          /* enum tq_function */
    bool qualified;        /* the table's name has its schema before it */
    struct tq_token query; /* STRING (JSON) or BLOB (hexadecimal) */
    uint64_t limit, offset;
};

bool tq_recognise(const char *sql, const char *schema, const char *table, const char *column,
                  struct tq_recognised *recognised);

/* LIMIT + OFFSET at the end of a statement's text, 0 if there are none: how many rows will probably be asked for. */
uint64_t tq_limit_hint(const char *sql);

#endif
