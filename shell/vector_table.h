/* A vector column of a tq table, as the commands about vectors see it. */
#ifndef SHELL_VECTOR_TABLE_H
#define SHELL_VECTOR_TABLE_H

#include "shell/tables.h"

struct shell_vectors {
    struct shell_session *session;
    struct shell_table table;
    char *quoted; /* "main"."words", for SQL */
    char *info;   /* tq_info()'s JSON */
    char *column; /* its name, as are: */
    char *key;    /* the TEXT PRIMARY KEY; NULL: none */
    char *id;     /* the INTEGER PRIMARY KEY, or "rowid" */
    bool has_id;  /* that is a column of its own */
    int64_t dim, bits, vectors, nulls;
    enum tq_metric metric;
    enum tq_rows rows;
    char device[8]; /* shell_vectors_ask_on() */
};

/* word: the table's name as typed; column NULL: the first vector column. TQ_NOT_FOUND, TQ_MISUSE: not a tq table. */
enum tq_status shell_vectors_open(struct shell_session *session, const char *word, const char *column,
                                  struct shell_vectors *vectors);
void shell_vectors_close(struct shell_vectors *vectors);

/* What trials are to run on: "cpu", "gpu" or "auto"; NULL: what the connection is set to. */
enum tq_status shell_vectors_ask_on(struct shell_vectors *vectors, const char *device);

/* "SELECT ..." by sqlite3_mprintf, prepared. */
enum tq_status shell_prepare_format(struct shell_session *session, sqlite3_stmt **statement, const char *format, ...);

/* Rows that a command has made: `rows`, a JSON array that this function takes, is ?1 of the SELECT. */
enum tq_status shell_rows_show(struct shell_session *session, const char *sql, sqlite3_str *rows);

/* "12.3 MiB" of a number of bytes. */
void shell_bytes_text(double bytes, char *text, size_t size);

#endif
