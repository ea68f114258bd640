#include "shell/trial.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/progress.h"
#include "src/base/base.h"

void shell_confidence_text(double confidence, char *text, size_t size) {
    if (confidence >= TQ_EXACT)
        (void)snprintf(text, size, "exact");
    else
        (void)snprintf(text, size, "%g", confidence);
}

char *shell_recall_text(const struct shell_trial *trial, char text[16]) {
    double recall = shell_trial_recall(trial);
    (void)snprintf(text, 16, isnan(recall) ? "null" : "%.6f", recall);
    return text;
}

enum tq_status shell_trial_open(const struct shell_vectors *v, double confidence, int64_t k, size_t capacity,
                                struct shell_trial *trial) {
    struct shell_trial made = {.vectors = v, .confidence = confidence, .k = k, .capacity = capacity};
    char text[32];
    shell_confidence_text(confidence, text, sizeof text);
    made.hits = calloc((size_t)k + 1, sizeof *made.hits);
    made.seconds = calloc(capacity + 1, sizeof *made.seconds);
    enum tq_status status = made.hits == NULL || made.seconds == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
    if (status == TQ_OK)
        status = shell_prepare_format(
            v->session, &made.search,
            "SELECT rowid, score FROM %s WHERE \"%w\" MATCH tq_query(?1, 'confidence=%s, threads=1, device=%s%s')"
            " AND k = ?2",
            v->quoted, v->column, text, v->device, confidence >= TQ_EXACT ? ", oversample=0" : "");
    if (status == TQ_OK)
        status = shell_prepare_format(v->session, &made.explain,
                                      "SELECT json_extract(e, '$.rows'), json_extract(e, '$.second'),"
                                      " json_extract(e, '$.survivors'), json_extract(e, '$.ranked'),"
                                      " json_extract(e, '$.gpu')"
                                      " FROM (SELECT tq_explain() AS e)");
    if (status == TQ_OK)
        *trial = made;
    else
        shell_trial_close(&made);
    return status;
}

void shell_trial_close(struct shell_trial *trial) {
    (void)sqlite3_finalize(trial->search);
    (void)sqlite3_finalize(trial->explain);
    free(trial->hits);
    free(trial->seconds);
    *trial = (struct shell_trial){.vectors = NULL};
}

/* ---- One query ---- */

static enum tq_status run(struct shell_trial *trial, const struct shell_asked *asked, size_t *count) {
    sqlite3_stmt *search = trial->search;
    int64_t wanted = trial->k + (asked->is_row ? 1 : 0);
    double start = shell_seconds();
    int rc = sqlite3_bind_blob(search, 1, asked->vector, (int)((size_t)trial->vectors->dim * sizeof(float)),
                               SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(search, 2, wanted);
    *count = 0;
    if (rc == SQLITE_OK) rc = SQLITE_ROW;
    while (rc == SQLITE_ROW && (rc = sqlite3_step(search)) == SQLITE_ROW && *count < (size_t)wanted) {
        struct tq_hit *hit = &trial->hits[(*count)++];
        hit->id = sqlite3_column_int64(search, 0);
        hit->score = sqlite3_column_double(search, 1);
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) rc = SQLITE_OK;
    enum tq_status status = rc == SQLITE_OK ? TQ_OK : shell_session_fail(trial->vectors->session, rc);
    (void)sqlite3_reset(search);
    double took = shell_seconds() - start;
    if (status == TQ_OK && trial->done < trial->capacity) trial->seconds[trial->done++] = took;
    return status;
}

/* Without the row that asks. Rows equal to it may have taken its place: then the last one goes. */
static void leave_out_itself(struct shell_trial *trial, const struct shell_asked *asked, size_t *count) {
    size_t kept = 0;
    if (!asked->is_row) return;
    for (size_t i = 0; i < *count; i++)
        if (trial->hits[i].id != asked->row) trial->hits[kept++] = trial->hits[i];
    *count = tq_min_size(kept, (size_t)trial->k);
}

static bool is_true(const struct shell_asked *asked, const struct tq_hit *hit) {
    if (asked->truth == NULL) return hit->score >= asked->bar - 1e-6 * fabs(asked->bar); /* rounding aside */
    for (size_t i = 0; i < asked->due; i++)
        if (asked->truth[i] == hit->id) return true;
    return false;
}

static enum tq_status add_explained(struct shell_trial *trial) {
    int rc = sqlite3_step(trial->explain);
    if (rc == SQLITE_ROW) {
        trial->read += (uint64_t)sqlite3_column_int64(trial->explain, 0);
        trial->second += (uint64_t)sqlite3_column_int64(trial->explain, 1);
        trial->survivors += (uint64_t)sqlite3_column_int64(trial->explain, 2);
        trial->ranked += (uint64_t)sqlite3_column_int64(trial->explain, 3);
        trial->on_gpu += (uint64_t)sqlite3_column_int64(trial->explain, 4);
    }
    (void)sqlite3_reset(trial->explain);
    return rc == SQLITE_ROW ? TQ_OK : shell_session_fail(trial->vectors->session, rc);
}

enum tq_status shell_trial_warm(struct shell_trial *trial, const struct shell_asked *asked) {
    size_t count = 0;
    TQ_TRY(run(trial, asked, &count));
    trial->done = 0;
    return TQ_OK;
}

enum tq_status shell_trial_ask(struct shell_trial *trial, struct shell_asked *asked) {
    size_t count = 0, found = 0;
    TQ_TRY(run(trial, asked, &count));
    TQ_TRY(add_explained(trial));
    leave_out_itself(trial, asked, &count);
    if (!asked->judged && trial->confidence >= TQ_EXACT) {
        asked->judged = true;
        asked->due = count;
        asked->bar = count == 0 ? 0 : trial->hits[count - 1].score;
    }
    if (!asked->judged) return TQ_OK;
    for (size_t i = 0; i < count; i++) found += is_true(asked, &trial->hits[i]);
    bool is_full = asked->due > 0 && count >= asked->due;
    if (is_full && trial->hits[asked->due - 1].score > asked->bar + 1e-6 * fabs(asked->bar)) trial->beyond++;
    trial->due += asked->due;
    trial->found += tq_min_size(found, asked->due);
    return TQ_OK;
}

/* ---- All of them ---- */

void shell_trial_tell_gpu(const struct shell_vectors *vectors, uint64_t on_gpu, uint64_t searches) {
    if (sqlite3_stricmp(vectors->device, "cpu") == 0) return;
    if (on_gpu == 0)
        (void)fprintf(stderr, "none of the searches ran on a GPU; %s.gpu tells why\n",
                      sqlite3_stricmp(vectors->device, "auto") == 0 ? "for so few rows it would not pay, or " : "");
    else
        (void)fprintf(stderr, "%llu of %llu searches ran on the GPU\n", (unsigned long long)on_gpu,
                      (unsigned long long)searches);
}

double shell_trial_recall(const struct shell_trial *trial) {
    return trial->due == 0 ? (double)NAN : (double)trial->found / (double)trial->due;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double shell_trial_quantile(struct shell_trial *trial, double share) {
    if (trial->done == 0) return 0;
    qsort(trial->seconds, trial->done, sizeof *trial->seconds, compare);
    return 1e3 * trial->seconds[(size_t)(share * (double)(trial->done - 1) + 0.5)];
}

double shell_trial_rate(const struct shell_trial *trial) {
    double sum = 0;
    for (size_t i = 0; i < trial->done; i++) sum += trial->seconds[i];
    return sum > 0 ? (double)trial->done / sum : 0;
}
