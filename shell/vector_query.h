/* What .search is asked for: a row by its key, a vector as text, or the vectors of a file. */
#ifndef SHELL_VECTOR_QUERY_H
#define SHELL_VECTOR_QUERY_H

#include "shell/vector_table.h"

struct shell_query {
    bool is_row;
    int64_t row;   /* its rowid */
    char *vectors; /* else "[0.1, ...]", and of several "[[0.1, ...], ...]" */
    size_t count;  /* vectors in there */
    bool more;     /* the file has others behind them */
};

/* The row that `what` names, by the table's key, or else by its rowid: a remark tells of that where there is a key.
 * *found false: there is none. TQ_MISUSE: it has no vector. */
enum tq_status shell_query_row(const struct shell_vectors *vectors, const char *what, struct shell_query *query,
                               bool *found);

/* Any of the three, a file's first `most` vectors. TQ_NOT_FOUND says what was tried, and which keys are like it. */
enum tq_status shell_query_read(const struct shell_vectors *vectors, const char *what, size_t most,
                                struct shell_query *query);
enum tq_status shell_query_no_row(const struct shell_vectors *vectors, const char *what);
void shell_query_free(struct shell_query *query);

#endif
