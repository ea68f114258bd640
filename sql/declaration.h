/* What stands between the parentheses of CREATE VIRTUAL TABLE ... USING tq(...). Text in, struct out: no SQLite calls
 * but for its string functions. */
#ifndef TQ_DECLARATION_H
#define TQ_DECLARATION_H

#include <sqlite3ext.h>

#include "src/db/db.h"

SQLITE_EXTENSION_INIT3

enum tq_column_kind {
    TQ_COLUMN_ID,        /* INTEGER PRIMARY KEY: another name of the rowid; at most one of ID and KEY */
    TQ_COLUMN_KEY,       /* TEXT PRIMARY KEY: unique, not NULL */
    TQ_COLUMN_VECTOR,    /* FLOAT[n] */
    TQ_COLUMN_METADATA,  /* kept in the table of rows */
    TQ_COLUMN_PARTITION, /* likewise; and each combination of values has segments of its own */
    TQ_COLUMN_APART      /* +name: kept in a table of their own, so that reading rows does not read them */
};

enum { TQ_STORED_MAX = 15, TQ_COLUMNS_MAX = 255 };

struct tq_sql_column {
    enum tq_column_kind kind;
    char *name;
    char *type;                      /* as declared, "" if it was not: for the user's eyes */
    const char *affinity;            /* "TEXT", "NUMERIC", "INTEGER", "REAL", "BLOB": datatype3.html section 3.1 */
    char stored[TQ_STORED_MAX + 1];  /* in the shadow table: id, key; slot, slot1, ..; m0 ..; p0 ..; a0 .. */
    size_t number;                   /* among those of its kind: 0, 1, .. */
    bool indexed;                    /* METADATA */
    struct tq_index_options options; /* VECTOR */
};

/* Columns in the order of their declaration, which is that of SQLite; the hidden ones follow: enum tq_hidden. */
struct tq_declaration {
    struct tq_sql_column *columns;
    size_t count;
    size_t vectors, metadata, partitions, apart; /* how many of each kind */
    int id, key;                                 /* places in columns, or -1 */
};

enum tq_hidden { TQ_HIDDEN_QUERY, TQ_HIDDEN_K, TQ_HIDDEN_SCORE, TQ_HIDDEN_DISTANCE, TQ_HIDDEN_COUNT };

/* Read the arguments. TQ_MISUSE names what is wrong. Free with tq_declaration_free (also after failure). */
enum tq_status tq_declaration_read(int count, const char *const *arguments, struct tq_declaration *declaration);
void tq_declaration_free(struct tq_declaration *declaration);
/* Names of columns against that of the table, now or after RENAME. */
enum tq_status tq_declaration_check_name(const struct tq_declaration *declaration, const char *table);
/* The text for sqlite3_declare_vtab(): free with sqlite3_free; NULL if memory is out. */
char *tq_declaration_text(const struct tq_declaration *declaration, const char *table);
/* ", slot1 INTEGER, key TEXT UNIQUE, m0 TEXT, ...": the further columns of the table of rows; sqlite3_free. */
char *tq_declaration_more_columns(const struct tq_declaration *declaration);
/* The vector column of a number. */
const struct tq_sql_column *tq_declaration_vector(const struct tq_declaration *declaration, size_t number);

#endif
