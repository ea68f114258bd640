/* A store several times larger than the memory its process may have: the same answers, at the speed of the disk.
 *
 *   larger_than_memory [--rows N] [--dim N] [--queries N] [--limits MIB,MIB,...]
 *
 * The store is made below $TMPDIR, which should be on a disk, and asked without a limit; what it answers then is what
 * it must answer later. For each limit a process of its own joins a control group of memory (version 1 or 2, for which
 * the program must be root) that counts the page cache, too; the file's pages are dropped from the cache before. Each
 * query is asked twice in a row, all of them in two rounds: in the first a page is verified when it is touched. Bytes
 * read are those of /proc/self/io, which come from the disk. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/common/program.h"
#include "bench/common/report.h"

enum { K = 10, BATCH = 1000, CLUSTERS = 200, ROUNDS = 2, LIMITS_MAX = 8, QUERIES_MAX = 1000 };

struct setting {
    size_t rows, queries;
    uint32_t dim;
    int limits[LIMITS_MAX];
    size_t limit_count;
    char folder[300];
};

static double now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Rows around centres, as embeddings are: in directions at random a first plane would leave nearly all of them. */
static void make_vector(uint64_t number, uint32_t dim, float *vector) {
    uint64_t centre = mix(number) % CLUSTERS + 1000000007;
    for (uint32_t j = 0; j < dim; j++) {
        double shared = (double)(mix(centre * 65536 + j) >> 11) * 0x1p-53 - 0.5;
        double own = (double)(mix(number * 65536 + j) >> 11) * 0x1p-53 - 0.5;
        vector[j] = (float)(shared + own);
    }
}

static void make_query(size_t number, uint32_t dim, float *vector) {
    make_vector(UINT64_C(1) << 40 | number, dim, vector);
}

static void make_store(const struct setting *s) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    struct tq_index_options options = tq_index_defaults(s->dim);
    float *vectors = calloc((size_t)BATCH * s->dim, sizeof *vectors);
    int64_t ids[BATCH];
    bench_check(tq_open(s->folder, TQ_OPEN_CREATE, &store));
    bench_check(tq_index_create(store, "rows", &options, &index));
    bench_check(tq_begin(store));
    for (size_t at = 0; at < s->rows; at += BATCH) {
        size_t count = s->rows - at < BATCH ? s->rows - at : BATCH;
        for (size_t i = 0; i < count; i++) {
            ids[i] = (int64_t)(at + i);
            make_vector(at + i, s->dim, vectors + i * s->dim);
        }
        bench_check(tq_put_many(index, ids, vectors, count));
    }
    bench_check(tq_commit(store));
    free(vectors);
    tq_index_close(index);
    tq_close(store);
}

/* ---- Asking ---- */

struct answers {
    struct tq_hit hits[QUERIES_MAX][K];
    double ms[ROUNDS][QUERIES_MAX], again_ms[ROUNDS][QUERIES_MAX], read_mb[ROUNDS][QUERIES_MAX];
    double faults[ROUNDS][QUERIES_MAX];
};

static double read_bytes(void) {
    FILE *file = fopen("/proc/self/io", "r");
    char line[100];
    double bytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) (void)sscanf(line, "read_bytes: %lf", &bytes);
    if (file != NULL) (void)fclose(file);
    return bytes;
}

static double major_faults(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_majflt;
}

static double ask(tq_index *index, const float *query, struct tq_hit *hits) {
    size_t count = 0;
    double begun = now_ms();
    bench_check(tq_search(index, query, 1, K, NULL, hits, &count, NULL));
    return now_ms() - begun;
}

static void ask_all(const struct setting *s, struct answers *a) {
    tq_store *store = NULL;
    tq_index *index = NULL;
    float *query = calloc(s->dim, sizeof *query);
    bench_check(tq_open(s->folder, 0, &store));
    bench_check(tq_index_open(store, "rows", &index));
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < s->queries; i++) {
            make_query(i, s->dim, query);
            double bytes = read_bytes(), faults = major_faults();
            a->ms[round][i] = ask(index, query, a->hits[i]);
            a->read_mb[round][i] = (read_bytes() - bytes) / 1e6;
            a->faults[round][i] = major_faults() - faults;
            a->again_ms[round][i] = ask(index, query, a->hits[i]);
        }
    }
    free(query);
    tq_index_close(index);
    tq_close(store);
}

static void print_rows(const struct setting *s, const char *memory, struct answers *a) {
    for (int round = 0; round < ROUNDS; round++) {
        double sum_mb = 0, sum_ms = 0, sum_faults = 0;
        for (size_t i = 0; i < s->queries; i++) {
            sum_mb += a->read_mb[round][i];
            sum_ms += a->ms[round][i];
            sum_faults += a->faults[round][i];
        }
        double n = (double)s->queries, first = a->ms[round][0], worst = 0;
        for (size_t i = 0; i < s->queries; i++) worst = fmax(worst, a->ms[round][i]);
        double median = bench_median(a->ms[round], s->queries), again = bench_median(a->again_ms[round], s->queries);
        (void)printf("| %s | %d | %.1f | %.2f | %.1f | %.2f | %.2f | %.0f | %.2f |\n", memory, round + 1, first, median,
                     worst, again, sum_mb / n, sum_faults / n, sum_ms > 0 ? sum_mb / sum_ms : 0);
    }
}

/* ---- Limits ---- */

static bool write_text(const char *folder, const char *name, const char *text) {
    char path[500];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) (void)close(fd);
    return good;
}

static bool make_group(char *group, size_t size, int mib) {
    static const struct {
        const char *root, *file;
    } kinds[] = {{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}};
    char bytes[32];
    (void)snprintf(bytes, sizeof bytes, "%lld", (long long)mib << 20);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        (void)snprintf(group, size, "%s/tq-bench-%ld", kinds[i].root, (long)getpid());
        if (mkdir(group, 0755) != 0) continue;
        if (write_text(group, kinds[i].file, bytes)) return true;
        (void)rmdir(group);
    }
    return false;
}

static void drop_cache(const struct setting *s) {
    char path[400];
    (void)snprintf(path, sizeof path, "%s/data.mdb", s->folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) perror(path);
    if (fd >= 0) (void)close(fd);
}

/* What the kernel reads when one page is missed: on some machines a megabyte and more. */
static int read_ahead_kib(const char *path) {
    char name[100];
    int kib = -1;
    struct stat info;
    if (stat(path, &info) != 0) return -1;
    (void)snprintf(name, sizeof name, "/sys/class/bdi/%u:%u/read_ahead_kb", major(info.st_dev), minor(info.st_dev));
    FILE *file = fopen(name, "r");
    if (file == NULL) return -1;
    if (fscanf(file, "%d", &kib) != 1) kib = -1;
    (void)fclose(file);
    return kib;
}

/* Whether all went well; the answers must be those of `expected`. */
static bool ask_limited(const struct setting *s, int mib, const struct answers *expected) {
    char group[300], memory[32];
    if (!make_group(group, sizeof group, mib)) {
        (void)printf("\nNo control group could be made: %s\n", strerror(errno));
        return false;
    }
    drop_cache(s);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct answers *a = calloc(1, sizeof *a);
        bool good = a != NULL && write_text(group, "cgroup.procs", "0");
        (void)snprintf(memory, sizeof memory, "%d MiB", mib);
        if (good) ask_all(s, a);
        good = good && memcmp(a->hits, expected->hits, sizeof a->hits) == 0;
        if (good) print_rows(s, memory, a);
        (void)fflush(stdout);
        _exit(good ? 0 : 1);
    }
    int status = 1;
    (void)waitpid(child, &status, 0);
    (void)rmdir(group);
    if (status != 0) (void)printf("| %d MiB | failed, or other answers: status 0x%x |\n", mib, (unsigned)status);
    return status == 0;
}

static bool read_arguments(int argc, char **argv, struct setting *s) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rows") == 0) s->rows = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--dim") == 0) s->dim = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--queries") == 0) s->queries = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--limits") != 0) continue;
        s->limit_count = 0;
        for (char *at = argv[i + 1]; *at != 0 && s->limit_count < LIMITS_MAX; at += strcspn(at, ","), at += *at == ',')
            s->limits[s->limit_count++] = atoi(at);
    }
    return argc % 2 == 1 && s->rows > 0 && s->dim > 0 && s->queries > 0 && s->queries <= QUERIES_MAX;
}

int main(int argc, char **argv) {
    struct setting s = {.rows = 100000, .dim = 768, .queries = 100, .limits = {64, 32, 16}, .limit_count = 3};
    char root[256];
    bench_report_head(stdout, "# ", argc, argv);
    if (!read_arguments(argc, argv, &s)) return 2;
    bench_check(bench_temporary_make(root, sizeof root));
    (void)snprintf(s.folder, sizeof s.folder, "%s/store", root);
    make_store(&s);
    (void)printf("\n%zu rows of %u dimensions, f32, 4 bits with QJL, in clusters; %.0f MB on disk. %zu queries, k = %d,"
                 " confidence 3. Read-ahead of the disk: %d KiB.\n\n",
                 s.rows, s.dim, bench_allotted_bytes(s.folder) / 1e6, s.queries, K, read_ahead_kib(s.folder));
    (void)printf(
        "| memory | round | first ms | median ms | worst ms | again ms | MB read a query | major faults | GB/s |\n"
        "|---|---|---|---|---|---|---|---|---|\n");
    struct answers *free_to_use = calloc(1, sizeof *free_to_use);
    bool good = free_to_use != NULL;
    if (good) {
        drop_cache(&s);
        ask_all(&s, free_to_use);
        print_rows(&s, "no limit", free_to_use);
    }
    for (size_t i = 0; i < s.limit_count && good; i++) good = ask_limited(&s, s.limits[i], free_to_use);
    if (good) (void)printf("\nAll answers are the same, to the last bit.\n");
    free(free_to_use);
    bench_temporary_remove(root);
    return good ? 0 : 1;
}
