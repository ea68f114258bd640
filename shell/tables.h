/* A table that a command names, "words" or "aux.words": where it is, what it is, and its columns. */
#ifndef SHELL_TABLES_H
#define SHELL_TABLES_H

#include "shell/session.h"

enum shell_table_kind {
    SHELL_TABLE_MISSING, /* schema is where it would be made */
    SHELL_TABLE_TQ,
    SHELL_TABLE_OTHER, /* ordinary, or of another module */
    SHELL_TABLE_VIEW
};

enum shell_column_kind {
    SHELL_COLUMN_PLAIN, /* of a tq table: metadata, partition key or auxiliary */
    SHELL_COLUMN_ID,    /* INTEGER PRIMARY KEY of a tq table */
    SHELL_COLUMN_KEY,   /* its TEXT PRIMARY KEY */
    SHELL_COLUMN_VECTOR
};

struct shell_table_column {
    char *name, *type; /* as declared; "" without a type */
    enum shell_column_kind kind;
    unsigned dim; /* of a vector */
};

struct shell_table {
    char *schema, *name;
    enum shell_table_kind kind;
    struct shell_table_column *columns; /* without hidden and generated ones */
    size_t column_count;
};

/* `word` is a table's name; if there is none, the name of a schema, a point, and the name. Clear it afterwards, also
 * after a failure. */
enum tq_status shell_table_find(struct shell_session *session, const char *word, struct shell_table *table);
void shell_table_clear(struct shell_table *table);

/* The column, its case left aside; column_count: there is none. */
size_t shell_table_column(const struct shell_table *table, const char *name);
/* The first one of a kind; column_count: there is none. */
size_t shell_table_first(const struct shell_table *table, enum shell_column_kind kind);

/* "word, embedding, lang", cut to the room there is. */
void shell_table_list(const struct shell_table *table, char *text, size_t size);

/* Dimensions of a column that was declared so; 0: it is no vector of a tq table. */
unsigned shell_declared_dim(const char *type);

/* SQL by a printf format of SQLite's, for what has no rows. */
enum tq_status shell_run(struct shell_session *session, const char *format, ...);

/* A statement with up to two texts bound. */
enum tq_status shell_prepare(struct shell_session *session, const char *sql, const char *first, const char *second,
                             sqlite3_stmt **statement);

#endif
