/* .npy files: what NumPy writes is read, mapped and by the reader; what lies about itself is refused, by name. */
#include <math.h>

#include "src/base/f16.h"
#include "src/io/npy.h"
#include "tests/unit/file_util.h"

/* A file of the given version, header text and data; header_bytes as it is claimed. */
static const char *write_claiming(int version, const char *header, size_t header_bytes, const void *data,
                                  size_t data_bytes) {
    static uint8_t bytes[1 << 21];
    size_t prefix = version == 1 ? 10 : 12, length = strlen(header);
    const uint8_t start[12] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0, (uint8_t)header_bytes, (uint8_t)(header_bytes >> 8)};
    assert_true(prefix + length + data_bytes <= sizeof bytes);
    memcpy(bytes, start, prefix);
    memcpy(bytes + prefix, header, length);
    if (data_bytes > 0) memcpy(bytes + prefix + length, data, data_bytes);
    return write_file("a.npy", bytes, prefix + length + data_bytes);
}

static const char *write_npy(int version, const char *header, const void *data, size_t data_bytes) {
    return write_claiming(version, header, strlen(header), data, data_bytes);
}

static const char *write_array(const char *type, const char *shape, const void *data, size_t data_bytes) {
    char header[128];
    (void)snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", type, shape);
    return write_npy(1, header, data, data_bytes);
}

/* Both ways to read it give these rows. */
static void assert_rows(const char *path, uint64_t rows, uint32_t dim, const float *wanted) {
    struct tq_npy npy;
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    float vector[64];
    OK(tq_npy_open(path, &npy));
    OK(tq_reader_open(path, NULL, &reader));
    assert_int_equal(npy.rows, rows);
    assert_int_equal(npy.dim, dim);
    assert_int_equal(tq_reader_get_info(reader)->rows, rows);
    assert_int_equal(tq_reader_get_info(reader)->columns[0].dim, dim);
    for (uint64_t i = 0; i < rows; i++) {
        tq_npy_row(&npy, i, vector);
        assert_memory_equal(vector, wanted + i * dim, dim * sizeof *vector);
        OK(tq_reader_next(reader, &row));
        assert_memory_equal(row->vector, wanted + i * dim, dim * sizeof *vector);
    }
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
    tq_npy_close(&npy);
}

static void test_floats(void **state) {
    (void)state;
    const float single[6] = {1, -2.5f, 3, 4, 1e-20f, 6};
    const double wide[6] = {1, -2.5, 3, 4, 0.1, 1e300};
    const float rounded[6] = {1, -2.5f, 3, 4, 0.1f, INFINITY};
    const uint16_t half[6] = {0x3c00, 0xc100, 0x4200, 0x4400, 0x0001, 0x7bff};
    const float halves[6] = {1, -2.5f, 3, 4, 0x1p-24f, 65504};
    assert_rows(write_array("<f4", "(2, 3)", single, sizeof single), 2, 3, single);
    assert_rows(write_array("<f8", "(2, 3)", wide, sizeof wide), 2, 3, rounded);
    assert_rows(write_array("<f2", "(2, 3)", half, sizeof half), 2, 3, halves);
    assert_rows(write_array("<f4", "(6,)", single, sizeof single), 6, 1, single);
    assert_rows(write_array("<f4", "(2L, 3L)", single, sizeof single), 2, 3, single); /* Python 2 */
    assert_rows(write_array("<f4", "(0, 3)", NULL, 0), 0, 3, NULL);
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
    assert_rows(write_npy(2, header, single, sizeof single), 2, 3, single);
    assert_rows(write_npy(3, header, single, sizeof single), 2, 3, single);
}

static void test_whole_numbers(void **state) {
    (void)state;
    const int8_t i8[] = {-128, -1, 127};
    const uint8_t u8[] = {0, 1, 255};
    const int16_t i16[] = {-32768, -1, 32767};
    const uint16_t u16[] = {0, 1, 65535};
    const int32_t i32[] = {INT32_MIN, -1, 16777217};
    const uint32_t u32[] = {0, 16777217, UINT32_MAX};
    const int64_t i64[] = {INT64_MIN, -1, INT64_MAX};
    const uint64_t u64[] = {0, 16777219, UINT64_MAX};
    const struct {
        const char *type;
        const void *data;
        size_t bytes;
        float wanted[3];
    } cases[] = {
        {"|i1", i8, sizeof i8, {-128, -1, 127}},
        {"|u1", u8, sizeof u8, {0, 1, 255}},
        {"<i2", i16, sizeof i16, {-32768, -1, 32767}},
        {"<u2", u16, sizeof u16, {0, 1, 65535}},
        {"<i4", i32, sizeof i32, {-0x1p31f, -1, 16777216}}, /* to even: as the header of elements.h says */
        {"<u4", u32, sizeof u32, {0, 16777216, 0x1p32f}},
        {"<i8", i64, sizeof i64, {-0x1p63f, -1, 0x1p63f}},
        {"<u8", u64, sizeof u64, {0, 16777220, 0x1p64f}},
    };
    for (size_t i = 0; i < TQ_COUNT(cases); i++)
        assert_rows(write_array(cases[i].type, "(1, 3)", cases[i].data, cases[i].bytes), 1, 3, cases[i].wanted);
}

/* The loop that the compiler vectorizes, and the function that everybody else uses. */
static void test_halves(void **state) {
    (void)state;
    enum { HALVES = 65536 };
    static uint16_t halves[HALVES];
    static float values[HALVES];
    for (uint32_t i = 0; i < HALVES; i++) halves[i] = (uint16_t)i;
    tq_elements_to_f32(TQ_ELEMENT_F16, halves, HALVES, values);
    for (uint32_t i = 0; i < HALVES; i++) {
        float wanted = tq_f32_from_f16((uint16_t)i);
        assert_memory_equal(&values[i], &wanted, sizeof wanted);
    }
}

static void refuse(const char *path, const char *says) {
    struct tq_npy npy = {0};
    tq_reader *reader = NULL;
    SAYS(tq_npy_open(path, &npy), TQ_FORMAT, says);
    assert_null(npy.map);
    SAYS(tq_reader_open(path, NULL, &reader), TQ_FORMAT, says);
    assert_null(reader);
}

static void test_refusals(void **state) {
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    static const struct {
        const char *header;
        const char *says;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", "Fortran"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }\n", "|O, objects of Python"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1, 3), }\n", "elements are <c8; they must be"},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (8, 3), }\n", "|b1"},
        {"{'descr': '<U2', 'fortran_order': False, 'shape': (1, 3), }\n", "<U2"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }\n", ">f4, big-endian"},
        {"{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (3,), }\n", "structures"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }\n", "holds 24 bytes of them: it is cut off"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }\n", "holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 3), }\n", "(1099511627776, 3)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 4), }\n", "holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }\n", "0 dimensions; there must be 1 to 65536"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 70000), }\n", "70000 dimensions; there must be 1"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }\n", "shape (1, 2, ...); it must be (rows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", "shape (); it must be (rows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }\n", "shape (-2, 3)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999, 3), }\n", "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ", "shape"},
        {"{'descr': '<f4', 'shape': (2, 3), }\n", "fortran_order"},
        {"", "descr"},
    };
    for (size_t i = 0; i < TQ_COUNT(cases); i++)
        refuse(write_npy(1, cases[i].header, data, sizeof data), cases[i].says);
}

static void test_damage(void **state) {
    (void)state;
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
    const float data[6] = {1, 2, 3, 4, 5, 6};
    long whole = (long)(10 + strlen(header) + sizeof data);
    for (long bytes = 0; bytes < whole; bytes++) {
        const char *path = write_npy(1, header, data, sizeof data);
        assert_int_equal(truncate(path, bytes), 0);
        refuse(path, "a.npy");
    }
    refuse(write_claiming(1, header, 60000, data, sizeof data), "a header of 60000 bytes in ");
    static const char blanks[4000];
    refuse(write_claiming(1, header, 2000, blanks, sizeof blanks), "a header of 2000 bytes; those of vectors have");
    refuse(write_npy(9, header, data, sizeof data), "version 1, 2 or 3");
    struct tq_npy npy = {0};
    FAILS(tq_npy_open("/nonexistent/file.npy", &npy), TQ_NOT_FOUND);
    FAILS(tq_npy_open("/", &npy), TQ_FORMAT);
}

/* Rows of the largest dimension are longer than the reader's block. */
static void test_long_rows(void **state) {
    (void)state;
    enum { ROWS = 3, DIM = TQ_DIM_MAX };
    static double data[ROWS * DIM];
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    for (int i = 0; i < ROWS * DIM; i++) data[i] = i;
    OK(tq_reader_open(write_array("<f8", "(3, 65536)", data, sizeof data), NULL, &reader));
    for (int i = 0; i < ROWS; i++) {
        OK(tq_reader_next(reader, &row));
        for (int j = 0; j < DIM; j++) assert_true(row->vector[j] == (float)(i * DIM + j));
    }
    tq_reader_close(reader);
}

/* A file that shrinks while it is read ends the reading, not the process. */
static void test_cut_off_while_read(void **state) {
    (void)state;
    enum { ROWS = 4000, DIM = 64 };
    static float data[ROWS * DIM];
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    const char *path = write_file("cut.npy", NULL, 0);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fprintf(file, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (4000, 64), }") == 128);
    assert_int_equal(fwrite(data, sizeof data, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    OK(tq_reader_open(path, NULL, &reader));
    OK(tq_reader_next(reader, &row));
    assert_int_equal(truncate(path, 128 + 2000 * DIM * 4 + 5), 0);
    enum tq_status status = TQ_OK;
    int rows = 1;
    for (; (status = tq_reader_next(reader, &row)) == TQ_OK && row != NULL; rows++) {
    }
    SAYS(status, TQ_FORMAT, "cut off at byte 512133 since");
    assert_in_range(rows, 1024, 2000);
    tq_reader_close(reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),    cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_halves),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage),    cmocka_unit_test(test_cut_off_while_read),
        cmocka_unit_test(test_long_rows),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
