/* Writers of files: what they write is read again, and the file that was there stays until the new one is whole. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/file_util.h"

enum { DIM = 5 };

static const struct tq_column vectors[] = {{"embedding", TQ_TYPE_VECTOR, DIM, false}};
static const struct tq_column with_word[] = {{"embedding", TQ_TYPE_VECTOR, DIM, false},
                                             {"word", TQ_TYPE_TEXT, 0, true}};

static int remove_files(void **state) {
    (void)state;
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%.250s'/*", folder);
    return system(command);
}

static struct tq_value vector_of(int row) {
    static float vector[DIM];
    for (int i = 0; i < DIM; i++) vector[i] = (float)row + (float)i / 8;
    return (struct tq_value){.type = TQ_TYPE_VECTOR, .size = DIM, .vector = vector};
}

static void put_rows(tq_writer *writer, int rows) {
    for (int i = 0; i < rows; i++) {
        struct tq_value value = vector_of(i);
        OK(tq_writer_put(writer, &value));
    }
}

static void write_rows(const char *path, const char *format, int rows) {
    tq_writer *writer = NULL;
    OK(tq_writer_open(path, format, vectors, 1, &writer));
    put_rows(writer, rows);
    OK(tq_writer_close(writer));
}

static void assert_rows(const char *path, const char *format, int rows) {
    struct tq_reader_options options = tq_reader_defaults();
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    options.format = format;
    OK(tq_reader_open(path, &options, &reader));
    assert_int_equal(tq_reader_get_info(reader)->rows, rows);
    for (int i = 0; i < rows; i++) {
        OK(tq_reader_next(reader, &row));
        assert_int_equal(row->size, DIM);
        assert_memory_equal(row->vector, vector_of(i).vector, DIM * sizeof(float));
    }
    tq_reader_close(reader);
}

static void assert_text(const char *path, const char *text) {
    char have[64] = "";
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(have, 1, sizeof have - 1, file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_string_equal(have, text);
}

static void open_says(const char *path, const char *format, const struct tq_column *columns, size_t count,
                      enum tq_status status, const char *says) {
    tq_writer *writer = NULL;
    int before = count_files();
    SAYS(tq_writer_open(path, format, columns, count, &writer), status, says);
    assert_null(writer);
    assert_int_equal(count_files(), before);
}

/* ---- Formats ---- */

static void test_round_trip(void **state) {
    (void)state;
    static const char *const formats[] = {"npy", "fvecs"};
    static const int rows[] = {1, 3, 30000}; /* more than a buffer */
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 3; j++) {
            char name[32];
            (void)snprintf(name, sizeof name, "a.%s", formats[i]);
            write_rows(path_of(name), NULL, rows[j]);
            assert_rows(path_of(name), NULL, rows[j]);
            write_rows(path_of("b.data"), formats[i], rows[j]);
            assert_rows(path_of("b.data"), formats[i], rows[j]);
        }
    }
    write_rows(path_of("none.npy"), NULL, 0);
    assert_rows(path_of("none.npy"), NULL, 0);
    assert_int_equal(count_files(), 4);
}

/* To the byte what numpy.save writes. */
static void test_npy_bytes(void **state) {
    (void)state;
    uint8_t have[256], wanted[128 + 2 * DIM * 4] = "\x93NUMPY\1\0\x76\0"
                                                   "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 5), }";
    size_t text = 10 + 59;
    memset(wanted + text, ' ', 128 - text);
    wanted[127] = '\n';
    for (int i = 0; i < 2; i++) memcpy(wanted + 128 + i * DIM * 4, vector_of(i).vector, DIM * 4);
    write_rows(path_of("a.npy"), NULL, 2);
    FILE *file = fopen(path_of("a.npy"), "rb");
    assert_non_null(file);
    assert_int_equal(fread(have, 1, sizeof have, file), sizeof wanted);
    assert_int_equal(fclose(file), 0);
    assert_memory_equal(have, wanted, sizeof wanted);
}

static void test_refused_columns(void **state) {
    (void)state;
    const char *path = path_of("a.npy");
    struct tq_column wrong = vectors[0];
    open_says(path, NULL, with_word, 2, TQ_MISUSE,
              "npy takes one vector column and nothing else, not word; leave that");
    open_says(path, "fvecs", with_word, 2, TQ_MISUSE, "fvecs takes one vector column and nothing else, not word");
    open_says(path, NULL, with_word + 1, 1, TQ_MISUSE, "nothing else, not word");
    open_says(path, NULL, NULL, 0, TQ_MISUSE, "no columns; name that of the vectors");
    wrong.dim = 0;
    open_says(path, NULL, &wrong, 1, TQ_MISUSE, "column embedding has 0 dimensions; there must be 1 to 65536");
    wrong.dim = TQ_DIM_MAX + 1;
    open_says(path, NULL, &wrong, 1, TQ_MISUSE, "column embedding has 65537 dimensions");
}

static void test_refused_formats(void **state) {
    (void)state;
    open_says(path_of("a.what"), NULL, vectors, 1, TQ_MISUSE, "a.what: the name does not tell a format that can be");
    open_says(path_of("a.npz"), NULL, vectors, 1, TQ_MISUSE, "the name does not tell a format that can be written");
    open_says(path_of("a.npy"), "npz", vectors, 1, TQ_MISUSE, "format \"npz\" is none of npy, fvecs");
    open_says(path_of("a.npy"), "tape", vectors, 1, TQ_MISUSE, "format \"tape\" is none of npy, fvecs");
}

/* Of a row that is refused nothing is in the file, and those behind it are. */
static void test_refused_rows(void **state) {
    (void)state;
    tq_writer *writer = NULL;
    struct tq_value value = {.type = TQ_TYPE_NULL};
    OK(tq_writer_open(path_of("a.fvecs"), NULL, vectors, 1, &writer));
    SAYS(tq_writer_put(writer, &value), TQ_MISUSE, "row 0: column embedding is no vector; fvecs has one in every row");
    put_rows(writer, 1);
    SAYS(tq_writer_put(writer, &value), TQ_MISUSE, "row 1: column embedding is no vector");
    assert_non_null(strstr(tq_message(), "WHERE embedding IS NOT NULL"));
    value = vector_of(1);
    value.size = DIM - 1;
    SAYS(tq_writer_put(writer, &value), TQ_MISUSE, "a.fvecs, row 1: column embedding has 4 dimensions, not 5");
    value = vector_of(1);
    OK(tq_writer_put(writer, &value));
    OK(tq_writer_close(writer));
    assert_rows(path_of("a.fvecs"), NULL, 2);
}

/* ---- The file that was there ---- */

static void test_old_file_stays(void **state) {
    (void)state;
    tq_writer *writer = NULL, *other = NULL;
    write_text_file("a.npy", "old");
    OK(tq_writer_open(path_of("a.npy"), NULL, vectors, 1, &writer));
    put_rows(writer, 30000);
    assert_text(path_of("a.npy"), "old");
    tq_writer_abort(writer);
    assert_text(path_of("a.npy"), "old");
    assert_int_equal(count_files(), 1);
    OK(tq_writer_open(path_of("a.npy"), NULL, vectors, 1, &writer));
    OK(tq_writer_open(path_of("a.npy"), NULL, vectors, 1, &other)); /* two at once: the last one stays */
    put_rows(writer, 2);
    put_rows(other, 3);
    OK(tq_writer_close(other));
    assert_rows(path_of("a.npy"), NULL, 3);
    OK(tq_writer_close(writer));
    assert_rows(path_of("a.npy"), NULL, 2);
    assert_int_equal(count_files(), 1);
    tq_writer_abort(NULL);
}

/* All names that it would try are taken: by others, whose files stay. */
static void test_names_taken(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "a.npy.new-%ld-%d", (long)getpid(), i);
        write_text_file(name, "");
    }
    open_says(path_of("a.npy"), NULL, vectors, 1, TQ_IO, "a.npy: File exists");
    assert_int_equal(count_files(), 100);
}

static void test_permissions_stay(void **state) {
    (void)state;
    struct stat info;
    assert_int_equal(chmod(write_text_file("a.npy", "old"), 0640), 0);
    write_rows(path_of("a.npy"), NULL, 1);
    assert_int_equal(stat(path_of("a.npy"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void test_link_stays(void **state) {
    (void)state;
    struct stat info;
    write_text_file("target.npy", "old");
    assert_int_equal(symlink("target.npy", path_of("link.npy")), 0);
    write_rows(path_of("link.npy"), NULL, 3);
    assert_true(lstat(path_of("link.npy"), &info) == 0 && S_ISLNK(info.st_mode));
    assert_rows(path_of("target.npy"), NULL, 3);
    assert_int_equal(count_files(), 2);
}

static void test_no_place(void **state) {
    (void)state;
    write_text_file("file", "text");
    open_says(path_of("missing/a.npy"), NULL, vectors, 1, TQ_IO, "missing/a.npy: No such file");
    open_says(path_of("file/a.npy"), NULL, vectors, 1, TQ_IO, "file/a.npy: Not a directory");
    assert_int_equal(mkdir(path_of("folder.npy"), 0700), 0);
    open_says(path_of("folder.npy"), NULL, vectors, 1, TQ_MISUSE, "folder.npy: a folder; name a file in it");
    if (geteuid() == 0) return; /* who may write anywhere */
    assert_int_equal(mkdir(path_of("closed"), 0500), 0);
    open_says(path_of("closed/a.npy"), NULL, vectors, 1, TQ_IO, "closed/a.npy: Permission denied");
}

/* ---- Full disks ---- */

/* Ignoring a failure makes no file of half the rows. */
static void test_limit(void **state) {
    (void)state;
    struct rlimit before, low;
    tq_writer *writer = NULL;
    enum tq_status status = TQ_OK;
    write_text_file("a.fvecs", "old");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = (struct rlimit){300000, before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    OK(tq_writer_open(path_of("a.fvecs"), NULL, vectors, 1, &writer));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int rows = 0;
    for (; status == TQ_OK && rows < 100000; rows++) {
        struct tq_value value = vector_of(rows);
        status = tq_writer_put(writer, &value);
    }
    SAYS(status, TQ_FULL, "a.fvecs: File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0); /* there is room again: too late */
    struct tq_value value = vector_of(0);
    SAYS(tq_writer_put(writer, &value), TQ_FULL, "File too large");
    SAYS(tq_writer_close(writer), TQ_FULL, "a.fvecs: File too large");
    assert_text(path_of("a.fvecs"), "old");
    assert_int_equal(count_files(), 1);
}

/* What is still in the buffer fails when the file is finished. */
static void test_limit_at_the_end(void **state) {
    (void)state;
    static const char *const formats[] = {"npy", "fvecs"};
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = (struct rlimit){50, before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < 2; i++) {
        tq_writer *writer = NULL;
        OK(tq_writer_open(path_of("a.data"), formats[i], vectors, 1, &writer));
        put_rows(writer, 3);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
        enum tq_status status = tq_writer_close(writer);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        SAYS(status, TQ_FULL, "a.data: File too large");
        assert_int_equal(count_files(), 0);
    }
}

/* ---- Pipes and devices: written to as they are ---- */

static void test_pipe(void **state) {
    (void)state;
    struct stat info;
    uint8_t have[64];
    int32_t dim = DIM;
    const char *path = path_of("pipe.fvecs");
    assert_int_equal(mkfifo(path, 0600), 0);
    int pipe = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(pipe >= 0);
    write_rows(path, NULL, 2);
    assert_int_equal(read(pipe, have, sizeof have), 2 * (4 + DIM * 4));
    assert_memory_equal(have, &dim, 4);
    assert_memory_equal(have + 4, vector_of(0).vector, DIM * 4);
    open_says(path, "npy", vectors, 1, TQ_MISUSE, "a pipe; npy begins with the number of rows and needs a file");
    assert_int_equal(close(pipe), 0);
    assert_true(lstat(path, &info) == 0 && S_ISFIFO(info.st_mode));
    assert_int_equal(count_files(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_round_trip, remove_files),
        cmocka_unit_test_teardown(test_npy_bytes, remove_files),
        cmocka_unit_test_teardown(test_refused_columns, remove_files),
        cmocka_unit_test_teardown(test_refused_formats, remove_files),
        cmocka_unit_test_teardown(test_refused_rows, remove_files),
        cmocka_unit_test_teardown(test_old_file_stays, remove_files),
        cmocka_unit_test_teardown(test_names_taken, remove_files),
        cmocka_unit_test_teardown(test_permissions_stay, remove_files),
        cmocka_unit_test_teardown(test_link_stays, remove_files),
        cmocka_unit_test_teardown(test_no_place, remove_files),
        cmocka_unit_test_teardown(test_limit, remove_files),
        cmocka_unit_test_teardown(test_limit_at_the_end, remove_files),
        cmocka_unit_test_teardown(test_pipe, remove_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
