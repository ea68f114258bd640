/* A small pair of database and folder, and what it answers when bytes of it are not what they were (flip.py).
 *
 *   flip_work make FOLDER     the pair, and copies of an earlier state of it: old.db, old.mdb
 *   flip_work serve FOLDER    one change a line on standard input, what came of it on standard output
 *
 * A line is: number, r (ask) or w (ask, and write to a copy and ask again), db or mdb, place, bytes in hex; no bytes:
 * the file is cut off there. The answer: number and same, error, wrong N (question N has another answer), crash N (by
 * signal N) or hang. A process is forked for every change, so nothing of one is left for the next. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int sqlite3_tq_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

enum { PAGE = 4096, SECONDS_MAX = 60, QUESTIONS_MAX = 32 };
enum { SAME = 0, ERROR = 1, FIRST_WRONG = 64 };

/* Two segments of docs, one with dead rows, and its log; a table of partitions that is all log; one with values that
 * were replaced and are still listed. Rows of docs are made by "ROWS first last". */
static const char *const make_statements[] = {
    "PRAGMA page_size = 4096",
    "PRAGMA journal_mode = DELETE",
    "CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[512], lang TEXT, price REAL INDEXED, +body TEXT, seed=1)",
    "CREATE VIRTUAL TABLE parted USING tq(embedding FLOAT[4] metric=l2 rows=none, tenant INTEGER PARTITION KEY,"
    " seed=2)",
    "CREATE VIRTUAL TABLE merged USING tq(embedding FLOAT[6], seed=3)",
    "ROWS 1 560",
    "INSERT INTO parted(rowid, embedding, tenant) SELECT rowid, json_array(rowid % 7, rowid % 5, 1, rowid % 3),"
    " rowid % 2 FROM docs LIMIT 40",
    "INSERT INTO merged(rowid, embedding) SELECT rowid, json_array(1, rowid, 2, 3, 4, rowid % 9) FROM docs LIMIT 99",
    "INSERT INTO merged(merged) VALUES ('optimize')",
    "DELETE FROM docs WHERE rowid % 9 = 4",
    "KEEP", /* the earlier state */
    "ROWS 561 1120",
    "INSERT INTO merged(rowid, embedding) VALUES (500, '[1,2,3,4,5,6]'), (501, '[2,2,3,4,5,6]')",
    "DELETE FROM merged WHERE rowid < 60",
    "INSERT INTO merged(merged) VALUES ('optimize')",
    "DELETE FROM docs WHERE rowid IN (17, 700, 1100)",
    "INSERT INTO docs(rowid, lang, price, body) VALUES (5003, 'none', 3, 'z')",
    "INSERT INTO parted(rowid, embedding, tenant) VALUES (900, '[1,1,1,1]', 1)",
};

#define QUERY "(SELECT embedding FROM docs WHERE rowid = 11)"
static const char *const questions[] = {
    "SELECT rowid, score FROM docs WHERE embedding MATCH " QUERY " AND k = 20",
    "SELECT rowid, score FROM docs(tq_query(" QUERY ", 'exact=on'), 50)",
    "SELECT rowid, score FROM docs(" QUERY ", 9) WHERE lang = 'l1' AND price < 100",
    "SELECT rowid, embedding, lang, price, body FROM docs",
    "SELECT count(*), sum(price), min(rowid), max(rowid) FROM docs WHERE price > 2",
    "SELECT rowid, tenant, distance FROM parted WHERE embedding MATCH '[1,2,1,2]' AND k = 50",
    "SELECT rowid, distance FROM parted WHERE embedding MATCH '[0,2,1,2]' AND k = 9 AND tenant = 1",
    "SELECT rowid, embedding, score FROM merged('[1,2,1,2,1,3]', 60)",
    "SELECT rowid, embedding IS NULL FROM docs WHERE rowid IN (3, 4, 17, 40, 700, 1005, 1100, 5003)",
};

static const char *const writes[] = {
    "INSERT INTO docs(rowid, embedding, lang, price) SELECT 7001, embedding, 'w', 3 FROM docs WHERE rowid = 12",
    "UPDATE docs SET embedding = (SELECT embedding FROM docs WHERE rowid = 15) WHERE rowid IN (5, 1001)",
    "DELETE FROM docs WHERE rowid IN (6, 1002, 702)",
    "INSERT INTO docs(docs) VALUES ('optimize')",
    "DELETE FROM parted WHERE rowid = 3",
    "INSERT INTO merged(merged) VALUES ('optimize')",
};

static char folder[2048];

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static void path_in(char path[4096], const char *place, const char *name) {
    (void)snprintf(path, 4096, "%s/%s%s", folder, place, name);
}

/* ---- Files ---- */

struct content {
    uint8_t *bytes;
    size_t size;
};

static struct content read_content(const char *name) {
    char path[4096];
    struct stat info;
    path_in(path, "", name);
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &info) != 0) fail(path);
    struct content content = {.size = (size_t)info.st_size};
    /* Shared: fork() need not copy the tables of its pages. */
    content.bytes = mmap(NULL, content.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (content.bytes == MAP_FAILED || read(file, content.bytes, content.size) != (ssize_t)content.size) fail(path);
    (void)close(file);
    return content;
}

/* With holes where there is nothing but zeros: that is most of a chunk. */
static void write_content(const char *place, const char *name, const struct content *content) {
    static const uint8_t zeros[PAGE];
    char path[4096];
    path_in(path, place, name);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, (off_t)content->size) != 0) fail(path);
    for (size_t at = 0; at < content->size; at += PAGE) {
        size_t size = content->size - at < PAGE ? content->size - at : PAGE;
        if (memcmp(content->bytes + at, zeros, size) == 0) continue;
        if (pwrite(file, content->bytes + at, size, (off_t)at) != (ssize_t)size) fail(path);
    }
    (void)close(file);
}

/* ---- The pair ---- */

static sqlite3 *open_database(const char *place) {
    char path[4096];
    sqlite3 *db = NULL;
    path_in(path, place, "db");
    if (sqlite3_open(path, &db) != SQLITE_OK) fail(path);
    (void)sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    return db;
}

static void must_run(sqlite3 *db, const char *sql) {
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) == SQLITE_OK) return;
    (void)fprintf(stderr, "%s: %s\n", sql, error);
    exit(2);
}

static void make_rows(sqlite3 *db, int first, int last) {
    sqlite3_stmt *statement = NULL;
    float vector[512];
    must_run(db, "BEGIN");
    if (sqlite3_prepare_v2(db,
                           "INSERT INTO docs(rowid, embedding, lang, price, body) VALUES (?1, ?2, 'l' || (?1 % 4), ?1 *"
                           " 0.5, 'body ' || ?1)",
                           -1, &statement, NULL) != SQLITE_OK)
        fail(sqlite3_errmsg(db));
    for (int row = first; row <= last; row++) {
        memset(vector, 0, sizeof vector);
        for (int i = 0; i < 12; i++) vector[(row * 7 + i * i * 37) % 512] = (float)(row * (i + 3) % 17 - 8) / 4;
        vector[row % 64] += 1;
        (void)sqlite3_bind_int(statement, 1, row);
        (void)sqlite3_bind_blob(statement, 2, vector, sizeof vector, SQLITE_STATIC);
        if (sqlite3_step(statement) != SQLITE_DONE) fail(sqlite3_errmsg(db));
        (void)sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    must_run(db, "COMMIT");
}

static void make_pair(void) {
    sqlite3 *db = open_database("");
    for (size_t i = 0; i < sizeof make_statements / sizeof *make_statements; i++) {
        const char *sql = make_statements[i];
        int first = 0, last = 0;
        if (sscanf(sql, "ROWS %d %d", &first, &last) == 2) {
            make_rows(db, first, last);
        } else if (strcmp(sql, "KEEP") == 0) {
            struct content database = read_content("db"), values = read_content("db-tq/data.mdb");
            write_content("", "old.db", &database);
            write_content("", "old.mdb", &values);
        } else {
            must_run(db, sql);
        }
    }
    if (sqlite3_close(db) != SQLITE_OK) fail("close");
}

/* ---- Asking ---- */

static uint64_t add_bytes(uint64_t sum, const uint8_t *bytes, size_t size) {
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = size;
        memcpy(&word, bytes + at, size - at < 8 ? size - at : 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
    }
    return (sum + size) * 0x100000001b3u;
}

/* A number that stands for all rows of an answer; *error: it ended with one. */
static uint64_t answer(sqlite3 *db, const char *question, bool *error) {
    sqlite3_stmt *statement = NULL;
    uint64_t sum = 0xcbf29ce484222325u;
    *error = sqlite3_prepare_v2(db, question, -1, &statement, NULL) != SQLITE_OK;
    while (!*error && sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const uint8_t *bytes = sqlite3_column_blob(statement, i); /* of numbers, their text */
            size_t size = (size_t)sqlite3_column_bytes(statement, i);
            sum = add_bytes(sum, bytes, size) + (unsigned)sqlite3_column_type(statement, i);
        }
    }
    if (sqlite3_finalize(statement) != SQLITE_OK) *error = true;
    if (*error && getenv("FLIP_ERRORS") != NULL) (void)fprintf(stderr, "%s\n    %s\n", question, sqlite3_errmsg(db));
    return sum;
}

enum { QUESTIONS = sizeof questions / sizeof *questions };

struct answers {
    uint64_t sums[QUESTIONS];
};

/* SAME, ERROR, or FIRST_WRONG and the question's number. */
static int ask(sqlite3 *db, struct answers *out, const struct answers *expected) {
    int result = SAME;
    for (int i = 0; i < QUESTIONS; i++) {
        bool error = false;
        uint64_t sum = answer(db, questions[i], &error);
        if (out != NULL) out->sums[i] = sum;
        if (error) result = ERROR;
        if (!error && expected != NULL && sum != expected->sums[i]) return FIRST_WRONG + i;
    }
    return result;
}

static bool write_all(sqlite3 *db) {
    bool error = false;
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        bool failed = false;
        (void)answer(db, writes[i], &failed);
        error |= failed;
    }
    return error;
}

/* After a write that failed the answers are not known; nothing may crash. */
static int write_and_ask(struct answers *out, const struct answers *expected) {
    sqlite3 *db = open_database("copy/");
    bool error = write_all(db);
    int result = ask(db, out, error ? NULL : expected);
    (void)sqlite3_close(db);
    if (result == SAME && !error) { /* and what was written is whole */
        db = open_database("copy/");
        result = ask(db, NULL, expected == NULL ? out : expected);
        (void)sqlite3_close(db);
    }
    return error ? ERROR : result;
}

/* ---- Serving ---- */

static struct content database, values;
static struct answers asked, asked_after;

static void make_copy(void) {
    write_content("copy/", "db", &database);
    write_content("copy/", "db-tq/data.mdb", &values);
}

static int in_child(bool write) {
    (void)alarm(SECONDS_MAX);
    sqlite3 *db = open_database("");
    int result = ask(db, NULL, &asked);
    (void)sqlite3_close(db);
    if (result >= FIRST_WRONG || !write) return result;
    make_copy();
    int after = write_and_ask(NULL, &asked_after);
    return after == SAME ? result : after;
}

static void report(long number, int status) {
    int code = WEXITSTATUS(status);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        (void)printf("%ld hang\n", number);
    else if (WIFSIGNALED(status))
        (void)printf("%ld crash %d\n", number, WTERMSIG(status));
    else if (code >= FIRST_WRONG)
        (void)printf("%ld wrong %d\n", number, code - FIRST_WRONG);
    else if (code == SAME || code == ERROR)
        (void)printf("%ld %s\n", number, code == SAME ? "same" : "error");
    else
        (void)printf("%ld crash %d\n", number, code); /* a sanitizer's exit */
}

static size_t from_hex(const char *hex, uint8_t *bytes) {
    size_t size = 0;
    for (unsigned byte; sscanf(hex + 2 * size, "%2x", &byte) == 1; size++) bytes[size] = (uint8_t)byte;
    return size;
}

/* Change one file and, for the copy, its content in memory; *kept holds the bytes that were there. */
static void apply(const char *name, struct content *content, size_t place, const uint8_t *bytes, size_t size) {
    char path[4096];
    path_in(path, "", name);
    int file = open(path, O_RDWR);
    if (file < 0) fail(path);
    if (size == 0) {
        if (ftruncate(file, (off_t)place) != 0) fail(path);
        content->size = place;
    } else {
        if (pwrite(file, bytes, size, (off_t)place) != (ssize_t)size) fail(path);
        memcpy(content->bytes + place, bytes, size);
    }
    (void)close(file);
}

static void serve_line(const char *line) {
    static uint8_t bytes[2 * PAGE], kept[2 * PAGE];
    static char hex[4 * PAGE + 8];
    long number = 0;
    size_t place = 0;
    char mode = 0, which[8];
    hex[0] = 0;
    if (sscanf(line, "%ld %c %7s %zu %16384s", &number, &mode, which, &place, hex) < 4) fail(line);
    struct content *content = strcmp(which, "db") == 0 ? &database : &values;
    const char *name = content == &database ? "db" : "db-tq/data.mdb";
    size_t size = from_hex(hex, bytes), full = content->size;
    if (place + size > full) fail(line);
    memcpy(kept, content->bytes + place, size);
    apply(name, content, place, bytes, size);
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) _exit(in_child(mode == 'w'));
    int status = 0;
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    report(number, status);
    content->size = full;
    if (size == 0)
        write_content("", name, content);
    else
        apply(name, content, place, kept, size);
}

static void serve(void) {
    static char line[4 * PAGE + 100];
    char path[4096];
    database = read_content("db");
    values = read_content("db-tq/data.mdb");
    path_in(path, "copy", "");
    (void)mkdir(path, 0700);
    path_in(path, "copy/", "db-tq");
    (void)mkdir(path, 0700);
    sqlite3 *db = open_database("");
    if (ask(db, &asked, NULL) != SAME) fail("the pair as it was made");
    (void)sqlite3_close(db);
    make_copy();
    if (write_and_ask(&asked_after, NULL) != SAME) fail("the pair as it was made, written to");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) serve_line(line);
}

int main(int count, char **arguments) {
    if (count != 3 || strlen(arguments[2]) > 1000) return 2;
    (void)snprintf(folder, sizeof folder, "%s", arguments[2]);
    if (sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) != SQLITE_OK) return 2;
    if (strcmp(arguments[1], "make") == 0)
        make_pair();
    else
        serve();
    return 0;
}
