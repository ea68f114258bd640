/* .bench: how long searches of a table take here, what they read, and what memory alone would take for that. */
#include <stdio.h>
#include <stdlib.h>

#include "shell/arguments.h"
#include "shell/commands.h"
#include "shell/interrupt.h"
#include "shell/progress.h"
#include "shell/trial.h"
#include "src/base/base.h"

enum { SAMPLE = 500, SEARCHES_MOST = 200000, BATCH = 100, LEAST = 5, K_MOST = 10000 };

/* Shares of the time. */
static const double one_by_one_share = 0.35, batch_share = 0.2, exact_share = 0.25, scan_share = 0.2;

struct bench {
    struct shell_vectors vectors;
    struct shell_sample sample;
    int64_t k;
    double seconds, confidence, bandwidth;
    uint64_t on_gpu, searches;
    struct shell_progress progress;
    sqlite3_str *rows;
};

static bool is_over(const struct bench *bench, double begin, double share, size_t done) {
    return done >= LEAST && (shell_seconds() - begin > share * bench->seconds || done == SEARCHES_MOST);
}

static void tick(struct bench *bench, uint64_t done) {
    shell_progress_show(&bench->progress, (shell_seconds() - bench->progress.start) / (bench->seconds + 1), done);
}

/* ---- Bytes ---- */

/* Mean of a trial, from what tq_explain() counts: the bytes of a row in each plane are those of the format. */
static double bytes_read(const struct shell_trial *trial) {
    const struct shell_vectors *v = trial->vectors;
    double dim = (double)v->dim, done = trial->done == 0 ? 1 : (double)trial->done;
    double plane = (double)((v->dim + 3) / 4) / 2;
    int64_t record = v->bits * ((v->dim + 7) / 8) + 12;
    record = v->rows == TQ_ROWS_NONE ? record : record <= 32 ? 32 : (record + 63) / 64 * 64;
    double exact = v->rows == TQ_ROWS_F32 ? 4 * dim : v->rows == TQ_ROWS_F16 ? 2 * dim : 0;
    double sum = (double)trial->read * (plane + 2) + (double)trial->second * (plane + 4) +
                 (double)trial->survivors * (double)record + (double)trial->ranked * exact;
    return sum / done;
}

/* bytes 0: not known. */
static void append_row(struct bench *bench, const char *what, struct shell_trial *trial, double bytes) {
    char read[40] = "null", least[40] = "null";
    if (bytes > 0) (void)snprintf(read, sizeof read, "%.3f", bytes / 1e6);
    if (bytes > 0) (void)snprintf(least, sizeof least, "%.4f", 1e3 * bytes / bench->bandwidth);
    sqlite3_str_appendf(bench->rows, "%s[\"%s\",%.4f,%.4f,%.4f,%.0f,%s,%s,%llu]",
                        sqlite3_str_length(bench->rows) == 0 ? "[" : ",", what, shell_trial_quantile(trial, 0.5),
                        shell_trial_quantile(trial, 0.95), shell_trial_quantile(trial, 0.99), shell_trial_rate(trial),
                        read, least, (unsigned long long)trial->done);
}

/* ---- What is timed ---- */

static enum tq_status one_by_one(struct bench *bench, double confidence, double share, const char *what) {
    struct shell_trial trial;
    TQ_TRY(shell_trial_open(&bench->vectors, confidence, bench->k, SEARCHES_MOST, &trial));
    enum tq_status status = shell_trial_warm(&trial, &bench->sample.asked[0]);
    double begin = shell_seconds();
    for (size_t i = 0; status == TQ_OK && !is_over(bench, begin, share, i); i++) {
        status = shell_trial_ask(&trial, &bench->sample.asked[i % bench->sample.count]);
        tick(bench, i);
    }
    /* What a GPU reads, it reads of its own memory, laid out otherwise. */
    if (status == TQ_OK) append_row(bench, what, &trial, trial.on_gpu > 0 ? 0 : bytes_read(&trial));
    bench->on_gpu += trial.on_gpu;
    bench->searches += trial.done;
    shell_trial_close(&trial);
    return status;
}

/* A statement that answers `queries` at once, timed; ?1 is a vector, or nothing. */
static enum tq_status time_statement(struct bench *bench, sqlite3_stmt *statement, size_t queries, double share,
                                     struct shell_trial *trial) {
    double begin = shell_seconds();
    size_t bytes = (size_t)bench->vectors.dim * sizeof(float);
    for (size_t i = 0; !is_over(bench, begin, share, i); i++) {
        const struct shell_asked *asked = &bench->sample.asked[i % bench->sample.count];
        double start = shell_seconds();
        int rc = SQLITE_OK;
        if (sqlite3_bind_parameter_count(statement) > 0)
            rc = sqlite3_bind_blob(statement, 1, asked->vector, (int)bytes, SQLITE_STATIC);
        if (rc == SQLITE_OK) rc = SQLITE_ROW;
        while (rc == SQLITE_ROW) rc = sqlite3_step(statement);
        (void)sqlite3_reset(statement);
        if (rc != SQLITE_DONE) return shell_session_fail(bench->vectors.session, rc);
        trial->seconds[trial->done++] = (shell_seconds() - start) / (double)queries;
        tick(bench, i);
        if (shell_interrupt_seen()) return shell_session_fail(bench->vectors.session, SQLITE_INTERRUPT);
    }
    return TQ_OK;
}

static enum tq_status fill_batch(struct bench *bench, size_t count) {
    sqlite3_stmt *insert = NULL;
    char text[32];
    shell_confidence_text(bench->confidence, text, sizeof text);
    TQ_TRY(shell_prepare_format(
        bench->vectors.session, &insert,
        "INSERT INTO temp.tqshell_bench VALUES(tq_query(?1, 'threads=1, confidence=%s, device=%s'))", text,
        bench->vectors.device));
    int rc = SQLITE_DONE;
    for (size_t i = 0; i < count && rc == SQLITE_DONE; i++) {
        (void)sqlite3_bind_blob(insert, 1, bench->sample.asked[i].vector,
                                (int)((size_t)bench->vectors.dim * sizeof(float)), SQLITE_STATIC);
        rc = sqlite3_step(insert);
        (void)sqlite3_reset(insert);
    }
    (void)sqlite3_finalize(insert);
    return rc == SQLITE_DONE ? TQ_OK : shell_session_fail(bench->vectors.session, rc);
}

static enum tq_status in_batches(struct bench *bench) {
    struct shell_trial trial = {.seconds = calloc(SEARCHES_MOST + 1, sizeof(double))};
    size_t count = tq_min_size(BATCH, bench->sample.count);
    sqlite3 *db = bench->vectors.session->db;
    sqlite3_stmt *statement = NULL;
    char what[40];
    int rc = sqlite3_exec(db, "DROP TABLE IF EXISTS temp.tqshell_bench; CREATE TEMP TABLE tqshell_bench(v)", NULL, NULL,
                          NULL);
    enum tq_status status = trial.seconds == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
    if (status == TQ_OK && rc != SQLITE_OK) status = shell_session_fail(bench->vectors.session, rc);
    if (status == TQ_OK) status = fill_batch(bench, count);
    if (status == TQ_OK)
        status = shell_prepare_format(
            bench->vectors.session, &statement,
            "SELECT d.rowid, d.score FROM temp.tqshell_bench AS q JOIN %s AS d ON d.\"%w\" MATCH q.v AND"
            " d.k = %lld",
            bench->vectors.quoted, bench->vectors.column, (long long)bench->k);
    if (status == TQ_OK) status = time_statement(bench, statement, count, batch_share, &trial);
    (void)sqlite3_finalize(statement);
    (void)snprintf(what, sizeof what, "batches of %zu", count);
    if (status == TQ_OK) append_row(bench, what, &trial, 0);
    free(trial.seconds);
    (void)sqlite3_exec(db, "DROP TABLE IF EXISTS temp.tqshell_bench", NULL, NULL, NULL);
    return status;
}

static enum tq_status full_scan(struct bench *bench) {
    static const char *const best[] = {"max(tq_cosine", "max(tq_ip", "min(tq_l2"};
    const struct shell_vectors *v = &bench->vectors;
    struct shell_trial trial = {.seconds = calloc(SEARCHES_MOST + 1, sizeof(double))};
    sqlite3_stmt *statement = NULL;
    enum tq_status status = trial.seconds == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
    if (status == TQ_OK)
        status = shell_prepare_format(v->session, &statement, "SELECT %s(\"%w\", ?1)) FROM %s", best[v->metric],
                                      v->column, v->quoted);
    if (status == TQ_OK) status = time_statement(bench, statement, 1, scan_share, &trial);
    (void)sqlite3_finalize(statement);
    double bytes = (double)v->vectors * (double)v->dim * (v->rows == TQ_ROWS_F16 ? 2 : 4);
    if (status == TQ_OK) append_row(bench, "every row, no index", &trial, v->rows == TQ_ROWS_NONE ? 0 : bytes);
    free(trial.seconds);
    return status;
}

/* ---- The table ---- */

static enum tq_status read_number(struct shell_session *session, const char *sql, double *number) {
    char *text = NULL;
    TQ_TRY(shell_session_value(session, sql, NULL, &text));
    *number = text == NULL ? 0 : strtod(text, NULL);
    sqlite3_free(text);
    return TQ_OK;
}

static enum tq_status show(struct bench *bench) {
    static const char sql[] =
        "SELECT json_extract(value, '$[0]') AS what, json_extract(value, '$[1]') AS \"median ms\","
        " json_extract(value, '$[2]') AS \"p95 ms\", json_extract(value, '$[3]') AS \"p99 ms\","
        " json_extract(value, '$[4]') AS \"queries/s\", json_extract(value, '$[5]') AS \"MB read\","
        " json_extract(value, '$[6]') AS \"memory ms\", json_extract(value, '$[7]') AS runs FROM json_each(?1)";
    shell_progress_end(&bench->progress);
    sqlite3_str_appendchar(bench->rows, 1, ']');
    sqlite3_str *rows = bench->rows;
    bench->rows = NULL;
    TQ_TRY(shell_rows_show(bench->vectors.session, sql, rows));
    (void)fprintf(stderr,
                  "%s; k = %lld; one thread\n"
                  "median, p95, p99: of the time of a query, through SQL; of a batch its part of the whole\n"
                  "MB read: codes and vectors that a query reads; memory ms: what this machine takes to read as much at"
                  " %.1f GB/s\n",
                  bench->sample.source, (long long)bench->k, bench->bandwidth / 1e9);
    shell_trial_tell_gpu(&bench->vectors, bench->on_gpu, bench->searches);
    return TQ_OK;
}

static enum tq_status run(struct bench *bench, const struct shell_sample_request *request) {
    struct shell_session *session = bench->vectors.session;
    char what[60], confidence[32];
    TQ_TRY(shell_sample_take(&bench->vectors, request, &bench->sample));
    TQ_TRY(read_number(session, "SELECT json_extract(tq_kernels('measure'), '$.speed.read')", &bench->bandwidth));
    TQ_TRY(read_number(session, "SELECT iif(tq_config('confidence') = 'exact', 1e30, tq_config('confidence'))",
                       &bench->confidence));
    shell_confidence_text(bench->confidence, confidence, sizeof confidence);
    (void)snprintf(what, sizeof what, "one by one, confidence %s", confidence);
    TQ_TRY(one_by_one(bench, bench->confidence, one_by_one_share, what));
    TQ_TRY(in_batches(bench));
    TQ_TRY(one_by_one(bench, TQ_EXACT, exact_share, "one by one, exact"));
    TQ_TRY(full_scan(bench));
    return show(bench);
}

enum tq_status shell_cmd_bench(struct shell_session *session, int count, char **words) {
    const char *column = NULL, *k = "10", *seed = "1", *device = NULL;
    const struct shell_option options[] = {
        {"--column", &column, NULL}, {"--k", &k, NULL}, {"--seed", &seed, NULL}, {"--device", &device, NULL}};
    struct bench bench = {.seconds = 4};
    struct shell_sample_request request = {.queries = "none", .count = SAMPLE, .unjudged = true};
    int64_t number = 0;
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count < 2 || count > 3) return shell_command_usage(words[0]);
    if (count == 3) TQ_TRY(shell_read_real("the number of seconds", words[2], 0.01, 3600, &bench.seconds));
    TQ_TRY(shell_read_integer("--k", k, 1, K_MOST, &bench.k));
    TQ_TRY(shell_read_integer("--seed", seed, 0, INT64_MAX, &number));
    request.k = bench.k;
    request.seed = (uint64_t)number;
    bench.rows = sqlite3_str_new(session->db);
    shell_progress_begin(&bench.progress, "bench", "queries");
    enum tq_status status = shell_vectors_open(session, words[1], column, &bench.vectors);
    if (status == TQ_OK) status = shell_vectors_ask_on(&bench.vectors, device);
    if (status == TQ_OK) status = run(&bench, &request);
    shell_progress_end(&bench.progress);
    sqlite3_free(sqlite3_str_finish(bench.rows));
    shell_sample_free(&bench.sample);
    shell_vectors_close(&bench.vectors);
    return status;
}
