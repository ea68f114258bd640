/* CSV and TSV: which columns and vectors there are, what cells become, and where mistakes are. */
#include "tests/unit/rows_text.h"

static bool can_read;

static int find_out(void **state) {
    const char *name = NULL;
    unsigned flags = 0;
    for (size_t i = 0; (name = tq_format_name(i, &flags, NULL)) != NULL; i++)
        if (strcmp(name, "csv") == 0) can_read = (flags & TQ_CAN_READ) != 0;
    return make_folder(state);
}

/* options: what differs from the defaults. */
static void reads_as(const char *name, const char *text, struct tq_reader_options options, const char *expected) {
    if (!can_read) skip();
    assert_string_equal(read_rows(write_text_file(name, text), &options), expected);
}

static void reads(const char *text, const char *expected) { reads_as("t.csv", text, tq_reader_defaults(), expected); }

static void reads_vector(const char *vector, const char *text, const char *expected) {
    struct tq_reader_options options = tq_reader_defaults();
    options.vector = vector;
    reads_as("t.csv", text, options, expected);
}

/* ---- Vectors ---- */

static void test_vector_in_a_cell(void **state) {
    (void)state;
    const char *rows = "id* v[3] note\n1|[1,2.5,-3]|'x'\n2|[4,5,6]|'y'\n";
    reads("id,v,note\n1,\"[1, 2.5,-3]\",x\n2,\"[4,5,6]\",y\n", rows);
    reads("id,v,note\r\n1,[1 2.5 -3],x\r\n2,\"[4\n 5 6 ]\",y\r\n", rows);
    reads("id,v,note\n1,{1;2.5;-3},x\n2,(4;5;6),y", rows);
    reads_vector("v", "id,v,note\n1,1 2.5 -3,x\n2,4;5;6,y\n", rows);
    reads("v\n1 2 3 4\n5 6 7 8\n", "v[4]\n[1,2,3,4]\n[5,6,7,8]\n");
    reads("at,v\n2020 1,[1]\n2020 2,[2]\n", "at v[1]\n'2020 1'|[1]\n'2020 2'|[2]\n"); /* two numbers may be a date */
    reads("box,v\n[1 2],[1 2 3]\n[3 4],[4 5 6]\n", "box v[3]\n'[1 2]'|[1,2,3]\n'[3 4]'|[4,5,6]\n"); /* the longest */
    reads("v,box\n[1 2 3],[1 2]\n", "v[3] box\n[1,2,3]|'[1 2]'\n");
    reads_vector("box", "box,v\n[1 2],[1 2 3]\n", "box[2] v\n[1,2]|'[1 2 3]'\n");
    reads_vector("", "id,v\n1,[1 2 3]\n", "id* v\n1|'[1 2 3]'\n");
}

static void test_vector_in_columns(void **state) {
    (void)state;
    reads("id,v0,v1,v2,v3,n\n7,1,2,3,4,5\n8,5,6,7,8,9\n", "id* embedding[4] n\n7|[1,2,3,4]|5\n8|[5,6,7,8]|9\n");
    reads("word,d_1,d_2,d_3,d_4\nx,1,2,3,4\n", "word* embedding[4]\n'x'|[1,2,3,4]\n");
    reads("x,1,2,3,4\ny,5,6,7,8\n", "c1 embedding[4]\n'x'|[1,2,3,4]\n'y'|[5,6,7,8]\n");
    reads(",0,1,2,3\nx,1,2,3,4\n", "c1 embedding[4]\n'x'|[1,2,3,4]\n"); /* as pandas writes it */
    reads("a,b,c,d\n1,2,3,4\n", "a b c d\n1|2|3|4\n");
    reads("v0,v1,v2\n1,2,3\n", "v0 v1 v2\n1|2|3\n");
    reads("embedding,v0,v1,v2,v3\nx,1,2,3,4\n", "embedding vector[4]\n'x'|[1,2,3,4]\n");
    reads_vector("b..d", "a,b,c,d,e\n1,2,3,4,5\n", "a embedding[3] e\n1|[2,3,4]|5\n");
    reads_vector("a..a", "a,b\n1,2\n", "embedding[1] b\n[1]|2\n");
    reads_vector("c2..c3", "1,2,3\n4,5,6\n", "c1 embedding[2]\n1|[2,3]\n4|[5,6]\n");
    /* Without rows the names tell. */
    reads("id,v0,v1,v2,v3\n", "id* embedding[4]\n");
    /* One wrong cell does not hide the column. */
    reads("v0,v1,v2,v3\n1,2,3,4\n1,x,3,4\n1,2,3,5\n",
          "embedding[4]\n[1,2,3,4]\nbad: t.csv, line 3, column v1: \"x\" is no number\n[1,2,3,5]\n");
}

static void test_vector_that_is_not_there(void **state) {
    (void)state;
    reads_vector("w", "id,v\n1,[1 2]\n", "TQ_NOT_FOUND: t.csv: no column \"w\"; there are id, v\n");
    reads_vector("id..w", "id,v\n1,[1 2]\n", "TQ_NOT_FOUND: t.csv: no column \"w\"; there are id, v\n");
    reads_vector("w..v", "id,v\n1,[1 2]\n", "TQ_NOT_FOUND: t.csv: no column \"w\"; there are id, v\n");
    reads_vector("v..id", "id,v\n1,2\n", "TQ_MISUSE: t.csv: v..id: the last column stands before the first\n");
    reads_vector("v", "id,v\n1,abc\n", "TQ_FORMAT: t.csv: column v has no vector in the first 1 rows\n");
    struct tq_reader_options options = tq_reader_defaults();
    options.dim = 2;
    reads_as("t.csv", "id,v\n1,[1 2 3]\n", options, "TQ_FORMAT: t.csv: column v has 3 dimensions, not 2\n");
}

/* ---- Cells ---- */

static void test_types(void **state) {
    (void)state;
    reads("i,r,t,zip,phone,long\n1,1.5,x,007,+491,12345678901234567890\n-2,2,3,008,+492,1\n",
          "i r t zip phone long\n1|1.5|'x'|'007'|'+491'|'12345678901234567890'\n-2|2|'3'|'008'|'+492'|'1'\n");
    reads("i,r,t\n,,\n1,1e3,\"\"\n\"\",\"\",\" x \"\n", "i r t\nNULL|NULL|NULL\n1|1000|''\nNULL|NULL|' x '\n");
    if (!can_read) skip();
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    OK(tq_reader_open(write_text_file("t.csv", "i,r,t,n\n1,1.5,x,\n9223372036854775807,2,y,\n"), NULL, &reader));
    const enum tq_type types[] = {TQ_TYPE_INTEGER, TQ_TYPE_REAL, TQ_TYPE_TEXT, TQ_TYPE_NULL};
    for (size_t i = 0; i < 4; i++) assert_int_equal(tq_reader_get_info(reader)->columns[i].type, types[i]);
    assert_int_equal(tq_reader_get_info(reader)->vector, 4);
    OK(tq_reader_next(reader, &row));
    OK(tq_reader_next(reader, &row));
    assert_true(row[0].integer == INT64_MAX);
    assert_int_equal(row[1].type, TQ_TYPE_REAL);
    tq_reader_close(reader);
}

/* What comes behind the sample keeps its own type. */
static void test_later_cells(void **state) {
    (void)state;
    enum { ROOM = 65536 };
    static char text[ROOM], expected[ROOM];
    int used = snprintf(text, ROOM, "i,e\n"), wanted = snprintf(expected, ROOM, "i e\n");
    for (int i = 0; i < 1000; i++) {
        used += snprintf(text + used, (size_t)(ROOM - used), "%d,\n", i);
        wanted += snprintf(expected + wanted, (size_t)(ROOM - wanted), "%d|NULL\n", i);
    }
    (void)snprintf(text + used, (size_t)(ROOM - used), "1.5,4\nx,y\n007,\n");
    (void)snprintf(expected + wanted, (size_t)(ROOM - wanted), "1.5|4\n'x'|'y'\n'007'|NULL\n");
    reads(text, expected);
}

static void test_quotes(void **state) {
    (void)state;
    reads("id,t\n1,\"a \"\"b\"\", c\"\n2,\"two\nlines, \r\nthree\"\n3,last",
          "id* t\n1|'a \"b\", c'\n2|'two\nlines, \r\nthree'\n3|'last'\n");
    reads("\xef\xbb\xbfid,t\n\n1, x \n  \n2,\t\"y\" \n", "id* t\n1|'x'\n2|'y'\n");
}

static void test_header(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    options.header = 0;
    reads_as("t.csv", "a,b\nc,d\n", options, "c1 c2\n'a'|'b'\n'c'|'d'\n");
    options.header = 1;
    reads_as("t.csv", "1,2\n3,4\n", options, "1 2\n3|4\n");
    reads("a,2\nc,4\n", "c1 c2\n'a'|2\n'c'|4\n");
    reads("a,\nc,4\n", "a c2\n'c'|4\n");
    reads("a,b,a\n1,2,3\n", "TQ_FORMAT: t.csv: two columns have the name \"a\"\n");
    reads("id,ID\n1,2\n", "TQ_FORMAT: t.csv: two columns have the name \"id\"\n");
    reads("a\xff,b\nx,y\n", "TQ_FORMAT: t.csv: the name of column 1 is not UTF-8\n");
}

static void test_separators(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    const char *rows = "id* v[2] t\n1|[1,2]|'x,y'\n";
    reads("id;v;t\n1;[1,2];\"x,y\"\n", rows);
    reads("id\tv\tt\n1\t[1,2]\tx,y\n", rows);
    reads_as("t.tsv", "id\tv\tt\n1\t[1,2]\tx,y\n", options, rows);
    options.separator = '|';
    reads_as("t.csv", "id|v|t\n1|[1,2]|x,y\n", options, rows);
    options.separator = '"';
    reads_as("t.csv", "id\n", options, "TQ_MISUSE: t.csv: quotes and ends of lines cannot separate cells\n");
}

static void test_keys(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    reads("n,Key\n1,a\n1,b\n", "n Key*\n1|'a'\n1|'b'\n");
    reads("word,n\na,1\na,2\n", "word n\n'a'|1\n'a'|2\n");
    reads("id,n\n1,1\n,2\n", "id n\n1|1\nNULL|2\n");
    options.key = "n";
    reads_as("t.csv", "id,n\n1,1\n", options, "id n*\n1|1\n");
    options.key = "";
    reads_as("t.csv", "id,n\n1,1\n", options, "id n\n1|1\n");
    options = tq_reader_defaults();
    options.columns = "v,n";
    reads_as("t.csv", "id,n,v\n1,1,[1 2]\n", options, "n v[2]\n1|[1,2]\n");
}

/* ---- Mistakes ---- */

static void test_bad_rows(void **state) {
    (void)state;
    reads_vector(
        "v",
        "id,t,v\n"
        "1,\"two\nlines\",[1 2]\n"
        "2,x\n"
        "3,x,[1 2],4\n"
        "4,x,[1 2 3]\n"
        "5,x,[1 b]\n"
        "6,x,[1 1e99]\n"
        "7,x,[1 2\n"
        "8,a\xff,[1 2]\n"
        "9,a\"b\",[1 2]\n"
        "10,\"a\"b,[1 2]\n"
        "11,a\rb,[1 2]\n"
        "12,y,\n"
        "13,z,\"[1 2,]\"\n"
        "14,z,\"[1,,2]\"\n"
        "15,\"never closed,[3 4]\n"
        "16,good,[5 6]\n",
        "id* t v[2]\n"
        "1|'two\nlines'|[1,2]\n"
        "bad: t.csv, line 4: 2 cells; there must be 3\n"
        "bad: t.csv, line 5: 4 cells; there must be 3\n"
        "bad: t.csv, line 6, column v: 3 dimensions; there must be 2\n"
        "bad: t.csv, line 7, column v: element 1 is \"b\", which is no number\n"
        "bad: t.csv, line 8, column v: element 1 is \"1e99\", beyond the range of float32\n"
        "bad: t.csv, line 9, column v: the vector does not end with ']'\n"
        "bad: t.csv, line 10, column t: byte 0xff is not UTF-8\n"
        "bad: t.csv, line 11, column 4: a quote within a cell: cells that have quotes stand in quotes, and theirs are"
        " doubled\n"
        "bad: t.csv, line 12, column 7: a quote within a cell: cells that have quotes stand in quotes, and theirs are"
        " doubled\n"
        "bad: t.csv, line 13: a carriage return in the middle: lines must end with a newline\n"
        "12|'y'|NULL\n"
        "bad: t.csv, line 15, column v: the vector ends where element 2 is expected\n"
        "bad: t.csv, line 16, column v: element 1 is \"\", which is no number\n"
        "bad: t.csv, line 17: a quote that is opened here is not closed\n"
        "16|'good'|[5,6]\n");
    reads("id,v0,v1,v2,v3\n1,1,2,3,4\n2,1,,3,4\n3,,,,\n4,1,2,1e39,4\n",
          "id* embedding[4]\n1|[1,2,3,4]\nbad: t.csv, line 3, column v1: the cell is empty\n3|NULL\n"
          "bad: t.csv, line 5, column v2: \"1e39\" is beyond the range of float32\n");
}

/* A quote that is never closed costs its line, however long the file is. */
static void test_unclosed_in_a_long_file(void **state) {
    (void)state;
    if (!can_read) skip();
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    const char *path = path_of("long.csv");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fputs("id,t\n1,\"open\n", file);
    for (int i = 2; i < 500000; i++) (void)fprintf(file, "%d,text%d\n", i, i);
    (void)fputs("500000,\"quoted\"\n", file); /* beyond the longest row */
    assert_int_equal(fclose(file), 0);
    OK(tq_reader_open(path, &options, &reader));
    SAYS(tq_reader_next(reader, &row), TQ_MISUSE, "long.csv, line 2: a quote that is opened here is not closed");
    for (int i = 2; i <= 500000; i++) {
        OK(tq_reader_next(reader, &row));
        assert_int_equal(row[0].integer, i);
    }
    assert_non_null(strstr(tq_reader_place(reader), "long.csv, line 500001"));
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
}

static void test_bad_files(void **state) {
    (void)state;
    reads("", "TQ_FORMAT: t.csv: the file is empty\n");
    reads("\n \n", "TQ_FORMAT: t.csv: the file has blank lines only\n");
    reads("a,\"b\n", "TQ_FORMAT: t.csv, line 1: a quote that is opened here is not closed\n");
    if (!can_read) skip();
    assert_string_equal(read_rows(write_file("t.csv", "a,b\n\0\1\2", 7), NULL), "TQ_FORMAT: t.csv: binary, not CSV\n");
}

/* A column called id is looked at as a key, which takes 8 kB: not before the names are known to differ. */
static void test_many_of_one_name(void **state) {
    enum { COLUMNS = 300 };
    char text[3 * COLUMNS + 1];
    tq_reader *reader = NULL;
    (void)state;
    if (!can_read) skip();
    for (size_t i = 0; i < COLUMNS; i++) memcpy(text + 3 * i, "id,", 3);
    memcpy(text + 3 * COLUMNS - 1, "\n", 2);
    (void)write_text_file("ids.csv", text);
    tq_alloc_fail_after(COLUMNS + COLUMNS / 2);
    enum tq_status status = tq_reader_open(path_of("ids.csv"), NULL, &reader);
    tq_alloc_fail_after(0);
    SAYS(status, TQ_FORMAT, "ids.csv: two columns have the name \"id\"");
}

static void test_without_libcsv(void **state) {
    (void)state;
    if (can_read) skip();
    assert_string_equal(read_rows(write_text_file("t.csv", "a,b\n"), NULL),
                        "TQ_UNSUPPORTED: t.csv: this build cannot read csv: it was made without libcsv\n");
}

static void test_no_memory(void **state) {
    (void)state;
    if (!can_read) skip();
    read_without_memory(write_text_file("t.csv", "id,v,t,n0,n1,n2,n3\n1,[1 2],x,1,2,3,4\n2,[3 4],y,5,6,7,8\n"), NULL,
                        25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_in_a_cell),
        cmocka_unit_test(test_vector_in_columns),
        cmocka_unit_test(test_vector_that_is_not_there),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_later_cells),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_separators),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_unclosed_in_a_long_file),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_many_of_one_name),
        cmocka_unit_test(test_without_libcsv),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, find_out, remove_folder);
}
