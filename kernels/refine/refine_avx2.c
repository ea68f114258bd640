/* Integer inner products of prepared queries with bit-plane records, 16 dimensions a vector.
 *
 *     2 bytes of plane p      broadcast; AND with bit l in lane l, compare: a lane mask of 16
 *     index of a lane         OR over planes of mask & weight, in both bytes of the lane
 *     centroid                vpshufb on a table of 8 words (code_bits <= 3) or on tables of 16 low and 16
 *                             high bytes (4); vpgatherdd of even and odd lanes beyond, from a copy in words
 *     code dot                vpmaddwd with 16 query words, vpaddd; the contract excludes overflow
 *     sketch                  sum of +-q = 2 * (sum of q where the bit is set) - (sum of q)
 *
 * Per 16     4 operations a plane (and one broadcasting load, p5), the look-up (1, 5, or 2 gathers of 8), 2 to
 *            multiply and add: at 3 bits and a sketch 19 operations on ports 0, 1 and 5.
 * Bound      in L1 those ports: 50 cycles at dim 100, 3 bits + sketch. Records at random in L3 or memory: the
 *            line fill buffers, so all lines of a record are asked for AHEAD rows before they are read.
 *            sign_dots: 7 operations per 32 dimensions, the same bounds.
 * Reads      up to 1 byte (sign_dots: 3) past the last plane, where the scalars are. */
#include <immintrin.h>
#include <string.h>

#include "kernels/impl.h"

enum { LANES = 16, CENTROIDS_MAX = 256, SLACK = 8, LINE = 64, AHEAD = 20 };

static inline void prefetch(const uint8_t *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += LINE) _mm_prefetch((const char *)from + at, _MM_HINT_T0);
    _mm_prefetch((const char *)from + bytes - 1, _MM_HINT_T0);
}

/* All bits of lane l where bit 16 * step + l of the plane is set. */
static inline __m256i load_mask(const uint8_t *plane, size_t step) {
    const __m256i lane_bits = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
                                                (short)0x8000);
    int16_t bits;
    memcpy(&bits, plane + step * sizeof bits, sizeof bits);
    return _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16(bits), lane_bits), lane_bits);
}

static inline __m256i load_words(const int16_t *words, size_t step) {
    return _mm256_loadu_si256((const __m256i *)(words + step * LANES));
}

/* The centroids of a call in the form that its code_bits look up. */
struct tables {
    __m256i words;               /* 8 words, up to 3 bits */
    __m256i low, high;           /* bytes of 16 words, 4 bits */
    int32_t wide[CENTROIDS_MAX]; /* beyond: a gather reads 4 bytes, 2 more than the caller's last word has */
};

static inline __m256i broadcast_16(const void *bytes) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)bytes));
}

static void tables_init(struct tables *tables, const int16_t *centroids, unsigned code_bits) {
    int16_t words[16] = {0};
    uint8_t low[16] = {0}, high[16] = {0};
    unsigned count = 1u << code_bits;
    for (unsigned i = 0; i < count && code_bits <= 4; i++) {
        words[i] = centroids[i];
        low[i] = (uint8_t)centroids[i];
        high[i] = (uint8_t)((uint16_t)centroids[i] >> 8);
    }
    tables->words = broadcast_16(words);
    tables->low = broadcast_16(low);
    tables->high = broadcast_16(high);
    for (unsigned i = 0; i < count && code_bits > 4; i++) tables->wide[i] = centroids[i];
}

/* What an index bit adds to its lane. Up to 3 bits the bytes of a lane are 2 * index and 2 * index + 1 (the
 * places of a word's bytes), with 4 bits both are the index, beyond the lane is the index. */
static inline __m256i index_weight(unsigned bit, unsigned code_bits) {
    int weight = 1 << bit;
    if (code_bits <= 3) return _mm256_set1_epi16((short)(weight * 0x0202));
    return _mm256_set1_epi16((short)(code_bits == 4 ? weight * 0x0101 : weight));
}

static inline __attribute__((always_inline)) __m256i look_up(const struct tables *tables, __m256i index_u16x16,
                                                             unsigned code_bits) {
    if (code_bits <= 3) return _mm256_shuffle_epi8(tables->words, index_u16x16);
    if (code_bits == 4) { /* a set top bit makes vpshufb write 0: each table fills its byte of the lane */
        __m256i low_index = _mm256_or_si256(index_u16x16, _mm256_set1_epi16((short)0x8000));
        __m256i high_index = _mm256_or_si256(index_u16x16, _mm256_set1_epi16(0x0080));
        return _mm256_or_si256(_mm256_shuffle_epi8(tables->low, low_index),
                               _mm256_shuffle_epi8(tables->high, high_index));
    }
    __m256i even_index = _mm256_and_si256(index_u16x16, _mm256_set1_epi32(0xffff));
    __m256i even_i32x8 = _mm256_i32gather_epi32(tables->wide, even_index, 4);
    __m256i odd_i32x8 = _mm256_i32gather_epi32(tables->wide, _mm256_srli_epi32(index_u16x16, 16), 4);
    return _mm256_blend_epi16(even_i32x8, _mm256_slli_epi32(odd_i32x8, 16), 0xaa);
}

/* What is the same for every record of a call. */
struct job {
    const uint8_t *const *list; /* or NULL: count records from base, stride apart */
    const uint8_t *base;
    size_t stride, count;
    size_t steps, plane_bytes;
    int32_t sketch_total;
};

static inline const uint8_t *record_at(const struct job *job, size_t i) {
    return job->list != NULL ? job->list[i] : job->base + i * job->stride;
}

static inline __attribute__((always_inline)) __m256i code_dot(const struct tq_code_query *query, const struct job *job,
                                                              const uint8_t *record, const struct tables *tables,
                                                              unsigned code_bits) {
    __m256i sums_i32x8 = _mm256_setzero_si256();
    for (size_t step = 0; step < job->steps; step++) {
        __m256i index_u16x16 = code_bits <= 3 ? _mm256_set1_epi16(0x0100) : _mm256_setzero_si256();
#pragma GCC unroll 8
        for (unsigned p = 0; p < code_bits; p++) {
            __m256i mask = load_mask(record + p * job->plane_bytes, step);
            __m256i weight_u16x16 = index_weight(code_bits - 1 - p, code_bits);
            index_u16x16 = _mm256_or_si256(index_u16x16, _mm256_and_si256(mask, weight_u16x16));
        }
        __m256i centroids_i16x16 = look_up(tables, index_u16x16, code_bits);
        __m256i products_i32x8 = _mm256_madd_epi16(load_words(query->query, step), centroids_i16x16);
        sums_i32x8 = _mm256_add_epi32(sums_i32x8, products_i32x8);
    }
    return sums_i32x8;
}

/* Sums of the query where the bits of the plane are set (NULL: all). */
static inline __m256i sketch_part(const int16_t *sketch_query, const uint8_t *plane, size_t steps) {
    __m256i sums_i32x8 = _mm256_setzero_si256(), ones_i16x16 = _mm256_set1_epi16(1);
    for (size_t step = 0; step < steps; step++) {
        __m256i words_i16x16 = load_words(sketch_query, step);
        if (plane != NULL) words_i16x16 = _mm256_and_si256(words_i16x16, load_mask(plane, step));
        sums_i32x8 = _mm256_add_epi32(sums_i32x8, _mm256_madd_epi16(words_i16x16, ones_i16x16));
    }
    return sums_i32x8;
}

/* (sum of first, sum of second) in lanes 0 and 1. */
static inline __m128i fold(__m256i first_i32x8, __m256i second_i32x8) {
    __m256i pairs_i32x8 = _mm256_add_epi32(_mm256_unpacklo_epi32(first_i32x8, second_i32x8),
                                           _mm256_unpackhi_epi32(first_i32x8, second_i32x8));
    __m128i pairs_i32x4 = _mm_add_epi32(_mm256_castsi256_si128(pairs_i32x8), _mm256_extracti128_si256(pairs_i32x8, 1));
    return _mm_add_epi32(pairs_i32x4, _mm_unpackhi_epi64(pairs_i32x4, pairs_i32x4));
}

static inline __attribute__((always_inline)) void run_bits(const struct tq_code_query *query, const struct job *job,
                                                           struct tq_code_dots *dots, unsigned code_bits) {
    struct tables tables;
    size_t sketch_offset = code_bits * job->plane_bytes;
    size_t bytes = sketch_offset + (query->sketch ? job->plane_bytes : 0) + SLACK;
    __m128i sketch_total = _mm_setr_epi32(0, job->sketch_total, 0, 0);
    const __m128i twice_sketch = _mm_setr_epi32(0, 1, 0, 0); /* shifts; without a sketch both sums are 0 */
    tables_init(&tables, query->centroids, code_bits);
    for (size_t i = 0; i < job->count && i < AHEAD; i++) prefetch(record_at(job, i), bytes);
    for (size_t i = 0; i < job->count; i++) {
        const uint8_t *record = record_at(job, i);
        __m256i sketch_i32x8 = _mm256_setzero_si256();
        if (i + AHEAD < job->count) prefetch(record_at(job, i + AHEAD), bytes);
        __m256i code_i32x8 = code_dot(query, job, record, &tables, code_bits);
        if (query->sketch) {
            sketch_i32x8 = sketch_part(query->sketch_query, record + sketch_offset, job->steps);
        }
        __m128i both_i32x4 = _mm_sllv_epi32(fold(code_i32x8, sketch_i32x8), twice_sketch);
        _mm_storel_epi64((__m128i *)&dots[i], _mm_sub_epi32(both_i32x4, sketch_total));
    }
}

static void run(const struct tq_code_query *query, struct job *job, struct tq_code_dots *dots) {
    job->steps = (query->dim + LANES - 1) / LANES;
    job->plane_bytes = tq_layout_plane_bytes(query->dim);
    if (query->sketch) {
        __m256i total_i32x8 = sketch_part(query->sketch_query, NULL, job->steps);
        job->sketch_total = _mm_cvtsi128_si32(fold(total_i32x8, total_i32x8));
    }
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

/* Sum of the query's entries where the bits of signs are set (NULL: all). */
static inline int32_t sum_where(const int8_t *query, const uint8_t *signs, size_t dim) {
    const __m256i ones = _mm256_set1_epi8(1), ones_i16x16 = _mm256_set1_epi16(1);
    const __m256i byte_of_lane = _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101, 0x0202020202020202,
                                                    0x0303030303030303);
    const __m256i bit_of_lane = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i sums_i32x8 = _mm256_setzero_si256();
    for (size_t j = 0; j < dim; j += 32) {
        int32_t bits = -1;
        if (signs != NULL) memcpy(&bits, signs + j / 8, sizeof bits);
        __m256i bytes_u8x32 = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte_of_lane);
        __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes_u8x32, bit_of_lane), bit_of_lane);
        __m256i query_i8x32 = _mm256_loadu_si256((const __m256i *)(query + j));
        __m256i pairs_i16x16 = _mm256_maddubs_epi16(ones, _mm256_and_si256(set, query_i8x32));
        sums_i32x8 = _mm256_add_epi32(sums_i32x8, _mm256_madd_epi16(pairs_i16x16, ones_i16x16));
    }
    return _mm_cvtsi128_si32(fold(sums_i32x8, sums_i32x8));
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

const struct tq_refine_impl tq_refine_avx2 = {.sign_dots = sign_dots, .refine = refine, .score = score};
