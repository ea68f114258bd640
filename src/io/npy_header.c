#include "src/io/npy_header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The dictionary ---- */

/* The value of a key in the header's Python dict, or NULL. */
static const char *value_of(const char *text, const char *key) {
    const char *at = strstr(text, key);
    if (at == NULL) return NULL;
    at += strlen(key);
    return at + strspn(at, " :");
}

static enum tq_status read_type(const char *place, const char *text, struct tq_npy_header *header) {
    const char *type = value_of(text, "'descr'"), *order = value_of(text, "'fortran_order'");
    if (type == NULL || order == NULL) return tq_fail(TQ_FORMAT, "%s: the header has no descr or fortran_order", place);
    bool quoted = *type == '\'' || *type == '"';
    size_t length = quoted ? strcspn(type + 1, "'\"") : strlen(type);
    (void)snprintf(header->type, sizeof header->type, "%.*s", (int)tq_min_size(length, 23), type + quoted);
    header->fortran = strncmp(order, "False", 5) != 0;
    return TQ_OK;
}

static enum tq_status read_shape(const char *place, const char *text, struct tq_npy_header *header) {
    const char *shape = value_of(text, "'shape'");
    if (shape == NULL || *shape != '(') return tq_fail(TQ_FORMAT, "%s: the header has no shape", place);
    const char *at = shape + 1;
    for (at += strspn(at, " "); *at >= '0' && *at <= '9'; header->axes++) {
        char *end = NULL;
        errno = 0;
        unsigned long long length = strtoull(at, &end, 10);
        if (errno != 0) break;
        if (header->axes < TQ_COUNT(header->shape)) header->shape[header->axes] = length;
        at = end + strspn(end, "L, "); /* Python 2 wrote 10L */
    }
    if (*at == ')') return TQ_OK;
    return tq_fail(TQ_FORMAT, "%s: shape %.40s; it must be (rows, dimensions)", place, shape);
}

enum tq_status tq_npy_header_read(const char *place, const uint8_t *head, size_t have, uint64_t size,
                                  struct tq_npy_header *header) {
    struct tq_npy_header made = {.shape = {1, 1}};
    char text[TQ_NPY_HEAD_BYTES];
    if (have < 12 || memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3) {
        return tq_fail(TQ_FORMAT, "%s: not an array of NumPy's format, version 1, 2 or 3", place);
    }
    size_t prefix = head[6] == 1 ? 10 : 12;
    size_t bytes = head[8] | (size_t)head[9] << 8;
    if (prefix == 12) bytes |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (bytes > size - prefix) {
        return tq_fail(TQ_FORMAT, "%s: a header of %zu bytes in %llu: it is cut off", place, bytes,
                       (unsigned long long)size);
    }
    if (bytes >= sizeof text || bytes > have - prefix) {
        return tq_fail(TQ_FORMAT, "%s: a header of %zu bytes; those of vectors have %zu at most", place, bytes,
                       sizeof text - prefix);
    }
    memcpy(text, head + prefix, bytes);
    text[bytes] = '\0';
    made.start = (uint32_t)(prefix + bytes);
    TQ_TRY(read_type(place, text, &made));
    TQ_TRY(read_shape(place, text, &made));
    *header = made;
    return TQ_OK;
}

/* ---- What it means ---- */

bool tq_npy_header_element(const struct tq_npy_header *header, enum tq_element *element) {
    static const struct {
        const char *name;
        enum tq_element element;
    } known[] = {{"<f2", TQ_ELEMENT_F16}, {"<f4", TQ_ELEMENT_F32}, {"<f8", TQ_ELEMENT_F64}, {"|i1", TQ_ELEMENT_I8},
                 {"|u1", TQ_ELEMENT_U8},  {"<i2", TQ_ELEMENT_I16}, {"<u2", TQ_ELEMENT_U16}, {"<i4", TQ_ELEMENT_I32},
                 {"<u4", TQ_ELEMENT_U32}, {"<i8", TQ_ELEMENT_I64}, {"<u8", TQ_ELEMENT_U64}, {"<i1", TQ_ELEMENT_I8},
                 {"<u1", TQ_ELEMENT_U8}};
    for (size_t i = 0; i < TQ_COUNT(known); i++) {
        if (strcmp(header->type, known[i].name) != 0) continue;
        *element = known[i].element;
        return true;
    }
    return false;
}

void tq_npy_header_shape(const struct tq_npy_header *header, char *text, size_t size) {
    unsigned long long rows = header->shape[0], dim = header->shape[1];
    if (header->axes == 0)
        (void)snprintf(text, size, "()");
    else if (header->axes == 1)
        (void)snprintf(text, size, "(%llu,)", rows);
    else
        (void)snprintf(text, size, "(%llu, %llu%s)", rows, dim, header->axes > 2 ? ", ..." : "");
}

static enum tq_status fail_type(const char *place, const char *type) {
    if (*type == '>') {
        return tq_fail(TQ_FORMAT, "%s: elements are %s, big-endian; save array.astype('<%s')", place, type, type + 1);
    }
    if (*type == '[')
        return tq_fail(TQ_FORMAT, "%s: elements are structures, %s...; they must be numbers", place, type);
    return tq_fail(TQ_FORMAT, "%s: elements are %s%s; they must be f2, f4, f8, i1 to i8 or u1 to u8", place, type,
                   strcmp(type, "|O") == 0 ? ", objects of Python" : "");
}

enum tq_status tq_npy_header_check_size(const char *place, const struct tq_npy_header *header, uint64_t size,
                                        size_t element_bytes) {
    uint64_t have = size - header->start, bytes = 0;
    char shape[64];
    bool absurd = __builtin_mul_overflow(header->shape[0], header->shape[1], &bytes) ||
                  __builtin_mul_overflow(bytes, element_bytes, &bytes);
    if (!absurd && bytes == have) return TQ_OK;
    tq_npy_header_shape(header, shape, sizeof shape);
    return tq_fail(TQ_FORMAT, "%s: the header says %s elements of %zu bytes, the file holds %llu bytes of them%s",
                   place, shape, element_bytes, (unsigned long long)have,
                   absurd || bytes > have ? ": it is cut off" : "");
}

enum tq_status tq_npy_header_vectors(const char *place, const struct tq_npy_header *header, uint64_t size,
                                     enum tq_element *element, uint32_t *dim) {
    char shape[64];
    tq_npy_header_shape(header, shape, sizeof shape);
    if (!tq_npy_header_element(header, element)) return fail_type(place, header->type);
    if (header->axes < 1 || header->axes > 2) {
        return tq_fail(TQ_FORMAT, "%s: shape %s; it must be (rows, dimensions)", place, shape);
    }
    if (header->shape[1] < 1 || header->shape[1] > TQ_DIM_MAX) {
        return tq_fail(TQ_FORMAT, "%s: shape %s: %llu dimensions; there must be 1 to %d", place, shape,
                       (unsigned long long)header->shape[1], TQ_DIM_MAX);
    }
    if (header->fortran && header->axes == 2) {
        return tq_fail(TQ_FORMAT, "%s: Fortran order; save it with numpy.ascontiguousarray", place);
    }
    *dim = (uint32_t)header->shape[1];
    return tq_npy_header_check_size(place, header, size, tq_element_bytes(*element));
}
