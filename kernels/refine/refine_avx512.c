/* Integer inner products of prepared queries with bit-plane records, 32 dimensions a vector.
 *
 *     4 bytes of plane p      a mask of 32 lanes, as they are in memory
 *     index of a lane         sum over planes of mask ? 1 << (code_bits - 1 - p) : 0
 *     centroid                vpermw in one register of 32 (code_bits <= 5), vpermi2w in two (6); with 7 and
 *                             8 bits two or four of those, chosen by the masks of the top planes
 *     code dot                vpmaddwd with 32 query words, vpaddd; the contract excludes overflow
 *     sketch                  sum of +-q = 2 * (sum of q where the bit is set) - (sum of q)
 *
 * Per 32     b planes: b kmovd (p5), b masked adds (p05), the look-up (1 to 9, p5), and multiply-add, sum: at
 *            3 bits and a sketch 13 operations, 8 of them for port 5. Another 13 fold a row's two sums.
 * Bound      in L1 port 5: 40 cycles at dim 100, 3 bits + sketch. Records at random in L3 or memory: the line
 *            fill buffers, so all lines of a record are asked for AHEAD rows before they are read.
 *            sign_dots: 5 operations per 64 dimensions, the same bounds.
 * Reads      up to 3 bytes (sign_dots: 7) past the last plane, where the scalars are. */
#include <immintrin.h>
#include <string.h>

#include "kernels/impl.h"

enum { LANES = 32, CENTROIDS_MAX = 256, SLACK = 8, LINE = 64, AHEAD = 20 };

static inline void prefetch(const uint8_t *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += LINE) _mm_prefetch((const char *)from + at, _MM_HINT_T0);
    _mm_prefetch((const char *)from + bytes - 1, _MM_HINT_T0);
}

static inline __mmask32 load_mask(const uint8_t *plane, size_t step) {
    uint32_t bits;
    memcpy(&bits, plane + step * sizeof bits, sizeof bits);
    return bits;
}

static inline __m512i load_words(const int16_t *words, size_t step) { return _mm512_loadu_si512(words + step * LANES); }

/* What is the same for every record of a call. */
struct job {
    const uint8_t *const *list; /* or NULL: count records from base, stride apart */
    const uint8_t *base;
    size_t stride, count;
    size_t steps, plane_bytes;
    __m128i sketch_total; /* lane 1: sum of the sketch query */
};

static inline const uint8_t *record_at(const struct job *job, size_t i) {
    return job->list != NULL ? job->list[i] : job->base + i * job->stride;
}

/* Index bits 0..5 are in index_u16x32 (higher ones are ignored), 6 and 7 in masks[1] and masks[0]. */
static inline __attribute__((always_inline)) __m512i look_up(const __m512i *table, __m512i index_u16x32,
                                                             const __mmask32 *masks, unsigned code_bits) {
    __m512i quarters[4];
    if (code_bits <= 5) return _mm512_permutexvar_epi16(index_u16x32, table[0]);
    unsigned count = 1u << (code_bits - 6);
    for (unsigned i = 0; i < count; i++) {
        quarters[i] = _mm512_permutex2var_epi16(table[2 * i], index_u16x32, table[2 * i + 1]);
    }
    if (code_bits == 6) return quarters[0];
    if (code_bits == 7) return _mm512_mask_blend_epi16(masks[0], quarters[0], quarters[1]);
    __m512i lower = _mm512_mask_blend_epi16(masks[1], quarters[0], quarters[1]);
    __m512i upper = _mm512_mask_blend_epi16(masks[1], quarters[2], quarters[3]);
    return _mm512_mask_blend_epi16(masks[0], lower, upper);
}

static inline __attribute__((always_inline)) __m512i code_dot(const struct tq_code_query *query, const struct job *job,
                                                              const uint8_t *record, const __m512i *table,
                                                              unsigned code_bits) {
    __m512i sums_i32x16 = _mm512_setzero_si512();
    for (size_t step = 0; step < job->steps; step++) {
        __m512i index_u16x32 = _mm512_setzero_si512();
        __mmask32 masks[8];
#pragma GCC unroll 8
        for (unsigned p = 0; p < code_bits; p++) {
            __m512i weight_u16x32 = _mm512_set1_epi16((short)(1 << (code_bits - 1 - p)));
            masks[p] = load_mask(record + p * job->plane_bytes, step);
            if (code_bits - 1 - p > 5) continue;
            index_u16x32 = _mm512_mask_add_epi16(index_u16x32, masks[p], index_u16x32, weight_u16x32);
        }
        __m512i centroids_i16x32 = look_up(table, index_u16x32, masks, code_bits);
        __m512i query_i16x32 = load_words(query->query, step);
        sums_i32x16 = _mm512_add_epi32(sums_i32x16, _mm512_madd_epi16(query_i16x32, centroids_i16x32));
    }
    return sums_i32x16;
}

static inline __m512i sketch_part(const int16_t *sketch_query, const uint8_t *plane, size_t steps) {
    __m512i sums_i32x16 = _mm512_setzero_si512(), ones_i16x32 = _mm512_set1_epi16(1);
    for (size_t step = 0; step < steps; step++) {
        __m512i set_i16x32 = _mm512_maskz_mov_epi16(load_mask(plane, step), load_words(sketch_query, step));
        sums_i32x16 = _mm512_add_epi32(sums_i32x16, _mm512_madd_epi16(set_i16x32, ones_i16x32));
    }
    return sums_i32x16;
}

/* (sum of first, sum of second) in lanes 0 and 1. */
static inline __m128i fold(__m512i first, __m512i second) {
    __m256i first_i32x8 = _mm256_add_epi32(_mm512_castsi512_si256(first), _mm512_extracti64x4_epi64(first, 1));
    __m256i second_i32x8 = _mm256_add_epi32(_mm512_castsi512_si256(second), _mm512_extracti64x4_epi64(second, 1));
    __m256i pairs_i32x8 = _mm256_add_epi32(_mm256_unpacklo_epi32(first_i32x8, second_i32x8),
                                           _mm256_unpackhi_epi32(first_i32x8, second_i32x8));
    __m128i pairs_i32x4 = _mm_add_epi32(_mm256_castsi256_si128(pairs_i32x8), _mm256_extracti128_si256(pairs_i32x8, 1));
    return _mm_add_epi32(pairs_i32x4, _mm_unpackhi_epi64(pairs_i32x4, pairs_i32x4));
}

static inline __attribute__((always_inline)) void run_bits(const struct tq_code_query *query, const struct job *job,
                                                           struct tq_code_dots *dots, unsigned code_bits) {
    const __m128i twice_sketch = _mm_setr_epi32(0, 1, 0, 0); /* shifts; without a sketch both sums are 0 */
    __m512i table[CENTROIDS_MAX / LANES];
    size_t sketch_offset = code_bits * job->plane_bytes;
    size_t bytes = sketch_offset + (query->sketch ? job->plane_bytes : 0) + SLACK;
    if (code_bits < 5) {
        table[0] = _mm512_maskz_loadu_epi16(_bzhi_u32(~0u, 1u << code_bits), query->centroids);
    }
    for (unsigned i = 0; code_bits >= 5 && i < (1u << code_bits) / LANES; i++) {
        table[i] = load_words(query->centroids, i);
    }
    for (size_t i = 0; i < job->count && i < AHEAD; i++) prefetch(record_at(job, i), bytes);
    for (size_t i = 0; i < job->count; i++) {
        const uint8_t *record = record_at(job, i);
        __m512i sketch_i32x16 = _mm512_setzero_si512();
        if (i + AHEAD < job->count) prefetch(record_at(job, i + AHEAD), bytes);
        __m512i code_i32x16 = code_dot(query, job, record, table, code_bits);
        if (query->sketch) {
            sketch_i32x16 = sketch_part(query->sketch_query, record + sketch_offset, job->steps);
        }
        __m128i both_i32x4 = _mm_sllv_epi32(fold(code_i32x16, sketch_i32x16), twice_sketch);
        _mm_storel_epi64((__m128i *)&dots[i], _mm_sub_epi32(both_i32x4, job->sketch_total));
    }
}

static void run(const struct tq_code_query *query, struct job *job, struct tq_code_dots *dots) {
    job->steps = (query->dim + LANES - 1) / LANES;
    job->plane_bytes = tq_layout_plane_bytes(query->dim);
    __m512i total_i32x16 = _mm512_setzero_si512(), ones_i16x32 = _mm512_set1_epi16(1);
    for (size_t step = 0; query->sketch && step < job->steps; step++) {
        __m512i words_i16x32 = load_words(query->sketch_query, step);
        total_i32x16 = _mm512_add_epi32(total_i32x16, _mm512_madd_epi16(words_i16x32, ones_i16x32));
    }
    job->sketch_total = fold(_mm512_setzero_si512(), total_i32x16);
    switch (query->code_bits) {
    case 1: run_bits(query, job, dots, 1); break;
    case 2: run_bits(query, job, dots, 2); break;
    case 3: run_bits(query, job, dots, 3); break;
    case 4: run_bits(query, job, dots, 4); break;
    case 5: run_bits(query, job, dots, 5); break;
    case 6: run_bits(query, job, dots, 6); break;
    case 7: run_bits(query, job, dots, 7); break;
    default: run_bits(query, job, dots, 8); break;
    }
}

static void refine(const struct tq_code_query *query, const uint8_t *const *records, size_t count,
                   struct tq_code_dots *dots) {
    struct job job = {.list = records, .count = count};
    run(query, &job, dots);
}

static void score(const struct tq_code_query *query, const uint8_t *records, size_t stride, size_t count,
                  struct tq_code_dots *dots) {
    struct job job = {.base = records, .stride = stride, .count = count};
    run(query, &job, dots);
}

/* Sum of the query's entries in lane 0..15 where the bits of signs are set (NULL: all). */
static inline int32_t sum_where(const int8_t *query, const uint8_t *signs, size_t dim) {
    const __m512i ones = _mm512_set1_epi8(1), ones_i16x32 = _mm512_set1_epi16(1);
    __m512i sums_i32x16 = _mm512_setzero_si512();
    for (size_t j = 0; j < dim; j += 64) {
        uint64_t bits = ~0ull;
        if (signs != NULL) memcpy(&bits, signs + j / 8, sizeof bits);
        __m512i set_i8x64 = _mm512_maskz_mov_epi8(bits, _mm512_loadu_si512(query + j));
        __m512i pairs_i16x32 = _mm512_maddubs_epi16(ones, set_i8x64);
        sums_i32x16 = _mm512_add_epi32(sums_i32x16, _mm512_madd_epi16(pairs_i16x32, ones_i16x32));
    }
    return _mm_cvtsi128_si32(fold(sums_i32x16, sums_i32x16));
}

static void sign_dots(const int8_t *query, size_t dim, uint32_t plane, const uint8_t *const *records, size_t count,
                      int32_t *dots) {
    size_t plane_bytes = tq_layout_plane_bytes(dim), offset = plane * plane_bytes;
    int32_t total = sum_where(query, NULL, dim);
    for (size_t i = 0; i < count && i < AHEAD; i++) prefetch(records[i] + offset, plane_bytes + SLACK);
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count) prefetch(records[i + AHEAD] + offset, plane_bytes + SLACK);
        dots[i] = 2 * sum_where(query, records[i] + offset, dim) - total;
    }
}

const struct tq_refine_impl tq_refine_avx512 = {.sign_dots = sign_dots, .refine = refine, .score = score};
