/* Targets for libFuzzer, one a file: bytes in, and whatever they are, no crash and no broken promise.
 *
 * Every build runs the inputs that are kept in corpus/<target> through its target (ctest: fuzz_<target>). With clang,
 * a build with -DTQ_FUZZ=ON searches for new ones:
 *
 *     cmake -S . -B build-fuzz -DCMAKE_C_COMPILER=clang -DTQ_FUZZ=ON -DTQ_OPENMP=OFF && cmake --build build-fuzz
 *     mkdir found && TMPDIR=/dev/shm build-fuzz/tests/fuzz_catalog -max_total_time=600 found tests/fuzz/corpus/catalog
 *
 * -merge=1 with corpus/<target> first keeps of what was found only what reaches more code. Inputs that crashed are kept
 * under names that begin with crash_. */
#ifndef TQ_FUZZ_H
#define TQ_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that must hold for any input. */
static inline void fuzz_require(bool holds, const char *promise) {
    if (holds) return;
    (void)fprintf(stderr, "broken: %s\n", promise);
    abort();
}

/* Memory of exactly this size, so that a sanitizer sees a byte too far; NULL for none, as SQLite has it for blobs. The
 * text variant adds the zero byte. */
static inline void *fuzz_copy(const void *data, size_t size) {
    if (size == 0) return NULL;
    void *copy = malloc(size);
    fuzz_require(copy != NULL, "memory");
    return memcpy(copy, data, size);
}

static inline char *fuzz_text(const void *data, size_t size) {
    char *copy = malloc(size + 1);
    fuzz_require(copy != NULL, "memory");
    if (size > 0) memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

/* ---- Taking an input apart: what is missing at its end reads as zero ---- */

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz_input *input) {
    if (input->left == 0) return 0;
    input->left--;
    return *input->at++;
}

static inline uint64_t fuzz_number(struct fuzz_input *input, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) number |= (uint64_t)fuzz_byte(input) << 8 * i;
    return number;
}

/* The next bytes, fewer if there are no more. */
static inline const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t wanted, size_t *size) {
    const uint8_t *bytes = input->at;
    *size = wanted < input->left ? wanted : input->left;
    input->at += *size;
    input->left -= *size;
    return bytes;
}

#endif
