#include "bench/common/report.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/base/status.h"

/* The first line of a stream that begins with `key` (all lines if ""), after "key...: ". */
static void first_value(FILE *stream, const char *key, char *value, size_t size) {
    char line[512];
    (void)snprintf(value, size, "unknown");
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, key, strlen(key)) != 0) continue;
        const char *colon = key[0] == '\0' ? NULL : strchr(line, ':');
        const char *start = colon == NULL ? line : colon + 1 + strspn(colon + 1, " ");
        (void)snprintf(value, size, "%.*s", (int)strcspn(start, "\n"), start);
        return;
    }
}

static void file_value(const char *path, const char *key, char *value, size_t size) {
    FILE *stream = fopen(path, "r");
    first_value(stream, key, value, size);
    if (stream != NULL) (void)fclose(stream);
}

static void command_value(const char *command, char *value, size_t size) {
    FILE *stream = popen(command, "r");
    first_value(stream, "", value, size);
    if (stream != NULL) (void)pclose(stream);
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

void bench_report_head(FILE *out, const char *prefix, int argc, char *const *argv) {
    char text[256], changes[256], date[64] = "unknown";
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts) != NULL) (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &parts);
    (void)fprintf(out, "%sdate: %s\n", prefix, date);
    file_value("/proc/cpuinfo", "model name", text, sizeof text);
    (void)fprintf(out, "%smachine: %s, %ld cores\n", prefix, text, sysconf(_SC_NPROCESSORS_ONLN));
    file_value("/proc/loadavg", "", text, sizeof text);
    (void)fprintf(out, "%sload at the start (1, 5, 15 minutes): %.14s\n", prefix, text);
    const char *commit = getenv("TQ_COMMIT"); /* where the tree came without its history, or with another's */
    (void)snprintf(changes, sizeof changes, "unknown");
    if (commit == NULL) {
        command_value("git rev-parse --verify --short=12 HEAD 2>/dev/null || echo none", text, sizeof text);
        command_value("git status --porcelain --untracked-files=no 2>/dev/null | head -n 1", changes, sizeof changes);
        commit = text;
    }
    (void)fprintf(out, "%scommit: %s%s\n", prefix, commit, strcmp(changes, "unknown") == 0 ? "" : ", with changes");
    (void)fprintf(out, "%scommand:", prefix);
    for (int i = 0; i < argc; i++) (void)fprintf(out, " %s", last_part(argv[i]));
    (void)fprintf(out, "\n");
}

enum tq_status bench_temporary_make(char *path, size_t size) {
    const char *parent = getenv("TMPDIR");
    int length = snprintf(path, size, "%s/tq-bench-XXXXXX", parent == NULL || *parent == '\0' ? "/tmp" : parent);
    if (length < 0 || (size_t)length >= size || mkdtemp(path) == NULL)
        return tq_fail(TQ_IO, "%s: no temporary folder can be made there", path);
    return TQ_OK;
}

/* visit(path, info) of everything in a folder, then of the folder. */
static void walk(const char *path, void (*visit)(const char *path, const struct stat *info, void *context),
                 void *context) {
    struct stat info;
    if (lstat(path, &info) != 0) return;
    DIR *folder = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char inner[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner)
            walk(inner, visit, context);
    }
    if (folder != NULL) (void)closedir(folder);
    visit(path, &info, context);
}

static void remove_one(const char *path, const struct stat *info, void *context) {
    (void)context;
    (void)(S_ISDIR(info->st_mode) ? rmdir(path) : unlink(path));
}

void bench_temporary_remove(const char *path) { walk(path, remove_one, NULL); }

static void add_blocks(const char *path, const struct stat *info, void *context) {
    (void)path;
    double *bytes = context;
    if (S_ISREG(info->st_mode)) *bytes += 512.0 * (double)info->st_blocks;
}

double bench_allotted_bytes(const char *path) {
    double bytes = 0;
    walk(path, add_blocks, &bytes);
    return bytes;
}
