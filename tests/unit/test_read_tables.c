/* Tables of SQLite databases, and vec0 tables without sqlite-vec. What a damaged or hostile file says is checked. */
#include <sqlite3.h>
#include <sys/stat.h>

#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"
#include "src/base/base.h"
#include "tests/unit/rows_text.h"

/* Statements over a database, which is made if it is not there. */
static void run_sql(const char *path, const char *sql) {
    char *message = NULL;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        print_error("%s\n", message);
        fail();
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A database made anew by these statements. */
static const char *make(const char *name, const char *sql) {
    const char *path = path_of(name);
    (void)unlink(path);
    run_sql(path, sql);
    return path;
}

static const char *read_part(const char *path, const char *part) {
    struct tq_reader_options options = tq_reader_defaults();
    options.part = part;
    return read_rows(path, &options);
}

static const char *read_vector(const char *path, const char *vector) {
    struct tq_reader_options options = tq_reader_defaults();
    options.vector = vector;
    return read_rows(path, &options);
}

static void assert_says(const char *got, const char *part) {
    if (strstr(got, part) != NULL) return;
    print_error("\"%s\" does not say \"%s\"\n", got, part);
    fail();
}

/* x'0000803f00000040' is [1,2]. */
#define ONE_TWO "x'0000803f00000040'"
#define THREE_FOUR "x'0000404000008040'"

/* ---- Keys and columns ---- */

static void test_keys(void **state) {
    (void)state;
    assert_string_equal(
        read_rows(make("a.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, e BLOB, note TEXT, n REAL, b BLOB);"
                               "INSERT INTO t VALUES (9, " ONE_TWO ", 'nine', 1.5, x'00'),"
                               " (-3, " THREE_FOUR ", NULL, 2, NULL), (5, NULL, '', NULL, x'')"),
                  NULL),
        "id* e[2] note n b\n-3|[3,4]|NULL|2|NULL\n5|NULL|''|NULL|x''\n9|[1,2]|'nine'|1.5|x'00'\n");
    assert_string_equal(read_rows(make("b.db", "CREATE TABLE t(e TEXT, word TEXT PRIMARY KEY);"
                                               "INSERT INTO t VALUES ('[1, 2]', 'b'), (' [3e0,-0.5]', 'a')"),
                                  NULL),
                        "e[2] word*\n[1,2]|'b'\n[3,-0.5]|'a'\n");
    assert_string_equal(read_rows(make("c.db", "CREATE TABLE t(e);"
                                               "INSERT INTO t(rowid, e) VALUES (7, " ONE_TWO "), (1099511627776, "
                                               "'[3,4]')"),
                                  NULL),
                        "rowid* e[2]\n7|[1,2]\n1099511627776|[3,4]\n");
    assert_string_equal(read_rows(make("d.db", "CREATE TABLE t(a, b, e, PRIMARY KEY(a, b)) WITHOUT ROWID;"
                                               "INSERT INTO t VALUES (1, 'x', " ONE_TWO ")"),
                                  NULL),
                        "a b e[2]\n1|'x'|[1,2]\n");
    assert_string_equal(read_rows(make("e.db", "CREATE TABLE t(rowid TEXT, e);"
                                               "INSERT INTO t(_rowid_, rowid, e) VALUES (4, 'own', " ONE_TWO ")"),
                                  NULL),
                        "_rowid_* rowid e[2]\n4|'own'|[1,2]\n");
}

static void test_types(void **state) {
    (void)state;
    tq_reader *reader = NULL;
    const char *path = make("t.db", "CREATE TABLE t(a INT, b VARCHAR(9), c DOUBLE, d, e NUMERIC, f BLOB, v);"
                                    "INSERT INTO t VALUES (1, 'x', 1, 2.5, 3, x'00ff', '[1,2]')");
    OK(tq_reader_open(path, NULL, &reader));
    const struct tq_reader_info *info = tq_reader_get_info(reader);
    const enum tq_type types[] = {TQ_TYPE_INTEGER, TQ_TYPE_INTEGER, TQ_TYPE_TEXT, TQ_TYPE_REAL,
                                  TQ_TYPE_REAL,    TQ_TYPE_INTEGER, TQ_TYPE_BLOB, TQ_TYPE_VECTOR};
    assert_int_equal(info->column_count, TQ_COUNT(types));
    for (size_t i = 0; i < TQ_COUNT(types); i++) assert_int_equal(info->columns[i].type, types[i]);
    assert_string_equal(info->format, "sqlite");
    assert_int_equal(info->vector, 7);
    assert_true(info->rows == UINT64_MAX);
    assert_false(info->has_metric);
    tq_reader_close(reader);
}

static void test_options(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    const char *path = make("o.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, x REAL, y INT, e, f);"
                                    "INSERT INTO t VALUES (1, 'one', 0.5, 2, " ONE_TWO ", '[9]'),"
                                    " (2, 'two', 'z', 2, " THREE_FOUR ", '[8]')");
    options.columns = "name,e";
    assert_string_equal(read_rows(path, &options), "name e[2]\n'one'|[1,2]\n'two'|[3,4]\n");
    options = tq_reader_defaults();
    options.key = "name";
    options.columns = "name,id";
    options.vector = "";
    assert_string_equal(read_rows(path, &options), "id name*\n1|'one'\n2|'two'\n");
    options.key = "rowid";
    assert_says(read_rows(path, &options), "TQ_MISUSE: o.db: key \"rowid\" is none of the columns");
    options.columns = "rowid,name";
    assert_string_equal(read_rows(path, &options), "rowid* name\n1|'one'\n2|'two'\n");
    options.key = "";
    options.columns = "id,name";
    assert_string_equal(read_rows(path, &options), "id name\n1|'one'\n2|'two'\n");
    assert_string_equal(read_vector(path, "f"), "id* name x y e f[1]\n1|'one'|0.5|2|x'0000803f00000040'|[9]\n"
                                                "2|'two'|'z'|2|x'0000404000008040'|[8]\n");
    assert_string_equal(read_vector(path, "X..y"),
                        "id* name embedding[2] e f\n1|'one'|[0.5,2]|x'0000803f00000040'|'[9]'\n"
                        "bad: o.db, table t, rowid 2, column embedding: x is no number\n");
    assert_string_equal(
        read_vector(make("texts.db", "CREATE TABLE t(a TEXT, b TEXT); INSERT INTO t VALUES ('1.5', '-2'),"
                                     " ('1', ''), ('1', '2x')"),
                    "a..b"),
        "rowid* embedding[2]\n1|[1.5,-2]\n"
        "bad: texts.db, table t, rowid 2, column embedding: b is no number\n"
        "bad: texts.db, table t, rowid 3, column embedding: b is no number\n");
    assert_says(read_vector(path, "y..x"), "TQ_MISUSE: o.db: table t has column y..x behind x");
    assert_says(read_vector(path, "x..z"), "TQ_NOT_FOUND: o.db: table t has no column z; it has id, name, x, y, e, f");
    assert_says(read_vector(path, "name"), "column name: its first value is neither a blob of float32 nor a JSON");
    options = tq_reader_defaults();
    options.dim = 3;
    assert_says(read_rows(path, &options), "column e has 2 dimensions, not 3");
}

static void test_skip(void **state) {
    (void)state;
    tq_reader *reader = NULL;
    const struct tq_value *row = NULL;
    struct tq_reader_options options = tq_reader_defaults();
    options.vector = "e";
    const char *path = make("s.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, e); INSERT INTO t VALUES (0, '[1,2]'),"
                                    " (10, '[3,4]'), (20, 'x'), (40, '[5,6]')");
    OK(tq_reader_open(path, &options, &reader));
    assert_true(tq_reader_progress(reader) == 0);
    OK(tq_reader_skip(reader, 2));
    SAYS(tq_reader_next(reader, &row), TQ_MISUSE, "rowid 20, column e: JSON has 'x' at character 1");
    assert_true(tq_reader_progress(reader) == 0.5);
    OK(tq_reader_next(reader, &row));
    assert_int_equal(row[0].integer, 40);
    assert_non_null(strstr(tq_reader_place(reader), "s.db, table t, rowid 40"));
    OK(tq_reader_skip(reader, 100));
    OK(tq_reader_next(reader, &row));
    assert_null(row);
    assert_true(tq_reader_progress(reader) == 1);
    tq_reader_close(reader);
}

/* ---- Which table ---- */

static void test_choice(void **state) {
    (void)state;
    const char *path = make("two.db", "CREATE TABLE notes(text TEXT); CREATE TABLE a(e); CREATE TABLE b(e, f);"
                                      "INSERT INTO a VALUES ('[1,2]'); INSERT INTO b VALUES (" ONE_TWO ", 'f');"
                                      "CREATE VIEW v AS SELECT f AS name, e FROM b");
    assert_string_equal(read_rows(path, NULL),
                        "TQ_MISUSE: two.db: several tables have vectors; name one of them: a, b\n");
    assert_string_equal(read_part(path, "A"), "rowid* e[2]\n1|[1,2]\n");
    assert_string_equal(read_part(path, "v"), "name e[2]\n'f'|[1,2]\n");
    assert_string_equal(read_part(path, "c"), "TQ_NOT_FOUND: two.db: there is no table c; tables: notes, a, b, v\n");
    assert_string_equal(read_vector(path, "f"), "TQ_FORMAT: two.db: table b, column f: its first value is neither a "
                                                "blob of float32 nor a JSON array of numbers\n");
    assert_string_equal(read_rows(make("none.db", "CREATE TABLE notes(text TEXT, b);"
                                                  "INSERT INTO notes VALUES ('x', x'68656c6c')"),
                                  NULL),
                        "TQ_NOT_FOUND: none.db: no table has a column that looks like vectors; name one of them: "
                        "notes\n");
    assert_string_equal(read_vector(path_of("none.db"), ""), "rowid* text b\n1|'x'|x'68656c6c'\n");
    assert_says(read_rows(make("mixed.db", "CREATE TABLE t(a, b, c, d); INSERT INTO t VALUES (" ONE_TWO
                                           ", '[1,2]', '[1,2]', '[1,2]'), (x'0000803f', '[1,2,3]', 4, 'x')"),
                          NULL),
                "TQ_NOT_FOUND: mixed.db: no table has a column that looks like vectors");
    assert_says(read_rows(make("no_table.db", "CREATE TABLE t(a); DROP TABLE t"), NULL),
                "TQ_NOT_FOUND: no_table.db: there is no table");
    assert_string_equal(read_rows(make("q.db", "CREATE TABLE \"a \"\"b\"(\"c \"\"d\" INTEGER PRIMARY KEY, \"e'f\");"
                                               "INSERT INTO \"a \"\"b\" VALUES (1, '[1,2]')"),
                                  NULL),
                        "c \"d* e'f[2]\n1|[1,2]\n");
}

static void test_bad_rows(void **state) {
    (void)state;
    assert_string_equal(
        read_vector(make("bad.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, e); INSERT INTO t VALUES (1, " ONE_TWO
                                   "), (2, x'00'), (3, '[1,2'), (4, '[1,2,3]'), (5, 17), (6, '[5,6]'), (7, NULL)"),
                    "e"),
        "id* e[2]\n1|[1,2]\n"
        "bad: bad.db, table t, rowid 2, column e: a blob of 1 bytes; 2 dimensions have 8\n"
        "bad: bad.db, table t, rowid 3, column e: JSON ends where ',' or ']' is expected\n"
        "bad: bad.db, table t, rowid 4, column e: 3 dimensions, not 2\n"
        "bad: bad.db, table t, rowid 5, column e: a number, no vector\n"
        "6|[5,6]\n7|NULL\n");
    assert_says(read_vector(make("null.db", "CREATE TABLE t(e); INSERT INTO t VALUES (NULL)"), "e"),
                "column e: it has no value; say how many dimensions there are");
    struct tq_reader_options options = tq_reader_defaults();
    options.vector = "e";
    options.dim = 5;
    assert_string_equal(read_rows(path_of("null.db"), &options), "rowid* e[5]\n1|NULL\n");
}

/* ---- Files that are not as they should be ---- */

static void test_virtual(void **state) {
    (void)state;
    const char *path = make("v.db", "CREATE TABLE t(e); INSERT INTO t VALUES ('[1,2]'); PRAGMA writable_schema = on;"
                                    "INSERT INTO sqlite_master VALUES ('table', 'words', 'words', 0,"
                                    " 'CREATE VIRTUAL TABLE words USING tqx(e FLOAT[3])')");
    assert_string_equal(read_rows(path, NULL), "rowid* e[2]\n1|[1,2]\n");
    assert_says(read_part(path, "words"),
                "TQ_UNSUPPORTED: v.db: table words is a virtual table of module tqx, which is not loaded here; in a "
                "program that has it: ATTACH");
}

/* Where its module is loaded, as in tqshell, a tq table is a table as others are. */
static void test_tq_table(void **state) {
    (void)state;
    assert_int_equal(sqlite3_auto_extension((void (*)(void))sqlite3_tq_init), SQLITE_OK);
    const char *path = make("tq.db", "CREATE VIRTUAL TABLE words USING tq(e FLOAT[2], note TEXT);"
                                     "INSERT INTO words(rowid, e, note) VALUES (-5, '[1,2]', 'x'), (70, NULL, NULL)");
    assert_says(read_rows(path, NULL), "rowid* e[2] note\n");
    assert_says(read_rows(path, NULL), "-5|[1,2]|'x'\n");
    assert_says(read_rows(path, NULL), "70|NULL|NULL\n");
    assert_int_equal(sqlite3_cancel_auto_extension((void (*)(void))sqlite3_tq_init), 1);
    assert_says(read_rows(path, NULL), "TQ_UNSUPPORTED: tq.db: table words is a virtual table of module tq, which");
}

static void test_damage(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    options.format = "sqlite";
    assert_says(read_rows(write_text_file("x.db", "not a database, but long enough to be looked at by SQLite, which "
                                                  "wants a hundred bytes of a header before it says so"),
                          &options),
                "TQ_FORMAT: x.db: not an SQLite database, or an encrypted one");
    const char *path = make("cut.db",
                            "CREATE TABLE t(e); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                            " LIMIT 5000) INSERT INTO t SELECT '[1,' || i || ']' FROM n");
    assert_int_equal(truncate(path, 12288), 0);
    assert_says(read_rows(path, NULL), "TQ_FORMAT: cut.db: damaged: database disk image is malformed");
    assert_int_equal(truncate(path, 50), 0);
    assert_says(read_rows(path, &options), "TQ_FORMAT: cut.db: ");
}

static void test_busy(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    const char *path = make("busy.db", "CREATE TABLE t(e); INSERT INTO t VALUES ('[1,2]')");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_string_equal(read_rows(path, NULL), "TQ_BUSY: busy.db: another program is writing to it\n");
    assert_int_equal(
        sqlite3_exec(db, "COMMIT; PRAGMA journal_mode = wal; BEGIN IMMEDIATE; DELETE FROM t", NULL, NULL, NULL),
        SQLITE_OK);
    assert_string_equal(read_rows(path, NULL), "rowid* e[2]\n1|[1,2]\n");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Root can write anywhere: a folder in the place of the -wal file stands for one that cannot be written. */
static void test_wal_in_a_folder_that_cannot_be_written(void **state) {
    (void)state;
    char name[512];
    const char *path = make("wal.db", "PRAGMA journal_mode = wal; CREATE TABLE t(e); INSERT INTO t VALUES ('[1,2]')");
    assert_string_equal(read_rows(path, NULL), "rowid* e[2]\n1|[1,2]\n");
    (void)snprintf(name, sizeof name, "%s-wal", path);
    (void)unlink(name);
    assert_int_equal(mkdir(name, 0700), 0);
    assert_says(read_rows(path, NULL), "TQ_IO: wal.db: it is in WAL mode, and its folder cannot be written");
    assert_int_equal(rmdir(name), 0);
}

static void copy_file(const char *from, const char *to, const char *ending) {
    char name[512], *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    (void)snprintf(name, sizeof name, "%s%s", path_of(from), ending);
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, 1 << 20, file);
    (void)fclose(file);
    (void)snprintf(name, sizeof name, "%s%s", to, ending);
    (void)write_file(name, bytes, size);
    free(bytes);
}

/* What a program leaves behind that ends while it writes. */
static void test_write_that_was_cut_off(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    const char *path = make("hot.db", "CREATE TABLE t(e); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                                      " FROM n LIMIT 5000) INSERT INTO t SELECT '[1,' || i || ']' FROM n");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA cache_size = 1; BEGIN; UPDATE t SET e = '[2,2]'", NULL, NULL, NULL),
                     SQLITE_OK);
    copy_file("hot.db", "left.db", "");
    copy_file("hot.db", "left.db", "-journal");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_says(read_rows(path_of("left.db"), NULL), "TQ_IO: left.db: a program ended while it was writing to it");
}

/* ---- vec0 ---- */

static void read_whole(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t got = fread(text, 1, size - 1, file);
    text[got] = '\0';
    (void)fclose(file);
}

/* The rows of one table in the expected ones, from the line of its columns to the next such. */
static void assert_vec0(const char *expected, const char *table, const char *columns) {
    static char wanted[1 << 14];
    char head[64];
    (void)snprintf(head, sizeof head, "%s: ", table);
    const char *from = strstr(expected, head);
    assert_non_null(from);
    from = strchr(from, '\n') + 1;
    const char *end = from;
    while (*end != '\0' && strchr("'-0123456789", *end) != NULL) end = strchr(end, '\n') + 1;
    (void)snprintf(wanted, sizeof wanted, "%s\n%.*s", columns, (int)(end - from), from);
    assert_string_equal(read_part("tests/data/vec0.db", table), wanted);
}

static void test_vec0(void **state) {
    (void)state;
    static char expected[1 << 14];
    read_whole("tests/data/vec0.expected", expected, sizeof expected);
    assert_vec0(expected, "words", "word* embedding[3] kind note");
    assert_vec0(expected, "items", "item_id* tenant region large[4] small[4] signs score n ok body amount many");
    assert_vec0(expected, "odd \"name", "rowid* e[2]");
    assert_vec0(expected, "empty", "rowid* e[2]");
    assert_string_equal(read_rows("tests/data/vec0.db", NULL), "TQ_MISUSE: vec0.db: several tables have vectors; name "
                                                               "one of them: words, items, odd \"name, empty\n");
}

static void test_vec0_info(void **state) {
    (void)state;
    static const struct {
        const char *table;
        uint64_t rows;
        bool has_metric;
        enum tq_metric metric;
    } cases[] = {{"words", 12, true, TQ_COSINE}, {"items", 16, true, TQ_L2}, {"odd \"name", 2, false, TQ_L2}};
    for (size_t i = 0; i < TQ_COUNT(cases); i++) {
        struct tq_reader_options options = tq_reader_defaults();
        tq_reader *reader = NULL;
        const struct tq_value *row = NULL;
        options.part = cases[i].table;
        OK(tq_reader_open("tests/data/vec0.db", &options, &reader));
        const struct tq_reader_info *info = tq_reader_get_info(reader);
        assert_int_equal(info->rows, cases[i].rows);
        assert_int_equal(info->has_metric, cases[i].has_metric);
        if (info->has_metric) assert_int_equal(info->metric, cases[i].metric);
        OK(tq_reader_skip(reader, cases[i].rows - 1));
        OK(tq_reader_next(reader, &row));
        assert_non_null(row);
        assert_true(tq_reader_progress(reader) == 1);
        OK(tq_reader_next(reader, &row));
        assert_null(row);
        tq_reader_close(reader);
    }
}

static void test_vec0_options(void **state) {
    (void)state;
    struct tq_reader_options options = tq_reader_defaults();
    options.part = "items";
    options.columns = "small,n";
    options.vector = "small";
    options.key = "";
    assert_says(read_rows("tests/data/vec0.db", &options), "small[4] n\n[0,-1,127,-128]|1\n[1,-2,127,-128]|-7\n");
    options.columns = NULL;
    assert_says(read_rows("tests/data/vec0.db", &options), "item_id tenant region small[4] signs");
    options.vector = "signs";
    assert_says(read_rows("tests/data/vec0.db", &options), "TQ_NOT_FOUND: vec0.db: table items has no vector column "
                                                           "signs");
    options = tq_reader_defaults();
    options.part = "words";
    options.key = "note";
    assert_says(read_rows("tests/data/vec0.db", &options), "word embedding[3] kind note*\n");
}

/* A copy of the fixture, changed by these statements as no program would. */
static const char *spoiled(const char *sql) {
    static char bytes[1 << 16];
    FILE *file = fopen("tests/data/vec0.db", "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    const char *path = write_file("spoiled.db", bytes, size);
    run_sql(path, sql);
    return path;
}

static void test_vec0_damage(void **state) {
    (void)state;
    static const struct {
        const char *table, *sql, *says;
    } cases[] = {
        {"words", "UPDATE words_chunks SET validity = x'ffff'", "damaged: chunk 1, whose size and lists disagree"},
        {"words", "UPDATE words_chunks SET size = 16", "chunk 1, whose size and lists disagree"},
        {"words", "UPDATE words_chunks SET size = -8, validity = x''", "chunk 1, whose size and lists disagree"},
        {"words", "UPDATE words_chunks SET rowids = x'00'", "chunk 1, whose size and lists disagree"},
        {"words", "UPDATE words_vector_chunks00 SET vectors = x'0000'", "column embedding: 2 bytes for 8 places"},
        {"words", "DELETE FROM words_vector_chunks00", "no such rowid"},
        {"words", "DROP TABLE words_vector_chunks00", "there is no table words_vector_chunks00"},
        {"words", "DROP TABLE words_chunks", "there is no table words_chunks"},
        {"words", "DROP TABLE words_auxiliary", "there is no table words_auxiliary"},
        {"words", "DELETE FROM words_rowids", "a row whose key is missing"},
        {"words", "DELETE FROM words_metadatatext00", "a text that is not as long as it should be"},
        {"words", "UPDATE words_metadatatext00 SET data = 'x'", "a text that is not as long as it should be"},
        {"words", "UPDATE words_metadatachunks00 SET data = zeroblob(127)", "column kind: 127 bytes for 8 places"},
        {"items", "UPDATE items_metadatachunks02 SET data = x'0000'", "column ok: 2 bytes for 8 places"},
        {"items",
         "DROP TABLE items_chunks; PRAGMA writable_schema = on; INSERT INTO sqlite_master VALUES ('table', "
         "'items_chunks', 'items_chunks', 0, 'CREATE VIRTUAL TABLE items_chunks USING json_each')",
         "there is no table items_chunks"},
        {"items", "DROP TABLE items_chunks; CREATE VIEW items_chunks AS SELECT 1 AS chunk_id",
         "there is no table items_chunks"},
        {"words",
         "PRAGMA writable_schema = on; UPDATE sqlite_master SET sql = 'CREATE VIRTUAL TABLE words USING vec0("
         "e float[3], ''x'')' WHERE name = 'words'",
         "table words: \"'x'\" is not understood"},
        {"words",
         "PRAGMA writable_schema = on; UPDATE sqlite_master SET sql = 'CREATE VIRTUAL TABLE words USING vec0("
         "e float[99999999999])' WHERE name = 'words'",
         "\"e float[99999999999]\" is not understood"},
        {"words",
         "DROP TABLE words_vector_chunks00; PRAGMA writable_schema = on; UPDATE sqlite_master SET sql = "
         "'CREATE VIRTUAL TABLE words USING vec0(e float[3] indexed by rescore(quantizer=bit, oversample=8))'"
         " WHERE name = 'words'",
         "keeps column e in an index of sqlite-vec"},
    };
    for (size_t i = 0; i < TQ_COUNT(cases); i++)
        assert_says(read_part(spoiled(cases[i].sql), cases[i].table), cases[i].says);
}

/* ---- No memory ---- */

/* Each allocation fails once; nothing else may come of it. */
static void run_out(const char *path, const char *part, const char *vector) {
    struct tq_reader_options options = tq_reader_defaults();
    static char whole[ROWS_TEXT_BYTES];
    long n = 0;
    options.part = part;
    options.vector = vector;
    memcpy(whole, read_rows(path, &options), sizeof whole);
    do {
        tq_alloc_fail_after(++n);
        (void)read_rows(path, &options);
        tq_alloc_fail_after(0);
        assert_true(n < 1000);
    } while (strstr(rows_text, "TQ_NOMEM: out of memory") != NULL);
    assert_string_equal(rows_text, whole);
    assert_true(n > 5);
}

static void test_no_memory(void **state) {
    (void)state;
    run_out("tests/data/vec0.db", "words", NULL);
    run_out("tests/data/vec0.db", "items", NULL);
    const char *path = make("memory.db", "CREATE TABLE t(a, b, e); INSERT INTO t VALUES (1, 2.5, '[1,2]')");
    run_out(path, NULL, NULL);
    run_out(path, "t", "e");
    run_out(path, NULL, "a..b");
}

/* ---- Formats that this build lacks ---- */

static void test_left_out(void **state) {
    (void)state;
    unsigned flags = 0;
    const char *name = NULL;
    const char *path = write_text_file("left_out", "of no format");
    for (size_t i = 0; (name = tq_format_name(i, &flags, NULL)) != NULL; i++) {
        struct tq_reader_options options = tq_reader_defaults();
        options.format = name;
        if (flags == 0) assert_says(read_rows(path, &options), ": it was made without ");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_virtual),
        cmocka_unit_test(test_tq_table),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_wal_in_a_folder_that_cannot_be_written),
        cmocka_unit_test(test_write_that_was_cut_off),
        cmocka_unit_test(test_vec0),
        cmocka_unit_test(test_vec0_info),
        cmocka_unit_test(test_vec0_options),
        cmocka_unit_test(test_vec0_damage),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
