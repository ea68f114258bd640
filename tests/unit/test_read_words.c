/* Words with vectors, as GloVe, word2vec and fastText write them; and the lines that all readers of text go by. */
#include "src/io/lines.h"
#include "tests/unit/rows_text.h"

static const char *read_text(const char *text) { return read_rows(write_text_file("w.txt", text), NULL); }

static const char *read_format(const char *text, size_t size) {
    struct tq_reader_options options = tq_reader_defaults();
    options.format = "words";
    return read_rows(write_file("w.what", text, size), &options);
}

/* ---- Shapes of files ---- */

static void test_with_and_without_header(void **state) {
    (void)state;
    assert_string_equal(read_text("the 1 -2.5 3e-1\nof 4 5 6\n"),
                        "word* embedding[3]\n'the'|[1,-2.5,0.3]\n'of'|[4,5,6]\n");
    assert_string_equal(read_text("2 3\nthe 1 2 3 \nof 4 5 6 \n"), "word* embedding[3]\n'the'|[1,2,3]\n'of'|[4,5,6]\n");
    assert_string_equal(read_text("2 3\r\nthe\t1\t2  3\r\nof 4 5 6"),
                        "word* embedding[3]\n'the'|[1,2,3]\n'of'|[4,5,6]\n");
    assert_string_equal(read_text("\xef\xbb\xbfgr\xc3\xbcn 1 2\n\n\n"), "word* embedding[2]\n'gr\xc3\xbcn'|[1,2]\n");
    /* Two numbers in the first line are a header only if the others do not look the same. */
    assert_string_equal(read_text("12 5\n13 6\n14 7\n"), "word* embedding[1]\n'12'|[5]\n'13'|[6]\n'14'|[7]\n");
    assert_string_equal(read_text("1 1\na 5\n"), "word* embedding[1]\n'a'|[5]\n");
    assert_string_equal(read_text("0 300\n"), "word* embedding[300]\n");
}

static void test_info(void **state) {
    (void)state;
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    OK(tq_reader_open(write_text_file("w.vec", "3 2\na 1 2\nb 3 4\nc 5 6\n"), NULL, &reader));
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    assert_string_equal(info->format, "words");
    assert_int_equal(info->rows, 3);
    assert_int_equal(info->vector, 1);
    assert_int_equal(info->columns[0].type, TQ_TYPE_TEXT);
    OK(tq_reader_skip(reader, 1));
    OK(tq_reader_next(reader, &row));
    assert_string_equal(row[0].text, "b");
    assert_int_equal(row[0].size, 1);
    assert_non_null(strstr(tq_reader_place(reader), "w.vec, line 3"));
    assert_true(tq_reader_progress(reader) > 0.5 && tq_reader_progress(reader) < 1);
    OK(tq_reader_skip(reader, 7));
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    assert_true(tq_reader_progress(reader) == 1);
    tq_reader_close(reader);
}

static void test_words_with_blanks(void **state) {
    (void)state;
    assert_string_equal(
        read_text("a 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n b 1 1 1\n"),
        "word* embedding[3]\n'a'|[1,2,3]\n'. . .'|[4,5,6]\n'at name@domain.com'|[7,8,9]\n'b'|[1,1,1]\n");
    assert_string_equal(read_text(". . 4 5 6\na 1 2 3\nb 1 2 3\n"),
                        "word* embedding[3]\n'. .'|[4,5,6]\n'a'|[1,2,3]\n'b'|[1,2,3]\n");
}

static void test_columns(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    options.columns = "embedding";
    const char *path = write_text_file("w.txt", "a 1 2 3\n");
    assert_string_equal(read_rows(path, &options), "embedding[3]\n[1,2,3]\n");
    options.columns = "word";
    options.key = "";
    assert_string_equal(read_rows(path, &options), "word\n'a'\n");
    options = tq_reader_defaults();
    options.dim = 4;
    assert_string_equal(read_rows(path, &options), "TQ_FORMAT: w.txt: column embedding has 3 dimensions, not 4\n");
}

/* ---- Mistakes ---- */

static void test_bad_rows(void **state) {
    (void)state;
    assert_string_equal(read_text("a 1 2 3\n"
                                  "b\xc3\xa4 1 x3 2\n"
                                  "c 1 2\n"
                                  "d 1 2 3 4\n"
                                  "e 1 nan 3\n"
                                  "f 1 1e39 3\n"
                                  " 1 2 3\n"
                                  "\xff\xfe 1 2 3\n"
                                  "g 1 2 3x\n"
                                  "h 1 inf 3\n"
                                  "i 4 5 6\n"
                                  "j 1 2 3\rk 1 2 3\n"),
                        "word* embedding[3]\n"
                        "'a'|[1,2,3]\n"
                        "bad: w.txt, line 2, column 6: \"x3\" is no number\n"
                        "bad: w.txt, line 3, column 6: 2 numbers behind the word; there must be 3\n"
                        "bad: w.txt, line 4, column 10: 4 numbers behind the word; there must be 3\n"
                        "bad: w.txt, line 5, column 5: \"nan\" is no number\n"
                        "bad: w.txt, line 6, column 5: \"1e39\" is beyond the range of float32\n"
                        "bad: w.txt, line 7, column 1: the word is empty\n"
                        "bad: w.txt, line 8, column 1: byte 0xff is not UTF-8\n"
                        "bad: w.txt, line 9, column 7: \"3x\" is no number\n"
                        "bad: w.txt, line 10, column 5: \"inf\" is no number\n"
                        "'i'|[4,5,6]\n"
                        "bad: w.txt, line 12, column 8: a carriage return in the middle: lines must end with a"
                        " newline\n");
}

/* Text from a file is quoted so that a terminal and a log can bear it. */
static void test_quotes(void **state) {
    (void)state;
    assert_string_equal(tq_quote("ab\x1b[31m\n\xff\xc3\xbc", 11).text, "\"ab?[31m??\xc3\xbc\"");
    assert_string_equal(tq_quote("0123456789012345678901234567890123456789", 40).text,
                        "\"01234567890123456789012345678901...\"");
    assert_string_equal(tq_quote("", 0).text, "\"\"");
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "TQ_FORMAT: w.txt: the file is empty\n"},
        {"once upon a time\nthere was\n",
         "TQ_FORMAT: w.txt: none of the first 2 lines is a word with numbers behind it\n"},
        {"9 3\na 1 2 3\n",
         "TQ_FORMAT: w.txt: the header says 9 rows of 3 numbers, the file has 12 bytes: it is cut off?\n"},
        {"99999999999999999 100\na 1 2\n",
         "TQ_FORMAT: w.txt: the header says 99999999999999999 rows of 100 numbers, the"
         " file has 28 bytes: it is cut off?\n"},
        {"4 1\na 0.000000\nb 0.000001\n",
         "word* embedding[1]\n'a'|[0]\n'b'|[1e-06]\nTQ_FORMAT: w.txt: the header says 4"
         " rows, the file has 2: it is cut off?\n"},
        {"1 1\na 1\nb 2\nc 3\n",
         "word* embedding[1]\n'a'|[1]\nTQ_FORMAT: w.txt, line 3: the header says 1 rows, the file has more\n"},
        {"1 0\na\n", "TQ_FORMAT: w.txt: column embedding has 0 dimensions; there must be 1 to 65536\n"},
        {"1 65537\na 1 2\n", "TQ_FORMAT: w.txt: column embedding has 65537 dimensions; there must be 1 to 65536\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(read_text(cases[i].text), cases[i].says);
    assert_string_equal(read_text("\xff\xfe"
                                  "a 1"),
                        "TQ_FORMAT: w.txt: UTF-16; save it as UTF-8\n");
    assert_string_equal(read_text("\xfe\xff"
                                  "a 1"),
                        "TQ_FORMAT: w.txt: UTF-16; save it as UTF-8\n");
    assert_string_equal(read_text("\x1f\x8b\x08"), "TQ_FORMAT: w.txt: compressed; gunzip it first\n");
    assert_string_equal(read_text("PK\3\4"), "TQ_FORMAT: w.txt: a zip file; unzip it first\n");
    static const char binary[] = "\x16\xba\x4f\x2f\0\0\0\0";
    assert_string_equal(read_format(binary, sizeof binary),
                        "TQ_FORMAT: w.what: binary, not a text of words and numbers\n");
}

/* ---- Lines ---- */

static void test_long_lines(void **state) {
    (void)state;
    const size_t most = TQ_LINE_MAX, size = 2 * most + 21; /* that of the blank line just fits */
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, "a 1 2\nb", 7);
    memcpy(text + most + 7, "\nc 3 4\n", 7); /* one byte too long */
    memcpy(text + size - 7, "\nd 5 6\n", 7);
    memset(text + most + 14, ' ', size - most - 21);
    text[size] = '\0';
    assert_string_equal(read_rows(write_file("w.txt", text, size), NULL),
                        "word* embedding[2]\n'a'|[1,2]\nbad: w.txt, line 2: longer than 4194304 bytes\n'c'|[3,4]\n"
                        "'d'|[5,6]\n");
    free(text);
}

/* Blocks end anywhere in a line; going back finds the same. */
static void test_blocks(void **state) {
    (void)state;
    enum { LINES = 60000 };
    struct tq_lines lines;
    const char *path = path_of("many"), *text = NULL;
    size_t size = 0;
    uint64_t half = 0;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < LINES; i++) (void)fprintf(file, "%d %0*d\n", i, i % 40 + 1, 0);
    assert_int_equal(fclose(file), 0);
    OK(tq_lines_open(&lines, path));
    for (int round = 0; round < 2; round++) {
        for (int i = round == 0 ? 0 : LINES / 2; i < LINES; i++) {
            if (i == LINES / 2 && round == 0) half = tq_lines_offset(&lines);
            OK(tq_lines_next(&lines, &text, &size));
            assert_non_null(text);
            assert_int_equal(strtol(text, NULL, 10), i);
            assert_int_equal(text[size], '\n');
            assert_int_equal(lines.line, i + 1);
            if (i != LINES / 3) continue;
            tq_lines_seek(&lines, tq_lines_offset(&lines) - size - 1, (uint64_t)i); /* a short way back */
            OK(tq_lines_next(&lines, &text, &size));
            assert_int_equal(strtol(text, NULL, 10), i);
        }
        OK(tq_lines_next(&lines, &text, &size));
        assert_null(text);
        tq_lines_seek(&lines, half, LINES / 2);
    }
    tq_lines_close(&lines);
}

/* ---- word2vec's binary files ---- */

/* Else the rest would be the end of a shorter file, and nobody would know. */
static void test_cut_off_while_read(void **state) {
    (void)state;
    enum { LINES = 200000, LINE_BYTES = 6 };
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    char *text = malloc(LINES * LINE_BYTES);
    assert_non_null(text);
    for (size_t i = 0; i < LINES; i++) memcpy(text + i * LINE_BYTES, "a 1 2\n", LINE_BYTES);
    OK(tq_reader_open(write_file("w.txt", text, LINES * LINE_BYTES), NULL, &reader));
    free(text);
    OK(tq_reader_next(reader, &row));
    assert_int_equal(truncate(path_of("w.txt"), 600000), 0);
    enum tq_status status = TQ_OK;
    while (status == TQ_OK && row != NULL) status = tq_reader_next(reader, &row);
    SAYS(status, TQ_FORMAT, "w.txt: 1200000 bytes when it was opened, cut off at byte ");
    tq_reader_close(reader);
}

static size_t make_binary(char *bytes, const char *header, int rows, bool newlines) {
    size_t size = strlen(header);
    memcpy(bytes, header, size);
    for (int i = 0; i < rows; i++) {
        const float vector[3] = {(float)i, 0.5f, -1};
        size += (size_t)snprintf(bytes + size, 16, "w%d ", i);
        memcpy(bytes + size, vector, sizeof vector);
        size += sizeof vector;
        if (newlines) bytes[size++] = '\n';
    }
    return size;
}

static void test_binary(void **state) {
    (void)state;
    char bytes[256];
    const char *rows = "word* embedding[3]\n'w0'|[0,0.5,-1]\n'w1'|[1,0.5,-1]\n";
    assert_string_equal(read_format(bytes, make_binary(bytes, "2 3\n", 2, true)), rows);
    assert_string_equal(read_rows(write_file("w.bin", bytes, make_binary(bytes, "2 3\n", 2, false)), NULL), rows);
    size_t size = make_binary(bytes, "3 3\n", 3, true);
    assert_string_equal(
        read_format(bytes, size - 3),
        "word* embedding[3]\n'w0'|[0,0.5,-1]\n'w1'|[1,0.5,-1]\nTQ_FORMAT: w.what: the header says 3 rows,"
        " the file ends in row 2: it is cut off?\n");
    assert_string_equal(
        read_format(bytes, make_binary(bytes, "9 3\n", 2, true)),
        "TQ_FORMAT: w.what: the header says 9 rows of 3 numbers, the file has 36 bytes: it is cut off?\n");
    size = make_binary(bytes, "2 3\n", 2, false);
    bytes[4] = '\xff';
    assert_string_equal(read_format(bytes, size),
                        "word* embedding[3]\nbad: w.what, row 0: the word is not UTF-8\n'w1'|[1,0.5,-1]\n");
    char unended[8192] = "1 2\n";
    memset(unended + 5, 'x', sizeof unended - 5);
    assert_string_equal(
        read_format(unended, sizeof unended),
        "word* embedding[2]\nTQ_FORMAT: w.what, row 0: no blank in the first 4096 bytes: not a binary file"
        " of word2vec\n");
}

/* ---- Which files are such ---- */

static void test_recognition(void **state) {
    (void)state;
    tq_reader *reader = NULL;
    OK(tq_reader_open(write_text_file("glove", "the 0.1 0.2\nof 1 2\n"), NULL, &reader));
    assert_string_equal(tq_reader_get_info(reader)->format, "words");
    tq_reader_close(reader);
    FAILS(tq_reader_open(write_text_file("notes", "the word is 1\n"), NULL, &reader), TQ_FORMAT);
    FAILS(tq_reader_open(write_text_file("numbers", "1 2 3\n4 5 6\n"), NULL, &reader), TQ_FORMAT);
    FAILS(tq_reader_open(write_text_file("list", "a,1,2,3\n"), NULL, &reader), TQ_FORMAT);
    SAYS(tq_reader_open(write_text_file("notes.txt", "some words\n"), NULL, &reader), TQ_FORMAT,
         "none of the first 1 lines");
}

static void test_no_memory(void **state) {
    (void)state;
    read_without_memory(write_text_file("w.txt", "2 3\na 1 2 3\n. . 4 5 6\n"), NULL, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_and_without_header),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_words_with_blanks),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_cut_off_while_read),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_recognition),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
