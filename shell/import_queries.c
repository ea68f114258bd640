/* The queries of an ann-benchmarks file, beside the rows they are for: an ordinary table, which .recall uses. */
#include <stdio.h>
#include <string.h>

#include "shell/import.h"
#include "shell/interrupt.h"
#include "src/base/base.h"

enum { COLUMNS = 3 };
static const char *const names[COLUMNS] = {"embedding", "neighbors", "distances"};

struct queries {
    struct import *import;
    tq_reader *reader;
    size_t places[COLUMNS]; /* in the file */
    sqlite3_stmt *insert;
    int32_t *shifted; /* the neighbors as rowids */
    size_t capacity;
};

static enum tq_status open_part(struct queries *queries) {
    struct tq_reader_options options = tq_reader_defaults();
    options.format = queries->import->info->format;
    options.part = queries->import->info->queries;
    TQ_TRY(tq_reader_open(queries->import->path, &options, &queries->reader));
    const struct tq_reader_info *info = tq_reader_get_info(queries->reader);
    for (size_t c = 0; c < COLUMNS; c++) {
        queries->places[c] = info->column_count;
        for (size_t i = 0; i < info->column_count; i++)
            if (strcmp(info->columns[i].name, names[c]) == 0) queries->places[c] = i;
    }
    return TQ_OK;
}

static enum tq_status make_table(struct queries *queries) {
    const struct shell_table *table = &queries->import->table;
    TQ_TRY(shell_run(queries->import->session,
                     "CREATE TABLE \"%w\".\"%w_queries\"(id INTEGER PRIMARY KEY, embedding BLOB, neighbors BLOB,"
                     " distances BLOB)",
                     table->schema, table->name));
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w_queries\" VALUES(?1, ?2, ?3, ?4)", table->schema, table->name);
    enum tq_status status = shell_prepare(queries->import->session, sql, NULL, NULL, &queries->insert);
    sqlite3_free(sql);
    return status;
}

/* The file numbers its rows from 0; the table's rowids are what is asked for. */
static enum tq_status shift(struct queries *queries, struct tq_value *value) {
    int64_t by = queries->import->options.first_id;
    size_t count = value->size / sizeof *queries->shifted;
    if (by == 0 || value->type != TQ_TYPE_BLOB) return TQ_OK;
    if (value->size > queries->capacity) {
        int32_t *grown = sqlite3_realloc64(queries->shifted, value->size);
        if (grown == NULL) return tq_fail(TQ_NOMEM, "out of memory");
        queries->shifted = grown;
        queries->capacity = value->size;
    }
    memcpy(queries->shifted, value->blob, count * sizeof *queries->shifted);
    for (size_t i = 0; i < count; i++) {
        if (queries->shifted[i] >= 0 && __builtin_add_overflow(queries->shifted[i], by, &queries->shifted[i])) {
            return tq_fail(TQ_MISUSE,
                           "--first-id is %lld: the neighbors of the queries are kept in 32 bits, in which it"
                           " has no room; --no-queries leaves them out",
                           (long long)by);
        }
    }
    value->blob = queries->shifted;
    return TQ_OK;
}

static enum tq_status put_query(struct queries *queries, const struct tq_value *row) {
    struct import *import = queries->import;
    int rc = sqlite3_bind_int64(queries->insert, 1, (sqlite3_int64)import->queries);
    for (size_t c = 0; c < COLUMNS && rc == SQLITE_OK; c++) {
        struct tq_value value = {.type = TQ_TYPE_NULL};
        if (queries->places[c] < tq_reader_get_info(queries->reader)->column_count) value = row[queries->places[c]];
        if (c == 1) TQ_TRY(shift(queries, &value));
        rc = shell_import_bind(queries->insert, (int)c + 2, &value);
    }
    if (rc == SQLITE_OK) {
        (void)sqlite3_step(queries->insert);
        rc = sqlite3_reset(queries->insert);
    }
    if (rc != SQLITE_OK) return shell_import_fail(import, queries->reader, rc);
    import->queries++;
    return TQ_OK;
}

static enum tq_status put_queries(struct queries *queries) {
    const struct tq_value *row = NULL;
    TQ_TRY(open_part(queries));
    TQ_TRY(make_table(queries));
    for (;;) {
        if (shell_interrupt_seen()) return shell_import_stopped(queries->import);
        TQ_TRY(tq_reader_next(queries->reader, &row));
        if (row == NULL) return TQ_OK;
        TQ_TRY(put_query(queries, row));
    }
}

enum tq_status shell_import_queries(struct import *import) {
    struct queries queries = {.import = import};
    enum tq_status status = put_queries(&queries);
    (void)sqlite3_finalize(queries.insert);
    sqlite3_free(queries.shifted);
    tq_reader_close(queries.reader);
    return status;
}
