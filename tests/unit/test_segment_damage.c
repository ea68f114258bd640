/* Damage: a flipped byte anywhere in a segment is TQ_CORRUPT from the first call that touches its page, never a
 * wrong byte; and a directory that lies, with a sum that fits, never makes a reader leave its chunks. */
#include "tests/unit/segment_fixture.h"

#include "storage/chunk.h"
#include "storage/directory.h"

#define ROWS 16500u /* one chunk of records, rests in another */

static struct folder folder;
static struct model model;
static struct tq_builder *truth; /* the same rows in memory */
static struct tq_sealed sealed;
static struct tq_env_meta meta;

static void write_store(void) {
    struct tq_env *env = NULL;
    struct tq_builder *builder = NULL;
    must(tq_env_open(folder.store, TQ_OPEN_CREATE, true, &env));
    struct tq_builder_sink sink = {.env = env, .index = 2};
    must(tq_builder_open(&model.format, model.slot_first, ROWS, &sink, &builder));
    must(tq_builder_open(&model.format, model.slot_first, ROWS, NULL, &truth));
    for (uint32_t i = 0; i < ROWS; i++) {
        struct tq_row row;
        model_row(&model, i, &row);
        must(tq_builder_append(builder, model_id(&model, i), model_slot(&model, i), &row));
        must(tq_builder_append(truth, model_id(&model, i), model_slot(&model, i), &row));
    }
    must(tq_builder_seal(builder, &sealed));
    meta = sink.meta;
    tq_builder_close(builder);
    tq_env_close(env);
}

static int setup(void **state) {
    (void)state;
    struct tq_index_options options = tq_index_defaults(100);
    options.metric = TQ_IP;
    options.rows = TQ_ROWS_F16;
    model = (struct model){.slot_first = 12, .slots = GAPS, .random_ids = true};
    model_open(&model, options);
    folder_make(&folder);
    write_store();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tq_builder_close(truth);
    model_close(&model);
    remove_tree(folder.path);
    return 0;
}

/* ---- Reading everything, counting what is refused ---- */

struct outcome {
    uint32_t refused, wrong;
};

static void note(struct outcome *outcome, enum tq_status status, const void *got, const void *expected, size_t size) {
    if (status == TQ_CORRUPT)
        outcome->refused++;
    else if (status != TQ_OK || memcmp(got, expected, size) != 0)
        outcome->wrong++;
}

static void read_blocks(struct tq_segment *segment, struct tq_segment *right, struct outcome *outcome) {
    for (uint32_t block = 0; block < (ROWS + 127) / 128; block++)
        for (int plane = 0; plane <= TQ_PLANE_STATS; plane++) {
            const void *got = NULL, *expected = NULL;
            size_t size = (size_t)tq_plane_unit_bytes(&model.format, (enum tq_plane)plane) *
                          tq_plane_grain((enum tq_plane)plane);
            must(tq_segment_block(right, (enum tq_plane)plane, block, &expected));
            enum tq_status status = tq_segment_block(segment, (enum tq_plane)plane, block, &got);
            note(outcome, status, got, expected, size);
        }
}

static void read_rows(struct tq_segment *segment, struct tq_segment *right, struct outcome *outcome) {
    enum { BATCH = 32 };
    static const enum tq_plane planes[] = {TQ_PLANE_RECORD, TQ_PLANE_EXACT};
    uint32_t rows[BATCH];
    const uint8_t *got[BATCH], *expected[BATCH];
    uint64_t slots[BATCH] = {0}, right_slots[BATCH];
    int64_t ids[BATCH] = {0}, right_ids[BATCH];
    for (uint32_t first = 0; first < ROWS; first += BATCH) {
        size_t count = first + BATCH <= ROWS ? BATCH : ROWS - first;
        for (uint32_t i = 0; i < count; i++) rows[i] = first + i;
        for (size_t p = 0; p < 2; p++) {
            must(tq_segment_gather(right, planes[p], rows, count, expected));
            enum tq_status status = tq_segment_gather(segment, planes[p], rows, count, got);
            for (size_t i = 0; i < count; i++)
                note(outcome, status, got[i], expected[i], tq_plane_unit_bytes(&model.format, planes[p]));
        }
        must(tq_segment_slots(right, rows, count, right_slots));
        must(tq_segment_ids(right, rows, count, right_ids));
        note(outcome, tq_segment_slots(segment, rows, count, slots), slots, right_slots, count * 8);
        note(outcome, tq_segment_ids(segment, rows, count, ids), ids, right_ids, count * 8);
    }
}

/* Open, read all, check. `refused` counts an open that is refused, too. */
static struct outcome examine(bool *check_passes) {
    struct outcome outcome = {0, 0};
    struct tq_env *env = NULL;
    struct tq_env_reader *reader = NULL;
    struct tq_segment *segment = NULL;
    must(tq_env_open(folder.store, TQ_OPEN_READONLY, true, &env));
    must(tq_env_reader_open(env, &reader));
    *check_passes = false;
    enum tq_status status = tq_segment_open(env, reader, &model.format, sealed.dir_key, sealed.dir_sum, &segment);
    if (status == TQ_OK) {
        struct tq_segment *right = tq_builder_segment(truth);
        read_blocks(segment, right, &outcome);
        read_rows(segment, right, &outcome);
        *check_passes = tq_segment_check(segment) == TQ_OK;
        tq_segment_close(segment);
    } else if (status == TQ_CORRUPT) {
        outcome.refused++;
    } else {
        outcome.wrong++;
    }
    tq_env_reader_close(reader);
    tq_env_close(env);
    return outcome;
}

static void flip(long at) {
    FILE *file = fopen(folder.data, "r+");
    (void)fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    (void)fseek(file, at, SEEK_SET);
    (void)fputc(byte ^ 4, file);
    (void)fclose(file);
}

/* Offsets of all places that begin with a magic number. */
static size_t find_magic(uint64_t magic, long *offsets, size_t capacity) {
    FILE *file = fopen(folder.data, "r");
    size_t size = (size_t)64 << 20, found = 0;
    uint8_t *all = malloc(size);
    size_t length = fread(all, 1, size, file);
    (void)fclose(file);
    for (size_t i = 0; i + 8 <= length; i += 2)
        if (memcmp(all + i, &magic, 8) == 0 && found < capacity) offsets[found++] = (long)i;
    free(all);
    return found;
}

static void test_undamaged(void **state) {
    (void)state;
    bool passes = false;
    struct outcome outcome = examine(&passes);
    assert_int_equal(outcome.refused, 0);
    assert_int_equal(outcome.wrong, 0);
    assert_true(passes);
}

static void test_flipped_bytes_in_chunks(void **state) {
    (void)state;
    static const long places[] = {0, 7, 8, 16, 20, 24, 40, 42, 44, 48, 55, 2087, 2088, 4079, 4080, 4080 + 4095};
    long chunks[32];
    size_t count = find_magic(TQ_CHUNK_MAGIC, chunks, 32);
    assert_int_equal(count, 7); /* records, rests, five of exact rows */
    for (size_t chunk = 0; chunk < count; chunk++) {
        assert_int_equal(chunks[chunk] % 4096, 16);
        for (size_t place = 0; place < TQ_COUNT(places) + 2; place++) {
            long at = place == TQ_COUNT(places)       ? 4080 + 127 * 4096 + 99 /* a page in the middle, the last one */
                      : place == TQ_COUNT(places) + 1 ? 4080 + 254 * 4096 + 4095
                                                      : places[place];
            bool passes = true, used = at < 4080 + 4096;
            flip(chunks[chunk] + at);
            struct outcome outcome = examine(&passes);
            flip(chunks[chunk] + at);
            if (outcome.wrong != 0 || passes || (used && outcome.refused == 0))
                fail_msg("chunk %zu, byte %ld: refused %u, wrong %u, check %d", chunk, at, outcome.refused,
                         outcome.wrong, (int)passes);
        }
    }
    test_undamaged(NULL);
}

/* Every page of one chunk, each by the call that reads that page alone. */
static void test_every_page_of_records(void **state) {
    (void)state;
    long chunks[32];
    size_t count = find_magic(TQ_CHUNK_MAGIC, chunks, 32), which = count;
    for (size_t i = 0; i < count; i++) { /* the one chunk of kind "codes" */
        struct tq_chunk_head head;
        FILE *file = fopen(folder.data, "r");
        (void)fseek(file, chunks[i], SEEK_SET);
        assert_int_equal(fread(&head, sizeof head, 1, file), 1);
        (void)fclose(file);
        if (head.kind == TQ_CHUNK_CODES) which = i;
    }
    assert_true(which < count);
    for (uint32_t page = 0; page < 255; page += 1) flip(chunks[which] + 4080 + (long)page * 4096 + (page * 31) % 4096);
    struct tq_env *env = NULL;
    struct tq_segment *segment = NULL;
    must(tq_env_open(folder.store, TQ_OPEN_READONLY, true, &env));
    open_sealed(env, &model.format, &sealed, &segment);
    for (uint32_t row = 0; row < 255 * 64; row += 64 / 4) {
        const uint8_t *record = NULL;
        assert_int_equal(tq_segment_gather(segment, TQ_PLANE_RECORD, &row, 1, &record), TQ_CORRUPT);
    }
    tq_segment_close(segment);
    tq_env_close(env);
    for (uint32_t page = 0; page < 255; page += 1) flip(chunks[which] + 4080 + (long)page * 4096 + (page * 31) % 4096);
    test_undamaged(NULL);
}

static void test_flipped_bytes_in_the_directory(void **state) {
    (void)state;
    long places[8];
    size_t count = find_magic(TQ_DIRECTORY_MAGIC, places, 8);
    assert_in_range(count, 1, 8);
    struct tq_directory_head head;
    FILE *file = fopen(folder.data, "r");
    (void)fseek(file, places[0], SEEK_SET);
    assert_int_equal(fread(&head, sizeof head, 1, file), 1);
    (void)fclose(file);
    for (uint32_t at = 0; at < head.size; at += 5) {
        bool passes = true;
        for (size_t i = 0; i < count; i++) flip(places[i] + at);
        struct outcome outcome = examine(&passes);
        for (size_t i = 0; i < count; i++) flip(places[i] + at);
        assert_int_equal(outcome.wrong, 0);
        assert_int_equal(outcome.refused, 1);
    }
}

/* A chunk of another history: same key, same shape, its own sums in order. */
static void test_swapped_chunks(void **state) {
    (void)state;
    long chunks[32];
    size_t count = find_magic(TQ_CHUNK_MAGIC, chunks, 32);
    size_t size = TQ_VALUE_BYTES_MAX;
    uint8_t *a = malloc(size), *b = malloc(size);
    FILE *file = fopen(folder.data, "r+");
    (void)fseek(file, chunks[count - 1], SEEK_SET);
    assert_int_equal(fread(a, 1, size, file), size);
    memcpy(b, a, size);
    struct tq_chunk_head head;
    memcpy(&head, b, sizeof head);
    b[TQ_CHUNK_HEAD + 100] ^= 1;
    tq_chunk_finish(b, &head);
    (void)fseek(file, chunks[count - 1], SEEK_SET);
    assert_int_equal(fwrite(b, 1, size, file), size);
    (void)fflush(file);
    bool passes = true;
    struct outcome outcome = examine(&passes);
    assert_int_equal(outcome.wrong, 0);
    assert_true(outcome.refused > 0 && !passes);
    (void)fseek(file, chunks[count - 1], SEEK_SET);
    assert_int_equal(fwrite(a, 1, size, file), size);
    (void)fclose(file);
    free(a);
    free(b);
    test_undamaged(NULL);
}

/* ---- Directories that lie ---- */

static void check_bounds(const struct tq_directory *directory) {
    uint32_t payload = tq_chunk_payload_bytes(&model.format);
    for (uint32_t i = 0; i < directory->head.pieces; i++) {
        const struct tq_directory_piece *piece = &directory->pieces[i];
        if (piece->plane >= TQ_PLANE_OPTIONAL) continue;
        uint64_t bytes = (uint64_t)piece->units * tq_plane_unit_bytes(&model.format, (enum tq_plane)piece->plane);
        assert_true(piece->offset + bytes <= payload && piece->chunk < directory->head.code_chunks);
    }
    uint64_t end = 0;
    for (uint32_t i = 0; i < directory->head.exact_pieces; i++) {
        const struct tq_directory_exact *piece = &directory->exact[i];
        assert_true(piece->slot_first >= end && piece->slots > 0);
        end = piece->slot_first + piece->slots;
        uint64_t bytes = (uint64_t)piece->slots * model.format.exact_bytes;
        assert_true(piece->offset + bytes <= payload && piece->chunk < directory->head.exact_chunks);
    }
}

static void test_lying_directories(void **state) {
    (void)state;
    struct tq_env *env = NULL;
    struct tq_env_reader *reader = NULL;
    const void *value = NULL;
    size_t size = 0, accepted = 0;
    must(tq_env_open(folder.store, 0, true, &env));
    must(tq_env_reader_open(env, &reader));
    must(tq_env_get(reader, sealed.dir_key, &value, &size));
    for (uint32_t round = 0; round < 60000; round++) {
        static const uint32_t extremes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xffffffc0, 64, 129};
        size_t length = round % 16 == 0 ? tq_rng_below(1, 1, round, (uint32_t)size + 1) : size;
        uint8_t *copy = malloc(length + 1); /* exactly as long: the sanitizer sees a byte too far */
        memcpy(copy, value, length);
        for (uint32_t i = 0; i <= round % 3 && length > 4; i++) {
            uint32_t at = tq_rng_below(2, round, i, (uint32_t)(length / 4)) * 4, word = 0;
            uint64_t random = tq_rng_at(3, round, i);
            memcpy(&word, copy + at, 4);
            word = random % 3 == 0   ? extremes[random >> 8 & 7]
                   : random % 3 == 1 ? word ^ 1u << (random >> 8 & 31)
                                     : word + (uint32_t)(random >> 8 & 255) - 128;
            memcpy(copy + at, &word, 4);
        }
        struct tq_directory directory;
        enum tq_status status = tq_directory_decode(copy, length, tq_chunk_hash(copy, length), tq_env_uuid(env), 2,
                                                    &model.format, &directory);
        assert_true(status == TQ_OK || status == TQ_CORRUPT || status == TQ_FORMAT);
        if (status == TQ_OK) {
            accepted++;
            check_bounds(&directory);
            tq_directory_clear(&directory);
        }
        free(copy);
    }
    assert_in_range(accepted, 1, 20000); /* reserved words, sums of chunks, and lies that look true */
    tq_env_reader_close(reader);
    tq_env_close(env);
}

/* Lies that pass the directory's own checks meet the chunks': wrong chunk, wrong place, wrong slots. */
static void test_lies_that_look_true(void **state) {
    (void)state;
    struct tq_env *env = NULL;
    struct tq_env_reader *reader = NULL;
    const void *value = NULL;
    size_t size = 0;
    must(tq_env_open(folder.store, 0, true, &env));
    must(tq_env_reader_open(env, &reader));
    must(tq_env_get(reader, sealed.dir_key, &value, &size));
    uint8_t *copy = malloc(size);
    memcpy(copy, value, size);
    struct tq_directory_head head;
    memcpy(&head, copy, sizeof head);
    size_t exact = sizeof head + (head.code_chunks + head.exact_chunks) * sizeof(struct tq_directory_chunk) +
                   head.pieces * sizeof(struct tq_directory_piece);
    struct tq_directory_exact piece;
    memcpy(&piece, copy + exact, sizeof piece);
    piece.slots -= 10; /* ten slots have no exact row */
    memcpy(copy + exact, &piece, sizeof piece);
    meta.serial += 1;
    struct tq_env_put put = {tq_env_key(2, meta.serial), copy, size};
    struct tq_env_batch batch = {.puts = &put, .put_count = 1, .index = 2, .meta = meta};
    must(tq_env_write(env, &batch));
    must(tq_env_reader_renew(reader));
    struct tq_segment *segment = NULL;
    must(tq_segment_open(env, reader, &model.format, put.key, tq_chunk_hash(copy, size), &segment));
    uint32_t row = 0, refused = 0;
    for (; row < ROWS; row++) {
        const uint8_t *bytes = NULL;
        enum tq_status status = tq_segment_gather(segment, TQ_PLANE_EXACT, &row, 1, &bytes);
        assert_true(status == TQ_OK || status == TQ_CORRUPT);
        refused += status == TQ_CORRUPT;
    }
    assert_in_range(refused, 1, 10);
    assert_int_equal(tq_segment_check(segment), TQ_CORRUPT);
    tq_segment_close(segment);
    tq_env_reader_close(reader);
    tq_env_close(env);
    free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undamaged),
        cmocka_unit_test(test_flipped_bytes_in_chunks),
        cmocka_unit_test(test_every_page_of_records),
        cmocka_unit_test(test_flipped_bytes_in_the_directory),
        cmocka_unit_test(test_swapped_chunks),
        cmocka_unit_test(test_lying_directories),
        cmocka_unit_test(test_lies_that_look_true),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
