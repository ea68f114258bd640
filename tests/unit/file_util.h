/* Files of vectors in a test's own folder: making them, reading them, and what messages say. */
#ifndef FILE_UTIL_H
#define FILE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/tq_io.h"
#include "tests/unit/scratch_folder.h"

#define OK(expr) assert_status((expr), TQ_OK, NULL, #expr, __FILE__, __LINE__)
#define FAILS(expr, status) assert_status((expr), (status), NULL, #expr, __FILE__, __LINE__)

/* And its message has this in it. */
#define SAYS(expr, status, text) assert_status((expr), (status), (text), #expr, __FILE__, __LINE__)

static inline void assert_status(enum tq_status got, enum tq_status wanted, const char *text, const char *expr,
                                 const char *file, int line) {
    if (got == wanted && (text == NULL || strstr(tq_message(), text) != NULL)) return;
    (void)fprintf(stderr, "%s:%d: %s is %s, not %s%s%s: %s\n", file, line, expr, tq_status_name(got),
                  tq_status_name(wanted), text == NULL ? "" : " with ", text == NULL ? "" : text, tq_message());
    _fail(file, line);
}

/* A file of the test's folder with these contents; its path is good until the next but one. */
static inline const char *write_file(const char *name, const void *bytes, size_t size) {
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    if (size > 0) assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *write_text_file(const char *name, const char *text) {
    return write_file(name, text, strlen(text));
}

/* Names in the test's folder, so that a test sees what was left behind. */
static inline int count_files(void) {
    DIR *listing = opendir(folder);
    int count = 0;
    assert_non_null(listing);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(listing);
    return count;
}

#endif
