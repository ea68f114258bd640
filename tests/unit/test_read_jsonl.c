/* JSON lines: keys become columns, arrays of numbers vectors, and mistakes name their line. */
#include <sqlite3.h>

#include "tests/unit/rows_text.h"

static const char *read_with(const char *text, struct tq_reader_options options) {
    return read_rows(write_text_file("t.jsonl", text), &options);
}

static const char *read_text(const char *text) { return read_with(text, tq_reader_defaults()); }

static void test_columns(void **state) {
    (void)state;
    assert_string_equal(
        read_text("{\"id\":1,\"t\":\"x\",\"e\":[1,2.5,-3e0],\"n\":{\"a\":[1]},\"b\":true,\"z\":null}\n"
                  "\r\n"
                  "  { \"e\" : [4,5,6], \"t\" : \"\\u00e4\\\"\\n\", \"id\":2, \"b\":false, \"z\":1.5}\r\n"
                  "{\"id\":3,\"n\":[]}"),
        "id* t e[3] n b z\n"
        "1|'x'|[1,2.5,-3]|'{\"a\":[1]}'|1|NULL\n"
        "2|'\xc3\xa4\"\n'|[4,5,6]|NULL|0|1.5\n"
        "3|NULL|NULL|'[]'|NULL|NULL\n");
    assert_string_equal(read_text("\xef\xbb\xbf{\"a\":9223372036854775807,\"b\":\"007\"}\n{\"a\":1e999}\n{}\n"),
                        "a b\n9223372036854775807|'007'\ninf|NULL\nNULL|NULL\n");
    tq_reader *reader = NULL;
    OK(tq_reader_open(write_text_file("t.ndjson",
                                      "{\"i\":1,\"r\":1,\"m\":1,\"t\":\"1\",\"n\":null,\"b\":true,\"a\":[\"x\"]}\n"
                                      "{\"i\":2,\"r\":1.5,\"m\":\"x\"}\n"),
                      NULL, &reader));
    const enum tq_type types[] = {TQ_TYPE_INTEGER, TQ_TYPE_REAL,    TQ_TYPE_NULL, TQ_TYPE_TEXT,
                                  TQ_TYPE_NULL,    TQ_TYPE_INTEGER, TQ_TYPE_TEXT};
    for (size_t i = 0; i < 7; i++) assert_int_equal(tq_reader_get_info(reader)->columns[i].type, types[i]);
    tq_reader_close(reader);
}

static void test_vectors(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    const char *text = "{\"box\":[1,2],\"v\":[1,2,3]}\n{\"box\":[3,4],\"v\":[4,5,6]}\n";
    assert_string_equal(read_text(text), "box v[3]\n'[1,2]'|[1,2,3]\n'[3,4]'|[4,5,6]\n"); /* the longest */
    options.vector = "box";
    assert_string_equal(read_with(text, options), "box[2] v\n[1,2]|'[1,2,3]'\n[3,4]|'[4,5,6]'\n");
    options.vector = "";
    assert_string_equal(read_with("{\"v\":[1,2]}\n", options), "v\n'[1,2]'\n");
    options.vector = "w";
    assert_string_equal(read_with(text, options), "TQ_NOT_FOUND: t.jsonl: no column \"w\"; there are box, v\n");
    options.vector = "t";
    assert_string_equal(read_with("{\"t\":\"x\"}\n", options),
                        "TQ_FORMAT: t.jsonl: column t has no array of numbers in the first 1 rows\n");
    options = tq_reader_defaults();
    options.dim = 2;
    assert_string_equal(read_with(text, options), "TQ_FORMAT: t.jsonl: column v has 3 dimensions, not 2\n");
}

static void test_keys(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    assert_string_equal(read_text("{\"n\":1,\"word\":\"a\"}\n{\"n\":1,\"word\":\"b\"}\n"), "n word*\n1|'a'\n1|'b'\n");
    assert_string_equal(read_text("{\"id\":1}\n{\"id\":1}\n"), "id\n1\n1\n");
    assert_string_equal(read_text("{\"id\":1}\n{\"n\":1}\n"), "id n\n1|NULL\nNULL|1\n");
    options.key = "n";
    assert_string_equal(read_with("{\"id\":1,\"n\":2}\n", options), "id n*\n1|2\n");
}

/* Keys that the sample lacks: refused, left out, or taken, as `columns` says. */
static void test_late_keys(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    const char *path = path_of("late.jsonl");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) (void)fprintf(file, "{\"id\":%d}\n", i);
    (void)fputs("{\"id\":1000,\"late\":7}\n", file);
    assert_int_equal(fclose(file), 0);
    OK(tq_reader_open(path, &options, &reader));
    OK(tq_reader_skip(reader, 1000));
    SAYS(tq_reader_next(reader, &row), TQ_MISUSE,
         "late.jsonl, line 1001: key \"late\" is in none of the first 1000 rows: name the columns that are wanted");
    tq_reader_close(reader);
    options.columns = "id, late ";
    OK(tq_reader_open(path, &options, &reader));
    OK(tq_reader_skip(reader, 1000));
    OK(tq_reader_next(reader, &row));
    assert_int_equal(row[1].integer, 7);
    tq_reader_close(reader);
    options.columns = "id";
    OK(tq_reader_open(path, &options, &reader));
    OK(tq_reader_skip(reader, 1000));
    OK(tq_reader_next(reader, &row));
    assert_int_equal(row[0].integer, 1000);
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    tq_reader_close(reader);
    options.columns = "id,never"; /* whether it is a mistake is known at the end */
    assert_string_equal(read_with("{\"id\":1}\n", options),
                        "id* never\n1|NULL\nTQ_FORMAT: t.jsonl: no row has the column never\n");
}

static void test_bad_rows(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    options.vector = "e"; /* most of them are wrong */
    const char *got = read_with("{\"id\":1,\"e\":[1,2]}\n"
                                "{\"id\":2,\"e\":[1,2,3]}\n"
                                "{\"id\":3,\"e\":[1,\"x\"]}\n"
                                "{\"id\":4,\"e\":5}\n"
                                "{\"id\":5,\"e\":[1,1e99]}\n"
                                "[6]\n"
                                "{\"id\":7,\"id\":8}\n"
                                "{\"id\":9,\"t\":\"\\u0000\"}\n"
                                "{\"id\":10,\"t\":\"\\\\u0000\"}\n"
                                "{\"id\":11,\"t\":\"\xff\"}\n"
                                "word\n"
                                "{\"id\":12,\"e\":[3,4]}\n",
                                options);
    assert_string_equal(got,
                        "id e[2] t\n"
                        "1|[1,2]|NULL\n"
                        "bad: t.jsonl, line 2, column e: 3 dimensions; there must be 2\n"
                        "bad: t.jsonl, line 3, column e: JSON has '\"x\"]' at character 4 where a number is expected\n"
                        "bad: t.jsonl, line 4, column e: JSON has '5' at character 1 where '[' is expected\n"
                        "bad: t.jsonl, line 5, column e: JSON: element 1 is beyond the range of float32\n"
                        "bad: t.jsonl, line 6: not a JSON object\n"
                        "bad: t.jsonl, line 7, column id: the line has this key twice\n"
                        "bad: t.jsonl, line 8: a text with a zero character in it\n"
                        "10|NULL|'\\u0000'\n"
                        "bad: t.jsonl, line 10, column 15: byte 0xff is not UTF-8\n"
                        "bad: t.jsonl, line 11: not a JSON object\n"
                        "12|[3,4]|NULL\n");
}

/* SQLite tells the place since 3.42. */
static void test_malformed(void **state) {
    (void)state;
    const char *got = read_text("{\"a\":1}\n{\"a\":}\n{\"a\":2\n{\"a\":3}\n");
    bool placed = sqlite3_libversion_number() >= 3042000;
    assert_non_null(strstr(got, "bad: t.jsonl, line 2: malformed JSON"));
    assert_non_null(strstr(got, "bad: t.jsonl, line 3: malformed JSON"));
    assert_non_null(strstr(got, "\n3\n"));
    if (placed) assert_non_null(strstr(got, "line 2: malformed JSON at character "));
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "TQ_FORMAT: t.jsonl: the file is empty\n"},
        {"\n\n", "TQ_FORMAT: t.jsonl: no row has a key: nothing tells the columns\n"},
        {"{}\n", "TQ_FORMAT: t.jsonl: no row has a key: nothing tells the columns\n"},
        {"[{\"a\":1}]\n",
         "TQ_FORMAT: t.jsonl: one JSON array; JSON lines has an object on each line: jq -c '.[]' makes them\n"},
        {"{\n\"a\":1}\n", "TQ_FORMAT: t.jsonl, line 1: malformed JSON"},
        {"a,b\n", "TQ_FORMAT: t.jsonl, line 1: not a JSON object; each line must be a JSON object\n"},
        {"{\"a\"\1\2\3", "TQ_FORMAT: t.jsonl: binary, not JSON lines\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strncmp(read_text(cases[i].text), cases[i].says, strlen(cases[i].says)) != 0)
            assert_string_equal(rows_text, cases[i].says);
}

static void test_recognition(void **state) {
    (void)state;
    tq_reader *reader = NULL;
    OK(tq_reader_open(write_text_file("log", "  {\"a\":1}\n"), NULL, &reader));
    assert_string_equal(tq_reader_get_info(reader)->format, "jsonl");
    tq_reader_close(reader);
    FAILS(tq_reader_open(write_text_file("code", "{ int a; }\n"), NULL, &reader), TQ_FORMAT);
}

static void test_no_memory(void **state) {
    (void)state;
    read_without_memory(
        write_text_file("t.jsonl", "{\"id\":1,\"v\":[1,2],\"t\":\"x\"}\n{\"id\":2,\"v\":[3,4],\"t\":\"y\"}\n"), NULL,
        15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),   cmocka_unit_test(test_vectors),     cmocka_unit_test(test_keys),
        cmocka_unit_test(test_late_keys), cmocka_unit_test(test_bad_rows),    cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_recognition), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
