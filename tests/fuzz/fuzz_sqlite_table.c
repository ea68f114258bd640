/* Databases that another program made, or that claim to be such; and vec0 tables whose parts do not fit together. The
 * first byte says which. */
#include <sqlite3.h>

#include "src/io/vec0_columns.h"
#include "tests/fuzz/fuzz_file.h"

/* ---- vec0: a good database, with what the input says in its tables ---- */

static const char *const schema =
    "PRAGMA page_size = 512; PRAGMA journal_mode = off; PRAGMA synchronous = off;"
    "CREATE TABLE v_chunks(chunk_id INTEGER PRIMARY KEY, size, partition00, validity, rowids);"
    "CREATE TABLE v_rowids(rowid INTEGER PRIMARY KEY, id);"
    "CREATE TABLE v_auxiliary(rowid INTEGER PRIMARY KEY, value00);"
    "CREATE TABLE v_vector_chunks00(vectors); CREATE TABLE v_vector_chunks01(vectors);"
    "CREATE TABLE v_metadatachunks00(data); CREATE TABLE v_metadatatext00(rowid INTEGER PRIMARY KEY, data);"
    "INSERT INTO v_rowids VALUES (1, 'one'), (2, 2); INSERT INTO v_auxiliary VALUES (1, x'01');"
    "PRAGMA writable_schema = on;"
    "INSERT INTO sqlite_master VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(e float[2])')";

static sqlite3 *open_vec0(const char *path) {
    sqlite3 *db = NULL;
    fuzz_require(sqlite3_open(path, &db) == SQLITE_OK, "a database");
    fuzz_require(sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK, "its tables");
    return db;
}

/* `sql` with one blob of the input, as long as its first byte says; so are texts and numbers. */
static void put(sqlite3 *db, const char *sql, struct fuzz_input *input) {
    sqlite3_stmt *statement = NULL;
    size_t size = 0;
    unsigned kind = fuzz_byte(input);
    const uint8_t *bytes = fuzz_bytes(input, kind == 255 ? 1024 : kind == 254 ? 8 : kind, &size);
    struct fuzz_input number = {bytes, size};
    fuzz_require(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "a statement");
    if (kind == 254)
        (void)sqlite3_bind_int64(statement, 1, (int64_t)fuzz_number(&number, 8));
    else if (kind >= 200 && kind < 254)
        (void)sqlite3_bind_text(statement, 1, (const char *)bytes, (int)size, SQLITE_TRANSIENT);
    else
        (void)sqlite3_bind_blob(statement, 1, bytes, (int)size, SQLITE_TRANSIENT);
    (void)sqlite3_step(statement);
    fuzz_require(sqlite3_finalize(statement) == SQLITE_OK, "a change of the database");
}

static void try_declaration(const char *text) {
    static struct tq_vec0_columns columns;
    char wrong[48] = "";
    if (!tq_vec0_columns_read(text, &columns, wrong)) return;
    for (size_t i = 0; i < columns.count; i++) {
        const struct tq_vec0_column *column = &columns.list[i];
        size_t bytes = 0;
        (void)tq_vec0_store(column, &bytes);
        fuzz_require(column->name[0] != 0 && bytes <= TQ_VEC0_DIM_MAX * sizeof(float), "a column");
        fuzz_require(column->type != TQ_TYPE_VECTOR || column->dim > 0, "dimensions");
    }
}

static void read_vec0(struct fuzz_input input) {
    static const char *const values[] = {
        "INSERT INTO v_chunks(size, validity, rowids) VALUES (?1, x'03', zeroblob(64))",
        "UPDATE v_chunks SET size = 8, validity = coalesce(?1, validity)",
        "UPDATE v_chunks SET rowids = coalesce(?1, rowids)",
        "UPDATE v_chunks SET partition00 = ?1",
        "INSERT INTO v_vector_chunks00 VALUES (coalesce(?1, zeroblob(64)))",
        "INSERT INTO v_vector_chunks01 VALUES (coalesce(?1, zeroblob(64)))",
        "INSERT INTO v_metadatachunks00 VALUES (coalesce(?1, zeroblob(128)))",
        "INSERT INTO v_metadatatext00 VALUES (1, ?1)"};
    const char *path = fuzz_file(NULL, 0);
    sqlite3 *db = open_vec0(path);
    size_t size = fuzz_byte(&input);
    const uint8_t *bytes = fuzz_bytes(&input, size, &size);
    char *text = fuzz_text(bytes, size);
    try_declaration(text);
    char *sql = sqlite3_mprintf("UPDATE sqlite_master SET sql = 'CREATE VIRTUAL TABLE v USING vec0(' || %Q || ')'"
                                " WHERE name = 'v'",
                                text);
    fuzz_require(sql != NULL && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "a declaration");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) put(db, values[i], &input);
    sqlite3_free(sql);
    free(text);
    fuzz_require(sqlite3_close(db) == SQLITE_OK, "no open statement");
    struct tq_reader_options options = tq_reader_defaults();
    options.part = "v";
    fuzz_read_path(&options, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    if (fuzz_byte(&input) == 'v') {
        read_vec0(input);
        return 0;
    }
    struct tq_reader_options options = tq_reader_defaults();
    options.format = "sqlite";
    fuzz_read(&options, input.at, input.left);
    options.part = "t";
    options.vector = "a..c";
    fuzz_read(&options, input.at, input.left);
    return 0;
}
