/* Sums over rows, tq_sum() and tq_avg(), and tq_rrf(), which joins the ranks of several searches.
 *
 * As window functions the sums take rows away again. So each keeps, beside itself, what its roundings lost (Knuth's
 * two-sum): a large row that came and went leaves nothing behind. */
#include <string.h>

#include "sql/functions.h"
#include "sql/value.h"
#include "src/base/alloc.h"

/* ---- Sums ---- */

struct total {
    struct tq_floats floats; /* for rows of JSON */
    double *sums, *lost;     /* f64[dim] each, one block; NULL before the first row */
    size_t dim;
    sqlite3_int64 count;
};

static const char *name_of(sqlite3_context *context) { return sqlite3_user_data(context); }
static const char sum_name[] = "tq_sum", average_name[] = "tq_avg";

static enum tq_status begin(struct total *total, size_t dim) {
    total->sums = tq_alloc_array(2 * dim, sizeof *total->sums);
    if (total->sums == NULL) return TQ_NOMEM;
    total->lost = total->sums + dim;
    total->dim = dim;
    memset(total->sums, 0, 2 * dim * sizeof *total->sums);
    return TQ_OK;
}

static void add(struct total *total, const float *vector, double sign) {
    double *restrict sums = total->sums, *restrict lost = total->lost;
    for (size_t i = 0; i < total->dim; i++) {
        double x = sign * (double)vector[i], before = sums[i], sum = before + x, part = sum - before;
        lost[i] += (before - (sum - part)) + (x - part);
        sums[i] = sum;
    }
}

static enum tq_status step(struct total *total, sqlite3_value *value, int sign) {
    const float *vector = NULL;
    size_t dim = 0;
    TQ_TRY(tq_value_vector(value, &total->floats, &vector, &dim));
    TQ_TRY(tq_vector_check_finite(vector, dim));
    if (total->sums == NULL) TQ_TRY(begin(total, dim));
    if (dim != total->dim) {
        char text[64];
        tq_value_describe(value, dim, text);
        return tq_fail(TQ_MISUSE, "the vectors before have %zu dimension%s, this row's has %s", total->dim,
                       total->dim == 1 ? "" : "s", text);
    }
    add(total, vector, sign);
    total->count += sign;
    if (total->count == 0) memset(total->sums, 0, 2 * dim * sizeof *total->sums);
    return TQ_OK;
}

static void run_step(sqlite3_context *context, sqlite3_value *value, int sign) {
    if (sqlite3_value_type(value) == SQLITE_NULL) return;
    struct total *total = sqlite3_aggregate_context(context, sizeof *total);
    enum tq_status status = total == NULL ? TQ_NOMEM : step(total, value, sign);
    if (status != TQ_OK) tq_function_fail(context, name_of(context), status);
}

static void run_add(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_step(context, values[0], 1);
}

static void run_remove(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    run_step(context, values[0], -1);
}

static enum tq_status result_of(const struct total *total, bool average, float **result) {
    double divisor = average ? (double)total->count : 1;
    *result = tq_alloc_array(total->dim, sizeof(float));
    if (*result == NULL) return TQ_NOMEM;
    for (size_t i = 0; i < total->dim; i++) {
        double value = (total->sums[i] + total->lost[i]) / divisor;
        (*result)[i] = (float)value;
        if (isfinite((*result)[i])) continue;
        return tq_fail(TQ_MISUSE, "element %zu of the sum is %.9g, beyond the range of float32", i, value);
    }
    return TQ_OK;
}

/* Of the rows so far; of none, NULL. */
static void run_value(sqlite3_context *context) {
    const struct total *total = sqlite3_aggregate_context(context, 0);
    float *result = NULL;
    if (total == NULL || total->count == 0) return;
    enum tq_status status = result_of(total, name_of(context) == average_name, &result);
    tq_function_return(context, name_of(context), status, result, total->dim);
}

static void run_final(sqlite3_context *context) {
    struct total *total = sqlite3_aggregate_context(context, 0);
    run_value(context);
    if (total == NULL) return;
    tq_free(total->sums);
    tq_free(total->floats.data);
}

/* ---- Ranks ---- */

/* Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009), whose constant is 60. */
static void run_rrf(sqlite3_context *context, int count, sqlite3_value **values) {
    const double constant = 60;
    double sum = 0;
    enum tq_status status = count > 0 ? TQ_OK : tq_fail(TQ_MISUSE, "no rank is given");
    for (int i = 0; i < count && status == TQ_OK; i++) {
        int type = sqlite3_value_type(values[i]);
        double rank = sqlite3_value_double(values[i]);
        if (type == SQLITE_NULL) continue;
        if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
            status = tq_fail(TQ_MISUSE, "rank %d is %s; it must be a number", i + 1, tq_value_type_name(values[i]));
        } else if (rank < 1) {
            status = tq_fail(TQ_MISUSE, "rank %d is %.9g; it must be 1 or more", i + 1, rank);
        }
        sum += 1 / (constant + rank);
    }
    if (status == TQ_OK)
        sqlite3_result_double(context, sum);
    else
        tq_function_fail(context, "tq_rrf", status);
}

int tq_aggregates_register(struct tq_sql *sql) {
    static const struct tq_sql_function functions[] = {{"tq_rrf", -1, TQ_FN_PURE, run_rrf}};
    static const char *const names[] = {sum_name, average_name};
    int rc = tq_functions_create(sql, functions, TQ_COUNT(functions));
    for (size_t i = 0; i < TQ_COUNT(names) && rc == SQLITE_OK; i++) {
        rc = sqlite3_create_window_function(sql->db, names[i], 1, SQLITE_UTF8 | TQ_FN_PURE, (void *)(uintptr_t)names[i],
                                            run_add, run_final, run_value, run_remove, NULL);
    }
    return rc;
}
