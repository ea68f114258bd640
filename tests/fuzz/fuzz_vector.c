/* Vectors as SQL values: blobs, JSON, and queries wrapped with their options. */
#define SQLITE_CORE
#include <math.h>
#include <sqlite3.h>

#include "sql/options.h"
#include "sql/tq_sqlite.h"
#include "sql/value.h"
#include "src/base/alloc.h"
#include "tests/fuzz/fuzz.h"

/* Texts of SQLite are never NULL. */
static void check_json(const uint8_t *bytes, size_t size) {
    const char *text = size == 0 ? "" : (const char *)bytes;
    struct tq_floats floats = {0}, again = {0};
    size_t dim = 0, same = 0;
    if (tq_text_vector(text, size, &floats, &dim) == TQ_OK) {
        fuzz_require(dim >= 1, "a vector has dimensions");
        for (size_t i = 0; i < dim; i++) fuzz_require(isfinite(floats.data[i]), "JSON gives finite numbers");
        sqlite3_str *out = sqlite3_str_new(NULL);
        tq_vector_to_json(out, floats.data, dim);
        int length = sqlite3_str_length(out);
        char *json = sqlite3_str_finish(out);
        fuzz_require(json != NULL && tq_text_vector(json, (size_t)length, &again, &same) == TQ_OK,
                     "what was written as JSON is read again");
        fuzz_require(same == dim, "with as many dimensions");
        /* -0 may come back as 0. */
        for (size_t i = 0; i < dim; i++) fuzz_require(floats.data[i] == again.data[i], "JSON brings back the float");
        sqlite3_free(json);
    }
    tq_free(floats.data);
    tq_free(again.data);
}

static bool same_bytes(const void *a, const void *b, size_t size) { return size == 0 || memcmp(a, b, size) == 0; }

static void check_blob(const void *bytes, size_t size) {
    struct tq_floats floats = {0};
    const float *vector = NULL;
    size_t dim = 0;
    if (tq_bytes_vector(bytes, size, &floats, &vector, &dim) == TQ_OK) {
        fuzz_require(dim == size / sizeof(float) && memcmp(vector, bytes, size) == 0, "a blob is taken as it is");
        (void)tq_vector_check_finite(vector, dim);
    } else {
        fuzz_require(size == 0 || size % sizeof(float) != 0 || size / sizeof(float) > TQ_DIM_MAX,
                     "blobs of whole floats are vectors");
    }
    tq_free(floats.data);
}

/* Hosts may bind memory that begins anywhere. */
static void check_odd_blob(const uint8_t *bytes, size_t size) {
    uint8_t *odd = malloc(size + 1);
    fuzz_require(odd != NULL, "memory");
    if (size > 0) memcpy(odd + 1, bytes, size);
    check_blob(odd + 1, size);
    free(odd);
}

static bool options_are_valid(const struct tq_search_options *options) {
    return options->confidence > 0 && options->threads >= 1 && options->threads <= 256 &&
           options->oversample <= 1000000 &&
           (options->device == TQ_DEVICE_CPU || options->device == TQ_DEVICE_AUTO || options->device == TQ_DEVICE_GPU);
}

static void check_options(const uint8_t *bytes, size_t size) {
    const char *text = size == 0 ? "" : (const char *)bytes;
    const struct tq_search_options before = {.confidence = 2.5, .oversample = 7, .threads = 3};
    struct tq_search_options options = before;
    if (tq_options_read(text, size, &options) == TQ_OK)
        fuzz_require(options_are_valid(&options), "options are within their ranges");
    else
        fuzz_require(tq_options_same(&options, &before), "nothing is set on failure");
}

static void check_unwrap(const uint8_t *bytes, size_t size) {
    const void *vector = NULL;
    const char *text = NULL;
    size_t vector_size = 0, text_size = 0;
    if (!tq_options_unwrap(bytes, size, &vector, &vector_size, &text, &text_size)) return;
    const uint8_t *begin = vector, *words = (const uint8_t *)text;
    fuzz_require(begin >= bytes && vector_size <= size && begin + vector_size <= bytes + size,
                 "the vector lies within the blob");
    fuzz_require(words >= bytes && text_size <= size && words + text_size <= bytes + size,
                 "the text lies within the blob");
    check_blob(vector, vector_size);
    check_options((const uint8_t *)text, text_size);
}

/* The text is what stands before the first zero byte. */
static void check_wrap(const uint8_t *bytes, size_t size) {
    size_t text_size = size == 0 ? 0 : strnlen((const char *)bytes, size), rest = size - text_size;
    void *wrapped = NULL;
    size_t wrapped_size = 0;
    char *text = fuzz_text(bytes, text_size);
    uint8_t *vector = rest == 0 ? NULL : fuzz_copy(bytes + text_size, rest);
    if (tq_options_wrap(vector, rest, text, text_size, &wrapped, &wrapped_size) == TQ_OK) {
        const void *inner = NULL, *innermost = NULL;
        const char *words = NULL, *inner_words = NULL;
        size_t inner_size = 0, innermost_size = 0, words_size = 0, inner_words_size = 0;
        fuzz_require(tq_options_unwrap(wrapped, wrapped_size, &inner, &inner_size, &words, &words_size),
                     "what was wrapped is known again");
        if (tq_options_unwrap(vector, rest, &innermost, &innermost_size, &inner_words, &inner_words_size))
            fuzz_require(inner_size == innermost_size && same_bytes(inner, innermost, inner_size),
                         "a query wrapped twice has the first one's vector");
        else
            fuzz_require(inner_size == rest && same_bytes(inner, vector, rest), "the vector comes back");
        check_unwrap(wrapped, wrapped_size);
        tq_free(wrapped);
    }
    free(text);
    free(vector);
}

/* The extension calls SQLite by a table that it is given when a database is opened. */
static void open_database(void) {
    static sqlite3 *db;
    if (db != NULL) return;
    fuzz_require(sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) == SQLITE_OK &&
                     sqlite3_open(":memory:", &db) == SQLITE_OK,
                 "a database");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_database();
    uint8_t *bytes = fuzz_copy(data, size);
    check_json(bytes, size);
    check_options(bytes, size);
    check_blob(bytes, size);
    check_odd_blob(bytes, size);
    check_unwrap(bytes, size);
    check_wrap(bytes, size);
    free(bytes);
    return 0;
}
