/* Numbers as files have them, little-endian and unaligned, and what they are as vectors. */
#ifndef TQ_ELEMENTS_H
#define TQ_ELEMENTS_H

#include "src/base/base.h"

enum tq_element {
    TQ_ELEMENT_F16,
    TQ_ELEMENT_F32,
    TQ_ELEMENT_F64,
    TQ_ELEMENT_I8,
    TQ_ELEMENT_U8,
    TQ_ELEMENT_I16,
    TQ_ELEMENT_U16,
    TQ_ELEMENT_I32,
    TQ_ELEMENT_U32,
    TQ_ELEMENT_I64,
    TQ_ELEMENT_U64,
    TQ_ELEMENT_COUNT
};

/* Bytes of one. */
size_t tq_element_bytes(enum tq_element element);

/* f32[count]. Exact for f16, f32 and whole numbers up to 16777216 (all of i8, u8, i16, u16); other whole numbers and
 * f64 are rounded to the nearest f32, and what is beyond f32 becomes infinite. */
void tq_elements_to_f32(enum tq_element element, const void *from, size_t count, float *to);

/* One of them: of a float kind as it is; of a whole kind rounded beyond 2^53. */
double tq_element_to_real(enum tq_element element, const void *from);

/* One of a whole kind; false where it is beyond INT64_MAX. */
bool tq_element_to_integer(enum tq_element element, const void *from, int64_t *integer);

bool tq_element_is_float(enum tq_element element);

#endif
