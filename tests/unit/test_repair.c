/* tq_repair() as a program calls it, on real folders, damaged as disks and people damage them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/tq.h"
#include "tests/unit/scratch_folder.h"

#define DIM 512
#define ROWS 1200 /* in a segment */
#define FRESH 10  /* in the log */
#define ALL (ROWS + FRESH)

enum { KIND_RESTS = 1, KIND_EXACT = 2 };

static void ok(enum tq_status status) {
    if (status == TQ_OK) return;
    print_error("%s: %s\n", tq_status_name(status), tq_message());
    fail();
}

static void fails(enum tq_status status, enum tq_status wanted, const char *part) {
    if (status == wanted && strstr(tq_message(), part) != NULL) return;
    print_error("%s, not %s: \"%s\" should say \"%s\"\n", tq_status_name(status), tq_status_name(wanted), tq_message(),
                part);
    fail();
}

static void vector_of(int64_t id, float *vector) {
    uint64_t state = (uint64_t)id * 0x9e3779b97f4a7c15u + 12345;
    for (uint32_t j = 0; j < DIM; j++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        vector[j] = (float)((double)(state >> 11) * 0x1p-53 - 0.5);
    }
}

/* ---- Stores ---- */

static void put(tq_store *store, tq_index *index, int64_t first, int64_t end) {
    float vector[DIM];
    ok(tq_begin(store));
    for (int64_t id = first; id < end; id++) {
        vector_of(id, vector);
        ok(tq_put(index, id, vector));
    }
    ok(tq_commit(store));
}

/* Ids 0 to ROWS in one segment, two of them deleted, and the rest in the log. */
static void make(enum tq_rows rows) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_index_options options = tq_index_defaults(DIM);
    options.rows = rows;
    ok(tq_open(path_of("store"), TQ_OPEN_CREATE, &store));
    ok(tq_index_create(store, "docs", &options, &index));
    put(store, index, 0, ROWS);
    ok(tq_index_optimize(index));
    put(store, index, ROWS, ALL);
    ok(tq_delete(index, 3));
    ok(tq_delete(index, ROWS + 3));
    tq_index_close(index);
    tq_close(store);
}

/* What every id answers, NaN where it is not there: f32[ALL][DIM]. */
static float *read_all(void) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    float *all = malloc(sizeof(float) * ALL * DIM);
    assert_non_null(all);
    memset(all, 0xff, sizeof(float) * ALL * DIM);
    ok(tq_open(path_of("store"), 0, &store));
    ok(tq_index_open(store, "docs", &index));
    for (int64_t id = 0; id < ALL; id++) {
        enum tq_status status = tq_get(index, id, all + id * DIM);
        if (status != TQ_NOT_FOUND) ok(status);
    }
    tq_index_close(index);
    tq_close(store);
    return all;
}

/* ---- Damage ---- */

struct range {
    long first, end;
};

/* The first chunk of a kind: where its payload lies in data.mdb. */
static long find_chunk(FILE *file, int kind) {
    char page[4096];
    long at = 0;
    for (; fread(page, 1, sizeof page, file) == sizeof page; at += (long)sizeof page) {
        uint16_t found = 0;
        if (memcmp(page + 16, "tqchunk", 8) != 0) continue;
        memcpy(&found, page + 16 + 40, sizeof found);
        if (found == kind) return at + (long)sizeof page;
    }
    return -1;
}

/* Pages [first, end) of a value's payload. */
static void damage(int kind, struct range pages) {
    char path[600];
    (void)snprintf(path, sizeof path, "%s/data.mdb", path_of("store"));
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    long payload = find_chunk(file, kind);
    assert_true(payload > 0);
    for (long page = pages.first; page < pages.end; page++) {
        long at = payload + page * 4096 + 77;
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        int byte = fgetc(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_not_equal(fputc(byte ^ 0x10, file), EOF);
    }
    assert_int_equal(fclose(file), 0);
}

/* ---- Reports ---- */

struct report {
    int lines, lost;
    char text[4000];
};

static void take(void *context, const char *line) {
    struct report *report = context;
    report->lines++;
    if (strstr(line, "is lost") != NULL) report->lost++;
    size_t used = strlen(report->text);
    (void)snprintf(report->text + used, sizeof report->text - used, "%s\n", line);
}

static struct report repair(enum tq_repair_how how) {
    struct report report = {.lines = 0};
    ok(tq_repair(path_of("store"), "docs", how, take, &report));
    return report;
}

/* The store is sound, can be searched, and can be written: lost ids take their vectors again. */
static void check_sound(const float *before, const float *after, int lost) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct report report = {.lines = 0};
    float vector[DIM];
    int gone = 0;
    ok(tq_open(path_of("store"), 0, &store));
    ok(tq_index_open(store, "docs", &index));
    if (tq_check(store, 1, take, &report) != TQ_OK) fail_msg("%s", report.text);
    ok(tq_begin(store));
    for (int64_t id = 0; id < ALL; id++) {
        size_t size = sizeof(float) * DIM, count = 0;
        const float *old = before + id * DIM, *new = after + id *DIM;
        struct tq_hit hit;
        vector_of(id, vector);
        if (memcmp(old, new, size) != 0) {
            gone++;
            assert_int_equal(tq_get(index, id, vector), TQ_NOT_FOUND);
            ok(tq_put(index, id, vector));
        } else if (id != 3 && id != ROWS + 3) {
            ok(tq_search(index, vector, 1, 1, NULL, &hit, &count, NULL));
            assert_int_equal(count, 1);
            assert_int_equal(hit.id, id);
        }
    }
    assert_int_equal(gone, lost);
    ok(tq_commit(store));
    ok(tq_index_optimize(index));
    report.lines = 0;
    if (tq_check(store, 1, take, &report) != TQ_OK) fail_msg("%s", report.text);
    tq_index_close(index);
    tq_close(store);
}

/* Damage, refusal to answer wrongly, salvage: so many ids are lost, and told of. */
static void salvage(enum tq_rows rows, int kind, struct range pages, int lost) {
    tq_store *store = NULL;
    struct report found = {.lines = 0};
    make(rows);
    float *before = read_all();
    damage(kind, pages);
    ok(tq_open(path_of("store"), 0, &store));
    assert_int_equal(tq_check(store, 1, take, &found), TQ_CORRUPT);
    tq_close(store);
    struct report report = repair(TQ_REPAIR_SALVAGE);
    assert_int_equal(report.lost, lost);
    assert_true(report.lines > report.lost);
    float *after = read_all();
    check_sound(before, after, lost);
    free(before);
    free(after);
}

static void test_exact_rows(void **state) {
    (void)state;
    salvage(TQ_ROWS_F32, KIND_EXACT, (struct range){4, 6}, 4); /* two rows a page */
}

static void test_codes_are_made_anew(void **state) {
    (void)state;
    salvage(TQ_ROWS_F32, KIND_RESTS, (struct range){0, 137}, 0);
}

static void test_codes_of_half_rows(void **state) {
    (void)state;
    salvage(TQ_ROWS_F16, KIND_RESTS, (struct range){1, 90}, 0);
}

/* The record's pages hold some seventeen rows; where its signs are damaged, a block of 128 is lost at once. */
static void test_codes_alone(void **state) {
    (void)state;
    struct report report = {.lines = 0};
    make(TQ_ROWS_NONE);
    float *before = read_all();
    damage(KIND_RESTS, (struct range){40, 41});
    report = repair(TQ_REPAIR_SALVAGE);
    assert_in_range(report.lost, 1, 130);
    float *after = read_all();
    check_sound(before, after, report.lost);
    free(before);
    free(after);
}

/* A small value lies among LMDB's nodes, an older copy of it perhaps in a page that is free by now. */
static void damage_directories(void) {
    char path[600];
    (void)snprintf(path, sizeof path, "%s/data.mdb", path_of("store"));
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    char *bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(fseek(file, 0, SEEK_SET), 0);
    assert_int_equal(fread(bytes, 1, size, file), size);
    for (size_t at = 0; at + 100 < size; at++) {
        if (memcmp(bytes + at, "tqdirect", 8) == 0) bytes[at + 70] ^= 1;
    }
    assert_int_equal(fseek(file, 0, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

static void test_directory(void **state) {
    (void)state;
    make(TQ_ROWS_F32);
    float *before = read_all();
    damage_directories();
    struct report report = repair(TQ_REPAIR_SALVAGE);
    assert_int_equal(report.lost, ROWS - 1);
    assert_non_null(strstr(report.text, "segment of slots 0 to 1200: segment directory: its checksum"));
    float *after = read_all();
    check_sound(before, after, ROWS - 1);
    free(before);
    free(after);
}

/* ---- LMDB's own pages ---- */

/* Page numbers of LMDB's tree are wrong, all of them: what is stored in it lies as it was. */
static void damage_tree(void) {
    char path[600];
    uint8_t page[4096];
    (void)snprintf(path, sizeof path, "%s/data.mdb", path_of("store"));
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (uint64_t number = 0; fread(page, 1, sizeof page, file) == sizeof page; number++) {
        uint64_t own = 0;
        memcpy(&own, page, sizeof own);
        bool of_tree = own == number && number > 1 && (page[10] == 1 || page[10] == 2);
        if (!of_tree) continue;
        assert_int_equal(fseek(file, (long)(number * sizeof page), SEEK_SET), 0);
        assert_int_not_equal(fputc(page[0] ^ 0x55, file), EOF);
        assert_int_equal(fseek(file, (long)((number + 1) * sizeof page), SEEK_SET), 0);
    }
    assert_int_equal(fclose(file), 0);
}

static void rescue(void (*damage_it)(void), enum tq_status status, struct range lost) {
    tq_store *store = NULL;
    make(TQ_ROWS_F32);
    float *before = read_all();
    damage_it();
    assert_int_equal(tq_open(path_of("store"), 0, &store), status);
    fails(tq_repair(path_of("store"), "docs", TQ_REPAIR_ADOPT_FOLDER, NULL, NULL), status, "");
    struct report report = repair(TQ_REPAIR_SALVAGE);
    assert_in_range(report.lost, lost.first, lost.end);
    assert_non_null(strstr(report.text, "was set aside as"));
    assert_non_null(strstr(report.text, "values were found"));
    float *after = read_all();
    check_sound(before, after, report.lost);
    free(before);
    free(after);
}

static void test_tree_is_damaged(void **state) {
    (void)state;
    rescue(damage_tree, TQ_CORRUPT, (struct range){0, 0});
}

static void zero_meta_pages(void) {
    char command[700];
    (void)snprintf(command, sizeof command, "dd if=/dev/zero of='%s/data.mdb' bs=4096 count=2 conv=notrunc 2>/dev/null",
                   path_of("store"));
    assert_int_equal(system(command), 0);
}

static void test_meta_pages_are_gone(void **state) {
    (void)state;
    rescue(zero_meta_pages, TQ_FORMAT, (struct range){0, 0});
}

/* The last exact chunk is cut in two. */
static void cut_end(void) {
    char path[600];
    uint8_t page[4096];
    long last = 0;
    (void)snprintf(path, sizeof path, "%s/data.mdb", path_of("store"));
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (long at = 0; fread(page, 1, sizeof page, file) == sizeof page; at += (long)sizeof page) {
        if (memcmp(page + 16, "tqchunk", 8) == 0 && page[16 + 40] == KIND_EXACT) last = at;
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(truncate(path, last + 20 * (long)sizeof page), 0);
}

static void test_end_is_cut(void **state) {
    (void)state;
    rescue(cut_end, TQ_CORRUPT, (struct range){1, ROWS - 600});
}

/* A code that is damaged and an exact row that is damaged: what has either of its own is another row's. */
static void test_both(void **state) {
    (void)state;
    make(TQ_ROWS_F32);
    float *before = read_all();
    damage(KIND_RESTS, (struct range){0, 200});
    damage(KIND_EXACT, (struct range){10, 11});
    struct report report = repair(TQ_REPAIR_SALVAGE);
    assert_int_equal(report.lost, 2);
    assert_non_null(strstr(report.text, "index \"docs\": the vector of id 20 is lost: chunk"));
    assert_non_null(strstr(report.text, "page 10 fails its checksum"));
    float *after = read_all();
    check_sound(before, after, 2);
    free(before);
    free(after);
}

/* Nothing is wrong: nothing is changed. */
static void test_nothing_to_do(void **state) {
    (void)state;
    make(TQ_ROWS_F32);
    float *before = read_all();
    assert_int_equal(repair(TQ_REPAIR_ADOPT_FOLDER).lines, 0);
    assert_int_equal(repair(TQ_REPAIR_SALVAGE).lines, 0);
    fails(tq_repair(path_of("store"), "docs", TQ_REPAIR_ADOPT_EMPTY, NULL, NULL), TQ_MISUSE, "adopt-folder or salvage");
    float *after = read_all();
    check_sound(before, after, 0);
    free(before);
    free(after);
}

static void run(const char *format) {
    char command[1200];
    (void)snprintf(command, sizeof command, format, path_of("store"));
    assert_int_equal(system(command), 0);
}

/* hopeless: nothing of what is there helps, and salvage says so. */
static void empty_after(const char *command, enum tq_status status, enum tq_status hopeless, int notes) {
    tq_store *store = NULL;
    make(TQ_ROWS_F32);
    float *before = read_all();
    run(command);
    assert_int_equal(tq_open(path_of("store"), 0, &store), status);
    if (hopeless != TQ_OK) fails(tq_repair(path_of("store"), "docs", TQ_REPAIR_SALVAGE, NULL, NULL), hopeless, "");
    struct report report = repair(TQ_REPAIR_ADOPT_EMPTY);
    assert_int_equal(report.lost, ROWS - 1);
    assert_int_equal(report.lines - report.lost, notes);
    float *after = read_all();
    check_sound(before, after, ROWS - 1);
    free(before);
    free(after);
}

static void test_data_is_gone(void **state) {
    (void)state;
    empty_after("rm '%s/data.mdb'", TQ_FORMAT, TQ_FORMAT, 0);
}

static void test_data_is_another_file(void **state) {
    (void)state;
    empty_after("echo hello > '%s/data.mdb'", TQ_FORMAT, TQ_CORRUPT, 1);
    run("grep -q hello '%s/data.mdb.old-1'");
}

static void test_data_is_cut(void **state) {
    (void)state;
    empty_after("truncate -s 100000 '%s/data.mdb'", TQ_CORRUPT, TQ_OK, 1);
}

/* Somebody who goes on writing to a folder that was set aside would lose it all. */
static void test_folder_is_in_use(void **state) {
    (void)state;
    tq_store *store = NULL;
    char from[600], to[600];
    make(TQ_ROWS_F32);
    ok(tq_open(path_of("store"), 0, &store));
    (void)snprintf(from, sizeof from, "%s/data.mdb", path_of("store"));
    (void)snprintf(to, sizeof to, "%s/kept", path_of("store"));
    assert_int_equal(rename(from, to), 0);
    fails(tq_repair(path_of("store"), "docs", TQ_REPAIR_ADOPT_EMPTY, NULL, NULL), TQ_BUSY,
          "is open in another process");
    tq_close(store);
    assert_int_equal(repair(TQ_REPAIR_ADOPT_EMPTY).lost, ROWS - 1);
}

static void test_wrong_arguments(void **state) {
    (void)state;
    make(TQ_ROWS_F32);
    const char *store = path_of("store");
    fails(tq_repair("", "docs", TQ_REPAIR_SALVAGE, NULL, NULL), TQ_MISUSE, "the path is empty");
    fails(tq_repair(store, "", TQ_REPAIR_SALVAGE, NULL, NULL), TQ_MISUSE, "the name is empty");
    fails(tq_repair(store, "docs", (enum tq_repair_how)7, NULL, NULL), TQ_MISUSE, "how is 7");
    fails(tq_repair(store, "none", TQ_REPAIR_SALVAGE, NULL, NULL), TQ_NOT_FOUND, "no index \"none\"");
    fails(tq_repair(path_of("nowhere"), "docs", TQ_REPAIR_SALVAGE, NULL, NULL), TQ_NOT_FOUND, "nowhere");
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_exact_rows),      TEST(test_codes_are_made_anew), TEST(test_codes_of_half_rows),
        TEST(test_codes_alone),     TEST(test_directory),           TEST(test_both),
        TEST(test_tree_is_damaged), TEST(test_meta_pages_are_gone), TEST(test_end_is_cut),
        TEST(test_nothing_to_do),   TEST(test_data_is_gone),        TEST(test_data_is_another_file),
        TEST(test_data_is_cut),     TEST(test_wrong_arguments),     TEST(test_folder_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
