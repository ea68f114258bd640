/* Rows as the CPU writes them to rows as the device reads them (internal.h), a block a group. The source is page-locked
 * memory of the host, read over the link as it is: every byte once, in whole lines, so that no copy on the device is
 * needed and the link is the limit. */
#ifndef TQ_CUDA_TRANSCODE_CUH
#define TQ_CUDA_TRANSCODE_CUH

#include "kernels/cuda/internal.h"

enum { TRANSCODE_THREADS = 256, TAIL_BYTES = 12 /* struct tq_record_tail */ };

/* Where rows are put: the arrays of struct tq_cuda_resident, from a group on. */
struct TranscodeTarget {
    uint32_t *signs, *rows;
    uint64_t *present, *unusable;
    float2 *norms;
    uint64_t groups, first; /* capacity; the group that row 0 of the source begins */
    uint32_t bits, slabs, row_words;
};

struct TranscodeSource {
    const uint8_t *records; /* its memory ends with a whole group, and is aligned to 16 bytes */
    const uint16_t *first_error, *second;
    uint64_t count;
    uint32_t plane_bytes, record_stride; /* of 4 */
};

/* Of the rows of a group. */
struct GroupFacts {
    float norm[TQ_CUDA_GROUP_ROWS];
    uint32_t unusable[2];
};

__host__ __device__ constexpr uint32_t transcode_shared_bytes(uint32_t record_stride) {
    return TQ_CUDA_TILE_ROWS * record_stride + 16;
}

/* Four bytes at any place of words in shared memory. */
static __device__ uint32_t word_at(const uint32_t *words, uint32_t byte) {
    return __funnelshift_r(words[byte / 4], words[byte / 4 + 1], byte % 4 * 8);
}

/* Word w of plane p of a record; zeros beyond the plane. */
static __device__ uint32_t plane_word(const TranscodeSource &from, const uint32_t *record, uint32_t p, uint32_t w) {
    if (4 * w >= from.plane_bytes) return 0;
    uint32_t word = word_at(record, p * from.plane_bytes + 4 * w), left = from.plane_bytes - 4 * w;
    return left >= 4 ? word : word & (1u << 8 * left) - 1;
}

/* Word `at` of a row on the device, of a record in shared memory. */
static __device__ uint32_t row_word(const TranscodeTarget &to, const TranscodeSource &from, const uint32_t *record,
                                    uint64_t row, uint32_t at) {
    uint32_t planes = to.bits * to.slabs * TQ_CUDA_SLAB_WORDS;
    if (at < planes) {
        uint32_t slab_words = to.bits * TQ_CUDA_SLAB_WORDS, slab = at / slab_words, in = at % slab_words;
        uint32_t p = in / 16 * 2, w = in % 16, base = slab * TQ_CUDA_SLAB_WORDS;
        if (p + 1 < to.bits) return plane_word(from, record, p + w / 2 % 2, base + w / 4 * 2 + w % 2);
        return plane_word(from, record, p, base + w);
    }
    if (at < planes + TAIL_BYTES / 4) return word_at(record, to.bits * from.plane_bytes + 4 * (at - planes));
    if (at == planes + 3) return from.first_error[row];
    if (at == planes + 4) return from.second[2 * row] | (uint32_t)from.second[2 * row + 1] << 16;
    return 0;
}

static __device__ bool half_is_finite(uint32_t half) { return (half & 0x7c00u) != 0x7c00u; }

/* What the group must know of one of its rows. */
static __device__ void note_row(const TranscodeTarget &to, const TranscodeSource &from, const uint32_t *record,
                                uint64_t row, uint32_t in_group, GroupFacts &facts) {
    uint32_t tail = to.bits * from.plane_bytes;
    facts.norm[in_group] = __uint_as_float(word_at(record, tail + 4));
    bool usable = word_at(record, tail) << 1 != 0 && half_is_finite(from.first_error[row]) &&
                  half_is_finite(word_at(record, tail + 8) >> 16);
    if (!usable) atomicOr(&facts.unusable[in_group / 32], 1u << in_group % 32);
}

/* Sixteen rows, `there` of them in the source, from its row `first` on. */
static __device__ void put_tile(const TranscodeTarget &to, const TranscodeSource &from, uint64_t group, uint32_t tile,
                                uint64_t first, uint32_t there, const uint32_t *records, GroupFacts &facts) {
    uint32_t stride = from.record_stride / 4, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    uint64_t row = (to.first + group) * TQ_CUDA_GROUP_ROWS + tile * TQ_CUDA_TILE_ROWS;
    for (uint32_t r = warp; r < TQ_CUDA_TILE_ROWS; r += TRANSCODE_THREADS / 32)
        for (uint32_t at = lane; at < to.row_words; at += 32)
            to.rows[(row + r) * to.row_words + at] = r < there ? row_word(to, from, records + r * stride, first + r, at)
                                                               : 0;
    for (uint32_t i = threadIdx.x; i < to.slabs * 128; i += TRANSCODE_THREADS) {
        uint32_t slab = i / 128, at = i % 128, r = at / 16 + (at % 4 >= 2 ? 8 : 0);
        uint32_t w = slab * TQ_CUDA_SLAB_WORDS + at / 4 % 4 * 2 + at % 2;
        to.signs[(slab * to.groups + to.first + group) * TQ_CUDA_GROUP_SIGNS + tile * 128 + at] =
            r < there ? plane_word(from, records + r * stride, 0, w) : 0;
    }
    if (threadIdx.x < there)
        note_row(to, from, records + threadIdx.x * stride, first + threadIdx.x, tile * TQ_CUDA_TILE_ROWS + threadIdx.x,
                 facts);
}

/* Words of a group, by its first warp: `count` rows are there. */
static __device__ void put_facts(const TranscodeTarget &to, uint64_t group, uint32_t count, const GroupFacts &facts) {
    float least = INFINITY, most = 0;
    for (uint32_t r = threadIdx.x; r < count; r += 32) {
        least = fminf(least, facts.norm[r]);
        most = fmaxf(most, facts.norm[r]);
    }
    for (uint32_t d = 16; d > 0; d /= 2) {
        least = fminf(least, __shfl_xor_sync(0xffffffffu, least, d));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, d));
    }
    if (threadIdx.x != 0) return;
    uint64_t at = to.first + group;
    to.present[at] = count == TQ_CUDA_GROUP_ROWS ? ~0ull : (1ull << count) - 1;
    to.unusable[at] = facts.unusable[0] | (uint64_t)facts.unusable[1] << 32;
    to.norms[at] = make_float2(least, most);
}

static __global__ void __launch_bounds__(TRANSCODE_THREADS)
    transcode(const __grid_constant__ TranscodeTarget to, const __grid_constant__ TranscodeSource from) {
    extern __shared__ uint4 tile_records[];
    __shared__ GroupFacts facts;
    uint64_t groups = (from.count + TQ_CUDA_GROUP_ROWS - 1) / TQ_CUDA_GROUP_ROWS;
    for (uint64_t group = blockIdx.x; group < groups; group += gridDim.x) {
        uint64_t first = group * TQ_CUDA_GROUP_ROWS;
        uint32_t count = (uint32_t)min(from.count - first, (uint64_t)TQ_CUDA_GROUP_ROWS);
        if (threadIdx.x < 2) facts.unusable[threadIdx.x] = 0;
        for (uint32_t tile = 0; tile < TQ_CUDA_GROUP_ROWS / TQ_CUDA_TILE_ROWS; tile++) {
            uint32_t begin = tile * TQ_CUDA_TILE_ROWS;
            uint32_t there = count > begin ? min(count - begin, (uint32_t)TQ_CUDA_TILE_ROWS) : 0;
            const uint4 *source = (const uint4 *)(from.records + (first + begin) * from.record_stride);
            __syncthreads(); /* all have read the tile before, and the facts */
            for (uint32_t i = threadIdx.x; i < (there * from.record_stride + 15) / 16; i += TRANSCODE_THREADS)
                tile_records[i] = __ldcs(source + i);
            __syncthreads();
            put_tile(to, from, group, tile, first + begin, there, (const uint32_t *)tile_records, facts);
        }
        __syncthreads();
        if (threadIdx.x < 32) put_facts(to, group, count, facts);
        __syncthreads();
    }
}

/* Groups that have no rows from now on. */
static __global__ void __launch_bounds__(TRANSCODE_THREADS)
    clear_groups(uint64_t *present, uint64_t *unusable, float2 *norms, uint64_t count) {
    for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < count;
         i += (uint64_t)gridDim.x * blockDim.x) {
        present[i] = 0;
        unusable[i] = 0;
        norms[i] = make_float2(INFINITY, 0);
    }
}

#endif
