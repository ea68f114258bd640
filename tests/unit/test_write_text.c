/* CSV and JSON lines: what is written is read again as it was, and what would not be is refused. */
#include <math.h>

#include "src/base/alloc.h"
#include "tests/unit/rows_text.h"

static const struct tq_column columns[] = {{"id", TQ_TYPE_INTEGER, 0, true},
                                           {"r", TQ_TYPE_REAL, 0, false},
                                           {"t \"q\", x", TQ_TYPE_TEXT, 0, false},
                                           {"v", TQ_TYPE_VECTOR, 3, false}};
enum { COLUMNS = 4 };

static const float vectors[][3] = {
    {1, -0.0f, 0.1f}, {3.4028235e38f, 1e-45f, 16777216}, {-1.17549435e-38f, 1e-5f, 1e6f}};
static const char *const texts[] = {"plain",       "",
                                    "a,b;\tc",     "two\nlines\r\n",
                                    "\"quoted\"",  " left",
                                    "right ",      "gr\xc3\xbcn \xf0\x9f\x98\x80",
                                    "back\\slash", "\x01\x1f\x7f",
                                    "[1,2]",       "NULL",
                                    "'",           "\t"};
static const double reals[] = {0, -0.0, 1, 0.1, 1e300, -5e-324, 1e22, 123456789.125, 1.0 / 3};
enum { ROWS = 40 };

/* Row i of the table that is written. */
static void make_row(int i, struct tq_value *row) {
    const char *text = texts[(size_t)i % (sizeof texts / sizeof *texts)];
    row[0] = (struct tq_value){.type = TQ_TYPE_INTEGER, .integer = i == 3 ? INT64_MIN : i == 4 ? INT64_MAX : i};
    row[1] = (struct tq_value){.type = TQ_TYPE_REAL, .real = i == 5 ? INFINITY : i == 6 ? -INFINITY : reals[i % 9]};
    row[2] = (struct tq_value){.type = TQ_TYPE_TEXT, .size = strlen(text), .text = text};
    row[3] = (struct tq_value){.type = TQ_TYPE_VECTOR, .size = 3, .vector = vectors[i % 3]};
    for (int j = 1; j < COLUMNS; j++)
        if (i % 7 == j) row[j] = (struct tq_value){.type = TQ_TYPE_NULL};
}

static void same_value(const struct tq_value *got, const struct tq_value *wanted) {
    assert_int_equal(got->type, wanted->type);
    switch (wanted->type) {
    case TQ_TYPE_INTEGER: assert_true(got->integer == wanted->integer); break;
    case TQ_TYPE_REAL: assert_memory_equal(&got->real, &wanted->real, sizeof got->real); break;
    case TQ_TYPE_TEXT:
        assert_int_equal(got->size, wanted->size);
        assert_memory_equal(got->text, wanted->text, wanted->size + 1);
        break;
    case TQ_TYPE_VECTOR:
        assert_int_equal(got->size, wanted->size);
        assert_memory_equal(got->vector, wanted->vector, wanted->size * sizeof(float));
        break;
    default: break;
    }
}

static void comes_back(const char *name) {
    struct tq_value wanted[COLUMNS];
    const struct tq_value *row = NULL;
    tq_writer *writer = NULL;
    tq_reader *reader = NULL;
    OK(tq_writer_open(path_of(name), NULL, columns, COLUMNS, &writer));
    for (int i = 0; i < ROWS; i++) {
        make_row(i, wanted);
        OK(tq_writer_put(writer, wanted));
    }
    OK(tq_writer_close(writer));
    enum tq_status status = tq_reader_open(path_of(name), NULL, &reader);
    if (status == TQ_UNSUPPORTED) return;
    OK(status);
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    assert_int_equal(info->column_count, COLUMNS);
    for (size_t j = 0; j < COLUMNS; j++) {
        assert_string_equal(info->columns[j].name, columns[j].name);
        assert_int_equal(info->columns[j].type, columns[j].type);
        assert_int_equal(info->columns[j].dim, columns[j].dim);
        assert_int_equal(info->columns[j].key, columns[j].key);
    }
    for (int i = 0; i < ROWS; i++) {
        make_row(i, wanted);
        OK(tq_reader_next(reader, &row));
        assert_non_null(row);
        for (size_t j = 0; j < COLUMNS; j++) same_value(&row[j], &wanted[j]);
    }
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
}

static void test_round_trips(void **state) {
    (void)state;
    comes_back("t.csv");
    comes_back("t.tsv");
    comes_back("t.jsonl");
}

static const char *contents(const char *name) {
    static char text[4096];
    FILE *file = fopen(path_of(name), "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static const char *write_rows(const char *name) {
    tq_writer *writer = NULL;
    const unsigned char bytes[] = {0, 0xab, 0xff};
    const struct tq_column some[] = {
        {"a", TQ_TYPE_REAL, 0, false}, {"b,", TQ_TYPE_BLOB, 0, false}, {"v", TQ_TYPE_VECTOR, 3, false}};
    const struct tq_value rows[][3] = {
        {{.type = TQ_TYPE_REAL, .real = 1},
         {.type = TQ_TYPE_BLOB, .size = 3, .blob = bytes},
         {.type = TQ_TYPE_VECTOR, .size = 3, .vector = vectors[0]}},
        {{.type = TQ_TYPE_NULL}, {.type = TQ_TYPE_TEXT, .size = 0, .text = ""}, {.type = TQ_TYPE_NULL}}};
    OK(tq_writer_open(path_of(name), NULL, some, 3, &writer));
    OK(tq_writer_put(writer, rows[0]));
    OK(tq_writer_put(writer, rows[1]));
    OK(tq_writer_close(writer));
    return contents(name);
}

static void test_texts(void **state) {
    (void)state;
    assert_string_equal(write_rows("b.csv"), "a,\"b,\",v\n1.0,00abff,\"[1,-0,0.1]\"\n,\"\",\n");
    assert_string_equal(write_rows("b.TSV"), "a\tb,\tv\n1.0\t00abff\t\"[1,-0,0.1]\"\n\t\"\"\t\n");
    assert_string_equal(write_rows("b.jsonl"),
                        "{\"a\":1.0,\"b,\":\"00abff\",\"v\":[1,-0,0.1]}\n{\"a\":null,\"b,\":\"\",\"v\":null}\n");
}

/* An empty line is no row, so the NULL of a table of one column is an empty text there. */
static void test_null_alone(void **state) {
    (void)state;
    tq_writer *writer = NULL;
    const struct tq_column one = {"t", TQ_TYPE_TEXT, 0, false};
    const struct tq_value null = {.type = TQ_TYPE_NULL};
    OK(tq_writer_open(path_of("n.csv"), NULL, &one, 1, &writer));
    OK(tq_writer_put(writer, &null));
    OK(tq_writer_close(writer));
    assert_string_equal(contents("n.csv"), "t\n\"\"\n");
}

/* What is refused leaves no half of its row. */
static void test_refusals(void **state) {
    (void)state;
    static const char *const names[] = {"r.csv", "r.jsonl"};
    const float bad[3] = {1, NAN, 2};
    static const struct {
        struct tq_value value;
        const char *says;
    } cases[] = {
        {{.type = TQ_TYPE_TEXT, .size = 2, .text = "a\xff"}, "column t \"q\", x: byte 1 of the text is not UTF-8"},
        {{.type = TQ_TYPE_TEXT, .size = 3, .text = "a\0b"}, "the text has a zero byte in it"},
        {{.type = TQ_TYPE_REAL, .real = NAN}, "not a number (NaN)"},
        {{.type = TQ_TYPE_VECTOR, .size = 3}, "element 1 is not finite"}};
    for (size_t n = 0; n < 2; n++) {
        tq_writer *writer = NULL;
        struct tq_value row[COLUMNS];
        OK(tq_writer_open(path_of(names[n]), NULL, columns, COLUMNS, &writer));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            make_row(0, row);
            row[2] = cases[i].value;
            if (row[2].type == TQ_TYPE_VECTOR) row[2].vector = bad;
            SAYS(tq_writer_put(writer, row), TQ_MISUSE, cases[i].says);
            assert_non_null(strstr(tq_message(), ", row 0, column"));
        }
        make_row(0, row);
        OK(tq_writer_put(writer, row));
        OK(tq_writer_close(writer));
        const char *text = contents(names[n]);
        size_t lines = 0;
        for (const char *at = text; *at != '\0'; at++) lines += *at == '\n';
        assert_int_equal(lines, n == 0 ? 2 : 1);
        FAILS(tq_writer_open(path_of(names[n]), NULL, columns, 0, &writer), TQ_MISUSE);
    }
}

static void test_no_memory(void **state) {
    (void)state;
    static const char *const names[] = {"m.csv", "m.jsonl"};
    for (size_t i = 0; i < 2; i++) {
        enum tq_status status = TQ_NOMEM;
        long n = 1;
        for (; status == TQ_NOMEM && n < 100; n++) {
            tq_writer *writer = NULL;
            struct tq_value row[COLUMNS];
            tq_alloc_fail_after(n);
            status = tq_writer_open(path_of(names[i]), NULL, columns, COLUMNS, &writer);
            make_row(0, row);
            if (status == TQ_OK) status = tq_writer_put(writer, row);
            if (status == TQ_OK)
                status = tq_writer_close(writer);
            else
                tq_writer_abort(writer);
            tq_alloc_fail_after(0);
        }
        OK(status);
        assert_in_range(n, 8, 99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_texts),     cmocka_unit_test(test_null_alone),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
