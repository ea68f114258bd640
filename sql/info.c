/* tq_info(), tq_explain(), tq_config(): what there is, what was done, and how it is to be done. */
#include <stdlib.h>
#include <string.h>

#include "sql/functions.h"
#include "src/base/alloc.h"

static const char *const order_names[] = {"exact", "approximate", "scan"};
static const char *const metric_names[] = {"cosine", "ip", "l2"};
static const char *const rows_names[] = {"f32", "f16", "none"};

static void result_built(sqlite3_context *context, sqlite3_str *out) {
    char *text = sqlite3_str_finish(out);
    if (text == NULL)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_text(context, text, -1, sqlite3_free);
}

static void append_text(sqlite3_str *out, const char *text) {
    sqlite3_str_appendchar(out, 1, '"');
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') sqlite3_str_appendchar(out, 1, '\\');
        if (c < 0x20)
            sqlite3_str_appendf(out, "\\u%04x", c);
        else
            sqlite3_str_appendchar(out, 1, (char)c);
    }
    sqlite3_str_appendchar(out, 1, '"');
}

/* ---- tq_info('words'), tq_info('words', 'aux') ---- */

/* Naming a table makes SQLite connect it, and then it is in the registry. */
static enum tq_status find_table(struct tq_sql *sql, const char *name, const char *schema,
                                 struct tq_sql_table **table) {
    char *text = sqlite3_mprintf("SELECT rowid FROM \"%w\".\"%w\" LIMIT 0", schema, name);
    sqlite3_stmt *statement = NULL;
    int rc = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(sql->db, text, -1, &statement, NULL);
    sqlite3_free(text);
    (void)sqlite3_finalize(statement);
    if (rc != SQLITE_OK) return tq_sql_fail(sql->db, rc, NULL);
    *table = tq_sql_table_find(sql, schema, name);
    if (*table == NULL) return tq_fail(TQ_MISUSE, "\"%s\" is not a tq table", name);
    return tq_sql_table_open(*table);
}

struct totals {
    uint64_t segments, dead, code_bytes, exact_bytes, nulls;
};

static enum tq_status count_nulls(struct tq_sql_table *table, uint64_t *nulls) {
    sqlite3_stmt *statement = NULL;
    TQ_TRY(tq_sql_prepare(table, TQ_SQL_NULL_IDS, 0, &statement));
    while (sqlite3_step(statement) == SQLITE_ROW) ++*nulls;
    (void)sqlite3_reset(statement);
    return TQ_OK;
}

static struct totals add_up(const struct tq_view *view) {
    struct totals totals = {0};
    for (size_t i = 0; i < view->count; i++) {
        const struct tq_view_segment *from = &view->segments[i];
        totals.dead += from->dead_count;
        if (view->log_rows > 0 && i + 1 == view->count) break;
        totals.segments++;
        totals.code_bytes += tq_segment_code_bytes(from->segment);
        totals.exact_bytes += tq_segment_exact_bytes(from->segment);
    }
    return totals;
}

static enum tq_status describe(struct tq_sql_table *table, sqlite3_str *out) {
    const struct tq_codec *codec = table->access->codec;
    const struct tq_format *format = &codec->format;
    struct tq_view view;
    TQ_TRY(tq_table_view(table->access->table, &view));
    struct totals totals = add_up(&view);
    TQ_TRY(count_nulls(table, &totals.nulls));
    sqlite3_str_appendall(out, "{\"table\":");
    append_text(out, table->name);
    sqlite3_str_appendall(out, ",\"column\":");
    append_text(out, table->column);
    sqlite3_str_appendf(out, ",\"dim\":%u,\"metric\":\"%s\",\"bits\":%u,\"qjl\":%d,\"rows\":\"%s\",\"seed\":%llu",
                        format->dim, metric_names[format->metric], format->bits, format->qjl ? 1 : 0,
                        rows_names[format->rows], (unsigned long long)format->seed);
    sqlite3_str_appendf(out, ",\"vectors\":%llu,\"nulls\":%llu,\"log\":%llu,\"dead\":%llu,\"segments\":%llu", view.live,
                        totals.nulls, view.log_rows, totals.dead, totals.segments);
    sqlite3_str_appendf(out, ",\"code_bytes\":%llu,\"exact_bytes\":%llu,\"isa\":\"%s\",\"folder\":", totals.code_bytes,
                        totals.exact_bytes, codec->kernels.name);
    append_text(out, table->place->temporary ? "" : tq_env_path(table->place->env));
    if (table->sql->notice != NULL) {
        sqlite3_str_appendall(out, ",\"notice\":");
        append_text(out, table->sql->notice);
    }
    sqlite3_str_appendchar(out, 1, '}');
    if (table->cursors == NULL) tq_table_release(table->access->table);
    return TQ_OK;
}

static void run_info(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    struct tq_sql_table *table = NULL;
    const char *name = (const char *)sqlite3_value_text(values[0]);
    const char *schema = count > 1 ? (const char *)sqlite3_value_text(values[1]) : "main";
    if (name == NULL || schema == NULL) return;
    sqlite3_str *out = sqlite3_str_new(sql->db);
    enum tq_status status = find_table(sql, name, schema, &table);
    if (status == TQ_OK) status = describe(table, out);
    if (status == TQ_OK) {
        result_built(context, out);
        return;
    }
    sqlite3_free(sqlite3_str_finish(out));
    tq_function_fail(context, "tq_info", status);
}

/* ---- tq_explain() ---- */

static void run_explain(sqlite3_context *context, int count, sqlite3_value **values) {
    const struct tq_sql *sql = sqlite3_user_data(context);
    const struct tq_sql_last *last = &sql->last;
    (void)count;
    (void)values;
    if (last->table == NULL) return;
    sqlite3_str *out = sqlite3_str_new(sql->db);
    sqlite3_str_appendall(out, "{\"table\":");
    append_text(out, last->table);
    sqlite3_str_appendf(out, ",\"path\":\"%s\",\"returned\":%llu", last->path, last->returned);
    if (last->why != NULL) {
        sqlite3_str_appendall(out, ",\"why\":");
        append_text(out, last->why);
    }
    if (last->searches > 0) {
        sqlite3_str_appendf(out, ",\"searches\":%llu,\"k\":%llu,\"rows\":%llu,\"second\":%llu", last->searches, last->k,
                            last->stats.rows, last->stats.second);
        sqlite3_str_appendf(out, ",\"survivors\":%llu,\"ranked\":%llu", last->stats.survivors, last->stats.ranked);
    }
    sqlite3_str_appendchar(out, 1, '}');
    result_built(context, out);
}

/* ---- tq_config('order_by'), tq_config('confidence', 2.5) ---- */

static enum tq_status set_order(struct tq_sql *sql, sqlite3_value *value) {
    const char *text = (const char *)sqlite3_value_text(value);
    for (size_t i = 0; text != NULL && i < TQ_COUNT(order_names); i++) {
        if (sqlite3_stricmp(text, order_names[i]) != 0) continue;
        sql->order_by = (enum tq_order_by)i;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "order_by is \"%.40s\"; it must be exact, approximate or scan", text == NULL ? "" : text);
}

static enum tq_status set_confidence(struct tq_sql *sql, sqlite3_value *value) {
    struct tq_search_options options = sql->options;
    const char *text = (const char *)sqlite3_value_text(value);
    bool exact = text != NULL && sqlite3_stricmp(text, "exact") == 0;
    int type = sqlite3_value_numeric_type(value);
    if (!exact && type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
        return tq_fail(TQ_MISUSE, "confidence is \"%.40s\"; it must be a number above 0, or exact",
                       text == NULL ? "" : text);
    }
    options.confidence = exact ? TQ_EXACT : sqlite3_value_double(value);
    TQ_TRY(tq_search_check(&options, 1));
    sql->options = options;
    return TQ_OK;
}

static enum tq_status set_oversample(struct tq_sql *sql, sqlite3_value *value) {
    struct tq_search_options options = sql->options;
    options.oversample = sqlite3_value_double(value);
    TQ_TRY(tq_search_check(&options, 1));
    sql->options = options;
    return TQ_OK;
}

static enum tq_status set_threads(struct tq_sql *sql, sqlite3_value *value) {
    struct tq_search_options options = sql->options;
    sqlite3_int64 threads = sqlite3_value_int64(value);
    options.threads = threads < 0 || threads > 1000 ? 0 : (int)threads;
    TQ_TRY(tq_search_check(&options, 1));
    sql->options = options;
    return TQ_OK;
}

static void result_setting(sqlite3_context *context, const struct tq_sql *sql, size_t which) {
    switch (which) {
    case 0: sqlite3_result_text(context, order_names[sql->order_by], -1, SQLITE_STATIC); break;
    case 1:
        if (sql->options.confidence >= TQ_EXACT)
            sqlite3_result_text(context, "exact", -1, SQLITE_STATIC);
        else
            sqlite3_result_double(context, sql->options.confidence);
        break;
    case 2: sqlite3_result_double(context, sql->options.oversample); break;
    default: sqlite3_result_int(context, sql->options.threads); break;
    }
}

static void run_config(sqlite3_context *context, int count, sqlite3_value **values) {
    static const struct {
        const char *key;
        enum tq_status (*set)(struct tq_sql *, sqlite3_value *);
    } settings[] = {{"order_by", set_order},
                    {"confidence", set_confidence},
                    {"oversample", set_oversample},
                    {"threads", set_threads}};
    struct tq_sql *sql = sqlite3_user_data(context);
    const char *key = (const char *)sqlite3_value_text(values[0]);
    size_t which = 0;
    while (which < TQ_COUNT(settings) && sqlite3_stricmp(key == NULL ? "" : key, settings[which].key) != 0) which++;
    enum tq_status status = TQ_OK;
    if (which == TQ_COUNT(settings)) {
        status = tq_fail(TQ_MISUSE, "unknown setting \"%.40s\"; there are order_by, confidence, oversample and threads",
                         key == NULL ? "" : key);
    } else if (count > 1) {
        status = settings[which].set(sql, values[1]);
    }
    if (status != TQ_OK)
        tq_function_fail(context, "tq_config", status);
    else
        result_setting(context, sql, which);
}

int tq_info_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_info", 1, SQLITE_DIRECTONLY, run_info},       {"tq_info", 2, SQLITE_DIRECTONLY, run_info},
        {"tq_explain", 0, SQLITE_DIRECTONLY, run_explain}, {"tq_config", 1, SQLITE_DIRECTONLY, run_config},
        {"tq_config", 2, SQLITE_DIRECTONLY, run_config},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
