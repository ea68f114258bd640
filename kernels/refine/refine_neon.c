/* Integer inner products of prepared queries with bit-plane records, 16 dimensions a step.
 *
 *     2 bytes of plane p      tbl puts the one into lanes 0..7, the other into 8..15; tst with bit l % 8 in lane l:
 *                             a lane mask of 16 bytes
 *     index of a lane         OR over planes of mask & weight, in bytes
 *     centroid                tbl on tables of 16, 32 or 64 low and high bytes (4, 5 and 6 bits), tbx for every 64
 *                             more; zip to words
 *     code dot                smlal, smlal2 with 2 x 8 query words; the contract excludes overflow
 *     sketch                  sum of +-q = 2 * (sum of q where the bit is set) - (sum of q)
 *
 * Per 16     4 operations a plane, the look-up (4 up to 4 bits), 4 to multiply and add, 8 for a sketch: at 3
 *            bits and a sketch 28 operations.
 * Bound      in L1 the vector pipes: 98 cycles at dim 100, 3 bits + sketch, on two of them, half of it on four.
 *            Records at random in L3 or memory: misses in flight, so all lines of a record are asked for AHEAD
 *            rows before they are read. sign_dots: 5 operations per 16 dimensions, the same bounds.
 * Reads      up to 3 bytes past the last plane, where the scalars are. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/impl.h"

enum { LANES = 16, TABLES_MAX = 16, SLACK = 8, LINE = 64, AHEAD = 20 };

static inline void prefetch(const uint8_t *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += LINE) __builtin_prefetch(from + at);
    __builtin_prefetch(from + bytes - 1);
}

/* All bits of byte l where bit 16 * step + l of the plane is set. Reads 4 bytes: a load straight into a vector. */
static inline uint8x16_t load_mask(const uint8_t *plane, size_t step) {
    const uint8x16_t byte_of_lane = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
    const uint8x16_t bit_of_lane = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201ull));
    uint32_t bits;
    memcpy(&bits, plane + 2 * step, sizeof bits);
    return vtstq_u8(vqtbl1q_u8(vreinterpretq_u8_u32(vdupq_n_u32(bits)), byte_of_lane), bit_of_lane);
}

/* Bytes of the centroids, 16 a vector. */
struct tables {
    uint8x16_t low[TABLES_MAX], high[TABLES_MAX];
};

static void tables_init(struct tables *tables, const int16_t *centroids, unsigned code_bits) {
    unsigned count = 1u << code_bits;
    for (unsigned first = 0; first < count; first += LANES) {
        uint8_t low[LANES] = {0}, high[LANES] = {0};
        for (unsigned i = 0; i < LANES && first + i < count; i++) {
            low[i] = (uint8_t)centroids[first + i];
            high[i] = (uint8_t)((uint16_t)centroids[first + i] >> 8);
        }
        tables->low[first / LANES] = vld1q_u8(low);
        tables->high[first / LANES] = vld1q_u8(high);
    }
}

static inline uint8x16x4_t four_of(const uint8x16_t *table) {
    return (uint8x16x4_t){{table[0], table[1], table[2], table[3]}};
}

/* tbx leaves a lane alone whose index is beyond its 64 bytes. */
static inline __attribute__((always_inline)) uint8x16_t look_up(const uint8x16_t *table, uint8x16_t index,
                                                                unsigned code_bits) {
    if (code_bits <= 4) return vqtbl1q_u8(table[0], index);
    if (code_bits == 5) return vqtbl2q_u8((uint8x16x2_t){{table[0], table[1]}}, index);
    uint8x16_t bytes = vqtbl4q_u8(four_of(table), index);
    for (unsigned i = 1; i < 1u << (code_bits - 6); i++) {
        bytes = vqtbx4q_u8(bytes, four_of(table + 4 * i), vsubq_u8(index, vdupq_n_u8((uint8_t)(64 * i))));
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

/* Two sums, so that additions wait for half as many before them. */
struct pair {
    int32x4_t first, second;
};

static inline void add_products(struct pair *sums, int16x8_t query, uint8x16_t centroid_bytes) {
    int16x8_t centroids = vreinterpretq_s16_u8(centroid_bytes);
    sums->first = vmlal_s16(sums->first, vget_low_s16(query), vget_low_s16(centroids));
    sums->second = vmlal_high_s16(sums->second, query, centroids);
}

static inline __attribute__((always_inline)) int32_t code_dot(const struct tq_code_query *query, const struct job *job,
                                                              const uint8_t *record, const struct tables *tables,
                                                              unsigned code_bits) {
    struct pair sums = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (size_t step = 0; step < job->steps; step++) {
        const int16_t *words = query->query + step * LANES;
        uint8x16_t index = vdupq_n_u8(0);
#pragma GCC unroll 8
        for (unsigned p = 0; p < code_bits; p++) {
            uint8x16_t mask = load_mask(record + p * job->plane_bytes, step);
            index = vorrq_u8(index, vandq_u8(mask, vdupq_n_u8((uint8_t)(1u << (code_bits - 1 - p)))));
        }
        uint8x16_t low = look_up(tables->low, index, code_bits), high = look_up(tables->high, index, code_bits);
        add_products(&sums, vld1q_s16(words), vzip1q_u8(low, high));
        add_products(&sums, vld1q_s16(words + 8), vzip2q_u8(low, high));
    }
    return vaddvq_s32(vaddq_s32(sums.first, sums.second));
}

/* Sum of the query where the bits of the plane are set (NULL: all). */
static inline int32_t sketch_part(const int16_t *sketch_query, const uint8_t *plane, size_t steps) {
    struct pair sums = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (size_t step = 0; step < steps; step++) {
        uint8x16_t mask = plane == NULL ? vdupq_n_u8(255) : load_mask(plane, step);
        int16x8_t low = vreinterpretq_s16_u8(vzip1q_u8(mask, mask));
        int16x8_t high = vreinterpretq_s16_u8(vzip2q_u8(mask, mask));
        const int16_t *words = sketch_query + step * LANES;
        sums.first = vpadalq_s16(sums.first, vandq_s16(vld1q_s16(words), low));
        sums.second = vpadalq_s16(sums.second, vandq_s16(vld1q_s16(words + 8), high));
    }
    return vaddvq_s32(vaddq_s32(sums.first, sums.second));
}

/* Unsigned: the sketch of a long query may pass 2^31 on its way. */
static inline int32_t twice_less(int32_t part, int32_t total) {
    return (int32_t)(2 * (uint32_t)part - (uint32_t)total);
}

static inline __attribute__((always_inline)) void run_bits(const struct tq_code_query *query, const struct job *job,
                                                           struct tq_code_dots *dots, unsigned code_bits) {
    struct tables tables;
    size_t sketch_offset = code_bits * job->plane_bytes;
    size_t bytes = sketch_offset + (query->sketch ? job->plane_bytes : 0) + SLACK;
    tables_init(&tables, query->centroids, code_bits);
    for (size_t i = 0; i < job->count && i < AHEAD; i++) prefetch(record_at(job, i), bytes);
    for (size_t i = 0; i < job->count; i++) {
        const uint8_t *record = record_at(job, i);
        if (i + AHEAD < job->count) prefetch(record_at(job, i + AHEAD), bytes);
        dots[i] = (struct tq_code_dots){code_dot(query, job, record, &tables, code_bits), 0};
        if (query->sketch) {
            int32_t part = sketch_part(query->sketch_query, record + sketch_offset, job->steps);
            dots[i].sketch = twice_less(part, job->sketch_total);
        }
    }
}

static void run(const struct tq_code_query *query, struct job *job, struct tq_code_dots *dots) {
    job->steps = (query->dim + LANES - 1) / LANES;
    job->plane_bytes = tq_layout_plane_bytes(query->dim);
    if (query->sketch) job->sketch_total = sketch_part(query->sketch_query, NULL, job->steps);
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
    int32x4_t sums = vdupq_n_s32(0);
    for (size_t step = 0; step < (dim + LANES - 1) / LANES; step++) {
        int8x16_t entries = vld1q_s8(query + step * LANES);
        if (signs != NULL) entries = vandq_s8(entries, vreinterpretq_s8_u8(load_mask(signs, step)));
        sums = vpadalq_s16(sums, vpaddlq_s8(entries));
    }
    return vaddvq_s32(sums);
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

const struct tq_refine_impl tq_refine_neon = {.sign_dots = sign_dots, .refine = refine, .score = score};
