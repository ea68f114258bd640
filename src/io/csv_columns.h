/* Which columns a CSV file has: their names, their types and the vector, from its first rows. */
#ifndef TQ_CSV_COLUMNS_H
#define TQ_CSV_COLUMNS_H

#include "src/io/csv_rows.h"
#include "src/io/reader.h"
#include "src/io/text_cells.h"

#ifdef TQ_HAVE_CSV
struct tq_csv_field {
    char *name;
    struct tq_column_sample sample;
    bool named;  /* the file says so */
    bool wanted; /* it is a column of its own among those that the reader gives */
    enum tq_type type;
};

struct tq_csv_columns {
    struct tq_csv_field *fields; /* [count], as the file has them */
    size_t count, sampled;       /* sampled: rows looked at */
    size_t first, vector_fields; /* the vector is in fields[first] or, each dimension in its own, from there on */
    bool has_vector, range;
    uint32_t dim;
};

/* Reads the header, and a sample of rows, before which it goes back. Then the reader has its columns, the vector at the
 * place of its first field. */
enum tq_status tq_csv_columns_find(struct tq_csv_columns *columns, struct tq_csv_rows *rows, struct tq_reader *reader);
void tq_csv_columns_free(struct tq_csv_columns *columns);

#endif
#endif
