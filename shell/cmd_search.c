/* .search and .similar: one search, written as SQL. */
#include <stdio.h>
#include <string.h>

#include "shell/arguments.h"
#include "shell/commands.h"
#include "shell/vector_query.h"
#include "src/base/base.h"

enum { K_MOST = 1000000, QUERIES_MOST = 10, METADATA_MOST = 5 };

struct search {
    struct shell_vectors vectors;
    struct shell_query query;
    int64_t k;
    const char *where, *settings; /* NULL: none; "confidence=2.5 device=gpu" */
};

/* ---- The statement ---- */

static void append_score(const struct shell_session *session, const char *name, sqlite3_str *sql) {
    bool for_programs = session->look.mode == SHELL_CSV || session->look.mode == SHELL_JSON;
    sqlite3_str_appendf(sql, for_programs ? ", %s" : ", round(%s, 6) AS %s", name, name);
}

/* Key or id, score, distance, and the first columns that are neither vectors nor kept apart. */
static enum tq_status append_columns(const struct shell_vectors *v, sqlite3_str *sql) {
    static const char list[] = "SELECT json_extract(value, '$.name') FROM json_each(?1, '$.columns')"
                               " WHERE json_extract(value, '$.kind') IN ('metadata', 'partition') LIMIT %d";
    sqlite3_stmt *statement = NULL;
    if (v->key != NULL)
        sqlite3_str_appendf(sql, "\"%w\"", v->key);
    else
        sqlite3_str_appendf(sql, v->has_id ? "\"%w\"" : "%s", v->id);
    append_score(v->session, "score", sql);
    append_score(v->session, "distance", sql);
    TQ_TRY(shell_prepare_format(v->session, &statement, list, METADATA_MOST));
    int rc = sqlite3_bind_text(statement, 1, v->info, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        sqlite3_str_appendf(sql, ", \"%w\"", sqlite3_column_text(statement, 0));
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? TQ_OK : shell_session_fail(v->session, rc);
}

/* query: an SQL expression. */
static void append_match(const struct search *s, const char *query, sqlite3_str *sql) {
    if (s->settings == NULL)
        sqlite3_str_appendf(sql, " WHERE \"%w\" MATCH %s", s->vectors.column, query);
    else
        sqlite3_str_appendf(sql, " WHERE \"%w\" MATCH tq_query(%s, '%q')", s->vectors.column, query, s->settings);
    if (s->query.is_row) sqlite3_str_appendf(sql, " AND rowid <> %lld", (long long)s->query.row);
    if (s->where != NULL) sqlite3_str_appendf(sql, " AND (%s)", s->where);
}

/* One search; number: which of several queries it is for. */
static enum tq_status append_search(const struct search *s, size_t number, sqlite3_str *sql) {
    const struct shell_vectors *v = &s->vectors;
    char *query = sqlite3_mprintf("?1");
    sqlite3_str_appendall(sql, "SELECT ");
    if (s->query.is_row) {
        sqlite3_free(query);
        query = sqlite3_mprintf("(SELECT \"%w\" FROM %s WHERE rowid = %lld)", v->column, v->quoted,
                                (long long)s->query.row);
    } else if (s->query.count > 1) {
        sqlite3_free(query);
        query = sqlite3_mprintf("json_extract(?1, '$[%llu]')", (unsigned long long)number);
        sqlite3_str_appendf(sql, "%llu AS query, ", (unsigned long long)number);
    }
    if (query == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    enum tq_status status = append_columns(v, sql);
    sqlite3_str_appendf(sql, " FROM %s", v->quoted);
    append_match(s, query, sql);
    /* The column, not the rounded result of that name. */
    sqlite3_str_appendf(sql, " ORDER BY %s.score DESC LIMIT %lld", v->quoted, (long long)s->k);
    sqlite3_free(query);
    return status;
}

static enum tq_status append_statement(const struct search *s, sqlite3_str *sql) {
    if (s->query.count == 1) return append_search(s, 0, sql);
    for (size_t i = 0; i < s->query.count; i++) {
        sqlite3_str_appendall(sql, i == 0 ? "SELECT * FROM (" : " UNION ALL SELECT * FROM (");
        TQ_TRY(append_search(s, i, sql));
        sqlite3_str_appendchar(sql, 1, ')');
    }
    return TQ_OK;
}

static enum tq_status run(const struct search *s) {
    sqlite3_str *built = sqlite3_str_new(s->vectors.session->db);
    enum tq_status status = append_statement(s, built);
    char *sql = sqlite3_str_finish(built);
    if (status == TQ_OK && sql == NULL) status = tq_fail(TQ_NOMEM, "out of memory");
    if (status == TQ_OK) status = shell_session_show(s->vectors.session, sql, s->query.vectors);
    sqlite3_free(sql);
    if (status == TQ_OK && s->query.more)
        (void)fprintf(stderr, "the file has more vectors than these %zu\n", s->query.count);
    return status;
}

/* ---- The commands ---- */

struct words {
    const char *column, *confidence, *where, *device;
    bool exact;
};

static enum tq_status read_settings(const struct words *words, char **settings) {
    double number = 0;
    const char *confidence = words->exact ? "exact" : words->confidence, *device = words->device;
    *settings = NULL;
    if (words->exact && words->confidence != NULL)
        return tq_fail(TQ_MISUSE, "--exact and --confidence say the same: one of them is enough");
    if (confidence != NULL && strcmp(confidence, "exact") != 0)
        TQ_TRY(shell_read_real("--confidence", confidence, 1e-3, 1e30, &number));
    if (device != NULL) TQ_TRY(shell_check_device(device));
    if (confidence == NULL && device == NULL) return TQ_OK;
    *settings = sqlite3_mprintf("%s%s%s%s",
                                confidence == NULL ? "" : "confidence=", confidence == NULL ? "" : confidence,
                                device == NULL ? "" : " device=", device == NULL ? "" : device);
    return *settings == NULL ? tq_fail(TQ_NOMEM, "out of memory") : TQ_OK;
}

static enum tq_status ask(struct search *s, const char *what, bool row_only) {
    bool found = false;
    if (!row_only) return shell_query_read(&s->vectors, what, QUERIES_MOST, &s->query);
    TQ_TRY(shell_query_row(&s->vectors, what, &s->query, &found));
    return found ? TQ_OK : shell_query_no_row(&s->vectors, what);
}

static enum tq_status search(struct shell_session *session, int count, char **words, bool row_only) {
    struct words given = {.column = NULL};
    struct search s = {.k = 10};
    char *settings = NULL;
    const struct shell_option options[] = {{"--column", &given.column, NULL},
                                           {"--confidence", &given.confidence, NULL},
                                           {"--where", &given.where, NULL},
                                           {"--device", &given.device, NULL},
                                           {"--exact", NULL, &given.exact}};
    TQ_TRY(shell_options_read(options, TQ_COUNT(options), &count, words));
    if (count < 3 || count > 4) return shell_command_usage(words[0]);
    if (count == 4) TQ_TRY(shell_read_integer("k", words[3], 1, K_MOST, &s.k));
    TQ_TRY(read_settings(&given, &settings));
    s.where = given.where;
    s.settings = settings;
    enum tq_status status = shell_vectors_open(session, words[1], given.column, &s.vectors);
    if (status == TQ_OK) status = ask(&s, words[2], row_only);
    if (status == TQ_OK) status = run(&s);
    shell_query_free(&s.query);
    shell_vectors_close(&s.vectors);
    sqlite3_free(settings);
    return status;
}

enum tq_status shell_cmd_search(struct shell_session *session, int count, char **words) {
    return search(session, count, words, false);
}

enum tq_status shell_cmd_similar(struct shell_session *session, int count, char **words) {
    return search(session, count, words, true);
}
