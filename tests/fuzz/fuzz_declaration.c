/* Arguments of CREATE VIRTUAL TABLE, one a line. What is accepted makes tables that SQLite accepts. */
#define SQLITE_CORE
#include <sqlite3.h>

#include "sql/declaration.h"
#include "sql/tq_sqlite.h"
#include "tests/fuzz/fuzz.h"

enum { ARGUMENTS_MAX = 300 };

static sqlite3 *db;

static void open_database(void) {
    if (db != NULL) return;
    fuzz_require(sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) == SQLITE_OK &&
                     sqlite3_open(":memory:", &db) == SQLITE_OK,
                 "a database");
}

static void must_prepare(const char *sql, const char *promise) {
    sqlite3_stmt *statement = NULL;
    fuzz_require(sql != NULL, "memory");
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        (void)fprintf(stderr, "%s\n%s\n", sql, sqlite3_errmsg(db));
        fuzz_require(false, promise);
    }
    (void)sqlite3_finalize(statement);
}

/* Words of SQL and odd numbers may stand where a type should: then it is SQLite that refuses the table. */
static bool types_are_types(const struct tq_declaration *declaration) {
    bool good = true;
    for (size_t i = 0; i < declaration->count && good; i++) {
        sqlite3_stmt *statement = NULL;
        if (declaration->columns[i].kind == TQ_COLUMN_VECTOR) continue;
        char *sql = sqlite3_mprintf("CREATE TABLE one(a %s)", declaration->columns[i].type);
        fuzz_require(sql != NULL, "memory");
        good = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK;
        (void)sqlite3_finalize(statement);
        sqlite3_free(sql);
    }
    return good;
}

static void check_tables(const struct tq_declaration *declaration) {
    char *text = tq_declaration_text(declaration, "docs"), *more = tq_declaration_more_columns(declaration);
    if (types_are_types(declaration)) must_prepare(text, "an accepted declaration is one for SQLite");
    char *rows = sqlite3_mprintf("CREATE TABLE docs_rows(id INTEGER PRIMARY KEY, slot INTEGER%s)", more);
    must_prepare(rows, "the table of rows can be made");
    sqlite3_free(rows);
    sqlite3_free(more);
    sqlite3_free(text);
}

static void check_counts(const struct tq_declaration *declaration) {
    size_t kinds[TQ_COLUMN_APART + 1] = {0};
    for (size_t i = 0; i < declaration->count; i++) {
        const struct tq_sql_column *column = &declaration->columns[i];
        fuzz_require((int)column->kind <= TQ_COLUMN_APART && column->name != NULL && column->type != NULL,
                     "a column has a kind, a name and a type");
        if (column->kind == TQ_COLUMN_VECTOR)
            fuzz_require(column->options.dim >= 1 && column->options.dim <= TQ_DIM_MAX, "dimensions in their range");
        fuzz_require(column->number == kinds[column->kind]++, "columns of a kind are counted");
    }
    fuzz_require(declaration->vectors >= 1 && kinds[TQ_COLUMN_VECTOR] == declaration->vectors, "a vector column");
    fuzz_require(kinds[TQ_COLUMN_METADATA] == declaration->metadata, "metadata columns");
    fuzz_require(kinds[TQ_COLUMN_PARTITION] == declaration->partitions, "partition keys");
    fuzz_require(kinds[TQ_COLUMN_ID] + kinds[TQ_COLUMN_KEY] <= 1, "one key at most");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *arguments[ARGUMENTS_MAX];
    int count = 0;
    open_database();
    for (size_t from = 0; from < size && count < ARGUMENTS_MAX; count++) {
        const uint8_t *line = memchr(data + from, '\n', size - from);
        size_t length = line == NULL ? size - from : (size_t)(line - data) - from;
        arguments[count] = fuzz_text(data + from, length);
        from += length + 1;
    }
    struct tq_declaration declaration = {.columns = NULL};
    if (tq_declaration_read(count, (const char *const *)arguments, &declaration) == TQ_OK) {
        check_counts(&declaration);
        if (tq_declaration_check_name(&declaration, "docs") == TQ_OK) check_tables(&declaration);
    }
    tq_declaration_free(&declaration);
    for (int i = 0; i < count; i++) free(arguments[i]);
    return 0;
}
