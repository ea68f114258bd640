/* The store's folder, and the copy it is put back to: only what was written is copied. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/crash/faults/faults.h"
#include "tests/crash/sql_model.h"

#define FILES_MAX 64
#define NAME_BYTES 600

struct file {
    char name[NAME_BYTES]; /* below work, and below base */
    bool is_folder;
    struct stat st;
};
struct listing {
    struct file files[FILES_MAX];
    int count;
};

static char root[400], work[512], base[512], path[600];
static struct { /* what the files of work were when they were last the same as those of base */
    char name[NAME_BYTES];
    ino_t ino;
} known[FILES_MAX];
static int known_count;

const char *store_path(void) { return path; }
const char *store_folder(void) { return work; }

/* SQLite and LMDB make these anew when they open: what is in them does not count. */
static bool is_transient(const char *name) {
    size_t size = strlen(name);
    return (size > 4 && strcmp(name + size - 4, "-shm") == 0) || (size > 8 && strcmp(name + size - 8, "lock.mdb") == 0);
}

static void list_below(const char *top, const char *folder, struct listing *out) {
    char full[2 * NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s/%s", top, folder);
    DIR *dir = opendir(full);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (out->count == FILES_MAX) fail("more than %d files in %s", FILES_MAX, top);
        struct file *file = &out->files[out->count++];
        (void)snprintf(file->name, sizeof file->name, "%s%s%s", folder, *folder != 0 ? "/" : "", entry->d_name);
        (void)snprintf(full, sizeof full, "%s/%s", top, file->name);
        if (lstat(full, &file->st) != 0) fail("lstat %s: %s", full, strerror(errno));
        file->is_folder = S_ISDIR(file->st.st_mode);
        if (file->is_folder) list_below(top, file->name, out);
    }
    if (dir != NULL) (void)closedir(dir);
}

static const struct file *find(const struct listing *list, const char *name) {
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->files[i].name, name) == 0) return &list->files[i];
    return NULL;
}

static int must_open(const char *top, const char *name, int flags) {
    char full[2 * NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s/%s", top, name);
    int fd = open(full, flags | O_CLOEXEC, 0644);
    if (fd < 0) fail("open %s: %s", full, strerror(errno));
    return fd;
}

static void copy_range(int from, int to, off_t at, off_t size) {
    char *buffer = malloc(1 << 20);
    while (size > 0) {
        ssize_t got = pread(from, buffer, size < 1 << 20 ? (size_t)size : 1 << 20, at);
        if (got <= 0) break; /* the file is shorter */
        if (pwrite(to, buffer, (size_t)got, at) != got) fail("copying: %s", strerror(errno));
        at += got;
        size -= got;
    }
    free(buffer);
}

static void copy_file(const char *from_top, const char *to_top, const struct file *file) {
    int from = must_open(from_top, file->name, O_RDONLY);
    int to = must_open(to_top, file->name, O_RDWR | O_CREAT | O_TRUNC);
    off_t at = 0;
    if (sendfile(to, from, &at, (size_t)file->st.st_size) != file->st.st_size)
        copy_range(from, to, 0, file->st.st_size);
    (void)close(from);
    (void)close(to);
}

static void copy_changes(const char *from_top, const char *to_top, const struct file *file, ino_t ino) {
    int from = must_open(from_top, file->name, O_RDONLY), to = must_open(to_top, file->name, O_RDWR);
    for (int i = 0; i < record->range_count; i++)
        if (record->ranges[i].ino == ino) copy_range(from, to, record->ranges[i].at, record->ranges[i].size);
    if (ftruncate(to, file->st.st_size) != 0) fail("ftruncate: %s", strerror(errno));
    (void)close(from);
    (void)close(to);
}

/* The file in work, if it still is the one that was known. */
static ino_t known_ino(const struct file *in_work) {
    for (int i = 0; in_work != NULL && i < known_count; i++)
        if (strcmp(known[i].name, in_work->name) == 0 && known[i].ino == in_work->st.st_ino) return known[i].ino;
    return 0;
}

static void learn(void) {
    static struct listing list;
    list.count = known_count = 0;
    list_below(work, "", &list);
    for (int i = 0; i < list.count; i++) {
        (void)snprintf(known[known_count].name, NAME_BYTES, "%s", list.files[i].name);
        known[known_count++].ino = list.files[i].st.st_ino;
    }
    record->range_count = 0;
    record->ranges_lost = false;
}

static void remove_file(const char *top, const struct file *file) {
    char full[2 * NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s/%s", top, file->name);
    if ((file->is_folder ? rmdir(full) : unlink(full)) != 0) fail("removing %s: %s", full, strerror(errno));
}

/* Make `to` what `from` is. */
static void follow(const char *from_top, const char *to_top) {
    static struct listing from, to;
    char full[2 * NAME_BYTES];
    from.count = to.count = 0;
    list_below(from_top, "", &from);
    list_below(to_top, "", &to);
    for (int i = to.count - 1; i >= 0; i--)
        if (find(&from, to.files[i].name) == NULL) remove_file(to_top, &to.files[i]);
    for (int i = 0; i < from.count; i++) {
        const struct file *file = &from.files[i], *there = find(&to, file->name);
        (void)snprintf(full, sizeof full, "%s/%s", to_top, file->name);
        if (file->is_folder) {
            if (there == NULL && mkdir(full, 0755) != 0) fail("mkdir %s: %s", full, strerror(errno));
            continue;
        }
        if (is_transient(file->name) && there != NULL) continue;
        ino_t ino = known_ino(strcmp(to_top, work) == 0 ? there : file);
        if (there == NULL || ino == 0 || record->ranges_lost)
            copy_file(from_top, to_top, file);
        else
            copy_changes(from_top, to_top, file, ino);
    }
    learn();
}

void store_put_back(void) { follow(base, work); }
void store_advance(void) { follow(work, base); }

static void remove_tree(const char *top) {
    static struct listing list;
    list.count = 0;
    list_below(top, "", &list);
    for (int i = list.count - 1; i >= 0; i--) remove_file(top, &list.files[i]);
    (void)rmdir(top);
}

void store_make(const char *below) {
    (void)snprintf(root, sizeof root, "%s", below);
    (void)snprintf(work, sizeof work, "%s/used", root);
    (void)snprintf(base, sizeof base, "%s/base", root);
    (void)snprintf(path, sizeof path, "%s/test.db", work);
    remove_tree(work);
    remove_tree(base);
    if (mkdir(work, 0755) != 0 || mkdir(base, 0755) != 0) fail("mkdir %s: %s", work, strerror(errno));
    learn();
}

void store_remove(void) {
    remove_tree(work);
    remove_tree(base);
    (void)rmdir(root);
}

static const char *ballast(void) {
    static char name[512];
    (void)snprintf(name, sizeof name, "%s/ballast", root);
    return name;
}

void store_fill(long room, bool without_lock_file) {
    struct statvfs fs;
    char file[700];
    int fd = open(ballast(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    (void)snprintf(file, sizeof file, "%s-tq/lock.mdb", path);
    if (without_lock_file) (void)unlink(file);
    (void)snprintf(file, sizeof file, "%s-shm", path);
    (void)unlink(file);
    if (fd < 0 || fstatvfs(fd, &fs) != 0) fail("ballast: %s", strerror(errno));
    long most = (long)(fs.f_bavail * fs.f_frsize) - room;
    if (most > 0 && syscall(SYS_fallocate, fd, 0, (off_t)0, (off_t)most) != 0) fail("fallocate: %s", strerror(errno));
    (void)close(fd);
}

void store_empty(void) { (void)unlink(ballast()); }

void store_save(const char *folder, const char *name, const char *command) {
    static struct listing list;
    char top[1024], file[1100];
    list.count = 0;
    (void)mkdir(folder, 0755);
    (void)snprintf(top, sizeof top, "%s/%s", folder, name);
    if (mkdir(top, 0755) != 0) return; /* that one is there already */
    list_below(work, "", &list);
    for (int i = 0; i < list.count; i++) {
        (void)snprintf(file, sizeof file, "%s/%.80s", top, list.files[i].name);
        if (list.files[i].is_folder)
            (void)mkdir(file, 0755);
        else
            copy_file(work, top, &list.files[i]);
    }
    (void)snprintf(file, sizeof file, "%s/repeat", top);
    FILE *out = fopen(file, "w");
    if (out == NULL) return;
    (void)fprintf(out, "%s\n", command);
    (void)fclose(out);
}
