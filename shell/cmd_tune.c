/* .tune: the cheapest confidence that reaches a recall. */
#include <math.h>
#include <stdio.h>

#include "shell/arguments.h"
#include "shell/commands.h"
#include "shell/interrupt.h"
#include "shell/progress.h"
#include "shell/trial.h"
#include "src/base/base.h"

/* Confidences that are tried: hundredths of STEP * i, i from STEP_LEAST to STEPS; beyond them exact. */
enum { STEP_HUNDREDTHS = 5, STEP_LEAST = 10, STEPS = 120, LINES_MOST = 3, COUNT_MOST = 1000000, K_MOST = 10000 };

struct tune {
    struct shell_vectors vectors;
    struct shell_sample sample; /* the first half chooses, the second verifies */
    int64_t k;
    double target;
    struct shell_progress progress;
    uint64_t searches;
    struct shell_trial trials[LINES_MOST]; /* chosen, the default, exact: over the second half */
};

static double confidence_at(size_t step) { return (double)(step * STEP_HUNDREDTHS) / 100; }

static enum tq_status ask(struct tune *tune, struct shell_trial *trial, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if (shell_interrupt_seen()) return shell_session_fail(tune->vectors.session, SQLITE_INTERRUPT);
        TQ_TRY(shell_trial_ask(trial, &tune->sample.asked[i]));
        tune->searches++; /* exact searches of all, some eight halves, and the default */
        shell_progress_show(&tune->progress, (double)tune->searches / (5.5 * (double)tune->sample.count),
                            tune->searches);
    }
    return TQ_OK;
}

/* *recall of a confidence over a part of the queries. */
static enum tq_status measure(struct tune *tune, size_t step, size_t from, size_t to, struct shell_trial *trial,
                              double *recall) {
    shell_trial_close(trial);
    double confidence = step > STEPS ? TQ_EXACT : confidence_at(step);
    TQ_TRY(shell_trial_open(&tune->vectors, confidence, tune->k, to - from, trial));
    TQ_TRY(shell_trial_warm(trial, &tune->sample.asked[from]));
    TQ_TRY(ask(tune, trial, from, to));
    *recall = shell_trial_recall(trial);
    return TQ_OK;
}

/* What a sample must reach so that the target is not missed by luck: one standard deviation more. */
static double with_margin(const struct tune *tune, uint64_t due) {
    return fmin(1, tune->target + sqrt(tune->target * (1 - tune->target) / (double)(due + 1)));
}

/* The least step that reaches it on the first half; STEPS + 1: only exact. */
static enum tq_status choose(struct tune *tune, size_t half, size_t *chosen) {
    struct shell_trial trial = {.vectors = NULL};
    size_t low = STEP_LEAST, high = STEPS + 1;
    enum tq_status status = TQ_OK;
    while (status == TQ_OK && low < high && tune->target < 1) {
        size_t middle = (low + high) / 2;
        double recall = 0;
        status = measure(tune, middle, 0, half, &trial, &recall);
        if (status == TQ_OK && recall >= with_margin(tune, trial.due))
            high = middle;
        else
            low = middle + 1;
    }
    shell_trial_close(&trial);
    *chosen = high;
    return status;
}

/* And a little more for as long as the other half falls short. */
static enum tq_status verify(struct tune *tune, size_t half, size_t *chosen) {
    for (;; ++*chosen) {
        double recall = 0;
        TQ_TRY(measure(tune, *chosen, half, tune->sample.count, &tune->trials[0], &recall));
        if (recall >= tune->target || *chosen > STEPS) return TQ_OK;
    }
}

/* ---- The answer ---- */

static void append_trial(sqlite3_str *rows, const char *name, struct shell_trial *trial) {
    char confidence[32], recall[16];
    shell_confidence_text(trial->confidence, confidence, sizeof confidence);
    sqlite3_str_appendf(rows, "%s[\"%s\",\"%s\",%s,%.4f,%.4f,%.0f]", sqlite3_str_length(rows) == 0 ? "[" : ",", name,
                        confidence, shell_recall_text(trial, recall), shell_trial_quantile(trial, 0.5),
                        shell_trial_quantile(trial, 0.99), shell_trial_rate(trial));
}

static enum tq_status show(struct tune *tune) {
    static const char *const names[LINES_MOST] = {"chosen", "default", "exact"};
    char sql[400], confidence[32];
    sqlite3_str *rows = sqlite3_str_new(tune->vectors.session->db);
    for (size_t i = 0; i < LINES_MOST; i++) append_trial(rows, names[i], &tune->trials[i]);
    sqlite3_str_appendchar(rows, 1, ']');
    (void)snprintf(sql, sizeof sql,
                   "SELECT json_extract(value, '$[0]') AS setting, json_extract(value, '$[1]') AS confidence,"
                   " round(json_extract(value, '$[2]'), 5) AS \"recall@%lld\", json_extract(value, '$[3]') AS"
                   " \"median ms\", json_extract(value, '$[4]') AS \"p99 ms\", json_extract(value, '$[5]') AS"
                   " \"queries/s\" FROM json_each(?1)",
                   (long long)tune->k);
    TQ_TRY(shell_rows_show(tune->vectors.session, sql, rows));
    shell_confidence_text(tune->trials[0].confidence, confidence, sizeof confidence);
    bool exact = tune->trials[0].confidence >= TQ_EXACT;
    (void)fprintf(stderr, "%s: half of them chose, half verified; one thread\n", tune->sample.source);
    uint64_t on_gpu = 0, searches = 0;
    for (size_t i = 0; i < LINES_MOST; i++) {
        on_gpu += tune->trials[i].on_gpu;
        searches += tune->trials[i].done;
    }
    shell_trial_tell_gpu(&tune->vectors, on_gpu, searches);
    (void)fprintf(stderr, "for this connection: SELECT tq_config('confidence', %s%s%s);\n", exact ? "'" : "",
                  confidence, exact ? "'" : "");
    (void)fprintf(stderr, "for one query: ... MATCH tq_query(:q, 'confidence=%s')\n", confidence);
    return TQ_OK;
}

static enum tq_status run(struct tune *tune, const struct shell_sample_request *request) {
    size_t chosen = 0, half = 0;
    double first = 0, recall = 0;
    TQ_TRY(shell_sample_take(&tune->vectors, request, &tune->sample));
    half = tune->sample.count / 2;
    if (tune->sample.count < 2)
        return tq_fail(TQ_MISUSE, "%s: one to choose by and one to verify are needed", tune->sample.source);
    /* The exact one first: it makes the truth known. Its times are those of the second half alone. */
    TQ_TRY(measure(tune, STEPS + 1, 0, half, &tune->trials[2], &first));
    TQ_TRY(measure(tune, STEPS + 1, half, tune->sample.count, &tune->trials[2], &recall));
    if (tune->trials[2].due == 0) return tq_fail(TQ_MISUSE, "%s: there is nothing to find", tune->sample.source);
    if (fmin(first, recall) < tune->target)
        return tq_fail(TQ_MISUSE, "exact search has a recall of %.5f: the target %g is out of reach",
                       fmin(first, recall), tune->target);
    TQ_TRY(choose(tune, half, &chosen));
    TQ_TRY(verify(tune, half, &chosen));
    TQ_TRY(measure(tune, (size_t)(100 * tq_search_defaults().confidence / STEP_HUNDREDTHS + 0.5), half,
                   tune->sample.count, &tune->trials[1], &recall));
    shell_progress_end(&tune->progress);
    return show(tune);
}

enum tq_status shell_cmd_tune(struct shell_session *session, int count, char **words) {
    const char *column = NULL, *k = "10", *queries = NULL, *seed = "1", *device = NULL;
    const struct shell_option options[] = {{"--column", &column, NULL},
                                           {"--k", &k, NULL},
                                           {"--queries", &queries, NULL},
                                           {"--seed", &seed, NULL},
                                           {"--device", &device, NULL}};
    struct tune tune = {.k = 10};
    struct shell_sample_request request = {.count = 2000};
    int64_t number = 0;
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count < 3 || count > 4) return shell_command_usage(words[0]);
    TQ_TRY(shell_read_real("the recall", words[2], 0, 1, &tune.target));
    if (count == 4) TQ_TRY(shell_read_integer("n", words[3], 2, COUNT_MOST, &request.count));
    TQ_TRY(shell_read_integer("--k", k, 1, K_MOST, &tune.k));
    TQ_TRY(shell_read_integer("--seed", seed, 0, INT64_MAX, &number));
    request.queries = queries;
    request.k = tune.k;
    request.seed = (uint64_t)number;
    shell_progress_begin(&tune.progress, "tune", "searches");
    enum tq_status status = shell_vectors_open(session, words[1], column, &tune.vectors);
    if (status == TQ_OK) status = shell_vectors_ask_on(&tune.vectors, device);
    if (status == TQ_OK) status = run(&tune, &request);
    shell_progress_end(&tune.progress);
    for (size_t i = 0; i < LINES_MOST; i++) shell_trial_close(&tune.trials[i]);
    shell_sample_free(&tune.sample);
    shell_vectors_close(&tune.vectors);
    return status;
}
