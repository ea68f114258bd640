/* Integer inner products of prepared queries with bit-plane records, dimension by dimension. */
#include "kernels/impl.h"

static uint32_t bit_at(const uint8_t *plane, size_t j) { return (uint32_t)plane[j / 8] >> j % 8 & 1u; }

static void sign_dots(const int8_t *query, size_t dim, uint32_t plane, const uint8_t *const *records, size_t count,
                      int32_t *dots) {
    size_t offset = plane * tq_layout_plane_bytes(dim);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *signs = records[i] + offset;
        int32_t sum = 0;
        for (size_t j = 0; j < dim; j++) sum += bit_at(signs, j) ? query[j] : -query[j];
        dots[i] = sum;
    }
}

static struct tq_code_dots record_dots(const struct tq_code_query *query, const uint8_t *record) {
    size_t dim = query->dim, plane_bytes = tq_layout_plane_bytes(dim);
    const uint8_t *sketch = record + query->code_bits * plane_bytes;
    struct tq_code_dots dots = {0, 0};
    for (size_t j = 0; j < dim; j++) {
        uint32_t index = 0;
        for (uint32_t p = 0; p < query->code_bits; p++) {
            index = index << 1 | bit_at(record + p * plane_bytes, j);
        }
        dots.code += query->query[j] * query->centroids[index];
        if (!query->sketch) continue;
        dots.sketch += bit_at(sketch, j) ? query->sketch_query[j] : -query->sketch_query[j];
    }
    return dots;
}

static void refine(const struct tq_code_query *query, const uint8_t *const *records, size_t count,
                   struct tq_code_dots *dots) {
    for (size_t i = 0; i < count; i++) dots[i] = record_dots(query, records[i]);
}

static void score(const struct tq_code_query *query, const uint8_t *records, size_t stride, size_t count,
                  struct tq_code_dots *dots) {
    for (size_t i = 0; i < count; i++) dots[i] = record_dots(query, records + i * stride);
}

const struct tq_refine_impl tq_refine_scalar = {.sign_dots = sign_dots, .refine = refine, .score = score};
