/* What the text of a cell stands for: numbers, vectors; and what a sample of a column's cells says about the column. */
#ifndef TQ_TEXT_CELLS_H
#define TQ_TEXT_CELLS_H

#include "src/base/json_vector.h"
#include "src/tq_io.h"

/* How much of a file is looked at before its columns are settled. */
enum { TQ_SAMPLE_ROWS = 1000, TQ_SAMPLE_BYTES = 1 << 20 };

/* INTEGER or REAL if the text is one as a program writes it, else TEXT: 007, +1 and integers beyond 64 bits are texts,
 * since as numbers they would not come back. */
enum tq_type tq_cell_type(const char *text, size_t size, int64_t *integer, double *real);

/* Numbers set apart by blanks, commas or semicolons, in brackets or not. TQ_MISUSE says what is wrong with which. */
enum tq_status tq_cell_vector(const char *text, size_t size, struct tq_floats *floats, size_t *dim);

struct tq_column_sample {
    uint64_t *hashes; /* [TQ_SAMPLE_ROWS], of the cells; NULL: by its name, the column is no key */
    size_t cells, empty, integers, reals, vectors;
    size_t dim;     /* of the first vector; `vectors` counts those of its dimension */
    size_t any_dim; /* of the first cell that can be read as one, even if it is as likely something else */
};

/* Of the column of this name; release with tq_sample_free(). */
enum tq_status tq_sample_init(struct tq_column_sample *sample, const char *name);
void tq_sample_free(struct tq_column_sample *sample);

/* Count a cell of this type, NULL if it is empty; dim: of a vector. */
void tq_sample_count(struct tq_column_sample *sample, enum tq_type type, const char *text, size_t size, size_t dim);

/* Find its type first: size 0: an empty cell. `floats` is scratch memory. */
enum tq_status tq_sample_add(struct tq_column_sample *sample, const char *text, size_t size, struct tq_floats *floats);

/* NULL: all cells were empty. */
enum tq_type tq_sample_type(const struct tq_column_sample *sample);

/* Whether most cells are numbers: the others are mistakes. */
bool tq_sample_is_numeric(const struct tq_column_sample *sample);
bool tq_sample_is_vector(const struct tq_column_sample *sample);

/* Whether this is a column that names rows: "id", "key" or "word", and no two cells alike, none empty. */
bool tq_sample_is_key(struct tq_column_sample *sample);

/* Names of columns for a message, cut to the room there is. Begin with zeroes. */
struct tq_name_list {
    char text[160];
    size_t used, count;
    bool cut;
};
void tq_name_list_add(struct tq_name_list *list, const char *name);

/* TQ_NOT_FOUND: the file has no column of this name, but those of the list. */
enum tq_status tq_fail_no_column(const char *path, const char *name, size_t size, const struct tq_name_list *list);

#endif
