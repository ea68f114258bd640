/* .recall: how much of what an exact search finds the others find, and how fast. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/arguments.h"
#include "shell/commands.h"
#include "shell/interrupt.h"
#include "shell/progress.h"
#include "shell/trial.h"
#include "src/base/base.h"

/* All trials ask a piece of the queries before they go on to the next: when it ends early, each has as many. */
enum { TRIALS_MOST = 16, PIECE = 100, COUNT_MOST = 1000000, K_MOST = 10000 };

struct recall {
    struct shell_vectors vectors;
    struct shell_sample sample;
    int64_t k;
    double confidences[TRIALS_MOST];
    bool shown[TRIALS_MOST]; /* an exact search that only makes the truth known is not */
    struct shell_trial trials[TRIALS_MOST];
    size_t count;
};

static enum tq_status add_confidence(struct recall *recall, double confidence, bool shown) {
    if (recall->count == TRIALS_MOST) return tq_fail(TQ_MISUSE, "--confidence: more than %d", TRIALS_MOST - 1);
    recall->shown[recall->count] = shown;
    recall->confidences[recall->count++] = confidence;
    return TQ_OK;
}

/* "2,2.5,exact" */
static enum tq_status read_confidences(struct recall *recall, const char *list) {
    bool exact = false;
    for (const char *at = list; *at != '\0';) {
        char word[32];
        size_t size = strcspn(at, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)tq_min_size(size, sizeof word - 1), at);
        double confidence = TQ_EXACT;
        if (strcmp(word, "exact") != 0) TQ_TRY(shell_read_real("--confidence", word, 1e-3, 1e30, &confidence));
        exact = exact || confidence >= TQ_EXACT;
        TQ_TRY(add_confidence(recall, confidence, true));
        at += size + (at[size] == ',');
    }
    return exact ? TQ_OK : add_confidence(recall, TQ_EXACT, false);
}

/* The exact one goes first in each piece: the others are judged by it. */
static enum tq_status ask_piece(struct recall *recall, size_t from, size_t to, struct shell_progress *progress) {
    size_t exact = 0, done = from * recall->count;
    double all = (double)(recall->sample.count * recall->count);
    while (recall->confidences[exact] < TQ_EXACT) exact++;
    for (size_t t = 0; t < recall->count; t++) {
        size_t which = t == 0 ? exact : t <= exact ? t - 1 : t;
        for (size_t i = from; i < to; i++) {
            if (shell_interrupt_seen()) return shell_session_fail(recall->vectors.session, SQLITE_INTERRUPT);
            TQ_TRY(shell_trial_ask(&recall->trials[which], &recall->sample.asked[i]));
            done++;
            shell_progress_show(progress, (double)done / all, done);
        }
    }
    return TQ_OK;
}

static enum tq_status ask_all(struct recall *recall) {
    struct shell_progress progress;
    enum tq_status status = TQ_OK;
    size_t count = recall->sample.count;
    for (size_t t = 0; t < recall->count; t++)
        TQ_TRY(shell_trial_open(&recall->vectors, recall->confidences[t], recall->k, count, &recall->trials[t]));
    shell_progress_begin(&progress, "recall", "searches");
    for (size_t t = 0; t < recall->count && status == TQ_OK; t++)
        status = shell_trial_warm(&recall->trials[t], &recall->sample.asked[0]);
    for (size_t from = 0; from < count && status == TQ_OK; from += PIECE)
        status = ask_piece(recall, from, tq_min_size(from + PIECE, count), &progress);
    shell_progress_end(&progress);
    return status;
}

/* ---- The table ---- */

static void append_trial(sqlite3_str *rows, struct shell_trial *trial) {
    char confidence[32], recall[16];
    double done = trial->done == 0 ? 1 : (double)trial->done;
    shell_confidence_text(trial->confidence, confidence, sizeof confidence);
    sqlite3_str_appendf(rows, "%s[\"%s\",%s,%.4f,%.4f,%.0f,%.0f,%.0f,%llu]", sqlite3_str_length(rows) == 0 ? "[" : ",",
                        confidence, shell_recall_text(trial, recall), shell_trial_quantile(trial, 0.5),
                        shell_trial_quantile(trial, 0.99), shell_trial_rate(trial), (double)trial->survivors / done,
                        (double)trial->ranked / done, (unsigned long long)trial->done);
}

static enum tq_status show(struct recall *recall) {
    char sql[500];
    sqlite3_str *rows = sqlite3_str_new(recall->vectors.session->db);
    for (size_t t = 0; t < recall->count; t++)
        if (recall->shown[t]) append_trial(rows, &recall->trials[t]);
    sqlite3_str_appendchar(rows, 1, ']');
    (void)snprintf(
        sql, sizeof sql,
        "SELECT json_extract(value, '$[0]') AS confidence, round(json_extract(value, '$[1]'), 5) AS"
        " \"recall@%lld\", json_extract(value, '$[2]') AS \"median ms\", json_extract(value, '$[3]') AS"
        " \"p99 ms\", json_extract(value, '$[4]') AS \"queries/s\", json_extract(value, '$[5]') AS survivors,"
        " json_extract(value, '$[6]') AS ranked, json_extract(value, '$[7]') AS queries FROM json_each(?1)",
        (long long)recall->k);
    return shell_rows_show(recall->vectors.session, sql, rows);
}

/* What the truth is, and what is left to say about it. */
static void tell(const struct recall *recall) {
    size_t exact = 0, done = recall->trials[0].done;
    while (recall->confidences[exact] < TQ_EXACT) exact++;
    const struct shell_trial *trial = &recall->trials[exact];
    (void)fprintf(stderr, "%s%s; one thread\n", recall->sample.source,
                  recall->sample.asked[0].truth != NULL ? ", compared by id" : "");
    uint64_t on_gpu = 0, searches = 0;
    for (size_t t = 0; t < recall->count; t++) {
        on_gpu += recall->trials[t].on_gpu;
        searches += recall->trials[t].done;
    }
    shell_trial_tell_gpu(&recall->vectors, on_gpu, searches);
    if (recall->vectors.rows == TQ_ROWS_F16)
        (void)fputs("scores are those of vectors rounded to half precision (rows=f16)\n", stderr);
    if (recall->sample.asked[0].truth == NULL && trial->beyond * 100 > done)
        (void)fprintf(stderr,
                      "notice: for %llu of %zu queries exact search finds nearer rows than those given: is the table's"
                      " metric that of the file?\n",
                      (unsigned long long)trial->beyond, done);
    if (trial->due == 0 && done > 0) (void)fputs("there was nothing to find: no other rows\n", stderr);
    if (done < recall->sample.count)
        (void)fprintf(stderr, "stopped after %zu of %zu queries\n", done, recall->sample.count);
}

static enum tq_status run(struct recall *recall, const struct shell_sample_request *request) {
    TQ_TRY(shell_sample_take(&recall->vectors, request, &recall->sample));
    enum tq_status status = ask_all(recall);
    bool any = recall->trials[0].done > 0, stopped = recall->vectors.session->interrupted;
    if (status != TQ_OK && !(stopped && any)) return status;
    TQ_TRY(show(recall));
    tell(recall);
    return status == TQ_OK ? TQ_OK : shell_session_fail(recall->vectors.session, SQLITE_INTERRUPT);
}

enum tq_status shell_cmd_recall(struct shell_session *session, int count, char **words) {
    const char *column = NULL, *k = "10", *confidences = "2,2.5,3,exact", *queries = NULL, *seed = "1", *device = NULL;
    const struct shell_option options[] = {
        {"--column", &column, NULL},   {"--k", &k, NULL},       {"--confidence", &confidences, NULL},
        {"--queries", &queries, NULL}, {"--seed", &seed, NULL}, {"--device", &device, NULL}};
    struct recall recall = {.count = 0};
    struct shell_sample_request request = {.count = 1000};
    int64_t number = 0;
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count < 2 || count > 3) return shell_command_usage(words[0]);
    if (count == 3) TQ_TRY(shell_read_integer("n", words[2], 1, COUNT_MOST, &request.count));
    TQ_TRY(shell_read_integer("--k", k, 1, K_MOST, &recall.k));
    TQ_TRY(shell_read_integer("--seed", seed, 0, INT64_MAX, &number));
    TQ_TRY(read_confidences(&recall, confidences));
    request.queries = queries;
    request.k = recall.k;
    request.seed = (uint64_t)number;
    enum tq_status status = shell_vectors_open(session, words[1], column, &recall.vectors);
    if (status == TQ_OK) status = shell_vectors_ask_on(&recall.vectors, device);
    if (status == TQ_OK) status = run(&recall, &request);
    for (size_t t = 0; t < recall.count; t++) shell_trial_close(&recall.trials[t]);
    shell_sample_free(&recall.sample);
    shell_vectors_close(&recall.vectors);
    return status;
}
