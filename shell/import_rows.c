/* The rows of a file, one by one through a prepared INSERT: each that fails is known by its place. */
#include <stdio.h>
#include <string.h>

#include "shell/import.h"
#include "shell/interrupt.h"
#include "src/base/base.h"

enum { TOLD_MAX = 5 };

/* ---- Transactions ---- */

enum tq_status shell_import_begin(struct import *import) {
    /* Inside the user's own transaction a savepoint, of which he may still undo what was released. */
    return shell_run(import->session, import->own ? "BEGIN IMMEDIATE" : "SAVEPOINT tqshell_import");
}

enum tq_status shell_import_commit(struct import *import) {
    TQ_TRY(shell_run(import->session, import->own ? "COMMIT" : "RELEASE tqshell_import"));
    import->kept_rows = import->rows;
    import->kept_row = import->row;
    return TQ_OK;
}

/* ---- The statement ---- */

static enum tq_status prepare_insert(struct import *import) {
    sqlite3_str *sql = sqlite3_str_new(import->session->db), *values = sqlite3_str_new(import->session->db);
    const char *before = "";
    sqlite3_str_appendf(sql, "INSERT INTO \"%w\".\"%w\"(", import->table.schema, import->table.name);
    if (import->row_ids) {
        sqlite3_str_appendall(sql, "rowid");
        sqlite3_str_appendall(values, "?1");
        before = ", ";
    }
    for (size_t i = 0; i < import->info->column_count; i++) {
        if (import->names[i] == NULL) continue;
        sqlite3_str_appendf(sql, "%s\"%w\"", before, import->names[i]);
        sqlite3_str_appendf(values, "%s?%d", before, (int)i + 2);
        before = ", ";
    }
    char *list = sqlite3_str_finish(values);
    sqlite3_str_appendf(sql, ") VALUES(%s)", list == NULL ? "" : list);
    sqlite3_free(list);
    char *text = sqlite3_str_finish(sql);
    if (import->options.verbose && text != NULL) (void)fprintf(stderr, "%s;\n", text);
    enum tq_status status = shell_prepare(import->session, text, NULL, NULL, &import->insert);
    sqlite3_free(text);
    return status;
}

int shell_import_bind(sqlite3_stmt *statement, int parameter, const struct tq_value *value) {
    switch (value->type) {
    case TQ_TYPE_INTEGER: return sqlite3_bind_int64(statement, parameter, value->integer);
    case TQ_TYPE_REAL: return sqlite3_bind_double(statement, parameter, value->real);
    case TQ_TYPE_TEXT:
        return sqlite3_bind_text64(statement, parameter, value->text, value->size, SQLITE_STATIC, SQLITE_UTF8);
    case TQ_TYPE_BLOB:
        if (value->size == 0) return sqlite3_bind_zeroblob(statement, parameter, 0);
        return sqlite3_bind_blob64(statement, parameter, value->blob, value->size, SQLITE_STATIC);
    case TQ_TYPE_VECTOR:
        return sqlite3_bind_blob64(statement, parameter, value->vector, value->size * sizeof(float), SQLITE_STATIC);
    default: return sqlite3_bind_null(statement, parameter);
    }
}

/* ---- Failures ---- */

enum tq_status shell_import_stopped(struct import *import) {
    import->session->interrupted = true;
    return tq_fail(TQ_MISUSE, "interrupted");
}

static enum tq_status fail_taken(struct import *import, tq_reader *reader, const char *message) {
    char *text = sqlite3_mprintf("SELECT max(rowid) FROM \"%w\".\"%w\"", import->table.schema, import->table.name);
    char *most = NULL;
    if (text != NULL) (void)shell_session_value(import->session, text, NULL, &most);
    enum tq_status status = tq_fail(TQ_MISUSE, "%s: %s; the largest is %s: use --first-id", tq_reader_place(reader),
                                    message, most == NULL ? "?" : most);
    sqlite3_free(text);
    sqlite3_free(most);
    return status;
}

enum tq_status shell_import_fail(struct import *import, tq_reader *reader, int rc) {
    const char *text = sqlite3_errmsg(import->session->db);
    char message[400];
    if (rc == SQLITE_INTERRUPT) return shell_session_fail(import->session, rc);
    (void)sqlite3_snprintf(sizeof message, message, "%s", strncmp(text, "tq: ", 4) == 0 ? text + 4 : text);
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
        if (import->row_ids && strstr(message, ": rowid ") != NULL) return fail_taken(import, reader, message);
        break;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: break;
    default: return tq_fail(TQ_IO, "%s: %s", tq_reader_place(reader), message);
    }
    /* SQLite may have rolled back all there was: then no row can be passed over. */
    bool ended = sqlite3_get_autocommit(import->session->db) != 0;
    return tq_fail(ended ? TQ_IO : TQ_MISUSE, "%s: %s", tq_reader_place(reader), message);
}

/* The row that TQ_MISUSE was about is passed over, if that was asked for. */
static enum tq_status pass_over(struct import *import) {
    if (!import->options.skip_bad || import->session->interrupted) return TQ_MISUSE;
    if (import->bad == 0) shell_progress_end(&import->progress);
    if (import->bad < TOLD_MAX) (void)fprintf(stderr, "skipped: %s\n", tq_message());
    if (import->bad == TOLD_MAX) (void)fputs("skipped: more, which are counted only\n", stderr);
    import->bad++;
    return TQ_OK;
}

/* ---- Rows ---- */

static enum tq_status put_row(struct import *import, const struct tq_value *row) {
    int rc = SQLITE_OK;
    int64_t id = 0;
    if (import->row_ids) {
        if (__builtin_add_overflow(import->options.first_id, import->row, &id)) {
            return tq_fail(TQ_MISUSE, "%s: rowids from %lld on do not suffice", tq_reader_place(import->reader),
                           (long long)import->options.first_id);
        }
        rc = sqlite3_bind_int64(import->insert, 1, id);
    }
    for (size_t i = 0; i < import->info->column_count && rc == SQLITE_OK; i++)
        if (import->names[i] != NULL) rc = shell_import_bind(import->insert, (int)i + 2, &row[i]);
    if (rc == SQLITE_OK) {
        (void)sqlite3_step(import->insert);
        rc = sqlite3_reset(import->insert);
    }
    if (rc != SQLITE_OK) return shell_import_fail(import, import->reader, rc);
    import->rows++;
    return TQ_OK;
}

static enum tq_status next_row(struct import *import, bool *end) {
    const struct tq_value *row = NULL;
    enum tq_status status = tq_reader_next(import->reader, &row);
    *end = status == TQ_OK && row == NULL;
    if (*end) return TQ_OK;
    if (status == TQ_OK) status = put_row(import, row);
    if (status == TQ_MISUSE) status = pass_over(import);
    if (status == TQ_OK) import->row++;
    return status;
}

static double fraction(const struct import *import) {
    double read = tq_reader_progress(import->reader), wanted = (double)import->options.limit;
    double done = (double)import->rows / (wanted > 0 ? wanted : 1);
    return done > read ? done : read;
}

enum tq_status shell_import_rows(struct import *import) {
    const struct import_options *options = &import->options;
    bool end = false;
    TQ_TRY(prepare_insert(import));
    if (options->skip > 0) TQ_TRY(tq_reader_skip(import->reader, (uint64_t)options->skip));
    import->row = options->skip;
    while (!end && (int64_t)import->rows < options->limit) {
        if (shell_interrupt_seen()) return shell_import_stopped(import);
        TQ_TRY(next_row(import, &end));
        if (import->progress.terminal && import->row % 64 == 0) {
            shell_progress_show(&import->progress, fraction(import), import->rows);
        }
        bool full = options->batch > 0 && import->rows - import->kept_rows == (uint64_t)options->batch;
        if (!full) continue;
        TQ_TRY(shell_import_commit(import));
        TQ_TRY(shell_import_begin(import));
    }
    return TQ_OK;
}
