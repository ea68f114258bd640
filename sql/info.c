/* tq_info(), tq_explain(), tq_config(), tq_query(): what there is, what was done, and how it is to be done. */
#include <string.h>

#include "sql/functions.h"
#include "sql/host_stop.h"
#include "sql/options.h"
#include "sql/value.h"
#include "src/base/alloc.h"
#include "src/base/format.h"

static const char *const order_names[] = {"exact", "approximate", "scan"};
static const char *const metric_names[] = {"cosine", "ip", "l2"};
static const char *const rows_names[] = {"f32", "f16", "none"};

/* ---- tq_info('words'), tq_info('words', 'aux'), tq_info('words', 'main', 'full') ---- */

/* Of one vector column, over all partitions. */
struct totals {
    uint64_t vectors, log, segments, dead, code_bytes, exact_bytes;
    int64_t nulls;
    struct tq_scales scales; /* of a full one */
};

static bool in_memory(const struct tq_segment *segment) {
    uint64_t identity[2];
    tq_segment_identity(segment, identity);
    return identity[0] == 0 && identity[1] == 0;
}

static struct totals add_up(const struct tq_view *view) {
    struct totals totals = {.vectors = view->live, .log = view->log_rows};
    for (size_t i = 0; i < view->count; i++) {
        const struct tq_view_segment *from = &view->segments[i];
        totals.dead += from->dead_count;
        if (in_memory(from->segment)) continue;
        totals.segments++;
        totals.code_bytes += tq_segment_code_bytes(from->segment);
        totals.exact_bytes += tq_segment_exact_bytes(from->segment);
    }
    return totals;
}

static enum tq_status look_at_column(struct tq_sql_table *table, const struct tq_sql_column *column,
                                     const struct tq_format *format, bool full, struct totals *totals) {
    struct tq_sql_view view = {.capacity = 0};
    enum tq_status status = tq_sql_view(table, column->number, NULL, NULL, 0, &view);
    if (status == TQ_OK) *totals = add_up(&view.view);
    if (status == TQ_OK && full) status = tq_view_scales(format, &view.view, &totals->scales);
    tq_sql_view_free(&view);
    TQ_TRY(status);
    char *text = sqlite3_mprintf("SELECT count(*) FROM \"%%w\".\"%%w_rows\" WHERE %s IS NULL", column->stored);
    if (text == NULL) return TQ_NOMEM;
    status = tq_sql_once(table, text, 0, NULL, &totals->nulls);
    sqlite3_free(text);
    return status;
}

static void describe_spread(const char *name, const struct tq_spread *spread, sqlite3_str *out) {
    if (spread->count == 0) return;
    sqlite3_str_appendf(out, ",\"%s\":{\"min\":%!.9g,\"mean\":%!.9g,\"max\":%!.9g}", name, spread->least,
                        spread->sum / (double)spread->count, spread->most);
}

/* "column":..., and so on, without braces. */
static enum tq_status describe_index(struct tq_sql_table *table, const struct tq_sql_column *column, bool full,
                                     sqlite3_str *out) {
    struct tq_format format;
    struct totals totals = {0};
    TQ_TRY(tq_format_init(&format, &column->options));
    TQ_TRY(look_at_column(table, column, &format, full, &totals));
    sqlite3_str_appendall(out, "\"column\":");
    tq_function_append_text(out, column->name);
    sqlite3_str_appendf(out, ",\"dim\":%u,\"metric\":\"%s\",\"bits\":%u,\"qjl\":%d,\"rows\":\"%s\",\"seed\":%llu",
                        format.dim, metric_names[format.metric], format.bits, format.qjl ? 1 : 0,
                        rows_names[format.rows], (unsigned long long)format.seed);
    sqlite3_str_appendf(out, ",\"vectors\":%llu,\"nulls\":%lld,\"log\":%llu,\"dead\":%llu,\"segments\":%llu",
                        totals.vectors, totals.nulls, totals.log, totals.dead, totals.segments);
    sqlite3_str_appendf(out, ",\"code_bytes\":%llu,\"exact_bytes\":%llu", totals.code_bytes, totals.exact_bytes);
    if (!full) return TQ_OK;
    sqlite3_str_appendf(out, ",\"zeros\":%llu", totals.scales.zeros);
    describe_spread("norm", &totals.scales.norm, out);
    describe_spread("scale", &totals.scales.scale, out);
    describe_spread("error", &totals.scales.error, out);
    return TQ_OK;
}

static void describe_columns(const struct tq_declaration *declaration, sqlite3_str *out) {
    static const char *const kinds[] = {"id", "key", "vector", "metadata", "partition", "auxiliary"};
    sqlite3_str_appendall(out, ",\"columns\":[");
    for (size_t i = 0; i < declaration->count; i++) {
        const struct tq_sql_column *column = &declaration->columns[i];
        sqlite3_str_appendall(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        tq_function_append_text(out, column->name);
        sqlite3_str_appendf(out, ",\"kind\":\"%s\",\"type\":", kinds[column->kind]);
        tq_function_append_text(out, column->type);
        if (column->kind == TQ_COLUMN_METADATA) sqlite3_str_appendf(out, ",\"indexed\":%d", column->indexed ? 1 : 0);
        sqlite3_str_appendchar(out, 1, '}');
    }
    sqlite3_str_appendchar(out, 1, ']');
}

static enum tq_status describe_partitions(struct tq_sql_table *table, sqlite3_str *out) {
    int64_t count = 0;
    if (table->declaration.partitions == 0) return TQ_OK;
    TQ_TRY(tq_sql_once(table, "SELECT count(*) FROM \"%w\".\"%w_parts\"", 0, NULL, &count));
    sqlite3_str_appendf(out, ",\"partitions\":%lld", count);
    return TQ_OK;
}

/* "{...},{...}", one for each vector column; sqlite3_free. */
static enum tq_status describe_indexes(struct tq_sql_table *table, bool full, char **text) {
    const struct tq_declaration *declaration = &table->declaration;
    sqlite3_str *out = sqlite3_str_new(table->sql->db);
    enum tq_status status = TQ_OK;
    for (size_t i = 0; i < declaration->vectors && status == TQ_OK; i++) {
        sqlite3_str_appendall(out, i == 0 ? "{" : ",{");
        status = describe_index(table, tq_declaration_vector(declaration, i), full, out);
        sqlite3_str_appendchar(out, 1, '}');
    }
    *text = sqlite3_str_finish(out);
    return status == TQ_OK && *text == NULL ? TQ_NOMEM : status;
}

/* As far as somebody has asked for one: looking for it may take a second. */
static void describe_gpu(sqlite3_str *out) {
    struct tq_device_state state;
    tq_device_get_state(false, &state);
    sqlite3_str_appendall(out, ",\"gpu\":");
    tq_function_append_text(out, state.usable ? state.device.name : state.why);
}

/* A table with one vector column has what is known of that at the top; any other table, and one with more columns, has
 * it in "indexes". */
static enum tq_status describe(struct tq_sql_table *table, bool full, sqlite3_str *out) {
    const struct tq_declaration *declaration = &table->declaration;
    char *indexes = NULL;
    enum tq_status status = describe_indexes(table, full, &indexes);
    if (status == TQ_OK) {
        sqlite3_str_appendall(out, "{\"table\":");
        tq_function_append_text(out, table->name);
        if (declaration->vectors == 1) sqlite3_str_appendf(out, ",%.*s", (int)strlen(indexes) - 2, indexes + 1);
        if (declaration->count > 1) {
            describe_columns(declaration, out);
            sqlite3_str_appendf(out, ",\"indexes\":[%s]", indexes);
        }
    }
    sqlite3_free(indexes);
    TQ_TRY(status);
    TQ_TRY(describe_partitions(table, out));
    sqlite3_str_appendf(out, ",\"isa\":\"%s\"", table->sql->plain->kernels.name);
    if (full) describe_gpu(out);
    sqlite3_str_appendall(out, ",\"folder\":");
    tq_function_append_text(out, table->place->temporary ? "" : tq_env_path(table->place->env));
    if (table->sql->notice != NULL) {
        sqlite3_str_appendall(out, ",\"notice\":");
        tq_function_append_text(out, table->sql->notice);
    }
    sqlite3_str_appendchar(out, 1, '}');
    return TQ_OK;
}

static enum tq_status inform(struct tq_sql *sql, const char *schema, const char *name, bool full, sqlite3_str *out) {
    struct tq_sql_table *table = NULL;
    struct tq_sql_stop stop;
    enum tq_status status = tq_sql_table_connect(sql, schema, name, &table);
    tq_sql_stop_begin(&stop, sql->db);
    if (table != NULL) tq_sql_parts_hold(table);
    if (status == TQ_OK) status = tq_sql_table_open(table);
    if (status == TQ_OK) status = describe(table, full, out);
    if (table != NULL) tq_sql_parts_let_go(table);
    if (table != NULL && table->cursors == NULL) tq_sql_parts_release(table);
    tq_sql_stop_end(&stop);
    return status;
}

static void run_info(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    const char *name = (const char *)sqlite3_value_text(values[0]);
    const char *schema = count > 1 ? (const char *)sqlite3_value_text(values[1]) : "main";
    const char *depth = count > 2 ? (const char *)sqlite3_value_text(values[2]) : "quick";
    if (name == NULL || schema == NULL || depth == NULL) return;
    bool full = sqlite3_stricmp(depth, "full") == 0;
    sqlite3_str *out = sqlite3_str_new(sql->db);
    enum tq_status status = TQ_OK;
    if (!full && sqlite3_stricmp(depth, "quick") != 0)
        status = tq_fail(TQ_MISUSE, "the depth is \"%.40s\"; it must be quick or full", depth);
    if (status == TQ_OK) status = inform(sql, schema, name, full, out);
    if (status == TQ_OK) {
        tq_function_return_built(context, out);
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
    tq_function_append_text(out, last->table);
    sqlite3_str_appendf(out, ",\"path\":\"%s\",\"returned\":%llu", last->path, last->returned);
    if (last->why != NULL) {
        sqlite3_str_appendall(out, ",\"why\":");
        tq_function_append_text(out, last->why);
    }
    if (last->filter != NULL) {
        sqlite3_str_appendall(out, ",\"filter\":");
        tq_function_append_text(out, last->filter);
    }
    if (last->searches > 0) {
        sqlite3_str_appendf(out, ",\"searches\":%llu,\"k\":%llu,\"rows\":%llu,\"second\":%llu", last->searches, last->k,
                            last->stats.rows, last->stats.second);
        sqlite3_str_appendf(out, ",\"survivors\":%llu,\"ranked\":%llu,\"gpu\":%llu", last->stats.survivors,
                            last->stats.ranked, last->stats.device);
    }
    sqlite3_str_appendchar(out, 1, '}');
    tq_function_return_built(context, out);
}

/* ---- tq_config('order_by'), tq_config('confidence', 2.5), tq_config() ---- */

enum {
    SETTING_ORDER,
    SETTING_CONFIDENCE,
    SETTING_OVERSAMPLE,
    SETTING_THREADS,
    SETTING_TIMEOUT,
    SETTING_DEVICE,
    SETTING_COUNT
};
static const char *const setting_names[SETTING_COUNT] = {"order_by", "confidence", "oversample",
                                                         "threads",  "timeout_ms", "device"};

static enum tq_status find_setting(const char *name, size_t *which) {
    for (*which = 0; *which < SETTING_COUNT; ++*which) {
        if (sqlite3_stricmp(name, setting_names[*which]) == 0) return TQ_OK;
    }
    return tq_fail(
        TQ_MISUSE,
        "unknown setting \"%.40s\"; there are order_by, confidence, oversample, threads, timeout_ms and device", name);
}

static void set_default(struct tq_sql *sql, size_t which) {
    struct tq_search_options defaults = tq_search_defaults();
    switch (which) {
    case SETTING_ORDER: sql->order_by = TQ_ORDER_EXACT; break;
    case SETTING_CONFIDENCE: sql->options.confidence = defaults.confidence; break;
    case SETTING_OVERSAMPLE: sql->options.oversample = defaults.oversample; break;
    case SETTING_THREADS: sql->options.threads = defaults.threads; break;
    case SETTING_TIMEOUT: sql->options.timeout_ms = defaults.timeout_ms; break;
    default: sql->options.device = defaults.device; break;
    }
}

static enum tq_status set_order(struct tq_sql *sql, const char *text) {
    for (size_t i = 0; i < TQ_COUNT(order_names); i++) {
        if (sqlite3_stricmp(text, order_names[i]) != 0) continue;
        sql->order_by = (enum tq_order_by)i;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "order_by is \"%.40s\"; it must be exact, approximate or scan", text);
}

static enum tq_status set(struct tq_sql *sql, size_t which, sqlite3_value *value) {
    if (sqlite3_value_type(value) == SQLITE_NULL) {
        set_default(sql, which);
        return TQ_OK;
    }
    const char *text = (const char *)sqlite3_value_text(value);
    if (text == NULL) return TQ_NOMEM;
    if (which == SETTING_ORDER) return set_order(sql, text);
    return tq_options_set(setting_names[which], text, (size_t)sqlite3_value_bytes(value), &sql->options);
}

static void result_setting(sqlite3_context *context, const struct tq_sql *sql, size_t which) {
    switch (which) {
    case SETTING_ORDER: sqlite3_result_text(context, order_names[sql->order_by], -1, SQLITE_STATIC); break;
    case SETTING_CONFIDENCE:
        if (sql->options.confidence >= TQ_EXACT)
            sqlite3_result_text(context, "exact", -1, SQLITE_STATIC);
        else
            sqlite3_result_double(context, sql->options.confidence);
        break;
    case SETTING_OVERSAMPLE: sqlite3_result_double(context, sql->options.oversample); break;
    case SETTING_THREADS: sqlite3_result_int(context, sql->options.threads); break;
    case SETTING_TIMEOUT: sqlite3_result_int(context, sql->options.timeout_ms); break;
    default: sqlite3_result_text(context, tq_options_device(sql->options.device), -1, SQLITE_STATIC); break;
    }
}

static void result_settings(sqlite3_context *context, const struct tq_sql *sql) {
    sqlite3_str *out = sqlite3_str_new(sql->db);
    sqlite3_str_appendf(out, "{\"order_by\":\"%s\",\"confidence\":", order_names[sql->order_by]);
    if (sql->options.confidence >= TQ_EXACT)
        sqlite3_str_appendall(out, "\"exact\"");
    else
        sqlite3_str_appendf(out, "%!.15g", sql->options.confidence);
    sqlite3_str_appendf(out, ",\"oversample\":%!.15g,\"threads\":%d,\"timeout_ms\":%d,\"device\":\"%s\"}",
                        sql->options.oversample, sql->options.threads, sql->options.timeout_ms,
                        tq_options_device(sql->options.device));
    tq_function_return_built(context, out);
}

static void run_config(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    if (count == 0) {
        result_settings(context, sql);
        return;
    }
    const char *name = (const char *)sqlite3_value_text(values[0]);
    size_t which = 0;
    enum tq_status status = find_setting(name == NULL ? "" : name, &which);
    if (status == TQ_OK && count > 1) status = set(sql, which, values[1]);
    if (status != TQ_OK)
        tq_function_fail(context, "tq_config", status);
    else
        result_setting(context, sql, which);
}

/* ---- tq_query(:q, 'confidence=2.5, threads=4') ---- */

static enum tq_status wrap_query(sqlite3_value *query, sqlite3_value *options, void **wrapped, size_t *size) {
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t dim = 0;
    const char *text = (const char *)sqlite3_value_text(options);
    if (text == NULL && sqlite3_value_type(options) != SQLITE_NULL) return TQ_NOMEM;
    if (text == NULL) text = "";
    enum tq_status status = tq_value_vector(query, &floats, &vector, &dim);
    if (status == TQ_OK) status = tq_vector_check_finite(vector, dim);
    if (status == TQ_OK) {
        /* A blob as it came: it may bring options of its own. */
        bool blob = sqlite3_value_type(query) == SQLITE_BLOB;
        const void *bytes = blob ? sqlite3_value_blob(query) : vector;
        size_t bytes_size = blob ? (size_t)sqlite3_value_bytes(query) : dim * sizeof *vector;
        status = tq_options_wrap(bytes, bytes_size, text, (size_t)sqlite3_value_bytes(options), wrapped, size);
    }
    tq_free(floats.data);
    return status;
}

static void run_query(sqlite3_context *context, int count, sqlite3_value **values) {
    void *wrapped = NULL;
    size_t size = 0;
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
    enum tq_status status = wrap_query(values[0], values[1], &wrapped, &size);
    if (status == TQ_OK)
        sqlite3_result_blob64(context, wrapped, size, tq_free);
    else
        tq_function_fail(context, "tq_query", status);
}

int tq_info_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_info", 1, SQLITE_DIRECTONLY, run_info},
        {"tq_info", 2, SQLITE_DIRECTONLY, run_info},
        {"tq_info", 3, SQLITE_DIRECTONLY, run_info},
        {"tq_explain", 0, SQLITE_DIRECTONLY, run_explain},
        {"tq_config", 0, SQLITE_DIRECTONLY, run_config},
        {"tq_config", 1, SQLITE_DIRECTONLY, run_config},
        {"tq_config", 2, SQLITE_DIRECTONLY, run_config},
        {"tq_query", 2, SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, run_query},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
