/* What storage reads of bytes: directories of segments, records of the log, packed records, chunks, and the records of
 * a folder. The first byte says which, the second a format. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/base.h"
#include "storage/chunk.h"
#include "storage/directory.h"
#include "storage/env_record.h"
#include "storage/log_record.h"
#include "storage/packed_record.h"
#include "tests/fuzz/fuzz.h"

enum { INDEX = 2 };
static const uint8_t uuid[16] = "a store's number";

static struct tq_format format_of(uint8_t byte) {
    static const uint32_t dims[] = {3, 100, 17, 768};
    struct tq_format format;
    struct tq_index_options options = tq_index_defaults(dims[byte & 3]);
    options.metric = (enum tq_metric)((byte >> 2 & 3) % 3);
    options.rows = (enum tq_rows)((byte >> 4 & 3) % 3);
    options.bits = 2u + (byte >> 6 & 1u) * 3u;
    options.qjl = byte >> 7;
    fuzz_require(tq_format_init(&format, &options) == TQ_OK, "a format");
    return format;
}

/* ---- Directories ---- */

static void check_bounds(const struct tq_directory *directory, const struct tq_format *format) {
    uint64_t payload = tq_chunk_payload_bytes(format), end = 0;
    for (uint32_t i = 0; i < directory->head.pieces; i++) {
        const struct tq_directory_piece *piece = &directory->pieces[i];
        if (piece->plane >= TQ_PLANE_OPTIONAL) continue;
        uint64_t bytes = (uint64_t)piece->units * tq_plane_unit_bytes(format, (enum tq_plane)piece->plane);
        fuzz_require(piece->offset + bytes <= payload && piece->chunk < directory->head.code_chunks,
                     "a piece lies within its chunk");
    }
    for (uint32_t i = 0; i < directory->head.exact_pieces; i++) {
        const struct tq_directory_exact *piece = &directory->exact[i];
        uint64_t bytes = (uint64_t)piece->slots * format->exact_bytes;
        fuzz_require(piece->offset + bytes <= payload && piece->chunk < directory->head.exact_chunks,
                     "exact rows lie within their chunk");
        fuzz_require(piece->slots > 0 && piece->slot_first >= end, "exact rows ascend");
        end = piece->slot_first + piece->slots;
    }
}

/* What guards a directory is put right, where there is room for it: the sums are not what is tried here. */
static void check_directory(const struct tq_format *format, struct fuzz_input input) {
    struct tq_directory directory;
    struct tq_directory_head head;
    size_t size = input.left;
    uint8_t *bytes = fuzz_copy(input.at, size);
    if (size >= sizeof head) {
        memcpy(&head, bytes, sizeof head);
        head.magic = TQ_DIRECTORY_MAGIC;
        head.format = TQ_DIRECTORY_FORMAT;
        head.index = INDEX;
        memcpy(head.uuid, uuid, sizeof head.uuid);
        head.seed = format->seed;
        head.dim = format->dim;
        head.bits = (uint8_t)format->bits;
        head.qjl = format->qjl;
        head.metric = (uint8_t)format->metric;
        head.rows_kind = (uint8_t)format->rows;
        head.codec_version = TQ_CODEC_VERSION;
        head.chunk_pages = tq_chunk_pages(format);
        head.size = (uint32_t)size;
        memcpy(bytes, &head, sizeof head);
    }
    uint64_t sum = tq_chunk_hash(bytes, size);
    if (tq_directory_decode(bytes, size, sum, uuid, INDEX, format, &directory) == TQ_OK) {
        check_bounds(&directory, format);
        uint8_t *again = NULL;
        size_t again_size = 0;
        fuzz_require(tq_directory_encode(&directory, &again, &again_size) == TQ_OK && again_size == size &&
                         memcmp(again, bytes, size) == 0,
                     "a directory is written as it was read");
        tq_free(again);
        tq_directory_clear(&directory);
    }
    free(bytes);
}

/* ---- The log ---- */

static void check_log(const struct tq_format *format, struct fuzz_input input) {
    size_t record_size = 0, exact_size = 0, blob_size = tq_log_record_bytes(format);
    struct tq_row row = {.first_error = (uint16_t)fuzz_number(&input, 2), .norm = (float)fuzz_byte(&input)};
    uint64_t slot = fuzz_number(&input, 5);
    struct tq_log_place place = {slot + 1, (int64_t)fuzz_number(&input, 8), slot};
    uint8_t *raw = fuzz_copy(input.at, input.left), *record = calloc(1, format->record_stride),
            *exact = calloc(1, format->exact_bytes + 1), *blob = malloc(blob_size),
            *read = malloc(format->record_stride);
    fuzz_require(record != NULL && exact != NULL && blob != NULL && read != NULL, "memory");
    struct tq_row back;
    (void)tq_log_record_read(format, place, raw, input.left, read, &back);
    (void)tq_log_record_sum(raw, input.left);
    free(raw);

    const uint8_t *bytes = fuzz_bytes(&input, format->record_bytes, &record_size);
    memcpy(record, bytes, record_size);
    bytes = fuzz_bytes(&input, format->exact_bytes, &exact_size);
    memcpy(exact, bytes, exact_size);
    row.record = record;
    row.exact = exact;
    tq_log_record_write(format, place, &row, blob);
    fuzz_require(tq_log_record_read(format, place, blob, blob_size, read, &back), "a record is read again");
    fuzz_require(memcmp(back.record, record, format->record_stride) == 0 && back.first_error == row.first_error &&
                     back.norm == row.norm &&
                     (back.exact == NULL || memcmp(back.exact, exact, format->exact_bytes) == 0),
                 "with what was written");
    const struct tq_log_place others[] = {
        {place.seq, place.id ^ 1, slot}, {place.seq, place.id, slot + 1}, {place.seq + 1, place.id, slot}};
    for (size_t i = 0; i < TQ_COUNT(others); i++)
        fuzz_require(!tq_log_record_read(format, others[i], blob, blob_size, read, &back), "a record has its place");
    size_t at = fuzz_number(&input, 4) % blob_size;
    blob[at] ^= (uint8_t)(fuzz_byte(&input) | 1u);
    fuzz_require(!tq_log_record_read(format, place, blob, blob_size, read, &back), "a damaged record is known");
    free(record);
    free(exact);
    free(blob);
    free(read);
}

/* ---- Packed records ---- */

static void check_packed(struct tq_format format, struct fuzz_input input) {
    struct tq_index_options options = tq_format_options(&format);
    options.rows = TQ_ROWS_NONE;
    fuzz_require(tq_format_init(&format, &options) == TQ_OK, "a format");
    uint32_t lane = fuzz_byte(&input) % TQ_BLOCK_ROWS;
    uint8_t *stored = malloc(format.stored_bytes), *block = calloc(1, format.block_bytes),
            *record = calloc(1, format.record_stride), *again = malloc(format.stored_bytes),
            *back = malloc(format.record_stride);
    fuzz_require(stored != NULL && block != NULL && record != NULL && again != NULL && back != NULL, "memory");
    memset(stored, 0, format.stored_bytes);
    size_t size = 0;
    const uint8_t *bytes = fuzz_bytes(&input, format.stored_bytes, &size);
    memcpy(stored, bytes, size);
    bytes = fuzz_bytes(&input, format.block_bytes, &size);
    memcpy(block, bytes, size);
    float norm = (float)fuzz_byte(&input);
    tq_packed_read(&format, stored, block, lane, norm, record);

    /* Read bytes need not be such as are written: scalars have more than one form. After one round they have not. */
    tq_packed_write(&format, record, again);
    tq_lane_write(format.dim, record, lane, block);
    tq_packed_read(&format, again, block, lane, norm, back);
    tq_packed_write(&format, back, stored);
    fuzz_require(memcmp(stored, again, format.stored_bytes) == 0, "a packed record is written as it was read");
    fuzz_require(memcmp(back, record, format.plane_bytes) == 0, "and so is its lane");
    tq_lanes_clear(format.dim, lane, block);
    free(stored);
    free(block);
    free(record);
    free(again);
    free(back);
}

/* ---- Chunks ---- */

enum { CHUNK_KINDS = 4, CHANGES_MOST = 3 };

/* A good chunk of one of a few sizes. Made once: that takes longer than all that is done with it. */
static uint8_t *good_chunk(uint32_t which, uint64_t *sum) {
    static const uint32_t payloads[CHUNK_KINDS] = {0, 1, 3 * TQ_CHUNK_PAGE + 5, TQ_CHUNK_PAGES * TQ_CHUNK_PAGE};
    static uint8_t *values[CHUNK_KINDS];
    static uint64_t sums[CHUNK_KINDS];
    if (values[which] == NULL) {
        struct tq_chunk_head head = {
            .index = INDEX, .serial = 1, .pages = TQ_CHUNK_PAGES, .payload_bytes = payloads[which]};
        values[which] = calloc(1, TQ_VALUE_BYTES_MAX);
        fuzz_require(values[which] != NULL, "a chunk");
        for (uint32_t i = 0; i < head.payload_bytes; i++) values[which][TQ_CHUNK_HEAD + i] = (uint8_t)(i * 7);
        tq_chunk_finish(values[which], &head);
        sums[which] = head.sum;
    }
    *sum = sums[which];
    return values[which];
}

/* Of a good chunk one or more bytes are changed: pages without changes are good, others are not. The pages before and
 * behind are looked at, too. */
static void check_chunk(struct fuzz_input input) {
    struct tq_chunk chunk = {.key = tq_env_key(INDEX, 1), .pages = TQ_CHUNK_PAGES};
    uint8_t *value = good_chunk(fuzz_byte(&input) % CHUNK_KINDS, &chunk.sum), before[CHANGES_MOST];
    size_t changes = 1u + fuzz_byte(&input) % CHANGES_MOST, places[CHANGES_MOST];
    bool head_changed = false, page_changed[TQ_CHUNK_PAGES] = {false};
    for (size_t i = 0; i < changes; i++) {
        places[i] = fuzz_number(&input, 3) % TQ_VALUE_BYTES_MAX;
        before[i] = value[places[i]];
        value[places[i]] = fuzz_byte(&input);
        if (value[places[i]] == before[i]) continue;
        if (places[i] < TQ_CHUNK_HEAD)
            head_changed = true;
        else
            page_changed[(places[i] - TQ_CHUNK_HEAD) / TQ_CHUNK_PAGE] = true;
    }
    chunk.value = value;
    for (size_t i = 0; i < changes * 2; i++) { /* twice: what was found once stays */
        size_t at = places[i % changes] < TQ_CHUNK_HEAD ? 0 : (places[i % changes] - TQ_CHUNK_HEAD) / TQ_CHUNK_PAGE;
        for (size_t page = at == 0 ? 0 : at - 1; page < tq_min_size(at + 2, TQ_CHUNK_PAGES); page++) {
            bool good = tq_chunk_verify(&chunk, (uint32_t)page, (uint32_t)page) == TQ_OK;
            /* Two changes of one byte may undo each other. */
            if (!head_changed && !page_changed[page]) fuzz_require(good, "a page without damage is good");
            if (changes == 1 && (head_changed || page_changed[page])) fuzz_require(!good, "damage is found");
        }
    }
    for (size_t i = changes; i-- > 0;) value[places[i]] = before[i];
}

/* ---- Records of the folder ---- */

static void check_folder(struct fuzz_input input) {
    uint8_t *bytes = fuzz_copy(input.at, input.left), read[16];
    struct tq_env_meta meta, back;
    (void)tq_env_record_parse("folder", bytes, input.left, read);
    (void)tq_index_record_parse(bytes, input.left, &meta);
    meta = (struct tq_env_meta){fuzz_number(&input, 8), fuzz_number(&input, 8), fuzz_number(&input, 8),
                                fuzz_number(&input, 8)};
    struct tq_index_record record = tq_index_record_make(&meta);
    fuzz_require(tq_index_record_parse(&record, sizeof record, &back) && memcmp(&meta, &back, sizeof meta) == 0,
                 "a record is read again");
    ((uint8_t *)&record)[fuzz_byte(&input) % sizeof record] ^= 1;
    fuzz_require(!tq_index_record_parse(&record, sizeof record, &back), "a damaged record is known");
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    uint8_t which = fuzz_byte(&input);
    struct tq_format format = format_of(fuzz_byte(&input));
    switch (which % 5) {
    case 0: check_directory(&format, input); break;
    case 1: check_log(&format, input); break;
    case 2: check_packed(format, input); break;
    case 3: check_chunk(input); break;
    default: check_folder(input); break;
    }
    return 0;
}
