/* What every program of bench/ needs: to stop at the first failure, and a median. */
#ifndef BENCH_PROGRAM_H
#define BENCH_PROGRAM_H

#include <stddef.h>

#include "src/tq.h"

struct sqlite3;

/* Unless all is well, say what failed and exit with status 1. */
void bench_check(enum tq_status status);
void bench_check_sql(struct sqlite3 *db, int code);

/* Sorts the values. count > 0. */
double bench_median(double *values, size_t count);

#endif
