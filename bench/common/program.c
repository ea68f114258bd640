#include "bench/common/program.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

void bench_check(enum tq_status status) {
    if (status == TQ_OK) return;
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, tq_status_name(status), tq_message());
    exit(1);
}

void bench_check_sql(struct sqlite3 *db, int code) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, sqlite3_errmsg(db));
    exit(1);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}
