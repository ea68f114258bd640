/* Two databases that are told the same: one has tq tables, the other ordinary ones of the same names. What differs in
 * their answers is a fault of ours. */
#ifndef TQ_TEST_DIFFERENTIAL_H
#define TQ_TEST_DIFFERENTIAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Random choices ---- */

struct dice {
    uint64_t seed, at;
};

uint32_t dice_below(struct dice *dice, uint32_t bound);
bool dice_chance(struct dice *dice, uint32_t percent);
const char *dice_word(struct dice *dice, const char *const *words, size_t count);

#define WORD(dice, ...)                                                                                                \
    dice_word(dice, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* ---- Steps ---- */

enum step_order {
    STEP_LIST,   /* rows are compared one by one */
    STEP_BAG,    /* in any order */
    STEP_NEAREST /* by their second column, best first; the first one may differ among rows of equal second ones */
};

struct step {
    enum step_order order;
    int connection;       /* of two */
    bool reopen;          /* close the databases, and open them again; no text */
    bool needed;          /* by all that follow */
    char *ours, *plain;   /* statements; sqlite3_free() */
    long limit, offset;   /* STEP_NEAREST: of the rows that `plain` returns, which are all; limit -1: all */
    const char *category; /* for the counts */
};

struct steps {
    struct step *list;
    size_t count, capacity;
};

struct step *steps_add(struct steps *steps, const char *category);
void steps_free(struct steps *steps);

enum { TALLY_KINDS = 32 };

struct tally {
    long statements, failed, rows;
    struct {
        const char *category;
        long count;
    } kinds[TALLY_KINDS];
};

/* NULL: no difference; else what it is, to be released with sqlite3_free(). skip: steps left out, or NULL. *at: the
 * step that differs. */
char *steps_run(const struct steps *steps, const bool *skip, size_t *at, struct tally *tally);
/* Leave out what the difference at step `where` does not need; print what remains. */
void steps_report(const struct steps *steps, size_t where, uint64_t seed);

/* Rows as text, one a line: types and all bits show. "error: ..." behind them. */
char *rows_of_statement(sqlite3_stmt *statement);
char *rows_of_query(sqlite3 *db, const char *sql);

#endif
