/* What all readers of files have in common: which format, which columns, bad rows, ends. A format of the test's own
 * stands in for those that have rows to refuse. */
#include <fcntl.h>
#include <sys/stat.h>

#include "src/base/alloc.h"
#include "src/io/formats.h"
#include "tests/unit/file_util.h"

/* One row of two dimensions. */
static const uint8_t npy_bytes[] =
    "\x93NUMPY\1\0\x40\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }    \n"
    "\0\0\x80\x3f\0\0\0\x40";
static const int32_t fvecs_bytes[] = {2, 0x3f800000, 0x40000000};

static const char *npy_file(const char *name) { return write_file(name, npy_bytes, sizeof npy_bytes - 1); }

static void opens_as(const char *path, const char *format, const char *given) {
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    options.format = given;
    OK(tq_reader_open(path, &options, &reader));
    assert_string_equal(tq_reader_get_info(reader)->format, format);
    OK(tq_reader_next(reader, &row));
    assert_true(row[0].vector[0] == 1 && row[0].vector[1] == 2);
    tq_reader_close(reader);
}

static void open_says(const char *path, const char *format, enum tq_status status, const char *says) {
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    options.format = format;
    SAYS(tq_reader_open(path, &options, &reader), status, says);
    assert_null(reader);
}

/* ---- Which format ---- */

static void test_detection(void **state) {
    (void)state;
    assert_int_equal(sizeof npy_bytes - 1, 10 + 64 + 8);
    opens_as(npy_file("a.npy"), "npy", NULL);
    opens_as(npy_file("A.NPY"), "npy", NULL);
    opens_as(npy_file("array"), "npy", NULL);     /* by its contents */
    opens_as(npy_file("array.npz"), "npy", NULL); /* by its contents, which its name belies */
    opens_as(npy_file("words.data"), "npy", NULL);
    opens_as(write_file("a.fvecs", fvecs_bytes, sizeof fvecs_bytes), "fvecs", NULL);
    opens_as(write_file("a.data", fvecs_bytes, sizeof fvecs_bytes), "fvecs", "fvecs");
    opens_as(npy_file("a.fvecs.npy"), "npy", NULL);
    open_says(npy_file("a.fvecs"), NULL, TQ_FORMAT, "a.fvecs, row 0"); /* fvecs have no mark: the name decides */
    open_says(npy_file("a.npy"), "fvecs", TQ_FORMAT, "a.npy, row 0");  /* asked for is asked for */
    open_says(write_file("b.npy", fvecs_bytes, sizeof fvecs_bytes), NULL, TQ_FORMAT, "b.npy: not an array of NumPy");
}

static void test_no_format(void **state) {
    (void)state;
    open_says(npy_file("a.npy"), "tape", TQ_MISUSE, "format \"tape\" is none of npy, ");
    open_says(write_file("b.what", "\1\2\3", 3), NULL, TQ_FORMAT, "b.what: neither name nor contents tell the format");
    open_says(write_file("empty.what", "", 0), NULL, TQ_FORMAT, "neither name nor contents");
    open_says(write_file("empty.npy", "", 0), NULL, TQ_FORMAT, "empty.npy: ");
}

/* What is no format of ours, but known; and a byte order mark before what is. */
static void test_beginnings(void **state) {
    (void)state;
    open_says(write_file("a.csv.gz", "\x1f\x8b\x08", 3), NULL, TQ_FORMAT, "a.csv.gz: compressed; gunzip it first");
    open_says(write_file("a.npy.gz", "\x1f\x8b\x08", 3), NULL, TQ_FORMAT, "a.npy.gz: compressed; gunzip it first");
    open_says(write_file("a.zip", "PK\3\4", 4), NULL, TQ_FORMAT, "a.zip: a zip file; unzip it first");
    open_says(write_file("wide", "\xff\xfe{\0", 4), NULL, TQ_FORMAT, "wide: UTF-16; save it as UTF-8");
    opens_as(write_text_file("marked", "\xef\xbb\xbf{\"v\": [1,2]}\n"), "jsonl", NULL);
    tq_reader *reader = NULL;
    OK(tq_reader_open(write_text_file("marked", "\xef\xbb\xbf"
                                                "2 2\na 1 2\nb 1 2\n"),
                      NULL, &reader));
    assert_string_equal(tq_reader_get_info(reader)->format, "words");
    tq_reader_close(reader);
}

static void test_no_file(void **state) {
    (void)state;
    open_says(path_of("missing.npy"), NULL, TQ_NOT_FOUND, "missing.npy: No such file");
    open_says(path_of("missing.npy"), "npy", TQ_NOT_FOUND, "missing.npy: No such file");
    open_says(folder, NULL, TQ_FORMAT, "a folder; name a file");
    open_says(folder, "npy", TQ_FORMAT, "a folder; name a file");
    assert_int_equal(mkfifo(path_of("pipe.npy"), 0600), 0); /* nobody writes to it: nor does it wait for anybody */
    open_says(path_of("pipe.npy"), NULL, TQ_FORMAT, "not a regular file");
    open_says("/dev/null", "npy", TQ_FORMAT, "not a regular file");
}

/* Each row of the table: a name, endings, help, and either something to do or what is missing for it. */
static void test_formats(void **state) {
    (void)state;
    unsigned flags = 0;
    const char *help = NULL;
    size_t count = 0;
    for (const char *name; (name = tq_format_name(count, &flags, &help)) != NULL; count++) {
        const struct tq_format *format = &tq_formats[count];
        assert_string_equal(name, format->name);
        assert_ptr_equal(tq_format_named(name), format);
        assert_true(help[0] != '\0' && format->endings[0] == '.');
        assert_true(((flags & TQ_CAN_READ) != 0) == (format->needs == NULL));
        if (format->needs != NULL) open_says(npy_file("a.x"), name, TQ_UNSUPPORTED, format->needs);
    }
    assert_true(count == tq_format_count && count >= 8);
    assert_null(tq_format_name(SIZE_MAX, NULL, NULL));
}

/* ---- Columns ---- */

static enum tq_status open_with(struct tq_reader_options options, tq_reader **reader) {
    *reader = NULL;
    return tq_reader_open(npy_file("a.npy"), &options, reader);
}

static void test_options(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    assert_true(options.format == NULL && options.columns == NULL && options.dim == 0 && options.header == -1);
    options.columns = " embedding ,embedding";
    OK(open_with(options, &reader));
    tq_reader_close(reader);
    options.columns = "embedding,word";
    SAYS(open_with(options, &reader), TQ_NOT_FOUND, "a.npy: no column \"word\"; it has embedding");
    options.columns = "embed";
    SAYS(open_with(options, &reader), TQ_NOT_FOUND, "no column \"embed\"");
    options.columns = " , ";
    SAYS(open_with(options, &reader), TQ_MISUSE, "columns is \"\"; it must name one");
    options.columns = NULL;
    options.key = "word";
    SAYS(open_with(options, &reader), TQ_NOT_FOUND, "no column \"word\"; it has embedding");
    options.columns = "embedding";
    SAYS(open_with(options, &reader), TQ_MISUSE, "key \"word\" is none of the columns \"embedding\"");
    options.key = "embedding";
    SAYS(open_with(options, &reader), TQ_MISUSE, "column embedding holds vectors; it cannot be the key");
    options.key = "";
    OK(open_with(options, &reader));
    tq_reader_close(reader);
    options.vector = "embedding";
    OK(open_with(options, &reader));
    tq_reader_close(reader);
    options.columns = NULL;
    options.vector = "word";
    SAYS(open_with(options, &reader), TQ_NOT_FOUND, "no column \"word\"; it has embedding");
    options.vector = "";
    options.part = "train";
    SAYS(open_with(options, &reader), TQ_MISUSE, "a.npy: npy files have no parts; part is \"train\"");
    options.part = NULL;
    options.dim = 3;
    SAYS(open_with(options, &reader), TQ_FORMAT, "column embedding has 2 dimensions, not 3");
    options.dim = 2;
    OK(open_with(options, &reader));
    tq_reader_close(reader);
}

/* The caller's texts are his again when it is open. */
static void test_options_are_copied(void **state) {
    (void)state;
    char path[512], columns[] = "embedding", format[] = "npy";
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    (void)snprintf(path, sizeof path, "%s", npy_file("a.npy"));
    options.columns = columns;
    options.format = format;
    OK(tq_reader_open(path, &options, &reader));
    memset(path, 'x', 3);
    memset(columns, 'x', sizeof columns - 1);
    memset(format, 'x', sizeof format - 1);
    assert_non_null(strstr(tq_reader_place(reader), folder));
    assert_true(tq_reader_wants(reader, "embedding"));
    assert_string_equal(tq_reader_get_info(reader)->format, "npy");
    tq_reader_close(reader);
}

/* ---- A reader of ten rows, of which 3 and 4 are bad and 8 ends all ---- */

static int closed;

static enum tq_status ten_open(struct tq_reader *reader) {
    reader->state = tq_alloc_zero(sizeof(int));
    if (reader->state == NULL) return TQ_NOMEM;
    for (int i = 0; i < 20; i++) { /* more than there is room for at first */
        char name[16];
        (void)snprintf(name, sizeof name, "c%d", i);
        TQ_TRY(tq_reader_column(reader, name, i == 7 ? TQ_TYPE_VECTOR : TQ_TYPE_INTEGER, 5, i == 2));
    }
    return TQ_OK;
}

static void ten_close(struct tq_reader *reader) {
    closed++;
    tq_free(reader->state);
}

static enum tq_status ten_next(struct tq_reader *reader, bool *end) {
    int row = (*(int *)reader->state)++;
    if (row == 3 || row == 4) return tq_fail(TQ_MISUSE, "row %d is bad", row);
    if (row == 8 && reader->info.rows != 10) return tq_fail(TQ_IO, "row %d is gone", row);
    *end = row == 10;
    reader->values[0] = (struct tq_value){.type = TQ_TYPE_INTEGER, .integer = row};
    return TQ_OK;
}

static double ten_progress(const struct tq_reader *reader) { return *(const int *)reader->state / 10.0; }

static const struct tq_reader_ops ten = {
    .open = ten_open, .close = ten_close, .next = ten_next, .progress = ten_progress};

/* As tq_reader_open() makes it, but for the file. */
static tq_reader *open_ten(void) {
    tq_reader *reader = tq_alloc_zero(sizeof *reader);
    assert_non_null(reader);
    reader->ops = &ten;
    reader->path = tq_alloc_zero(4);
    assert_non_null(reader->path);
    memcpy(reader->path, "ten", 3);
    OK(ten_open(reader));
    reader->info.columns = reader->columns;
    return reader;
}

static void test_rows(void **state) {
    (void)state;
    const struct tq_value *row = NULL;
    tq_reader *reader = open_ten();
    reader->info.rows = 10;
    for (int i = 0; i < 10; i++) {
        char place[32];
        if (i == 3 || i == 4) {
            SAYS(tq_reader_next(reader, &row), TQ_MISUSE, "is bad");
            assert_null(row);
        } else {
            OK(tq_reader_next(reader, &row));
            assert_int_equal(row[0].integer, i);
        }
        (void)snprintf(place, sizeof place, "ten, row %d", i);
        assert_string_equal(tq_reader_place(reader), place);
    }
    for (int i = 0; i < 3; i++) { /* the end stays one, and is no row */
        OK(tq_reader_next(reader, &row));
        assert_null(row);
        assert_string_equal(tq_reader_place(reader), "ten, row 9");
    }
    OK(tq_reader_skip(reader, 1));
    assert_int_equal(reader->info.column_count, 20);
    assert_string_equal(reader->columns[19].name, "c19");
    assert_true(reader->columns[7].dim == 5 && reader->columns[8].dim == 0 && reader->columns[2].key);
    tq_reader_close(reader);
}

static void test_skip(void **state) {
    (void)state;
    const struct tq_value *row = NULL;
    tq_reader *reader = open_ten();
    OK(tq_reader_skip(reader, 0));
    OK(tq_reader_skip(reader, 6)); /* the bad ones among them */
    OK(tq_reader_next(reader, &row));
    assert_int_equal(row[0].integer, 6);
    assert_string_equal(tq_reader_place(reader), "ten, row 6");
    SAYS(tq_reader_skip(reader, 5), TQ_IO, "row 8 is gone");
    tq_reader_close(reader);
}

/* What ended the reading is said again, and the format is not asked again. */
static void test_failure_stays(void **state) {
    (void)state;
    const struct tq_value *row = NULL;
    tq_reader *reader = open_ten();
    closed = 0;
    OK(tq_reader_skip(reader, 8));
    SAYS(tq_reader_next(reader, &row), TQ_IO, "row 8 is gone");
    (void)tq_fail(TQ_MISUSE, "something else");
    SAYS(tq_reader_next(reader, &row), TQ_IO, "row 8 is gone");
    (void)tq_fail(TQ_MISUSE, "something else");
    SAYS(tq_reader_skip(reader, 1), TQ_IO, "row 8 is gone");
    assert_null(row);
    tq_reader_close(reader);
    assert_int_equal(closed, 1);
    tq_reader_close(NULL);
}

static void test_columns_that_cannot_be(void **state) {
    (void)state;
    tq_reader *reader = open_ten();
    SAYS(tq_reader_column(reader, "v", TQ_TYPE_VECTOR, 0, false), TQ_FORMAT,
         "column v has 0 dimensions; there must be 1");
    SAYS(tq_reader_column(reader, "v", TQ_TYPE_VECTOR, (uint64_t)1 << 40, false), TQ_FORMAT,
         "1099511627776 dimensions");
    while (reader->info.column_count < TQ_COLUMNS_MAX) OK(tq_reader_column(reader, "c", TQ_TYPE_TEXT, 0, false));
    SAYS(tq_reader_column(reader, "c", TQ_TYPE_TEXT, 0, false), TQ_FORMAT, "more than 2000 columns");
    tq_reader_close(reader);
}

/* Memory that cannot be had, at every place in turn, is TQ_NOMEM and leaks nothing (under a sanitizer). */
static void test_no_memory(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    enum tq_status status = TQ_NOMEM;
    long n = 1;
    options.columns = options.vector = "embedding";
    options.format = "npy";
    (void)npy_file("a.npy");
    for (; status == TQ_NOMEM && n < 100; n++) {
        tq_reader *reader = NULL;
        tq_alloc_fail_after(n);
        status = tq_reader_open(path_of("a.npy"), &options, &reader);
        tq_alloc_fail_after(0);
        tq_reader_close(reader);
    }
    OK(status);
    assert_in_range(n, 8, 99);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection),     cmocka_unit_test(test_no_format),
        cmocka_unit_test(test_no_file),       cmocka_unit_test(test_formats),
        cmocka_unit_test(test_options),       cmocka_unit_test(test_options_are_copied),
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_skip),
        cmocka_unit_test(test_failure_stays), cmocka_unit_test(test_columns_that_cannot_be),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_beginnings),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
