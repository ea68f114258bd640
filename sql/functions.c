/* Functions of vectors. They know nothing of tables: each takes float32 blobs or JSON, wherever they come from.
 *
 * Every score is tq_exact_score()'s, so that ORDER BY, MATCH and the C library agree to the last bit. */
#include "sql/functions.h"

#include <string.h>

#include "sql/value.h"
#include "sql/where.h"
#include "src/base/alloc.h"

const char *const tq_function_names[TQ_FN_COUNT] = {"tq_ip", "tq_cosine", "tq_l2", "tq_distance"};

void tq_function_fail(sqlite3_context *context, const char *name, enum tq_status status) {
    if (status == TQ_NOMEM) {
        sqlite3_result_error_nomem(context);
        return;
    }
    char *text = sqlite3_mprintf("%s: %s", name, tq_message());
    sqlite3_result_error(context, text == NULL ? name : text, -1);
    sqlite3_free(text);
    if (status != TQ_MISUSE && status != TQ_NOT_FOUND) sqlite3_result_error_code(context, tq_sql_code(status));
}

void tq_function_return(sqlite3_context *context, const char *name, enum tq_status status, float *vector, size_t dim) {
    if (status == TQ_OK) {
        sqlite3_result_blob64(context, vector, dim * sizeof *vector, tq_free);
        return;
    }
    tq_free(vector);
    tq_function_fail(context, name, status);
}

/* ---- Scores ---- */

/* One side of a score, prepared. SQLite keeps it for a call whose argument does not change during the statement. */
struct side {
    float *data;
    size_t dim;
    double norm2;
};

static void side_free(void *memory) {
    struct side *side = memory;
    tq_free(side->data);
    tq_free(side);
}

static enum tq_status side_make(struct tq_sql *sql, sqlite3_value *value, struct side **side) {
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t dim = 0;
    struct side *made = tq_alloc(sizeof *made);
    enum tq_status status = made == NULL ? TQ_NOMEM : tq_value_vector(value, &floats, &vector, &dim);
    if (status == TQ_OK) status = tq_vector_check_finite(vector, dim);
    float *copy = status == TQ_OK ? tq_alloc_array(dim, sizeof *copy) : NULL;
    if (status == TQ_OK && copy == NULL) status = TQ_NOMEM;
    if (status == TQ_OK) {
        memcpy(copy, vector, dim * sizeof *copy);
        *made = (struct side){.data = copy, .dim = dim, .norm2 = sql->plain->kernels.dot_f32(copy, copy, dim)};
        *side = made;
    } else {
        tq_free(made);
    }
    tq_free(floats.data);
    return status;
}

static enum tq_status score(struct tq_sql *sql, enum tq_metric metric, const struct side *side, sqlite3_value *value,
                            double *result) {
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t dim = 0;
    char text[64];
    enum tq_status status = tq_value_vector(value, &floats, &vector, &dim);
    if (status == TQ_OK && dim != side->dim) {
        tq_value_describe(value, dim, text);
        status = tq_fail(TQ_MISUSE, "one vector has %zu dimension%s, the other has %s", side->dim,
                         side->dim == 1 ? "" : "s", text);
    }
    if (status == TQ_OK) {
        struct tq_query query = {.exact = side->data, .norm2 = side->norm2};
        sql->plain->format.dim = (uint32_t)dim;
        *result = tq_exact_score(sql->plain, &query, metric, vector, NULL);
        /* Products of finite floats cannot overflow a double. */
        if (!isfinite(*result)) status = tq_vector_check_finite(vector, dim);
    }
    tq_free(floats.data);
    return status;
}

static enum tq_status metric_of(enum tq_function function, sqlite3_value **values, enum tq_metric *metric) {
    static const enum tq_metric own[] = {[TQ_FN_IP] = TQ_IP, [TQ_FN_COSINE] = TQ_COSINE, [TQ_FN_L2] = TQ_L2};
    if (function != TQ_FN_DISTANCE) {
        *metric = own[function];
        return TQ_OK;
    }
    for (int i = 0; i < 2; i++) {
        unsigned subtype = sqlite3_value_subtype(values[i]);
        if (subtype < tq_metric_subtype(TQ_COSINE) || subtype > tq_metric_subtype(TQ_L2)) continue;
        *metric = (enum tq_metric)(subtype - tq_metric_subtype(TQ_COSINE));
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "neither vector comes directly from a tq table, whose metric would decide; "
                              "use tq_cosine, tq_l2 or tq_ip");
}

/* The constant side, whichever it is: prepared by the first call. Both are offered to SQLite then, and it forgets the
 * one that changes. */
static enum tq_status prepared_side(sqlite3_context *context, sqlite3_value **values, struct side **side, int *other,
                                    bool *fresh) {
    struct tq_sql *sql = sqlite3_user_data(context);
    *fresh = false;
    for (int i = 1; i >= 0; i--) {
        *other = 1 - i;
        *side = sqlite3_get_auxdata(context, i);
        if (*side != NULL) return TQ_OK;
    }
    *fresh = true;
    *other = 0;
    return side_make(sql, values[1], side);
}

static void run_score(sqlite3_context *context, enum tq_function function, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    struct side *side = NULL, *first = NULL;
    enum tq_metric metric = TQ_IP;
    double result = 0;
    int other = 0;
    bool fresh = false;
    if (sql->waiting.cursor != NULL) tq_nearest_hear(sql, function, values);
    if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
    enum tq_status status = metric_of(function, values, &metric);
    if (status == TQ_OK) status = prepared_side(context, values, &side, &other, &fresh);
    if (status == TQ_OK) status = score(sql, metric, side, values[other], &result);
    if (status == TQ_OK && fresh) status = side_make(sql, values[0], &first);
    if (status != TQ_OK) {
        if (fresh && side != NULL) side_free(side);
        tq_function_fail(context, tq_function_names[function], status);
        return;
    }
    if (fresh) {
        sqlite3_set_auxdata(context, 1, side, side_free);
        sqlite3_set_auxdata(context, 0, first, side_free);
    }
    bool distance = function == TQ_FN_DISTANCE || function == TQ_FN_L2;
    sqlite3_result_double(context, distance ? tq_distance(metric, result) : result);
}

static void run_ip(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_score(context, TQ_FN_IP, values);
}

static void run_cosine(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_score(context, TQ_FN_COSINE, values);
}

static void run_l2(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_score(context, TQ_FN_L2, values);
}

static void run_distance(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_score(context, TQ_FN_DISTANCE, values);
}

/* ---- Single vectors ---- */

enum shape { SHAPE_F32, SHAPE_JSON, SHAPE_NORMALIZE, SHAPE_DIM };

static void result_json(sqlite3_context *context, const float *vector, size_t dim) {
    sqlite3_str *out = sqlite3_str_new(sqlite3_context_db_handle(context));
    tq_vector_to_json(out, vector, dim);
    char *text = sqlite3_str_finish(out);
    if (text == NULL)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_text(context, text, -1, sqlite3_free);
}

static void result_unit(struct tq_sql *sql, sqlite3_context *context, const float *vector, size_t dim) {
    double norm2 = sql->plain->kernels.dot_f32(vector, vector, dim), scale = norm2 > 0 ? 1 / sqrt(norm2) : 0;
    float *unit = tq_alloc_array(dim, sizeof *unit);
    for (size_t i = 0; i < dim && unit != NULL; i++) unit[i] = (float)((double)vector[i] * scale);
    tq_function_return(context, "tq_normalize", unit == NULL ? TQ_NOMEM : TQ_OK, unit, dim);
}

static void run_vector(sqlite3_context *context, enum shape shape, const char *name, sqlite3_value *value) {
    struct tq_sql *sql = sqlite3_user_data(context);
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t dim = 0;
    if (sqlite3_value_type(value) == SQLITE_NULL) return;
    enum tq_status status = tq_value_vector(value, &floats, &vector, &dim);
    if (status == TQ_OK && shape == SHAPE_NORMALIZE) status = tq_vector_check_finite(vector, dim);
    if (status != TQ_OK)
        tq_function_fail(context, name, status);
    else if (shape == SHAPE_F32)
        sqlite3_result_blob64(context, vector, dim * sizeof *vector, SQLITE_TRANSIENT);
    else if (shape == SHAPE_JSON)
        result_json(context, vector, dim);
    else if (shape == SHAPE_NORMALIZE)
        result_unit(sql, context, vector, dim);
    else
        sqlite3_result_int64(context, (sqlite3_int64)dim);
    tq_free(floats.data);
}

static void run_f32(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_vector(context, SHAPE_F32, "tq_f32", values[0]);
}

static void run_json(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_vector(context, SHAPE_JSON, "tq_json", values[0]);
}

static void run_normalize(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_vector(context, SHAPE_NORMALIZE, "tq_normalize", values[0]);
}

static void run_dim(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_vector(context, SHAPE_DIM, "tq_dim", values[0]);
}

static void run_version(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    (void)values;
    sqlite3_result_text(context, tq_version(), -1, SQLITE_STATIC);
}

/* ---- JSON ---- */

void tq_function_return_built(sqlite3_context *context, sqlite3_str *out) {
    char *text = sqlite3_str_finish(out);
    if (text == NULL)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_text(context, text, -1, sqlite3_free);
}

void tq_function_append_text(sqlite3_str *out, const char *text) {
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

/* ---- Registration ---- */

int tq_functions_create(struct tq_sql *sql, const struct tq_sql_function *functions, size_t count) {
    int rc = SQLITE_OK;
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++) {
        const struct tq_sql_function *f = &functions[i];
        rc = sqlite3_create_function_v2(sql->db, f->name, f->arguments, SQLITE_UTF8 | f->flags, sql, f->run, NULL, NULL,
                                        NULL);
    }
    return rc;
}

int tq_functions_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_ip", 2, TQ_FN_PURE, run_ip},
        {"tq_cosine", 2, TQ_FN_PURE, run_cosine},
        {"tq_l2", 2, TQ_FN_PURE, run_l2},
        {"tq_distance", 2, TQ_FN_PURE | SQLITE_SUBTYPE, run_distance},
        {"tq_f32", 1, TQ_FN_PURE, run_f32},
        {"tq_json", 1, TQ_FN_PURE, run_json},
        {"tq_normalize", 1, TQ_FN_PURE, run_normalize},
        {"tq_dim", 1, TQ_FN_PURE, run_dim},
        {"tq_version", 0, TQ_FN_PURE, run_version},
    };
    int rc = tq_functions_create(sql, functions, TQ_COUNT(functions));
    if (rc == SQLITE_OK) rc = tq_vector_functions_register(sql);
    if (rc == SQLITE_OK) rc = tq_aggregates_register(sql);
    if (rc == SQLITE_OK) rc = tq_codes_register(sql);
    if (rc == SQLITE_OK) rc = tq_each_register(sql);
    if (rc == SQLITE_OK) rc = tq_check_register(sql);
    if (rc == SQLITE_OK) rc = tq_repair_register(sql);
    if (rc == SQLITE_OK) rc = tq_upkeep_register(sql);
    if (rc == SQLITE_OK) rc = tq_pack_register(sql);
    if (rc == SQLITE_OK) rc = tq_machine_register(sql);
    if (rc == SQLITE_OK) rc = tq_where_register(sql);
    return rc;
}
