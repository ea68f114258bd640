/* Integer inner products of prepared queries with bit-plane records, 16 dimensions a step.
 *
 *     2 bytes of plane p      pshufb puts the one into lanes 0..7, the other into 8..15; AND with bit l % 8 in
 *                             lane l, compare: a lane mask of 16 bytes
 *     index of a lane         OR over planes of mask & weight, in bytes
 *     centroid                pshufb on tables of 16 low and 16 high bytes, punpck to words. Beyond 4 bits there
 *                             are 2^(bits - 4) pairs of tables; paddusb lets each answer for its 16 indices only
 *     code dot                pmaddwd with 2 x 8 query words, paddd; the contract excludes overflow
 *     sketch                  sum of +-q = 2 * (sum of q where the bit is set) - (sum of q); the mask as words is
 *                             -1 or 0, so pmaddwd with it gives the negative sum
 *
 * Per 16     5 operations a plane, the look-up (4, or 6 a table pair and 2), 4 to multiply and add, 9 for a
 *            sketch: at 3 bits and a sketch 32 operations on ports 0, 1 and 5.
 * Bound      in L1 those ports: 75 cycles at dim 100, 3 bits + sketch. Records at random in L3 or memory: the
 *            line fill buffers, so all lines of a record are asked for AHEAD rows before they are read.
 *            sign_dots: 7 operations per 16 dimensions, the same bounds.
 * Reads      up to 3 bytes past the last plane, where the scalars are. */
#include <string.h>
#include <tmmintrin.h>

#include "kernels/impl.h"

enum { LANES = 16, TABLES_MAX = 16, SLACK = 8, LINE = 64, AHEAD = 20 };

static inline void prefetch(const uint8_t *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += LINE) _mm_prefetch((const char *)from + at, _MM_HINT_T0);
    _mm_prefetch((const char *)from + bytes - 1, _MM_HINT_T0);
}

/* All bits of byte l where bit 16 * step + l of the plane is set. Reads 4 bytes, which needs no shuffle port. */
static inline __m128i load_mask(const uint8_t *plane, size_t step) {
    const __m128i byte_of_lane = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m128i bit_of_lane = _mm_set1_epi64x((long long)0x8040201008040201ull);
    int32_t bits;
    memcpy(&bits, plane + 2 * step, sizeof bits);
    __m128i bytes_u8x16 = _mm_shuffle_epi8(_mm_cvtsi32_si128(bits), byte_of_lane);
    return _mm_cmpeq_epi8(_mm_and_si128(bytes_u8x16, bit_of_lane), bit_of_lane);
}

static inline __m128i load_words(const int16_t *words, size_t step, size_t half) {
    return _mm_loadu_si128((const __m128i *)(const void *)(words + step * LANES + half * 8));
}

/* Bytes of the centroids, 16 a table. */
struct tables {
    __m128i low[TABLES_MAX], high[TABLES_MAX];
};

static void tables_init(struct tables *tables, const int16_t *centroids, unsigned code_bits) {
    unsigned count = 1u << code_bits;
    for (unsigned first = 0; first < count; first += LANES) {
        uint8_t low[LANES] = {0}, high[LANES] = {0};
        for (unsigned i = 0; i < LANES && first + i < count; i++) {
            low[i] = (uint8_t)centroids[first + i];
            high[i] = (uint8_t)((uint16_t)centroids[first + i] >> 8);
        }
        tables->low[first / LANES] = _mm_loadu_si128((const __m128i *)low);
        tables->high[first / LANES] = _mm_loadu_si128((const __m128i *)high);
    }
}

struct bytes { /* of 16 words */
    __m128i low, high;
};

/* A set top bit makes pshufb write 0: table t is asked for index ^ 16 t, with which 0x70 saturates beyond 15. */
static inline __attribute__((always_inline)) struct bytes look_up(const struct tables *tables, __m128i index_u8x16,
                                                                  unsigned code_bits) {
    struct bytes bytes = {_mm_setzero_si128(), _mm_setzero_si128()};
    if (code_bits <= 4) {
        bytes.low = _mm_shuffle_epi8(tables->low[0], index_u8x16);
        bytes.high = _mm_shuffle_epi8(tables->high[0], index_u8x16);
        return bytes;
    }
    for (unsigned t = 0; t < 1u << (code_bits - 4); t++) {
        __m128i inside = _mm_xor_si128(index_u8x16, _mm_set1_epi8((char)(t * LANES)));
        inside = _mm_adds_epu8(inside, _mm_set1_epi8(0x70));
        bytes.low = _mm_or_si128(bytes.low, _mm_shuffle_epi8(tables->low[t], inside));
        bytes.high = _mm_or_si128(bytes.high, _mm_shuffle_epi8(tables->high[t], inside));
    }
    return bytes;
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

static inline __attribute__((always_inline)) __m128i code_dot(const struct tq_code_query *query, const struct job *job,
                                                              const uint8_t *record, const struct tables *tables,
                                                              unsigned code_bits) {
    __m128i first_i32x4 = _mm_setzero_si128(), second_i32x4 = _mm_setzero_si128();
    for (size_t step = 0; step < job->steps; step++) {
        __m128i index_u8x16 = _mm_setzero_si128();
#pragma GCC unroll 8
        for (unsigned p = 0; p < code_bits; p++) {
            __m128i weight_u8x16 = _mm_set1_epi8((char)(1u << (code_bits - 1 - p)));
            __m128i mask = load_mask(record + p * job->plane_bytes, step);
            index_u8x16 = _mm_or_si128(index_u8x16, _mm_and_si128(mask, weight_u8x16));
        }
        struct bytes centroids = look_up(tables, index_u8x16, code_bits);
        __m128i low_i16x8 = _mm_unpacklo_epi8(centroids.low, centroids.high);
        __m128i high_i16x8 = _mm_unpackhi_epi8(centroids.low, centroids.high);
        first_i32x4 = _mm_add_epi32(first_i32x4, _mm_madd_epi16(load_words(query->query, step, 0), low_i16x8));
        second_i32x4 = _mm_add_epi32(second_i32x4, _mm_madd_epi16(load_words(query->query, step, 1), high_i16x8));
    }
    return _mm_add_epi32(first_i32x4, second_i32x4);
}

/* Sums of the query where the bits of the plane are set (NULL: all). */
static inline __m128i sketch_part(const int16_t *sketch_query, const uint8_t *plane, size_t steps) {
    __m128i first_i32x4 = _mm_setzero_si128(), second_i32x4 = _mm_setzero_si128();
    for (size_t step = 0; step < steps; step++) {
        __m128i mask = plane == NULL ? _mm_set1_epi8(-1) : load_mask(plane, step);
        __m128i low_i16x8 = _mm_unpacklo_epi8(mask, mask), high_i16x8 = _mm_unpackhi_epi8(mask, mask);
        first_i32x4 = _mm_sub_epi32(first_i32x4, _mm_madd_epi16(load_words(sketch_query, step, 0), low_i16x8));
        second_i32x4 = _mm_sub_epi32(second_i32x4, _mm_madd_epi16(load_words(sketch_query, step, 1), high_i16x8));
    }
    return _mm_add_epi32(first_i32x4, second_i32x4);
}

/* (sum of first, sum of second) in lanes 0 and 1. */
static inline __m128i fold(__m128i first_i32x4, __m128i second_i32x4) {
    __m128i pairs_i32x4 = _mm_add_epi32(_mm_unpacklo_epi32(first_i32x4, second_i32x4),
                                        _mm_unpackhi_epi32(first_i32x4, second_i32x4));
    return _mm_add_epi32(pairs_i32x4, _mm_unpackhi_epi64(pairs_i32x4, pairs_i32x4));
}

static inline __attribute__((always_inline)) void run_bits(const struct tq_code_query *query, const struct job *job,
                                                           struct tq_code_dots *dots, unsigned code_bits) {
    struct tables tables;
    size_t sketch_offset = code_bits * job->plane_bytes;
    size_t bytes = sketch_offset + (query->sketch ? job->plane_bytes : 0) + SLACK;
    __m128i sketch_total = _mm_setr_epi32(0, job->sketch_total, 0, 0);
    tables_init(&tables, query->centroids, code_bits);
    for (size_t i = 0; i < job->count && i < AHEAD; i++) prefetch(record_at(job, i), bytes);
    for (size_t i = 0; i < job->count; i++) {
        const uint8_t *record = record_at(job, i);
        __m128i sketch_i32x4 = _mm_setzero_si128();
        if (i + AHEAD < job->count) prefetch(record_at(job, i + AHEAD), bytes);
        __m128i code_i32x4 = code_dot(query, job, record, &tables, code_bits);
        if (query->sketch) {
            sketch_i32x4 = sketch_part(query->sketch_query, record + sketch_offset, job->steps);
            sketch_i32x4 = _mm_add_epi32(sketch_i32x4, sketch_i32x4);
        }
        __m128i both_i32x4 = _mm_sub_epi32(fold(code_i32x4, sketch_i32x4), sketch_total);
        _mm_storel_epi64((__m128i *)&dots[i], both_i32x4);
    }
}

static void run(const struct tq_code_query *query, struct job *job, struct tq_code_dots *dots) {
    job->steps = (query->dim + LANES - 1) / LANES;
    job->plane_bytes = tq_layout_plane_bytes(query->dim);
    if (query->sketch) {
        __m128i total_i32x4 = sketch_part(query->sketch_query, NULL, job->steps);
        job->sketch_total = _mm_cvtsi128_si32(fold(total_i32x4, total_i32x4));
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
    const __m128i ones = _mm_set1_epi8(1), ones_i16x8 = _mm_set1_epi16(1);
    __m128i sums_i32x4 = _mm_setzero_si128();
    for (size_t step = 0; step < (dim + LANES - 1) / LANES; step++) {
        __m128i query_i8x16 = _mm_loadu_si128((const __m128i *)(const void *)(query + step * LANES));
        if (signs != NULL) query_i8x16 = _mm_and_si128(load_mask(signs, step), query_i8x16);
        __m128i pairs_i16x8 = _mm_maddubs_epi16(ones, query_i8x16);
        sums_i32x4 = _mm_add_epi32(sums_i32x4, _mm_madd_epi16(pairs_i16x8, ones_i16x8));
    }
    return _mm_cvtsi128_si32(fold(sums_i32x4, sums_i32x4));
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

const struct tq_refine_impl tq_refine_ssse3 = {.sign_dots = sign_dots, .refine = refine, .score = score};
