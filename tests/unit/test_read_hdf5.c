/* HDF5: files of ann-benchmarks, every way of storing rows of numbers, and files that are not what they say. */
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "tests/unit/rows_text.h"

static void assert_says(const char *got, const char *part) {
    if (strstr(got, part) != NULL) return;
    print_error("\"%s\" does not say \"%s\"\n", got, part);
    fail();
}

#ifdef TQ_HAVE_HDF5
#include <hdf5.h>

static const char *read_part(const char *path, const char *part) {
    struct tq_reader_options options = tq_reader_defaults();
    options.part = part;
    return read_rows(path, &options);
}

/* ---- Making files ---- */

static hid_t new_file(const char *name) {
    hid_t file = H5Fcreate(path_of(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void put_text(hid_t file, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    assert_true(H5Tset_size(type, strlen(text)) >= 0);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, text) >= 0);
    (void)H5Aclose(attribute);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
}

struct layout {
    hsize_t chunk[2]; /* 0: contiguous */
    bool packed;
    bool late; /* the space is given when it is written: data NULL writes none */
};

/* rows x width elements; width 0: one dimension only. */
static void put(hid_t file, const char *name, hid_t type, hsize_t rows, hsize_t width, const struct layout *layout,
                hid_t memory, const void *data) {
    const hsize_t shape[2] = {rows, width};
    hid_t space = H5Screate_simple(width == 0 ? 1 : 2, shape, NULL), settings = H5Pcreate(H5P_DATASET_CREATE);
    if (layout != NULL && layout->chunk[0] > 0) assert_true(H5Pset_chunk(settings, 2, layout->chunk) >= 0);
    if (layout != NULL && layout->packed)
        assert_true(H5Pset_shuffle(settings) >= 0 && H5Pset_deflate(settings, 4) >= 0);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, settings, H5P_DEFAULT);
    assert_true(dataset >= 0);
    if (data != NULL) assert_true(H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    (void)H5Dclose(dataset);
    (void)H5Pclose(settings);
    (void)H5Sclose(space);
}

static void put_floats(hid_t file, const char *name, hsize_t rows, hsize_t width, const float *data) {
    put(file, name, H5T_IEEE_F32LE, rows, width, NULL, H5T_NATIVE_FLOAT, data);
}

static hid_t half_type(H5T_order_t order) {
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    assert_true(H5Tset_fields(type, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(type, 2) >= 0 &&
                H5Tset_ebias(type, 15) >= 0 && H5Tset_order(type, order) >= 0);
    return type;
}

/* ---- ann-benchmarks ---- */

static void test_fixture(void **state) {
    (void)state;
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    OK(tq_reader_open("tests/data/tiny.hdf5", NULL, &reader));
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    assert_string_equal(info->format, "hdf5");
    assert_int_equal(info->rows, 50);
    assert_int_equal(info->column_count, 1);
    assert_int_equal(info->columns[0].dim, 8);
    assert_true(info->has_metric && info->metric == TQ_COSINE);
    assert_string_equal(info->queries, "test");
    float train[50][8];
    for (size_t i = 0; i < 50; i++) {
        OK(tq_reader_next(reader, &row));
        memcpy(train[i], row->vector, sizeof train[i]);
    }
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
    assert_true(train[0][0] > -1.73828f && train[0][0] < -1.73826f);

    struct tq_reader_options options = tq_reader_defaults();
    options.part = "test";
    OK(tq_reader_open("tests/data/tiny.hdf5", &options, &reader));
    info = tq_reader_get_info(reader);
    assert_int_equal(info->column_count, 3);
    assert_string_equal(info->columns[1].name, "neighbors");
    assert_string_equal(info->columns[2].name, "distances");
    assert_null(info->queries);
    for (size_t i = 0; i < 10; i++) {
        int32_t nearest = 0;
        float distance = 0;
        double product = 0, query = 0, other = 0;
        OK(tq_reader_next(reader, &row));
        assert_int_equal(row[1].size, 40);
        memcpy(&nearest, row[1].blob, sizeof nearest);
        memcpy(&distance, row[2].blob, sizeof distance);
        assert_in_range(nearest, 0, 49);
        for (size_t k = 0; k < 8; k++) {
            product += (double)row[0].vector[k] * (double)train[nearest][k];
            query += (double)row[0].vector[k] * (double)row[0].vector[k];
            other += (double)train[nearest][k] * (double)train[nearest][k];
        }
        double found = 1 - product / (__builtin_sqrt(query) * __builtin_sqrt(other));
        assert_true(found - (double)distance < 1e-6 && (double)distance - found < 1e-6);
    }
    tq_reader_close(reader);
}

static void test_metrics(void **state) {
    (void)state;
    static const struct {
        const char *distance;
        bool known;
        enum tq_metric metric;
    } cases[] = {{"euclidean", true, TQ_L2}, {"dot", true, TQ_IP}, {"ip", true, TQ_IP}, {"manhattan", false, TQ_L2}};
    for (size_t i = 0; i < TQ_COUNT(cases); i++) {
        tq_reader *reader = NULL;
        hid_t file = new_file("metric.hdf5");
        put_text(file, "distance", cases[i].distance);
        put_floats(file, "train", 1, 2, (const float[]){1, 2});
        (void)H5Fclose(file);
        OK(tq_reader_open(path_of("metric.hdf5"), NULL, &reader));
        assert_int_equal(tq_reader_get_info(reader)->has_metric, cases[i].known);
        if (cases[i].known) assert_int_equal(tq_reader_get_info(reader)->metric, cases[i].metric);
        assert_null(tq_reader_get_info(reader)->queries);
        tq_reader_close(reader);
    }
    static const char *const others[] = {"jaccard", "hamming"};
    for (size_t i = 0; i < TQ_COUNT(others); i++) {
        hid_t file = new_file("metric.hdf5");
        put_text(file, "distance", others[i]);
        put_floats(file, "train", 1, 2, (const float[]){1, 2});
        (void)H5Fclose(file);
        assert_says(read_rows(path_of("metric.hdf5"), NULL),
                    "TQ_UNSUPPORTED: metric.hdf5: it is made for the distance");
    }
}

/* ---- Types and layouts ---- */

static void test_types(void **state) {
    (void)state;
    const float values[6] = {1, -2, 3, 0, 127, -128};
    const hid_t types[] = {
        H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE,          H5T_STD_I8LE,
        H5T_STD_I16BE,  H5T_STD_I32LE,  H5T_STD_I64LE,  half_type(H5T_ORDER_LE), half_type(H5T_ORDER_BE)};
    for (size_t i = 0; i < TQ_COUNT(types); i++) {
        hid_t file = new_file("type.h5");
        put(file, "train", types[i], 3, 2, NULL, H5T_NATIVE_FLOAT, values);
        (void)H5Fclose(file);
        assert_string_equal(read_rows(path_of("type.h5"), NULL), "embedding[2]\n[1,-2]\n[3,0]\n[127,-128]\n");
    }
    (void)H5Tclose(types[8]);
    (void)H5Tclose(types[9]);
    hid_t file = new_file("type.h5"), half = half_type(H5T_ORDER_LE);
    put(file, "train", H5T_STD_U8LE, 1, 2, NULL, H5T_NATIVE_FLOAT, (const float[]){255, 7});
    put(file, "test", half, 1, 4, NULL, H5T_NATIVE_FLOAT,
        (const float[]){65504, 0x1p-24f, __builtin_inff(), -0.333251953125f});
    put(file, "neighbors", half, 1, 2, NULL, H5T_NATIVE_INT, (const int[]){258, 1});
    put(file, "distances", half, 1, 1, NULL, H5T_NATIVE_FLOAT, (const float[]){0.5f});
    (void)H5Tclose(half);
    (void)H5Fclose(file);
    assert_string_equal(read_rows(path_of("type.h5"), NULL), "embedding[2]\n[255,7]\n");
    assert_string_equal(read_part(path_of("type.h5"), "test"),
                        "embedding[4] neighbors distances\n"
                        "[65504,5.96046e-08,inf,-0.333252]|x'0201000001000000'|x'0000003f'\n");
}

/* Rows wider than a block, chunks that do not divide the shape, and rows over many blocks. */
static void test_layouts(void **state) {
    (void)state;
    static const struct {
        hsize_t rows, width;
        struct layout layout;
    } cases[] = {{3000, 700, {{0, 0}, false, false}},    {3000, 700, {{64, 100}, false, false}},
                 {3000, 700, {{900, 11}, true, false}},  {3000, 700, {{3000, 700}, true, false}},
                 {5, 60000, {{2, 60000}, false, false}}, {7, 3, {{100, 100}, false, false}}};
    for (size_t i = 0; i < TQ_COUNT(cases); i++) {
        hsize_t rows = cases[i].rows, width = cases[i].width;
        float *data = malloc(rows * width * sizeof *data);
        assert_non_null(data);
        for (size_t k = 0; k < rows * width; k++) data[k] = (float)(k * 2654435761u % 1000003);
        hid_t file = new_file("layout.h5");
        struct layout layout = cases[i].layout;
        if (layout.chunk[0] > rows) layout.chunk[0] = rows, layout.chunk[1] = width - 1;
        put(file, "train", H5T_IEEE_F32LE, rows, width, &layout, H5T_NATIVE_FLOAT, data);
        (void)H5Fclose(file);
        tq_reader *reader = NULL;
        const struct tq_value *row = NULL;
        OK(tq_reader_open(path_of("layout.h5"), NULL, &reader));
        assert_int_equal(tq_reader_get_info(reader)->rows, rows);
        for (hsize_t r = 0; r < rows; r++) {
            if (r == 1) OK(tq_reader_skip(reader, 1)), r++;
            OK(tq_reader_next(reader, &row));
            assert_memory_equal(row->vector, data + r * width, width * sizeof *data);
        }
        OK(tq_reader_skip(reader, 5));
        OK(tq_reader_next(reader, &row));
        assert_null(row);
        assert_true(tq_reader_progress(reader) == 1);
        tq_reader_close(reader);
        free(data);
    }
}

/* ---- Which dataset ---- */

static void test_choice(void **state) {
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    hid_t file = new_file("choice.h5");
    hid_t group = H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_floats(group, "vectors", 3, 2, data);
    put_floats(file, "scores", 6, 0, data);
    (void)H5Gclose(group);
    (void)H5Fclose(file);
    assert_string_equal(read_rows(path_of("choice.h5"), NULL), "embedding[2]\n[1,2]\n[3,4]\n[5,6]\n");
    assert_string_equal(read_part(path_of("choice.h5"), "/group/vectors"), "embedding[2]\n[1,2]\n[3,4]\n[5,6]\n");
    assert_says(read_part(path_of("choice.h5"), "scores"),
                "TQ_FORMAT: choice.h5: scores has 1 dimension; rows of vectors have 2");
    assert_says(read_part(path_of("choice.h5"), "group"), "TQ_NOT_FOUND: choice.h5: group is a group, not a dataset");
    assert_says(read_part(path_of("choice.h5"), "train"), "TQ_NOT_FOUND: choice.h5: there is no dataset train; "
                                                          "datasets: group/vectors 3 x 2, scores with 1 dimension\n");
    assert_says(read_part(path_of("choice.h5"), "group/nothing"), "TQ_NOT_FOUND");
    file = H5Fopen(path_of("choice.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    put_floats(file, "more", 2, 3, data);
    assert_true(H5Lcreate_hard(file, "/", file, "circle", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    (void)H5Fclose(file);
    assert_says(read_rows(path_of("choice.h5"), NULL), "TQ_MISUSE: choice.h5: name the dataset to read: circle/circle");
    file = new_file("choice.h5");
    (void)H5Fclose(file);
    assert_says(read_rows(path_of("choice.h5"), NULL), "TQ_NOT_FOUND: choice.h5: there is no dataset");
}

/* The truth in a group lies beside its queries; what does not fit them is left out. */
static void test_groups(void **state) {
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    hid_t file = new_file("group.h5"), group = H5Gcreate2(file, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_floats(group, "train", 3, 2, data);
    put_floats(group, "test", 2, 2, data);
    put_floats(group, "distances", 2, 1, data);
    put_floats(group, "neighbors", 3, 1, data);
    (void)H5Gclose(group);
    (void)H5Fclose(file);
    tq_reader *reader = NULL;
    struct tq_reader_options options = tq_reader_defaults();
    options.part = "a/train";
    OK(tq_reader_open(path_of("group.h5"), &options, &reader));
    assert_string_equal(tq_reader_get_info(reader)->queries, "a/test");
    tq_reader_close(reader);
    assert_string_equal(read_part(path_of("group.h5"), "a/test"),
                        "embedding[2] distances\n[1,2]|x'0000803f'\n[3,4]|x'00000040'\n");
    options.part = "a/test";
    options.columns = "distances";
    assert_string_equal(read_rows(path_of("group.h5"), &options), "distances\nx'0000803f'\nx'00000040'\n");
    options.columns = "neighbors";
    assert_says(read_rows(path_of("group.h5"), &options), "neighbors");
}

/* ---- Files that are not as they should be ---- */

static void test_refusals(void **state) {
    (void)state;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    const char *path = path_of("refused.h5");
    hid_t file = new_file("refused.h5");
    put_floats(file, "train", 6, 0, data);
    put_floats(file, "size_train", 2, 0, data);
    put(file, "absurd", H5T_IEEE_F32LE, (hsize_t)1 << 40, 3, NULL, -1, NULL);
    put(file, "overflow", H5T_IEEE_F64LE, (hsize_t)1 << 55, 60000, &(struct layout){{1, 60000}, false, true}, -1, NULL);
    put(file, "unwritten", H5T_IEEE_F32LE, 1000, 2, &(struct layout){{10, 2}, false, true}, -1, NULL);
    put(file, "chunks", H5T_IEEE_F64LE, 1 << 20, 65536, &(struct layout){{1 << 19, 1}, true, true}, -1, NULL);
    static const float zeros[65537];
    put(file, "wide", H5T_STD_I8LE, 1, 65537, &(struct layout){{1, 65537}, false, false}, H5T_NATIVE_FLOAT, zeros);
    hid_t text = H5Tcopy(H5T_C_S1);
    put(file, "texts", text, 2, 2, NULL, text, "abcd");
    (void)H5Tclose(text);
    char other[4096];
    assert_non_null(realpath("tests/data/tiny.hdf5", other));
    assert_true(H5Lcreate_external(other, "/train", file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_soft("/nowhere", file, "dangling", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    (void)H5Fclose(file);
    static const struct {
        const char *part, *says;
    } cases[] = {
        {"train", "TQ_UNSUPPORTED: refused.h5: train holds sparse sets, whose sizes are in size_train"},
        {"absurd", "TQ_FORMAT: refused.h5: dataset absurd claims 1099511627776 x 3 elements of 4 bytes, but has 0"},
        {"overflow", "dataset overflow claims 36028797018963968 x 60000"},
        {"unwritten", "dataset unwritten claims 1000 rows, but only 0 of its 100 chunks were written"},
        {"chunks", "TQ_UNSUPPORTED: refused.h5: dataset chunks is stored in chunks of 524288 x 1: 262144 MB must be"},
        {"wide", "65537 dimensions; there must be 1 to 65536"},
        {"texts", "the elements of texts are no numbers"},
        {"elsewhere", "TQ_FORMAT: refused.h5: a dataset cannot be read: HDF5 says: "},
        {"dangling", "TQ_FORMAT: refused.h5: a dataset cannot be read: HDF5 says: "},
    };
    for (size_t i = 0; i < TQ_COUNT(cases); i++) assert_says(read_part(path, cases[i].part), cases[i].says);
}

/* Packed by a filter that some other program brought along. */
static size_t keep_bytes(unsigned flags, size_t count, const unsigned values[], size_t bytes, size_t *size,
                         void **data) {
    (void)flags, (void)count, (void)values, (void)size, (void)data;
    return bytes;
}

static void test_filter(void **state) {
    (void)state;
    const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, 300, 1, 1, "rare", NULL, NULL, keep_bytes};
    const hsize_t shape[2] = {2, 2};
    const float data[4] = {1, 2, 3, 4};
    assert_true(H5Zregister(&filter) >= 0);
    hid_t file = new_file("filter.h5"), space = H5Screate_simple(2, shape, NULL), made = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_chunk(made, 2, shape) >= 0 && H5Pset_filter(made, 300, H5Z_FLAG_OPTIONAL, 0, NULL) >= 0);
    hid_t dataset = H5Dcreate2(file, "train", H5T_IEEE_F32LE, space, H5P_DEFAULT, made, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    (void)H5Dclose(dataset);
    (void)H5Pclose(made);
    (void)H5Sclose(space);
    (void)H5Fclose(file);
    assert_string_equal(read_rows(path_of("filter.h5"), NULL), "embedding[2]\n[1,2]\n[3,4]\n");
    assert_true(H5Zunregister(300) >= 0);
    assert_says(read_rows(path_of("filter.h5"), NULL),
                "TQ_UNSUPPORTED: filter.h5: data cannot be read: HDF5 says: required filter 'rare' is not registered");
}

static void test_damage(void **state) {
    (void)state;
    static unsigned char bytes[1 << 16];
    FILE *whole = fopen("tests/data/tiny.hdf5", "rb");
    assert_non_null(whole);
    size_t size = fread(bytes, 1, sizeof bytes, whole);
    (void)fclose(whole);
    for (size_t cut = 8; cut < size; cut += 997) {
        assert_says(read_rows(write_file("cut.hdf5", bytes, cut), NULL),
                    "TQ_FORMAT: cut.hdf5: cannot be read: HDF5 says: ");
    }
    assert_says(read_rows(write_text_file("text.hdf5", "no HDF5 at all"), NULL), "TQ_FORMAT: text.hdf5");
    hid_t file = new_file("open.hdf5");
    assert_says(read_rows(path_of("open.hdf5"), NULL), "open.hdf5: ");
    (void)H5Fclose(file);
    file = new_file("dimension.hdf5");
    put_floats(file, "train", 1, 2, (const float[]){1, 2});
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, "dimension", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT, &(int){9}) >= 0);
    (void)H5Aclose(attribute);
    (void)H5Sclose(space);
    (void)H5Fclose(file);
    assert_says(read_rows(path_of("dimension.hdf5"), NULL),
                "TQ_FORMAT: dimension.hdf5: it is said to have 9 dimensions, but train has 2");
}

/* What a program that uses libhdf5 itself has set stays so. */
static herr_t printer(hid_t stack, void *data) {
    (void)stack;
    ++*(int *)data;
    return 0;
}

static void test_error_printing(void **state) {
    (void)state;
    H5E_auto2_t function = NULL;
    void *data = NULL;
    int printed = 0;
    assert_true(H5Eset_auto2(H5E_DEFAULT, printer, &printed) >= 0);
    assert_says(read_rows(write_text_file("text.hdf5", "no HDF5 at all"), NULL), "TQ_FORMAT");
    assert_int_equal(printed, 0);
    assert_true(H5Eget_auto2(H5E_DEFAULT, &function, &data) >= 0);
    assert_true(function == printer && data == &printed);
    assert_true(H5Eset_auto2(H5E_DEFAULT, NULL, NULL) >= 0);
}

static void test_no_memory(void **state) {
    (void)state;
    static char whole[ROWS_TEXT_BYTES];
    long n = 0;
    memcpy(whole, read_part("tests/data/tiny.hdf5", "test"), sizeof whole);
    do {
        tq_alloc_fail_after(++n);
        (void)read_part("tests/data/tiny.hdf5", "test");
        tq_alloc_fail_after(0);
        assert_true(n < 1000);
    } while (strstr(rows_text, "TQ_NOMEM: out of memory") != NULL);
    assert_string_equal(rows_text, whole);
    assert_true(n > 5);
}

/* After all the failures above. */
static void test_nothing_is_left_open(void **state) {
    (void)state;
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixture),   cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_types),     cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_choice),    cmocka_unit_test(test_groups),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_damage),
        cmocka_unit_test(test_filter),    cmocka_unit_test(test_error_printing),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_nothing_is_left_open),
    };
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
#else
static void test_left_out(void **state) {
    (void)state;
    assert_says(read_rows("tests/data/tiny.hdf5", NULL),
                "TQ_UNSUPPORTED: tiny.hdf5: this build cannot read hdf5: it was made without HDF5");
    (void)write_file;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_left_out)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
#endif
