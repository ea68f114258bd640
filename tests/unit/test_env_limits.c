/* What other processes and a failing disk can do to an environment: readers that idle or were killed, all slots taken,
 * a last page that could not be written, a second copy of the library, two containers. */
#include "tests/unit/env_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "storage/env.h"

enum { SLOTS = 1022, LIVE = 64, AT_ONCE = 4, ROUNDS = 100 };

/* ---- A disk that fails ---- */

/* LMDB's last page of a commit is written by a small pwrite; this one goes before the C library's. */
static atomic_int meta_failures;
static atomic_bool dies_behind; /* the process, with the next of them */

static ssize_t write_at(int fd, const void *bytes, size_t size, off_t offset) {
    if (size < 256 && offset < 8192 && atomic_load(&meta_failures) > 0) {
        atomic_fetch_sub(&meta_failures, 1);
        errno = EIO;
        return -1;
    }
    ssize_t written = (ssize_t)syscall(SYS_pwrite64, fd, bytes, size, offset);
    if (size < 256 && offset < 8192 && atomic_load(&dies_behind)) (void)kill(getpid(), SIGKILL);
    return written;
}

#define EXPORTED __attribute__((visibility("default")))
EXPORTED ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    return write_at(fd, bytes, size, offset);
}
EXPORTED ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset);
EXPORTED ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset) {
    return write_at(fd, bytes, size, offset);
}

/* ---- Helpers ---- */

static struct tq_env *create(void) {
    struct tq_env *env = NULL;
    must(tq_env_open(folder.store, TQ_OPEN_CREATE, true, &env));
    return env;
}

/* Values `first` .. of a round replace those of the round before; 0: they are new. */
static enum tq_status write_values(struct tq_env *env, uint64_t first, size_t count, uint64_t replaced) {
    static uint8_t value[TQ_VALUE_BYTES_MAX];
    struct tq_env_put values[LIVE];
    uint64_t deletes[LIVE];
    value[0] = (uint8_t)first;
    for (size_t i = 0; i < count; i++) {
        values[i] = (struct tq_env_put){tq_env_key(1, first + i), value, sizeof value};
        deletes[i] = tq_env_key(1, replaced + i);
    }
    struct tq_env_batch batch = {.puts = values,
                                 .put_count = count,
                                 .deletes = deletes,
                                 .delete_count = replaced == 0 ? 0 : count,
                                 .index = 1,
                                 .meta = {first + count, first, first, first}};
    return tq_env_write(env, &batch);
}

static void assert_message(const char *part) {
    if (strstr(tq_message(), part) == NULL) fail_msg("message \"%s\" does not say \"%s\"", tq_message(), part);
}

static uint64_t file_mib(struct tq_env *env) {
    uint64_t file_bytes = 0, free_bytes = 0;
    must(tq_env_size(env, &file_bytes, &free_bytes));
    return file_bytes >> 20;
}

/* 100 times, 4 of 64 values of 1 MiB are replaced. Returns the MiB of the file afterwards. */
static uint64_t replace_values(struct tq_env *env, uint64_t *next, int rounds) {
    for (int i = 0; i < rounds; i++) {
        must(write_values(env, *next, AT_ONCE, *next - LIVE));
        *next += AT_ONCE;
    }
    return file_mib(env);
}

/* A process with so many read transactions that it never ends; it has them all when this returns. */
static pid_t start_reader(int readers) {
    int pipes[2];
    char ready = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct tq_env *own = NULL;
        struct tq_env_reader *reader = NULL;
        bool good = tq_env_open(folder.store, 0, true, &own) == TQ_OK;
        for (int i = 0; i < readers && good; i++) good = tq_env_reader_open(own, &reader) == TQ_OK;
        if (write(pipes[1], good ? "y" : "n", 1) != 1) _exit(1);
        for (;;) (void)pause();
    }
    assert_int_equal(read(pipes[0], &ready, 1), 1);
    assert_int_equal(ready, 'y');
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    return child;
}

static void kill_reader(pid_t child) {
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* ---- Readers ---- */

static void test_growth(void **state) {
    (void)state;
    struct tq_env *env = create();
    struct tq_env_reader *idle = NULL;
    uint64_t next = 1 + LIVE;
    must(write_values(env, 1, LIVE, 0));
    must(tq_env_reader_open(env, &idle));
    tq_env_reader_reset(idle);
    uint64_t beside_idle = replace_values(env, &next, ROUNDS);
    pid_t child = start_reader(1);
    uint64_t beside_reading = replace_values(env, &next, ROUNDS / 4);
    kill_reader(child);
    uint64_t after_kill = replace_values(env, &next, ROUNDS);
    print_message(
        "MiB of the file, 64 of them alive: %llu beside an idle reader, %llu beside one that reads, %llu after"
        " it was killed\n",
        (unsigned long long)beside_idle, (unsigned long long)beside_reading, (unsigned long long)after_kill);
    assert_in_range(beside_idle, LIVE, LIVE + 3 * AT_ONCE);
    assert_in_range(beside_reading, beside_idle + AT_ONCE * (ROUNDS / 4 - 3), 1000);
    assert_in_range(after_kill, LIVE, beside_reading + AT_ONCE);
    tq_env_reader_close(idle);
    tq_env_close(env);
}

/* All slots are taken: by this process, by others that live, by others that were killed. */
static void test_slots(void **state) {
    static struct tq_env_reader *readers[SLOTS];
    struct tq_env_reader *more = NULL;
    struct tq_env_meta meta;
    (void)state;
    struct tq_env *env = create();
    must(write_values(env, 1, 1, 0));
    pid_t first = start_reader(500), second = start_reader(500);
    for (int i = 0; i < SLOTS - 1000; i++) must(tq_env_reader_open(env, &readers[i]));
    assert_int_equal(tq_env_reader_open(env, &more), TQ_BUSY);
    assert_message("MDB_READERS_FULL");
    assert_int_equal(tq_env_meta(env, 1, &meta), TQ_BUSY);
    must(write_values(env, 2, 1, 1)); /* a writer needs no slot */
    tq_env_reader_reset(readers[0]);  /* an idle reader has one */
    must(tq_env_reader_renew(readers[0]));
    kill_reader(first);
    must(tq_env_reader_open(env, &more));
    kill_reader(second);
    for (int i = SLOTS - 1000; i < SLOTS - 1; i++) must(tq_env_reader_open(env, &readers[i]));
    assert_int_equal(tq_env_reader_open(env, &readers[SLOTS - 1]), TQ_BUSY);
    tq_env_reader_close(more);
    must(tq_env_reader_open(env, &readers[SLOTS - 1]));
    for (int i = 0; i < SLOTS; i++) tq_env_reader_close(readers[i]);
    tq_env_close(env);
}

/* A program meets it in its first search, and searches again when somebody has gone. */
static void test_busy_search(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_index_options options = tq_index_defaults(2);
    float vector[2] = {1, 2};
    struct tq_hit hit;
    size_t count = 0;
    must(tq_open(folder.store, TQ_OPEN_CREATE, &store));
    must(tq_index_create(store, "docs", &options, &index));
    must(tq_put(index, 1, vector));
    must(tq_index_optimize(index));
    pid_t child = start_reader(SLOTS - 1); /* the writer has one */
    assert_int_equal(tq_search(index, vector, 1, 1, NULL, &hit, &count, NULL), TQ_BUSY);
    kill_reader(child);
    must(tq_search(index, vector, 1, 1, NULL, &hit, &count, NULL));
    assert_int_equal(count, 1);
    tq_index_close(index);
    tq_close(store);
}

/* ---- The last page of a commit ---- */

static void test_panic(void **state) {
    (void)state;
    struct tq_env *env = create(), *other = NULL;
    struct tq_env_reader *reader = NULL;
    must(write_values(env, 1, 1, 0));
    atomic_store(&meta_failures, 1);
    enum tq_status status = write_values(env, 2, 1, 0);
    if (status == TQ_OK) fail_msg("LMDB did not write its last page by pwrite");
    atomic_store(&meta_failures, 0);
    assert_int_equal(status, TQ_IO);
    assert_int_equal(write_values(env, 3, 1, 0), TQ_IO);
    assert_message("an earlier write failed half-way; close every handle of this store");
    assert_int_equal(tq_env_reader_open(env, &reader), TQ_IO);
    assert_int_equal(tq_env_open(folder.store, 0, true, &other), TQ_IO);
    assert_message("close every handle");
    tq_env_close(env);
    env = create();
    must(write_values(env, 4, 1, 1));
    must(tq_env_reader_open(env, &reader));
    tq_env_reader_close(reader);
    tq_env_close(env);
}

/* The catalog was rolled back; what was committed before is there when the store is opened again. */
static void test_panic_in_optimize(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_index_options options = tq_index_defaults(2);
    float vector[2] = {1, 2};
    must(tq_open(folder.store, TQ_OPEN_CREATE, &store));
    must(tq_index_create(store, "docs", &options, &index));
    for (int64_t id = 1; id <= 10; id++) must(tq_put(index, id, vector));
    atomic_store(&meta_failures, 1);
    assert_int_equal(tq_index_optimize(index), TQ_IO);
    atomic_store(&meta_failures, 0);
    assert_int_equal(tq_index_optimize(index), TQ_IO);
    assert_message("close every handle");
    tq_index_close(index);
    tq_close(store);
    must(tq_open(folder.store, 0, &store));
    must(tq_index_open(store, "docs", &index));
    must(tq_index_optimize(index));
    struct tq_index_info info;
    must(tq_index_get_info(index, &info));
    assert_int_equal(info.rows, 10);
    assert_int_equal(info.log_rows, 0);
    tq_index_close(index);
    tq_close(store);
}

/* A writer that is killed behind its last page has told no reader of it: they are one write behind, and so is who asks
 * them which keys are taken, until the next write begins. */
static void test_killed_behind_last_page(void **state) {
    (void)state;
    struct tq_env *env = create();
    struct tq_env_meta meta;
    uint64_t keys[4];
    size_t count = 0;
    must(write_values(env, 1, 1, 0));
    pid_t child = fork();
    if (child == 0) {
        struct tq_env *own = NULL;
        if (tq_env_open(folder.store, 0, true, &own) != TQ_OK) _exit(1);
        atomic_store(&dies_behind, true);
        (void)write_values(own, 2, 2, 0);
        _exit(2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    must(tq_env_meta(env, 1, &meta));
    assert_int_equal(meta.serial, 4);
    must(tq_env_keys_above(env, 1, 1, keys, 4, &count));
    assert_int_equal(count, 2);
    tq_env_close(env);
}

/* The same from above: what the killed one has left is passed over, and swept. */
static void test_killed_optimize(void **state) {
    (void)state;
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_index_options options = tq_index_defaults(2);
    struct tq_index_info info;
    float vector[2] = {1, 2};
    must(tq_open(folder.store, TQ_OPEN_CREATE, &store));
    must(tq_index_create(store, "docs", &options, &index));
    for (int64_t id = 1; id <= 10; id++) must(tq_put(index, id, vector));
    for (int turn = 0; turn < 3; turn++) {
        pid_t child = fork();
        if (child == 0) {
            if (tq_open(folder.store, 0, &store) != TQ_OK || tq_index_open(store, "docs", &index) != TQ_OK) _exit(1);
            atomic_store(&dies_behind, true);
            (void)tq_index_optimize(index);
            _exit(2);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        if (turn == 1) must(tq_delete(index, 3));
        must(tq_index_optimize(index));
        must(tq_put(index, 100 + turn, vector));
    }
    must(tq_index_optimize(index));
    must(tq_index_get_info(index, &info));
    assert_int_equal(info.rows, 12);
    assert_int_equal(info.log_rows, 0);
    tq_index_close(index);
    tq_close(store);
}

/* ---- Copies ---- */

/* build/tests/<this program>: the library is one folder up. A copy of the file is another library to the loader. */
static bool copy_library(char *path, size_t size) {
    char self[1024] = "", command[4000];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0 || strrchr(self, '/') == NULL) return false;
    *strrchr(self, '/') = 0;
    (void)snprintf(path, size, "%s/other.so", folder.path);
    (void)snprintf(command, sizeof command, "cp '%s/../libtq.so' '%s' 2>/dev/null", self, path);
    return system(command) == 0;
}

static void test_second_copy(void **state) {
    (void)state;
    char path[400];
    tq_store *store = NULL, *again = NULL;
    must(tq_open(folder.store, TQ_OPEN_CREATE, &store));
    void *library = copy_library(path, sizeof path) ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        print_message("not tested: no libtq.so beside the tests\n");
        tq_close(store);
        return;
    }
    union {
        void *address;
        enum tq_status (*open)(const char *, unsigned, tq_store **);
        void (*close)(tq_store *);
        const char *(*message)(void);
    } function = {.address = dlsym(library, "tq_open")};
    assert_int_equal(function.open(folder.store, 0, &again), TQ_UNSUPPORTED);
    function.address = dlsym(library, "tq_message");
    assert_non_null(strstr(function.message(), "a second copy of this library"));
    tq_close(store); /* then it may */
    function.address = dlsym(library, "tq_open");
    must(function.open(folder.store, 0, &again));
    assert_int_equal(tq_open(folder.store, 0, &store), TQ_UNSUPPORTED);
    function.address = dlsym(library, "tq_close");
    function.close(again);
    must(tq_open(folder.store, 0, &store));
    tq_close(store);
}

/* ---- Containers ---- */

/* As the first process of a container, which has the number 1: opens the store, says how that went, and stays. */
static _Noreturn void be_contained(int said) {
    struct tq_env *env = NULL;
    enum tq_status status = tq_env_open(folder.store, 0, true, &env);
    struct tq_env_reader *reader = NULL;
    if (status == TQ_OK && tq_env_reader_open(env, &reader) != TQ_OK) status = TQ_IO;
    if (write(said, &status, sizeof status) != (ssize_t)sizeof status) _exit(1);
    for (;;) (void)pause();
}

/* The container's first process as this process sees it, 0 where containers may not be made. */
static pid_t start_container(enum tq_status *status) {
    int said[2], number[2];
    pid_t inner = 0;
    assert_int_equal(pipe(said), 0);
    assert_int_equal(pipe(number), 0);
    pid_t outer = fork();
    if (outer == 0) {
        inner = unshare(CLONE_NEWPID) == 0 ? fork() : -1;
        if (inner == 0) be_contained(said[1]);
        if (write(number[1], &inner, sizeof inner) != (ssize_t)sizeof inner) _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(outer, NULL, 0), outer);
    assert_int_equal(read(number[0], &inner, sizeof inner), sizeof inner);
    if (inner > 0) assert_int_equal(read(said[0], status, sizeof *status), sizeof *status);
    for (int i = 0; i < 2; i++) {
        (void)close(said[i]);
        (void)close(number[i]);
    }
    return inner > 0 ? inner : 0;
}

/* LMDB tells living readers from dead ones by a lock on the byte of their number, so two processes of one number cannot
 * share a store: the second is told when it opens it, not when it reads. */
static void test_containers(void **state) {
    (void)state;
    enum tq_status first = TQ_OK, second = TQ_OK;
    tq_env_close(create());
    pid_t one = start_container(&first), two = start_container(&second);
    if (one == 0 || two == 0) {
        print_message("not tested: containers may not be made here\n");
    } else {
        assert_int_equal(first, TQ_OK);
        assert_int_equal(second, TQ_UNSUPPORTED);
    }
    if (one != 0) (void)kill(one, SIGKILL);
    if (two != 0) (void)kill(two, SIGKILL);
    struct tq_env *env = create();
    must(write_values(env, 1, 1, 0));
    tq_env_close(env);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(test_growth),
        test(test_slots),
        test(test_busy_search),
        test(test_panic),
        test(test_panic_in_optimize),
        test(test_killed_behind_last_page),
        test(test_killed_optimize),
        test(test_second_copy),
        test(test_containers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
