/* Numbers as decimal text, and back: what strtof() and strtod() give in the C locale, whatever the locale is. */
#ifndef TQ_DECIMAL_H
#define TQ_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#include "src/tq.h"

enum tq_decimal_kind {
    TQ_DECIMAL_LOOSE, /* what strtod() takes, but for hexadecimal, "inf" and "nan": +1 .5 5. 007 */
    TQ_DECIMAL_JSON   /* what JSON takes */
};

/* The number at *at, which moves behind it, or, where there is none, to the character that is wrong. Infinite: beyond
 * the range. Exported for libtq_io, with no promise to others, as all of this. */
TQ_API bool tq_decimal_f32(const char **at, const char *end, enum tq_decimal_kind kind, float *value);
TQ_API bool tq_decimal_f64(const char **at, const char *end, enum tq_decimal_kind kind, double *value);

enum { TQ_DECIMAL_BYTES = 40 };

/* As printf's %.*g with the fewest digits, from 6 and 15, that read back as the same number: text[returned] = 0. Of
 * finite numbers. */
TQ_API size_t tq_decimal_write_f32(char text[TQ_DECIMAL_BYTES], float value);
TQ_API size_t tq_decimal_write_f64(char text[TQ_DECIMAL_BYTES], double value);

#endif
