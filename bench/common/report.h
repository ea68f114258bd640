/* Where a measurement was made, and by what: the first lines of every result. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "src/tq.h"

/* Lines "<prefix>key: value": date, machine, load, commit of the working directory, command. Of paths in the command
 * only the last part is kept. */
void bench_report_head(FILE *out, const char *prefix, int argc, char *const *argv);

/* A new folder under $TMPDIR, or /tmp. path: char[size]. */
enum tq_status bench_temporary_make(char *path, size_t size);

/* Remove a folder with the files and folders in it. */
void bench_temporary_remove(const char *path);

/* Bytes of a file, or of the files in a folder, as the file system allots them. */
double bench_allotted_bytes(const char *path);

#endif
