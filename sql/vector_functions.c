/* Vectors out of vectors: element types of other programs, arithmetic, parts.
 *
 * Results are float32 blobs of finite numbers; what float32 cannot hold is an error that names the element. tq_slice()
 * alone looks at no element, as tq_f32(). */
#include <string.h>

#include "sql/functions.h"
#include "sql/value.h"
#include "src/base/alloc.h"
#include "src/base/f16.h"

/* ---- Other element types ---- */

static double read_f16(const uint8_t *at) {
    uint16_t half;
    memcpy(&half, at, sizeof half);
    return (double)tq_f32_from_f16(half);
}

static double read_f64(const uint8_t *at) {
    double value;
    memcpy(&value, at, sizeof value);
    return value;
}

static double read_i8(const uint8_t *at) {
    int8_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

struct element {
    const char *function, *name;
    size_t size;
    double (*read)(const uint8_t *at);
};

static enum tq_status to_float(size_t i, double value, float *number) {
    if (!isfinite(value)) {
        return tq_fail(TQ_MISUSE, "element %zu is %s; it must be finite", i, isnan(value) ? "NaN" : "infinite");
    }
    *number = (float)value;
    if (isfinite(*number)) return TQ_OK;
    return tq_fail(TQ_MISUSE, "element %zu is %.9g, beyond the range of float32", i, value);
}

static enum tq_status widen(const struct element *element, sqlite3_value *value, float **vector, size_t *dim) {
    if (sqlite3_value_type(value) == SQLITE_TEXT) {
        return tq_fail(TQ_MISUSE, "%s elements come as a blob, not TEXT; JSON is for tq_f32", element->name);
    }
    if (sqlite3_value_type(value) != SQLITE_BLOB) {
        return tq_fail(TQ_MISUSE, "%s elements come as a blob, not %s", element->name, tq_value_type_name(value));
    }
    const uint8_t *bytes = sqlite3_value_blob(value);
    size_t size = (size_t)sqlite3_value_bytes(value), count = size / element->size;
    if (size == 0) return tq_fail(TQ_MISUSE, "the blob is empty");
    if (size % element->size != 0) {
        return tq_fail(TQ_MISUSE, "the blob has %zu bytes: %s vectors have a multiple of %zu", size, element->name,
                       element->size);
    }
    if (count > TQ_DIM_MAX) {
        return tq_fail(TQ_MISUSE, "the blob has %zu bytes: more than %d dimensions", size, TQ_DIM_MAX);
    }
    *vector = tq_alloc_array(count, sizeof(float));
    if (*vector == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < count; i++) TQ_TRY(to_float(i, element->read(bytes + i * element->size), *vector + i));
    *dim = count;
    return TQ_OK;
}

static void run_widen(sqlite3_context *context, const struct element *element, sqlite3_value *value) {
    float *vector = NULL;
    size_t dim = 0;
    if (sqlite3_value_type(value) == SQLITE_NULL) return;
    enum tq_status status = widen(element, value, &vector, &dim);
    tq_function_return(context, element->function, status, vector, dim);
}

static void run_f16(sqlite3_context *context, int count, sqlite3_value **values) {
    static const struct element f16 = {"tq_f16", "half-precision", sizeof(uint16_t), read_f16};
    (void)count;
    run_widen(context, &f16, values[0]);
}

static void run_f64(sqlite3_context *context, int count, sqlite3_value **values) {
    static const struct element f64 = {"tq_f64", "float64", sizeof(double), read_f64};
    (void)count;
    run_widen(context, &f64, values[0]);
}

static void run_i8(sqlite3_context *context, int count, sqlite3_value **values) {
    static const struct element i8 = {"tq_i8", "int8", sizeof(int8_t), read_i8};
    (void)count;
    run_widen(context, &i8, values[0]);
}

/* The limit is that of rows=f16. */
static enum tq_status narrow(sqlite3_value *value, struct tq_floats *floats, uint16_t **halves, size_t *dim) {
    const double limit = 65504;
    const float *vector = NULL;
    TQ_TRY(tq_value_vector(value, floats, &vector, dim));
    TQ_TRY(tq_vector_check_finite(vector, *dim));
    *halves = tq_alloc_array(*dim, sizeof **halves);
    if (*halves == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < *dim; i++) {
        if (fabs((double)vector[i]) > limit) {
            return tq_fail(TQ_MISUSE, "element %zu is %.9g; half precision ends at %.0f", i, (double)vector[i], limit);
        }
        (*halves)[i] = tq_f16_from_f32(vector[i]);
    }
    return TQ_OK;
}

static void run_to_f16(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_floats floats = {0};
    uint16_t *halves = NULL;
    size_t dim = 0;
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
    enum tq_status status = narrow(values[0], &floats, &halves, &dim);
    tq_free(floats.data);
    if (status == TQ_OK) {
        sqlite3_result_blob64(context, halves, dim * sizeof *halves, tq_free);
        return;
    }
    tq_free(halves);
    tq_function_fail(context, "tq_to_f16", status);
}

/* ---- Arithmetic ---- */

/* One side of an operation. */
struct operand {
    struct tq_floats floats;
    const float *vector;
    size_t dim;
};

static enum tq_status take_operand(sqlite3_value *value, struct operand *operand) {
    TQ_TRY(tq_value_vector(value, &operand->floats, &operand->vector, &operand->dim));
    return tq_vector_check_finite(operand->vector, operand->dim);
}

static enum tq_status combine(sqlite3_value **values, char sign, struct operand sides[2], float **result) {
    for (int i = 0; i < 2; i++) TQ_TRY(take_operand(values[i], &sides[i]));
    size_t dim = sides[0].dim;
    if (sides[1].dim != dim) {
        char text[64];
        tq_value_describe(values[1], sides[1].dim, text);
        return tq_fail(TQ_MISUSE, "one vector has %zu dimension%s, the other has %s", dim, dim == 1 ? "" : "s", text);
    }
    *result = tq_alloc_array(dim, sizeof(float));
    if (*result == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < dim; i++) {
        float a = sides[0].vector[i], b = sides[1].vector[i], c = sign == '+' ? a + b : a - b;
        if (!isfinite(c)) {
            return tq_fail(TQ_MISUSE, "element %zu is %.9g %c %.9g, beyond the range of float32", i, (double)a, sign,
                           (double)b);
        }
        (*result)[i] = c;
    }
    return TQ_OK;
}

static void run_combine(sqlite3_context *context, const char *name, char sign, sqlite3_value **values) {
    struct operand sides[2] = {{.dim = 0}, {.dim = 0}};
    float *result = NULL;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
    enum tq_status status = combine(values, sign, sides, &result);
    tq_function_return(context, name, status, result, sides[0].dim);
    for (int i = 0; i < 2; i++) tq_free(sides[i].floats.data);
}

static void run_add(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_combine(context, "tq_add", '+', values);
}

static void run_sub(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_combine(context, "tq_sub", '-', values);
}

static enum tq_status multiply(sqlite3_value **values, struct operand *operand, float **result) {
    int type = sqlite3_value_type(values[1]);
    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
        return tq_fail(TQ_MISUSE, "the factor is %s; it must be a number", tq_value_type_name(values[1]));
    }
    double factor = sqlite3_value_double(values[1]);
    if (!isfinite(factor)) return tq_fail(TQ_MISUSE, "the factor is infinite; it must be finite");
    TQ_TRY(take_operand(values[0], operand));
    *result = tq_alloc_array(operand->dim, sizeof(float));
    if (*result == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < operand->dim; i++) {
        (*result)[i] = (float)((double)operand->vector[i] * factor);
        if (!isfinite((*result)[i])) {
            return tq_fail(TQ_MISUSE, "element %zu is %.9g * %.9g, beyond the range of float32", i,
                           (double)operand->vector[i], factor);
        }
    }
    return TQ_OK;
}

static void run_scale(sqlite3_context *context, int count, sqlite3_value **values) {
    struct operand operand = {.dim = 0};
    float *result = NULL;
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
    enum tq_status status = multiply(values, &operand, &result);
    tq_function_return(context, "tq_scale", status, result, operand.dim);
    tq_free(operand.floats.data);
}

static void run_norm(sqlite3_context *context, int count, sqlite3_value **values) {
    struct tq_sql *sql = sqlite3_user_data(context);
    struct operand operand = {.dim = 0};
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
    enum tq_status status = take_operand(values[0], &operand);
    if (status == TQ_OK)
        sqlite3_result_double(context, sqrt(sql->plain->kernels.dot_f32(operand.vector, operand.vector, operand.dim)));
    else
        tq_function_fail(context, "tq_norm", status);
    tq_free(operand.floats.data);
}

/* ---- Parts ---- */

static enum tq_status take_whole(sqlite3_value *value, const char *name, sqlite3_int64 *number) {
    *number = sqlite3_value_int64(value);
    if (sqlite3_value_type(value) == SQLITE_INTEGER) return TQ_OK;
    if (sqlite3_value_type(value) != SQLITE_FLOAT) {
        return tq_fail(TQ_MISUSE, "%s is %s; it must be a whole number", name, tq_value_type_name(value));
    }
    return tq_fail(TQ_MISUSE, "%s is %.9g, a REAL; it must be a whole number", name, sqlite3_value_double(value));
}

static enum tq_status slice(sqlite3_context *context, sqlite3_value **values, struct operand *operand) {
    sqlite3_int64 start = 0, end = 0;
    TQ_TRY(take_whole(values[1], "start", &start));
    TQ_TRY(take_whole(values[2], "end", &end));
    TQ_TRY(tq_value_vector(values[0], &operand->floats, &operand->vector, &operand->dim));
    if (start < 0) return tq_fail(TQ_MISUSE, "start is %lld; it must be 0 or more", (long long)start);
    if (end > (sqlite3_int64)operand->dim) {
        return tq_fail(TQ_MISUSE, "end is %lld; the vector has %zu dimension%s", (long long)end, operand->dim,
                       operand->dim == 1 ? "" : "s");
    }
    if (start >= end) {
        return tq_fail(TQ_MISUSE, "start is %lld and end is %lld; start must be below end", (long long)start,
                       (long long)end);
    }
    sqlite3_result_blob64(context, operand->vector + start, (sqlite3_uint64)(end - start) * sizeof(float),
                          SQLITE_TRANSIENT);
    return TQ_OK;
}

static void run_slice(sqlite3_context *context, int count, sqlite3_value **values) {
    struct operand operand = {.dim = 0};
    for (int i = 0; i < count; i++) {
        if (sqlite3_value_type(values[i]) == SQLITE_NULL) return;
    }
    enum tq_status status = slice(context, values, &operand);
    if (status != TQ_OK) tq_function_fail(context, "tq_slice", status);
    tq_free(operand.floats.data);
}

int tq_vector_functions_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {
        {"tq_f16", 1, TQ_FN_PURE, run_f16},     {"tq_f64", 1, TQ_FN_PURE, run_f64},
        {"tq_i8", 1, TQ_FN_PURE, run_i8},       {"tq_to_f16", 1, TQ_FN_PURE, run_to_f16},
        {"tq_add", 2, TQ_FN_PURE, run_add},     {"tq_sub", 2, TQ_FN_PURE, run_sub},
        {"tq_scale", 2, TQ_FN_PURE, run_scale}, {"tq_norm", 1, TQ_FN_PURE, run_norm},
        {"tq_slice", 3, TQ_FN_PURE, run_slice},
    };
    return tq_functions_create(sql, functions, TQ_COUNT(functions));
}
