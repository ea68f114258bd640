/* Segments: immutable runs of rows, as planes in chunks. Built in memory, sealed into LMDB, read in place.
 *
 * Data flow  encoder -> struct tq_row -> builder -> (seal) chunks and a directory in LMDB -> segment -> index/
 * Layout     storage/FORMAT.md; kernels' view of the bytes: kernels/layout.h. No SQLite here.
 * Trust      a page is verified against its sum before its first byte is used in this process; any mismatch is
 *            TQ_CORRUPT with the chunk and page named, never a wrong answer. */
#ifndef TQ_SEGMENT_H
#define TQ_SEGMENT_H

#include "src/base/format.h"
#include "storage/env.h"

enum tq_plane {
    TQ_PLANE_FIRST = 0,          /* blocks: signs */
    TQ_PLANE_SECOND = 1,         /* blocks: second bits; only if format.scan_planes is 2 */
    TQ_PLANE_FIRST_ERROR = 2,    /* u16 (half) a row; u8 where format.packed: tq_first_error_at */
    TQ_PLANE_SECOND_SCALARS = 3, /* struct tq_second_block a block; only if scan_planes is 2 */
    TQ_PLANE_NORM = 4,           /* f32 a row; only if format.norms */
    TQ_PLANE_STATS = 5,          /* struct tq_block_stats a block */
    TQ_PLANE_RECORD = 6,         /* stored_bytes a row: tq_segment_records has them whole */
    TQ_PLANE_ID = 7,             /* i64 a row; absent while id = slot + constant */
    TQ_PLANE_SLOT = 8,           /* u32 a row, slot - slot0; absent while row = slot - slot0 */
    TQ_PLANE_EXACT = 9,          /* exact_bytes a slot; only if format.exact_bytes */
    TQ_PLANE_COUNT = 10
};

/* Bounds over the rows of a block, for dismissing it as a whole. Rows absent from the last block do not count.
 * cos and sin: of the angle between a row and its signs, its first error being the tangent. */
struct tq_block_stats {
    float cos_min, cos_max; /* 0 where the error is infinite */
    float sin_max;          /* rounded up; infinite where an error is */
    float norm_min, norm_max;
    uint32_t second_unknown; /* rows whose second scalars say nothing */
};
_Static_assert(sizeof(struct tq_block_stats) == 24, "written to disk as it is");

/* Rows of a sealed segment: 65,280, halved (whole blocks) while the codes of a segment would exceed 32 MiB. */
uint32_t tq_segment_rows_max(const struct tq_format *format);

/* Rows of one flush: those of one exact-row chunk, 64 to 8,192; with rows=none those of one chunk of codes, at
 * most 4,096 (notes of the layout: FORMAT.md). */
uint32_t tq_segment_flush_rows(const struct tq_format *format);

/* ---- Reading: any number of threads ---- */

struct tq_segment;

/* A sealed segment. Shared by the process: the same key gives the same object, whose verified pages stay
 * verified. dir_sum: XXH3-64 of the directory value, from the catalog. Reads the directory only.
 * `reader` resolves values; they must stay undeleted while the segment is in use (catalog's promise). */
enum tq_status tq_segment_open(struct tq_env *env, struct tq_env_reader *reader, const struct tq_format *format,
                               uint64_t dir_key, uint64_t dir_sum, struct tq_segment **segment);
void tq_segment_close(struct tq_segment *segment);

uint32_t tq_segment_row_count(const struct tq_segment *segment);
uint64_t tq_segment_slot_first(const struct tq_segment *segment);
uint64_t tq_segment_slot_end(const struct tq_segment *segment);   /* one past the last slot it covers */
uint64_t tq_segment_code_bytes(const struct tq_segment *segment); /* payload, exact rows apart */
uint64_t tq_segment_exact_bytes(const struct tq_segment *segment);

/* One block's units of a plane (FIRST .. STATS, ID): 128 rows of a row plane, one unit of a block plane, contiguous. */
enum tq_status tq_segment_block(struct tq_segment *segment, enum tq_plane plane, uint32_t block, const void **units);

/* A run of blocks of plane FIRST, SECOND, SECOND_SCALARS or STATS from `block`: *count >= 1 of them, at most
 * `wanted`. */
enum tq_status tq_segment_blocks(struct tq_segment *segment, enum tq_plane plane, uint32_t block, uint32_t wanted,
                                 const void **units, uint32_t *count);

/* Units of chosen rows: plane RECORD or EXACT (for EXACT the row's slot is resolved here). On first touch of
 * pages they are asked from disk together (MADV_WILLNEED), then verified. rows ascending is faster. */
enum tq_status tq_segment_gather(struct tq_segment *segment, enum tq_plane plane, const uint32_t *rows, size_t count,
                                 const uint8_t **units);

/* Records of chosen rows, whole. Where the format packs them they are put together in `scratch`, record_stride bytes
 * a row; else they are in the segment, and scratch may be NULL. */
enum tq_status tq_segment_records(struct tq_segment *segment, const uint32_t *rows, size_t count, uint8_t *scratch,
                                  const uint8_t **records);

enum tq_status tq_segment_ids(struct tq_segment *segment, const uint32_t *rows, size_t count, int64_t *ids);
/* Ids of a block's rows: *ids points at them, in place or in `room`, i64[128]. */
enum tq_status tq_segment_block_ids(struct tq_segment *segment, uint32_t block, int64_t *room, const int64_t **ids);
/* Whether the id of row r is *first + r for all rows. */
bool tq_segment_ids_ascend(const struct tq_segment *segment, int64_t *first);
/* Equal for a sealed segment whenever it is opened, different for any other of the index; zeros for one in memory. */
void tq_segment_identity(const struct tq_segment *segment, uint64_t identity[2]);
/* 16 bytes of the folder that a sealed segment lies in; NULL for one in memory. */
const uint8_t *tq_segment_uuid(const struct tq_segment *segment);
enum tq_status tq_segment_slots(struct tq_segment *segment, const uint32_t *rows, size_t count, uint64_t *slots);

/* The row of a slot, or TQ_NOT_FOUND (it is not among the rows). */
enum tq_status tq_segment_find(struct tq_segment *segment, uint64_t slot, uint32_t *row);

/* For who will read all codes: the chunks they lie in, and one of them asked from disk as a whole and verified. */
uint32_t tq_segment_code_chunks(const struct tq_segment *segment);
enum tq_status tq_segment_load(struct tq_segment *segment, uint32_t chunk);

/* Verify everything now. */
enum tq_status tq_segment_check(struct tq_segment *segment);

/* ---- Building: one thread ---- */

struct tq_builder;

/* Rows from slot_first on. capacity: at most so many rows will come. With `sink` NULL exact rows stay in memory
 * (the log); else full exact chunks leave for LMDB as they fill, in batches of 16 MiB.
 * Memory: codes of the rows so far, plus the batch. */
struct tq_builder_sink {
    struct tq_env *env;
    uint32_t index;
    struct tq_env_meta meta; /* serial: last one used; grows. Written with each batch */
};
enum tq_status tq_builder_open(const struct tq_format *format, uint64_t slot_first, uint32_t capacity,
                               struct tq_builder_sink *sink, struct tq_builder **builder);
void tq_builder_close(struct tq_builder *builder);

/* Append a row; slots ascend, gaps are fine (an exact row of zeros fills a gap). row->exact NULL: the exact row
 * was adopted. On failure the builder is unchanged. */
enum tq_status tq_builder_append(struct tq_builder *builder, int64_t id, uint64_t slot, const struct tq_row *row);

/* Append row `row` of a segment as it is, codes only or with its exact row. */
enum tq_status tq_builder_copy(struct tq_builder *builder, struct tq_segment *segment, uint32_t row, bool with_exact);

/* Refer to a segment's exact chunks instead of copying its rows' exact data. */
enum tq_status tq_builder_adopt(struct tq_builder *builder, struct tq_segment *segment);

uint32_t tq_builder_row_count(const struct tq_builder *builder);
void tq_builder_truncate(struct tq_builder *builder, uint32_t row_count); /* forget the last rows */

/* The rows so far as a segment, borrowed: valid until the next append, truncate or close. Everything counts as
 * verified. Needs a transpose of the open block only. Without a sink it cannot fail; with one, exact rows that have
 * left are looked up again, and NULL means that this failed (tq_message() says why). */
struct tq_segment *tq_builder_segment(struct tq_builder *builder);

struct tq_sealed {
    uint64_t slot_first, slot_end;
    uint32_t rows;
    uint64_t dir_key, dir_sum;
};

/* Write what is left (codes, exact rows, directory) durably; the builder is empty afterwards and may be closed. */
enum tq_status tq_builder_seal(struct tq_builder *builder, struct tq_sealed *sealed);

/* Keys of every value a sealed segment refers to: code_keys are its chunks and, last, its directory; exact_keys its
 * exact chunks, among them those that other segments refer to as well. */
size_t tq_segment_keys(const struct tq_segment *segment, uint64_t *code_keys, size_t code_capacity,
                       uint64_t *exact_keys, size_t exact_capacity, size_t *exact_count);

#endif
