/* One row's change, between write.c, which reads and checks it, and change.c, which writes it. */
#ifndef TQ_CHANGE_H
#define TQ_CHANGE_H

#include "sql/vtab.h"

enum { TQ_FIRST_COLUMN = 2 }; /* values of xUpdate: old rowid, new rowid, columns, hidden ones */

/* A vector of the row. */
struct tq_vector_change {
    bool kept;     /* UPDATE leaves it as it is: perhaps it moves */
    bool written;  /* its slot changes */
    bool had, has; /* a slot, before and after */
    uint64_t old_slot, slot;
    const float *vector; /* to be written; NULL: NULL */
    struct tq_row row;   /* encoded */
    struct tq_floats floats;
    float *stored; /* f32[dim] for the old one, once that is needed */
};

/* From the row `old_id` (if had) to the row `id` (if has). */
struct tq_change {
    bool had, has;
    int64_t old_id, id;
    bool own_id;         /* nobody said which */
    bool from;           /* UPDATE ... FROM: every column has a value, whether it is set or not */
    bool constraint;     /* it fails, by a rule that OR IGNORE and the like speak of */
    int64_t replaced[2]; /* rows that REPLACE deletes: of the id, of the key */
    size_t replaced_count;
    uint32_t partition;
    bool wrote;  /* there is no way back but ROLLBACK */
    bool logged; /* in a log of vectors, where others see it */
};

enum tq_writer_text {
    TQ_TEXT_LARGEST_ID,
    TQ_TEXT_HAS_ID,
    TQ_TEXT_OF_KEY,
    TQ_TEXT_LOOK, /* slots, then the values that choose the partition */
    TQ_TEXT_DELETE,
    TQ_TEXT_DELETE_APART,
    TQ_TEXT_INSERT,
    TQ_TEXT_INSERT_APART,
    TQ_TEXT_UPDATE, /* of the columns of the last UPDATE */
    TQ_TEXT_UPDATE_APART,
    TQ_TEXT_COUNT
};

/* What a table keeps from one change for the next: texts of statements, and memory. */
struct tq_writer {
    size_t vector_count, partition_count;
    struct tq_vector_change *vectors;
    sqlite3_value **partition;     /* the old row's values; ours */
    sqlite3_value **new_partition; /* the new row's; borrowed */
    bool *set, *last_set;          /* by column, and one for the rowid: what UPDATE sets */
    bool top_known;                /* within the transaction: no rowid is larger than */
    int64_t top;                   /* this one, which is a row's if it is above 0 */
    char *texts[TQ_TEXT_COUNT];    /* NULL: not made yet */
};

enum tq_status tq_writer_get(struct tq_sql_table *table, struct tq_writer **writer);
/* What belonged to the change: not what is kept for the next. */
void tq_writer_reset(struct tq_writer *writer);
/* What was learnt of rows that may have changed since. NULL is fine. */
void tq_writer_forget(struct tq_writer *writer);

/* A number that a statement finds. ?1 is `value`, or if that is NULL `id`. */
enum tq_status tq_writer_find(struct tq_sql_table *table, enum tq_writer_text which, int64_t id, sqlite3_value *value,
                              bool *found, int64_t *number);
/* The slots of the row that is updated, and what chose its partition; *found false: there is no such row. */
enum tq_status tq_writer_look(struct tq_sql_table *table, int64_t id, bool *found);
/* Everything is known, and encoded. A failure after which half the change may be there is TQ_IO. */
enum tq_status tq_change_write(struct tq_sql_table *table, struct tq_change *change, sqlite3_value **values);

#endif
