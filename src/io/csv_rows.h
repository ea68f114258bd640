/* Rows of a CSV file as texts, cut up by libcsv. */
#ifndef TQ_CSV_ROWS_H
#define TQ_CSV_ROWS_H

#include "src/io/lines.h"

#ifdef TQ_HAVE_CSV
#include <csv.h>

struct tq_csv_cell {
    const char *text; /* ends in 0; NULL: empty, without quotes */
    size_t size;
};

struct tq_csv_rows {
    struct tq_lines lines;
    struct csv_parser parser;
    bool has_parser;
    char separator;
    struct tq_csv_cell *cells; /* [cell_count], of the row that was read last */
    size_t cell_count, cell_capacity;
    size_t *begins; /* of the cells within `text`; SIZE_MAX: empty, without quotes */
    char *text;     /* of the cells, one after another */
    size_t text_size, text_capacity;
    uint64_t row_line;                          /* where the row that was read last begins */
    bool ended, split, out_of_memory, too_many; /* what libcsv's callbacks found */
};

/* separator: 0: the one that the first line has most of: comma, tab or semicolon; tab if the path ends in .tsv. */
enum tq_status tq_csv_open(struct tq_csv_rows *rows, const char *path, char separator);
void tq_csv_close(struct tq_csv_rows *rows);

/* The next row that is not blank. TQ_MISUSE: it is bad; what follows its first line is read next. */
enum tq_status tq_csv_next(struct tq_csv_rows *rows, bool *end);

#endif
#endif
