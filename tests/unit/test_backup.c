/* A store as a whole, as a program sees it: copied while it is written to, compacted while nobody has it open. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/tq.h"
#include "tests/unit/scratch_folder.h"

enum { DIM = 256, ROWS = 3000 };

static bool exists(const char *name) { return access(path_of(name), F_OK) == 0; }

static void ok(enum tq_status status) {
    if (status == TQ_OK) return;
    print_error("%s: %s\n", tq_status_name(status), tq_message());
    fail();
}

static void fails(enum tq_status status, enum tq_status wanted, const char *message) {
    if (status == wanted && strstr(tq_message(), message) != NULL) return;
    print_error("%s, \"%s\"; wanted %s, \"%s\"\n", tq_status_name(status), tq_message(), tq_status_name(wanted),
                message);
    fail();
}

static void vector_of(int64_t id, float *vector) {
    uint64_t state = (uint64_t)id * 0x9e3779b97f4a7c15u + 12345;
    for (uint32_t j = 0; j < DIM; j++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        vector[j] = (float)((double)(state >> 11) * 0x1p-53 - 0.5);
    }
}

static void put_rows(tq_store *store, tq_index *index, int64_t first, int64_t end) {
    float vector[DIM];
    ok(tq_begin(store));
    for (int64_t id = first; id < end; id++) {
        vector_of(id, vector);
        ok(tq_put(index, id, vector));
    }
    ok(tq_commit(store));
}

static void make(const char *name) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_index_options options = tq_index_defaults(DIM);
    ok(tq_open(path_of(name), TQ_OPEN_CREATE, &store));
    ok(tq_index_create(store, "words", &options, &index));
    put_rows(store, index, 0, ROWS);
    tq_index_close(index);
    tq_close(store);
}

static void print_finding(void *context, const char *finding) {
    (void)context;
    print_message("%s\n", finding);
}

/* Rows 0 to the result, each with its own vector, and nothing wrong anywhere. */
static uint64_t check(const char *name) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    float vector[DIM], got[DIM];
    struct tq_index_info info;
    ok(tq_open(path_of(name), 0, &store));
    ok(tq_check(store, 1, print_finding, NULL));
    ok(tq_index_open(store, "words", &index));
    ok(tq_index_get_info(index, &info));
    for (uint64_t id = 0; id < info.rows; id += 7) {
        struct tq_hit hit;
        size_t count = 0;
        vector_of((int64_t)id, vector);
        ok(tq_get(index, (int64_t)id, got));
        assert_memory_equal(vector, got, sizeof got);
        if (id % 70 != 0) continue;
        ok(tq_search(index, vector, 1, 1, NULL, &hit, &count, NULL));
        assert_int_equal(count, 1);
        assert_int_equal(hit.id, id);
    }
    tq_index_close(index);
    tq_close(store);
    return info.rows;
}

static off_t size_of(const char *name) {
    struct stat st;
    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_size;
}

/* A child that does not outlive a test that fails. */
static pid_t begin_child(void) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/* ---- Backup ---- */

static void test_a_copy_is_the_store(void **state) {
    (void)state;
    make("store");
    tq_store *store = NULL;
    ok(tq_open(path_of("store"), 0, &store));
    assert_int_equal(chmod(path_of("store"), 0700), 0);
    ok(tq_backup(store, path_of("copy")));
    fails(tq_backup(store, path_of("copy")), TQ_EXISTS, "exists already");
    fails(tq_backup(store, path_of("nowhere/copy")), TQ_NOT_FOUND, "does not exist");
    fails(tq_backup(store, ""), TQ_MISUSE, "the path is empty");
    fails(tq_backup(store, NULL), TQ_MISUSE, "the path is empty");
    tq_close(store);
    ok(tq_open(path_of("store"), TQ_OPEN_READONLY, &store));
    ok(tq_backup(store, path_of("copy2/")));
    tq_close(store);
    struct stat st;
    assert_int_equal(stat(path_of("copy"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(check("copy"), ROWS);
    assert_int_equal(check("copy2"), ROWS);
    assert_int_equal(check("store"), ROWS);
    char command[600];
    (void)snprintf(command, sizeof command, "test \"$(ls '%s' | tr '\\n' ' ')\" = 'copy copy2 store '", folder);
    assert_int_equal(system(command), 0);
}

/* A catalog that was left of another store would be read with its journal: nothing is written beside one. */
static void test_no_copy_beside_a_journal(void **state) {
    (void)state;
    make("store");
    assert_int_equal(mkdir(path_of("taken"), 0777), 0);
    tq_store *store = NULL;
    ok(tq_open(path_of("store"), 0, &store));
    fails(tq_backup(store, path_of("taken")), TQ_EXISTS, "nothing is overwritten");
    tq_close(store);
}

static void test_an_open_transaction_is_not_copied(void **state) {
    (void)state;
    make("store");
    tq_store *store = NULL;
    tq_index *index = NULL;
    float vector[DIM];
    ok(tq_open(path_of("store"), 0, &store));
    ok(tq_index_open(store, "words", &index));
    ok(tq_begin(store));
    for (int64_t id = ROWS; id < 2 * ROWS; id++) {
        vector_of(id, vector);
        ok(tq_put(index, id, vector));
    }
    ok(tq_backup(store, path_of("copy")));
    ok(tq_commit(store));
    tq_index_close(index);
    tq_close(store);
    assert_int_equal(check("copy"), ROWS);
    assert_int_equal(check("store"), 2 * ROWS);
}

/* Replaces everything again and again, so that values are merged and deleted while copies are made. */
static void write_on(const char *name) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    float vector[DIM];
    ok(tq_open(path_of(name), 0, &store));
    ok(tq_index_open(store, "words", &index));
    for (int64_t next = ROWS;; next += 400) {
        put_rows(store, index, next, next + 400);
        ok(tq_begin(store));
        for (int64_t id = (next * 7) % 2000; id < (next * 7) % 2000 + 200; id++) {
            vector_of(id, vector);
            ok(tq_delete(index, id));
            ok(tq_put(index, id, vector));
        }
        ok(tq_commit(store));
        ok(tq_index_optimize(index));
    }
}

static void test_copies_while_another_process_writes(void **state) {
    (void)state;
    make("store");
    pid_t child = begin_child();
    if (child == 0) write_on("store");
    tq_store *store = NULL;
    uint64_t rows = 0;
    ok(tq_open(path_of("store"), 0, &store));
    for (int i = 0; i < 6; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "copy%d", i);
        (void)usleep(150000);
        ok(tq_backup(store, path_of(name)));
        uint64_t now = check(name);
        assert_true(now >= rows);
        assert_int_equal((now - ROWS) % 400, 0);
        rows = now;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)waitpid(child, NULL, 0);
    tq_close(store);
    assert_true(rows > ROWS);
}

static void test_a_full_disk_leaves_nothing(void **state) {
    (void)state;
    make("store");
    assert_int_equal(mkdir(path_of("small"), 0777), 0);
    if (mount("tmpfs", path_of("small"), "tmpfs", 0, "size=2m") != 0) {
        print_message("not tested: mounting a small tmpfs: %s\n", strerror(errno));
        return;
    }
    tq_store *store = NULL;
    ok(tq_open(path_of("store"), 0, &store));
    enum tq_status status = tq_backup(store, path_of("small/copy"));
    char text[512], command[600];
    (void)snprintf(text, sizeof text, "%s", tq_message());
    (void)snprintf(command, sizeof command, "test -z \"$(ls -A '%s')\"", path_of("small"));
    int empty = system(command);
    assert_int_equal(umount(path_of("small")), 0);
    tq_close(store);
    assert_int_equal(status, TQ_FULL);
    assert_non_null(strstr(text, "disk full"));
    assert_null(strstr(text, ".new-"));
    assert_int_equal(empty, 0);
}

/* ---- A file that is taken away ---- */

static void test_nothing_is_written_to_a_deleted_file(void **state) {
    (void)state;
    make("store");
    tq_store *store = NULL;
    tq_index *index = NULL;
    float vector[DIM];
    ok(tq_open(path_of("store"), 0, &store));
    ok(tq_index_open(store, "words", &index));
    ok(tq_backup(store, path_of("copy")));
    assert_int_equal(rename(path_of("copy/data.mdb"), path_of("store/data.mdb")), 0);
    vector_of(ROWS, vector);
    ok(tq_put(index, ROWS, vector)); /* to the log, which is not in that file */
    fails(tq_index_optimize(index), TQ_IO, "was deleted or replaced while this process had it open");
    ok(tq_get(index, 1, vector));
    tq_index_close(index);
    tq_close(store);
    assert_int_equal(check("store"), ROWS + 1);
}

/* ---- Compaction ---- */

static void delete_most(const char *name) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    ok(tq_open(path_of(name), 0, &store));
    ok(tq_index_open(store, "words", &index));
    ok(tq_begin(store));
    for (int64_t id = 1000; id < ROWS; id++) ok(tq_delete(index, id));
    ok(tq_commit(store));
    ok(tq_index_optimize(index));
    fails(tq_compact(store, NULL), TQ_BUSY, "index \"words\" is open");
    tq_index_close(index);
    tq_close(store);
}

static void test_a_compacted_file_is_smaller(void **state) {
    (void)state;
    make("store");
    delete_most("store");
    off_t before = size_of("store/data.mdb");
    assert_int_equal(chmod(path_of("store/data.mdb"), 0640), 0);
    tq_store *store = NULL;
    uint64_t freed = 0;
    ok(tq_open(path_of("store"), 0, &store));
    ok(tq_begin(store));
    fails(tq_compact(store, &freed), TQ_MISUSE, "a transaction is open");
    tq_abort(store);
    ok(tq_compact(store, &freed));
    assert_true(freed > 1000000);
    assert_int_equal(size_of("store/data.mdb"), before - (off_t)freed);
    struct stat st;
    assert_int_equal(stat(path_of("store/data.mdb"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    tq_index *index = NULL; /* the same handle goes on */
    ok(tq_index_open(store, "words", &index));
    put_rows(store, index, 1000, 1400);
    tq_index_close(index);
    ok(tq_compact(store, NULL));
    assert_int_equal(check("store"), 1400);
    ok(tq_compact(store, &freed));
    assert_int_equal(freed, 0);
    tq_close(store);
    assert_int_equal(check("store"), 1400);
    ok(tq_open(path_of("store"), TQ_OPEN_READONLY, &store));
    fails(tq_compact(store, NULL), TQ_MISUSE, "TQ_OPEN_READONLY");
    tq_close(store);
}

static void test_dropped_indexes_go_with_another_one(void **state) {
    (void)state;
    make("store");
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_index_options options = tq_index_defaults(DIM);
    uint64_t freed = 0;
    ok(tq_open(path_of("store"), 0, &store));
    ok(tq_index_create(store, "other", &options, &index));
    put_rows(store, index, 0, ROWS);
    tq_index_close(index);
    ok(tq_index_drop(store, "other"));
    ok(tq_compact(store, &freed));
    assert_true(freed > 2000000);
    tq_close(store);
    assert_int_equal(check("store"), ROWS);
}

/* Told by a byte through a pipe when it has opened, ends when it is killed. */
static pid_t open_elsewhere(const char *name, unsigned flags) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = begin_child();
    if (child == 0) {
        tq_store *store = NULL;
        ok(tq_open(path_of(name), flags, &store));
        (void)!write(ready[1], &byte, 1);
        for (;;) (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return child;
}

static void end(pid_t child) {
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)waitpid(child, NULL, 0);
}

static void test_who_has_it_open_is_named(void **state) {
    (void)state;
    make("store");
    for (unsigned flags = 0; flags <= TQ_OPEN_READONLY; flags += TQ_OPEN_READONLY) {
        pid_t child = open_elsewhere("store", flags);
        tq_store *store = NULL, *second = NULL;
        char name[64];
        (void)snprintf(name, sizeof name, "is open in process %ld", (long)child);
        ok(tq_open(path_of("store"), 0, &store));
        fails(tq_compact(store, NULL), TQ_BUSY, name);
        end(child);
        ok(tq_compact(store, NULL));
        ok(tq_open(path_of("store"), 0, &second));
        fails(tq_compact(store, NULL), TQ_BUSY, "elsewhere in this process");
        tq_close(second);
        ok(tq_compact(store, NULL));
        tq_close(store);
    }
    assert_int_equal(check("store"), ROWS);
}

/* Byte 0 of the owner file is what a compaction locks. */
static pid_t close_gate(const char *name, int milliseconds) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = begin_child();
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
        int fd = open(path_of(name), O_RDWR);
        if (fcntl(fd, F_OFD_SETLK, &lock) != 0) _exit(1);
        (void)!write(ready[1], &byte, 1);
        (void)usleep((useconds_t)milliseconds * 1000);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return child;
}

static void test_who_opens_meanwhile_waits(void **state) {
    (void)state;
    make("store");
    tq_store *store = NULL;
    FILE *left = fopen(path_of("store/data.mdb.new"), "w"); /* of a compaction that was killed */
    assert_non_null(left);
    assert_int_equal(fclose(left), 0);
    pid_t child = close_gate("store/owner", 300);
    ok(tq_open(path_of("store"), 0, &store));
    assert_int_equal(waitpid(child, NULL, WNOHANG), child); /* not before it was done */
    assert_false(exists("store/data.mdb.new"));
    child = close_gate("store/owner", 100000);
    fails(tq_compact(store, NULL), TQ_BUSY, "is being compacted by another process");
    tq_close(store);
    fails(tq_open(path_of("store"), 0, &store), TQ_BUSY, "is being compacted by another process");
    end(child);
    assert_int_equal(check("store"), ROWS);
}

/* Compactions and writers of other processes, all of them trying: each gets its turn, and nothing is lost. */
static void test_compactions_among_writers(void **state) {
    (void)state;
    make("store");
    enum { CHILDREN = 2, TURNS = 20 };
    pid_t children[CHILDREN];
    for (int c = 0; c < CHILDREN; c++) {
        children[c] = begin_child();
        if (children[c] != 0) continue;
        for (int turn = 0; turn < TURNS; turn++) {
            tq_store *store = NULL;
            tq_index *index = NULL;
            float vector[DIM];
            int64_t id = ROWS + c * TURNS + turn;
            vector_of(id, vector);
            ok(tq_open(path_of("store"), 0, &store));
            ok(tq_index_open(store, "words", &index));
            ok(tq_put(index, id, vector));
            ok(tq_index_optimize(index));
            tq_index_close(index);
            tq_close(store);
            (void)usleep(50000);
        }
        _exit(0);
    }
    int done = 0, compacted = 0;
    while (done < CHILDREN) {
        tq_store *store = NULL;
        ok(tq_open(path_of("store"), 0, &store));
        enum tq_status status = tq_compact(store, NULL);
        if (status == TQ_OK) compacted++;
        if (status != TQ_OK && status != TQ_BUSY) ok(status);
        tq_close(store);
        (void)usleep(2000);
        int result = 0;
        while (waitpid(-1, &result, WNOHANG) > 0) {
            assert_int_equal(result, 0);
            done++;
        }
    }
    print_message("%d compactions\n", compacted);
    assert_int_equal(check("store"), ROWS + CHILDREN * TURNS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_copy_is_the_store, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_copy_beside_a_journal, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_an_open_transaction_is_not_copied, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_copies_while_another_process_writes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_full_disk_leaves_nothing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_nothing_is_written_to_a_deleted_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_compacted_file_is_smaller, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_dropped_indexes_go_with_another_one, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_who_has_it_open_is_named, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_who_opens_meanwhile_waits, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_compactions_among_writers, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
