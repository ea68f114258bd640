/* Segments: what goes in comes out, from memory and from LMDB, for every format. */
#include "tests/unit/segment_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mount.h>

#include "src/base/alloc.h"
#include "storage/segment_parts.h"

static struct folder folder;
static struct tq_env *env;

static int setup(void **state) {
    (void)state;
    folder_make(&folder);
    must(tq_env_open(folder.store, TQ_OPEN_CREATE, true, &env));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tq_env_close(env);
    remove_tree(folder.path);
    return 0;
}

static struct tq_builder_sink sink_of(uint32_t index) {
    struct tq_builder_sink sink = {.env = env, .index = index};
    must(tq_env_meta(env, index, &sink.meta));
    return sink;
}

/* Both kinds of builder, sealed and not, and what SQLite's log does: rows copied from memory into a sink. */
static void round_trip(struct model *model, uint32_t rows) {
    struct tq_builder *memory = NULL, *builder = NULL;
    struct tq_builder_sink sink = sink_of(3);
    struct tq_sealed sealed;
    struct tq_segment *segment = NULL;
    must(tq_builder_open(&model->format, model->slot_first, rows + 10, NULL, &memory));
    model_append(model, memory, 0, rows);
    check_segment(model, tq_builder_segment(memory), rows);
    must(tq_builder_open(&model->format, model->slot_first, rows, &sink, &builder));
    struct tq_segment *fresh = tq_builder_segment(memory);
    for (uint32_t row = 0; row < rows; row++) must(tq_builder_copy(builder, fresh, row, true));
    struct tq_segment *view = tq_builder_segment(builder);
    assert_non_null(view);
    check_segment(model, view, rows);
    must(tq_builder_seal(builder, &sealed));
    tq_builder_close(builder);
    tq_builder_close(memory);
    assert_int_equal(sealed.rows, rows);
    open_sealed(env, &model->format, &sealed, &segment);
    check_segment(model, segment, rows);
    uint64_t expected = (uint64_t)rows * model->format.exact_bytes;
    if (model->slots == DENSE) assert_int_equal(tq_segment_exact_bytes(segment), expected);
    tq_segment_close(segment);
}

static void test_formats(void **state) {
    (void)state;
    static const struct {
        uint32_t bits;
        int qjl;
    } bits[] = {{1, 0}, {2, 1}, {4, 1}, {9, 1}, {8, 0}};
    static const uint32_t dims[] = {1, 3, 100, 127, 768};
    static const uint32_t counts[] = {0, 1, 127, 128, 129, 300};
    uint32_t turn = 0;
    for (size_t b = 0; b < TQ_COUNT(bits); b++)
        for (size_t d = 0; d < TQ_COUNT(dims); d++, turn++) {
            struct model model = {
                .slot_first = 1000 + turn, .slots = (enum slots)(turn % 3), .random_ids = turn % 2 != 0};
            struct tq_index_options options = tq_index_defaults(dims[d]);
            options.bits = bits[b].bits;
            options.qjl = bits[b].qjl;
            options.metric = (enum tq_metric)(turn % 3);
            options.rows = (enum tq_rows)((turn / 2) % 3);
            options.seed = 5 + turn;
            model_open(&model, options);
            round_trip(&model, counts[turn % TQ_COUNT(counts)]);
            model_close(&model);
        }
}

/* Records that segments hold packed come out whole, copied by a flush and again by a merge; and a row costs what the
 * format says. */
static void packed_round_trip(uint32_t dim, uint32_t bits, int qjl, enum tq_metric metric) {
    enum { ROWS = 3 * 128 };
    struct model model = {.slot_first = 7};
    struct tq_index_options options = tq_index_defaults(dim);
    options.bits = bits;
    options.qjl = qjl;
    options.metric = metric;
    options.rows = TQ_ROWS_NONE;
    options.seed = dim + bits;
    model_open(&model, options);
    round_trip(&model, 77);
    struct tq_builder *builder = NULL;
    struct tq_builder_sink sink = sink_of(13);
    struct tq_segment *from = NULL, *merged = NULL;
    struct tq_sealed sealed;
    must(tq_builder_open(&model.format, model.slot_first, ROWS, &sink, &builder));
    model_append(&model, builder, 0, ROWS);
    must(tq_builder_seal(builder, &sealed));
    open_sealed(env, &model.format, &sealed, &from);
    tq_builder_close(builder);
    must(tq_builder_open(&model.format, model.slot_first, ROWS, &sink, &builder));
    for (uint32_t row = 0; row < ROWS; row++) must(tq_builder_copy(builder, from, row, false));
    must(tq_builder_seal(builder, &sealed));
    open_sealed(env, &model.format, &sealed, &merged);
    check_segment(&model, merged, ROWS);
    double bytes = (double)tq_segment_code_bytes(merged);
    assert_true(fabs(bytes - ROWS * tq_format_code_bytes_row(&model.format)) < 1e-6 * bytes);
    tq_segment_close(from);
    tq_segment_close(merged);
    tq_builder_close(builder);
    model_close(&model);
}

static void test_packed_records(void **state) {
    (void)state;
    static const uint32_t dims[] = {1, 2, 3, 4, 7, 8, 57, 64, 100, 130};
    for (size_t d = 0; d < TQ_COUNT(dims); d++) {
        for (uint32_t bits = 1; bits <= 9; bits++) {
            for (int qjl = bits == 9; qjl <= (bits > 1); qjl++)
                packed_round_trip(dims[d], bits, qjl, (enum tq_metric)((d + bits + (uint32_t)qjl) % 3));
        }
    }
}

/* What a row costs, where exact rows are kept too. */
static void test_code_bytes(void **state) {
    (void)state;
    enum { ROWS = 2 * 128 };
    for (int kind = 0; kind < 4; kind++) {
        struct model model = {.slot_first = 0};
        struct tq_index_options options = tq_index_defaults(100);
        options.bits = kind == 0 ? 1 : 4;
        options.rows = kind % 2 != 0 ? TQ_ROWS_F16 : TQ_ROWS_F32;
        model_open(&model, options);
        struct tq_builder *builder = NULL;
        struct tq_builder_sink sink = sink_of(14);
        struct tq_segment *segment = NULL;
        struct tq_sealed sealed;
        must(tq_builder_open(&model.format, 0, ROWS, &sink, &builder));
        model_append(&model, builder, 0, ROWS);
        must(tq_builder_seal(builder, &sealed));
        open_sealed(env, &model.format, &sealed, &segment);
        double bytes = (double)tq_segment_code_bytes(segment);
        assert_true(fabs(bytes - ROWS * tq_format_code_bytes_row(&model.format)) < 1e-6 * bytes);
        tq_segment_close(segment);
        tq_builder_close(builder);
        model_close(&model);
    }
}

/* Planes of several chunks, rests split over two, exact rows in several batches. */
static void test_several_chunks(void **state) {
    (void)state;
    struct model model = {.slot_first = 7, .slots = GAPS, .random_ids = true};
    struct tq_index_options options = tq_index_defaults(768);
    options.metric = TQ_IP;
    model_open(&model, options);
    round_trip(&model, 5000);
    model_close(&model);
}

static void test_largest_dimension(void **state) {
    (void)state;
    struct model model = {.slot_first = 1, .slots = DENSE};
    struct tq_index_options options = tq_index_defaults(TQ_DIM_MAX);
    options.metric = TQ_L2;
    options.bits = 2;
    model_open(&model, options);
    assert_true(tq_segment_rows_max(&model.format) >= 128);
    round_trip(&model, 5);
    model_close(&model);
}

static void test_geometry(void **state) {
    (void)state;
    static const struct {
        uint32_t dim;
        enum tq_rows rows;
        uint32_t rows_max, flush_rows;
    } cases[] = {{100, TQ_ROWS_F32, 65280, 2611}, {100, TQ_ROWS_F16, 65280, 5222}, {100, TQ_ROWS_NONE, 65280, 4096},
                 {768, TQ_ROWS_F16, 32640, 680},  {768, TQ_ROWS_F32, 32640, 340},  {1, TQ_ROWS_F32, 65280, 8192},
                 {4096, TQ_ROWS_F32, 8064, 126},  {65536, TQ_ROWS_F32, 384, 64},   {65536, TQ_ROWS_NONE, 896, 64}};
    for (size_t i = 0; i < TQ_COUNT(cases); i++) {
        struct tq_index_options options = tq_index_defaults(cases[i].dim);
        struct tq_format format;
        options.rows = cases[i].rows;
        must(tq_format_init(&format, &options));
        uint32_t rows_max = tq_segment_rows_max(&format), flush_rows = tq_segment_flush_rows(&format);
        if (rows_max != cases[i].rows_max || flush_rows != cases[i].flush_rows)
            fail_msg("dim %u rows %d: rows_max %u, flush_rows %u", cases[i].dim, (int)cases[i].rows, rows_max,
                     flush_rows);
    }
}

static void test_truncate(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++)
        for (int slots = 0; slots < 3; slots++) {
            bool with_sink = kind % 2 != 0, packed = kind / 2 != 0;
            struct model model = {.slot_first = 90, .slots = (enum slots)slots, .random_ids = true};
            struct tq_index_options options = tq_index_defaults(packed ? 130 : 384);
            options.metric = TQ_L2;
            options.rows = packed ? TQ_ROWS_NONE : TQ_ROWS_F32;
            model_open(&model, options);
            struct tq_builder_sink sink = sink_of(4);
            struct tq_builder *builder = NULL;
            must(tq_builder_open(&model.format, model.slot_first, 4000, with_sink ? &sink : NULL, &builder));
            static const uint32_t kept[] = {1200, 1153, 1152, 1151, 700, 1, 0};
            uint32_t rows = 0;
            for (size_t i = 0; i < TQ_COUNT(kept); i++) { /* forget, and write other rows to the same slots */
                model_append(&model, builder, rows, 1400);
                tq_builder_truncate(builder, kept[i]);
                assert_int_equal(tq_builder_row_count(builder), kept[i]);
                rows = kept[i];
                check_segment(&model, tq_builder_segment(builder), rows);
                if (rows < 2) continue;
                tq_builder_truncate(builder, --rows); /* right behind a view, which had transposed the block */
                check_segment(&model, tq_builder_segment(builder), rows);
            }
            model_append(&model, builder, rows, 1000);
            struct tq_sealed sealed;
            struct tq_segment *segment = NULL;
            if (with_sink) {
                must(tq_builder_seal(builder, &sealed));
                open_sealed(env, &model.format, &sealed, &segment);
                check_segment(&model, segment, 1000);
                tq_segment_close(segment);
            }
            tq_builder_close(builder);
            model_close(&model);
        }
}

/* Chunks that left for LMDB before the truncation are deleted by a later write, so nothing is lost. */
static void test_truncate_deletes_what_left(void **state) {
    (void)state;
    struct model model = {.slot_first = 0};
    struct tq_index_options options = tq_index_defaults(4096);
    options.bits = 1;
    model_open(&model, options);
    struct tq_builder_sink sink = sink_of(5);
    struct tq_builder *builder = NULL;
    struct tq_row row;
    must(tq_builder_open(&model.format, 0, 3000, &sink, &builder));
    model_row(&model, 0, &row);
    for (uint32_t i = 0; i < 1500; i++) must(tq_builder_append(builder, i, i, &row)); /* 24 chunks */
    size_t before = 0, after = 0;
    must(tq_env_keys_above(env, 5, 0, NULL, 0, &before));
    assert_in_range(before, 15, 24);
    tq_builder_truncate(builder, 10);
    struct tq_sealed sealed;
    must(tq_builder_seal(builder, &sealed));
    must(tq_env_keys_above(env, 5, 0, NULL, 0, &after));
    assert_int_equal(after, 3); /* exact rows, codes, directory */
    tq_builder_close(builder);
    struct tq_segment *segment = NULL;
    open_sealed(env, &model.format, &sealed, &segment);
    must(tq_segment_check(segment));
    assert_int_equal(tq_segment_row_count(segment), 10);
    tq_segment_close(segment);
    model_close(&model);
}

/* A merge: codes are copied without every third row, exact rows stay in the chunks they are in. */
static void test_adoption(void **state) {
    (void)state;
    struct model model = {.slot_first = 50, .slots = GAPS, .random_ids = true};
    struct tq_index_options options = tq_index_defaults(768);
    model_open(&model, options);
    struct tq_builder_sink sink = sink_of(6);
    struct tq_builder *builder = NULL;
    struct tq_segment *parts[3];
    struct tq_sealed sealed;
    for (uint32_t part = 0; part < 3; part++) {
        uint32_t from = part * 500;
        must(tq_builder_open(&model.format, model_slot(&model, from), 500, &sink, &builder));
        model_append(&model, builder, from, from + 500);
        must(tq_builder_seal(builder, &sealed));
        tq_builder_close(builder);
        open_sealed(env, &model.format, &sealed, &parts[part]);
    }
    must(tq_builder_open(&model.format, model.slot_first, 1500, &sink, &builder));
    must(tq_builder_adopt(builder, parts[2])); /* in any order; the middle one's rows are copied */
    must(tq_builder_adopt(builder, parts[0]));
    assert_int_equal(tq_builder_adopt(builder, parts[0]), TQ_MISUSE);
    for (uint32_t part = 0; part < 3; part++)
        for (uint32_t row = 0; row < 500; row++) must(tq_builder_copy(builder, parts[part], row, part == 1));
    check_segment(&model, tq_builder_segment(builder), 1500);
    must(tq_builder_seal(builder, &sealed));
    tq_builder_close(builder);
    struct tq_segment *merged = NULL;
    open_sealed(env, &model.format, &sealed, &merged);
    check_segment(&model, merged, 1500);
    uint64_t codes[64], exact[64], exact0[64];
    size_t exact_count = 0, exact0_count = 0;
    size_t code_count = tq_segment_keys(merged, codes, 64, exact, 64, &exact_count);
    assert_int_equal(codes[code_count - 1], sealed.dir_key);
    (void)tq_segment_keys(parts[0], codes, 64, exact0, 64, &exact0_count);
    assert_int_equal(exact_count, 6); /* 500 rows of 3 KiB: two chunks a part */
    bool adopted = false;
    for (size_t i = 0; i < exact_count; i++) adopted |= exact[i] == exact0[0];
    assert_true(adopted);
    for (uint32_t part = 0; part < 3; part++) tq_segment_close(parts[part]);
    tq_segment_close(merged);
    model_close(&model);
}

/* Bytes of rows that were forgotten must not reach the disk in the place of slots that have none. */
static void test_gaps_are_zeros(void **state) {
    (void)state;
    struct model model = {.slot_first = 0};
    model_open(&model, tq_index_defaults(64));
    struct tq_builder_sink sink = sink_of(11);
    struct tq_builder *builder = NULL;
    struct tq_segment *segment = NULL;
    struct tq_sealed sealed;
    struct tq_row row;
    must(tq_builder_open(&model.format, 0, 100, &sink, &builder));
    model_append(&model, builder, 0, 100);
    tq_builder_truncate(builder, 2);
    model_row(&model, 2, &row);
    must(tq_builder_append(builder, 5, 3, &row));
    must(tq_builder_append(builder, 6, 80, &row)); /* a longer gap: a piece of its own */
    must(tq_builder_seal(builder, &sealed));
    tq_builder_close(builder);
    open_sealed(env, &model.format, &sealed, &segment);
    assert_int_equal(segment->exact_count, 2);
    const uint8_t *payload = segment->chunks[segment->code_chunks].value + TQ_CHUNK_HEAD;
    for (uint32_t i = 2 * 256; i < 3 * 256; i++) assert_int_equal(payload[i], 0);
    assert_memory_equal(payload + 3 * 256, row.exact, 256);
    assert_memory_equal(payload + 4 * 256, row.exact, 256);
    for (uint32_t i = 5 * 256; i < 255 * 4096; i++) assert_int_equal(payload[i], 0);
    assert_int_equal(tq_segment_exact_bytes(segment), 5 * 256);
    tq_segment_close(segment);
    model_close(&model);
}

static void test_missing_exact_rows(void **state) {
    (void)state;
    struct model model = {.slot_first = 0};
    model_open(&model, tq_index_defaults(8));
    struct tq_builder_sink sink = sink_of(7);
    struct tq_builder *builder = NULL;
    struct tq_sealed sealed;
    struct tq_row row;
    must(tq_builder_open(&model.format, 0, 10, &sink, &builder));
    model_append(&model, builder, 0, 2);
    model_row(&model, 2, &row);
    row.exact = NULL;
    must(tq_builder_append(builder, 2, 2, &row));
    assert_int_equal(tq_builder_append(builder, 2, 2, &row), TQ_MISUSE); /* slots ascend */
    assert_int_equal(tq_builder_seal(builder, &sealed), TQ_MISUSE);
    tq_builder_truncate(builder, 2);
    must(tq_builder_seal(builder, &sealed));
    tq_builder_close(builder);
    model_close(&model);
}

static void test_shared_object(void **state) {
    (void)state;
    struct model model = {.slot_first = 0};
    model_open(&model, tq_index_defaults(8));
    struct tq_builder_sink sink = sink_of(8);
    struct tq_builder *builder = NULL;
    struct tq_sealed sealed;
    must(tq_builder_open(&model.format, 0, 10, &sink, &builder));
    model_append(&model, builder, 0, 10);
    must(tq_builder_seal(builder, &sealed));
    tq_builder_close(builder);
    struct tq_segment *a = NULL, *b = NULL, *other = NULL;
    open_sealed(env, &model.format, &sealed, &a);
    open_sealed(env, &model.format, &sealed, &b);
    assert_ptr_equal(a, b);
    struct tq_env_reader *reader = NULL;
    must(tq_env_reader_open(env, &reader));
    assert_int_equal(tq_segment_open(env, reader, &model.format, sealed.dir_key, sealed.dir_sum ^ 1, &other),
                     TQ_CORRUPT);
    struct tq_format format = model.format;
    tq_segment_close(b);
    tq_segment_close(a);
    format.seed++;
    assert_int_equal(tq_segment_open(env, reader, &format, sealed.dir_key, sealed.dir_sum, &other), TQ_CORRUPT);
    assert_int_equal(tq_segment_open(env, reader, &format, sealed.dir_key + 9, sealed.dir_sum, &other), TQ_NOT_FOUND);
    tq_env_reader_close(reader);
    model_close(&model);
}

/* Every allocation fails once: the builder stays as it was, and everything is right in the end. */
static void test_out_of_memory(void **state) {
    (void)state;
    struct model model = {.slot_first = 3, .slots = WIDE_GAPS, .random_ids = true};
    model_open(&model, tq_index_defaults(768));
    for (long n = 1; n < 40; n++) {
        struct tq_builder_sink sink = sink_of(9);
        struct tq_builder *builder = NULL;
        struct tq_segment *segment = NULL;
        struct tq_sealed sealed;
        struct tq_row row;
        tq_alloc_fail_after(n);
        if (tq_builder_open(&model.format, 3, 400, &sink, &builder) == TQ_NOMEM)
            must(tq_builder_open(&model.format, 3, 400, &sink, &builder));
        for (uint32_t i = 0; i < 400; i++) {
            model_row(&model, i, &row);
            enum tq_status status = tq_builder_append(builder, model_id(&model, i), model_slot(&model, i), &row);
            if (status == TQ_NOMEM)
                i--;
            else
                must(status);
        }
        if (tq_builder_seal(builder, &sealed) == TQ_NOMEM) must(tq_builder_seal(builder, &sealed));
        tq_builder_close(builder);
        struct tq_env_reader *reader = NULL;
        if (tq_env_reader_open(env, &reader) == TQ_NOMEM) must(tq_env_reader_open(env, &reader));
        if (tq_segment_open(env, reader, &model.format, sealed.dir_key, sealed.dir_sum, &segment) == TQ_NOMEM)
            must(tq_segment_open(env, reader, &model.format, sealed.dir_key, sealed.dir_sum, &segment));
        tq_env_reader_close(reader);
        tq_alloc_fail_after(0);
        check_rows(&model, segment, (uint32_t[]){0, 1, 398, 399}, 4);
        must(tq_segment_check(segment));
        tq_segment_close(segment);
    }
    model_close(&model);
}

/* A seal that fails at any allocation, also behind its first write, may be tried again and leaves nothing over. */
static void test_seal_again(void **state) {
    (void)state;
    struct model model = {.slot_first = 0};
    struct tq_index_options options = tq_index_defaults(4096);
    options.bits = 8;
    options.qjl = 0;
    options.rows = TQ_ROWS_NONE;
    model_open(&model, options);
    struct tq_builder_sink sink = sink_of(12);
    struct tq_builder *builder = NULL;
    struct tq_segment *segment = NULL;
    struct tq_sealed sealed;
    struct tq_row row;
    must(tq_builder_open(&model.format, 0, 4000, &sink, &builder));
    model_row(&model, 0, &row);
    for (uint32_t i = 0; i < 4000; i++) must(tq_builder_append(builder, i, i, &row)); /* 16 chunks */
    enum tq_status status = TQ_NOMEM;
    for (long n = 1; status == TQ_NOMEM; n++) {
        tq_alloc_fail_after(n);
        status = tq_builder_seal(builder, &sealed);
        tq_alloc_fail_after(0);
    }
    must(status);
    tq_builder_close(builder);
    open_sealed(env, &model.format, &sealed, &segment);
    must(tq_segment_check(segment));
    uint64_t codes[64];
    size_t exact_count = 0, found = 0;
    size_t code_count = tq_segment_keys(segment, codes, 64, NULL, 0, &exact_count);
    must(tq_env_keys_above(env, 12, 0, NULL, 0, &found));
    assert_in_range(code_count, 17, 30);
    assert_int_equal(found, code_count);
    assert_int_equal(exact_count, 0);
    tq_segment_close(segment);
    model_close(&model);
}

/* The disk fills up while rows stream out: what the builder holds stays, and can be sealed when there is room. */
static void test_full_disk(void **state) {
    (void)state;
    struct folder small;
    folder_make(&small);
    if (mount("tmpfs", small.path, "tmpfs", 0, "size=40m") != 0) {
        print_message("not tested: mounting a small tmpfs: %s\n", strerror(errno));
        remove_tree(small.path);
        return;
    }
    struct model model = {.slot_first = 2, .slots = GAPS, .random_ids = true};
    model_open(&model, tq_index_defaults(768));
    struct tq_env *full = NULL;
    must(tq_env_open(small.store, TQ_OPEN_CREATE, true, &full));
    uint8_t *filler = calloc(1, TQ_VALUE_BYTES_MAX);
    uint64_t keys[30];
    for (uint64_t i = 0; i < 30; i++) { /* 10 MiB are left */
        struct tq_env_put put = {keys[i] = tq_env_key(9, i + 1), filler, TQ_VALUE_BYTES_MAX};
        struct tq_env_batch batch = {.puts = &put, .put_count = 1, .index = 9};
        must(tq_env_write(full, &batch));
    }
    struct tq_builder_sink sink = {.env = full, .index = 1};
    struct tq_builder *builder = NULL;
    struct tq_segment *segment = NULL;
    struct tq_sealed sealed;
    must(tq_builder_open(&model.format, 2, 6000, &sink, &builder));
    enum tq_status status = TQ_OK;
    uint32_t rows = 0;
    for (; rows < 6000 && status == TQ_OK; rows += status == TQ_OK) {
        struct tq_row row;
        model_row(&model, rows, &row);
        status = tq_builder_append(builder, model_id(&model, rows), model_slot(&model, rows), &row);
    }
    assert_int_equal(status, TQ_FULL);
    assert_int_equal(tq_builder_row_count(builder), rows);
    check_segment(&model, tq_builder_segment(builder), rows);
    assert_int_equal(tq_builder_seal(builder, &sealed), TQ_FULL);
    check_segment(&model, tq_builder_segment(builder), rows);
    struct tq_env_batch batch = {.deletes = keys, .delete_count = 30, .index = 9};
    must(tq_env_write(full, &batch));
    must(tq_env_write(full, &batch)); /* pages freed by one transaction serve the next but one */
    must(tq_builder_seal(builder, &sealed));
    tq_builder_close(builder);
    open_sealed(full, &model.format, &sealed, &segment);
    check_segment(&model, segment, rows);
    tq_segment_close(segment);
    tq_env_close(full);
    free(filler);
    model_close(&model);
    assert_int_equal(umount(small.path), 0);
    remove_tree(small.path);
}

/* ---- Threads ---- */

struct reading {
    struct model *model;
    struct tq_segment *segment;
    uint32_t rows;
    uint64_t seed;
    int wrong;
};

static void *read_all(void *argument) {
    struct reading *reading = argument;
    const struct tq_format *f = &reading->model->format;
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t row = tq_rng_below(reading->seed, 0, i, reading->rows);
        const uint8_t *exact = NULL;
        const void *block = NULL;
        if (tq_segment_gather(reading->segment, TQ_PLANE_EXACT, &row, 1, &exact) != TQ_OK)
            reading->wrong++;
        else if (exact[0] != (uint8_t)tq_rng_at(f->seed, 3 + ((uint64_t)row << 8), 0))
            reading->wrong++;
        if (tq_segment_block(reading->segment, TQ_PLANE_FIRST, row / 128, &block) != TQ_OK) reading->wrong++;
    }
    return NULL;
}

static void test_threads_touch_first(void **state) {
    (void)state;
    struct model model = {.slot_first = 3, .slots = GAPS, .random_ids = true};
    model_open(&model, tq_index_defaults(256));
    struct tq_builder_sink sink = sink_of(10);
    struct tq_builder *builder = NULL;
    struct tq_sealed sealed;
    must(tq_builder_open(&model.format, 3, 3000, &sink, &builder));
    model_append(&model, builder, 0, 3000);
    must(tq_builder_seal(builder, &sealed));
    tq_builder_close(builder);
    for (int round = 0; round < 5; round++) {
        struct tq_segment *segment = NULL;
        struct reading readings[4];
        pthread_t threads[4];
        open_sealed(env, &model.format, &sealed, &segment);
        for (int i = 0; i < 4; i++) {
            readings[i] = (struct reading){&model, segment, 3000, (uint64_t)(round * 4 + i), 0};
            assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readings[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            (void)pthread_join(threads[i], NULL);
            assert_int_equal(readings[i].wrong, 0);
        }
        tq_segment_close(segment);
    }
    model_close(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_packed_records),
        cmocka_unit_test(test_code_bytes),
        cmocka_unit_test(test_several_chunks),
        cmocka_unit_test(test_largest_dimension),
        cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_truncate_deletes_what_left),
        cmocka_unit_test(test_adoption),
        cmocka_unit_test(test_gaps_are_zeros),
        cmocka_unit_test(test_missing_exact_rows),
        cmocka_unit_test(test_shared_object),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_seal_again),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_threads_touch_first),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
