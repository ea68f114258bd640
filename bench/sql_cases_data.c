/* Databases of sql_cases, and how they are filled. */
#include <string.h>
#include <time.h>

#include "bench/sql_cases.h"

sqlite3 *sql_open(const struct sql_cases *c, const char *name) {
    char file[4400];
    sqlite3 *db = NULL;
    (void)snprintf(file, sizeof file, "%s/%s", c->folder, name);
    bench_check_sql(db, sqlite3_open(file, &db));
    sql_run(db, "PRAGMA journal_mode=WAL");
    return db;
}

void sql_run(sqlite3 *db, const char *sql) { bench_check_sql(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    bench_check_sql(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    return statement;
}

const char *sql_text(sqlite3 *db, const char *sql, char *text, size_t size) {
    sqlite3_stmt *statement = sql_prepare(db, sql);
    bench_check_sql(db, sqlite3_step(statement));
    const char *value = (const char *)sqlite3_column_text(statement, 0);
    (void)snprintf(text, size, "%s", value == NULL ? "" : value);
    (void)sqlite3_finalize(statement);
    return text;
}

int64_t sql_integer(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = sql_prepare(db, sql);
    bench_check_sql(db, sqlite3_step(statement));
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

double sql_seconds_of_thread(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void sql_bind_blob(const struct sql_cases *c, sqlite3_stmt *statement, int at, const float *vector) {
    (void)sqlite3_bind_blob(statement, at, vector, (int)(c->base.dim * sizeof *vector), SQLITE_STATIC);
}

void sql_bind_vector(const struct sql_cases *c, sqlite3_stmt *statement, size_t row) {
    (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)row);
    sql_bind_blob(c, statement, 2, bench_matrix_row(&c->base, row));
}

static const char *const label_names[] = {"l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "rest"};

void sql_label(const struct sql_cases *c, size_t row, char name[8]) {
    (void)snprintf(name, 8, "%s", label_names[c->labels[row]]);
}

void sql_bind_metadata(const struct sql_cases *c, sqlite3_stmt *statement, size_t row) {
    sql_bind_vector(c, statement, row);
    (void)sqlite3_bind_text(statement, 3, label_names[c->labels[row]], -1, SQLITE_STATIC);
    (void)sqlite3_bind_double(statement, 4, c->prices[row]);
}

struct sql_seconds sql_insert_all(const struct sql_cases *c, sqlite3 *db, const char *sql, sql_bind *bind) {
    sqlite3_stmt *insert = sql_prepare(db, sql);
    struct sql_seconds start = {bench_seconds(), sql_seconds_of_thread()};
    sql_run(db, "BEGIN");
    for (size_t row = 0; row < c->base.rows; row++) {
        bind(c, insert, row);
        bench_check_sql(db, sqlite3_step(insert));
        bench_check_sql(db, sqlite3_reset(insert));
    }
    sql_run(db, "COMMIT");
    struct sql_seconds taken = {bench_seconds() - start.wall, sql_seconds_of_thread() - start.processor};
    (void)sqlite3_finalize(insert);
    return taken;
}

void sql_make_docs(struct sql_cases *c) {
    char sql[300];
    if (c->docs_made) return;
    sqlite3 *db = sql_open(c, "docs.db");
    (void)snprintf(sql, sizeof sql,
                   "CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[%u], label TEXT INDEXED, plain TEXT,"
                   " price REAL INDEXED, cost REAL, title TEXT)",
                   c->base.dim);
    sql_run(db, sql);
    (void)sql_insert_all(c, db,
                         "INSERT INTO docs(rowid, embedding, label, price, plain, cost, title)"
                         " VALUES(?1, ?2, ?3, ?4, ?3, ?4, 'the title of document ' || ?1)",
                         sql_bind_metadata);
    (void)snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE words USING tq(embedding FLOAT[%u])", c->base.dim);
    sql_run(db, sql);
    (void)sql_insert_all(c, db, "INSERT INTO words(rowid, embedding) VALUES(?1, ?2)", sql_bind_vector);
    (void)sqlite3_close(db);
    c->docs_made = true;
}
