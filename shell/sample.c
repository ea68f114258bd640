/* Which queries a trial asks, and what is known of their answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/trial.h"
#include "src/base/base.h"
#include "src/base/rng.h"

enum { STREAM_DRAW = 1, STREAM_SHUFFLE = 2 };

void shell_sample_free(struct shell_sample *sample) {
    free(sample->asked);
    free(sample->vectors);
    free(sample->truths);
    sqlite3_free(sample->source);
    *sample = (struct shell_sample){.asked = NULL};
}

/* ---- Rowids, drawn at random ---- */

struct drawn {
    int64_t *ids;
    size_t count;
};

/* Each of the statement's rows with the same chance (Vitter's algorithm R), then shuffled. */
static enum tq_status draw(const struct shell_vectors *v, sqlite3_stmt *statement,
                           const struct shell_sample_request *request, struct drawn *drawn) {
    size_t most = (size_t)request->count;
    uint64_t seen = 0;
    int rc;
    drawn->ids = calloc(most, sizeof *drawn->ids);
    drawn->count = 0;
    if (drawn->ids == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && seen < UINT32_MAX) {
        uint32_t place = tq_rng_below(request->seed, STREAM_DRAW, seen, (uint32_t)(seen + 1));
        int64_t id = sqlite3_column_int64(statement, 0);
        seen++;
        if (drawn->count < most) {
            drawn->ids[drawn->count++] = id;
        } else if (place < most) {
            drawn->ids[place] = id;
        }
    }
    for (size_t i = drawn->count; i > 1; i--) {
        uint32_t other = tq_rng_below(request->seed, STREAM_SHUFFLE, i, (uint32_t)i);
        int64_t id = drawn->ids[i - 1];
        drawn->ids[i - 1] = drawn->ids[other];
        drawn->ids[other] = id;
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? TQ_OK : shell_session_fail(v->session, rc);
}

/* ---- Vectors ---- */

static enum tq_status make_room(const struct shell_vectors *v, const struct drawn *drawn, struct shell_sample *sample) {
    sample->count = drawn->count;
    sample->asked = calloc(drawn->count + 1, sizeof *sample->asked);
    sample->vectors = calloc(drawn->count + 1, (size_t)v->dim * sizeof *sample->vectors);
    if (sample->asked == NULL || sample->vectors == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    for (size_t i = 0; i < drawn->count; i++) {
        sample->asked[i].vector = sample->vectors + i * (size_t)v->dim;
        sample->asked[i].row = drawn->ids[i];
    }
    return TQ_OK;
}

/* Statement: ?1 is a rowid; column 0 a vector as a blob. It stays on its row. */
static enum tq_status fetch(const struct shell_vectors *v, sqlite3_stmt *statement, const char *table,
                            struct shell_sample *sample, size_t i) {
    size_t bytes = (size_t)v->dim * sizeof(float);
    int rc = sqlite3_bind_int64(statement, 1, sample->asked[i].row);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return shell_session_fail(v->session, rc);
    const void *blob = sqlite3_column_blob(statement, 0);
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    if (rc != SQLITE_ROW || blob == NULL || size != bytes)
        return tq_fail(TQ_MISUSE, "%s, row %lld: its vector has %zu bytes; %s.%s has %lld dimensions, %zu bytes", table,
                       (long long)sample->asked[i].row, size, v->table.name, v->column, (long long)v->dim, bytes);
    memcpy(sample->vectors + i * (size_t)v->dim, blob, bytes);
    return TQ_OK;
}

static enum tq_status take_rows(const struct shell_vectors *v, const struct shell_sample_request *request,
                                struct shell_sample *sample) {
    struct drawn drawn = {NULL, 0};
    sqlite3_stmt *statement = NULL;
    TQ_TRY(shell_prepare_format(v->session, &statement,
                                v->nulls > 0 ? "SELECT rowid FROM %s WHERE \"%w\" IS NOT NULL" : "SELECT rowid FROM %s",
                                v->quoted, v->column));
    enum tq_status status = draw(v, statement, request, &drawn);
    (void)sqlite3_finalize(statement);
    statement = NULL;
    if (status == TQ_OK) status = make_room(v, &drawn, sample);
    if (status == TQ_OK)
        status = shell_prepare_format(v->session, &statement, "SELECT \"%w\" FROM %s WHERE rowid = ?1", v->column,
                                      v->quoted);
    for (size_t i = 0; i < sample->count && status == TQ_OK; i++) {
        sample->asked[i].is_row = true;
        status = fetch(v, statement, v->table.name, sample, i);
        (void)sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    free(drawn.ids);
    return status;
}

/* ---- A table of queries ---- */

struct queries {
    const struct shell_vectors *v;
    struct shell_table table; /* its name NULL: none */
    char *quoted;
    bool truth;
    int64_t k;
    sqlite3_stmt *fetch, *score;
};

static bool has_column(const struct queries *q, const char *column) {
    return sqlite3_table_column_metadata(q->v->session->db, q->table.schema, q->table.name, column, NULL, NULL, NULL,
                                         NULL, NULL) == SQLITE_OK;
}

static int32_t neighbor_at(const uint8_t *bytes) {
    return (int32_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                     (uint32_t)bytes[3] << 24);
}

/* The score of a row that the file says is a neighbour. */
static enum tq_status score_of(struct queries *q, const struct shell_asked *asked, int64_t row, double *score) {
    const struct shell_vectors *v = q->v;
    int rc = sqlite3_bind_blob(q->score, 1, asked->vector, (int)((size_t)v->dim * sizeof(float)), SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(q->score, 2, row);
    if (rc == SQLITE_OK) rc = sqlite3_step(q->score);
    enum tq_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? TQ_OK : shell_session_fail(v->session, rc);
    *score = sqlite3_column_double(q->score, 0);
    if (v->metric == TQ_L2) *score = -*score * *score;
    bool missing = rc == SQLITE_DONE || (rc == SQLITE_ROW && sqlite3_column_type(q->score, 0) == SQLITE_NULL);
    if (missing)
        status = tq_fail(TQ_MISUSE,
                         "%s: row %lld, a neighbour of query %lld of %s, is not there; --queries none takes"
                         " rows of the table as queries",
                         v->table.name, (long long)row, (long long)asked->row, q->table.name);
    (void)sqlite3_reset(q->score);
    return status;
}

static enum tq_status read_truth(struct queries *q, struct shell_asked *asked, int64_t *truth) {
    const uint8_t *bytes = sqlite3_column_blob(q->fetch, 1);
    size_t given = (size_t)sqlite3_column_bytes(q->fetch, 1) / 4;
    if (bytes == NULL || given < (size_t)q->k)
        return tq_fail(TQ_MISUSE, "%s, row %lld: %zu neighbours; k is %lld, it can be no more", q->table.name,
                       (long long)asked->row, given, (long long)q->k);
    asked->judged = true;
    for (; asked->due < (size_t)q->k && neighbor_at(bytes + 4 * asked->due) >= 0; asked->due++) {
        double score = 0;
        truth[asked->due] = neighbor_at(bytes + 4 * asked->due);
        TQ_TRY(score_of(q, asked, truth[asked->due], &score));
        if (asked->due == 0 || score < asked->bar) asked->bar = score;
    }
    if (q->v->rows == TQ_ROWS_NONE) asked->truth = truth;
    return TQ_OK;
}

static enum tq_status read_queries(struct queries *q, struct shell_sample *sample) {
    sample->truths = calloc(sample->count * (size_t)q->k + 1, sizeof *sample->truths);
    if (sample->truths == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    for (size_t i = 0; i < sample->count; i++) {
        enum tq_status status = fetch(q->v, q->fetch, q->table.name, sample, i);
        if (status == TQ_OK && q->truth) status = read_truth(q, &sample->asked[i], sample->truths + i * (size_t)q->k);
        (void)sqlite3_reset(q->fetch);
        TQ_TRY(status);
    }
    return TQ_OK;
}

static enum tq_status prepare(struct queries *q, const char *column) {
    static const char *const functions[] = {"tq_cosine", "tq_ip", "tq_l2"};
    TQ_TRY(shell_prepare_format(q->v->session, &q->fetch, "SELECT tq_f32(\"%w\"), %s FROM %s WHERE rowid = ?1", column,
                                q->truth ? "neighbors" : "NULL", q->quoted));
    return shell_prepare_format(q->v->session, &q->score, "SELECT %s(\"%w\", ?1) FROM %s WHERE rowid = ?2",
                                functions[q->v->metric], q->v->column, q->v->quoted);
}

static enum tq_status take_queries(struct queries *q, const struct shell_sample_request *request,
                                   struct shell_sample *sample) {
    const char *column = has_column(q, "embedding") ? "embedding" : q->v->column;
    struct drawn drawn = {NULL, 0};
    sqlite3_stmt *statement = NULL;
    if (!has_column(q, column))
        return tq_fail(TQ_MISUSE, "%s has no column embedding or %s", q->table.name, q->v->column);
    TQ_TRY(shell_prepare_format(q->v->session, &statement, "SELECT rowid FROM %s WHERE \"%w\" IS NOT NULL", q->quoted,
                                column));
    enum tq_status status = draw(q->v, statement, request, &drawn);
    (void)sqlite3_finalize(statement);
    if (status == TQ_OK) status = make_room(q->v, &drawn, sample);
    if (status == TQ_OK) status = prepare(q, column);
    if (status == TQ_OK) status = read_queries(q, sample);
    free(drawn.ids);
    return status;
}

/* ---- Which of both ---- */

static enum tq_status find(struct queries *q, const char *word) {
    TQ_TRY(shell_table_find(q->v->session, word, &q->table));
    q->quoted = sqlite3_mprintf("\"%w\".\"%w\"", q->table.schema, q->table.name);
    if (q->quoted == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    q->truth = has_column(q, "neighbors");
    return TQ_OK;
}

/* q->table.name stays NULL where rows of the table itself are meant. */
static enum tq_status choose(const struct shell_vectors *v, const struct shell_sample_request *request,
                             struct queries *q) {
    if (request->queries != NULL && strcmp(request->queries, "none") == 0) return TQ_OK;
    if (request->queries != NULL) {
        TQ_TRY(find(q, request->queries));
        if (q->table.kind != SHELL_TABLE_MISSING) return TQ_OK;
        return tq_fail(TQ_NOT_FOUND, "no such table: %s", request->queries);
    }
    char *word = sqlite3_mprintf("%s.%s_queries", v->table.schema, v->table.name);
    if (word == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = find(q, word);
    sqlite3_free(word);
    if (status == TQ_OK && (!q->truth || !has_column(q, "embedding"))) {
        q->truth = false;
        shell_table_clear(&q->table);
    }
    return status;
}

static enum tq_status take(struct queries *q, const struct shell_sample_request *request, struct shell_sample *sample) {
    const struct shell_vectors *v = q->v;
    if (v->vectors == 0) return tq_fail(TQ_MISUSE, "%s.%s has no vectors", v->table.name, v->column);
    if (v->rows == TQ_ROWS_NONE && !q->truth && !request->unjudged)
        return tq_fail(TQ_MISUSE,
                       "%s keeps no vectors (rows=none), so nothing tells what is near in truth; --queries"
                       " names a table with columns embedding and neighbors that does",
                       v->table.name);
    TQ_TRY(q->table.name == NULL ? take_rows(v, request, sample) : take_queries(q, request, sample));
    if (sample->count == 0) return tq_fail(TQ_MISUSE, "%s has no queries", q->table.name);
    if (q->table.name == NULL)
        sample->source = sqlite3_mprintf("%llu row%s of %s as queries, each left out of its own answer",
                                         (unsigned long long)sample->count, sample->count == 1 ? "" : "s",
                                         v->table.name);
    else
        sample->source = sqlite3_mprintf("%llu quer%s of %s%s", (unsigned long long)sample->count,
                                         sample->count == 1 ? "y" : "ies", q->table.name,
                                         q->truth ? ", with the neighbours given there" : "");
    return sample->source == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

enum tq_status shell_sample_take(const struct shell_vectors *v, const struct shell_sample_request *request,
                                 struct shell_sample *sample) {
    struct queries queries = {.v = v, .k = request->k};
    struct shell_sample taken = {.asked = NULL};
    enum tq_status status = choose(v, request, &queries);
    if (status == TQ_OK) status = take(&queries, request, &taken);
    (void)sqlite3_finalize(queries.fetch);
    (void)sqlite3_finalize(queries.score);
    shell_table_clear(&queries.table);
    sqlite3_free(queries.quoted);
    if (status == TQ_OK)
        *sample = taken;
    else
        shell_sample_free(&taken);
    return status;
}
