/* The rows of the dispatch table: one constant of functions per operation family and instruction set. A NULL
 * member falls to the next weaker row; the scalar constants are complete. kernels.h has the contracts. */
#ifndef TQ_IMPL_H
#define TQ_IMPL_H

#include "kernels/kernels.h"

struct tq_rotate_impl {
    void (*rotate)(const struct tq_rotation *rotation, const float *in, float *out);
    void (*hadamard)(float *x, size_t n);
};

struct tq_pack_impl {
    void (*pack)(const uint8_t *indices, const uint8_t *sketch, size_t dim, uint32_t code_bits, uint8_t *record);
    void (*transpose)(const uint8_t *records, size_t stride, size_t row_count, uint32_t plane, size_t dim,
                      uint8_t *block);
};

struct tq_quantize_impl {
    void (*quantize)(const struct tq_quantizer *quantizer, const float *x, float scale, uint8_t *indices,
                     struct tq_quantized_sums *sums);
    float (*sketch)(const float *x, size_t dim, uint8_t *sketch);
    float (*sketch_dot)(const float *x, const uint8_t *sketch, size_t dim);
    void (*to_f16)(const float *x, size_t dim, uint16_t *half);
};

struct tq_scan_impl {
    void (*scan)(const uint8_t *blocks, const uint32_t *list, size_t count, size_t groups, const uint8_t *lut,
                 uint16_t *sums, uint16_t *maxima);
    void (*select)(const uint16_t *sums, const uint16_t *second, uint16_t threshold, uint64_t mask[2]);
};

struct tq_gate_impl {
    void (*gate)(const struct tq_gate_query *query, const uint16_t *first, const uint16_t *second,
                 const uint16_t *inverse, const uint16_t *error, uint64_t mask[2]);
};

struct tq_tile_impl {
    void (*unpack)(const uint8_t *first, const uint8_t *second, size_t groups, uint8_t *tile);
    void (*multiply)(const uint8_t *tile, size_t groups, const int8_t *queries, size_t stride, size_t count,
                     int32_t *sums);
    void (*reach)(const struct tq_gate_query *query, int32_t offset, const int32_t *sums, const uint16_t *inverse,
                  const uint16_t *error, uint64_t mask[2]);
};

struct tq_refine_impl {
    void (*sign_dots)(const int8_t *query, size_t dim, uint32_t plane, const uint8_t *const *records, size_t count,
                      int32_t *dots);
    void (*refine)(const struct tq_code_query *query, const uint8_t *const *records, size_t count,
                   struct tq_code_dots *dots);
    void (*score)(const struct tq_code_query *query, const uint8_t *records, size_t stride, size_t count,
                  struct tq_code_dots *dots);
};

struct tq_dot_impl {
    double (*dot_f32)(const float *query, const float *x, size_t dim);
    double (*dot_f16)(const float *query, const uint16_t *x, size_t dim);
};

extern const struct tq_rotate_impl tq_rotate_scalar, tq_rotate_neon, tq_rotate_ssse3, tq_rotate_avx2, tq_rotate_avx512;
extern const struct tq_pack_impl tq_pack_scalar, tq_pack_neon, tq_pack_ssse3, tq_pack_avx2, tq_pack_avx512;
extern const struct tq_quantize_impl tq_quantize_scalar, tq_quantize_neon, tq_quantize_ssse3, tq_quantize_avx2,
    tq_quantize_avx512;
extern const struct tq_scan_impl tq_scan_scalar, tq_scan_neon, tq_scan_ssse3, tq_scan_avx2, tq_scan_avx512,
    tq_scan_avx512vbmi;
extern const struct tq_gate_impl tq_gate_scalar, tq_gate_neon, tq_gate_ssse3, tq_gate_avx2, tq_gate_avx512;
extern const struct tq_tile_impl tq_tile_scalar, tq_tile_avx512vnni, tq_tile_amx;
extern const struct tq_refine_impl tq_refine_scalar, tq_refine_neon, tq_refine_ssse3, tq_refine_avx2, tq_refine_avx512;
extern const struct tq_dot_impl tq_dot_scalar, tq_dot_neon, tq_dot_ssse3, tq_dot_avx2, tq_dot_avx512;

#endif
