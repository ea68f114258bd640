/* .npy files: what NumPy writes is read; what lies about itself is refused, by name. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/io/npy.h"

static char path[256];

static int set_up(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/tq_npy_XXXXXX", tmp == NULL ? "/tmp" : tmp);
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int tear_down(void **state) {
    (void)state;
    return unlink(path);
}

/* A file of the given version, header text and data. */
static void write_npy(int version, const char *header, size_t header_bytes, const void *data, size_t data_bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0};
    const unsigned char length[] = {(unsigned char)header_bytes, (unsigned char)(header_bytes >> 8), 0, 0};
    assert_int_equal(fwrite(magic, 1, sizeof magic, file), sizeof magic);
    assert_int_equal(fwrite(length, 1, version == 1 ? 2 : 4, file), version == 1 ? 2 : 4);
    assert_int_equal(fwrite(header, 1, strlen(header), file), strlen(header));
    if (data_bytes > 0) assert_int_equal(fwrite(data, 1, data_bytes, file), data_bytes);
    assert_int_equal(fclose(file), 0);
}

static void write_text(int version, const char *header, const void *data, size_t data_bytes) {
    write_npy(version, header, strlen(header), data, data_bytes);
}

static void test_types(void **state) {
    (void)state;
    const float single[6] = {1, -2.5f, 3, 4, 1e-20f, 6};
    const double wide[6] = {1, -2.5, 3, 4, 0.1, 6};
    const uint16_t half[6] = {0x3c00, 0xc100, 0x4200, 0x4400, 0x0001, 0x7bff};
    const float halves[6] = {1, -2.5f, 3, 4, 0x1p-24f, 65504};
    struct tq_npy npy;
    float row[3];
    write_text(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", single, sizeof single);
    assert_int_equal(tq_npy_open(path, &npy), TQ_OK);
    assert_int_equal(npy.rows, 2);
    assert_int_equal(npy.dim, 3);
    tq_npy_row(&npy, 1, row);
    assert_memory_equal(row, single + 3, sizeof row);
    tq_npy_close(&npy);
    write_text(2, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", wide, sizeof wide);
    assert_int_equal(tq_npy_open(path, &npy), TQ_OK);
    tq_npy_row(&npy, 1, row);
    for (int i = 0; i < 3; i++) assert_true(row[i] == (float)wide[3 + i]);
    tq_npy_close(&npy);
    write_text(3, "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }\n", half, sizeof half);
    assert_int_equal(tq_npy_open(path, &npy), TQ_OK);
    tq_npy_row(&npy, 1, row);
    assert_memory_equal(row, halves + 3, sizeof row);
    tq_npy_close(&npy);
    write_text(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }\n", single, sizeof single);
    assert_int_equal(tq_npy_open(path, &npy), TQ_OK);
    assert_int_equal(npy.rows, 6);
    assert_int_equal(npy.dim, 1);
    tq_npy_close(&npy);
    write_text(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }\n", NULL, 0);
    assert_int_equal(tq_npy_open(path, &npy), TQ_OK);
    assert_int_equal(npy.rows, 0);
    tq_npy_close(&npy);
}

static void test_refusals(void **state) {
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    static const struct {
        const char *header;
        const char *says;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", "Fortran"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }\n", "|O"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n", "<i4"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }\n", ">f4"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }\n", "holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }\n", "holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 3), }\n", "1099511627776"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 4), }\n", "holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }\n", "0 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 70000), }\n", "70000 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }\n", "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }\n", "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999, 3), }\n", "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ", "shape"},
        {"{'descr': '<f4', 'shape': (2, 3), }\n", "fortran_order"},
        {"", "descr"},
    };
    struct tq_npy npy = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(1, cases[i].header, data, sizeof data);
        assert_int_equal(tq_npy_open(path, &npy), TQ_FORMAT);
        if (strstr(tq_message(), cases[i].says) == NULL) {
            print_error("case %zu: \"%s\" does not say \"%s\"\n", i, tq_message(), cases[i].says);
            fail();
        }
        assert_null(npy.map);
    }
}

static void test_damage(void **state) {
    (void)state;
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
    const float data[6] = {1, 2, 3, 4, 5, 6};
    struct tq_npy npy = {0};
    write_text(1, header, data, sizeof data);
    long whole = (long)(10 + strlen(header) + sizeof data);
    for (long bytes = 0; bytes < whole; bytes++) {
        write_text(1, header, data, sizeof data);
        assert_int_equal(truncate(path, bytes), 0);
        assert_int_equal(tq_npy_open(path, &npy), TQ_FORMAT);
    }
    write_npy(1, header, 60000, data, sizeof data); /* a header longer than the file */
    assert_int_equal(tq_npy_open(path, &npy), TQ_FORMAT);
    write_text(9, header, data, sizeof data);
    assert_int_equal(tq_npy_open(path, &npy), TQ_FORMAT);
    assert_int_equal(tq_npy_open("/nonexistent/file.npy", &npy), TQ_NOT_FOUND);
    assert_int_equal(tq_npy_open("/", &npy), TQ_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
