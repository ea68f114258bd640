/* .import in parts: cmd_import.c takes its options and has the transaction, import_columns.c says which column of the
 * file goes where, import_make.c makes a missing table, import_rows.c puts the rows, import_queries.c the queries of
 * an ann-benchmarks file. */
#ifndef SHELL_IMPORT_H
#define SHELL_IMPORT_H

#include "shell/progress.h"
#include "shell/tables.h"
#include "src/tq_io.h"

struct import_options {
    const char *format, *part, *columns, *vector, *key, *separator; /* of the reader */
    const char *schema, *auxiliary, *metric, *bits, *kept;          /* of a table that is made; kept: rows=... */
    const char *first_id_text, *skip_text, *limit_text, *batch_text;
    bool header, no_header, csv, skip_bad, no_queries, verbose;
    int64_t first_id, skip, limit, batch; /* limit INT64_MAX, batch 0: none */
};

struct import {
    struct shell_session *session;
    struct import_options options;
    const char *path;
    char *again; /* the command without --skip, to go on after a batch */
    struct shell_table table;
    bool made;
    tq_reader *reader;
    const struct tq_reader_info *info;
    char **names;  /* [info->column_count]: the table's column, "rowid", or NULL: left out */
    bool row_ids;  /* rowids are first_id + the row's number in the file */
    bool by_place; /* a CSV file into an ordinary table: no line is a header */
    sqlite3_stmt *insert;
    bool own;    /* the transaction */
    int64_t row; /* of the file, the next one */
    uint64_t rows, bad, queries;
    uint64_t kept_rows; /* of those, committed: by --batch */
    int64_t kept_row;   /* of the file, the next one then */
    struct shell_progress progress;
};

/* import_columns.c: fill names and row_ids for a table that is there. */
enum tq_status shell_import_match(struct import *import);

/* import_make.c: make the table, and fill names and row_ids. */
enum tq_status shell_import_make(struct import *import);

/* import_rows.c: all rows, in batches if so asked. */
enum tq_status shell_import_rows(struct import *import);
enum tq_status shell_import_begin(struct import *import);
enum tq_status shell_import_commit(struct import *import);
/* A value for a parameter; the memory stays the reader's. Returns SQLite's code. */
int shell_import_bind(sqlite3_stmt *statement, int parameter, const struct tq_value *value);
/* Of SQLite, what is wrong with a row: TQ_MISUSE, or another status where nothing can go on. */
enum tq_status shell_import_fail(struct import *import, tq_reader *reader, int rc);
/* TQ_MISUSE after Ctrl-C. */
enum tq_status shell_import_stopped(struct import *import);

/* import_queries.c: the part of the file that holds queries, into TABLE_queries. */
enum tq_status shell_import_queries(struct import *import);

#endif
