/* Where there is no libFuzzer: run files, and those of folders, through the target. Options of libFuzzer are ignored,
 * so that one test serves both. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t inputs;

static void run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
        (void)fprintf(stderr, "%s cannot be read\n", path);
        exit(1);
    }
    uint8_t *data = malloc((size_t)size + (size == 0));
    fuzz_require(data != NULL && fread(data, 1, (size_t)size, file) == (size_t)size, "reading a file");
    (void)fclose(file);
    /* Said before: after a crash, this line names the input. */
    (void)fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    inputs++;
}

static void run_folder(const char *path) {
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char name[4096];
        if (entries[i]->d_name[0] != '.' &&
            snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name) < (int)sizeof name)
            run_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) {
        struct stat info;
        if (arguments[i][0] == '-') continue;
        if (stat(arguments[i], &info) == 0 && S_ISDIR(info.st_mode))
            run_folder(arguments[i]);
        else
            run_file(arguments[i]);
    }
    (void)printf("%zu inputs\n", inputs);
    return inputs == 0; /* a corpus that is not there tests nothing */
}
