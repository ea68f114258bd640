#include "tests/crash/power/place.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RUN_MAX 512

struct placed {
    char path[NAME_MAX_BYTES];
    int fd; /* -1: free */
    ino_t inode;
    struct image image; /* what the file holds now; PAGE_UNKNOWN where a check has written */
};

static char root[NAME_MAX_BYTES];
static struct placed files[STATE_FILES_MAX];

__attribute__((noreturn)) static void fail(const char *what, const char *path) {
    (void)fprintf(stderr, "power: %s %s: %m\n", what, path);
    exit(2);
}

static void full_path(const char *name, char path[2 * NAME_MAX_BYTES]) {
    if (snprintf(path, 2 * NAME_MAX_BYTES, "%s/%s", root, name) >= (int)(2 * NAME_MAX_BYTES)) fail("a long path", name);
}

static void grow(struct image *image, size_t count, page_id with) {
    if (count > image->capacity) {
        image->capacity = count * 2 + 64;
        image->pages = realloc(image->pages, image->capacity * sizeof *image->pages);
        if (image->pages == NULL) fail("out of memory", "");
    }
    while (image->count < count) image->pages[image->count++] = with;
}

static void changed(uint64_t inode, uint64_t offset, uint64_t size) {
    for (size_t i = 0; i < STATE_FILES_MAX; i++) {
        struct placed *file = &files[i];
        if (file->fd < 0 || file->inode != inode) continue;
        size_t first = offset / PAGE;
        size_t end = size > UINT64_MAX - offset - PAGE ? file->image.count : (offset + size + PAGE - 1) / PAGE;
        grow(&file->image, end, PAGE_UNKNOWN);
        for (size_t at = first; at < end; at++) file->image.pages[at] = PAGE_UNKNOWN;
    }
}

void place_start(const char *folder) {
    typedef void watcher(recorder_watch_function *);
    watcher *watch = (watcher *)dlsym(RTLD_DEFAULT, "tq_recorder_watch");
    if (watch == NULL) fail("recorder.c is not preloaded", "");
    (void)snprintf(root, sizeof root, "%s", folder);
    for (size_t i = 0; i < STATE_FILES_MAX; i++) files[i].fd = -1;
    watch(changed);
}

static void forget(struct placed *file) {
    (void)close(file->fd);
    file->fd = -1;
    file->image.count = 0;
}

static struct placed *find(const char *path) {
    for (size_t i = 0; i < STATE_FILES_MAX; i++)
        if (files[i].fd >= 0 && strcmp(files[i].path, path) == 0) return &files[i];
    return NULL;
}

static const struct state_file *wanted(const struct state *state, const char *path) {
    for (size_t i = 0; i < state->count; i++)
        if (strcmp(state->files[i].path, path) == 0) return &state->files[i];
    return NULL;
}

/* Whatever the state does not have goes, and what is no longer the file it was. */
static void clear(const struct state *state, const char *folder) {
    char path[2 * NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    full_path(folder, path);
    DIR *dir = opendir(path);
    if (dir == NULL) fail("opendir", path);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        bool is_folder = entry->d_type == DT_DIR;
        (void)snprintf(name, sizeof name, "%s%.100s%s", folder, entry->d_name, is_folder ? "/" : "");
        full_path(name, path);
        if (is_folder) {
            clear(state, name);
            if (wanted(state, name) == NULL) (void)rmdir(path);
            continue;
        }
        struct placed *file = find(name);
        if (file != NULL && file->inode != entry->d_ino) forget(file);
        if (file != NULL && file->fd >= 0 && wanted(state, name) != NULL) continue;
        if (unlink(path) != 0) fail("unlink", path);
        if (file != NULL && file->fd >= 0) forget(file);
    }
    (void)closedir(dir);
}

/* Files that a check has deleted. */
static void forget_missing(void) {
    char path[2 * NAME_MAX_BYTES];
    struct stat st;
    for (size_t i = 0; i < STATE_FILES_MAX; i++) {
        if (files[i].fd < 0) continue;
        full_path(files[i].path, path);
        if (stat(path, &st) != 0 || st.st_ino != files[i].inode) forget(&files[i]);
    }
}

static struct placed *make(const char *name) {
    char path[2 * NAME_MAX_BYTES];
    struct stat st;
    size_t i = 0;
    while (i < STATE_FILES_MAX && files[i].fd >= 0) i++;
    if (i == STATE_FILES_MAX) fail("too many files", "");
    full_path(name, path);
    files[i].fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (files[i].fd < 0 || fstat(files[i].fd, &st) != 0) fail("open", path);
    files[i].inode = st.st_ino;
    files[i].image.count = 0;
    (void)snprintf(files[i].path, sizeof files[i].path, "%s", name);
    return &files[i];
}

/* The recorder must not see this: it is no change of the checker's. */
static void write_run(struct placed *file, const struct image *image, size_t first, size_t count) {
    struct iovec parts[RUN_MAX];
    for (size_t i = 0; i < count; i++) {
        uint64_t left = image->size - (first + i) * PAGE;
        parts[i].iov_base = (void *)(uintptr_t)page_bytes(image->pages[first + i]);
        parts[i].iov_len = left < PAGE ? left : PAGE;
    }
    if (syscall(SYS_pwritev, file->fd, parts, (int)count, (off_t)(first * PAGE), 0) <= 0) fail("pwritev", file->path);
}

static void fill(struct placed *file, const struct image *image) {
    struct stat st;
    struct image *there = &file->image;
    if (fstat(file->fd, &st) != 0) fail("fstat", file->path);
    size_t old_count = ((size_t)st.st_size + PAGE - 1) / PAGE;
    if (old_count < there->count) there->count = old_count;
    grow(there, old_count, PAGE_UNKNOWN);
    if ((uint64_t)st.st_size != image->size && syscall(SYS_ftruncate, file->fd, (off_t)image->size) != 0)
        fail("ftruncate", file->path);
    if (image->count < there->count) there->count = image->count;
    grow(there, image->count, 0);
    for (size_t i = 0; i < image->count;) {
        size_t run = 0;
        while (i + run < image->count && run < RUN_MAX && there->pages[i + run] != image->pages[i + run]) run++;
        if (run != 0) write_run(file, image, i, run);
        for (size_t k = 0; k < run; k++) {
            page_id page = image->pages[i + k];
            there->pages[i + k] = (page & PAGE_PASSING) != 0 ? PAGE_UNKNOWN : page;
        }
        i += run == 0 ? 1 : run;
    }
}

void place_put(const struct state *state) {
    char path[2 * NAME_MAX_BYTES];
    forget_missing();
    clear(state, "");
    for (size_t i = 0; i < state->count; i++) {
        const struct state_file *wish = &state->files[i];
        if (wish->path[strlen(wish->path) - 1] == '/') {
            full_path(wish->path, path);
            (void)mkdir(path, 0755);
            continue;
        }
        struct placed *file = find(wish->path);
        fill(file != NULL ? file : make(wish->path), &wish->image);
    }
}

void place_save(const struct state *state, const char *folder) {
    char path[2 * NAME_MAX_BYTES + 16];
    (void)mkdir(folder, 0755);
    for (size_t i = 0; i < state->count; i++) {
        const struct state_file *file = &state->files[i];
        (void)snprintf(path, sizeof path, "%s/%s", folder, file->path);
        if (path[strlen(path) - 1] == '/') {
            (void)mkdir(path, 0755);
            continue;
        }
        FILE *out = fopen(path, "w");
        if (out == NULL) fail("fopen", path);
        for (size_t k = 0; k < file->image.count; k++) {
            uint64_t left = file->image.size - k * PAGE;
            if (file->image.pages[k] == 0 && left > PAGE)
                (void)fseek(out, PAGE, SEEK_CUR);
            else
                (void)fwrite(page_bytes(file->image.pages[k]), 1, left < PAGE ? left : PAGE, out);
        }
        (void)fclose(out);
    }
}
