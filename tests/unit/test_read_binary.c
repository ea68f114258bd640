/* .npz, fvecs and their kin, fbin and its kin: read right, and refused by name where they lie. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/base.h"
#include "tests/unit/file_util.h"

static bool can_read(const char *format) {
    unsigned flags = 0;
    const char *name = NULL;
    for (size_t i = 0; (name = tq_format_name(i, &flags, NULL)) != NULL; i++)
        if (strcmp(name, format) == 0) return (flags & TQ_CAN_READ) != 0;
    return false;
}

/* All rows of a file of one vector column. */
static void assert_vectors(const char *path, uint64_t rows, uint32_t dim, const float *wanted) {
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    OK(tq_reader_open(path, NULL, &reader));
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    assert_int_equal(info->rows, rows);
    assert_int_equal(info->column_count, 1);
    assert_int_equal(info->vector, 0);
    assert_string_equal(info->columns[0].name, "embedding");
    assert_int_equal(info->columns[0].dim, dim);
    for (uint64_t i = 0; i < rows; i++) {
        OK(tq_reader_next(reader, &row));
        assert_int_equal(row->size, dim);
        assert_memory_equal(row->vector, wanted + i * dim, dim * sizeof(float));
    }
    assert_true(tq_reader_progress(reader) == 1);
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
}

static void refuse(const char *path, const char *says) {
    tq_reader *reader = NULL;
    SAYS(tq_reader_open(path, NULL, &reader), TQ_FORMAT, says);
    assert_null(reader);
}

/* ---- fvecs, bvecs, ivecs ---- */

struct fvec {
    int32_t dim;
    float at[3];
};

static void test_vecs(void **state) {
    (void)state;
    const struct fvec rows[] = {{3, {1, 2, 3}}, {3, {-0.5f, 1e30f, 0}}};
    const float wanted[] = {1, 2, 3, -0.5f, 1e30f, 0};
    assert_vectors(write_file("a.fvecs", rows, sizeof rows), 2, 3, wanted);
    const uint8_t bytes[] = {2, 0, 0, 0, 255, 1, 2, 0, 0, 0, 0, 128};
    assert_vectors(write_file("a.bvecs", bytes, sizeof bytes), 2, 2, (const float[]){255, 1, 0, 128});
    const int32_t whole[] = {2, -7, 16777216, 2, 1, 0};
    assert_vectors(write_file("A.IVECS", whole, sizeof whole), 2, 2, (const float[]){-7, 16777216, 1, 0});
}

static void test_vecs_that_lie(void **state) {
    (void)state;
    const struct fvec rows[] = {{3, {1, 2, 3}}, {3, {4, 5, 6}}, {3, {7, 8, 9}}};
    for (size_t bytes = 4; bytes < sizeof rows; bytes++) {
        char says[64];
        (void)snprintf(says, sizeof says, "row %zu: cut off after %zu of 16 bytes", bytes / 16, bytes % 16);
        if (bytes % 16 != 0) refuse(write_file("a.fvecs", rows, bytes), says);
    }
    refuse(write_file("a.fvecs", rows, 3), "3 bytes, cut off before byte 4");
    refuse(write_file("a.fvecs", "", 0), "empty");
    refuse(write_file("a.fvecs", (const int32_t[]){0, 0}, 8), "row 0: 0 dimensions; there must be 1 to 65536");
    refuse(write_file("a.fvecs", (const int32_t[]){-1, 0}, 8), "row 0: -1 dimensions; there must be 1 to 65536");
    refuse(write_file("a.fvecs", (const int32_t[]){65537, 0}, 8), "row 0: 65537 dimensions");
    refuse(write_text_file("a.fvecs", "the 0.1 0.2 0.3\n"), "row 0: 543516788 dimensions");
    const int32_t changed[] = {2, 0, 0, 3, 0, 0, 0};
    refuse(write_file("a.fvecs", changed, sizeof changed), "row 1: 3 dimensions, but row 0 has 2");
}

/* By chance the size fits: what is wrong is seen when the row comes, and stays. */
static void test_vecs_that_change(void **state) {
    (void)state;
    const int32_t rows[] = {2, 0, 0, 5, 0, 0, 0, 0, 0};
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    OK(tq_reader_open(write_file("a.fvecs", rows, sizeof rows), NULL, &reader));
    OK(tq_reader_next(reader, &row));
    SAYS(tq_reader_next(reader, &row), TQ_FORMAT, "a.fvecs, row 1: 5 dimensions, but row 0 has 2");
    assert_null(row);
    SAYS(tq_reader_next(reader, &row), TQ_FORMAT, "row 1: 5 dimensions");
    tq_reader_close(reader);
}

/* ---- fbin, u8bin, i8bin ---- */

static void test_bin(void **state) {
    (void)state;
    const struct {
        uint32_t rows, dim;
        float at[4];
    } singles = {2, 2, {1, -2.5f, 1e-20f, 4}};
    assert_vectors(write_file("a.fbin", &singles, sizeof singles), 2, 2, singles.at);
    const uint8_t bytes[] = {2, 0, 0, 0, 3, 0, 0, 0, 0, 1, 127, 128, 254, 255};
    assert_vectors(write_file("a.u8bin", bytes, sizeof bytes), 2, 3, (const float[]){0, 1, 127, 128, 254, 255});
    assert_vectors(write_file("a.i8bin", bytes, sizeof bytes), 2, 3, (const float[]){0, 1, 127, -128, -2, -1});
    assert_vectors(write_file("a.i8bin", (const uint32_t[]){0, 5}, 8), 0, 5, NULL);
}

static void test_bin_that_lies(void **state) {
    (void)state;
    const uint32_t head[] = {2, 3, 0, 0};
    refuse(write_file("a.fbin", head, 7), "7 bytes, cut off before byte 8");
    refuse(write_file("a.fbin", head, 16), "2 rows of 3 dimensions, 24 bytes; the file has 8: it is cut off");
    refuse(write_file("a.u8bin", head, 16), "6 bytes; the file has 8");
    const uint32_t absurd[] = {UINT32_MAX, 65536, 0};
    refuse(write_file("a.fbin", absurd, sizeof absurd), "4294967295 rows of 65536 dimensions, 1125899906580480 bytes");
    refuse(write_file("a.fbin", (const uint32_t[]){1, 0}, 8), "0 dimensions; there must be 1 to 65536");
    refuse(write_file("a.fbin", (const uint32_t[]){1, 65537}, 8), "65537 dimensions");
}

/* Rows that are skipped are not looked at, and there is no skipping beyond the end. */
static void test_skip(void **state) {
    (void)state;
    const int32_t rows[] = {1, 0, 7, 0, 1, 0x40000000};
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    OK(tq_reader_open(write_file("a.fvecs", rows, sizeof rows), NULL, &reader));
    OK(tq_reader_skip(reader, 2));
    OK(tq_reader_next(reader, &row));
    assert_true(row->vector[0] == 2);
    assert_non_null(strstr(tq_reader_place(reader), "a.fvecs, row 2"));
    OK(tq_reader_skip(reader, UINT64_MAX));
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
}

/* ---- npz ---- */

static const char columns_path[] = "tests/data/columns.npz";

static void test_npz_columns(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    if (!can_read("npz")) {
        SAYS(tq_reader_open(columns_path, NULL, &reader), TQ_UNSUPPORTED, "without libzip");
        skip();
    }
    options.part = "vectors";
    OK(tq_reader_open(columns_path, &options, &reader));
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    static const struct tq_column wanted[] = {
        {"vectors", TQ_TYPE_VECTOR, 3, false}, {"words", TQ_TYPE_TEXT, 0, false},
        {"ids", TQ_TYPE_INTEGER, 0, true},     {"latin", TQ_TYPE_TEXT, 0, false},
        {"strange", TQ_TYPE_TEXT, 0, false},   {"seen", TQ_TYPE_INTEGER, 0, false},
        {"score", TQ_TYPE_REAL, 0, false},     {"single", TQ_TYPE_REAL, 0, false},
        {"count", TQ_TYPE_INTEGER, 0, false},  {"tiny", TQ_TYPE_INTEGER, 0, false}};
    assert_int_equal(info->column_count, TQ_COUNT(wanted));
    assert_int_equal(info->rows, 4);
    for (size_t i = 0; i < TQ_COUNT(wanted); i++) {
        assert_string_equal(info->columns[i].name, wanted[i].name);
        assert_int_equal(info->columns[i].type, wanted[i].type);
        assert_int_equal(info->columns[i].dim, wanted[i].dim);
        assert_int_equal(info->columns[i].key, wanted[i].key);
    }
    OK(tq_reader_next(reader, &row));
    assert_memory_equal(row[0].vector, ((const float[]){1, 2, 3}), 12);
    assert_string_equal(row[1].text, "one");
    assert_int_equal(row[2].integer, 7);
    assert_string_equal(row[3].text, "abc");
    assert_int_equal(row[5].integer, 1);
    assert_true(row[6].real == 0.1 && row[7].real == 0.5);
    assert_int_equal(row[9].integer, -128);
    SAYS(tq_reader_next(reader, &row), TQ_MISUSE, "columns.npz, row 1, column strange: a text that is no UTF-8");
    assert_string_equal(tq_reader_place(reader), "tests/data/columns.npz, row 1");
    OK(tq_reader_next(reader, &row)); /* a bad row is passed over whole, in every column */
    assert_memory_equal(row[0].vector, ((const float[]){0, 0, 0}), 12);
    assert_string_equal(row[1].text, "\xe4\xb8\x89\xf0\x9f\x98\x80");
    assert_int_equal(row[1].size, 7);
    assert_int_equal(row[2].integer, 9007199254740993);
    assert_string_equal(row[3].text, "\xc3\xa9");
    assert_true(isinf(row[6].real));
    assert_int_equal(row[8].integer, INT64_MAX);
    SAYS(tq_reader_next(reader, &row), TQ_MISUSE, "row 3, column latin");
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
}

static void npz_says(const char *part, const char *columns, enum tq_status status, const char *says) {
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    options.part = part;
    options.columns = columns;
    SAYS(tq_reader_open(columns_path, &options, &reader), status, says);
    assert_null(reader);
}

static void test_npz_choices(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    if (!can_read("npz")) skip();
    npz_says(NULL, NULL, TQ_MISUSE,
             "several arrays may hold the vectors: name one as the part; it has vectors <f4 (4, 3), halves <f2 (4, 2),"
             " by_columns <f4 (4, 2)");
    npz_says("word", NULL, TQ_NOT_FOUND, "no array \"word\"; it has objects |O (4,), vectors");
    npz_says("objects", NULL, TQ_FORMAT, "columns.npz, objects: elements are |O");
    npz_says("swapped_vectors", NULL, TQ_FORMAT, "columns.npz, swapped_vectors: elements are >f4, big-endian");
    npz_says("by_columns", NULL, TQ_FORMAT, "columns.npz, by_columns: Fortran order");
    npz_says("three", NULL, TQ_FORMAT, "columns.npz, three: shape (2, 2, ...)");
    options.vector = "ids";
    options.part = "vectors";
    SAYS(tq_reader_open(columns_path, &options, &reader), TQ_FORMAT, "columns.npz: column ids holds no vectors");
    options.vector = NULL;
    npz_says("halves", "halves,other_rows", TQ_NOT_FOUND, "no column \"other_rows\"; it has halves, words, ids");
    const struct tq_value *row = NULL;
    options.part = "halves.npy";
    options.columns = "count, halves";
    OK(tq_reader_open(columns_path, &options, &reader));
    assert_int_equal(tq_reader_get_info(reader)->column_count, 2);
    OK(tq_reader_skip(reader, 2));
    OK(tq_reader_next(reader, &row));
    assert_true(row[0].vector[0] == 0x1p-24f);
    assert_int_equal(row[1].integer, INT64_MAX);
    SAYS(tq_reader_next(reader, &row), TQ_MISUSE, "row 3, column count: 9223372036854775808 is beyond");
    tq_reader_close(reader);
}

/* Stored members of more than a buffer, an array that was given no name, skipping, and a key that is a text. */
static void test_npz_stored(void **state) {
    (void)state;
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    if (!can_read("npz")) skip();
    for (int skipped = 0; skipped < 3000; skipped += 500) {
        OK(tq_reader_open("tests/data/stored.npz", NULL, &reader));
        const struct tq_reader_info *info = tq_reader_get_info(reader);
        assert_int_equal(info->column_count, 3);
        assert_string_equal(info->columns[0].name, "embedding");
        assert_string_equal(info->columns[1].name, "Words");
        assert_true(info->columns[1].key && !info->columns[0].key && !info->columns[2].key);
        OK(tq_reader_skip(reader, (uint64_t)skipped));
        for (int i = skipped; i < 2032; i++) {
            char word[32];
            (void)snprintf(word, sizeof word, "word %d", i);
            OK(tq_reader_next(reader, &row));
            assert_true(row[0].vector[0] == (float)(2 * i % 256) && row[0].vector[1] == (float)((2 * i + 1) % 256));
            assert_string_equal(row[1].text, word);
            assert_int_equal(row[2].integer, i);
        }
        assert_true(tq_reader_progress(reader) == 1);
        OK(tq_reader_next(reader, &row));
        assert_null(row);
        tq_reader_close(reader);
    }
}

static enum tq_status read_all(const char *path, const char *part) {
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    options.part = part;
    options.format = "npz";
    enum tq_status status = tq_reader_open(path, &options, &reader);
    if (status != TQ_OK) return status;
    do {
        status = tq_reader_next(reader, &row);
    } while (status == TQ_MISUSE || (status == TQ_OK && row != NULL));
    tq_reader_close(reader);
    return status;
}

static size_t load(const char *path, uint8_t *bytes, size_t room) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, room, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(size, 1, room - 1);
    return size;
}

/* Any bit of the data that is turned over is found by its checksum, and a file that is cut off is none. */
static void test_npz_damage(void **state) {
    (void)state;
    static uint8_t bytes[50000];
    if (!can_read("npz")) skip();
    size_t size = load("tests/data/stored.npz", bytes, sizeof bytes);
    int sums = 0, flipped = 0;
    for (size_t at = 300; at < 39000; at += 971, flipped++) {
        bytes[at] ^= 4;
        SAYS(read_all(write_file("a.npz", bytes, size), NULL), TQ_FORMAT, "a.npz, ");
        sums += strstr(tq_message(), "CRC error") != NULL;
        bytes[at] ^= 4;
    }
    assert_in_range(sums, flipped - 2, flipped); /* the others hit what stands between the members */
    for (size_t cut = 0; cut < size; cut += 997) FAILS(read_all(write_file("a.npz", bytes, cut), NULL), TQ_FORMAT);
    OK(read_all(write_file("a.npz", bytes, size), NULL));
    FAILS(read_all(write_text_file("a.npz", "word 1 2 3\n"), NULL), TQ_FORMAT);
    /* Deflated: each seventh byte turned over, and nothing breaks but the reading. */
    size = load(columns_path, bytes, sizeof bytes);
    for (size_t at = 0; at < size; at += 7) {
        bytes[at] ^= 0x55;
        (void)read_all(write_file("a.npz", bytes, size), "vectors");
        bytes[at] ^= 0x55;
    }
    OK(read_all(write_file("a.npz", bytes, size), "vectors"));
}

/* ---- Zip files that NumPy would not write ---- */

struct zip_file {
    uint8_t bytes[400000];
    size_t size;
    uint8_t list[200000]; /* of the members, which stands behind them */
    size_t listed;
    uint16_t count;
};

static void append(uint8_t *to, size_t *size, uint32_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++, number >>= 8) to[(*size)++] = (uint8_t)number;
}

static uint32_t checksum(const char *data, size_t size) {
    uint32_t sum = ~0u;
    for (size_t i = 0; i < size; i++) {
        sum ^= (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (0xedb88320u & (0u - (sum & 1)));
    }
    return ~sum;
}

/* What a member's two headers have in common. */
static void append_header(uint8_t *to, size_t *size, const char *name, const char *data, size_t bytes) {
    append(to, size, 20, 2); /* the version that can read it; then flags, method, time and date */
    append(to, size, 0, 4);
    append(to, size, 0, 4);
    append(to, size, checksum(data, bytes), 4);
    append(to, size, (uint32_t)bytes, 4);
    append(to, size, (uint32_t)bytes, 4);
    append(to, size, (uint32_t)strlen(name), 2);
    append(to, size, 0, 2);
}

static void add_member(struct zip_file *zip, const char *name, const char *data, size_t bytes) {
    uint32_t place = (uint32_t)zip->size;
    assert_true(zip->size + bytes + 100 < sizeof zip->bytes && zip->listed + 100 < sizeof zip->list);
    append(zip->bytes, &zip->size, 0x04034b50, 4);
    append_header(zip->bytes, &zip->size, name, data, bytes);
    for (const char *at = name; *at != '\0'; at++) append(zip->bytes, &zip->size, (uint8_t)*at, 1);
    for (size_t i = 0; i < bytes; i++) append(zip->bytes, &zip->size, (uint8_t)data[i], 1);
    append(zip->list, &zip->listed, 0x02014b50, 4);
    append(zip->list, &zip->listed, 20, 2);
    append_header(zip->list, &zip->listed, name, data, bytes);
    append(zip->list, &zip->listed, 0, 4);
    append(zip->list, &zip->listed, 0, 4);
    append(zip->list, &zip->listed, 0, 2);
    append(zip->list, &zip->listed, place, 4);
    for (const char *at = name; *at != '\0'; at++) append(zip->list, &zip->listed, (uint8_t)*at, 1);
    zip->count++;
}

/* An array that has no elements. */
static void add_array(struct zip_file *zip, const char *name, const char *type, const char *shape) {
    char data[256];
    (void)snprintf(data, sizeof data, "%cNUMPY%c%c%c%c{'descr': '%s', 'fortran_order': False, 'shape': %s}%*s", 0x93, 1,
                   0, 118, 0, type, shape, 118, "");
    add_member(zip, name, data, 128);
}

static const char *finish(struct zip_file *zip) {
    size_t list = zip->size;
    memcpy(zip->bytes + zip->size, zip->list, zip->listed);
    zip->size += zip->listed;
    append(zip->bytes, &zip->size, 0x06054b50, 4);
    append(zip->bytes, &zip->size, 0, 4);
    append(zip->bytes, &zip->size, zip->count, 2);
    append(zip->bytes, &zip->size, zip->count, 2);
    append(zip->bytes, &zip->size, (uint32_t)zip->listed, 4);
    append(zip->bytes, &zip->size, (uint32_t)list, 4);
    append(zip->bytes, &zip->size, 0, 2);
    const char *path = write_file("made.npz", zip->bytes, zip->size);
    memset(zip, 0, sizeof *zip);
    return path;
}

static void test_npz_absurd(void **state) {
    (void)state;
    static struct zip_file zip;
    if (!can_read("npz")) skip();
    add_array(&zip, "vectors.npy", "<f4", "(0, 3)");
    add_array(&zip, "words.npy", "<U7", "(0,)");
    add_member(&zip, "notes.txt", "not an array", 12);
    OK(read_all(finish(&zip), NULL));
    add_array(&zip, "vectors.npy", "<f4", "(0, 3)");
    add_array(&zip, "words.npy", "<U16777217", "(0,)");
    SAYS(read_all(finish(&zip), NULL), TQ_FORMAT, "words: with it rows have 67108880 bytes; they may have 67108864");
    add_array(&zip, "vectors.npy", "<f4", "(0, 3)");
    add_array(&zip, "vectors.npy", "<f4", "(0, 4)");
    SAYS(read_all(finish(&zip), NULL), TQ_FORMAT, "vectors: there are two of this name");
    add_array(&zip, "vectors.npy", "<f4", "(1099511627776, 3)");
    SAYS(read_all(finish(&zip), NULL), TQ_FORMAT, "vectors: the header says (1099511627776, 3) elements of 4 bytes");
    add_array(&zip, "words.npy", "<U7", "(0,)");
    SAYS(read_all(finish(&zip), NULL), TQ_NOT_FOUND, "no array of numbers with two axes; it has words <U7 (0,)");
    add_member(&zip, "notes.txt", "not an array", 12);
    SAYS(read_all(finish(&zip), NULL), TQ_NOT_FOUND, "it has no arrays");
    for (int i = 0; i <= 2000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        add_member(&zip, name, "", 0);
    }
    SAYS(read_all(finish(&zip), NULL), TQ_FORMAT, "made.npz: a zip file of 2001 members; there may be 2000");
}

/* At every place in turn: said, and nothing leaks (under a sanitizer). */
static void test_npz_no_memory(void **state) {
    (void)state;
    enum tq_status status = TQ_NOMEM;
    long n = 1;
    if (!can_read("npz")) skip();
    for (; status == TQ_NOMEM && n < 500; n++) {
        tq_alloc_fail_after(n);
        status = read_all(columns_path, "vectors");
        tq_alloc_fail_after(0);
    }
    OK(status);
    assert_in_range(n, 40, 499);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vecs),
        cmocka_unit_test(test_vecs_that_lie),
        cmocka_unit_test(test_vecs_that_change),
        cmocka_unit_test(test_bin),
        cmocka_unit_test(test_bin_that_lies),
        cmocka_unit_test(test_npz_columns),
        cmocka_unit_test(test_npz_choices),
        cmocka_unit_test(test_npz_stored),
        cmocka_unit_test(test_npz_damage),
        cmocka_unit_test(test_npz_no_memory),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_npz_absurd),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
