/* .import: a NumPy file into a tq table, all of it or nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shell/commands.h"
#include "shell/interrupt.h"
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "src/io/npy.h"

struct import {
    struct shell_session *session;
    const char *path, *table;
    int64_t first_id;
    struct tq_npy npy;
    char *column;
    float *vector; /* f32[npy.dim] */
    sqlite3_stmt *insert;
    double start, shown; /* seconds */
};

static double seconds_now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- Arguments ---- */

static enum tq_status read_first_id(struct import *import, int count, char **words) {
    char *end = NULL;
    if (count == 3) return TQ_OK;
    if (count != 5 || strcmp(words[3], "--first-id") != 0) {
        return tq_fail(TQ_MISUSE, "usage: .import FILE.npy TABLE [--first-id N]");
    }
    errno = 0;
    import->first_id = strtoll(words[4], &end, 10);
    if (errno != 0 || end == words[4] || *end != '\0') {
        return tq_fail(TQ_MISUSE, "--first-id is \"%.40s\"; it must be a whole number", words[4]);
    }
    return TQ_OK;
}

/* ---- The table ---- */

static enum tq_status run_format(struct import *import, const char *format, const char *table, const char *more) {
    char *sql = sqlite3_mprintf(format, table, more);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    int rc = sqlite3_exec(import->session->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? TQ_OK : shell_session_fail(import->session, rc);
}

static enum tq_status make_table(struct import *import) {
    char *there = NULL, dim[16];
    TQ_TRY(shell_session_value(import->session,
                               "SELECT 1 FROM (SELECT name FROM sqlite_master UNION ALL SELECT name FROM"
                               " sqlite_temp_master) WHERE lower(name) = lower(?1)",
                               import->table, &there));
    if (there != NULL) {
        sqlite3_free(there);
        return TQ_OK;
    }
    (void)sqlite3_snprintf(sizeof dim, dim, "%u", import->npy.dim);
    return run_format(import, "CREATE VIRTUAL TABLE \"%w\" USING tq(embedding FLOAT[%s])", import->table, dim);
}

static enum tq_status look_at_table(struct import *import) {
    char *dim = NULL;
    /* Of the first vector column, where there are several. */
    TQ_TRY(shell_session_value(import->session,
                               "SELECT coalesce(json_extract(i, '$.column'), json_extract(i, '$.indexes[0].column'))"
                               " FROM (SELECT tq_info(?1) AS i)",
                               import->table, &import->column));
    TQ_TRY(shell_session_value(import->session,
                               "SELECT coalesce(json_extract(i, '$.dim'), json_extract(i, '$.indexes[0].dim'))"
                               " FROM (SELECT tq_info(?1) AS i)",
                               import->table, &dim));
    long table_dim = dim == NULL ? 0 : strtol(dim, NULL, 10);
    sqlite3_free(dim);
    if (table_dim == (long)import->npy.dim && import->column != NULL) return TQ_OK;
    return tq_fail(TQ_MISUSE, "%s has %ld dimensions, %s has %u", import->table, table_dim, import->path,
                   import->npy.dim);
}

static enum tq_status prepare_insert(struct import *import) {
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\"(rowid, \"%w\") VALUES(?1, ?2)", import->table, import->column);
    if (sql == NULL) return tq_fail(TQ_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(import->session->db, sql, -1, &import->insert, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_blob(import->insert, 2, import->vector, (int)(import->npy.dim * sizeof(float)),
                               SQLITE_STATIC);
    }
    return rc == SQLITE_OK ? TQ_OK : shell_session_fail(import->session, rc);
}

/* ---- Rows ---- */

static void show_progress(struct import *import, uint64_t done) {
    double now = seconds_now(), elapsed = now - import->start;
    if (now - import->shown < 0.2 || elapsed < 0.4) return;
    import->shown = now;
    double rate = (double)done / elapsed;
    (void)fprintf(stderr, "\r%s: %llu of %llu, %.0f/s, %.0f s left \033[K", import->table, (unsigned long long)done,
                  (unsigned long long)import->npy.rows, rate, (double)(import->npy.rows - done) / rate);
}

static enum tq_status taken(struct import *import, uint64_t row) {
    char *text = sqlite3_mprintf("SELECT max(rowid) FROM \"%w\"", import->table), *most = NULL;
    if (text != NULL) (void)shell_session_value(import->session, text, NULL, &most);
    enum tq_status status = tq_fail(TQ_EXISTS, "%s: rowid %lld exists already; the largest is %s: use --first-id",
                                    import->table, (long long)(import->first_id + (int64_t)row),
                                    most == NULL ? "?" : most);
    sqlite3_free(text);
    sqlite3_free(most);
    return status;
}

static enum tq_status put_row(struct import *import, uint64_t row) {
    tq_npy_row(&import->npy, row, import->vector);
    int rc = sqlite3_bind_int64(import->insert, 1, import->first_id + (int64_t)row);
    if (rc == SQLITE_OK) (void)sqlite3_step(import->insert);
    rc = sqlite3_reset(import->insert);
    if (rc == SQLITE_OK) return TQ_OK;
    if ((rc & 0xff) == SQLITE_CONSTRAINT) return taken(import, row);
    if (rc == SQLITE_INTERRUPT) return shell_session_fail(import->session, rc);
    return tq_fail(TQ_MISUSE, "%s, row %llu: %s", import->path, (unsigned long long)row,
                   sqlite3_errmsg(import->session->db));
}

static enum tq_status put_rows(struct import *import) {
    enum tq_status status = TQ_OK;
    bool terminal = isatty(STDERR_FILENO) != 0;
    for (uint64_t row = 0; row < import->npy.rows && status == TQ_OK; row++) {
        if (row % 256 == 0 && terminal) show_progress(import, row);
        if (shell_interrupt_seen())
            status = shell_session_fail(import->session, SQLITE_INTERRUPT);
        else
            status = put_row(import, row);
    }
    if (import->shown > 0) (void)fputs("\r\033[K", stderr);
    return status;
}

static enum tq_status import_rows(struct import *import) {
    uint64_t room = (uint64_t)INT64_MAX - (uint64_t)(import->first_id < 0 ? 0 : import->first_id);
    if (import->npy.rows > 0 && import->npy.rows - 1 > room) {
        return tq_fail(TQ_MISUSE, "rowids from %lld on do not suffice for %llu rows", (long long)import->first_id,
                       (unsigned long long)import->npy.rows);
    }
    TQ_TRY(make_table(import));
    TQ_TRY(look_at_table(import));
    import->vector = tq_alloc_array(import->npy.dim, sizeof *import->vector);
    if (import->vector == NULL) return TQ_NOMEM;
    TQ_TRY(prepare_insert(import));
    return put_rows(import);
}

/* Inside the user's own transaction a savepoint, of which he may still undo what was released. */
static enum tq_status import_whole(struct import *import) {
    sqlite3 *db = import->session->db;
    bool own = sqlite3_get_autocommit(db) != 0;
    int rc = sqlite3_exec(db, own ? "BEGIN IMMEDIATE" : "SAVEPOINT tqshell_import", NULL, NULL, NULL);
    if (rc != SQLITE_OK) return shell_session_fail(import->session, rc);
    enum tq_status status = import_rows(import);
    (void)sqlite3_finalize(import->insert);
    if (status == TQ_OK) {
        rc = sqlite3_exec(db, own ? "COMMIT" : "RELEASE tqshell_import", NULL, NULL, NULL);
        if (rc == SQLITE_OK) return TQ_OK;
        status = shell_session_fail(import->session, rc);
    }
    if (!sqlite3_get_autocommit(db)) {
        (void)sqlite3_exec(db, own ? "ROLLBACK" : "ROLLBACK TO tqshell_import; RELEASE tqshell_import", NULL, NULL,
                           NULL);
    }
    return status;
}

enum tq_status shell_cmd_import(struct shell_session *session, int count, char **words) {
    struct import import = {.session = session, .path = words[1], .table = words[2], .start = seconds_now()};
    TQ_TRY(read_first_id(&import, count, words));
    TQ_TRY(tq_npy_open(import.path, &import.npy));
    enum tq_status status = import_whole(&import);
    double elapsed = seconds_now() - import.start;
    uint64_t rows = import.npy.rows;
    if (status == TQ_OK && rows > 0) {
        (void)fprintf(stderr, "%s: %llu vectors of %u dimensions, rowids %lld to %lld, %.2f s (%.0f/s)\n", words[2],
                      (unsigned long long)rows, import.npy.dim, (long long)import.first_id,
                      (long long)(import.first_id + (int64_t)(rows - 1)), elapsed, (double)rows / elapsed);
    } else if (status == TQ_OK) {
        (void)fprintf(stderr, "%s: no vectors in %s\n", words[2], import.path);
    }
    tq_npy_close(&import.npy);
    tq_free(import.vector);
    sqlite3_free(import.column);
    return status;
}
