/* Lines that somebody types into tqshell, or that a script has: commands and SQL; and completion at each line's end.
 * Whatever they are, the shell goes on to the end of the input.
 *
 * Nothing outside of an empty temporary folder may be touched: lines with a point, which alone can be commands, lose
 * what paths and URIs need; SQL may attach names in the folder only; functions that take paths cannot be called. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell/complete.h"
#include "shell/session.h"
#include "sql/tq_sqlite.h"
#include "src/base/base.h"
#include "tests/fuzz/fuzz.h"

enum { STEPS_MAX = 100000, OPENED_MAX = 1 << 20, MEMORY_MAX = 1 << 28, FILE_MAX = 1 << 26 };

static char folder[2048];
static int inside = -1, outside = -1; /* folders, as descriptors */
static FILE *nowhere;

/* ---- Confinement ---- */

static int stop(void *unused) {
    (void)unused;
    return 1;
}

static bool is_inside(const char *name) { return name != NULL && strpbrk(name, "/%") == NULL; }

static int authorize(void *unused, int action, const char *first, const char *second, const char *c, const char *d) {
    static const char *const functions[] = {"load_extension", "readfile",   "writefile",  "edit",
                                            "tq_backup",      "tq_restore", "tq_salvage", "tq_kernels" /* measures */};
    (void)unused, (void)c, (void)d;
    if (action == SQLITE_ATTACH) return is_inside(first) ? SQLITE_OK : SQLITE_DENY;
    if (action == SQLITE_PRAGMA) return strstr(first, "directory") == NULL ? SQLITE_OK : SQLITE_DENY;
    for (size_t i = 0; action == SQLITE_FUNCTION && i < TQ_COUNT(functions); i++)
        if (sqlite3_stricmp(second, functions[i]) == 0) return SQLITE_DENY;
    return SQLITE_OK;
}

/* Of every connection that the shell opens. */
static int confine(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
    (void)message, (void)api;
    (void)sqlite3_set_authorizer(db, authorize, NULL);
    sqlite3_progress_handler(db, STEPS_MAX, stop, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, OPENED_MAX);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100);
    (void)sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    return SQLITE_OK;
}

static void confine_text(char *text) {
    for (char *line = text; *line != 0; line += *line == '\n') {
        size_t length = strcspn(line, "\n");
        bool may_be_command = memchr(line, '.', length) != NULL;
        for (size_t i = 0; may_be_command && i < length; i++)
            if (strchr("/%", line[i]) != NULL || (line[i] == '.' && line[i + 1] == 'l'))
                line[i + (line[i] == '.')] = '_'; /* .limit would lift those below */
        line += length;
    }
}

/* ---- The folder ---- */

static void empty_folder(int at) {
    DIR *dir = fdopendir(dup(at));
    fuzz_require(dir != NULL, "the temporary folder");
    rewinddir(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (unlinkat(at, entry->d_name, 0) == 0) continue;
        int inner = openat(at, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (inner >= 0) {
            empty_folder(inner);
            (void)close(inner);
        }
        (void)unlinkat(at, entry->d_name, AT_REMOVEDIR);
    }
    (void)closedir(dir);
}

static void remove_folder(void) {
    empty_folder(inside);
    (void)rmdir(folder);
}

static void make_file(const char *name, const void *bytes, size_t size) {
    int file = openat(inside, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    fuzz_require(file >= 0 && write(file, bytes, size) == (ssize_t)size, "a file to read");
    (void)close(file);
}

/* What .import and .read may find: four vectors of two dimensions, rows of text, some bad, and a script. */
static void make_files(void) {
    static const char script[] = "CREATE TEMP TABLE IF NOT EXISTS seen(a);\n.mode line\nINSERT INTO seen VALUES (:a);\n"
                                 ".read again.sql\n";
    static const char csv[] = "id,name,v\n7,a,\"[1,2]\"\n8,,\"[3,x]\"\n9,\"b,\n c\",\"[5,6]\"\n";
    static const char words[] = "the 1 2\nof 3 4\nthe 5 6\n";
    static const char jsonl[] = "{\"word\":\"a\",\"v\":[1,2]}\n{\"word\":1,\"v\":[1]}\n";
    static const char again[] = ".headers off\n.read again.sql\n";
    char npy[128 + 4 * 2 * sizeof(float)];
    const float vectors[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    memset(npy, ' ', 128);
    memcpy(npy, "\x93NUMPY\x01\x00\x76\x00", 10);
    static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }";
    memcpy(npy + 10, header, sizeof header - 1);
    npy[127] = '\n';
    memcpy(npy + 128, vectors, sizeof vectors);
    make_file("v.npy", npy, sizeof npy);
    make_file("v.csv", csv, sizeof csv - 1);
    make_file("v.txt", words, sizeof words - 1);
    make_file("v.jsonl", jsonl, sizeof jsonl - 1);
    make_file("script.sql", script, sizeof script - 1);
    make_file("again.sql", again, sizeof again - 1);
}

static void open_folder(void) {
    const char *outer = getenv("TMPDIR");
    if (inside >= 0) return;
    (void)snprintf(folder, sizeof folder, "%s/tq-fuzz-XXXXXX", outer == NULL ? "/tmp" : outer);
    fuzz_require(mkdtemp(folder) != NULL, "a temporary folder");
    inside = open(folder, O_RDONLY | O_DIRECTORY);
    outside = open(".", O_RDONLY | O_DIRECTORY);
    nowhere = fopen("/dev/null", "w");
    fuzz_require(inside >= 0 && outside >= 0 && nowhere != NULL && atexit(remove_folder) == 0, "a temporary folder");
    fuzz_require(sqlite3_auto_extension((void (*)(void))sqlite3_tq_init) == SQLITE_OK &&
                     sqlite3_auto_extension((void (*)(void))confine) == SQLITE_OK,
                 "the extension");
    (void)sqlite3_hard_heap_limit64(MEMORY_MAX);
    struct rlimit size = {FILE_MAX, FILE_MAX};
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_FSIZE, &size);
}

static void complete_lines(struct shell_session *session, const char *text) {
    char line[400];
    for (; *text != 0; text += strcspn(text, "\n"), text += *text == '\n') {
        struct shell_matches matches;
        size_t length = strcspn(text, "\n");
        if (length >= sizeof line) continue;
        (void)snprintf(line, sizeof line, "%.*s", (int)length, text);
        shell_complete(session, line, length, &matches);
        fuzz_require(matches.start <= length && shell_matches_common(&matches) < 1 << 20, "the word's place");
        shell_matches_clear(&matches);
    }
}

/* Files are in the folder; programs, and leaving the folder, are what reach forbids. */
static void run(const char *text) {
    struct shell_session session = {.out = stdout, .reach = SHELL_REACH_FILES};
    fuzz_require(shell_session_open(&session, ":memory:") == TQ_OK, "a database");
    struct shell_lines lines = {.name = "input", .text = text};
    do {
        (void)shell_session_run(&session, &lines);
    } while (*lines.text != 0 && !session.quit);
    complete_lines(&session, text);
    (void)shell_output_set(&session, NULL, false);
    shell_session_close(&session);
    shell_session_free(&session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    FILE *out = stdout, *errors = stderr;
    open_folder();
    make_files();
    char *text = fuzz_text(data, size);
    confine_text(text);
    fuzz_require(fchdir(inside) == 0, "the temporary folder");
    stdout = stderr = nowhere;
    run(text);
    stdout = out;
    stderr = errors;
    fuzz_require(fchdir(outside) == 0, "the folder before");
    free(text);
    empty_folder(inside);
    return 0;
}
