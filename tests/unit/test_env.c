/* The environment: made whole or not at all, one per process, and never trusted further than it was checked. */
#include "tests/unit/env_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/env.h"
#include "storage/platform.h"

static struct tq_env *create(void) {
    struct tq_env *env = NULL;
    must(tq_env_open(folder.store, TQ_OPEN_CREATE, true, &env));
    return env;
}

static enum tq_status put(struct tq_env *env, uint32_t index, uint64_t serial, const void *data, size_t size,
                          uint64_t delete_key) {
    struct tq_env_put one = {tq_env_key(index, serial), data, size};
    struct tq_env_batch batch = {.puts = &one,
                                 .put_count = data != NULL ? 1 : 0,
                                 .deletes = &delete_key,
                                 .delete_count = delete_key != 0 ? 1 : 0,
                                 .index = index,
                                 .meta = {serial, serial + 1, serial + 2, serial + 3}};
    return tq_env_write(env, &batch);
}

static enum tq_status get(struct tq_env *env, uint64_t key, const char *expected) {
    struct tq_env_reader *reader = NULL;
    const void *data = NULL;
    size_t size = 0;
    must(tq_env_reader_open(env, &reader));
    enum tq_status status = tq_env_get(reader, key, &data, &size);
    if (status == TQ_OK) {
        assert_int_equal(size, strlen(expected));
        assert_memory_equal(data, expected, size);
    }
    tq_env_reader_close(reader);
    return status;
}

static void test_values(void **state) {
    (void)state;
    struct tq_env *env = create();
    must(put(env, 1, 1, "one", 3, 0));
    must(put(env, 1, 2, "two", 3, 0));
    must(put(env, 2, 1, "other", 5, 0));
    must(get(env, tq_env_key(1, 2), "two"));
    assert_int_equal(get(env, tq_env_key(1, 3), ""), TQ_NOT_FOUND);
    assert_int_equal(put(env, 1, 2, "again", 5, 0), TQ_CORRUPT); /* a serial is never used twice */
    struct tq_env_meta meta;
    must(tq_env_meta(env, 1, &meta));
    assert_int_equal(meta.serial, 2);
    assert_int_equal(meta.flushes, 3);
    assert_int_equal(meta.nonce, 4);
    assert_int_equal(meta.parent, 5);
    must(tq_env_meta(env, 9, &meta));
    assert_int_equal(meta.serial + meta.flushes + meta.nonce + meta.parent, 0);
    uint64_t keys[4] = {0};
    size_t count = 0;
    must(tq_env_keys_above(env, 1, 0, keys, 1, &count));
    assert_int_equal(count, 2);
    assert_int_equal(keys[0], tq_env_key(1, 1));
    assert_int_equal(keys[1], 0);
    must(tq_env_keys_above(env, 1, 1, keys, 4, &count));
    assert_int_equal(count, 1);
    must(tq_env_keys_above(env, 2, 1, keys, 4, &count));
    assert_int_equal(count, 0);
    must(put(env, 1, 3, "three", 5, tq_env_key(1, 1)));
    assert_int_equal(get(env, tq_env_key(1, 1), ""), TQ_NOT_FOUND);
    must(put(env, 1, 4, NULL, 0, tq_env_key(1, 77))); /* absent keys are fine */
    assert_int_equal(put(env, 1u << 24, 1, "x", 1, 0), TQ_UNSUPPORTED);
    tq_env_close(env);
    env = create();
    must(get(env, tq_env_key(1, 3), "three"));
    tq_env_close(env);
    tq_env_close(NULL);
}

/* All or nothing: the second value exists already, so the first must not stay. */
static void test_batch_is_atomic(void **state) {
    (void)state;
    struct tq_env *env = create();
    must(put(env, 1, 5, "five", 4, 0));
    struct tq_env_put puts_[] = {{tq_env_key(1, 4), "four", 4}, {tq_env_key(1, 5), "again", 5}};
    uint64_t delete_key = tq_env_key(1, 5);
    struct tq_env_batch batch = {.puts = puts_, .put_count = 2, .index = 1, .meta = {.serial = 99}};
    assert_int_equal(tq_env_write(env, &batch), TQ_CORRUPT);
    assert_int_equal(get(env, tq_env_key(1, 4), ""), TQ_NOT_FOUND);
    struct tq_env_meta meta;
    must(tq_env_meta(env, 1, &meta));
    assert_int_equal(meta.serial, 5);
    batch.deletes = &delete_key; /* deletes come first: an orphan's key may be used in the same batch */
    batch.delete_count = 1;
    must(tq_env_write(env, &batch));
    must(get(env, tq_env_key(1, 5), "again"));
    tq_env_close(env);
}

static void test_readers_see_a_snapshot(void **state) {
    (void)state;
    struct tq_env *env = create();
    struct tq_env_reader *reader = NULL;
    const void *before = NULL, *after = NULL;
    size_t size = 0;
    must(put(env, 1, 1, "one", 3, 0));
    must(tq_env_reader_open(env, &reader));
    must(tq_env_get(reader, tq_env_key(1, 1), &before, &size));
    must(put(env, 1, 2, "two", 3, tq_env_key(1, 1)));
    assert_int_equal(tq_env_get(reader, tq_env_key(1, 2), &after, &size), TQ_NOT_FOUND);
    must(tq_env_get(reader, tq_env_key(1, 1), &after, &size));
    assert_ptr_equal(before, after);
    assert_memory_equal(before, "one", 3);
    must(tq_env_reader_renew(reader));
    assert_int_equal(tq_env_get(reader, tq_env_key(1, 1), &after, &size), TQ_NOT_FOUND);
    must(tq_env_get(reader, tq_env_key(1, 2), &after, &size));
    tq_env_reader_reset(reader);
    tq_env_reader_reset(reader);
    assert_int_equal(tq_env_get(reader, tq_env_key(1, 2), &after, &size), TQ_MISUSE);
    must(tq_env_reader_renew(reader));
    tq_env_close(env); /* a reader holds its environment */
    must(tq_env_get(reader, tq_env_key(1, 2), &after, &size));
    tq_env_reader_close(reader);
    tq_env_reader_close(NULL);
}

static void test_one_per_process(void **state) {
    (void)state;
    struct tq_env *env = create(), *again = NULL, *by_link = NULL, *writer = NULL;
    char link[400];
    (void)snprintf(link, sizeof link, "%s/link", folder.path);
    assert_int_equal(symlink(folder.store, link), 0);
    must(tq_env_open(folder.store, 0, true, &again));
    must(tq_env_open(link, TQ_OPEN_READONLY, true, &by_link));
    assert_ptr_equal(env, again);
    assert_ptr_equal(env, by_link);
    tq_env_close(by_link);
    tq_env_close(again);
    must(put(env, 1, 1, "one", 3, 0));
    tq_env_close(env);
    must(tq_env_open(folder.store, TQ_OPEN_READONLY, true, &env));
    assert_int_equal(put(env, 1, 2, "two", 3, 0), TQ_MISUSE);
    must(get(env, tq_env_key(1, 1), "one"));
    assert_int_equal(tq_env_open(folder.store, 0, true, &writer), TQ_BUSY);
    tq_env_close(env);
    must(tq_env_open(folder.store, 0, true, &writer));
    must(put(writer, 1, 2, "two", 3, 0));
    tq_env_close(writer);
}

/* What a second copy of this library in the process would do: lock the same byte through another open file. */
static void test_second_copy_is_refused(void **state) {
    (void)state;
    char owner[400];
    tq_env_close(create());
    (void)snprintf(owner, sizeof owner, "%s/owner", folder.store);
    int fd = open(owner, O_RDWR);
    if (tq_platform_lock_byte(fd, (uint64_t)getpid()) == 0) {
        int twin = open(owner, O_RDWR);
        bool locks = tq_platform_lock_byte(twin, (uint64_t)getpid()) == EAGAIN;
        struct tq_env *env = NULL;
        if (locks)
            assert_int_equal(tq_env_open(folder.store, 0, true, &env), TQ_UNSUPPORTED);
        else
            print_message("no open-file locks on this platform: not tested\n");
        (void)close(twin);
    }
    (void)close(fd);
    tq_env_close(create());
}

static void test_absent_and_foreign(void **state) {
    (void)state;
    struct tq_env *env = NULL;
    char path[400];
    assert_int_equal(tq_env_open(folder.store, 0, true, &env), TQ_NOT_FOUND);
    assert_int_equal(tq_env_open(folder.store, TQ_OPEN_CREATE | TQ_OPEN_READONLY, true, &env), TQ_NOT_FOUND);
    (void)snprintf(path, sizeof path, "%s/no/such/place", folder.path);
    assert_int_equal(tq_env_open(path, TQ_OPEN_CREATE, true, &env), TQ_NOT_FOUND);
    assert_int_equal(mkdir(folder.store, 0755), 0);
    assert_int_equal(tq_env_open(folder.path, TQ_OPEN_CREATE, true, &env), TQ_FORMAT); /* holds something else */
    FILE *file = fopen(folder.data, "w");
    assert_int_equal(tq_env_open(folder.store, 0, true, &env), TQ_FORMAT); /* empty: LMDB would make it its own */
    struct stat st;
    assert_int_equal(stat(folder.data, &st), 0);
    assert_int_equal(st.st_size, 0);
    for (int i = 0; i < 20000; i++) (void)fputc(i, file);
    (void)fclose(file);
    assert_int_equal(tq_env_open(folder.store, 0, true, &env), TQ_FORMAT);
    assert_int_equal(tq_env_open(folder.data, 0, true, &env), TQ_FORMAT); /* a file */
    assert_null(env);
}

/* Flip a byte wherever `bytes` stand in the file. */
static void flip(const char *bytes, size_t size, size_t at) {
    FILE *file = fopen(folder.data, "r+");
    static char all[1 << 20];
    size_t length = fread(all, 1, sizeof all, file);
    for (size_t i = 0; i + size <= length; i++) {
        if (memcmp(all + i, bytes, size) != 0) continue;
        (void)fseek(file, (long)(i + at), SEEK_SET);
        (void)fputc(all[i + at] ^ 16, file);
    }
    (void)fclose(file);
}

static void test_damaged_records(void **state) {
    (void)state;
    struct tq_env *env = create();
    uint8_t uuid[16];
    memcpy(uuid, tq_env_uuid(env), 16);
    must(put(env, 1, 0x1234567812345678, "one", 3, 0));
    tq_env_close(env);
    uint64_t serial = 0x1234567812345678;
    flip((const char *)&serial, 8, 9);
    env = create();
    struct tq_env_meta meta;
    assert_int_equal(tq_env_meta(env, 1, &meta), TQ_CORRUPT);
    tq_env_close(env);
    flip("tqlite\0", 8, 20); /* in the uuid */
    assert_int_equal(tq_env_open(folder.store, 0, true, &env), TQ_CORRUPT);
    flip("tqlite\0", 8, 20);
    must(tq_env_open(folder.store, 0, true, &env));
    assert_memory_equal(uuid, tq_env_uuid(env), 16);
    tq_env_close(env);
    flip("tqlite\0", 8, 8); /* the format */
    assert_int_equal(tq_env_open(folder.store, 0, true, &env), TQ_FORMAT);
    flip("tqlite\0", 8, 1); /* the magic */
    assert_int_equal(tq_env_open(folder.store, 0, true, &env), TQ_FORMAT);
}

static void test_truncated(void **state) {
    (void)state;
    struct tq_env *env = create();
    char *value = calloc(1, 300000);
    for (uint64_t i = 1; i < 10; i++) must(put(env, 1, i, value, 300000, 0));
    free(value);
    tq_env_close(env);
    struct stat st;
    assert_int_equal(stat(folder.data, &st), 0);
    for (off_t size = st.st_size - 1; size > 0; size = size / 3 * 2) {
        assert_int_equal(truncate(folder.data, size), 0);
        enum tq_status status = tq_env_open(folder.store, 0, true, &env);
        assert_true(status == TQ_CORRUPT || (size < 48 && status == TQ_FORMAT));
    }
}

/* ---- Processes ---- */

/* Run a function in a child; its result is the exit status. */
static int in_child(int (*run)(struct tq_env *env), struct tq_env *env) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) _exit(run(env));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static struct tq_env_reader *inherited;

static int child_after_fork(struct tq_env *env) {
    struct tq_env_reader *reader = NULL;
    struct tq_env *own = NULL;
    struct tq_env_meta meta;
    const void *data = NULL;
    size_t size = 0;
    if (tq_env_reader_open(env, &reader) != TQ_MISUSE) return 1;
    if (tq_env_get(inherited, tq_env_key(1, 1), &data, &size) != TQ_MISUSE) return 2;
    if (tq_env_reader_renew(inherited) != TQ_MISUSE) return 3;
    if (put(env, 1, 9, "nine", 4, 0) != TQ_MISUSE) return 4;
    if (tq_env_meta(env, 1, &meta) != TQ_MISUSE) return 5;
    tq_env_reader_close(inherited); /* must not release the parent's slot */
    tq_env_close(env);
    if (tq_env_open(folder.store, 0, true, &own) != TQ_OK) return 6;
    if (own == env) return 7;
    if (put(own, 1, 2, "two", 3, tq_env_key(1, 1)) != TQ_OK) return 8;
    for (uint64_t i = 10; i < 20; i++) /* pages of a snapshot that nobody held would be used again here */
        if (put(own, 1, i, "many", 4, tq_env_key(1, i - 1)) != TQ_OK) return 9;
    tq_env_close(own);
    return 0;
}

static void test_fork(void **state) {
    (void)state;
    struct tq_env *env = create();
    const void *data = NULL;
    size_t size = 0;
    must(put(env, 1, 1, "one", 3, 0));
    must(tq_env_reader_open(env, &inherited));
    must(tq_env_get(inherited, tq_env_key(1, 1), &data, &size));
    assert_int_equal(in_child(child_after_fork, env), 0);
    assert_memory_equal(data, "one", 3); /* our snapshot is untouched */
    must(tq_env_reader_renew(inherited));
    must(tq_env_get(inherited, tq_env_key(1, 2), &data, &size));
    tq_env_reader_close(inherited);
    must(put(env, 1, 30, "ours", 4, 0));
    tq_env_close(env);
}

static int child_without_stdio(struct tq_env *env) {
    (void)env;
    struct tq_env *own = NULL;
    for (int fd = 0; fd < 3; fd++) (void)close(fd);
    if (tq_env_open(folder.store, TQ_OPEN_CREATE, true, &own) != TQ_OK) return 1;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) != -1) return 2; /* as it was, and none of them LMDB's */
    tq_env_close(own);
    return 0;
}

static int child_with_little_space(struct tq_env *env) {
    (void)env;
    struct tq_env *own = NULL;
    struct rlimit limit = {8ull << 30, 8ull << 30};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    if (tq_env_open(folder.store, TQ_OPEN_CREATE, true, &own) != TQ_OK) return 2;
    if (put(own, 1, 1, "one", 3, 0) != TQ_OK) return 3;
    tq_env_close(own);
    return 0;
}

static void test_surroundings(void **state) {
    (void)state;
    assert_int_equal(in_child(child_without_stdio, NULL), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_int_equal(in_child(child_with_little_space, NULL), 0);
#else
    (void)child_with_little_space; /* sanitizers need terabytes themselves */
#endif
}

static int child_creates(struct tq_env *env) {
    (void)env;
    struct tq_env *own = NULL;
    if (tq_env_open(folder.store, TQ_OPEN_CREATE, true, &own) != TQ_OK) return 1;
    if (put(own, 1, (uint64_t)getpid(), "x", 1, 0) != TQ_OK) return 2;
    tq_env_close(own);
    return 0;
}

static void test_many_create_at_once(void **state) {
    (void)state;
    for (int round = 0; round < 5; round++) {
        pid_t children[6];
        for (int i = 0; i < 6; i++) {
            children[i] = fork();
            if (children[i] == 0) _exit(child_creates(NULL));
        }
        for (int i = 0; i < 6; i++) {
            int status = 0;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        struct tq_env *env = create();
        size_t count = 0;
        must(tq_env_keys_above(env, 1, 0, NULL, 0, &count));
        assert_int_equal(count, 6); /* one store, not one over another */
        tq_env_close(env);
        remove_tree(folder.store);
    }
    DIR *dir = opendir(folder.path); /* and no leftovers */
    int entries = 0;
    while (readdir(dir) != NULL) entries++;
    (void)closedir(dir);
    assert_int_equal(entries, 2);
}

/* A reader that was killed leaves its slot behind; it must not pin pages for ever. */
static void test_killed_reader(void **state) {
    (void)state;
    struct tq_env *env = create();
    char *value = calloc(1, TQ_VALUE_BYTES_MAX), ready = 0;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    must(put(env, 1, 1, value, TQ_VALUE_BYTES_MAX, 0));
    pid_t child = fork();
    if (child == 0) {
        struct tq_env *own = NULL;
        struct tq_env_reader *reader = NULL;
        bool good = tq_env_open(folder.store, 0, true, &own) == TQ_OK && tq_env_reader_open(own, &reader) == TQ_OK;
        if (write(pipes[1], good ? "y" : "n", 1) != 1) _exit(1);
        for (;;) (void)pause();
    }
    assert_int_equal(read(pipes[0], &ready, 1), 1);
    assert_int_equal(ready, 'y');
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    uint64_t file_bytes = 0, free_bytes = 0;
    for (uint64_t i = 2; i < 30; i++) must(put(env, 1, i, value, TQ_VALUE_BYTES_MAX, tq_env_key(1, i - 1)));
    must(tq_env_size(env, &file_bytes, &free_bytes));
    assert_in_range(file_bytes, 1 << 20, 5 << 20);
    assert_in_range(free_bytes, 1 << 20, 4 << 20);
    free(value);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    tq_env_close(env);
}

/* ---- Full disk ---- */

static void test_full_disk(void **state) {
    (void)state;
    if (mount("tmpfs", folder.path, "tmpfs", 0, "size=20m") != 0) {
        print_message("not tested: mounting a small tmpfs: %s\n", strerror(errno));
        return;
    }
    struct tq_env *env = create();
    char *value = malloc(TQ_VALUE_BYTES_MAX);
    uint64_t serial = 0;
    enum tq_status status = TQ_OK;
    while (status == TQ_OK && serial < 100) {
        memset(value, (int)(serial + 1), TQ_VALUE_BYTES_MAX);
        status = put(env, 1, serial + 1, value, TQ_VALUE_BYTES_MAX, 0);
        if (status == TQ_OK) serial++;
    }
    assert_int_equal(status, TQ_FULL);
    assert_in_range(serial, 10, 19);
    struct tq_env_reader *reader = NULL;
    const uint8_t *data = NULL;
    size_t size = 0;
    must(tq_env_reader_open(env, &reader));
    for (uint64_t i = 1; i <= serial; i++) {
        must(tq_env_get(reader, tq_env_key(1, i), (const void **)&data, &size));
        assert_int_equal(data[0], (uint8_t)i);
        assert_int_equal(data[size - 1], (uint8_t)i);
    }
    tq_env_reader_close(reader);
    struct tq_env_meta meta;
    must(tq_env_meta(env, 1, &meta));
    assert_int_equal(meta.serial, serial);
    tq_env_close(env);
    env = create(); /* and it opens again */
    must(get(env, tq_env_key(1, 99), "") == TQ_NOT_FOUND ? TQ_OK : TQ_CORRUPT);
    tq_env_close(env);
    free(value);
    assert_int_equal(umount(folder.path), 0);
}

/* ---- Threads ---- */

static void *open_and_write(void *argument) {
    uint64_t number = *(uint64_t *)argument;
    struct tq_env *env = NULL;
    for (uint64_t i = 0; i < 20; i++) {
        must(tq_env_open(folder.store, TQ_OPEN_CREATE, true, &env));
        must(put(env, (uint32_t)number, i + 1, "x", 1, 0));
        must(get(env, tq_env_key((uint32_t)number, i + 1), "x"));
        tq_env_close(env);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    uint64_t numbers[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, open_and_write, &numbers[i]), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct tq_env *env = create();
    for (uint32_t i = 1; i <= 4; i++) {
        size_t count = 0;
        must(tq_env_keys_above(env, i, 0, NULL, 0, &count));
        assert_int_equal(count, 20);
    }
    tq_env_close(env);
}

static void test_network_kinds(void **state) {
    (void)state;
    assert_null(tq_platform_network("/proc"));
    assert_null(tq_platform_network("/no/such/path"));
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(test_values),
        test(test_batch_is_atomic),
        test(test_readers_see_a_snapshot),
        test(test_one_per_process),
        test(test_second_copy_is_refused),
        test(test_absent_and_foreign),
        test(test_damaged_records),
        test(test_truncated),
        test(test_fork),
        test(test_surroundings),
        test(test_many_create_at_once),
        test(test_killed_reader),
        test(test_full_disk),
        test(test_threads),
        test(test_network_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
