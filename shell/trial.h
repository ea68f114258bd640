/* Searches that are timed and judged: rows of a table, or queries of another one, asked one by one through SQL. */
#ifndef SHELL_TRIAL_H
#define SHELL_TRIAL_H

#include "shell/vector_table.h"

/* ---- Queries ---- */

struct shell_asked {
    const float *vector; /* f32[dim] */
    bool is_row;         /* of the table itself: left out of its own answer */
    int64_t row;
    bool judged;    /* the truth is known: */
    size_t due;     /* rows that there are to find, k or fewer */
    double bar;     /* the score of the last of them */
    int64_t *truth; /* their rowids, [due], where the scores of the table are estimates; else NULL */
};

struct shell_sample {
    struct shell_asked *asked;
    size_t count;
    float *vectors;
    int64_t *truths;
    char *source; /* what the truth is, for people */
};

struct shell_sample_request {
    const char *queries; /* a table with embedding and, maybe, neighbors; "none": no such table; NULL: where there is a
                            table <table>_queries with both, that one */
    int64_t count, k;
    uint64_t seed;
    bool unjudged; /* times are all that is wanted */
};

/* As many as there are, count at most, in random order. TQ_MISUSE: nothing to ask, or nothing to judge it by. */
enum tq_status shell_sample_take(const struct shell_vectors *vectors, const struct shell_sample_request *request,
                                 struct shell_sample *sample);
void shell_sample_free(struct shell_sample *sample);

/* ---- Trials ---- */

struct shell_trial {
    const struct shell_vectors *vectors;
    double confidence; /* TQ_EXACT */
    int64_t k;
    sqlite3_stmt *search, *explain;
    struct tq_hit *hits; /* [k + 1] */
    double *seconds;     /* [capacity], of the first `done` that were asked */
    size_t done, capacity;
    uint64_t due, found; /* of those whose truth is known */
    uint64_t beyond;     /* queries to which it has better answers than the truth that was given */
    uint64_t read, second, survivors, ranked;
    uint64_t on_gpu; /* searches that a GPU had a part in */
};

/* "exact", or "2.5". */
void shell_confidence_text(double confidence, char *text, size_t size);

enum tq_status shell_trial_open(const struct shell_vectors *vectors, double confidence, int64_t k, size_t capacity,
                                struct shell_trial *trial);
void shell_trial_close(struct shell_trial *trial);

/* Ask one query, and forget it: what is read first takes longer. */
enum tq_status shell_trial_warm(struct shell_trial *trial, const struct shell_asked *asked);

/* Ask one query, time and judge it. An exact one whose truth is not known yet makes it known. */
enum tq_status shell_trial_ask(struct shell_trial *trial, struct shell_asked *asked);

/* The share found of what was due; NAN where nothing was. */
double shell_trial_recall(const struct shell_trial *trial);
char *shell_recall_text(const struct shell_trial *trial, char text[16]); /* for JSON; returns text */

/* How many of so many searches a GPU had a part in, for people; nothing, where none was asked to. */
void shell_trial_tell_gpu(const struct shell_vectors *vectors, uint64_t on_gpu, uint64_t searches);

/* Milliseconds that a share of all searches did not exceed; sorts them. */
double shell_trial_quantile(struct shell_trial *trial, double share);
double shell_trial_rate(const struct shell_trial *trial); /* searches a second */

#endif
