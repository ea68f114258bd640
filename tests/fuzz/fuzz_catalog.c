/* A hostile database with its folder. The input overwrites values of the tables that a tq table keeps, and bytes of the
 * values in the folder; then everything a user may do is done. Errors are fine, and wrong rows: what the catalog says
 * cannot be checked against anything.
 *
 * Two tables are made once, one with segments, dead rows and a log, one with partitions; each input gets a copy of
 * them. LMDB's own pages are left alone: damage there is LMDB's to find. Sums may be put right, so that what they guard
 * is read. TMPDIR should be in memory. */
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sql/tq_sqlite.h"
#include "src/base/base.h"
#include "storage/chunk.h"
#include "storage/directory.h"
#include "storage/log_record.h"
#include "tests/fuzz/fuzz.h"
#include "tests/reseal.h"

enum { PAGE = 4096, CHANGES_MAX = 24 };

static char folder[2048];

static void path_of(char path[4096], const char *name) { (void)snprintf(path, 4096, "%s/%s", folder, name); }

/* ---- The pattern ---- */

static const char *const pattern[] = {
    "CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[3], second FLOAT[2] metric=l2 rows=none, lang TEXT,"
    " price REAL INDEXED, +body TEXT)",
    "INSERT INTO docs(rowid, embedding, second, lang, price, body)"
    " WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 48)"
    " SELECT i, json_array(i % 7 - 3, i % 5, 1), CASE WHEN i % 6 THEN json_array(i % 3, i) END, 'l' || (i % 4),"
    " i * 0.5, 'b' || i FROM c",
    "INSERT INTO docs(docs) VALUES ('optimize')",
    "DELETE FROM docs WHERE rowid % 10 = 3",
    "INSERT INTO docs(rowid, embedding, second)"
    " VALUES (100, '[1,2,3]', '[1,2]'), (101, '[3,2,1]', NULL), (102, NULL, NULL)",
    "INSERT INTO docs_gc VALUES (0, 1, x'0100000000010000', 0)",
    "CREATE VIRTUAL TABLE parted USING tq(key TEXT PRIMARY KEY, embedding FLOAT[3], tenant INTEGER PARTITION KEY)",
    "INSERT INTO parted SELECT 'k' || id, embedding, id % 3 FROM (SELECT rowid AS id, embedding FROM docs LIMIT 12)",
};

struct content {
    uint8_t *bytes;
    size_t size;
};
static struct content database, values;
static size_t places[200]; /* where chunks and directories begin in the folder's file */
static size_t place_count;

static struct content read_file(const char *name) {
    char path[4096];
    struct stat info;
    path_of(path, name);
    int file = open(path, O_RDONLY);
    fuzz_require(file >= 0 && fstat(file, &info) == 0, "a file of the pattern");
    struct content content = {malloc((size_t)info.st_size), (size_t)info.st_size};
    fuzz_require(content.bytes != NULL && read(file, content.bytes, content.size) == (ssize_t)content.size,
                 "a file of the pattern");
    (void)close(file);
    return content;
}

/* With holes where there is nothing but zeros: that is most of a chunk. */
static void write_file(const char *name, const struct content *content) {
    static const uint8_t zeros[PAGE];
    char path[4096];
    path_of(path, name);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    fuzz_require(file >= 0 && ftruncate(file, (off_t)content->size) == 0, "a copy");
    for (size_t at = 0; at < content->size; at += PAGE) {
        size_t size = tq_min_size(PAGE, content->size - at);
        if (memcmp(content->bytes + at, zeros, size) != 0)
            fuzz_require(pwrite(file, content->bytes + at, size, (off_t)at) == (ssize_t)size, "a copy");
    }
    (void)close(file);
}

static sqlite3 *open_database(void) {
    char path[4096];
    sqlite3 *db = NULL;
    path_of(path, "db");
    fuzz_require(sqlite3_open(path, &db) == SQLITE_OK, "a database");
    (void)sqlite3_exec(db, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF", NULL, NULL, NULL);
    return db;
}

static bool is_directory(const uint8_t *value) {
    const uint64_t magic = TQ_DIRECTORY_MAGIC;
    return memcmp(value, &magic, sizeof magic) == 0;
}

/* Of the size that it has in the pattern: LMDB keeps it apart. */
static uint64_t directory_sum(size_t place, const uint8_t *value) {
    struct tq_directory_head head;
    memcpy(&head, values.bytes + place, sizeof head);
    return place + head.size <= values.size ? tq_chunk_hash(value, head.size) : 0;
}

/* A chunk, or a directory that is whole: LMDB leaves remains of small values in its pages, where others follow. */
static bool is_place(sqlite3_stmt *named, size_t at) {
    const uint64_t chunk = TQ_CHUNK_MAGIC;
    if (memcmp(values.bytes + at, &chunk, sizeof chunk) == 0) return true;
    if (!is_directory(values.bytes + at)) return false;
    (void)sqlite3_bind_int64(named, 1, (int64_t)directory_sum(at, values.bytes + at));
    bool found = sqlite3_step(named) == SQLITE_ROW;
    (void)sqlite3_reset(named);
    return found;
}

static void find_places(void) {
    sqlite3 *db = open_database();
    sqlite3_stmt *named = NULL;
    fuzz_require(sqlite3_prepare_v2(db, "SELECT 1 FROM docs_seg WHERE dir_sum = ?1", -1, &named, NULL) == SQLITE_OK,
                 "the segments of the pattern");
    for (size_t at = 0; at + sizeof(struct tq_directory_head) <= values.size && place_count < TQ_COUNT(places); at += 2)
        if (is_place(named, at)) places[place_count++] = at;
    fuzz_require(place_count >= 5 && place_count < TQ_COUNT(places), "values in the folder");
    (void)sqlite3_finalize(named);
    (void)sqlite3_close(db);
}

static void remove_all(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir == NULL ? NULL : readdir(dir); entry != NULL; entry = readdir(dir)) {
        char inner[4096];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner) continue;
        if (unlink(inner) != 0) remove_all(inner);
    }
    if (dir != NULL) (void)closedir(dir);
    (void)rmdir(path);
}

static void remove_folder(void) { remove_all(folder); }

static void make_pattern(void) {
    const char *outer = getenv("TMPDIR");
    if (database.bytes != NULL) return;
    (void)snprintf(folder, sizeof folder, "%s/tq-fuzz-XXXXXX", outer == NULL ? "/tmp" : outer);
    fuzz_require(mkdtemp(folder) != NULL && atexit(remove_folder) == 0, "a temporary folder");
    fuzz_require(sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) == SQLITE_OK, "the extension");
    sqlite3 *db = open_database();
    for (size_t i = 0; i < TQ_COUNT(pattern); i++)
        fuzz_require(sqlite3_exec(db, pattern[i], NULL, NULL, NULL) == SQLITE_OK, pattern[i]);
    fuzz_require(sqlite3_close(db) == SQLITE_OK, "closing");
    database = read_file("db");
    values = read_file("db-tq/data.mdb");
    find_places();
}

static void copy_pattern(void) {
    write_file("db", &database);
    write_file("db-tq/data.mdb", &values);
}

/* ---- Overwriting ---- */

static const char *const tables[] = {"docs", "parted"};
static const char *const columns[] = {
    "rows.id",     "rows.slot",    "rows.slot1",  "rows.m0",       "rows.m1",       "rows.p0",      "log.seq",
    "log.op",      "log.id",       "log.slot",    "log.rec",       "seg.slot0",     "seg.slot1",    "seg.rows",
    "seg.dead",    "seg.dir",      "seg.dir_sum", "seg.bits",      "gc.part",       "gc.version",   "gc.keys",
    "state.part",  "state.format", "state.codec", "state.uuid",    "state.number",  "state.dim",    "state.metric",
    "state.bits",  "state.qjl",    "state.exact", "state.seed",    "state.version", "state.serial", "state.flushes",
    "state.nonce", "state.next",   "state.seq",   "state.changes", "aux.id",        "aux.a0",       "parts.part",
    "parts.p0",
};

/* The text with a table's name for @ and a number for #; sqlite3_free. */
static char *fill_in(const char *text, const char *table, int number) {
    sqlite3_str *out = sqlite3_str_new(NULL);
    for (; *text != 0; text++) {
        if (*text == '@')
            sqlite3_str_appendall(out, table);
        else if (*text == '#')
            sqlite3_str_appendf(out, "%d", number);
        else
            sqlite3_str_appendchar(out, 1, *text);
    }
    char *made = sqlite3_str_finish(out);
    fuzz_require(made != NULL, "memory");
    return made;
}

/* Set a value: what the expression `value` makes of ?1, the old value being called old. NULL where there is no such
 * column. */
static sqlite3_stmt *overwrite(sqlite3 *db, const char *column, const char *table, unsigned row, const char *value) {
    sqlite3_stmt *statement = NULL;
    int length = (int)strcspn(column, ".");
    const char *name = column + length + 1;
    char *text = sqlite3_mprintf("UPDATE OR REPLACE @_%.*s SET %s = (SELECT %s FROM (SELECT %s AS old)) WHERE rowid ="
                                 " (SELECT rowid FROM @_%.*s ORDER BY rowid LIMIT 1 OFFSET #)",
                                 length, column, name, value, name, length, column);
    char *sql = fill_in(text, table, (int)row);
    (void)sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    sqlite3_free(text);
    return statement;
}

static void change_value(sqlite3 *db, struct fuzz_input *input) {
    static const int64_t numbers[] = {0,         1,         -1,        INT64_MAX, INT64_MIN, 1 << 24,
                                      65536,     1LL << 40, 1LL << 62, INT32_MAX, INT32_MIN, UINT32_MAX,
                                      2LL << 40, 3LL << 40, 65535,     16777215};
    static const char *const ways[] = {"?1", "old + ?1", "?1", "CAST(?1 AS TEXT)", "?1", "NULL", "old * ?1", "?1"};
    const char *column = columns[fuzz_byte(input) % TQ_COUNT(columns)];
    unsigned row = fuzz_byte(input), way = fuzz_byte(input) % 8u;
    sqlite3_stmt *statement = overwrite(db, column, tables[row / 64 % 2], row % 64, ways[way]);
    if (statement == NULL) return;
    size_t size = 0;
    switch (way) {
    case 0: (void)sqlite3_bind_int64(statement, 1, (int8_t)fuzz_byte(input)); break;
    case 2: (void)sqlite3_bind_int64(statement, 1, numbers[fuzz_byte(input) % TQ_COUNT(numbers)]); break;
    case 4: {
        const uint8_t *blob = fuzz_bytes(input, fuzz_byte(input), &size);
        (void)sqlite3_bind_blob(statement, 1, blob, (int)size, SQLITE_TRANSIENT);
        break;
    }
    case 7: (void)sqlite3_bind_double(statement, 1, (double)(int64_t)fuzz_number(input, 8)); break;
    default: (void)sqlite3_bind_int64(statement, 1, (int64_t)fuzz_number(input, way == 1 ? 1 : 8)); break;
    }
    (void)sqlite3_step(statement); /* NOT NULL, or a key that is no integer */
    (void)sqlite3_finalize(statement);
}

/* Rows more or fewer, or taken from elsewhere. */
static void change_rows(sqlite3 *db, struct fuzz_input *input) {
    static const char *const statements[] = {
        "DELETE FROM @_rows WHERE id = #",
        "DELETE FROM @_log WHERE rowid IN (SELECT rowid FROM @_log LIMIT 1 OFFSET #)",
        "DELETE FROM @_seg WHERE rowid IN (SELECT rowid FROM @_seg LIMIT 1 OFFSET #)",
        "DELETE FROM @_state WHERE part = #",
        "DELETE FROM @_parts WHERE part = #",
        "DELETE FROM @_aux WHERE id = #",
        "INSERT OR IGNORE INTO @_log SELECT seq + #, op, id, slot, rec FROM @_log",
        "INSERT OR IGNORE INTO @_log SELECT seq + 1, 3 - op, id, slot + #, rec FROM @_log",
        "INSERT OR IGNORE INTO @_seg SELECT slot1 + #, slot1 + # + 48, rows, dead, dir, dir_sum, bits, sum FROM @_seg",
        "INSERT OR IGNORE INTO @_rows(id, slot) SELECT id + 50, slot + # FROM @_rows",
        "INSERT OR IGNORE INTO @_parts SELECT part + #, p0 + 1 FROM @_parts",
        "UPDATE @_seg SET dead = 1, bits = x'0#00'",
        "UPDATE @_seg SET dead = rows, bits = x'ffffffffffffffffff0#'",
        "UPDATE @_rows SET slot = slot1, slot1 = slot WHERE id > #",
        "UPDATE @_state SET number = number + #",
        "DROP TABLE @_aux /* # */",
    };
    const char *text = statements[fuzz_byte(input) % TQ_COUNT(statements)];
    int number = fuzz_byte(input);
    char *sql = fill_in(text, tables[number / 16 % 2], number % 10);
    (void)sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
}

/* A record of the log with other bytes and a sum that fits. */
static void change_record(sqlite3 *db, struct fuzz_input *input) {
    sqlite3_stmt *statement = NULL;
    struct tq_format format;
    uint8_t *blob = NULL;
    unsigned row = fuzz_byte(input) % 8u;
    if (sqlite3_prepare_v2(db, "SELECT seq, id, slot, rec FROM docs_log WHERE op = 1 ORDER BY seq LIMIT 1 OFFSET ?1",
                           -1, &statement, NULL) != SQLITE_OK)
        return;
    (void)sqlite3_bind_int(statement, 1, (int)row);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    int64_t seq = sqlite3_column_int64(statement, 0), id = sqlite3_column_int64(statement, 1);
    uint64_t slot = (uint64_t)sqlite3_column_int64(statement, 2);
    struct tq_index_options options = tq_index_defaults(slot >> 40 & 1 ? 2 : 3);
    if (slot >> 40 & 1) options.metric = TQ_L2, options.rows = TQ_ROWS_NONE;
    fuzz_require(tq_format_init(&format, &options) == TQ_OK, "a format");
    size_t size = tq_log_record_bytes(&format);
    if (found && (size_t)sqlite3_column_bytes(statement, 3) == size)
        blob = fuzz_copy(sqlite3_column_blob(statement, 3), size);
    (void)sqlite3_finalize(statement);
    if (blob == NULL) return;
    for (int i = fuzz_byte(input) % 4; i >= 0; i--) {
        size_t at = fuzz_byte(input) % (size - sizeof(uint64_t));
        blob[at] = fuzz_byte(input);
    }
    enum { HEAD = 12 };
    struct tq_row changed = {.record = blob + HEAD, .exact = blob + HEAD + format.record_bytes};
    memcpy(&changed.first_error, blob, 2);
    memcpy(&changed.second.inverse, blob + 2, 2);
    memcpy(&changed.second.error, blob + 4, 2);
    memcpy(&changed.norm, blob + 8, 4);
    uint8_t *sealed = malloc(size);
    fuzz_require(sealed != NULL, "memory");
    tq_log_record_write(&format, (struct tq_log_place){(uint64_t)seq, id, slot}, &changed, sealed);
    if (sqlite3_prepare_v2(db, "UPDATE docs_log SET rec = ?1 WHERE seq = ?2", -1, &statement, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_blob(statement, 1, sealed, (int)size, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 2, seq);
        (void)sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    free(sealed);
    free(blob);
}

/* ---- The folder ---- */

static void seal_directory(sqlite3 *db, size_t place, uint64_t before, const uint8_t *value) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, "UPDATE docs_seg SET dir_sum = ?1 WHERE dir_sum = ?2", -1, &statement, NULL) ==
        SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, (int64_t)directory_sum(place, value));
        (void)sqlite3_bind_int64(statement, 2, (int64_t)before);
        (void)sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
}

/* The sum of the page, that of the header, and so on up to the catalog, so that what was changed is believed. */
static void seal_chunk(sqlite3 *db, uint8_t *map, size_t place, size_t at) {
    struct tq_chunk_head head;
    memcpy(&head, map + place, sizeof head);
    uint64_t before = head.sum;
    if (at >= TQ_CHUNK_HEAD) {
        size_t page = (at - TQ_CHUNK_HEAD) / TQ_CHUNK_PAGE;
        uint64_t sum = tq_chunk_hash(map + place + TQ_CHUNK_HEAD + page * TQ_CHUNK_PAGE, TQ_CHUNK_PAGE);
        memcpy(map + place + sizeof head + page * sizeof sum, &sum, sizeof sum);
    }
    size_t from = offsetof(struct tq_chunk_head, format);
    head.sum = tq_chunk_hash(map + place + from, TQ_CHUNK_HEAD - from);
    memcpy(map + place + offsetof(struct tq_chunk_head, sum), &head.sum, sizeof head.sum);
    for (size_t i = 0; i < place_count; i++) {
        struct tq_directory_head directory;
        if (!is_directory(values.bytes + places[i])) continue;
        memcpy(&directory, values.bytes + places[i], sizeof directory);
        uint64_t sum = directory_sum(places[i], map + places[i]);
        for (size_t word = sizeof directory; word + 8 <= directory.size; word += 8)
            if (memcmp(map + places[i] + word, &before, 8) == 0) memcpy(map + places[i] + word, &head.sum, 8);
        seal_directory(db, places[i], sum, map + places[i]);
    }
}

/* A byte of a chunk or directory in the folder; its sums fit, or they do not. */
static void change_folder(sqlite3 *db, struct fuzz_input *input) {
    enum { NEAR = 3 * PAGE }; /* that much of a chunk is in use */
    char path[4096];
    size_t place = places[fuzz_byte(input) % place_count], at = fuzz_number(input, 2) % NEAR;
    uint8_t byte = fuzz_byte(input), seals = fuzz_byte(input);
    struct tq_directory_head head;
    memcpy(&head, values.bytes + place, sizeof head);
    bool directory = is_directory(values.bytes + place);
    if (directory) at %= head.size;
    path_of(path, "db-tq/data.mdb");
    int file = open(path, O_RDWR);
    uint8_t *map = mmap(NULL, values.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    fuzz_require(file >= 0 && map != MAP_FAILED, "a copy");
    for (size_t i = 0; i < place_count; i++) {
        uint8_t *value = map + places[i];
        /* LMDB leaves copies of small values behind in pages that it has freed. */
        bool copy = directory && memcmp(values.bytes + places[i], values.bytes + place, head.size) == 0;
        if (places[i] != place && !copy) continue;
        uint64_t sum = directory ? directory_sum(place, value) : 0;
        if (places[i] + at < values.size) value[at] = byte;
        if (seals % 4 != 0 && directory)
            seal_directory(db, place, sum, value);
        else if (seals % 4 != 0)
            seal_chunk(db, map, place, at);
    }
    (void)munmap(map, values.size);
    (void)close(file);
}

static void seal_tables(sqlite3 *db) {
    for (size_t i = 0; i < TQ_COUNT(tables); i++) (void)reseal(db, "main", tables[i]);
}

static void change(struct fuzz_input *input) {
    sqlite3 *db = open_database();
    bool sealed = true;
    for (int i = 0; i < CHANGES_MAX && input->left > 0; i++) {
        unsigned byte = fuzz_byte(input), which = byte % 8;
        if (byte / 8 == 31) sealed = false;
        if (which == 0 || which == 2)
            change_folder(db, input);
        else if (which == 1)
            change_rows(db, input);
        else if (which == 3)
            change_record(db, input);
        else
            change_value(db, input);
    }
    if (sealed) seal_tables(db);
    fuzz_require(sqlite3_close(db) == SQLITE_OK, "closing");
}

/* ---- What a user does ---- */

static const char *const uses[28] = {
    "SELECT rowid, *, score, distance FROM docs WHERE embedding MATCH '[1,2,3]' AND k = 60",
    "SELECT rowid, *, score FROM docs WHERE second MATCH '[1,2]' ORDER BY score DESC LIMIT 7",
    "SELECT rowid FROM docs('[1,0,0]') WHERE lang = 'l1' AND price < 20 LIMIT 5",
    "SELECT rowid, key FROM parted('[1,0,0]') WHERE tenant = 1 AND k = 5",
    "SELECT rowid FROM docs('[1,0,0]') WHERE rowid IN (1, 2, 3, 100, 101) LIMIT 5",
    "SELECT rowid FROM docs(tq_query('[0,1,0]', 'exact=on')) WHERE score > 0.5",
    "SELECT rowid, embedding, second, lang, body FROM docs",
    "SELECT * FROM docs WHERE rowid = 4 OR rowid = 101",
    "SELECT count(*), max(price) FROM docs WHERE price > 3 AND lang LIKE 'l%'",
    "SELECT rowid FROM docs WHERE price < 9 ORDER BY tq_l2(embedding, '[1,1,1]') LIMIT 5",
    "SELECT a.rowid, b.rowid FROM docs AS a, docs(a.embedding, 2) AS b LIMIT 20",
    "SELECT rowid FROM docs WHERE second MATCH '[1,2]' AND distance < 3 AND body IS NOT NULL",
    "SELECT tq_info('docs')",
    "UPDATE docs SET embedding = '[0,0,1]', lang = 'x' WHERE rowid IN (2, 7, 100)",
    "UPDATE parted SET tenant = 2 - tenant WHERE key > 'k3'",
    "UPDATE docs SET rowid = 200 WHERE rowid = 18",
    "DELETE FROM docs WHERE rowid % 9 = 1",
    "INSERT INTO docs(embedding, second, body) VALUES ('[1,1,0]', '[1,1]', 'new'), ('[2,1,0]', NULL, 'p')",
    "INSERT OR REPLACE INTO parted(key, embedding, tenant) VALUES ('k5', '[9,9,9]', 1), ('n', '[1,9,9]', 7)",
    "SELECT rowid, score FROM docs('[1,2,3]', 60)",
    "INSERT INTO docs(docs) VALUES ('optimize')",
    "SELECT rowid, *, score FROM docs('[1,2,3]', 60)",
    "SELECT key, tenant, embedding, score FROM parted('[1,2,3]', 20)",
    "DELETE FROM parted WHERE key IN ('k1', 'k2', 'k12')",
    "BEGIN",
    "ALTER TABLE docs RENAME TO others",
    "ROLLBACK",
    "DROP TABLE docs",
};

/* What looks at damage, and what mends it or carries it on. */
static const char *const cares[] = {
    "SELECT tq_check('docs', 'full')",
    "SELECT tq_check('parted', 'full')",
    "SELECT tq_repair('docs', 'salvage')",
    "SELECT tq_repair('parted', 'salvage')",
    "SELECT tq_compact()",
    "SELECT tq_repair('docs', 'adopt-folder')",
    "SELECT tq_repair('docs', 'adopt-empty')",
};

static void run(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
        for (int row = 0; row < 500 && sqlite3_step(statement) == SQLITE_ROW; row++)
            for (int i = 0; i < sqlite3_column_count(statement); i++) (void)sqlite3_column_blob(statement, i);
    }
    if (sqlite3_finalize(statement) != SQLITE_OK && getenv("FUZZ_ERRORS") != NULL)
        (void)fprintf(stderr, "%s\n    %s\n", sql, sqlite3_errmsg(db));
}

/* Folders may have been put aside: they would fill the memory. */
static void make_folder_anew(void) {
    char path[4096];
    path_of(path, "db-tq");
    remove_all(folder);
    fuzz_require(mkdir(folder, 0700) == 0 && mkdir(path, 0700) == 0, "a temporary folder");
}

/* The first byte says with which statement to begin, so that each may be the first one to meet what is wrong, and how
 * many there are: 252 is all of them. The last one says what comes before that, if anything. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    make_pattern();
    copy_pattern();
    size_t byte = fuzz_byte(&input), first = byte % TQ_COUNT(uses), count = 3 + byte / TQ_COUNT(uses) * 3;
    change(&input);
    sqlite3 *db = open_database();
    size_t last = size == 0 ? 0 : data[size - 1] % 32u;
    if (last < TQ_COUNT(cares)) run(db, cares[last]);
    for (size_t i = first; i < tq_min_size(first + count, TQ_COUNT(uses)); i++) run(db, uses[i]);
    fuzz_require(sqlite3_close(db) == SQLITE_OK, "everything can be closed");
    if (last < TQ_COUNT(cares)) make_folder_anew();
    return 0;
}
