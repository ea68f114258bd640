#include "sql/index_options.h"

#include <ctype.h>

bool tq_text_whole(const char *text, uint64_t *number) {
    if (*text == 0) return false;
    *number = 0;
    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(*number, 10u, number)) return false;
        if (__builtin_add_overflow(*number, (uint64_t)(*text - '0'), number)) return false;
    }
    return *text == 0;
}

bool tq_index_option_known(const char *key) {
    static const char *const keys[] = {"bits", "metric", "distance_metric", "rows", "qjl", "seed"};
    for (size_t i = 0; i < TQ_COUNT(keys); i++) {
        if (sqlite3_stricmp(key, keys[i]) == 0) return true;
    }
    return false;
}

static enum tq_status read_metric(const char *key, const char *value, enum tq_metric *metric) {
    static const struct {
        const char *name;
        enum tq_metric metric;
    } metrics[] = {{"cosine", TQ_COSINE}, {"ip", TQ_IP}, {"l2", TQ_L2}, {"dot", TQ_IP}};
    for (size_t i = 0; i < TQ_COUNT(metrics); i++) {
        if (sqlite3_stricmp(value, metrics[i].name) != 0) continue;
        *metric = metrics[i].metric;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "%s is \"%.40s\"; it must be cosine, ip or l2", key, value);
}

static enum tq_status read_rows(const char *value, enum tq_rows *rows) {
    static const char *const names[] = {"f32", "f16", "none"};
    for (size_t i = 0; i < TQ_COUNT(names); i++) {
        if (sqlite3_stricmp(value, names[i]) != 0) continue;
        *rows = (enum tq_rows)i;
        return TQ_OK;
    }
    return tq_fail(TQ_MISUSE, "rows is \"%.40s\"; it must be f32, f16 or none", value);
}

static enum tq_status read_small(const char *key, const char *value, uint64_t low, uint64_t high, uint64_t *number) {
    if (tq_text_whole(value, number) && *number >= low && *number <= high) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s is \"%.40s\"; it must be %llu to %llu", key, value, (unsigned long long)low,
                   (unsigned long long)high);
}

enum tq_status tq_index_option_set(const char *key, const char *value, struct tq_index_options *options) {
    uint64_t number = 0;
    if (sqlite3_stricmp(key, "bits") == 0) {
        TQ_TRY(read_small("bits", value, 1, TQ_BITS_MAX, &number));
        options->bits = (uint32_t)number;
    } else if (sqlite3_stricmp(key, "metric") == 0) {
        TQ_TRY(read_metric("metric", value, &options->metric));
    } else if (sqlite3_stricmp(key, "distance_metric") == 0) {
        TQ_TRY(read_metric("distance_metric", value, &options->metric));
    } else if (sqlite3_stricmp(key, "rows") == 0) {
        TQ_TRY(read_rows(value, &options->rows));
    } else if (sqlite3_stricmp(key, "qjl") == 0) {
        TQ_TRY(read_small("qjl", value, 0, 1, &number));
        options->qjl = (int)number;
    } else if (sqlite3_stricmp(key, "seed") == 0) {
        TQ_TRY(read_small("seed", value, 0, INT64_MAX, &number));
        options->seed = number;
    } else {
        return tq_fail(TQ_MISUSE, "unknown option \"%.40s\"; there are bits, metric, rows, qjl and seed", key);
    }
    return TQ_OK;
}
