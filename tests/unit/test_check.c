/* tq_check: it finds nothing where nothing is wrong, and names whatever is. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"
#include "storage/chunk.h"
#include "storage/directory.h"
#include "tests/reseal.h"

enum { DIM = 4096 }; /* so that 127 rows are a segment */

static char folder[200], file[220], vectors[240];
static sqlite3 *db;

/* ---- Helpers ---- */

static void exec(const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args), *error = NULL;
    va_end(args);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
    sqlite3_free(sql);
}

/* The first value of a statement, or its error; sqlite3_free. */
static char *ask(const char *format, ...) {
    sqlite3_stmt *statement = NULL;
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    char *text = rc == SQLITE_ROW ? sqlite3_mprintf("%s", sqlite3_column_text(statement, 0))
                                  : sqlite3_mprintf("error: %s", sqlite3_errmsg(db));
    (void)sqlite3_finalize(statement);
    sqlite3_free(sql);
    return text;
}

static void expect(const char *sql, const char *expected) {
    char *found = ask("%s", sql);
    if (strcmp(found, expected) != 0) fail_msg("%s\nexpected: %s\nfound: %s", sql, expected, found);
    sqlite3_free(found);
}

static void expect_words(const char *what, const char *sql, const char *words) {
    char *found = ask("%s", sql);
    if (strstr(found, words) == NULL) fail_msg("%s\n%s\ndoes not say: %s\nit says: %s", what, sql, words, found);
    sqlite3_free(found);
}

/* A vector of a row, as a blob. */
static void vector_of(sqlite3_context *context, int count, sqlite3_value **values) {
    int dim = sqlite3_value_int(values[0]);
    uint64_t state = (uint64_t)sqlite3_value_int64(values[1]) * 0x9e3779b97f4a7c15u + 99;
    float *vector = sqlite3_malloc64((sqlite3_uint64)dim * sizeof *vector);
    (void)count;
    for (int i = 0; i < dim; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        vector[i] = (float)((double)(state >> 11) * 0x1p-53 - 0.5);
    }
    sqlite3_result_blob(context, vector, dim * (int)sizeof *vector, sqlite3_free);
}

/* Keys of values, as docs_gc holds them. */
static void keys_of(sqlite3_context *context, int count, sqlite3_value **values) {
    sqlite3_int64 keys[4];
    for (int i = 0; i < count; i++) keys[i] = sqlite3_value_int64(values[i]);
    sqlite3_result_blob(context, keys, count * (int)sizeof *keys, SQLITE_TRANSIENT);
}

static void open_db(void) {
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    (void)sqlite3_create_function(db, "vector", 2, SQLITE_UTF8, NULL, vector_of, NULL, NULL);
    (void)sqlite3_create_function(db, "keys", -1, SQLITE_UTF8, NULL, keys_of, NULL, NULL);
}

static void insert(int first, int count, int tenant) {
    exec("WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
         " INSERT INTO docs(rowid, key, v, w, tenant, lang, body)"
         " SELECT i, 'k' || i, vector(%d, i), CASE WHEN i %% 3 THEN vector(2, i) END, %d, 'l' || i, 'b' || i FROM c",
         first, first + count - 1, DIM, tenant);
}

/* Two columns of vectors in two partitions; segments that were merged, dead rows in bits and in the log, fresh rows of
 * which one is dead, rows without vectors, replaced values. */
static void make_everything(void) {
    exec("CREATE VIRTUAL TABLE docs USING tq(key TEXT PRIMARY KEY, v FLOAT[%d] bits=2 rows=f16 metric=l2, w FLOAT[2],"
         " tenant INTEGER PARTITION KEY, lang TEXT INDEXED, +body TEXT)",
         DIM);
    for (int i = 0; i < 300; i += 60) insert(i + 1, 60, 1);
    for (int i = 0; i < 180; i += 60) insert(i + 401, 60, 2);
    exec("DELETE FROM docs WHERE rowid %% 11 = 0; INSERT INTO docs(docs) VALUES ('optimize')");
    exec("DELETE FROM docs WHERE rowid IN (9, 10); INSERT INTO docs(docs) VALUES ('optimize')"); /* dead bits */
    for (int i = 0; i < 180; i += 60) insert(i + 1001, 60, 1);
    exec("DELETE FROM docs WHERE rowid IN (3, 1002, 405, 1175, 1180)");
    exec("INSERT INTO docs(rowid, key, tenant) VALUES (5000, 'none', 1), (5001, 'nil', 2)");
}

static int set_up(void **state) {
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/tq_check_XXXXXX", tmp == NULL || strlen(tmp) > 100 ? "/tmp" : tmp);
    if (mkdtemp(folder) == NULL) return -1;
    (void)snprintf(file, sizeof file, "%s/t.db", folder);
    (void)snprintf(vectors, sizeof vectors, "%s-tq", file);
    open_db();
    make_everything();
    return 0;
}

static int tear_down(void **state) {
    char command[260];
    (void)state;
    int rc = sqlite3_close(db); /* not _v2: nothing of ours may keep it open */
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) != 0 || rc != SQLITE_OK;
}

/* A test that failed may have left a transaction open. */
static int begin_test(void **state) {
    (void)state;
    tq_alloc_fail_after(0);
    if (!sqlite3_get_autocommit(db)) exec("ROLLBACK");
    return 0;
}

/* ---- Nothing is wrong ---- */

static void whole_is_ok(void **state) {
    (void)state;
    expect("SELECT count(*) > 0 FROM docs_gc", "1");
    expect("SELECT count(*) > 0 FROM docs_seg WHERE dead > 0", "1");
    expect("SELECT count(*) FROM docs_seg WHERE slot0 < 1 << 40", "2");
    expect("SELECT count(DISTINCT op) FROM docs_log WHERE seq < 1 << 40", "2");
    expect("SELECT tq_check()", "ok");
    expect("SELECT tq_check('docs')", "ok");
    expect("SELECT tq_check('docs', 'full')", "ok");
    expect("SELECT tq_check(NULL, 'full', 'main')", "ok");
    expect("SELECT tq_check(NULL, 'full', 'temp')", "ok");
}

/* Rows that are in memory only are this transaction's, too. */
static void transaction_is_ok(void **state) {
    (void)state;
    exec("BEGIN");
    insert(6001, 300, 3);
    exec("SAVEPOINT a");
    insert(7001, 300, 1);
    exec("DELETE FROM docs WHERE rowid BETWEEN 7010 AND 7020 OR rowid = 6005");
    expect("SELECT tq_check('docs', 'full')", "ok");
    exec("ROLLBACK TO a");
    expect("SELECT tq_check('docs', 'full')", "ok");
    insert(7001, 10, 1);
    expect("SELECT tq_check('docs', 'full')", "ok");
    exec("ROLLBACK");
    expect("SELECT tq_check('docs', 'full')", "ok");
    expect_words("what a rollback leaves", "SELECT tq_check('docs', 'notes')", "ok\nnote: values of transactions");
    exec("INSERT INTO docs(docs) VALUES ('optimize')");
    expect("SELECT tq_check('docs', 'full')", "ok");
}

static void arguments_are_checked(void **state) {
    (void)state;
    expect("SELECT tq_check('nothing')", "error: tq_check: \"nothing\" is not a tq table of \"main\"");
    expect("SELECT tq_check('docs', 'deep')",
           "error: tq_check: the second argument is \"deep\"; it must be quick, full or notes");
    expect("SELECT tq_check('docs', 'full', 'there')", "error: tq_check: there is no schema \"there\"");
    expect("SELECT tq_check('docs', NULL)",
           "error: tq_check: the second argument is \"\"; it must be quick, full or notes");
    exec("CREATE VIEW peek AS SELECT tq_check() AS c");
    expect("SELECT c FROM peek", "error: unsafe use of tq_check()");
    exec("DROP VIEW peek");
}

/* ---- Whatever is wrong is named ---- */

struct damage {
    const char *sql;
    const char *sealed; /* what is said where the sums fit; NULL: nothing can be, and no answer is wrong by it */
    bool full;          /* it takes the full check */
};

static const struct damage damages[] = {
    /* docs_state */
    {"UPDATE docs_state SET part = 9 WHERE part = 1", "docs_state has no part 1", false},
    {"UPDATE docs_state SET part = -1 WHERE part = 1", "names part -1", false},
    {"UPDATE docs_state SET format = 9 WHERE part = 0", "has format 9", false},
    {"UPDATE docs_state SET codec = 3 WHERE part = 2", "codec 3", false},
    {"UPDATE docs_state SET uuid = zeroblob(16) WHERE part = 0", "belongs to another database", false},
    {"UPDATE docs_state SET uuid = 'x' WHERE part = 0", "names no folder", false},
    {"UPDATE docs_state SET number = 900 WHERE part = 0", "has never heard of it", false},
    {"UPDATE docs_state SET number = 0 WHERE part = 0", "names no folder", false},
    {"UPDATE docs_state SET number = (SELECT number FROM docs_state WHERE part = 2) WHERE part = 0",
     "in the folder, which part", false},
    {"UPDATE docs_state SET dim = 7 WHERE part = 2", "part 2: its options are not those of vector column 0", false},
    {"UPDATE docs_state SET dim = 0 WHERE part = 0", "options that no index can have", false},
    {"UPDATE docs_state SET metric = 0 WHERE part = 0", "not those of vector column 0", false},
    {"UPDATE docs_state SET metric = 9 WHERE part = 0", "options that no index can have", false},
    {"UPDATE docs_state SET bits = 3 WHERE part = 3", "not those of vector column 1", false},
    {"UPDATE docs_state SET qjl = 1 - qjl WHERE part = 3", "not those of vector column 1", false},
    {"UPDATE docs_state SET exact = 2 WHERE part = 3", "not those of vector column 1", false},
    {"UPDATE docs_state SET seed = 1 WHERE part = 0", "not those of vector column 0", false},
    {"UPDATE docs_state SET version = 0 WHERE part = 0", "its state has version 0", false},
    {"UPDATE docs_state SET serial = 1 WHERE part = 0", "what is above is deleted", false},
    {"UPDATE docs_state SET serial = 1 << 41 WHERE part = 0", "serials have 40 bits", false},
    {"UPDATE docs_state SET flushes = flushes + 1 WHERE part = 0", "is 1 flush behind", false},
    {"UPDATE docs_state SET flushes = flushes - 1 WHERE part = 0", "changed separately", false},
    {"UPDATE docs_state SET nonce = nonce + 2 WHERE part = 0", "changed separately", false},
    {"UPDATE docs_state SET next = 5, seq = 5 WHERE part = 0;"
     "DELETE FROM docs_log WHERE seq < 1 << 40 AND op = 1",
     "its state says the next slot is 5", false},
    {"UPDATE docs_state SET next = 5 WHERE part = 1", "names slots that are not its own", false},
    {"UPDATE docs_state SET seq = 5 WHERE part = 2", "names slots that are not its own", false},
    {"DELETE FROM docs_state WHERE part = 0", "docs_state has no part 0", false},
    {"DELETE FROM docs_state WHERE part = 3", "belongs to part 3, which docs_state does not have", false},
    {"UPDATE docs_state SET number = 'x'", "names no folder", false},
    /* docs_seg */
    {"UPDATE docs_seg SET slot0 = slot0 + 1 WHERE slot0 = 0", "the catalog says", false},
    {"UPDATE docs_seg SET slot1 = slot1 - 1 WHERE slot0 = 0", "the catalog says", false},
    {"UPDATE docs_seg SET slot1 = slot1 + 5 WHERE slot0 = 0", "it overlaps the segment before it", false},
    {"UPDATE docs_seg SET slot1 = -1 WHERE slot0 = 0", "contradicts itself", false},
    {"UPDATE docs_seg SET rows = rows - 1 WHERE slot0 = 0", "the catalog says", false},
    {"UPDATE docs_seg SET rows = 0x7fffffff WHERE slot0 = 0", "rows in", false},
    {"UPDATE docs_seg SET dead = dead + 1 WHERE slot0 = 0", "the list of dead rows", false},
    {"UPDATE docs_seg SET dead = 0 WHERE slot0 = 0", "and a list of them", false},
    {"UPDATE docs_seg SET bits = x'01000200' WHERE slot0 = 0 AND dead = 2",
     "holds a living row, and no row of docs_rows", false},
    {"UPDATE docs_seg SET bits = x'ffffffff' WHERE slot0 = 0", "the list of dead rows", false},
    {"UPDATE docs_seg SET bits = NULL WHERE slot0 = 0", "the list of dead rows", false},
    {"UPDATE docs_seg SET dir = dir - 1 WHERE slot0 = 0", "its directory", false},
    {"UPDATE docs_seg SET dir = dir + (1 << 40) WHERE slot0 = 0", "the part has number", false},
    {"UPDATE docs_seg SET dir = dir + 1000 WHERE slot0 = 0", "has no value", false},
    {"UPDATE docs_seg SET dir_sum = dir_sum + 1 WHERE slot0 = 0", "its directory (value", false},
    {"UPDATE docs_seg SET dir = (SELECT dir FROM docs_seg WHERE slot0 > 0 LIMIT 1),"
     " dir_sum = (SELECT dir_sum FROM docs_seg WHERE slot0 > 0 LIMIT 1) WHERE slot0 = 0",
     "the catalog says", false},
    {"DELETE FROM docs_seg WHERE slot0 = 0", "where no living row is", false},
    {"INSERT INTO docs_seg SELECT slot0 + (9 << 40), slot1 + (9 << 40), rows, dead, dir, dir_sum, bits, sum"
     " FROM docs_seg",
     "belongs to part 9, which docs_state does not have", false},
    /* docs_log */
    {"UPDATE docs_log SET op = 3 WHERE op = 1 AND slot < 1 << 40", "is of an unknown kind", false},
    {"UPDATE docs_log SET op = 2 WHERE op = 1 AND slot < 1 << 40", "deletes a row that does not exist", false},
    {"UPDATE docs_log SET op = 1 WHERE op = 2 AND slot < 1 << 40", "goes back behind the one before it", false},
    {"UPDATE docs_log SET id = id + 1 WHERE op = 1 AND slot < 1 << 40", "fails its checksum", false},
    {"UPDATE docs_log SET slot = slot + 1 WHERE op = 1 AND slot < 1 << 40", "fails its checksum", false},
    {"UPDATE docs_log SET slot = 0 WHERE op = 1 AND slot < 1 << 40", "goes back behind the one before it", false},
    {"UPDATE docs_log SET slot = slot + (1 << 40) WHERE op = 1 AND slot < 1 << 40", "names a slot of another part",
     false},
    {"UPDATE docs_log SET rec = zeroblob(length(rec)) WHERE op = 1 AND slot >> 40 = 1", "fails its checksum", false},
    {"UPDATE docs_log SET rec = NULL WHERE op = 1 AND slot >> 40 = 1", "fails its checksum", false},
    {"UPDATE docs_log SET id = id + 1 WHERE op = 2 AND slot < 1 << 40", "the row of another id", false},
    {"UPDATE docs_log SET slot = slot - 1 WHERE op = 2 AND slot < 1 << 40", "holds a living row, and no row", false},
    {"UPDATE docs_log SET slot = 1 << 39 WHERE op = 2 AND slot < 1 << 40", "deletes a row that does not exist", false},
    {"UPDATE docs_log SET seq = seq + (9 << 40) WHERE op = 1", "belongs to part", false},
    {"UPDATE docs_log SET seq = 100000 + seq WHERE op = 2 AND seq < 1 << 40", NULL, false},
    {"UPDATE docs_log SET seq = 0 WHERE seq = (SELECT max(seq) FROM docs_log WHERE op = 2 AND seq < 1 << 40)",
     "deletes a row that comes later", false},
    {"INSERT INTO docs_log SELECT seq + 100000, op, id, slot, rec FROM docs_log WHERE op = 2 AND seq < 1 << 40",
     "that another record has deleted", false},
    {"DELETE FROM docs_log WHERE op = 2 AND seq < 1 << 40", "holds a living row, and no row", false},
    {"DELETE FROM docs_log WHERE op = 1 AND seq < 1 << 40", "where no living row is", false},
    /* docs_rows */
    {"UPDATE docs_rows SET slot = slot + 100000 WHERE id = 7", "id 7 has slot 1000", false},
    {"UPDATE docs_rows SET slot = 'abc' WHERE id = 7", "id 7 has slot abc", false},
    {"UPDATE docs_rows SET slot = -4 WHERE id = 7", "id 7 has slot -4", false},
    {"UPDATE docs_rows SET slot = 1.5 WHERE id = 7", "id 7 has slot 1.5", false},
    {"UPDATE docs_rows SET slot = NULL WHERE id = 7", "holds a living row, and no row of docs_rows has it", false},
    {"UPDATE docs_rows SET slot = slot1, slot1 = slot WHERE id = 7", "which belongs to part", false},
    {"UPDATE docs_rows SET slot = slot + (6 << 40) WHERE id = 7", "which belongs to part 6", false},
    {"UPDATE docs_rows SET slot1 = slot1 + 1 WHERE id = 7", "have the same slot", false},
    {"UPDATE docs_rows SET slot = (SELECT slot FROM docs_rows WHERE id = 8) WHERE id = 7",
     "ids 7 and 8 have the same slot", false},
    {"DELETE FROM docs_rows WHERE id = 7", "holds a living row, and no row of docs_rows has it", false},
    {"UPDATE docs_rows SET id = 99999 WHERE id = 6; UPDATE docs_aux SET id = 99999 WHERE id = 6",
     "id 99999 has slot 5, which holds the row of id 6", true},
    {"UPDATE docs_rows SET p0 = 2 WHERE id = 7", "id 7 lies in a partition of other values", false},
    {"UPDATE docs_rows SET key = NULL WHERE id = 7", "id 7 has no key", false},
    /* docs_gc */
    {"UPDATE docs_gc SET part = 99", "names part 99, which does not exist", false},
    {"UPDATE docs_gc SET part = 'x'", "which does not exist", false},
    {"UPDATE docs_gc SET version = version + 1000", "names version", false},
    {"UPDATE docs_gc SET version = -1", "names version -1", false},
    {"UPDATE docs_gc SET keys = x'0102'", "are no list of values", false},
    {"UPDATE docs_gc SET keys = keys((SELECT dir FROM docs_seg WHERE slot0 >> 40 = part))",
     "is in use, and listed as replaced in docs_gc", false},
    {"UPDATE docs_gc SET keys = keys((SELECT number << 40 | 1 FROM docs_state WHERE part = 1))",
     "which is part 1 of docs", false},
    {"UPDATE docs_gc SET keys = keys((SELECT number << 40 | 9999 FROM docs_state AS s WHERE s.part = docs_gc.part))",
     "has not been written yet", false},
    {"DELETE FROM docs_gc", NULL, false},
    /* beside */
    {"DELETE FROM docs_parts WHERE part = 1", "belongs to a partition that does not exist", false},
    {"UPDATE docs_parts SET p0 = 77 WHERE part = 1", "lies in a partition of other values", false},
    {"UPDATE docs_parts SET p0 = 1 WHERE part = 1", "partition 1 has the values of another one", false},
    {"INSERT INTO docs_parts VALUES (9, 9)", "partition 9 has no state of its own", false},
    {"DELETE FROM docs_aux WHERE id = 7", "id 7 has no row in the table of columns apart", false},
    {"INSERT INTO docs_aux VALUES (123456, 'x')", "id 123456 has a row in the table of columns apart, and no other",
     false},
    {"CREATE TABLE IF NOT EXISTS tqlite_dropped(number); INSERT INTO tqlite_dropped SELECT number FROM docs_state",
     "which tqlite_dropped says was dropped", false},
    {"DROP TABLE docs_gc", "there is no table \"docs_gc\"", false},
    {"DROP TABLE docs_parts", "there is no table \"docs_parts\"", false},
    {"DROP TABLE docs_state", "there is no index \"docs\"", false},
    {"ALTER TABLE docs_rows RENAME COLUMN slot1 TO slot9", "has no column \"slot1\"", false},
};

/* What has a sum of its own is found out by it; with sums that fit, by what contradicts it. */
static void damage_is_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const struct damage *damage = &damages[i];
        exec("BEGIN; %s", damage->sql);
        if (damage->sealed != NULL && !damage->full) {
            char *quick = ask("SELECT tq_check('docs')");
            if (strcmp(quick, "ok") == 0 || strncmp(quick, "error", 5) == 0) fail_msg("%s: %s", damage->sql, quick);
            sqlite3_free(quick);
        }
        (void)reseal(db, "main", "docs");
        if (damage->full || damage->sealed == NULL) expect("SELECT tq_check('docs')", "ok");
        if (damage->sealed != NULL)
            expect_words(damage->sql, damage->full ? "SELECT tq_check('docs', 'full')" : "SELECT tq_check('docs')",
                         damage->sealed);
        exec("ROLLBACK");
    }
    expect("SELECT tq_check('docs', 'full')", "ok");
}

/* The first hundred, and how many there are. */
static void findings_are_counted(void **state) {
    (void)state;
    exec("BEGIN; DELETE FROM docs_aux WHERE id <= 300");
    char *found = ask("SELECT tq_check()");
    size_t lines = 1;
    for (const char *at = found; *at != 0; at++) lines += *at == '\n';
    assert_int_equal(lines, 101);
    assert_non_null(strstr(found, "\nand 170 more"));
    sqlite3_free(found);
    exec("ROLLBACK");
}

/* ---- The folder ---- */

static uint64_t number_of(const char *sql) {
    char *text = ask("%s", sql);
    uint64_t number = (uint64_t)strtoll(text, NULL, 10);
    sqlite3_free(text);
    return number;
}

static uint8_t *data; /* of data.mdb, mapped */
static size_t data_size;

static void map_data(void) {
    char path[300];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/data.mdb", vectors);
    int descriptor = open(path, O_RDWR);
    assert_int_equal(fstat(descriptor, &info), 0);
    data_size = (size_t)info.st_size;
    data = mmap(NULL, data_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    assert_true(data != MAP_FAILED);
    (void)close(descriptor);
}

static void unmap_data(void) { assert_int_equal(munmap(data, data_size), 0); }

/* A value behind `from` (NULL: the first): a chunk by its serial, a directory by its rows. NULL: there is none. */
static uint8_t *find_value(uint64_t magic, uint32_t index, uint64_t which, uint8_t *from) {
    uint8_t *at = from == NULL ? data : from + 1;
    while ((at = memmem(at, data_size - (size_t)(at - data), &magic, sizeof magic)) != NULL) {
        struct tq_chunk_head chunk;
        struct tq_directory_head directory;
        memcpy(&chunk, at, sizeof chunk);
        memcpy(&directory, at, sizeof directory);
        if (magic == TQ_CHUNK_MAGIC && chunk.index == index && chunk.serial == which) return at;
        if (magic == TQ_DIRECTORY_MAGIC && directory.index == index && directory.rows == which) return at;
        at++;
    }
    return NULL;
}

/* The last chunk that the first segment has written, and that segment's directory. */
static uint8_t *find_chunk(void) {
    uint32_t index = (uint32_t)number_of("SELECT number FROM docs_state WHERE part = 0");
    uint64_t serial = number_of("SELECT dir & 0xffffffffff FROM docs_seg WHERE slot0 = 0");
    uint8_t *chunk = NULL;
    while (chunk == NULL && serial > 1) chunk = find_value(TQ_CHUNK_MAGIC, index, --serial, NULL);
    assert_non_null(chunk);
    return chunk;
}

/* LMDB leaves copies of small values behind in pages that it has freed: the next one behind `from`. */
static uint8_t *find_directory(uint8_t *from) {
    uint32_t index = (uint32_t)number_of("SELECT number FROM docs_state WHERE part = 0");
    return find_value(TQ_DIRECTORY_MAGIC, index, number_of("SELECT rows FROM docs_seg WHERE slot0 = 0"), from);
}

static void flip_directories(void) {
    for (uint8_t *at = find_directory(NULL); at != NULL; at = find_directory(at)) at[130] ^= 0x10;
}

/* Although this process has verified all of it before. */
static void damaged_values_are_named(void **state) {
    (void)state;
    map_data();
    uint8_t *chunk = find_chunk(), *page = chunk + TQ_CHUNK_HEAD + 20 * TQ_CHUNK_PAGE;
    expect("SELECT tq_check('docs', 'full')", "ok");
    page[5] ^= 0x10;
    expect("SELECT tq_check('docs')", "ok");
    expect_words("a page", "SELECT tq_check('docs', 'full')", "page 20 fails its checksum");
    page[2 * TQ_CHUNK_PAGE] ^= 0x10;
    expect_words("two pages", "SELECT tq_check('docs', 'full')", "page 20 fails its checksum, and 1 pages more");
    page[5] ^= 0x10;
    page[2 * TQ_CHUNK_PAGE] ^= 0x10;
    chunk[60] ^= 0x10;
    expect_words("a header", "SELECT tq_check('docs')", "header, format");
    chunk[60] ^= 0x10;
    flip_directories();
    expect_words("a directory", "SELECT tq_check('docs')", "docs, part 0, segment at slot 0: its directory (value");
    flip_directories();
    expect("SELECT tq_check('docs', 'full')", "ok");
    unmap_data();
}

/* LMDB's own pages, of which it believes everything: here, that they say where they lie. */
static void damaged_pages_are_named(void **state) {
    enum { PAGE = 4096, FLAGS = 10, LEAF = 2, FAR = 5 };
    (void)state;
    map_data();
    for (int back = 0; back < 2; back++) {
        for (uint64_t place = 2; place < data_size / PAGE; place++) {
            uint8_t *page = data + place * PAGE;
            uint64_t number = 0;
            memcpy(&number, page, sizeof number);
            number &= ~((uint64_t)0xff << 8 * FAR);
            if (number == place && page[FLAGS] == LEAF) page[FAR] ^= 1;
        }
        if (back == 0) expect_words("LMDB's pages", "SELECT tq_check('docs', 'full')", "folder: ");
    }
    expect("SELECT tq_check('docs', 'full')", "ok");
    unmap_data();
}

/* The sums of a page, its chunk, the directory and the catalog, in this order: a writer's mistake has them all. */
static void seal_chunk(uint8_t *chunk, uint32_t page) {
    struct tq_chunk_head head;
    memcpy(&head, chunk, sizeof head);
    uint64_t before = head.sum, sum = tq_chunk_hash(chunk + TQ_CHUNK_HEAD + page * TQ_CHUNK_PAGE, TQ_CHUNK_PAGE);
    memcpy(chunk + sizeof head + page * sizeof sum, &sum, sizeof sum);
    size_t from = offsetof(struct tq_chunk_head, format);
    head.sum = tq_chunk_hash(chunk + from, TQ_CHUNK_HEAD - from);
    memcpy(chunk, &head, sizeof head);
    for (uint8_t *at = find_directory(NULL); at != NULL; at = find_directory(at)) {
        struct tq_directory_head directory;
        memcpy(&directory, at, sizeof directory);
        if (directory.size > TQ_CHUNK_PAGE) continue;
        for (size_t word = sizeof directory; word + sizeof sum <= directory.size; word += sizeof sum)
            if (memcmp(at + word, &before, sizeof sum) == 0) memcpy(at + word, &head.sum, sizeof sum);
        sum = tq_chunk_hash(at, directory.size);
        if (memmem(at, directory.size, &head.sum, sizeof sum) != NULL)
            exec("UPDATE docs_seg SET dir_sum = %lld WHERE slot0 = 0", (long long)sum);
    }
    assert_true(reseal(db, "main", "docs"));
}

static void codes_that_differ_are_named(void **state) {
    static const struct {
        uint32_t offset; /* in the payload: FIRST, and SECOND behind it are 64 KiB a block */
        const char *words;
    } cases[] = {{3, "rows 0 to 127: the first plane differs from the records"},
                 {TQ_CHUNK_PAGE, "rows 0 to 127: the first plane differs from the records"}};
    (void)state;
    map_data();
    uint8_t *chunk = find_chunk();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int back = 0; back < 2; back++) {
            chunk[TQ_CHUNK_HEAD + cases[i].offset] ^= 1;
            seal_chunk(chunk, cases[i].offset / TQ_CHUNK_PAGE);
            expect("SELECT tq_check('docs')", "ok");
            if (back == 0) expect_words("codes", "SELECT tq_check('docs', 'full')", cases[i].words);
        }
        expect("SELECT tq_check('docs', 'full')", "ok");
    }
    unmap_data();
}

static void missing_folder_is_named(void **state) {
    char aside[260];
    (void)state;
    (void)snprintf(aside, sizeof aside, "%s-aside", vectors);
    assert_int_equal(rename(vectors, aside), 0);
    for (int again = 0; again < 2; again++) {
        expect_words("no folder", "SELECT tq_check()", "folder: vector folder");
        exec("BEGIN; DELETE FROM docs_rows WHERE id = 7; DELETE FROM docs_aux WHERE id = 8");
        expect_words("no folder", "SELECT tq_check()", "rows have slots 0 to");
        expect_words("no folder", "SELECT tq_check()", "id 8 has no row in the table of columns apart");
        exec("ROLLBACK");
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        open_db(); /* and where it never was open */
    }
    assert_int_equal(rename(aside, vectors), 0);
    expect("SELECT tq_check('docs', 'full')", "ok");
    char *count = ask("SELECT count(*) FROM docs WHERE v IS NOT NULL");
    assert_true(atoi(count) > 300);
    sqlite3_free(count);
}

static void out_of_memory_is_said(void **state) {
    long n = 0;
    (void)state;
    for (bool failed = true; failed && n < 10000;) {
        tq_alloc_fail_after(++n);
        char *found = ask("SELECT tq_check('docs', 'full')");
        tq_alloc_fail_after(0);
        failed = strcmp(found, "ok") != 0;
        if (failed && strstr(found, "out of memory") == NULL) fail_msg("allocation %ld: %s", n, found);
        sqlite3_free(found);
    }
    assert_in_range(n, 20, 9999);
}

static int interrupt(void *context) {
    (void)context;
    return 1;
}

static void interrupt_ends_it(void **state) {
    (void)state;
    sqlite3_progress_handler(db, 200, interrupt, NULL);
    expect_words("an interrupt", "SELECT tq_check('docs', 'full')", "interrupted");
    assert_int_equal(sqlite3_errcode(db) & 0xff, SQLITE_INTERRUPT);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    expect("SELECT tq_check('docs', 'full')", "ok");
}

/* ---- The C library ---- */

struct heard {
    int findings, notes;
    char first[600];
};

static void hear(void *context, const char *finding) {
    struct heard *heard = context;
    if (strncmp(finding, "note: ", 6) == 0) {
        heard->notes++;
        return;
    }
    if (heard->findings++ == 0) (void)snprintf(heard->first, sizeof heard->first, "%s", finding);
}

static void fill(tq_index *index, int64_t first, size_t count) {
    float vector[64];
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < 64; j++) vector[j] = (float)((first + (int64_t)i) * (j + 1) % 101) - 50;
        assert_int_equal(tq_put(index, first + (int64_t)i, vector), TQ_OK);
    }
}

static void library_checks_every_index(void **state) {
    char path[300], catalog[340], *error = NULL;
    tq_store *store = NULL;
    tq_index *words = NULL, *others = NULL;
    struct tq_index_options options = tq_index_defaults(64);
    struct heard heard = {0};
    sqlite3 *raw = NULL;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/store", folder);
    (void)snprintf(catalog, sizeof catalog, "%s/catalog.db", path);
    assert_int_equal(tq_open(path, TQ_OPEN_CREATE, &store), TQ_OK);
    assert_int_equal(tq_check(store, 1, hear, &heard), TQ_OK);
    assert_int_equal(tq_index_create(store, "words", &options, &words), TQ_OK);
    assert_int_equal(tq_index_create(store, "others", &options, &others), TQ_OK);
    assert_int_equal(tq_begin(store), TQ_OK);
    fill(words, 1, 9000);
    fill(others, 1, 10);
    assert_int_equal(tq_check(store, 1, hear, &heard), TQ_OK); /* what was committed: nothing */
    assert_int_equal(tq_commit(store), TQ_OK);
    assert_int_equal(tq_delete(words, 5), TQ_OK);
    assert_int_equal(tq_check(store, 1, hear, &heard), TQ_OK);
    assert_int_equal(heard.findings, 0);
    assert_int_equal(tq_begin(store), TQ_OK);
    fill(words, 20000, 70000);
    tq_abort(store);
    heard.notes = 0;
    assert_int_equal(tq_check(store, 0, hear, &heard), TQ_OK);
    assert_int_equal(heard.notes, 1);
    assert_int_equal(sqlite3_open(catalog, &raw), SQLITE_OK);
    if (sqlite3_exec(raw, "DELETE FROM words_rows WHERE id = 6; DELETE FROM others_rows WHERE id = 6", NULL, NULL,
                     &error) != SQLITE_OK)
        fail_msg("%s", error);
    assert_int_equal(tq_check(store, 0, hear, &heard), TQ_CORRUPT);
    assert_int_equal(heard.findings, 2);
    assert_string_equal(heard.first, "others: slot 5 of part 0 holds a living row, and no row of others_rows has it");
    assert_int_equal(tq_check(store, 0, NULL, NULL), TQ_CORRUPT);
    assert_non_null(strstr(tq_message(), "2 findings, the first: others: slot 5"));
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    tq_index_close(words);
    tq_index_close(others);
    tq_close(store);
}

int main(void) {
    (void)sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(whole_is_ok, begin_test),
        cmocka_unit_test_setup(arguments_are_checked, begin_test),
        cmocka_unit_test_setup(damage_is_named, begin_test),
        cmocka_unit_test_setup(findings_are_counted, begin_test),
        cmocka_unit_test_setup(damaged_values_are_named, begin_test),
        cmocka_unit_test_setup(damaged_pages_are_named, begin_test),
        cmocka_unit_test_setup(codes_that_differ_are_named, begin_test),
        cmocka_unit_test_setup(missing_folder_is_named, begin_test),
        cmocka_unit_test_setup(out_of_memory_is_said, begin_test),
        cmocka_unit_test_setup(interrupt_ends_it, begin_test),
        cmocka_unit_test_setup(transaction_is_ok, begin_test),
        cmocka_unit_test_setup(library_checks_every_index, begin_test),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
