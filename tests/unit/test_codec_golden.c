/* The bytes of codes: equal on every instruction set, and equal to tests/golden/codes.txt for ever: a change there
 * breaks every store there is. To write the file anew, after a change of format version:
 *     TQ_GOLDEN_WRITE=1 ./test_codec_golden                                  (from the root of the sources) */
#include "tests/unit/test_codec.h"

enum { ROWS = 24, FORMAT_COUNT = 6, LINE_MAX_BYTES = 256 };

static const uint32_t dims[] = {1, 3, 5, 64, 96, 100, 127};
static const struct {
    uint32_t bits;
    int qjl;
    enum tq_rows rows;
} formats[FORMAT_COUNT] = {{1, 0, TQ_ROWS_F32}, {2, 1, TQ_ROWS_NONE}, {3, 0, TQ_ROWS_F16},
                           {4, 1, TQ_ROWS_F32}, {5, 1, TQ_ROWS_F16},  {8, 0, TQ_ROWS_NONE}};

struct hash {
    uint64_t state; /* FNV-1a */
};

static void hash_bytes(struct hash *hash, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) hash->state = (hash->state ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
}

static void hash_row(struct hash *hash, const struct tq_format *format, const struct tq_row *row) {
    hash_bytes(hash, row->record, format->record_stride);
    hash_bytes(hash, &row->first_error, sizeof row->first_error);
    hash_bytes(hash, &row->second, sizeof row->second);
    hash_bytes(hash, &row->norm, sizeof row->norm);
    if (format->exact_bytes != 0) hash_bytes(hash, row->exact, format->exact_bytes);
}

static void hash_query(struct hash *hash, const struct tq_codec *codec, const float *x, void *memory) {
    struct tq_query q;
    assert_int_equal(tq_query_prepare(codec, x, memory, &q), TQ_OK);
    size_t padded = tq_layout_padded_dim(codec->format.dim);
    hash_bytes(hash, q.lut, tq_layout_groups(codec->format.dim) * 16);
    hash_bytes(hash, q.plane_query, padded);
    hash_bytes(hash, q.code.query, padded * sizeof(int16_t));
    if (codec->format.qjl) hash_bytes(hash, q.code.sketch_query, padded * sizeof(int16_t));
    const double scalars[] = {q.plane_step, q.plane_error, q.code_step, q.sketch_step, q.code_error, q.norm};
    hash_bytes(hash, scalars, sizeof scalars);
}

/* "dim bits qjl rows hash-of-rows first-bytes"; *query_hash: of what prepared queries tell the kernels, which no store
 * keeps and which may change. */
static void describe(uint32_t dim, int format, unsigned isa, int rows, char line[LINE_MAX_BYTES],
                     uint64_t *query_hash) {
    struct tq_codec *codec = open_codec_isa(dim, formats[format].bits, formats[format].qjl, formats[format].rows, isa);
    struct tq_encoder *encoder = NULL;
    assert_int_equal(tq_encoder_open(codec, &encoder), TQ_OK);
    float *x = tq_alloc_array(dim, sizeof *x);
    void *memory = tq_alloc(tq_query_bytes(codec));
    struct hash codes = {0xcbf29ce484222325ull}, queries = codes;
    char first[33] = "";
    for (int i = 0; i < rows; i++) {
        struct tq_row row;
        random_vector(x, dim, 21, (uint64_t)i);
        for (uint32_t j = 0; j < dim; j++) x[j] *= 0x1p-12f;
        assert_int_equal(tq_encode(encoder, x, &row), TQ_OK);
        hash_row(&codes, &codec->format, &row);
        hash_query(&queries, codec, x, memory);
        for (size_t b = 0; i == 0 && b < 16 && b < codec->format.record_bytes; b++)
            (void)snprintf(first + 2 * b, 3, "%02x", row.record[b]);
    }
    (void)snprintf(line, LINE_MAX_BYTES, "%u %u %d %d %016llx %s\n", dim, formats[format].bits, formats[format].qjl,
                   (int)formats[format].rows, (unsigned long long)codes.state, first);
    *query_hash = queries.state;
    tq_free(x);
    tq_free(memory);
    tq_encoder_close(encoder);
    tq_codec_close(codec);
}

static void golden_path(char path[1024]) {
    const char *name = strrchr(__FILE__, '/');
    int folder = name == NULL ? 0 : (int)(name - __FILE__);
    (void)snprintf(path, 1024, "%.*s/../golden/codes.txt", folder, __FILE__);
}

static void codes_are_the_golden_ones(void **state) {
    (void)state;
    char path[1024], line[LINE_MAX_BYTES], golden[LINE_MAX_BYTES];
    uint64_t query_hash;
    golden_path(path);
    bool writing = getenv("TQ_GOLDEN_WRITE") != NULL;
    FILE *file = fopen(path, writing ? "w" : "r");
    if (file == NULL) fail_msg("%s cannot be opened", path);
    for (size_t k = 0; k < TQ_COUNT(dims); k++) {
        for (int format = 0; format < FORMAT_COUNT; format++) {
            describe(dims[k], format, 0, ROWS, line, &query_hash);
            if (writing) {
                assert_true(fputs(line, file) >= 0);
            } else {
                assert_non_null(fgets(golden, sizeof golden, file));
                assert_string_equal(line, golden);
            }
        }
    }
    assert_int_equal(fclose(file), 0);
}

static void codes_do_not_depend_on_the_instruction_set(void **state) {
    (void)state;
    static const uint32_t more_dims[] = {1, 2, 3, 5, 8, 33, 96, 100, 127, 384, 1000};
    for (size_t k = 0; k < TQ_COUNT(more_dims); k++) {
        for (int format = 0; format < FORMAT_COUNT; format++) {
            char scalar[LINE_MAX_BYTES], other[LINE_MAX_BYTES];
            uint64_t scalar_queries, other_queries;
            int rows = more_dims[k] == 100 && format == 3 ? 500 : 40;
            describe(more_dims[k], format, 0, rows, scalar, &scalar_queries);
            for (size_t m = 0; tq_isa_name(m) != NULL; m++) {
                unsigned mask;
                if (!tq_isa_from_name(tq_isa_name(m), &mask) || (mask & ~tq_cpu_isa()) != 0) continue;
                describe(more_dims[k], format, mask, rows, other, &other_queries);
                assert_string_equal(scalar, other);
                assert_true(scalar_queries == other_queries);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_the_golden_ones),
        cmocka_unit_test(codes_do_not_depend_on_the_instruction_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
