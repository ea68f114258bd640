#include "tests/crash/power/model.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NODES_MAX 4096
#define ENTRIES_MAX 32
#define CHANGES_MAX 256
#define PENDING_MAX 65536

struct entry {
    const char *name;
    size_t node;
};

struct entries {
    struct entry list[ENTRIES_MAX];
    size_t count;
};

/* Of a folder: `name` goes, if it is not NULL, and `to` comes. */
struct change {
    const char *name, *to;
    size_t node;
};

struct node {
    bool is_folder;
    struct entries durable, now;
    struct change changes[CHANGES_MAX];
    size_t change_count;
    struct image image; /* of a file: what is durable */
};

struct disk {
    struct log *log;
    size_t done;
    int marked;
    struct node *nodes[NODES_MAX]; /* 0: the root */
    size_t node_count;
    size_t files[NODES_MAX]; /* their nodes by the recorder's numbers */
    size_t pending[PENDING_MAX], pending_count;
    size_t flight; /* a write with O_DSYNC that has not returned, + 1 */
};

__attribute__((noreturn)) static void fail(const char *why) {
    (void)fprintf(stderr, "power: %s\n", why);
    exit(2);
}

uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ---- The log ---- */

static const uint8_t *map_file(const char *path, size_t *size) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) fail("there is no log");
    *size = (size_t)st.st_size;
    const uint8_t *data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (data == MAP_FAILED) fail("the log cannot be mapped");
    return data;
}

void log_read(struct log *log, const char *path) {
    size_t size = 0, capacity = 0;
    const uint8_t *data = map_file(path, &size), *end = data + size;
    *log = (struct log){0};
    while (data < end) {
        struct record head;
        memcpy(&head, data, sizeof head);
        data += sizeof head;
        const char *name = head.name_bytes != 0 ? (const char *)data : NULL;
        if (log->count == capacity) {
            capacity = capacity * 2 + 1024;
            log->list = realloc(log->list, capacity * sizeof *log->list);
            if (log->list == NULL) fail("out of memory");
        }
        struct operation *op = &log->list[log->count++];
        *op = (struct operation){.kind = head.kind,
                                 .flags = head.flags,
                                 .file = head.file,
                                 .offset = head.offset,
                                 .size = head.size,
                                 .name = name,
                                 .data = data + head.name_bytes};
        if (head.kind == RECORD_RENAME) op->to = name + strlen(name) + 1;
        data += head.name_bytes + head.data_bytes;
    }
}

/* ---- Names ---- */

static size_t *entry_of(struct entries *entries, const char *name) {
    for (size_t i = 0; i < entries->count; i++)
        if (strcmp(entries->list[i].name, name) == 0) return &entries->list[i].node;
    return NULL;
}

static void change_apply(struct entries *entries, const struct change *change) {
    for (size_t i = 0; change->name != NULL && i < entries->count; i++) {
        if (strcmp(entries->list[i].name, change->name) != 0) continue;
        entries->list[i] = entries->list[--entries->count];
        break;
    }
    if (change->to == NULL) return;
    size_t *there = entry_of(entries, change->to);
    if (there != NULL) {
        *there = change->node;
        return;
    }
    if (entries->count == ENTRIES_MAX) fail("too many names in one folder");
    entries->list[entries->count++] = (struct entry){change->to, change->node};
}

/* The folder a path lies in; *name is its last part. */
static size_t folder_of(struct disk *disk, const char *path, const char **name) {
    size_t folder = 0;
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(path, '/')) {
        char part[NAME_MAX_BYTES];
        (void)snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        size_t *next = entry_of(&disk->nodes[folder]->now, part);
        if (next == NULL) fail("a path that the log does not know");
        folder = *next;
        path = slash + 1;
    }
    *name = path;
    return folder;
}

static void change_add(struct disk *disk, size_t folder, struct change change) {
    struct node *node = disk->nodes[folder];
    if (node->change_count == CHANGES_MAX) fail("too many changes of a folder without a sync");
    change_apply(&node->now, &change);
    node->changes[node->change_count++] = change;
}

static size_t node_new(struct disk *disk, bool is_folder) {
    if (disk->node_count == NODES_MAX) fail("too many files");
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) fail("out of memory");
    node->is_folder = is_folder;
    disk->nodes[disk->node_count] = node;
    return disk->node_count++;
}

static void make(struct disk *disk, const struct operation *op) {
    const char *name;
    size_t folder = folder_of(disk, op->name, &name), node = node_new(disk, op->kind == RECORD_MAKE_FOLDER);
    if (op->kind == RECORD_CREATE) disk->files[op->file % NODES_MAX] = node;
    change_add(disk, folder, (struct change){NULL, name, node});
}

static void rename_or_remove(struct disk *disk, const struct operation *op) {
    const char *name, *to = NULL;
    size_t folder = folder_of(disk, op->name, &name);
    if (op->to != NULL && folder_of(disk, op->to, &to) != folder) fail("a rename between folders is not modelled");
    size_t *node = entry_of(&disk->nodes[folder]->now, name);
    if (node == NULL) fail("a name that the log does not know");
    change_add(disk, folder, (struct change){name, to, *node});
}

static void sync_folder(struct disk *disk, const struct operation *op) {
    const char *name;
    size_t folder = folder_of(disk, op->name, &name);
    if (*name != 0) folder = *entry_of(&disk->nodes[folder]->now, name);
    struct node *node = disk->nodes[folder];
    for (size_t i = 0; i < node->change_count; i++) change_apply(&node->durable, &node->changes[i]);
    node->change_count = 0;
}

/* ---- Data ---- */

static void write_apply(struct operation *op, struct image *image, const uint8_t *keep) {
    if (op->kind == RECORD_TRUNCATE) {
        image_resize(image, op->size);
        return;
    }
    if (keep != NULL || op->offset % PAGE != 0 || op->size % PAGE != 0) {
        image_write(image, op->offset, op->data, op->size, keep);
        return;
    }
    size_t count = op->size / PAGE;
    if (op->pages == NULL) {
        op->pages = malloc(count * sizeof *op->pages);
        for (size_t i = 0; i < count; i++) op->pages[i] = page_keep(op->data + i * PAGE);
    }
    image_set(image, op->offset, op->pages, count);
}

static struct image *durable_image(struct disk *disk, const struct operation *op) {
    return &disk->nodes[disk->files[op->file % NODES_MAX]]->image;
}

/* Whatever of the file is pending; of a write with O_DSYNC: what lies below it is written with it. */
static void sync_file(struct disk *disk, const struct operation *by) {
    size_t left = 0;
    struct image *image = durable_image(disk, by);
    for (size_t i = 0; i < disk->pending_count; i++) {
        struct operation *op = &disk->log->list[disk->pending[i]];
        bool goes = op->file == by->file;
        if (by->kind == RECORD_WRITE && op->kind == RECORD_WRITE)
            goes = goes && op->offset < by->offset + by->size && by->offset < op->offset + op->size;
        if (goes)
            write_apply(op, image, NULL);
        else
            disk->pending[left++] = disk->pending[i];
    }
    disk->pending_count = left;
    image_settle(image, true);
    pages_forget();
}

static void land(struct disk *disk) {
    if (disk->flight == 0) return;
    sync_file(disk, &disk->log->list[disk->flight - 1]);
    disk->flight = 0;
}

void disk_do(struct disk *disk) {
    struct operation *op = &disk->log->list[disk->done];
    land(disk);
    switch (op->kind) {
    case RECORD_CREATE:
    case RECORD_MAKE_FOLDER: make(disk, op); break;
    case RECORD_RENAME:
    case RECORD_REMOVE: rename_or_remove(disk, op); break;
    case RECORD_WRITE:
    case RECORD_TRUNCATE:
        if (disk->pending_count == PENDING_MAX) fail("too many writes without a sync");
        disk->pending[disk->pending_count++] = disk->done;
        if ((op->flags & RECORD_DURABLE) != 0) disk->flight = disk->done + 1;
        break;
    case RECORD_SYNC: sync_file(disk, op); break;
    case RECORD_SYNC_FOLDER: sync_folder(disk, op); break;
    case RECORD_MARK: disk->marked = (int)op->size; break;
    }
    disk->done++;
}

struct disk *disk_new(struct log *log) {
    struct disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) fail("out of memory");
    disk->log = log;
    (void)node_new(disk, true);
    return disk;
}

void disk_free(struct disk *disk) {
    for (size_t i = 0; i < disk->node_count; i++) {
        image_free(&disk->nodes[i]->image);
        free(disk->nodes[i]);
    }
    free(disk);
}

int disk_marked(const struct disk *disk) { return disk->marked; }
size_t disk_pending(const struct disk *disk) { return disk->pending_count; }

/* ---- States ---- */

struct random {
    uint64_t state;
    unsigned kept, torn, longer; /* of 100 writes: are there; of these, in part; of those that are not, their length */
    unsigned names;              /* of 100 folders have all their changes */
};

static unsigned below(struct random *random, unsigned limit) {
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(mix(random->state) >> 33) % limit;
}

static struct random random_start(uint64_t seed) {
    static const unsigned shares[] = {5, 30, 50, 70, 95};
    struct random random = {.state = seed};
    random.kept = shares[below(&random, 5)];
    random.torn = below(&random, 2) * 30;
    random.longer = below(&random, 3) * 30;
    random.names = below(&random, 2) * 60 + 40;
    return random;
}

static size_t changes_kept(const struct node *folder, const struct choice *choice, struct random *random) {
    size_t count = folder->change_count;
    if (choice->way == WAY_NONE) return 0;
    if (choice->way != WAY_RANDOM || count == 0 || below(random, 100) < random->names) return count;
    return below(random, (unsigned)count + 1);
}

static void list_files(struct disk *disk, size_t folder, const char *path, const struct choice *choice,
                       struct random *random, struct state *state, size_t *nodes) {
    struct node *node = disk->nodes[folder];
    struct entries entries = node->durable;
    size_t changes = changes_kept(node, choice, random);
    for (size_t i = 0; i < changes; i++) change_apply(&entries, &node->changes[i]);
    for (size_t i = 0; i < entries.count; i++) {
        char name[NAME_MAX_BYTES];
        const struct entry *entry = &entries.list[i];
        if (snprintf(name, sizeof name, "%s%s%s", path, *path != 0 ? "/" : "", entry->name) >= NAME_MAX_BYTES)
            fail("a long name");
        if (state->count == STATE_FILES_MAX) fail("too many files in one state");
        if (disk->nodes[entry->node]->is_folder) {
            /* A folder is a file without an image, so that an empty one is there too. */
            (void)snprintf(state->files[state->count].path, sizeof name, "%.190s/", name);
            state->files[state->count].image.size = 0;
            nodes[state->count++] = entry->node;
            list_files(disk, entry->node, name, choice, random, state, nodes);
            continue;
        }
        memcpy(state->files[state->count].path, name, sizeof name);
        nodes[state->count++] = entry->node;
    }
}

/* Sectors of a torn write: its beginning, its end, or some of them. */
static const uint8_t *tear(const struct operation *op, struct random *random) {
    static uint8_t keep[(16u << 20) / SECTOR / 8];
    unsigned sectors = (unsigned)((op->offset + op->size - 1) / SECTOR - op->offset / SECTOR) + 1;
    if (sectors / 8 >= sizeof keep) fail("a write of more than 16 MiB");
    unsigned how = below(random, 3), cut = below(random, sectors);
    memset(keep, 0, sectors / 8 + 1);
    for (unsigned i = 0; i < sectors; i++) {
        bool is_kept = how == 0 ? i < cut : how == 1 ? i > cut : below(random, 2) == 0;
        if (is_kept) keep[i / 8] = (uint8_t)(keep[i / 8] | 1u << (i % 8));
    }
    return keep;
}

static void pending_apply(struct operation *op, size_t place, const struct choice *choice, struct random *random,
                          struct image *image) {
    bool is_kept = choice->way == WAY_ALL;
    if (choice->way == WAY_MISSING) is_kept = place != choice->which;
    if (choice->way == WAY_ALONE) is_kept = place == choice->which;
    if (choice->way == WAY_RANDOM) is_kept = below(random, 100) < random->kept;
    bool is_random = choice->way == WAY_RANDOM && op->kind == RECORD_WRITE;
    if (!is_kept) {
        bool grows = is_random && below(random, 100) < random->longer && op->offset + op->size > image->size;
        if (grows) image_resize(image, op->offset + op->size);
        return;
    }
    write_apply(op, image, is_random && below(random, 100) < random->torn ? tear(op, random) : NULL);
}

static void state_sum(struct state *state) {
    state->sum = (struct sum){0, 0};
    for (size_t i = 0; i < state->count; i++) {
        const struct state_file *file = &state->files[i];
        struct {
            struct sum sum;
            uint64_t size, name;
        } all = {file->image.sum, file->image.size, XXH3_64bits(file->path, strlen(file->path))};
        XXH128_hash_t hash = XXH3_128bits(&all, sizeof all);
        state->sum.low += hash.low64;
        state->sum.high += hash.high64;
    }
}

void disk_state(struct disk *disk, const struct choice *choice, struct state *state) {
    size_t nodes[STATE_FILES_MAX];
    size_t places[NODES_MAX];
    struct random random = random_start(choice->seed);
    pages_forget();
    state->count = 0;
    list_files(disk, 0, "", choice, &random, state, nodes);
    memset(places, 0, disk->node_count * sizeof *places);
    for (size_t i = 0; i < state->count; i++) {
        image_copy(&state->files[i].image, &disk->nodes[nodes[i]]->image);
        places[nodes[i]] = i + 1;
    }
    for (size_t i = 0; choice->way != WAY_NONE && i < disk->pending_count; i++) {
        struct operation *op = &disk->log->list[disk->pending[i]];
        size_t place = places[disk->files[op->file % NODES_MAX]];
        if (place != 0) pending_apply(op, i, choice, &random, &state->files[place - 1].image);
    }
    for (size_t i = 0; i < state->count; i++) image_settle(&state->files[i].image, false);
    state_sum(state);
}
