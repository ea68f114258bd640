/* Declarations of tq tables: what they make, or which sentence says what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SQLITE_CORE /* this program calls SQLite itself, not by way of the extension's table */
#include "sql/declaration.h"
#include "sql/tq_sqlite.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

enum { ARGUMENTS_MAX = 400 };

/* ---- Helpers ---- */

/* `text` is cut at ';', where SQLite cuts at ','. Arguments get memory of their own size, so that a step beyond their
 * end is seen. */
static enum tq_status read_text(const char *text, struct tq_declaration *declaration) {
    char *arguments[ARGUMENTS_MAX] = {NULL};
    int count = 0;
    while (*text != 0) {
        size_t size = strcspn(text, ";");
        assert_true(count < ARGUMENTS_MAX);
        arguments[count] = malloc(size + 1);
        assert_non_null(arguments[count]);
        memcpy(arguments[count], text, size);
        arguments[count++][size] = 0;
        text += size + (text[size] == ';');
        text += strspn(text, " ");
    }
    enum tq_status status = tq_declaration_read(count, (const char *const *)arguments, declaration);
    for (int i = 0; i < count; i++) free(arguments[i]);
    return status;
}

/* "slot=v 3 l2 bits=3 ..." for each column; of the options of a vector only those that are not the defaults. */
static char *describe(const struct tq_declaration *declaration) {
    static const char *const metrics[] = {"cosine", "ip", "l2"}, *const rows[] = {"f32", "f16", "none"};
    const struct tq_index_options defaults = tq_index_defaults(0);
    sqlite3_str *text = sqlite3_str_new(NULL);
    for (size_t i = 0; i < declaration->count; i++) {
        const struct tq_sql_column *column = &declaration->columns[i];
        const struct tq_index_options *options = &column->options;
        sqlite3_str_appendf(text, "%s%s=%s:%s", i == 0 ? "" : "; ", column->stored, column->name, column->type);
        if (column->kind != TQ_COLUMN_VECTOR) {
            sqlite3_str_appendf(text, ":%s%s", column->affinity, column->indexed ? " indexed" : "");
            continue;
        }
        if (options->metric != defaults.metric) sqlite3_str_appendf(text, " %s", metrics[options->metric]);
        if (options->bits != defaults.bits) sqlite3_str_appendf(text, " bits=%d", (int)options->bits);
        if (options->rows != defaults.rows) sqlite3_str_appendf(text, " %s", rows[options->rows]);
        if (options->qjl != defaults.qjl) sqlite3_str_appendf(text, " qjl=%d", options->qjl);
        if (options->seed != defaults.seed) sqlite3_str_appendf(text, " seed=%lld", (long long)options->seed);
    }
    return sqlite3_str_finish(text);
}

static void check(const char *text, const char *expected) {
    struct tq_declaration declaration;
    enum tq_status status = read_text(text, &declaration);
    char *made = status == TQ_OK ? describe(&declaration) : sqlite3_mprintf("%s", tq_message());
    if (strcmp(made, expected) != 0) fail_msg("%s\n  gives    %s\n  expected %s", text, made, expected);
    assert_true(status == TQ_OK || status == TQ_MISUSE);
    sqlite3_free(made);
    tq_declaration_free(&declaration);
}

/* So many columns of one form, after a vector column. */
static char *many(int count, const char *format) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "v FLOAT[3]");
    for (int i = 0; i < count; i++) sqlite3_str_appendf(text, format, i);
    return sqlite3_str_finish(text);
}

/* ---- What is declared ---- */

static const char *const good[][2] = {
    {"v FLOAT[3]", "slot=v:FLOAT[3]"},
    {"v VECTOR(3)", "slot=v:FLOAT[3]"},
    {"v float32(768)", "slot=v:FLOAT[768]"},
    {"v F32 [ 65536 ]", "slot=v:FLOAT[65536]"},
    {"v FLOAT(10)", "slot=v:FLOAT[10]"},
    {"v FLOAT [7] metric=ip bits=3 rows=f16 qjl=0 seed=7", "slot=v:FLOAT[7] ip bits=3 f16 qjl=0 seed=7"},
    {"v FLOAT[3] distance_metric = cosine", "slot=v:FLOAT[3]"},
    {"v FLOAT[3] distance_metric=L2", "slot=v:FLOAT[3] l2"},
    {"v FLOAT[3] metric=dot bits='2'", "slot=v:FLOAT[3] ip bits=2"},
    {"metric=ip; v FLOAT[3]; w FLOAT[4] metric=l2; bits=2", "slot=v:FLOAT[3] ip bits=2; slot1=w:FLOAT[4] l2 bits=2"},
    {"v FLOAT[3]; bits=3; bits=5", "slot=v:FLOAT[3] bits=5"},
    {"v FLOAT[3]; rows=none; qjl=1; seed=9223372036854775807", "slot=v:FLOAT[3] none qjl=1 seed=9223372036854775807"},
    {"id INTEGER PRIMARY KEY; v FLOAT[3]", "id=id:INTEGER:INTEGER; slot=v:FLOAT[3]"},
    {"v FLOAT[3]; id int primary key", "slot=v:FLOAT[3]; id=id:int:INTEGER"},
    {"key TEXT PRIMARY KEY; v FLOAT[3]", "key=key:TEXT:TEXT; slot=v:FLOAT[3]"},
    {"v FLOAT[3]; a; b BLOB; c TEXT; d INTEGER; e REAL; f NUMERIC",
     "slot=v:FLOAT[3]; m0=a::BLOB; m1=b:BLOB:BLOB; m2=c:TEXT:TEXT; m3=d:INTEGER:INTEGER; "
     "m4=e:REAL:REAL; m5=f:NUMERIC:NUMERIC"},
    {"v FLOAT[3]; a BOOLEAN; b INT; c FLOAT; d DOUBLE PRECISION; e VARCHAR(20); f DECIMAL(10, -2)",
     "slot=v:FLOAT[3]; m0=a:BOOLEAN:NUMERIC; m1=b:INT:INTEGER; m2=c:FLOAT:REAL; "
     "m3=d:DOUBLE PRECISION:REAL; m4=e:VARCHAR(20):TEXT; m5=f:DECIMAL(10, -2):NUMERIC"},
    {"v FLOAT[3]; a FLOAT(10,2); b CHARINT; c CLOB; d TEXTBLOB; e DATETIME; f FLOATING POINT",
     "slot=v:FLOAT[3]; m0=a:FLOAT(10,2):REAL; m1=b:CHARINT:INTEGER; m2=c:CLOB:TEXT; "
     "m3=d:TEXTBLOB:TEXT; m4=e:DATETIME:NUMERIC; m5=f:FLOATING POINT:INTEGER"},
    {"v FLOAT[3]; a native   character (70)", "slot=v:FLOAT[3]; m0=a:native character(70):TEXT"},
    {"v FLOAT[3]; a TEXT INDEXED; b INDEXED; c REAL NULL; d TEXT NULL INDEXED",
     "slot=v:FLOAT[3]; m0=a:TEXT:TEXT indexed; m1=b::BLOB indexed; m2=c:REAL:REAL; m3=d:TEXT:TEXT indexed"},
    {"v FLOAT[3]; a INTEGER PARTITION KEY; b PARTITION KEY; c VARCHAR(3) partition key; d TEXT",
     "slot=v:FLOAT[3]; p0=a:INTEGER:INTEGER; p1=b::BLOB; p2=c:VARCHAR(3):TEXT; m0=d:TEXT:TEXT"},
    {"v FLOAT[3]; +a TEXT; + b; +\"c d\" BLOB; e",
     "slot=v:FLOAT[3]; a0=a:TEXT:TEXT; a1=b::BLOB; a2=c d:BLOB:BLOB; m0=e::BLOB"},
    {"\"a \"\"b\"\"\" FLOAT[3]; `c``d` TEXT; [e f] INT; 'it''s' REAL",
     "slot=a \"b\":FLOAT[3]; m0=c`d:TEXT:TEXT; m1=e f:INT:INTEGER; m2=it's:REAL:REAL"},
    {"v FLOAT[3]; \xc3\xa9t\xc3\xa9 TEXT; a$1 INT; _b",
     "slot=v:FLOAT[3]; m0=\xc3\xa9t\xc3\xa9:TEXT:TEXT; m1=a$1:INT:INTEGER; m2=_b::BLOB"},
    {"v FLOAT[3]; bits INTEGER; metric TEXT; \"rows\" PARTITION KEY",
     "slot=v:FLOAT[3]; m0=bits:INTEGER:INTEGER; m1=metric:TEXT:TEXT; p0=rows::BLOB"},
    {"/* of words */ v -- as in word2vec\n FLOAT[3] /* dim */; a /* never */ -- closed", "slot=v:FLOAT[3]; m0=a::BLOB"},
    {"v FLOAT[3]; \"unique\" TEXT; indexed; slot INTEGER; id TEXT; key",
     "slot=v:FLOAT[3]; m0=unique:TEXT:TEXT; m1=indexed::BLOB; m2=slot:INTEGER:INTEGER; "
     "m3=id:TEXT:TEXT; m4=key::BLOB"},
    {"v FLOAT[3]; a TEXT /* open", "slot=v:FLOAT[3]; m0=a:TEXT:TEXT"},
    {"\tv\nFLOAT[3]\r\n; a\t\tTEXT ", "slot=v:FLOAT[3]; m0=a:TEXT:TEXT"},
};

static void test_columns(void **state) {
    (void)state;
    for (size_t i = 0; i < TQ_COUNT(good); i++) check(good[i][0], good[i][1]);
}

static const char *const bad[][2] = {
    {"", "no vector column is declared, as in USING tq(embedding FLOAT[100])"},
    {"bits=4", "no vector column is declared, as in USING tq(embedding FLOAT[100])"},
    {"embedding", "no vector column is declared, as in USING tq(embedding FLOAT[100])"},
    {"embedding FLOAT", "no vector column is declared, as in USING tq(embedding FLOAT[100])"},
    {"embedding FLOAT[]", "\"embedding FLOAT[]\": the dimension must be 1 to 65536"},
    {"embedding FLOAT()", "\"embedding FLOAT()\": the dimension must be 1 to 65536"},
    {"embedding FLOAT[0]", "\"embedding FLOAT[0]\": the dimension must be 1 to 65536"},
    {"embedding FLOAT[65537]", "\"embedding FLOAT[65537]\": the dimension must be 1 to 65536"},
    {"embedding FLOAT[3 4]", "\"embedding FLOAT[3 4]\": the dimension must be 1 to 65536"},
    {"embedding FLOAT[-3]", "\"embedding FLOAT[-3]\": the dimension is missing, as in embedding FLOAT[100]"},
    {"embedding FLOAT[3", "\"embedding FLOAT[3\": the dimension is missing, as in embedding FLOAT[100]"},
    {"embedding FLOAT[3)", "\"embedding FLOAT[3)\": the dimension is missing, as in embedding FLOAT[100]"},
    {"embedding FLOAT[99999999999999999999]",
     "\"embedding FLOAT[99999999999999999999]\": the dimension must be 1 to 65536"},
    {"embedding VECTOR", "\"embedding VECTOR\": the dimension is missing, as in embedding FLOAT[100]"},
    {"embedding F32 INDEXED", "\"embedding F32 INDEXED\": the dimension is missing, as in embedding FLOAT[100]"},
    {"embedding TEXT[3]", "\"embedding TEXT[3]\": a vector column is declared as embedding FLOAT[100]"},
    {"embedding[3]", "\"embedding[3]\": a vector column is declared as embedding FLOAT[100]"},
    {"+embedding FLOAT[3]", "\"+embedding FLOAT[3]\": a vector column is declared without +"},
    {"v FLOAT[3] NOT NULL", "\"v FLOAT[3] NOT NULL\": NOT NULL is not supported in a tq table"},
    {"v FLOAT[3] INDEXED", "\"v FLOAT[3] INDEXED\": after FLOAT[100] come options, as in metric=ip bits=3, or nothing"},
    {"v FLOAT[3] metric", "\"v FLOAT[3] metric\": after FLOAT[100] come options, as in metric=ip bits=3, or nothing"},
    {"v FLOAT[3] metric=", "\"v FLOAT[3] metric=\": an option is written as bits=4"},
    {"v FLOAT[3] metric=euclid", "metric is \"euclid\"; it must be cosine, ip or l2"},
    {"v FLOAT[3] distance_metric=l1", "distance_metric is \"l1\"; it must be cosine, ip or l2"},
    {"v FLOAT[3] colour=red", "unknown option \"colour\"; there are bits, metric, rows, qjl and seed"},
    {"v FLOAT[3] bits=3, 4",
     "\"v FLOAT[3] bits=3, 4\": after FLOAT[100] come options, as in metric=ip bits=3, or nothing"},
    {"v FLOAT[3]; bits=0", "bits is \"0\"; it must be 1 to 9"},
    {"v FLOAT[3]; bits=10", "bits is \"10\"; it must be 1 to 9"},
    {"v FLOAT[3]; bits=four", "bits is \"four\"; it must be 1 to 9"},
    {"v FLOAT[3]; bits=99999999999999999999", "bits is \"99999999999999999999\"; it must be 1 to 9"},
    {"v FLOAT[3]; bits", "\"bits\": an option is written as bits=4"},
    {"v FLOAT[3]; bits=4 5", "\"bits=4 5\": an option is written as bits=4"},
    {"v FLOAT[3]; bits=-1", "\"bits=-1\": an option is written as bits=4"},
    {"v FLOAT[3]; qjl=2", "qjl is \"2\"; it must be 0 to 1"},
    {"v FLOAT[3]; seed=9223372036854775808", "seed is \"9223372036854775808\"; it must be 0 to 9223372036854775807"},
    {"v FLOAT[3]; rows=f64", "rows is \"f64\"; it must be f32, f16 or none"},
    {"v FLOAT[3]; colour=red", "unknown option \"colour\"; there are bits, metric, rows, qjl and seed"},
    {"score FLOAT[3]", "\"score\" is reserved; call the column something else"},
    {"v FLOAT[3]; Distance REAL", "\"Distance\" is reserved; call the column something else"},
    {"v FLOAT[3]; \"rank\"", "\"rank\" is reserved; call the column something else"},
    {"v FLOAT[3]; +k", "\"k\" is reserved; call the column something else"},
    {"rowid INTEGER PRIMARY KEY; v FLOAT[3]", "\"rowid\" is reserved; call the column something else"},
    {"v FLOAT[3]; oid", "\"oid\" is reserved; call the column something else"},
    {"v FLOAT[3]; _ROWID_", "\"_ROWID_\" is reserved; call the column something else"},
    {"v FLOAT[3]; V TEXT", "column \"V\" is declared twice"},
    {"v FLOAT[3]; a; +\"A\"", "column \"A\" is declared twice"},
    {"v FLOAT[3]; id BIGINT PRIMARY KEY", "\"id BIGINT PRIMARY KEY\": a primary key is INTEGER or TEXT"},
    {"v FLOAT[3]; id PRIMARY KEY", "\"id PRIMARY KEY\": a primary key is INTEGER or TEXT"},
    {"v FLOAT[3]; id TEXT(20) PRIMARY KEY", "\"id TEXT(20) PRIMARY KEY\": a primary key is INTEGER or TEXT"},
    {"v FLOAT[3]; id INTEGER PRIMARY KEY; key TEXT PRIMARY KEY", "a table has one primary key; \"key\" is the second"},
    {"v FLOAT[3]; key TEXT PRIMARY KEY; id INTEGER PRIMARY KEY", "a table has one primary key; \"id\" is the second"},
    {"v FLOAT[3]; id INTEGER PRIMARY KEY AUTOINCREMENT",
     "\"id INTEGER PRIMARY KEY AUTOINCREMENT\": AUTOINCREMENT is not supported in a tq table"},
    {"v FLOAT[3]; id INTEGER PRIMARY",
     "\"id INTEGER PRIMARY\": after the type comes INDEXED, PARTITION KEY, PRIMARY KEY or nothing"},
    {"v FLOAT[3]; id INTEGER PARTITION BY",
     "\"id INTEGER PARTITION BY\": after the type comes INDEXED, PARTITION KEY, PRIMARY KEY or nothing"},
    {"v FLOAT[3]; id INTEGER INDEXED PARTITION KEY",
     "\"id INTEGER INDEXED PARTITION KEY\": a column is INDEXED, a PARTITION KEY or a PRIMARY KEY, once"},
    {"v FLOAT[3]; id TEXT PRIMARY KEY PRIMARY KEY",
     "\"id TEXT PRIMARY KEY PRIMARY KEY\": a column is INDEXED, a PARTITION KEY or a PRIMARY KEY, once"},
    {"v FLOAT[3]; +a TEXT INDEXED", "\"+a TEXT INDEXED\": a column with + is neither INDEXED nor a key"},
    {"v FLOAT[3]; +a TEXT PRIMARY KEY", "\"+a TEXT PRIMARY KEY\": a column with + is neither INDEXED nor a key"},
    {"v FLOAT[3]; a TEXT NOT NULL", "\"a TEXT NOT NULL\": NOT NULL is not supported in a tq table"},
    {"v FLOAT[3]; a TEXT UNIQUE", "\"a TEXT UNIQUE\": UNIQUE is not supported in a tq table"},
    {"v FLOAT[3]; a TEXT DEFAULT 'x'", "\"a TEXT DEFAULT 'x'\": DEFAULT is not supported in a tq table"},
    {"v FLOAT[3]; a INT CHECK (a > 3)", "\"a INT CHECK (a > 3)\": CHECK is not supported in a tq table"},
    {"v FLOAT[3]; a TEXT COLLATE NOCASE", "\"a TEXT COLLATE NOCASE\": COLLATE is not supported in a tq table"},
    {"v FLOAT[3]; a INT REFERENCES t(id)", "\"a INT REFERENCES t(id)\": REFERENCES is not supported in a tq table"},
    {"v FLOAT[3]; a INT GENERATED ALWAYS AS (1)",
     "\"a INT GENERATED ALWAYS AS (1)\": GENERATED is not supported in a tq table"},
    {"v FLOAT[3]; a INT AS (1)", "\"a INT AS (1)\": AS is not supported in a tq table"},
    {"v FLOAT[3]; a INT HIDDEN", "\"a INT HIDDEN\": HIDDEN is not supported in a tq table"},
    {"v FLOAT[3]; a TEXT INDEXED COLLATE NOCASE",
     "\"a TEXT INDEXED COLLATE NOCASE\": COLLATE is not supported in a tq table"},
    {"v FLOAT[3]; a TEXT CONSTRAINT c UNIQUE",
     "\"a TEXT CONSTRAINT c UNIQUE\": CONSTRAINT is not supported in a tq table"},
    {"v FLOAT[3]; a TEXT PARTITION UNIQUE", "\"a TEXT PARTITION UNIQUE\": UNIQUE is not supported in a tq table"},
    {"v FLOAT[3]; CONSTRAINT c CHECK (a > 3)",
     "\"CONSTRAINT c CHECK (a > 3)\": CONSTRAINT is not supported in a tq table"},
    {"v FLOAT[3]; UNIQUE(a)", "\"UNIQUE(a)\": UNIQUE is not supported in a tq table"},
    {"v FLOAT[3]; check (a > 3)", "\"check (a > 3)\": check is not supported in a tq table"},
    {"v FLOAT[3]; FOREIGN KEY (a) REFERENCES t(id)",
     "\"FOREIGN KEY (a) REFERENCES t(id)\": FOREIGN is not supported in a tq table"},
    {"v FLOAT[3]; PRIMARY KEY (a)",
     "\"PRIMARY KEY (a)\": a primary key is declared as id INTEGER PRIMARY KEY or key TEXT PRIMARY KEY"},
    {"v FLOAT[3]; a TEXT INDEXED 5",
     "\"a TEXT INDEXED 5\": after the type comes INDEXED, PARTITION KEY, PRIMARY KEY or nothing"},
    {"v FLOAT[3]; a \"TEXT\"", "\"a \"TEXT\"\": after the type comes INDEXED, PARTITION KEY, PRIMARY KEY or nothing"},
    {"v FLOAT[3]; a VARCHAR(x)",
     "\"a VARCHAR(x)\": a type is words, then perhaps numbers, as in DECIMAL(10,2), 255 bytes at most"},
    {"v FLOAT[3]; a VARCHAR(20",
     "\"a VARCHAR(20\": a type is words, then perhaps numbers, as in DECIMAL(10,2), 255 bytes at most"},
    {"v FLOAT[3]; a INT 5",
     "\"a INT 5\": a type is words, then perhaps numbers, as in DECIMAL(10,2), 255 bytes at most"},
    {"v FLOAT[3]; a $x", "\"a $x\": a type is words, then perhaps numbers, as in DECIMAL(10,2), 255 bytes at most"},
    {"v FLOAT[3]; a VARCHAR(20) LONG",
     "\"a VARCHAR(20) LONG\": after the type comes INDEXED, PARTITION KEY, PRIMARY KEY or nothing"},
    {"v FLOAT[3]; a (20)", "\"a (20)\": after the type comes INDEXED, PARTITION KEY, PRIMARY KEY or nothing"},
    {"v FLOAT[3]; \"\" TEXT", "\"\"\" TEXT\": a column has a name of 1 to 255 bytes, as in title TEXT"},
    {"v FLOAT[3]; \"open TEXT", "\"\"open TEXT\": a column has a name of 1 to 255 bytes, as in title TEXT"},
    {"v FLOAT[3]; [open TEXT", "\"[open TEXT\": a column has a name of 1 to 255 bytes, as in title TEXT"},
    {"v FLOAT[3]; -5 TEXT", "\"-5 TEXT\": a column has a name of 1 to 255 bytes, as in title TEXT"},
    {"v FLOAT[3]; +", "\"+\": a column has a name of 1 to 255 bytes, as in title TEXT"},
    {"v FLOAT[3]; *", "\"*\": a column has a name of 1 to 255 bytes, as in title TEXT"},
};

static void test_errors(void **state) {
    (void)state;
    for (size_t i = 0; i < TQ_COUNT(bad); i++) check(bad[i][0], bad[i][1]);
}

static void test_limits(void **state) {
    (void)state;
    static const struct {
        int count;
        const char *format, *error;
    } limits[] = {{254, ";c%d TEXT", NULL},
                  {255, ";c%d TEXT", "a table has at most 255 columns"},
                  {300, ";+c%d", "a table has at most 255 columns"},
                  {15, ";c%d FLOAT[2]", NULL},
                  {16, ";c%d FLOAT[2]", "a table has at most 16 vector columns"},
                  {16, ";c%d PARTITION KEY", NULL},
                  {17, ";c%d PARTITION KEY", "a table has at most 16 partition keys"},
                  {300, ";bits=4", NULL}};
    for (size_t i = 0; i < TQ_COUNT(limits); i++) {
        struct tq_declaration declaration;
        char *text = many(limits[i].count, limits[i].format);
        enum tq_status status = read_text(text, &declaration);
        assert_int_equal(status, limits[i].error == NULL ? TQ_OK : TQ_MISUSE);
        if (limits[i].error != NULL) assert_string_equal(tq_message(), limits[i].error);
        sqlite3_free(text);
        tq_declaration_free(&declaration);
    }
}

/* Up to 255 bytes, and no byte of them is lost. */
static void check_size(const char *format, int letters, int size) {
    struct tq_declaration declaration;
    char *text = sqlite3_mprintf(format, letters, 'T');
    assert_int_equal(read_text(text, &declaration), size <= 255 ? TQ_OK : TQ_MISUSE);
    if (size <= 255) {
        const struct tq_sql_column *column = &declaration.columns[1];
        assert_int_equal(strlen(column->name[1] == 0 ? column->type : column->name), size);
    }
    sqlite3_free(text);
    tq_declaration_free(&declaration);
}

static void test_long_words(void **state) {
    (void)state;
    for (int size = 254; size <= 256; size++) {
        static const char *const forms[] = {"v FLOAT[3];\"%.*c\"", "v FLOAT[3];%.*c", "v FLOAT[3];a %.*c"};
        for (size_t i = 0; i < TQ_COUNT(forms); i++) check_size(forms[i], size, size);
        check_size("v FLOAT[3];a %.*c(1)", size - 3, size);
        check_size("v FLOAT[3];a T %.*c", size - 2, size);
    }
}

/* ---- What SQLite is told ---- */

static const char all_kinds[] =
    "tenant INTEGER PARTITION KEY; v FLOAT[3]; a; title VARCHAR(20) INDEXED; id INT PRIMARY KEY;"
    "w FLOAT[4]; +body TEXT; \"x \"\"y\" REAL; u VECTOR(5); region PARTITION KEY; n DECIMAL(5,2)";

static void test_texts(void **state) {
    (void)state;
    struct tq_declaration declaration;
    assert_int_equal(read_text(all_kinds, &declaration), TQ_OK);
    assert_int_equal(declaration.count, 11);
    assert_int_equal(declaration.vectors, 3);
    assert_int_equal(declaration.metadata, 4);
    assert_int_equal(declaration.partitions, 2);
    assert_int_equal(declaration.apart, 1);
    assert_int_equal(declaration.id, 4);
    assert_int_equal(declaration.key, -1);
    assert_string_equal(tq_declaration_vector(&declaration, 0)->name, "v");
    assert_string_equal(tq_declaration_vector(&declaration, 2)->name, "u");
    assert_null(tq_declaration_vector(&declaration, 3));
    char *text = tq_declaration_text(&declaration, "my \"docs\"");
    assert_string_equal(
        text, "CREATE TABLE x(\"tenant\" INTEGER, \"v\" FLOAT[3] BLOB, \"a\", \"title\" VARCHAR(20),"
              " \"id\" INTEGER PRIMARY KEY, \"w\" FLOAT[4] BLOB, \"body\" TEXT, \"x \"\"y\" REAL,"
              " \"u\" FLOAT[5] BLOB, \"region\", \"n\" DECIMAL(5,2), \"my \"\"docs\"\"\" HIDDEN, k INTEGER HIDDEN,"
              " score REAL HIDDEN, distance REAL HIDDEN)");
    sqlite3_free(text);
    text = tq_declaration_more_columns(&declaration);
    assert_string_equal(text, ", slot1 INTEGER, slot2 INTEGER, m0, m1 TEXT, m2 REAL, m3 NUMERIC, p0 INTEGER, p1");
    sqlite3_free(text);
    tq_declaration_free(&declaration);

    assert_int_equal(read_text("v FLOAT[3]", &declaration), TQ_OK);
    assert_int_equal(declaration.id, -1);
    text = tq_declaration_more_columns(&declaration);
    assert_string_equal(text, "");
    sqlite3_free(text);
    tq_declaration_free(&declaration);

    assert_int_equal(read_text("a TEXT; v FLOAT[3]; path TEXT PRIMARY KEY", &declaration), TQ_OK);
    assert_int_equal(declaration.key, 2);
    text = tq_declaration_more_columns(&declaration);
    assert_string_equal(text, ", key TEXT UNIQUE, m0 TEXT");
    sqlite3_free(text);
    text = tq_declaration_text(&declaration, "t");
    assert_string_equal(text,
                        "CREATE TABLE x(\"a\" TEXT, \"v\" FLOAT[3] BLOB, \"path\" TEXT, \"t\" HIDDEN, k INTEGER HIDDEN,"
                        " score REAL HIDDEN, distance REAL HIDDEN)");
    sqlite3_free(text);
    tq_declaration_free(&declaration);
}

/* SQLite takes both texts, and sees the affinities that we do. */
static void test_sqlite_agrees(void **state) {
    static const char *const types[] = {
        "",        "TEXT",     "CHARINT", "INT",    "BIGINT", "CLOB",    "TEXTBLOB",
        "VARCHAR", "REALBLOB", "DOUBLE",  "FLOAT",  "NUMBER", "BOOLEAN", "FLOATING POINT",
        "STRING",  "DATE",     "JSON",    "REALLY", "BLOB",   "ANY",     "DECIMAL(10,2)"};
    sqlite3 *db = *state;
    for (size_t i = 0; i < TQ_COUNT(types); i++) {
        struct tq_declaration declaration;
        sqlite3_stmt *statement = NULL;
        char *arguments = sqlite3_mprintf("v FLOAT[3];a %s", types[i]);
        assert_int_equal(read_text(arguments, &declaration), TQ_OK);
        char *more = tq_declaration_more_columns(&declaration);
        char *sql = sqlite3_mprintf(
            "DROP TABLE IF EXISTS ours; CREATE TABLE ours(id INTEGER PRIMARY KEY, slot INTEGER%s);"
            "DROP TABLE IF EXISTS theirs; CREATE TABLE theirs(id, slot, a %s);"
            "INSERT INTO ours VALUES (1, 2, '5.0'), (2, 2, 7), (3, 2, 'x'), (4, 2, 0.5);"
            "INSERT INTO theirs SELECT 1, 2, '5.0' UNION ALL SELECT 2, 2, 7"
            " UNION ALL SELECT 3, 2, 'x' UNION ALL SELECT 4, 2, 0.5;",
            more, types[i]);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(
            sqlite3_prepare_v2(db, "SELECT typeof(m0) || m0 FROM ours EXCEPT SELECT typeof(a) || a FROM theirs", -1,
                               &statement, NULL),
            SQLITE_OK);
        if (sqlite3_step(statement) != SQLITE_DONE) fail_msg("%s has another affinity", types[i]);
        (void)sqlite3_finalize(statement);
        sqlite3_free(sql);
        sqlite3_free(more);
        sqlite3_free(arguments);
        tq_declaration_free(&declaration);
    }
}

static void test_check_name(void **state) {
    (void)state;
    struct tq_declaration declaration;
    assert_int_equal(read_text("v FLOAT[3]; title TEXT", &declaration), TQ_OK);
    assert_int_equal(tq_declaration_check_name(&declaration, "docs"), TQ_OK);
    assert_int_equal(tq_declaration_check_name(&declaration, "Title"), TQ_MISUSE);
    assert_string_equal(tq_message(), "the column cannot have the table's name, \"Title\"");
    assert_int_equal(tq_declaration_check_name(&declaration, "Score"), TQ_MISUSE);
    assert_string_equal(tq_message(),
                        "a table cannot be called \"Score\": each has a hidden column of that name, or its rowid");
    assert_int_equal(tq_declaration_check_name(&declaration, "k"), TQ_MISUSE);
    assert_int_equal(tq_declaration_check_name(&declaration, "distance"), TQ_MISUSE);
    tq_declaration_free(&declaration);
}

/* ---- Whatever comes ---- */

static void read_anything(const char *text) {
    struct tq_declaration declaration;
    if (read_text(text, &declaration) == TQ_OK) {
        char *made = tq_declaration_text(&declaration, "t"), *more = tq_declaration_more_columns(&declaration);
        assert_non_null(made);
        assert_non_null(more);
        sqlite3_free(made);
        sqlite3_free(more);
    }
    tq_declaration_free(&declaration);
}

static void test_prefixes(void **state) {
    (void)state;
    static const char *const texts[] = {
        all_kinds, "v FLOAT[ 300 ] metric='ip' /* a */ bits=3 -- b\n rows = f16; `a``b` [c d] (1,2)",
        "+\"a \"\" b\" VARYING CHARACTER (20) NULL; id INTEGER PRIMARY KEY; b DEFAULT (3)"};
    char prefix[400];
    for (size_t i = 0; i < TQ_COUNT(texts); i++) {
        for (size_t size = 0; size <= strlen(texts[i]); size++) {
            (void)snprintf(prefix, sizeof prefix, "v0 FLOAT[3];%.*s", (int)size, texts[i]);
            read_anything(prefix);
            (void)snprintf(prefix, sizeof prefix, "v0 FLOAT[3];%s", texts[i] + size);
            read_anything(prefix);
        }
    }
}

static void test_random(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "v",   "FLOAT",   "[3]", "(3)", "(1,2)", "=",   "bits",    "3",    "metric", "ip",        "TEXT", "KEY",
        "NOT", "PRIMARY", "+",   "\"",  "'",     "`",   "[",       "]",    "(",      ")",         ";",    " ",
        " ",   "--",      "/*",  "*/",  "\n",    "INT", "INDEXED", "NULL", "\xff",   "PARTITION", "$",    "a"};
    char text[500];
    uint64_t drawn = 0;
    for (int round = 0; round < 40000; round++) {
        size_t length = (size_t)snprintf(text, sizeof text, "%s", round % 2 == 0 ? "v FLOAT[3];" : "");
        for (uint32_t count = tq_rng_below(1, 0, drawn++, 30); count > 0; count--) {
            if (round % 4 == 3)
                text[length++] = (char)(1 + tq_rng_below(1, 0, drawn++, 255));
            else
                length += (size_t)snprintf(text + length, sizeof text - length, "%s",
                                           pieces[tq_rng_below(1, 0, drawn++, TQ_COUNT(pieces))]);
        }
        text[length] = 0;
        read_anything(text);
    }
}

static void test_out_of_memory(void **state) {
    (void)state;
    struct tq_declaration declaration;
    enum tq_status status = TQ_NOMEM;
    int failures = 0;
    for (long n = 1; status != TQ_OK; n++) {
        tq_alloc_fail_after(n);
        status = read_text(all_kinds, &declaration);
        tq_alloc_fail_after(0);
        tq_declaration_free(&declaration);
        if (status != TQ_OK) assert_int_equal(status, TQ_NOMEM);
        failures += status != TQ_OK;
    }
    assert_int_equal(failures, 1 + 2 * 11);
}

static int set_up(void **state) {
    sqlite3 *db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) return -1; /* and with it the extension knows SQLite */
    *state = db;
    return 0;
}

static int tear_down(void **state) { return sqlite3_close(*state); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),       cmocka_unit_test(test_errors),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_words),    cmocka_unit_test(test_texts),    cmocka_unit_test(test_sqlite_agrees),
        cmocka_unit_test(test_check_name),    cmocka_unit_test(test_prefixes), cmocka_unit_test(test_random),
        cmocka_unit_test(test_out_of_memory),
    };
    if (sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) != SQLITE_OK) return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
