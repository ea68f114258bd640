/* One writer and many readers, in processes that are killed at random: every read is of one committed state.
 *
 *   processes drive FOLDER MODE CHECKS SEED [KILLS_PER_SECOND]   MODE: wal, delete, library, mixed, threads
 *   processes writer|reader FOLDER MODE NUMBER SEED    started by drive
 *
 * The state after transaction n is a function of n: which of the ids are there, and which transaction wrote each. A
 * reader learns n from the snapshot itself, works out what must be there, and compares all of it: rows, counts, and the
 * ids and scores of searches, which are exact because all numbers are small and whole. What is in shared memory says
 * how old the snapshot may be. drive prints the checks made, the kills and what was bad. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/tq.h"

int sqlite3_tq_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

enum { DIM = 16, IDS = 40, READERS = 8, BUSY_MS = 5000, NUMBER_MAX = 1 << 24 };

static const char *const modes[] = {"wal", "delete", "library", "mixed", "threads"};
enum mode { MODE_WAL, MODE_DELETE, MODE_LIBRARY, MODE_MIXED, MODE_THREADS, MODE_COUNT };

/* What all processes see. */
struct shared {
    atomic_uint_fast64_t acked;    /* the last transaction whose COMMIT has returned */
    atomic_uint_fast64_t intended; /* the last one that was begun */
    atomic_uint_fast64_t checks;
    atomic_uint_fast64_t busy; /* reads and writes that were tried again */
    atomic_uint_fast64_t bad;
    atomic_bool stop;
};

struct self {
    struct shared *shared;
    enum mode mode;
    uint64_t random;
    char name[32], folder[256], file[300];
    uint64_t versions[IDS]; /* the model after `number` transactions: who wrote each id; 0: it is not there */
    uint64_t number;
};

__attribute__((format(printf, 2, 3))) static void bad(struct self *self, const char *format, ...) {
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "%s, %s: %s\n", self->name, modes[self->mode], text);
    atomic_fetch_add(&self->shared->bad, 1);
    atomic_store(&self->shared->stop, true);
}

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static unsigned chance(struct self *self, unsigned below) {
    self->random = mix(self->random);
    return (unsigned)(self->random % below);
}

static void sleep_us(unsigned us) {
    struct timespec time = {us / 1000000, (long)(us % 1000000) * 1000};
    (void)nanosleep(&time, NULL);
}

static bool stopped(const struct self *self) { return atomic_load(&self->shared->stop); }

/* ---- The model ---- */

/* Transaction n changes so many ids, by turns; of each it is decided whether the row is written or deleted. */
static int changes_of(uint64_t n, int ids[IDS], bool written[IDS]) {
    int count = 1 + (int)(mix(n) % 6), first = (int)(mix(n + 77) % (IDS - 1));
    if (n % 41 == 0) count = IDS - 1;
    for (int i = 0; i < count; i++) {
        ids[i] = 1 + (first + i * 7) % (IDS - 1);
        written[i] = mix(n * 100 + (uint64_t)i) % 3 != 0;
    }
    return count;
}

static void apply(struct self *self, uint64_t n) {
    int ids[IDS];
    bool written[IDS];
    int count = changes_of(n, ids, written);
    for (int i = 0; i < count; i++) self->versions[ids[i]] = written[i] ? n : 0;
    self->versions[0] = n;
    self->number = n;
}

static void advance(struct self *self, uint64_t n) {
    if (n < self->number) {
        memset(self->versions, 0, sizeof self->versions);
        self->number = 0;
    }
    while (self->number < n) apply(self, self->number + 1);
}

/* The row of id 0 says which transaction it is of; the first number of all others is 0. */
static void vector_of(int id, uint64_t version, float *vector) {
    for (int i = 0; i < DIM; i++) vector[i] = id == 0 ? 0 : (float)(mix(version * 64 + (uint64_t)id) >> i & 7);
    vector[0] = id == 0 ? (float)version : 0;
}

static void make_query(struct self *self, float *query) {
    for (int i = 0; i < DIM; i++) query[i] = (float)chance(self, 5) - 2;
    query[0] = 1;
}

/* Exact: sums of whole numbers. */
static double score_of(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < DIM; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static int order_of_hits(const void *a, const void *b) {
    const struct tq_hit *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* What a search for all rows must give, best first. */
static int expected_hits(const struct self *self, const float *query, struct tq_hit *hits) {
    int count = 0;
    for (int id = 0; id < IDS; id++) {
        float vector[DIM];
        if (self->versions[id] == 0) continue;
        vector_of(id, self->versions[id], vector);
        hits[count++] = (struct tq_hit){.id = id, .score = score_of(query, vector)};
    }
    qsort(hits, (size_t)count, sizeof *hits, order_of_hits);
    return count;
}

static bool same_hits(struct self *self, const float *query, const struct tq_hit *found, int count, int k) {
    struct tq_hit hits[IDS];
    int expected = expected_hits(self, query, hits);
    if (expected > k) expected = k;
    if (count != expected) {
        bad(self, "a search after %" PRIu64 " gives %d rows, not %d", self->number, count, expected);
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (found[i].id == hits[i].id && found[i].score == hits[i].score) continue;
        bad(self, "a search after %" PRIu64 ": place %d is row %lld at %g, not row %lld at %g", self->number, i,
            (long long)found[i].id, found[i].score, (long long)hits[i].id, hits[i].score);
        return false;
    }
    return true;
}

/* ---- SQL ---- */

struct statements {
    sqlite3 *db;
    sqlite3_stmt *number, *rows, *count, *search, *filtered;
};

/* SQLITE_BUSY is an answer; anything else that is not success is bad. */
static bool answered(struct self *self, sqlite3 *db, int rc, const char *what) {
    if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) return true;
    if ((rc & 0xff) == SQLITE_BUSY)
        atomic_fetch_add(&self->shared->busy, 1);
    else
        bad(self, "%s: %s (%d)", what, sqlite3_errmsg(db), rc);
    return false;
}

static bool run(struct self *self, sqlite3 *db, const char *sql) {
    return answered(self, db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3 *open_db(struct self *self) {
    sqlite3 *db = NULL;
    if (sqlite3_open(self->file, &db) != SQLITE_OK) bad(self, "open: %s", sqlite3_errmsg(db));
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    (void)sqlite3_extended_result_codes(db, 1);
    (void)run(self, db, "PRAGMA synchronous=FULL");
    return db;
}

static void close_db(struct self *self, struct statements *s) {
    sqlite3_stmt *all[] = {s->number, s->rows, s->count, s->search, s->filtered};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) (void)sqlite3_finalize(all[i]);
    if (sqlite3_close(s->db) != SQLITE_OK) bad(self, "close: %s", sqlite3_errmsg(s->db));
    *s = (struct statements){.db = NULL};
}

static bool prepare(struct self *self, struct statements *s) {
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {{&s->number, "SELECT n FROM meta"},
               {&s->rows, "SELECT rowid, n, v FROM docs"},
               {&s->count, "SELECT count(*), sum(rowid) FROM docs"},
               {&s->search, "SELECT rowid, score FROM docs WHERE v MATCH tq_query(?1, 'confidence=exact') AND k = ?2"},
               {&s->filtered, "SELECT rowid, score FROM docs WHERE v MATCH ?1 AND k = 100 AND n > ?2"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (*all[i].statement != NULL) continue;
        if (!answered(self, s->db, sqlite3_prepare_v2(s->db, all[i].sql, -1, all[i].statement, NULL), all[i].sql))
            return false;
    }
    return true;
}

static bool check_rows(struct self *self, struct statements *s) {
    int rc = SQLITE_ROW, count = 0, expected = 0;
    while ((rc = sqlite3_step(s->rows)) == SQLITE_ROW) {
        float vector[DIM];
        int64_t id = sqlite3_column_int64(s->rows, 0);
        uint64_t version = (uint64_t)sqlite3_column_int64(s->rows, 1);
        const void *bytes = sqlite3_column_blob(s->rows, 2);
        bool known = id >= 0 && id < IDS && version != 0 && version == self->versions[id];
        if (known) vector_of((int)id, version, vector);
        if (known && sqlite3_column_bytes(s->rows, 2) == (int)sizeof vector &&
            memcmp(bytes, vector, sizeof vector) == 0) {
            count++;
            continue;
        }
        bad(self, "after %" PRIu64 " row %lld is of %" PRIu64 ", or has another vector", self->number, (long long)id,
            version);
        break;
    }
    (void)sqlite3_reset(s->rows);
    if (rc == SQLITE_ROW || !answered(self, s->db, rc, "reading rows")) return false;
    for (int id = 0; id < IDS; id++) expected += self->versions[id] != 0;
    if (count != expected) bad(self, "after %" PRIu64 " there are %d rows, not %d", self->number, count, expected);
    return count == expected;
}

static bool check_count(struct self *self, struct statements *s) {
    int64_t count = 0, sum = 0;
    for (int id = 0; id < IDS; id++) {
        count += self->versions[id] != 0;
        sum += self->versions[id] != 0 ? id : 0;
    }
    int rc = sqlite3_step(s->count);
    bool same = rc == SQLITE_ROW && sqlite3_column_int64(s->count, 0) == count &&
                sqlite3_column_int64(s->count, 1) == sum;
    if (rc == SQLITE_ROW && !same)
        bad(self, "after %" PRIu64 " count and sum are not %lld and %lld", self->number, (long long)count,
            (long long)sum);
    (void)sqlite3_reset(s->count);
    return answered(self, s->db, rc, "counting") && same;
}

static bool read_hits(struct self *self, struct statements *s, sqlite3_stmt *search, struct tq_hit *hits, int *count) {
    int rc = SQLITE_ROW;
    *count = 0;
    while ((rc = sqlite3_step(search)) == SQLITE_ROW && *count < IDS)
        hits[(*count)++] = (struct tq_hit){sqlite3_column_int64(search, 0), sqlite3_column_double(search, 1), 0};
    (void)sqlite3_reset(search);
    return answered(self, s->db, rc, "searching");
}

static bool check_search(struct self *self, struct statements *s) {
    float query[DIM];
    struct tq_hit hits[IDS + 1];
    int count = 0, k = chance(self, 2) == 0 ? 100 : 1 + (int)chance(self, 10);
    make_query(self, query);
    (void)sqlite3_bind_blob(s->search, 1, query, sizeof query, SQLITE_STATIC);
    (void)sqlite3_bind_int(s->search, 2, k);
    return read_hits(self, s, s->search, hits, &count) && same_hits(self, query, hits, count, k);
}

/* Rows of the last transactions only. */
static bool check_filtered(struct self *self, struct statements *s) {
    float query[DIM];
    struct tq_hit hits[IDS + 1];
    int count = 0;
    uint64_t all[IDS], from = self->number > 5 ? self->number - 5 : 0;
    make_query(self, query);
    (void)sqlite3_bind_blob(s->filtered, 1, query, sizeof query, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s->filtered, 2, (sqlite3_int64)from);
    if (!read_hits(self, s, s->filtered, hits, &count)) return false;
    memcpy(all, self->versions, sizeof all);
    for (int id = 0; id < IDS; id++)
        if (all[id] <= from) self->versions[id] = 0;
    bool same = same_hits(self, query, hits, count, 100);
    memcpy(self->versions, all, sizeof all);
    return same;
}

static bool read_number(struct self *self, struct statements *s, uint64_t *n) {
    int rc = sqlite3_step(s->number);
    *n = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s->number, 0) : 0;
    (void)sqlite3_reset(s->number);
    return answered(self, s->db, rc, "reading the number");
}

/* Not older than what was committed when the read began, nor newer than what has been begun by now. */
static bool check_age(struct self *self, uint64_t n, uint64_t committed) {
    uint64_t begun = atomic_load(&self->shared->intended);
    if (n >= committed && n <= begun) return true;
    bad(self, "a read of %" PRIu64 ", when %" PRIu64 " was committed and %" PRIu64 " begun", n, committed, begun);
    return false;
}

static bool check_snapshot(struct self *self, struct statements *s) {
    uint64_t n = 0, again = 0, committed = atomic_load(&self->shared->acked);
    if (!read_number(self, s, &n) || !check_age(self, n, committed)) return false;
    advance(self, n);
    if (chance(self, 100) == 0) sleep_us(chance(self, 400000)); /* SQLite's snapshot is old when the folder is read */
    for (int turn = 0; turn < 2; turn++) {
        if (!check_search(self, s) || !check_rows(self, s) || !check_count(self, s) || !check_filtered(self, s))
            return false;
        atomic_fetch_add(&self->shared->checks, 1);
        if (chance(self, 8) != 0) break;
        sleep_us(chance(self, 20000)); /* the writer goes on; the snapshot stays */
        if (!read_number(self, s, &again)) return false;
        if (again != n) bad(self, "a snapshot of %" PRIu64 " became one of %" PRIu64, n, again);
    }
    return true;
}

static void read_sql(struct self *self) {
    struct statements s = {.db = NULL};
    while (!stopped(self)) {
        if (s.db == NULL) s.db = open_db(self);
        if (!prepare(self, &s)) continue;
        for (int i = 0; i < 200 && !stopped(self); i++) {
            if (run(self, s.db, "BEGIN")) (void)check_snapshot(self, &s);
            if (!sqlite3_get_autocommit(s.db)) (void)run(self, s.db, "ROLLBACK");
            sleep_us(chance(self, 4000)); /* the writer is to get on */
        }
        if (chance(self, 4) == 0) close_db(self, &s);
    }
    if (s.db != NULL) close_db(self, &s);
}

/* ---- SQL: the writer ---- */

static bool write_row(struct self *self, sqlite3 *db, int id, uint64_t n, bool written) {
    float vector[DIM];
    sqlite3_stmt *statement = NULL;
    const char *sql = written ? "INSERT OR REPLACE INTO docs(rowid, n, v) VALUES (?1, ?2, ?3)"
                              : "DELETE FROM docs WHERE rowid = ?1";
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (!answered(self, db, rc, sql)) return false;
    vector_of(id, n, vector);
    (void)sqlite3_bind_int(statement, 1, id);
    if (written) {
        (void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)n);
        (void)sqlite3_bind_blob(statement, 3, vector, sizeof vector, SQLITE_STATIC);
    }
    rc = sqlite3_step(statement);
    bool done = answered(self, db, rc, sql);
    (void)sqlite3_finalize(statement);
    return done;
}

static bool write_sql_once(struct self *self, sqlite3 *db, uint64_t n) {
    int ids[IDS];
    bool written[IDS];
    char sql[64];
    int count = changes_of(n, ids, written);
    if (!run(self, db, "BEGIN IMMEDIATE")) return false;
    atomic_store(&self->shared->intended, n);
    for (int i = 0; i < count; i++)
        if (!write_row(self, db, ids[i], n, written[i])) return false;
    if (!write_row(self, db, 0, n, true)) return false;
    (void)snprintf(sql, sizeof sql, "UPDATE meta SET n = %" PRIu64, n);
    if (!run(self, db, sql)) return false;
    if (n % 3 == 0 && !run(self, db, "INSERT INTO docs(docs) VALUES ('optimize')")) return false;
    /* A reader in the way of a rollback journal: COMMIT may be said again. */
    for (int tries = 0; tries < 100 && !stopped(self); tries++)
        if (run(self, db, "COMMIT")) return true;
    return false;
}

static void write_sql(struct self *self) {
    struct statements s = {.db = open_db(self)};
    uint64_t n = 0, acked = atomic_load(&self->shared->acked), begun = atomic_load(&self->shared->intended);
    while (!prepare(self, &s) || !read_number(self, &s, &n))
        if (stopped(self)) return;
    if (n < acked || n > begun)
        bad(self, "begins with %" PRIu64 ": %" PRIu64 " was committed, %" PRIu64 " begun", n, acked, begun);
    atomic_store(&self->shared->acked, n);
    while (!stopped(self) && n + 1 < NUMBER_MAX) {
        if (write_sql_once(self, s.db, n + 1)) atomic_store(&self->shared->acked, ++n);
        if (!sqlite3_get_autocommit(s.db)) (void)run(self, s.db, "ROLLBACK");
        sleep_us(chance(self, 2000));
    }
    close_db(self, &s);
}

/* ---- The library ---- */

struct library {
    tq_store *store;
    tq_index *index;
};

static bool done(struct self *self, enum tq_status status, const char *what) {
    if (status == TQ_OK) return true;
    if (status == TQ_BUSY)
        atomic_fetch_add(&self->shared->busy, 1);
    else
        bad(self, "%s: %s: %s", what, tq_status_name(status), tq_message());
    return false;
}

static bool open_library(struct self *self, struct library *library) {
    if (!done(self, tq_open(self->file, 0, &library->store), "tq_open")) return false;
    if (done(self, tq_index_open(library->store, "docs", &library->index), "tq_index_open")) return true;
    tq_close(library->store);
    return false;
}

static void close_library(struct library *library) {
    tq_index_close(library->index);
    tq_close(library->store);
    *library = (struct library){.store = NULL};
}

/* One call is one snapshot: the row of id 0 says of which transaction. */
static bool check_call(struct self *self, tq_index *index) {
    float query[DIM];
    struct tq_hit hits[IDS];
    size_t count = 0;
    uint64_t n = 0, committed = atomic_load(&self->shared->acked);
    struct tq_search_options options = tq_search_defaults();
    if (chance(self, 2) == 0) options.confidence = TQ_EXACT;
    make_query(self, query);
    if (!done(self, tq_search(index, query, 1, IDS, &options, hits, &count, NULL), "tq_search")) return false;
    for (size_t i = 0; i < count; i++)
        if (hits[i].id == 0) n = (uint64_t)hits[i].score;
    if (!check_age(self, n, committed)) return false;
    advance(self, n);
    if (!same_hits(self, query, hits, (int)count, IDS)) return false;
    atomic_fetch_add(&self->shared->checks, 1);
    return true;
}

static void read_library(struct self *self) {
    struct library library = {.store = NULL};
    while (!stopped(self)) {
        if (library.store == NULL && !open_library(self, &library)) continue;
        for (int i = 0; i < 200 && !stopped(self); i++) {
            (void)check_call(self, library.index);
            sleep_us(chance(self, 4000)); /* the writer is to get on */
        }
        if (chance(self, 4) == 0) close_library(&library);
    }
    if (library.store != NULL) close_library(&library);
}

static bool put_row(struct self *self, tq_index *index, int id, uint64_t n, bool written) {
    float vector[DIM];
    enum tq_status status = tq_delete(index, id);
    if (status != TQ_NOT_FOUND && !done(self, status, "tq_delete")) return false;
    vector_of(id, n, vector);
    return !written || done(self, tq_put(index, id, vector), "tq_put");
}

static bool write_library_once(struct self *self, struct library *library, uint64_t n) {
    int ids[IDS];
    bool written[IDS];
    int count = changes_of(n, ids, written);
    if (!done(self, tq_begin(library->store), "tq_begin")) return false;
    atomic_store(&self->shared->intended, n);
    bool good = true;
    for (int i = 0; i < count && good; i++) good = put_row(self, library->index, ids[i], n, written[i]);
    good = good && put_row(self, library->index, 0, n, true);
    if (!good) tq_abort(library->store);
    return good && done(self, tq_commit(library->store), "tq_commit");
}

static void write_library(struct self *self) {
    struct library library = {.store = NULL};
    float vector[DIM];
    while (!open_library(self, &library))
        if (stopped(self)) return;
    uint64_t acked = atomic_load(&self->shared->acked), begun = atomic_load(&self->shared->intended);
    if (!done(self, tq_get(library.index, 0, vector), "tq_get")) return;
    uint64_t n = (uint64_t)vector[0];
    if (n < acked || n > begun)
        bad(self, "begins with %" PRIu64 ": %" PRIu64 " was committed, %" PRIu64 " begun", n, acked, begun);
    atomic_store(&self->shared->acked, n);
    while (!stopped(self) && n + 1 < NUMBER_MAX) {
        if (write_library_once(self, &library, n + 1)) atomic_store(&self->shared->acked, ++n);
        if (n % 3 == 0) (void)done(self, tq_index_optimize(library.index), "tq_index_optimize");
        sleep_us(chance(self, 2000));
    }
    close_library(&library);
}

/* ---- Roles ---- */

static void make_store(struct self *self) {
    uint64_t n = 1;
    atomic_store(&self->shared->intended, n);
    atomic_store(&self->shared->acked, n);
    if (self->mode == MODE_LIBRARY) {
        struct library library = {.store = NULL};
        struct tq_index_options options = tq_index_defaults(DIM);
        options.metric = TQ_IP;
        if (!done(self, tq_open(self->file, TQ_OPEN_CREATE, &library.store), "tq_open") ||
            !done(self, tq_index_create(library.store, "docs", &options, &library.index), "tq_index_create") ||
            !write_library_once(self, &library, n))
            exit(1);
        close_library(&library);
        return;
    }
    sqlite3 *db = open_db(self);
    (void)run(self, db, self->mode == MODE_DELETE ? "PRAGMA journal_mode=DELETE" : "PRAGMA journal_mode=WAL");
    (void)run(self, db, "CREATE TABLE meta(n); INSERT INTO meta VALUES (0)");
    (void)run(self, db, "CREATE VIRTUAL TABLE docs USING tq(v FLOAT[16] metric=ip, n INTEGER)");
    if (!write_sql_once(self, db, n)) exit(1);
    (void)sqlite3_close(db);
}

static struct self make_self(struct shared *shared, const char *folder, enum mode mode, int number, uint64_t seed) {
    struct self self = {.shared = shared, .mode = mode, .random = mix(seed * 1000 + (uint64_t)number)};
    (void)snprintf(self.name, sizeof self.name, number == 0 ? "writer" : "reader %d", number);
    (void)snprintf(self.folder, sizeof self.folder, "%s", folder);
    (void)snprintf(self.file, sizeof self.file, "%s/%s", folder, mode == MODE_LIBRARY ? "store" : "db");
    return self;
}

static void play(struct self *self, int number) {
    bool library = self->mode == MODE_LIBRARY || (self->mode == MODE_MIXED && number % 2 == 1);
    if (number == 0)
        (self->mode == MODE_LIBRARY ? write_library : write_sql)(self);
    else
        (library ? read_library : read_sql)(self);
}

static struct shared *map_shared(const char *folder, bool make) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/shared", folder);
    FILE *file = fopen(path, make ? "w+b" : "r+b");
    if (file == NULL || (make && ftruncate(fileno(file), sizeof(struct shared)) != 0)) exit(2);
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    (void)fclose(file);
    if (shared == MAP_FAILED) exit(2);
    return shared;
}

/* ---- The driver ---- */

struct drive {
    const char *program, *folder;
    struct self self;
    uint64_t checks, seed;
    double kills_per_second;
    pid_t pids[READERS + 1];
    uint64_t kills, kills_of_writer, starts;
    uint64_t writer_from; /* the transactions that there were when it was started */
};

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void start(struct drive *drive, int number) {
    char text[2][32];
    (void)snprintf(text[0], sizeof text[0], "%d", number);
    (void)snprintf(text[1], sizeof text[1], "%" PRIu64, drive->seed * 1000000 + ++drive->starts);
    if (number == 0) drive->writer_from = atomic_load(&drive->self.shared->acked);
    drive->pids[number] = fork();
    if (drive->pids[number] != 0) return;
    (void)execl(drive->program, drive->program, number == 0 ? "writer" : "reader", drive->folder,
                modes[drive->self.mode], text[0], text[1], (char *)NULL);
    _exit(3);
}

/* A child that ended although nobody killed it has found something, or has crashed. */
static void look_after(struct drive *drive, int number, bool killed) {
    int status = 0;
    if (waitpid(drive->pids[number], &status, killed ? 0 : WNOHANG) != drive->pids[number]) return;
    bool as_killed = killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool as_stopped = WIFEXITED(status) && WEXITSTATUS(status) == 0 && atomic_load(&drive->self.shared->stop);
    if (!as_killed && !as_stopped) bad(&drive->self, "process %d ended with status 0x%x", number, (unsigned)status);
    drive->pids[number] = 0;
}

static void kill_one(struct drive *drive) {
    int number = chance(&drive->self, 3) == 0 ? 0 : 1 + (int)chance(&drive->self, READERS);
    /* Now and then while it starts; else when it has done something. */
    uint64_t done_by_writer = atomic_load(&drive->self.shared->acked) - drive->writer_from;
    if (number == 0 && chance(&drive->self, 8) != 0 && done_by_writer < chance(&drive->self, 60)) return;
    if (drive->pids[number] == 0 || kill(drive->pids[number], SIGKILL) != 0) return;
    drive->kills++;
    drive->kills_of_writer += number == 0;
    look_after(drive, number, true);
    start(drive, number);
}

static void drive_processes(struct drive *drive) {
    struct shared *shared = drive->self.shared;
    for (int i = 0; i <= READERS; i++) start(drive, i);
    double next = now() + 0.05, last_progress = now();
    uint64_t seen = 0;
    while (!atomic_load(&shared->stop)) {
        sleep_us(500 + chance(&drive->self, 3000));
        uint64_t checks = atomic_load(&shared->checks);
        if (checks != seen) last_progress = now();
        seen = checks;
        if (now() - last_progress > 60) bad(&drive->self, "no check for a minute");
        for (int i = 0; i <= READERS; i++)
            if (drive->pids[i] != 0) look_after(drive, i, false);
        if (now() >= next) {
            kill_one(drive);
            next += (0.1 + (double)chance(&drive->self, 1000) / 555) / drive->kills_per_second;
        }
        if (checks >= drive->checks) atomic_store(&shared->stop, true);
    }
    double end = now() + 30;
    for (int i = 0; i <= READERS; i++) {
        while (drive->pids[i] != 0 && now() < end) {
            look_after(drive, i, false);
            sleep_us(1000);
        }
        if (drive->pids[i] == 0) continue;
        bad(&drive->self, "process %d does not end", i);
        (void)kill(drive->pids[i], SIGKILL);
    }
}

struct part {
    struct self self;
    int number;
    pthread_t thread;
};

static void *play_thread(void *argument) {
    struct part *part = argument;
    play(&part->self, part->number);
    return NULL;
}

static void drive_threads(struct drive *drive) {
    static struct part parts[READERS + 1];
    struct shared *shared = drive->self.shared;
    for (int i = 0; i <= READERS; i++) {
        parts[i].self = make_self(shared, drive->folder, MODE_THREADS, i, drive->seed);
        parts[i].number = i;
        if (pthread_create(&parts[i].thread, NULL, play_thread, &parts[i]) != 0) exit(2);
    }
    while (!atomic_load(&shared->stop)) {
        sleep_us(1000);
        if (atomic_load(&shared->checks) >= drive->checks) atomic_store(&shared->stop, true);
    }
    for (int i = 0; i <= READERS; i++) (void)pthread_join(parts[i].thread, NULL);
}

/* Killed readers must not have kept the writer's pages: what lives takes a few MiB. */
static void check_size(struct drive *drive) {
    char path[400];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s%s/data.mdb", drive->self.file, drive->self.mode == MODE_LIBRARY ? "" : "-tq");
    if (stat(path, &info) != 0) bad(&drive->self, "%s: %s", path, strerror(errno));
    (void)printf(", data.mdb %lld MiB", (long long)info.st_size >> 20);
    if (info.st_size > 4LL << 30) bad(&drive->self, "data.mdb has %lld bytes", (long long)info.st_size);
}

static int drive_all(struct drive *drive) {
    double begun = now();
    make_store(&drive->self);
    if (drive->self.mode == MODE_THREADS)
        drive_threads(drive);
    else
        drive_processes(drive);
    struct shared *shared = drive->self.shared;
    uint64_t checks = atomic_load(&shared->checks);
    (void)printf("%s: %" PRIu64 " transactions, %" PRIu64 " kills, %" PRIu64 " of them of the writer, %" PRIu64
                 " times busy, %.0f checks a second",
                 modes[drive->self.mode], (uint64_t)atomic_load(&shared->acked), drive->kills, drive->kills_of_writer,
                 (uint64_t)atomic_load(&shared->busy), (double)checks / (now() - begun));
    check_size(drive);
    (void)printf("\n%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", checks, drive->kills, (uint64_t)atomic_load(&shared->bad));
    return atomic_load(&shared->bad) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    int mode = 0;
    if (argc < 6) return 2;
    while (mode < MODE_COUNT && strcmp(argv[3], modes[mode]) != 0) mode++;
    if (mode == MODE_COUNT) return 2;
    (void)sqlite3_auto_extension((void (*)(void))sqlite3_tq_init);
    if (strcmp(argv[1], "drive") == 0) {
        struct drive drive = {.program = argv[0],
                              .folder = argv[2],
                              .checks = strtoull(argv[4], NULL, 10),
                              .seed = strtoull(argv[5], NULL, 10),
                              .kills_per_second = argc > 6 ? atof(argv[6]) : 10};
        drive.self = make_self(map_shared(argv[2], true), argv[2], (enum mode)mode, 99, drive.seed);
        return drive_all(&drive);
    }
    int number = atoi(argv[4]);
    struct self self = make_self(map_shared(argv[2], false), argv[2], (enum mode)mode, number,
                                 strtoull(argv[5], NULL, 10));
    play(&self, number);
    return 0;
}
