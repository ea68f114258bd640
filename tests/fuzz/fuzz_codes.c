/* tq_decode() of any blob; and of what tq_encode() makes of any vector and options. */
#define SQLITE_CORE
#include <sqlite3.h>

#include "sql/tq_sqlite.h"
#include "tests/fuzz/fuzz.h"

static sqlite3 *db;
static sqlite3_stmt *decode, *encode;

static void open_database(void) {
    if (db != NULL) return;
    fuzz_require(sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) == SQLITE_OK &&
                     sqlite3_open(":memory:", &db) == SQLITE_OK &&
                     sqlite3_prepare_v2(db, "SELECT tq_decode(?1)", -1, &decode, NULL) == SQLITE_OK &&
                     sqlite3_prepare_v2(db, "SELECT tq_encode(?1, ?2)", -1, &encode, NULL) == SQLITE_OK,
                 "a database");
}

static void bind_bytes(sqlite3_stmt *statement, const void *bytes, size_t size) {
    if (size == 0)
        (void)sqlite3_bind_zeroblob(statement, 1, 0); /* NULL would be NULL */
    else
        (void)sqlite3_bind_blob64(statement, 1, bytes, size, SQLITE_STATIC);
}

/* Whether it decodes; the dimensions. */
static bool decodes(const void *blob, size_t size, size_t *dim) {
    bind_bytes(decode, blob, size);
    bool good = sqlite3_step(decode) == SQLITE_ROW;
    if (good) *dim = (size_t)sqlite3_column_bytes(decode, 0) / sizeof(float);
    (void)sqlite3_reset(decode);
    return good;
}

/* A byte says how long the options are; the vector follows them. */
static void check_encode(struct fuzz_input input) {
    size_t options_size = 0, vector_size = 0, dim = 0, wanted = fuzz_byte(&input);
    const uint8_t *options = fuzz_bytes(&input, wanted, &options_size);
    const uint8_t *bytes = fuzz_bytes(&input, 4 * 512, &vector_size);
    uint8_t *vector = fuzz_copy(bytes, vector_size);
    bind_bytes(encode, vector, vector_size);
    (void)sqlite3_bind_text64(encode, 2, (const char *)options, options_size, SQLITE_STATIC, SQLITE_UTF8);
    if (sqlite3_step(encode) == SQLITE_ROW) {
        fuzz_require(decodes(sqlite3_column_blob(encode, 0), (size_t)sqlite3_column_bytes(encode, 0), &dim),
                     "what was encoded is decoded");
        /* Fewer where the vector is wrapped with options of a search. */
        fuzz_require(dim >= 1 && dim <= vector_size / sizeof(float), "with the dimensions it had");
    }
    (void)sqlite3_reset(encode);
    free(vector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t dim = 0;
    open_database();
    uint8_t *blob = fuzz_copy(data, size);
    (void)decodes(blob, size, &dim);
    free(blob);
    check_encode((struct fuzz_input){data, size});
    return 0;
}
