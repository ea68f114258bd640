/* The line of a row, put together for writers of text. */
#ifndef TQ_TEXT_ROW_H
#define TQ_TEXT_ROW_H

#include "src/io/writer.h"

struct tq_text_row {
    char *text;
    size_t size, capacity;
};

enum tq_status tq_row_bytes(struct tq_text_row *row, const void *bytes, size_t size);
enum tq_status tq_row_integer(struct tq_text_row *row, int64_t integer);

/* With a point or an exponent in it, so that it is read as a real again; infinity as 1e999. */
enum tq_status tq_row_real(struct tq_text_row *row, double real);

/* As a JSON array, each element as short as it can be. */
enum tq_status tq_row_vector(struct tq_text_row *row, const float *vector, size_t dim);

/* Two hexadecimal digits a byte. */
enum tq_status tq_row_blob(struct tq_text_row *row, const void *bytes, size_t size);

/* TQ_MISUSE: text that is not UTF-8 or has a zero in it, a number or element that is not finite (a real may be
 * infinite): what readers would not give back. */
enum tq_status tq_row_check(const struct tq_writer *writer, size_t column, const struct tq_value *value);

#endif
